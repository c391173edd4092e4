# SPDX-License-Identifier: Apache-2.0
"""Each format on each engine: its files are taken as they are, its table is kept as its own tool
keeps it."""

import pytest
from support import formats
from support.formats import Step


@pytest.mark.asan
@pytest.mark.parametrize("fmt, engine", formats.LANES)
def test_life(sql, fmt, engine):
    """Apply, look, apply again, roll back, apply."""
    app = sql(fmt, engine)
    steps = formats.users(engine)
    app.migrations(formats.WRITERS[fmt](steps))
    assert app.status()["format"] == fmt
    app.run("plan")
    assert not app.db.tables()

    assert app.run("migrate").applied() == 3
    assert formats.recorded(app.db, fmt) == formats.expected(fmt, steps)
    if fmt in formats.COLUMNS:
        assert app.db.columns(formats.TABLES[fmt]) == formats.COLUMNS[fmt]
    assert app.db.contents() == {"person": [(1, "ada; -- not a comment", None), (2, "grace", None)]}
    report = app.status()
    assert report["state"] == "current"
    assert [row["version"] for row in report["applied"]] == [
        formats.shown_version(fmt, step) for step in steps
    ]
    assert [row["name"] for row in report["applied"]] in (
        [step.name for step in steps],
        [step.name.replace("_", " ") for step in steps],
    )
    assert app.run("migrate").applied() == 0

    app.run("rollback")
    assert app.db.columns("person") == ["id", "name"]
    if fmt != "flyway":
        assert formats.recorded(app.db, fmt) == formats.expected(fmt, steps[:2])
    assert [row["version"] for row in app.status()["applied"]] == [
        formats.shown_version(fmt, step) for step in steps[:2]
    ]
    app.run("rollback", "--steps", "2")
    assert app.db.own_tables() == []
    if fmt != "flyway":
        assert formats.recorded(app.db, fmt) == formats.expected(fmt, [])
    assert app.status()["applied"] == []

    assert app.run("migrate").applied() == 3
    assert app.status()["state"] == "current"
    if fmt != "flyway":
        assert formats.recorded(app.db, fmt) == formats.expected(fmt, steps)


@pytest.mark.parametrize("fmt, engine", [lane for lane in formats.LANES if lane[0] != "plain"])
def test_half_done_by_the_tool_itself(sql, fmt, engine):
    """A table as the tool leaves it, without lockstep's own rows: only the rest is applied."""
    app = sql(fmt, engine)
    steps = formats.users(engine)
    app.migrations(formats.WRITERS[fmt](steps[:2]))
    app.run("migrate")
    # What the tool would have left: its table and the schema, nothing of ours.
    for table in ("lockstep_migrations", "lockstep_runs"):
        app.db.execute(f"DROP TABLE {table}")
    app.migrations(formats.WRITERS[fmt](steps))
    assert [row["version"] for row in app.status()["pending"]] == [
        formats.shown_version(fmt, steps[2])
    ]
    assert not app.db.exists("lockstep_runs")
    assert app.run("migrate").applied() == 1
    assert formats.recorded(app.db, fmt) == formats.expected(fmt, steps)
    app.run("rollback", "--steps", "3")
    assert app.db.own_tables() == []


# The others have no mark in the file for it.
@pytest.mark.parametrize(
    "fmt, engine",
    [lane for lane in formats.LANES if lane[0] not in ("golang-migrate", "flyway", "tern")],
)
def test_outside_a_transaction(sql, fmt, engine):
    app = sql(fmt, engine)
    up = (
        "CREATE TABLE a (id INTEGER);\n"
        if engine != "postgres"
        else "CREATE INDEX CONCURRENTLY person_name ON person (name);\n"
    )
    down = "DROP TABLE a;\n" if engine != "postgres" else "DROP INDEX CONCURRENTLY person_name;\n"
    steps = formats.users(engine)[:1] + [Step("2", "alone", up, down, alone=True)]
    app.migrations(formats.WRITERS[fmt](steps))
    assert app.run("migrate").applied() == 2
    assert formats.recorded(app.db, fmt) == formats.expected(fmt, steps)
    app.run("rollback")
    assert app.db.own_tables() == ["person"]


