# SPDX-License-Identifier: Apache-2.0
"""Prisma's and Drizzle's directories, which know no way back: applied as their own tools would, with
the same rows in the same tables."""

import hashlib
import json

import pytest
from support import formats
from support.formats import Step

ENGINES = ("sqlite", "postgres", "mysql")
WRITERS = {"prisma": formats.prisma, "drizzle": formats.drizzle}
LANES = [(fmt, engine) for fmt in WRITERS for engine in ENGINES]
FOLDERS = {"prisma": "prisma/migrations", "drizzle": "drizzle"}
TABLES = {"prisma": "_prisma_migrations", "drizzle": "__drizzle_migrations"}
# As flavour/{postgres,mysql,sqlite}.rs of prisma-engines makes it; name, type, NULL allowed.
PRISMA_COLUMNS = {
    "postgres": [
        ("id", "character varying(36)", False),
        ("checksum", "character varying(64)", False),
        ("finished_at", "timestamp with time zone", True),
        ("migration_name", "character varying(255)", False),
        ("logs", "text", True),
        ("rolled_back_at", "timestamp with time zone", True),
        ("started_at", "timestamp with time zone", False),
        ("applied_steps_count", "integer", False),
    ],
    "mysql": [
        ("id", "varchar(36)", False),
        ("checksum", "varchar(64)", False),
        ("finished_at", "datetime(3)", True),
        ("migration_name", "varchar(255)", False),
        ("logs", "text", True),
        ("rolled_back_at", "datetime(3)", True),
        ("started_at", "datetime(3)", False),
        ("applied_steps_count", "int(10) unsigned", False),
    ],
    "sqlite": [
        ("id", "TEXT", False),
        ("checksum", "TEXT", False),
        ("finished_at", "DATETIME", True),
        ("migration_name", "TEXT", False),
        ("logs", "TEXT", True),
        ("rolled_back_at", "DATETIME", True),
        ("started_at", "DATETIME", False),
        ("applied_steps_count", "INTEGER UNSIGNED", False),
    ],
}


def table(db, fmt):
    return "drizzle.__drizzle_migrations" if (fmt, db.engine) == LANES[4] else TABLES[fmt]


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def sums(files):
    return [sha256(files[name]) for name in sorted(files) if name.endswith(".sql")]


def recorded(db, fmt):
    if fmt == "drizzle":
        return [
            (int(when), digest)
            for when, digest in db.rows(
                f"SELECT created_at, hash FROM {table(db, fmt)} ORDER BY created_at"
            )
        ]
    return db.rows(
        "SELECT migration_name, checksum, finished_at IS NOT NULL, rolled_back_at IS NOT NULL,"
        f" applied_steps_count FROM {table(db, fmt)} ORDER BY started_at, migration_name"
    )


def expected(fmt, steps, engine):
    digests = sums(WRITERS[fmt](steps, engine))
    if fmt == "drizzle":
        return [(1700000000000 + int(s.version), d) for s, d in zip(steps, digests)]
    return [
        (f"2024010{s.version}000000_{s.name}", d, True, False, 1) for s, d in zip(steps, digests)
    ]


def columns(db, name):
    if db.engine == "postgres":
        return db.rows(
            "SELECT attname::text, format_type(atttypid, atttypmod), NOT attnotnull"
            " FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum",
            name,
        )
    if db.engine == "mysql":
        return [
            (n, t, nullable == "YES")
            for n, t, nullable in db.rows(
                "SELECT column_name, column_type, is_nullable FROM information_schema.columns"
                " WHERE table_schema = DATABASE() AND table_name = %s ORDER BY ordinal_position",
                name,
            )
        ]
    return [(row[1], row[2].upper(), not row[3]) for row in db.rows(f"PRAGMA table_info({name})")]


def put(app, fmt, steps):
    app.migrations(WRITERS[fmt](steps, app.db.engine), FOLDERS[fmt])


def shown(fmt, step):
    return f"2024010{step.version}000000" if fmt == "prisma" else f"170000000000{step.version}"


@pytest.mark.asan
@pytest.mark.parametrize("fmt, engine", LANES)
def test_life(sql, fmt, engine):
    """Found in its usual directory; apply, look, apply again, one more, no way back."""
    app = sql(fmt, engine)
    steps = formats.users(engine)
    put(app, fmt, steps[:2])
    assert app.status()["format"] == fmt
    app.run("plan")
    assert not app.db.tables()
    assert app.run("migrate").applied() == 2
    assert recorded(app.db, fmt) == [tuple(row) for row in expected(fmt, steps[:2], engine)]
    assert app.run("migrate").applied() == 0
    put(app, fmt, steps)
    report = app.status()
    assert [row["version"] for row in report["pending"]] == [shown(fmt, steps[2])]
    assert app.run("migrate").applied() == 1
    assert recorded(app.db, fmt) == expected(fmt, steps, engine)
    report = app.status()
    assert report["state"] == "current"
    assert [row["version"] for row in report["applied"]] == [shown(fmt, s) for s in steps]
    assert [row["name"].split("_", 1)[-1] for row in report["applied"]] == [
        s.name.split("_", 1)[-1] if fmt == "prisma" else s.name for s in steps
    ]
    assert app.db.contents() == {"person": [(1, "ada; -- not a comment", None), (2, "grace", None)]}
    assert "no down script" in app.run("rollback", expect=2).err


