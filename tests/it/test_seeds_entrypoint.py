# SPDX-License-Identifier: Apache-2.0
"""Two designs for entrypoints that migrate, end to end, with the real frameworks (docs/seeds.md)."""

import os
import urllib.error
import urllib.request

import pytest
from support import net, tools

SERVE = ("sh", "-c", "echo served by ${ROLE:-web}")


@pytest.fixture
def framework(request, lockstep, postgres):
    """framework(name): the fixture project of Django or Flask-Migrate on a fresh PostgreSQL."""
    made = []

    def make(name):
        tool = tools.case(name)
        why = tool.missing("postgres")
        if why:
            pytest.skip(why)
        made.append(tools.Project(tool, lockstep, postgres))
        return made[-1]

    yield make
    for project in made:
        project.close()


@pytest.fixture
def django(framework):
    return framework("django")


@pytest.fixture
def flask(framework):
    return framework("flask-migrate")


def content(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


# -- Django migrations in Docker --------------------------------------------------------------------


@pytest.mark.parametrize(
    "value, migrates",
    [("True", True), ("0", False)],
)
def test_django_apply_migrations(django, value, migrates):
    """Any spelling of yes; `= "true"` in a script takes True and 1 for no."""
    result = django.runner.run("run", "--", *SERVE, env={"DJANGO_APPLY_MIGRATIONS": value})
    assert result.out.endswith("served by web\n")
    assert (django.db.tables() != []) == migrates, result
    assert django.starts() == (["python3"] if migrates else [])


def test_django_a_misspelled_switch_is_named(django):
    result = django.runner.run(
        "run", "--", *SERVE, env={"DJANGO_APPLY_MIGRATIONS": "ture"}, expect=2
    )
    assert "DJANGO_APPLY_MIGRATIONS" in result.err and "ture" in result.err
    assert "served" not in result.out and django.db.tables() == []


def test_django_containers_at_once(django):
    """Of three containers one migrates, on a slow data migration too."""
    django.own()
    django.starts()
    django.add("slow")
    results = django.runner.together(3, "run", "--", *SERVE)
    assert [result.exit for result in results] == [0, 0, 0], results
    assert django.hits() == 1 and django.starts() == ["python3"]
    # And a restart starts no Python but the service's own.
    django.runner.run("run", "--", *SERVE)
    assert django.starts() == []


def test_django_makes_no_migrations(django):
    """A model without its migration: nothing is written into the container, and `check` says so."""
    django.runner.run("migrate")
    models = django.runner.dir / "blog/models.py"
    models.write_text(
        models.read_text() + "\n\nclass Later(models.Model):\n    n = models.IntegerField()\n"
    )
    before = content(django.runner.dir)
    django.runner.run("run", "--", *SERVE)
    assert content(django.runner.dir) == before
    assert "blog_later" not in [table.split(".")[-1] for table in django.db.tables()]
    result = django.runner.run("check", expect=None)
    assert "blog" in result.out and result.exit in (0, 6), result
    assert "model" in result.out, result


def test_django_script_of_the_design_is_found(django):
    django.runner.write(
        "entrypoint.sh",
        "#!/bin/bash\nset -e\npython manage.py makemigrations accounts\n"
        'python manage.py migrate --noinput\nexec "$@"\n',
    )
    result = django.runner.run("check", expect=6)
    assert "entrypoint.sh:3: error: `makemigrations`" in result.out
    assert "entrypoint.sh:4: warning: `manage.py migrate`" in result.out


def test_django_development_and_production(django):
    """One image: migrates by itself where somebody develops, and is told to elsewhere."""
    django.runner.write(
        "lockstep.yaml",
        "environments:\n  development:\n    migrate: true\n  production:\n    migrate: false\n",
    )
    production, development = {"DJANGO_ENV": "production"}, {"DJANGO_ENV": "development"}
    assert django.runner.run("run", "--", *SERVE, env=production).out == "served by web\n"
    assert django.db.tables() == []
    # What production does instead: a step of its own, before the containers.
    django.runner.run("wait", "--for", "schema", "--wait", "1s", env=production, expect=3)
    django.runner.run("migrate", "--migrate", "true", env=production)
    django.runner.run("wait", "--for", "schema", "--wait", "1s", env=production)
    assert django.runner.run("run", "--", *SERVE, env=development).out == "served by web\n"
    assert django.contents()[1] == ["first"]


def test_django_two_roles(django):
    """A stronger role migrates; the service can use its tables and make none, and never sees the URL."""
    strong, url = django.runner.env["DATABASE_URL"], weaker(django.db)
    service = (
        "import os, psycopg2\n"
        "assert 'LOCKSTEP_DATABASE_URL' not in os.environ\n"
        "c = psycopg2.connect(os.environ['DATABASE_URL']); c.autocommit = True; q = c.cursor()\n"
        "q.execute('SELECT title FROM posts'); print(q.fetchall())\n"
        "try:\n    q.execute('CREATE TABLE mine (n int)')\n"
        "except psycopg2.errors.InsufficientPrivilege:\n    print('may make no table')\n"
    )
    result = django.runner.run(
        "run",
        "--",
        "/usr/bin/python3",
        "-c",
        service,
        env={"DATABASE_URL": url, "LOCKSTEP_DATABASE_URL": strong},
    )
    assert result.out.endswith("[('first',)]\nmay make no table\n"), result


def weaker(db):
    """The URL of a role that may use what the owner will make, and make nothing."""
    name = f"service_{os.getpid()}"
    owner, _, rest = db.url.partition("://")[2].partition("@")
    db.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'service-pw'")
    db.execute(
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner.partition(':')[0]} "
        f"GRANT SELECT, INSERT ON TABLES TO {name}"
    )
    return f"postgres://{name}:service-pw@{rest}"