@pytest.mark.parametrize("fmt", formats.WRITERS)
def test_concurrently_needs_no_mark(sql, fmt):
    app = sql(fmt, "postgres")
    steps = formats.users()[:1] + [
        Step(
            "2",
            "index",
            "CREATE INDEX CONCURRENTLY person_name ON person (name);\n",
            "DROP INDEX CONCURRENTLY person_name;\n",
        )
    ]
    app.migrations(formats.WRITERS[fmt](steps))
    app.run("migrate")
    assert "person_name" in str(app.db.shape())
    app.run("rollback")
    assert "person_name" not in str(app.db.shape())


@pytest.mark.parametrize("fmt", formats.WRITERS)
def test_checksum_is_kept_and_line_ends_do_not_matter(sql, fmt):
    engine = "postgres" if fmt == "tern" else "sqlite"
    app = sql(fmt, engine)
    steps = formats.users()
    files = formats.WRITERS[fmt](steps)
    app.migrations(files)
    app.run("migrate")
    sums = [
        row[0] for row in app.db.rows("SELECT checksum FROM lockstep_migrations ORDER BY version")
    ]
    ups = [
        text
        for name, text in sorted(files.items())
        if not (name.endswith("down.sql") or name.startswith("U") or name.endswith(".toml"))
    ]
    assert sums == [formats.sha256(text) for text in ups]
    app.migrations({name: text.replace("\n", "\r\n") for name, text in files.items()})
    assert app.status()["changed"] == []
    assert app.run("migrate").applied() == 0
    # A down section or file may be mended; what was applied may not.
    name = next(
        name
        for name in sorted(files)
        if "person" in files[name] and "down" not in name and not name.startswith("U")
    )
    app.write(f"migrations/{name}", files[name].replace("VARCHAR(100)", "VARCHAR(101)"))
    result = app.run("migrate", expect=6)
    assert name in result.err
    assert len(app.status()["changed"]) == 1


@pytest.mark.parametrize("fmt", formats.WRITERS)
def test_new_in_the_directorys_format(sql, fmt):
    app = sql(fmt, "postgres" if fmt == "tern" else "sqlite")
    app.migrations(formats.WRITERS[fmt](formats.users()))
    app.run("migrate")
    made = app.run("new", "add phone number").out.split()
    assert made and all((app.dir / path).exists() for path in made)
    assert app.status()["format"] == fmt
    assert len(app.status()["pending"]) == 1
    assert "add_phone_number" in made[0]


# -- plain ----------------------------------------------------------------------------------------


def test_plain_separators_and_order(sqlite_app):
    sqlite_app.migrations(
        {
            "9-nine.sql": "CREATE TABLE t (id INTEGER);\n",
            "10.ten.sql": "ALTER TABLE t ADD COLUMN ten INTEGER;\n",
            "0011_eleven.sql": "ALTER TABLE t ADD COLUMN eleven INTEGER;\n",
            "123456789012345678901234567890_long.sql": "ALTER TABLE t ADD COLUMN long INTEGER;\n",
        }
    )
    sqlite_app.run("migrate")
    assert [row["version"] for row in sqlite_app.status()["applied"]] == [
        "9",
        "10",
        "0011",
        "123456789012345678901234567890",
    ]
    assert sqlite_app.db.columns("t") == ["id", "ten", "eleven", "long"]
    assert sorted(v for v, _ in sqlite_app.db.versions()) == sorted(
        ["9", "10", "0011", "123456789012345678901234567890"]
    )


def test_plain_ignores_what_is_none(sqlite_app):
    sqlite_app.migrations(
        {
            "001_t.sql": "CREATE TABLE t (id INTEGER);\n",
            "README.md": "# x\n",
            ".hidden.sql": "DROP TABLE t;\n",
            "notes.txt": "001\n",
        }
    )
    sqlite_app.run("migrate")
    assert sqlite_app.db.own_tables() == ["t"]


def test_empty_and_comment_only_files(app):
    app.migrations(
        {
            "001_empty.sql": "",
            "002_comment.sql": "-- nothing here",
            "003_block.sql": "/* nor\n here */",
            "004_semicolon.sql": ";\n;",
            "005_no_newline.sql": "CREATE TABLE t (id INTEGER)",
        }
    )
    assert app.run("migrate").applied() == 5
    assert app.db.own_tables() == ["t"]


def test_byte_order_mark(app):
    app.migrations({"001_t.sql": "\ufeffCREATE TABLE t (id INTEGER);\n"})
    app.run("migrate")
    assert app.db.own_tables() == ["t"]


