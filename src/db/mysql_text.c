/* SPDX-License-Identifier: Apache-2.0 */
/* SQL text for MySQL and MariaDB: names, literals, and the digest of a table. */

#include "db/mysql_internal.h"

#include "core/banned.h"

#define IDENT_MAX   ((size_t)1 << 20)
#define LITERAL_MAX ((size_t)1 << 30)

Str
mysql_quote_ident(const Db *db, Arena *arena, Str name)
{
    StrBuf text = strbuf_new(arena, IDENT_MAX);

    (void)db;
    strbuf_addc(&text, '`');
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '`')
            strbuf_addc(&text, '`');
        strbuf_addc(&text, name.p[i]);
    }
    strbuf_addc(&text, '`');
    return strbuf_str(&text);
}

/* Every answer of the server says whether a backslash escapes in this session (sql_mode). Quotes
 * are doubled either way. */
Str
mysql_quote_literal(const Db *db, Arena *arena, Str value)
{
    StrBuf text = strbuf_new(arena, LITERAL_MAX);
    bool plain = mysql_server(db)->no_backslash_escapes;

    if (!value.p)
        return STR("NULL");
    strbuf_addc(&text, '\'');
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '\'' || (value.p[i] == '\\' && !plain))
            strbuf_addc(&text, value.p[i]);
        strbuf_addc(&text, value.p[i]);
    }
    strbuf_addc(&text, '\'');
    return strbuf_str(&text);
}

/* quote(NULL) is the word NULL, so that NULL and '' differ. */
Str
mysql_digest_expr(const Db *db, Arena *arena, const char *const *columns)
{
    StrBuf text = strbuf_new(arena, IDENT_MAX);

    strbuf_puts(&text, "concat(count(*), '.', coalesce(sum(crc32(concat_ws('/'");
    for (size_t i = 0; columns[i]; i++) {
        strbuf_puts(&text, ", quote(");
        strbuf_add(&text, mysql_quote_ident(db, arena, str_of(columns[i])));
        strbuf_addc(&text, ')');
    }
    strbuf_puts(&text, "))), 0))");
    return strbuf_str(&text);
}
