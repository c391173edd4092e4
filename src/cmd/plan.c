/* SPDX-License-Identifier: Apache-2.0 */
/* `plan`: what `migrate` would do now, statement by statement. */

#include "cmd/cmd.h"
#include "cmd/output.h"
#include "migrate/apply.h"

#include <string.h>

#include "core/banned.h"

enum { STATEMENT_SHOWN = 2000 };

static bool
load_pending(Cli *cli, Look *look, Error *err)
{
    if (look->options.project)
        return true;
    SourceOptions source = look->options.source;
    source.server_major = look->survey->facts.version_major;
    for (size_t i = 0; i < look->survey->plan.pending.n; i++) {
        Migration *m = look->survey->plan.pending.p[i].m;
        if (!migration_load(cli->arena, &look->survey->source, m, &source, err))
            return false;
    }
    return true;
}

static Str
statement_text(const Script *script, size_t index)
{
    const SqlStatement *s = &script->statements.p[index];
    return str_sub(script->body, s->offset, s->offset + s->length);
}

/* Statements of this one that earlier runs have finished. */
static size_t
statements_done(const Plan *plan, const Migration *m)
{
    const LedgerRow *row = plan->failed_m == m ? plan->failed : NULL;
    return row && row->statements_done > 0 ? (size_t)row->statements_done : 0;
}

static json_t *
json_migration(Arena *arena, const Plan *plan, const Migration *m, unsigned caps, bool tool)
{
    json_t *o = json_object();
    json_object_set_new(o, "version", output_json_text(arena, str_of(m->version)));
    json_object_set_new(o, "name", output_json_text(arena, str_of(m->name ? m->name : "")));
    json_object_set_new(o, "file", output_json_text(arena, str_of(m->path)));
    if (tool)
        return o;
    json_object_set_new(o, "transaction", json_boolean(apply_is_whole(caps, &m->up)));
    json_object_set_new(o, "statements_done", json_integer((json_int_t)statements_done(plan, m)));
    json_t *list = json_array();
    for (size_t i = 0; i < m->up.statements.n; i++) {
        size_t line, column;
        script_position(&m->up, m->up.statements.p[i].offset, &line, &column);
        json_t *s = json_object();
        json_object_set_new(s, "line", json_integer((json_int_t)line));
        json_object_set_new(s, "sql", output_json_text(arena, statement_text(&m->up, i)));
        json_array_append_new(list, s);
    }
    json_object_set_new(o, "statements", list);
    return o;
}

static json_t *
json_plan(Arena *arena, const Look *look)
{
    json_t *o = json_object();
    json_t *pending = json_array();
    json_object_set_new(o, "lockstep", json_string(LOCKSTEP_VERSION));
    json_object_set_new(o, "database",
                        look->found ? output_json_text(arena, str_of(look->options.url->display))
                                    : json_null());
    json_object_set_new(o, "tool", json_string(look_tool(look)));
    json_object_set_new(o, "format", look_format(look));
    json_object_set_new(
        o, "state",
        json_string(plan_state_name(look->survey ? look->survey->plan.state : PLAN_NONE)));
    const Plan *plan = look->survey ? &look->survey->plan : NULL;
    for (size_t i = 0; plan && i < plan->pending.n; i++)
        json_array_append_new(pending,
                              json_migration(arena, plan, plan->pending.p[i].m, db_caps(look->db),
                                             look->options.project != NULL));
    json_object_set_new(o, "pending", pending);
    return o;
}

/* The statement as it is written, moved in; of a very long one (rows of data) the beginning. */
static void
print_statement(StrBuf *out, size_t line, Str sql, bool done)
{
    Str shown = sql.n > STATEMENT_SHOWN ? str_sub(sql, 0, STATEMENT_SHOWN) : sql;
    while (shown.n < sql.n && shown.n > 0 && ((unsigned char)sql.p[shown.n] & 0xc0) == 0x80)
        shown.n--;
    strbuf_printf(out, "  %6zu  ", line);
    if (done)
        strbuf_puts(out, "(done already) ");
    for (size_t i = 0; i < shown.n; i++) {
        unsigned char c = (unsigned char)shown.p[i];
        if (c == '\n')
            strbuf_puts(out, "\n          ");
        else if (c != '\r')
            strbuf_addc(out, (c < 0x20 && c != '\t') || c == 0x7f ? '?' : shown.p[i]);
    }
    if (shown.n < sql.n)
        strbuf_printf(out, " ... (%zu bytes)", sql.n);
    strbuf_puts(out, ";\n");
}

