/* SPDX-License-Identifier: Apache-2.0 */
/* The migration as a Job, from its creation to its exit code, whatever happens to connections. */

#include "deploy/kubernetes.h"

#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "deploy/digest.h"
#include "deploy/kubernetes_pod.h"
#include "deploy/variables.h"
#include "core/banned.h"

enum { DELETE_MS = 60000, APP_MOST = 24, CONFIG_MS = 30000 };

typedef struct Run {
    Deploy *d;
    const Job *job;
    JobReport *report;
    char *name; /* of the Job, and of its Secret */
    char *pod;  /* that it is listened to */
    int64_t end_ms;
    int64_t seen, line; /* lines of its log told already; of the stream that is read now */
    bool heard_all;
    Str deaf; /* why not, as kubectl said it last */
    bool told_waiting;
    int64_t stuck_since_ms; /* in a configuration that is not there; 0 = not */
} Run;

/* ---- making it ---- */

static bool
create(Deploy *d, const json_t *object, const json_t *shown, Error *err)
{
    Answer answer;
    Order order = kube_order(d, "create", "--filename", "-", NULL);
    order.input = values_print(d->arena, object);
    order.shown = values_print(d->arena, shown);
    order.may_fail = true;
    if (!kube_run(d, &order, &answer, err))
        return false;
    /* Names are this deploy's own: what is there already is what an order made whose answer was
     * lost. */
    return answer.status == 0 ||
           str_find_str(answer.said, STR("(AlreadyExists)")) < answer.said.n ||
           patient_failed(&kube_patience, &order, &answer, err);
}

/* Goes with the Job, whatever becomes of us. */
static bool
give_to_job(Run *r, Error *err)
{
    Deploy *d = r->d;
    AUTO_JSON *made = NULL;
    Order get = kube_order(d, "get", "job", r->name, "--output", "json", NULL);
    get.pretend = "{\"metadata\": {\"uid\": \"...\"}}";
    if (!kube_read(d, &get, &made, err))
        return false;
    Str uid = value_text(made, "metadata.uid");
    AUTO_JSON *patch =
        json_pack("{s:{s:[{s:s, s:s, s:s, s:s%}]}}", "metadata", "ownerReferences", "apiVersion",
                  "batch/v1", "kind", "Job", "name", r->name, "uid", uid.p ? uid.p : "", uid.n);
    Order order = kube_order(d, "patch", "secret", r->name, "--type", "merge", "--patch",
                             values_print(d->arena, patch).p, NULL);
    return kube_run(d, &order, NULL, err);
}

static bool
start(Run *r, Error *err)
{
    Deploy *d = r->d;
    const Kube *k = d->state;
    AUTO_JSON *deployment = NULL, *version = NULL;
    if (!values_read(k->deployment, "kubectl", &deployment, err))
        return false;
    Order order = kube_order(d, "version", "--output", "json", NULL);
    order.pretend = "{\"serverVersion\": {\"major\": \"1\", \"minor\": \"30\"}}";
    if (!kube_read(d, &order, &version, err))
        return false;
    bool handed = variables_are_handed(r->job);
    Job hidden = variables_hidden(d->arena, r->job);
    AUTO_JSON *secret = kube_pod_secret(d, r->name, r->job);
    AUTO_JSON *shown = kube_pod_secret(d, r->name, &hidden);
    AUTO_JSON *job = kube_pod_job(d, r->name, r->job, deployment, version);
    if (handed && !create(d, secret, shown, err))
        return error_wrap(err, "the variables for the migration were not handed over");
    if (!create(d, job, job, err))
        return error_wrap(err, "the job '%s' was not made", r->name);
    log_info("deploy.job", "the migration runs as job '%s'", r->name);
    return !handed || give_to_job(r, err);
}

/* ---- listening ---- */

static void
on_line(void *ctx, int stream, Str line)
{
    Run *r = ctx;
    (void)stream;
    if (r->line++ < r->seen)
        return;
    r->seen++;
    job_line(r->d->arena, r->report, line);
}

/* Until the log ends, or the connection. `whose` is "pod/NAME". */
static bool
listen(Run *r, const char *whose, Error *err)
{
    Deploy *d = r->d;
    const Kube *k = d->state;
    Answer answer;
    int64_t left = r->end_ms - clock_ms();
    Order order = kube_order(d, "logs", "--follow", whose, "--container", k->container, NULL);
    order.may_fail = true;
    order.limit_ms = left > 1 ? left : 1;
    order.line = on_line;
    order.line_ctx = r;
    r->line = 0;
    if (!order_run(&d->orders, &order, &answer, err)) {
        if (err->cls != ERROR_CLASS_TIMEOUT)
            return false;
        error_clear(err);
        return true;
    }
    r->heard_all = answer.status == 0;
    r->deaf = answer.said;
    return true;
}

