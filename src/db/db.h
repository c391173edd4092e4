/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A connection to a database, the same for the three engines. SQL is text with values already in
 * it (db_render quotes them); results are text cells in the caller's arena. Every call waits
 * through the connection's Wait: it ends on signals, on deadlines, and lets the heartbeat tick.
 * Ask `caps`, never the engine's name. Drivers: driver_postgres.c, driver_mysql.c, driver_sqlite.c.
 */

#include "core/error.h"
#include "core/str.h"
#include "core/wait.h"
#include "db/url.h"

typedef struct Db Db;

typedef enum DbCap {
    DB_CAP_DDL_TRANSACTION = 1 << 0, /* DDL is transactional: a file and its row commit together */
    DB_CAP_SCRIPT = 1 << 1,          /* many statements in one round trip (db_script) */
    DB_CAP_SESSION_LOCK = 1 << 2,
    DB_CAP_SERVER = 1 << 3,       /* there is a server: sessions, cancel, heartbeat by queries */
    DB_CAP_ASYNC_COMMIT = 1 << 4, /* synchronous_commit can be off but for the last */
    DB_CAP_GROUP_COMMIT = 1 << 5, /* savepoints make several files one commit (SQLite) */
} DbCap;

typedef struct DbOptions {
    Wait *wait;
    const char *application_name; /* "lockstep:<run id>", NULL = "lockstep" */
    int64_t connect_timeout_ms;   /* for one attempt; 0 = 10 s */
    bool read_only; /* looking only: SQLite opens read-only and never makes the file */
} DbOptions;

/* Answers of the server that decide how a run goes; one query. */
typedef struct DbFacts {
    int version_num;   /* 150018, 101119 (MariaDB 10.11.19), 3040001 */
    int version_major; /* 15, 10, 3 */
    char *version;     /* as the server says it */
    char *flavor;      /* "postgresql" "cockroachdb" "mysql" "mariadb" "galera" "sqlite" */
    char *database, *user;
    char *schema;       /* where unqualified tables go; NULL = search_path names none that exists */
    bool standby;       /* in recovery: a replica */
    bool read_only;     /* server, file or default_transaction_read_only */
    bool can_create;    /* may create tables in `schema` (CREATE privilege) */
    int64_t session_id; /* backend pid, connection id; 0 = none */
    bool pooled; /* a transaction pooler stands between (or any pooler: cannot be told apart) */
    char *now;   /* server time, RFC 3339 */
    bool no_backslash_escapes, ansi_quotes; /* MySQL: sql_mode, for splitting */
} DbFacts;

/* ERROR_USAGE where this build leaves the engine out. Connecting asks it too; a command asks before
 * it does anything else. */
bool db_supports(DbEngine engine, Error *err) MUST_CHECK;

/* Begin connecting and return at once (PostgreSQL); db_connect_finish waits. What needs no
 * database can be done in between. Others connect in finish. */
bool db_connect_start(
    Arena *arena, const DbUrl *url, const DbOptions *options, Db **ret, Error *err) MUST_CHECK;
bool db_connect_finish(Db *db, Error *err) MUST_CHECK;
/* Both. Errors: ERROR_UNREACHABLE with cls CONNECTION (worth waiting), LOGIN, NO_DATABASE. */
bool db_connect(Arena *arena, const DbUrl *url, const DbOptions *options, Db **ret, Error *err)
    MUST_CHECK;
void db_close(Db *db); /* NULL is fine; never blocks for long */
void db_cleanup(Db **db);
#define AUTO_DB CLEANUP(db_cleanup) Db *
/* Create the database that the URL names (--create). A race with another creator is success. */
bool
db_create_database(Arena *arena, const DbUrl *url, const DbOptions *options, Error *err) MUST_CHECK;

unsigned db_caps(const Db *db);
DbEngine db_engine(const Db *db);
const DbUrl *db_url(const Db *db);
Wait *db_wait(const Db *db); /* the one it was opened with */
bool db_alive(const Db *db); /* false once the connection is known to be broken */
bool db_facts(Db *db, Arena *arena, DbFacts *ret, Error *err) MUST_CHECK;

typedef struct DbResult {
    size_t rows, cols;
    Str *cells; /* row-major; absent = SQL NULL */
} DbResult;
#define DB_CELL(r, row, col) ((r)->cells[(row) * (r)->cols + (col)])

/* One statement (or several; the last result that has rows is returned). */
bool db_query(Db *db, Arena *arena, Str sql, DbResult *ret, Error *err) MUST_CHECK;
bool db_exec(Db *db, Str sql, Error *err) MUST_CHECK; /* same, result thrown away */
/* Several statements with ";\n" between them, one call each: for text of our own, which has that
 * nowhere else. */
