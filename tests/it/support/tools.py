# SPDX-License-Identifier: Apache-2.0
"""Other people's migration tools: one row each, and their fixture projects.

A project is tests/tools/FOLDER/base: three migrations that make users, posts (with one row) and
hits, and add users.email. Laid over it by a test: `new` (adds users.age), `broken` (fails), `slow`
(inserts one row into hits, then sleeps a second, so that whoever applies it twice leaves two rows).
Each start of an interpreter or program is written down: by wrappers in PATH, and for Python, whose
place decides which packages it sees, by a module that it imports from the home directory.
"""

import dataclasses
import pathlib
import shutil
import subprocess
import urllib.parse

from . import net
from .binary import ROOT

FIXTURES = ROOT / "tests/tools"
MODULES = FIXTURES / "node/node_modules"
# Whatever starts one of these shows in the list of starts.
WRAPPED = (
    "node",
    "npm",
    "npx",
    "rails",
    "ruby",
    "sequel",
    "sql-migrate",
    "sqitch",
)
POSTGRES = ("postgres",)
ALL = ("postgres", "mysql", "sqlite")
NODE = "node_modules/.bin/"


def plain(db):
    return {"DATABASE_URL": db.url}


def without_tls(db):
    """Go's driver wants TLS unless it is told."""
    return {"DATABASE_URL": db.url + "?sslmode=disable"}


def discrete(db):
    """What libpq reads, for tools that know no URL."""
    url = urllib.parse.urlsplit(db.url)
    return {
        "PGHOST": url.hostname,
        "PGPORT": str(url.port),
        "PGUSER": url.username,
        "PGPASSWORD": urllib.parse.unquote(url.password),
        "PGDATABASE": url.path[1:],
    }


def sqitch(db):
    return {
        **discrete(db),
        "SQITCH_FULLNAME": "A Person",
        "SQITCH_EMAIL": "person@example.com",
    }


def prisma(db):
    """As `plain`; it does not ask the world for a newer version of itself."""
    return {**plain(db), "CHECKPOINT_DISABLE": "1", "PRISMA_HIDE_UPDATE_MESSAGE": "1"}


def rails(db):
    """As `plain`; production does not write db/schema.rb."""
    return {**plain(db), "RAILS_ENV": "production"}


def rails_itself(db):
    """Its own spelling of an SQLite URL."""
    if db.engine == "sqlite":
        return {"DATABASE_URL": f"sqlite3:{db.path}", "RAILS_ENV": "production"}
    return rails(db)


@dataclasses.dataclass(frozen=True)
class ToolCase:
    """`command` is what lockstep has to find, and what is run for comparison (`own`, where lockstep
    starts it in another way). `environment(db)` is all that a user would set."""

    name: str  # folder, and what `detect` says unless `tool` is given
    command: tuple
    table: str  # schema.table of its versions; "" = none that lockstep can read
    tool: str = ""
    own: tuple = ()
    engines: tuple = POSTGRES
    modules: tuple = ()
    python: tuple = ()  # modules that /usr/bin/python3 has to have
    environment: object = plain
    own_environment: object = None
    # A migration and its row commit together: a kill in the middle leaves nothing.
    atomic: bool = True
    # There is a version table to look at: with nothing pending lockstep starts nothing.
    native: bool = True
    # lockstep reads its migrations out of the files, so that it can name those that are pending.
    listed: bool = True
    starts: tuple = ()  # which programs lockstep starts for it, where they are not those of `own`
    # Four tools stand for their runtimes where the whole matrix would take too long.
    chosen: bool = False
    database_from: str = "DATABASE_URL"
    leaves: tuple = ()  # in TMPDIR
    sql: bool = (
        False  # its migrations are SQL files, which lockstep applies where its CLI is missing
    )
    repair: bool = False  # a failed migration has to be cleared before it goes on

    @property
    def detected(self):
        return self.tool or self.name

    @property
    def table_sql(self):
        """Its version table as PostgreSQL spells it."""
        return ".".join(f'"{part}"' for part in self.table.split("."))

    def missing(self, engine):
        """Why it cannot run here, or None."""
        lacking = [name for name in self.modules if not (MODULES / name).is_dir()]
        if lacking:
            return f"tests/tools/node has no {lacking[0]}: `make` could not install it"
        if engine == "sqlite" and "better-sqlite3" in self.modules:
            if not (MODULES / "better-sqlite3/build/Release/better_sqlite3.node").exists():
                return "better-sqlite3 was not compiled"
        program = pathlib.PurePath((self.own or self.command)[0]).name
        if (
            "/" not in (self.own or self.command)[0]
            and not pathlib.Path("/usr/bin", program).exists()
        ):
            return f"{program} is not installed"
        if program == "rails" and not pathlib.Path("/usr/bin/ruby").exists():
            return "ruby is not installed"
        for module in self.python:
            if subprocess.run(
                ["/usr/bin/python3", "-c", f"import {module}"],
                check=False,
                stderr=subprocess.DEVNULL,
            ).returncode:
                return f"/usr/bin/python3 has no {module}"
        return None


