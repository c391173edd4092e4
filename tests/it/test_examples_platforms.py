# SPDX-License-Identifier: Apache-2.0
"""The examples of platforms: the lines of their console blocks are run in a copy of the shop.

What a platform's own program would do is a stand-in's part; containers are real.
"""

import pathlib
import shlex
import shutil
import subprocess

import pytest
import yaml
from support.binary import ROOT
from test_examples import console_lines
from test_init import PLATFORMS
from test_init_docker import images  # noqa: F401  # pylint: disable=unused-import
from test_init_scripts import Scene, kubectl

EXAMPLES = ROOT / "examples"
# Its example is of a file of its own, and run by test_examples.py.
OWN = ("compose",)


@pytest.fixture
def shop(lockstep, tmp_path):
    """A copy of the shop, and stand-ins for what is not on this machine."""
    shutil.copytree(EXAMPLES / "shop", lockstep.dir, dirs_exist_ok=True)
    return Scene(lockstep, tmp_path / "stand-ins")


def run_lines(shop, platform, **env):
    """[(line, stdout, stderr)]"""
    lines = list(console_lines((EXAMPLES / platform / "README.md").read_text(encoding="utf-8")))
    assert lines and lines[0].startswith(f"lockstep init {platform} ")
    outputs = []
    for line in lines:
        done = subprocess.run(
            shlex.split(line),
            cwd=shop.app.dir,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
            env={
                **shop.app.env,
                "PATH": f"{shop.folder}:{shop.app.env['PATH']}",
                "DATABASE_URL": "sqlite:shop.db",
                **env,
            },
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        outputs.append((line, done.stdout, done.stderr))
    return outputs


def test_each_platform_has_one():
    for platform in PLATFORMS:
        text = (EXAMPLES / platform / "README.md").read_text(encoding="utf-8")
        page = ROOT / f"docs/platforms/{platform}.md"
        assert page.is_file() and f"({platform}.md)" in (page.parent / "README.md").read_text()
        assert platform in OWN or "../../docs/platforms/" in text
        assert f"`{platform}/`" in (EXAMPLES / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "platform", ["dokku", "heroku", "fly", "render", "railway", "helm", "swarm", "github", "gitlab"]
)
def test_without_the_platform(shop, platform):
    outputs = run_lines(shop, platform)
    migrates = [err for line, _, err in outputs if line.startswith("lockstep migrate")]
    assert all("Migration applied: 001 product" in err for err in migrates)
    listed = [out for line, out, _ in outputs if "--list" in line]
    assert all(out == "honey: 6.90\nsalt: 0.95\ntea: 4.50\n" for out in listed)
    assert (shop.app.dir / "shop.db").exists() == bool(migrates)
    if platform in ("github", "gitlab"):
        planned = outputs[-1][1]
        assert (
            "docker build" in planned
            and "git:from-image shop registry.example.com/shop:1" in planned
        )


def test_docker(shop, images):  # noqa: F811
    base = "python:3.12-slim"
    shop.app.write("requirements.txt", "")
    # The stand-in for python's image has no python: one that answers for the shop will do.
    python = '#!/bin/sh\necho "python3 $*"\n'
    images.docker(
        "build",
        "-q",
        "-t",
        base,
        "-",
        stdin=(
            f"FROM {base}\nRUN printf '{python.encode('unicode_escape').decode()}' "
            "> /usr/local/bin/python3; chmod +x /usr/local/bin/python3\n"
        ).encode(),
    )
    outputs = run_lines(
        shop,
        "docker",
        DOCKER_HOST=f"unix://{images.folder}/socket",
        DOCKER_CONFIG=str(images.folder / "config"),
        DOCKER_BUILDKIT="0",
    )
    (_, served, log), (_, _, migrated) = outputs[2:]
    assert served.endswith("python3 shop.py --list\n")
    for text in (log, migrated):
        assert "Migration applied: 002 salt" in text


def test_kubernetes(shop):
    kubectl(shop, "Complete")
    run_lines(shop, "kubernetes")
    job = yaml.safe_load((shop.folder / "job.yaml").read_text())
    assert job["metadata"]["name"] == "shop-migrate-4a7d0d1d4a7d"


def test_cloud_run(shop):
    shop.stand_in("gcloud", {"*": "exit 0"})
    run_lines(shop, "cloud-run")
    assert [call.split()[1:3] for call in shop.calls.read_text().splitlines()] == [
        ["run", "jobs"],
        ["run", "jobs"],
        ["run", "deploy"],
    ]
    # The module that it names has every variable that it sets.
    text = (EXAMPLES / "cloud-run/main.tf").read_text()
    variables = (shop.app.dir / "cloud-run/terraform/variables.tf").read_text()
    block = text[text.index('module "shop" {') :]
    for name in (line.split("=")[0].strip() for line in block.splitlines() if " = " in line):
        assert name == "source" or f'variable "{name}" {{' in variables, name
    assert pathlib.Path(shop.app.dir, "cloud-run/terraform/main.tf").is_file()


def test_ecs(shop):
    shop.stand_in(
        "aws",
        {
            "*run-task*": "echo arn:1",
            "*lastStatus*": "echo STOPPED",
            "*exitCode*": "echo 0",
            "*": "exit 0",
        },
    )
    run_lines(shop, "ecs")
    assert "update-service" in shop.calls.read_text()


def test_kamal(shop):
    shop.stand_in("kamal", {"*": "exit 0"})
    run_lines(shop, "kamal")
    assert shop.calls.read_text() == "kamal app exec --primary --version 4f2a lockstep migrate\n"
