# SPDX-License-Identifier: Apache-2.0
"""Real servers in directories of their own, on free loopback ports, stopped by their process id."""

import glob
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import urllib.parse

import psycopg2
import pymysql

from . import net, secrets

# Hostile to URLs, shells, ini files, SQL and log masks alike.
APP_PASSWORD = secrets.register("p@ss:w/rd%#1 &'\"x")
ADMIN_PASSWORD = secrets.register("4dm1n?=+;%41[x]")


class Missing(Exception):
    """The machine lacks what this server needs; tests that want it are skipped by this text."""


def run(words, **more):
    done = subprocess.run(
        list(map(str, words)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        **more,
    )
    if done.returncode:
        raise RuntimeError(
            f"{words}: exit {done.returncode}\n{done.stdout.decode(errors='replace')}"
        )
    return done.stdout.decode(errors="replace")


def unprivileged(*names):
    """Keyword arguments for Popen: servers do not run as root."""
    if os.getuid() != 0:
        return {}
    for name in names + ("nobody",):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise Missing("no unprivileged user to run a server as")


def own(path, who):
    if who:
        shutil.chown(path, who["user"], who["group"])


def stop(process, how=signal.SIGTERM, timeout=30):
    if process is None or process.poll() is not None:
        return
    process.send_signal(how)
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Certificates:
    """A CA, and a certificate of it for `localhost`."""

    def __init__(self, folder, who):
        folder.mkdir(parents=True)
        self.ca, self.key, self.cert = (
            folder / "ca.crt",
            folder / "server.key",
            folder / "server.crt",
        )
        ca_key, request, extra = folder / "ca.key", folder / "server.csr", folder / "extra"
        extra.write_text("subjectAltName=DNS:localhost\n", encoding="ascii")
        new = [
            "openssl",
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ]
        run(
            [
                *new,
                "-x509",
                "-days",
                "30",
                "-subj",
                "/CN=lockstep tests",
                "-keyout",
                ca_key,
                "-out",
                self.ca,
            ]
        )
        run([*new, "-subj", "/CN=localhost", "-keyout", self.key, "-out", request])
        run(
            [
                "openssl",
                "x509",
                "-req",
                "-in",
                request,
                "-CA",
                self.ca,
                "-CAkey",
                ca_key,
                "-days",
                "30",
                "-CAcreateserial",
                "-extfile",
                extra,
                "-out",
                self.cert,
            ]
        )
        self.key.chmod(0o600)
        for path in (folder, self.key, self.cert, self.ca):
            own(path, who)
        folder.chmod(0o755)


class Postgres:
    """A cluster. Superuser `postgres` and role `app` (no superuser), both with SCRAM passwords over
    TCP; the Unix socket trusts."""

    user = "app"
    extra = ""

    def __init__(self, folder, tls=None, address="127.0.0.1"):
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda p: int(p.split("/")[4]))
        if not found:
            raise Missing("PostgreSQL's server is not installed")
        self.bin = pathlib.Path(found[-1])
        self.who = unprivileged("postgres")
        self.folder, self.data, self.log = folder, folder / "data", folder / "log"
        self.port, self.process = net.free_port(), None
        folder.mkdir(parents=True)
        own(folder, self.who)
        secret = folder / "pw"
        secret.write_text(ADMIN_PASSWORD, encoding="utf-8")
        own(secret, self.who)
        run(
            [
                self.bin / "initdb",
                "-D",
                self.data,
                "-U",
                "postgres",
                "-N",
                "--locale=C.UTF-8",
                "--auth-local=trust",
                "--auth-host=scram-sha-256",
                f"--pwfile={secret}",
            ],
            **self.who,
        )
        secret.unlink()
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as file:
            file.write(
                f"listen_addresses = '{address}'\nport = {self.port}\n"
                f"unix_socket_directories = '{folder}'\nfsync = off\nmax_connections = 200\n"
                "log_statement = all\nlog_connections = on\nlog_min_messages = warning\n"
                "log_line_prefix = '[%p] %d '\nlogging_collector = off\n"
                "shared_buffers = 64MB\nmax_wal_senders = 4\nwal_level = replica\n" + self.extra
            )
            if tls:
                file.write(f"ssl = on\nssl_cert_file = '{tls.cert}'\nssl_key_file = '{tls.key}'\n")
        if tls:
            hba = (
                (self.data / "pg_hba.conf")
                .read_text(encoding="utf-8")
                .replace("host  ", "hostssl  ")
            )
            (self.data / "pg_hba.conf").write_text(hba, encoding="utf-8")
        self.start()
        with self.admin() as cursor:
            cursor.execute("CREATE ROLE app LOGIN PASSWORD %s", (APP_PASSWORD,))

    def start(self):
        with open(self.log, "ab") as log:
            # pylint: disable=consider-using-with
            self.process = subprocess.Popen(
                [self.bin / "postgres", "-D", self.data],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=net.die_with_parent,
                **self.who,
            )
        net.until(self.answers, what="PostgreSQL's start")

    def answers(self):
        if self.process.poll() is not None:
            raise RuntimeError("postgres ended: " + self.log.read_text(errors="replace")[-2000:])
        try:
            self.connect("postgres").close()
        except psycopg2.OperationalError:
            return False
        return True

    def stop(self, how=signal.SIGINT):
        stop(self.process, how)

    def crash(self):
        """As when the machine loses its power: every process of the cluster at once."""
        stop(self.process, signal.SIGQUIT)

    def connect(self, database="postgres", user="postgres"):
        connection = psycopg2.connect(
            host=str(self.folder), port=self.port, dbname=database, user=user
        )
        connection.autocommit = True
        return connection

    def admin(self, database="postgres"):
        return _Cursor(self.connect(database))

    def url(self, database, user="app", password=None, host="127.0.0.1", port=None, query=""):
        password = (
            {"app": APP_PASSWORD, "postgres": ADMIN_PASSWORD}[user]
            if password is None
            else password
        )
        quoted = urllib.parse.quote(password, safe="")
        return f"postgres://{user}:{quoted}@{host}:{port or self.port}/{database}{query}"

    def log_size(self):
        return self.log.stat().st_size

    def log_since(self, offset, database=None):
        """Lines since then, of sessions of `database`."""
        with open(self.log, encoding="utf-8", errors="replace") as file:
            file.seek(offset)
            lines = file.read().splitlines()
        return [line for line in lines if database is None or f"] {database} " in line]


