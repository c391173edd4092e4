/* SPDX-License-Identifier: Apache-2.0 */
/* Locks that name their owner. */

#include "deploy/holder.h"

#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/fs.h"
#include "core/log.h"
#include "core/banned.h"

enum { SPARE_S = 15 * 60, HOST_MOST = 63 };

char *
holder_slug(Arena *arena, const char *text, size_t most)
{
    char *slug = str_dup(arena, str_of(text));
    size_t n = strlen(slug);
    for (size_t i = 0; i < n; i++) {
        char c = slug[i];
        bool upper = c >= 'A' && c <= 'Z', fit = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        slug[i] = (char)(upper ? c - 'A' + 'a' : fit ? c : '-');
    }
    if (n > most)
        n = most;
    while (n && slug[n - 1] == '-')
        n--;
    slug[n] = '\0';
    return slug;
}

Holder
holder_here(const Deploy *d)
{
    struct utsname name;
    const DeployOptions *o = d->options;
    const char *host = uname(&name) == 0 ? name.nodename : "unknown";
    return (Holder){.id = holder_slug(d->arena, d->id, HOST_MOST),
                    .host = holder_slug(d->arena, host, HOST_MOST),
                    .pid = getpid(),
                    .until = time(NULL) + (o->migrate_ms + 2 * o->verify_ms) / 1000 + SPARE_S};
}

bool
holder_is_gone(const Deploy *d, const Holder *holder)
{
    bool here = holder->host && strcmp(holder->host, holder_here(d).host) == 0;
    const char *process = str_printf(d->arena, "/proc/%lld", (long long)holder->pid);
    return (here && fs_kind(process) == FS_ABSENT) || time(NULL) > holder->until;
}

char *
holder_text(Arena *arena, const Holder *holder)
{
    return str_printf(arena, "deploy %s, on %s, process %lld", holder->id ? holder->id : "?",
                      holder->host ? holder->host : "?", (long long)holder->pid);
}

bool
holder_lock(Deploy *d, const HolderLock *lock, Error *err)
{
    int64_t end = clock_ms() + d->options->lock_wait_ms;
    const char *mine = holder_here(d).id;
    int tries = 0;
    for (bool told = false;;) {
        Holder other = {0};
        bool taken = false;
        if (!lock->take(d, lock->ctx, &taken, &other, err))
            return false;
        /* An order that was given again because its answer was lost finds its own work. */
        if (taken || (other.id && strcmp(other.id, mine) == 0))
            return true;
        if (other.id && holder_is_gone(d, &other)) {
            log_warn("deploy.lock", "taking over from a deploy that did not end (%s)",
                     holder_text(d->arena, &other));
            if (!lock->take_over(d, lock->ctx, &taken, err))
                return false;
            if (taken)
                return true;
        }
        if (clock_ms() >= end) {
            error_set(err, ERROR_LOCKED, "another deploy of '%s' is under way (%s)",
                      d->options->app, holder_text(d->arena, &other));
            return error_hint(err, "%s", lock->hint);
        }
        if (!told && other.id)
            log_info("deploy.waiting", "waiting: another deploy of '%s' is under way (%s)",
                     d->options->app, holder_text(d->arena, &other));
        told |= other.id != NULL;
        if (!deploy_pause(d, &tries, err))
            return false;
    }
}
