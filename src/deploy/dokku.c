/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dokku: an image by its digest, through the account that can do nothing but Dokku's commands. An
 * image whose release phase runs lockstep migrates there, inside Dokku's own deploy, with the app's
 * configuration, links and mounts, and under its lock. Any other one is migrated before, in a
 * container beside the app, for which the server's engine has to be reachable too.
 */

#include "deploy/dokku.h"

#include <string.h>

#include "core/log.h"
#include "deploy/inspect.h"
#include "deploy/verify.h"
#include "run/http.h"
#include "core/banned.h"

enum { STILL_DEPLOYING_MS = 120000 };

static bool
settle(Deploy *d, Error *err)
{
    const DeployOptions *o = d->options;
    Dokku *dokku = arena_make(d->arena, Dokku);
    if (!deploy_needs(o->host, "host", "host", "where Dokku is", err) ||
        !remote_read(d->arena, o->host, "dokku", &dokku->remote, err))
        return false;
    if (o->health && !http_is_url(o->health)) {
        error_set(err, ERROR_USAGE, "'%s' is not asked on Dokku, only a whole URL is", o->health);
        return error_hint(err, "A path belongs to the health checks of the app's app.json: Dokku "
                               "asks it before traffic moves.");
    }
    d->state = dokku;
    return true;
}

/* ---- locking ---- */

/* Dokku's own lock is that of one command; what is migrated before it needs one that holds for the
 * whole deploy. */
static bool
lock(Deploy *d, Error *err)
{
    return !d->options->docker_host || engine_lock(d, err);
}

static void
unlock(Deploy *d)
{
    if (d->options->docker_host)
        engine_unlock(d);
}

/* ---- the image ---- */

/* "release: COMMAND" of a Procfile; absent = none. */
static Str
release_line(Str procfile)
{
    for (Str rest = procfile; rest.n;) {
        size_t end = str_find(rest, '\n');
        Str line = str_trim(str_sub(rest, 0, end));
        size_t colon = str_find(line, ':');
        if (str_eq(str_trim(str_sub(line, 0, colon)), STR("release")) && colon < line.n)
            return str_trim(str_sub(line, colon + 1, line.n));
        rest = str_sub(rest, end < rest.n ? end + 1 : rest.n, rest.n);
    }
    return STR_ABSENT;
}

static bool
has_lockstep(Str command)
{
    return str_find_str(command, STR("lockstep")) < command.n;
}

/* Of the two tasks that Dokku runs before it releases, from the files where it looks for them: in
 * the image's working directory. */
static const char *
release_task(Deploy *d)
{
    Str text = image_text(&d->inside, "app.json");
    AUTO_JSON *app = text.p ? json_loadb(text.p, text.n, 0, NULL) : NULL;
    Str task = release_line(image_text(&d->inside, "Procfile"));
    Str before = value_text(app, "scripts.dokku.predeploy");
    return str_dup(d->arena, !task.n || has_lockstep(before) ? before : task);
}

static bool
inspect(Deploy *d, Error *err)
{
    Dokku *dokku = d->state;
    if (!inspect_image(d, err))
        return false;
    dokku->exact = strchr(d->image, '@') != NULL;
    dokku->ref = dokku->exact ? d->image : d->options->image;
    if (!dokku->exact && !d->orders.dry_run)
        log_warn("deploy.tag",
                 "'%s' is in no registry: Dokku is told its name, which may come to "
                 "mean another image",
                 d->options->image);
    if (!d->orders.dry_run)
        dokku->task = release_task(d);
    else if (!d->options->docker_host)
        dokku->task = "lockstep migrate"; /* as far as can be told without looking */
    /* A script may do it. Whoever gave us an engine wants us to. */
    dokku->task_migrates =
        dokku->task && (has_lockstep(str_of(dokku->task)) || !d->options->docker_host);
    return true;
}

static bool
migrates_itself(const Deploy *d)
{
    return ((const Dokku *)d->state)->task_migrates;
}

/* ---- looking ---- */

