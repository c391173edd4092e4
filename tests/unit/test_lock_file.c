/* SPDX-License-Identifier: Apache-2.0 */
/* The file lock on real files: two processes, a killed holder, removal races, hostile content. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/fs.h"
#include "db/lock_internal.h"

typedef struct Fixture {
    Arena *arena;
    char dir[64];
    char *database, *path;
    Wait wait;
    Error err;
} Fixture;

static int
set_up(void **state)
{
    Arena *arena = arena_new();
    Fixture *f = arena_make(arena, Fixture);

    f->arena = arena;
    f->wait = wait_init();
    f->err = ERROR_INIT;
    snprintf(f->dir, sizeof(f->dir), "/tmp/lockstep-flock-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->database = fs_join(arena, f->dir, "app.db");
    f->path = fs_join(arena, f->dir, "app.db.lockstep");
    assert_true(fs_write_atomic(f->database, STR("x"), 0640, &f->err));
    *state = f;
    return 0;
}

static int
tear_down(void **state)
{
    Fixture *f = *state;
    FsList list = {0};

    (void)!chmod(f->dir, 0755);
    assert_true(fs_list(f->arena, f->dir, &list, &f->err));
    for (size_t i = 0; i < list.n; i++)
        (void)!unlink(fs_join(f->arena, f->dir, list.p[i].name));
    (void)!rmdir(f->dir);
    arena_free(f->arena);
    return 0;
}

static FileLock *
make(Fixture *f, const char *run_id)
{
    LockSpec spec = {.mode = LOCK_FILE, .run_id = run_id, .lease_ms = 1000, .host = "web-1"};

    return file_lock_new(f->arena, f->database, &spec, &f->wait);
}

static bool
take(Fixture *f, FileLock *lock)
{
    bool got = false;

    if (!file_lock_try(lock, &got, &f->err))
        fail_msg("%s", f->err.message);
    return got;
}

static LockView
look(Fixture *f, FileLock *lock)
{
    LockView view = {0};

    if (!file_lock_look(lock, f->arena, &view, &f->err))
        fail_msg("%s", f->err.message);
    return view;
}

/* A flock belongs to the open file: two of them exclude each other within one process too. */
static void
test_one_of_two(void **state)
{
    Fixture *f = *state;
    FileLock *a = make(f, "run-a"), *b = make(f, "run-b");
    struct stat st;
    LockView view = look(f, b);

    assert_false(view.held);
    assert_null(view.who);
    assert_int_equal(fs_kind(f->path), FS_ABSENT); /* looking makes nothing */
    assert_true(take(f, a));
    assert_true(take(f, a)); /* once more is no harm */
    assert_false(take(f, b));
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640); /* as the database */

    assert_true(file_lock_beat(a, "3/12 20240101_x", &f->err));
    view = look(f, b);
    assert_true(view.held);
    assert_false(view.ours);
    assert_false(view.lost);
    assert_string_equal(view.run_id, "run-a");
    assert_string_equal(view.progress, "3/12 20240101_x");
    assert_non_null(strstr(view.who, "host web-1, pid "));
    assert_null(view.outcome);
    assert_in_range(view.silent_ms, 0, 20000);
    assert_true(look(f, a).ours);

    file_lock_release(a, "succeeded", NULL);
    assert_int_equal(fs_kind(f->path), FS_ABSENT);
    file_lock_release(a, NULL, NULL);
    assert_false(file_lock_beat(a, NULL, &f->err));
    assert_int_equal(f->err.code, ERROR_LOCKED);
    assert_true(take(f, b));
    file_lock_release(b, NULL, NULL);
    assert_int_equal(fs_kind(f->path), FS_ABSENT);
}

static void
test_a_failure_stays_readable(void **state)
{
    Fixture *f = *state;
    FileLock *a = make(f, "run-a"), *b = make(f, "run-b");
    LockView view;

    assert_true(take(f, a));
    assert_true(file_lock_beat(a, "1/2 x", &f->err));
    file_lock_release(a, "failed", "x.sql:3: no such\ntable \\n 'u'");
    view = look(f, b);
    assert_false(view.held);
    assert_string_equal(view.outcome, "failed");
    assert_string_equal(view.error, "x.sql:3: no such\ntable \\n 'u'");
    assert_string_equal(view.run_id, "run-a");
    /* The next leader begins anew, and cleans up when it succeeds. */
    assert_true(take(f, b));
    view = look(f, a);
    assert_null(view.outcome);
    assert_null(view.error);
    assert_null(view.progress);
    assert_string_equal(view.run_id, "run-b");
    file_lock_release(b, "succeeded", NULL);
    assert_int_equal(fs_kind(f->path), FS_ABSENT);
}

