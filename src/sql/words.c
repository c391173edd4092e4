/* SPDX-License-Identifier: Apache-2.0 */
/* Keyword tables by dialect, and the names that a statement carries behind its verb. */

#include "sql/words.h"

#include "core/banned.h"

typedef struct Cursor {
    const Words *w;
    size_t       at;
} Cursor;

static bool
is(const Words *w, size_t i, const char *word)
{
    return i < w->n && token_is(w->lexer, &w->tokens[i], word);
}

static bool
is_one_of(const Words *w, size_t i, const char *const *words)
{
    for (size_t k = 0; words[k]; k++) {
        if (is(w, i, words[k]))
            return true;
    }
    return false;
}

static bool
skip(Cursor *c, const char *word)
{
    if (!is(c->w, c->at, word))
        return false;
    c->at++;
    return true;
}

static bool
has(const Words *w, const char *word)
{
    for (size_t i = 0; i < w->n; i++) {
        if (is(w, i, word))
            return true;
    }
    return false;
}

/* ---- names ---- */

static Str
unquoted(Arena *arena, const Words *w, const Token *t)
{
    Str text = token_text(w->lexer, t);
    if (t->kind == TOKEN_WORD) {
        if (w->lexer->options.dialect != SQL_POSTGRES)
            return text;
        char *folded = str_dup(arena, text);
        for (size_t i = 0; i < text.n; i++) {
            if (folded[i] >= 'A' && folded[i] <= 'Z')
                folded[i] = (char)(folded[i] + 32);
        }
        return (Str){folded, text.n};
    }
    char   quote = text.p[0];
    StrBuf out = strbuf_new(arena, text.n + 1);
    for (size_t i = 1; i + 1 < text.n; i++) {
        strbuf_addc(&out, text.p[i]);
        if (text.p[i] == quote)
            i++; /* doubled */
    }
    return strbuf_str(&out);
}

static bool
take_name(Arena *arena, Cursor *c, Str *schema, Str *name)
{
    const Words *w = c->w;
    if (c->at >= w->n ||
        (w->tokens[c->at].kind != TOKEN_WORD && w->tokens[c->at].kind != TOKEN_IDENT))
        return false;
    *schema = STR_ABSENT;
    *name = unquoted(arena, w, &w->tokens[c->at++]);
    if (c->at + 1 < w->n && token_is_char(w->lexer, &w->tokens[c->at], '.')) {
        *schema = *name;
        *name = unquoted(arena, w, &w->tokens[c->at + 1]);
        c->at += 2;
    }
    return true;
}

static void
skip_if_exists(Cursor *c)
{
    if (!skip(c, "if"))
        return;
    skip(c, "not");
    skip(c, "exists");
}

static const struct {
    const char   *word;
    SqlObjectKind kind;
} objects[] = {
    {"table", SQL_OBJECT_TABLE},       {"view", SQL_OBJECT_VIEW},
    {"index", SQL_OBJECT_INDEX},       {"procedure", SQL_OBJECT_ROUTINE},
    {"function", SQL_OBJECT_ROUTINE},  {"trigger", SQL_OBJECT_TRIGGER},
    {"database", SQL_OBJECT_DATABASE}, {"schema", SQL_OBJECT_DATABASE},
    {"event", SQL_OBJECT_NONE},
};

static size_t
object_at(const Words *w, SqlObjectKind *ret)
{
    for (size_t i = 1; i < w->n; i++) {
        for (size_t k = 0; k < COUNT_OF(objects); k++) {
            if (is(w, i, objects[k].word)) {
                *ret = objects[k].kind;
                return i;
            }
        }
        if (token_is_char(w->lexer, &w->tokens[i], '('))
            break;
    }
    return 0;
}

/* MySQL: CREATE INDEX i ON t, DROP INDEX i ON t change the table t. */
static void
index_is_its_table(Arena *arena, Cursor *c, SqlStatement *s)
{
    while (c->at < c->w->n && !is(c->w, c->at, "on"))
        c->at++;
    s->object = skip(c, "on") && take_name(arena, c, &s->object_schema, &s->object_name)
                    ? SQL_OBJECT_TABLE
                    : SQL_OBJECT_NONE;
}

static void
find_object(Arena *arena, const Words *w, SqlStatement *s)
{
    SqlObjectKind kind = SQL_OBJECT_NONE;
    Cursor        c = {w, 0};
    size_t        at = object_at(w, &kind);
    Str           schema, name;
    if (is(w, 0, "truncate")) {
        c.at = is(w, 1, "table") ? 2 : 1;
        kind = SQL_OBJECT_TABLE;
    } else if (!at || kind == SQL_OBJECT_NONE) {
        return;
    } else {
        c.at = at + 1;
    }
    skip_if_exists(&c);
    skip(&c, "concurrently");
    skip_if_exists(&c);
    if (!take_name(arena, &c, &schema, &name))
        return;
    s->object = kind;
    s->object_schema = schema;
    s->object_name = name;
    if (kind == SQL_OBJECT_INDEX && w->lexer->options.dialect == SQL_MYSQL)
        index_is_its_table(arena, &c, s);
    bool renames = is(w, 0, "rename");
    for (; !renames && is(w, 0, "alter") && c.at + 1 < w->n; c.at++)
        renames = is(w, c.at, "rename") && (is(w, c.at + 1, "to") || is(w, c.at + 1, "as"));
    if (!renames)
        return;
    skip(&c, "to");
    skip(&c, "as");
    if (!take_name(arena, &c, &schema, &s->object_new_name))
        s->object_new_name = STR_ABSENT;
}

