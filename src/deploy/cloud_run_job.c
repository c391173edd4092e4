/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The migration as an execution of a job. gcloud's own --wait is not relied on: it ends with the
 * connection, and says of a failure only that there was one. The exit status is asked of the task,
 * the story of the log, which comes late, or never where this account may not read it.
 */

#include "deploy/cloud_run.h"
#include "deploy/variables.h"

#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/banned.h"

enum {
    FIRST_LOOK_MS = 250,
    LAST_LOOK_MS = 5000,
    LOG_EVERY = 5, /* looks; reading it is what is counted (60 a minute) */
    LOG_TRIES = 8, /* at the end, until its last line is there */
    LOG_MOST = 1000,
    SPARE_MS = 120000, /* for starting, beside the job's own limit */
    CANCEL_MS = 60000,
};

typedef struct Run {
    Deploy *d;
    const Job *job;
    JobReport *report;
    const char *execution;
    VEC(char *) told;   /* ids of entries of the log */
    char *newest;       /* their latest time */
    bool log_is_closed; /* this account may not read it */
    bool heard_end;
} Run;

/* ---- the log ---- */

/* An entry as the line that it was: text as it is, an object as JSON. */
static void
tell(Run *r, const json_t *entry)
{
    Arena *arena = r->d->arena;
    Str id = value_text(entry, "insertId"), time = value_text(entry, "timestamp");
    for (size_t i = 0; i < r->told.n; i++)
        if (str_eq(id, str_of(r->told.p[i])))
            return;
    *vec_push(arena, &r->told) = str_dup(arena, id);
    r->newest = str_dup(arena, time);
    const json_t *object = value_at(entry, "jsonPayload");
    Str event = value_text(object, "event");
    job_line(arena, r->report,
             object ? values_print(arena, object) : value_text(entry, "textPayload"));
    static const char *const last[] = {"migration.finished", "migration.failed",
                                       "migration.skipped", "migration.none"};
    for (size_t i = 0; i < COUNT_OF(last); i++)
        r->heard_end |= str_eq(event, str_of(last[i]));
}

static bool
read_log(Run *r, Error *err)
{
    Deploy *d = r->d;
    Answer answer;
    AUTO_JSON *entries = NULL;
    if (r->log_is_closed)
        return true;
    const char *filter = str_printf(d->arena,
                                    "resource.type=\"cloud_run_job\" AND "
                                    "labels.\"run.googleapis.com/execution_name\"=\"%s\"%s%s%s",
                                    r->execution, r->newest ? " AND timestamp>=\"" : "",
                                    r->newest ? r->newest : "", r->newest ? "\"" : "");
    Order order = order_of(d->arena, "gcloud", "logging", "read", filter, "--order", "asc",
                           "--limit", str_printf(d->arena, "%d", LOG_MOST), NULL);
    run_where(d, &order, false);
    order.may_fail = true;
    order.pretend = "[]";
    if (!order_run(&d->orders, &order, &answer, err)) {
        if (err->code == ERROR_SIGNALLED)
            return false;
        error_clear(err);
        return true;
    }
    if (answer.status != 0) {
        r->log_is_closed = !patient_is_away(&run_patience, answer.said);
        if (r->log_is_closed)
            log_warn("deploy.logs", "the migration's log can not be read here: " STR_FMT,
                     STR_ARG(answer.said));
        return true;
    }
    size_t i;
    const json_t *entry;
    if (!values_read(answer.out, "gcloud", &entries, err))
        return false;
    json_array_foreach(entries, i, entry) tell(r, entry);
    return true;
}

/* Entries arrive some seconds after they were written. */
static bool
read_log_to_its_end(Run *r, Error *err)
{
    for (int i = 0; i < LOG_TRIES; i++) {
        if (!read_log(r, err))
            return false;
        if (r->heard_end || r->log_is_closed || r->d->orders.dry_run)
            return true;
        if (!wait_sleep(r->d->orders.wait, FIRST_LOOK_MS, err))
            return false;
    }
    return true;
}

/* ---- the execution ---- */

/* "True", "False"; absent while it runs. */
static Str
outcome(const json_t *execution, Str *ret_why)
{
    Str completed = run_condition(execution, "Completed", ret_why);
    bool ended = str_eq(completed, STR("True")) || str_eq(completed, STR("False"));
    return ended ? completed : STR_ABSENT;
}

