# SPDX-License-Identifier: Apache-2.0
"""Packages round the static binary: a .deb that needs nothing but dpkg."""

import gzip
import os
import shutil
import subprocess

CONTROL = """Package: lockstep
Version: {version}
Architecture: {architecture}
Maintainer: The lockstep authors <lockstep@localhost>
Installed-Size: {size}
Section: database
Priority: optional
Description: database migrations when software is deployed
 Runs the migrations of a service once, however many replicas start at the
 same moment, and then becomes the service. One static binary for PostgreSQL,
 MySQL, MariaDB and SQLite.
"""
COMPLETIONS = {
    "lockstep.bash": "usr/share/bash-completion/completions/lockstep",
    "_lockstep": "usr/share/zsh/vendor-completions/_lockstep",
    "lockstep.fish": "usr/share/fish/vendor_completions.d/lockstep.fish",
}


def put(tree, name, data, mode=0o644):
    path = tree / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(mode)


def packed(data):
    return gzip.compress(data, 9, mtime=0)


def fill(tree, root, dist):
    put(tree, "usr/bin/lockstep", (dist / "lockstep").read_bytes(), 0o755)
    for page in sorted((dist / "man").iterdir()):
        section = page.suffix[1:]
        put(tree, f"usr/share/man/man{section}/{page.name}.gz", packed(page.read_bytes()))
    for file, name in COMPLETIONS.items():
        put(tree, name, (dist / "completions" / file).read_bytes())
    put(tree, "usr/share/doc/lockstep/copyright", (root / "LICENSE").read_bytes())
    put(tree, "usr/share/doc/lockstep/changelog.gz", packed((root / "CHANGELOG.md").read_bytes()))
    for text in sorted((dist / "licenses").iterdir()):
        put(tree, f"usr/share/doc/lockstep/licenses/{text.name}", text.read_bytes())


def deb(build, dist, version, epoch):
    """dist/lockstep_VERSION_ARCHITECTURE.deb; the same bytes for the same epoch."""
    tree = build.folder / "deb"
    shutil.rmtree(tree, ignore_errors=True)
    fill(tree, build.root, dist)
    size = sum(path.stat().st_size for path in tree.rglob("*") if path.is_file()) // 1024
    architecture = build.arch.debian
    text = CONTROL.format(version=version, architecture=architecture, size=size)
    put(tree, "DEBIAN/control", text.encode())
    for path in (tree, *tree.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
        os.utime(path, (epoch, epoch))
    out = dist / f"lockstep_{version}_{architecture}.deb"
    # xz cuts its blocks by the number of its threads.
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Zxz", "--threads-max=1", "--build", tree, out],
        check=True,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch)},
        stdout=subprocess.DEVNULL,
    )
    shutil.rmtree(tree)
    return out
