/* SPDX-License-Identifier: Apache-2.0 */
/* A Deployment: what serves, the new image, its rollout, and the way back. */

#include "deploy/kubernetes.h"

#include <stdarg.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "deploy/digest.h"
#include "deploy/verify.h"
#include "run/http.h"
#include "core/banned.h"

enum { NAME_MOST = 63, ROUND_MS = 10000, SPARE_MS = 30000 };

#define MARK "lockstep/deploy"

static const char *const away[] = {"was refused - did you specify the right host or port",
                                   "Unable to connect to the server",
                                   "dial tcp", /* of `create`, which validates first */
                                   "Client.Timeout exceeded",
                                   ": EOF",
                                   "TLS handshake timeout",
                                   "connection reset by peer",
                                   "i/o timeout",
                                   "unexpected EOF",
                                   "http2: client connection lost",
                                   "(ServiceUnavailable)",
                                   "(InternalError)",
                                   "(Timeout)",
                                   "(TooManyRequests)",
                                   "etcdserver:",
                                   NULL};
static const char *const wrong[] = {"error: context \"",
                                    "context was not found",
                                    "error loading config file",
                                    "invalid configuration:",
                                    "server: x509:",
                                    "tls: failed to verify certificate",
                                    NULL};
static const char *const forbidden[] = {
    "(Forbidden)",       "is forbidden:",       "(Unauthorized)",
    "must be logged in", "provide credentials", NULL};

const Patience kube_patience = {
    .who = "the cluster",
    .signs = away,
    .forbidden = forbidden,
    .forbidden_hint = "A deploy gets and patches the deployment; it makes, reads and deletes jobs, "
                      "config maps and, for `--env`, secrets; it reads pods and their logs.",
    .wrong = wrong,
    .wrong_hint = "Look at `kubectl config view`, then give the right `--context`.",
    .away_hint = "Look whether `kubectl get deployments` answers from here, then deploy again."};

/* ---- orders ---- */

Order
kube_order(const Deploy *d, const char *word, ...)
{
    const DeployOptions *o = d->options;
    Order order = order_of(d->arena, "kubectl", NULL);
    va_list more;
    if (o->context)
        order_add(d->arena, &order, "--context", o->context, NULL);
    if (o->namespace_)
        order_add(d->arena, &order, "--namespace", o->namespace_, NULL);
    va_start(more, word);
    for (; word; word = va_arg(more, const char *))
        order_add(d->arena, &order, word, NULL);
    va_end(more);
    return order;
}

bool
kube_run(Deploy *d, Order *order, Answer *ret, Error *err)
{
    return patient_run(d, &kube_patience, order, PATIENCE_MS, ret, err);
}

bool
kube_read(Deploy *d, Order *order, json_t **ret, Error *err)
{
    Answer answer;
    return kube_run(d, order, &answer, err) && values_read(answer.out, "kubectl", ret, err);
}

char *
kube_selector(const Deploy *d)
{
    return str_printf(d->arena, "lockstep/app=%s", d->options->app);
}

json_t *
kube_labels(const Deploy *d)
{
    return json_pack("{s:s, s:s, s:s}", "lockstep/app", d->options->app, "lockstep/deploy",
                     holder_here(d).id, "app.kubernetes.io/managed-by", "lockstep");
}

/* ---- the service's containers ---- */

static const char *const lists[] = {"containers", "initContainers"};

static const json_t *
pod_spec(const json_t *deployment)
{
    return value_at(deployment, "spec.template.spec");
}

static const json_t *
find_container(const json_t *deployment, Str name)
{
    return value_item(value_at(pod_spec(deployment), lists[0]), "name", name);
}

/* The one that was named, the only one, or the only one of the image's repository. */
static const json_t *
choose_container(Deploy *d, const json_t *deployment, Error *err)
{
    const json_t *all = value_at(pod_spec(deployment), lists[0]), *one, *found = NULL;
    const char *names = "", *wanted = d->options->container;
    size_t i, fit = 0;
    if (wanted && (found = find_container(deployment, str_of(wanted))))
        return found;
    json_array_foreach(all, i, one)
    {
        names = str_printf(d->arena, "%s%s'" STR_FMT "'", names, i ? ", " : "",
                           STR_ARG(value_text(one, "name")));
        if (str_eq(digest_repository(value_text(one, "image")),
                   digest_repository(str_of(d->options->image)))) {
            found = one;
            fit++;
        }
    }
    if (!wanted && json_array_size(all) == 1)
        return json_array_get(all, 0);
    if (!wanted && fit == 1)
        return found;
    if (wanted)
        error_set(err, ERROR_USAGE, "the deployment '%s' has no container '%s'", d->options->app,
                  wanted);
    else
        error_set(err, ERROR_USAGE, "which container of '%s' is to have the image is not clear",
                  d->options->app);
    error_hint(err, "Give `--container NAME`, or `deploy: container:` in lockstep.yaml: it has %s.",
               names);
    return NULL;
}

