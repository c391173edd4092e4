/* SPDX-License-Identifier: Apache-2.0 */
/* Which image, exactly, and where lockstep is in it. */

#include "deploy/inspect.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "deploy/engine.h"
#include "core/banned.h"

enum { PULL_MS = 1800000, HEADERS = 64 };

/* Where an image that has it has it. */
static const char *const places[] = {"/usr/local/bin/lockstep", "/usr/bin/lockstep",
                                     "/bin/lockstep", "/lockstep", "/app/lockstep"};

bool
inspect_self_is_static(void)
{
    Elf64_Ehdr head;
    Elf64_Phdr part;
    bool dynamic = false;
    FILE *file = fopen("/proc/self/exe", "re");
    if (!file)
        return false;
    bool read = fread(&head, sizeof head, 1, file) == 1 &&
                memcmp(head.e_ident, ELFMAG, SELFMAG) == 0 && head.e_phnum <= HEADERS;
    for (size_t i = 0; read && i < head.e_phnum; i++) {
        read = fseek(file, (long)(head.e_phoff + i * head.e_phentsize), SEEK_SET) == 0 &&
               fread(&part, sizeof part, 1, file) == 1;
        dynamic |= read && part.p_type == PT_INTERP;
    }
    fclose(file);
    return read && !dynamic;
}

/* By the digest that its registry gave it, because a tag may move; of an image that was never
 * pushed, by its id. */
static void
name_exactly(Deploy *d, const json_t *image)
{
    const json_t *digests = value_at(image, "RepoDigests"), *one;
    Str asked = str_of(d->options->image), id = value_text(image, "Id");
    size_t slash = asked.n, i;
    while (slash && asked.p[slash - 1] != '/')
        slash--;
    Str last = str_sub(asked, slash, asked.n);
    size_t colon = str_find(last, ':'), at = str_find(last, '@');
    Str repository = str_sub(asked, 0, slash + (colon < at ? colon : at));
    json_array_foreach(digests, i, one)
    {
        Str digest = {json_string_value(one), json_string_length(one)};
        size_t end = str_find(digest, '@');
        if (digest.p && str_eq(str_sub(digest, 0, end), repository)) {
            d->image = str_dup(d->arena, digest);
            return;
        }
    }
    if (id.n)
        d->image = str_dup(d->arena, id);
}

static bool
look_at(Deploy *d, json_t **ret, Error *err)
{
    if (!engine_inspect(d, "image", d->options->image, ret, err) || *ret)
        return *ret != NULL;
    Order pull = engine_order(d, "pull", d->options->image, NULL);
    pull.to_log = true;
    pull.limit_ms = PULL_MS;
    if (!order_run(&d->orders, &pull, NULL, err))
        return error_wrap(err, "the image '%s' is not to be had", d->options->image);
    if (!engine_inspect(d, "image", d->options->image, ret, err))
        return false;
    return *ret || error_set(err, ERROR_FAILED, "the image '%s' is not there", d->options->image);
}

/* In a container that is made and never started. */
static bool
find_lockstep(Deploy *d, Error *err)
{
    const char *name = str_printf(d->arena, "%s.inspect-%s", d->options->app, d->id);
    Order create =
        engine_order(d, "create", "--name", name, "--entrypoint", "lockstep", d->image, NULL);
    if (!order_run(&d->orders, &create, NULL, err))
        return false;
    bool done = true;
    for (size_t i = 0; i < COUNT_OF(places) && done && !d->lockstep; i++) {
        Answer answer;
        Order copy =
            engine_order(d, "cp", str_printf(d->arena, "%s:%s", name, places[i]), "-", NULL);
        copy.may_fail = true;
        done = order_run(&d->orders, &copy, &answer, err);
        if (done && answer.status == 0)
            d->lockstep = places[i];
    }
    Order rm = engine_order(d, "rm", "--force", name, NULL);
    Error ignored = ERROR_INIT;
    rm.may_fail = true;
    wait_cleanup_begin(d->orders.wait);
    (void)!order_run(&d->orders, &rm, NULL, &ignored);
    wait_cleanup_end(d->orders.wait);
    return done;
}

bool
inspect_image(Deploy *d, Error *err)
{
    AUTO_JSON *image = NULL;
    if (!look_at(d, &image, err))
        return false;
    name_exactly(d, image);
    if (!find_lockstep(d, err))
        return false;
    if (d->lockstep)
        return true;
    if (!inspect_self_is_static()) {
        error_set(err, ERROR_USAGE, "the image '%s' holds no lockstep", d->options->image);
        return error_hint(err, "Put it in (`lockstep init docker` shows the line), or deploy with "
                               "the static binary, which hands itself to the migration.");
    }
    d->lockstep = "/lockstep";
    d->lockstep_is_ours = true;
    d->lockstep_here = str_printf(d->arena, "/proc/%ld/exe", (long)getpid());
    return true;
}
