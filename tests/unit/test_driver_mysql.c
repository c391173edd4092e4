/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The MySQL driver on a private mariadbd that this test starts in a directory of its own and ends
 * again. Without mariadbd it says SKIP.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/fs.h"
#include "db/db.h"

typedef struct Server {
    char dir[64];
    char socket[96];
    int port;
    pid_t pid;
} Server;

typedef struct Fixture {
    Arena *arena;
    Wait wait;
    Error err;
} Fixture;

static Server server;

/* ---- the server ---- */

static pid_t
start(const char *const *argv)
{
    pid_t pid = fork();

    if (pid == 0) {
        int log = open("server.log", O_CREAT | O_APPEND | O_WRONLY, 0600);

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(log, 1);
        dup2(log, 2);
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    return pid;
}

static int
run(const char *const *argv)
{
    int status = -1;

    (void)!waitpid(start(argv), &status, 0);
    return status;
}

static int
free_port(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (bind(fd, (struct sockaddr *)&addr, n) != 0 || getsockname(fd, (struct sockaddr *)&addr, &n))
        return 0;
    close(fd);
    return ntohs(addr.sin_port);
}

static const char *
text(const char *a, const char *b)
{
    static Arena *arena;

    if (!arena)
        arena = arena_new();
    return str_printf(arena, "%s%s", a, b);
}

/* Only root is asked to name a user; for anybody else a switch without effect stands there. */
static const char *
as_whom(void)
{
    return geteuid() == 0 ? "--user=root" : "--skip-name-resolve";
}

static bool
start_server(void)
{
    const char *data;

    snprintf(server.dir, sizeof(server.dir), "/tmp/lockstep-mysql-XXXXXX");
    if (!mkdtemp(server.dir) || chdir(server.dir) != 0)
        return false;
    snprintf(server.socket, sizeof(server.socket), "%s/s.sock", server.dir);
    server.port = free_port();
    data = text("--datadir=", text(server.dir, "/data"));
    if (run((const char *const[]){"mariadb-install-db", "--no-defaults", data, as_whom(),
                                  "--auth-root-authentication-method=normal", "--skip-test-db",
                                  NULL}) != 0)
        return false;
    char port[32];
    snprintf(port, sizeof(port), "--port=%d", server.port);
    server.pid = start(
        (const char *const[]){"mariadbd", "--no-defaults", as_whom(), data,
                              text("--socket=", server.socket), port, "--bind-address=127.0.0.1",
                              "--innodb-flush-log-at-trx-commit=0", "--skip-name-resolve", NULL});
    for (int i = 0; i < 1000; i++) {
        struct timespec pause_time = {0, 50 * 1000 * 1000};

        if (fs_kind(server.socket) == FS_OTHER)
            return true;
        if (waitpid(server.pid, NULL, WNOHANG) != 0)
            return false;
        nanosleep(&pause_time, NULL);
    }
    return false;
}

static void
stop_server(void)
{
    if (server.pid > 0) {
        kill(server.pid, SIGKILL);
        waitpid(server.pid, NULL, 0);
    }
    if (server.dir[0] && chdir("/") == 0)
        run((const char *const[]){"rm", "-rf", server.dir, NULL});
}

static bool
have_server(void)
{
    return access("/usr/sbin/mariadbd", X_OK) == 0 || access("/usr/bin/mariadbd", X_OK) == 0;
}

/* ---- fixture ---- */

static int
set_up(void **state)
{
    Arena *arena = arena_new();
    Fixture *f = arena_make(arena, Fixture);

    f->arena = arena;
    f->wait = wait_init();
    f->err = ERROR_INIT;
    *state = f;
    return 0;
}

static int
tear_down(void **state)
{
    arena_free(((Fixture *)*state)->arena);
    return 0;
}

static DbUrl
url_of(const char *user, const char *database)
{
    return (DbUrl){.engine = DB_MYSQL,
                   .user = (char *)(uintptr_t)user,
                   .host = server.socket,
                   .database = (char *)(uintptr_t)database,
                   .display = (char *)(uintptr_t) "mysql://test"};
}

static void
add_param(Fixture *f, DbUrl *url, const char *name, const char *value)
{
    *vec_push(f->arena, &url->params) =
        (DbParam){str_dup(f->arena, str_of(name)), str_dup(f->arena, str_of(value))};
}

static bool
try_connect(Fixture *f, const DbUrl *url, Db **ret)
{
    DbOptions options = {
        .wait = &f->wait, .application_name = "lockstep:run-1", .connect_timeout_ms = 3000};

    error_clear(&f->err);
    return db_connect(f->arena, url, &options, ret, &f->err);
}

static Db *
connect_db(Fixture *f)
{
    DbUrl url = url_of("root", "app");
    Db *db = NULL;

    if (!try_connect(f, &url, &db))
        fail_msg("%s", f->err.message);
    return db;
}

static void
must(Fixture *f, Db *db, const char *sql)
{
    error_clear(&f->err);
    if (!db_exec(db, str_of(sql), &f->err))
        fail_msg("%s: %s", sql, f->err.message);
}

static void
refuse(Fixture *f, Db *db, const char *sql, ErrorClass cls)
{
    error_clear(&f->err);
    assert_false(db_exec(db, str_of(sql), &f->err));
    if (f->err.cls != cls)
        fail_msg("%s: class %d: %s", sql, f->err.cls, f->err.message);
}

static const char *
one(Fixture *f, Db *db, const char *sql)
{
    DbResult row = {0};

    error_clear(&f->err);
    if (!db_query(db, f->arena, str_of(sql), &row, &f->err))
        fail_msg("%s: %s", sql, f->err.message);
    assert_int_equal(row.rows, 1);
    return row.cells[0].p ? str_dup(f->arena, row.cells[0]) : NULL;
}

static int64_t
session_of(Fixture *f, Db *db)
{
    int64_t id = 0;

    assert_true(str_to_i64(str_of(one(f, db, "select connection_id()")), &id));
    return id;
}

/* Another process runs a statement on a connection of its own; killed at the end of the test. */
static pid_t
elsewhere(const char *sql, int hold_s)
{
    pid_t pid = fork();

    if (pid == 0) {
        void *state = NULL;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        alarm(60);
        set_up(&state);
        Fixture *f = state;
        Db *db = connect_db(f);
        (void)!db_exec(db, STR("start transaction"), &f->err);
        (void)!db_exec(db, str_of(sql), &f->err);
        sleep((unsigned)hold_s);
        _exit(0);
    }
    return pid;
}

static void
end(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void
pause_ms(Fixture *f, int64_t ms)
{
    assert_true(wait_sleep(&f->wait, ms, &f->err));
}

/* Until `sql` gives 1; a failed test after forty seconds. */
static void
until(Fixture *f, Db *db, const char *sql)
{
    for (int i = 0; i < 400; i++) {
        if (strcmp(one(f, db, sql), "1") == 0)
            return;
        pause_ms(f, 100);
    }
    fail_msg("never true: %s", sql);
}

/* Another's transaction has read its table. */
#define IS_READ "select count(*) from information_schema.innodb_trx"
/* Its statement stands in the queue. */
#define QUEUES(like)                                                                               \
    "select count(*) from information_schema.processlist where info like '" like "' and state "    \
    "like 'Waiting for table metadata lock%'"

/* ---- tests ---- */

static void
test_connecting(void **state)
{
    Fixture *f = *state;
    Db *db = connect_db(f);
    DbUrl url = url_of("root", "nope");
    int64_t before;

    must(f, db, "create user if not exists app@localhost identified by 'S3cret-pw'");
    must(f, db, "grant all on app.* to app@localhost");
    must(f, db, "create user if not exists app@'127.0.0.1' identified by 'S3cret-pw'");
    assert_string_equal(one(f, db, "select @@character_set_client"), "utf8mb4");
    assert_true(db_alive(db));
    db_close(db);

    assert_false(try_connect(f, &url, &db));
    assert_int_equal(f->err.cls, ERROR_CLASS_NO_DATABASE);
    assert_int_equal(f->err.code, ERROR_UNREACHABLE);
    url = url_of("app", "app");
    url.password = secret_make(f->arena, STR("wrong-pw"));
    assert_false(try_connect(f, &url, &db));
    assert_int_equal(f->err.cls, ERROR_CLASS_LOGIN);
    assert_null(strstr(f->err.message, "wrong-pw"));
    url.password = secret_make(f->arena, STR("S3cret-pw"));
    assert_true(try_connect(f, &url, &db));
    assert_string_equal(one(f, db, "select current_user()"), "app@localhost");
    db_close(db);

    url = url_of("root", "app");
    url.host = server.dir; /* a directory holds the socket under one of its usual names */
    assert_int_equal(symlink(server.socket, "mysqld.sock"), 0);
    assert_true(try_connect(f, &url, &db));
    db_close(db);
    url.host = str_dup(f->arena, STR("/nonexistent/s.sock"));
    assert_false(try_connect(f, &url, &db));
    assert_int_equal(f->err.cls, ERROR_CLASS_CONNECTION);
    url.host = str_dup(f->arena, STR("127.0.0.1"));
    url.port = 1;
    before = clock_ms();
    assert_false(try_connect(f, &url, &db));
    assert_int_equal(f->err.cls, ERROR_CLASS_CONNECTION);
    assert_int_equal(f->err.code, ERROR_UNREACHABLE);
    assert_true(clock_ms() - before < 20000);
    url.port = server.port;
    assert_true(try_connect(f, &url, &db));
    db_close(db);
}

/* It accepts and then says nothing. */
static void
test_silent_server(void **state)
{
    Fixture *f = *state;
    DbUrl url = url_of("root", "app");
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    Db *db = NULL;
    int64_t before = clock_ms();

    assert_int_equal(bind(fd, (struct sockaddr *)&addr, n), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &n), 0);
    url.host = str_dup(f->arena, STR("127.0.0.1"));
    url.port = ntohs(addr.sin_port);
    assert_false(try_connect(f, &url, &db));
    assert_int_equal(f->err.cls, ERROR_CLASS_CONNECTION);
    assert_in_range(clock_ms() - before, 2900, 30000);
    close(fd);
}

static void
test_tls_modes(void **state)
{
    static const struct {
        const char *name, *value;
        bool connects;
        ErrorCode code;
    } rows[] = {
        {"ssl-mode", "DISABLED", true, ERROR_NONE},
        {"ssl-mode", "PREFERRED", true, ERROR_NONE},
        {"sslmode", "prefer", true, ERROR_NONE},
        {"ssl-mode", "REQUIRED", false, ERROR_UNREACHABLE}, /* this server has none */
        {"sslmode", "require", false, ERROR_UNREACHABLE},
        {"ssl-mode", "VERIFY_IDENTITY", false, ERROR_UNREACHABLE},
        {"ssl-mode", "VERIFY_CA", false, ERROR_UNREACHABLE},
        {"ssl-mode", "perhaps", false, ERROR_USAGE},
        {"useSSL", "false", true, ERROR_NONE},
        {"useSSL", "true", false, ERROR_UNREACHABLE},
        {"charset", "utf8", true, ERROR_NONE},
        {"charset", "latin1", false, ERROR_USAGE},
        {"connect_timeout", "2", true, ERROR_NONE},
        {"connect_timeout", "soon", false, ERROR_USAGE},
        {"foreign_key_checks", "perhaps", false, ERROR_USAGE},
    };
    Fixture *f = *state;

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        DbUrl url = url_of("root", "app");
        Db *db = NULL;
        bool ok;

        url.host = str_dup(f->arena, STR("127.0.0.1"));
        url.port = server.port;
        add_param(f, &url, rows[i].name, rows[i].value);
        ok = try_connect(f, &url, &db);
        if (ok != rows[i].connects || f->err.code != rows[i].code)
            fail_msg("%s=%s: %s", rows[i].name, rows[i].value, f->err.message);
        if (!ok && rows[i].code == ERROR_UNREACHABLE)
            assert_int_equal(f->err.cls, ERROR_CLASS_LOGIN);
        if (ok)
            db_close(db);
    }
}

