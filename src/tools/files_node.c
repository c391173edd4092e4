/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Migrations of Node's tools: files by name, Prisma's folders, Drizzle's journal. Names are kept as
 * the tool's table has them (docs/tools.md); state.c compares them without endings, because what
 * was .ts when it was applied may be .js in the image.
 */

#include <jansson.h>
#include <string.h>

#include "tools/files.h"

#include "core/banned.h"

static Str
extension(Str name)
{
    size_t dot = name.n;
    while (dot > 0 && name.p[dot - 1] != '.')
        dot--;
    return dot ? str_sub(name, dot - 1, name.n) : STR("");
}

static bool
is_one_of(Str what, const char *const *list)
{
    for (size_t i = 0; list[i]; i++) {
        if (str_eq(what, str_of(list[i])))
            return true;
    }
    return false;
}

/* What each tool takes for a migration in its directory. */
static bool
is_migration(ToolId tool, Str name)
{
    static const char *const knex[] = {".co",  ".coffee",    ".eg", ".iced", ".js",
                                       ".cjs", ".litcoffee", ".ls", ".ts",   ".mjs",
                                       ".mts", ".cts",       NULL};
    static const char *const sequelize[] = {".js", ".cjs", ".ts", ".cts", NULL};
    static const char *const ley[] = {".js", ".cjs", ".mjs", ".ts", ".cts", ".mts", NULL};
    static const char *const db_migrate[] = {".js", NULL};
    Str ext = extension(name);
    if (name.p[0] == '.')
        return false;
    if (str_ends(name, STR(".d.ts")))
        return false;
    if (tool == TOOL_AT_DATABASES) /* numbered; SQL, or code that Node can load */
        return name.p[0] >= '0' && name.p[0] <= '9' &&
               (str_eq(ext, STR(".sql")) || is_one_of(ext, ley));
    if (tool == TOOL_NODE_PG_MIGRATE)
        return true; /* everything, but names that begin with a dot */
    return is_one_of(ext, tool == TOOL_KNEX        ? knex
                          : tool == TOOL_SEQUELIZE ? sequelize
                          : tool == TOOL_LEY       ? ley
                                                   : db_migrate);
}

bool
node_files(Arena *arena, const Project *project, ToolFiles *ret, Error *err)
{
    (void)err;
    ToolId tool = (ToolId)(project->tool - tool_row((ToolId)0));
    const char *dir = files_dir(arena, project, ret);
    FsList list;
    if (!dir || !files_list(arena, dir, &list, ret))
        return true;
    for (size_t i = 0; i < list.n; i++) {
        Str name = str_of(list.p[i].name), id = name;
        /* ley looks into folders, db-migrate calls them scopes: rare, and for them to judge. */
        if (list.p[i].target_kind == FS_DIR && tool == TOOL_LEY)
            return files_unknown(arena, ret, "'%s' holds folders", dir);
        if (list.p[i].target_kind != FS_FILE || !is_migration(tool, name))
            continue;
        Str stem = str_sub(name, 0, name.n - extension(name).n);
        const char *path = fs_join(arena, dir, name.p);
        if (tool == TOOL_NODE_PG_MIGRATE)
            id = stem;
        else if (tool == TOOL_DB_MIGRATE)
            id = str_of(str_printf(arena, "/" STR_FMT, STR_ARG(stem)));
        files_add(arena, ret, id, stem, path)->version = str_dup(arena, stem);
    }
    return files_by_name(arena, ret);
}

bool
prisma_files(Arena *arena, const Project *project, ToolFiles *ret, Error *err)
{
    (void)err;
    const char *dir = files_dir(arena, project, ret);
    FsList list;
    if (!dir || !files_list(arena, dir, &list, ret))
        return true;
    for (size_t i = 0; i < list.n; i++) {
        const char *file = fs_join(arena, fs_join(arena, dir, list.p[i].name), "migration.sql");
        Str name = str_of(list.p[i].name);
        if (list.p[i].target_kind == FS_DIR && fs_kind(file) == FS_FILE)
            files_add(arena, ret, name, name, file);
    }
    return files_by_name(arena, ret);
}

/* ---- Drizzle ---- */

