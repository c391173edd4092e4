/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of one run, top down. A lost connection starts the whole sequence over: whoever lost its
 * connection may have lost the lock too, and looks at everything again.
 */

#include "run/run.h"

#include <string.h>
#include <sys/random.h>

#include "core/clock.h"
#include "core/log.h"
#include "run/connect.h"
#include "run/follow.h"
#include "run/gate.h"
#include "run/lead.h"
#include "core/banned.h"

char *
run_new_id(Arena *arena)
{
    uint32_t random = 0;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        random = (uint32_t)clock_ms();
    return str_printf(arena, "%s-%08x", clock_stamp(arena), random);
}

/* A leader says in lockstep_runs whose files it migrates; until then it is given this long. */
enum { DECLARES_MS = 250, DECLARES_POLL_MS = 40 };

typedef struct Attempt {
    Arena *arena;
    Wait *wait;
    const RunOptions *options;
    RunOptions looked; /* the same, with `source` */
    Db *db;
    Source source;
    Survey survey;
    bool connected, followed; /* a replica, to its end */
    int rounds;
    int64_t lock_deadline_ms;
    const char *run_id;
    LockMode mode;
    Lock *held; /* won before anything was looked at */
} Attempt;

static bool
nothing(const Attempt *a, RunReport *ret)
{
    ret->outcome = a->followed ? RUN_FOLLOWED : RUN_NOTHING;
    if (a->options->rollback)
        log_info("migration.skipped",
                 "Migration skipped: nothing is applied that could be rolled back");
    else if (a->followed)
        log_info("migration.finished",
                 "Migration finished: another process applied what was pending");
    else if (a->options->project)
        log_info("migration.skipped", "Migration skipped: nothing is pending (%s)",
                 a->options->project->tool->title);
    else
        log_info("migration.skipped", "Migration skipped: nothing is pending (%zu files in %s)",
                 a->source.files, a->source.dir);
    return true;
}

static bool
finished(const RunOptions *options, const RunReport *report)
{
    SCRATCH_ARENA(scratch);
    LogField fields[] = {LOG_STR("run_id", str_of(report->run_id)),
                         LOG_INT("applied", report->applied),
                         LOG_INT("duration_ms", report->duration_ms),
                         {0}};
    log_event(LOG_INFO, "migration.finished", fields, "Migration finished: %lld %s in %s",
              (long long)report->applied, options->rollback ? "rolled back" : "applied",
              str_from_duration_ms(scratch, report->duration_ms));
    return true;
}

/* What does not forbid anything, and a person should know. */
static bool
warn_of_gaps(const Plan *plan)
{
    for (size_t i = 0; i < plan->missing.n; i++)
        log_warn("migration.missing", "version %s is applied, and its file is not here",
                 plan->missing.p[i].row->version);
    for (size_t i = 0; i < plan->never_run.n; i++)
        log_warn("migration.never-run",
                 "%s is below the current version and may never have run: the version table does "
                 "not tell",
                 plan->never_run.p[i].m->path);
    return plan->missing.n + plan->never_run.n > 0;
}

static Lock *
new_lock(Attempt *a, LockMode mode, Str schema)
{
    a->mode = mode;
    a->run_id = run_new_id(a->arena);
    LockSpec spec = {.mode = mode,
                     .schema = schema,
                     .run_id = a->run_id,
                     .lease_ms = a->options->lease_ms,
                     .host = a->options->host};
    return lock_new(a->arena, a->db, &spec);
}

static Lock *
make_lock(Attempt *a, Str schema, Error *err)
{
    const char *why = "by --lock";
    LockMode mode = a->options->lock;
    if (mode == LOCK_AUTO)
        mode = lock_choose(a->db, &a->survey.facts, &why);
    else if (mode == LOCK_SESSION && !(db_caps(a->db) & DB_CAP_SESSION_LOCK)) {
        error_set(err, ERROR_USAGE, "--lock session needs a server, and %s has none",
                  a->options->url->display);
        return NULL;
    } else if (mode == LOCK_FILE && (db_caps(a->db) & DB_CAP_SERVER)) {
        error_set(err, ERROR_USAGE, "--lock file is for SQLite, and %s is a server",
                  a->options->url->display);
        return NULL;
    }
    log_debug("lock.chosen", "lock: %s (%s)", lock_mode_name(mode), why);
    return new_lock(a, mode, schema);
}

