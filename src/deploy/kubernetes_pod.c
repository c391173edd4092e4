/* SPDX-License-Identifier: Apache-2.0 */
/* The migration's pod: what the service's pods work with, and nothing of what makes them a service.
 */

#include "deploy/kubernetes_pod.h"
#include "deploy/variables.h"

#include "core/log.h"
#include "core/banned.h"

enum { KEEP_S = 86400, POLICY_SINCE = 26 };

/* ---- values ---- */

json_t *
kube_pod_secret(const Deploy *d, const char *name, const Job *job)
{
    return json_pack("{s:s, s:s, s:s, s:{s:s, s:o}, s:o}", "apiVersion", "v1", "kind", "Secret",
                     "type", "Opaque", "metadata", "name", name, "labels", kube_labels(d),
                     "stringData", variables_values(job));
}

/* A stronger role for migrating, where the Secret that `lockstep init kubernetes` names holds one;
 * pods that serve never see it. */
static void
add_role(const Deploy *d, json_t *variables)
{
    static const char *const name = "LOCKSTEP_DATABASE_URL";
    if (value_item(variables, "name", str_of(name)))
        return;
    json_array_append_new(variables, json_pack("{s:s, s:{s:{s:s, s:s, s:b}}}", "name", name,
                                               "valueFrom", "secretKeyRef", "name",
                                               str_printf(d->arena, "%s-database", d->options->app),
                                               "key", "migrate-url", "optional", 1));
}

/* ---- the pod ---- */

static void
copy(json_t *to, const json_t *from, const char *const *keys)
{
    for (; *keys; keys++) {
        json_t *value = json_object_get(from, *keys);
        if (value)
            json_object_set(to, *keys, value);
    }
}

static json_t *
container(const Deploy *d, const char *secret, const Job *job, const json_t *service)
{
    /* No ports, probes, hooks: it serves nobody. */
    static const char *const keys[] = {"name",          "envFrom",         "volumeMounts",
                                       "volumeDevices", "workingDir",      "securityContext",
                                       "resources",     "imagePullPolicy", NULL};
    json_t *made = json_object(), *command = json_array();
    copy(made, service, keys);
    for (size_t i = 0; i < job->words.n; i++)
        json_array_append_new(command, json_string(job->words.p[i]));
    json_object_set_new(made, "image", json_string(d->image));
    json_object_set_new(made, "command", command);
    json_t *env = variables_merge(job, json_object_get(service, "env"), secret);
    add_role(d, env);
    json_object_set_new(made, "env", env);
    /* Its last lines stay with the pod when the log is out of reach. */
    json_object_set_new(made, "terminationMessagePolicy", json_string("FallbackToLogsOnError"));
    return made;
}

/* What prepares the pod stays, and so do proxies that run beside (restartPolicy Always: they do not
 * keep a Job from ending). The service's own image among them waits for the schema: that would be
 * waiting for ourselves. */
static json_t *
init_containers(const json_t *template, Str image)
{
    json_t *kept = json_array(), *one;
    size_t i;
    json_array_foreach(json_object_get(template, "initContainers"), i, one)
    {
        if (!str_eq(value_text(one, "image"), image))
            json_array_append(kept, one);
    }
    return kept;
}

static json_t *
pod_spec(const Deploy *d, const char *secret, const Job *job, const json_t *template)
{
    static const char *const keys[] = {"volumes",
                                       "serviceAccountName",
                                       "automountServiceAccountToken",
                                       "imagePullSecrets",
                                       "nodeSelector",
                                       "tolerations",
                                       "securityContext",
                                       "hostAliases",
                                       "hostNetwork",
                                       "hostUsers",
                                       "dnsPolicy",
                                       "dnsConfig",
                                       "enableServiceLinks",
                                       "priorityClassName",
                                       "runtimeClassName",
                                       "schedulerName",
                                       "terminationGracePeriodSeconds",
                                       "os",
                                       NULL};
    const Kube *k = d->state;
    json_t *spec = json_object(), *one, *service = NULL;
    size_t i;
    copy(spec, template, keys);
    json_array_foreach(json_object_get(template, "containers"), i, one)
    {
        if (str_eq(value_text(one, "name"), str_of(k->container)))
            service = one;
        else
            log_info("deploy.job", "the container '" STR_FMT "' does not run beside the migration",
                     STR_ARG(value_text(one, "name")));
    }
    /* Rules about other pods are the service's: they keep its replicas apart. */
    json_t *nodes = value_at(template, "affinity.nodeAffinity");
    if (nodes)
        json_object_set_new(spec, "affinity", json_pack("{s:O}", "nodeAffinity", nodes));
    json_t *before = init_containers(template, value_text(service, "image"));
    if (json_array_size(before))
        json_object_set(spec, "initContainers", before);
    json_decref(before);
    json_object_set_new(spec, "containers", json_pack("[o]", container(d, secret, job, service)));
    json_object_set_new(spec, "restartPolicy", json_string("Never"));
    return spec;
}

