# SPDX-License-Identifier: Apache-2.0
"""Command lines, timed from spawn to exit; what is compared takes turns."""

import contextlib
import os
import pathlib
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

MB = 1024 * 1024
PATIENCE = 120  # seconds; then a run is killed, and the benchmark ends


def clean_env(**more):
    env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**env, **more}


@contextlib.contextmanager
def patience(kill):
    """Calls that when it ends. A wait with a timeout polls, ever more seldom: no use for timing."""
    signal.signal(signal.SIGALRM, lambda *_: kill())
    signal.alarm(PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)


def wait_patiently(processes):
    """The exit statuses."""
    with patience(lambda: [process.kill() for process in processes]):
        return [process.wait() for process in processes]


class Program:
    """A command line with what it needs, timed from spawn to exit."""

    def __init__(self, name, argv, cwd="/", **env):
        self.name, self.argv, self.cwd = name, [str(word) for word in argv], str(cwd)
        self.env = clean_env(**env)

    def start(self, output=os.devnull, kept=()):
        with open(output, "ab") as out:
            return subprocess.Popen(self.argv, cwd=self.cwd, env=self.env, stdin=subprocess.DEVNULL,
                                    stdout=out, stderr=subprocess.STDOUT, pass_fds=kept)

    def gated(self, descriptor):
        """The same, once the other end of that pipe is closed."""
        gate = f"read word <&{descriptor}; exec \"$@\""
        program = Program(self.name, ["/bin/sh", "-c", gate, "sh", *self.argv], self.cwd)
        program.env = self.env
        return program

    def time(self):
        """Without Popen, which takes half as long as the smallest programs here."""
        with tempfile.NamedTemporaryFile() as log, contextlib.chdir(self.cwd):
            program = shutil.which(self.argv[0], path=self.env.get("PATH"))
            files = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                     (os.POSIX_SPAWN_DUP2, log.fileno(), 1), (os.POSIX_SPAWN_DUP2, log.fileno(), 2)]
            begin = time.monotonic()
            pid = os.posix_spawn(program, self.argv, self.env, file_actions=files,
                                 setsigdef=[signal.SIGPIPE])
            with patience(lambda: os.kill(pid, signal.SIGKILL)):
                status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            seconds = time.monotonic() - begin
            if status != 0:
                sys.exit(f"{self.name} ended with {status}:\n{pathlib.Path(log.name).read_text()}")
        return seconds

    def peak_memory(self):
        """Bytes. GNU time forks from a small process: a child's figure starts with its parent's."""
        with tempfile.NamedTemporaryFile("r") as out:
            subprocess.run(["/usr/bin/time", "-f", "%M", "-o", out.name, *self.argv], check=True,
                           cwd=self.cwd, env=self.env, stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            return int(out.read().split()[-1]) * 1024


class Turns:
    """Programs that take turns, in another order each round: who runs behind a large one finds the
    caches cold. `before` prepares each single run and is not timed."""

    def __init__(self, programs, rounds, before=lambda program: None):
        self.times = {program: [] for program in programs}
        for _ in range(rounds):
            for program in random.sample(programs, len(programs)):
                before(program)
                self.times[program].append(program.time())

    def median(self, program):
        """Seconds."""
        return statistics.median(self.times[program])

    def ratio(self, program, other):
        """Of the two runs of each round, which met the same machine: the median of that."""
        return median_ratio(self.times[program], self.times[other])


def median_ratio(times, others):
    return statistics.median(one / other for one, other in zip(times, others))
