/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The database that a tool's own files name (contract 3.4). Only what stands there in plain words,
 * or in variables that are set; what code would have to say is not guessed. Passwords go from here
 * into a URL and nowhere else.
 */

#include <string.h>

#include "db/url.h"
#include "tools/adapters.h"
#include "core/banned.h"

/* ---- filling in ---- */

static bool
engine_of(Str name, DbEngine *ret)
{
    static const struct {
        const char *name;
        DbEngine engine;
    } engines[] = {{"postgres", DB_POSTGRES}, {"postgresql", DB_POSTGRES}, {"postgis", DB_POSTGRES},
                   {"pg", DB_POSTGRES},       {"pgsql", DB_POSTGRES},      {"mysql", DB_MYSQL},
                   {"mysql2", DB_MYSQL},      {"mariadb", DB_MYSQL},       {"trilogy", DB_MYSQL},
                   {"sqlite", DB_SQLITE},     {"sqlite3", DB_SQLITE}};
    for (size_t i = 0; i < COUNT_OF(engines); i++) {
        if (str_eq_nocase(name, str_of(engines[i].name))) {
            *ret = engines[i].engine;
            return true;
        }
    }
    return false;
}

void
own_set_url(Arena *arena, Project *project, Str url, const char *from)
{
    url = str_trim(url);
    if (!url.n || memchr(url.p, 0, url.n))
        return;
    project->url = str_dup(arena, url);
    project->url_from = str_dup(arena, str_of(from));
}

void
own_set_parts(Arena *arena, Project *project, const OwnParts *own, const char *from)
{
    DbParts parts = {.host = own->host,
                     .port = own->port,
                     .database = own->database,
                     .user = own->user,
                     .password = own->password,
                     .params = own->params};
    Error ignored = ERROR_INIT;
    DbUrl url;
    if (!own->database.n || !engine_of(own->engine, &parts.engine) ||
        !dburl_from_parts(arena, &parts, &url, &ignored))
        return;
    own_set_url(arena, project, str_of(dburl_reveal(arena, &url)), from);
}

bool
own_variable(Arena *arena, const Project *project, Str name, Str *ret, Error *err)
{
    static const char *const files[] = {".env", "prisma/.env"};
    const char *key = str_dup(arena, name), *value = env_get(project->environ_, key);
    *ret = value && *value ? str_of(value) : STR_ABSENT;
    for (size_t i = 0; i < COUNT_OF(files) && !ret->n; i++) {
        Str text;
        if (!project_read(arena, project, files[i], &text, err))
            return false;
        *ret = dotenv_value(text, key);
    }
    return true;
}

/* ---- Python ---- */

/* %(name)s of another key, of `here` or of a variable (yoyo), %% a single one. */
static bool
interpolate(Arena *arena, const Project *project, Str text, Str value, bool variables, Str *ret)
{
    StrBuf out = strbuf_new(arena, 4 * TOOL_FILE_CEILING);
    const char *config = details_of(project)->config, *slash = strrchr(config, '/');
    for (size_t i = 0; i < value.n; i++) {
        Str rest = str_sub(value, i, value.n);
        size_t end = str_find_str(rest, STR(")s"));
        if (str_starts(rest, STR("%%"))) {
            strbuf_addc(&out, '%');
            i++;
        } else if (str_starts(rest, STR("%(")) && end < rest.n && end < 100) {
            Str name = str_sub(rest, 2, end);
            const char *set = variables ? env_get(project->environ_, str_dup(arena, name)) : NULL;
            Str known = str_eq(name, STR("here"))
                            ? (slash ? (Str){config, (size_t)(slash - config)} : STR("."))
                        : set ? str_of(set)
                              : ini_value(arena, text, variables ? "DEFAULT" : "alembic",
                                          str_dup(arena, name));
            if (!known.p || known.n > 8192 || text_has(known, "%(") || out.n > 8192)
                return false;
            strbuf_add(&out, known);
            i += end + 1;
        } else {
            strbuf_addc(&out, value.p[i]);
        }
    }
    *ret = strbuf_str(&out);
    return true;
}

