/* SPDX-License-Identifier: Apache-2.0 */
/* Which database is chosen, and what is said about where it came from. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/database.h"

#define ENV(...) environment((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static Arena *arena;
static Error err;
static DatabaseChoice choice;

static int
set_up(void **state)
{
    (void)state;
    arena = arena_new();
    err = ERROR_INIT;
    choice = (DatabaseChoice){0};
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static char **
environment(const char *const *entries)
{
    VEC(char *) copy = {0};
    for (size_t i = 0; entries[i]; i++)
        *vec_push(arena, &copy) = str_dup(arena, str_of(entries[i]));
    *vec_push(arena, &copy) = NULL;
    return copy.p;
}

static void
choose(char *const *env)
{
    Settings s = {0};
    if (!database_choose(arena, &s, env, &choice, &err))
        fail_msg("%s", err.message);
}

static void
refused(char *const *env, const char *message, const char *hint)
{
    Settings s = {0};
    DatabaseChoice untouched = {.from = (char[]){"x"}}, got = untouched;
    error_clear(&err);
    assert_false(database_choose(arena, &s, env, &got, &err));
    assert_int_equal(err.code, ERROR_USAGE);
    assert_non_null(strstr(err.message, message));
    assert_non_null(strstr(err.hint, hint));
    assert_memory_equal(&got, &untouched, sizeof got);
}

static void
assert_url(const char *url, const char *from)
{
    assert_true(choice.found);
    assert_false(choice.is_parts);
    assert_string_equal(str_dup(arena, choice.url), url);
    assert_string_equal(choice.from, from);
}

static void
assert_part(Str part, const char *wanted)
{
    if (wanted)
        assert_string_equal(str_dup(arena, part), wanted);
    else
        assert_null(part.p);
}

static void
assert_parts(const char *engine,
             const char *host,
             const char *port,
             const char *database,
             const char *user,
             const char *password,
             const char *from)
{
    assert_true(choice.found && choice.is_parts);
    assert_null(choice.url.p);
    assert_string_equal(choice.engine, engine);
    assert_part(choice.host, host);
    assert_part(choice.port, port);
    assert_part(choice.database, database);
    assert_part(choice.user, user);
    assert_part(choice.password, password);
    assert_string_equal(choice.from, from);
}

static void
test_nothing(void **state)
{
    (void)state;
    choice.found = true;
    choose(ENV());
    assert_false(choice.found);
    choose(ENV("DATABASE_URL=", "PGUSER=u", "PGPASSWORD=x", "POSTGRES_USER=u", "DB_NAME=d",
               "DB_PASSWORD=x", "MYSQL_USER=u", "PGHOST=", "DB_HOST="));
    assert_false(choice.found);
}

static void
test_setting_wins(void **state)
{
    (void)state;
    Settings s = {0};
    char text[] = "sqlite:a.db", origin[] = "--url";
    s.values[SET_URL] = (SettingValue){.from = FROM_FLAG, .text = text, .origin = origin};
    assert_true(database_choose(arena, &s, ENV("DIRECT_URL=postgres://h/d"), &choice, &err));
    assert_url("sqlite:a.db", "--url");
}

static void
test_order_of_urls(void **state)
{
    (void)state;
    static const char *const names[] = {
        "DIRECT_URL",
        "DATABASE_URL_UNPOOLED",
        "POSTGRES_URL_NON_POOLING",
        "DATABASE_URL",
        "POSTGRES_URL",
        "MYSQL_URL",
        "SQLALCHEMY_DATABASE_URI",
        "JDBC_DATABASE_URL",
    };
    /* All of them but the first i, the weakest first: it is not the order of the environment. */
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        VEC(char *) env = {0};
        for (size_t k = COUNT_OF(names); k-- > i;)
            *vec_push(arena, &env) = str_printf(arena, "%s=postgres://h/%zu", names[k], k);
        *vec_push(arena, &env) = str_dup(arena, STR("PGHOST=h"));
        *vec_push(arena, &env) = NULL;
        choose(env.p);
        assert_url(str_printf(arena, "postgres://h/%zu", i), names[i]);
    }
}

static void
test_pg(void **state)
{
    (void)state;
    choose(ENV("PGHOST=h", "PGDATABASE=d", "PGUSER=u", "DB_HOST=other", "POSTGRES_HOST=other"));
    assert_parts("postgres", "h", NULL, "d", "u", NULL, "PGHOST, PGDATABASE, PGUSER");
    choose(ENV("PGDATABASE=d", "PGPORT=6432", "PGPASSWORD=x"));
    assert_parts("postgres", NULL, "6432", "d", NULL, "x", "PGPORT, PGDATABASE, PGPASSWORD");
    /* The database of the service must not be replaced by the user's name. */
    choose(ENV("PGSERVICE=prod", "PGUSER=u"));
    assert_parts("postgres", NULL, NULL, NULL, "u", NULL, "PGUSER, PGSERVICE");
}

static void
test_postgres(void **state)
{
    (void)state;
    choose(ENV("POSTGRES_HOST=h", "POSTGRES_USER=u", "POSTGRES_PASSWORD=x", "POSTGRES_PORT=1"));
    assert_parts("postgres", "h", "1", "u", "u", "x",
                 "POSTGRES_HOST, POSTGRES_PORT, POSTGRES_USER, POSTGRES_PASSWORD");
    choose(ENV("POSTGRES_HOST=h", "POSTGRES_USER=u", "POSTGRES_DB=d"));
    assert_parts("postgres", "h", NULL, "d", "u", NULL,
                 "POSTGRES_HOST, POSTGRES_DB, POSTGRES_USER");
    choose(ENV("POSTGRES_DB=d", "POSTGRES_USER=u"));
    assert_false(choice.found); /* the settings of the server's image, not of a client */
}

