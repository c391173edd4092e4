# SPDX-License-Identifier: Apache-2.0
"""A swarm of one node on a test's own engine, and a stack on it."""

import json

from . import deploy, net, secrets

FILE = """
version: "3.8"
services:
  web:
    image: web:1
    environment: {DATABASE_URL: "sqlite:////data/app.db", ODD: %s, DOCKER_HOST: "tcp://192.0.2.1:1"}
    volumes: ["data:/data"]
    secrets: [token]
    stop_grace_period: 1s
    healthcheck:
      test: ["CMD", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8000/"]
      interval: 1s
      retries: 2
    deploy: &deploy
      replicas: 2
      restart_policy: {delay: 1s}
      update_config: {parallelism: 0, monitor: 1s, order: start-first}
      rollback_config: {parallelism: 0, monitor: 1s}
  worker:
    image: web:1
    command: sleep 1000
    deploy:
      <<: *deploy
      replicas: 1
volumes: {data: {}}
secrets: {token: {file: ./token}}
"""
# What a value may hold that a shell or a file of variables would spoil.
SECOND = secrets.register("s3cond-l1ne")
ODD = f'two "quoted" $HOME words\nand a {SECOND}'
TOKEN = secrets.register("tok3n-0f-the-stack")


class Stack(deploy.Site):
    """The stack `shop` of `stack.yml`; its service is shop_web."""

    def __init__(self, engine, lockstep):
        super().__init__(engine, lockstep)
        lockstep.write("token", TOKEN)
        lockstep.write("stack.yml", FILE % json.dumps(ODD.replace("$", "$$")))

    def clean(self):
        """A swarm with nothing on it, whatever the test before did."""
        self.leave()
        self.engine.docker("swarm", "init", "--advertise-addr", "127.0.0.1")

    def leave(self):
        """The quickest end of all services, and of what they ran."""
        self.engine.docker("swarm", "leave", "--force", expect=None)
        left = self.engine.docker("ps", "--all", "--quiet").stdout.split()
        if left:
            self.engine.docker("rm", "--force", *left, expect=None)
        self.engine.docker("volume", "rm", "--force", "shop_data")
        # The engine forgets it a moment later, and a stack would take it for its own.
        self.engine.docker("network", "rm", "shop_default", expect=None)
        net.until(
            lambda: "shop_default" not in self.engine.docker("network", "ls").stdout,
            what="the end of the network",
        )

    def words(self, image):
        return (
            "deploy", "--target", "swarm", "--app", "shop_web", "--file", "stack.yml",
            "--image", image,
        )  # fmt: skip

    def deploy(self, image, *more, **options):
        return self.lockstep.run(*self.words(image), *more, **options)

    def start(self, image, *more, **options):
        return self.lockstep.start(*self.words(image), *more, **options)

    def tasks(self, service="shop_web"):
        """Ids of containers that run, by the engine."""
        return self.engine.docker(
            "ps", "--quiet", "--no-trunc",
            "--filter", f"label=com.docker.swarm.service.name={service}",
        ).stdout.split()  # fmt: skip

    def serve(self):
        """What each task of it answers."""
        return sorted(str(super(Stack, self).serves(one)) for one in self.tasks())

    def until_serves(self, *answers):
        net.until(lambda: self.serve() == sorted(answers), what=f"{answers}, not {self.serve()}")

    def versions(self):
        return self.query("SELECT version FROM lockstep_migrations ORDER BY 1", volume="shop_data")

    def services(self):
        done = self.engine.docker("service", "ls", "--format", "{{.Name}}")
        return sorted(done.stdout.split())

    def only_services(self):
        """True where nothing is left that the deploy made for itself."""
        configs = self.engine.docker("config", "ls", "--quiet").stdout.split()
        return self.services() == ["shop_web", "shop_worker"] and not configs