/* SQLite: somebody writes. Not an answer about what is pending: the lock decides. */
static bool
survey_is_busy(const Error *err)
{
    return err->cls == ERROR_CLASS_LOCK_TIMEOUT;
}

/* What one may go on without: an answer that was refused, not one that was lost with the server. */
static bool
bearable(Attempt *a, Error *err)
{
    if (!db_alive(a->db) || err->code == ERROR_SIGNALLED)
        return false;
    error_clear(err);
    return true;
}

/* The latest run; none where lockstep_runs is not there, or not for us. */
static bool
latest_run(Attempt *a, RunLatest *ret, Error *err)
{
    int64_t elapsed = clock_ms() - a->options->started_ms;
    return record_latest(a->db, a->arena, str_of(a->options->schema), elapsed, ret, err) ||
           bearable(a, err);
}

static bool
head_run(Attempt *a, RunLatest *ret, Error *err)
{
    return record_head(a->db, a->arena, str_of(a->options->schema), ret, err) || bearable(a, err);
}

/* A replica migrates these very files: what comes of it is ours too. */
static bool
follow_replica(
    Attempt *a, Lock *lock, const char *run_id, bool *ret_done, bool *ret_again, Error *err)
{
    const RunOptions *o = a->options;
    RunLatest end;
    if (follow_leader(o, a->db, lock, str_of(o->schema), a->lock_deadline_ms, err) != FOLLOW_FREE ||
        !head_run(a, &end, err))
        return false;
    a->followed = true;
    end.recent = end.found && strcmp(end.run_id, run_id) == 0; /* it was seen at work */
    *ret_done = follow_shares_success(&end, a->arena, o, &a->source);
    if (*ret_done)
        return true;
    if (!latest_run(a, &end, err) || follow_shares_failure(&end, a->arena, o, &a->source, err))
        return false;
    *ret_done = follow_shares_success(&end, a->arena, o, &a->source);
    *ret_again = !*ret_done;
    return true;
}

/* Somebody else leads. *ret_done: a replica that had our files did it; *ret_again: the lock came
 * free meanwhile; neither: other files, or no word whose, and we look for ourselves. */
static bool
hear_leader(Attempt *a, Lock *lock, bool *ret_done, bool *ret_again, Error *err)
{
    Str files = str_of(record_files_print(a->arena, &a->source, a->options));
    bool session = a->mode == LOCK_SESSION;
    for (int64_t until = clock_ms() + DECLARES_MS;;) {
        RunLatest head;
        int64_t pause = clock_backoff_ms(0, DECLARES_POLL_MS, DECLARES_POLL_MS);
        /* The leader has something to do just now, and we have not. What ends after we listen is
         * heard; what ended before shows in the record. */
        if ((session && (!wait_sleep(a->wait, pause, err) || !lock_listen(lock, err))) ||
            !head_run(a, &head, err))
            return false;
        bool runs = head.found && strcmp(head.outcome, "running") == 0;
        if (runs && str_starts(str_of(head.fingerprint), files))
            return follow_replica(a, lock, head.run_id, ret_done, ret_again, err);
        if (runs || !session || clock_ms() >= until)
            return true;
        if (!lock_is_free(lock, ret_again, err))
            return false;
        a->followed = *ret_again;
        if (*ret_again)
            return true;
    }
}

/* Who leads is settled before anybody looks closely: fifty that survey at once would take from the
 * leader what it needs. A session's lock is taken for that, as it leaves nothing behind. That it is
 * held is asked before anything else: nineteen of twenty need to know no more. */
