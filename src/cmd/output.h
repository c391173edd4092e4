/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What goes to stdout: aligned text tables, paragraphs of 80 columns, one JSON object. */

#include "core/str.h"

#include <jansson.h>

enum { OUTPUT_CEILING = 256 << 20 };

/* Everything that a command has to say, in one go. A reader that went away or a full disk is an
 * error: a script must not take half an answer for a whole one. */
bool output_write(Str text, Error *err) MUST_CHECK;
/* One JSON object, indented on a terminal. Takes the reference. */
bool output_json(Arena *arena, json_t *object, Error *err) MUST_CHECK;

/* JSON text of any bytes: what is not UTF-8 is replaced. Absent gives null. */
json_t *output_json_text(Arena *arena, Str text);
/* For a terminal: control characters but line ends as '?'. */
Str output_tamed(Arena *arena, Str text);

typedef struct Table {
    Arena *arena;
    size_t columns;
    const char *const *titles;
    const char *align; /* one of "<>" a column */
    VEC(Str) cells;    /* row by row */
} Table;
Table table_new(Arena *arena, const char *align, const char *const *titles);
void table_add(Table *t, Str cell); /* absent is shown as empty; control characters as '?' */
void table_print(const Table *t, StrBuf *out, const char *indent, bool color);

/* Words of `text` in lines of at most 80 columns; lines after the first begin at `indent`. `column`
 * is where the first line stands already. Newlines in the text are kept. */
void output_wrap(StrBuf *out, const char *text, size_t column, size_t indent);

/* Styles are empty without colour. */
typedef enum Style {
    STYLE_NONE,
    STYLE_BOLD,
    STYLE_DIM,
    STYLE_GREEN,
    STYLE_YELLOW,
    STYLE_RED
} Style;
const char *style_on(Style style, bool color);
const char *style_off(bool color);