bool db_exec_list(Db *db, Str sql, Error *err) MUST_CHECK;
/* Rows changed by the last db_exec/db_query statement. */
int64_t db_changes(const Db *db);
/* DB_CAP_SCRIPT: several statements in one round trip. On failure *ret_done is how many completed
 * before the failing one, and err->sql_offset points into `sql` where the server says so. */
bool db_script(Db *db, Str sql, size_t *ret_done, Error *err) MUST_CHECK;
/* Ends whatever transaction is open and brings the session back to how it was connected: role,
 * settings, search_path, temporary state that bookkeeping could stumble over. Cheap. */
bool db_reset(Db *db, Error *err) MUST_CHECK;
bool db_in_transaction(const Db *db);

/* Timeouts of the session, in ms, 0 = the server's default/none. MySQL rounds up to seconds. */
bool db_set_timeouts(Db *db, int64_t lock_timeout_ms, int64_t statement_timeout_ms, Error *err)
    MUST_CHECK;

/* ---- SQL from files: src/db/queries/<engine>/<room>.sql, sections "-- name: run_start" ----
 * Placeholders are psql's own: :"name" identifier, :'name' literal, :name number or raw SQL
 * (only from RAW, for pieces made by code). A missing argument is an assertion. An identifier
 * argument may be "schema.table": each part is quoted. */
typedef enum DbQuery {
#define DB_QUERY(id) Q_##id,
#include "db/queries.def" /* generated from the .sql files by tools/embed-sql */
#undef DB_QUERY
    DB_QUERY_COUNT
} DbQuery;

typedef enum DbArgKind {
    DB_ARG_END = 0,
    DB_ARG_IDENT,
    DB_ARG_TEXT,
    DB_ARG_INT,
    DB_ARG_RAW
} DbArgKind;
typedef struct DbArg {
    DbArgKind kind;
    const char *name;
    Str text;   /* absent TEXT gives NULL */
    Str schema; /* IDENT: qualifies, absent = none */
    int64_t number;
} DbArg;
#define ARG_IDENT(n, schema_, t)                                                                   \
    {                                                                                              \
        DB_ARG_IDENT, (n), (t), (schema_), 0                                                       \
    }
#define ARG_TEXT(n, t)                                                                             \
    {                                                                                              \
        DB_ARG_TEXT, (n), (t), {0}, 0                                                              \
    }
#define ARG_INT(n, v)                                                                              \
    {                                                                                              \
        DB_ARG_INT, (n), {0}, {0}, (v)                                                             \
    }
#define ARG_RAW(n, t)                                                                              \
    {                                                                                              \
        DB_ARG_RAW, (n), (t), {0}, 0                                                               \
    }
#define DB_ARGS(...) ((const DbArg[]){__VA_ARGS__ __VA_OPT__(, ){DB_ARG_END, NULL, {0}, {0}, 0}})

bool db_has_query(const Db *db, DbQuery query); /* this engine's files hold it */
Str db_render(const Db *db, Arena *arena, DbQuery query, const DbArg *args);
/* render + query / exec */
bool db_ask(Db *db, Arena *arena, DbQuery query, const DbArg *args, DbResult *ret, Error *err)
    MUST_CHECK;
bool db_do(Db *db, DbQuery query, const DbArg *args, Error *err) MUST_CHECK;
Str db_quote_ident(const Db *db, Arena *arena, Str name);
Str db_quote_literal(const Db *db, Arena *arena, Str value);
/* An SQL expression: one order-independent number over all rows of the columns (fast path). */
Str db_digest_expr(const Db *db, Arena *arena, const char *const *columns);

/* Sleeps for `ms`, or until the server sends something unasked: a notification that this session
 * listens for (`told`), or the end of the connection, which the next query tells. */
bool db_pause(Db *db, int64_t ms, bool *ret_told, Error *err) MUST_CHECK;

/* Whether the session that answered just now is another one than we connected to: a pooler stands
 * between. Facts say the same (`pooled`); this is for who has not asked for them yet. */
bool db_is_pooled(const Db *db, int64_t session_id);

/* ---- sessions of others (DB_CAP_SERVER) ---- */
bool db_cancel_session(Db *db, int64_t session_id, Error *err) MUST_CHECK; /* its statement */
bool db_end_session(Db *db, int64_t session_id, Error *err) MUST_CHECK;
/* Who keeps our session `session_id` waiting: lines for people "pid 4711 (psql, idle in transaction
 * since 3 min, app): LOCK TABLE ..." joined by newlines; "" when nobody can be seen. */
bool db_blockers(Db *db, Arena *arena, int64_t session_id, Str *ret, Error *err) MUST_CHECK;
/* How long (ms) the longest-waiting other session has been waiting behind `session_id`, 0 = none;
 * and how many wait. Engines that cannot tell answer 0. */
bool db_victims(Db *db, int64_t session_id, int64_t *ret_longest_ms, int64_t *ret_count, Error *err)
    MUST_CHECK;
