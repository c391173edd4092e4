/* SPDX-License-Identifier: Apache-2.0 */
/* The fast path of a start with nothing pending. */

#include "run/gate.h"

#include "run/record.h"
#include "core/banned.h"

bool
gate_is_closed(Arena *arena,
               Db *db,
               const RunOptions *options,
               const Source *source,
               bool *ret_closed,
               Error *err)
{
    DbResult rows;
    const char *files = record_files_print(arena, source, options);
    Str print = record_fingerprint_sql(arena, db, files, source->format, options);
    *ret_closed = false;
    if (!db_ask(db, arena, Q_RUN_GATE,
                DB_ARGS(ARG_IDENT("runs", str_of(options->schema), STR("lockstep_runs")),
                        ARG_RAW("fingerprint", print)),
                &rows, err)) {
        if (err->cls == ERROR_CLASS_CONNECTION || err->code == ERROR_SIGNALLED || !db_alive(db))
            return false;
        error_clear(err);
        return true;
    }
    *ret_closed = rows.rows > 0;
    return true;
}

bool
gate_remember(Arena *arena, Db *db, const RunOptions *options, const Source *source, Str schema)
{
    Error ignored = ERROR_INIT;
    const char *files = record_files_print(arena, source, options);
    Str print = record_fingerprint_sql(arena, db, files, source->format, options);
    if (!db_do(
            db, Q_RUN_REMEMBER,
            DB_ARGS(ARG_IDENT("runs", schema, STR("lockstep_runs")), ARG_RAW("fingerprint", print)),
            &ignored))
        return false;
    return db_changes(db) > 0;
}

bool
gate_may_record(Db *db, Str schema)
{
    Error ignored = ERROR_INIT;
    /* A file has no roles; asking would wait for whoever writes just now. */
    if (!(db_caps(db) & DB_CAP_SERVER))
        return true;
    return db_do(db, Q_RUN_MAY_RECORD, DB_ARGS(ARG_IDENT("runs", schema, STR("lockstep_runs"))),
                 &ignored);
}
