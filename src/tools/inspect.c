/* SPDX-License-Identifier: Apache-2.0 */
/* What the inspectors of all tools share: looking below the project's directory, reading small
 * files, finding words. */

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proc/proc.h"
#include "tools/adapters.h"
#include "core/banned.h"

char *
project_path(Arena *arena, const Project *project, const char *name)
{
    if (strcmp(project->dir, ".") == 0 || *name == '/')
        return str_dup(arena, str_of(name));
    return fs_join(arena, project->dir, name);
}

bool
project_has(const Project *project, const char *name)
{
    SCRATCH_ARENA(scratch);
    return fs_kind(project_path(scratch, project, name)) != FS_ABSENT;
}

bool
project_has_dir(const Project *project, const char *name)
{
    SCRATCH_ARENA(scratch);
    return fs_kind(project_path(scratch, project, name)) == FS_DIR;
}

bool
project_read(Arena *arena, const Project *project, const char *name, Str *ret, Error *err)
{
    char *path = project_path(arena, project, name);
    FsKind kind;
    *ret = STR_ABSENT;
    return fs_look(path, &kind, err) &&
           (kind == FS_ABSENT || fs_read(arena, path, TOOL_FILE_CEILING, ret, err));
}

bool
text_line(Str *rest, Str *ret)
{
    if (rest->n == 0)
        return false;
    size_t end = str_find(*rest, '\n');
    Str line = str_sub(*rest, 0, end);
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    *ret = line;
    *rest = str_sub(*rest, end < rest->n ? end + 1 : end, rest->n);
    return true;
}

bool
text_has(Str text, const char *what)
{
    return text.p && str_find_str(text, str_of(what)) < text.n;
}

static bool
is_word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool
text_has_word(Str text, const char *word)
{
    Str needle = str_of(word);
    for (Str rest = text; rest.p && rest.n >= needle.n;) {
        size_t at = str_find_str(rest, needle);
        if (at >= rest.n)
            return false;
        const char *p = rest.p + at, *after = p + needle.n;
        bool begins = p == text.p || !is_word_char(p[-1]);
        bool ends = after == text.p + text.n || !is_word_char(*after);
        if (begins && ends)
            return true;
        rest = str_sub(rest, at + 1, rest.n);
    }
    return false;
}

/* ---- words of command lines ---- */

char **
words_end(Arena *arena, Words *words)
{
    *vec_push(arena, words) = NULL;
    words->n--;
    return words->p;
}

void
words_add(Arena *arena, Words *words, Str word)
{
    *vec_push(arena, words) = str_dup(arena, word);
}

void
words_add_split(Arena *arena, Words *words, const char *text)
{
    Str rest = str_of(text);
    while (rest.n) {
        size_t end = str_find(rest, ' ');
        if (end)
            words_add(arena, words, str_sub(rest, 0, end));
        rest = str_sub(rest, end + 1, rest.n);
    }
}

/* ---- its program ---- */

/* What starts a file without the right to be executed, or without a shebang of its own. */
static const char *
interpreter(const Tool *tool)
{
    return strcmp(tool->runtime, "ruby") == 0   ? "ruby"
           : strcmp(tool->runtime, "node") == 0 ? "node"
                                                : NULL;
}

static bool
needs_interpreter(const Project *project)
{
    SCRATCH_ARENA(scratch);
    const char *program = interpreter(project->tool);
    return program && !proc_which(scratch, program, project->environ_);
}

static bool
find_below(Arena *arena, const Project *project, const char *program, Words *ret)
{
    char *path = project_path(arena, project, program);
    const char *starter = interpreter(project->tool);
    Words words = {0};
    if (fs_kind(path) != FS_FILE)
        return false;
    if (access(path, X_OK) != 0) {
        if (!starter)
            return false;
        words_add(arena, &words, str_of(starter));
    }
    words_add(arena, &words, str_of(path));
    *ret = words;
    return true;
}

bool
project_program(Arena *arena, const Project *project, Words *ret)
{
    const Tool *tool = project->tool;
    if (needs_interpreter(project))
        return false;
    for (size_t i = 0; i < TOOL_MARKERS && tool->programs[i]; i++) {
        const char *program = tool->programs[i];
        if (strchr(program, '/')) {
            if (find_below(arena, project, program, ret))
                return true;
        } else if (proc_which(arena, program, project->environ_)) {
            *ret = (Words){0};
            words_add(arena, ret, str_of(program));
            return true;
        }
    }
    return false;
}

