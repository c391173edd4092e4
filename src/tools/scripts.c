/* SPDX-License-Identifier: Apache-2.0 */
/* Start scripts and platform files that migrate by hand, beside lockstep or in its place. */

#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "tools/adapters.h"
#include "core/banned.h"

enum { SCRIPT_CEILING = 1 << 20, PATTERN_MAX = 128 };

static const char *const places[] = {
    "*entrypoint*",   "*.sh",          "bin/*",
    "scripts/*.sh",   "docker/*",      "docker-entrypoint.d/*",
    "Dockerfile*",    "Containerfile", "Procfile",
    "*compose*.y*ml", "app.json",      "fly.toml",
    "render.yaml",    "railway.*",     ".gitlab-ci.yml",
};

/* What writes new migrations from the models: in production it makes files that nobody has seen. */
static const char *const generators[] = {
    "makemigrations",     "flask db migrate", "flask db revision", "alembic revision",
    "prisma migrate dev", "prisma db push",   "drizzle-kit push",  "drizzle-kit generate",
};

/* What a project's own command or another spelling of a tool's is known by. */
static const char *const others[] = {
    "npm run migrate",
    "npm run db:migrate",
    "npm run migrate:deploy",
    "npm run migrate:up",
    "yarn migrate",
    "yarn db:migrate",
    "yarn run migrate",
    "pnpm migrate",
    "pnpm db:migrate",
    "pnpm run migrate",
    "pnpm run db:migrate",
    "bun run migrate",
    "rails db:prepare",
    "rake db:migrate",
    "sequelize db:migrate",
    "doctrine:migrations:migrate",
    "django-admin migrate",
    "diesel migration run",
    "sqlx migrate run",
    "dbmate up",
    "goose up",
};

/* Where the words of `what` begin in the line, as words; SIZE_MAX = not there. */
static bool
says(Str line, const char *what)
{
    size_t n = strlen(what);
    for (Str rest = line;;) {
        size_t at = str_find_str(rest, str_of(what));
        if (at >= rest.n)
            return false;
        bool ends = at + n == rest.n || strchr(" \t\"',;&|)\r", rest.p[at + n]);
        bool begins = at == 0 || strchr(" \t\"'/;&|(=", rest.p[at - 1]);
        if (begins && ends)
            return true;
        rest = str_sub(rest, at + 1, rest.n);
    }
}

/* The words by which a tool's own command is known: "manage.py migrate", "alembic upgrade". */
static bool
applying_words(const Tool *tool, char *ret)
{
    const char *program = NULL, *apply = tool->apply;
    for (size_t i = 0; i < TOOL_MARKERS && tool->programs[i]; i++)
        program = tool->programs[i];
    if (!program || !apply || !*apply || *apply == '-')
        return false;
    bool script = strncmp(apply, "manage.py", 9) == 0 || strncmp(apply, "artisan", 7) == 0;
    const char *slash = strrchr(program, '/');
    size_t words = 0, n = 0, want = script ? 2 : strchr(apply, ' ') ? 2 : 1;
    if (!script)
        n = (size_t)snprintf(ret, PATTERN_MAX, "%s ", slash ? slash + 1 : program);
    for (const char *p = apply; *p && n + 1 < PATTERN_MAX; p++) {
        if (*p == ' ' && (++words == want || p[1] == '-'))
            break;
        ret[n++] = *p;
    }
    ret[n] = 0;
    return true;
}

/* The first words by which something is applied that the text says. */
static bool
applies(Str text, char *ret_words)
{
    for (int id = 0; id < TOOL_COUNT; id++)
        if (applying_words(tool_row((ToolId)id), ret_words) && says(text, ret_words))
            return true;
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        (void)snprintf(ret_words, PATTERN_MAX, "%s", others[i]);
        if (says(text, ret_words))
            return true;
    }
    return false;
}

bool
tool_applies(Str text)
{
    char words[PATTERN_MAX];
    return text.p && applies(text, words);
}

static void
add(Arena *arena, Findings *findings, const Finding *finding, const char *file, size_t line)
{
    Finding one = *finding;
    one.file = str_dup(arena, str_of(file));
    one.line = line;
    *vec_push(arena, findings) = one;
}

static void
look_at_line(Arena *arena, Str text, const char *file, size_t line, Findings *ret)
{
    Str trimmed = str_trim(text);
    bool dry = str_find_str(text, STR("--check")) < text.n ||
               str_find_str(text, STR("--dry-run")) < text.n;
    if (str_starts(trimmed, STR("#")) || str_find_str(text, STR("lockstep")) < text.n)
        return;
    for (size_t i = 0; i < COUNT_OF(generators) && !dry; i++) {
        if (!says(text, generators[i]))
            continue;
        add(arena, ret,
            &(Finding){.rule = "generates-at-deploy",
                       .severity = SEVERITY_ERROR,
                       .message = str_printf(arena,
                                             "`%s` makes migrations where the software starts: "
                                             "each replica its own, and none is ever reviewed",
                                             generators[i]),
                       .safer = "Make migrations while developing, and commit them."},
            file, line);
        return;
    }
    char words[PATTERN_MAX];
    if (!applies(text, words))
        return;
    /* `release: ...`, `release_command = ...`, `preDeployCommand: ...`: in one container. */
    bool once = str_starts(trimmed, STR("release")) || says(text, "preDeployCommand");
    add(arena, ret,
        &(Finding){.rule = "migrates-by-hand",
                   .severity = SEVERITY_WARNING,
                   .message =
                       str_printf(arena, "`%s` runs without a lock: %s at once migrate at once",
                                  words, once ? "deploys" : "replicas that start"),
                   .safer = once ? "Write `lockstep migrate` in its place."
                                 : "Remove it, and start with `lockstep run -- PROGRAM`."},
        file, line);
}

static void
look_at_file(Arena *arena, const char *dir, const char *path, Findings *ret)
{
    SCRATCH_ARENA(scratch);
    Error ignored = ERROR_INIT;
    Str text;
    size_t line = 1, prefix = strcmp(dir, ".") == 0 ? 2 : 0;
    if (fs_kind(path) != FS_FILE || !fs_read(scratch, path, SCRIPT_CEILING, &text, &ignored) ||
        str_find(text, 0) < text.n)
        return; /* a program, not a script */
    for (Str rest = text; rest.n; line++) {
        size_t end = str_find(rest, '\n');
        look_at_line(arena, str_sub(rest, 0, end), path + prefix, line, ret);
        rest = str_sub(rest, end < rest.n ? end + 1 : rest.n, rest.n);
    }
}

void
tool_look_at_scripts(Arena *arena, const char *dir, Findings *ret)
{
    SCRATCH_ARENA(scratch);
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        glob_t found = {0};
        char *pattern = fs_join(scratch, dir, places[i]);
        if (glob(pattern, GLOB_NOSORT, NULL, &found) == 0) {
            for (size_t k = 0; k < found.gl_pathc; k++) {
                bool twice = false;
                for (size_t f = 0; f < ret->n && !twice; f++)
                    twice = ret->p[f].file &&
                            str_ends(str_of(found.gl_pathv[k]), str_of(ret->p[f].file));
                if (!twice)
                    look_at_file(arena, dir, found.gl_pathv[k], ret);
            }
        }
        globfree(&found);
    }
}
