/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Database URLs: parsed once, shown without secrets for ever after. Schemes (contract 3):
 * postgres, postgresql, postgis, pgsql, cockroachdb, mysql, mysql2, mariadb, sqlite, sqlite3, file,
 * with any `+driver` suffix and `jdbc:` prefix. A URL that does not parse is never echoed.
 */

#include "core/error.h"
#include "core/secret.h"
#include "core/str.h"

typedef enum DbEngine { DB_POSTGRES, DB_MYSQL, DB_SQLITE } DbEngine;

typedef struct DbParam {
    char *name, *value; /* decoded */
} DbParam;

typedef struct DbUrl {
    DbEngine engine;
    char *user; /* NULL when not given */
    Secret password;
    char *host;          /* NULL = the driver's default; a directory or path = Unix socket;
                          * PostgreSQL: may be several, "h1,h2", then ports may be the param "port" */
    int port;            /* 0 = default (dburl_port) */
    char *database;      /* NULL when not given; SQLite: the path, ":memory:" for memory */
    VEC(DbParam) params; /* query options that are not one of the above, known by name (url.c) */
    char *display;       /* `postgresql://user@host/name`, `mysql://...`, `sqlite:path` */
} DbUrl;

bool dburl_parse(Arena *arena, Str text, DbUrl *ret, Error *err) MUST_CHECK;
/* From separate parts (PGHOST and kin, DB_HOST and kin). engine as decided by the caller. */
typedef struct DbParts {
    DbEngine engine;
    Str host, port, database, user, password;
    Str params; /* "a=b&c=d" or absent */
} DbParts;
bool dburl_from_parts(Arena *arena, const DbParts *parts, DbUrl *ret, Error *err) MUST_CHECK;
/* The URL again, password and all, for a child's environment. A secret: never print it. */
char *dburl_reveal(Arena *arena, const DbUrl *url);
const char *dburl_param(const DbUrl *url, const char *name); /* the last; NULL = not given */
/* About client libraries (pool sizes, caches): in `params` for the child, nothing to a driver. */
bool dburl_param_is_idle(const char *name);
int dburl_port(const DbUrl *url); /* the engine's default where none is given; SQLite: 0 */
const char *db_engine_name(DbEngine engine); /* "postgresql", "mysql", "sqlite" */
