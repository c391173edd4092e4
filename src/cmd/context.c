/* SPDX-License-Identifier: Apache-2.0 */
/* Settings and environment -> database, directory, options of a run. */

#include "cmd/cmd.h"
#include "core/fs.h"
#include "db/ca.h"
#include "proc/proc.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "core/banned.h"

enum { ASK_MS = 60000 };

/* ---- which database ---- */

static bool
parse_choice(Cli *cli, const DatabaseChoice *choice, DbUrl *ret, Error *err)
{
    if (!choice->is_parts)
        return dburl_parse(cli->arena, choice->url, ret, err) ||
               error_wrap(err, "%s", choice->from);
    DbParts parts = {.engine = DB_POSTGRES,
                     .host = choice->host,
                     .port = choice->port,
                     .database = choice->database,
                     .user = choice->user,
                     .password = choice->password,
                     .params = choice->params};
    if (choice->engine && strcmp(choice->engine, "mysql") == 0)
        parts.engine = DB_MYSQL;
    else if (choice->engine && strcmp(choice->engine, "sqlite") == 0)
        parts.engine = DB_SQLITE;
    return dburl_from_parts(cli->arena, &parts, ret, err) || error_wrap(err, "%s", choice->from);
}

/* A framework that is asked prints one line of this form among its own. */
static const char answer_mark[] = "lockstep-database=";

typedef struct Answer {
    Arena *arena;
    char *url;
    char *said; /* the first error among what it complained about, else the last line */
    bool error;
} Answer;

static void
on_answer(void *ctx, int stream, Str line)
{
    Answer *a = ctx;
    Str mark = str_of(answer_mark), told = str_trim(line);
    if (stream == 1 && str_starts(line, mark) && line.n > mark.n)
        a->url = str_dup(a->arena, str_sub(line, mark.n, line.n));
    else
        log_debug("tool.asked", STR_FMT, STR_ARG(line));
    if (stream == 2 && told.n && !a->error) {
        a->error = str_find_str(told, STR("rror:")) < told.n;
        a->said = str_dup(a->arena, secret_redact(a->arena, str_sub(told, 0, 500)));
    }
}

/* The slow way, and the last: the framework is started to say which database it would use. */
static bool
ask_framework(Cli *cli, const Project *project, Answer *ret, Error *err)
{
    *ret = (Answer){.arena = cli->arena};
    char **argv = tool_ask_database(cli->arena, project);
    int status = 0;
    if (!argv)
        return true;
    ToolEnvironment how = {0};
    ChildSpec spec = {.argv = argv,
                      .envp = tool_environment(cli->arena, project, &how),
                      .stdout_fd = -1,
                      .line = on_answer,
                      .line_ctx = ret,
                      .grace_ms = setting_ms(&cli->settings, SET_GRACE),
                      .timeout_ms = ASK_MS};
    if (!cli_open_signals(cli, err))
        return false;
    if (!child_run(&cli->wait, &spec, &status, err)) {
        if (err->code == ERROR_SIGNALLED)
            return false;
        error_clear(err);
    }
    return true;
}

/* A project's own files, then its own word. ret->from NULL: neither tells. */
static bool
choose_by_project(Cli *cli, const Project *project, UrlChoice *ret, Error *err)
{
    Answer answer = {.url = project->url};
    char *from = project->url_from;
    if (!answer.url) {
        if (!ask_framework(cli, project, &answer, err))
            return false;
        from = str_printf(cli->arena, "%s itself", project->tool->title);
    }
    ret->why = answer.said;
    if (!answer.url)
        return true;
    ret->from = from;
    return (dburl_parse(cli->arena, str_of(answer.url), &ret->url, err) &&
            db_supports(ret->url.engine, err)) ||
           error_wrap(err, "%s", from);
}

/* DB_HOST alone does not tell the kind of server; the project that reads it does: by its driver, by
 * its own files, by its own word. */
static bool
choose_engine(Cli *cli, const Project *project, DatabaseChoice *choice, Error *err)
{
    UrlChoice own = {0};
    DbEngine engine = DB_SQLITE;
    bool found = false;
    if (project && !tool_driver(cli->arena, project, &found, &engine, err))
        return false;
    if (project && !found && !choose_by_project(cli, project, &own, err))
        return false;
    if (own.from)
        engine = own.url.engine;
    if (engine == DB_SQLITE) {
        database_no_engine(err);
        return own.why ? error_detail(err, "asked, %s said: %s", project->tool->title, own.why)
                       : false;
    }
    choice->engine = engine == DB_MYSQL ? "mysql" : "postgres";
    return true;
}

