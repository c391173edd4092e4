/* SPDX-License-Identifier: Apache-2.0 */
/* Election on a private PostgreSQL, also through pgbouncer. Without a server this test says SKIP.
 */

#include "postgres_fixture.h"

#include "core/banned.h"

enum { LEASE_MS = 1500, EVICT_MS = 30000 };

static LockSpec
spec_of(LockMode mode, const char *run_id)
{
    return (LockSpec){.mode = mode,
                      .schema = STR("public"),
                      .run_id = run_id,
                      .lease_ms = LEASE_MS,
                      .host = "web-1"};
}

static Lock *
lock_of(Fixture *f, Db *db, LockMode mode, const char *run_id)
{
    LockSpec spec = spec_of(mode, run_id);
    return lock_new(f->arena, db, &spec);
}

static bool
got(Fixture *f, Lock *lock)
{
    bool yes = false;
    error_clear(&f->err);
    if (!lock_try(lock, &yes, &f->err))
        fail_msg("%s", f->err.message);
    return yes;
}

static bool
is_free(Fixture *f, Lock *lock)
{
    bool yes = false;
    if (!lock_is_free(lock, &yes, &f->err))
        fail_msg("%s", f->err.message);
    return yes;
}

static LockView
look(Fixture *f, Lock *lock)
{
    LockView view = {0};
    error_clear(&f->err);
    if (!lock_look(lock, f->arena, &view, &f->err))
        fail_msg("%s", f->err.message);
    return view;
}

/* A leader in a process of its own: control connection, and one that applies and holds a row. */
typedef struct Leader {
    LockMode mode;
    const char *user, *run_id;
} Leader;

static void
lead(Arena *arena, Wait *wait, void *ctx)
{
    const Leader *l = ctx;
    LockSpec spec = spec_of(l->mode, l->run_id);
    Error err = ERROR_INIT;
    Db *control = NULL, *apply = NULL;
    bool yes = false;
    if (!try_open(arena, wait, url_text(l->user, "postgres"), NULL, &control, &err) ||
        !lock_try(lock_new(arena, control, &spec), &yes, &err) || !yes ||
        !try_open(arena, wait, url_text(l->user, "postgres"),
                  str_printf(arena, "lockstep:%s", l->run_id), &apply, &err) ||
        !db_exec(apply, STR("begin; insert into work values (1); select pg_sleep(40)"), &err))
        _exit(1);
}

static pid_t
leader_at_work(Fixture *f, Db *db, LockMode mode, const char *user, const char *run_id)
{
    pid_t pid = elsewhere(f, lead, &(Leader){mode, user, run_id});
    until(f, db,
          text("select count(*) = 1 from pg_stat_activity where application_name = "
               "'lockstep:%s' and query like '%%pg_sleep(40)%%' and state = 'active'",
               run_id));
    return pid;
}

static void
wait_until_lost(Fixture *f, Lock *lock)
{
    for (int i = 0; i < 3000; i++) {
        if (look(f, lock).lost)
            return;
        pause_ms(20);
    }
    fail_msg("the holder is never lost");
}

/* ---- session ---- */

static void
test_session(void **state)
{
    Fixture *f = *state;
    Db *a = open_db(f, NULL), *b = open_db(f, NULL);
    Lock *one_ = lock_of(f, a, LOCK_SESSION, "r1"), *two = lock_of(f, b, LOCK_SESSION, "r2");
    assert_false(look(f, two).held);
    assert_true(is_free(f, two));
    assert_true(got(f, one_));
    assert_false(got(f, two));
    assert_false(is_free(f, two));
    assert_string_equal(one(f, a, "show application_name"), "lockstep:r1");
    assert_string_equal(one(f, b, "show application_name"), "lockstep");
    LockView view = look(f, two);
    assert_true(view.held);
    assert_false(view.ours || view.lost);
    assert_string_equal(view.run_id, "r1");
    assert_int_equal(view.session_id, pid_of(f, a));
    assert_non_null(strstr(view.who, "pid "));
    assert_non_null(strstr(view.who, "lockstep:r1"));
    assert_true(look(f, one_).ours);
    assert_true(lock_beat(one_, "1/2 x", &f->err));
    lock_release(one_, "succeeded", NULL);
    assert_string_equal(one(f, a, "show application_name"), "lockstep");
    assert_true(is_free(f, two));
    assert_true(got(f, two));
    assert_false(got(f, one_));
    db_close(b); /* the server frees it with the session */
    until(f, a, "select count(*) = 0 from pg_locks where locktype = 'advisory'");
    assert_true(got(f, one_));
    db_close(a);
}

