# SPDX-License-Identifier: Apache-2.0
"""lockstep around other people's real migration tools, with nothing configured.

`make test` runs each tool on one database, and races and kills of the four that stand for their
runtimes; LOCKSTEP_SOAK=1 runs all of it on every database that a tool works with.
"""

import pathlib
import signal

import pytest
from support import net, secrets, tools
from support.binary import SOAK

WRONG_PASSWORD = secrets.register("not-the-p4ssword")


def matrix(wanted=lambda tool: True):
    """Tools that `wanted` says yes to; without SOAK on their first database only."""
    return pytest.mark.parametrize(
        "kind",
        [
            pytest.param((tool, engine), id=f"{tool.name}-{engine}")
            for tool in tools.CASES
            if wanted(tool)
            for engine in (tool.engines if SOAK else tool.engines[:1])
        ],
    )


def chosen(tool):
    return tool.chosen or SOAK


@pytest.fixture
def project(kind, request, lockstep):
    tool, engine = kind
    why = tool.missing(engine)
    if why:
        pytest.skip(why)
    one = tools.Project(tool, lockstep, request.getfixturevalue(engine))
    yield one
    one.close()


@pytest.fixture(scope="session")
def references():
    """What a tool makes by itself, and which programs start for it: {(tool, engine): ...}."""
    return {}


@pytest.fixture
def reference(project, references, fresh):
    """(what the tool makes of three migrations by itself, the programs that are started for it)"""
    key = project.tool.name, project.db.engine
    if key not in references:
        ours, project.db = project.db, fresh(project.db.engine)
        project.own()
        itself = made(project), project.starts()
        references[key] = itself[0], list(project.tool.starts) or itself[1]
        project.db = ours
    return references[key]


def made(project):
    return project.contents(), project.db.shape()


# -- finding it -------------------------------------------------------------------------------------


@matrix()
def test_detect(project):
    tool = project.tool
    found = project.runner.run("detect", "--json").json()
    assert found["tool"] == tool.detected, found
    assert found["evidence"], found
    for path in found["evidence"]:
        assert (project.runner.dir / path.split(":")[0].split(" ")[0]).exists(), found
    program, *words = found["command"]
    wanted, *others = tool.command
    assert pathlib.PurePath(program).name == pathlib.PurePath(wanted).name, found
    assert words[: len(others)] == others, found
    assert found["database_from"].split(",")[0] == tool.database_from, found
    assert found["database"], found
    assert not project.starts(), "detection starts nothing"


@matrix(lambda tool: tool.command[0].startswith(tools.NODE) and not tool.sql)
def test_not_installed(project):
    """A project whose tool is a development dependency that the image lacks is no empty image."""
    project.without_programs()
    result = project.runner.run("migrate", expect=2)
    assert "not installed" in result.err, result
    assert not project.starts()


@matrix(lambda tool: tool.sql)
def test_without_its_program(project, reference):
    """lockstep applies its SQL files itself; afterwards the tool finds its table as it left it."""
    project.without_programs()
    first = project.runner.run("migrate")
    assert made(project) == reference[0], first
    assert not project.starts()
    rows = project.versions()
    project.with_programs()
    project.own()
    assert project.versions() == rows, "the tool applied something again"
    project.starts()
    project.add("new")
    project.runner.run("migrate", "--tool", "sql")
    assert not project.starts()
    assert "age" in project.contents()[0]["users"]
    project.own()
    assert project.versions() == rows + 1


# -- applying ---------------------------------------------------------------------------------------


@matrix()
def test_life(project, reference):
    """First deploy, restart, new migration, restart, then an image built before that migration."""
    run, tool, native = project.runner.run, project.tool, project.tool.native
    makes, starts = reference

    first = run("migrate")
    assert made(project) == makes, f"not what the tool makes by itself: {first}"
    assert project.starts() == starts, f"started more than the tool: {first}"

    for words in (("migrate",), ("run", "--", "echo", "served")):
        again = run(*words)
        if native:
            assert not project.starts(), f"nothing is pending, and yet it was started: {again}"
    assert again.out.endswith("served\n"), again
    if native:
        assert project.runner.status()["state"] == "current"
    (*_, ran) = run("history", "--json").json()["runs"]
    assert not ran["from_version"], ran

    project.add("new")
    project.starts()
    if native:
        state = project.runner.status()
        assert state["state"] == "pending", state
        assert not tool.listed or len(state["pending"]) == 1, state
    third = run("run", "--", "echo", "served")
    assert third.out.endswith("served\n"), third
    assert "age" in project.contents()[0]["users"], third
    assert project.starts() == starts, third
    newer = made(project)

    project.take("new")
    older = run("run", "--", "echo", "served")
    assert older.out.endswith("served\n"), older
    assert made(project) == newer, older
    if tool.listed:
        assert not project.starts(), f"the database is newer than the image: {older}"
        assert project.runner.status()["state"] == "ahead"


