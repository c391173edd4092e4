/* SPDX-License-Identifier: Apache-2.0 */
/* What a MySQL URL says about the way to the server: socket or TCP, TLS, and its few options. */

#include "db/mysql_internal.h"

#include <string.h>
#include <strings.h>

#include "core/fs.h"
#include "db/ca.h"
#include "db/param.h"

#include "core/banned.h"

static bool
is_socket(const char *path)
{
    return fs_kind(path) == FS_OTHER;
}

/* "localhost" without a port means the server's socket, as every MySQL client has it; where none
 * of the usual ones is there, TCP gets a chance. A host that is a directory holds the socket. */
static char *
choose_socket(Arena *arena, const DbUrl *url)
{
    static const char *const usual[] = {"/run/mysqld/mysqld.sock", "/var/run/mysqld/mysqld.sock",
                                        "/var/lib/mysql/mysql.sock", "/tmp/mysql.sock"};
    static const char *const names[] = {"mysqld.sock", "mysql.sock"};
    const char *given = PARAM(url, "socket", "unix_socket", "unixSocket");
    const char *path = given ? given : url->host;

    if (path && path[0] == '/') {
        for (size_t i = 0; i < COUNT_OF(names) && fs_kind(path) == FS_DIR; i++) {
            char *inside = fs_join(arena, path, names[i]);

            if (is_socket(inside))
                return inside;
        }
        return str_dup(arena, str_of(path));
    }
    if (url->port || (url->host && strcmp(url->host, "localhost") != 0))
        return NULL;
    for (size_t i = 0; i < COUNT_OF(usual); i++) {
        if (is_socket(usual[i]))
            return str_dup(arena, str_of(usual[i]));
    }
    return NULL;
}

/* The words of MySQL's ssl-mode, of libpq's sslmode, of Go's tls, and of Prisma's sslaccept. A CA
 * alone means that it is to be used, as in MySQL's own clients. */
static bool
read_tls_mode(const DbUrl *url, const char *ca, MysqlTls *ret, Error *err)
{
    static const struct {
        const char *word;
        MysqlTls mode;
    } words[] = {
        {"disabled", MYSQL_TLS_DISABLED},
        {"disable", MYSQL_TLS_DISABLED},
        {"false", MYSQL_TLS_DISABLED},
        {"preferred", MYSQL_TLS_PREFERRED},
        {"prefer", MYSQL_TLS_PREFERRED},
        {"allow", MYSQL_TLS_PREFERRED},
        {"required", MYSQL_TLS_REQUIRED},
        {"require", MYSQL_TLS_REQUIRED},
        {"skip-verify", MYSQL_TLS_REQUIRED},
        {"verify_ca", MYSQL_TLS_VERIFY_CA},
        {"verify-ca", MYSQL_TLS_VERIFY_CA},
        {"verify_identity", MYSQL_TLS_VERIFY_IDENTITY},
        {"verify-full", MYSQL_TLS_VERIFY_IDENTITY},
        {"true", MYSQL_TLS_VERIFY_IDENTITY},
        {"strict", MYSQL_TLS_VERIFY_IDENTITY},
        {"accept_invalid_certs", MYSQL_TLS_PREFERRED},
    };
    const char *word = PARAM(url, "ssl-mode", "ssl_mode", "sslmode", "sslMode", "tls", "sslaccept");
    const char *ssl = dburl_param(url, "useSSL");
    bool on = false;

    if (!word && ssl) { /* JDBC */
        if (!str_to_bool(str_of(ssl), &on))
            return param_refused("useSSL", ssl, "true or false", err);
        *ret = on ? MYSQL_TLS_REQUIRED : MYSQL_TLS_DISABLED;
        return true;
    }
    if (!word) {
        *ret = ca ? MYSQL_TLS_VERIFY_CA : MYSQL_TLS_PREFERRED;
        return true;
    }
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (strcasecmp(word, words[i].word) == 0) {
            *ret = words[i].mode;
            return true;
        }
    }
    return param_refused("ssl-mode", word,
                         "one of DISABLED, PREFERRED, REQUIRED, VERIFY_CA, VERIFY_IDENTITY", err);
}

/* Migration files are UTF-8, and so is the connection. */
static bool
check_charset(const DbUrl *url, Error *err)
{
    static const char *const same[] = {"utf8", "utf8mb3", "utf8mb4", "utf-8"};
    const char *charset = dburl_param(url, "charset");

    for (size_t i = 0; charset && i < COUNT_OF(same); i++) {
        if (strcasecmp(charset, same[i]) == 0)
            return true;
    }
    return !charset || param_refused("charset", charset, "utf8mb4", err);
}

static bool
read_connect_timeout(const DbUrl *url, int64_t *ret_ms, Error *err)
{
    const char *value = dburl_param(url, "connect_timeout");
    int64_t seconds = 0;

    if (value && (!str_to_i64(str_of(value), &seconds) || seconds < 0 || seconds > 86400))
        return param_refused("connect_timeout", value, "a number of seconds", err);
    *ret_ms = seconds * 1000;
    return true;
}

bool
mysql_params(Arena *arena, const DbUrl *url, MysqlParams *ret, Error *err)
{
    const char *keys = dburl_param(url, "foreign_key_checks");
    bool check_keys = true;
    MysqlParams p = {
        .socket = choose_socket(arena, url),
        .ca = PARAM(url, "ssl-ca", "ssl_ca", "sslrootcert"),
        .cert = PARAM(url, "ssl-cert", "ssl_cert", "sslcert"),
        .key = PARAM(url, "ssl-key", "ssl_key", "sslkey"),
    };

    if (!read_tls_mode(url, p.ca, &p.tls, err) || !check_charset(url, err) ||
        !read_connect_timeout(url, &p.connect_timeout_ms, err))
        return false;
    if (p.tls >= MYSQL_TLS_VERIFY_CA && !p.ca)
        p.ca = ca_system(NULL);
    if (keys && !str_to_bool(str_of(keys), &check_keys))
        return param_refused("foreign_key_checks", keys, "on or off", err);
    p.no_foreign_keys = !check_keys;
    *ret = p;
    return true;
}
