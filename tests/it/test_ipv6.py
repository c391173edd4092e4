# SPDX-License-Identifier: Apache-2.0
"""Servers that listen on ::1 alone, named as a URL names such an address, and by a name."""

import os
import socket
import subprocess

import pytest
from support import databases, formats, servers


@pytest.fixture(scope="module", autouse=True)
def ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError as error:
        pytest.skip(f"no ::1 on this machine: {error}")


def serve(kind, folder):
    try:
        return kind(folder, address="::1")
    except servers.Missing as missing:
        return pytest.skip(str(missing))


@pytest.fixture(scope="module")
def postgres6(root):
    server = serve(servers.Postgres, root / "pg6")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def mysql6(root):
    server = serve(servers.MariaDB, root / "my6")
    yield server
    server.stop()


def migrated(lockstep, database, host, **more):
    lockstep.migrations(formats.plain(formats.users()[:2]))
    try:
        url = {"DATABASE_URL": database.server.url(database.name, host=host)}
        assert lockstep.run("migrate", env=url, **more).applied() == 2
        assert lockstep.run("migrate", env=url, **more).applied() == 0
        assert lockstep.status(env=url, **more)["state"] == "current"
        assert database.exists("person")
        # Nobody listens there: had this worked, the above would say nothing.
        wrong = {"DATABASE_URL": database.server.url(database.name, host="127.0.0.1")}
        lockstep.run("migrate", "--wait", "0", env=wrong, expect=4, **more)
    finally:
        database.drop()


@pytest.mark.parametrize("host", ["[::1]", "[0:0:0:0:0:0:0:1]"])
def test_postgres(lockstep, postgres6, host):
    migrated(lockstep, databases.PostgresDatabase(postgres6), host)


@pytest.mark.parametrize("host", ["[::1]", "[0:0:0:0:0:0:0:1]"])
def test_mysql(lockstep, mysql6, host):
    migrated(lockstep, databases.MysqlDatabase(mysql6), host)


@pytest.fixture
def both(lockstep):
    """A prefix under which `both.test` has an address of each family."""
    hosts = lockstep.write("hosts", "127.0.0.1 both.test\n::1 both.test\n")
    enter = ["unshare", "--mount"] if os.getuid() == 0 else ["unshare", "-r", "--mount"]
    if subprocess.run([*enter, "true"], check=False).returncode:
        pytest.skip("no mount namespaces here")
    return [*enter, "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', hosts]


def test_postgres_by_name(lockstep, postgres6, both):
    """One address refuses, and the next one of the name is tried."""
    migrated(lockstep, databases.PostgresDatabase(postgres6), "both.test", prefix=both)


def test_mysql_by_name(lockstep, mysql6, both):
    migrated(lockstep, databases.MysqlDatabase(mysql6), "both.test", prefix=both)
