/* SPDX-License-Identifier: Apache-2.0 */
/* Baseline, repair and history: small jobs over the same tables, under the same lock. */

#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/secret.h"
#include "run/follow.h"
#include "run/gate.h"
#include "run/record.h"
#include "core/banned.h"

const char *const run_columns[] = {
    "run_id",       "tool",       "fingerprint", "outcome",     "started_at", "heartbeat_at",
    "finished_at",  "host",       "pid",         "environment", "revision",   "applied",
    "from_version", "to_version", "duration_ms", "error",       NULL};

bool
run_history(Arena *arena, Db *db, const char *schema, int64_t limit, DbResult *ret, Error *err)
{
    DbResult rows = {0};
    if (!db_ask(db, arena, Q_RUN_HISTORY,
                DB_ARGS(ARG_IDENT("runs", str_of(schema), STR("lockstep_runs")),
                        ARG_INT("limit", limit)),
                &rows, err)) {
        if (err->cls != ERROR_CLASS_NO_TABLE)
            return false;
        error_clear(err);
    }
    *ret = rows;
    return true;
}

bool
run_note(Db *db, const char *schema, const char *run_id, const char *note, Error *err)
{
    SCRATCH_ARENA(scratch);
    bool ok = db_do(db, Q_RUN_NOTE,
                    DB_ARGS(ARG_IDENT("runs", str_of(schema), STR("lockstep_runs")),
                            ARG_TEXT("run_id", str_of(run_id)),
                            ARG_TEXT("note", secret_redact(scratch, str_of(note)))),
                    err);
    if (!ok && err->cls != ERROR_CLASS_NO_TABLE)
        return false;
    if (ok && db_changes(db) > 0)
        return true;
    error_clear(err);
    error_set(err, ERROR_USAGE, "no run '%s' has ended here", run_id);
    return error_hint(err, "`lockstep history --json` lists them by `run_id`.");
}

/* ---- a job under the lock ---- */

typedef struct Job {
    Arena *arena;
    Wait *wait;
    const RunOptions *options;
    Db *db;
    Lock *lock;
    Survey survey;
    RunRecord record;
} Job;

static bool
job_begin(Job *j, Error *err)
{
    const char *why;
    int64_t deadline = clock_ms() + j->options->lock_wait_ms;
    if (!run_connect(j->arena, j->wait, j->options, "lockstep", false, &j->db, err) ||
        !run_survey(j->arena, j->db, j->options, true, &j->survey, err))
        return false;
    if (j->survey.facts.standby || j->survey.facts.read_only)
        return error_set(err, ERROR_REFUSED,
                         "the database is read-only: nothing can be recorded in it");
    j->record = (RunRecord){.run_id = run_new_id(j->arena),
                            .files = record_files_print(j->arena, &j->survey.source, j->options),
                            .schema = j->survey.ledger.spec.schema};
    LockMode mode = j->options->lock == LOCK_AUTO ? lock_choose(j->db, &j->survey.facts, &why)
                                                  : j->options->lock;
    LockSpec spec = {.mode = mode,
                     .schema = j->record.schema,
                     .run_id = j->record.run_id,
                     .lease_ms = j->options->lease_ms,
                     .host = j->options->host};
    j->lock = lock_new(j->arena, j->db, &spec);
    for (bool got = false; !got;) {
        if (!lock_try(j->lock, &got, err))
            return false;
        if (!got && follow_leader(j->options, j->db, j->lock, j->record.schema, deadline, err) !=
                        FOLLOW_FREE)
            return false;
    }
    j->survey = (Survey){0}; /* we may have waited: the server may have been changed */
    return run_survey(j->arena, j->db, j->options, true, &j->survey, err);
}

static void
job_end(Job *j, bool ok, const Error *err)
{
    wait_cleanup_begin(j->wait);
    if (j->lock)
        lock_release(j->lock, ok ? "succeeded" : "failed", ok ? NULL : err->message);
    db_close(j->db);
    wait_cleanup_end(j->wait);
}

/* ---- baseline ---- */

