/* SPDX-License-Identifier: Apache-2.0 */
/* PostgreSQL's grammar as judge: of syntax, with positions in bytes, and of our boundaries. */

#include "sql/pgtree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pg_query.h>

#include "sql/split.h"
#include "core/banned.h"

static void
test_check(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t statements, at;
        const char *message;
    } cases[] = {
        {"select 1", 1, 0, ""},
        {"create view v as select '\xc3\xa9' -- x", 1, 0, ""},
        {"select 1; select 2", 2, 0, ""},
        {"selec 1", 0, 0, "syntax error at or near \"selec\""},
        {"select '\xc3\xa9\xe2\x82\xac', x y z", 0, 20, "syntax error at or near \"z\""},
        {"select (1", 0, 9, "syntax error at end of input"},
        {"create table t (a int,, b int)", 0, 22, "syntax error at or near \",\""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        SCRATCH_ARENA(arena);
        PgCheck check = pgtree_check(arena, str_of(cases[i].text));
        assert_string_equal(check.message, cases[i].message);
        assert_int_equal(check.statements, cases[i].statements);
        assert_int_equal(check.at, cases[i].at);
    }
    int64_t major;
    assert_true(str_to_i64(str_of(PG_MAJORVERSION), &major));
    assert_int_equal(sql_parser_major(), major);
}

static void
test_long_message(void **state)
{
    (void)state;
    SCRATCH_ARENA(arena);
    StrBuf text = strbuf_new(arena, 1 << 16);
    strbuf_puts(&text, "select a b ");
    for (int i = 0; i < 1000; i++)
        strbuf_puts(&text, "\xc3\xa9");
    PgCheck check = pgtree_check(arena, strbuf_str(&text));
    size_t bad;
    assert_int_equal(check.at, 11);
    assert_true(str_ends(str_of(check.message), STR("...")));
    assert_true(str_is_utf8(str_of(check.message), &bad));
}

static void
repeat(StrBuf *out, const char *piece, int count)
{
    for (int i = 0; i < count; i++)
        strbuf_puts(out, piece);
}

/* A long chain of operators is a deep tree; the walk that would write it out is not asked for. */
static void
test_deep(void **state)
{
    (void)state;
    SCRATCH_ARENA(arena);
    SqlOptions options = {.dialect = SQL_POSTGRES, .facts = true, .server_major = 15};
    SqlStatements found = {0};
    Error err = ERROR_INIT;
    StrBuf chain = strbuf_new(arena, 1 << 22), nested = strbuf_new(arena, 1 << 22);
    strbuf_puts(&chain, "create view v as select 1");
    repeat(&chain, " + 1", 300000);
    assert_true(sql_split(arena, strbuf_str(&chain), &options, &found, &err));
    assert_int_equal(found.n, 1);
    strbuf_puts(&nested, "select ");
    repeat(&nested, "(", 200000);
    assert_false(sql_split(arena, strbuf_str(&nested), &options, &found, &err));
    assert_string_equal(err.message, "nested too deeply");
}

static void
test_newer_server(void **state)
{
    (void)state;
    static const char text[] = "REPACK (CONCURRENTLY) t; CREATE INDEX CONCURRENTLY i ON s.t (a)"
                               " NOVEL CLAUSE;select 'x";
    SCRATCH_ARENA(arena);
    SqlOptions options = {.dialect = SQL_POSTGRES, .facts = true, .server_major = 99};
    SqlStatements found = {0};
    Error err = ERROR_INIT;
    assert_true(sql_split(arena, str_sub(str_of(text), 0, 77), &options, &found, &err));
    assert_int_equal(found.n, 2);
    assert_true(found.p[0].no_transaction);
    assert_true(found.p[1].no_transaction && found.p[1].concurrent_index && found.p[1].creates);
    assert_true(str_eq(found.p[1].object_schema, STR("s")));
    assert_true(str_eq(found.p[1].object_name, STR("i")));
    /* What is not closed is no question of the version. */
    assert_false(sql_split(arena, str_of(text), &options, &found, &err));
    assert_string_equal(err.message, "unterminated quoted string");
    error_clear(&err);
    options.server_major = 15;
    assert_false(sql_split(arena, str_of(text), &options, &found, &err));
    assert_string_equal(err.message, "syntax error at or near \"REPACK\"");
    error_clear(&err);
    options.server_major = 0;
    assert_false(sql_split(arena, str_of(text), &options, &found, &err));
}

