/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `run`: the container's entrypoint. Migrate, then become PROGRAM by exec; afterwards nothing of
 * lockstep remains. Every way that ends in exec ends in become().
 */

#include "cmd/migrate.h"
#include "proc/proc.h"

#include <fnmatch.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/banned.h"

/* The service gets its environment without the URL that is for migrating only. */
static const char *const migrating_only[] = {"LOCKSTEP_DATABASE_URL", "LOCKSTEP_DATABASE_URL_FILE",
                                             NULL};

/* Returns only on failure. */
static int
become(Cli *cli, char *const *envp, Error *err)
{
    (void)proc_exec(cli->said.program, envp, err);
    return error_exit_status(err);
}

static int
become_service(Cli *cli, Error *err)
{
    return become(cli, env_without(cli->arena, cli->environ_, migrating_only), err);
}

/* PROGRAM is lockstep: by name, or because it is this very file. */
static bool
is_lockstep(const char *program, const char *path)
{
    const char *slash = strrchr(program, '/');
    struct stat own, other;
    if (strcmp(slash ? slash + 1 : program, "lockstep") == 0)
        return true;
    return path && stat("/proc/self/exe", &own) == 0 && stat(path, &other) == 0 &&
           own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}

/* Migrating for a program that cannot be started would be a surprise. */
static bool
program_exists(const char *program, const char *path, Error *err)
{
    if (path != NULL)
        return true;
    if (strchr(program, '/') && access(program, F_OK) == 0) {
        error_set(err, ERROR_NOT_EXECUTABLE, "'%s' cannot be executed", program);
        return error_hint(err, "Nothing was migrated. Make it executable (chmod +x), or name its "
                               "interpreter first.");
    }
    error_set(err, ERROR_NOT_FOUND, "the program '%s' is not there", program);
    return error_hint(err, "Nothing was migrated. Correct what stands after `lockstep run --`.");
}

static bool
is_chosen(char *const *program, char *const *patterns)
{
    for (; *patterns != NULL; patterns++) {
        const char *slash = strrchr(program[0], '/');
        if (slash && fnmatch(*patterns, slash + 1, 0) == 0)
            return true;
        for (char *const *word = program; *word != NULL; word++)
            if (fnmatch(*patterns, *word, 0) == 0)
                return true;
    }
    return false;
}

/* Why there is nothing to migrate for this program; NULL = migrate. */
static const char *
reason_to_skip(Cli *cli)
{
    char **only = setting_list(&cli->settings, SET_ONLY);
    if (!setting_bool(&cli->settings, SET_MIGRATE))
        return str_printf(cli->arena, "switched off by %s",
                          cli->settings.values[SET_MIGRATE].origin);
    if (only && only[0] && !is_chosen(cli->said.program, only))
        return str_printf(cli->arena, "'%s' matches no pattern of %s", cli->said.program[0],
                          cli->settings.values[SET_ONLY].origin);
    return NULL;
}

static bool
goes_on_after(const Cli *cli, const Error *err)
{
    const char *on_failure = setting_text(&cli->settings, SET_ON_FAILURE);
    int status = error_exit_status(err);
    return on_failure && strcmp(on_failure, "continue") == 0 && status >= 1 && status <= 6;
}

int
cmd_run(Cli *cli, Error *err)
{
    const char *program = cli->said.program[0];
    char *path = proc_which(cli->arena, program, cli->environ_);
    if (is_lockstep(program, path))
        return become(cli, cli->environ_, err);
    if (!program_exists(program, path, err))
        return error_exit_status(err);

    /* Fly's release machine passes through the entrypoint: PROGRAM is what migrates. */
    const char *release = env_get(cli->environ_, "RELEASE_COMMAND");
    if (release && strcmp(release, "1") == 0) {
        log_info("migration.skipped", "Migration skipped: this is the release command's machine "
                                      "(RELEASE_COMMAND=1)");
        return become(cli, cli->environ_, err);
    }
    if (!cli_load_settings(cli, err))
        return error_exit_status(err);
    const char *reason = reason_to_skip(cli);
    if (reason) {
        log_info("migration.skipped", "Migration skipped: %s", reason);
        return become_service(cli, err);
    }

    RunReport report;
    MigrateKind kind = {.serve_health = true};
    if (!migrate_once(cli, &kind, &report, err)) {
        if (!goes_on_after(cli, err))
            return error_exit_status(err);
        log_warn("run.continued", "starting %s although the migration failed (%s)", program,
                 cli->settings.values[SET_ON_FAILURE].origin);
        error_clear(err);
        cli->failure_told = false;
    }
    return become_service(cli, err);
}
