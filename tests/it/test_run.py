# SPDX-License-Identifier: Apache-2.0
"""`run`: migrate, then become the program, with nothing of lockstep left."""

import json
import os
import pathlib
import signal
import threading

import pytest
from support import formats, net, scenes

ROOT_ONLY = pytest.mark.skipif(os.getuid() != 0, reason="needs root for namespaces")


def plain(app, count=3):
    app.migrations(formats.plain(formats.users()[:count]))


def program_runs(running, name):
    """The process has become `name`."""
    comm = pathlib.Path(f"/proc/{running.pid}/comm")
    net.until(
        lambda: running.alive() and comm.read_text(encoding="ascii").strip() == name,
        what=f"becoming {name}",
    )


# -- becoming the program -------------------------------------------------------------------------


@pytest.mark.asan
def test_same_process(app):
    plain(app)
    running = app.start("run", "--", "sh", "-c", "echo $$; echo done >&2; exit 7")
    result = running.finish(expect=7)
    assert result.out == f"{running.pid}\n"
    assert result.applied() == 3
    assert result.err.rstrip().endswith("done")


def test_without_dashes(sqlite_app):
    plain(sqlite_app)
    result = sqlite_app.run("run", "echo", "--verbose", "-x", "--", "y")
    assert result.out == "--verbose -x -- y\n"
    assert result.applied() == 3


def test_arguments_are_untouched(sqlite_app):
    result = sqlite_app.run("run", "--", "printf", "%s|", "a b", "", "*", "--help", "$HOME")
    assert result.out == "a b||*|--help|$HOME|"


def test_environment(postgres_app):
    plain(postgres_app)
    url = postgres_app.db.url
    script = (
        "echo ${LOCKSTEP_DATABASE_URL-gone} ${LOCKSTEP_DATABASE_URL_FILE-gone}"
        " ${DATABASE_URL:-gone} ${OTHER-gone}"
    )
    result = postgres_app.run(
        "run",
        "--",
        "sh",
        "-c",
        script,
        env={
            "LOCKSTEP_DATABASE_URL": url,
            "DATABASE_URL": "postgres://weak@nowhere.example/x",
            "OTHER": "kept",
        },
    )
    assert result.out == "gone gone postgres://weak@nowhere.example/x kept\n"
    assert result.applied() == 3


def test_nothing_is_inherited(app):
    """Open files, blocked and ignored signals, process group, name: as without lockstep."""
    plain(app)
    look = [
        "sh",
        "-c",
        "ls /proc/self/fd | wc -l; grep -E 'Sig(Blk|Ign)' /proc/self/status;"
        " cut -d' ' -f5 /proc/$$/stat | grep -cx $$; umask; ulimit -a",
    ]
    with_lockstep = app.run("run", "--", *look).out
    without = app.run(*look[1:], binary=look[0]).out
    assert with_lockstep == without


def test_signal_after_exec(sqlite_app):
    plain(sqlite_app)
    running = sqlite_app.start("run", "--", "sleep", "60")
    program_runs(running, "sleep")
    running.signal(signal.SIGTERM)
    running.finish(expect=128 + signal.SIGTERM)


def test_no_child_is_left(sqlite_app):
    plain(sqlite_app)
    result = sqlite_app.run("run", "--", "sh", "-c", "ps -o pid= --ppid $$ | wc -l")
    assert int(result.out) <= 2  # ps and wc themselves


def test_program_missing(sqlite_app):
    plain(sqlite_app)
    result = sqlite_app.run("run", "--", "no-such-program-anywhere", expect=127)
    assert "no-such-program-anywhere" in result.err
    sqlite_app.run("run", "--", "./not/here", expect=127)


def test_program_cannot_be_executed(sqlite_app):
    plain(sqlite_app)
    sqlite_app.write("program", "#!/bin/sh\n", mode=0o644)
    assert "program" in sqlite_app.run("run", "--", "./program", expect=126).err
    sqlite_app.run("run", "--", "./migrations", expect=126)