static char *
pod_word(const Run *r)
{
    return str_printf(r->d->arena, "pod/%s", r->pod);
}

/* ---- looking ---- */

/* What the image's tag was when the node took it: the release has to be the very same. */
static void
pin_image(Deploy *d, Str id)
{
    static const char *const prefix = "docker-pullable://";
    if (digest_is_in(d->image) || !id.n)
        return;
    if (str_starts(id, str_of(prefix)))
        id = str_sub(id, strlen(prefix), id.n);
    size_t at = str_find(id, '@');
    /* An image that was never pulled has an id that no registry knows. */
    if (at == id.n || !str_eq(digest_repository(id), digest_repository(str_of(d->options->image))))
        return;
    d->image = digest_pin(d->arena, d->options->image, str_sub(id, at + 1, id.n));
    log_info("deploy.digest", "the migration ran from %s: this is what is released", d->image);
}

typedef enum End {
    END_NOT_YET,
    END_KNOWN,   /* the report has its status */
    END_UNKNOWN, /* it is gone, and nobody can say how it ended */
    END_ERROR,   /* it can not be run: err is set */
} End;

/* By the Job's own word, when its pod is gone. */
static End
end_of_job(Run *r, const json_t *job, Error *err)
{
    size_t i;
    const json_t *one;
    json_array_foreach(value_at(job, "status.conditions"), i, one)
    {
        Str type = value_text(one, "type"), reason = value_text(one, "reason");
        if (!str_eq(value_text(one, "status"), STR("True")))
            continue;
        if (str_eq(type, STR("Complete"))) {
            r->report->status = 0;
            return END_KNOWN;
        }
        if (str_eq(type, STR("Failed")) && str_eq(reason, STR("DeadlineExceeded"))) {
            err->cls = ERROR_CLASS_TIMEOUT;
            error_set(err, ERROR_FAILED, "the migration did not end within %s",
                      str_from_duration_ms(r->d->arena, r->job->limit_ms));
            return END_ERROR;
        }
        if (str_eq(type, STR("Failed")))
            return END_UNKNOWN;
    }
    return END_NOT_YET;
}

/* The container ran, or could not be started. */
static End
end_of_container(Run *r, const json_t *ended, Error *err)
{
    Deploy *d = r->d;
    if (!r->heard_all && !listen(r, pod_word(r), err))
        return END_ERROR;
    if (!r->heard_all)
        log_warn("deploy.logs", "the migration's log can not be read: " STR_FMT, STR_ARG(r->deaf));
    /* Then what it applied is not known here. */
    r->report->again = !r->heard_all;
    Str reason = value_text(ended, "reason"), message = value_text(ended, "message");
    static const char *const unable[] = {"StartError", "ContainerCannotRun"};
    for (size_t i = 0; i < COUNT_OF(unable); i++)
        if (str_eq(reason, str_of(unable[i]))) {
            error_set(err, ERROR_USAGE, "the migration can not be started in '%s'", d->image);
            error_detail(err, STR_FMT, STR_ARG(message));
            error_hint(err, "The image must hold lockstep, in its PATH: `lockstep init docker` "
                            "shows the lines.");
            return END_ERROR;
        }
    /* The log is gone or out of reach: its last lines stand in the pod, if it failed. */
    if (!r->heard_all && !r->report->spoke)
        for (Str rest = message; rest.n;) {
            size_t end = str_find(rest, '\n');
            job_line(d->arena, r->report, str_sub(rest, 0, end));
            rest = str_sub(rest, end + 1, rest.n);
        }
    r->report->status = (int)value_number(ended, "exitCode");
    if (str_eq(reason, STR("OOMKilled")))
        r->report->error =
            str_printf(d->arena, "%s",
                       "it was killed for the memory it took (OOMKilled); `resources: limits: "
                       "memory:` of the deployment's container is its limit too");
    return END_KNOWN;
}

