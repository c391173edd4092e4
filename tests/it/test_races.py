# SPDX-License-Identifier: Apache-2.0
"""Many processes at the same moment: one applies, all end well, no effect is there twice."""

import os
import signal
import threading
import time

import pytest
from support import net, scenes
from support.binary import SOAK

COUNTS = [2, 10, 50]
ROUNDS = 20 if SOAK else 3


def ended_well(app, results):
    bad = [result for result in results if result.exit != 0]
    assert not bad, f"{len(bad)} of {len(results)} failed: {bad[0]}"
    assert scenes.tally(app.db) == scenes.once()
    outcomes = app.db.outcomes()
    assert outcomes.count("succeeded") == 1, outcomes
    assert not {"failed", "lost", "running"} & set(outcomes), outcomes


class Sessions(threading.Thread):
    """The greatest number of sessions that one lockstep process had at one time."""

    def __init__(self, db):
        super().__init__(daemon=True)
        self.db, self.most, self.total, self.done = db, {}, 0, False

    def run(self):
        connection = self.db.server.connect()
        with connection.cursor() as cursor:
            while not self.done:
                cursor.execute(
                    "SELECT application_name, count(*) FROM pg_stat_activity WHERE datname = %s"
                    " AND usename = 'app' GROUP BY 1",
                    (self.db.name,),
                )
                rows = cursor.fetchall()
                self.total = max(self.total, sum(count for _, count in rows))
                for name, count in rows:
                    self.most[name] = max(self.most.get(name, 0), count)
                time.sleep(0.01)
        connection.close()


@pytest.mark.parametrize("count", COUNTS)
def test_fresh_database(app, count):
    for _ in range(ROUNDS):
        app.migrations(scenes.counting(app.db.engine))
        results = app.together(count, "migrate")
        ended_well(app, results)
        assert sum(result.applied() for result in results) == len(
            list((app.dir / "migrations").iterdir())
        )
        if ROUNDS > 1:
            for table in app.db.tables():
                app.db.execute(f"DROP TABLE {app.db.quoted(table)}")


def test_connections(postgres_app):
    """At most two for a leader, one for a follower."""
    postgres_app.migrations(
        {**scenes.counting("postgres"), "009_slow.sql": "SELECT pg_sleep(2);\n"}
    )
    watch = Sessions(postgres_app.db)
    watch.start()
    results = postgres_app.together(10, "migrate")
    watch.done = True
    watch.join()
    ended_well(postgres_app, results)
    named = {name: most for name, most in watch.most.items() if name.startswith("lockstep:")}
    assert named and max(named.values()) <= 2, watch.most
    assert watch.total <= 11, (watch.total, watch.most)


@pytest.mark.parametrize("count", COUNTS[:2])
def test_become_the_service(app, count):
    app.migrations(scenes.counting(app.db.engine))
    results = app.together(count, "run", "--", "echo", "served")
    ended_well(app, results)
    assert all(result.out == "served\n" for result in results)


@pytest.mark.parametrize("count", [10, 50])
def test_one_small_migration_pending(app, count):
    app.migrations(scenes.counting(app.db.engine))
    app.run("migrate")
    app.migrations({"900_last.sql": "INSERT INTO tally VALUES (900, 1);\n"})
    results = app.together(count, "run", "--", "true")
    assert [result.exit for result in results] == [0] * count, next(
        result for result in results if result.exit
    )
    assert scenes.tally(app.db)[900] == 1


@pytest.mark.parametrize("count", [4, 50])
def test_index_concurrently_with_many_waiting(postgres_app, count):
    """It waits for every snapshot in the database: no follower may hold one."""
    postgres_app.migrations(
        {
            "001_t.sql": "CREATE TABLE t (id integer);\nINSERT INTO t SELECT generate_series(1, 1000);\n",
            "002_wait.sql": "SELECT pg_sleep(1);\n",
            "003_i.sql": "CREATE INDEX CONCURRENTLY t_id ON t (id);\n",
            "004_j.sql": "CREATE INDEX CONCURRENTLY t_id2 ON t (id);\nSELECT pg_sleep(0.5);\n",
        }
    )
    results = postgres_app.together(count, "migrate")
    assert {result.exit for result in results} == {0}, results[0]
    assert [row[2] for row in postgres_app.db.shape()[1]] == [True, True]
    assert sum(result.applied() for result in results) == 4


