/* SPDX-License-Identifier: Apache-2.0 */
/* Dockerfile, Procfile and the files of platforms with release commands: what migrates, how often,
 * and whether a shell is there for it. */

#include <string.h>

#include "deploy/look_internal.h"
#include "core/banned.h"

/* ---- Dockerfile ---- */

/* The next instruction with its continuation lines put together, comments left out. */
static bool
next_instruction(Scene *s, Str *rest, size_t *line, Str *ret, size_t *ret_line)
{
    StrBuf out = strbuf_new(s->arena, 1 << 20);
    Str one;
    while (look_next_line(rest, &one)) {
        size_t number = (*line)++;
        one = str_trim(one);
        if (!one.n || one.p[0] == '#')
            continue;
        if (!out.n)
            *ret_line = number;
        bool more = one.p[one.n - 1] == '\\';
        strbuf_add(&out, str_sub(one, 0, one.n - more));
        strbuf_addc(&out, ' ');
        if (!more)
            break;
    }
    if (!out.n)
        return false;
    *ret = str_trim(strbuf_str(&out));
    return true;
}

/* ["a", "b"] or a shell's line: words with blanks between them. */
static Str
command_words(Scene *s, Str text, bool *ret_shell)
{
    Docs docs = {0};
    Error ignored = ERROR_INIT;
    *ret_shell = !str_starts(text, STR("["));
    if (*ret_shell || !doc_read_yaml(s->arena, text, &docs, &ignored) || !docs.n)
        return text;
    return look_joined(s, docs.p[0]);
}

/* ENV A=b C="d e", or the old ENV A b: each value once. */
static void
look_at_env(Scene *s, Str text, Place at)
{
    char **words;
    if (!str_split_words(s->arena, text, &words))
        return;
    for (size_t i = 0; words[i]; i++) {
        const char *equals = strchr(words[i], '=');
        Str path = look_sqlite_path(str_of(equals ? equals + 1 : words[i]));
        if (!path.p)
            continue;
        s->image_sqlite = path;
        s->image_sqlite_at = at;
    }
}

static void
begin_stage(Scene *s, const SceneFile *f)
{
    s->entry = (Entry){.at.file = f};
    s->image_sqlite = STR_ABSENT;
    s->image_volumes.n = 0;
}

/* Of several Dockerfiles the one at the top counts, of several stages the last. */
void
look_at_dockerfile(Scene *s, const SceneFile *f)
{
    Str rest = f->text, one;
    size_t line = 1, at = 1;
    if (strcmp(f->path, "Dockerfile") != 0 && strcmp(f->path, "Containerfile") != 0)
        return;
    while (next_instruction(s, &rest, &line, &one, &at)) {
        size_t blank = str_find(one, ' ');
        Str word = str_sub(one, 0, blank), text = str_trim(str_sub(one, blank, one.n));
        if (str_eq_nocase(word, STR("FROM"))) {
            begin_stage(s, f);
        } else if (str_eq_nocase(word, STR("ENTRYPOINT"))) {
            s->entry = (Entry){.there = text.n && !str_eq(text, STR("[]")), .at = {f, at}};
            s->entry.words = command_words(s, text, &s->entry.by_shell);
        } else if (str_eq_nocase(word, STR("ENV"))) {
            look_at_env(s, text, (Place){f, at});
        } else if (str_eq_nocase(word, STR("VOLUME"))) {
            bool ignored;
            Str words = command_words(s, text, &ignored);
            for (size_t end; words.n; words = str_sub(words, end + 1, words.n)) {
                end = str_find(words, ' ');
                *vec_push(s->arena, &s->image_volumes) = str_sub(words, 0, end);
            }
        }
    }
}

static const SceneFile *
script_of(const Scene *s, Str word)
{
    for (size_t i = s->files.n; i-- > 0;) {
        const SceneFile *f = &s->files.p[i];
        size_t slash = word.n;
        while (slash > 0 && word.p[slash - 1] != '/')
            slash--;
        if (f->kind == SCENE_SCRIPT && str_eq(str_sub(word, slash, word.n), str_of(f->name)))
            return f;
    }
    return NULL;
}

