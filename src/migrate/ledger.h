/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Version tables: ours, and a row of ledgers.c for each other tool's, in that tool's own shape.
 * Reading never writes. Writing is given out as SQL text, so that it can travel with the file in
 * one transaction (and one round trip). Names are always qualified: nothing depends on what a
 * migration did to the session.
 *
 * lockstep_migrations ("own" table) holds checksum, duration and statement progress for every
 * format; for `plain` it is the version table itself. Its columns are in contract 6, and besides
 * `origin` text (identity of the other tool's row that this row was written for: a checksum counts
 * only while that is the same row) and `doubt` text (snapshot of the object before a statement that
 * cannot commit with its record).
 */

#include "db/db.h"
#include "db/lock.h"
#include "migrate/source.h"

typedef enum RowState { ROW_APPLIED, ROW_RUNNING, ROW_FAILED } RowState;

typedef struct LedgerRow {
    char *version;  /* flyway repeatable: NULL */
    char *id;       /* format_version_id, or format_repeatable_id; NULL = plan_build works it out */
    char *name;     /* "" when the table keeps none */
    char *script;   /* flyway's script column; else NULL */
    RowState state; /* other tools' dirty/success=false is ROW_FAILED */
    char *checksum; /* own SHA-256 where it counts, else NULL */
    char *tool_checksum; /* as that tool stores it (decimal, hex), NULL */
    char *applied_at;    /* RFC 3339 UTC, NULL where the table keeps none */
    int64_t duration_ms; /* -1 unknown */
    int statements_done;
    char *doubt;
    char *run_id;
    bool own_row;     /* a row of lockstep_migrations stands behind it */
    bool foreign_row; /* a row of the other tool's table does (plain: same as own_row) */
    char *previous;   /* plan->failed only: the version below it in the directory, NULL = none */
} LedgerRow;

typedef struct LedgerSpec {
    FormatId format;
    Str schema;           /* of lockstep's tables: --schema or the default schema */
    const char *table;    /* --table, NULL = the format's own; may be "schema.table" */
    const char *database; /* for lock keys */
    bool own_allowed;     /* may lockstep_migrations be used (and made)? */
} LedgerSpec;

typedef struct Ledger {
    LedgerSpec spec;
    Str table_schema, table; /* resolved version table */
    bool table_exists, own_exists, runs_exists;
    Str own_schema, own_table; /* lockstep_migrations; for `plain` the version table itself */
    VEC(LedgerRow)
    rows;                   /* one a version, in the table's order; golang-migrate and tern: the one
                               row says "everything up to": rows are then made for `current`, and for
                               those below it that lockstep_migrations knows */
    bool high_water;        /* golang-migrate, tern: applied means "<= current" */
    char *current;          /* high_water: current version, NULL = none */
    bool current_dirty;     /* golang-migrate's dirty */
    char *baseline;         /* flyway: versions up to this one count as done; NULL = none */
    VEC(ForeignLock) locks; /* that tool's own locks to hold besides */
} Ledger;

/* Which of the tables exist and with which shape; refuses (ERROR_REFUSED) a table of that name
 * with another tool's shape (`schema_migrations` belongs to four). One query. */
bool ledger_open(Arena *arena, Db *db, const LedgerSpec *spec, Ledger *ret, Error *err) MUST_CHECK;
/* tern's and sqlx's tables, for telling the format. */
bool ledger_probe(Arena *arena, Db *db, Str schema, bool *ret_tern, bool *ret_sqlx, Error *err)
    MUST_CHECK;
bool ledger_read(Arena *arena, Db *db, Ledger *ledger, Error *err) MUST_CHECK;
/* Makes what is missing (version table, own table). Called by the leader only. */
bool ledger_create(Arena *arena, Db *db, Ledger *ledger, Error *err) MUST_CHECK;

/* SQL text, statements separated by ";\n" (which no value in it holds), to run in the migration's
 * transaction after its body. `fence` is the run's (Q_RUN_FENCE): the text makes the transaction
 * fail (NOT NULL violation on the own row) when it is false. */
/* `duration_ms` LEDGER_SINCE_BEGIN: the server counts, from the beginning of the transaction. */
enum { LEDGER_SINCE_BEGIN = -2 };
Str ledger_sql_applied(Arena *arena,
                       Db *db,
                       const Ledger *ledger,
                       const Migration *m,
                       int64_t duration_ms,
                       const char *run_id,
                       Str fence);
/* golang-migrate's table knows the highest version only. Called once for each file below it when
 * lockstep takes over, so that a file that comes late stands out: an own row without a checksum. */
Str ledger_sql_adopted(
    Arena *arena, Db *db, const Ledger *ledger, const Migration *m, const char *run_id, Str fence);
/* A run of statements outside one transaction begins: own row `running` with 0 done, and what the
 * other tool would leave (golang-migrate: dirty). */
Str ledger_sql_begun(
    Arena *arena, Db *db, const Ledger *ledger, const Migration *m, const char *run_id, Str fence);
/* Progress: `done` statements are finished; `doubt` (absent = NULL) describes the next one. */
Str ledger_sql_progress(Arena *arena,
                        Db *db,
                        const Ledger *ledger,
                        const Migration *m,
                        int done,
                        Str doubt,
                        const char *run_id,
                        Str fence);
Str ledger_sql_failed(
    Arena *arena, Db *db, const Ledger *ledger, const Migration *m, const char *run_id);
/* Rollback: the version is applied no more. `previous`: version below, NULL = none. */
Str ledger_sql_reverted(Arena *arena,
                        Db *db,
                        const Ledger *ledger,
                        const Migration *m,
                        const char *previous,
                        const char *run_id,
                        Str fence);
/* repair: accept the file as it is now (checksum), or forget what failed. */
Str ledger_sql_accept(Arena *arena, Db *db, const Ledger *ledger, const Migration *m);
Str ledger_sql_forget(Arena *arena, Db *db, const Ledger *ledger, const LedgerRow *row);
/* The SQL of the digest of the version table, for the fast path: one scalar. */
Str ledger_digest_sql(Arena *arena, Db *db, FormatId format, Str schema, const char *table);
const char *ledger_table_default(FormatId format);
