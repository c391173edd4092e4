/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What stands behind a row of tools.def where the row cannot say it all, and what these functions
 * share. Private to the room: other rooms see tools/tool.h alone.
 */

#include "tools/tool.h"

#define TOOL_INSPECT(name)                                                                         \
    bool name(Arena *arena, Project *project, bool *ret_is, Error *err) MUST_CHECK
#define TOOL_FILES(name)                                                                           \
    bool name(Arena *arena, const Project *project, ToolFiles *ret, Error *err) MUST_CHECK
#define TOOL_TROUBLE(name)                                                                         \
    bool name(Arena *arena, Db *db, const Project *project, ToolState *state, Error *err) MUST_CHECK

/* What inspecting found out beyond a Project, for whoever goes on with it: Project.details is
 * always one of these. */
typedef struct ToolDetails {
    const Package *package;  /* package.json, read once; never NULL */
    const Tool *script_tool; /* that its script of migrations drives; NULL = none, or not told */
    bool forced;         /* --tool or --command names this tool: the markers need not prove it */
    bool elsewhere;      /* its command line or configuration may put its migrations elsewhere */
    char *config;        /* the tool's own file that was read: "alembic.ini" */
    Words versions;      /* directories of migrations where there can be several (Alembic) */
    char *settings;      /* Django: the module of its settings, "mysite.settings" */
    Words url_variables; /* besides the row's: the ones its own files name, prisma's env("X") */
    const char *mode_variable; /* "RAILS_ENV", to be set to `mode` where it is not set */
    char *mode;                /* the section of its configuration that was read */
} ToolDetails;

static inline ToolDetails *
details_of(const Project *project)
{
    return project->details;
}

/* inspect.c: what inspectors share. Paths are as they are reached from here: below "." without
 * "./". */
enum { TOOL_FILE_CEILING = 1024 * 1024 };
char *project_path(Arena *arena, const Project *project, const char *name);
bool project_has(const Project *project, const char *name); /* anything of that name */
bool project_has_dir(const Project *project, const char *name);
/* *ret is absent where there is no such file; unreadable or too big is ERROR_USAGE. */
bool project_read(Arena *arena, const Project *project, const char *name, Str *ret, Error *err)
    MUST_CHECK;
/* The next line without its end (LF or CRLF); false at the end of the text. */
bool text_line(Str *rest, Str *ret);
bool text_has(Str text, const char *what);      /* anywhere, byte for byte */
bool text_has_word(Str text, const char *word); /* not as a part of a longer word */

/* Command lines: words_end puts the NULL behind the last, which is not counted. */
char **words_end(Arena *arena, Words *words);
void words_add(Arena *arena, Words *words, Str word);
void words_add_split(Arena *arena, Words *words, const char *text); /* at blanks */
/* The words that start the tool itself, as its row says where; false: it is not installed. */
bool project_program(Arena *arena, const Project *project, Words *ret);
char *project_missing(Arena *arena, const Project *project); /* a sentence */
/* Fills prefix and apply, or missing. */
void project_command(Arena *arena, Project *project, const char *apply);
void project_add_word(Arena *arena, Project *project, const char *word);
/* *ret: `name` where it is there (a leading star is any one directory), else NULL. */
bool project_find(Arena *arena, const Project *project, const char *name, char **ret, Error *err)
    MUST_CHECK;
/* The first of these (NULL-terminated) that is a directory becomes `migrations`. */
bool project_find_dir(Arena *arena, Project *project, const char *const *names);
void project_evidence(Arena *arena, Project *project, const char *name);

/* manifest.c: does a manifest of the tool's language (package.json, requirements.txt, Gemfile ...)
 * name its package? *ret_file: which one, NULL = none does. */
bool manifest_has(Arena *arena,
                  const Project *project,
                  const Package *package,
                  char **ret_file,
                  Error *err) MUST_CHECK;
bool package_has(const Package *package, const char *name);
/* NULL = it has no script of that name. */
const char *package_script(const Package *package, const char *name);

/* script.c: what a command line starts. */
/* The words of a script; where it starts another of them (`npm run build`), that one's stand in
 * place of its name. NULL = there is no such script. */
char **script_words(Arena *arena, const Package *package, const char *name);
bool words_apply(char *const *words); /* false: they make migrations, or are not for here */
/* They start the project's tool as it would be started without them (`apply`, `prefix`): no option
 * or variable more that changes what it is for. */
