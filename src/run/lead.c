/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One leadership. Two connections where there is a server: `control` holds the lock, gives signs of
 * life and writes the run's record; `apply` runs the migrations, so that nothing a migration does
 * to its session touches the lock. SQLite has one, and the lock is a file.
 */

#include "run/lead_internal.h"

#include <string.h>

#include "core/clock.h"
#include "core/fault.h"
#include "core/log.h"
#include "core/secret.h"
#include "migrate/apply.h"
#include "run/gate.h"
#include "run/wrapped.h"
#include "core/banned.h"

enum { LEFTOVERS_MS = 15000, FOREIGN_POLL_MS = 200, FINISH_MS = 15000 };

/* ---- telling ---- */

static const char *
title(const Migration *m)
{
    return m->name && m->name[0] ? m->name : "";
}

static void
on_started(void *ctx, const Migration *m, size_t index, size_t total)
{
    Lead *l = ctx;
    SCRATCH_ARENA(scratch);
    char *text = str_printf(scratch, "%zu/%zu %s %s", index + 1, total,
                            m->version ? m->version : "R", title(m));
    size_t n = strlen(text) < sizeof l->progress - 1 ? strlen(text) : sizeof l->progress - 1;
    memcpy(l->progress, text, n);
    l->progress[n] = 0;
    if (l->options->progress)
        l->options->progress(l->options->progress_ctx, (int64_t)index, (int64_t)total, l->progress);
    log_debug("migration.begins", "%s: %s %s", l->options->rollback ? "rolling back" : "applying",
              m->version ? m->version : "repeatable", title(m));
}

static void
on_applied(void *ctx, const Migration *m, int64_t duration_ms)
{
    Lead *l = ctx;
    SCRATCH_ARENA(scratch);
    LogField fields[] = {LOG_STR("run_id", str_of(l->record.run_id)),
                         LOG_STR("version", str_of(m->version)),
                         LOG_STR("name", str_of(title(m))),
                         LOG_INT("duration_ms", duration_ms),
                         {0}};
    const char *what = l->options->rollback ? "Migration rolled back" : "Migration applied";
    l->applied++;
    l->last_version = m->version;
    log_event(LOG_INFO, l->options->rollback ? "migration.reverted" : "migration.applied", fields,
              "%s: %s%s%s (%s)", what, m->version ? m->version : "", m->version ? " " : "",
              title(m), str_from_duration_ms(scratch, duration_ms));
    if (l->options->progress)
        l->options->progress(l->options->progress_ctx, l->applied, (int64_t)l->count, l->progress);
}

static void
on_resumed(void *ctx, const Migration *m, size_t statement, size_t of)
{
    (void)ctx;
    log_info("migration.resumed", "resuming %s %s at statement %zu of %zu",
             m->version ? m->version : "", title(m), statement, of);
}

static void
on_retrying(void *ctx, const Migration *m, const Error *err, int64_t delay_ms)
{
    Lead *l = ctx;
    SCRATCH_ARENA(scratch);
    LogField fields[] = {LOG_STR("version", str_of(m->version)),
                         LOG_INT("delay_ms", delay_ms),
                         LOG_STR("blockers", str_of(l->guard.blockers)),
                         {0}};
    log_event(LOG_WARN, "migration.blocked", fields, "%s %s: %s; trying again in %s%s%s",
              m->version ? m->version : "", title(m), err->message,
              str_from_duration_ms(scratch, delay_ms), l->guard.blockers[0] ? "; blocked by " : "",
              l->guard.blockers);
}

static void
running(void *ctx, bool on)
{
    guard_running(&((Lead *)ctx)->guard, on);
}

static const char *
blockers(void *ctx)
{
    return ((Lead *)ctx)->guard.blockers;
}

static bool
cancelled(void *ctx)
{
    return ((Lead *)ctx)->guard.cancelled;
}

/* ---- preparing ---- */

