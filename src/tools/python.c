/* SPDX-License-Identifier: Apache-2.0 */
/* Python's literals. */

#include "tools/python.h"

#include <string.h>

#include "core/banned.h"

enum {
    TOKENS_MAX = 200000, /* a migration with a megabyte of data has fewer */
    DEPTH_MAX = 32,
    PIECES_MAX = 64,     /* "a" "b" ... */
    TEXT_MAX = 64 * 1024 /* of a name in a list; longer texts are data, kept as they are written */
};

/* ---- tokens ---- */

typedef struct Lexer {
    Arena *arena;
    Str text;
    size_t at;
    int depth;     /* of open brackets: inside, the end of a line is a blank */
    size_t indent; /* of the logical line that is being read */
    bool started;  /* that line has begun */
    VEC(PyToken) tokens;
    VEC(size_t) starts, indents; /* a logical line: its first token, its indentation */
} Lexer;

static bool
is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (unsigned char)c >= 0x80;
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static char
peek(const Lexer *l, size_t ahead)
{
    return l->at + ahead < l->text.n ? l->text.p[l->at + ahead] : 0;
}

static void
end_line(Lexer *l)
{
    l->started = false;
}

static void
add_token(Lexer *l, PyTokenKind kind, Str text)
{
    if (!l->started) {
        *vec_push(l->arena, &l->starts) = l->tokens.n;
        *vec_push(l->arena, &l->indents) = l->indent;
        l->started = true;
    }
    *vec_push(l->arena, &l->tokens) = (PyToken){kind, text};
}

/* The escapes that occur in names and paths; a text with another one is no constant to us. */
static bool
unescape(Arena *arena, Str raw, Str *ret)
{
    char *p = arena_alloc(arena, raw.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < raw.n; i++) {
        if (raw.p[i] != '\\' || i + 1 == raw.n) {
            p[n++] = raw.p[i];
            continue;
        }
        char c = raw.p[++i];
        if (c == '\n')
            continue;
        const char *from = "\\'\"nrt", *to = "\\'\"\n\r\t", *which = c ? strchr(from, c) : NULL;
        if (!which)
            return false;
        p[n++] = to[which - from];
    }
    *ret = (Str){p, n};
    return true;
}

/* At a quote, with what stands before it (r, b, f, u) in `prefix`. */
static bool
lex_string(Lexer *l, Str prefix)
{
    char quote = peek(l, 0);
    bool triple = peek(l, 1) == quote && peek(l, 2) == quote;
    bool raw = str_find(prefix, 'r') < prefix.n || str_find(prefix, 'R') < prefix.n;
    bool strange = false;
    for (size_t i = 0; i < prefix.n; i++)
        strange = strange || strchr("fFbB", prefix.p[i]);
    l->at += triple ? 3 : 1;
    size_t from = l->at;
    for (;; l->at++) {
        if (l->at >= l->text.n)
            return false;
        char c = peek(l, 0);
        if (c == '\\')
            l->at++;
        else if (c == '\n' && !triple)
            return false;
        else if (c == quote && (!triple || (peek(l, 1) == quote && peek(l, 2) == quote)))
            break;
    }
    Str body = str_sub(l->text, from, l->at), value = body;
    l->at += triple ? 3 : 1;
    bool escaped = !raw && body.n <= TEXT_MAX && str_find(body, '\\') < body.n;
    if (strange || (escaped && !unescape(l->arena, body, &value)))
        add_token(l, PY_STRANGE, body);
    else
        add_token(l, PY_STRING, value);
    return true;
}

static bool
lex_word(Lexer *l)
{
    size_t from = l->at;
    bool number = is_digit(peek(l, 0));
    while (is_name_char(peek(l, 0)) || (number && peek(l, 0) == '.'))
        l->at++;
    Str word = str_sub(l->text, from, l->at);
    if (!number && word.n <= 2 && (peek(l, 0) == '\'' || peek(l, 0) == '"')) {
        bool prefix = true;
        for (size_t i = 0; i < word.n; i++)
            prefix = prefix && strchr("rRbBuUfF", word.p[i]);
        if (prefix)
            return lex_string(l, word);
    }
    add_token(l, number ? PY_NUMBER : PY_NAME, word);
    return true;
}

static bool
lex_sign(Lexer *l)
{
    char c = peek(l, 0);
    if (c && strchr("([{", c))
        l->depth++;
    if (c && strchr(")]}", c) && --l->depth < 0)
        return false;
    size_t n = peek(l, 1) == '=' && c && strchr("+-*/%&|^<>=!@:", c) ? 2 : 1;
    if (c == ';' && l->depth == 0)
        end_line(l);
    else
        add_token(l, PY_SIGN, str_sub(l->text, l->at, l->at + n));
    l->at += n;
    return true;
}

static void
lex_newline(Lexer *l)
{
    l->at++;
    if (l->depth > 0)
        return;
    end_line(l);
    l->indent = 0;
    for (; peek(l, 0) == ' ' || peek(l, 0) == '\t' || peek(l, 0) == '\f'; l->at++)
        l->indent++;
}

