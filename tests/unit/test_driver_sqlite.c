/* SPDX-License-Identifier: Apache-2.0 */
/* The SQLite driver on real files: opening, scripts, errors and their places, waiting, resetting.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/fs.h"
#include "db/db.h"

typedef struct Fixture {
    Arena *arena;
    char dir[64];
    char *path;
    Wait wait;
    Error err;
} Fixture;

static int
set_up(void **state)
{
    Arena *arena = arena_new();
    Fixture *f = arena_make(arena, Fixture);

    f->arena = arena;
    f->wait = wait_init();
    f->err = ERROR_INIT;
    snprintf(f->dir, sizeof(f->dir), "/tmp/lockstep-sqlite-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->path = fs_join(arena, f->dir, "app.db");
    *state = f;
    return 0;
}

static int
tear_down(void **state)
{
    Fixture *f = *state;
    FsList list = {0};

    (void)!chmod(f->dir, 0755);
    assert_true(fs_list(f->arena, f->dir, &list, &f->err));
    for (size_t i = 0; i < list.n; i++) {
        char *path = fs_join(f->arena, f->dir, list.p[i].name);

        if (unlink(path) != 0)
            (void)!rmdir(path);
    }
    (void)!rmdir(f->dir);
    arena_free(f->arena);
    return 0;
}

static DbUrl
url_of(const char *path)
{
    return (DbUrl){.engine = DB_SQLITE,
                   .database = (char *)(uintptr_t)path,
                   .display = (char *)(uintptr_t)path};
}

static void
add_param(Fixture *f, DbUrl *url, const char *name, const char *value)
{
    *vec_push(f->arena, &url->params) =
        (DbParam){str_dup(f->arena, str_of(name)), str_dup(f->arena, str_of(value))};
}

static bool
try_open(Fixture *f, const DbUrl *url, bool read_only, Db **ret)
{
    DbOptions options = {.wait = &f->wait, .read_only = read_only};

    error_clear(&f->err);
    return db_connect(f->arena, url, &options, ret, &f->err);
}

static Db *
open_db(Fixture *f)
{
    DbUrl url = url_of(f->path);
    Db *db = NULL;

    if (!try_open(f, &url, false, &db))
        fail_msg("%s", f->err.message);
    return db;
}

static void
must(Fixture *f, Db *db, const char *sql)
{
    if (!db_exec(db, str_of(sql), &f->err))
        fail_msg("%s: %s", sql, f->err.message);
}

static void
refuse(Fixture *f, Db *db, const char *sql, ErrorClass cls)
{
    error_clear(&f->err);
    assert_false(db_exec(db, str_of(sql), &f->err));
    if (f->err.cls != cls)
        fail_msg("%s: class %d: %s", sql, f->err.cls, f->err.message);
}

static const char *
one(Fixture *f, Db *db, const char *sql)
{
    DbResult row = {0};

    if (!db_query(db, f->arena, str_of(sql), &row, &f->err))
        fail_msg("%s: %s", sql, f->err.message);
    assert_int_equal(row.rows, 1);
    return row.cells[0].p ? str_dup(f->arena, row.cells[0]) : NULL;
}

/* ---- opening ---- */

static void
test_opening(void **state)
{
    Fixture *f = *state;
    DbUrl url = url_of(f->path), missing = url_of("/nonexistent-dir/x/app.db");
    Db *db = NULL;

    /* Looking never makes the file. */
    assert_false(try_open(f, &url, true, &db));
    assert_int_equal(f->err.code, ERROR_UNREACHABLE);
    assert_int_equal(f->err.cls, ERROR_CLASS_NO_DATABASE);
    assert_int_equal(fs_kind(f->path), FS_ABSENT);

    assert_false(try_open(f, &missing, false, &db));
    assert_int_equal(f->err.code, ERROR_UNREACHABLE);
    assert_non_null(strstr(f->err.message, "/nonexistent-dir/x"));
    assert_true(f->err.hint[0] != '\0');

    url = url_of(f->dir);
    assert_false(try_open(f, &url, false, &db));
    assert_non_null(strstr(f->err.message, "directory"));

    db = open_db(f);
    must(f, db, "create table t (a)");
    db_close(db);
    assert_int_equal(fs_kind(f->path), FS_FILE);

    url = url_of(f->path);
    assert_true(try_open(f, &url, true, &db));
    refuse(f, db, "insert into t values (1)", ERROR_CLASS_READ_ONLY);
    db_close(db);
}

