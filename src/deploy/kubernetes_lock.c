/* SPDX-License-Identifier: Apache-2.0 */
/* One deploy of an app at a time: a ConfigMap, because its name is taken by one only. */

#include "deploy/kubernetes.h"

#include "core/banned.h"

typedef struct Seen {
    char *name;
    char *version; /* resourceVersion of the lock that was there */
} Seen;

static json_t *
lock_object(const Deploy *d, const Seen *seen)
{
    Holder here = holder_here(d);
    json_t *object = json_pack("{s:s, s:s, s:{s:s, s:o}, s:{s:s, s:s, s:s, s:s}}", "apiVersion",
                               "v1", "kind", "ConfigMap", "metadata", "name", seen->name, "labels",
                               kube_labels(d), "data", "deploy", here.id, "host", here.host, "pid",
                               str_printf(d->arena, "%lld", (long long)here.pid), "until",
                               str_printf(d->arena, "%lld", (long long)here.until));
    if (seen->version)
        json_object_set_new(json_object_get(object, "metadata"), "resourceVersion",
                            json_string(seen->version));
    return object;
}

/* False with err: neither made nor somebody else's, which is known by one of `others`. */
static bool
give(Deploy *d,
     const char *verb,
     const Seen *seen,
     const char *const *others,
     bool *ret_taken,
     Error *err)
{
    Answer answer;
    AUTO_JSON *object = lock_object(d, seen);
    Order order = kube_order(d, verb, "--filename", "-", NULL);
    order.input = order.shown = values_print(d->arena, object);
    order.may_fail = true;
    if (!kube_run(d, &order, &answer, err))
        return false;
    *ret_taken = answer.status == 0;
    if (answer.status == 0)
        return true;
    for (; *others; others++)
        if (str_find_str(answer.said, str_of(*others)) < answer.said.n)
            return true;
    (void)!patient_failed(&kube_patience, &order, &answer, err);
    /* Of what is to be made, only the place can be missing. */
    if (str_find_str(answer.said, STR("(NotFound)")) < answer.said.n) {
        err->code = ERROR_USAGE;
        error_hint(err, "Give the right `--namespace` and `--context`: a deploy makes none.");
    }
    return false;
}

static bool
take(Deploy *d, void *ctx, bool *ret_taken, Holder *ret_other, Error *err)
{
    Seen *seen = ctx;
    AUTO_JSON *object = NULL;
    Answer answer;
    seen->version = NULL;
    static const char *const others[] = {"(AlreadyExists)", NULL};
    if (!give(d, "create", seen, others, ret_taken, err))
        return false;
    if (*ret_taken)
        return true;
    Order order = kube_order(d, "get", "configmap", seen->name, "--ignore-not-found", "--output",
                             "json", NULL);
    if (!kube_run(d, &order, &answer, err))
        return false;
    if (!answer.out.n) /* given back meanwhile */
        return true;
    if (!values_read(answer.out, "kubectl", &object, err))
        return false;
    const json_t *data = value_at(object, "data");
    seen->version = str_dup(d->arena, value_text(object, "metadata.resourceVersion"));
    *ret_other = (Holder){.id = str_dup(d->arena, value_text(data, "deploy")),
                          .host = str_dup(d->arena, value_text(data, "host"))};
    if (!str_to_i64(value_text(data, "pid"), &ret_other->pid) ||
        !str_to_i64(value_text(data, "until"), &ret_other->until))
        *ret_other = (Holder){.id = "?", .until = 0};
    return true;
}

/* The server refuses when the lock is no longer the one that was seen. */
static bool
take_over(Deploy *d, void *ctx, bool *ret_taken, Error *err)
{
    static const char *const others[] = {"(Conflict)", "(NotFound)", NULL};
    return give(d, "replace", ctx, others, ret_taken, err);
}

bool
kube_lock(Deploy *d, Error *err)
{
    Seen seen = {.name = str_printf(d->arena, "lockstep-deploy-%s", d->options->app)};
    HolderLock lock = {
        .take = take,
        .take_over = take_over,
        .ctx = &seen,
        .hint = str_printf(d->arena, "If it is not: `kubectl delete configmap %s`.", seen.name)};
    return holder_lock(d, &lock, err);
}

/* Ours alone: another deploy may have taken over. */
void
kube_unlock(Deploy *d)
{
    Order order = kube_order(d, "delete", "configmap", "--selector",
                             str_printf(d->arena, "lockstep/deploy=%s", holder_here(d).id), NULL);
    patient_try(d, &kube_patience, &order);
}
