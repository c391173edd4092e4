/* SPDX-License-Identifier: Apache-2.0 */
/* Files with ceilings. */

#include "core/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/banned.h"

enum { ENTRIES_MAX = 100000 };

static void
close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
#define AUTO_FD CLEANUP(close_fd) int

static void
close_dir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

static FsKind
kind_of(mode_t mode)
{
    return S_ISREG(mode) ? FS_FILE : S_ISDIR(mode) ? FS_DIR : S_ISLNK(mode) ? FS_LINK : FS_OTHER;
}

static bool
too_large(const char *path, size_t ceiling, Error *err)
{
    bool mega = ceiling >= 1024 * 1024;
    return error_set(err, ERROR_USAGE, "'%s' is larger than %zu %s", path,
                     mega ? ceiling >> 20 : ceiling >> 10, mega ? "MiB" : "KiB");
}

FsKind
fs_kind(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? kind_of(st.st_mode) : FS_ABSENT;
}

bool
fs_look(const char *path, FsKind *ret, Error *err)
{
    FsKind kind = fs_kind(path);
    if (kind == FS_ABSENT && errno != ENOENT && errno != ENOTDIR && errno != ELOOP &&
        errno != ENAMETOOLONG)
        return error_set_errno(err, ERROR_USAGE, errno, "cannot look at '%s'", path);
    *ret = kind;
    return true;
}

bool
fs_read(Arena *arena, const char *path, size_t ceiling, Str *ret, Error *err)
{
    struct stat st;
    AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) != 0)
        return error_set_errno(err, ERROR_USAGE, errno, "cannot read '%s'", path);
    if (S_ISDIR(st.st_mode))
        return error_set(err, ERROR_USAGE, "cannot read '%s': it is a directory", path);
    size_t expected = st.st_size > 0 ? (size_t)st.st_size : 0;
    if (expected > ceiling)
        return too_large(path, ceiling, err);
    size_t size = expected + 1, n = 0;
    char *p = arena_alloc(arena, size + 1);
    for (;;) {
        if (n == size) {
            if (n > ceiling)
                return too_large(path, ceiling, err);
            size_t wider = size * 2 > ceiling + 1 ? ceiling + 1 : size * 2;
            p = arena_grow(arena, p, size + 1, wider + 1);
            size = wider;
        }
        ssize_t got = read(fd, p + n, size - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set_errno(err, ERROR_USAGE, errno, "cannot read '%s'", path);
        if (got == 0)
            break;
        n += (size_t)got;
    }
    p[n] = 0;
    *ret = (Str){p, n};
    return true;
}

/* A name by its first eight bytes after what all names begin with, which decide nearly always. */
typedef struct Key {
    uint64_t head;
    const FsEntry *entry;
} Key;

static bool
is_before(const Key *a, const Key *b)
{
    return a->head != b->head ? a->head < b->head : strcmp(a->entry->name, b->entry->name) < 0;
}

static size_t
common_prefix(const FsList *list)
{
    const char *first = list->p[0].name;
    size_t n = strlen(first);
    for (size_t i = 1; i < list->n; i++) {
        size_t same = 0;
        while (same < n && list->p[i].name[same] == first[same])
            same++;
        n = same;
    }
    return n;
}

/* Merges neighbours of `width` keys from one array into the other. */
static void
merge_runs(const Key *from, Key *to, size_t n, size_t width)
{
    for (size_t left = 0; left < n; left += 2 * width) {
        size_t middle = left + width < n ? left + width : n;
        size_t end = middle + width < n ? middle + width : n;
        for (size_t a = left, b = middle, out = left; out < end; out++) {
            bool right = a == middle || (b < end && is_before(&from[b], &from[a]));
            to[out] = right ? from[b++] : from[a++];
        }
    }
}

/* By name in byte order. On the way of every start: with the C library's sort, 5,000 names take
 * several times as long, a tenth of all that a start with nothing to do takes. */
static void
sort_entries(Arena *arena, FsList *list)
{
    SCRATCH_ARENA(scratch);
    size_t n = list->n, prefix = n ? common_prefix(list) : 0;
    Key *keys = arena_array(scratch, Key, n), *spare = arena_array(scratch, Key, n);
    FsEntry *sorted = arena_array(arena, FsEntry, n);
    for (size_t i = 0; i < n; i++) {
        const char *rest = list->p[i].name + prefix;
        uint64_t head = 0;
        for (int left = 8; left-- > 0 && *rest; rest++)
            head |= (uint64_t)(unsigned char)*rest << (8 * left);
        keys[i] = (Key){head, &list->p[i]};
    }
    for (size_t width = 1; width < n; width *= 2) {
        merge_runs(keys, spare, n, width);
        Key *merged = spare;
        spare = keys;
        keys = merged;
    }
    for (size_t i = 0; i < n; i++)
        sorted[i] = *keys[i].entry;
    list->p = sorted;
    list->size = n;
}

/* Only a link matters before the stat; FS_ABSENT: the file system does not tell. */
static FsKind
kind_of_dirent(const struct dirent *e)
{
    return e->d_type == DT_LNK ? FS_LINK : e->d_type == DT_UNKNOWN ? FS_ABSENT : FS_OTHER;
}

static void
look_at(int dirfd_, FsEntry *entry)
{
    struct stat st;
    if (entry->kind == FS_ABSENT) {
        bool there = fstatat(dirfd_, entry->name, &st, AT_SYMLINK_NOFOLLOW) == 0;
        entry->kind = there ? kind_of(st.st_mode) : FS_OTHER;
    }
    if (fstatat(dirfd_, entry->name, &st, 0) != 0) {
        entry->target_kind = FS_ABSENT;
        return;
    }
    entry->target_kind = kind_of(st.st_mode);
    if (entry->kind != FS_LINK)
        entry->kind = entry->target_kind;
    entry->size = st.st_size;
    entry->mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
}

