/* SPDX-License-Identifier: Apache-2.0 */
/* What errors of MySQL and MariaDB mean, and where in the statement they point. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "db/mysql_internal.h"

static void
test_error_meanings(void **state)
{
    static const struct {
        unsigned number;
        const char *message;
        ErrorClass cls;
    } rows[] = {
        {1205, "Lock wait timeout exceeded", ERROR_CLASS_LOCK_TIMEOUT},
        {1213, "Deadlock found", ERROR_CLASS_DEADLOCK},
        {2013, "Lost connection", ERROR_CLASS_CONNECTION},
        {1040, "Too many connections", ERROR_CLASS_CONNECTION},
        {1044, "Access denied for user 'a' to database 'b'", ERROR_CLASS_PRIVILEGE},
        {1049, "Unknown database", ERROR_CLASS_NO_DATABASE},
        {1146, "no such table", ERROR_CLASS_NO_TABLE},
        {1050, "exists", ERROR_CLASS_DUPLICATE},
        {1062, "Duplicate entry", ERROR_CLASS_DUPLICATE},
        {1048, "cannot be null", ERROR_CLASS_NULL_VIOLATION},
        {1290, "running with the --read-only option", ERROR_CLASS_READ_ONLY},
        {1290, "running with the --secure-file-priv option", ERROR_CLASS_PRIVILEGE},
        {1836, "Running in read-only mode", ERROR_CLASS_READ_ONLY},
        {1030, "Got error 28 \"No space left on device\" from storage engine InnoDB",
         ERROR_CLASS_DISK_FULL},
        {1005, "Can't create table `a`.`b` (errno: 28 \"No space left on device\")",
         ERROR_CLASS_DISK_FULL},
        {1317, "interrupted", ERROR_CLASS_CANCELLED},
        {3024, "maximum statement execution time exceeded", ERROR_CLASS_TIMEOUT},
        {1969, "max_statement_time exceeded", ERROR_CLASS_TIMEOUT},
        {1054, "Unknown column", ERROR_CLASS_OTHER},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        Error err = ERROR_INIT;

        mysql_error_fill(&err, rows[i].number, rows[i].message, STR("select 1"));
        if (err.cls != rows[i].cls)
            fail_msg("%u: class %d", rows[i].number, err.cls);
        assert_int_equal(err.code,
                         err.cls == ERROR_CLASS_CONNECTION ? ERROR_UNREACHABLE : ERROR_FAILED);
        assert_string_equal(err.message, rows[i].message);
    }
    Error err = ERROR_INIT;
    mysql_error_fill(&err, 1044, "Access denied", STR_ABSENT);
    assert_int_equal(err.cls, ERROR_CLASS_LOGIN);
    assert_int_equal(err.code, ERROR_UNREACHABLE);
    assert_string_equal(err.sqlstate, "1044");
}

static void
test_error_offsets(void **state)
{
    Str sql = STR("select 1,\n  foo bar baz qux' at line 2\nfrom t where");

    (void)state;
    assert_int_equal(mysql_error_offset("syntax to use near 'bar baz' at line 2", sql), 16);
    assert_int_equal(mysql_error_offset("near 'qux' at line 2\nfrom t where' at line 2", sql), 24);
    assert_int_equal(mysql_error_offset("near '' at line 3", sql), (int64_t)sql.n);
    assert_int_equal(mysql_error_offset("near 'nowhere' at line 3", sql), 39);
    assert_int_equal(mysql_error_offset("near 'x' at line 99", sql), (int64_t)sql.n);
    assert_int_equal(mysql_error_offset("near 'x' at line", sql), -1);
    assert_int_equal(mysql_error_offset("near 'x' at line 0", sql), -1);
    assert_int_equal(mysql_error_offset("near '", sql), -1);
    assert_int_equal(mysql_error_offset("something else", sql), -1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_meanings),
        cmocka_unit_test(test_error_offsets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