static const char *
boundary(unsigned caps, const Script *up)
{
    if (up->statements.n == 0)
        return "no statement";
    if (apply_is_whole(caps, up))
        return "one transaction";
    return "statement by statement, outside a transaction; progress is recorded after each";
}

static void
print_migration(Cli *cli, const Plan *plan, const Migration *m, unsigned caps, StrBuf *out)
{
    const Script *up = &m->up;
    strbuf_printf(out, "\n%s%s%s  %s\n", style_on(STYLE_BOLD, cli->stdout_color), m->path,
                  style_off(cli->stdout_color), boundary(caps, up));
    for (size_t i = 0; i < up->statements.n; i++) {
        size_t line, column;
        script_position(up, up->statements.p[i].offset, &line, &column);
        print_statement(out, line, statement_text(up, i), i < statements_done(plan, m));
    }
}

/* What a tool would run stands in its own language; its own preview, where it has one, is named. */
static void
print_tool_plan(const Look *look, StrBuf *out)
{
    const Project *p = look->options.project;
    const Plan *plan = &look->survey->plan;
    strbuf_puts(out, "Command   ");
    for (char **word = p->apply; *word; word++)
        strbuf_printf(out, " %s", *word);
    strbuf_addc(out, '\n');
    for (size_t i = 0; i < plan->pending.n; i++)
        strbuf_printf(out, "%s  %s  %s\n", i ? "" : "\n", plan->pending.p[i].m->version,
                      plan->pending.p[i].m->path ? plan->pending.p[i].m->path : "");
    if (look->survey->unknown)
        strbuf_printf(out, "\nWhat is pending only %s itself can tell.\n", p->tool->title);
    if (!p->tool->preview || !p->prefix)
        return;
    strbuf_puts(out, "\nIts own preview:");
    for (char **word = p->prefix; *word; word++)
        strbuf_printf(out, " %s", *word);
    strbuf_printf(out, " %s\n", p->tool->preview);
}

static void
print_plan(Cli *cli, const Look *look, StrBuf *out)
{
    if (!look->found) {
        strbuf_puts(out, "There are no migrations here: nothing would be done.\n");
        return;
    }
    const Plan *plan = &look->survey->plan;
    strbuf_printf(out, "Database   %s%s\n", look->options.url->display,
                  look->absent ? " (not there yet)" : "");
    look_print_source(look, out);
    if (look->options.project)
        print_tool_plan(look, out);
    for (size_t i = 0; i < plan->pending.n && !look->options.project; i++)
        print_migration(cli, plan, plan->pending.p[i].m, db_caps(look->db), out);
    if (plan->pending.n)
        strbuf_printf(out, "\n%zu to apply: run `lockstep migrate`.\n", plan->pending.n);
    else if (look->survey->asks)
        strbuf_printf(out,
                      "\nNothing is pending. As the project is not as the last success left it, %s "
                      "would be started once to be sure.\n",
                      look->options.project->tool->title);
    else if (!look->survey->unknown)
        strbuf_puts(out, "\nNothing is pending: nothing would be done.\n");
}

int
cmd_plan(Cli *cli, Error *err)
{
    AUTO_LOOK look = {0};
    if (!look_open(cli, true, &look, err))
        return error_exit_status(err);
    /* What migrate would refuse, plan refuses in the same words. */
    if (look.found && (!plan_allows(&look.survey->plan, &look.survey->source, &look.survey->ledger,
                                    &look.options.policy, err) ||
                       !load_pending(cli, &look, err)))
        return error_exit_status(err);
    StrBuf out = strbuf_new(cli->arena, OUTPUT_CEILING);
    if (cli_option(cli, "json"))
        return output_json(cli->arena, json_plan(cli->arena, &look), err) ? 0 : 1;
    print_plan(cli, &look, &out);
    return output_write(strbuf_str(&out), err) ? 0 : 1;
}
