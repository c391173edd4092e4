/* SPDX-License-Identifier: Apache-2.0 */
/* A service: what has its traffic, the new revision, and the way back. */

#include "deploy/cloud_run.h"

#include <stdarg.h>
#include <string.h>

#include "core/log.h"
#include "deploy/digest.h"
#include "deploy/verify.h"
#include "run/http.h"
#include "core/banned.h"

enum { DEPLOY_MS = 1200000, NAME_MOST = 49 };

/* Of the revision that is verified: at most one, so that a deploy that was killed is recognised. */
#define TAG "lockstep"

static const char *const away[] = {"UNAVAILABLE",
                                   "DEADLINE_EXCEEDED",
                                   "INTERNAL",
                                   "RESOURCE_EXHAUSTED",
                                   "gcloud crashed (ConnectionError)",
                                   "gcloud crashed (TransportError)",
                                   "ConnectionResetError",
                                   "Connection aborted",
                                   "Max retries exceeded",
                                   "Unable to find the server",
                                   "Read timed out",
                                   "HTTPError 5",
                                   "problem refreshing your current auth tokens",
                                   NULL};
static const char *const forbidden[] = {"PERMISSION_DENIED", "does not have permission",
                                        "denied on resource", "active account selected", NULL};

const Patience run_patience = {
    .who = "Cloud Run",
    .signs = away,
    .forbidden = forbidden,
    .forbidden_hint =
        "The account of gcloud needs the roles 'Cloud Run Developer', 'Service Account "
        "User' of the service's account, and, for the migration's log, 'Logs Viewer'.",
    .away_hint = "Look whether `gcloud run services list` answers from here, then deploy again."};

/* ---- orders ---- */

void
run_where(const Deploy *d, Order *order, bool region)
{
    const DeployOptions *o = d->options;
    if (o->project)
        order_add(d->arena, order, "--project", o->project, NULL);
    if (o->region && region)
        order_add(d->arena, order, "--region", o->region, NULL);
    /* Nobody is there to answer a question. */
    order_add(d->arena, order, "--quiet", "--format", "json", NULL);
}

Order
run_order(const Deploy *d, const char *word, ...)
{
    Order order = order_of(d->arena, "gcloud", "run", NULL);
    va_list more;
    va_start(more, word);
    for (; word; word = va_arg(more, const char *))
        order_add(d->arena, &order, word, NULL);
    va_end(more);
    run_where(d, &order, true);
    order.limit_ms = DEPLOY_MS;
    return order;
}

bool
run_do(Deploy *d, Order *order, Answer *ret, Error *err)
{
    return patient_run(d, &run_patience, order, PATIENCE_MS, ret, err);
}

bool
run_read(Deploy *d, Order *order, json_t **ret, Error *err)
{
    Answer answer;
    return run_do(d, order, &answer, err) && values_read(answer.out, "gcloud", ret, err);
}

bool
run_is_absent(const Answer *answer)
{
    static const char *const words[] = {"Cannot find", "NOT_FOUND", "could not be found"};
    for (size_t i = 0; answer->status != 0 && i < COUNT_OF(words); i++)
        if (str_find_str(answer->said, str_of(words[i])) < answer->said.n)
            return true;
    return false;
}

/* ---- what a service says ---- */

Str
run_condition(const json_t *object, const char *type, Str *ret_why)
{
    size_t i;
    const json_t *one;
    json_array_foreach(value_at(object, "status.conditions"), i, one)
    {
        if (!str_eq(value_text(one, "type"), str_of(type)))
            continue;
        *ret_why = value_text(one, "message");
        return value_text(one, "status");
    }
    return STR_ABSENT;
}

const json_t *
run_container(const Deploy *d, const json_t *service)
{
    const json_t *all = value_at(service, "spec.template.spec.containers"), *one;
    const json_t *found = json_array_get(all, 0);
    size_t i;
    json_array_foreach(all, i, one)
    {
        bool meant = d->options->container
                         ? str_eq(value_text(one, "name"), str_of(d->options->container))
                         : json_array_size(value_at(one, "ports")) > 0;
        if (meant)
            return one;
    }
    return d->options->container ? NULL : found;
}

static bool
read_service(Deploy *d, json_t **ret, Error *err)
{
    Answer answer;
    CloudRun *k = d->state;
    Order order = run_order(d, "services", "describe", d->options->app, NULL);
    order.may_fail = true;
    order.pretend = "{\"spec\": {\"template\": {\"spec\": {\"containers\": [{}]}}}, \"status\": "
                    "{\"latestCreatedRevisionName\": \"NEW\", \"traffic\": [{\"percent\": 100, "
                    "\"revisionName\": \"OLD\"}]}}";
    if (!run_do(d, &order, &answer, err))
        return false;
    if (run_is_absent(&answer)) {
        error_set(err, ERROR_USAGE, "there is no Cloud Run service '%s'%s%s", d->options->app,
                  d->options->region ? " in " : "", d->options->region ? d->options->region : "");
        error_detail(err, STR_FMT, STR_ARG(answer.said));
        return error_hint(err, "Make it once, with its database and its variables (`lockstep init "
                               "cloud-run` writes a script), or give `--region` and `--project`.");
    }
    if (answer.status != 0)
        return patient_failed(&run_patience, &order, &answer, err);
    if (!k->service.n)
        k->service = answer.out;
    return values_read(answer.out, "gcloud", ret, err);
}

