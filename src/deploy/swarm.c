/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service of a swarm, and those of its stack with the same image. A config object, APP.release,
 * says from before the first update on which images served: the next deploy undoes by it what a
 * killed one left, where the swarm has not done so itself.
 */

#include "deploy/swarm.h"

#include <string.h>

#include "core/log.h"
#include "deploy/verify.h"
#include "run/http.h"
#include "core/banned.h"

enum { UPDATE_MS = 60000 };

#define STACK_LABEL "com.docker.stack.namespace"

static bool
settle(Deploy *d, Error *err)
{
    const DeployOptions *o = d->options;
    Swarm *s = arena_make(d->arena, Swarm);
    Str app = str_of(o->app);
    size_t end = str_find(app, '_');
    const char *stack = o->project, *name = o->app;
    if (o->health && !http_is_url(o->health)) {
        error_set(err, ERROR_USAGE, "'%s' cannot be asked on a swarm", o->health);
        return error_hint(err, "Give the whole URL, or leave it to the image's HEALTHCHECK.");
    }
    if (!stack && end < app.n)
        stack = str_dup(d->arena, str_sub(app, 0, end));
    if (stack && !str_starts(app, str_of(str_printf(d->arena, "%s_", stack))))
        name = str_printf(d->arena, "%s_%s", stack, o->app);
    s->stack = stack;
    *vec_push(d->arena, &s->services) = (SwarmService){.name = str_dup(d->arena, str_of(name))};
    d->unit = name;
    d->state = s;
    return true;
}

/* ---- services ---- */

static Str
image_of(const json_t *service)
{
    return value_text(service, "Spec.TaskTemplate.ContainerSpec.Image");
}

static bool
is_held_back(const json_t *service)
{
    return json_object_get(value_at(service, "Spec.Labels"), "lockstep_first") != NULL;
}

static void
add_worker(Deploy *d, const json_t *one, Str image)
{
    Swarm *s = d->state;
    Str name = value_text(one, "Spec.Name");
    if (name.n && !str_eq(name, str_of(s->services.p[0].name)) && str_eq(image_of(one), image))
        *vec_push(d->arena, &s->services) =
            (SwarmService){str_dup(d->arena, name), str_dup(d->arena, image)};
}

static bool
find_workers(Deploy *d, const json_t *app, Error *err)
{
    Answer answer;
    const char *stack =
        json_string_value(json_object_get(value_at(app, "Spec.Labels"), STACK_LABEL));
    if (!stack)
        return true;
    Order order = engine_order(d, "service", "ls", "--quiet", "--filter",
                               str_printf(d->arena, "label=" STACK_LABEL "=%s", stack), NULL);
    if (!order_run(&d->orders, &order, &answer, err))
        return false;
    Words ids = answer_lines(d->arena, answer.out);
    for (size_t i = 0; i < ids.n; i++) {
        AUTO_JSON *one = NULL;
        if (!engine_inspect(d, "service", ids.p[i], &one, err))
            return false;
        if (one)
            add_worker(d, one, image_of(app));
    }
    return true;
}

/* ---- updates ---- */

/* What the tasks of a service are at. *ret_done: as many as should run `image`, and nothing else,
 * and the swarm is content with it. */
static bool
look_at(Deploy *d, const char *name, Str image, bool *ret_done, Str *ret_why, Error *err)
{
    const Swarm *s = d->state;
    AUTO_JSON *service = NULL, *tasks = NULL;
    const json_t *task;
    size_t i;
    int64_t well = 0, others = 0;
    if (!engine_inspect(d, "service", name, &service, err) ||
        !swarm_tasks(d, name, false, &tasks, err))
        return false;
    if (!service)
        return error_set(err, ERROR_FAILED, "the service '%s' is gone", name);
    Str state = value_text(service, "UpdateStatus.State"), said = STR_ABSENT;
    int64_t wanted = value_number(service, "Spec.Mode.Replicated.Replicas");
    if (value_at(service, "Spec.Mode.Global"))
        wanted = (int64_t)json_array_size(tasks);
    bool watched =
        s->checked || str_eq(state, STR("completed")) || str_eq(state, STR("rollback_completed"));
    json_array_foreach(tasks, i, task)
    {
        bool ours = str_eq(value_text(task, "Spec.ContainerSpec.Image"), image);
        bool up =
            str_eq(value_text(task, "Status.State"), STR("running")) &&
            (watched || verify_since_ms(value_text(task, "Status.Timestamp")) >= SERVICE_UPTIME_MS);
        well += ours && up;
        others += !ours;
        said = value_text(task, "Status.Err").n ? value_text(task, "Status.Err") : said;
    }
    *ret_why = str_of(str_printf(d->arena, "%lld of %lld tasks of '%s' run it" STR_FMT STR_FMT,
                                 (long long)well, (long long)wanted, name,
                                 STR_ARG(said.n ? STR("; ") : said), STR_ARG(said)));
    *ret_done = well >= wanted && !others && !str_eq(state, STR("updating")) &&
                !str_eq(state, STR("rollback_started"));
    return true;
}