static void
test_beat_proves_it(void **state)
{
    Fixture *f = *state;
    Db *a = open_db(f, NULL), *b = open_db(f, NULL);
    Lock *lock = lock_of(f, a, LOCK_SESSION, "r1");
    assert_true(got(f, lock));
    must(f, a, "select pg_advisory_unlock_all()");
    assert_false(lock_beat(lock, NULL, &f->err));
    assert_int_equal(f->err.code, ERROR_LOCKED);
    assert_true(got(f, lock));
    must(f, b, text("select pg_terminate_backend(%lld)", (long long)pid_of(f, a)));
    assert_false(lock_beat(lock, NULL, &f->err));
    assert_int_equal(f->err.cls, ERROR_CLASS_CONNECTION);
    lock_release(lock, "lost", NULL); /* no harm */
    db_close(a);
    db_close(b);
}

/* A follower sleeps until the leader says that it ends. */
static void
test_told_when_free(void **state)
{
    Fixture *f = *state;
    Db *a = open_db(f, NULL), *b = open_db(f, NULL);
    Lock *leader = lock_of(f, a, LOCK_SESSION, "r1"), *follower = lock_of(f, b, LOCK_SESSION, "r2");
    const int64_t forever = 60 * 1000;
    bool told;
    assert_true(got(f, leader));
    /* The first: from here on it listens. */
    assert_true(lock_pause(follower, forever, &told, &f->err) && !told);
    assert_false(is_free(f, follower));
    int64_t began = clock_ms();
    assert_true(db_pause(b, 1, &told, &f->err) && !told); /* nobody says anything */
    lock_release(leader, "succeeded", NULL);
    assert_true(db_pause(b, forever, &told, &f->err) && told);
    assert_true(clock_ms() - began < forever / 2);
    assert_true(is_free(f, follower));
    began = clock_ms();
    must(f, a, text("select pg_terminate_backend(%lld)", (long long)pid_of(f, b)));
    /* The end of the connection wakes it too, and is no news of the lock. */
    assert_true(db_pause(b, forever, &told, &f->err) && !told);
    assert_true(clock_ms() - began < forever / 2);
    bool yes;
    assert_false(lock_is_free(follower, &yes, &f->err));
    assert_int_equal(f->err.cls, ERROR_CLASS_CONNECTION);
    db_close(a);
    db_close(b);
}

/* Polling followers hold it shared for a moment: nobody is taken for the leader because of it. */
static void
test_pollers_are_not_holders(void **state)
{
    Fixture *f = *state;
    Db *a = open_db(f, NULL), *b = open_db(f, NULL);
    must(f, a, text("select pg_advisory_lock_shared(%lld)", (long long)LOCK_KEY));
    Lock *lock = lock_of(f, b, LOCK_SESSION, "r2");
    assert_false(look(f, lock).held);
    assert_true(is_free(f, lock));
    assert_false(got(f, lock));
    db_close(a);
    db_close(b);
}

static void
test_databases_apart(void **state)
{
    Fixture *f = *state;
    Db *a = open_db(f, NULL), *b = NULL;
    must(f, a, "create database second");
    assert_true(try_open(f->arena, &f->wait, url_text("postgres", "second"), NULL, &b, &f->err));
    Lock *here = lock_of(f, a, LOCK_SESSION, "r1"), *there = lock_of(f, b, LOCK_SESSION, "r2");
    assert_true(got(f, here));
    assert_false(look(f, there).held);
    assert_true(got(f, there));
    int64_t ended = -1;
    assert_true(lock_end_leftovers(there, EVICT_MS, &ended, &f->err));
    assert_int_equal(ended, 0);
    assert_true(lock_beat(here, NULL, &f->err));
    db_close(b);
    until(f, a, "select count(*) = 0 from pg_stat_activity where datname = 'second'");
    must(f, a, "drop database second");
    db_close(a);
}

/* A leader that is stopped in the middle of a statement: its sessions end, its work is undone, and
 * what it does when it wakes up fails. */
