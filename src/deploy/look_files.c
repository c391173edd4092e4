/* SPDX-License-Identifier: Apache-2.0 */
/* Which files are looked at: what git keeps of the current directory, or else what is there. */

#include <ctype.h>
#include <fnmatch.h>
#include <string.h>

#include "deploy/look_internal.h"
#include "proc/proc.h"
#include "core/banned.h"

enum {
    FILE_CEILING = 512 << 10,
    FILES_MAX = 1000,
    ENTRIES_MAX = 20000,
    DEPTH_MAX = 8,
    GIT_MS = 30000
};

/* Folders of other people's code, of what is built, and of what is only shown or tested. */
static const char *const skipped[] = {"node_modules", "vendor",      "venv",       "site-packages",
                                      "target",       "__pycache__", "test",       "tests",
                                      "testdata",     "fixtures",    "example",    "examples",
                                      "samples",      "spec",        "third_party"};

static const struct {
    const char *pattern; /* of the last part; with a slash, of the whole path */
    SceneKind kind;
} kinds[] = {
    {"*.md", SCENE_NONE},
    {"*-lock.y*ml", SCENE_NONE},
    {"*.example", SCENE_NONE},
    {"*.sample", SCENE_NONE},
    {"*.template", SCENE_NONE},
    {"*.dist", SCENE_NONE},
    {"*.dockerignore", SCENE_NONE},
    {".env.dev*", SCENE_NONE},
    {".env.test*", SCENE_NONE},
    {"Dockerfile*", SCENE_DOCKERFILE},
    {"*.Dockerfile", SCENE_DOCKERFILE},
    {"*.dockerfile", SCENE_DOCKERFILE},
    {"Containerfile*", SCENE_DOCKERFILE},
    {"Procfile", SCENE_PROCFILE},
    {"app.json", SCENE_JSON},
    {"railway.json", SCENE_JSON},
    {"fly*.toml", SCENE_TOML},
    {"railway.toml", SCENE_TOML},
    {"*.yml", SCENE_YAML},
    {"*.yaml", SCENE_YAML},
    {"*.tf", SCENE_TERRAFORM},
    {".env*", SCENE_VARIABLES},
    {"*.env", SCENE_VARIABLES},
    {"*.sh", SCENE_SCRIPT},
    {"*entrypoint*", SCENE_SCRIPT},
    {"Makefile", SCENE_SCRIPT},
    {"justfile", SCENE_SCRIPT},
    {"bin/*", SCENE_SCRIPT},
    {"scripts/*", SCENE_SCRIPT},
    {".kamal/hooks/*", SCENE_SCRIPT},
    {"*.pem", SCENE_KEY},
    {"*.key", SCENE_KEY},
    {"id_rsa", SCENE_KEY},
    {"id_ed25519", SCENE_KEY},
    {"id_ecdsa", SCENE_KEY},
};

static SceneKind
kind_of(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        const char *pattern = kinds[i].pattern;
        if (fnmatch(pattern, strchr(pattern, '/') ? path : name, 0) == 0)
            return kinds[i].kind;
    }
    return SCENE_NONE;
}

static bool
is_skipped(Str folder)
{
    for (size_t i = 0; i < COUNT_OF(skipped); i++)
        if (str_eq(folder, str_of(skipped[i])))
            return true;
    return str_starts(folder, STR(".")) && !str_eq(folder, STR(".github")) &&
           !str_eq(folder, STR(".gitlab")) && !str_eq(folder, STR(".kamal"));
}

void
look_add_file(Scene *s, const char *path)
{
    SceneKind kind = kind_of(path);
    Str rest = str_of(path);
    for (size_t end; (end = str_find(rest, '/')) < rest.n;) {
        if (is_skipped(str_sub(rest, 0, end)))
            return;
        rest = str_sub(rest, end + 1, rest.n);
    }
    if (kind == SCENE_NONE || s->files.n >= FILES_MAX)
        return;
    for (const char *p = path; *p; p++)
        if ((unsigned char)*p < 0x20)
            return; /* it could not be told in one line */
    SceneFile f = {.path = str_dup(s->arena, str_of(path)), .kind = kind, .text = STR("")};
    f.name = f.path + (rest.p - path);
    *vec_push(s->arena, &s->files) = f;
}

/* ---- git's list ---- */

static void
on_git_line(void *ctx, int stream, Str line)
{
    Scene *s = ctx;
    if (stream == 1 && line.n)
        look_add_file(s, str_dup(s->arena, line));
}