static bool
elect(Attempt *a, bool *ret_done, bool *ret_again, Error *err)
{
    const RunOptions *o = a->options;
    bool won = false, free = true;
    Str schema = str_of(o->schema);
    Lock *lock = NULL;
    if (!(db_caps(a->db) & DB_CAP_SERVER) || o->lock == LOCK_NONE)
        return true;
    bool session = o->lock == LOCK_AUTO || o->lock == LOCK_SESSION;
    if (session && (db_caps(a->db) & DB_CAP_SESSION_LOCK)) {
        lock = new_lock(a, LOCK_SESSION, schema);
        if (!lock_is_free(lock, &free, err) && !bearable(a, err))
            return false;
    }
    if (!free)
        return hear_leader(a, lock, ret_done, ret_again, err);
    if (!db_facts(a->db, a->arena, &a->survey.facts, err))
        return error_wrap(err, "asking the server");
    /* Nobody leads through those, and a standby neither notifies nor listens. */
    if (a->survey.facts.standby || a->survey.facts.read_only)
        return true;
    lock = make_lock(a, schema.p ? schema : str_of(a->survey.facts.schema), err);
    if (!lock || (a->mode == LOCK_SESSION && !lock_try(lock, &won, err)))
        return false;
    if (!won)
        return hear_leader(a, lock, ret_done, ret_again, err);
    a->held = lock;
    return true;
}

/* What the look says, before the lock. *ret_pending: something is to be applied; *ret_settled:
 * nothing at all is left to do. */
static bool
judge(Attempt *a, bool *ret_pending, bool *ret_settled, Error *err)
{
    const RunOptions *o = a->options;
    const Survey *s = &a->survey;
    Str runs_schema = s->ledger.spec.schema;
    RunLatest latest = {0};
    if (s->ledger.runs_exists &&
        !record_latest(a->db, a->arena, runs_schema, clock_ms() - o->started_ms, &latest, err))
        return false;
    /* What looks half done may be what a leader is at: that is judged under the lock. */
    bool half_done = s->plan.failed != NULL;
    if (follow_shares_failure(&latest, a->arena, o, &s->source, err) ||
        (!half_done && !plan_allows(&s->plan, &s->source, &s->ledger, &o->policy, err)))
        return false;
    bool gaps = warn_of_gaps(&s->plan), fixed = s->facts.read_only || s->facts.standby;
    /* Nothing to apply, but a run that says `running`: its leader may be lost, and whoever gets the
     * lock says so. */
    bool running = latest.found && strcmp(latest.outcome, "running") == 0;
    /* A service may start with a role that may only look: then what it sees has to do. */
    bool asks = s->asks && gate_may_record(a->db, runs_schema);
    *ret_pending = s->plan.pending.n > 0 || s->unknown || asks;
    *ret_settled = !*ret_pending && !(half_done || running);
    /* An older image forgets nothing for the newer one, whose tool would be started once more. */
    bool older = o->project && s->plan.ahead.n > 0;
    if (*ret_settled && !gaps && s->ledger.runs_exists && !fixed && !older) {
        /* No run succeeded that could keep it: whoever took over from the lost one was lost, too,
         * and a leader makes its look one. */
        bool kept = gate_remember(a->arena, a->db, o, &s->source, runs_schema);
        bool lost = latest.found && strcmp(latest.outcome, "lost") == 0;
        *ret_settled = kept || !lost || !gate_may_record(a->db, runs_schema);
    }
    *ret_settled |= !*ret_pending && fixed && !half_done;
    return true;
}

/* Whether nothing is to be done, by one query; or a replica did it meanwhile. */
static bool
pass_gate(Attempt *a, bool *ret_closed, bool *ret_again, Error *err)
{
    const RunOptions *o = a->options;
    *ret_closed = *ret_again = false;
    if (o->rollback || o->expect_engine || o->expect_version || !a->source.stat_digest)
        return true;
    if (!gate_is_closed(a->arena, a->db, o, &a->source, ret_closed, err))
        return false;
    return *ret_closed || a->rounds > 1 || elect(a, ret_closed, ret_again, err);
}

