/* SPDX-License-Identifier: Apache-2.0 */
/* Which image, exactly, and where lockstep is in it. */

#include "deploy/inspect.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/fault.h"
#include "core/log.h"
#include "deploy/engine.h"
#include "core/banned.h"

enum { PULL_MS = 1800000, HEADERS = 64 };

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
name_exactly(Deploy *d, const Image *image)
{
    Str asked = str_of(d->options->image), last = asked;
    for (size_t i = 0; i < asked.n; i++)
        if (asked.p[i] == '/')
            last = str_sub(asked, i + 1, asked.n);
    size_t colon = str_find(last, ':'), at = str_find(last, '@');
    size_t end = (size_t)(last.p - asked.p) + (colon < at ? colon : at);
    Str repository = str_sub(asked, 0, end);
    for (size_t i = 0; i < image->digests.n; i++) {
        Str digest = str_of(image->digests.p[i]);
        if (str_eq(str_sub(digest, 0, str_find(digest, '@')), repository)) {
            d->image = image->digests.p[i];
            return;
        }
    }
    if (image->id)
        d->image = image->id;
}

/* The engine has it, or gets it. */
static bool
be_there(Deploy *d, Error *err)
{
    AUTO_JSON *image = NULL;
    if (!engine_inspect(d, "image", d->options->image, &image, err) || image)
        return image != NULL;
    Order pull = engine_order(d, "pull", d->options->image, NULL);
    pull.to_log = true;
    pull.limit_ms = PULL_MS;
    return order_run(&d->orders, &pull, NULL, err) ||
           error_wrap(err, "the image '%s' is not to be had", d->options->image);
}

/* This program goes into the migration's container, where there is something for it to do. */
static bool
bring_ours(Deploy *d, const Image *image, Error *err)
{
    ImageMigrations found;
    ImageLook look = {.environ_ = d->options->environ_};
    if (!image_look(d->arena, image, &look, &found, err))
        return error_wrap(err, "cannot tell what migrates '%s'", d->options->image);
    d->migrates = found.found;
    d->migrates_not = "the image holds no migrations";
    if (!found.found)
        return true;
    if (!inspect_self_is_static()) {
        error_set(err, ERROR_USAGE, "the image '%s' holds no lockstep", d->options->image);
        return error_hint(err, "Put it in (`lockstep init docker` shows the line), or deploy with "
                               "the static binary, which hands itself to the migration.");
    }
    log_info("deploy.image", "the image holds no lockstep: this one migrates it (%s)", found.title);
    d->lockstep = "/lockstep";
    d->lockstep_is_ours = true;
    d->lockstep_here = str_printf(d->arena, "/proc/%ld/exe", (long)getpid());
    return true;
}

bool
inspect_image(Deploy *d, Error *err)
{
    if (!be_there(d, err))
        return false;
    if (d->orders.dry_run) {
        d->lockstep = "/usr/local/bin/lockstep";
        return true;
    }
    const char *host = d->options->docker_host;
    ImageOptions options = {.wait = d->orders.wait,
                            .environ_ =
                                host ? env_with(d->arena, d->orders.environ_, "DOCKER_HOST", host)
                                     : d->orders.environ_,
                            .name = d->options->image};
    if (!image_read(d->arena, &options, &d->inside, err))
        return false;
    FAULT_POINT("deploy.order");
    name_exactly(d, &d->inside);
    d->lockstep = d->inside.lockstep;
    /* One that is in it says itself when there is nothing to migrate. */
    return d->lockstep || bring_ours(d, &d->inside, err);
}
