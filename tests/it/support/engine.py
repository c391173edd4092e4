# SPDX-License-Identifier: Apache-2.0
"""A container engine of a test's own: dockerd in namespaces that nothing of it leaves.

    with Engine() as engine:
        engine.image_from_files("tool", {"/tool": pathlib.Path("tool")}, 'ENTRYPOINT ["/tool"]')
        print(engine.docker("run", "--rm", "tool").stdout)

It has a loopback, bridges and firewall rules of its own and no way out of them, so an image that is
not there can not come from anywhere. `Missing` says why a machine can not run one.
"""

import glob
import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tarfile
import tempfile

from . import net
from .servers import Missing

NAMESPACES = "--mount --net --cgroup --pid --fork --kill-child --mount-proc".split()
# Control groups of version 1 are mounted again, so that they show this namespace's part only; the
# second version beside them, which runc would take for the whole, goes. Version 2 alone stays as it
# is. The data lies in memory: it goes with the namespace, and overlayfs takes it wherever the
# test's folder is. /run, because containerd leaves its sockets there whatever it is told.
INNER = """
set -e
ip link set lo up
mount -t tmpfs tmpfs /run
mkdir -p "$1/data" && mount -t tmpfs tmpfs "$1/data"
if [ ! -e /sys/fs/cgroup/cgroup.controllers ]; then
    umount -l /sys/fs/cgroup/unified 2>/dev/null || true
    for one in cpu cpuacct cpuset memory devices freezer blkio pids; do
        if umount "/sys/fs/cgroup/$one" 2>/dev/null; then
            mount -t cgroup -o "$one" cgroup "/sys/fs/cgroup/$one"
        fi
    done
fi
# A limit above the one there is would need a right that not every machine gives.
exec dockerd --data-root "$1/data/root" --exec-root "$1/data/exec" --pidfile "$1/data/pid" \
    --host "unix://$1/socket" --cgroup-parent "$2" --default-ulimit nofile=1024:4096
"""


class Link(str):
    """In `image_from_files`: a symbolic link to this."""


def need():
    """Raises Missing where it is known without trying that no engine can run."""
    if os.getuid() != 0:
        raise Missing("a container engine of its own needs root")
    for program in ("dockerd", "docker", "busybox", "ip", "unshare"):
        if not shutil.which(program):
            raise Missing(f"{program} is not installed")
    probe = subprocess.run(
        ["unshare", *NAMESPACES, "true"], capture_output=True, text=True, timeout=20, check=False
    )
    if probe.returncode:
        raise Missing(f"no namespaces here: {probe.stderr.strip()}")


