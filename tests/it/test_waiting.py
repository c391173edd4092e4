# SPDX-License-Identifier: Apache-2.0
"""Waiting for what will come, and failing at once, and clearly, on what will not."""

import os
import re
import threading
import time

import pytest
from support import formats, net, scenes, secrets, servers

WRONG = secrets.register("wr0ng-p@ss/word")


def plain(app, count=3):
    app.migrations(formats.plain(formats.users()[:count]))


# -- a database that is not there yet -------------------------------------------------------------


@pytest.mark.parametrize("engine", ["postgres", "mysql"])
def test_server_comes_up_later(root, request, lockstep, engine):
    make = servers.Postgres if engine == "postgres" else servers.MariaDB
    server = make(root / f"late-{engine}")
    try:
        from support import databases

        db = (databases.PostgresDatabase if engine == "postgres" else databases.MysqlDatabase)(
            server
        )
        lockstep.use(db)
        plain(lockstep)
        server.stop()
        running = lockstep.start("run", "--", "echo", "served")
        time.sleep(2)
        assert running.alive()
        server.start()
        assert running.finish(timeout=60).out == "served\n"
    finally:
        server.stop()
    del request


@pytest.mark.parametrize("engine", ["postgres", "mysql"])
def test_nobody_answers(lockstep, engine):
    plain(lockstep)
    port = net.free_port()
    lockstep.env["DATABASE_URL"] = f"{engine}://app:x@127.0.0.1:{port}/d"
    result = lockstep.run("migrate", "--wait", "700ms", expect=4)
    assert str(port) in result.err and "127.0.0.1" in result.err
    assert 0.5 < result.seconds < 20
    assert lockstep.run("migrate", "--wait", "0", expect=4).seconds < 10
    lockstep.run("wait", "--wait", "500ms", expect=4)
    lockstep.run("status", "--wait", "500ms", expect=4)


def test_host_that_does_not_resolve(lockstep):
    plain(lockstep)
    lockstep.env["DATABASE_URL"] = "postgres://u@no-such-host.invalid/d"
    assert (
        "no-such-host.invalid" in lockstep.run("migrate", "--wait", "1s", expect=4, timeout=90).err
    )


def test_server_that_accepts_and_says_nothing(lockstep):
    import socket

    plain(lockstep)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        lockstep.env["DATABASE_URL"] = f"postgres://u@127.0.0.1:{silent.getsockname()[1]}/d"
        result = lockstep.run("migrate", "--wait", "1s", expect=4, timeout=60)
    assert result.seconds < 45


@pytest.mark.parametrize("engine", ["postgres", "mysql"])
def test_wrong_password_at_once(request, lockstep, engine):
    db = request.getfixturevalue(engine)
    plain(lockstep)
    lockstep.env["DATABASE_URL"] = db.server.url(db.name, password=WRONG)
    result = lockstep.run("migrate", expect=4)
    assert result.seconds < 20, "waited although waiting does not help"
    assert "app" in result.err
    assert db.tables() == []


@pytest.mark.parametrize("engine", ["postgres", "mysql"])
def test_missing_database(request, lockstep, engine):
    server = request.getfixturevalue(f"{engine}_server")
    plain(lockstep)
    name = f"t_missing_{engine}"
    if engine == "postgres":
        with server.admin() as cursor:
            cursor.execute("ALTER ROLE app CREATEDB")
    lockstep.env["DATABASE_URL"] = server.url(name)
    try:
        result = lockstep.run("migrate", expect=4)
        assert result.seconds < 20
        assert name in result.err and "--create" in result.err
        assert lockstep.run("migrate", "--create").applied() == 3
        assert lockstep.run("migrate", "--create").applied() == 0
    finally:
        with server.admin() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {name}")
            if engine == "postgres":
                cursor.execute("ALTER ROLE app NOCREATEDB")