bool words_are_usual(char *const *words, const Project *project);
/* A program whose SQL files lockstep applies itself: dbmate, goose ... */
bool script_is_native(Arena *arena, const char *script);
/* The command line of a script of package.json into `project`: the tool's own program where it is
 * started plainly, else `npm run NAME`. */
void script_command(Arena *arena, Project *project, const char *name, const char *script);
const Tool *words_tool(char *const *words); /* NULL = it cannot be told */

/* ini.c: single values out of text; absent where there is none. Section "" = before the first. */
Str ini_value(Arena *arena, Str text, const char *section, const char *key);
/* `section:` of the highest level, `key: value` below it; `<<: *anchor` is followed. */
bool yaml_has_section(Str text, const char *section);
Str yaml_value(Str text, const char *section, const char *key);
Str dotenv_value(Str text, const char *key);
/* Code: what stands behind `key: ` or `key = `, when it is a quoted text or a path.join of such;
 * absent and *ret_there: it has to be computed. */
Str code_value(Arena *arena, Str text, const char *key, bool *ret_there);
Str code_block(Str text, const char *key); /* `key: { ... }` */
/* The name of the variable that stands behind the key: process.env.X, process.env["X"], env("X").
 */
Str code_variable(Str text, const char *key);

/* own_database.c: url and url_from of a project out of the tool's own files, where they tell. */
bool own_database(Arena *arena, Project *project, Error *err) MUST_CHECK;
typedef struct OwnParts {
    Str engine; /* "postgresql", "mysql2", "sqlite3", "pg" ... as the tool names it */
    Str host, port, database, user, password, params;
} OwnParts;
/* Nothing happens where the parts make no URL. */
void own_set_parts(Arena *arena, Project *project, const OwnParts *own, const char *from);
void own_set_url(Arena *arena, Project *project, Str url, const char *from);
/* A variable of the process, or of the .env beside. */
bool own_variable(Arena *arena, const Project *project, Str name, Str *ret, Error *err) MUST_CHECK;
/* own_code.c: the same out of code. */
bool own_code_database(Arena *arena, Project *project, Error *err) MUST_CHECK;
/* own_json.c: the same out of JSON files; what does not parse tells nothing. */
bool own_json_database(Arena *arena, Project *project, Error *err) MUST_CHECK;

/* inspect_python.c */
TOOL_INSPECT(django_inspect);
TOOL_INSPECT(flask_inspect);
TOOL_INSPECT(alembic_inspect);
TOOL_INSPECT(yoyo_inspect);
/* inspect_node.c */
TOOL_INSPECT(prisma_inspect);
TOOL_INSPECT(drizzle_inspect);
TOOL_INSPECT(node_inspect);
TOOL_INSPECT(sequelize_inspect);
TOOL_INSPECT(script_only_inspect);
TOOL_INSPECT(typeorm_inspect);
TOOL_INSPECT(node_pg_migrate_inspect);
TOOL_INSPECT(postgrator_inspect);
TOOL_INSPECT(at_databases_inspect);
TOOL_INSPECT(ley_inspect);
TOOL_INSPECT(npm_inspect);
/* inspect_other.c */
TOOL_INSPECT(rails_inspect);
TOOL_INSPECT(sequel_inspect);
TOOL_INSPECT(laravel_inspect);
TOOL_INSPECT(ecto_inspect);
TOOL_INSPECT(sqitch_inspect);
TOOL_INSPECT(sql_migrate_inspect);
TOOL_INSPECT(flyway_inspect);
TOOL_INSPECT(plain_inspect);

/* files_python.c, files_node.c, files_other.c */
TOOL_FILES(django_files);
TOOL_FILES(alembic_files);
TOOL_FILES(yoyo_files);
TOOL_FILES(prisma_files);
TOOL_FILES(drizzle_files);
TOOL_FILES(node_files);
TOOL_FILES(graphile_files);
TOOL_FILES(postgrator_files);
TOOL_FILES(rails_files);
TOOL_FILES(sequel_files);
TOOL_FILES(laravel_files);
TOOL_FILES(ecto_files);
TOOL_FILES(sqitch_files);
TOOL_FILES(sql_migrate_files);

/* trouble.c */
TOOL_TROUBLE(alembic_trouble);
TOOL_TROUBLE(yoyo_trouble);
TOOL_TROUBLE(prisma_trouble);
TOOL_TROUBLE(knex_trouble);
TOOL_TROUBLE(liquibase_trouble);
