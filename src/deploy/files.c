/* SPDX-License-Identifier: Apache-2.0 */
/* Templates to files: places filled in, what is there already compared, written safely. */

#include "deploy/files.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "core/fs.h"
#include "deploy/files_internal.h"

#include "core/banned.h"

enum { TEXT_CEILING = 1 << 20 };

typedef enum PlatformId {
#define PLATFORM(id, ...) PLATFORM_##id,
#define DEPLOY_FILE(...)
#include "deploy/files.def"
#undef PLATFORM
    PLATFORM_COUNT
} PlatformId;

const DeployPlatform deploy_platforms[] = {
#define PLATFORM(id, name, title, flags) {name, title, flags},
#include "deploy/files.def"
#undef PLATFORM
#undef DEPLOY_FILE
    {0},
};

static const struct FileRow {
    PlatformId platform;
    const char *template, *target;
    unsigned mode;
    const char *add, *purpose;
} rows[] = {
#define PLATFORM(...)
#define DEPLOY_FILE(platform, ...) {PLATFORM_##platform, __VA_ARGS__},
#include "deploy/files.def"
#undef PLATFORM
#undef DEPLOY_FILE
};

const DeployPlatform *
deploy_platform_find(const char *name, Error *err)
{
    const char *names[PLATFORM_COUNT + 1] = {0};
    for (size_t i = 0; i < PLATFORM_COUNT; i++) {
        names[i] = deploy_platforms[i].name;
        if (strcmp(names[i], name) == 0)
            return &deploy_platforms[i];
    }
    const char *near = str_nearest(str_of(name), names);
    error_set(err, ERROR_USAGE, "there is no platform '%s'", name);
    if (near)
        error_hint(err, "Did you mean `%s`? `lockstep init` lists them all.", near);
    else
        error_hint(err, "`lockstep init` lists them all.");
    return NULL;
}

/* ---- templates ---- */

static const char *
template_text(const char *name)
{
    for (const Template *t = templates; t->name; t++)
        if (strcmp(t->name, name) == 0)
            return t->text;
    return NULL;
}

/* A list of strings that JSON, YAML and a Dockerfile read alike. */
static char *
json_words(Arena *arena, char *const *words)
{
    StrBuf out = strbuf_new(arena, TEXT_CEILING);
    strbuf_addc(&out, '[');
    for (size_t i = 0; words[i]; i++) {
        strbuf_puts(&out, i ? ", \"" : "\"");
        for (const unsigned char *p = (const unsigned char *)words[i]; *p; p++)
            if (*p == '"' || *p == '\\')
                strbuf_printf(&out, "\\%c", *p);
            else if (*p < 0x20)
                strbuf_printf(&out, "\\u%04x", *p);
            else
                strbuf_addc(&out, (char)*p);
        strbuf_addc(&out, '"');
    }
    strbuf_addc(&out, ']');
    return str_dup(arena, strbuf_str(&out));
}

/* The host in front of an image's name; without a dot or a port it is none, and the engine's own is
 * meant. */
static char *
registry_of(Arena *arena, const char *image)
{
    Str host = str_sub(str_of(image), 0, str_find(str_of(image), '/'));
    bool is_host =
        host.n < strlen(image) && (str_find(host, '.') < host.n || str_find(host, ':') < host.n);
    return is_host ? str_dup(arena, host) : str_dup(arena, STR(""));
}

typedef struct Place {
    const char *name, *value;
} Place;

