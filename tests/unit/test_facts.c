/* SPDX-License-Identifier: Apache-2.0 */
/* What a run is told of each statement. */

#include "sql/split.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/banned.h"

/* "ddl alone quiet concurrent creates index s.name>new" */
static char *
described(Arena *arena, const SqlStatement *s)
{
    static const char *const kinds[] = {"other",     "begin",   "commit", "rollback",
                                        "savepoint", "session", "dml",    "ddl"};
    static const char *const objects[] = {"",        "table",   "index",   "view",
                                          "routine", "trigger", "database"};
    StrBuf out = strbuf_new(arena, 4096);
    strbuf_puts(&out, kinds[s->kind]);
    strbuf_puts(&out, s->no_transaction ? " alone" : "");
    strbuf_puts(&out, s->waits_quietly ? " quiet" : "");
    strbuf_puts(&out, s->concurrent_index ? " concurrent" : "");
    strbuf_puts(&out, s->copy_from_stdin ? " stdin" : "");
    strbuf_puts(&out, s->creates ? " creates" : s->drops ? " drops" : "");
    if (s->object != SQL_OBJECT_NONE)
        strbuf_printf(&out, " %s", objects[s->object]);
    if (s->object_schema.p)
        strbuf_printf(&out, " " STR_FMT ".", STR_ARG(s->object_schema));
    if (s->object_name.p)
        strbuf_printf(&out, "%s" STR_FMT, s->object_schema.p ? "" : " ", STR_ARG(s->object_name));
    if (s->object_new_name.p)
        strbuf_printf(&out, ">" STR_FMT, STR_ARG(s->object_new_name));
    return out.p;
}

typedef struct Case {
    const char *text, *want;
} Case;

static void
check(const SqlOptions *options, const Case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        SCRATCH_ARENA(arena);
        Error err = ERROR_INIT;
        SqlStatements found = {0};
        if (!sql_split(arena, str_of(cases[i].text), options, &found, &err))
            fail_msg("%s: %s", cases[i].text, err.message);
        assert_int_equal(found.n, 1);
        if (!str_eq(str_of(described(arena, found.p)), str_of(cases[i].want)))
            fail_msg("%s:\n  is   %s\n  want %s", cases[i].text, described(arena, found.p),
                     cases[i].want);
    }
}

