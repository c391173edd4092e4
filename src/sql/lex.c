/* SPDX-License-Identifier: Apache-2.0 */
/* One lexer, three dialects: where they differ is in quotes and comments. */

#include "sql/lex.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/banned.h"

bool
lex_error(const Str text, size_t offset, Error *err, const char *fmt, ...)
{
    char    message[512];
    size_t  line, column;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    str_position(text, offset, &line, &column);
    error_set(err, ERROR_USAGE, "%s", message);
    err->cls = ERROR_CLASS_SYNTAX;
    err->line = line;
    err->column = column;
    err->sql_offset = (int64_t)offset;
    return false;
}

static char
peek(const Lexer *l, size_t ahead)
{
    return l->at + ahead < l->text.n ? l->text.p[l->at + ahead] : 0;
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_word_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '@' ||
           (unsigned char)c >= 0x80;
}

static bool
is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void
skip_line(Lexer *l)
{
    while (l->at < l->text.n && l->text.p[l->at] != '\n')
        l->at++;
}

/* A block comment: nested in PostgreSQL; SQLite takes the end of the text for its end. */
static bool
skip_block(Lexer *l, Error *err)
{
    size_t start = l->at;
    int    depth = 0;
    do {
        if (peek(l, 0) == '/' && peek(l, 1) == '*' &&
            (depth == 0 || l->options.dialect == SQL_POSTGRES)) {
            depth++;
            l->at += 2;
        } else if (peek(l, 0) == '*' && peek(l, 1) == '/') {
            depth--;
            l->at += 2;
        } else if (l->at >= l->text.n) {
            return l->options.dialect == SQL_SQLITE ||
                   lex_error(l->text, start, err, "unterminated comment: '/*' without '*/'");
        } else {
            l->at++;
        }
    } while (depth > 0);
    return true;
}

static bool
at_line_comment(const Lexer *l)
{
    if (l->options.dialect == SQL_MYSQL && peek(l, 0) == '#')
        return true;
    if (peek(l, 0) != '-' || peek(l, 1) != '-')
        return false;
    /* MySQL reads `a--1` as arithmetic: its comment needs a blank (or the end) behind the dashes. */
    char c = peek(l, 2);
    return l->options.dialect != SQL_MYSQL || l->at + 2 >= l->text.n || is_blank(c) ||
           ((unsigned char)c < 0x20);
}

static bool
at_code_comment(const Lexer *l)
{
    if (l->options.dialect != SQL_MYSQL || peek(l, 0) != '/' || peek(l, 1) != '*')
        return false;
    return peek(l, 2) == '!' || (peek(l, 2) == 'M' && peek(l, 3) == '!');
}

static bool
skip_space(Lexer *l, Error *err)
{
    for (;;) {
        if (l->stop.p && str_starts(str_sub(l->text, l->at, l->text.n), l->stop))
            return true;
        if (l->at < l->text.n && is_blank(l->text.p[l->at]))
            l->at++;
        else if (at_line_comment(l))
            skip_line(l);
        else if (peek(l, 0) == '/' && peek(l, 1) == '*' && !at_code_comment(l)) {
            if (!skip_block(l, err))
                return false;
        } else
            return true;
    }
}

/* From the opening quote to behind the closing one; the quote doubled stands for itself. */
static bool
skip_quoted(Lexer *l, char close, bool backslash, const char *what, Error *err)
{
    size_t start = l->at++;
    while (l->at < l->text.n) {
        char c = l->text.p[l->at];
        if (c == '\\' && backslash)
            l->at += 2;
        else if (c == close && close != ']' && peek(l, 1) == close)
            l->at += 2;
        else if (c == close) {
            l->at++;
            return true;
        } else
            l->at++;
    }
    l->at = l->text.n;
    return lex_error(l->text, start, err, "unterminated %s", what);
}

