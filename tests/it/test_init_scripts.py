# SPDX-License-Identifier: Apache-2.0
"""The scripts that `init` writes, started: what they call in which order, and what stops them.

Each platform's own program is a stand-in that writes its words down and answers as the test says. It
is a shell script with a case for each call, by pattern; what no case names fails.
"""

import os
import subprocess

import pytest
import yaml
from support import aws, engine, net

DIGEST = "registry.example.com/shop@sha256:" + "0123456789ab" + "c" * 52


class Scene:
    def __init__(self, app, folder):
        self.app, self.folder = app, folder
        folder.mkdir()
        self.calls = folder / "calls"

    def stand_in(self, name, cases):
        """cases: {pattern of the words: shell lines}, the first that fits."""
        body = "\n".join(f"{pattern})\n{lines}\n;;" for pattern, lines in cases.items())
        path = self.folder / name
        path.write_text(
            f'#!/bin/sh\nwords="$*"\necho "{name} $words" >> {self.calls}\ncase $words in\n{body}\n'
            f'*) echo "{name}: not expected: $words" >&2; exit 99 ;;\nesac\n'
        )
        path.chmod(0o755)

    def run(self, *words, expect=0, **env):
        self.calls.write_text("")
        done = subprocess.run(
            words,
            cwd=self.app.dir,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={"PATH": f"{self.folder}:{os.environ['PATH']}", "HOME": str(self.folder), **env},
        )
        assert done.returncode == expect, f"{words}: {done}"
        assert "not expected" not in done.stderr, done.stderr
        return done, self.calls.read_text().splitlines()


@pytest.fixture
def scene(lockstep, tmp_path):
    return Scene(lockstep, tmp_path / "stand-ins")


def index(calls, text):
    found = [i for i, call in enumerate(calls) if text in call]
    assert len(found) == 1, f"{text}: {calls}"
    return found[0]


# -- Cloud Run ------------------------------------------------------------------------------------


@pytest.mark.parametrize("fails", [False, True])
def test_cloud_run(scene, fails):
    scene.app.run("init", "cloud-run", "--app", "shop")
    scene.stand_in(
        "gcloud",
        {
            '"run jobs deploy "*': "exit 0",
            '"run jobs execute "*': f"exit {int(fails)}",
            '"run deploy "*': "exit 0",
        },
    )
    env = {"PROJECT": "p", "REGION": "r", "SECRET": "s", "CLOUDSQL": "p:r:i"}
    done, calls = scene.run("cloud-run/deploy.sh", DIGEST, expect=int(fails), **env)
    job = calls[index(calls, "run jobs deploy")]
    for words in (
        "--max-retries 0",
        "--task-timeout 3600s",
        "--set-cloudsql-instances p:r:i",
        f"--image {DIGEST}",
        "--command lockstep --args migrate",
    ):
        assert words in job, job
    assert index(calls, "run jobs execute shop-migrate --wait") == 1
    if fails:
        assert len(calls) == 2 and "the service was not touched" in done.stderr
    else:
        service = calls[index(calls, "run deploy shop ")]
        assert "--add-cloudsql-instances p:r:i" in service and f"--image {DIGEST}" in service
    # A tag, and nothing to deploy to.
    assert scene.run("cloud-run/deploy.sh", "shop:latest", expect=2, **env)[1] == []
    assert scene.run("cloud-run/deploy.sh", DIGEST, expect=2)[1] == []