/* What cannot reach a release task is said, not dropped. */
static bool
tell_how(Deploy *d, Error *err)
{
    const Dokku *dokku = d->state;
    const DeployOptions *o = d->options;
    if (!d->migrates)
        return true;
    if (!dokku->task_migrates && !o->docker_host) {
        error_set(err, ERROR_USAGE, "nothing can migrate '%s' before it is released", o->image);
        return error_hint(err, "Put `release: lockstep migrate` into the Procfile in its working "
                               "directory, or give --docker-host: an account of the server that "
                               "may use Docker.");
    }
    if (dokku->task_migrates) {
        log_info("deploy.release_phase", "the release phase migrates: %s", dokku->task);
        if ((o->settings && *o->settings) || (o->env && *o->env) || o->expect_engine ||
            o->expect_version)
            log_warn("deploy.settings", "settings of the migration that were given here do not "
                                        "reach the release phase: `dokku config:set` does");
    }
    return true;
}

static bool
look(Deploy *d, Error *err)
{
    const Dokku *dokku = d->state;
    Serving now;
    if (!tell_how(d, err) || !dokku_check_version(d, err) ||
        (d->options->docker_host && !engine_sweep(d, err)) ||
        !dokku_wait_unlocked(d, d->options->lock_wait_ms, err) || !dokku_serving(d, &now, err))
        return false;
    d->before = now.any ? now.image : NULL;
    if (now.any && !now.uniform)
        log_warn("deploy.mixed", "'%s' on %s serves two images: an earlier deploy ended half way",
                 d->options->app, dokku->remote.account);
    return true;
}

/* ---- migrating and releasing ---- */

static bool
run_once(Deploy *d, const Job *job, JobReport *ret, Error *err)
{
    EngineJob how;
    if (!d->options->docker_host) {
        error_set(err, ERROR_USAGE, "no container can be run beside '%s'", d->options->app);
        return error_hint(err, "Give --docker-host: Dokku's account cannot do it.");
    }
    return dokku_job(d, &how, err) && engine_run_once(d, job, &how, ret, err);
}

static bool
release(Deploy *d, Error *err)
{
    const Dokku *dokku = d->state;
    JobReport report;
    DokkuEnd end = dokku_deploy(d, dokku->ref, dokku->exact, &report, err);
    if (dokku->task_migrates)
        d->migrated = report;
    if (end == DOKKU_DONE)
        return true;
    /* Whoever had the lock for all that time: nothing of ours was begun. */
    d->left_alone = end == DOKKU_TASK_FAILED || err->code == ERROR_LOCKED;
    if (end == DOKKU_TASK_FAILED)
        error_hint(err, "Dokku keeps the image that it did not release: until the next deploy, "
                        "`ps:rebuild` and `config:set` try it again.");
    return false;
}

/* ---- verifying and putting back ---- */

static bool
is_serving(Deploy *d, void *ctx, bool *ret_ready, Str *ret_why, Error *err)
{
    const char *image = ctx;
    Serving now;
    if (!dokku_serving(d, &now, err))
        return false;
    bool same = now.any && now.uniform && strcmp(now.image, image) == 0;
    *ret_ready = same && now.running;
    *ret_why = same ? now.state
                    : str_of(str_printf(d->arena, "it serves %s", now.any ? now.image : "nothing"));
    return true;
}

static bool
wait_serving(Deploy *d, const char *image, Error *err)
{
    return deploy_until(d, is_serving, (void *)(uintptr_t)image, d->options->verify_ms,
                        str_printf(d->arena, "'%s' does not serve the image", d->options->app),
                        err);
}

static bool
verify(Deploy *d, Error *err)
{
    return wait_serving(d, ((const Dokku *)d->state)->ref, err) && verify_url(d, err);
}

static bool
put_back(Deploy *d, Error *err)
{
    Serving now;
    JobReport report;
    /* What an interrupted command of ours began, Dokku ends by itself. */
    if (!dokku_wait_unlocked(d, STILL_DEPLOYING_MS, err) || !dokku_serving(d, &now, err))
        return false;
    if (!d->before) {
        Answer answer;
        Order stop = dokku_order(d, "ps:stop", d->options->app, NULL);
        return !now.any || dokku_ask(d, &stop, &answer, err);
    }
    if (now.any && now.uniform && now.running && strcmp(now.image, d->before) == 0)
        return true;
    return dokku_deploy(d, d->before, strchr(d->before, '@') != NULL, &report, err) == DOKKU_DONE &&
           wait_serving(d, d->before, err);
}

const Platform platform_dokku = {
    .name = "dokku",
    .title = "Dokku",
    .pulls = true,
    .migrates_itself = migrates_itself,
    .settle = settle,
    .lock = lock,
    .unlock = unlock,
    .look = look,
    .inspect = inspect,
    .run_once = run_once,
    .release = release,
    .verify = verify,
    .put_back = put_back,
};
