/* SPDX-License-Identifier: Apache-2.0 */
/* Run records. The table is made by the leader, under the lock; reading tolerates that it is not
 * there. */

#include "run/record.h"

#include <unistd.h>

#include "core/hash.h"
#include "core/banned.h"

static Str
runs_name(void)
{
    return STR("lockstep_runs");
}

#define RUNS(schema_) ARG_IDENT("runs", (schema_), runs_name())

char *
record_files_print(Arena *arena, const Source *source, const RunOptions *options)
{
    const char *parts[] = {options->project ? options->project->tool->name : "sql",
                           source->format_name,
                           source->stat_digest ? source->stat_digest : "",
                           options->table ? options->table : "",
                           options->policy.order_any ? "any" : "strict",
                           options->policy.ahead_refuse ? "refuse" : "allow"};
    Hasher *hasher = hasher_new(arena);
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        hasher_add(hasher, str_of(parts[i]));
        hasher_add(hasher, STR("\n"));
    }
    return hasher_hex(arena, hasher);
}

Str
record_fingerprint_sql(
    Arena *arena, Db *db, const char *files, FormatId format, const RunOptions *options)
{
    Str schema = str_of(options->schema);
    Str schema_sql = schema.p ? db_quote_literal(db, arena, schema)
                              : db_render(db, arena, Q_RUN_DEFAULT_SCHEMA, NULL);
    Str digest = options->project ? tool_digest_sql(arena, db, options->project, STR_ABSENT)
                                  : ledger_digest_sql(arena, db, format, schema, options->table);
    return db_render(db, arena, Q_RUN_FINGERPRINT,
                     DB_ARGS(ARG_TEXT("files", str_of(files)), ARG_RAW("schema", schema_sql),
                             ARG_RAW("digest", digest)));
}

bool
record_create(Db *db, Str schema, Error *err)
{
    return db_do(db, Q_RUN_CREATE, DB_ARGS(RUNS(schema)), err);
}

bool
record_start(Db *db,
             const RunRecord *record,
             const RunOptions *options,
             const char *from_version,
             Error *err)
{
    return db_do(
        db, Q_RUN_START,
        DB_ARGS(RUNS(record->schema), ARG_TEXT("run_id", str_of(record->run_id)),
                ARG_TEXT("tool", str_of(options->project ? options->project->tool->name : "sql")),
                ARG_TEXT("files", str_of(record->files)), ARG_TEXT("host", str_of(options->host)),
                ARG_INT("pid", getpid()), ARG_TEXT("environment", str_of(options->environment)),
                ARG_TEXT("revision", str_of(options->revision)),
                ARG_TEXT("from_version", str_of(from_version))),
        err);
}

/* After a change of our own row, which is there only while nobody has declared us lost. */
static bool
still_ours(Db *db, Error *err)
{
    return db_changes(db) > 0 ||
           error_set(err, ERROR_LOCKED,
                     "this run was declared lost, and another one has taken over");
}

bool
record_beat(Db *db, const RunRecord *record, Error *err)
{
    return db_do(db, Q_RUN_BEAT,
                 DB_ARGS(RUNS(record->schema), ARG_TEXT("run_id", str_of(record->run_id))), err) &&
           still_ours(db, err);
}

bool
record_sessions(Db *db, const RunRecord *record, const char *sessions, Error *err)
{
    return db_do(db, Q_RUN_SESSIONS,
                 DB_ARGS(RUNS(record->schema), ARG_TEXT("run_id", str_of(record->run_id)),
                         ARG_TEXT("sessions", str_of(sessions))),
                 err) &&
           still_ours(db, err);
}

bool
record_end(Db *db,
           Arena *arena,
           const RunRecord *record,
           const char *outcome,
           int64_t applied,
           const char *to_version,
           int64_t duration_ms,
           const char *error,
           Str fingerprint,
           Error *err)
{
    Str print = fingerprint.p ? fingerprint : db_quote_literal(db, arena, str_of(record->files));
    return db_do(db, Q_RUN_END,
                 DB_ARGS(RUNS(record->schema), ARG_TEXT("run_id", str_of(record->run_id)),
                         ARG_TEXT("outcome", str_of(outcome)), ARG_INT("applied", applied),
                         ARG_TEXT("to_version", str_of(to_version)),
                         ARG_INT("duration_ms", duration_ms), ARG_TEXT("error", str_of(error)),
                         ARG_RAW("fingerprint", print)),
                 err);
}

bool
record_sessions_left(Db *db, Arena *arena, const RunRecord *record, DbResult *ret, Error *err)
{
    *ret = (DbResult){0};
    return !db_has_query(db, Q_RUN_SESSIONS_LEFT) ||
           db_ask(db, arena, Q_RUN_SESSIONS_LEFT,
                  DB_ARGS(RUNS(record->schema), ARG_TEXT("run_id", str_of(record->run_id))), ret,
                  err);
}

bool
record_mark_lost(Db *db, const RunRecord *record, int64_t *ret_lost, Error *err)
{
    if (!db_do(db, Q_RUN_LOST,
               DB_ARGS(RUNS(record->schema), ARG_TEXT("run_id", str_of(record->run_id))), err))
        return false;
    *ret_lost = db_changes(db);
    return true;
}

static int64_t
number(Str s)
{
    int64_t n = 0;
    if (!str_to_i64(s, &n))
        return 0;
    return n;
}

/* A table that is not there yet holds no run: ok, without a row. */
static bool
ask_run(Db *db, Arena *arena, DbQuery query, const DbArg *args, DbResult *ret, Error *err)
{
    if (db_ask(db, arena, query, args, ret, err))
        return true;
    if (err->cls != ERROR_CLASS_NO_TABLE)
        return false;
    error_clear(err);
    *ret = (DbResult){0};
    return true;
}

bool
record_head(Db *db, Arena *arena, Str schema, RunLatest *ret, Error *err)
{
    DbResult rows;
    *ret = (RunLatest){0};
    if (!ask_run(db, arena, Q_RUN_HEAD, DB_ARGS(RUNS(schema)), &rows, err))
        return false;
    if (rows.rows)
        *ret = (RunLatest){.found = true,
                           .run_id = str_dup(arena, DB_CELL(&rows, 0, 0)),
                           .outcome = str_dup(arena, DB_CELL(&rows, 0, 1)),
                           .fingerprint = str_dup(arena, DB_CELL(&rows, 0, 2))};
    return true;
}

bool
record_latest(Db *db, Arena *arena, Str schema, int64_t elapsed_ms, RunLatest *ret, Error *err)
{
    DbResult rows;
    *ret = (RunLatest){0};
    if (!ask_run(db, arena, Q_RUN_LATEST, DB_ARGS(RUNS(schema), ARG_INT("elapsed_ms", elapsed_ms)),
                 &rows, err))
        return false;
    if (!rows.rows)
        return true;
    *ret = (RunLatest){
        .found = true,
        .run_id = str_dup(arena, DB_CELL(&rows, 0, 0)),
        .outcome = str_dup(arena, DB_CELL(&rows, 0, 1)),
        .host = str_dup(arena, DB_CELL(&rows, 0, 2)),
        .pid = number(DB_CELL(&rows, 0, 3)),
        .applied = number(DB_CELL(&rows, 0, 4)),
        .silent_ms = number(DB_CELL(&rows, 0, 5)),
        .error = str_dup(arena, DB_CELL(&rows, 0, 6)),
        .fingerprint = str_dup(arena, DB_CELL(&rows, 0, 7)),
        .recent = number(DB_CELL(&rows, 0, 8)) != 0,
    };
    return true;
}
