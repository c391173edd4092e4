/* SPDX-License-Identifier: Apache-2.0 */
/* What is masked, in which forms, and what is not. The list of secrets lives as long as the
 * process: each test uses values of its own. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/secret.h"

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
assert_shown(const char *text, const char *wanted)
{
    assert_string_equal(str_dup(arena, secret_redact(arena, str_of(text))), wanted);
}

static void
test_nothing_known(void **state)
{
    (void)state;
    Str text = STR("postgres://u:p@h/d");
    assert_ptr_equal(secret_redact(arena, text).p, text.p);
    assert_null(secret_redact(arena, STR_ABSENT).p);
}

static void
test_make(void **state)
{
    (void)state;
    Secret none = secret_make(arena, STR_ABSENT), empty = secret_make(arena, STR(""));
    assert_false(secret_is_set(none));
    assert_null(secret_reveal(none));
    assert_true(secret_is_set(empty)); /* an empty password is one */
    Secret s = secret_make(arena, STR("hunter2!"));
    assert_string_equal(secret_reveal(s), "hunter2!");
    assert_shown("password hunter2! is wrong, hunter2!", "password *** is wrong, ***");
    assert_shown("hunter2", "hunter2");
    assert_shown("", "");
}

static void
test_percent_encoded(void **state)
{
    (void)state;
    secret_make(arena, STR("p@ss w/rd%41"));
    assert_shown("u:p%40ss%20w%2Frd%2541@h", "u:***@h"); /* everything */
    assert_shown("u:p%40ss%20w%2frd%2541@h", "u:***@h"); /* small hex digits */
    assert_shown("u:p%40ss%20w/rd%2541@h", "u:***@h");   /* some of it, as people write it */
    assert_shown("u:p@ss w/rd%41@h", "u:***@h");         /* nothing */
    assert_shown("u:%70@ss w/rd%41@h", "u:***@h");       /* without need */
    assert_shown("u:p%40ss%20w%2Frd%25", "u:p%40ss%20w%2Frd%25");
    assert_shown("u:p%4", "u:p%4");
}

static void
test_short_ones_are_words(void **state)
{
    (void)state;
    secret_make(arena, STR("abc"));
    assert_shown("abc", "***");
    assert_shown("u:abc@h", "u:***@h");
    assert_shown("(abc) xabc abcx abc_ abc", "(***) xabc abcx abc_ ***");
    assert_shown("\xc3\xa9"
                 "abc",
                 "\xc3\xa9"
                 "abc");
}

static void
test_longest_first(void **state)
{
    (void)state;
    secret_make(arena, STR("tokentoken"));
    secret_mask_also(STR("tokentoken-and-more"));
    assert_shown("a tokentoken-and-more b", "a *** b");
    assert_shown("a tokentoken-and b", "a ***-and b");
    assert_shown("tokentokentokentoken", "******");
}

static void
test_lines_of_a_key(void **state)
{
    (void)state;
    secret_mask_also(STR("-----KEY-----\nMIIEvgIBADAN\nBgkqhkiG9w0B\n"));
    assert_shown("reading MIIEvgIBADAN", "reading ***");
    assert_shown("reading BgkqhkiG9w0B", "reading ***");
}

static void
test_bytes(void **state)
{
    (void)state;
    secret_mask_also((Str){"nul\0inside", 10});
    Str got = secret_redact(arena, (Str){"a nul\0inside b", 14});
    assert_string_equal(str_dup(arena, got), "a *** b");
    secret_mask_also(STR("passwört"));
    assert_shown("x passwört y", "x *** y");
    assert_shown("x passw%C3%b6rt y", "x *** y");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_known),   cmocka_unit_test(test_make),
        cmocka_unit_test(test_percent_encoded), cmocka_unit_test(test_short_ones_are_words),
        cmocka_unit_test(test_longest_first),   cmocka_unit_test(test_lines_of_a_key),
        cmocka_unit_test(test_bytes),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
