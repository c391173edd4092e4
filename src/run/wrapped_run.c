/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting the tool under the lock: its output goes line by line to the log, its sessions are
 * watched, and what it did is read from its own table. What it says about itself (exit code,
 * "already up to date") is not enough: seven of twenty tools are silent where they go wrong.
 */

#include "run/wrapped.h"

#include <string.h>

#include "core/clock.h"
#include "core/fault.h"
#include "core/log.h"
#include "core/secret.h"
#include "proc/proc.h"
#include "core/banned.h"

enum { TELLING_MAX = 500, RETRY_FIRST_MS = 500, RETRY_LAST_MS = 30000, END_MS = 10000 };

/* What is kept of the output to explain a failure with. */
typedef struct Output {
    const Tool *tool;
    char first_error[TELLING_MAX], last[TELLING_MAX];
    bool lock_timeout; /* the server gave up waiting, or the guard cancelled */
} Output;

/* ---- output ---- */

static void
keep(char *into, size_t size, Str line)
{
    size_t n = line.n < size - 1 ? line.n : size - 1;
    while (n < line.n && n > 0 && ((unsigned char)line.p[n] & 0xc0) == 0x80)
        n--;
    memcpy(into, line.p, n);
    into[n] = 0;
}

static bool
holds(Str line, const char *part)
{
    return memmem(line.p, line.n, part, strlen(part)) != NULL;
}

/* What a terminal would show in the end: no colours and cursor movements, and of a line that was
 * written over and over (a spinner, a bar) the last state. The log masks what else is not text. */
static Str
tame(Arena *arena, Str line)
{
    char *out = arena_alloc(arena, line.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < line.n; i++) {
        char c = line.p[i];
        if (c == '\r') {
            n = 0;
        } else if (c != '\x1b') {
            out[n++] = c;
        } else if (i + 1 < line.n && line.p[i + 1] == '[') {
            size_t end = i + 2;
            while (end < line.n && (line.p[end] < '@' || line.p[end] > '~'))
                end++;
            /* "Column 1" and "erase the line" begin it anew. */
            if (end < line.n && (line.p[end] == 'G' || line.p[end] == 'K'))
                n = line.p[end] == 'K' && line.p[end - 1] != '2' ? n : 0;
            i = end;
        } else {
            i++;
        }
    }
    return (Str){out, n};
}

static void
on_line(void *ctx, int stream, Str raw)
{
    Output *o = ctx;
    SCRATCH_ARENA(scratch);
    Str line = tame(scratch, raw), trimmed = str_trim(line);
    if (!trimmed.n)
        return;
    LogField fields[] = {LOG_STR("tool", str_of(o->tool->name)),
                         LOG_STR("stream", stream == 1 ? STR("stdout") : STR("stderr")),
                         {0}};
    log_event(LOG_INFO, "tool.output", fields, "%s: " STR_FMT, o->tool->name, STR_ARG(line));
    /* Most tools end with a stack trace or a summary; what went wrong stands where they begin. */
    if (!o->first_error[0] &&
        (holds(line, "rror:") || holds(line, "ERROR") || (holds(line, "rror") && stream == 2)))
        keep(o->first_error, sizeof o->first_error, trimmed);
    keep(o->last, sizeof o->last, trimmed);
    if (holds(line, "lock timeout") || holds(line, "ock wait timeout exceeded") ||
        holds(line, "deadlock detected") || holds(line, "Deadlock found"))
        o->lock_timeout = true;
}

/* ---- one start of it ---- */

static bool
start_tool(Lead *l, char *const *argv, Output *output, int *ret_status, Error *err)
{
    const RunOptions *o = l->options;
    const DbFacts *facts = &l->survey->facts;
    bool pooled = facts->pooled; /* PgBouncer refuses sessions that bring options */
    ToolEnvironment how = {.url = o->tool_url,
                           .parsed = o->url,
                           .application_name =
                               str_printf(l->arena, "lockstep:%s", l->record.run_id),
                           .check_client = !pooled && facts->version_major >= 14 &&
                                           strcmp(facts->flavor, "postgresql") == 0,
                           .lock_timeout_ms = pooled ? 0 : o->lock_timeout_ms,
                           .statement_timeout_ms = pooled ? 0 : o->statement_timeout_ms};
    ChildSpec spec = {.argv = argv,
                      .envp = tool_environment(l->arena, o->project, &how),
                      .stdout_fd = -1,
                      .line = on_line,
                      .line_ctx = output,
                      .stopping = guard_stopping_tool,
                      .stopping_ctx = &l->guard,
                      .group_dies_with_us = true,
                      .grace_ms = o->grace_ms};
    FAULT_POINT("tool.start");
    guard_running(&l->guard, true);
    l->wait->tick = lead_ticks(l);
    l->wait->tick.every_ms = GUARD_TOOL_EVERY_MS;
    bool ok = child_run(l->wait, &spec, ret_status, err);
    l->wait->tick = (WaitTick){0};
    wait_cleanup_begin(l->wait);
    if (!ok || *ret_status != 0)
        guard_end_tool(&l->guard, l->wait, END_MS);
    else
        l->guard.tool_sessions[0] = 0; /* it has ended them itself */
    wait_cleanup_end(l->wait);
    guard_running(&l->guard, false);
    FAULT_POINT("tool.ended");
    output->lock_timeout |= l->guard.cancelled;
    return ok;
}

