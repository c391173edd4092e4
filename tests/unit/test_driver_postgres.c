/* SPDX-License-Identifier: Apache-2.0 */
/* The PostgreSQL driver on a private server. Without one this test says SKIP. */

#include "postgres_fixture.h"

#include "core/banned.h"

/* ---- connecting ---- */

static void
refused(Fixture *f, const char *url, ErrorCode code, ErrorClass cls)
{
    Db *db = NULL;
    error_clear(&f->err);
    assert_false(try_open(f->arena, &f->wait, url, NULL, &db, &f->err));
    if (f->err.code != code || f->err.cls != cls)
        fail_msg("%s: code %d class %d: %s", url, f->err.code, f->err.cls, f->err.message);
    assert_null(strstr(f->err.message, "s3cret"));
}

static void
test_connect_errors(void **state)
{
    Fixture *f = *state;
    const char *at = text("127.0.0.1:%d", server.port);
    refused(f, text("postgresql://postgres:s3cret@%s/nobase", at), ERROR_UNREACHABLE,
            ERROR_CLASS_NO_DATABASE);
    assert_string_equal(f->err.sqlstate, "3D000");
    assert_non_null(strstr(f->err.message, "database \"nobase\" does not exist"));
    refused(f, text("postgresql://nobody:s3cret@%s/postgres", at), ERROR_UNREACHABLE,
            ERROR_CLASS_LOGIN);
    refused(f, text("postgresql://postgres:s3cret@%s/postgres?sslmode=require", at),
            ERROR_UNREACHABLE, ERROR_CLASS_LOGIN);
    refused(f, text("postgresql://postgres@127.0.0.1:%d/postgres", free_port()), ERROR_UNREACHABLE,
            ERROR_CLASS_CONNECTION);
    refused(f, "postgresql://postgres@no-such-host.invalid/postgres", ERROR_UNREACHABLE,
            ERROR_CLASS_CONNECTION);
    refused(f, "postgresql://postgres@/postgres?host=/nowhere", ERROR_UNREACHABLE,
            ERROR_CLASS_CONNECTION);
    refused(f, text("postgresql://postgres@%s/postgres?sslmode=perhaps", at), ERROR_USAGE,
            ERROR_CLASS_NONE);
    refused(f, text("postgresql://postgres@%s/postgres?client_encoding=latin1", at), ERROR_USAGE,
            ERROR_CLASS_NONE);
    refused(f, text("postgresql://postgres@%s/postgres?channel_binding=perhaps", at), ERROR_USAGE,
            ERROR_CLASS_OTHER);
}

/* Refusals that the server's SQLSTATE tells, whatever its words are. */
static void
test_refused_by_sqlstate(void **state)
{
    Fixture *f = *state;
    Db *db = open_db(f, NULL);
    must(f, db, "create role closed login connection limit 0");
    refused(f, url_text("closed", "postgres"), ERROR_UNREACHABLE, ERROR_CLASS_CONNECTION);
    assert_string_equal(f->err.sqlstate, "53300");
    must(f, db, "drop role closed");
    must(f, db, "create database barred");
    must(f, db, "revoke connect on database barred from public");
    must(f, db, "create role outsider login");
    refused(f, url_text("outsider", "barred"), ERROR_UNREACHABLE, ERROR_CLASS_LOGIN);
    must(f, db, "drop database barred");
    must(f, db, "drop role outsider");
    db_close(db);
}

