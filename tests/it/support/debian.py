# SPDX-License-Identifier: Apache-2.0
"""A fresh Debian as `debootstrap` makes it, packed, and kept for the next time."""

import os
import pathlib
import shutil
import subprocess
import tempfile

from .servers import Missing

SUITE = "bookworm"
# Grows with every use of apt and is of no use to a test.
LEFT_OUT = ("./dev/*", "./proc/*", "./sys/*", "./var/cache/apt/*", "./var/lib/apt/lists/*")


def cache():
    """Where tools/release keeps what it fetched, too."""
    named = os.environ.get("LOCKSTEP_CACHE")
    return pathlib.Path(named) if named else pathlib.Path.home() / ".cache/lockstep"


def mirror():
    """The archive that this machine itself takes the suite from."""
    lines = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(RELEASE) $(COMPONENT) $(SITE)",
         "Created-By: Packages"],
        capture_output=True, text=True, check=False,
    ).stdout.splitlines()  # fmt: skip
    for release, component, site in map(str.split, lines):
        if (release, component) == (SUITE, "main"):
            return site
    raise Missing(f"apt knows no archive of Debian {SUITE} on this machine")


def packed():
    """The path of a tar archive of a minimal Debian; made in half a minute the first time."""
    if os.getuid() != 0:
        raise Missing("a Debian tree is made by root")
    architecture = subprocess.run(
        ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
    ).stdout.strip()
    archive = cache() / f"debian-{SUITE}-{architecture}.tar"
    if archive.is_file():
        return archive
    if not shutil.which("debootstrap"):
        raise Missing("debootstrap is not installed")
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="lockstep-debian-") as folder:
        tree, made = f"{folder}/tree", f"{folder}/tar"
        done = subprocess.run(
            ["debootstrap", "--variant=minbase", SUITE, tree, mirror()],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=600, check=False,
        )  # fmt: skip
        if done.returncode:
            last = done.stdout.strip().splitlines()[-1:]
            raise Missing(f"debootstrap made no tree (a network is needed once): {last}")
        subprocess.run(
            ["tar", "-C", tree, *(f"--exclude={each}" for each in LEFT_OUT), "-cf", made, "."],
            check=True,
        )
        # Whole or not at all, for a second test run that looks at the same moment.
        shutil.copyfile(made, f"{archive}.{os.getpid()}")
        os.replace(f"{archive}.{os.getpid()}", archive)
    return archive


def unpack(into):
    """A tree of its own in `into`."""
    into.mkdir(parents=True)
    subprocess.run(["tar", "-C", into, "-xf", packed()], check=True)