/* $tag$ ... $tag$; false when there is no dollar quote here. */
static bool
skip_dollar(Lexer *l, bool *ret_is, Error *err)
{
    size_t n = 1;
    while (is_word_start(peek(l, n)) || (n > 1 && is_digit(peek(l, n))))
        n++;
    *ret_is = peek(l, n) == '$';
    if (!*ret_is)
        return true;
    Str    tag = str_sub(l->text, l->at, l->at + n + 1);
    size_t body = l->at + tag.n;
    Str    rest = str_sub(l->text, body, l->text.n);
    size_t end = str_find_str(rest, tag);
    if (end == rest.n)
        return lex_error(l->text, l->at, err, "unterminated dollar quote " STR_FMT, STR_ARG(tag));
    l->at = body + end + tag.n;
    return true;
}

static bool
is_escape_prefix(const Lexer *l, const Token *word)
{
    return l->options.dialect == SQL_POSTGRES && word->length == 1 &&
           (l->text.p[word->offset] == 'e' || l->text.p[word->offset] == 'E') && peek(l, 0) == '\'';
}

static bool
lex_word(Lexer *l, Token *t, Error *err)
{
    while (is_word_start(peek(l, 0)) || is_digit(peek(l, 0)) || peek(l, 0) == '$') {
        if (l->stop.p && str_starts(str_sub(l->text, l->at, l->text.n), l->stop))
            break;
        l->at++;
    }
    t->kind = TOKEN_WORD;
    t->length = l->at - t->offset;
    if (!is_escape_prefix(l, t))
        return true;
    t->kind = TOKEN_STRING;
    return skip_quoted(l, '\'', true, "quoted string", err);
}

bool
lex_next(Lexer *l, Token *ret, Error *err)
{
    bool mysql = l->options.dialect == SQL_MYSQL, dollar = false;
    if (!skip_space(l, err))
        return false;
    Token t = {.kind = TOKEN_CHAR, .offset = l->at};
    char  c = peek(l, 0);
    bool  ok = true;
    if (l->at >= l->text.n ||
        (l->stop.p && str_starts(str_sub(l->text, l->at, l->text.n), l->stop))) {
        t.kind = TOKEN_END;
        *ret = t;
        return true;
    }
    if (is_word_start(c)) {
        ok = lex_word(l, &t, err);
    } else if (is_digit(c)) {
        t.kind = TOKEN_NUMBER;
        while (is_digit(peek(l, 0)) || is_word_start(peek(l, 0)) || peek(l, 0) == '.')
            l->at++;
    } else if (c == '\'') {
        t.kind = TOKEN_STRING;
        ok = skip_quoted(l, c, mysql && !l->options.no_backslash_escapes, "quoted string", err);
    } else if (c == '"') {
        bool string = mysql && !l->options.ansi_quotes;
        t.kind = string ? TOKEN_STRING : TOKEN_IDENT;
        ok = skip_quoted(l, c, string && !l->options.no_backslash_escapes,
                         string ? "quoted string" : "quoted identifier", err);
    } else if (c == '`' && l->options.dialect != SQL_POSTGRES) {
        t.kind = TOKEN_IDENT;
        ok = skip_quoted(l, c, false, "quoted identifier", err);
    } else if (c == '[' && l->options.dialect == SQL_SQLITE) {
        t.kind = TOKEN_IDENT;
        ok = skip_quoted(l, ']', false, "quoted identifier", err);
    } else if (at_code_comment(l)) {
        t.kind = TOKEN_CODE;
        ok = skip_block(l, err);
    } else if (c == '$' && l->options.dialect == SQL_POSTGRES) {
        ok = skip_dollar(l, &dollar, err);
        if (dollar)
            t.kind = TOKEN_STRING;
        else
            l->at++;
    } else {
        l->at++;
    }
    if (!ok)
        return false;
    t.length = l->at - t.offset;
    *ret = t;
    return true;
}

Str
token_text(const Lexer *l, const Token *t)
{
    return str_sub(l->text, t->offset, t->offset + t->length);
}

bool
token_is(const Lexer *l, const Token *t, const char *word)
{
    return t->kind == TOKEN_WORD && str_eq_nocase(token_text(l, t), str_of(word));
}

bool
token_is_char(const Lexer *l, const Token *t, char c)
{
    return t->kind == TOKEN_CHAR && l->text.p[t->offset] == c;
}
