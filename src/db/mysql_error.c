/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the errors of MySQL and MariaDB mean. Numbers under 2000 and above 3000 come from the server
 * (the same in both up to 1900 or so), 2000 to 2999 from the client library.
 */

#include "db/mysql_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/banned.h"

typedef struct Meaning {
    unsigned number;
    ErrorClass cls;
} Meaning;

static const Meaning meanings[] = {
    {1020, ERROR_CLASS_DEADLOCK}, /* record changed since last read: snapshot isolation */
    {1021, ERROR_CLASS_DISK_FULL},
    {1040, ERROR_CLASS_CONNECTION}, /* too many connections */
    {1044, ERROR_CLASS_PRIVILEGE},
    {1045, ERROR_CLASS_PRIVILEGE},
    {1047, ERROR_CLASS_CONNECTION}, /* Galera: the node is not ready */
    {1048, ERROR_CLASS_NULL_VIOLATION},
    {1049, ERROR_CLASS_NO_DATABASE},
    {1050, ERROR_CLASS_DUPLICATE},
    {1051, ERROR_CLASS_NO_TABLE},
    {1053, ERROR_CLASS_CONNECTION}, /* shutdown in progress */
    {1060, ERROR_CLASS_DUPLICATE},
    {1061, ERROR_CLASS_DUPLICATE},
    {1062, ERROR_CLASS_DUPLICATE},
    {1064, ERROR_CLASS_SYNTAX},
    {1114, ERROR_CLASS_DISK_FULL}, /* the table is full: also of a full disk */
    {1129, ERROR_CLASS_LOGIN},     /* host is blocked */
    {1130, ERROR_CLASS_LOGIN},     /* host is not allowed */
    {1142, ERROR_CLASS_PRIVILEGE},
    {1143, ERROR_CLASS_PRIVILEGE},
    {1146, ERROR_CLASS_NO_TABLE},
    {1152, ERROR_CLASS_CONNECTION},
    {1158, ERROR_CLASS_CONNECTION},
    {1159, ERROR_CLASS_CONNECTION},
    {1160, ERROR_CLASS_CONNECTION},
    {1161, ERROR_CLASS_CONNECTION},
    {1203, ERROR_CLASS_CONNECTION}, /* too many connections of this user */
    {1205, ERROR_CLASS_LOCK_TIMEOUT},
    {1213, ERROR_CLASS_DEADLOCK},
    {1226, ERROR_CLASS_CONNECTION}, /* a resource limit of this user */
    {1227, ERROR_CLASS_PRIVILEGE},
    {1251, ERROR_CLASS_LOGIN},
    {1275, ERROR_CLASS_LOGIN},
    {1304, ERROR_CLASS_DUPLICATE},
    {1317, ERROR_CLASS_CANCELLED},
    {1359, ERROR_CLASS_DUPLICATE},
    {1370, ERROR_CLASS_PRIVILEGE},
    {1419, ERROR_CLASS_PRIVILEGE},
    {1524, ERROR_CLASS_LOGIN}, /* the server lacks the user's authentication plug-in */
    {1614, ERROR_CLASS_DEADLOCK},
    {1698, ERROR_CLASS_LOGIN},
    {1792, ERROR_CLASS_READ_ONLY},
    {1820, ERROR_CLASS_LOGIN},     /* the password must be changed first */
    {1826, ERROR_CLASS_DUPLICATE}, /* foreign key name */
    {1836, ERROR_CLASS_READ_ONLY},
    {1862, ERROR_CLASS_LOGIN},      /* the password has expired */
    {1927, ERROR_CLASS_CONNECTION}, /* MariaDB: connection was killed */
    {1969, ERROR_CLASS_TIMEOUT},    /* MariaDB: max_statement_time */
    {2002, ERROR_CLASS_CONNECTION},
    {2003, ERROR_CLASS_CONNECTION},
    {2005, ERROR_CLASS_CONNECTION}, /* unknown host: its name may come up with it */
    {2006, ERROR_CLASS_CONNECTION},
    {2012, ERROR_CLASS_CONNECTION}, /* error in the server's greeting */
    {2013, ERROR_CLASS_CONNECTION},
    {2026, ERROR_CLASS_LOGIN},      /* TLS */
    {2027, ERROR_CLASS_CONNECTION}, /* malformed packet */
    {2055, ERROR_CLASS_CONNECTION},
    {2059, ERROR_CLASS_LOGIN},
    {2061, ERROR_CLASS_LOGIN},
    {3024, ERROR_CLASS_TIMEOUT},      /* MySQL: max_execution_time */
    {3118, ERROR_CLASS_LOGIN},        /* the account is locked */
    {3572, ERROR_CLASS_LOCK_TIMEOUT}, /* NOWAIT */
    {4031, ERROR_CLASS_CONNECTION},   /* MySQL 8.0.24: ended because it was idle */
    {4151, ERROR_CLASS_LOGIN},        /* MariaDB: the account is locked */
};