static bool
take_foreign_locks(Lead *l, int64_t deadline_ms, Error *err)
{
    for (size_t i = 0; i < l->survey->ledger.locks.n; i++) {
        const ForeignLock *lock = &l->survey->ledger.locks.p[i];
        bool told = false;
        for (bool got = false; !got;) {
            if (!lock_try_foreign(l->control, lock, &got, err))
                return false;
            if (got)
                break;
            if (clock_ms() >= deadline_ms)
                return error_set(err, ERROR_LOCKED, "%s itself is migrating and holds its own lock",
                                 lock->tool);
            if (!told)
                log_info("lock.waiting", "waiting: %s holds its own lock", lock->tool);
            told = true;
            if (!wait_sleep(l->wait, FOREIGN_POLL_MS, err))
                return false;
        }
    }
    return true;
}

/* A killed client's statement goes on in the server. Sessions that carry the run's mark are found
 * by it; those of a tool that set none were written down. */
static bool
end_sessions(Lead *l, int64_t *ret_ended, Error *err)
{
    SCRATCH_ARENA(scratch);
    DbResult left;
    int64_t ended;
    if (!lock_end_leftovers(l->lock, LEFTOVERS_MS, ret_ended, err))
        return false;
    if (!l->survey->ledger.runs_exists)
        return true;
    if (!record_sessions_left(l->control, scratch, &l->record, &left, err))
        return false;
    for (size_t i = 0; i < left.rows; i++) {
        if (!lock_end_sessions(l->lock, DB_CELL(&left, i, 0), LEFTOVERS_MS, &ended, err))
            return false;
        *ret_ended += ended;
    }
    return true;
}

static bool
end_predecessors(Lead *l, Error *err)
{
    int64_t ended = 0, lost = 0;
    if (!end_sessions(l, &ended, err))
        return error_wrap(err, "ending the sessions of a lost run");
    l->after_lost = ended > 0;
    if (ended)
        log_warn("lock.leftovers", "ended %lld session%s that a lost run had left behind",
                 (long long)ended, ended == 1 ? "" : "s");
    if (!l->survey->ledger.runs_exists)
        return true;
    if (!record_mark_lost(l->control, &l->record, &lost, err))
        return error_wrap(err, "marking lost runs");
    l->after_lost |= lost > 0;
    if (lost) {
        FAULT_POINT("run.taken-over");
        log_warn("run.lost", "an earlier run was lost half-way; going on from where it stopped");
    }
    return true;
}

static bool
look_again(Lead *l, Error *err)
{
    bool fresh = l->survey->locked && !l->after_lost && !l->survey->ledger.locks.n;
    if (!fresh) {
        l->survey->facts = (DbFacts){0}; /* other tools' locks may have been waited for */
        if (!run_survey(l->arena, l->control, l->options, true, l->survey, err))
            return false;
    }
    return l->options->rollback || plan_allows(&l->survey->plan, &l->survey->source,
                                               &l->survey->ledger, &l->options->policy, err);
}

static bool
choose_rollback(Lead *l, Error *err)
{
    PlanItems items = {0};
    const Plan *plan = &l->survey->plan;
    if (!plan_rollback(l->arena, plan, l->options->steps, l->options->to, &items, err))
        return false;
    l->items = items.p;
    l->count = items.n;
    l->previous = arena_array(l->arena, const char *, items.n + 1);
    for (size_t i = 0; i < items.n; i++) {
        const PlanItem *item = &items.p[i];
        const char *below = NULL;
        if (!item->m)
            return error_set(err, ERROR_USAGE,
                             "version %s has no file here, so it cannot be undone",
                             item->row->version);
        for (size_t k = 0; k < plan->applied.n && plan->applied.p[k].m != item->m; k++)
            below = plan->applied.p[k].row->version;
        l->previous[i] = below;
    }
    return true;
}

