/* SPDX-License-Identifier: Apache-2.0 */
/* The table of rules, what its parts share, and the order in which they look. */

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "deploy/look_internal.h"
#include "tools/tool.h"
#include "core/banned.h"

enum { SUBJECT_MAX = 160, SUBJECT_CEILING = 4096, FINDINGS_MAX = 1000 };

#define E SEVERITY_ERROR
#define W SEVERITY_WARNING
#define I SEVERITY_INFO
static const DeployRule rules[] = {
#define LOOK(id, name, severity, what, mend) [LOOK_##id] = {name, severity, what, mend},
#include "deploy/look.def"
#undef LOOK
};

const DeployRule *
deploy_rule(const char *name)
{
    for (size_t i = 0; i < LOOK_COUNT; i++)
        if (strcmp(rules[i].name, name) == 0)
            return &rules[i];
    return NULL;
}

const char *
deploy_rule_what(Arena *arena, const DeployRule *rule)
{
    return str_printf(arena, rule->what, "...");
}

void
look_add(Scene *s, LookRule rule, Place at, const char *subject, ...)
{
    char text[SUBJECT_CEILING];
    va_list ap;
    if (s->findings->n >= FINDINGS_MAX)
        return; /* nobody reads on; the first are mended, and the next look tells the others */
    va_start(ap, subject);
    int n = vsnprintf(text, sizeof text, subject, ap);
    va_end(ap);
    /* Before it is cut: half a URL is not known as one. */
    if (n < SUBJECT_CEILING)
        look_mask(text);
    else
        memcpy(text, "a very long command", sizeof "a very long command");
    if (strlen(text) >= SUBJECT_MAX) {
        size_t cut = SUBJECT_MAX - 4;
        while (cut > 0 && ((unsigned char)text[cut] & 0xc0) == 0x80)
            cut--; /* not within a character */
        memcpy(text + cut, "...", 4);
    }
    for (size_t i = 0; text[i]; i++)
        if ((unsigned char)text[i] < 0x20)
            text[i] = ' ';
    *vec_push(s->arena, s->findings) =
        (Finding){.rule = rules[rule].name,
                  .severity = rules[rule].severity,
                  .file = at.file ? at.file->path : NULL,
                  .line = at.line,
                  .message = str_printf(s->arena, rules[rule].what, text),
                  .safer = rules[rule].mend};
}

/* ---- text ---- */

bool
look_has(Str text, const char *what)
{
    return text.p && str_find_str(text, str_of(what)) < text.n;
}

bool
look_next_line(Str *rest, Str *ret)
{
    if (!rest->n)
        return false;
    size_t end = str_find(*rest, '\n');
    *ret = str_sub(*rest, 0, end);
    *rest = str_sub(*rest, end < rest->n ? end + 1 : rest->n, rest->n);
    return true;
}

bool
look_mentions(const Scene *s, const char *what)
{
    for (size_t i = 0; i < s->files.n; i++)
        if (look_has(s->files.p[i].text, what))
            return true;
    return false;
}

Str
look_joined(Scene *s, const DocNode *node)
{
    if (!doc_is(node, DOC_LIST))
        return doc_text(node).p ? doc_text(node) : STR("");
    StrBuf out = strbuf_new(s->arena, 1 << 20);
    for (const DocNode *child = doc_first(node); child; child = child->next) {
        if (child->kind == DOC_LIST && child->first) /* GitLab nests lists of commands */
            strbuf_add(&out, doc_text(child->first).p ? doc_text(child->first) : STR(""));
        else if (child->kind == DOC_SCALAR)
            strbuf_add(&out, child->text);
        strbuf_addc(&out, ' ');
        if (out.n > 1 << 18)
            break;
    }
    return out.p ? str_trim(strbuf_str(&out)) : STR("");
}

Str
look_command(Scene *s, const DocNode *of, const char *first, const char *second)
{
    Str program = look_joined(s, doc_get(of, first)), words = look_joined(s, doc_get(of, second));
    return str_of(str_printf(s->arena, STR_FMT " " STR_FMT, STR_ARG(program), STR_ARG(words)));
}

/* Does a word of lockstep's own follow its name? `lockstep --verbose migrate` too. */
static bool
lockstep_migrates(Str text)
{
    static const char *const jobs[] = {"migrate", "up", "run"};
    for (size_t at; (at = str_find_str(text, STR("lockstep"))) < text.n;) {
        bool begins = at == 0 || !isalnum((unsigned char)text.p[at - 1]);
        text = str_sub(text, at + strlen("lockstep"), text.n);
        Str rest = text;
        bool more = begins, option = false;
        while (more) {
            while (rest.n && strchr(" \t\"',[]", rest.p[0]))
                rest = str_sub(rest, 1, rest.n);
            size_t n = 0;
            while (n < rest.n && !strchr(" \t\"',[]\n;&|", rest.p[n]))
                n++;
            Str word = str_sub(rest, 0, n);
            rest = str_sub(rest, n, rest.n);
            for (size_t i = 0; i < COUNT_OF(jobs); i++)
                if (str_eq(word, str_of(jobs[i])))
                    return !look_has(text, "--no-migrate");
            /* Options go before the job, each with one word that may be its value. */
            bool is_option = str_starts(word, STR("-"));
            more = n && (is_option || option);
            option = is_option;
        }
    }
    return false;
}

