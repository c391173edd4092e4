# SPDX-License-Identifier: Apache-2.0
"""Commands and settings as somebody meets them who has just installed the binary."""

import re
import shutil
import signal
import subprocess

import pytest
from support import formats, net, scenes

COMMANDS = [
    "run",
    "migrate",
    "status",
    "plan",
    "rollback",
    "wait",
    "history",
    "detect",
    "new",
    "baseline",
    "repair",
    "backup",
    "restore",
    "init",
    "help",
    "version",
    "completion",
]
RUN_COLUMNS = [
    "run_id",
    "tool",
    "fingerprint",
    "outcome",
    "started_at",
    "heartbeat_at",
    "finished_at",
    "host",
    "pid",
    "environment",
    "revision",
    "applied",
    "from_version",
    "to_version",
    "duration_ms",
    "error",
]


def plain(app, count=3):
    app.migrations(formats.plain(formats.users()[:count]))


# -- no configuration at all ----------------------------------------------------------------------


@pytest.mark.asan
def test_zero_config(lockstep):
    plain(lockstep)
    result = lockstep.run("migrate")
    assert (lockstep.dir / "lockstep.db").exists()
    assert "lockstep.db" in result.err
    assert result.applied() == 3
    for word in ("Migration started", "Migration applied", "Migration finished"):
        assert word in result.err, result
    assert result.out == "" or "Migration" not in result.out, "stdout is for results"
    again = lockstep.run("migrate")
    assert again.applied() == 0
    assert lockstep.status()["state"] == "current"


@pytest.mark.parametrize(
    "folder", ["db/migrations", "migrations", "database/migrations", "sql/migrations"]
)
def test_directory_is_found(lockstep, folder):
    lockstep.migrations(formats.plain(formats.users()), folder)
    lockstep.run("migrate")
    assert len(lockstep.status()["applied"]) == 3


def test_first_directory_wins(lockstep):
    lockstep.migrations(formats.plain(formats.users()[:1]), "db/migrations")
    lockstep.migrations(formats.plain(formats.users()), "migrations")
    lockstep.run("migrate")
    assert len(lockstep.status()["applied"]) == 1


def test_nothing_here(lockstep):
    assert lockstep.status()["state"] == "none"
    result = lockstep.run("migrate")
    assert "Migration skipped" in result.err
    lockstep.run("status", "--check")
    assert not list(lockstep.dir.iterdir())


# -- status ---------------------------------------------------------------------------------------


@pytest.mark.asan
def test_status_json_is_exact(app):
    plain(app)
    assert not app.db.tables()
    report = app.status()
    assert list(report) == [
        "lockstep",
        "database",
        "tool",
        "format",
        "state",
        "applied",
        "pending",
        "changed",
        "missing",
        "failed",
    ]
    assert report["state"] == "empty"
    assert report["tool"] == "sql" and report["format"] == "plain"
    assert report["applied"] == report["changed"] == report["missing"] == []
    assert report["failed"] is None
    assert report["pending"][0] == {
        "version": "001",
        "name": "create_person",
        "file": "migrations/001_create_person.sql",
    }
    assert report["lockstep"] in app.run("version").out.splitlines()[0]
    if app.db.engine != "sqlite":
        assert re.fullmatch(
            r"(postgresql|mysql)://app@127\.0\.0\.1(:\d+)?/" + app.db.name, report["database"]
        )
    assert not app.db.tables(), "looking created a table"

    app.run("migrate")
    report = app.status()
    assert report["state"] == "current" and report["pending"] == []
    assert [row["version"] for row in report["applied"]] == ["001", "002", "003"]
    for row in report["applied"]:
        assert list(row) == ["version", "name", "applied_at", "duration_ms"]
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", row["applied_at"]), row
        assert isinstance(row["duration_ms"], int) and row["duration_ms"] >= 0


def test_status_text(app):
    plain(app, 2)
    app.run("migrate")
    app.migrations(formats.plain(formats.users()))
    text = app.run("status").out
    for word in ("create_person", "seed_person", "add_email", "003"):
        assert word in text, text


def check(app, code):
    app.run("status", "--check", expect=code)