static bool
load_items(Lead *l, Error *err)
{
    for (size_t i = 0; i < l->count; i++) {
        SourceOptions source = l->options->source;
        source.server_major = l->survey->facts.version_major;
        source.undo = l->options->rollback;
        Migration *m = l->items[i].m;
        if (!migration_load(l->arena, &l->survey->source, m, &source, err) ||
            !apply_check(l->options->rollback ? &m->down : &m->up, err))
            return false;
        if (l->options->rollback && !m->has_down) {
            error_set(err, ERROR_USAGE, "version %s cannot be undone: it has no down script",
                      m->version ? m->version : title(m));
            error_at(err, m->path, 0, 0);
            return error_hint(err,
                              "Write the script that undoes it, or a new migration that does.");
        }
        if (l->options->only_reversible && !m->reversible) {
            error_set(err, ERROR_REFUSED, "version %s does not say that it is reversible",
                      m->version ? m->version : title(m));
            error_at(err, m->path, 0, 0);
            return error_hint(err, "Where undoing it loses nothing that was written since, say so "
                                   "on a line of its own: `-- lockstep: reversible`.");
        }
    }
    return true;
}

bool
lead_may_record(const Lead *l, Error *err)
{
    const Survey *s = l->survey;
    if (!run_may_write(&s->facts, err))
        return false;
    if (s->ledger.spec.own_allowed)
        return true;
    if (s->source.format == FORMAT_PLAIN && !l->options->project) {
        error_set(err, ERROR_FAILED, "the role '%s' may not create tables in schema '%s'",
                  s->facts.user ? s->facts.user : "", s->facts.schema ? s->facts.schema : "(none)");
        return error_hint(err,
                          "Migrate with a role that may (GRANT CREATE ON SCHEMA), or give another "
                          "one by LOCKSTEP_DATABASE_URL.");
    }
    log_warn(
        "run.no-tables",
        "the role may not create tables: working without lockstep's own; no checksums, no history, "
        "no resuming within a file, and no fast start");
    return true;
}

static char *
highest_applied(const Plan *plan)
{
    for (size_t i = plan->applied.n; i > 0; i--) {
        if (plan->applied.p[i - 1].row && plan->applied.p[i - 1].row->version)
            return plan->applied.p[i - 1].row->version;
    }
    return NULL;
}

bool
lead_make_tables(Lead *l, Error *err)
{
    Ledger *ledger = &l->survey->ledger;
    /* A tool makes its table itself, and keeps its checksums there or nowhere. */
    if (!l->options->project && !ledger_create(l->arena, l->control, ledger, err))
        return error_wrap(err, "making the version table");
    FAULT_POINT("tables.made");
    if (!ledger->spec.own_allowed)
        return true;
    if (!ledger->runs_exists && !record_create(l->control, l->record.schema, err))
        return error_wrap(err, "making lockstep_runs");
    if (!record_start(l->control, &l->record, l->options, highest_applied(&l->survey->plan), err))
        return error_wrap(err, "recording the run");
    l->record.kept = true;
    FAULT_POINT("run.recorded");
    return true;
}

/* golang-migrate's table has one mark: rows of ours tell from now on which files were there when we
 * took over, so that one that comes late is seen. */
static bool
adopt(Lead *l, Error *err)
{
    const Plan *plan = &l->survey->plan;
    if (!l->survey->ledger.spec.own_allowed || l->options->rollback)
        return true;
    for (size_t i = 0; i < plan->never_run.n; i++) {
        Str sql = ledger_sql_adopted(l->arena, l->control, &l->survey->ledger,
                                     plan->never_run.p[i].m, l->record.run_id, STR("1 = 1"));
        if (!db_exec_list(l->control, sql, err))
            return error_wrap(err, "taking over the version table");
    }
    return true;
}

static bool
open_apply(Lead *l, Error *err)
{
    l->apply = l->control;
    if (db_caps(l->control) & DB_CAP_SERVER) {
        DbOptions options = {.wait = l->wait,
                             .application_name =
                                 str_printf(l->arena, "lockstep:%s", l->record.run_id)};
        DbFacts facts;
        l->apply = NULL;
        if (!db_connect(l->arena, l->options->url, &options, &l->apply, err) ||
            !lock_mark_session(l->lock, l->apply, err) ||
            !db_facts(l->apply, l->arena, &facts, err))
            return false;
        l->guard.apply_session = facts.session_id;
    }
    return db_set_timeouts(l->apply, l->options->lock_timeout_ms, l->options->statement_timeout_ms,
                           err);
}

