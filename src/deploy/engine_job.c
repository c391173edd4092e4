/* SPDX-License-Identifier: Apache-2.0 */
/* A container that runs once, and whose end is known. */

#include "deploy/engine.h"

#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/secret.h"
#include "deploy/inspect.h"
#include "core/banned.h"

enum { TRIES = 3, STOP_MS = 60000, RETRY_MS = 1000 };

/* Options of `docker create` that mean the service and not what it works with. */
static const struct {
    const char *longer, *shorter;
    bool takes;
} service_only[] = {
    {"name", NULL, true},
    {"publish", "p", true},
    {"publish-all", "P", false},
    {"restart", NULL, true},
    {"detach", "d", false},
    {"rm", NULL, false},
    {"hostname", "h", true},
    {"network-alias", NULL, true},
    {"ip", NULL, true},
    {"ip6", NULL, true},
    {"mac-address", NULL, true},
    {"expose", NULL, true},
    {"health-cmd", NULL, true},
    {"health-interval", NULL, true},
    {"health-retries", NULL, true},
    {"health-timeout", NULL, true},
    {"health-start-period", NULL, true},
    {"no-healthcheck", NULL, false},
    {"entrypoint", NULL, true},
    {"interactive", "i", false},
    {"tty", "t", false},
    {"cidfile", NULL, true},
    {"pull", NULL, true},
    {"memory", "m", true},
    {"memory-swap", NULL, true},
    {"memory-reservation", NULL, true},
    {"cpus", NULL, true},
    /* A proxy would send visitors to the migration. */
    {"label", "l", true},
    {"label-file", NULL, true},
};

/* How many words from here on are such an option; 0 = none. */
static size_t
service_words(char *const *words)
{
    const char *word = words[0];
    bool is_long = strncmp(word, "--", 2) == 0;
    Str name = str_of(word + (is_long ? 2 : 1));
    size_t end = str_find(name, '=');
    for (size_t i = 0; *word == '-' && i < COUNT_OF(service_only); i++) {
        const char *shorter = service_only[i].shorter;
        if (is_long && str_eq(str_sub(name, 0, end), str_of(service_only[i].longer)))
            return service_only[i].takes && end == name.n && words[1] ? 2 : 1;
        if (!is_long && shorter && name.n && name.p[0] == *shorter)
            return service_only[i].takes && name.n == 1 && words[1] ? 2 : 1;
    }
    return 0;
}

Words
engine_job_options(Arena *arena, char *const *options)
{
    Words kept = {0};
    for (char *const *word = options; word && *word;) {
        size_t skip = service_words(word);
        if (skip)
            word += skip;
        else
            *vec_push(arena, &kept) = *word++;
    }
    return kept;
}

/* ---- one try ---- */

typedef struct Run {
    Deploy *d;
    const Job *job;
    const EngineJob *how;
    JobReport *report;
    char *name; /* of the container */
} Run;

static void
on_line(void *ctx, int stream, Str line)
{
    Run *r = ctx;
    (void)stream;
    job_line(r->d->arena, r->report, line);
}

static bool
create(Run *r, Error *err)
{
    Deploy *d = r->d;
    Order order = engine_order(d, "create", "--rm", "--name", r->name, "--label",
                               str_printf(d->arena, "lockstep_app=%s", d->unit), "--label",
                               str_printf(d->arena, "lockstep_deploy=%s", d->id), "--entrypoint",
                               r->job->words.p[0], NULL);
    if (!order_hand(&d->orders, &order, &r->how->env, err) ||
        !order_hand(&d->orders, &order, &r->job->env, err))
        return false;
    for (size_t i = 0; i < r->how->options.n; i++)
        order_add(d->arena, &order, r->how->options.p[i], NULL);
    order_add(d->arena, &order, d->image, NULL);
    for (size_t i = 1; i < r->job->words.n; i++)
        order_add(d->arena, &order, r->job->words.p[i], NULL);
    if (!order_run(&d->orders, &order, NULL, err))
        return false;
    for (size_t i = 0; i < r->how->networks.n; i++) {
        Order connect = engine_order(d, "network", "connect", r->how->networks.p[i], r->name, NULL);
        if (!order_run(&d->orders, &connect, NULL, err))
            return false;
    }
    if (!d->lockstep_is_ours)
        return true;
    Order copy = engine_order(d, "cp", "--follow-link", d->lockstep_here,
                              str_printf(d->arena, "%s:%s", r->name, r->job->words.p[0]), NULL);
    return order_run(&d->orders, &copy, NULL, err);
}

static void
stop(const Run *r)
{
    Error ignored = ERROR_INIT;
    Deploy *d = r->d;
    wait_cleanup_begin(d->orders.wait);
    Order order = engine_order(d, "stop", r->name, NULL);
    order.limit_ms = STOP_MS;
    order.may_fail = true;
    (void)!order_run(&d->orders, &order, NULL, &ignored);
    /* One that was created and never started is not removed by the engine. */
    Order rm = engine_order(d, "rm", "--force", r->name, NULL);
    rm.may_fail = true;
    (void)!order_run(&d->orders, &rm, NULL, &ignored);
    wait_cleanup_end(d->orders.wait);
}

