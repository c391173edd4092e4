/* SPDX-License-Identifier: Apache-2.0 */
/* The database out of the JSON files of postgrator, db-migrate and Sequelize. A file that is no
 * JSON (these tools take code as well) tells nothing; its text is never shown, as passwords stand
 * in it. */

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

static bool
load(Arena *arena, const char *path, json_t **ret, Error *err)
{
    Str text;
    *ret = NULL;
    if (fs_kind(path) == FS_ABSENT)
        return true;
    if (!fs_read(arena, path, TOOL_FILE_CEILING, &text, err))
        return false;
    *ret = json_loadb(text.p, text.n, 0, NULL);
    return true;
}

/* A text, a number, or {"ENV": "NAME"}. */
static Str
value_of(Arena *arena, const Project *project, json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    const char *name = json_string_value(json_object_get(value, "ENV"));
    if (name)
        return str_of(env_get(project->environ_, name));
    if (json_is_integer(value))
        return str_of(str_printf(arena, "%lld", (long long)json_integer_value(value)));
    return str_copy(arena, str_of(json_string_value(value)));
}

static Str
first_of(Arena *arena, const Project *project, json_t *object, const char *a, const char *b)
{
    Str value = value_of(arena, project, object, a);
    return value.n ? value : value_of(arena, project, object, b);
}

static void
from_object(Arena *arena, Project *project, json_t *object, const char *from)
{
    OwnParts parts = {.engine = first_of(arena, project, object, "driver", "dialect"),
                      .host = value_of(arena, project, object, "host"),
                      .port = value_of(arena, project, object, "port"),
                      .database = value_of(arena, project, object, "database"),
                      .user = first_of(arena, project, object, "username", "user"),
                      .password = value_of(arena, project, object, "password")};
    if (str_starts(parts.engine, STR("sqlite")))
        parts = (OwnParts){.engine = parts.engine,
                           .database = first_of(arena, project, object, "filename", "storage")};
    own_set_parts(arena, project, &parts, from);
}

static bool
from_postgrator(Arena *arena, Project *project, Error *err)
{
    static const char *const names[] = {".postgratorrc", ".postgratorrc.json", "postgrator.json"};
    for (size_t i = 0; i < COUNT_OF(names) && !project->url; i++) {
        AUTO_JSON *root = NULL;
        if (!load(arena, project_path(arena, project, names[i]), &root, err))
            return false;
        Str url = value_of(arena, project, root, "connectionString");
        if (url.n)
            own_set_url(arena, project, url, names[i]);
        else
            from_object(arena, project, root, names[i]);
    }
    return true;
}

static void
take_variable(Arena *arena, Project *project, const char *name, const char *file)
{
    const char *value = env_get(project->environ_, name);
    words_add(arena, &details_of(project)->url_variables, str_of(name));
    own_set_url(arena, project, str_of(value), str_printf(arena, "%s (%s)", name, file));
}

static bool
from_db_migrate(Arena *arena, Project *project, Error *err)
{
    AUTO_JSON *root = NULL;
    if (!load(arena, project_path(arena, project, "database.json"), &root, err))
        return false;
    const char *modes[] = {project->mode, json_string_value(json_object_get(root, "defaultEnv")),
                           "dev", "development"};
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        json_t *part = modes[i] ? json_object_get(root, modes[i]) : NULL;
        const char *name = json_string_value(json_object_get(part, "ENV"));
        if (!part)
            continue;
        details_of(project)->mode = str_dup(arena, str_of(modes[i]));
        if (name)
            take_variable(arena, project, name, "database.json");
        else if (json_is_string(part))
            own_set_url(arena, project, str_of(json_string_value(part)), "database.json");
        else
            from_object(arena, project, part, str_printf(arena, "database.json, %s", modes[i]));
        return true;
    }
    return true;
}

static bool
from_sequelize(Arena *arena, Project *project, Error *err)
{
    ToolDetails *details = details_of(project);
    const char *set = env_get(project->environ_, "NODE_ENV");
    AUTO_JSON *root = NULL;
    if (!details->config || !str_ends(str_of(details->config), STR(".json")))
        return true;
    if (!load(arena, details->config, &root, err))
        return false;
    const char *mode = set && *set                                             ? set
                       : project->mode && json_object_get(root, project->mode) ? project->mode
                                                                               : "development";
    json_t *part = json_object_get(root, mode);
    const char *name = json_string_value(json_object_get(part, "use_env_variable"));
    details->mode = str_dup(arena, str_of(mode));
    details->mode_variable = "NODE_ENV";
    if (name)
        take_variable(arena, project, name, details->config);
    else if (part)
        from_object(arena, project, part, str_printf(arena, "%s, %s", details->config, mode));
    return true;
}

bool
own_json_database(Arena *arena, Project *project, Error *err)
{
    if (project->tool == tool_row(TOOL_POSTGRATOR))
        return from_postgrator(arena, project, err);
    if (project->tool == tool_row(TOOL_DB_MIGRATE))
        return from_db_migrate(arena, project, err);
    if (project->tool == tool_row(TOOL_SEQUELIZE))
        return from_sequelize(arena, project, err);
    return true;
}
