# SPDX-License-Identifier: Apache-2.0
"""`lockstep deploy --target compose`, with the plugin of the docker command and with the older
docker-compose, on a container engine of the tests' own."""

import signal

import pytest
from support import compose, net, secrets
from support.binary import SOAK
from support.servers import Missing

ONE = {"001_users.sql": "CREATE TABLE users (id integer);"}
TWO = ONE | {"002_email.sql": "ALTER TABLE users ADD COLUMN email text;"}
BROKEN = ONE | {"002_email.sql": "ALTER TABLE nobody ADD COLUMN email text;"}
SLOW = ONE | {
    "002_slow.sql": "CREATE TABLE slow AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL "
    "SELECT x + 1 FROM n WHERE x < 20000000) SELECT max(x) AS x FROM n;"
}
HEALTH = ("--health-check", "/")
SICK = 'CMD ["httpd", "-f", "-p", "8001", "-h", "/app/www"]'

# What a value may hold that a shell or a file of variables would spoil.
ODD = "two words \"quoted\" $HOME 'single' #"
FILE = """
services:
  web:
    image: ${IMAGE:-web:1}
    environment: {DATABASE_URL: "sqlite:////data/app.db", ODD: "VALUE"}
    volumes: ["data:/data"]
    restart: always
    MORE
volumes: {data: {}}
"""
FILE = FILE.replace("VALUE", ODD.replace("$", "$$").replace('"', '\\"'))
DEPENDS = """depends_on: {cache: {condition: service_healthy}}
  worker:
    image: ${IMAGE:-web:1}
    command: sleep 1000
    stop_signal: SIGKILL
    healthcheck: {test: ["CMD", "test", "-e", "/app/www/index.html"], interval: 1s}
  cache:
    image: busybox
    command: sleep 1000
    stop_signal: SIGKILL
    healthcheck: {test: ["CMD", "true"], interval: 1s}
"""
TOKEN = secrets.register("tok3n-0f-the-project")
FIXED = 'ports: ["127.0.0.1:8080:8000"]'


def project_of(engine, lockstep, kind):
    try:
        project = compose.Project(engine, lockstep, kind)
    except Missing as missing:
        pytest.skip(str(missing))
    project.clean()
    return project


@pytest.fixture
def project(engine, lockstep):
    return project_of(engine, lockstep, "plugin")


# The older one takes seconds for what the plugin does at once: it is asked the life of a service.
@pytest.fixture(params=("plugin", "docker-compose"))
def each(engine, lockstep, request):
    return project_of(engine, lockstep, request.param)


def running(project, more=""):
    """web:1 serves."""
    project.lockstep.write("compose.yaml", FILE.replace("MORE", more))
    project.image("1", ONE)
    project.compose("up", "--detach", "web")
    return project


def test_life(each):
    """The first deploy, a new version, the same again; what the service needs is started first."""
    each.lockstep.write("compose.yaml", FILE.replace("MORE", DEPENDS))
    result = each.deploy(each.image("1", ONE), *HEALTH)
    assert each.serve() == ["version 1"] and result.applied() == 1
    assert len(each.of("cache")) == len(each.of("worker")) == 1
    first, cache = set(each.of()), set(each.of("cache"))

    result = each.deploy(each.image("2", TWO), *HEALTH)
    assert each.serve() == ["version 2"] and result.applied() == 1
    assert each.versions() == ["001", "002"]
    assert not first & set(each.of()) and set(each.of("cache")) == cache
    assert [one["Image"] for one in each.of("worker").values()] == [
        each.engine.inspect("web:2")["Id"]
    ]
    assert each.only_services() and "'web' serves web:1 (sha256:" in result.err

    second = set(each.of()) | set(each.of("worker"))
    result = each.deploy("web:2", *HEALTH)
    assert set(each.of()) | set(each.of("worker")) == second and result.applied() == 0
    assert "'web' serves this very release already" in result.err
    assert f"ODD={ODD}" in next(iter(each.of().values()))["Config"]["Env"]


def test_failing_migration_releases_nothing(project):
    before = running(project).of()
    result = project.deploy(project.image("2", BROKEN), *HEALTH, expect=1)
    assert "Migration failed" in result.err and "no such table: nobody" in result.err
    assert "nothing was released" in result.err and set(project.of()) == set(before)
    assert project.serve() == ["version 1"] and project.only_services()


