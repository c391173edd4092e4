/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Orders to an interface far away (a cluster's, a cloud's), which is not to be reached now and
 * then: they are given again for a while, and what they say is made an error that helps.
 */

#include "deploy/platform.h"

/* What a program prints when it is not the order that is wrong. */
typedef struct Patience {
    const char *who;          /* "the cluster", for the log */
    const char *const *signs; /* of a connection that failed, NULL-terminated */
    /* Of rights that are missing; and what to do about it, a whole sentence. */
    const char *const *forbidden;
    const char *forbidden_hint;
    /* Of settings of here that mean nothing; NULL = none are known. */
    const char *const *wrong;
    const char *wrong_hint;
    const char *away_hint; /* when the connection did not come back */
} Patience;

enum { PATIENCE_MS = 60000, CLEANING_MS = 15000 };

/* One that may be given twice: whoever makes something makes it under a name that is taken then. */
bool patient_run(Deploy *d,
                 const Patience *patience,
                 Order *order,
                 int64_t limit_ms,
                 Answer *ret,
                 Error *err) MUST_CHECK;
/* Whether `said` is about the connection. */
bool patient_is_away(const Patience *patience, Str said);
/* The error of an answer whose status is not 0. False. */
bool patient_failed(const Patience *patience, const Order *order, const Answer *answer, Error *err);
/* Cleaning up: tried again for a while, even when told to stop; a failure is logged. */
void patient_try(Deploy *d, const Patience *patience, Order *order);
