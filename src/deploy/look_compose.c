/* SPDX-License-Identifier: Apache-2.0 */
/* Compose files, and stacks of Swarm, which are written alike and read otherwise. */

#include <string.h>

#include "deploy/look_internal.h"
#include "core/banned.h"

static bool
is_stack(const Scene *s, const SceneFile *f)
{
    Str name = str_of(f->name);
    if (str_starts(name, STR("stack.")) || str_starts(name, STR("docker-stack")) ||
        look_has(name, ".stack.") || look_has(name, "swarm"))
        return true;
    for (size_t i = 0; i < s->files.n; i++) {
        Str rest = s->files.p[i].text, line;
        if (s->files.p[i].kind == SCENE_KEY || !look_has(rest, "stack deploy"))
            continue;
        while (look_next_line(&rest, &line))
            if (look_has(line, "stack deploy") && look_has(line, f->name))
                return true;
    }
    return false;
}

static Str
command_of(Scene *s, const DocNode *service)
{
    return look_command(s, service, "entrypoint", "command");
}

/* Is it the same image, by name or by what it is built from? */
static bool
same_image(const DocNode *a, const DocNode *b)
{
    Str image_a = doc_text_at(a, "image"), image_b = doc_text_at(b, "image");
    const DocNode *build_a = doc_get(a, "build"), *build_b = doc_get(b, "build");
    if (image_a.p && image_b.p)
        return str_eq(image_a, image_b);
    if (!build_a || !build_b || build_a->kind != build_b->kind)
        return false;
    if (build_a->kind == DOC_SCALAR)
        return str_eq(build_a->text, build_b->text);
    static const char *const keys[] = {"context", "dockerfile", "target"};
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        Str one = doc_text_at(build_a, keys[i]), other = doc_text_at(build_b, keys[i]);
        if ((one.p != NULL) != (other.p != NULL) || !str_eq(one, other))
            return false;
    }
    return true;
}

/* lockstep in its command, or in the image's ENTRYPOINT where that is not replaced. */
static bool
starts_with_lockstep(Scene *s, const DocNode *service)
{
    bool by_lockstep;
    return (look_migrates(command_of(s, service), &by_lockstep) && by_lockstep) ||
           (s->entry.migrates && s->entry.by_lockstep && !doc_get(service, "entrypoint"));
}

static bool
waits_for(const DocNode *service, Str other)
{
    for (const DocNode *needed = doc_first(doc_get(service, "depends_on")); needed;
         needed = needed->next)
        if (str_eq(needed->key, other))
            return str_eq(doc_text_at(needed, "condition"), STR("service_completed_successfully"));
    return doc_get(service, "pre_start") != NULL;
}

static void
look_at_gates(Scene *s, const SceneFile *f, const DocNode *services, const DocNode *migrating)
{
    for (const DocNode *service = doc_first(services); service; service = service->next) {
        bool by_lockstep;
        if (service == migrating || !same_image(service, migrating) ||
            doc_get(service, "profiles") || look_migrates(command_of(s, service), &by_lockstep) ||
            starts_with_lockstep(s, service) || waits_for(service, migrating->key))
            continue;
        look_add(s, LOOK_MISSING_GATE, (Place){f, service->line}, STR_FMT, STR_ARG(service->key));
    }
}

static bool
has_volume(const DocNode *service, Str path)
{
    for (const DocNode *volume = doc_first(doc_get(service, "volumes")); volume;
         volume = volume->next) {
        Str target = doc_text_at(volume, "target"), text = doc_text(volume);
        if (text.p) {
            size_t colon = str_find(text, ':');
            target = colon < text.n ? str_sub(text, colon + 1, text.n) : text;
            target = str_sub(target, 0, str_find(target, ':'));
        }
        if (target.p && look_covers(target, path))
            return true;
    }
    return false;
}

static void
look_at_sqlite(Scene *s, const SceneFile *f, const DocNode *service)
{
    const DocNode *environment = doc_get(service, "environment");
    bool own = false; /* it says which database itself */
    for (const DocNode *variable = doc_first(environment); variable; variable = variable->next) {
        Str value = doc_text(variable);
        if (environment->kind == DOC_LIST && value.p) {
            size_t equals = str_find(value, '=');
            own |= look_has(value, "_URL=");
            value = str_sub(value, equals < value.n ? equals + 1 : value.n, value.n);
        }
        own |= str_ends(variable->key, STR("_URL"));
        Str path = look_sqlite_path(value);
        if (path.p && !has_volume(service, path))
            look_add(s, LOOK_SQLITE_NO_VOLUME, (Place){f, variable->line}, "'" STR_FMT "'",
                     STR_ARG(path));
    }
    for (size_t i = 0; i < s->image_volumes.n; i++)
        own |= s->image_sqlite.p && look_covers(s->image_volumes.p[i], s->image_sqlite);
    if (!own && s->image_sqlite.p && doc_get(service, "build") &&
        !has_volume(service, s->image_sqlite))
        look_add(s, LOOK_SQLITE_NO_VOLUME, (Place){f, service->line}, "'" STR_FMT "' (%s:%zu)",
                 STR_ARG(s->image_sqlite), s->image_sqlite_at.file->path, s->image_sqlite_at.line);
}

void
look_at_compose(Scene *s, const SceneFile *f)
{
    const DocNode *services = doc_get(f->docs.n ? f->docs.p[0] : NULL, "services");
    bool stack = doc_is(services, DOC_MAP) && is_stack(s, f), by_lockstep;
    /* render.yaml has a list of that name. */
    if (!doc_is(services, DOC_MAP) || f->chart)
        return;
    for (const DocNode *service = doc_first(services); service; service = service->next) {
        const DocNode *image = doc_get(service, "image"), *needs = doc_get(service, "depends_on");
        look_at_sqlite(s, f, service);
        if (stack && needs && needs->first && !starts_with_lockstep(s, service))
            look_add(s, LOOK_SWARM_DEPENDS_ON, (Place){f, needs->line}, STR_FMT,
                     STR_ARG(service->key));
        if (stack && doc_text(image).p && str_ends(image->text, STR(":latest")))
            look_add(s, LOOK_TAG_LATEST, (Place){f, image->line}, STR_FMT, STR_ARG(image->text));
        if (!stack && look_migrates(command_of(s, service), &by_lockstep) &&
            !look_has(command_of(s, service), "lockstep run"))
            look_at_gates(s, f, services, service);
    }
}
