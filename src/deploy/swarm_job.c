/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The migration as a job of the swarm: it runs where the service may run, once, and is never tried
 * again by the swarm. Nobody waits for it on an open connection: its state is asked, and its log
 * read on from the last line.
 */

#include "deploy/swarm.h"

#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/banned.h"

enum { LATE_MS = 250, LOST_MS = 120000, LOG_MS = 20000, NAME_MAX_SWARM = 63, LATE = 5 };

/* ---- tasks ---- */

bool
swarm_tasks(Deploy *d, const char *service, bool all, json_t **ret, Error *err)
{
    Answer ids, answer;
    Order list = engine_order(d, "service", "ps", "--quiet", "--no-trunc", NULL);
    if (!all)
        order_add(d->arena, &list, "--filter", "desired-state=running", NULL);
    order_add(d->arena, &list, service, NULL);
    if (!order_run(&d->orders, &list, &ids, err))
        return false;
    if (!ids.out.n) {
        *ret = json_array();
        return true;
    }
    Order inspect = engine_order(d, "inspect", "--type", "task", NULL);
    Words each = answer_lines(d->arena, ids.out);
    for (size_t i = 0; i < each.n; i++)
        order_add(d->arena, &inspect, each.p[i], NULL);
    return order_run(&d->orders, &inspect, &answer, err) &&
           values_read(answer.out, "docker inspect", ret, err);
}

/* ---- the log ---- */

typedef struct Reading {
    Deploy *d;
    JobReport *report;
    const char *service;
    char *last[3]; /* time of the last line that was told, of stdout and stderr */
    size_t told;
} Reading;

/* Each line has its time before it, of a fixed width: times compare as texts. */
static void
on_line(void *ctx, int stream, Str line)
{
    Reading *r = ctx;
    size_t blank = str_find(line, ' ');
    Str time = str_sub(line, 0, blank);
    if (blank == line.n || (r->last[stream] && str_cmp(time, str_of(r->last[stream])) <= 0))
        return;
    r->last[stream] = str_dup(r->d->arena, time);
    r->told++;
    job_line(r->d->arena, r->report, str_sub(line, blank + 1, line.n));
}

/* What cannot be had now is had the next time; the outcome does not hang on it. */
static bool
read_log(Reading *r, Error *err)
{
    Deploy *d = r->d;
    Error why = ERROR_INIT;
    Order logs = engine_order(d, "service", "logs", "--raw", "--timestamps", NULL);
    const char *a = r->last[1], *b = r->last[2];
    if (a && b)
        order_add(d->arena, &logs, "--since", strcmp(a, b) < 0 ? a : b, NULL);
    order_add(d->arena, &logs, r->service, NULL);
    logs.may_fail = true;
    logs.limit_ms = LOG_MS;
    logs.line = on_line;
    logs.line_ctx = r;
    logs.line_of_both = true;
    if (order_run(&d->orders, &logs, NULL, &why) || why.code != ERROR_SIGNALLED)
        return true;
    *err = why;
    return false;
}

/* ---- its end ---- */

/* *ret_status: the exit status; -1 = it goes on. */
static bool
look_at(Deploy *d, const char *service, int *ret_status, Str *ret_why, Error *err)
{
    AUTO_JSON *tasks = NULL;
    if (!swarm_tasks(d, service, true, &tasks, err))
        return false;
    const json_t *task = json_array_get(tasks, 0);
    Str state = value_text(task, "Status.State"), why = value_text(task, "Status.Err");
    int64_t status = value_number(task, "Status.ContainerStatus.ExitCode");
    bool started = value_text(task, "Status.ContainerStatus.ContainerID").n > 0;
    *ret_status = -1;
    *ret_why = str_copy(d->arena, why);
    if (str_eq(state, STR("complete"))) {
        *ret_status = 0;
    } else if (str_eq(state, STR("failed")) && started && status > 0) {
        *ret_status = (int)status;
    } else if (str_eq(state, STR("failed")) || str_eq(state, STR("rejected")) ||
               str_eq(state, STR("orphaned")) || str_eq(state, STR("shutdown")) ||
               str_eq(state, STR("remove"))) {
        return error_set(err, ERROR_FAILED,
                         "the swarm did not run the migration: it is " STR_FMT ": " STR_FMT,
                         STR_ARG(state), STR_ARG(why.n ? why : value_text(task, "Status.Message")));
    }
    return true;
}

/* The last lines arrive after the end is known. */
static bool
read_rest(Reading *r, Error *err)
{
    for (int i = 0; i < LATE; i++) {
        size_t told = r->told;
        if (!read_log(r, err))
            return false;
        if (i && r->told == told && r->report->spoke)
            return true;
        if (!wait_sleep(r->d->orders.wait, LATE_MS, err))
            return false;
    }
    return true;
}

