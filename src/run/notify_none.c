/* SPDX-License-Identifier: Apache-2.0 */
/* Stands for notify.c in a build without libcurl: whoever asks for notifications is told so before
 * anything is migrated, and the rest is never called. */

#include "run/notify.h"

#include "core/banned.h"

bool
notify_open(Arena *arena, char *const *urls, Notify **ret, Error *err)
{
    (void)arena, (void)urls, (void)ret;
    error_set(err, ERROR_USAGE, "this lockstep was built without notifications");
    return error_hint(err, "Leave out --notify, LOCKSTEP_NOTIFY and 'notify' in lockstep.yaml.");
}

int
notify_fd(const Notify *n)
{
    (void)n;
    return -1;
}

void
notify_serve(Notify *n)
{
    (void)n;
}

bool
notify_wants(const char *event)
{
    (void)event;
    return false;
}

void
notify_event(Notify *n, Str json)
{
    (void)n, (void)json;
}

void
notify_drain(Notify *n, Wait *wait)
{
    (void)n, (void)wait;
}

void
notify_close(Notify *n)
{
    (void)n;
}