class _Cursor:
    """`with server.admin() as cursor`: autocommit, closed at the end."""

    def __init__(self, connection):
        self.connection = connection

    def __enter__(self):
        return self.connection.cursor()

    def __exit__(self, *exception):
        self.connection.close()


class Standby:
    """A streaming replica of a Postgres, read-only."""

    def __init__(self, primary, folder):
        self.folder, self.port = folder, net.free_port()
        folder.mkdir()
        own(folder, primary.who)
        data = folder / "data"
        run(
            [
                primary.bin / "pg_basebackup",
                "-D",
                data,
                "-R",
                "-X",
                "stream",
                "-c",
                "fast",
                "-h",
                primary.folder,
                "-p",
                primary.port,
                "-U",
                "postgres",
            ],
            **primary.who,
        )
        data.chmod(0o700)
        with open(data / "postgresql.conf", "a", encoding="utf-8") as file:
            file.write(f"port = {self.port}\nunix_socket_directories = '{folder}'\n")
        with open(folder / "log", "ab") as log:
            # pylint: disable=consider-using-with
            self.process = subprocess.Popen(
                [primary.bin / "postgres", "-D", data],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=net.die_with_parent,
                **primary.who,
            )
        net.until(self.answers, what="the standby's start")

    def answers(self):
        try:
            psycopg2.connect(
                host=str(self.folder), port=self.port, dbname="postgres", user="postgres"
            ).close()
        except psycopg2.OperationalError:
            return False
        return True

    def stop(self):
        stop(self.process, signal.SIGINT)