/* ---- what came of it ---- */

static bool
is_among(const ToolState *state, const char *id)
{
    for (size_t i = 0; i < state->applied.n; i++) {
        if (strcmp(state->applied.p[i].id, id) == 0)
            return true;
    }
    return false;
}

/* Rows that `after` has and `before` has not. */
static void
tell_changes(Lead *l, const ToolState *before, const ToolState *after)
{
    const char *what = l->options->rollback ? "Migration rolled back" : "Migration applied";
    for (size_t i = 0; i < after->applied.n; i++) {
        const ToolRow *row = &after->applied.p[i];
        if (is_among(before, row->id))
            continue;
        LogField fields[] = {
            LOG_STR("run_id", str_of(l->record.run_id)), LOG_STR("version", str_of(row->id)), {0}};
        log_event(LOG_INFO, l->options->rollback ? "migration.reverted" : "migration.applied",
                  fields, "%s: %s", what, row->id);
        l->applied++;
        l->last_version = row->id;
    }
}

static bool
refuse_trouble(const ToolTrouble *trouble, Error *err)
{
    SCRATCH_ARENA(scratch);
    error_set(err, trouble->of_files ? ERROR_USAGE : ERROR_FAILED, "%s", trouble->what);
    return error_hint(err, "%s", trouble_hint(scratch, trouble));
}

/* What keeps the tool from going on, or what this start left behind besides (an invalid index). */
static const ToolTrouble *
left_behind(const ToolState *before, const ToolState *after)
{
    const ToolTrouble *blocked = tool_blocked(after);
    for (size_t i = 0; i < after->troubles.n && !blocked; i++) {
        bool known = false;
        for (size_t k = 0; k < before->troubles.n; k++)
            known |= strcmp(before->troubles.p[k].what, after->troubles.p[i].what) == 0;
        if (!known)
            return &after->troubles.p[i];
    }
    return blocked;
}

static bool
tool_failed(const Lead *l, const ToolState *before, const Output *output, int status, Error *err)
{
    const Tool *tool = l->options->project->tool;
    const char *telling = output->first_error[0] ? output->first_error : output->last;
    const ToolTrouble *trouble = left_behind(before, &l->survey->tool);
    SCRATCH_ARENA(scratch);
    Str shown = secret_redact(scratch, str_of(telling));
    error_set(err, ERROR_FAILED, "%s failed with exit code %d%s" STR_FMT, tool->title, status,
              shown.n ? ": " : " and said nothing", STR_ARG(shown));
    if (output->lock_timeout)
        err->cls = ERROR_CLASS_LOCK_TIMEOUT;
    if (l->guard.blockers[0])
        error_detail(err, "blocked by %s", l->guard.blockers);
    if (l->guard.cancelled)
        error_detail(err,
                     "lockstep cancelled its statement: it kept other sessions waiting for "
                     "longer than --max-block (%s)",
                     str_from_duration_ms(scratch, l->options->max_block_ms));
    if (trouble) {
        error_detail(err, "%s", trouble->what);
        return error_hint(err, "%s", trouble_hint(scratch, trouble));
    }
    if (l->survey->plan.pending.n)
        error_detail(err, "still pending: %zu, the first is %s", l->survey->plan.pending.n,
                     l->survey->plan.pending.p[0].m->version);
    if (l->guard.cancelled && !tool_leaves_nothing(tool, l->control))
        error_hint(err, "What the migration had done before that statement may be there still: see "
                        "that it can be run again, or give --max-block more time.");
    return false;
}

