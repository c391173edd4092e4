/* SPDX-License-Identifier: Apache-2.0 */
/* Migrations of Ruby's, PHP's and Elixir's tools, of Sqitch and of sql-migrate: by file name, and
 * Sqitch's plan by line. */

#include <stdlib.h>
#include <string.h>

#include "tools/files.h"

#include "core/banned.h"

enum { FOLDER_DEPTH = 4 };

/* ---- NUMBER_name.EXT, perhaps in folders ---- */

typedef struct Numbered {
    Arena *arena;
    ToolFiles *files;
    const char *ext;
    bool deep;
} Numbered;

static bool
add_numbered(const Numbered *n, const char *dir, int depth)
{
    FsList list;
    if (!files_list(n->arena, dir, &list, n->files))
        return false;
    for (size_t i = 0; i < list.n; i++) {
        Str name = str_of(list.p[i].name), number = str_sub(name, 0, digits_at(name));
        const char *path = fs_join(n->arena, dir, name.p);
        if (list.p[i].kind == FS_DIR && n->deep && depth < FOLDER_DEPTH) {
            if (!add_numbered(n, path, depth + 1))
                return false;
            continue;
        }
        Str rest = str_sub(name, number.n, name.n), ext = str_of(n->ext);
        if (list.p[i].target_kind != FS_FILE || !number.n || rest.n <= ext.n + 1 ||
            rest.p[0] != '_' || !str_ends(rest, ext))
            continue;
        if (n->files->items.n > TOOL_MIGRATIONS_MAX) {
            files_unknown(n->arena, n->files, "there are too many migrations in '%s'", dir);
            return false;
        }
        while (number.n > 1 && number.p[0] == '0') /* kept as a number */
            number = str_sub(number, 1, number.n);
        files_add(n->arena, n->files, number, str_sub(rest, 1, rest.n - ext.n), path);
    }
    return true;
}

/* The settings of Rails that move migrations, or make them those of several databases. */
static bool
rails_is_plain(Arena *arena, const Project *project, ToolFiles *ret)
{
    const char *config = project_path(arena, project, "config");
    const char *db = project_path(arena, project, "db");
    static const char *const files[] = {"application.rb", "environment.rb", "database.yml"};
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        const char *path = fs_join(arena, config, files[i]);
        Str text;
        if (fs_kind(path) != FS_FILE)
            continue;
        if (!files_text(arena, path, &text, ret))
            return false;
        if (text_has(text, "migrations_paths") || text_has(text, "paths[\"db/migrate\"]") ||
            text_has(text, "paths['db/migrate']") || text_has(text, "paths.add \"db/migrate\"")) {
            files_unknown(arena, ret, "'%s' says where migrations are", path);
            return false;
        }
    }
    FsList list;
    if (fs_kind(db) != FS_DIR)
        return true;
    if (!files_list(arena, db, &list, ret))
        return false;
    for (size_t i = 0; i < list.n; i++) {
        if (list.p[i].target_kind == FS_DIR && str_ends(str_of(list.p[i].name), STR("_migrate"))) {
            files_unknown(arena, ret, "'%s/%s' belongs to a second database", db, list.p[i].name);
            return false;
        }
    }
    return true;
}

bool
rails_files(Arena *arena, const Project *project, ToolFiles *ret, Error *err)
{
    (void)err;
    const char *dir = files_dir(arena, project, ret);
    Numbered n = {arena, ret, ".rb", true};
    if (!dir || !rails_is_plain(arena, project, ret) || !add_numbered(&n, dir, 0))
        return true;
    return files_by_name(arena, ret);
}

bool
ecto_files(Arena *arena, const Project *project, ToolFiles *ret, Error *err)
{
    (void)err;
    const char *dir = files_dir(arena, project, ret);
    Numbered n = {arena, ret, ".exs", true};
    if (!dir || !add_numbered(&n, dir, 0))
        return true;
    return files_by_name(arena, ret);
}

/* ---- whole names ---- */

bool
sequel_files(Arena *arena, const Project *project, ToolFiles *ret, Error *err)
{
    (void)err;
    const char *dir = files_dir(arena, project, ret);
    FsList list;
    bool times = false;
    if (!dir || !files_list(arena, dir, &list, ret))
        return true;
    for (size_t i = 0; i < list.n; i++) {
        Str name = str_of(list.p[i].name), number = str_sub(name, 0, digits_at(name));
        int64_t version;
        if (list.p[i].target_kind != FS_FILE || !str_ends(name, STR(".rb")) || !number.n ||
            number.n + 4 >= name.n || name.p[number.n] != '_')
            continue;
        if (!str_to_i64(number, &version) || version > 20000101)
            times = true;
        char *id = str_dup(arena, name);
        for (char *p = id; *p; p++) /* kept in lower case */
            *p = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
        files_add(arena, ret, str_of(id), str_sub(name, number.n + 1, name.n - 3),
                  fs_join(arena, dir, name.p));
    }
    /* Small numbers: then its table is another one, with one number in it. */
    if (!times && ret->items.n)
        return files_unknown(arena, ret, "its migrations are counted (schema_info)");
    return files_by_name(arena, ret);
}

