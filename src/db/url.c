/* SPDX-License-Identifier: Apache-2.0 */
/* Database URLs. The tables of schemes and of options stand here; what is not in them is refused
 * by name, so that nothing in a URL is ignored in silence. No message echoes the URL. */

#include "db/url.h"

#include <string.h>

#include "core/banned.h"

enum { URL_MAX = 8192 };

static const struct {
    const char *scheme;
    DbEngine engine;
} schemes[] = {
    {"postgres", DB_POSTGRES}, {"postgresql", DB_POSTGRES},  {"postgis", DB_POSTGRES},
    {"pgsql", DB_POSTGRES},    {"cockroachdb", DB_POSTGRES}, {"mysql", DB_MYSQL},
    {"mysql2", DB_MYSQL},      {"mariadb", DB_MYSQL},        {"sqlite", DB_SQLITE},
    {"sqlite3", DB_SQLITE},    {"file", DB_SQLITE},
};

/* Honoured by the drivers. libpq's own keywords are passed on to it. */
static const char *const postgres_params[] = {
    "sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl", "sslcrldir", "sslsni",
    "ssl_min_protocol_version", "ssl_max_protocol_version", "sslcompression", "ssl",
    "channel_binding", "gssencmode", "gsslib", "krbsrvname", "requirepeer", "hostaddr", "passfile",
    "service", "options", "connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval",
    "keepalives_count", "tcp_user_timeout", "target_session_attrs", "application_name",
    "client_encoding", "search_path", "schema", "currentSchema", "pgbouncer", "replication",
    "load_balance_hosts", "require_auth", "sslcertmode", "sslnegotiation",
    /* Sizes and caches of client libraries: a migration has none of what they limit. */
    "connection_limit", "pool_timeout", "pool_size", "max_overflow", "statement_cache_size",
    "prepareThreshold", "preparedStatementCacheQueries", "socket_timeout", "pool_max_conns",
    "binary_parameters", "default_query_exec_mode", NULL};
static const char *const mysql_params[] = {
    "ssl-mode", "ssl_mode", "sslmode", "sslMode", "tls", "ssl-ca", "ssl_ca", "sslrootcert",
    "ssl-cert", "ssl_cert", "sslcert", "ssl-key", "ssl_key", "sslkey", "socket", "unix_socket",
    "unixSocket", "charset", "foreign_key_checks", "connect_timeout",
    /* As above: about client libraries, not about the database. */
    "connection_limit", "pool_timeout", "pool_size", "parseTime", "multiStatements",
    "serverVersion", "loc", "collation", "timeout", "readTimeout", "writeTimeout", "useUnicode",
    "characterEncoding", "allowPublicKeyRetrieval", "serverTimezone", "interpolateParams", "useSSL",
    NULL};
static const char *const sqlite_params[] = {"mode",          "cache",    "foreign_keys",
                                            "_foreign_keys", "_fk",      "busy_timeout",
                                            "_busy_timeout", "_timeout", "journal_mode",
                                            "_journal_mode", "_journal", "connection_limit",
                                            "pool_timeout",  "timeout",  NULL};

static const char *const *const known_params[] = {
    [DB_POSTGRES] = postgres_params, [DB_MYSQL] = mysql_params, [DB_SQLITE] = sqlite_params};

const char *
db_engine_name(DbEngine engine)
{
    static const char *const names[] = {
        [DB_POSTGRES] = "postgresql", [DB_MYSQL] = "mysql", [DB_SQLITE] = "sqlite"};
    return names[engine];
}

const char *
dburl_param(const DbUrl *url, const char *name)
{
    for (size_t i = 0; i < url->params.n; i++) {
        if (strcmp(url->params.p[i].name, name) == 0)
            return url->params.p[i].value;
    }
    return NULL;
}

/* ---- pieces ---- */

static bool
bad(Error *err, const char *what)
{
    error_set(err, ERROR_USAGE, "the database URL %s", what);
    return error_hint(err,
                      "It looks like postgresql://user:password@host:5432/name, "
                      "mysql://user:password@host/name or sqlite:path; characters such as @ / : # "
                      "in a password are written %%40 %%2F %%3A %%23.");
}

