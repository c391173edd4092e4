/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Named queries with their arguments put in. The placeholders are psql's: :"name" identifier,
 * :'name' literal, :name number or raw SQL. As in psql nothing is replaced within quotes ('MI:SS'
 * stays), and "::" is a cast. The texts are our own files, so that a placeholder without an
 * argument, or with one of another kind, is a programming error and ends the process.
 */

#include "db/driver.h"

#include <assert.h>
#include <inttypes.h>

#include "core/banned.h"

/* A version row carries at most an error message or a checksum: far below this. */
#define RENDER_CEILING (4 * 1024 * 1024)

static bool
is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool
is_name_char(char c)
{
    return is_name_start(c) || (c >= '0' && c <= '9');
}

static const DbArg *
find_arg(const DbArg *args, Str name)
{
    for (const DbArg *arg = args; arg && arg->kind != DB_ARG_END; arg++) {
        if (str_eq(str_of(arg->name), name))
            return arg;
    }
    return NULL;
}

/* "schema.table" names two parts only where no schema is given beside it: then a table whose name
 * holds a dot can still be said. */
static void
add_ident(const Db *db, Arena *arena, StrBuf *out, const DbArg *arg)
{
    Str schema = arg->schema, name = arg->text;
    size_t dot = str_find(name, '.');
    if (schema.n == 0 && dot < name.n) {
        schema = str_sub(name, 0, dot);
        name = str_sub(name, dot + 1, name.n);
    }
    if (schema.n > 0) {
        strbuf_add(out, db_quote_ident(db, arena, schema));
        strbuf_addc(out, '.');
    }
    strbuf_add(out, db_quote_ident(db, arena, name));
}

static void
add_arg(const Db *db, Arena *arena, StrBuf *out, const DbArg *arg, char quote)
{
    switch (arg->kind) {
    case DB_ARG_IDENT:
        assert(quote == '"');
        add_ident(db, arena, out, arg);
        break;
    case DB_ARG_TEXT:
        assert(quote == '\'');
        strbuf_add(out, db_quote_literal(db, arena, arg->text));
        break;
    case DB_ARG_INT:
        assert(quote == 0);
        strbuf_printf(out, "%" PRId64, arg->number);
        break;
    case DB_ARG_RAW:
        assert(quote == 0);
        strbuf_add(out, arg->text);
        break;
    case DB_ARG_END:
        assert(false);
    }
}

/* The end of what is quoted at `at`; a doubled quote inside begins the next piece, which is as
 * good. */
static size_t
quoted_end(Str text, size_t at)
{
    size_t end = at + 1;
    while (end < text.n && text.p[end] != text.p[at])
        end++;
    return end < text.n ? end + 1 : end;
}

/* The placeholder at `at` (a colon): its end, or `at` when it is none. */
static size_t
placeholder_end(Str text, size_t at, Str *ret_name, char *ret_quote)
{
    size_t from = at + 1;
    char quote = 0;
    if (from < text.n && (text.p[from] == '\'' || text.p[from] == '"'))
        quote = text.p[from++];
    if (from >= text.n || !is_name_start(text.p[from]))
        return at;
    size_t end = from;
    while (end < text.n && is_name_char(text.p[end]))
        end++;
    if (quote && (end >= text.n || text.p[end] != quote))
        return at;
    *ret_name = str_sub(text, from, end);
    *ret_quote = quote;
    return quote ? end + 1 : end;
}

static Str
render(const Db *db, Arena *arena, Str text, const DbArg *args)
{
    StrBuf out = strbuf_new(arena, RENDER_CEILING);
    size_t at = 0;
    while (at < text.n) {
        char c = text.p[at];
        size_t end = at + 1;
        if (c == '\'' || c == '"' || c == '`') {
            end = quoted_end(text, at);
        } else if (c == ':' && at + 1 < text.n && text.p[at + 1] == ':') {
            end = at + 2;
        } else if (c == ':') {
            Str name;
            char quote;
            size_t after = placeholder_end(text, at, &name, &quote);
            if (after > at) {
                const DbArg *arg = find_arg(args, name);
                assert(arg);
                add_arg(db, arena, &out, arg, quote);
                at = after;
                continue;
            }
        } else {
            while (end < text.n && text.p[end] != '\'' && text.p[end] != '"' &&
                   text.p[end] != '`' && text.p[end] != ':')
                end++;
        }
        strbuf_add(&out, str_sub(text, at, end));
        at = end;
    }
    return strbuf_str(&out);
}

bool
db_has_query(const Db *db, DbQuery query)
{
    assert(query < DB_QUERY_COUNT);
    return db->driver->queries[query] != NULL;
}

Str
db_render(const Db *db, Arena *arena, DbQuery query, const DbArg *args)
{
    assert(db_has_query(db, query));
    return render(db, arena, str_of(db->driver->queries[query]), args);
}
