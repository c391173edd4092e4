/* SPDX-License-Identifier: Apache-2.0 */
/* Boundaries, positions and refusals of sql_split; SQLite's compared with sqlite3_complete. */

#include "sql/split.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "core/clock.h"
#include "core/banned.h"

enum { PIECES = 8 };

typedef struct Case {
    const char *text;
    const char *want[PIECES];
} Case;

static void
check(const SqlOptions *options, const Case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        SCRATCH_ARENA(arena);
        Error err = ERROR_INIT;
        SqlStatements found = {0};
        Str text = str_of(cases[i].text);
        if (!sql_split(arena, text, options, &found, &err))
            fail_msg("%s: %s", cases[i].text, err.message);
        for (size_t k = 0; k < found.n || cases[i].want[k]; k++) {
            assert_true(k < found.n);
            assert_non_null(cases[i].want[k]);
            const SqlStatement *s = &found.p[k];
            Str piece = str_sub(text, s->offset, s->offset + s->length);
            assert_string_equal(str_dup(arena, piece), cases[i].want[k]);
            size_t line, column;
            str_position(text, s->offset, &line, &column);
            assert_int_equal(s->line, line);
            assert_int_equal(s->column, column);
        }
    }
}

static void
test_postgres(void **state)
{
    (void)state;
    static const SqlOptions options = {.dialect = SQL_POSTGRES, .facts = true, .server_major = 15};
    static const Case cases[] = {
        {"", {0}},
        {" ;; -- only\n /* comments ; */ ; ", {0}},
        {"select 1", {"select 1"}},
        {"-- a\nselect 1 /* ; */ ; -- b\nselect 2 -- c", {"select 1", "select 2"}},
        {"SELECT 1;\r\nSELECT 2;\r\n", {"SELECT 1", "SELECT 2"}},
        {"select ';', E'\\';', \";\", $$;$$, $a$;$$;$a$, U&';';select 2",
         {"select ';', E'\\';', \";\", $$;$$, $a$;$$;$a$, U&';'", "select 2"}},
        {"/* /* ; */ ; */ select 1;select '\xc3\xa9;';  select 3",
         {"select 1", "select '\xc3\xa9;'", "select 3"}},
        {"create function f() returns int language plpgsql as $f$ begin return 1; end; $f$; select "
         "1",
         {"create function f() returns int language plpgsql as $f$ begin return 1; end; $f$",
          "select 1"}},
        {"do $$ begin perform 1; end $$;do $$begin end$$",
         {"do $$ begin perform 1; end $$", "do $$begin end$$"}},
        {"create rule r as on insert to t do (select 1; select 2); select 3",
         {"create rule r as on insert to t do (select 1; select 2)", "select 3"}},
        {"create or replace function g() returns int begin atomic select 1 \"end\"; "
         "select case when true then 2 end; select 3 end; end; select 4;",
         {"create or replace function g() returns int begin atomic select 1 \"end\"; "
          "select case when true then 2 end; select 3 end; end",
          "select 4"}},
        {"create procedure p() begin atomic end; select x.case from x; begin; end;",
         {"create procedure p() begin atomic end", "select x.case from x", "begin", "end"}},
        {"copy t from stdin;\n1\t'\n\\N\n\\.\nselect 1;copy t (a) from stdin with csv;\n'\"\n",
         {"copy t from stdin", "select 1", "copy t (a) from stdin with csv"}},
        {"copy t to stdout; copy t from '/a'; copy t from program 'x'",
         {"copy t to stdout", "copy t from '/a'", "copy t from program 'x'"}},
        {"create schema s create table t(a int) create view v as select 1; select 1",
         {"create schema s create table t(a int) create view v as select 1", "select 1"}},
    };
    check(&options, cases, COUNT_OF(cases));
}