static bool
make_tables(Job *j, Error *err)
{
    if (!ledger_create(j->arena, j->db, &j->survey.ledger, err))
        return error_wrap(err, "making the version table");
    if (!j->survey.ledger.spec.own_allowed)
        return true;
    if (!record_create(j->db, j->record.schema, err) ||
        !record_start(j->db, &j->record, j->options, NULL, err))
        return error_wrap(err, "recording the baseline");
    j->record.kept = true;
    return true;
}

static bool
find_version(const Source *source, const char *version, size_t *ret, Error *err)
{
    const Migration *m = source_find(source, version);
    if (m) {
        *ret = (size_t)(m - source->migrations.p);
        return true;
    }
    error_set(err, ERROR_USAGE, "no migration has the version '%s'", version);
    return error_hint(err, "`lockstep status` lists the versions of %s.",
                      source->dir ? source->dir : "the directory");
}

static bool
baseline(Job *j, const char *version, int64_t *ret_marked, Error *err)
{
    const Project *project = j->options->project;
    if (project) {
        error_set(err, ERROR_USAGE, "baseline is for SQL files, and %s keeps its own table",
                  project->tool->title);
        return error_hint(err, "Mark migrations as applied with the tool's own command.");
    }
    Source *source = &j->survey.source;
    int64_t marked = 0;
    size_t last = 0;
    char *to = NULL;
    if (!find_version(source, version, &last, err) || !make_tables(j, err))
        return false;
    for (size_t i = 0; i <= last; i++) {
        Migration *m = &source->migrations.p[i];
        bool pending = false;
        for (size_t k = 0; k < j->survey.plan.pending.n; k++)
            pending = pending || j->survey.plan.pending.p[k].m == m;
        if (m->repeatable || !pending)
            continue;
        if (!migration_hash(j->arena, source, m, &j->options->source, err))
            return false;
        Str sql = ledger_sql_applied(j->arena, j->db, &j->survey.ledger, m, 0, j->record.run_id,
                                     STR("1 = 1"));
        if (!db_do(j->db, Q_APPLY_BEGIN,
                   DB_ARGS(ARG_INT("lock_timeout", 0), ARG_INT("statement_timeout", 0)), err) ||
            !db_exec_list(j->db, sql, err) || !db_do(j->db, Q_APPLY_COMMIT, NULL, err))
            return error_wrap(err, "marking version %s", m->version);
        to = m->version;
        marked++;
    }
    *ret_marked = marked;
    if (!j->record.kept)
        return true;
    /* No whole fingerprint: something may still be pending, and the next run looks for itself. */
    return record_end(j->db, j->arena, &j->record, "succeeded", 0, to, 0, NULL, STR_ABSENT, err);
}

bool
run_baseline(Arena *arena,
             Wait *wait,
             const RunOptions *options,
             const char *version,
             int64_t *ret_marked,
             Error *err)
{
    Job j = {.arena = arena, .wait = wait, .options = options};
    bool ok = job_begin(&j, err) && baseline(&j, version, ret_marked, err);
    job_end(&j, ok, err);
    return ok;
}

/* ---- repair ---- */

static void
add_item(Arena *arena,
         RepairItems *items,
         RepairKind kind,
         const LedgerRow *row,
         Migration *m,
         char *what,
         const char *action)
{
    *vec_push(arena, items) = (RepairItem){
        .kind = kind, .row = row, .m = m, .what = what, .action = str_printf(arena, "%s", action)};
}

static void
look_at_failed(Arena *arena, const Survey *s, RepairItems *items)
{
    const LedgerRow *row = s->plan.failed;
    if (!row)
        return;
    const char *version = row->version ? row->version : "";
    if (!row->own_row)
        add_item(
            arena, items, REPAIR_DIRTY, row, s->plan.failed_m,
            str_printf(arena,
                       "version %s is marked as failed by the migration tool that the table "
                       "belongs to",
                       version),
            "take the mark away, so that the migration is pending again; check first that nothing "
            "of it is left in the database");
    else
        add_item(
            arena, items, REPAIR_FAILED, row, s->plan.failed_m,
            str_printf(arena, "version %s %s; %d of its statements are done", version,
                       row->state == ROW_RUNNING ? "was interrupted" : "failed",
                       row->statements_done),
            row->statements_done > 0
                ? "forget what was done, so that the migration starts at its first statement again "
                  "(without repair, the next run goes on behind the finished ones)"
                : "forget the failure, so that the migration is pending again");
}

