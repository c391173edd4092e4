# SPDX-License-Identifier: Apache-2.0
"""Killed, stopped, cut off at every point: the next run reaches the same schema, each effect once."""

import random
import signal
import time

import pytest
from support import net, scenes, servers
from support.binary import SOAK

LEASE = ("--lease", "3s")
# The lease, the server's own time to roll back, and a machine that does other things.
TAKEOVER = 40
ENGINES = ("sqlite", "postgres", "mysql")


def story(engine):
    """Files of every kind: in a transaction, outside of one, rows, an index that users may use."""
    files = {
        "001_tally.sql": "CREATE TABLE tally (step INTEGER NOT NULL, n INTEGER NOT NULL);\n",
        "002_rows.sql": "INSERT INTO tally VALUES (2, 1);\n",
        "003_more.sql": "CREATE TABLE more (id INTEGER PRIMARY KEY, x VARCHAR(10));\n"
        "INSERT INTO tally VALUES (3, 1);\nALTER TABLE more ADD COLUMN y VARCHAR(10);\n"
        "INSERT INTO tally VALUES (4, 1);\nCREATE INDEX more_x ON more (x);\n",
        "005_last.sql": "INSERT INTO tally VALUES (5, 1);\n",
    }
    if engine == "postgres":
        files["004_index.sql"] = (
            "-- lockstep: no-transaction\nINSERT INTO tally VALUES (6, 1);\n"
            "CREATE INDEX CONCURRENTLY tally_step ON tally (step);\n"
            "INSERT INTO tally VALUES (7, 1);\nDROP INDEX CONCURRENTLY more_x;\n"
        )
    return files


DOWNS = {
    "001_tally.down.sql": "DROP TABLE tally;\n",
    "002_rows.down.sql": "DELETE FROM tally WHERE step = 2;\n",
    "003_more.down.sql": "DELETE FROM tally WHERE step IN (3, 4);\nDROP TABLE more;\n",
    "005_last.down.sql": "DELETE FROM tally WHERE step = 5;\n",
}


def undisturbed(lockstep, fresh, engine):
    """What the story leaves when nothing goes wrong: (state, fault points passed)."""
    lockstep.use(fresh(engine))
    points = lockstep.fault_points("migrate", *LEASE)
    assert points, "the build has no fault points (meson option `faults`)"
    return lockstep.db.state(), points


def whole(lockstep, state):
    """Everything is there, once; nothing is left open; a further run finds nothing to do."""
    db = lockstep.db
    assert db.state() == state
    assert {state for _, state in db.versions()} == {"applied"}
    outcomes = db.outcomes()
    assert "running" not in outcomes, outcomes
    assert "succeeded" in outcomes, outcomes
    assert lockstep.run("migrate", *LEASE).applied() == 0


def each_once(points):
    """[(name, n)]: first and last passing of every point; with LOCKSTEP_SOAK every passing."""
    cells = []
    for name in dict.fromkeys(points):
        count = points.count(name)
        cells += [(name, n) for n in (range(1, count + 1) if SOAK else sorted({1, count}))]
    return cells


def collect(cells, attempt):
    """Goes through all cells, and fails with every cell that failed."""
    failures = []
    for cell in cells:
        try:
            attempt(*cell)
        except AssertionError as error:
            failures.append(f"{':'.join(map(str, cell))}: {error}")
    assert not failures, f"{len(failures)} of {len(cells)} cells:\n" + "\n\n".join(failures)


# -- killed ---------------------------------------------------------------------------------------


@pytest.mark.faults
@pytest.mark.parametrize("engine", ENGINES)
def test_killed_at_every_point(lockstep, fresh, engine):
    lockstep.migrations(story(engine))
    state, points = undisturbed(lockstep, fresh, engine)

    def attempt(name, n):
        lockstep.use(fresh(engine))
        lockstep.run("migrate", *LEASE, fault=f"{name}:{n}:kill", expect=128 + signal.SIGKILL)
        lockstep.run("migrate", *LEASE, timeout=TAKEOVER)
        whole(lockstep, state)

    collect(each_once(points), attempt)


@pytest.mark.faults
@pytest.mark.parametrize("engine", ENGINES)
def test_killed_with_nothing_left_to_do(lockstep, fresh, engine):
    """Twice: behind the last migration, and when that run had just been declared lost. Whoever looks
    next writes down that it succeeded, or no later start would be quick."""
    lockstep.migrations(story(engine))
    state, points = undisturbed(lockstep, fresh, engine)
    lockstep.use(fresh(engine))
    done = points[: points.index("run.ended")]
    for fault in (f"{done[-1]}:{done.count(done[-1])}:kill", "run.taken-over:1:kill"):
        lockstep.run("migrate", *LEASE, fault=fault, expect=128 + signal.SIGKILL, timeout=TAKEOVER)
    assert lockstep.status()["state"] == "current" and lockstep.db.outcomes() == ["lost"]
    lockstep.run("migrate", *LEASE, timeout=TAKEOVER)
    whole(lockstep, state)


