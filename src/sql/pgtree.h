/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* PostgreSQL's own grammar: does a statement parse, and is it one? */

#include "core/str.h"

typedef struct PgCheck {
    size_t statements; /* that the parser sees in it */
    /* Refused: the parser's words, cut to a readable length, and the byte they are about. "" =
     * fine. */
    char message[256];
    size_t at;
} PgCheck;

/* `statement` without its ';'. `scratch` may be thrown away afterwards. */
PgCheck pgtree_check(Arena *scratch, Str statement);