# -- ECS ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "task, code, message",
    [
        ("arn:task/1", "0", None),
        ("arn:task/1", "1", "exit code 1"),
        ("arn:task/1", "None", "CannotPullContainerError"),
        ("None", "0", "was not placed"),
    ],
)
def test_ecs(scene, task, code, message):
    scene.app.run("init", "ecs", "--app", "shop")
    running = scene.folder / "running"
    running.touch()
    scene.stand_in("sleep", {"*": ""})
    scene.stand_in(
        "aws",
        {
            '"ecs run-task "*': f"echo {task}",
            # The first look finds it running.
            "*lastStatus*": f"if [ -e {running} ]; then rm {running}; echo RUNNING; else echo STOPPED; fi",
            "*exitCode*": f"echo {code}",
            "*stopCode*": "echo TaskFailedToStart CannotPullContainerError",
            '"ecs update-service "*': "echo arn:service",
            '"ecs wait services-stable "*': "exit 0",
        },
    )
    done, calls = scene.run(
        "ecs/deploy.sh",
        "c",
        "shop:42",
        "shop",
        expect=0 if message is None else 1,
        SUBNETS="s1,s2",
        SECURITY_GROUPS="g",
    )
    assert '"command":["lockstep","migrate"]' in calls[0] and "subnets=[s1,s2]" in calls[0]
    updated = [call for call in calls if "update-service" in call]
    assert len(updated) == (message is None), calls
    assert message is None or message in done.stderr, done
    if updated:
        assert "--task-definition shop:42" in updated[0] and "sleep 5" in calls
    if message == "CannotPullContainerError":
        assert any("stoppedReason" in call for call in calls)
    for call in calls:
        assert call == "sleep 5" or aws.errors(call) == [], call


@pytest.mark.parametrize(
    "call, said",
    [
        ("run-tasks --task-definition x", "no call"),
        ("run-task --cluster c", "taskDefinition is missing"),
        ("run-task --task-definition x --launch-mode FARGATE", "no --launch-mode"),
        ("run-task --task-definition x --launch-type LAMBDA", "launchType: 'LAMBDA' is no EC2"),
        (
            'run-task --task-definition x --overrides {"containerOverrides":[{"name":"a","cmd":[]}]}',
            "containerOverrides: no cmd",
        ),
        (
            'run-task --task-definition x --overrides {"containerOverrides":[{"command":"a b"}]}',
            "command is no list",
        ),
        (
            "run-task --task-definition x --network-configuration awsvpcConfiguration={subnet=[a]}",
            "awsvpcConfiguration: no subnet",
        ),
        ("describe-tasks --tasks a b --query tasks[0].status", "no status in Task"),
        ("describe-tasks --tasks a --query tasks.lastStatus", "no lastStatus in Task*"),
        ("describe-tasks --tasks a --query tasks[0].containers[?id=='a'].exitCode", "no id in"),
        (
            "describe-tasks --tasks a --query tasks[0].[stopCode,stopReason]",
            "no stopReason in Task",
        ),
        ("wait service-stable --services a", "no call"),
    ],
)
def test_ecs_calls_that_are_wrong(call, said):
    assert any(said in one for one in aws.errors(f"aws ecs {call}")), aws.errors(f"aws ecs {call}")


def test_ecs_gives_up_after_its_own_limit(scene):
    scene.app.run("init", "ecs", "--app", "shop")
    scene.stand_in("sleep", {"*": ""})
    scene.stand_in("aws", {'"ecs run-task "*': "echo arn:task/1", "*lastStatus*": "echo RUNNING"})
    done, calls = scene.run(
        "ecs/deploy.sh",
        "c",
        "shop:42",
        "shop",
        expect=1,
        LIMIT="700",
        SUBNETS="s",
        SECURITY_GROUPS="g",
    )
    assert "still running after 700 s" in done.stderr
    assert len([call for call in calls if call.startswith("sleep")]) == 140, "more than ten minutes"
    assert "usage" in scene.run("ecs/deploy.sh", expect=2)[0].stderr


# -- Kamal ----------------------------------------------------------------------------------------


def test_kamal(scene):
    scene.app.run("init", "kamal")
    hook = ".kamal/hooks/pre-deploy"
    scene.stand_in("kamal", {"*": "exit ${KAMAL_CODE:-0}"})
    expected = "kamal app exec --primary --version v7 lockstep migrate"
    assert scene.run(hook, KAMAL_VERSION="v7")[1] == [expected]
    assert scene.run(hook, KAMAL_VERSION="v7", KAMAL_DESTINATION="staging")[1] == [
        "kamal app exec --primary --version v7 --destination staging lockstep migrate"
    ]
    assert scene.run(hook, KAMAL_VERSION="v7", KAMAL_CODE="1", expect=1)[1] == [expected]
    assert scene.run(hook, KAMAL_VERSION="v6", KAMAL_COMMAND="rollback")[1] == []
    scene.run(hook, expect=2)


