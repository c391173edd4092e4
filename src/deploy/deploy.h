/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The deploy itself: build, push, inspect, backup, migrate, release, verify; put back when what
 * comes after the migration fails. One table of phases (pipeline.c) over one small interface
 * (platform.h). The migration runs where the service runs, from the image that is deployed, with
 * the service's own configuration, so that nothing but that platform has to reach the database.
 */

#include "core/error.h"
#include "core/str.h"
#include "core/wait.h"

typedef struct DeployOptions {
    const char *target; /* "docker"; the rest is NULL where it is not set */
    const char *app, *image, *build, *host, *docker_host, *file, *health;
    const char *namespace_, *context, *container, *project, *region;
    char **options; /* words for the platform's own command; NULL = as what runs now has them */
    char **env;     /* names of variables of here that the migration is handed */
    bool push, push_is_set, rollback_migrations, dry_run;
    int64_t verify_ms, migrate_ms, lock_wait_ms, grace_ms;
    const char *expect_engine, *expect_version; /* of the database */
    /* Settings of the migration itself that were given here, as LOCKSTEP_NAME=value. */
    char **settings;
    char *const *environ_;
    /* Before the migration; NULL = no backup was asked for. */
    bool (*backup)(void *ctx, Error *err);
    void *backup_ctx;
    /* A dry run: each command as a line. */
    void (*tell)(void *ctx, Str line);
    void *tell_ctx;
} DeployOptions;

/* Names of the platforms, NULL-terminated. */
const char *const *deploy_targets(void);

/*
 * All of it. False: ERROR_USAGE before anything was done; the migration's own error (nothing new
 * serves); ERROR_DEPLOY_UNDONE or ERROR_DEPLOY_STUCK after it. The story is on the log.
 */
bool deploy_run(Arena *arena, Wait *wait, const DeployOptions *options, Error *err) MUST_CHECK;