@pytest.mark.faults
@pytest.mark.parametrize("engine", ENGINES)
def test_killed_twice(lockstep, fresh, engine):
    """The run that takes over is killed as well, at the point after."""
    lockstep.migrations(story(engine))
    state, points = undisturbed(lockstep, fresh, engine)
    names = list(dict.fromkeys(points))
    pairs = list(zip(names, names[1:]))

    def attempt(first, second):
        lockstep.use(fresh(engine))
        lockstep.run("migrate", *LEASE, fault=f"{first}:1:kill", expect=128 + signal.SIGKILL)
        lockstep.run("migrate", *LEASE, fault=f"{second}:1:kill", expect=None, timeout=TAKEOVER)
        lockstep.run("migrate", *LEASE, timeout=TAKEOVER)
        whole(lockstep, state)

    collect(pairs if SOAK else pairs[::4], attempt)


@pytest.mark.faults
@pytest.mark.parametrize("engine", ENGINES)
def test_rollback_killed_at_every_point(lockstep, fresh, engine):
    lockstep.migrations({**story(engine), **DOWNS})
    if engine == "postgres":
        lockstep.migrations(
            {
                "004_index.down.sql": "DROP INDEX CONCURRENTLY tally_step;\n"
                "DELETE FROM tally WHERE step IN (6, 7);\n"
            }
        )
    lockstep.use(fresh(engine))
    lockstep.run("migrate")
    back = ("rollback", "--to", "001", *LEASE)
    points = lockstep.fault_points(*back)
    state = lockstep.db.state()
    assert state[1] == {"tally": []}

    def attempt(name, n):
        lockstep.use(fresh(engine))
        lockstep.run("migrate")
        lockstep.run(*back, fault=f"{name}:{n}:kill", expect=128 + signal.SIGKILL)
        lockstep.run(*back, timeout=TAKEOVER)
        assert lockstep.db.state() == state
        assert lockstep.db.versions() == [("001", "applied")]
        lockstep.run("migrate", *LEASE, timeout=TAKEOVER)

    collect(each_once(points) if SOAK else [(name, 1) for name in dict.fromkeys(points)], attempt)


@pytest.mark.faults
@pytest.mark.parametrize("engine", ENGINES)
def test_killed_at_any_moment(lockstep, fresh, engine):
    """Ten processes, each killed after a random time, over and over; then one that is left alone."""
    seed = random.randrange(1 << 32)
    dice = random.Random(seed)
    lockstep.migrations(story(engine))
    state, _ = undisturbed(lockstep, fresh, engine)
    lockstep.use(fresh(engine))
    for _ in range(10 if SOAK else 2):
        running = [lockstep.start("migrate", *LEASE) for _ in range(10)]
        for one in running:
            time.sleep(dice.random() * 0.05)
            one.signal(signal.SIGKILL)
        for one in running:
            one.finish(expect=None)
    result = lockstep.run("migrate", *LEASE, timeout=TAKEOVER, expect=None)
    assert result.exit == 0, f"seed {seed}: {result}"
    whole(lockstep, state)


@pytest.mark.parametrize("engine", ["postgres", "mysql"])
def test_killed_while_the_server_works_on(lockstep, fresh, engine):
    """The server does not notice that its client is dead; the successor ends that session first."""
    lockstep.use(fresh(engine))
    sleep = "pg_sleep(25)" if engine == "postgres" else "SLEEP(25)"
    lockstep.migrations(
        {
            "001_t.sql": "CREATE TABLE tally (step INTEGER, n INTEGER);\n",
            "002_s.sql": f"INSERT INTO tally SELECT 2, 1 FROM (SELECT {sleep}) s;\n",
        }
    )
    leader = lockstep.start("migrate", *LEASE)
    net.until(
        lambda: any("25" in (row[-1] or "") for row in lockstep.db.sessions()),
        what="the slow statement",
    )
    leader.signal(signal.SIGKILL)
    leader.finish(expect=128 + signal.SIGKILL)
    lockstep.write("migrations/002_s.sql", "INSERT INTO tally VALUES (2, 1);\n")
    began = time.monotonic()
    lockstep.run("migrate", *LEASE, timeout=TAKEOVER)
    assert time.monotonic() - began < 20, "waited for the orphaned statement"
    assert scenes.tally(lockstep.db) == {2: 1}
    time.sleep(0.5)
    assert scenes.tally(lockstep.db) == {2: 1}
    assert lockstep.db.outcomes() == ["lost", "succeeded"]