static bool
from_ini(Arena *arena, Project *project, const char *section, const char *key, Error *err)
{
    bool yoyo = project->tool == tool_row(TOOL_YOYO);
    const char *config = details_of(project)->config;
    Str text, value;
    if (!config || !fs_read(arena, config, TOOL_FILE_CEILING, &text, err))
        return !config;
    value = ini_value(arena, text, section, key);
    /* What `alembic init` writes is no database. */
    if (!value.n || str_starts(value, STR("driver://")) ||
        !interpolate(arena, project, text, value, yoyo, &value))
        return true;
    own_set_url(arena, project, value, str_printf(arena, "%s, %s", config, key));
    return true;
}

/* ---- Prisma ---- */

/* url = env("X") or url = "file:./dev.db" */
static Str
prisma_line(Str block, const char *key)
{
    Str line;
    while (text_line(&block, &line)) {
        line = str_trim(line);
        size_t equals = str_find(line, '=');
        if (equals < line.n && str_eq(str_trim(str_sub(line, 0, equals)), str_of(key)))
            return str_trim(str_sub(line, equals + 1, line.n));
    }
    return STR_ABSENT;
}

static Str
inside_quotes(Str text)
{
    size_t from = str_find(text, '"');
    Str rest = str_sub(text, from + 1, text.n);
    size_t end = str_find(rest, '"');
    return from < text.n && end < rest.n ? str_sub(rest, 0, end) : STR_ABSENT;
}

/* A file is named from where the schema stands. */
static Str
prisma_file(Arena *arena, const char *config, Str url)
{
    const char *slash = strrchr(config, '/');
    Str path = str_sub(url, strlen("file:"), url.n);
    if (str_starts(path, STR("./")))
        path = str_sub(path, 2, path.n);
    if (path.n && path.p[0] == '/')
        return str_of(str_printf(arena, "sqlite://" STR_FMT, STR_ARG(path)));
    return str_of(str_printf(arena, "sqlite:%.*s" STR_FMT, slash ? (int)(slash - config + 1) : 0,
                             config, STR_ARG(path)));
}

static bool
from_prisma_key(Arena *arena, Project *project, Str block, const char *key, Error *err)
{
    ToolDetails *details = details_of(project);
    Str line = prisma_line(block, key), name = inside_quotes(line), value = name;
    if (!name.n)
        return true;
    char *from = str_printf(arena, "%s, %s", details->config, key);
    if (str_starts(line, STR("env("))) {
        words_add(arena, &details->url_variables, name);
        if (!own_variable(arena, project, name, &value, err))
            return false;
        from = str_printf(arena, STR_FMT " (%s)", STR_ARG(name), details->config);
    }
    if (str_starts(value, STR("file:")))
        value = prisma_file(arena, details->config, value);
    if (!project->url) {
        own_set_url(arena, project, value, from);
        project->url_is_direct = project->url && strcmp(key, "directUrl") == 0;
    }
    return true;
}

static bool
from_prisma(Arena *arena, Project *project, Error *err)
{
    ToolDetails *details = details_of(project);
    Str text;
    if (!details->config || !fs_read(arena, details->config, TOOL_FILE_CEILING, &text, err))
        return !details->config;
    size_t at = str_find_str(text, STR("datasource "));
    Str block = str_sub(text, at, text.n);
    size_t open = str_find(block, '{'), end = str_find(block, '}');
    block = open < end ? str_sub(block, open + 1, end) : STR("");
    return from_prisma_key(arena, project, block, "directUrl", err) &&
           from_prisma_key(arena, project, block, "url", err);
}

/* ---- Ruby ---- */

