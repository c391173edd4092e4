/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PostgreSQL through libpq, never blocking: each wait goes through the connection's Wait, so that
 * signals, deadlines and the heartbeat are served while the server works.
 */

#include <poll.h>
#include <string.h>

#include "core/clock.h"
#include "db/param.h"
#include "db/pg_internal.h"
#include "core/banned.h"

enum { PARAMS_MAX = 64, CANCEL_MS = 5000 };

static void
drop_notice(void *ctx, const PGresult *result)
{
    (void)ctx;
    (void)result;
}

static void
result_cleanup(PGresult **result)
{
    PQclear(*result);
}
#define AUTO_RESULT CLEANUP(result_cleanup) PGresult *

/* ---- connecting ---- */

/* The rest of the URL's options are libpq's own keywords. */
static bool
is_for_libpq(const char *name)
{
    static const char *const ours[] = {"search_path",
                                       "schema",
                                       "currentSchema",
                                       "pgbouncer",
                                       "application_name",
                                       "client_encoding",
                                       "charset",
                                       "encoding",
                                       "ssl",
                                       "sslmode",
                                       NULL};
    for (size_t i = 0; ours[i]; i++) {
        if (strcmp(ours[i], name) == 0)
            return false;
    }
    return !dburl_param_is_idle(name);
}

/* Migration files are UTF-8, and so is the connection. */
static bool
check_encoding(const DbUrl *url, Error *err)
{
    static const char *const same[] = {"utf8", "utf-8", "unicode", "auto"};
    const char *encoding = PARAM(url, "client_encoding", "charset", "encoding");
    for (size_t i = 0; encoding && i < COUNT_OF(same); i++) {
        if (str_eq_nocase(str_of(encoding), str_of(same[i])))
            return true;
    }
    return !encoding || param_refused("client_encoding", encoding, "utf8", err);
}

/* libpq's sslmode also by the words of other drivers: ssl=true (JDBC, Node), ssl=require (asyncpg),
 * no-verify (Node). NULL = libpq's default. */
static bool
read_sslmode(const DbUrl *url, const char **ret, Error *err)
{
    static const char *const modes[] = {"disable", "allow",     "prefer",
                                        "require", "verify-ca", "verify-full"};
    const char *name = dburl_param(url, "sslmode") ? "sslmode" : "ssl";
    const char *word = dburl_param(url, name);
    bool on;
    *ret = NULL;
    for (size_t i = 0; word && i < COUNT_OF(modes); i++) {
        if (strcmp(word, modes[i]) == 0)
            *ret = modes[i];
    }
    if (!word || *ret)
        return true;
    if (strcmp(word, "no-verify") == 0) {
        *ret = "require";
        return true;
    }
    if (strcmp(name, "ssl") != 0 || !str_to_bool(str_of(word), &on))
        return param_refused(name, word,
                             "one of disable, allow, prefer, require, verify-ca, verify-full", err);
    *ret = on ? "require" : "disable";
    return true;
}

static bool
read_connect_timeout(Db *db, Error *err)
{
    const char *value = dburl_param(&db->url, "connect_timeout");
    int64_t seconds = 0;
    if (!value)
        return true;
    if (!str_to_i64(str_of(value), &seconds) || seconds < 0 || seconds > 86400)
        return param_refused("connect_timeout", value, "a number of seconds", err);
    if (seconds > 0 && seconds * 1000 < db->options.connect_timeout_ms)
        db->options.connect_timeout_ms = seconds * 1000;
    return true;
}

typedef struct Params {
    const char *names[PARAMS_MAX + 1], *values[PARAMS_MAX + 1];
    size_t n;
} Params;

static void
param(Params *p, const char *name, const char *value)
{
    if (!value || p->n >= PARAMS_MAX)
        return;
    p->names[p->n] = name;
    p->values[p->n++] = value;
}