def test_bad_interpreter(sqlite_app):
    plain(sqlite_app)
    sqlite_app.write("program", "#!/no/such/interpreter\n", mode=0o755)
    result = sqlite_app.run("run", "--", "./program", expect=None)
    assert result.exit in (126, 127), result


def test_nothing_to_migrate(sqlite_app):
    result = sqlite_app.run("run", "--", "echo", "served")
    assert result.out == "served\n"
    assert "Migration skipped" in result.err
    assert not sqlite_app.db.path.exists()


def test_failure_stops(app):
    app.migrations({"001_broken.sql": scenes.broken(app.db.engine)})
    result = app.run("run", "--", "echo", "served", expect=1)
    assert result.out == "" and "Migration failed" in result.err


# -- whether to migrate ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words, env",
    [
        (("--no-migrate",), {}),
        (("--migrate=false",), {}),
        ((), {"LOCKSTEP_MIGRATE": "off"}),
        ((), {"AUTO_MIGRATE": "false"}),
        ((), {"DJANGO_APPLY_MIGRATIONS": "0"}),
    ],
)
def test_not_migrating(sqlite_app, words, env):
    plain(sqlite_app)
    result = sqlite_app.run("run", *words, "--", "echo", "served", env=env)
    assert result.out == "served\n" and "Migration skipped" in result.err
    assert not sqlite_app.db.path.exists()


def test_strength_of_compatibility_variables(sqlite_app):
    plain(sqlite_app, 1)
    assert sqlite_app.run("run", "--", "true", env={"AUTO_MIGRATE": ""}).applied() == 1
    plain(sqlite_app, 2)
    result = sqlite_app.run(
        "run", "--", "true", env={"AUTO_MIGRATE": "false", "LOCKSTEP_MIGRATE": "true"}
    )
    assert result.applied() == 1
    plain(sqlite_app, 3)
    result = sqlite_app.run("run", "--migrate", "--", "true", env={"LOCKSTEP_MIGRATE": "false"})
    assert result.applied() == 1


@pytest.mark.parametrize(
    "program, migrates",
    [
        (("echo", "web"), True),
        (("sh", "-c", "true"), False),
        (("sleep", "0"), False),
        (("env", "echo"), True),
    ],
)
def test_only(sqlite_app, program, migrates):
    plain(sqlite_app)
    result = sqlite_app.run("run", "--only", "ech?", "--only", "gunicorn*", "--", *program)
    assert sqlite_app.db.path.exists() == migrates, result


def test_only_from_variable_and_file(sqlite_app):
    plain(sqlite_app)
    sqlite_app.run("run", "--", "true", env={"LOCKSTEP_ONLY": "gunicorn*,uwsgi"})
    assert not sqlite_app.db.path.exists()
    sqlite_app.write("lockstep.yaml", "only: ['gunicorn*', 'tru[e]']\n")
    sqlite_app.run("run", "--", "true")
    assert sqlite_app.db.path.exists()


def test_on_failure_continue(app):
    app.migrations({"001_broken.sql": scenes.broken(app.db.engine)})
    result = app.run(
        "run", "--on-failure", "continue", "--", "sh", "-c", "echo served; exit 9", expect=9
    )
    assert result.out == "served\n" and "Migration failed" in result.err


def test_on_failure_continue_covers_all_codes(postgres_app):
    plain(postgres_app)
    served = ("--on-failure", "continue", "--", "echo", "served")
    env = {"LOCKSTEP_WAIT": "300ms", "DATABASE_URL": f"postgres://u@127.0.0.1:{net.free_port()}/x"}
    assert postgres_app.run("run", *served, env=env).out == "served\n"  # 4
    postgres_app.migrations({"004_x.sql": "CREATE TALBE x ();\n"})
    assert postgres_app.run("run", *served).out == "served\n"  # 2
    postgres_app.remove("migrations/004_x.sql")
    postgres_app.run("migrate")
    postgres_app.write("migrations/001_create_person.sql", "CREATE TABLE person ();\n")
    assert postgres_app.run("run", *served).out == "served\n"  # 6