@pytest.mark.parametrize("engine", ["postgres", "mysql"])
def test_create_race(request, lockstep, engine):
    server = request.getfixturevalue(f"{engine}_server")
    lockstep.migrations(scenes.counting(engine))
    name = f"t_race_{engine}"
    if engine == "postgres":
        with server.admin() as cursor:
            cursor.execute("ALTER ROLE app CREATEDB")
    lockstep.env["DATABASE_URL"] = server.url(name)
    try:
        results = lockstep.together(6, "migrate", "--create")
        assert [result.exit for result in results] == [0] * 6, results
        assert sum(result.applied() for result in results) == len(scenes.counting(engine))
    finally:
        with server.admin() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {name}")
            if engine == "postgres":
                cursor.execute("ALTER ROLE app NOCREATEDB")


def test_sqlite_in_a_missing_directory(lockstep):
    plain(lockstep)
    result = lockstep.run("migrate", "--url", "sqlite:no/such/folder/app.db", expect=None)
    assert result.exit in (2, 4), result
    assert "no/such/folder" in result.err


# -- TLS, sockets, services, secrets in files -----------------------------------------------------


@pytest.fixture
def tls(postgres_tls_server, lockstep):
    from support.databases import PostgresDatabase

    db = PostgresDatabase(postgres_tls_server)
    plain(lockstep)
    yield db
    db.drop()


def test_tls(tls, lockstep, certificates):
    def url(query, host="localhost"):
        return {"DATABASE_URL": tls.server.url(tls.name, host=host, query=query)}

    ca = f"sslrootcert={certificates.ca}"
    lockstep.run("migrate", env=url("?sslmode=require"))
    assert tls.own_tables() == ["person"]
    lockstep.run("migrate", env=url(f"?sslmode=verify-full&{ca}"))
    lockstep.run("migrate", env=url(f"?sslmode=verify-ca&{ca}", host="127.0.0.1"))
    # The certificate is for localhost; without the CA nothing can be verified.
    assert (
        lockstep.run(
            "migrate", env=url(f"?sslmode=verify-full&{ca}", "127.0.0.1"), expect=4
        ).seconds
        < 20
    )
    lockstep.run("migrate", env=url("?sslmode=verify-full"), expect=4)
    lockstep.run("migrate", env=url("?sslmode=disable"), expect=4)


def test_tls_authorities(tls, lockstep, certificates):
    """Who signed the server's certificate: a file, text in a variable, the image's own bundle."""
    full = {
        "DATABASE_URL": tls.server.url(tls.name, host="localhost", query="?sslmode=verify-full")
    }
    pem = certificates.ca.read_text(encoding="ascii")
    lockstep.run("migrate", env={**full, "LOCKSTEP_CA": str(certificates.ca)})
    assert tls.own_tables() == ["person"]
    lockstep.run("migrate", env={**full, "LOCKSTEP_CA": pem})
    lockstep.run("migrate", "--ca", certificates.ca, env=full)
    lockstep.run("status", env={**full, "SSL_CERT_FILE": str(certificates.ca)})
    lockstep.run("migrate", "--ca", "system", env={**full, "SSL_CERT_FILE": str(certificates.ca)})
    # The URL's own word counts before the setting; what libpq is told by its own means stands too.
    system = {"DATABASE_URL": full["DATABASE_URL"] + "&sslrootcert=system"}
    lockstep.run("migrate", env={**system, "SSL_CERT_FILE": str(certificates.ca)})
    lockstep.run("migrate", env={**full, "PGSSLROOTCERT": str(certificates.ca)})
    result = lockstep.run("migrate", "--ca", "/nowhere/ca.crt", env=full, expect=4)
    assert "/nowhere/ca.crt" in result.err
    # A backup is made by another program, which must find the authority too.
    lockstep.run("backup", "dump", env={**full, "LOCKSTEP_CA": pem})


def test_tls_required_and_not_there(postgres_app):
    plain(postgres_app)
    result = postgres_app.run(
        "migrate", env={"DATABASE_URL": postgres_app.db.url + "?sslmode=require"}, expect=4
    )
    assert result.seconds < 20, "waited although waiting does not help"
    assert "SSL" in result.err or "TLS" in result.err
    assert postgres_app.db.tables() == []