/* The tool says that all went well: does its table say so too? */
static bool
believe(const Lead *l, Error *err)
{
    const Survey *s = l->survey;
    const Tool *tool = l->options->project->tool;
    const ToolTrouble *trouble = tool_blocked(&s->tool);
    if (trouble)
        return refuse_trouble(trouble, err);
    bool left = !s->unknown && s->plan.pending.n > 0 && l->options->project->prefix;
    bool nowhere = tool->table && !s->tool.table_exists && s->tool_files.items.n > 0;
    if (!left && !nowhere)
        return true;
    if (nowhere)
        error_set(err, ERROR_FAILED, "%s ended with success, but %s has no table '%s'", tool->title,
                  l->options->url->display, tool->table);
    else
        error_set(err, ERROR_FAILED,
                  "%s ended with success, but %zu of its migrations are still pending in %s (the "
                  "first is %s)",
                  tool->title, s->plan.pending.n, l->options->url->display,
                  s->plan.pending.p[0].m->version);
    return error_hint(err, "It may have migrated another database: compare the one that it is "
                           "configured for with what `lockstep detect` says.");
}

/* A lock row that a killed tool left behind would stop every run from now on. When its owner is
 * dead for certain it is cleared as `repair` would. */
static bool
clear_lock(Lead *l, const char *why, Error *err)
{
    const ToolTrouble *trouble = tool_blocked(&l->survey->tool);
    if (!trouble || !trouble->sql || trouble->id)
        return true;
    log_warn("tool.lock-cleared", "%s; %s, so it is cleared", trouble->what, why);
    return db_exec_list(l->control, str_of(trouble->sql), err) &&
           run_survey(l->arena, l->control, l->options, true, l->survey, err);
}

/* A lock was not there when the tool was started: it is the tool's, whose family is gone. */
static bool
look_after(Lead *l, Error *err)
{
    Error second = ERROR_INIT;
    wait_cleanup_begin(l->wait);
    bool ok = db_alive(l->control) &&
              run_survey(l->arena, l->control, l->options, true, l->survey, &second) &&
              clear_lock(l, "the tool has ended", &second);
    wait_cleanup_end(l->wait);
    if (!ok && err->code == ERROR_NONE)
        *err = second;
    return ok;
}

static bool
run_once(Lead *l, char *const *argv, Error *err)
{
    Output output = {.tool = l->options->project->tool};
    ToolState before = l->survey->tool;
    int status = 0;
    bool ended = start_tool(l, argv, &output, &status, err);
    if (look_after(l, err))
        l->options->rollback ? tell_changes(l, &l->survey->tool, &before)
                             : tell_changes(l, &before, &l->survey->tool);
    if (!ended || err->code != ERROR_NONE)
        return false;
    if (status != 0)
        return tool_failed(l, &before, &output, status, err);
    return l->options->rollback || believe(l, err);
}

static bool
run_until_done(Lead *l, char *const *argv, Error *err)
{
    const Tool *tool = l->options->project->tool;
    int64_t until = clock_ms() + l->options->retry_for_ms;
    for (int tries = 0; !run_once(l, argv, err); tries++) {
        int64_t delay = clock_backoff_ms(tries, RETRY_FIRST_MS, RETRY_LAST_MS);
        /* On a lock time-out, that is; or the guard cancelled. */
        if (err->cls != ERROR_CLASS_LOCK_TIMEOUT || !tool_leaves_nothing(tool, l->control) ||
            clock_ms() + delay > until)
            return false;
        SCRATCH_ARENA(scratch);
        LogField fields[] = {
            LOG_INT("delay_ms", delay), LOG_STR("blockers", str_of(l->guard.blockers)), {0}};
        log_event(LOG_WARN, "migration.blocked", fields, "%s; trying again in %s", err->message,
                  str_from_duration_ms(scratch, delay));
        error_clear(err);
        l->wait->tick = lead_ticks(l);
        bool slept = wait_sleep(l->wait, delay, err);
        l->wait->tick = (WaitTick){0};
        if (!slept)
            return false;
    }
    return true;
}

/* ---- the run ---- */

static void
tell_troubles(const ToolState *state)
{
    SCRATCH_ARENA(scratch);
    for (size_t i = 0; i < state->troubles.n; i++) {
        if (!state->troubles.p[i].blocks)
            log_warn("migration.trouble", "%s. %s", state->troubles.p[i].what,
                     trouble_hint(scratch, &state->troubles.p[i]));
    }
}

/* For probes, terminals and followers: how much there is to do. What of it is done only the tool
 * itself says, in its own words. */
static void
tell_progress(Lead *l)
{
    const Survey *s = l->survey;
    const char *title = l->options->project->tool->title;
    bool named = !l->options->rollback && s->plan.pending.n > 0;
    SCRATCH_ARENA(scratch);
    char *text = named ? str_printf(scratch, "%s: %zu, from %s on", title, s->plan.pending.n,
                                    s->plan.pending.p[0].m->version)
                       : str_dup(scratch, str_of(title));
    keep(l->progress, sizeof l->progress, str_of(text));
    if (l->options->progress)
        l->options->progress(l->options->progress_ctx, 0, (int64_t)s->plan.pending.n, l->progress);
}

