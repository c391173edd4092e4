# SPDX-License-Identifier: Apache-2.0
"""`lockstep deploy --target cloud-run`, with a gcloud and a project of the tests' own."""

import http.server
import json
import signal
import threading

import pytest
from support import net, secrets, tables
from support.platforms import BROKEN, ENDLESS, ONE, SLOW, TWO, CloudRun, killed

STRUCTURES = tables.table("run")["structures"]
REPOSITORY = "europe-west1-docker.pkg.dev/test/apps/web"


@pytest.fixture
def run(tmp_path, lockstep):
    ours = CloudRun(tmp_path / "project", lockstep)
    make = ours.image
    ours.image = lambda version, files, **facts: make(version, files, REPOSITORY, **facts)
    yield ours
    ours.close()


@pytest.fixture
def running(run):
    """web:1 serves, and its migration is applied."""
    one = run.image("1", ONE)
    run.first = run.serve(run.exact(one))
    run.migrate(one)
    return run


def is_migrating(run):
    return any(
        "completionTime" not in one["status"] and "began" in one["status"]
        for one in run.part("executions").values()
    )


# -- the whole way


@pytest.mark.asan
def test_new_version(running):
    two = running.image("2", TWO)
    result = running.deploy(two)
    assert running.serves() == [running.exact(two)] and running.versions() == ["001", "002"]
    assert result.applied() == 1 and "Migration finished" in result.err
    assert "Deploy finished: web serves" in result.err and running.left() == []
    order = [
        call
        for call in running.calls()
        if any(word in call for word in ("execute", "services update", "traffic"))
    ]
    assert [call.split()[1:3] for call in order][0] == ["jobs", "execute"]
    assert "--no-traffic" in order[1] and "--to-latest" in order[2]


def test_the_job(running):
    """By digest, once, with a limit of its own, and with what the service's revisions work with."""
    two = running.image("2", TWO)
    running.deploy(two, "--migrate-timeout", "20m")
    job = running.part("jobs")["web-migrate"]
    template = job["spec"]["template"]
    task = template["spec"]["template"]["spec"]
    container = task["containers"][0]
    assert container["image"] == running.exact(two) == running.serves()[0]
    assert container["command"] == ["lockstep"] and container["args"] == ["migrate"]
    assert task["maxRetries"] == 0 and task["timeoutSeconds"] == "1200"
    assert template["spec"]["taskCount"] == template["spec"]["parallelism"] == 1
    assert task["serviceAccountName"] == "web@test.iam"
    assert template["metadata"]["annotations"] == {
        "run.googleapis.com/cloudsql-instances": "test:europe-west1:main",
        "run.googleapis.com/vpc-access-connector": "inner",
    }
    assert container["env"][0]["valueFrom"]["secretKeyRef"]["name"] == "url"
    # A job may not have less.
    assert container["resources"]["limits"] == {"cpu": "1", "memory": "512Mi"}
    assert "startupProbe" not in container and "ports" not in container
    # By what Cloud Run's API takes, and would not take.
    assert tables.errors(STRUCTURES, "Job", job, "job") == []
    task["maxRetry"] = task.pop("maxRetries")
    container["args"] = "migrate"
    wrong = tables.errors(STRUCTURES, "Job", job, "job")
    assert [one.rpartition("template.spec")[2] for one in wrong] == [
        ": no maxRetry",
        ".containers.args is no list",
    ]


def test_failing_migration_releases_nothing(running):
    result = running.deploy(running.image("2", BROKEN), expect=1)
    assert "no such table: nobody" in result.err and "nothing was released" in result.err
    assert running.traffic() == {running.first: 100} and len(running.part("revisions")) == 1
    assert running.left() == [] and running.versions() == ["001"]


def test_revision_that_does_not_start(running):
    result = running.deploy(running.image("2", TWO, ready=False), expect=7)
    assert "failed to start and listen on the port" in result.err
    assert "the schema is at 002 (1 applied by this deploy)" in result.err
    assert running.traffic() == {running.first: 100} and running.left() == []
    # The next one begins at what serves, not at what was made last.
    three = running.image("3", TWO)
    running.deploy(three)
    assert running.serves() == [running.exact(three)] and running.left() == []


class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        self.send_response(200 if self.server.healthy else 503)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def health(run):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Health)
    server.asked, server.healthy = [], True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    run.serve(run.exact(run.image("1", ONE)), url=f"http://127.0.0.1:{server.server_port}/TAG")
    run.migrate(f"{REPOSITORY}:1")
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_health_before_traffic(run, health):
    """Asked at the URL of its tag, while the old revision has all traffic."""
    two = run.image("2", TWO)
    run.deploy(two, "--health-check", "/health")
    assert health.asked == ["/lockstep/health"] and run.serves() == [run.exact(two)]
    health.healthy = False
    result = run.deploy(
        run.image("3", TWO | {"003_age.sql": "ALTER TABLE users ADD COLUMN age int;"}),
        "--health-check",
        "/health",
        "--verify",
        "1s",
        expect=7,
    )
    assert "does not answer" in result.err and "503" in result.err
    noted = run.query("SELECT error FROM lockstep_runs ORDER BY started_at")[-1]
    assert noted.startswith("put back after the migration: 'web' serves "), result
    assert noted.endswith(f"{run.exact(two)} again"), result
    assert run.serves() == [run.exact(two)] and run.left() == []


