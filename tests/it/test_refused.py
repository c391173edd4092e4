# SPDX-License-Identifier: Apache-2.0
"""What is refused before anything is run: by name, with a way out, and leaving no trace."""

import os
import re

import pytest
from support import formats, net

GOOD = {
    "001_a.sql": "CREATE TABLE a (id INTEGER);\n",
    "002_b.sql": "CREATE TABLE b (id INTEGER);\n",
}
UP, DOWN = "-- migrate:up\nCREATE TABLE x (id INTEGER);\n", "-- migrate:down\nDROP TABLE x;\n"


def refused(app, *named, code=2, words=("migrate",), **more):
    """`migrate` ends with `code`, names all of `named`, and neither it nor `plan` leaves a trace."""
    before = app.db.tables()
    result = app.run(*words, expect=code, **more)
    for name in named:
        assert name in result.err, f"{name!r} is not named: {result}"
    assert "Migration applied" not in result.err
    assert app.db.tables() == before
    return result


FILES = {
    "two files with one version": (
        {**GOOD, "002_c.sql": "CREATE TABLE c (id INTEGER);\n"},
        ["002_b.sql", "002_c.sql"],
    ),
    "one version written in two ways": (
        {**GOOD, "2_c.sql": "CREATE TABLE c (id INTEGER);\n"},
        ["002_b.sql", "2_c.sql"],
    ),
    "two formats": (
        {"001_a.sql": UP + DOWN, "002_b.sql": "-- +goose Up\nCREATE TABLE b (id INTEGER);\n"},
        ["001_a.sql", "002_b.sql"],
    ),
    "two formats by name": (
        {
            "001_a.up.sql": "CREATE TABLE a (id INTEGER);\n",
            "V2__b.sql": "CREATE TABLE b (id INTEGER);\n",
        },
        ["V2__b.sql"],
    ),
    "a marker in one file only": ({**GOOD, "003_c.sql": UP + DOWN}, ["003_c.sql"]),
    "no version": ({**GOOD, "add_users.sql": "CREATE TABLE c (id INTEGER);\n"}, ["add_users.sql"]),
    "invalid UTF-8": (
        {**GOOD, "003_c.sql": b"CREATE TABLE c (id INTEGER); -- \xff\xfe\n"},
        ["003_c.sql"],
    ),
    "a NUL byte": ({**GOOD, "003_c.sql": b"CREATE TABLE c (id INTEGER);\0\n"}, ["003_c.sql"]),
    "an unfinished string": ({**GOOD, "003_c.sql": "INSERT INTO a VALUES ('x);\n"}, ["003_c.sql"]),
    "dbmate: indented marker": (
        {
            "001_a.sql": UP + DOWN,
            "002_b.sql": "  -- migrate:up\nCREATE TABLE b (id INTEGER);\n" + DOWN,
        },
        ["002_b.sql"],
    ),
    "dbmate: marker in capitals": (
        {
            "001_a.sql": UP + DOWN,
            "002_b.sql": "-- MIGRATE:UP\nCREATE TABLE b (id INTEGER);\n" + DOWN,
        },
        ["002_b.sql"],
    ),
    "dbmate: no down marker": ({"001_a.sql": UP}, ["001_a.sql"]),
    "dbmate: down before up": ({"001_a.sql": DOWN + UP}, ["001_a.sql"]),
    "dbmate: SQL before up": (
        {"001_a.sql": "CREATE TABLE z (id INTEGER);\n" + UP + DOWN},
        ["001_a.sql"],
    ),
    "dbmate: unknown option": (
        {"001_a.sql": UP.replace("up", "up transaktion:false", 1) + DOWN},
        ["001_a.sql"],
    ),
    "golang-migrate: one version twice": (
        {
            "0001_a.up.sql": "CREATE TABLE a (id INTEGER);\n",
            "1_b.up.sql": "CREATE TABLE b (id INTEGER);\n",
        },
        ["0001_a.up.sql", "1_b.up.sql"],
    ),
    "goose: indented annotation": (
        {"1_a.sql": "-- +goose Up\nCREATE TABLE a (id INTEGER);\n -- +goose Down\nDROP TABLE a;\n"},
        ["1_a.sql"],
    ),
    "goose: two Up": (
        {"1_a.sql": "-- +goose Up\nCREATE TABLE a (id INTEGER);\n-- +goose Up\n"},
        ["1_a.sql"],
    ),
    "goose: Begin without End": (
        {"1_a.sql": "-- +goose Up\n-- +goose StatementBegin\nCREATE TABLE a (id INTEGER);\n"},
        ["1_a.sql"],
    ),
    "goose: last statement without semicolon": (
        {"1_a.sql": "-- +goose Up\nCREATE TABLE a (id INTEGER)\n"},
        ["1_a.sql"],
    ),
    "goose: a Go migration": (
        {
            "1_a.sql": "-- +goose Up\nCREATE TABLE a (id INTEGER);\n",
            "00002_b.go": "package migrations\n",
        },
        ["00002_b.go"],
    ),
    "Flyway: V1 and V1.0": (
        {
            "V1__a.sql": "CREATE TABLE a (id INTEGER);\n",
            "V1.0__b.sql": "CREATE TABLE b (id INTEGER);\n",
        },
        ["V1__a.sql", "V1.0__b.sql"],
    ),
    "Flyway: V1_1 and V1.1": (
        {
            "V1_1__a.sql": "CREATE TABLE a (id INTEGER);\n",
            "V1.1__b.sql": "CREATE TABLE b (id INTEGER);\n",
        },
        ["V1_1__a.sql", "V1.1__b.sql"],
    ),
    "Flyway: unknown placeholder in a comment": (
        {"V1__a.sql": "-- ${unknown}\nCREATE TABLE a (id INTEGER);\n"},
        ["V1__a.sql", "unknown"],
    ),
    "V0001.Name.up.sql": (
        {
            "V0001.Name.up.sql": "CREATE TABLE a (id INTEGER);\n",
            "V0001.Name.down.sql": "DROP TABLE a;\n",
        },
        ["V0001.Name"],
    ),
}


