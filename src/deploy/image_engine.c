/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image that the container engine has: its configuration from `image inspect`, its files from a
 * container that is made and never started (`create`, `export`, `rm`). `export` is one stream of
 * all files, links as they are; `cp` would need a call for each, and to know where links lead.
 */

#include <string.h>
#include <sys/random.h>

#include "core/clock.h"
#include "deploy/image_internal.h"
#include "proc/proc.h"
#include "core/banned.h"

enum { CALL_MS = 60000, GRACE_MS = 2000 };

typedef struct Engine {
    Arena *arena;
    const ImageOptions *options;
    const char *program;
    int64_t deadline_ms;
} Engine;

/* One call of it; what it says on stderr last is why it failed. */
typedef struct Call {
    const Engine *engine;
    const char *const *words; /* after the program */
    ChildSpec spec;
    Child *child;
    char said[400];
    char buf[65536];
} Call;

static void
on_said(void *ctx, int stream, Str line)
{
    Call *c = ctx;
    line = str_trim(line);
    if (stream != 2 || !line.n)
        return;
    size_t n = line.n < sizeof c->said - 1 ? line.n : sizeof c->said - 1;
    memcpy(c->said, line.p, n);
    c->said[n] = '\0';
}

static void
add_word(Arena *arena, Words *words, const char *word)
{
    *vec_push(arena, words) = str_dup(arena, str_of(word));
}

/* `limit_ms` 0: as long as all of it may take. */
static bool
call_open(Call *c, const Engine *e, const char *const *words, int64_t limit_ms, Error *err)
{
    Words argv = {0};
    int64_t left = e->deadline_ms - clock_ms();
    if (limit_ms && limit_ms < left)
        left = limit_ms;
    add_word(e->arena, &argv, e->program);
    if (e->options->host) {
        add_word(e->arena, &argv, "--host");
        add_word(e->arena, &argv, e->options->host);
    }
    for (c->words = words; *words; words++)
        add_word(e->arena, &argv, *words);
    *vec_push(e->arena, &argv) = NULL;
    c->engine = e;
    c->spec = (ChildSpec){.argv = argv.p,
                          .envp = e->options->environ_,
                          .stdout_fd = -1,
                          .line = on_said,
                          .line_ctx = c,
                          .grace_ms = GRACE_MS,
                          .timeout_ms = left > 1 ? left : 1};
    return child_open(e->arena, e->options->wait, &c->spec, &c->child, err);
}

/* The exit status counts only when the output was read to its end. */
static bool
call_close(Call *c, bool ok, Error *err)
{
    Error late = ERROR_INIT;
    int status = 0;
    bool closed = child_close(c->child, &status, ok ? err : &late);
    if (!ok && c->said[0])
        error_detail(err, "%s: %s", c->engine->program, c->said);
    if (!ok || !closed)
        return false;
    if (status == 0)
        return true;
    error_set(err, ERROR_FAILED, "'%s %s' failed: %s", c->engine->program, c->words[0],
              c->said[0] ? c->said : str_printf(c->engine->arena, "exit code %d", status));
    return error_hint(err, "Does `%s version` answer?", c->engine->program);
}

static bool
next_of_call(void *ctx, Str *ret, Error *err)
{
    Call *c = ctx;
    size_t n;
    if (!child_read(c->child, c->buf, sizeof c->buf, &n, err))
        return false;
    *ret = (Str){c->buf, n};
    return true;
}

/* A short answer as a whole. */
static bool
ask(const Engine *e, const char *const *words, Str *ret, Error *err)
{
    Call *c = arena_make(e->arena, Call);
    StrBuf out = strbuf_new(e->arena, IMAGE_JSON_MAX + sizeof c->buf);
    Str piece;
    bool ok;
    if (!call_open(c, e, words, CALL_MS, err))
        return false;
    do {
        ok = next_of_call(c, &piece, err);
        if (ok)
            strbuf_add(&out, piece);
        if (ok && out.n > IMAGE_JSON_MAX)
            ok = error_set(err, ERROR_FAILED, "'%s %s' answers more than %d MiB", e->program,
                           words[0], IMAGE_JSON_MAX >> 20);
    } while (ok && piece.n);
    if (!call_close(c, ok, err))
        return false;
    *ret = out.n ? strbuf_str(&out) : STR("");
    return true;
}

/* ---- configuration ---- */

