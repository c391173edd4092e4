/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a platform must answer for the pipeline. A platform is one struct in one file; what it knows
 * between phases hangs on Deploy.state. Every order it gives goes through `orders`, so that a dry
 * run shows it and every call has a deadline; in a dry run answers are what the orders pretend, and
 * a platform goes on with them.
 */

#include "deploy/deploy.h"
#include "deploy/image.h"
#include "deploy/job.h"
#include "deploy/order.h"

typedef struct Platform Platform;

typedef struct Deploy {
    Arena *arena;
    const DeployOptions *options;
    const Platform *platform;
    Orders orders;
    const char *id;    /* of this deploy: in names and labels */
    const char *unit;  /* what containers made for the deploy are called after: the app, or what a
                        * platform's `settle` or `lock` says that tells it from others */
    const char *image; /* as asked for; after `inspect` exactly that: a digest or an id */
    Image inside;      /* what it holds, once it was inspected */
    /* The path of lockstep in it, or where ours is put in the migration's container. */
    const char *lockstep;
    bool lockstep_is_ours;     /* the image holds none: this program is copied, from ... */
    const char *lockstep_here; /* ... this path */
    /* The image holds migrations, as far as can be seen; else why nothing is migrated. */
    bool migrates;
    const char *migrates_not;
    /* What served when this deploy began: an image, exactly; NULL = nothing did. */
    const char *before;
    JobReport migrated;
    bool locked;
    bool left_alone; /* `release` failed and changed nothing: there is nothing to put back */
    void *state;
} Deploy;

struct Platform {
    const char *name, *title;
    bool pulls; /* from a registry: what was built here has to be pushed */
    /* `release` migrates by itself, from the image's release phase: `run_once` is for images that
     * have none. */
    bool (*migrates_itself)(const Deploy *d);
    /* Settings that it needs are there and make sense: nothing is run. */
    bool (*settle)(Deploy *d, Error *err);
    /* One deploy of an app at a time, as far as the platform can tell: ERROR_LOCKED. NULL = its
     * own lock holds. */
    bool (*lock)(Deploy *d, Error *err);
    void (*unlock)(Deploy *d);
    /* What serves now (d->before); what a killed deploy left half done is undone first. */
    bool (*look)(Deploy *d, Error *err);
    /* NULL = by the engine. Fills d->image with what is exact. */
    bool (*inspect)(Deploy *d, Error *err);
    /* Runs the image once with the service's configuration. A status other than 0 is in `ret`;
     * false = it could not be run, or nobody knows how it ended. Cleans up on every path. */
    bool (*run_once)(Deploy *d, const Job *job, JobReport *ret, Error *err);
    /* The new image serves, or will; ERROR_FAILED leaves it to `put_back` to mend. */
    bool (*release)(Deploy *d, Error *err);
    /* Until it is healthy, or ERROR_FAILED. */
    bool (*verify)(Deploy *d, Error *err);
    /* d->before serves again; nothing of the new release does. */
    bool (*put_back)(Deploy *d, Error *err);
    /* After success: what the old release was is removed. Errors are no longer errors. */
    void (*tidy)(Deploy *d);
};

extern const Platform platform_docker, platform_compose, platform_swarm, platform_dokku,
    platform_kubernetes, platform_cloud_run;

/* ---- for platforms ---- */

/* A setting that the platform cannot do without: ERROR_USAGE with its flag, variable and key. */
bool deploy_needs(
    const char *value, const char *flag, const char *key, const char *what, Error *err) MUST_CHECK;
/* Before asking again: short at first, then a second. `tries` counts from 0. */
bool deploy_pause(Deploy *d, int *tries, Error *err) MUST_CHECK;
/* For people: "web:2 (sha256:0123456789ab)"; the name alone where it is exact itself. */
char *deploy_image_shown(Arena *arena, Str name, Str exact);
/* Asks `ready` again and again until it says so, or `limit_ms` have passed: ERROR_FAILED with what
 * it said last. `ready` returns false only on an error that waiting does not mend. In a dry run it
 * is asked once. */
typedef bool DeployReady(Deploy *d, void *ctx, bool *ret_ready, Str *ret_why, Error *err);
bool deploy_until(Deploy *d,
                  DeployReady *ready,
                  void *ctx,
                  int64_t limit_ms,
                  const char *what,
                  Error *err) MUST_CHECK;
