/* SPDX-License-Identifier: Apache-2.0 */
/* Arenas, errors, clock, fault points. */

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/error.h"
#include "core/fault.h"

static Arena *arena;

static int
set_up(void **state)
{
    (void)state;
    arena = arena_new();
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    arena_free(arena);
    arena = NULL;
    return 0;
}

/* ---- arenas ---- */

static void
test_arena_pieces(void **state)
{
    (void)state;
    char *last = NULL;
    for (size_t size = 0; size < 9000; size += 7) {
        char *p = arena_alloc(arena, size);
        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0x55, size);
        assert_ptr_not_equal(p, last);
        last = p;
    }
    char *big = arena_alloc(arena, 10 * 1024 * 1024);
    big[10 * 1024 * 1024 - 1] = 1;
    assert_true(arena_bytes(arena) >= 10 * 1024 * 1024);
    arena_free(NULL);
}

static void
test_arena_grow(void **state)
{
    (void)state;
    char *p = arena_alloc(arena, 10);
    memcpy(p, "123456789", 10);
    char *in_place = arena_grow(arena, p, 10, 100);
    assert_ptr_equal(in_place, p);
    for (int i = 10; i < 100; i++)
        assert_int_equal(in_place[i], 0);
    (void)arena_alloc(arena, 1);
    char *moved = arena_grow(arena, in_place, 100, 200);
    assert_ptr_not_equal(moved, in_place);
    assert_string_equal(moved, "123456789");
    char *wide = arena_grow(arena, moved, 200, 5000000);
    assert_string_equal(wide, "123456789");
    assert_int_equal(wide[4999999], 0);
    assert_non_null(arena_grow(arena, NULL, 0, 8));
}

static void
test_scratch_arena_ends(void **state)
{
    (void)state;
    Arena *gone = arena_new();
    (void)arena_alloc(gone, 100);
    arena_cleanup(&gone);
    assert_null(gone);
}

/* ---- errors ---- */

static void
test_error_set_and_wrap(void **state)
{
    (void)state;
    Error err = ERROR_INIT;
    assert_int_equal(err.sql_offset, -1);
    assert_false(error_set(&err, ERROR_LOCKED, "'%s' is busy", "x"));
    assert_false(error_wrap(&err, "version %d", 3));
    assert_false(error_hint(&err, "Try %s.", "later"));
    assert_false(error_at(&err, "a.sql", 4, 2));
    assert_string_equal(err.message, "version 3: 'x' is busy");
    assert_string_equal(err.hint, "Try later.");
    assert_string_equal(err.file, "a.sql");
    assert_int_equal(err.line, 4);
    assert_int_equal(err.sql_offset, -1);
    assert_int_equal(error_exit_status(&err), 5);
    error_clear(&err);
    assert_int_equal(err.code, ERROR_NONE);
    assert_int_equal(error_exit_status(&err), 0);
    error_set_errno(&err, ERROR_FAILED, 2, "cannot read '%s'", "f");
    assert_string_equal(err.message, "cannot read 'f': No such file or directory");
    assert_int_equal(err.sys_errno, 2);
}

static void
assert_cut(const char *text, size_t size)
{
    size_t n = strlen(text), bad;
    assert_true(n < size && n >= size - 8);
    assert_string_equal(text + n - 3, "...");
    assert_true(str_is_utf8(str_of(text), &bad));
}

static void
test_error_cuts_long_text(void **state)
{
    (void)state;
    StrBuf b = strbuf_new(arena, 20000);
    /* Every length near the end, so that a character of three bytes is cut at each of its bytes. */
    for (int i = 0; i < 1500; i++)
        strbuf_puts(&b, "\xe2\x82\xac");
    for (int shift = 0; shift < 4; shift++) {
        Error err = ERROR_INIT;
        error_set(&err, ERROR_FAILED, "%.*s%s", shift, "abc", b.p);
        assert_cut(err.message, sizeof err.message);
        error_wrap(&err, "%.*s", shift, "abc");
        assert_cut(err.message, sizeof err.message);
        error_hint(&err, "%.*s%s", shift, "abc", b.p);
        assert_cut(err.hint, sizeof err.hint);
        error_at(&err, b.p, 1, 1);
        assert_cut(err.file, sizeof err.file);
        for (int i = 0; i < 9; i++)
            error_detail(&err, "%.*s%s", shift, "abc", b.p);
        assert_cut(err.detail, sizeof err.detail);
        Error second = ERROR_INIT;
        error_set_errno(&second, ERROR_FAILED, 2, "%s", b.p);
        assert_non_null(strstr(second.message, "...: No such file"));
    }
}

