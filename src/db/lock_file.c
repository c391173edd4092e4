/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file lock of SQLite: flock on "<database>.lockstep". The kernel frees it when the holder
 * dies, however it dies. The file's text says who holds it, and its modification time is the
 * heartbeat: the holder and those who look stand on one machine, so one clock measures both.
 *
 * Removing a lock file is a race: a taker may hold the lock of an inode that has no name any more
 * while the next one locks a new file. Two rules close it: the name is only removed while its lock
 * is held, and a taker that got a lock keeps it only when the name still means the inode it locked.
 */

#include "db/lock_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/fs.h"

#include "core/banned.h"

#define TEXT_MAX      16384
#define FIELD_MAX     1000 /* seven of them, escaped, fit in TEXT_MAX */
#define TAKE_TRIES    40   /* each loss means that another process just removed the file */
#define BUSY_TRIES    3    /* somebody who only looks holds a shared lock for an instant */
#define BUSY_PAUSE_MS 2

struct FileLock {
    Arena *arena;
    Wait *wait;
    LockSpec spec;
    char *database;
    char *dir;
    char *path; /* NULL: a database in memory, which nobody else can see */
    char *started;
    char progress[256];
    int fd; /* open and locked, or -1 */
    bool held;
};

/* What the file says; each field may be missing. */
typedef struct Note {
    Str run_id, host, progress, outcome, error;
    int64_t pid;
} Note;

static void
close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static int64_t
wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- the text: one "key=value" a line, closed by "end"; a line end in a value is "\n" ---- */

static void
put_field(StrBuf *text, const char *key, const char *value)
{
    if (!value)
        return;
    strbuf_printf(text, "%s=", key);
    for (size_t i = 0; value[i] && i < FIELD_MAX; i++) {
        if (value[i] == '\n')
            strbuf_puts(text, "\\n");
        else if (value[i] == '\\')
            strbuf_puts(text, "\\\\");
        else
            strbuf_addc(text, value[i]);
    }
    strbuf_addc(text, '\n');
}

static Str
unescape(Arena *arena, Str value)
{
    StrBuf text = strbuf_new(arena, TEXT_MAX);

    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '\\' && i + 1 < value.n) {
            i++;
            strbuf_addc(&text, value.p[i] == 'n' ? '\n' : value.p[i]);
        } else {
            strbuf_addc(&text, value.p[i]);
        }
    }
    return strbuf_str(&text);
}

/* Whatever it finds: a reader may come between two writes, or long after a crash. Lines after
 * "end" belong to a longer, older text. */
static Note
parse_note(Arena *arena, Str text)
{
    Note note = {0};

    while (text.n > 0) {
        size_t end = str_find(text, '\n');
        Str line = str_sub(text, 0, end);
        size_t eq = str_find(line, '=');
        Str key = str_sub(line, 0, eq);

        if (end == text.n || str_eq(line, STR("end")))
            break;
        text = str_sub(text, end + 1, text.n);
        if (eq == line.n)
            continue;
        Str value = unescape(arena, str_sub(line, eq + 1, line.n));
        if (str_eq(key, STR("run_id")))
            note.run_id = value;
        else if (str_eq(key, STR("host")))
            note.host = value;
        else if (str_eq(key, STR("progress")))
            note.progress = value;
        else if (str_eq(key, STR("outcome")))
            note.outcome = value;
        else if (str_eq(key, STR("error")))
            note.error = value;
        else if (str_eq(key, STR("pid")) && !str_to_i64(value, &note.pid))
            note.pid = 0;
    }
    return note;
}

/* Best effort but for the heartbeat: on a full disk the text stays old, and the time is still set.
 * One pwrite, so that a reader hardly ever meets half a text. */
static bool
write_note(FileLock *lock, const char *outcome, const char *error)
{
    SCRATCH_ARENA(scratch);
    StrBuf text = strbuf_new(scratch, TEXT_MAX);
    Str all;

    put_field(&text, "run_id", lock->spec.run_id);
    put_field(&text, "host", lock->spec.host);
    strbuf_printf(&text, "pid=%ld\n", (long)getpid());
    put_field(&text, "started", lock->started);
    put_field(&text, "heartbeat", clock_rfc3339(scratch));
    put_field(&text, "progress", lock->progress[0] ? lock->progress : NULL);
    put_field(&text, "outcome", outcome);
    put_field(&text, "error", error);
    strbuf_puts(&text, "end\n");
    all = strbuf_str(&text);
    if (pwrite(lock->fd, all.p, all.n, 0) == (ssize_t)all.n &&
        ftruncate(lock->fd, (off_t)all.n) != 0)
        return false;
    return futimens(lock->fd, NULL) == 0;
}