/* <%= ENV["X"] %>, <%= ENV.fetch("X") %>, <%= ENV.fetch("X", "else") %>, ... { "else" } %> */
static bool
erb(Arena *arena, const Project *project, Str value, Str *ret)
{
    if (!text_has(value, "<%")) {
        *ret = value;
        return true;
    }
    char *code = str_dup(arena, value);
    for (char *c = code; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    Str inside = str_trim(str_of(code));
    if (!str_starts(inside, STR("<%=")) || !str_ends(inside, STR("%>")))
        return false;
    inside = str_trim(str_sub(inside, strlen("<%="), inside.n - strlen("%>")));
    bool fetch = str_starts(inside, STR("ENV.fetch(\""));
    if (!fetch && !str_starts(inside, STR("ENV[\"")))
        return false;
    Str name = inside_quotes(inside);
    size_t past = name.p ? (size_t)(name.p + name.n - inside.p) + 1 : inside.n;
    Str rest = str_sub(inside, past, inside.n);
    const char *set = name.n ? env_get(project->environ_, str_dup(arena, name)) : NULL;
    /* ENV["X"] || "else": the same as fetch's second word; anything longer is code. */
    Str other = inside_quotes(rest);
    if (!set && !other.p && str_find_str(rest, STR("||")) < rest.n)
        return false;
    *ret = set ? str_of(set) : other;
    return set || other.p || !fetch;
}

static const char *
own_mode(const Project *project, Str text, const char *first, const char *second)
{
    const char *mode = env_get(project->environ_, first);
    if ((!mode || !*mode) && second)
        mode = env_get(project->environ_, second);
    if (mode && *mode)
        return mode;
    details_of(project)->mode_variable = first;
    if (project->mode && yaml_has_section(text, project->mode))
        return project->mode;
    return "development";
}

static bool
from_rails(Arena *arena, Project *project, Error *err)
{
    static const char *const keys[] = {"url",      "adapter",  "host",    "port",
                                       "database", "username", "password"};
    ToolDetails *details = details_of(project);
    Str text, values[COUNT_OF(keys)];
    if (!project_read(arena, project, "config/database.yml", &text, err))
        return false;
    if (!text.p)
        return true;
    const char *mode = own_mode(project, text, "RAILS_ENV", "RACK_ENV");
    details->mode = str_dup(arena, str_of(mode));
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        Str value = yaml_value(text, mode, keys[i]);
        values[i] = STR_ABSENT;
        if (value.p && !erb(arena, project, value, &values[i]))
            return true;
    }
    char *from = str_printf(arena, "config/database.yml, %s", mode);
    if (values[0].n)
        own_set_url(arena, project, values[0], from);
    else
        own_set_parts(arena, project,
                      &(OwnParts){.engine = values[1],
                                  .host = values[2],
                                  .port = values[3],
                                  .database = values[4],
                                  .user = values[5],
                                  .password = values[6]},
                      from);
    return true;
}

/* ---- Laravel ---- */

static Str
laravel_value(const Project *project, Str text, const char *key)
{
    const char *set = env_get(project->environ_, key);
    return set && *set ? str_of(set) : dotenv_value(text, key);
}

static bool
from_laravel(Arena *arena, Project *project, Error *err)
{
    Str text;
    if (!project_read(arena, project, ".env", &text, err))
        return false;
    Str url = laravel_value(project, text, "DB_URL");
    if (url.n) {
        own_set_url(arena, project, url, ".env, DB_URL");
        return true;
    }
    OwnParts parts = {.engine = laravel_value(project, text, "DB_CONNECTION"),
                      .host = laravel_value(project, text, "DB_HOST"),
                      .port = laravel_value(project, text, "DB_PORT"),
                      .database = laravel_value(project, text, "DB_DATABASE"),
                      .user = laravel_value(project, text, "DB_USERNAME"),
                      .password = laravel_value(project, text, "DB_PASSWORD")};
    if (str_eq(parts.engine, STR("sqlite"))) {
        bool named = parts.database.n > 0;
        parts = (OwnParts){.engine = parts.engine,
                           .database = named ? parts.database : STR("database/database.sqlite")};
    }
    own_set_parts(arena, project, &parts, ".env");
    return true;
}

/* ---- sql-migrate ---- */

/* ${X} and $X of the process, as that tool expands them. */
static bool
expand_variables(Arena *arena, const Project *project, Str value, Str *ret)
{
    StrBuf out = strbuf_new(arena, 4 * TOOL_FILE_CEILING);
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] != '$') {
            strbuf_addc(&out, value.p[i]);
            continue;
        }
        bool braces = i + 1 < value.n && value.p[i + 1] == '{';
        size_t from = i + (braces ? 2 : 1), end = from;
        while (end < value.n &&
               (value.p[end] == '_' || (value.p[end] >= 'A' && value.p[end] <= 'Z') ||
                (value.p[end] >= 'a' && value.p[end] <= 'z') ||
                (value.p[end] >= '0' && value.p[end] <= '9')))
            end++;
        const char *set = env_get(project->environ_, str_dup(arena, str_sub(value, from, end)));
        if (!set || out.n > 8192)
            return false;
        strbuf_puts(&out, set);
        i = braces && end < value.n ? end : end - 1;
    }
    *ret = strbuf_str(&out);
    return true;
}

