/* SPDX-License-Identifier: Apache-2.0 */
/* References of images, and their digests. */

#include "deploy/digest.h"

#include <string.h>

#include "deploy/engine.h"
#include "proc/proc.h"
#include "core/banned.h"

bool
digest_is_in(const char *image)
{
    return strstr(image, "@sha256:") != NULL;
}

/* Where the tag or the digest begins. */
static size_t
name_end(Str image)
{
    size_t at = str_find(image, '@'), slash = at;
    while (slash && image.p[slash - 1] != '/')
        slash--;
    return slash + str_find(str_sub(image, slash, at), ':');
}

Str
digest_repository(Str image)
{
    static const char *const own[] = {"index.", "docker.io/", "library/"};
    Str name = str_sub(image, 0, name_end(image));
    for (size_t i = 0; i < COUNT_OF(own); i++)
        if (str_starts(name, str_of(own[i])))
            name = str_sub(name, strlen(own[i]), name.n);
    return name;
}

char *
digest_pin(Arena *arena, const char *image, Str digest)
{
    Str name = str_of(image);
    return str_printf(arena, STR_FMT "@" STR_FMT, STR_ARG(str_sub(name, 0, name_end(name))),
                      STR_ARG(digest));
}

/* An engine of here has it: then it is known whether it can migrate before anything is begun. */
static bool
look_inside(Deploy *d, Error *err)
{
    ImageMigrations found;
    ImageOptions options = {
        .wait = d->orders.wait, .environ_ = d->orders.environ_, .name = d->options->image};
    ImageLook look = {.environ_ = d->options->environ_};
    if (!image_read(d->arena, &options, &d->inside, err))
        return false;
    if (d->inside.lockstep) {
        d->lockstep = d->inside.lockstep;
        return true;
    }
    if (!image_look(d->arena, &d->inside, &look, &found, err))
        return false;
    d->migrates = found.found;
    d->migrates_not = "the image holds no migrations";
    if (!found.found)
        return true;
    error_set(err, ERROR_USAGE, "the image '%s' holds no lockstep", d->options->image);
    return error_hint(err, "Put it in: `lockstep init docker` shows the lines.");
}

static void
pin(Deploy *d, const json_t *image)
{
    size_t i;
    const json_t *one;
    Str asked = digest_repository(str_of(d->options->image));
    json_array_foreach(value_at(image, "RepoDigests"), i, one)
    {
        Str known = str_of(json_string_value(one));
        if (known.n && str_eq(digest_repository(known), asked)) {
            d->image = digest_pin(d->arena, d->options->image,
                                  str_sub(known, str_find(known, '@') + 1, known.n));
            return;
        }
    }
}

bool
digest_look_here(Deploy *d, Error *err)
{
    Answer answer;
    d->lockstep = "lockstep";
    if (!d->orders.dry_run && !proc_which(d->arena, "docker", d->options->environ_))
        return true;
    Order order = engine_order_here(d, "image", "inspect", d->options->image, NULL);
    order.may_fail = true;
    if (!order_run(&d->orders, &order, &answer, err))
        return err->code != ERROR_SIGNALLED && (error_clear(err), true);
    /* No engine there, or it has not this image: the registry has it. */
    AUTO_JSON *list = NULL;
    if (answer.status != 0 || !answer.out.n || !values_read(answer.out, "docker", &list, err)) {
        error_clear(err);
        return true;
    }
    if (!digest_is_in(d->image))
        pin(d, json_array_get(list, 0));
    return look_inside(d, err);
}
