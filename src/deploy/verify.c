/* SPDX-License-Identifier: Apache-2.0 */
/* Asking a new release how it is. */

#include "deploy/verify.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/log.h"
#include "deploy/engine.h"
#include "run/http.h"
#include "core/banned.h"

enum { ANSWER_MS = 5000 };

int64_t
verify_since_ms(Str started)
{
    struct tm when = {0};
    const char *end = started.p ? strptime(started.p, "%Y-%m-%dT%H:%M:%S", &when) : NULL;
    time_t then = end ? timegm(&when) : 0, now = time(NULL);
    return then > 0 && now > then ? (int64_t)(now - then) * 1000 : 0;
}

ServiceState
verify_state(const json_t *container)
{
    Str health = value_text(container, "State.Health.Status");
    if (!value_true(container, "State.Running") || value_true(container, "State.Restarting") ||
        value_number(container, "RestartCount") > 0 || str_eq(health, STR("unhealthy")))
        return SERVICE_BAD;
    if (health.n && !str_eq(health, STR("none")))
        return str_eq(health, STR("healthy")) ? SERVICE_GOOD : SERVICE_STARTING;
    return verify_since_ms(value_text(container, "State.StartedAt")) >= SERVICE_UPTIME_MS
               ? SERVICE_GOOD
               : SERVICE_STARTING;
}

typedef struct Asked {
    const char *name; /* of the container */
    const char *url;  /* asked from here; NULL = not */
    bool inside;      /* asked by its own lockstep */
    bool alone;       /* asked nothing */
    char port[16];
} Asked;

static bool
ask_url(Deploy *d, const char *url, bool *ret_well, Str *ret_why, Error *err)
{
    long status = 0;
    Error why = ERROR_INIT;
    *ret_well = false;
    if (http_ask(d->orders.wait, url, ANSWER_MS, &status, &why)) {
        *ret_well = status >= 200 && status < 400;
        *ret_why = str_of(str_printf(d->arena, "%s answers %ld", url, status));
        return true;
    }
    if (why.code != ERROR_UNREACHABLE) {
        *err = why;
        return false;
    }
    *ret_why = str_of(str_printf(d->arena, "%s", why.message));
    return true;
}

static bool
ask_inside(Deploy *d, const Asked *asked, bool *ret_well, Str *ret_why, Error *err)
{
    Answer answer;
    const char *url =
        str_printf(d->arena, "http://127.0.0.1:%s%s", asked->port, d->options->health);
    Order order = engine_order(d, "exec", asked->name, d->lockstep, "wait", "--for", url, "--wait",
                               "0", NULL);
    order.may_fail = true;
    if (!order_run(&d->orders, &order, &answer, err))
        return false;
    size_t error = str_find_str(answer.said, STR("error: "));
    *ret_well = answer.status == 0;
    *ret_why = error < answer.said.n ? str_sub(answer.said, error + 7, answer.said.n) : answer.said;
    /* 3 and 4: it is up and unwell, or does not listen yet. What has just started or ended is said
     * to be not running; which of the two, the next look tells. */
    if (answer.status == 0 || answer.status == 3 || answer.status == 4 ||
        str_find_str(answer.said, STR("is not running")) < answer.said.n)
        return true;
    error_set(err, ERROR_FAILED, "%s cannot be asked inside the container", url);
    return error_detail(err, STR_FMT, STR_ARG(answer.said));
}

/* The first port of the container that is published on this machine. */
static const char *
published(Deploy *d, const json_t *container)
{
    json_t *ports = value_at(container, "NetworkSettings.Ports"), *list;
    const char *port;
    json_object_foreach(ports, port, list)
    {
        Str host = value_text(json_array_get(list, 0), "HostPort");
        if (host.n)
            return str_printf(d->arena, "http://127.0.0.1:" STR_FMT "%s", STR_ARG(host),
                              d->options->health);
    }
    return NULL;
}

