# SPDX-License-Identifier: Apache-2.0
"""Free ports, waiting, asking, and a TCP proxy that can hold, slow down and cut what passes through it."""

import ctypes
import random
import select
import signal
import socket
import struct
import threading
import time
import urllib.error
import urllib.request


# Below the ports that the kernel gives to clients: a server that is stopped finds its own again.
PORTS = range(15000, 32000)
_given = set()


def free_port():
    while True:
        port = random.SystemRandom().choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in _given:
            _given.add(port)
            return port


_libc = ctypes.CDLL(None)


def die_with_parent():
    """For `preexec_fn`: nothing outlives a test run that was itself killed."""
    _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def until(condition, timeout=60, every=0.02, what="the condition"):
    """Waits until `condition()` is true, and returns what it returned."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {timeout} s")
        time.sleep(every)


class Proxy:
    """Between a client and 127.0.0.1:port. One thread a connection."""

    def __init__(self, port, host="127.0.0.1"):
        self.target = (host, port)
        self.delay = 0.0
        self._frozen = set()  # pairs in a black hole: they stay, nothing passes
        self._dark = False  # new connections wait at the door
        self.cut_after = None  # bytes from the server until every connection is cut
        self.passed = 0
        self.accepted = 0
        self._pairs = set()
        self._lock = threading.Lock()
        self._closed = False
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        while self._dark and not self._closed:
            time.sleep(0.02)
        try:
            server = socket.create_connection(self.target, timeout=10)
        except OSError:
            self._reset(client)
            return
        pair = (client, server)
        with self._lock:
            self._pairs.add(pair)
        try:
            self._pump(pair)
        except (OSError, ValueError):
            pass
        with self._lock:
            self._pairs.discard(pair)
            self._frozen.discard(pair)
        client.close()
        server.close()

    def _pump(self, pair):
        client, server = pair
        other = {client: server, server: client}
        while not self._closed:
            if pair in self._frozen:
                time.sleep(0.02)
                continue
            ready, _, _ = select.select([client, server], [], [], 0.1)
            for side in ready:
                if pair in self._frozen:
                    break
                data = side.recv(65536)
                if not data:
                    return
                if self.delay:
                    time.sleep(self.delay)
                if side is server:
                    self.passed += len(data)
                    if self.cut_after is not None and self.passed >= self.cut_after:
                        self.cut()
                        return
                other[side].sendall(data)

    @staticmethod
    def _reset(end):
        """RST instead of FIN."""
        try:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        end.close()

    def connections(self):
        with self._lock:
            return len(self._pairs)

    def cut(self):
        """Ends every connection on both sides; new ones are served."""
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            for end in pair:
                self._reset(end)

    def freeze(self):
        """From now on nothing passes. Neither side is told: a node that lost its network."""
        with self._lock:
            self._dark = True
            self._frozen |= self._pairs

    def thaw(self):
        """New connections are served again; those of before stay in the hole."""
        self._dark = False

    def close(self):
        self._closed = True
        self._listener.close()
        self._frozen = set()
        self.cut()


def ask(port, path):
    """(status, body) of an HTTP server of this machine; (None, b"") when none answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError:
        return None, b""
