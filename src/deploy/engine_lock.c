/* SPDX-License-Identifier: Apache-2.0 */
/* The lock of an app on an engine: a thing whose name only one can have, with its holder in labels.
 */

#include "deploy/engine.h"
#include "deploy/holder.h"

#include "core/banned.h"

typedef struct LockKind {
    const char *thing, *labels, *id;
} LockKind;

static const LockKind of_engine = {"container", "Config.Labels", "Id"};
static const LockKind of_swarm = {"config", "Spec.Labels", "ID"};

typedef struct EngineLock {
    const LockKind *kind;
    const char *seen; /* the id of the lock that another one has */
} EngineLock;

static char *
lock_name(const Deploy *d)
{
    return str_printf(d->arena, "%s.deploying", d->unit);
}

static bool
try_lock(Deploy *d, const LockKind *kind, bool *ret_locked, Error *err)
{
    Answer answer;
    Holder holder = holder_here(d);
    Order order = engine_order(
        d, kind->thing, "create", "--label", str_printf(d->arena, "lockstep_id=%s", holder.id),
        "--label", str_printf(d->arena, "lockstep_host=%s", holder.host), "--label",
        str_printf(d->arena, "lockstep_pid=%lld", (long long)holder.pid), "--label",
        str_printf(d->arena, "lockstep_until=%lld", (long long)holder.until), NULL);
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
    *ret_locked = answer.status == 0;
    if (*ret_locked || str_find_str(answer.said, STR("already in use")) < answer.said.n ||
        str_find_str(answer.said, STR("already exists")) < answer.said.n)
        return true;
    error_set(err, ERROR_FAILED, "the container engine makes no lock for '%s'", d->options->app);
    return error_detail(err, STR_FMT, STR_ARG(answer.said));
}

static bool
take(Deploy *d, void *ctx, bool *ret_taken, Holder *ret_other, Error *err)
{
    EngineLock *lock = ctx;
    AUTO_JSON *held = NULL;
    if (!try_lock(d, lock->kind, ret_taken, err))
        return false;
    if (*ret_taken)
        return true;
    if (!engine_inspect(d, lock->kind->thing, lock_name(d), &held, err))
        return false;
    const json_t *labels = value_at(held, lock->kind->labels);
    Str id = value_text(labels, "lockstep_id"), host = value_text(labels, "lockstep_host");
    if (!id.n)
        return true;
    ret_other->id = str_dup(d->arena, id);
    ret_other->host = str_dup(d->arena, host);
    if (!str_to_i64(value_text(labels, "lockstep_pid"), &ret_other->pid) ||
        !str_to_i64(value_text(labels, "lockstep_until"), &ret_other->until))
        ret_other->until = INT64_MAX; /* whoever made it: not ours to judge */
    lock->seen = str_dup(d->arena, value_text(held, lock->kind->id));
    return true;
}

static void
remove_lock(Deploy *d, const LockKind *kind, const char *which)
{
    Error ignored = ERROR_INIT;
    Order order = engine_order(d, kind->thing, "rm", which, NULL);
    order.may_fail = true;
    (void)!order_run(&d->orders, &order, NULL, &ignored);
}

/* By its id: by now its name may be that of a third. */
static bool
take_over(Deploy *d, void *ctx, bool *ret_taken, Error *err)
{
    const EngineLock *lock = ctx;
    remove_lock(d, lock->kind, lock->seen);
    return try_lock(d, lock->kind, ret_taken, err);
}

static bool
lock_kind(Deploy *d, const LockKind *kind, Error *err)
{
    EngineLock lock = {.kind = kind};
    HolderLock how = {.take = take, .take_over = take_over, .ctx = &lock};
    how.hint = str_printf(d->arena, "If it is not: `docker %s rm %s`.", kind->thing, lock_name(d));
    return holder_lock(d, &how, err);
}

bool
engine_lock(Deploy *d, Error *err)
{
    return lock_kind(d, &of_engine, err);
}

bool
engine_lock_swarm(Deploy *d, Error *err)
{
    return lock_kind(d, &of_swarm, err);
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
