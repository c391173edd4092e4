/* SPDX-License-Identifier: Apache-2.0 */
/* Children by their parent, as /proc tells it: the sub-reaper gets them, but no list of them. */

#include "proc/family.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/banned.h"

/* Parent and group of a process; false when it is gone. The name in /proc/PID/stat may hold blanks
 * and brackets, so the fields are counted from the last bracket. */
static bool
read_stat(int proc, const char *pid, int *ret_parent, int *ret_group)
{
    char path[32], text[512];
    int n = snprintf(path, sizeof path, "%s/stat", pid);
    if (n < 0 || (size_t)n >= sizeof path)
        return false;
    int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    text[got > 0 ? got : 0] = 0;
    const char *fields = strrchr(text, ')');
    char state;
    return fields && sscanf(fields, ") %c %d %d", &state, ret_parent, ret_group) == 3;
}

bool
family_is_seen(void)
{
    char self[32];
    int pid;
    ssize_t n = readlink("/proc/self", self, sizeof self - 1);
    self[n > 0 ? n : 0] = 0;
    return sscanf(self, "%d", &pid) == 1 && pid == getpid();
}

void
family_signal_strays(pid_t pgid, int signo)
{
    DIR *proc = family_is_seen() ? opendir("/proc") : NULL;
    if (!proc)
        return;
    for (struct dirent *entry; (entry = readdir(proc)) != NULL;) {
        int pid, parent, group;
        if (sscanf(entry->d_name, "%d", &pid) != 1 || pid <= 1)
            continue;
        if (read_stat(dirfd(proc), entry->d_name, &parent, &group) && parent == getpid() &&
            group != pgid)
            kill(pid, signo);
    }
    closedir(proc);
}

typedef struct Process {
    int pid, parent;
    bool ours;
} Process;

FamilyPids
family_pids(Arena *arena)
{
    VEC(Process) all = {0};
    FamilyPids found = {0};
    DIR *proc = opendir("/proc");
    for (struct dirent *entry; proc && (entry = readdir(proc)) != NULL;) {
        int pid, parent, group;
        if (sscanf(entry->d_name, "%d", &pid) == 1 &&
            read_stat(dirfd(proc), entry->d_name, &parent, &group))
            *vec_push(arena, &all) = (Process){.pid = pid, .parent = parent};
    }
    if (proc)
        closedir(proc);
    /* Breadth first; a parent may have a higher number than its child. */
    *vec_push(arena, &found) = getpid();
    for (size_t at = 0; at < found.n; at++) {
        for (size_t i = 0; i < all.n; i++) {
            if (!all.p[i].ours && all.p[i].parent == found.p[at]) {
                all.p[i].ours = true;
                *vec_push(arena, &found) = all.p[i].pid;
            }
        }
    }
    found.p++; /* without ourselves */
    found.n--;
    return found;
}
