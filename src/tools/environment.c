/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a tool is started with: its database in the variables and the spelling that it reads, and
 * the time-outs where the driver takes them from the environment. The secrets in it go to the child
 * alone.
 */

#include <string.h>

#include "core/env_database.h"
#include "db/url.h"
#include "tools/adapters.h"
#include "core/banned.h"

/* ---- spellings ---- */

/* "postgresql+psycopg2://", "jdbc:postgresql://": of one language, and unknown to the others. */
static bool
is_of_one_language(Str url)
{
    Str scheme = str_sub(url, 0, str_find(url, ':'));
    return str_find(scheme, '+') < scheme.n || str_eq(scheme, STR("jdbc"));
}

/* SQLAlchemy: postgres:// is unknown to it since 1.4; a file has three slashes and its path. */
static char *
for_sqlalchemy(Arena *arena, Str url, const DbUrl *parsed)
{
    if (parsed && parsed->engine == DB_SQLITE)
        return str_printf(arena, "sqlite:///%s", parsed->database);
    if (str_starts(url, STR("jdbc:")) && parsed)
        return dburl_reveal(arena, parsed);
    static const char *const names[] = {"postgres:", "pgsql:", "postgis:"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (str_starts(url, str_of(names[i])))
            return str_printf(arena, "postgresql:" STR_FMT,
                              STR_ARG(str_sub(url, strlen(names[i]), url.n)));
    return str_dup(arena, url);
}

static char *
for_rails(Arena *arena, Str url, const DbUrl *parsed)
{
    if (parsed && parsed->engine == DB_SQLITE)
        return str_printf(arena, "sqlite3:%s", parsed->database);
    if (str_starts(url, STR("mysql:")) || str_starts(url, STR("mariadb:")))
        return str_printf(arena, "mysql2" STR_FMT,
                          STR_ARG(str_sub(url, str_find(url, ':'), url.n)));
    return is_of_one_language(url) && parsed ? dburl_reveal(arena, parsed) : str_dup(arena, url);
}

/* User and password stand in variables of their own. */
static char *
for_java(Arena *arena, const DbUrl *parsed)
{
    DbUrl bare = *parsed;
    bare.user = NULL;
    bare.password = (Secret){0};
    if (parsed->engine == DB_SQLITE)
        return str_printf(arena, "jdbc:sqlite:%s", parsed->database);
    return str_printf(arena, "jdbc:%s", dburl_reveal(arena, &bare));
}

/* The whole login in the URL, as Java's drivers take it: "?user=u&password=p". */
static char *
for_java_whole(Arena *arena, const DbUrl *parsed)
{
    DbUrl whole = *parsed;
    whole.params.p = NULL;
    whole.params.n = whole.params.size = 0; /* the caller's own is not added to */
    for (size_t i = 0; i < parsed->params.n; i++)
        *vec_push(arena, &whole.params) = parsed->params.p[i];
    if (parsed->user)
        *vec_push(arena, &whole.params) = (DbParam){str_dup(arena, STR("user")), parsed->user};
    if (secret_is_set(parsed->password))
        *vec_push(arena, &whole.params) =
            (DbParam){str_dup(arena, STR("password")),
                      str_dup(arena, str_of(secret_reveal(parsed->password)))};
    return for_java(arena, &whole);
}

static char *
spell(Arena *arena, ToolUrlForm form, Str url, const DbUrl *parsed)
{
    if (form == URL_SQLALCHEMY)
        return for_sqlalchemy(arena, url, parsed);
    if (form == URL_RAILS)
        return for_rails(arena, url, parsed);
    return is_of_one_language(url) && parsed ? dburl_reveal(arena, parsed) : str_dup(arena, url);
}

/* ---- variables ---- */

static const char *
text_or_empty(const char *text)
{
    return text ? text : "";
}

/* A family of variables that is for another engine than the URL's says nothing against it. */
static bool
is_for(const char *engine, const DbUrl *url)
{
    return !engine || str_starts(str_of(db_engine_name(url->engine)), str_of(engine));
}

/* A framework may read the file of a Docker secret itself: then it would find another password. */
static char **
set_present(Arena *arena, char **environ_, const char *name, const char *value)
{
    const char *file[] = {str_printf(arena, "%s_FILE", name), NULL};
    bool in_file = env_get(environ_, file[0]) != NULL;
    if (in_file)
        environ_ = env_without(arena, environ_, file);
    if (in_file || env_get(environ_, name))
        environ_ = env_with(arena, environ_, name, value);
    return environ_;
}

/* One family: its variables that are set already, which would contradict the URL. What the URL
 * leaves out libpq takes from its own variables, for lockstep as for the tool; elsewhere it is the
 * default. */
static char **
hand_set(Arena *arena, char **environ_, const EnvDatabase *set, const DbUrl *url, bool always)
{
    static const int ports[] = {[DB_POSTGRES] = 5432, [DB_MYSQL] = 3306, [DB_SQLITE] = 0};
    bool libpq = strcmp(set->names[PART_HOST][0], "PGHOST") == 0;
    int port = url->port || libpq ? url->port : ports[url->engine];
    const char *values[PART_ENGINE] = {
        [PART_HOST] = url->host,
        [PART_PORT] = port ? str_printf(arena, "%d", port) : NULL,
        [PART_DATABASE] = url->database,
        [PART_USER] = url->user,
        [PART_PASSWORD] = secret_is_set(url->password) ? secret_reveal(url->password) : NULL};
    for (size_t part = 0; part < PART_ENGINE; part++) {
        const char *const *names = set->names[part], *value = values[part];
        for (size_t k = 0; k < ENV_DATABASE_NAMES && names[k] && (value || !libpq); k++)
            environ_ = set_present(arena, environ_, names[k], text_or_empty(value));
        if (libpq && always && value)
            environ_ = env_with(arena, environ_, names[0], value);
    }
    return environ_;
}

static char **
hand_parts(Arena *arena, const Project *project, char **environ_, const DbUrl *url)
{
    static const char *const service[] = {"PGSERVICE", NULL}; /* stronger than libpq's others */
    const Tool *tool = project->tool;
    bool reads_nothing_else = tool == tool_row(TOOL_LEY) || tool == tool_row(TOOL_SQITCH) ||
                              tool == tool_row(TOOL_POSTGRATOR) ||
                              tool == tool_row(TOOL_DB_MIGRATE);
    if (url->engine == DB_POSTGRES)
        environ_ = env_without(arena, environ_, service);
    for (size_t i = 0; i < ENV_DATABASE_SETS; i++)
        if (is_for(env_databases[i].engine, url))
            environ_ = hand_set(arena, environ_, &env_databases[i], url, reads_nothing_else);
    return environ_;
}

/* The URL in whichever of the usual variables are set. */
static char **
hand_urls(Arena *arena, char **environ_, const char *url, const DbUrl *parsed)
{
    for (size_t i = 0; i < ENV_DATABASE_URLS; i++) {
        const char *name = env_database_urls[i];
        bool java = strcmp(name, "JDBC_DATABASE_URL") == 0;
        const char *engine = strncmp(name, "POSTGRES_", 9) == 0 ? "postgres"
                             : strncmp(name, "MYSQL_", 6) == 0  ? "mysql"
                                                                : NULL;
        if (parsed && is_for(engine, parsed))
            environ_ =
                set_present(arena, environ_, name, java ? for_java_whole(arena, parsed) : url);
    }
    return environ_;
}

static char **
hand_java(Arena *arena, const Project *project, char **environ_, const DbUrl *url)
{
    bool flyway = project->tool == tool_row(TOOL_FLYWAY);
    const char *user = flyway ? "FLYWAY_USER" : "LIQUIBASE_COMMAND_USERNAME";
    const char *password = flyway ? "FLYWAY_PASSWORD" : "LIQUIBASE_COMMAND_PASSWORD";
    if (url->user)
        environ_ = env_with(arena, environ_, user, url->user);
    if (secret_is_set(url->password))
        environ_ = env_with(arena, environ_, password, secret_reveal(url->password));
    return environ_;
}

/* db:pg://user@host/name; the password has a variable of its own. */
static char **
hand_sqitch(Arena *arena, char **environ_, const DbUrl *url)
{
    static const char *const engines[] = {
        [DB_POSTGRES] = "pg", [DB_MYSQL] = "mysql", [DB_SQLITE] = "sqlite"};
    DbUrl bare = *url;
    bare.password = (Secret){0};
    char *text = url->engine == DB_SQLITE ? url->database : dburl_reveal(arena, &bare);
    Str rest = str_of(text);
    if (url->engine != DB_SQLITE)
        rest = str_sub(rest, str_find(rest, ':') + 1, rest.n);
    environ_ = env_with(arena, environ_, "SQITCH_TARGET",
                        str_printf(arena, "db:%s:" STR_FMT, engines[url->engine], STR_ARG(rest)));
    if (secret_is_set(url->password))
        environ_ = env_with(arena, environ_, "SQITCH_PASSWORD", secret_reveal(url->password));
    return environ_;
}

static char **
hand_url(Arena *arena, const Project *project, char **environ_, const ToolEnvironment *how)
{
    const Tool *tool = project->tool;
    const ToolDetails *details = details_of(project);
    bool java = tool->url_form == URL_JDBC;
    char *url = spell(arena, java ? URL_AS_GIVEN : tool->url_form, how->url, how->parsed);
    char *own = java && how->parsed ? for_java(arena, how->parsed) : url;
    environ_ = env_with(arena, hand_urls(arena, environ_, url, how->parsed), "DATABASE_URL", url);
    for (size_t i = 0; i < TOOL_WORDS && tool->url_variables[i]; i++)
        environ_ = env_with(arena, environ_, tool->url_variables[i], own);
    for (size_t i = 0; details && i < details->url_variables.n; i++)
        environ_ = env_with(arena, environ_, details->url_variables.p[i], url);
    if (java && how->parsed)
        environ_ = hand_java(arena, project, environ_, how->parsed);
    if (tool == tool_row(TOOL_SQITCH) && how->parsed)
        environ_ = hand_sqitch(arena, environ_, how->parsed);
    return how->parsed ? hand_parts(arena, project, environ_, how->parsed) : environ_;
}

/* libpq, psycopg and node-postgres take both from here. */
static char **
hand_postgres(Arena *arena, char **environ_, const ToolEnvironment *how)
{
    StrBuf options = strbuf_new(arena, 1024 * 1024);
    if (how->application_name)
        environ_ = env_with(arena, environ_, "PGAPPNAME", how->application_name);
    if (!how->lock_timeout_ms && !how->statement_timeout_ms && !how->check_client)
        return environ_;
    strbuf_puts(&options, text_or_empty(env_get(environ_, "PGOPTIONS")));
    if (how->lock_timeout_ms)
        strbuf_printf(&options, "%s-c lock_timeout=%lld", options.n ? " " : "",
                      (long long)how->lock_timeout_ms);
    if (how->statement_timeout_ms)
        strbuf_printf(&options, "%s-c statement_timeout=%lld", options.n ? " " : "",
                      (long long)how->statement_timeout_ms);
    if (how->check_client)
        strbuf_printf(&options, "%s-c client_connection_check_interval=1s", options.n ? " " : "");
    return env_with(arena, environ_, "PGOPTIONS", str_dup(arena, strbuf_str(&options)));
}

char **
tool_environment(Arena *arena, const Project *project, const ToolEnvironment *how)
{
    static const char *const nothing[] = {NULL};
    const ToolDetails *details = details_of(project);
    char **environ_ = env_without(arena, project->environ_, nothing);
    if (how->url.p)
        environ_ = hand_url(arena, project, environ_, how);
    if (!how->parsed || how->parsed->engine == DB_POSTGRES)
        environ_ = hand_postgres(arena, environ_, how);
    if (details && details->mode && details->mode_variable &&
        !env_get(environ_, details->mode_variable))
        environ_ = env_with(arena, environ_, details->mode_variable, details->mode);
    return environ_;
}