def test_check_codes(app):
    check(app, 0)  # none
    plain(app, 2)
    check(app, 3)  # empty
    app.run("migrate")
    check(app, 0)  # current
    plain(app)
    check(app, 3)  # pending
    assert app.status()["state"] == "pending"
    app.run("migrate")
    app.write("migrations/001_create_person.sql", "CREATE TABLE person (id INTEGER);\n")
    check(app, 6)  # changed
    assert [row["version"] for row in app.status()["changed"]] == ["001"]


def test_check_ahead_and_missing(app):
    plain(app)
    app.run("migrate")
    app.remove("migrations/003_add_email.sql")
    app.remove("migrations/003_add_email.down.sql")
    assert app.status()["state"] == "ahead"
    check(app, 0)
    app.run("migrate")
    app.run("migrate", "--ahead", "refuse", expect=6)
    assert "email" in app.db.columns("person")


def test_missing_below(app):
    plain(app)
    app.run("migrate")
    app.remove("migrations/002_seed_person.sql")
    app.remove("migrations/002_seed_person.down.sql")
    report = app.status()
    assert [row["version"] if isinstance(row, dict) else row for row in report["missing"]] == [
        "002"
    ]
    check(app, 6)
    assert "002" in app.run("migrate").err
    app.run("migrate", "--ahead", "refuse", expect=6)


def test_check_failed(app):
    plain(app, 1)
    app.migrations({"002_broken.sql": scenes.broken(app.db.engine)})
    app.run("migrate", expect=1)
    report = app.status()
    assert report["state"] == "failed"
    assert "002" in str(report["failed"])
    check(app, 1)


# -- plan -----------------------------------------------------------------------------------------


@pytest.mark.asan
@pytest.mark.parametrize("words", [("plan",), ("migrate", "--dry-run"), ("up", "--dry-run")])
def test_plan_changes_nothing(app, words):
    plain(app)
    result = app.run(*words)
    assert "CREATE TABLE person" in result.out
    assert "ALTER TABLE person ADD COLUMN email" in result.out
    assert not app.db.tables()
    if app.db.engine == "sqlite":
        assert not app.db.path.exists()


def test_plan_json(app):
    plain(app)
    app.run("migrate")
    app.migrations(
        {"004_more.sql": "CREATE TABLE more (id INTEGER);\nCREATE TABLE most (id INTEGER);\n"}
    )
    before = app.db.state(), app.db.contents(["lockstep_migrations", "lockstep_runs"])
    report = app.run("plan", "--json").json()
    text = str(report)
    assert "004" in text and "CREATE TABLE more" in text and "CREATE TABLE most" in text
    assert "CREATE TABLE person" not in text
    assert before == (app.db.state(), app.db.contents(["lockstep_migrations", "lockstep_runs"]))


def test_plan_with_nothing_pending(app):
    plain(app)
    app.run("migrate")
    app.run("plan")


def test_looking_leaves_nothing(app):
    plain(app)
    for words in (
        ("status",),
        ("status", "--check"),
        ("plan",),
        ("history",),
        ("detect",),
        ("wait", "--for", "schema", "--wait", "300ms"),
    ):
        app.run(*words, expect=None)
        assert not app.db.tables(), words
    if app.db.engine == "sqlite":
        assert not list(app.db.path.parent.iterdir())


# -- history --------------------------------------------------------------------------------------


def test_history(app):
    plain(app, 2)
    app.run("migrate", "--environment", "staging", env={"GIT_REV": "cafe1234"})
    app.migrations({"003_broken.sql": scenes.broken(app.db.engine)})
    app.run("migrate", expect=1)
    report = app.run("history", "--json").json()
    assert list(report) == ["runs"]
    newest, oldest = report["runs"]
    assert list(newest) == RUN_COLUMNS
    assert newest["outcome"] == "failed" and "no_such_table" in newest["error"]
    assert oldest["outcome"] == "succeeded" and oldest["applied"] == 2
    assert oldest["tool"] == "sql" and oldest["to_version"] == "002"
    assert oldest["environment"] == "staging" and oldest["revision"] == "cafe1234"
    assert isinstance(oldest["pid"], int) and oldest["host"]
    assert len(app.run("history", "--json", "--limit", "1").json()["runs"]) == 1
    assert "cafe1234" in app.run("history").out
    app.migrations({"003_broken.sql": "SELECT 1;"})
    image = "registry.example/shop@sha256:" + "0123456789abcdef" * 4
    app.run("migrate", env={"LOCKSTEP_REVISION": image})
    assert "sha256:0123456789ab\n" in app.run("history").out


