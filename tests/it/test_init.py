# SPDX-License-Identifier: Apache-2.0
"""`init PLATFORM`: the files are what their readers take, fit the project, and overwrite nothing."""

import itertools
import json
import os
import re
import shutil
import subprocess
import tomllib

import pytest
import yaml
from support import schemas, terraform
from support.binary import BINARY, ROOT

PLATFORMS = (
    "dokku github gitlab cloud-run kubernetes helm compose swarm docker heroku fly render railway "
    "kamal ecs"
).split()
NEEDS_PROGRAM = ("dokku", "docker", "heroku")
PROJECTS = {
    "empty": {},
    "django": {
        "manage.py": "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n",
        "requirements.txt": "django\ngunicorn\n",
        "pyproject.toml": '[project]\nname = "My_Shop"\nversion = "1"\n',
    },
    "node": {
        "package.json": json.dumps(
            {
                "name": "@acme/Web.Shop",
                "scripts": {
                    "start": "node server.js --title 'a b'",
                    "migrate": "knex migrate:latest",
                },
            }
        ),
        "package-lock.json": "{}",
    },
    "sql": {
        "migrations/001_users.sql": "CREATE TABLE users (id integer PRIMARY KEY);\n",
        "Dockerfile": '# syntax\nFROM golang AS build\nCMD ["no"]\nFROM scratch\nEXPOSE 9000/tcp\n'
        'CMD ["/shop", \\\n  # said twice\n  "--listen=\\"all\\""]\n',
    },
}


def project(app, name):
    for path, text in PROJECTS[name].items():
        app.write(path, text)


def program(platform, name):
    needed = name == "empty" and platform in NEEDS_PROGRAM
    return ("--", "python3", "-m", "http.server") if needed else ()


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def init(app, *words, expect=0, **more):
    result = app.run("init", *words, expect=expect, **more)
    assert (result.err == "") == (expect == 0), result
    assert (result.out == "") == (expect != 0), result
    return result


# -- what is printed and written ------------------------------------------------------------------


def test_lists_platforms(lockstep):
    text = init(lockstep).out
    assert [line.split()[0] for line in text.splitlines()[1:16]] == PLATFORMS
    assert not files(lockstep.dir)


@pytest.mark.parametrize("name", PROJECTS)
@pytest.mark.parametrize("platform", PLATFORMS)
def test_writes_and_keeps(lockstep, platform, name):
    project(lockstep, name)
    before = files(lockstep.dir)
    text = init(lockstep, platform, *program(platform, name)).out
    after = files(lockstep.dir)
    assert set(after) > set(before)
    assert {path: after[path] for path in before} == before, "a file that was there was changed"
    for path in set(after) - set(before):
        assert f"wrote  {path}: " in text, text
        assert after[path].endswith("\n") and "\n\n\n" not in after[path], path
        assert not re.search(r"@[A-Z_]+@", after[path]), f"a place was not filled in: {path}"
        assert not re.search(r"[ \t]\n", after[path]), f"blanks at the end of a line: {path}"
    assert f"Next, for " in text and not re.search(r"@[A-Z_]+@", text), text
    if name != "django":
        return
    again = init(lockstep, platform, *program(platform, name)).out
    assert files(lockstep.dir) == after and "wrote" not in again, again
    # Every file alone, as --stdout shows them.
    shown = init(lockstep, platform, "--stdout", *program(platform, name)).out
    for path in set(after) - set(before):
        assert after[path] in shown, path


def test_facts(lockstep):
    """Name, port and program: from the project's files, unless they are said."""
    expected = {
        "empty": ("project (the directory)", "8080 (default)", None),
        "django": ("my-shop (pyproject.toml)", "8080 (default)", "gunicorn shop.wsgi (manage.py)"),
        "node": (
            "web-shop (package.json)",
            "8080 (default)",
            "node server.js --title 'a b' (package.json)",
        ),
        "sql": (
            "project (the directory)",
            "9000 (Dockerfile)",
            "/shop '--listen=\"all\"' (Dockerfile)",
        ),
    }
    for name, (app, port, started) in expected.items():
        shutil.rmtree(lockstep.dir)
        lockstep.dir.mkdir()
        project(lockstep, name)
        text = init(lockstep, "kubernetes").out
        assert f"application  {app}\n" in text, text
        assert f"port         {port}\n" in text, text
        assert ("program      " in text) == (started is not None)
        assert started is None or f"program      {started}\n" in text, text
    text = init(lockstep, "ecs", "--app", "other", "--port", "81", "serve", "a b").out
    assert "other (--app)" in text and "81 (--port)" in text
    assert "serve 'a b' (the command line)" in text


