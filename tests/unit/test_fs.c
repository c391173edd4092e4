/* SPDX-License-Identifier: Apache-2.0 */
/* Files: ceilings, links, odd kinds, atomic writes. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/fs.h"

static Arena *arena;
static Error err;
static char dir[64];

static char *
in_dir(const char *name)
{
    return fs_join(arena, dir, name);
}

static void
put(const char *name, Str data)
{
    int fd = open(in_dir(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data.p, data.n), (ssize_t)data.n);
    close(fd);
}

static int
set_up(void **state)
{
    (void)state;
    arena = arena_new();
    err = ERROR_INIT;
    snprintf(dir, sizeof dir, "/tmp/test_fs.XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static void
remove_tree(const char *path)
{
    FsList list;
    Error ignored = ERROR_INIT;
    if (!fs_list(arena, path, &list, &ignored))
        return;
    for (size_t i = 0; i < list.n; i++) {
        char *name = fs_join(arena, path, list.p[i].name);
        if (list.p[i].kind == FS_DIR)
            remove_tree(name);
        else
            unlink(name);
    }
    rmdir(path);
}

static int
tear_down(void **state)
{
    (void)state;
    remove_tree(dir);
    arena_free(arena);
    return 0;
}

static void
test_read(void **state)
{
    (void)state;
    Str text;
    put("a", STR("one\0two"));
    assert_true(fs_read(arena, in_dir("a"), 7, &text, &err));
    assert_int_equal(text.n, 7);
    assert_memory_equal(text.p, "one\0two", 8); /* the terminator beyond the end too */
    put("empty", STR(""));
    assert_true(fs_read(arena, in_dir("empty"), 0, &text, &err));
    assert_int_equal(text.n, 0);
    assert_non_null(text.p);
    /* No size in its stat, so it is read in growing pieces. */
    assert_true(fs_read(arena, "/proc/self/status", 1 << 20, &text, &err));
    assert_non_null(strstr(text.p, "Name:"));
}

static void
test_read_ceilings(void **state)
{
    (void)state;
    Str text = STR("untouched");
    put("a", STR("12345678"));
    assert_false(fs_read(arena, in_dir("a"), 7, &text, &err));
    assert_int_equal(err.code, ERROR_USAGE);
    assert_non_null(strstr(err.message, in_dir("a")));
    assert_non_null(strstr(err.message, "larger than"));
    error_clear(&err);
    assert_false(fs_read(arena, "/dev/zero", 3 << 20, &text, &err));
    assert_non_null(strstr(err.message, "3 MiB"));
    error_clear(&err);
    assert_false(fs_read(arena, "/dev/zero", 64 << 10, &text, &err));
    assert_non_null(strstr(err.message, "64 KiB"));
    assert_string_equal(text.p, "untouched");
}

static void
assert_unreadable(const char *path, const char *wanted)
{
    Str text;
    error_clear(&err);
    assert_false(fs_read(arena, path, 100, &text, &err));
    assert_int_equal(err.code, ERROR_USAGE);
    assert_non_null(strstr(err.message, path));
    assert_non_null(strstr(err.message, wanted));
}

static void
test_read_odd_kinds(void **state)
{
    (void)state;
    assert_unreadable(in_dir("absent"), "No such file");
    assert_unreadable(dir, "it is a directory");
    assert_int_equal(symlink("nowhere", in_dir("dangling")), 0);
    assert_unreadable(in_dir("dangling"), "No such file");
    /* Nobody writes: this must not hang. */
    Str text;
    error_clear(&err);
    assert_int_equal(mkfifo(in_dir("fifo"), 0600), 0);
    assert_true(fs_read(arena, in_dir("fifo"), 100, &text, &err));
    assert_int_equal(text.n, 0);
}

static void
test_kind(void **state)
{
    (void)state;
    put("file", STR("x"));
    assert_int_equal(symlink("file", in_dir("link")), 0);
    assert_int_equal(symlink("loop", in_dir("loop")), 0);
    assert_int_equal(fs_kind(in_dir("file")), FS_FILE);
    assert_int_equal(fs_kind(in_dir("link")), FS_FILE);
    assert_int_equal(fs_kind(in_dir("loop")), FS_ABSENT);
    assert_int_equal(fs_kind(dir), FS_DIR);
    assert_int_equal(fs_kind("/dev/null"), FS_OTHER);
    assert_int_equal(fs_kind(""), FS_ABSENT);
}

static void
test_list(void **state)
{
    (void)state;
    FsList list;
    assert_true(fs_list(arena, dir, &list, &err));
    assert_int_equal(list.n, 0);
    put("b", STR("12345"));
    put("B", STR(""));
    put("\xc3\xa9", STR(""));
    put("10", STR(""));
    put("9", STR(""));
    assert_int_equal(mkdir(in_dir("d"), 0700), 0);
    assert_int_equal(symlink("b", in_dir("l1")), 0);
    assert_int_equal(symlink("d", in_dir("l2")), 0);
    assert_int_equal(symlink("gone", in_dir("l3")), 0);
    static const struct {
        const char *name;
        FsKind kind, target;
    } wanted[] = {
        {"10", FS_FILE, FS_FILE}, {"9", FS_FILE, FS_FILE},    {"B", FS_FILE, FS_FILE},
        {"b", FS_FILE, FS_FILE},  {"d", FS_DIR, FS_DIR},      {"l1", FS_LINK, FS_FILE},
        {"l2", FS_LINK, FS_DIR},  {"l3", FS_LINK, FS_ABSENT}, {"\xc3\xa9", FS_FILE, FS_FILE}};
    assert_true(fs_list(arena, dir, &list, &err));
    assert_int_equal(list.n, COUNT_OF(wanted));
    for (size_t i = 0; i < list.n; i++) {
        assert_string_equal(list.p[i].name, wanted[i].name);
        assert_int_equal(list.p[i].kind, wanted[i].kind);
        assert_int_equal(list.p[i].target_kind, wanted[i].target);
    }
    assert_int_equal(list.p[3].size, 5);
    assert_int_equal(list.p[5].size, 5); /* of the target */
    assert_true(list.p[3].mtime_ns > 1600000000LL * 1000000000);
    assert_true(fs_list_names(arena, dir, &list, &err));
    assert_int_equal(list.n, COUNT_OF(wanted));
    for (size_t i = 0; i < list.n; i++)
        assert_string_equal(list.p[i].name, wanted[i].name);
    assert_false(fs_list(arena, in_dir("b"), &list, &err));
    assert_non_null(strstr(err.message, "Not a directory"));
    error_clear(&err);
    assert_false(fs_list_names(arena, in_dir("b"), &list, &err));
    assert_non_null(strstr(err.message, "Not a directory"));
}