@pytest.mark.asan
@pytest.mark.parametrize("name", FILES)
def test_files(sqlite_app, name):
    files, named = FILES[name]
    sqlite_app.migrations(files)
    refused(sqlite_app, *named)
    refused(sqlite_app, *named[:1], words=("plan",))
    # SQLite makes the file when it is opened; nothing stands in it.
    assert not sqlite_app.db.path.exists() or sqlite_app.db.path.stat().st_size == 0


TERN = {
    "gap": {
        "001_a.sql": "SELECT 1;\n---- create above / drop below ----\n",
        "002_b.sql": "SELECT 1;\n",
        "004_d.sql": "SELECT 1;\n",
    },
    "duplicate": {
        "001_a.sql": "SELECT 1;\n---- create above / drop below ----\n",
        "001_b.sql": "SELECT 1;\n",
    },
    "condition": {
        "001_a.sql": "{{ if true }}SELECT 1;{{ end }}\n---- create above / drop below ----\n"
    },
    "sprig": {"001_a.sql": "SELECT '{{ \"x\" | upper }}';\n---- create above / drop below ----\n"},
}


@pytest.mark.parametrize("name", TERN)
def test_tern_files(postgres_app, name):
    postgres_app.migrations(TERN[name])
    refused(postgres_app, "0")


@pytest.mark.parametrize(
    "text, line, column",
    [
        ("CREATE TABLE c (id integer);\nCREATE TALBE d (id integer);\n", 2, 8),
        ("\n\nSELECT 1;\n\n  SELEC 2;\n", 5, 3),
        ("CREATE TABLE c (id integer\n", 2, 1),
        ("CREATE TABLE c (id integer); /* never closed\n", 1, 30),
        ("CREATE TABLE \u00fcber (id integer); SELEC 1;\n", 1, 33),
    ],
)
def test_a_file_that_does_not_parse(postgres_app, text, line, column):
    postgres_app.migrations({**GOOD, "003_c.sql": text})
    result = refused(postgres_app, "003_c.sql")
    place = re.search(r"003_c\.sql:(\d+):(\d+)", result.err)
    assert place, f"no file:line:column: {result}"
    assert (int(place[1]), int(place[2])) == (line, column) or "end of input" in result.err


