/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Shared by the files of the PostgreSQL driver; the only place that includes libpq's header. */

#include <libpq-fe.h>

#include "db/driver.h"

typedef struct Pg {
    PGconn *conn;
    bool broken;
    PostgresPollingStatusType polling; /* of connecting */
    int64_t deadline_ms;               /* of connecting */
    char *search_path;                 /* from the URL, quoted; NULL = none */
} Pg;

static inline Pg *
pg_of(const Db *db)
{
    return db->native;
}

/* Error classes by SQLSTATE; message, detail, hint and position from the result. */
void pg_result_error(const Db *db, const PGresult *result, Str sql, Error *err);
/* Of a connection attempt that failed. */
void pg_connect_error(const Db *db, Error *err);
bool pg_query(Db *db, Arena *arena, Str sql, DbResult *ret, size_t *ret_done, Error *err);
/* pg_sessions.c */
bool pg_facts_ask(Db *db, Arena *arena, DbFacts *ret, Error *err);
bool pg_is_pooled(const Db *db, int64_t session_id);
bool pg_cancel_session(Db *db, int64_t session_id, Error *err);
bool pg_end_session(Db *db, int64_t session_id, Error *err);
bool pg_blockers(Db *db, Arena *arena, int64_t session_id, Str *ret, Error *err);
bool pg_victims(Db *db, int64_t session_id, int64_t *longest_ms, int64_t *count, Error *err);
