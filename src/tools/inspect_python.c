/* SPDX-License-Identifier: Apache-2.0 */
/* Django, Flask-Migrate, Alembic, yoyo: is it this one, and where does it keep things? */

#include <string.h>

#include "tools/adapters.h"
#include "core/banned.h"

/* ---- Django ---- */

bool
django_inspect(Arena *arena, Project *project, bool *ret_is, Error *err)
{
    ToolDetails *details = details_of(project);
    const char *named = env_get(project->environ_, "DJANGO_SETTINGS_MODULE");
    bool there;
    Str text;
    if (!project_read(arena, project, "manage.py", &text, err))
        return false;
    /* Flask projects of old have a manage.py as well. */
    *ret_is = text_has(text, "DJANGO_SETTINGS_MODULE") || text_has(text, "django");
    details->config = project_path(arena, project, "manage.py");
    details->settings =
        str_dup(arena, named && *named ? str_of(named)
                                       : code_value(arena, text, "DJANGO_SETTINGS_MODULE", &there));
    return true;
}

/* ---- Alembic ---- */

/* The directory that a file is in: "." at the top. */
static Str
dir_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (Str){path, (size_t)(slash - path)} : STR(".");
}

/* %(here)s is where the configuration stands, %% a single one. Absent: something else is asked. */
static Str
expand(Arena *arena, Str value, const char *config)
{
    StrBuf out = strbuf_new(arena, 2 * TOOL_FILE_CEILING);
    for (size_t i = 0; i < value.n; i++) {
        Str rest = str_sub(value, i, value.n);
        if (str_starts(rest, STR("%(here)s"))) {
            strbuf_add(&out, dir_of(config));
            i += strlen("%(here)s") - 1;
        } else if (str_starts(rest, STR("%%"))) {
            strbuf_addc(&out, '%');
            i++;
        } else if (str_starts(rest, STR("%("))) {
            return STR_ABSENT;
        } else {
            strbuf_addc(&out, value.p[i]);
        }
    }
    return strbuf_str(&out);
}

/* "./x/" -> "x"; "package:migrations" -> package/migrations, where that is a directory here. */
static char *
plain_dir(Arena *arena, Str text)
{
    text = str_trim(text);
    while (str_starts(text, STR("./")))
        text = str_sub(text, 2, text.n);
    while (text.n > 1 && text.p[text.n - 1] == '/')
        text.n--;
    char *dir = str_dup(arena, text);
    for (char *c = dir; c && *c; c++) {
        if (*c == ':')
            *c = '/';
        else if (c - dir < (ptrdiff_t)str_find(text, ':') && *c == '.' &&
                 str_find(text, ':') < text.n)
            *c = '/';
    }
    return dir;
}

static Str
without_quotes(Str value)
{
    if (value.n > 1 && (value.p[0] == '"' || value.p[0] == '\'') &&
        value.p[value.n - 1] == value.p[0])
        return str_sub(value, 1, value.n - 1);
    return value;
}

/* Several directories; what stands between them is the project's choice (blanks, commas, colons).
 */
static void
add_versions(Arena *arena, Project *project, Str value, const char *config)
{
    ToolDetails *details = details_of(project);
    for (size_t i = 0, from = 0; i <= value.n; i++) {
        if (i < value.n && !strchr(" \t\n,:;[]\"'", value.p[i]))
            continue;
        Str one = expand(arena, str_sub(value, from, i), config);
        from = i + 1;
        if (one.n)
            *vec_push(arena, &details->versions) =
                project_path(arena, project, plain_dir(arena, one));
    }
}

/* version_table and version_table_schema, where env.py says them as plain texts. */
static bool
read_env_py(Arena *arena, Project *project, const char *dir, Error *err)
{
    bool named, placed;
    Str text;
    if (!project_read(arena, project, fs_join(arena, dir, "env.py"), &text, err))
        return false;
    Str table = code_value(arena, text, "version_table", &named);
    Str schema = code_value(arena, text, "version_table_schema", &placed);
    details_of(project)->elsewhere |= (named && !table.n) || (placed && !schema.n);
    if (table.n)
        project->table = str_dup(arena, table);
    if (schema.n)
        project->schema = str_dup(arena, schema);
    return true;
}

