/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Compose service. Where two releases can stand side by side, the new containers start beside the
 * old ones, which are stopped when the new ones are well; what is put back then was never away.
 * Where they cannot (a port or name of the host), Compose makes them anew, and what is put back is
 * the image. A container that never runs, APP.release, says from before the first change on what
 * served: the next deploy understands by it what a killed one left.
 */

#include "deploy/compose.h"

#include <string.h>

#include "core/log.h"
#include "core/banned.h"

enum { UP_MS = 900000, STOP_MS = 300000, ID_SHOWN = sizeof "sha256:" + 11 };

static bool
settle(Deploy *d, Error *err)
{
    (void)err;
    d->state = arena_make(d->arena, Compose);
    return true;
}

static bool
lock(Deploy *d, Error *err)
{
    const Compose *c = d->state;
    if (!compose_read(d, err))
        return false;
    d->unit = str_printf(d->arena, "%s-%s", c->project, d->options->app);
    return engine_lock(d, err);
}

/* ---- containers ---- */

static bool
is_among(const Words *ids, const char *id)
{
    for (size_t i = 0; i < ids->n; i++)
        if (strcmp(ids->p[i], id) == 0)
            return true;
    return false;
}

/* `docker words... ids`; nothing where there are none. */
static bool
order_all(Deploy *d, const Words *ids, int64_t limit_ms, Error *err, const char *a, const char *b)
{
    Order order = engine_order(d, a, b, NULL);
    for (size_t i = 0; i < ids->n; i++)
        order_add(d->arena, &order, ids->p[i], NULL);
    order.limit_ms = limit_ms;
    return !ids->n || order_run(&d->orders, &order, NULL, err);
}

static bool
remove_ids(Deploy *d, const Words *ids, Error *err)
{
    return order_all(d, ids, STOP_MS, err, "rm", "--force");
}

/* What of a service was not there before. */
static bool
find_new(Deploy *d, const ComposeService *s, ComposeContainers *ret, Error *err)
{
    ComposeContainers seen;
    *ret = (ComposeContainers){0};
    if (!compose_containers(d, s->name, &seen, err))
        return false;
    for (size_t i = 0; i < seen.n; i++)
        if (!is_among(&s->stopped, seen.p[i].id) &&
            (s->current || !is_among(&s->old, seen.p[i].id)))
            *vec_push(d->arena, ret) = seen.p[i];
    return true;
}

static int64_t
replicas(const ComposeService *s)
{
    return s->wanted ? s->wanted : s->old.n ? (int64_t)s->old.n : 1;
}

/* ---- the mark ---- */

static bool
make_mark(Deploy *d, Error *err)
{
    Compose *c = d->state;
    AUTO_JSON *before = json_object();
    const char *image = d->image;
    for (size_t i = 0; i < c->services.n; i++) {
        const ComposeService *s = &c->services.p[i];
        json_t *ids = json_array();
        for (size_t k = 0; k < s->old.n; k++)
            json_array_append_new(ids, json_string(s->old.p[k]));
        json_object_set_new(before, s->name,
                            json_pack("{s:s*, s:o}", "image", s->before, "old", ids));
        if (i == 0 && s->before)
            image = s->before; /* it is kept by that, whoever clears up images */
    }
    char *label =
        str_printf(d->arena, "lockstep_before=" STR_FMT, STR_ARG(values_print(d->arena, before)));
    char *name = str_printf(d->arena, "%s.release", d->unit);
    Order order = engine_order(d, "create", "--name", name, "--label", label, "--entrypoint",
                               "lockstep-deploys", image, NULL);
    c->mark = name;
    return order_run(&d->orders, &order, NULL, err);
}

static bool
remove_mark(Deploy *d, Error *err)
{
    Compose *c = d->state;
    Order order = engine_order(d, "rm", "--force", c->mark, NULL);
    order.may_fail = true; /* it may never have been made */
    if (!order_run(&d->orders, &order, NULL, err))
        return false;
    c->mark = NULL;
    return true;
}

/* ---- up ---- */