static int
hex_value(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool
decode(Arena *arena, Str text, Str *ret, Error *err)
{
    StrBuf out = strbuf_new(arena, URL_MAX + 1);
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] != '%') {
            strbuf_addc(&out, text.p[i]);
            continue;
        }
        int high = i + 1 < text.n ? hex_value(text.p[i + 1]) : -1;
        int low = i + 2 < text.n ? hex_value(text.p[i + 2]) : -1;
        if (high < 0 || low < 0)
            return bad(err, "has a '%' that is not followed by two hexadecimal digits");
        if (high == 0 && low == 0)
            return bad(err, "holds a NUL character (%00)");
        strbuf_addc(&out, (char)(high * 16 + low));
        i += 2;
    }
    *ret = (Str){strbuf_str(&out).p, out.n};
    return true;
}

static bool
known_scheme(Str scheme, DbEngine *ret)
{
    Str base = str_sub(scheme, 0, str_find(scheme, '+'));
    for (size_t i = 0; i < COUNT_OF(schemes); i++) {
        if (str_eq_nocase(base, str_of(schemes[i].scheme))) {
            *ret = schemes[i].engine;
            return true;
        }
    }
    return false;
}

static bool
unknown_scheme(Arena *arena, Str scheme, Error *err)
{
    const char *names[COUNT_OF(schemes) + 1] = {NULL};
    for (size_t i = 0; i < COUNT_OF(schemes); i++)
        names[i] = schemes[i].scheme;
    (void)arena;
    const char *near = str_nearest(scheme, names);
    error_set(err, ERROR_USAGE, "unknown scheme '" STR_FMT "' in the database URL",
              STR_ARG(str_sub(scheme, 0, 40)));
    return near ? error_hint(err, "Did you mean '%s'?", near)
                : error_hint(err, "postgresql, mysql, mariadb and sqlite are known.");
}

static bool
add_param(Arena *arena, DbUrl *url, Str name, Str value, Error *err)
{
    Str key, text;
    if (!decode(arena, name, &key, err) || !decode(arena, value, &text, err))
        return false;
    /* A '?' in a password that was not encoded ends up here: do not echo it. */
    for (size_t i = 0; i < key.n; i++) {
        char c = key.p[i];
        if (!((c | 32) >= 'a' && (c | 32) <= 'z') && !(c >= '0' && c <= '9') && c != '_' &&
            c != '-')
            return bad(err, "has an option with stray characters in its name");
    }
    char *name_text = str_dup(arena, key), *value_text = str_dup(arena, text);
    if (str_eq(key, STR("host")) && url->engine != DB_SQLITE)
        url->host = value_text;
    else if (str_eq(key, STR("user")) && url->engine != DB_SQLITE)
        url->user = value_text;
    else if (str_eq(key, STR("password")) && url->engine != DB_SQLITE)
        url->password = secret_make(arena, text);
    else if ((str_eq(key, STR("dbname")) || str_eq(key, STR("database"))) &&
             url->engine != DB_SQLITE)
        url->database = value_text;
    else if (str_eq(key, STR("port")) && url->engine != DB_SQLITE) {
        int64_t port;
        if (!str_to_i64(text, &port) || port < 1 || port > 65535)
            return bad(err, "has a port that is not a number from 1 to 65535");
        url->port = (int)port;
    } else {
        const char *const *known = known_params[url->engine];
        for (size_t i = 0; known[i]; i++) {
            if (strcmp(known[i], name_text) == 0) {
                *vec_push(arena, &url->params) = (DbParam){name_text, value_text};
                return true;
            }
        }
        const char *near = str_nearest(key, known);
        error_set(err, ERROR_USAGE, "unknown option '" STR_FMT "' in the database URL",
                  STR_ARG(str_sub(key, 0, 60)));
        return near ? error_hint(err, "Did you mean '%s'?", near)
                    : error_hint(err, "Leave it out; lockstep refuses what it cannot honour.");
    }
    return true;
}

static bool
parse_query(Arena *arena, DbUrl *url, Str query, Error *err)
{
    while (query.n) {
        size_t end = str_find(query, '&');
        Str pair = str_sub(query, 0, end);
        size_t equals = str_find(pair, '=');
        if (pair.n && !add_param(arena, url, str_sub(pair, 0, equals),
                                 str_sub(pair, equals + 1, pair.n), err))
            return false;
        query = str_sub(query, end + 1, query.n);
    }
    return true;
}