/* "host=h dbname=d user=u password='p w'" */
static void
from_keywords(Arena *arena, Project *project, Str text, const char *from)
{
    OwnParts parts = {.engine = STR("postgres")};
    char **words;
    if (!str_split_words(arena, text, &words))
        return;
    for (; *words; words++) {
        Str word = str_of(*words);
        size_t equals = str_find(word, '=');
        Str key = str_sub(word, 0, equals), value = str_sub(word, equals + 1, word.n);
        Str *field = str_eq(key, STR("host"))       ? &parts.host
                     : str_eq(key, STR("port"))     ? &parts.port
                     : str_eq(key, STR("dbname"))   ? &parts.database
                     : str_eq(key, STR("user"))     ? &parts.user
                     : str_eq(key, STR("password")) ? &parts.password
                                                    : NULL;
        if (field)
            *field = value;
        else if (str_eq(key, STR("sslmode")))
            parts.params = word;
    }
    own_set_parts(arena, project, &parts, from);
}

/* Go's driver: user:password@tcp(host:port)/name?options */
static void
from_go_mysql(Arena *arena, Project *project, Str text, const char *from)
{
    OwnParts parts = {.engine = STR("mysql")};
    size_t at = text.n, open, close, slash, colon;
    for (size_t i = 0; i < text.n; i++)
        at = text.p[i] == '@' ? i : at;
    Str login = at < text.n ? str_sub(text, 0, at) : STR_ABSENT;
    Str rest = at < text.n ? str_sub(text, at + 1, text.n) : text;
    colon = str_find(login, ':');
    parts.user = str_sub(login, 0, colon);
    parts.password = colon < login.n ? str_sub(login, colon + 1, login.n) : STR_ABSENT;
    open = str_find(rest, '(');
    close = str_find(rest, ')');
    if (open < close && close < rest.n) {
        Str address = str_sub(rest, open + 1, close);
        bool tcp = str_starts(rest, STR("tcp"));
        colon = tcp ? str_find(address, ':') : address.n;
        parts.host = str_sub(address, 0, colon);
        parts.port = colon < address.n ? str_sub(address, colon + 1, address.n) : STR_ABSENT;
        rest = str_sub(rest, close + 1, rest.n);
    }
    slash = str_find(rest, '/');
    rest = str_sub(rest, slash + 1, rest.n);
    parts.database = str_sub(rest, 0, str_find(rest, '?'));
    own_set_parts(arena, project, &parts, from);
}

static bool
from_sql_migrate(Arena *arena, Project *project, Error *err)
{
    const char *mode = details_of(project)->mode;
    Str text;
    if (!mode || !project_read(arena, project, "dbconfig.yml", &text, err))
        return !mode;
    Str dialect = yaml_value(text, mode, "dialect"), source;
    if (!expand_variables(arena, project, yaml_value(text, mode, "datasource"), &source))
        return true;
    char *from = str_printf(arena, "dbconfig.yml, %s", mode);
    if (text_has(source, "://"))
        own_set_url(arena, project, source, from);
    else if (str_eq(dialect, STR("postgres")))
        from_keywords(arena, project, source, from);
    else if (str_eq(dialect, STR("mysql")))
        from_go_mysql(arena, project, source, from);
    else if (str_eq(dialect, STR("sqlite3")))
        own_set_parts(arena, project, &(OwnParts){.engine = dialect, .database = source}, from);
    return true;
}

/* ---- Sqitch ---- */

/* db:pg://user@host/name -> postgresql://...; db:sqlite:path. A URI without an address tells
 * nothing by itself: then the variables of the client library hold. */
static void
from_sqitch_uri(Arena *arena, Project *project, Str uri, const char *from)
{
    if (!str_starts(uri, STR("db:")))
        return;
    uri = str_sub(uri, strlen("db:"), uri.n);
    size_t colon = str_find(uri, ':');
    Str engine = str_sub(uri, 0, colon), rest = str_sub(uri, colon + 1, uri.n);
    DbEngine known;
    if (!rest.n || !engine_of(engine, &known))
        return;
    if (known == DB_SQLITE)
        own_set_parts(arena, project, &(OwnParts){.engine = engine, .database = rest}, from);
    else if (str_starts(rest, STR("//")))
        own_set_url(arena, project,
                    str_of(str_printf(arena, "%s:" STR_FMT, db_engine_name(known), STR_ARG(rest))),
                    from);
}

