# SPDX-License-Identifier: Apache-2.0
"""The objects of a small Kubernetes, in a file: what kubectl and the controllers read and write.

Objects are held and written as the API of Kubernetes 1.30 holds them, but only fields that are listed
in FIELDS are taken: one that is misspelt is refused as the server's strict validation refuses it.
Refusals of a Job were recorded from a 1.20.2; a variable that is there twice is taken there, not here.
"""

import base64
import contextlib
import copy
import fcntl
import json
import pathlib
import time


POD_FIELDS = """volumes serviceAccountName automountServiceAccountToken imagePullSecrets nodeSelector
tolerations securityContext hostAliases hostNetwork hostUsers dnsPolicy dnsConfig enableServiceLinks
priorityClassName runtimeClassName schedulerName terminationGracePeriodSeconds os affinity
initContainers containers restartPolicy""".split()
CONTAINER_FIELDS = """name image command args env envFrom volumeMounts volumeDevices workingDir
securityContext resources imagePullPolicy terminationMessagePolicy ports livenessProbe readinessProbe
startupProbe lifecycle restartPolicy""".split()
# An object's fields: {name: type, or fields of its own, or [fields] of its items}.
ENV = {"name": str, "value": str, "valueFrom": dict}
CONTAINER = {name: object for name in CONTAINER_FIELDS} | {"env": [ENV], "command": [str]}
POD = {name: object for name in POD_FIELDS} | {
    "containers": [CONTAINER],
    "initContainers": [CONTAINER],
}
META = {
    "name": str,
    "namespace": str,
    "labels": dict,
    "annotations": dict,
    "resourceVersion": str,
    "ownerReferences": [{"apiVersion": str, "kind": str, "name": str, "uid": str}],
}
TEMPLATE = {"metadata": {"labels": dict, "annotations": dict}, "spec": POD}
RULE = {
    "action": str,
    "onExitCodes": {"containerName": str, "operator": str, "values": [int]},
    "onPodConditions": [{"type": str, "status": str}],
}
HEAD = {"apiVersion": str, "kind": str, "metadata": META}
FIELDS = {
    "ConfigMap": HEAD | {"data": dict},
    "Secret": HEAD | {"type": str, "stringData": dict, "data": dict},
    "Job": HEAD
    | {
        "spec": {
            "backoffLimit": int,
            "completions": int,
            "parallelism": int,
            "activeDeadlineSeconds": int,
            "ttlSecondsAfterFinished": int,
            "podFailurePolicy": {"rules": [RULE]},
            "template": TEMPLATE,
        }
    },
    "Deployment": HEAD
    | {
        "spec": {
            "replicas": int,
            "paused": bool,
            "selector": {"matchLabels": dict},
            "progressDeadlineSeconds": int,
            "revisionHistoryLimit": int,
            "template": TEMPLATE,
        }
    },
}
VERSIONS = {"ConfigMap": "v1", "Secret": "v1", "Job": "batch/v1", "Deployment": "apps/v1"}


class Refused(Exception):
    """An API error: its reason, and what it says."""

    def __init__(self, reason, message):
        super().__init__(message)
        self.reason, self.message = reason, message


def check(value, fields, path=""):
    """The server's strict field validation."""
    if isinstance(fields, dict):
        if not isinstance(value, dict):
            raise Refused("BadRequest", f"{path}: expected an object")
        for name, one in value.items():
            if name not in fields:
                raise Refused("BadRequest", f'unknown field "{path}{name}"')
            check(one, fields[name], f"{path}{name}.")
    elif isinstance(fields, list):
        if not isinstance(value, list):
            raise Refused("BadRequest", f"{path}: expected a list")
        for one in value:
            check(one, fields[0], path)
    elif fields is not object and (
        not isinstance(value, fields) or isinstance(value, bool) != (fields is bool)
    ):
        raise Refused(
            "BadRequest", f"json: cannot unmarshal into {path[:-1]} of type {fields.__name__}"
        )


def check_strictly(obj):
    kind, version = obj["kind"], obj["apiVersion"]
    try:
        check(obj, FIELDS[kind])
    except Refused as refused:
        raise Refused(
            "BadRequest",
            f'{kind} in version "{version}" cannot be handled as a {kind}: strict decoding error: '
            f"{refused.message}",
        ) from None