@pytest.mark.parametrize(
    "dockerfile, procfile, words",
    [
        ('CMD ["a", "b c"]', "a 'b c'", ["a", "b c"]),
        ("CMD a b", "a b", ["a", "b"]),
        (
            "CMD gunicorn -b :$PORT x",
            "gunicorn -b :$PORT x",
            ["/bin/sh", "-c", "exec gunicorn -b :$PORT x"],
        ),
        ("CMD a && b", "a && b", ["/bin/sh", "-c", "a && b"]),
        ("cmd exec a $B", "exec a $B", ["/bin/sh", "-c", "exec a $B"]),
    ],
)
def test_program_of_a_dockerfile(lockstep, dockerfile, procfile, words):
    lockstep.write("Dockerfile", f"FROM x\n{dockerfile}\n")
    init(lockstep, "dokku")
    assert files(lockstep.dir)["Procfile"].splitlines()[1] == f"web: {procfile}"
    lockstep.remove("Dockerfile")
    init(lockstep, "docker")
    assert json.loads(files(lockstep.dir)["Dockerfile"].splitlines()[-1][4:]) == words


def test_dollar_on_the_command_line_is_for_the_platform(lockstep):
    init(lockstep, "dokku", "--", "gunicorn", "--bind", "0.0.0.0:$PORT", "a b")
    assert "web: gunicorn --bind \"0.0.0.0:$PORT\" 'a b'\n" in files(lockstep.dir)["Procfile"]


def test_what_is_there_is_left_alone(lockstep):
    project(lockstep, "django")
    lockstep.write("Procfile", "web: gunicorn shop.wsgi\nworker: celery\n")
    lockstep.write(
        "Dockerfile",
        'FROM python\nCOPY --from=lockstep:0.1.0 /lockstep /usr/local/bin/lockstep\nCMD ["x"]\n',
    )
    text = init(lockstep, "dokku").out
    assert "Procfile was there and was left alone" in text
    assert "    release: lockstep migrate --preflight\n" in text
    assert "kept   Dockerfile: it has what it needs" in text
    assert files(lockstep.dir)["Procfile"] == "web: gunicorn shop.wsgi\nworker: celery\n"
    text = init(lockstep, "dokku", "--force").out
    assert "wrote  Procfile" in text and "left alone" not in text
    assert files(lockstep.dir)["Procfile"].startswith("release: lockstep migrate")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_check_finds_nothing_in_it(sqlite_app, platform):
    sqlite_app.migrations({"001_users.sql": "CREATE TABLE users (id integer PRIMARY KEY);\n"})
    init(sqlite_app, platform, "--image", "registry.example.com/acme/shop:1.2", "--", "serve")
    found = sqlite_app.run("check", "--json").json()["findings"]
    assert [one for one in found if one["severity"] != "info"] == []


def test_entrypoint_is_told(lockstep):
    lockstep.write("Dockerfile", 'FROM x\nENTRYPOINT ["/docker-entrypoint.sh"]\nCMD ["y"]\n')
    assert 'exec "$@"' in init(lockstep, "dokku").out
    assert '["lockstep", "run", "--", ...]' in init(lockstep, "docker").out
    lockstep.write("Dockerfile", 'FROM x\nENTRYPOINT ["lockstep", "run", "--"]\nCMD ["y"]\n')
    assert "note:" not in init(lockstep, "fly").out


@pytest.mark.parametrize(
    "words, message",
    [
        (("dokko",), "Did you mean `dokku`?"),
        (("nomad",), "there is no platform 'nomad'"),
        (("dokku",), "lockstep init dokku -- gunicorn shop.wsgi"),
        (("ecs", "--app", "My App"), "dashes, a letter first: my-app"),
        (("ecs", "--app", "7up"), "'7up' cannot be the name"),
        (("ecs", "--port", "0"), "'0' is not a port"),
        (("ecs", "--port", "99999"), "'99999' is not a port"),
        (("ecs", "--image", "a b"), "'a b' is not the name of an image"),
        (("ecs", "--image", "$(id)"), "'$(id)' is not the name of an image"),
        (("ecs", "--from", "x;y"), "'x;y' is not the name of an image"),
        (("fly", "--health-check", "healthz"), "'healthz' is not a path"),
        (("fly", "--health-check", '/"'), "is not a path"),
        (("fly", "--steps", "1"), "has no option '--steps'"),
    ],
)
def test_mistakes(lockstep, words, message):
    result = init(lockstep, *words, expect=2)
    assert message in result.err, result
    assert not files(lockstep.dir)


