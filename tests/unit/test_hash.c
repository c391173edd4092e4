/* SPDX-License-Identifier: Apache-2.0 */
/* Checksums against published test vectors; line ends read as LF. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/hash.h"

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

#define SHA256_EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SHA256_ABC   "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void
test_kinds(void **state)
{
    (void)state;
    assert_string_equal(hash_hex(arena, HASH_SHA256, STR("abc")), SHA256_ABC);
    assert_string_equal(hash_hex(arena, HASH_SHA384, STR("abc")),
                        "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
                        "8086072ba1e7cc2358baeca134c825a7");
    assert_string_equal(hash_hex(arena, HASH_SHA256, STR("")), SHA256_EMPTY);
    assert_string_equal(hash_hex(arena, HASH_SHA256, STR_ABSENT), SHA256_EMPTY);
}

static void
test_pieces(void **state)
{
    (void)state;
    Hasher *h = hasher_new(arena);
    hasher_add(h, STR("a"));
    hasher_add(h, STR_ABSENT);
    hasher_add(h, STR("bc"));
    assert_string_equal(hasher_hex(arena, h), SHA256_ABC);
    assert_string_equal(hasher_hex(arena, hasher_new(arena)), SHA256_EMPTY);
}

static void
test_line_ends(void **state)
{
    (void)state;
    const char *wanted = hash_hex(arena, HASH_SHA256, STR("a\nb\n\nc\n"));
    assert_string_equal(hash_text_hex(arena, STR("a\nb\n\nc\n")), wanted);
    assert_string_equal(hash_text_hex(arena, STR("a\r\nb\r\n\r\nc\r\n")), wanted);
    assert_string_equal(hash_text_hex(arena, STR("a\rb\r\rc\r")), wanted);
    assert_string_equal(hash_text_hex(arena, STR("a\r\nb\n\rc\n")), wanted);
    assert_string_not_equal(hash_text_hex(arena, STR("a\nb\nc\n")), wanted);
    assert_string_not_equal(hash_text_hex(arena, STR("a\nb\n\nc")), wanted);
    assert_string_equal(hash_text_hex(arena, STR("")), SHA256_EMPTY);
    assert_string_equal(hash_text_hex(arena, STR_ABSENT), SHA256_EMPTY);
    assert_string_equal(hash_text_hex(arena, STR("\r")), hash_hex(arena, HASH_SHA256, STR("\n")));
}

static void
test_crc32(void **state)
{
    (void)state;
    assert_int_equal(hash_crc32(0, STR("123456789")), 0xcbf43926);
    assert_int_equal(hash_crc32(hash_crc32(0, STR("1234")), STR("56789")), 0xcbf43926);
    assert_int_equal(hash_crc32(0, STR_ABSENT), 0);
    assert_int_equal(hash_crc32(7, STR_ABSENT), 7);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_line_ends),
        cmocka_unit_test(test_crc32),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
