# SPDX-License-Identifier: Apache-2.0
"""Links lockstep against the prefix and fills dist/: binary, sums, SBOM, licences."""

import json
import os
import shutil
import subprocess

import arch
import fetch
import hardening
import lock
import package
import sbom

CROSS = """[binaries]
c = '{bin}/musl-cc'
ar = '{bin}/musl-ar'
strip = '{bin}/musl-strip'
pkgconfig = 'pkg-config'

[properties]
needs_exe_wrapper = true
pkg_config_libdir = ['{prefix}/lib/pkgconfig']

[host_machine]
system = 'linux'
cpu_family = '{arch}'
cpu = '{arch}'
endian = 'little'
"""


def run(words, log, env):
    with open(log, "ab") as out:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=env,
            check=False,
        )
    if done.returncode != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-25:])
        raise lock.Failed(f"lockstep did not build ({log}):\n{tail}")


def link(build, epoch):
    """Meson and ninja in a folder of their own, from nothing where a library or a flag changed."""
    cross = build.folder / "cross.ini"
    text = CROSS.format(bin=build.bin, prefix=build.prefix, arch=build.arch.name)
    folder, log = build.folder / "lockstep", build.folder / "lockstep.log"
    log.unlink(missing_ok=True)
    env = os.environ | {"SOURCE_DATE_EPOCH": str(epoch), "LC_ALL": "C", "TZ": "UTC"}
    for name in ("CC", "CFLAGS", "CPPFLAGS", "LDFLAGS", "PKG_CONFIG_PATH"):
        env.pop(name, None)
    # ninja sees neither another flag in the wrapper nor another archive of the old one's name.
    known = text + "".join(
        path.read_text() for path in sorted(build.stamps.iterdir()) if path.name != "lockstep"
    )
    stamp = build.stamps / "lockstep"
    if not (stamp.is_file() and stamp.read_text() == known and (folder / "build.ninja").is_file()):
        shutil.rmtree(folder, ignore_errors=True)
        cross.write_text(text, encoding="utf-8")
        run(
            [
                "meson",
                "setup",
                "--cross-file",
                cross,
                "-Dbuildtype=release",
                "-Doptimization=s",
                "-Dfaults=false",
                "-Dstatic=true",
                folder,
                build.root,
            ],
            log,
            env,
        )
        stamp.write_text(known, encoding="utf-8")
    jobs = os.environ.get("LOCKSTEP_JOBS")
    run(["ninja", "-C", folder, *([f"-j{jobs}"] if jobs else []), "lockstep"], log, env)
    return folder / "lockstep"


def version(build):
    """What meson.build says, so that it stands in one place."""
    introspected = subprocess.run(
        ["meson", "introspect", "--projectinfo", build.folder / "lockstep"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return json.loads(introspected)["version"]


def licences(build, libraries, dist):
    into = dist / "licenses"
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir()
    shutil.copyfile(build.root / "LICENSE", into / "lockstep.txt")
    for library in libraries:
        for text in (build.prefix / "share/licenses" / library.name).iterdir():
            suffix = f"-{text.stem}" if text.suffix in (".h", ".c") else ""
            shutil.copyfile(text, into / f"{library.name}{suffix}.txt")
    # libpg_query's copy of PostgreSQL comes without PostgreSQL's own licence, which libpq brings.
    shutil.copyfile(into / "libpq.txt", into / "libpg_query-postgresql.txt")
    shutil.copyfile(lock.HERE / "licences.txt", into / "README.txt")
    # What gcc itself adds: its helpers, and the two files around constructors.
    major = sbom.gcc_version(build).split(".")[0]
    shutil.copyfile(f"/usr/share/doc/gcc-{major}-base/copyright", into / "libgcc.txt")


def manual(build, dist):
    """The committed manual pages, and the completions as the binary itself prints them."""
    for name in ("man", "completions"):
        shutil.rmtree(dist / name, ignore_errors=True)
        (dist / name).mkdir()
    for page in sorted((build.root / "docs/man").glob("*.[1-8]")):
        shutil.copyfile(page, dist / "man" / page.name)
    for shell, name in (("bash", "lockstep.bash"), ("zsh", "_lockstep"), ("fish", "lockstep.fish")):
        with open(dist / "completions" / name, "wb") as out:
            subprocess.run(
                [*build.arch.runner, dist / "lockstep", "completion", shell], check=True, stdout=out
            )


def dist_of(root, its):
    """dist/ for this machine's architecture; another's is a folder in it, complete in itself."""
    return root / "dist" if its.is_own else root / "dist" / its.name


def files_in(dist):
    """The files of one release, without those of another architecture."""
    for path in sorted(dist.iterdir()):
        if path.is_file():
            yield path
        elif path.name not in arch.ARCHES:
            yield from sorted(each for each in path.rglob("*") if each.is_file())


def empty(dist):
    dist.mkdir(parents=True, exist_ok=True)
    for path in dist.iterdir():
        if path.is_file():
            path.unlink()
        elif path.name not in arch.ARCHES:
            shutil.rmtree(path)


def sums(dist):
    """SHA256SUMS of everything else in dist/, as `sha256sum --check` reads it."""
    names = sorted(str(path.relative_to(dist)) for path in files_in(dist))
    lines = [f"{fetch.sha256(dist / name)}  {name}\n" for name in names if name != "SHA256SUMS"]
    (dist / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")


def make(build, libraries, epoch, say):
    dist = dist_of(build.root, build.arch)
    empty(dist)
    binary = dist / "lockstep"
    with say("link lockstep"):
        built = link(build, epoch)
        subprocess.run(
            [build.bin / "musl-strip", "--strip-all", "-R", ".comment", "-o", binary, built],
            check=True,
        )
        found = hardening.rows(binary, built, f"{build.arch.tools}objdump")
        if hardening.lacking(found):
            raise lock.Failed(f"{binary} lacks: {', '.join(hardening.lacking(found))}")
    with say("manual, licences, package, SBOM, sums"):
        manual(build, dist)
        licences(build, libraries, dist)
        package.deb(build, dist, version(build), epoch)
        sbom.write(dist / "lockstep.spdx.json", binary, version(build), build, libraries, epoch)
        sums(dist)
    print(f"{binary.relative_to(build.root)}: {binary.stat().st_size} bytes")
    print(hardening.table(found), end="")