static const Case postgres_cases[] = {
    {"insert into t values (1)", "dml"},
    {"with a as (select 1) delete from t", "dml"},
    {"(select 1) union (select 2)", "dml"},
    {"select set_config('a.b', 'c', false)", "dml"},
    {"show work_mem", "dml"},
    {"copy t from '/a'", "dml"},
    {"copy t (\"from\") from stdin with (format csv)", "dml stdin"},
    {"begin isolation level serializable", "begin"},
    {"start transaction", "begin"},
    {"commit", "commit"},
    {"end transaction", "commit"},
    {"abort", "rollback"},
    {"rollback work", "rollback"},
    {"rollback work to savepoint a", "savepoint"},
    {"release a", "savepoint"},
    {"prepare transaction 'x'", "commit"},
    {"commit prepared 'x'", "other alone"},
    {"rollback prepared 'x'", "other alone"},
    {"prepare p as select 1", "session"},
    {"set search_path = a", "session"},
    {"set session work_mem = 1", "session"},
    {"set session characteristics as transaction read only", "session"},
    {"set role a", "session"},
    {"set local work_mem = 1", "other"},
    {"set transaction read only", "other"},
    {"set constraints all deferred", "other"},
    {"reset all", "session"},
    {"do $$ begin end $$", "other"},
    {"call p()", "other"},
    {"lock t", "other"},
    {"discard all", "other alone"},
    {"discard plans", "other"},
    {"create table \"A b\".\"C\"\"d\" (a int)", "ddl creates table A b.C\"d"},
    {"CREATE TEMP TABLE IF NOT EXISTS App.Users AS SELECT 1", "ddl creates table app.users"},
    {"create unlogged table db.s.t (a int)", "ddl creates table s.t"},
    {"create foreign table f (a int) server s", "ddl creates table f"},
    {"create or replace view v as select 1", "ddl creates view v"},
    {"create materialized view v as select 1", "ddl creates view v"},
    {"create or replace function s.f(a int) returns int language sql as 'select 1'",
     "ddl creates routine s.f"},
    {"create constraint trigger g after insert on t for each row execute function f()",
     "ddl creates trigger g"},
    {"create event trigger g on ddl_command_start execute function f()", "ddl"},
    {"create extension hstore", "ddl"},
    {"create index i on s.t (a)", "ddl creates index s.i"},
    {"create unique index concurrently if not exists i on only s.t (a)",
     "ddl alone quiet concurrent creates index s.i"},
    {"create index concurrently on t (a)", "ddl alone quiet concurrent creates index"},
    {"create index \"concurrently\" on t (a)", "ddl creates index concurrently"},
    {"create index on t (a)", "ddl creates index"},
    {"drop index concurrently if exists s.i", "ddl alone quiet drops index s.i"},
    {"drop index i, j", "ddl"},
    {"drop table if exists s.t cascade", "ddl drops table s.t"},
    {"drop table a, b", "ddl"},
    {"drop function f(int)", "ddl drops routine f"},
    {"reindex table t", "ddl table t"},
    {"reindex index concurrently i", "ddl alone quiet index i"},
    {"reindex (verbose, concurrently) table t", "ddl alone quiet table t"},
    {"reindex (concurrently false) index i", "ddl index i"},
    {"reindex schema s", "ddl alone"},
    {"reindex database concurrently d", "ddl alone quiet"},
    {"reindex system d", "ddl alone"},
    {"vacuum (analyze) t", "ddl alone"},
    {"analyze t", "ddl"},
    {"cluster", "ddl alone"},
    {"cluster verbose", "ddl alone"},
    {"cluster verbose t using i", "ddl table t"},
    {"cluster i on t", "ddl"},
    {"create database d", "ddl alone creates database d"},
    {"drop database if exists d with (force)", "ddl alone drops database d"},
    {"alter database d set tablespace s", "ddl alone database d"},
    {"alter database d with tablespace s", "ddl alone database d"},
    {"alter database d set work_mem = '1MB'", "ddl database d"},
    {"create tablespace s location '/x'", "ddl alone"},
    {"drop tablespace s", "ddl alone"},
    {"alter tablespace s rename to r", "ddl"},
    {"alter system set work_mem = '1MB'", "ddl alone"},
    {"alter table only s.t add column a int", "ddl table s.t"},
    {"alter table if exists t rename to U", "ddl table t>u"},
    {"alter table t rename column a to b", "ddl table t"},
    {"alter table t rename a to b", "ddl table t"},
    {"alter table all in tablespace a set tablespace b", "ddl"},
    {"alter table t validate constraint c", "ddl quiet table t"},
    {"alter table t validate constraint c, validate constraint d", "ddl quiet table t"},
    {"alter table t validate constraint c, add check (a in (1, 2))", "ddl table t"},
    {"alter table t add check (a > 0) not valid", "ddl table t"},
    {"alter table t detach partition p concurrently", "ddl alone quiet table t"},
    {"alter table t detach partition p", "ddl table t"},
    {"alter table t detach partition p finalize", "ddl table t"},
    {"alter index i rename to j", "ddl index i>j"},
    {"alter function f(int, text) rename to g", "ddl routine f>g"},
    {"alter view v set schema s", "ddl view v"},
    {"alter type e add value 'x'", "ddl"},
    {"create subscription s connection 'x' publication p", "ddl alone"},
    {"create subscription s connection 'x' publication p with (connect = false)", "ddl"},
    {"create subscription s connection 'x' publication p with (create_slot = off)", "ddl"},
    {"alter subscription s refresh publication", "ddl alone"},
    {"alter subscription s set publication p", "ddl alone"},
    {"alter subscription s set publication p with (refresh = false)", "ddl"},
    {"alter subscription s disable", "ddl"},
    {"drop subscription s", "ddl alone"},
    {"refresh materialized view concurrently v", "ddl"},
    {"truncate table only t", "ddl table t"},
    {"truncate a, b", "ddl"},
    {"comment on table t is 'vacuum'", "ddl"},
    {"create table u&\"\\0061\" (a int)", "ddl"},
    {"create table \xc3\x89T\xc3\x89 (a int)", "ddl creates table \xc3\x89t\xc3\x89"},
    {"create table a123456789b123456789c123456789d123456789e123456789f123456789xyz\xc3\xa9 (a int)",
     "ddl creates table a123456789b123456789c123456789d123456789e123456789f123456789xyz"},
    {"create table a123456789b123456789c123456789d123456789e123456789f123456789xy\xc3\xa9z (a int)",
     "ddl creates table a123456789b123456789c123456789d123456789e123456789f123456789xy"},
};

