# SPDX-License-Identifier: Apache-2.0
"""The database as people write it, and the password that nobody is shown."""

import os
import pty
import urllib.parse

import pytest
from support import formats, net, scenes, secrets, servers

QUOTED = urllib.parse.quote(servers.APP_PASSWORD, safe="")


def plain(app, count=3):
    app.migrations(formats.plain(formats.users()[:count]))


@pytest.mark.parametrize(
    "scheme",
    [
        "postgres",
        "postgresql",
        "postgis",
        "pgsql",
        "postgresql+psycopg2",
        "postgresql+asyncpg",
        "postgres+psycopg",
        "POSTGRES",
    ],
)
def test_schemes_of_postgres(postgres_app, scheme):
    plain(postgres_app)
    url = postgres_app.db.url.replace("postgres:", f"{scheme}:", 1)
    assert postgres_app.run("migrate", env={"DATABASE_URL": url}).applied() == 3


@pytest.mark.parametrize(
    "scheme", ["mysql", "mysql2", "mariadb", "mysql+pymysql", "mariadb+mariadbconnector"]
)
def test_schemes_of_mysql(mysql_app, scheme):
    plain(mysql_app)
    url = mysql_app.db.url.replace("mysql:", f"{scheme}:", 1)
    assert mysql_app.run("migrate", env={"DATABASE_URL": url}).applied() == 3


@pytest.mark.parametrize("engine", ["postgres", "mysql"])
def test_jdbc(request, lockstep, engine):
    db = request.getfixturevalue(engine)
    plain(lockstep)
    scheme = "postgresql" if engine == "postgres" else engine
    url = f"jdbc:{scheme}://127.0.0.1:{db.server.port}/{db.name}?user=app&password={QUOTED}"
    assert lockstep.run("migrate", env={"JDBC_DATABASE_URL": url}).applied() == 3
    assert lockstep.run("migrate", env={"DATABASE_URL": url}).applied() == 0


@pytest.mark.parametrize(
    "query",
    [
        "?options=-c%20search_path%3Dtenant",
        "?options=-csearch_path=tenant",
        "?search_path=tenant",
        "?schema=tenant",
        "?sslmode=prefer&search_path=tenant&connect_timeout=5",
    ],
)
def test_schema_by_the_url(postgres_app, query):
    db = postgres_app.db
    db.execute("CREATE SCHEMA tenant AUTHORIZATION app")
    plain(postgres_app)
    env = {"DATABASE_URL": db.url + query}
    postgres_app.run("migrate", env=env)
    assert db.tables() == []
    assert db.rows("SELECT count(*) FROM tenant.person") == [(2,)]
    assert postgres_app.status(env=env)["state"] == "current"


def test_libpq_variables_beside_a_url(postgres_app):
    db = postgres_app.db
    db.execute("CREATE SCHEMA tenant AUTHORIZATION app")
    plain(postgres_app)
    url = db.url.replace(f":{QUOTED}", "")
    env = {
        "DATABASE_URL": url,
        "PGPASSWORD": servers.APP_PASSWORD,
        "PGOPTIONS": "-c search_path=tenant",
    }
    postgres_app.run("migrate", env=env)
    assert db.rows("SELECT count(*) FROM tenant.person") == [(2,)]


def test_password_file_of_libpq(postgres_app):
    db = postgres_app.db
    plain(postgres_app)
    escaped = servers.APP_PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
    path = postgres_app.home / ".pgpass"
    path.write_text(f"127.0.0.1:{db.server.port}:*:app:{escaped}\n", encoding="utf-8")
    path.chmod(0o600)
    postgres_app.secret_files.add(path)
    postgres_app.run("migrate", env={"DATABASE_URL": db.url.replace(f":{QUOTED}", "")})


def test_database_names_that_need_quoting(postgres_server, lockstep):
    name = 't_odd "name"/%?#'
    plain(lockstep)
    with postgres_server.admin() as cursor:
        cursor.execute('CREATE DATABASE "t_odd ""name""/%?#" OWNER app')
    try:
        url = postgres_server.url(urllib.parse.quote(name, safe=""))
        assert lockstep.run("migrate", env={"DATABASE_URL": url}).applied() == 3
        assert lockstep.run("migrate", env={"DATABASE_URL": url}).applied() == 0
    finally:
        with postgres_server.admin() as cursor:
            cursor.execute('DROP DATABASE "t_odd ""name""/%?#" WITH (FORCE)')


def test_sqlite_path_with_odd_characters(lockstep, tmp_path):
    plain(lockstep)
    folder = tmp_path / "a b;'c"
    folder.mkdir()
    quoted = urllib.parse.quote(f"{folder}/x?#%.db")
    lockstep.run("migrate", "--url", f"sqlite:///{quoted}")
    assert (folder / "x?#%.db").exists()