/* COPY is named for what it is; the rows behind it are not taken for SQL. */
static void
test_copy(void **state)
{
    (void)state;
    SCRATCH_ARENA(arena);
    SqlOptions options = {.dialect = SQL_POSTGRES, .server_major = 15};
    SqlStatements found = {0};
    Error err = ERROR_INIT;
    Str text = STR("select 1;\nCOPY t (a, b) FROM stdin;\n1\tit's\n$$\t/*\n\\.\nselect 2;");
    assert_true(sql_split(arena, text, &options, &found, &err));
    assert_int_equal(found.n, 3);
    assert_true(found.p[1].copy_from_stdin);
    assert_int_equal(found.p[1].line, 2);
    assert_int_equal(found.p[2].line, 6);
    assert_false(found.p[2].copy_from_stdin);
}

/* Where the parser takes the whole text, it must see the statements that we see. */
static void
compare_with_parser(Str text)
{
    SCRATCH_ARENA(arena);
    SqlOptions options = {.dialect = SQL_POSTGRES, .server_major = 15};
    SqlStatements found = {0};
    Error err = ERROR_INIT;
    PgQuerySplitResult parsed = pg_query_split_with_parser(str_dup(arena, text));
    bool ok = sql_split(arena, text, &options, &found, &err);
    if (!parsed.error && !ok)
        fail_msg("parses, but refused (%s): %s", err.message, text.p);
    if (parsed.error && ok)
        fail_msg("does not parse (%s): %s", parsed.error->message, text.p);
    if (ok && (size_t)parsed.n_stmts != found.n)
        fail_msg("%d statements, not %zu: %s", parsed.n_stmts, found.n, text.p);
    for (size_t i = 0; ok && i < found.n; i++) {
        size_t from = (size_t)parsed.stmts[i]->stmt_location;
        size_t to = parsed.stmts[i]->stmt_len ? from + (size_t)parsed.stmts[i]->stmt_len : text.n;
        Str lead = str_sub(text, from, found.p[i].offset);
        Str tail = str_sub(text, found.p[i].offset + found.p[i].length, to);
        assert_true(found.p[i].offset >= from && found.p[i].offset + found.p[i].length <= to);
        assert_true(sql_is_blank(SQL_POSTGRES, lead) && sql_is_blank(SQL_POSTGRES, tail));
    }
    pg_query_free_split_result(parsed);
}

static void
test_boundaries(void **state)
{
    (void)state;
    static const char *const parts[] = {
        "select 1",
        ";",
        "; ",
        "'a;'",
        " E'\\';'",
        " U&'\\0061'",
        " $$;$$",
        " $a$ $$; $a$",
        "\n",
        " -- x;\n",
        " /* /* ; */ */ ",
        "(",
        ")",
        "select ",
        "1 ",
        "+",
        ",",
        " \"a;\"",
        " as end ",
        " end ",
        " case when true then 1 end ",
        "begin;",
        "commit;",
        "create function f() returns int begin atomic select 1; end;",
        "create or replace procedure p() begin atomic ",
        "create rule r as on insert to t do also (select 1; select 2);",
        "do $x$ begin end $x$;",
        "\r\n",
        "select e'a'\n'b;\\';'",
        "1$$;$$",
        "a$$b",
        " x.end",
        "'",
        "$1",
        "values (1);",
        "\xc3\xa9",
        "--",
        "/*",
        "*/",
        "\\",
    };
    srandom(3);
    for (int round = 0; round < 40000; round++) {
        SCRATCH_ARENA(arena);
        StrBuf text = strbuf_new(arena, 8192);
        for (long n = random() % 10; n >= 0; n--)
            strbuf_puts(&text, parts[(size_t)random() % COUNT_OF(parts)]);
        compare_with_parser(strbuf_str(&text));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check), cmocka_unit_test(test_long_message),
        cmocka_unit_test(test_deep),  cmocka_unit_test(test_newer_server),
        cmocka_unit_test(test_copy),  cmocka_unit_test(test_boundaries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
