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
static const char *const postgres_params[] = {"sslmode",
                                              "sslrootcert",
                                              "sslcert",
                                              "sslkey",
                                              "sslpassword",
                                              "sslcrl",
                                              "sslcrldir",
                                              "sslsni",
                                              "ssl_min_protocol_version",
                                              "ssl_max_protocol_version",
                                              "sslcompression",
                                              "ssl",
                                              "channel_binding",
                                              "gssencmode",
                                              "gsslib",
                                              "krbsrvname",
                                              "requirepeer",
                                              "hostaddr",
                                              "passfile",
                                              "service",
                                              "options",
                                              "connect_timeout",
                                              "keepalives",
                                              "keepalives_idle",
                                              "keepalives_interval",
                                              "keepalives_count",
                                              "tcp_user_timeout",
                                              "target_session_attrs",
                                              "application_name",
                                              "client_encoding",
                                              "charset",
                                              "encoding",
                                              "search_path",
                                              "schema",
                                              "currentSchema",
                                              "pgbouncer",
                                              "load_balance_hosts",
                                              "require_auth",
                                              "sslcertmode",
                                              "sslnegotiation",
                                              NULL};
static const char *const mysql_params[] = {
    "ssl-mode",        "ssl_mode",   "sslmode",  "sslMode",
    "sslaccept",       "tls",        "ssl-ca",   "ssl_ca",
    "sslrootcert",     "ssl-cert",   "ssl_cert", "sslcert",
    "ssl-key",         "ssl_key",    "sslkey",   "socket",
    "unix_socket",     "unixSocket", "charset",  "foreign_key_checks",
    "connect_timeout", "useSSL",     NULL};
static const char *const sqlite_params[] = {
    "mode",          "cache",    "foreign_keys", "_foreign_keys", "_fk",      "busy_timeout",
    "_busy_timeout", "_timeout", "journal_mode", "_journal_mode", "_journal", NULL};

/* Sizes, caches and conversions of client libraries (Prisma, SQLAlchemy, Rails, JDBC, pgx, the Go
 * and Node drivers): a migration has nothing that they would limit or convert. */
static const char *const idle_params[] = {"connection_limit",
                                          "pool_timeout",
                                          "pool_size",
                                          "pool",
                                          "max_overflow",
                                          "statement_cache_size",
                                          "socket_timeout",
                                          "pool_max_conns",
                                          "pool_min_conns",
                                          "pool_max_conn_lifetime",
                                          "pool_max_conn_idle_time",
                                          "pool_health_check_period",
                                          "statement_cache_capacity",
                                          "description_cache_capacity",
                                          "prepareThreshold",
                                          "preparedStatementCacheQueries",
                                          "preparedStatementCacheSizeMiB",
                                          "prepared_statements",
                                          "binary_parameters",
                                          "default_query_exec_mode",
                                          "reWriteBatchedInserts",
                                          "rewriteBatchedStatements",
                                          "defaultRowFetchSize",
                                          "tcpKeepAlive",
                                          "ApplicationName",
                                          "loginTimeout",
                                          "connectTimeout",
                                          "socketTimeout",
                                          "stringtype",
                                          "parseTime",
                                          "multiStatements",
                                          "serverVersion",
                                          "loc",
                                          "collation",
                                          "timeout",
                                          "readTimeout",
                                          "writeTimeout",
                                          "useUnicode",
                                          "characterEncoding",
                                          "allowPublicKeyRetrieval",
                                          "serverTimezone",
                                          "connectionTimeZone",
                                          "interpolateParams",
                                          "zeroDateTimeBehavior",
                                          "cachePrepStmts",
                                          "autoReconnect",
                                          "reconnect",
                                          "checkout_timeout",
                                          "idle_timeout",
                                          "uselibpqcompat",
                                          NULL};

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
    for (size_t i = url->params.n; i > 0; i--) {
        if (strcmp(url->params.p[i - 1].name, name) == 0)
            return url->params.p[i - 1].value;
    }
    return NULL;
}

static bool
is_listed(const char *const *names, const char *name)
{
    while (*names && strcmp(*names, name) != 0)
        names++;
    return *names != NULL;
}

