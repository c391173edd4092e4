/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Facts about a statement from its first words: all there is for SQLite and MySQL, and for
 * PostgreSQL where the server's grammar is newer than the parser's. */

#include "sql/lex.h"

enum { WORDS_MAX = 24 };

typedef struct Words {
    const Lexer *lexer;
    Token        tokens[WORDS_MAX];
    size_t       n;
} Words;

void words_facts(Arena *arena, const Words *words, SqlStatement *s);
/* CREATE/ALTER of a routine, trigger or event: its body may hold semicolons. */
bool words_make_routine(const Words *words);
