# SPDX-License-Identifier: Apache-2.0
"""The same migrations written as each format writes them, and what its own tool would record."""

import hashlib
import json
import re
import zlib


class Step:
    """One migration: version, name, what it does and how it is undone."""

    def __init__(self, version, name, up, down="", alone=False):
        self.version, self.name, self.up, self.down = version, name, up, down
        self.alone = alone  # outside a transaction


def users(engine=None):
    """Three steps that every engine takes: a table, rows, a column."""
    del engine
    return [
        Step(
            "1",
            "create_person",
            "CREATE TABLE person (id INTEGER PRIMARY KEY, name VARCHAR(100) NOT NULL);\n",
            "DROP TABLE person;\n",
        ),
        Step(
            "2",
            "seed_person",
            "INSERT INTO person (id, name) VALUES (1, 'ada; -- not a comment');\n"
            "INSERT INTO person (id, name) VALUES (2, 'grace');\n",
            "DELETE FROM person;\n",
        ),
        Step(
            "3",
            "add_email",
            "ALTER TABLE person ADD COLUMN email VARCHAR(100);\n",
            "ALTER TABLE person DROP COLUMN email;\n",
        ),
    ]


# -- files ----------------------------------------------------------------------------------------


def plain(steps):
    files = {}
    for step in steps:
        head = "-- lockstep: no-transaction\n" if step.alone else ""
        files[f"{step.version.zfill(3)}_{step.name}.sql"] = head + step.up
        if step.down:
            files[f"{step.version.zfill(3)}_{step.name}.down.sql"] = step.down
    return files


def dbmate(steps):
    files = {}
    for step in steps:
        option = " transaction:false" if step.alone else ""
        files[
            f"{step.version.zfill(3)}_{step.name}.sql"
        ] = f"-- migrate:up{option}\n{step.up}\n-- migrate:down{option}\n{step.down}"
    return files


def golang_migrate(steps):
    files = {}
    for step in steps:
        files[f"{step.version.zfill(6)}_{step.name}.up.sql"] = step.up
        if step.down:
            files[f"{step.version.zfill(6)}_{step.name}.down.sql"] = step.down
    return files


def goose(steps):
    files = {}
    for step in steps:
        head = "-- +goose NO TRANSACTION\n" if step.alone else ""
        files[
            f"{step.version.zfill(5)}_{step.name}.sql"
        ] = f"{head}-- +goose Up\n{step.up}-- +goose Down\n{step.down}"
    return files


def flyway(steps):
    files = {}
    for step in steps:
        files[f"V{step.version}__{step.name}.sql"] = step.up
        if step.down:
            files[f"U{step.version}__{step.name}.sql"] = step.down
    return files


def diesel(steps):
    files = {}
    for step in steps:
        folder = f"2024-01-0{step.version}-000000_{step.name}"
        files[f"{folder}/up.sql"] = step.up
        files[f"{folder}/down.sql"] = step.down
        if step.alone:
            files[f"{folder}/metadata.toml"] = "run_in_transaction = false\n"
    return files


def sqlx(steps):
    files = {}
    for step in steps:
        head = "-- no-transaction\n" if step.alone else ""
        files[f"2024010{step.version}000000_{step.name}.up.sql"] = head + step.up
        files[f"2024010{step.version}000000_{step.name}.down.sql"] = step.down
    return files


def tern(steps):
    files = {}
    for step in steps:
        files[
            f"{step.version.zfill(3)}_{step.name}.sql"
        ] = f"{step.up}\n---- create above / drop below ----\n\n{step.down}"
    return files


PROVIDERS = {"postgres": "postgresql", "mysql": "mysql", "sqlite": "sqlite"}


def prisma(steps, engine):
    files = {"migration_lock.toml": f'provider = "{PROVIDERS[engine]}"\n'}
    for step in steps:
        files[f"2024010{step.version}000000_{step.name}/migration.sql"] = step.up
    return files


def drizzle(steps, engine):
    entries, files = [], {}
    for i, step in enumerate(steps):
        tag = f"{i:04}_{step.name}"
        # As drizzle-kit writes them: between the statements of a file.
        files[f"{tag}.sql"] = "--> statement-breakpoint\n".join(
            part + ";" for part in step.up.split(";\n") if part.strip()
        )
        entries.append(
            {
                "idx": i,
                "version": "7",
                "when": 1700000000000 + int(step.version),
                "tag": tag,
                "breakpoints": True,
            }
        )
    journal = {"version": "7", "dialect": PROVIDERS[engine], "entries": entries}
    files["meta/_journal.json"] = json.dumps(journal, indent=2)
    return files


