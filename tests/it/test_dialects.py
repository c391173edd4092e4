# SPDX-License-Identifier: Apache-2.0
"""What is special to one format: markers, order, annotations, its rows and its lock."""

import hashlib
import re

import pytest
from support import formats, scenes

# -- dbmate (6.1, 6.9) ----------------------------------------------------------------------------


def test_dbmate_order_is_that_of_file_names(sql):
    app = sql("dbmate")
    app.migrations(
        {
            "2_a.sql": "-- migrate:up\nINSERT INTO t VALUES (2);\n-- migrate:down\n",
            "10_b.sql": "-- migrate:up\nCREATE TABLE t (id INTEGER);\n-- migrate:down\n",
        }
    )
    app.run("migrate")
    assert app.db.contents() == {"t": [(2,)]}
    assert app.db.rows("SELECT version FROM schema_migrations ORDER BY rowid") == [("10",), ("2",)]


def test_dbmate_marker_without_blank(sql):
    app = sql("dbmate")
    app.migrations(
        {"1_a.sql": "--migrate:up\nCREATE TABLE t (id INTEGER);\n--migrate:down\nDROP TABLE t;\n"}
    )
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
    app.db.execute(
        "CREATE TABLE schema_migrations (version bigint not null primary key, dirty boolean not null)"
    )
    app.db.execute("INSERT INTO schema_migrations VALUES (5, true)")
    if engine == "postgres":
        app.db.execute("ALTER TABLE schema_migrations OWNER TO app")
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
    app.migrations(
        {"1_a.sql": "-- +goose Up\nCREATE TABLE a (id INTEGER); CREATE TABLE b (id INTEGER);\n"}
    )
    app.run("migrate")
    assert app.db.own_tables() == ["a", "b"]


def test_goose_statement_begin(sql):
    app = sql("goose", "postgres")
    app.migrations(
        {
            "1_a.sql": "-- +goose Up\n-- +goose StatementBegin\nCREATE FUNCTION f() RETURNS integer\n"
            "LANGUAGE plpgsql AS $$\nBEGIN\n  RETURN 4;\nEND;\n$$;\n-- +goose StatementEnd\n"
            "CREATE TABLE t (id integer);\n-- +goose down\nDROP TABLE t;\nDROP FUNCTION f();\n"
        }
    )
    app.run("migrate")
    assert app.db.one("SELECT f()") == (4,)
    app.run("rollback")
    assert app.db.own_tables() == []


def test_goose_function_without_statement_begin(sql):
    app = sql("goose", "postgres")
    app.migrations(
        {
            "1_a.sql": "-- +goose Up\nCREATE FUNCTION f() RETURNS integer\nLANGUAGE plpgsql AS $$\n"
            "BEGIN\n  RETURN 4;\nEND;\n$$;\n"
        }
    )
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
    app.migrations(
        {
            "1_a.sql": "-- +goose Up\nCREATE TABLE t (id integer);\n",
            "2_b.sql": "-- +goose no transaction\n-- +goose up\nCREATE INDEX CONCURRENTLY i ON t (id);\n",
        }
    )
    app.run("migrate")


def test_goose_envsub(sql):
    app = sql("goose")
    app.migrations(
        {
            "1_a.sql": "-- +goose Up\n-- +goose ENVSUB ON\nCREATE TABLE ${TABLE_NAME} (id INTEGER);\n"
            "CREATE TABLE ${OTHER:-fallback} (id INTEGER);\n-- +goose ENVSUB OFF\n"
            "INSERT INTO fallback VALUES ('${TABLE_NAME}');\n"
        }
    )
    app.run("migrate", env={"TABLE_NAME": "named"})
    assert app.db.contents() == {"fallback": [("${TABLE_NAME}",)], "named": []}


# -- tern (6.4, 6.9) ------------------------------------------------------------------------------


def test_tern_and_sqlx_are_told_by_their_table(postgres_app):
    files = {
        "001_a.sql": "CREATE TABLE a (id integer);\n",
        "002_b.sql": "CREATE TABLE b (id integer);\n",
    }
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
        " checksum bytea NOT NULL, execution_time bigint NOT NULL)"
    )
    postgres_app.db.execute("ALTER TABLE _sqlx_migrations OWNER TO app")
    assert postgres_app.status()["format"] == "sqlx"
    postgres_app.run("migrate")
    version, description, checksum = postgres_app.db.one(
        "SELECT version, description, checksum FROM _sqlx_migrations"
    )
    assert (version, description) == (1, "a")
    assert bytes(checksum) == hashlib.sha384(b"CREATE TABLE a (id integer);\n").digest()


