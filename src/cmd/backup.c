/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `backup` and `restore`, through the database's own tools, or SQLite's backup API. Passwords
 * travel in the tools' environment, never in their arguments. A backup stands beside its name until
 * it is whole, readable by its owner only.
 */

#include "db/backup.h"
#include "cmd/cmd.h"
#include "cmd/output.h"
#include "core/clock.h"
#include "db/mysql_internal.h"
#include "proc/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/banned.h"

enum { ARGUMENTS = 32 };

/* A tool of the database, and how it is called. */
typedef struct Client {
    Arena *arena;
    const char *name; /* as it was found: "pg_dump" */
    char *argv[ARGUMENTS];
    size_t argc;
    char **envp;
    const char *input; /* file for its standard input, NULL = none */
    int output;        /* descriptor for its standard output, -1 = the log */
    int64_t grace_ms;
} Client;

static void
add_argument(Client *tool, const char *text)
{
    if (tool->argc + 1 < ARGUMENTS)
        tool->argv[tool->argc++] = str_dup(tool->arena, str_of(text));
}

static bool
find_tool(Cli *cli, Client *tool, const char *const *names, const char *package, Error *err)
{
    static const char *const removed[] = {"LOCKSTEP_DATABASE_URL", "LOCKSTEP_DATABASE_URL_FILE",
                                          NULL};
    *tool = (Client){.arena = cli->arena, .output = -1};
    tool->grace_ms = setting_ms(&cli->settings, SET_GRACE);
    tool->envp = env_without(cli->arena, cli->environ_, removed);
    for (size_t i = 0; names[i] != NULL; i++) {
        char *path = proc_which(cli->arena, names[i], cli->environ_);
        if (path == NULL)
            continue;
        tool->name = names[i];
        add_argument(tool, path);
        return true;
    }
    error_set(err, ERROR_USAGE, "'%s' is not installed here", names[0]);
    return error_hint(err,
                      "Install the database's client tools (on Debian the package %s), or "
                      "take the backup where they are.",
                      package);
}

static void
pass_line(void *ctx, int stream, Str line)
{
    const Client *tool = ctx;
    (void)stream;
    if (line.n > 0)
        log_info("tool.output", "%s: " STR_FMT, tool->name, STR_ARG(line));
}

static bool
run_tool(Cli *cli, Client *tool, Error *err)
{
    ChildSpec spec = {.argv = tool->argv,
                      .envp = tool->envp,
                      .stdin_path = tool->input,
                      .stdout_fd = tool->output,
                      .line = pass_line,
                      .line_ctx = tool,
                      .grace_ms = tool->grace_ms};
    int status;
    /* child_run reaps by itself: reaping orphans besides would take its child's status away. */
    int (*reader)(int) = cli->wait.read_signal;
    cli->wait.read_signal = signals_read;
    bool ended = child_run(&cli->wait, &spec, &status, err);
    cli->wait.read_signal = reader;
    if (!ended)
        return false;
    if (status == 0)
        return true;
    error_set(err, ERROR_FAILED, "%s ended with status %d", tool->name, status);
    return error_hint(err, "What it said stands above.");
}

/* ---- PostgreSQL ---- */

static void
set_env(Client *tool, const char *name, const char *value)
{
    if (value)
        tool->envp = env_with(tool->arena, tool->envp, name, value);
}

