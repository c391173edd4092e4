# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import time

from yoyo import step

__depends__ = {"0003_email"}


def nap(connection):
    """In the server, where there is one."""
    if "sqlite" in type(connection).__module__:
        pathlib.Path(os.environ.get("ASLEEP", os.devnull)).touch()
        time.sleep(1)
    else:
        connection.cursor().execute("SELECT pg_sleep(1)")


steps = [
    step("INSERT INTO hits (n) VALUES (1)"),
    step(nap),
]
