/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Other people's migration tools: found in the image by their files, told apart, and understood
 * from migration files and version table without starting an interpreter. One row of tools.def
 * each; logic only where a row cannot say it. Sources of the facts: the tools' documentation and
 * what they did when they were run (docs/tools.md says which).
 */

#include "core/env.h"
#include "core/error.h"
#include "core/finding.h"
#include "core/fs.h"
#include "core/str.h"
#include "db/db.h"

typedef enum ToolId {
#define TOOL(id, ...) TOOL_##id,
#include "tools/tools.def"
#undef TOOL
    TOOL_COUNT
} ToolId;

typedef enum ToolFlag {
    TOOL_ATOMIC_EACH = 1 << 0,  /* each migration and its row commit together (PostgreSQL) */
    TOOL_ATOMIC_ALL = 1 << 1,   /* one transaction around all that is pending (PostgreSQL) */
    TOOL_REFUSES = 1 << 2,      /* its own lock refuses instead of waiting */
    TOOL_SQL_FILES = 1 << 3,    /* its migrations are SQL that lockstep can apply itself */
    TOOL_GENERIC = 1 << 4,      /* npm, command: a way to start something, not a tool */
    TOOL_QUIET_ERRORS = 1 << 5, /* prints no reason when it fails (Drizzle) */
    TOOL_WANTS_EMPTY = 1 << 6,  /* its first run refuses a schema that holds any table (Prisma) */
} ToolFlag;

/* How the tool spells the URL that is handed to it. */
typedef enum ToolUrlForm {
    URL_AS_GIVEN,
    URL_SQLALCHEMY, /* postgresql:// never postgres://; sqlite:////abs */
    URL_RAILS,      /* sqlite3:/abs */
    URL_JDBC        /* jdbc:..., user and password in variables of their own */
} ToolUrlForm;

enum { TOOL_MARKERS = 8, TOOL_WORDS = 6 };

typedef struct Project Project;
typedef struct ToolFiles ToolFiles;
typedef struct ToolState ToolState;

typedef struct Tool {
    const char *name;    /* --tool NAME: "django", "flask-migrate" */
    const char *title;   /* for people: "Flask-Migrate" */
    const char *runtime; /* "python", "node", "ruby", "php", "elixir", "java"; "" = a program */
    /* Files or shell globs below the project's directory; any one is enough. */
    const char *markers[TOOL_MARKERS];
    /* As a dependency: in package.json, in a requirements file or lock of Python or Ruby. */
    const char *package;
    /* Where its program is looked for, in this order: paths below the project (with a slash), then
     * names in PATH. */
    const char *programs[TOOL_MARKERS];
    /* Words after the program, split at blanks; NULL = it cannot. `undo`: the newest {n}, without
     * that mark one; `undo_to`: all after {to} ({number}: its digits; Django: {app} {name});
     * `undo_all`: where there is another way for that. {from}: the oldest that goes. */
    const char *apply, *undo, *undo_to, *undo_all, *preview, *model_drift, *deploy_check;
    const char *drift_says; /* in what `model_drift` prints when there is some */
    /* Version table: schema NULL = where unqualified names go. */
    const char *schema, *table;
    const char *columns[TOOL_WORDS]; /* that are there, so that tables of one name are told apart */
    const char *id_column, *name_column, *at_column; /* name, at may be NULL */
    /* The URL is handed to it in each of these, besides DATABASE_URL. */
    const char *url_variables[TOOL_WORDS];
    ToolUrlForm url_form;
    const char *own_lock; /* for people; NULL = none */
    unsigned flags;

    /* ---- logic; NULL = the row says it all ---- */
    /* A project's details beyond markers: its directories, its table, its command. *ret_is false:
     * the markers lied. */
    bool (*inspect)(Arena *arena, Project *project, bool *ret_is, Error *err);
    /* Migrations out of the files, in order. ret->known stays false where only the tool knows. */
    bool (*files)(Arena *arena, const Project *project, ToolFiles *ret, Error *err);
    /* After files and rows were compared: what only this tool's table can say (a dirty mark, a
     * stuck lock), and several heads, which fail without a table too. */
    bool (*trouble)(Arena *arena, Db *db, const Project *project, ToolState *state, Error *err);
} Tool;

const Tool *tool_row(ToolId id);
const Tool *tool_by_name(const char *name);
const char *const *tool_names(void); /* NULL-terminated */

/* ---- detection: names of files and a few manifests; starts nothing, connects to nothing ---- */