static void
test_url_options(void **state)
{
    Fixture *f = *state;
    Db *db = NULL;
    const char *url = url_text("postgres", "postgres?search_path=\"Odd");
    /* A raw quote is not a URL's. */
    assert_false(dburl_parse(f->arena, str_of(url), &(DbUrl){0}, &f->err));
    error_clear(&f->err);
    url = text("postgresql://postgres@127.0.0.1:%d,127.0.0.1:%d/postgres?"
               "search_path=Od'd%%22x,pg_catalog&ssl=prefer&connect_timeout=3&pool_size=5",
               free_port(), server.port);
    if (!try_open(f->arena, &f->wait, url, "lockstep:r1", &db, &f->err))
        fail_msg("%s", f->err.message);
    assert_string_equal(one(f, db, "show search_path"), "\"Od'd\"\"x\", pg_catalog");
    assert_string_equal(one(f, db, "show application_name"), "lockstep:r1");
    assert_string_equal(one(f, db, "show client_connection_check_interval"), "1s");
    assert_string_equal(one(f, db, "show client_encoding"), "UTF8");
    must(f, db,
         "begin; create role other; set role other; set search_path = nowhere; set "
         "lock_timeout = 77; set client_encoding = latin1");
    assert_true(db_in_transaction(db));
    assert_true(db_reset(db, &f->err));
    assert_false(db_in_transaction(db));
    assert_string_equal(one(f, db, "show search_path"), "\"Od'd\"\"x\", pg_catalog");
    assert_string_equal(one(f, db, "select current_user"), "postgres");
    assert_string_equal(one(f, db, "show client_connection_check_interval"), "1s");
    assert_string_equal(one(f, db, "show client_encoding"), "UTF8");
    assert_string_equal(one(f, db, "show lock_timeout"), "0");
    assert_true(db_set_timeouts(db, 1500, 0, &f->err));
    assert_string_equal(one(f, db, "show lock_timeout"), "1500ms");
    db_close(db);
}

static void
test_facts(void **state)
{
    Fixture *f = *state;
    Db *db = open_db(f, NULL);
    DbFacts facts;
    assert_true(db_facts(db, f->arena, &facts, &f->err));
    assert_int_equal(facts.version_major, 15);
    assert_string_equal(facts.flavor, "postgresql");
    assert_string_equal(facts.schema, "public");
    assert_string_equal(facts.database, "postgres");
    assert_true(facts.can_create);
    assert_false(facts.standby || facts.read_only || facts.pooled);
    assert_int_equal(facts.session_id, pid_of(f, db));
    must(f, db, "set search_path = nowhere; set default_transaction_read_only = on");
    assert_true(db_facts(db, f->arena, &facts, &f->err));
    assert_null(facts.schema);
    assert_false(facts.can_create);
    assert_true(facts.read_only);
    db_close(db);
}

static void
test_create_database(void **state)
{
    Fixture *f = *state;
    DbUrl url;
    DbOptions options = {.wait = &f->wait};
    assert_true(dburl_parse(f->arena, str_of(url_text("postgres", "fresh%22one")), &url, &f->err));
    assert_true(db_create_database(f->arena, &url, &options, &f->err));
    assert_true(db_create_database(f->arena, &url, &options, &f->err)); /* a race lost */
    Db *db = NULL;
    assert_true(db_connect(f->arena, &url, &options, &db, &f->err));
    db_close(db);
    db = open_db(f, NULL);
    must(f, db, "drop database \"fresh\"\"one\"");
    db_close(db);
}

/* ---- queries ---- */

