# SPDX-License-Identifier: Apache-2.0
"""A name server whose answers are too long for UDP: whoever wants them must ask again over TCP."""

import socket
import struct
import threading

ADDRESS = "127.0.0.77"  # all of 127/8 is the loopback


def records(query, address, filler):
    """The answer to one question of type A, with `filler` more addresses that nobody listens on."""
    end = query.index(b"\0", 12) + 5
    kind = struct.unpack(">H", query[end - 4 : end - 2])[0]
    hosts = [address] + [f"127.1.{n // 250}.{n % 250 + 1}" for n in range(filler)]
    rows = b"".join(
        struct.pack(">HHHIH", 0xC00C, 1, 1, 60, 4) + socket.inet_aton(host) for host in hosts
    )
    count = len(hosts) if kind == 1 else 0
    head = query[:2] + struct.pack(">HHHHH", 0x8180, 1, count, 0, 0)
    return head + query[12:end] + (rows if kind == 1 else b"")


class TruncatingServer:
    """UDP: the truncation bit and nothing else. TCP: the answer."""

    def __init__(self, answer="127.0.0.1", filler=60):
        self.answer, self.filler = answer, filler
        self.over_tcp = 0
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((ADDRESS, 53))
        self.tcp = socket.create_server((ADDRESS, 53))
        for serve in (self._serve_udp, self._serve_tcp):
            threading.Thread(target=serve, daemon=True).start()

    def _serve_udp(self):
        while True:
            try:
                query, sender = self.udp.recvfrom(512)
            except OSError:
                return
            end = query.index(b"\0", 12) + 5
            head = query[:2] + struct.pack(">HHHHH", 0x8380, 1, 0, 0, 0)
            self.udp.sendto(head + query[12:end], sender)

    def _serve_tcp(self):
        while True:
            try:
                client, _ = self.tcp.accept()
            except OSError:
                return
            with client:
                size = client.recv(2)
                query = client.recv(struct.unpack(">H", size)[0]) if len(size) == 2 else b""
                if query:
                    self.over_tcp += 1
                    reply = records(query, self.answer, self.filler)
                    client.sendall(struct.pack(">H", len(reply)) + reply)

    def close(self):
        self.udp.close()
        self.tcp.close()