def test_tern_irreversible(sql):
    app = sql("tern", "postgres")
    app.migrations(
        {
            "001_a.sql": "CREATE TABLE a (id integer);\n---- create above / drop below ----\n"
            "DROP TABLE a;\n",
            "002_b.sql": "CREATE TABLE b (id integer);\n",
        }
    )
    app.run("migrate")
    result = app.run("rollback", expect=None)
    assert result.exit in (2, 6), result
    assert app.db.own_tables() == ["a", "b"]


# -- Flyway (6.5, 6.9) ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [lambda t: t.replace("\n", "\r\n"), lambda t: "\ufeff" + t, lambda t: t.replace("\n", "\r")],
)
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
    app.migrations(
        {
            "V2__t.sql": "ALTER TABLE t ADD COLUMN b INTEGER;\n",
            "V1.10__t.sql": "ALTER TABLE t ADD COLUMN a INTEGER;\n",
            "V1_9__create_t.sql": "CREATE TABLE t (id INTEGER);\n",
            "sub/V3__t.sql": "ALTER TABLE t ADD COLUMN c INTEGER;\n",
        }
    )
    app.run("migrate")
    assert app.db.columns("t") == ["id", "a", "b", "c"]
    assert [row[:3] for row in formats.recorded(app.db, "flyway")] == [
        (1, "1.9", "create t"),
        (2, "1.10", "t"),
        (3, "2", "t"),
        (4, "3", "t"),
    ]


def test_flyway_repeatable(sql):
    app = sql("flyway")
    app.migrations(
        {
            "V1__t.sql": "CREATE TABLE t (id INTEGER);\n",
            "R__b_view.sql": "INSERT INTO t VALUES (1);\n",
            "R__a.sql": "INSERT INTO t VALUES (2);\n",
        }
    )
    app.run("migrate")
    assert sorted(app.db.rows("SELECT id FROM t")) == [(1,), (2,)]
    assert app.run("migrate").applied() == 0
    app.write("migrations/R__a.sql", "INSERT INTO t VALUES (3);\n")
    assert app.status()["state"] == "pending"
    assert app.run("migrate").applied() == 1
    assert sorted(app.db.rows("SELECT id FROM t")) == [(1,), (2,), (3,)]
    rows = app.db.rows(
        "SELECT version, description FROM flyway_schema_history ORDER BY installed_rank"
    )
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
    app.db.execute(
        "INSERT INTO flyway_schema_history (installed_rank, version, description, type, script,"
        " checksum, installed_by, installed_on, execution_time, success) VALUES (4, '3',"
        " 'add email', 'UNDO_SQL', 'U3__add_email.sql', 1, 'x', '2024-01-01 00:00:00', 1, 1)"
    )
    assert [row["version"] for row in app.status()["pending"]] == ["3"]
    app.run("migrate")
    assert app.db.columns("person") == ["id", "name", "email"]


def test_flyway_baseline_row(sql):
    app = sql("flyway")
    app.migrations(formats.flyway(formats.users()))
    app.db.execute("CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT)")
    app.db.execute(
        "CREATE TABLE flyway_schema_history (installed_rank INT PRIMARY KEY, version VARCHAR(50),"
        " description VARCHAR(200) NOT NULL, type VARCHAR(20) NOT NULL, script VARCHAR(1000) NOT NULL,"
        " checksum INT, installed_by VARCHAR(100) NOT NULL, installed_on TEXT NOT NULL DEFAULT"
        " (strftime('%Y-%m-%d %H:%M:%f', 'now')), execution_time INT NOT NULL, success BOOLEAN NOT NULL)"
    )
    app.db.execute(
        "INSERT INTO flyway_schema_history (installed_rank, version, description, type, script,"
        " installed_by, execution_time, success) VALUES (1, '2', '<< Flyway Baseline >>', 'BASELINE',"
        " '<< Flyway Baseline >>', 'x', 0, 1)"
    )
    assert app.run("migrate").applied() == 1
    assert app.db.columns("person") == ["id", "name", "email"]


# -- the tool's own lock (6.7) --------------------------------------------------------------------


@pytest.mark.parametrize(
    "fmt, key",
    [
        ("tern", lambda db: "9628173550095224"),
        ("goose", lambda db: "4097083626"),
    ],
)
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