/* The first line that migrates, by whatever. */
static Str
migrating_line(Str script, size_t *ret_line, bool *ret_by_lockstep)
{
    Str rest = script, line, until = STR("");
    for (size_t number = 1; look_next_command(&rest, &until, &line); number++) {
        if (!look_migrates(line, ret_by_lockstep))
            continue;
        *ret_line = number;
        return line;
    }
    return STR_ABSENT;
}

Str
deploy_migrating_line(Str script, size_t *ret_line)
{
    bool by_lockstep = false;
    Str line = migrating_line(script, ret_line, &by_lockstep);
    return by_lockstep ? STR_ABSENT : line;
}

/* What a script that every container starts with does. */
static void
look_at_entry_script(Scene *s, const SceneFile *f)
{
    bool told = false, by_lockstep;
    size_t number;
    for (size_t i = 0; i < s->findings->n; i++)
        told |= s->findings->p[i].file && strcmp(s->findings->p[i].file, f->path) == 0;
    Str line = migrating_line(f->text, &number, &by_lockstep);
    if (!line.p)
        return;
    s->entry.migrates = true;
    s->entry.by_lockstep = by_lockstep;
    if (!by_lockstep && !told)
        look_add(s, LOOK_ENTRYPOINT_MIGRATES, (Place){f, number}, STR_FMT, STR_ARG(line));
}

void
look_at_entry(Scene *s)
{
    Entry *e = &s->entry;
    if (!e->there)
        return;
    e->migrates = look_migrates(e->words, &e->by_lockstep);
    for (Str rest = e->words; rest.n && !e->migrates;) {
        size_t end = str_find(rest, ' ');
        const SceneFile *script = script_of(s, str_sub(rest, 0, end));
        rest = str_sub(rest, end < rest.n ? end + 1 : rest.n, rest.n);
        if (!script)
            continue;
        look_at_entry_script(s, script);
        if (e->migrates)
            e->at.file = script; /* its findings are renamed */
    }
}

/* ---- release commands ---- */

static void
add_release(Scene *s, const SceneFile *f, size_t line, Str command, bool shell)
{
    if (command.n)
        *vec_push(s->arena, &s->releases) = (Release){{f, line}, command, shell};
}

void
look_at_procfile(Scene *s, const SceneFile *f)
{
    Str rest = f->text, line;
    for (size_t number = 1; look_next_line(&rest, &line); number++)
        if (str_starts(line, STR("release:")))
            add_release(s, f, number, str_trim(str_sub(line, 8, line.n)), true);
}

static void
look_at_app_json(Scene *s, const SceneFile *f, const DocNode *doc)
{
    const DocNode *predeploy = doc_at(doc, "scripts.dokku.predeploy");
    bool by_lockstep;
    if (look_migrates(doc_text(predeploy), &by_lockstep))
        look_add(s, LOOK_PREDEPLOY_MIGRATES, (Place){f, predeploy->line}, STR_FMT,
                 STR_ARG(predeploy->text));
}

static void
look_at_fly(Scene *s, const SceneFile *f, const DocNode *doc)
{
    const DocNode *release = doc_at(doc, "deploy.release_command"),
                  *mounts = doc_get(doc, "mounts");
    bool by_lockstep, migrates = look_migrates(doc_text(release), &by_lockstep);
    if (release)
        add_release(s, f, release->line, look_joined(s, release), false);
    if (migrates && !doc_at(doc, "deploy.release_command_timeout"))
        look_add(s, LOOK_JOB_DEADLINE, (Place){f, release->line},
                 "a release command of Fly is ended after 5 minutes");
    const DocNode *one = doc_is(mounts, DOC_LIST) ? mounts->first : mounts;
    for (const DocNode *variable = doc_first(doc_get(doc, "env")); variable;
         variable = variable->next) {
        Str path = look_sqlite_path(doc_text(variable));
        bool covered = false;
        for (const DocNode *m = one; m; m = m == mounts ? NULL : m->next)
            covered |= look_covers(doc_text_at(m, "destination"), path.p ? path : STR("/"));
        if (path.p && (!covered || migrates))
            look_add(s, LOOK_SQLITE_NO_VOLUME, (Place){f, variable->line}, "'" STR_FMT "'%s",
                     STR_ARG(path), covered ? " (in the release command)" : "");
    }
}

