/* SPDX-License-Identifier: Apache-2.0 */
/* `history`: the rows of lockstep_runs, and notes in them. */

#include "cmd/cmd.h"
#include "cmd/output.h"

#include <string.h>

#include "core/log.h"
#include "core/banned.h"

enum { DEFAULT_LIMIT = 20, REVISION_SHOWN = 12 };

/* Columns that hold numbers, which JSON tells apart. */
static bool
is_number(const char *column)
{
    static const char *const numbers[] = {"pid", "applied", "duration_ms"};
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        if (strcmp(column, numbers[i]) == 0)
            return true;
    return false;
}

static json_t *
json_cell(Arena *arena, const char *column, Str cell)
{
    int64_t number;
    if (cell.p && is_number(column) && str_to_i64(cell, &number))
        return json_integer(number);
    return output_json_text(arena, cell);
}

static json_t *
json_history(Arena *arena, const DbResult *runs)
{
    json_t *list = json_array();
    for (size_t r = 0; r < runs->rows; r++) {
        json_t *row = json_object();
        for (size_t c = 0; c < runs->cols && run_columns[c]; c++)
            json_object_set_new(row, run_columns[c],
                                json_cell(arena, run_columns[c], DB_CELL(runs, r, c)));
        json_array_append_new(list, row);
    }
    json_t *o = json_object();
    json_object_set_new(o, "runs", list);
    return o;
}

Str
history_cell(const DbResult *runs, size_t row, const char *column)
{
    for (size_t c = 0; c < runs->cols && run_columns[c]; c++)
        if (strcmp(run_columns[c], column) == 0)
            return DB_CELL(runs, row, c);
    return STR_ABSENT;
}

static Str
duration_of(Arena *arena, const DbResult *runs, size_t row)
{
    int64_t ms;
    if (!str_to_i64(history_cell(runs, row, "duration_ms"), &ms))
        return STR_ABSENT;
    return str_of(str_from_duration_ms(arena, ms));
}

/* A commit by its first digits; an image, too, as `deploy` names it. */
static Str
shortened(Str revision)
{
    static const Str hash = STR("sha256:");
    size_t at = str_find_str(revision, hash);
    return at < revision.n ? str_sub(revision, at, at + hash.n + REVISION_SHOWN)
                           : str_sub(revision, 0, REVISION_SHOWN);
}

static void
print_history(Cli *cli, const DbResult *runs, StrBuf *out)
{
    static const char *const titles[] = {"STARTED", "TOOK", "OUTCOME",     "APPLIED", "FROM",
                                         "TO",      "HOST", "ENVIRONMENT", "REVISION"};
    Table table = table_new(cli->arena, "<><><<<<<", titles);
    for (size_t r = 0; r < runs->rows; r++) {
        Str revision = history_cell(runs, r, "revision");
        table_add(&table, history_cell(runs, r, "started_at"));
        table_add(&table, duration_of(cli->arena, runs, r));
        table_add(&table, history_cell(runs, r, "outcome"));
        table_add(&table, history_cell(runs, r, "applied"));
        table_add(&table, history_cell(runs, r, "from_version"));
        table_add(&table, history_cell(runs, r, "to_version"));
        table_add(&table, history_cell(runs, r, "host"));
        table_add(&table, history_cell(runs, r, "environment"));
        table_add(&table, shortened(revision));
    }
    table_print(&table, out, "", cli->stdout_color);
    for (size_t r = 0; r < runs->rows; r++) {
        Str text = output_tamed(cli->arena, history_cell(runs, r, "error"));
        if (text.n == 0)
            continue;
        strbuf_printf(out, "\n" STR_FMT ": " STR_FMT "\n",
                      STR_ARG(history_cell(runs, r, "started_at")), STR_ARG(text));
    }
}

/* The table stands in the connection's default schema or in --schema; it needs no migrations.
 * *ret_db NULL: there is no database yet. */
static bool
open_history(Cli *cli, bool look, Db **ret_db, const char **ret_schema, Error *err)
{
    RunOptions options;
    bool found;
    if (!cli_run_options(cli, &options, &found, err))
        return false;
    if (!setting_is_set(&cli->settings, SET_WAIT))
        options.wait_ms = 0;
    if (cli_is_absent_file(options.url))
        return true;
    DbFacts facts;
    if (!run_connect(cli->arena, &cli->wait, &options, "lockstep", look, ret_db, err) ||
        !db_facts(*ret_db, cli->arena, &facts, err))
        return false;
    *ret_schema = options.schema ? options.schema : facts.schema;
    return true;
}

static int
show_history(Cli *cli, int64_t limit, Error *err)
{
    AUTO_DB db = NULL;
    const char *schema = NULL;
    DbResult runs = {0};
    if (!open_history(cli, true, &db, &schema, err) ||
        (db && !run_history(cli->arena, db, schema, limit, &runs, err)))
        return error_exit_status(err);
    if (cli_option(cli, "json"))
        return output_json(cli->arena, json_history(cli->arena, &runs), err) ? 0 : 1;
    StrBuf out = strbuf_new(cli->arena, OUTPUT_CEILING);
    if (runs.rows == 0)
        strbuf_puts(&out, "No run is recorded yet.\n");
    else
        print_history(cli, &runs, &out);
    return output_write(strbuf_str(&out), err) ? 0 : 1;
}

static int
write_note(Cli *cli, const char *run_id, const char *note, Error *err)
{
    AUTO_DB db = NULL;
    const char *schema = NULL;
    if (!open_history(cli, false, &db, &schema, err))
        return error_exit_status(err);
    if (!db)
        error_set(err, ERROR_USAGE, "there is no database yet, and no run in it");
    if (!db || !run_note(db, schema, run_id, note, err))
        return error_exit_status(err);
    log_info("run.noted", "noted with run %s: %s", run_id, note);
    return 0;
}

int
cmd_history(Cli *cli, Error *err)
{
    int64_t limit;
    const char *run = cli_option(cli, "run"), *note = cli_option(cli, "note");
    if (!cli_option_i64(cli, "limit", DEFAULT_LIMIT, &limit, err))
        return error_exit_status(err);
    if (!run && !note)
        return show_history(cli, limit, err);
    if (run && *run && note && *note)
        return write_note(cli, run, note, err);
    error_set(err, ERROR_USAGE, "`--run` and `--note` belong together");
    error_hint(err, "`lockstep history --run ID --note TEXT` writes the text down with that run.");
    return error_exit_status(err);
}