def test_unhealthy_release_is_put_back(project):
    before = running(project, DEPENDS).of()
    result = project.deploy(project.image("2", TWO, SICK), *HEALTH, "--verify", "3s", expect=7)
    assert set(project.of()) == set(before) and project.serve() == ["version 1"]
    assert "the schema is at 002 (2 applied by this deploy)" in result.err
    assert "Put back: 'web' serves web:1" in result.err and project.only_services()
    assert "put back after the migration: 'web' serves web:1" in result.err


def test_port_of_the_host(each):
    """Two cannot have it: the old one goes first, and its image comes back."""
    running(each, FIXED)
    each.deploy(each.image("2", TWO), *HEALTH)
    assert each.serve() == ["version 2"] and len(each.of()) == 1
    result = each.deploy(each.image("3", TWO, SICK), *HEALTH, "--verify", "3s", expect=7)
    assert each.serve() == ["version 2"] and len(each.of()) == 1 and each.only_services()
    assert "Put back: 'web' serves web:2" in result.err


def test_replicas(project):
    """As many as run, or as the file says."""
    running(project)
    project.compose("up", "--detach", "--scale", "web=3", "web")
    project.deploy(project.image("2", TWO), *HEALTH)
    assert project.serve() == ["version 2"] * 3
    project.lockstep.write("compose.yaml", FILE.replace("MORE", "deploy: {replicas: 2}"))
    project.deploy("web:2", *HEALTH)
    assert project.serve() == ["version 2"] * 2 and project.only_services()


def test_worker_that_is_not_well(project):
    running(project, DEPENDS)
    project.deploy("web:1", *HEALTH)
    before = set(project.of()) | set(project.of("worker"))
    sick = project.image("2", TWO, "RUN mv /app/www/index.html /app/www/other.html")
    result = project.deploy(sick, "--health-check", "/other.html", expect=7)
    assert "'worker'" in result.err and project.only_services()
    assert set(project.of()) | set(project.of("worker")) == before


def test_putting_back_fails(project):
    """The new release spoils what the old one lives on: a person is needed."""
    running(project, FIXED)
    spoil = 'CMD ["sh", "-c", "rm -rf /data/*; exit 3"]'
    keep = 'CMD ["sh", "-c", "test -e /data/app.db && exec httpd -f -p 8000 -h /app/www"]'
    project.deploy(project.image("2", TWO, keep), *HEALTH)
    result = project.deploy(project.image("3", TWO, spoil), *HEALTH, expect=8)
    assert "putting back failed too" in result.err and "A person is needed" in result.err
    project.engine.docker("rm", "--force", *project.containers())


def test_step_of_the_file(project):
    """A service that migrates, and that others wait for, is what the deploy does itself."""
    step = """depends_on: {migrate: {condition: service_completed_successfully}}
  migrate:
    image: ${IMAGE:-web:1}
    command: sh -c "exit 9"
"""
    project.lockstep.write("compose.yaml", FILE.replace("MORE", step))
    result = project.deploy(project.image("1", ONE), *HEALTH)
    assert project.serve() == ["version 1"] and result.applied() == 1
    assert project.containers() == [name for name in project.containers() if "web" in name]


@pytest.mark.static
def test_image_without_lockstep(project):
    """The binary hands itself over, by an image that is gone afterwards."""
    running(project)
    bare = project.image("2", TWO, with_lockstep=False)
    project.lockstep.write(
        "compose.yaml", FILE.replace("MORE", "healthcheck: {test: 'true', interval: 1s}")
    )
    result = project.deploy(bare)
    assert project.serve() == ["version 2"] and result.applied() == 2 and project.only_services()
    assert "migrate" not in project.engine.docker("image", "ls", "--all").stdout


def test_dry_run(project):
    """Nothing is asked, nothing is run: there is no engine at that address."""
    project.lockstep.write("compose.yaml", FILE.replace("MORE", ""))
    address = project.lockstep.env["DOCKER_HOST"]
    project.lockstep.env |= {"DOCKER_HOST": "unix:///nowhere", "TOKEN": TOKEN}
    result = project.deploy("web:2", "--dry-run", "--env", "TOKEN", *HEALTH)
    lines = result.out.splitlines()
    migration = [line for line in lines if "run --detach" in line]
    assert len(migration) == 1 and "TOKEN=*** " in migration[0] and "-e TOKEN" in migration[0]
    assert lines[lines.index(migration[0]) - 1] == (
        """echo '{"services":{"web":{"image":"web:2"}}}' > lockstep.override.json"""
    )
    up = [line for line in lines if "--no-recreate" in line]
    assert len(up) == 1 and up[0].endswith("--scale web=1 web")
    project.lockstep.env["DOCKER_HOST"] = address