static void
look_at_tool(Arena *arena, const ToolState *tool, RepairItems *items)
{
    for (size_t i = 0; i < tool->troubles.n; i++) {
        const ToolTrouble *t = &tool->troubles.p[i];
        *vec_push(arena, items) =
            (RepairItem){.kind = REPAIR_TOOL, .trouble = t, .what = t->what, .action = t->repair};
    }
}

bool
run_repair_look(Arena *arena,
                Db *db,
                const RunOptions *options,
                Survey *ret_survey,
                RepairItems *ret,
                Error *err)
{
    RepairItems items = {0};
    if (!run_survey(arena, db, options, true, ret_survey, err))
        return false;
    const Plan *plan = &ret_survey->plan;
    if (options->project) {
        look_at_tool(arena, &ret_survey->tool, &items);
        *ret = items;
        return true;
    }
    look_at_failed(arena, ret_survey, &items);
    for (size_t i = 0; i < plan->changed.n; i++)
        add_item(arena, &items, REPAIR_CHANGED, plan->changed.p[i].row, plan->changed.p[i].m,
                 str_printf(arena, "%s was changed after it had been applied",
                            plan->changed.p[i].m->path),
                 "accept the file as it is now");
    for (size_t i = 0; i < plan->missing.n; i++)
        add_item(arena, &items, REPAIR_MISSING, plan->missing.p[i].row, NULL,
                 str_printf(arena, "version %s is applied, and its file is not there",
                            plan->missing.p[i].row->version),
                 "forget that it was applied (its effect stays in the database)");
    *ret = items;
    return true;
}

static Str
repair_sql(Job *j, const RepairItem *item)
{
    if (item->kind == REPAIR_CHANGED)
        return ledger_sql_accept(j->arena, j->db, &j->survey.ledger, item->m);
    return ledger_sql_forget(j->arena, j->db, &j->survey.ledger, item->row);
}

/* In a transaction: several statements that belong together. */
static bool
repair_row(Job *j, const RepairItem *item, Error *err)
{
    return db_do(j->db, Q_APPLY_BEGIN,
                 DB_ARGS(ARG_INT("lock_timeout", 0), ARG_INT("statement_timeout", 0)), err) &&
           db_exec_list(j->db, repair_sql(j, item), err) && db_do(j->db, Q_APPLY_COMMIT, NULL, err);
}

static bool
repair(Job *j, int64_t *ret_repaired, Error *err)
{
    RepairItems items;
    int64_t repaired = 0, lost = 0;
    if (!run_repair_look(j->arena, j->db, j->options, &j->survey, &items, err))
        return false;
    if (j->survey.ledger.runs_exists && !record_mark_lost(j->db, &j->record, &lost, err))
        return false;
    for (size_t i = 0; i < items.n; i++) {
        const ToolTrouble *trouble = items.p[i].trouble;
        if (trouble && !trouble->sql)
            continue; /* a person is needed: it was explained */
        if (trouble ? !db_exec_list(j->db, str_of(trouble->sql), err)
                    : !repair_row(j, &items.p[i], err))
            return error_wrap(err, "repairing");
        log_info("repair.done", "repaired: %s", items.p[i].what);
        repaired++;
    }
    *ret_repaired = repaired;
    return true;
}

bool
run_repair(Arena *arena, Wait *wait, const RunOptions *options, int64_t *ret_repaired, Error *err)
{
    Job j = {.arena = arena, .wait = wait, .options = options};
    bool ok = job_begin(&j, err) && repair(&j, ret_repaired, err);
    job_end(&j, ok, err);
    return ok;
}
