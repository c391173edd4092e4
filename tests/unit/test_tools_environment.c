/* SPDX-License-Identifier: Apache-2.0 */
/* What a tool is started with: one database in every variable that would name another. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/env.h"
#include "db/url.h"
#include "tools/tool.h"

#include "core/banned.h"

static Arena *arena;

static int
setup(void **state)
{
    (void)state;
    arena = arena_new();
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

/* The tool's environment where `url` is handed to it, and `env` was there. */
static char **
handed(ToolId tool, const char *url, char *const *env)
{
    Error err = ERROR_INIT;
    DbUrl *parsed = arena_make(arena, DbUrl);
    Project project = {.tool = tool_row(tool), .dir = ".", .environ_ = env};
    assert_true(dburl_parse(arena, str_of(url), parsed, &err));
    ToolEnvironment how = {.url = str_of(url), .parsed = parsed};
    return tool_environment(arena, &project, &how);
}

static char *const *
environment(const char *const *words)
{
    VEC(char *) copy = {0};
    for (; *words; words++)
        *vec_push(arena, &copy) = str_dup(arena, str_of(*words));
    *vec_push(arena, &copy) = NULL;
    return copy.p;
}

#define ENV(...) environment((const char *const[]){__VA_ARGS__, NULL})

static void
is(char **env, const char *name, const char *value)
{
    const char *got = env_get(env, name);
    if (!value)
        assert_null(got);
    else if (!got)
        fail_msg("%s is not set", name);
    else
        assert_string_equal(got, value);
}

static const char strong[] = "postgres://owner:s%40x@db:5433/app";

static void
test_parts_that_are_there(void **state)
{
    (void)state;
    char **env = handed(TOOL_DJANGO, strong,
                        ENV("DB_HOST=pooler", "DB_USER=weak", "DB_PASS=w", "POSTGRES_DB=other",
                            "POSTGRES_PASSWORD=w", "PGUSER=weak", "PGSERVICE=weak"));
    is(env, "DB_HOST", "db");
    is(env, "DB_USER", "owner");
    is(env, "DB_PASS", "s@x");
    is(env, "POSTGRES_DB", "app");
    is(env, "POSTGRES_PASSWORD", "s@x");
    is(env, "PGUSER", "owner");
    is(env, "PGSERVICE", NULL);
    /* What nobody set is left so: a framework's own default may be meant. */
    is(env, "DB_PORT", NULL);
    is(env, "DB_PASSWORD", NULL);
    is(env, "POSTGRES_HOST", NULL);
    is(env, "PGHOST", NULL);
}

static void
test_parts_of_another_engine(void **state)
{
    (void)state;
    char *const *before = ENV("MYSQL_USER=m", "DB_USERNAME=weak", "PGUSER=p");
    char **env = handed(TOOL_KNEX, strong, before);
    is(env, "MYSQL_USER", "m");
    is(env, "DB_USERNAME", "owner");
    env = handed(TOOL_KNEX, "mysql://owner:x@db/app", before);
    is(env, "MYSQL_USER", "owner");
    is(env, "DB_USERNAME", "owner");
    is(env, "PGUSER", "p");
    env = handed(TOOL_KNEX, "sqlite:////data/app.db", ENV("DB_NAME=weak.db", "DB_HOST=h"));
    is(env, "DB_NAME", "/data/app.db");
    is(env, "DB_HOST", "");
}

/* libpq itself adds what a URL leaves out, for lockstep as for the tool. */
static void
test_parts_that_the_url_leaves_out(void **state)
{
    (void)state;
    char **env = handed(TOOL_DJANGO, "postgres://owner@db/app",
                        ENV("DB_PORT=6543", "DB_PASSWORD=w", "PGPORT=6543", "PGPASSWORD=mine"));
    is(env, "DB_PORT", "5432");
    is(env, "DB_PASSWORD", "");
    is(env, "PGPORT", "6543");
    is(env, "PGPASSWORD", "mine");
    env = handed(TOOL_DJANGO, "mysql://owner@db/app", ENV("DB_PORT=6033", "MYSQL_TCP_PORT=1"));
    is(env, "DB_PORT", "3306");
    is(env, "MYSQL_TCP_PORT", "3306");
}

static void
test_files_of_secrets(void **state)
{
    (void)state;
    char **env = handed(TOOL_DJANGO, strong,
                        ENV("DB_PASSWORD_FILE=/run/secrets/weak", "DATABASE_URL_FILE=/run/x"));
    is(env, "DB_PASSWORD", "s@x");
    is(env, "DB_PASSWORD_FILE", NULL);
    is(env, "DATABASE_URL", strong);
    is(env, "DATABASE_URL_FILE", NULL);
}

static void
test_urls_that_are_there(void **state)
{
    (void)state;
    char **env = handed(TOOL_TYPEORM, strong,
                        ENV("POSTGRES_URL=postgres://weak@h/d", "MYSQL_URL=mysql://m@h/d",
                            "JDBC_DATABASE_URL=jdbc:postgresql://h/d?user=weak"));
    is(env, "DATABASE_URL", strong);
    is(env, "POSTGRES_URL", strong);
    is(env, "MYSQL_URL", "mysql://m@h/d");
    is(env, "JDBC_DATABASE_URL", "jdbc:postgresql://db:5433/app?user=owner&password=s%40x");
    is(env, "DIRECT_URL", NULL);
}

static void
test_nothing_is_handed(void **state)
{
    (void)state;
    Project project = {.tool = tool_row(TOOL_DJANGO),
                       .dir = ".",
                       .environ_ = ENV("DB_HOST=h", "DB_PASSWORD_FILE=/run/x", "PGSERVICE=s")};
    ToolEnvironment how = {0};
    char **env = tool_environment(arena, &project, &how);
    is(env, "DB_HOST", "h");
    is(env, "DB_PASSWORD_FILE", "/run/x");
    is(env, "PGSERVICE", "s");
    is(env, "DATABASE_URL", NULL);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_parts_that_are_there),          T(test_parts_of_another_engine),
        T(test_parts_that_the_url_leaves_out), T(test_files_of_secrets),
        T(test_urls_that_are_there),           T(test_nothing_is_handed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
