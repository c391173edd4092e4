/* SPDX-License-Identifier: Apache-2.0 */
/* One deploy of a service at a time: a job that is never run, because its name is taken by one
 * only. */

#include "deploy/cloud_run.h"

#include "core/banned.h"

typedef struct Seen {
    const char *name;
    json_t *job; /* the lock that was there, with its resourceVersion; owned here */
} Seen;

static char *
label(const Deploy *d, const char *name, const char *value)
{
    return str_printf(d->arena, "lockstep-%s=%s", name, value);
}

static char *
number(const Deploy *d, int64_t value)
{
    return str_printf(d->arena, "%lld", (long long)value);
}

static bool
read_lock(Deploy *d, Seen *seen, Holder *ret, Error *err)
{
    Answer answer;
    Order order = run_order(d, "jobs", "describe", seen->name, NULL);
    order.may_fail = true;
    if (!run_do(d, &order, &answer, err))
        return false;
    if (answer.status != 0)
        return run_is_absent(&answer) || patient_failed(&run_patience, &order, &answer, err);
    json_decref(seen->job);
    seen->job = NULL;
    if (!values_read(answer.out, "gcloud", &seen->job, err))
        return false;
    const json_t *labels = value_at(seen->job, "metadata.labels");
    *ret = (Holder){.id = str_dup(d->arena, value_text(labels, "lockstep-deploy")),
                    .host = str_dup(d->arena, value_text(labels, "lockstep-host"))};
    if (!ret->id || !str_to_i64(value_text(labels, "lockstep-pid"), &ret->pid) ||
        !str_to_i64(value_text(labels, "lockstep-until"), &ret->until))
        *ret = (Holder){.id = "?", .until = 0};
    return true;
}

static bool
take(Deploy *d, void *ctx, bool *ret_taken, Holder *ret_other, Error *err)
{
    Seen *seen = ctx;
    Holder here = holder_here(d);
    Answer answer;
    Order order = run_order(d, "jobs", "create", seen->name, "--image", d->image, "--labels",
                            str_printf(d->arena, "%s,%s,%s,%s,%s", label(d, "app", d->options->app),
                                       label(d, "deploy", here.id), label(d, "host", here.host),
                                       label(d, "pid", number(d, here.pid)),
                                       label(d, "until", number(d, here.until))),
                            NULL);
    order.may_fail = true;
    if (!run_do(d, &order, &answer, err))
        return false;
    *ret_taken = answer.status == 0;
    if (answer.status == 0)
        return true;
    if (str_find_str(answer.said, STR("already exists")) < answer.said.n)
        return read_lock(d, seen, ret_other, err);
    return patient_failed(&run_patience, &order, &answer, err);
}

/* The interface refuses when the lock is no longer the one that was seen (resourceVersion). */
static bool
take_over(Deploy *d, void *ctx, bool *ret_taken, Error *err)
{
    Seen *seen = ctx;
    Holder here = holder_here(d);
    Answer answer;
    json_t *labels = value_at(seen->job, "metadata.labels");
    json_object_set_new(labels, "lockstep-deploy", json_string(here.id));
    json_object_set_new(labels, "lockstep-host", json_string(here.host));
    json_object_set_new(labels, "lockstep-pid", json_string(number(d, here.pid)));
    json_object_set_new(labels, "lockstep-until", json_string(number(d, here.until)));
    Order order = run_order(d, "jobs", "replace", "-", NULL);
    order.input = values_print(d->arena, seen->job);
    order.may_fail = true;
    if (!run_do(d, &order, &answer, err))
        return false;
    *ret_taken = answer.status == 0;
    return answer.status == 0 || str_find_str(answer.said, STR("Conflict")) < answer.said.n ||
           str_find_str(answer.said, STR("ABORTED")) < answer.said.n || run_is_absent(&answer) ||
           patient_failed(&run_patience, &order, &answer, err);
}

static const char *
lock_name(const Deploy *d)
{
    return str_printf(d->arena, "%s-deploys", d->options->app);
}

bool
run_lock(Deploy *d, Error *err)
{
    Seen seen = {.name = lock_name(d)};
    HolderLock lock = {
        .take = take,
        .take_over = take_over,
        .ctx = &seen,
        .hint = str_printf(d->arena, "If it is not: `gcloud run jobs delete %s`.", seen.name)};
    bool locked = holder_lock(d, &lock, err);
    json_decref(seen.job);
    return locked;
}

/* Ours alone: another deploy may have taken over. */
void
run_unlock(Deploy *d)
{
    Seen seen = {.name = lock_name(d)};
    Holder holder = {0};
    Error ignored = ERROR_INIT;
    bool ours = d->orders.dry_run || (read_lock(d, &seen, &holder, &ignored) && holder.id &&
                                      str_eq(str_of(holder.id), str_of(holder_here(d).id)));
    Order order = run_order(d, "jobs", "delete", seen.name, NULL);
    if (ours)
        patient_try(d, &run_patience, &order);
    json_decref(seen.job);
}
