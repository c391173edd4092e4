# SPDX-License-Identifier: Apache-2.0
"""lockstep as the entrypoint of an image with a real framework in it: when it migrates, as whom,
what the service gets, and what an image may lack."""

import json
import os
import pathlib
import shutil
import signal
import sys

import pytest
from support import net, secrets, tools
from support.binary import BINARY, Lockstep
from support.engine import Link
from support.servers import APP_PASSWORD

SERVED = ("--", "echo", "served")
WEAK_PASSWORD = secrets.register("weak-r0le-pass")


def project_of(name, runner, db):
    case = tools.case(name)
    why = case.missing(db.engine)
    if why:
        pytest.skip(why)
    return tools.Project(case, runner, db)


@pytest.fixture
def django(lockstep, sqlite):
    return project_of("django", lockstep, sqlite)


@pytest.fixture
def django_on_postgres(lockstep, postgres):
    return project_of("django", lockstep, postgres)


def migrated(project):
    return project.db.exists("posts")


# -- whether it migrates ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "env, expected",
    [
        ({"AUTO_MIGRATE": "false"}, False),
        ({"AUTO_MIGRATE": "true"}, True),
        ({"DJANGO_APPLY_MIGRATIONS": "off"}, False),
        ({"DJANGO_APPLY_MIGRATIONS": "1"}, True),
        ({"DJANGO_APPLY_MIGRATIONS": ""}, True),
    ],
    ids=["auto-off", "auto-on", "django-off", "django-on", "django-empty"],
)
def test_switched(django, env, expected):
    result = django.runner.run("run", *SERVED, env=env)
    assert result.out == "served\n", result
    assert migrated(django) == expected, result
    assert bool(django.starts()) == expected
    assert ("Migration finished" if expected else "Migration skipped") in result.err


@pytest.mark.parametrize(
    "env, code",
    [
        ({"AUTO_MIGRATE": "true"}, 0),
        ({"AUTO_MIGRATE": "true", "AUTO_MIGRATE_FAIL_ON_ERROR": "true"}, 1),
        ({"AUTO_MIGRATE_FAIL_ON_ERROR": "false"}, 0),
        ({"DJANGO_APPLY_MIGRATIONS": "true"}, 1),
    ],
    ids=["auto", "auto-fail-on-error", "no-fail-on-error", "django"],
)
def test_on_failure(lockstep, postgres, env, code):
    """AUTO_MIGRATE is the convention of images that go on after a failure unless told otherwise."""
    project = project_of("flask-migrate", lockstep, postgres)
    project.add("broken")
    result = lockstep.run("run", *SERVED, env=env, expect=code)
    assert result.out == ("" if code else "served\n"), result
    assert "Migration failed" in result.err, result


def test_development_and_production(django):
    """Migrating at the start in development; in production the release does it, and only it."""
    django.runner.write(
        "lockstep.yaml",
        "environments:\n  development:\n    migrate: true\n    on_failure: continue\n"
        "  production:\n    migrate: false\n",
    )
    production = {"DJANGO_ENV": "production"}
    first = django.runner.run("run", *SERVED, env=production)
    assert first.out == "served\n" and "Migration skipped" in first.err, first
    assert not django.starts()
    django.runner.run("migrate", env=production)
    assert migrated(django)
    django.add("broken")
    development = {"DJANGO_ENV": "development"}
    going_on = django.runner.run("run", *SERVED, env=development)
    assert going_on.out == "served\n" and "Migration failed" in going_on.err, going_on
    django.runner.run("migrate", env=development, expect=1)


def test_only(django):
    manage = ("python3", "manage.py")
    only = ("--only", "*runserver*", "--only", "gunicorn")
    task = django.runner.run("run", *only, "--", *manage, "check")
    assert "Migration skipped" in task.err and "no issues" in task.out, task
    assert not migrated(django)
    # The service itself: it ends at once, as there is no such option.
    service = django.runner.run(
        "run", *only, "--", *manage, "runserver", "--no-such-option", expect=2
    )
    assert "Migration finished" in service.err, service
    assert migrated(django)