/* A schema gate stands among the init containers with the service's own image: it has to ask for
 * the new schema. */
static void
find_companions(Deploy *d, Kube *k, const json_t *deployment, Str image)
{
    size_t i;
    const json_t *one;
    for (size_t list = 0; list < COUNT_OF(lists); list++)
        json_array_foreach(value_at(pod_spec(deployment), lists[list]), i, one)
        {
            if (str_eq(value_text(one, "image"), image))
                *vec_push(d->arena, &k->containers) = str_dup(d->arena, value_text(one, "name"));
        }
}

/* ---- state of a rollout ---- */

static Str
annotation(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(value_at(object, "metadata.annotations"), name);
    return str_of(json_string_value(value));
}

/* As `kubectl rollout status` reckons. */
static bool
is_rolled_out(const json_t *deployment)
{
    const json_t *replicas = value_at(deployment, "spec.replicas");
    int64_t wanted = replicas ? json_integer_value(replicas) : 1;
    int64_t updated = value_number(deployment, "status.updatedReplicas");
    return value_number(deployment, "status.observedGeneration") >=
               value_number(deployment, "metadata.generation") &&
           updated >= wanted && value_number(deployment, "status.replicas") <= updated &&
           value_number(deployment, "status.availableReplicas") >= updated;
}

static const json_t *
condition(const json_t *object, const char *type)
{
    return value_item(value_at(object, "status.conditions"), "type", str_of(type));
}

/* Absent where the progress deadline has not passed. */
static Str
overdue_since(Arena *arena, const json_t *deployment)
{
    const json_t *progress = condition(deployment, "Progressing");
    if (!str_eq(value_text(progress, "reason"), STR("ProgressDeadlineExceeded")))
        return STR_ABSENT;
    return str_of(str_dup(arena, value_text(progress, "lastUpdateTime")));
}

bool
kube_is_hopeless(Arena *arena, const json_t *pod, Str *ret_why)
{
    static const char *const never[] = {"ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull",
                                        "ImageInspectError"};
    static const char *const states[] = {"status.initContainerStatuses",
                                         "status.containerStatuses"};
    size_t i;
    const json_t *one;
    for (size_t list = 0; list < COUNT_OF(states); list++)
        json_array_foreach(value_at(pod, states[list]), i, one)
        {
            Str reason = value_text(one, "state.waiting.reason");
            Str message = value_text(one, "state.waiting.message");
            if (!reason.n || str_eq(reason, STR("ContainerCreating")) ||
                str_eq(reason, STR("PodInitializing")))
                continue;
            *ret_why = str_of(str_printf(arena, "container '" STR_FMT "': " STR_FMT "%s" STR_FMT,
                                         STR_ARG(value_text(one, "name")), STR_ARG(reason),
                                         message.n ? ": " : "", STR_ARG(message)));
            for (size_t k = 0; k < COUNT_OF(never); k++)
                if (str_eq(reason, str_of(never[k])))
                    return true;
            /* The registry said so: asking again gives the same answer. */
            if (str_eq(reason, STR("ErrImagePull")) &&
                (str_find_str(message, STR("not found")) < message.n ||
                 str_find_str(message, STR("denied")) < message.n ||
                 str_find_str(message, STR("unauthorized")) < message.n ||
                 str_find_str(message, STR("manifest unknown")) < message.n))
                return true;
        }
    one = condition(pod, "PodScheduled");
    if (str_eq(value_text(one, "reason"), STR("Unschedulable")))
        *ret_why = str_of(str_printf(arena, "no node takes the pod: " STR_FMT,
                                     STR_ARG(value_text(one, "message"))));
    return false;
}

/* What a pod says of itself that waits for nothing, and yet is not ready: a probe fails, or the
 * gate does not open. */
static Str
why_not_ready(Arena *arena, const json_t *pod)
{
    static const char *const types[] = {"Initialized", "Ready"};
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        const json_t *one = condition(pod, types[i]);
        if (str_eq(value_text(one, "status"), STR("False")))
            return str_of(str_printf(arena, "pod '" STR_FMT "': " STR_FMT,
                                     STR_ARG(value_text(pod, "metadata.name")),
                                     STR_ARG(value_text(one, "message"))));
    }
    return STR_ABSENT;
}