static void
test_postgres(void **state)
{
    (void)state;
    static const SqlOptions options = {.dialect = SQL_POSTGRES, .facts = true, .server_major = 15};
    check(&options, postgres_cases, COUNT_OF(postgres_cases));
}

static void
test_postgres_versions(void **state)
{
    (void)state;
    static const SqlOptions old = {.dialect = SQL_POSTGRES, .facts = true, .server_major = 11};
    static const SqlOptions next = {.dialect = SQL_POSTGRES, .facts = true, .server_major = 19};
    static const Case in_old[] = {{"alter type s.e add value if not exists 'x'", "ddl alone"}};
    static const Case in_next[] = {
        {"repack", "ddl alone"},
        {"repack (concurrently) t using index i", "ddl alone quiet table t"},
        {"repack t", "ddl table t"},
    };
    check(&old, in_old, COUNT_OF(in_old));
    check(&next, in_next, COUNT_OF(in_next));
    check(&next, postgres_cases, COUNT_OF(postgres_cases)); /* the same without the parser */
}

static void
test_mysql(void **state)
{
    (void)state;
    static const SqlOptions options = {.dialect = SQL_MYSQL, .facts = true};
    static const Case cases[] = {
        {"insert into t values (1)", "dml"},
        {"load data infile 'x' into table t", "dml"},
        {"load index into cache t", "ddl"},
        {"show tables", "dml"},
        {"call p()", "other"},
        {"execute s", "other"},
        {"prepare s from 'select 1'", "session"},
        {"set names utf8", "session"},
        {"set session transaction read only", "session"},
        {"set password = 'x'", "ddl"},
        {"set default role none to a", "ddl"},
        {"set statement max_statement_time = 1 for alter table t add a int", "ddl table t"},
        {"set statement max_statement_time = 1 for select 1", "dml"},
        {"use d", "session"},
        {"begin", "begin"},
        {"begin work", "begin"},
        {"begin not atomic select 1; end", "other"},
        {"start transaction read only", "begin"},
        {"start slave", "ddl"},
        {"commit and chain", "commit"},
        {"rollback to a", "savepoint"},
        {"rollback", "rollback"},
        {"xa start 'x'", "begin"},
        {"xa commit 'x'", "commit"},
        {"create table if not exists `a``b`.`c;d` (x int)", "ddl creates table a`b.c;d"},
        {"create or replace table t (x int)", "ddl creates table t"},
        {"create temporary table t (x int)", "dml"},
        {"drop temporary table if exists t", "dml"},
        {"alter table t add x int", "ddl table t"},
        {"alter table t rename column a to b, add index rename_to (a)", "ddl table t"},
        {"alter table t add check (a in (1, 2)), rename to u", "ddl table t>u"},
        {"alter table s.t rename as s.u", "ddl table s.t>u"},
        {"alter table s.t rename u", "ddl table s.t>u"},
        {"alter table t rename s.u", "ddl"},
        {"rename table a to b", "ddl table a>b"},
        {"rename table a to b, b to c", "ddl"},
        {"rename table a to s.b", "ddl"},
        {"rename user a to b", "ddl"},
        {"drop table a, b", "ddl"},
        {"drop table if exists s.a", "ddl drops table s.a"},
        {"truncate t", "ddl table t"},
        {"create unique index i on s.t (a)", "ddl table s.t"},
        {"drop index i on t", "ddl table t"},
        {"create or replace algorithm = merge definer = `a`@`b` sql security invoker view v as "
         "select 1",
         "ddl creates view v"},
        {"create definer = current_user() procedure if not exists s.p() select 1",
         "ddl creates routine s.p"},
        {"create aggregate function f returns int soname 'x.so'", "ddl creates routine f"},
        {"create definer = 'a'@'b' trigger g before insert on t for each row set new.a = 1",
         "ddl creates trigger g"},
        {"/*!50003 create*/ /*!50017 definer=`a`@`b`*/ /*!50003 trigger g before insert on t for "
         "each "
         "row set new.a = 1 */",
         "ddl creates trigger g"},
        {"create event e on schedule every 1 day do select 1", "ddl"},
        {"drop procedure if exists p", "ddl drops routine p"},
        {"create database if not exists d", "ddl creates database d"},
        {"create schema d", "ddl creates database d"},
        {"alter database d character set utf8", "ddl database d"},
        {"alter database character set utf8", "ddl"},
        {"create user a", "ddl"},
        {"grant all on *.* to a", "ddl"},
        {"analyze local table t", "ddl"},
        {"analyze select 1", "dml"},
        {"optimize table t", "ddl"},
        {"lock tables t write", "ddl"},
        {"flush tables", "ddl"},
        {"/*!40101 SET NAMES utf8 */", "session"},
        {"kill 1", "other"},
    };
    check(&options, cases, COUNT_OF(cases));
}

