/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a directory that belong to migrations, format by format. */

#include "migrate/source_internal.h"

#include <string.h>

#include "migrate/journal.h"

#include "core/banned.h"

static bool
refuse_name(const char *path, const NameParts *parts, Error *err)
{
    error_set(err, ERROR_USAGE, "'%s' %s", path, parts->problem);
    return error_hint(err, "%s", parts->hint);
}

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
        /* Prisma's folders may share the number that people see. */
        found.id = scan->format == FORMAT_PRISMA
                       ? str_dup(scan->arena, parts->version)
                       : format_version_id(scan->arena, scan->format, found.version);
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
        if (!scan_file(scan, path, e, err) || !add_found(scan, &parts, path, e->name, err))
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
            if (!scan_link(scan, path, e, err) || !scan_list(scan, path, &below, err) ||
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
        if (!scan_file(scan, path, e, err) || !add_found(scan, &parts, path, rel, err))
            return false;
        const FsEntry *conf = scan_entry(list, str_printf(scan->scratch, "%s.conf", e->name));
        if (conf) {
            Found *found = &scan->found.p[scan->found.n - 1];
            found->conf_path = str_printf(scan->arena, "%s.conf", path);
            if (!scan_file(scan, found->conf_path, conf, err))
                return false;
        }
    }
    return true;
}

/* Anything else may stand beside the migrations; a numbered folder is meant to be one. */
static bool
folder_without_up(const Scan *scan, const char *path, const FsList *list, Error *err)
{
    const Format *format = format_row(scan->format);
    const char *name = strrchr(path, '/') + 1;
    bool numbered = name[0] >= '0' && name[0] <= '9';
    if (!numbered && !(format->down_file && scan_entry(list, format->down_file)))
        return true;
    error_set(err, ERROR_USAGE, "'%s' holds no %s", path, format->up_file);
    return error_hint(err, "Put %s %s there (it may be empty), or remove the folder.",
                      format->up_file[0] == 'u' ? "an" : "a", format->up_file);
}

static bool
collect_folder(Scan *scan, const FsEntry *folder, const FsList *list, Error *err)
{
    const Format *format = format_row(scan->format);
    const struct {
        const char *name;
        NameKind kind;
    } files[] = {{format->up_file, NAME_UP}, {format->down_file, NAME_DOWN}};
    const char *path = fs_join(scan->scratch, scan->dir, folder->name);
    const FsEntry *conf = format->conf_file ? scan_entry(list, format->conf_file) : NULL;
    NameParts parts = format_parse_name(scan->format, str_of(folder->name));
    if (!scan_entry(list, format->up_file))
        return folder_without_up(scan, path, list, err);
    if (parts.kind == NAME_BAD)
        return refuse_name(path, &parts, err);
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        const FsEntry *e = files[i].name ? scan_entry(list, files[i].name) : NULL;
        if (!e)
            continue;
        const char *rel = fs_join(scan->scratch, folder->name, e->name);
        const char *file = fs_join(scan->scratch, scan->dir, rel);
        parts.kind = files[i].kind;
        if (!scan_file(scan, file, e, err) || !add_found(scan, &parts, file, rel, err))
            return false;
        if (conf && parts.kind == NAME_UP) {
            Found *found = &scan->found.p[scan->found.n - 1];
            found->conf_path = fs_join(scan->arena, path, conf->name);
            if (!scan_file(scan, found->conf_path, conf, err))
                return false;
        }
    }
    return true;
}