static void
test_error_classes(void **state)
{
    Fixture *f = *state;
    Db *db = open_db(f, NULL);
    must(f, db, "create table t (id int primary key, n int not null); insert into t values (1, 1)");
    refuse(f, db, "select * from missing", ERROR_CLASS_NO_TABLE);
    assert_int_equal(f->err.sql_offset, 14);
    assert_string_equal(f->err.sqlstate, "42P01");
    refuse(f, db, "select '\xc3\xa4\xc3\xb6' from missing", ERROR_CLASS_NO_TABLE);
    assert_int_equal(f->err.sql_offset, 19); /* bytes, where the server counts characters */
    refuse(f, db, "selct 1", ERROR_CLASS_SYNTAX);
    refuse(f, db, "insert into t values (1, 1)", ERROR_CLASS_DUPLICATE);
    refuse(f, db, "create table t ()", ERROR_CLASS_DUPLICATE);
    refuse(f, db, "alter table t add n int", ERROR_CLASS_DUPLICATE);
    refuse(f, db, "insert into t values (2, null)", ERROR_CLASS_NULL_VIOLATION);
    refuse(f, db, "begin read only; insert into t values (3, 3)", ERROR_CLASS_READ_ONLY);
    assert_true(db_in_transaction(db));
    must(f, db, "rollback");
    refuse(f, db, "set statement_timeout = 30; select pg_sleep(5)", ERROR_CLASS_TIMEOUT);
    must(f, db, "set statement_timeout = 0");
    refuse(f, db, "do $$ begin raise exception using errcode = '40001'; end $$",
           ERROR_CLASS_DEADLOCK);
    refuse(f, db, "do $$ begin raise exception using errcode = '53100'; end $$",
           ERROR_CLASS_DISK_FULL);
    must(f, db, "create role weak; set role weak");
    refuse(f, db, "drop table t", ERROR_CLASS_PRIVILEGE);
    must(f, db, "reset role");
    Db *other = open_db(f, NULL);
    must(f, other, "begin; lock table t");
    refuse(f, db, "set lock_timeout = 30; select * from t", ERROR_CLASS_LOCK_TIMEOUT);
    db_close(other);
    must(f, db, "drop table t; drop role weak");
    db_close(db);
}

static void
test_script(void **state)
{
    Fixture *f = *state;
    Db *db = open_db(f, NULL);
    size_t done = 99;
    const char *sql = "create table s (n int);\ninsert into s values (1);\nselect 1/0;\nselect 1";
    assert_false(db_script(db, str_of(sql), &done, &f->err));
    assert_int_equal(done, 2);
    assert_string_equal(f->err.sqlstate, "22012");
    error_clear(&f->err);
    assert_true(
        db_script(db, STR("select generate_series(1, 200000); select 1;;"), &done, &f->err));
    assert_int_equal(done, 2);
    DbResult r = {0};
    assert_true(db_query(db, f->arena, STR("select 'a', null; select ''"), &r, &f->err));
    assert_int_equal(r.rows, 1);
    assert_int_equal(r.cells[0].n, 0);
    assert_non_null(r.cells[0].p);
    assert_true(db_query(db, f->arena, STR("select 'a', null::text"), &r, &f->err));
    assert_null(r.cells[1].p);
    must(f, db, "create table c (n int); insert into c select generate_series(1, 3)");
    assert_int_equal(db_changes(db), 3);
    must(f, db, "drop table c");
    db_close(db);
}

static void
test_copy_is_refused(void **state)
{
    Fixture *f = *state;
    Db *db = open_db(f, NULL);
    static const char *const copies[] = {"copy (select 1) to stdout",
                                         "copy (select generate_series(1, 300000)) to stdout",
                                         "create table cp (n int); copy cp from stdin; select 1"};
    for (size_t i = 0; i < COUNT_OF(copies); i++) {
        refuse(f, db, copies[i], ERROR_CLASS_NONE);
        assert_non_null(strstr(f->err.message, "COPY"));
        assert_true(db_alive(db));
        assert_string_equal(one(f, db, "select 7"), "7");
    }
    db_close(db);
}

/* A script of many megabytes goes out while the server, slowly, takes it. */
static void
test_large_script(void **state)
{
    Fixture *f = *state;
    Db *db = open_db(f, NULL);
    StrBuf sql = strbuf_new(f->arena, 64 * 1024 * 1024);
    for (int i = 0; i < 200; i++) {
        strbuf_puts(&sql, "select length('");
        for (int k = 0; k < 2000; k++)
            strbuf_puts(&sql, "0123456789012345678901234567890123456789012345678");
        strbuf_puts(&sql, "');\n");
    }
    size_t done = 0;
    assert_true(db_script(db, strbuf_str(&sql), &done, &f->err));
    assert_int_equal(done, 200);
    db_close(db);
}

