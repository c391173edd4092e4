# SPDX-License-Identifier: Apache-2.0
"""Each format on each engine: its files are taken as they are, its table is kept as its own tool
keeps it."""

import hashlib
import re

import pytest
from support import formats, scenes
from support.formats import Step


def lane(request, lockstep, fmt, engine):
    """The runner with a fresh database of that engine, and the format named where files do not tell."""
    lockstep.use(request.getfixturevalue(engine))
    if fmt in formats.NAMED:
        lockstep.env["LOCKSTEP_FORMAT"] = fmt
    return lockstep


@pytest.fixture
def sql(request, lockstep):
    """sql(format, engine): the same for tests that are not parametrised by lanes."""
    return lambda fmt, engine="sqlite": lane(request, lockstep, fmt, engine)


@pytest.mark.parametrize("fmt, engine", formats.LANES)
def test_life(request, lockstep, fmt, engine):
    """Apply, look, apply again, roll back, apply."""
    app = lane(request, lockstep, fmt, engine)
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
    assert [row["version"] for row in report["applied"]] == \
        [formats.shown_version(fmt, step) for step in steps]
    assert [row["name"] for row in report["applied"]] in (
        [step.name for step in steps], [step.name.replace("_", " ") for step in steps])
    assert app.run("migrate").applied() == 0

    app.run("rollback")
    assert app.db.columns("person") == ["id", "name"]
    if fmt != "flyway":
        assert formats.recorded(app.db, fmt) == formats.expected(fmt, steps[:2])
    assert [row["version"] for row in app.status()["applied"]] == \
        [formats.shown_version(fmt, step) for step in steps[:2]]
    app.run("rollback", "--steps", "2")
    assert app.db.own_tables() == []
    if fmt != "flyway":
        assert formats.recorded(app.db, fmt) == formats.expected(fmt, [])
    assert app.status()["applied"] == []

    assert app.run("migrate").applied() == 3
    assert app.status()["state"] == "current"
    if fmt != "flyway":
        assert formats.recorded(app.db, fmt) == formats.expected(fmt, steps)


@pytest.mark.parametrize("fmt, engine", formats.LANES)
def test_half_done_by_the_tool_itself(request, lockstep, fmt, engine):
    """A table as the tool leaves it, without lockstep's own rows: only the rest is applied."""
    if fmt == "plain":
        pytest.skip("plain has no other tool")
    app = lane(request, lockstep, fmt, engine)
    steps = formats.users(engine)
    app.migrations(formats.WRITERS[fmt](steps[:2]))
    app.run("migrate")
    # What the tool would have left: its table and the schema, nothing of ours.
    for table in ("lockstep_migrations", "lockstep_runs"):
        app.db.execute(f"DROP TABLE {table}")
    app.migrations(formats.WRITERS[fmt](steps))
    assert [row["version"] for row in app.status()["pending"]] == [formats.shown_version(fmt, steps[2])]
    assert not app.db.exists("lockstep_runs")
    assert app.run("migrate").applied() == 1
    assert formats.recorded(app.db, fmt) == formats.expected(fmt, steps)
    app.run("rollback", "--steps", "3")
    assert app.db.own_tables() == []