def test_history_of_nothing(app):
    assert app.run("history", "--json").json() == {"runs": []}
    missing = app.run("history", "--run", "1", "--note", "a", expect=2)
    assert "no run '1' has ended" in missing.err or "no database yet" in missing.err, missing


def test_note(app):
    """What became of a run after its end; it is neither a failure nor something to do again."""
    plain(app, 2)
    app.run("migrate")
    run = app.run("history", "--json").json()["runs"][0]
    assert run["error"] is None
    for note in ("put back by hand", 'it\'s; "again"'):
        done = app.run("history", "--run", run["run_id"], "--note", note)
        assert f"noted with run {run['run_id']}: {note}" in done.err and not done.out, done
    noted = app.run("history", "--json").json()["runs"]
    assert noted == [run | {"error": 'put back by hand; it\'s; "again"'}]
    assert f"{run['started_at']}: put back by hand; it" in app.run("history").out
    assert app.status()["state"] == "current" and "nothing is pending" in app.run("migrate").err
    app.run("history", "--run", run["run_id"], "--note", "a\x1b[31mred")
    assert "a?[31mred" in app.run("history").out
    noted[0]["error"] += "; a\x1b[31mred"
    for words in (("--run", "x"), ("--note", "x"), ("--run", "", "--note", "x")):
        assert "belong together" in app.run("history", *words, expect=2).err
    missing = app.run("history", "--run", "x' or ''='", "--note", "x", expect=2)
    assert "no run 'x' or ''='' has ended here" in missing.err
    assert app.run("history", "--json").json()["runs"] == noted


def test_note_on_a_run_under_way(app):
    """Its end would write over the note, and `error` names its sessions until then."""
    plain(app, 1)
    app.run("migrate", fault="run.recorded:1:kill", expect=128 + signal.SIGKILL)
    run = app.run("history", "--json").json()["runs"][0]
    assert run["outcome"] == "running"
    refused = app.run("history", "--run", run["run_id"], "--note", "x", expect=2)
    assert f"no run '{run['run_id']}' has ended here" in refused.err


# -- detect ---------------------------------------------------------------------------------------


def test_detect(app):
    plain(app)
    report = app.run("detect", "--json").json()
    assert {"tool", "evidence", "command", "database", "database_from"} <= set(report)
    assert report["tool"] == "sql"
    assert "migrations" in str(report["evidence"])
    assert report["database_from"] == "DATABASE_URL"
    assert "plain" in app.run("detect").out


def test_detect_nothing(lockstep):
    report = lockstep.run("detect", "--json").json()
    assert report["tool"] == "none" and report["evidence"] == [] and report["command"] is None


@pytest.mark.parametrize(
    "names, winner",
    [
        (["DATABASE_URL", "DIRECT_URL"], "DIRECT_URL"),
        (["DATABASE_URL", "DATABASE_URL_UNPOOLED"], "DATABASE_URL_UNPOOLED"),
        (["POSTGRES_URL", "POSTGRES_URL_NON_POOLING"], "POSTGRES_URL_NON_POOLING"),
        (["POSTGRES_URL", "DATABASE_URL"], "DATABASE_URL"),
        (["LOCKSTEP_DATABASE_URL", "DIRECT_URL"], "LOCKSTEP_DATABASE_URL"),
        (["SQLALCHEMY_DATABASE_URI"], "SQLALCHEMY_DATABASE_URI"),
    ],
)
def test_detect_which_database(lockstep, names, winner):
    env = {name: f"postgresql+psycopg2://u:p@h.example/{name.lower()}" for name in names}
    report = lockstep.run("detect", "--json", env=env).json()
    assert report["database_from"] == winner
    assert report["database"] == f"postgresql://u@h.example/{winner.lower()}"