def behind_one(app, count, *words, env=None):
    """As `together`, but nobody is late: the first stands still until all others wait for it.
    `env` is the others'."""
    leader = app.start(*words)
    leader.says("Migration started")
    leader.signal(signal.SIGSTOP)
    others = [app.start(*words, env=env) for _ in range(count - 1)]
    for one in others:
        one.says("waiting: another process migrates")
    leader.signal(signal.SIGCONT)
    return [one.finish(timeout=120, expect=None) for one in [leader, *others]]


@pytest.mark.parametrize("count", [2, 10])
def test_followers_share_the_failure(app, count):
    app.migrations(
        {
            **scenes.counting(app.db.engine, 2),
            "008_slow.sql": scenes.slow(app.db.engine, 2),
            "009_broken.sql": scenes.broken(app.db.engine),
        }
    )
    results = behind_one(app, count, "migrate")
    assert [result.exit for result in results] == [1] * count, results[0]
    assert all("no_such_table" in result.err for result in results)
    assert app.db.outcomes().count("failed") == 1, "each tried again"
    assert sum("Migration started" in result.err for result in results) == 1


def test_followers_continue_when_told_to(app):
    app.migrations(
        {
            "001_slow.sql": scenes.slow(app.db.engine, 1.5),
            "002_broken.sql": scenes.broken(app.db.engine),
        }
    )
    words = ("run", "--on-failure", "continue", "--", "echo", "served")
    results = behind_one(app, 5, *words)
    assert [result.out for result in results] == ["served\n"] * 5
    assert app.db.outcomes().count("failed") == 1


def test_failure_is_tried_again_by_a_later_start(app):
    app.migrations({"001_broken.sql": scenes.broken(app.db.engine)})
    app.run("migrate", expect=1)
    app.run("migrate", expect=1)
    assert app.db.outcomes() == ["failed", "failed"]


def test_newer_and_older_image_at_once(app):
    """A rolling deploy: some have three files, some five; everything is there in the end, once."""
    files = scenes.counting(app.db.engine)
    names = sorted(files)
    old = app.dir / "old"
    app.migrations({name: files[name] for name in names[:3]}, "old/migrations")
    app.migrations(files)
    running = [app.start("migrate", cwd=old if number % 2 else None) for number in range(8)]
    for one in running:
        one.finish(timeout=120)
    assert scenes.tally(app.db) == scenes.once()


def touched(folder):
    """Other times: nothing was recorded about these files, so that they are looked at."""
    for path in folder.iterdir():
        os.utime(path, (1, 1))


def test_older_image_starts_beside_a_newer_ones_migration(app):
    """It has nothing to wait for: the leader is at files that it does not know."""
    files = scenes.counting(app.db.engine, 2)
    app.migrations(files, "old/migrations")
    app.run("migrate", cwd=app.dir / "old")
    touched(app.dir / "old/migrations")
    app.migrations({**files, "009_slow.sql": scenes.slow(app.db.engine, 30)})
    leader = app.start("migrate")
    net.until(lambda: app.db.outcomes().count("running") == 1, what="the leader")
    assert app.run("run", "--", "echo", "served", cwd=app.dir / "old").out == "served\n"
    assert leader.alive()
    leader.signal(signal.SIGTERM)
    leader.finish(expect=128 + signal.SIGTERM)


def test_lock_of_somebody_who_says_nothing(postgres_app):
    app = postgres_app
    app.migrations(scenes.counting("postgres", 2))
    app.run("migrate")
    touched(app.dir / "migrations")
    holder = app.db.as_app()
    with holder.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(7813573191660758384)")
    assert app.run("run", "--", "echo", "served").out == "served\n"
    app.migrations({"009_more.sql": "CREATE TABLE more (id integer);\n"})
    result = app.run("migrate", "--lock-wait", "1s", expect=5)
    assert "the lock was not obtained" in result.err
    holder.close()
    assert app.run("migrate").applied() == 1


