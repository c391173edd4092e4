/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Running migrations. Three ways, chosen by what the engine can and what the file holds:
 *
 *   whole   everything in one transaction with its version row (one round trip where the engine
 *           takes scripts): all or nothing.
 *   group   whole, but several files share one commit, each in a savepoint (SQLite).
 *   steps   statement by statement, for what cannot be in a transaction (MySQL DDL, CONCURRENTLY,
 *           files that say so): progress is recorded after each statement, in its transaction where
 *           it has one. A statement that cannot commit with its record is marked before it starts,
 *           together with what its object looks like; after a crash a second look tells whether it
 *           happened, else the run stops and names it.
 *
 * Lock timeouts and deadlocks are tried again within the budget. A lost connection is never tried
 * again here: the caller starts over from the election, because the lock may be gone too.
 */

#include "core/wait.h"
#include "migrate/plan.h"

typedef struct ApplyHooks {
    void *ctx;
    void (*started)(void *ctx, const Migration *m, size_t index, size_t total);
    /* Committed, with its row. */
    void (*applied)(void *ctx, const Migration *m, int64_t duration_ms);
    void (*resumed)(void *ctx, const Migration *m, size_t statement, size_t of);
    void (*retrying)(void *ctx, const Migration *m, const Error *err, int64_t delay_ms);
    /* What kept the statement that just failed waiting (guard); "" when unknown. */
    const char *(*blockers)(void *ctx);
    /* The guard cancelled the statement that just failed, because users were kept waiting. */
    bool (*cancelled)(void *ctx);
    /* A statement begins (true) or has ended (false): the guard watches in between. */
    void (*running)(void *ctx, bool running);
} ApplyHooks;

typedef struct ApplySpec {
    Db *db;
    Wait *wait;
    const Source *source;
    Ledger *ledger;
    Str runs_schema;
    bool records; /* lockstep_runs has our row: fence and count through it */
    const char *run_id;
    int64_t lock_timeout_ms, statement_timeout_ms, retry_for_ms;
    ApplyHooks hooks;
} ApplySpec;

/* Applies the items in order; they are loaded already. *ret_applied counts what was committed, also
 * on failure. On failure err names file, line, column and statement, and says what stays. */
bool apply_up(Arena *arena,
              const ApplySpec *spec,
              const PlanItem *items,
              size_t count,
              int64_t *ret_applied,
              Error *err) MUST_CHECK;
/* Undoes the items in the given order with their down scripts. `previous` of item i is the version
 * that is the highest after it, NULL = none. */
bool apply_down(Arena *arena,
                const ApplySpec *spec,
                const PlanItem *items,
                const char *const *previous,
                size_t count,
                int64_t *ret_reverted,
                Error *err) MUST_CHECK;
/* A file's own BEGIN and COMMIT must fit together: a stray COMMIT would end the transaction that
 * the version row is to be committed in. ERROR_USAGE with the position. */
bool apply_check(const Script *script, Error *err) MUST_CHECK;
/* Whether a script runs in one transaction on such an engine (plan shows it). */
bool apply_is_whole(unsigned caps, const Script *script);
