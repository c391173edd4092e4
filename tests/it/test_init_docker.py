# SPDX-License-Identifier: Apache-2.0
"""What `init` writes, on a real container engine: images are built and started, a swarm migrates.

The engine has no way out, so the base images are stand-ins of their names: a shell, the libraries that
the binary under test needs, and a `pip` and an `npm` that install nothing.
"""

import pathlib
import re
import shutil
import subprocess

import pytest
from support import net
from support.binary import BINARY
from support.engine import Link
from test_init import PROJECTS, init, project

PASSWD = (
    "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\nnode:x:1000:1000::/:/bin/sh\n"
)
BASES = {"python:3.12-slim": "pip", "node:22-slim": "npm", "debian:bookworm-slim": "true"}


def libraries():
    """{path: file} of what the binary is linked with; nothing where it is static."""
    done = subprocess.run(["ldd", BINARY], capture_output=True, text=True, check=False)
    return {
        path: pathlib.Path(path).read_bytes() for path in re.findall(r"(/\S+) \(0x", done.stdout)
    }


@pytest.fixture(scope="module")
def images(engine):
    """The engine with the base images and the image that holds lockstep."""
    version = subprocess.run(
        [BINARY, "version"], capture_output=True, text=True, check=True
    ).stdout.split()[1]
    engine.image_from_files(f"lockstep:{version}", {"/lockstep": (BINARY.read_bytes(), 0o755)})
    archive = engine.docker("export", engine.docker("create", "busybox", "true").stdout.strip()).raw
    for name, installer in BASES.items():
        engine.image_from_tar("base", archive, 'CMD ["sh"]', "ENV PATH=/usr/local/bin:/bin")
        folder = engine.folder / "base"
        folder.mkdir(exist_ok=True)
        for path, data in libraries().items():
            (folder / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
            (folder / path.lstrip("/")).write_bytes(data)
            (folder / path.lstrip("/")).chmod(0o755)
        (folder / "usr/local/bin").mkdir(parents=True, exist_ok=True)
        (folder / f"usr/local/bin/{installer}").write_text(
            '#!/bin/sh\necho "$0 $*" >> /installed\n'
        )
        (folder / f"usr/local/bin/{installer}").chmod(0o755)
        (folder / "etc").mkdir(exist_ok=True)
        (folder / "etc/passwd").write_text(PASSWD)
        (folder / "Dockerfile").write_text("FROM base\nCOPY . /\n")
        engine.docker("build", "-q", "-t", name, folder)
    return engine


def build(engine, app, tag):
    engine.docker("build", "-q", "-t", tag, app.dir)
    return engine.inspect(tag)["Config"]


@pytest.mark.parametrize(
    "name, installed, user",
    [
        ("django", "pip install --no-cache-dir -r requirements.txt", "nobody"),
        ("node", "npm ci --omit=dev", "node"),
        ("empty", None, "nobody"),
    ],
)
def test_dockerfile_builds(lockstep, images, name, installed, user):
    project(lockstep, name)
    more = ("--", "serve", "a b") if name == "empty" else ()
    for platform, entrypoint in {"docker": ["lockstep", "run", "--"], "dokku": None}.items():
        init(lockstep, platform, "--port", "9000", "--force", *more)
        config = build(images, lockstep, f"init-{name}")
        assert config["Entrypoint"] == entrypoint
        assert (
            config["Cmd"]
            == {
                "django": ["gunicorn", "shop.wsgi"],
                "empty": ["serve", "a b"],
                "node": ["node", "server.js", "--title", "a b"],
            }[name]
        )
        assert config["User"] == user and list(config["ExposedPorts"]) == ["9000/tcp"]
        assert "PORT=9000" in config["Env"] and config["WorkingDir"] == "/app"
        done = images.docker(
            "run",
            "--rm",
            "--entrypoint",
            "sh",
            f"init-{name}",
            "-c",
            "cat /installed 2>/dev/null; lockstep --version; ls",
        )
        assert installed is None or f"/usr/local/bin/{installed}\n" in done.stdout
        assert "lockstep 0." in done.stdout
        assert all(path.split("/")[0] in done.stdout for path in PROJECTS[name])


def test_image_migrates_then_serves(lockstep, images):
    lockstep.migrations({"001_note.sql": "CREATE TABLE note (id integer PRIMARY KEY);\n"})
    lockstep.write(".env", "SECRET=1\n")
    init(lockstep, "docker", "--", "sh", "-c", "echo serving as $$; ls -A")
    build(images, lockstep, "init-serves")
    run = (
        "run",
        "--rm",
        "--env",
        "DATABASE_URL=sqlite:////data/app.db",
        "--tmpfs",
        "/data:mode=777",
    )
    done = images.docker(*run, "init-serves")
    assert "Migration applied: 001 note" in done.stderr
    assert "serving as 1\n" in done.stdout, "the service is the container's first process"
    assert ".env" not in done.stdout.split(), "secrets stay out of the image"
    done = images.docker(*run, "init-serves", "lockstep", "migrate")
    assert "Migration finished" in done.stderr and "serving" not in done.stdout
    lockstep.write("migrations/002_bad.sql", "CREATE TABLE note (x integer);\n")
    build(images, lockstep, "init-serves")
    done = images.docker(*run, "init-serves", expect=1)
    assert "Migration failed" in done.stderr and "serving" not in done.stdout


def test_image_runs_as_the_only_user_of_a_read_only_container(lockstep, images):
    lockstep.migrations({"001_note.sql": "CREATE TABLE note (id integer PRIMARY KEY);\n"})
    init(lockstep, "docker", "--", "sh", "-c", "id -u")
    build(images, lockstep, "init-read-only")
    done = images.docker(
        "run",
        "--rm",
        "--read-only",
        "--cap-drop",
        "ALL",
        "--tmpfs",
        "/data:mode=777",
        "--env",
        "DATABASE_URL=sqlite:////data/app.db",
        "init-read-only",
    )
    assert done.stdout == "65534\n" and "Migration applied" in done.stderr


# -- Swarm ----------------------------------------------------------------------------------------

STACK = """
services:
  web:
    image: ${IMAGE:?}
    command: ["sleep", "1000"]
    networks: [host]
networks:
  host: {external: true}
"""


@pytest.fixture(scope="module")
def swarm(images):
    images.docker("swarm", "init", "--advertise-addr", "127.0.0.1")
    yield images
    images.docker("swarm", "leave", "--force")


def swarm_image(engine, name, migrate):
    """An image whose lockstep does as told."""
    busybox = (pathlib.Path(shutil.which("busybox")).read_bytes(), 0o755)
    files = {f"/bin/{each}": Link("busybox") for each in ("sh", "sleep", "cat", "mkdir")}
    files |= {
        "/bin/busybox": busybox,
        "/usr/local/bin/lockstep": (f"#!/bin/sh\n{migrate}\n", 0o755),
    }
    engine.image_from_files(name, files, "ENV PATH=/usr/local/bin:/bin")


def start(app, engine, image):
    return subprocess.Popen(
        ["swarm/deploy.sh", image],
        cwd=app.dir,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=net.die_with_parent,
        env={
            "PATH": app.env["PATH"],
            "HOME": str(engine.folder),
            "NETWORK": "",
            "DOCKER_HOST": f"unix://{engine.folder}/socket",
        },
    )


def deploy(app, engine, image, expect):
    process = start(app, engine, image)
    out, err = process.communicate(timeout=90)
    assert process.returncode == expect, (out, err)
    return out, err


def services(engine):
    return sorted(
        engine.docker("service", "ls", "--format", "{{.Name}} {{.Image}}").stdout.splitlines()
    )


def test_swarm(lockstep, swarm):
    init(lockstep, "swarm", "--app", "shop")
    (lockstep.dir / "swarm/stack.yaml").write_text(STACK)
    swarm.docker("secret", "create", "shop_database_url", "-", stdin=b"postgres://x@y/z")
    swarm_image(swarm, "good:1", 'cat "$DATABASE_URL_FILE"; echo " migrated"')
    swarm_image(swarm, "bad:1", "echo no such table; exit 1")

    # A failed migration: nothing is deployed, nothing is left behind.
    _, err = deploy(lockstep, swarm, "bad:1", 1)
    assert "no such table" in err and "exit code 1" in err and "The stack was not touched" in err
    assert services(swarm) == []

    out, _ = deploy(lockstep, swarm, "good:1", 0)
    assert "postgres://x@y/z migrated" in out
    assert services(swarm) == ["shop_web good:1"]

    # The old version serves on when the next one's migration fails.
    deploy(lockstep, swarm, "bad:1", 1)
    assert services(swarm) == ["shop_web good:1"]

    # Two at once: the second ends, and leaves the first one's job alone.
    swarm_image(swarm, "slow:1", "while [ ! -e /tmp/go ]; do sleep 0.1; done; echo late")
    first = start(lockstep, swarm, "slow:1")
    net.until(lambda: task(swarm), timeout=30, what="the job's container")
    _, err = deploy(lockstep, swarm, "good:1", 1)
    assert "Is another deploy under way?" in err
    swarm.docker("exec", task(swarm), "sh", "-c", "mkdir -p /tmp; : > /tmp/go")
    out, err = first.communicate(timeout=60)
    assert first.returncode == 0 and "late" in out, (out, err)
    assert services(swarm) == ["shop_web slow:1"]


def task(engine):
    names = engine.docker(
        "ps", "--filter", "name=shop-migrate", "--format", "{{.Names}}"
    ).stdout.split()
    return names[0] if names else None