@pytest.mark.parametrize("fmt, engine", formats.LANES)
def test_outside_a_transaction(request, lockstep, fmt, engine):
    if fmt in ("golang-migrate", "flyway", "tern"):
        pytest.skip(f"{fmt} has no mark in the file for it")
    app = lane(request, lockstep, fmt, engine)
    up = "CREATE TABLE a (id INTEGER);\n" if engine != "postgres" else \
        "CREATE INDEX CONCURRENTLY person_name ON person (name);\n"
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
    steps = formats.users()[:1] + [Step("2", "index",
                                        "CREATE INDEX CONCURRENTLY person_name ON person (name);\n",
                                        "DROP INDEX CONCURRENTLY person_name;\n")]
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
    sums = [row[0] for row in app.db.rows("SELECT checksum FROM lockstep_migrations ORDER BY version")]
    ups = [text for name, text in sorted(files.items())
           if not (name.endswith("down.sql") or name.startswith("U") or name.endswith(".toml"))]
    assert sums == [formats.sha256(text) for text in ups]
    app.migrations({name: text.replace("\n", "\r\n") for name, text in files.items()})
    assert app.status()["changed"] == []
    assert app.run("migrate").applied() == 0
    # A down section or file may be mended; what was applied may not.
    name = next(name for name in sorted(files) if "person" in files[name] and "down" not in name
                and not name.startswith("U"))
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
    sqlite_app.migrations({"9-nine.sql": "CREATE TABLE t (id INTEGER);\n",
                           "10.ten.sql": "ALTER TABLE t ADD COLUMN ten INTEGER;\n",
                           "0011_eleven.sql": "ALTER TABLE t ADD COLUMN eleven INTEGER;\n",
                           "123456789012345678901234567890_long.sql":
                           "ALTER TABLE t ADD COLUMN long INTEGER;\n"})
    sqlite_app.run("migrate")
    assert [row["version"] for row in sqlite_app.status()["applied"]] == \
        ["9", "10", "0011", "123456789012345678901234567890"]
    assert sqlite_app.db.columns("t") == ["id", "ten", "eleven", "long"]
    assert sorted(v for v, _ in sqlite_app.db.versions()) == \
        sorted(["9", "10", "0011", "123456789012345678901234567890"])


def test_plain_ignores_what_is_none(sqlite_app):
    sqlite_app.migrations({"001_t.sql": "CREATE TABLE t (id INTEGER);\n", "README.md": "# x\n",
                           ".hidden.sql": "DROP TABLE t;\n", "notes.txt": "001\n"})
    sqlite_app.run("migrate")
    assert sqlite_app.db.own_tables() == ["t"]


def test_empty_and_comment_only_files(app):
    app.migrations({"001_empty.sql": "", "002_comment.sql": "-- nothing here",
                    "003_block.sql": "/* nor\n here */", "004_semicolon.sql": ";\n;",
                    "005_no_newline.sql": "CREATE TABLE t (id INTEGER)"})
    assert app.run("migrate").applied() == 5
    assert app.db.own_tables() == ["t"]


def test_byte_order_mark(app):
    app.migrations({"001_t.sql": "\ufeffCREATE TABLE t (id INTEGER);\n"})
    app.run("migrate")
    assert app.db.own_tables() == ["t"]


def test_unusual_text(app):
    quote = "'it''s; \u00fc\u4e2d\U0001f600 $1 %s :name ?'"
    app.migrations({"001_t.sql": "CREATE TABLE t (body VARCHAR(100));\n"
                    f"INSERT INTO t VALUES ({quote});\n/* ; */ -- ;\nINSERT INTO t VALUES ('-- x');\n"})
    app.run("migrate")
    assert app.db.contents()["t"] == [("-- x",), ("it's; \u00fc\u4e2d\U0001f600 $1 %s :name ?",)]


# -- PostgreSQL's own ways ------------------------------------------------------------------------

def test_functions_and_blocks(postgres_app):
    postgres_app.migrations({"001_f.sql": """
CREATE FUNCTION f() RETURNS integer LANGUAGE plpgsql AS $$ BEGIN PERFORM 1; RETURN 1; END; $$;
CREATE FUNCTION g() RETURNS text LANGUAGE sql AS $name$ SELECT '$$;'; $name$;
CREATE FUNCTION h() RETURNS integer LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END;
DO $$ BEGIN EXECUTE 'CREATE TABLE made (id integer)'; END $$;
"""})
    postgres_app.run("migrate")
    assert postgres_app.db.one("SELECT f(), g(), h()") == (1, "$$;", 2)
    assert postgres_app.db.own_tables() == ["made"]


