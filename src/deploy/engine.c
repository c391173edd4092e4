/* SPDX-License-Identifier: Apache-2.0 */
/* Orders to the container engine, its answers, and the lock of an app. */

#include "deploy/engine.h"

#include <stdarg.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/fs.h"
#include "core/log.h"
#include "core/banned.h"

enum { LOCK_EVERY_MS = 1000, LOCK_GRACE_S = 15 * 60, TAIL_LINES = 20 };

/* ---- orders ---- */

static Order
order_at(const Deploy *d, const char *host, const char *first, va_list more)
{
    Order order = order_of(d->arena, "docker", NULL);
    if (host)
        order_add(d->arena, &order, "--host", host, NULL);
    for (const char *word = first; word; word = va_arg(more, const char *))
        order_add(d->arena, &order, word, NULL);
    return order;
}

Order
engine_order(const Deploy *d, const char *word, ...)
{
    va_list more;
    va_start(more, word);
    Order order = order_at(d, d->options->docker_host, word, more);
    va_end(more);
    return order;
}

Order
engine_order_here(const Deploy *d, const char *word, ...)
{
    va_list more;
    va_start(more, word);
    Order order = order_at(d, d->platform->pulls ? NULL : d->options->docker_host, word, more);
    va_end(more);
    return order;
}

/* ---- answers ---- */

bool
engine_inspect(Deploy *d, const char *kind, const char *name, json_t **ret, Error *err)
{
    Answer answer;
    Order order = engine_order(d, kind, "inspect", name, NULL);
    order.may_fail = true;
    order.pretend = "[{}]";
    if (!order_run(&d->orders, &order, &answer, err))
        return false;
    if (answer.status != 0) {
        /* "No such container", "no such service": each kind says it in its own way. */
        Str said = answer.said;
        bool absent = str_find_str(said, STR("o such")) < said.n ||
                      str_find_str(said, STR("not found")) < said.n;
        if (!absent) {
            error_set(err, ERROR_FAILED, "the container engine did not answer");
            return error_detail(err, STR_FMT, STR_ARG(said));
        }
        *ret = NULL;
        return true;
    }
    AUTO_JSON *list = NULL;
    if (!values_read(answer.out, "docker inspect", &list, err))
        return false;
    json_t *one = json_array_get(list, 0);
    if (!json_is_object(one))
        return error_set(err, ERROR_FAILED, "the container engine's answer about '%s' is empty",
                         name);
    *ret = json_incref(one);
    return true;
}

Str
engine_tail(Deploy *d, const char *container)
{
    Answer answer;
    Error ignored = ERROR_INIT;
    Order order =
        engine_order(d, "logs", "--tail", str_printf(d->arena, "%d", TAIL_LINES), container, NULL);
    order.may_fail = true;
    if (d->orders.dry_run || !order_run(&d->orders, &order, &answer, &ignored))
        return STR("");
    return answer.out.n && answer.said.n
               ? str_of(str_printf(d->arena, STR_FMT "\n" STR_FMT, STR_ARG(answer.out),
                                   STR_ARG(answer.said)))
           : answer.out.n ? answer.out
                          : answer.said;
}

/* ---- the lock ---- */

/* What is made as a lock: a thing whose name only one can have. */
typedef struct LockKind {
    const char *thing, *labels, *id;
} LockKind;

static const LockKind of_engine = {"container", "Config.Labels", "Id"};
static const LockKind of_swarm = {"config", "Spec.Labels", "ID"};

static char *
lock_name(const Deploy *d)
{
    return str_printf(d->arena, "%s.deploying", d->unit);
}

static const char *
this_host(Arena *arena)
{
    struct utsname name;
    return uname(&name) == 0 ? str_dup(arena, str_of(name.nodename)) : "?";
}

/* Its owner is known to be gone: it ran on this machine and does not run any more, or it is older
 * than any deploy may get. */
