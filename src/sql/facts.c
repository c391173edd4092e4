/* SPDX-License-Identifier: Apache-2.0 */
/* The cursor over a statement's tokens, and names as the server would store them. */

#include "sql/facts.h"

#include <string.h>

#include "core/banned.h"

enum { POSTGRES_NAME_MAX = 63 }; /* NAMEDATALEN - 1: longer names are cut, not refused */

/* ---- cursor ---- */

void
facts_next(Facts *f)
{
    if (facts_at_symbol(f, '('))
        f->parens++;
    else if (facts_at_symbol(f, ')') && f->parens > 0)
        f->parens--;
    do
        f->token = lex_next(&f->lex);
    while (f->token.kind == TOKEN_GATE);
}

bool
facts_end(const Facts *f)
{
    return f->token.kind == TOKEN_END || f->token.kind == TOKEN_BAD;
}

bool
facts_at(const Facts *f, const char *word)
{
    return lex_is_word(&f->lex, &f->token, word);
}

bool
facts_at_symbol(const Facts *f, char symbol)
{
    return lex_is_symbol(&f->lex, &f->token, symbol);
}

bool
facts_at_any(const Facts *f, const char *const *words)
{
    return lex_word_in(&f->lex, &f->token, words) >= 0;
}

static bool
take_if(Facts *f, bool there)
{
    if (there)
        facts_next(f);
    return there;
}

bool
facts_take(Facts *f, const char *word)
{
    return take_if(f, facts_at(f, word));
}

bool
facts_take_symbol(Facts *f, char symbol)
{
    return take_if(f, facts_at_symbol(f, symbol));
}

bool
facts_take_any(Facts *f, const char *const *words)
{
    return take_if(f, facts_at_any(f, words));
}

bool
facts_seek(Facts *f, const char *word)
{
    while (!facts_end(f) && (f->parens > 0 || !facts_at(f, word)))
        facts_next(f);
    return !facts_end(f);
}

void
facts_skip_parens(Facts *f)
{
    size_t outside = f->parens;
    if (!facts_at_symbol(f, '('))
        return;
    do
        facts_next(f);
    while (!facts_end(f) && f->parens > outside);
}

/* ---- names ---- */

static Str
unquoted(Arena *arena, Str text)
{
    char close = text.p[0] == '[' ? ']' : text.p[0];
    Str inside = str_sub(text, 1, text.n - 1);
    if (close == ']' || str_find(inside, close) == inside.n)
        return inside;
    StrBuf out = strbuf_new(arena, inside.n + 1);
    for (size_t i = 0; i < inside.n; i++) {
        strbuf_addc(&out, inside.p[i]);
        i += inside.p[i] == close; /* a doubled quote */
    }
    return strbuf_str(&out);
}

/* PostgreSQL folds ASCII letters of unquoted names, whatever the locale, where the encoding is
 * UTF-8. */
static Str
folded(Arena *arena, Str text)
{
    char *copy = NULL;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < 'A' || text.p[i] > 'Z')
            continue;
        if (!copy)
            copy = str_dup(arena, text);
        copy[i] = (char)(text.p[i] + ('a' - 'A'));
    }
    return copy ? (Str){copy, text.n} : text;
}

static Str
one_name(Facts *f)
{
    Str text = lex_text(&f->lex, &f->token), name = STR_ABSENT;
    bool postgres = f->options->dialect == SQL_POSTGRES;
    if (f->token.kind == TOKEN_WORD)
        name = postgres ? folded(f->arena, text) : text;
    else if (f->token.kind == TOKEN_NAME && strchr("\"`[", text.p[0]))
        name = unquoted(f->arena, text);
    else if (f->token.kind == TOKEN_STRING && f->options->dialect == SQL_SQLITE)
        name = unquoted(f->arena, text);
    if (!postgres || !name.p || name.n <= POSTGRES_NAME_MAX)
        return name;
    size_t n = POSTGRES_NAME_MAX;
    while (n > 0 && ((unsigned char)name.p[n] & 0xc0) == 0x80)
        n--;
    return str_sub(name, 0, n);
}

void
facts_name(Facts *f, Str *ret_schema, Str *ret_name)
{
    Str schema = STR_ABSENT, name = one_name(f);
    if (name.p)
        facts_next(f);
    while (name.p && facts_take_symbol(f, '.')) {
        schema = name;
        name = one_name(f);
        if (name.p)
            facts_next(f);
    }
    *ret_schema = name.p ? schema : STR_ABSENT;
    *ret_name = name;
}

void
facts_forget_object(Facts *f)
{
    f->s->object = SQL_OBJECT_NONE;
    f->s->object_schema = f->s->object_name = f->s->object_new_name = STR_ABSENT;
    f->s->creates = f->s->drops = false;
}

void
facts_object(Facts *f, SqlObjectKind kind, FactsVerb verb)
{
    static const char *const exists[] = {"if", "not", "exists", NULL};
    if (kind == SQL_OBJECT_NONE)
        return;
    while (facts_take_any(f, exists))
        ;
    f->s->object = kind;
    f->s->creates = verb == FACTS_CREATE;
    f->s->drops = verb == FACTS_DROP;
    facts_name(f, &f->s->object_schema, &f->s->object_name);
    if (!f->s->object_name.p || facts_at_symbol(f, ','))
        facts_forget_object(f);
}

void
facts_new_name(Facts *f)
{
    Str schema, name;
    facts_name(f, &schema, &name);
    if (!name.p || (schema.p && !str_eq(schema, f->s->object_schema)))
        facts_forget_object(f);
    else
        f->s->object_new_name = name;
}

/* ---- kinds ---- */

SqlKind
facts_kind(const Facts *f, const WordKind *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (facts_at(f, rows[i].word))
            return rows[i].kind;
    }
    return SQL_KIND_OTHER;
}

void
sql_facts(Arena *arena, const SqlOptions *options, Str text, SqlStatement *s)
{
    static void (*const readers[])(Facts *) = {
        [SQL_POSTGRES] = facts_postgres, [SQL_MYSQL] = facts_mysql, [SQL_SQLITE] = facts_sqlite};
    Facts f = {.arena = arena, .options = options, .lex = lexer_new(text, options), .s = s};
    facts_next(&f);
    readers[options->dialect](&f);
}