/* entries: [{"idx": 0, "when": 1704067200000, "tag": "0000_init"}]; the time is what its table
 * keeps. */
static bool
read_journal(Arena *arena, const char *dir, const json_t *entries, ToolFiles *ret)
{
    size_t i;
    const json_t *entry;
    if (!json_is_array(entries) || json_array_size(entries) > TOOL_MIGRATIONS_MAX)
        return false;
    json_array_foreach(entries, i, entry)
    {
        const json_t *when = json_object_get(entry, "when");
        const char *tag = json_string_value(json_object_get(entry, "tag"));
        if (!json_is_integer(when) || !tag || strchr(tag, '/'))
            return false;
        char *id = str_printf(arena, "%lld", (long long)json_integer_value(when));
        char *file = fs_join(arena, dir, str_printf(arena, "%s.sql", tag));
        files_add(arena, ret, str_of(id), str_of(tag), file)->version = str_dup(arena, str_of(tag));
    }
    return true;
}

static void
drop_json(json_t **json)
{
    json_decref(*json);
}

bool
drizzle_files(Arena *arena, const Project *project, ToolFiles *ret, Error *err)
{
    (void)err;
    const char *dir = files_dir(arena, project, ret);
    if (!dir)
        return true;
    const char *path = fs_join(arena, dir, "meta/_journal.json");
    Str text;
    json_error_t why;
    if (!files_text(arena, path, &text, ret))
        return true;
    CLEANUP(drop_json) json_t *journal = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &why);
    if (!journal || !read_journal(arena, dir, json_object_get(journal, "entries"), ret)) {
        ret->items.n = 0;
        return files_unknown(arena, ret, "'%s' is not a journal of Drizzle", path);
    }
    ret->known = true; /* in the order of the journal, which is the order of the tool */
    return true;
}

/* ---- graphile-migrate, postgrator ---- */

bool
graphile_files(Arena *arena, const Project *project, ToolFiles *ret, Error *err)
{
    (void)err;
    const char *dir = files_dir(arena, project, ret);
    if (!dir)
        return true;
    const char *committed = fs_join(arena, dir, "committed");
    FsList list;
    if (!files_list(arena, fs_kind(committed) == FS_DIR ? committed : dir, &list, ret))
        return true;
    for (size_t i = 0; i < list.n; i++) { /* 000001.sql, 000001-message.sql: kept as 000001.sql */
        Str name = str_of(list.p[i].name), number = str_sub(name, 0, digits_at(name));
        Str rest = str_sub(name, number.n, name.n);
        if (list.p[i].target_kind != FS_FILE || number.n != 6 || !str_ends(rest, STR(".sql")) ||
            (rest.p[0] != '-' && rest.n != 4))
            continue;
        char *id = str_printf(arena, STR_FMT ".sql", STR_ARG(number));
        Str message = rest.p[0] == '-' ? str_sub(rest, 1, rest.n - 4) : number;
        files_add(arena, ret, str_of(id), message,
                  fs_join(arena, fs_kind(committed) == FS_DIR ? committed : dir, name.p));
    }
    return files_by_name(arena, ret);
}

bool
postgrator_files(Arena *arena, const Project *project, ToolFiles *ret, Error *err)
{
    (void)err;
    const char *dir = files_dir(arena, project, ret);
    static const char *const known[] = {".sql", ".js", ".mjs", ".cjs", NULL};
    FsList list;
    if (!dir || !files_list(arena, dir, &list, ret))
        return true;
    for (size_t i = 0; i < list.n; i++) { /* 001.do.name.sql */
        Str name = str_of(list.p[i].name), ext = extension(name);
        Str number = str_sub(name, 0, digits_at(name)), rest = str_sub(name, number.n, name.n);
        if (list.p[i].target_kind != FS_FILE || !number.n || !is_one_of(ext, known) ||
            !str_starts(rest, STR(".do.")))
            continue;
        while (number.n > 1 && number.p[0] == '0')
            number = str_sub(number, 1, number.n);
        Str stem = rest.n > 4 + ext.n ? str_sub(rest, 4, rest.n - ext.n) : STR("");
        files_add(arena, ret, number, stem, fs_join(arena, dir, name.p));
    }
    return files_by_name(arena, ret);
}