def test_unusual_text(app):
    quote = "'it''s; \u00fc\u4e2d\U0001f600 $1 %s :name ?'"
    app.migrations(
        {
            "001_t.sql": "CREATE TABLE t (body VARCHAR(100));\n"
            f"INSERT INTO t VALUES ({quote});\n/* ; */ -- ;\nINSERT INTO t VALUES ('-- x');\n"
        }
    )
    app.run("migrate")
    assert set(app.db.contents()["t"]) == {
        ("-- x",),
        ("it's; \u00fc\u4e2d\U0001f600 $1 %s :name ?",),
    }


# -- PostgreSQL's own ways ------------------------------------------------------------------------


def test_functions_and_blocks(postgres_app):
    postgres_app.migrations(
        {
            "001_f.sql": """
CREATE FUNCTION f() RETURNS integer LANGUAGE plpgsql AS $$ BEGIN PERFORM 1; RETURN 1; END; $$;
CREATE FUNCTION g() RETURNS text LANGUAGE sql AS $name$ SELECT '$$;'; $name$;
CREATE FUNCTION h() RETURNS integer LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END;
DO $$ BEGIN EXECUTE 'CREATE TABLE made (id integer)'; END $$;
"""
        }
    )
    postgres_app.run("migrate")
    assert postgres_app.db.one("SELECT f(), g(), h()") == (1, "$$;", 2)
    assert postgres_app.db.own_tables() == ["made"]


@pytest.mark.parametrize(
    "body",
    [
        "SET search_path = '';",
        "SET search_path = pg_catalog, elsewhere;",
        "SET ROLE pg_monitor;",
        "SELECT pg_catalog.set_config('search_path', '', false);",
        "SET statement_timeout = 1;",
        "SET default_transaction_read_only = on;",
        "SELECT pg_advisory_unlock_all();",
        "SET session_replication_role = replica;",
        "SET standard_conforming_strings = off;",
        "SET client_encoding = 'LATIN1';",
        "DISCARD ALL;",
        "SET DateStyle = 'German';",
        "SET TimeZone = 'Asia/Tokyo';",
        "RESET ALL;",
        "SET lock_timeout = 1;",
    ],
)
def test_bookkeeping_survives_what_a_migration_did(postgres, lockstep, body):
    """As superuser, so that each is allowed."""
    lockstep.env["DATABASE_URL"] = postgres.server.url(postgres.name, "postgres")
    lockstep.migrations(
        {
            "001_state.sql": "CREATE TABLE a (id integer);\n" + body + "\n",
            "002_next.sql": "CREATE TABLE public.b (id integer);\n",
        }
    )
    lockstep.run("migrate")
    assert postgres.own_tables() == ["a", "b"]
    assert [v for v, _ in postgres.versions()] == ["001", "002"]
    assert postgres.outcomes() == ["succeeded"]


def test_bookkeeping_takes_its_time(postgres_app):
    """A time-out that a migration sets for its session is not one for the record of it."""
    app = postgres_app
    slow = """CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_sleep(0.05); RETURN NEW; END $$;
        CREATE TRIGGER slow BEFORE INSERT ON lockstep_migrations
        FOR EACH ROW EXECUTE FUNCTION slow();"""
    app.migrations({"001_slow.sql": slow, "002_hasty.sql": "SET statement_timeout = 10;"})
    app.run("migrate")
    assert app.status()["state"] == "current"


@pytest.mark.parametrize(
    "body, tables",
    [
        ("BEGIN;\nCREATE TABLE a (id INTEGER);\nCOMMIT;\n", ["a"]),
        ("CREATE TABLE a (id INTEGER);\nCOMMIT;\nCREATE TABLE b (id INTEGER);\n", ["a", "b"]),
    ],
)
def test_files_with_their_own_transaction(app, body, tables):
    app.migrations({"001_t.sql": body})
    result = app.run("migrate", expect=None)
    # One COMMIT in the middle may be refused by name, but not half done.
    if result.exit == 0:
        assert app.db.own_tables() == tables
        assert app.db.versions() == [("001", "applied")]
    else:
        assert result.exit in (1, 2, 6) and tables == ["a", "b"], result
        assert app.db.own_tables() == []


