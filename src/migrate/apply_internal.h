/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the files of applying share: the state of one call, and the steps that each way takes. */

#include "migrate/apply.h"

typedef struct Done {
    const Migration *m;
    int64_t duration_ms;
} Done;

typedef struct Apply {
    const ApplySpec *spec;
    Arena *arena; /* of one migration */
    bool down;
    const char *previous; /* down: version that is the highest afterwards */
    int64_t applied;      /* committed so far */
    int64_t retry_until_ms;
    bool saw_failure; /* of the statement that progress marks: it is in no doubt */
    bool group_open;
    int64_t group_since_ms;
    VEC(Done) group; /* in the open group, not yet committed */
    Arena *group_arena;
} Apply;

#define APPLY_OURS SIZE_MAX /* in place of a statement's index: our own text */

Str apply_statement_text(const Script *script, size_t i);
/* SQL that is true while this run has not been declared lost. */
Str apply_fence(Arena *arena, const ApplySpec *spec);
Str apply_record_sql(Apply *a, const Migration *m, int64_t duration_ms);
/* Counts the migration in our run's row, in the open transaction; fails when we lead no more. */
bool apply_step(const Apply *a, Error *err) MUST_CHECK;
bool apply_statement(const Apply *a, const Script *script, size_t i, Error *err) MUST_CHECK;
/* Adds file, line, column and statement to err; always false. `delta`: bytes into the statement. */
bool apply_fail_at(const Script *script, size_t statement, int64_t delta, Error *err);
bool apply_group_close(Apply *a, Error *err) MUST_CHECK;
void apply_told(Apply *a, const Migration *m, int64_t duration_ms);
/* apply_steps.c */
bool apply_steps(Apply *a,
                 const Migration *m,
                 const Script *script,
                 const LedgerRow *row,
                 Error *err) MUST_CHECK;