/* Why the new release's pods do not come up. */
static bool
look_at_pods(Deploy *d, bool *ret_hopeless, Str *ret_why, Error *err)
{
    Kube *k = d->state;
    AUTO_JSON *deployment = NULL, *list = NULL;
    if (!values_read(k->deployment, "kubectl", &deployment, err))
        return false;
    const char *selector = "", *key;
    json_t *value;
    json_object_foreach(value_at(deployment, "spec.selector.matchLabels"), key, value) selector =
        str_printf(d->arena, "%s%s%s=%s", selector, *selector ? "," : "", key,
                   json_string_value(value));
    Order order = kube_order(d, "get", "pods", "--selector", selector, "--output", "json", NULL);
    order.pretend = "{\"items\": []}";
    if (!kube_read(d, &order, &list, err))
        return false;
    size_t i, c;
    const json_t *pod, *container;
    json_array_foreach(value_at(list, "items"), i, pod)
        json_array_foreach(value_at(pod, "spec.containers"), c, container)
    {
        if (!str_eq(value_text(container, "image"), str_of(d->image)))
            continue;
        Str why = STR_ABSENT;
        *ret_hopeless |= kube_is_hopeless(d->arena, pod, &why);
        if (!why.n)
            why = why_not_ready(d->arena, pod);
        if (why.n)
            *ret_why = why;
    }
    return true;
}

/* The condition of a deadline that passed stays until something gets on: of pods that waited for
 * the schema long before this deploy, or of those that this deploy takes away again. */
static bool
look_at_deadline(Deploy *d, Str *ret_since, Error *err)
{
    AUTO_JSON *deployment = NULL;
    Order order = kube_order(d, "get", "deployment", d->options->app, "--output", "json", NULL);
    if (!kube_read(d, &order, &deployment, err))
        return false;
    *ret_since = overdue_since(d->arena, deployment);
    return true;
}

/* kubectl waits and judges; in rounds, so that a pod that never can start is noticed early. */
static bool
follow_rollout(Deploy *d, bool look, Error *err)
{
    const Kube *k = d->state;
    int64_t end = clock_ms() + d->options->verify_ms;
    Str why = STR("");
    for (int tries = 0;;) {
        Answer answer;
        int64_t left = end - clock_ms(), round = left < ROUND_MS ? left : ROUND_MS;
        const char *limit = str_printf(d->arena, "--timeout=%llds",
                                       round > 1000 ? (long long)(round + 999) / 1000 : 1LL);
        Order order =
            kube_order(d, "rollout", "status",
                       str_printf(d->arena, "deployment/%s", d->options->app), limit, NULL);
        order.may_fail = true;
        order.limit_ms = round + SPARE_MS;
        if (!kube_run(d, &order, &answer, err))
            return false;
        if (answer.status == 0)
            return true;
        bool hopeless = false;
        if (look && !look_at_pods(d, &hopeless, &why, err))
            return false;
        bool waits = str_find_str(answer.said, STR("timed out waiting")) < answer.said.n;
        bool overdue = str_find_str(answer.said, STR("exceeded its progress")) < answer.said.n;
        Str since = STR_ABSENT;
        if (overdue && !look_at_deadline(d, &since, err))
            return false;
        if (!waits && (!overdue || (since.n && !str_eq(since, k->overdue)))) {
            (void)!patient_failed(&kube_patience, &order, &answer, err);
            if (why.n)
                error_detail(err, STR_FMT, STR_ARG(why));
            return error_wrap(err, "the rollout of '%s' does not get on", d->options->app);
        }
        if (!waits && !deploy_pause(d, &tries, err))
            return false;
        if (hopeless || clock_ms() >= end) {
            error_set(err, ERROR_FAILED, "the new pods of '%s' %s", d->options->app,
                      hopeless ? "can not start" : "were not ready in time");
            if (!hopeless)
                err->cls = ERROR_CLASS_TIMEOUT;
            if (why.n)
                error_detail(err, STR_FMT, STR_ARG(why));
            return error_hint(err, "`kubectl describe pods` and `kubectl logs` tell more.");
        }
    }
}

/* ---- the mark of a deploy under way ---- */

static bool
set_mark(Deploy *d, const char *text, Error *err)
{
    const char *word = text ? str_printf(d->arena, MARK "=%s", text) : MARK "-";
    Order order = kube_order(d, "annotate", "deployment", d->options->app, word, NULL);
    if (text)
        order_add(d->arena, &order, "--overwrite", NULL);
    return kube_run(d, &order, NULL, err);
}

