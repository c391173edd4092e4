# SPDX-License-Identifier: Apache-2.0
"""Starts around other people's tools: with nothing pending, and twenty replicas at once.

The projects are those of the tests (tests/tools). Each tool is compared with itself: the command
that lockstep starts, in the same project, on the same database.
"""

import pathlib
import random
import re
import shutil
import statistics
import sys

from timing import Program, Turns, median_ratio

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "tools"
MODULES = FIXTURES / "node/node_modules"
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
TOOLS = {
    "Django": ("django", ["/usr/bin/python3", "manage.py", "migrate", "--noinput"], {}),
    "Alembic": ("alembic", ["alembic", "upgrade", "head"], {}),
    "Flask-Migrate": ("flask-migrate", ["flask", "db", "upgrade"], {}),
    "Rails": ("rails", ["bin/rails", "db:migrate"], {"RAILS_ENV": "production"}),
    "Prisma": ("prisma", ["node_modules/.bin/prisma", "migrate", "deploy"],
               {"CHECKPOINT_DISABLE": "1", "PRISMA_HIDE_UPDATE_MESSAGE": "1"}),
    "Knex": ("knex", ["node_modules/.bin/knex", "migrate:latest"], {}),
}
NODE = ("Prisma", "Knex")
BUDGET = 20  # seconds for a tool's own runs: more rounds of the fast ones, where a ratio is noisier
PSQL = "psql -X -c 'select 1'"


class Project:
    """A tool's project in a folder of its own."""

    def __init__(self, bench, title):
        name, self.command, self.env = TOOLS[title]
        self.title, self.bench = title, bench
        self.folder = bench.home / "projects" / name
        self.home = bench.home / "home"
        self.home.mkdir(exist_ok=True)
        if not self.folder.exists():
            shutil.copytree(FIXTURES / name / "base", self.folder)
            if title in NODE:
                (self.folder / "node_modules").symlink_to(MODULES)

    def program(self, name, argv, database):
        return Program(name, argv, self.folder, **{
            **self.env, "PATH": SYSTEM_PATH, "HOME": self.home,
            "DATABASE_URL": self.bench.server.url(database)})

    def own(self, database):
        return self.program(" ".join(self.command).replace("/usr/bin/", ""), self.command, database)

    def run(self, database):
        return self.program("lockstep run -- true", [self.bench.lockstep, "run", "--", "true"],
                            database)


def nothing_to_do(bench, title):
    section = f"Nothing to do, {title}, PostgreSQL"
    print(section)
    project, database = Project(bench, title), f"noop_{TOOLS[title][0].replace('-', '_')}"
    bench.server.fresh(database)
    lockstep, own = project.run(database), project.own(database)
    psql = Program(PSQL, [bench.psql, "-X", "-c", "select 1", bench.server.url(database)])
    programs = [lockstep, psql, own]
    for program in programs:
        program.time()
    said = bench.crowd(lockstep, 1)[1]
    if "nothing is pending" not in said:
        sys.exit(f"{section}: something was done:\n{said}")
    turns = Turns(programs, bench.rounds(max(15, min(91, int(BUDGET / own.time())))))
    for program in programs:
        bench.row(section, program.name, f"{turns.median(program) * 1000:.1f} ms")
    bench.target(section, "30 x lockstep / the tool", 30 * turns.ratio(lockstep, own), 1)
    bench.target(section, "lockstep / psql", turns.ratio(lockstep, psql), 1.5)


def replicas(bench, size):
    """All are up when the last has become its program."""
    section = f"{size} replicas of a Django service at once, PostgreSQL"
    print(section)
    project = Project(bench, "Django")
    run, alone, together = project.run("crowd_django"), [], []
    for _ in range(bench.rounds(61)):
        for count, times in random.sample([(1, alone), (size, together)], 2):
            bench.server.fresh("crowd_django")
            seconds, text = bench.crowd(run, count)
            times.append(seconds)
            starts = len(re.findall(r"Operations to perform", text))
            if starts != 1:
                sys.exit(f"Django was started {starts} times:\n{text[-4000:]}")
    bench.row(section, "one process alone", f"{statistics.median(alone):.2f} s")
    bench.row(section, f"{size} processes", f"{statistics.median(together):.2f} s")
    bench.row(section, "Django was started", "once")
    bench.target(section, "together / alone", median_ratio(together, alone), 1.2)


def missing(title):
    """Why it cannot be measured here, or None."""
    name = TOOLS[title][0]
    if title in NODE and not (MODULES / name).is_dir():
        return f"tests/tools/node has no {name}"
    program = TOOLS[title][1][0]
    if title not in NODE and not shutil.which("ruby" if title == "Rails" else program,
                                              path=SYSTEM_PATH):
        return f"{program} is not installed"
    return None


def measure(bench):
    for title in TOOLS:
        why = missing(title)
        if why:
            print(f"SKIP  {title}: {why}")
        else:
            nothing_to_do(bench, title)
    replicas(bench, 20)
