# SPDX-License-Identifier: Apache-2.0
"""Migration histories of public projects give the schema that the database's own client gives."""

import difflib
import json
import os
import pathlib
import re
import shutil

import pytest
from support.binary import ROOT
from support.databases import BOOKKEEPING

CORPORA = pathlib.Path(os.environ.get("LOCKSTEP_CORPORA", ROOT.parent / "shared/corpora"))
pytestmark = pytest.mark.skipif(
    not CORPORA.is_dir(), reason=f"no corpora in {CORPORA} (set LOCKSTEP_CORPORA)"
)


class History:
    """One folder of the corpora."""

    def __init__(self, name):
        self.folder = CORPORA / name
        self.meta = json.loads((self.folder / "META.json").read_text(encoding="utf-8"))
        self.engine = {"postgresql": "postgres"}.get(self.meta["dialect"], self.meta["dialect"])

    def prepare(self, lockstep, database):
        """The migrations as they are; PostgreSQL as superuser, because they make roles and such."""
        lockstep.use(database)
        if self.engine == "postgres":
            lockstep.env["DATABASE_URL"] = database.server.url(database.name, "postgres")
        if self.engine == "mysql":
            database.execute(f"ALTER DATABASE {database.name} CHARACTER SET latin1")
        shutil.copytree(self.folder / "migrations", lockstep.dir / "migrations")
        if self.meta["needs_pre"]:
            database.script((self.folder / "pre.sql").read_text(encoding="utf-8"))

    def renumber(self, lockstep):
        """0001_x.up.sql, 0002_..., in the order of META.json."""
        folder = lockstep.dir / "migrations"
        for number, name in enumerate(self.meta["order"], 1):
            title = re.sub(r"^V?\d+[._]", "", name.removesuffix(".up.sql"))
            down = folder / name.replace(".up.sql", ".down.sql")
            (folder / name).rename(folder / f"{number:05}_{title}.up.sql")
            if down.exists():
                down.rename(folder / f"{number:05}_{title}.down.sql")
        for path in folder.iterdir():
            if not re.match(r"\d{5}_", path.name):
                path.unlink()

    def same_schema(self, database):
        expected = (self.folder / "expected.sql").read_text(encoding="utf-8")
        same(self.engine, expected, database.dump())


def blocks(engine, dump):
    """The dump in comparable pieces, without comments, settings and bookkeeping."""
    dump = (
        re.sub(
            r"^(--( Dumped.*)?|\\(un)?restrict.*|SET .*|SELECT pg_catalog\.set_config.*)$",
            "",
            dump,
            flags=re.MULTILINE,
        )
        if engine == "postgres"
        else dump
    )
    if engine == "postgres":
        pieces = re.split(r"^-- Name: ", dump, flags=re.MULTILINE)[1:]
        pieces = [
            piece.replace("-- PostgreSQL database dump complete", "")
            for piece in pieces
            if not any(name in piece.splitlines()[0].split(";")[0] for name in BOOKKEEPING)
        ]
    elif engine == "mysql":
        dump = re.sub(r"^(/\*M?!.*|--.*|DROP .*)$", "", dump, flags=re.MULTILINE)
        dump = re.sub(r" AUTO_INCREMENT=\d+| DEFINER=\S+", "", dump)
        pieces = [
            piece
            for piece in re.split(r"\n(?=CREATE |DELIMITER )", dump)
            if not any(f"`{name}`" in piece for name in BOOKKEEPING)
        ]
    else:
        pieces = [
            piece
            for piece in re.split(r"(?<=;)\n(?=CREATE )", dump)
            if not any(re.search(rf"\b{name}\b", piece.split("(")[0]) for name in BOOKKEEPING)
        ]
    # Partitions named after the day of the run, and their bounds.
    pieces = [
        re.sub(r"'\d{4}-\d\d-\d\d[^']*'", "'DATE'", re.sub(r"_\d{8}(?!\d)", "_DATE", piece))
        for piece in pieces
    ]
    return sorted(re.sub(r"\n{2,}", "\n", piece).strip() for piece in pieces if piece.strip())


def same(engine, expected, actual):
    wanted, got = blocks(engine, expected), blocks(engine, actual)
    assert wanted, "the reference is empty"
    difference = list(
        difflib.unified_diff(wanted, got, "expected.sql", "lockstep", lineterm="", n=0)
    )
    assert not difference, "\n".join(difference)[:4000]


AS_THEY_ARE = [
    ("cloak", "dbmate"),
    ("hatchet/postgres", "goose"),
    ("cwa-server/postgres", "flyway"),
    ("crates-io/postgres", "diesel"),
    ("vaultwarden/postgres", "diesel"),
    ("vaultwarden/mysql", "diesel"),
    ("vaultwarden/sqlite", "diesel"),
    ("matrix-auth/postgres", "sqlx"),
]


@pytest.fixture
def no_foreign_key_checks(request):
    """The references for MySQL were made with FOREIGN_KEY_CHECKS=0: tables refer to later ones."""
    server = request.getfixturevalue("mysql_server")
    with server.admin() as cursor:
        cursor.execute("SET GLOBAL foreign_key_checks = 0")
    yield
    with server.admin() as cursor:
        cursor.execute("SET GLOBAL foreign_key_checks = 1")


def prepared(request, lockstep, fresh, name):
    history = History(name)
    if history.engine == "mysql":
        request.getfixturevalue("no_foreign_key_checks")
    history.prepare(lockstep, fresh(history.engine))
    return history


def downs(history, lockstep):
    """As many steps back as the project's own down files run; what they leave is the project's."""
    count = history.meta["downs_ok"]
    if count:
        lockstep.run("rollback", "--steps", count, timeout=300)
        assert len(lockstep.status()["applied"]) == len(history.meta["order"]) - count


@pytest.mark.parametrize("name, fmt", AS_THEY_ARE)
def test_as_it_is(request, lockstep, fresh, name, fmt):
    history = prepared(request, lockstep, fresh, name)
    report = lockstep.status()
    assert report["format"] == fmt
    assert len(report["pending"]) == len(history.meta["order"])
    result = lockstep.run("migrate", timeout=300)
    assert result.applied() == len(history.meta["order"])
    history.same_schema(lockstep.db)
    assert lockstep.status()["state"] == "current"
    assert lockstep.run("migrate").applied() == 0
    downs(history, lockstep)


@pytest.mark.parametrize(
    "name", ["gitness/postgres", "gitness/sqlite", "authelia/postgres", "authelia/mysql"]
)
def test_renumbered(request, lockstep, fresh, name):
    history = prepared(request, lockstep, fresh, name)
    first = history.meta["order"][0]
    result = lockstep.run("migrate", expect=2)
    assert first.split(".")[0][:4] in result.err, result
    assert lockstep.db.tables() == []
    history.renumber(lockstep)
    assert lockstep.status()["format"] == "golang-migrate"
    lockstep.run("migrate", timeout=300)
    history.same_schema(lockstep.db)
    downs(history, lockstep)