/* With the lock, or trying for it. *ret_again: look again. */
static bool
lead_or_follow(Attempt *a, bool pending, bool *ret_again, RunReport *ret, Error *err)
{
    const RunOptions *o = a->options;
    Str schema = a->survey.ledger.spec.schema;
    bool got = a->held != NULL;
    Lock *lock = got ? a->held : make_lock(a, schema, err);
    if (!lock || (!got && !lock_try(lock, &got, err)))
        return false;
    a->held = NULL; /* lead_run releases it */
    if (got) {
        memcpy(ret->run_id, a->run_id, strlen(a->run_id) + 1);
        if (!lead_run(a->arena, a->wait, o, a->db, lock, a->run_id, &a->survey, ret, err))
            return false;
        return ret->outcome == RUN_NOTHING ? nothing(a, ret) : finished(o, ret);
    }
    if (!pending)
        return nothing(a, ret); /* somebody migrates, and it is not about our files */
    a->followed = *ret_again =
        follow_leader(o, a->db, lock, schema, a->lock_deadline_ms, err) == FOLLOW_FREE;
    return *ret_again;
}

/* One round of the loop: gate, look, lead or follow. *ret_again: look again. */
static bool
round_once(Attempt *a, bool *ret_again, RunReport *ret, Error *err)
{
    const RunOptions *o = a->options;
    bool closed, settled = false, pending = true;
    a->survey = (Survey){0}; /* we may have waited: the server may have been changed */
    a->rounds++;
    if (!pass_gate(a, &closed, ret_again, err))
        return false;
    if (closed || *ret_again)
        return *ret_again || nothing(a, ret);
    bool surveyed = run_survey(a->arena, a->db, o, true, &a->survey, err);
    if (!surveyed && !survey_is_busy(err))
        return false;
    error_clear(err);
    a->survey.locked = surveyed && a->held;
    if (surveyed && !o->rollback && !judge(a, &pending, &settled, err))
        return false;
    if (settled)
        return nothing(a, ret);
    if (surveyed && !run_may_write(&a->survey.facts, err))
        return false;
    return lead_or_follow(a, pending, ret_again, ret, err);
}

/* Before the first connection: an SQLite file is not made for migrations that are refused. */
static bool
may_begin(Attempt *a, Error *err)
{
    const DbUrl *url = a->options->url;
    Source source;
    return a->options->project || url->engine != DB_SQLITE || fs_kind(url->database) != FS_ABSENT ||
           source_scan(a->arena, &a->options->source, &source, err);
}

/* From connecting to the end, or to a lost connection. */
static bool
attempt(Attempt *a, RunReport *ret, Error *err)
{
    DbOptions how = {.wait = a->wait, .application_name = "lockstep"};
    bool again = true, ok = false;
    if (!may_begin(a, err))
        return false;
    if (!db_connect_start(a->arena, a->options->url, &how, &a->db, err) &&
        err->cls != ERROR_CLASS_CONNECTION && err->cls != ERROR_CLASS_NO_DATABASE)
        return false;
    error_clear(err);
    /* Directory or project are looked at while the server makes its session. */
    if (!run_look(a->arena, a->options, &a->source, err)) {
        db_close(a->db);
        a->db = NULL;
        return false;
    }
    a->looked = *a->options;
    a->looked.looked = &a->source;
    a->options = &a->looked;
    if (!run_connect_finish(a->arena, a->wait, a->options, &how, true, &a->db, err))
        return false;
    a->connected = true;
    while (again) {
        ok = round_once(a, &again, ret, err);
        if (a->held)
            lock_release(a->held, NULL, NULL);
        a->held = NULL;
    }
    db_close(a->db);
    a->db = NULL;
    return ok;
}

bool
run_migrations(Arena *arena, Wait *wait, const RunOptions *options, RunReport *ret, Error *err)
{
    int64_t began = clock_ms(), retry_until = began + options->retry_for_ms;
    for (int tries = 0;; tries++) {
        Attempt a = {.arena = arena,
                     .wait = wait,
                     .options = options,
                     .lock_deadline_ms = began + options->lock_wait_ms};
        *ret = (RunReport){.outcome = RUN_NOTHING};
        if (attempt(&a, ret, err))
            return true;
        /* Connecting has its own patience (--wait); this is about connections lost later. */
        bool lost = err->cls == ERROR_CLASS_CONNECTION && a.connected;
        int64_t delay = clock_backoff_ms(tries, 500, 30000);
        if (!lost || err->code == ERROR_SIGNALLED || clock_ms() + delay > retry_until)
            return false;
        log_warn("database.lost", "the connection was lost (%s); starting over", err->message);
        error_clear(err);
        if (!wait_sleep(wait, delay, err))
            return false;
    }
}
