/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Platform files looked at: what in a Dockerfile, a Procfile, manifests, pipelines and scripts will
 * go wrong at deploy. One row of look.def a rule; a rule says something only where it is sure, and
 * never prints a value that may be a secret. Everything lies in the arena. A file that cannot be
 * read as what it is called is not our finding: whoever reads it says so.
 */

#include "core/error.h"
#include "core/finding.h"
#include "core/str.h"
#include "core/wait.h"

typedef struct DeployRule {
    const char *name; /* "job-retries" */
    Severity severity;
    const char *what; /* may hold one %s: the subject, in quotes where it is a name */
    const char *mend; /* whole sentences */
} DeployRule;

/* Every rule of `check`, those of other rooms too; NULL when there is none of that name. */
const DeployRule *deploy_rule(const char *name);
const char *deploy_rule_what(Arena *arena, const DeployRule *rule); /* without its subject */

/* The first line of a script that migrates and is not lockstep; absent = none. */
Str deploy_migrating_line(Str script, size_t *ret_line);

typedef struct DeployLook {
    Wait *wait; /* with signals opened: programs are asked */
    char *const *environ_;
    bool ask_servers;       /* which Dokku is there */
    const char *dokku_host; /* [ssh://]USER@HOST[:PORT]; NULL = none is named */
} DeployLook;

/* Looks at the current directory, or what of it is under version control. Adds to `ret`, and gives
 * "migrates-by-hand" in what every container starts with its own name. False: a signal. */
bool deploy_look(Arena *arena, const DeployLook *how, Findings *ret, Error *err) MUST_CHECK;
