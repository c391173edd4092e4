/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The phases of a deploy, in their order. Whatever fails up to the migration leaves what serves
 * alone; what fails behind it is put back, and then it is said where schema and app stand.
 */

#include "deploy/engine.h"
#include "deploy/inspect.h"
#include "deploy/patient.h"
#include "deploy/platform.h"

#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/secret.h"
#include "run/http.h"
#include "run/run.h"
#include "core/banned.h"

enum { BUILD_MS = 3600000, PUSH_MS = 1800000, PAUSE_MIN_MS = 100, PAUSE_MAX_MS = 1000 };
enum { NOTE_MS = 120000 };

static const Platform *const platforms[] = {&platform_dokku,      &platform_docker,
                                            &platform_compose,    &platform_swarm,
                                            &platform_kubernetes, &platform_cloud_run};

const char *const *
deploy_targets(void)
{
    static const char *names[COUNT_OF(platforms) + 1];
    for (size_t i = 0; i < COUNT_OF(platforms); i++)
        names[i] = platforms[i]->name;
    return names;
}

/* ---- for platforms ---- */

bool
deploy_needs(const char *value, const char *flag, const char *key, const char *what, Error *err)
{
    if (value && *value)
        return true;
    error_set(err, ERROR_USAGE, "the deploy does not say %s", what);
    return error_hint(err, "Give `--%s`, or `deploy: %s:` in lockstep.yaml.", flag, key);
}

bool
deploy_pause(Deploy *d, int *tries, Error *err)
{
    return wait_sleep(d->orders.wait, clock_backoff_ms((*tries)++, PAUSE_MIN_MS, PAUSE_MAX_MS),
                      err);
}

char *
deploy_image_shown(Arena *arena, Str name, Str exact)
{
    static const char hash[] = "sha256:";
    size_t at = str_find_str(exact, STR("sha256:"));
    if (str_find_str(name, STR("sha256:")) < name.n || at >= exact.n)
        return str_dup(arena, name);
    return str_printf(arena, STR_FMT " (" STR_FMT ")", STR_ARG(name),
                      STR_ARG(str_sub(exact, at, at + sizeof hash - 1 + 12)));
}

bool
deploy_until(
    Deploy *d, DeployReady *ready, void *ctx, int64_t limit_ms, const char *what, Error *err)
{
    int64_t end = clock_ms() + limit_ms;
    Str why = STR_ABSENT;
    for (int tries = 0;;) {
        bool done = false;
        if (!ready(d, ctx, &done, &why, err))
            return false;
        if (done || d->orders.dry_run)
            return true;
        if (clock_ms() >= end)
            return error_set(err, ERROR_FAILED, "%s within %s: " STR_FMT, what,
                             str_from_duration_ms(d->arena, limit_ms),
                             STR_ARG(why.n ? why : STR("no answer")));
        if (!deploy_pause(d, &tries, err))
            return false;
    }
}

/* ---- phases ---- */

static bool
build(Deploy *d, Error *err)
{
    Order order =
        engine_order_here(d, "build", "--tag", d->options->image, d->options->build, NULL);
    order.to_log = true;
    order.limit_ms = BUILD_MS;
    return order_run(&d->orders, &order, NULL, err) || error_wrap(err, "the image did not build");
}

static bool
wants_build(const Deploy *d)
{
    return d->options->build != NULL;
}

static bool
push(Deploy *d, Error *err)
{
    Order order = engine_order_here(d, "push", d->options->image, NULL);
    order.to_log = true;
    order.limit_ms = PUSH_MS;
    return order_run(&d->orders, &order, NULL, err) || error_wrap(err, "the image was not pushed");
}

static bool
wants_push(const Deploy *d)
{
    return d->options->push_is_set ? d->options->push : wants_build(d) && d->platform->pulls;
}

static bool
inspect(Deploy *d, Error *err)
{
    return d->platform->inspect ? d->platform->inspect(d, err) : inspect_image(d, err);
}

/* Behind the first phases, which do no harm when two do them, and without which there may be no
 * image on the platform to lock with. */
static bool
look(Deploy *d, Error *err)
{
    if (d->platform->lock && !d->platform->lock(d, err))
        return false;
    d->locked = d->platform->lock != NULL;
    if (!d->platform->look(d, err))
        return false;
    if (d->before)
        log_info("deploy.before", "'%s' serves %s", d->options->app, d->before);
    return true;
}

