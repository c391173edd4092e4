/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding migration files: which directory, which format, which files, in which order. Names and
 * stats only; for the formats that are told by content the first and the last file are read (mixing
 * further in is noticed by migration_load).
 */

#include "migrate/source.h"

#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "migrate/formats.h"

#include "core/banned.h"

enum { TREE_DEPTH_MAX = 16 };

const char *const source_default_dirs[] = {
    "db/migrations", "migrations", "database/migrations", "sql/migrations", "prisma/migrations",
    "drizzle",       NULL};

/* A file that belongs to a migration. */
typedef struct Found {
    NameKind kind;
    char *version, *name, *id;
    char *path, *rel; /* rel: within the directory */
    char *conf_path;
} Found;
typedef VEC(Found) FoundList;

typedef struct Scan {
    Arena *arena, *scratch;
    const SourceOptions *options;
    char *dir;
    FsList entries;
    FormatId format;
    const char *highest_id; /* that the format can hold; NULL = any */
    FoundList found;
    size_t files;   /* of migrations, downs too */
    Hasher *listed; /* all that was looked at */
    bool look;      /* names are enough */
} Scan;

/* ---- single entries ---- */

/* Errors of the file system here are faults of the input: found before anything ran. */
static bool
as_usage(bool ok, Error *err)
{
    if (!ok)
        err->code = ERROR_USAGE;
    return ok;
}

static bool
check_link(const Scan *scan, const char *path, const FsEntry *entry, Error *err)
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