/* Sorted; what the names stand for is not looked at. */
static bool
read_names(DIR *d, Arena *arena, const char *dir, FsList *list, Error *err)
{
    for (;;) {
        errno = 0;
        struct dirent *e = readdir(d);
        if (!e && errno)
            return error_set_errno(err, ERROR_USAGE, errno, "cannot read the directory '%s'", dir);
        if (!e)
            break;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (list->n == ENTRIES_MAX)
            return error_set(err, ERROR_USAGE, "the directory '%s' holds more than %d files", dir,
                             ENTRIES_MAX);
        FsEntry *entry = vec_push(arena, list);
        *entry = (FsEntry){.name = str_dup(arena, str_of(e->d_name)), .kind = kind_of_dirent(e)};
    }
    sort_entries(arena, list);
    return true;
}

static bool
list_dir(Arena *arena, const char *dir, bool look, FsList *ret, Error *err)
{
    FsList list = {0};
    CLEANUP(close_dir) DIR *d = opendir(dir);
    if (!d)
        return error_set_errno(err, ERROR_USAGE, errno, "cannot read the directory '%s'", dir);
    if (!read_names(d, arena, dir, &list, err))
        return false;
    /* Names of one age are neighbours in the kernel's caches too: quicker than in hash order. */
    for (size_t i = 0; look && i < list.n; i++)
        look_at(dirfd(d), &list.p[i]);
    *ret = list;
    return true;
}

bool
fs_list(Arena *arena, const char *dir, FsList *ret, Error *err)
{
    return list_dir(arena, dir, true, ret, err);
}

bool
fs_list_names(Arena *arena, const char *dir, FsList *ret, Error *err)
{
    return list_dir(arena, dir, false, ret, err);
}

static bool
write_all(int fd, Str data)
{
    while (data.n) {
        ssize_t n = write(fd, data.p, data.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        data = str_sub(data, (size_t)n, data.n);
    }
    return true;
}

bool
fs_memory_file(Arena *arena, const char *name, Str data, char **ret_path, Error *err)
{
    int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd < 0 || !write_all(fd, data)) {
        error_set_errno(err, ERROR_FAILED, errno, "cannot make a file in memory");
        if (fd >= 0)
            close(fd);
        return false;
    }
    /* By number of the process, not `self`: programs that it starts may read it too. */
    char *path = str_printf(arena, "/proc/%ld/fd/%d", (long)getpid(), fd);
    if (access(path, R_OK) != 0) {
        error_set_errno(err, ERROR_USAGE, errno, "cannot read '%s'", path);
        close(fd);
        return error_hint(err, "Mount /proc, or give a file.");
    }
    *ret_path = path;
    return true;
}

bool
fs_write_atomic(const char *path, Str data, unsigned mode, Error *err)
{
    SCRATCH_ARENA(scratch);
    uint64_t random = 0;
    /* Not the process's number: in containers that is 1 again and again, and a file that a killed
     * run left behind would be in the way for ever. */
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random)
        random = (uint64_t)getpid() << 32 ^ (uint64_t)time(NULL);
    char *temp = str_printf(scratch, "%s.tmp.%016llx", path, (unsigned long long)random);
    const char *slash = strrchr(path, '/');
    char *dir = slash ? str_dup(scratch, (Str){path, (size_t)(slash - path) + 1})
                      : str_dup(scratch, STR("."));
    AUTO_FD fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, (mode_t)mode);
    if (fd < 0)
        return error_set_errno(err, ERROR_FAILED, errno, "cannot write '%s'", path);
    if (!write_all(fd, data) || fsync(fd) != 0 || rename(temp, path) != 0) {
        int why = errno;
        unlink(temp);
        return error_set_errno(err, ERROR_FAILED, why, "cannot write '%s'", path);
    }
    AUTO_FD dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd >= 0)
        (void)fsync(dir_fd); /* some file systems refuse it; the rename stands all the same */
    return true;
}

bool
fs_append(const char *path, Str data, Error *err)
{
    AUTO_FD fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0 || !write_all(fd, data))
        return error_set_errno(err, ERROR_FAILED, errno, "cannot write '%s'", path);
    return true;
}

bool
fs_make_dirs(const char *path, Error *err)
{
    SCRATCH_ARENA(scratch);
    char *copy = str_dup(scratch, str_of(path));
    for (char *p = copy + 1;; p++) {
        if (*p && *p != '/')
            continue;
        char kept = *p;
        *p = 0;
        if (mkdir(copy, 0777) != 0 && (errno != EEXIST || fs_kind(copy) != FS_DIR))
            return error_set_errno(err, ERROR_FAILED, errno, "cannot make the directory '%s'",
                                   copy);
        if (!kept)
            return true;
        *p = kept;
    }
}

char *
fs_join(Arena *arena, const char *dir, const char *name)
{
    size_t n = strlen(dir);
    return str_printf(arena, "%s%s%s", dir, n && dir[n - 1] == '/' ? "" : "/", name);
}

bool
fs_is_inside(const char *dir, const char *path)
{
    char real_dir[PATH_MAX], real_path[PATH_MAX];
    if (!realpath(dir, real_dir) || !realpath(path, real_path))
        return false;
    size_t n = strlen(real_dir);
    if (strncmp(real_dir, real_path, n) != 0)
        return false;
    return n == 1 || real_path[n] == '/' || real_path[n] == 0;
}