/* For migrating only, or direct by its name. */
static bool
is_for_migrating(const DatabaseChoice *choice)
{
    static const char *const services[] = {"DATABASE_URL", "POSTGRES_URL", "MYSQL_URL",
                                           "SQLALCHEMY_DATABASE_URI", "JDBC_DATABASE_URL"};
    for (size_t i = 0; i < COUNT_OF(services); i++)
        if (strcmp(choice->from, services[i]) == 0)
            return false;
    return !choice->is_parts;
}

bool
cli_url(Cli *cli, const Migrations *m, UrlChoice *ret, Error *err)
{
    DatabaseChoice choice = {0};
    const Project *project = m->project ? m->project : m->owner;
    *ret = (UrlChoice){.handed = STR_ABSENT};
    if (!database_choose(cli->arena, &cli->settings, cli->environ_, &choice, err))
        return false;
    bool direct = choice.found && project && project->url_is_direct && !is_for_migrating(&choice);
    if (((!choice.found && project) || direct) && !choose_by_project(cli, project, ret, err))
        return false;
    if (ret->from || (!choice.found && m->project))
        return true;
    if (!choice.found) {
        /* Plain SQL needs no server to be tried out. */
        if (!dburl_parse(cli->arena, STR("sqlite:lockstep.db"), &ret->url, err))
            return false;
        return db_supports(ret->url.engine, err) ||
               error_wrap(err, "no database is named, and sqlite:lockstep.db is out of reach");
    }
    if (choice.is_parts && !choice.engine && !choose_engine(cli, project, &choice, err))
        return false;
    if (!parse_choice(cli, &choice, &ret->url, err))
        return false;
    if (!db_supports(ret->url.engine, err))
        return error_wrap(err, "%s", choice.from);
    /* Also the one that it would find itself: in the spelling that it takes. */
    if (!choice.is_parts)
        ret->handed = choice.url;
    ret->from = choice.from;
    return true;
}

static bool
refuse_unnamed(const Project *project, const UrlChoice *choice, Error *err)
{
    const char *title = project->tool->title;
    error_set(err, ERROR_USAGE, "nothing says which database %s (%s) is for", title,
              project->evidence.n ? project->evidence.p[0] : project->apply[0]);
    if (choice->why)
        error_detail(err, "asked, %s said: %s", title, choice->why);
    return error_hint(err, "Set DATABASE_URL, or LOCKSTEP_DATABASE_URL for migrating only.");
}

static bool
settle_ca(Cli *cli, DbUrl *url, Error *err)
{
    const char *home = env_get(cli->environ_, "HOME");
    bool own = home && fs_kind(fs_join(cli->arena, home, ".postgresql/root.crt")) != FS_ABSENT;
    CaOptions options = {.wanted = setting_text(&cli->settings, SET_CA),
                         .bundle = env_get(cli->environ_, "SSL_CERT_FILE"),
                         .libpq_has_one = own || env_get(cli->environ_, "PGSSLROOTCERT")};
    return ca_settle(cli->arena, &options, url, err);
}

/* ---- which migrations ---- */

static bool
is_text(const Settings *settings, SettingId id, const char *value)
{
    const char *text = setting_text(settings, id);
    return text && strcmp(text, value) == 0;
}

static const char *
goose_env(void *ctx, const char *name)
{
    const Cli *cli = ctx;
    return env_get(cli->environ_, name);
}

/* Flyway reads FLYWAY_PLACEHOLDERS_APP_NAME as the placeholder `app_name`; names ignore case. */
static void
add_placeholders(Cli *cli, const DbUrl *url, SourceOptions *source)
{
    static const char prefix[] = "FLYWAY_PLACEHOLDERS_";
    VEC(const char *) pairs = {0};
    for (char *const *e = cli->environ_; *e != NULL; e++) {
        size_t equals = strcspn(*e, "=");
        if (strncmp(*e, prefix, sizeof prefix - 1) != 0 || (*e)[equals] != '=')
            continue;
        char *name =
            str_dup(cli->arena, (Str){*e + sizeof prefix - 1, equals - (sizeof prefix - 1)});
        for (char *p = name; *p != '\0'; p++)
            if (*p >= 'A' && *p <= 'Z')
                *p = (char)(*p - 'A' + 'a');
        *vec_push(cli->arena, &pairs) = name;
        *vec_push(cli->arena, &pairs) = *e + equals + 1;
    }
    char cwd[PATH_MAX];
    const char *schema = setting_text(&cli->settings, SET_SCHEMA);
    const struct {
        const char *name, *value;
    } built_in[] = {
        {"flyway:database", url->database},
        {"flyway:user", url->user},
        {"flyway:defaultSchema", schema                    ? schema
                                 : url->engine == DB_MYSQL ? url->database
                                                           : NULL},
        {"flyway:table", setting_text(&cli->settings, SET_TABLE)},
        {"flyway:environment", setting_text(&cli->settings, SET_ENVIRONMENT)},
        {"flyway:workingDirectory", getcwd(cwd, sizeof cwd)},
    };
    for (size_t i = 0; i < COUNT_OF(built_in); i++) {
        if (built_in[i].value == NULL)
            continue;
        *vec_push(cli->arena, &pairs) = built_in[i].name;
        *vec_push(cli->arena, &pairs) = str_dup(cli->arena, str_of(built_in[i].value));
    }
    *vec_push(cli->arena, &pairs) = NULL;
    source->placeholders = pairs.p;
}

