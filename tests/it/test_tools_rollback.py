# SPDX-License-Identifier: Apache-2.0
"""`rollback` around real tools: the newest steps, and down to a version that stays."""

import dataclasses

import pytest
from support import tools
from support.binary import SOAK

EMAIL = "person@example.com"


@dataclasses.dataclass(frozen=True)
class Undo:
    """How a tool's migration that makes the table tN is written: {path: text}, with N, the number
    before it, and as version what `status` shows. `chosen`: also without LOCKSTEP_SOAK=1."""

    version: str
    files: dict
    chosen: bool = True


ALEMBIC = tools.alembic_revision("a{n}", "a{m}", "t{n}")
ASYNC = """exports.up = async ({arg}) => {{{{ await {call}('CREATE TABLE t{{n}} (id integer)'); }}}};
exports.down = async ({arg}) => {{{{ await {call}('DROP TABLE t{{n}}'); }}}};
"""
CASES = {
    "django": Undo(
        "blog.000{n}_t{n}",
        {
            "blog/migrations/000{n}_t{n}.py": """from django.db import migrations
class Migration(migrations.Migration):
    dependencies = [("blog", "000{m}_{before}")]
    operations = [migrations.RunSQL("CREATE TABLE t{n} (id integer)", "DROP TABLE t{n}")]
"""
        },
    ),
    "alembic": Undo("a{n}", {"alembic/versions/a{n}_t.py": ALEMBIC}),
    "flask-migrate": Undo("a{n}", {"migrations/versions/a{n}_t.py": ALEMBIC}, chosen=False),
    "yoyo": Undo(
        "000{n}_t{n}",
        {
            "migrations/000{n}_t{n}.py": """from yoyo import step
__depends__ = {{"000{m}_{before}"}}
steps = [step("CREATE TABLE t{n} (id integer)", "DROP TABLE t{n}")]
"""
        },
    ),
    "rails": Undo(
        "2024010100000{n}",
        {
            "db/migrate/2024010100000{n}_make_t{n}.rb": """class MakeT{n} < ActiveRecord::Migration[6.1]
  def up
    execute "CREATE TABLE t{n} (id integer)"
  end
  def down
    execute "DROP TABLE t{n}"
  end
end
"""
        },
        chosen=False,
    ),
    "sequel": Undo(
        "2024010100000{n}",
        {
            "db/migrations/2024010100000{n}_t{n}.rb": """Sequel.migration do
  up {{ run "CREATE TABLE t{n} (id integer)" }}
  down {{ run "DROP TABLE t{n}" }}
end
"""
        },
    ),
    "knex": Undo(
        "2024010100000{n}",
        {"migrations/2024010100000{n}_t{n}.js": ASYNC.format(arg="knex", call="knex.raw")},
    ),
    "sequelize": Undo(
        "2024010100000{n}-t{n}",
        {
            "migrations/2024010100000{n}-t{n}.js": """module.exports = {{
  up: (q) => q.sequelize.query('CREATE TABLE t{n} (id integer)'),
  down: (q) => q.sequelize.query('DROP TABLE t{n}'),
}};
"""
        },
        chosen=False,
    ),
    "node-pg-migrate": Undo(
        "170406720000{n}",
        {
            "migrations/170406720000{n}_t{n}.js": """exports.up = (p) => {{ p.sql('CREATE TABLE t{n} (id integer)'); }};
exports.down = (p) => {{ p.sql('DROP TABLE t{n}'); }};
"""
        },
        chosen=False,
    ),
    "db-migrate": Undo(
        "2024010100000{n}-t{n}",
        {
            "migrations/2024010100000{n}-t{n}.js": ASYNC.format(arg="db", call="db.runSql")
            + "exports._meta = {{ version: 1 }};\n"
        },
        chosen=False,
    ),
    "ley": Undo(
        "0{n}-t{n}",
        {"migrations/0{n}-t{n}.js": ASYNC.format(arg="c", call="c.query")},
        chosen=False,
    ),
    "postgrator": Undo(
        "{n}",
        {
            "migrations/00{n}.do.t{n}.sql": "CREATE TABLE t{n} (id integer);\n",
            "migrations/00{n}.undo.t{n}.sql": "DROP TABLE t{n};\n",
        },
        chosen=False,
    ),
    "sqitch": Undo(
        "t{n}",
        {
            "deploy/t{n}.sql": "BEGIN; CREATE TABLE t{n} (id integer); COMMIT;\n",
            "revert/t{n}.sql": "BEGIN; DROP TABLE t{n}; COMMIT;\n",
        },
        chosen=False,
    ),
    "sql-migrate": Undo(
        "2024010100000{n}_t{n}",
        {
            "migrations/2024010100000{n}_t{n}.sql": """-- +migrate Up
CREATE TABLE t{n} (id integer);
-- +migrate Down
DROP TABLE t{n};
"""
        },
    ),
}
# Only the tool itself knows their order.
UNORDERED = {
    "typeorm": Undo(
        "",
        {
            "migrations/170406720000{n}-t.js": """module.exports = class T{n}170406720000{n} {{
  up(r) {{ return r.query('CREATE TABLE t{n} (id integer)'); }}
  down(r) {{ return r.query('DROP TABLE t{n}'); }}
}};
"""
        },
    ),
    "mikro-orm": Undo(
        "",
        {
            "migrations/Migration2024010100000{n}_t.js": """const {{ Migration }} = require('@mikro-orm/migrations');
exports.Migration2024010100000{n}_t = class extends Migration {{
  async up() {{ this.addSql('CREATE TABLE t{n} (id integer)'); }}
  async down() {{ this.addSql('DROP TABLE t{n}'); }}
}};
"""
        },
        chosen=False,
    ),
}
# No command of theirs rolls back, or it is somebody's script.
CANNOT = ("prisma", "drizzle", "graphile-migrate", "at-databases", "umzug", "npm")