/* What stands between two at signs in a template. */
static Place *
places_of(Arena *arena, const DeployPlatform *platform, const Facts *f)
{
    const char *probe = f->probe;
    const Place list[] = {
        {"APP", f->app},
        {"IMAGE", f->image},
        {"REGISTRY", registry_of(arena, f->image)},
        {"PORT", str_printf(arena, "%d", f->port)},
        {"LOCKSTEP", f->lockstep_image},
        {"BASE", f->base},
        {"USER", f->user},
        {"INSTALL", f->install},
        {"PROGRAM_WORDS", f->program ? json_words(arena, f->program) : ""},
        {"PROGRAM", f->program ? f->program_shell : ""},
        {"ENTRYPOINT",
         platform->flags & ENTRYPOINT_MIGRATES
             ? "# Migrates once across all replicas, then becomes what CMD says: same "
               "process, same\n# signals. Any other program can be given instead.\n"
               "ENTRYPOINT [\"lockstep\", \"run\", \"--\"]\n"
             : ""},
        {"ENTRYPOINT_ADD", platform->flags & ENTRYPOINT_MIGRATES
                               ? "ENTRYPOINT [\"lockstep\", \"run\", \"--\"]\n"
                               : ""},
        {"PROBE_DOKKU",
         probe ? str_printf(arena, "\"path\": \"%s\"", probe) : "\"listening\": true"},
        {"PROBE_K8S", probe ? str_printf(arena, "httpGet: {path: %s, port: http}", probe)
                            : "tcpSocket: {port: http}"},
        {"PROBE_FLY", probe ? str_printf(arena,
                                         "[[http_service.checks]]\n"
                                         "  method = \"GET\"\n"
                                         "  path = \"%s\"\n"
                                         "  interval = \"15s\"\n"
                                         "  timeout = \"5s\"\n"
                                         "  grace_period = \"10s\"\n",
                                         probe)
                            : ""},
        {"PROBE_RENDER", probe ? str_printf(arena, "    healthCheckPath: %s\n", probe) : ""},
        {"PROBE_RAILWAY",
         probe ? str_printf(arena, ",\n    \"healthcheckPath\": \"%s\"", probe) : ""},
        {NULL, NULL},
    };
    Place *copy = arena_alloc(arena, sizeof list);
    memcpy(copy, list, sizeof list);
    return copy;
}

static const Place *
place_at(const Place *places, Str rest)
{
    size_t end = str_find(str_sub(rest, 1, rest.n), '@');
    Str name = str_sub(rest, 1, 1 + end);
    for (; end + 1 < rest.n && places->name; places++)
        if (str_eq(name, str_of(places->name)))
            return places;
    return NULL;
}

static Str
fill_in(Arena *arena, const char *text, const Place *places)
{
    StrBuf out = strbuf_new(arena, TEXT_CEILING);
    for (Str rest = str_of(text); rest.n;) {
        size_t at = str_find(rest, '@');
        strbuf_add(&out, str_sub(rest, 0, at));
        rest = str_sub(rest, at, rest.n);
        const Place *place = rest.n ? place_at(places, rest) : NULL;
        if (place) {
            strbuf_puts(&out, place->value);
            rest = str_sub(rest, strlen(place->name) + 2, rest.n);
            /* A place that stands for whole lines brings its own ends of line. */
            bool lines = *place->value == 0 || place->value[strlen(place->value) - 1] == '\n';
            bool begins =
                out.n == strlen(place->value) || out.p[out.n - strlen(place->value) - 1] == '\n';
            if (lines && begins && str_starts(rest, STR("\n")))
                rest = str_sub(rest, 1, rest.n);
        } else if (rest.n) {
            strbuf_addc(&out, '@');
            rest = str_sub(rest, 1, rest.n);
        }
    }
    return out.n ? strbuf_str(&out) : STR("");
}

/* ---- what is there ---- */

static char *
path_in(Arena *arena, const char *dir, const char *target)
{
    return strcmp(dir, ".") == 0 ? str_dup(arena, str_of(target)) : fs_join(arena, dir, target);
}

/* Nothing is written outside the directory: not through a folder that is a link elsewhere, and not
 * over a link. */