typedef VEC(char *) Words; /* NULL-terminated where it is a command */

struct Project {
    const Tool *tool;
    const char *dir;       /* the project's directory as given, "." */
    char *const *environ_; /* of the process, for PATH and what the tool's files refer to */
    char *mode;            /* --environment: "production"; NULL = none */
    Words evidence;        /* paths, the most telling first */
    char **apply;          /* whole command line; NULL = the tool is not installed here */
    char **prefix;    /* what undo, preview ... are put behind; NULL = apply is somebody's script */
    char *missing;    /* when apply is NULL: a sentence that says what is not there */
    char *migrations; /* directory of the migration files; NULL = not known, or several */
    const char *schema, *table; /* as configured; else the row's */
    /* The database that the tool's own files name (contract 3.4), and where. */
    char *url, *url_from;
    bool url_is_direct; /* they also name a pooled one, for the service (Prisma's directUrl) */
    char *script;       /* package.json: the name of the script; NULL = none */
    void *details;      /* of the tool's own logic */
};

typedef struct DetectOptions {
    const char *dir; /* NULL = "." */
    char *const *environ_;
    const char *tool;     /* --tool: NULL or "auto" = by markers */
    char *const *command; /* --command: words; NULL = the tool's own */
    const char *mode;
    bool elsewhere; /* an image's files, few of them: whether a program can be started is not known
                     */
    /* A directory of SQL migrations was found beside: a tool that owns these very files wins, any
     * other makes two candidates. */
    const char *sql_dir, *sql_format;
} DetectOptions;

typedef struct Detection {
    bool found;      /* `project` is the tool; else nothing, or SQL files alone */
    bool sql;        /* lockstep applies SQL files itself (sql_dir), also of Prisma and Drizzle */
    char *sql_dir;   /* where, when `sql`: the one found beside, or the tool's own */
    Project project; /* when `sql`: the tool that the files are of, `tool` NULL = none */
    VEC(Project) candidates; /* all that was seen, for `detect` */
    char *passed_over;       /* the script of package.json that is never run; NULL = none */
} Detection;

/* ERROR_USAGE: two candidates (both named, and how to choose), an unknown --tool, a project whose
 * tool is not installed (and no --command), a manifest that cannot be read or parsed ("could not
 * look" is never "nothing here"). */
bool tool_detect(Arena *arena, const DetectOptions *options, Detection *ret, Error *err) MUST_CHECK;

/* ---- package.json, for whoever asks (manifest.c) ---- */
typedef struct PackageScript {
    char *name, *text;
} PackageScript;
typedef struct Package {
    bool found;
    char *script_name, *script; /* the first of migrate, db:migrate, migrate:deploy, migrate:up */
    VEC(PackageScript) scripts; /* all of them */
    char *passed_over;  /* the first of those names that makes migrations, or is not for here */
    Words dependencies; /* names of all kinds, sorted */
} Package;
bool package_read(Arena *arena, const char *dir, Package *ret, Error *err) MUST_CHECK;

/* ---- migrations out of the files ---- */

typedef struct ToolMigration {
    char *id; /* as the version table has it: "a3", "20240101000001_init.js", "blog.0002_post" */
    char *version; /* for people; often the same */
    char *name;
    char *file;
    Words after;   /* ids that come before it (Django, Alembic); empty = the one before in order */
    bool replaces; /* Django: a squashed migration; `after` of others may name what it replaces */
    Words replaced;
} ToolMigration;

struct ToolFiles {
    bool known;               /* false: the files do not tell, only the tool knows */
    char *why;                /* when not known: for --verbose */
    VEC(ToolMigration) items; /* in an order in which they can be applied */
    Words heads;              /* Alembic: more than one needs `heads` */
};

bool tool_files(Arena *arena, const Project *project, ToolFiles *ret, Error *err) MUST_CHECK;

/* SHA-256 hex over all that decides whether the tool would do something: the project's code and
 * manifests (names, sizes, times), what is installed, the command line. *ret NULL: too much to look
 * at, or something that cannot be looked at; then the tool is asked. */
bool tool_print(Arena *arena, const Project *project, char **ret, Error *err) MUST_CHECK;

/* ---- the version table ---- */

typedef struct ToolRow {
    char *id, *name;
    char *applied_at; /* RFC 3339 UTC, or NULL */
} ToolRow;

