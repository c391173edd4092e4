# SPDX-License-Identifier: Apache-2.0
"""`lockstep deploy --target docker`, on a container engine of the tests' own."""

import json
import os
import pathlib
import shutil
import signal

import pytest
from support import deploy, net, secrets
from support.binary import SOAK

ONE = {"001_users.sql": "CREATE TABLE users (id integer);"}
TWO = ONE | {"002_email.sql": "ALTER TABLE users ADD COLUMN email text;"}
BROKEN = ONE | {"002_email.sql": "ALTER TABLE nobody ADD COLUMN email text;"}
SLOW = ONE | {
    "002_slow.sql": "CREATE TABLE slow AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL "
    "SELECT x + 1 FROM n WHERE x < 8000000) SELECT max(x) AS x FROM n;"
}
HEALTH = ("--health-check", "/")
ENV = ("-e", "DATABASE_URL=sqlite:////data/app.db", "-v", "data:/data")


@pytest.fixture
def site(engine, lockstep):
    return deploy.Site(engine, lockstep)


@pytest.fixture
def running(site):
    """web:1 serves; its database is in the volume `data`."""
    site.clean()
    site.engine.docker("run", "-d", "--name", "web", *ENV, site.image("1", ONE))
    site.deploy("web:1", *HEALTH)
    return site


def test_new_version(running):
    before = running.engine.inspect("web")["Id"]
    result = running.deploy(running.image("2", TWO), *HEALTH)
    assert running.serves() == "version 2" and running.containers() == ["web"]
    assert running.query("SELECT version FROM lockstep_migrations ORDER BY 1") == ["001", "002"]
    assert result.applied() == 1 and "Deploy finished: web serves web:2 (sha256:" in result.err
    assert running.engine.inspect("web")["Id"] != before


def test_failing_migration_releases_nothing(running):
    before = running.engine.inspect("web")["Id"]
    result = running.deploy(running.image("2", BROKEN), *HEALTH, expect=1)
    assert "Migration failed" in result.err and "no such table: nobody" in result.err
    assert "nothing was released" in result.err
    assert running.engine.inspect("web")["Id"] == before and running.serves() == "version 1"
    assert running.containers() == ["web"]


def test_unhealthy_release_is_put_back(running):
    before = running.engine.inspect("web")["Id"]
    sick = running.image("2", TWO, 'CMD ["httpd", "-f", "-p", "8001", "-h", "/app/www"]')
    result = running.deploy(sick, *HEALTH, "--verify", "2s", expect=7)
    assert running.engine.inspect("web")["Id"] == before and running.serves() == "version 1"
    assert running.containers() == ["web"]
    assert "the schema is at 002 (1 applied by this deploy)" in result.err
    assert "'web' serves web:1" in result.err
    noted = running.query("SELECT count(*), error FROM lockstep_runs WHERE error IS NOT NULL")
    assert " ".join(noted).startswith("1|put back after the migration: 'web' serves web:1"), noted


def test_release_that_ends_is_put_back(running):
    dead = running.image("2", ONE, 'CMD ["sh", "-c", "echo out of luck; exit 3"]')
    result = running.deploy(dead, *HEALTH, expect=7)
    assert "does not stay up" in result.err and "out of luck" in result.err
    assert running.serves() == "version 1" and running.containers() == ["web"]


def test_first_deploy(site):
    site.clean()
    site.image("1", ONE)
    result = site.deploy(
        "web:1", *HEALTH, "--options", "--env DATABASE_URL=sqlite:////data/app.db -v data:/data"
    )
    assert site.serves() == "version 1" and site.containers() == ["web"]
    assert result.applied() == 1
    sick = site.image("2", ONE, 'CMD ["false"]')
    assert "does not stay up" in site.deploy(sick, *HEALTH, expect=7).err
    assert site.serves() == "version 1"


def test_a_database_that_nobody_named(site):
    """The migration went well, in a file that is gone: that is said."""
    site.clean()
    gone = "sqlite:lockstep.db was a file in the migration's own container, and is gone with it"
    assert gone in site.deploy(site.image("1", ONE), *HEALTH).err
    site.clean()
    result = site.deploy("web:1", *HEALTH, "--options", "--volume=data:/app")
    assert result.applied() == 1 and gone not in result.err


def test_first_deploy_that_fails_leaves_nothing(site):
    site.clean()
    site.image("1", {}, 'CMD ["false"]')
    result = site.deploy("web:1", *HEALTH, expect=7)
    assert site.containers() == [] and "does not serve, as before" in result.err


