/* SPDX-License-Identifier: Apache-2.0 */
/* Named queries with their arguments put in, by the quoting of each engine. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "db/driver.h"

#include "core/banned.h"

enum { ANY = 0 };

static const char *texts[DB_QUERY_COUNT + 1];

static const char *
rendered(Arena *arena, const DbDriver *like, const char *text, const DbArg *args)
{
    DbDriver driver = *like;
    Db db = {.driver = &driver, .arena = arena};
    texts[ANY] = text;
    driver.queries = texts;
    return str_dup(arena, db_render(&db, arena, (DbQuery)ANY, args));
}

static void
test_kinds(void **state)
{
    SCRATCH_ARENA(arena);
    (void)state;
    assert_string_equal(
        rendered(arena, &driver_postgres,
                 "update :\"t\" set a = :'a', b = :n, c = (:raw), d = :'none' where :n > 0",
                 DB_ARGS(ARG_IDENT("t", STR_ABSENT, STR("runs")), ARG_TEXT("a", STR("it's")),
                         ARG_INT("n", -7), ARG_RAW("raw", STR("select 1")),
                         ARG_TEXT("none", STR_ABSENT))),
        "update \"runs\" set a = 'it''s', b = -7, c = (select 1), d = NULL where -7 > 0");
    assert_string_equal(rendered(arena, &driver_postgres, ":n", DB_ARGS(ARG_INT("n", INT64_MIN))),
                        "-9223372036854775808");
}

static void
test_identifiers(void **state)
{
    SCRATCH_ARENA(arena);
    (void)state;
    static const struct {
        const char *schema, *name, *postgres, *mysql;
    } rows[] = {
        {NULL, "t", "\"t\"", "`t`"},
        {NULL, "s.t", "\"s\".\"t\"", "`s`.`t`"},
        {"s", "t", "\"s\".\"t\"", "`s`.`t`"},
        {"s", "a.b", "\"s\".\"a.b\"", "`s`.`a.b`"},
        {"", "s.t", "\"s\".\"t\"", "`s`.`t`"},
        {"a.b", "t", "\"a.b\".\"t\"", "`a.b`.`t`"},
        {NULL, "x\"y`z", "\"x\"\"y`z\"", "`x\"y``z`"},
        {"\"; drop", "--", "\"\"\"; drop\".\"--\"", "`\"; drop`.`--`"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const DbArg *args = DB_ARGS(ARG_IDENT("t", str_of(rows[i].schema), str_of(rows[i].name)));
        assert_string_equal(rendered(arena, &driver_postgres, ":\"t\"", args), rows[i].postgres);
        assert_string_equal(rendered(arena, &driver_mysql, ":\"t\"", args), rows[i].mysql);
        assert_string_equal(rendered(arena, &driver_sqlite, ":\"t\"", args), rows[i].postgres);
    }
}

static void
test_left_alone(void **state)
{
    SCRATCH_ARENA(arena);
    (void)state;
    const DbArg *args = DB_ARGS(ARG_INT("n", 5), ARG_TEXT("x", STR("v")));
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"", ""},
        {"select 1::int, :n::bigint, ':n', \":n\", `:n`",
         "select 1::int, 5::bigint, ':n', \":n\", `:n`"},
        {"to_char(now(), 'HH24:MI:SS')", "to_char(now(), 'HH24:MI:SS')"},
        {"a := :n; b[1:2] :: text : ", "a := 5; b[1:2] :: text : "},
        {"'it''s :n' || :'x' || ''", "'it''s :n' || 'v' || ''"},
        {"':'x':'", "':'x':'"},
        {":n:n:n", "555"},
        {":nn_is_not_n", NULL},
        {"'open :n", "'open :n"},
        {"ends :", "ends :"},
        {":", ":"},
        {"::", "::"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (rows[i].out)
            assert_string_equal(rendered(arena, &driver_postgres, rows[i].in, args), rows[i].out);
    }
}

/* What an argument holds is not looked into again. */
static void
test_no_second_look(void **state)
{
    SCRATCH_ARENA(arena);
    (void)state;
    assert_string_equal(rendered(arena, &driver_postgres, ":'a', :'b', :r",
                                 DB_ARGS(ARG_TEXT("a", STR(":'b' :n")), ARG_TEXT("b", STR("':r")),
                                         ARG_RAW("r", STR(":'a'")), ARG_INT("n", 1))),
                        "':''b'' :n', ''':r', :'a'");
    assert_string_equal(
        rendered(arena, &driver_postgres, "E:'a'", DB_ARGS(ARG_TEXT("a", STR("\\")))), "E E'\\\\'");
}

/* A forgotten argument, or one of another kind, ends the process instead of running as SQL. */
static bool
ends_the_process(const char *text, const DbArg *args)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGABRT, SIG_DFL);
        close(2);
        rendered(arena_new(), &driver_postgres, text, args);
        _exit(0);
    }
    (void)!waitpid(pid, &status, 0);
    return !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
test_programming_errors(void **state)
{
    (void)state;
    assert_false(ends_the_process(":n", DB_ARGS(ARG_INT("n", 1))));
    assert_true(ends_the_process(":n", DB_ARGS()));
    assert_true(ends_the_process(":n", NULL));
    assert_true(ends_the_process(":nn", DB_ARGS(ARG_INT("n", 1))));
    assert_true(ends_the_process(":n", DB_ARGS(ARG_TEXT("n", STR("x; drop")))));
    assert_true(ends_the_process(":'n'", DB_ARGS(ARG_RAW("n", STR("x")))));
    assert_true(ends_the_process(":\"n\"", DB_ARGS(ARG_TEXT("n", STR("x")))));
    assert_true(ends_the_process(":'n'", DB_ARGS(ARG_IDENT("n", STR_ABSENT, STR("x")))));
}

/* The lock's questions are there for each engine that needs them. */
static void
test_queries_are_there(void **state)
{
    (void)state;
    static const DbDriver *const drivers[] = {&driver_postgres, &driver_mysql, &driver_sqlite};
    for (size_t i = 0; i < COUNT_OF(drivers); i++) {
        Db db = {.driver = drivers[i]};
        bool session = drivers[i]->caps & DB_CAP_SESSION_LOCK;
        assert_int_equal(db_has_query(&db, Q_LOCK_SESSION_TRY), session);
        assert_int_equal(db_has_query(&db, Q_LOCK_SESSION_LOOK), session);
        assert_int_equal(db_has_query(&db, Q_LOCK_SESSION_BEAT), session);
        assert_true(db_has_query(&db, Q_LOCK_LEASE_TAKE));
        assert_true(db_has_query(&db, Q_LOCK_LEASE_EVICT));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_identifiers),
        cmocka_unit_test(test_left_alone),
        cmocka_unit_test(test_no_second_look),
        cmocka_unit_test(test_programming_errors),
        cmocka_unit_test(test_queries_are_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