def test_a_typo_in_the_last_file_stops_the_first(postgres_app):
    """Also in a down section: it would fail on the day it is needed."""
    postgres_app.migrations(
        {f"{n:03}_t.sql": f"CREATE TABLE t{n} (id integer);\n" for n in range(1, 20)}
    )
    postgres_app.migrations({"020_t.sql": "CREATE TABLE t20 (id integer;\n"})
    refused(postgres_app, "020_t.sql")


@pytest.mark.parametrize("fmt", ["plain", "dbmate", "diesel", "goose"])
def test_changed_content(request, lockstep, fmt, sqlite):
    del request
    app = lockstep.use(sqlite)
    files = formats.WRITERS[fmt](formats.users())
    app.migrations(files)
    app.run("migrate")
    name = next(name for name, text in files.items() if "CREATE TABLE person" in text)
    app.write(f"migrations/{name}", files[name].replace("person (id", "person ( id"))
    refused(app, name, code=6)
    app.migrations(
        {"900_more.sql": files[name].replace("person", "other")}
        if fmt != "diesel"
        else {"2030-01-01-000000_more/up.sql": "CREATE TABLE other (id INTEGER);\n"}
    )
    refused(app, name, code=6)
    assert not app.db.exists("other")


def test_link_that_leaves_the_directory(sqlite_app):
    sqlite_app.migrations(GOOD)
    outside = sqlite_app.write("outside.sql", "CREATE TABLE stolen (id INTEGER);\n")
    (sqlite_app.dir / "migrations/003_c.sql").symlink_to(outside)
    refused(sqlite_app, "003_c.sql")
    (sqlite_app.dir / "migrations/003_c.sql").unlink()
    (sqlite_app.dir / "migrations/003_c.sql").symlink_to("../outside.sql")
    refused(sqlite_app, "003_c.sql")


def test_link_within_the_directory(sqlite_app):
    """As Kubernetes mounts a ConfigMap: every file a link into a hidden directory beside it."""
    sqlite_app.migrations(GOOD, "migrations/..2024_01_01")
    (sqlite_app.dir / "migrations/..data").symlink_to("..2024_01_01")
    for name in GOOD:
        (sqlite_app.dir / "migrations" / name).symlink_to(f"..data/{name}")
    assert sqlite_app.run("migrate").applied() == 2


def test_directory_behind_a_link(sqlite_app):
    sqlite_app.migrations(GOOD, "elsewhere")
    (sqlite_app.dir / "migrations").symlink_to("elsewhere")
    assert sqlite_app.run("migrate").applied() == 2


@pytest.mark.parametrize("kind", ["dangling", "directory", "fifo"])
def test_what_is_no_file(sqlite_app, kind):
    sqlite_app.migrations(GOOD)
    path = sqlite_app.dir / "migrations/003_c.sql"
    if kind == "dangling":
        path.symlink_to("nowhere.sql")
    elif kind == "directory":
        path.mkdir()
    else:
        os.mkfifo(path)
    refused(sqlite_app, "003_c.sql", timeout=10)


def test_unreadable_file(sqlite_app):
    sqlite_app.migrations(GOOD)
    (sqlite_app.dir / "migrations/002_b.sql").chmod(0)
    # Root reads everything, unless the capability is taken away.
    prefix = (
        ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.getuid() == 0 else ()
    )
    refused(sqlite_app, "002_b.sql", prefix=prefix)


def test_empty_directory_with_a_history(app):
    app.migrations(GOOD)
    app.run("migrate")
    for name in GOOD:
        app.remove(f"migrations/{name}")
    refused(app, "migrations")
    app.run("run", "--", "true", expect=2)


def test_empty_directory_without_a_history(sqlite_app):
    sqlite_app.migrations({})
    assert sqlite_app.run("run", "--", "echo", "served").out == "served\n"


# -- servers --------------------------------------------------------------------------------------


