# SPDX-License-Identifier: Apache-2.0
"""`lockstep deploy --target kubernetes`, with a kubectl and a cluster of the tests' own."""

import json
import os
import signal

import pytest
from support import net, schemas, secrets
from support.binary import ROOT
from support.platforms import BROKEN, ENDLESS, ONE, SLOW, TWO, Cluster, killed


@pytest.fixture
def kube(tmp_path, lockstep):
    ours = Cluster(tmp_path / "cluster", lockstep)
    yield ours
    ours.close()


@pytest.fixture
def running(kube):
    """web:1 serves, and its migration is applied."""
    one = kube.image("1", ONE)
    kube.apply(kube.exact(one))
    kube.migrate(one)
    net.until(kube.serves, what="the first release")
    return kube


def job_of(kube):
    """The Job made last."""
    return kube.get("Job")[-1]


def is_overdue(kube):
    conditions = kube.get("Deployment", "web")["status"].get("conditions", [])
    return any(one["reason"] == "ProgressDeadlineExceeded" for one in conditions)


def is_migrating(kube):
    return any(job.get("status", {}).get("active") for job in kube.get("Job")) and any(
        pod["status"]["phase"] == "Running" for pod in kube.get("Pod") if "owner" in pod["metadata"]
    )


# -- the whole way


@pytest.mark.asan
def test_new_version(running):
    two = running.image("2", TWO)
    result = running.deploy(two)
    assert running.serves() == running.exact(two) and running.versions() == ["001", "002"]
    assert result.applied() == 1 and "Migration applied" in result.err
    assert "Deploy finished: web serves registry.example/web:2 (sha256:" in result.err
    assert running.left() == [] and result.out == ""


def test_the_release_is_what_migrated(running):
    """A tag moves between migration and release: the release has the digest that migrated."""
    two = running.image("2", TWO)
    result = running.deploy(two)
    assert "the migration ran from registry.example/web@sha256:" in result.err
    assert running.asked_for() == running.exact(two)


def test_failing_migration_releases_nothing(running):
    result = running.deploy(running.image("2", BROKEN), expect=1)
    assert "Migration failed" in result.err and "no such table: nobody" in result.err
    assert "nothing was released" in result.err
    assert running.serves().endswith(running.images["registry.example/web:1"]["digest"])
    assert not any("set image" in call for call in running.calls()[-8:])
    assert running.left() == [] and running.versions() == ["001"]


def test_failing_rollout_is_undone(running):
    before = running.serves()
    sick = running.image("2", TWO, ready=False)
    result = running.deploy(sick, "--verify", "2s", expect=7)
    assert running.serves() == before == running.asked_for()
    assert "CrashLoopBackOff" in result.err and "were not ready in time" in result.err
    assert "the schema is at 002 (1 applied by this deploy)" in result.err
    assert f"'web' serves {before} again" in result.err and running.left() == []
    noted = f"put back after the migration: 'web' serves {before} again"
    assert noted in running.query("SELECT error FROM lockstep_runs"), result


def test_progress_deadline(running):
    with running.store.open() as state:
        running.store.get(state, "Deployment", "web")["spec"]["progressDeadlineSeconds"] = 1
    result = running.deploy(running.image("2", TWO, ready=False), expect=7)
    assert "exceeded its progress deadline" in result.err and running.left() == []


def test_progress_deadline_of_before(kube):
    """The pods waited for the schema longer than their deadline, which starts anew with nothing that
    this deploy does: the pods are the same."""
    one = kube.exact(kube.image("1", ONE, ready=False))
    kube.apply(one, progressDeadlineSeconds=1)
    net.until(lambda: is_overdue(kube), what="the deadline")
    kube.forget_calls()
    started = kube.start(one)
    net.until(lambda: kube.is_at("get pods"), what="a look behind the roll-out")
    kube.image("1", ONE)
    assert "Deploy finished" in started.finish().err
    assert kube.serves() == one and kube.left() == []


def test_putting_back_takes_longer_than_a_moment(running):
    """The passed deadline of what failed still stands when the old release is asked for again."""
    with running.store.open() as state:
        running.store.get(state, "Deployment", "web")["spec"]["progressDeadlineSeconds"] = 1
    running.set(ends_slowly=1)
    before = running.serves()
    result = running.deploy(running.image("2", TWO, ready=False), expect=7)
    assert "exceeded its progress deadline" in result.err and "CrashLoopBackOff" in result.err
    assert running.serves() == before and running.left() == []


