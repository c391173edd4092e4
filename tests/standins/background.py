# SPDX-License-Identifier: Apache-2.0
"""What goes on at a platform by itself, while nobody asks it anything."""

import os
import signal
import threading


class Background:
    """Takes a turn twenty times a second, until `close`. `processes`: {name: (process, log)} that it
    started, each in a session of its own."""

    def __init__(self, images, path):
        self.images, self.path = images, path
        self.processes = {}
        self.stopping = threading.Event()
        self.failure = None
        self.thread = threading.Thread(target=self._loop, daemon=True)
        self.thread.start()

    def turn(self):
        raise NotImplementedError

    def close(self):
        self.stopping.set()
        self.thread.join(timeout=10)
        for process, _ in self.processes.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if self.failure:
            raise self.failure

    def _loop(self):
        while not self.stopping.wait(0.05):
            try:
                self.turn()
            except Exception as failure:  # pylint: disable=broad-except
                self.failure = failure
                return