def test_standby(root, postgres_server, postgres_app):
    from support.servers import Standby

    postgres_app.migrations(GOOD)
    standby = Standby(postgres_server, root / "standby")
    try:
        url = postgres_server.url(postgres_app.db.name, port=standby.port)
        result = postgres_app.run("migrate", env={"DATABASE_URL": url}, expect=6)
        assert "standby" in result.err or "recovery" in result.err or "read-only" in result.err
        for words in (("status",), ("plan",), ("history",), ("detect",)):
            postgres_app.run(*words, env={"DATABASE_URL": url})
        postgres_app.run("migrate")
        # The replica has what the primary has, a little later.
        net.until(
            lambda: postgres_app.status(env={"DATABASE_URL": url})["state"] == "current",
            what="replication",
        )
        # Nothing pending: images that start beside a standby may serve, also where they look closely.
        for path in (postgres_app.dir / "migrations").iterdir():
            os.utime(path, (1, 1))
        env, words = {"DATABASE_URL": url}, ("run", "--", "echo", "served")
        for one in [postgres_app.start(*words, env=env) for _ in range(5)]:
            assert one.finish().out == "served\n"
    finally:
        standby.stop()


def test_read_only_database(postgres_app):
    db = postgres_app.db
    db.execute(f"ALTER DATABASE {db.name} SET default_transaction_read_only = on")
    postgres_app.migrations(GOOD)
    refused(postgres_app, "read-only", code=6)
    db.execute(f"ALTER DATABASE {db.name} RESET default_transaction_read_only")
    postgres_app.run("migrate")


def test_read_only_mysql(mysql_server, mysql_app):
    mysql_app.migrations(GOOD)
    with mysql_server.admin() as cursor:
        cursor.execute("SET GLOBAL read_only = 1")
        try:
            refused(mysql_app, "read", code=6)
        finally:
            cursor.execute("SET GLOBAL read_only = 0")
    mysql_app.run("migrate")


@pytest.mark.parametrize(
    "expect, accepted",
    [
        ("{engine: postgres}", True),
        ("{engine: PostgreSQL, version: 15}", True),
        ("{engine: mysql}", False),
        ("{engine: postgres, version: 9.6}", False),
    ],
)
def test_expected_engine_and_version(postgres_app, expect, accepted):
    postgres_app.migrations(GOOD)
    postgres_app.write("lockstep.yaml", f"expect: {expect}\n")
    if accepted:
        postgres_app.run("migrate")
    else:
        refused(postgres_app, "lockstep.yaml", code=6)


# -- a table of that name that is somebody else's ---------------------------------------------------


def test_foreign_table_of_another_shape(app):
    app.db.execute("CREATE TABLE schema_migrations (filename VARCHAR(100) PRIMARY KEY)")
    app.migrations(formats.dbmate(formats.users()))
    result = app.run("migrate", expect=None)
    assert result.exit in (2, 6), result
    assert "schema_migrations" in result.err
    assert app.db.rows("SELECT * FROM schema_migrations") == []


def test_table_of_rails(postgres_app):
    postgres_app.db.execute("CREATE TABLE schema_migrations (version varchar PRIMARY KEY)")
    postgres_app.db.execute(
        "CREATE TABLE ar_internal_metadata (key varchar PRIMARY KEY, value varchar)"
    )
    postgres_app.migrations(formats.dbmate(formats.users()))
    result = postgres_app.run("migrate", expect=None)
    assert result.exit in (2, 6), result


def test_options_of_the_url_that_nobody_knows(postgres_app):
    postgres_app.migrations(GOOD)
    result = refused(
        postgres_app, "frobnicate", env={"DATABASE_URL": postgres_app.db.url + "?frobnicate=1"}
    )
    assert "p%40ss" not in result.err


@pytest.mark.parametrize(
    "url",
    [
        "postgres://app:{pw}@127.0.0.1:notaport/x",
        "postgres://app:{pw}@[::1/x",
        "postgress://app:{pw}@h/x",
        "postgres://app:{pw}@h/x?sslmode=perhaps",
    ],
)
def test_malformed_url_is_not_echoed(sqlite_app, url):
    """The password is in no message, whatever is wrong with the URL."""
    from support.servers import APP_PASSWORD

    sqlite_app.migrations(GOOD)
    for password in ("p%40ss%3Aw%2Frd%25%231%20%26%27%22x", APP_PASSWORD):
        sqlite_app.run("migrate", env={"DATABASE_URL": url.format(pw=password)}, expect=2)