@pytest.mark.parametrize("body", [
    "SET search_path = '';", "SET search_path = pg_catalog, elsewhere;", "SET ROLE pg_monitor;",
    "SELECT pg_catalog.set_config('search_path', '', false);", "SET statement_timeout = 1;",
    "SET default_transaction_read_only = on;", "SELECT pg_advisory_unlock_all();",
    "SET session_replication_role = replica;", "SET standard_conforming_strings = off;",
    "SET client_encoding = 'LATIN1';", "DISCARD ALL;", "SET DateStyle = 'German';",
    "SET TimeZone = 'Asia/Tokyo';", "RESET ALL;", "SET lock_timeout = 1;",
])
def test_bookkeeping_survives_what_a_migration_did(postgres, lockstep, body):
    """As superuser, so that each is allowed."""
    lockstep.env["DATABASE_URL"] = postgres.server.url(postgres.name, "postgres")
    lockstep.migrations({"001_state.sql": "CREATE TABLE a (id integer);\n" + body + "\n",
                         "002_next.sql": "CREATE TABLE public.b (id integer);\n"})
    lockstep.run("migrate")
    assert postgres.own_tables() == ["a", "b"]
    assert [v for v, _ in postgres.versions()] == ["001", "002"]
    assert postgres.outcomes() == ["succeeded"]


@pytest.mark.parametrize("body, tables", [
    ("BEGIN;\nCREATE TABLE a (id INTEGER);\nCOMMIT;\n", ["a"]),
    ("CREATE TABLE a (id INTEGER);\nCOMMIT;\nCREATE TABLE b (id INTEGER);\n", ["a", "b"]),
])
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
    app.migrations({"001_t.sql": "CREATE TABLE a (id INTEGER);\nBEGIN;\nINSERT INTO a VALUES (1);\n"})
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
    assert db.rows("SELECT version FROM deploy.versions ORDER BY 1") == [("001",), ("002",), ("003",)]
    assert not [name for name in db.tables() if name != "person"]
    assert db.rows("SELECT outcome FROM deploy.lockstep_runs") == [("succeeded",)]
    assert postgres_app.status("--schema", "deploy", "--table", "deploy.versions")["state"] == "current"


def test_search_path_of_the_url(postgres_app):
    db = postgres_app.db
    db.execute("CREATE SCHEMA tenant AUTHORIZATION app")
    postgres_app.migrations(formats.plain(formats.users()))
    postgres_app.run("migrate", env={"DATABASE_URL": db.url + "?search_path=tenant"})
    assert db.tables() == []
    assert db.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'tenant' ORDER BY 1") == \
        [("lockstep_migrations",), ("lockstep_runs",), ("person",)]



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
    postgres_app.migrations({"1_a.sql": "-- migrate:up\nINSERT INTO target VALUES (1);\n"
                             "-- migrate:down\nDELETE FROM target;\n"})
    result = postgres_app.run("migrate")
    assert db.rows("SELECT version FROM schema_migrations") == [("1",)]
    assert db.rows("SELECT id FROM target") == [(1,)]
    assert db.tables() == ["schema_migrations", "target"]
    assert "lockstep_" in result.err, "says what is lost"
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
    mysql_app.migrations({"001_p.sql":
                          "CREATE PROCEDURE p()\nBEGIN\n  SELECT 1;\n  SELECT 2;\nEND;\n"
                          "CREATE TABLE t (id INTEGER);\n"})
    mysql_app.run("migrate")
    assert mysql_app.db.own_tables() == ["t"]
    assert "p" in str(mysql_app.db.shape()[2])


def test_delimiter_lines(mysql_app):
    mysql_app.migrations({"001_p.sql": "DELIMITER //\nCREATE PROCEDURE p()\nBEGIN\n SELECT 1;\nEND//\n"
                          "DELIMITER ;\nCREATE TABLE t (id INTEGER); # a comment ;\n"})
    mysql_app.run("migrate")
    assert mysql_app.db.own_tables() == ["t"]


