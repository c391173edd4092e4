/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A Deployment, through kubectl. The migration is a Job made from the Deployment's own pods; the
 * new image is set only after it, on every container that had the old one. A deploy that is under
 * way is written on the Deployment (annotation `lockstep/deploy`), so that the next one can tell.
 */

#include "deploy/holder.h"
#include "deploy/patient.h"
#include "deploy/values.h"

typedef struct Kube {
    Str deployment;        /* as it was when this deploy began: JSON */
    const char *container; /* of its pods, the service's */
    Words containers;      /* all that have its image, init containers too: they change together */
    const char *was;       /* the service's image then; d->before is NULL where it did not serve */
    const char *revision;  /* of the Deployment then */
    const char *adopted;   /* a Job that a killed deploy of this image left running */
    Str overdue;           /* since when its progress deadline has passed, before what we do now */
    bool changed;          /* the Deployment has, or may have, the new image */
} Kube;

/* `kubectl [--context C] [--namespace N] words...`. */
Order kube_order(const Deploy *d, const char *word, ...) __attribute__((sentinel));
/* Tried again for a minute while the API server is away. */
bool kube_run(Deploy *d, Order *order, Answer *ret, Error *err) MUST_CHECK;
bool kube_read(Deploy *d, Order *order, json_t **ret, Error *err) MUST_CHECK;
extern const Patience kube_patience;

/* "lockstep/app=APP": everything that deploys of this app make has it. */
char *kube_selector(const Deploy *d);
json_t *kube_labels(const Deploy *d); /* the caller owns it */

/* Why a pod can not start, if trying longer does not mend it; absent = it may still. `ret_why` is
 * what it waits for, in any case. */
bool kube_is_hopeless(Arena *arena, const json_t *pod, Str *ret_why);

/* kubernetes_job.c */
bool kube_run_once(Deploy *d, const Job *job, JobReport *ret, Error *err);
/* Jobs of deploys that did not end: one of this image is gone on with, others are ended. */
bool kube_settle_jobs(Deploy *d, Error *err) MUST_CHECK;
/* kubernetes_lock.c */
bool kube_lock(Deploy *d, Error *err);
void kube_unlock(Deploy *d);
