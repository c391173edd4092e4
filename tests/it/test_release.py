# SPDX-License-Identifier: Apache-2.0
"""The files of a release: sums, bill of materials, licences, and what the binary is hardened with.

Left out (conftest.py) unless the binary under test lies in a dist/ with its files beside it.
"""

import hashlib
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess

import pytest
from support.binary import BINARY, ROOT

pytestmark = pytest.mark.release
DIST = BINARY.resolve().parent
# Of another architecture: complete in itself, with sums of its own.
OTHERS = {"x86_64", "aarch64"}
# What a lint of such documents looks for (SPDX 2.3, chapters 6, 7 and 11).
IDENTIFIER = re.compile(r"SPDXRef-[A-Za-z0-9.-]+")
LICENCES = {
    "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "GPL-3.0-or-later WITH GCC-exception-3.1",
    "LGPL-2.1-or-later", "MIT", "PostgreSQL", "Zlib", "blessing", "curl",
}  # fmt: skip
# Words of its own text, so that a licence is not another's under its name.
WORDS = {
    "musl": "standard MIT license",
    "zlib": "Jean-loup Gailly",
    "openssl": "Apache License",
    "libpq": "PostgreSQL Global Development Group",
    "libpq-snprintf": "Eric P. Allman",
    "libpq-inet_net_ntop": "Internet Systems Consortium",
    "libmariadb": "GNU LESSER GENERAL PUBLIC LICENSE",
    "libmariadb-ma_dtoa": "David M. Gay",
    "libpg_query": "Lukas Fittl",
    "libpg_query-postgresql": "PostgreSQL Global Development Group",
    "libpg_query-protobuf-c": "protobuf-c authors",
    "libpg_query-xxhash": "Yann Collet",
    "sqlite": "blessing",
    "jansson": "Petri Lehtinen",
    "libarchive": "Tim Kientzle",
    "libyaml": "Kirill Simonov",
    "curl": "Daniel Stenberg",
    "libgcc": "RUNTIME LIBRARY EXCEPTION",
    "lockstep": "Apache License",
    "README": "link with a changed libmariadb",
}


@pytest.fixture(scope="module")
def bill():
    return json.loads((DIST / "lockstep.spdx.json").read_text(encoding="utf-8"))


def files():
    for path in DIST.rglob("*"):
        name = path.relative_to(DIST)
        if path.is_file() and name.parts[0] not in OTHERS:
            yield str(name)


