/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command lines of people: which tool one starts, whether it applies migrations at all, and how it
 * is started here. A script of package.json is the shell's; it is not interpreted, only its words
 * are looked at.
 */

#include <string.h>

#include "proc/proc.h"
#include "tools/adapters.h"
#include "core/banned.h"

enum { WORDS_CEILING = 1000 };

/* Programs by the last part of their path; `needs`: only with a word that begins like this. */
static const struct {
    const char *word;
    ToolId tool;
    const char *needs;
} programs[] = {
    {"manage.py", TOOL_DJANGO, NULL},
    {"django-admin", TOOL_DJANGO, NULL},
    {"flask", TOOL_FLASK_MIGRATE, "db"},
    {"alembic", TOOL_ALEMBIC, NULL},
    {"yoyo", TOOL_YOYO, NULL},
    {"rails", TOOL_RAILS, "db:"},
    {"rake", TOOL_RAILS, "db:"},
    {"sequel", TOOL_SEQUEL, NULL},
    {"artisan", TOOL_LARAVEL, NULL},
    {"mix", TOOL_ECTO, "ecto."},
    {"prisma", TOOL_PRISMA, NULL},
    {"drizzle-kit", TOOL_DRIZZLE, NULL},
    {"knex", TOOL_KNEX, NULL},
    {"sequelize", TOOL_SEQUELIZE, NULL},
    {"sequelize-cli", TOOL_SEQUELIZE, NULL},
    {"umzug", TOOL_UMZUG, NULL},
    {"typeorm", TOOL_TYPEORM, NULL},
    {"typeorm-ts-node-commonjs", TOOL_TYPEORM, NULL},
    {"typeorm-ts-node-esm", TOOL_TYPEORM, NULL},
    {"mikro-orm", TOOL_MIKROORM, NULL},
    {"mikro-orm-esm", TOOL_MIKROORM, NULL},
    {"node-pg-migrate", TOOL_NODE_PG_MIGRATE, NULL},
    {"db-migrate", TOOL_DB_MIGRATE, NULL},
    {"graphile-migrate", TOOL_GRAPHILE, NULL},
    {"postgrator", TOOL_POSTGRATOR, NULL},
    {"postgrator-cli", TOOL_POSTGRATOR, NULL},
    {"pg-migrations", TOOL_AT_DATABASES, NULL},
    {"ley", TOOL_LEY, NULL},
    {"sqitch", TOOL_SQITCH, NULL},
    {"sql-migrate", TOOL_SQL_MIGRATE, NULL},
    {"liquibase", TOOL_LIQUIBASE, NULL},
    {"flyway", TOOL_FLYWAY, NULL},
    {"efbundle", TOOL_EF_BUNDLE, NULL},
};

/* What makes migrations, or throws the database away: never at deploy (facts: several projects had
 * to take it out again). `second` NULL: the first word is enough; a star ends what only has to
 * begin so. */
