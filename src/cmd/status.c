/* SPDX-License-Identifier: Apache-2.0 */
/* `status`: what is applied, pending, changed, missing, failed, ahead. */

#include "cmd/cmd.h"
#include "cmd/output.h"

#include <string.h>

#include "core/banned.h"

enum { APPLIED_SHOWN = 15 };

static const char *
version_of(const PlanItem *item)
{
    if (item->m && item->m->version)
        return item->m->version;
    return item->row ? item->row->version : NULL; /* NULL: repeatable */
}

static const char *
name_of(const PlanItem *item)
{
    if (item->m && item->m->name && item->m->name[0])
        return item->m->name;
    return item->row && item->row->name ? item->row->name : "";
}

/* ---- JSON ---- */

static json_t *
json_item(Arena *arena, const PlanItem *item)
{
    json_t *o = json_object();
    json_object_set_new(o, "version", output_json_text(arena, str_of(version_of(item))));
    json_object_set_new(o, "name", output_json_text(arena, str_of(name_of(item))));
    return o;
}

static json_t *
json_applied(Arena *arena, const PlanItem *item)
{
    json_t *o = json_item(arena, item);
    json_object_set_new(o, "applied_at",
                        output_json_text(arena, str_of(item->row ? item->row->applied_at : NULL)));
    json_object_set_new(o, "duration_ms",
                        item->row && item->row->duration_ms >= 0
                            ? json_integer(item->row->duration_ms)
                            : json_null());
    return o;
}

static json_t *
json_with_file(Arena *arena, const PlanItem *item)
{
    json_t *o = json_item(arena, item);
    json_object_set_new(o, "file", output_json_text(arena, str_of(item->m ? item->m->path : NULL)));
    return o;
}

typedef json_t *JsonItem(Arena *arena, const PlanItem *item);

static json_t *
json_items(Arena *arena, const PlanItem *items, size_t count, JsonItem *make)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, make(arena, &items[i]));
    return list;
}

static json_t *
json_trouble(Arena *arena, const ToolTrouble *trouble)
{
    json_t *o = json_object();
    json_object_set_new(o, "version", output_json_text(arena, str_of(trouble->id)));
    json_object_set_new(o, "message", output_json_text(arena, str_of(trouble->what)));
    json_object_set_new(o, "repair", output_json_text(arena, str_of(trouble->repair)));
    return o;
}

static json_t *
json_failed(Arena *arena, const Look *look, const Plan *plan)
{
    const ToolTrouble *trouble = look->survey ? tool_blocked(&look->survey->tool) : NULL;
    if (trouble)
        return json_trouble(arena, trouble);
    if (plan->failed == NULL)
        return json_null();
    PlanItem item = {.m = plan->failed_m, .row = plan->failed};
    json_t *o = json_with_file(arena, &item);
    json_object_set_new(o, "statements_done", json_integer(plan->failed->statements_done));
    json_object_set_new(o, "run_id", output_json_text(arena, str_of(plan->failed->run_id)));
    return o;
}

static json_t *
json_status(Arena *arena, const Look *look)
{
    static const Plan nothing = {.state = PLAN_NONE};
    const Plan *plan = look->survey ? &look->survey->plan : &nothing;
    json_t *o = json_object();
    json_object_set_new(o, "lockstep", json_string(LOCKSTEP_VERSION));
    json_object_set_new(o, "database",
                        look->found ? output_json_text(arena, str_of(look->options.url->display))
                                    : json_null());
    json_object_set_new(o, "tool", json_string(look_tool(look)));
    json_object_set_new(o, "format", look_format(look));
    json_object_set_new(o, "state", json_string(plan_state_name(plan->state)));
    /* Versions that only the database knows are applied too; the state says `ahead`. */
    json_t *applied = json_items(arena, plan->applied.p, plan->applied.n, json_applied);
    json_t *ahead = json_items(arena, plan->ahead.p, plan->ahead.n, json_applied);
    json_array_extend(applied, ahead);
    json_decref(ahead);
    json_object_set_new(o, "applied", applied);
    json_object_set_new(o, "pending",
                        json_items(arena, plan->pending.p, plan->pending.n, json_with_file));
    json_object_set_new(o, "changed",
                        json_items(arena, plan->changed.p, plan->changed.n, json_with_file));
    json_object_set_new(o, "missing",
                        json_items(arena, plan->missing.p, plan->missing.n, json_item));
    json_object_set_new(o, "failed", json_failed(arena, look, plan));
    return o;
}

/* ---- text ---- */