# -- one migration, whatever stands around ----------------------------------------------------------

ENTRYPOINT = """\
#!/bin/sh
set -e
if [ "$1" = echo ] || [ "$1" = lockstep ]; then
    for file in docker-entrypoint.d/*; do
        case "$file" in
            *.envsh) . "./$file" ;;
            *.sh) [ ! -x "$file" ] || "./$file" ;;
        esac
    done
fi
exec "$@"
"""


@pytest.mark.parametrize(
    "words",
    [
        ("./docker-entrypoint.sh", "lockstep", "run", *SERVED),
        ("lockstep", "run", "--", "./docker-entrypoint.sh", "echo", "served"),
        ("lockstep", "run", "--", "./docker-entrypoint.sh", "lockstep", "run", *SERVED),
    ],
    ids=["argument", "around", "both"],
)
def test_docker_entrypoint_d(django, words):
    """A script that runs what stands in docker-entrypoint.d, then becomes its arguments."""
    run = django.runner
    run.write("docker-entrypoint.sh", ENTRYPOINT, mode=0o755)
    run.write("docker-entrypoint.d/10-note.sh", "#!/bin/sh\necho from the folder\n", mode=0o755)
    run.write("docker-entrypoint.d/20-env.envsh", "export GREETING=hello\n")
    run.write("docker-entrypoint.d/30-off.sh", "#!/bin/sh\necho not this one\n")
    binary = words[0] if words[0].startswith("./") else BINARY
    result = run.run(*words[1:], binary=binary)
    assert result.out == "from the folder\nserved\n", result
    assert migrated(django)
    assert django.starts() == ["python3"], result


def test_run_inside_run(django):
    result = django.runner.run("run", "--", "lockstep", "run", "--", "lockstep", "run", *SERVED)
    assert result.out == "served\n" and result.err.count("Migration started") == 1, result
    assert django.starts() == ["python3"]
    # Through a shell the inner one is a program like any other: nothing is pending for it.
    inner = django.runner.run("run", "--", "sh", "-c", "exec lockstep run -- echo served")
    assert inner.out == "served\n" and not django.starts(), inner


def test_release_command(django):
    """Where the platform says that this is the release's machine, the command itself migrates."""
    env = {"RELEASE_COMMAND": "1"}
    other = django.runner.run("run", *SERVED, env=env)
    assert other.out == "served\n" and "Migration skipped" in other.err, other
    assert not django.starts()
    release = django.runner.run("run", "--", "lockstep", "migrate", env=env)
    assert release.err.count("Migration started") == 1, release
    assert django.starts() == ["python3"]
    by_hand = django.runner.run("run", "--", "python3", "manage.py", "migrate", env=env)
    assert "No migrations to apply" in by_hand.out, by_hand
    assert django.starts() == ["python3"]


# -- probes -----------------------------------------------------------------------------------------


GATE = """\
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("blog", "0003_email")]
    operations = [migrations.RunSQL("SELECT pg_advisory_lock(42)")]
"""


def test_probes_while_django_migrates(django_on_postgres):
    """Alive, and not ready, for as long as the migration takes; then the port is the service's."""
    project, port = django_on_postgres, net.free_port()
    project.runner.write("blog/migrations/0004_gate.py", GATE)
    serve = ("/usr/bin/python3", "-m", "http.server", port, "--bind", "127.0.0.1")
    health = ("--health", f"127.0.0.1:{port}", "--lock-timeout", "0")
    with project.db.server.admin(project.db.name) as holder:
        holder.execute("SELECT pg_advisory_lock(42)")
        running = project.runner.start("run", *health, "--", *serve)
        net.until(
            lambda: project.db.rows(
                "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = %s",
                project.db.name,
            ),
            what="the migration to wait",
        )
        for _ in range(3):
            assert net.ask(port, "/healthz")[0] == 200
            code, body = net.ask(port, "/readyz")
            said = json.loads(body)
            assert code == 503 and said["status"] == "migrating", said
            assert said["total"] > 10 and said["current"].startswith("Django: "), said
        holder.execute("SELECT pg_advisory_unlock(42)")
    net.until(lambda: b"manage.py" in net.ask(port, "/")[1], what="the service's own answer")
    running.signal(signal.SIGTERM)
    running.finish(expect=128 + signal.SIGTERM)
    assert project.versions() > 10


