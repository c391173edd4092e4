/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The migration in a container that Compose makes of the service: with its networks, volumes,
 * secrets and variables, as the file has them now. It is started apart and listened to, because a
 * status that `compose run` passes on is lost with the connection.
 */

#include "deploy/compose.h"

#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/banned.h"

/* A connection that is black-holed is not noticed by the client: none is listened to for longer
 * than this at a time. */
enum { LISTEN_MS = 60000 };
enum { START_MS = 600000, STOP_MS = 60000, LOST_MS = 120000, RETRY_MS = 1000 };

/* ---- what the service depends on ---- */

static bool
is_met(Deploy *d, const ComposeNeed *need, bool *ret_met, Str *ret_why, Error *err)
{
    ComposeContainers seen;
    bool ends = strcmp(need->condition, "service_completed_successfully") == 0;
    bool healthy = strcmp(need->condition, "service_healthy") == 0;
    if (!compose_containers(d, need->service, &seen, err))
        return false;
    *ret_met = seen.n > 0;
    *ret_why = str_of(str_printf(d->arena, "'%s' is not there", need->service));
    for (size_t i = 0; i < seen.n && *ret_met; i++) {
        const ComposeContainer *one = &seen.p[i];
        *ret_met =
            ends ? !one->running && one->status == 0 : one->running && (!healthy || one->healthy);
        *ret_why = str_of(str_printf(d->arena, "'%s' is %s", need->service,
                                     one->running ? "not healthy yet" : "not running"));
        if (ends && one->running)
            *ret_why = str_of(str_printf(d->arena, "'%s' has not ended", need->service));
    }
    return true;
}

static bool
all_met(Deploy *d, void *ctx, bool *ret_ready, Str *ret_why, Error *err)
{
    const Compose *c = d->state;
    (void)ctx;
    *ret_ready = true;
    for (size_t i = 0; i < c->needs.n && *ret_ready; i++)
        if (!is_met(d, &c->needs.p[i], ret_ready, ret_why, err))
            return false;
    return true;
}

bool
compose_needs(Deploy *d, Error *err)
{
    Compose *c = d->state;
    bool met = false;
    Str why;
    if (c->needs_run || !c->needs.n)
        return true;
    if (!d->orders.dry_run && !all_met(d, NULL, &met, &why, err))
        return false;
    if (!met) {
        /* What runs is left as it is, and what has changed in the file too: it is not deployed. */
        Order up = compose_order(d, NULL, "up", "--detach", "--no-recreate", NULL);
        for (size_t i = 0; i < c->needs.n; i++)
            order_add(d->arena, &up, c->needs.p[i].service, NULL);
        up.limit_ms = START_MS;
        if (!order_run(&d->orders, &up, NULL, err) ||
            !deploy_until(d, all_met, NULL, d->options->verify_ms,
                          "what the service depends on is not ready", err))
            return false;
    }
    c->needs_run = true;
    return true;
}

/* ---- the image that migrates ---- */

/* The service's own, with this program put in where it has none: Compose starts what it makes, so
 * that there is no moment to copy it into the container. */
static bool
make_image(Deploy *d, const char *name, Error *err)
{
    Order create = engine_order(d, "create", "--name", name, "--label",
                                str_printf(d->arena, "lockstep_app=%s", d->unit), "--entrypoint",
                                d->lockstep, d->image, NULL);
    Order copy = engine_order(d, "cp", "--follow-link", d->lockstep_here,
                              str_printf(d->arena, "%s:%s", name, d->lockstep), NULL);
    Order commit = engine_order(d, "commit", name, name, NULL);
    Order rm = engine_order(d, "rm", "--force", name, NULL);
    return order_run(&d->orders, &create, NULL, err) && order_run(&d->orders, &copy, NULL, err) &&
           order_run(&d->orders, &commit, NULL, err) && order_run(&d->orders, &rm, NULL, err);
}

static void
remove_all(Deploy *d, const char *name)
{
    Error ignored = ERROR_INIT;
    wait_cleanup_begin(d->orders.wait);
    Order stop = engine_order(d, "stop", name, NULL);
    stop.limit_ms = STOP_MS;
    stop.may_fail = true;
    Order rm = engine_order(d, "rm", "--force", name, NULL);
    rm.may_fail = true;
    Order rmi = engine_order(d, "rmi", "--force", name, NULL);
    rmi.may_fail = true;
    (void)!order_run(&d->orders, &stop, NULL, &ignored);
    (void)!order_run(&d->orders, &rm, NULL, &ignored);
    if (d->lockstep_is_ours)
        (void)!order_run(&d->orders, &rmi, NULL, &ignored);
    wait_cleanup_end(d->orders.wait);
}

/* ---- listening ---- */

typedef struct Listening {
    Deploy *d;
    JobReport *report;
    size_t heard[3], seen[3]; /* lines of stdout and stderr: told already, of this look */
} Listening;

