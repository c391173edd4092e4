/* SPDX-License-Identifier: Apache-2.0 */
/* Views, growing buffers, strict parsers, nearest names. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/str.h"

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
    return 0;
}

static void
assert_str(Str got, const char *wanted)
{
    assert_string_equal(str_dup(arena, got), wanted);
}

static void
test_absent_is_not_empty(void **state)
{
    (void)state;
    assert_null(str_of(NULL).p);
    assert_null(str_dup(arena, STR_ABSENT));
    assert_string_equal(str_dup(arena, STR("")), "");
    assert_null(str_copy(arena, STR_ABSENT).p);
    assert_true(str_eq(STR_ABSENT, STR("")));
    assert_true(str_ends(STR_ABSENT, STR("")));
    assert_false(str_ends(STR_ABSENT, STR("x")));
    assert_int_equal(str_find(STR_ABSENT, 'x'), 0);
    assert_int_equal(str_sub(STR_ABSENT, 0, 5).n, 0);
    assert_int_equal(str_trim(STR_ABSENT).n, 0);
}

static void
test_compare(void **state)
{
    (void)state;
    assert_true(str_cmp(STR("a"), STR("b")) < 0);
    assert_true(str_cmp(STR("ab"), STR("a")) > 0);
    assert_true(str_cmp(STR("\xff"), STR("a")) > 0); /* bytes are unsigned */
    assert_int_equal(str_cmp(STR("a\0b"), STR("a\0b")), 0);
    assert_true(str_cmp(STR("a\0b"), STR("a\0c")) < 0);
    assert_true(str_eq_nocase(STR("aZ_9"), STR("Az_9")));
    assert_false(str_eq_nocase(STR("["), STR("{"))); /* differ by the case bit only */
    assert_false(str_eq_nocase(STR("ab"), STR("a")));
    assert_true(str_starts(STR("abc"), STR("ab")));
    assert_false(str_starts(STR("a"), STR("ab")));
    assert_true(str_ends(STR("abc"), STR("bc")));
    assert_false(str_ends(STR("c"), STR("bc")));
}

static void
test_cut(void **state)
{
    (void)state;
    assert_str(str_trim(STR(" \t\r\n a b \v\f")), "a b");
    assert_str(str_trim(STR("   ")), "");
    assert_str(str_sub(STR("abcdef"), 2, 4), "cd");
    assert_str(str_sub(STR("abcdef"), 4, 99), "ef");
    assert_str(str_sub(STR("abcdef"), 5, 2), "");
    assert_str(str_sub(STR("abcdef"), 99, 100), "");
    assert_int_equal(str_find(STR("abc"), 'c'), 2);
    assert_int_equal(str_find(STR("abc"), 'x'), 3);
    assert_int_equal(str_find_str(STR("abcabd"), STR("abd")), 3);
    assert_int_equal(str_find_str(STR("abc"), STR("abcd")), 3);
}