def test_manifest_that_is_no_json(lockstep):
    lockstep.write("package.json", '{"name": \n')
    result = init(lockstep, "ecs", expect=2)
    assert "package.json:2:" in result.err and "not JSON" in result.err, result


@pytest.mark.parametrize(
    "kind", ["link out", "link to nothing", "file in the way", "dir", "target link"]
)
def test_nothing_leaves_the_directory(lockstep, tmp_path, kind):
    outside = tmp_path / "outside"
    outside.mkdir()
    folder = lockstep.dir / ".github"
    if kind == "link out":
        folder.symlink_to(outside)
    elif kind == "link to nothing":
        folder.symlink_to(tmp_path / "nowhere")
    elif kind == "file in the way":
        folder.write_text("x")
    elif kind == "dir":
        (folder / "workflows/deploy.yml").mkdir(parents=True)
    else:
        (folder / "workflows").mkdir(parents=True)
        (folder / "workflows/deploy.yml").symlink_to(outside / "deploy.yml")
    before = sorted(path.name for path in lockstep.dir.rglob("*"))
    for more in ((), ("--force",)):
        result = init(lockstep, "github", *more, expect=2)
        assert "nothing was written" in result.err, result
    assert sorted(path.name for path in lockstep.dir.rglob("*")) == before
    assert not list(outside.iterdir())


def test_directory_inside_may_be_a_link(lockstep):
    (lockstep.dir / "real").mkdir()
    (lockstep.dir / ".github").symlink_to("real")
    init(lockstep, "github")
    assert (lockstep.dir / "real/workflows/lockstep.yml").is_file()


def test_read_only_directory(lockstep):
    """As root a mode forbids nothing: /proc does."""
    result = lockstep.run("init", "ecs", expect=1, cwd="/proc/1")
    assert "cannot make the directory 'ecs'" in result.err and result.out == "", result


# -- what the files are ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """{(platform, project, probe or not): {path: text}} of everything that can be written."""
    everything = {}
    for name, platform in itertools.product(PROJECTS, PLATFORMS):
        if name in ("node", "sql") and platform not in NEEDS_PROGRAM:
            continue  # of a project's program these files say nothing
        # The path for readiness does not depend on the project.
        probes = ((), ("--health-check", "/healthz")) if name == "django" else ((),)
        for probe in probes:
            folder = tmp_path_factory.mktemp("init")
            for path, text in PROJECTS[name].items() if name != "sql" else ():
                (folder / path).write_text(text)
            words = [
                BINARY,
                "init",
                platform,
                "--image",
                "registry.example.com/acme/shop:1.2",
                *probe,
            ]
            if name in ("sql", "empty"):
                words += ["--", "serve"]
            subprocess.run(words, cwd=folder, check=True, stdout=subprocess.DEVNULL)
            everything[platform, name, bool(probe)] = files(folder)
    return everything


def each(written, *names):
    for key, found in written.items():
        for path, text in found.items():
            if any(re.fullmatch(name, path) for name in names):
                yield key, path, text


def documents(written, *names):
    for key, path, text in each(written, *names):
        yield key, path, yaml.safe_load(text)


# Who reads what: by the names that support/schemas.py knows.
SCHEMAS = {
    "workflow": r"\.github/workflows/.*",
    "action": r"\.github/actions/.*",
    "hcl": r".*\.tf",
    "kubernetes": r"k8s/.*\.yaml",
    "compose": r"compose.*\.yaml|swarm/stack\.yaml",
    "chart": r"chart/Chart\.yaml",
    "render": r"render\.yaml",
    "railway": r"railway\.json",
    "fly": r"fly\.toml",
    "app": r"app\.json",
}
# Read by lockstep itself, a shell, a container engine, gitlab-ci-local or a template engine: in tests
# below, in test_init_docker.py and in test_init_scripts.py.
OTHER_READERS = (
    r"lockstep\.yaml|Procfile|.*\.sh|\.kamal/.*|Dockerfile|\.dockerignore|\.gitlab.*"
    r"|chart/(values|templates/.*)\.yaml"
)