static void
look_at_render(Scene *s, const SceneFile *f, const DocNode *doc)
{
    for (const DocNode *service = doc_first(doc_get(doc, "services")); service;
         service = service->next) {
        const DocNode *before = doc_get(service, "preDeployCommand");
        const DocNode *disk = doc_get(service, "disk");
        if (before)
            add_release(s, f, before->line, look_joined(s, before), true);
        for (const DocNode *variable = doc_first(doc_get(service, "envVars")); variable;
             variable = variable->next) {
            const DocNode *value = doc_get(variable, "value");
            Str path = look_sqlite_path(doc_text(value));
            if (path.p && !(disk && look_covers(doc_text_at(disk, "mountPath"), path)))
                look_add(s, LOOK_SQLITE_NO_VOLUME, (Place){f, value->line}, "'" STR_FMT "'",
                         STR_ARG(path));
        }
    }
}

void
look_at_platform(Scene *s, const SceneFile *f)
{
    const DocNode *doc = f->docs.n ? f->docs.p[0] : NULL;
    if (!doc)
        return;
    if (strcmp(f->name, "app.json") == 0)
        look_at_app_json(s, f, doc);
    else if (f->kind == SCENE_TOML && str_starts(str_of(f->name), STR("fly")))
        look_at_fly(s, f, doc);
    else if (strcmp(f->name, "render.yaml") == 0)
        look_at_render(s, f, doc);
    else if (str_starts(str_of(f->name), STR("railway."))) {
        const DocNode *before = doc_at(doc, "deploy.preDeployCommand");
        if (before)
            add_release(s, f, before->line, look_joined(s, before), true);
    }
}

/* Dokku takes off tini alone: behind it the shell is used as without an ENTRYPOINT. */
static bool
hands_words_over(const Entry *e)
{
    static const char *const transparent[] = {"/tini --", "/bin/tini --", "/usr/bin/tini --",
                                              "/usr/local/bin/tini --"};
    for (size_t i = 0; i < COUNT_OF(transparent); i++)
        if (str_eq(e->words, str_of(transparent[i])))
            return false;
    return e->there;
}

static bool
needs_shell(Str command)
{
    static const char *const marks[] = {"&&", "||", " | ", ";", " > ", " >> ", "$("};
    static const char *const shells[] = {"sh ", "bash ", "/bin/sh ", "/bin/bash ",
                                         "/usr/bin/env bash "};
    for (size_t i = 0; i < COUNT_OF(shells); i++)
        if (str_starts(command, str_of(shells[i])))
            return false;
    for (size_t i = 0; i < COUNT_OF(marks); i++)
        if (look_has(command, marks[i]))
            return true;
    return false;
}

void
look_at_releases(Scene *s)
{
    for (size_t i = 0; i < s->releases.n; i++) {
        const Release *r = &s->releases.p[i];
        bool procfile = r->at.file->kind == SCENE_PROCFILE, fly = !r->shell, by_lockstep;
        bool migrates = look_migrates(r->command, &by_lockstep);
        bool same = r->at.file->name == r->at.file->path; /* as the Dockerfile, at the top */
        if (needs_shell(r->command) && (fly || (procfile && same && hands_words_over(&s->entry))))
            look_add(s, LOOK_RELEASE_NEEDS_SHELL, r->at, STR_FMT, STR_ARG(r->command));
        if (same && migrates && s->entry.migrates && !(by_lockstep && s->entry.by_lockstep))
            look_add(s, LOOK_MIGRATES_TWICE, r->at, "`" STR_FMT "`", STR_ARG(r->command));
        if (same && fly && migrates && s->image_sqlite.p)
            look_add(s, LOOK_SQLITE_NO_VOLUME, r->at, "'" STR_FMT "' (in the release command)",
                     STR_ARG(s->image_sqlite));
    }
}