/* libpq's own variables: what the URL says goes before what the environment said. */
static void
set_postgres_env(Client *tool, const DbUrl *url)
{
    static const struct {
        const char *param, *variable;
    } params[] = {
        {"sslmode", "PGSSLMODE"},
        {"sslrootcert", "PGSSLROOTCERT"},
        {"sslcert", "PGSSLCERT"},
        {"sslkey", "PGSSLKEY"},
        {"sslcrl", "PGSSLCRL"},
        {"sslcrldir", "PGSSLCRLDIR"},
        {"requirepeer", "PGREQUIREPEER"},
        {"require_auth", "PGREQUIREAUTH"},
        {"gsslib", "PGGSSLIB"},
        {"service", "PGSERVICE"},
        {"sslsni", "PGSSLSNI"},
        {"ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION"},
        {"ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION"},
        {"channel_binding", "PGCHANNELBINDING"},
        {"gssencmode", "PGGSSENCMODE"},
        {"krbsrvname", "PGKRBSRVNAME"},
        {"connect_timeout", "PGCONNECT_TIMEOUT"},
        {"target_session_attrs", "PGTARGETSESSIONATTRS"},
        {"hostaddr", "PGHOSTADDR"},
        {"passfile", "PGPASSFILE"},
        {"options", "PGOPTIONS"},
    };
    set_env(tool, "PGHOST", url->host);
    set_env(tool, "PGPORT", url->port ? str_printf(tool->arena, "%d", url->port) : NULL);
    set_env(tool, "PGUSER", url->user);
    set_env(tool, "PGDATABASE", url->database);
    set_env(tool, "PGAPPNAME", "lockstep");
    bool ssl = false;
    if (str_to_bool(str_of(dburl_param(url, "ssl")), &ssl) && ssl)
        set_env(tool, "PGSSLMODE", "require");
    if (secret_is_set(url->password))
        set_env(tool, "PGPASSWORD", secret_reveal(url->password));
    for (size_t i = 0; i < COUNT_OF(params); i++)
        set_env(tool, params[i].variable, dburl_param(url, params[i].param));
}

static bool
prepare_postgres(Cli *cli, Client *tool, const DbUrl *url, const char *program, Error *err)
{
    const char *const names[] = {program, NULL};
    if (!find_tool(cli, tool, names, "postgresql-client", err))
        return false;
    set_postgres_env(tool, url);
    add_argument(tool, "--no-password");
    return true;
}

/* ---- MySQL, MariaDB ---- */

/* MariaDB's programs and MySQL's have different words for the same. */
static void
set_mysql_tls(Client *tool, const MysqlParams *params, bool mariadb)
{
    static const char *const modes[] = {[MYSQL_TLS_DISABLED] = "DISABLED",
                                        [MYSQL_TLS_PREFERRED] = "PREFERRED",
                                        [MYSQL_TLS_REQUIRED] = "REQUIRED",
                                        [MYSQL_TLS_VERIFY_CA] = "VERIFY_CA",
                                        [MYSQL_TLS_VERIFY_IDENTITY] = "VERIFY_IDENTITY"};
    const struct {
        const char *option, *value;
    } files[] = {{"ssl-ca", params->ca}, {"ssl-cert", params->cert}, {"ssl-key", params->key}};
    for (size_t i = 0; i < COUNT_OF(files); i++)
        if (files[i].value)
            add_argument(tool, str_printf(tool->arena, "--%s=%s", files[i].option, files[i].value));
    if (!mariadb)
        add_argument(tool, str_printf(tool->arena, "--ssl-mode=%s", modes[params->tls]));
    else if (params->tls == MYSQL_TLS_DISABLED)
        add_argument(tool, "--skip-ssl");
    else if (params->tls >= MYSQL_TLS_REQUIRED)
        add_argument(tool,
                     params->tls == MYSQL_TLS_REQUIRED ? "--ssl" : "--ssl-verify-server-cert");
}

/* `ours` is MariaDB's name of the program, `theirs` MySQL's. */
static bool
prepare_mysql(
    Cli *cli, Client *tool, const DbUrl *url, const char *ours, const char *theirs, Error *err)
{
    const char *const names[] = {ours, theirs, NULL};
    MysqlParams params;
    if (!mysql_params(cli->arena, url, &params, err) ||
        !find_tool(cli, tool, names, "mariadb-client", err))
        return false;
    Arena *arena = tool->arena;
    add_argument(tool, "--no-defaults");
    if (params.socket)
        add_argument(tool, str_printf(arena, "--socket=%s", params.socket));
    else
        add_argument(tool, str_printf(arena, "--host=%s", url->host ? url->host : "127.0.0.1"));
    if (!params.socket)
        add_argument(tool, "--protocol=tcp");
    if (url->port)
        add_argument(tool, str_printf(arena, "--port=%d", url->port));
    if (url->user)
        add_argument(tool, str_printf(arena, "--user=%s", url->user));
    set_mysql_tls(tool, &params, strcmp(tool->name, ours) == 0);
    if (secret_is_set(url->password))
        set_env(tool, "MYSQL_PWD", secret_reveal(url->password));
    return true;
}