/* A node that is drained is nobody's fault: the pod is made again. What lockstep says with its exit
 * code is not tried again. The API's schema wants the status; servers would take it for granted. */
static json_t *
failure_policy(const char *name)
{
    return json_pack("{s:[{s:s, s:[{s:s, s:s}]}, {s:s, s:{s:s, s:s, s:[i]}}]}", "rules", "action",
                     "Ignore", "onPodConditions", "type", "DisruptionTarget", "status", "True",
                     "action", "FailJob", "onExitCodes", "containerName", name, "operator", "NotIn",
                     "values", 0);
}

static bool
knows_failure_policy(const json_t *server)
{
    int64_t major = 0, minor = 0;
    Str text = value_text(server, "serverVersion.minor");
    size_t n = 0;
    while (n < text.n && text.p[n] >= '0' && text.p[n] <= '9') /* "26+" */
        n++;
    return str_to_i64(value_text(server, "serverVersion.major"), &major) &&
           str_to_i64(str_sub(text, 0, n), &minor) && (major > 1 || minor >= POLICY_SINCE);
}

json_t *
kube_pod_job(const Deploy *d,
             const char *name,
             const Job *job,
             const json_t *deployment,
             const json_t *server)
{
    const Kube *k = d->state;
    const json_t *template = value_at(deployment, "spec.template.spec");
    json_t *labels = kube_labels(d), *spec = pod_spec(d, name, job, template);
    json_object_set_new(labels, "lockstep", json_string(job->name));
    json_object_set_new(labels, "lockstep/job", json_string(name));
    json_t *made = json_pack(
        "{s:s, s:s, s:{s:s, s:O, s:{s:s}}, s:{s:i, s:i, s:i, s:I, s:i, s:{s:{s:O}, s:o}}}",
        "apiVersion", "batch/v1", "kind", "Job", "metadata", "name", name, "labels", labels,
        "annotations", "lockstep/image", d->image, "spec", "backoffLimit", 0, "completions", 1,
        "parallelism", 1, "activeDeadlineSeconds", (json_int_t)((job->limit_ms + 999) / 1000),
        "ttlSecondsAfterFinished", (int)KEEP_S, "template", "metadata", "labels", labels, "spec",
        spec);
    json_decref(labels);
    if (knows_failure_policy(server))
        json_object_set_new(json_object_get(made, "spec"), "podFailurePolicy",
                            failure_policy(k->container));
    return made;
}

/* ---- reading ---- */

/* Times are whole seconds: of two of the same, what is made later replaces one that has ended. */
static bool
is_newer(const json_t *one, const json_t *other)
{
    int order = str_cmp(value_text(one, "metadata.creationTimestamp"),
                        value_text(other, "metadata.creationTimestamp"));
    return order > 0 || (order == 0 && str_eq(value_text(other, "status.phase"), STR("Failed")));
}

const json_t *
kube_pod_newest(const json_t *list, const json_t **ret_job)
{
    size_t i;
    const json_t *one, *pod = NULL;
    json_array_foreach(value_at(list, "items"), i, one)
    {
        if (str_eq(value_text(one, "kind"), STR("Job")))
            *ret_job = one;
        else if (!pod || is_newer(one, pod))
            pod = one;
    }
    return pod;
}

const json_t *
kube_pod_container(const json_t *pod, const char *name)
{
    return value_item(value_at(pod, "status.containerStatuses"), "name", str_of(name));
}

bool
kube_pod_is_disrupted(const json_t *pod)
{
    size_t i;
    const json_t *one;
    json_array_foreach(value_at(pod, "status.conditions"), i, one)
    {
        if (str_eq(value_text(one, "type"), STR("DisruptionTarget")) &&
            str_eq(value_text(one, "status"), STR("True")))
            return true;
    }
    return false;
}