# -- Kubernetes -----------------------------------------------------------------------------------


def kubectl(scene, job, rollout=0, there=False):
    """job: what the Job comes to, Complete or Failed; there: the digest's Job is there already."""
    made = scene.folder / "made"
    if there:
        made.touch()
    scene.stand_in("sleep", {"*": ""})
    scene.stand_in(
        "kubectl",
        {
            "*jsonpath*": f"case $words in *\"'{job}'\"*) [ -e {made} ] && printf True; ;; esac; exit 0",
            '*"get job "*': f"[ -e {made} ]",
            '*"delete job "*': f"rm {made}",
            '*"create -f -"': f"cat > {scene.folder}/job.yaml; touch {made}",
            '*"apply -f -"': f"cat > {scene.folder}/deployment.yaml",
            '*"logs job/"*': "echo log of the job",
            '*"rollout status "*': f"exit {rollout}",
            '*"rollout undo "*': "exit 0",
        },
    )


def test_kubernetes(scene):
    scene.app.run("init", "kubernetes", "--app", "shop")
    kubectl(scene, "Complete")
    done, calls = scene.run("k8s/deploy.sh", DIGEST, KUBECTL="kubectl --context prod")
    assert all(call.startswith("kubectl --context prod ") for call in calls if "sleep" not in call)
    job = yaml.safe_load((scene.folder / "job.yaml").read_text())
    assert job["metadata"]["name"] == "shop-migrate-0123456789ab"
    assert "generateName" not in job["metadata"]
    assert job["spec"]["template"]["spec"]["containers"][0]["image"] == DIGEST
    assert job["spec"]["podFailurePolicy"]["rules"][0]["onExitCodes"]["values"][:3] == [1, 2, 6]
    pod = yaml.safe_load((scene.folder / "deployment.yaml").read_text())["spec"]["template"]["spec"]
    assert {one["image"] for one in pod["containers"] + pod["initContainers"]} == {DIGEST}
    assert index(calls, "create -f -") < index(calls, "apply -f -") < index(calls, "rollout status")
    assert "log of the job" in done.stdout
    # The same digest again: its Job is joined, not made a second time.
    _, calls = scene.run("k8s/deploy.sh", DIGEST)
    assert not any("create" in call or "delete" in call for call in calls)


def test_kubernetes_failed_migration(scene):
    scene.app.run("init", "kubernetes", "--app", "shop")
    kubectl(scene, "Failed")
    done, calls = scene.run("k8s/deploy.sh", DIGEST, expect=1)
    assert "the Deployment was not touched" in done.stderr and "log of the job" in done.stderr
    assert not any("apply" in call for call in calls)
    # A second try replaces the Job that failed.
    _, calls = scene.run("k8s/deploy.sh", DIGEST, expect=1)
    assert index(calls, "delete job shop-migrate-0123456789ab") < index(calls, "create -f -")


def test_kubernetes_failed_rollout(scene):
    scene.app.run("init", "kubernetes", "--app", "shop")
    kubectl(scene, "Complete", rollout=1)
    done, calls = scene.run("k8s/deploy.sh", DIGEST, expect=1)
    assert calls[-1] == "kubectl rollout undo deployment/shop"
    assert "the old one is back, on the new schema" in done.stderr
    assert scene.run("k8s/deploy.sh", "shop:latest", expect=2)[1] == []


# -- GitHub ---------------------------------------------------------------------------------------