def test_mysql_resumes_at_the_statement_that_failed(mysql_app):
    body = ("CREATE TABLE a (id INTEGER);\nINSERT INTO a VALUES (1);\nCREATE TABLE b (id INTEGER);\n"
            "INSERT INTO {} VALUES (2);\nCREATE TABLE c (id INTEGER);\n")
    mysql_app.migrations({"001_many.sql": body.format("nowhere")})
    mysql_app.run("migrate", expect=1)
    assert mysql_app.db.own_tables() == ["a", "b"]
    assert mysql_app.db.rows("SELECT version, state, statements_done FROM lockstep_migrations") == \
        [("001", "failed", 3)]
    mysql_app.write("migrations/001_many.sql", body.format("a"))
    mysql_app.run("migrate")
    assert mysql_app.db.contents() == {"a": [(1,), (2,)], "b": [], "c": []}


def test_resuming_checks_what_was_done(mysql_app):
    mysql_app.migrations({"001_many.sql": "CREATE TABLE a (id INTEGER);\nINSERT INTO nowhere VALUES (2);\n"})
    mysql_app.run("migrate", expect=1)
    mysql_app.write("migrations/001_many.sql",
                    "CREATE TABLE a (id BIGINT);\nINSERT INTO a VALUES (2);\n")
    result = mysql_app.run("migrate", expect=6)
    assert "001_many.sql" in result.err
    assert mysql_app.db.contents() == {"a": []}


def test_postgres_resumes_outside_a_transaction(postgres_app):
    body = ("-- lockstep: no-transaction\nCREATE TABLE a (id integer);\nINSERT INTO a VALUES (1);\n"
            "CREATE INDEX CONCURRENTLY a_id ON a (id);\nINSERT INTO {} VALUES (2);\n")
    postgres_app.migrations({"001_many.sql": body.format("nowhere")})
    postgres_app.run("migrate", expect=1)
    assert postgres_app.db.contents() == {"a": [(1,)]}
    postgres_app.write("migrations/001_many.sql", body.format("a"))
    postgres_app.run("migrate")
    assert postgres_app.db.contents() == {"a": [(1,), (2,)]}
    assert "a_id" in str(postgres_app.db.shape())


def test_invalid_index_is_made_again(postgres_app):
    """CREATE INDEX CONCURRENTLY that failed leaves an invalid index; the next run makes it whole."""
    postgres_app.migrations({
        "001_t.sql": "CREATE TABLE t (id integer);\nINSERT INTO t VALUES (1), (1);\n",
        "002_i.sql": "CREATE UNIQUE INDEX CONCURRENTLY t_id ON t (id);\n"})
    postgres_app.run("migrate", expect=1)
    postgres_app.db.execute("DELETE FROM t WHERE ctid = (SELECT min(ctid) FROM t)")
    postgres_app.run("migrate")
    assert [row[2] for row in postgres_app.db.shape()[1]] == [True]


# -- SQLite's own ways ----------------------------------------------------------------------------

def test_foreign_keys_pragma_and_rebuild(sqlite_app):
    sqlite_app.migrations({
        "001_t.sql": "CREATE TABLE parent (id INTEGER PRIMARY KEY);\n"
        "CREATE TABLE child (p INTEGER NOT NULL REFERENCES parent (id) ON DELETE CASCADE);\n"
        "INSERT INTO parent VALUES (1);\nINSERT INTO child VALUES (1);\n",
        "002_rebuild.sql": "PRAGMA foreign_keys = OFF;\nCREATE TABLE p2 (id INTEGER PRIMARY KEY, x TEXT);\n"
        "INSERT INTO p2 (id) SELECT id FROM parent;\nDROP TABLE parent;\n"
        "ALTER TABLE p2 RENAME TO parent;\nPRAGMA foreign_keys = ON;\n"})
    sqlite_app.run("migrate")
    assert sqlite_app.db.contents() == {"child": [(1,)], "parent": [(1, None)]}