def test_a_command_that_is_not_there(lockstep, sqlite):
    """Found before anything is run or recorded."""
    lockstep.env["DATABASE_URL"] = sqlite.url
    result = lockstep.run("migrate", "--command", "no-such-program up", expect=2)
    assert "'no-such-program' is not there" in result.err and not sqlite.path.exists(), result


def test_a_tool_that_asks_on_the_terminal(lockstep, sqlite):
    """Nobody is there to answer a migration: it finds no terminal, and the service finds it."""
    lockstep.env["DATABASE_URL"] = sqlite.url
    lockstep.write("asks", "#!/bin/sh\nread answer </dev/tty\n", mode=0o755)
    spawn = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
    terminal = (sys.executable, "-c", spawn)
    failed = lockstep.run("migrate", "--command", "./asks", prefix=terminal, expect=1)
    assert "cannot open /dev/tty" in failed.out, failed
    service = ("sh", "-c", "echo served >/dev/tty")
    served = lockstep.run("run", "--command", "true", "--", *service, prefix=terminal)
    assert "served" in served.out, served


def test_a_script_that_makes_migrations(lockstep):
    """It is not run, not even by way of another one, and that is said where it was found."""
    lockstep.write(
        "package.json",
        json.dumps(
            {"scripts": {"migrate": "npm run m:dev", "m:dev": "echo ran; npx prisma migrate dev"}}
        ),
    )
    result = lockstep.run("run", *SERVED)
    assert result.out == "served\n", result
    assert result.err.count("\n") == 1 and "the script 'migrate' of package.json" in result.err
    assert "the script 'migrate'" in lockstep.run("status").out
    assert "the script 'migrate'" in lockstep.run("detect").out


# -- which database -------------------------------------------------------------------------------


def test_database_of_another_kind(lockstep):
    """Where nothing migrates, the service's own database is nobody's business."""
    lockstep.env["DATABASE_URL"] = "mongodb://u@h/d"
    result = lockstep.run("run", *SERVED)
    assert result.out == "served\n" and "Migration skipped" in result.err, result
    lockstep.run("status", "--check")
    lockstep.write("migrations/1_a.sql", "CREATE TABLE a (id integer);\n")
    refused = lockstep.run("run", *SERVED, expect=2)
    assert "DATABASE_URL: unknown scheme 'mongodb'" in refused.err, refused


def test_server_whose_kind_only_the_framework_knows(django_on_postgres):
    project, db = django_on_postgres, django_on_postgres.db
    run = project.runner
    run.env.pop("DATABASE_URL")
    settings = (run.dir / "site_/settings.py").read_text(encoding="utf-8")
    run.write("site_/settings.py", PARTS + settings[settings.index("SECRET_KEY") :])
    run.env.update(DB_HOST="127.0.0.1", DB_PORT=str(db.server.port), DB_NAME=db.name)
    # Not all that it needs: it says so itself.
    found = run.run("detect", "--json", expect=2)
    assert "Django said: KeyError: 'DB_USER'" in found.err, found
    run.env.update(DB_USER="app", DB_PASSWORD=APP_PASSWORD)
    assert run.run("detect", "--json").json()["database_from"].startswith("DB_HOST, DB_PORT")
    assert run.run("run", *SERVED).out == "served\n" and migrated(project)


def test_database_that_nothing_names(django):
    django.runner.env.pop("DATABASE_URL")
    found = django.runner.run("detect", "--json").json()
    assert found["tool"] == "django" and found["database"] is found["database_from"] is None
    refused = django.runner.run("run", *SERVED, expect=2)
    assert "Django said: KeyError: 'DATABASE_URL'" in refused.err, refused


