/* SPDX-License-Identifier: Apache-2.0 */
/* Tar archives through libarchive: the format tar and the filter gzip, and no other. */

#include "deploy/image_archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.h"
#include "deploy/version.h"
#include "core/banned.h"

/* Between two looks at the clock and for signals. */
enum { ENTRIES_UNCHECKED = 64 };

struct Tar {
    Arena *arena;
    const char *name;
    Bytes from;
    ReadLimits *limits;
    struct archive *reader;
    int64_t counted;  /* unpacked bytes that the limits know of */
    int64_t expected; /* where in the entry the next piece begins */
    bool begun;       /* a first piece was looked at */
    locale_t utf8;    /* 0 = there is none */
    Error failure;    /* of `from` or of the limits, while libarchive was at work */
};

/* ---- names are bytes ---- */

/* libarchive turns names of UTF-8 into the locale's, and in "C" makes '?' of what is not ASCII. */
static void
leave_utf8(locale_t *before)
{
    if (*before)
        uselocale(*before);
}
#define WITH_UTF8_NAMES(tar)                                                                       \
    CLEANUP(leave_utf8) UNUSED locale_t before = (tar)->utf8 ? uselocale((tar)->utf8) : (locale_t)0

/* ---- limits ---- */

/* Cheap: called for each file. A bomb is known long before it has unpacked to the limit. */
static bool
check_bytes(Tar *t, Error *err)
{
    ReadLimits *l = t->limits;
    int64_t now = t->reader ? archive_filter_bytes(t->reader, 0) : 0;
    int64_t packed = t->reader ? archive_filter_bytes(t->reader, -1) : 0;
    if (now > t->counted) {
        l->bytes += now - t->counted;
        t->counted = now;
    }
    if (now > IMAGE_RATIO_FROM && now / IMAGE_RATIO_MAX > packed)
        return error_set(err, ERROR_USAGE, "'%s' unpacks to more than %d times its size", t->name,
                         IMAGE_RATIO_MAX);
    return l->bytes <= IMAGE_BYTES_MAX ||
           error_set(err, ERROR_USAGE, "'%s' unpacks to more than %lld GiB", t->name,
                     (long long)(IMAGE_BYTES_MAX >> 30));
}

static bool
check_limits(Tar *t, Error *err)
{
    ReadLimits *l = t->limits;
    if (!check_bytes(t, err))
        return false;
    if (l->deadline_ms && clock_ms() > l->deadline_ms)
        return error_set(err, ERROR_FAILED, "'%s' was not read in time", t->name);
    return !l->wait || wait_check(l->wait, err);
}

/* ---- what libarchive calls ---- */

/* It would only say that it knows no such format. */
static bool
is_readable(Tar *t, Str first, Error *err)
{
    static const struct {
        Str magic;
        const char *name;
    } others[] = {{STR("\x28\xB5\x2F\xFD"), "zstd"},
                  {STR("\xFD"
                       "7zXZ"),
                   "xz"},
                  {STR("BZh"), "bzip2"}};
    t->begun = true;
    for (size_t i = 0; i < COUNT_OF(others); i++)
        if (str_starts(first, others[i].magic)) {
            error_set(err, ERROR_USAGE, "'%s' is compressed with %s, which is not read here",
                      t->name, others[i].name);
            return error_hint(err, "Save the image uncompressed, or compressed with gzip.");
        }
    return true;
}

static la_ssize_t
on_read(struct archive *reader, void *ctx, const void **ret)
{
    Tar *t = ctx;
    Str piece = STR_ABSENT;
    (void)reader;
    if (t->failure.code != ERROR_NONE || !check_limits(t, &t->failure) ||
        !t->from.next(t->from.ctx, &piece, &t->failure) ||
        (!t->begun && piece.n && !is_readable(t, piece, &t->failure)))
        return -1;
    *ret = piece.p;
    return (la_ssize_t)piece.n;
}

