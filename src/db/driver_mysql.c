/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The MySQL and MariaDB driver on MariaDB Connector/C. The library's
 * non-blocking calls are served from the connection's Wait. A stop (signal, lost lock, harm to
 * others) in the middle of a statement kills that statement through a second, short connection, and
 * the first is read to its end: the session stays usable for the rollback and for the record.
 *
 * Only resolving the host's name (getaddrinfo) blocks; its own time limit bounds it.
 */

#include "db/mysql_internal.h"

#include <mysql.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "core/clock.h"
#include "core/fs.h"

#include "core/banned.h"

/* Of the library's coroutine: TLS and the look-up of names run in it. */
#define STACK_SIZE      ((size_t)256 << 10)
#define KILL_MS         3000 /* to reach the server a second time, and for it to act */
#define DRAIN_MS        5000 /* from KILL QUERY to the end of the statement */
#define RESULT_MAX      ((size_t)256 << 20)
#define DATABASE_EXISTS "1007"
#define YEAR_S          31536000 /* the largest lock_wait_timeout */

typedef struct Mysql {
    MysqlServer server;
    MYSQL *conn;
    Wait *wait;
    MysqlParams params;
    bool connected, broken;
    bool prepared;                /* our settings are made; looking around needs none */
    bool disturbed;               /* what ran since the last reset may have changed the session */
    int64_t lock_s, statement_ms; /* as set last; lock_s 0 = never */
    int64_t deadline;             /* of what runs now, -1 = none */
    bool stopped;                 /* what runs now was stopped, for the reason in `stop` */
    Error stop;
} Mysql;

static Mysql *
native(const Db *db)
{
    return db->native;
}

MysqlServer *
mysql_server(const Db *db)
{
    return &native(db)->server;
}

/* ---- waiting ---- */

/* KILL QUERY needs a session of its own. Whatever goes wrong here is not told: the drain that
 * follows has its own end. */
static void
kill_statement(Db *db)
{
    SCRATCH_ARENA(scratch);
    Wait *wait = native(db)->wait;
    DbUrl url = db->url;
    DbOptions options = db->options;
    Error ignored = ERROR_INIT;
    Db *helper = NULL;

    url.database = NULL;
    options.connect_timeout_ms = KILL_MS;
    wait_cleanup_begin(wait);
    if (db_connect(scratch, &url, &options, &helper, &ignored)) {
        native(helper)->deadline = clock_ms() + KILL_MS;
        (void)!mysql_cancel_session(helper, (int64_t)mysql_thread_id(native(db)->conn), &ignored);
    }
    db_close(helper);
    wait_cleanup_end(wait);
}

/* One wait of the library, under its own time limit and ours. Between a stop and the end of what
 * was stopped it must not end at once again. */
static WaitResult
wait_once(Db *db, short events, int64_t until, Error *why)
{
    Mysql *m = native(db);
    bool draining = m->stopped;
    WaitResult result;

    if (m->deadline >= 0 && (until < 0 || m->deadline < until))
        until = m->deadline;
    if (draining)
        wait_cleanup_begin(m->wait);
    result = wait_fd(m->wait, (int)mysql_get_socket(m->conn), events, until, why);
    if (draining)
        wait_cleanup_end(m->wait);
    return result;
}

/* What the library is to be told: ready, or that its time is over, at which it gives up with an
 * error. A stop while connecting is the latter; a stop while a statement runs kills it first and
 * then waits for its end. */
static int
serve(Db *db, int status)
{
    Mysql *m = native(db);
    short events = 0;
    int64_t until = -1;

    if (m->stopped && !m->connected)
        return MYSQL_WAIT_TIMEOUT;
    if (status & MYSQL_WAIT_READ)
        events |= POLLIN;
    if (status & MYSQL_WAIT_WRITE)
        events |= POLLOUT;
    if (status & MYSQL_WAIT_EXCEPT)
        events |= POLLPRI;
    if (status & MYSQL_WAIT_TIMEOUT)
        until = clock_ms() + mysql_get_timeout_value_ms(m->conn);
    for (;;) {
        Error why = ERROR_INIT;
        WaitResult result = wait_once(db, events, until, &why);

        if (result == WAIT_READY)
            return status & ~MYSQL_WAIT_TIMEOUT;
        if (result == WAIT_DEADLINE || m->stopped)
            return MYSQL_WAIT_TIMEOUT;
        m->stopped = true;
        m->stop = why;
        if (!m->connected)
            return MYSQL_WAIT_TIMEOUT;
        kill_statement(db);
        m->deadline = clock_ms() + DRAIN_MS;
    }
}