@pytest.mark.parametrize("engine", ENGINES)
def test_prismas_table(sql, engine):
    app = sql("prisma", engine)
    put(app, "prisma", formats.users(engine))
    app.run("migrate")
    assert columns(app.db, "_prisma_migrations") == PRISMA_COLUMNS[engine]
    for ident, logs in app.db.rows("SELECT id, logs FROM _prisma_migrations"):
        assert [len(part) for part in ident.split("-")] == [8, 4, 4, 4, 12]
        assert logs is None
    if engine == "sqlite":
        times = app.db.rows(
            "SELECT typeof(started_at), typeof(finished_at) FROM _prisma_migrations"
        )
        assert set(times) == {("integer", "integer")}


@pytest.mark.parametrize("fmt, engine", LANES)
def test_half_done_by_the_tool_itself(sql, fmt, engine):
    """Its table and the schema, nothing of ours: only the rest is applied."""
    app = sql(fmt, engine)
    steps = formats.users(engine)
    put(app, fmt, steps[:2])
    app.run("migrate")
    for name in ("lockstep_migrations", "lockstep_runs"):
        app.db.execute(f"DROP TABLE {name}")
    put(app, fmt, steps)
    assert [row["version"] for row in app.status()["pending"]] == [shown(fmt, steps[2])]
    assert app.run("migrate").applied() == 1
    assert recorded(app.db, fmt) == expected(fmt, steps, engine)
    # What the tool's own sum tells, without any row of ours.
    for name in ("lockstep_migrations", "lockstep_runs"):
        app.db.execute(f"DROP TABLE {name}")
    assert app.status()["changed"] == []
    column = "checksum" if fmt == "prisma" else "hash"
    app.db.execute(
        f"UPDATE {table(app.db, fmt)} SET {column} = 'x' WHERE {column} LIKE %s"
        if engine != "sqlite"
        else f"UPDATE {table(app.db, fmt)} SET {column} = 'x' WHERE {column} LIKE ?",
        expected(fmt, steps, engine)[0][1],
    )
    assert len(app.status()["changed"]) == 1
    app.run("repair", "--yes")
    assert recorded(app.db, fmt) == expected(fmt, steps, engine)


@pytest.mark.parametrize("fmt, engine", LANES)
def test_a_changed_file_is_refused(sql, fmt, engine):
    app = sql(fmt, engine)
    put(app, fmt, formats.users(engine))
    app.run("migrate")
    files = WRITERS[fmt](formats.users(engine), engine)
    app.migrations({name: text.replace("\n", "\r\n") for name, text in files.items()}, FOLDERS[fmt])
    assert app.status()["changed"] == []
    assert app.run("migrate").applied() == 0
    name = next(name for name in sorted(files) if name.endswith(".sql"))
    app.write(f"{FOLDERS[fmt]}/{name}", files[name].replace("VARCHAR(100)", "VARCHAR(101)"))
    assert name in app.run("migrate", expect=6).err
    assert len(app.status()["changed"]) == 1