static void
add_row(Arena *arena, Table *table, const PlanItem *item, const char *state)
{
    const LedgerRow *row = item->row;
    const char *version = version_of(item);
    table_add(table, str_of(version ? version : "(repeatable)"));
    table_add(table, str_of(name_of(item)));
    table_add(table, str_of(state));
    table_add(table, str_of(row ? row->applied_at : NULL));
    table_add(table, row && row->duration_ms >= 0
                         ? str_of(str_from_duration_ms(arena, row->duration_ms))
                         : STR_ABSENT);
}

static bool
is_changed(const Plan *plan, const PlanItem *item)
{
    for (size_t i = 0; i < plan->changed.n; i++)
        if (plan->changed.p[i].row == item->row)
            return true;
    return false;
}

static void
print_table(Cli *cli, const Plan *plan, StrBuf *out)
{
    static const char *const titles[] = {"VERSION", "NAME", "STATE", "APPLIED", "TOOK"};
    Arena *arena = cli->arena;
    Table table = table_new(arena, "<<<<>", titles);
    size_t hidden = 0;
    if (!cli_option(cli, "all") && plan->applied.n > APPLIED_SHOWN)
        hidden = plan->applied.n - APPLIED_SHOWN;
    for (size_t i = 0; i < plan->missing.n; i++)
        add_row(arena, &table, &plan->missing.p[i], "missing");
    for (size_t i = 0; i < plan->applied.n; i++) {
        bool changed = is_changed(plan, &plan->applied.p[i]);
        if (i >= hidden || changed)
            add_row(arena, &table, &plan->applied.p[i], changed ? "changed" : "applied");
    }
    for (size_t i = 0; i < plan->ahead.n; i++)
        add_row(arena, &table, &plan->ahead.p[i], "ahead");
    bool failed_shown = plan->failed == NULL;
    for (size_t i = 0; i < plan->pending.n; i++) {
        bool failed = plan->failed && plan->pending.p[i].m == plan->failed_m;
        add_row(arena, &table, &plan->pending.p[i], failed ? "failed" : "pending");
        failed_shown = failed_shown || failed;
    }
    if (!failed_shown)
        add_row(arena, &table, &(PlanItem){.m = plan->failed_m, .row = plan->failed}, "failed");
    if (table.cells.n == 0)
        return;
    strbuf_addc(out, '\n');
    table_print(&table, out, "  ", cli->stdout_color);
    if (hidden)
        strbuf_printf(out, "  (%zu earlier ones are applied; --all lists them)\n", hidden);
}

static void
print_troubles(const Look *look, StrBuf *out)
{
    const ToolState *tool = &look->survey->tool;
    for (size_t i = 0; i < tool->troubles.n; i++)
        strbuf_printf(out, "\n%s\n%s\n", tool->troubles.p[i].what,
                      trouble_hint(out->arena, &tool->troubles.p[i]));
}

/* Only what lockstep itself ran, and has the file of, can be gone on with. */
static void
print_failed(const Plan *plan, StrBuf *out)
{
    const LedgerRow *row = plan->failed;
    strbuf_printf(out, "%s %s: ", row->version ? row->version : "A repeatable migration",
                  row->state == ROW_RUNNING ? "has begun and not ended" : "failed");
    if (!row->own_row)
        strbuf_printf(out,
                      "%s ran it, and how far it came is not known. Look at what it did to the "
                      "schema, then run `lockstep repair`.\n",
                      format_name(plan->format));
    else if (!plan->failed_m)
        strbuf_puts(out, "put its file back (the image that began it has it) and run `lockstep "
                         "migrate`, which resumes it, or see `lockstep repair`.\n");
    else
        strbuf_puts(out, "correct it and run `lockstep migrate`, which resumes it, or see "
                         "`lockstep repair`.\n");
}

/* What to do now, one sentence a finding, the gravest first. */
static void
print_next_step(const Look *look, StrBuf *out)
{
    const Plan *plan = &look->survey->plan;
    strbuf_addc(out, '\n');
    if (look->survey->unknown)
        strbuf_printf(out,
                      "%shether something is pending only the tool itself can tell: `lockstep "
                      "migrate` starts it.\n",
                      plan->state == PLAN_CURRENT ? "It succeeded with these files before; w"
                                                  : "W");
    if (plan->failed)
        print_failed(plan, out);
    if (plan->changed.n)
        strbuf_printf(out,
                      "%zu changed since applied: put the file back, or accept it with "
                      "`lockstep repair`.\n",
                      plan->changed.n);
    if (plan->missing.n)
        strbuf_printf(out,
                      "%zu applied here without a file: restore the file, or let "
                      "`lockstep repair` forget it.\n",
                      plan->missing.n);
    if (plan->out_of_order.n)
        strbuf_printf(out,
                      "%zu pending below an applied version: renumber, or allow it with "
                      "`--order any`.\n",
                      plan->out_of_order.n);
    if (plan->pending.n && tool_blocked(&look->survey->tool))
        strbuf_printf(out, "%zu pending: run `lockstep migrate` after that.\n", plan->pending.n);
    else if (plan->pending.n)
        strbuf_printf(out, "%zu pending: run `lockstep migrate`.\n", plan->pending.n);
    else if (plan->state == PLAN_AHEAD)
        strbuf_puts(out, "The database is ahead of these files, as when an older image starts "
                         "again.\n");
    else if (plan->state == PLAN_CURRENT && !plan->changed.n && !plan->missing.n &&
             !look->survey->unknown)
        strbuf_puts(out, "Nothing to do.\n");
}