static void
test_results(void **state)
{
    Fixture *f = *state;
    Db *db = connect_db(f);
    DbResult r = {0};
    size_t done = 9;

    must(f, db, "create table t (a int, b text)");
    must(f, db, "insert into t values (1, null), (2, ''), (3, 'drei')");
    assert_int_equal(db_changes(db), 3);
    must(f, db, "update t set a = a"); /* matched, though not changed */
    assert_int_equal(db_changes(db), 3);
    assert_true(db_query(db, f->arena, STR("select a, b from t order by a"), &r, &f->err));
    assert_int_equal(r.rows, 3);
    assert_int_equal(r.cols, 2);
    assert_null(DB_CELL(&r, 0, 1).p);
    assert_int_equal(DB_CELL(&r, 1, 1).n, 0);
    assert_non_null(DB_CELL(&r, 1, 1).p);
    assert_true(str_eq(DB_CELL(&r, 2, 1), STR("drei")));
    must(f, db, "select seq, repeat('x', 1000) from seq_1_to_20000"); /* thrown away */
    refuse(f, db, "select 1; select 2", ERROR_CLASS_SYNTAX);
    assert_int_equal(f->err.sql_offset, 10); /* no several statements in one */
    must(f, db, "create procedure p() begin select 1; select 2, 3; update t set a = 5; end");
    assert_true(db_query(db, f->arena, STR("call p()"), &r, &f->err));
    assert_int_equal(r.cols, 2);
    assert_string_equal(one(f, db, "select sum(a) from t"), "15");
    must(f, db,
         "create procedure q() begin select 1; signal sqlstate '45000' "
         "set message_text = 'no'; end");
    error_clear(&f->err);
    assert_false(db_script(db, STR("call q()"), &done, &f->err));
    assert_int_equal(done, 0);
    assert_string_equal(f->err.message, "no");
    assert_string_equal(one(f, db, "select 'still'"), "still");
    must(f, db, "drop procedure p");
    must(f, db, "drop procedure q");
    must(f, db, "drop table t");
    refuse(f, db, "load data local infile '/etc/hostname' into table t", ERROR_CLASS_OTHER);
    db_close(db);
}

