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

bool
digest_look_here(Deploy *d, Error *err)
{
    d->lockstep = "lockstep";
    if (digest_is_in(d->image) ||
        (!d->orders.dry_run && !proc_which(d->arena, "docker", d->options->environ_)))
        return true;
    Answer answer;
    Order order = engine_order_here(d, "image", "inspect", d->options->image, NULL);
    order.may_fail = true;
    order.pretend = "[{}]";
    if (!order_run(&d->orders, &order, &answer, err)) {
        if (err->code == ERROR_SIGNALLED)
            return false;
        error_clear(err);
        return true;
    }
    /* No engine there, or it has not this image: the registry has it. */
    AUTO_JSON *list = NULL;
    if (answer.status != 0 || !values_read(answer.out, "docker", &list, err)) {
        error_clear(err);
        return true;
    }
    size_t i;
    const json_t *one, *digests = value_at(json_array_get(list, 0), "RepoDigests");
    Str asked = digest_repository(str_of(d->options->image));
    json_array_foreach(digests, i, one)
    {
        Str known = str_of(json_string_value(one));
        if (known.n && str_eq(digest_repository(known), asked)) {
            d->image = digest_pin(d->arena, d->options->image,
                                  str_sub(known, str_find(known, '@') + 1, known.n));
            break;
        }
    }
    return true;
}
