/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding migration files: which directory, which format, which files, in which order. Names and
 * stats only; for the formats that are told by content the first and the last file are read (mixing
 * further in is noticed by migration_load).
 */

#include "migrate/source.h"

#include <stdlib.h>
#include <string.h>

#include "migrate/source_internal.h"

#include "core/banned.h"

const char *const source_default_dirs[] = {
    "db/migrations", "migrations", "database/migrations", "sql/migrations", "prisma/migrations",
    "drizzle",       NULL};

/* ---- single entries ---- */

bool
scan_as_usage(bool ok, Error *err)
{
    if (!ok)
        err->code = ERROR_USAGE;
    return ok;
}

bool
scan_link(const Scan *scan, const char *path, const FsEntry *entry, Error *err)
{
    if (entry->kind != FS_LINK)
        return true;
    if (entry->target_kind == FS_ABSENT) {
        error_set(err, ERROR_USAGE, "'%s' is a symbolic link to nothing", path);
        return error_hint(err, "Remove the link, or put the file there.");
    }
    if (!fs_is_inside(scan->dir, path)) {
        error_set(err, ERROR_USAGE, "'%s' is a symbolic link that leaves the directory '%s'", path,
                  scan->dir);
        return error_hint(err, "Copy the file into the directory: what is migrated must not depend "
                               "on what lies outside.");
    }
    return true;
}

bool
scan_file(const Scan *scan, const char *path, const FsEntry *entry, Error *err)
{
    if (!scan_link(scan, path, entry, err))
        return false;
    if (entry->target_kind == FS_FILE)
        return true;
    error_set(err, ERROR_USAGE, "'%s' is named like a migration but is %s", path,
              entry->target_kind == FS_DIR ? "a directory" : "not a regular file");
    return error_hint(err, "Rename it, or move it out of the directory.");
}

/* What the next start compares: all that could be a migration or say something about one. Others
 * are left out: one of them may be the database. */
static void
add_listed(const Scan *scan, const char *dir, const FsEntry *e)
{
    static const char *const suffixes[] = {".sql", ".conf", ".toml"};
    Str name = str_of(e->name);
    bool content = e->target_kind == FS_FILE && str_eq(name, STR(DRIZZLE_JOURNAL));
    for (size_t i = 0; i < COUNT_OF(suffixes) && e->target_kind == FS_FILE; i++)
        content |= str_ends(name, str_of(suffixes[i]));
    if (!content && e->target_kind != FS_DIR && !format_is_flyway_name(name))
        return;
    const char kinds[] = {(char)e->kind, (char)e->target_kind};
    const int64_t stats[] = {e->size, e->mtime_ns};
    hasher_add(scan->listed, (Str){name.p, name.n + 1});
    hasher_add(scan->listed, (Str){kinds, sizeof(kinds)});
    if (content)
        hasher_add(scan->listed, (Str){(const char *)stats, sizeof(stats)});
    if (e->kind == FS_LINK && !fs_is_inside(scan->dir, fs_join(scan->scratch, dir, e->name)))
        hasher_add(scan->listed, STR("outside"));
}

bool
scan_list(const Scan *scan, const char *dir, FsList *ret, Error *err)
{
    if (!scan_as_usage(fs_list(scan->scratch, dir, ret, err), err))
        return false;
    hasher_add(scan->listed, (Str){dir, strlen(dir) + 1});
    for (size_t i = 0; i < ret->n; i++)
        add_listed(scan, dir, &ret->p[i]);
    return true;
}

const FsEntry *
scan_entry(const FsList *list, const char *name)
{
    size_t from = 0, to = list->n;
    while (from < to) {
        size_t mid = from + (to - from) / 2;
        int cmp = strcmp(list->p[mid].name, name);
        if (cmp == 0)
            return &list->p[mid];
        if (cmp < 0)
            from = mid + 1;
        else
            to = mid;
    }
    return NULL;
}

/* ---- pairing, ordering, hashing ---- */

static int
found_cmp(const void *a, const void *b)
{
    const Found *x = a, *y = b;
    int cmp = strcmp(x->id, y->id);
    if (cmp == 0)
        cmp = (x->kind > y->kind) - (x->kind < y->kind);
    return cmp ? cmp : strcmp(x->rel, y->rel);
}