static void
test_evict_stopped_leader(void **state)
{
    Fixture *f = *state;
    Db *db = open_db(f, NULL);
    Lock *lock = lock_of(f, db, LOCK_SESSION, "r2");
    must(f, db, "create table work (n int)");
    pid_t pid = leader_at_work(f, db, LOCK_SESSION, "postgres", "r1");
    assert_false(got(f, lock));
    kill(pid, SIGSTOP);
    wait_until_lost(f, lock);
    LockView view = look(f, lock);
    assert_in_range(view.silent_ms, LEASE_MS, 30000);
    int64_t began = clock_ms();
    assert_true(lock_evict(lock, &view, EVICT_MS, &f->err));
    assert_true(clock_ms() - began < EVICT_MS);
    assert_string_equal(
        one(f, db, "select count(*) from pg_stat_activity where application_name = 'lockstep:r1'"),
        "0");
    assert_true(got(f, lock));
    assert_string_equal(one(f, db, "select count(*) from work"), "0");
    kill(pid, SIGCONT);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    f->child_count = 0;
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    assert_string_equal(one(f, db, "select count(*) from work"), "0");
    assert_true(lock_beat(lock, NULL, &f->err));
    must(f, db, "drop table work");
    db_close(db);
}

/* Another role may see whose the lock is, but neither how silent nor end it. */
static void
test_evict_needs_the_right(void **state)
{
    Fixture *f = *state;
    Db *db = open_db(f, NULL);
    must(f, db, "create table work (n int); create role lowly login");
    Db *low = open_as(f, "lowly", NULL);
    Lock *lock = lock_of(f, low, LOCK_SESSION, "r2");
    pid_t pid = leader_at_work(f, db, LOCK_SESSION, "postgres", "r1");
    kill(pid, SIGSTOP);
    pause_ms(LEASE_MS + 100);
    LockView view = look(f, lock);
    assert_true(view.held);
    assert_int_equal(view.silent_ms, -1);
    assert_false(view.lost);
    assert_string_equal(view.run_id, "r1");
    assert_false(lock_evict(lock, &view, EVICT_MS, &f->err));
    assert_int_equal(f->err.code, ERROR_LOCKED);
    assert_non_null(strstr(f->err.message, "cannot be ended"));
    assert_non_null(strstr(f->err.hint, "role"));
    db_close(low);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    f->child_count = 0;
    /* Killed: the lock is free, yet its statement goes on in the server until somebody ends it. */
    lock = lock_of(f, db, LOCK_SESSION, "r3");
    for (int i = 0; i < 1000 && !got(f, lock); i++)
        pause_ms(20);
    int64_t ended = -1;
    assert_true(lock_end_leftovers(lock, EVICT_MS, &ended, &f->err));
    assert_in_range(ended, 0, 1); /* client_connection_check_interval may have been quicker */
    assert_string_equal(one(f, db, "select count(*) from work"), "0");
    must(f, db, "drop table work; drop role lowly");
    db_close(db);
}

static void
test_leftovers(void **state)
{
    Fixture *f = *state;
    Db *db = open_db(f, NULL), *ours = open_db(f, "lockstep:r2"), *follower = open_db(f, NULL);
    Lock *lock = lock_of(f, db, LOCK_SESSION, "r2");
    assert_true(got(f, lock));
    run_elsewhere(f, "postgres", "lockstep:r1", "select pg_sleep(40)");
    run_elsewhere(f, "postgres", "lockstep:r0", "select 1");
    run_elsewhere(f, "postgres", "shop", "select pg_sleep(40)");
    until(f, db,
          "select count(*) = 3 from pg_stat_activity where application_name in "
          "('lockstep:r1', 'lockstep:r0', 'shop') and query <> ''");
    int64_t ended = -1;
    assert_true(lock_end_leftovers(lock, EVICT_MS, &ended, &f->err));
    assert_int_equal(ended, 2);
    assert_string_equal(one(f, ours, "select 1"), "1");
    assert_string_equal(one(f, follower, "select 1"), "1");
    assert_string_equal(
        one(f, db, "select count(*) from pg_stat_activity where application_name = 'shop'"), "1");
    assert_true(lock_end_leftovers(lock, EVICT_MS, &ended, &f->err));
    assert_int_equal(ended, 0);
    assert_true(lock_mark_session(lock, ours, &f->err));
    db_close(follower);
    db_close(ours);
    db_close(db);
}

/* ---- lease ---- */