bool
dburl_param_is_idle(const char *name)
{
    return is_listed(idle_params, name);
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
unknown_scheme(Str scheme, Error *err)
{
    const char *names[COUNT_OF(schemes) + 1] = {NULL};
    for (size_t i = 0; i < COUNT_OF(schemes); i++)
        names[i] = schemes[i].scheme;
    const char *near = str_nearest(scheme, names);
    error_set(err, ERROR_USAGE, "unknown scheme '" STR_FMT "' in the database URL",
              STR_ARG(str_sub(scheme, 0, 40)));
    return near ? error_hint(err, "Did you mean '%s'?", near)
                : error_hint(err, "postgresql, mysql, mariadb and sqlite are known.");
}

static bool
parse_port(Str text, int *ret, Error *err)
{
    int64_t port;
    /* The text is not told: a password with a '/' that was not encoded ends up here. */
    if (!str_to_i64(text, &port) || port < 1 || port > 65535)
        return bad(err, "has a port that is not a number from 1 to 65535");
    *ret = (int)port;
    return true;
}

static void
push_param(Arena *arena, DbUrl *url, Str name, Str value)
{
    *vec_push(arena, &url->params) = (DbParam){str_dup(arena, name), str_dup(arena, value)};
}

/* Empty is as good as not there. */
static char *
given(Arena *arena, Str part)
{
    return part.n ? str_dup(arena, part) : NULL;
}

static Secret
given_secret(Arena *arena, Str part)
{
    return secret_make(arena, part.n ? part : STR_ABSENT);
}

/* libpq tries several hosts in turn; nobody else does. */
static bool
check_hosts(const DbUrl *url, Str hosts, Error *err)
{
    return url->engine == DB_POSTGRES || str_find(hosts, ',') == hosts.n ||
           bad(err, "names several hosts; name one");
}

/* Options that stand for parts of the URL itself. */
static bool
take_part(Arena *arena, DbUrl *url, Str key, Str value, bool *ret_taken, Error *err)
{
    *ret_taken = url->engine != DB_SQLITE;
    if (url->engine == DB_SQLITE)
        return true;
    if (str_eq(key, STR("host"))) {
        if (!check_hosts(url, value, err))
            return false;
        url->host = given(arena, value);
    } else if (str_eq(key, STR("user"))) {
        url->user = given(arena, value);
    } else if (str_eq(key, STR("password"))) {
        url->password = given_secret(arena, value);
    } else if (str_eq(key, STR("dbname")) || str_eq(key, STR("database"))) {
        url->database = given(arena, value);
    } else if (str_eq(key, STR("port"))) {
        bool several = url->engine == DB_POSTGRES && str_find(value, ',') < value.n;
        if (several) /* one for each host: libpq's to count */
            push_param(arena, url, STR("port"), value);
        return several || parse_port(value, &url->port, err);
    } else {
        *ret_taken = false;
    }
    return true;
}

static bool
unknown_param(const DbUrl *url, Str key, Error *err)
{
    const char *near = str_nearest(key, known_params[url->engine]);
    error_set(err, ERROR_USAGE, "unknown option '" STR_FMT "' in the database URL",
              STR_ARG(str_sub(key, 0, 60)));
    return near ? error_hint(err, "Did you mean '%s'?", near)
                : error_hint(err, "Leave it out; lockstep refuses what it cannot honour.");
}

static bool
add_param(Arena *arena, DbUrl *url, Str name, Str value, Error *err)
{
    Str key, text;
    bool taken;
    if (!decode(arena, name, &key, err) || !decode(arena, value, &text, err))
        return false;
    for (size_t i = 0; i < key.n; i++) {
        char c = key.p[i];
        if (!((c | 32) >= 'a' && (c | 32) <= 'z') && !(c >= '0' && c <= '9') && c != '_' &&
            c != '-')
            return bad(err, "has an option with stray characters in its name");
    }
    if (!take_part(arena, url, key, text, &taken, err))
        return false;
    if (taken)
        return true;
    char *name_text = str_dup(arena, key);
    if (!is_listed(known_params[url->engine], name_text) && !is_listed(idle_params, name_text))
        return unknown_param(url, key, err);
    if (str_eq(key, STR("sslpassword")))
        secret_mask_also(text);
    push_param(arena, url, key, text);
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

/* One host[:port]; *ret_port 0 = none. */
static bool
parse_host(Arena *arena, Str text, Str *ret_host, int *ret_port, Error *err)
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
    } else {
        size_t colon = str_find(text, ':');
        host = str_sub(text, 0, colon);
        port = colon < text.n ? str_sub(text, colon + 1, text.n) : STR_ABSENT;
    }
    *ret_port = 0;
    if (!decode(arena, host, ret_host, err) || (port.n && !parse_port(port, ret_port, err)))
        return false;
    return str_find(*ret_host, ',') == ret_host->n || bad(err, "has a comma in a host");
}

