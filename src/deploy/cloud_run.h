/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A Cloud Run service, through gcloud. The migration is a Cloud Run job made from the service's own
 * revision; only when it is done the service gets a revision without traffic, and only when that
 * one is well the traffic. Traffic goes back by naming the revisions that had it.
 */

#include "deploy/holder.h"
#include "deploy/patient.h"
#include "deploy/values.h"

typedef struct CloudRun {
    Str service;          /* as it was when this deploy began: JSON */
    const char *traffic;  /* then: "web-00001-abc=100", "a=90,b=10"; NULL = none had any */
    const char *revision; /* the new one */
    const char *url;      /* where it answers, before it has traffic */
    const char *job;      /* name of the migration's job */
    const char *adopted;  /* an execution that a killed deploy of this image left running */
    bool changed;         /* there is, or may be, a new revision */
} CloudRun;

extern const Patience run_patience;
/* `gcloud run words... --project P --region R --quiet --format json`. */
Order run_order(const Deploy *d, const char *word, ...) __attribute__((sentinel));
/* The answer as JSON; tried again for a minute while the interface is away. The caller owns *ret.
 */
bool run_read(Deploy *d, Order *order, json_t **ret, Error *err) MUST_CHECK;
bool run_do(Deploy *d, Order *order, Answer *ret, Error *err) MUST_CHECK;
/* "Cannot find service [web]" and the like. */
bool run_is_absent(const Answer *answer);
/* Of an array of conditions: "True", "False", "Unknown"; absent where there is none of that type.
 */
Str run_condition(const json_t *object, const char *type, Str *ret_why);
/* The container of a service's revision that has the image: by --container, the one with a port, or
 * the only one. Borrowed. */
const json_t *run_container(const Deploy *d, const json_t *service);
/* The flags of gcloud that say where, behind the words. */
void run_where(const Deploy *d, Order *order, bool region);

/* cloud_run_job.c */
bool run_run_once(Deploy *d, const Job *job, JobReport *ret, Error *err);
/* Executions of deploys that did not end: one of this image is gone on with, others are cancelled.
 */
bool run_settle_jobs(Deploy *d, Error *err) MUST_CHECK;
/* cloud_run_lock.c */
bool run_lock(Deploy *d, Error *err);
void run_unlock(Deploy *d);
/* cloud_run_spec.c: the job for `gcloud run jobs replace`. The caller owns it. */
json_t *run_job_spec(const Deploy *d, const Job *job, const json_t *service);
