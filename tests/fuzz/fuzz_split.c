/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQL of any dialect. Statements come out in order, inside the text, without overlap, and their
 * line is the line of their offset; a refusal says why.
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
        must(err.code != ERROR_NONE && err.message[0] != '\0');
        return 0;
    }
    size_t end = 0;
    for (size_t i = 0; i < found.n; i++) {
        const SqlStatement *s = &found.p[i];
        size_t line, column;
        must(s->length > 0 && s->offset >= end && s->offset + s->length <= text.n);
        end = s->offset + s->length;
        str_position(text, s->offset, &line, &column);
        must(line == s->line && column == s->column);
    }
    return 0;
}
