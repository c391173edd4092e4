/* SPDX-License-Identifier: Apache-2.0 */
/* `wait`: until the database answers, until nothing is pending, or until a service answers. */

#include "cmd/cmd.h"
#include "core/clock.h"
#include "run/http.h"

#include <string.h>

#include "core/banned.h"

enum { ANSWER_MS = 5000, POLL_MIN_MS = 200, POLL_MAX_MS = 2000 };

typedef struct Sight {
    PlanState state;
    size_t pending;
    bool unknown; /* only the tool itself could tell */
} Sight;

/* One look. The connection is not kept: it might wait for hours, and a pool has better use for it.
 * False with err set: it could not be taken. */
static bool
look_once(Cli *cli, RunOptions *options, int64_t deadline_ms, Sight *ret, Error *err)
{
    SCRATCH_ARENA(scratch);
    AUTO_DB db = NULL;
    int64_t left_ms = deadline_ms - clock_ms();
    Survey survey = {0};
    options->wait_ms = left_ms > 0 ? left_ms : 0;
    if (!run_connect(scratch, &cli->wait, options, "lockstep", true, &db, err) ||
        !run_survey(scratch, db, options, false, &survey, err))
        return false;
    *ret = (Sight){
        .state = survey.plan.state, .pending = survey.plan.pending.n, .unknown = survey.unknown};
    return true;
}

static bool
is_up_to_date(const Sight *sight)
{
    return sight->state == PLAN_NONE || sight->state == PLAN_CURRENT || sight->state == PLAN_AHEAD;
}

/* A restarting server, a table that is being made, a database that is not there yet. */
static bool
may_pass(const Error *err)
{
    return err->cls == ERROR_CLASS_CONNECTION || err->cls == ERROR_CLASS_LOCK_TIMEOUT ||
           err->cls == ERROR_CLASS_NO_DATABASE;
}

static const char *
lacking(Arena *arena, const Sight *sight)
{
    if (sight->state == PLAN_FAILED)
        return "something that failed has to be cleared (see `lockstep status`)";
    if (sight->pending)
        return str_printf(arena, "%zu pending", sight->pending);
    return sight->unknown ? "no run with these files has succeeded yet"
                          : "the database is not there yet";
}

static bool
not_in_time(Cli *cli, const RunOptions *options, const Sight *sight, Error *err)
{
    if (err->code != ERROR_NONE && !cli_is_absent_file(options->url))
        return false;
    error_clear(err);
    error_set(err, ERROR_NOT_CURRENT, "the schema is not up to date: %s",
              lacking(cli->arena, sight));
    return error_hint(err, "Run `lockstep migrate`, or wait longer with --wait.");
}

static bool
wait_for_schema(Cli *cli, RunOptions *options, int64_t deadline_ms, Error *err)
{
    bool told = false;
    for (int tries = 0;; tries++) {
        Sight sight = {0};
        bool seen = look_once(cli, options, deadline_ms, &sight, err);
        if (!seen && !may_pass(err))
            return false;
        if (seen && is_up_to_date(&sight)) {
            log_info("wait.done", "the schema is up to date (%s)", plan_state_name(sight.state));
            return true;
        }
        if (seen && !told)
            log_info("wait.schema", "waiting for the schema: %s", lacking(cli->arena, &sight));
        told = told || seen;
        int64_t left_ms = deadline_ms - clock_ms();
        if (left_ms <= 0)
            return not_in_time(cli, options, &sight, err);
        int64_t delay_ms = clock_backoff_ms(tries, POLL_MIN_MS, POLL_MAX_MS);
        error_clear(err);
        if (!wait_sleep(&cli->wait, delay_ms < left_ms ? delay_ms : left_ms, err))
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

/* A service that is starting refuses, or answers that something behind it is missing. */
static bool
wait_for_answer(Cli *cli, const char *url, Error *err)
{
    int64_t deadline_ms = cli->started_ms + setting_ms(&cli->settings, SET_WAIT);
    if (!cli_open_signals(cli, err))
        return false;
    for (int tries = 0;; tries++) {
        long status = 0;
        error_clear(err);
        bool answered = http_ask(&cli->wait, url, ANSWER_MS, &status, err);
        if (answered && status >= 200 && status < 400) {
            log_info("wait.done", "%s answers %ld", url, status);
            return true;
        }
        if (!answered && err->code != ERROR_UNREACHABLE)
            return false;
        int64_t left_ms = deadline_ms - clock_ms(), delay_ms;
        if (left_ms <= 0)
            return answered ? error_set(err, ERROR_NOT_CURRENT, "%s answers %ld", url, status)
                            : false;
        delay_ms = clock_backoff_ms(tries, POLL_MIN_MS, POLL_MAX_MS);
        if (!wait_sleep(&cli->wait, delay_ms < left_ms ? delay_ms : left_ms, err))
            return false;
    }
}

int
cmd_wait(Cli *cli, Error *err)
{
    const char *target = cli_option(cli, "for");
    if (target && http_is_url(target))
        return wait_for_answer(cli, target, err) ? 0 : 1;
    bool schema = target && strcmp(target, "schema") == 0;
    if (target && !schema && strcmp(target, "database") != 0) {
        error_set(err, ERROR_USAGE, "'%s' is nothing to wait for", target);
        error_hint(err, "Write `--for database`, `--for schema`, or `--for URL`.");
        return 2;
    }
    RunOptions options;
    bool found;
    if (schema ? !cli_migrate_options(cli, &options, &found, err)
               : !cli_run_options(cli, &options, &found, err))
        return error_exit_status(err);
    if (schema && !found) {
        log_info("wait.done", "there are no migrations here: nothing to wait for");
        return 0;
    }
    if (schema)
        return wait_for_schema(cli, &options, cli->started_ms + options.wait_ms, err) ? 0 : 1;
    return wait_for_database(cli, &options, err) ? 0 : 1;
}
