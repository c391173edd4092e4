# SPDX-License-Identifier: Apache-2.0
"""What half-done work of other tools looks like: explained with its repair, and repaired."""

import pytest
from support import tools


@pytest.fixture
def project(name, lockstep, postgres):
    tool = tools.case(name)
    why = tool.missing("postgres")
    if why:
        pytest.skip(why)
    one = tools.Project(tool, lockstep, postgres)
    yield one
    one.close()


def named(*names):
    return pytest.mark.parametrize("name", names)


def told(project, *parts):
    """`status` says it, as text and as JSON."""
    text = project.runner.run("status")
    for part in parts:
        assert part in text.out, text
    assert "resumes" not in text.out, text
    state = project.runner.status()
    assert state["state"] == "failed" and parts[0] in state["failed"]["message"], state
    assert project.runner.run("status", "--check", "--json", expect=1).json() == state
    return text


@named("alembic", "flask-migrate")
def test_several_heads(project, name):
    folder = "alembic/versions" if name == "alembic" else "migrations/versions"
    program = "alembic" if name == "alembic" else "flask db"
    for head in ("b4", "c4"):
        project.runner.write(f"{folder}/{head}_.py", tools.alembic_revision(head, "a3", head))
    for fresh in (True, False):
        text = told(project, "2 heads (b4, c4)", f"`{program} merge heads`")
        assert f"--command '{program} upgrade heads'" in text.out, text
        refused = project.runner.run("migrate", expect=2)
        assert "2 heads (b4, c4)" in refused.err, refused
        assert f"`{program} merge heads`" in refused.err, refused
        checked = project.runner.run("check", expect=6)
        assert "2 heads (b4, c4)" in checked.out, checked
        project.starts()
        repaired = project.runner.run("repair", "--yes")
        assert "2 heads" in repaired.out, repaired
        assert not project.starts(), "nothing of it needs the tool"
        if fresh:
            project.runner.run("migrate", "--command", f"{program} upgrade a3")
            project.starts()
    done = project.runner.run("migrate", "--command", f"{program} upgrade heads")
    assert project.db.exists("b4") and project.db.exists("c4"), done
    assert project.runner.run("migrate").exit == 0


@named("knex")
def test_a_lock_that_nobody_holds(project):
    project.own()
    project.add("new")
    project.starts()
    for sql in (
        "UPDATE knex_migrations_lock SET is_locked = 1",
        "INSERT INTO knex_migrations_lock (is_locked) VALUES (1)",
    ):
        project.db.execute(sql)
        told(project, "knex_migrations_lock", "`lockstep repair` does that")
        refused = project.runner.run("migrate", expect=1)
        assert "knex_migrations_lock" in refused.err, refused
        assert "`lockstep repair` does that" in refused.err, refused
        asked = project.runner.run("repair", expect=6)
        assert "knex_migrations_lock" in asked.out, asked
        assert not project.starts()
        project.runner.run("repair", "--yes")
        assert project.db.rows("SELECT is_locked FROM knex_migrations_lock") == [(0,)]
    project.runner.run("migrate")
    assert "age" in project.contents()[0]["users"]


@named("prisma")
def test_a_migration_that_prisma_began(project):
    """P3009. The tables are made without its program, which takes ten seconds a start."""
    project.runner.run("migrate", "--tool", "sql")
    project.add("new")
    project.db.execute(
        "INSERT INTO _prisma_migrations (id, checksum, migration_name)"
        " VALUES ('x', 'y', '20240101000004_age')"
    )
    told(project, "P3009", "mark it as rolled back", "`lockstep repair` does that")
    refused = project.runner.run("migrate", expect=1)
    assert "P3009" in refused.err and "20240101000004_age" in refused.err, refused
    assert not project.starts()
    project.runner.run("repair", "--yes")
    state = project.runner.status()
    assert state["state"] == "pending" and len(state["pending"]) == 1, state


@named("sequelize")
def test_a_failed_run_of_a_tool_without_transactions(project):
    """Nothing of it is resumed: the tool begins the migration anew."""
    project.add("broken")
    project.runner.run("migrate", expect=1)
    text = project.runner.run("status")
    assert "may be there still: Sequelize runs it again from its start" in text.out, text
    assert "resumes" not in text.out, text


@named("knex")
def test_a_failed_run_of_a_tool_with_transactions(project):
    project.add("broken")
    project.runner.run("migrate", expect=1)
    text = project.runner.run("status")
    assert "Knex undid the migration that failed" in text.out, text
    assert "resumes" not in text.out, text


CONCURRENTLY = """from alembic import op
revision, down_revision, branch_labels, depends_on = "a4", "a3", None, None
def upgrade():
    with op.get_context().autocommit_block():
        op.execute("CREATE UNIQUE INDEX CONCURRENTLY users_email ON users (email)")
"""


@named("alembic")
def test_an_invalid_index(project):
    """What a transaction does not undo is told where the migration fails, and repaired."""
    project.own()
    project.db.execute("INSERT INTO users (name, email) VALUES ('a', 'x'), ('b', 'x')")
    project.runner.write("alembic/versions/a4_index.py", CONCURRENTLY)
    failed = project.runner.run("migrate", expect=1)
    assert "'users_email' of 'users' is invalid" in failed.err, failed
    assert "`lockstep repair` does that" in failed.err, failed
    text = project.runner.run("status").out
    assert "is invalid" in text and "undid the migration" not in text, text
    project.runner.run("repair", "--yes")
    project.db.execute("DELETE FROM users")
    project.runner.run("migrate")
    assert project.runner.status()["state"] == "current"


@pytest.mark.parametrize("engine", ["sqlite", "postgres", "mysql"])
def test_golang_dirty(sql, engine):
    app = sql("golang-migrate", engine)
    app.migrations({f"{n}_m.up.sql": f"CREATE TABLE t{n} (id INTEGER);\n" for n in (1, 2)})
    app.run("migrate")
    app.migrations({"3_m.up.sql": "CREATE TABLE t3 (id INTEGER);\n"})
    app.db.execute("UPDATE schema_migrations SET version = 3, dirty = true")
    text = app.run("status")
    assert "golang-migrate ran it" in text.out and "`lockstep repair`" in text.out, text
    assert "resumes" not in text.out, text
    refused = app.run("migrate", expect=6)
    assert "left version 3 dirty" in refused.err and "lockstep repair" in refused.err, refused
    app.run("repair", "--yes")
    app.run("migrate")
    assert app.db.exists("t3")
    assert app.status()["state"] == "current"