def parsed(path, text):
    """The document, but for those who parse by themselves."""
    if path.endswith(".toml"):
        return tomllib.loads(text)
    return json.loads(text) if path.endswith(".json") else yaml.safe_load(text)


@pytest.fixture(scope="module")
def read(written):
    """[(request, result)] of all that has a schema or a parser there, in one go."""
    requests = []
    for kind, pattern in SCHEMAS.items():
        for key, path, text in each(written, pattern):
            request = {"kind": kind, "name": path}
            if kind == "workflow":
                request |= {"text": text, "files": written[key]}
            elif kind in ("action", "hcl"):
                request["text"] = text
            else:
                request["value"] = parsed(path, text)
            if path == "compose.pre-start.yaml":
                # Newer than the schema that there is a package of.
                assert request["value"]["services"]["web"].pop("pre_start")
            requests.append(request)
    return schemas.validated(requests + list(completed()))


def completed():
    """Files that were there, with the lines that init tells to add."""
    lines = {
        path: (ROOT / "src/deploy/files" / path).read_text()
        for path in (
            "fly/fly.add",
            "render/render.add",
            "railway/railway.add",
            "compose/compose.add",
        )
    }
    service = "services:\n  - type: web\n    name: a\n    runtime: docker\n    plan: standard\n"
    web, _, gate = lines["compose/compose.add"].partition("  # and in each")
    for kind, path, text in (
        ("fly", "fly.toml", 'app = "a"\n' + lines["fly/fly.add"]),
        ("render", "render.yaml", service + lines["render/render.add"]),
        ("railway", "railway.json", '{"build": {}, ' + lines["railway/railway.add"] + "}"),
        ("compose", "compose.yaml", web + "  web:\n    image: a\n" + gate.partition("\n")[2]),
    ):
        yield {"kind": kind, "name": f"completed {path}", "value": parsed(path, text)}


def test_schemas(read):
    for one, result in read:
        assert result["errors"] == [], (one["name"], result["errors"], one)
    assert {one["kind"] for one, _ in read} == set(SCHEMAS)
    assert len([one for one, _ in read if one["name"].startswith("completed ")]) == 4


def test_every_file_has_a_reader(written):
    patterns = [*SCHEMAS.values(), OTHER_READERS]
    for (_, name, _), found in written.items():
        for path in set(found) - set(PROJECTS[name]):
            assert any(re.fullmatch(one, path) for one in patterns), f"nothing here reads {path}"


def changed(read, kind, name="(?!completed).*"):
    """(request, value) of a file that was found to be right, to be made wrong."""
    for one, _ in read:
        if one["kind"] == kind and re.fullmatch(name, one["name"]):
            copy = json.loads(json.dumps(one))
            return copy, copy.get("value", copy.get("text"))
    raise AssertionError(f"no {kind} called {name}")


