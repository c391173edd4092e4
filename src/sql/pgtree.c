/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sole user of libpg_query's parser. Only the raw grammar is run: it is linear, some 70 MB/s, and
 * does not recurse. The tree is not asked for: writing it out recurses once a level without a limit
 * (15-4.0.0: `CREATE VIEW v AS SELECT 1+1+...` with some ten thousand terms ends the process), and
 * what a run needs to know stands in a statement's first words (sql/facts_postgres.c).
 */

#include "sql/pgtree.h"

#include <stdio.h>
#include <string.h>

#include <pg_query.h>

#include "sql/split.h"
#include "sql/version.h"
#include "core/banned.h"

int
sql_parser_major(void)
{
    return PG_VERSION_NUM / 10000;
}

static void
free_result(PgQuerySplitResult *result)
{
    pg_query_free_split_result(*result);
}

/* The parser counts characters; in text that is no UTF-8 it may count too many. */
static size_t
byte_of_character(Str text, int position)
{
    size_t at = 0;
    for (int i = 1; i < position && at < text.n; i++) {
        at++;
        while (at < text.n && ((unsigned char)text.p[at] & 0xc0) == 0x80)
            at++;
    }
    return at;
}

static void
copy_message(char *buf, size_t size, const char *message)
{
    size_t n = strlen(message);
    snprintf(buf, size, "%s", message);
    if (n < size)
        return;
    n = size - 4;
    while (n > 0 && ((unsigned char)buf[n] & 0xc0) == 0x80)
        n--;
    snprintf(buf + n, size - n, "...");
}

static const char *
words_of(const PgQueryError *error)
{
    const char *message = error->message;
    if (!message || !message[0])
        return "syntax error";
    /* The grammar's stack, of some ten thousand levels, is full. */
    return strncmp(message, "memory exhausted", 16) == 0 ? "nested too deeply" : message;
}

PgCheck
pgtree_check(Arena *scratch, Str statement)
{
    PgCheck check = {0};
    CLEANUP(free_result)
    PgQuerySplitResult result = pg_query_split_with_parser(str_dup(scratch, statement));
    if (result.error) {
        copy_message(check.message, sizeof check.message, words_of(result.error));
        check.at = byte_of_character(statement, result.error->cursorpos);
    } else {
        check.statements = result.n_stmts > 0 ? (size_t)result.n_stmts : 0;
    }
    return check;
}

void
sql_libraries(Arena *arena, LibraryVersions *list)
{
    *vec_push(arena, list) = (LibraryVersion){"libpg_query", PG_VERSION};
}
