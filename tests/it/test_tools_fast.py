# SPDX-License-Identifier: Apache-2.0
"""With nothing pending no tool is started, and whatever decides what it would do starts it again.

Each ingredient of the fingerprint is changed in turn, and put back exactly as it was: then the last
success holds again, and nothing is started. `make test` does each for a few
tools, LOCKSTEP_SOAK=1 for all.
"""

import contextlib
import json
import os

import pytest
from support import tools
from support.binary import SOAK

# What writes down each version of a tool: its newest migration's file; SQL that adds a version
# which no file has, above all others; and the condition that only the newest row meets.
NEWEST = {
    "django": (
        "blog/migrations/0003_email.py",
        "INSERT INTO django_migrations (app, name, applied) VALUES ('blog', '0009_later', now())",
        "name = '0003_email'",
    ),
    "alembic": (
        "alembic/versions/a3_email.py",
        "UPDATE alembic_version SET version_num = 'a9'",
        "",
    ),
    "flask-migrate": (
        "migrations/versions/a3_email.py",
        "UPDATE alembic_version SET version_num = 'a9'",
        "",
    ),
    "yoyo": (
        "migrations/0003_email.py",
        "INSERT INTO _yoyo_migration VALUES ('0', '0009_later', now())",
        "migration_id = '0003_email'",
    ),
    "rails": (
        "db/migrate/20240101000003_add_email.rb",
        "INSERT INTO schema_migrations VALUES ('20240101000009')",
        "version = '20240101000003'",
    ),
    "sequel": (
        "db/migrations/20240101000003_email.rb",
        "INSERT INTO schema_migrations VALUES ('20240101000009_later.rb')",
        "filename = '20240101000003_email.rb'",
    ),
    "knex": (
        "migrations/20240101000003_email.js",
        "INSERT INTO knex_migrations (name, batch) VALUES ('20240101000009_later.js', 2)",
        "name = '20240101000003_email.js'",
    ),
    "sequelize": (
        "migrations/20240101000003-email.js",
        "INSERT INTO \"SequelizeMeta\" VALUES ('20240101000009-later.js')",
        "name = '20240101000003-email.js'",
    ),
    "umzug": (
        "migrations/20240101000003-email.js",
        "INSERT INTO \"SequelizeMeta\" VALUES ('20240101000009-later.js')",
        "name = '20240101000003-email.js'",
    ),
    "typeorm": (
        "migrations/1704067200003-email.js",
        "INSERT INTO migrations (timestamp, name) VALUES (1704067200009, 'later1704067200009')",
        "timestamp = 1704067200003",
    ),
    "mikro-orm": (
        "migrations/Migration20240101000003_email.js",
        "INSERT INTO mikro_orm_migrations (name) VALUES ('Migration20240101000009_later')",
        "name = 'Migration20240101000003_email'",
    ),
    "node-pg-migrate": (
        "migrations/1704067200003_email.js",
        "INSERT INTO pgmigrations (name, run_on) VALUES ('1704067200009_later', now())",
        "name = '1704067200003_email'",
    ),
    "db-migrate": (
        "migrations/20240101000003-email.js",
        "INSERT INTO migrations (name, run_on) VALUES ('/20240101000009-later', now())",
        "name = '/20240101000003-email'",
    ),
    "graphile-migrate": (
        "migrations/committed/000003-email.sql",
        "INSERT INTO graphile_migrate.migrations (hash, filename) VALUES ('x', '000009.sql')",
        "filename = '000003.sql'",
    ),
    "postgrator": (
        "migrations/003.do.email.sql",
        "INSERT INTO schemaversion (version, name) VALUES (9, 'later')",
        "version = 3",
    ),
    "at-databases": (
        "migrations/3-email.sql",
        "INSERT INTO atdatabases_migrations_applied (index, name, script, applied_at, obsolete)"
        " VALUES (9, '9-later.sql', '', now(), false)",
        "index = 3",
    ),
    "ley": (
        "migrations/03-email.js",
        "INSERT INTO migrations (name, created_at) VALUES ('09-later.js', now())",
        "name = '03-email.js'",
    ),
    "drizzle": (
        "drizzle/0002_email.sql",
        "INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES ('x', 1904067200000)",
        "created_at = 1704067202000",
    ),
    "prisma": (
        "prisma/migrations/20240101000003_email/migration.sql",
        "INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at)"
        " VALUES ('x', 'x', '20240101000009_later', now())",
        "migration_name = '20240101000003_email'",
    ),
    "sqitch": (
        "deploy/email.sql",
        "INSERT INTO sqitch.changes (change_id, script_hash, change, project, committer_name,"
        " committer_email, planned_at, planner_name, planner_email)"
        " SELECT 'x', 'x', 'later', project, 'A', 'a@example.com', now(), 'A', 'a@example.com'"
        " FROM sqitch.projects",
        "change = 'email'",
    ),
    "sql-migrate": (
        "migrations/20240101000003_email.sql",
        "INSERT INTO gorp_migrations VALUES ('20240101000009_later.sql', now())",
        "id = '20240101000003_email.sql'",
    ),
}
# They refuse a migration that was edited after it was applied, or whose row has no file.
STRICT = ("at-databases", "postgrator")
# A list of its own says which migrations there are, not the folder.
BY_LIST = ("sqitch", "drizzle")


