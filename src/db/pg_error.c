/* SPDX-License-Identifier: Apache-2.0 */
/* What PostgreSQL's errors mean for a run. */

#include <string.h>

#include "db/pg_internal.h"
#include "core/banned.h"

/* A prefix of the SQLSTATE decides; the longer ones stand first. */
static const struct {
    const char *state;
    ErrorClass cls;
} classes[] = {
    {"55P03", ERROR_CLASS_LOCK_TIMEOUT},   {"40P01", ERROR_CLASS_DEADLOCK},
    {"40001", ERROR_CLASS_DEADLOCK},       {"57014", ERROR_CLASS_CANCELLED},
    {"57P01", ERROR_CLASS_CONNECTION},     {"57P02", ERROR_CLASS_CONNECTION},
    {"57P03", ERROR_CLASS_CONNECTION},     {"57P04", ERROR_CLASS_CONNECTION},
    {"53300", ERROR_CLASS_CONNECTION},     {"08P01", ERROR_CLASS_OTHER},
    {"08", ERROR_CLASS_CONNECTION},        {"28", ERROR_CLASS_LOGIN},
    {"3D000", ERROR_CLASS_NO_DATABASE},    {"42P01", ERROR_CLASS_NO_TABLE},
    {"3F000", ERROR_CLASS_NO_TABLE},       {"42501", ERROR_CLASS_PRIVILEGE},
    {"25006", ERROR_CLASS_READ_ONLY},      {"42P07", ERROR_CLASS_DUPLICATE},
    {"42710", ERROR_CLASS_DUPLICATE},      {"23505", ERROR_CLASS_DUPLICATE},
    {"42701", ERROR_CLASS_DUPLICATE},      {"42P06", ERROR_CLASS_DUPLICATE},
    {"42723", ERROR_CLASS_DUPLICATE},      {"42P04", ERROR_CLASS_DUPLICATE},
    {"23502", ERROR_CLASS_NULL_VIOLATION}, {"53100", ERROR_CLASS_DISK_FULL},
    {"42601", ERROR_CLASS_SYNTAX},
};

static ErrorClass
class_of(const char *sqlstate, const char *message)
{
    for (size_t i = 0; i < COUNT_OF(classes); i++) {
        if (strncmp(sqlstate, classes[i].state, strlen(classes[i].state)) != 0)
            continue;
        if (classes[i].cls == ERROR_CLASS_CANCELLED && strstr(message, "statement timeout"))
            return ERROR_CLASS_TIMEOUT;
        return classes[i].cls;
    }
    return ERROR_CLASS_OTHER;
}

/* The server counts characters from 1. */
static int64_t
byte_offset(Str sql, const char *position)
{
    int64_t wanted;
    size_t at = 0;
    if (!position || !str_to_i64(str_of(position), &wanted))
        return -1;
    for (int64_t chars = 1; chars < wanted && at < sql.n; chars++) {
        at++;
        while (at < sql.n && ((unsigned char)sql.p[at] & 0xc0) == 0x80)
            at++;
    }
    return (int64_t)at;
}

void
pg_result_error(const Db *db, const PGresult *result, Str sql, Error *err)
{
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
    const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
    const char *context = PQresultErrorField(result, PG_DIAG_CONTEXT);
    bool lost = PQstatus(pg_of(db)->conn) == CONNECTION_BAD;
    if (!message) {
        Str text = str_trim(str_of(PQerrorMessage(pg_of(db)->conn)));
        text = str_sub(text, 0, str_find(text, '\n'));
        error_set(err, lost ? ERROR_UNREACHABLE : ERROR_FAILED, STR_FMT, STR_ARG(text));
        err->cls = lost ? ERROR_CLASS_CONNECTION : ERROR_CLASS_OTHER;
        return;
    }
    ErrorClass cls = state ? class_of(state, message) : ERROR_CLASS_OTHER;
    if (lost)
        cls = ERROR_CLASS_CONNECTION;
    error_set(err, cls == ERROR_CLASS_CONNECTION ? ERROR_UNREACHABLE : ERROR_FAILED, "%s", message);
    err->cls = cls;
    memcpy(err->sqlstate, state && strlen(state) == 5 ? state : "",
           state && strlen(state) == 5 ? 6 : 1);
    err->sql_offset = byte_offset(sql, PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION));
    if (detail)
        error_detail(err, "%s", detail);
    if (context)
        error_detail(err, "%s", context);
    if (hint)
        error_hint(err, "%s", hint);
}

/* libpq keeps no SQLSTATE of a failed connection, but with PQERRORS_VERBOSE what the server said
 * begins "FATAL:  28P01: ...", in whatever language. The last one counts: several hosts, or TLS and
 * then none, leave a line each. *ret_message is where the words begin. */
static bool
find_sqlstate(Str text, char ret_state[6], size_t *ret_message)
{
    bool found = false;
    for (size_t i = 0; i + 10 <= text.n; i++) {
        if (!str_starts(str_sub(text, i, text.n), STR(":  ")) ||
            !str_eq(str_sub(text, i + 8, i + 10), STR(": ")))
            continue;
        bool is_state = true;
        for (size_t k = i + 3; k < i + 8; k++)
            is_state = is_state && ((text.p[k] >= '0' && text.p[k] <= '9') ||
                                    (text.p[k] >= 'A' && text.p[k] <= 'Z'));
        if (!is_state)
            continue;
        memcpy(ret_state, text.p + i + 3, 5);
        *ret_message = i + 10;
        found = true;
    }
    return found;
}