def test_django_traffic_waits_for_the_migrations(django):
    """The probe is answered while Django migrates: alive, and not ready."""
    django.own()
    django.add("slow")
    port = net.free_port()
    running = django.runner.start("run", "--health", f"127.0.0.1:{port}", "--", *SERVE)
    answers = {}

    def asked():
        assert running.alive(), running.finish(expect=None)
        for path in ("live", "ready"):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5) as answer:
                    answers[path] = answer.status
            except urllib.error.HTTPError as refused:
                answers[path] = refused.code
            except OSError:
                return False
        return True

    net.until(asked, timeout=30, every=0.01, what="an answer")
    assert answers == {"live": 200, "ready": 503}
    assert running.finish().out.endswith("served by web\n")


# -- the AUTO_MIGRATE entrypoint --------------------------------------------------------------------

AUTO = {"AUTO_MIGRATE": "true"}
STRICT = {**AUTO, "AUTO_MIGRATE_FAIL_ON_ERROR": "true"}


def test_auto_migrate_web_and_worker(flask):
    """Both start at once, from one image: migrated once, and the log tells it to `grep Migration`."""
    both = [
        flask.runner.start("run", "--", *SERVE, env={**AUTO, "ROLE": role})
        for role in ("web", "worker")
    ]
    results = [one.finish() for one in both]
    assert sorted(result.out.splitlines()[-1] for result in results) == [
        "served by web",
        "served by worker",
    ]
    assert flask.contents()[1] == ["first"] and flask.starts() == ["python3"]
    story = [line for result in results for line in result.err.splitlines() if "Migration" in line]
    assert any("Migration started" in line for line in story), story
    assert sum("Migration finished" in line for line in story) == 2, story
    # The database is named, and nothing by which anybody could log in to it.
    assert flask.db.name in "".join(story)


def test_auto_migrate_failure(flask):
    """Goes on, as that convention's users expect, unless it is strict; and says what failed."""
    flask.own()
    flask.add("broken")
    result = flask.runner.run("run", "--", *SERVE, env=AUTO)
    assert result.out.endswith("served by web\n") and "Migration failed" in result.err
    result = flask.runner.run("run", "--", *SERVE, env=STRICT, expect=1)
    assert "served" not in result.out and "no_such_table" in result.err + result.out
    # A step of its own always tells by its exit code.
    flask.runner.run("migrate", env=AUTO, expect=1)
    # Mended: the next start goes on.
    flask.take("broken")
    flask.add("new")
    assert flask.runner.run("run", "--", *SERVE, env=STRICT).out.endswith("served by web\n")
    assert "age" in flask.db.columns("users")


def test_auto_migrate_without_a_database(flask):
    """The design's own example: connection refused. Strict stops with 4, lenient starts all the same."""
    lost = {"DATABASE_URL": "postgres://app@127.0.0.1:1/app", "LOCKSTEP_WAIT": "0"}
    assert flask.runner.run("run", "--", *SERVE, env={**AUTO, **lost}).out == "served by web\n"
    assert flask.runner.run("run", "--", *SERVE, env={**STRICT, **lost}, expect=4).out == ""


def test_auto_migrate_off_and_by_hand(flask):
    off = {"AUTO_MIGRATE": "false"}
    assert flask.runner.run("run", "--", *SERVE, env=off).out == "served by web\n"
    assert flask.db.tables() == [] and flask.starts() == []
    # A look first, in the very container that serves: nothing is changed by it.
    assert flask.runner.run("status", "--json", env=off).json()["state"] == "empty"
    assert flask.db.tables() == []
    # By hand: the entrypoint is not passed by `exec`, so the command says what it wants.
    flask.runner.run("migrate", "--migrate", "true", env=off)
    assert flask.runner.run("status", "--json", env=off).json()["state"] == "current"


def test_auto_migrate_pods(flask):
    """Where a Job migrates, pods gate on the schema; none of them migrates."""
    gates = [flask.runner.start("wait", "--for", "schema", "--wait", "60s") for _ in range(3)]
    flask.runner.run("migrate")
    assert [gate.finish().exit for gate in gates] == [0, 0, 0]
    assert flask.starts().count("python3") >= 1 and flask.contents()[1] == ["first"]


def test_auto_migrate_first_deployment_makes_no_files(flask):
    """A project without a migrations folder: nothing to migrate, said; nothing is generated."""
    for path in sorted((flask.runner.dir / "migrations").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (flask.runner.dir / "migrations").rmdir()
    before = content(flask.runner.dir)
    result = flask.runner.run("run", "--", *SERVE, env=AUTO)
    assert result.out.endswith("served by web\n")
    assert "Migration skipped" in result.err or "Migration failed" in result.err, result
    assert content(flask.runner.dir) == before


def test_auto_migrate_older_image(flask):
    """Putting the old image back: Alembic would fail on a revision that it does not know."""
    flask.runner.run("migrate")
    flask.add("new")
    flask.runner.run("migrate")
    flask.take("new")
    assert flask.own(expect=None)[0] != 0
    result = flask.runner.run("run", "--", *SERVE, env=STRICT)
    assert result.out.endswith("served by web\n") and "age" in flask.db.columns("users")