static bool
parse_host(Arena *arena, DbUrl *url, Str text, Error *err)
{
    Str host = text, port = STR_ABSENT;
    if (text.n && text.p[0] == '[') {
        size_t close = str_find(text, ']');
        if (close == text.n)
            return bad(err, "has an IPv6 host without ']'");
        host = str_sub(text, 1, close);
        Str rest = str_sub(text, close + 1, text.n);
        if (rest.n && rest.p[0] != ':')
            return bad(err, "has stray characters behind the host");
        port = rest.n ? str_sub(rest, 1, rest.n) : STR_ABSENT;
    } else if (str_find(text, ',') == text.n) {
        size_t colon = str_find(text, ':');
        host = str_sub(text, 0, colon);
        port = colon < text.n ? str_sub(text, colon + 1, text.n) : STR_ABSENT;
    } else {
        return bad(err, "names several hosts; name one");
    }
    if (port.p && port.n) {
        int64_t number;
        if (!str_to_i64(port, &number) || number < 1 || number > 65535)
            return bad(err, "has a port that is not a number from 1 to 65535");
        url->port = (int)number;
    }
    Str decoded;
    if (!decode(arena, host, &decoded, err))
        return false;
    if (decoded.n)
        url->host = str_dup(arena, decoded);
    return true;
}

static bool
parse_server(Arena *arena, DbUrl *url, Str rest, Error *err)
{
    if (!str_starts(rest, STR("//")))
        return bad(err, "has no '//' behind its scheme");
    rest = str_sub(rest, 2, rest.n);
    size_t slash = str_find(rest, '/');
    /* A host may be followed by the options at once. */
    Str authority = str_sub(rest, 0, slash), path = str_sub(rest, slash + 1, rest.n);
    size_t at = authority.n;
    for (size_t i = 0; i < authority.n; i++) {
        if (authority.p[i] == '@')
            at = i;
    }
    Str host = authority;
    if (at < authority.n) {
        Str user = str_sub(authority, 0, at), decoded;
        size_t colon = str_find(user, ':');
        host = str_sub(authority, at + 1, authority.n);
        if (colon < user.n) {
            if (!decode(arena, str_sub(user, colon + 1, user.n), &decoded, err))
                return false;
            url->password = secret_make(arena, decoded);
            secret_mask_also(str_sub(user, colon + 1, user.n));
        }
        if (!decode(arena, str_sub(user, 0, colon), &decoded, err))
            return false;
        if (decoded.n)
            url->user = str_dup(arena, decoded);
    }
    if (str_find(path, '/') < path.n || str_find(path, '@') < path.n)
        return bad(err, "has a '/' or '@' where the database's name should be");
    Str name;
    if (!decode(arena, path, &name, err))
        return false;
    if (name.n)
        url->database = str_dup(arena, name);
    return parse_host(arena, url, host, err);
}

/* sqlite:rel, sqlite://rel, sqlite:///rel (three slashes: relative, the rule of SQLAlchemy and
 * Django), sqlite:////abs, sqlite:/abs, sqlite::memory:, sqlite://:memory: */
static bool
parse_path(Arena *arena, DbUrl *url, Str rest, Error *err)
{
    Str path = rest;
    if (str_starts(rest, STR("///")))
        path = str_sub(rest, 3, rest.n);
    else if (str_starts(rest, STR("//")))
        path = str_sub(rest, 2, rest.n);
    Str decoded;
    if (!decode(arena, path, &decoded, err))
        return false;
    if (!decoded.n)
        decoded = STR(":memory:"); /* `sqlite://` alone is memory in SQLAlchemy */
    url->database = str_dup(arena, decoded);
    return true;
}

static void
set_display(Arena *arena, DbUrl *url)
{
    if (url->engine == DB_SQLITE) {
        url->display = str_printf(arena, "sqlite:%s", url->database);
        return;
    }
    const char *host = url->host ? url->host : "localhost";
    bool ipv6 = strchr(host, ':') != NULL && host[0] != '/';
    bool socket = host[0] == '/';
    char *port = url->port ? str_printf(arena, ":%d", url->port) : str_printf(arena, "%s", "");
    url->display = str_printf(arena, "%s://%s%s%s%s%s%s/%s", db_engine_name(url->engine),
                              url->user ? url->user : "", url->user ? "@" : "", ipv6 ? "[" : "",
                              socket ? "" : host, ipv6 ? "]" : "", socket ? "" : port,
                              url->database ? url->database : "");
    if (socket)
        url->display = str_printf(arena, "%s?host=%s", url->display, host);
}

static bool
check_characters(Str text, Error *err)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c <= ' ' || c == 0x7f)
            return bad(err, c == ' ' ? "holds a blank" : "holds a control character");
        if (c == '"' || c == '<' || c == '>')
            return bad(err, "holds a quote or angle bracket");
    }
    return true;
}

