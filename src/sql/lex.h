/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Tokens of the three dialects, as far as finding the ends of statements asks: words, quoted things
 * and single characters. Comments and blanks are skipped, but for MySQL's executable comments,
 * which count as code.
 */

#include "core/error.h"
#include "core/str.h"
#include "sql/split.h"

typedef enum TokenKind {
    TOKEN_END,
    TOKEN_WORD,   /* letters, digits, _, $, @ and bytes above ASCII, starting with no digit */
    TOKEN_NUMBER,
    TOKEN_IDENT,  /* quoted identifier, quotes included */
    TOKEN_STRING, /* quoted literal, quotes included */
    TOKEN_CODE,   /* MySQL: a whole executable comment */
    TOKEN_CHAR,   /* anything else: one byte */
} TokenKind;

typedef struct Token {
    TokenKind kind;
    size_t    offset, length;
} Token;

typedef struct Lexer {
    SqlOptions options;
    Str        text;
    size_t     at;
    Str        stop; /* the lexer ends before this text (a DELIMITER); absent = none */
} Lexer;

/* Fails with line and column on an unterminated quote or comment. */
bool lex_next(Lexer *lexer, Token *ret, Error *err) MUST_CHECK;
Str  token_text(const Lexer *lexer, const Token *token);
bool token_is(const Lexer *lexer, const Token *token, const char *word); /* any case */
bool token_is_char(const Lexer *lexer, const Token *token, char c);
bool lex_error(const Str text, size_t offset, Error *err, const char *fmt, ...) PRINTF_LIKE(4, 5);