static void
test_not_a_database(void **state)
{
    Fixture *f = *state;
    DbUrl url = url_of(f->path);
    Db *db = NULL;
    Str text = STR("this file is long enough to be read, and it is no database at all. "
                   "SQLite reads its first hundred bytes and finds no header there.");

    assert_true(fs_write_atomic(f->path, text, 0644, &f->err));
    assert_false(try_open(f, &url, false, &db));
    assert_int_equal(f->err.code, ERROR_UNREACHABLE);
    assert_int_equal(f->err.cls, ERROR_CLASS_OTHER);
    assert_non_null(strstr(f->err.message, "is not a database"));
}

static void
test_names_that_look_special(void **state)
{
    Fixture *f = *state;
    char *here = getcwd(NULL, 0);
    DbUrl url = url_of("file:odd?mode=memory");
    Db *db = NULL;

    assert_int_equal(chdir(f->dir), 0);
    assert_true(try_open(f, &url, false, &db));
    must(f, db, "create table t (a)");
    db_close(db);
    assert_int_equal(fs_kind("file:odd?mode=memory"), FS_FILE);
    assert_int_equal(chdir(here), 0);
    free(here);
}

static void
test_parameters(void **state)
{
    static const char *const wrong[][2] = {
        {"foreign_keys", "perhaps"}, {"busy_timeout", "-1"}, {"busy_timeout", "5s"},
        {"journal_mode", "fast"},    {"mode", "x"},          {"cache", "shared"}};
    Fixture *f = *state;
    DbUrl url = url_of(f->path);
    Db *db = NULL;

    add_param(f, &url, "_fk", "1");
    add_param(f, &url, "journal_mode", "WAL");
    add_param(f, &url, "busy_timeout", "100");
    assert_true(try_open(f, &url, false, &db));
    assert_string_equal(one(f, db, "pragma foreign_keys"), "1");
    assert_string_equal(one(f, db, "pragma journal_mode"), "wal");
    db_close(db);
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        url = url_of(f->path);
        add_param(f, &url, wrong[i][0], wrong[i][1]);
        assert_false(try_open(f, &url, false, &db));
        assert_int_equal(f->err.code, ERROR_USAGE);
        assert_non_null(strstr(f->err.message, wrong[i][1]));
    }
    url = url_of(f->path);
    add_param(f, &url, "mode", "ro");
    assert_true(try_open(f, &url, false, &db));
    refuse(f, db, "create table t (a)", ERROR_CLASS_READ_ONLY);
    db_close(db);
    url = url_of("whatever");
    add_param(f, &url, "mode", "memory");
    assert_true(try_open(f, &url, false, &db));
    must(f, db, "create table t (a)");
    db_close(db);
    assert_int_equal(fs_kind("whatever"), FS_ABSENT);
}

static void
test_create_makes_the_directory(void **state)
{
    Fixture *f = *state;
    char *dir = fs_join(f->arena, f->dir, "new");
    DbUrl url = url_of(fs_join(f->arena, dir, "x.db"));
    DbOptions options = {.wait = &f->wait};
    Db *db = NULL;

    assert_true(db_create_database(f->arena, &url, &options, &f->err));
    assert_true(db_create_database(f->arena, &url, &options, &f->err));
    assert_true(try_open(f, &url, false, &db));
    db_close(db);
    (void)!unlink(url.database);
}

