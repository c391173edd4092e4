/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Inside this room: one row a format about its version table. The SQL stands in
 * db/queries/<engine>/ledger*.sql; a query that an engine lacks means that the tool does not know
 * that engine.
 */

#include "migrate/ledger.h"

#define NO_QUERY DB_QUERY_COUNT
enum { DIGEST_COLUMNS_MAX = 4 };

typedef struct LedgerTool {
    const char *table;   /* default name, may be "schema.table" */
    const char *schema;  /* that the tool keeps its table in, on engines that have `in_schema` */
    DbQuery in_schema;   /* makes that schema */
    const char *columns; /* that the table must have, comma separated */
    bool exact;          /* and no others */
    bool high_water;
    DbQuery create, seed, read, origin, applied, begun, failed, reverted, previous, accept, forget;
    const char *digest[DIGEST_COLUMNS_MAX + 1]; /* for the fast path, NULL-terminated */
} LedgerTool;

const LedgerTool *ledger_tool(FormatId format);
/* Whose table has these columns, as far as is known; NULL = nobody's. `rails`: the table
 * ar_internal_metadata stands beside it. */
const char *ledger_owner(Str columns, bool rails);
bool ledger_has_columns(Str columns, const char *wanted, bool exact);
/* The tool's own locks, by its own arithmetic. */
void ledger_tool_locks(Arena *arena, Ledger *ledger);
/* How own rows of a format begin their `origin`: "dbmate:". NULL for plain. */
const char *ledger_origin_prefix(Arena *arena, FormatId format);
/* "schema.table" -> parts; without a schema, the tool's own or else `schema` is it. */
void ledger_resolve(Arena *arena,
                    const Db *db,
                    FormatId format,
                    Str schema,
                    const char *table,
                    Str *ret_schema,
                    Str *ret_table);
/* What queries need beside values: :"table", :"in_schema", :"own", ... `extra` ends with
 * DB_ARG_END. */
Str ledger_render(Arena *arena, Db *db, const Ledger *ledger, DbQuery query, const DbArg *extra);