static void
test_error_classes(void **state)
{
    Fixture *f = *state;
    Db *db = connect_db(f);

    must(f, db, "create table t (a int primary key, b int not null)");
    must(f, db, "insert into t values (1, 1)");
    refuse(f, db, "insert into t values (1, 1)", ERROR_CLASS_DUPLICATE);
    refuse(f, db, "insert into t values (2, null)", ERROR_CLASS_NULL_VIOLATION);
    refuse(f, db, "create table t (a int)", ERROR_CLASS_DUPLICATE);
    refuse(f, db, "alter table t add column b int", ERROR_CLASS_DUPLICATE);
    refuse(f, db, "select * from nope", ERROR_CLASS_NO_TABLE);
    refuse(f, db, "drop table nope", ERROR_CLASS_NO_TABLE);
    refuse(f, db, "select 1,\n  2 frm t x", ERROR_CLASS_SYNTAX);
    assert_int_equal(f->err.sql_offset, 18);
    must(f, db, "drop table t");
    db_close(db);
}

static void
test_facts(void **state)
{
    Fixture *f = *state;
    Db *root = connect_db(f), *db = NULL;
    DbUrl url = url_of("app", "app");
    DbFacts facts = {0};

    assert_true(db_facts(root, f->arena, &facts, &f->err));
    assert_string_equal(facts.flavor, "mariadb");
    assert_true(facts.version_num > 100000);
    assert_int_equal(facts.version_major, facts.version_num / 10000);
    assert_string_equal(facts.database, "app");
    assert_string_equal(facts.schema, "app");
    assert_string_equal(facts.user, "root@localhost");
    assert_int_equal(facts.session_id, session_of(f, root));
    assert_false(facts.read_only || facts.standby || facts.pooled);
    assert_false(facts.no_backslash_escapes || facts.ansi_quotes);
    assert_int_equal(strlen(facts.now), strlen("2026-01-02T03:04:05.678Z"));
    /* A read-only server binds whoever lacks the right to write all the same. */
    must(f, root, "set global read_only = 1");
    url.password = secret_make(f->arena, STR("S3cret-pw"));
    assert_true(try_connect(f, &url, &db));
    assert_true(db_facts(db, f->arena, &facts, &f->err));
    assert_true(facts.read_only);
    refuse(f, db, "create table t (a int)", ERROR_CLASS_READ_ONLY);
    assert_true(db_facts(root, f->arena, &facts, &f->err));
    assert_false(facts.read_only);
    must(f, root, "set global read_only = 0");
    must(f, root, "set sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES'");
    assert_true(db_facts(root, f->arena, &facts, &f->err));
    assert_true(facts.no_backslash_escapes && facts.ansi_quotes);
    db_close(db);
    url.database = NULL;
    assert_true(try_connect(f, &url, &db));
    assert_true(db_facts(db, f->arena, &facts, &f->err));
    assert_null(facts.schema);
    assert_false(facts.can_create);
    db_close(db);
    db_close(root);
}

