/* SPDX-License-Identifier: Apache-2.0 */
/* What goes on besides the statement that runs. Everything here uses the control connection only.
 */

#include "run/guard.h"

#include <string.h>

#include "core/clock.h"
#include "core/fault.h"
#include "core/log.h"
#include "core/banned.h"

/* A statement younger than this keeps nobody waiting worth a query. */
enum { LOOK_AFTER_MS = 200, END_POLL_MS = 20 };

static bool
beat(Guard *g, Error *err)
{
    if (clock_ms() < g->next_beat_ms)
        return true;
    FAULT_POINT("heartbeat");
    if (!lock_beat(g->lock, g->progress, err))
        return false;
    /* Not while the bookkeeping runs: its transaction holds our row of lockstep_runs, and it goes
     * on only when this tick returns. */
    if (g->record->kept && g->statement_runs && db_has_query(g->control, Q_RUN_STEP) &&
        !record_beat(g->control, g->record, err))
        return false;
    g->next_beat_ms = clock_ms() + g->beat_every_ms;
    return true;
}

static void
note_blockers(Guard *g)
{
    Error ignored = ERROR_INIT;
    Str lines;
    SCRATCH_ARENA(scratch);
    if (!db_blockers(g->control, scratch, g->apply_session, &lines, &ignored) || !lines.n)
        return;
    size_t n = lines.n < sizeof g->blockers - 1 ? lines.n : sizeof g->blockers - 1;
    memcpy(g->blockers, lines.p, n);
    g->blockers[n] = 0;
}

static void
protect_users(Guard *g)
{
    Error ignored = ERROR_INIT;
    int64_t longest = 0, count = 0;
    if (g->max_block_ms <= 0 || g->cancelled ||
        !db_victims(g->control, g->apply_session, &longest, &count, &ignored))
        return;
    if (!count || longest < g->max_block_ms)
        return;
    log_warn("migration.cancelled",
             "the migration kept %lld session%s waiting for %lld ms: cancelling its statement",
             (long long)count, count == 1 ? "" : "s", (long long)longest);
    g->cancelled = true;
    if (!db_cancel_session(g->control, g->apply_session, &ignored))
        g->cancelled = false;
}

/* A tool opens sessions as it likes: the one that works is watched. */
static void
find_session(Guard *g)
{
    Error ignored = ERROR_INIT;
    DbResult r;
    int64_t found = 0;
    SCRATCH_ARENA(scratch);
    if (!db_has_query(g->control, Q_LOCK_TOOL_SESSION) ||
        !db_ask(g->control, scratch, Q_LOCK_TOOL_SESSION,
                DB_ARGS(ARG_TEXT("run_id", str_of(g->tool_run))), &r, &ignored))
        return;
    if (r.rows && !str_to_i64(DB_CELL(&r, 0, 0), &found))
        found = 0;
    if (found != g->apply_session)
        g->cancelled = false;
    g->apply_session = found;
}

bool
guard_tick(void *guard, Error *err)
{
    Guard *g = guard;
    if (!beat(g, err))
        return false;
    if (g->tool_run && g->statement_runs)
        find_session(g);
    if (!g->apply_session || !g->statement_runs ||
        clock_ms() - g->statement_since_ms < LOOK_AFTER_MS)
        return true;
    note_blockers(g);
    protect_users(g);
    if (!db_alive(g->control)) {
        error_set(err, ERROR_UNREACHABLE, "the connection that holds the lock was lost");
        err->cls = ERROR_CLASS_CONNECTION;
        return false;
    }
    return true;
}

void
guard_running(Guard *g, bool on)
{
    g->statement_runs = on;
    if (on) {
        g->statement_since_ms = clock_ms();
        g->cancelled = false;
        g->blockers[0] = 0;
    }
}

void
guard_end_tool(Guard *g, Wait *wait, int64_t within_ms)
{
    int64_t until = clock_ms() + within_ms;
    while (db_alive(g->control) && clock_ms() < until) {
        Error ignored = ERROR_INIT;
        g->apply_session = 0;
        find_session(g);
        if (!g->apply_session || !db_end_session(g->control, g->apply_session, &ignored) ||
            !wait_sleep(wait, END_POLL_MS, &ignored))
            return;
    }
}