static void
test_lease(void **state)
{
    Fixture *f = *state;
    Db *a = open_db(f, NULL), *b = open_db(f, NULL);
    must(f, a, "create schema \"Odd \"\"one\"");
    LockSpec spec = spec_of(LOCK_LEASE, "r1");
    spec.schema = STR("Odd \"one");
    Lock *first = lock_new(f->arena, a, &spec);
    spec.run_id = "r2";
    spec.host = "web'2";
    Lock *second = lock_new(f->arena, b, &spec);
    assert_false(look(f, second).held); /* no table yet */
    assert_true(is_free(f, second));
    assert_true(got(f, first));
    assert_false(got(f, second));
    assert_false(is_free(f, second));
    LockView view = look(f, second);
    assert_true(view.held);
    assert_false(view.ours || view.lost);
    assert_string_equal(view.run_id, "r1");
    assert_non_null(strstr(view.who, "web-1"));
    assert_true(look(f, first).ours);
    assert_true(lock_beat(first, NULL, &f->err));

    /* It gave a sign of life after it had been looked at: it keeps the lease. */
    assert_true(lock_evict(second, &view, EVICT_MS, &f->err));
    assert_false(got(f, second));
    assert_true(lock_beat(first, NULL, &f->err));

    wait_until_lost(f, second);
    view = look(f, second);
    assert_true(lock_evict(second, &view, EVICT_MS, &f->err));
    assert_true(got(f, second));
    assert_false(lock_beat(first, NULL, &f->err));
    assert_int_equal(f->err.code, ERROR_LOCKED);
    lock_release(first, "failed", "x"); /* not its own any more */
    assert_true(lock_beat(second, NULL, &(Error){.sql_offset = -1}));
    assert_non_null(strstr(look(f, first).who, "web'2"));
    assert_string_equal(one(f, a, "select fence from \"Odd \"\"one\".lockstep_lease"), "2");
    lock_release(second, "succeeded", NULL);
    assert_false(look(f, first).held);
    must(f, a, "drop schema \"Odd \"\"one\" cascade");
    db_close(a);
    db_close(b);
}

typedef struct Racer {
    const char *run_id;
    int to; /* write end of a pipe */
} Racer;

static void
race(Arena *arena, Wait *wait, void *ctx)
{
    const Racer *r = ctx;
    LockSpec spec = spec_of(LOCK_LEASE, r->run_id);
    Error err = ERROR_INIT;
    Db *db = NULL;
    bool yes = false;
    char said = '!';
    if (try_open(arena, wait, url_text("postgres", "postgres"), NULL, &db, &err) &&
        lock_try(lock_new(arena, db, &spec), &yes, &err))
        said = yes ? 'y' : 'n';
    (void)!write(r->to, &said, 1);
}

/* Making the table is itself the commonest race. */
static void
test_lease_race(void **state)
{
    Fixture *f = *state;
    Db *db = open_db(f, NULL);
    for (int round = 0; round < 3; round++) {
        int ends[2], winners = 0;
        must(f, db, "drop table if exists lockstep_lease");
        assert_int_equal(pipe(ends), 0);
        for (int i = 0; i < 8; i++)
            elsewhere(f, race, &(Racer){text("r%d", i), ends[1]});
        for (int i = 0; i < 8; i++) {
            char said = '?';
            assert_int_equal(read(ends[0], &said, 1), 1);
            assert_true(said == 'y' || said == 'n');
            winners += said == 'y';
        }
        assert_int_equal(winners, 1);
        close(ends[0]);
        close(ends[1]);
        for (size_t i = 0; i < f->child_count; i++) {
            kill(f->children[i], SIGKILL);
            waitpid(f->children[i], NULL, 0);
        }
        f->child_count = 0;
    }
    must(f, db, "drop table lockstep_lease");
    db_close(db);
}

static Db *
through_pooler(Fixture *f, const char *options)
{
    Db *db = NULL;
    error_clear(&f->err);
    if (!try_open(
            f->arena, &f->wait,
            text("postgresql://postgres@127.0.0.1:%d/postgres%s", server.pooler_port, options),
            NULL, &db, &f->err))
        fail_msg("%s", f->err.message);
    return db;
}

