/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The database out of configuration that is code (Drizzle, Prisma's config file, TypeORM,
 * MikroORM). It is not run: a quoted text is taken, and a variable of the process that stands there
 * by its name; what is computed tells nothing.
 */

#include <string.h>

#include "tools/adapters.h"
#include "core/banned.h"

/* Where a tool's code names it: `url` in the block of that name, NULL = anywhere. */
typedef struct Place {
    ToolId tool;
    const char *file; /* NULL = the project's own configuration */
    const char *block, *url;
} Place;

static const Place places[] = {
    {TOOL_DRIZZLE, NULL, "dbCredentials", "url"},
    {TOOL_DRIZZLE, NULL, "dbCredentials", "connectionString"},
    {TOOL_PRISMA, "prisma.config.ts", "datasource", "directUrl"},
    {TOOL_PRISMA, "prisma.config.ts", "datasource", "url"},
    {TOOL_PRISMA, "prisma.config.js", "datasource", "url"},
    {TOOL_TYPEORM, NULL, NULL, "url"},
    {TOOL_MIKROORM, NULL, NULL, "clientUrl"},
};

/* The value of a key, and where it is a variable's, that one's name. */
static bool
value_of(Arena *arena,
         const Project *project,
         Str code,
         const char *key,
         Str *ret,
         Str *ret_name,
         Error *err)
{
    bool there;
    *ret = code_value(arena, code, key, &there);
    *ret_name = ret->p ? STR_ABSENT : code_variable(code, key);
    return !ret_name->n || own_variable(arena, project, *ret_name, ret, err);
}

static bool
from_place(Arena *arena, Project *project, const Place *place, Error *err)
{
    ToolDetails *details = details_of(project);
    const char *file = place->file ? project_path(arena, project, place->file) : details->config;
    Str text, value, name;
    if (!file || fs_kind(file) != FS_FILE)
        return true;
    if (!fs_read(arena, file, TOOL_FILE_CEILING, &text, err))
        return false;
    Str code = place->block ? code_block(text, place->block) : text;
    if (!code.p)
        return true;
    if (!value_of(arena, project, code, place->url, &value, &name, err))
        return false;
    if (name.n)
        words_add(arena, &details->url_variables, name);
    if (project->url || !value.n)
        return true;
    own_set_url(arena, project, value,
                name.n ? str_printf(arena, STR_FMT " (%s)", STR_ARG(name), file)
                       : str_printf(arena, "%s, %s", file, place->url));
    project->url_is_direct = strcmp(place->url, "directUrl") == 0;
    return true;
}

/* dialect: 'postgresql', dbCredentials: { host, port, user, password, database } */
static bool
from_drizzle_parts(Arena *arena, Project *project, Error *err)
{
    static const char *const keys[] = {"host", "port", "user", "password", "database"};
    const char *file = details_of(project)->config;
    Str text, values[COUNT_OF(keys)], ignored;
    bool there;
    if (!file || project->url)
        return true;
    if (!fs_read(arena, file, TOOL_FILE_CEILING, &text, err))
        return false;
    Str code = code_block(text, "dbCredentials");
    for (size_t i = 0; i < COUNT_OF(keys) && code.p; i++)
        if (!value_of(arena, project, code, keys[i], &values[i], &ignored, err))
            return false;
    if (code.p && values[0].n)
        own_set_parts(arena, project,
                      &(OwnParts){.engine = code_value(arena, text, "dialect", &there),
                                  .host = values[0],
                                  .port = values[1],
                                  .user = values[2],
                                  .password = values[3],
                                  .database = values[4]},
                      str_printf(arena, "%s, dbCredentials", file));
    return true;
}

bool
own_code_database(Arena *arena, Project *project, Error *err)
{
    for (size_t i = 0; i < COUNT_OF(places); i++)
        if (tool_row(places[i].tool) == project->tool &&
            !from_place(arena, project, &places[i], err))
            return false;
    return project->tool != tool_row(TOOL_DRIZZLE) || from_drizzle_parts(arena, project, err);
}