/* Several hosts may have a port of their own each. */
static bool
parse_hosts(Arena *arena, DbUrl *url, Str text, Error *err)
{
    StrBuf hosts = strbuf_new(arena, URL_MAX), ports = strbuf_new(arena, 8 * URL_MAX);
    bool any_port = false;
    if (str_find(text, ',') == text.n) {
        Str host;
        if (!parse_host(arena, text, &host, &url->port, err))
            return false;
        url->host = given(arena, host);
        return true;
    }
    /* Also where an option names another one behind: their ports would be nobody's. */
    if (!check_hosts(url, text, err))
        return false;
    for (bool first = true;; first = false) {
        size_t comma = str_find(text, ',');
        Str host;
        int port = 0;
        if (!parse_host(arena, str_sub(text, 0, comma), &host, &port, err))
            return false;
        strbuf_printf(&hosts, "%s" STR_FMT, first ? "" : ",", STR_ARG(host));
        strbuf_printf(&ports, first ? "%d" : ",%d", port ? port : 5432);
        any_port = any_port || port;
        if (comma == text.n)
            break;
        text = str_sub(text, comma + 1, text.n);
    }
    url->host = str_dup(arena, strbuf_str(&hosts));
    if (any_port)
        push_param(arena, url, STR("port"), strbuf_str(&ports));
    return true;
}

static bool
parse_user(Arena *arena, DbUrl *url, Str user, Error *err)
{
    Str decoded;
    size_t colon = str_find(user, ':');
    if (colon < user.n) {
        Str raw = str_sub(user, colon + 1, user.n);
        if (!decode(arena, raw, &decoded, err))
            return false;
        url->password = given_secret(arena, decoded);
        secret_mask_also(raw);
    }
    if (!decode(arena, str_sub(user, 0, colon), &decoded, err))
        return false;
    if (decoded.n)
        url->user = str_dup(arena, decoded);
    return true;
}

/* Where Go's way to write a MySQL address begins, tcp(host:port) or unix(/path); rest.n = nowhere.
 */
static size_t
find_address(const DbUrl *url, Str rest)
{
    for (size_t i = 0; i < rest.n && url->engine == DB_MYSQL; i++) {
        Str here = str_sub(rest, i, rest.n);
        if ((i == 0 || rest.p[i - 1] == '@') &&
            (str_starts(here, STR("tcp(")) || str_starts(here, STR("unix("))))
            return i;
    }
    return rest.n;
}

static bool
parse_address(Arena *arena, DbUrl *url, Str text, Error *err)
{
    size_t open = str_find(text, '(');
    Str inside = str_sub(text, open + 1, text.n);
    if (text.p[0] == 't')
        return parse_hosts(arena, url, inside, err);
    Str path;
    if (!decode(arena, inside, &path, err))
        return false;
    if (!path.n || path.p[0] != '/')
        return bad(err, "has a socket that is not a path from '/'");
    url->host = str_dup(arena, path);
    return true;
}