def test_traffic_that_was_split_is_split_again(run):
    one = run.image("1", ONE)
    first = run.serve(run.exact(one))
    with run.project.open() as state:
        service = state["services"]["web"]
        second = run.project.add_revision(state, service)
        service["spec"]["traffic"] = [
            {"revisionName": first, "percent": 90},
            {"revisionName": second, "percent": 10},
        ]
        run.project.route(service)
    run.migrate(one)
    run.deploy(run.image("2", TWO, ready=False), expect=7)
    assert run.traffic() == {first: 90, second: 10}


@pytest.mark.asan
def test_putting_back_fails(running):
    running.faults(**{"--to-revisions": {"say": "ERROR: no", "times": 9}})
    result = running.deploy(running.image("2", TWO, ready=False), expect=8)
    assert "putting back failed too" in result.err and "A person is needed" in result.err


@pytest.mark.asan
def test_first_deploy(run):
    """There is a service, nothing of it has traffic yet."""
    one = run.image("1", ONE)
    run.serve(run.exact(one), traffic=[{"latestRevision": True, "percent": 0}])
    result = run.deploy(one)
    assert result.applied() == 1 and run.serves() == [run.exact(one)] and run.left() == []


def test_no_service(run):
    result = run.deploy(run.image("1", ONE), "--region", "europe-west1", expect=2)
    assert "there is no Cloud Run service 'web' in europe-west1" in result.err
    assert "init cloud-run" in result.err and run.left() == []


def test_same_image_again(running):
    result = running.deploy(f"{REPOSITORY}:1")
    assert result.applied() == 0 and "Migration skipped: nothing is pending" in result.err
    assert running.left() == []


# -- before anything is done


def test_the_digest_has_to_be_known(running):
    result = running.deploy("registry.example/web:2", expect=2)
    assert "the digest of 'registry.example/web:2' is not known here" in result.err
    assert running.calls() == []


def test_image_that_is_not_there(running):
    result = running.deploy(f"{REPOSITORY}:9", expect=1)
    assert "is not to be had" in result.err and "Image not found" in result.err


@pytest.mark.parametrize(
    "permission", ("run.services.get", "run.jobs.create", "run.jobs.update", "run.jobs.run")
)
def test_missing_rights(running, permission):
    running.faults(denied=[permission])
    result = running.deploy(running.image("2", TWO), expect=1)
    assert permission in result.err and "Cloud Run Developer" in result.err
    assert running.traffic() == {running.first: 100} and running.left() == []


def test_values_are_nowhere(running):
    secret = secrets.register("hunter2-over-there")
    other = running.folder / "data/other.db"
    running.lockstep.env |= {"TOKEN": secret, "LOCKSTEP_DATABASE_URL": f"sqlite:///{other}"}
    result = running.deploy(
        running.image("2", TWO), "--env", "TOKEN", "--env", "LOCKSTEP_DATABASE_URL"
    )
    assert secret not in json.dumps(running.calls()) + result.err
    assert other.exists() and running.versions() == ["001"]
    # It stood in the job, and went with it.
    assert running.part("jobs") == {} and running.left() == []


def test_dry_run(run):
    run.lockstep.env |= {"TOKEN": "hunter2hunter2", "CLOUDSDK_CONFIG": "/nowhere"}
    result = run.deploy(
        f"{REPOSITORY}:2", "--dry-run", "--env", "TOKEN", "--project", "shop", "--region", "here"
    )
    lines = result.out.splitlines()
    assert all(line.startswith(("gcloud ", "docker ", "{", "END")) for line in lines), lines
    [job] = [json.loads(line) for line in lines if line.startswith("{")]
    task = job["spec"]["template"]["spec"]["template"]["spec"]
    assert {"name": "TOKEN", "value": "***"} in task["containers"][0]["env"]
    assert tables.errors(STRUCTURES, "Job", job, "job") == []
    assert all(" --project shop " in line for line in lines if line.startswith("gcloud "))
    assert (
        "gcloud run jobs execute web-migrate --async --project shop --region here --quiet --format json"
        in lines
    )
    assert "hunter2" not in result.out + result.err and run.calls() == []


# -- the migration in trouble