/* docker says "No such image: x", podman "no such image x" or "x: image not known". */
static bool
unknown_image(const Engine *e, const Error *why, Error *err)
{
    bool unknown = strstr(why->message, "o such image") || strstr(why->message, "not known");
    if (why->code != ERROR_FAILED || !unknown) {
        *err = *why;
        return false;
    }
    error_set(err, ERROR_USAGE, "the container engine has no image '%s'", e->options->name);
    return error_hint(err, "Get it with `%s pull %s`, or name a file that `%s save` wrote.",
                      e->program, e->options->name, e->program);
}

static bool
take_inspect(const Engine *e, Image *image, Error *err)
{
    const char *const words[] = {"image", "inspect", e->options->name, NULL};
    IMAGE_JSON *list = NULL;
    Error why = ERROR_INIT;
    Str text;
    if (!ask(e, words, &text, &why))
        return unknown_image(e, &why, err);
    if (!image_parse("the answer of 'image inspect'", text, &list, err))
        return false;
    json_t *one = json_array_get(list, 0);
    image->id = image_json_text(e->arena, one, "Id");
    if (!image->id)
        return error_set(err, ERROR_FAILED, "'%s image inspect' does not say which image '%s' is",
                         e->program, e->options->name);
    image_json_words(e->arena, json_object_get(one, "RepoDigests"), &image->digests);
    image_json_words(e->arena, json_object_get(one, "RepoTags"), &image->tags);
    image->os = image_json_text(e->arena, one, "Os");
    image->architecture = image_json_text(e->arena, one, "Architecture");
    image_take_config(e->arena, json_object_get(one, "Config"), image);
    return true;
}

/* ---- files ---- */

static bool
take_export(const Engine *e, const char *container, Image *image, Error *err)
{
    const char *const words[] = {"export", container, NULL};
    ReadLimits limits = {.wait = e->options->wait, .deadline_ms = e->deadline_ms};
    Keeping keeping = {.image = image};
    Call *c = arena_make(e->arena, Call);
    AUTO_TAR *tar = NULL;
    bool there = true;
    if (!call_open(c, e, words, 0, err))
        return false;
    bool ok = tar_open(e->arena, image->name, (Bytes){.next = next_of_call, .ctx = c}, &limits,
                       &tar, err);
    while (ok && there) {
        Entry entry;
        Str text;
        ok = tar_next(tar, &there, &entry, err) &&
             (!there || (image_take_text(tar, e->arena, &keeping, &entry, &text, err) &&
                         tree_add(image->files, image->name, &entry, text, err)));
    }
    /* What stands behind the archive's end, so that the engine can end too. */
    for (Str piece = STR("."); ok && piece.n;)
        ok = next_of_call(c, &piece, err);
    return call_close(c, ok, err);
}

static char *
container_name(Arena *arena)
{
    uint64_t random = 0;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random)
        random = (uint64_t)clock_ms();
    return str_printf(arena, "lockstep-look-%016llx", (unsigned long long)random);
}

/* On every path, a signal's too: nobody else knows of the container. */
static void
remove_container(const Engine *e, const char *container)
{
    const char *const words[] = {"rm", "--force", "--volumes", container, NULL};
    Engine own = *e;
    Error ignored = ERROR_INIT;
    Str said;
    own.deadline_ms = clock_ms() + CALL_MS;
    wait_cleanup_begin(e->options->wait);
    (void)!ask(&own, words, &said, &ignored);
    wait_cleanup_end(e->options->wait);
}

static bool
take_files(const Engine *e, Image *image, Error *err)
{
    char *container = container_name(e->arena);
    /* By its id: a tag may move meanwhile. The word behind it is never run; an image without a
     * command of its own is refused otherwise. */
    const char *const words[] = {"create",        "--name",  container,  "--network",
                                 "none",          "--pull",  "never",    "--label",
                                 "lockstep=look", image->id, "lockstep", NULL};
    Str said;
    bool ok = ask(e, words, &said, err) && take_export(e, container, image, err);
    remove_container(e, container);
    return ok;
}

bool
image_from_engine(Arena *arena, const ImageOptions *options, Image *ret, Error *err)
{
    int64_t timeout = options->timeout_ms ? options->timeout_ms : IMAGE_TIMEOUT_MS;
    Engine e = {.arena = arena,
                .options = options,
                .program = options->engine ? options->engine : "docker",
                .deadline_ms = clock_ms() + timeout};
    if (!proc_which(arena, e.program, options->environ_)) {
        error_set(err, ERROR_USAGE, "there is no container engine: no `%s` in PATH", e.program);
        return error_hint(err, "Name a file that `docker save` wrote, or install the engine's "
                               "command line.");
    }
    return take_inspect(&e, ret, err) && take_files(&e, ret, err);
}
