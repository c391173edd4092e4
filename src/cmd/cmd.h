/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Commands: one row of the command table each (commands.c), one file each or a few. A command reads
 * its settings, asks the floors below, prints results to stdout (text tables or one JSON object),
 * and returns an exit status or fills the Error. Only this floor writes to stdout.
 */

#include "conf/database.h"
#include "conf/settings.h"
#include "core/log.h"
#include "run/run.h"

typedef struct Cli Cli;

/* Options of a command that are no settings. One name takes an argument everywhere or nowhere:
 * options may stand before COMMAND, where it is not known yet (a test walks the table). */
typedef struct CommandOption {
    const char *flag; /* "check", "steps" */
    const char *arg;  /* NULL = a switch */
    const char *help;
} CommandOption;

typedef struct Command {
    const char *name, *alias;     /* alias may be NULL */
    const char *group;            /* heading in help */
    const char *args;             /* "[OPTIONS] -- PROGRAM [ARG...]" */
    const char *summary;          /* one line */
    const char *details;          /* paragraphs for --help; may be NULL */
    const char *examples;         /* lines for --help; may be NULL */
    const CommandOption *options; /* ends with flag NULL; may be NULL */
    const char *settings;         /* groups of settings that matter to it; may be NULL */
    int min_args, max_args;       /* positional */
    bool takes_program;           /* the rest of the command line is a program */
    bool loads_settings;          /* by itself, when it sees fit, or not at all */
    bool looks;                   /* changes nothing, and shows the database itself */
    /* The exit status; with err set, the status is that of the error. */
    int (*run)(Cli *cli, Error *err);
} Command;

/* Switches that are neither settings nor a command's: every command takes them. */
typedef struct CommonOption {
    char letter;
    const char *flag, *help;
} CommonOption;

extern const CommonOption common_options[]; /* ends with flag NULL */

extern const Command commands[];       /* ends with name NULL */
const Command *command_find(Str name); /* by name or alias, NULL when there is none */

/* What the command line says, before any setting is read (args.c). */
typedef struct Invocation {
    const Command *command; /* NULL = none was named */
    bool help, version;
    FlagValues flags;
    char **args;          /* positional arguments, NULL-terminated */
    char **program;       /* NULL-terminated, NULL = none */
    const char **options; /* by index of command->options; NULL = not given, "" = switch */
} Invocation;
bool args_parse(Arena *arena, int argc, char *const *argv, Invocation *ret, Error *err) MUST_CHECK;

struct Cli {
    Arena *arena;
    Wait wait;
    char *const *environ_; /* as the process was started */
    int64_t started_ms;
    Settings settings;
    Invocation said;
    bool stdout_color;
    bool failure_told;       /* on the log already: not told again */
    const char *passed_over; /* a script of package.json that is never run; NULL = none was found */
};

/* main.c calls this: parse, load settings, set up the log, dispatch. Exit status. */
int cli_main(int argc, char **argv, char **environ_);
/* Settings, log, fault points. Commands with `loads_settings` call it themselves. */
bool cli_load_settings(Cli *cli, Error *err) MUST_CHECK;
/* Log options as the settings say, with a tap for events (NULL = none). */
LogOptions cli_log_options(const Cli *cli);
const char *cli_option(const Cli *cli, const char *flag); /* "" for a switch, NULL = not given */
bool cli_option_i64(const Cli *cli, const char *flag, int64_t fallback, int64_t *ret, Error *err)
    MUST_CHECK; /* a number of at least 1 */
/* Asks on the terminal. *ret_asked false: there is nobody to ask (and *ret_yes is false). */
bool
cli_confirm(Cli *cli, const char *question, bool *ret_yes, bool *ret_asked, Error *err) MUST_CHECK;

/* ---- context.c: what most commands begin with ---- */

/* What there is to migrate here, looked for once. */
typedef struct Migrations {
    bool found;
    const Project *project; /* somebody else's tool; NULL = SQL files */
    const Project *owner;   /* the tool whose files say which database; NULL = none */
    SourceOptions source;   /* SQL files */
    const Source *looked;   /* the look, where one was taken */
} Migrations;
bool cli_find_migrations(Cli *cli, Migrations *ret, Error *err) MUST_CHECK;
/* What to say behind "there are no migrations here": why a script is none, or nothing. */
const char *cli_why_none(const Cli *cli);
typedef struct UrlChoice {
    DbUrl url;
    char *from; /* NULL: the default; of a project: nothing names one, and `url` is not set */
    char *why;  /* then: what the framework said that was asked; NULL = nothing */
    Str handed; /* what a tool has to be given; absent = it knows */
} UrlChoice;
bool cli_url(Cli *cli, const Migrations *m, UrlChoice *ret, Error *err) MUST_CHECK;
/* Both, and all settings of a run. From here on signals arrive through the Wait. */
bool cli_run_options(Cli *cli, RunOptions *ret, bool *ret_found, Error *err) MUST_CHECK;
/* The same for what leaves an image without migrations alone: `url` is NULL there, unless a setting
 * of lockstep's own names it. */