static bool
listen(Deploy *d, const Job *job, const char *service, JobReport *ret, Error *err)
{
    Reading reading = {.d = d, .report = ret, .service = service};
    int64_t end = clock_ms() + job->limit_ms, answered = clock_ms();
    Str why = STR_ABSENT, told = STR_ABSENT;
    for (int tries = 0;;) {
        int status = -1;
        if (look_at(d, service, &status, &why, err)) {
            answered = clock_ms();
        } else if (err->code == ERROR_SIGNALLED || clock_ms() - answered > LOST_MS ||
                   str_starts(str_of(err->message), STR("the swarm"))) {
            return false;
        } else {
            error_clear(err);
            log_warn("deploy.connection", "lost the connection to the swarm: trying again");
        }
        if (d->orders.dry_run)
            return read_log(&reading, err);
        if (status >= 0) {
            ret->status = status;
            return read_rest(&reading, err);
        }
        if (why.n && !str_eq(why, told))
            log_warn("deploy.waiting", "the migration does not start yet: " STR_FMT, STR_ARG(why));
        told = why;
        if (clock_ms() >= end) {
            err->cls = ERROR_CLASS_TIMEOUT;
            return error_set(err, ERROR_FAILED, "the migration did not end within %s",
                             str_from_duration_ms(d->arena, job->limit_ms));
        }
        if (!read_log(&reading, err) || !deploy_pause(d, &tries, err))
            return false;
    }
}

static void
remove_job(Deploy *d, const char *name)
{
    Error ignored = ERROR_INIT;
    Order rm = engine_order(d, "service", "rm", name, NULL);
    rm.may_fail = true;
    wait_cleanup_begin(d->orders.wait);
    (void)!order_run(&d->orders, &rm, NULL, &ignored);
    wait_cleanup_end(d->orders.wait);
}

static bool
create(Deploy *d, const Job *job, const char *name, Error *err)
{
    const Swarm *s = d->state;
    Order order = engine_order(
        d, "service", "create", "--detach", "--quiet", "--name", name, "--mode", "replicated-job",
        "--restart-condition", "none", "--no-resolve-image", "--with-registry-auth",
        "--stop-grace-period", "60s", "--no-healthcheck", "--label",
        str_printf(d->arena, "lockstep_app=%s", d->unit), "--entrypoint", job->words.p[0], NULL);
    if (!order_hand(&d->orders, &order, &s->env, err) ||
        !order_hand(&d->orders, &order, &job->env, err))
        return false;
    for (size_t i = 0; i < s->options.n; i++)
        order_add(d->arena, &order, s->options.p[i], NULL);
    order_add(d->arena, &order, d->image, NULL);
    for (size_t i = 1; i < job->words.n; i++)
        order_add(d->arena, &order, job->words.p[i], NULL);
    return order_run(&d->orders, &order, NULL, err);
}

bool
swarm_run_once(Deploy *d, const Job *job, JobReport *ret, Error *err)
{
    char *tail = str_printf(d->arena, "-%s-%s", job->name, d->id);
    int room = NAME_MAX_SWARM - (int)strlen(tail);
    char *name = str_printf(d->arena, "%.*s%s", room, d->unit, tail);
    *ret = (JobReport){0};
    if (d->lockstep_is_ours) {
        error_set(err, ERROR_USAGE, "the image '%s' holds no lockstep", d->options->image);
        return error_hint(err,
                          "Put it in (`lockstep init swarm` shows the line): every node starts "
                          "the image as it is.");
    }
    bool done = create(d, job, name, err) && listen(d, job, name, ret, err);
    remove_job(d, name);
    return done;
}

bool
swarm_sweep(Deploy *d, Error *err)
{
    Answer answer;
    Order list = engine_order(d, "service", "ls", "--quiet", "--filter",
                              str_printf(d->arena, "label=lockstep_app=%s", d->unit), NULL);
    if (!order_run(&d->orders, &list, &answer, err))
        return false;
    Words ids = answer_lines(d->arena, answer.out);
    for (size_t i = 0; i < ids.n; i++) {
        int status = -1;
        Str ignored;
        Error why = ERROR_INIT;
        /* One that still runs goes on: the new migration waits for it, as replicas do. */
        if (!look_at(d, ids.p[i], &status, &ignored, &why) || status >= 0)
            remove_job(d, ids.p[i]);
        if (why.code == ERROR_SIGNALLED) {
            *err = why;
            return false;
        }
    }
    return true;
}