/* It waits: for what may come, or for what never does. */
static bool
is_waiting_in_vain(Run *r, const json_t *pod, Error *err)
{
    Str why = STR("");
    bool hopeless = kube_is_hopeless(r->d->arena, pod, &why);
    bool config = str_find_str(why, STR("CreateContainerConfigError")) < why.n;
    if (!config)
        r->stuck_since_ms = 0;
    else if (!r->stuck_since_ms)
        r->stuck_since_ms = clock_ms();
    hopeless |= config && clock_ms() - r->stuck_since_ms > CONFIG_MS;
    if (why.n && !r->told_waiting && !config) {
        log_warn("deploy.job", "the migration does not start yet: " STR_FMT, STR_ARG(why));
        r->told_waiting = true;
    }
    if (!hopeless)
        return false;
    error_set(err, ERROR_FAILED, "the migration's pod can not start");
    error_detail(err, STR_FMT, STR_ARG(why));
    /* The pod itself goes with its Job. */
    error_hint(err,
               "`kubectl get events --field-selector involvedObject.name=" STR_FMT "` tells more.",
               STR_ARG(value_text(pod, "metadata.name")));
    return true;
}

/* One look at the Job and its pods, in one question. */
static End
look(Run *r, Error *err)
{
    Deploy *d = r->d;
    const Kube *k = d->state;
    AUTO_JSON *list = NULL;
    Order order =
        kube_order(d, "get", "jobs,pods", "--selector",
                   str_printf(d->arena, "lockstep/job=%s", r->name), "--output", "json", NULL);
    int64_t left = r->end_ms - clock_ms();
    Answer answer;
    if (!patient_run(d, &kube_patience, &order, left > PATIENCE_MS ? left : PATIENCE_MS, &answer,
                     err) ||
        !values_read(answer.out, "kubectl", &list, err))
        return END_ERROR;
    const json_t *job = NULL, *pod = kube_pod_newest(list, &job);
    const json_t *state = kube_pod_container(pod, k->container);
    Str name = value_text(pod, "metadata.name");
    if (name.n && (!r->pod || !str_eq(name, str_of(r->pod)))) {
        r->pod = str_dup(d->arena, name);
        r->seen = 0;
        r->heard_all = false;
    }
    pin_image(d, value_text(state, "imageID"));
    const json_t *ended = value_at(state, "state.terminated");
    /* The Job makes another pod, or ends and is asked for again. */
    if (ended && value_number(ended, "exitCode") && kube_pod_is_disrupted(pod))
        return job ? end_of_job(r, job, err) : END_UNKNOWN;
    if (ended)
        return end_of_container(r, ended, err);
    if (value_at(state, "state.running"))
        return listen(r, pod_word(r), err) ? END_NOT_YET : END_ERROR;
    if (!job)
        return pod ? END_NOT_YET : END_UNKNOWN;
    if (pod && is_waiting_in_vain(r, pod, err))
        return END_ERROR;
    return end_of_job(r, job, err);
}

static bool
follow(Run *r, bool *ret_known, Error *err)
{
    Deploy *d = r->d;
    if (d->orders.dry_run) {
        *ret_known = true;
        /* The name of the pod is not known before it is there. */
        return listen(r, str_printf(d->arena, "job/%s", r->name), err);
    }
    for (int tries = 0;;) {
        int64_t seen = r->seen;
        End end = look(r, err);
        if (end == END_ERROR)
            return false;
        *ret_known = end == END_KNOWN;
        if (end != END_NOT_YET)
            return true;
        if (clock_ms() >= r->end_ms) {
            err->cls = ERROR_CLASS_TIMEOUT;
            return error_set(err, ERROR_FAILED, "the migration did not end within %s",
                             str_from_duration_ms(d->arena, r->job->limit_ms));
        }
        /* A log that just ended has an end to tell; else there is time. */
        if (seen == r->seen && !deploy_pause(d, &tries, err))
            return false;
    }
}

/* ---- ending it ---- */

/* Its pods have ended, or it is gone, and they with it. The objects may stay for minutes where a
 * node is slow: nobody has to wait for them. */
static bool
is_over(const json_t *list)
{
    size_t i, pods = 0;
    const json_t *one;
    json_array_foreach(value_at(list, "items"), i, one)
    {
        Str phase = value_text(one, "status.phase");
        if (!str_eq(value_text(one, "kind"), STR("Pod")))
            continue;
        if (!str_eq(phase, STR("Failed")) && !str_eq(phase, STR("Succeeded")))
            return false;
        pods++;
    }
    return pods || !json_array_size(value_at(list, "items"));
}

