/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Pure: files x version table -> what is applied, pending, changed, missing, failed, ahead. No
 * database, no file is touched here (checksums were computed before).
 */

#include "migrate/ledger.h"
#include "migrate/source.h"

typedef enum PlanState {
    PLAN_NONE,  /* nothing to migrate here */
    PLAN_EMPTY, /* nothing applied yet, some pending */
    PLAN_PENDING,
    PLAN_CURRENT,
    PLAN_AHEAD, /* rows above our highest, nothing pending */
    PLAN_FAILED,
} PlanState;

typedef struct PlanItem {
    Migration *m;         /* NULL: the database knows it, the directory does not */
    const LedgerRow *row; /* NULL: pending; pending with a row: begun, to be resumed */
} PlanItem;

typedef struct Plan {
    PlanState state;
    FormatId format;
    VEC(PlanItem) applied;      /* in the files' order; `row` is never NULL */
    VEC(PlanItem) pending;      /* in the order they will be applied */
    VEC(PlanItem) changed;      /* applied, and the file's content is another */
    VEC(PlanItem) missing;      /* rows below our highest without a file */
    VEC(PlanItem) ahead;        /* rows above our highest */
    VEC(PlanItem) out_of_order; /* pending below the highest applied */
    VEC(PlanItem) never_run;    /* golang-migrate: files below `current` that may never have run */
    const LedgerRow *failed;    /* running/failed row: resumed (m pending) or refused */
    Migration *failed_m;
} Plan;

/* `check_content`: compare checksums (migration_hash was called where rows have one). Repeatables
 * are compared whatever it says: migration_hash must have been called for them. */
void plan_build(Arena *arena, Source *source, const Ledger *ledger, bool check_content, Plan *ret);
typedef struct PlanPolicy {
    bool order_any;    /* --order any */
    bool ahead_refuse; /* --ahead refuse */
} PlanPolicy;
/* What forbids applying: ERROR_REFUSED by name (changed, out of order, missing with refuse, ahead
 * with pending, dirty of another tool, empty directory with history), or true. */
bool plan_allows(const Plan *plan,
                 const Source *source,
                 const Ledger *ledger,
                 const PlanPolicy *policy,
                 Error *err) MUST_CHECK;
const char *plan_state_name(PlanState state);
/* For rollback: the applied items to undo, newest first: `steps` of them, or all above `to`
 * (version, exclusive; "0" = all). ERROR_USAGE when `to` is not applied. */
typedef VEC(PlanItem) PlanItems;
bool plan_rollback(Arena *arena,
                   const Plan *plan,
                   int64_t steps,
                   const char *to,
                   PlanItems *ret,
                   Error *err) MUST_CHECK;