static void
test_killed_holder(void **state)
{
    Fixture *f = *state;
    FileLock *lock = make(f, "run-b");
    LockView view;
    int ready[2], status = 0;
    char byte;
    pid_t child;

    assert_int_equal(pipe(ready), 0);
    child = fork();
    if (child == 0) {
        FileLock *theirs = make(f, "run-child");

        if (!take(f, theirs))
            _exit(1);
        (void)!write(ready[1], "x", 1);
        pause();
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_false(take(f, lock));
    view = look(f, lock);
    assert_string_equal(view.run_id, "run-child");
    assert_non_null(strstr(view.who, str_printf(f->arena, "pid %d", (int)child)));
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    view = look(f, lock);
    assert_false(view.held); /* the kernel has freed it, the text is still there */
    assert_string_equal(view.run_id, "run-child");
    assert_true(take(f, lock));
    file_lock_release(lock, NULL, NULL);
    close(ready[0]);
    close(ready[1]);
}

static void
test_silent_holder(void **state)
{
    Fixture *f = *state;
    FileLock *a = make(f, "run-a"), *b = make(f, "run-b");
    struct timespec now, old[2];
    LockView view;

    assert_true(take(f, a));
    clock_gettime(CLOCK_REALTIME, &now);
    old[0] = old[1] = (struct timespec){now.tv_sec - 5, 0};
    assert_int_equal(utimensat(AT_FDCWD, f->path, old, 0), 0);
    view = look(f, b);
    assert_true(view.held);
    assert_in_range(view.silent_ms, 4000, 30000);
    assert_false(view.lost); /* nothing can end it: it is waited for */
    assert_false(take(f, b));
    assert_true(file_lock_beat(a, NULL, &f->err));
    assert_in_range(look(f, b).silent_ms, 0, 3900);
    /* A clock that was set back is no sign of death. */
    old[0] = old[1] = (struct timespec){now.tv_sec + 500, 0};
    assert_int_equal(utimensat(AT_FDCWD, f->path, old, 0), 0);
    assert_int_equal(look(f, b).silent_ms, 0);
    file_lock_release(a, NULL, NULL);
}

static void
test_removed_or_replaced(void **state)
{
    Fixture *f = *state;
    FileLock *a = make(f, "run-a"), *b = make(f, "run-b");

    assert_true(take(f, a));
    assert_int_equal(unlink(f->path), 0);
    assert_false(file_lock_beat(a, NULL, &f->err));
    assert_int_equal(f->err.code, ERROR_LOCKED);
    assert_true(f->err.hint[0] != '\0');
    error_clear(&f->err);
    assert_true(take(f, b));
    assert_false(file_lock_beat(a, NULL, &f->err));
    error_clear(&f->err);
    file_lock_release(a, NULL, NULL); /* must not remove what is b's now */
    assert_int_equal(fs_kind(f->path), FS_FILE);
    assert_true(file_lock_beat(b, NULL, &f->err));
    file_lock_release(b, NULL, NULL);
}

static void
test_hostile_content(void **state)
{
    static const struct {
        const char *text;
        size_t n;
    } texts[] = {
        {"", 0},
        {"run_id=abc", 10}, /* cut in the line */
        {"\0\0\xff=\n=\n==\nend\nrun_id=old\n", 26},
        {"pid=99999999999999999999\nhost=\\", 31},
        {"end\n", 4},
    };
    Fixture *f = *state;
    FileLock *lock = make(f, "run-a");
    char *big = arena_alloc(f->arena, 1 << 20);

    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        assert_true(fs_write_atomic(f->path, (Str){texts[i].text, texts[i].n}, 0644, &f->err));
        assert_null(look(f, lock).run_id);
        assert_false(look(f, lock).held);
    }
    memset(big, '\n', 1 << 20);
    memcpy(big, "progress=", 9);
    memset(big + 9, 'x', 100000);
    assert_true(fs_write_atomic(f->path, (Str){big, 1 << 20}, 0644, &f->err));
    (void)look(f, lock);
    assert_true(take(f, lock));
    memset(big, '\\', 1 << 20);
    big[100000] = '\0';
    assert_true(file_lock_beat(lock, big, &f->err));
    file_lock_release(lock, "failed", big);
    assert_string_equal(look(f, lock).outcome, "failed");
    assert_int_equal(strlen(look(f, lock).error), 1000);
}