static void
test_quoting(void **state)
{
    static const char hostile[] = "it's \\' \"x\" \\ \0 `end`";
    static const char *const modes[] = {
        "set sql_mode = ''", "set sql_mode = 'NO_BACKSLASH_ESCAPES'", "set sql_mode = 'ANSI'"};
    static const char *const columns[] = {"a", "b`c", NULL};
    Fixture *f = *state;
    Db *db = connect_db(f);
    Str value = {hostile, sizeof(hostile) - 1};
    const char *before;
    char *sql;
    DbResult r = {0};

    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        must(f, db, modes[i]);
        StrBuf b = strbuf_new(f->arena, 1000);
        strbuf_puts(&b, "select ");
        strbuf_add(&b, db_quote_literal(db, f->arena, value));
        assert_true(db_query(db, f->arena, strbuf_str(&b), &r, &f->err));
        assert_true(str_eq(r.cells[0], value));
    }
    assert_true(str_eq(db_quote_literal(db, f->arena, STR_ABSENT), STR("NULL")));
    must(f, db, "create table d (a int, `b``c` text)");
    sql = str_printf(f->arena, "select " STR_FMT " from d",
                     STR_ARG(db_digest_expr(db, f->arena, columns)));
    assert_string_equal(one(f, db, sql), "0.0");
    must(f, db, "insert into d values (1, null), (2, 'y')");
    before = one(f, db, sql);
    must(f, db, "update d set `b``c` = '' where a = 1");
    assert_string_not_equal(before, one(f, db, sql));
    must(f, db, "drop table d");
    db_close(db);
}

