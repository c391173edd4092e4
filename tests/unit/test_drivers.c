/* SPDX-License-Identifier: Apache-2.0 */
/* The table of drivers is what the build was asked for: meson.build names the library of each
 * engine on the command line, "-" for one that is left out. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "db/driver.h"

#include "core/banned.h"

static const struct {
    const char *title, *url;
} engines[] = {
    [DB_POSTGRES] = {"PostgreSQL", "postgres://u@127.0.0.1:1/d"},
    [DB_MYSQL] = {"MySQL", "mysql://u@127.0.0.1:1/d"},
    [DB_SQLITE] = {"SQLite", "sqlite::memory:"},
};
static char **wanted; /* by DbEngine */

static bool
is_left_out(size_t engine)
{
    return strcmp(wanted[engine], "-") == 0;
}

static void
test_libraries(void **state)
{
    (void)state;
    SCRATCH_ARENA(arena);
    LibraryVersions list = {0};
    db_libraries(arena, &list);
    size_t next = 0;
    for (size_t i = 0; i < COUNT_OF(engines); i++) {
        if (is_left_out(i))
            continue;
        assert_true(next < list.n);
        assert_string_equal(list.p[next].name, wanted[i]);
        assert_true(strlen(list.p[next++].version) >= 3);
    }
    assert_int_equal(list.n, next);
}

static void
assert_refused(Arena *arena, const Error *err, size_t engine)
{
    const char *title = engines[engine].title;
    assert_int_equal(err->code, ERROR_USAGE);
    assert_string_equal(err->message,
                        str_printf(arena, "this lockstep was built without %s", title));
    /* The hint names what there is instead. */
    Str has = str_sub(str_of(err->hint), 0, str_find(str_of(err->hint), '.'));
    assert_true(str_find_str(has, str_of(title)) == has.n);
}

static void
test_engines(void **state)
{
    (void)state;
    SCRATCH_ARENA(arena);
    for (size_t i = 0; i < COUNT_OF(engines); i++) {
        Error err = ERROR_INIT;
        DbUrl url;
        Db *db = NULL;
        assert_true(dburl_parse(arena, str_of(engines[i].url), &url, &err));
        assert_int_equal(url.engine, i);
        assert_int_equal(db_driver(url.engine) == NULL, is_left_out(i));
        if (!is_left_out(i)) {
            assert_true(db_supports(url.engine, &err));
            assert_int_equal(db_driver(url.engine)->engine, url.engine);
            continue;
        }
        const DbOptions options = {0};
        assert_false(db_supports(url.engine, &err));
        assert_refused(arena, &err, i);
        err = ERROR_INIT;
        assert_false(db_connect(arena, &url, &options, &db, &err));
        assert_refused(arena, &err, i);
        err = ERROR_INIT;
        assert_false(db_create_database(arena, &url, &options, &err));
        assert_refused(arena, &err, i);
        assert_null(db);
    }
}

int
main(int argc, char **argv)
{
    if (argc != 1 + (int)COUNT_OF(engines))
        return 2;
    wanted = argv + 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_libraries),
        cmocka_unit_test(test_engines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