def test_triggers(sqlite_app):
    sqlite_app.migrations({"001_t.sql": """
CREATE TABLE t (id INTEGER, n INTEGER);
CREATE TRIGGER tr AFTER INSERT ON t BEGIN
  UPDATE t SET n = CASE WHEN NEW.id > 1 THEN 2 ELSE 1 END WHERE id = NEW.id;
  SELECT 1;
END;
INSERT INTO t (id) VALUES (5);
"""})
    sqlite_app.run("migrate")
    assert sqlite_app.db.contents() == {"t": [(5, 2)]}


# -- dbmate (6.1, 6.9) ----------------------------------------------------------------------------

def test_dbmate_order_is_that_of_file_names(sql):
    app = sql("dbmate")
    app.migrations({
        "2_a.sql": "-- migrate:up\nINSERT INTO t VALUES (2);\n-- migrate:down\n",
        "10_b.sql": "-- migrate:up\nCREATE TABLE t (id INTEGER);\n-- migrate:down\n"})
    app.run("migrate")
    assert app.db.contents() == {"t": [(2,)]}
    assert app.db.rows("SELECT version FROM schema_migrations ORDER BY rowid") == [("10",), ("2",)]


def test_dbmate_marker_without_blank(sql):
    app = sql("dbmate")
    app.migrations({"1_a.sql": "--migrate:up\nCREATE TABLE t (id INTEGER);\n--migrate:down\nDROP TABLE t;\n"})
    app.run("migrate")
    assert app.db.own_tables() == ["t"]


def test_dbmate_other_names_are_ignored_but_not_lookalikes(sql):
    app = sql("dbmate")
    app.migrations({**formats.dbmate(formats.users()), "README.md": "x"})
    app.run("migrate")


# -- golang-migrate (6.2, 6.9) --------------------------------------------------------------------

def golang(app, *versions):
    app.migrations({f"{v}_m.up.sql": f"CREATE TABLE t{v} (id INTEGER);\n" for v in versions})


@pytest.mark.parametrize("engine", ["sqlite", "postgres", "mysql"])
def test_golang_dirty_is_refused(sql, engine):
    app = sql("golang-migrate", engine)
    golang(app, 1, 2, 3, 4, 5, 6)
    app.db.execute("CREATE TABLE schema_migrations (version bigint not null primary key, dirty boolean not null)")
    app.db.execute("INSERT INTO schema_migrations VALUES (5, true)")
    result = app.run("migrate", expect=None)
    assert result.exit in (1, 2, 6), result
    assert re.search(r"\b5\b", result.err)
    assert app.db.own_tables() == []
    assert app.db.rows("SELECT version FROM schema_migrations") == [(5,)]


def test_golang_current_version_without_a_file(sql):
    app = sql("golang-migrate")
    golang(app, 1, 2, 3)
    app.run("migrate")
    app.db.execute("UPDATE schema_migrations SET version = 5")
    golang(app, 7)
    result = app.run("migrate", "--ahead", "refuse", expect=6)
    assert re.search(r"\b5\b", result.err)
    assert app.db.own_tables() == ["t1", "t2", "t3"]


def test_golang_late_file_is_reported(sql):
    app = sql("golang-migrate")
    golang(app, 1, 2, 5)
    app.run("migrate")
    golang(app, 3)
    result = app.run("migrate", expect=6)
    assert "3_m.up.sql" in result.err
    app.run("migrate", "--order", "any")
    assert app.db.own_tables() == ["t1", "t2", "t3", "t5"]
    assert formats.recorded(app.db, "golang-migrate") == [(5, False)]