static bool
backup(Deploy *d, Error *err)
{
    if (!d->orders.dry_run)
        return d->options->backup(d->options->backup_ctx, err);
    d->orders.tell(d->orders.tell_ctx, STR("lockstep backup"));
    return true;
}

static bool
wants_backup(const Deploy *d)
{
    return d->options->backup != NULL;
}

static void
add_env(Deploy *d, Job *job, const char *name, const char *value)
{
    *vec_push(d->arena, &job->env) = str_printf(d->arena, "%s=%s", name, value);
}

/* The settings of here that mean the migration, what the database is expected to be, and the
 * variables that were asked for by name. */
static void
job_environment(Deploy *d, Job *job)
{
    const DeployOptions *o = d->options;
    add_env(d, job, "LOCKSTEP_LOG", "json");
    add_env(d, job, "LOCKSTEP_REVISION", d->image);
    if (o->expect_engine)
        add_env(d, job, "LOCKSTEP_EXPECT_ENGINE", o->expect_engine);
    if (o->expect_version)
        add_env(d, job, "LOCKSTEP_EXPECT_VERSION", o->expect_version);
    for (char **pair = o->settings; pair && *pair; pair++)
        *vec_push(d->arena, &job->env) = *pair;
    for (char **name = o->env; name && *name; name++) {
        const char *value = env_get(o->environ_, *name);
        secret_mask_also(str_of(value));
        add_env(d, job, *name, value);
    }
}

typedef struct JobKind {
    const char *name, *what; /* within the container's name; for people */
    int64_t limit_ms;        /* 0 = as long as the migration may take */
} JobKind;

static const JobKind migration = {"migrate", "the migration", 0},
                     rolling_back = {"rollback", "the rollback", 0},
                     noting = {"note", "the note in lockstep_runs", NOTE_MS};

static bool
run_job(Deploy *d, const JobKind *kind, const char *const *words, JobReport *ret, Error *err)
{
    Job job = {.name = kind->name,
               .limit_ms = kind->limit_ms ? kind->limit_ms : d->options->migrate_ms};
    *vec_push(d->arena, &job.words) = str_dup(d->arena, str_of(d->lockstep));
    for (; *words; words++)
        *vec_push(d->arena, &job.words) = str_dup(d->arena, str_of(*words));
    job_environment(d, &job);
    *ret = (JobReport){0};
    if (!d->platform->run_once(d, &job, ret, err))
        return error_wrap(err, "%s could not be run", kind->what);
    return ret->status == 0 || job_failed(ret, kind->what, err);
}

static bool
migrate(Deploy *d, Error *err)
{
    return run_job(d, &migration, (const char *const[]){"migrate", NULL}, &d->migrated, err);
}

static bool
wants_migrate(const Deploy *d)
{
    return d->migrates && !(d->platform->migrates_itself && d->platform->migrates_itself(d));
}

static bool
release(Deploy *d, Error *err)
{
    return d->platform->release(d, err);
}

static bool
verify(Deploy *d, Error *err)
{
    return d->platform->verify(d, err);
}

typedef struct Phase {
    const char *name;
    bool (*wanted)(const Deploy *d); /* NULL = always */
    bool (*run)(Deploy *d, Error *err);
    bool undoable; /* from here on a failure is put back */
} Phase;

static const Phase phases[] = {
    {"build", wants_build, build, false},    {"push", wants_push, push, false},
    {"inspect", NULL, inspect, false},       {"look", NULL, look, false},
    {"backup", wants_backup, backup, false}, {"migrate", wants_migrate, migrate, false},
    {"release", NULL, release, true},        {"verify", NULL, verify, true},
};

/* ---- after a failure ---- */

static const char *
schema_stands(const Deploy *d)
{
    const JobReport *m = &d->migrated;
    /* It printed something, and none of it was ours: a script of the platform's release phase. */
    if (m->error && !m->spoke)
        return "what migrated it did not say where the schema is";
    if (m->again && !m->applied)
        return "the schema is as the image needs it";
    return m->applied && m->version
               ? str_printf(d->arena, "the schema is at %s (%lld applied by this deploy)",
                            m->version, (long long)m->applied)
               : "no migration was applied";
}