/* "web-00002-abc=90,web-00001-xyz=10". */
static const char *
traffic_of(Arena *arena, const json_t *service)
{
    size_t i;
    const json_t *one;
    char *all = NULL;
    json_array_foreach(value_at(service, "status.traffic"), i, one)
    {
        int64_t percent = value_number(one, "percent");
        Str revision = value_text(one, "revisionName");
        if (percent && revision.n)
            all = str_printf(arena, "%s%s" STR_FMT "=%lld", all ? all : "", all ? "," : "",
                             STR_ARG(revision), (long long)percent);
    }
    return all;
}

static const json_t *
tagged(const json_t *service)
{
    return value_item(value_at(service, "status.traffic"), "tag", STR(TAG));
}

/* ---- the way back ---- */

static bool
drop_tag(Deploy *d, Error *err)
{
    Order order =
        run_order(d, "services", "update-traffic", d->options->app, "--remove-tags", TAG, NULL);
    return run_do(d, &order, NULL, err);
}

static bool
put_back(Deploy *d, Error *err)
{
    const CloudRun *k = d->state;
    AUTO_JSON *service = NULL;
    if (!k->changed)
        return true;
    if (!k->traffic)
        return drop_tag(d, err);
    Order order = run_order(d, "services", "update-traffic", d->options->app, "--to-revisions",
                            k->traffic, NULL);
    if (!run_do(d, &order, NULL, err) || !read_service(d, &service, err))
        return false;
    const char *now = traffic_of(d->arena, service);
    if (!d->orders.dry_run && (!now || strcmp(now, k->traffic) != 0))
        return error_set(err, ERROR_FAILED, "the traffic of '%s' goes to %s, not to %s",
                         d->options->app, now ? now : "nothing", k->traffic);
    return !tagged(service) || drop_tag(d, err);
}

/* ---- the phases ---- */

static bool
settle(Deploy *d, Error *err)
{
    const char *app = d->options->app;
    CloudRun *k = arena_make(d->arena, CloudRun);
    if (strlen(app) > NAME_MOST || strcmp(holder_slug(d->arena, app, NAME_MOST), app) != 0) {
        error_set(err, ERROR_USAGE, "'%s' is no name of a Cloud Run service", app);
        return error_hint(err, "Lower case letters, digits and '-', at most %d.", NAME_MOST);
    }
    k->job = str_printf(d->arena, "%s-migrate", app);
    d->state = k;
    return true;
}

/* Google's own registry is asked through the same program. */
static bool
ask_registry(Deploy *d, Error *err)
{
    Str image = str_of(d->options->image);
    Answer answer;
    AUTO_JSON *found = NULL;
    if (str_find_str(image, STR("-docker.pkg.dev/")) >= image.n)
        return true;
    Order order =
        order_of(d->arena, "gcloud", "artifacts", "docker", "images", "describe", image.p, NULL);
    run_where(d, &order, false);
    order.may_fail = true;
    order.pretend = "{\"image_summary\": {\"digest\": \"sha256:...\"}}";
    if (!run_do(d, &order, &answer, err))
        return false;
    if (answer.status != 0) {
        (void)!patient_failed(&run_patience, &order, &answer, err);
        return error_wrap(err, "the image '%s' is not to be had", image.p);
    }
    if (!values_read(answer.out, "gcloud", &found, err))
        return false;
    Str digest = value_text(found, "image_summary.digest");
    if (digest.n)
        d->image = digest_pin(d->arena, image.p, digest);
    return true;
}

/* By its digest or not at all: job and service would each look up a tag by themselves. */
static bool
inspect(Deploy *d, Error *err)
{
    if (!digest_look_here(d, err))
        return false;
    if (!digest_is_in(d->image) && !ask_registry(d, err))
        return false;
    if (d->orders.dry_run || digest_is_in(d->image))
        return true;
    error_set(err, ERROR_USAGE, "the digest of '%s' is not known here", d->options->image);
    return error_hint(err, "Give the image as REPOSITORY@sha256:..., as the push told it, so that "
                           "the service runs exactly what migrated.");
}