def test_auto_migrate_continues(sqlite_app):
    sqlite_app.migrations({"001_broken.sql": scenes.broken("sqlite")})
    run = ("run", "--", "echo", "served")
    assert sqlite_app.run(*run, env={"AUTO_MIGRATE": "true"}).out == "served\n"
    sqlite_app.run(
        *run, env={"AUTO_MIGRATE": "true", "AUTO_MIGRATE_FAIL_ON_ERROR": "true"}, expect=1
    )
    sqlite_app.run(*run, env={"AUTO_MIGRATE_FAIL_ON_ERROR": "true"}, expect=1)
    result = sqlite_app.run(*run, env={"AUTO_MIGRATE_FAIL_ON_ERROR": "false"})
    assert result.out == "served\n"
    sqlite_app.run("migrate", env={"AUTO_MIGRATE": "true"}, expect=1)
    sqlite_app.run("migrate", "--on-failure", "continue", expect=1)


# -- no second start by mistake -------------------------------------------------------------------


@pytest.mark.asan
def test_program_is_lockstep(app):
    plain(app)
    result = app.run("run", "--", "lockstep", "migrate")
    assert result.applied() == 3
    assert app.db.outcomes() == ["succeeded"]


def test_program_is_lockstep_with_its_own_url(postgres_app):
    plain(postgres_app)
    url = postgres_app.db.url
    result = postgres_app.run(
        "run",
        "--",
        "lockstep",
        "migrate",
        env={"LOCKSTEP_DATABASE_URL": url},
        without=["DATABASE_URL"],
    )
    assert result.applied() == 3


def test_release_command(app):
    plain(app)
    result = app.run("run", "--", "lockstep", "migrate", env={"RELEASE_COMMAND": "1"})
    assert result.applied() == 3
    result = app.run(
        "run", "--", "sh", "-c", "echo release; exit 3", env={"RELEASE_COMMAND": "1"}, expect=3
    )
    assert result.out == "release\n"


def test_run_inside_run(app):
    plain(app)
    result = app.run("run", "--", "sh", "-c", "lockstep run -- sh -c 'lockstep run -- echo deep'")
    assert result.out == "deep\n" and result.applied() == 3
    assert len([o for o in app.db.outcomes() if o == "succeeded"]) == 1


# -- signals while it migrates --------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_while_migrating(app, number):
    app.migrations(
        {
            "001_tally.sql": "CREATE TABLE tally (step INTEGER);\n",
            "002_slow.sql": "INSERT INTO tally VALUES (1);\n" + scenes.slow(app.db.engine, 20),
        }
    )
    running = app.start("run", "--", "echo", "served")
    # On SQLite the first file may share its commit with the second; its start is on the log alone.
    if app.db.engine == "sqlite":
        running.says("Migration started")
    else:
        net.until(lambda: app.db.exists("tally") and busy(app), what="the slow statement")
    running.signal(number)
    result = running.finish(timeout=15, expect=128 + number)
    assert result.out == ""
    if app.db.engine != "sqlite":
        net.until(lambda: not app.db.sessions(), timeout=15, what="the end of the sessions")
    if app.db.exists("tally"):
        assert app.db.rows("SELECT * FROM tally") == []
    assert app.db.outcomes() in (["failed"], ["lost"]), "the run is recorded"
    app.write("migrations/002_slow.sql", "INSERT INTO tally VALUES (1);\n")
    app.run("migrate", timeout=30)
    assert app.db.rows("SELECT * FROM tally") == [(1,)]


def busy(app):
    return any(
        "pg_sleep" in (row[-1] or "") or "SLEEP" in (row[-1] or "") for row in app.db.sessions()
    )


def test_signal_while_waiting_for_the_lock(app):
    app.migrations({"001_slow.sql": scenes.slow(app.db.engine, 5)})
    leader = app.start("migrate")
    net.until(lambda: app.db.exists("lockstep_runs"), what="a leader")
    follower = app.start("run", "--", "echo", "served")
    follower.says("waiting: another process migrates")
    follower.signal(signal.SIGTERM)
    assert follower.finish(timeout=5, expect=128 + signal.SIGTERM).out == ""
    leader.finish()