static const struct {
    ToolId tool;
    const char *first, *second;
} generators[] = {
    {TOOL_DJANGO, "makemigrations", NULL},
    {TOOL_DJANGO, "flush", NULL},
    {TOOL_FLASK_MIGRATE, "db", "migrate"},
    {TOOL_FLASK_MIGRATE, "db", "revision"},
    {TOOL_FLASK_MIGRATE, "db", "init"},
    {TOOL_ALEMBIC, "revision", NULL},
    {TOOL_YOYO, "new", NULL},
    {TOOL_RAILS, "generate", NULL},
    {TOOL_RAILS, "g", NULL},
    {TOOL_RAILS, "db:reset", NULL},
    {TOOL_RAILS, "db:drop", NULL},
    {TOOL_LARAVEL, "make:*", NULL},
    {TOOL_LARAVEL, "migrate:fresh", NULL},
    {TOOL_LARAVEL, "migrate:refresh", NULL},
    {TOOL_ECTO, "ecto.gen.*", NULL},
    {TOOL_ECTO, "ecto.reset", NULL},
    {TOOL_PRISMA, "migrate", "dev"},
    {TOOL_PRISMA, "migrate", "reset"},
    {TOOL_PRISMA, "db", "push"},
    {TOOL_DRIZZLE, "generate*", NULL},
    {TOOL_DRIZZLE, "push*", NULL},
    {TOOL_DRIZZLE, "drop", NULL},
    {TOOL_KNEX, "migrate:make", NULL},
    {TOOL_SEQUELIZE, "migration:*", NULL},
    {TOOL_SEQUELIZE, "model:*", NULL},
    {TOOL_SEQUELIZE, "db:drop", NULL},
    {TOOL_TYPEORM, "migration:generate", NULL},
    {TOOL_TYPEORM, "migration:create", NULL},
    {TOOL_TYPEORM, "schema:*", NULL},
    {TOOL_MIKROORM, "migration:create", NULL},
    {TOOL_MIKROORM, "migration:fresh", NULL},
    {TOOL_MIKROORM, "schema:*", NULL},
    {TOOL_NODE_PG_MIGRATE, "create", NULL},
    {TOOL_DB_MIGRATE, "create", NULL},
    {TOOL_GRAPHILE, "watch", NULL},
    {TOOL_GRAPHILE, "commit", NULL},
    {TOOL_GRAPHILE, "reset", NULL},
    {TOOL_LEY, "new", NULL},
    {TOOL_SQITCH, "add", NULL},
    {TOOL_SQL_MIGRATE, "new", NULL},
};

/* ---- words ---- */

/* As the shell would split it; where that fails, at blanks. */
static char **
split(Arena *arena, Str script)
{
    char **words;
    if (str_split_words(arena, script, &words))
        return words;
    Words at_blanks = {0};
    words_add_split(arena, &at_blanks, str_dup(arena, script));
    return words_end(arena, &at_blanks);
}

/* "node_modules/.bin/knex" -> "knex", "prisma@6" -> "prisma", "./umzug.js" -> "umzug" */
static Str
program_of(const char *word)
{
    static const Str ends[] = {{".js", 3}, {".cjs", 4}, {".mjs", 4}, {".ts", 3}, {".rb", 3}};
    const char *slash = strrchr(word, '/');
    Str name = str_of(slash ? slash + 1 : word);
    for (size_t i = 0; i < COUNT_OF(ends); i++)
        if (str_ends(name, ends[i]))
            name.n -= ends[i].n;
    size_t at = str_find(name, '@');
    return at > 0 && at < name.n ? str_sub(name, 0, at) : name;
}

/* "node_modules/typeorm/cli.js", "@databases/pg-migrations" */
static const Tool *
package_of(const char *word)
{
    const char *inside = strstr(word, "node_modules/");
    Str package = str_of(inside ? inside + strlen("node_modules/") : word);
    for (int id = 0; id < TOOL_COUNT; id++) {
        const Tool *tool = tool_row((ToolId)id);
        Str name = str_of(tool->package);
        if (!name.p || strcmp(tool->runtime, "node") != 0 || !str_starts(package, name))
            continue;
        if (inside ? package.p[name.n] == '/' : name.p[0] == '@' && package.n == name.n)
            return tool;
    }
    return NULL;
}

static bool
has_word(char *const *words, const char *start)
{
    for (; *words; words++)
        if (strncmp(*words, start, strlen(start)) == 0)
            return true;
    return false;
}

/* The tool that the first of these words is a program of. */
static const Tool *
word_tool(char *const *words)
{
    Str name = program_of(words[0]);
    for (size_t i = 0; i < COUNT_OF(programs); i++)
        if (str_eq(name, str_of(programs[i].word)) &&
            (!programs[i].needs || has_word(words + 1, programs[i].needs)))
            return tool_row(programs[i].tool);
    return package_of(words[0]);
}

const Tool *
words_tool(char *const *words)
{
    for (size_t n = 0; words[n] && n < WORDS_CEILING; n++) {
        const Tool *tool = word_tool(words + n);
        if (tool)
            return tool;
    }
    return NULL;
}

/* ---- scripts that start others ---- */

enum { SCRIPT_DEPTH = 8 };

