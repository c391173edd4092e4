# SPDX-License-Identifier: Apache-2.0
"""Docker Compose for tests: docker-compose of Debian 12, and the plugin of the docker command, which
Debian 12 has not: what a machine has installed, else that of the next release, fetched once."""

import os
import pathlib
import shutil
import subprocess
import tempfile

from . import debian, deploy, net
from .servers import Missing

PLUGINS = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
)
NEXT = "trixie"
KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"


def plugin():
    """The path of the plugin's program."""
    for folder in PLUGINS:
        if os.access(f"{folder}/docker-compose", os.X_OK):
            return pathlib.Path(folder) / "docker-compose"
    kept = debian.cache() / f"docker-compose-{NEXT}"
    if not kept.is_file():
        fetch(kept)
    return kept


def fetch(into):
    """From the archive that this machine has its own packages from, by its signed index."""
    into.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="lockstep-compose-") as folder:
        os.makedirs(f"{folder}/lists/partial")
        pathlib.Path(f"{folder}/status").touch()
        pathlib.Path(f"{folder}/list").write_text(
            f"deb [signed-by={KEYS}] {debian.mirror()} {NEXT} main\n", encoding="ascii"
        )
        options = {
            "Dir::State": folder, "Dir::State::status": f"{folder}/status",
            "Dir::State::lists": f"{folder}/lists", "Dir::Cache": f"{folder}/cache",
            "Dir::Etc::sourcelist": f"{folder}/list", "Dir::Etc::sourceparts": "-",
            "Acquire::Languages": "none", "APT::Sandbox::User": "root",
        }  # fmt: skip
        words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        for command in (["update"], ["download", "docker-compose"]):
            done = subprocess.run(
                ["apt-get", *words, *command], cwd=folder, capture_output=True, text=True,
                timeout=300, check=False,
            )  # fmt: skip
            if done.returncode:
                raise Missing(f"no Compose plugin, and none to be had: {done.stderr.strip()}")
        package = next(pathlib.Path(folder).glob("docker-compose_*.deb"))
        subprocess.run(["dpkg", "-x", package, f"{folder}/tree"], check=True)
        made = f"{folder}/tree/usr/libexec/docker/cli-plugins/docker-compose"
        shutil.copy(made, f"{into}.{os.getpid()}")
        os.replace(f"{into}.{os.getpid()}", into)


class Project(deploy.Site):
    """A Compose project `shop` in the runner's directory, and a Compose of one kind."""

    def __init__(self, engine, lockstep, kind):
        super().__init__(engine, lockstep)
        self.kind = kind
        link = engine.folder / "config/cli-plugins/docker-compose"
        link.parent.mkdir(exist_ok=True)
        link.unlink(missing_ok=True)
        if kind == "plugin":
            link.symlink_to(plugin())
        elif not shutil.which("docker-compose"):
            raise Missing("docker-compose is not installed")
        lockstep.env["COMPOSE_PROJECT_NAME"] = "shop"
        lockstep.env.pop("IMAGE", None)

    def clean(self):
        """Nothing of a project is left, whatever the test before did."""
        super().clean()
        self.engine.docker("network", "prune", "--force")
        self.engine.docker("volume", "rm", "--force", "shop_data")

    def compose(self, *words):
        """`docker compose words...`, by hand."""
        program = ["docker", "compose"] if self.kind == "plugin" else ["docker-compose"]
        return subprocess.run(
            [*program, *words], cwd=self.lockstep.dir, env=self.lockstep.env, check=True,
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    def deploy(self, image, *more, **options):
        return self.lockstep.run(*self._words(image), *more, **options)

    def start(self, image, *more, **options):
        return self.lockstep.start(*self._words(image), *more, **options)

    def _words(self, image):
        return "deploy", "--target", "compose", "--app", self.app, "--image", image

    def of(self, service="web"):
        """{id: the container} of what runs of a service."""
        ids = self.engine.docker(
            "ps", "--quiet", "--no-trunc",
            "--filter", "label=com.docker.compose.project=shop",
            "--filter", f"label=com.docker.compose.service={service}",
            "--filter", "label=com.docker.compose.oneoff=False",
        ).stdout.split()  # fmt: skip
        return {one: self.engine.inspect(one) for one in ids}

    def serve(self, service="web"):
        """What each container of it answers, or the version that it was made of."""
        return sorted(str(super(Project, self).serves(one)) for one in self.of(service))

    def versions(self):
        return self.query("SELECT version FROM lockstep_migrations ORDER BY 1", volume="shop_data")

    def only_services(self):
        """True where nothing is left that the deploy made for itself: names with a dot."""
        return not [name for name in self.containers() if "." in name or "_run_" in name]

    def until_there(self, part):
        net.until(lambda: any(part in name for name in self.containers()), what=part)
