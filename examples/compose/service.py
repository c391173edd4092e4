#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts its visits in PostgreSQL. The table is lockstep's business."""

import http.server
import os
import signal
import sys

import psycopg2


def secret(name):
    path = os.environ.get(name + "_FILE")
    if path:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    return os.environ.get(name)


def connect():
    return psycopg2.connect(
        host=os.environ["POSTGRES_HOST"], port=os.environ.get("POSTGRES_PORT", "5432"),
        dbname=os.environ["POSTGRES_DB"], user=os.environ["POSTGRES_USER"],
        password=secret("POSTGRES_PASSWORD"))


class Counter(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        connection = connect()
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute("INSERT INTO visit (path) VALUES (%s)", (self.path,))
                cursor.execute("SELECT count(*) FROM visit")
                body = f"{cursor.fetchone()[0]} visits\n".encode()
        finally:
            connection.close()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    address = (os.environ.get("ADDRESS", ""), int(os.environ.get("PORT", "8080")))
    http.server.ThreadingHTTPServer(address, Counter).serve_forever()
