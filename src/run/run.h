/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The life of one run: wait for the database, gate (nothing to do?), lead or follow, apply,
 * record. `run` and `migrate` and `rollback` are this; becoming the service is the command's.
 */

#include "migrate/plan.h"
#include "tools/tool.h"

typedef struct RunOptions {
    const DbUrl *url;
    SourceOptions source; /* dir, format, placeholders */
    /* Somebody else's tool migrates: it is started, and its files and table are understood as far
     * as they tell. NULL = lockstep applies SQL files itself. */
    const Project *project;
    Str tool_url;     /* handed to the tool, with the password; absent = it finds its database */
    int64_t grace_ms; /* for the tool: between SIGTERM and SIGKILL */
    const Source *looked; /* run_look's, when somebody has taken it already; NULL = not */
    const char *schema, *table;
    bool create;     /* make the database */
    int64_t wait_ms; /* for the database */
    LockMode lock;
    int64_t lease_ms, lock_wait_ms, lock_timeout_ms, statement_timeout_ms;
    int64_t retry_for_ms, max_block_ms;
    PlanPolicy policy;
    const char *environment, *revision;                         /* recorded; NULL = none */
    const char *expect_engine, *expect_version, *expect_origin; /* NULL = no expectation */
    const char *host;
    int64_t started_ms; /* clock_ms() at process start: failures after it are shared */
    /* Rollback instead of apply: */
    bool rollback;
    int64_t steps;
    const char *to;
    bool only_reversible; /* refused unless each of them says that it is */
    /* Called with "3/12 20240101_x" while migrating (progress for health and terminals). */
    void (*progress)(void *ctx, int64_t done, int64_t total, const char *what);
    void *progress_ctx;
    /* Called by the leader, lock held, before the first statement (backup). May be NULL. */
    bool (*before)(void *ctx, Error *err);
    void *before_ctx;
} RunOptions;

typedef enum RunOutcome {
    RUN_NOTHING,  /* nothing to migrate here, or nothing pending */
    RUN_APPLIED,  /* we led and applied */
    RUN_FOLLOWED, /* another one applied while we waited */
} RunOutcome;

typedef struct RunReport {
    RunOutcome outcome;
    int64_t applied, duration_ms;
    char run_id[40]; /* ours once we lead, also where that fails; else empty */
} RunReport;

/* *ret is set on failure too. */
bool run_migrations(Arena *arena, Wait *wait, const RunOptions *options, RunReport *ret, Error *err)
    MUST_CHECK;

/* False with ERROR_REFUSED: a standby or a read-only database. */
bool run_may_write(const DbFacts *facts, Error *err) MUST_CHECK;

/* Connect, waiting up to wait_ms for a database that is starting, not resolving yet, refusing
 * connections; fails at once (ERROR_UNREACHABLE) on a wrong password, a missing database (made
 * with `create`), a TLS refusal. */
bool run_connect(Arena *arena,
                 Wait *wait,
                 const RunOptions *options,
                 const char *application_name,
                 bool read_only,
                 Db **ret,
                 Error *err) MUST_CHECK;

/* A new run id: sortable by time, unique, at most 32 characters. */
char *run_new_id(Arena *arena);

/* What stands in files and database, without changing either: status, plan, wait, baseline ... */
typedef struct Survey {
    bool locked; /* made by whoever held the lock already */
    DbFacts facts;
    Source source;
    Ledger ledger;
    Plan plan;
    /* With options->project: */
    ToolFiles tool_files;
    ToolState tool;
    bool unknown; /* whether something is pending only the tool itself knows */
    bool asks;    /* nothing seems to be pending, but the tool is started to be sure */
} Survey;
/* Files by their names, sizes and times, which is what the gate wants; `looked`, where it is there.
 */
bool run_look(Arena *arena, const RunOptions *options, Source *ret, Error *err) MUST_CHECK;
/* *ret is zeroed, or an earlier one of this connection: then its facts are not asked again. */
bool run_survey(Arena *arena,
                Db *db,
                const RunOptions *options,
                bool check_content,
                Survey *ret,
                Error *err) MUST_CHECK;

/* ---- smaller jobs over the same lock and tables; each is recorded like a run where it writes ----
 */

/* Mark everything up to and including `version` as applied without running it. ERROR_USAGE when no
 * file has that version; versions applied already are left alone. */
bool run_baseline(Arena *arena,
                  Wait *wait,
                  const RunOptions *options,
                  const char *version,
                  int64_t *ret_marked,
                  Error *err) MUST_CHECK;

typedef enum RepairKind {
    REPAIR_FAILED,   /* a migration failed or was lost half-way: forget the row, or resume */
    REPAIR_CHANGED,  /* an applied file was edited: accept its content as it is now */
    REPAIR_MISSING,  /* the database knows a version without a file: forget it (only with --yes) */
    REPAIR_DIRTY,    /* another tool's dirty mark without a row of ours */
    REPAIR_LOST_RUN, /* a run row says running, and nobody runs */
    REPAIR_TOOL,     /* what a tool left behind; without SQL a person is needed */
} RepairKind;
typedef struct RepairItem {
    RepairKind kind;
    const LedgerRow *row; /* NULL for LOST_RUN */
    Migration *m;         /* NULL when there is no file */
    const ToolTrouble *trouble;
    char *what;   /* sentence: what was found */
    char *action; /* sentence: what repair does about it */
} RepairItem;
typedef VEC(RepairItem) RepairItems;
/* What would be repaired; looks only. */
bool run_repair_look(Arena *arena,
                     Db *db,
                     const RunOptions *options,
                     Survey *ret_survey,
                     RepairItems *ret,
                     Error *err) MUST_CHECK;
/* Does it, under the lock. */
bool run_repair(Arena *arena,
                Wait *wait,
                const RunOptions *options,
                int64_t *ret_repaired,
                Error *err) MUST_CHECK;

/* Rows of lockstep_runs, newest first, all columns of contract 6 in that order; `rows` 0 when the
 * table is not there. `names` are the column names, NULL-terminated. */
extern const char *const run_columns[];
bool run_history(Arena *arena, Db *db, const char *schema, int64_t limit, DbResult *ret, Error *err)
    MUST_CHECK;
/* What became of a run after its end, for people: added to its `error`, with secrets replaced.
 * ERROR_USAGE: no such run has ended. */
bool
run_note(Db *db, const char *schema, const char *run_id, const char *note, Error *err) MUST_CHECK;