static void
test_facts(void **state)
{
    Fixture *f = *state;
    DbFacts facts = {0};
    Db *db = open_db(f);

    assert_true(db_facts(db, f->arena, &facts, &f->err));
    assert_int_equal(facts.version_major, 3);
    assert_true(facts.version_num > 3038000);
    assert_string_equal(facts.flavor, "sqlite");
    assert_string_equal(facts.schema, "main");
    assert_null(facts.user);
    assert_false(facts.read_only);
    assert_false(facts.standby);
    assert_true(facts.can_create);
    assert_int_equal(strlen(facts.now), strlen("2026-01-02T03:04:05.678Z"));
    db_close(db);
    /* Opened for looking only: the place is what counts. */
    DbUrl url = url_of(f->path);
    assert_true(try_open(f, &url, true, &db));
    assert_true(db_facts(db, f->arena, &facts, &f->err));
    assert_false(facts.read_only);
    db_close(db);
}

/* Root may write everywhere but on a read-only mount: another user's eyes are needed. */
static void
test_read_only_directory(void **state)
{
    Fixture *f = *state;
    Db *db = open_db(f);
    pid_t child;
    int status = 0;

    must(f, db, "create table t (a)");
    db_close(db);
    assert_int_equal(chmod(f->path, 0666), 0);
    assert_int_equal(chmod(f->dir, 0555), 0);
    child = fork();
    if (child == 0) {
        DbFacts facts = {0};
        DbUrl url = url_of(f->path);

        if (geteuid() == 0 && setuid(65534) != 0)
            _exit(2);
        if (!try_open(f, &url, false, &db) || !db_facts(db, f->arena, &facts, &f->err))
            _exit(3);
        if (!facts.read_only || facts.can_create)
            _exit(4);
        if (db_exec(db, STR("insert into t values (1)"), &f->err))
            _exit(5);
        _exit(f->err.hint[0] ? 0 : 6);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* ---- running ---- */

static void
test_results(void **state)
{
    Fixture *f = *state;
    Db *db = open_db(f);
    DbResult r = {0};

    must(f, db, "create table t (a int, b text)");
    must(f, db, "insert into t values (1, null), (2, ''), (3, 'drei')");
    assert_int_equal(db_changes(db), 3);
    assert_true(db_query(db, f->arena, STR("select a, b from t order by a"), &r, &f->err));
    assert_int_equal(r.rows, 3);
    assert_int_equal(r.cols, 2);
    assert_null(DB_CELL(&r, 0, 1).p);
    assert_non_null(DB_CELL(&r, 1, 1).p);
    assert_int_equal(DB_CELL(&r, 1, 1).n, 0);
    assert_true(str_eq(DB_CELL(&r, 2, 1), STR("drei")));
    must(f, db, "update t set a = a where a > 1");
    assert_int_equal(db_changes(db), 2);
    must(f, db, "create table u (a)");
    assert_int_equal(db_changes(db), 0);
    /* The last statement with rows counts, an empty one too; what follows without rows does not. */
    assert_true(
        db_query(db, f->arena, STR("select 1; select a from t; drop table u"), &r, &f->err));
    assert_int_equal(r.rows, 3);
    assert_true(db_query(db, f->arena, STR("select 1; select a from t where 0"), &r, &f->err));
    assert_int_equal(r.rows, 0);
    assert_int_equal(r.cols, 1);
    assert_true(db_query(db, f->arena, STR(""), &r, &f->err));
    assert_int_equal(r.rows, 0);
    assert_true(db_query(db, f->arena, STR("-- only a comment"), &r, &f->err));
    assert_true(db_query(db, f->arena, STR(" ; /* open"), &r, &f->err));
    db_close(db);
}

static void
test_scripts(void **state)
{
    Fixture *f = *state;
    Db *db = open_db(f);
    size_t done = 99;
    Str good = STR("-- first\ncreate table t (a);;\ninsert into t values (';');\n"
                   "create trigger tr after insert on t begin select 1; select 2; end;\n");
    Str bad = STR("insert into t values (1);\n/* x */ insert into t values (2);\n"
                  "select * frm t;\ninsert into t values (3)");
    Str late = STR("create table u (a not null);\n  insert into u values (null);");

    assert_true(db_caps(db) & DB_CAP_SCRIPT);
    assert_true(db_script(db, good, &done, &f->err));
    assert_int_equal(done, 3);
    assert_false(db_script(db, bad, &done, &f->err));
    assert_int_equal(done, 2);
    assert_int_equal(f->err.cls, ERROR_CLASS_SYNTAX);
    assert_int_equal(f->err.sql_offset, str_find_str(bad, STR("frm t")));
    error_clear(&f->err);
    /* No place is told for an error while running: the statement's own start. */
    assert_false(db_script(db, late, &done, &f->err));
    assert_int_equal(done, 1);
    assert_int_equal(f->err.cls, ERROR_CLASS_NULL_VIOLATION);
    assert_int_equal(f->err.sql_offset, str_find_str(late, STR("insert")));
    error_clear(&f->err);
    assert_false(db_script(db, STR("select 1;\0select 2"), &done, &f->err));
    assert_int_equal(f->err.cls, ERROR_CLASS_SYNTAX);
    assert_int_equal(f->err.sql_offset, 9);
    db_close(db);
}

/* A view that does not end where the text does: nothing behind it may be read. */
static void
test_text_is_not_terminated(void **state)
{
    Fixture *f = *state;
    Db *db = open_db(f);
    char text[] = "create table t (a)X";

    assert_true(db_exec(db, (Str){text, sizeof(text) - 2}, &f->err));
    db_close(db);
}

static void
test_error_classes(void **state)
{
    Fixture *f = *state;
    Db *db = open_db(f);

    must(f, db, "create table t (a int primary key, b text unique, c not null default 0)");
    must(f, db, "insert into t (a, b) values (1, 'x')");
    refuse(f, db, "insert into t (a) values (1)", ERROR_CLASS_DUPLICATE);
    refuse(f, db, "insert into t (b) values ('x')", ERROR_CLASS_DUPLICATE);
    refuse(f, db, "insert into t (c) values (null)", ERROR_CLASS_NULL_VIOLATION);
    assert_string_equal(f->err.sqlstate, "1299");
    refuse(f, db, "create table t (a)", ERROR_CLASS_DUPLICATE);
    refuse(f, db, "alter table t add column b", ERROR_CLASS_DUPLICATE);
    refuse(f, db, "select * from nope", ERROR_CLASS_NO_TABLE);
    refuse(f, db, "drop table nope", ERROR_CLASS_NO_TABLE);
    refuse(f, db, "selec 1", ERROR_CLASS_SYNTAX);
    refuse(f, db, "select (1", ERROR_CLASS_SYNTAX);
    refuse(f, db, "select nope from t", ERROR_CLASS_OTHER);
    assert_int_equal(f->err.sql_offset, 7);
    refuse(f, db, "select load_extension('/tmp/x')", ERROR_CLASS_OTHER);
    must(f, db, "pragma max_page_count = 10");
    refuse(f, db,
           "with recursive n(i) as (select 1 union all select i + 1 from n where i < 999) "
           "insert into t (a, b) select i + 9, i || hex(zeroblob(500)) from n",
           ERROR_CLASS_DISK_FULL);
    db_close(db);
}

static void
test_hash_and_quoting(void **state)
{
    static const char *const columns[] = {"a", "b \"q\"", NULL};
    static const char hostile[] = "it's \\ \"x\" \0 end";
    Fixture *f = *state;
    Db *db = open_db(f);
    Str digest = db_digest_expr(db, f->arena, columns);
    char *sql = str_printf(f->arena, "select " STR_FMT " from t", STR_ARG(digest));
    const char *before, *after;
    Str value = {hostile, sizeof(hostile) - 1};
    DbResult r = {0};

    must(f, db, "create table t (a, \"b \"\"q\"\"\")");
    assert_string_equal(one(f, db, sql), "0.0");
    must(f, db, "insert into t values (1, null), ('x', 'y')");
    before = one(f, db, sql);
    assert_int_equal(strncmp(before, "2.", 2), 0);
    must(f, db, "update t set \"b \"\"q\"\"\" = '' where a = 1");
    after = one(f, db, sql);
    assert_string_not_equal(before, after);
    must(f, db, "delete from t; insert into t values ('x', 'y'), (1, '')");
    assert_string_equal(after, one(f, db, sql)); /* whatever the order */

    sql = str_printf(f->arena, "select " STR_FMT, STR_ARG(db_quote_literal(db, f->arena, value)));
    assert_true(db_query(db, f->arena, str_of(sql), &r, &f->err));
    assert_true(str_eq(r.cells[0], value));
    value = STR("a'b\\");
    sql = str_printf(f->arena, "select " STR_FMT, STR_ARG(db_quote_literal(db, f->arena, value)));
    assert_string_equal(one(f, db, sql), "a'b\\");
    db_close(db);
}

/* ---- the session ---- */

static void
test_reset(void **state)
{
    Fixture *f = *state;
    DbUrl url = url_of(f->path);
    Db *db = NULL;

    add_param(f, &url, "foreign_keys", "on");
    assert_true(try_open(f, &url, false, &db));
    assert_false(db_in_transaction(db));
    must(f, db, "create table t (a)");
    must(f, db, "begin; insert into t values (1)");
    assert_true(db_in_transaction(db));
    assert_true(db_reset(db, &f->err));
    assert_false(db_in_transaction(db));
    assert_string_equal(one(f, db, "select count(*) from t"), "0");
    must(f, db, "/* dump */ PRAGMA foreign_keys = off");
    must(f, db,
         "pragma writable_schema = on; pragma legacy_alter_table = on; pragma query_only = 1");
    must(f, db, "attach ':memory:' as \"a.b\"; attach ':memory:' as c");
    assert_string_equal(one(f, db, "pragma foreign_keys"), "0");
    must(f, db, "begin");
    assert_true(db_reset(db, &f->err));
    assert_string_equal(one(f, db, "pragma foreign_keys"), "1");
    assert_string_equal(one(f, db, "pragma writable_schema"), "0");
    assert_string_equal(one(f, db, "pragma legacy_alter_table"), "0");
    assert_string_equal(
        one(f, db, "select count(*) from pragma_database_list where name <> 'temp'"), "1");
    must(f, db, "insert into t values (1)");
    assert_true(db_reset(db, &f->err));
    db_close(db);
}

static void
test_busy(void **state)
{
    Fixture *f = *state;
    Db *a = open_db(f), *b = open_db(f);
    int64_t start;

    must(f, a, "create table t (a)");
    must(f, a, "begin immediate");
    assert_true(db_set_timeouts(b, 200, 0, &f->err));
    start = clock_ms();
    refuse(f, b, "insert into t values (1)", ERROR_CLASS_LOCK_TIMEOUT);
    assert_in_range(clock_ms() - start, 190, 20000);
    must(f, a, "commit");
    must(f, b, "insert into t values (1)");
    db_close(a);
    db_close(b);
}

static int
read_no_signal(int fd)
{
    (void)fd;
    return 0;
}

typedef struct Ticker {
    int ticks, stop_at;
} Ticker;

static bool
tick(void *ctx, Error *err)
{
    Ticker *t = ctx;

    if (++t->ticks < t->stop_at)
        return true;
    return error_set(err, ERROR_LOCKED, "the lock was lost");
}

/* Both ways of waiting let the heartbeat go on, and end when it says so. */
static void
test_stopped_by_the_tick(void **state)
{
    Fixture *f = *state;
    Db *a = open_db(f), *b = open_db(f);
    Ticker t = {0, 5};
    int64_t start = clock_ms();

    must(f, a, "create table t (a)");
    f->wait.read_signal = read_no_signal;
    f->wait.tick = (WaitTick){.every_ms = 20, .call = tick, .ctx = &t};
    f->wait.next_tick_ms = clock_ms();
    must(f, a, "begin");
    error_clear(&f->err);
    assert_false(db_exec(a,
                         STR("with recursive n(i) as (select 1 union all select i + 1 from n) "
                             "insert into t select max(i) from n"),
                         &f->err));
    assert_int_equal(f->err.code, ERROR_LOCKED);
    assert_int_equal(t.ticks, 5);
    assert_in_range(clock_ms() - start, 60, 20000);
    assert_true(db_reset(a, &f->err));

    t = (Ticker){0, 1000};
    error_clear(&f->err);
    must(f, a, "begin immediate");
    t = (Ticker){0, 3};
    assert_false(db_exec(b, STR("insert into t values (1)"), &f->err));
    assert_int_equal(f->err.code, ERROR_LOCKED);
    f->wait = wait_init();
    db_close(b);
    db_close(a);
}

static void
test_statement_timeout(void **state)
{
    Fixture *f = *state;
    Db *db = open_db(f);

    assert_true(db_set_timeouts(db, 0, 100, &f->err));
    refuse(f, db,
           "with recursive n(i) as (select 1 union all select i + 1 from n) "
           "select max(i) from n",
           ERROR_CLASS_TIMEOUT);
    assert_non_null(strstr(f->err.message, "100 ms"));
    must(f, db, "select 1");
    db_close(db);
}

static void
test_memory(void **state)
{
    Fixture *f = *state;
    DbUrl url = url_of(":memory:");
    DbFacts facts = {0};
    Db *db = NULL;

    assert_true(try_open(f, &url, false, &db));
    must(f, db, "create table t (a)");
    assert_true(db_facts(db, f->arena, &facts, &f->err));
    assert_false(facts.read_only);
    db_close(db);
}

/* Thousands of small migrations, each in a savepoint: what the driver adds must stay small. */
static void
test_many_small_statements(void **state)
{
    Fixture *f = *state;
    Db *db = open_db(f);
    int64_t start = clock_ms();

    must(f, db, "create table t (a); begin immediate");
    for (int i = 0; i < 20000; i++) {
        must(f, db, "savepoint s");
        must(f, db, "insert into t values (1)");
        must(f, db, "release s");
    }
    must(f, db, "commit");
    assert_true(clock_ms() - start < 10000);
    db_close(db);
}

/* One script of a megabyte: its rest must not be copied for each statement. */
static void
test_long_script(void **state)
{
    Fixture *f = *state;
    Db *db = open_db(f);
    StrBuf text = strbuf_new(f->arena, (size_t)16 << 20);
    size_t done = 0;
    int64_t start;

    strbuf_puts(&text, "begin; create table t (a);");
    for (int i = 0; i < 100000; i++)
        strbuf_printf(&text, "insert into t values (%d);\n", i);
    strbuf_puts(&text, "commit");
    start = clock_ms();
    assert_true(db_script(db, strbuf_str(&text), &done, &f->err));
    assert_int_equal(done, 100003);
    assert_true(clock_ms() - start < 10000);
    db_close(db);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_opening),
        TEST(test_not_a_database),
        TEST(test_names_that_look_special),
        TEST(test_parameters),
        TEST(test_create_makes_the_directory),
        TEST(test_facts),
        TEST(test_read_only_directory),
        TEST(test_results),
        TEST(test_scripts),
        TEST(test_text_is_not_terminated),
        TEST(test_error_classes),
        TEST(test_hash_and_quoting),
        TEST(test_reset),
        TEST(test_busy),
        TEST(test_stopped_by_the_tick),
        TEST(test_statement_timeout),
        TEST(test_memory),
        TEST(test_many_small_statements),
        TEST(test_long_script),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