def test_database_that_only_alembic_knows(lockstep, sqlite):
    """Its env.py is asked as for `upgrade --sql`: nothing is connected to, nothing is made."""
    project = project_of("alembic", lockstep, sqlite)
    env_py = lockstep.dir / "alembic/env.py"
    env_py.write_text(env_py.read_text(encoding="utf-8").replace("DATABASE_URL", "MINE"))
    lockstep.env["MINE"] = lockstep.env.pop("DATABASE_URL")
    found = lockstep.run("detect", "--json").json()
    assert found["database_from"] == "Alembic itself" and not sqlite.path.exists(), found
    assert lockstep.run("run", *SERVED).out == "served\n" and migrated(project)
    del lockstep.env["MINE"]
    refused = lockstep.run("migrate", expect=2)
    assert "Alembic said: KeyError: 'MINE'" in refused.err, refused


def test_database_of_prisma_without_its_program(lockstep, postgres):
    """Its schema says which variable, and which one is direct."""
    project = project_of("prisma", lockstep, postgres)
    project.without_programs()
    url = lockstep.env.pop("DATABASE_URL")
    lockstep.write(
        "prisma/schema.prisma",
        'datasource db {\n  url = env("MINE")\n  directUrl = env("STRAIGHT")\n}\n',
    )
    for env, variable in (
        ({"MINE": url}, "MINE"),
        ({"DATABASE_URL": url}, ""),
        ({"MINE": "postgres://pool@h/d", "DATABASE_URL": "x://", "STRAIGHT": url}, "STRAIGHT"),
    ):
        found = lockstep.run("detect", "--json", env=env).json()
        wanted = f"{variable} (prisma/schema.prisma)" if variable else "DATABASE_URL"
        assert (found["tool"], found["database_from"]) == ("sql", wanted), found
    native = {"MINE": url, "LOCKSTEP_TOOL": "sql"}
    assert lockstep.run("run", *SERVED, env=native).out == "served\n" and migrated(project)


# -- what an image may lack -------------------------------------------------------------------------


def test_no_shell(django):
    """Nothing in PATH but the interpreter and the service."""
    only = django.runner.dir.parent / "only"
    only.mkdir()
    (only / "python3").symlink_to("/usr/bin/python3")
    (only / "service").symlink_to(shutil.which("echo"))
    result = django.runner.run("run", "--", "service", "served", env={"PATH": str(only)})
    assert result.out == "served\n" and migrated(django), result


READ_ONLY = 'mount -o remount,ro,bind / && cd "$PWD" && exec setpriv "$@"'
NOBODY = ("--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs")


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become somebody else")
def test_nobody_on_a_read_only_file_system(root, sampler, postgres):
    folder = root / "nobody"
    runner = Lockstep(folder, sampler)
    project = project_of("django", runner, postgres)
    binary = shutil.copy(BINARY, folder / "lockstep")
    result = runner.run(
        "run",
        "--",
        "sh",
        "-c",
        "id -u; touch here 2>/dev/null || echo read-only",
        prefix=("unshare", "--mount", "sh", "-c", READ_ONLY, "sh", *NOBODY),
        binary=binary,
        env={"HOME": "/nonexistent", "TMPDIR": "/nonexistent"},
    )
    assert result.out == "65534\nread-only\n", result
    assert "Migration finished" in result.err and migrated(project), result
    again = runner.run(
        "run",
        *SERVED,
        prefix=("setpriv", *NOBODY),
        binary=binary,
        env={"HOME": "/nonexistent", "TMPDIR": "/nonexistent"},
    )
    assert "Migration skipped" in again.err and again.out == "served\n", again
    assert not list(pathlib.Path(runner.dir).rglob("__pycache__"))


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become somebody else")
def test_nobody_may_not_look(root, sampler):
    """Where it cannot be told whether there is something to migrate, that is no empty image."""
    folder = root / "closed"
    runner = Lockstep(folder, sampler)
    binary = shutil.copy(BINARY, folder / "lockstep")
    runner.write("prisma/schema.prisma", "")
    (runner.dir / "prisma").chmod(0o700)
    for words in (("detect", "--json"), ("migrate",), ("run", *SERVED)):
        result = runner.run(*words, prefix=("setpriv", *NOBODY), binary=binary, expect=2)
        assert "cannot look at 'prisma/" in result.err and not result.out, result
    (runner.dir / "prisma").chmod(0o755)
    (runner.dir / "prisma/schema.prisma").unlink()
    (runner.dir / "root").mkdir(mode=0o700)
    left = runner.run("run", *SERVED, prefix=("setpriv", *NOBODY), binary=binary)
    assert left.out == "served\n" and "Migration skipped" in left.err, left


