#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A small shop that answers over HTTP from SQLite. It expects its schema to be there: making it so
is lockstep's job, which is why this file knows nothing of migrations.

DATABASE_URL (sqlite:////path) names the database, PORT where to listen (0 = any free port).
"""

import http.server
import json
import os
import signal
import sqlite3
import sys

RELEASE = int(os.environ.get("RELEASE", "1"))
# What each release asks of the schema; release 1 would not start on an empty database.
QUERIES = {
    1: "SELECT count(*) AS products FROM product",
    2: "SELECT count(*) AS products, sum(in_stock) AS in_stock FROM product",
    3: "SELECT count(*) AS products, sum(in_stock) AS in_stock,"
       " (SELECT count(*) FROM customer_order) AS orders FROM product",
}


def ask():
    path = os.environ["DATABASE_URL"].removeprefix("sqlite:///")
    with sqlite3.connect(path, timeout=10) as connection:
        connection.row_factory = sqlite3.Row
        return dict(connection.execute(QUERIES[RELEASE]).fetchone())


class Shop(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"release": RELEASE, **ask()}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        stock = ask()
    except sqlite3.Error as error:
        sys.exit(f"service: the schema is not what release {RELEASE} needs: {error}")
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", int(os.environ.get("PORT", "8000"))), Shop)
    print(f"service: release {RELEASE} serves {stock['products']} products"
          f" on http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
