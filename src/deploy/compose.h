/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A service of a Compose file, through `docker compose` (or the older docker-compose where only
 * that is there). Its image is said by an override file that is nowhere on disk, so that nobody's
 * file is changed. Services of the file with the same image (workers) are released together.
 *
 *   compose.c          the platform: what is there, release, verify, put back
 *   compose_file.c     the program, the files, what they say
 *   compose_job.c      the migration, and what the service depends on
 */

#include "deploy/engine.h"
#include "deploy/verify.h"

/* A container of a service, as it was seen. */
typedef struct ComposeContainer {
    char *id, *image, *config; /* config: our label of what it was made from; NULL = none */
    char *says;                /* its image, as people say it */
    bool running;
    int status;   /* where it has ended */
    bool healthy; /* its own check says so, or it has none */
} ComposeContainer;
typedef VEC(ComposeContainer) ComposeContainers;

typedef struct ComposeService {
    char *name;
    char *config;   /* of what a container is made now: Compose's hash */
    char *before;   /* image of the containers that served; NULL = there were none */
    Words old;      /* their ids */
    Words stopped;  /* containers that did not run */
    Words configs;  /* what those that served were made from; NULL where they do not say */
    int64_t wanted; /* replicas that the file names; 0 = it does not */
    bool alone;     /* takes a port, name or address of its own: no two releases side by side */
    bool optional;  /* of a profile: released only where it runs */
    bool current;   /* what serves is what would be released */
} ComposeService;

typedef struct ComposeNeed {
    char *service, *condition; /* "service_started", "service_healthy", ... */
} ComposeNeed;

typedef struct Compose {
    bool plugin; /* `docker compose`, else `docker-compose` */
    Words files;
    const char *project; /* as far as it is known: for names of ours */
    char *version;       /* of the file's format, which an override has to repeat; NULL = none */
    VEC(ComposeService) services; /* the app first */
    VEC(ComposeNeed) needs;       /* other services that they depend on */
    bool needs_run;
    char *mark; /* a container that tells the next deploy what was; NULL = nothing was begun */
} Compose;

/* Finds the program and the files, and reads them. Nothing is changed. */
bool compose_read(Deploy *d, Error *err) MUST_CHECK;
/* `docker compose --file ... words`; `override_path` NULL = none. */
Order compose_order(const Deploy *d, const char *override_path, const char *word, ...)
    __attribute__((sentinel));
/* An override: each service gets this image, or where it is NULL the one it had before; and our
 * label of its configuration, where `labelled`. */
bool compose_override(Deploy *d, const char *image, bool labelled, char **ret_path, Error *err)
    MUST_CHECK;
/* Containers of a service, jobs left out. */
bool
compose_containers(Deploy *d, const char *service, ComposeContainers *ret, Error *err) MUST_CHECK;
/* What the services depend on runs, and is healthy where that was asked for. Once a deploy. */
bool compose_needs(Deploy *d, Error *err) MUST_CHECK;
bool compose_run_once(Deploy *d, const Job *job, JobReport *ret, Error *err) MUST_CHECK;
