/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a project says it is made of. JSON is parsed; the manifests of Python, Ruby and Elixir are
 * read line by line for a name, as their own languages would be needed to read them whole.
 */

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "tools/adapters.h"
#include "core/banned.h"

static void
json_cleanup(json_t **root)
{
    json_decref(*root);
}
#define AUTO_JSON CLEANUP(json_cleanup) json_t

/* ---- JSON ---- */

static json_t *
parse(Str text, json_error_t *error)
{
    /* npm and composer read a file with a byte order mark as well. */
    if (str_starts(text, STR("\xEF\xBB\xBF")))
        text = str_sub(text, 3, text.n);
    return json_loadb(text.p, text.n, 0, error);
}

static bool
load_object(Arena *arena, const char *path, json_t **ret, Error *err)
{
    Str text;
    json_error_t error;
    if (!fs_read(arena, path, TOOL_FILE_CEILING, &text, err))
        return false;
    json_t *root = parse(text, &error);
    if (!root) {
        error_set(err, ERROR_USAGE, "not JSON: %s", error.text);
        return error_at(err, path, error.line > 0 ? (size_t)error.line : 1,
                        error.column > 0 ? (size_t)error.column : 1);
    }
    if (!json_is_object(root)) {
        json_decref(root);
        error_set(err, ERROR_USAGE, "it must hold one JSON object");
        return error_at(err, path, 1, 1);
    }
    *ret = root;
    return true;
}

static void
add_keys(Arena *arena, json_t *object, Words *ret)
{
    const char *name;
    json_t *value;
    if (json_is_object(object))
        json_object_foreach(object, name, value) words_add(arena, ret, str_of(name));
}