/* ---- kinds ---- */

static const char *const dml[] = {"insert", "update", "delete", "replace", "select", "with",
                                  "values", "merge",  "do",     "load",    "show",   "explain",
                                  "describe", "desc", "import", NULL};
static const char *const ddl[] = {"create",  "alter",   "drop",     "rename",  "truncate", "grant",
                                  "revoke",  "analyze", "optimize", "repair",  "lock",     "unlock",
                                  "flush",   "comment", "reindex",  "vacuum",  "cluster",  "refresh",
                                  "security", "reassign", "install", "uninstall", "cache", "check",
                                  "checksum", "reset", NULL};

static SqlKind
transaction_kind(const Words *w)
{
    if (is(w, 0, "begin") || (is(w, 0, "start") && is(w, 1, "transaction")))
        return SQL_KIND_BEGIN;
    if (is(w, 0, "commit") || is(w, 0, "end"))
        return SQL_KIND_COMMIT;
    if (is(w, 0, "savepoint") || is(w, 0, "release"))
        return SQL_KIND_SAVEPOINT;
    if (!is(w, 0, "rollback"))
        return SQL_KIND_OTHER;
    return has(w, "to") ? SQL_KIND_SAVEPOINT : SQL_KIND_ROLLBACK;
}

/* SQLite ignores or refuses these inside a transaction. */
static const char *const outside_pragmas[] = {"foreign_keys", "journal_mode", "synchronous",
                                              "wal_checkpoint", NULL};

static void
sqlite_facts(const Words *w, SqlStatement *s)
{
    if (is(w, 0, "vacuum"))
        s->no_transaction = true;
    if (is(w, 0, "attach") || is(w, 0, "detach")) {
        s->kind = SQL_KIND_SESSION;
        s->no_transaction = true;
    }
    if (!is(w, 0, "pragma"))
        return;
    size_t name = w->n > 2 && token_is_char(w->lexer, &w->tokens[2], '.') ? 3 : 1;
    bool   stored = is(w, name, "user_version") || is(w, name, "application_id");
    s->kind = stored ? SQL_KIND_DML : SQL_KIND_SESSION;
    s->no_transaction = is_one_of(w, name, outside_pragmas);
}

static void
mysql_facts(const Words *w, SqlStatement *s)
{
    static const char *const session[] = {"use", "prepare", "deallocate", NULL};
    bool temporary = (is(w, 0, "create") || is(w, 0, "drop")) && has(w, "temporary");
    if (is(w, 0, "set"))
        s->kind = is(w, 1, "password") ? SQL_KIND_DDL
                  : is(w, 1, "transaction") ? SQL_KIND_OTHER
                                            : SQL_KIND_SESSION;
    else if (is_one_of(w, 0, session) || temporary)
        s->kind = SQL_KIND_SESSION;
}

static void
postgres_facts(const Words *w, SqlStatement *s)
{
    static const char *const never[] = {"vacuum", NULL};
    if (is(w, 0, "set"))
        s->kind = is(w, 1, "local") || is(w, 1, "transaction") ? SQL_KIND_OTHER : SQL_KIND_SESSION;
    else if (is(w, 0, "reset"))
        s->kind = SQL_KIND_SESSION;
    else if (is(w, 0, "do"))
        s->kind = SQL_KIND_OTHER;
    bool concurrently = has(w, "concurrently") && !is(w, 0, "refresh");
    bool whole = (is(w, 1, "database") && !is(w, 0, "comment")) || is(w, 1, "tablespace") ||
                 is(w, 1, "subscription") || is(w, 1, "system") || is(w, 1, "schema");
    s->no_transaction = concurrently || is_one_of(w, 0, never) ||
                        (is(w, 0, "discard") && is(w, 1, "all")) ||
                        (is(w, 0, "reindex") && whole) ||
                        ((is(w, 0, "create") || is(w, 0, "drop")) && whole && !is(w, 1, "schema")) ||
                        (is(w, 0, "alter") && is(w, 1, "system"));
    s->waits_quietly = concurrently || has(w, "validate");
    s->concurrent_index = concurrently && is(w, 0, "create");
    s->copy_from_stdin = is(w, 0, "copy") && has(w, "stdin");
}

void
words_facts(Arena *arena, const Words *w, SqlStatement *s)
{
    static void (*const dialects[])(const Words *, SqlStatement *) = {
        [SQL_POSTGRES] = postgres_facts, [SQL_MYSQL] = mysql_facts, [SQL_SQLITE] = sqlite_facts};
    s->kind = transaction_kind(w);
    if (s->kind != SQL_KIND_OTHER)
        return;
    if (is_one_of(w, 0, dml))
        s->kind = SQL_KIND_DML;
    else if (is_one_of(w, 0, ddl))
        s->kind = SQL_KIND_DDL;
    dialects[w->lexer->options.dialect](w, s);
    if (s->kind != SQL_KIND_DDL)
        return;
    s->creates = is(w, 0, "create");
    s->drops = is(w, 0, "drop");
    find_object(arena, w, s);
}

bool
words_make_routine(const Words *w)
{
    SqlObjectKind kind = SQL_OBJECT_NONE;
    if (is(w, 0, "begin"))
        return is(w, 1, "not") && is(w, 2, "atomic");
    if (!is(w, 0, "create") && !is(w, 0, "alter"))
        return false;
    size_t at = object_at(w, &kind);
    return at && (kind == SQL_OBJECT_ROUTINE || kind == SQL_OBJECT_TRIGGER || is(w, at, "event"));
}