/* What is committed or would be; *ret_known false: there is no git, or nothing of git's here. */
static bool
ask_git(Scene *s, const DeployLook *how, bool *ret_known, Error *err)
{
    static const char *const words[] = {
        "git",      "-c",       "core.quotePath=false", "ls-files",
        "--cached", "--others", "--exclude-standard",   "--deduplicate",
        NULL};
    char *argv[COUNT_OF(words)];
    int status = 1;
    *ret_known = false;
    if (!proc_which(s->arena, "git", how->environ_))
        return true;
    for (size_t i = 0; i < COUNT_OF(words); i++)
        argv[i] = str_dup(s->arena, str_of(words[i]));
    ChildSpec spec = {.argv = argv,
                      .envp = how->environ_,
                      .stdout_fd = -1,
                      .line = on_git_line,
                      .line_ctx = s,
                      .timeout_ms = GIT_MS};
    Error why = ERROR_INIT;
    if (!child_run(how->wait, &spec, &status, &why) && why.code == ERROR_SIGNALLED) {
        *err = why;
        return false;
    }
    *ret_known = why.code == ERROR_NONE && status == 0;
    return true;
}

/* ---- our own walk ---- */

static void
walk(Scene *s, const char *dir, size_t depth, size_t *entries)
{
    FsList list = {0};
    Error ignored = ERROR_INIT;
    if (depth > DEPTH_MAX || !fs_list(s->arena, *dir ? dir : ".", &list, &ignored))
        return;
    for (size_t i = 0; i < list.n && ++*entries < ENTRIES_MAX; i++) {
        const FsEntry *e = &list.p[i];
        char *path = *dir ? fs_join(s->arena, dir, e->name) : e->name;
        if (e->kind == FS_DIR && !is_skipped(str_of(e->name)))
            walk(s, path, depth + 1, entries);
        else if (e->kind == FS_FILE)
            look_add_file(s, path);
    }
}

/* ---- reading ---- */

/* What stands in {{ }} in a template of Helm becomes a word that YAML can read and that is the same
 * for the same text; a line of nothing else becomes empty. Lines stay where they are. */
static Str
without_templates(Arena *arena, Str text)
{
    StrBuf out = strbuf_new(arena, (size_t)8 * FILE_CEILING);
    size_t line_begin = 0;
    bool only = true; /* this line held nothing but blanks and actions */
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\n') {
            if (only)
                out.n = line_begin;
            strbuf_addc(&out, '\n');
            line_begin = out.n;
            only = true;
        } else if (text.p[i] == '{' && i + 1 < text.n && text.p[i + 1] == '{') {
            size_t end = i + str_find_str(str_sub(text, i, text.n), STR("}}"));
            strbuf_puts(&out, "__");
            for (i += 2; i < end && i < text.n; i++) {
                if (text.p[i] == '\n') {
                    strbuf_addc(&out, '\n');
                    line_begin = out.n;
                } else if (isalnum((unsigned char)text.p[i])) {
                    strbuf_addc(&out, text.p[i]);
                }
            }
            strbuf_puts(&out, "__");
            i++;
        } else {
            only = only && strchr(" \t\r", text.p[i]);
            strbuf_addc(&out, text.p[i]);
        }
    }
    if (only)
        out.n = line_begin;
    return out.p ? strbuf_str(&out) : STR("");
}

void
look_parse(Scene *s, SceneFile *f)
{
    Error ignored = ERROR_INIT;
    DocNode *root = NULL;
    Docs docs = {0};
    if (f->kind == SCENE_TOML && doc_read_toml(s->arena, f->text, &root, &ignored))
        *vec_push(s->arena, &f->docs) = root;
    if (f->kind != SCENE_YAML && f->kind != SCENE_JSON)
        return;
    size_t at = str_find_str(str_of(f->path), STR("templates/"));
    bool template = f->path[at] && look_has(f->text, "{{") &&
                    !look_has(f->text, "${{"); /* GitHub's expressions are plain text to YAML */
    if (template)
        f->chart = str_dup(s->arena, (Str){f->path, at});
    Str text = template ? without_templates(s->arena, f->text) : f->text;
    if (doc_read_yaml(s->arena, text, &docs, &ignored))
        f->docs = docs;
}

static bool
read_file(Scene *s, SceneFile *f)
{
    Error ignored = ERROR_INIT;
    /* A link may lead anywhere; git keeps its own text, not the target's. */
    if (fs_kind(f->path) != FS_FILE || !fs_is_inside(".", f->path) ||
        !fs_read(s->arena, f->path, FILE_CEILING, &f->text, &ignored) ||
        str_find(f->text, 0) < f->text.n)
        return false;
    look_parse(s, f);
    return true;
}

bool
look_find_files(Scene *s, const DeployLook *how, Error *err)
{
    size_t entries = 0, kept = 0;
    if (!ask_git(s, how, &s->versioned, err))
        return false;
    if (!s->versioned) {
        s->files.n = 0;
        walk(s, "", 0, &entries);
    }
    for (size_t i = 0; i < s->files.n; i++) {
        SceneFile f = s->files.p[i];
        if (read_file(s, &f))
            s->files.p[kept++] = f;
    }
    s->files.n = kept;
    return true;
}
