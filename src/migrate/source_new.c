/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `new NAME`: the next migration of a directory, in its own format and way of counting.
 */

#include "migrate/source.h"

#include <inttypes.h>
#include <string.h>

#include "core/clock.h"
#include "migrate/formats.h"

#include "core/banned.h"

enum {
    NAME_MAX_BYTES = 100,
    TERN_WIDTH = 3,
    PATHS_MAX = 2,
};
/* Versions below this are counted, above it they are times. */
#define COUNTED_BELOW INT64_C(1000000000)

/* Letters, digits, '_' and '-'; runs of anything else become one '_'. */
static char *
clean_name(Arena *arena, const char *name)
{
    StrBuf b = strbuf_new(arena, NAME_MAX_BYTES + 1);
    for (const char *p = name; *p && b.n < NAME_MAX_BYTES; p++) {
        bool keep = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                    (*p >= '0' && *p <= '9') || *p == '-';
        if (keep || (b.n > 0 && b.p[b.n - 1] != '_'))
            strbuf_addc(&b, keep ? *p : '_');
    }
    Str text = strbuf_str(&b);
    while (str_ends(text, STR("_")))
        text.n--;
    return text.n ? str_dup(arena, text) : NULL;
}

static const Migration *
last_versioned(const Source *source)
{
    for (size_t i = source->migrations.n; i > 0; i--) {
        if (!source->migrations.p[i - 1].repeatable)
            return &source->migrations.p[i - 1];
    }
    return NULL;
}

/* The last run of digits of a version one higher, and as wide. */
static char *
one_higher(Arena *arena, const char *version)
{
    size_t end = strlen(version), from = end;
    int64_t number;
    while (from > 0 && version[from - 1] >= '0' && version[from - 1] <= '9')
        from--;
    Str digits = str_sub(str_of(version), from, end);
    if (!str_to_i64(digits, &number) || number == INT64_MAX)
        return NULL;
    return str_printf(arena, STR_FMT "%0*" PRId64, STR_ARG(str_sub(str_of(version), 0, from)),
                      (int)digits.n, number + 1);
}

/* The version as the last file's name spells it: stored without zeros in some formats. */
static char *
written_version(Arena *arena, const Migration *m)
{
    const char *slash = strrchr(m->script, '/');
    const char *name = slash ? slash + 1 : m->script;
    size_t n = strspn(name, "0123456789");
    return n > 0 ? str_dup(arena, (Str){name, n}) : m->version;
}

static char *
next_version(Arena *arena, const Source *source)
{
    const Migration *last = last_versioned(source);
    char *stamp = clock_stamp(arena);
    int64_t number = 0;
    if (source->format == FORMAT_DIESEL)
        return str_printf(arena, "%.4s-%.2s-%.2s-%.6s", stamp, stamp + 4, stamp + 6, stamp + 8);
    if (!last)
        return source->format == FORMAT_TERN ? str_printf(arena, "%0*d", TERN_WIDTH, 1) : stamp;
    bool counted = !str_to_i64(str_of(last->version), &number) || number < COUNTED_BELOW;
    bool behind = strcmp(format_version_id(arena, source->format, stamp), last->id) <= 0;
    /* These take times always; where their files count, a time is above them. */
    bool stamps = source->format == FORMAT_PLAIN || source->format == FORMAT_PRISMA;
    if (source->format == FORMAT_TERN || behind || (counted && !stamps))
        return one_higher(arena, source->format == FORMAT_FLYWAY ? last->version
                                                                 : written_version(arena, last));
    return stamp;
}

static bool
any_down(const Source *source)
{
    for (size_t i = 0; i < source->migrations.n; i++) {
        if (source->migrations.p[i].down_path)
            return true;
    }
    return false;
}

/* Paths of the up and the down file; the latter NULL where the format, or the directory, has
 * none. */
static void
choose_paths(Arena *arena,
             const Source *source,
             const char *dir,
             const char *version,
             const char *name,
             const char *ret_paths[PATHS_MAX])
{
    bool pair = any_down(source);
    const char *stem = str_printf(arena, "%s/%s_%s", dir, version, name);
    ret_paths[1] = NULL;
    switch (source->format) {
    case FORMAT_DIESEL:
        ret_paths[0] = str_printf(arena, "%s/up.sql", stem);
        ret_paths[1] = str_printf(arena, "%s/down.sql", stem);
        return;
    case FORMAT_PRISMA:
        ret_paths[0] = str_printf(arena, "%s/migration.sql", stem);
        return;
    case FORMAT_FLYWAY:
        ret_paths[0] = str_printf(arena, "%s/V%s__%s.sql", dir, version, name);
        return;
    case FORMAT_GOLANG_MIGRATE:
        pair = true;
        break;
    case FORMAT_SQLX:
        break;
    case FORMAT_PLAIN:
    case FORMAT_DBMATE:
    case FORMAT_GOOSE:
    case FORMAT_TERN:
    case FORMAT_DRIZZLE: /* refused before */
    case FORMAT_COUNT:
        ret_paths[0] = str_printf(arena, "%s.sql", stem);
        if (pair)
            ret_paths[1] = str_printf(arena, "%s.down.sql", stem);
        return;
    }
    ret_paths[0] = str_printf(arena, pair ? "%s.up.sql" : "%s.sql", stem);
    if (pair)
        ret_paths[1] = str_printf(arena, "%s.down.sql", stem);
}

static bool
write_new(const char *path, const char *text, Error *err)
{
    if (fs_kind(path) != FS_ABSENT)
        return error_set(err, ERROR_USAGE, "'%s' is there already", path);
    if (fs_write_atomic(path, str_of(text), 0644, err))
        return true;
    err->code = ERROR_USAGE;
    return false;
}

bool
source_new(Arena *arena,
           const Source *source,
           const char *dir,
           const char *name,
           char ***ret_paths,
           Error *err)
{
    const Format *format = format_row(source->format);
    const char *texts[PATHS_MAX] = {format->new_up, format->new_down}, *paths[PATHS_MAX];
    char **made = arena_array(arena, char *, PATHS_MAX + 1);
    const char *clean = clean_name(arena, name);
    if (source->format == FORMAT_DRIZZLE) {
        error_set(err, ERROR_USAGE,
                  "Drizzle's migrations come with a snapshot and an entry of the journal, which "
                  "only drizzle-kit can make");
        return error_hint(err, "Run 'drizzle-kit generate --custom --name=%s'.",
                          clean ? clean : "NAME");
    }
    if (!clean) {
        error_set(err, ERROR_USAGE, "'%s' holds nothing that could name a migration", name);
        return error_hint(err, "Use letters, digits, '_' and '-'.");
    }
    const char *version = next_version(arena, source);
    if (!version) {
        error_set(err, ERROR_USAGE, "there is no version above the highest one in '%s'", dir);
        return error_hint(err, "Name the file by hand.");
    }
    choose_paths(arena, source, dir, version, clean, paths);
    Str folder = str_of(paths[0]);
    while (folder.n > 0 && folder.p[folder.n - 1] != '/')
        folder.n--;
    if (!fs_make_dirs(str_dup(arena, str_sub(folder, 0, folder.n - 1)), err)) {
        err->code = ERROR_USAGE;
        return false;
    }
    for (size_t i = 0; i < PATHS_MAX && paths[i]; i++) {
        if (!write_new(paths[i], texts[i] ? texts[i] : "", err))
            return false;
        made[i] = str_dup(arena, str_of(paths[i]));
    }
    *ret_paths = made;
    return true;
}
