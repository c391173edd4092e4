# SPDX-License-Identifier: Apache-2.0
"""`lockstep deploy --target dokku`: a stand-in for Dokku behind a real sshd, on a real engine."""

import pytest
from support import dokku, servers

ONE = {"001_users.sql": "CREATE TABLE users (id integer);"}
TWO = ONE | {"002_email.sql": "ALTER TABLE users ADD COLUMN email text;"}
BROKEN = ONE | {"002_email.sql": "ALTER TABLE nobody ADD COLUMN email text;"}


@pytest.fixture(scope="module")
def server(engine, tmp_path_factory):
    try:
        made = dokku.Server(engine, tmp_path_factory.mktemp("dokku"))
        with made.sshd:
            yield made
    except servers.Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def site(server, lockstep, tmp_path):
    return dokku.DokkuSite(server, lockstep, tmp_path)


@pytest.fixture
def running(site):
    """Version 1 serves."""
    site.one = site.image("1", ONE)
    site.deploy(site.one)
    return site


# -- the release phase


def test_release_phase(running):
    two = running.image("2", TWO)
    result = running.deploy(two)
    assert running.serves() == "version 2" and running.rows() == ["001", "002"]
    assert running.left() == []
    assert "the release phase migrates: lockstep migrate" in result.err
    assert "migration: Migration applied: 002" in result.err
    assert f"Deploy finished: api serves {two}; the schema is at 002 (1 applied" in result.err
