/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which TCP connections this process and its descendants hold, as /proc tells: a connection is a
 * line of net/tcp, its inode stands behind a descriptor of whoever holds it. For servers that know
 * their sessions by nothing but the client's port.
 */

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/fs.h"
#include "proc/family.h"
#include "proc/proc.h"
#include "core/banned.h"

enum { TABLE_CEILING = 16 * 1024 * 1024, LISTS_CEILING = 64 * 1024, LISTENING = 0x0a };

typedef struct Socket {
    unsigned long inode;
    unsigned local;
    bool own, family;
} Socket;
typedef VEC(Socket) Sockets;

/* sl  local_address rem_address   st tx_queue:rx_queue tr:tm->when retrnsmt   uid  timeout inode */
static void
add_line(Arena *arena, const char *line, unsigned remote_port, Sockets *ret)
{
    unsigned local, remote, state;
    unsigned long inode;
    if (sscanf(line, "%*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%x %x %*s %*s %*s %*d %*d %lu", &local,
               &remote, &state, &inode) == 4 &&
        remote == remote_port && state != LISTENING && inode)
        *vec_push(arena, ret) = (Socket){.inode = inode, .local = local};
}

static void
read_table(Arena *arena, const char *path, unsigned remote_port, Sockets *ret)
{
    Error ignored = ERROR_INIT;
    Str text;
    if (!fs_read(arena, path, TABLE_CEILING, &text, &ignored))
        return;
    for (const char *line = strchr(text.p, '\n'); line && line[1]; line = strchr(line + 1, '\n'))
        add_line(arena, line + 1, remote_port, ret);
}

static void
mark_holder(const char *pid, bool own, Sockets *sockets)
{
    char path[64], target[64];
    int n = snprintf(path, sizeof path, "/proc/%s/fd", pid);
    DIR *dir = n > 0 && (size_t)n < sizeof path ? opendir(path) : NULL;
    if (!dir)
        return;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        unsigned long inode;
        ssize_t got = readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1);
        target[got > 0 ? got : 0] = 0;
        if (sscanf(target, "socket:[%lu]", &inode) != 1)
            continue;
        for (size_t i = 0; i < sockets->n; i++) {
            if (sockets->p[i].inode == inode)
                *(own ? &sockets->p[i].own : &sockets->p[i].family) = true;
        }
    }
    closedir(dir);
}

static bool
all_own(const Sockets *sockets)
{
    for (size_t i = 0; i < sockets->n; i++) {
        if (!sockets->p[i].own)
            return false;
    }
    return true;
}

static Str
list(Arena *arena, const Sockets *sockets, bool own)
{
    StrBuf out = strbuf_new(arena, LISTS_CEILING);
    for (size_t i = 0; i < sockets->n && out.n + 8 < LISTS_CEILING; i++) {
        const Socket *s = &sockets->p[i];
        if (own ? s->own : s->family && !s->own)
            strbuf_printf(&out, "%s%u", out.n ? "," : "", s->local);
    }
    return out.n ? strbuf_str(&out) : STR("");
}

void
proc_ports(Arena *arena, int remote_port, ProcPorts *ret)
{
    Sockets sockets = {0};
    *ret = (ProcPorts){STR(""), STR("")};
    if (!family_is_seen())
        return;
    read_table(arena, "/proc/self/net/tcp", (unsigned)remote_port, &sockets);
    read_table(arena, "/proc/self/net/tcp6", (unsigned)remote_port, &sockets);
    mark_holder("self", true, &sockets);
    if (!all_own(&sockets)) {
        FamilyPids pids = family_pids(arena);
        for (size_t i = 0; i < pids.n; i++)
            mark_holder(str_printf(arena, "%d", pids.p[i]), false, &sockets);
    }
    *ret = (ProcPorts){.own = list(arena, &sockets, true), .family = list(arena, &sockets, false)};
}
