# SPDX-License-Identifier: Apache-2.0
"""release/sources.lock: what is built, in this order, and the files it is made of."""

import dataclasses
import pathlib

HERE = pathlib.Path(__file__).resolve().parent


class Failed(Exception):
    """Ends the release with its words alone."""


@dataclasses.dataclass(frozen=True)
class File:
    line: str
    kind: str  # tarball, patches
    package: str
    package_version: str
    name: str
    sha256: str


@dataclasses.dataclass
class Library:
    name: str
    version: str
    licence: str
    texts: list  # paths of licence texts in the source
    files: list  # the tarball, then Debian's patches where there are some

    @property
    def recipe(self):
        return HERE / "recipes" / f"{self.name}.sh"


def read():
    """The suites and the libraries of the lock, in its order."""
    suites, libraries = [], {}
    path = HERE / "sources.lock"
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] == "suites":
            suites = words[1:]
            continue
        if len(words) < 7 or words[1] not in ("tarball", "patches"):
            raise Failed(f"{path}:{number}: not a line of a source")
        name, kind, version, package, package_version, file, sha256 = words[:7]
        source = File(" ".join(words), kind, package, package_version, file, sha256)
        if kind == "tarball":
            libraries[name] = Library(name, version, words[7], words[8].split(","), [source])
        else:
            libraries[name].files.append(source)
    return suites, list(libraries.values())
