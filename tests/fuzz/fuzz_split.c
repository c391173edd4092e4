/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQL of any dialect. Statements come out in order, inside the text, without overlap, and their
 * line is the line of their offset; a statement alone is that one statement again, and between them
 * nothing is left but blanks, comments and ';'. A refusal says why, and where.
 */

#include "sql/split.h"

#include <stdlib.h>

#include "core/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool true_)
{
    if (!true_)
        abort();
}

/* DELIMITER lines and the rows behind COPY are neither statements nor blanks. */
static bool
has_more_than_sql(Str text)
{
    for (size_t i = 0; i < text.n; i++) {
        Str here = str_sub(text, i, i + 9);
        if (str_eq_nocase(here, STR("delimiter")) ||
            str_eq_nocase(str_sub(here, 0, 4), STR("copy")))
            return true;
    }
    return false;
}

static void
check_alone(const SqlOptions *options, Str statement)
{
    SCRATCH_ARENA(arena);
    Error err = ERROR_INIT;
    SqlStatements found = {0};
    /* MySQL: two dashes are a comment where the text ends. */
    if (options->dialect == SQL_MYSQL && str_ends(statement, STR("--")))
        return;
    must(sql_split(arena, statement, options, &found, &err));
    must(found.n == 1 && found.p[0].offset == 0 && found.p[0].length == statement.n);
}

static void
check_between(const SqlOptions *options, Str between)
{
    SCRATCH_ARENA(arena);
    Error err = ERROR_INIT;
    SqlStatements found = {0};
    must(sql_split(arena, between, options, &found, &err));
    must(found.n == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    SCRATCH_ARENA(arena);
    Error err = ERROR_INIT;
    /* The first byte chooses how to read the rest. */
    SqlOptions options = {
        .dialect = (SqlDialect)(data[0] % 3),
        .facts = (data[0] & 4) != 0,
        .no_backslash_escapes = (data[0] & 8) != 0,
        .ansi_quotes = (data[0] & 16) != 0,
        .server_major = (data[0] & 32) != 0 ? 99 : 0,
    };
    Str text = {(const char *)data + 1, size - 1};
    SqlStatements found = {0};

    (void)sql_is_blank(options.dialect, text);
    if (!sql_split(arena, text, &options, &found, &err)) {
        must(err.code == ERROR_USAGE && err.message[0] != '\0' && err.line > 0);
        must(err.sql_offset >= 0 && (size_t)err.sql_offset <= text.n);
        return 0;
    }
    size_t end = 0;
    bool only_sql = !has_more_than_sql(text);
    for (size_t i = 0; i < found.n; i++) {
        const SqlStatement *s = &found.p[i];
        size_t line, column;
        must(s->length > 0 && s->offset >= end && s->offset + s->length <= text.n);
        if (only_sql) {
            check_between(&options, str_sub(text, end, s->offset));
            check_alone(&options, str_sub(text, s->offset, s->offset + s->length));
        }
        end = s->offset + s->length;
        str_position(text, s->offset, &line, &column);
        must(line == s->line && column == s->column);
    }
    if (only_sql)
        check_between(&options, str_sub(text, end, text.n));
    return 0;
}
