/* SPDX-License-Identifier: Apache-2.0 */
/* What goes on besides the statement that runs. Everything here uses the control connection only.
 */

#include "run/guard.h"

#include <string.h>

#include "core/clock.h"
#include "core/fault.h"
#include "core/log.h"
#include "proc/proc.h"
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
    int64_t longest = 0, count = 0, now = clock_ms();
    bool again = g->cancelled_session == g->apply_session;
    /* Cancelled already: only a tool, which may be at work between two statements of an open
     * transaction, can go on keeping them waiting. */
    if (g->max_block_ms <= 0 ||
        (again && (!g->tool_run || now < g->cancelled_ms + g->max_block_ms)))
        return;
    if (!db_victims(g->control, g->apply_session, &longest, &count, &ignored) || !count ||
        longest < g->max_block_ms)
        return;
    log_warn("migration.cancelled", "the migration kept %lld session%s waiting for %lld ms: %s",
             (long long)count, count == 1 ? "" : "s", (long long)longest,
             again ? "ending its session" : "cancelling its statement");
    if (!(again ? db_end_session : db_cancel_session)(g->control, g->apply_session, &ignored))
        return;
    g->cancelled = true;
    g->cancelled_session = g->apply_session;
    g->cancelled_ms = now;
}

/* One that is not noted yet; false when there is no room for it. */
static bool
note_session(Guard *g, Str key)
{
    size_t used = strlen(g->tool_sessions), comma = used > 0;
    if (used + comma + key.n >= sizeof g->tool_sessions)
        return false;
    for (Str rest = str_of(g->tool_sessions); rest.n;) {
        size_t end = str_find(rest, ',');
        if (str_eq(str_sub(rest, 0, end), key))
            return true;
        rest = str_sub(rest, end + 1, rest.n);
    }
    if (comma)
        g->tool_sessions[used++] = ',';
    memcpy(g->tool_sessions + used, key.p, key.n);
    g->tool_sessions[used + key.n] = 0;
    g->untold = true;
    return true;
}

/* A tool opens sessions as it likes: the one that works is watched. Returns how many it has. */
static size_t
find_session(Guard *g, const ProcPorts *ports)
{
    Error ignored = ERROR_INIT;
    DbResult r;
    int64_t found = 0;
    SCRATCH_ARENA(scratch);
    if (!db_ask(g->control, scratch, Q_LOCK_TOOL_SESSIONS,
                DB_ARGS(ARG_TEXT("run_id", str_of(g->tool_run)),
                        ARG_TEXT("known", str_of(g->tool_sessions)),
                        ARG_TEXT("ports", ports->family), ARG_TEXT("own", ports->own)),
                &r, &ignored))
        return 0;
    for (size_t i = 0; i < r.rows; i++) {
        Str key = DB_CELL(&r, i, 1);
        if (key.n && !note_session(g, key))
            break;
    }
    if (r.rows && !str_to_i64(DB_CELL(&r, 0, 0), &found))
        found = 0;
    g->apply_session = found;
    return r.rows;
}

static size_t
count_of(Str list)
{
    size_t count = list.n > 0;
    for (size_t i = 0; i < list.n; i++)
        count += list.p[i] == ',';
    return count;
}

static void
note_ports(Guard *g, Str ports)
{
    size_t n = ports.n < sizeof g->tool_ports ? ports.n : 0;
    memcpy(g->tool_ports, ports.p, n);
    g->tool_ports[n] = 0;
}

/* Its sessions come and go with its sockets: looked for at once when these changed, else in a
 * while.
 */
static bool
look_at_tool(Guard *g, Error *err)
{
    int64_t now = clock_ms();
    bool due = now >= g->next_look_ms;
    ProcPorts ports;
    SCRATCH_ARENA(scratch);
    if (g->tool_stops || (!due && now >= g->statement_since_ms + GUARD_TOOL_STARTS_MS))
        return true;
    proc_ports(scratch, dburl_port(db_url(g->control)), &ports);
    if (!due && str_eq(ports.family, str_of(g->tool_ports)))
        return true;
    g->next_look_ms = now + GUARD_EVERY_MS;
    bool all = find_session(g, &ports) >= count_of(ports.family);
    note_ports(g, all ? ports.family : STR(""));
    if (!g->untold || !g->record->kept)
        return true;
    g->untold = false;
    return record_sessions(g->control, g->record, g->tool_sessions, err);
}

/* A tool's ticks come more often than anybody needs to be asked. */
static bool
is_watched_now(Guard *g)
{
    int64_t now = clock_ms();
    if (!g->apply_session || now < g->statement_since_ms + LOOK_AFTER_MS ||
        (g->tool_run && now < g->next_watch_ms))
        return false;
    g->next_watch_ms = now + GUARD_EVERY_MS;
    return true;
}

bool
guard_tick(void *guard, Error *err)
{
    Guard *g = guard;
    if (!beat(g, err))
        return false;
    if (!g->statement_runs)
        return true;
    if (g->tool_run && db_has_query(g->control, Q_LOCK_TOOL_SESSIONS) && !look_at_tool(g, err))
        return false;
    if (!is_watched_now(g))
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
        g->next_look_ms = g->statement_since_ms + GUARD_EVERY_MS;
        g->cancelled = false;
        g->cancelled_session = 0;
        g->tool_stops = false;
        g->blockers[0] = 0;
    }
}

void
guard_begin_tool(Guard *g, const char *run_id, const char *title)
{
    Error ignored = ERROR_INIT;
    DbResult r = {0};
    ProcPorts ports;
    SCRATCH_ARENA(scratch);
    g->tool_run = run_id;
    if (!db_has_query(g->control, Q_LOCK_TOOL_SEEN))
        return;
    proc_ports(scratch, dburl_port(db_url(g->control)), &ports);
    if (!db_ask(g->control, scratch, Q_LOCK_TOOL_SEEN, DB_ARGS(ARG_TEXT("own", ports.own)), &r,
                &ignored) ||
        (r.rows && !str_eq(DB_CELL(&r, 0, 0), STR("0"))))
        return;
    log_info("guard.blind",
             "the server does not see which port a connection from here has (a Unix socket, or "
             "something in between): the sessions of %s cannot be told from others', so "
             "--max-block does not hold for it, and a lost run's are not ended",
             title);
}

void
guard_stopping_tool(void *guard)
{
    Guard *g = guard;
    ProcPorts ports;
    SCRATCH_ARENA(scratch);
    proc_ports(scratch, dburl_port(db_url(g->control)), &ports);
    note_ports(g, ports.family);
    g->tool_stops = true;
}

void
guard_end_tool(Guard *g, Wait *wait, int64_t within_ms)
{
    int64_t until = clock_ms() + within_ms;
    ProcPorts ports;
    SCRATCH_ARENA(scratch);
    if (!db_has_query(g->control, Q_LOCK_TOOL_SESSIONS))
        return;
    proc_ports(scratch, dburl_port(db_url(g->control)), &ports);
    ports.family = str_copy(scratch, str_of(g->tool_ports));
    note_ports(g, STR(""));
    while (db_alive(g->control) && clock_ms() < until) {
        Error ignored = ERROR_INIT;
        g->apply_session = 0;
        (void)find_session(g, &ports);
        if (!g->apply_session || !db_end_session(g->control, g->apply_session, &ignored) ||
            !wait_sleep(wait, END_POLL_MS, &ignored))
            return;
        ports.family = STR(""); /* noted now; another process may get that port */
    }
}
