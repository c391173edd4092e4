# SPDX-License-Identifier: Apache-2.0
"""Builds a commit from nothing in another folder, and compares what came out with dist/ here."""

import os
import pathlib
import subprocess
import sys
import tempfile

import fetch
import lock
import program

# Whoever builds has another clock, another language, other rights, another number of cores.
OTHERWISE = {"TZ": "Pacific/Kiritimati", "LC_ALL": "C.UTF-8", "LOCKSTEP_JOBS": "1"}


def git(root, *words):
    return subprocess.run(
        ["git", "-C", root, *words], check=True, capture_output=True, text=True
    ).stdout


def need_commit(root):
    changed = git(root, "status", "--porcelain").strip()
    if changed:
        raise lock.Failed(f"what is compared is a commit; commit or remove first:\n{changed}")


def hashes(dist):
    return {str(path.relative_to(dist)): fetch.sha256(path) for path in program.files_in(dist)}


def differences(one, other):
    """A line for each file that is not the same on both sides."""
    lines = []
    for name in sorted(one.keys() | other.keys()):
        if name not in one or name not in other:
            lines.append(f"{name}: only in the {'second' if name in other else 'first'}")
        elif one[name] != other[name]:
            lines.append(f"{name}: {one[name][:12]} is not {other[name][:12]}")
    return lines


def check(root, its, dist, say):
    env = os.environ | OTHERWISE | {"LOCKSTEP_CACHE": str(fetch.cache().parent)}
    with tempfile.TemporaryDirectory(prefix="lockstep-again-") as folder:
        clone = pathlib.Path(folder) / "under-another-name"
        subprocess.run(["git", "clone", "--quiet", root, clone], check=True)
        log = pathlib.Path(folder) / "log"
        with say(f"the same commit in {clone}"), open(log, "wb") as out:
            done = subprocess.run(
                [sys.executable, clone / "tools/release", "--arch", its.name],
                env=env,
                umask=0o027,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode != 0:
            raise lock.Failed(f"the second build failed:\n{log.read_text(errors='replace')}")
        here = hashes(dist)
        found = differences(here, hashes(program.dist_of(clone, its)))
    if found:
        raise lock.Failed("not the same bytes:\n  " + "\n  ".join(found))
    print(f"{len(here)} files, the same bytes in both folders")
