# SPDX-License-Identifier: Apache-2.0
"""Platforms that the stand-ins of tests/standins/ play: a cluster for kubectl, a project for gcloud.

An image is a folder with migrations; what it is on the platform stands in a table beside it.
"""

import hashlib
import json
import signal
import sqlite3
import sys

from .binary import ROOT

STANDINS = ROOT / "tests/standins"
sys.path.insert(0, str(STANDINS))
# pylint: disable=wrong-import-position,import-error
import cloud_run
import cluster
import kube_objects
import run_objects


ONE = {"001_users.sql": "CREATE TABLE users (id integer);"}
TWO = ONE | {"002_email.sql": "ALTER TABLE users ADD COLUMN email text;"}
BROKEN = ONE | {"002_email.sql": "ALTER TABLE nobody ADD COLUMN email text;"}
COUNT = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {}) SELECT max(x) AS x FROM n;"
# Long enough to be found at work; for ever, but ended at once when it is told to.
SLOW = ONE | {"002_slow.sql": "CREATE TABLE slow AS " + COUNT.format(6000000)}
ENDLESS = ONE | {"002_endless.sql": "CREATE TABLE endless AS " + COUNT.format("x + 1")}


def killed(started, how=signal.SIGKILL):
    """The result of a deploy that is killed now."""
    started.signal(how)
    return started.finish(expect=128 + how)


class Platform:
    """What both have: images, a database, a runner of `lockstep deploy`, calls and faults."""

    target = variable = None
    app = "web"

    def __init__(self, folder, lockstep):
        self.folder, self.lockstep = folder, lockstep
        for name in ("state", "images", "data"):
            (folder / name).mkdir(parents=True)
        self.state = folder / "state"
        self.database = folder / "data/app.db"
        self.url = f"sqlite:///{self.database}"
        self.images = {}
        # No engine answers here: nothing but the platform knows the images.
        lockstep.env |= {
            self.variable: str(self.state),
            "PATH": f"{STANDINS}:{lockstep.env['PATH']}",
            "DOCKER_HOST": "unix:///nowhere",
        }
        # What an image holds besides its migrations: the machine's own programs.
        self.path = f"{lockstep.bin}:/usr/bin:/bin"

    def image(self, version, migrations, repository="registry.example/web", **facts):
        """REPOSITORY:VERSION, known by tag and by digest; the reference with the tag."""
        files = {f"migrations/{name}": text for name, text in migrations.items()}
        return self.image_of(version, files, repository, **facts)

    def image_of(self, version, files, repository, **facts):
        """The same, of any files of its working directory."""
        folder = self.folder / "images" / version
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        digest = "sha256:" + hashlib.sha256(version.encode()).hexdigest()
        known = {"folder": str(folder), "digest": digest} | facts
        self.images[f"{repository}:{version}"] = self.images[f"{repository}@{digest}"] = known
        self.changed()
        return f"{repository}:{version}"

    def changed(self):
        """The table of images changed."""

    def exact(self, image):
        return f"{image.rpartition(':')[0]}@{self.images[image]['digest']}"

    def migrate(self, image):
        """As an earlier deploy of it did."""
        folder = self.images[image]["folder"]
        self.lockstep.run("migrate", cwd=folder, env={"LOCKSTEP_DATABASE_URL": self.url})

    def words(self, image, *more):
        return ("deploy", "--target", self.target, "--app", self.app, "--image", image, *more)

    def deploy(self, image, *more, **options):
        return self.lockstep.run(*self.words(image, *more), **options)

    def start(self, image, *more, **options):
        return self.lockstep.start(*self.words(image, *more), **options)

    def faults(self, **what):
        (self.state / "faults.json").write_text(json.dumps(what))

    def fault(self, words, **what):
        """Calls that hold these words fail, `times` times."""
        path = self.state / "faults.json"
        faults = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps(faults | {words: what}))

    def calls(self):
        """The command lines that it was given, each as one text."""
        path = self.state / "calls.log"
        if not path.exists():
            return []
        return [" ".join(json.loads(line)) for line in path.read_text().splitlines()]

    def forget_calls(self):
        (self.state / "calls.log").unlink(missing_ok=True)

    def is_at(self, words):
        """The last call holds these words."""
        return any(words in call for call in self.calls()[-1:])

    def query(self, sql):
        connection = sqlite3.connect(self.database)
        try:
            return [row[0] for row in connection.execute(sql)]
        finally:
            connection.close()

    def versions(self):
        return self.query(
            "SELECT version FROM lockstep_migrations WHERE state = 'applied' ORDER BY 1"
        )