def test_published_ports(running):
    """Two cannot have the port: the old one is stopped first, and comes back when the new one fails."""
    running.engine.docker("rm", "-f", "web")
    running.engine.docker("run", "-d", "--name", "web", "-p", "8080:8000", *ENV, "web:1")
    before = running.engine.inspect("web")["Id"]
    sick = running.image("2", TWO, 'CMD ["httpd", "-f", "-p", "8001", "-h", "/app/www"]')
    running.deploy(sick, *HEALTH, "--verify", "1s", expect=7)
    assert running.engine.inspect("web")["Id"] == before and running.serves() == "version 1"
    running.deploy(running.image("3", TWO), *HEALTH)
    ports = running.engine.inspect("web")["HostConfig"]["PortBindings"]
    assert running.serves() == "version 3" and ports["8000/tcp"][0]["HostPort"] == "8080"


def test_the_configuration_stays(running):
    """What the running container was started with, its successor has; values byte for byte, and in
    no command line. Labels of a proxy hold its users' passwords; the migration's container has none
    of them, or visitors would be sent to it."""
    engine, odd = running.engine, "two\nlines \"quoted\" $HOME `x` \\ 'end'"
    labels = {
        "proxy.users": secrets.register("admin:$2y$05$labelled-hunter3"),
        "blanks": " 'a' \"b\" #  ",
        "none": "",
        "#lines": "a\nb",
    }
    engine.docker("network", "create", "inner", expect=None)
    engine.docker("rm", "-f", "web")
    words = "--restart unless-stopped --memory 64m --cpus 0.5 --cap-drop ALL --read-only --init"
    words += " --tmpfs /run:size=1m --network inner --network-alias shop --add-host other:10.0.0.9"
    words += (
        " --user 0:0 --label team=blue --ulimit nofile=512:1024 --sysctl net.core.somaxconn=200"
    )
    engine.docker(
        "run",
        "-d",
        "--name",
        "web",
        *words.split(),
        "-e",
        "ODD",
        *ENV,
        "--log-opt",
        "max-size=2m",
        *[word for pair in labels.items() for word in ("--label", "=".join(pair))],
        "web:1",
        env={"ODD": odd},
    )
    was = engine.inspect("web")
    started = running.start(running.image("2", SLOW), *HEALTH)
    net.until(lambda: any("migrate" in name for name in running.containers()), what="the migration")
    migrates = next(name for name in running.containers() if "migrate" in name)
    assert not labels.keys() & engine.inspect(migrates)["Config"]["Labels"].keys()
    result = started.finish()
    assert "the label '#lines' fits no line of a file" in result.err
    now = engine.inspect("web")
    assert running.serves() == "version 2"
    for name in (
        "RestartPolicy Memory NanoCpus CapDrop ReadonlyRootfs Init Tmpfs NetworkMode ExtraHosts "
        "Binds Ulimits Sysctls PortBindings LogConfig"
    ).split():
        assert now["HostConfig"][name] == was["HostConfig"][name], name
    assert f"ODD={odd}" in now["Config"]["Env"] and now["Config"]["User"] == "0:0"
    made = now["Config"]["Labels"]
    assert made["team"] == "blue" and labels.items() <= made.items()
    assert "shop" in now["NetworkSettings"]["Networks"]["inner"]["Aliases"]


def test_a_log_option_that_is_secret(running):
    """Docker takes it among its words alone, so it is not repeated without being asked."""
    token = secrets.register("splunk-hunter4-token")
    engine = running.engine
    engine.docker("rm", "-f", "web")
    engine.docker(
        "create",
        "--name",
        "web",
        "--log-driver",
        "splunk",
        "--log-opt",
        f"splunk-token={token}",
        "--log-opt",
        "splunk-url=https://logs.example",
        "web:1",
    )
    result = running.deploy("web:1", *HEALTH, expect=2)
    assert "the log option 'splunk-token' is secret" in result.err and "daemon.json" in result.err
    assert running.containers() == ["web"]


def test_same_image_again(running):
    result = running.deploy("web:1", *HEALTH)
    assert running.serves() == "version 1" and result.applied() == 0
    assert "Migration skipped: nothing is pending" in result.err


def test_variables_by_name(running):
    """--env hands a variable of here to the migration; its value is seen nowhere."""
    url = "sqlite:////data/other.db?secret=hunter2hunter2"
    running.lockstep.env["LOCKSTEP_DATABASE_URL"] = "sqlite:////data/other.db"
    running.lockstep.env["TOKEN"] = url
    running.deploy(running.image("2", TWO), *HEALTH, "--env", "LOCKSTEP_DATABASE_URL")
    assert running.query("SELECT count(*) FROM lockstep_migrations", "/data/other.db") == ["2"]
    result = running.deploy("web:2", "--env", "NOT_SET_HERE", expect=2)
    assert "the variable 'NOT_SET_HERE' is not set here" in result.err