static bool
from_sqitch(Arena *arena, Project *project, Error *err)
{
    const char *set = env_get(project->environ_, "SQITCH_TARGET");
    Str text, target;
    if (!project_read(arena, project, "sqitch.conf", &text, err))
        return false;
    char *section = str_printf(arena, "engine \"" STR_FMT "\"",
                               STR_ARG(ini_value(arena, text, "core", "engine")));
    target = set && *set ? str_of(set) : ini_value(arena, text, "core", "target");
    if (!target.n)
        target = ini_value(arena, text, section, "target");
    if (target.n && !str_starts(target, STR("db:"))) {
        section = str_printf(arena, "target \"" STR_FMT "\"", STR_ARG(target));
        target = ini_value(arena, text, section, "uri");
    }
    from_sqitch_uri(arena, project, target, set && *set ? "SQITCH_TARGET" : "sqitch.conf");
    return true;
}

/* ---- Java ---- */

static bool
from_properties(Arena *arena, Project *project, const char *prefix, Error *err)
{
    const char *config = details_of(project)->config;
    const char *user_key = *prefix ? "flyway.user" : "username";
    char *path = config ? str_dup(arena, str_of(config))
                        : project_path(arena, project, "liquibase.properties");
    Error ignored = ERROR_INIT;
    DbUrl url;
    Str text;
    if (fs_kind(path) == FS_ABSENT)
        return true;
    if (!fs_read(arena, path, TOOL_FILE_CEILING, &text, err))
        return false;
    Str given = ini_value(arena, text, "", str_printf(arena, "%surl", prefix));
    Str user = ini_value(arena, text, "", user_key);
    Str password = ini_value(arena, text, "", str_printf(arena, "%spassword", prefix));
    if (!given.n || !dburl_parse(arena, given, &url, &ignored))
        return true;
    if (!url.user && user.n)
        url.user = str_dup(arena, user);
    if (!secret_is_set(url.password) && password.n)
        url.password = secret_make(arena, password);
    own_set_url(arena, project, str_of(dburl_reveal(arena, &url)), path);
    return true;
}

/* ---- graphile-migrate ---- */

static bool
from_graphile(Arena *arena, Project *project, Error *err)
{
    const char *config = details_of(project)->config;
    bool there;
    Str text;
    if (!config || !fs_read(arena, config, TOOL_FILE_CEILING, &text, err))
        return !config;
    Str url = code_value(arena, text, "connectionString", &there);
    own_set_url(arena, project, url, str_printf(arena, "%s, connectionString", config));
    return true;
}

bool
own_database(Arena *arena, Project *project, Error *err)
{
    const Tool *tool = project->tool;
    if (tool == tool_row(TOOL_ALEMBIC))
        return from_ini(arena, project, "alembic", "sqlalchemy.url", err);
    if (tool == tool_row(TOOL_YOYO))
        return from_ini(arena, project, "DEFAULT", "database", err);
    if (tool == tool_row(TOOL_PRISMA))
        return from_prisma(arena, project, err) && own_code_database(arena, project, err);
    if (tool == tool_row(TOOL_RAILS))
        return from_rails(arena, project, err);
    if (tool == tool_row(TOOL_LARAVEL))
        return from_laravel(arena, project, err);
    if (tool == tool_row(TOOL_SQL_MIGRATE))
        return from_sql_migrate(arena, project, err);
    if (tool == tool_row(TOOL_SQITCH))
        return from_sqitch(arena, project, err);
    if (tool == tool_row(TOOL_GRAPHILE))
        return from_graphile(arena, project, err);
    if (tool == tool_row(TOOL_FLYWAY))
        return from_properties(arena, project, "flyway.", err);
    if (tool == tool_row(TOOL_LIQUIBASE))
        return from_properties(arena, project, "", err);
    return own_json_database(arena, project, err) && own_code_database(arena, project, err);
}