def check_job(job):
    """What validation of a Job looks at beyond its fields (pkg/apis/batch/validation)."""
    pod = job["spec"]["template"]["spec"]
    if pod.get("restartPolicy") not in ("Never", "OnFailure"):
        raise Refused(
            "Invalid",
            'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
        )
    if len(job["metadata"]["name"]) > 63:
        name = job["metadata"]["name"]
        raise Refused(
            "Invalid",
            f'spec.template.labels: Invalid value: "{name}": must be no more than 63 characters',
        )
    volumes = {volume["name"] for volume in pod.get("volumes", [])}
    names = set()
    for container in pod["containers"] + pod.get("initContainers", []):
        names.add(container["name"])
        seen = [variable["name"] for variable in container.get("env", [])]
        if len(seen) != len(set(seen)):
            raise Refused("Invalid", "env: a name is there twice")
        for mount in container.get("volumeMounts", []):
            if mount["name"] not in volumes:
                raise Refused(
                    "Invalid",
                    f'spec.template.spec.containers[0].volumeMounts[0].name: Not found: "{mount["name"]}"',
                )
    for rule in job["spec"].get("podFailurePolicy", {}).get("rules", []):
        if ("onExitCodes" in rule) == ("onPodConditions" in rule):
            raise Refused(
                "Invalid", "specifying one of OnExitCodes and OnPodConditions is required"
            )
        codes = rule.get("onExitCodes", {})
        if codes and codes["containerName"] not in names:
            raise Refused("Invalid", "onExitCodes.containerName: must be one of the containers")
        if codes.get("operator") == "In" and 0 in codes["values"]:
            raise Refused("Invalid", "values: must not be 0 for the In operator")
        if any(
            one.get("status", "True") not in ("True", "False")
            for one in rule.get("onPodConditions", [])
        ):
            raise Refused("Invalid", "onPodConditions[0].status: Unsupported value")
    for value in job["metadata"].get("labels", {}).values():
        if len(value) > 63:
            raise Refused("Invalid", "metadata.labels: must be no more than 63 characters")


def now():
    """To the second, as the API has it: two may be made at the same time."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def moment():
    """What Cloud Run has instead."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{time.time_ns() % 10**9:09}Z"


class Store:
    """The objects, in `folder`/state.json: {"KIND/NAME": object}, and beside them what tests set."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    @contextlib.contextmanager
    def open(self):
        """The state, to be read and changed by one at a time."""
        with open(self.folder / "lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            path = self.folder / "state.json"
            state = json.loads(path.read_text()) if path.exists() else {"objects": {}, "version": 1}
            before = json.dumps(state)
            try:
                yield state
            finally:
                after = json.dumps(state)
                if after != before:
                    temporary = self.folder / "state.new"
                    temporary.write_text(after)
                    temporary.rename(path)

    # -- the API; within `open` -----------------------------------------------------------------

    @staticmethod
    def touch(state, obj):
        state["version"] += 1
        obj["metadata"]["resourceVersion"] = str(state["version"])

    def create(self, state, obj):
        kind, name = obj.get("kind"), obj.get("metadata", {}).get("name")
        if kind not in FIELDS or obj.get("apiVersion") != VERSIONS[kind]:
            raise Refused(
                "NotFound", f'no matches for kind "{kind}" in version "{obj.get("apiVersion")}"'
            )
        check_strictly(obj)
        if kind == "Job":
            check_job(obj)
        key = f"{kind}/{name}"
        if key in state["objects"]:
            raise Refused("AlreadyExists", f'{PLURALS[kind]} "{name}" already exists')
        obj = copy.deepcopy(obj)
        obj["metadata"] |= {
            "uid": f"uid-{state['version']}",
            "creationTimestamp": now(),
            "namespace": "default",
        }
        if kind == "Deployment":
            obj["metadata"]["generation"] = 1
            obj.setdefault("status", {})
        if kind == "Secret":
            data = obj.pop("stringData", {})
            obj["data"] = {
                key: base64.b64encode(value.encode()).decode() for key, value in data.items()
            }
        self.touch(state, obj)
        state["objects"][key] = obj
        return obj

    @staticmethod
    def get(state, kind, name):
        try:
            return state["objects"][f"{kind}/{name}"]
        except KeyError:
            raise Refused("NotFound", f'{PLURALS[kind]} "{name}" not found') from None

    @staticmethod
    def of_kind(state, kind):
        return [one for one in state["objects"].values() if one["kind"] == kind]


PLURALS = {
    "ConfigMap": "configmaps",
    "Secret": "secrets",
    "Job": "jobs.batch",
    "Deployment": "deployments.apps",
    "ReplicaSet": "replicasets.apps",
    "Pod": "pods",
}


def matches(obj, selector):
    labels = obj["metadata"].get("labels", {})
    return all(
        labels.get(one.partition("=")[0]) == one.partition("=")[2] for one in selector.split(",")
    )
