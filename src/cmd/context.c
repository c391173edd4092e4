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

bool
cli_url(Cli *cli, DbUrl *ret, char **ret_from, Error *err)
{
    DatabaseChoice choice = {0};
    if (!database_choose(cli->arena, &cli->settings, cli->environ_, &choice, err))
        return false;
    if (!choice.found) {
        /* Plain SQL needs no server to be tried out. */
        if (!dburl_parse(cli->arena, STR("sqlite:lockstep.db"), ret, err))
            return false;
        if (!db_supports(ret->engine, err))
            return error_wrap(err, "no database is named, and sqlite:lockstep.db is out of reach");
        *ret_from = NULL;
        return true;
    }
    if (!parse_choice(cli, &choice, ret, err))
        return false;
    if (!db_supports(ret->engine, err))
        return error_wrap(err, "%s", choice.from);
    *ret_from = choice.from;
    return true;
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

bool
cli_find_source(
    Cli *cli, SourceOptions *ret, const Source **ret_looked, bool *ret_found, Error *err)
{
    bool off = is_text(&cli->settings, SET_TOOL, "none");
    SourceOptions source = {.dir = setting_text(&cli->settings, SET_DIR),
                            .format = setting_text(&cli->settings, SET_FORMAT),
                            .env = goose_env,
                            .env_ctx = cli};
    bool found = !off && source.dir != NULL;
    if (!off && source.dir == NULL) {
        Source *looked = arena_make(cli->arena, Source);
        if (!source_look(cli->arena, &source, looked, err))
            return false;
        found = looked->dir != NULL;
        source.dir = looked->dir;
        *ret_looked = looked;
    }
    *ret = source;
    *ret_found = found;
    return true;
}

/* ---- a run ---- */

/* Which code this is, as the platforms say it: their variables, the most exact first. */
static const char *
find_revision(char *const *environ_)
{
    static const char *const names[] = {"GIT_REV",
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
        proc_become_reaper();
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
    o->policy.order_any = is_text(s, SET_ORDER, "any");
    o->policy.ahead_refuse = is_text(s, SET_AHEAD, "refuse");
    o->environment = setting_text(s, SET_ENVIRONMENT);
    o->revision = find_revision(cli->environ_);
    o->expect_engine = s->expect_engine;
    o->expect_version = s->expect_version;
    o->expect_origin = s->expect_origin;
    o->started_ms = cli->started_ms;
}

bool
cli_run_options(Cli *cli, RunOptions *ret, bool *ret_found, Error *err)
{
    RunOptions o = {0};
    DbUrl *url = arena_make(cli->arena, DbUrl);
    char *from;
    bool found;
    if (!cli_find_source(cli, &o.source, &o.looked, &found, err) ||
        !cli_url(cli, url, &from, err) || !settle_ca(cli, url, err))
        return false;
    if (from == NULL && found && !cli->said.command->looks)
        log_info("database.default", "no database was named: using %s in the current directory",
                 url->display);
    o.url = url;
    o.source.dialect = url->engine == DB_POSTGRES ? SQL_POSTGRES
                       : url->engine == DB_MYSQL  ? SQL_MYSQL
                                                  : SQL_SQLITE;
    add_placeholders(cli, url, &o.source);
    fill_options(cli, &o);
    if (!cli_open_signals(cli, err))
        return false;
    *ret = o;
    *ret_found = found;
    return true;
}