# -- stopped --------------------------------------------------------------------------------------


@pytest.mark.faults
@pytest.mark.parametrize("engine", ["postgres", "mysql"])
@pytest.mark.parametrize("lock", ["auto", "lease"])
def test_stopped_leader_is_replaced_and_writes_no_more(lockstep, fresh, engine, lock):
    lockstep.migrations(story(engine))
    state, points = undisturbed(lockstep, fresh, engine)
    words = ("migrate", "--lock", lock, *LEASE)
    names = list(dict.fromkeys(points))

    def attempt(name):
        lockstep.use(fresh(engine))
        old = lockstep.start(*words, fault=f"{name}:1:stop")
        net.until(lambda: not old.alive() or stopped(old), what=f"stopping at {name}")
        assert old.alive(), old.finish(expect=None)
        new = lockstep.run(*words, timeout=TAKEOVER)
        assert lockstep.db.state() == state
        rows = lockstep.db.contents(["lockstep_migrations"])
        old.signal(signal.SIGCONT)
        result = old.finish(timeout=TAKEOVER, expect=None)
        assert lockstep.db.state() == state, "the old leader wrote after it was replaced"
        assert lockstep.db.contents(["lockstep_migrations"]) == rows
        assert result.applied() + new.applied() in (len(story(engine)), len(story(engine)) - 1), (
            result,
            new,
        )
        whole(lockstep, state)

    # Spread over the whole run; the lease takes its three seconds for each.
    count = len(names) if SOAK else 3
    collect([(name,) for name in names[:: max(1, len(names) // count)]], attempt)


def stopped(running):
    with open(f"/proc/{running.pid}/stat", encoding="ascii") as file:
        return file.read().rsplit(")", 1)[1].split()[0] == "T"


def test_stopped_in_a_statement(postgres_app):
    """No fault point: stopped while the server works, woken after another has done the work."""
    postgres_app.migrations(
        {
            "001_t.sql": "CREATE TABLE tally (step INTEGER, n INTEGER);\n",
            "002_s.sql": "INSERT INTO tally SELECT 2, 1 FROM pg_sleep(2);\n",
            "003_s.sql": "INSERT INTO tally VALUES (3, 1);\n",
        }
    )
    old = postgres_app.start("migrate", *LEASE)
    net.until(
        lambda: any("pg_sleep" in row[-1] for row in postgres_app.db.sessions()),
        what="the slow statement",
    )
    old.signal(signal.SIGSTOP)
    postgres_app.run("migrate", *LEASE, timeout=TAKEOVER)
    assert scenes.tally(postgres_app.db) == {2: 1, 3: 1}
    old.signal(signal.SIGCONT)
    old.finish(timeout=TAKEOVER, expect=None)
    assert scenes.tally(postgres_app.db) == {2: 1, 3: 1}
    assert postgres_app.run("migrate").applied() == 0


@pytest.mark.faults
def test_stopped_leader_on_sqlite_is_waited_for(lockstep, fresh):
    """There is no session to end: exit 5, and the leader may go on when it wakes up."""
    lockstep.migrations(story("sqlite"))
    state, points = undisturbed(lockstep, fresh, "sqlite")
    lockstep.use(fresh("sqlite"))
    middle = list(dict.fromkeys(points))[len(set(points)) // 2]
    old = lockstep.start("migrate", *LEASE, fault=f"{middle}:1:stop")
    net.until(lambda: not old.alive() or stopped(old), what="stopping")
    assert old.alive(), old.finish(expect=None)
    lockstep.run("migrate", *LEASE, "--lock-wait", "2s", "--retry-for", "2s", expect=5)
    old.signal(signal.SIGCONT)
    old.finish(timeout=TAKEOVER)
    whole(lockstep, state)


# -- cut off --------------------------------------------------------------------------------------


def through(lockstep, proxy):
    """Points the runner to its database through a proxy."""
    server = lockstep.db.server
    between = proxy(server.port)
    lockstep.env["DATABASE_URL"] = server.url(lockstep.db.name, port=between.port)
    return between


def sleeping(lockstep):
    return any(
        word in (row[-1] or "") for row in lockstep.db.sessions() for word in ("pg_sleep", "SLEEP")
    )


@pytest.mark.parametrize("engine", ["postgres", "mysql"])
def test_connection_cut_in_a_statement(lockstep, fresh, proxy, engine):
    """Tried again by itself, from the election."""
    lockstep.use(fresh(engine))
    sleep = "pg_sleep(3)" if engine == "postgres" else "SLEEP(3)"
    lockstep.migrations(
        {
            "001_t.sql": "CREATE TABLE tally (step INTEGER, n INTEGER);\n",
            "002_s.sql": f"INSERT INTO tally SELECT 2, 1 FROM (SELECT {sleep}) s;\n",
            "003_s.sql": "INSERT INTO tally VALUES (3, 1);\n",
        }
    )
    between = through(lockstep, proxy)
    running = lockstep.start("migrate", *LEASE)
    net.until(lambda: sleeping(lockstep), what="the slow statement")
    between.cut()
    running.finish(timeout=60)
    assert scenes.tally(lockstep.db) == {2: 1, 3: 1}
    assert lockstep.run("migrate").applied() == 0


@pytest.mark.parametrize("engine", ["postgres", "mysql"])
def test_leader_in_a_black_hole(lockstep, fresh, proxy, engine):
    """Its packets go nowhere: another one takes over within the lease, and it writes no more."""
    lockstep.use(fresh(engine))
    sleep = "pg_sleep(6)" if engine == "postgres" else "SLEEP(6)"
    lockstep.migrations(
        {
            "001_t.sql": "CREATE TABLE tally (step INTEGER, n INTEGER);\n",
            "002_s.sql": f"INSERT INTO tally SELECT 2, 1 FROM (SELECT {sleep}) s;\n",
            "003_s.sql": "INSERT INTO tally VALUES (3, 1);\n",
        }
    )
    direct = lockstep.env["DATABASE_URL"]
    between = through(lockstep, proxy)
    old = lockstep.start("migrate", *LEASE)
    net.until(lambda: sleeping(lockstep), what="the slow statement")
    between.freeze()
    began = time.monotonic()
    new = lockstep.run("migrate", *LEASE, env={"DATABASE_URL": direct}, timeout=TAKEOVER)
    assert time.monotonic() - began < 30
    assert new.applied() >= 1
    assert scenes.tally(lockstep.db) == {2: 1, 3: 1}
    between.thaw()
    old.finish(timeout=90, expect=None)
    assert scenes.tally(lockstep.db) == {2: 1, 3: 1}
    assert lockstep.run("migrate").applied() == 0


def test_connection_cut_after_n_bytes(lockstep, fresh, proxy):
    """Cut once at growing distances into the conversation; one run goes on by itself each time."""
    lockstep.migrations(story("postgres"))
    lockstep.use(fresh("postgres"))
    between = through(lockstep, proxy)
    lockstep.run("migrate", *LEASE)
    state, total = lockstep.db.state(), between.passed

    def attempt(distance):
        lockstep.use(fresh("postgres"))
        one = through(lockstep, proxy)
        one.cut_after = distance
        running = lockstep.start("migrate", *LEASE)
        net.until(lambda: one.passed >= distance or not running.alive(), what="the cut")
        one.cut_after = None
        running.finish(timeout=60)
        whole(lockstep, state)
        one.close()

    steps = 40 if SOAK else 8
    collect([(total * number // (steps + 1),) for number in range(1, steps + 1)], attempt)


# -- the server goes away -------------------------------------------------------------------------


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_postgres_restarted_in_a_statement(root, lockstep, how):
    server = servers.Postgres(root / f"restart-{how}")
    try:
        from support.databases import PostgresDatabase

        lockstep.use(PostgresDatabase(server))
        lockstep.migrations(
            {
                "001_t.sql": "CREATE TABLE tally (step INTEGER, n INTEGER);\n",
                "002_s.sql": "INSERT INTO tally SELECT 2, 1 FROM pg_sleep(2);\n",
                "003_s.sql": "INSERT INTO tally VALUES (3, 1);\n",
            }
        )
        running = lockstep.start("migrate", *LEASE)
        net.until(lambda: sleeping(lockstep), what="the slow statement")
        server.stop(how)
        time.sleep(1)
        server.start()
        running.finish(timeout=60)
        assert scenes.tally(lockstep.db) == {2: 1, 3: 1}
        assert lockstep.run("migrate").applied() == 0
    finally:
        server.stop()


def test_mariadb_killed_in_a_statement(root, lockstep):
    server = servers.MariaDB(root / "my-restart")
    try:
        from support.databases import MysqlDatabase

        lockstep.use(MysqlDatabase(server))
        lockstep.migrations(
            {
                "001_t.sql": "CREATE TABLE tally (step INTEGER, n INTEGER);\n",
                "002_s.sql": "INSERT INTO tally SELECT 2, 1 FROM (SELECT SLEEP(2)) s;\n",
                "003_s.sql": "INSERT INTO tally VALUES (3, 1);\n",
            }
        )
        running = lockstep.start("migrate", *LEASE)
        net.until(lambda: sleeping(lockstep), what="the slow statement")
        server.process.kill()
        server.process.wait()
        time.sleep(1)
        server.start()
        running.finish(timeout=90)
        assert scenes.tally(lockstep.db) == {2: 1, 3: 1}
    finally:
        server.stop()