@pytest.mark.parametrize("fmt, engine", LANES)
def test_a_failure_is_mended(sql, fmt, engine):
    app = sql(fmt, engine)
    good = formats.users(engine)[:1]
    body = "CREATE TABLE made (id INTEGER);\nINSERT INTO {} VALUES (1);\n"
    put(app, fmt, good + [Step("2", "broken", body.format("nowhere"))])
    app.run("migrate", expect=1)
    assert ("made" in app.db.tables()) == (engine == "mysql")
    assert app.status()["state"] == "failed"
    if fmt == "prisma":
        # As Prisma does where DDL commits by itself: P3009 until it is settled.
        unfinished = [row for row in recorded(app.db, fmt) if not row[2]]
        assert len(unfinished) == (engine == "mysql")
    mended = good + [Step("2", "broken", body.format("made"))]
    put(app, fmt, mended)
    assert app.run("migrate").applied() == 1
    assert app.db.contents(["made"]) == {"made": [(1,)]}
    assert recorded(app.db, fmt) == expected(fmt, mended, engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_what_prisma_left_failed(sql, engine):
    app = sql("prisma", engine)
    steps = formats.users(engine)
    put(app, "prisma", steps[:1])
    app.run("migrate")
    put(app, "prisma", steps)
    app.db.execute(
        "INSERT INTO _prisma_migrations (id, checksum, migration_name)"
        " VALUES ('x', 'y', '20240102000000_seed_person')"
    )
    assert app.status()["state"] == "failed"
    result = app.run("migrate", expect=6)
    assert "20240102000000" in result.err and "repair" in result.err
    app.run("repair", "--yes")
    assert app.db.one("SELECT rolled_back_at IS NOT NULL FROM _prisma_migrations WHERE id = 'x'")[0]
    assert app.run("migrate").applied() == 2
    assert [row for row in recorded(app.db, "prisma") if not row[3]] == expected(
        "prisma", steps, engine
    )
    assert app.run("migrate").applied() == 0


def test_prisma_outside_a_transaction(sql):
    app = sql("prisma", "postgres")
    steps = formats.users()[:1] + [
        Step("2", "index", "CREATE INDEX CONCURRENTLY person_name ON person (name);\n")
    ]
    put(app, "prisma", steps)
    app.run("migrate")
    assert recorded(app.db, "prisma") == expected("prisma", steps, "postgres")
    assert "person_name" in str(app.db.shape())


def test_prismas_lock_is_held(sql):
    app = sql("prisma", "postgres")
    look = "CREATE TABLE seen AS SELECT objid::bigint FROM pg_locks WHERE locktype = 'advisory';\n"
    put(app, "prisma", [Step("1", "look", look)])
    app.run("migrate")
    assert (72707369,) in app.db.rows("SELECT objid FROM seen")


@pytest.mark.parametrize("fmt, engine", LANES)
def test_made_for_another_engine(sql, fmt, engine):
    app = sql(fmt, engine)
    other = ENGINES[ENGINES.index(engine) - 1]
    app.migrations(WRITERS[fmt](formats.users(), other), FOLDERS[fmt])
    result = app.run("migrate", expect=2)
    assert formats.PROVIDERS[other] in result.err
    assert not app.db.tables()


def test_baseline_takes_the_name_of_a_folder(sql):
    app = sql("prisma", "sqlite")
    steps = formats.users()
    put(app, "prisma", steps)
    app.run("baseline", "20240102000000_seed_person")
    assert recorded(app.db, "prisma") == expected("prisma", steps[:2], "sqlite")
    assert app.db.own_tables() == []


def test_new(sql):
    app = sql("prisma")
    put(app, "prisma", formats.users())
    app.run("migrate")
    made = app.run("new", "add phone number").out.split()
    assert len(made) == 1 and made[0].endswith("_add_phone_number/migration.sql")
    assert len(app.status()["pending"]) == 1
    (app.dir / made[0]).unlink()
    assert "no migration.sql" in app.run("status", expect=2).err


def test_drizzle_makes_its_own(sql):
    app = sql("drizzle")
    put(app, "drizzle", formats.users())
    assert "drizzle-kit generate" in app.run("new", "x", expect=2).err


@pytest.mark.parametrize("engine", ENGINES)
def test_drizzle_late_entry(sql, engine):
    """Older than the newest row: Drizzle would skip it for ever and say nothing."""
    app = sql("drizzle", engine)
    steps = formats.users(engine)
    put(app, "drizzle", steps)
    app.run("migrate")
    late = Step("0", "late", "CREATE TABLE late (id INTEGER);\n")
    put(app, "drizzle", steps + [late])
    assert "0003_late.sql" in app.run("migrate", expect=6).err
    assert app.run("migrate", "--order", "any").applied() == 1
    assert "late" in app.db.tables()


def test_drizzle_journal_and_files_agree(sql):
    app = sql("drizzle")
    steps = formats.users()
    put(app, "drizzle", steps)
    app.write("drizzle/0009_stray.sql", "CREATE TABLE stray (id INTEGER);\n")
    assert "0009_stray.sql" in app.run("migrate", expect=2).err
    app.remove("drizzle/0009_stray.sql")
    app.remove("drizzle/0001_seed_person.sql")
    assert "0001_seed_person.sql" in app.run("migrate", expect=2).err
    assert not app.db.tables()


def test_drizzle_1_is_left_alone(sqlite_app):
    sqlite_app.migrations(
        {"20240101000000_a/migration.sql": "SELECT 1;\n", "20240101000000_a/snapshot.json": "{}"},
        "drizzle",
    )
    assert "Drizzle 1" in sqlite_app.run("migrate", "--dir", "drizzle", expect=2).err
    assert sqlite_app.status()["state"] == "none"


def test_a_journal_that_changes_is_seen(sqlite_app):
    """The fast start looks at it too."""
    steps = formats.users()
    put(sqlite_app, "drizzle", steps)
    sqlite_app.run("migrate")
    assert sqlite_app.run("migrate").applied() == 0
    path = sqlite_app.dir / "drizzle/meta/_journal.json"
    journal = json.loads(path.read_text(encoding="ascii"))
    journal["entries"].pop()
    sqlite_app.write("drizzle/meta/_journal.json", json.dumps(journal))
    sqlite_app.run("migrate", expect=2)
