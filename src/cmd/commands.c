/* SPDX-License-Identifier: Apache-2.0 */
/* The one table of commands: dispatch, help, completion and suggestions read it. */

#include "cmd/cmd.h"
#include "cmd/findings.h"

#include "core/banned.h"

#define OPTION_JSON                                                                                \
    {                                                                                              \
        "json", NULL, "print one JSON object instead of text"                                      \
    }
#define OPTION_YES                                                                                 \
    {                                                                                              \
        "yes", NULL, "do not ask first"                                                            \
    }
#define OPTIONS_END                                                                                \
    {                                                                                              \
        NULL, NULL, NULL                                                                           \
    }

static const CommandOption migrate_options[] = {
    {"dry-run", NULL, "change nothing: show what would be done, as `lockstep plan` does"},
    {"json", NULL, "with --dry-run: print one JSON object instead of text"},
    OPTIONS_END,
};

static const CommandOption deploy_options[] = {
    {"dry-run", NULL, "change nothing, ask nobody: print the commands that would be run"},
    OPTIONS_END,
};

static const CommandOption check_options[] = {
    {"json", NULL, "print one JSON object"},
    {"format", FINDINGS_FORMS, "for people, programs, or a forge's annotations and reports"},
    {NULL, NULL, NULL},
};
static const CommandOption json_only[] = {
    OPTION_JSON,
    OPTIONS_END,
};

static const CommandOption status_options[] = {
    {"check", NULL,
     "let the exit status tell: 0 up to date, 3 something is pending, 6 an applied "
     "file was changed or is missing, 1 a migration failed"},
    {"all", NULL, "list every applied migration, not just the newest"},
    OPTION_JSON,
    OPTIONS_END,
};

static const CommandOption rollback_options[] = {
    {"steps", "N", "how many migrations to undo, newest first (default: 1)"},
    {"to", "VERSION", "undo everything after VERSION, which stays; `0` undoes everything"},
    {"reversible", NULL,
     "refuse, before anything is undone, unless each has a line `-- lockstep: reversible`"},
    OPTIONS_END,
};

static const CommandOption wait_options[] = {
    {"for", "database|schema|URL",
     "what to wait for: the database answers (the default), nothing is pending, or what stands at "
     "the URL answers 200 to 399"},
    OPTIONS_END,
};

static const CommandOption history_options[] = {
    {"limit", "N", "how many runs to show (default: 20)"},
    {"run", "ID", "the run that a note is about"},
    {"note", "TEXT", "write it down with that run, for whoever reads the history; shows nothing"},
    OPTION_JSON,
    OPTIONS_END,
};

static const CommandOption yes_only[] = {
    OPTION_YES,
    OPTIONS_END,
};

static const CommandOption init_options[] = {
    {"port", "N", "where the service listens (default: EXPOSE of the Dockerfile, or 8080)"},
    {"from", "REF", "the image that the Dockerfile copies lockstep from"},
    {"force", NULL, "replace files that are there"},
    {"stdout", NULL, "print the files and write none"},
    OPTIONS_END,
};

static const CommandOption help_options[] = {
    {"man", NULL,
     "print the manual page as roff: that of COMMAND, of `lockstep.yaml`, or of lockstep itself"},
    OPTIONS_END,
};

const CommonOption common_options[] = {
    {'h', "help", "show help; after a command, that command's own"},
    {'V', "version", "show the version and those of the libraries in use"},
    {'q', "quiet", "log errors only"},
    {'v', "verbose", "log details too"},
    {0},
};