static bool
lex_one(Lexer *l)
{
    char c = peek(l, 0);
    if (c == '\n') {
        lex_newline(l);
    } else if (c == '#') {
        while (l->at < l->text.n && peek(l, 0) != '\n')
            l->at++;
    } else if (c == '\\' && (peek(l, 1) == '\n' || (peek(l, 1) == '\r' && peek(l, 2) == '\n'))) {
        l->at += peek(l, 1) == '\n' ? 2 : 3;
    } else if (c == ' ' || c == '\t' || c == '\r' || c == '\f') {
        l->at++;
    } else if (c == '\'' || c == '"') {
        return lex_string(l, STR(""));
    } else if (is_name_char(c)) {
        return lex_word(l);
    } else {
        return c != 0 && lex_sign(l);
    }
    return true;
}

bool
py_lines(Arena *arena, Str text, PyLines *ret)
{
    size_t bad;
    if (str_starts(text, STR("\xef\xbb\xbf")))
        text = str_sub(text, 3, text.n);
    if (!str_is_utf8(text, &bad))
        return false;
    Lexer l = {.arena = arena, .text = text};
    for (; peek(&l, 0) == ' ' || peek(&l, 0) == '\t'; l.at++)
        l.indent++;
    while (l.at < text.n) {
        if (!lex_one(&l) || l.tokens.n > TOKENS_MAX)
            return false;
    }
    if (l.depth)
        return false;
    PyLines lines = {0};
    for (size_t i = 0; i < l.starts.n; i++) {
        size_t from = l.starts.p[i], to = i + 1 < l.starts.n ? l.starts.p[i + 1] : l.tokens.n;
        *vec_push(arena, &lines) =
            (PyLine){.indent = l.indents.p[i], .tokens = l.tokens.p + from, .n = to - from};
    }
    *ret = lines;
    return true;
}

/* ---- values ---- */

PyValue *
py_lookup(const PyNames *names, Str name)
{
    for (size_t i = 0; names && i < names->n; i++) {
        if (str_eq(names->p[i].name, name))
            return &names->p[i].value;
    }
    return NULL;
}

void
py_assign(Arena *arena, PyNames *names, Str name, PyValue value)
{
    PyValue *there = py_lookup(names, name);
    if (there)
        *there = value;
    else
        *vec_push(arena, names) = (PyName){str_copy(arena, name), value};
}

bool
py_is(const PyLine *line, size_t at, const char *text)
{
    return at < line->n && (line->tokens[at].kind == PY_NAME || line->tokens[at].kind == PY_SIGN) &&
           str_eq(line->tokens[at].text, str_of(text));
}

static bool
opens(const PyLine *line, size_t at)
{
    return py_is(line, at, "(") || py_is(line, at, "[") || py_is(line, at, "{");
}

static bool
closes(const PyLine *line, size_t at)
{
    return py_is(line, at, ")") || py_is(line, at, "]") || py_is(line, at, "}");
}

/* A value ends at a comma, a closing bracket or the end of the line. */
static bool
ends(const PyLine *line, size_t at)
{
    return at >= line->n || py_is(line, at, ",") || closes(line, at);
}

/* Past all of what is not understood. */
static PyValue
other(Arena *arena, const PyLine *line, size_t from, size_t *at)
{
    int depth = 0;
    StrBuf text = strbuf_new(arena, 1024 + 256);
    for (*at = from; *at < line->n; ++*at) {
        if (depth == 0 && ends(line, *at))
            break;
        depth += opens(line, *at) ? 1 : closes(line, *at) ? -1 : 0;
        Str piece = line->tokens[*at].text;
        if (text.n + piece.n < 1024)
            strbuf_add(&text, piece);
    }
    return (PyValue){.kind = PY_OTHER, .text = text.n ? strbuf_str(&text) : STR("")};
}

typedef struct PyReader {
    Arena *arena;
    const PyLine *line;
    const PyNames *names;
} PyReader;

static PyValue read_sum(const PyReader *r, size_t *at, int depth);

static void
append_items(Arena *arena, PyValue *list, const PyValue *more)
{
    for (size_t i = 0; i < more->items.n; i++)
        *vec_push(arena, &list->items) = more->items.p[i];
}

/* After an opening bracket; *ret_commas: it was a list even with round brackets. */
static bool
read_items(const PyReader *r, size_t *at, int depth, PyValue *list, bool *ret_commas)
{
    *ret_commas = false;
    while (*at < r->line->n && !closes(r->line, *at)) {
        bool star = py_is(r->line, *at, "*");
        if (star)
            ++*at;
        PyValue item = read_sum(r, at, depth + 1);
        if (star && item.kind == PY_LIST)
            append_items(r->arena, list, &item);
        else if (star)
            return false;
        else
            *vec_push(r->arena, &list->items) = item;
        if (!py_is(r->line, *at, ","))
            break;
        *ret_commas = true;
        ++*at;
    }
    bool closed = closes(r->line, *at);
    if (closed)
        ++*at;
    return closed;
}

