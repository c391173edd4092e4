/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A service of a Docker Swarm. The swarm itself knows how to replace tasks one by one and how to go
 * back; a deploy adds the migration before it, as a job with the service's own configuration, and
 * an outcome. Services of the same stack with the same image (workers) are released together.
 *
 *   swarm.c        the platform: what is there, release, verify, put back
 *   swarm_job.c    the migration
 *   swarm_stack.c  the first deploy, from a stack's file
 *   swarm_spec.c   a service's configuration as words
 */

#include "deploy/engine.h"

typedef struct SwarmService {
    char *name;
    char *before; /* its image when the deploy began */
} SwarmService;

typedef struct Swarm {
    const char *stack;          /* NULL = the service is of none */
    VEC(SwarmService) services; /* the app first */
    Words options, env;         /* what the migration has of the service */
    bool first;                 /* nothing serves yet: the stack's file says what will */
    bool prepared;              /* the stack is there, with none of the service's tasks */
    bool checked;               /* a task runs only when a check says that it is healthy */
    char *mark; /* a config object that tells the next deploy what was; NULL = nothing was begun */
} Swarm;

/* Options of `docker service create` that a job shares with the service: variables, secrets,
 * configs, networks, mounts, where it may run; no ports, limits, replicas. `spec` is the service's.
 * Values of variables are secret from now on. */
void swarm_spec_options(Arena *arena, const json_t *spec, Words *ret_options, Words *ret_env);
/* Tasks of a service, newest first: those that should run, or all. *ret is an array; the caller
 * owns it (AUTO_JSON). */
bool swarm_tasks(Deploy *d, const char *service, bool all, json_t **ret, Error *err) MUST_CHECK;
/* The first deploy: the stack of `--file` with this image, and with no tasks of the app where
 * `none`. Its networks, secrets and databases are there then. */
bool swarm_deploy_stack(Deploy *d, bool none, Error *err) MUST_CHECK;
bool swarm_run_once(Deploy *d, const Job *job, JobReport *ret, Error *err) MUST_CHECK;
/* Jobs of deploys that are gone are removed when they have ended. */
bool swarm_sweep(Deploy *d, Error *err) MUST_CHECK;
