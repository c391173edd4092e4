/* SPDX-License-Identifier: Apache-2.0 */
/* SQL text for SQLite: names, literals, and the digest of a table. */

#include "db/sqlite_internal.h"

#include <string.h>

#include "core/banned.h"

#define IDENT_MAX   ((size_t)1 << 20)
#define LITERAL_MAX ((size_t)1 << 30)

Str
sqlite_quote_ident(const Db *db, Arena *arena, Str name)
{
    StrBuf text = strbuf_new(arena, IDENT_MAX);

    (void)db;
    strbuf_addc(&text, '"');
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '"')
            strbuf_addc(&text, '"');
        strbuf_addc(&text, name.p[i]);
    }
    strbuf_addc(&text, '"');
    return strbuf_str(&text);
}

Str
sqlite_quote_literal(const Db *db, Arena *arena, Str value)
{
    StrBuf text = strbuf_new(arena, LITERAL_MAX);

    (void)db;
    if (!value.p)
        return STR("NULL");
    if (value.n && memchr(value.p, '\0', value.n)) { /* SQL text ends at a NUL byte */
        strbuf_puts(&text, "cast(x'");
        for (size_t i = 0; i < value.n; i++)
            strbuf_printf(&text, "%02x", (unsigned char)value.p[i]);
        strbuf_puts(&text, "' as text)");
        return strbuf_str(&text);
    }
    strbuf_addc(&text, '\'');
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '\'')
            strbuf_addc(&text, '\'');
        strbuf_addc(&text, value.p[i]);
    }
    strbuf_addc(&text, '\'');
    return strbuf_str(&text);
}

Str
sqlite_digest_expr(const Db *db, Arena *arena, const char *const *columns)
{
    StrBuf text = strbuf_new(arena, IDENT_MAX);

    strbuf_puts(&text, "count(*) || '.' || coalesce(sum(lockstep_hash(");
    for (size_t i = 0; columns[i]; i++) {
        if (i > 0)
            strbuf_puts(&text, ", ");
        strbuf_add(&text, sqlite_quote_ident(db, arena, str_of(columns[i])));
    }
    strbuf_puts(&text, ")), 0)");
    return strbuf_str(&text);
}