bool cli_migrate_options(Cli *cli, RunOptions *ret, bool *ret_found, Error *err) MUST_CHECK;
bool cli_open_signals(Cli *cli, Error *err) MUST_CHECK;

/* A look that changes nothing and leaves nothing behind. */
typedef struct Look {
    RunOptions options;
    bool found;     /* false: nothing to migrate here; database and survey were left alone */
    bool absent;    /* an SQLite file that is not there yet: surveyed as an empty database */
    Db *db;         /* NULL when !found; db_close'd by look_close */
    Survey *survey; /* NULL when !found */
} Look;
bool cli_is_absent_file(const DbUrl *url); /* SQLite, and the file is not there (yet) */
bool look_open(Cli *cli, bool check_content, Look *ret, Error *err) MUST_CHECK;
void look_close(Look *look);
const char *look_tool(const Look *look);               /* "sql", "django", "none" */
struct json_t *look_format(const Look *look);          /* null but for SQL files */
void look_print_source(const Look *look, StrBuf *out); /* a line: directory or tool */
#define AUTO_LOOK CLEANUP(look_close) Look

/* ---- background.c: beside a run, probes are answered, events posted, progress drawn ---- */

typedef struct Background Background;
bool background_start(
    Cli *cli, RunOptions *options, bool serve_health, Background **ret, Error *err) MUST_CHECK;
void background_stop(Background *b); /* NULL is fine; the health port is free afterwards */

/* ---- help.c, man.c, completion.c ---- */

/* What help and manual pages both say. */
extern const char help_about[], help_start[], help_usage[], help_strength[];
/* Keys of lockstep.yaml that are no settings. */
typedef struct FilePart {
    const char *name, *form, *help;
} FilePart;
extern const FilePart file_parts[]; /* ends with name NULL */

bool help_starts_group(const Command *command); /* the first of its group in the table */
/* The first setting of its group, and the group is in `list` ("*", "database,output", NULL). */
bool help_starts_settings(const char *list, SettingId id);
bool help_shows_no(const SettingRow *row);            /* --no-FLAG is worth telling */
char *help_exit_status(Arena *arena, ErrorCode code); /* "0", "128+N" */

void help_overview(StrBuf *out, bool color);
void help_command(StrBuf *out, const Command *command, bool color);
void help_settings(StrBuf *out, bool color);
void help_version(Arena *arena, StrBuf *out);
/* The roff of lockstep(1) (NULL), of a command's page, of "lockstep.yaml"; false for any other. */
bool man_write(StrBuf *out, const char *topic);
/* Prose as roff: `code` is bold, and no other character means anything to roff. Ends its line. */
void man_text(StrBuf *out, const char *text);
/* "bash", "zsh", "fish"; false for any other. */
bool completion_write(StrBuf *out, const char *shell);

/* ---- the commands ---- */

int cmd_run(Cli *cli, Error *err);
int cmd_migrate(Cli *cli, Error *err);
int cmd_plan(Cli *cli, Error *err);
int cmd_status(Cli *cli, Error *err);
int cmd_rollback(Cli *cli, Error *err);
int cmd_wait(Cli *cli, Error *err);
int cmd_history(Cli *cli, Error *err);
int cmd_detect(Cli *cli, Error *err);
int cmd_detect_image(Cli *cli, const char *name, Error *err);
int cmd_check(Cli *cli, Error *err);
int cmd_deploy(Cli *cli, Error *err);
int cmd_new(Cli *cli, Error *err);
int cmd_baseline(Cli *cli, Error *err);
int cmd_repair(Cli *cli, Error *err);
int cmd_backup(Cli *cli, Error *err);
int cmd_restore(Cli *cli, Error *err);
int cmd_init(Cli *cli, Error *err);
int cmd_help(Cli *cli, Error *err);
int cmd_version(Cli *cli, Error *err);
int cmd_completion(Cli *cli, Error *err);

/* history.c: a cell of run_history's result by its column. */
Str history_cell(const DbResult *runs, size_t row, const char *column);

/* backup.c: of the database to `target` (a file, or a directory with a slash at its end, or NULL:
 * the current directory). *ret_path is where it went. */
bool backup_make(Cli *cli,
                 const RunOptions *options,
                 const char *target,
                 char **ret_path,
                 Error *err) MUST_CHECK;