/* Only when it was asked for: what was written since by whoever saw the new schema may be lost. */
static void
roll_back_migrations(Deploy *d)
{
    Error why = ERROR_INIT;
    JobReport report;
    if (!d->options->rollback_migrations || !d->migrated.applied)
        return;
    char *count = str_printf(d->arena, "%lld", (long long)d->migrated.applied);
    const char *words[] = {"rollback", "--reversible", "--steps", count, NULL};
    if (run_job(d, &rolling_back, words, &report, &why)) {
        log_info("deploy.rollback", "rolled back %lld migrations", (long long)report.applied);
        d->migrated.applied = 0;
    } else {
        log_failure(LOG_ERROR, "deploy.rollback", "the migrations stay as they are", NULL, &why);
    }
}

static const char *
serves(const Deploy *d)
{
    return d->before ? str_printf(d->arena, "'%s' serves %s again", d->options->app, d->before)
                     : str_printf(d->arena, "'%s' does not serve, as before", d->options->app);
}

/* The run's row outlives this log: who reads the history later shall not take the image that it
 * names for the one that serves. */
static void
note_put_back(Deploy *d)
{
    Error why = ERROR_INIT;
    JobReport report;
    if (!d->migrated.run_id || !d->migrated.applied || !wants_migrate(d))
        return;
    char *text = str_printf(d->arena, "put back after the migration: %s", serves(d));
    const char *words[] = {"history", "--run", d->migrated.run_id, "--note", text, NULL};
    if (!run_job(d, &noting, words, &report, &why))
        log_failure(LOG_WARN, "deploy.note", "lockstep_runs does not say that it was put back",
                    NULL, &why);
}

/* Each try looks at what is there first, so one that was cut off is made again. */
static bool
put_back_patiently(Deploy *d, Error *why)
{
    int64_t end = clock_ms() + PATIENCE_MS;
    for (int tries = 0;;) {
        Error ignored = ERROR_INIT;
        if (d->platform->put_back(d, why))
            return true;
        if (!engine_is_away(why) || clock_ms() >= end)
            return false;
        if (!tries)
            log_warn("deploy.connection", "%s does not answer: trying again", d->platform->title);
        if (!deploy_pause(d, &tries, &ignored))
            return false;
        error_clear(why);
    }
}

/* What failed is in `err`; the outcome of putting back decides about its code. */
static bool
put_back(Deploy *d, Error *err)
{
    Error why = ERROR_INIT;
    bool stopped = err->code == ERROR_SIGNALLED;
    log_warn("deploy.undoing", "putting back what served before: %s", err->message);
    wait_cleanup_begin(d->orders.wait);
    bool back = put_back_patiently(d, &why);
    if (back) {
        roll_back_migrations(d);
        note_put_back(d);
    }
    wait_cleanup_end(d->orders.wait);
    if (back && !stopped)
        err->code = ERROR_DEPLOY_UNDONE;
    if (back) {
        error_hint(err, "Put back: %s; %s.", serves(d), schema_stands(d));
        return false;
    }
    err->code = ERROR_DEPLOY_STUCK;
    error_detail(err, "putting back failed too: %s", why.message);
    if (why.detail[0])
        error_detail(err, "%s", why.detail);
    return error_hint(err, "A person is needed: %s; look at '%s' on %s, which served %s before.",
                      schema_stands(d), d->options->app, d->platform->title,
                      d->before ? d->before : "nothing");
}

/* ---- all of it ---- */

static const Platform *
find_platform(const char *name, Error *err)
{
    for (size_t i = 0; i < COUNT_OF(platforms); i++)
        if (strcmp(platforms[i]->name, name) == 0)
            return platforms[i];
    const char *near = str_nearest(str_of(name), deploy_targets());
    error_set(err, ERROR_USAGE, "there is no target '%s'", name);
    if (near)
        error_hint(err, "Did you mean '%s'?", near);
    else
        error_hint(err, "`lockstep deploy --help` lists them.");
    return false;
}

/* They stand among the words of other programs, some of which are taken apart once more: neither
 * may look like an option, or like two words. */
static bool
is_name(const char *value, const char *what, Error *err)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-./:@";
    if (value[0] != '-' && strspn(value, plain) == strlen(value))
        return true;
    error_set(err, ERROR_USAGE, "'%s' is no name of %s", value, what);
    return error_hint(err, "Use letters, digits and _-./:@ in it, and no '-' at its start.");
}

/* Each is the name of a variable of here. With a value behind it, that would be in view of all. */
static bool
are_set(char *const *names, char *const *environ_, Error *err)
{
    for (; names && *names; names++) {
        int n = (int)strcspn(*names, "=");
        if ((*names)[n]) {
            error_set(err, ERROR_USAGE, "`env` takes names, and '%.*s' has a value", n, *names);
            return error_hint(err, "Set it where the deploy is started, and give its name alone.");
        }
        if (!env_get(environ_, *names)) {
            error_set(err, ERROR_USAGE, "the variable '%s' is not set here", *names);
            return error_hint(err, "`deploy: env:` names variables that the migration is handed.");
        }
    }
    return true;
}

