# SPDX-License-Identifier: Apache-2.0
"""With nothing to do: one connection, one query, no change, no other program."""

import os
import re
import shutil
import subprocess

import pytest
from support import formats, scenes
from support.binary import BINARY


def ready(app, fmt="plain"):
    app.migrations(formats.WRITERS[fmt](formats.users()))
    app.run("migrate")
    app.run("migrate")


def cost(db, offset):
    """(connections, queries) of a PostgreSQL database since that place of the log."""
    lines = db.server.log_since(offset, db.name)
    return (
        sum("connection authorized: user=app" in line for line in lines),
        sum(bool(re.search(r"LOG:  (statement|execute)", line)) for line in lines),
        lines,
    )


@pytest.mark.parametrize("fmt", formats.WRITERS)
def test_one_connection_one_query(postgres_app, fmt):
    if fmt in formats.NAMED:
        postgres_app.env["LOCKSTEP_FORMAT"] = fmt
    ready(postgres_app, fmt)
    db = postgres_app.db
    offset = db.server.log_size()
    result = postgres_app.run("run", "--", "echo", "served")
    assert result.out == "served\n"
    connections, queries, lines = cost(db, offset)
    assert (connections, queries) == (1, 1), "\n".join(lines)


def test_one_connection_one_query_on_mysql(mysql_app):
    ready(mysql_app)
    server = mysql_app.db.server
    offset = server.general_size()
    mysql_app.run("run", "--", "true")
    lines = [line for line in server.general_since(offset) if "app@" in line or "Query" in line]
    mine = {
        line.split()[0] if not line.startswith("2") else line.split()[2]
        for line in lines
        if "app@" in line
    }
    assert len(mine) == 1, lines
    number = mine.pop()
    queries = [line for line in lines if re.search(rf"\b{number} (Query|Execute)\b", line)]
    assert len(queries) == 1, lines


def test_sqlite_file_is_not_written(sqlite_app):
    ready(sqlite_app)
    before = {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sqlite_app.db.path.parent.iterdir()
    }
    sqlite_app.run("run", "--", "true")
    after = {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sqlite_app.db.path.parent.iterdir()
    }
    assert before == after


def test_no_row_is_added(app):
    ready(app)
    before = app.db.contents(["lockstep_runs", "lockstep_migrations"])
    app.run("run", "--", "true")
    assert app.db.contents(["lockstep_runs", "lockstep_migrations"]) == before


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_no_other_program_is_started(sqlite_app):
    ready(sqlite_app)
    trace = sqlite_app.dir / "trace"
    subprocess.run(
        [
            "strace",
            "-f",
            "-e",
            "trace=execve,clone,fork,vfork",
            "-o",
            trace,
            BINARY,
            "run",
            "--",
            "true",
        ],
        cwd=sqlite_app.dir,
        env=sqlite_app.env,
        check=True,
    )
    calls = [
        line for line in trace.read_text(encoding="utf-8").splitlines() if "exited" not in line
    ]
    assert len(calls) == 2 or all("execve" in line for line in calls), calls


def test_files_touched(app):
    """Other times, same content: compared once, still nothing to do."""
    ready(app)
    for path in (app.dir / "migrations").iterdir():
        os.utime(path, (1, 1))
    assert app.run("run", "--", "echo", "served").out == "served\n"
    assert app.db.outcomes().count("failed") == 0
    assert app.status()["changed"] == []


def test_files_touched_pay_once(postgres_app):
    ready(postgres_app)
    for path in (postgres_app.dir / "migrations").iterdir():
        os.utime(path, (1, 1))
    postgres_app.run("run", "--", "true")
    offset = postgres_app.db.server.log_size()
    postgres_app.run("run", "--", "true")
    connections, queries, lines = cost(postgres_app.db, offset)
    assert (connections, queries) == (1, 1), "\n".join(lines)


def test_content_changed_with_another_time(app):
    ready(app)
    path = app.dir / "migrations/001_create_person.sql"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("100", "101"), encoding="utf-8")
    result = app.run("run", "--", "echo", "served", expect=6)
    assert result.out == "" and "001_create_person.sql" in result.err


def test_content_changed_behind_our_back(sqlite_app):
    """Same size, same time: `run` may miss it (5.6), `status` may not."""
    ready(sqlite_app)
    path = sqlite_app.dir / "migrations/001_create_person.sql"
    text, stat = path.read_text(encoding="utf-8"), path.stat()
    path.write_text(text.replace("100", "101"), encoding="utf-8")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert [row["version"] for row in sqlite_app.status()["changed"]] == ["001"]


def test_another_tools_row_opens_the_gate(postgres_app):
    """A row that disappears from the version table is noticed at the next start."""
    ready(postgres_app, "dbmate")
    db = postgres_app.db
    db.execute("ALTER TABLE person DROP COLUMN email")
    db.execute("DELETE FROM schema_migrations WHERE version = '003'")
    assert postgres_app.run("run", "--", "true").applied() == 1
    assert "email" in db.columns("person")


def test_new_file_opens_the_gate(app):
    ready(app)
    app.migrations({"004_more.sql": "CREATE TABLE more (id INTEGER);\n"})
    assert app.run("run", "--", "true").applied() == 1


def test_older_image_after_a_newer_one(app):
    files = scenes.counting(app.db.engine)
    app.migrations(dict(sorted(files.items())[:2]), "old/migrations")
    app.migrations(files)
    app.run("migrate")
    for _ in range(2):
        result = app.run("run", "--", "echo", "served", cwd=app.dir / "old")
        assert result.out == "served\n" and result.applied() == 0
    assert app.run("migrate").applied() == 0
    assert scenes.tally(app.db) == scenes.once()


def test_many_files(sqlite_app):
    sqlite_app.migrations(
        {f"{n:05}_t.sql": f"CREATE TABLE t{n} (id INTEGER);\n" for n in range(1, 1001)}
    )
    assert sqlite_app.run("migrate", timeout=120).applied() == 1000
    assert sqlite_app.run("migrate").applied() == 0
    assert len(sqlite_app.db.own_tables()) == 1000
