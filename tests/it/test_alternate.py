# SPDX-License-Identifier: Apache-2.0
"""The real dbmate and lockstep on one database, on different days, in any order."""

import os
import pathlib
import platform
import subprocess

import pytest
from support import formats
from support.binary import ROOT
from support.formats import Step

ARCHITECTURE = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), "none")
DBMATE = ROOT / f"tests/node/node_modules/@dbmate/linux-{ARCHITECTURE}/bin/dbmate"
pytestmark = pytest.mark.skipif(
    not os.access(DBMATE, os.X_OK), reason="dbmate is not installed (npm ci in tests/node)"
)
ENGINES = ("sqlite", "postgres", "mysql")


def steps(engine):
    more = [
        Step(
            "4",
            "create_order",
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, person INTEGER);\n",
            "DROP TABLE orders;\n",
        ),
        Step(
            "5",
            "seed_order",
            "INSERT INTO orders VALUES (1, 1);\nINSERT INTO orders VALUES (2, 2);\n",
            "DELETE FROM orders;\n",
        ),
    ]
    if engine == "postgres":
        more.append(
            Step(
                "6",
                "index",
                "CREATE INDEX CONCURRENTLY orders_person ON orders (person);\n",
                "DROP INDEX CONCURRENTLY orders_person;\n",
                alone=True,
            )
        )
    else:
        more.append(
            Step(
                "6",
                "index",
                "CREATE INDEX orders_person ON orders (person);\n",
                "DROP INDEX orders_person;\n"
                if engine == "sqlite"
                else "DROP INDEX orders_person ON orders;\n",
            )
        )
    return formats.users() + more


class Both:
    """apply(tool, count): that tool, with the first `count` files there."""

    def __init__(self, lockstep, engine):
        self.lockstep, self.steps = lockstep, steps(engine)

    def files(self, count):
        self.lockstep.migrations({})
        for path in (self.lockstep.dir / "migrations").iterdir():
            path.unlink()
        self.lockstep.migrations(formats.dbmate(self.steps[:count]))

    def apply(self, tool, count):
        self.files(count)
        if tool == "lockstep":
            self.lockstep.run("migrate")
        else:
            self.dbmate("migrate")

    def back(self, tool):
        if tool == "lockstep":
            self.lockstep.run("rollback")
        else:
            self.dbmate("rollback")

    def dbmate(self, command):
        db = self.lockstep.db
        url = {
            "sqlite": lambda: f"sqlite:{db.path}",
            "mysql": lambda: db.url,
            "postgres": lambda: db.url + "?sslmode=disable",
        }[db.engine]()
        done = subprocess.run(
            [DBMATE, "--no-dump-schema", "--migrations-dir", "migrations", command],
            cwd=self.lockstep.dir,
            env={"PATH": os.environ["PATH"], "DATABASE_URL": url},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout.decode()


def everything(db):
    return (
        db.state(),
        db.rows("SELECT version FROM schema_migrations ORDER BY version"),
        db.columns("schema_migrations"),
    )


ORDERS = {
    "dbmate first": [("dbmate", 3), ("lockstep", 6)],
    "lockstep first": [("lockstep", 3), ("dbmate", 6)],
    "in turns": [
        ("dbmate", 1),
        ("lockstep", 2),
        ("dbmate", 3),
        ("lockstep", 4),
        ("dbmate", 5),
        ("lockstep", 6),
    ],
    "lockstep alone": [("lockstep", 6)],
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("order", ORDERS)
def test_same_end(lockstep, fresh, engine, order):
    both = Both(lockstep, engine)
    lockstep.use(fresh(engine))
    both.apply("dbmate", 6)
    wanted = everything(lockstep.db)

    lockstep.use(fresh(engine))
    for tool, count in ORDERS[order]:
        both.apply(tool, count)
    assert everything(lockstep.db) == wanted
    assert lockstep.status()["state"] == "current"
    assert lockstep.status()["changed"] == []
    both.dbmate("status")
    # Neither finds anything left to do.
    both.apply("dbmate", 6)
    assert lockstep.run("migrate").applied() == 0


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("tools", [("dbmate", "lockstep"), ("lockstep", "dbmate")])
def test_one_goes_back_what_the_other_did(lockstep, fresh, engine, tools):
    first, second = tools
    both = Both(lockstep, engine)
    lockstep.use(fresh(engine))
    both.apply("dbmate", 6)
    wanted = everything(lockstep.db)
    lockstep.use(fresh(engine))
    both.apply(first, 6)
    for _ in range(6):
        both.back(second)
    assert lockstep.db.own_tables() == []
    assert lockstep.status()["applied"] == []
    both.apply(second, 3)
    both.apply(first, 6)
    assert everything(lockstep.db) == wanted


@pytest.mark.parametrize("engine", ENGINES)
def test_file_edited_while_the_other_tool_was_used(lockstep, fresh, engine):
    """dbmate went back and applied an edited file: our checksum belonged to the earlier row."""
    both = Both(lockstep, engine)
    lockstep.use(fresh(engine))
    both.apply("lockstep", 3)
    both.back("dbmate")
    path = lockstep.dir / "migrations/003_add_email.sql"
    path.write_text(path.read_text(encoding="utf-8").replace("100", "200"), encoding="utf-8")
    both.dbmate("migrate")
    report = lockstep.status()
    assert report["state"] == "current", report
    assert pathlib.Path(path).exists()
