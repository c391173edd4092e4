/* SPDX-License-Identifier: Apache-2.0 */
/* Pipelines of GitHub and GitLab that are cancelled while they deploy. */

#include <string.h>

#include "deploy/look_internal.h"
#include "core/banned.h"

/* What only a deploy says. A test that migrates its own database says none of it. */
static bool
deploys(Str text)
{
    static const char *const words[] = {"lockstep deploy",     "git:from-image",
                                        "git:load-image",      "dokku/github-action",
                                        "git push dokku",      "helm upgrade",
                                        "kubectl apply",       "kubectl set image",
                                        "kubectl rollout",     "gcloud run deploy",
                                        "gcloud run jobs",     "gcloud run services",
                                        "deploy-cloudrun",     "flyctl deploy",
                                        "fly deploy",          "kamal deploy",
                                        "docker stack deploy", "railway up",
                                        "ecs update-service",  "ecs run-task",
                                        "ecs-deploy-task",     "heroku container:release",
                                        "k8s-deploy@"};
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (look_has(text, words[i]))
            return true;
    return false;
}

/* ---- GitHub ---- */

static bool
is_cancelled(const DocNode *node, size_t *ret_line)
{
    const DocNode *cancel = doc_at(node, "concurrency.cancel-in-progress");
    if (!doc_is_true(cancel))
        return false;
    *ret_line = cancel->line;
    return true;
}

static bool
job_deploys(const DocNode *job)
{
    bool by_lockstep, aimed = doc_get(job, "environment") != NULL;
    if (deploys(doc_text_at(job, "uses")) || look_has(doc_text_at(job, "uses"), "deploy"))
        return true;
    for (const DocNode *step = doc_first(doc_get(job, "steps")); step; step = step->next) {
        Str run = doc_text_at(step, "run");
        if (deploys(run) || deploys(doc_text_at(step, "uses")) ||
            (aimed && look_migrates(run, &by_lockstep)))
            return true;
    }
    return false;
}

/* A workflow that only looks at proposed changes deploys nothing that lasts. */
static bool
is_for_proposals(const DocNode *doc)
{
    const DocNode *on = doc_get(doc, "on");
    if (doc_text(on).p)
        return str_starts(on->text, STR("pull_request"));
    for (const DocNode *one = doc_first(on); one; one = one->next)
        if (!str_starts(on->kind == DOC_MAP ? one->key : one->text, STR("pull_request")))
            return false;
    return on != NULL;
}

/* The cluster that it deploys to lives as long as the run. */
static bool
is_throw_away(Str text)
{
    return look_has(text, "kind create") || look_has(text, "kind-action") ||
           look_has(text, "k3d") || look_has(text, "minikube");
}

static void
look_at_workflow(Scene *s, const SceneFile *f, const DocNode *doc)
{
    size_t line, top = 0;
    bool cancelled = is_cancelled(doc, &top), told = false;
    if (is_for_proposals(doc) || is_throw_away(f->text))
        return;
    for (const DocNode *job = doc_first(doc_get(doc, "jobs")); job; job = job->next) {
        if (!job_deploys(job))
            continue;
        if (is_cancelled(job, &line))
            look_add(s, LOOK_CANCEL_IN_PROGRESS, (Place){f, line}, "the job '" STR_FMT "'",
                     STR_ARG(job->key));
        else if (cancelled && !told)
            look_add(s, LOOK_CANCEL_IN_PROGRESS, (Place){f, top}, "the job '" STR_FMT "'",
                     STR_ARG(job->key));
        told |= cancelled;
    }
}

/* ---- GitLab ---- */

static void
look_at_gitlab(Scene *s, const SceneFile *f, const DocNode *doc)
{
    const DocNode *by_default = doc_at(doc, "default.interruptible");
    for (const DocNode *job = doc_first(doc); job; job = job->next) {
        const DocNode *own = doc_get(job, "interruptible"), *one = own ? own : by_default;
        Str script = look_joined(s, doc_get(job, "script"));
        bool by_lockstep, aimed = doc_get(job, "environment") != NULL;
        if (job->kind == DOC_MAP && doc_is_true(one) && !str_eq(job->key, STR("default")) &&
            (deploys(script) || (aimed && look_migrates(script, &by_lockstep))))
            look_add(s, LOOK_CANCEL_IN_PROGRESS, (Place){f, one->line}, "the job '" STR_FMT "'",
                     STR_ARG(job->key));
    }
}

void
look_at_pipeline(Scene *s, const SceneFile *f)
{
    const DocNode *doc = f->docs.n ? f->docs.p[0] : NULL;
    if (look_has(str_of(f->path), ".github/workflows/"))
        look_at_workflow(s, f, doc);
    else if (look_has(str_of(f->name), ".gitlab-ci") ||
             str_starts(str_of(f->path), STR(".gitlab/")))
        look_at_gitlab(s, f, doc);
}