def test_probe_fails(running):
    """It runs, waits for nothing, and is not ready: it is said which."""
    sick = running.image("2", TWO, ready=False, unhealthy=True)
    result = running.deploy(sick, "--verify", "1s", expect=7)
    assert "pod 'web-pod': containers with unready status: [web]" in result.err


def test_undo_without_history(running):
    """revisionHistoryLimit: 0 keeps no revision to go back to: the image is set back."""
    before = running.serves()
    running.set(no_history=True)
    running.deploy(running.image("2", TWO, ready=False), "--verify", "1s", expect=7)
    assert running.serves() == before == running.asked_for() and running.left() == []


def test_undo_without_a_right(running):
    """Who may not list replica sets can not go back by revision."""
    before = running.serves()
    running.faults(forbidden=["list replicasets"])
    running.deploy(running.image("2", TWO, ready=False), "--verify", "1s", expect=7)
    assert running.serves() == before == running.asked_for() and running.left() == []


def test_undo_fails(running):
    running.faults(**{"rollout undo": {"say": "error: no", "times": 9}})
    result = running.deploy(running.image("2", TWO, ready=False), "--verify", "1s", expect=8)
    assert "putting back failed too" in result.err and "A person is needed" in result.err
    assert "the schema is at 002" in result.err and "look at 'web' on Kubernetes" in result.err


@pytest.mark.asan
def test_first_deploy(kube):
    """The manifest is applied, its pods wait for the schema: nothing serves yet."""
    one = kube.image("1", ONE, ready=False)
    kube.apply(one)
    kube.images["registry.example/web:1"]["ready"] = True
    kube.set(nothing_comes_up=True)
    result = kube.deploy(one, "--verify", "1s", expect=7)
    assert "'web' does not serve, as before" in result.err and kube.left() == []
    kube.set(nothing_comes_up=False)
    kube.deploy(one)
    assert kube.serves() == kube.exact(one) and kube.versions() == ["001"]


def test_same_image_again(running):
    result = running.deploy("registry.example/web:1")
    assert result.applied() == 0 and "Migration skipped: nothing is pending" in result.err
    assert running.left() == []


# -- what the migration works with


def test_the_jobs_pod(kube):
    """What the service's pods work with, and nothing of what makes them a service."""
    one, tool = kube.image("1", ONE), "registry.example/tool:5"
    more = {
        "serviceAccountName": "web",
        "imagePullSecrets": [{"name": "registry"}],
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "db", "operator": "Exists"}],
        "securityContext": {"runAsNonRoot": True},
        "volumes": [{"name": "certs", "secret": {"secretName": "certs"}}],
        "affinity": {"podAntiAffinity": {}, "nodeAffinity": {"x": []}},
        "initContainers": [
            {"name": "gate", "image": one, "command": ["lockstep", "wait", "--for", "schema"]},
            {"name": "certificates", "image": tool},
            {"name": "proxy", "image": tool, "restartPolicy": "Always"},
        ],
        "container": {
            "volumeMounts": [{"name": "certs", "mountPath": "/certs"}],
            "resources": {"limits": {"memory": "1Gi"}},
            "command": ["serve"],
            "lifecycle": {"preStop": {}},
            "imagePullPolicy": "Always",
        },
    }
    kube.apply(one, pod=kube.pod(one, **more))
    kube.deploy(one, "--migrate-timeout", "90s")
    job = job_of(kube)
    pod, spec = job["spec"]["template"]["spec"], job["spec"]
    for (
        name
    ) in "serviceAccountName imagePullSecrets nodeSelector tolerations securityContext volumes".split():
        assert pod[name] == more[name], name
    assert pod["affinity"] == {"nodeAffinity": {"x": []}} and pod["restartPolicy"] == "Never"
    assert [one["name"] for one in pod["initContainers"]] == ["certificates", "proxy"]
    container = pod["containers"][0]
    assert container["command"] == ["lockstep", "migrate"] and container["image"] == one
    assert container["volumeMounts"] and container["resources"]["limits"] == {"memory": "1Gi"}
    assert not {"ports", "readinessProbe", "lifecycle", "args"} & set(container)
    assert {"name": "MODE", "value": "live"} in container["env"]
    assert spec["backoffLimit"] == 0 and spec["activeDeadlineSeconds"] == 90
    assert spec["ttlSecondsAfterFinished"] == 86400 and "podFailurePolicy" in spec
    # The Service's selector must not find it.
    assert "app" not in spec["template"]["metadata"]["labels"]
    # The gate has to ask for the new schema.
    gate = kube.get("Deployment", "web")["spec"]["template"]["spec"]["initContainers"][0]
    assert gate["image"] == kube.exact(one)