static void
test_mysql(void **state)
{
    (void)state;
    static const SqlOptions options = {.dialect = SQL_MYSQL, .facts = true};
    static const Case cases[] = {
        {"# a;\n-- b;\n/* c; */;", {0}},
        {"select 'it\\'s;', \"a\\\";\", `b;`;select 5--1;#x",
         {"select 'it\\'s;', \"a\\\";\", `b;`", "select 5--1"}},
        {"/*!40101 SET NAMES utf8 */;\n/*!50001 a; b */; c",
         {"/*!40101 SET NAMES utf8 */", "/*!50001 a; b */", "c"}},
        {"delimiter $$\ncreate procedure p() begin select 1; end$$\nselect 1; select 2;\n$$\n"
         "DELIMITER ;\nselect 3;",
         {"create procedure p() begin select 1; end", "select 1", "select 2", "select 3"}},
        {"DELIMITER ;;\ncreate trigger t before insert on a for each row begin set @a=1; end;;\n"
         "create event e on schedule every 1 day do begin end;;\nDELIMITER ;",
         {"create trigger t before insert on a for each row begin set @a=1; end",
          "create event e on schedule every 1 day do begin end"}},
        {"delimiter //\ncreate procedure p() begin declare begin int; end; //\ndelimiter ;\n",
         {"create procedure p() begin declare begin int; end"}},
        {"create procedure p() begin if a then select 1; end if; select if(a, b, c); end; select 2",
         {"create procedure p() begin if a then select 1; end if; select if(a, b, c); end",
          "select 2"}},
        {"create procedure p(in a int) comment ';' begin case a when 1 then select 1; else begin "
         "end; end case; select case when a then if(1,2,3) else if(1,2,3) end; end; select 2",
         {"create procedure p(in a int) comment ';' begin case a when 1 then select 1; else begin "
          "end; end case; select case when a then if(1,2,3) else if(1,2,3) end; end",
          "select 2"}},
        {"create procedure p() begin l: loop if x then leave l; end if; end loop l; while x do set "
         "x = 1; end while; repeat select repeat('a', 2); until x end repeat; end; select 2",
         {"create procedure p() begin l: loop if x then leave l; end if; end loop l; while x do "
          "set "
          "x = 1; end while; repeat select repeat('a', 2); until x end repeat; end",
          "select 2"}},
        {"create procedure p() begin declare exit handler for sqlexception begin rollback; end; "
         "select end, begin, t.end from t; update t set end = 1; end; select 2",
         {"create procedure p() begin declare exit handler for sqlexception begin rollback; end; "
          "select end, begin, t.end from t; update t set end = 1; end",
          "select 2"}},
        {"create definer=`a`@`%` trigger t after insert on a for each row follows b begin set "
         "new.end = 1; end; create trigger u before insert on a for each row set new.x = 1; select "
         "2",
         {"create definer=`a`@`%` trigger t after insert on a for each row follows b begin set "
          "new.end = 1; end",
          "create trigger u before insert on a for each row set new.x = 1", "select 2"}},
        {"create or replace definer=event@localhost function if not exists f(a enum('if')) returns "
         "int deterministic return if(a, case a when 1 then 2 end, 3); select 2",
         {"create or replace definer=event@localhost function if not exists f(a enum('if')) "
          "returns "
          "int deterministic return if(a, case a when 1 then 2 end, 3)",
          "select 2"}},
        {"create function g() returns int if 1 then return 2; else return 3; end if; select 2",
         {"create function g() returns int if 1 then return 2; else return 3; end if", "select 2"}},
        {"create procedure p() for i in 1..3 do begin end; end for; select 2",
         {"create procedure p() for i in 1..3 do begin end; end for", "select 2"}},
        {"begin not atomic select 1; if x then select 2; end if; end; begin; select 1; commit",
         {"begin not atomic select 1; if x then select 2; end if; end", "begin", "select 1",
          "commit"}},
        {"/*!50003 CREATE*/ /*!50017 DEFINER=`r`@`l`*/ /*!50003 TRIGGER q BEFORE INSERT ON b FOR "
         "EACH "
         "ROW BEGIN SET @a = 1; END */; select 1",
         {"/*!50003 CREATE*/ /*!50017 DEFINER=`r`@`l`*/ /*!50003 TRIGGER q BEFORE INSERT ON b FOR "
          "EACH ROW BEGIN SET @a = 1; END */",
          "select 1"}},
        {"create table event (a int); alter table t add begin int; drop procedure p; "
         "alter procedure p comment 'x'; create user trigger_user; select 1",
         {"create table event (a int)", "alter table t add begin int", "drop procedure p",
          "alter procedure p comment 'x'", "create user trigger_user", "select 1"}},
    };
    check(&options, cases, COUNT_OF(cases));
}