def test_dry_run(site):
    """Nothing is asked, nothing is run: there is no engine at that address."""
    site.lockstep.env |= {"DOCKER_HOST": "unix:///nowhere", "TOKEN": "hunter2hunter2"}
    words = ("--env", "TOKEN", "--options", "--env PASSWORD=hunter2hunter3 -p 80:80")
    result = site.deploy("web:2", "--dry-run", "--build", ".", *words)
    lines = result.out.splitlines()
    assert lines[0] == "docker build --tag web:2 ."
    migration = [line for line in lines if line.endswith("web:2 migrate")]
    assert len(migration) == 1 and "TOKEN=*** " in migration[0] and "--env TOKEN" in migration[0]
    assert lines.index("docker stop web.before") < lines.index("docker rm --force web.before")
    assert "hunter2" not in result.out + result.err and "Deploy planned" in result.err


def test_build(running):
    """The image is built from a directory, under the name that is deployed."""
    files = {"Dockerfile": "FROM web:1\nRUN echo version 9 >/app/www/index.html\n"}
    for name, text in files.items():
        running.lockstep.write(f"context/{name}", text)
    result = running.deploy("web:9", *HEALTH, "--build", "context")
    assert running.serves() == "version 9" and "deploy web: build (1/" in result.err
    running.lockstep.write("context/Dockerfile", "FROM web:1\nRUN false\n")
    result = running.deploy("web:10", *HEALTH, "--build", "context", expect=1)
    assert "the image did not build" in result.err and running.serves() == "version 9"


def test_image_without_lockstep(running):
    """A static binary hands itself over; another says what is missing."""
    image = running.image("2", TWO, with_lockstep=False)
    static = b"statically" in os.popen(f"ldd {deploy.BINARY} 2>&1").read().encode()
    result = running.deploy(image, *(() if static else HEALTH), expect=0 if static else 2)
    if static:
        assert running.serves() == "version 2" and result.applied() == 1
    else:
        assert "holds no lockstep" in result.err and running.serves() == "version 1"


ANY = ("--target", "docker", "--app", "a", "--image", "a")


def test_refusals(site):
    for words, message in {
        (): "the deploy does not say where to",
        ("--target", "dockre"): "there is no target 'dockre'",
        ("--target", "docker"): "the deploy does not say which app",
        ("--target", "docker", "--app", "web"): "the deploy does not say which image",
        ("--target", "docker", "--app=-x", "--image", "a"): "'-x' is no name of an app",
        ("--target", "docker", "--app", "a b", "--image", "a"): "'a b' is no name of an app",
        ("--target", "dokku", "--app", "a", "--image=-v/:/x"): "'-v/:/x' is no name of an image",
        ("--target", "docker", "--app", "a", "--image", "a", "--build=-"): "to build from",
        (*ANY, "--health-check", "healthz"): "'healthz' is neither a path nor a URL",
        (*ANY, "--health-check", "ftp://x/"): "'ftp://x/' is neither a path nor a URL",
        (*ANY, "--env", "TOKEN=hunter2hunter2"): "`env` takes names, and 'TOKEN' has a value",
    }.items():
        result = site.lockstep.run("deploy", *words, expect=2)
        assert message in result.err and "hunter2" not in result.err
    assert (
        "Did you mean 'docker'?" in site.lockstep.run("deploy", "--target", "dockre", expect=2).err
    )
    result = site.deploy("nowhere:1", expect=1)
    assert "the image 'nowhere:1' is not to be had" in result.err


def test_from_the_file(running):
    running.lockstep.write(
        "lockstep.yaml",
        "deploy:\n  target: docker\n  app: web\n  image: web:2\n  health: /\n  verify: 30s\n",
    )
    running.image("2", TWO)
    running.lockstep.run("deploy")
    assert running.serves() == "version 2"


# -- two at once, and those that are killed


def test_two_at_once(running):
    running.image("2", TWO), running.image("3", TWO)
    both = [running.start(f"web:{n}", *HEALTH) for n in (2, 3)]
    results = [one.finish() for one in both]
    assert sum(result.applied() for result in results) == 1
    assert any("waiting: another deploy of 'web'" in result.err for result in results)
    assert running.serves() in ("version 2", "version 3") and running.containers() == ["web"]