/* The script directory, and below it (or where version_locations says) the migrations. */
static bool
settle_alembic(
    Arena *arena, Project *project, const char *config, const char *dir, Str locations, Error *err)
{
    ToolDetails *details = details_of(project);
    details->config = project_path(arena, project, config);
    if (locations.n)
        add_versions(arena, project, locations, config);
    if (details->versions.n == 0)
        *vec_push(arena, &details->versions) =
            project_path(arena, project, fs_join(arena, dir, "versions"));
    if (details->versions.n == 1)
        project->migrations = details->versions.p[0];
    return read_env_py(arena, project, dir, err);
}

/* Revisions may stand at any depth then. */
static void
note_recursion(Arena *arena, Project *project, Str text, const char *section)
{
    Str value = without_quotes(ini_value(arena, text, section, "recursive_version_locations"));
    details_of(project)->elsewhere |= value.n && !str_eq_nocase(value, STR("false"));
}

bool
alembic_inspect(Arena *arena, Project *project, bool *ret_is, Error *err)
{
    ToolDetails *details = details_of(project);
    const char *named = env_get(project->environ_, "ALEMBIC_CONFIG");
    const char *config = named && *named ? named : "alembic.ini", *section = "alembic";
    Str text;
    *ret_is = false;
    if (!project_read(arena, project, config, &text, err))
        return false;
    if (!text.p) {
        config = "pyproject.toml";
        section = "tool.alembic";
        if (!project_read(arena, project, config, &text, err))
            return false;
    }
    Str place = without_quotes(ini_value(arena, text, section, "script_location"));
    if (!place.p)
        return true;
    *ret_is = true;
    details->config = project_path(arena, project, config);
    project_evidence(arena, project, config);
    place = expand(arena, place, config);
    if (!place.n)
        return true;
    note_recursion(arena, project, text, section);
    return settle_alembic(arena, project, config, plain_dir(arena, place),
                          ini_value(arena, text, section, "version_locations"), err);
}

/* ---- Flask-Migrate ---- */

bool
flask_inspect(Arena *arena, Project *project, bool *ret_is, Error *err)
{
    char *env_py = NULL;
    Str text = STR_ABSENT;
    if (!project_find(arena, project, "migrations/env.py", &env_py, err) ||
        (!env_py && !project_find(arena, project, "*/migrations/env.py", &env_py, err)) ||
        (env_py && !project_read(arena, project, env_py, &text, err)))
        return false;
    *ret_is = text_has_word(text, "current_app") || text_has_word(text, "flask");
    if (!env_py)
        return true;
    project->evidence.n = 0;
    project_evidence(arena, project, env_py);
    char *dir = str_dup(arena, dir_of(env_py)), *ini = fs_join(arena, dir, "alembic.ini");
    if (strcmp(dir, "migrations") != 0) {
        project_add_word(arena, project, "-d");
        project_add_word(arena, project, dir);
    }
    if (!project_read(arena, project, ini, &text, err))
        return false;
    note_recursion(arena, project, text, "alembic");
    return settle_alembic(arena, project, ini, dir,
                          ini_value(arena, text, "alembic", "version_locations"), err);
}

/* ---- yoyo ---- */

bool
yoyo_inspect(Arena *arena, Project *project, bool *ret_is, Error *err)
{
    ToolDetails *details = details_of(project);
    Str text;
    if (!project_read(arena, project, "yoyo.ini", &text, err))
        return false;
    Str sources = ini_value(arena, text, "DEFAULT", "sources");
    Str table = ini_value(arena, text, "DEFAULT", "migration_table");
    *ret_is = text.p != NULL;
    details->config = project_path(arena, project, "yoyo.ini");
    add_versions(arena, project, sources, "yoyo.ini");
    if (details->versions.n == 1)
        project->migrations = details->versions.p[0];
    if (table.n)
        project->table = str_dup(arena, table);
    return true;
}