/* Whether the end that an attached client saw is the container's, or the connection's. */
static bool
is_running(const Run *r, bool *ret_running, Error *err)
{
    AUTO_JSON *container = NULL;
    if (!engine_inspect(r->d, "container", r->name, &container, err))
        return false;
    *ret_running = container && value_true(container, "State.Running");
    return true;
}

/* *ret_known: the status in the report is the job's own. */
static bool
listen(Run *r, int64_t end_ms, bool *ret_known, Error *err)
{
    Deploy *d = r->d;
    const char *how = "start";
    *ret_known = false;
    for (int lost = 0;;) {
        Answer answer;
        bool running = false;
        int64_t left = end_ms - clock_ms();
        Order order =
            strcmp(how, "start") == 0
                ? engine_order(d, "start", "--attach", r->name, NULL)
                : engine_order(d, "attach", "--no-stdin", "--sig-proxy=false", r->name, NULL);
        order.may_fail = true;
        order.limit_ms = left > 1 ? left : 1;
        order.line = on_line;
        order.line_of_both = true;
        order.line_ctx = r;
        if (!order_run(&d->orders, &order, &answer, err))
            return false;
        if (d->orders.dry_run) {
            *ret_known = true;
            return true;
        }
        if (!is_running(r, &running, err)) {
            if (++lost == TRIES)
                return false;
            error_clear(err);
            running = true; /* as far as anybody knows */
        }
        if (!running) {
            /* 125 and 255 are the client's; of 1 only the log can tell. */
            bool clients = answer.status == 125 || answer.status == 255 ||
                           (answer.status == 1 && !r->report->spoke);
            r->report->status = answer.status;
            *ret_known = !clients;
            return true;
        }
        if (clock_ms() >= end_ms) {
            err->cls = ERROR_CLASS_TIMEOUT;
            return error_set(err, ERROR_FAILED, "the migration did not end within %s",
                             str_from_duration_ms(d->arena, r->job->limit_ms));
        }
        log_warn("deploy.connection", "lost the connection to the container engine: trying again");
        how = "attach";
        if (!wait_sleep(d->orders.wait, RETRY_MS, err))
            return false;
    }
}

/* A service that was never told its database: all went well, in a file that nobody else sees. */
static void
warn_of_lost_file(const EngineJob *how, const JobReport *report)
{
    static const char *const mounts[] = {"-v", "--volume", "--mount", "--volumes-from"};
    if (!report->database || !str_starts(str_of(report->database), STR("sqlite:")))
        return;
    for (size_t i = 0; i < how->options.n; i++)
        for (size_t k = 0; k < COUNT_OF(mounts); k++)
            if (str_starts(str_of(how->options.p[i]), str_of(mounts[k])))
                return;
    log_warn("deploy.database",
             "%s was a file in the migration's own container, and is gone with it: name the "
             "database in the service's configuration, or mount a volume there",
             report->database);
}

bool
engine_run_once(Deploy *d, const Job *job, const EngineJob *how, JobReport *ret, Error *err)
{
    int64_t end = clock_ms() + job->limit_ms;
    for (int attempt = 1;; attempt++) {
        JobReport report = {.again = attempt > 1};
        bool known = false;
        Run run = {.d = d, .job = job, .how = how, .report = &report};
        run.name = str_printf(d->arena, "%s.%s-%s-%d", d->unit, job->name, d->id, attempt);
        if (!create(&run, err) || !listen(&run, end, &known, err)) {
            stop(&run);
            return false;
        }
        if (known) {
            warn_of_lost_file(how, &report);
            *ret = report;
            return true;
        }
        stop(&run);
        if (!job_ask_again(&report, attempt, err))
            return false;
    }
}

/* Podman knows other states than Docker, and refuses to filter by one that it does not know. */
static bool
goes_on(Str state)
{
    static const char *const states[] = {"running", "restarting", "paused", "removing", "stopping"};
    for (size_t i = 0; i < COUNT_OF(states); i++)
        if (str_eq(state, str_of(states[i])))
            return true;
    return false;
}

bool
engine_sweep(Deploy *d, Error *err)
{
    Answer answer;
    Order order = engine_order(d, "ps", "--all", "--filter",
                               str_printf(d->arena, "label=lockstep_app=%s", d->unit), "--format",
                               "{{.ID}} {{.State}}", NULL);
    if (!order_run(&d->orders, &order, &answer, err))
        return false;
    Words lines = answer_lines(d->arena, answer.out);
    for (size_t i = 0; i < lines.n; i++) {
        Str line = str_of(lines.p[i]);
        size_t blank = str_find(line, ' ');
        if (goes_on(str_sub(line, blank + 1, line.n)))
            continue;
        Order rm =
            engine_order(d, "rm", "--force", str_dup(d->arena, str_sub(line, 0, blank)), NULL);
        rm.may_fail = true;
        if (!order_run(&d->orders, &rm, NULL, err))
            return false;
    }
    return true;
}
