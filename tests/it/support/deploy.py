# SPDX-License-Identifier: Apache-2.0
"""What tests of `lockstep deploy` share: images with lockstep in them, and an engine to run it on."""

import functools
import os
import pathlib
import re
import subprocess

from .binary import BINARY
from .engine import Link, packed

SERVE = 'CMD ["httpd", "-f", "-p", "8000", "-h", "/app/www"]'


CURL = "/usr/lib/x86_64-linux-gnu/libcurl.so.4"


@functools.cache
def binary_files():
    """The binary under test and all that it loads, as files of an image."""
    files = {"/usr/local/bin/lockstep": BINARY.resolve()}
    for program in (BINARY, CURL):
        done = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
        for path in re.findall(r"(/\S+) \(0x", done.stdout):
            files[path] = pathlib.Path(path).resolve()
    files[CURL] = pathlib.Path(CURL).resolve()
    return files


class Site:
    """An engine, a project directory that deploys to it, and images of a service."""

    def __init__(self, engine, lockstep, app="web"):
        self.engine, self.lockstep, self.app = engine, lockstep, app
        lockstep.env |= {
            "DOCKER_HOST": f"unix://{engine.folder}/socket",
            "DOCKER_CONFIG": str(engine.folder / "config"),
            "DOCKER_BUILDKIT": "0",
        }

    def base(self):
        """The image `base`: busybox, lockstep and what it loads; made once an engine."""
        if "base" not in self.engine.__dict__:
            self.engine.base = True
            files = {f"root{path}": content for path, content in binary_files().items()}
            self.build("base", "FROM busybox\nCOPY root /", files)
        return "base"

    def clean(self):
        """No container, no volume of ours: what the test before left."""
        names = self.containers()
        if names:
            self.engine.docker("rm", "--force", "--volumes", *names)
        self.engine.docker("volume", "rm", "--force", "data")

    def build(self, name, dockerfile, files):
        context = packed(files | {"Dockerfile": dockerfile})
        self.engine.docker("build", "-q", "-t", name, "-", stdin=context)

    def image(self, version, migrations=None, *config, files=None, with_lockstep=True):
        """The image web:VERSION: a service that answers with its version at /, and its migrations
        in /app/migrations. The same name may be made again."""
        content = {"app/www/index.html": f"version {version}\n"}
        content |= {f"app/migrations/{path}": text for path, text in (migrations or {}).items()}
        content |= files or {}
        lines = [f"FROM {self.base() if with_lockstep else 'busybox'}", "WORKDIR /app"]
        # As process 1 httpd does not heed SIGTERM.
        lines += ["COPY app /app", "EXPOSE 8000", "STOPSIGNAL SIGKILL", SERVE, *config]
        name = f"{self.app}:{version}"
        self.build(name, "\n".join(lines), content)
        return name

    def deploy(self, image, *more, **options):
        """`lockstep deploy` of it; a health check makes it quick."""
        return self.lockstep.run(
            "deploy", "--target", "docker", "--app", self.app, "--image", image, *more, **options
        )

    def start(self, image, *more, **options):
        return self.lockstep.start(
            "deploy", "--target", "docker", "--app", self.app, "--image", image, *more, **options
        )

    def serves(self, name=None):
        """What the service answers, asked from inside; None where it does not run."""
        done = self.engine.docker(
            "exec", name or self.app, "wget", "-q", "-O", "-", "http://127.0.0.1:8000/", expect=None
        )
        return done.stdout.strip() if done.returncode == 0 else None

    def containers(self):
        """Names of all containers, those that do not run too."""
        done = self.engine.docker("ps", "--all", "--format", "{{.Names}}")
        return sorted(done.stdout.split())

    def query(self, sql, database="/data/app.db", volume="data"):
        """Rows of the service's SQLite database, as text, by a container of the first image."""
        data = self.engine.docker(
            "run", "--rm", "-v", f"{volume}:/data", "busybox", "cat", database
        ).raw
        path = self.lockstep.tmp / f"copy-{os.getpid()}.db"
        path.write_bytes(data)
        done = subprocess.run(
            ["sqlite3", path, sql], capture_output=True, text=True, check=True
        ).stdout
        path.unlink()
        return done.split()
