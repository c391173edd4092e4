# SPDX-License-Identifier: Apache-2.0
"""What a release is built for, and with which of the distribution's compilers."""

import dataclasses
import pathlib
import platform
import shutil

import lock


@dataclasses.dataclass(frozen=True)
class Arch:
    """One architecture. One that the machine is not takes Debian's cross compiler, and qemu."""

    name: str  # as the kernel and meson say it
    debian: str  # as dpkg says it
    openssl: str  # OpenSSL's name of the target
    packages: tuple  # Debian packages that another machine needs to build it

    @property
    def host(self):
        return f"{self.name}-linux-musl"

    @property
    def is_own(self):
        return platform.machine() == self.name

    @property
    def tools(self):
        """What stands before gcc, ar, strip."""
        return "" if self.is_own else f"{self.name}-linux-gnu-"

    @property
    def runner(self):
        """What a program of it is started with."""
        return [] if self.is_own else [f"qemu-{self.name}-static"]

    @property
    def kernel(self):
        """The folders of the kernel's headers: all of them, and those of the architecture."""
        if self.is_own:
            return "/usr/include", f"/usr/include/{self.name}-linux-gnu"
        return (f"/usr/{self.name}-linux-gnu/include",) * 2

    def need(self):
        """Fails with what to install where this machine cannot build it."""
        lacking = [
            name
            for name in (f"{self.tools}gcc", f"{self.tools}ld", *self.runner)
            if not shutil.which(name)
        ]
        lacking += [
            str(path)
            for path in (pathlib.Path(self.kernel[0], "linux"), pathlib.Path(self.kernel[1], "asm"))
            if not path.is_dir()
        ]
        if lacking:
            what = " ".join(self.packages) if not self.is_own else "what tools/packages.txt names"
            raise lock.Failed(
                f"for {self.name} this machine lacks {', '.join(lacking)}. Install {what}."
            )


ARCHES = {
    arch.name: arch
    for arch in (
        Arch(
            "x86_64",
            "amd64",
            "linux-x86_64",
            ("gcc-x86-64-linux-gnu", "linux-libc-dev-amd64-cross", "qemu-user-static"),
        ),
        Arch(
            "aarch64",
            "arm64",
            "linux-aarch64",
            ("gcc-aarch64-linux-gnu", "linux-libc-dev-arm64-cross", "qemu-user-static"),
        ),
    )
}


def named(name):
    if name not in ARCHES:
        raise lock.Failed(f"no release for '{name}'; there is: {', '.join(ARCHES)}")
    return ARCHES[name]