static bool
choose(Deploy *d, Asked *asked, const json_t *container, Error *err)
{
    const char *health = d->options->health, *port;
    json_t *exposed = value_at(container, "Config.ExposedPorts"), *ignored;
    if (!health || asked->alone || asked->url || asked->inside)
        return true;
    if (http_is_url(health)) {
        asked->url = health;
        return true;
    }
    snprintf(asked->port, sizeof asked->port, "80");
    json_object_foreach(exposed, port, ignored)
    {
        snprintf(asked->port, sizeof asked->port, "%.*s", (int)strcspn(port, "/"), port);
        break;
    }
    /* Podman 4 does not say it of a container. */
    if (!json_object_size(exposed) && d->inside.ports.n)
        snprintf(asked->port, sizeof asked->port, "%.*s", (int)strcspn(d->inside.ports.p[0], "/"),
                 d->inside.ports.p[0]);
    asked->inside = d->lockstep && !d->lockstep_is_ours;
    asked->url = asked->inside ? NULL : published(d, container);
    if (asked->inside || asked->url)
        return true;
    error_set(err, ERROR_USAGE, "'%s' cannot be asked: the container publishes no port", health);
    return error_hint(err, "Give the whole URL, or put lockstep into the image: it asks inside.");
}

static bool
is_well(Deploy *d, void *ctx, bool *ret_ready, Str *ret_why, Error *err)
{
    Asked *asked = ctx;
    AUTO_JSON *container = NULL;
    if (!engine_inspect(d, "container", asked->name, &container, err)) {
        if (!engine_is_away(err))
            return false;
        error_clear(err);
        *ret_why = STR("the container engine does not answer");
        return true;
    }
    if (!container)
        return error_set(err, ERROR_FAILED, "the container '%s' is gone", asked->name);
    if (d->orders.dry_run) {
        *ret_ready = true;
        return true;
    }
    ServiceState state = verify_state(container);
    *ret_why = STR("it is starting");
    if (state == SERVICE_BAD) {
        Str health = value_text(container, "State.Health.Status");
        Str status = value_number(container, "RestartCount") > 0 ? STR("started again and again")
                     : str_eq(health, STR("unhealthy"))          ? health
                                                        : value_text(container, "State.Status");
        error_set(err, ERROR_FAILED, "the new release does not stay up: it is " STR_FMT,
                  STR_ARG(status));
        Str tail = engine_tail(d, asked->name);
        return tail.n ? error_detail(err, "it printed last:\n" STR_FMT, STR_ARG(tail)) : false;
    }
    if (!choose(d, asked, container, err))
        return false;
    if (asked->url)
        return ask_url(d, asked->url, ret_ready, ret_why, err);
    if (asked->inside)
        return ask_inside(d, asked, ret_ready, ret_why, err);
    *ret_ready = state == SERVICE_GOOD;
    return true;
}

bool
verify_now(Deploy *d, const char *name, bool alone, bool *ret_well, Error *err)
{
    AUTO_JSON *container = NULL;
    Asked asked = {.name = name};
    Error why = ERROR_INIT;
    Str ignored;
    if (!engine_inspect(d, "container", name, &container, err))
        return false;
    *ret_well = container && verify_state(container) == SERVICE_GOOD;
    if (!*ret_well || alone)
        return true;
    *ret_well = false;
    if (is_well(d, &asked, ret_well, &ignored, &why))
        return true;
    if (why.code == ERROR_SIGNALLED)
        *err = why;
    return why.code != ERROR_SIGNALLED;
}

static bool
until_well(Deploy *d, Asked *asked, Error *err)
{
    if (deploy_until(d, is_well, asked, d->options->verify_ms, "the new release is not healthy",
                     err))
        return true;
    Str tail = err->detail[0] ? STR("") : engine_tail(d, asked->name);
    return tail.n ? error_detail(err, "it printed last:\n" STR_FMT, STR_ARG(tail)) : false;
}

bool
verify_container(Deploy *d, const char *name, Error *err)
{
    return until_well(d, &(Asked){.name = name}, err);
}

bool
verify_alone(Deploy *d, const char *name, Error *err)
{
    return until_well(d, &(Asked){.name = name, .alone = true}, err);
}

static bool
url_answers(Deploy *d, void *ctx, bool *ret_ready, Str *ret_why, Error *err)
{
    const char *url = ctx;
    if (!d->orders.dry_run)
        return ask_url(d, url, ret_ready, ret_why, err);
    d->orders.tell(d->orders.tell_ctx, str_of(str_printf(d->arena, "lockstep wait --for %s", url)));
    return true;
}

bool
verify_answers(Deploy *d, const char *url, Error *err)
{
    return deploy_until(d, url_answers, str_dup(d->arena, str_of(url)), d->options->verify_ms,
                        "the new release does not answer", err);
}

bool
verify_url(Deploy *d, Error *err)
{
    if (!d->options->health || !http_is_url(d->options->health))
        return true;
    return verify_answers(d, d->options->health, err);
}
