/* SPDX-License-Identifier: Apache-2.0 */
/* `migrate` and `rollback`, and what `run` shares with them. */

#include "cmd/migrate.h"
#include "cmd/check.h"

#include <string.h>

#include "core/banned.h"

typedef struct BackupContext {
    Cli *cli;
    const RunOptions *options;
    const char *target;
} BackupContext;

static bool
backup_before(void *ctx, Error *err)
{
    const BackupContext *b = ctx;
    char *path;
    if (!backup_make(b->cli, b->options, b->target, &path, err))
        return error_wrap(err, "no backup, so nothing was migrated");
    log_info("backup.made", "backup: %s", path);
    return true;
}

static void
tell_failure(Cli *cli, bool rollback, const RunReport *report, const Error *err)
{
    bool led = report && report->run_id[0];
    LogField fields[] = {LOG_STR("run_id", led ? str_of(report->run_id) : STR_ABSENT), {0}};
    if (!cli->failure_told)
        log_failure(LOG_ERROR, "migration.failed",
                    rollback ? "Rollback failed" : "Migration failed", led ? fields : NULL, err);
    cli->failure_told = true;
}

static bool
migrate_found(Cli *cli, RunOptions *options, bool serve_health, RunReport *ret, Error *err)
{
    BackupContext backup = {
        .cli = cli, .options = options, .target = setting_text(&cli->settings, SET_BACKUP)};
    if (backup.target && strcmp(backup.target, "none") != 0) {
        options->before = backup_before;
        options->before_ctx = &backup;
    }
    Background *background;
    if (!background_start(cli, options, serve_health, &background, err))
        return false;
    bool ok = run_migrations(cli->arena, &cli->wait, options, ret, err);
    if (!ok)
        tell_failure(cli, options->rollback, ret, err); /* while receivers listen */
    background_stop(background);
    options->before = NULL; /* its context ends here */
    options->before_ctx = NULL;
    return ok;
}

bool
migrate_once(Cli *cli, const MigrateKind *kind, RunReport *ret, Error *err)
{
    RunOptions options;
    bool found;
    bool ok = cli_migrate_options(cli, &options, &found, err);
    if (ok && !kind->rollback && setting_bool(&cli->settings, SET_PREFLIGHT))
        ok = check_preflight(cli, err);
    if (ok && !found) {
        log_info("migration.skipped", "Migration skipped: there are no migrations here%s",
                 cli_why_none(cli));
        *ret = (RunReport){.outcome = RUN_NOTHING};
        return true;
    }
    if (ok && kind->only_reversible && options.project) {
        ok =
            error_set(err, ERROR_REFUSED, "migrations of %s do not say whether they are reversible",
                      options.project->tool->title);
        error_hint(err, "Only SQL files can: `-- lockstep: reversible`. Without --reversible they "
                        "are undone all the same.");
    }
    if (ok) {
        options.rollback = kind->rollback;
        options.steps = kind->steps;
        options.to = kind->to;
        options.only_reversible = kind->only_reversible;
        ok = migrate_found(cli, &options, kind->serve_health, ret, err);
    }
    if (!ok)
        tell_failure(cli, kind->rollback, NULL, err);
    return ok;
}

int
cmd_migrate(Cli *cli, Error *err)
{
    if (cli_option(cli, "dry-run"))
        return cmd_plan(cli, err);
    if (cli_option(cli, "json")) {
        error_set(err, ERROR_USAGE, "option '--json' of `migrate` needs '--dry-run'");
        error_hint(err, "For a machine-readable log of a real run, use --log json.");
        return 2;
    }
    RunReport report;
    MigrateKind kind = {0};
    return migrate_once(cli, &kind, &report, err) ? 0 : 1;
}

int
cmd_rollback(Cli *cli, Error *err)
{
    RunReport report;
    MigrateKind kind = {.rollback = true, .to = cli_option(cli, "to")};
    if (kind.to && cli_option(cli, "steps")) {
        error_set(err, ERROR_USAGE, "'--steps' and '--to' exclude each other");
        error_hint(err, "Say how many migrations to undo, or which version to go back to.");
        return 2;
    }
    kind.only_reversible = cli_option(cli, "reversible") != NULL;
    if (!cli_option_i64(cli, "steps", 1, &kind.steps, err))
        return 2;
    return migrate_once(cli, &kind, &report, err) ? 0 : 1;
}
