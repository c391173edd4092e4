# SPDX-License-Identifier: Apache-2.0
"""The static binary alone in a directory: nothing else of an image is there but two files of names.

Left out (conftest.py) where the binary under test needs shared libraries.
"""

import os
import shutil
import subprocess

import pytest
from support import dns, formats
from support.binary import BINARY
from support.databases import PostgresDatabase

pytestmark = pytest.mark.static
BUNDLES = [
    "etc/ssl/certs/ca-certificates.crt",
    "etc/pki/tls/certs/ca-bundle.crt",
    "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "etc/ssl/ca-bundle.pem",
    "etc/ssl/cert.pem",
]


@pytest.fixture
def bare(lockstep):
    """bare(*words): lockstep as the only program of a root directory."""
    root = lockstep.dir / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/resolv.conf").write_text(f"nameserver {dns.ADDRESS}\n", encoding="ascii")
    (root / "etc/hosts").write_text("127.0.0.1 localhost db.test\n", encoding="ascii")
    shutil.copy(BINARY, root / "lockstep")
    lockstep.migrations(formats.plain(formats.users()[:2]), "root/migrations")
    enter = ["chroot", root] if os.getuid() == 0 else ["unshare", "-r", "chroot", root]

    def run(*words, **more):
        return lockstep.run(*words, prefix=enter, binary="/lockstep", **more)

    run.root = root
    return run


@pytest.fixture
def tls(postgres_tls_server):
    database = PostgresDatabase(postgres_tls_server)
    yield database
    database.drop()


def test_needs_nothing():
    seen = subprocess.run(["readelf", "-ld", BINARY], stdout=subprocess.PIPE, check=True).stdout
    assert b"INTERP" not in seen and b"NEEDED" not in seen


def test_sqlite(bare):
    assert bare("version").out.startswith("lockstep ")
    assert bare("migrate").applied() == 2
    assert bare("migrate").applied() == 0
    assert bare("status", "--json").json()["state"] == "current"
    bare("backup", "copy.db")
    assert (bare.root / "copy.db").stat().st_size > 0
    # It becomes itself: there is no other program.
    assert bare("run", "--", "/lockstep", "version").out.startswith("lockstep ")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "db.test"])
def test_postgres(bare, postgres, host):
    url = {"DATABASE_URL": postgres.server.url(postgres.name, host=host)}
    assert bare("migrate", env=url).applied() == 2
    assert bare("migrate", env=url).applied() == 0


def test_mysql(bare, mysql):
    url = {"DATABASE_URL": mysql.server.url(mysql.name, host="db.test")}
    assert bare("migrate", env=url).applied() == 2
    assert bare("migrate", env=url).applied() == 0


def test_mysql_ed25519(bare, mysql_server, mysql):
    with mysql_server.admin() as cursor:
        cursor.execute("INSTALL SONAME 'auth_ed25519'")
        cursor.execute(
            "CREATE USER 'strong'@'%' IDENTIFIED VIA ed25519 USING PASSWORD('a-password')"
        )
        cursor.execute("GRANT ALL ON *.* TO 'strong'@'%'")
    try:
        url = mysql.server.url(mysql.name, user="strong", password="a-password")
        assert bare("migrate", env={"DATABASE_URL": url}).applied() == 2
    finally:
        with mysql_server.admin() as cursor:
            cursor.execute("DROP USER 'strong'@'%'")
            cursor.execute("UNINSTALL SONAME 'auth_ed25519'")


def verified(tls, more=""):
    query = "?sslmode=verify-full" + more
    return {"DATABASE_URL": tls.server.url(tls.name, host="localhost", query=query)}


@pytest.mark.parametrize("bundle", BUNDLES)
def test_bundle_of_the_image(bare, tls, certificates, bundle):
    (bare.root / bundle).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(certificates.ca, bare.root / bundle)
    assert bare("migrate", env=verified(tls)).applied() == 2
    assert bare("migrate", env=verified(tls, "&sslrootcert=system")).applied() == 0


def test_authority_from_a_variable(bare, tls, certificates):
    shutil.copy(certificates.ca, bare.root / "own.crt")
    assert bare("migrate", env={**verified(tls), "LOCKSTEP_CA": "/own.crt"}).applied() == 2
    pem = certificates.ca.read_text(encoding="ascii")
    result = bare("migrate", env={**verified(tls), "LOCKSTEP_CA": pem}, expect=None)
    assert result.exit == 0 or "/proc" in result.err


def test_no_authority_at_all(bare, tls):
    result = bare("migrate", env=verified(tls), expect=4)
    assert "has no certificate authorities" in result.err and "LOCKSTEP_CA" in result.err
    assert result.seconds < 20


def test_wrong_host_name(bare, tls, certificates):
    shutil.copy(certificates.ca, bare.root / "own.crt")
    url = tls.server.url(tls.name, query="?sslmode=verify-full&sslrootcert=/own.crt")
    bare("migrate", env={"DATABASE_URL": url}, expect=4)


def test_long_answer_of_a_name_server(bare, postgres):
    """musl's resolver must ask again over TCP where an answer does not fit."""
    server = dns.TruncatingServer(filler=0)
    try:
        url = postgres.server.url(postgres.name, host="far.example")
        assert bare("migrate", env={"DATABASE_URL": url}).applied() == 2
        assert server.over_tcp > 0
    finally:
        server.close()


def test_deep_expression(bare, postgres):
    """The parser needs more stack than a small libc gives by itself."""
    text = "SELECT " + "(" * 4000 + "1" + ")" * 4000 + ";\n"
    (bare.root / "migrations/003_deep.sql").write_text(text, encoding="ascii")
    url = {"DATABASE_URL": postgres.server.url(postgres.name)}
    result = bare("migrate", env=url, expect=None)
    assert result.exit in (0, 1, 2), result


def test_both_databases_in_one_binary(bare, postgres, mysql):
    """Functions of one client library must not answer for those of another."""
    for database in (postgres, mysql):
        url = {"DATABASE_URL": database.server.url(database.name)}
        assert bare("migrate", env=url).applied() == 2
        assert bare("status", "--json", env=url).json()["state"] == "current"