bool
look_migrates(Str text, bool *ret_by_lockstep)
{
    static const char *const scripts[] = {"db:migrate",     "db:prepare",   "run migrate",
                                          "yarn migrate",   "pnpm migrate", "migrate:deploy",
                                          "migrate:latest", "migrate:up",   "bin/migrate"};
    *ret_by_lockstep = lockstep_migrates(text);
    if (*ret_by_lockstep)
        return true;
    /* `lockstep plan`, `lockstep wait`: a line of lockstep's that migrates nothing. */
    if (!text.p || look_has(text, "lockstep ") || look_has(text, "--dry-run") ||
        look_has(text, "--check"))
        return false;
    for (size_t i = 0; i < COUNT_OF(scripts); i++)
        if (look_has(text, scripts[i]))
            return true;
    return tool_applies(text);
}

Str
look_sqlite_path(Str value)
{
    static const char *const schemes[] = {"sqlite3:", "sqlite:", "file:"};
    if (!value.p)
        return STR_ABSENT;
    for (size_t i = 0; i < COUNT_OF(schemes); i++) {
        if (!str_starts(value, str_of(schemes[i])))
            continue;
        Str path = str_sub(value, strlen(schemes[i]), value.n);
        path = str_sub(path, 0, str_find(path, '?'));
        /* sqlite:///rel and sqlite:////abs; file:/abs and sqlite:rel as they are. */
        if (str_starts(path, STR("///")))
            path = str_sub(path, 3, path.n);
        /* "file:" is also the way to name any file. */
        bool database = schemes[i][0] == 's' || str_ends(path, STR(".db")) ||
                        str_ends(path, STR(".sqlite")) || str_ends(path, STR(".sqlite3"));
        bool odd = !database || !path.n || str_starts(path, STR(":")) || look_has(path, "$") ||
                   look_has(path, "{") || look_has(path, "memory");
        return odd ? STR_ABSENT : path;
    }
    return STR_ABSENT;
}

bool
look_covers(Str directory, Str path)
{
    while (directory.n > 1 && directory.p[directory.n - 1] == '/')
        directory.n--;
    if (!directory.n || directory.p[0] != '/' || path.p[0] != '/')
        return true; /* relative to what, only the image knows */
    return str_starts(path, directory) &&
           (path.n == directory.n || directory.n == 1 || path.p[directory.n] == '/');
}

/* ---- all of it ---- */

/* What every container starts with is worse than a script that somebody calls. */
static void
rename_findings(Scene *s, size_t before)
{
    for (size_t i = 0; i < before; i++) {
        Finding *f = &s->findings->p[i];
        if (!f->file || strcmp(f->rule, rules[LOOK_MIGRATES_BY_HAND].name) != 0)
            continue;
        const char *slash = strrchr(f->file, '/'), *name = slash ? slash + 1 : f->file;
        bool entry = s->entry.at.file && strcmp(f->file, s->entry.at.file->path) == 0 &&
                     (s->entry.at.file->kind != SCENE_DOCKERFILE || s->entry.at.line == f->line);
        if (!entry && !strstr(name, "entrypoint"))
            continue;
        const char *from = strchr(f->message, '`'), *to = from ? strchr(from + 1, '`') : NULL;
        f->rule = rules[LOOK_ENTRYPOINT_MIGRATES].name;
        f->severity = rules[LOOK_ENTRYPOINT_MIGRATES].severity;
        f->safer = rules[LOOK_ENTRYPOINT_MIGRATES].mend;
        f->message = str_printf(s->arena, rules[LOOK_ENTRYPOINT_MIGRATES].what,
                                to ? str_dup(s->arena, (Str){from + 1, (size_t)(to - from - 1)})
                                   : "a migration");
    }
}

static void
look_at_file(Scene *s, const SceneFile *f)
{
    switch (f->kind) {
    case SCENE_DOCKERFILE:
        look_at_dockerfile(s, f);
        break;
    case SCENE_PROCFILE:
        look_at_procfile(s, f);
        break;
    case SCENE_TERRAFORM:
        look_at_terraform(s, f);
        break;
    case SCENE_JSON:
    case SCENE_TOML:
        look_at_platform(s, f);
        break;
    case SCENE_YAML:
        look_at_platform(s, f);
        look_at_pipeline(s, f);
        break;
    default:
        break;
    }
    if (f->kind != SCENE_KEY)
        look_at_lines(s, f);
    if (s->versioned)
        look_for_secrets(s, f);
}

void
look_at_files(Scene *s)
{
    look_leave_out_harmless(s);
    size_t before = s->findings->n;
    for (size_t i = 0; i < s->files.n; i++)
        look_at_file(s, &s->files.p[i]);
    look_at_entry(s);
    /* These ask what the image starts with, and where its database lies. */
    for (size_t i = 0; i < s->files.n; i++) {
        if (s->files.p[i].kind != SCENE_YAML)
            continue;
        look_at_manifest(s, &s->files.p[i]);
        look_at_compose(s, &s->files.p[i]);
    }
    look_at_releases(s);
    look_at_things(s);
    rename_findings(s, before);
}

bool
deploy_look(Arena *arena, const DeployLook *how, Findings *ret, Error *err)
{
    Scene scene = {.arena = arena, .findings = ret, .image_sqlite = STR_ABSENT}, *s = &scene;
    if (!look_find_files(s, how, err))
        return false;
    look_at_files(s);
    return look_at_dokku(s, how, err);
}
