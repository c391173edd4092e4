/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The migration as a job: a container of the image that is deployed, which runs `lockstep migrate`
 * once. Its log comes as JSON, is told on ours, and says what was applied; platforms that hand out
 * logs late or not at all hand out at least its exit status, and the database keeps the rest.
 */

#include "core/error.h"
#include "core/str.h"
#include "tools/tool.h"

typedef struct Job {
    const char *name; /* "migrate", "rollback": part of the container's name */
    Words words;      /* program and arguments, the program's path in the image */
    Words env;        /* NAME=VALUE: never among words */
    int64_t limit_ms;
} Job;

typedef struct JobReport {
    int status;      /* exit status; 0 = done, or nothing to do */
    bool spoke;      /* its log was understood */
    bool again;      /* how it ended first is not known: this is what it said when asked again */
    int64_t applied; /* migrations */
    char *version;   /* the last one applied, or undone; NULL = none */
    char *run_id;    /* its row of lockstep_runs; NULL = none */
    char *database;  /* which one it migrated, for people; NULL = nothing was pending */
    char *error;     /* why it failed; NULL = it did not, or did not say */
} JobReport;

/* A line of the job's output: an event of lockstep's JSON log is told as such, anything else as it
 * is. */
void job_line(Arena *arena, JobReport *report, Str line);

/* What its status means, as an error of ours: the code with that status, the reason it gave. */
bool job_failed(const JobReport *report, const char *what, Error *err);
/* Nobody saw how the attempt (1, 2 ...) ended. True: it is asked again, which is harmless, since a
 * migration that is done has nothing to do. False after JOB_TRIES. */
enum { JOB_TRIES = 3 };
bool job_ask_again(const JobReport *report, int attempt, Error *err) MUST_CHECK;
