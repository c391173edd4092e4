# SPDX-License-Identifier: Apache-2.0
"""A design of docs/seeds.md: Django's migrations as a Cloud Run job before the service. Django is
this machine's own; the project and gcloud are the stand-ins'."""

import subprocess

import pytest
from support import net
from support.binary import ROOT
from support.platforms import STANDINS, CloudRun

REPOSITORY = "europe-west1-docker.pkg.dev/test/apps/web"


def project(*folders):
    files = {}
    for folder in folders:
        top = ROOT / "tests/tools/django" / folder
        files |= {
            str(path.relative_to(top)): path.read_text("utf-8")
            for path in sorted(top.rglob("*.py"))
        }
    return files


@pytest.fixture
def run(tmp_path, lockstep):
    """The service of an earlier deploy: its first revision, and the schema of its migrations."""
    ours = CloudRun(tmp_path / "project", lockstep)
    one = ours.image_of("1", project("base"), REPOSITORY)
    ours.first = ours.serve(ours.exact(one))
    ours.deploy(one)
    yield ours
    ours.close()


def migrations(run):
    return run.query("SELECT name FROM django_migrations WHERE app = 'blog' ORDER BY id")


def test_job_before_service(run):
    """One job of the very image that is served then, once, with its own limits; no entrypoint
    migrates."""
    assert len(migrations(run)) == 3
    two = run.image_of("2", project("base", "new"), REPOSITORY)
    run.forget_calls()
    result = run.deploy(two)
    calls = run.calls()
    done = [
        next(number for number, call in enumerate(calls) if words in call)
        for words in ("jobs replace", "jobs execute", "services update web", "--to-latest")
    ]
    assert done == sorted(done)
    assert len(migrations(run)) == 4 and result.applied() == 1
    task = run.part("jobs")["web-migrate"]["spec"]["template"]["spec"]["template"]["spec"]
    assert task["containers"][0]["image"] == run.exact(two) == run.serves()[0]
    assert task["maxRetries"] == 0 and task["timeoutSeconds"] == "3600"


def test_failing_job_leaves_the_service(run):
    """Tried once, not four times; the old revision keeps serving, and the mended image goes through."""
    before, executions = run.serves(), len(run.part("executions"))
    result = run.deploy(run.image_of("2", project("base", "broken"), REPOSITORY), expect=1)
    assert "nothing was released" in result.err and run.serves() == before
    assert len(run.part("executions")) == executions + 1 and len(migrations(run)) == 3
    three = run.image_of("3", project("base", "new"), REPOSITORY)
    run.deploy(three)
    assert run.serves() == [run.exact(three)] and len(migrations(run)) == 4


def test_executions_that_overlap(run):
    """Somebody starts the job by hand as well: each migration happens once."""
    two = run.image_of("2", project("base", "slow"), REPOSITORY)
    started = run.start(two)
    words = ["gcloud", "run", "jobs", "execute", "web-migrate", "--async", "--quiet"]
    net.until(lambda: run.is_at("executions describe"), what="the execution")
    env = run.lockstep.env | {"PATH": f"{STANDINS}:{run.path}"}
    subprocess.run([*words, "--format", "json"], env=env, check=True, capture_output=True)
    started.finish()
    net.until(lambda: not run.left(), what="the end of both")
    assert run.query("SELECT count(*) FROM hits") == [1]


def test_same_tag_again(run):
    """A tag that was moved is another digest: the job runs, where Terraform would see no change."""
    run.image_of("2", project("base", "new"), REPOSITORY)
    moved = run.images[f"{REPOSITORY}:2"]
    run.images[f"{REPOSITORY}:1"] = moved
    run.changed()
    run.deploy(f"{REPOSITORY}:1")
    assert len(migrations(run)) == 4 and run.serves() == [f"{REPOSITORY}@{moved['digest']}"]