static Params
make_params(Db *db, const char *database, const char *sslmode)
{
    const DbUrl *url = &db->url;
    Params p = {.n = 0};
    param(&p, "host", url->host);
    param(&p, "port", url->port ? str_printf(db->arena, "%d", url->port) : NULL);
    param(&p, "user", url->user);
    param(&p, "password", secret_reveal(url->password));
    param(&p, "dbname", database);
    param(&p, "application_name", db->options.application_name);
    param(&p, "client_encoding", "UTF8");
    /* A network that is gone is noticed in about ten seconds, not in hours. */
    param(&p, "keepalives_idle", "5");
    param(&p, "keepalives_interval", "2");
    param(&p, "keepalives_count", "3");
    param(&p, "tcp_user_timeout", "11000");
    /* Kerberos encryption only for those who ask for it: looking for tickets slows each start. */
    if (!dburl_param(url, "gssencmode"))
        param(&p, "gssencmode", "disable");
    param(&p, "sslmode", sslmode);
    for (size_t i = 0; i < url->params.n; i++) {
        if (is_for_libpq(url->params.p[i].name))
            param(&p, url->params.p[i].name, url->params.p[i].value);
    }
    return p;
}

static bool
start_connecting(Db *db, const char *database, Error *err)
{
    Pg *pg = arena_make(db->arena, Pg);
    const char *sslmode;
    db->native = pg;
    pg->polling = PGRES_POLLING_WRITING;
    if (!check_encoding(&db->url, err) || !read_sslmode(&db->url, &sslmode, err) ||
        !read_connect_timeout(db, err))
        return false;
    Params p = make_params(db, database, sslmode);
    pg->deadline_ms = clock_ms() + db->options.connect_timeout_ms;
    pg->conn = PQconnectStartParams(p.names, p.values, 0);
    if (!pg->conn)
        return error_set(err, ERROR_FAILED, "out of memory for a connection");
    if (PQstatus(pg->conn) == CONNECTION_BAD) {
        pg_connect_error(db, err);
        return false;
    }
    PQsetNoticeReceiver(pg->conn, drop_notice, NULL);
    /* A refused login is told by its SQLSTATE only in this mode; the words may be in any language.
     */
    PQsetErrorVerbosity(pg->conn, PQERRORS_VERBOSE);
    return true;
}

/* PQconnectPoll may be called only when the socket is ready for what the last call asked for; after
 * the start that is: for writing. */
static WaitResult
connect_step(Db *db, int64_t deadline_ms, Error *err)
{
    Pg *pg = pg_of(db);
    short events = pg->polling == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    WaitResult w = wait_fd(db->options.wait, PQsocket(pg->conn), events, deadline_ms, err);
    if (w == WAIT_READY)
        pg->polling = PQconnectPoll(pg->conn);
    return w;
}

static bool
is_connecting(const Pg *pg)
{
    return pg->polling != PGRES_POLLING_OK && pg->polling != PGRES_POLLING_FAILED;
}

/* As far as it goes without waiting: the server makes its session while the caller does other
 * things. What fails is told by the finish. */
static bool
pg_connect_start(Db *db, Error *err)
{
    Error later = ERROR_INIT;
    if (!start_connecting(db, db->url.database, err))
        return false;
    while (is_connecting(pg_of(db)) && connect_step(db, clock_ms(), &later) == WAIT_READY)
        continue;
    return true;
}

/* search_path and schema of the URL, each name quoted. */
static char *
wanted_path(Db *db)
{
    const char *list = PARAM(&db->url, "search_path", "schema", "currentSchema");
    if (!list || !*list)
        return NULL;
    StrBuf out = strbuf_new(db->arena, 16384);
    for (Str rest = str_of(list); rest.n;) {
        size_t end = str_find(rest, ',');
        Str name = str_trim(str_sub(rest, 0, end));
        if (name.n > 1 && name.p[0] == '"' && name.p[name.n - 1] == '"')
            name = str_sub(name, 1, name.n - 1);
        if (out.n && name.n)
            strbuf_puts(&out, ", ");
        if (name.n)
            strbuf_add(&out, db_quote_ident(db, db->arena, name));
        rest = str_sub(rest, end + 1, rest.n);
    }
    return str_dup(db->arena, strbuf_str(&out));
}

static bool
is_leader(const Db *db)
{
    return strncmp(db->options.application_name, "lockstep:", 9) == 0;
}