BUSYBOX = pathlib.Path("/usr/bin/busybox")
SQL = {"/app/migrations/1_users.sql": "CREATE TABLE users (id integer PRIMARY KEY);\n"}
HARDENED = ("--read-only", "--network", "none", "--user", "65532", "--cap-drop", "ALL")


@pytest.mark.static
def test_container_of_two_files(engine):
    """No shell, no user, no writable file but the database's, no network: the service is process 1."""
    files = {"/lockstep": BINARY, "/busybox": BUSYBOX, **SQL}
    engine.image_from_files(
        "two-files",
        files,
        'ENTRYPOINT ["/lockstep", "run", "--"]',
        'CMD ["/busybox", "sh", "-c", "echo $$"]',
        "WORKDIR /app",
        "ENV DATABASE_URL=sqlite:////data/app.db",
    )
    done = engine.docker("run", "--rm", *HARDENED, "--tmpfs", "/data:mode=1777", "two-files")
    assert done.stdout == "1\n" and "Migration finished: 1 applied" in done.stderr, done
    # The release's job is the same image with another command.
    job = engine.docker(
        "run", "--rm", *HARDENED, "--tmpfs", "/data:mode=1777", "two-files", "/lockstep", "migrate"
    )
    assert not job.stdout and job.stderr.count("Migration applied") == 1, job


@pytest.mark.static
def test_container_with_docker_entrypoint_d(engine):
    """Its own entrypoint stays; lockstep is what it becomes, and then the service."""
    files = {
        "/docker-entrypoint.sh": (ENTRYPOINT, 0o755),
        "/app/docker-entrypoint.d/10-note.sh": ("#!/bin/sh\necho from the folder\n", 0o755),
        "/bin/lockstep": BINARY,
        "/bin/busybox": BUSYBOX,
        "/bin/sh": Link("busybox"),
        "/bin/echo": Link("busybox"),
        **SQL,
    }
    engine.image_from_files(
        "with-folder",
        files,
        'ENTRYPOINT ["/docker-entrypoint.sh"]',
        'CMD ["lockstep", "run", "--", "echo", "served"]',
        "WORKDIR /app",
        "ENV PATH=/bin",
        "ENV DATABASE_URL=sqlite:////data/app.db",
    )
    done = engine.docker("run", "--rm", *HARDENED, "--tmpfs", "/data:mode=1777", "with-folder")
    assert done.stdout == "from the folder\nserved\n", done
    assert done.stderr.count("Migration applied") == 1, done


# -- a stronger role for migrating ------------------------------------------------------------------

SERVICE = """\
import os, psycopg2
url = os.environ.get("DATABASE_URL")
where = {"dsn": url} if url else {
    "host": os.environ["DB_HOST"], "port": os.environ["DB_PORT"], "dbname": os.environ["DB_NAME"],
    "user": os.environ["DB_USER"], "password": os.environ["DB_PASSWORD"]}
cursor = psycopg2.connect(**where).cursor()
cursor.execute("SELECT current_user, title FROM posts")
print(*cursor.fetchone(), os.environ.get("LOCKSTEP_DATABASE_URL", "gone"))
try:
    cursor.execute("ALTER TABLE posts ADD COLUMN mine integer")
except psycopg2.errors.InsufficientPrivilege:
    print("may not change the schema")
"""
PARTS = """\
import os
DATABASES = {"default": {
    "ENGINE": "django.db.backends.postgresql", "NAME": os.environ["DB_NAME"],
    "USER": os.environ["DB_USER"], "PASSWORD": os.environ["DB_PASSWORD"],
    "HOST": os.environ["DB_HOST"], "PORT": os.environ["DB_PORT"],
}}
"""