def projects(names):
    return pytest.mark.parametrize("name", names)


@pytest.fixture
def project(name, lockstep, postgres):
    tool = tools.case(name)
    why = tool.missing("postgres")
    if why:
        pytest.skip(why)
    one = tools.Project(tool, lockstep, postgres)
    yield one
    one.close()


def add(project, undo):
    """Three migrations more: t4, t5, t6."""
    before = "email"
    for n in (4, 5, 6):
        values = {"n": n, "m": n - 1, "before": before}
        for path, text in undo.files.items():
            project.runner.write(path.format(**values), text.format(**values))
        if project.tool.name == "sqitch":
            plan = project.runner.dir / "sqitch.plan"
            line = f"t{n} [{before}] 2024-01-01T00:00:0{n}Z A Person <{EMAIL}> # t{n}\n"
            plan.write_text(plan.read_text(encoding="utf-8") + line, encoding="utf-8")
        before = f"t{n}"


def made(project):
    return [n for n in (4, 5, 6) if project.db.exists(f"t{n}")]


def chosen(cases):
    return [name for name, undo in cases.items() if undo.chosen or SOAK]


@projects(chosen(CASES))
def test_steps_and_versions(project, name):
    run, undo = project.runner.run, CASES[name]
    add(project, undo)
    run("migrate")
    assert made(project) == [4, 5, 6]

    wrong = run("rollback", "--to", "app.9999" if name == "django" else "9999", expect=2)
    assert "is not applied" in wrong.err, wrong
    newest = undo.version.format(n=6)
    nothing = run("rollback", "--to", newest)
    assert made(project) == [4, 5, 6], nothing

    one = run("rollback")
    assert made(project) == [4, 5], one
    assert f"Migration rolled back: {newest}" in one.err, one
    state = project.runner.status()
    assert [item["version"].startswith(newest) for item in state["pending"]] == [True], state
    run("migrate")

    two = run("rollback", "--to", undo.version.format(n=4))
    assert made(project) == [4], two
    assert two.err.count("Migration rolled back: ") == 2, two
    run("migrate")

    three = run("rollback", "--steps", "3")
    assert made(project) == [], three
    assert project.contents()[1] == ["first"], "what came before stays"
    assert project.db.outcomes() == ["succeeded"] * 6


@projects(chosen(UNORDERED))
def test_steps_of_tools_that_alone_know_the_order(project, name):
    add(project, UNORDERED[name])
    project.runner.run("migrate")
    project.starts()
    refused = project.runner.run("rollback", "--to", "5", expect=2)
    assert "--steps N" in refused.err and not project.starts(), refused
    done = project.runner.run("rollback", "--steps", "2")
    assert made(project) == [4], done


@projects(CANNOT)
def test_tools_that_cannot(project):
    for words in ((), ("--to", "1"), ("--steps", "2")):
        refused = project.runner.run("rollback", *words, expect=2)
        assert "lockstep does not know how" in refused.err, refused
        assert "rolls back" in refused.err and refused.out == "", refused
    assert not project.starts()


@projects(["django"])
def test_django_goes_back_in_one_app(project):
    add(project, CASES["django"])
    run = project.runner.run
    run("migrate")
    refused = run("rollback", "--to", "0004_t4", expect=2)
    assert "names no app" in refused.err and "--to blog.zero" in refused.err, refused
    done = run("rollback", "--to", "blog.0005")
    assert made(project) == [4, 5], done


@projects(["alembic"])
def test_all_of_it(project):
    """0 undoes everything; the image that knows less than the database is the wrong one."""
    run = project.runner.run
    add(project, CASES["alembic"])
    run("migrate")
    path = project.runner.dir / "alembic/versions/a6_t.py"
    text = path.read_text(encoding="utf-8")
    path.unlink()
    refused = run("rollback", expect=6)
    assert "Roll back with the image that has it" in refused.err, refused
    path.write_text(text, encoding="utf-8")
    run("rollback", "--to", "a3")
    assert made(project) == []
    again = run("rollback", "--to", "0", "--log", "json")
    assert again.log()[-1]["event"], again
    assert project.versions() == 0
