/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A private PostgreSQL (and pgbouncer) that a test starts in a directory of its own and ends again.
 * As root the servers run as the user postgres, for they refuse root.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/fs.h"
#include "db/lock.h"

#define PG_BIN    "/usr/lib/postgresql/15/bin/"
#define PGBOUNCER "/usr/sbin/pgbouncer"

typedef struct Server {
    Arena *arena;
    char dir[64];
    int port, pooler_port;
    pid_t pid, pooler;
} Server;

static Server server;

typedef struct Fixture {
    Arena *arena;
    Wait wait;
    Error err;
    pid_t children[8];
    size_t child_count;
} Fixture;

static inline bool
have_server(void)
{
    return access(PG_BIN "initdb", X_OK) == 0;
}

static inline bool
have_pooler(void)
{
    return access(PGBOUNCER, X_OK) == 0;
}

static inline void
pause_ms(int64_t ms)
{
    Wait wait = wait_init();
    Error err = ERROR_INIT;
    (void)!wait_sleep(&wait, ms, &err);
}

static inline void
become_postgres(void)
{
    const struct passwd *who = geteuid() == 0 ? getpwnam("postgres") : NULL;
    if (who &&
        (initgroups(who->pw_name, who->pw_gid) || setgid(who->pw_gid) || setuid(who->pw_uid)))
        _exit(126);
}

static inline pid_t
start(const char *const *argv)
{
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        become_postgres();
        int log = open("server.log", O_CREAT | O_APPEND | O_WRONLY, 0600);
        dup2(log, 1);
        dup2(log, 2);
        execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    return pid;
}

static inline bool
run(const char *const *argv)
{
    int status = -1;
    return waitpid(start(argv), &status, 0) > 0 && status == 0;
}

static inline int
free_port(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool ok = bind(fd, (struct sockaddr *)&addr, n) == 0 &&
              getsockname(fd, (struct sockaddr *)&addr, &n) == 0;
    close(fd);
    return ok ? ntohs(addr.sin_port) : 0;
}

