/* SPDX-License-Identifier: Apache-2.0 */
/* The migration's job: what the service's revisions work with, as Cloud Run's jobs have it. */

#include "deploy/cloud_run.h"
#include "deploy/variables.h"

#include "core/banned.h"

enum { LIMIT_MOST_S = 168 * 3600, MILLI = 1000 };

/* Of a revision; the others are about serving. */
static const char *const annotations[] = {"run.googleapis.com/cloudsql-instances",
                                          "run.googleapis.com/vpc-access-connector",
                                          "run.googleapis.com/vpc-access-egress",
                                          "run.googleapis.com/network-interfaces",
                                          "run.googleapis.com/execution-environment",
                                          "run.googleapis.com/encryption-key",
                                          "run.googleapis.com/secrets"};

static void
copy(json_t *to, const json_t *from, const char *const *keys, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        json_t *value = json_object_get(from, keys[i]);
        if (value)
            json_object_set(to, keys[i], value);
    }
}

/* Services may have less than a processor, and less than half a gigabyte; jobs may not. */
static json_t *
limits_of(const json_t *container)
{
    const json_t *serving = value_at(container, "resources.limits");
    json_t *limits = json_deep_copy(serving);
    int64_t amount = 0;
    Str cpu = value_text(serving, "cpu"), memory = value_text(serving, "memory");
    if (!limits)
        return json_object();
    if (str_ends(cpu, STR("m")) && str_to_i64(str_sub(cpu, 0, cpu.n - 1), &amount) &&
        amount < MILLI)
        json_object_set_new(limits, "cpu", json_string("1"));
    if (str_starts(cpu, STR("0.")) || str_starts(cpu, STR(".")))
        json_object_set_new(limits, "cpu", json_string("1"));
    if (str_ends(memory, STR("Mi")) && str_to_i64(str_sub(memory, 0, memory.n - 2), &amount) &&
        amount < 512)
        json_object_set_new(limits, "memory", json_string("512Mi"));
    return limits;
}

json_t *
run_job_spec(const Deploy *d, const Job *job, const json_t *service)
{
    static const char *const of_container[] = {"volumeMounts", "workingDir"};
    static const char *const of_spec[] = {"volumes", "serviceAccountName"};
    const CloudRun *k = d->state;
    const json_t *serving = run_container(d, service);
    json_t *words = json_array(), *kept = json_object(), *spec = json_object();
    json_t *container =
        json_pack("{s:s, s:o, s:o, s:{s:o}}", "image", d->image, "env",
                  variables_merge(job, json_object_get(serving, "env"), NULL), "command",
                  json_pack("[s]", job->words.p[0]), "resources", "limits", limits_of(serving));
    for (size_t i = 1; i < job->words.n; i++)
        json_array_append_new(words, json_string(job->words.p[i]));
    json_object_set_new(container, "args", words);
    copy(container, serving, of_container, COUNT_OF(of_container));
    copy(kept, value_at(service, "spec.template.metadata.annotations"), annotations,
         COUNT_OF(annotations));
    copy(spec, value_at(service, "spec.template.spec"), of_spec, COUNT_OF(of_spec));
    json_object_set_new(spec, "containers", json_pack("[o]", container));
    /* Three tries of ten minutes each would be the default. */
    int64_t limit = (job->limit_ms + 999) / 1000;
    json_object_set_new(spec, "maxRetries", json_integer(0));
    json_object_set_new(
        spec, "timeoutSeconds",
        json_string(str_printf(d->arena, "%lld",
                               (long long)(limit < LIMIT_MOST_S ? limit : LIMIT_MOST_S))));
    return json_pack("{s:s, s:s, s:{s:s, s:{s:s, s:s}}, s:{s:{s:{s:o}, s:{s:i, s:i, s:{s:o}}}}}",
                     "apiVersion", "run.googleapis.com/v1", "kind", "Job", "metadata", "name",
                     k->job, "labels", "lockstep-app", d->options->app, "lockstep-deploy",
                     holder_here(d).id, "spec", "template", "metadata", "annotations", kept, "spec",
                     "taskCount", 1, "parallelism", 1, "template", "spec", spec);
}