/* A directory of SQL files, where one is named or one of the usual ones holds some. */
static bool
find_sql(Cli *cli, Migrations *m, Error *err)
{
    m->source = (SourceOptions){.dir = setting_text(&cli->settings, SET_DIR),
                                .format = setting_text(&cli->settings, SET_FORMAT),
                                .env = goose_env,
                                .env_ctx = cli};
    m->found = m->source.dir != NULL;
    if (m->found)
        return true;
    Source *looked = arena_make(cli->arena, Source);
    if (!source_look(cli->arena, &m->source, looked, err))
        return false;
    m->found = looked->dir != NULL;
    m->source.dir = looked->dir;
    m->looked = looked;
    return true;
}

bool
cli_find_migrations(Cli *cli, Migrations *ret, Error *err)
{
    Migrations m = {0};
    Error sql = ERROR_INIT;
    char **command = setting_list(&cli->settings, SET_COMMAND);
    bool named = setting_text(&cli->settings, SET_DIR) != NULL && !command &&
                 is_text(&cli->settings, SET_TOOL, "auto");
    if (is_text(&cli->settings, SET_TOOL, "none")) {
        *ret = m;
        return true;
    }
    bool looked = find_sql(cli, &m, &sql);
    bool native = named || is_text(&cli->settings, SET_TOOL, "sql");
    Detection *d = arena_make(cli->arena, Detection);
    DetectOptions how = {
        .environ_ = cli->environ_,
        .tool = native ? "sql" : setting_text(&cli->settings, SET_TOOL),
        .command = command,
        .mode = setting_text(&cli->settings, SET_ENVIRONMENT),
        .sql_dir = m.found && (native || (m.looked && m.looked->files)) ? m.source.dir : NULL,
        .sql_format = m.looked ? m.looked->format_name : NULL};
    if (!tool_detect(cli->arena, &how, d, err))
        return false;
    m.owner = d->project.tool ? &d->project : NULL;
    cli->passed_over = d->passed_over;
    if (native) {
        *ret = m;
        *err = looked ? *err : sql;
        return looked;
    }
    if (d->sql && d->sql_dir) { /* Prisma's and Drizzle's files too */
        m.source.dir = d->sql_dir;
        m.looked =
            m.looked && m.looked->dir && strcmp(m.looked->dir, d->sql_dir) == 0 ? m.looked : NULL;
        m.found = true;
        *ret = m;
        return true;
    }
    if (!d->found) {
        *ret = m;
        *err = looked ? *err : sql;
        return looked;
    }
    m.found = true;
    m.project = &d->project;
    m.looked = NULL; /* it has its own files */
    *ret = m;
    return true;
}

const char *
cli_why_none(const Cli *cli)
{
    if (!cli->passed_over)
        return "";
    return str_printf(cli->arena,
                      " (the script '%s' of package.json makes migrations, or is started from "
                      "outside: it is not run)",
                      cli->passed_over);
}

/* ---- a run ---- */

/* Which code this is, as the platforms say it: their variables, the most exact first. */
static const char *
find_revision(char *const *environ_)
{
    static const char *const names[] = {"LOCKSTEP_REVISION",
                                        "GIT_REV",
                                        "SOURCE_VERSION",
                                        "HEROKU_SLUG_COMMIT",
                                        "HEROKU_BUILD_COMMIT",
                                        "RENDER_GIT_COMMIT",
                                        "RAILWAY_GIT_COMMIT_SHA",
                                        "VERCEL_GIT_COMMIT_SHA",
                                        "GITHUB_SHA",
                                        "CI_COMMIT_SHA",
                                        "FLY_IMAGE_REF",
                                        "K_REVISION",
                                        "CONTAINER_APP_REVISION",
                                        NULL};
    for (size_t i = 0; names[i] != NULL; i++) {
        const char *value = env_get(environ_, names[i]);
        if (value && *value)
            return value;
    }
    return NULL;
}

