# SPDX-License-Identifier: Apache-2.0
"""A server with Dokku for tests of `lockstep deploy`: the stand-in behind a real sshd, its apps on a
real engine, and beside it an account that may use Docker."""

import functools
import json
import pathlib
import re
import shutil
import sqlite3
import subprocess

from . import deploy, net
from .binary import ROOT
from .servers import Missing
from .ssh import Sshd

STANDIN = ROOT / "tests/standins/dokku"


def program_files(name):
    """A program of this machine and what it loads, as files of an image."""
    program = pathlib.Path(shutil.which(name)).resolve()
    done = subprocess.run(["ldd", program], capture_output=True, text=True, check=True)
    libraries = re.findall(r"(/\S+) \(0x", done.stdout)
    files = {f"root{path}": pathlib.Path(path).resolve() for path in libraries}
    return files | {f"root/bin/{name}": program}


class Server:
    """A context manager: sshd, the engine, and a registry, which gives images their digests."""

    def __init__(self, engine, folder):
        for program in ("docker-registry", "bash"):
            if not shutil.which(program):
                raise Missing(f"{program} is not installed")
        self.engine, self.folder = engine, pathlib.Path(folder)
        self.state = self.folder / "dokku"
        self.state.mkdir(parents=True)
        self.knobs = self.folder / "knobs"
        self.set()
        words = f"/bin/sh {self.knobs} /usr/bin/python3 {STANDIN}"
        address = {"DOCKER_HOST": f"unix://{engine.folder}/socket"}
        self.data = self.folder / "data"
        self.data.mkdir()
        self.baseline, self.images = None, {}
        self.sshd = Sshd(self.folder / "sshd", {"dokku": words}, {"deploy": address})

    def __enter__(self):
        # sshd is the first to say that this machine cannot do it.
        self.sshd.__enter__()
        return self

    def __exit__(self, *exception):
        self.sshd.__exit__(*exception)
        names = self.engine.docker("ps", "--all", "--quiet").stdout.split()
        if names:
            self.engine.docker("rm", "--force", "--volumes", *names)
        self.engine.docker("network", "rm", "backend", expect=None)

    def set(self, **variables):
        """Variables of the stand-in, from now on."""
        values = {
            "STANDIN_ROOT": self.state,
            "STANDIN_CHECK_SECONDS": "0.2",
            "DOCKER_HOST": f"unix://{self.engine.folder}/socket",
            **variables,
        }
        lines = [f"export {name}='{value}'" for name, value in values.items()]
        lines += [f'echo "$*" >>{self.folder}/calls', 'exec "$@"']
        self.knobs.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def calls(self, word):
        """How many commands with this word there were."""
        path = self.folder / "calls"
        return path.read_text(encoding="utf-8").count(word) if path.exists() else 0

    def dokku(self, *words, expect=0):
        """A Dokku command, as its administrator types it."""
        done = subprocess.run(
            ["/bin/sh", self.knobs, "/usr/bin/python3", STANDIN, *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == expect, (words, done)
        return done.stdout + done.stderr


class DokkuSite(deploy.Site):
    """An app `api`, its database in a folder that is mounted, and images in a registry."""

    def __init__(self, server, lockstep):
        super().__init__(server.engine, lockstep, app="api")
        self.server, self.data = server, server.data
        self.state = server.state / "apps/api/app.json"
        self.one = None
        server.sshd.client(lockstep.bin)
        server.sshd.know(server.sshd.folder / "host.pub")
        server.set()
        (self.state.parent / ".deploy.lock").unlink(missing_ok=True)

    def create(self):
        """An app that was never deployed, with an empty database."""
        self.clean()
        self.server.baseline = None
        shutil.rmtree(self.server.state / "apps", ignore_errors=True)
        for path in self.data.iterdir():
            path.unlink()
        self.dokku("apps:create", "api")
        self.change("options", {"build": [], "deploy": self.mounts(), "run": self.mounts()})
        self.change("config", {"DATABASE_URL": "sqlite:////data/app.db"})
        return self

    def run(self, migrations):
        """Version 1 serves, with these migrations: as a test before left it, where it did."""
        container, state, files = self.server.baseline or (None, "", {})
        if (
            container
            and self.left() == []
            and self.engine.docker(
                "inspect", "-f", "{{.State.Running}}", container, expect=None
            ).stdout.strip()
            == "true"
        ):
            for path in self.data.iterdir():
                path.unlink()
            for name, content in files.items():
                (self.data / name).write_bytes(content)
            self.state.write_text(state, encoding="utf-8")
        else:
            self.create().dokku("git:from-image", "api", self.image("1", migrations))
            files = {path.name: path.read_bytes() for path in self.data.iterdir()}
            container = self.now()["container"]
            self.server.baseline = container, self.state.read_text(encoding="utf-8"), files
        self.one = self.now()["repository"][-1]
        return self

    def clean(self):
        names = [name for name in self.containers() if name != "registry"]
        if names:
            self.engine.docker("rm", "--force", "--volumes", *names)

    def mounts(self):
        return [f"-v {self.data}:/data"]

    def dokku(self, *words, **options):
        return self.server.dokku(*words, **options)

    def now(self):
        """The app's state in the stand-in."""
        return json.loads(self.state.read_text(encoding="utf-8"))

    def change(self, key, value):
        self.state.write_text(json.dumps({**self.now(), key: value}), encoding="utf-8")

    @functools.cached_property
    def registry(self):
        """Its address: inside the engine's own network, where alone it is reached."""
        if "registry" not in self.containers():
            config = "version: 0.1\nstorage: {inmemory: {}}\nhttp: {addr: 127.0.0.1:5000}\n"
            files = program_files("docker-registry") | {"root/config.yml": config}
            dockerfile = "FROM busybox\nCOPY root /\n"
            self.build(
                "registry", dockerfile + 'CMD ["docker-registry", "serve", "/config.yml"]', files
            )
            self.engine.docker("run", "-d", "--name", "registry", "--network", "host", "registry")
            net.until(
                lambda: "listening on" in self.engine.docker("logs", "registry").stderr,
                what="the registry's start",
            )
        return "localhost:5000"

    def base(self):
        """With the shell that Dokku wants for a release task."""
        if "dokku_base" not in self.engine.__dict__:
            self.engine.dokku_base = True
            lines = f"FROM {super().base()}\nCOPY root /\n"
            self.build("dokku-base", lines, program_files("bash"))
        return "dokku-base"

    def image(self, version, migrations=None, *config, **more):
        """localhost:5000/api:VERSION in the registry, as `name@digest`. `release` and `web` are the
        Procfile's lines; the rest is as Site has it. Made once a session."""
        made = repr((version, migrations, config, more))
        if made not in self.server.images:
            self.server.images[made] = self._image(version, migrations, *config, **more)
        return self.server.images[made]

    def _image(
        self,
        version,
        migrations,
        *config,
        release="lockstep migrate",
        web="httpd -f -p 8000 -h /app/www",
        files=None,
        **more,
    ):
        files = dict(files or {})
        if release:
            files["app/Procfile"] = f"web: {web}\nrelease: {release}\n"
        local = super().image(version, migrations, *config, files=files, **more)
        name = f"{self.registry}/{local}"
        self.engine.docker("tag", local, name)
        pushed = self.engine.docker("push", name).stdout
        return f"{self.registry}/{self.app}@{re.search('sha256:[0-9a-f]{64}', pushed)[0]}"

    def words(self, image, *more):
        host = self.server.sshd.address("dokku")
        return [
            "deploy",
            "--target",
            "dokku",
            "--host",
            host,
            "--app",
            "api",
            "--image",
            image,
            *more,
        ]

    def deploy(self, image, *more, **options):
        return self.lockstep.run(*self.words(image, *more), **options)

    def start(self, image, *more, **options):
        return self.lockstep.start(*self.words(image, *more), **options)

    def outside(self):
        """The option for migrations outside of the release phase."""
        return "--docker-host", f"ssh://{self.server.sshd.address('deploy')}"

    def serves(self, name=None):
        return super().serves(name or "api.web.1")

    def rows(
        self, sql="SELECT version FROM lockstep_migrations WHERE state = 'applied' ORDER BY 1"
    ):
        connection = sqlite3.connect(self.data / "app.db")
        try:
            return [row[0] for row in connection.execute(sql)]
        finally:
            connection.close()

    def left(self):
        """Containers that should not be there after a deploy."""
        return [name for name in self.containers() if name not in ("registry", "api.web.1")]