/* In `beside`, as many containers again as there are; else in place of them. */
static bool
up(Deploy *d, const char *override, bool beside, Error *err)
{
    const Compose *c = d->state;
    bool any = false;
    Order order = compose_order(d, override, "up", "--detach", "--no-deps", "--no-build", NULL);
    if (beside)
        order_add(d->arena, &order, "--no-recreate", NULL);
    for (size_t i = 0; i < c->services.n; i++) {
        const ComposeService *s = &c->services.p[i];
        if (s->current || beside == s->alone)
            continue;
        int64_t n = replicas(s) + (beside ? (int64_t)s->old.n : 0);
        order_add(d->arena, &order, "--scale",
                  str_printf(d->arena, "%s=%lld", s->name, (long long)n), NULL);
    }
    for (size_t i = 0; i < c->services.n; i++) {
        const ComposeService *s = &c->services.p[i];
        if (s->current || beside == s->alone)
            continue;
        order_add(d->arena, &order, s->name, NULL);
        any = true;
        /* Compose would start these, and count them. */
        if (!remove_ids(d, &s->stopped, err))
            return false;
    }
    order.limit_ms = UP_MS;
    return !any || order_run(&d->orders, &order, NULL, err);
}

/* ---- putting back ---- */

static bool
is_back(Deploy *d, void *ctx, bool *ret_ready, Str *ret_why, Error *err)
{
    const ComposeService *s = ctx;
    ComposeContainers seen;
    if (!compose_containers(d, s->name, &seen, err))
        return false;
    size_t well = 0;
    for (size_t i = 0; i < seen.n; i++) {
        well += seen.p[i].running && seen.p[i].healthy;
        if (!seen.p[i].running)
            return error_set(err, ERROR_FAILED, "a container of '%s' ended with status %d", s->name,
                             seen.p[i].status);
    }
    *ret_ready = well >= s->old.n;
    *ret_why = str_of(str_printf(d->arena, "%zu of %zu of '%s' are well", well, s->old.n, s->name));
    return true;
}

/* Made anew, so that it has to show that it is well, as a release has. */
static bool
make_again(Deploy *d, const ComposeService *s, Error *err)
{
    const Compose *c = d->state;
    ComposeContainers seen;
    char *override, *scale = str_printf(d->arena, "%s=%zu", s->name, s->old.n);
    if (!compose_override(d, NULL, false, &override, err))
        return false;
    Order order = compose_order(d, override, "up", "--detach", "--no-deps", "--no-build", "--scale",
                                scale, s->name, NULL);
    order.limit_ms = UP_MS;
    if (!order_run(&d->orders, &order, NULL, err) || !compose_containers(d, s->name, &seen, err))
        return false;
    for (size_t i = 0; i < seen.n; i++)
        if (!(s == c->services.p ? verify_container : verify_alone)(d, seen.p[i].id, err))
            return false;
    return true;
}

static bool
put_service_back(Deploy *d, ComposeService *s, Error *err)
{
    ComposeContainers seen;
    Words made = {0};
    size_t there = 0;
    if (!compose_containers(d, s->name, &seen, err))
        return false;
    for (size_t i = 0; i < seen.n; i++) {
        bool old = is_among(&s->old, seen.p[i].id);
        there += old;
        if (!old)
            *vec_push(d->arena, &made) = seen.p[i].id;
    }
    if (there < s->old.n)
        return make_again(d, s, err);
    if (!remove_ids(d, &made, err) || !order_all(d, &s->old, UP_MS, err, "start", NULL))
        return false;
    return !s->old.n || deploy_until(d, is_back, s, d->options->verify_ms,
                                     "what served before is not healthy again", err);
}

static bool
put_back(Deploy *d, Error *err)
{
    Compose *c = d->state;
    for (size_t i = 0; c->mark && i < c->services.n; i++)
        if (!put_service_back(d, &c->services.p[i], err))
            return false;
    return !c->mark || remove_mark(d, err);
}

/* ---- what is there ---- */

static void
read_mark(Deploy *d, const json_t *mark)
{
    Compose *c = d->state;
    AUTO_JSON *before = NULL;
    Error ignored = ERROR_INIT;
    Str text = value_text(mark, "Config.Labels.lockstep_before");
    if (!text.n || !values_read(text, "docker inspect", &before, &ignored))
        return;
    for (size_t i = 0; i < c->services.n; i++) {
        ComposeService *s = &c->services.p[i];
        const json_t *was = json_object_get(before, s->name), *id;
        size_t k;
        /* A service that has come into the file since is left alone. */
        s->current = !was;
        s->before = str_dup(d->arena, value_text(was, "image"));
        json_array_foreach(value_at(was, "old"), k, id) * vec_push(d->arena, &s->old) =
            str_dup(d->arena, str_of(json_string_value(id)));
    }
}

