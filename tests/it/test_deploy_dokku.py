# SPDX-License-Identifier: Apache-2.0
"""`lockstep deploy --target dokku`: a stand-in for Dokku behind a real sshd, on a real engine."""

import contextlib
import http.server
import pathlib
import signal
import sqlite3
import threading

import pytest
from support import dokku, net, secrets
from support.binary import SOAK

ONE = {"001_users.sql": "CREATE TABLE users (id integer);"}
TWO = ONE | {"002_email.sql": "ALTER TABLE users ADD COLUMN email text;"}
BROKEN = TWO | {"003_age.sql": "ALTER TABLE nobody ADD COLUMN age int;"}
# Everything that a line, a shell, an env file or a quote could spoil.
ODD = "two\nlines \"quoted\" $HOME `x` \\ 'end' = 100%  "


@pytest.fixture
def site(dokku_server, lockstep):
    return dokku.DokkuSite(dokku_server, lockstep)


@pytest.fixture
def running(site):
    """Version 1 serves."""
    return site.run(ONE)


def unchanged(site):
    """Version 1 serves, from the container that did before, and nothing else is there."""
    assert site.server.baseline[0].startswith(site.now()["container"])
    assert site.serves() == "version 1" and site.left() == []
    return True


@contextlib.contextmanager
def website(status):
    """Its URL; it answers with that status to whatever is asked."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):  # pylint: disable=invalid-name
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):  # pylint: disable=arguments-differ
            pass

    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{web.server_port}/health"
    web.shutdown()
    web.server_close()


# -- the release phase


def test_failing_migration_releases_nothing(running):
    """Once inside of a new deploy, once where Dokku has the image's commit already."""
    two = running.image("2", BROKEN)
    for again in (False, True):
        result = running.deploy(two, expect=1)
        assert unchanged(running) and running.rows() == ["001", "002"]
        assert "the migration in the release phase failed with status 1" in result.err
        assert "no such table: nobody" in result.err and "nothing was released" in result.err
        stands = "" if again else "; the schema is at 002 (1 applied by this deploy)"
        assert f"'api' serves {running.one} as before{stands}\n" in result.err
        assert "until the next deploy, `ps:rebuild`" in result.err
        assert ("Dokku has" in result.err and "building it again" in result.err) == again


def test_same_image_again(running):
    result = running.deploy(running.one)
    assert unchanged(running) and result.applied() == 0
    assert "No changes detected" in result.err and "serves localhost:5000/api" in result.err


def test_lock_held(running):
    two = running.image("2", TWO)
    running.dokku("apps:lock", "api")
    result = running.deploy(two, "--lock-wait", "1s", expect=5)
    assert unchanged(running) and running.rows() == ["001"]
    assert "'api' has a deploy lock on Dokku" in result.err and "apps:unlock api" in result.err
    asked = running.server.calls("apps:locked")
    started = running.start(two)
    net.until(lambda: running.server.calls("apps:locked") > asked + 1, what="its second question")
    running.dokku("apps:unlock", "api")
    assert "waiting: 'api' has a deploy lock" in started.finish().err
    assert running.serves() == "version 2" and running.rows() == ["001", "002"]


def test_refused_before_anything(running):
    two = running.image("2", TWO)
    running.server.set(STANDIN_VERSION="0.35.3")
    result = running.deploy(two, expect=6)
    assert "Dokku there is 0.35.3, too old" in result.err and "0.35.4 or later" in result.err
    running.server.set()
    result = running.lockstep.run(*running.words(two, "--app", "nope"), expect=2)
    assert "there is no app 'nope' on dokku@127.0.0.1" in result.err
    assert "apps:create nope" in result.err
    bare = running.image("3", TWO, release=None)
    result = running.deploy(bare, expect=2)
    assert "nothing can migrate" in result.err and "release: lockstep migrate" in result.err
    assert "--docker-host" in result.err
    for words, message in {
        ("--health-check", "/up"): "'/up' is not asked on Dokku",
        ("--host", "dokku@-x"): "'dokku@-x' is no ssh account",
        ("--host", "a b@c"): "'a b@c' is no ssh account",
        ("--app", "a;b"): "'a;b' is no name of an app",
    }.items():
        assert message in running.deploy(two, *words, expect=2).err
    result = running.lockstep.run(
        "deploy", "--target", "dokku", "--app", "a", "--image", "b", expect=2
    )
    assert "the deploy does not say where Dokku is" in result.err and "--host" in result.err
    assert unchanged(running) and running.rows() == ["001"]


