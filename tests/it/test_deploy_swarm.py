# SPDX-License-Identifier: Apache-2.0
"""`lockstep deploy --target swarm`, on a swarm of the tests' own."""

import signal

import pytest
from support import net, swarm
from support.binary import SOAK

ONE = {"001_users.sql": "CREATE TABLE users (id integer);"}
TWO = ONE | {"002_email.sql": "ALTER TABLE users ADD COLUMN email text;"}
BROKEN = ONE | {"002_email.sql": "ALTER TABLE nobody ADD COLUMN email text;"}
SLOW = ONE | {
    "002_slow.sql": "CREATE TABLE slow AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL "
    "SELECT x + 1 FROM n WHERE x < 20000000) SELECT max(x) AS x FROM n;"
}
SICK = 'CMD ["httpd", "-f", "-p", "8001", "-h", "/app/www"]'
# The kinder way is tried by the tests of the other targets, too.
HOW = (signal.SIGTERM, signal.SIGKILL) if SOAK else (signal.SIGKILL,)


@pytest.fixture
def stack(engine, lockstep):
    stack = swarm.Stack(engine, lockstep)
    stack.clean()
    yield stack
    stack.leave()


@pytest.fixture
def running(stack):
    """web:1 serves."""
    stack.image("1", ONE)
    stack.engine.docker(
        "stack",
        "deploy",
        "--resolve-image",
        "never",
        "-c",
        stack.lockstep.dir / "stack.yml",
        "shop",
    )
    stack.until_serves("version 1", "version 1")
    return stack


def test_life(stack):
    """A first deploy that fails, one that works, a new version, the same again."""
    result = stack.deploy(stack.image("1", BROKEN), expect=1)
    assert "no such table: nobody" in result.err and "nothing was released" in result.err
    assert stack.tasks() == stack.tasks("shop_worker") == [] and stack.only_services()

    result = stack.deploy(stack.image("1", TWO))
    assert stack.serve() == ["version 1"] * 2 and result.applied() == 1
    assert len(stack.tasks("shop_worker")) == 1 and stack.only_services()

    result = stack.deploy(stack.image("2", TWO | {"003_more.sql": "SELECT 1;"}))
    assert result.applied() == 1 and stack.versions() == ["001", "002", "003"]
    stack.until_serves("version 2", "version 2")
    second = stack.engine.inspect("web:2")["Id"]
    assert [stack.engine.inspect(one)["Image"] for one in stack.tasks("shop_worker")] == [second]
    assert stack.only_services()

    before = stack.tasks()
    result = stack.deploy("web:2")
    assert stack.tasks() == before and result.applied() == 0
    assert "'shop_web' serves this very release already" in result.err
    env = stack.engine.inspect(before[0])["Config"]["Env"]
    assert f"ODD={swarm.ODD}" in env


def test_failing_migration_releases_nothing(running):
    before = running.tasks()
    result = running.deploy(running.image("2", BROKEN), expect=1)
    assert "Migration failed" in result.err and "no such table: nobody" in result.err
    assert "nothing was released" in result.err and running.tasks() == before
    assert running.only_services()


def test_unhealthy_release_is_put_back(running):
    """By the swarm itself, or by the deploy where the swarm is still waiting."""
    result = running.deploy(running.image("2", TWO, SICK), expect=7)
    assert "the swarm rolls back the update" in result.err
    assert "Put back: 'shop_web' serves" in result.err and "the schema is at 002" in result.err
    running.until_serves("version 1", "version 1")
    assert running.only_services()
    noted = " ".join(
        running.query(
            "SELECT error FROM lockstep_runs ORDER BY started_at DESC LIMIT 1", volume="shop_data"
        )
    )
    assert noted.startswith("put back after the migration: 'shop_web' serves"), noted


def test_putting_back_fails(running):
    """The new release spoils what the old one lives on: a person is needed."""
    keep = 'CMD ["sh", "-c", "test -e /data/app.db && exec httpd -f -p 8000 -h /app/www"]'
    spoil = 'CMD ["sh", "-c", "rm -rf /data/*; exit 3"]'
    running.deploy(running.image("2", TWO, keep))
    running.engine.docker(
        "service", "update", "--detach", "--update-order", "stop-first", "--rollback-order",
        "stop-first", "shop_web",
    )  # fmt: skip
    result = running.deploy(running.image("3", TWO, spoil), "--verify", "8s", expect=8)
    assert "putting back failed too" in result.err and "A person is needed" in result.err


def test_two_at_once(running):
    running.image("2", TWO), running.image("3", TWO)
    results = [one.finish(120) for one in [running.start(f"web:{n}") for n in (2, 3)]]
    assert sum(result.applied() for result in results) == 2
    assert any("waiting: another deploy of 'shop_web'" in result.err for result in results)
    assert running.only_services()


@pytest.mark.parametrize("how", HOW)
def test_killed_while_it_migrates(running, how):
    started = running.start(running.image("2", SLOW))
    net.until(lambda: any("-migrate-" in one for one in running.containers()), what="the migration")
    started.signal(how)
    result = started.finish(expect=128 + how)
    assert running.serve() == ["version 1"] * 2
    assert how != signal.SIGTERM or running.only_services(), result
    running.deploy("web:2")
    running.until_serves("version 2", "version 2")
    assert running.only_services() and running.versions() == ["001", "002"]


@pytest.mark.parametrize("how", HOW)
def test_killed_while_it_verifies(running, how):
    """What it left half done is undone by itself, or by the swarm and the next deploy."""
    started = running.start(running.image("2", TWO, SICK))
    net.until(lambda: len(running.tasks()) > 2, what="web:2")
    started.signal(how)
    started.finish(expect=128 + how)
    if how == signal.SIGKILL:
        result = running.deploy(running.image("3", BROKEN), expect=6)
        assert "an earlier deploy did not end: what served before comes back" in result.err
    running.until_serves("version 1", "version 1")
    assert running.only_services()


def test_values_are_nowhere(running):
    """Among the words of no program that is started (every run of the tests is watched for that),
    and in no message; not even what the container's command would take as meant for itself."""
    running.lockstep.env["TOKEN"] = swarm.TOKEN
    result = running.deploy(running.image("2", TWO), "--env", "TOKEN", "--verbose")
    assert "--env TOKEN" in result.err and "--env-file /proc/" in result.err
    running.until_serves("version 2", "version 2")


def test_dry_run(stack):
    """Nothing is asked, nothing is run: there is no engine at that address."""
    stack.lockstep.env |= {"DOCKER_HOST": "unix:///nowhere", "TOKEN": swarm.TOKEN}
    result = stack.deploy("web:2", "--dry-run", "--env", "TOKEN")
    text = result.out
    assert "TOKEN=*** docker service create" in text or "TOKEN=*** LOCKSTEP" in text, text
    assert text.index("service create") < text.index("service update")
    stack.lockstep.env["DOCKER_HOST"] = f"unix://{stack.engine.folder}/socket"


def test_refusals(stack):
    result = stack.deploy("web:1", "--health-check", "/ready", expect=2)
    assert "'/ready' cannot be asked on a swarm" in result.err
    stack.image("1", ONE)
    stack.lockstep.write("stack.yml", "services: {db: {image: busybox}}\n")
    result = stack.deploy("web:1", expect=2)
    assert "'stack.yml' has no service 'web'" in result.err
    assert stack.services() == []
