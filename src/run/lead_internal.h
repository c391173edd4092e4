/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a leadership is made of, for SQL files (lead.c) and for somebody else's tool (wrapped.c). */

#include "run/guard.h"
#include "run/lead.h"

typedef struct Lead {
    Arena *arena;
    Wait *wait;
    const RunOptions *options;
    Db *control, *apply; /* the same where there is no server */
    Lock *lock;
    Survey *survey;
    RunRecord record;
    Guard guard;
    const PlanItem *items;
    size_t count;
    const char **previous; /* rollback: highest version after each item */
    int64_t began_ms, applied;
    char progress[256];
    char *last_version; /* of what was applied */
    bool after_lost;    /* a run before this one was lost half-way */
} Lead;

/* The guard as a tick: only while the control connection waits for nothing itself. */
WaitTick lead_ticks(Lead *l);
/* Whether a run can be recorded, and if not, whether it may go on all the same. */
bool lead_may_record(const Lead *l, Error *err) MUST_CHECK;
/* The tables, and this run's row: `running`. */
bool lead_make_tables(Lead *l, Error *err) MUST_CHECK;
/* Nothing is left to do: the fingerprint is recorded for the next start. */
bool lead_remember(Lead *l, Error *err) MUST_CHECK;
/* Records the outcome that `err` tells (ERROR_NONE = succeeded). */
void lead_finish(Lead *l, Error *err);