def test_host_that_is_not_trusted(running):
    running.server.sshd.know(running.server.sshd.other_key())
    result = running.deploy(running.one, expect=2)
    assert "the host's key is not the known one" in result.err
    assert "Host key verification failed" in result.err and "never switched off" in result.err
    running.server.sshd.know(running.server.sshd.folder / "host.pub")
    address = running.server.sshd.address("stranger")
    result = running.deploy(running.one, "--host", address, expect=2)
    assert "the host does not let us in" in result.err and "Permission denied" in result.err
    result = running.deploy(running.one, "--host", f"dokku@127.0.0.1:{net.free_port()}", expect=1)
    assert "is not to be reached" in result.err and "Connection refused" in result.err


def test_first_deploy_and_the_next(site):
    site.create()
    result = site.deploy(site.image("1", ONE))
    assert site.serves() == "version 1" and site.rows() == ["001"] and site.left() == []
    two = site.image("2", TWO)
    with website(200) as url:
        result = site.deploy(two, "--health-check", url)
    assert site.serves() == "version 2" and site.rows() == ["001", "002"] and site.left() == []
    assert "the release phase migrates: lockstep migrate" in result.err
    assert "migration: Migration applied: 002" in result.err
    assert f"Deploy finished: api serves {two}; the schema is at 002 (1 applied" in result.err


def test_checks_that_fail(running):
    """Dokku keeps the old containers by itself."""
    dead = running.image("2", TWO, release="lockstep migrate", web="false")
    result = running.deploy(dead, expect=7)
    assert unchanged(running) and running.rows() == ["001", "002"]
    assert "Dokku did not deploy it (status 1)" in result.err and "App deploy failed" in result.err
    assert f"Put back: 'api' serves {running.one} again; the schema is at 002" in result.err


def test_unhealthy_release_is_put_back(running):
    two = running.image("2", TWO)
    with website(503) as url:
        result = running.deploy(two, "--health-check", url, "--verify", "1s", expect=7)
    assert running.serves() == "version 1" and running.left() == []
    assert "answers 503" in result.err and "the schema is at 002 (1 applied" in result.err
    assert running.now()["repository"][-1] == running.one


def test_release_phase_without_lockstep(running):
    """Somebody's own script: it is believed, and nothing is claimed of what it did."""
    result = running.deploy(running.image("2", TWO, release="echo migrated by hand"))
    assert running.serves() == "version 2" and running.rows() == ["001"]
    assert "the release phase migrates: echo migrated by hand" in result.err
    assert "what migrated it did not say where the schema is" in result.err


def test_postdeploy_that_fails(running):
    """Dokku fails, and the new release serves."""
    files = {"app/app.json": '{"scripts": {"dokku": {"postdeploy": "false"}}}'}
    result = running.deploy(running.image("2", TWO, files=files), expect=7)
    assert "the postdeploy task failed" in result.err and running.serves() == "version 1"
    assert running.left() == []


def test_putting_back_that_fails(site):
    """The old image does not take the new schema any more."""
    site.create()
    strict = site.image("1", ONE, release="lockstep migrate --ahead refuse")
    site.dokku("git:from-image", "api", strict)
    with website(500) as url:
        two = site.image("2", TWO)
        result = site.deploy(two, "--health-check", url, "--verify", "1s", expect=8)
    assert site.serves() == "version 2"
    assert "putting back failed too" in result.err and "A person is needed" in result.err
    assert f"look at 'api' on Dokku, which served {strict} before" in result.err


def test_two_at_once(running):
    """Dokku has one lock; the second waits for it and is deployed on top."""
    images = [running.image("2", TWO), running.image("3", TWO)]
    results = [one.finish() for one in [running.start(image) for image in images]]
    assert sum(result.applied() for result in results) == 1, results
    assert running.serves() in ("version 2", "version 3") and running.left() == []
    assert running.rows() == ["001", "002"]


# -- the migration outside


