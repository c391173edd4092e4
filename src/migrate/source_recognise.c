/* SPDX-License-Identifier: Apache-2.0 */
/* Whose migrations a directory holds: by names, and where these are the same, by markers in the
 * first and the last file. Mixing further in is noticed by migration_load. */

#include "migrate/source_internal.h"

#include <string.h>

#include "core/banned.h"

typedef enum Family {
    FAMILY_FLAT,   /* VERSION_name.sql: told by content */
    FAMILY_UPDOWN, /* VERSION_name.up.sql */
    FAMILY_FLYWAY,
    FAMILY_DIESEL,
    FAMILY_PRISMA,
    FAMILY_COUNT
} Family;

typedef struct Families {
    const FsEntry *first[FAMILY_COUNT], *last_flat;
    const FsEntry *bad;  /* .sql, and no version */
    const FsEntry *down; /* VERSION_name.down.sql: says nothing about the format */
    bool tern_conf;
    const FsEntry *prisma_lock;
    bool journal;   /* drizzle's */
    bool drizzle_1; /* its next way: TAG/migration.sql beside TAG/snapshot.json */
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
    if (!f->first[FAMILY_PRISMA] &&
        fs_kind(fs_join(scan->scratch, path, "migration.sql")) == FS_FILE) {
        f->first[FAMILY_PRISMA] = entry;
        f->drizzle_1 = fs_kind(fs_join(scan->scratch, path, "snapshot.json")) == FS_FILE;
    }
    f->journal |= strcmp(entry->name, DRIZZLE_META) == 0 &&
                  fs_kind(fs_join(scan->scratch, path, DRIZZLE_JOURNAL)) == FS_FILE;
}

/* Whether a directory without migrations of its own has Flyway's further down. */
static bool
holds_flyway_below(const Scan *scan, const char *dir, int depth)
{
    FsList list = {0};
    Error ignored = ERROR_INIT;
    if (depth > TREE_DEPTH_MAX || !scan_list(scan, dir, &list, &ignored))
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
    if (!scan_file(scan, path, entry, err))
        return false;
    if (!scan_as_usage(fs_read(scan->scratch, path, MIGRATION_CEILING, &text, err), err))
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
                                        "diesel", "prisma"};
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

/* Drizzle 1 keeps another table besides (each row has a name): what is written into it without one
 * would be run again. */
static void
refuse_drizzle_1(const Scan *scan, Error *err)
{
    error_set(err, ERROR_USAGE, "'%s' holds migrations of Drizzle 1, which are not read yet",
              scan->dir);
    error_hint(err, "Let drizzle-kit apply them: see 'lockstep detect'.");
}

static void
note_all(const Scan *scan, Families *f)
{
    for (size_t i = 0; i < scan->entries.n; i++) {
        const FsEntry *e = &scan->entries.p[i];
        if (e->target_kind == FS_DIR && !str_ends(str_of(e->name), STR(".sql")))
            note_dir(scan, e, f);
        else
            note_file(e, f);
        if (strcmp(e->name, PRISMA_LOCK) == 0)
            f->prisma_lock = e;
        f->tern_conf |= strcmp(e->name, "tern.conf") == 0;
    }
    if (f->prisma_lock && !f->first[FAMILY_PRISMA])
        f->first[FAMILY_PRISMA] = f->prisma_lock;
}

/* What lies there when no file is a migration's. */
static bool
recognise_none(const Scan *scan, const Families *f, FormatId *ret, bool *ret_holds, Error *err)
{
    if (f->bad) {
        refuse_unknown(scan, f->bad, err);
        return false;
    }
    if (f->down) /* alone: refused when it is collected */
        return true;
    *ret_holds = holds_flyway_below(scan, scan->dir, 0);
    if (*ret_holds)
        *ret = FORMAT_FLYWAY;
    return true;
}

bool
scan_recognise(const Scan *scan, bool guess, FormatId *ret, bool *ret_holds, Error *err)
{
    Families f = {0};
    Family family = FAMILY_COUNT;
    note_all(scan, &f);
    *ret = FORMAT_PLAIN;
    *ret_holds = true;
    if (f.journal) {
        *ret = FORMAT_DRIZZLE;
        return true;
    }
    if (f.drizzle_1 && !f.prisma_lock) {
        *ret_holds = false;
        if (!guess)
            refuse_drizzle_1(scan, err);
        return guess;
    }
    /* A stray file among Prisma's folders is refused as such when it is collected. */
    if (f.prisma_lock)
        f.first[FAMILY_FLAT] = f.first[FAMILY_UPDOWN] = NULL;
    if (!one_family(scan, &f, &family, err))
        return false;
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
    case FAMILY_PRISMA:
        *ret = FORMAT_PRISMA;
        return true;
    case FAMILY_COUNT:
        break;
    }
    return recognise_none(scan, &f, ret, ret_holds, err);
}