static void
on_line(void *ctx, int stream, Str line)
{
    Listening *l = ctx;
    /* The engine hands out the log from its beginning each time. */
    if (l->seen[stream]++ < l->heard[stream])
        return;
    l->heard[stream]++;
    job_line(l->d->arena, l->report, line);
}

/* *ret_state: 'r' running, 'e' ended, '?' the engine does not answer, '-' there is no such
 * container, and will be none. */
static bool
look_at(Deploy *d, const char *name, char *ret_state, int *ret_status, Error *err)
{
    AUTO_JSON *seen = NULL;
    Error why = ERROR_INIT;
    if (!engine_inspect(d, "container", name, &seen, &why)) {
        *ret_state = '?';
        if (why.code == ERROR_SIGNALLED)
            *err = why;
        return why.code != ERROR_SIGNALLED;
    }
    *ret_state = !seen ? '-' : value_true(seen, "State.Running") ? 'r' : 'e';
    *ret_status = (int)value_number(seen, "State.ExitCode");
    return true;
}

static bool
listen(Deploy *d, const char *name, const Job *job, JobReport *ret, Error *err)
{
    Listening l = {.d = d, .report = ret};
    int64_t end = clock_ms() + job->limit_ms, answered = clock_ms();
    for (;;) {
        char state = '?';
        bool cut = false;
        int64_t left = end - clock_ms();
        Order logs = engine_order(d, "logs", "--follow", name, NULL);
        logs.may_fail = true;
        logs.limit_ms = left < 1 ? 1 : left < LISTEN_MS ? left : LISTEN_MS;
        logs.line = on_line;
        logs.line_ctx = &l;
        logs.line_of_both = true;
        memset(l.seen, 0, sizeof l.seen);
        if (!order_run(&d->orders, &logs, NULL, err)) {
            cut = err->cls == ERROR_CLASS_TIMEOUT;
            if (!cut)
                return false;
            error_clear(err);
        }
        if (!look_at(d, name, &state, &ret->status, err))
            return false;
        if (d->orders.dry_run || state == 'e')
            return true;
        if (state == '-') {
            error_set(err, ERROR_FAILED, "nobody can say how the migration ended");
            return error_hint(err, "Its container is gone: `lockstep history` with the service's "
                                   "database tells.");
        }
        if (clock_ms() >= end) {
            err->cls = ERROR_CLASS_TIMEOUT;
            return error_set(err, ERROR_FAILED, "the migration did not end within %s",
                             str_from_duration_ms(d->arena, job->limit_ms));
        }
        if (state == 'r')
            answered = clock_ms();
        else if (clock_ms() - answered > LOST_MS)
            return error_set(err, ERROR_FAILED, "the container engine does not answer any more");
        if (!cut || state != 'r')
            log_warn("deploy.connection",
                     "lost the connection to the container engine: trying again");
        if (!wait_sleep(d->orders.wait, RETRY_MS, err))
            return false;
    }
}

/* ---- one job ---- */

static bool
start(Deploy *d, const Job *job, const char *name, const char *image, Error *err)
{
    char *override;
    char state = '-';
    int status;
    Error why = ERROR_INIT;
    if (!compose_override(d, image, false, &override, err))
        return false;
    Order run = compose_order(d, override, "run", "--detach", "--no-deps", "-T", "--name", name,
                              "--label", str_printf(d->arena, "lockstep_app=%s", d->unit),
                              "--entrypoint", job->words.p[0], NULL);
    for (size_t i = 0; i < job->env.n; i++) {
        Str pair = str_of(job->env.p[i]);
        size_t end = str_find(pair, '=');
        char *variable = str_dup(d->arena, str_sub(pair, 0, end));
        order_add(d->arena, &run, "-e", variable, NULL);
        order_env(d->arena, &run, variable, str_sub(pair, end + 1, pair.n));
    }
    order_add(d->arena, &run, d->options->app, NULL);
    for (size_t i = 1; i < job->words.n; i++)
        order_add(d->arena, &run, job->words.p[i], NULL);
    run.limit_ms = START_MS;
    if (order_run(&d->orders, &run, NULL, &why))
        return true;
    /* It may have been started, and only the answer been lost. */
    bool asked = why.code == ERROR_FAILED && look_at(d, name, &state, &status, err);
    if (asked && state == 'r')
        return true;
    *err = why;
    return false;
}

bool
compose_run_once(Deploy *d, const Job *job, JobReport *ret, Error *err)
{
    char *name = str_printf(d->arena, "%s.%s-%s", d->unit, job->name, d->id);
    for (char *p = name; d->lockstep_is_ours && *p; p++)
        *p |= *p >= 'A' && *p <= 'Z' ? 32 : 0; /* it names an image, too */
    *ret = (JobReport){0};
    bool done = compose_needs(d, err) && (!d->lockstep_is_ours || make_image(d, name, err)) &&
                start(d, job, name, d->lockstep_is_ours ? name : d->image, err) &&
                listen(d, name, job, ret, err);
    remove_all(d, name);
    return done;
}
