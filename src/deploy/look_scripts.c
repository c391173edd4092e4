/* SPDX-License-Identifier: Apache-2.0 */
/* What a script does, not what it says; and which scripts a deploy has to do with at all. */

#include <ctype.h>
#include <string.h>

#include "deploy/look_internal.h"
#include "core/banned.h"

/* ---- lines ---- */

static Str
first_word(Str line)
{
    size_t n = 0;
    while (n < line.n && !isspace((unsigned char)line.p[n]))
        n++;
    return str_sub(line, 0, n);
}

/* `echo "run manage.py migrate"`, with nothing that is run in it. */
static bool
only_prints(Str line)
{
    static const char *const runs[] = {"&&", ";", "|", "$(", "`"};
    Str word = first_word(line);
    if (!str_eq(word, STR("echo")) && !str_eq(word, STR("printf")))
        return false;
    for (size_t i = 0; i < COUNT_OF(runs); i++)
        if (look_has(line, runs[i]))
            return false;
    return true;
}

/* The word that ends the text which `cat` prints from here on; absent = there is none. */
static Str
shown_until(Str line)
{
    size_t at = str_find_str(line, STR("<<")), n = 0;
    if (!str_eq(first_word(line), STR("cat")) || at >= line.n)
        return STR_ABSENT;
    at += 2;
    while (at < line.n && strchr("-'\" \\", line.p[at]))
        at++;
    while (at + n < line.n && (isalnum((unsigned char)line.p[at + n]) || line.p[at + n] == '_'))
        n++;
    return n ? str_sub(line, at, at + n) : STR_ABSENT;
}

bool
look_next_command(Str *rest, Str *until, Str *ret)
{
    if (!look_next_line(rest, ret))
        return false;
    Str line = str_trim(*ret);
    if (until->n) {
        *until = str_eq(line, *until) ? STR("") : *until;
        *ret = STR("");
    } else if (str_starts(line, STR("#")) || only_prints(line)) {
        *ret = STR("");
    } else {
        *until = shown_until(line);
        *ret = line;
    }
    return true;
}

static bool
is_run(const SceneFile *f, size_t number)
{
    Str rest = f->text, line, until = STR("");
    for (size_t at = 1; look_next_command(&rest, &until, &line); at++)
        if (at == number)
            return line.n > 0;
    return true;
}

/* ---- whole scripts ---- */

/* One of them is a word of the name: "dev" of "compose.dev.yaml" and "run-dev", not of "device". */
static bool
is_named(const char *name, const char *const *words)
{
    static const char between[] = "-_. ";
    for (const char *p = name; *p; p += strspn(p, between)) {
        size_t n = strcspn(p, between);
        for (const char *const *word = words; *word; word++)
            if (strlen(*word) == n && strncmp(p, *word, n) == 0)
                return true;
        p += n;
    }
    return false;
}

static bool
is_of_developers(const SceneFile *f)
{
    static const char *const words[] = {"dev",   "develop",   "development", "local",
                                        "test",  "tests",     "testing",     "ci",
                                        "setup", "bootstrap", "override",    NULL};
    return is_named(f->name, words);
}

static bool
says_that_it_starts(const SceneFile *f)
{
    static const char *const parts[] = {"entrypoint", "start", "run",    "release",
                                        "deploy",     "boot",  "launch", "serve",
                                        "server",     "prod",  "init"};
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        if (strstr(f->name, parts[i]))
            return true;
    return false;
}

/* By what a deploy starts; pipelines start anything, most of it for tests. */
static bool
is_started(const Scene *s, const SceneFile *script)
{
    /* "setup" alone is a word of any file; "bin/setup" is not. */
    const char *name = strchr(script->name, '.') ? script->name : script->path;
    for (size_t i = 0; i < s->files.n; i++) {
        const SceneFile *f = &s->files.p[i];
        bool starts = f->kind == SCENE_DOCKERFILE || f->kind == SCENE_PROCFILE ||
                      f->kind == SCENE_YAML || f->kind == SCENE_JSON || f->kind == SCENE_TOML ||
                      (f->kind == SCENE_SCRIPT && says_that_it_starts(f));
        bool pipeline =
            look_has(str_of(f->path), ".github/") || look_has(str_of(f->path), ".gitlab");
        if (f != script && starts && !pipeline && !is_of_developers(f) && look_has(f->text, name))
            return true;
    }
    return false;
}

static bool
matters(const Scene *s, const Finding *finding)
{
    for (size_t i = 0; finding->file && i < s->files.n; i++) {
        const SceneFile *f = &s->files.p[i];
        if (strcmp(f->path, finding->file) != 0)
            continue;
        if (is_of_developers(f))
            return false;
        return f->kind != SCENE_SCRIPT ||
               (is_run(f, finding->line) && (says_that_it_starts(f) || is_started(s, f)));
    }
    return true;
}

void
look_leave_out_harmless(Scene *s)
{
    Findings *all = s->findings;
    size_t kept = 0;
    for (size_t i = 0; i < all->n; i++) {
        const Finding *one = &all->p[i];
        bool judged = strcmp(one->rule, "migrates-by-hand") == 0 ||
                      strcmp(one->rule, "generates-at-deploy") == 0;
        if (!judged || matters(s, one))
            all->p[kept++] = *one;
    }
    all->n = kept;
}