class Cluster(Platform):
    target, variable = "kubernetes", "KUBECONFIG"

    def __init__(self, folder, lockstep):
        super().__init__(folder, lockstep)
        self.store = kube_objects.Store(self.state)
        self.controllers = cluster.Controllers(self.state, self.images, self.path)

    def close(self):
        self.controllers.close()

    def pod(self, image, **more):
        """A pod's template: what a Deployment of a project looks like."""
        container = {
            "name": "web",
            "image": image,
            "env": [{"name": "DATABASE_URL", "value": self.url}, {"name": "MODE", "value": "live"}],
            "ports": [{"containerPort": 8000}],
            "readinessProbe": {"httpGet": {"path": "/", "port": 8000}},
        }
        return {
            "metadata": {"labels": {"app": self.app}},
            "spec": {
                "containers": [container | more.pop("container", {})],
                "restartPolicy": "Always",
            }
            | more,
        }

    def apply(self, image, replicas=2, pod=None, **spec):
        """The Deployment, as `kubectl apply` of its manifest makes it."""
        body = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": self.app, "labels": {"app": self.app}},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": self.app}},
                "template": pod or self.pod(image),
            }
            | spec,
        }
        with self.store.open() as state:
            self.store.create(state, body)

    def get(self, kind, name=None):
        """An object, or None; without a name all of that kind."""
        with self.store.open() as state:
            if name:
                return state["objects"].get(f"{kind}/{name}")
            return self.store.of_kind(state, kind)

    def set(self, **what):
        """Conditions of the cluster: nothing_comes_up, unschedulable, no_history, oom."""
        with self.store.open() as state:
            state.update(what)

    def serves(self):
        """The image that answers requests; None before anything does."""
        return self.get("Deployment", self.app)["status"].get("serves")

    def asked_for(self):
        return self.get("Deployment", self.app)["spec"]["template"]["spec"]["containers"][0][
            "image"
        ]

    def mark(self):
        meta = (self.get("Deployment", self.app) or {}).get("metadata", {})
        return meta.get("annotations", {}).get("lockstep/deploy")

    def left(self):
        """What a deploy must not leave: locks, values, a mark, jobs that run."""
        running = [
            f"Job/{job['metadata']['name']}"
            for job in self.get("Job")
            if not job.get("status", {}).get("conditions")
        ]
        things = [
            f"{one['kind']}/{one['metadata']['name']}"
            for kind in ("ConfigMap", "Secret")
            for one in self.get(kind)
        ]
        return running + things + ([self.mark()] if self.mark() else [])


class CloudRun(Platform):
    target, variable = "cloud-run", "CLOUDSDK_CONFIG"

    def __init__(self, folder, lockstep):
        super().__init__(folder, lockstep)
        self.project = run_objects.Project(self.state)
        self.executions = cloud_run.Executions(self.state, self.images, self.path)
        self.changed()

    def close(self):
        self.executions.close()

    def changed(self):
        (self.state / "images.json").write_text(json.dumps(self.images))

    def serve(self, image, traffic=None, url="http://127.0.0.1:9/TAG", **container):
        """The service, with one revision of this image, as a first `gcloud run deploy` made it."""
        body = {
            "apiVersion": "serving.knative.dev/v1",
            "kind": "Service",
            "metadata": {"name": self.app, "generation": 1},
            "spec": {
                "template": {
                    "metadata": {
                        "annotations": {
                            "run.googleapis.com/cloudsql-instances": "test:europe-west1:main",
                            "run.googleapis.com/vpc-access-connector": "inner",
                            "autoscaling.knative.dev/maxScale": "10",
                        }
                    },
                    "spec": {
                        "serviceAccountName": "web@test.iam",
                        "containerConcurrency": 80,
                        "timeoutSeconds": 300,
                        "containers": [
                            {
                                "image": image,
                                "ports": [{"containerPort": 8080}],
                                "env": [
                                    {
                                        "name": "DATABASE_URL",
                                        "valueFrom": {
                                            "secretKeyRef": {"name": "url", "key": "latest"}
                                        },
                                    },
                                    {"name": "MODE", "value": "live"},
                                ],
                                "resources": {"limits": {"cpu": "500m", "memory": "256Mi"}},
                                "startupProbe": {"tcpSocket": {"port": 8080}},
                            }
                            | container
                        ],
                    },
                },
                "traffic": traffic or [{"latestRevision": True, "percent": 100}],
            },
            "status": {"url": "https://web-x.a.run.app"},
            "tag_url": url,
        }
        with self.project.open() as state:
            state["secrets"] = {"url": self.url}
            self.project.part(state, "services")[self.app] = body
            revision = self.project.add_revision(state, body)
            state["revisions"][revision]["status"]["conditions"] = [
                {"type": "Ready", "status": "True"}
            ]
            body["status"]["latestReadyRevisionName"] = revision
            self.project.route(body)
        return revision

    def set(self, **what):
        """lost: the next execution's end is; log_delay: seconds until an entry can be read."""
        with self.project.open() as state:
            state.update(what)

    def part(self, name):
        with self.project.open() as state:
            return state.get(name, {})

    def traffic(self):
        """{revision: percent} of what has any."""
        entries = self.part("services")[self.app]["status"]["traffic"]
        return {one["revisionName"]: one["percent"] for one in entries if one.get("percent")}

    def serves(self):
        """Images that have traffic."""
        revisions = self.part("revisions")
        return [revisions[name]["spec"]["containers"][0]["image"] for name in self.traffic()]

    def left(self):
        """Locks, tags, executions that run."""
        tags = [
            one["tag"]
            for one in self.part("services").get(self.app, {}).get("status", {}).get("traffic", [])
            if "tag" in one
        ]
        running = [
            name
            for name, one in self.part("executions").items()
            if "completionTime" not in one["status"]
        ]
        return (
            tags + running + [name for name in self.part("jobs") if name != f"{self.app}-migrate"]
        )
