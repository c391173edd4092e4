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
    /* A tool's sessions, found by this run id or by their client's port; NULL = apply_session is
     * ours. Those without the mark of the run are noted, "17@10.0.0.5:40112,...", and recorded. */
    const char *tool_run;
    char tool_sessions[2048];
    bool untold; /* noted, and not recorded yet */
    char tool_ports[512];
    bool tool_stops; /* tool_ports are those that it had when it was told to */
    int64_t next_look_ms, next_watch_ms;
    int64_t beat_every_ms, next_beat_ms;
    int64_t max_block_ms;
    const char *progress; /* for the lock's file */
    bool statement_runs;
    int64_t statement_since_ms;
    bool cancelled; /* the guard cancelled the last statement, or something of the tool */
    int64_t cancelled_session, cancelled_ms;
    char blockers[1024];
} Guard;

/* A tool is looked at more often while it opens its connections: a session that nobody noted before
 * a crash is one that no successor can end. */
enum { GUARD_EVERY_MS = 250, GUARD_TOOL_EVERY_MS = 50, GUARD_TOOL_STARTS_MS = 10000 };

bool guard_tick(void *guard, Error *err);
/* A statement of the migration begins or has ended. */
void guard_running(Guard *g, bool on);
/* Before a tool is started: where its sessions will carry no mark and their ports tell nothing,
 * says so on the log. */
void guard_begin_tool(Guard *g, const char *run_id, const char *title);
/* Notes the connections that the tool holds at this moment; for ChildSpec.stopping. */
void guard_stopping_tool(void *guard);
/* Ends what the tool left working in the server: a dead client's statement goes on. Best effort,
 * for at most `within_ms`. */
void guard_end_tool(Guard *g, Wait *wait, int64_t within_ms);