def held(site):
    """A connection that keeps the database to itself: the migration waits for it."""
    connection = sqlite3.connect(site.data / "app.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    return connection


def migration(site):
    """The name of the migration's container once it runs."""
    names = [name for name in site.containers() if name.startswith("api.migrate-")]
    return names[0] if names and site.engine.inspect(names[0])["State"]["Running"] else None


def command_lines():
    lines = b""
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines += path.read_bytes()
    return lines


def test_external_migration(running):
    """Configuration byte for byte, links, networks and mounts of the app; the same digest; and then
    nothing of it is left, nor was a value ever among words."""
    token = secrets.register("s3cret-" + "token-of-the-app")
    config = {"DATABASE_URL": "sqlite:////data/app.db", "ODD": ODD, "TOKEN": token, "EMPTY": ""}
    config |= {"PATH": "/usr/local/bin:/bin:/own"}
    running.change("config", config | {"DOCKER_HOST": "tcp://not.our.own"})
    (running.server.state / "global.json").write_text('{"SHARED": "for all apps"}', "utf-8")
    running.engine.docker("network", "create", "backend", expect=None)
    running.engine.docker("run", "-d", "--name", "dokku.postgres.db1", "busybox", "sleep", "1000")
    link = "--link dokku.postgres.db1:dokku-postgres-db1"
    option = secrets.register("s3cret-" + "option-of-the-app")
    mine = [link, "--memory 1g", f"--env OPTION={option}", "--label proxy.host=shop.example"]
    options = {"build": [], "deploy": running.mounts(), "run": [*running.mounts(), *mine]}
    running.change("options", options)
    running.change("network", {"network-attach-post-create": "backend"})
    two = running.image("2", TWO, release=None)
    database = held(running)
    started = running.start(two, *running.outside())
    name = net.until(lambda: migration(running), what="the migration")
    there = running.engine.inspect(name)
    lines = command_lines()
    running.change("config", config)  # Dokku itself would stumble over the other one
    database.rollback()
    result = started.finish()
    env = dict(pair.split("=", 1) for pair in there["Config"]["Env"])
    config |= {"DOCKER_HOST": "tcp://not.our.own", "SHARED": "for all apps"}
    assert {key: env.get(key) for key in config} == config
    assert env["LOCKSTEP_REVISION"] == two == there["Config"]["Image"]
    assert there["HostConfig"]["Links"] == [f"/dokku.postgres.db1:/{name}/dokku-postgres-db1"]
    assert set(there["NetworkSettings"]["Networks"]) == {"bridge", "backend"}
    assert there["HostConfig"]["Binds"] == [f"{running.data}:/data"]
    assert there["HostConfig"]["AutoRemove"] and there["HostConfig"]["Memory"] == 0
    assert env["OPTION"] == option and "proxy.host" not in there["Config"]["Labels"]
    assert option.encode() not in lines
    assert token.encode() not in lines and b'lines "quoted"' not in lines
    assert running.serves() == "version 2" and running.rows() == ["001", "002"]
    assert result.applied() == 1 and running.left() == ["dokku.postgres.db1"]
    (running.server.state / "global.json").unlink()


def test_external_migration_that_fails(running):
    result = running.deploy(running.image("2", BROKEN, release=None), *running.outside(), expect=1)
    assert unchanged(running) and running.rows() == ["001", "002"]
    assert "no such table: nobody" in result.err
    assert "as before; the schema is at 002 (1 applied by this deploy)" in result.err


def test_external_migration_of_a_release_that_is_put_back(running):
    """Its row says so, by a second container like the first."""
    two = running.image("2", TWO, release=None)
    with website(503) as url:
        more = (*running.outside(), "--health-check", url, "--verify", "1s")
        result = running.deploy(two, *more, expect=7)
    assert running.serves() == "version 1" and running.left() == []
    noted = f"put back after the migration: 'api' serves {running.one} again"
    assert noted in running.rows("SELECT error FROM lockstep_runs"), result


def test_connection_cut_while_it_migrates(running):
    """The migration goes on, is listened to again, and is done once."""
    two = running.image("2", TWO, release=None)
    database = held(running)
    started = running.start(two, *running.outside())
    net.until(lambda: migration(running), what="the migration")
    net.until(lambda: running.server.sshd.cut("deploy"), what="its connection")
    net.until(lambda: b"attach\0--no-stdin" in command_lines(), what="its listening again")
    database.rollback()
    result = started.finish()
    assert "lost the connection to the container engine: trying again" in result.err
    assert running.serves() == "version 2" and running.rows() == ["001", "002"]
    assert running.left() == []


def test_connection_cut_while_dokku_deploys(running):
    """Dokku goes on by itself; how that ended is asked."""
    two = running.image("2", TWO)
    database = held(running)
    started = running.start(two)
    net.until(lambda: release_task(running), what="the release task")
    assert running.server.sshd.cut("dokku")
    net.until(lambda: running.server.sshd.sessions("dokku"), what="the next connection")
    database.rollback()
    result = started.finish()
    assert "lost the connection to Dokku, which goes on by itself" in result.err
    assert running.serves() == "version 2" and running.rows() == ["001", "002"]
    assert running.left() == []


def release_task(site):
    words = ("ps", "-q", "--filter", "label=dokku_phase_script=release")
    return site.engine.docker(*words).stdout.strip()


@pytest.mark.parametrize("how", (signal.SIGTERM, signal.SIGKILL))
def test_killed_while_it_migrates(running, how):
    two = running.image("2", TWO, release=None)
    database = held(running)
    started = running.start(two, *running.outside())
    net.until(lambda: migration(running), what="the migration")
    started.signal(how)
    result = started.finish(expect=128 + how)
    if how == signal.SIGTERM:
        assert unchanged(running), result
    database.rollback()
    running.deploy(two, *running.outside(), "--lock-wait", "30s")
    assert running.serves() == "version 2" and running.rows() == ["001", "002"]
    net.until(lambda: running.left() == [], what="the end of the first container")


def test_killed_while_dokku_deploys(running):
    """The next deploy waits for what Dokku goes on with."""
    two, three = running.image("2", TWO), running.image("3", TWO)
    database = held(running)
    started = running.start(two)
    net.until(lambda: release_task(running), what="the release task")
    started.signal(signal.SIGKILL)
    started.finish(expect=128 + signal.SIGKILL)
    asked = running.server.calls("apps:locked")
    started = running.start(three)
    net.until(lambda: running.server.calls("apps:locked") > asked + 1, what="its second question")
    database.rollback()
    result = started.finish()
    assert "waiting: 'api' has a deploy lock" in result.err
    assert running.serves() == "version 3" and running.rows() == ["001", "002"]
    assert running.left() == []


@pytest.mark.faults
def test_killed_after_each_order(running):
    """Whatever was done last: one version serves, and the next deploy makes it right."""
    image = running.image("2", TWO, release=None)
    listed = running.deploy(image, *running.outside(), fault="list").err
    count, version = listed.count("fault: deploy.order"), 2
    assert count > 10
    for order in range(1, count + 1) if SOAK else (count // 2,):
        version += 1
        files = TWO | {
            f"{v:03}_t.sql": f"CREATE TABLE t{v} (x int);" for v in range(3, version + 1)
        }
        image = running.image(str(version), files, release=None)
        running.deploy(image, *running.outside(), fault=f"deploy.order:{order}:kill", expect=137)
        running.deploy(image, *running.outside())
        assert running.serves() == f"version {version}", order
        assert running.left() == [], order
        assert running.rows()[-1] == f"{version:03}", order


def test_nothing_to_migrate(running):
    """Looked at, and nothing there: said, and deployed. Nothing could be looked at: not deployed."""
    files = {"app/package.json": '{"scripts": {"build": "true"}}'}
    image = running.image("2", release=None, files=files, with_lockstep=False)
    result = running.deploy(image, *running.outside())
    assert "Migration skipped: the image holds no migrations" in result.err
    assert running.serves() == "version 2" and running.rows() == ["001"]
    files = {"app/package.json": '{"scripts": '}
    image = running.image("3", release=None, files=files, with_lockstep=False)
    result = running.deploy(image, *running.outside(), expect=2)
    assert "package.json" in result.err and running.serves() == "version 2"


def test_dry_run(lockstep):
    """Nothing is asked: there is no server. Values are not shown."""
    lockstep.env["TOKEN"] = secrets.register("hunter2" * 2)
    words = "deploy --dry-run --target dokku --host dokku@dokku.invalid:2222 --app api".split()
    words += ["--image", "shop@sha256:" + "0" * 64]
    result = lockstep.run(*words)
    lines = result.out.splitlines()
    ssh = "ssh -o BatchMode=yes -o StrictHostKeyChecking=yes "
    account = " -p 2222 -- dokku@dokku.invalid "
    dokku_lines = [line.split(account)[1] for line in lines if line.startswith(ssh)]
    assert dokku_lines == [
        "version",
        "apps:locked api",
        "ps:inspect api",
        f"git:from-image api {words[-1]}",
        "ps:inspect api",
    ]
    result = lockstep.run(*words, "--docker-host", "ssh://deploy@dokku.invalid", "--env", "TOKEN")
    lines = result.out.splitlines()
    export = f"{account}config:export --format json --merged api"
    made = [line for line in lines if line.endswith(f"{words[-1]} migrate")]
    assert any(line.endswith(export) for line in lines) and len(made) == 1
    assert "TOKEN=*** " in made[0] and "docker --host ssh://deploy@dokku.invalid create" in made[0]
    assert "Deploy planned" in result.err
