# SPDX-License-Identifier: Apache-2.0
"""Tools on MariaDB, whose sessions carry no name: they are found by the port of the client. And what
is the same on PostgreSQL."""

import signal
import subprocess
import threading
import urllib.parse

import pymysql
import pytest
from support import net, tools
from support.net import Proxy
from support.servers import APP_PASSWORD

# Waits in the server for longer than any test: only ending the session, or its statement, helps.
FOR_LONG = "SLEEP(100)"
DJANGO = """
from django.db import migrations

class Migration(migrations.Migration):
    dependencies = [("blog", "0003_email")]
    operations = [migrations.RunSQL([{}])]
"""
KNEX = "exports.up = async (knex) => {{ for (const sql of [{}]) await knex.raw(sql); }};\nexports.down = async () => {{}};\n"
FILES = {
    "django": ("blog/migrations/0004_long.py", DJANGO),
    "knex": ("migrations/20240101000004_long.js", KNEX),
}


@pytest.fixture(params=["django", "knex"])
def project(request, lockstep, mysql):
    tool = tools.case(request.param)
    why = tool.missing("mysql")
    if why:
        pytest.skip(why)
    one = tools.Project(tool, lockstep, mysql)
    one.own()
    yield one
    one.close()


def add_long(project, *statements):
    name, text = FILES[project.tool.name]
    project.runner.write(name, text.format(", ".join(f'"{one}"' for one in statements)))


def at_it(project, what=FOR_LONG):
    """Ids of the sessions that run the long statement."""
    return [row[0] for row in project.db.sessions() if what in (row[2] or "")]


def start_long(project, *words, **more):
    running = project.runner.start("migrate", *words, **more)

    def begun():
        assert running.alive(), running.finish(expect=None)
        return at_it(project)

    net.until(begun, what="the long statement")
    return running


def noted(project):
    """What the run wrote down of its tool's sessions."""
    return project.db.rows(
        "SELECT error FROM lockstep_runs WHERE outcome = 'running' AND error IS NOT NULL"
    )


def as_app(db):
    """The service: of the same user, as sessions of others are hidden from it."""
    return pymysql.connect(
        host="127.0.0.1",
        port=db.server.port,
        user="app",
        password=APP_PASSWORD,
        database=db.name,
        autocommit=True,
    )


def test_a_statement_that_keeps_others_waiting_is_cancelled(project):
    add_long(project, "LOCK TABLES posts WRITE", f"UPDATE posts SET title = {FOR_LONG}")
    running = start_long(project, "--max-block", "1s")
    app = as_app(project.db)
    waiting = threading.Thread(target=lambda: app.query("SELECT * FROM posts"))
    waiting.start()
    failed = running.finish(expect=1)
    waiting.join(timeout=30)
    assert not waiting.is_alive(), "the service is still kept waiting"
    app.close()
    assert "cancelling its statement" in failed.err, failed
    assert "--max-block" in failed.err and "Query execution was interrupted" in failed.err, failed
    assert failed.out == "", failed
    assert not at_it(project)


def test_what_a_killed_run_left_is_ended_first(project):
    """Whoever takes over cannot look at the processes of the lost one: it reads what was noted."""
    add_long(project, "INSERT INTO hits (n) VALUES (1)", f"DO {FOR_LONG}")
    running = start_long(project)
    orphans = at_it(project)
    net.until(lambda: noted(project), what="a note of the session")
    [(sessions,)] = noted(project)
    assert [int(one.split("@")[0]) for one in sessions.split(",")] == orphans
    assert sessions not in project.runner.run("history", "--json").out
    running.signal(signal.SIGKILL)
    running.finish(expect=137)
    assert at_it(project) == orphans, "a dead client does not end its statement"
    add_long(project, "INSERT INTO hits (n) VALUES (2)")
    after = project.runner.run("migrate")
    assert "ended 1 session that a lost run had left behind" in after.err, after
    assert not at_it(project)
    assert project.db.outcomes() == ["lost", "succeeded"]