WRITERS = {
    "plain": plain,
    "dbmate": dbmate,
    "golang-migrate": golang_migrate,
    "goose": goose,
    "flyway": flyway,
    "diesel": diesel,
    "sqlx": sqlx,
    "tern": tern,
}
ENGINES = {"tern": ("postgres",), "sqlx": ("sqlite", "postgres", "mysql")}
# Every format on every engine that it can.
LANES = [
    (fmt, engine) for fmt in WRITERS for engine in ENGINES.get(fmt, ("sqlite", "postgres", "mysql"))
]
# Formats that the files alone do not tell.
NAMED = {"sqlx"}
TABLES = {
    "plain": "lockstep_migrations",
    "dbmate": "schema_migrations",
    "golang-migrate": "schema_migrations",
    "goose": "goose_db_version",
    "flyway": "flyway_schema_history",
    "diesel": "__diesel_schema_migrations",
    "sqlx": "_sqlx_migrations",
    "tern": "schema_version",
}
COLUMNS = {
    "dbmate": ["version"],
    "golang-migrate": ["version", "dirty"],
    "goose": ["id", "version_id", "is_applied", "tstamp"],
    "flyway": [
        "installed_rank",
        "version",
        "description",
        "type",
        "script",
        "checksum",
        "installed_by",
        "installed_on",
        "execution_time",
        "success",
    ],
    "diesel": ["version", "run_on"],
    "sqlx": ["version", "description", "installed_on", "success", "checksum", "execution_time"],
    "tern": ["version"],
}


# -- what the tool would record -------------------------------------------------------------------


def flyway_checksum(text):
    """CRC32 of the lines without their ends, no byte order mark, as a signed 32-bit number."""
    value = 0
    for line in re.split(r"\r\n|\r|\n", text.removeprefix("\ufeff")):
        value = zlib.crc32(line.encode(), value)
    return value - (1 << 32) if value >= 1 << 31 else value


def sha256(text):
    return hashlib.sha256(text.replace("\r\n", "\n").encode()).hexdigest()


def recorded(db, fmt):
    """The rows of the version table that matter, in the form of `expected`."""
    table = TABLES[fmt]
    if fmt == "plain":
        return db.rows("SELECT version, name, state FROM lockstep_migrations ORDER BY version")
    if fmt in ("dbmate", "diesel"):
        return db.rows(f"SELECT version FROM {table} ORDER BY version")
    if fmt == "golang-migrate":
        return [(int(v), bool(d)) for v, d in db.rows(f"SELECT version, dirty FROM {table}")]
    if fmt == "goose":
        return [
            (int(v), bool(a))
            for v, a in db.rows(f"SELECT version_id, is_applied FROM {table} ORDER BY id")
        ]
    if fmt == "flyway":
        return [
            (int(r), v, d, t, s, c, bool(ok))
            for r, v, d, t, s, c, ok in db.rows(
                "SELECT installed_rank, version, description, type, script, checksum, success"
                f" FROM {table} ORDER BY installed_rank"
            )
        ]
    if fmt == "sqlx":
        return [
            (int(v), d, bool(ok), bytes(c))
            for v, d, ok, c in db.rows(
                f"SELECT version, description, success, checksum FROM {table} ORDER BY version"
            )
        ]
    return db.rows(f"SELECT version FROM {table}")


def expected(fmt, steps):
    """What that tool records once `steps` are applied."""
    if fmt == "plain":
        return [(s.version.zfill(3), s.name, "applied") for s in steps]
    if fmt == "dbmate":
        return [(s.version.zfill(3),) for s in steps]
    if fmt == "golang-migrate":
        return [(int(steps[-1].version), False)] if steps else []
    if fmt == "goose":
        return [(0, True)] + [(int(s.version), True) for s in steps]
    if fmt == "flyway":
        return [
            (
                i + 1,
                s.version,
                s.name.replace("_", " "),
                "SQL",
                f"V{s.version}__{s.name}.sql",
                flyway_checksum(s.up),
                True,
            )
            for i, s in enumerate(steps)
        ]
    if fmt == "diesel":
        return [(f"2024010{s.version}000000",) for s in steps]
    if fmt == "sqlx":
        files = sqlx(steps)
        return [
            (
                int(f"2024010{s.version}000000"),
                s.name.replace("_", " "),
                True,
                hashlib.sha384(
                    files[f"2024010{s.version}000000_{s.name}.up.sql"].encode()
                ).digest(),
            )
            for s in steps
        ]
    return [(int(steps[-1].version) if steps else 0,)]


def shown_version(fmt, step):
    """The version as `status` shows it."""
    if fmt in ("plain", "dbmate"):
        return step.version.zfill(3)
    if fmt == "diesel":
        return f"2024010{step.version}000000"
    if fmt == "sqlx":
        return f"2024010{step.version}000000"
    return step.version