static void
tell_start(const Lead *l)
{
    const Survey *s = l->survey;
    const Tool *tool = l->options->project->tool;
    SCRATCH_ARENA(scratch);
    char *many = s->unknown || s->asks
                     ? str_printf(scratch, "%s", tool->title)
                     : str_printf(scratch, "%zu to apply with %s", s->plan.pending.n, tool->title);
    if (l->options->rollback)
        many = str_printf(scratch, "%s rolls back", tool->title);
    LogField fields[] = {LOG_STR("run_id", str_of(l->record.run_id)),
                         LOG_STR("tool", str_of(tool->name)),
                         LOG_INT("pending", s->unknown ? -1 : (int64_t)s->plan.pending.n),
                         LOG_STR("database", str_of(l->options->url->display)),
                         {0}};
    log_event(LOG_INFO, "migration.started", fields, "Migration started: %s on %s (run %s)", many,
              l->options->url->display, l->record.run_id);
}

/* One to apply, whatever is pending; to roll back as many as it takes. */
static bool
choose_starts(Lead *l, ToolUndo *ret, Error *err)
{
    const RunOptions *o = l->options;
    *ret = (ToolUndo){0};
    if (o->rollback)
        return tool_undo(l->arena, o->project, &l->survey->tool, o->steps, o->to, ret, err);
    *vec_push(l->arena, &ret->starts) = o->project->apply;
    return true;
}

/* Tools are silent about migrations that they find nothing to undo in, too. */
static bool
is_gone(const Lead *l, const Words *versions, Error *err)
{
    const Tool *tool = l->options->project->tool;
    for (size_t i = 0; i < versions->n; i++) {
        if (!is_among(&l->survey->tool, versions->p[i]))
            continue;
        error_set(err, ERROR_FAILED, "%s ended with success, but '%s' is still applied",
                  tool->title, versions->p[i]);
        return error_hint(err, "See what the tool says above; `lockstep status` shows what is "
                               "applied now.");
    }
    return true;
}

static bool
backup(Lead *l, Error *err)
{
    l->wait->tick = lead_ticks(l);
    bool ready = !l->options->before || l->options->before(l->options->before_ctx, err);
    l->wait->tick = (WaitTick){0};
    return ready;
}

/* By an earlier run of ours, which was lost: then nobody holds it. */
static bool
clear_stuck_lock(Lead *l, Error *err)
{
    return !l->after_lost || clear_lock(l, "the run that held it was lost", err);
}

/* Before the first run of a tool that wants an empty schema, not even lockstep's tables may be
 * there: its record is made afterwards. */
static bool
records_later(const Lead *l)
{
    return (l->options->project->tool->flags & TOOL_WANTS_EMPTY) && !l->survey->tool.table_exists &&
           !l->survey->ledger.runs_exists;
}

static void
record_late(Lead *l, Error *err)
{
    Error second = ERROR_INIT;
    Plan now = l->survey->plan;
    wait_cleanup_begin(l->wait);
    l->survey->plan = (Plan){0}; /* it says from which version: from none */
    if (db_alive(l->control) && !lead_make_tables(l, &second) && err->code == ERROR_NONE)
        *err = second;
    l->survey->plan = now;
    wait_cleanup_end(l->wait);
}

bool
wrapped_lead(Lead *l, RunReport *ret, Error *err)
{
    Survey *s = l->survey;
    ToolUndo undo;
    if (!clear_stuck_lock(l, err))
        return false;
    const ToolTrouble *trouble = tool_blocked(&s->tool);
    if (trouble)
        return refuse_trouble(trouble, err);
    tell_troubles(&s->tool);
    if (!choose_starts(l, &undo, err))
        return false;
    if (l->options->rollback ? !undo.starts.n : !s->unknown && !s->asks && !s->plan.pending.n) {
        ret->outcome = RUN_NOTHING;
        return l->options->rollback || s->plan.missing.n || lead_remember(l, err);
    }
    l->record.files = record_files_print(l->arena, &s->source, l->options);
    if (!lead_may_record(l, err) || !backup(l, err))
        return false;
    tell_start(l);
    tell_progress(l);
    guard_begin_tool(&l->guard, l->record.run_id, l->options->project->tool->title);
    bool later = records_later(l), ok = later || lead_make_tables(l, err);
    for (size_t i = 0; ok && i < undo.starts.n; i++)
        ok = run_until_done(l, undo.starts.p[i], err);
    ok = ok && is_gone(l, &undo.versions, err);
    if (later)
        record_late(l, err);
    lead_finish(l, err);
    if (!ok || err->code != ERROR_NONE)
        return false;
    ret->outcome = RUN_APPLIED;
    ret->applied = l->applied;
    ret->duration_ms = clock_ms() - l->began_ms;
    return true;
}