static void
test_reset_and_transactions(void **state)
{
    Fixture *f = *state;
    DbUrl url = url_of("root", "app");
    Db *db = NULL;

    add_param(f, &url, "foreign_key_checks", "0");
    assert_true(try_connect(f, &url, &db));
    assert_string_equal(one(f, db, "select @@foreign_key_checks"), "0");
    must(f, db, "create table t (a int)");
    must(f, db, "start transaction");
    assert_true(db_in_transaction(db));
    must(f, db, "insert into t values (1)");
    must(f, db,
         "set foreign_key_checks = 1, sql_mode = 'ANSI', autocommit = 0, "
         "character_set_client = latin1, time_zone = '+05:00', tx_isolation = 'SERIALIZABLE'");
    must(f, db, "use mysql");
    must(f, db, "do get_lock('kept', 0)");
    must(f, db, "lock tables app.t write");
    assert_true(db_reset(db, &f->err));
    assert_false(db_in_transaction(db));
    assert_string_equal(one(f, db, "select database()"), "app");
    assert_string_equal(one(f, db,
                            "select concat_ws(',', @@foreign_key_checks, @@autocommit, "
                            "@@character_set_client, @@time_zone, @@tx_isolation)"),
                        "OFF,ON,utf8mb4,SYSTEM,REPEATABLE-READ");
    assert_null(strstr(one(f, db, "select @@sql_mode"), "ANSI"));
    assert_string_equal(one(f, db, "select is_used_lock('kept') = connection_id()"), "1");
    must(f, db, "begin");
    must(f, db, "insert into t values (2)");
    assert_true(db_reset(db, &f->err));
    assert_string_equal(one(f, db, "select count(*) from t"), "1"); /* LOCK TABLES committed */
    must(f, db, "drop table t");
    db_close(db);
}