/* ---- taking ---- */

/* One database, one lock file, by whatever link or relative path it is reached (SQLite names its
 * journal the same way). What does not exist yet keeps its own last name. */
static void
find_place(FileLock *lock, const char *database)
{
    char real[PATH_MAX];
    const char *slash = strrchr(database, '/');
    const char *base = slash ? slash + 1 : database;

    if (realpath(database, real)) {
        lock->database = str_dup(lock->arena, str_of(real));
        lock->dir =
            str_dup(lock->arena, str_sub(str_of(real), 0, (size_t)(strrchr(real, '/') - real)));
        if (!lock->dir[0])
            lock->dir = str_dup(lock->arena, STR("/"));
        return;
    }
    lock->dir = str_dup(lock->arena, slash ? (Str){database, (size_t)(base - database)} : STR("."));
    if (realpath(lock->dir, real))
        lock->dir = str_dup(lock->arena, str_of(real));
    lock->database = fs_join(lock->arena, lock->dir, base);
}

FileLock *
file_lock_new(Arena *arena, const char *database, const LockSpec *spec, Wait *wait)
{
    FileLock *lock = arena_make(arena, FileLock);

    lock->arena = arena;
    lock->wait = wait;
    lock->spec = *spec;
    lock->spec.run_id = str_dup(arena, str_of(spec->run_id));
    lock->spec.host = str_dup(arena, str_of(spec->host));
    lock->fd = -1;
    if (strcmp(database, ":memory:") == 0)
        return lock;
    find_place(lock, database);
    lock->path = str_printf(arena, "%s.lockstep", lock->database);
    return lock;
}

static bool
cannot_open(const FileLock *lock, int why, Error *err)
{
    if (why == ENOENT) {
        error_set_errno(err, ERROR_UNREACHABLE, why, "cannot make the lock file '%s'", lock->path);
        err->cls = ERROR_CLASS_NO_DATABASE;
        return error_hint(err, "Create the directory that is to hold the database.");
    }
    bool rights = why == EROFS || why == EACCES || why == EPERM;
    error_set_errno(err, rights ? ERROR_REFUSED : ERROR_UNREACHABLE, why,
                    "cannot open the lock file '%s'", lock->path);
    err->cls = rights ? ERROR_CLASS_READ_ONLY : ERROR_CLASS_OTHER;
    if (!rights)
        return false;
    return error_hint(err, "SQLite needs to write beside its database too: give this user the "
                           "right to write in the directory, or mount it writable.");
}

/* With the rights of the database, as SQLite makes its own journal: who may write one may lock. */
static bool
open_file(FileLock *lock, int *ret_fd, Error *err)
{
    struct stat db, st;
    mode_t mode = 0644;
    bool known = stat(lock->database, &db) == 0;
    int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    int fd = open(lock->path, flags);

    if (fd < 0 && errno == ENOENT) {
        if (known)
            mode = db.st_mode & 0666;
        fd = open(lock->path, flags | O_CREAT | O_EXCL, mode);
        if (fd >= 0 && known)
            (void)!fchmod(fd, mode); /* past the umask; where it is refused the umask stays */
        else if (fd < 0 && errno == EEXIST)
            fd = open(lock->path, flags); /* made by another in between; gone again: caller loops */
    }
    if (fd < 0)
        return cannot_open(lock, errno, err);
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        error_set(err, ERROR_UNREACHABLE, "the lock file '%s' is not a regular file", lock->path);
        err->cls = ERROR_CLASS_OTHER;
        return false;
    }
    *ret_fd = fd;
    return true;
}

/* The name still stands for the inode that is open. */
static bool
is_named(const FileLock *lock, int fd)
{
    struct stat ours, named;

    return fstat(fd, &ours) == 0 && stat(lock->path, &named) == 0 && ours.st_ino == named.st_ino &&
           ours.st_dev == named.st_dev;
}

/* 0 = locked, EWOULDBLOCK = another holds it, else an errno. */
static int
lock_exclusive(int fd)
{
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EINTR)
            return errno;
    }
    return 0;
}

static bool
take(FileLock *lock, bool *ret_got, Error *err)
{
    for (int i = 0; i < TAKE_TRIES; i++) {
        CLEANUP(close_fd) int fd = -1;
        int why;

        if (!open_file(lock, &fd, err)) {
            if (err->sys_errno != ENOENT || fs_kind(lock->dir) != FS_DIR)
                return false;
            error_clear(err); /* the directory is there: the file went between two opens */
            continue;
        }
        why = lock_exclusive(fd);
        if (why == EWOULDBLOCK) {
            *ret_got = false;
            return true;
        }
        if (why != 0) {
            error_set_errno(err, ERROR_UNREACHABLE, why, "cannot lock '%s'", lock->path);
            err->cls = ERROR_CLASS_OTHER;
            return error_hint(err, "Keep the database on a file system that has locks.");
        }
        if (is_named(lock, fd)) {
            lock->fd = fd;
            fd = -1;
            *ret_got = true;
            return true;
        }
    }
    *ret_got = false; /* a crowd passes the lock on; whoever asks again will see */
    return true;
}