/* What a session of ours has beside the server's defaults, after `first`; one round trip. */
static bool
set_session(Db *db, Str first, Error *err)
{
    SCRATCH_ARENA(scratch);
    StrBuf sql = strbuf_new(scratch, 32 * 1024);
    const char *path = pg_of(db)->search_path;
    strbuf_add(&sql, first);
    if (path)
        strbuf_printf(&sql, "%s" STR_FMT, sql.n ? ";\n" : "",
                      STR_ARG(db_render(db, scratch, Q_PG_SEARCH_PATH,
                                        DB_ARGS(ARG_RAW("path", str_of(path))))));
    if (is_leader(db) && PQserverVersion(pg_of(db)->conn) >= 140000)
        strbuf_printf(&sql, "%s" STR_FMT, sql.n ? ";\n" : "",
                      STR_ARG(db_render(db, scratch, Q_PG_TUNE, NULL)));
    return !sql.n || db_exec(db, strbuf_str(&sql), err);
}

/* From here on sending must not block: a script of megabytes goes out through the Wait. */
static bool
finish_connecting(Db *db, Error *err)
{
    Pg *pg = pg_of(db);
    while (is_connecting(pg)) {
        WaitResult w = connect_step(db, pg->deadline_ms, err);
        if (w == WAIT_STOPPED)
            return false;
        if (w == WAIT_DEADLINE) {
            error_set(err, ERROR_UNREACHABLE, "%s: no answer in %lld s", db->url.display,
                      (long long)(db->options.connect_timeout_ms / 1000));
            err->cls = ERROR_CLASS_CONNECTION;
            return false;
        }
    }
    if (pg->polling == PGRES_POLLING_FAILED) {
        pg_connect_error(db, err);
        return false;
    }
    PQsetErrorVerbosity(pg->conn, PQERRORS_DEFAULT);
    if (PQsetnonblocking(pg->conn, 1) != 0)
        return error_set(err, ERROR_FAILED, "the connection cannot be made non-blocking");
    return true;
}

static bool
pg_connect_finish(Db *db, Error *err)
{
    if (!finish_connecting(db, err))
        return false;
    pg_of(db)->search_path = wanted_path(db);
    return set_session(db, STR(""), err);
}

static void
pg_close(Db *db)
{
    Pg *pg = pg_of(db);
    if (pg && pg->conn) {
        PQfinish(pg->conn);
        pg->conn = NULL;
    }
}

static bool
pg_alive(const Db *db)
{
    const Pg *pg = pg_of(db);
    return pg && pg->conn && !pg->broken && PQstatus(pg->conn) == CONNECTION_OK;
}

/* ---- queries ---- */

static void
cancel_running(Pg *pg)
{
    char ignored[256];
    PGcancel *cancel = PQgetCancel(pg->conn);
    if (cancel) {
        (void)PQcancel(cancel, ignored, sizeof ignored);
        PQfreeCancel(cancel);
    }
}

/* Throws away what is still coming after a cancel; what does not come in time breaks the
 * connection, and the server rolls back by itself. */
static void
drain(Db *db)
{
    Pg *pg = pg_of(db);
    int64_t deadline = clock_ms() + CANCEL_MS;
    wait_cleanup_begin(db->options.wait);
    while (!pg->broken) {
        Error ignored = ERROR_INIT;
        if (!PQisBusy(pg->conn)) {
            AUTO_RESULT result = PQgetResult(pg->conn);
            if (!result)
                break;
            ExecStatusType status = PQresultStatus(result);
            /* A COPY that had just begun would be told for ever. */
            pg->broken = status == PGRES_COPY_IN || status == PGRES_COPY_OUT;
            continue;
        }
        WaitResult w = wait_fd(db->options.wait, PQsocket(pg->conn), POLLIN, deadline, &ignored);
        if (w != WAIT_READY || !PQconsumeInput(pg->conn))
            pg->broken = true;
    }
    wait_cleanup_end(db->options.wait);
}

/* Where a connection went silent, asking for a cancel would block on the same network: the server
 * finds out by itself (client_connection_check_interval). */