@pytest.mark.parametrize(
    "env, database",
    [
        ({"PGHOST": "h.example", "PGDATABASE": "d", "PGUSER": "u"}, "postgresql://u@h.example/d"),
        (
            {
                "POSTGRES_HOST": "h.example",
                "POSTGRES_DB": "d",
                "POSTGRES_USER": "u",
                "POSTGRES_PASSWORD": "x",
            },
            "postgresql://u@h.example/d",
        ),
        (
            {
                "DB_HOST": "h.example",
                "DB_DATABASE": "d",
                "DB_USERNAME": "u",
                "DB_PASSWORD": "x",
                "DB_CONNECTION": "mysql",
            },
            "mysql://u@h.example/d",
        ),
        (
            {
                "MYSQL_HOST": "h.example",
                "MYSQL_DATABASE": "d",
                "MYSQL_USER": "u",
                "MYSQL_PASSWORD": "x",
            },
            "mysql://u@h.example/d",
        ),
        (
            {"JDBC_DATABASE_URL": "jdbc:postgresql://h.example/d?user=u"},
            "postgresql://u@h.example/d",
        ),
    ],
)
def test_detect_discrete_sets(lockstep, env, database):
    assert lockstep.run("detect", "--json", env=env).json()["database"] == database


@pytest.mark.parametrize(
    "url", ["sqlite:rel.db", "sqlite:///rel.db", "sqlite3:rel.db", "file:rel.db"]
)
def test_relative_sqlite_urls(lockstep, url):
    plain(lockstep)
    lockstep.run("migrate", "--url", url)
    assert (lockstep.dir / "rel.db").exists()


# -- new, baseline, rollback, wait ----------------------------------------------------------------


def test_new(app):
    plain(app)
    app.run("migrate")
    result = app.run("new", "add phone")
    path = app.dir / result.out.split()[0]
    assert path.exists(), result
    assert re.fullmatch(r"20\d{12}_add_phone\.sql", path.name)
    with open(path, "a", encoding="utf-8") as file:
        file.write("\nALTER TABLE person ADD COLUMN phone VARCHAR(20);\n")
    app.run("migrate")
    assert "phone" in app.db.columns("person")


def test_new_makes_the_directory(lockstep):
    result = lockstep.run("new", "first")
    path = lockstep.dir / result.out.split()[0]
    assert path.exists() and path.parent.name == "migrations"


def test_baseline(app):
    plain(app)
    app.db.execute("CREATE TABLE person (id INTEGER PRIMARY KEY, name VARCHAR(100) NOT NULL)")
    if app.db.engine == "postgres":
        app.db.execute("ALTER TABLE person OWNER TO app")
    app.run("baseline", "002")
    assert app.db.contents(["person"]) == {"person": []}
    report = app.status()
    assert [row["version"] for row in report["applied"]] == ["001", "002"]
    assert report["state"] == "pending"
    assert app.run("migrate").applied() == 1
    assert "email" in app.db.columns("person")
    assert app.status()["changed"] == []


def test_baseline_of_no_version(app):
    plain(app)
    assert "999" in app.run("baseline", "999", expect=2).err
    assert not app.db.tables()


@pytest.mark.asan
def test_rollback(app):
    plain(app)
    app.run("migrate")
    app.run("rollback")
    assert app.db.columns("person") == ["id", "name"]
    app.run("migrate")
    app.run("rollback", "--steps", "2")
    assert app.db.contents() == {"person": []}
    assert [v for v, _ in app.db.versions()] == ["001"]
    app.run("migrate")
    app.run("rollback", "--to", "001")
    assert [v for v, _ in app.db.versions()] == ["001"]
    app.run("rollback", "--steps", "1")
    assert app.db.own_tables() == []
    assert app.status()["state"] == "empty"
    app.run("migrate")
    assert app.status()["state"] == "current"


def test_rollback_without_a_down_file(app):
    plain(app)
    app.run("migrate")
    app.remove("migrations/002_seed_person.down.sql")
    before = app.db.state()
    result = app.run("rollback", "--steps", "3", expect=None)
    assert result.exit in (2, 6), result
    assert "002" in result.err
    assert app.db.state() == before, "half of a rollback was done although the rest cannot be"


def test_rollback_that_fails(app):
    plain(app)
    app.run("migrate")
    app.write("migrations/003_add_email.down.sql", scenes.broken(app.db.engine))
    app.run("rollback", expect=1)
    assert "email" in app.db.columns("person")