@pytest.mark.parametrize("how", (signal.SIGTERM, signal.SIGKILL))
def test_killed_while_it_migrates(running, how):
    started = running.start(running.image("2", SLOW), *HEALTH)
    net.until(lambda: any("migrate" in name for name in running.containers()), what="the migration")
    started.signal(how)
    result = started.finish(expect=128 + how)
    assert running.serves() == "version 1"
    if how == signal.SIGTERM:
        assert running.containers() == ["web"], result
    again = running.deploy("web:2", *HEALTH, "--lock-wait", "30s")
    assert running.serves() == "version 2" and running.containers() == ["web"], again
    assert running.query("SELECT count(*) FROM lockstep_migrations") == ["2"]


SICK = 'CMD ["httpd", "-f", "-p", "8001", "-h", "/app/www"]'


def test_killed_while_it_verifies_a_sick_release(running):
    """It is up, and does not answer: the next deploy does not take it for what served before."""
    running.engine.docker("rm", "-f", "web")
    running.engine.docker("run", "-d", "--name", "web", "-p", "8080:8000", *ENV, "web:1")
    sick = running.image("2", TWO, SICK, "HEALTHCHECK --interval=1s CMD true")
    started = running.start(sick, *HEALTH)
    form = "{{if .State.Health}}{{.State.Health.Status}}{{end}}"
    net.until(
        lambda: running.engine.docker("inspect", "-f", form, "web", expect=None).stdout
        == "healthy\n",
        what="the release",
    )
    started.signal(signal.SIGKILL)
    started.finish(expect=137)
    result = running.deploy(running.image("3", TWO, 'CMD ["false"]'), *HEALTH, expect=7)
    assert "what served before comes back" in result.err
    assert running.serves() == "version 1" and running.containers() == ["web"]


def test_migrations_are_rolled_back_where_they_say_so(running):
    """Only when asked, and only where each of them is marked."""
    down = {"002_email.down.sql": "ALTER TABLE users DROP COLUMN email;"}
    marked = {"002_email.down.sql": "-- lockstep: reversible\n" + down["002_email.down.sql"]}
    words = (*HEALTH, "--verify", "1s", "--rollback-migrations")
    result = running.deploy(running.image("2", TWO | down, SICK), *words, expect=7)
    assert "does not say that it is reversible" in result.err
    assert "the schema is at 002" in result.err
    assert running.query("SELECT count(*) FROM lockstep_migrations") == ["2"]
    running.engine.docker("volume", "create", "data")
    with_mark = running.image(
        "3",
        TWO
        | marked
        | {
            "003_b.sql": "CREATE TABLE b (x int);",
            "003_b.down.sql": "-- lockstep: reversible\nDROP TABLE b;",
        },
        SICK,
    )
    result = running.deploy(with_mark, *words, expect=7)
    assert "rolled back 1 migration" in result.err and "no migration was applied" in result.err
    assert running.query("SELECT count(*) FROM lockstep_migrations") == ["2"]
    assert running.serves() == "version 1"


def orders(site, *words):
    """How many orders such a deploy gives."""
    listed = site.deploy(*words, fault="list").err
    return listed.count("fault: deploy.order")


def test_killed_after_each_order(running):
    """Whatever was done last: the service serves one version, and the next deploy makes it right."""
    version, first = 2, ONE
    count = orders(running, running.image(str(version), first), *HEALTH)
    assert count > 10
    for order in range(1, count + 1) if SOAK else (4, 8, 13):
        version += 1
        files = ONE | {
            f"{v:03}_t.sql": f"CREATE TABLE t{v} (x int);" for v in range(3, version + 1)
        }
        image = running.image(str(version), files)
        running.deploy(image, *HEALTH, fault=f"deploy.order:{order}:kill", expect=137)
        running.deploy(image, *HEALTH)
        assert running.serves() == f"version {version}", order
        assert running.containers() == ["web"], order
    applied = running.query("SELECT count(*) FROM lockstep_migrations")
    assert applied == [str(version - 1)]


def test_putting_back_fails(running):
    """Exit 8 names what is left, and the next deploy mends it."""
    running.engine.docker("rm", "-f", "web")
    running.engine.docker("run", "-d", "--name", "web", "-p", "8080:8000", *ENV, "web:1")
    sick = running.image("2", TWO, SICK)
    started = running.start(sick, *HEALTH, "--verify", "4s")
    net.until(lambda: "web.before" in running.containers(), what="the release")
    running.engine.docker("rm", "-f", "web.before")
    result = started.finish(expect=8)
    assert "A person is needed" in result.err and "the schema is at 002" in result.err
    running.deploy(running.image("3", TWO), *HEALTH, "--options", "-v data:/data")
    assert running.serves() == "version 3"