/* Runs one of the library's calls to its end; `cont` says `ready`. */
#define SERVE(db, start, cont)                                                                     \
    do {                                                                                           \
        int ready = (start);                                                                       \
        while (ready) {                                                                            \
            ready = serve((db), ready);                                                            \
            ready = (cont);                                                                        \
        }                                                                                          \
    } while (0)

/* ---- errors ---- */

static bool
lost(Error *err)
{
    error_set(err, ERROR_UNREACHABLE, "the connection to the database is lost");
    err->cls = ERROR_CLASS_CONNECTION;
    snprintf(err->sqlstate, sizeof(err->sqlstate), "2006");
    return false;
}

/* `sql` absent while connecting. */
static bool
fail(Db *db, Str sql, Error *err)
{
    Mysql *m = native(db);
    unsigned number = mysql_errno(m->conn);

    if (mysql_error_breaks(number))
        m->broken = true;
    if (m->stopped) {
        *err = m->stop;
        return false;
    }
    mysql_error_fill(err, number, mysql_error(m->conn), sql);
    return sql.p ? false : error_wrap(err, "cannot connect to %s", db->url.display);
}

/* ---- connecting ---- */

/* TLS protects the network; a Unix socket needs none, and the library refuses it there. Connector/C
 * 3.3 checks the chain whenever a CA is set, and the host's name with VERIFY_SERVER_CERT; 3.4
 * checks either both or nothing, so that there VERIFY_CA is as strict as VERIFY_IDENTITY. */
