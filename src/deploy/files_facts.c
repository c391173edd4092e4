/* SPDX-License-Identifier: Apache-2.0 */
/* What a project's own files say about it: its name, its port, the program that serves. */

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "core/fs.h"
#include "deploy/files_internal.h"

#include "core/banned.h"

enum { FILE_CEILING = 1 << 20, NAME_MAX_CHARS = 40, DEFAULT_PORT = 8080 };

typedef struct Looking {
    Arena *arena;
    const char *dir;
    Facts *facts;
} Looking;

static void
json_cleanup(json_t **root)
{
    json_decref(*root);
}
#define AUTO_JSON CLEANUP(json_cleanup) json_t

/* ---- reading ---- */

static bool
read_text(const Looking *l, const char *name, Str *ret, Error *err)
{
    char *path = strcmp(l->dir, ".") == 0 ? str_dup(l->arena, str_of(name))
                                          : fs_join(l->arena, l->dir, name);
    *ret = STR_ABSENT;
    return fs_kind(path) != FS_FILE || fs_read(l->arena, path, FILE_CEILING, ret, err);
}

static bool
has_file(const Looking *l, const char *name)
{
    SCRATCH_ARENA(scratch);
    return fs_kind(fs_join(scratch, l->dir, name)) == FS_FILE;
}

static bool
next_line(Str *rest, Str *ret)
{
    if (rest->n == 0)
        return false;
    size_t end = str_find(*rest, '\n');
    *ret = str_trim(str_sub(*rest, 0, end));
    *rest = str_sub(*rest, end < rest->n ? end + 1 : end, rest->n);
    return true;
}

/* ---- the application's name ---- */

/* As a DNS label, which every platform takes: "@acme/My_Shop" is "my-shop". NULL = nothing is left.
 */
static char *
as_label(Arena *arena, Str name)
{
    for (size_t slash = str_find(name, '/'); slash < name.n; slash = str_find(name, '/'))
        name = str_sub(name, slash + 1, name.n);
    char *out = arena_alloc(arena, NAME_MAX_CHARS + 1);
    size_t n = 0;
    for (size_t i = 0; i < name.n && n < NAME_MAX_CHARS; i++) {
        int c = tolower((unsigned char)name.p[i]);
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
            out[n++] = (char)c;
        else if (n && out[n - 1] != '-')
            out[n++] = '-';
    }
    while (n && out[n - 1] == '-')
        n--;
    out[n] = 0;
    return n && !isdigit((unsigned char)out[0]) ? out : NULL;
}

static bool
is_label(const char *name)
{
    SCRATCH_ARENA(scratch);
    char *label = as_label(scratch, str_of(name));
    return label && strcmp(label, name) == 0;
}

/* `name = "shop"` in the section of a pyproject.toml that names the project. */
static Str
pyproject_name(Str text)
{
    bool ours = false;
    for (Str rest = text, line; next_line(&rest, &line);) {
        if (str_starts(line, STR("[")))
            ours = str_eq(line, STR("[project]")) || str_eq(line, STR("[tool.poetry]"));
        if (!ours || !str_starts(line, STR("name")))
            continue;
        Str value = str_trim(str_sub(line, 4, line.n));
        if (!str_starts(value, STR("=")))
            continue;
        value = str_trim(str_sub(value, 1, value.n));
        if (value.n > 2 && (value.p[0] == '"' || value.p[0] == '\''))
            return str_sub(value, 1, 1 + str_find(str_sub(value, 1, value.n), value.p[0]));
    }
    return STR_ABSENT;
}

static void
name_is(Looking *l, Str name, const char *from)
{
    char *label = l->facts->app || !name.p ? NULL : as_label(l->arena, name);
    if (!label)
        return;
    l->facts->app = label;
    l->facts->app_from = str_dup(l->arena, str_of(from));
}

/* ---- the program ---- */

static bool
is_plain_word(const char *word)
{
    return *word && !word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                       "0123456789_-./:,=@%+")];
}

char *
facts_shell_words(Arena *arena, char *const *words)
{
    StrBuf out = strbuf_new(arena, FILE_CEILING);
    for (; *words; words++) {
        if (out.n)
            strbuf_addc(&out, ' ');
        if (is_plain_word(*words)) {
            strbuf_puts(&out, *words);
            continue;
        }
        strbuf_addc(&out, '\'');
        for (const char *p = *words; *p; p++)
            if (*p == '\'')
                strbuf_puts(&out, "'\\''");
            else
                strbuf_addc(&out, *p);
        strbuf_addc(&out, '\'');
    }
    return str_dup(arena, strbuf_str(&out));
}