static inline const char *
text(const char *fmt, ...)
{
    char buf[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(buf, sizeof buf, fmt, ap);
    va_end(ap);
    return str_dup(server.arena, str_of(buf));
}

static inline const char *
url_text(const char *user, const char *database)
{
    return text("postgresql://%s@127.0.0.1:%d/%s", user, server.port, database);
}

static inline bool
try_open(Arena *arena, Wait *wait, const char *url_text_, const char *name, Db **ret, Error *err)
{
    DbUrl url;
    DbOptions options = {.wait = wait, .application_name = name, .connect_timeout_ms = 20000};
    return dburl_parse(arena, str_of(url_text_), &url, err) &&
           db_connect(arena, &url, &options, ret, err);
}

static inline bool
answers(const char *url)
{
    SCRATCH_ARENA(arena);
    Wait wait = wait_init();
    for (int i = 0; i < 1000; i++) {
        Error err = ERROR_INIT;
        Db *db = NULL;
        if (try_open(arena, &wait, url, NULL, &db, &err)) {
            db_close(db);
            return true;
        }
        pause_ms(50);
    }
    return false;
}

static inline bool
start_server(void)
{
    server.arena = arena_new();
    snprintf(server.dir, sizeof server.dir, "/tmp/lockstep-pg-XXXXXX");
    if (!mkdtemp(server.dir) || chdir(server.dir) != 0)
        return false;
    const struct passwd *who = geteuid() == 0 ? getpwnam("postgres") : NULL;
    if (who && chown(server.dir, who->pw_uid, who->pw_gid) != 0)
        return false;
    server.port = free_port();
    if (!run((const char *const[]){PG_BIN "initdb", "-D", text("%s/data", server.dir), "-A",
                                   "trust", "-U", "postgres", "-N", "--locale=C.UTF-8", NULL}))
        return false;
    server.pid =
        start((const char *const[]){PG_BIN "postgres", "-D", text("%s/data", server.dir), "-k",
                                    server.dir, "-p", text("%d", server.port), "-h", "127.0.0.1",
                                    "-F", "-c", "max_prepared_transactions=2", NULL});
    return answers(url_text("postgres", "postgres"));
}

/* pool_mode=transaction with two server connections: a session lock taken through it holds for
 * nobody. */
static inline bool
start_pooler(void)
{
    Error err = ERROR_INIT;
    server.pooler_port = free_port();
    const char *ini = text("[databases]\n* = host=127.0.0.1 port=%d user=postgres\n"
                           "[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %d\n"
                           "unix_socket_dir =\nauth_type = any\npool_mode = transaction\n"
                           "default_pool_size = 2\n",
                           server.port, server.pooler_port);
    const char *path = text("%s/pooler.ini", server.dir);
    if (!fs_write_atomic(path, str_of(ini), 0644, &err))
        return false;
    server.pooler = start((const char *const[]){PGBOUNCER, path, NULL});
    return answers(text("postgresql://postgres@127.0.0.1:%d/postgres", server.pooler_port));
}

static inline void
stop_server(void)
{
    pid_t pids[] = {server.pooler, server.pid};
    for (size_t i = 0; i < COUNT_OF(pids); i++) {
        if (pids[i] > 0) {
            kill(pids[i], i == 0 ? SIGKILL : SIGQUIT);
            waitpid(pids[i], NULL, 0);
        }
    }
    if (server.dir[0] && chdir("/") == 0)
        (void)!run((const char *const[]){"/bin/rm", "-rf", server.dir, NULL});
    arena_free(server.arena);
}

/* ---- one test ---- */

static inline int
fixture_setup(void **state)
{
    Arena *arena = arena_new();
    Fixture *f = arena_make(arena, Fixture);
    f->arena = arena;
    f->wait = wait_init();
    f->err = ERROR_INIT;
    *state = f;
    return 0;
}

static inline int
fixture_teardown(void **state)
{
    Fixture *f = *state;
    for (size_t i = 0; i < f->child_count; i++) {
        kill(f->children[i], SIGKILL);
        waitpid(f->children[i], NULL, 0);
    }
    arena_free(f->arena);
    return 0;
}

static inline Db *
open_as(Fixture *f, const char *user, const char *name)
{
    Db *db = NULL;
    error_clear(&f->err);
    if (!try_open(f->arena, &f->wait, url_text(user, "postgres"), name, &db, &f->err))
        fail_msg("%s", f->err.message);
    return db;
}

static inline Db *
open_db(Fixture *f, const char *name)
{
    return open_as(f, "postgres", name);
}

static inline void
must(Fixture *f, Db *db, const char *sql)
{
    error_clear(&f->err);
    if (!db_exec(db, str_of(sql), &f->err))
        fail_msg("%s: %s", sql, f->err.message);
}

static inline void
refuse(Fixture *f, Db *db, const char *sql, ErrorClass cls)
{
    error_clear(&f->err);
    assert_false(db_exec(db, str_of(sql), &f->err));
    if (f->err.cls != cls)
        fail_msg("%s: class %d: %s", sql, f->err.cls, f->err.message);
}

static inline const char *
one(Fixture *f, Db *db, const char *sql)
{
    DbResult r = {0};
    error_clear(&f->err);
    if (!db_query(db, f->arena, str_of(sql), &r, &f->err))
        fail_msg("%s: %s", sql, f->err.message);
    assert_int_equal(r.rows, 1);
    return r.cells[0].p ? str_dup(f->arena, r.cells[0]) : NULL;
}

static inline int64_t
pid_of(Fixture *f, Db *db)
{
    int64_t pid = 0;
    assert_true(str_to_i64(str_of(one(f, db, "select pg_backend_pid()")), &pid));
    return pid;
}

/* Another process (a client of its own) runs `body`, then sleeps until it is killed. */
static inline pid_t
elsewhere(Fixture *f, void (*body)(Arena *arena, Wait *wait, void *ctx), void *ctx)
{
    assert_true(f->child_count < COUNT_OF(f->children));
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        alarm(60);
        Wait wait = wait_init();
        body(arena_new(), &wait, ctx);
        for (;;)
            pause();
    }
    f->children[f->child_count++] = pid;
    return pid;
}

typedef struct Words {
    const char *user, *name, *sql;
} Words;

static inline void
run_words(Arena *arena, Wait *wait, void *ctx)
{
    const Words *words = ctx;
    Error err = ERROR_INIT;
    Db *db = NULL;
    if (!try_open(arena, wait, url_text(words->user, "postgres"), words->name, &db, &err) ||
        !db_exec(db, str_of(words->sql), &err))
        _exit(1);
}

static inline pid_t
run_elsewhere(Fixture *f, const char *user, const char *name, const char *sql)
{
    return elsewhere(f, run_words, &(Words){user, name, sql});
}

/* Asks `sql` on `db` until it gives "t"; a failed test after forty seconds. */
static inline void
until(Fixture *f, Db *db, const char *sql)
{
    for (int i = 0; i < 2000; i++) {
        const char *cell = one(f, db, sql);
        if (cell && strcmp(cell, "t") == 0)
            return;
        pause_ms(20);
    }
    fail_msg("never true: %s", sql);
}
