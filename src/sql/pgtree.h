/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* PostgreSQL's own grammar, through libpg_query. The only room that includes its headers. */

#include "sql/split.h"

typedef struct PgSpan {
    size_t offset, length;
} PgSpan;
typedef VEC(PgSpan) PgSpans;

/* Boundaries by the scanner (the parser where the text holds SQL-standard function bodies, whose
 * semicolons the scanner cannot tell). Spans begin with whatever blanks and comments come first.
 * False with err->sql_offset on a scan error. `text` is NUL-terminated behind its end. */
bool pg_boundaries(Arena *arena, Str text, PgSpans *ret, Error *err) MUST_CHECK;
/* Facts of one statement; *ret_known false when it does not parse, err then says why and where
 * (sql_offset relative to `text`), without being a failure of the call. */
void pg_facts(Arena *arena, Str text, int server_major, SqlStatement *s, bool *ret_known, Error *why);