/* "Knex is not installed here: neither node_modules/.bin/knex nor `knex` in PATH" */
char *
project_missing(Arena *arena, const Project *project)
{
    const Tool *tool = project->tool;
    StrBuf out = strbuf_new(arena, 4096);
    size_t n = 0;
    if (needs_interpreter(project))
        return str_printf(arena, "%s was found, and there is no `%s` in PATH to run it with",
                          tool->title, interpreter(tool));
    while (n < TOOL_MARKERS && tool->programs[n])
        n++;
    strbuf_printf(&out, "%s is not installed here: ", tool->title);
    for (size_t i = 0; i < n; i++) {
        const char *before = n == 1 ? "no " : i == 0 ? "neither " : " nor ";
        if (strchr(tool->programs[i], '/'))
            strbuf_printf(&out, "%s%s", before, tool->programs[i]);
        else
            strbuf_printf(&out, "%s`%s` in PATH", before, tool->programs[i]);
    }
    return str_dup(arena, strbuf_str(&out));
}

void
project_command(Arena *arena, Project *project, const char *apply)
{
    Words prefix = {0}, words = {0};
    if (!project_program(arena, project, &prefix)) {
        project->missing = project_missing(arena, project);
        return;
    }
    for (size_t i = 0; i < prefix.n; i++)
        words_add(arena, &words, str_of(prefix.p[i]));
    words_add_split(arena, &words, apply);
    project->prefix = words_end(arena, &prefix);
    project->apply = words_end(arena, &words);
}

/* A word more at the end of the command line. */
void
project_add_word(Arena *arena, Project *project, const char *word)
{
    Words words = {0};
    if (!project->apply)
        return;
    for (char **w = project->apply; *w; w++)
        words_add(arena, &words, str_of(*w));
    words_add(arena, &words, str_of(word));
    project->apply = words_end(arena, &words);
}

/* ---- directories ---- */

/* Never looked into: other people's code. */
static bool
is_foreign(const char *name)
{
    static const char *const foreign[] = {"node_modules", "venv", "env", "vendor", "site-packages"};
    for (size_t i = 0; i < COUNT_OF(foreign); i++)
        if (strcmp(name, foreign[i]) == 0)
            return true;
    return name[0] == '.';
}

/* `name`, or one directory in the place of a leading `*`: the first that has it. Those that may not
 * be looked into are passed over, like /root where a service's directory is "/". */
bool
project_find(Arena *arena, const Project *project, const char *name, char **ret, Error *err)
{
    FsList list;
    FsKind kind;
    *ret = NULL;
    if (strncmp(name, "*/", 2) != 0) {
        if (!fs_look(project_path(arena, project, name), &kind, err))
            return false;
        *ret = kind == FS_ABSENT ? NULL : str_dup(arena, str_of(name));
        return true;
    }
    if (!fs_list(arena, project->dir, &list, err))
        return false;
    for (size_t i = 0; i < list.n && !*ret; i++) {
        if (list.p[i].target_kind != FS_DIR || is_foreign(list.p[i].name))
            continue;
        char *path = fs_join(arena, list.p[i].name, name + 2);
        if (project_has(project, path))
            *ret = path;
    }
    return true;
}

void
project_evidence(Arena *arena, Project *project, const char *name)
{
    char *path = project_path(arena, project, name);
    for (size_t i = 0; i < project->evidence.n; i++)
        if (strcmp(project->evidence.p[i], path) == 0)
            return;
    *vec_push(arena, &project->evidence) = path;
}

/* The first of these directories (NULL-terminated) that is there, as `migrations`. */
bool
project_find_dir(Arena *arena, Project *project, const char *const *names)
{
    for (size_t i = 0; names[i]; i++) {
        if (project_has_dir(project, names[i])) {
            project->migrations = project_path(arena, project, names[i]);
            return true;
        }
    }
    return false;
}

/* What stands in `apply` behind program and words of the tool's row; nothing where these differ. */
static char **
own_words(Arena *arena, const Project *project)
{
    static char *nothing[] = {NULL};
    Words row = {0};
    char **word = project->apply;
    words_add_split(arena, &row, project->tool->apply);
    for (char **p = project->prefix; *p; p++, word++)
        if (!*word || strcmp(*word, *p) != 0)
            return nothing;
    for (size_t i = 0; i < row.n; i++, word++)
        if (!*word || strcmp(*word, row.p[i]) != 0)
            return nothing;
    return word;
}

char **
tool_command(Arena *arena, const Project *project, const char *words)
{
    Words argv = {0};
    if (!project->prefix)
        return NULL;
    for (char **word = project->prefix; *word; word++)
        words_add(arena, &argv, str_of(*word));
    words_add_split(arena, &argv, words);
    for (char **word = own_words(arena, project); *word; word++)
        words_add(arena, &argv, str_of(*word));
    return words_end(arena, &argv);
}
