# SPDX-License-Identifier: Apache-2.0
"""Every password used by the tests, and the search for them in places where none may be."""

import base64
import os
import pathlib
import threading
import urllib.parse

_known = {}


def register(value):
    """From now on `value` may be seen nowhere. Returns it."""
    raw = value.encode()
    _known[raw] = value
    _known[urllib.parse.quote(value, safe="").encode()] = value
    _known[urllib.parse.quote(value).encode()] = value
    _known[base64.b64encode(raw)] = value
    return value


def found_in(data):
    """The first secret in `data` (bytes or str), or None."""
    if isinstance(data, str):
        data = data.encode()
    return next((value for form, value in _known.items() if form in data), None)


def found_below(folder, allowed=()):
    """(path, secret) of files below `folder` that hold one; `allowed`: files the test itself wrote."""
    allowed = {pathlib.Path(path) for path in allowed}
    for path in sorted(pathlib.Path(folder).rglob("*")):
        if path in allowed or path.is_symlink() or not path.is_file():
            continue
        try:
            secret = found_in(path.read_bytes())
        except OSError:
            continue
        if secret:
            return path, secret
    return None


class Sampler:
    """Looks at the command lines of watched processes and all below them, while they live."""

    def __init__(self):
        self.findings = []
        self._watched = set()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stop = False
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    def watch(self, pid):
        with self._lock:
            self._watched.add(pid)
        self._wake.set()

    def forget(self, pid):
        with self._lock:
            self._watched.discard(pid)

    def close(self):
        self._stop = True
        self._wake.set()
        self._thread.join(timeout=5)

    def _look(self, pid, depth=0):
        base = f"/proc/{pid}"
        try:
            with open(f"{base}/cmdline", "rb") as file:
                line = file.read()
            children = []
            for task in os.listdir(f"{base}/task"):
                with open(f"{base}/task/{task}/children", encoding="ascii") as file:
                    children += file.read().split()
        except OSError:
            return
        if found_in(line):
            self.findings.append(line.replace(b"\0", b" ").decode(errors="replace"))
        if depth < 8:
            for child in children:
                self._look(child, depth + 1)

    def _loop(self):
        while not self._stop:
            with self._lock:
                pids = list(self._watched)
            if not pids:
                self._wake.wait(1)
                self._wake.clear()
                continue
            for pid in pids:
                self._look(pid)
            self._wake.clear()
            self._wake.wait(0.03)
