/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The two halves of the MySQL driver: driver_mysql.c talks to the client library, the others are
 * built on its queries alone.
 */

#include "db/driver.h"

/* What the rest of the driver knows of a connection. */
typedef struct MysqlServer {
    int  version_num; /* 80036; MariaDB 101119 */
    bool mariadb;
    bool no_backslash_escapes; /* as the server's last answer told */
    int  lock_views; /* mysql_sessions.c: which views may be read; a bit for each that may not */
} MysqlServer;

MysqlServer *mysql_server(Db *db);

/* mysql_error.c: the server's (or the library's) number and text put into `err`. `sql` is what was
 * sent, absent while connecting. */
void mysql_error_fill(Error *err, unsigned number, const char *message, Str sql);
/* After these the connection is of no use any more. */
bool mysql_error_breaks(unsigned number);
/* Where "near '...' at line N" points, or -1. */
int64_t mysql_error_offset(const char *message, Str sql);

/* mysql_sessions.c */
bool mysql_facts(Db *db, Arena *arena, DbFacts *ret, Error *err);
bool mysql_blockers(Db *db, Arena *arena, int64_t session_id, Str *ret, Error *err);
bool mysql_victims(Db *db, int64_t session_id, int64_t *longest_ms, int64_t *count, Error *err);
bool mysql_cancel_session(Db *db, int64_t session_id, Error *err);
bool mysql_end_session(Db *db, int64_t session_id, Error *err);
