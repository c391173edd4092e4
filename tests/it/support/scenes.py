# SPDX-License-Identifier: Apache-2.0
"""Small pieces of SQL that differ by engine."""

import functools
import sqlite3
import time


@functools.cache
def _rounds_a_second():
    """Of processor time: measured beside other work, a second must not become shorter."""
    connection = sqlite3.connect(":memory:")
    began = time.thread_time()
    connection.execute(
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n <"
        " 1000000) SELECT count(*) FROM c"
    ).fetchall()
    return 1000000 / (time.thread_time() - began)


def slow(engine, seconds):
    """A statement that takes about that long and changes nothing."""
    if engine == "postgres":
        return f"SELECT pg_sleep({seconds});\n"
    if engine == "mysql":
        return f"DO SLEEP({seconds});\n"
    rounds = int(_rounds_a_second() * seconds)
    return (
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < "
        f"{rounds}) SELECT count(*) FROM c;\n"
    )


def broken(engine):
    """Parses everywhere, and fails when it runs."""
    del engine
    return "INSERT INTO no_such_table (id) VALUES (1);\n"


def counting(engine, count=4):
    """Plain files whose effect shows how often each ran: {file: text}."""
    files = {"001_tally.sql": "CREATE TABLE tally (step INTEGER NOT NULL, n INTEGER NOT NULL);\n"}
    for number in range(2, count + 1):
        files[f"{number:03}_step.sql"] = f"INSERT INTO tally (step, n) VALUES ({number}, 1);\n"
    if engine == "postgres":
        files[
            f"{count + 1:03}_index.sql"
        ] = "CREATE INDEX CONCURRENTLY tally_step ON tally (step);\n"
    return files


def tally(db):
    """{step: how often}"""
    return dict(db.rows("SELECT step, count(*) FROM tally GROUP BY step"))


def once(count=4):
    return {number: 1 for number in range(2, count + 1)}