static void
test_literals(void **state)
{
    Fixture *f = *state;
    Db *db = open_db(f, NULL);
    static const char *const values[] = {"", "'", "\\", "\\'", "a''b\\\\", "$1 :x :'y'", "\n\t"};
    static const char *const settings[] = {"on", "off"};
    for (size_t k = 0; k < COUNT_OF(settings); k++) {
        must(f, db, text("set standard_conforming_strings = %s", settings[k]));
        for (size_t i = 0; i < COUNT_OF(values); i++) {
            Str sql = db_quote_literal(db, f->arena, str_of(values[i]));
            assert_string_equal(one(f, db, text("select%s", text(" " STR_FMT, STR_ARG(sql)))),
                                values[i]);
        }
    }
    must(f, db,
         text("create table " STR_FMT " (n int)",
              STR_ARG(db_quote_ident(db, f->arena, STR("a\"b.c d")))));
    must(f, db, "drop table \"a\"\"b.c d\"");
    assert_string_equal(db_quote_literal(db, f->arena, STR_ABSENT).p, "NULL");
    db_close(db);
}

static void
test_digest(void **state)
{
    Fixture *f = *state;
    Db *db = open_db(f, NULL);
    Str digest = db_digest_expr(db, f->arena, (const char *const[]){"version", "applied_at", NULL});
    const char *sql = text("select " STR_FMT " from dg", STR_ARG(digest));
    must(f, db, "create table dg (version text, applied_at timestamptz)");
    const char *empty = one(f, db, sql);
    assert_non_null(empty);
    must(f, db, "insert into dg values ('1', now()), ('2', null)");
    const char *two = one(f, db, sql);
    assert_string_not_equal(two, empty);
    must(f, db, "update dg set version = '3' where version = '2'");
    assert_string_not_equal(one(f, db, sql), two);
    must(f, db, "drop table dg");
    db_close(db);
}

/* ---- being stopped, losing the connection ---- */

static bool
stop_tick(void *ctx, Error *err)
{
    if (clock_ms() < *(int64_t *)ctx)
        return true;
    return error_set(err, ERROR_LOCKED, "the lock was lost");
}

static void
test_stopped_by_the_tick(void **state)
{
    Fixture *f = *state;
    Db *db = open_db(f, NULL);
    must(f, db, "create table st (n int)");
    int64_t at = clock_ms() + 1000;
    f->wait.tick = (WaitTick){.every_ms = 20, .call = stop_tick, .ctx = &at};
    int64_t began = clock_ms();
    assert_false(
        db_exec(db, STR("begin; insert into st values (1); select pg_sleep(20)"), &f->err));
    f->wait.tick = (WaitTick){0};
    assert_int_equal(f->err.code, ERROR_LOCKED);
    assert_true(clock_ms() - began < 15000);
    assert_true(db_alive(db));
    assert_true(db_in_transaction(db));
    assert_true(db_reset(db, &(Error){.sql_offset = -1}));
    assert_string_equal(one(f, db, "select count(*) from st"), "0");
    must(f, db, "drop table st");
    db_close(db);
}

static void
test_session_ended_by_another(void **state)
{
    Fixture *f = *state;
    Db *db = open_db(f, NULL), *other = open_db(f, NULL);
    run_elsewhere(
        f, "postgres", "helper",
        text("select pg_sleep(0.3), pg_terminate_backend(%lld)", (long long)pid_of(f, db)));
    refuse(f, db, "select pg_sleep(20)", ERROR_CLASS_CONNECTION);
    assert_int_equal(f->err.code, ERROR_UNREACHABLE);
    assert_false(db_alive(db));
    refuse(f, db, "select 1", ERROR_CLASS_CONNECTION);
    db_close(db);
    db_close(other);
}

/* ---- sessions of others ---- */