static void
test_utf8(void **state)
{
    (void)state;
    static const struct {
        Str text;
        size_t bad; /* the length when it is good */
    } cases[] = {
        {{"", 0}, 0},
        {{"a\0b", 3}, 3},
        {{"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9}, 9},
        {{"a\x80", 2}, 1},            /* a lone continuation */
        {{"ab\xc3", 3}, 2},           /* cut off */
        {{"\xc0\xaf", 2}, 0},         /* overlong slash */
        {{"\xe0\x80\xaf", 3}, 0},     /* overlong */
        {{"\xf0\x80\x80\xaf", 4}, 0}, /* overlong */
        {{"\xed\xa0\x80", 3}, 0},     /* a surrogate */
        {{"\xf4\x90\x80\x80", 4}, 0}, /* beyond U+10FFFF */
        {{"\xf8\x88\x80\x80\x80", 5}, 0},
        {{"\xff", 1}, 0},
        {{"\xf4\x8f\xbf\xbf", 4}, 4},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        size_t bad = cases[i].text.n;
        bool good = str_is_utf8(cases[i].text, &bad);
        assert_int_equal(bad, cases[i].bad);
        assert_int_equal(good, cases[i].bad == cases[i].text.n);
    }
}

static void
assert_position(Str text, size_t offset, size_t line, size_t column)
{
    size_t got_line, got_column;
    str_position(text, offset, &got_line, &got_column);
    assert_int_equal(got_line, line);
    assert_int_equal(got_column, column);
}

static void
test_position(void **state)
{
    (void)state;
    Str text = STR("ab\n\xc3\xa9x\r\n\nlast");
    assert_position(text, 0, 1, 1);
    assert_position(text, 2, 1, 3);
    assert_position(text, 3, 2, 1);
    assert_position(text, 5, 2, 2); /* a character, not a byte */
    assert_position(text, 8, 3, 1);
    assert_position(text, 9, 4, 1);
    assert_position(text, 999, 4, 5);
    assert_position(STR(""), 0, 1, 1);
    assert_str(str_line_at(text, 0), "ab");
    assert_str(str_line_at(text, 5), "\xc3\xa9x");
    assert_str(str_line_at(text, 8), "");
    assert_str(str_line_at(text, 999), "last");
    assert_str(str_line_at(STR(""), 3), "");
}

static void
test_buffer(void **state)
{
    (void)state;
    StrBuf b = strbuf_new(arena, 100000);
    assert_str(strbuf_str(&b), "");
    strbuf_add(&b, STR_ABSENT);
    assert_string_equal(b.p, "");
    for (int i = 0; i < 1000; i++) {
        strbuf_addc(&b, 'a');
        strbuf_printf(&b, "%d", i % 10);
        (void)arena_alloc(arena, 1); /* the buffer cannot grow in place */
    }
    strbuf_puts(&b, "end");
    assert_int_equal(b.n, 2003);
    assert_int_equal(strlen(b.p), b.n);
    assert_memory_equal(b.p, "a0a1a2a3", 8);
    assert_string_equal(b.p + 1998, "a9end");

    StrBuf exact = strbuf_new(arena, 3);
    strbuf_puts(&exact, "abc");
    assert_str(strbuf_str(&exact), "abc");
    assert_string_equal(str_printf(arena, "%s-%05d", "x", 42), "x-00042");
}

static void
test_numbers(void **state)
{
    (void)state;
    int64_t n = 7;
    assert_true(str_to_i64(STR("0"), &n));
    assert_int_equal(n, 0);
    assert_true(str_to_i64(STR("9223372036854775807"), &n));
    assert_true(n == INT64_MAX);
    assert_true(str_to_i64(STR("-9223372036854775808"), &n));
    assert_true(n == INT64_MIN);
    assert_true(str_to_i64(STR("007"), &n));
    assert_int_equal(n, 7);
    static const char *const bad[] = {"",
                                      "-",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1x",
                                      "0x1",
                                      "1.0",
                                      "--1",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "99999999999999999999999"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(str_to_i64(str_of(bad[i]), &n));
    assert_false(str_to_i64(STR("1\0"), &n));
    assert_false(str_to_i64(STR_ABSENT, &n));
    assert_int_equal(n, 7); /* untouched */
}

static void
test_booleans(void **state)
{
    (void)state;
    static const char *const yes[] = {"true", "TRUE", "Yes", "on", "1"};
    static const char *const no[] = {"false", "False", "NO", "off", "0"};
    static const char *const bad[] = {"", "y", "n", "2", "truely", " true", "t", "-1"};
    bool value;
    for (size_t i = 0; i < COUNT_OF(yes); i++) {
        value = false;
        assert_true(str_to_bool(str_of(yes[i]), &value));
        assert_true(value);
    }
    for (size_t i = 0; i < COUNT_OF(no); i++) {
        value = true;
        assert_true(str_to_bool(str_of(no[i]), &value));
        assert_false(value);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(str_to_bool(str_of(bad[i]), &value));
}

static void
test_durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"0", 0},        {"500ms", 500},    {"5s", 5000},      {"10m", 600000},
                {"2h", 7200000}, {"1d", 86400000},  {"60", 60000},     {"1.5s", 1500},
                {"0.25", 250},   {"1.5h", 5400000}, {"1.0009s", 1000}, {"0.000000000001d", 0}};
    static const char *const bad[] = {"",
                                      "abc",
                                      "-5s",
                                      "5 s",
                                      " 5s",
                                      "5x",
                                      "5ss",
                                      "5.",
                                      ".5s",
                                      "1e3",
                                      "5S",
                                      "s",
                                      "1.5.5",
                                      "5s ",
                                      "99999999999999999999s",
                                      "9223372036854775807s"};
    int64_t ms = -1;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        assert_true(str_to_duration_ms(str_of(good[i].text), &ms));
        assert_int_equal(ms, good[i].ms);
    }
    ms = 77;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(str_to_duration_ms(str_of(bad[i]), &ms));
    assert_int_equal(ms, 77);
    assert_string_equal(str_from_duration_ms(arena, 250), "250 ms");
    assert_string_equal(str_from_duration_ms(arena, 1234), "1.2 s");
    assert_string_equal(str_from_duration_ms(arena, 184000), "3 min 4 s");
    assert_string_equal(str_from_duration_ms(arena, 3720000), "1 h 2 min");
}

static void
test_nearest(void **state)
{
    (void)state;
    static const char *const names[] = {"migrate",      "status", "rollback", "lock_wait",
                                        "lock_timeout", "url",    "dir",      NULL};
    assert_string_equal(str_nearest(STR("migrte"), names), "migrate");
    assert_string_equal(str_nearest(STR("stauts"), names), "status");
    assert_string_equal(str_nearest(STR("STATUS"), names), "status");
    assert_string_equal(str_nearest(STR("lock-wiat"), names), "lock_wait");
    assert_string_equal(str_nearest(STR("dri"), names), "dir");
    assert_null(str_nearest(STR("zzzzzz"), names));
    assert_null(str_nearest(STR("foo"), names));
    assert_null(str_nearest(STR(""), names));
    char longest[5000];
    memset(longest, 'm', sizeof longest);
    assert_null(str_nearest((Str){longest, sizeof longest}, names));
    const char *const *choices = str_choices(arena, "text|json|");
    assert_string_equal(choices[0], "text");
    assert_string_equal(choices[1], "json");
    assert_string_equal(choices[2], "");
    assert_null(choices[3]);
    assert_string_equal(*str_choices(arena, "alone"), "alone");
    assert_null(*str_choices(arena, NULL));
}

static void
test_vector(void **state)
{
    (void)state;
    VEC(int) v = {0};
    for (int i = 0; i < 1000; i++) {
        *vec_push(arena, &v) = i;
        (void)arena_alloc(arena, 24);
    }
    assert_int_equal(v.n, 1000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(v.p[i], i);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_absent_is_not_empty),
        cmocka_unit_test(test_compare),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_position),
        cmocka_unit_test(test_buffer),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_booleans),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_vector),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