/* What libpq itself says has no SQLSTATE, and poolers give a general one: the words decide. */
static ErrorClass
connect_class(const char *text)
{
    static const struct {
        const char *words;
        ErrorClass cls;
    } table[] = {
        {"password authentication failed", ERROR_CLASS_LOGIN},
        {"no password supplied", ERROR_CLASS_LOGIN},
        {"authentication failed", ERROR_CLASS_LOGIN},
        {"no pg_hba.conf entry", ERROR_CLASS_LOGIN},
        {"is not permitted to log in", ERROR_CLASS_LOGIN},
        {"permission denied for database", ERROR_CLASS_LOGIN},
        {"no such user", ERROR_CLASS_LOGIN},
        {"server does not support SSL", ERROR_CLASS_LOGIN},
        {"certificate", ERROR_CLASS_LOGIN},
        {"SSL error", ERROR_CLASS_LOGIN},
        {"channel binding", ERROR_CLASS_LOGIN},
        {"no such database", ERROR_CLASS_NO_DATABASE},
        {"could not translate host name", ERROR_CLASS_CONNECTION},
        {"could not connect", ERROR_CLASS_CONNECTION},
        {"Connection refused", ERROR_CLASS_CONNECTION},
        {"No such file or directory", ERROR_CLASS_CONNECTION},
        {"starting up", ERROR_CLASS_CONNECTION},
        {"shutting down", ERROR_CLASS_CONNECTION},
        {"in recovery mode", ERROR_CLASS_CONNECTION},
        {"not yet accepting connections", ERROR_CLASS_CONNECTION},
        {"too many clients", ERROR_CLASS_CONNECTION},
        {"too many connections", ERROR_CLASS_CONNECTION},
        {"remaining connection slots", ERROR_CLASS_CONNECTION},
        {"server closed the connection", ERROR_CLASS_CONNECTION},
        {"timeout expired", ERROR_CLASS_CONNECTION},
        {"timed out", ERROR_CLASS_CONNECTION},
        {"Connection reset", ERROR_CLASS_CONNECTION},
        {"No route to host", ERROR_CLASS_CONNECTION},
        {"unreachable", ERROR_CLASS_CONNECTION},
        {"server login", ERROR_CLASS_CONNECTION},
        {"session is read-only", ERROR_CLASS_CONNECTION},
        {"server is in hot standby mode", ERROR_CLASS_CONNECTION},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        if (strstr(text, table[i].words))
            return table[i].cls;
    }
    if (strstr(text, "database \"") && strstr(text, "does not exist"))
        return ERROR_CLASS_NO_DATABASE;
    if (strstr(text, "role \"") && strstr(text, "does not exist"))
        return ERROR_CLASS_LOGIN;
    return ERROR_CLASS_OTHER;
}

/* One line that tells: libpq's last reason, without its questions ("Is the server running ...?"),
 * its advice ("Either provide the file ...") and the address, which the URL shows. */
static Str
telling_part(Str text)
{
    Str rest = str_trim(text), part = STR_ABSENT, address = STR("connection to server");
    while (rest.n) {
        size_t end = str_find(rest, '\n');
        Str line = str_sub(rest, 0, end);
        bool question = line.n && line.p[0] == '\t', advice = str_starts(part, address);
        if (line.n && !question && (!advice || str_starts(line, address)))
            part = line;
        rest = str_sub(rest, end + 1, rest.n);
    }
    size_t failed = str_find_str(part, STR(" failed: "));
    if (str_starts(part, address) && failed < part.n)
        part = str_sub(part, failed + 9, part.n);
    return str_starts(part, STR("error: ")) ? str_sub(part, 7, part.n) : part;
}

void
pg_connect_error(const Db *db, Error *err)
{
    const char *text = PQerrorMessage(pg_of(db)->conn);
    char state[6] = "";
    size_t from;
    ErrorClass cls = ERROR_CLASS_OTHER;
    Str part = telling_part(str_of(text));
    if (find_sqlstate(str_of(text), state, &from)) {
        part = str_sub(str_of(text), from, from + str_find(str_of(text + from), '\n'));
        cls = class_of(state, text);
        if (cls == ERROR_CLASS_PRIVILEGE) /* of connecting to this database */
            cls = ERROR_CLASS_LOGIN;
    }
    if (cls == ERROR_CLASS_OTHER)
        cls = connect_class(text);
    /* libpq looks at the options before it connects anywhere. */
    bool option = str_starts(part, STR("invalid ")) && cls == ERROR_CLASS_OTHER;
    error_set(err, option ? ERROR_USAGE : ERROR_UNREACHABLE, "%s: " STR_FMT, db->url.display,
              STR_ARG(part));
    err->cls = cls;
    memcpy(err->sqlstate, state, sizeof state);
    if (cls == ERROR_CLASS_LOGIN && strstr(text, "does not support SSL"))
        error_hint(err,
                   "The URL demands TLS (sslmode), and the server has none: turn it on there.");
    else if (cls == ERROR_CLASS_LOGIN && strstr(text, "certificate"))
        error_hint(err, "Give the authority that signed it with --ca (LOCKSTEP_CA), or "
                        "sslrootcert=FILE in the URL.");
    else if (cls == ERROR_CLASS_LOGIN)
        error_hint(err, "Check user and password of the URL.");
}