/* Packages bring migrations of their own, from wherever their providers say. */
static bool
laravel_has_packages(Arena *arena, const Project *project, ToolFiles *ret)
{
    const char *vendor = project_path(arena, project, "vendor");
    FsList names, packages;
    if (fs_kind(vendor) != FS_DIR)
        return false;
    if (!files_list(arena, vendor, &names, ret))
        return true;
    for (size_t i = 0; i < names.n; i++) {
        const char *group = fs_join(arena, vendor, names.p[i].name);
        if (names.p[i].target_kind != FS_DIR)
            continue;
        if (!files_list(arena, group, &packages, ret))
            return true;
        for (size_t k = 0; k < packages.n; k++) {
            const char *package = fs_join(arena, group, packages.p[k].name);
            if (fs_kind(fs_join(arena, package, "database/migrations")) != FS_DIR)
                continue;
            files_unknown(arena, ret, "'%s' may bring migrations of its own", package);
            return true;
        }
    }
    return false;
}

static bool
add_whole(Arena *arena, const char *dir, const char *ext, bool keep_ext, ToolFiles *ret)
{
    FsList list;
    if (!files_list(arena, dir, &list, ret))
        return false;
    for (size_t i = 0; i < list.n; i++) {
        Str name = str_of(list.p[i].name);
        if (list.p[i].target_kind != FS_FILE || !str_ends(name, str_of(ext)))
            continue;
        Str stem = str_sub(name, 0, name.n - strlen(ext));
        files_add(arena, ret, keep_ext ? name : stem, stem, fs_join(arena, dir, name.p));
    }
    return true;
}

bool
laravel_files(Arena *arena, const Project *project, ToolFiles *ret, Error *err)
{
    (void)err;
    const char *dir = files_dir(arena, project, ret);
    if (!dir || laravel_has_packages(arena, project, ret) ||
        !add_whole(arena, dir, ".php", false, ret))
        return true;
    size_t kept = 0; /* "*_*.php" */
    for (size_t i = 0; i < ret->items.n; i++) {
        if (strchr(ret->items.p[i].id, '_'))
            ret->items.p[kept++] = ret->items.p[i];
    }
    ret->items.n = kept;
    /* A dump of the schema stands for migrations that were taken away. */
    const char *dumps = project_path(arena, project, "database/schema");
    if (fs_kind(dumps) == FS_DIR)
        return files_unknown(arena, ret, "'%s' may hold a dump of the schema", dumps);
    return files_by_name(arena, ret);
}

bool
sql_migrate_files(Arena *arena, const Project *project, ToolFiles *ret, Error *err)
{
    (void)err;
    const char *dir = files_dir(arena, project, ret);
    if (!dir || !add_whole(arena, dir, ".sql", true, ret))
        return true;
    return files_by_name(arena, ret);
}

/* ---- Sqitch ---- */

static Str
first_word(Str line)
{
    size_t end = 0;
    while (end < line.n && line.p[end] != ' ' && line.p[end] != '\t')
        end++;
    return str_sub(line, 0, end);
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A change that was reworked stands in the plan, and in the table, once more: then names alone do
 * not tell. */
static bool
has_twice(Arena *arena, const ToolFiles *files)
{
    size_t n = files->items.n;
    char **names = arena_array(arena, char *, n + 1);
    for (size_t i = 0; i < n; i++)
        names[i] = files->items.p[i].id;
    qsort(names, n, sizeof *names, compare_names);
    for (size_t i = 1; i < n; i++) {
        if (strcmp(names[i - 1], names[i]) == 0)
            return true;
    }
    return false;
}

bool
sqitch_files(Arena *arena, const Project *project, ToolFiles *ret, Error *err)
{
    (void)err;
    const char *path = project_path(arena, project, "sqitch.plan");
    Str text;
    if (fs_kind(path) != FS_FILE)
        return files_unknown(arena, ret, "'%s' is not there", path);
    if (!files_text(arena, path, &text, ret))
        return true;
    for (Str line; text_line(&text, &line);) {
        line = str_trim(line);
        if (!line.n || line.p[0] == '#' || line.p[0] == '%' || line.p[0] == '@')
            continue;
        if (line.p[0] == '-')
            return files_unknown(arena, ret, "'%s' takes changes back", path);
        if (line.p[0] == '+')
            line = str_trim(str_sub(line, 1, line.n));
        Str name = first_word(line);
        if (!name.n || ret->items.n > TOOL_MIGRATIONS_MAX)
            return files_unknown(arena, ret, "'%s' cannot be read", path);
        files_add(arena, ret, name, name,
                  project_path(arena, project,
                               str_printf(arena, "deploy/" STR_FMT ".sql", STR_ARG(name))));
    }
    SCRATCH_ARENA(scratch);
    if (has_twice(scratch, ret))
        return files_unknown(arena, ret, "'%s' has a change that was reworked", path);
    ret->known = true; /* the plan's order */
    return true;
}