def test_schemas_refuse(read):
    """What each of them is there for: one thing wrong in a file that was right."""
    wrong = []

    def spoil(kind, words, change, *name):
        request, value = changed(read, kind, *name)
        if "text" in request:
            request["text"] = value.replace(*change)
            assert request["text"] != value
        else:
            change(value)
        wrong.append((request, words))

    def web(change):
        return lambda it: it["services"][0].update(change)

    def check(change):
        return lambda it: it["healthchecks"]["web"][0].update(change)

    def container(change):
        return lambda it: it["spec"]["template"]["spec"]["containers"][0].update(change)

    deploy = r"\.github/workflows/deploy\.yml"
    spoil("workflow", "Unexpected value 'jobz'", ("jobs:", "jobz:"))
    spoil("workflow", "Invalid input, ap is not defined", ("      app:", "      ap:"), deploy)
    spoil("workflow", "Invalid secret, ssh-kei is not", ("ssh-key: ", "ssh-kei: "), deploy)
    spoil("workflow", "Unable to find reusable", ("workflows/lock", "workflows/lack"), deploy)
    spoil("action", "Unexpected value 'stepz'", ("steps:", "stepz:"))
    spoil("hcl", "", ("locals {", "locals"), r".*/main\.tf")
    spoil("kubernetes", "backoffLimit", lambda it: it["spec"].update(backoffLimit="1"), ".*job.*")
    spoil("kubernetes", "/spec/ttl is no field", lambda it: it["spec"].update(ttl=5), ".*job.*")
    spoil("kubernetes", "containers/0/readyProbe is no field", container({"readyProbe": {}}))
    spoil("compose", "additional", lambda it: it["services"]["web"].update(imag="x"))
    spoil("chart", "/version", lambda it: it.update(version="one"))
    spoil("render", "additional", web({"healthcheckPath": "/"}))
    spoil("render", "/plan", web({"plan": "free"}))
    spoil("render", "/envVars/0", web({"envVars": [{"key": "A", "value": "1", "sync": False}]}))
    spoil("railway", "additional", lambda it: it["deploy"].update(healthCheckPath="/"))
    spoil("railway", "must be array", lambda it: it["deploy"].update(preDeployCommand="x"))
    spoil("fly", "additional", lambda it: it["deploy"].update(release_comand="x"))
    spoil("fly", "/release_command_t", lambda it: it["deploy"].update(release_command_timeout="30"))
    spoil("fly", "/env/PORT", lambda it: it["env"].update(PORT=8080))
    spoil("app", "additional", check({"retries": 5}))
    spoil("app", "oneOf", check({"path": "/", "uptime": 5}))
    schemas.assert_refused(wrong)


def test_github(written):
    for _, _, workflow in documents(written, r"\.github/workflows/lockstep\.yml"):
        job = workflow["jobs"]["lockstep"]
        assert job["concurrency"]["cancel-in-progress"] is False
        assert "${{ inputs.app }}" in job["concurrency"]["group"]
        assert set(workflow[True]["workflow_call"]["secrets"]) >= {"ssh-key", "known-hosts"}
        (_, _, action), *_ = documents(written, r"\.github/actions/lockstep/action\.yml")
        (step,) = [one for one in job["steps"] if one.get("uses") == "./.github/actions/lockstep"]
        assert set(step["with"]) <= set(action["inputs"])
        assert set(job["outputs"]) == set(action["outputs"]) and step["id"] == "lockstep"
    for _, _, text in each(written, r"\.git.*"):
        assert "StrictHostKeyChecking" not in text


def test_gitlab(written):
    for _, _, template in documents(written, r"\.gitlab/lockstep\.yml"):
        job = template[".lockstep"]
        assert job["interruptible"] is False and job["resource_group"]
        for script in job["before_script"] + job["script"]:
            shell_is_fine(script.replace("$COMMAND_LINE", '"$COMMAND_LINE"'), "sh")


def test_gitlab_takes_the_pipeline(written, tmp_path):
    """By GitLab's own schema, with what the file includes and extends put together."""
    for path, text in written["gitlab", "django", True].items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    done = schemas.pipeline(tmp_path)
    assert done.returncode == 0 and "json schema validated" in done.stderr, done
    job = yaml.safe_load(done.stdout.partition("---\n")[2])["deploy"]
    assert job["interruptible"] is False and job["script"] == ["lockstep $COMMAND_LINE"]
    template = tmp_path / ".gitlab/lockstep.yml"
    template.write_text(template.read_text().replace("resource_group:", "resource_groups:"))
    done = schemas.pipeline(tmp_path)
    assert done.returncode == 1, done
    assert "'resource_groups' property is not expected to be here at deploy" in done.stderr, done


def test_kubernetes(written):
    for (_, _, probe), _, value in documents(written, r"k8s/.*\.yaml"):
        if value["kind"] == "Job":
            assert_job(value)
            constant = "name" in value["metadata"]
            assert constant == (
                "argocd.argoproj.io/hook" in str(value["metadata"].get("annotations"))
            )
        else:
            pod = value["spec"]["template"]["spec"]
            gate, service = pod["initContainers"][0], pod["containers"][0]
            assert gate["command"] + gate["args"][:3] == ["lockstep", "wait", "--for", "schema"]
            assert gate["image"] == service["image"] == "registry.example.com/acme/shop:1.2"
            for kind in ("startupProbe", "readinessProbe"):
                assert ("httpGet" in service[kind]) == probe and (
                    "tcpSocket" in service[kind]
                ) != probe


