/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first deploy of a service: by the file of its stack, twice. At first without the service's
 * tasks, so that the migration finds the networks, secrets and databases of the stack and nobody
 * serves yet; then as the file says. The image is said by an override that is nowhere on disk.
 */

#include "deploy/swarm.h"

#include <string.h>

#include "core/fs.h"
#include "doc/doc.h"
#include "core/banned.h"

enum { FILE_CEILING = 4 << 20, STACK_MS = 300000 };

static json_t *
override_of(const Deploy *d, bool none)
{
    json_t *one = json_pack("{s:s}", "image", d->image);
    if (none)
        json_object_set_new(
            one, "deploy",
            json_pack("{s:i, s:{s:s}}", "replicas", 0, "labels", "lockstep_first", "true"));
    return one;
}

/* The app, and services with its image. */
static bool
make_override(Deploy *d, bool none, Str *ret, Error *err)
{
    const Swarm *s = d->state;
    const char *app = s->services.p[0].name + strlen(s->stack) + 1, *path = d->options->file;
    Str text;
    Docs documents = {0};
    if (!fs_read(d->arena, path, FILE_CEILING, &text, err))
        return false;
    if (!doc_read_yaml(d->arena, text, &documents, err))
        return error_at(err, path, err->line, err->column);
    const DocNode *file = documents.n ? documents.p[0] : NULL, *all = doc_get(file, "services"),
                  *mine = doc_get(all, app);
    if (!mine)
        return error_set(err, ERROR_USAGE, "'%s' has no service '%s'", path, app);
    AUTO_JSON *override = json_object(), *services = json_object();
    if (doc_text_at(file, "version").n)
        json_object_set_new(override, "version",
                            json_string(str_dup(d->arena, doc_text_at(file, "version"))));
    Str image = doc_text_at(mine, "image");
    for (const DocNode *one = all->first; one; one = one->next) {
        if (one != mine && (!image.n || !str_eq(doc_text_at(one, "image"), image)))
            continue;
        char *name = str_dup(d->arena, one->key);
        if (str_eq(doc_text_at(one, "deploy.mode"), STR("global"))) {
            error_set(err, ERROR_USAGE, "'%s' runs on every node, and is not there yet", name);
            return error_hint(err, "Deploy the stack once by hand: a global service cannot be held "
                                   "back until the migration is done.");
        }
        json_object_set_new(services, name, override_of(d, none));
    }
    json_object_set(override, "services", services);
    *ret = values_print(d->arena, override);
    return true;
}

bool
swarm_deploy_stack(Deploy *d, bool none, Error *err)
{
    const Swarm *s = d->state;
    Str override;
    char *path;
    if (!make_override(d, none, &override, err) ||
        !order_memory_file(&d->orders, "lockstep.override.json", override, &path, err))
        return false;
    Order order =
        engine_order(d, "stack", "deploy", "--compose-file", d->options->file, "--compose-file",
                     path, "--resolve-image", "never", "--with-registry-auth", s->stack, NULL);
    order.limit_ms = STACK_MS;
    return order_run(&d->orders, &order, NULL, err) ||
           error_wrap(err, "the stack '%s' was not deployed", s->stack);
}