def test_mysql_tls_required_and_not_there(mysql_app):
    plain(mysql_app)
    mysql_app.run(
        "migrate", env={"DATABASE_URL": mysql_app.db.url + "?ssl-mode=REQUIRED"}, expect=4
    )
    mysql_app.run("migrate", env={"DATABASE_URL": mysql_app.db.url + "?ssl-mode=DISABLED"})


def test_unix_socket(postgres, mysql, lockstep):
    plain(lockstep)
    folder, port = postgres.server.folder, postgres.server.port
    lockstep.run(
        "migrate",
        env={"DATABASE_URL": f"postgres://app@/{postgres.name}?host={folder}&port={port}"},
    )
    assert postgres.own_tables() == ["person"]
    quoted = str(folder).replace("/", "%2F")
    lockstep.run("migrate", env={"DATABASE_URL": f"postgres://app@{quoted}:{port}/{postgres.name}"})
    url = mysql.server.url(mysql.name, host="localhost", query=f"?socket={mysql.server.socket}")
    lockstep.run("migrate", env={"DATABASE_URL": url.replace(f":{mysql.server.port}", "")})
    assert mysql.own_tables() == ["person"]


def test_service_file(postgres, lockstep):
    plain(lockstep)
    service = lockstep.write(
        "pg_service.conf",
        f"[deploy]\nhost={postgres.server.folder}\n"
        f"port={postgres.server.port}\ndbname={postgres.name}\nuser=app\n",
    )
    lockstep.run(
        "migrate",
        env={"DATABASE_URL": "postgres:///?service=deploy", "PGSERVICEFILE": str(service)},
    )
    assert postgres.own_tables() == ["person"]


def test_pg_variables(postgres, lockstep):
    plain(lockstep)
    lockstep.run(
        "migrate",
        env={
            "PGHOST": "127.0.0.1",
            "PGPORT": str(postgres.server.port),
            "PGUSER": "app",
            "PGDATABASE": postgres.name,
            "PGPASSWORD": servers.APP_PASSWORD,
        },
    )
    assert postgres.own_tables() == ["person"]


@pytest.mark.parametrize(
    "engine, names",
    [
        (
            "postgres",
            (
                "POSTGRES_HOST",
                "POSTGRES_PORT",
                "POSTGRES_DB",
                "POSTGRES_USER",
                "POSTGRES_PASSWORD_FILE",
            ),
        ),
        ("postgres", ("DB_HOST", "DB_PORT", "DB_NAME", "DB_USER", "DB_PASSWORD_FILE")),
        (
            "mysql",
            ("MYSQL_HOST", "MYSQL_PORT", "MYSQL_DATABASE", "MYSQL_USER", "MYSQL_PASSWORD_FILE"),
        ),
    ],
)
def test_discrete_variables_and_a_secret_in_a_file(request, lockstep, engine, names):
    db = request.getfixturevalue(engine)
    plain(lockstep)
    secret = lockstep.write("secret", servers.APP_PASSWORD + "\n", mode=0o600)
    values = ("127.0.0.1", str(db.server.port), db.name, "app", str(secret))
    env = dict(zip(names, values))
    if names[0] == "DB_HOST":
        env["DB_ENGINE"] = engine
    lockstep.run("migrate", env=env)
    assert db.own_tables() == ["person"]


def test_url_in_a_file(postgres, lockstep):
    plain(lockstep)
    secret = lockstep.write("url", postgres.url + "\n", mode=0o600)
    assert (
        lockstep.run(
            "run",
            "--",
            "sh",
            "-c",
            "echo ${DATABASE_URL_FILE} ${DATABASE_URL-unset}",
            env={"DATABASE_URL_FILE": str(secret)},
        ).out
        == f"{secret} unset\n"
    )
    assert postgres.own_tables() == ["person"]
    result = lockstep.run(
        "migrate", env={"DATABASE_URL_FILE": str(lockstep.dir / "none")}, expect=2
    )
    assert "DATABASE_URL_FILE" in result.err


