/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tools of Node. Their configuration is code that is not run: what stands in it as plain text
 * (a directory, the name of a table) is taken, what is computed is not known.
 */

#include <fnmatch.h>
#include <string.h>

#include "tools/adapters.h"
#include "core/banned.h"

/* "./db/migrations/" -> "db/migrations" */
static char *
plain_dir(Arena *arena, Str text)
{
    while (str_starts(text, STR("./")))
        text = str_sub(text, 2, text.n);
    while (text.n > 1 && text.p[text.n - 1] == '/')
        text.n--;
    return str_dup(arena, text);
}

static void
set_dir(Arena *arena, Project *project, Str dir)
{
    char *plain = plain_dir(arena, dir);
    if (plain && *plain && project_has_dir(project, plain))
        project->migrations = project_path(arena, project, plain);
}

static void
set_table(Arena *arena, Project *project, Str table, Str schema)
{
    if (table.n)
        project->table = str_dup(arena, table);
    if (schema.n)
        project->schema = str_dup(arena, schema);
}

/* The version table by these keys of code; what is computed is not known. */
static void
set_table_of(
    Arena *arena, Project *project, Str code, const char *table_key, const char *schema_key)
{
    bool named, placed;
    Str table = code_value(arena, code, table_key, &named);
    Str schema = code_value(arena, code, schema_key, &placed);
    details_of(project)->elsewhere |= (named && !table.n) || (placed && !schema.n);
    set_table(arena, project, table, schema);
}

static bool
read_first(Arena *arena,
           const Project *project,
           const char *const *names,
           Str *ret,
           const char **ret_name,
           Error *err)
{
    *ret = STR_ABSENT;
    *ret_name = NULL;
    for (size_t i = 0; names[i] && !ret->p; i++) {
        if (!project_read(arena, project, names[i], ret, err))
            return false;
        *ret_name = ret->p ? names[i] : NULL;
    }
    return true;
}

/* The row's own markers as a list that ends. */
static bool
read_config(Arena *arena, Project *project, Str *ret, Error *err)
{
    const char *names[TOOL_MARKERS + 1] = {0}, *name;
    size_t n = 0;
    for (size_t i = 0; i < TOOL_MARKERS && project->tool->markers[i]; i++)
        if (strcmp(project->tool->markers[i], "package.json") != 0)
            names[n++] = project->tool->markers[i];
    if (!read_first(arena, project, names, ret, &name, err))
        return false;
    details_of(project)->config = name ? project_path(arena, project, name) : NULL;
    return true;
}

/* The script of package.json starts it, and it is a dependency. */
static bool
is_driven(const Project *project)
{
    const ToolDetails *details = details_of(project);
    return details->script_tool == project->tool;
}

static bool
is_dependency(const Project *project)
{
    return package_has(details_of(project)->package, project->tool->package);
}

/* A directory of that name with at least one file of migrations in it. */
static bool
has_files(Arena *arena, const Project *project, const char *dir, const char *pattern, Error *err)
{
    FsList list;
    char *path = project_path(arena, project, dir);
    if (fs_kind(path) != FS_DIR || !fs_list(arena, path, &list, err))
        return false;
    for (size_t i = 0; i < list.n; i++)
        if (list.p[i].target_kind == FS_FILE && fnmatch(pattern, list.p[i].name, 0) == 0)
            return true;
    return false;
}

/* ---- Prisma, Drizzle ---- */

static bool
read_prisma_schema(Arena *arena, Project *project, Str *ret, Error *err)
{
    static const char *const schemas[] = {"prisma/schema.prisma", "schema.prisma",
                                          "prisma/schema/schema.prisma", NULL};
    const char *name;
    if (!read_first(arena, project, schemas, ret, &name, err))
        return false;
    details_of(project)->config = name ? project_path(arena, project, name) : NULL;
    return true;
}

bool
prisma_inspect(Arena *arena, Project *project, bool *ret_is, Error *err)
{
    static const char *const configs[] = {"prisma.config.ts", "prisma.config.js", NULL};
    static const char *const usual[] = {"prisma/migrations", "migrations", NULL};
    const char *name;
    bool there;
    Str schema, config;
    if (!read_prisma_schema(arena, project, &schema, err) ||
        !read_first(arena, project, configs, &config, &name, err))
        return false;
    /* `migrate` is not for MongoDB. */
    *ret_is = !(text_has(schema, "\"mongodb\"") && !text_has(schema, "\"postgresql\""));
    Str path = code_value(arena, code_block(config, "migrations"), "path", &there);
    if (path.n)
        set_dir(arena, project, path);
    if (!there)
        (void)project_find_dir(arena, project, usual);
    return true;
}

