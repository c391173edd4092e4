/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Rows of lockstep_runs: who migrated, when, what came of it (contract 6). */

#include "run/run.h"

typedef struct RunRecord {
    const char *run_id;
    const char *files; /* files part of the fingerprint */
    Str schema;        /* where the table stands; absent = wherever unqualified names go */
    bool kept;         /* the table is there (or was made): our row is in it */
} RunRecord;

/* The latest run, as followers see it. */
typedef struct RunLatest {
    bool found;
    char *run_id, *outcome, *host, *error, *fingerprint;
    int64_t pid, applied, silent_ms;
    bool recent; /* ended after the asking process had started */
} RunLatest;

/* Files part of the fingerprint: files, format, table, tool, as SHA-256. */
char *record_files_print(Arena *arena, const Source *source, const RunOptions *options);
/* SQL expression of the whole fingerprint: files, schema, digest of the version table. */
Str record_fingerprint_sql(
    Arena *arena, Db *db, const char *files, FormatId format, const RunOptions *options);

bool record_create(Db *db, Str schema, Error *err) MUST_CHECK;
bool record_start(Db *db,
                  const RunRecord *record,
                  const RunOptions *options,
                  const char *from_version,
                  Error *err) MUST_CHECK;
bool record_beat(Db *db, const RunRecord *record, Error *err) MUST_CHECK;
/* The tool's sessions, comma-separated, for whoever takes over; ERROR_LOCKED as record_beat. */
bool record_sessions(Db *db, const RunRecord *record, const char *sessions, Error *err) MUST_CHECK;
/* `fingerprint` as SQL, absent = the files part alone. */
bool record_end(Db *db,
                Arena *arena,
                const RunRecord *record,
                const char *outcome,
                int64_t applied,
                const char *to_version,
                int64_t duration_ms,
                const char *error,
                Str fingerprint,
                Error *err) MUST_CHECK;
/* What lost runs wrote down with record_sessions: a row each. */
bool record_sessions_left(Db *db, Arena *arena, const RunRecord *record, DbResult *ret, Error *err)
    MUST_CHECK;
/* Runs that still say `running` are lost: we lead now. */
bool record_mark_lost(Db *db, const RunRecord *record, int64_t *ret_lost, Error *err) MUST_CHECK;
bool record_latest(Db *db, Arena *arena, Str schema, int64_t elapsed_ms, RunLatest *ret, Error *err)
    MUST_CHECK;
/* No more of it than found, run_id, outcome and fingerprint: the cheapest question about it. */
bool record_head(Db *db, Arena *arena, Str schema, RunLatest *ret, Error *err) MUST_CHECK;
