/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The parts of the SQLite driver: driver_sqlite.c, sqlite_text.c, backup_sqlite.c. */

#include "db/driver.h"

Str sqlite_quote_ident(const Db *db, Arena *arena, Str name);
Str sqlite_quote_literal(const Db *db, Arena *arena, Str value);
Str sqlite_digest_expr(const Db *db, Arena *arena, const char *const *columns);
bool sqlite_copy_file(Wait *wait, const char *from, const char *to, Error *err);
