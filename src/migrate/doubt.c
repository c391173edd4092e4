/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at the schema to learn whether a statement happened. Each engine has queries for the
 * kinds of object that its statements outside a transaction can touch. */

#include "migrate/doubt.h"

#include "core/hash.h"
#include "core/banned.h"

typedef struct Look {
    SqlObjectKind object;
    DbQuery query;
} Look;

static const Look looks[] = {
    {SQL_OBJECT_TABLE, Q_DOUBT_TABLE},     {SQL_OBJECT_INDEX, Q_DOUBT_INDEX},
    {SQL_OBJECT_VIEW, Q_DOUBT_VIEW},       {SQL_OBJECT_ROUTINE, Q_DOUBT_ROUTINE},
    {SQL_OBJECT_TRIGGER, Q_DOUBT_TRIGGER}, {SQL_OBJECT_DATABASE, Q_DOUBT_DATABASE},
};

/* First words of statements that leave the same result when they run twice. */
static const char *const repeatable[] = {
    "analyze",  "cluster", "comment", "discard",  "do",    "flush",  "grant",
    "optimize", "reindex", "refresh", "repair",   "reset", "revoke", "set",
    "unlock",   "vacuum",  "lock",    "truncate", NULL,
};

static Str
first_word(Str text)
{
    size_t n = 0;
    while (n < text.n && ((text.p[n] | 32) >= 'a' && (text.p[n] | 32) <= 'z'))
        n++;
    return str_sub(text, 0, n);
}

static bool
is_repeatable(Str text)
{
    Str word = first_word(text);
    for (size_t i = 0; repeatable[i]; i++) {
        if (str_eq_nocase(word, str_of(repeatable[i])))
            return true;
    }
    return false;
}

/* SHOW CREATE TABLE counts AUTO_INCREMENT up while others insert: that is no change of the table.
 */
static Str
without_counter(Arena *arena, Str cell)
{
    size_t at = str_find_str(cell, STR(" AUTO_INCREMENT="));
    if (at == cell.n)
        return cell;
    size_t end = at + sizeof " AUTO_INCREMENT=" - 1;
    while (end < cell.n && cell.p[end] >= '0' && cell.p[end] <= '9')
        end++;
    StrBuf out = strbuf_new(arena, cell.n + 1);
    strbuf_add(&out, str_sub(cell, 0, at));
    strbuf_add(&out, str_sub(cell, end, cell.n));
    return strbuf_str(&out);
}

static Str
quoted_name(Arena *arena, const Db *db, Str schema, Str name)
{
    if (!schema.p)
        return db_quote_ident(db, arena, name);
    StrBuf out = strbuf_new(arena, 4096);
    strbuf_add(&out, db_quote_ident(db, arena, schema));
    strbuf_addc(&out, '.');
    strbuf_add(&out, db_quote_ident(db, arena, name));
    return strbuf_str(&out);
}

static bool
look_at(
    Arena *arena, Db *db, DbQuery query, Str schema, Str name, Hasher *hasher, Str *ret, Error *err)
{
    DbResult rows = {0};
    const DbArg args[] = {ARG_IDENT("object", schema, name),
                          ARG_TEXT("schema", schema),
                          ARG_TEXT("name", name),
                          ARG_TEXT("quoted", quoted_name(arena, db, schema, name)),
                          {DB_ARG_END, NULL, {0}, {0}, 0}};
    if (!db_ask(db, arena, query, args, &rows, err)) {
        if (err->cls != ERROR_CLASS_NO_TABLE)
            return false;
        error_clear(err);
        rows.rows = 0;
    }
    if (!rows.rows) {
        if (hasher)
            hasher_add(hasher, STR("absent"));
        *ret = STR("absent");
        return true;
    }
    for (size_t i = 0; hasher && i < rows.rows * rows.cols; i++) {
        hasher_add(hasher, without_counter(arena, rows.cells[i]));
        hasher_add(hasher, STR("\n"));
    }
    *ret = rows.cols == 1 ? rows.cells[0] : STR_ABSENT;
    return true;
}

bool
doubt_look(Arena *arena, Db *db, Str body, const SqlStatement *statement, Str *ret, Error *err)
{
    const Look *look = NULL;
    for (size_t i = 0; i < COUNT_OF(looks); i++) {
        if (looks[i].object == statement->object && db_has_query(db, looks[i].query))
            look = &looks[i];
    }
    if (!look || !statement->object_name.p) {
        Str text = str_sub(body, statement->offset, statement->offset + statement->length);
        *ret = is_repeatable(text) ? STR("repeatable") : STR("unknown");
        return true;
    }
    Hasher *hasher = hasher_new(arena);
    Str plain = STR_ABSENT, other = STR_ABSENT;
    bool ok =
        look_at(arena, db, look->query, statement->object_schema, statement->object_name, hasher,
                &plain, err) &&
        (!statement->object_new_name.p || look_at(arena, db, look->query, statement->object_schema,
                                                  statement->object_new_name, hasher, &other, err));
    Str hash = str_of(hasher_hex(arena, hasher));
    bool simple = plain.p && !statement->object_new_name.p && plain.n <= 16;
    if (ok)
        *ret = simple ? plain : hash;
    return ok;
}

bool
doubt_settle(Arena *arena,
             Db *db,
             Str body,
             const SqlStatement *statement,
             Str before,
             DoubtVerdict *ret,
             Error *err)
{
    Str now;
    if (!doubt_look(arena, db, body, statement, &now, err))
        return false;
    if (str_eq(now, STR("repeatable")))
        *ret = DOUBT_NOT_RUN;
    else if (str_eq(now, STR("unknown")))
        *ret = DOUBT_UNKNOWN;
    else if (str_eq(now, STR("invalid")) || str_eq(now, before))
        *ret = DOUBT_NOT_RUN;
    else
        *ret = DOUBT_DONE;
    return true;
}

bool
doubt_drop_invalid_index(Arena *arena, Db *db, const SqlStatement *statement, Error *err)
{
    if (!statement->concurrent_index || !statement->object_name.p || !statement->creates)
        return true;
    Str look;
    if (!look_at(arena, db, Q_DOUBT_INDEX, statement->object_schema, statement->object_name,
                 NULL /* no hash */, &look, err))
        return false;
    if (!str_eq(look, STR("invalid")))
        return true;
    return db_do(db, Q_DROP_INVALID_INDEX,
                 DB_ARGS(ARG_IDENT("index", statement->object_schema, statement->object_name)),
                 err);
}