@matrix()
def test_failing(project):
    project.add("broken")
    failed = project.runner.run("migrate", expect=1)
    assert "Migration failed" in failed.err, failed
    assert project.starts(), failed
    stopped = project.runner.run("run", "--", "echo", "served", expect=1)
    assert "served" not in stopped.out, stopped
    going_on = project.runner.run("run", "--on-failure", "continue", "--", "echo", "served")
    assert "served" in going_on.out and "Migration failed" in going_on.err, going_on
    if project.tool.native:
        assert project.runner.status()["state"] in ("failed", "pending", "empty")
    # Mended, it goes on.
    project.take("broken")
    if project.tool.repair:
        project.runner.run("repair", "--yes")
    project.runner.run("migrate")
    assert project.contents()[1] == ["first"]


@matrix()
def test_wrong_url(project):
    """No server, and a wrong password: exit 4, the tool is not started."""
    project.runner.env["LOCKSTEP_WAIT"] = "0"
    for name, value in wrong(project):
        result = project.runner.run("migrate", env={name: value}, expect=4)
        assert not project.starts(), result
    going_on = project.runner.run(
        "run", "--on-failure", "continue", "--", "echo", "served", env={name: value}
    )
    assert going_on.out == "served\n", going_on


def wrong(project):
    """(variable, value): where nothing listens; and, with a server, a password that is not it."""
    tool, db = project.tool, project.db
    if db.engine == "sqlite":
        return [("DATABASE_URL", "sqlite:////nowhere/at/all/app.db")]
    if tool.database_from == "PGHOST":
        return [("PGPORT", str(net.free_port())), ("PGPASSWORD", WRONG_PASSWORD)]
    query = "?sslmode=disable" if "sslmode" in project.runner.env["DATABASE_URL"] else ""
    closed = db.server.url(db.name, port=net.free_port(), query=query)
    refused = db.server.url(db.name, password=WRONG_PASSWORD, query=query)
    return [("DATABASE_URL", closed), ("DATABASE_URL", refused)]


def test_a_script_that_nothing_can_be_read_of(lockstep, postgres):
    """Each start runs it; who waits for the schema, or asks, is told by what was recorded."""
    project = tools.Project(tools.case("npm"), lockstep, postgres)
    gate = lockstep.run("wait", "--for", "schema", "--wait", "0", expect=3)
    assert "no run with these files has succeeded yet" in gate.err, gate
    lockstep.run("status", "--check", expect=3)
    lockstep.run("migrate")
    assert lockstep.run("status", "--check", "--json").json()["state"] == "current"
    lockstep.run("wait", "--for", "schema", "--wait", "0")
    project.starts()
    lockstep.run("run", "--", "echo", "served")
    assert project.starts()
    # Another image: not before it has run here.
    script = (lockstep.dir / "schema.js").read_text(encoding="utf-8")
    lockstep.write("schema.js", "process.exit(3)\n")
    lockstep.run("wait", "--for", "schema", "--wait", "0", expect=3)
    lockstep.run("migrate", expect=1)
    assert lockstep.status()["state"] == "empty"
    lockstep.write("schema.js", script)
    lockstep.run("migrate")
    assert lockstep.status()["state"] == "current"


# -- many at once -----------------------------------------------------------------------------------


@matrix(chosen)
def test_race_on_a_fresh_database(project, reference):
    makes, starts = reference
    results = project.runner.together(10, "run", "--", "echo", "served")
    bad = [result for result in results if result.exit or not result.out.endswith("served\n")]
    assert not bad, f"{len(bad)} of {len(results)} failed: {bad[0]}"
    assert made(project) == makes
    assert project.starts() == starts, "the tool was started more than once"


@matrix(lambda tool: tool.chosen or tool.name == "typeorm" or SOAK)
def test_race_on_a_slow_data_migration(project, reference):
    """What many of these tools apply twice in silence when two are started."""
    _, starts = reference
    project.own()
    project.starts()
    project.add("slow")
    results = project.runner.together(5, "run", "--", "echo", "served")
    bad = [result for result in results if result.exit or not result.out.endswith("served\n")]
    assert not bad, f"{len(bad)} of {len(results)} failed: {bad[0]}"
    assert project.hits() == 1
    assert project.starts() == starts, "the tool was started more than once"


# -- ended in the middle ----------------------------------------------------------------------------


def goes_on(project, **more):
    """The next start; a tool that stops at what it cannot tell is repaired as it says."""
    if project.tool.repair:
        refused = project.runner.run("run", "--", "echo", "served", expect=1, **more)
        assert "P3009" in refused.err and "served" not in refused.out, refused
        project.runner.run("repair", "--yes")
    return project.runner.run("run", "--", "echo", "served", **more)


def in_the_middle(project):
    """A run that has inserted its row and sleeps."""
    project.own()
    project.starts()
    project.add("slow")
    db, mark = project.db, project.log.with_name("asleep")
    running = project.runner.start("run", "--", "echo", "served", env={"ASLEEP": str(mark)})

    def asleep():
        if not running.alive():
            raise AssertionError(f"ended too early: {running.finish(expect=None)}")
        if db.engine == "postgres":
            return any("pg_sleep" in row[3] and row[2] == "active" for row in db.sessions("%"))
        return mark.exists()

    net.until(asleep, timeout=30, every=0.01, what="the slow migration's sleep")
    return running