def test_signal_while_waiting_for_the_database(lockstep):
    plain(lockstep)
    lockstep.env["DATABASE_URL"] = f"postgres://u@127.0.0.1:{net.free_port()}/x"
    running = lockstep.start("run", "--", "echo", "served")
    running.says("waiting for the database")
    running.signal(signal.SIGTERM)
    assert running.finish(timeout=5, expect=128 + signal.SIGTERM).out == ""


# -- as the first process of a container ----------------------------------------------------------

PID1 = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")


@ROOT_ONLY
def test_as_pid_1(app):
    plain(app)
    result = app.run("run", "--", "sh", "-c", "echo $$; exit 5", prefix=PID1, expect=5)
    assert result.out == "1\n" and result.applied() == 3


@ROOT_ONLY
def test_as_pid_1_signal_while_migrating(postgres_app):
    postgres_app.migrations({"001_slow.sql": scenes.slow("postgres", 20)})
    running = postgres_app.start("run", "--", "echo", "served", prefix=PID1)
    net.until(lambda: busy(postgres_app), what="the slow statement")
    children = pathlib.Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text("ascii")
    os.kill(int(children.split()[0]), signal.SIGTERM)
    assert running.finish(timeout=15, expect=128 + signal.SIGTERM).out == ""


@ROOT_ONLY
def test_read_only_file_system_and_no_variables(postgres_app):
    plain(postgres_app)
    prefix = (
        "unshare",
        "--mount",
        "sh",
        "-c",
        'mount -o remount,ro,bind / && cd "$PWD" && exec "$@"',
        "sh",
    )
    result = postgres_app.run(
        "run", "--", "/bin/echo", "served", prefix=prefix, without=["HOME", "PATH", "TMPDIR"]
    )
    assert result.out == "served\n" and result.applied() == 3


# -- probes and notices ---------------------------------------------------------------------------


def test_health(app):
    plain(app, 1)
    app.migrations({"002_slow.sql": scenes.slow(app.db.engine, 4)})
    port = net.free_port()
    running = app.start(
        "run",
        "--health",
        f"127.0.0.1:{port}",
        "--",
        "/usr/bin/python3",
        "-m",
        "http.server",
        port,
        "--bind",
        "127.0.0.1",
    )
    assert net.until(lambda: net.ask(port, "/healthz")[0], what="the probe's answer") == 200
    code, body = net.ask(port, "/ready")
    assert code == 503, (code, body)
    json.loads(body)
    # The program binds the port at once: nothing of ours is on it any more.
    net.until(lambda: b"migrations" in net.ask(port, "/")[1], what="the program's own answer")
    running.signal(signal.SIGTERM)
    running.finish(expect=128 + signal.SIGTERM)


def test_notify(app, receiver):
    plain(app)
    app.run("migrate", "--notify", receiver.url("/hook?token=tok-1234567"))
    app.migrations({"004_broken.sql": scenes.broken(app.db.engine)})
    result = app.run(
        "migrate", expect=1, env={"LOCKSTEP_NOTIFY": receiver.url("/hook?token=tok-1234567")}
    )
    assert "tok-1234567" not in result.err
    messages = [
        json.loads(body)["message"]
        for path, kind, body in receiver.got
        if kind == "application/json"
    ]
    assert len(messages) == len(receiver.got)
    assert any(m.startswith("Migration finished") for m in messages), messages
    assert any(m.startswith("Migration failed") for m in messages), messages
    assert any(m.startswith("Migration started") for m in messages), messages


def test_notify_never_fails_a_migration(app):
    plain(app)
    result = app.run("migrate", "--notify", f"http://127.0.0.1:{net.free_port()}/x")
    assert result.applied() == 3


class Receiver:
    """A web hook that keeps what it was sent."""

    def __init__(self):
        import http.server

        got = self.got = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                got.append((self.path, self.headers.get("Content-Type"), body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, path):
        return f"http://127.0.0.1:{self.server.server_address[1]}{path}"


@pytest.fixture
def receiver():
    hook = Receiver()
    yield hook
    hook.server.shutdown()
    hook.server.server_close()