static int
compare_words(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

const char *
package_script(const Package *package, const char *name)
{
    for (size_t i = 0; i < package->scripts.n; i++)
        if (strcmp(package->scripts.p[i].name, name) == 0)
            return package->scripts.p[i].text;
    return NULL;
}

static void
add_scripts(Arena *arena, json_t *scripts, Package *package)
{
    const char *name;
    json_t *value;
    if (!json_is_object(scripts))
        return;
    json_object_foreach(scripts, name, value)
    {
        const char *text = json_string_value(value);
        if (text && *text)
            *vec_push(arena, &package->scripts) = (PackageScript){
                .name = str_dup(arena, str_of(name)), .text = str_dup(arena, str_of(text))};
    }
}

/* The script that migrates. One that makes migrations, or starts lockstep, is none; nor is one
 * before or after which npm would start such a script. */
static void
choose_script(Arena *arena, Package *package)
{
    static const char *const names[] = {"migrate", "db:migrate", "migrate:deploy", "migrate:up"};
    static const char *const hooks[] = {"", "pre", "post"};
    for (size_t i = 0; i < COUNT_OF(names) && !package->script; i++) {
        bool applies = true;
        for (size_t k = 0; k < COUNT_OF(hooks); k++) {
            char *name = str_printf(arena, "%s%s", hooks[k], names[i]);
            char **words = script_words(arena, package, name);
            applies = applies && (!words || words_apply(words));
        }
        const char *text = package_script(package, names[i]);
        package->script = applies ? str_dup(arena, str_of(text)) : NULL;
        if (text && !applies && !package->passed_over)
            package->passed_over = str_dup(arena, str_of(names[i]));
        package->script_name = package->script ? str_dup(arena, str_of(names[i])) : NULL;
    }
}

bool
package_read(Arena *arena, const char *dir, Package *ret, Error *err)
{
    static const char *const kinds[] = {"dependencies", "devDependencies", "optionalDependencies",
                                        "peerDependencies"};
    Package package = {0};
    AUTO_JSON *root = NULL;
    char *path = strcmp(dir, ".") == 0 ? str_dup(arena, STR("package.json"))
                                       : fs_join(arena, dir, "package.json");
    if (fs_kind(path) == FS_ABSENT) {
        *ret = package;
        return true;
    }
    if (!load_object(arena, path, &root, err))
        return false;
    package.found = true;
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        add_keys(arena, json_object_get(root, kinds[i]), &package.dependencies);
    if (package.dependencies.n)
        qsort(package.dependencies.p, package.dependencies.n, sizeof(char *), compare_words);
    add_scripts(arena, json_object_get(root, "scripts"), &package);
    choose_script(arena, &package);
    *ret = package;
    return true;
}

bool
package_has(const Package *package, const char *name)
{
    return package->dependencies.n &&
           bsearch(&name, package->dependencies.p, package->dependencies.n, sizeof(char *),
                   compare_words);
}

static bool
composer_has(Arena *arena, const Project *project, const char *package, char **ret_file, Error *err)
{
    AUTO_JSON *root = NULL;
    if (!project_has(project, "composer.json"))
        return true;
    if (!load_object(arena, project_path(arena, project, "composer.json"), &root, err))
        return false;
    if (json_object_get(json_object_get(root, "require"), package) ||
        json_object_get(json_object_get(root, "require-dev"), package))
        *ret_file = str_dup(arena, STR("composer.json"));
    return true;
}

/* ---- lines ---- */

static bool
is_separator(char c)
{
    return c == '-' || c == '_' || c == '.';
}

static char
lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool
is_name_char(char c)
{
    return is_separator(c) || (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9');
}

/* Does the text begin with this name? Python's rule: case is nothing, runs of - _ . are one. */
static bool
begins_with_name(Str text, const char *name)
{
    size_t i = 0;
    for (; *name; name++) {
        if (i == text.n)
            return false;
        if (is_separator(*name)) {
            if (!is_separator(text.p[i]))
                return false;
            while (i < text.n && is_separator(text.p[i]))
                i++;
        } else if (lower(text.p[i++]) != *name) {
            return false;
        }
    }
    return i == text.n || !is_name_char(text.p[i]);
}

/* At the start of the line, or at the start of something quoted in it. */
static bool
line_names(Str line, const char *name)
{
    line = str_trim(line);
    if (line.n == 0 || line.p[0] == '#')
        return false;
    if (begins_with_name(line, name))
        return true;
    for (size_t i = 0; i + 1 < line.n; i++)
        if ((line.p[i] == '"' || line.p[i] == '\'' || line.p[i] == ':') &&
            begins_with_name(str_sub(line, i + 1, line.n), name))
            return true;
    return false;
}

static bool
file_names(Arena *arena,
           const Project *project,
           const char *file,
           const char *name,
           char **ret_file,
           Error *err)
{
    Str text, line;
    if (!project_read(arena, project, file, &text, err))
        return false;
    while (!*ret_file && text.p && text_line(&text, &line))
        if (line_names(line, name))
            *ret_file = str_dup(arena, str_of(file));
    return true;
}

static bool
any_names(Arena *arena,
          const Project *project,
          const char *const *files,
          const char *name,
          char **ret_file,
          Error *err)
{
    for (size_t i = 0; files[i] && !*ret_file; i++)
        if (!file_names(arena, project, files[i], name, ret_file, err))
            return false;
    return true;
}

/* requirements.txt and requirements-prod.txt, and whatever stands in requirements/. */
static bool
requirements_name(
    Arena *arena, const Project *project, const char *name, char **ret_file, Error *err)
{
    static const char *const dirs[] = {"", "requirements/"};
    for (size_t d = 0; d < COUNT_OF(dirs); d++) {
        FsList list;
        const char *dir = *dirs[d] ? project_path(arena, project, "requirements") : project->dir;
        const char *pattern = *dirs[d] ? "*.txt" : "requirements*.txt";
        if (*dirs[d] && fs_kind(dir) != FS_DIR)
            return true;
        if (!fs_list(arena, dir, &list, err))
            return false;
        for (size_t i = 0; i < list.n && !*ret_file; i++) {
            char *file = str_printf(arena, "%s%s", dirs[d], list.p[i].name);
            if (list.p[i].target_kind == FS_FILE && fnmatch(pattern, list.p[i].name, 0) == 0 &&
                !file_names(arena, project, file, name, ret_file, err))
                return false;
        }
    }
    return true;
}

/* Does a manifest of this language name the package? */
static bool
names_package(Arena *arena,
              const Project *project,
              const Package *package,
              const char *name,
              char **ret_file,
              Error *err)
{
    static const char *const python[] = {"pyproject.toml", "Pipfile",  "Pipfile.lock",
                                         "poetry.lock",    "uv.lock",  "setup.cfg",
                                         "setup.py",       "pdm.lock", NULL};
    static const char *const ruby[] = {"Gemfile", "Gemfile.lock", "gems.rb", "gems.locked", NULL};
    static const char *const elixir[] = {"mix.exs", NULL};
    const char *runtime = project->tool->runtime;
    if (strcmp(runtime, "node") == 0 && package_has(package, name))
        *ret_file = str_dup(arena, STR("package.json"));
    if (strcmp(runtime, "python") == 0)
        return requirements_name(arena, project, name, ret_file, err) &&
               any_names(arena, project, python, name, ret_file, err);
    if (strcmp(runtime, "ruby") == 0)
        return any_names(arena, project, ruby, name, ret_file, err);
    if (strcmp(runtime, "php") == 0)
        return composer_has(arena, project, name, ret_file, err);
    if (strcmp(runtime, "elixir") == 0)
        return any_names(arena, project, elixir, name, ret_file, err);
    return true;
}

bool
manifest_has(
    Arena *arena, const Project *project, const Package *package, char **ret_file, Error *err)
{
    char *file = NULL;
    const char *name = project->tool->package;
    if (name && !names_package(arena, project, package, name, &file, err))
        return false;
    *ret_file = file;
    return true;
}

bool
tool_driver(Arena *arena, const Project *project, bool *ret_found, DbEngine *ret, Error *err)
{
    static const struct {
        const char *package;
        DbEngine engine;
    } drivers[] = {{"psycopg", DB_POSTGRES},
                   {"psycopg2", DB_POSTGRES},
                   {"psycopg2-binary", DB_POSTGRES},
                   {"psycopg-binary", DB_POSTGRES},
                   {"asyncpg", DB_POSTGRES},
                   {"pg8000", DB_POSTGRES},
                   {"mysqlclient", DB_MYSQL},
                   {"pymysql", DB_MYSQL},
                   {"aiomysql", DB_MYSQL},
                   {"asyncmy", DB_MYSQL},
                   {"mysql-connector-python", DB_MYSQL},
                   {"pg", DB_POSTGRES},
                   {"pg-promise", DB_POSTGRES},
                   {"postgres", DB_POSTGRES},
                   {"postgrex", DB_POSTGRES},
                   {"mysql", DB_MYSQL},
                   {"mysql2", DB_MYSQL},
                   {"trilogy", DB_MYSQL},
                   {"myxql", DB_MYSQL}};
    bool is[DB_SQLITE + 1] = {0};
    for (size_t i = 0; i < COUNT_OF(drivers); i++) {
        char *file = NULL;
        if (!names_package(arena, project, details_of(project)->package, drivers[i].package, &file,
                           err))
            return false;
        is[drivers[i].engine] |= file != NULL;
    }
    *ret_found = is[DB_POSTGRES] != is[DB_MYSQL];
    if (*ret_found)
        *ret = is[DB_POSTGRES] ? DB_POSTGRES : DB_MYSQL;
    return true;
}