const Command commands[] = {
    {
        .name = "run",
        .group = "Deploy",
        .args = "[OPTIONS] -- PROGRAM [ARG...]",
        .summary = "Migrate once across all replicas, then become PROGRAM.",
        .details =
            "For container entrypoints. However many replicas start at once, one of them applies "
            "what is pending and the others wait for it; then each becomes PROGRAM by exec, with "
            "the same process id, so that signals and the exit status are PROGRAM's own. With "
            "nothing to do it costs one connection.\n\n"
            "LOCKSTEP_DATABASE_URL is for migrating only: it is taken out of PROGRAM's "
            "environment, so that the service can run with a weaker role.\n\n"
            "When the migration fails PROGRAM is not started, unless --on-failure continue says "
            "so.",
        .examples = "lockstep run -- node server.js\n"
                    "lockstep run --wait 2m --health 8080 -- gunicorn app:app\n"
                    "ENTRYPOINT [\"/usr/local/bin/lockstep\", \"run\", \"--\"]   in a Dockerfile",
        .settings = "database,migrations,run,waiting,safety,checks,output",
        .takes_program = true,
        .loads_settings = true,
        .run = cmd_run,
    },
    {
        .name = "migrate",
        .alias = "up",
        .group = "Deploy",
        .args = "[OPTIONS]",
        .summary = "Apply what is pending, once, and exit.",
        .details = "For release phases, pre-deploy jobs, init containers and CI steps. Safe to "
                   "start several times at once: one process applies, the others wait and share "
                   "its outcome. A migration that failed half-way is resumed at the statement that "
                   "failed.",
        .examples = "lockstep migrate\n"
                    "lockstep migrate --dir db/migrations --url sqlite:app.db\n"
                    "lockstep migrate --dry-run",
        .options = migrate_options,
        .settings = "database,migrations,waiting,safety,checks,output",
        .run = cmd_migrate,
    },
    {
        .name = "wait",
        .group = "Deploy",
        .args = "[--for database|schema]",
        .summary = "Block until the database answers, or the schema is up to date.",
        .details = "Waits for as long as --wait says. Exit status 4 when the database did not "
                   "answer in time, 3 when the schema was not up to date in time.",
        .examples = "lockstep wait\n"
                    "lockstep wait --for schema --wait 5m",
        .options = wait_options,
        .settings = "database,migrations,waiting",
        .looks = true,
        .run = cmd_wait,
    },
    {
        .name = "deploy",
        .group = "Deploy",
        .args = "[OPTIONS]",
        .summary = "Build, migrate, release, verify; put back when that fails.",
        .details =
            "The whole deploy, on the platform that --target names. The migration runs there, from "
            "the image that is deployed, with the service's own configuration; nothing new serves "
            "unless it succeeded. When the new release does not become healthy, the old one is put "
            "back (exit status 7; 8 where that fails too), and it is said where schema and app "
            "stand. A deploy that was killed is continued or undone by the next one.\n\n"
            "What is deployed stands in lockstep.yaml under `deploy:`, or in the options below. A "
            "secret is handed to the migration by its variable's name (--env), never by value.",
        .examples = "lockstep deploy --target docker --app web --image shop/web:42\n"
                    "lockstep deploy --dry-run\n"
                    "lockstep deploy --build . --image registry.example/shop/web:$GIT_SHA",
        .options = deploy_options,
        .settings = "deploy,migrations,waiting,safety,output",
        .run = cmd_deploy,
    },
    {
        .name = "status",
        .group = "Look",
        .args = "[OPTIONS]",
        .summary = "What is applied, pending, changed, missing, failed, ahead.",
        .details = "Changes nothing and needs no more than the right to read.",
        .examples = "lockstep status\n"
                    "lockstep status --check || echo 'not up to date'\n"
                    "lockstep status --json",
        .options = status_options,
        .settings = "database,migrations",
        .looks = true,
        .run = cmd_status,
    },
    {
        .name = "plan",
        .group = "Look",
        .args = "[OPTIONS]",
        .summary = "What `migrate` would do now, statement by statement.",
        .details = "Changes nothing. Shows each pending file, its statements, and what is "
                   "committed together.",
        .examples = "lockstep plan\n"
                    "lockstep plan --json",
        .options = json_only,
        .settings = "database,migrations",
        .looks = true,
        .run = cmd_plan,
    },
    {
        .name = "history",
        .group = "Look",
        .args = "[OPTIONS]",
        .summary = "Past runs: who, when, what, how long, outcome.",
        .examples = "lockstep history\n"
                    "lockstep history --limit 5 --json\n"
                    "lockstep history --run 20260115093000-4f2a91c0 --note 'put back by hand'",
        .options = history_options,
        .settings = "database",
        .looks = true,
        .run = cmd_history,
    },
    {
        .name = "detect",
        .group = "Look",
        .args = "[OPTIONS]",
        .summary = "Which migrations and which database were found, and why.",
        .details =
            "Connects to no database and shows no secret. With `--image REF` or `--image FILE` "
            "it looks into a container image instead: one that the engine has, or a file "
            "that `docker save` wrote. Nothing of it is run.",
        .examples = "lockstep detect\n"
                    "lockstep detect --image registry.example/app:7 --json",
        .options = json_only,
        .settings = "database,migrations",
        .looks = true,
        .run = cmd_detect,
    },
    {
        .name = "check",
        .group = "Look",
        .args = "[OPTIONS]",
        .summary = "What would go wrong at deploy: configuration, files, privileges.",
        .details =
            "Looks at the database (pooler, too strong a role, what failed or was edited), at "
            "the files (not committed, kept out of the image), at scripts that migrate by "
            "hand or make migrations, at the files of platforms, pipelines and charts, and asks "
            "the framework for its own deploy check. docs/checks.md lists the rules. "
            "Changes nothing. Exit status 6 when it finds an error; --preflight makes "
            "`migrate` and `run` do it first.",
        .examples = "lockstep check\n"
                    "lockstep check --format github\n"
                    "lockstep check --ignore tag-latest --ignore ttl\n"
                    "lockstep check --fail-level WARNING",
        .options = check_options,
        .settings = "database,migrations,checks",
        .looks = true,
        .run = cmd_check,
    },
    {
        .name = "new",
        .group = "Change",
        .args = "NAME",
        .summary = "Create the next migration in the directory's own format.",
        .details = "Prints the path of each file that it wrote.",
        .examples = "lockstep new add_email_to_users\n"
                    "lockstep new --dir db/migrations --format dbmate create_users",
        .settings = "database,migrations",
        .min_args = 1,
        .max_args = 1,
        .run = cmd_new,
    },
    {
        .name = "rollback",
        .group = "Change",
        .args = "[--steps N | --to VERSION]",
        .summary = "Undo migrations, newest first (one, unless told otherwise).",
        .details = "Runs the down part of each migration. Nothing is undone when one of them has "
                   "none. Other tools roll back by their own commands, step by step where they "
                   "know no versions; for Django a version is of one app, blog.0002_posts or "
                   "blog.zero. docs/tools.md says which can.",
        .examples = "lockstep rollback\n"
                    "lockstep rollback --steps 3\n"
                    "lockstep rollback --to 20240101000000",
        .options = rollback_options,
        .settings = "database,migrations,waiting,safety",
        .run = cmd_rollback,
    },
    {
        .name = "baseline",
        .group = "Change",
        .args = "VERSION",
        .summary = "Mark everything up to VERSION as applied without running it.",
        .details = "Adopts a database whose schema was made by other means.",
        .examples = "lockstep baseline 20240101000000",
        .settings = "database,migrations,waiting",
        .min_args = 1,
        .max_args = 1,
        .run = cmd_baseline,
    },
    {
        .name = "repair",
        .group = "Change",
        .args = "[--yes]",
        .summary = "Explain and clear what a failed or edited migration left behind.",
        .details = "Says what was found and what would be done about it, then asks. Without a "
                   "terminal it needs --yes.",
        .examples = "lockstep repair\n"
                    "lockstep repair --yes",
        .options = yes_only,
        .settings = "database,migrations,waiting",
        .run = cmd_repair,
    },
    {
        .name = "backup",
        .group = "Change",
        .args = "[FILE]",
        .summary = "Save the database through its own tools or API.",
        .details = "PostgreSQL: pg_dump in its custom format. MySQL and MariaDB: mariadb-dump or "
                   "mysqldump. SQLite: its backup API, while others go on. FILE may be a "
                   "directory with a slash at its end; without it the file is made in the current "
                   "directory. Prints the path.",
        .examples = "lockstep backup\n"
                    "lockstep backup backups/",
        .settings = "database",
        .max_args = 1,
        .run = cmd_backup,
    },
    {
        .name = "restore",
        .group = "Change",
        .args = "FILE [--yes]",
        .summary = "Put a backup back.",
        .details = "Replaces what the database holds now. Asks first on a terminal.",
        .examples = "lockstep restore app-20240101000000.dump",
        .options = yes_only,
        .settings = "database",
        .min_args = 1,
        .max_args = 1,
        .run = cmd_restore,
    },
    {
        .name = "init",
        .group = "Other",
        .args = "[PLATFORM [-- PROGRAM [ARG...]]]",
        .summary = "Write the files that a platform needs to migrate at deploy.",
        .details =
            "Fitted to the project in the current directory: its name, its port, and the "
            "program that serves, from Dockerfile, Procfile, package.json, pyproject.toml or "
            "manage.py. PROGRAM says the last by itself; --app, --image and --health-check, "
            "which are settings of `deploy`, say name, image and the path that answers when "
            "the service is ready.\n\n"
            "A file that is there is left alone, and the lines to add to it are printed. "
            "Without PLATFORM the platforms are listed.",
        .examples = "lockstep init\n"
                    "lockstep init dokku -- gunicorn shop.wsgi\n"
                    "lockstep init kubernetes --image registry.example.com/shop:1\n"
                    "lockstep init compose --stdout",
        .options = init_options,
        .max_args = 256,
        .run = cmd_init,
    },
    {
        .name = "help",
        .group = "Other",
        .args = "[COMMAND]",
        .summary = "Show help, also `help settings` and `help tools`.",
        .examples = "lockstep help migrate\n"
                    "lockstep help settings\n"
                    "lockstep help --man migrate | man -l -",
        .options = help_options,
        .max_args = 1,
        .loads_settings = true,
        .run = cmd_help,
    },
    {
        .name = "version",
        .group = "Other",
        .args = "",
        .summary = "Show the version and those of the libraries in use.",
        .loads_settings = true,
        .run = cmd_version,
    },
    {
        .name = "completion",
        .group = "Other",
        .args = "bash|zsh|fish",
        .summary = "Print a completion script for a shell.",
        .examples = "lockstep completion bash > /etc/bash_completion.d/lockstep\n"
                    "lockstep completion zsh > \"${fpath[1]}/_lockstep\"\n"
                    "lockstep completion fish > ~/.config/fish/completions/lockstep.fish",
        .min_args = 1,
        .max_args = 1,
        .loads_settings = true,
        .run = cmd_completion,
    },
    {0},
};