static void
program_is(Looking *l, char *const *words, const char *from)
{
    if (l->facts->program || !words[0])
        return;
    size_t n = 0;
    while (words[n])
        n++;
    l->facts->program = arena_array(l->arena, char *, n + 1);
    for (size_t i = 0; i < n; i++)
        l->facts->program[i] = str_dup(l->arena, str_of(words[i]));
    l->facts->program_shell = facts_shell_words(l->arena, words);
    l->facts->program_from = str_dup(l->arena, str_of(from));
}

/* A command line: its words, where a shell would do nothing but split them; else the shell itself.
 */
static void
program_is_text(Looking *l, Str text, const char *from)
{
    char **words = NULL, *line = str_dup(l->arena, str_trim(text));
    if (l->facts->program || !*line)
        return;
    bool plain = !line[strcspn(line, "$`|&;<>()*?~#!{}\\")];
    if (!plain || !str_split_words(l->arena, str_of(line), &words) ||
        strchr(words[0], '=') != NULL) {
        words = arena_array(l->arena, char *, 4);
        words[0] = str_dup(l->arena, STR("/bin/sh"));
        words[1] = str_dup(l->arena, STR("-c"));
        /* So that signals reach the service, not a shell in front of it. */
        bool simple = !line[strcspn(line, "|&;<>(){}=")] && strncmp(line, "exec ", 5) != 0;
        words[2] = str_printf(l->arena, "%s%s", simple ? "exec " : "", line);
        plain = false;
    }
    program_is(l, words, from);
    if (!plain)
        l->facts->program_shell = line;
}

/* As typed behind the dashes. A word with a `$` in it is meant for a shell of the platform's: the
 * one that it was typed into has left it alone. */
static void
program_is_typed(Looking *l, char *const *words)
{
    bool expands = false;
    StrBuf text = strbuf_new(l->arena, FILE_CEILING);
    const char *name = strrchr(words[0], '/') ? strrchr(words[0], '/') + 1 : words[0];
    bool is_shell = strcmp(name, "sh") == 0 || strcmp(name, "bash") == 0;
    for (size_t i = 0; words[i]; i++) {
        char *const one[] = {words[i], NULL};
        bool open = strchr(words[i], '$') && !strpbrk(words[i], "\"`\\");
        expands = expands || open;
        strbuf_puts(&text, i ? " " : "");
        if (open)
            strbuf_printf(&text, "\"%s\"", words[i]);
        else
            strbuf_puts(&text, facts_shell_words(l->arena, one));
    }
    if (expands && !is_shell)
        program_is_text(l, strbuf_str(&text), "the command line");
    else
        program_is(l, words, "the command line");
}

/* ---- manifests ---- */

static bool
look_at_package(Looking *l, Error *err)
{
    Str text;
    json_error_t why;
    if (!read_text(l, "package.json", &text, err))
        return false;
    if (!text.p)
        return true;
    if (str_starts(text, STR("\xEF\xBB\xBF")))
        text = str_sub(text, 3, text.n);
    AUTO_JSON *root = json_loadb(text.p, text.n, 0, &why);
    if (!root) {
        error_set(err, ERROR_USAGE, "not JSON: %s", why.text);
        return error_at(err, "package.json", why.line > 0 ? (size_t)why.line : 1,
                        why.column > 0 ? (size_t)why.column : 1);
    }
    name_is(l, str_of(json_string_value(json_object_get(root, "name"))), "package.json");
    const char *start =
        json_string_value(json_object_get(json_object_get(root, "scripts"), "start"));
    if (!start)
        return true;
    /* `npm` in front of the service would swallow its signals; node itself does not. */
    if (strncmp(start, "node ", 5) == 0)
        program_is_text(l, str_of(start), "package.json");
    else
        program_is(l, (char *const[]){(char[]){"npm"}, (char[]){"start"}, NULL}, "package.json");
    return true;
}

/* Django: the package of `os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")`. */
static bool
look_at_django(Looking *l, Error *err)
{
    Str text;
    if (!read_text(l, "manage.py", &text, err))
        return false;
    if (!text.p)
        return true;
    size_t at = str_find_str(text, STR("DJANGO_SETTINGS_MODULE"));
    Str rest = str_sub(text, at + strlen("DJANGO_SETTINGS_MODULE\""), text.n);
    rest = str_sub(rest, 0, str_find(rest, '\n'));
    for (size_t i = 0; i < rest.n; i++) {
        if (rest.p[i] != '"' && rest.p[i] != '\'')
            continue;
        Str module = str_sub(rest, i + 1, rest.n);
        module = str_sub(module, 0, str_find(module, rest.p[i]));
        module = str_sub(module, 0, str_find(module, '.'));
        char *wsgi = str_printf(l->arena, STR_FMT ".wsgi", STR_ARG(module));
        if (module.n && is_plain_word(wsgi))
            program_is(l, (char *const[]){(char[]){"gunicorn"}, wsgi, NULL}, "manage.py");
        break;
    }
    return true;
}

