# SPDX-License-Identifier: Apache-2.0
"""docs/size.md: what each library adds to the static binary, by the linker's map and by leaving out."""

import collections
import pathlib
import re
import subprocess

import lock
import program
import sbom
import without

LIMIT = 7_500_000
# Whose the files of the prefix are.
LIBRARY = {
    "libc.a": "musl",
    "rcrt1.o": "musl",
    "crti.o": "musl",
    "crtn.o": "musl",
    "libcrypto.a": "openssl",
    "libssl.a": "openssl",
    "libpq.a": "libpq",
    "libpg_query.a": "libpg_query",
    "libmariadb.a": "libmariadb",
    "libsqlite3.a": "sqlite",
    "libz.a": "zlib",
    "libcurl.a": "curl",
    "libarchive.a": "libarchive",
    "libjansson.a": "jansson",
    "libyaml.a": "libyaml",
}
# What takes room in memory only.
NO_ROOM = (".bss", ".tbss")
# Made by the linker from all inputs: its map names whichever file came first.
OF_LINKER = re.compile(r"\.(rel|got|dyn|hash|gnu\.hash|interp|plt|eh_frame_hdr)")
OUTPUT = re.compile(r"(\.[\w.$-]+)(?:\s+0x[0-9a-f]+\s+0x[0-9a-f]+.*)?")
INPUT = re.compile(r"\s*0x[0-9a-f]+\s+0x([0-9a-f]+)\s+(\S.*?)(?:\((\S+)\))?")
VARIANTS = [
    (("postgres",), "PostgreSQL and its parser"),
    (("mysql",), "MySQL"),
    (("sqlite",), "SQLite"),
    (("notify",), "notifications"),
    (("mysql", "sqlite", "notify"), "all but PostgreSQL"),
    (("postgres", "sqlite", "notify"), "all but MySQL"),
    (("postgres", "mysql", "notify"), "all but SQLite"),
]

PAGE = """# Size of the static binary

Written by `make size` (release/size.py). Bytes of the stripped `dist/lockstep` for {arch}, linked by
gcc {gcc} with `-Os`; 1 KB is 1,000 bytes.

**{total:,} bytes** with everything; the limit is {limit:,}.

## By library

From the linker's map (`-Wl,-Map`): the code, constants and data of each archive that are in the file
after `--gc-sections`. So a library counts for what lockstep, and what it links, call of it; OpenSSL
counts for what four others want of it too.

| | version | KB | share |
|---|---|---|---|
{libraries}

The tables of the linker (packed relocations, addresses) belong to no archive. The last line is what
the map does not tell: headers, and the filling up to the next page or alignment. A string that several
archives hold stands in the binary once, and is counted with the first of them.

## Left out

Linked again without it (`LOCKSTEP_WITHOUT`, see [CONTRIBUTING.md](../CONTRIBUTING.md)) and stripped
in the same way. The difference is more than the library's line above: driver, relocations and what
nobody else called of other libraries go with it.

| without | `LOCKSTEP_WITHOUT` | bytes | saves KB |
|---|---|---|---|
{variants}
"""


def contributions(map_text):
    """(output section, size, file) for each input section that is in the binary."""
    text = map_text[map_text.index("\nLinker script and memory map\n") :]
    output, waiting = None, False
    for line in text.splitlines():
        if line.startswith("."):
            head = OUTPUT.fullmatch(line)
            output, waiting = head.group(1) if head else None, False
            continue
        if line[:1] not in (" ", ""):
            output = None
        if output is None or not line.startswith(" ") or line.startswith(" *"):
            waiting = False
            continue
        # " .text.name   0xADDRESS 0xSIZE file", on two lines where the name is long.
        words = line.split(None, 1)
        if words and line[1] != " ":
            waiting = len(words) == 1
            rest = "" if waiting else words[1]
        else:
            rest = line if waiting else ""
            waiting = False
        found = INPUT.fullmatch(rest)
        if found and int(found.group(1), 16):
            yield output, int(found.group(1), 16), found.group(2)


def by_library(build, map_text, loaded):
    """Bytes by library; `loaded` names the sections that are in the file, with their sizes."""
    sums = collections.Counter()
    for section, size, file in contributions(map_text):
        if section not in loaded or OF_LINKER.match(section):
            continue
        if file.startswith(str(build.prefix)):
            sums[LIBRARY[pathlib.PurePath(file).name]] += size
        elif "/gcc" in file:
            sums["libgcc"] += size
        else:
            sums["lockstep"] += size
    sums["tables of the linker"] = sum(
        size for section, size in loaded.items() if OF_LINKER.match(section)
    )
    return sums


def loaded_sections(build, binary):
    """{name: size} of what stands in the file and is loaded."""
    said = subprocess.run(
        [f"{build.arch.tools}readelf", "-SW", binary], check=True, capture_output=True, text=True
    ).stdout
    rows = re.findall(r"\] (\.\S+)\s+(\S+)\s+\S+ \S+ (\S+) \S+\s+([A-Z]*)", said)
    return {
        name: int(size, 16)
        for name, kind, size, flags in rows
        if "A" in flags and kind != "NOBITS" and name not in NO_ROOM
    }


def linked_size(build, epoch, words, say):
    """Bytes, map and sections of the stripped binary without `words`."""
    name = "-".join(["size", *words])
    map_file = build.folder / f"{name}.map"
    with say(f"link {name.replace('-', ' without ', 1)}"):
        options = [*without.options(words), f"-Dc_link_args=-Wl,-Map={map_file}"]
        built = program.link(build, epoch, options, name)
        stripped = build.folder / f"{name}.stripped"
        program.strip(build, built, stripped)
        size = stripped.stat().st_size
        sections = loaded_sections(build, stripped)
        stripped.unlink()
    return size, map_file.read_text(encoding="utf-8"), sections


def library_rows(libraries, sums, total, versions):
    names = sorted((name for name in sums if name != "rest"), key=lambda name: -sums[name])
    rows = [(name, versions.get(name, ""), sums[name]) for name in names]
    rows.append(("headers and filling", "", total - sum(sums.values())))
    absent = [library.name for library in libraries if library.name not in sums]
    if absent or rows[-1][2] < 0:
        raise lock.Failed(f"the map is not what is expected: {absent} not in it, {rows[-1][2]} left")
    return "\n".join(
        f"| {name} | {version} | {size / 1000:,.0f} | {100 * size / total:.1f} % |"
        for name, version, size in rows
    )


def make(build, libraries, epoch, say):
    total, map_text, sections = linked_size(build, epoch, (), say)
    sums = by_library(build, map_text, sections)
    versions = {library.name: library.version for library in libraries}
    versions |= {"libgcc": sbom.gcc_version(build), "lockstep": program.version(build, "size")}
    variants = []
    for words, title in VARIANTS:
        size = linked_size(build, epoch, words, say)[0]
        variants.append(
            f"| {title} | `{' '.join(words)}` | {size:,} | {(total - size) / 1000:,.0f} |"
        )
    page = PAGE.format(
        arch=build.arch.name,
        gcc=sbom.gcc_version(build),
        total=total,
        limit=LIMIT,
        libraries=library_rows(libraries, sums, total, versions),
        variants="\n".join(variants),
    )
    (build.root / "docs/size.md").write_text(page, encoding="utf-8")
    print(f"docs/size.md is written: {total:,} bytes")
    if total > LIMIT:
        raise lock.Failed(f"{total:,} bytes are more than {LIMIT:,}")