bool
mysql_error_breaks(unsigned number)
{
    static const unsigned breaking[] = {1053, 1152, 1158, 1159, 1160, 1161, 1927, 2002,
                                        2003, 2006, 2012, 2013, 2027, 2055, 4031};

    for (size_t i = 0; i < COUNT_OF(breaking); i++) {
        if (breaking[i] == number)
            return true;
    }
    return false;
}

/* The library calls it a TLS error, too, when the peer goes in the middle of the handshake. */
static bool
says_peer_went(const char *message)
{
    static const char *const words[] = {"(104)", "(110)", "(32)", "eof"};

    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (strstr(message, words[i]))
            return true;
    }
    return false;
}

/* Engines report a full disk under many numbers (1005, 1026, 1030, 3), with errno 28 in the text.
 */
static bool
says_disk_full(const char *message)
{
    static const char *const words[] = {"No space left", "errno: 28", "Errcode: 28", "error 28",
                                        "Disk full"};

    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (strstr(message, words[i]))
            return true;
    }
    return false;
}

static ErrorClass
class_of(unsigned number, const char *message, bool connecting)
{
    if (connecting && (number == 1044 || number == 1045))
        return ERROR_CLASS_LOGIN;
    if (number == 2026 && says_peer_went(message))
        return ERROR_CLASS_CONNECTION;
    if (number == 1290) /* "running with the --read-only option"; other options give it too */
        return strstr(message, "read-only") || strstr(message, "read_only") ? ERROR_CLASS_READ_ONLY
                                                                            : ERROR_CLASS_PRIVILEGE;
    for (size_t i = 0; i < COUNT_OF(meanings); i++) {
        if (meanings[i].number == number)
            return meanings[i].cls;
    }
    return says_disk_full(message) ? ERROR_CLASS_DISK_FULL : ERROR_CLASS_OTHER;
}

static size_t
line_start(Str sql, int64_t line)
{
    size_t at = 0;

    while (line > 1 && at < sql.n) {
        at += str_find(str_sub(sql, at, sql.n), '\n') + 1;
        line--;
    }
    return at < sql.n ? at : sql.n;
}

/* The server quotes up to 80 characters from the token it did not understand, and counts lines of
 * the statement. At the end of the text it quotes nothing. */
int64_t
mysql_error_offset(const char *message, Str sql)
{
    static const char near_words[] = "near '", line_words[] = "' at line ";
    const char *near = strstr(message, near_words), *end = NULL;
    int64_t line = 0;
    size_t from, at;
    Str token;

    if (!near)
        return -1;
    near += sizeof(near_words) - 1;
    /* The quoted text may hold anything, these words too: the last ones count. */
    for (const char *p = near; (p = strstr(p - (p > near), line_words)); p += sizeof(line_words))
        end = p;
    if (!end || !str_to_i64(str_of(end + sizeof(line_words) - 1), &line) || line < 1)
        return -1;
    from = line_start(sql, line);
    token = (Str){near, (size_t)(end - near)};
    if (token.n == 0)
        return (int64_t)sql.n;
    at = str_find_str(str_sub(sql, from, sql.n), token);
    if (from + at >= sql.n) /* cut within a character, or written otherwise: the line will do */
        return (int64_t)from;
    return (int64_t)(from + at);
}

static void
add_hint(Error *err, unsigned number)
{
    switch (number) {
    case 1153:
    case 2020:
        error_hint(err, "Raise max_allowed_packet on the server, or split the statement.");
        break;
    case 1419:
        error_hint(err, "Set log_bin_trust_function_creators=1 on the server, or migrate with a "
                        "user that has the SUPER privilege.");
        break;
    case 2059:
        error_hint(err, "The user's authentication plug-in is not there on this side: give the "
                        "user one of mysql_native_password, caching_sha2_password, ed25519.");
        break;
    default:
        break;
    }
}

void
mysql_error_fill(Error *err, unsigned number, const char *message, Str sql)
{
    bool connecting = !sql.p;
    ErrorClass cls = class_of(number, message, connecting);
    bool unreachable = connecting || cls == ERROR_CLASS_CONNECTION;

    error_set(err, unreachable ? ERROR_UNREACHABLE : ERROR_FAILED, "%s", message);
    err->cls = cls;
    snprintf(err->sqlstate, sizeof(err->sqlstate), "%u", number);
    err->sql_offset = connecting ? -1 : mysql_error_offset(message, sql);
    add_hint(err, number);
}