static bool
look_at_procfile(Looking *l, Error *err)
{
    Str text;
    if (!read_text(l, "Procfile", &text, err))
        return false;
    for (Str rest = text, line; text.p && next_line(&rest, &line);)
        if (str_starts(line, STR("web:")))
            program_is_text(l, str_sub(line, 4, line.n), "Procfile");
    return true;
}

/* ---- Dockerfile ---- */

typedef struct Instructions { /* of the last stage */
    Str cmd, entrypoint, port;
} Instructions;

static bool
is_instruction(Str line, const char *name, Str *ret)
{
    size_t n = strlen(name);
    if (line.n <= n || !isspace((unsigned char)line.p[n]) ||
        !str_eq_nocase(str_sub(line, 0, n), str_of(name)))
        return false;
    *ret = str_trim(str_sub(line, n, line.n));
    return true;
}

/* Lines that end in a backslash are one with the next. */
static Str
joined_line(Arena *arena, Str *rest, Str line)
{
    StrBuf out = strbuf_new(arena, FILE_CEILING + 1);
    Str next;
    while (line.n && line.p[line.n - 1] == '\\') {
        strbuf_add(&out, str_sub(line, 0, line.n - 1));
        strbuf_addc(&out, ' ');
        do {
            if (!next_line(rest, &next))
                next = STR("");
        } while (str_starts(next, STR("#")));
        line = next;
    }
    strbuf_add(&out, line);
    return str_trim(strbuf_str(&out));
}

static Instructions
read_instructions(Arena *arena, Str text)
{
    Instructions found = {0};
    Str value;
    for (Str rest = text, line; next_line(&rest, &line);) {
        if (str_starts(line, STR("#")))
            continue;
        line = joined_line(arena, &rest, line);
        if (is_instruction(line, "FROM", &value))
            found = (Instructions){0}; /* what the base image says is not known */
        else if (is_instruction(line, "CMD", &value))
            found.cmd = value;
        else if (is_instruction(line, "ENTRYPOINT", &value))
            found.entrypoint = value;
        else if (is_instruction(line, "EXPOSE", &value))
            found.port = value;
    }
    return found;
}

/* `["gunicorn", "shop.wsgi"]` as words; false: anything else is for a shell. */
static bool
exec_words(Arena *arena, Str value, char ***ret)
{
    json_error_t why;
    AUTO_JSON *list = json_loadb(value.p, value.n, 0, &why);
    size_t n = json_array_size(list);
    char **words = arena_array(arena, char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        const char *word = json_string_value(json_array_get(list, i));
        if (!word)
            return false;
        words[i] = str_dup(arena, str_of(word));
    }
    *ret = words;
    return json_is_array(list);
}

static bool
look_at_dockerfile(Looking *l, Error *err)
{
    Str text;
    char **words;
    int64_t port;
    if (!read_text(l, "Dockerfile", &text, err))
        return false;
    if (!text.p)
        return true;
    Instructions found = read_instructions(l->arena, text);
    Str number = str_sub(found.port, 0, strcspn(found.port.p ? found.port.p : "", " /\t"));
    if (!l->facts->port && found.port.p && str_to_i64(number, &port) && port > 0 && port < 65536) {
        l->facts->port = (int)port;
        l->facts->port_from = str_dup(l->arena, STR("Dockerfile"));
    }
    bool listed = found.entrypoint.p && exec_words(l->arena, found.entrypoint, &words);
    if (found.entrypoint.p && !(listed && !words[0])) {
        l->facts->entrypoint = str_dup(l->arena, found.entrypoint);
        l->facts->entrypoint_is_lockstep = listed && str_ends(str_of(words[0]), STR("lockstep"));
    }
    if (found.cmd.p && exec_words(l->arena, found.cmd, &words))
        program_is(l, words, "Dockerfile");
    else if (found.cmd.p)
        program_is_text(l, found.cmd, "Dockerfile");
    return true;
}

/* ---- an image for it ---- */

static void
choose_image(Looking *l)
{
    Facts *f = l->facts;
    f->base = "debian:bookworm-slim";
    f->user = "nobody";
    f->install = str_dup(l->arena, STR(""));
    if (has_file(l, "package.json")) {
        f->base = "node:22-slim";
        f->user = "node";
        f->install = str_printf(
            l->arena,
            "# The migration tool has to be among the dependencies, not the development ones.\n"
            "RUN npm %s --omit=dev\n",
            has_file(l, "package-lock.json") ? "ci" : "install");
    } else if (has_file(l, "requirements.txt") || has_file(l, "pyproject.toml") ||
               has_file(l, "manage.py")) {
        f->base = "python:3.12-slim";
        if (has_file(l, "requirements.txt"))
            f->install =
                str_dup(l->arena, STR("RUN pip install --no-cache-dir -r requirements.txt\n"));
        else if (has_file(l, "pyproject.toml"))
            f->install = str_dup(l->arena, STR("RUN pip install --no-cache-dir .\n"));
    }
}