class PgBouncer:
    """Transaction pooling in front of a Postgres, as its documentation configures it."""

    def __init__(self, server, folder, pool_size=5):
        program = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/sbin:/bin")
        if not program:
            raise Missing("pgbouncer is not installed")
        self.port, self.server, self.log = net.free_port(), server, folder / "log"
        folder.mkdir()
        own(folder, server.who)
        users = folder / "users"
        quoted = APP_PASSWORD.replace('"', '""')
        users.write_text(f'"app" "{quoted}"\n', encoding="utf-8")
        users.chmod(0o600)
        own(users, server.who)
        config = folder / "pgbouncer.ini"
        config.write_text(
            f"[databases]\n* = host=127.0.0.1 port={server.port}\n[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = scram-sha-256\nauth_file = {users}\npool_mode = transaction\n"
            f"default_pool_size = {pool_size}\nmax_client_conn = 200\nlogfile = {self.log}\n",
            encoding="utf-8",
        )
        # pylint: disable=consider-using-with
        self.process = subprocess.Popen(
            [program, config],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=net.die_with_parent,
            **server.who,
        )
        net.until(self.answers, what="pgbouncer's start")

    def answers(self):
        try:
            psycopg2.connect(
                host="127.0.0.1",
                port=self.port,
                dbname="postgres",
                user="app",
                password=APP_PASSWORD,
            ).close()
        except psycopg2.OperationalError:
            return False
        return True

    def stop(self):
        stop(self.process)


class MariaDB:
    """A server with the user `app`, who may do everything in databases named t_*."""

    def __init__(self, folder, address="127.0.0.1"):
        self.address = address
        self.program = shutil.which("mariadbd", path="/usr/sbin:/usr/bin:/usr/libexec")
        install = shutil.which("mariadb-install-db", path="/usr/bin:/usr/sbin")
        if not self.program or not install:
            raise Missing("MariaDB's server is not installed")
        self.who = unprivileged("mysql")
        self.folder, self.data = folder, folder / "data"
        self.socket, self.log, self.general = folder / "s", folder / "log", folder / "general"
        self.port, self.process = net.free_port(), None
        folder.mkdir(parents=True)
        own(folder, self.who)
        # Not /tmp: temporary tables of two servers take each other's names there.
        temporary = folder / "tmp"
        temporary.mkdir()
        own(temporary, self.who)
        run(
            [
                install,
                "--no-defaults",
                f"--datadir={self.data}",
                "--skip-test-db",
                "--auth-root-authentication-method=normal",
            ],
            **self.who,
        )
        self.start()
        with self.admin() as cursor:
            for host in ("localhost", "127.0.0.1", "%"):
                cursor.execute("CREATE USER 'app'@%s IDENTIFIED BY %s", (host, APP_PASSWORD))
                cursor.execute(f"GRANT ALL ON `t\\_%`.* TO 'app'@'{host}'")

    def start(self):
        with open(self.log, "ab") as log:
            # pylint: disable=consider-using-with
            self.process = subprocess.Popen(
                [
                    self.program,
                    "--no-defaults",
                    f"--datadir={self.data}",
                    f"--tmpdir={self.folder}/tmp",
                    f"--socket={self.socket}",
                    f"--port={self.port}",
                    f"--bind-address={self.address}",
                    "--skip-name-resolve",
                    f"--pid-file={self.folder}/pid",
                    "--innodb-flush-log-at-trx-commit=0",
                    "--innodb-buffer-pool-size=64M",
                    "--max-connections=300",
                    "--general-log=1",
                    f"--general-log-file={self.general}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=net.die_with_parent,
                **self.who,
            )
        net.until(self.answers, timeout=60, what="MariaDB's start")

    def answers(self):
        if self.process.poll() is not None:
            raise RuntimeError("mariadbd ended: " + self.log.read_text(errors="replace")[-2000:])
        try:
            self.connect().close()
        except pymysql.Error:
            return False
        return True

    def stop(self):
        stop(self.process)

    def connect(self, database=None):
        return pymysql.connect(
            unix_socket=str(self.socket),
            user="root",
            database=database,
            autocommit=True,
            charset="utf8mb4",
        )

    def admin(self, database=None):
        return _Cursor(self.connect(database))

    def url(
        self, database, user="app", password=APP_PASSWORD, host="127.0.0.1", port=None, query=""
    ):
        quoted = urllib.parse.quote(password, safe="")
        return f"mysql://{user}:{quoted}@{host}:{port or self.port}/{database}{query}"

    def general_size(self):
        return self.general.stat().st_size

    def general_since(self, offset):
        with open(self.general, encoding="utf-8", errors="replace") as file:
            file.seek(offset)
            return file.read().splitlines()