static PyValue
read_texts(const PyReader *r, size_t *at)
{
    const PyLine *line = r->line;
    PyValue value = {.kind = PY_TEXT, .text = line->tokens[(*at)++].text};
    int pieces = 0;
    while (*at < line->n && line->tokens[*at].kind == PY_STRING) { /* "a" "b" */
        Str next = line->tokens[(*at)++].text;
        if (++pieces > PIECES_MAX || value.text.n + next.n > TEXT_MAX)
            return other(r->arena, line, *at, at);
        value.text =
            str_of(str_printf(r->arena, STR_FMT STR_FMT, STR_ARG(value.text), STR_ARG(next)));
    }
    return value;
}

static PyValue
read_term(const PyReader *r, size_t *at, int depth)
{
    const PyLine *line = r->line;
    size_t from = *at;
    if (from >= line->n || depth > DEPTH_MAX)
        return other(r->arena, line, from, at);
    const PyToken *token = &line->tokens[from];
    if (token->kind == PY_STRING)
        return read_texts(r, at);
    if (opens(line, from)) {
        PyValue list = {.kind = PY_LIST};
        bool round = py_is(line, from, "("), commas;
        ++*at;
        if (!read_items(r, at, depth, &list, &commas))
            return other(r->arena, line, from, at);
        bool grouped = round && !commas && list.items.n == 1;
        return grouped ? list.items.p[0] : list;
    }
    if (token->kind == PY_NAME) {
        ++*at;
        const PyValue *known = py_lookup(r->names, token->text);
        if (str_eq(token->text, STR("None")))
            return (PyValue){.kind = PY_NONE};
        if (known && known->kind != PY_OTHER && (ends(line, *at) || py_is(line, *at, "+")))
            return *known;
    }
    return other(r->arena, line, from, at);
}

static PyValue
read_sum(const PyReader *r, size_t *at, int depth)
{
    size_t from = *at;
    PyValue sum = read_term(r, at, depth);
    while (py_is(r->line, *at, "+")) {
        ++*at;
        PyValue more = read_term(r, at, depth);
        if (sum.kind != PY_LIST || more.kind != PY_LIST)
            return other(r->arena, r->line, from, at);
        PyValue both = {.kind = PY_LIST};
        append_items(r->arena, &both, &sum);
        append_items(r->arena, &both, &more);
        sum = both;
    }
    return ends(r->line, *at) ? sum : other(r->arena, r->line, from, at);
}

bool
py_assignment(const PyLine *line, Str *ret_name, bool *ret_adds, size_t *ret_at)
{
    if (line->n < 3 || line->tokens[0].kind != PY_NAME)
        return false;
    size_t at = 1;
    if (py_is(line, 1, ":")) { /* an annotation, which may hold brackets of its own */
        int depth = 0;
        for (at = 2; at < line->n && (depth > 0 || !py_is(line, at, "=")); at++)
            depth += opens(line, at) ? 1 : closes(line, at) ? -1 : 0;
    }
    bool adds = at == 1 && py_is(line, 1, "+=");
    if (at + 1 >= line->n || (!adds && !py_is(line, at, "=")))
        return false;
    *ret_name = line->tokens[0].text;
    *ret_adds = adds;
    *ret_at = at + 1;
    return true;
}

PyValue
py_value(Arena *arena, const PyLine *line, size_t at, const PyNames *names)
{
    PyReader r = {arena, line, names};
    size_t from = at;
    PyValue value = read_sum(&r, &at, 0);
    if (at >= line->n)
        return value;
    if (!py_is(line, at, ",") || value.kind == PY_OTHER)
        return other(arena, line, from, &at);
    PyValue list = {.kind = PY_LIST}; /* "a", "b" without brackets */
    *vec_push(arena, &list.items) = value;
    while (py_is(line, at, ",") && at + 1 < line->n) {
        at++;
        *vec_push(arena, &list.items) = read_sum(&r, &at, 0);
    }
    return list;
}

PyValue
py_arguments(Arena *arena, const PyLine *line, size_t at, const PyNames *names)
{
    PyReader r = {arena, line, names};
    PyValue list = {.kind = PY_LIST};
    bool commas;
    at++;
    if (!read_items(&r, &at, 0, &list, &commas) || at < line->n)
        list.kind = PY_OTHER;
    return list;
}

bool
py_texts(Arena *arena, const PyValue *value, Str **ret, size_t *ret_n)
{
    VEC(Str) texts = {0};
    if (value->kind == PY_OTHER)
        return false;
    if (value->kind == PY_TEXT)
        *vec_push(arena, &texts) = value->text;
    for (size_t i = 0; value->kind == PY_LIST && i < value->items.n; i++) {
        if (value->items.p[i].kind != PY_TEXT)
            return false;
        *vec_push(arena, &texts) = value->items.p[i].text;
    }
    *ret = texts.p;
    *ret_n = texts.n;
    return true;
}
