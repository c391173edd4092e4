# SPDX-License-Identifier: Apache-2.0
"""Runs the binary under test as a user would, in a directory and an environment of its own."""

import json
import os
import pathlib
import select
import signal
import subprocess
import time

from . import net, secrets

ROOT = pathlib.Path(__file__).resolve().parents[3]
BINARY = pathlib.Path(os.environ.get("LOCKSTEP", ROOT / "build/lockstep")).absolute()
SOAK = os.environ.get("LOCKSTEP_SOAK", "") not in ("", "0")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What a sanitizer build needs to be told; nothing else of the caller's environment is passed on.
PASSED_ON = ("ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS")


class Result:
    """What one run left: exit code (128+N for signal N, as a shell says it), stdout, stderr."""

    def __init__(self, args, code, out, err, seconds):
        self.args, self.seconds = args, seconds
        self.exit = code if code >= 0 else 128 - code
        self.out = out.decode(errors="replace")
        self.err = err.decode(errors="replace")
        self.raw_out = out

    def json(self):
        try:
            return json.loads(self.out)
        except ValueError as error:
            raise AssertionError(f"stdout is no JSON ({error}): {self}") from error

    def log(self):
        """The events of `--log json`."""
        events = []
        for line in self.err.splitlines():
            try:
                events.append(json.loads(line))
            except ValueError as error:
                raise AssertionError(f"not a JSON line: {line!r} in {self}") from error
        return events

    def applied(self):
        return self.err.count("Migration applied")

    def __repr__(self):
        return (
            f"\n$ lockstep {' '.join(map(str, self.args))}\nexit {self.exit} after "
            f"{self.seconds:.2f} s\n--- stdout\n{self.out}\n--- stderr\n{self.err}\n---"
        )


class Running:
    """A run in the background; `finish` waits for it."""

    def __init__(self, owner, args, process):
        self.owner, self.args, self.process = owner, args, process
        self.began = time.monotonic()
        self.said = b""
        self.result = None

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process.poll() is None

    def signal(self, number):
        if self.alive():
            os.kill(self.process.pid, number)

    def says(self, words, timeout=60):
        """Waits until the words are in its standard error."""
        stream = self.process.stderr.fileno()

        def read():
            while select.select([stream], [], [], 0)[0]:
                part = os.read(stream, 65536)
                if not part:
                    assert words.encode() in self.said, f"ended without '{words}': {self.said!r}"
                    break
                self.said += part
            return words.encode() in self.said

        net.until(read, timeout, what=f"the words '{words}'")

    def finish(self, timeout=60, expect=0):
        if self.result is None:
            try:
                out, err = self.process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                self.owner.end(self.process)
                out, err = self.process.communicate()
                result = self._result(-signal.SIGKILL, out, err)
                raise AssertionError(f"still running after {timeout} s: {result}") from None
            finally:
                self.owner.sampler.forget(self.process.pid)
            self.result = self._result(self.process.returncode, out, err)
            self.owner.check(self.result)
        if expect is not None:
            assert self.result.exit == expect, f"expected exit {expect}: {self.result}"
        return self.result

    def _result(self, code, out, err):
        err = self.said + (err or b"")
        return Result(self.args, code, out, err, time.monotonic() - self.began)


class Lockstep:
    """The binary in a project directory. `env` is all it sees; `use` points it to a database."""

    def __init__(self, folder, sampler):
        self.sampler = sampler
        self.dir = folder / "project"
        self.home = folder / "home"
        self.tmp = folder / "tmp"
        self.bin = folder / "bin"
        for path in (self.dir, self.home, self.tmp, self.bin):
            path.mkdir(parents=True, exist_ok=True)
        (self.bin / "lockstep").symlink_to(BINARY)
        self.env = {
            "PATH": f"{self.bin}:{SYSTEM_PATH}",
            "HOME": str(self.home),
            "TMPDIR": str(self.tmp),
        }
        self.env.update({name: os.environ[name] for name in PASSED_ON if name in os.environ})
        self.db = None
        self.secret_files = set()
        self.started = []

    # -- the project ----------------------------------------------------------------------------

    def use(self, db):
        self.db = db
        self.env["DATABASE_URL"] = db.url
        return self

    def write(self, name, text, mode=None):
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(text, str):
            text = text.encode()
        path.write_bytes(text)
        if mode is not None:
            path.chmod(mode)
        if secrets.found_in(text):
            self.secret_files.add(path)
        return path

    def migrations(self, files, folder="migrations"):
        (self.dir / folder).mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            self.write(f"{folder}/{name}", text)

    def remove(self, name):
        (self.dir / name).unlink()

    # -- running --------------------------------------------------------------------------------

    def start(
        self,
        *args,
        env=None,
        without=(),
        cwd=None,
        fault=None,
        stdin=None,
        stderr=subprocess.PIPE,
        prefix=(),
        binary=None,
    ):
        full = {**self.env, **(env or {})}
        for name in without:
            full.pop(name, None)
        if fault:
            full["LOCKSTEP_FAULT"] = fault
        words = [*map(str, prefix), str(binary or BINARY), *map(str, args)]
        # pylint: disable=consider-using-with
        process = subprocess.Popen(
            words,
            cwd=cwd or self.dir,
            env=full,
            start_new_session=True,
            preexec_fn=net.die_with_parent,
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
        self.sampler.watch(process.pid)
        running = Running(self, args, process)
        self.started.append(running)
        return running

    def run(self, *args, expect=0, timeout=60, **more):
        return self.start(*args, **more).finish(timeout=timeout, expect=expect)

    def together(self, count, *args, timeout=120, **more):
        """`count` runs at the same moment; the list of their results, with any exit code."""
        running = [self.start(*args, **more) for _ in range(count)]
        return [one.finish(timeout=timeout, expect=None) for one in running]

    def fault_points(self, *args, **more):
        """The names of the fault points that such a run passes, in order, with repetitions."""
        result = self.run(*args, fault="list", **more)
        return [line[7:].strip() for line in result.err.splitlines() if line.startswith("fault: ")]

    def status(self, *args, **more):
        return self.run("status", "--json", *args, **more).json()

    # -- the end --------------------------------------------------------------------------------

    @staticmethod
    def end(process):
        """SIGKILL to the session that `start` made for it, a stopped one included."""
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    @staticmethod
    def check(result):
        for stream, text in (("stdout", result.out), ("stderr", result.err)):
            secret = secrets.found_in(text)
            assert not secret, f"the secret {secret!r} is on {stream}: {result}"
        if "AddressSanitizer" in result.err or "runtime error:" in result.err:
            raise AssertionError(f"a sanitizer speaks: {result}")

    def close(self):
        """Ends what is left, and looks for secrets in what remains of the test."""
        for running in self.started:
            self.end(running.process)
            if running.result is None:
                running.process.communicate()
                self.sampler.forget(running.process.pid)
        left = [str(path) for path in self.tmp.rglob("*")]
        found = secrets.found_below(self.dir.parent, self.secret_files)
        return left, found
