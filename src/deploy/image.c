/* SPDX-License-Identifier: Apache-2.0 */
/* An image's configuration, which of its texts are kept, and what the whole of it says. */

#include "deploy/image.h"

#include <stdlib.h>
#include <string.h>

#include "core/env.h"
#include "core/fs.h"
#include "deploy/image_internal.h"
#include "core/banned.h"

/* ---- JSON ---- */

bool
image_parse(const char *name, Str text, json_t **ret, Error *err)
{
    json_error_t error;
    json_t *root = json_loadb(text.p ? text.p : "", text.n, 0, &error);
    if (!root)
        return error_set(err, ERROR_USAGE, "%s is not JSON: %s", name, error.text);
    *ret = root;
    return true;
}

char *
image_json_text(Arena *arena, const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text && *text ? str_dup(arena, str_of(text)) : NULL;
}

void
image_json_words(Arena *arena, const json_t *list, Words *ret)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (text)
            *vec_push(arena, ret) = str_dup(arena, str_of(text));
    }
}

static int
compare_labels(const void *a, const void *b)
{
    return strcmp(((const ImageLabel *)a)->name, ((const ImageLabel *)b)->name);
}

static int
compare_words(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
take_labels(Arena *arena, json_t *labels, Image *image)
{
    const char *name;
    json_t *value;
    json_object_foreach(labels, name, value)
    {
        const char *text = json_string_value(value);
        *vec_push(arena, &image->labels) =
            (ImageLabel){str_dup(arena, str_of(name)), str_dup(arena, str_of(text ? text : ""))};
    }
    if (image->labels.n)
        qsort(image->labels.p, image->labels.n, sizeof *image->labels.p, compare_labels);
}

static void
take_environment(Arena *arena, const json_t *env, Image *image)
{
    Words all = {0};
    image_json_words(arena, env, &all);
    for (size_t i = 0; i < all.n; i++) {
        Str entry = str_of(all.p[i]);
        *vec_push(arena, &image->env) = str_dup(arena, str_sub(entry, 0, str_find(entry, '=')));
    }
    *vec_push(arena, &all) = NULL;
    image->environ_ = all.p;
}

/* A shell form that the engine wrote as one text. */
static void
take_command(Arena *arena, const json_t *value, Words *ret)
{
    if (json_is_string(value))
        *vec_push(arena, ret) = str_dup(arena, str_of(json_string_value(value)));
    else
        image_json_words(arena, value, ret);
}

static bool
has_healthcheck(const json_t *config)
{
    const json_t *test = json_object_get(json_object_get(config, "Healthcheck"), "Test");
    const char *first = json_string_value(json_array_get(test, 0));
    return first && *first && strcmp(first, "NONE") != 0;
}

void
image_take_config(Arena *arena, json_t *config, Image *image)
{
    const char *port;
    json_t *ignored;
    take_command(arena, json_object_get(config, "Entrypoint"), &image->entrypoint);
    take_command(arena, json_object_get(config, "Cmd"), &image->cmd);
    image->user = image_json_text(arena, config, "User");
    image->workdir = image_json_text(arena, config, "WorkingDir");
    if (!image->workdir)
        image->workdir = str_dup(arena, STR("/"));
    take_labels(arena, json_object_get(config, "Labels"), image);
    take_environment(arena, json_object_get(config, "Env"), image);
    json_object_foreach(json_object_get(config, "ExposedPorts"), port, ignored) *
        vec_push(arena, &image->ports) = str_dup(arena, str_of(port));
    if (image->ports.n)
        qsort(image->ports.p, image->ports.n, sizeof(char *), compare_words);
    image->healthcheck = has_healthcheck(config);
}

/* ---- which texts are kept ---- */

static bool
is_one_of(Str word, const char *const *list)
{
    for (; *list; list++)
        if (str_eq(word, str_of(*list)))
            return true;
    return false;
}

/* Code of others, caches: migrations are never looked for there. */
bool
image_is_foreign(Str part)
{
    static const char *const foreign[] = {"node_modules",  "venv",        "env", "vendor",
                                          "site-packages", "__pycache__", NULL};
    return part.n > 0 && (part.p[0] == '.' || is_one_of(part, foreign));
}

bool
image_is_system(Str part)
{
    static const char *const system_dirs[] = {"bin",   "boot",  "dev",  "etc", "lib",
                                              "lib32", "lib64", "proc", "run", "sbin",
                                              "sys",   "usr",   "var",  NULL};
    return is_one_of(part, system_dirs);
}

static Str
without_root(Str path)
{
    while (path.n && (path.p[0] == '/' || str_starts(path, STR("./"))))
        path = str_sub(path, path.p[0] == '/' ? 1 : 2, path.n);
    return path;
}

static Str
last_part(Str path)
{
    size_t at = path.n;
    while (at > 0 && path.p[at - 1] != '/')
        at--;
    return str_sub(path, at, path.n);
}

/* Text by its name: what tells about a project, and migrations. */
static bool
is_text_name(Str name)
{
    static const char *const kinds[] = {
        "",    "json", "toml", "ini",  "cfg", "conf", "py",     "rb",         "js",  "cjs",
        "mjs", "ts",   "yml",  "yaml", "xml", "sql",  "lock",   "properties", "txt", "exs",
        "ex",  "php",  "env",  "sh",   "ru",  "plan", "prisma", NULL};
    size_t dot = name.n;
    while (dot > 0 && name.p[dot - 1] != '.')
        dot--;
    return dot <= 1 || is_one_of(str_sub(name, dot, name.n), kinds);
}

/* What is started: by the name of the file, as its path may lead over links. */
static bool
is_started(const Image *image, Str name)
{
    const Words *lists[] = {&image->entrypoint, &image->cmd};
    for (size_t l = 0; l < COUNT_OF(lists); l++)
        for (size_t i = 0; i < lists[l]->n; i++)
            if (str_eq(name, last_part(str_of(lists[l]->p[i]))))
                return true;
    return false;
}

bool
image_keeps(const Keeping *keeping, const Entry *entry)
{
    Str path = without_root(entry->path), name = last_part(path);
    Str workdir = without_root(str_of(keeping->image->workdir));
    if (entry->kind != ENTRY_FILE || entry->size <= 0 || entry->size > IMAGE_TEXT_MAX)
        return false;
    if (is_started(keeping->image, name))
        return true;
    if (!is_text_name(name))
        return false;
    /* Elsewhere too: the working directory may be a link. */
    Str rest = path;
    if (workdir.n && str_starts(path, workdir))
        rest = without_root(str_sub(path, workdir.n, path.n));
    else if (image_is_system(str_sub(path, 0, str_find(path, '/'))))
        return false;
    while (rest.n > name.n) {
        size_t end = str_find(rest, '/');
        if (image_is_foreign(str_sub(rest, 0, end)))
            return false;
        rest = str_sub(rest, end + 1, rest.n);
    }
    return true;
}

bool
image_take_text(Tar *tar, Arena *arena, Keeping *keeping, const Entry *entry, Str *ret, Error *err)
{
    *ret = STR_ABSENT;
    if (!image_keeps(keeping, entry))
        return true;
    if (!tar_read(tar, arena, (size_t)entry->size, ret, err))
        return false;
    keeping->kept += ret->n;
    return keeping->kept <= IMAGE_KEPT_MAX ||
           error_set(err, ERROR_USAGE, "the project in '%s' has more than %d MiB of source text",
                     keeping->image->name, IMAGE_KEPT_MAX >> 20);
}

/* ---- what is in it ---- */

static const ImageNode *
node_at(const Image *image, const char *path)
{
    const ImageNode *workdir = tree_find(image->files, NULL, str_of(image->workdir));
    if (!workdir && *path != '/')
        return NULL;
    return tree_find(image->files, workdir, str_of(path));
}

bool
image_has(const Image *image, const char *path)
{
    return node_at(image, path) != NULL;
}

Str
image_text(const Image *image, const char *path)
{
    const ImageNode *node = node_at(image, path);
    return node && node->kind == ENTRY_FILE ? node->text : STR_ABSENT;
}

static bool
is_program(const ImageNode *node)
{
    return node && node->kind == ENTRY_FILE && node->executable;
}

Str
image_search_path(const Image *image)
{
    const char *path = env_get(image->environ_, "PATH");
    return str_of(path ? path : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
}

/* As execvp would look for it in the image; a name with a slash is a path. */
static char *
find_program(Arena *arena, const Image *image, const char *name)
{
    Str rest = image_search_path(image);
    if (strchr(name, '/'))
        return is_program(node_at(image, name)) ? str_dup(arena, str_of(name)) : NULL;
    while (rest.n) {
        size_t end = str_find(rest, ':');
        char *full = fs_join(arena, str_dup(arena, str_sub(rest, 0, end)), name);
        if (is_program(node_at(image, full)))
            return full;
        rest = str_sub(rest, end + 1, rest.n);
    }
    return NULL;
}

static char *
find_lockstep(Arena *arena, const Image *image)
{
    static const char *const usual[] = {"lockstep", "/lockstep", "./lockstep", "bin/lockstep"};
    const Words *lists[] = {&image->entrypoint, &image->cmd};
    char *found = NULL;
    for (size_t l = 0; l < COUNT_OF(lists) && !found; l++)
        for (size_t i = 0; i < lists[l]->n && !found; i++)
            if (str_eq(last_part(str_of(lists[l]->p[i])), STR("lockstep")))
                found = find_program(arena, image, lists[l]->p[i]);
    for (size_t i = 0; i < COUNT_OF(usual) && !found; i++)
        found = find_program(arena, image, usual[i]);
    return found ? tree_path(arena, node_at(image, found)) : NULL;
}

static char *
find_shell(Arena *arena, const Image *image)
{
    static const char *const shells[] = {"/bin/sh", "/bin/bash", "/bin/ash", "/busybox/sh", "sh"};
    char *found = NULL;
    for (size_t i = 0; i < COUNT_OF(shells) && !found; i++)
        found = find_program(arena, image, shells[i]);
    return found;
}

/* The first word that is a script: `["sh", "/entrypoint.sh"]` has it second. */
static char *
find_script(Arena *arena, const Image *image)
{
    const Words *words = image->entrypoint.n ? &image->entrypoint : &image->cmd;
    for (size_t i = 0; i < words->n && i < 3; i++) {
        char *path = i ? words->p[i] : find_program(arena, image, words->p[i]);
        if (path && str_starts(image_text(image, path), STR("#!")))
            return tree_path(arena, node_at(image, path));
    }
    return NULL;
}

Words
image_known_files(Arena *arena, const Image *image)
{
    static const char *const known[] = {"package.json",  "manage.py",    "Procfile",
                                        "app.json",      "alembic.ini",  "prisma/schema.prisma",
                                        "lockstep.yaml", "lockstep.yml", "Gemfile",
                                        "composer.json", "mix.exs"};
    Words words = {0};
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (image_has(image, known[i]))
            *vec_push(arena, &words) = str_dup(arena, str_of(known[i]));
    return words;
}

/* ---- reading ---- */

static bool
looks_like_file(const char *name)
{
    Str s = str_of(name);
    return s.n && (s.p[0] == '/' || s.p[0] == '.' || str_ends(s, STR(".tar")) ||
                   str_ends(s, STR(".tgz")) || str_ends(s, STR(".gz")));
}

static bool
check_reference(const char *name, Error *err)
{
    bool bad = *name == '\0' || *name == '-' || strlen(name) > 512;
    for (const char *p = name; *p && !bad; p++)
        bad = (unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7F;
    if (!bad)
        return true;
    error_set(err, ERROR_USAGE, "'%.100s' cannot be the name of an image", name);
    return error_hint(err, "Name an image (registry/name:tag, name@sha256:...), or a file that "
                           "`docker save` wrote.");
}

bool
image_read(Arena *arena, const ImageOptions *options, Image *ret, Error *err)
{
    Image image = {.name = options->name, .files = tree_new(arena)};
    FsKind kind = fs_kind(options->name);
    bool file = kind == FS_FILE || looks_like_file(options->name);
    if (file && kind == FS_ABSENT)
        return error_set(err, ERROR_USAGE, "there is no file '%s'", options->name);
    image.archive = file;
    if (!(file ? image_from_archive(arena, options, &image, err)
               : check_reference(options->name, err) &&
                     image_from_engine(arena, options, &image, err)))
        return false;
    image.lockstep = find_lockstep(arena, &image);
    image.shell = find_shell(arena, &image);
    image.entrypoint_script = find_script(arena, &image);
    *ret = image;
    return true;
}
