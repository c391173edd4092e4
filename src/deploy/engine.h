/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The container engine, through its command line, for every platform that has one: here, or at
 * --docker-host. `docker` may be podman's. Nothing relies on `docker run --rm` passing a status on
 * (podman's socket does not), and nothing is left on the engine, whatever happens here.
 */

#include "deploy/platform.h"
#include "deploy/values.h"

/* `docker [--host ADDRESS] words...`. */
Order engine_order(const Deploy *d, const char *word, ...) __attribute__((sentinel));
/* The engine of here, where images are built and pushed from, whatever --docker-host says. */
Order engine_order_here(const Deploy *d, const char *word, ...) __attribute__((sentinel));

/* `docker inspect` of one thing: "container", "image", "service", "network". *ret NULL = there is
 * none. The caller owns it (AUTO_JSON). In a dry run there is one, and it is empty. */
bool
engine_inspect(Deploy *d, const char *kind, const char *name, json_t **ret, Error *err) MUST_CHECK;

/* The client did not reach the engine, or got no answer in time: what was asked may be asked again.
 */
bool engine_is_away(const Error *err);

/* One deploy of this app at a time on this engine: a container of the new image that is never
 * started, because its name is taken by one only. A lock that its owner left behind (it ran here
 * and is gone, or is older than a deploy may take) is taken over; else waits, then ERROR_LOCKED. */
bool engine_lock(Deploy *d, Error *err) MUST_CHECK;
void engine_unlock(Deploy *d);
/* The same by a config object, whose name is taken on all managers of a swarm at once. */
bool engine_lock_swarm(Deploy *d, Error *err) MUST_CHECK;
void engine_unlock_swarm(Deploy *d);

/* How a job's container is made. */
typedef struct EngineJob {
    Words options;  /* of `docker create`, without names, ports and restarts */
    Words env;      /* NAME=VALUE of the service; handed by name */
    Words networks; /* attached beside the one among the options */
} EngineJob;

/*
 * Creates, starts, listens, removes. A connection that is lost meanwhile is made again; the
 * container is removed by the engine itself when it ends. Where nobody can say how it ended, the
 * migration is asked again: one that is done has nothing to do.
 */
bool engine_run_once(Deploy *d, const Job *job, const EngineJob *how, JobReport *ret, Error *err)
    MUST_CHECK;

/* Containers of this app's migrations that were never started, or whose deploy is gone: removed.
 * Those that run go on: the new migration waits for them, as replicas do. */
bool engine_sweep(Deploy *d, Error *err) MUST_CHECK;
/* Words for `docker create` that a job may share with the service: without ports, names, restarts,
 * health checks. */
Words engine_job_options(Arena *arena, char *const *options);
/* The last lines that a container printed, for an error's detail. */
Str engine_tail(Deploy *d, const char *container);
