/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes to tokens. One switch; what differs between the dialects stands beside its rule. */

#include "sql/lex.h"

#include <string.h>

#include "core/banned.h"

Lexer
lexer_new(Str text, const SqlOptions *options)
{
    return (Lexer){.text = text,
                   .dialect = options->dialect,
                   .no_backslash_escapes = options->no_backslash_escapes,
                   .ansi_quotes = options->ansi_quotes};
}

/* ---- characters ---- */

/* The byte at an offset; 0 behind the end (a NUL within the text is no token of its own either). */
static char
byte_at(const Lexer *l, size_t at)
{
    return at < l->text.n ? l->text.p[at] : '\0';
}

static bool
is_letter(char c)
{
    return ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '_' || (unsigned char)c >= 0x80;
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_blank(const Lexer *l, char c)
{
    if (c == '\v') /* PostgreSQL from 16, MySQL; an unknown byte to SQLite */
        return l->dialect != SQL_SQLITE;
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static bool
starts_at(const Lexer *l, size_t at, Str prefix)
{
    return str_starts(str_sub(l->text, at, l->text.n), prefix);
}

/* Offset behind the next `needle`, or the end of the text with false. */
static bool
behind(const Lexer *l, size_t from, Str needle, size_t *ret)
{
    Str rest = str_sub(l->text, from, l->text.n);
    size_t at = str_find_str(rest, needle);
    bool found = at < rest.n;
    *ret = found ? from + at + needle.n : l->text.n;
    return found;
}

/* ---- comments ---- */

static size_t
line_end(const Lexer *l, size_t at)
{
    bool lone_cr = l->dialect == SQL_POSTGRES; /* ends a line in its grammar */
    while (at < l->text.n && l->text.p[at] != '\n' && !(lone_cr && l->text.p[at] == '\r'))
        at++;
    return at;
}

static bool
is_line_comment(const Lexer *l, size_t at)
{
    char c = byte_at(l, at);
    if (l->dialect == SQL_MYSQL && c == '#')
        return true;
    if (c != '-' || byte_at(l, at + 1) != '-')
        return false;
    /* MySQL: 5--1 is arithmetic; a comment's dashes are followed by a blank or a control byte. */
    unsigned char third = (unsigned char)byte_at(l, at + 2);
    return l->dialect != SQL_MYSQL || third <= ' ' || third == 0x7f;
}

/* PostgreSQL nests block comments. */
static bool
nested_comment_end(const Lexer *l, size_t at, size_t *ret)
{
    size_t depth = 1;
    for (at += 2; at + 1 < l->text.n; at++) {
        const char *p = l->text.p + at;
        if (p[0] == '/' && p[1] == '*') {
            depth++;
            at++;
        } else if (p[0] == '*' && p[1] == '/') {
            depth--;
            at++;
            if (depth == 0) {
                *ret = at + 1;
                return true;
            }
        }
    }
    *ret = l->text.n;
    return false;
}

/* MySQL, MariaDB: code between the marks of a comment. MariaDB dumps begin with a note in one of
 * version 999999, which no server reaches. */
static bool
is_gate(const Lexer *l, size_t at)
{
    if (l->dialect != SQL_MYSQL)
        return false;
    return starts_at(l, at, STR("/*!")) ||
           (starts_at(l, at, STR("/*M!")) && !starts_at(l, at, STR("/*M!999999")));
}

static size_t
gate_end(const Lexer *l, size_t at)
{
    at += byte_at(l, at + 2) == 'M' ? 4 : 3;
    for (int digits = 0; digits < 6 && is_digit(byte_at(l, at)); digits++)
        at++;
    return at;
}

/* Moves over blanks and comments. False when a comment is not closed: it begins at l->at. */
static bool
skip_blanks(Lexer *l)
{
    while (l->at < l->text.n) {
        if (is_blank(l, l->text.p[l->at])) {
            l->at++;
        } else if (is_line_comment(l, l->at)) {
            l->at = line_end(l, l->at);
        } else if (starts_at(l, l->at, STR("/*")) && !is_gate(l, l->at)) {
            size_t end;
            bool closed = l->dialect == SQL_POSTGRES ? nested_comment_end(l, l->at, &end)
                                                     : behind(l, l->at + 2, STR("*/"), &end);
            if (!closed && l->dialect != SQL_SQLITE) /* SQLite: the end of the text closes it */
                return false;
            l->at = end;
        } else {
            break;
        }
    }
    return true;
}

/* ---- quotes ---- */

/* `at` is behind the opening quote. Returns the offset behind the closing one. A doubled quote
 * stands for itself. */
static bool
quoted_end(const Lexer *l, size_t at, char quote, bool backslash, size_t *ret)
{
    const char *p = l->text.p;
    for (; at < l->text.n; at++) {
        if (p[at] == '\\' && backslash) {
            at++;
        } else if (p[at] == quote) {
            if (byte_at(l, at + 1) != quote) {
                *ret = at + 1;
                return true;
            }
            at++;
        }
    }
    *ret = l->text.n;
    return false;
}

/* PostgreSQL: a string goes on behind a line break, E'a' NEWLINE 'b', and keeps its escapes. Offset
 * behind the quote that goes on, or 0. */
static size_t
continued_at(const Lexer *l, size_t at)
{
    bool broken = false;
    for (; at < l->text.n; at++) {
        char c = l->text.p[at];
        if (c == '\'')
            return broken ? at + 1 : 0;
        if (is_line_comment(l, at))
            at = line_end(l, at) - 1;
        else if (c == '\n' || c == '\r')
            broken = true;
        else if (!is_blank(l, c))
            return 0;
    }
    return 0;
}

static bool
escape_string_end(const Lexer *l, size_t at, size_t *ret)
{
    while (quoted_end(l, at, '\'', true, ret)) {
        at = continued_at(l, *ret);
        if (at == 0)
            return true;
    }
    return false;
}

/* PostgreSQL: at a '$'. Length of $tag$, 0 when it is none. */
static size_t
dollar_tag(const Lexer *l, size_t at)
{
    size_t end = at + 1;
    if (is_letter(byte_at(l, end))) {
        while (is_letter(byte_at(l, end)) || is_digit(byte_at(l, end)))
            end++;
    }
    return byte_at(l, end) == '$' ? end + 1 - at : 0;
}

/* ---- tokens ---- */

static Token
quoted(Lexer *l, size_t start, bool closed, size_t end, TokenKind kind, const char *fault)
{
    l->at = end;
    return closed ? (Token){kind, start, end, NULL} : (Token){TOKEN_BAD, start, end, fault};
}

static Token
quote_token(Lexer *l, char quote)
{
    size_t start = l->at, end;
    bool name = quote == '`' || (quote == '"' && (l->dialect != SQL_MYSQL || l->ansi_quotes));
    bool backslash = l->dialect == SQL_MYSQL && !name && !l->no_backslash_escapes;
    bool closed = quoted_end(l, start + 1, quote, backslash, &end);
    return quoted(l, start, closed, end, name ? TOKEN_NAME : TOKEN_STRING,
                  name ? "unterminated quoted identifier" : "unterminated quoted string");
}

/* PostgreSQL: E'...', U&'...', U&"..." are one token. Not at one: kind TOKEN_END. */
static Token
prefixed_token(Lexer *l)
{
    size_t start = l->at, end;
    char letter = (char)(byte_at(l, start) | 32), second = byte_at(l, start + 1);
    if (letter == 'e' && second == '\'') {
        bool closed = escape_string_end(l, start + 2, &end);
        return quoted(l, start, closed, end, TOKEN_STRING, "unterminated quoted string");
    }
    char quote = byte_at(l, start + 2);
    if (letter != 'u' || second != '&' || (quote != '\'' && quote != '"'))
        return (Token){TOKEN_END, start, start, NULL};
    bool closed = quoted_end(l, start + 3, quote, false, &end);
    return quoted(l, start, closed, end, quote == '"' ? TOKEN_NAME : TOKEN_STRING,
                  quote == '"' ? "unterminated quoted identifier" : "unterminated quoted string");
}

static bool
at_delimiter(const Lexer *l, size_t at)
{
    if (l->delimiter.n == 0 || l->gates > 0 || !starts_at(l, at, l->delimiter))
        return false;
    /* A delimiter that is a word must stand alone. */
    char last = l->delimiter.p[l->delimiter.n - 1], next = byte_at(l, at + l->delimiter.n);
    return !(is_letter(last) || is_digit(last)) || !(is_letter(next) || is_digit(next));
}

static Token
word_token(Lexer *l)
{
    size_t start = l->at, end = start;
    /* PostgreSQL: a number does not take a '$' along, so that 1$$ opens a string as it does there.
     */
    bool dollar = l->dialect != SQL_POSTGRES || !is_digit(byte_at(l, start));
    /* A delimiter such as $$ ends a word: END$$. */
    bool cut = l->delimiter.n > 0 && !is_letter(l->delimiter.p[0]) && !is_digit(l->delimiter.p[0]);
    for (char c; c = byte_at(l, end), is_letter(c) || is_digit(c) || (c == '$' && dollar); end++) {
        if (cut && end > start && at_delimiter(l, end))
            break;
    }
    l->at = end;
    return (Token){TOKEN_WORD, start, end, NULL};
}

static Token
symbol_token(Lexer *l, size_t length, TokenKind kind)
{
    size_t start = l->at;
    l->at += length;
    return (Token){kind, start, l->at, NULL};
}

static Token
gate_token(Lexer *l)
{
    if (l->gates > 0 && starts_at(l, l->at, STR("*/"))) {
        l->gates--;
        return symbol_token(l, 2, TOKEN_GATE);
    }
    if (!is_gate(l, l->at))
        return (Token){TOKEN_END, l->at, l->at, NULL};
    if (l->gates++ == 0)
        l->gate_start = l->at;
    return symbol_token(l, gate_end(l, l->at) - l->at, TOKEN_GATE);
}

static Token
dollar_token(Lexer *l)
{
    size_t start = l->at, length = dollar_tag(l, start), end;
    if (length == 0)
        return symbol_token(l, 1, TOKEN_SYMBOL);
    bool closed = behind(l, start + length, str_sub(l->text, start, start + length), &end);
    return quoted(l, start, closed, end, TOKEN_STRING, "unterminated dollar-quoted string");
}

Token
lex_next(Lexer *l)
{
    if (!skip_blanks(l))
        return quoted(l, l->at, false, l->text.n, TOKEN_END, "unterminated comment");
    if (l->at >= l->text.n && l->gates > 0)
        return (Token){TOKEN_BAD, l->gate_start, l->text.n, "unterminated comment"};
    if (l->at >= l->text.n)
        return (Token){TOKEN_END, l->text.n, l->text.n, NULL};
    if (at_delimiter(l, l->at))
        return symbol_token(l, l->delimiter.n, TOKEN_DELIMITER);

    Token token = l->dialect == SQL_MYSQL ? gate_token(l) : (Token){0};
    if (token.kind == TOKEN_END && l->dialect == SQL_POSTGRES)
        token = prefixed_token(l);
    if (token.kind != TOKEN_END)
        return token;

    char c = l->text.p[l->at];
    if (c == '\'' || c == '"' || (c == '`' && l->dialect != SQL_POSTGRES))
        return quote_token(l, c);
    if (c == '[' && l->dialect == SQL_SQLITE) {
        size_t end;
        bool closed = behind(l, l->at + 1, STR("]"), &end);
        return quoted(l, l->at, closed, end, TOKEN_NAME, "unterminated quoted identifier");
    }
    if (c == '$' && l->dialect == SQL_POSTGRES)
        return dollar_token(l);
    if (is_letter(c) || is_digit(c) || c == '$')
        return word_token(l);
    return symbol_token(l, 1, TOKEN_SYMBOL);
}

Token
lex_peek(const Lexer *l)
{
    Lexer ahead = *l;
    return lex_next(&ahead);
}

bool
lex_delimiter_line(Lexer *l)
{
    Str rest = str_sub(l->text, l->at, l->text.n);
    Str line = str_trim(str_sub(rest, 0, str_find(rest, '\n')));
    size_t n = 0;
    l->at += str_find(rest, '\n');
    if (line.n > 1 && (line.p[0] == '\'' || line.p[0] == '"')) {
        Str inside = str_sub(line, 1, line.n);
        line = str_sub(inside, 0, str_find(inside, line.p[0]));
    }
    while (n < line.n && !is_blank(l, line.p[n]))
        n++;
    if (n == 0)
        return false;
    line = str_sub(line, 0, n);
    l->delimiter = str_eq(line, STR(";")) ? STR_ABSENT : line;
    return true;
}

/* ---- what a token says ---- */

Str
lex_text(const Lexer *l, const Token *t)
{
    return str_sub(l->text, t->start, t->end);
}

bool
lex_is_word(const Lexer *l, const Token *t, const char *word)
{
    return t->kind == TOKEN_WORD && str_eq_nocase(lex_text(l, t), str_of(word));
}

bool
lex_is_symbol(const Lexer *l, const Token *t, char symbol)
{
    return t->kind == TOKEN_SYMBOL && l->text.p[t->start] == symbol;
}

int
lex_word_in(const Lexer *l, const Token *t, const char *const *words)
{
    for (int i = 0; t->kind == TOKEN_WORD && words[i]; i++) {
        if (lex_is_word(l, t, words[i]))
            return i;
    }
    return -1;
}