static bool
collect_dirs(Scan *scan, Error *err)
{
    const Format *format = format_row(scan->format);
    for (size_t i = 0; i < scan->entries.n; i++) {
        const FsEntry *e = &scan->entries.p[i];
        const char *path = fs_join(scan->scratch, scan->dir, e->name);
        if (e->name[0] == '.')
            continue;
        if (e->target_kind == FS_DIR) {
            FsList list = {0};
            if (!scan_list(scan, path, &list, err))
                return false;
            if (!scan_link(scan, path, e, err) || !collect_folder(scan, e, &list, err))
                return false;
        } else if (format_parse_name(FORMAT_PLAIN, str_of(e->name)).kind != NAME_IGNORED) {
            error_set(err, ERROR_USAGE, "'%s' stands beside %s's folders and would never run", path,
                      format->name);
            return error_hint(err, "Make it VERSION_name/%s, or move it out of the directory.",
                              format->up_file);
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

/* ---- prisma ---- */

/* migration_lock.toml: the one key that Prisma reads, at the start of a line. */
static bool
read_provider(Scan *scan, Error *err)
{
    const FsEntry *lock = scan_entry(&scan->entries, PRISMA_LOCK);
    char *path = fs_join(scan->arena, scan->dir, PRISMA_LOCK);
    Str text;
    Line line;
    if (!lock)
        return true;
    if (!scan_file(scan, path, lock, err) ||
        !scan_as_usage(fs_read(scan->scratch, path, 64 * 1024, &text, err), err))
        return false;
    for (size_t at = 0; line_next(text, at, &line); at = line.next) {
        size_t eq = str_find(line.text, '=');
        if (!str_eq(str_trim(str_sub(line.text, 0, eq)), STR("provider")))
            continue;
        Str value = str_trim(str_sub(line.text, eq + 1, line.text.n));
        size_t open = str_find(value, '"');
        value = str_sub(value, open + 1, value.n);
        scan->provider = str_dup(scan->arena, str_sub(value, 0, str_find(value, '"')));
        scan->provider_file = path;
        return true;
    }
    error_set(err, ERROR_USAGE, "'%s' names no provider", path);
    return error_hint(err, "The file is Prisma's: restore it.");
}

/* ---- drizzle ---- */

static bool
refuse_entry(const char *journal, const JournalEntry *entry, const char *what, Error *err)
{
    error_set(err, ERROR_USAGE, "'%s' names '%s.sql', which %s", journal, entry->tag, what);
    return error_hint(err, "Put the file and its entry back together: drizzle-kit writes both.");
}

static bool
add_entry(Scan *scan,
          const char *journal,
          const JournalEntry *entry,
          size_t place,
          bool *taken,
          Error *err)
{
    char *name = str_printf(scan->scratch, "%s.sql", entry->tag);
    const FsEntry *file = scan_entry(&scan->entries, name);
    const char *path = fs_join(scan->scratch, scan->dir, name);
    if (!file)
        return refuse_entry(journal, entry, "is not there", err);
    bool *mine = &taken[file - scan->entries.p];
    if (*mine)
        return refuse_entry(journal, entry, "it named before", err);
    *mine = true;
    NameParts parts = {.kind = NAME_UP,
                       .version = str_of(str_printf(scan->scratch, "%lld", (long long)entry->when)),
                       .description = str_of(entry->tag)};
    if (!scan_file(scan, path, file, err) || !add_found(scan, &parts, path, name, err))
        return false;
    /* Drizzle goes by the journal's order; `when` alone tells what is applied. */
    scan->found.p[scan->found.n - 1].key = str_printf(scan->arena, "%06zu", place);
    return true;
}

static bool
read_journal(const Scan *scan, const char *path, const FsEntry *entry, Journal *ret, Error *err)
{
    enum { JOURNAL_CEILING = 16 * 1024 * 1024 };
    Str text;
    return scan_file(scan, path, entry, err) &&
           scan_as_usage(fs_read(scan->scratch, path, JOURNAL_CEILING, &text, err), err) &&
           journal_parse(scan->scratch, path, text, ret, err);
}

static bool
collect_journal(Scan *scan, Error *err)
{
    const FsEntry *meta = scan_entry(&scan->entries, DRIZZLE_META), *entry = NULL;
    char *folder = fs_join(scan->arena, scan->dir, DRIZZLE_META);
    char *path = fs_join(scan->arena, folder, DRIZZLE_JOURNAL);
    Journal journal = {0};
    FsList list = {0};
    if (meta && meta->target_kind == FS_DIR) {
        if (!scan_link(scan, folder, meta, err) || !scan_list(scan, folder, &list, err))
            return false;
        entry = scan_entry(&list, DRIZZLE_JOURNAL);
    }
    if (scan->look) {
        count_flat(scan);
        return true;
    }
    if (!entry && scan->options->may_be_empty)
        return true;
    if (!entry) {
        error_set(err, ERROR_USAGE, "'%s' is not there", path);
        return error_hint(err, "Drizzle's directory holds it beside the files: check --dir and "
                               "--format, and whether the image was built with it.");
    }
    if (!read_journal(scan, path, entry, &journal, err))
        return false;
    scan->provider = str_dup(scan->arena, str_of(journal.dialect));
    scan->provider_file = path;
    bool *taken = arena_array(scan->scratch, bool, scan->entries.n + 1);
    for (size_t i = 0; i < journal.entries.n; i++) {
        if (!add_entry(scan, path, &journal.entries.p[i], i, taken, err))
            return false;
    }
    for (size_t i = 0; i < scan->entries.n; i++) {
        const char *name = scan->entries.p[i].name;
        if (taken[i] || format_parse_name(FORMAT_DRIZZLE, str_of(name)).kind == NAME_IGNORED)
            continue;
        error_set(err, ERROR_USAGE, "'%s/%s' is not in '%s' and would never run", scan->dir, name,
                  path);
        return error_hint(err, "Let drizzle-kit make it ('drizzle-kit generate --custom'), or move "
                               "it out of the directory.");
    }
    return true;
}

bool
scan_collect(Scan *scan, Error *err)
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
    case LAYOUT_JOURNAL:
        return collect_journal(scan, err);
    case LAYOUT_DIRS:
        break;
    }
    if (scan->format == FORMAT_PRISMA && !scan->look && !read_provider(scan, err))
        return false;
    return collect_dirs(scan, err);
}