def test_what_a_stopped_tool_left_is_ended(project):
    add_long(project, f"DO {FOR_LONG}")
    running = start_long(project, "--grace", "1s")
    running.signal(signal.SIGTERM)
    ended = running.finish(expect=143)
    assert not at_it(project), ended
    assert project.db.outcomes() == ["lost"]


def test_a_tool_ends_with_a_leader_that_is_killed(project):
    """Nobody keeps the lock any more under which it works."""
    add_long(project, f"DO {FOR_LONG}")
    running = start_long(project)
    child = subprocess.run(
        ["pgrep", "-P", str(running.pid)], stdout=subprocess.PIPE, check=True, timeout=10
    ).stdout.split()
    running.signal(signal.SIGKILL)
    running.finish(expect=137)
    for pid in child:
        net.until(lambda pid=pid: is_gone(int(pid)), what="the tool's end")


def is_gone(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_where_ports_do_not_tell(project, mysql_server):
    """Behind something that changes ports nobody's session is taken for the tool's."""
    proxy = Proxy(mysql_server.port)
    stranger = as_app(project.db)
    url = urllib.parse.urlsplit(project.db.url)
    through = url._replace(netloc=url.netloc.replace(str(url.port), str(proxy.port))).geturl()
    add_long(project, "INSERT INTO hits (n) VALUES (1)")
    done = project.runner.run("migrate", env={"DATABASE_URL": through})
    proxy.close()
    assert "cannot be told from others'" in done.err, done
    stranger.ping(reconnect=False)
    stranger.close()
    assert project.hits() == 1


def test_postgresql_clients_that_do_not_read_pgappname(lockstep, postgres):
    """As JDBC and others: by the port too, and nothing but the port."""
    project = tools.Project(tools.case("django"), lockstep, postgres)
    project.own()
    name, text = FILES["django"]
    lockstep.write(name, text.format('"SELECT pg_sleep(100)"'))
    command = "env -u PGAPPNAME -u PGOPTIONS python3 manage.py migrate --noinput"
    running = lockstep.start("migrate", "--command", command)

    def asleep():
        assert running.alive(), running.finish(expect=None)
        return [row for row in postgres.sessions("%") if "pg_sleep(100)" in row[3]]

    [(pid, named, _, _)] = net.until(asleep, what="the long statement")
    assert not named.startswith("lockstep:")
    [(sessions,)] = net.until(lambda: noted(project), what="a note of the session")
    assert sessions.startswith(f"{pid}@127.0.0.1:")
    running.signal(signal.SIGKILL)
    running.finish(expect=137)
    lockstep.write(name, text.format('"SELECT 1"'))
    lockstep.run("migrate")
    assert not [row for row in postgres.sessions("%") if row[0] == pid]
    project.close()


IDLE = """
import os
import time
from django.db import migrations

def think(apps, schema_editor):
    while not os.path.exists("thought"):
        time.sleep(0.05)

class Migration(migrations.Migration):
    dependencies = [("blog", "0003_email")]
    operations = [
        migrations.RunSQL("ALTER TABLE posts ADD COLUMN more integer"),
        migrations.RunPython(think),
    ]
"""


def test_a_tool_that_does_nothing_in_its_transaction(lockstep, postgres):
    """There is no statement to cancel: after twice the time its session is ended."""
    project = tools.Project(tools.case("django"), lockstep, postgres)
    project.own()
    lockstep.write(FILES["django"][0], IDLE)
    running = lockstep.start("migrate", "--max-block", "500ms")

    def idle():
        assert running.alive(), running.finish(expect=None)
        return [row for row in postgres.sessions() if row[2] == "idle in transaction"]

    net.until(idle, what="the open transaction")
    app = postgres.as_app()
    with app.cursor() as cursor:
        cursor.execute("SET statement_timeout = '30s'; SELECT count(*) FROM posts")
        assert cursor.fetchall() == [(1,)]
    app.close()
    lockstep.write("thought", "")
    done = running.finish()
    assert "cancelling its statement" in done.err and "ending its session" in done.err, done
    assert "trying again" in done.err and "more" in postgres.columns("posts"), done
    project.close()
