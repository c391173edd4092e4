/* SPDX-License-Identifier: Apache-2.0 */
/* The tree of an image, and the ceilings that no test can reach in a short time. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "deploy/image_internal.h"

static Arena *arena;
static Error err;
static ImageTree *tree;

static int
set_up(void **state)
{
    (void)state;
    arena = arena_new();
    err = ERROR_INIT;
    tree = tree_new(arena);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static bool
add(const char *path, EntryKind kind, const char *link)
{
    Entry e = {.path = str_of(path), .link = str_of(link), .kind = kind, .size = 1};
    return tree_add(tree, "x", &e, STR_ABSENT, &err);
}

static const char *
where(const char *path)
{
    const ImageNode *node = tree_find(tree, NULL, str_of(path));
    return node ? tree_path(arena, node) : "nowhere";
}

static void
test_links_end_in_the_image(void **state)
{
    (void)state;
    assert_true(add("usr/bin/node18", ENTRY_FILE, NULL));
    assert_true(add("usr/bin/node", ENTRY_LINK, "../../../../../usr/bin/node18"));
    assert_true(add("bin", ENTRY_LINK, "/usr/bin"));
    assert_true(add("bin/sh", ENTRY_FILE, NULL));
    assert_true(add("a", ENTRY_LINK, "b"));
    assert_true(add("b", ENTRY_LINK, "a"));
    assert_true(add("dangling", ENTRY_LINK, "/no/where"));
    assert_string_equal(where("/bin/node"), "/usr/bin/node18");
    assert_string_equal(where("usr/bin/sh"), "/usr/bin/sh");
    assert_string_equal(where("/../../bin/./sh"), "/usr/bin/sh");
    assert_string_equal(where("/"), "/");
    assert_string_equal(where("a"), "nowhere");
    assert_string_equal(where("dangling"), "nowhere");
    assert_string_equal(where("usr/bin/sh/x"), "nowhere");
    assert_false(add("a/x", ENTRY_FILE, NULL));
    assert_non_null(strstr(err.message, "lies in what is no directory"));
}

static void
test_later_ones_take_the_place(void **state)
{
    (void)state;
    assert_true(add("d/old/x", ENTRY_FILE, NULL) && add("d/keep", ENTRY_FILE, NULL));
    assert_true(add("d", ENTRY_DIR, NULL));
    assert_string_equal(where("d/keep"), "/d/keep");
    assert_true(add("d/old", ENTRY_FILE, NULL) && add("d/old", ENTRY_DIR, NULL));
    assert_string_equal(where("d/old/x"), "nowhere");
    tree_whiteout(tree, STR("d/.wh.keep"));
    tree_whiteout(tree, STR("d/.wh.never"));
    tree_whiteout(tree, STR("../.wh.d"));
    assert_string_equal(where("d/keep"), "nowhere");
    assert_string_equal(where("d/old"), "/d/old");
    tree_whiteout(tree, STR("./d/.wh..wh..opq"));
    assert_string_equal(where("d"), "/d");
    assert_string_equal(where("d/old"), "nowhere");
    assert_true(add("d/old/y", ENTRY_FILE, NULL));
    assert_string_equal(where("d/old/y"), "/d/old/y");
}

static void
test_thousands(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++)
        assert_true(add(str_printf(arena, "d%d/%d", i % 7, i), ENTRY_FILE, NULL));
    for (int i = 0; i < 20000; i++)
        assert_string_not_equal(where(str_printf(arena, "d%d/%d", i % 7, i)), "nowhere");
}

/* A tar of one empty file, then nothing. */
static bool
next_tar(void *ctx, Str *ret, Error *e)
{
    static char block[1536];
    bool *given = ctx;
    (void)e;
    memset(block, 0, sizeof block);
    memcpy(block, "a", 1);
    memcpy(block + 100, "0000644", 7);
    memcpy(block + 124, "00000000000", 11);
    memcpy(block + 136, "00000000000", 11);
    memcpy(block + 148, "        ", 8);
    memcpy(block + 257, "ustar\00000", 8);
    unsigned sum = 0;
    for (int i = 0; i < 512; i++)
        sum += (unsigned char)block[i];
    (void)snprintf(block + 148, 8, "%06o", sum);
    *ret = (Str){block, *given ? 0 : sizeof block};
    *given = true;
    return true;
}

static bool
read_with(ReadLimits limits)
{
    AUTO_TAR *tar = NULL;
    bool given = false, there;
    Entry e;
    err = ERROR_INIT;
    return tar_open(arena, "x", (Bytes){.next = next_tar, .ctx = &given}, &limits, &tar, &err) &&
           tar_next(tar, &there, &e, &err) && there && str_eq(e.path, STR("a"));
}

static void
test_limits(void **state)
{
    (void)state;
    assert_true(read_with((ReadLimits){0}));
    assert_false(read_with((ReadLimits){.entries = IMAGE_ENTRIES_MAX}));
    assert_string_equal(err.message, "'x' holds more than 1000000 files");
    assert_false(read_with((ReadLimits){.bytes = IMAGE_BYTES_MAX}));
    assert_string_equal(err.message, "'x' unpacks to more than 32 GiB");
    assert_false(read_with((ReadLimits){.deadline_ms = 1}));
    assert_string_equal(err.message, "'x' was not read in time");
    Wait w = wait_init();
    w.signal_caught = 15;
    assert_false(read_with((ReadLimits){.wait = &w}));
    assert_int_equal(err.code, ERROR_SIGNALLED);
}

static bool
keeps(const char *workdir, const char *path, int64_t size)
{
    char *started[] = {(char *)(uintptr_t) "/usr/bin/start"};
    Image image = {.workdir = (char *)(uintptr_t)workdir,
                   .entrypoint = {.p = started, .n = 1, .size = 1}};
    Keeping keeping = {.image = &image};
    return image_keeps(&keeping, &(Entry){.path = str_of(path), .kind = ENTRY_FILE, .size = size});
}

static void
test_which_texts_are_kept(void **state)
{
    (void)state;
    assert_true(keeps("/usr/src/app", "usr/src/app/package.json", 10));
    assert_true(keeps("/usr/src/app", "./usr/src/app/prisma/schema.prisma", 10));
    assert_true(keeps("/current", "srv/app/Procfile", 10));
    assert_true(keeps("/", "usr/bin/start", 10));
    assert_true(keeps("/app", "app/.env", 10));
    assert_false(keeps("/", "usr/lib/python3/x.py", 10));
    assert_false(keeps("/app", "etc/passwd", 10));
    assert_false(keeps("/app", "app/node_modules/knex/package.json", 10));
    assert_false(keeps("/app", "app/.git/config", 10));
    assert_false(keeps("/app", "app/logo.png", 10));
    assert_false(keeps("/app", "app/package.json", IMAGE_TEXT_MAX + 1));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_links_end_in_the_image),
        TEST(test_later_ones_take_the_place),
        TEST(test_thousands),
        TEST(test_limits),
        TEST(test_which_texts_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