bool
drizzle_inspect(Arena *arena, Project *project, bool *ret_is, Error *err)
{
    bool there;
    Str text;
    if (!read_config(arena, project, &text, err))
        return false;
    *ret_is = true;
    Str out = code_value(arena, text, "out", &there), block = code_block(text, "migrations");
    if (!there)
        out = STR("drizzle");
    set_dir(arena, project, out);
    set_table_of(arena, project, block, "table", "schema");
    return true;
}

/* ---- Knex, MikroORM, db-migrate, graphile-migrate ---- */

/* `knex init` writes a part for each environment. Of a part that takes more from elsewhere (`...`)
 * the text around it tells, as long as it says it once. */
static Str
part_of_mode(Project *project, Str text)
{
    ToolDetails *details = details_of(project);
    const char *set = env_get(project->environ_, "NODE_ENV");
    const char *mode = set && *set ? set : project->mode;
    Str part = mode ? code_block(text, mode) : STR_ABSENT;
    if (part.p && mode == project->mode) {
        details->mode = project->mode;
        details->mode_variable = "NODE_ENV";
    }
    if (!part.p)
        part = code_block(text, "development");
    if (!part.p || text_has(part, "migrations"))
        return part.p ? part : text;
    if (!text_has(part, "..."))
        return part;
    size_t once = str_find_str(text, STR("migrations"));
    details->elsewhere |= text_has(str_sub(text, once + 1, text.n), "migrations: {");
    return text;
}

static void
inspect_block(Arena *arena, Project *project, Str text, const char *key)
{
    bool there;
    Str block = code_block(text, "migrations");
    Str dir = code_value(arena, block.p ? block : STR(""), key, &there);
    set_dir(arena, project, there ? dir : STR("migrations"));
    set_table_of(arena, project, text, "tableName", "schemaName");
}

static bool
inspect_db_migrate(Arena *arena, Project *project, bool *ret_is, Error *err)
{
    bool there, ignored;
    Str rc, config;
    if (!project_read(arena, project, ".db-migraterc", &rc, err) ||
        !project_read(arena, project, "database.json", &config, err))
        return false;
    /* Other things are called database.json too. */
    *ret_is = is_dependency(project) || rc.p || text_has(config, "\"driver\"");
    details_of(project)->config = project_path(arena, project, "database.json");
    Str dir = code_value(arena, rc, "migrations-dir", &there);
    set_dir(arena, project, there ? dir : STR("migrations"));
    set_table(arena, project, code_value(arena, rc, "migration-table", &ignored), STR_ABSENT);
    return true;
}

bool
node_inspect(Arena *arena, Project *project, bool *ret_is, Error *err)
{
    const Tool *tool = project->tool;
    bool there;
    Str text;
    *ret_is = true;
    if (tool == tool_row(TOOL_DB_MIGRATE))
        return inspect_db_migrate(arena, project, ret_is, err);
    if (!read_config(arena, project, &text, err))
        return false;
    if (tool == tool_row(TOOL_GRAPHILE)) {
        Str folder = code_value(arena, text, "migrationsFolder", &there);
        char *dir = plain_dir(arena, there ? folder : STR("migrations"));
        if (dir)
            set_dir(arena, project, str_of(fs_join(arena, dir, "committed")));
        return true;
    }
    bool knex = tool == tool_row(TOOL_KNEX);
    inspect_block(arena, project, knex ? part_of_mode(project, text) : text,
                  knex ? "directory" : "path");
    return true;
}

bool
sequelize_inspect(Arena *arena, Project *project, bool *ret_is, Error *err)
{
    static const char *const configs[] = {"config/config.json", "config/config.js",
                                          "config/config.cjs", "config/database.js", NULL};
    const char *name;
    bool there;
    Str rc, config;
    if (!project_read(arena, project, ".sequelizerc", &rc, err) ||
        !read_first(arena, project, configs, &config, &name, err))
        return false;
    Str own = code_value(arena, rc, "config", &there);
    if (own.n) {
        name = plain_dir(arena, own);
        if (!project_read(arena, project, name, &config, err))
            return false;
    }
    Str dir = code_value(arena, rc, "migrations-path", &there);
    set_dir(arena, project, there ? dir : STR("migrations"));
    const char *set = env_get(project->environ_, "NODE_ENV");
    const char *mode = set && *set ? set : project->mode ? project->mode : "development";
    Str part = code_block(config, mode);
    part = part.p ? part : config;
    set_table_of(arena, project, part, "migrationStorageTableName", "migrationStorageTableSchema");
    details_of(project)->config = name ? project_path(arena, project, name) : NULL;
    *ret_is = rc.p || (is_dependency(project) && project->migrations);
    return true;
}

/* ---- tools without a configuration file of their own ---- */

bool
script_only_inspect(Arena *arena, Project *project, bool *ret_is, Error *err)
{
    (void)err;
    *ret_is = is_driven(project);
    if (!*ret_is)
        project->missing =
            str_printf(arena,
                       "%s has no program of its own, and package.json has no script that "
                       "starts it",
                       project->tool->title);
    return true;
}