static bool
is_runner(const char *word)
{
    static const char *const runners[] = {"npm",   "pnpm",  "yarn",  "bun",
                                          "run-s", "run-p", "run-z", "npm-run-all"};
    Str name = program_of(word);
    for (size_t i = 0; i < COUNT_OF(runners); i++)
        if (str_eq(name, str_of(runners[i])))
            return true;
    return false;
}

/* "build;" -> "build", and true: what follows is another command. */
static bool
cut_end(char *word)
{
    static const char ends[] = ";&|()";
    size_t n = strlen(word), kept = n;
    while (kept > 0 && strchr(ends, word[kept - 1]))
        kept--;
    word[kept] = 0;
    return kept < n;
}

static void add_script(Arena *arena, const Package *package, Str text, int depth, Words *ret);

/* Words behind `npm run` that name a script, up to the end of that command. */
static void
add_word(Arena *arena, const Package *package, char *word, int depth, bool *runs, Words *ret)
{
    bool ends = cut_end(word);
    const char *script = *runs && depth < SCRIPT_DEPTH ? package_script(package, word) : NULL;
    if (script)
        add_script(arena, package, str_of(script), depth + 1, ret);
    else if (strpbrk(word, " \t\n") && depth < SCRIPT_DEPTH) /* sh -c "..." */
        add_script(arena, package, str_of(word), depth + 1, ret);
    else if (*word)
        words_add(arena, ret, str_of(word));
    *runs = !ends && (*runs || is_runner(word));
}

static void
add_script(Arena *arena, const Package *package, Str text, int depth, Words *ret)
{
    bool runs = false;
    for (char **words = split(arena, text); *words && ret->n < WORDS_CEILING; words++)
        add_word(arena, package, *words, depth, &runs, ret);
}

char **
script_words(Arena *arena, const Package *package, const char *name)
{
    const char *script = package_script(package, name);
    Words words = {0};
    if (!script)
        return NULL;
    add_script(arena, package, str_of(script), 0, &words);
    return words_end(arena, &words);
}

/* ---- scripts that are not for here ---- */

static bool
is_like(const char *word, const char *pattern)
{
    size_t n = strlen(pattern);
    return pattern[n - 1] == '*' ? strncmp(word, pattern, n - 1) == 0 : strcmp(word, pattern) == 0;
}

static bool
generates(char *const *words, const Tool *tool)
{
    for (; *words; words++) {
        for (size_t i = 0; i < COUNT_OF(generators); i++) {
            const char *second = generators[i].second;
            if (tool_row(generators[i].tool) == tool && is_like(*words, generators[i].first) &&
                (!second || (words[1] && is_like(words[1], second))))
                return true;
        }
    }
    return false;
}

/* Started from outside of the image, or lockstep itself, which would find this script again. */
static bool
is_from_outside(const char *word)
{
    static const char *const outside[] = {"docker", "docker-compose", "podman", "kubectl", "ssh",
                                          "heroku", "flyctl",         "dokku",  "lockstep"};
    for (size_t i = 0; i < COUNT_OF(outside); i++)
        if (str_eq(program_of(word), str_of(outside[i])))
            return true;
    return false;
}

bool
words_apply(char *const *words)
{
    for (size_t n = 0; words[n]; n++) {
        const Tool *tool = word_tool(words + n);
        if (is_from_outside(words[n]) || (tool && generates(words + n + 1, tool)))
            return false;
    }
    return true;
}

/* How many of the words are those that the tool itself would be started with; 0 = they are not. */
static size_t
own_words(char *const *words, const Project *project)
{
    size_t n = 0, program = 0;
    while (project->prefix && project->prefix[program])
        program++;
    for (char **own = project->apply ? project->apply + program : NULL; own && own[n]; n++)
        if (!words[n] || strcmp(words[n], own[n]) != 0)
            return 0;
    return n;
}

bool
words_are_usual(char *const *words, const Project *project)
{
    static const char *const harmless[] = {
        "--", "--noinput", "--no-input", "--force", "--yes",      "-y",          "--verbose",
        "-v", "--trace",   "--color",    "--batch", "--no-color", "--if-present"};
    while (*words) {
        size_t own = own_words(words, project);
        bool known = own || (strcmp(*words, "cd") != 0 && !strchr(*words, '=') && **words != '-');
        for (size_t i = 0; i < COUNT_OF(harmless) && !known; i++)
            known = strcmp(*words, harmless[i]) == 0;
        if (!known)
            return false;
        words += own ? own : 1;
    }
    return true;
}

