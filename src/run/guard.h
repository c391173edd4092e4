/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The guard: while a migration's statement runs, the control connection gives signs of life, notes
 * who keeps the migration waiting, and cancels the statement when it has kept other sessions
 * waiting for longer than --max-block. Runs as the tick of the Wait.
 */

#include "core/wait.h"
#include "run/record.h"

typedef struct Guard {
    Db *control;
    Lock *lock;
    RunRecord *record;
    int64_t apply_session; /* 0 = the engine has no sessions: nothing to watch */
    const char
        *tool_run; /* a tool's sessions, found by this run id; NULL = apply_session is ours */
    int64_t beat_every_ms, next_beat_ms;
    int64_t max_block_ms;
    const char *progress; /* for the lock's file */
    bool statement_runs;
    int64_t statement_since_ms;
    bool cancelled; /* the guard cancelled the last statement */
    char blockers[1024];
} Guard;

enum { GUARD_EVERY_MS = 250 };

bool guard_tick(void *guard, Error *err);
/* A statement of the migration begins or has ended. */
void guard_running(Guard *g, bool on);
/* Ends what the tool left working in the server: a dead client's statement goes on. Best effort,
 * for at most `within_ms`. */
void guard_end_tool(Guard *g, Wait *wait, int64_t within_ms);