def assert_job(job):
    spec = job["spec"]
    pod = spec["template"]["spec"]
    assert spec["backoffLimit"] == 1 and spec["activeDeadlineSeconds"] > 600
    assert pod["restartPolicy"] == "Never"
    rule = spec["podFailurePolicy"]["rules"][0]
    assert rule["action"] == "FailJob" and {1, 2, 6} <= set(rule["onExitCodes"]["values"])
    assert not {0, 4, 5} & set(rule["onExitCodes"]["values"]), "what may pass is tried again"
    assert rule["onExitCodes"]["containerName"] == pod["containers"][0]["name"]
    assert pod["containers"][0]["command"] + pod["containers"][0]["args"][:1] == [
        "lockstep",
        "migrate",
    ]


def rendered(text, values, upgrade):
    """The chart's template by a real Go template engine, that of the docker client; what Helm would
    hand to it is put in its place."""
    given = {
        ".Release.Name": '"shop"',
        ".Release.Revision": "3",
        ".Chart.Name": '"shop"',
        ".Release.IsUpgrade": str(upgrade).lower(),
    }
    for path, value in values.items():
        given[".Values." + path] = json.dumps(value)
    for name in sorted(given, key=len, reverse=True):
        text = text.replace(name, given[name])
    done = subprocess.run(
        ["docker", "context", "inspect", "default", "--format", text],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
    )
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)


def test_helm(written):
    if not shutil.which("docker"):
        pytest.skip("docker is not installed")
    requests, hooks = [], set()
    for probe in (False, True):
        chart = written["helm", "django", probe]
        values = yaml.safe_load(chart["chart/values.yaml"])
        assert yaml.safe_load(chart["chart/Chart.yaml"])["apiVersion"] == "v2"
        flat = {
            "image": values["image"],
            "replicas": values["replicas"],
            "port": values["port"],
            "database.secret": values["database"]["secret"],
            "migrate.deadline": values["migrate"]["deadline"],
        }
        for upgrade in (False, True):
            for early in (False, True):
                flat["migrate.secretExistsBeforeInstall"] = early
                job = rendered(chart["chart/templates/migrate.yaml"], flat, upgrade)
                assert_job(job)
                notes = job["metadata"].get("annotations", {})
                hooks.add((upgrade, early, "helm.sh/hook" in notes))
                if notes:
                    assert notes["helm.sh/hook-delete-policy"] == "before-hook-creation"
                    assert "post" not in notes["helm.sh/hook"]
                requests.append(job)
        requests.append(rendered(chart["chart/templates/deployment.yaml"], flat, True))
    # A hook of the first install cannot use a Secret of the same chart.
    assert hooks == {
        (False, False, False),
        (False, True, True),
        (True, False, True),
        (True, True, True),
    }
    schemas.assert_valid(
        [{"kind": "kubernetes", "name": "chart", "value": value} for value in requests]
    )