/* Names that begin alike, that end within or after the eight bytes that are compared first, and
 * every number of them around powers of two. */
static void
test_list_order(void **state)
{
    (void)state;
    static const char *const ends[] = {"",           "_",          "_a",          "_abcdefgh",
                                       "_abcdefghi", "_abcdefghj", "_abcdefghij", "\xff",
                                       "\xc3\xa9",   "A",          "a",           "\x01"};
    for (size_t n = 1; n <= 70; n++) {
        FsList list;
        size_t i = n * 37 % 71;
        put(str_printf(arena, "common_%02zu%s", i, ends[n % COUNT_OF(ends)]), STR(""));
        put(str_printf(arena, "common_07%s", ends[n % COUNT_OF(ends)]), STR(""));
        assert_true(fs_list(arena, dir, &list, &err));
        assert_true(list.n > n / 2);
        for (i = 1; i < list.n; i++)
            assert_true(strcmp(list.p[i - 1].name, list.p[i].name) < 0);
    }
}

static void
test_write_atomic(void **state)
{
    (void)state;
    Str text;
    FsList list;
    struct stat st;
    assert_true(fs_write_atomic(in_dir("new"), STR("first"), 0600, &err));
    assert_int_equal(stat(in_dir("new"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_true(fs_write_atomic(in_dir("new"), STR("second"), 0600, &err));
    assert_true(fs_read(arena, in_dir("new"), 100, &text, &err));
    assert_string_equal(text.p, "second");
    assert_true(fs_list(arena, dir, &list, &err));
    assert_int_equal(list.n, 1); /* no temporary file is left */

    assert_int_equal(mkdir(in_dir("d"), 0700), 0);
    put("d/inside", STR(""));
    assert_false(fs_write_atomic(in_dir("d"), STR("x"), 0600, &err));
    assert_non_null(strstr(err.message, in_dir("d")));
    error_clear(&err);
    assert_true(fs_list(arena, dir, &list, &err));
    assert_int_equal(list.n, 2);
    assert_false(fs_write_atomic(in_dir("no/such"), STR("x"), 0600, &err));
    assert_int_equal(err.code, ERROR_FAILED);
}

static void
test_write_here(void **state)
{
    (void)state;
    char cwd[4096];
    assert_non_null(getcwd(cwd, sizeof cwd));
    assert_int_equal(chdir(dir), 0);
    assert_true(fs_write_atomic("plain-name", STR("x"), 0644, &err));
    assert_int_equal(fs_kind("plain-name"), FS_FILE);
    assert_int_equal(chdir(cwd), 0);
}

static void
test_make_dirs(void **state)
{
    (void)state;
    assert_true(fs_make_dirs(in_dir("a/b//c/"), &err));
    assert_int_equal(fs_kind(in_dir("a/b/c")), FS_DIR);
    assert_true(fs_make_dirs(in_dir("a/b/c"), &err));
    assert_true(fs_make_dirs("/", &err));
    put("file", STR(""));
    assert_false(fs_make_dirs(in_dir("file/x"), &err));
    assert_non_null(strstr(err.message, in_dir("file")));
    error_clear(&err);
    assert_false(fs_make_dirs("", &err));
}

static void
test_inside(void **state)
{
    (void)state;
    assert_true(fs_make_dirs(in_dir("m"), &err));
    assert_true(fs_make_dirs(in_dir("mm"), &err));
    put("m/in", STR(""));
    put("mm/out", STR(""));
    assert_int_equal(symlink("../mm/out", in_dir("m/escape")), 0);
    assert_int_equal(symlink("in", in_dir("m/stay")), 0);
    assert_true(fs_is_inside(in_dir("m"), in_dir("m/in")));
    assert_true(fs_is_inside(in_dir("m"), in_dir("m/stay")));
    assert_true(fs_is_inside(in_dir("m"), in_dir("m")));
    assert_false(fs_is_inside(in_dir("m"), in_dir("m/escape")));
    assert_false(fs_is_inside(in_dir("m"), in_dir("mm/out"))); /* a prefix of the name only */
    assert_false(fs_is_inside(in_dir("m"), in_dir("m/../mm/out")));
    assert_false(fs_is_inside(in_dir("m"), in_dir("m/absent")));
    assert_true(fs_is_inside("/", in_dir("m/in")));
    assert_string_equal(fs_join(arena, "a/", "b"), "a/b");
    assert_string_equal(fs_join(arena, "a", "b"), "a/b");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_read),         TEST(test_read_ceilings), TEST(test_read_odd_kinds),
        TEST(test_kind),         TEST(test_list),          TEST(test_list_order),
        TEST(test_write_atomic), TEST(test_write_here),    TEST(test_make_dirs),
        TEST(test_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
