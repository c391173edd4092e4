/* SPDX-License-Identifier: Apache-2.0 */
/* One image onto Dokku, to an end that is known. */

#include "deploy/dokku.h"

#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/banned.h"

enum { PULL_AND_CHECK_MS = 1800000, TRIES = 5, TAIL = 900, SAID = 4096 };

/* What Dokku printed, read as it comes: it prints a task's output when the task has ended. */
typedef struct Listener {
    Deploy *d;
    JobReport *report;
    bool in_task;     /* between the marks around its output */
    bool task_failed; /* release or predeploy */
    bool late_failed; /* postdeploy */
    bool same;        /* it has this image's commit already */
    bool locked;      /* another deploy of the app is under way */
    StrBuf tail;      /* the last lines, for an error's detail */
} Listener;

static bool
holds(Str line, const char *words)
{
    return str_find_str(line, str_of(words)) < line.n;
}

/* Lines of a build begin with a cursor movement (ESC [ 1 G, or K). */
static Str
without_escapes(Str line)
{
    while (line.n > 2 && line.p[0] == '\033' && line.p[1] == '[') {
        size_t i = 2;
        while (i < line.n && strchr("0123456789;", line.p[i]))
            i++;
        line = str_sub(line, i + 1, line.n);
    }
    return line;
}

static void
read_mark(Listener *l, Str line)
{
    if (holds(line, "Execution of release task failed") ||
        holds(line, "Execution of predeploy task failed"))
        l->task_failed = true;
    else if (holds(line, "Execution of postdeploy task failed"))
        l->late_failed = true;
    else if (holds(line, "No changes detected"))
        l->same = true;
    else if (holds(line, "currently has a deploy lock in place"))
        l->locked = true;
}

static void
keep(Listener *l, Str line)
{
    if (l->tail.n + line.n + 2 > SAID) {
        /* The end holds the reason. */
        Str end = str_copy(l->d->arena, str_sub(strbuf_str(&l->tail), l->tail.n / 2, l->tail.n));
        l->tail = strbuf_new(l->d->arena, (size_t)SAID * 2);
        strbuf_add(&l->tail, end);
    }
    strbuf_add(&l->tail, str_sub(line, 0, SAID / 2));
    strbuf_addc(&l->tail, '\n');
}

static void
on_line(void *ctx, int stream, Str line)
{
    Listener *l = ctx;
    Arena *arena = l->d->arena;
    (void)stream;
    line = without_escapes(line);
    Str text = str_trim(line);
    if (!text.n)
        return;
    bool mark = str_starts(text, STR("=====>"));
    if (mark && holds(text, " task (") && str_ends(text, STR(" output"))) {
        /* Whose migration it is: of postdeploy and the like nothing is asked. */
        l->in_task = holds(text, "Start of ") &&
                     (holds(text, " release task (") || holds(text, " predeploy task ("));
        log_info("deploy.output", "dokku: " STR_FMT, STR_ARG(text));
        return;
    }
    if (l->in_task) {
        job_line(arena, l->report, text);
        return;
    }
    read_mark(l, text);
    keep(l, text);
    log_info("deploy.output", "dokku: " STR_FMT, STR_ARG(str_trim(line)));
}

/* One command to its end, or the end of the connection. */
static bool
run(Deploy *d, Order *order, Listener *l, int64_t limit_ms, Answer *ret, bool *ret_lost, Error *err)
{
    *l = (Listener){.d = d, .report = l->report, .tail = strbuf_new(d->arena, (size_t)SAID * 2)};
    *l->report = (JobReport){0};
    order->line = on_line;
    order->line_ctx = l;
    order->limit_ms = limit_ms > 1 ? limit_ms : 1;
    order->line_of_both = true;
    return remote_run(d, order, ret, ret_lost, err);
}

static DokkuEnd
failed(const Listener *l, const Answer *answer, DokkuEnd end, Error *err)
{
    Str tail = str_trim(strbuf_str(&l->tail));
    if (end == DOKKU_TASK_FAILED) {
        l->report->status = 1; /* Dokku does not tell which */
        (void)!job_failed(l->report, "the migration in the release phase", err);
    } else if (end == DOKKU_LATE_FAILED) {
        error_set(err, ERROR_FAILED, "the postdeploy task failed");
    } else {
        error_set(err, ERROR_FAILED, "Dokku did not deploy it (status %d)", answer->status);
    }
    if (tail.n > TAIL) {
        tail = str_sub(tail, tail.n - TAIL, tail.n);
        tail = str_sub(tail, str_find(tail, '\n') + 1, tail.n);
    }
    if (end != DOKKU_TASK_FAILED && tail.n)
        error_detail(err, STR_FMT, STR_ARG(tail));
    return end;
}

/* Nobody heard the end of it: when no deploy is under way any more, the containers tell. */
static bool
ask_again(Deploy *d, const char *image, bool exact, int64_t left_ms, bool *ret_done, Error *err)
{
    Serving now;
    if (!dokku_wait_unlocked(d, left_ms, err)) {
        if (err->code == ERROR_LOCKED)
            err->code = ERROR_FAILED; /* it may be our own that goes on */
        return false;
    }
    if (!dokku_serving(d, &now, err))
        return false;
    *ret_done = exact && now.any && now.uniform && strcmp(now.image, image) == 0;
    return true;
}

DokkuEnd
dokku_deploy(Deploy *d, const char *image, bool exact, JobReport *report, Error *err)
{
    int64_t end = clock_ms() + d->options->migrate_ms + PULL_AND_CHECK_MS;
    const char *app = d->options->app;
    bool rebuild = false;
    for (int attempt = 1;; attempt++) {
        Listener l = {.report = report};
        Answer answer;
        bool lost, done = false;
        Order order = rebuild ? dokku_order(d, "ps:rebuild", app, NULL)
                              : dokku_order(d, "git:from-image", app, image, NULL);
        if (!run(d, &order, &l, end - clock_ms(), &answer, &lost, err))
            return DOKKU_FAILED;
        if (answer.status == 0)
            return DOKKU_DONE;
        if (attempt == TRIES)
            return failed(&l, &answer, DOKKU_FAILED, err);
        if (lost) {
            log_warn("deploy.connection", "lost the connection to Dokku, which goes on by itself");
            if (!ask_again(d, image, exact, end - clock_ms(), &done, err))
                return DOKKU_FAILED;
            if (done)
                return DOKKU_DONE;
        } else if (l.locked) {
            if (!dokku_wait_unlocked(d, d->options->lock_wait_ms, err))
                return DOKKU_FAILED;
        } else if (l.same && !rebuild) {
            if (!ask_again(d, image, exact, d->options->lock_wait_ms, &done, err))
                return DOKKU_FAILED;
            if (done) {
                log_info("deploy.same", "'%s' serves %s already", app, image);
                return DOKKU_DONE;
            }
            log_info("deploy.again", "Dokku has %s but does not serve it: building it again",
                     image);
            rebuild = true;
        } else {
            return failed(&l, &answer,
                          l.task_failed   ? DOKKU_TASK_FAILED
                          : l.late_failed ? DOKKU_LATE_FAILED
                                          : DOKKU_FAILED,
                          err);
        }
    }
}
