# SPDX-License-Identifier: Apache-2.0
"""An ssh server of a test's own, on the loopback, with accounts that the machine does not have.

    with Sshd(folder, {"dokku": "/path/to/program"}, {"deploy": {"DOCKER_HOST": "unix:///x"}}) as sshd:
        sshd.client(bin)       # `ssh` in that folder knows the server and its keys
        sshd.address("dokku")  # "dokku@127.0.0.1:40022"

An account of the first kind runs its one program, whatever is asked for (a forced command); one of
the second has a shell and these variables. All of them are root under other names.
"""

import os
import pathlib
import shutil
import signal
import subprocess

from . import net
from .servers import Missing

NAMESPACES = "--mount --pid --fork --kill-child --mount-proc".split()
INNER = """
set -e
mount --bind "$1/passwd" /etc/passwd
mount --bind "$1/shadow" /etc/shadow
mount -t tmpfs tmpfs /run
mkdir /run/sshd
exec /usr/sbin/sshd -D -f "$1/sshd_config" -E "$1/log"
"""
CONFIG = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/keys-%u
PidFile none
UsePAM no
UseDNS no
StrictModes no
PasswordAuthentication no
PermitRootLogin yes
PermitUserEnvironment yes
MaxStartups 100
"""


class Sshd:
    """A context manager."""

    def __init__(self, folder, commands, shells):
        if os.getuid() != 0:
            raise Missing("an ssh server with accounts of its own needs root")
        for program in ("/usr/sbin/sshd", "ssh", "ssh-keygen", "unshare"):
            if not shutil.which(program):
                raise Missing(f"{program} is not installed")
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.port = net.free_port()
        self.accounts = [*commands, *shells]
        self._key("host")
        for name, command in commands.items():
            self._account(name, f'command="{command} $SSH_ORIGINAL_COMMAND",restrict')
        for name, variables in shells.items():
            words = [f'environment="{key}={value}"' for key, value in variables.items()]
            self._account(name, ",".join([*words, "restrict"]))
        self._write("passwd", "".join(f"{n}:x:0:0::{folder}:/bin/bash\n" for n in self._names()))
        self._write("shadow", "".join(f"{n}:*:1::::::\n" for n in self._names()))
        self._write("sshd_config", CONFIG.format(port=self.port, folder=self.folder))
        self.know(self.folder / "host.pub")
        self.process = None

    def _names(self):
        # The server's own helper wants an account of its own.
        return ["root", "sshd", *self.accounts]

    def _write(self, name, text):
        (self.folder / name).write_text(text, encoding="ascii")

    def _key(self, name):
        words = [
            "ssh-keygen",
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-C",
            name,
            "-f",
            self.folder / name,
        ]
        subprocess.run(words, check=True)
        return (self.folder / f"{name}.pub").read_text(encoding="ascii")

    def _account(self, name, options):
        self._write(f"keys-{name}", f"{options} {self._key(name)}")

    def know(self, public_key):
        """This is the host's key, says the client's file from now on."""
        key = pathlib.Path(public_key).read_text(encoding="ascii")
        self._write("known_hosts", f"[127.0.0.1]:{self.port} {key}")

    def other_key(self):
        """A key that is not the host's."""
        self._key("other")
        return self.folder / "other.pub"

    def address(self, account):
        return f"{account}@127.0.0.1:{self.port}"

    def client(self, folder):
        """`ssh` with a configuration of its own, as a user has one."""
        lines = [f"UserKnownHostsFile {self.folder}/known_hosts", "IdentitiesOnly yes"]
        lines += ["KexAlgorithms curve25519-sha256"]  # the default costs a quarter of a second
        for name in self.accounts:
            lines += [f"Match user {name}", f"    IdentityFile {self.folder}/{name}"]
        self._write("config", "\n".join(lines) + "\n")
        script = pathlib.Path(folder) / "ssh"
        script.write_text(
            f'#!/bin/sh\nexec /usr/bin/ssh -F {self.folder}/config "$@"\n', encoding="ascii"
        )
        script.chmod(0o755)

    def __enter__(self):
        # pylint: disable=consider-using-with
        self.process = subprocess.Popen(
            ["unshare", *NAMESPACES, "sh", "-c", INNER, "sh", self.folder],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=net.die_with_parent,
        )
        net.until(self._listens, timeout=20, what="sshd's start")
        return self

    def _listens(self):
        if self.process.poll() is not None:
            raise Missing(f"sshd ended at once: {self.log()}")
        log = self.folder / "log"
        return log.exists() and "Server listening" in log.read_text(errors="replace")

    def log(self):
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def __exit__(self, *exception):
        self.process.kill()
        self.process.wait()

    def sessions(self, account):
        """Process ids of the connections of that account, as this machine sees them."""
        title, found = f"sshd: {account}@notty", []
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if path.read_bytes().rstrip(b"\0").decode(errors="replace") == title:
                    found.append(int(path.parent.name))
            except OSError:
                pass
        return [pid for pid in found if self._is_ours(pid)]

    def _is_ours(self, pid):
        while pid > 1:
            if pid == self.process.pid:
                return True
            try:
                stat = pathlib.Path(f"/proc/{pid}/stat").read_text(
                    encoding="ascii", errors="replace"
                )
            except OSError:
                return False
            pid = int(stat.rpartition(")")[2].split()[1])
        return False

    def cut(self, account):
        """Ends its connections, how many it tells; what runs behind them goes on."""
        ended = 0
        for pid in self.sessions(account):
            try:
                os.kill(pid, signal.SIGKILL)
                ended += 1
            except ProcessLookupError:
                pass  # over meanwhile
        return ended