static bool
look(Deploy *d, Error *err)
{
    CloudRun *k = d->state;
    AUTO_JSON *service = NULL, *revision = NULL;
    if (!read_service(d, &service, err))
        return false;
    if (!run_container(d, service))
        return error_set(err, ERROR_USAGE, "the service '%s' has no container '%s'",
                         d->options->app, d->options->container);
    k->traffic = traffic_of(d->arena, service);
    if (k->traffic) {
        Str name = str_sub(str_of(k->traffic), 0, str_find(str_of(k->traffic), '='));
        Order order = run_order(d, "revisions", "describe", str_dup(d->arena, name), NULL);
        order.pretend = "{\"status\": {\"imageDigest\": \"...\"}}";
        if (!run_read(d, &order, &revision, err))
            return false;
        Str image = value_text(revision, "status.imageDigest");
        d->before = str_printf(d->arena, STR_FMT "%s" STR_FMT, STR_ARG(name), image.n ? ", " : "",
                               STR_ARG(image));
    }
    if (tagged(service)) {
        log_warn("deploy.left", "a deploy that did not end left a revision without traffic: "
                                "it gets none");
        if (!drop_tag(d, err))
            return false;
    }
    return run_settle_jobs(d, err);
}

static bool
release(Deploy *d, Error *err)
{
    CloudRun *k = d->state;
    AUTO_JSON *service = NULL;
    Order order = order_of(d->arena, "gcloud", "run", "services", "update", d->options->app,
                           "--no-traffic", "--tag", TAG, NULL);
    run_where(d, &order, true);
    /* What follows it means this container. */
    if (d->options->container)
        order_add(d->arena, &order, "--container", d->options->container, NULL);
    order_add(d->arena, &order, "--image", d->image, NULL);
    order.limit_ms = DEPLOY_MS;
    k->changed = true;
    if (!run_do(d, &order, NULL, err))
        return error_wrap(err, "the new revision of '%s' does not start", d->options->app);
    if (!read_service(d, &service, err))
        return false;
    const json_t *entry = tagged(service);
    Str name = value_text(entry, "revisionName"), url = value_text(entry, "url");
    if (!name.n)
        name = value_text(service, "status.latestCreatedRevisionName");
    k->revision = str_dup(d->arena, name);
    k->url = str_dup(d->arena, url);
    return true;
}

static bool
is_ready(Deploy *d, void *ctx, bool *ret_ready, Str *ret_why, Error *err)
{
    const CloudRun *k = d->state;
    AUTO_JSON *revision = NULL;
    Str why = STR_ABSENT;
    (void)ctx;
    Order order = run_order(d, "revisions", "describe", k->revision, NULL);
    order.pretend = "{}";
    if (!run_read(d, &order, &revision, err))
        return false;
    Str ready = run_condition(revision, "Ready", &why);
    *ret_ready = str_eq(ready, STR("True"));
    *ret_why = str_copy(d->arena, why);
    if (!str_eq(ready, STR("False")))
        return true;
    error_set(err, ERROR_FAILED, "the revision '%s' is not ready", k->revision);
    return error_detail(err, STR_FMT, STR_ARG(why));
}

/* Before it has traffic: at the URL of its tag, where the health check is a path. */
static bool
is_well(Deploy *d, Error *err)
{
    const CloudRun *k = d->state;
    const char *health = d->options->health;
    if (!deploy_until(d, is_ready, NULL, d->options->verify_ms, "the new revision is not ready",
                      err))
        return false;
    if (!health || http_is_url(health))
        return verify_url(d, err);
    const char *base = d->orders.dry_run ? "https://" TAG "---..." : k->url;
    if (!base)
        return error_set(err, ERROR_FAILED, "'%s' cannot be asked: the new revision has no URL",
                         health);
    return verify_answers(
        d, str_printf(d->arena, "%s%s%s", base, *health == '/' ? "" : "/", health), err);
}

static bool
verify(Deploy *d, Error *err)
{
    const CloudRun *k = d->state;
    AUTO_JSON *service = NULL;
    if (!is_well(d, err))
        return false;
    Order order = run_order(d, "services", "update-traffic", d->options->app, "--to-latest", NULL);
    if (!run_do(d, &order, NULL, err) || !read_service(d, &service, err))
        return false;
    const char *now = traffic_of(d->arena, service);
    const char *wanted = str_printf(d->arena, "%s=100", k->revision);
    if (d->orders.dry_run || (now && strcmp(now, wanted) == 0))
        return true;
    return error_set(err, ERROR_FAILED, "the traffic of '%s' goes to %s, not to %s",
                     d->options->app, now ? now : "nothing", wanted);
}

static void
tidy(Deploy *d)
{
    Error why = ERROR_INIT;
    if (!drop_tag(d, &why))
        log_warn("deploy.tidy", "the tag '" TAG "' stays on '%s': %s", d->options->app,
                 why.message);
}

const Platform platform_cloud_run = {
    .name = "cloud-run",
    .title = "Cloud Run",
    .pulls = true,
    .settle = settle,
    .lock = run_lock,
    .unlock = run_unlock,
    .look = look,
    .inspect = inspect,
    .run_once = run_run_once,
    .release = release,
    .verify = verify,
    .put_back = put_back,
    .tidy = tidy,
};