@pytest.mark.parametrize("minor", ("20", "25+"))
def test_old_server(running, minor):
    """Before 1.26 a server knows no podFailurePolicy."""
    running.faults(minor=minor)
    running.deploy(running.image("2", TWO))
    assert "podFailurePolicy" not in job_of(running)["spec"]


def test_values_are_nowhere(running):
    secret = secrets.register("hunter2-over-there")
    other = running.folder / "data/other.db"
    running.lockstep.env |= {"TOKEN": secret, "LOCKSTEP_DATABASE_URL": f"sqlite:///{other}"}
    result = running.deploy(
        running.image("2", TWO), "--env", "TOKEN", "--env", "LOCKSTEP_DATABASE_URL"
    )
    # Looked for in command lines by the fixture `lockstep`, as long as it runs.
    assert secret not in json.dumps(running.calls()) + result.err + json.dumps(job_of(running))
    assert other.exists() and running.versions() == ["001"]
    sources = {
        one["name"]: one.get("valueFrom")
        for one in job_of(running)["spec"]["template"]["spec"]["containers"][0]["env"]
    }
    assert sources["TOKEN"]["secretKeyRef"]["key"] == "TOKEN"
    made = {name: part for name, part in job_of(running).items() if name != "status"}
    schemas.assert_valid([{"kind": "kubernetes", "name": "made", "value": made}])
    assert running.left() == []


def test_values_go_with_the_job(running):
    """The Secret belongs to the Job: who deletes the Job deletes it, even when the deploy is dead."""
    running.lockstep.env["TOKEN"] = "x1"
    started = running.start(running.image("2", ENDLESS), "--env", "TOKEN")
    net.until(lambda: is_migrating(running), what="the migration")
    net.until(lambda: running.get("Secret")[0]["metadata"].get("ownerReferences"), what="its owner")
    assert (
        running.get("Secret")[0]["metadata"]["ownerReferences"][0]["name"]
        == job_of(running)["metadata"]["name"]
    )
    killed(started, signal.SIGTERM)
    assert running.left() == [] and running.get("Job") == []


def test_dry_run(kube):
    """Nothing is asked: there is no cluster."""
    kube.lockstep.env |= {"TOKEN": "hunter2hunter2", "KUBECONFIG": "/nowhere"}
    result = kube.deploy(
        "registry.example/web:2", "--dry-run", "--env", "TOKEN", "--namespace", "shop"
    )
    lines = result.out.splitlines()
    starts = ("kubectl --namespace shop ", "docker ", "{", "END")
    assert all(line.startswith(starts) for line in lines), lines
    # What kubectl would read is shown, and is an object for each here-document.
    given = [json.loads(line) for line in lines if line.startswith("{")]
    assert [one["kind"] for one in given] == ["ConfigMap", "Secret", "Job"]
    schemas.assert_valid({"kind": "kubernetes", "name": "given", "value": one} for one in given)
    assert given[1]["stringData"] == {"TOKEN": "***"}
    release = [
        line for line in lines if " set image deployment/web web=registry.example/web:2" in line
    ]
    assert len(release) == 1
    assert any(" logs --follow job/web-migrate-" in line for line in lines)
    assert "hunter2" not in result.out + result.err and kube.calls() == []
    assert "Deploy planned" in result.err


# -- what is wrong before anything is done


def test_unknown_deployment(kube):
    result = kube.deploy(kube.image("1", ONE), expect=2)
    assert "there is no deployment 'web'" in result.err and "init kubernetes" in result.err
    assert kube.left() == []