/* ---- backup ---- */

static bool
needs_database(const DbUrl *url, Error *err)
{
    if (url->database == NULL || strcmp(url->database, ":memory:") == 0)
        return error_set(err, ERROR_USAGE, "%s names no database that can be saved", url->display);
    if (cli_is_absent_file(url))
        return error_set(err, ERROR_USAGE, "'%s' is not there: nothing to save", url->database);
    return true;
}

/* Where the backup goes: a name by database and time where only a directory is given. */
static bool
choose_path(Cli *cli, const DbUrl *url, const char *target, char **ret, Error *err)
{
    static const char *const suffixes[] = {
        [DB_POSTGRES] = "dump", [DB_MYSQL] = "sql", [DB_SQLITE] = "db"};
    Arena *arena = cli->arena;
    Str text = str_of(target);
    bool directory = target == NULL || str_ends(text, STR("/")) || fs_kind(target) == FS_DIR;
    if (!directory) {
        *ret = str_dup(arena, text);
        return true;
    }
    const char *slash = strrchr(url->database, '/');
    Str base = str_of(slash ? slash + 1 : url->database);
    if (url->engine == DB_SQLITE)
        base = str_sub(base, 0, str_find(base, '.'));
    char *name = str_printf(arena, STR_FMT "-%s.%s", STR_ARG(base), clock_stamp(arena),
                            suffixes[url->engine]);
    if (target && fs_kind(target) == FS_ABSENT && !fs_make_dirs(target, err))
        return false;
    *ret = target ? fs_join(arena, target, name) : name;
    return true;
}

static bool
dump(Cli *cli, const DbUrl *url, int fd, Error *err)
{
    Client tool;
    if (url->engine == DB_POSTGRES) {
        if (!prepare_postgres(cli, &tool, url, "pg_dump", err))
            return false;
        add_argument(&tool, "--format=custom");
    } else {
        if (!prepare_mysql(cli, &tool, url, "mariadb-dump", "mysqldump", err))
            return false;
        add_argument(&tool, "--single-transaction");
        add_argument(&tool, "--routines");
        add_argument(&tool, "--triggers");
        add_argument(&tool, "--events");
        add_argument(&tool, "--no-tablespaces");
        add_argument(&tool, "--hex-blob");
        add_argument(&tool, "--");
        add_argument(&tool, url->database);
    }
    tool.output = fd;
    return run_tool(cli, &tool, err);
}

static bool
write_backup(Cli *cli, const DbUrl *url, const char *partial, const char *path, Error *err)
{
    int fd = open(partial, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set_errno(err, ERROR_FAILED, errno, "writing '%s'", partial);
    bool ok = url->engine == DB_SQLITE ? db_copy_file(&cli->wait, url->database, partial, err)
                                       : dump(cli, url, fd, err);
    if (ok && (fsync(fd) != 0 || rename(partial, path) != 0))
        ok = error_set_errno(err, ERROR_FAILED, errno, "writing '%s'", path);
    close(fd);
    if (!ok)
        (void)unlink(partial);
    return ok;
}

bool
backup_make(Cli *cli, const RunOptions *options, const char *target, char **ret_path, Error *err)
{
    char *path;
    if (!needs_database(options->url, err) || !choose_path(cli, options->url, target, &path, err) ||
        !write_backup(cli, options->url, str_printf(cli->arena, "%s.partial", path), path, err))
        return false;
    *ret_path = path;
    return true;
}

/* A server that does not answer is told apart (exit 4, --wait) before a tool is asked to try. */
static bool
server_answers(Cli *cli, const RunOptions *options, bool read_only, Error *err)
{
    AUTO_DB db = NULL;
    return options->url->engine == DB_SQLITE ||
           run_connect(cli->arena, &cli->wait, options, "lockstep", read_only, &db, err);
}

int
cmd_backup(Cli *cli, Error *err)
{
    RunOptions options;
    bool found;
    char *path;
    if (!cli_run_options(cli, &options, &found, err) || !server_answers(cli, &options, true, err) ||
        !backup_make(cli, &options, cli->said.args[0], &path, err))
        return error_exit_status(err);
    return output_write(str_of(str_printf(cli->arena, "%s\n", path)), err) ? 0 : 1;
}

/* ---- restore ---- */

static bool
is_custom_dump(const char *path)
{
    char begin[5];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, begin, sizeof begin);
    close(fd);
    return n == (ssize_t)sizeof begin && memcmp(begin, "PGDMP", sizeof begin) == 0;
}