static void
test_error_details_are_lines(void **state)
{
    (void)state;
    Error err = ERROR_INIT;
    error_set(&err, ERROR_FAILED, "x");
    error_detail(&err, "one");
    error_detail(&err, "two");
    assert_string_equal(err.detail, "one\ntwo");
}

static void
test_error_codes(void **state)
{
    (void)state;
    static const int statuses[ERROR_COUNT] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 126, 127, 128};
    for (int i = 0; i < ERROR_COUNT; i++) {
        assert_int_equal(error_code_status((ErrorCode)i), statuses[i]);
        assert_true(strlen(error_code_meaning((ErrorCode)i)) > 10);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(error_code_name((ErrorCode)i), error_code_name((ErrorCode)k));
    }
    Error err = ERROR_INIT;
    error_set(&err, ERROR_SIGNALLED, "x");
    err.signal = SIGTERM;
    assert_int_equal(error_exit_status(&err), 143);
}

/* ---- clock ---- */

static void
test_clock(void **state)
{
    (void)state;
    int64_t before = clock_ms();
    assert_true(before > 0);
    char *now = clock_rfc3339(arena), *stamp = clock_stamp(arena);
    assert_int_equal(strlen(now), 24);
    assert_int_equal(now[10], 'T');
    assert_int_equal(now[19], '.');
    assert_int_equal(now[23], 'Z');
    assert_int_equal(strlen(stamp), 14);
    assert_memory_equal(now, stamp, 4);
    assert_true(clock_ms() >= before);
}

static void
test_backoff(void **state)
{
    (void)state;
    int64_t least = INT64_MAX, most = 0;
    for (int i = 0; i < 2000; i++) {
        int64_t ms = clock_backoff_ms(3, 500, 30000);
        assert_in_range(ms, 250, 4000);
        least = ms < least ? ms : least;
        most = ms > most ? ms : most;
        assert_in_range(clock_backoff_ms(0, 500, 30000), 250, 500);
        assert_in_range(clock_backoff_ms(1000000, 500, 30000), 250, 30000);
        assert_in_range(clock_backoff_ms(0, 500, 100), 0, 100);
        assert_int_equal(clock_backoff_ms(5, 0, 100), 0);
    }
    assert_true(least < 700 && most > 3500); /* spread over the whole range */
}

/* ---- fault points ---- */

/* How a process ends that passes the points a b a a, with this spec. */
static int
passing(const char *spec)
{
    pid_t pid = fork();
    int status;
    if (pid == 0) {
        close(STDERR_FILENO);
        fault_setup(spec);
        static const char *const passed[] = {"a", "b", "a", "a"};
        for (size_t i = 0; i < COUNT_OF(passed); i++)
            FAULT_POINT(passed[i]);
        _exit(0);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    if (WIFSTOPPED(status)) {
        kill(pid, SIGCONT);
        int last;
        assert_int_equal(waitpid(pid, &last, 0), pid);
        assert_true(WIFEXITED(last));
    }
    return status;
}

static void
test_faults(void **state)
{
    (void)state;
    assert_int_equal(WEXITSTATUS(passing(NULL)), 0);
    assert_int_equal(WEXITSTATUS(passing("")), 0);
    assert_int_equal(WEXITSTATUS(passing("list")), 0);
    assert_int_equal(WTERMSIG(passing("a:3:kill")), SIGKILL);
    assert_int_equal(WTERMSIG(passing("b:9:kill,a:2:kill")), SIGKILL);
    assert_true(WIFEXITED(passing("a:4:kill")));
    assert_int_equal(WEXITSTATUS(passing("b:1:error")), 1);
    assert_true(WIFSTOPPED(passing("a:1:stop")));
    assert_int_equal(WEXITSTATUS(passing("a:1:kil")), 2); /* misspelt: must not pass for a test */
    assert_int_equal(WEXITSTATUS(passing("a")), 2);
}

static void
test_fault_list(void **state)
{
    (void)state;
    int ends[2], status;
    char text[100];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        fault_setup("list");
        FAULT_POINT("one");
        FAULT_POINT("two");
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    ssize_t n = read(ends[0], text, sizeof text - 1);
    text[n > 0 ? n : 0] = 0;
    assert_string_equal(text, "fault: one\nfault: two\n");
    close(ends[0]);
    close(ends[1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_arena_pieces, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_arena_grow, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_scratch_arena_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_error_set_and_wrap, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_error_cuts_long_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_error_details_are_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_error_codes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_clock, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_backoff, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_faults, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_fault_list, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
