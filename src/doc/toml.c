/* SPDX-License-Identifier: Apache-2.0 */
/* TOML as far as platform files use it: tables, arrays of tables, keys with dots, plain values and
 * arrays of them over several lines. */

#include "doc/doc.h"

#include <string.h>

#include "core/banned.h"

enum { TOML_CEILING = 64 << 10 }; /* each key is looked for among those before it */

typedef struct Reader {
    DocBuilder builder;
    Str text;
    size_t at, line;
    DocNode *root, *table;
} Reader;

static bool
wrong(Reader *r, const char *what)
{
    error_set(r->builder.err, ERROR_USAGE, "not TOML: %s", what);
    return error_at(r->builder.err, "", r->line, 0);
}

static char
here(const Reader *r)
{
    return r->at < r->text.n ? r->text.p[r->at] : 0;
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static void
skip_blanks(Reader *r)
{
    while (is_blank(here(r)))
        r->at++;
}

/* Blanks, comments and ends of lines. */
static void
skip_lines(Reader *r)
{
    for (;;) {
        skip_blanks(r);
        if (here(r) == '#')
            while (r->at < r->text.n && here(r) != '\n')
                r->at++;
        if (here(r) != '\n')
            return;
        r->at++;
        r->line++;
    }
}

/* A string in quotes, on one line or between three of them; escapes stay as they are, but for the
 * quote and the backslash. */
static bool
read_string(Reader *r, Str *ret)
{
    char quote = here(r);
    bool three =
        r->at + 2 < r->text.n && r->text.p[r->at + 1] == quote && r->text.p[r->at + 2] == quote;
    StrBuf out = strbuf_new(r->builder.arena, r->text.n + 1);
    r->at += three ? 3 : 1;
    for (;; r->at++) {
        char c = here(r);
        if (r->at >= r->text.n || (c == '\n' && !three))
            return wrong(r, "a quote is not closed");
        r->line += c == '\n';
        if (c == '\\' && quote == '"' && r->at + 1 < r->text.n) {
            char next = r->text.p[++r->at];
            if (next != '"' && next != '\\')
                strbuf_addc(&out, '\\');
            r->line += next == '\n';
            strbuf_addc(&out, next);
            continue;
        }
        if (c == quote && (!three || (r->at + 2 < r->text.n && r->text.p[r->at + 1] == quote &&
                                      r->text.p[r->at + 2] == quote)))
            break;
        strbuf_addc(&out, c);
    }
    r->at += three ? 3 : 1;
    *ret = out.p ? strbuf_str(&out) : STR("");
    return true;
}

/* One word of a key. */
static bool
read_word(Reader *r, Str *ret)
{
    skip_blanks(r);
    if (here(r) == '"' || here(r) == '\'')
        return read_string(r, ret);
    size_t from = r->at;
    while (here(r) && !is_blank(here(r)) && !strchr(".=]\n#", here(r)))
        r->at++;
    *ret = str_copy(r->builder.arena, str_sub(r->text, from, r->at));
    return ret->n || wrong(r, "a key is missing");
}

static void
append(DocNode *parent, DocNode *child)
{
    DocNode **end = &parent->first;
    while (*end)
        end = &(*end)->next;
    *end = child;
}

/* The map below `map` of that name, made where there is none; of an array of tables the last. */
static DocNode *
enter(Reader *r, DocNode *map, Str key)
{
    for (DocNode *child = map->first; child; child = child->next) {
        if (!str_eq(child->key, key))
            continue;
        DocNode *last = child->kind == DOC_LIST ? child->first : child;
        while (last && child->kind == DOC_LIST && last->next)
            last = last->next;
        return doc_is(last, DOC_MAP) ? last : (wrong(r, "a key stands there twice"), NULL);
    }
    DocNode *made = doc_node(&r->builder, DOC_MAP, r->line);
    if (made) {
        made->key = key;
        append(map, made);
    }
    return made;
}

/* a.b.c: enters a and b; *ret_last is c. NULL = error. */
static DocNode *
read_key(Reader *r, DocNode *map, Str *ret_last)
{
    Str word;
    for (size_t depth = 0; depth < DOC_DEPTH_MAX; depth++) {
        if (!read_word(r, &word))
            return NULL;
        skip_blanks(r);
        if (here(r) != '.') {
            *ret_last = word;
            return map;
        }
        r->at++;
        map = enter(r, map, word);
        if (!map)
            return NULL;
    }
    wrong(r, "nested too deeply");
    return NULL;
}

static DocNode *read_value(Reader *r, size_t depth);

static DocNode *
read_array(Reader *r, size_t depth)
{
    DocNode *list = doc_node(&r->builder, DOC_LIST, r->line), **end = list ? &list->first : NULL;
    r->at++;
    while (list) {
        skip_lines(r);
        if (here(r) == ']') {
            r->at++;
            return list;
        }
        *end = read_value(r, depth + 1);
        if (!*end)
            return NULL;
        end = &(*end)->next;
        skip_lines(r);
        if (here(r) == ',')
            r->at++;
        else if (here(r) != ']')
            return wrong(r, "an array is not closed"), NULL;
    }
    return NULL;
}

static DocNode *
read_value(Reader *r, size_t depth)
{
    skip_blanks(r);
    if (depth >= DOC_DEPTH_MAX)
        return wrong(r, "nested too deeply"), NULL;
    if (here(r) == '[')
        return read_array(r, depth);
    DocNode *node = doc_node(&r->builder, DOC_SCALAR, r->line);
    if (!node)
        return NULL;
    if (here(r) == '"' || here(r) == '\'') {
        node->quoted = true;
        return read_string(r, &node->text) ? node : NULL;
    }
    /* A number, a word, an inline table: its own text. */
    size_t from = r->at, braces = 0;
    for (; r->at < r->text.n && here(r) != '\n'; r->at++) {
        char c = here(r);
        if (c == '{')
            braces++;
        else if (c == '}' && braces)
            braces--;
        else if (!braces && (c == ',' || c == ']' || c == '#'))
            break;
    }
    node->text = str_copy(r->builder.arena, str_trim(str_sub(r->text, from, r->at)));
    return node->text.n ? node : (wrong(r, "a value is missing"), NULL);
}

/* [table] and [[array of tables]] */
static bool
read_table(Reader *r)
{
    Str name;
    bool array = r->at + 1 < r->text.n && r->text.p[r->at + 1] == '[';
    r->at += array ? 2 : 1;
    DocNode *map = read_key(r, r->root, &name);
    if (!map)
        return false;
    for (int closed = 0; closed <= array; closed++, r->at++)
        if (here(r) != ']')
            return wrong(r, "a table's name is not closed");
    if (!array) {
        r->table = enter(r, map, name);
        return r->table != NULL;
    }
    DocNode *list = map->first, *item = doc_node(&r->builder, DOC_MAP, r->line);
    while (list && !str_eq(list->key, name))
        list = list->next;
    if (!list) {
        list = doc_node(&r->builder, DOC_LIST, r->line);
        if (!list)
            return false;
        list->key = name;
        append(map, list);
    }
    if (!item || list->kind != DOC_LIST)
        return item && wrong(r, "a key stands there twice");
    append(list, item);
    r->table = item;
    return true;
}

static bool
read_pair(Reader *r)
{
    Str key;
    size_t line = r->line;
    DocNode *map = read_key(r, r->table, &key);
    if (!map)
        return false;
    if (here(r) != '=')
        return wrong(r, "a key has no value");
    r->at++;
    DocNode *value = read_value(r, 0);
    if (!value)
        return false;
    value->key = key;
    value->line = line;
    append(map, value);
    return true;
}

bool
doc_read_toml(Arena *arena, Str text, DocNode **ret, Error *err)
{
    Reader r = {.builder = {.arena = arena, .err = err}, .text = text, .line = 1};
    if (text.n > TOML_CEILING)
        return error_set(err, ERROR_USAGE, "larger than %d KiB", TOML_CEILING >> 10);
    r.root = r.table = doc_node(&r.builder, DOC_MAP, 1);
    for (skip_lines(&r); r.at < r.text.n; skip_lines(&r)) {
        if (!(here(&r) == '[' ? read_table(&r) : read_pair(&r)))
            return false;
        skip_blanks(&r);
        if (here(&r) == '#' || here(&r) == '\n' || r.at >= r.text.n)
            continue;
        return wrong(&r, "more than one value in a line");
    }
    *ret = r.root;
    return true;
}