static void
test_places_that_cannot_hold_it(void **state)
{
    Fixture *f = *state;
    LockSpec spec = {.run_id = "r"};
    FileLock *lock = file_lock_new(f->arena, "/nonexistent-dir/app.db", &spec, &f->wait);
    LockView view = {0};
    bool got = false;

    assert_false(file_lock_try(lock, &got, &f->err));
    assert_int_equal(f->err.code, ERROR_UNREACHABLE);
    assert_true(f->err.hint[0] != '\0');
    error_clear(&f->err);
    assert_true(file_lock_look(lock, f->arena, &view, &f->err));
    assert_false(view.held);

    lock = file_lock_new(f->arena, ":memory:", &spec, &f->wait);
    assert_true(file_lock_try(lock, &got, &f->err));
    assert_true(got);
    assert_true(file_lock_beat(lock, "x", &f->err));
    file_lock_release(lock, "failed", "e");

    /* Not through a link to somebody else's file, and not on a directory. */
    lock = make(f, "run-a");
    assert_int_equal(symlink("/tmp/lockstep-elsewhere", f->path), 0);
    assert_false(file_lock_try(lock, &got, &f->err));
    assert_int_equal(fs_kind("/tmp/lockstep-elsewhere"), FS_ABSENT);
    assert_int_equal(unlink(f->path), 0);
    error_clear(&f->err);
    assert_int_equal(mkfifo(f->path, 0600), 0);
    assert_false(file_lock_try(lock, &got, &f->err));
    assert_non_null(strstr(f->err.message, "not a regular file"));
}

static void
test_unwritable_directory(void **state)
{
    Fixture *f = *state;
    pid_t child;
    int status = 0;

    assert_int_equal(chmod(f->dir, 0555), 0);
    child = fork();
    if (child == 0) {
        bool got = false;

        if (geteuid() == 0 && setuid(65534) != 0)
            _exit(2);
        if (file_lock_try(make(f, "run-a"), &got, &f->err))
            _exit(3);
        if (f->err.cls != ERROR_CLASS_READ_ONLY || !f->err.hint[0])
            _exit(4);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* The same database by a link and by a relative path is the same lock. */
static void
test_other_names_of_the_database(void **state)
{
    Fixture *f = *state;
    char *link_path = fs_join(f->arena, f->dir, "link.db");
    LockSpec spec = {.run_id = "r"};
    FileLock *a = make(f, "run-a"), *b, *c;
    char *here = getcwd(NULL, 0);

    assert_int_equal(symlink("app.db", link_path), 0);
    assert_int_equal(chdir(f->dir), 0);
    b = file_lock_new(f->arena, link_path, &spec, &f->wait);
    c = file_lock_new(f->arena, "app.db", &spec, &f->wait);
    assert_int_equal(chdir(here), 0);
    free(here);
    assert_true(take(f, a));
    assert_false(take(f, b));
    assert_false(take(f, c));
    file_lock_release(a, NULL, NULL);
    assert_true(take(f, c));
    assert_int_equal(fs_kind(f->path), FS_FILE);
    file_lock_release(c, NULL, NULL);
}

#define RACERS 6
#define ROUNDS 300

/* Takes and removes as fast as they can; inside the lock each makes and removes a second file,
 * which would be there already if two were inside. */
static int
race(Fixture *f, const char *inside)
{
    FileLock *lock = make(f, "racer");

    for (int done = 0; done < ROUNDS;) {
        int fd;

        if (!take(f, lock))
            continue;
        fd = open(inside, O_CREAT | O_EXCL | O_WRONLY, 0600);
        if (fd < 0)
            return 1;
        close(fd);
        if (!file_lock_beat(lock, "x", &f->err))
            return 2;
        if (unlink(inside) != 0)
            return 3;
        file_lock_release(lock, done % 7 == 0 ? "failed" : "succeeded", NULL);
        done++;
    }
    return 0;
}

static void
test_never_two_inside(void **state)
{
    Fixture *f = *state;
    char *inside = fs_join(f->arena, f->dir, "inside");
    int status = 0;

    for (int i = 0; i < RACERS; i++) {
        if (fork() == 0) {
            alarm(60);
            _exit(race(f, inside));
        }
    }
    for (int i = 0; i < RACERS; i++) {
        int one = 0;

        assert_true(wait(&one) > 0);
        status |= one;
    }
    assert_int_equal(status, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_one_of_two),
        TEST(test_a_failure_stays_readable),
        TEST(test_killed_holder),
        TEST(test_silent_holder),
        TEST(test_removed_or_replaced),
        TEST(test_hostile_content),
        TEST(test_places_that_cannot_hold_it),
        TEST(test_unwritable_directory),
        TEST(test_other_names_of_the_database),
        TEST(test_never_two_inside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
