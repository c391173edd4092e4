/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From argv to an exit status: parse, load settings, set up the log, dispatch, and say what went
 * wrong once, in the place that knows what the user asked for.
 */

#include "cmd/cmd.h"
#include "cmd/output.h"
#include "core/clock.h"
#include "core/fault.h"
#include "proc/proc.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/banned.h"

const char *
cli_option(const Cli *cli, const char *flag)
{
    const CommandOption *options = cli->said.command->options;
    for (size_t i = 0; options && options[i].flag; i++)
        if (strcmp(options[i].flag, flag) == 0)
            return cli->said.options[i];
    return NULL;
}

bool
cli_option_i64(const Cli *cli, const char *flag, int64_t fallback, int64_t *ret, Error *err)
{
    const char *text = cli_option(cli, flag);
    int64_t number = fallback;
    if (text && (!str_to_i64(str_of(text), &number) || number < 1)) {
        error_set(err, ERROR_USAGE, "'%s' is no value for '--%s'", text, flag);
        return error_hint(err, "Give a whole number of at least 1.");
    }
    *ret = number;
    return true;
}

/* Signals may arrive through a descriptor by now: a plain read would not end on Ctrl-C. */
bool
cli_confirm(Cli *cli, const char *question, bool *ret_yes, bool *ret_asked, Error *err)
{
    *ret_yes = false;
    *ret_asked = isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
    if (!*ret_asked)
        return true;
    char answer[16];
    dprintf(STDERR_FILENO, "%s [y/N] ", question);
    if (wait_fd(&cli->wait, STDIN_FILENO, POLLIN, -1, err) != WAIT_READY)
        return false;
    ssize_t n = read(STDIN_FILENO, answer, sizeof answer);
    Str said = str_trim((Str){answer, n > 0 ? (size_t)n : 0});
    *ret_yes = str_eq_nocase(said, STR("y")) || str_eq_nocase(said, STR("yes"));
    return true;
}

static bool
wants_color(const char *setting, const char *no_color, int fd, char *const *environ_)
{
    const char *term = env_get(environ_, "TERM");
    if (setting && strcmp(setting, "always") == 0)
        return true;
    if (setting && strcmp(setting, "never") == 0)
        return false;
    return isatty(fd) && !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0);
}

/* The last `FLAG VALUE` or `FLAG=VALUE` before `--`, whatever else the command line holds. */
static const char *
flag_text(char *const *argv, const char *flag, const char *fallback)
{
    size_t n = strlen(flag);
    for (argv++; *argv && strcmp(*argv, "--") != 0; argv++) {
        if (strncmp(*argv, flag, n) != 0)
            continue;
        if ((*argv)[n] == '=')
            fallback = *argv + n + 1;
        else if (!(*argv)[n] && argv[1])
            fallback = argv[1];
    }
    return fallback;
}

/* For what goes wrong before the settings are known, a command line that cannot be parsed included,
 * and for commands that read none. */
static void
log_early(char *const *argv, char *const *environ_)
{
    const char *format = flag_text(argv, "--log", env_get(environ_, "LOCKSTEP_LOG"));
    LogOptions options = {.level = LOG_INFO};
    options.format = format && strcmp(format, "json") == 0 ? LOG_JSON : LOG_TEXT;
    options.color = wants_color(flag_text(argv, "--color", NULL), env_get(environ_, "NO_COLOR"),
                                STDERR_FILENO, environ_);
    log_setup(&options);
}

LogOptions
cli_log_options(const Cli *cli)
{
    static const char *const levels[] = {
        [LOG_ERROR] = "error", [LOG_WARN] = "warn", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"};
    LogOptions options = {.level = LOG_INFO};
    const char *level = setting_text(&cli->settings, SET_LOG_LEVEL);
    for (size_t i = 0; level && i < COUNT_OF(levels); i++)
        if (strcmp(level, levels[i]) == 0)
            options.level = (LogLevel)i;
    const char *format = setting_text(&cli->settings, SET_LOG);
    options.format = format && strcmp(format, "json") == 0 ? LOG_JSON : LOG_TEXT;
    options.color = wants_color(setting_text(&cli->settings, SET_COLOR),
                                env_get(cli->environ_, "NO_COLOR"), STDERR_FILENO, cli->environ_);
    return options;
}

bool
cli_load_settings(Cli *cli, Error *err)
{
    if (!settings_load(cli->arena, &cli->said.flags, cli->environ_, &cli->settings, err))
        return false;
    LogOptions options = cli_log_options(cli);
    log_setup(&options);
    cli->stdout_color =
        wants_color(setting_text(&cli->settings, SET_COLOR), env_get(cli->environ_, "NO_COLOR"),
                    STDOUT_FILENO, cli->environ_);
    for (char **w = cli->settings.warnings; w && *w; w++)
        log_warn("settings.unknown", "%s", *w);
#ifdef LOCKSTEP_FAULTS
    fault_setup(env_get(cli->environ_, "LOCKSTEP_FAULT"));
#endif
    return true;
}

static int
dispatch(Cli *cli, Error *err)
{
    const Command *command = cli->said.command;
    if (cli->said.version)
        return cmd_version(cli, err);
    if (command && !cli->said.help) {
        if (!command->loads_settings && !cli_load_settings(cli, err))
            return 2;
        return command->run(cli, err);
    }
    StrBuf out = strbuf_new(cli->arena, OUTPUT_CEILING);
    if (command)
        help_command(&out, command, cli->stdout_color);
    else
        help_overview(&out, cli->stdout_color);
    if (!output_write(strbuf_str(&out), err))
        return 1;
    /* A bare `lockstep` did not do what somebody wanted: the status says so, the table what to. */
    return cli->said.help ? 0 : error_code_status(ERROR_USAGE);
}

int
cli_main(int argc, char **argv, char **environ_)
{
    SCRATCH_ARENA(arena);
    Cli cli = {.arena = arena, .wait = wait_init(), .environ_ = environ_, .started_ms = clock_ms()};
    Error err = ERROR_INIT;
    int status = 0;
    if (argc > 0)
        log_early(argv, environ_);
    if (args_parse(arena, argc, argv, &cli.said, &err)) {
        cli.stdout_color =
            wants_color(NULL, env_get(environ_, "NO_COLOR"), STDOUT_FILENO, environ_);
        status = dispatch(&cli, &err);
    }
    if (err.code == ERROR_NONE)
        return status;
    if (!cli.failure_told)
        log_failure(LOG_ERROR, "error", "", NULL, &err);
    return error_exit_status(&err);
}