static la_int64_t
on_skip(struct archive *reader, void *ctx, la_int64_t n)
{
    Tar *t = ctx;
    (void)reader;
    return t->from.skip ? t->from.skip(t->from.ctx, n) : 0;
}

/* ---- reading ---- */

static bool
failed(Tar *t, Error *err)
{
    if (t->failure.code != ERROR_NONE) {
        *err = t->failure;
        return false;
    }
    const char *why = archive_error_string(t->reader);
    return error_set(err, ERROR_USAGE, "'%s' is no tar archive, or is damaged: %s", t->name,
                     why ? why : "no reason is known");
}

bool
tar_open(Arena *arena, const char *name, Bytes from, ReadLimits *limits, Tar **ret, Error *err)
{
    Tar *t = arena_make(arena, Tar);
    *t = (Tar){.arena = arena, .name = name, .from = from, .limits = limits, .failure = ERROR_INIT};
    t->utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    WITH_UTF8_NAMES(t);
    t->reader = archive_read_new();
    if (!t->reader)
        return error_set(err, ERROR_FAILED, "out of memory");
    if (archive_read_support_filter_gzip(t->reader) < ARCHIVE_WARN ||
        archive_read_support_format_tar(t->reader) < ARCHIVE_WARN ||
        archive_read_set_read_callback(t->reader, on_read) != ARCHIVE_OK ||
        archive_read_set_skip_callback(t->reader, on_skip) != ARCHIVE_OK ||
        archive_read_set_callback_data(t->reader, t) != ARCHIVE_OK ||
        archive_read_open1(t->reader) != ARCHIVE_OK) {
        (void)failed(t, err);
        tar_close(&t);
        return false;
    }
    *ret = t;
    return true;
}

void
tar_close(Tar **tar)
{
    if (*tar && (*tar)->reader)
        archive_read_free((*tar)->reader);
    if (*tar && (*tar)->utf8)
        freelocale((*tar)->utf8);
    *tar = NULL;
}

static EntryKind
kind_of(struct archive_entry *entry)
{
    if (archive_entry_hardlink(entry))
        return ENTRY_SAME;
    switch (archive_entry_filetype(entry)) {
    case AE_IFREG:
        return ENTRY_FILE;
    case AE_IFDIR:
        return ENTRY_DIR;
    case AE_IFLNK:
        return ENTRY_LINK;
    default:
        return ENTRY_OTHER;
    }
}

bool
tar_next(Tar *t, bool *ret_there, Entry *ret, Error *err)
{
    struct archive_entry *entry;
    WITH_UTF8_NAMES(t);
    int result = archive_read_next_header(t->reader, &entry);
    if (result == ARCHIVE_EOF) {
        *ret_there = false;
        return true;
    }
    if (result < ARCHIVE_WARN)
        return failed(t, err);
    if (t->limits->entries % ENTRIES_UNCHECKED ? !check_bytes(t, err) : !check_limits(t, err))
        return false;
    if (++t->limits->entries > IMAGE_ENTRIES_MAX)
        return error_set(err, ERROR_USAGE, "'%s' holds more than %d files", t->name,
                         IMAGE_ENTRIES_MAX);
    const char *link = archive_entry_hardlink(entry);
    Entry e = {.path = str_of(archive_entry_pathname(entry)),
               .link = str_of(link ? link : archive_entry_symlink(entry)),
               .kind = kind_of(entry),
               .executable = (archive_entry_perm(entry) & 0111) != 0,
               .sparse = archive_entry_sparse_count(entry) > 0,
               .size = archive_entry_size(entry)};
    if (!e.path.p)
        return error_set(err, ERROR_USAGE, "'%s' holds a file whose name cannot be read", t->name);
    if (e.path.n > IMAGE_PATH_MAX || e.link.n > IMAGE_PATH_MAX)
        return error_set(err, ERROR_USAGE, "'%s' holds a name of more than %d bytes", t->name,
                         IMAGE_PATH_MAX);
    t->expected = 0;
    *ret_there = true;
    *ret = e;
    return true;
}

