# SPDX-License-Identifier: Apache-2.0
"""Packages round the static binary: a .deb that needs nothing but dpkg."""

import gzip
import os
import platform
import shutil
import subprocess

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
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
    "bash": "usr/share/bash-completion/completions/lockstep",
    "zsh": "usr/share/zsh/vendor-completions/_lockstep",
    "fish": "usr/share/fish/vendor_completions.d/lockstep.fish",
}


def put(tree, name, data, mode=0o644):
    path = tree / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(mode)


def packed(data):
    return gzip.compress(data, 9, mtime=0)


def fill(tree, root, binary, licences):
    put(tree, "usr/bin/lockstep", binary.read_bytes(), 0o755)
    for page in sorted((root / "docs/man").iterdir()):
        section = page.suffix[1:]
        put(tree, f"usr/share/man/man{section}/{page.name}.gz", packed(page.read_bytes()))
    for shell, name in COMPLETIONS.items():
        text = subprocess.run([binary, "completion", shell], check=True, stdout=subprocess.PIPE)
        put(tree, name, text.stdout)
    put(tree, "usr/share/doc/lockstep/copyright", (root / "LICENSE").read_bytes())
    put(tree, "usr/share/doc/lockstep/changelog.gz", packed((root / "CHANGELOG.md").read_bytes()))
    for text in sorted(path for path in licences.rglob("*") if path.is_file()):
        name = text.relative_to(licences)
        put(tree, f"usr/share/doc/lockstep/licenses/{name}", text.read_bytes())


def deb(build, dist, version, epoch):
    """dist/lockstep_VERSION_ARCHITECTURE.deb; the same bytes for the same epoch."""
    tree = build.folder / "deb"
    shutil.rmtree(tree, ignore_errors=True)
    fill(tree, build.root, dist / "lockstep", dist / "licenses")
    size = sum(path.stat().st_size for path in tree.rglob("*") if path.is_file()) // 1024
    architecture = ARCHITECTURES[platform.machine()]
    text = CONTROL.format(version=version, architecture=architecture, size=size)
    put(tree, "DEBIAN/control", text.encode())
    for path in (tree, *tree.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
    out = dist / f"lockstep_{version}_{architecture}.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Zxz", "--build", tree, out], check=True,
                   env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}, stdout=subprocess.DEVNULL)
    shutil.rmtree(tree)
    return out