@pytest.fixture
def action(scene):
    """action(code, output, **env): the action's own step, around a lockstep that does as told."""
    scene.app.run("init", "github", "--app", "shop")
    text = (scene.app.dir / ".github/actions/lockstep/action.yml").read_text()
    script = yaml.safe_load(text)["runs"]["steps"][1]["run"]
    temp = scene.folder / "temp"
    (temp / "lockstep").mkdir(parents=True)

    def run(code, output, expect=None, **env):
        binary = temp / "lockstep/lockstep"
        binary.write_text(
            f"#!/bin/sh\nenv > {scene.folder}/environment\nprintf '%s\\n' \"$*\"\n"
            f"printf '%s\\n' '{output}' >&2\nexit {code}\n"
        )
        binary.chmod(0o755)
        for name in ("output", "summary"):
            (scene.folder / name).write_text("")
        # As the runner starts `shell: bash`.
        done, calls = scene.run(
            "bash",
            "--noprofile",
            "--norc",
            "-eo",
            "pipefail",
            "-c",
            script,
            expect=code if expect is None else expect,
            RUNNER_TEMP=str(temp),
            GITHUB_OUTPUT=str(scene.folder / "output"),
            GITHUB_STEP_SUMMARY=str(scene.folder / "summary"),
            **{"COMMAND": "deploy", "SSH_KEY": "", "KNOWN_HOSTS": "", "DATABASE": "", **env},
        )
        return done.stdout, (scene.folder / "output").read_text(), calls

    return run


@pytest.mark.parametrize(
    "code, outcome",
    [
        (0, "succeeded"),
        (1, "a migration failed"),
        (8, "could not be put back"),
        (137, "exit code 137"),
    ],
)
def test_github_action(scene, action, code, outcome):
    log, output, _ = action(code, "::error::from a tool", COMMAND="migrate --wait 5s")
    lines = log.splitlines()
    token = next(line for line in lines if line.startswith("::stop-commands::"))[17:]
    assert lines.index(f"::stop-commands::{token}") < lines.index("::error::from a tool")
    assert lines.index("::error::from a tool") < lines.index(f"::{token}::")
    assert "migrate --wait 5s" in lines
    assert f"exit-code={code}\n" in output and outcome in output
    annotations = [line for line in lines if line.startswith("::error title=lockstep")]
    assert len(annotations) == (code != 0) and all(outcome in one for one in annotations)
    summary = (scene.folder / "summary").read_text()
    assert f"### lockstep migrate: " in summary and "    ::error::from a tool" in summary


def test_github_action_masks(scene, action):
    url = "postgres://app:s3cr3t-word@db/shop"
    log, _, _ = action(0, "ready", DATABASE=url)
    before, _, after = log.partition("::group::")
    assert before.splitlines() == [f"::add-mask::{url}", "::add-mask::s3cr3t-word"]
    assert "s3cr3t-word" not in after
    environment = (scene.folder / "environment").read_text()
    assert f"LOCKSTEP_DATABASE_URL={url}\n" in environment
    for name in ("DATABASE=", "SSH_KEY=", "KNOWN_HOSTS="):
        assert f"\n{name}" not in environment
    assert (
        action(0, "x", DATABASE="sqlite:app.db")[0].splitlines()[0] == "::add-mask::sqlite:app.db"
    )


def test_github_action_ssh(scene, action, tmp_path):
    """A real key and a real agent: there for lockstep, and gone afterwards."""
    key = tmp_path / "key"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "deploy key", "-f", key], check=True
    )
    log, _, _ = action(0, "x", expect=2, SSH_KEY=key.read_text())
    assert "known-hosts is empty" in log and "::group::" not in log
    action(0, "x", SSH_KEY=key.read_text().rstrip("\n"), KNOWN_HOSTS="server ssh-ed25519 AAAA")
    environment = dict(
        line.split("=", 1)
        for line in (scene.folder / "environment").read_text().splitlines()
        if "=" in line
    )
    assert "server ssh-ed25519 AAAA\n" in (scene.folder / ".ssh/known_hosts").read_text()
    net.until(lambda: not engine.alive(environment["SSH_AGENT_PID"]), what="the agent's end")
    body = key.read_text().splitlines()[1]
    left = [path for path in scene.folder.rglob("*") if path.is_file() and body in path.read_text()]
    assert not left, "the key was written to a file"