typedef struct ToolTrouble {
    char *id;      /* of the migration; NULL = the tool as a whole */
    char *what;    /* sentence: what was found */
    char *repair;  /* sentence: what `lockstep repair` does about it, or what a person must do */
    char *sql;     /* what repair runs; NULL = a person is needed */
    bool of_files; /* of the image, not of the database */
    bool blocks;   /* the tool would fail (or do harm) as long as it is so; else it is a warning */
} ToolTrouble;

struct ToolState {
    bool known;             /* `pending` and `ahead` can be believed: files and table both tell */
    bool table_exists;      /* of this tool's shape */
    char *schema, *table;   /* as the database has them; NULL = not there (SQLite: no schema) */
    const ToolFiles *files; /* what the table was compared with */
    VEC(ToolRow) applied;   /* rows that have a file, and rows of packages' own */
    VEC(const ToolMigration *) pending; /* in order */
    VEC(ToolRow) missing;               /* rows without a file, below the highest known */
    VEC(ToolRow) ahead;                 /* rows without a file, above it */
    VEC(ToolTrouble) troubles;
};

/* One or two queries, read-only. `schema` absent = where unqualified names go. */
bool tool_state(Arena *arena,
                Db *db,
                const Project *project,
                const ToolFiles *files,
                Str schema,
                ToolState *ret,
                Error *err) MUST_CHECK;

/* What clears it, for people: the repair, and whether lockstep does it. */
char *trouble_hint(Arena *arena, const ToolTrouble *trouble);
/* Of a migration that failed: it and its row share a transaction, also for DDL. */
bool tool_leaves_nothing(const Tool *tool, const Db *db);
/* The first trouble that keeps the tool from migrating; NULL = none. */
const ToolTrouble *tool_blocked(const ToolState *state);

/* What a new connection needs so as to see the tool's table. Harmless again and again. */
bool tool_attach(Arena *arena, Db *db, const Project *project, Error *err) MUST_CHECK;

/* SQL expression: digest of the version table, for the fast path; a table that is not there makes
 * the query fail, which is doubt. */
Str tool_digest_sql(Arena *arena, Db *db, const Project *project, Str schema);

/* ---- starting it ---- */

/* Its environment: the URL in the variables that it reads, in its spelling; PGAPPNAME, PGOPTIONS
 * with the time-outs (ms, 0 = none) after what is there. `url` NULL = it finds its database itself.
 */
typedef struct ToolEnvironment {
    Str url; /* whole, with the password: a secret */
    const DbUrl *parsed;
    const char *application_name;
    int64_t lock_timeout_ms, statement_timeout_ms;
    bool check_client; /* the server looks whether its client still lives (PostgreSQL 14) */
} ToolEnvironment;
char **tool_environment(Arena *arena, const Project *project, const ToolEnvironment *how);

/* A command line of the tool other than `apply`: its prefix, these words, split at blanks, and what
 * the project's own `apply` has behind the row's words (where its configuration is). NULL where
 * somebody's own script stands in its place. */
char **tool_command(Arena *arena, const Project *project, const char *words);

/* Rolling back: the newest `steps`, or (`to` given, "0" = all) what is newer than a version, which
 * may be said by its number alone. ERROR_USAGE where the tool or its command cannot; ERROR_REFUSED
 * where the newest has no file here. */
typedef struct ToolUndo {
    VEC(char **)
    starts;         /* command lines, one after the other; none = nothing is applied above it */
    Words versions; /* not applied any more when all went well; empty = not known */
} ToolUndo;
bool tool_undo(Arena *arena,
               const Project *project,
               const ToolState *state,
               int64_t steps,
               const char *to,
               ToolUndo *ret,
               Error *err) MUST_CHECK;

/* The slow way, last: a command line that makes the framework print one line, "lockstep-database="
 * and a URL, on stdout. NULL = this framework cannot be asked. */
char **tool_ask_database(Arena *arena, const Project *project);

/* The kind of server that the project's manifests bring a driver for; *ret_found false: none, or
 * for several. */
bool tool_driver(Arena *arena, const Project *project, bool *ret_found, DbEngine *ret, Error *err)
    MUST_CHECK;

/* The text says the words by which some tool applies migrations: "manage.py migrate", "alembic
 * upgrade". */
bool tool_applies(Str text);
/* Start scripts, Dockerfile, Procfile and the like that migrate by themselves, or make migrations:
 * adds a finding for each such line. */
void tool_look_at_scripts(Arena *arena, const char *dir, Findings *ret);