# -- locks of other sessions ----------------------------------------------------------------------


class Holder:
    """Another session in an open transaction."""

    def __init__(self, db, *statements, name="reporting"):
        self.connection = db.server.connect(
            db.name, **({"user": "app"} if db.engine == "postgres" else {})
        )
        if db.engine == "postgres":
            with self.connection.cursor() as cursor:
                cursor.execute("SET application_name = %s", (name,))
            self.connection.autocommit = False
        else:
            self.connection.begin()
        with self.connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def release(self):
        self.connection.rollback()
        self.connection.close()


@pytest.mark.parametrize("engine", ["postgres", "mysql"])
def test_blockers_are_named(request, lockstep, engine):
    lockstep.use(request.getfixturevalue(engine))
    plain(lockstep, 2)
    lockstep.run("migrate")
    plain(lockstep)
    holder = Holder(lockstep.db, "SELECT count(*) FROM person")
    result = lockstep.run("migrate", "--retry-for", "4s", "--lock-timeout", "500ms", expect=1)
    assert "003_add_email.sql" in result.err
    if engine == "postgres":
        assert "reporting" in result.err, "the blocker is not named"
        pid = holder.connection.get_backend_pid()
        assert str(pid) in result.err
    assert lockstep.db.columns("person") == ["id", "name"]
    holder.release()
    lockstep.run("migrate")
    assert lockstep.db.columns("person") == ["id", "name", "email"]


@pytest.mark.parametrize("engine", ["postgres", "mysql"])
def test_tried_again_until_the_lock_is_free(request, lockstep, engine):
    lockstep.use(request.getfixturevalue(engine))
    plain(lockstep, 2)
    lockstep.run("migrate")
    plain(lockstep)
    holder = Holder(lockstep.db, "SELECT count(*) FROM person")
    running = lockstep.start("migrate", "--lock-timeout", "300ms")
    time.sleep(3)
    assert running.alive()
    holder.release()
    running.finish(timeout=60)
    assert lockstep.db.columns("person") == ["id", "name", "email"]


def test_users_are_not_kept_waiting(postgres_app):
    """--max-block: a statement that keeps others waiting is cancelled, and tried again."""
    db = postgres_app.db
    postgres_app.migrations(
        {
            "001_t.sql": "CREATE TABLE t (id integer);\n",
            "002_long.sql": "LOCK TABLE t IN ACCESS EXCLUSIVE MODE;\nSELECT pg_sleep(30);\n",
        }
    )
    running = postgres_app.start("migrate", "--max-block", "1s", "--retry-for", "6s")
    net.until(
        lambda: any("pg_sleep" in row[-1] for row in db.sessions()), what="the long statement"
    )
    waited = []

    def user():
        began = time.monotonic()
        with db.as_app() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM t")
        waited.append(time.monotonic() - began)

    reader = threading.Thread(target=user)
    reader.start()
    reader.join(20)
    assert waited and waited[0] < 15, "a user waited for the whole migration"
    running.signal(15)
    running.finish(timeout=30, expect=None)