static void
test_mysql(void **state)
{
    (void)state;
    choose(ENV("MYSQL_HOST=h", "MYSQL_TCP_PORT=3307", "MYSQL_DATABASE=d", "MYSQL_USER=u",
               "MYSQL_PASSWORD=x"));
    assert_parts("mysql", "h", "3307", "d", "u", "x",
                 "MYSQL_HOST, MYSQL_TCP_PORT, MYSQL_DATABASE, MYSQL_USER, MYSQL_PASSWORD");
    choose(ENV("MYSQL_DATABASE=d", "MYSQL_USER=u"));
    assert_parts("mysql", NULL, NULL, "d", "u", NULL, "MYSQL_DATABASE, MYSQL_USER");
}

static void
test_db_engines(void **state)
{
    (void)state;
    static const struct {
        const char *variable, *engine;
    } cases[] = {
        {"DB_ENGINE=postgres", "postgres"},
        {"DB_ENGINE=PostgreSQL", "postgres"},
        {"DB_ENGINE=django.db.backends.postgresql", "postgres"},
        {"DB_ENGINE=django.db.backends.postgresql_psycopg2", "postgres"},
        {"DB_ENGINE=django.contrib.gis.db.backends.postgis", "postgres"},
        {"DB_CONNECTION=pgsql", "postgres"},
        {"DB_CONNECTION=mysql", "mysql"},
        {"DB_CONNECTION=mariadb", "mysql"},
        {"DB_DIALECT=MariaDB", "mysql"},
        {"DB_DIALECT=sqlite", "sqlite"},
        {"DB_ENGINE=django.db.backends.sqlite3", "sqlite"},
        {"DB_PORT=5432", "postgres"},
        {"DB_PORT=3306", "mysql"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        choose(ENV("DB_HOST=h", "DB_NAME=d", cases[i].variable));
        assert_string_equal(choice.engine, cases[i].engine);
    }
    choose(ENV("DB_HOST=h", "DB_ENGINE=mysql", "DB_PORT=5432")); /* said before guessed */
    assert_string_equal(choice.engine, "mysql");
}

static void
test_db(void **state)
{
    (void)state;
    choose(ENV("DB_CONNECTION=mysql", "DB_HOST=h", "DB_PORT=3307", "DB_DATABASE=d", "DB_USERNAME=u",
               "DB_PASSWORD=x"));
    assert_parts("mysql", "h", "3307", "d", "u", "x",
                 "DB_HOST, DB_PORT, DB_DATABASE, DB_USERNAME, DB_PASSWORD, DB_CONNECTION");
    choose(ENV("DB_CONNECTION=sqlite", "DB_DATABASE=/srv/a.db"));
    assert_parts("sqlite", NULL, NULL, "/srv/a.db", NULL, NULL, "DB_DATABASE, DB_CONNECTION");
    choose(ENV("DB_HOST=h", "DB_ENGINE=postgres", "DB_USER=u"));
    assert_parts("postgres", "h", NULL, NULL, "u", NULL, "DB_HOST, DB_USER, DB_ENGINE");
}

static void
test_db_refused(void **state)
{
    (void)state;
    choose(ENV("DB_HOST=h", "DB_PORT=1433", "DB_NAME=d"));
    assert_null(choice.engine);
    assert_string_equal(choice.from, "DB_HOST, DB_PORT, DB_NAME");
    refused(ENV("DB_HOST=h", "DB_ENGINE=mssql"), "unknown database engine 'mssql'", "PostgreSQL");
    refused(ENV("DB_HOST=h", "DB_CONNECTION=sqlite"), "without a name", "DB_NAME");
    refused(ENV("DB_HOST=h", "DB_CONNECTION=postgres://u:pass@h/d"), "no engine is named",
            "DATABASE_URL");
    assert_null(strstr(err.message, "pass"));
}

static void
test_files(void **state)
{
    (void)state;
    char path[] = "/tmp/test_database.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "s3cret\n", 7), 7);
    close(fd);
    char *file = str_printf(arena, "POSTGRES_PASSWORD_FILE=%s", path);
    choose(ENV("POSTGRES_HOST=h", "POSTGRES_DB=d", file));
    assert_parts("postgres", "h", NULL, "d", NULL, "s3cret",
                 "POSTGRES_HOST, POSTGRES_DB, POSTGRES_PASSWORD");
    choose(ENV("POSTGRES_HOST=h", "POSTGRES_DB=d", file, "POSTGRES_PASSWORD=plain"));
    assert_part(choice.password, "plain");
    choose(ENV(str_printf(arena, "DATABASE_URL_FILE=%s", path), "PGHOST=h"));
    assert_url("s3cret", "DATABASE_URL");
    choose(ENV(str_printf(arena, "PGHOST_FILE=%s", path)));
    assert_parts("postgres", "s3cret", NULL, NULL, NULL, NULL, "PGHOST");
    unlink(path);
    refused(ENV("POSTGRES_HOST=h", file), "POSTGRES_PASSWORD_FILE: cannot read", "stands for");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_nothing),    TEST(test_setting_wins), TEST(test_order_of_urls), TEST(test_pg),
        TEST(test_postgres),   TEST(test_mysql),        TEST(test_db_engines),    TEST(test_db),
        TEST(test_db_refused), TEST(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