static bool
mark(Deploy *d, Error *err)
{
    const Kube *k = d->state;
    AUTO_JSON *note = json_pack("{s:s, s:s, s:s}", "deploy", holder_here(d).id, "image", k->was,
                                "revision", k->revision ? k->revision : "");
    return set_mark(d, values_print(d->arena, note).p, err);
}

/* ---- images and the way back ---- */

static bool
set_image(Deploy *d, const char *image, Error *err)
{
    const Kube *k = d->state;
    Order order =
        kube_order(d, "set", "image", str_printf(d->arena, "deployment/%s", d->options->app), NULL);
    for (size_t i = 0; i < k->containers.n; i++)
        order_add(d->arena, &order, str_printf(d->arena, "%s=%s", k->containers.p[i], image), NULL);
    return kube_run(d, &order, NULL, err);
}

/* By its revision, which holds all of what served; where that is no longer known, or not to be
 * seen, the image. */
static bool
undo(Deploy *d, Error *err)
{
    const Kube *k = d->state;
    Answer answer = {.status = 1};
    Order order =
        kube_order(d, "rollout", "undo", str_printf(d->arena, "deployment/%s", d->options->app),
                   str_printf(d->arena, "--to-revision=%s", k->revision), NULL);
    order.may_fail = true;
    if (k->revision && !kube_run(d, &order, &answer, err))
        return false;
    if (answer.status == 0)
        return true;
    if (k->revision && str_find_str(answer.said, STR("unable to find")) >= answer.said.n &&
        str_find_str(answer.said, STR("failed to retrieve replica sets")) >= answer.said.n)
        return patient_failed(&kube_patience, &order, &answer, err);
    return set_image(d, k->was, err);
}

static bool
go_back(Deploy *d, Error *err)
{
    Kube *k = d->state;
    /* What did not serve before does not after. */
    return look_at_deadline(d, &k->overdue, err) && undo(d, err) &&
           (!d->before || follow_rollout(d, false, err)) && set_mark(d, NULL, err);
}

static bool
put_back(Deploy *d, Error *err)
{
    const Kube *k = d->state;
    return k->changed ? go_back(d, err) : set_mark(d, NULL, err);
}

/* ---- what a killed deploy left ---- */

/* Continued where its image serves, or is the one that is asked for now; else undone. */
static bool
settle_rollout(Deploy *d, const json_t *deployment, Str note, Error *err)
{
    Kube *k = d->state;
    AUTO_JSON *left = NULL;
    if (!values_read(note, "the annotation '" MARK "'", &left, err)) {
        error_clear(err);
        return set_mark(d, NULL, err);
    }
    Str was = value_text(left, "image"), revision = value_text(left, "revision");
    Str now = str_of(k->was), id = value_text(left, "deploy");
    if (!was.n || str_eq(was, now))
        return set_mark(d, NULL, err);
    if (is_rolled_out(deployment)) {
        log_info("deploy.left", "deploy " STR_FMT " ended before it said so: its release serves",
                 STR_ARG(id));
        return set_mark(d, NULL, err);
    }
    k->was = str_dup(d->arena, was);
    k->revision = revision.n ? str_dup(d->arena, revision) : NULL;
    d->before = k->was;
    if (str_eq(now, str_of(d->image))) {
        log_info("deploy.left", "going on with deploy " STR_FMT ", which did not end", STR_ARG(id));
        return true;
    }
    log_warn("deploy.left", "deploy " STR_FMT " did not end: '%s' goes back to " STR_FMT " first",
             STR_ARG(id), d->options->app, STR_ARG(was));
    return go_back(d, err);
}

/* ---- the platform ---- */

static bool
settle(Deploy *d, Error *err)
{
    const char *app = d->options->app;
    Kube *k = arena_make(d->arena, Kube);
    if (strlen(app) > NAME_MOST || strcmp(holder_slug(d->arena, app, NAME_MOST), app) != 0) {
        error_set(err, ERROR_USAGE, "'%s' is no name of a deployment", app);
        return error_hint(
            err, "Give the name alone: lower case letters, digits and '-', at most %d.", NAME_MOST);
    }
    d->state = k;
    return true;
}

