# SPDX-License-Identifier: Apache-2.0
"""Builds the libraries of the lock into one prefix, each step stamped by all that it is made of."""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import tarfile

import fetch
import lock

# Every object of the release. Unwind tables would be half a megabyte that nothing in C reads.
CFLAGS = [
    "-Os",
    "-ffunction-sections",
    "-fdata-sections",
    "-fstack-protector-strong",
    "-fPIE",
    "-fno-ident",
    "-fno-asynchronous-unwind-tables",
    "-fno-unwind-tables",
]
LDFLAGS = [
    "-static-pie",
    "-Wl,--gc-sections",
    "-Wl,-z,relro",
    "-Wl,-z,now",
    "-Wl,-z,noexecstack",
    "-Wl,-z,pack-relative-relocs",
    "-Wl,-z,stack-size=8388608",
    "-Wl,--build-id=none",
]

# Of a tarball that holds a server, only this folder is unpacked.
PART = {"libmariadb": "libmariadb"}
# This one makes Debian's second build, with GnuTLS, and would need autoreconf.
SKIPPED_PATCHES = {"curl": {"ZZZgnutls-build.patch"}}


class Build:
    """The folders of one release build: of each architecture its own."""

    def __init__(self, root, arch):
        self.root, self.arch = root, arch
        self.folder = root / ("build-release" if arch.is_own else f"build-release-{arch.name}")
        self.prefix = self.folder / "prefix"
        self.sources = self.folder / "src"
        self.stamps = self.folder / "stamps"
        self.bin = self.folder / "bin"

    def wrapper(self):
        """musl-cc: gcc with musl and the flags, so that no configure script repeats them."""
        # The maps hide where it was built, so that the same bytes come out anywhere. Of two that
        # fit, gcc takes the last.
        return "\n".join(
            [
                "#!/bin/sh",
                f'exec {self.arch.tools}gcc -specs="{self.prefix}/lib/musl-gcc.specs" \\',
                f'    {" ".join(CFLAGS)} \\',
                f'    -ffile-prefix-map="{self.root}"=. \\',
                f'    -ffile-prefix-map="{self.folder}"=/lockstep \\',
                f'    {" ".join(LDFLAGS)} "$@"',
                "",
            ]
        )

    def make_wrapper(self):
        for folder in (self.prefix, self.sources, self.stamps, self.bin):
            folder.mkdir(parents=True, exist_ok=True)
        path = self.bin / "musl-cc"
        path.write_text(self.wrapper(), encoding="utf-8")
        path.chmod(0o755)
        for tool in ("ar", "ld", "nm", "objcopy", "ranlib", "strip"):
            link = self.bin / f"musl-{tool}"
            link.unlink(missing_ok=True)
            link.symlink_to(shutil.which(f"{self.arch.tools}{tool}"))


def compilers(arch):
    """A compiler of another version makes other code."""
    return "".join(
        subprocess.run([tool, "--version"], check=True, capture_output=True, text=True).stdout
        for tool in (f"{arch.tools}gcc", f"{arch.tools}ld")
    )


def unpack(library, into):
    """The tarball without its top folder, then Debian's patches in their order."""
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    depth = 1
    with tarfile.open(fetch.cache() / library.files[0].name) as archive:
        part = PART.get(library.name)
        if part:
            depth = 2
        for member in archive:
            words = pathlib.PurePosixPath(member.name).parts
            if len(words) <= depth or (part and words[1] != part):
                continue
            member.name = "/".join(words[depth:])
            if member.islnk():  # named from the tarball's top, as members are
                member.linkname = "/".join(member.linkname.split("/")[depth:])
            archive.extract(member, into)
    for file in library.files[1:]:
        patch_all(library, fetch.cache() / file.name, into)