/* Of its only task; -1 = it never ran, or nobody knows. */
static bool
exit_status(Run *r, int64_t *ret, Error *err)
{
    AUTO_JSON *tasks = NULL;
    Order order =
        run_order(r->d, "jobs", "executions", "tasks", "list", "--execution", r->execution, NULL);
    if (!run_read(r->d, &order, &tasks, err))
        return false;
    const json_t *code = value_at(json_array_get(tasks, 0), "status.lastAttemptResult.exitCode");
    *ret = json_integer_value(code) > 0 ? json_integer_value(code) : -1;
    return true;
}

static bool
judge(Run *r, Str completed, Str why, bool *ret_known, Error *err)
{
    int64_t status = 0;
    if (!str_eq(completed, STR("True")) && !exit_status(r, &status, err))
        return false;
    /* What never ran has no log to wait for. */
    if (!(status < 0 ? read_log(r, err) : read_log_to_its_end(r, err)))
        return false;
    if (status >= 0) {
        r->report->status = (int)status;
        *ret_known = true;
        return true;
    }
    if (str_find_str(why, STR("timeout")) < why.n) {
        err->cls = ERROR_CLASS_TIMEOUT;
        error_set(err, ERROR_FAILED, "the migration did not end within %s",
                  str_from_duration_ms(r->d->arena, r->job->limit_ms));
        return error_detail(err, STR_FMT, STR_ARG(why));
    }
    /* It spoke and was lost: only the database knows, and asking again is how it is asked. */
    if (r->report->spoke)
        return true;
    error_set(err, ERROR_FAILED, "the migration can not be started in '%s'", r->d->image);
    error_detail(err, STR_FMT, STR_ARG(why));
    return error_hint(err,
                      "The image must hold lockstep, in its PATH (`lockstep init docker` shows "
                      "the lines); `gcloud run jobs executions describe %s` tells more.",
                      r->execution);
}

static bool
describe(Run *r, int64_t limit_ms, json_t **ret, Error *err)
{
    Answer answer;
    Order order = run_order(r->d, "jobs", "executions", "describe", r->execution, NULL);
    order.pretend = "{\"status\": {\"conditions\": [{\"type\": \"Completed\", \"status\": "
                    "\"True\"}]}}";
    return patient_run(r->d, &run_patience, &order, limit_ms, &answer, err) &&
           values_read(answer.out, "gcloud", ret, err);
}

static bool
follow(Run *r, int64_t end_ms, bool *ret_known, Error *err)
{
    int64_t pause = FIRST_LOOK_MS;
    for (int looks = 1;; looks++) {
        AUTO_JSON *execution = NULL;
        Str why = STR_ABSENT;
        int64_t left = end_ms - clock_ms();
        if (!describe(r, left > PATIENCE_MS ? left : PATIENCE_MS, &execution, err))
            return false;
        Str completed = outcome(execution, &why);
        if (completed.n)
            return judge(r, completed, why, ret_known, err);
        if (clock_ms() >= end_ms) {
            err->cls = ERROR_CLASS_TIMEOUT;
            return error_set(err, ERROR_FAILED, "the migration did not end within %s",
                             str_from_duration_ms(r->d->arena, r->job->limit_ms));
        }
        if (looks % LOG_EVERY == 0 && !read_log(r, err))
            return false;
        if (!wait_sleep(r->d->orders.wait, pause, err))
            return false;
        pause = pause + FIRST_LOOK_MS / 2 < LAST_LOOK_MS ? pause + FIRST_LOOK_MS / 2 : LAST_LOOK_MS;
    }
}

/* Until it has ended: its sessions in the database end with it. */
static bool
cancel(Run *r, Error *err)
{
    Deploy *d = r->d;
    int64_t end = clock_ms() + CANCEL_MS;
    Answer answer;
    Order order = run_order(d, "jobs", "executions", "cancel", r->execution, NULL);
    order.may_fail = true; /* it may have ended by itself */
    if (!run_do(d, &order, &answer, err))
        return false;
    for (;;) {
        AUTO_JSON *execution = NULL;
        Str why = STR_ABSENT;
        if (!describe(r, CANCEL_MS, &execution, err))
            return false;
        if (outcome(execution, &why).n)
            return true;
        if (clock_ms() >= end)
            return error_set(err, ERROR_FAILED, "the execution '%s' does not end", r->execution);
        if (!wait_sleep(d->orders.wait, FIRST_LOOK_MS, err))
            return false;
    }
}