/* Before anything is done, because the migration can not be taken back when it turns out later. */
static bool
may_release(Deploy *d, Error *err)
{
    Answer answer;
    Order order = kube_order(d, "auth", "can-i", "patch",
                             str_printf(d->arena, "deployments/%s", d->options->app), NULL);
    order.may_fail = true;
    if (!kube_run(d, &order, &answer, err))
        return false;
    if (answer.status == 0)
        return true;
    error_set(err, ERROR_FAILED, "this account may not change the deployment '%s'",
              d->options->app);
    if (answer.said.n)
        error_detail(err, STR_FMT, STR_ARG(answer.said));
    return error_hint(err, "%s", kube_patience.forbidden_hint);
}

static bool
read_deployment(Deploy *d, json_t **ret, Error *err)
{
    Answer answer;
    Order order = kube_order(d, "get", "deployment", d->options->app, "--output", "json", NULL);
    order.may_fail = true;
    order.pretend = str_printf(d->arena,
                               "{\"metadata\": {\"annotations\": {\"deployment.kubernetes.io/"
                               "revision\": \"1\"}}, \"spec\": {\"template\": {\"spec\": "
                               "{\"containers\": [{\"name\": \"%s\", \"image\": \"...\"}]}}}, "
                               "\"status\": {\"availableReplicas\": 1}}",
                               d->options->container ? d->options->container : d->options->app);
    if (!kube_run(d, &order, &answer, err))
        return false;
    if (answer.status != 0 && str_find_str(answer.said, STR("(NotFound)")) < answer.said.n) {
        error_set(err, ERROR_USAGE, "there is no deployment '%s'%s%s%s", d->options->app,
                  d->options->namespace_ ? " in the namespace '" : "",
                  d->options->namespace_ ? d->options->namespace_ : "",
                  d->options->namespace_ ? "'" : "");
        error_detail(err, STR_FMT, STR_ARG(answer.said));
        return error_hint(err, "Apply its manifest first (`lockstep init kubernetes` writes one, "
                               "whose pods wait for the schema), or give `--namespace` and "
                               "`--context`.");
    }
    if (answer.status != 0)
        return patient_failed(&kube_patience, &order, &answer, err);
    Kube *k = d->state;
    k->deployment = answer.out;
    return values_read(answer.out, "kubectl", ret, err);
}

static bool
look(Deploy *d, Error *err)
{
    Kube *k = d->state;
    AUTO_JSON *deployment = NULL;
    if (!read_deployment(d, &deployment, err))
        return false;
    const json_t *container = choose_container(d, deployment, err);
    if (!container)
        return false;
    if (value_true(deployment, "spec.paused")) {
        error_set(err, ERROR_USAGE, "the deployment '%s' is paused", d->options->app);
        return error_hint(err, "`kubectl rollout resume deployment/%s` lets it change again.",
                          d->options->app);
    }
    Str image = value_text(container, "image");
    Str revision = annotation(deployment, "deployment.kubernetes.io/revision");
    k->container = str_dup(d->arena, value_text(container, "name"));
    k->was = str_dup(d->arena, image);
    k->revision = str_dup(d->arena, revision);
    k->overdue = overdue_since(d->arena, deployment);
    find_companions(d, k, deployment, image);
    if (value_number(deployment, "status.availableReplicas") > 0)
        d->before = k->was;
    const char *health = d->options->health;
    if (health && !http_is_url(health) && !value_at(container, "readinessProbe") &&
        !d->orders.dry_run)
        log_warn("deploy.health", "'%s' is not asked: the container '%s' has no readinessProbe",
                 health, k->container);
    Str note = annotation(deployment, MARK);
    return may_release(d, err) && kube_settle_jobs(d, err) &&
           (!note.n || settle_rollout(d, deployment, note, err));
}

static bool
release(Deploy *d, Error *err)
{
    Kube *k = d->state;
    if (!mark(d, err))
        return false;
    k->changed = true;
    return set_image(d, d->image, err);
}

static bool
verify(Deploy *d, Error *err)
{
    return follow_rollout(d, true, err) && verify_url(d, err);
}

static void
tidy(Deploy *d)
{
    Error ignored = ERROR_INIT;
    if (!set_mark(d, NULL, &ignored))
        log_warn("deploy.tidy", "the annotation '" MARK "' stays on '%s': %s", d->options->app,
                 ignored.message);
}

const Platform platform_kubernetes = {
    .name = "kubernetes",
    .title = "Kubernetes",
    .pulls = true,
    .settle = settle,
    .lock = kube_lock,
    .unlock = kube_unlock,
    .look = look,
    .inspect = digest_look_here,
    .run_once = kube_run_once,
    .release = release,
    .verify = verify,
    .put_back = put_back,
    .tidy = tidy,
};