bool
file_lock_try(FileLock *lock, bool *ret_got, Error *err)
{
    bool got = false;

    if (lock->held || !lock->path) {
        lock->held = true;
        *ret_got = true;
        return true;
    }
    for (int i = 0; i < BUSY_TRIES && !got; i++) {
        if (i > 0 && lock->wait && !wait_sleep(lock->wait, BUSY_PAUSE_MS, err))
            return false;
        if (!take(lock, &got, err))
            return false;
    }
    if (got) {
        lock->held = true;
        lock->started = clock_rfc3339(lock->arena);
        lock->progress[0] = '\0';
        (void)write_note(lock, NULL, NULL); /* a failure shows again at the first beat */
    }
    *ret_got = got;
    return true;
}

/* ---- looking ---- */

static char *
describe(Arena *arena, const Note *note)
{
    StrBuf who = strbuf_new(arena, TEXT_MAX);

    if (note->host.n)
        strbuf_printf(&who, "host " STR_FMT ", ", STR_ARG(note->host));
    if (note->pid)
        strbuf_printf(&who, "pid %lld, ", (long long)note->pid);
    if (note->run_id.n)
        strbuf_printf(&who, "run " STR_FMT ", ", STR_ARG(note->run_id));
    return who.n ? str_dup(arena, str_sub(strbuf_str(&who), 0, who.n - 2)) : NULL;
}

bool
file_lock_look(FileLock *lock, Arena *arena, LockView *ret, Error *err)
{
    LockView view = {.silent_ms = -1, .ours = lock->held, .held = lock->held};
    char text[TEXT_MAX];
    struct stat st;
    ssize_t n;
    CLEANUP(close_fd) int fd = -1;

    if (!lock->path) {
        *ret = view;
        return true;
    }
    fd = open(lock->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
        *ret = view;
        return true;
    }
    if (fd < 0)
        return cannot_open(lock, errno, err);
    if (!lock->held)
        view.held = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    n = pread(fd, text, sizeof(text), 0);
    if (n < 0 || fstat(fd, &st) != 0) {
        error_set_errno(err, ERROR_UNREACHABLE, errno, "cannot read the lock file '%s'",
                        lock->path);
        err->cls = ERROR_CLASS_OTHER;
        return false;
    }
    Note note = parse_note(arena, (Str){text, (size_t)n});
    view.run_id = str_dup(arena, note.run_id);
    view.who = describe(arena, &note);
    view.progress = str_dup(arena, note.progress);
    view.outcome = str_dup(arena, note.outcome);
    view.error = str_dup(arena, note.error);
    if (view.held) {
        int64_t beat = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
        int64_t silent = wall_ms() - beat;

        /* A clock that was set back is no sign of death. And `lost` stays false: the kernel frees a
         * dead holder's lock at once; a stopped one's nobody can end, it is waited for. */
        view.silent_ms = silent > 0 ? silent : 0;
    }
    *ret = view;
    return true;
}

/* ---- holding ---- */

bool
file_lock_beat(FileLock *lock, const char *progress, Error *err)
{
    if (!lock->held)
        return error_set(err, ERROR_LOCKED, "the lock is not held");
    if (!lock->path)
        return true;
    if (progress)
        snprintf(lock->progress, sizeof(lock->progress), "%s", progress);
    if (!is_named(lock, lock->fd)) {
        error_set(err, ERROR_LOCKED,
                  "the lock was lost: the lock file '%s' was removed or replaced", lock->path);
        return error_hint(err, "Leave the file to lockstep: without it two of them can migrate at "
                               "the same time.");
    }
    if (!write_note(lock, NULL, NULL))
        return error_set_errno(err, ERROR_LOCKED, errno, "cannot renew the lock file '%s'",
                               lock->path);
    return true;
}

void
file_lock_release(FileLock *lock, const char *outcome, const char *error)
{
    if (!lock->held)
        return;
    lock->held = false;
    if (lock->fd < 0)
        return;
    if (outcome && strcmp(outcome, "failed") == 0)
        (void)write_note(lock, outcome, error);
    else if (is_named(lock, lock->fd))
        (void)unlink(lock->path);
    close_fd(&lock->fd); /* frees the lock: no other descriptor shares this open file */
}