def test_busy_sqlite(sqlite_app):
    """Another process writes: waited for, then done."""
    import sqlite3

    plain(sqlite_app, 1)
    sqlite_app.run("migrate")
    plain(sqlite_app)
    other = sqlite3.connect(sqlite_app.db.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    running = sqlite_app.start("migrate")
    time.sleep(2)
    assert running.alive()
    other.execute("ROLLBACK")
    other.close()
    running.finish(timeout=60)
    assert sqlite_app.status()["state"] == "current"


def test_deadlock_is_tried_again(postgres_app):
    db = postgres_app.db
    postgres_app.migrations(
        {"001_t.sql": "CREATE TABLE t (id integer);\nINSERT INTO t VALUES (1), (2);\n"}
    )
    postgres_app.run("migrate")
    postgres_app.migrations(
        {
            "002_u.sql": "UPDATE t SET id = id WHERE id = 1;\nSELECT pg_sleep(1);\n"
            "UPDATE t SET id = id WHERE id = 2;\n"
        }
    )
    holder = Holder(db, "UPDATE t SET id = id WHERE id = 2")
    running = postgres_app.start("migrate", "--lock-timeout", "0")
    net.until(lambda: any("pg_sleep" in row[-1] for row in db.sessions()), what="the migration")
    thread = threading.Thread(target=lambda: swallow(holder, "UPDATE t SET id = id WHERE id = 1"))
    thread.start()
    thread.join(60)
    holder.release()
    running.finish(timeout=60)


def swallow(holder, statement):
    try:
        with holder.connection.cursor() as cursor:
            cursor.execute(statement)
    except Exception:  # pylint: disable=broad-except
        pass  # it may be the victim


def test_statement_timeout(postgres_app):
    postgres_app.migrations({"001_slow.sql": "SELECT pg_sleep(30);\n"})
    result = postgres_app.run("migrate", "--statement-timeout", "500ms", expect=1)
    assert result.seconds < 20 and "001_slow.sql" in result.err


# -- disks and rights -----------------------------------------------------------------------------


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to mount a small disk")
def test_full_disk(lockstep):
    body = (
        "CREATE TABLE big (x TEXT);\n" + "INSERT INTO big VALUES (hex(randomblob(100000)));\n" * 20
    )
    lockstep.migrations({"001_t.sql": "CREATE TABLE t (id INTEGER);\n", "002_big.sql": body})
    disk = lockstep.dir / "disk"
    disk.mkdir()
    # Looked at again in the same namespace, because the disk goes with it.
    prefix = (
        "unshare",
        "--mount",
        "sh",
        "-c",
        f'mount -t tmpfs -o size=400k none {disk} && {{ "$@";'
        ' code=$?; "$1" status --json; exit $code; }',
        "sh",
    )
    result = lockstep.run(
        "migrate", prefix=prefix, env={"DATABASE_URL": f"sqlite:///{disk}/app.db"}, expect=1
    )
    assert result.json()["state"] == "failed"
    assert "full" in result.err or "space" in result.err
    assert "002_big.sql" in result.err


def test_read_only_role_may_look(postgres_app):
    plain(postgres_app, 2)
    postgres_app.run("migrate")
    plain(postgres_app)
    db = postgres_app.db
    with db.server.admin(db.name) as cursor:
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = 'looker'")
        if not cursor.fetchone():
            cursor.execute("CREATE ROLE looker LOGIN PASSWORD 'looker-pw'")
        cursor.execute("GRANT USAGE ON SCHEMA public TO looker")
        cursor.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO looker")
    secrets.register("looker-pw")
    env = {"DATABASE_URL": db.server.url(db.name, "looker", password="looker-pw")}
    before = db.state(), db.contents(["lockstep_migrations", "lockstep_runs"])
    assert postgres_app.status(env=env)["state"] == "pending"
    postgres_app.run("plan", env=env)
    assert len(postgres_app.run("history", "--json", env=env).json()["runs"]) == 1
    postgres_app.run("wait", env=env)
    postgres_app.run("wait", "--for", "schema", "--wait", "300ms", env=env, expect=3)
    postgres_app.run("migrate", env=env, expect=1)
    assert before[0] == db.state()
    with db.server.admin(db.name) as cursor:
        cursor.execute("DROP OWNED BY looker")


def test_read_only_role_and_nothing_there(postgres_app):
    """No table of lockstep's, no right to make one."""
    plain(postgres_app)
    db = postgres_app.db
    db.execute("ALTER SCHEMA public OWNER TO postgres")
    db.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    assert postgres_app.status()["state"] == "empty"
    postgres_app.run("plan")
    assert postgres_app.run("history", "--json").json() == {"runs": []}


def test_read_only_sqlite_file(sqlite_app):
    plain(sqlite_app, 2)
    sqlite_app.run("migrate")
    plain(sqlite_app)
    path = sqlite_app.db.path
    before = {p.name: p.read_bytes() for p in path.parent.iterdir()}
    path.chmod(0o444)
    path.parent.chmod(0o555)
    prefix = ("setpriv", "--bounding-set=-dac_override") if os.getuid() == 0 else ()
    try:
        assert sqlite_app.status(prefix=prefix)["state"] == "pending"
        sqlite_app.run("plan", prefix=prefix)
        sqlite_app.run("history", prefix=prefix)
        assert "read-only" in sqlite_app.run("migrate", prefix=prefix, expect=6).err
        assert "read-only" in sqlite_app.run("rollback", prefix=prefix, expect=6).err
        path.chmod(0o644)  # a journal and the lock must stand beside it
        assert "read-only" in sqlite_app.run("migrate", prefix=prefix, expect=6).err
    finally:
        path.parent.chmod(0o755)
        path.chmod(0o644)
    assert before == {p.name: p.read_bytes() for p in path.parent.iterdir()}


def test_sqlite_directory_that_is_not_writable(sqlite_app):
    plain(sqlite_app)
    path = sqlite_app.db.path
    path.unlink(missing_ok=True)
    path.parent.chmod(0o555)
    prefix = ("setpriv", "--bounding-set=-dac_override") if os.getuid() == 0 else ()
    try:
        result = sqlite_app.run("migrate", prefix=prefix, expect=6)
        assert "not writable" in result.err and "waiting" not in result.err
    finally:
        path.parent.chmod(0o755)


# -- what a failure says --------------------------------------------------------------------------


def test_report_of_a_failed_statement(postgres_app):
    postgres_app.migrations(
        {
            "001_t.sql": "CREATE TABLE t (id integer);\n",
            "002_x.sql": "-- first line\nINSERT INTO t VALUES (1);\n\n"
            "INSERT INTO t (nonsense)\n  VALUES (2);\n",
        }
    )
    result = postgres_app.run("migrate", expect=1)
    place = re.search(r"002_x\.sql:(\d+):(\d+)", result.err)
    assert place, result
    # The statement begins in line 4; the server points at the column's name.
    assert (int(place[1]), int(place[2])) in ((4, 1), (4, 16)), result
    assert "42703" in result.err, "no SQLSTATE"
    assert "nonsense" in result.err
    assert postgres_app.db.contents() == {"t": []}


def test_report_has_the_servers_hint(postgres_app):
    postgres_app.migrations(
        {"001_t.sql": "CREATE TABLE t (customer integer);\nSELECT customr FROM t;\n"}
    )
    result = postgres_app.run("migrate", expect=1)
    assert "Perhaps you meant" in result.err


@pytest.mark.parametrize("engine", ["sqlite", "mysql"])
def test_report_elsewhere(request, lockstep, engine):
    lockstep.use(request.getfixturevalue(engine))
    lockstep.migrations(
        {"001_x.sql": "CREATE TABLE t (id INTEGER);\n\nINSERT INTO t (nonsense) VALUES (2);\n"}
    )
    result = lockstep.run("migrate", expect=1)
    assert "001_x.sql:3" in result.err and "nonsense" in result.err


def test_backup_tools_never_see_the_secret_in_their_arguments(postgres_app, mysql, lockstep):
    """Tools of the image are called; what they were called with is kept here, and looked at."""
    plain(postgres_app)
    postgres_app.run("migrate")
    shown = lockstep.dir / "seen"
    for tool in ("pg_dump", "mariadb-dump", "mysqldump"):
        script = lockstep.bin / tool
        script.write_text(
            f'#!/bin/sh\nprintf "%s\\n" "$0" "$@" >>{shown}\n' f'exec /usr/bin/{tool} "$@"\n',
            encoding="ascii",
        )
        script.chmod(0o755)
    postgres_app.run("backup", "one")
    lockstep.use(mysql)
    lockstep.run("migrate")
    lockstep.run("backup", "two")
    assert "pg_dump" in shown.read_text(encoding="utf-8")
    assert not secrets.found_in(shown.read_bytes())