/* ---- what the command line said ---- */

static bool
take_port(Facts *facts, Arena *arena, const char *text, Error *err)
{
    int64_t port;
    if (!text)
        return true;
    if (!str_to_i64(str_of(text), &port) || port < 1 || port > 65535) {
        error_set(err, ERROR_USAGE, "'%s' is not a port", text);
        return error_hint(err, "Give a number from 1 to 65535.");
    }
    facts->port = (int)port;
    facts->port_from = str_dup(arena, STR("--port"));
    return true;
}

/* Everything a reference to an image may hold; nothing that YAML, a shell or HCL would read. */
static bool
is_image(const char *text)
{
    return isalnum((unsigned char)*text) && is_plain_word(text) && !strpbrk(text, ",=%+");
}

static bool
take_image(Arena *arena, const char *given, const char *option, char **ret, Error *err)
{
    if (!given)
        return true;
    if (!is_image(given)) {
        error_set(err, ERROR_USAGE, "'%s' is not the name of an image", given);
        return error_hint(err, "Give --%s as in registry.example.com/shop:1.2.", option);
    }
    *ret = str_dup(arena, str_of(given));
    return true;
}

/* A path, or a URL: the port in it is that of the host, so only its path counts. */
static bool
take_probe(Looking *l, const char *given, Error *err)
{
    const char *path = given ? strstr(given, "://") : NULL;
    path = path ? strchr(path + 3, '/') : given;
    if (!path)
        return true;
    if (path[0] != '/' || !is_plain_word(path)) {
        error_set(err, ERROR_USAGE, "'%s' is not a path to ask the service for", given);
        return error_hint(err, "Give --health-check as in /healthz.");
    }
    l->facts->probe = str_dup(l->arena, str_of(path));
    return true;
}

static bool
take_options(Looking *l, const FactsOptions *o, Error *err)
{
    Facts *f = l->facts;
    if (o->app) {
        if (!is_label(o->app)) {
            error_set(err, ERROR_USAGE, "'%s' cannot be the name of an application", o->app);
            char *near = as_label(l->arena, str_of(o->app));
            return error_hint(err,
                              "Use up to %d small letters, digits and dashes, a letter first%s%s.",
                              NAME_MAX_CHARS, near ? ": " : "", near ? near : "");
        }
        name_is(l, str_of(o->app), "--app");
    }
    if (!take_probe(l, o->probe, err))
        return false;
    if (o->program)
        program_is_typed(l, o->program);
    f->lockstep_image = str_dup(l->arena, STR("lockstep:" LOCKSTEP_VERSION));
    if (!take_image(l->arena, o->image, "image", &f->image, err) ||
        !take_image(l->arena, o->lockstep_image, "from", &f->lockstep_image, err))
        return false;
    if (f->image)
        f->image_from = str_dup(l->arena, STR("--image"));
    return take_port(f, l->arena, o->port, err);
}

static void
name_after_directory(Looking *l)
{
    char path[PATH_MAX];
    if (realpath(l->dir, path))
        name_is(l, str_of(path), "the directory");
    name_is(l, STR("app"), "nothing better");
}

/* A Procfile has one line for it, and none of the other files takes more. */
static bool
check_program(const Facts *facts, Error *err)
{
    for (char **word = facts->program; word && *word; word++)
        for (const char *p = *word; *p; p++)
            if ((unsigned char)*p < 0x20 || *p == 0x7f) {
                error_set(err, ERROR_USAGE, "the service's program has a control character in it");
                return error_hint(err, "Put what %s says into a script, and start that.",
                                  facts->program_from);
            }
    return true;
}

bool
facts_find(Arena *arena, const FactsOptions *options, Facts *ret, Error *err)
{
    Facts facts = {0};
    Looking l = {arena, options->dir, &facts};
    Str pyproject;
    /* The order is that of trust: what was said, what the image does, what others would start. */
    if (!take_options(&l, options, err) || !look_at_dockerfile(&l, err) ||
        !look_at_procfile(&l, err) || !look_at_package(&l, err) || !look_at_django(&l, err) ||
        !read_text(&l, "pyproject.toml", &pyproject, err))
        return false;
    name_is(&l, pyproject_name(pyproject), "pyproject.toml");
    name_after_directory(&l);
    choose_image(&l);
    if (!facts.port)
        facts.port = DEFAULT_PORT;
    if (!facts.image)
        facts.image = str_printf(arena, "registry.example.com/%s:1", facts.app);
    if (!check_program(&facts, err))
        return false;
    *ret = facts;
    return true;
}
