# SPDX-License-Identifier: Apache-2.0
"""The fixture projects do what they are for, by the tools' own commands, without lockstep."""

import time

import pytest
from support import tools
from support.binary import SOAK


@pytest.fixture(
    params=[(c, e) for c in tools.CASES for e in c.engines], ids=lambda p: f"{p[0].name}-{p[1]}"
)
def project(request, lockstep):
    tool, engine = request.param
    if tool.missing(engine):
        pytest.skip(tool.missing(engine))
    one = tools.Project(tool, lockstep, request.getfixturevalue(engine))
    yield one
    one.close()


class TestFixtures:
    __test__ = SOAK  # lockstep has no part in it

    def test_steps(self, project):
        project.own()
        assert project.starts(), "no wrapper was started"
        columns, posts = project.contents()
        assert columns["users"] == ["id", "name", "email"] and posts == ["first"]
        if project.tool.table:
            assert project.versions() >= 1
        project.own()
        project.add("new")
        project.own()
        assert project.contents()[0]["users"] == ["id", "name", "email", "age"]

    def test_broken(self, project):
        project.add("broken")
        project.own(expect=1)
        assert not project.db.exists("users") or project.contents()[1] == ["first"]

    def test_slow(self, project):
        project.own()
        project.add("slow")
        began = time.monotonic()
        project.own()
        assert time.monotonic() - began > 1
        assert project.hits() == 1