@matrix(chosen)
def test_sigterm(project):
    running = in_the_middle(project)
    running.signal(signal.SIGTERM)
    ended = running.finish(expect=143, timeout=30)
    assert "served" not in ended.out, ended
    if project.db.engine == "postgres":
        held = [row for row in project.db.sessions("%") if "pg_sleep(1)" in row[3]]
        assert not [row for row in held if row[2] == "active"], f"not rolled back: {held}, {ended}"
    after = goes_on(project, timeout=30)
    assert after.out.endswith("served\n"), after
    assert after.seconds < 15, f"something was still held: {after}"
    if project.tool.atomic:
        assert project.hits() == 1


@matrix(chosen)
def test_sigkill(project):
    running = in_the_middle(project)
    running.signal(signal.SIGKILL)
    running.finish(expect=137)
    after = goes_on(project, timeout=60)
    assert after.out.endswith("served\n"), after
    if project.tool.atomic:
        assert project.hits() == 1


def test_sigkill_leaves_no_grandchild(lockstep, postgres):
    """The node behind `npm run` and its shell goes too: nobody holds the lock under which it works."""
    tools.Project(tools.case("npm"), lockstep, postgres)
    lockstep.write(
        "schema.js",
        "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000);\n"
        "require('fs').writeFileSync('pid', String(process.pid));\n",
    )
    mark = lockstep.dir / "pid"
    running = lockstep.start("run", "--", "echo", "served")
    net.until(lambda: mark.exists() and mark.read_text(), timeout=30, what="the script")
    running.signal(signal.SIGKILL)
    running.finish(expect=137)
    net.until(lambda: not still(int(mark.read_text())), timeout=10, what="the script's end")


def still(pid):
    """What /proc says of it, while it runs."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except FileNotFoundError:
        return None
    return None if text.rpartition(")")[2].split()[0] == "Z" else text


# -- which role, and whose secrets ------------------------------------------------------------------


@matrix(lambda tool: tool.database_from == "DATABASE_URL" and (tool.chosen or SOAK))
def test_weaker_role(project):
    """The tool gets LOCKSTEP_DATABASE_URL; the service sees DATABASE_URL as it was set, and no more."""
    strong = project.runner.env["DATABASE_URL"]
    weak = "postgres://weak@127.0.0.1:1/app"
    seen = project.runner.run(
        "run",
        "--",
        "sh",
        "-c",
        'echo "$DATABASE_URL ${LOCKSTEP_DATABASE_URL-gone}"',
        env={"LOCKSTEP_DATABASE_URL": strong, "DATABASE_URL": weak},
    )
    assert seen.out.splitlines()[-1] == f"{weak} gone", seen
    assert project.contents()[1] == ["first"]


def test_what_a_tool_says_is_cleaned(lockstep, postgres):
    """A tool that prints its URL and its password, and colours: the runner looks for secrets."""
    project = tools.Project(tools.case("npm"), lockstep, postgres)
    lockstep.write(
        "schema.js",
        "const url = process.env.DATABASE_URL;\n"
        "console.log(`connecting to ${url}`);\n"
        "console.error(`password ${decodeURIComponent(new URL(url).password)} \\x1b]0;title\\x07`);\n"
        "process.exit(3);\n",
    )
    result = lockstep.run("migrate", expect=1)
    assert "***" in result.err + result.out, result
    assert "\x1b]0;" not in result.err + result.out, result
    assert project.starts()


def test_sqitch_keeps_its_table_in_another_file(lockstep):
    """On SQLite that is a file beside the database, looked into all the same."""
    missing = tools.case("sqitch").missing("postgres")
    if missing:
        pytest.skip(missing)
    lockstep.env |= {"SQITCH_FULLNAME": "A Person", "SQITCH_EMAIL": "person@example.com"}
    lockstep.write(
        "sqitch.conf",
        '[core]\n\tengine = sqlite\n[engine "sqlite"]\n\ttarget = db:sqlite:app.db\n',
    )
    plan = "%syntax-version=1.0.0\n%project=app\n\n"
    for n, name in enumerate(("users", "posts"), 1):
        plan += f"{name} 2024-01-01T00:00:0{n}Z A Person <person@example.com> # {name}\n"
        lockstep.write(f"deploy/{name}.sql", f"CREATE TABLE {name} (id integer);\n")
        lockstep.write("sqitch.plan", plan)
        assert lockstep.status()["state"] == ("empty" if n == 1 else "pending")
        assert f"Migration applied: {name}" in lockstep.run("migrate").err
        status = lockstep.status()
        assert (status["state"], len(status["applied"])) == ("current", n)
    debug = lockstep.run("run", "-v", "--", "echo", "served")
    assert "nothing is pending" in debug.err and "sqitch:" not in debug.err
    (lockstep.dir / "sqitch.db").unlink()
    assert lockstep.status()["state"] == "empty"