static void
test_blockers_and_victims(void **state)
{
    Fixture *f = *state;
    Db *db = open_db(f, "lockstep"), *apply = open_db(f, "lockstep:x");
    Str lines;
    int64_t longest = -1, count = -1, pid = pid_of(f, apply);
    must(f, db, "create table bv (n int); create role app login; grant all on bv to app");
    assert_true(db_victims(db, pid, &longest, &count, &f->err));
    assert_int_equal(longest, 0);
    assert_int_equal(count, 0);
    must(f, apply, "begin; lock table bv in access exclusive mode");
    run_elsewhere(f, "app", "shop", "select 'waiting for   a lock' from bv");
    until(f, db, "select count(*) = 1 from pg_locks where not granted");
    pause_ms(60);
    assert_true(db_victims(db, pid, &longest, &count, &f->err));
    assert_int_equal(count, 1);
    assert_in_range(longest, 50, 30000);
    /* Seen by a role that may not see what others do, too. */
    must(f, db, "create role lowly login");
    Db *low = open_as(f, "lowly", "lockstep");
    assert_true(db_victims(low, pid, &longest, &count, &f->err));
    assert_int_equal(count, 1);
    assert_in_range(longest, 50, 30000);
    int64_t waiter = 0;
    assert_true(str_to_i64(
        str_of(one(f, db, "select pid from pg_stat_activity where application_name = 'shop'")),
        &waiter));
    assert_true(db_blockers(db, f->arena, waiter, &lines, &f->err));
    const char *said = str_dup(f->arena, lines);
    assert_non_null(strstr(
        said, text("pid %lld (lockstep:x, postgres, idle in transaction since", (long long)pid)));
    assert_non_null(strstr(said, "LOCK TABLE bv") ? said : strstr(said, "lock table bv"));
    assert_true(db_blockers(low, f->arena, waiter, &lines, &f->err));
    said = str_dup(f->arena, lines);
    assert_non_null(strstr(said, text("pid %lld", (long long)pid)));
    assert_null(strstr(said, "privilege"));
    assert_true(db_cancel_session(db, waiter, &f->err));
    until(f, db, "select count(*) = 0 from pg_locks where not granted");
    /* A lowly role may end nobody. */
    assert_false(db_end_session(low, pid, &f->err));
    assert_int_equal(f->err.cls, ERROR_CLASS_PRIVILEGE);
    db_close(low);
    db_close(apply);
    until(f, db, "select count(*) = 0 from pg_stat_activity where usename in ('lowly')");
    error_clear(&f->err);
    kill(f->children[0], SIGKILL);
    until(f, db, "select count(*) = 0 from pg_stat_activity where usename = 'app'");
    must(f, db, "drop table bv; drop role app; drop role lowly");
    db_close(db);
}

static void
test_prepared_transaction_blocks(void **state)
{
    Fixture *f = *state;
    Db *db = open_db(f, "lockstep");
    Str lines;
    must(f, db, "create table pt (n int)");
    must(f, db, "begin; lock table pt; prepare transaction 'p1'");
    run_elsewhere(f, "postgres", "shop", "select * from pt");
    until(f, db, "select count(*) = 1 from pg_locks where not granted");
    int64_t waiter = 0;
    assert_true(str_to_i64(
        str_of(one(f, db, "select pid from pg_stat_activity where application_name = 'shop'")),
        &waiter));
    assert_true(db_blockers(db, f->arena, waiter, &lines, &f->err));
    assert_non_null(strstr(str_dup(f->arena, lines), "a prepared transaction"));
    must(f, db, "rollback prepared 'p1'");
    kill(f->children[0], SIGKILL);
    until(f, db, "select count(*) = 0 from pg_stat_activity where application_name = 'shop'");
    must(f, db, "drop table pt");
    db_close(db);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_connect_errors),
        TEST(test_refused_by_sqlstate),
        TEST(test_url_options),
        TEST(test_facts),
        TEST(test_create_database),
        TEST(test_error_classes),
        TEST(test_script),
        TEST(test_copy_is_refused),
        TEST(test_large_script),
        TEST(test_literals),
        TEST(test_digest),
        TEST(test_stopped_by_the_tick),
        TEST(test_session_ended_by_another),
        TEST(test_blockers_and_victims),
        TEST(test_prepared_transaction_blocks),
    };
    if (!have_server()) {
        puts("SKIP: there is no PostgreSQL 15 here");
        return 77;
    }
    int failed = start_server() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
    stop_server();
    return failed;
}