def _node(name, *command, modules, **more):
    return ToolCase(name, (NODE + command[0], *command[1:]), modules=(*modules, "pg"), **more)


CASES = (
    # -- Python
    ToolCase(
        "django",
        ("python3", "manage.py", "migrate", "--noinput"),
        "django_migrations",
        engines=ALL,
        python=("django", "psycopg2", "MySQLdb"),
        chosen=True,
    ),
    ToolCase(
        "alembic",
        ("alembic", "upgrade", "head"),
        "alembic_version",
        engines=ALL,
        python=("psycopg2", "pymysql"),
        chosen=True,
    ),
    ToolCase("flask-migrate", ("flask", "db", "upgrade"), "alembic_version", python=("psycopg2",)),
    ToolCase(
        "yoyo",
        ("yoyo", "apply", "--batch"),
        "_yoyo_migration",
        python=("psycopg2",),
        engines=("postgres", "sqlite"),
    ),
    # -- Ruby
    ToolCase(
        "rails",
        ("bin/rails", "db:migrate"),
        "schema_migrations",
        engines=("postgres", "sqlite"),
        environment=rails,
        own_environment=rails_itself,
        chosen=True,
    ),
    # Its program takes the URL, password and all, as an argument; lockstep may not.
    ToolCase(
        "sequel",
        ("ruby", "-e"),
        "schema_migrations",
        own=("sequel", "-m", "db/migrations"),
        starts=("ruby",),
    ),
    # -- Node
    _node(
        "knex",
        "knex",
        "migrate:latest",
        table="knex_migrations",
        engines=ALL,
        modules=("knex", "mysql2", "better-sqlite3"),
        chosen=True,
    ),
    _node(
        "sequelize",
        "sequelize-cli",
        "db:migrate",
        table="SequelizeMeta",
        modules=("sequelize", "sequelize-cli"),
        atomic=False,
    ),
    ToolCase(
        "umzug",
        ("npm", "run", "migrate"),
        "SequelizeMeta",
        modules=("umzug", "sequelize", "pg"),
        listed=False,
        atomic=False,
    ),
    _node(
        "typeorm",
        "typeorm",
        "migration:run",
        "-d",
        "data-source.js",
        table="migrations",
        modules=("typeorm", "reflect-metadata"),
        listed=False,
    ),
    _node(
        "mikro-orm",
        "mikro-orm",
        "migration:up",
        table="mikro_orm_migrations",
        modules=(
            "@mikro-orm/cli",
            "@mikro-orm/core",
            "@mikro-orm/migrations",
            "@mikro-orm/postgresql",
        ),
        listed=False,
    ),
    _node(
        "node-pg-migrate",
        "node-pg-migrate",
        "up",
        table="pgmigrations",
        modules=("node-pg-migrate",),
    ),
    _node(
        "db-migrate",
        "db-migrate",
        "up",
        table="migrations",
        modules=("db-migrate", "db-migrate-pg"),
        # It cuts the password of a URL at a colon, encoded or not.
        environment=discrete,
        database_from="PGHOST",
        atomic=False,
    ),
    _node(
        "graphile-migrate",
        "graphile-migrate",
        "migrate",
        table="graphile_migrate.migrations",
        modules=("graphile-migrate",),
    ),
    _node(
        "postgrator",
        "postgrator",
        "migrate",
        table="schemaversion",
        modules=("postgrator-cli",),
        atomic=False,
    ),
    _node(
        "at-databases",
        "pg-migrations",
        "apply",
        "--directory",
        "migrations",
        tool="@databases",
        table="atdatabases_migrations_applied",
        modules=("@databases/pg-migrations",),
        listed=False,
    ),
    _node("ley", "ley", "up", table="migrations", modules=("ley",)),
    _node(
        "drizzle",
        "drizzle-kit",
        "migrate",
        table="drizzle.__drizzle_migrations",
        modules=("drizzle-kit", "drizzle-orm"),
        leaves=("tsx-*",),
        sql=True,
    ),
    _node(
        "prisma",
        "prisma",
        "migrate",
        "deploy",
        table="_prisma_migrations",
        modules=("prisma", "@prisma/client", "@prisma/adapter-pg"),
        environment=prisma,
        atomic=False,
        sql=True,
        repair=True,
    ),
    ToolCase(
        "npm",
        ("npm", "run", "db:migrate"),
        "",
        modules=("pg",),
        native=False,
        listed=False,
    ),
    # -- programs of their own
    ToolCase(
        "sqitch",
        ("sqitch", "deploy"),
        "sqitch.changes",
        environment=sqitch,
        own=("sqitch", "deploy", "db:pg:"),
        database_from="PGHOST",
    ),
    ToolCase("sql-migrate", ("sql-migrate", "up"), "gorp_migrations", environment=without_tls),
)