def test_open_transaction_left_behind(app):
    app.migrations(
        {"001_t.sql": "CREATE TABLE a (id INTEGER);\nBEGIN;\nINSERT INTO a VALUES (1);\n"}
    )
    result = app.run("migrate", expect=None)
    if result.exit == 0:
        assert app.db.contents() == {"a": [(1,)]}
    else:
        assert "001_t.sql" in result.err
    app.run("status")


def test_schema_and_table(postgres_app):
    db = postgres_app.db
    db.execute("CREATE SCHEMA deploy AUTHORIZATION app")
    postgres_app.migrations(formats.dbmate(formats.users()))
    postgres_app.run("migrate", "--schema", "deploy", "--table", "deploy.versions")
    assert db.rows("SELECT version FROM deploy.versions ORDER BY 1") == [
        ("001",),
        ("002",),
        ("003",),
    ]
    assert not [name for name in db.tables() if name != "person"]
    assert db.rows("SELECT outcome FROM deploy.lockstep_runs") == [("succeeded",)]
    assert (
        postgres_app.status("--schema", "deploy", "--table", "deploy.versions")["state"]
        == "current"
    )


def test_search_path_of_the_url(postgres_app):
    db = postgres_app.db
    db.execute("CREATE SCHEMA tenant AUTHORIZATION app")
    postgres_app.migrations(formats.plain(formats.users()))
    postgres_app.run("migrate", env={"DATABASE_URL": db.url + "?search_path=tenant"})
    assert db.tables() == []
    assert db.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'tenant' ORDER BY 1") == [
        ("lockstep_migrations",),
        ("lockstep_runs",),
        ("person",),
    ]


def test_without_own_tables(postgres_app):
    """May write the tool's table but create nothing: works, and says what is lost."""
    db = postgres_app.db
    db.execute("CREATE TABLE schema_migrations (version varchar(128) PRIMARY KEY)")
    db.execute("CREATE TABLE target (id integer)")
    db.execute("ALTER TABLE schema_migrations OWNER TO app")
    db.execute("ALTER TABLE target OWNER TO app")
    db.execute("ALTER SCHEMA public OWNER TO postgres")
    db.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    db.execute("GRANT USAGE ON SCHEMA public TO app")
    postgres_app.migrations(
        {
            "1_a.sql": "-- migrate:up\nINSERT INTO target VALUES (1);\n"
            "-- migrate:down\nDELETE FROM target;\n"
        }
    )
    result = postgres_app.run("migrate")
    assert db.rows("SELECT version FROM schema_migrations") == [("1",)]
    assert db.rows("SELECT id FROM target") == [(1,)]
    assert db.tables() == ["schema_migrations", "target"]
    assert "lockstep's own" in result.err, "says what is lost"
    assert postgres_app.run("migrate").applied() == 0


def test_plain_without_own_tables_is_refused(postgres_app):
    db = postgres_app.db
    db.execute("ALTER SCHEMA public OWNER TO postgres")
    db.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    db.execute("GRANT USAGE ON SCHEMA public TO app")
    postgres_app.migrations({"1_a.sql": "SELECT 1;\n"})
    postgres_app.run("migrate", expect=1)
    assert db.tables() == []


# -- MySQL's own ways -----------------------------------------------------------------------------


def test_procedure_without_delimiter(mysql_app):
    mysql_app.migrations(
        {
            "001_p.sql": "CREATE PROCEDURE p()\nBEGIN\n  SELECT 1;\n  SELECT 2;\nEND;\n"
            "CREATE TABLE t (id INTEGER);\n"
        }
    )
    mysql_app.run("migrate")
    assert mysql_app.db.own_tables() == ["t"]
    assert "p" in str(mysql_app.db.shape()[2])


def test_delimiter_lines(mysql_app):
    mysql_app.migrations(
        {
            "001_p.sql": "DELIMITER //\nCREATE PROCEDURE p()\nBEGIN\n SELECT 1;\nEND//\n"
            "DELIMITER ;\nCREATE TABLE t (id INTEGER); # a comment ;\n"
        }
    )
    mysql_app.run("migrate")
    assert mysql_app.db.own_tables() == ["t"]


