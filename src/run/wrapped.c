/* SPDX-License-Identifier: Apache-2.0 */
/* What a tool's files and table say, as a plan. */

#include "run/wrapped.h"

#include <string.h>

#include "core/clock.h"
#include "run/follow.h"
#include "run/gate.h"
#include "run/record.h"
#include "core/banned.h"

static Migration *
migration_of(Arena *arena, const ToolMigration *from)
{
    Migration *m = arena_make(arena, Migration);
    *m = (Migration){.version = from->version ? from->version : from->id,
                     .id = from->id,
                     .name = from->name,
                     .path = from->file};
    return m;
}

static LedgerRow *
row_of(Arena *arena, const ToolRow *from)
{
    LedgerRow *row = arena_make(arena, LedgerRow);
    *row = (LedgerRow){.version = from->id,
                       .id = from->id,
                       .name = from->name ? from->name : str_dup(arena, STR("")),
                       .state = ROW_APPLIED,
                       .applied_at = from->applied_at,
                       .duration_ms = -1,
                       .foreign_row = true};
    return row;
}

static PlanState
state_of(const Survey *s)
{
    const Plan *plan = &s->plan;
    if (tool_blocked(&s->tool))
        return PLAN_FAILED;
    if (s->unknown || plan->pending.n > 0)
        return plan->applied.n + plan->ahead.n > 0 ? PLAN_PENDING : PLAN_EMPTY;
    if (plan->ahead.n > 0)
        return PLAN_AHEAD;
    return plan->applied.n > 0 || s->tool_files.items.n > 0 ? PLAN_CURRENT : PLAN_NONE;
}

static void
fill_plan(Arena *arena, Survey *s)
{
    const ToolState *tool = &s->tool;
    Plan plan = {.format = s->source.format};
    for (size_t i = 0; i < tool->applied.n; i++)
        *vec_push(arena, &plan.applied) = (PlanItem){.row = row_of(arena, &tool->applied.p[i])};
    for (size_t i = 0; i < tool->missing.n; i++)
        *vec_push(arena, &plan.missing) = (PlanItem){.row = row_of(arena, &tool->missing.p[i])};
    for (size_t i = 0; i < tool->ahead.n; i++)
        *vec_push(arena, &plan.ahead) = (PlanItem){.row = row_of(arena, &tool->ahead.p[i])};
    for (size_t i = 0; i < tool->pending.n && tool->known; i++)
        *vec_push(arena, &plan.pending) = (PlanItem){.m = migration_of(arena, tool->pending.p[i])};
    s->plan = plan;
    s->plan.state = state_of(s);
}

/* Nothing seems to be pending, but something is not as the last success left it. A tool does more
 * than its table tells (Django makes permissions after migrating), and knows more than its files:
 * it is started once. Not where nothing was ever recorded, as another may migrate here; not where
 * the database knows more than this image, as most tools refuse that, nor where there are several
 * heads, all applied, as `upgrade head` does. */
static bool
is_worth_asking(const Survey *s)
{
    return s->plan.state == PLAN_CURRENT && !s->plan.missing.n && s->tool_files.heads.n < 2 &&
           s->ledger.runs_exists && !s->facts.read_only && !s->facts.standby;
}

/* Only the tool knows, and no table of its own could be recorded: that it succeeded with these very
 * files is all there is to tell those who look on. A start asks it all the same. */
static bool
succeeded_before(Arena *arena, Db *db, const RunOptions *options, Survey *s, Error *err)
{
    DbResult rows;
    const char *files = record_files_print(arena, &s->source, options);
    if (!db_ask(db, arena, Q_RUN_GATE,
                DB_ARGS(ARG_IDENT("runs", s->ledger.spec.schema, STR("lockstep_runs")),
                        ARG_RAW("fingerprint", db_quote_literal(db, arena, str_of(files)))),
                &rows, err))
        return error_wrap(err, "looking for an earlier success");
    if (rows.rows)
        s->plan.state = PLAN_CURRENT;
    return true;
}

bool
wrapped_survey(Arena *arena, Db *db, const RunOptions *options, Str schema, Survey *s, Error *err)
{
    /* lockstep's own tables are looked at as those of a plain directory. */
    LedgerSpec spec = {.format = FORMAT_PLAIN,
                       .schema = schema,
                       .database = s->facts.database,
                       .own_allowed = s->facts.can_create};
    if (!run_look(arena, options, &s->source, err))
        return false;
    if (!ledger_open(arena, db, &spec, &s->ledger, err))
        return error_wrap(err, "looking for lockstep's tables");
    if (s->ledger.runs_exists)
        s->ledger.spec.own_allowed = true;
    if (!tool_files(arena, options->project, &s->tool_files, err))
        return false;
    if (!tool_state(arena, db, options->project, &s->tool_files, STR_ABSENT, &s->tool, err))
        return error_wrap(err, "reading the version table of %s", options->project->tool->title);
    s->unknown = !s->tool.known;
    /* What the last success recorded still holds: then a tool that tells nothing is current, and
     * what somebody's own command leaves out on purpose is not pending. */
    bool doubtful = s->unknown || (!options->project->prefix && s->tool.pending.n > 0);
    bool closed = false, recorded = s->source.stat_digest && s->ledger.runs_exists;
    if (recorded && !gate_is_closed(arena, db, options, &s->source, &closed, err))
        return false;
    if (recorded && doubtful && !closed) {
        RunLatest latest;
        if (!record_latest(db, arena, s->ledger.spec.schema, clock_ms() - options->started_ms,
                           &latest, err))
            return false;
        closed = follow_shares_success(&latest, arena, options, &s->source);
    }
    s->unknown = s->unknown && !closed;
    if (doubtful && closed)
        s->tool.pending.n = 0;
    fill_plan(arena, s);
    s->asks = !closed && is_worth_asking(s);
    return !s->unknown || !s->source.stat_digest || !s->ledger.runs_exists ||
           s->plan.state == PLAN_FAILED || succeeded_before(arena, db, options, s, err);
}