def test_sums():
    lines = (DIST / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    said = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    assert said.keys() == set(files()) - {"SHA256SUMS"}
    for name, digest in said.items():
        assert hashlib.sha256((DIST / name).read_bytes()).hexdigest() == digest, name
    subprocess.run(
        ["sha256sum", "--check", "--quiet", "--strict", "SHA256SUMS"], cwd=DIST, check=True
    )


def test_bill_has_what_spdx_asks_for(bill):
    assert bill["spdxVersion"] == "SPDX-2.3" and bill["dataLicense"] == "CC0-1.0"
    assert bill["SPDXID"] == "SPDXRef-DOCUMENT" and bill["name"]
    assert re.fullmatch(r"[a-z]+:[^#\s]+", bill["documentNamespace"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", bill["creationInfo"]["created"])
    assert all(
        re.match(r"(Tool|Organization|Person): \S", each)
        for each in bill["creationInfo"]["creators"]
    )
    identifiers = [each["SPDXID"] for each in bill["packages"]]
    assert len(set(identifiers)) == len(identifiers)
    for each in bill["packages"]:
        assert IDENTIFIER.fullmatch(each["SPDXID"]), each
        assert each["name"] and each["versionInfo"] and each["downloadLocation"], each
        assert each["licenseDeclared"] in LICENCES, each
        # No package's files are listed, so none may have a code over them.
        assert each["filesAnalyzed"] is False and "packageVerificationCode" not in each
        assert re.fullmatch(r"NOASSERTION|(Organization|Person): \S.*", each["supplier"]), each
        for one in each.get("checksums", []):
            assert one["algorithm"] == "SHA256" and re.fullmatch(
                "[0-9a-f]{64}", one["checksumValue"]
            )
        for one in each.get("externalRefs", []):
            assert one["referenceType"] == "purl"
            assert re.fullmatch(
                r"pkg:deb/debian/[a-z0-9.+-]+@[\w.:~%-]+\?arch=source", one["referenceLocator"]
            ), one


def test_bill_relates_everything(bill):
    known = {each["SPDXID"] for each in bill["packages"]} | {"SPDXRef-DOCUMENT"}
    reached = set()
    for each in bill["relationships"]:
        assert each["relationshipType"] in ("DESCRIBES", "STATIC_LINK", "CONTAINS")
        assert {each["spdxElementId"], each["relatedSpdxElement"]} <= known, each
        reached.add(each["relatedSpdxElement"])
    assert reached == known - {"SPDXRef-DOCUMENT"}


def test_bill_is_of_this_binary(bill):
    lockstep = next(each for each in bill["packages"] if each["name"] == "lockstep")
    digest = hashlib.sha256(BINARY.read_bytes()).hexdigest()
    assert [each["checksumValue"] for each in lockstep["checksums"]] == [digest]


def test_bill_names_what_the_binary_names(bill, lockstep):
    """Every library that it prints, with that version; the parser's is that of its PostgreSQL."""
    named = {each["name"]: each["versionInfo"] for each in bill["packages"]}
    printed = dict(line.split()[:2] for line in lockstep.run("version").out.splitlines())
    printed = {
        ("PostgreSQL parser" if name == "libpg_query" else name): version
        for name, version in printed.items()
    }
    assert "lockstep" in printed and len(printed) > 1
    assert {name: named.get(name) for name in printed} == printed


def test_bill_is_of_the_pinned_sources(bill):
    lock = (ROOT / "release/sources.lock").read_text(encoding="utf-8")
    for each in bill["packages"]:
        if each["supplier"] == "Organization: Debian":
            assert all(one["checksumValue"] in lock for one in each["checksums"]), each
            assert each["packageFileName"] in lock, each


def test_licences(bill):
    there = {path.stem for path in (DIST / "licenses").iterdir()}
    linked = {
        each["relatedSpdxElement"]
        for each in bill["relationships"]
        if each["relationshipType"] == "STATIC_LINK"
    }
    for each in bill["packages"]:
        if each["SPDXID"] in linked:
            assert each["name"] in there, f"no licence of {each['name']}"
    for name in there & WORDS.keys():
        text = (DIST / "licenses" / f"{name}.txt").read_text(encoding="utf-8")
        assert WORDS[name] in text, name
    # What a library brings along is as complete as the library.
    for name in WORDS:
        if name.split("-")[0] in there:
            assert name in there, f"no licence of {name}"


def hardening(path):
    return subprocess.run(
        ["/usr/bin/python3", ROOT / "tools/release", "hardening", path],
        capture_output=True,
        text=True,
        check=False,
    )


def test_hardening():
    done = hardening(BINARY)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    for what in ("static", "PIE", "RELRO", "NOW", "executable stack"):
        assert re.search(rf"^ .*{what}.* yes ", done.stdout, re.MULTILINE), done.stdout
    # Elsewhere it shows only before stripping: tools/release looks there.
    if platform.machine() == "x86_64":
        assert re.search(r"^ .*stack protector.* yes ", done.stdout, re.MULTILINE), done.stdout


def test_hardening_is_missed(tmp_path):
    """A program without any of it, so that a yes means something."""
    source = tmp_path / "plain.c"
    source.write_text("int main(void) { return 0; }\n", encoding="ascii")
    subprocess.run(
        [
            "gcc",
            "-no-pie",
            "-fno-stack-protector",
            "-z",
            "execstack",
            "-z",
            "norelro",
            "-z",
            "lazy",
            "-o",
            tmp_path / "plain",
            source,
        ],
        check=True,
    )
    done = hardening(tmp_path / "plain")
    assert done.returncode == 1
    for what in ("static", "PIE", "RELRO", "NOW", "executable stack"):
        assert re.search(rf"^ .*{what}.* NO ", done.stdout, re.MULTILINE), done.stdout
    assert not re.search(r"^ .*stack protector.* yes ", done.stdout, re.MULTILINE), done.stdout


def test_no_trace_of_where_it_was_built():
    """Neither a folder of the build nor a home: the bytes are the same wherever it is made."""
    strings = subprocess.run(["strings", "-a", BINARY], stdout=subprocess.PIPE, check=True).stdout
    for trace in (os.fsencode(ROOT), os.fsencode(pathlib.Path.home()) + b"/", b"build-release"):
        assert trace not in strings, trace


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="no dpkg-deb here")
def test_package_holds_the_same_files(tmp_path):
    package = next(DIST.glob("lockstep_*.deb"))
    subprocess.run(["dpkg-deb", "--extract", package, tmp_path], check=True)
    assert (tmp_path / "usr/bin/lockstep").read_bytes() == BINARY.read_bytes()
    inside = {path.name for path in (tmp_path / "usr/share/doc/lockstep/licenses").iterdir()}
    assert inside == {path.name for path in (DIST / "licenses").iterdir()}