def test_image_without_lockstep(running):
    result = running.deploy(running.image("2", TWO, no_program=True), expect=1)
    assert "can not be started" in result.err and "must hold lockstep" in result.err
    assert running.left() == []


def test_time_limit(running):
    result = running.deploy(running.image("2", ENDLESS), "--migrate-timeout", "2s", expect=1)
    assert "did not end within 2" in result.err and "nothing was released" in result.err
    assert running.left() == [] and running.versions() == ["001"]


def test_the_log_is_closed(running):
    """The task's exit status says it, and that the log can not be read is said once."""
    running.faults(denied=["logging.logEntries.list"])
    two = running.image("2", TWO)
    result = running.deploy(two)
    assert result.err.count("can not be read here") == 1 and running.serves() == [
        running.exact(two)
    ]
    result = running.deploy(running.image("3", TWO | {"003_x.sql": "DROP TABLE nobody;"}), expect=1)
    assert "the migration failed with status 1" in result.err and running.left() == []


def test_the_log_comes_late(running):
    running.set(log_delay=2)
    result = running.deploy(running.image("2", TWO))
    assert result.applied() == 1 and result.err.count("Migration started") == 1


def test_lost_with_its_machine(running):
    """Nobody knows how it ended: the migration is asked again, and says that all is done."""
    running.set(lost=True)
    result = running.deploy(running.image("2", TWO))
    assert "asking again" in result.err and running.versions() == ["001", "002"]
    assert len(running.part("executions")) == 2 and running.left() == []


def test_connection_cut_everywhere(running):
    orders = "jobs create", "jobs replace", "executions describe", "--no-traffic", "--to-latest"
    running.faults(
        **{words: {"times": 1} for words in (*orders, "services describe", "--remove-tags")}
    )
    two = running.image("2", TWO)
    result = running.deploy(two)
    assert running.serves() == [running.exact(two)] and running.left() == []
    assert "Cloud Run does not answer: trying again" in result.err


def test_lock_whose_answer_is_lost(running):
    running.faults(**{"jobs create": {"times": 1, "after": True}})
    two = running.image("2", TWO)
    running.deploy(two)
    assert running.serves() == [running.exact(two)] and running.left() == []


# -- several deploys, and dead ones


def test_two_at_once(running):
    both = [running.start(running.image(n, TWO)) for n in ("2", "3")]
    results = [one.finish() for one in both]
    assert sum(result.applied() for result in results) == 1
    assert any("waiting: another deploy of 'web'" in result.err for result in results)
    assert running.left() == []


def test_locked_and_stopped(running):
    started = running.start(running.image("2", ENDLESS))
    net.until(lambda: is_migrating(running), what="the migration")
    result = running.deploy(running.image("3", TWO), "--lock-wait", "1s", expect=5)
    assert "another deploy of 'web' is under way" in result.err
    assert (
        f"process {started.pid}" in result.err
        and "gcloud run jobs delete web-deploys" in result.err
    )
    killed(started, signal.SIGTERM)
    assert running.left() == [] and running.versions() == ["001"]
    assert running.traffic() == {running.first: 100}


def test_killed_while_it_migrates(running):
    two = running.image("2", SLOW)
    started = running.start(two)
    net.until(lambda: is_migrating(running), what="the migration")
    killed(started)
    result = running.deploy(two)
    assert "taking over from a deploy that did not end" in result.err
    assert "going on with the migration of a deploy that did not end" in result.err
    assert len(running.part("executions")) == 1 and result.applied() == 1
    assert running.serves() == [running.exact(two)] and running.left() == []


def test_killed_and_another_image(running):
    started = running.start(running.image("2", ENDLESS))
    net.until(lambda: is_migrating(running), what="the migration")
    killed(started)
    three = running.image("3", TWO)
    result = running.deploy(three)
    assert "cancelled" in result.err and running.serves() == [running.exact(three)]
    assert running.left() == []


@pytest.mark.parametrize("words", ("--no-traffic", "--to-latest", "--remove-tags"))
def test_killed_while_it_releases(running, words):
    running.faults(**{words: {"hang": 30}})
    two = running.image("2", TWO)
    started = running.start(two)
    net.until(lambda: running.is_at(words), what="the release")
    killed(started)
    running.faults()
    assert running.serves() == [
        running.exact(two if words == "--remove-tags" else f"{REPOSITORY}:1")
    ]
    result = running.deploy(two)
    assert (
        running.serves() == [running.exact(two)] and result.applied() == 0 and running.left() == []
    )


@pytest.mark.parametrize("words", ("--no-traffic", "--to-latest"))
def test_stopped_while_it_releases(running, words):
    running.faults(**{words: {"hang": 3}})
    started = running.start(running.image("2", TWO))
    net.until(lambda: running.is_at(words), what="the release")
    killed(started, signal.SIGTERM)
    assert running.traffic() == {running.first: 100} and running.left() == []