def test_unknown_namespace(running):
    result = running.deploy("registry.example/web:1", "--namespace", "nope", expect=2)
    assert 'namespaces "nope" not found' in result.err and "`--namespace`" in result.err


def test_unknown_context(running):
    result = running.deploy("registry.example/web:1", "--context", "other", expect=2)
    assert 'context "other" does not exist' in result.err and "config view" in result.err


def test_wrong_certificate(running):
    """No trying again makes it right."""
    say = "Unable to connect to the server: x509: certificate signed by unknown authority"
    running.faults(create={"say": say, "times": 9})
    result = running.deploy("registry.example/web:1", expect=2)
    assert "x509: certificate signed" in result.err and "trying again" not in result.err


@pytest.mark.parametrize(
    "forbidden", ("create jobs", "get deployments", "patch deployments", "create configmaps")
)
def test_missing_rights(running, forbidden):
    before = running.serves()
    running.faults(forbidden=[forbidden])
    result = running.deploy(running.image("2", TWO), expect=1)
    assert (
        "A deploy gets and patches the deployment" in result.err
        and "nothing was released" in result.err
    )
    assert running.serves() == before and running.versions() == ["001"]
    running.faults()
    assert running.left() == []


def test_rights_as_documented(running):
    """The table of docs/platforms/kubernetes.md is enough for all that a deploy does, and back."""
    text = (ROOT / "docs/platforms/kubernetes.md").read_text()
    table = text.partition("| resource | verbs |")[2].splitlines()[2:]
    allowed = []
    for line in table:
        resource, verbs = [one.strip() for one in line.strip("|").split("|")]
        name = resource.split("`")[1].partition(".")[0]
        allowed += [f"{verb} {name}" for verb in verbs.split(", ")]
    assert len(allowed) > 15
    running.faults(allowed=allowed)
    running.lockstep.env["TOKEN"] = "hunter2-here"
    secrets.register("hunter2-here")
    started = running.start(running.image("2", ENDLESS), "--env", "TOKEN")
    net.until(lambda: is_migrating(running), what="the migration")
    killed(started)
    running.deploy(running.image("3", TWO), "--env", "TOKEN")
    result = running.deploy(running.image("4", TWO, ready=False), "--verify", "1s", expect=7)
    assert "orbidden" not in result.err
    running.faults()
    assert running.left() == []


def test_which_container(kube):
    one = kube.image("1", ONE)
    pod = kube.pod(one)
    pod["spec"]["containers"].append({"name": "metrics", "image": "registry.example/metrics:3"})
    kube.apply(one, pod=pod)
    kube.deploy(one)
    assert len(job_of(kube)["spec"]["template"]["spec"]["containers"]) == 1
    other = kube.image("1", ONE, repository="registry.example/renamed")
    result = kube.deploy(other, expect=2)
    assert "which container of 'web'" in result.err and "'web', 'metrics'" in result.err
    kube.deploy(other, "--container", "web")
    assert kube.serves().startswith("registry.example/renamed@")
    result = kube.deploy(other, "--container", "wbe", expect=2)
    assert "has no container 'wbe'" in result.err


def test_paused(running):
    with running.store.open() as state:
        running.store.get(state, "Deployment", "web")["spec"]["paused"] = True
    result = running.deploy(running.image("2", TWO), expect=2)
    assert "is paused" in result.err and "kubectl rollout resume" in result.err


def test_not_installed(kube):
    kube.lockstep.env["PATH"] = str(kube.lockstep.bin)
    result = kube.deploy(kube.image("1", ONE), expect=2)
    assert "'kubectl' is not installed here" in result.err


# -- the job in trouble


def test_image_that_is_not_there(running):
    running.images["registry.example/web:9"] = {"missing": True, "digest": "sha256:0"}
    result = running.deploy("registry.example/web:9", expect=1)
    assert "ErrImagePull" in result.err and "not found" in result.err
    assert running.left() == [] and running.get("Job") == []


def test_image_without_lockstep(running):
    result = running.deploy(running.image("2", TWO, no_program=True), expect=2)
    assert "executable file not found" in result.err and "must hold lockstep" in result.err
    assert running.left() == []


