/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The tokens of three dialects, as far as statements and their heads need them: quotes and comments
 * exactly, numbers as words, operators byte by byte. Never fails: what is not terminated comes out
 * as TOKEN_BAD, and a token ends where the text ends.
 */

#include "sql/split.h"

typedef enum TokenKind {
    TOKEN_END,       /* of the text */
    TOKEN_WORD,      /* keyword, unquoted name or number */
    TOKEN_NAME,      /* quoted name, with its quotes */
    TOKEN_STRING,    /* string, with its quotes (and E or U& before them) */
    TOKEN_SYMBOL,    /* any other byte */
    TOKEN_GATE,      /* MySQL: the beginning or end of an executable comment: code is inside */
    TOKEN_DELIMITER, /* MySQL: what a DELIMITER line has set */
    TOKEN_BAD,       /* opened at `start`, never closed: `fault` says what */
} TokenKind;

typedef struct Token {
    TokenKind kind;
    size_t start, end;
    const char *fault;
} Token;

typedef struct Lexer {
    Str text;
    size_t at;
    SqlDialect dialect;
    bool no_backslash_escapes, ansi_quotes;
    Str delimiter;     /* absent: ';' ends statements */
    size_t gates;      /* executable comments that are open */
    size_t gate_start; /* where the outermost of them began */
} Lexer;

Lexer lexer_new(Str text, const SqlOptions *options);
Token lex_next(Lexer *l);
Token lex_peek(const Lexer *l); /* what lex_next would return */
/* MySQL: `at` is behind the word DELIMITER. Takes the rest of the line; false = no delimiter there.
 */
bool lex_delimiter_line(Lexer *l);

Str lex_text(const Lexer *l, const Token *t);
bool lex_is_word(const Lexer *l, const Token *t, const char *word); /* unquoted, any case */
bool lex_is_symbol(const Lexer *l, const Token *t, char symbol);
/* Index in a list that ends with NULL, or -1. */
int lex_word_in(const Lexer *l, const Token *t, const char *const *words);