static void
test_mysql_modes(void **state)
{
    (void)state;
    static const SqlOptions plain = {.dialect = SQL_MYSQL, .no_backslash_escapes = true};
    static const SqlOptions ansi = {.dialect = SQL_MYSQL, .ansi_quotes = true};
    static const Case in_plain[] = {{"select '\\';select 2", {"select '\\'", "select 2"}}};
    static const Case in_ansi[] = {{"select \"\\\";select 2", {"select \"\\\"", "select 2"}}};
    check(&plain, in_plain, 1);
    check(&ansi, in_ansi, 1);
}

static void
test_sqlite(void **state)
{
    (void)state;
    static const SqlOptions options = {.dialect = SQL_SQLITE, .facts = true};
    static const Case cases[] = {
        {"select 1; /* not closed", {"select 1"}},
        {"insert into [a;b] values (x'00', \"q;\", `z;`, 'it''s;');select 2",
         {"insert into [a;b] values (x'00', \"q;\", `z;`, 'it''s;')", "select 2"}},
        {"create trigger t after insert on a begin update a set x = 1; select case when 1 then 2 "
         "end; "
         "end; vacuum",
         {"create trigger t after insert on a begin update a set x = 1; select case when 1 then 2 "
          "end; end",
          "vacuum"}},
        {"create temp trigger if not exists t after insert on a begin select 'end;'; end /* ; */",
         {"create temp trigger if not exists t after insert on a begin select 'end;'; end"}},
        {"explain query plan create temporary trigger t after insert on a begin select 1; "
         "end;select 2",
         {"explain query plan create temporary trigger t after insert on a begin select 1; end",
          "select 2"}},
        {"create table trigger_log(a); begin; end; select 1",
         {"create table trigger_log(a)", "begin", "end", "select 1"}},
    };
    check(&options, cases, COUNT_OF(cases));
}

static bool
complete(Arena *arena, Str text, size_t from, size_t to)
{
    return sqlite3_complete(str_dup(arena, str_sub(text, from, to))) == 1;
}

/* sqlite3_complete must say "not yet" at each ';' inside a statement, and "complete" from the
 * statement to the beginning of the next one. */
static void
compare_with_sqlite(Str text)
{
    static const SqlOptions options = {.dialect = SQL_SQLITE};
    SCRATCH_ARENA(arena);
    Error err = ERROR_INIT;
    SqlStatements found = {0}, more = {0};
    if (!sql_split(arena, text, &options, &found, &err)) {
        assert_false(complete(arena, text, 0, text.n));
        return;
    }
    for (size_t k = 0; k < found.n; k++) {
        size_t start = found.p[k].offset, end = start + found.p[k].length;
        for (size_t at = start; at < end; at++) {
            if (text.p[at] == ';')
                assert_false(complete(arena, text, start, at + 1));
        }
        if (k + 1 < found.n)
            assert_true(complete(arena, text, start, found.p[k + 1].offset));
    }
    if (found.n == 0)
        return;
    /* The last one is complete when one more word would be another statement. */
    Str longer = str_of(str_printf(arena, STR_FMT "\nx", STR_ARG(text)));
    bool ended = sql_split(arena, longer, &options, &more, &err) && more.n > found.n;
    assert_int_equal(complete(arena, text, found.p[found.n - 1].offset, text.n), ended);
}