/* ---- the run ---- */

WaitTick
lead_ticks(Lead *l)
{
    return (WaitTick){.every_ms = GUARD_EVERY_MS,
                      .call = guard_tick,
                      .ctx = &l->guard,
                      .patience_ms = l->options->lease_ms};
}

static bool
apply_items(Lead *l, Error *err)
{
    ApplySpec spec = {
        .db = l->apply,
        .wait = l->wait,
        .source = &l->survey->source,
        .ledger = &l->survey->ledger,
        .runs_schema = l->record.schema,
        .records = l->record.kept,
        .run_id = l->record.run_id,
        .lock_timeout_ms = l->options->lock_timeout_ms,
        .statement_timeout_ms = l->options->statement_timeout_ms,
        .retry_for_ms = l->options->retry_for_ms,
        .hooks = {.ctx = l,
                  .started = on_started,
                  .applied = on_applied,
                  .resumed = on_resumed,
                  .retrying = on_retrying,
                  .blockers = blockers,
                  .cancelled = cancelled,
                  .running = running},
    };
    int64_t done = 0;
    if (l->options->rollback)
        return apply_down(l->arena, &spec, l->items, l->previous, l->count, &done, err);
    return apply_up(l->arena, &spec, l->items, l->count, &done, err);
}

static const char *
outcome_of(const Error *err)
{
    if (err->code == ERROR_NONE)
        return "succeeded";
    /* A leader that is told to stop hands over: followers go on instead of failing with it. */
    return err->code == ERROR_SIGNALLED || err->cls == ERROR_CLASS_CONNECTION ? "lost" : "failed";
}

void
lead_finish(Lead *l, Error *err)
{
    Error second = ERROR_INIT;
    const char *outcome = outcome_of(err);
    wait_cleanup_begin(l->wait);
    l->wait->tick = (WaitTick){0};
    l->wait->limit_ms = clock_ms() + FINISH_MS;
    if (l->record.kept && db_alive(l->control)) {
        SCRATCH_ARENA(scratch);
        Str print = STR_ABSENT;
        bool told = !l->options->project || l->survey->tool.table_exists;
        if (err->code == ERROR_NONE && !l->options->rollback && told)
            print = record_fingerprint_sql(scratch, l->control, l->record.files,
                                           l->survey->source.format, l->options);
        char *text = NULL;
        if (err->code != ERROR_NONE)
            text = err->file[0] ? str_printf(scratch, "%s:%zu:%zu: %s", err->file, err->line,
                                             err->column, err->message)
                                : str_printf(scratch, "%s", err->message);
        /* What the server said may quote a password that the migration holds. */
        if (text)
            text = str_dup(scratch, secret_redact(scratch, str_of(text)));
        if (!record_end(l->control, scratch, &l->record, outcome, l->applied, l->last_version,
                        clock_ms() - l->began_ms, text, print, &second)) {
            if (err->code == ERROR_NONE)
                *err = second;
            else
                error_detail(err, "recording the outcome failed too: %s", second.message);
        }
    }
    l->wait->limit_ms = 0;
    FAULT_POINT("run.ended");
    if (l->apply != l->control)
        db_close(l->apply);
    wait_cleanup_end(l->wait);
}

/* Nothing is left to do: the fingerprint is recorded for the next start. When every earlier run was
 * lost there is no success to record it with, so this look becomes one. */
bool
lead_remember(Lead *l, Error *err)
{
    const Survey *s = l->survey;
    if (!s->ledger.runs_exists || s->facts.read_only || s->facts.standby ||
        (l->options->project && !s->tool.table_exists) ||
        gate_remember(l->arena, l->control, l->options, &s->source, l->record.schema))
        return true;
    l->record.files = record_files_print(l->arena, &s->source, l->options);
    const char *version = highest_applied(&s->plan);
    return record_start(l->control, &l->record, l->options, version, err) &&
           record_end(l->control, l->arena, &l->record, "succeeded", 0, version, 0, NULL,
                      record_fingerprint_sql(l->arena, l->control, l->record.files,
                                             s->source.format, l->options),
                      err);
}