def patch_all(library, tarball, into):
    skipped = SKIPPED_PATCHES.get(library.name, set())
    with tarfile.open(tarball) as archive:
        series = archive.extractfile("debian/patches/series").read().decode().splitlines()
        for line in series:
            name = line.split("#")[0].strip().split(" ")[0]
            if not name or name in skipped:
                continue
            text = archive.extractfile(f"debian/patches/{name}").read()
            done = subprocess.run(
                ["patch", "-p1", "-s", "-f", "--no-backup-if-mismatch"],
                cwd=into,
                input=text,
                check=False,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            if done.returncode != 0:
                raise lock.Failed(f"{library.name}: {name} does not apply:\n{done.stdout.decode()}")


def run_recipe(build, library, source, epoch):
    env = {
        "HOME": str(source),
        "PATH": f"{build.bin}:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
        "PREFIX": str(build.prefix),
        "BUILD": str(build.folder),
        "HOST": build.arch.host,
        "ARCH": build.arch.name,
        "OPENSSL_TARGET": build.arch.openssl,
        "TARGET_CC": f"{build.arch.tools}gcc",
        "KERNEL_HEADERS": build.arch.kernel[0],
        "KERNEL_ASM_HEADERS": build.arch.kernel[1],
        "VERSION": library.version,
        "SOURCE_DATE_EPOCH": str(epoch),
        "JOBS": os.environ.get("LOCKSTEP_JOBS") or str(os.cpu_count() or 1),
        "PKG_CONFIG_LIBDIR": str(build.prefix / "lib/pkgconfig"),
    }
    log = build.folder / f"{library.name}.log"
    with open(log, "wb") as out:
        done = subprocess.run(
            ["bash", "-c", '. "$0" && . "$1"', lock.HERE / "recipes/common.sh", library.recipe],
            cwd=source,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-25:])
        raise lock.Failed(f"{library.name} did not build ({log}):\n{tail}")


def keep_licences(build, library, source):
    into = build.prefix / "share/licenses" / library.name
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    for name in library.texts:
        path = source / name
        text = path.read_text(encoding="utf-8")
        if path.suffix in (".h", ".c"):
            comments = re.findall(r"/\*.*?\*/", text, re.DOTALL)
            text = "\n\n".join(each for each in comments if "Copyright" in each) + "\n"
        (into / path.name).write_text(text, encoding="utf-8")


def installed(build):
    """All in the prefix that is no folder; a link to a folder is a file here."""
    return {
        os.path.relpath(os.path.join(folder, name), build.prefix)
        for folder, folders, names in os.walk(build.prefix)
        for name in names + [each for each in folders if os.path.islink(f"{folder}/{each}")]
    }


def files(build, library):
    """The list of what a library put into the prefix."""
    return build.folder / f"{library.name}.files"


def uninstall(build, library):
    (build.stamps / library.name).unlink(missing_ok=True)
    if files(build, library).is_file():
        for name in files(build, library).read_text().splitlines():
            (build.prefix / name).unlink(missing_ok=True)


def make(build, libraries, epoch, say):
    """Each library in the lock's order. A change builds it and all after it again."""
    build.make_wrapper()
    common = (lock.HERE / "recipes/common.sh").read_text()
    above = hashlib.sha256((compilers(build.arch) + build.wrapper() + common).encode())
    stale = False
    for library in libraries:
        above.update("\n".join(file.line for file in library.files).encode())
        above.update(library.recipe.read_bytes())
        stamp = build.stamps / library.name
        if stamp.is_file() and stamp.read_text() == above.hexdigest():
            continue
        if not stale:
            # What comes after is built again, and must not find its own earlier self.
            for later in libraries[libraries.index(library) :]:
                uninstall(build, later)
            stale = True
        there = installed(build)
        with say(f"build {library.name} {library.version}"):
            source = build.sources / library.name
            unpack(library, source)
            run_recipe(build, library, source, epoch)
            keep_licences(build, library, source)
            shutil.rmtree(source)
        files(build, library).write_text("\n".join(sorted(installed(build) - there)))
        stamp.write_text(above.hexdigest())