static bool
stop_query(Db *db, const Error *why)
{
    if (why->cls == ERROR_CLASS_CONNECTION) {
        pg_of(db)->broken = true;
        return false;
    }
    cancel_running(pg_of(db));
    drain(db);
    return false;
}

static bool
lost(Db *db, Error *err)
{
    Pg *pg = pg_of(db);
    Str text = str_trim(str_of(PQerrorMessage(pg->conn)));
    pg->broken = true;
    error_set(err, ERROR_UNREACHABLE, "the connection to the database was lost: " STR_FMT,
              STR_ARG(str_sub(text, 0, str_find(text, '\n'))));
    err->cls = ERROR_CLASS_CONNECTION;
    return false;
}

static bool
send_all(Db *db, Str sql, bool row_by_row, Error *err)
{
    Pg *pg = pg_of(db);
    SCRATCH_ARENA(scratch);
    /* Views into a larger text end nowhere: libpq wants the NUL. */
    if (!PQsendQuery(pg->conn, str_dup(scratch, sql)))
        return lost(db, err);
    /* Rows that nobody wants are not gathered: a SELECT in a migration may give millions. */
    if (row_by_row)
        (void)PQsetSingleRowMode(pg->conn);
    for (;;) {
        int left = PQflush(pg->conn);
        if (left == 0)
            return true;
        if (left < 0)
            return lost(db, err);
        WaitResult w = wait_fd(db->options.wait, PQsocket(pg->conn), POLLIN | POLLOUT, -1, err);
        if (w == WAIT_STOPPED)
            return stop_query(db, err);
        if (!PQconsumeInput(pg->conn))
            return lost(db, err);
    }
}

/* The next result, or NULL at the end. False when stopped or lost. */
static bool
next_result(Db *db, PGresult **ret, Error *err)
{
    Pg *pg = pg_of(db);
    while (PQisBusy(pg->conn)) {
        if (wait_fd(db->options.wait, PQsocket(pg->conn), POLLIN, -1, err) == WAIT_STOPPED)
            return stop_query(db, err);
        if (!PQconsumeInput(pg->conn))
            return lost(db, err);
    }
    *ret = PQgetResult(pg->conn);
    return true;
}

static void
take_rows(Arena *arena, const PGresult *result, DbResult *ret)
{
    size_t rows = (size_t)PQntuples(result), cols = (size_t)PQnfields(result);
    *ret =
        (DbResult){.rows = rows, .cols = cols, .cells = arena_array(arena, Str, rows * cols + 1)};
    for (size_t i = 0; i < rows; i++) {
        for (size_t k = 0; k < cols; k++) {
            Str *cell = &ret->cells[i * cols + k];
            *cell = STR_ABSENT;
            if (!PQgetisnull(result, (int)i, (int)k))
                *cell = str_copy(arena, (Str){PQgetvalue(result, (int)i, (int)k),
                                              (size_t)PQgetlength(result, (int)i, (int)k)});
        }
    }
}

static void
count_changes(Db *db, PGresult *result)
{
    int64_t n = 0;
    db->changes = str_to_i64(str_of(PQcmdTuples(result)), &n) ? n : 0;
}

/* libpq stays in COPY until one side ends it; until then PQgetResult says the same for ever. */
static void
end_copy(Db *db, ExecStatusType status)
{
    Pg *pg = pg_of(db);
    int64_t deadline = clock_ms() + CANCEL_MS;
    if (status == PGRES_COPY_IN) {
        pg->broken = PQputCopyEnd(pg->conn, "refused") != 1;
        return;
    }
    cancel_running(pg);
    wait_cleanup_begin(db->options.wait);
    for (int n = 1; n >= 0 && !pg->broken;) {
        Error ignored = ERROR_INIT;
        char *row = NULL;
        n = PQgetCopyData(pg->conn, &row, 1);
        if (n > 0)
            PQfreemem(row);
        else if (n == 0)
            pg->broken = wait_fd(db->options.wait, PQsocket(pg->conn), POLLIN, deadline,
                                 &ignored) != WAIT_READY ||
                         !PQconsumeInput(pg->conn);
    }
    wait_cleanup_end(db->options.wait);
}