static void
test_pooler(void **state)
{
    Fixture *f = *state;
    DbFacts facts;
    const char *why = NULL;
    if (!have_pooler())
        skip();
    assert_true(start_pooler());
    Db *a = through_pooler(f, ""), *b = through_pooler(f, "");
    assert_true(db_facts(a, f->arena, &facts, &f->err));
    assert_true(facts.pooled);
    assert_int_equal(lock_choose(a, &facts, &why), LOCK_LEASE);
    assert_non_null(strstr(why, "pooler"));
    Lock *first = lock_of(f, a, LOCK_LEASE, "r1"), *second = lock_of(f, b, LOCK_LEASE, "r2");
    assert_true(got(f, first));
    assert_false(got(f, second));
    assert_true(lock_beat(first, NULL, &f->err));
    wait_until_lost(f, second);
    LockView view = look(f, second);
    assert_true(lock_evict(second, &view, EVICT_MS, &f->err));
    assert_true(got(f, second));
    assert_false(lock_beat(first, NULL, &f->err));
    error_clear(&f->err);
    lock_release(second, "succeeded", NULL);
    must(f, a, "drop table lockstep_lease");
    db_close(a);
    db_close(b);
    Db *none = NULL;
    assert_false(try_open(f->arena, &f->wait,
                          text("postgresql://postgres@127.0.0.1:%d/nobase", server.pooler_port),
                          NULL, &none, &f->err));
    assert_int_equal(f->err.cls, ERROR_CLASS_NO_DATABASE);
    kill(server.pooler, SIGKILL);
    waitpid(server.pooler, NULL, 0);
    server.pooler = 0;
}

/* ---- the rest ---- */

static void
test_choose(void **state)
{
    Fixture *f = *state;
    Db *db = open_db(f, NULL), *lite = NULL;
    DbFacts facts;
    const char *why = NULL;
    assert_true(db_facts(db, f->arena, &facts, &f->err));
    assert_int_equal(lock_choose(db, &facts, &why), LOCK_SESSION);
    facts.flavor = str_dup(f->arena, STR("cockroachdb"));
    assert_int_equal(lock_choose(db, &facts, &why), LOCK_LEASE);
    facts.flavor = str_dup(f->arena, STR("galera"));
    assert_int_equal(lock_choose(db, &facts, &why), LOCK_LEASE);
    assert_true(try_open(f->arena, &f->wait, "sqlite::memory:", NULL, &lite, &f->err));
    assert_true(db_facts(lite, f->arena, &facts, &f->err));
    assert_int_equal(lock_choose(lite, &facts, &why), LOCK_FILE);
    assert_string_equal(lock_mode_name(LOCK_LEASE), "lease");
    db_close(lite);
    db_close(db);
    db = NULL;
    assert_true(try_open(f->arena, &f->wait,
                         text("%s?pgbouncer=true", url_text("postgres", "postgres")), NULL, &db,
                         &f->err));
    assert_true(db_facts(db, f->arena, &facts, &f->err));
    assert_int_equal(lock_choose(db, &facts, &why), LOCK_LEASE);
    db_close(db);
}

static void
test_foreign_and_none(void **state)
{
    Fixture *f = *state;
    Db *a = open_db(f, NULL), *b = open_db(f, NULL);
    ForeignLock foreign = {.key = 72707369, .name = NULL, .tool = "prisma"};
    bool yes = false;
    assert_true(lock_try_foreign(a, &foreign, &yes, &f->err));
    assert_true(yes);
    assert_true(lock_try_foreign(b, &foreign, &yes, &f->err));
    assert_false(yes);
    lock_release_foreign(a, &foreign);
    assert_true(lock_try_foreign(b, &foreign, &yes, &f->err));
    assert_true(yes);
    foreign = (ForeignLock){.name = "only_mysql", .tool = "x"};
    assert_true(lock_try_foreign(a, &foreign, &yes, &f->err));
    assert_true(yes);
    Lock *first = lock_of(f, a, LOCK_NONE, "r1"), *second = lock_of(f, b, LOCK_NONE, "r2");
    int64_t ended = -1;
    assert_true(got(f, first) && got(f, second));
    assert_false(look(f, first).held);
    assert_true(lock_beat(first, NULL, &f->err));
    assert_true(lock_end_leftovers(first, EVICT_MS, &ended, &f->err));
    assert_int_equal(ended, 0);
    lock_release(first, NULL, NULL);
    db_close(a);
    db_close(b);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_session),
        TEST(test_beat_proves_it),
        TEST(test_told_when_free),
        TEST(test_pollers_are_not_holders),
        TEST(test_databases_apart),
        TEST(test_evict_stopped_leader),
        TEST(test_evict_needs_the_right),
        TEST(test_leftovers),
        TEST(test_lease),
        TEST(test_lease_race),
        TEST(test_pooler),
        TEST(test_choose),
        TEST(test_foreign_and_none),
    };
    if (!have_server()) {
        puts("SKIP: there is no PostgreSQL 15 here");
        return 77;
    }
    int failed = start_server() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
    stop_server();
    return failed;
}
