/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the files of the target `dokku` share. Its account over ssh runs Dokku's commands and
 * nothing else (a forced command); a container of ours needs --docker-host beside it.
 */

#include "deploy/engine.h"
#include "deploy/remote.h"

typedef struct Dokku {
    Remote remote;
    const char *ref;  /* of the image, as Dokku is told it */
    bool exact;       /* ref is a digest: the same words mean the same image */
    const char *task; /* what the image's release phase runs; NULL = it has none */
    bool task_migrates;
} Dokku;

/* ---- questions (dokku_app.c) ---- */

/* `dokku words...` over ssh. */
Order dokku_order(const Deploy *d, const char *word, ...) __attribute__((sentinel));
/* A question; ERROR_USAGE where there is no such app. A status other than 0 is in the answer. */
bool dokku_ask(Deploy *d, Order *order, Answer *ret, Error *err) MUST_CHECK;

/* ERROR_REFUSED below 0.35.4, whose failing release tasks did not stop a deploy. */
bool dokku_check_version(Deploy *d, Error *err) MUST_CHECK;
/* Returns when no deploy of the app is under way: ERROR_LOCKED after `limit_ms`. */
bool dokku_wait_unlocked(Deploy *d, int64_t limit_ms, Error *err) MUST_CHECK;

/* What the app's containers say, which is the truth: git:report names the last image that was
 * tried. */
typedef struct Serving {
    bool any;
    const char *image; /* of the oldest container: what Dokku was told, or its id */
    bool uniform;      /* all have it */
    bool running;      /* all do, and those that have a health check pass it */
    Str state;         /* of the one that does not: for people */
} Serving;
bool dokku_serving(Deploy *d, Serving *ret, Error *err) MUST_CHECK;

/* The app's configuration (the values are secrets from now on), links, networks and mounts, for a
 * container of ours. */
bool dokku_job(Deploy *d, EngineJob *ret, Error *err) MUST_CHECK;

/* ---- releases (dokku_release.c) ---- */

typedef enum DokkuEnd {
    DOKKU_DONE,
    DOKKU_TASK_FAILED, /* the release task (or predeploy) did: nothing was released */
    DOKKU_LATE_FAILED, /* the postdeploy task did, when the new containers served */
    DOKKU_FAILED,      /* anything else */
} DokkuEnd;

/* git:from-image, or ps:rebuild where Dokku has the image's commit already: with the release task
 * in it, after other deploys, until it is known how it ended. Unless DOKKU_DONE, err is set. */
DokkuEnd dokku_deploy(Deploy *d, const char *image, bool exact, JobReport *report, Error *err);
