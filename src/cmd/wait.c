/* SPDX-License-Identifier: Apache-2.0 */
/* `wait`: until the database answers, or until nothing is pending. */

#include "cmd/cmd.h"
#include "core/clock.h"

#include <string.h>

#include "core/banned.h"

enum { POLL_MIN_MS = 200, POLL_MAX_MS = 2000 };

/* One look. False with err set: it could not be taken. */
static bool
look_once(Cli *cli,
          RunOptions *options,
          int64_t deadline_ms,
          bool *ret_current,
          Plan *ret_plan,
          Error *err)
{
    AUTO_DB db = NULL;
    int64_t left_ms = deadline_ms - clock_ms();
    options->wait_ms = left_ms > 0 ? left_ms : 0;
    if (!run_connect(cli->arena, &cli->wait, options, "lockstep", true, &db, err))
        return false;
    Survey *survey = arena_make(cli->arena, Survey);
    if (!run_survey(cli->arena, db, options, false, survey, err))
        return false;
    *ret_plan = survey->plan;
    *ret_current = survey->plan.state == PLAN_NONE || survey->plan.state == PLAN_CURRENT ||
                   survey->plan.state == PLAN_AHEAD;
    return true;
}

/* The connection is not kept: it might wait for hours, and a pool has better use for it. What may
 * pass by itself (a restarting server, a table that is being made) is looked at again. */
static bool
wait_for_schema(Cli *cli, RunOptions *options, int64_t deadline_ms, Error *err)
{
    bool told = false;
    for (int tries = 0;; tries++) {
        bool current = false;
        Plan plan = {0};
        if (look_once(cli, options, deadline_ms, &current, &plan, err)) {
            if (current) {
                log_info("wait.done", "the schema is up to date (%s)", plan_state_name(plan.state));
                return true;
            }
            if (!told)
                log_info("wait.schema", "waiting for the schema: %zu pending", plan.pending.n);
            told = true;
        } else if (err->cls != ERROR_CLASS_CONNECTION && err->cls != ERROR_CLASS_LOCK_TIMEOUT &&
                   err->cls != ERROR_CLASS_NO_DATABASE) {
            return false;
        }
        int64_t delay_ms = clock_backoff_ms(tries, POLL_MIN_MS, POLL_MAX_MS);
        if (clock_ms() + delay_ms > deadline_ms) {
            if (err->code != ERROR_NONE && !cli_is_absent_file(options->url))
                return false;
            error_clear(err);
            error_set(err, ERROR_NOT_CURRENT, "the schema is not up to date: %s",
                      plan.pending.n ? str_printf(cli->arena, "%zu pending", plan.pending.n)
                                     : "the database is not there yet");
            return error_hint(err, "Run `lockstep migrate`, or wait longer with --wait.");
        }
        error_clear(err);
        if (!wait_sleep(&cli->wait, delay_ms, err))
            return false;
    }
}

static bool
wait_for_database(Cli *cli, const RunOptions *options, Error *err)
{
    AUTO_DB db = NULL;
    /* No server to wait for: migrating will make the file. */
    if (cli_is_absent_file(options->url)) {
        log_info("wait.done", "%s is not there yet; `lockstep migrate` makes it",
                 options->url->display);
        return true;
    }
    if (!run_connect(cli->arena, &cli->wait, options, "lockstep", true, &db, err))
        return false;
    log_info("wait.done", "the database answers: %s", options->url->display);
    return true;
}

int
cmd_wait(Cli *cli, Error *err)
{
    const char *target = cli_option(cli, "for");
    bool schema = target && strcmp(target, "schema") == 0;
    if (target && !schema && strcmp(target, "database") != 0) {
        error_set(err, ERROR_USAGE, "'%s' is nothing to wait for", target);
        error_hint(err, "Write `--for database` or `--for schema`.");
        return 2;
    }
    RunOptions options;
    bool found;
    if (!cli_run_options(cli, &options, &found, err))
        return error_exit_status(err);
    if (schema && !found) {
        log_info("wait.done", "there are no migrations here: nothing to wait for");
        return 0;
    }
    if (schema)
        return wait_for_schema(cli, &options, cli->started_ms + options.wait_ms, err) ? 0 : 1;
    return wait_for_database(cli, &options, err) ? 0 : 1;
}
