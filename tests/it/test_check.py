# SPDX-License-Identifier: Apache-2.0
"""`check`, and --preflight: what would go wrong at deploy is told before it does."""

import json
import subprocess

from support import tools

PLAIN = {"001_users.sql": "CREATE TABLE users (id integer PRIMARY KEY);\n"}


def findings(app, *more, expect=0):
    found = json.loads(app.run("check", "--json", *more, expect=expect).out)["findings"]
    for one in found:
        assert set(one) == {"rule", "severity", "file", "line", "message", "safer"}, one
        assert one["severity"] in ("error", "warning", "info"), one
    return found


def rules(found):
    return [one["rule"] for one in found]


def git(app, *words):
    subprocess.run(
        ["git", "-C", app.dir, *words], check=True, stdout=subprocess.DEVNULL, env=app.env
    )


def test_nothing_wrong(app):
    app.migrations(PLAIN)
    assert findings(app) == []
    assert "Nothing was found" in app.run("check").out
    assert app.status()["state"] == "empty", "check changes nothing"


def test_scripts(sqlite_app):
    app = sqlite_app
    app.migrations(PLAIN)
    (app.dir / "docker-entrypoint.sh").write_text(
        "#!/bin/sh\n# alembic upgrade head\npython manage.py makemigrations\n"
        "python manage.py migrate --noinput\nlockstep migrate # alembic upgrade head\n"
        "python manage.py makemigrations --check\nexec gunicorn app\n"
    )
    (app.dir / "Procfile").write_text("release: flask db upgrade\nweb: gunicorn app\n")
    (app.dir / "start.sh").write_text(
        "#!/bin/sh\nnpm run migrate:dev\nnpm run migrate\nbundle exec rails db:prepare\n"
    )
    found = {(one["file"], one["line"]): one["rule"] for one in findings(app, expect=6)}
    assert found == {
        ("docker-entrypoint.sh", 3): "generates-at-deploy",
        ("docker-entrypoint.sh", 4): "entrypoint-migrates",
        ("Procfile", 1): "migrates-by-hand",
        ("start.sh", 3): "migrates-by-hand",
        ("start.sh", 4): "migrates-by-hand",
    }
    text = app.run("check", expect=6).out
    assert "`flask db upgrade` runs without a lock: deploys at once migrate at once" in text
    assert "    Write `lockstep migrate` in its place.\n" in text
    assert "docker-entrypoint.sh:3: error: `makemigrations`" in text


def test_image(sqlite_app):
    app = sqlite_app
    app.migrations(PLAIN)
    ignore = app.dir / ".dockerignore"
    ignore.write_text("# big\n*.log\nmigrations/\n")
    (one,) = findings(app, expect=6)
    assert (one["rule"], one["file"], one["line"]) == ("not-in-image", ".dockerignore", 3)
    ignore.write_text("*\n!migrations\n")
    assert findings(app) == []
    ignore.write_text("**/migrations\n")
    assert rules(findings(app, expect=6)) == ["not-in-image"]


def test_commits(sqlite_app):
    app = sqlite_app
    app.migrations(PLAIN)
    git(app, "init", "-q")
    (one,) = findings(app)
    assert (one["rule"], one["file"]) == ("not-committed", "migrations/001_users.sql")
    git(app, "add", "migrations")
    git(app, "-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "-qm", "x")
    assert findings(app) == []


def test_role(postgres_app):
    app = postgres_app
    app.migrations(PLAIN)
    assert findings(app) == []
    strong = app.db.as_superuser() if hasattr(app.db, "as_superuser") else None
    if strong:
        (one,) = findings(app, "--url", strong)
        assert one["rule"] == "strong-role" and "superuser" in one["message"]


def test_edited(app):
    app.migrations(PLAIN)
    app.run("migrate")
    app.migrations({"001_users.sql": "CREATE TABLE users (id integer PRIMARY KEY, n integer);\n"})
    (one,) = findings(app, expect=6)
    assert one["rule"] == "plan-refused" and "001_users.sql" in one["message"]


def test_preflight(sqlite_app):
    app = sqlite_app
    app.migrations(PLAIN)
    script = app.dir / "start.sh"
    script.write_text("alembic revision --autogenerate\n")
    for words in (["migrate", "--preflight"], ["run", "--preflight", "--", "echo", "served"]):
        refused = app.run(*words, expect=6)
        assert "start.sh:1" in refused.err and "served" not in refused.out, refused
        assert app.status()["state"] == "empty"
    script.write_text("alembic upgrade head\n")
    told = app.run("migrate", "--preflight")
    assert "migrates-by-hand" in told.err and "Migration applied" in told.err
    assert app.status()["state"] == "current"


def test_django(lockstep, postgres):
    project = tools.Project(tools.case("django"), lockstep, postgres)
    runner = project.runner
    # The fixture's migrations are written by hand, and say less than the models.
    found = findings(runner)
    assert any("security.W" in one["message"] for one in found), found
    (drift,) = [one["message"] for one in found if one["rule"] == "model-drift"]
    assert "Migrations for 'blog': Alter field " in drift or "blog': Create " in drift, drift
    # A comparison that fails for another reason is no drift.
    lost = {"DATABASE_URL": "postgres://app@127.0.0.1:1/app", "LOCKSTEP_WAIT": "0"}
    apart = json.loads(runner.run("check", "--json", env=lost, expect=6).out)["findings"]
    assert all("RuntimeWarning" not in one["message"] for one in apart), apart
    subprocess.run(
        ["/usr/bin/python3", "manage.py", "makemigrations"],
        cwd=runner.dir,
        check=True,
        env=runner.env,
        stdout=subprocess.DEVNULL,
    )
    assert "model-drift" not in rules(findings(runner))
    found = findings(runner, "--fail-level", "WARNING", expect=6)
    assert "error" in [one["severity"] for one in found if one["rule"] == "framework"]
    # The level is a setting: a run that looks first has it too.
    refused = runner.run(
        "run", "--preflight", "--fail-level=WARNING", "--", "echo", "served", expect=6
    )
    assert "Django's own check failed" in refused.err and not refused.out, refused
    runner.env["LOCKSTEP_FAIL_LEVEL"] = "WARNIGN"
    refused = runner.run("migrate", "--preflight", expect=2)
    assert "Did you mean 'WARNING'?" in refused.err, refused
    del runner.env["LOCKSTEP_FAIL_LEVEL"]
    project.close()


def test_no_secret(lockstep, postgres):
    """What the framework prints on its way down may hold the URL."""
    project = tools.Project(tools.case("django"), lockstep, postgres)
    settings = project.runner.dir / "site_/settings.py"
    settings.write_text(settings.read_text() + "raise RuntimeError(os.environ['DATABASE_URL'])\n")
    found = findings(project.runner, expect=6)
    told = [one["message"] for one in found if one["rule"] == "framework"]
    assert told and "***" in told[0] and "RuntimeError" in told[0], found
    project.close()