static bool
parse_server(Arena *arena, DbUrl *url, Str rest, Error *err)
{
    if (!str_starts(rest, STR("//")))
        return bad(err, "has no '//' behind its scheme");
    rest = str_sub(rest, 2, rest.n);
    size_t address = find_address(url, rest), end, at;
    if (address < rest.n) {
        end = address + str_find(str_sub(rest, address, rest.n), ')');
        if (end == rest.n || (end + 1 < rest.n && rest.p[end + 1] != '/'))
            return bad(err, "has an address whose ')' is not followed by '/'");
        if (!parse_address(arena, url, str_sub(rest, address, end), err))
            return false;
        end++;
        at = address ? address - 1 : end;
    } else {
        end = at = str_find(rest, '/');
        /* The last one: an '@' in the password was meant as a part of it. */
        for (size_t i = 0; i < end; i++) {
            if (rest.p[i] == '@')
                at = i;
        }
        if (!parse_hosts(arena, url, str_sub(rest, at < end ? at + 1 : 0, end), err))
            return false;
    }
    if (at < end && !parse_user(arena, url, str_sub(rest, 0, at), err))
        return false;
    Str path = str_sub(rest, end + 1, rest.n), name;
    if (str_find(path, '/') < path.n || str_find(path, '@') < path.n)
        return bad(err, "has a '/' or '@' where the database's name should be");
    if (!decode(arena, path, &name, err))
        return false;
    if (name.n)
        url->database = str_dup(arena, name);
    return true;
}

/* sqlite:rel, sqlite://rel, sqlite:///rel (three slashes: relative, the rule of SQLAlchemy and
 * Django), sqlite:////abs, sqlite:/abs, sqlite::memory:, sqlite://:memory:. A file: URL is
 * SQLite's own: file:///abs. */