def test_golang_failure_leaves_no_dirty_mark_where_the_database_can(sql):
    app = sql("golang-migrate", "postgres")
    golang(app, 1)
    app.migrations({"2_m.up.sql": scenes.broken("postgres")})
    app.run("migrate", expect=1)
    assert formats.recorded(app.db, "golang-migrate") == [(1, False)]


# -- goose (6.3, 6.9) -----------------------------------------------------------------------------

@pytest.mark.parametrize("engine", ["sqlite", "postgres", "mysql"])
def test_goose_two_statements_on_a_line(sql, engine):
    app = sql("goose", engine)
    app.migrations({"1_a.sql": "-- +goose Up\nCREATE TABLE a (id INTEGER); CREATE TABLE b (id INTEGER);\n"})
    app.run("migrate")
    assert app.db.own_tables() == ["a", "b"]


def test_goose_statement_begin(sql):
    app = sql("goose", "postgres")
    app.migrations({"1_a.sql": "-- +goose Up\n-- +goose StatementBegin\nCREATE FUNCTION f() RETURNS integer\n"
                    "LANGUAGE plpgsql AS $$\nBEGIN\n  RETURN 4;\nEND;\n$$;\n-- +goose StatementEnd\n"
                    "CREATE TABLE t (id integer);\n-- +goose down\nDROP TABLE t;\nDROP FUNCTION f();\n"})
    app.run("migrate")
    assert app.db.one("SELECT f()") == (4,)
    app.run("rollback")
    assert app.db.own_tables() == []


def test_goose_function_without_statement_begin(sql):
    app = sql("goose", "postgres")
    app.migrations({"1_a.sql": "-- +goose Up\nCREATE FUNCTION f() RETURNS integer\nLANGUAGE plpgsql AS $$\n"
                    "BEGIN\n  RETURN 4;\nEND;\n$$;\n"})
    result = app.run("migrate", expect=None)
    assert result.exit in (1, 2), result
    assert app.db.rows("SELECT proname FROM pg_proc WHERE proname = 'f'") == []


def test_goose_newest_row_decides(sql):
    app = sql("goose")
    app.migrations(formats.goose(formats.users()))
    app.run("migrate")
    app.db.execute("ALTER TABLE person DROP COLUMN email")
    app.db.execute("INSERT INTO goose_db_version (version_id, is_applied) VALUES (3, 0)")
    report = app.status()
    assert [row["version"] for row in report["pending"]] == ["3"]
    app.run("migrate")
    assert app.db.columns("person") == ["id", "name", "email"]


def test_goose_lower_case_no_transaction(sql):
    app = sql("goose", "postgres")
    app.migrations({"1_a.sql": "-- +goose Up\nCREATE TABLE t (id integer);\n",
                    "2_b.sql": "-- +goose no transaction\n-- +goose up\nCREATE INDEX CONCURRENTLY i ON t (id);\n"})
    app.run("migrate")


def test_goose_envsub(sql):
    app = sql("goose")
    app.migrations({"1_a.sql": "-- +goose Up\n-- +goose ENVSUB ON\nCREATE TABLE ${TABLE_NAME} (id INTEGER);\n"
                    "CREATE TABLE ${OTHER:-fallback} (id INTEGER);\n-- +goose ENVSUB OFF\n"
                    "INSERT INTO fallback VALUES ('${TABLE_NAME}');\n"})
    app.run("migrate", env={"TABLE_NAME": "named"})
    assert app.db.contents() == {"fallback": [("${TABLE_NAME}",)], "named": []}


# -- tern (6.4, 6.9) ------------------------------------------------------------------------------

def test_tern_and_sqlx_are_told_by_their_table(postgres_app):
    files = {"001_a.sql": "CREATE TABLE a (id integer);\n", "002_b.sql": "CREATE TABLE b (id integer);\n"}
    postgres_app.migrations(files)
    assert postgres_app.status()["format"] == "plain"
    postgres_app.db.execute("CREATE TABLE schema_version (version int4 PRIMARY KEY)")
    postgres_app.db.execute("ALTER TABLE schema_version OWNER TO app")
    postgres_app.db.execute("INSERT INTO schema_version VALUES (0)")
    assert postgres_app.status()["format"] == "tern"
    postgres_app.run("migrate")
    assert postgres_app.db.rows("SELECT version FROM schema_version") == [(2,)]