static int
migration_cmp(const void *a, const void *b)
{
    const Migration *x = a, *y = b;
    return strcmp(x->key, y->key);
}

static bool
refuse_duplicate(const Found *a, const Found *b, Error *err)
{
    if (a->version)
        error_set(err, ERROR_USAGE, "'%s' and '%s' have the same version %s", a->path, b->path,
                  a->version);
    else
        error_set(err, ERROR_USAGE, "'%s' and '%s' have the same description", a->path, b->path);
    return error_hint(err, "Give one of them another version; versions that were applied already "
                           "must keep theirs.");
}

/* Files of one id, ups first: one migration. */
static bool
pair(const Scan *scan, const Found *group, size_t n, Migration *ret, Error *err)
{
    const Format *format = format_row(scan->format);
    const Found *up = group[0].kind == NAME_DOWN ? NULL : &group[0];
    const Found *down = group[n - 1].kind == NAME_DOWN ? &group[n - 1] : NULL;
    for (size_t i = 1; i < n; i++) {
        if (group[i].kind == group[i - 1].kind)
            return refuse_duplicate(&group[i - 1], &group[i], err);
    }
    if (!up && !format->lone_down) {
        error_set(err, ERROR_USAGE, "'%s' undoes version %s, but no file applies that version",
                  down->path, down->version);
        return error_hint(err, "Remove it, or put the file that it belongs to back.");
    }
    const Found *main = up ? up : down;
    *ret = (Migration){.version = main->version,
                       .name = main->name,
                       .path = main->path,
                       .script = main->rel,
                       .id = main->id,
                       .key = main->key            ? main->key
                              : format->file_order ? main->rel
                                                   : main->id,
                       .conf_path = main->conf_path,
                       .repeatable = main->kind == NAME_REPEATABLE,
                       .has_up = up != NULL,
                       .has_down = down != NULL};
    if (down)
        ret->down_path = down->path;
    return true;
}

/* tern counts 1, 2, 3 ... without a gap. */
static bool
check_tern(const Source *source, Error *err)
{
    for (size_t i = 0; i < source->migrations.n; i++) {
        const Migration *m = &source->migrations.p[i];
        int64_t number;
        if (str_to_i64(str_of(m->version), &number) && number == (int64_t)i + 1)
            continue;
        error_set(err, ERROR_USAGE, "'%s': version %zu is missing before it", m->path, i + 1);
        return error_hint(err, "tern's migrations are numbered 1, 2, 3 ... without a gap; if these "
                               "are not tern's, say so with --format.");
    }
    return true;
}

static bool
build(Scan *scan, Source *source, Error *err)
{
    FoundList *found = &scan->found;
    if (found->n > 0) {
        qsort(found->p, found->n, sizeof(*found->p), found_cmp);
        source->migrations.p = arena_array(scan->arena, Migration, found->n);
        source->migrations.size = found->n;
    }
    for (size_t i = 0, n; i < found->n; i += n) {
        for (n = 1; i + n < found->n && strcmp(found->p[i].id, found->p[i + n].id) == 0;)
            n++;
        if (!pair(scan, &found->p[i], n, &source->migrations.p[source->migrations.n], err))
            return false;
        source->migrations.n++;
    }
    if (source->migrations.n > 1)
        qsort(source->migrations.p, source->migrations.n, sizeof(Migration), migration_cmp);
    return scan->format != FORMAT_TERN || check_tern(source, err);
}

/* ---- directories ---- */

static bool
is_bare(const FsList *list)
{
    for (size_t i = 0; i < list->n; i++) {
        if (list->p[i].name[0] != '.')
            return false;
    }
    return true;
}