static bool
check_file(const Scan *scan, const char *path, const FsEntry *entry, Error *err)
{
    if (!check_link(scan, path, entry, err))
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
    bool content = false;
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

static bool
list_dir(const Scan *scan, const char *dir, FsList *ret, Error *err)
{
    if (!as_usage(fs_list(scan->scratch, dir, ret, err), err))
        return false;
    hasher_add(scan->listed, (Str){dir, strlen(dir) + 1});
    for (size_t i = 0; i < ret->n; i++)
        add_listed(scan, dir, &ret->p[i]);
    return true;
}

static bool
refuse_name(const char *path, const NameParts *parts, Error *err)
{
    error_set(err, ERROR_USAGE, "'%s' %s", path, parts->problem);
    return error_hint(err, "%s", parts->hint);
}

static const FsEntry *
find_entry(const FsList *list, const char *name)
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

/* ---- recognising ---- */

typedef enum Family {
    FAMILY_FLAT,   /* VERSION_name.sql: told by content */
    FAMILY_UPDOWN, /* VERSION_name.up.sql */
    FAMILY_FLYWAY,
    FAMILY_DIESEL,
    FAMILY_COUNT
} Family;

typedef struct Families {
    const FsEntry *first[FAMILY_COUNT], *last_flat;
    const FsEntry *bad;  /* .sql, and no version */
    const FsEntry *down; /* VERSION_name.down.sql: says nothing about the format */
    const char *other;   /* a tool whose directory this is, and whose files are not read here */
    bool tern_conf;
} Families;

static void
note_file(const FsEntry *entry, Families *f)
{
    Str name = str_of(entry->name);
    NameParts plain = format_parse_name(FORMAT_PLAIN, name);
    Family family;
    if (format_is_flyway_name(name) && str_ends(name, STR(".sql")))
        family = FAMILY_FLYWAY;
    else if (plain.kind == NAME_UP || (plain.kind == NAME_BAD && plain.version.n > 0))
        family = str_ends(name, STR(".up.sql")) ? FAMILY_UPDOWN : FAMILY_FLAT;
    else if (plain.kind == NAME_BAD) {
        f->bad = f->bad ? f->bad : entry;
        return;
    } else {
        f->down = plain.kind == NAME_DOWN ? entry : f->down;
        return;
    }
    if (!f->first[family])
        f->first[family] = entry;
    if (family == FAMILY_FLAT)
        f->last_flat = entry;
}

static void
note_dir(const Scan *scan, const FsEntry *entry, Families *f)
{
    if (entry->name[0] == '.')
        return;
    const char *path = fs_join(scan->scratch, scan->dir, entry->name);
    if (!f->first[FAMILY_DIESEL] && fs_kind(fs_join(scan->scratch, path, "up.sql")) == FS_FILE)
        f->first[FAMILY_DIESEL] = entry;
    if (!f->other && fs_kind(fs_join(scan->scratch, path, "migration.sql")) == FS_FILE)
        f->other = "Prisma";
    if (strcmp(entry->name, "meta") == 0 &&
        fs_kind(fs_join(scan->scratch, path, "_journal.json")) == FS_FILE)
        f->other = "Drizzle";
}

/* Whether a directory without migrations of its own has Flyway's further down. */
static bool
holds_flyway_below(const Scan *scan, const char *dir, int depth)
{
    FsList list = {0};
    Error ignored = ERROR_INIT;
    if (depth > TREE_DEPTH_MAX || !list_dir(scan, dir, &list, &ignored))
        return false;
    for (size_t i = 0; i < list.n; i++) {
        const FsEntry *e = &list.p[i];
        Str name = str_of(e->name);
        if (depth > 0 && str_ends(name, STR(".sql")) && format_is_flyway_name(name))
            return true;
        if (e->kind == FS_DIR && e->name[0] != '.' &&
            holds_flyway_below(scan, fs_join(scan->scratch, dir, e->name), depth + 1))
            return true;
    }
    return false;
}

static bool
marker_of(const Scan *scan, const FsEntry *entry, FormatId *ret, Error *err)
{
    const char *path = fs_join(scan->scratch, scan->dir, entry->name);
    Str text;
    size_t offset;
    if (!check_file(scan, path, entry, err))
        return false;
    if (!as_usage(fs_read(scan->scratch, path, MIGRATION_CEILING, &text, err), err))
        return false;
    *ret = format_marker(text, &offset);
    return true;
}

static bool
refuse_two(
    const Scan *scan, const char *a, const char *a_is, const char *b, const char *b_is, Error *err)
{
    error_set(err, ERROR_USAGE, "'%s' is a directory of two formats: '%s' is %s, '%s' is %s",
              scan->dir, a, a_is, b, b_is);
    return error_hint(err,
                      "Keep one format in a directory: move the files of the other one out, or "
                      "rewrite them.");
}

static const char *
marker_name(FormatId marker)
{
    return marker == FORMAT_COUNT ? "without any marker" : format_name(marker);
}

/* The same files for plain, sqlx and tern; markers tell dbmate, goose and tern. */
static bool
recognise_flat(const Scan *scan, const Families *f, FormatId *ret, Error *err)
{
    FormatId first, last;
    const FsEntry *a = f->first[FAMILY_FLAT], *b = f->last_flat;
    if (!marker_of(scan, a, &first, err) || !marker_of(scan, b, &last, err))
        return false;
    /* tern's separator may be missing: such a migration cannot be undone. */
    if (first != last && first != FORMAT_COUNT && last == FORMAT_COUNT)
        last = first;
    if (first == FORMAT_COUNT && last == FORMAT_TERN)
        first = last;
    if (first != last)
        return refuse_two(scan, a->name, marker_name(first), b->name, marker_name(last), err);
    const SourceOptions *o = scan->options;
    if (first != FORMAT_COUNT)
        *ret = first;
    else if (o->tern_table_exists && o->sqlx_table_exists)
        return error_set(err, ERROR_USAGE,
                         "the tables of both tern and sqlx are there, and the "
                         "files of '%s' could be either's",
                         scan->dir) ||
               error_hint(err, "Say which it is with --format tern, sqlx or plain.");
    else
        *ret = o->tern_table_exists || f->tern_conf ? FORMAT_TERN
               : o->sqlx_table_exists               ? FORMAT_SQLX
                                                    : FORMAT_PLAIN;
    return true;
}

static void
refuse_unknown(const Scan *scan, const FsEntry *entry, Error *err)
{
    error_set(err, ERROR_USAGE, "'%s/%s' has a name of no known format", scan->dir, entry->name);
    StrBuf known = strbuf_new(scan->scratch, 1000);
    for (size_t i = 0; i < FORMAT_COUNT; i++) {
        const Format *format = format_row((FormatId)i);
        strbuf_printf(&known, "%s%s (%s)", i ? ", " : "", format->files, format->name);
    }
    error_hint(err, "Known are: " STR_FMT ". Rename the file, or move it out of the directory.",
               STR_ARG(strbuf_str(&known)));
}

static bool
one_family(const Scan *scan, const Families *f, Family *ret, Error *err)
{
    static const char *const names[] = {"VERSION_name.sql", "VERSION_name.up.sql", "flyway",
                                        "diesel"};
    Family family = FAMILY_COUNT;
    for (size_t i = 0; i < FAMILY_COUNT; i++) {
        if (!f->first[i])
            continue;
        if (family != FAMILY_COUNT)
            return refuse_two(scan, f->first[family]->name, names[family], f->first[i]->name,
                              names[i], err);
        family = (Family)i;
    }
    *ret = family;
    return true;
}

/* *ret_holds: there are migrations of a format that is read here. */
static bool
recognise(const Scan *scan, bool guess, FormatId *ret, bool *ret_holds, Error *err)
{
    Families f = {0};
    for (size_t i = 0; i < scan->entries.n; i++) {
        const FsEntry *e = &scan->entries.p[i];
        if (e->target_kind == FS_DIR && !str_ends(str_of(e->name), STR(".sql")))
            note_dir(scan, e, &f);
        else
            note_file(e, &f);
        if (strcmp(e->name, "migration_lock.toml") == 0)
            f.other = "Prisma";
        f.tern_conf |= strcmp(e->name, "tern.conf") == 0;
    }
    *ret = FORMAT_PLAIN;
    *ret_holds = false;
    if (f.other) {
        if (guess)
            return true;
        error_set(err, ERROR_USAGE, "'%s' holds migrations of %s, which are not read as SQL files",
                  scan->dir, f.other);
        return error_hint(err, "Let %s apply them: see 'lockstep detect'.", f.other);
    }
    Family family = FAMILY_COUNT;
    if (!one_family(scan, &f, &family, err))
        return false;
    *ret_holds = true;
    switch (family) {
    case FAMILY_FLAT:
        return recognise_flat(scan, &f, ret, err);
    case FAMILY_UPDOWN:
        *ret = scan->options->sqlx_table_exists ? FORMAT_SQLX : FORMAT_GOLANG_MIGRATE;
        return true;
    case FAMILY_FLYWAY:
        *ret = FORMAT_FLYWAY;
        return true;
    case FAMILY_DIESEL:
        *ret = FORMAT_DIESEL;
        return true;
    case FAMILY_COUNT:
        break;
    }
    if (f.bad) {
        refuse_unknown(scan, f.bad, err);
        return false;
    }
    if (f.down) /* alone: refused when it is collected */
        return true;
    *ret_holds = holds_flyway_below(scan, scan->dir, 0);
    if (*ret_holds)
        *ret = FORMAT_FLYWAY;
    return true;
}

/* ---- collecting ---- */

static bool
add_found(Scan *scan, const NameParts *parts, const char *path, const char *rel, Error *err)
{
    const Format *format = format_row(scan->format);
    Found found = {.kind = parts->kind,
                   .path = str_dup(scan->arena, str_of(path)),
                   .rel = str_dup(scan->arena, str_of(rel)),
                   .name = str_dup(scan->arena, parts->description)};
    if (scan->format == FORMAT_FLYWAY || scan->format == FORMAT_SQLX) {
        for (char *p = found.name; *p; p++)
            *p = *p == '_' ? ' ' : *p;
    }
    if (parts->kind == NAME_REPEATABLE) {
        found.id = format_repeatable_id(scan->arena, found.name);
    } else {
        found.version = format_version(scan->arena, scan->format, parts->version);
        found.id = format_version_id(scan->arena, scan->format, found.version);
        if (scan->highest_id && strcmp(found.id, scan->highest_id) > 0) {
            error_set(err, ERROR_USAGE, "'%s': version %s is too big for %s", path, found.version,
                      format->name);
            return error_hint(err, "The highest is %s.", format->max_version);
        }
    }
    *vec_push(scan->scratch, &scan->found) = found;
    scan->files++;
    return true;
}

static bool
collect_flat(Scan *scan, Error *err)
{
    for (size_t i = 0; i < scan->entries.n; i++) {
        const FsEntry *e = &scan->entries.p[i];
        NameParts parts = format_parse_name(scan->format, str_of(e->name));
        if (parts.kind == NAME_IGNORED)
            continue;
        const char *path = fs_join(scan->scratch, scan->dir, e->name);
        if (parts.kind == NAME_BAD)
            return refuse_name(path, &parts, err);
        if (!check_file(scan, path, e, err) || !add_found(scan, &parts, path, e->name, err))
            return false;
    }
    return true;
}

static bool
collect_tree(Scan *scan, const FsList *list, const char *sub, int depth, Error *err)
{
    if (depth > TREE_DEPTH_MAX) {
        error_set(err, ERROR_USAGE, "'%s/%s' lies more than %d directories deep", scan->dir, sub,
                  TREE_DEPTH_MAX);
        return error_hint(err, "Look for a symbolic link that leads back to a directory above it.");
    }
    for (size_t i = 0; i < list->n; i++) {
        const FsEntry *e = &list->p[i];
        const char *rel = sub[0] ? fs_join(scan->scratch, sub, e->name) : e->name;
        const char *path = fs_join(scan->scratch, scan->dir, rel);
        bool is_dir = e->target_kind == FS_DIR && !str_ends(str_of(e->name), STR(".sql"));
        /* Hidden directories: a Kubernetes volume keeps its files a second time in ..data. */
        if (is_dir && e->name[0] != '.') {
            FsList below = {0};
            if (!check_link(scan, path, e, err) || !list_dir(scan, path, &below, err) ||
                !collect_tree(scan, &below, rel, depth + 1, err))
                return false;
            continue;
        }
        NameParts parts = is_dir ? (NameParts){.kind = NAME_IGNORED}
                                 : format_parse_name(scan->format, str_of(e->name));
        if (parts.kind == NAME_IGNORED)
            continue;
        if (parts.kind == NAME_BAD)
            return refuse_name(path, &parts, err);
        if (!check_file(scan, path, e, err) || !add_found(scan, &parts, path, rel, err))
            return false;
        const FsEntry *conf = find_entry(list, str_printf(scan->scratch, "%s.conf", e->name));
        if (conf) {
            Found *found = &scan->found.p[scan->found.n - 1];
            found->conf_path = str_printf(scan->arena, "%s.conf", path);
            if (!check_file(scan, found->conf_path, conf, err))
                return false;
        }
    }
    return true;
}

static bool
collect_folder(Scan *scan, const FsEntry *folder, const FsList *list, Error *err)
{
    static const struct {
        const char *name;
        NameKind kind;
    } files[] = {{"up.sql", NAME_UP}, {"down.sql", NAME_DOWN}};
    const char *path = fs_join(scan->scratch, scan->dir, folder->name);
    const FsEntry *conf = find_entry(list, "metadata.toml");
    NameParts parts = format_parse_name(scan->format, str_of(folder->name));
    if (!find_entry(list, "up.sql")) {
        /* Anything else may stand beside the migrations; a numbered folder is meant to be one. */
        if (parts.kind == NAME_BAD && !find_entry(list, "down.sql"))
            return true;
        error_set(err, ERROR_USAGE, "'%s' holds no up.sql", path);
        return error_hint(err, "Put an up.sql there (it may be empty), or remove the folder.");
    }
    if (parts.kind == NAME_BAD)
        return refuse_name(path, &parts, err);
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        const FsEntry *e = find_entry(list, files[i].name);
        if (!e)
            continue;
        const char *rel = fs_join(scan->scratch, folder->name, e->name);
        const char *file = fs_join(scan->scratch, scan->dir, rel);
        parts.kind = files[i].kind;
        if (!check_file(scan, file, e, err) || !add_found(scan, &parts, file, rel, err))
            return false;
        if (conf && parts.kind == NAME_UP) {
            Found *found = &scan->found.p[scan->found.n - 1];
            found->conf_path = fs_join(scan->arena, path, conf->name);
            if (!check_file(scan, found->conf_path, conf, err))
                return false;
        }
    }
    return true;
}