static void
test_sqlite(void **state)
{
    (void)state;
    static const SqlOptions options = {.dialect = SQL_SQLITE, .facts = true};
    static const Case cases[] = {
        {"replace into t values (1)", "dml"},
        {"explain query plan select 1", "dml"},
        {"begin immediate", "begin"},
        {"end", "commit"},
        {"rollback", "rollback"},
        {"rollback transaction to a", "savepoint"},
        {"create table if not exists main.[a b] (x)", "ddl creates table main.a b"},
        {"create virtual table t using fts5(a)", "ddl creates table t"},
        {"create unique index i on t (a)", "ddl creates index i"},
        {"create temp trigger g after insert on t begin select 1; end", "ddl creates trigger g"},
        {"drop view if exists \"v\"", "ddl drops view v"},
        {"alter table t rename to `u`", "ddl table t>u"},
        {"alter table t rename column a to b", "ddl table t"},
        {"analyze", "ddl"},
        {"vacuum", "ddl alone"},
        {"vacuum into 'x'", "ddl alone"},
        {"attach 'x' as y", "session"},
        {"detach y", "other alone"},
        {"pragma foreign_keys = on", "session alone"},
        {"PRAGMA main.foreign_keys(0)", "session alone"},
        {"pragma foreign_keys", "dml"},
        {"pragma journal_mode = wal", "session alone"},
        {"pragma synchronous = off", "session alone"},
        {"pragma cache_size = 10", "session"},
        {"pragma defer_foreign_keys = 1", "session"},
        {"pragma user_version = 3", "dml"},
        {"pragma table_info(t)", "dml"},
        {"pragma foreign_key_check(t)", "dml"},
        {"pragma wal_checkpoint(truncate)", "other alone"},
    };
    check(&options, cases, COUNT_OF(cases));
}

static void
test_not_asked(void **state)
{
    (void)state;
    static const SqlOptions options = {.dialect = SQL_POSTGRES};
    static const Case cases[] = {{"create index concurrently i on t (a)", "other"},
                                 {"copy t from stdin", "other stdin"}};
    check(&options, cases, COUNT_OF(cases));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_postgres),  cmocka_unit_test(test_postgres_versions),
        cmocka_unit_test(test_mysql),     cmocka_unit_test(test_sqlite),
        cmocka_unit_test(test_not_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