static void
test_timeouts(void **state)
{
    Fixture *f = *state;
    Db *db = connect_db(f);
    pid_t holder;
    int64_t before;

    must(f, db, "create table held (a int)");
    assert_true(db_set_timeouts(db, 1, 1500, &f->err));
    assert_string_equal(one(f, db,
                            "select concat_ws(',', @@lock_wait_timeout, "
                            "@@innodb_lock_wait_timeout, @@max_statement_time)"),
                        "1,1,1.500000");
    refuse(f, db, "select sleep(10), benchmark(100000000, md5(1))", ERROR_CLASS_TIMEOUT);
    assert_true(db_set_timeouts(db, 1000, 0, &f->err));
    holder = elsewhere("select * from held", 30);
    until(f, db, IS_READ);
    before = clock_ms();
    refuse(f, db, "alter table held add b int", ERROR_CLASS_LOCK_TIMEOUT);
    assert_in_range(clock_ms() - before, 900, 20000);
    end(holder);
    assert_true(db_set_timeouts(db, 0, 0, &f->err));
    assert_string_equal(one(f, db, "select @@lock_wait_timeout"), "31536000");
    must(f, db, "drop table held");
    db_close(db);
}

typedef struct Ticker {
    int ticks, stop_at;
} Ticker;

static bool
tick(void *ctx, Error *err)
{
    Ticker *t = ctx;

    if (++t->ticks < t->stop_at)
        return true;
    return error_set(err, ERROR_LOCKED, "the lock was lost");
}

/* The statement is killed on the server, and the connection can be used again. */
static void
test_stopped_in_a_statement(void **state)
{
    Fixture *f = *state;
    Db *db = connect_db(f);
    Ticker t = {0, 4};
    int64_t before = clock_ms();

    must(f, db, "create table s (a int)");
    must(f, db, "start transaction");
    must(f, db, "insert into s values (1)");
    f->wait.tick = (WaitTick){.every_ms = 50, .call = tick, .ctx = &t};
    f->wait.next_tick_ms = clock_ms();
    error_clear(&f->err);
    assert_false(db_exec(db, STR("select sleep(30) from s"), &f->err));
    f->wait.tick = (WaitTick){0};
    assert_int_equal(f->err.code, ERROR_LOCKED);
    assert_string_equal(f->err.message, "the lock was lost");
    assert_in_range(clock_ms() - before, 100, 20000);
    assert_true(db_alive(db));
    error_clear(&f->err);
    assert_true(db_reset(db, &f->err));
    assert_string_equal(one(f, db, "select count(*) from s"), "0");
    assert_string_equal(one(f, db,
                            "select count(*) from information_schema.processlist "
                            "where info like 'select sleep(30)%'"),
                        "0");
    /* In the middle of a long answer. */
    t = (Ticker){0, 3};
    f->wait.tick = (WaitTick){.every_ms = 10, .call = tick, .ctx = &t};
    f->wait.next_tick_ms = clock_ms();
    assert_false(db_exec(db, STR("select repeat('x', 1000) from seq_1_to_100000000"), &f->err));
    f->wait.tick = (WaitTick){0};
    assert_int_equal(f->err.code, ERROR_LOCKED);
    error_clear(&f->err);
    assert_string_equal(one(f, db, "select 'usable'"), "usable");
    must(f, db, "drop table s");
    db_close(db);
}

static void
test_killed_connection(void **state)
{
    Fixture *f = *state;
    Db *db = connect_db(f), *other = connect_db(f);
    DbFacts facts = {0};

    assert_true(db_end_session(other, session_of(f, db), &f->err));
    assert_true(db_end_session(other, 999999999, &f->err)); /* gone by itself */
    assert_true(db_cancel_session(other, 999999999, &f->err));
    refuse(f, db, "select 1", ERROR_CLASS_CONNECTION);
    assert_int_equal(f->err.code, ERROR_UNREACHABLE);
    assert_false(db_alive(db));
    refuse(f, db, "select 1", ERROR_CLASS_CONNECTION);
    error_clear(&f->err);
    assert_false(db_facts(db, f->arena, &facts, &f->err));
    assert_false(db_in_transaction(db));
    db_close(db);
    db_close(other);
}