static void
test_sqlite_complete(void **state)
{
    (void)state;
    static const char *const parts[] = {
        "create ", "temp ", "temporary", " trigger ", "explain ", " query plan ",
        ";",       "; end", " end ",     " end;",     "'a;'",     "\"b;\"",
        "`c`",     "[d;]",  "-- x\n",    "/* ; */",   "select ",  " begin ",
        "\n",      "x",     "TRIGGER",   "/",         "-",        "'",
        "endx",    "$",     "1end",      "\xc3\xa9",  "\v",       " case ",
    };
    srandom(20);
    for (int round = 0; round < 50000; round++) {
        SCRATCH_ARENA(arena);
        StrBuf text = strbuf_new(arena, 4096);
        if (round % 2 == 0)
            strbuf_puts(&text, "create trigger ");
        for (long n = random() % 14; n >= 0; n--)
            strbuf_puts(&text, parts[(size_t)random() % COUNT_OF(parts)]);
        compare_with_sqlite(strbuf_str(&text));
    }
}

typedef struct Refusal {
    SqlDialect dialect;
    const char *text, *message;
    size_t line, column;
} Refusal;

static void
test_refusals(void **state)
{
    (void)state;
    static const Refusal cases[] = {
        {SQL_POSTGRES, "select 1;\n  select 'abc", "unterminated quoted string", 2, 10},
        {SQL_POSTGRES, "select \"abc", "unterminated quoted identifier", 1, 8},
        {SQL_POSTGRES, "select $a$ $b$", "unterminated dollar-quoted string", 1, 8},
        {SQL_POSTGRES, "-- x\n/* /* */", "unterminated comment", 2, 1},
        {SQL_POSTGRES, "select 1;\n\\connect other\n", "'\\connect' is a command of psql, not SQL",
         2, 1},
        {SQL_POSTGRES, "select 1 \\gexec", "'\\gexec' is a command of psql, not SQL", 1, 10},
        {SQL_POSTGRES, "select 1;\nCREAT TABLE a ();", "syntax error at or near \"CREAT\"", 2, 1},
        {SQL_POSTGRES, "create function f() returns int begin atomic select 1;",
         "unterminated body: 'begin' is not closed", 1, 33},
        {SQL_MYSQL, "select 1; select `a", "unterminated quoted identifier", 1, 18},
        {SQL_MYSQL, "select 'a\\'", "unterminated quoted string", 1, 8},
        {SQL_MYSQL, "select 1 /*!40000 x", "unterminated comment", 1, 10},
        {SQL_MYSQL, "select 1;\nDELIMITER  \nselect 2", "DELIMITER without a delimiter", 2, 1},
        {SQL_MYSQL, "create procedure p()\nbegin select 1; select 2;",
         "unterminated body: 'begin' is not closed", 2, 1},
        {SQL_SQLITE, "select [a", "unterminated quoted identifier", 1, 8},
        {SQL_SQLITE, " create trigger t after insert on a begin select 1;",
         "unterminated body: 'create' is not closed", 1, 2},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        SCRATCH_ARENA(arena);
        SqlOptions options = {.dialect = cases[i].dialect};
        Error err = ERROR_INIT;
        SqlStatements found = {.n = 77};
        size_t line, column;
        assert_false(sql_split(arena, str_of(cases[i].text), &options, &found, &err));
        assert_int_equal(err.code, ERROR_USAGE);
        assert_string_equal(err.message, cases[i].message);
        assert_int_equal(err.line, cases[i].line);
        assert_int_equal(err.column, cases[i].column);
        str_position(str_of(cases[i].text), (size_t)err.sql_offset, &line, &column);
        assert_int_equal(line, cases[i].line);
        assert_int_equal(column, cases[i].column);
        assert_int_equal(found.n, 77); /* untouched */
    }
}