bool
tar_read(Tar *t, Arena *arena, size_t ceiling, Str *ret, Error *err)
{
    SCRATCH_ARENA(scratch);
    StrBuf text = strbuf_new(scratch, ceiling + 1);
    char buf[16384];
    while (text.n < ceiling) {
        size_t want = ceiling - text.n < sizeof buf ? ceiling - text.n : sizeof buf;
        la_ssize_t n = archive_read_data(t->reader, buf, want);
        if (n < 0)
            return failed(t, err);
        if (n == 0)
            break;
        strbuf_add(&text, (Str){buf, (size_t)n});
    }
    *ret = str_copy(arena, text.n ? strbuf_str(&text) : STR(""));
    return true;
}

static bool
next_of_entry(void *ctx, Str *ret, Error *err)
{
    Tar *t = ctx;
    const void *p = NULL;
    size_t n = 0;
    la_int64_t at = 0;
    int result = archive_read_data_block(t->reader, &p, &n, &at);
    if (result == ARCHIVE_EOF) {
        *ret = STR_ABSENT;
        return true;
    }
    if (result < ARCHIVE_WARN)
        return failed(t, err);
    /* A hole may claim to be of any size. */
    if (at != t->expected)
        return error_set(err, ERROR_USAGE, "'%s' holds a layer with holes", t->name);
    t->expected = at + (int64_t)n;
    *ret = (Str){p, n};
    return n > 0 || next_of_entry(ctx, ret, err);
}

Bytes
tar_content(Tar *t)
{
    return (Bytes){.next = next_of_entry, .ctx = t};
}

/* ---- a file of this machine ---- */

typedef struct File {
    const char *path;
    int fd;
    int64_t size, at;
    char buf[65536];
} File;

static bool
next_of_file(void *ctx, Str *ret, Error *err)
{
    File *f = ctx;
    ssize_t n;
    do {
        n = read(f->fd, f->buf, sizeof f->buf);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return error_set_errno(err, ERROR_USAGE, errno, "cannot read '%s'", f->path);
    f->at += n;
    *ret = (Str){f->buf, (size_t)n};
    return true;
}

/* Never beyond the end: an archive that was cut off must be seen to be. */
static int64_t
skip_in_file(void *ctx, int64_t n)
{
    File *f = ctx;
    int64_t left = f->size - f->at;
    int64_t wanted = n < left ? n : left;
    if (wanted <= 0 || lseek(f->fd, f->at + wanted, SEEK_SET) < 0)
        return 0;
    f->at += wanted;
    return wanted;
}

bool
bytes_of_file(Arena *arena, const char *path, Bytes *ret, Error *err)
{
    struct stat st;
    File *f = arena_make(arena, File);
    f->path = str_dup(arena, str_of(path));
    f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (f->fd < 0 || fstat(f->fd, &st) != 0) {
        error_set_errno(err, ERROR_USAGE, errno, "cannot read '%s'", path);
    } else if (!S_ISREG(st.st_mode)) {
        error_set(err, ERROR_USAGE, "cannot read '%s': it is no file", path);
    } else {
        f->size = st.st_size;
        *ret = (Bytes){.next = next_of_file, .skip = skip_in_file, .ctx = f};
        return true;
    }
    if (f->fd >= 0)
        close(f->fd);
    return false;
}

bool
bytes_rewind(const Bytes *file, Error *err)
{
    File *f = file->ctx;
    f->at = 0;
    return lseek(f->fd, 0, SEEK_SET) == 0 ||
           error_set_errno(err, ERROR_USAGE, errno, "cannot read '%s'", f->path);
}

void
bytes_close_file(Bytes *file)
{
    File *f = file->ctx;
    if (f)
        close(f->fd);
    file->ctx = NULL;
}

void
deploy_libraries(Arena *arena, LibraryVersions *list)
{
    int number = archive_version_number();
    *vec_push(arena, list) =
        (LibraryVersion){"libarchive", str_printf(arena, "%d.%d.%d", number / 1000000,
                                                  number / 1000 % 1000, number % 1000)};
}