static void
test_create_database(void **state)
{
    Fixture *f = *state;
    DbUrl url = url_of("root", "made `here`");
    DbOptions options = {.wait = &f->wait};
    Db *db = NULL;

    assert_false(try_connect(f, &url, &db));
    assert_int_equal(f->err.cls, ERROR_CLASS_NO_DATABASE);
    error_clear(&f->err);
    assert_true(db_create_database(f->arena, &url, &options, &f->err));
    assert_true(db_create_database(f->arena, &url, &options, &f->err));
    assert_true(try_connect(f, &url, &db));
    assert_true(db_reset(db, &f->err));
    must(f, db, "drop database `made ``here```");
    db_close(db);
    url = url_of("app", "not_mine");
    url.password = secret_make(f->arena, STR("S3cret-pw"));
    assert_false(db_create_database(f->arena, &url, &options, &f->err));
}

/* An ALTER waits behind a reader, and an application waits behind the ALTER. */
static void
test_blockers_and_victims(void **state)
{
    Fixture *f = *state;
    Db *watch = connect_db(f);
    pid_t reader, migrator, application;
    Str who = STR("");
    int64_t id = 0, longest = -1, count = -1;

    must(f, watch, "create table busy (a int)");
    must(f, watch, "insert into busy values (1)");
    reader = elsewhere("select * from busy", 30);
    until(f, watch, IS_READ);
    migrator = elsewhere("alter table busy add b int", 1);
    until(f, watch, QUEUES("alter table busy%"));
    application = elsewhere("select * from busy", 1);
    until(f, watch, QUEUES("select * from busy"));
    pause_ms(f, 1500);
    assert_true(str_to_i64(str_of(one(f, watch,
                                      "select id from information_schema.processlist "
                                      "where info like 'alter table busy%'")),
                           &id));
    assert_true(db_victims(watch, id, &longest, &count, &f->err));
    assert_int_equal(count, 1);
    assert_in_range(longest, 1000, 30000);
    assert_true(db_blockers(watch, f->arena, id, &who, &f->err));
    assert_true(who.n > 0);
    assert_true(str_find_str(who, STR("idle")) < who.n);
    assert_true(str_find_str(who, STR("root")) < who.n);
    assert_true(str_find_str(who, str_of(str_printf(f->arena, "connection %lld", (long long)id))) ==
                who.n);
    assert_true(db_victims(watch, session_of(f, watch), &longest, &count, &f->err));
    end(reader);
    end(application);
    end(migrator);
    must(f, watch, "set lock_wait_timeout = 10");
    must(f, watch, "drop table busy");
    assert_true(db_blockers(watch, f->arena, session_of(f, watch), &who, &f->err));
    assert_int_equal(who.n, 0);
    db_close(watch);
}

static int
start_all(void **state)
{
    void *fixture = NULL;

    (void)state;
    if (!start_server())
        return -1;
    set_up(&fixture);
    Fixture *f = fixture;
    DbUrl url = url_of("root", NULL);
    Db *db = NULL;
    if (!try_connect(f, &url, &db) || !db_exec(db, STR("create database app"), &f->err)) {
        print_error("%s\n", f->err.message);
        return -1;
    }
    db_close(db);
    return tear_down(&fixture);
}

static int
stop_all(void **state)
{
    (void)state;
    stop_server();
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_connecting),
        TEST(test_silent_server),
        TEST(test_tls_modes),
        TEST(test_results),
        TEST(test_error_classes),
        TEST(test_facts),
        TEST(test_quoting),
        TEST(test_reset_and_transactions),
        TEST(test_timeouts),
        TEST(test_stopped_in_a_statement),
        TEST(test_killed_connection),
        TEST(test_create_database),
        TEST(test_blockers_and_victims),
    };

    if (!have_server()) {
        printf("SKIP: mariadbd is not installed\n");
        return 77; /* meson: skipped */
    }
    return cmocka_run_group_tests(tests, start_all, stop_all);
}