static bool
collect_dirs(Scan *scan, Error *err)
{
    for (size_t i = 0; i < scan->entries.n; i++) {
        const FsEntry *e = &scan->entries.p[i];
        const char *path = fs_join(scan->scratch, scan->dir, e->name);
        if (e->name[0] == '.')
            continue;
        if (e->target_kind == FS_DIR) {
            FsList list = {0};
            if (!list_dir(scan, path, &list, err))
                return false;
            if (!check_link(scan, path, e, err) || !collect_folder(scan, e, &list, err))
                return false;
        } else if (format_parse_name(FORMAT_PLAIN, str_of(e->name)).kind != NAME_IGNORED) {
            error_set(err, ERROR_USAGE, "'%s' stands beside diesel's folders and would never run",
                      path);
            return error_hint(err, "Make it VERSION_name/up.sql, or move it out of the directory.");
        }
    }
    return true;
}

/* Of a flat directory everything is listed, and names are all that a look needs. */
static void
count_flat(Scan *scan)
{
    for (size_t i = 0; i < scan->entries.n; i++) {
        Str name = str_of(scan->entries.p[i].name);
        scan->files += format_parse_name(scan->format, name).kind != NAME_IGNORED;
    }
}

static bool
collect(Scan *scan, Error *err)
{
    const char *highest = format_row(scan->format)->max_version;
    if (highest)
        scan->highest_id = format_version_id(scan->scratch, scan->format, highest);
    switch (format_row(scan->format)->layout) {
    case LAYOUT_FLAT:
        if (!scan->look)
            return collect_flat(scan, err);
        count_flat(scan);
        return true;
    case LAYOUT_TREE:
        return collect_tree(scan, &scan->entries, "", 0, err);
    case LAYOUT_DIRS:
        break;
    }
    return collect_dirs(scan, err);
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
                       .key = format->file_order ? main->rel : main->id,
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
    if (!list_dir(&scan, scan.dir, &scan.entries, err))
        return false;
    bool forced = options->format && strcmp(options->format, "auto") != 0, holds = true;
    if (forced) {
        if (!format_by_name(options->format, &scan.format)) {
            const char *near = str_nearest(str_of(options->format), format_names());
            error_set(err, ERROR_USAGE, "unknown format '%s'", options->format);
            return near ? error_hint(err, "Did you mean '%s'?", near) : false;
        }
    } else if (!recognise(&scan, guess, &scan.format, &holds, err)) {
        return false;
    }
    if (holds && !collect(&scan, err))
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
                     .stat_digest = hasher_hex(scan.arena, scan.listed)};
    if (!scan.look && !build(&scan, &source, err))
        return false;
    *ret_holds = holds || is_bare(&scan.entries);
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
