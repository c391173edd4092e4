# SPDX-License-Identifier: Apache-2.0
"""The design "automatic migrations on startup": an image whose entrypoint migrates under AUTO_MIGRATE,
started as several replicas at once on a swarm. Its framework, Flask-Migrate on Alembic, takes no lock."""

import os
import pathlib
import re
import subprocess

import pytest
from support import net, swarm
from support.binary import ROOT
from support.engine import Engine, Link
from support.servers import Missing

PACKAGES = (
    "alembic sqlalchemy mako markupsafe flask werkzeug jinja2 click itsdangerous flask_sqlalchemy "
    "flask_migrate simplejson typing_extensions.py six.py dateutil"
).split()
LEFT_OUT = "__pycache__ test idlelib tkinter ensurepip lib2to3 pydoc_data turtledemo".split()
PROJECT = ROOT / "tests/tools/flask-migrate/base"


def tree(top, into):
    """{path in the image: file} of what lies below a directory, or of a file."""
    files = {into: top} if top.is_file() else {}
    for folder, folders, names in os.walk(top):
        folders[:] = [one for one in folders if one not in LEFT_OUT and "config-" not in one]
        for name in names:
            path = pathlib.Path(folder) / name
            files[f"{into}/{path.relative_to(top)}"] = path.resolve()
    return files


def python():
    """Debian's Python with the framework, and the libraries that both load."""
    program = pathlib.Path("/usr/bin/python3").resolve()
    lib = pathlib.Path(f"/usr/lib/{program.name}")
    files = {f"root/usr/bin/{program.name}": program, "root/usr/bin/python3": Link(program.name)}
    files |= tree(lib, f"root{lib}")
    shelf = pathlib.Path("/usr/lib/python3/dist-packages")
    for path in [*(shelf / name for name in PACKAGES), *shelf.glob("*lask*-info")]:
        files |= tree(path, f"root{path}")
    files["root/usr/bin/flask"] = pathlib.Path("/usr/bin/flask")
    loaded = [program, *lib.glob("lib-dynload/_sqlite3*"), *lib.glob("lib-dynload/_ctypes.*")]
    listed = subprocess.run(["ldd", *loaded], capture_output=True, text=True, check=True).stdout
    for path in re.findall(r"(/\S+) \(0x", listed):
        files[f"root{path}"] = pathlib.Path(path).resolve()
    return files


@pytest.fixture
def stack(lockstep):
    """On an engine of its own: four replicas start where no other test has left tasks and networks."""
    engine = Engine()
    try:
        engine.__enter__()
    except Missing as missing:
        pytest.skip(str(missing))
    stack = swarm.Stack(engine, lockstep)
    stack.clean()
    yield stack
    engine.stop()


def test_four_replicas_at_once(stack):
    """One migrates, the others wait, all serve; the row that a migration adds is there once."""
    files = python() | {
        f"app/{path.relative_to(PROJECT)}": path for path in PROJECT.rglob("*") if path.is_file()
    }
    files["app/www/index.html"] = "well\n"
    lines = [
        f"FROM {stack.base()}", "COPY root /", "COPY app /app", "WORKDIR /app",
        "ENV FLASK_APP=app.py DATABASE_URL=sqlite:////data/app.db PATH=/usr/local/bin:/usr/bin:/bin",
        "STOPSIGNAL SIGKILL", 'ENTRYPOINT ["lockstep", "run", "--"]',
        'CMD ["httpd", "-f", "-p", "8000", "-h", "/app/www"]',
    ]  # fmt: skip
    stack.build("seed:1", "\n".join(lines), files)
    stack.engine.docker(
        "service", "create", "--detach", "--no-resolve-image", "--name", "shop_web",
        "--replicas", 4, "--env", "AUTO_MIGRATE=true",
        "--mount", "type=volume,source=shop_data,target=/data", "seed:1",
    )  # fmt: skip
    try:
        net.until(lambda: stack.serve() == ["well"] * 4, timeout=90, what="four that serve")
    except AssertionError as late:
        tasks = stack.engine.docker("service", "ps", "--no-trunc", "shop_web").stdout
        logs = stack.engine.docker("service", "logs", "shop_web", expect=None)
        raise AssertionError(f"{late}\n{tasks}\n{logs.stdout}\n{logs.stderr}") from None
    done = stack.engine.docker("service", "logs", "--raw", "shop_web")
    log = done.stdout + done.stderr
    assert log.count("Migration started") == 1 and log.count("Migration applied: a") == 3, log
    posts = stack.query("SELECT count(*) FROM posts", volume="shop_data")
    version = stack.query("SELECT version_num FROM alembic_version", volume="shop_data")
    runs = stack.query("SELECT tool, outcome FROM lockstep_runs", volume="shop_data")
    assert (posts, version) == (["1"], ["a3"]) and runs == ["flask-migrate|succeeded"], log
