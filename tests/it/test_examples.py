# SPDX-License-Identifier: Apache-2.0
"""The examples work as they are written: each line of their console blocks is run."""

import os
import pathlib
import re
import shlex
import shutil
import subprocess
import time
import urllib.parse
import urllib.request

import pytest
import yaml
from support import net

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LOCKSTEP = pathlib.Path(os.environ.get("LOCKSTEP", ROOT / "build/lockstep"))


def console_lines(text):
    """The commands of ```console blocks: lines that begin with `$ `."""
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                yield line[2:]


def environment(tmp_path, **more):
    """PATH finds lockstep first; nothing of the caller's settings is passed on."""
    programs = tmp_path / "bin"
    programs.mkdir(exist_ok=True)
    link = programs / "lockstep"
    if not link.exists():
        link.symlink_to(LOCKSTEP)
    return {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(tmp_path), **more}


def run_lines(folder, env):
    lines = list(console_lines((folder / "README.md").read_text(encoding="utf-8")))
    assert lines
    for line in lines:
        done = subprocess.run(
            shlex.split(line),
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}"
        yield line, done.stdout


def copy(name, tmp_path):
    return pathlib.Path(shutil.copytree(ROOT / "examples" / name, tmp_path / name))


def test_sqlite_quickstart(tmp_path):
    folder = copy("sqlite-quickstart", tmp_path)
    outputs = list(run_lines(folder, environment(tmp_path)))
    assert any(
        "The schema was ready before the service was." in text
        for line, text in outputs
        if line.startswith("lockstep run")
    )
    assert len(list((folder / "migrations").glob("*add_author*"))) >= 1


def test_postgres_dbmate(tmp_path, pg_url):
    folder = copy("postgres-dbmate", tmp_path)
    outputs = dict(run_lines(folder, environment(tmp_path, DATABASE_URL=pg_url)))
    assert "dbmate" in outputs["lockstep detect"]


@pytest.fixture
def compose():
    return yaml.safe_load((ROOT / "examples/compose/compose.yaml").read_text(encoding="utf-8"))


def entrypoint():
    """ENTRYPOINT and CMD of the Dockerfile, as Docker would join them."""
    text = (ROOT / "examples/compose/Dockerfile").read_text(encoding="utf-8")
    words = []
    for key in ("ENTRYPOINT", "CMD"):
        words += yaml.safe_load(re.search(rf"^{key} (\[.*\])$", text, re.MULTILINE).group(1))
    return words


def test_compose_entrypoint_on_three_replicas(tmp_path, pg_url, compose):
    """Entrypoint, variables and secret of the web service, three times at once, without Docker."""
    server = urllib.parse.urlsplit(pg_url)
    folder = copy("compose", tmp_path)
    secret = tmp_path / "db_password"
    secret.write_text(urllib.parse.unquote(server.password or "any") + "\n", encoding="utf-8")

    variables = {
        name: str(value) for name, value in compose["services"]["web"]["environment"].items()
    }
    variables.update(
        POSTGRES_HOST=server.hostname,
        POSTGRES_PORT=str(server.port),
        POSTGRES_DB=server.path[1:],
        POSTGRES_USER=server.username,
        POSTGRES_PASSWORD_FILE=str(secret),
        ADDRESS="127.0.0.1",
    )
    words = entrypoint()
    assert words[:3] == ["lockstep", "run", "--"]
    words = [word.replace("python3", "/usr/bin/python3") for word in words]
    ports = [net.free_port() for _ in range(compose["services"]["web"]["deploy"]["replicas"])]
    replicas = [
        subprocess.Popen(
            words,
            cwd=folder,
            env=environment(
                tmp_path, **{**variables, "PORT": str(port), "LOCKSTEP_HEALTH": f"127.0.0.1:{port}"}
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for port in ports
    ]
    visits = {ask(port, replica) for port, replica in zip(ports, replicas)}
    for replica in replicas:
        replica.terminate()
    output = "".join(replica.communicate(timeout=30)[0] for replica in replicas)
    assert visits == {"1 visits\n", "2 visits\n", "3 visits\n"}, output
    assert output.count("Migration applied") == 1, output


def ask(port, replica):
    """What the service itself answers, None when it does not; while lockstep migrates it answers 503
    there."""
    deadline = time.monotonic() + 60
    while replica.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5) as answer:
                return answer.read().decode()
        except OSError:
            time.sleep(0.05)
    return None