def matrix(*quick):
    """The tools that have a version table; without SOAK those named."""
    chosen = [one for one in tools.CASES if one.native and (SOAK or one.name in quick)]
    return pytest.mark.parametrize("tool", [pytest.param(one, id=one.name) for one in chosen])


@pytest.fixture
def project(tool, lockstep, postgres):
    why = tool.missing("postgres")
    if why:
        pytest.skip(why)
    one = tools.Project(tool, lockstep, postgres)
    installed(one)
    lockstep.run("migrate")
    one.starts()
    yield one
    one.close()


def tells(project):
    """lockstep knows from files and table what is pending."""
    return project.tool.listed or project.tool.name == "at-databases"


def file_of_name(project):
    """Whose name is the newest migration's."""
    newest = project.runner.dir / NEWEST[project.tool.name][0]
    return newest.parent if project.tool.name == "prisma" else newest


@contextlib.contextmanager
def edited(path, text=None):
    """Another content, and afterwards the old one with its old time."""
    before, was = path.stat(), path.read_bytes()
    path.write_bytes(was + b"\n" if text is None else text)
    yield
    path.write_bytes(was)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@contextlib.contextmanager
def touched(path):
    before = path.stat()
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    yield
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@contextlib.contextmanager
def renamed(path, to):
    to.parent.mkdir(exist_ok=True)
    path.rename(to)
    yield
    to.rename(path)


@contextlib.contextmanager
def environment(project, **values):
    before = dict(project.runner.env)
    project.runner.env.update(values)
    yield
    project.runner.env.clear()
    project.runner.env.update(before)


def asked(project, *words, expect=(0, 1)):
    """The tool was started once more, and where all was well the next run starts nothing."""
    result = project.runner.run("migrate", *words, expect=None)
    assert result.exit in expect, result
    assert project.starts(), f"nothing was started: {result}"
    if result.exit == 0:
        idle(project, *words)
    return result


def idle(project, *words):
    result = project.runner.run("run", *words, "--", "echo", "served")
    assert result.out == "served\n", result
    assert not project.starts(), f"something was started: {result}"
    return result


# -- what is installed ------------------------------------------------------------------------------


def is_node(project):
    return bool(project.tool.modules)


def is_ruby(project):
    return project.tool.name in ("rails", "sequel")


def gems(project):
    return project.runner.home / "gems/specifications"


def installed(project):
    """What an installer would leave beside what the fixture has."""
    if is_node(project):
        lock = {"name": "app", "lockfileVersion": 3, "packages": {}}
        project.runner.write("node_modules/.package-lock.json", json.dumps(lock))
    elif is_ruby(project):
        gems(project).mkdir(parents=True)
        project.runner.env["GEM_HOME"] = str(gems(project).parent)


def another_package(project):
    """One more package, by what its installer changes; None: the tool has no packages."""
    run = project.runner
    if is_node(project):
        lock = run.dir / "node_modules/.package-lock.json"
        return edited(lock, lock.read_bytes().replace(b"{}", b'{"node_modules/x": {}}'))
    if is_ruby(project):
        return created(
            gems(project) / "extra-1.0.gemspec",
            'Gem::Specification.new do |s|\n  s.name = "extra"\n  s.version = "1.0"\n'
            '  s.summary = "x"\n  s.authors = ["x"]\nend\n',
        )
    if project.tool.python:
        site = next((run.home / ".local/lib").glob("python3.*/site-packages"))
        return created(site / "extra-1.0.dist-info/METADATA", "Name: extra\n")
    return None


@contextlib.contextmanager
def created(path, text):
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="ascii")
    yield
    path.unlink()
    if path.parent.name.endswith(".dist-info"):
        path.parent.rmdir()