static bool
delete_job(Deploy *d, const char *name, Error *err)
{
    int64_t end = clock_ms() + DELETE_MS;
    /* In the foreground: the Job goes when its pods have, so that none is overlooked. */
    Order order = kube_order(d, "delete", "job", name, "--cascade=foreground", "--ignore-not-found",
                             "--wait=false", NULL);
    if (!kube_run(d, &order, NULL, err))
        return false;
    for (int tries = 0;;) {
        AUTO_JSON *list = NULL;
        Order get =
            kube_order(d, "get", "jobs,pods", "--selector",
                       str_printf(d->arena, "lockstep/job=%s", name), "--output", "json", NULL);
        if (!kube_read(d, &get, &list, err))
            return false;
        if (is_over(list))
            return true;
        if (clock_ms() >= end) {
            err->cls = ERROR_CLASS_TIMEOUT;
            error_set(err, ERROR_FAILED, "the pods of the job '%s' do not end", name);
            return error_hint(err,
                              "`kubectl get pods --selector lockstep/job=%s` shows them; one "
                              "on a node that is lost has to be deleted with `--force`.",
                              name);
        }
        if (!deploy_pause(d, &tries, err))
            return false;
    }
}

static void
stop(Run *r)
{
    Error why = ERROR_INIT;
    wait_cleanup_begin(r->d->orders.wait);
    if (!delete_job(r->d, r->name, &why))
        log_warn("deploy.job", "the job '%s' may still run: %s", r->name, why.message);
    wait_cleanup_end(r->d->orders.wait);
}

/* The Job stays for those who want to look at it, until its time is up; values do not. */
static void
drop_secret(const Run *r)
{
    if (!variables_are_handed(r->job))
        return;
    Order order = kube_order(r->d, "delete", "secret", r->name, "--ignore-not-found", NULL);
    patient_try(r->d, &kube_patience, &order);
}

bool
kube_run_once(Deploy *d, const Job *job, JobReport *ret, Error *err)
{
    Kube *k = d->state;
    int64_t end = clock_ms() + job->limit_ms;
    const char *app = holder_slug(d->arena, d->options->app, APP_MOST);
    for (int attempt = 1;; attempt++) {
        JobReport report = {0};
        bool known = false, adopted = k->adopted != NULL;
        Run run = {.d = d, .job = job, .report = &report, .end_ms = end};
        run.name = adopted ? str_dup(d->arena, str_of(k->adopted))
                           : str_printf(d->arena, "%s-%s-%s-%d", app, job->name, holder_here(d).id,
                                        attempt);
        k->adopted = NULL;
        bool done = (adopted || start(&run, err)) && follow(&run, &known, err);
        if (!done || !known)
            stop(&run);
        drop_secret(&run);
        if (!done)
            return false;
        if (known) {
            *ret = report;
            return true;
        }
        if (!job_ask_again(&report, attempt, err))
            return false;
    }
}

/* ---- what a killed deploy left ---- */

static bool
has_ended(const json_t *job)
{
    size_t i;
    const json_t *one;
    json_array_foreach(value_at(job, "status.conditions"), i, one)
    {
        Str type = value_text(one, "type");
        if ((str_eq(type, STR("Complete")) || str_eq(type, STR("Failed"))) &&
            str_eq(value_text(one, "status"), STR("True")))
            return true;
    }
    return false;
}

bool
kube_settle_jobs(Deploy *d, Error *err)
{
    Kube *k = d->state;
    AUTO_JSON *list = NULL;
    Order order =
        kube_order(d, "get", "jobs", "--selector", kube_selector(d), "--output", "json", NULL);
    order.pretend = "{\"items\": []}";
    if (!kube_read(d, &order, &list, err))
        return false;
    size_t i;
    const json_t *job;
    json_array_foreach(value_at(list, "items"), i, job)
    {
        Str name = value_text(job, "metadata.name");
        Str image = str_of(json_string_value(
            json_object_get(value_at(job, "metadata.annotations"), "lockstep/image")));
        if (has_ended(job))
            continue;
        /* A tag may have moved since: then it migrates something else. */
        if (!k->adopted && !value_at(job, "metadata.deletionTimestamp") && digest_is_in(d->image) &&
            str_eq(image, str_of(d->image)) &&
            str_eq(value_text(job, "metadata.labels.lockstep"), STR("migrate"))) {
            k->adopted = str_dup(d->arena, name);
            log_info("deploy.left",
                     "going on with the migration of a deploy that did not end: "
                     "job '%s'",
                     k->adopted);
            continue;
        }
        log_warn("deploy.left", "a deploy that did not end left the job '" STR_FMT "': ended",
                 STR_ARG(name));
        if (!delete_job(d, str_dup(d->arena, name), err))
            return false;
    }
    /* Values of one that was killed before its Job was there; a right to it may not be there
     * either. */
    if (!k->adopted && d->options->env) {
        Order secrets = kube_order(d, "delete", "secret", "--selector", kube_selector(d), NULL);
        patient_try(d, &kube_patience, &secrets);
    }
    return true;
}
