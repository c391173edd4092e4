/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests of Kubernetes and Cloud Run, templates of Helm charts. */

#include <string.h>

#include "deploy/look_internal.h"
#include "core/banned.h"

static Str
command_of(Scene *s, const DocNode *container)
{
    return look_command(s, container, "command", "args");
}

static Str
hook_of(const DocNode *doc)
{
    const DocNode *notes = doc_at(doc, "metadata.annotations");
    Str helm = doc_text(doc_get(notes, "helm.sh/hook"));
    return helm.p ? helm : doc_text(doc_get(notes, "argocd.argoproj.io/hook"));
}

static bool
is_ordered(const DocNode *doc)
{
    return doc_get(doc_at(doc, "metadata.annotations"), "argocd.argoproj.io/sync-wave") != NULL;
}

static Place
place_of(const SceneFile *f, const DocNode *node, const DocNode *fallback)
{
    return (Place){f, node ? node->line : fallback->line};
}

/* The name with what templates wrote in it taken out, for people. */
static const char *
shown(Scene *s, Str name)
{
    size_t at = str_find_str(name, STR("__"));
    if (at == name.n)
        return str_dup(s->arena, name.n ? name : STR("?"));
    size_t end = at + 2 + str_find_str(str_sub(name, at + 2, name.n), STR("__")) + 2;
    return str_printf(s->arena, STR_FMT "..." STR_FMT, STR_ARG(str_sub(name, 0, at)),
                      STR_ARG(str_sub(name, end, name.n)));
}

/* ---- pods ---- */

static void
look_at_image(Scene *s, const SceneFile *f, const DocNode *container)
{
    const DocNode *image = doc_get(container, "image");
    Str name = doc_text(image);
    if (name.p && str_ends(name, STR(":latest")))
        look_add(s, LOOK_TAG_LATEST, (Place){f, image->line}, "%s", shown(s, name));
}

static void
look_at_sqlite(Scene *s, const SceneFile *f, const DocNode *container)
{
    for (const DocNode *variable = doc_first(doc_get(container, "env")); variable;
         variable = variable->next) {
        const DocNode *value = doc_get(variable, "value");
        Str path = look_sqlite_path(doc_text(value));
        bool covered = !path.p;
        for (const DocNode *mount = doc_first(doc_get(container, "volumeMounts")); mount;
             mount = mount->next)
            covered |= look_covers(doc_text_at(mount, "mountPath"), path.p ? path : STR("/"));
        if (!covered && !look_has(path, "__"))
            look_add(s, LOOK_SQLITE_NO_VOLUME, (Place){f, value->line}, "'" STR_FMT "'",
                     STR_ARG(path));
    }
}

static bool
pod_migrates(Scene *s, const DocNode *pod, Str *ret_image)
{
    bool by_lockstep;
    for (const DocNode *container = doc_first(doc_get(pod, "containers")); container;
         container = container->next) {
        if (!look_migrates(command_of(s, container), &by_lockstep) &&
            !look_has(doc_text_at(container, "name"), "migrat"))
            continue;
        *ret_image = doc_text_at(container, "image");
        return true;
    }
    return false;
}

/* ---- jobs ---- */