def test_sqlite_in_memory(lockstep):
    plain(lockstep)
    assert lockstep.run("migrate", "--url", "sqlite::memory:").applied() == 3
    assert [path.name for path in lockstep.dir.iterdir()] == ["migrations"]


# -- nobody is shown the password: every run checks both streams ------------------------------------


@pytest.mark.parametrize("engine", ["postgres", "mysql"])
def test_everything_said_aloud(request, lockstep, engine):
    lockstep.use(request.getfixturevalue(engine))
    lockstep.env["LOCKSTEP_LOG_LEVEL"] = "debug"
    plain(lockstep)
    for words in (
        ("detect",),
        ("plan",),
        ("migrate",),
        ("status",),
        ("history",),
        ("rollback",),
        ("wait",),
        ("migrate", "--log", "json"),
        ("run", "--", "true"),
    ):
        lockstep.run(*words)
    lockstep.run("migrate", "--verbose")


def test_url_in_the_file(postgres_app):
    plain(postgres_app)
    url = postgres_app.env.pop("DATABASE_URL")
    postgres_app.write("lockstep.yaml", f"url: '{url}'\n")
    postgres_app.run("migrate")
    assert "lockstep.yaml" in postgres_app.run("detect").out
    postgres_app.write("lockstep.yaml", f"url: ['{url}']\n")
    postgres_app.run("migrate", expect=2)
    postgres_app.write("lockstep.yaml", f"urll: '{url}'\n")
    postgres_app.run("migrate", expect=2)
    postgres_app.write("lockstep.yaml", f"url: '{url}\n")
    postgres_app.run("migrate", expect=2)


def test_the_service_gets_what_it_had(postgres_app):
    """The secret stands in its environment and nowhere else: not in its arguments."""
    plain(postgres_app)
    running = postgres_app.start("run", "--", "sleep", "30")
    net.until(
        lambda: b"sleep" in open(f"/proc/{running.pid}/cmdline", "rb").read()[:6], what="sleep"
    )
    assert not secrets.found_in(open(f"/proc/{running.pid}/cmdline", "rb").read())
    assert secrets.found_in(open(f"/proc/{running.pid}/environ", "rb").read())


def test_error_kept_in_the_database_is_masked(postgres_app):
    body = f"DO $x$ BEGIN RAISE EXCEPTION 'the password is %', $y${servers.APP_PASSWORD}$y$; END $x$;\n"
    postgres_app.write("migrations/001_x.sql", body)
    postgres_app.run("migrate", expect=1)
    (error,) = postgres_app.db.one("SELECT error FROM lockstep_runs")
    assert not secrets.found_in(error), error


# -- on a terminal --------------------------------------------------------------------------------


def on_terminal(app, answer, *words):
    """Runs with a terminal as stdin and stderr; the exit code."""
    master, slave = pty.openpty()
    try:
        running = app.start(*words, stdin=slave, stderr=slave)
        os.write(master, answer)
        return running.finish(timeout=30, expect=None).exit
    finally:
        os.close(slave)
        os.close(master)


@pytest.mark.parametrize("answer, accepted", [(b"y\n", True), (b"n\n", False), (b"\n", False)])
def test_repair_asks(sqlite_app, answer, accepted):
    plain(sqlite_app)
    sqlite_app.run("migrate")
    sqlite_app.write("migrations/001_create_person.sql", "CREATE TABLE person (id INT);\n")
    assert (on_terminal(sqlite_app, answer, "repair") == 0) == accepted
    assert (sqlite_app.status()["changed"] == []) == accepted


# -- smaller settings -----------------------------------------------------------------------------


def test_config_by_name(sqlite_app):
    sqlite_app.migrations(formats.plain(formats.users()), "here")
    sqlite_app.write("deploy/settings.yaml", "dir: here\n")
    assert sqlite_app.run("migrate", "--config", "deploy/settings.yaml").applied() == 3
    assert sqlite_app.run("migrate", env={"LOCKSTEP_CONFIG": "deploy/settings.yaml"}).applied() == 0


def test_lock_none(app):
    plain(app)
    assert app.run("migrate", "--lock", "none").applied() == 3
    app.migrations({"004_slow.sql": scenes.slow(app.db.engine, 0.2)})
    assert app.run("migrate", "--lock", "none").applied() == 1


def test_durations(sqlite_app):
    plain(sqlite_app)
    for text in ("500ms", "5s", "10m", "2h", "7", "0"):
        sqlite_app.run("migrate", "--lock-wait", text)