def test_pooler_in_transaction_mode(postgres_app, pgbouncer):
    """Session locks do not hold there; the lease row does."""
    url = postgres_app.db.server.url(postgres_app.db.name, port=pgbouncer.port)
    postgres_app.env["DATABASE_URL"] = url
    postgres_app.migrations(
        {**scenes.counting("postgres"), "000_slow.sql": "SELECT pg_sleep(1);\n"}
    )
    results = postgres_app.together(10, "migrate")
    ended_well(postgres_app, results)
    assert postgres_app.run("migrate").applied() == 0


@pytest.mark.parametrize("lock", ["session", "lease"])
def test_named_lock(app, lock):
    if app.db.engine == "sqlite":
        lock = "file"
    app.migrations(scenes.counting(app.db.engine))
    results = app.together(8, "migrate", "--lock", lock)
    ended_well(app, results)


def test_pooled_and_direct_at_once(postgres_app, pgbouncer):
    """Half of the replicas come through the pooler, half do not: still one leader."""
    postgres_app.migrations(
        {**scenes.counting("postgres"), "000_slow.sql": "SELECT pg_sleep(1);\n"}
    )
    pooled = postgres_app.db.server.url(postgres_app.db.name, port=pgbouncer.port)
    running = [
        postgres_app.start("migrate", env={"DATABASE_URL": pooled} if number % 2 else None)
        for number in range(8)
    ]
    ended_well(postgres_app, [one.finish(timeout=120, expect=None) for one in running])


def test_file_lock_on_a_server_is_refused_beside_a_leader(postgres_app):
    """Wrong usage stays wrong while somebody else migrates the same files."""
    postgres_app.migrations({"001_slow.sql": "SELECT pg_sleep(2);\n"})
    leader = postgres_app.start("migrate")
    net.until(lambda: postgres_app.db.exists("lockstep_runs"), what="a leader")
    refused = postgres_app.run("migrate", "--lock", "file", expect=2)
    assert "--lock file is for SQLite" in refused.err, refused
    leader.finish()


def test_pooled_follower_of_a_direct_leader(postgres_app, pgbouncer):
    """It does not ask the server to be told: what a pooler's connection is told is nobody's, and the
    pooler closes it for that."""
    postgres_app.migrations({"001_slow.sql": "SELECT pg_sleep(2);\n"})
    pooled = postgres_app.db.server.url(postgres_app.db.name, port=pgbouncer.port)
    before = pgbouncer.log.stat().st_size
    results = behind_one(postgres_app, 4, "migrate", env={"DATABASE_URL": pooled})
    assert [(result.exit, result.applied()) for result in results] == [(0, 1)] + [(0, 0)] * 3
    said = pgbouncer.log.read_text(encoding="utf-8")[before:]
    assert "got packet" not in said and "WARNING" not in said, said


def test_wait_and_status_beside_a_migration(app):
    app.migrations(
        {**scenes.counting(app.db.engine), "009_slow.sql": scenes.slow(app.db.engine, 3)}
    )
    leader = app.start("migrate")
    net.until(lambda: app.db.exists("lockstep_runs"), what="a leader")
    waiting = app.start("wait", "--for", "schema", "--wait", "60s")
    for words in (("status",), ("plan",), ("history",)):
        app.run(*words, timeout=10 if app.db.engine != "sqlite" else 60)
    leader.finish()
    waiting.finish()


def test_baseline_and_rollback_take_the_lock(app):
    app.migrations({"001_slow.sql": scenes.slow(app.db.engine, 4), "001_slow.down.sql": ""})
    leader = app.start("migrate")
    net.until(lambda: app.db.exists("lockstep_runs"), what="a leader")
    for words in (("rollback",), ("baseline", "001")):
        app.run(*words, "--lock-wait", "300ms", expect=5)
    leader.finish()