static bool
is_left_behind(const Deploy *d, const LockKind *kind, const json_t *lock, Str *ret_owner)
{
    int64_t pid = 0, began = 0;
    const json_t *labels = value_at(lock, kind->labels);
    Str host = value_text(labels, "lockstep_host");
    if (!str_to_i64(value_text(labels, "lockstep_pid"), &pid) ||
        !str_to_i64(value_text(labels, "lockstep_began"), &began))
        return false;
    *ret_owner =
        str_of(str_printf(d->arena, STR_FMT ", process %lld", STR_ARG(host), (long long)pid));
    bool here = str_eq(host, str_of(this_host(d->arena)));
    const char *alive = str_printf(d->arena, "/proc/%lld", (long long)pid);
    int64_t most = (d->options->migrate_ms + d->options->verify_ms) / 1000 + LOCK_GRACE_S;
    return (here && fs_kind(alive) == FS_ABSENT) || time(NULL) - began > most;
}

static bool
try_lock(Deploy *d, const LockKind *kind, bool *ret_locked, Error *err)
{
    Answer answer;
    char *host = str_printf(d->arena, "lockstep_host=%s", this_host(d->arena));
    char *pid = str_printf(d->arena, "lockstep_pid=%ld", (long)getpid());
    char *began = str_printf(d->arena, "lockstep_began=%lld", (long long)time(NULL));
    Order order = engine_order(d, kind->thing, "create", "--label", host, "--label", pid, "--label",
                               began, NULL);
    if (kind == &of_swarm) {
        order_add(d->arena, &order, lock_name(d), "-", NULL);
        order.input = STR("a deploy is under way\n");
    } else {
        order_add(d->arena, &order, "--name", lock_name(d), "--entrypoint", "lockstep-deploys",
                  d->options->image, NULL);
    }
    order.may_fail = true;
    if (!order_run(&d->orders, &order, &answer, err))
        return false;
    if (answer.status == 0) {
        *ret_locked = true;
        return true;
    }
    if (str_find_str(answer.said, STR("already in use")) < answer.said.n ||
        str_find_str(answer.said, STR("already exists")) < answer.said.n) {
        *ret_locked = false;
        return true;
    }
    error_set(err, ERROR_FAILED, "the container engine makes no lock for '%s'", d->options->app);
    return error_detail(err, STR_FMT, STR_ARG(answer.said));
}

/* By its id where it is another's: by then its name may be that of a third. */
static void
remove_lock(Deploy *d, const LockKind *kind, const char *which)
{
    Error ignored = ERROR_INIT;
    Order order = engine_order(d, kind->thing, "rm", which, NULL);
    order.may_fail = true;
    (void)!order_run(&d->orders, &order, NULL, &ignored);
}

void
engine_unlock(Deploy *d)
{
    remove_lock(d, &of_engine, lock_name(d));
}

void
engine_unlock_swarm(Deploy *d)
{
    remove_lock(d, &of_swarm, lock_name(d));
}

static bool
lock(Deploy *d, const LockKind *kind, Error *err)
{
    int64_t end = clock_ms() + d->options->lock_wait_ms;
    bool told = false;
    for (;;) {
        bool locked = false;
        Str owner = STR("?");
        AUTO_JSON *held = NULL;
        if (!try_lock(d, kind, &locked, err))
            return false;
        if (locked)
            return true;
        if (!engine_inspect(d, kind->thing, lock_name(d), &held, err))
            return false;
        if (!held)
            continue;
        if (is_left_behind(d, kind, held, &owner)) {
            log_warn("deploy.lock", "taking over from a deploy that did not end (" STR_FMT ")",
                     STR_ARG(owner));
            remove_lock(d, kind, str_dup(d->arena, value_text(held, kind->id)));
            continue;
        }
        if (clock_ms() >= end) {
            error_set(err, ERROR_LOCKED, "another deploy of '%s' is under way (" STR_FMT ")",
                      d->options->app, STR_ARG(owner));
            return error_hint(err, "If it is not: `docker %s rm %s`.", kind->thing, lock_name(d));
        }
        if (!told)
            log_info("deploy.waiting", "waiting: another deploy of '%s' is under way (" STR_FMT ")",
                     d->options->app, STR_ARG(owner));
        told = true;
        if (!wait_sleep(d->orders.wait, LOCK_EVERY_MS, err))
            return false;
    }
}

bool
engine_lock(Deploy *d, Error *err)
{
    return lock(d, &of_engine, err);
}

bool
engine_lock_swarm(Deploy *d, Error *err)
{
    return lock(d, &of_swarm, err);
}
