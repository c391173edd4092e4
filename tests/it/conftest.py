# SPDX-License-Identifier: Apache-2.0
"""Fixtures: the binary in a directory of its own, and a fresh database of each engine.

The servers are started when the first test asks for one, and stopped by their process ids.

lockstep      the runner; nothing is set but PATH, HOME, TMPDIR
db            a fresh database, once for each engine; sqlite, postgres, mysql: of that engine
app           the runner with DATABASE_URL of `db`; sqlite_app, postgres_app, mysql_app
"""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

import pytest
from support import binary, databases, dokku, engine as engines, formats, secrets, servers
from support.binary import Lockstep
from support.net import Proxy

ENGINES = ("sqlite", "postgres", "mysql")


def interrupt(*_):
    raise KeyboardInterrupt


def pytest_sessionstart(session):
    del session
    # So that servers are stopped and directories removed when a CI job is cancelled.
    signal.signal(signal.SIGTERM, interrupt)
    if not os.access(binary.BINARY, os.X_OK):
        pytest.exit(f"{binary.BINARY} is not there: build it with `make`, or set LOCKSTEP", 2)


def has_fault_points():
    """A release build has none: what is shipped cannot be told to kill itself."""
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "migrations").mkdir()
        (pathlib.Path(folder) / "migrations/1_a.sql").write_text("SELECT 1;\n", encoding="ascii")
        done = subprocess.run(
            [binary.BINARY, "migrate"],
            env={"LOCKSTEP_FAULT": "list", "PATH": os.environ["PATH"]},
            cwd=folder,
            stderr=subprocess.PIPE,
            check=True,
        )
    return b"fault: " in done.stderr


def is_static():
    done = subprocess.run(["readelf", "-l", binary.BINARY], stdout=subprocess.PIPE, check=True)
    return b"INTERP" not in done.stdout


def is_released():
    """In a dist/, with the sums and all that they name beside it."""
    return (binary.BINARY.resolve().parent / "SHA256SUMS").is_file()


def pytest_addoption(parser):
    parser.addoption(
        "--containers",
        choices=("all", "only", "none"),
        default="all",
        help="the half of the tests that runs containers and platforms, or the other one",
    )


def waits_for_others(item):
    """Containers and stand-ins of platforms: half of the time nobody computes."""
    name, call = item.path.name, getattr(item, "callspec", None)
    # Elsewhere `engine` is a database's name, by parameter.
    contained = "engine" in item.fixturenames and not (call and "engine" in call.params)
    return contained or name.startswith(("test_deploy_", "test_seeds_"))


def pytest_collection_modifyitems(config, items):
    marks = {mark.name for item in items for mark in item.iter_markers()}
    lacking = {name for name, has in NEEDS.items() if name in marks and not has()}
    half = config.getoption("--containers")
    left_out = [
        item
        for item in items
        if any(item.get_closest_marker(n) for n in lacking)
        or (half != "all" and waits_for_others(item) != (half == "only"))
    ]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


# What a test needs of the binary, by its mark.
NEEDS = {"faults": has_fault_points, "static": is_static, "release": is_released}


@pytest.fixture(scope="session")
def root():
    """A directory that servers' unprivileged users may enter."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="lockstep-it-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def sampler():
    watch = secrets.Sampler()
    yield watch
    watch.close()


def serve(make):
    try:
        server = make()
    except servers.Missing as missing:
        pytest.skip(str(missing))
    return server


@pytest.fixture(scope="session")
def postgres_server(root):
    server = serve(lambda: servers.Postgres(root / "pg"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def certificates(root):
    return servers.Certificates(root / "certs", servers.unprivileged("postgres"))


@pytest.fixture(scope="session")
def postgres_tls_server(root, certificates):
    server = serve(lambda: servers.Postgres(root / "pgtls", tls=certificates))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def mysql_server(root):
    server = serve(lambda: servers.MariaDB(root / "my"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def pgbouncer(root, postgres_server):
    bouncer = serve(lambda: servers.PgBouncer(postgres_server, root / "pgb"))
    yield bouncer
    bouncer.stop()


@pytest.fixture(scope="session")
def engine():
    """A container engine of our own, with the image `busybox` and nothing else."""
    ours = engines.Engine()
    serve(ours.__enter__)
    yield ours
    ours.stop()


@pytest.fixture(scope="module")
def dokku_server(engine, tmp_path_factory):
    """Dokku's stand-in behind an ssh server, with apps on `engine`."""
    server = serve(lambda: dokku.Server(engine, tmp_path_factory.mktemp("dokku")))
    serve(server.__enter__)
    yield server
    server.__exit__()


@pytest.fixture
def sqlite(tmp_path):
    (tmp_path / "data").mkdir()
    return databases.Sqlite(tmp_path / "data" / "app.db")


@pytest.fixture
def postgres(postgres_server):
    database = databases.PostgresDatabase(postgres_server)
    yield database
    database.drop()


@pytest.fixture
def mysql(mysql_server):
    database = databases.MysqlDatabase(mysql_server)
    yield database
    database.drop()


@pytest.fixture(params=ENGINES)
def db(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def fresh(request, tmp_path):
    """fresh(engine): another fresh database, as many as a test wants."""
    made = []

    def make(engine):
        if engine == "sqlite":
            folder = tmp_path / f"data{len(made)}"
            folder.mkdir()
            made.append(databases.Sqlite(folder / "app.db"))
        elif engine == "postgres":
            made.append(databases.PostgresDatabase(request.getfixturevalue("postgres_server")))
        else:
            made.append(databases.MysqlDatabase(request.getfixturevalue("mysql_server")))
        return made[-1]

    yield make
    for database in made:
        database.drop()


@pytest.fixture
def pg_url(postgres):
    """The URL alone, for tests that bring their own runner."""
    return postgres.url + "?sslmode=disable"


@pytest.fixture
def lockstep(tmp_path, sampler):
    """Afterwards: no secret was in any command line or stands in any file, nothing in TMPDIR."""
    runner = Lockstep(tmp_path / "box", sampler)
    already = len(sampler.findings)
    yield runner
    left, found = runner.close()
    assert not sampler.findings[already:], "a secret was in a command line"
    assert not found, f"a secret stands in a file: {found}"
    assert not left, f"left behind in TMPDIR: {left}"


@pytest.fixture
def app(lockstep, db):
    return lockstep.use(db)


@pytest.fixture
def sql(request, lockstep):
    """sql(format, engine): the runner for that format, named where the files do not tell it."""

    def make(fmt, engine="sqlite"):
        lockstep.use(request.getfixturevalue(engine))
        if fmt in formats.NAMED:
            lockstep.env["LOCKSTEP_FORMAT"] = fmt
        return lockstep

    return make


@pytest.fixture
def sqlite_app(lockstep, sqlite):
    return lockstep.use(sqlite)


@pytest.fixture
def postgres_app(lockstep, postgres):
    return lockstep.use(postgres)


@pytest.fixture
def mysql_app(lockstep, mysql):
    return lockstep.use(mysql)


@pytest.fixture
def proxy():
    """proxy(port): a TCP proxy in front of a server of this machine."""
    made = []

    def make(port):
        made.append(Proxy(port))
        return made[-1]

    yield make
    for one in made:
        one.close()