@pytest.fixture
def weak(postgres):
    """A role that may read and write rows of what `app` makes, and no more."""
    role = f"weak_{postgres.name}"
    with postgres.server.admin(postgres.name) as cursor:
        cursor.execute(f"CREATE ROLE {role} LOGIN PASSWORD %s", (WEAK_PASSWORD,))
        cursor.execute(
            "ALTER DEFAULT PRIVILEGES FOR ROLE app GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES"
            f" TO {role}"
        )
    yield role
    with postgres.server.admin(postgres.name) as cursor:
        cursor.execute(f"DROP OWNED BY {role}")
        cursor.execute(f"DROP ROLE {role}")


@pytest.mark.parametrize("how", ["url", "parts", "secret-file"])
def test_weaker_role(django_on_postgres, weak, how, tmp_path):
    """The service connects as a role that could not have migrated, however it is told of it."""
    project, db = django_on_postgres, django_on_postgres.db
    run = project.runner
    strong = run.env.pop("DATABASE_URL")
    run.write("service.py", SERVICE)
    if how == "url":
        run.env["DATABASE_URL"] = db.server.url(db.name, weak, WEAK_PASSWORD)
    else:
        settings = (run.dir / "site_/settings.py").read_text(encoding="utf-8")
        run.write("site_/settings.py", PARTS + settings[settings.index("SECRET_KEY") :])
        run.env.update(DB_HOST="127.0.0.1", DB_PORT=str(db.server.port), DB_NAME=db.name)
        run.env.update(DB_USER=weak, DB_PASSWORD=WEAK_PASSWORD)
    if how == "secret-file":
        secret = tmp_path / "strong"
        secret.write_text(strong + "\n", encoding="ascii")
        run.env["LOCKSTEP_DATABASE_URL_FILE"] = str(secret)
    else:
        run.env["LOCKSTEP_DATABASE_URL"] = strong
    for expected in (["python3"], []):
        result = run.run("run", "--", "env", "/usr/bin/python3", "-I", "service.py")
        lines = result.out.splitlines()
        assert lines == [f"{weak} first gone", "may not change the schema"], result
        assert project.starts() == expected, result
    owners = db.rows("SELECT DISTINCT tableowner::text FROM pg_tables WHERE schemaname = 'public'")
    assert owners == [("app",)]


def test_weaker_role_is_not_enough(django_on_postgres, weak):
    """Without the stronger one it fails where it should, and says who may not."""
    project, db = django_on_postgres, django_on_postgres.db
    project.runner.env["DATABASE_URL"] = db.server.url(db.name, weak, WEAK_PASSWORD)
    result = project.runner.run("run", *SERVED, expect=1)
    assert result.out == "" and "permission denied" in result.err, result
    assert not migrated(project)


def test_service_that_may_only_look(django_on_postgres, weak):
    """A release migrated; the service's role may not. Nothing is pending, so it starts, even where
    its image is not quite the one that migrated."""
    project, db = django_on_postgres, django_on_postgres.db
    project.runner.run("migrate")
    with db.as_app() as connection, connection.cursor() as cursor:
        cursor.execute(f"REVOKE INSERT, UPDATE ON lockstep_runs FROM {weak}")
    project.runner.write("site_/more.py", "MORE = True\n")
    project.runner.env["DATABASE_URL"] = db.server.url(db.name, weak, WEAK_PASSWORD)
    project.starts()
    result = project.runner.run("run", *SERVED)
    assert result.out == "served\n" and "Migration skipped" in result.err, result
    assert not project.starts()