def program(project):
    """The interpreter or program that is started, where the test may change it."""
    name = "node" if is_node(project) else "ruby" if is_ruby(project) else project.tool.command[0]
    path = project.runner.bin / name
    return path if path.exists() else None


# -- one ingredient after the other -----------------------------------------------------------------


@matrix("django", "knex")
def test_files(project):
    tool = project.tool
    newest = project.runner.dir / NEWEST[tool.name][0]
    idle(project)

    assert "nothing would be done" in project.runner.run("plan").out or not tells(project)
    with touched(newest):
        if tells(project):
            assert "would be started once" in project.runner.run("plan").out
        asked(project, expect=(0,))
    idle(project)

    comment = {".py": b"# more\n", ".rb": b"# more\n", ".js": b"// more\n", ".sql": b"-- more\n"}
    with edited(newest, newest.read_bytes() + comment[newest.suffix]):
        asked(project, expect=(1,) if tool.name in STRICT else (0,))
    idle(project)

    # Under another name it is a migration that is missing and another that is pending, but for the
    # tools whose files' names do not tell.
    named = file_of_name(project)
    with renamed(named, named.with_name(named.name.replace("email", "mail"))):
        asked(project)
    if tool.name != "prisma":  # its failure stands in its table now
        idle(project)


@matrix("alembic", "typeorm")
def test_older_files(project):
    """An image of before the newest migration: left alone where the files tell, else asked."""
    gone = file_of_name(project)
    with renamed(gone, project.runner.home / gone.name):
        if tells(project) and project.tool.name not in BY_LIST:
            idle(project)
            assert project.runner.status()["state"] == "ahead"
        else:
            asked(project)
    idle(project)


@matrix("django", "rails", "knex")
def test_packages_and_program(project):
    more = another_package(project)
    if more:
        with more:
            asked(project, expect=(0,))
        idle(project)
    path = program(project)
    if path:
        with touched(path):
            asked(project, expect=(0,))
        idle(project)
    assert more or path


@matrix("alembic", "knex")
def test_command(project):
    words = project.tool.own or project.tool.command
    if words[0] == "npm":
        words = (*words, "--silent")
    elif project.tool.name != "sequel":  # its own command tells its URL to everybody
        words = ("env", *words)
    if project.tool.name != "sequel":
        with environment(project, LOCKSTEP_COMMAND=" ".join(words)):
            asked(project, expect=(0,))
        idle(project)
    if is_node(project):
        manifest = project.runner.dir / "package.json"
        found = json.loads(manifest.read_text(encoding="ascii"))
        mine = " ".join(project.tool.command)
        before = found.get("scripts", {}).get("migrate", mine)
        found["scripts"] = {"migrate": f"{before} "}
        with edited(manifest, json.dumps(found).encode()):
            asked(project, expect=(0,))
        idle(project)


@matrix("alembic")
def test_database(project, fresh):
    here, there = project.db, fresh("postgres")
    project.db = there
    with environment(project, **project.tool.environment(there)):
        asked(project, expect=(0,))
        assert project.contents()[1] == ["first"]
    project.db = here
    idle(project)


@matrix("django", "knex", "typeorm")
def test_version_table(project):
    tool, db = project.tool, project.db
    _, more, newest = NEWEST[tool.name]
    idle(project)
    kept = keep(project)
    db.script(more)
    if tells(project):
        idle(project)
        assert project.runner.status()["state"] == "ahead"
    else:
        asked(project)
    kept()
    idle(project)
    db.script(
        f"DELETE FROM {tool.table_sql} WHERE {newest}"
        if newest
        else f"UPDATE {tool.table_sql} SET version_num = 'a2'"
    )
    failed = asked(project, expect=(1,))
    assert "email" in failed.err, failed


def keep(project):
    """A function that makes the version table what it is now."""
    table, db = project.tool.table_sql, project.db
    db.script(f"CREATE SCHEMA kept; CREATE TABLE kept.rows AS TABLE {table}")

    def back():
        db.script(
            f"DELETE FROM {table} t WHERE NOT EXISTS (SELECT FROM kept.rows k WHERE k = t::text::"
            f"kept.rows); INSERT INTO {table} SELECT * FROM kept.rows EXCEPT SELECT * FROM {table}"
        )

    return back


def test_without_a_table(lockstep, postgres):
    """A script of one's own, whose table nobody knows: only it can tell, so it is always asked."""
    project = tools.Project(tools.case("npm"), lockstep, postgres)
    why = project.tool.missing("postgres")
    if why:
        pytest.skip(why)
    for _ in range(2):
        lockstep.run("migrate")
        assert project.starts()