/* A failure that was rolled back leaves nothing but the run's record. Best effort: the table may be
 * missing, or not be readable by this role. */
static void
print_last_failure(Cli *cli, const Look *look, StrBuf *out)
{
    const Survey *survey = look->survey;
    DbResult run;
    Error ignored = ERROR_INIT;
    if (survey->plan.pending.n == 0 || !survey->ledger.runs_exists ||
        !run_history(cli->arena, look->db, str_dup(cli->arena, survey->ledger.spec.schema), 1, &run,
                     &ignored) ||
        run.rows == 0)
        return;
    Str outcome = history_cell(&run, 0, "outcome"), error = history_cell(&run, 0, "error");
    if (!str_eq(outcome, STR("failed")) || error.n == 0)
        return;
    strbuf_printf(out, "\nThe last run failed (" STR_FMT "): " STR_FMT "\n",
                  STR_ARG(history_cell(&run, 0, "started_at")), STR_ARG(error));
    const Project *project = look->options.project;
    /* A trouble below says what was left, and what to do. */
    if (!project || (project->tool->flags & TOOL_GENERIC) || survey->tool.troubles.n)
        return;
    strbuf_printf(
        out,
        tool_leaves_nothing(project->tool, look->db)
            ? "%s undid the migration that failed: correct it, and it is run again from "
              "its start.\n"
            : "What the migration that failed had done before may be there still: %s runs "
              "it again from its start.\n",
        project->tool->title);
}

static void
print_status(Cli *cli, const Look *look, StrBuf *out)
{
    if (!look->found) {
        strbuf_printf(out,
                      "There are no migrations here: no SQL directory and no known tool was found"
                      "%s.\nName a directory with --dir, or begin with `lockstep new NAME`.\n",
                      cli_why_none(cli));
        return;
    }
    const Plan *plan = &look->survey->plan;
    static const Style styles[] = {
        [PLAN_NONE] = STYLE_DIM,      [PLAN_EMPTY] = STYLE_YELLOW, [PLAN_PENDING] = STYLE_YELLOW,
        [PLAN_CURRENT] = STYLE_GREEN, [PLAN_AHEAD] = STYLE_GREEN,  [PLAN_FAILED] = STYLE_RED};
    strbuf_printf(out, "Database   %s%s\n", look->options.url->display,
                  look->absent ? " (not there yet)" : "");
    look_print_source(look, out);
    strbuf_printf(out, "State      %s%s%s: %zu applied, %zu pending",
                  style_on(styles[plan->state], cli->stdout_color), plan_state_name(plan->state),
                  style_off(cli->stdout_color), plan->applied.n, plan->pending.n);
    if (plan->changed.n)
        strbuf_printf(out, ", %zu changed", plan->changed.n);
    if (plan->missing.n)
        strbuf_printf(out, ", %zu missing", plan->missing.n);
    if (plan->ahead.n)
        strbuf_printf(out, ", %zu ahead", plan->ahead.n);
    strbuf_addc(out, '\n');
    print_table(cli, plan, out);
    print_last_failure(cli, look, out);
    print_troubles(look, out);
    print_next_step(look, out);
}

/* Contract 4: what was broken outweighs what has not been done yet. */
static int
status_code(const Plan *plan)
{
    if (plan->state == PLAN_FAILED)
        return error_code_status(ERROR_FAILED);
    if (plan->changed.n || plan->missing.n)
        return error_code_status(ERROR_REFUSED);
    if (plan->state == PLAN_EMPTY || plan->state == PLAN_PENDING)
        return error_code_status(ERROR_NOT_CURRENT);
    return 0;
}

int
cmd_status(Cli *cli, Error *err)
{
    AUTO_LOOK look = {0};
    if (!look_open(cli, true, &look, err))
        return error_exit_status(err);
    StrBuf out = strbuf_new(cli->arena, OUTPUT_CEILING);
    bool written;
    if (cli_option(cli, "json")) {
        written = output_json(cli->arena, json_status(cli->arena, &look), err);
    } else {
        print_status(cli, &look, &out);
        written = output_write(strbuf_str(&out), err);
    }
    if (!written)
        return 1;
    return cli_option(cli, "check") && look.survey ? status_code(&look.survey->plan) : 0;
}