/* Why the latest tasks that ended did so, and what they printed. */
static void
tell_why(Deploy *d, const char *name, Error *err)
{
    AUTO_JSON *tasks = NULL;
    Error ignored = ERROR_INIT;
    const json_t *task;
    size_t i;
    if (!swarm_tasks(d, name, true, &tasks, &ignored))
        return;
    json_array_foreach(tasks, i, task)
    {
        Str why = value_text(task, "Status.Err");
        if (!why.n || !str_eq(value_text(task, "Spec.ContainerSpec.Image"), str_of(d->image)))
            continue;
        error_detail(err, "a task of '%s': " STR_FMT, name, STR_ARG(why));
        Answer answer;
        Order logs = engine_order(d, "service", "logs", "--raw", "--tail", "10",
                                  str_dup(d->arena, value_text(task, "ID")), NULL);
        logs.may_fail = true;
        if (order_run(&d->orders, &logs, &answer, &ignored) && (answer.out.n || answer.said.n))
            error_detail(err, "it printed last:\n" STR_FMT,
                         STR_ARG(answer.out.n ? answer.out : answer.said));
        return;
    }
}

static bool
is_released(Deploy *d, void *ctx, bool *ret_ready, Str *ret_why, Error *err)
{
    const SwarmService *one = ctx;
    AUTO_JSON *service = NULL;
    if (d->orders.dry_run)
        return look_at(d, one->name, str_of(d->image), ret_ready, ret_why, err);
    if (!engine_inspect(d, "service", one->name, &service, err))
        return false;
    Str state = value_text(service, "UpdateStatus.State");
    bool back = str_starts(state, STR("rollback"));
    if (back || str_eq(state, STR("paused"))) {
        error_set(err, ERROR_FAILED, "the swarm %s the update of '%s': " STR_FMT,
                  back ? "rolls back" : "has stopped", one->name,
                  STR_ARG(value_text(service, "UpdateStatus.Message")));
        tell_why(d, one->name, err);
        return false;
    }
    return look_at(d, one->name, str_of(d->image), ret_ready, ret_why, err);
}

static bool
is_back(Deploy *d, void *ctx, bool *ret_ready, Str *ret_why, Error *err)
{
    const SwarmService *one = ctx;
    return look_at(d, one->name, str_of(one->before), ret_ready, ret_why, err);
}

static bool
update(Deploy *d, const char *name, const char *image, bool may_go_back, Error *err)
{
    Order order = engine_order(d, "service", "update", "--detach", "--quiet", "--no-resolve-image",
                               "--with-registry-auth", "--image", image, NULL);
    if (may_go_back)
        order_add(d->arena, &order, "--update-failure-action", "rollback", NULL);
    order_add(d->arena, &order, name, NULL);
    order.limit_ms = UPDATE_MS;
    return order_run(&d->orders, &order, NULL, err);
}

/* ---- the mark ---- */

static bool
make_mark(Deploy *d, Error *err)
{
    Swarm *s = d->state;
    AUTO_JSON *before = json_object();
    for (size_t i = 0; i < s->services.n; i++)
        if (s->services.p[i].before)
            json_object_set_new(before, s->services.p[i].name,
                                json_string(s->services.p[i].before));
    s->mark = str_printf(d->arena, "%s.release", d->unit);
    Order order = engine_order(
        d, "config", "create", "--label",
        str_printf(d->arena, "lockstep_before=" STR_FMT, STR_ARG(values_print(d->arena, before))),
        s->mark, "-", NULL);
    order.input = STR("a release is under way\n");
    return order_run(&d->orders, &order, NULL, err);
}