static LockMode
lock_mode(const char *name)
{
    for (int mode = LOCK_AUTO; name && mode <= LOCK_NONE; mode++)
        if (strcmp(name, mode == LOCK_AUTO ? "auto" : lock_mode_name((LockMode)mode)) == 0)
            return (LockMode)mode;
    return LOCK_AUTO;
}

static int
read_signal(int fd)
{
    int signo = signals_read(fd);
    if (signo == 0)
        proc_reap();
    return signo;
}

bool
cli_open_signals(Cli *cli, Error *err)
{
    if (cli->wait.signal_fd >= 0)
        return true;
    if (!signals_open(&cli->wait.signal_fd, err))
        return false;
    cli->wait.read_signal = read_signal;
    if (getpid() == 1)
        proc_become_reaper(true);
    return true;
}

static void
fill_options(Cli *cli, RunOptions *o)
{
    const Settings *s = &cli->settings;
    char host[HOST_NAME_MAX + 1] = "";
    (void)gethostname(host, sizeof host - 1);
    o->host = str_dup(cli->arena, str_of(host));
    o->schema = setting_text(s, SET_SCHEMA);
    o->table = setting_text(s, SET_TABLE);
    o->create = setting_bool(s, SET_CREATE);
    o->wait_ms = setting_ms(s, SET_WAIT);
    o->lock = lock_mode(setting_text(s, SET_LOCK));
    o->lease_ms = setting_ms(s, SET_LEASE);
    o->lock_wait_ms = setting_ms(s, SET_LOCK_WAIT);
    o->lock_timeout_ms = setting_ms(s, SET_LOCK_TIMEOUT);
    o->statement_timeout_ms = setting_ms(s, SET_STATEMENT_TIMEOUT);
    o->retry_for_ms = setting_ms(s, SET_RETRY_FOR);
    o->max_block_ms = setting_ms(s, SET_MAX_BLOCK);
    o->grace_ms = setting_ms(s, SET_GRACE);
    o->policy.order_any = is_text(s, SET_ORDER, "any");
    o->policy.ahead_refuse = is_text(s, SET_AHEAD, "refuse");
    o->environment = setting_text(s, SET_ENVIRONMENT);
    o->revision = find_revision(cli->environ_);
    o->expect_engine = setting_text(s, SET_EXPECT_ENGINE);
    o->expect_version = setting_text(s, SET_EXPECT_VERSION);
    o->expect_origin = s->values[o->expect_engine ? SET_EXPECT_ENGINE : SET_EXPECT_VERSION].origin;
    o->started_ms = cli->started_ms;
}

/* DATABASE_URL and the like may be somebody else's (a document store's) where nothing migrates. */
static bool
concerns_us(Cli *cli, bool found)
{
    return found || setting_text(&cli->settings, SET_URL);
}

static bool
run_options(Cli *cli, bool only_to_migrate, RunOptions *ret, bool *ret_found, Error *err)
{
    Migrations m;
    UrlChoice *choice = arena_make(cli->arena, UrlChoice);
    if (!cli_find_migrations(cli, &m, err))
        return false;
    RunOptions o = {.source = m.source, .looked = m.looked, .project = m.project};
    if (!only_to_migrate || concerns_us(cli, m.found)) {
        if (!cli_url(cli, &m, choice, err))
            return false;
        if (m.project && !choice->from)
            return refuse_unnamed(m.project, choice, err);
        if (!settle_ca(cli, &choice->url, err))
            return false;
        o.url = &choice->url;
        o.tool_url = choice->handed;
        o.source.dialect = o.url->engine == DB_POSTGRES ? SQL_POSTGRES
                           : o.url->engine == DB_MYSQL  ? SQL_MYSQL
                                                        : SQL_SQLITE;
        add_placeholders(cli, o.url, &o.source);
    }
    if (!choice->from && m.found && !cli->said.command->looks)
        log_info("database.default", "no database was named: using %s in the current directory",
                 o.url->display);
    fill_options(cli, &o);
    if (!cli_open_signals(cli, err))
        return false;
    *ret = o;
    *ret_found = m.found;
    return true;
}

bool
cli_run_options(Cli *cli, RunOptions *ret, bool *ret_found, Error *err)
{
    return run_options(cli, false, ret, ret_found, err);
}

bool
cli_migrate_options(Cli *cli, RunOptions *ret, bool *ret_found, Error *err)
{
    return run_options(cli, true, ret, ret_found, err);
}
