/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One container on an engine. Names tell the state, so that a deploy that was killed can be
 * understood by the next one: APP serves; APP.before is what served, kept until the new one is
 * verified; APP.next is a new one beside it. A service that publishes ports of the host cannot
 * stand beside its successor: the old one is stopped first, and started again when the new one
 * fails.
 */

#include "deploy/engine.h"
#include "deploy/options.h"
#include "deploy/verify.h"

#include <string.h>

#include "core/log.h"
#include "core/banned.h"

enum { STOP_MS = 120000 };

typedef struct Docker {
    EngineOptions options; /* of the service's container */
    EngineJob job;
    char *before, *next; /* names */
    char *served;        /* the id of the container APP when this deploy began; NULL = none */
    bool beside;         /* the new one starts beside the old one */
    bool released;       /* a new container was made */
} Docker;

static bool
settle(Deploy *d, Error *err)
{
    Docker *k = arena_make(d->arena, Docker);
    (void)err;
    k->before = str_printf(d->arena, "%s.before", d->options->app);
    k->next = str_printf(d->arena, "%s.next", d->options->app);
    d->state = k;
    return true;
}

/* ---- one order ---- */

static bool
rename_container(Deploy *d, const char *from, const char *to, Error *err)
{
    Order order = engine_order(d, "rename", from, to, NULL);
    return order_run(&d->orders, &order, NULL, err);
}

static bool
remove_container(Deploy *d, const char *name, Error *err)
{
    Order order = engine_order(d, "rm", "--force", name, NULL);
    order.limit_ms = STOP_MS;
    return order_run(&d->orders, &order, NULL, err);
}

static bool
stop_container(Deploy *d, const char *name, Error *err)
{
    Order order = engine_order(d, "stop", name, NULL);
    order.limit_ms = STOP_MS;
    return order_run(&d->orders, &order, NULL, err);
}

static bool
start_container(Deploy *d, const char *name, Error *err)
{
    Order order = engine_order(d, "start", name, NULL);
    return order_run(&d->orders, &order, NULL, err);
}

/* ---- what is there ---- */

/* A killed deploy left `before`: what served comes back, unless its successor is well already. */
static bool
settle_unfinished(Deploy *d, const json_t *app, Error *err)
{
    Docker *k = d->state;
    bool well = false;
    if (app && !verify_now(d, d->options->app, false, &well, err))
        return false;
    if (well) {
        log_warn("deploy.continued",
                 "an earlier deploy did not end: its release is well, and stays");
        return remove_container(d, k->before, err);
    }
    log_warn("deploy.undone", "an earlier deploy did not end: what served before comes back");
    return (!app || remove_container(d, d->options->app, err)) &&
           rename_container(d, k->before, d->options->app, err) &&
           start_container(d, d->options->app, err);
}

static bool
clear_up(Deploy *d, Error *err)
{
    Docker *k = d->state;
    AUTO_JSON *app = NULL, *before = NULL, *next = NULL;
    if (!engine_sweep(d, err))
        return false;
    if (d->orders.dry_run)
        return true;
    if (!engine_inspect(d, "container", d->options->app, &app, err) ||
        !engine_inspect(d, "container", k->before, &before, err) ||
        !engine_inspect(d, "container", k->next, &next, err))
        return false;
    if (next && !remove_container(d, k->next, err))
        return false;
    return !before || settle_unfinished(d, app, err);
}

static bool
look(Deploy *d, Error *err)
{
    Docker *k = d->state;
    AUTO_JSON *app = NULL, *image = NULL;
    if (!clear_up(d, err) || !engine_inspect(d, "container", d->options->app, &app, err))
        return false;
    k->served =
        app ? str_dup(d->arena, value_at(app, "Id") ? value_text(app, "Id") : STR("")) : NULL;
    if (app && value_true(app, "HostConfig.AutoRemove")) {
        error_set(err, ERROR_USAGE,
                  "the container '%s' was started with --rm: nothing of it could be put back",
                  d->options->app);
        return error_hint(err, "Start it once without --rm.");
    }
    if (app && value_at(app, "Image")) {
        Str id = value_text(app, "Image");
        /* Its name is that of the deploy that made it: the container itself was made by id. */
        Str name = value_text(value_at(app, "Config.Labels"), "lockstep_image");
        d->before =
            deploy_image_shown(d->arena, name.n ? name : value_text(app, "Config.Image"), id);
        if (!engine_inspect(d, "image", str_dup(d->arena, id), &image, err))
            return false;
    }
    if (d->options->options)
        options_of_words(d->arena, d->options->options, &k->options);
    else if (app && !options_of_container(d->arena, app, image, &k->options, err))
        return false;
    k->job.options = engine_job_options(d->arena, k->options.words.p);
    k->job.env = k->options.env;
    k->beside = k->served && !k->options.binds_host;
    return true;
}