static bool
lead_locked(Lead *l, RunReport *ret, Error *err)
{
    const Plan *plan = &l->survey->plan;
    if (!end_predecessors(l, err) || !look_again(l, err))
        return false;
    if (l->options->project)
        return wrapped_lead(l, ret, err);
    if (l->options->rollback) {
        if (!choose_rollback(l, err))
            return false;
    } else {
        l->items = plan->pending.p;
        l->count = plan->pending.n;
    }
    if (!l->count) {
        ret->outcome = RUN_NOTHING;
        return l->options->rollback || plan->missing.n || plan->never_run.n ||
               lead_remember(l, err);
    }
    l->record.files = record_files_print(l->arena, &l->survey->source, l->options);
    if (!lead_may_record(l, err) || !load_items(l, err))
        return false;
    /* A backup may take longer than the lease: the lock gives signs of life meanwhile. */
    l->wait->tick = lead_ticks(l);
    bool ready = !l->options->before || l->options->before(l->options->before_ctx, err);
    l->wait->tick = (WaitTick){0};
    if (!ready)
        return false;

    LogField fields[] = {LOG_STR("run_id", str_of(l->record.run_id)),
                         LOG_INT("pending", (int64_t)l->count),
                         LOG_STR("database", str_of(l->options->url->display)),
                         {0}};
    log_event(LOG_INFO, "migration.started", fields, "Migration started: %zu to %s on %s (run %s)",
              l->count, l->options->rollback ? "roll back" : "apply", l->options->url->display,
              l->record.run_id);
    bool ok = lead_make_tables(l, err) && adopt(l, err) && open_apply(l, err);
    /* Only while the other connection waits: the tick uses this one. */
    l->wait->tick = lead_ticks(l);
    ok = ok && apply_items(l, err);
    l->wait->tick = (WaitTick){0};
    if (!ok && err->code == ERROR_NONE)
        error_set(err, ERROR_FAILED, "the migration stopped without a reason");
    lead_finish(l, err);
    if (err->code != ERROR_NONE)
        return false;
    ret->outcome = RUN_APPLIED;
    ret->applied = l->applied;
    ret->duration_ms = clock_ms() - l->began_ms;
    return true;
}

bool
lead_run(Arena *arena,
         Wait *wait,
         const RunOptions *options,
         Db *control,
         Lock *lock,
         const char *run_id,
         Survey *survey,
         RunReport *ret,
         Error *err)
{
    Lead l = {
        .arena = arena,
        .wait = wait,
        .options = options,
        .control = control,
        .lock = lock,
        .survey = survey,
        .record = {.run_id = run_id, .files = "", .schema = survey->ledger.spec.schema},
        .began_ms = clock_ms(),
    };
    l.guard = (Guard){.control = control,
                      .lock = lock,
                      .record = &l.record,
                      .beat_every_ms = options->lease_ms / 5,
                      .next_beat_ms = l.began_ms + options->lease_ms / 5,
                      .max_block_ms = options->max_block_ms,
                      .progress = l.progress};
    FAULT_POINT("lock.taken");
    bool ok = take_foreign_locks(&l, clock_ms() + options->lock_wait_ms, err) &&
              lead_locked(&l, ret, err);
    wait->tick = (WaitTick){0};
    wait_cleanup_begin(wait);
    for (size_t i = 0; i < survey->ledger.locks.n && db_alive(control); i++)
        lock_release_foreign(control, &survey->ledger.locks.p[i]);
    FAULT_POINT("handover");
    lock_release(lock, ok ? "succeeded" : outcome_of(err), ok ? NULL : err->message);
    wait_cleanup_end(wait);
    return ok;
}