static bool
parse_path(Arena *arena, DbUrl *url, Str rest, bool is_file, Error *err)
{
    Str path = rest;
    if (is_file && str_starts(rest, STR("//localhost/")))
        path = str_sub(rest, 11, rest.n);
    else if (is_file && str_starts(rest, STR("///")))
        path = str_sub(rest, rest.n > 3 && rest.p[3] == '/' ? 3 : 2, rest.n);
    else if (str_starts(rest, STR("///")))
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

static bool
is_socket(const char *host)
{
    return host && host[0] == '/';
}

/* The one port of several hosts goes to libpq as it stands: behind the last host it would be only
 * that one's. */
static void
settle_port(Arena *arena, DbUrl *url)
{
    if (!url->port || !url->host || url->engine != DB_POSTGRES || is_socket(url->host) ||
        !strchr(url->host, ','))
        return;
    push_param(arena, url, STR("port"), str_of(str_printf(arena, "%d", url->port)));
    url->port = 0;
}

/* The hosts as a URL has them: IPv6 in brackets, what is not a host's character encoded, the port
 * (0 = none) behind each. */
static void
add_hosts(Arena *arena, StrBuf *out, const char *hosts, int port)
{
    Str rest = str_of(hosts);
    for (bool first = true;; first = false) {
        size_t comma = str_find(rest, ',');
        Str host = str_sub(rest, 0, comma);
        bool ipv6 = str_find(host, ':') < host.n;
        if (!first)
            strbuf_addc(out, ',');
        strbuf_puts(out, ipv6 ? "[" : "");
        for (Str left = host; left.n;) {
            size_t colon = str_find(left, ':');
            add_encoded(out, str_dup(arena, str_sub(left, 0, colon)), false);
            strbuf_puts(out, colon < left.n ? ":" : "");
            left = str_sub(left, colon + 1, left.n);
        }
        strbuf_puts(out, ipv6 ? "]" : "");
        if (port)
            strbuf_printf(out, ":%d", port);
        if (comma == rest.n)
            return;
        rest = str_sub(rest, comma + 1, rest.n);
    }
}

static void
set_display(Arena *arena, DbUrl *url)
{
    if (url->engine == DB_SQLITE) {
        url->display = str_printf(arena, "sqlite:%s", url->database);
        return;
    }
    StrBuf out = strbuf_new(arena, 8 * URL_MAX);
    strbuf_printf(&out, "%s://", db_engine_name(url->engine));
    if (url->user)
        strbuf_printf(&out, "%s@", url->user);
    if (!is_socket(url->host)) {
        add_hosts(arena, &out, url->host ? url->host : "localhost", 0);
        if (url->port)
            strbuf_printf(&out, ":%d", url->port);
    }
    strbuf_printf(&out, "/%s", url->database ? url->database : "");
    if (is_socket(url->host))
        strbuf_printf(&out, "?host=%s", url->host);
    url->display = str_dup(arena, strbuf_str(&out));
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
    Str rest = str_sub(text, colon + 1, text.n);
    /* Told only where it is one for certain: in `user:password@host` it would be the user. */
    if (!known_scheme(scheme, &url.engine))
        return str_starts(rest, STR("//")) ? unknown_scheme(scheme, err)
                                           : bad(err, "has no known scheme");
    size_t hash = url.engine == DB_SQLITE ? rest.n : str_find(rest, '#');
    if (hash < rest.n)
        return bad(err, "holds a '#'");
    if (url.engine != DB_SQLITE && !check_characters(rest, err))
        return false;
    size_t question = str_find(rest, '?');
    Str query = str_sub(rest, question + 1, rest.n);
    rest = str_sub(rest, 0, question);
    /* A '?' in a password: what follows would be told as the name of an option. */
    Str authority = str_sub(rest, 2, rest.n);
    if (url.engine != DB_SQLITE && str_find(authority, '/') == authority.n &&
        str_find(authority, '@') == authority.n && str_find(query, '@') < query.n)
        return bad(err, "has a '?' before the '@'");
    bool ok = url.engine == DB_SQLITE
                  ? parse_path(arena, &url, rest, str_eq_nocase(scheme, STR("file")), err)
                  : parse_server(arena, &url, rest, err);
    if (!ok || !parse_query(arena, &url, query, err))
        return false;
    settle_port(arena, &url);
    set_display(arena, &url);
    *ret = url;
    return true;
}

/* DB_HOST is often written host:port, and IPv6 with brackets; "::1" and paths stand as they are. */
static bool
set_host(Arena *arena, DbUrl *url, Str host, Error *err)
{
    size_t colon = str_find(host, ':');
    Str behind = str_sub(host, colon + 1, host.n);
    bool plain = !host.n || host.p[0] == '/' ||
                 (host.p[0] != '[' && (colon == host.n || str_find(behind, ':') < behind.n));
    if (!plain)
        return parse_hosts(arena, url, host, err);
    url->host = given(arena, host);
    return check_hosts(url, host, err);
}

bool
dburl_from_parts(Arena *arena, const DbParts *parts, DbUrl *ret, Error *err)
{
    DbUrl url = {.engine = parts->engine,
                 .user = given(arena, parts->user),
                 .password = given_secret(arena, parts->password),
                 .database = given(arena, parts->database)};
    if (parts->engine == DB_SQLITE && !url.database)
        return error_set(err, ERROR_USAGE, "the SQLite database has no name");
    if (parts->host.n > URL_MAX || parts->user.n > URL_MAX || parts->database.n > URL_MAX ||
        parts->password.n > URL_MAX || parts->params.n > URL_MAX)
        return error_set(err, ERROR_USAGE, "a part of the database's address is over 8 KiB");
    if (!set_host(arena, &url, parts->host, err) ||
        (parts->port.n && !parse_port(parts->port, &url.port, err)))
        return false;
    if (parts->params.p && !parse_query(arena, &url, parts->params, err))
        return false;
    settle_port(arena, &url);
    set_display(arena, &url);
    *ret = url;
    return true;
}

char *
dburl_reveal(Arena *arena, const DbUrl *url)
{
    StrBuf out = strbuf_new(arena, 32 * URL_MAX);
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
        bool hosts = url->host && !is_socket(url->host);
        if (hosts)
            add_hosts(arena, &out, url->host, url->port);
        if (url->port && !hosts)
            strbuf_printf(&out, ":%d", url->port);
        strbuf_addc(&out, '/');
        if (url->database)
            add_encoded(&out, url->database, false);
        if (is_socket(url->host)) {
            strbuf_puts(&out, "?host=");
            add_encoded(&out, url->host, true);
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

int
dburl_port(const DbUrl *url)
{
    static const int defaults[] = {[DB_POSTGRES] = 5432, [DB_MYSQL] = 3306, [DB_SQLITE] = 0};
    return url->port ? url->port : defaults[url->engine];
}