static bool
copy_is_refused(Db *db, ExecStatusType status, Error *err)
{
    end_copy(db, status);
    drain(db);
    if (err->code != ERROR_NONE)
        return false;
    error_set(err, ERROR_FAILED, "COPY from or to the client cannot be run from a file");
    return error_hint(err, "Use INSERT, or COPY with a file that the server reads.");
}

/* True when the result was one statement that completed. */
static bool
take_result(Db *db, Arena *arena, PGresult *result, Str sql, DbResult *rows, Error *err)
{
    switch (PQresultStatus(result)) {
    case PGRES_TUPLES_OK:
        if (rows)
            take_rows(arena, result, rows);
        count_changes(db, result);
        return true;
    case PGRES_COMMAND_OK:
        count_changes(db, result);
        return true;
    case PGRES_EMPTY_QUERY:
    case PGRES_SINGLE_TUPLE: /* of a result that nobody wants */
        return false;
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH:
        return copy_is_refused(db, PQresultStatus(result), err);
    default:
        if (err->code == ERROR_NONE)
            pg_result_error(db, result, sql, err);
        return false;
    }
}

bool
pg_query(Db *db, Arena *arena, Str sql, DbResult *ret, size_t *ret_done, Error *err)
{
    DbResult rows = {0};
    /* Behind an error only the end of the answer is waited for: what happens then is not told. */
    Error later = ERROR_INIT;
    *ret_done = 0;
    if (!pg_alive(db)) {
        error_set(err, ERROR_UNREACHABLE, "the connection to the database was lost");
        err->cls = ERROR_CLASS_CONNECTION;
        return false;
    }
    if (!send_all(db, sql, ret == NULL, err))
        return false;
    for (;;) {
        AUTO_RESULT result = NULL;
        if (!next_result(db, &result, err->code == ERROR_NONE ? err : &later))
            return false;
        if (!result)
            break;
        if (take_result(db, arena, result, sql, ret ? &rows : NULL, err))
            ++*ret_done;
        if (pg_of(db)->broken)
            return false;
    }
    if (PQstatus(pg_of(db)->conn) == CONNECTION_BAD)
        pg_of(db)->broken = true;
    if (err->code != ERROR_NONE)
        return false;
    if (ret)
        *ret = rows;
    return true;
}

/* ---- session ---- */

static bool
pg_in_transaction(const Db *db)
{
    PGTransactionStatusType status = PQtransactionStatus(pg_of(db)->conn);
    return status == PQTRANS_INTRANS || status == PQTRANS_INERROR;
}

static bool
pg_reset(Db *db, Error *err)
{
    SCRATCH_ARENA(scratch);
    Str rollback = pg_in_transaction(db) ? STR("rollback;\n") : STR("");
    Str reset = db_render(db, scratch, Q_PG_RESET, NULL);
    return set_session(
        db, str_of(str_printf(scratch, STR_FMT STR_FMT, STR_ARG(rollback), STR_ARG(reset))), err);
}

static bool
pg_set_timeouts(Db *db, int64_t lock_ms, int64_t statement_ms, Error *err)
{
    return db_do(db, Q_PG_TIMEOUTS,
                 DB_ARGS(ARG_INT("lock", lock_ms), ARG_INT("statement", statement_ms)), err);
}

static Str
pg_quote_ident(const Db *db, Arena *arena, Str name)
{
    StrBuf out = strbuf_new(arena, 2 * name.n + 3);
    (void)db;
    strbuf_addc(&out, '"');
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '"')
            strbuf_addc(&out, '"');
        strbuf_addc(&out, name.p[i]);
    }
    strbuf_addc(&out, '"');
    return strbuf_str(&out);
}

/* E'' where there is a backslash: right whatever standard_conforming_strings says. */
static Str
pg_quote_literal(const Db *db, Arena *arena, Str value)
{
    StrBuf out = strbuf_new(arena, 2 * value.n + 4);
    (void)db;
    if (str_find(value, '\\') < value.n)
        strbuf_puts(&out, " E");
    strbuf_addc(&out, '\'');
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '\'' || value.p[i] == '\\')
            strbuf_addc(&out, value.p[i]);
        if (value.p[i])
            strbuf_addc(&out, value.p[i]);
    }
    strbuf_addc(&out, '\'');
    return strbuf_str(&out);
}