def test_sqlx_is_told_by_its_table(postgres_app):
    postgres_app.migrations({"001_a.sql": "CREATE TABLE a (id integer);\n"})
    postgres_app.db.execute(
        "CREATE TABLE _sqlx_migrations (version bigint PRIMARY KEY, description text NOT NULL,"
        " installed_on timestamptz NOT NULL DEFAULT now(), success boolean NOT NULL,"
        " checksum bytea NOT NULL, execution_time bigint NOT NULL)")
    postgres_app.db.execute("ALTER TABLE _sqlx_migrations OWNER TO app")
    assert postgres_app.status()["format"] == "sqlx"
    postgres_app.run("migrate")
    version, description, checksum = postgres_app.db.one(
        "SELECT version, description, checksum FROM _sqlx_migrations")
    assert (version, description) == (1, "a")
    assert bytes(checksum) == hashlib.sha384(b"CREATE TABLE a (id integer);\n").digest()


def test_tern_irreversible(sql):
    app = sql("tern", "postgres")
    app.migrations({"001_a.sql": "CREATE TABLE a (id integer);\n---- create above / drop below ----\n"
                    "DROP TABLE a;\n", "002_b.sql": "CREATE TABLE b (id integer);\n"})
    app.run("migrate")
    result = app.run("rollback", expect=None)
    assert result.exit in (2, 6), result
    assert app.db.own_tables() == ["a", "b"]


# -- Flyway (6.5, 6.9) ----------------------------------------------------------------------------

@pytest.mark.parametrize("change", [lambda t: t.replace("\n", "\r\n"), lambda t: "\ufeff" + t,
                                    lambda t: t.replace("\n", "\r")])
def test_flyway_one_checksum(sql, change):
    app = sql("flyway")
    text = "CREATE TABLE t (id INTEGER);\n/* two\nlines */\n"
    app.migrations({"V1__t.sql": text})
    app.run("migrate")
    stored = app.db.one("SELECT checksum FROM flyway_schema_history")
    assert stored == (formats.flyway_checksum(text),)
    app.migrations({"V1__t.sql": change(text)})
    assert app.status()["changed"] == []


def test_flyway_versions_are_numbers_with_dots(sql):
    app = sql("flyway")
    app.migrations({"V2__t.sql": "ALTER TABLE t ADD COLUMN b INTEGER;\n",
                    "V1.10__t.sql": "ALTER TABLE t ADD COLUMN a INTEGER;\n",
                    "V1_9__create_t.sql": "CREATE TABLE t (id INTEGER);\n",
                    "sub/V3__t.sql": "ALTER TABLE t ADD COLUMN c INTEGER;\n"})
    app.run("migrate")
    assert app.db.columns("t") == ["id", "a", "b", "c"]
    assert [row[:3] for row in formats.recorded(app.db, "flyway")] == \
        [(1, "1.9", "create t"), (2, "1.10", "t"), (3, "2", "t"), (4, "3", "t")]


def test_flyway_repeatable(sql):
    app = sql("flyway")
    app.migrations({"V1__t.sql": "CREATE TABLE t (id INTEGER);\n",
                    "R__b_view.sql": "INSERT INTO t VALUES (1);\n", "R__a.sql": "INSERT INTO t VALUES (2);\n"})
    app.run("migrate")
    assert sorted(app.db.rows("SELECT id FROM t")) == [(1,), (2,)]
    assert app.run("migrate").applied() == 0
    app.write("migrations/R__a.sql", "INSERT INTO t VALUES (3);\n")
    assert app.status()["state"] == "pending"
    assert app.run("migrate").applied() == 1
    assert sorted(app.db.rows("SELECT id FROM t")) == [(1,), (2,), (3,)]
    rows = app.db.rows("SELECT version, description FROM flyway_schema_history ORDER BY installed_rank")
    assert rows == [("1", "t"), (None, "a"), (None, "b view"), (None, "a")]


