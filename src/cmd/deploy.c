/* SPDX-License-Identifier: Apache-2.0 */
/* `deploy`: settings become the options of one deploy. */

#include "deploy/deploy.h"
#include "cmd/cmd.h"
#include "cmd/output.h"

#include <string.h>

#include "core/banned.h"

typedef struct Printed {
    Cli *cli;
    StrBuf out;
} Printed;

static void
on_command(void *ctx, Str line)
{
    Printed *p = ctx;
    strbuf_add(&p->out, line);
    strbuf_addc(&p->out, '\n');
}

/* What was said here, by flag or variable, of how to migrate: the migration runs elsewhere, and its
 * image has a lockstep.yaml of its own. Which database is told there, too. */
static char **
settings_for_migration(const Cli *cli)
{
    static const char *const groups[] = {"migrations", "waiting", "safety"};
    VEC(char *) pairs = {0};
    for (int i = 0; i < SET_COUNT; i++) {
        const SettingRow *row = setting_row((SettingId)i);
        const SettingValue *value = &cli->settings.values[i];
        bool meant = value->from >= FROM_VARIABLE && row->variable[0] && value->text &&
                     i != SET_BACKUP && i != SET_EXPECT_ENGINE && i != SET_EXPECT_VERSION;
        bool passed = false;
        for (size_t g = 0; g < COUNT_OF(groups); g++)
            passed |= meant && strcmp(row->group, groups[g]) == 0;
        if (passed)
            *vec_push(cli->arena, &pairs) =
                str_printf(cli->arena, "%s=%s", row->variable, value->text);
    }
    *vec_push(cli->arena, &pairs) = NULL;
    return pairs.p;
}

/* From here, where the database's client tools are. */
static bool
backup(void *ctx, Error *err)
{
    Cli *cli = ctx;
    RunOptions options;
    bool found;
    char *path;
    if (!cli_run_options(cli, &options, &found, err) ||
        !backup_make(cli, &options, setting_text(&cli->settings, SET_BACKUP), &path, err))
        return error_wrap(err, "no backup, so nothing was migrated");
    log_info("backup.made", "backup: %s", path);
    return true;
}

static void
fill_options(Cli *cli, DeployOptions *o)
{
    const Settings *s = &cli->settings;
    const char *target = setting_text(s, SET_BACKUP);
    *o = (DeployOptions){
        .target = setting_text(s, SET_TARGET),
        .app = setting_text(s, SET_APP),
        .image = setting_text(s, SET_IMAGE),
        .build = setting_text(s, SET_BUILD),
        .host = setting_text(s, SET_HOST),
        .docker_host = setting_text(s, SET_DOCKER_HOST),
        .file = setting_text(s, SET_FILE),
        .health = setting_text(s, SET_HEALTH_CHECK),
        .namespace_ = setting_text(s, SET_NAMESPACE),
        .context = setting_text(s, SET_KUBE_CONTEXT),
        .container = setting_text(s, SET_CONTAINER),
        .project = setting_text(s, SET_PROJECT),
        .region = setting_text(s, SET_REGION),
        .options = setting_list(s, SET_OPTIONS),
        .env = setting_list(s, SET_ENV),
        .push = setting_bool(s, SET_PUSH),
        .push_is_set = setting_is_set(s, SET_PUSH),
        .rollback_migrations = setting_bool(s, SET_ROLLBACK_MIGRATIONS),
        .dry_run = cli_option(cli, "dry-run") != NULL,
        .verify_ms = setting_ms(s, SET_VERIFY),
        .migrate_ms = setting_ms(s, SET_MIGRATE_TIMEOUT),
        .lock_wait_ms = setting_ms(s, SET_LOCK_WAIT),
        .grace_ms = setting_ms(s, SET_GRACE),
        .expect_engine = setting_text(s, SET_EXPECT_ENGINE),
        .expect_version = setting_text(s, SET_EXPECT_VERSION),
        .settings = settings_for_migration(cli),
        .environ_ = cli->environ_,
    };
    if (target && strcmp(target, "none") != 0) {
        o->backup = backup;
        o->backup_ctx = cli;
    }
}

int
cmd_deploy(Cli *cli, Error *err)
{
    DeployOptions options;
    Printed printed = {.cli = cli, .out = strbuf_new(cli->arena, OUTPUT_CEILING)};
    fill_options(cli, &options);
    options.tell = on_command;
    options.tell_ctx = &printed;
    RunOptions none = {0};
    Background *background;
    if (!cli_open_signals(cli, err) || !background_start(cli, &none, false, &background, err))
        return error_exit_status(err);
    bool done = deploy_run(cli->arena, &cli->wait, &options, err);
    if (!done) {
        log_failure(LOG_ERROR, "deploy.failed", "Deploy failed", NULL, err); /* receivers listen */
        cli->failure_told = true;
    }
    background_stop(background);
    return done && output_write(strbuf_str(&printed.out), err) ? 0 : error_exit_status(err);
}