static Str
pg_digest_expr(const Db *db, Arena *arena, const char *const *columns)
{
    /* Few functions, and none with many namesakes: each costs a fresh session a look-up in its
     * catalogs. concat reads NULL as an empty text. */
    StrBuf list = strbuf_new(arena, 4096);
    (void)db;
    for (size_t i = 0; columns[i]; i++)
        strbuf_printf(&list, "%s%s", i ? ", '/', " : "", columns[i]);
    return str_of(
        str_printf(arena, "concat(count(*), '.', sum(hashtext(concat(%s))))", strbuf_str(&list).p));
}

static bool
was_notified(PGconn *conn)
{
    bool any = false;
    for (PGnotify *n; (n = PQnotifies(conn)); any = true)
        PQfreemem(n);
    return any;
}

static bool
pg_pause(Db *db, int64_t ms, bool *ret_told, Error *err)
{
    PGconn *conn = pg_of(db)->conn;
    *ret_told = was_notified(conn); /* with the answer of an earlier query */
    if (*ret_told)
        return true;
    WaitResult w = wait_fd(db->options.wait, PQsocket(conn), POLLIN, clock_ms() + ms, err);
    if (w == WAIT_READY)
        (void)PQconsumeInput(conn); /* a connection that is gone: the next query says so */
    *ret_told = was_notified(conn);
    return w != WAIT_STOPPED;
}

/* ---- making the database ---- */

static bool
create_through(
    Arena *arena, const DbUrl *url, const DbOptions *options, const char *through, Error *err)
{
    Db db = {.driver = &driver_postgres, .arena = arena, .url = *url, .options = *options};
    bool ok = start_connecting(&db, through, err) && finish_connecting(&db, err);
    if (ok)
        ok = db_do(&db, Q_PG_CREATE_DATABASE,
                   DB_ARGS(ARG_IDENT("database", STR_ABSENT, str_of(url->database))), err);
    if (!ok && err->cls == ERROR_CLASS_DUPLICATE) {
        error_clear(err);
        ok = true;
    }
    pg_close(&db);
    return ok;
}

static bool
pg_create_database(Arena *arena, const DbUrl *url, const DbOptions *options, Error *err)
{
    DbOptions how = *options;
    if (how.connect_timeout_ms <= 0)
        how.connect_timeout_ms = 10 * 1000;
    if (!how.application_name)
        how.application_name = "lockstep";
    if (create_through(arena, url, &how, "postgres", err))
        return true;
    if (err->cls != ERROR_CLASS_NO_DATABASE)
        return false;
    error_clear(err);
    return create_through(arena, url, &how, "template1", err);
}

static LibraryVersion
pg_library(Arena *arena)
{
    int pq = PQlibVersion(); /* 150018: two parts since PostgreSQL 10 */
    return (LibraryVersion){"libpq", str_printf(arena, "%d.%d", pq / 10000, pq % 10000)};
}

const DbDriver driver_postgres = {
    .name = "postgresql",
    .engine = DB_POSTGRES,
    .caps = DB_CAP_DDL_TRANSACTION | DB_CAP_SCRIPT | DB_CAP_SESSION_LOCK | DB_CAP_SERVER |
            DB_CAP_ASYNC_COMMIT,
    .queries = queries_postgres,
    .library = pg_library,
    .connect_start = pg_connect_start,
    .connect_finish = pg_connect_finish,
    .close = pg_close,
    .alive = pg_alive,
    .query = pg_query,
    .facts = pg_facts_ask,
    .reset = pg_reset,
    .in_transaction = pg_in_transaction,
    .set_timeouts = pg_set_timeouts,
    .quote_ident = pg_quote_ident,
    .quote_literal = pg_quote_literal,
    .digest_expr = pg_digest_expr,
    .pause = pg_pause,
    .is_pooled = pg_is_pooled,
    .create_database = pg_create_database,
    .cancel_session = pg_cancel_session,
    .end_session = pg_end_session,
    .blockers = pg_blockers,
    .victims = pg_victims,
};