def alembic_revision(name, before, table):
    """A migration of Alembic or Flask-Migrate that makes a table, and takes it away."""
    return f"""from alembic import op
revision = "{name}"
down_revision = "{before}"
branch_labels = None
depends_on = None
def upgrade():
    op.execute("CREATE TABLE {table} (id integer)")
def downgrade():
    op.execute("DROP TABLE {table}")
"""


def case(name):
    return next(one for one in CASES if one.name == name)


class Project:
    """The fixture of a tool in a runner's directory, with `db` as its database."""

    def __init__(self, tool, runner, db):
        self.tool, self.runner, self.db = tool, runner, db
        self.log = runner.dir.parent / "starts"
        runner.db = db
        runner.env.update(tool.environment(db))
        self._lay("base")
        for name in tool.modules:
            self._link(name)
        for name in WRAPPED:
            real = pathlib.Path("/usr/bin", name)
            if real.exists():
                wrapper = runner.bin / name
                wrapper.write_text(f'#!/bin/sh\necho {name} >>"{self.log}"\nexec {real} "$@"\n')
                wrapper.chmod(0o755)
        python = pathlib.Path("/usr/bin/python3").resolve().name
        site = runner.home / ".local/lib" / python / "site-packages"
        site.mkdir(parents=True)
        (site / "usercustomize.py").write_text(
            f"with open({str(self.log)!r}, 'a') as file:\n    file.write('python3\\n')\n",
            encoding="utf-8",
        )

    def _link(self, name):
        place = self.runner.dir / "node_modules" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(MODULES / name)
        self._install(name)

    def _install(self, name):
        target, binaries = MODULES / name, self.runner.dir / "node_modules/.bin"
        binaries.mkdir(exist_ok=True)
        for link in (MODULES / ".bin").iterdir():
            if link.resolve().is_relative_to(target.resolve()):
                (binaries / link.name).symlink_to(link.resolve())

    def without_programs(self):
        """As an image that was built without its development dependencies."""
        for path in (self.runner.dir / "node_modules/.bin").iterdir():
            path.unlink()

    def with_programs(self):
        for name in self.tool.modules:
            self._install(name)

    def _lay(self, part):
        shutil.copytree(FIXTURES / self.tool.name / part, self.runner.dir, dirs_exist_ok=True)

    def add(self, part):
        """Lays new, broken or slow over it."""
        self._lay(part)

    def take(self, part):
        """As it was before `add`: an image built earlier."""
        folder = FIXTURES / self.tool.name / part
        for path in sorted(folder.rglob("*"), reverse=True):
            laid = self.runner.dir / path.relative_to(folder)
            if path.is_file():
                laid.unlink()
            elif not any(laid.iterdir()):
                laid.rmdir()
        self._lay("base")

    def close(self):
        """Clears what the tool itself leaves in TMPDIR."""
        for pattern in self.tool.leaves:
            for path in self.runner.tmp.glob(pattern):
                shutil.rmtree(path)

    # -- the tool itself ------------------------------------------------------------------------

    def own(self, expect=0, timeout=60):
        """Runs the tool as its documentation says, without lockstep."""
        env = {**self.runner.env, **(self.tool.own_environment or self.tool.environment)(self.db)}
        words = list(self.tool.own or self.tool.command)
        if self.tool.name == "sequel":
            # Its program takes a database on the command line only.
            words.append(env["DATABASE_URL"])
        done = subprocess.run(
            words,
            cwd=self.runner.dir,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=timeout,
            preexec_fn=net.die_with_parent,
        )
        text = done.stdout.decode(errors="replace")
        if expect is not None and (done.returncode == 0) != (expect == 0):
            raise AssertionError(f"{words}: exit {done.returncode}\n{text}")
        return done.returncode, text

    def starts(self):
        """Names of the programs started since the last call, in order."""
        if not self.log.exists():
            return []
        lines = self.log.read_text(encoding="ascii").split()
        self.log.unlink()
        return lines

    # -- what it left ---------------------------------------------------------------------------

    def contents(self):
        """Columns of the three tables, and the rows."""
        columns = {table: self.db.columns(table) for table in ("users", "posts", "hits")}
        return columns, [row[0] for row in self.db.rows("SELECT title FROM posts")]

    def hits(self):
        return self.db.one("SELECT count(*) FROM hits")[0]

    def versions(self):
        """How many rows its version table has."""
        table = ".".join(self.db.quoted(part) for part in self.tool.table.split("."))
        return self.db.one(f"SELECT count(*) FROM {table}")[0]