bool
dburl_parse(Arena *arena, Str text, DbUrl *ret, Error *err)
{
    DbUrl url = {0};
    text = str_trim(text);
    if (!text.n)
        return bad(err, "is empty");
    if (text.n > URL_MAX)
        return bad(err, "is longer than 8 KiB");
    if (str_find(text, '\0') < text.n)
        return bad(err, "holds a NUL character");
    if (str_starts(text, STR("jdbc:")))
        text = str_sub(text, 5, text.n);
    size_t colon = str_find(text, ':');
    Str scheme = str_sub(text, 0, colon);
    for (size_t i = 0; i < scheme.n; i++) {
        char c = scheme.p[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '+' || c == '_' || c == '-' || c == '.';
        if (!ok)
            return bad(err, "has no scheme");
    }
    if (colon == text.n || !scheme.n)
        return bad(err, "has no scheme");
    if (!known_scheme(scheme, &url.engine))
        return unknown_scheme(arena, scheme, err);
    Str rest = str_sub(text, colon + 1, text.n);
    size_t hash = url.engine == DB_SQLITE ? rest.n : str_find(rest, '#');
    if (hash < rest.n)
        return bad(err, "holds a '#'");
    if (url.engine != DB_SQLITE && !check_characters(rest, err))
        return false;
    size_t question = str_find(rest, '?');
    Str query = str_sub(rest, question + 1, rest.n);
    rest = str_sub(rest, 0, question);
    bool ok = url.engine == DB_SQLITE ? parse_path(arena, &url, rest, err)
                                      : parse_server(arena, &url, rest, err);
    if (!ok || !parse_query(arena, &url, query, err))
        return false;
    set_display(arena, &url);
    *ret = url;
    return true;
}

bool
dburl_from_parts(Arena *arena, const DbParts *parts, DbUrl *ret, Error *err)
{
    DbUrl url = {.engine = parts->engine,
                 .user = str_dup(arena, parts->user),
                 .password = secret_make(arena, parts->password),
                 .host = str_dup(arena, parts->host),
                 .database = str_dup(arena, parts->database)};
    if (parts->engine == DB_SQLITE && !url.database)
        return error_set(err, ERROR_USAGE, "the SQLite database has no name");
    if (parts->port.p && parts->port.n) {
        int64_t port;
        if (!str_to_i64(parts->port, &port) || port < 1 || port > 65535)
            return error_set(err, ERROR_USAGE,
                             "the database's port is not a number from 1 to 65535");
        url.port = (int)port;
    }
    if (parts->params.p && !parse_query(arena, &url, parts->params, err))
        return false;
    set_display(arena, &url);
    *ret = url;
    return true;
}

static void
add_encoded(StrBuf *out, const char *text, bool path)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '.' || c == '_' || c == '~' || (path && c == '/');
        if (plain)
            strbuf_addc(out, (char)c);
        else
            strbuf_printf(out, "%%%02X", c);
    }
}

char *
dburl_reveal(Arena *arena, const DbUrl *url)
{
    StrBuf out = strbuf_new(arena, 4 * URL_MAX);
    char separator = '?';
    if (url->engine == DB_SQLITE) {
        strbuf_puts(&out, url->database[0] == '/' ? "sqlite:///" : "sqlite:");
        add_encoded(&out, url->database, true);
    } else {
        strbuf_printf(&out, "%s://", db_engine_name(url->engine));
        if (url->user)
            add_encoded(&out, url->user, false);
        if (secret_is_set(url->password)) {
            strbuf_addc(&out, ':');
            add_encoded(&out, secret_reveal(url->password), false);
        }
        if (url->user || secret_is_set(url->password))
            strbuf_addc(&out, '@');
        bool ipv6 = url->host && url->host[0] != '/' && strchr(url->host, ':');
        if (url->host && url->host[0] != '/')
            strbuf_printf(&out, "%s%s%s", ipv6 ? "[" : "", url->host, ipv6 ? "]" : "");
        if (url->port)
            strbuf_printf(&out, ":%d", url->port);
        strbuf_addc(&out, '/');
        if (url->database)
            add_encoded(&out, url->database, false);
        if (url->host && url->host[0] == '/') {
            strbuf_puts(&out, "?host=");
            add_encoded(&out, url->host, false);
            separator = '&';
        }
    }
    for (size_t i = 0; i < url->params.n; i++) {
        strbuf_printf(&out, "%c%s=", separator, url->params.p[i].name);
        add_encoded(&out, url->params.p[i].value, false);
        separator = '&';
    }
    return str_dup(arena, strbuf_str(&out));
}
