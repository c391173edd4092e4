#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A shop with one shelf. DATABASE_URL says which SQLite file; its tables are lockstep's business.

`shop.py --list` prints the shelf, without it the shop serves it on PORT.
"""

import http.server
import os
import sqlite3
import sys


def shelf():
    path = os.environ.get("DATABASE_URL", "sqlite:shop.db").removeprefix("sqlite:")
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT name, price FROM product ORDER BY name").fetchall()
    return "".join(f"{name}: {price / 100:.2f}\n" for name, price in rows)


class Shop(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = shelf().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    if sys.argv[1:] == ["--list"]:
        print(shelf(), end="")
    else:
        address = ("", int(os.environ.get("PORT", "8080")))
        http.server.ThreadingHTTPServer(address, Shop).serve_forever()
