/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a run needs to know of a statement, read from its first words. One reader for each dialect
 * over one cursor; none of them fails: what they do not know is SQL_KIND_OTHER without an object.
 */

#include "sql/lex.h"

/* Fills kind and what follows it in *s. `text` is the statement alone. */
void sql_facts(Arena *arena, const SqlOptions *options, Str text, SqlStatement *s);

/* ---- for the readers ---- */

typedef struct Facts {
    Arena *arena;
    const SqlOptions *options;
    Lexer lex;
    Token token;   /* the one looked at */
    size_t parens; /* open before it */
    SqlStatement *s;
} Facts;

typedef enum FactsVerb { FACTS_CREATE, FACTS_CHANGE, FACTS_DROP } FactsVerb;

typedef struct WordKind {
    const char *word;
    SqlKind kind;
} WordKind;

void facts_next(Facts *f);
bool facts_at(const Facts *f, const char *word);
bool facts_at_symbol(const Facts *f, char symbol);
bool facts_at_any(const Facts *f, const char *const *words);
/* These move on when it is there. */
bool facts_take(Facts *f, const char *word);
bool facts_take_symbol(Facts *f, char symbol);
bool facts_take_any(Facts *f, const char *const *words);
bool facts_end(const Facts *f);
/* To the next `word` outside of parentheses; false: there is none, and the end is reached. */
bool facts_seek(Facts *f, const char *word);
/* From a '(' to behind its ')'. */
void facts_skip_parens(Facts *f);
/* name or schema.name (of a longer one the last two). Both absent when there is none, or it is
 * written in a way not read here (U&"..."). */
void facts_name(Facts *f, Str *ret_schema, Str *ret_name);
/* [IF [NOT] EXISTS] and the object's name. Forgets it where more than one is named: their fates may
 * differ. */
void facts_object(Facts *f, SqlObjectKind kind, FactsVerb verb);
void facts_new_name(Facts *f); /* forgets the object when it moves to another schema */
void facts_forget_object(Facts *f);
/* SQL_KIND_OTHER when the word is in no row. */
SqlKind facts_kind(const Facts *f, const WordKind *rows, size_t count);

void facts_postgres(Facts *f);
void facts_mysql(Facts *f);
void facts_sqlite(Facts *f);