static bool
restore_postgres(Cli *cli, const DbUrl *url, const char *path, Error *err)
{
    Client tool;
    bool custom = is_custom_dump(path);
    if (!prepare_postgres(cli, &tool, url, custom ? "pg_restore" : "psql", err))
        return false;
    add_argument(&tool, "--single-transaction");
    if (custom) {
        add_argument(&tool, "--clean");
        add_argument(&tool, "--if-exists");
        /* pg_restore writes a script unless told which database to fill. */
        add_argument(&tool, str_printf(cli->arena, "--dbname=%s", url->database));
        add_argument(&tool, "--");
        add_argument(&tool, path);
    } else {
        add_argument(&tool, "--no-psqlrc");
        add_argument(&tool, "--quiet");
        add_argument(&tool, "--set=ON_ERROR_STOP=1");
        add_argument(&tool, str_printf(cli->arena, "--file=%s", path));
    }
    return run_tool(cli, &tool, err);
}

static bool
restore_mysql(Cli *cli, const DbUrl *url, const char *path, Error *err)
{
    Client tool;
    if (!prepare_mysql(cli, &tool, url, "mariadb", "mysql", err))
        return false;
    add_argument(&tool, str_printf(cli->arena, "--database=%s", url->database));
    tool.input = path;
    return run_tool(cli, &tool, err);
}

static bool
restore(Cli *cli, const DbUrl *url, const char *path, Error *err)
{
    bool sqlite_file = db_is_sqlite_file(path);
    if (sqlite_file != (url->engine == DB_SQLITE)) {
        error_set(err, ERROR_USAGE, "'%s' is %s SQLite database, and the target is %s", path,
                  sqlite_file ? "an" : "no", url->display);
        return error_hint(err, "Name the database that this backup was taken of.");
    }
    if (url->engine == DB_SQLITE)
        return db_copy_file(&cli->wait, path, url->database, err);
    return url->engine == DB_POSTGRES ? restore_postgres(cli, url, path, err)
                                      : restore_mysql(cli, url, path, err);
}

/* Where there is nobody to ask, naming the file was the yes. */
static bool
may_replace(Cli *cli, const DbUrl *url, Error *err)
{
    bool yes, asked;
    if (cli_option(cli, "yes"))
        return true;
    char *question = str_printf(cli->arena, "Replace what %s holds?", url->display);
    if (!cli_confirm(cli, question, &yes, &asked, err))
        return false;
    if (yes || !asked)
        return true;
    return error_set(err, ERROR_REFUSED, "nothing was restored: the answer was no");
}

int
cmd_restore(Cli *cli, Error *err)
{
    RunOptions options;
    bool found;
    const char *path = cli->said.args[0];
    if (!cli_run_options(cli, &options, &found, err))
        return error_exit_status(err);
    if (fs_kind(path) != FS_FILE) {
        error_set(err, ERROR_USAGE, "there is no file '%s'", path);
        return 2;
    }
    if (options.url->database == NULL || strcmp(options.url->database, ":memory:") == 0) {
        error_set(err, ERROR_USAGE, "%s names no database to restore into", options.url->display);
        return 2;
    }
    if (!may_replace(cli, options.url, err) || !server_answers(cli, &options, false, err) ||
        !restore(cli, options.url, path, err))
        return error_exit_status(err);
    log_info("restore.done", "%s holds %s again", options.url->display, path);
    return 0;
}