/* A compiled data source; TypeScript only where what runs it is installed. */
static const char *
find_data_source(const Project *project)
{
    static const char *const names[] = {"data-source.js",
                                        "dist/data-source.js",
                                        "dist/src/data-source.js",
                                        "build/data-source.js",
                                        "dist/database/data-source.js",
                                        "src/data-source.js",
                                        "ormconfig.js",
                                        "dist/ormconfig.js",
                                        "data-source.cjs",
                                        "data-source.mjs",
                                        "src/data-source.ts",
                                        "data-source.ts"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        bool typescript = str_ends(str_of(names[i]), STR(".ts"));
        if (project_has(project, names[i]) &&
            (!typescript || (project_has(project, "node_modules/ts-node") &&
                             project_has(project, "node_modules/.bin/typeorm-ts-node-commonjs"))))
            return names[i];
    }
    return NULL;
}

static void
start_typeorm(Arena *arena, Project *project, const char *source)
{
    if (!source && project_has(project, "ormconfig.json")) {
        project_command(arena, project, "migration:run"); /* 0.2: it finds the file by itself */
        return;
    }
    if (!source) {
        project->apply = project->prefix = NULL;
        project->missing = str_dup(arena, STR("TypeORM must be told its data source, and no "
                                              "data-source.js was found"));
        return;
    }
    project_evidence(arena, project, source);
    project_add_word(arena, project, source);
    if (project->apply && str_ends(str_of(source), STR(".ts"))) {
        static const char program[] = "node_modules/.bin/typeorm-ts-node-commonjs";
        project->apply[0] = project->prefix[0] = project_path(arena, project, program);
    }
}

bool
typeorm_inspect(Arena *arena, Project *project, bool *ret_is, Error *err)
{
    const char *source = find_data_source(project);
    bool ignored;
    Str text = STR_ABSENT;
    if (source && !project_read(arena, project, source, &text, err))
        return false;
    *ret_is = is_driven(project) || project->evidence.n > 0 ||
              (is_dependency(project) && source && text_has(text, "migrations"));
    details_of(project)->config = source ? project_path(arena, project, source) : NULL;
    set_table(arena, project, code_value(arena, text, "migrationsTableName", &ignored), STR_ABSENT);
    start_typeorm(arena, project, source);
    return true;
}

bool
node_pg_migrate_inspect(Arena *arena, Project *project, bool *ret_is, Error *err)
{
    bool there, ignored;
    Str text;
    if (!read_config(arena, project, &text, err))
        return false;
    Str dir = code_value(arena, text, "migrations-dir", &there);
    set_dir(arena, project, there ? dir : STR("migrations"));
    set_table(arena, project, code_value(arena, text, "migrations-table", &ignored),
              code_value(arena, text, "migrations-schema", &ignored));
    *ret_is = text.p || is_driven(project) || (is_dependency(project) && project->migrations);
    if (!text.p)
        project_evidence(arena, project, "package.json");
    return true;
}

bool
postgrator_inspect(Arena *arena, Project *project, bool *ret_is, Error *err)
{
    bool there, ignored;
    Str text;
    *ret_is = true;
    if (!read_config(arena, project, &text, err))
        return false;
    Str pattern = code_value(arena, text, "migrationPattern", &there);
    size_t end = pattern.n;
    while (end > 0 && pattern.p[end - 1] != '/')
        end--;
    set_dir(arena, project, there ? str_sub(pattern, 0, end ? end - 1 : 0) : STR("migrations"));
    Str table = code_value(arena, text, "schemaTable", &ignored);
    size_t dot = str_find(table, '.');
    if (table.n && dot < table.n)
        set_table(arena, project, str_sub(table, dot + 1, table.n), str_sub(table, 0, dot));
    else
        set_table(arena, project, table, STR_ABSENT);
    return true;
}

bool
at_databases_inspect(Arena *arena, Project *project, bool *ret_is, Error *err)
{
    bool files = has_files(arena, project, "migrations", "[0-9]*.[jst]*", err);
    if (err->code != ERROR_NONE)
        return false;
    set_dir(arena, project, STR("migrations"));
    *ret_is = is_dependency(project) && (is_driven(project) || files);
    project_evidence(arena, project, "package.json");
    project_add_word(arena, project, "--directory");
    project_add_word(arena, project, "migrations");
    return true;
}

bool
ley_inspect(Arena *arena, Project *project, bool *ret_is, Error *err)
{
    Str text;
    if (!read_config(arena, project, &text, err))
        return false;
    set_dir(arena, project, STR("migrations"));
    *ret_is = text.p || is_driven(project) || (is_dependency(project) && project->migrations);
    if (!text.p)
        project_evidence(arena, project, "package.json");
    return true;
}

bool
npm_inspect(Arena *arena, Project *project, bool *ret_is, Error *err)
{
    (void)arena;
    (void)err;
    *ret_is = details_of(project)->package->script != NULL;
    return true;
}