static bool
is_health(const char *value, Error *err)
{
    if (!value || value[0] == '/' || http_is_url(value))
        return true;
    error_set(err, ERROR_USAGE, "'%s' is neither a path nor a URL to ask the new release at",
              value);
    return error_hint(err, "A path begins with '/', a URL with http:// or https://.");
}

static bool
settle(Deploy *d, Error *err)
{
    const DeployOptions *o = d->options;
    if (!deploy_needs(o->target, "target", "target", "where to", err))
        return false;
    d->platform = find_platform(o->target, err);
    return d->platform && deploy_needs(o->app, "app", "app", "which app", err) &&
           deploy_needs(o->image, "image", "image", "which image", err) &&
           is_name(o->app, "an app", err) && is_name(o->image, "an image", err) &&
           (!o->build || o->build[0] != '-' ||
            error_set(err, ERROR_USAGE, "'%s' is no directory to build from", o->build)) &&
           are_set(o->env, o->environ_, err) && is_health(o->health, err) &&
           d->platform->settle(d, err);
}

static bool
run_phases(Deploy *d, Error *err)
{
    size_t total = 0, number = 0;
    for (size_t i = 0; i < COUNT_OF(phases); i++)
        total += !phases[i].wanted || phases[i].wanted(d);
    for (size_t i = 0; i < COUNT_OF(phases); i++) {
        const Phase *phase = &phases[i];
        if (phase->wanted && !phase->wanted(d)) {
            if (phase->run == migrate)
                log_info("migration.skipped", "Migration skipped: %s",
                         d->migrates ? "the release does it" : d->migrates_not);
            continue;
        }
        log_info("deploy.phase", "deploy %s: %s (%zu/%zu)", d->options->app, phase->name, ++number,
                 total);
        if (!phase->run(d, err))
            return phase->undoable && !d->left_alone ? put_back(d, err) : false;
    }
    return true;
}

static bool
run_all(Deploy *d, Error *err)
{
    int64_t began = clock_ms();
    LogField fields[] = {LOG_STR("deploy_id", str_of(d->id)),
                         LOG_STR("target", str_of(d->platform->name)),
                         LOG_STR("app", str_of(d->options->app)),
                         LOG_STR("image", str_of(d->options->image)),
                         {0}};
    log_event(LOG_INFO, "deploy.started", fields, "Deploy started: %s to %s on %s (deploy %s)",
              d->options->image, d->options->app, d->platform->title, d->id);
    if (!run_phases(d, err)) {
        if (err->code < ERROR_DEPLOY_UNDONE)
            error_detail(err, "nothing was released: %s%s%s",
                         d->before ? str_printf(d->arena, "'%s' serves %s as before",
                                                d->options->app, d->before)
                                   : "what serves was left alone",
                         d->migrated.applied ? "; " : "",
                         d->migrated.applied ? schema_stands(d) : "");
        return false;
    }
    if (d->platform->tidy)
        d->platform->tidy(d);
    if (d->orders.dry_run) {
        log_info("deploy.planned", "Deploy planned: nothing was run");
        return true;
    }
    log_event(LOG_INFO, "deploy.finished", fields, "Deploy finished: %s serves %s; %s (%s)",
              d->options->app,
              deploy_image_shown(d->arena, str_of(d->options->image), str_of(d->image)),
              schema_stands(d), str_from_duration_ms(d->arena, clock_ms() - began));
    return true;
}

bool
deploy_run(Arena *arena, Wait *wait, const DeployOptions *options, Error *err)
{
    Deploy d = {.arena = arena,
                .unit = options->app,
                .options = options,
                .id = run_new_id(arena),
                .image = options->image,
                .migrates = true};
    d.orders = (Orders){.arena = arena,
                        .wait = wait,
                        .environ_ = options->environ_,
                        .dry_run = options->dry_run,
                        .grace_ms = options->grace_ms,
                        .tell = options->tell,
                        .tell_ctx = options->tell_ctx};
    if (!settle(&d, err))
        return false;
    bool done = run_all(&d, err);
    if (d.locked) {
        wait_cleanup_begin(wait);
        d.platform->unlock(&d);
        wait_cleanup_end(wait);
    }
    return done;
}
