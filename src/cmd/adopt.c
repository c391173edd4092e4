/* SPDX-License-Identifier: Apache-2.0 */
/* `baseline` and `repair`: the version table is brought in line with what a person knows. */

#include "cmd/cmd.h"
#include "cmd/output.h"

#include "core/banned.h"

static bool
needs_migrations(bool found, Error *err)
{
    if (found)
        return true;
    error_set(err, ERROR_USAGE, "there are no migrations here");
    return error_hint(err, "Name their directory with --dir.");
}

int
cmd_baseline(Cli *cli, Error *err)
{
    RunOptions options;
    bool found;
    int64_t marked;
    const char *version = cli->said.args[0];
    if (!cli_run_options(cli, &options, &found, err) || !needs_migrations(found, err) ||
        !run_baseline(cli->arena, &cli->wait, &options, version, &marked, err))
        return error_exit_status(err);
    if (marked == 0)
        log_info("baseline.nothing", "everything up to %s is applied already", version);
    else
        log_info("baseline.done", "%lld migration%s up to %s marked as applied, none was run",
                 (long long)marked, marked == 1 ? "" : "s", version);
    return 0;
}

static bool
explain(Cli *cli, const RepairItems *items, Error *err)
{
    StrBuf out = strbuf_new(cli->arena, OUTPUT_CEILING);
    if (items->n == 0)
        strbuf_puts(&out, "Nothing to repair.\n");
    for (size_t i = 0; i < items->n; i++) {
        strbuf_printf(&out, "%2zu. ", i + 1);
        output_wrap(&out, items->p[i].what, 4, 4);
        output_wrap(&out, str_printf(cli->arena, "-> %s", items->p[i].action), 0, 4);
    }
    return output_write(strbuf_str(&out), err);
}

/* ERROR_REFUSED unless somebody says yes. */
static bool
agreed(Cli *cli, size_t count, Error *err)
{
    bool yes, asked;
    if (cli_option(cli, "yes"))
        return true;
    if (!cli_confirm(cli, count == 1 ? "Repair it?" : "Repair all of these?", &yes, &asked, err))
        return false;
    if (yes)
        return true;
    error_set(err, ERROR_REFUSED, "nothing was repaired: %s",
              asked ? "the answer was no" : "there is no terminal to ask on");
    return error_hint(err, "Run `lockstep repair --yes` to do what stands above.");
}

/* The look's connection is closed before anybody is asked. */
static bool
look_for_repairs(Cli *cli, RunOptions *options, RepairItems *ret, Error *err)
{
    bool found;
    if (!cli_run_options(cli, options, &found, err) || !needs_migrations(found, err))
        return false;
    if (cli_is_absent_file(options->url))
        return true; /* where there is no database there is nothing to repair */
    AUTO_DB db = NULL;
    Survey *survey = arena_make(cli->arena, Survey);
    return run_connect(cli->arena, &cli->wait, options, "lockstep", true, &db, err) &&
           run_repair_look(cli->arena, db, options, survey, ret, err);
}

int
cmd_repair(Cli *cli, Error *err)
{
    RunOptions options;
    RepairItems items = {0};
    int64_t repaired;
    if (!look_for_repairs(cli, &options, &items, err) || !explain(cli, &items, err))
        return error_exit_status(err);
    if (items.n == 0)
        return 0;
    if (!agreed(cli, items.n, err) || !run_repair(cli->arena, &cli->wait, &options, &repaired, err))
        return error_exit_status(err);
    log_info("repair.finished", "%lld repaired; `lockstep status` shows how things stand",
             (long long)repaired);
    return 0;
}