def test_no_node(running):
    running.set(unschedulable=True)
    started = running.start(running.image("2", TWO))
    net.until(lambda: running.get("Job"), what="the job")
    net.until(
        lambda: any(
            one["status"].get("conditions")
            for one in running.get("Pod")
            if "owner" in one["metadata"]
        ),
        what="the pod",
    )
    running.set(unschedulable=False)
    assert started.finish().applied() == 1


def test_time_limit(running):
    before = running.serves()
    result = running.deploy(running.image("2", ENDLESS), "--migrate-timeout", "2s", expect=1)
    assert "did not end within 2" in result.err
    assert running.serves() == before and running.versions() == ["001"] and running.left() == []


def test_killed_for_its_memory(running):
    running.set(oom=True)
    started = running.start(running.image("2", ENDLESS))
    net.until(lambda: is_migrating(running), what="the migration")
    [process] = [one for one, _ in running.controllers.processes.values() if one.poll() is None]
    os.killpg(process.pid, signal.SIGKILL)
    assert "OOMKilled" in started.finish(expect=1).err
    running.set(oom=False)


def test_killed_on_its_node(running):
    started = running.start(running.image("2", ENDLESS))
    net.until(lambda: is_migrating(running), what="the migration")
    [process] = [one for one, _ in running.controllers.processes.values() if one.poll() is None]
    os.killpg(process.pid, signal.SIGKILL)
    assert "the migration failed with status 137: signal 9 ended it" in started.finish(expect=1).err
    assert running.versions() == ["001"] and running.left() == []


def test_the_job_is_deleted(running):
    """Somebody, or a node, takes it away: nobody knows how it ended, so the migration is asked again."""
    started = running.start(running.image("2", SLOW))
    net.until(lambda: is_migrating(running), what="the migration")
    with running.store.open() as state:
        for job in running.store.of_kind(state, "Job"):
            if job["status"].get("active"):
                job["metadata"]["deletionTimestamp"] = "now"
    result = started.finish()
    assert "how the migration ended is not known: asking again" in result.err
    assert running.versions() == ["001", "002"] and running.left() == []


@pytest.mark.parametrize("minor", ("25", "30"))
def test_the_node_is_drained(running, minor):
    """Where the server knows podFailurePolicy the Job makes another pod; else it is asked again."""
    running.faults(minor=minor)
    started = running.start(running.image("2", SLOW))
    net.until(lambda: is_migrating(running), what="the migration")
    running.controllers.drain()
    result = started.finish()
    assert running.versions() == ["001", "002"] and running.left() == []
    assert ("asking again" in result.err) == (minor == "25"), result
    # The pod may be told to end just when its last statement is done: then the next has no more to do.
    assert "Migration finished" in result.err or "nothing is pending" in result.err, result


# -- connections


def test_connection_cut_while_it_migrates(running):
    """The log breaks off after two lines, then the API server is away: nothing is lost or told twice."""
    running.faults(cut_logs=2, **{"get jobs,pods": {"times": 3}})
    result = running.deploy(running.image("2", SLOW))
    assert result.applied() == 1 and result.err.count("Migration started") == 1
    assert "the cluster does not answer: trying again" in result.err
    assert running.versions() == ["001", "002"] and running.left() == []


def test_no_logs(running):
    """The node's port is closed: the exit code says it, and the pod its last lines."""
    running.faults(no_logs=True)
    result = running.deploy(running.image("2", TWO))
    assert "the migration's log can not be read: Error from server" in result.err
    assert "no migration was applied" not in result.err and "schema is as the image" in result.err
    result = running.deploy(running.image("3", TWO | {"003_x.sql": "DROP TABLE nobody;"}), expect=1)
    assert "no such table: nobody" in result.err and running.left() == []


def test_connection_cut_everywhere(running):
    orders = (
        "create",
        "get deployment",
        "get jobs",
        "annotate",
        "set image",
        "rollout status",
        "delete",
    )
    running.faults(**{words: {"times": 1} for words in orders})
    two = running.image("2", TWO)
    running.deploy(two)
    assert running.serves() == running.exact(two) and running.left() == []


def test_create_whose_answer_is_lost(running):
    running.faults(**{"create": {"times": 1, "say": "error: unexpected EOF", "after": True}})
    running.deploy(running.image("2", TWO))
    assert len(running.get("Job")) == 1 and running.left() == []


# -- several deploys, and dead ones