def test_rollback_bad_arguments(app):
    plain(app)
    app.run("migrate")
    app.run("rollback", "--to", "777", expect=2)
    app.run("rollback", "--steps", "0", expect=2)
    app.run("rollback", "--steps", "many", expect=2)
    app.run("rollback", "--steps", "1", "--to", "001", expect=2)
    assert app.status()["state"] == "current"


def test_wait(app):
    plain(app)
    app.run("wait", "--wait", "20s")
    app.run("wait", "--for", "schema", "--wait", "500ms", expect=3)
    waiting = app.start("wait", "--for", "schema", "--wait", "60s")
    app.run("migrate")
    waiting.finish()
    app.run("wait", "--for", "schema", "--wait", "500ms")


# -- repair, backup -------------------------------------------------------------------------------


def test_repair_accepts_a_changed_file(app):
    plain(app)
    app.run("migrate")
    app.write(
        "migrations/001_create_person.sql", "-- now with a comment\nCREATE TABLE person (id INT);\n"
    )
    assert "001_create_person.sql" in app.run("migrate", expect=6).err
    explained = app.run("repair", expect=None)
    assert explained.exit != 0 and "001" in explained.out + explained.err
    app.run("migrate", expect=6)
    app.run("repair", "--yes")
    app.run("migrate")
    assert app.status()["state"] == "current" and app.status()["changed"] == []


def test_repair_with_nothing_to_do(app):
    plain(app)
    app.run("migrate")
    app.run("repair", "--yes")
    assert app.status()["state"] == "current"


def test_backup_and_restore(app):
    plain(app)
    app.run("migrate")
    before = app.db.contents()
    target = app.dir / "copy"
    app.run("backup", target)
    assert target.stat().st_size > 0
    app.db.execute("DELETE FROM person")
    app.run("restore", target, timeout=120)
    assert app.db.contents() == before
    assert app.status()["state"] == "current"


def test_backup_before_migrating(app):
    plain(app, 2)
    app.run("migrate")
    plain(app)
    app.run("migrate", "--backup", "saved/")
    saved = [path for path in (app.dir / "saved").rglob("*") if path.is_file()]
    assert len(saved) == 1 and saved[0].stat().st_size > 0


# -- the command line -----------------------------------------------------------------------------


@pytest.mark.asan
def test_bare_call_and_help(lockstep):
    bare = lockstep.run(expect=2)
    for words in (("--help",), ("help",)):
        text = lockstep.run(*words).out
        for command in COMMANDS:
            assert re.search(rf"^\s+{command}\b", text, re.MULTILINE), (command, text)
    assert "migrate" in bare.out + bare.err


@pytest.mark.parametrize("command", [*COMMANDS, "up"])
def test_help_of_commands(lockstep, command):
    first, second = lockstep.run(command, "--help"), lockstep.run("help", command)
    assert first.out.strip() and first.out == second.out
    for line in first.out.splitlines():
        assert len(line) <= 100, line