static void
test_nul(void **state)
{
    (void)state;
    static const SqlDialect dialects[] = {SQL_POSTGRES, SQL_MYSQL, SQL_SQLITE};
    for (size_t i = 0; i < COUNT_OF(dialects); i++) {
        SCRATCH_ARENA(arena);
        SqlOptions options = {.dialect = dialects[i]};
        Error err = ERROR_INIT;
        SqlStatements found = {0};
        assert_false(sql_split(arena, STR("select 1;\0drop"), &options, &found, &err));
        assert_int_equal(err.sql_offset, 9);
    }
}

static void
test_deep_blocks(void **state)
{
    (void)state;
    SCRATCH_ARENA(arena);
    static const SqlOptions options = {.dialect = SQL_MYSQL};
    Error err = ERROR_INIT;
    SqlStatements found = {0};
    StrBuf text = strbuf_new(arena, 1 << 20);
    strbuf_puts(&text, "create procedure p() ");
    for (int i = 0; i < 10000; i++)
        strbuf_puts(&text, "begin ");
    assert_false(sql_split(arena, strbuf_str(&text), &options, &found, &err));
    assert_string_equal(err.message, "blocks are nested too deeply");
}

static void
test_blank(void **state)
{
    (void)state;
    assert_true(sql_is_blank(SQL_POSTGRES, STR_ABSENT));
    assert_true(sql_is_blank(SQL_POSTGRES, STR(" -- a\n/* /* */ */\t")));
    assert_true(sql_is_blank(SQL_MYSQL, STR("# a\n-- b\n/* c */")));
    assert_true(sql_is_blank(SQL_SQLITE, STR("/* open")));
    assert_false(sql_is_blank(SQL_POSTGRES, STR("/* open")));
    assert_false(sql_is_blank(SQL_POSTGRES, STR("# a")));
    assert_false(sql_is_blank(SQL_MYSQL, STR("/*!40101 SET a */")));
    assert_false(sql_is_blank(SQL_SQLITE, STR(" ; ")));
}

/* Five megabytes of rows, and of one statement: linear, with nothing of the text copied. */
static void
test_large(void **state)
{
    (void)state;
    enum { SIZE = 5 * 1024 * 1024 };
    SCRATCH_ARENA(arena);
    StrBuf many = strbuf_new(arena, SIZE * 2), one = strbuf_new(arena, SIZE * 2);
    size_t count = 0;
    strbuf_puts(&one, "insert into t values (0, '')");
    while (many.n < SIZE) {
        strbuf_puts(&many, "INSERT INTO account (id, note) VALUES (12345, 'it''s; a note');\n");
        strbuf_puts(&one, ",\n(12345, 'it''s; a note')");
        count++;
    }
    for (int dialect = SQL_POSTGRES; dialect <= SQL_SQLITE; dialect++) {
        SqlOptions options = {.dialect = (SqlDialect)dialect, .facts = true};
        SqlStatements found = {0}, single = {0};
        Error err = ERROR_INIT;
        int64_t started = clock_ms();
        assert_true(sql_split(arena, strbuf_str(&many), &options, &found, &err));
        assert_int_equal(found.n, count);
        assert_int_equal(found.p[count - 1].line, count);
        assert_true(sql_split(arena, strbuf_str(&one), &options, &single, &err));
        assert_int_equal(single.n, 1);
        assert_true(clock_ms() - started < 5000);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_postgres),
        cmocka_unit_test(test_mysql),
        cmocka_unit_test(test_mysql_modes),
        cmocka_unit_test(test_sqlite),
        cmocka_unit_test(test_sqlite_complete),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_nul),
        cmocka_unit_test(test_deep_blocks),
        cmocka_unit_test(test_blank),
        cmocka_unit_test(test_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