def test_two_at_once(running):
    both = [running.start(running.image(n, TWO)) for n in ("2", "3")]
    results = [one.finish() for one in both]
    assert sum(result.applied() for result in results) == 1
    assert any("waiting: another deploy of 'web'" in result.err for result in results)
    assert running.left() == []


def test_locked(running):
    started = running.start(running.image("2", ENDLESS))
    net.until(lambda: is_migrating(running), what="the migration")
    result = running.deploy(running.image("3", TWO), "--lock-wait", "1s", expect=5)
    assert "another deploy of 'web' is under way" in result.err
    assert "kubectl delete configmap lockstep-deploy-web" in result.err
    assert f"process {started.pid}" in result.err
    killed(started, signal.SIGTERM)
    assert running.left() == []


def test_killed_while_it_migrates(running):
    """The next deploy of that image goes on with the job; one of another image ends it."""
    two = running.exact(running.image("2", SLOW))
    started = running.start(two)
    net.until(lambda: is_migrating(running), what="the migration")
    killed(started)
    result = running.deploy(two)
    assert "taking over from a deploy that did not end" in result.err
    assert "going on with the migration of a deploy that did not end" in result.err
    assert running.serves() == two and running.versions() == ["001", "002"]
    assert running.left() == [] and len(running.get("Job")) == 1


def test_killed_and_another_image(running):
    started = running.start(running.image("2", ENDLESS))
    net.until(lambda: is_migrating(running), what="the migration")
    killed(started)
    three = running.image("3", TWO)
    result = running.deploy(three)
    assert "a deploy that did not end left the job" in result.err
    assert running.serves() == running.exact(three) and running.left() == []


def test_killed_and_a_slow_node(running):
    """Its pod has ended, and its node does not say so for minutes: nobody waits for that."""
    running.set(pods_stay=True)
    started = running.start(running.image("2", ENDLESS))
    net.until(lambda: is_migrating(running), what="the migration")
    killed(started)
    three = running.image("3", TWO)
    running.deploy(three)
    assert running.serves() == running.exact(three)


@pytest.mark.parametrize("again", ("2", "3"))
def test_killed_while_it_rolls_out(running, again):
    """Half rolled out: goes on when the same image is asked for, else goes back first."""
    running.image("2", TWO, ready=False)
    started = running.start("registry.example/web:2")
    net.until(lambda: running.is_at("rollout status"), what="the rollout")
    killed(started)
    assert running.mark()
    image = running.exact(running.image(again, TWO, ready=False))
    running.forget_calls()
    started = running.start(image)
    # Undone: waits for what served; gone on with: for the new release.
    net.until(lambda: running.is_at("rollout status"), what="the second rollout")
    running.image(again, TWO)
    result = started.finish()
    said = "going on with deploy" if again == "2" else "'web' goes back to"
    assert said in result.err and running.serves() == image, result
    assert running.left() == [] and result.applied() == 0


def test_killed_when_all_was_done(running):
    running.faults(**{"lockstep/deploy-": {"hang": 30}})
    two = running.image("2", TWO)
    started = running.start(two)
    net.until(lambda: running.is_at("lockstep/deploy-"), what="the end")
    killed(started)
    running.faults()
    result = running.deploy(two)
    assert "ended before it said so" in result.err
    assert running.serves() == running.exact(two) and running.left() == []


def test_killed_between_migration_and_release(running):
    running.faults(**{"annotate deployment": {"hang": 30}})
    two = running.image("2", TWO)
    started = running.start(two)
    net.until(lambda: running.is_at("annotate deployment"), what="the release")
    killed(started)
    running.faults()
    result = running.deploy(two)
    assert running.serves() == running.exact(two) and result.applied() == 0 and running.left() == []


@pytest.mark.parametrize("words", ("set image", "rollout status"))
def test_stopped_while_it_releases(running, words):
    """SIGTERM behind the migration: put back before it ends."""
    before = running.serves()
    running.image("2", TWO, after=2)
    running.faults(**{words: {"hang": 5}})
    started = running.start("registry.example/web:2")
    net.until(lambda: running.is_at(words), what="the release")
    result = killed(started, signal.SIGTERM)
    net.until(lambda: running.serves() == before == running.asked_for(), what="the way back")
    assert running.left() == [], result