def test_compose(written):
    for _, path, value in documents(written, r"compose.*\.yaml", r"swarm/stack\.yaml"):
        web = value["services"]["web"]
        if path == "compose.yaml":
            assert web["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
            migrate = value["services"]["migrate"]
            assert migrate["entrypoint"] + migrate["command"] == ["lockstep", "migrate"]
            assert migrate["restart"] == "no" and migrate["image"] == web["image"]
        elif path.startswith("compose"):
            assert web["pre_start"] == [{"command": ["lockstep", "migrate"]}]
        else:
            assert "depends_on" not in str(value)


def test_terraform(read):
    values = {one["name"]: result["value"] for one, result in read if one["kind"] == "hcl"}
    assert set(values["cloud-run/terraform/variables.tf"]["variable"]) >= {
        "enable_pre_deploy_job",
        "pre_deploy_job_command",
        "pre_deploy_job_args",
        "image",
    }
    resources = values["cloud-run/terraform/main.tf"]["resource"]
    (job,) = resources["google_cloud_run_v2_job"]["pre_deploy"]
    # Else enable_pre_deploy_job could not be taken back: the provider would refuse to delete the job.
    assert job["deletion_protection"] is False
    task = job["template"][0]["template"][0]
    assert task["max_retries"] == 0 and "timeout" in task
    assert "${var.image}" in resources["terraform_data"]["pre_deploy"][0]["triggers_replace"]
    service = resources["google_cloud_run_v2_service"]["service"][0]
    assert service["deletion_protection"] == "${var.deletion_protection}"
    assert service["depends_on"] == ["${terraform_data.pre_deploy}"]


def test_terraform_fits_its_provider(read):
    module = {one["name"]: result["value"] for one, result in read if one["kind"] == "hcl"}
    files = [json.dumps(value) for value in module.values()]
    assert len(files) == 2
    # The oldest that the module says it takes, and a new one.
    (needed,) = module["cloud-run/terraform/main.tf"]["terraform"][0]["required_providers"]
    assert needed["google"] == {"source": "hashicorp/google", "version": ">= 6.0"}
    assert [one["provider"] for one in terraform.PROVIDERS] == ["6.1.0", "6.50.0"]
    for provider in terraform.PROVIDERS:
        assert terraform.errors(provider, *map(json.loads, files)) == []
    for old, new, said in (
        ("max_retries", "max_retry", "template.template: no max_retry"),
        ('"location"', '"region"', "google_cloud_run_v2_service.service: location is missing"),
        (
            '"max_retries": 0',
            '"max_retries": "none"',
            "template.template: max_retries is no number",
        ),
        ('"secret_key_ref": [', '"secret_key_ref": [{}, ', "secret_key_ref more than once"),
        ("service.service.uri", "service.service.url", "service exports no url"),
        (
            "terraform_data.pre_deploy",
            "terraform_data.migrate",
            "no resource terraform_data.migrate",
        ),
        ("var.port", "var.ports", "no variable ports"),
        ("local.secrets", "local.secret", "no local secret"),
        ('"triggers_replace"', '"triggers"', "terraform_data.pre_deploy: no triggers"),
    ):
        spoiled = [text.replace(old, new) for text in files]
        assert spoiled != files, old
        found = terraform.errors(provider, *map(json.loads, spoiled))
        assert any(said in one for one in found), (old, found)


def test_others(written):
    for (_, _, probe), _, text in each(written, r"fly\.toml"):
        fly = tomllib.loads(text)
        assert fly["deploy"] == {
            "release_command": "lockstep migrate",
            "release_command_timeout": "30m",
        }
        assert ("checks" in fly["http_service"]) == probe
    for (_, _, probe), _, render in documents(written, r"render\.yaml"):
        (service,) = render["services"]
        assert service["preDeployCommand"] == "lockstep migrate"
        assert ("healthCheckPath" in service) == probe
    for (_, _, probe), _, text in each(written, r"railway\.json"):
        deploy = json.loads(text)["deploy"]
        assert deploy["preDeployCommand"] == ["lockstep migrate"]
        assert deploy.get("healthcheckPath") == ("/healthz" if probe else None)
    for (_, _, probe), _, text in each(written, r"app\.json"):
        (check,) = json.loads(text)["healthchecks"]["web"]
        assert check["type"] == "startup" and ("path" in check) == probe
    for (platform, _, _), _, text in each(written, r"Procfile"):
        release, web = text.splitlines()
        assert (
            release
            == {
                "dokku": "release: lockstep migrate --preflight",
                "heroku": "release: bin/lockstep migrate",
            }[platform]
        )
        assert re.fullmatch(r"web: \S.*", web)


def shell_is_fine(text, shell):
    for command in (["bash", "-n"], ["shellcheck", "--shell", shell, "-"]):
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"


def test_shell(written):
    scripts = {text for _, _, text in each(written, r".*\.sh", r"\.kamal/.*")}
    assert len(scripts) >= 5
    for text in scripts:
        assert text.startswith("#!/bin/sh\n")
        shell_is_fine(text, "sh")
    for _, _, action in documents(written, r"\.github/actions/lockstep/action\.yml"):
        for step in action["runs"]["steps"]:
            assert "${{" not in step["run"], "what GitHub expands is no part of a script"
            shell_is_fine(step["run"], "bash")
        break


def test_scripts_can_be_started(lockstep):
    for platform, path in {
        "ecs": "ecs/deploy.sh",
        "kamal": ".kamal/hooks/pre-deploy",
        "swarm": "swarm/deploy.sh",
        "kubernetes": "k8s/deploy.sh",
    }.items():
        init(lockstep, platform)
        assert os.access(lockstep.dir / path, os.X_OK)