def test_version(lockstep):
    lines = lockstep.run("--version").out.splitlines()
    assert re.fullmatch(r"lockstep \d+\.\d+\.\d+", lines[0])
    assert any("SQLite" in line or "sqlite" in line for line in lines[1:])
    assert any("libpq" in line for line in lines[1:])
    assert lockstep.run("version").out.splitlines() == lines


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(lockstep, shell):
    script = lockstep.run("completion", shell).out
    for word in ("migrate", "lock-wait"):
        assert word in script
    program = shutil.which(shell)
    if program:
        done = subprocess.run(
            [program, "-n"],
            input=script.encode(),
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert done.returncode == 0, done.stdout


def test_bash_completes(lockstep):
    script = lockstep.write("complete.sh", lockstep.run("completion", "bash").out)
    done = subprocess.run(
        [
            "bash",
            "-c",
            f". {script}; COMP_WORDS=(lockstep mig); COMP_CWORD=1; "
            "COMP_LINE='lockstep mig'; COMP_POINT=12; "
            "f=$(complete -p lockstep | sed 's/.*-F \\([^ ]*\\).*/\\1/'); $f lockstep mig lockstep; "
            'echo "${COMPREPLY[@]}"',
        ],
        check=True,
        stdout=subprocess.PIPE,
    )
    assert done.stdout.decode().split() == ["migrate"]


@pytest.mark.parametrize(
    "words, named, suggested",
    [
        (("migrat",), "migrat", "migrate"),
        (("statsu",), "statsu", "status"),
        (("migrate", "--lok-wait", "5s"), "--lok-wait", "--lock-wait"),
        (("--lock-wiat=5s", "migrate"), "--lock-wiat", "--lock-wait"),
        (("status", "--chek"), "--chek", "--check"),
        (("migrate", "--no-migrat"), "--no-migrat", "--no-migrate"),
    ],
)
def test_unknown_words_are_named(lockstep, words, named, suggested):
    result = lockstep.run(*words, expect=2)
    assert named in result.err and suggested in result.err


@pytest.mark.parametrize(
    "words",
    [
        ("migrate", "--lock-wait", "5parsecs"),
        ("migrate", "--lock-wait", "-3s"),
        ("migrate", "--lock-wait", ""),
        ("migrate", "--lock-wait"),
        ("migrate", "--create=maybe"),
        ("migrate", "--lock", "paper"),
        ("migrate", "--on-failure", "shrug"),
        ("migrate", "--log", "xml"),
        ("migrate", "surplus"),
        ("status", "surplus"),
        ("history", "--limit", "x"),
        ("wait", "--for", "godot"),
        ("baseline",),
        ("new",),
        ("completion", "tcsh"),
        ("restore",),
        ("migrate", "--url", "oracle://u@h/d"),
        ("migrate", "--url", "not a url"),
        ("migrate", "--dir", "no/such/dir"),
        ("migrate", "--config", "no.yaml"),
        ("migrate", "--format", "papyrus"),
        ("migrate", "--check"),
        ("run",),
        ("run", "--"),
    ],
)
def test_wrong_usage(lockstep, words):
    plain(lockstep)
    result = lockstep.run(*words, expect=2)
    assert result.err.strip()
    assert not (lockstep.dir / "lockstep.db").exists()


def test_unknown_variable_is_a_warning(sqlite_app):
    plain(sqlite_app)
    result = sqlite_app.run("migrate", env={"LOCKSTEP_LOCK_WIAT": "5s"})
    assert "LOCKSTEP_LOCK_WIAT" in result.err and "LOCKSTEP_LOCK_WAIT" in result.err
    assert result.applied() == 3


def test_malformed_variable(sqlite_app):
    plain(sqlite_app)
    result = sqlite_app.run("migrate", env={"LOCKSTEP_LEASE": "soon"}, expect=2)
    assert "LOCKSTEP_LEASE" in result.err and "soon" in result.err


def test_unknown_file_key(sqlite_app):
    plain(sqlite_app)
    sqlite_app.write("lockstep.yaml", "dir: migrations\nlok_wait: 5s\n")
    result = sqlite_app.run("migrate", expect=2)
    assert "lockstep.yaml:2:1" in result.err
    assert "lok_wait" in result.err and "lock_wait" in result.err


def test_malformed_file_value(sqlite_app):
    plain(sqlite_app)
    sqlite_app.write("lockstep.yaml", "dir: migrations\nlease:   soon\n")
    result = sqlite_app.run("migrate", expect=2)
    assert re.search(r"lockstep\.yaml:2:\d+", result.err) and "soon" in result.err


def test_broken_yaml(sqlite_app):
    plain(sqlite_app)
    sqlite_app.write("lockstep.yaml", "dir: [migrations\nlease: 5s\n")
    assert re.search(r"lockstep\.yaml:\d+", sqlite_app.run("migrate", expect=2).err)


def test_strength_of_settings(lockstep):
    for number, name in enumerate(("file", "staging", "variable", "flag"), 1):
        lockstep.migrations(formats.plain(formats.users()[:number][:3]), name)
    lockstep.write(
        "lockstep.yaml",
        "dir: file\nurl: sqlite:file.db\nenvironments:\n  staging:\n    dir: staging\n",
    )
    assert len(lockstep.status()["pending"]) == 1
    assert len(lockstep.status("--environment", "staging")["pending"]) == 2
    assert len(lockstep.status(env={"RAILS_ENV": "staging"})["pending"]) == 2
    assert len(lockstep.status(env={"LOCKSTEP_DIR": "variable"})["pending"]) == 3
    report = lockstep.status("--dir", "staging", env={"LOCKSTEP_DIR": "variable"})
    assert len(report["pending"]) == 2
    assert "file.db" in report["database"]
    assert "flag.db" in lockstep.status("--url", "sqlite:flag.db")["database"]


def test_options_before_the_command(lockstep):
    lockstep.migrations(formats.plain(formats.users()), "elsewhere")
    lockstep.run("--dir=elsewhere", "--url", "sqlite:x.db", "migrate")
    assert len(lockstep.status("--dir", "elsewhere", "--url=sqlite:x.db")["applied"]) == 3


@pytest.mark.parametrize(
    "value, applied",
    [("TRUE", 3), ("Yes", 3), ("on", 3), ("1", 3), ("no", 0), ("Off", 0), ("0", 0), ("FALSE", 0)],
)
def test_booleans(sqlite_app, value, applied):
    plain(sqlite_app)
    result = sqlite_app.run("run", "--", "true", env={"LOCKSTEP_MIGRATE": value})
    assert result.applied() == applied


# -- order ----------------------------------------------------------------------------------------


def late(app):
    steps = formats.users()
    app.migrations(formats.plain([steps[0], steps[2]]))
    app.run("migrate")
    app.migrations(formats.plain(steps))


def test_late_file_is_refused_by_name(app):
    late(app)
    result = app.run("migrate", expect=6)
    assert "002_seed_person.sql" in result.err
    assert app.db.contents() == {"person": []}


def test_late_file_with_order_any(app):
    late(app)
    app.run("migrate", "--order", "any")
    assert len(app.db.contents()["person"]) == 2


# -- the log --------------------------------------------------------------------------------------


def test_json_log_of_a_command_line_that_cannot_be_parsed(sqlite_app):
    for words in (["migrate", "--lok", "--log", "json"], ["--log=json", "migrate", "--lok"]):
        events = sqlite_app.run(*words, expect=2).log()
        assert [e["level"] for e in events] == ["error"]
        assert "--lok" in events[0]["message"]


def test_json_log(app):
    plain(app)
    events = app.run("migrate", "--log", "json").log()
    assert events
    for event in events:
        assert {"time", "level", "event", "message"} <= set(event), event
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", event["time"])
    applied = [event for event in events if event["message"].startswith("Migration applied")]
    assert [event["version"] for event in applied] == ["001", "002", "003"]
    assert all(isinstance(event["duration_ms"], (int, float)) for event in applied)
    assert len({event["run_id"] for event in applied}) == 1


def test_json_log_of_a_failure(app):
    app.migrations({"001_broken.sql": scenes.broken(app.db.engine)})
    events = app.run("migrate", "--log", "json", expect=1).log()
    failed = [event for event in events if event["message"].startswith("Migration failed")]
    assert failed and failed[0]["level"] == "error"
    started = [event for event in events if event["message"].startswith("Migration started")]
    assert failed[0]["run_id"] == started[0]["run_id"]


def test_quiet(app):
    plain(app)
    assert app.run("migrate", "--quiet").err == ""
    assert app.status()["state"] == "current"


def test_no_colour_without_a_terminal(app):
    plain(app)
    result = app.run("migrate")
    assert "\x1b" not in result.err + app.run("status").out
    assert "\x1b" in app.run("status", "--color", "always").out


# -- exit codes that need nothing more ------------------------------------------------------------


def test_failed_migration_keeps_what_came_before(app):
    plain(app)
    app.migrations({"004_broken.sql": scenes.broken(app.db.engine)})
    result = app.run("migrate", expect=1)
    assert "Migration failed" in result.err and "004_broken.sql" in result.err
    assert result.applied() == 3
    assert [v for v, state in app.db.versions() if state == "applied"] == ["001", "002", "003"]
    assert app.db.outcomes() == ["failed"]
    app.write("migrations/004_broken.sql", "CREATE TABLE mended (id INTEGER);\n")
    app.run("migrate")
    assert app.db.exists("mended")
    assert app.db.outcomes() == ["failed", "succeeded"]


def test_lock_not_obtained(app):
    app.migrations({"001_slow.sql": scenes.slow(app.db.engine, 6)})
    leader = app.start("migrate")
    net.until(lambda: app.db.exists("lockstep_runs"), what="a leader")
    result = app.run("migrate", "--lock-wait", "800ms", expect=5)
    assert result.err
    leader.finish()