def packed(files):
    """{path: bytes, str, Path of a file here, Link, or (one of those, mode)} as a tar archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            content, mode = content if isinstance(content, tuple) else (content, None)
            entry = tarfile.TarInfo(name.lstrip("/"))
            if isinstance(content, Link):
                entry.type, entry.linkname = tarfile.SYMTYPE, str(content)
                archive.addfile(entry)
                continue
            if name.endswith("/"):
                entry.type, entry.mode = tarfile.DIRTYPE, mode or 0o755
                archive.addfile(entry)
                continue
            if isinstance(content, pathlib.Path):
                mode = mode or content.stat().st_mode & 0o7777
                content = content.read_bytes()
            elif isinstance(content, str):
                content = content.encode()
            entry.size, entry.mode = len(content), mode or 0o644
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


class Engine:
    """A context manager; `docker` talks to it, `folder` may be used for what containers mount."""

    def __init__(self):
        self.folder = self.process = None
        # A name that no other engine has: the groups are removed by it.
        self.group = ""

    def __enter__(self):
        need()
        # Short, whatever the test is called: a socket's path ends at 108 bytes.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="lockstep-engine-"))
        self.group = self.folder.name
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exception):
        self.stop()

    def _start(self):
        (self.folder / "config").mkdir()
        with open(self.folder / "log", "wb") as log:
            # pylint: disable=consider-using-with
            self.process = subprocess.Popen(
                ["unshare", *NAMESPACES, "sh", "-c", INNER, "sh", self.folder, self.group],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=net.die_with_parent,
            )
        try:
            net.until(self._answers, timeout=20, every=0.05, what="dockerd's start")
        except AssertionError as late:
            raise Missing(f"{late}: {self._log()}") from None
        # An engine that answers may still be unable to run anything where it is itself contained.
        self._busybox()
        done = self.docker("run", "--rm", "busybox", "true", expect=None)
        if done.returncode:
            raise Missing(f"the engine runs no container here: {done.stderr.strip()}")

    def _answers(self):
        if self.process.poll() is not None:
            raise Missing(f"dockerd ended at once: {self._log()}")
        return self.docker("version", expect=None).returncode == 0

    def _log(self):
        return "\n".join(self.log().splitlines()[-5:])

    def log(self):
        """What the daemon said."""
        return (self.folder / "log").read_text(errors="replace")

    def docker(self, *words, expect=0, timeout=60, stdin=b"", env=None):
        """The CompletedProcess of `docker words...`, stdout and stderr as text; with an exit code
        other than `expect` (None: any) an AssertionError. A daemon that hangs ends with `timeout`.
        """
        done = subprocess.run(
            ["docker", *map(str, words)],
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=timeout,
            check=False,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.folder),
                "DOCKER_CONFIG": str(self.folder / "config"),
                "DOCKER_HOST": f"unix://{self.folder}/socket",
                # The builder inside the daemon: the other needs a plugin or a registry.
                "DOCKER_BUILDKIT": "0",
                **(env or {}),
            },
        )
        done.raw = done.stdout
        done.stdout = done.stdout.decode(errors="replace")
        done.stderr = done.stderr.decode(errors="replace")
        assert expect is None or done.returncode == expect, (
            f"expected exit {expect}, got {done.returncode}: docker {' '.join(map(str, words))}\n"
            f"{done.stdout}\n{done.stderr}"
        )
        return done

    def image_from_files(self, name, files, *config):
        """An image of one layer. `files` as for `packed`; `config` are lines of a Dockerfile that
        make no layer: 'USER 65532', 'ENTRYPOINT ["/x"]', 'ENV A=b'."""
        self.image_from_tar(name, packed(files), *config)

    def image_from_tar(self, name, data, *config):
        changes = [word for line in config for word in ("--change", line)]
        self.docker("import", *changes, "-", name, stdin=data)

    def inspect(self, name):
        return json.loads(self.docker("inspect", name).stdout)[0]

    def _busybox(self):
        """The image `busybox`: a shell and its tools, nothing else."""
        busybox = pathlib.Path(shutil.which("busybox"))
        names = subprocess.run(
            [busybox, "--list"], capture_output=True, text=True, check=True
        ).stdout.split()
        files = {"/bin/busybox": busybox, "/tmp/": ("", 0o1777), "/etc/": "", "/root/": ""}
        files |= {f"/bin/{each}": Link("busybox") for each in names if each != "busybox"}
        files["/etc/passwd"] = "root:x:0:0:root:/root:/bin/sh\n"
        self.image_from_files("busybox", files, 'CMD ["sh"]', "ENV PATH=/usr/local/bin:/bin")

    def stop(self):
        """Ends unshare, and with it every process of the engine and of its containers."""
        if self.process is not None:
            children = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
            try:
                inner = pathlib.Path(children).read_text(encoding="ascii").split()
            except OSError:
                inner = []
            # It does not heed SIGTERM.
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            net.until(lambda: not any(map(alive, inner)), what="the engine's end")
            self.process = None
        if self.folder is not None:
            self.remove()

    def remove(self):
        """The folder, and what no namespace keeps: control groups, empty now, stay behind."""
        self._remove_groups()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _remove_groups(self):
        with open("/proc/self/cgroup", encoding="ascii") as file:
            own = {line.rstrip("\n").split(":", 2)[2] for line in file} | {"/"}
        for path in own:
            for part in ("", "/*"):
                for top in glob.glob(f"/sys/fs/cgroup{part}{path.rstrip('/')}/{self.group}"):
                    for folder, _, _ in os.walk(top, topdown=False):
                        net.until(lambda folder=folder: removed(folder), what=f"{folder}'s removal")


def removed(folder):
    """A group is busy for a moment after its last process was killed."""
    try:
        os.rmdir(folder)
    except FileNotFoundError:
        pass
    except OSError:
        return False
    return True


def alive(pid):
    """Not a zombie either: the first process of a namespace is one until all others are gone."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