/* No name that Kubernetes takes: somebody puts the rest in before it is applied. */
static bool
is_placeholder(Str name)
{
    for (size_t i = 0; i < name.n; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789.-", name.p[i]))
            return true;
    return !name.n;
}

static bool
is_replaced(const Scene *s)
{
    return look_mentions(s, "delete job") || look_mentions(s, "replace --force") ||
           look_mentions(s, "nameSuffix") || look_mentions(s, "delete -f");
}

static void
add_needs(Scene *s, const SceneFile *f, const DocNode *node, const char *kind, const char *key)
{
    const DocNode *name = doc_get(node, key);
    for (size_t i = 0; i < s->needs.n; i++) /* one of a name is told */
        if (s->needs.p[i].at.file == f && str_eq(s->needs.p[i].name, doc_text(name)))
            return;
    if (doc_text(name).p && !doc_is_true(doc_get(node, "optional")))
        *vec_push(s->arena, &s->needs) =
            (Thing){{f, name->line}, str_of(kind), doc_text(name), f->chart, true};
}

/* What a hook that comes before everything else asks for. */
static void
look_at_needs(Scene *s, const SceneFile *f, const DocNode *pod)
{
    add_needs(s, f, pod, "ServiceAccount", "serviceAccountName");
    for (const DocNode *volume = doc_first(doc_get(pod, "volumes")); volume;
         volume = volume->next) {
        add_needs(s, f, doc_get(volume, "secret"), "Secret", "secretName");
        add_needs(s, f, doc_get(volume, "configMap"), "ConfigMap", "name");
    }
    for (const DocNode *container = doc_first(doc_get(pod, "containers")); container;
         container = container->next) {
        for (const DocNode *from = doc_first(doc_get(container, "envFrom")); from;
             from = from->next) {
            add_needs(s, f, doc_get(from, "secretRef"), "Secret", "name");
            add_needs(s, f, doc_get(from, "configMapRef"), "ConfigMap", "name");
        }
        for (const DocNode *variable = doc_first(doc_get(container, "env")); variable;
             variable = variable->next) {
            const DocNode *from = doc_get(variable, "valueFrom");
            add_needs(s, f, doc_get(from, "secretKeyRef"), "Secret", "name");
            add_needs(s, f, doc_get(from, "configMapKeyRef"), "ConfigMap", "name");
        }
    }
}

static void
look_at_job(Scene *s, const SceneFile *f, const DocNode *doc)
{
    const DocNode *spec = doc_get(doc, "spec"), *pod = doc_at(spec, "template.spec");
    const DocNode *name = doc_at(doc, "metadata.name"), *policy = doc_get(pod, "restartPolicy");
    const DocNode *retries = doc_get(spec, "backoffLimit");
    Str hook = hook_of(doc), image = STR_ABSENT, text = doc_text(name);
    Place at = place_of(f, name, doc), at_spec = place_of(f, spec, doc);
    int64_t times;
    if (!pod_migrates(s, pod, &image) && !look_has(text, "migrat"))
        return;
    if (!image.p)
        image = doc_text_at(doc_get(pod, "containers") ? doc_get(pod, "containers")->first : NULL,
                            "image");
    if (image.p && !hook.p && !is_ordered(doc))
        *vec_push(s->arena, &s->job_images) = (Thing){at, STR("Job"), image, f->chart, false};
    if (!retries)
        look_add(s, LOOK_JOB_RETRIES, at_spec, "backoffLimit is 6 where it is not set");
    else if (str_to_i64(doc_text(retries), &times) && times > 1 &&
             !doc_get(spec, "podFailurePolicy"))
        look_add(s, LOOK_JOB_RETRIES, (Place){f, retries->line}, "%d times",
                 (int)(times > 999 ? 999 : times));
    if (!doc_get(spec, "activeDeadlineSeconds") && !doc_get(pod, "activeDeadlineSeconds"))
        look_add(s, LOOK_JOB_DEADLINE, at_spec,
                 "the Job has none, and one that hangs blocks the deploy");
    if (str_eq(doc_text(policy), STR("OnFailure")))
        look_add(s, LOOK_JOB_RESTART_POLICY, (Place){f, policy->line}, "%s", shown(s, text));
    if (text.p && !hook.p && !f->chart && !is_placeholder(text) && !is_replaced(s))
        look_add(s, LOOK_JOB_NAME, at, STR_FMT, STR_ARG(text));
    if (!hook.p && !doc_get(spec, "ttlSecondsAfterFinished"))
        look_add(s, LOOK_TTL, at_spec, "%s", shown(s, text));
    if (look_has(hook, "post-upgrade") && !look_has(hook, "pre-"))
        look_add(s, LOOK_HOOK_POST_UPGRADE, at, "%s", shown(s, text));
    if (f->chart && look_has(hook, "pre-install"))
        look_at_needs(s, f, pod);
}

static void
look_at_cloud_run(Scene *s, const SceneFile *f, const DocNode *doc)
{
    const DocNode *name = doc_at(doc, "metadata.name");
    const DocNode *task = doc_at(doc, "spec.template.spec.template.spec");
    const DocNode *retries = doc_get(task, "maxRetries");
    Str image;
    int64_t times = 3;
    if (!doc_is(task, DOC_MAP) ||
        (!pod_migrates(s, task, &image) && !look_has(doc_text(name), "migrat")))
        return;
    if (!retries || (str_to_i64(doc_text(retries), &times) && times > 0))
        look_add(s, LOOK_JOB_RETRIES, place_of(f, retries, task), "%d times%s",
                 (int)(times > 999 ? 999 : times), retries ? "" : ", the default of Cloud Run");
    if (!doc_get(task, "timeoutSeconds"))
        look_add(s, LOOK_JOB_DEADLINE, place_of(f, NULL, task),
                 "Cloud Run ends a task after 10 minutes");
}

/* ---- services ---- */

/* A chart may put its probes in as a whole. */
static bool
has_probe(const SceneFile *f, const DocNode *pod)
{
    bool serves = false;
    for (const DocNode *container = doc_first(doc_get(pod, "containers")); container;
         container = container->next) {
        if (doc_get(container, "readinessProbe") || doc_get(container, "startupProbe"))
            return true;
        serves |= doc_get(container, "ports") != NULL;
    }
    return !serves || (f->chart && look_has(f->text, "robe"));
}

static bool
has_gate(Scene *s, const DocNode *pod)
{
    bool by_lockstep;
    for (const DocNode *first = doc_first(doc_get(pod, "initContainers")); first;
         first = first->next) {
        Str command = command_of(s, first);
        if (look_has(command, "wait") || look_migrates(command, &by_lockstep) ||
            look_has(doc_text_at(first, "name"), "wait") ||
            look_has(doc_text_at(first, "name"), "migrat"))
            return true;
    }
    for (const DocNode *container = doc_first(doc_get(pod, "containers")); container;
         container = container->next) {
        bool own = doc_get(container, "command") != NULL;
        if ((look_migrates(command_of(s, container), &by_lockstep) && by_lockstep) ||
            (!own && s->entry.migrates && s->entry.by_lockstep))
            return true;
    }
    return false;
}

static void
look_at_deployment(Scene *s, const SceneFile *f, const DocNode *doc)
{
    const DocNode *pod = doc_at(doc, "spec.template.spec"), *name = doc_at(doc, "metadata.name");
    Str replicas = doc_text_at(doc, "spec.replicas");
    bool by_lockstep;
    if (!doc_is(pod, DOC_MAP))
        return;
    if (!has_probe(f, pod))
        look_add(s, LOOK_MISSING_PROBE, place_of(f, name, doc), "%s", shown(s, doc_text(name)));
    for (const DocNode *first = doc_first(doc_get(pod, "initContainers")); first;
         first = first->next)
        if (!str_eq(replicas, STR("1")) && look_migrates(command_of(s, first), &by_lockstep) &&
            !by_lockstep)
            look_add(s, LOOK_INIT_CONTAINER_MIGRATES, (Place){f, first->line}, "%s",
                     shown(s, doc_text(name)));
    for (const DocNode *container = doc_first(doc_get(pod, "containers")); container;
         container = container->next) {
        Str image = doc_text_at(container, "image");
        if (image.p && !is_ordered(doc) && !has_gate(s, pod))
            *vec_push(s->arena, &s->services) =
                (Thing){place_of(f, name, doc), image, doc_text(name), f->chart, false};
    }
}

/* ---- which ---- */

static void
look_at_doc(Scene *s, const SceneFile *f, const DocNode *doc)
{
    Str kind = doc_text_at(doc, "kind"), version = doc_text_at(doc, "apiVersion");
    const DocNode *pod = doc_at(doc, "spec.template.spec");
    if (!kind.p || !version.p)
        return;
    if (str_eq(kind, STR("List")))
        for (const DocNode *item = doc_first(doc_get(doc, "items")); item; item = item->next)
            look_at_doc(s, f, item);
    for (const DocNode *container = doc_first(doc_get(pod, "containers")); container;
         container = container->next) {
        look_at_image(s, f, container);
        look_at_sqlite(s, f, container);
    }
    if (str_eq(kind, STR("Job")) && str_starts(version, STR("run.googleapis.com/")))
        look_at_cloud_run(s, f, doc);
    else if (str_eq(kind, STR("Job")))
        look_at_job(s, f, doc);
    else if (str_eq(kind, STR("Deployment")))
        look_at_deployment(s, f, doc);
    else if (str_eq(kind, STR("Secret")))
        look_at_secret(s, f, doc);
    if (f->chart)
        *vec_push(s->arena, &s->things) = (Thing){{f, doc->line},
                                                  kind,
                                                  doc_text_at(doc, "metadata.name"),
                                                  f->chart,
                                                  hook_of(doc).p != NULL};
}

void
look_at_manifest(Scene *s, const SceneFile *f)
{
    for (size_t i = 0; i < f->docs.n; i++)
        look_at_doc(s, f, f->docs.p[i]);
}

static bool
same_chart(const Thing *a, const Thing *b)
{
    return a->chart && b->chart ? strcmp(a->chart, b->chart) == 0 : a->chart == b->chart;
}

void
look_at_things(Scene *s)
{
    for (size_t i = 0; i < s->needs.n; i++) {
        const Thing *need = &s->needs.p[i];
        for (size_t k = 0; k < s->things.n; k++) {
            const Thing *made = &s->things.p[k];
            if (made->hook || !same_chart(made, need) || !made->name.p ||
                !str_eq(made->kind, need->kind) || !str_eq(made->name, need->name))
                continue;
            look_add(s, LOOK_HOOK_NEEDS_SECRET, need->at, STR_FMT " '%s'", STR_ARG(need->kind),
                     shown(s, need->name));
            break;
        }
    }
    for (size_t i = 0; i < s->services.n; i++) {
        const Thing *service = &s->services.p[i];
        for (size_t k = 0; k < s->job_images.n; k++) {
            if (!same_chart(service, &s->job_images.p[k]) ||
                !str_eq(service->kind, s->job_images.p[k].name))
                continue;
            look_add(s, LOOK_MISSING_GATE, service->at, "%s", shown(s, service->name));
            break;
        }
    }
}
