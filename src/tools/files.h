/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the readers of migration files share, and what reading the version table shares with
 * looking for trouble. Private to the room. */

#include "tools/adapters.h"

enum {
    TOOL_MIGRATIONS_MAX = 20000, /* more are not looked at: then only the tool knows */
    TOOL_ROWS_MAX = 100000,
};

/* "Only the tool knows": known = false and the reason; true, because that is no error. */
bool files_unknown(Arena *arena, ToolFiles *ret, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Sorted entries. False: cannot be read, and files_unknown has been said. A directory that is not
 * there is unknown too: it may have another name. */
bool files_list(Arena *arena, const char *dir, FsList *ret, ToolFiles *files) MUST_CHECK;
/* A small file; false as above. */
bool files_text(Arena *arena, const char *path, Str *ret, ToolFiles *files) MUST_CHECK;
/* id, version and name are copied. */
ToolMigration *files_add(Arena *arena, ToolFiles *files, Str id, Str name, const char *file);
/* Known, in the order of files_compare of the ids. */
bool files_by_name(Arena *arena, ToolFiles *files);
/* Known, each after all that its `after` names (ids that are not there are passed over); else in
 * the order they stand in. A circle is unknown. */
bool files_by_dependency(Arena *arena, ToolFiles *files);
/* The project's one directory of migrations; NULL, and files_unknown, when it is not known. */
const char *files_dir(Arena *arena, const Project *project, ToolFiles *files);

/* Names that begin with a number in the order of these numbers, then byte by byte. A slash in front
 * does not count. */
int files_compare(const char *a, const char *b);
size_t digits_at(Str s); /* length of the run of digits at the start */

/* Ids by name. */
typedef struct ToolIndex {
    const char **ids; /* sorted */
    size_t *at;
    size_t n;
} ToolIndex;
ToolIndex index_new(Arena *arena, size_t n);
void index_add(ToolIndex *index, const char *id, size_t at);
void index_sort(Arena *arena, ToolIndex *index);
bool index_find(const ToolIndex *index, const char *id, size_t *ret);

/* Where the project's Python finds modules, in its order: PYTHONPATH, then the packages of the
 * interpreter that is started. The project's own directory is not among them. */
Words python_roots(Arena *arena, const Project *project);
/* Full path of the program that is started; NULL = not found. */
char *started_program(Arena *arena, const Project *project);

/* ---- state.c, for trouble.c ---- */
typedef struct ToolColumn {
    char *name, *time; /* "zoned", "plain", "millis", "" */
} ToolColumn;

typedef struct ToolTable {
    bool found;
    char *schema, *name; /* as the database writes them; schema NULL on SQLite */
    VEC(ToolColumn) columns;
} ToolTable;

/* Schema as configured, the row's own where the engine has it, or the caller's. */
Str tool_schema(const Db *db, const Project *project, Str schema);
bool tool_table(Arena *arena, Db *db, Str schema, const char *name, ToolTable *ret, Error *err)
    MUST_CHECK;
ToolTrouble *tool_trouble(Arena *arena, ToolState *state, bool blocks);
/* Indexes that a failed CREATE INDEX CONCURRENTLY left. */
bool index_trouble(Arena *arena, Db *db, Str schema, ToolState *state, Error *err) MUST_CHECK;