static void
set_tls(Db *db)
{
    Mysql *m = native(db);
    const MysqlParams *p = &m->params;
    bool both = mysql_get_client_version() >= 30400;
    my_bool on = p->tls != MYSQL_TLS_DISABLED && !p->socket;
    my_bool verify = on && (p->tls == MYSQL_TLS_VERIFY_IDENTITY ||
                            (p->tls == MYSQL_TLS_VERIFY_CA && (both || !p->ca)));

    mysql_options(m->conn, MYSQL_OPT_SSL_ENFORCE, &on);
    mysql_options(m->conn, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
    if (!on)
        return;
    if (p->tls >= MYSQL_TLS_VERIFY_CA && p->ca)
        mysql_options(m->conn, MYSQL_OPT_SSL_CA, p->ca);
    if (p->cert)
        mysql_options(m->conn, MYSQL_OPT_SSL_CERT, p->cert);
    if (p->key)
        mysql_options(m->conn, MYSQL_OPT_SSL_KEY, p->key);
}

static void
set_options(Db *db)
{
    /* Without a verified peer a server may not ask for the password in clear text. */
    static const char hashed[] = "mysql_native_password,caching_sha2_password,sha256_password,"
                                 "client_ed25519,auth_gssapi_client,parsec";
    Mysql *m = native(db);
    unsigned seconds = (unsigned)((db->options.connect_timeout_ms + 999) / 1000);
    unsigned no = 0;
    unsigned protocol = m->params.socket ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;
    my_bool off = 0;
    size_t stack = STACK_SIZE;

    mysql_options(m->conn, MYSQL_OPT_NONBLOCK, &stack);
    mysql_options(m->conn, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    mysql_options(m->conn, MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
    mysql_options(m->conn, MYSQL_OPT_LOCAL_INFILE, &no);
    mysql_options(m->conn, MYSQL_OPT_RECONNECT, &off);
    mysql_options(m->conn, MYSQL_OPT_PROTOCOL, &protocol);
    mysql_options4(m->conn, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name",
                   db->options.application_name);
    if (!m->params.socket && m->params.tls < MYSQL_TLS_VERIFY_CA)
        mysql_options(m->conn, MARIADB_OPT_RESTRICTED_AUTH, hashed);
    set_tls(db);
}

/* A peer that went without a word (a pulled cable, a stopped host) is noticed in some 15 s. */
static void
set_keepalive(int fd)
{
    int on = 1, idle = 5, interval = 3, count = 3;
    unsigned int unanswered_ms = 15000;

    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unanswered_ms, sizeof(unanswered_ms));
}

static void
note_status(Mysql *m)
{
    m->server.no_backslash_escapes = m->conn->server_status & SERVER_STATUS_NO_BACKSLASH_ESCAPES;
}

/* FOUND_ROWS: db_changes counts the rows an UPDATE matched, as on the other engines. */
static bool
log_in(Db *db, Error *err)
{
    Mysql *m = native(db);
    const char *password = secret_is_set(db->url.password) ? secret_reveal(db->url.password) : NULL;
    const char *host = m->params.socket ? NULL : db->url.host ? db->url.host : "localhost";
    unsigned port = (unsigned)dburl_port(&db->url);
    MYSQL *ok = NULL;

    m->deadline = clock_ms() + db->options.connect_timeout_ms;
    SERVE(db,
          mysql_real_connect_start(&ok, m->conn, host, db->url.user, password, db->url.database,
                                   port, m->params.socket,
                                   CLIENT_FOUND_ROWS | CLIENT_MULTI_RESULTS),
          mysql_real_connect_cont(&ok, m->conn, ready));
    m->deadline = -1;
    if (!ok)
        return fail(db, STR_ABSENT, err);
    if (m->params.tls >= MYSQL_TLS_REQUIRED && !m->params.socket &&
        !mysql_get_ssl_cipher(m->conn)) {
        m->broken = true;
        error_set(err, ERROR_UNREACHABLE, "cannot connect to %s: the server has no TLS",
                  db->url.display);
        err->cls = ERROR_CLASS_LOGIN;
        return error_hint(err,
                          "Switch TLS on in the server, or say ssl-mode=PREFERRED in the URL.");
    }
    m->connected = true;
    note_status(m);
    return true;
}

static bool
connect_finish(Db *db, Error *err)
{
    Mysql *m = arena_make(db->arena, Mysql);

    db->native = m;
    m->wait = db->options.wait;
    m->deadline = -1;
    if (!mysql_params(db->arena, &db->url, &m->params, err))
        return false;
    if (m->params.connect_timeout_ms &&
        m->params.connect_timeout_ms < db->options.connect_timeout_ms)
        db->options.connect_timeout_ms = m->params.connect_timeout_ms;
    m->conn = mysql_init(NULL);
    if (!m->conn)
        return error_set(err, ERROR_UNREACHABLE, "out of memory");
    set_options(db);
    if (!log_in(db, err))
        return false;
    if (!m->params.socket)
        set_keepalive((int)mysql_get_socket(m->conn));
    m->server.version_num = (int)mysql_get_server_version(m->conn);
    m->server.mariadb = strstr(mysql_get_server_info(m->conn), "MariaDB") != NULL;
    return !m->params.no_foreign_keys || db_do(db, Q_MYSQL_FOREIGN_KEYS, DB_ARGS(), err);
}

static void
close_connection(Db *db)
{
    Mysql *m = native(db);

    if (!m || !m->conn)
        return;
    /* The farewell must not wait for a peer that is not there, nor follow half a statement. */
    if (m->broken || m->stopped)
        shutdown((int)mysql_get_socket(m->conn), SHUT_RDWR);
    mysql_close(m->conn);
    m->conn = NULL;
    m->broken = true;
}

static bool
alive(const Db *db)
{
    const Mysql *m = native(db);

    return m && m->connected && !m->broken;
}

/* ---- running ---- */

/* Statements that leave the session as it was; after any other the next reset puts it right. */
static bool
leaves_session_alone(Str sql)
{
    static const char *const words[] = {"select", "insert",   "update", "delete",   "create",
                                        "alter",  "drop",     "rename", "truncate", "replace",
                                        "show",   "rollback", "commit", "kill",     "start"};
    Str text = str_trim(sql);

    for (size_t i = 0; i < COUNT_OF(words); i++) {
        size_t n = strlen(words[i]);

        if (text.n > n && strncasecmp(text.p, words[i], n) == 0)
            return text.p[n] == ' ' || text.p[n] == '\n' || text.p[n] == '\t' ||
                   text.p[n] == '\r' || text.p[n] == '(' || text.p[n] == ';';
    }
    return false;
}

typedef struct Rows {
    Arena *arena; /* NULL: thrown away */
    VEC(Str) cells;
    size_t rows, cols, bytes;
} Rows;

static bool
keep_row(Rows *rows, MYSQL_ROW row, const unsigned long *lengths)
{
    for (size_t i = 0; i < rows->cols; i++) {
        rows->bytes += sizeof(Str) + lengths[i];
        if (rows->bytes > RESULT_MAX)
            return false;
        *vec_push(rows->arena, &rows->cells) =
            row[i] ? str_copy(rows->arena, (Str){row[i], lengths[i]}) : STR_ABSENT;
    }
    rows->rows++;
    return true;
}

/* Every row is fetched, kept or not: the next answer stands behind them. */
static bool
fetch_rows(Db *db, MYSQL_RES *result, Rows *rows, Str sql, Error *err)
{
    Mysql *m = native(db);
    bool fits = true;

    rows->cells.n = 0;
    rows->rows = rows->bytes = 0;
    rows->cols = mysql_num_fields(result);
    for (;;) {
        MYSQL_ROW row = NULL;

        SERVE(db, mysql_fetch_row_start(&row, result), mysql_fetch_row_cont(&row, result, ready));
        if (!row)
            break;
        if (rows->arena && fits)
            fits = keep_row(rows, row, mysql_fetch_lengths(result));
    }
    if (mysql_errno(m->conn))
        return fail(db, sql, err);
    return fits || error_set(err, ERROR_FAILED, "the answer of the database is too large");
}

static bool
take_answer(Db *db, Rows *rows, Str sql, Error *err)
{
    Mysql *m = native(db);
    MYSQL_RES *result = mysql_use_result(m->conn);
    bool ok;

    if (!result) {
        if (mysql_errno(m->conn))
            return fail(db, sql, err);
        db->changes = (int64_t)mysql_affected_rows(m->conn);
        return true;
    }
    db->changes = 0;
    ok = fetch_rows(db, result, rows, sql, err);
    /* All rows are read, or the connection has an error: nothing is left to be read in here. */
    mysql_free_result(result);
    return ok;
}

/* One statement; a CALL gives several answers. */
static bool
run_statement(Db *db, Str sql, Rows *rows, Error *err)
{
    Mysql *m = native(db);
    int rc = 0;

    SERVE(db, mysql_real_query_start(&rc, m->conn, sql.p, sql.n),
          mysql_real_query_cont(&rc, m->conn, ready));
    if (rc != 0)
        return fail(db, sql, err);
    for (;;) {
        if (!take_answer(db, rows, sql, err))
            return false;
        if (!mysql_more_results(m->conn))
            return true;
        SERVE(db, mysql_next_result_start(&rc, m->conn),
              mysql_next_result_cont(&rc, m->conn, ready));
        if (rc > 0)
            return fail(db, sql, err);
        if (rc < 0)
            return true;
    }
}

static bool
query(Db *db, Arena *arena, Str sql, DbResult *ret, size_t *ret_done, Error *err)
{
    Mysql *m = native(db);
    Rows rows = {.arena = ret ? arena : NULL};
    bool ok;

    *ret_done = 0;
    if (!alive(db))
        return lost(err);
    m->stopped = false;
    if (!leaves_session_alone(sql))
        m->disturbed = true;
    ok = run_statement(db, sql, &rows, err);
    m->deadline = -1;
    note_status(m);
    if (ok && m->stopped) { /* it ended before the kill reached it; the caller has to stop still */
        *err = m->stop;
        ok = false;
    }
    m->stopped = false;
    if (!ok)
        return false;
    *ret_done = 1;
    if (ret)
        *ret = (DbResult){.rows = rows.rows, .cols = rows.cols, .cells = rows.cells.p};
    return true;
}

/* ---- the session ---- */

static bool
in_transaction(const Db *db)
{
    return alive(db) && native(db)->conn->server_status & SERVER_STATUS_IN_TRANS;
}

/* What the driver itself sets leaves nothing to be put right. */
static bool
set_session(Db *db, DbQuery statement, const DbArg *args, Error *err)
{
    bool disturbed = native(db)->disturbed;
    bool ok = db_do(db, statement, args, err);

    native(db)->disturbed = disturbed;
    return ok;
}

/* Also the names of utf8mb4's default collation: the one of the handshake is general_ci. */
static bool
set_defaults(Db *db, Error *err)
{
    bool mariadb = native(db)->server.mariadb;
    bool no_keys = native(db)->params.no_foreign_keys;

    if (!set_session(
            db, Q_MYSQL_DEFAULTS,
            DB_ARGS(
                ARG_RAW("foreign_keys", no_keys ? STR("0") : STR("default")),
                ARG_RAW("isolation", mariadb ? STR("tx_isolation") : STR("transaction_isolation")),
                ARG_RAW("read_only", mariadb ? STR("tx_read_only") : STR("transaction_read_only"))),
            err))
        return false;
    native(db)->prepared = true;
    return true;
}

static bool
send_timeouts(Db *db, Error *err)
{
    SCRATCH_ARENA(scratch);
    const Mysql *m = native(db);
    char *statement =
        m->server.mariadb
            ? str_printf(scratch, "max_statement_time = %lld.%03lld",
                         (long long)m->statement_ms / 1000, (long long)m->statement_ms % 1000)
            : str_printf(scratch, "max_execution_time = %lld", (long long)m->statement_ms);

    return set_session(db, Q_MYSQL_TIMEOUTS,
                       DB_ARGS(ARG_INT("lock", m->lock_s), ARG_RAW("statement", str_of(statement))),
                       err);
}

/* Whole seconds for locks; lock_wait_timeout=0 would mean "do not wait at all". MySQL limits
 * SELECT statements only. */
static bool
set_timeouts(Db *db, int64_t lock_ms, int64_t statement_ms, Error *err)
{
    Mysql *m = native(db);

    if (!m->prepared && !set_defaults(db, err))
        return false;
    m->lock_s = lock_ms > 0 ? (lock_ms + 999) / 1000 : YEAR_S;
    if (m->lock_s > YEAR_S)
        m->lock_s = YEAR_S;
    m->statement_ms = statement_ms;
    return send_timeouts(db, err);
}

static bool
use_database(Db *db, Error *err)
{
    SCRATCH_ARENA(scratch);
    Str name;

    if (!db->url.database)
        return true;
    name = db_quote_ident(db, scratch, str_of(db->url.database));
    return set_session(db, Q_MYSQL_USE, DB_ARGS(ARG_RAW("database", name)), err);
}

/* mysql_reset_connection would do it in one round trip, but it frees GET_LOCK locks, and with them
 * the mark by which a successor finds this session. */
static bool
reset(Db *db, Error *err)
{
    Mysql *m = native(db);

    if (in_transaction(db) && !db_do(db, Q_MYSQL_ROLLBACK, DB_ARGS(), err))
        return false;
    if (!m->disturbed)
        return true;
    if (!db_do(db, Q_MYSQL_UNLOCK, DB_ARGS(), err) || !set_defaults(db, err) ||
        !use_database(db, err) || (m->lock_s && !send_timeouts(db, err)))
        return false;
    m->disturbed = false;
    return true;
}

/* ---- --create ---- */

static bool
create_database(Arena *arena, const DbUrl *url, const DbOptions *options, Error *err)
{
    DbUrl server = *url;
    AUTO_DB db = NULL;
    Str name;

    if (!url->database)
        return error_set(err, ERROR_USAGE, "the database URL names no database to create");
    server.database = NULL;
    if (!db_connect(arena, &server, options, &db, err))
        return false;
    name = mysql_quote_ident(db, arena, str_of(url->database));
    if (db_do(db, Q_MYSQL_CREATE_DATABASE, DB_ARGS(ARG_RAW("database", name)), err))
        return true;
    if (strcmp(err->sqlstate, DATABASE_EXISTS) != 0)
        return error_wrap(err, "cannot create the database '%s'", url->database);
    error_clear(err);
    return true;
}

static LibraryVersion
library(Arena *arena)
{
    (void)arena;
    return (LibraryVersion){"libmariadb", mysql_get_client_info()};
}

const DbDriver driver_mysql = {
    .name = "mysql",
    .engine = DB_MYSQL,
    .caps = DB_CAP_SESSION_LOCK | DB_CAP_SERVER,
    .queries = queries_mysql,
    .library = library,
    .connect_finish = connect_finish,
    .close = close_connection,
    .alive = alive,
    .query = query,
    .facts = mysql_facts,
    .reset = reset,
    .in_transaction = in_transaction,
    .set_timeouts = set_timeouts,
    .quote_ident = mysql_quote_ident,
    .quote_literal = mysql_quote_literal,
    .digest_expr = mysql_digest_expr,
    .create_database = create_database,
    .cancel_session = mysql_cancel_session,
    .end_session = mysql_end_session,
    .blockers = mysql_blockers,
    .victims = mysql_victims,
};