/* `guess`: the directory was not named; *ret_holds says whether it is the one. */
static bool
scan_dir(Scan scan, const char *dir, bool guess, Source *ret, bool *ret_holds, Error *err)
{
    SCRATCH_ARENA(scratch);
    const SourceOptions *options = scan.options;
    Str trimmed = str_of(dir);
    while (trimmed.n > 1 && str_ends(trimmed, STR("/")))
        trimmed.n--;
    scan.scratch = scratch;
    scan.dir = str_dup(scan.arena, trimmed);
    scan.listed = hasher_new(scratch);
    if (!scan_list(&scan, scan.dir, &scan.entries, err))
        return false;
    bool forced = options->format && strcmp(options->format, "auto") != 0, holds = true;
    if (forced) {
        if (!format_by_name(options->format, &scan.format)) {
            const char *near = str_nearest(str_of(options->format), format_names());
            error_set(err, ERROR_USAGE, "unknown format '%s'", options->format);
            return near ? error_hint(err, "Did you mean '%s'?", near) : false;
        }
    } else if (!scan_recognise(&scan, guess, &scan.format, &holds, err)) {
        return false;
    }
    if (holds && !scan_collect(&scan, err))
        return false;
    holds = scan.files > 0;
    if (forced && !holds && !guess && !options->may_be_empty &&
        (scan.format == FORMAT_DBMATE || scan.format == FORMAT_TERN)) {
        error_set(err, ERROR_USAGE, "no migrations of %s in '%s'", options->format, scan.dir);
        return error_hint(err, "Check --dir; %s calls an empty directory an error.",
                          options->format);
    }
    Source source = {.format = scan.format,
                     .format_name = format_name(scan.format),
                     .dir = scan.dir,
                     .files = scan.files,
                     .provider = scan.provider,
                     .provider_file = scan.provider_file,
                     .stat_digest = hasher_hex(scan.arena, scan.listed)};
    if (!scan.look && !build(&scan, &source, err))
        return false;
    bool marked = scan.format == FORMAT_PRISMA || scan.format == FORMAT_DRIZZLE;
    *ret_holds = holds || marked || is_bare(&scan.entries);
    *ret = source;
    return true;
}

static bool
find(const Scan *scan, Source *ret, Error *err)
{
    bool holds;
    const char *named = scan->options->dir;
    if (named) {
        FsKind kind = fs_kind(named);
        if (kind != FS_DIR) {
            error_set(err, ERROR_USAGE, "the directory of migrations '%s' is %s", named,
                      kind == FS_ABSENT ? "not there" : "not a directory");
            return error_hint(err, "Check --dir (LOCKSTEP_DIR); it is relative to the current "
                                   "directory.");
        }
        return scan_dir(*scan, named, false, ret, &holds, err);
    }
    Source bare = {.format_name = format_name(FORMAT_PLAIN)};
    for (const char *const *dir = source_default_dirs; *dir; dir++) {
        Source source;
        if (fs_kind(*dir) != FS_DIR)
            continue;
        if (!scan_dir(*scan, *dir, true, &source, &holds, err))
            return false;
        if (source.files > 0) {
            *ret = source;
            return true;
        }
        if (holds && !bare.dir)
            bare = source;
    }
    *ret = bare;
    return true;
}

bool
source_look(Arena *arena, const SourceOptions *options, Source *ret, Error *err)
{
    return find(&(Scan){.arena = arena, .options = options, .look = true}, ret, err);
}

bool
source_scan(Arena *arena, const SourceOptions *options, Source *ret, Error *err)
{
    return find(&(Scan){.arena = arena, .options = options}, ret, err);
}

bool
source_settle(Arena *arena, Source *source, const SourceOptions *options, Error *err)
{
    bool forced = options->format && strcmp(options->format, "auto") != 0;
    bool open = source->format == FORMAT_PLAIN ||
                (source->format == FORMAT_GOLANG_MIGRATE && options->sqlx_table_exists);
    if (forced || !open || !source->dir || !source->files ||
        !(options->tern_table_exists || options->sqlx_table_exists))
        return true;
    SourceOptions again = *options;
    again.dir = source->dir;
    return source_scan(arena, &again, source, err);
}

Migration *
source_find(const Source *source, const char *text)
{
    Migration *found = NULL;
    size_t n = 0;
    for (size_t i = 0; i < source->migrations.n; i++) {
        Migration *m = &source->migrations.p[i];
        if (m->version && strcmp(m->version, text) == 0)
            return m;
        if (m->repeatable || (strcmp(m->id, text) != 0 && strcmp(m->name, text) != 0))
            continue;
        found = m;
        n++;
    }
    return n == 1 ? found : NULL;
}
