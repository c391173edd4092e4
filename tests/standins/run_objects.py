# SPDX-License-Identifier: Apache-2.0
"""Cloud Run's objects, in a file: services with their revisions and traffic, jobs, executions, log.

As the interface's first version holds them (run.googleapis.com/v1: the Knative form, which gcloud
reads and writes). Only fields listed in JOB are taken in a job, as `gcloud run jobs replace` refuses
others; limits are those that Cloud Run documents for jobs.
"""

import re

from kube_objects import Refused, Store, check

ENV = {"name": str, "value": str, "valueFrom": {"secretKeyRef": {"name": str, "key": str}}}
JOB = {
    "apiVersion": str,
    "kind": str,
    "metadata": {
        "name": str,
        "labels": dict,
        "annotations": dict,
        "resourceVersion": str,
        "namespace": object,
        "uid": str,
        "generation": int,
        "creationTimestamp": str,
    },
    "spec": {
        "template": {
            "metadata": {"labels": dict, "annotations": dict},
            "spec": {
                "taskCount": int,
                "parallelism": int,
                "template": {
                    "spec": {
                        "containers": [
                            {
                                "image": str,
                                "command": [str],
                                "args": [str],
                                "env": [ENV],
                                "resources": {"limits": {"cpu": str, "memory": str}},
                                "volumeMounts": [{"name": str, "mountPath": str}],
                                "workingDir": str,
                            }
                        ],
                        "volumes": [dict],
                        "serviceAccountName": str,
                        "maxRetries": int,
                        "timeoutSeconds": str,
                    }
                },
            },
        }
    },
    "status": dict,
}
LABEL = re.compile(r"[a-z0-9_-]{0,63}")
NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")


def check_job(job):
    try:
        check(job, JOB)
    except Refused as refused:
        raise Refused("ConfigurationError", f"Invalid job: {refused.message}") from None
    task = job["spec"]["template"]["spec"]["template"]["spec"]
    wrong = None
    if not NAME.fullmatch(job["metadata"]["name"]):
        wrong = (
            "metadata.name: must use only lowercase alphanumeric characters and dashes, at most 63"
        )
    for value in job["metadata"].get("labels", {}).values():
        if not LABEL.fullmatch(value):
            wrong = f"metadata.labels: '{value}' is no value of a label"
    if "timeoutSeconds" in task and not 0 < int(task["timeoutSeconds"]) <= 168 * 3600:
        wrong = "timeoutSeconds: must be between 1 and 604800"
    for container in task["containers"]:
        limits = container.get("resources", {}).get("limits", {})
        if limits.get("cpu", "1") not in ("1", "2", "4", "6", "8", "1000m", "2000m", "4000m"):
            wrong = f"cpu: Invalid value specified for cpu: {limits['cpu']}"
        memory = limits.get("memory", "512Mi")
        if memory.endswith("Mi") and int(memory[:-2]) < 512:
            wrong = f"memory: Invalid value specified for memory: {memory}"
    if wrong:
        raise Refused("INVALID_ARGUMENT", wrong)


class Project(Store):
    """`open` gives the state; its keys are made here."""

    @staticmethod
    def part(state, name):
        return state.setdefault(name, {})

    @staticmethod
    def next(state):
        state["version"] += 1
        return state["version"]

    def add_revision(self, state, service):
        """What its template asks for now, as a revision of its own."""
        name = service["metadata"]["name"]
        number = service["metadata"]["generation"]
        revision = f"{name}-{number:05}-{self.next(state):03}"
        containers = service["spec"]["template"]["spec"]["containers"]
        self.part(state, "revisions")[revision] = {
            "metadata": {"name": revision, "labels": {"serving.knative.dev/service": name}},
            "spec": {"containers": containers},
            "status": {"imageDigest": containers[0]["image"], "conditions": []},
        }
        service["status"]["latestCreatedRevisionName"] = revision
        return revision

    @staticmethod
    def route(service):
        """status.traffic out of spec.traffic."""
        latest = service["status"].get("latestReadyRevisionName")
        entries = []
        for target in service["spec"]["traffic"]:
            entry = dict(target)
            if target.get("latestRevision"):
                entry["revisionName"] = latest
            if "tag" in target:
                entry["url"] = service["tag_url"].replace("TAG", target["tag"])
            entries.append(entry)
        service["status"]["traffic"] = entries