def test_refusals(project):
    result = project.deploy(project.image("1", ONE), expect=2)
    assert "there is no Compose file here" in result.err
    project.lockstep.write("compose.yaml", "services: {wbe: {image: web:1}}\n")
    result = project.deploy("web:1", expect=2)
    assert "has no service 'web'" in result.err and "Did you mean 'wbe'?" in result.err
    project.lockstep.write("compose.yaml", "services: {web: {imgae: web:1}}\n")
    result = project.deploy("web:1", expect=2)
    assert "Compose does not take the file 'compose.yaml'" in result.err and "imgae" in result.err


def test_two_at_once(project):
    running(project)
    project.image("2", TWO), project.image("3", TWO)
    results = [one.finish() for one in [project.start(f"web:{n}", *HEALTH) for n in (2, 3)]]
    assert sum(result.applied() for result in results) == 2
    assert any("waiting: another deploy of 'web'" in result.err for result in results)
    assert project.serve() in (["version 2"], ["version 3"]) and project.only_services()
    held = project.start(project.image("4", TWO | {"003_slow.sql": SLOW["002_slow.sql"]}), *HEALTH)
    project.until_there(".migrate-")
    result = project.deploy("web:2", *HEALTH, "--lock-wait", "1s", expect=5)
    assert "another deploy of 'web' is under way" in result.err
    held.signal(signal.SIGTERM)
    held.finish(expect=128 + signal.SIGTERM)


@pytest.mark.parametrize("how", (signal.SIGTERM, signal.SIGKILL))
def test_killed_while_it_migrates(project, how):
    running(project)
    started = project.start(project.image("2", SLOW), *HEALTH)
    project.until_there(".migrate-")
    started.signal(how)
    result = started.finish(expect=128 + how)
    assert project.serve() == ["version 1"]
    assert how != signal.SIGTERM or project.only_services(), result
    project.deploy("web:2", *HEALTH)
    assert project.serve() == ["version 2"] and project.only_services()
    assert project.versions() == ["001", "002"]


BESIDE = pytest.param(signal.SIGTERM, "", id="beside-TERM")
IN_PLACE = pytest.param(signal.SIGKILL, FIXED, id="in-place-KILL")
OTHERS = [
    pytest.param(signal.SIGKILL, "", id="beside-KILL"),
    pytest.param(signal.SIGTERM, FIXED, id="in-place-TERM"),
]


@pytest.mark.parametrize("how, ports", [BESIDE, IN_PLACE, *(OTHERS if SOAK else [])])
def test_killed_while_it_verifies(project, how, ports):
    """What it left half done is undone by itself, or by the next deploy."""
    running(project, ports)
    image = project.engine.inspect("web:1")["Id"]
    started = project.start(project.image("2", TWO, SICK), *HEALTH, "--verify", "60s")
    net.until(lambda: any(one["Image"] != image for one in project.of().values()), what="web:2")
    started.signal(how)
    started.finish(expect=128 + how)
    if how == signal.SIGKILL:
        result = project.deploy(project.image("3", BROKEN), *HEALTH, expect=6)
        assert "an earlier deploy did not end: what served before comes back" in result.err
    assert project.serve() == ["version 1"] and project.only_services()


def test_killed_when_all_is_well(project):
    """Between the release and its end: it stays, and only the old containers go."""
    running(project)
    well = project.image("2", TWO, "HEALTHCHECK --interval=1s CMD true")
    started = project.start(well, "--health-check", "/missing")
    net.until(
        lambda: any(
            one["State"].get("Health", {}).get("Status") == "healthy"
            for one in project.of().values()
        ),
        what="web:2",
    )
    assert project.serve() == ["version 1", "version 2"]
    started.signal(signal.SIGKILL)
    started.finish(expect=128 + signal.SIGKILL)
    result = project.deploy(project.image("3", BROKEN), *HEALTH, expect=6)
    assert "its release is well, and stays" in result.err
    assert project.serve() == ["version 2"] and project.only_services()