static bool
run_once(Deploy *d, const Job *job, JobReport *ret, Error *err)
{
    Docker *k = d->state;
    return engine_run_once(d, job, &k->job, ret, err);
}

/* ---- the release ---- */

static bool
create(Deploy *d, const char *name, Error *err)
{
    Docker *k = d->state;
    Order order = engine_order(d, "create", "--name", name, "--label",
                               str_printf(d->arena, "lockstep_deploy=%s", d->id), "--label",
                               str_printf(d->arena, "lockstep_image=%s", d->options->image), NULL);
    if (!options_hand(&d->orders, &order, &k->options, err))
        return false;
    order_add(d->arena, &order, d->image, NULL);
    for (size_t i = 0; i < k->options.program.n; i++)
        order_add(d->arena, &order, k->options.program.p[i], NULL);
    if (!order_run(&d->orders, &order, NULL, err))
        return false;
    k->released = true;
    for (size_t i = 0; i < k->options.networks.n; i++) {
        Order connect = engine_order(d, "network", "connect", "--alias", d->options->app,
                                     k->options.networks.p[i], name, NULL);
        if (!order_run(&d->orders, &connect, NULL, err))
            return false;
    }
    return start_container(d, name, err);
}

static bool
release(Deploy *d, Error *err)
{
    Docker *k = d->state;
    if (k->beside)
        return create(d, k->next, err);
    if (k->served && (!rename_container(d, d->options->app, k->before, err) ||
                      !stop_container(d, k->before, err)))
        return false;
    return create(d, d->options->app, err);
}

static bool
verify(Deploy *d, Error *err)
{
    Docker *k = d->state;
    const char *name = k->beside ? k->next : d->options->app;
    if (!verify_container(d, name, err))
        return false;
    if (!k->beside)
        return true;
    return rename_container(d, d->options->app, k->before, err) &&
           rename_container(d, k->next, d->options->app, err) && stop_container(d, k->before, err);
}

/* Whatever was seen, and however wrongly: only what this deploy made is removed. */
static bool
remove_ours(Deploy *d, const json_t *app, Error *err)
{
    Str made_by = value_text(value_at(app, "Config.Labels"), "lockstep_deploy");
    if (!app)
        return true;
    if (!d->orders.dry_run && !str_eq(made_by, str_of(d->id)))
        return error_set(err, ERROR_FAILED, "the container '%s' is not this deploy's",
                         d->options->app);
    return remove_container(d, d->options->app, err);
}

static bool
put_back(Deploy *d, Error *err)
{
    Docker *k = d->state;
    AUTO_JSON *before = NULL, *next = NULL, *app = NULL;
    if (!engine_inspect(d, "container", k->next, &next, err) ||
        !engine_inspect(d, "container", k->before, &before, err) ||
        !engine_inspect(d, "container", d->options->app, &app, err))
        return false;
    if (next && !remove_container(d, k->next, err))
        return false;
    if (!before && !k->served)
        return remove_ours(d, app, err);
    if (!before && app && str_eq(value_text(app, "Id"), str_of(k->served)))
        return start_container(d, d->options->app, err);
    if (!before && !d->orders.dry_run)
        return error_set(err, ERROR_FAILED, "the container that served before is gone");
    return remove_ours(d, app, err) && rename_container(d, k->before, d->options->app, err) &&
           start_container(d, d->options->app, err);
}

static void
tidy(Deploy *d)
{
    Docker *k = d->state;
    Error why = ERROR_INIT;
    if (k->served && !remove_container(d, k->before, &why))
        log_warn("deploy.tidy", "'%s' is still there: %s", k->before, why.message);
}

const Platform platform_docker = {
    .name = "docker",
    .title = "Docker",
    .settle = settle,
    .lock = engine_lock,
    .unlock = engine_unlock,
    .look = look,
    .run_once = run_once,
    .release = release,
    .verify = verify,
    .put_back = put_back,
    .tidy = tidy,
};