static void
stop(Run *r)
{
    Error why = ERROR_INIT;
    wait_cleanup_begin(r->d->orders.wait);
    if (r->execution && !cancel(r, &why))
        log_warn("deploy.job", "the migration '%s' may still run: %s", r->execution, why.message);
    wait_cleanup_end(r->d->orders.wait);
}

/* ---- all of it ---- */

static bool
start(Run *r, Error *err)
{
    Deploy *d = r->d;
    const CloudRun *k = d->state;
    AUTO_JSON *service = NULL, *execution = NULL;
    if (!values_read(k->service, "gcloud", &service, err))
        return false;
    Job hidden = variables_hidden(d->arena, r->job);
    AUTO_JSON *spec = run_job_spec(d, r->job, service);
    AUTO_JSON *shown = run_job_spec(d, &hidden, service);
    Order make = run_order(d, "jobs", "replace", "-", NULL);
    make.input = values_print(d->arena, spec);
    make.shown = values_print(d->arena, shown);
    if (!run_do(d, &make, NULL, err))
        return error_wrap(err, "the job '%s' was not made", k->job);
    Order order = run_order(d, "jobs", "execute", k->job, "--async", NULL);
    order.pretend = "{\"metadata\": {\"name\": \"EXECUTION\"}}";
    if (!run_read(d, &order, &execution, err))
        return error_wrap(err, "the job '%s' was not started", k->job);
    r->execution = str_dup(d->arena, value_text(execution, "metadata.name"));
    if (!r->execution)
        return error_set(err, ERROR_FAILED,
                         "gcloud did not say how the execution of '%s' is called", k->job);
    log_info("deploy.job", "the migration runs as execution '%s'", r->execution);
    return true;
}

/* Values that were handed over stand in the job: it goes. Without them it stays, with its history.
 */
static void
drop_values(const Run *r)
{
    const CloudRun *k = r->d->state;
    Order order = run_order(r->d, "jobs", "delete", k->job, NULL);
    if (variables_are_handed(r->job))
        patient_try(r->d, &run_patience, &order);
}

bool
run_run_once(Deploy *d, const Job *job, JobReport *ret, Error *err)
{
    CloudRun *k = d->state;
    int64_t end = clock_ms() + job->limit_ms + SPARE_MS;
    for (int attempt = 1;; attempt++) {
        JobReport report = {0};
        bool known = false;
        Run run = {.d = d, .job = job, .report = &report, .execution = k->adopted};
        k->adopted = NULL;
        bool done = (run.execution || start(&run, err)) && follow(&run, end, &known, err);
        if (!done)
            stop(&run);
        drop_values(&run);
        if (!done)
            return false;
        if (known) {
            *ret = report;
            return true;
        }
        if (!job_ask_again(&report, attempt, err))
            return false;
    }
}

/* ---- what a killed deploy left ---- */

bool
run_settle_jobs(Deploy *d, Error *err)
{
    CloudRun *k = d->state;
    AUTO_JSON *list = NULL;
    Answer answer;
    Order order = run_order(d, "jobs", "executions", "list", "--job", k->job, NULL);
    order.pretend = "[]";
    order.may_fail = true;
    if (!run_do(d, &order, &answer, err))
        return false;
    if (run_is_absent(&answer)) /* there was no migration yet */
        return true;
    if (answer.status != 0)
        return patient_failed(&run_patience, &order, &answer, err);
    if (!values_read(answer.out, "gcloud", &list, err))
        return false;
    size_t i;
    const json_t *one;
    json_array_foreach(list, i, one)
    {
        Str why = STR_ABSENT;
        const json_t *containers = value_at(one, "spec.template.spec.containers");
        Str image = value_text(json_array_get(containers, 0), "image");
        char *name = str_dup(d->arena, value_text(one, "metadata.name"));
        Run left = {.d = d, .execution = name};
        if (outcome(one, &why).n)
            continue;
        if (!k->adopted && str_eq(image, str_of(d->image))) {
            k->adopted = name;
            log_info("deploy.left",
                     "going on with the migration of a deploy that did not end: "
                     "execution '%s'",
                     name);
            continue;
        }
        log_warn("deploy.left", "a deploy that did not end left the execution '%s': cancelled",
                 name);
        if (!cancel(&left, err))
            return false;
    }
    return true;
}