bool
script_is_native(Arena *arena, const char *script)
{
    static const char *const native[] = {"dbmate", "goose", "diesel", "sqlx", "tern", "migrate"};
    char **words = split(arena, str_of(script));
    for (size_t n = 0; words[n] && n < WORDS_CEILING; n++)
        for (size_t i = 0; i < COUNT_OF(native); i++)
            if (str_eq(program_of(words[n]), str_of(native[i])))
                return n == 0 || words[n][0] != '-';
    return false;
}

/* ---- how it is started ---- */

static const char *
runner(Arena *arena, const Project *project)
{
    static const struct {
        const char *lock, *program;
    } runners[] = {{"pnpm-lock.yaml", "pnpm"},
                   {"yarn.lock", "yarn"},
                   {"bun.lock", "bun"},
                   {"bun.lockb", "bun"}};
    for (size_t i = 0; i < COUNT_OF(runners); i++)
        if (project_has(project, runners[i].lock) &&
            proc_which(arena, runners[i].program, project->environ_))
            return runners[i].program;
    return proc_which(arena, "npm", project->environ_) ? "npm" : NULL;
}

/* Nothing in it that only a shell understands. */
static bool
is_plain(const char *script, char *const *words)
{
    return words[0] && !strpbrk(script, "&|;<>()$`*?{}#~\\\n") && !strchr(words[0], '=');
}

/* Words before those that are for the tool: its program, or `python manage.py`'s python. */
static size_t
words_of_program(const Tool *tool, char *const *words)
{
    if (tool == tool_row(TOOL_DJANGO)) {
        bool python = strncmp(words[0], "python", strlen("python")) == 0 && words[1];
        return python && strcmp(words[1], "manage.py") == 0 ? 1 : 0;
    }
    return word_tool(words) == tool ? 1 : 0;
}

static bool
start_directly(Arena *arena, Project *project, char *const *words)
{
    Words prefix = {0}, all = {0};
    if (!project_program(arena, project, &prefix))
        return false;
    for (size_t i = 0; i < prefix.n; i++)
        words_add(arena, &all, str_of(prefix.p[i]));
    for (; *words; words++)
        words_add(arena, &all, str_of(*words));
    project->prefix = words_end(arena, &prefix);
    project->apply = words_end(arena, &all);
    return true;
}

/* What npm starts before or after it: then npm has to. */
static bool
has_hooks(Arena *arena, const Package *package, const char *name)
{
    return package_script(package, str_printf(arena, "pre%s", name)) ||
           package_script(package, str_printf(arena, "post%s", name));
}

void
script_command(Arena *arena, Project *project, const char *name, const char *script)
{
    char **words = split(arena, str_of(script));
    bool plain = is_plain(script, words);
    size_t skip = plain ? words_of_program(project->tool, words) : 0;
    const char *program = runner(arena, project);
    bool hooks = has_hooks(arena, details_of(project)->package, name);
    bool npx = plain && strcmp(words[0], "npx") == 0 && words[1] &&
               words_of_program(project->tool, words + 1) == 1;
    project->script = str_dup(arena, str_of(name));
    details_of(project)->elsewhere =
        !words_are_usual(script_words(arena, details_of(project)->package, name), project);
    project->apply = project->prefix = NULL;
    project->missing = NULL;
    if (skip && start_directly(arena, project, words + skip) && !(program && hooks))
        return;
    if (skip && !project->apply) {
        project->missing = project_missing(arena, project);
        return;
    }
    if (!program && npx && start_directly(arena, project, words + 2))
        return;
    if (!program) {
        project->missing =
            str_printf(arena,
                       "the script '%s' of package.json needs npm, and there is no `npm` in "
                       "PATH",
                       name);
        return;
    }
    Words run = {0};
    words_add(arena, &run, str_of(program));
    words_add(arena, &run, STR("run"));
    words_add(arena, &run, str_of(name));
    project->apply = words_end(arena, &run);
}