def test_flyway_placeholders(sql):
    app = sql("flyway")
    app.migrations({"V1__t.sql": "CREATE TABLE ${table_name} (id INTEGER); -- ${TABLE_NAME}\n"})
    app.run("migrate", env={"FLYWAY_PLACEHOLDERS_TABLE_NAME": "named"})
    assert app.db.own_tables() == ["named"]


def test_flyway_failed_row_is_refused(sql):
    app = sql("flyway")
    app.migrations(formats.flyway(formats.users()))
    app.run("migrate")
    app.db.execute("UPDATE flyway_schema_history SET success = 0 WHERE version = '3'")
    app.migrations({"V4__more.sql": "CREATE TABLE more (id INTEGER);\n"})
    result = app.run("migrate", expect=None)
    assert result.exit in (1, 2, 6), result
    assert "3" in result.err and not app.db.exists("more")


def test_flyway_undone_by_its_own_row(sql):
    """UNDO_SQL cancels the version that it names."""
    app = sql("flyway")
    app.migrations(formats.flyway(formats.users()))
    app.run("migrate")
    app.db.execute("ALTER TABLE person DROP COLUMN email")
    app.db.execute("INSERT INTO flyway_schema_history (installed_rank, version, description, type, script,"
                   " checksum, installed_by, installed_on, execution_time, success) VALUES (4, '3',"
                   " 'add email', 'UNDO_SQL', 'U3__add_email.sql', 1, 'x', '2024-01-01 00:00:00', 1, 1)")
    assert [row["version"] for row in app.status()["pending"]] == ["3"]
    app.run("migrate")
    assert app.db.columns("person") == ["id", "name", "email"]


def test_flyway_baseline_row(sql):
    app = sql("flyway")
    app.migrations(formats.flyway(formats.users()))
    app.db.execute("CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT)")
    app.db.execute("CREATE TABLE flyway_schema_history (installed_rank INT PRIMARY KEY, version VARCHAR(50),"
                   " description VARCHAR(200) NOT NULL, type VARCHAR(20) NOT NULL, script VARCHAR(1000) NOT NULL,"
                   " checksum INT, installed_by VARCHAR(100) NOT NULL, installed_on TEXT NOT NULL DEFAULT"
                   " (strftime('%Y-%m-%d %H:%M:%f', 'now')), execution_time INT NOT NULL, success BOOLEAN NOT NULL)")
    app.db.execute("INSERT INTO flyway_schema_history (installed_rank, version, description, type, script,"
                   " installed_by, execution_time, success) VALUES (1, '2', '<< Flyway Baseline >>', 'BASELINE',"
                   " '<< Flyway Baseline >>', 'x', 0, 1)")
    assert app.run("migrate").applied() == 1
    assert app.db.columns("person") == ["id", "name", "email"]


# -- the tool's own lock (6.7) --------------------------------------------------------------------

@pytest.mark.parametrize("fmt, key", [
    ("tern", lambda db: "9628173550095224"),
    ("goose", lambda db: "4097083626"),
])
def test_the_other_tools_lock_is_held(sql, fmt, key):
    """While its own tool works, lockstep waits; here until --lock-wait is over."""
    app = sql(fmt, "postgres")
    app.migrations(formats.WRITERS[fmt](formats.users()))
    holder = app.db.as_app()
    with holder.cursor() as cursor:
        cursor.execute(f"SELECT pg_advisory_lock({key(app.db)})")
    app.run("migrate", "--lock-wait", "1s", expect=5)
    assert app.db.own_tables() == []
    holder.close()
    app.run("migrate")