static bool
remove_mark(Deploy *d, Error *err)
{
    Swarm *s = d->state;
    Order order = engine_order(d, "config", "rm", s->mark, NULL);
    order.may_fail = true; /* it may never have been made */
    if (!order_run(&d->orders, &order, NULL, err))
        return false;
    s->mark = NULL;
    return true;
}

/* ---- putting back ---- */

static bool
put_service_back(Deploy *d, SwarmService *one, Error *err)
{
    AUTO_JSON *service = NULL;
    if (!one->before)
        return true;
    if (!engine_inspect(d, "service", one->name, &service, err))
        return false;
    if (!service)
        return error_set(err, ERROR_FAILED, "the service '%s' is gone", one->name);
    Str before = str_of(one->before), now = image_of(service),
        previous = value_text(service, "PreviousSpec.TaskTemplate.ContainerSpec.Image");
    Order rollback = engine_order(d, "service", "rollback", "--detach", "--quiet", one->name, NULL);
    rollback.limit_ms = UPDATE_MS;
    bool asked = str_eq(now, before)        ? true
                 : str_eq(previous, before) ? order_run(&d->orders, &rollback, NULL, err)
                                            : update(d, one->name, one->before, false, err);
    return asked && deploy_until(d, is_back, one, d->options->verify_ms,
                                 "what served before does not run again", err);
}

static bool
put_back(Deploy *d, Error *err)
{
    Swarm *s = d->state;
    if (!s->mark)
        return true;
    if (s->first && !swarm_deploy_stack(d, true, err))
        return false;
    for (size_t i = 0; !s->first && i < s->services.n; i++)
        if (!put_service_back(d, &s->services.p[i], err))
            return false;
    return remove_mark(d, err);
}

/* ---- what is there ---- */

/* *ret_well: everything that the mark names runs one other image, and the swarm is content. */
static bool
is_well(Deploy *d, const json_t *before, bool *ret_well, Error *err)
{
    const char *name;
    const json_t *was;
    *ret_well = json_object_size(before) > 0;
    json_object_foreach((json_t *)(uintptr_t)before, name, was)
    {
        AUTO_JSON *service = NULL;
        Str why;
        if (!engine_inspect(d, "service", name, &service, err))
            return false;
        Str image = image_of(service);
        bool other = image.n && !str_eq(image, str_of(json_string_value(was)));
        bool done = false;
        if (other && !look_at(d, name, str_copy(d->arena, image), &done, &why, err))
            return false;
        *ret_well &= other && done;
    }
    return true;
}

/* What a deploy that was killed had begun stays where it is well, else it is undone; the swarm may
 * have done so already. */
static bool
settle_unfinished(Deploy *d, Error *err)
{
    Swarm *s = d->state;
    AUTO_JSON *mark = NULL, *before = NULL;
    bool well = false;
    char *name = str_printf(d->arena, "%s.release", d->unit);
    if (!engine_inspect(d, "config", name, &mark, err))
        return false;
    if (!mark || d->orders.dry_run)
        return true;
    s->mark = name;
    if (!values_read(value_text(mark, "Spec.Labels.lockstep_before"), "docker config inspect",
                     &before, err) ||
        !is_well(d, before, &well, err))
        return false;
    if (well) {
        log_warn("deploy.continued",
                 "an earlier deploy did not end: its release is well, and stays");
        return remove_mark(d, err);
    }
    log_warn("deploy.undone", "an earlier deploy did not end: what served before comes back");
    const char *service;
    const json_t *image;
    json_object_foreach(before, service, image)
    {
        SwarmService one = {str_dup(d->arena, str_of(service)),
                            str_dup(d->arena, str_of(json_string_value(image)))};
        if (!put_service_back(d, &one, err))
            return false;
    }
    /* A first release: it is made anew from the file. */
    return remove_mark(d, err);
}

