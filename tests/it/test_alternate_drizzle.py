# SPDX-License-Identifier: Apache-2.0
"""The real drizzle-kit and lockstep on one database, on different days, in any order."""

import json
import os
import shutil
import subprocess

import pytest
from support import formats
from support.binary import ROOT
from support.formats import Step

KIT = ROOT / "tests/node/node_modules/drizzle-kit/bin.cjs"
NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(
    not (NODE and KIT.exists()), reason="drizzle-kit is not installed (npm ci in tests/node)"
)
ENGINES = ("sqlite", "postgres", "mysql")


def steps(engine):
    return formats.users(engine) + [
        Step("4", "orders", "CREATE TABLE orders (id INTEGER PRIMARY KEY, person INTEGER);\n"),
        Step(
            "5",
            "seed_orders",
            "INSERT INTO orders VALUES (1, 1);\nINSERT INTO orders VALUES (2, 2);\n",
        ),
        Step("6", "index", "CREATE INDEX orders_person ON orders (person);\n"),
    ]


def apply(app, tool, count):
    db = app.db
    shutil.rmtree(app.dir / "drizzle", ignore_errors=True)
    app.migrations(formats.drizzle(steps(db.engine)[:count], db.engine), "drizzle")
    if tool == "lockstep":
        app.run("migrate")
        return
    url = {
        "sqlite": lambda: f"file:{db.path}",
        "mysql": lambda: db.url,
        "postgres": lambda: db.url + "?sslmode=disable",
    }[db.engine]()
    config = {
        "dialect": formats.PROVIDERS[db.engine],
        "out": "./drizzle",
        "dbCredentials": {"url": url},
    }
    path = app.dir / "drizzle.config.json"
    path.write_text(json.dumps(config), encoding="ascii")
    done = subprocess.run(
        [NODE, KIT, "migrate"],
        cwd=app.dir,
        env={"PATH": os.environ["PATH"], "HOME": str(app.home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        timeout=120,
    )
    path.unlink()
    assert done.returncode == 0, done.stdout.decode()
    assert "applied successfully" in done.stdout.decode()


def everything(db):
    table = "drizzle.__drizzle_migrations" if db.engine == "postgres" else "__drizzle_migrations"
    make = {
        "sqlite": "SELECT lower(replace(replace(sql, char(9), ''), char(10), ' ')) FROM sqlite_master"
        " WHERE name = '__drizzle_migrations'",
        "mysql": "SHOW CREATE TABLE __drizzle_migrations",
        "postgres": "SELECT attname::text, format_type(atttypid, atttypmod), attnotnull,"
        " pg_get_expr(adbin, adrelid) FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid"
        " AND adnum = attnum WHERE attrelid = 'drizzle.__drizzle_migrations'::regclass"
        " AND attnum > 0 ORDER BY attnum",
    }[db.engine]
    shape = [
        tuple(str(cell).replace("( ", "(").replace(" )", ")") for cell in row)
        for row in db.rows(make)
    ]
    return (
        db.state(),
        db.rows(f"SELECT id, hash, created_at FROM {table} ORDER BY created_at"),
        shape,
    )


ORDERS = {
    "drizzle first": [("drizzle", 3), ("lockstep", 6)],
    "lockstep first": [("lockstep", 3), ("drizzle", 6)],
    "in turns": [
        ("drizzle", 1),
        ("lockstep", 2),
        ("drizzle", 3),
        ("lockstep", 4),
        ("drizzle", 5),
        ("lockstep", 6),
    ],
    "nothing left for the other": [("lockstep", 6), ("drizzle", 6), ("lockstep", 6)],
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("engine", ENGINES)
def test_alternate(lockstep, fresh, engine, order):
    alone, mixed = fresh(engine), fresh(engine)
    apply(lockstep.use(alone), "drizzle", 6)
    app = lockstep.use(mixed)
    for tool, count in ORDERS[order]:
        apply(app, tool, count)
    assert everything(mixed) == everything(alone)
    assert app.status()["state"] == "current"
    assert app.status()["changed"] == []
