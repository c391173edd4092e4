/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The contract between db.c and the three drivers; included by src/db only. A driver fills
 * Error with code, cls, sqlstate, message, detail, hint and sql_offset; it neither retries nor
 * logs.
 */

#include "db/db.h"
#include "db/version.h"

typedef struct DbDriver {
    const char *name;
    DbEngine engine;
    unsigned caps;
    const char *const *queries; /* indexed by DbQuery; NULL = not for this engine */
    LibraryVersion (*library)(Arena *arena);

    bool (*connect_start)(Db *db, Error *err); /* may be NULL; close is called when it fails */
    bool (*connect_finish)(Db *db, Error *err);
    void (*close)(Db *db);
    bool (*alive)(const Db *db);
    /* Runs the text; result of the last statement with rows goes to ret (may be NULL). */
    bool (*query)(Db *db, Arena *arena, Str sql, DbResult *ret, size_t *ret_done, Error *err);
    bool (*facts)(Db *db, Arena *arena, DbFacts *ret, Error *err);
    bool (*reset)(Db *db, Error *err);
    bool (*in_transaction)(const Db *db);
    bool (*set_timeouts)(Db *db, int64_t lock_ms, int64_t statement_ms, Error *err);
    Str (*quote_ident)(const Db *db, Arena *arena, Str name);
    Str (*quote_literal)(const Db *db, Arena *arena, Str value);
    Str (*digest_expr)(const Db *db, Arena *arena, const char *const *columns);
    bool (*create_database)(Arena *arena, const DbUrl *url, const DbOptions *options, Error *err);
    /* Of a file engine: db_copy_file. */
    bool (*copy_file)(Wait *wait, const char *from, const char *to, Error *err);
    bool (*pause)(Db *db, int64_t ms, bool *ret_told, Error *err);  /* NULL: nothing wakes it */
    bool (*is_pooled)(const Db *db, int64_t session_id);            /* NULL: cannot be told */
    bool (*cancel_session)(Db *db, int64_t session_id, Error *err); /* NULL without SERVER */
    bool (*end_session)(Db *db, int64_t session_id, Error *err);    /* NULL without SERVER */
    bool (*blockers)(Db *db, Arena *arena, int64_t session_id, Str *ret, Error *err);
    bool (*victims)(Db *db, int64_t session_id, int64_t *longest_ms, int64_t *count, Error *err);
} DbDriver;

extern const DbDriver driver_postgres, driver_mysql, driver_sqlite;
const DbDriver *db_driver(DbEngine engine); /* NULL = this build leaves it out */

/* Generated from queries/<engine>/: by DbQuery, NULL where the engine lacks the name. */
extern const char *const queries_postgres[DB_QUERY_COUNT + 1];
extern const char *const queries_mysql[DB_QUERY_COUNT + 1];
extern const char *const queries_sqlite[DB_QUERY_COUNT + 1];

struct Db {
    const DbDriver *driver;
    Arena *arena; /* as long as the connection */
    DbUrl url;
    DbOptions options;
    void *native; /* the driver's own */
    int64_t changes;
};