/* An image that only one engine has is of no use to the others. */
static bool
can_all_have_it(Deploy *d, Error *err)
{
    Answer answer;
    Order order = engine_order(d, "node", "ls", "--quiet", NULL);
    if (!order_run(&d->orders, &order, &answer, err))
        return false;
    if (!str_starts(str_of(d->image), STR("sha256:")) || str_find(answer.out, '\n') == answer.out.n)
        return true;
    error_set(err, ERROR_USAGE, "the image '%s' was never pushed: other nodes cannot have it",
              d->options->image);
    return error_hint(err, "Push it to a registry that all nodes reach, or deploy with `--push`.");
}

static bool
look_for_check(Deploy *d, const json_t *app, Error *err)
{
    Swarm *s = d->state;
    AUTO_JSON *image = NULL;
    if (!engine_inspect(d, "image", d->image, &image, err))
        return false;
    s->checked = value_at(app, "Spec.TaskTemplate.ContainerSpec.Healthcheck") ||
                 value_at(image, "Config.Healthcheck");
    return true;
}

static bool
look(Deploy *d, Error *err)
{
    Swarm *s = d->state;
    AUTO_JSON *app = NULL;
    SwarmService *mine = &s->services.p[0];
    if (!settle_unfinished(d, err) || !swarm_sweep(d, err) || !can_all_have_it(d, err) ||
        !engine_inspect(d, "service", mine->name, &app, err))
        return false;
    s->first = !app || is_held_back(app);
    if (s->first && (!d->options->file || !s->stack)) {
        error_set(err, ERROR_USAGE, "there is no service '%s'", mine->name);
        return error_hint(err,
                          "Its first deploy needs the stack's file: give `--file`, and the app "
                          "as STACK_SERVICE.");
    }
    if (s->first) {
        /* Here, so that the networks and secrets are there when the migration wants them. */
        if (!swarm_deploy_stack(d, true, err))
            return false;
        json_decref(app);
        app = NULL;
        if (!engine_inspect(d, "service", mine->name, &app, err))
            return false;
    } else {
        mine->before = str_dup(d->arena, image_of(app));
        d->before = mine->before;
        if (!find_workers(d, app, err))
            return false;
    }
    swarm_spec_options(d->arena, value_at(app, "Spec"), &s->options, &s->env);
    return look_for_check(d, app, err);
}

/* ---- the release ---- */

static bool
release(Deploy *d, Error *err)
{
    const Swarm *s = d->state;
    bool current = !s->first;
    for (size_t i = 0; i < s->services.n; i++)
        current &= s->services.p[i].before && strcmp(s->services.p[i].before, d->image) == 0;
    if (current) {
        log_info("deploy.current", "'%s' serves this very release already", d->options->app);
        return true;
    }
    if (!make_mark(d, err))
        return false;
    if (s->first)
        return swarm_deploy_stack(d, false, err);
    for (size_t i = 0; i < s->services.n; i++)
        if (!update(d, s->services.p[i].name, d->image, true, err))
            return false;
    return true;
}

static bool
verify(Deploy *d, Error *err)
{
    Swarm *s = d->state;
    for (size_t i = 0; i < s->services.n; i++) {
        SwarmService *one = &s->services.p[i];
        if (!deploy_until(d, is_released, one, d->options->verify_ms,
                          "the new release does not run", err)) {
            if (!err->detail[0] && err->code != ERROR_SIGNALLED)
                tell_why(d, one->name, err);
            return false;
        }
    }
    return verify_url(d, err);
}

static void
tidy(Deploy *d)
{
    const Swarm *s = d->state;
    Error why = ERROR_INIT;
    if ((s->mark && !remove_mark(d, &why)) || !swarm_sweep(d, &why))
        log_warn("deploy.tidy", "something of the deploy is still there: %s", why.message);
}

const Platform platform_swarm = {
    .name = "swarm",
    .title = "Docker Swarm",
    .pulls = true,
    .settle = settle,
    .lock = engine_lock_swarm,
    .unlock = engine_unlock_swarm,
    .look = look,
    .run_once = swarm_run_once,
    .release = release,
    .verify = verify,
    .put_back = put_back,
    .tidy = tidy,
};
