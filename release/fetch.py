# SPDX-License-Identifier: Apache-2.0
"""Brings the files of the lock into the cache with apt-get, and believes only their hashes.

apt-get believes a file by the hash in the index of sources, that index by the hash in the suite's
release file, and the release file by the archive's signature. What it brought must then have the hash
of release/sources.lock, as must a file that is in the cache already: nothing else is unpacked.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile

import lock

ARCHIVE_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def cache():
    """The folder of the files, which outlives the mirror's own choice of versions."""
    default = pathlib.Path(os.environ.get("HOME", "/root")) / ".cache/lockstep"
    return pathlib.Path(os.environ.get("LOCKSTEP_CACHE") or default) / "sources"


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_there(file):
    path = cache() / file.name
    return path.is_file() and sha256(path) == file.sha256


def mirrors():
    """Where this machine's own apt gets Debian from: (address, is it the security archive)."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    codename = subprocess.run(
        ["sh", "-c", '. /etc/os-release && echo "$VERSION_CODENAME"'],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    found = {}
    for line in listed.splitlines():
        uri, release = line.split()
        if release in (codename, f"{codename}-security"):
            found.setdefault(release != codename, uri)
    if False not in found:
        raise lock.Failed(f"apt has no source for {codename}; is this Debian?")
    return found


def complaints(said):
    return [line for line in said.splitlines() if line.startswith(("E:", "W:"))]


class Apt:
    """apt-get with lists, sources and a cache of its own: the system's stay as they are."""

    def __init__(self, folder, suites):
        self.folder = folder
        for name in ("lists/partial", "cache/archives/partial", "parts", "files"):
            (folder / name).mkdir(parents=True)
        found = mirrors()
        with open(folder / "parts/release.sources", "w", encoding="utf-8") as out:
            for suite in suites:
                uri = found.get(suite.endswith("-security"))
                if uri:
                    out.write(
                        f"Types: deb-src\nURIs: {uri}\nSuites: {suite}\n"
                        f"Components: main\nSigned-By: {ARCHIVE_KEYRING}\n\n"
                    )
        # A suite that does not answer shows when its file is missing; this then says why.
        self.update = complaints(self.run("update").stdout)

    def run(self, *words):
        options = {
            "Dir::Etc::sourcelist": "/dev/null",
            "Dir::Etc::sourceparts": self.folder / "parts",
            "Dir::State::lists": self.folder / "lists",
            "Dir::Cache": self.folder / "cache",
            "APT::Sandbox::User": "root",
            "Acquire::Retries": "2",
            # Whatever this machine's own settings allow.
            "Acquire::AllowInsecureRepositories": "false",
            "Acquire::AllowWeakRepositories": "false",
            "Acquire::AllowDowngradeToInsecureRepositories": "false",
            "APT::Get::AllowUnauthenticated": "false",
        }
        return subprocess.run(
            ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items()), *words],
            cwd=self.folder / "files",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def download(self, file):
        """The file's path, or None and what apt said. The exit status alone is no proof."""
        only = {"tarball": "--tar-only", "patches": "--diff-only"}[file.kind]
        said = self.run(
            "source", "--download-only", only, f"{file.package}={file.package_version}"
        ).stdout
        path = self.folder / "files" / file.name
        if path.is_file():
            digest = sha256(path)
            return (path, "") if digest == file.sha256 else (None, f"it has sha256 {digest}")
        wrong = complaints(said) + self.update
        return None, "; ".join(wrong) or "apt-get brought nothing"


def fetch(suites, libraries, say):
    """Puts every file of the lock into the cache, or fails with the names of the missing."""
    wanted = [file for library in libraries for file in library.files if not is_there(file)]
    if not wanted:
        return
    cache().mkdir(parents=True, exist_ok=True)
    missing = []
    with tempfile.TemporaryDirectory(prefix="lockstep-apt-") as folder:
        apt = Apt(pathlib.Path(folder), suites)
        for file in wanted:
            with say(f"fetch {file.name}"):
                path, reason = apt.download(file)
            if path is None:
                missing.append(f"  {file.name} (sha256 {file.sha256})\n    {reason}")
                continue
            # Renamed into place, so that a reader never sees half a file.
            part = cache() / f"{file.name}.part"
            shutil.copyfile(path, part)
            part.rename(cache() / file.name)
    if missing:
        raise lock.Failed(
            "\n".join(
                [
                    "the mirror does not have, or not with the pinned hash:",
                    *missing,
                    f"Put the file into {cache()}, or pin another version in release/sources.lock.",
                ]
            )
        )