static bool
all_new_well(Deploy *d, bool *ret_well, Error *err)
{
    const Compose *c = d->state;
    *ret_well = true;
    for (size_t i = 0; i < c->services.n && *ret_well; i++) {
        const ComposeService *s = &c->services.p[i];
        ComposeContainers made;
        if (s->current)
            continue;
        if (!find_new(d, s, &made, err))
            return false;
        for (size_t k = 0; k < made.n && *ret_well; k++)
            if (!verify_now(d, made.p[k].id, i > 0, ret_well, err))
                return false;
        /* One of a profile that did not run was not released. */
        *ret_well &= (int64_t)made.n >= replicas(s) || (s->optional && !s->old.n);
    }
    return true;
}

static void
tidy(Deploy *d)
{
    Compose *c = d->state;
    Error why = ERROR_INIT;
    for (size_t i = 0; c->mark && i < c->services.n; i++) {
        const ComposeService *s = &c->services.p[i];
        ComposeContainers seen;
        Words old = {0};
        bool done = s->current || compose_containers(d, s->name, &seen, &why);
        for (size_t k = 0; done && !s->current && k < seen.n; k++)
            if (is_among(&s->old, seen.p[k].id))
                *vec_push(d->arena, &old) = seen.p[k].id;
        if (!done || !remove_ids(d, &old, &why)) {
            log_warn("deploy.tidy", "the old containers are still there: %s", why.message);
            return;
        }
    }
    /* The migration that was followed, if another one was under way, has ended by now. */
    if ((c->mark && !remove_mark(d, &why)) || !engine_sweep(d, &why))
        log_warn("deploy.tidy", "something of the deploy is still there: %s", why.message);
}

/* What a deploy that was killed had begun is ended, or undone. */
static bool
settle_unfinished(Deploy *d, Error *err)
{
    Compose *c = d->state;
    bool well = false;
    AUTO_JSON *mark = NULL;
    char *name = str_printf(d->arena, "%s.release", d->unit);
    if (!engine_inspect(d, "container", name, &mark, err))
        return false;
    if (!mark || d->orders.dry_run)
        return true;
    c->mark = name;
    read_mark(d, mark);
    if (!all_new_well(d, &well, err))
        return false;
    if (well) {
        log_warn("deploy.continued",
                 "an earlier deploy did not end: its release is well, and stays");
        tidy(d);
    } else {
        log_warn("deploy.undone", "an earlier deploy did not end: what served before comes back");
        if (!put_back(d, err))
            return false;
    }
    for (size_t i = 0; i < c->services.n; i++) {
        ComposeService *s = &c->services.p[i];
        *s = (ComposeService){
            .name = s->name, .wanted = s->wanted, .alone = s->alone, .optional = s->optional};
    }
    return true;
}

/* Images that held this program for a migration whose deploy is gone. */
static bool
sweep_images(Deploy *d, Error *err)
{
    Answer answer;
    Order order = engine_order(d, "image", "ls", "--quiet", "--filter",
                               str_printf(d->arena, "label=lockstep_app=%s", d->unit), NULL);
    if (!order_run(&d->orders, &order, &answer, err))
        return false;
    Words images = answer_lines(d->arena, answer.out);
    return order_all(d, &images, 0, err, "rmi", "--force");
}

/* By a name of the image where it has one: what an earlier deploy made says its id. */
static bool
say_before(Deploy *d, const ComposeContainer *one, Error *err)
{
    AUTO_JSON *image = NULL;
    if (!engine_inspect(d, "image", one->image, &image, err))
        return false;
    const char *tag = json_string_value(json_array_get(value_at(image, "RepoTags"), 0));
    d->before = str_printf(d->arena, "%s (" STR_FMT ")", tag ? tag : one->says,
                           STR_ARG(str_sub(str_of(one->image), 0, ID_SHOWN)));
    return true;
}