def test_the_database_that_is_expected(running):
    """Checked where the migration runs, before anything is applied."""
    image = running.image("2", TWO)
    running.lockstep.write("lockstep.yaml", "deploy: {engine: postgresql}\n")
    result = running.deploy(image, *HEALTH, expect=6)
    assert "postgresql" in result.err and "nothing was released" in result.err
    assert running.query("SELECT count(*) FROM lockstep_migrations") == ["1"]
    running.lockstep.write("lockstep.yaml", "deploy: {engine: sqlite, version: '3'}\n")
    running.deploy(image, *HEALTH)
    assert running.serves() == "version 2"


def test_backup_first(running, sqlite):
    """From here, of the database that is named here; without one nothing is migrated."""
    running.lockstep.use(sqlite)
    sqlite.execute("CREATE TABLE kept (x int)")
    words = (*HEALTH, "--backup", "backups/")
    result = running.deploy(running.image("2", TWO), *words)
    lines = result.err.splitlines()
    made = [n for n, line in enumerate(lines) if "backup: backups/" in line]
    assert len(made) == 1 and made[0] < [n for n, line in enumerate(lines) if "applied" in line][0]
    result = running.deploy("web:2", *HEALTH, "--backup", "/proc/nowhere/", expect=None)
    assert result.exit not in (0, 7, 8) and "so nothing was migrated" in result.err


@pytest.mark.parametrize(
    "said", ("error during connect: dial tcp: lookup engine: no such host", "permission denied")
)
def test_an_engine_out_of_reach_is_no_empty_one(running, said):
    """Else what serves would be taken for nothing, and what is nothing is made anew."""
    before = running.engine.inspect("web")["Id"]
    real = shutil.which("docker")
    wrapper = running.lockstep.bin / "docker"
    wrapper.write_text(
        "#!/bin/sh\n"
        f'case "$*" in "container inspect web") echo "{said}" >&2; exit 1;; esac\n'
        f'exec {real} "$@"\n',
        encoding="ascii",
    )
    wrapper.chmod(0o755)
    result = running.deploy(running.image("2", TWO), *HEALTH, expect=1)
    wrapper.unlink()
    assert "the container engine did not answer" in result.err and said in result.err
    assert running.engine.inspect("web")["Id"] == before and running.serves() == "version 1"
    assert running.containers() == ["web"]


def test_an_engine_that_is_away_for_a_moment(running):
    """While the new release is looked at, and while it is put back: it is asked again."""
    before, away = running.engine.inspect("web")["Id"], running.lockstep.tmp / "away"
    wrapper = running.lockstep.bin / "docker"
    wrapper.write_text(
        "#!/bin/sh\n"
        'case "$*" in "container inspect web.next"|"rm --force web.next")\n'
        f'if [ -e {away}.now ] && [ "$(grep -cxF "$*" {away})" -lt 2 ]; then echo "$*" >>{away}\n'
        'echo "Cannot connect to the Docker daemon at unix:///x." >&2; exit 1; fi;;\n'
        f'"start web.next") : >{away}.now; : >{away};; esac\n'
        f'exec {shutil.which("docker")} "$@"\n',
        encoding="ascii",
    )
    wrapper.chmod(0o755)
    sick = running.image("2", TWO, 'CMD ["false"]')
    result = running.deploy(sick, *HEALTH, expect=7)
    assert len(away.read_text(encoding="ascii").splitlines()) == 4
    assert "the new release does not stay up" in result.err
    assert "Docker does not answer: trying again" in result.err
    for path in (away, away.with_name("away.now"), wrapper):
        path.unlink()
    assert running.engine.inspect("web")["Id"] == before and running.serves() == "version 1"
    assert running.containers() == ["web"]


def test_somebody_elses_container_is_not_removed(site):
    """Made under the name of a first deploy meanwhile: it is said, and left alone."""
    site.clean()
    image = site.image("1", ONE, 'CMD ["sleep", "60"]')
    started = site.start(image, *HEALTH, "--verify", "4s")
    net.until(lambda: site.containers() == ["web", "web.deploying"], what="the release")
    site.engine.docker("rm", "-f", "web")
    site.engine.docker("run", "-d", "--name", "web", "busybox", "sleep", "60")
    result = started.finish(expect=8)
    assert "the container 'web' is not this deploy's" in result.err
    assert site.containers() == ["web"]
