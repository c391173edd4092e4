/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The parts of the MySQL driver: driver_mysql.c talks to the client library, the others know only
 * the URL, the text and the driver's own queries.
 */

#include "db/driver.h"

/* What the rest of the driver knows of a connection. */
typedef struct MysqlServer {
    int version_num; /* 80036; MariaDB 101119 */
    bool mariadb;
    bool no_backslash_escapes; /* of the session, as the server's last answer told */
    int lock_views;            /* mysql_sessions.c: a bit for each view that may not be read */
} MysqlServer;

MysqlServer *mysql_server(const Db *db);

/* ---- mysql_params.c: what the URL says about the connection ---- */
typedef enum MysqlTls {
    MYSQL_TLS_DISABLED,
    MYSQL_TLS_PREFERRED,
    MYSQL_TLS_REQUIRED,
    MYSQL_TLS_VERIFY_CA,
    MYSQL_TLS_VERIFY_IDENTITY,
} MysqlTls;

typedef struct MysqlParams {
    const char *socket; /* NULL = TCP */
    MysqlTls tls;
    const char *ca; /* NULL = none given, and none found where it is needed */
    const char *cert, *key;
    int64_t connect_timeout_ms; /* 0 = not given */
    bool no_foreign_keys;       /* foreign_key_checks=0 */
} MysqlParams;

bool mysql_params(Arena *arena, const DbUrl *url, MysqlParams *ret, Error *err) MUST_CHECK;

/* ---- mysql_error.c: the server's (or the library's) number and text put into `err` ----
 * `sql` is what was sent, absent while connecting. */
void mysql_error_fill(Error *err, unsigned number, const char *message, Str sql);
/* After these the connection is of no use any more. */
bool mysql_error_breaks(unsigned number);
/* Where "near '...' at line N" points, or -1. */
int64_t mysql_error_offset(const char *message, Str sql);

/* ---- mysql_text.c ---- */
Str mysql_quote_ident(const Db *db, Arena *arena, Str name);
Str mysql_quote_literal(const Db *db, Arena *arena, Str value);
Str mysql_digest_expr(const Db *db, Arena *arena, const char *const *columns);

/* ---- mysql_sessions.c ---- */
bool mysql_facts(Db *db, Arena *arena, DbFacts *ret, Error *err);
bool mysql_blockers(Db *db, Arena *arena, int64_t session_id, Str *ret, Error *err);
bool mysql_victims(Db *db, int64_t session_id, int64_t *longest_ms, int64_t *count, Error *err);
bool mysql_cancel_session(Db *db, int64_t session_id, Error *err);
bool mysql_end_session(Db *db, int64_t session_id, Error *err);