static bool
look(Deploy *d, Error *err)
{
    Compose *c = d->state;
    if (!settle_unfinished(d, err) || !engine_sweep(d, err) || !sweep_images(d, err))
        return false;
    for (size_t i = 0; i < c->services.n; i++) {
        ComposeService *s = &c->services.p[i];
        ComposeContainers seen;
        if (!compose_containers(d, s->name, &seen, err))
            return false;
        for (size_t k = 0; k < seen.n; k++) {
            const ComposeContainer *one = &seen.p[k];
            *vec_push(d->arena, one->running ? &s->old : &s->stopped) = one->id;
            if (!one->running)
                continue;
            *vec_push(d->arena, &s->configs) = one->config;
            if (!s->before && i == 0 && !say_before(d, one, err))
                return false;
            s->before = one->image;
        }
    }
    return true;
}

/* ---- the release ---- */

/* What a container would be made from now, which those that serve say of themselves. */
static bool
compare(Deploy *d, Error *err)
{
    Compose *c = d->state;
    Answer answer;
    char *override;
    const char *names = "";
    if (!compose_override(d, d->image, false, &override, err))
        return false;
    for (size_t i = 0; i < c->services.n; i++)
        names = str_printf(d->arena, "%s%s%s", names, i ? "," : "", c->services.p[i].name);
    Order order = compose_order(d, override, "config", "--hash", names, NULL);
    if (!order_run(&d->orders, &order, &answer, err))
        return false;
    Words lines = answer_lines(d->arena, answer.out);
    for (size_t k = 0; k < lines.n; k++) {
        Str line = str_of(lines.p[k]);
        size_t blank = str_find(line, ' ');
        for (size_t i = 0; i < c->services.n; i++)
            if (str_eq(str_of(c->services.p[i].name), str_sub(line, 0, blank)))
                c->services.p[i].config = str_dup(d->arena, str_trim(str_sub(line, blank, line.n)));
    }
    for (size_t i = 0; i < c->services.n; i++) {
        ComposeService *s = &c->services.p[i];
        s->current = s->config && s->old.n && (int64_t)s->old.n == replicas(s);
        for (size_t k = 0; k < s->configs.n && s->current; k++)
            s->current = s->configs.p[k] && strcmp(s->configs.p[k], s->config) == 0;
        s->current |= s->optional && !s->old.n;
    }
    return true;
}

static bool
verify_services(Deploy *d, bool those_alone, Error *err)
{
    const Compose *c = d->state;
    for (size_t i = 0; i < c->services.n; i++) {
        const ComposeService *s = &c->services.p[i];
        ComposeContainers made;
        if (s->alone != those_alone || (s->optional && !s->old.n))
            continue;
        if (!find_new(d, s, &made, err))
            return false;
        if (!d->orders.dry_run && (int64_t)made.n < replicas(s))
            return error_set(err, ERROR_FAILED, "%zu of %lld containers of '%s' are there", made.n,
                             (long long)replicas(s), s->name);
        for (size_t k = 0; k < made.n; k++)
            if (!(i == 0 ? verify_container : verify_alone)(d, made.p[k].id, err))
                return error_wrap(err, "'%s'", s->name);
    }
    return true;
}

static bool
release(Deploy *d, Error *err)
{
    const Compose *c = d->state;
    bool current = true, alone = false;
    char *override;
    if (!compose_needs(d, err) || !compare(d, err))
        return false;
    for (size_t i = 0; i < c->services.n; i++) {
        current &= c->services.p[i].current;
        alone |= c->services.p[i].alone && !c->services.p[i].current;
    }
    if (current) {
        log_info("deploy.current", "'%s' serves this very release already", d->options->app);
        return true;
    }
    if (!make_mark(d, err) || !compose_override(d, d->image, true, &override, err) ||
        !up(d, override, true, err))
        return false;
    /* What has to stop before its successor starts does so only when all others are well. */
    return !alone || (verify_services(d, false, err) && up(d, override, false, err));
}

static bool
verify(Deploy *d, Error *err)
{
    const Compose *c = d->state;
    if (!verify_services(d, false, err) || !verify_services(d, true, err))
        return false;
    for (size_t i = 0; i < c->services.n; i++) {
        const ComposeService *s = &c->services.p[i];
        if (!s->current && !s->alone && !order_all(d, &s->old, STOP_MS, err, "stop", NULL))
            return false;
    }
    return true;
}

const Platform platform_compose = {
    .name = "compose",
    .title = "Compose",
    .settle = settle,
    .lock = lock,
    .unlock = engine_unlock,
    .look = look,
    .run_once = compose_run_once,
    .release = release,
    .verify = verify,
    .put_back = put_back,
    .tidy = tidy,
};