def test_mysql_resumes_at_the_statement_that_failed(mysql_app):
    body = (
        "CREATE TABLE a (id INTEGER);\nINSERT INTO a VALUES (1);\nCREATE TABLE b (id INTEGER);\n"
        "INSERT INTO {} VALUES (2);\nCREATE TABLE c (id INTEGER);\n"
    )
    mysql_app.migrations({"001_many.sql": body.format("nowhere")})
    mysql_app.run("migrate", expect=1)
    assert mysql_app.db.own_tables() == ["a", "b"]
    assert mysql_app.db.rows("SELECT version, state, statements_done FROM lockstep_migrations") == [
        ("001", "failed", 3)
    ]
    mysql_app.write("migrations/001_many.sql", body.format("a"))
    mysql_app.run("migrate")
    assert mysql_app.db.contents() == {"a": [(1,), (2,)], "b": [], "c": []}


def test_resuming_checks_what_was_done(mysql_app):
    mysql_app.migrations(
        {"001_many.sql": "CREATE TABLE a (id INTEGER);\nINSERT INTO nowhere VALUES (2);\n"}
    )
    mysql_app.run("migrate", expect=1)
    mysql_app.write(
        "migrations/001_many.sql", "CREATE TABLE a (id BIGINT);\nINSERT INTO a VALUES (2);\n"
    )
    result = mysql_app.run("migrate", expect=6)
    assert "001_many.sql" in result.err
    assert mysql_app.db.contents() == {"a": []}


def test_postgres_resumes_outside_a_transaction(postgres_app):
    body = (
        "-- lockstep: no-transaction\nCREATE TABLE a (id integer);\nINSERT INTO a VALUES (1);\n"
        "CREATE INDEX CONCURRENTLY a_id ON a (id);\nINSERT INTO {} VALUES (2);\n"
    )
    postgres_app.migrations({"001_many.sql": body.format("nowhere")})
    postgres_app.run("migrate", expect=1)
    assert postgres_app.db.contents() == {"a": [(1,)]}
    postgres_app.write("migrations/001_many.sql", body.format("a"))
    postgres_app.run("migrate")
    assert postgres_app.db.contents() == {"a": [(1,), (2,)]}
    assert "a_id" in str(postgres_app.db.shape())


def test_invalid_index_is_made_again(postgres_app):
    """CREATE INDEX CONCURRENTLY that failed leaves an invalid index; the next run makes it whole."""
    postgres_app.migrations(
        {
            "001_t.sql": "CREATE TABLE t (id integer);\nINSERT INTO t VALUES (1), (1);\n",
            "002_i.sql": "CREATE UNIQUE INDEX CONCURRENTLY t_id ON t (id);\n",
        }
    )
    postgres_app.run("migrate", expect=1)
    postgres_app.db.execute("DELETE FROM t WHERE ctid = (SELECT min(ctid) FROM t)")
    postgres_app.run("migrate")
    assert [row[2] for row in postgres_app.db.shape()[1]] == [True]


# -- SQLite's own ways ----------------------------------------------------------------------------


def test_foreign_keys_pragma_and_rebuild(sqlite_app):
    sqlite_app.migrations(
        {
            "001_t.sql": "CREATE TABLE parent (id INTEGER PRIMARY KEY);\n"
            "CREATE TABLE child (p INTEGER NOT NULL REFERENCES parent (id) ON DELETE CASCADE);\n"
            "INSERT INTO parent VALUES (1);\nINSERT INTO child VALUES (1);\n",
            "002_rebuild.sql": "PRAGMA foreign_keys = OFF;\nCREATE TABLE p2 (id INTEGER PRIMARY KEY, x TEXT);\n"
            "INSERT INTO p2 (id) SELECT id FROM parent;\nDROP TABLE parent;\n"
            "ALTER TABLE p2 RENAME TO parent;\nPRAGMA foreign_keys = ON;\n",
        }
    )
    sqlite_app.run("migrate")
    assert sqlite_app.db.contents() == {"child": [(1,)], "parent": [(1, None)]}


def test_triggers(sqlite_app):
    sqlite_app.migrations(
        {
            "001_t.sql": """
CREATE TABLE t (id INTEGER, n INTEGER);
CREATE TRIGGER tr AFTER INSERT ON t BEGIN
  UPDATE t SET n = CASE WHEN NEW.id > 1 THEN 2 ELSE 1 END WHERE id = NEW.id;
  SELECT 1;
END;
INSERT INTO t (id) VALUES (5);
"""
        }
    )
    sqlite_app.run("migrate")
    assert sqlite_app.db.contents() == {"t": [(5, 2)]}