static bool
check_target(const char *dir, const char *target, bool *ret_there, Error *err)
{
    SCRATCH_ARENA(scratch);
    struct stat st;
    char *path = path_in(scratch, dir, target);
    size_t skip = strlen(path) - strlen(target);
    for (char *slash = strchr(path + skip, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        FsKind kind = fs_kind(path);
        bool link = lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
        if (link && (kind == FS_ABSENT || !fs_is_inside(dir, path))) {
            error_set(err, ERROR_USAGE, "'%s' is a link that leaves the directory", path);
            return error_hint(err, "Make it a directory; nothing was written.");
        }
        if (kind != FS_ABSENT && kind != FS_DIR) {
            error_set(err, ERROR_USAGE, "'%s' is not a directory", path);
            return error_hint(err, "Move it out of the way; nothing was written.");
        }
        *slash = '/';
    }
    *ret_there = false;
    if (lstat(path, &st) != 0)
        return errno == ENOENT ||
               error_set_errno(err, ERROR_USAGE, errno, "cannot look at '%s'", path);
    if (!S_ISREG(st.st_mode)) {
        error_set(err, ERROR_USAGE, "'%s' is %s, not a file", path,
                  S_ISLNK(st.st_mode)   ? "a link"
                  : S_ISDIR(st.st_mode) ? "a directory"
                                        : "something else");
        return error_hint(err, "Move it out of the way; nothing was written.");
    }
    *ret_there = true;
    return true;
}

/* Each line of `wanted` that says something stands in `text`, whatever its indentation. */
static bool
has_lines(Str text, Str wanted)
{
    for (Str rest = wanted; rest.n;) {
        size_t end = str_find(rest, '\n');
        Str line = str_trim(str_sub(rest, 0, end));
        rest = str_sub(rest, end + 1, rest.n);
        if (line.n > 1 && line.p[0] != '#' && str_find_str(text, line) >= text.n)
            return false;
    }
    return true;
}

static bool
compare(const char *dir, PlannedFile *file, Error *err)
{
    SCRATCH_ARENA(scratch);
    bool there = false;
    Str text;
    if (!check_target(dir, file->target, &there, err))
        return false;
    file->state = PLANNED_NEW;
    if (!there)
        return true;
    if (!fs_read(scratch, path_in(scratch, dir, file->target), TEXT_CEILING, &text, err))
        return false;
    file->state = str_eq(text, file->text)     ? PLANNED_SAME
                  : has_lines(text, file->add) ? PLANNED_HAS
                                               : PLANNED_OTHER;
    return true;
}

/* ---- the plan ---- */

static bool
need_program(const DeployPlatform *platform, const Facts *facts, Error *err)
{
    if (facts->program || !(platform->flags & NEEDS_PROGRAM))
        return true;
    error_set(err, ERROR_USAGE, "nothing here says which program the service is");
    return error_hint(err,
                      "Give it after two dashes, as in `lockstep init %s -- gunicorn shop.wsgi`; a "
                      "CMD in Dockerfile or a `web:` line in Procfile would do as well.",
                      platform->name);
}

static void
add_notes(Arena *arena, const DeployPlatform *platform, const Facts *f, FilesPlan *plan)
{
    if (f->entrypoint && !f->entrypoint_is_lockstep && platform->flags & RELEASE_COMMAND)
        *vec_push(arena, &plan->notes) =
            str_printf(arena,
                       "Dockerfile has ENTRYPOINT %s: `lockstep migrate` is handed to it as "
                       "arguments, without "
                       "a shell. It must end in `exec \"$@\"` and must not migrate itself.",
                       f->entrypoint);
    else if (f->entrypoint && !f->entrypoint_is_lockstep && platform->flags & ENTRYPOINT_MIGRATES)
        *vec_push(arena, &plan->notes) =
            str_printf(arena,
                       "Dockerfile has ENTRYPOINT %s. Where it migrates, take that out; then put "
                       "`lockstep` in "
                       "front of it: ENTRYPOINT [\"lockstep\", \"run\", \"--\", ...].",
                       f->entrypoint);
    if (!f->image_from && platform->flags == 0)
        *vec_push(arena, &plan->notes) =
            str_printf(arena, "Nobody named the image (--image): the files say %s.", f->image);
}

bool
files_plan(Arena *arena,
           const DeployPlatform *platform,
           const Facts *facts,
           const char *dir,
           FilesPlan *ret,
           Error *err)
{
    FilesPlan plan = {0};
    Place *places = places_of(arena, platform, facts);
    if (!need_program(platform, facts, err))
        return false;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (&deploy_platforms[rows[i].platform] != platform)
            continue;
        const char *text = template_text(rows[i].template);
        const char *add = rows[i].add ? template_text(rows[i].add) : text;
        PlannedFile file = {.target = rows[i].target,
                            .purpose = rows[i].purpose,
                            .mode = rows[i].mode,
                            .text = fill_in(arena, text, places),
                            .add = fill_in(arena, add, places)};
        if (!compare(dir, &file, err))
            return false;
        if (file.state == PLANNED_NEW && !facts->program &&
            strcmp(file.target, "Dockerfile") == 0) {
            *vec_push(arena, &plan.notes) =
                str_dup(arena, STR("There is no Dockerfile, and nothing says which program serves: "
                                   "`lockstep init docker -- PROGRAM` makes one."));
            continue;
        }
        *vec_push(arena, &plan.files) = file;
    }
    char *next = str_printf(arena, "%s/next", platform->name);
    plan.next = fill_in(arena, template_text(next), places);
    add_notes(arena, platform, facts, &plan);
    *ret = plan;
    return true;
}

bool
files_write(const PlannedFile *file, const char *dir, Error *err)
{
    SCRATCH_ARENA(scratch);
    char *path = path_in(scratch, dir, file->target);
    char *slash = strrchr(path, '/');
    if (slash) {
        *slash = 0;
        if (!fs_make_dirs(path, err))
            return false;
        *slash = '/';
    }
    return fs_write_atomic(path, file->text, file->mode, err);
}
