/* SPDX-License-Identifier: Apache-2.0 */
/* A version table that stands in another file than the database. */

#include "tools/adapters.h"

#include <string.h>

#include "core/banned.h"

enum { PATH_CEILING = 4096 };

/* Sqitch on SQLite: its registry is a file beside the database, called after it. */
bool
tool_attach(Arena *arena, Db *db, const Project *project, Error *err)
{
    const char *registry = project->schema ? project->schema : project->tool->schema;
    const char *path = NULL;
    DbResult files;
    if (project->tool != tool_row(TOOL_SQITCH) || !db_has_query(db, Q_TOOL_FILES))
        return true;
    if (!db_ask(db, arena, Q_TOOL_FILES, NULL, &files, err))
        return false;
    for (size_t i = 0; i < files.rows; i++) {
        Str name = DB_CELL(&files, i, 0), file = DB_CELL(&files, i, 1);
        if (str_eq(name, str_of(registry)))
            return true;
        size_t slash = file.n;
        while (slash && file.p[slash - 1] != '/')
            slash--;
        if (str_eq(name, STR("main")) && slash)
            path = str_printf(arena, STR_FMT "%s.db", STR_ARG(str_sub(file, 0, slash)), registry);
    }
    if (!path || strlen(path) > PATH_CEILING || fs_kind(path) != FS_FILE)
        return true;
    return db_do(
        db, Q_TOOL_ATTACH,
        DB_ARGS(ARG_TEXT("path", str_of(path)), ARG_IDENT("name", STR_ABSENT, str_of(registry))),
        err);
}
