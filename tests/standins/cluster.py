# SPDX-License-Identifier: Apache-2.0
"""A small Kubernetes for `kubectl` of this folder: controllers that act on the objects as those of
Kubernetes 1.30 do (kubernetes/kubernetes at tag v1.30.0, commit
7c48c2bd72b9bf5c44d21d7338cc7bea77d0ad2a: pkg/controller/job, pkg/controller/deployment, pkg/kubelet).
Deploys that go well, fail, are stopped, killed, two at once, lack a right or lose the API server were
gone through by hand on a whole 1.20.2 (commit faecb196815e248d3ecfb03c680a4507229c2a56; its kubelet
with dockerd 20.10.24): reasons, conditions, counts of a roll-out, exit codes and deletions are as they
were there. A pod without a node, without memory, or on a drained node follows the source alone.

A Job's container really runs: as a process with exactly the pod's environment, in the folder that
stands for its image.
"""

import base64
import copy
import subprocess
import time
import uuid

from background import Background
from kube_objects import Refused, Store, now


class Controllers(Background):
    """Deployments, Jobs, nodes and the garbage collector, on a thread of their own.

    `images`: {reference: {"folder": where its containers run, "digest": ..., "ready": bool,
    "missing": bool (the registry has it not), "no_program": bool, "unhealthy": bool (not ready, but
    it runs)}}.
    """

    def __init__(self, folder, images, path):
        self.store = Store(folder)
        super().__init__(images, path)

    def turn(self):
        with self.store.open() as state:
            self.jobs(state)
            self.deployments(state)
            self.collect(state)

    # -- jobs -----------------------------------------------------------------------------------

    def jobs(self, state):
        for job in self.store.of_kind(state, "Job"):
            name = job["metadata"]["name"]
            pods = [
                pod
                for pod in self.store.of_kind(state, "Pod")
                if pod["metadata"].get("owner") == name
            ]
            if job["metadata"].get("deletionTimestamp"):
                self.delete_pods(state, job, pods)
                continue
            status = job.setdefault("status", {})
            if any(one["type"] in ("Complete", "Failed") for one in status.get("conditions", [])):
                continue
            if all(pod["metadata"].get("replaced") for pod in pods):
                pods = [self.make_pod(state, job)]
            for pod in pods:
                if not pod["metadata"].get("replaced"):
                    self.run_pod(state, pod)
                    self.judge(state, job, pod)

    def make_pod(self, state, job):
        template = copy.deepcopy(job["spec"]["template"])
        name = f"{job['metadata']['name']}-{uuid.uuid4().hex[:5]}"
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": template.get("metadata", {})
            | {
                "name": name,
                "creationTimestamp": now(),
                "owner": job["metadata"]["name"],
                "uid": name,
            },
            "spec": template["spec"],
            "status": {"phase": "Pending"},
        }
        pod["metadata"]["labels"] = pod["metadata"].get("labels", {}) | {
            "job-name": job["metadata"]["name"]
        }
        self.store.touch(state, pod)
        state["objects"][f"Pod/{name}"] = pod
        job["status"] |= {"active": 1, "startTime": now()}
        job["status"]["began"] = time.time()
        return pod

    @staticmethod
    def set_state(pod, container, image_id, **what):
        pod["status"]["containerStatuses"] = [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": image_id,
                "state": what,
            }
        ]

    def environment(self, state, container):
        """As the kubelet makes it, or what is missing for it."""
        variables = {}
        for source in container.get("envFrom", []):
            for key, kind in (("secretRef", "Secret"), ("configMapRef", "ConfigMap")):
                if key in source:
                    variables |= self.values(state, kind, source[key]["name"])
        for one in container.get("env", []):
            source = one.get("valueFrom", {})
            for key, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
                if key not in source:
                    continue
                try:
                    values = self.values(state, kind, source[key]["name"])
                    variables[one["name"]] = values[source[key]["key"]]
                except KeyError:
                    if not source[key].get("optional"):
                        raise
            if not source:
                variables[one["name"]] = one.get("value", "")
        return variables

    def values(self, state, kind, name):
        try:
            data = self.store.get(state, kind, name).get("data", {})
        except Refused:
            raise KeyError(f'{kind.lower()} "{name}" not found') from None
        if kind == "Secret":
            return {key: base64.b64decode(value).decode() for key, value in data.items()}
        return data

    def run_pod(self, state, pod):
        """The node's part."""
        name, container = pod["metadata"]["name"], pod["spec"]["containers"][0]
        image = self.images.get(container["image"])
        image_id = (
            f"{container['image'].partition('@')[0].partition(':')[0]}@{image['digest']}"
            if image
            else ""
        )
        if name in self.processes:
            process, log = self.processes[name]
            if process.poll() is None:
                return
            code = process.returncode if process.returncode >= 0 else 128 - process.returncode
            ended = {
                "exitCode": code,
                "reason": "Error" if code else "Completed",
                "finishedAt": now(),
            }
            if state.get("oom") and code == 137:
                ended["reason"] = "OOMKilled"
            if code and container.get("terminationMessagePolicy") == "FallbackToLogsOnError":
                ended["message"] = log.read_text(errors="replace")[-2048:]
            self.set_state(pod, container, image_id, terminated=ended)
            pod["status"]["phase"] = "Failed" if code else "Succeeded"
            return
        if pod["status"].get("phase") != "Pending":
            return
        if state.get("unschedulable"):
            message = "0/1 nodes are available: 1 Insufficient cpu."
            pod["status"]["conditions"] = [
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "reason": "Unschedulable",
                    "message": message,
                }
            ]
            return
        pod["status"]["conditions"] = []
        if image is None or image.get("missing"):
            message = (
                f'failed to pull and unpack image "{container["image"]}": failed to resolve reference '
                f'"{container["image"]}": {container["image"]}: not found'
            )
            self.set_state(
                pod, container, "", waiting={"reason": "ErrImagePull", "message": message}
            )
            return
        try:
            variables = self.environment(state, container)
        except KeyError as missing:
            waiting = {"reason": "CreateContainerConfigError", "message": str(missing.args[0])}
            self.set_state(pod, container, image_id, waiting=waiting)
            return
        if image.get("no_program"):
            message = (
                "failed to create containerd task: failed to create shim task: OCI runtime create failed: "
                f'exec: "{container["command"][0]}": executable file not found in $PATH: unknown'
            )
            ended = {"exitCode": 128, "reason": "StartError", "message": message}
            self.set_state(pod, container, image_id, terminated=ended)
            pod["status"]["phase"] = "Failed"
            return
        log = self.store.folder / f"{name}.log"
        with open(log, "wb") as output:
            # pylint: disable=consider-using-with
            process = subprocess.Popen(
                container["command"],
                cwd=image["folder"],
                env={"PATH": self.path} | variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.processes[name] = (process, log)
        pod["status"]["phase"] = "Running"
        self.set_state(pod, container, image_id, running={"startedAt": now()})

    def judge(self, state, job, pod):
        status, spec = job["status"], job["spec"]
        deadline = spec.get("activeDeadlineSeconds")
        if pod["status"]["phase"] == "Succeeded":
            status |= {"succeeded": 1, "active": 0}
            status["conditions"] = [{"type": "Complete", "status": "True"}]
        elif pod["status"]["phase"] == "Failed" and self.is_ignored(job, pod):
            pod["metadata"]["replaced"] = True
        elif pod["status"]["phase"] == "Failed":
            reason = "PodFailurePolicy" if "podFailurePolicy" in spec else "BackoffLimitExceeded"
            status |= {"failed": 1, "active": 0}
            status["conditions"] = [{"type": "Failed", "status": "True", "reason": reason}]
        elif deadline and time.time() - status["began"] > deadline:
            status["conditions"] = [
                {"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}
            ]
            self.kill(pod)
            state["objects"].pop(f"Pod/{pod['metadata']['name']}", None)

    @staticmethod
    def is_ignored(job, pod):
        """podFailurePolicy, as far as conditions of pods go."""
        types = {one["type"] for one in pod["status"].get("conditions", [])}
        return any(
            rule["action"] == "Ignore" and types & {one["type"] for one in rule["onPodConditions"]}
            for rule in job["spec"].get("podFailurePolicy", {}).get("rules", [])
            if "onPodConditions" in rule
        )

    def drain(self):
        """A node is emptied: what runs for a Job is told to end, and marked."""
        with self.store.open() as state:
            for pod in self.store.of_kind(state, "Pod"):
                if "owner" in pod["metadata"] and pod["status"]["phase"] == "Running":
                    pod["status"]["conditions"] = [{"type": "DisruptionTarget", "status": "True"}]
                    self.kill(pod)

    def kill(self, pod):
        process, _ = self.processes.get(pod["metadata"]["name"], (None, None))
        if process and process.poll() is None:
            process.terminate()
            return False
        return True

    def delete_pods(self, state, job, pods):
        """In the foreground: the Job goes when its pods have."""
        gone = True
        for pod in pods:
            if not self.kill(pod):
                gone = False
            elif state.get("pods_stay"):
                pod["status"]["phase"] = "Failed"
                gone = False
            else:
                state["objects"].pop(f"Pod/{pod['metadata']['name']}", None)
        if gone:
            state["objects"].pop(f"Job/{job['metadata']['name']}", None)

    def collect(self, state):
        uids = {one["metadata"]["uid"] for one in state["objects"].values()}
        for key, one in list(state["objects"].items()):
            owners = one["metadata"].get("ownerReferences", [])
            if owners and not any(owner["uid"] in uids for owner in owners):
                del state["objects"][key]

    # -- deployments ----------------------------------------------------------------------------

    def deployments(self, state):
        for deployment in self.store.of_kind(state, "Deployment"):
            self.roll_out(state, deployment)

    def roll_out(self, state, deployment):
        """A revision for each template; its pods are there when the image can be had and is ready."""
        meta, spec = deployment["metadata"], deployment["spec"]
        notes = meta.setdefault("annotations", {})
        history = state.setdefault("history", {}).setdefault(meta["name"], [])
        if spec.get("paused"):
            return
        current = next((one for one in history if one["template"] == spec["template"]), None)
        newest = max((one["revision"] for one in history), default=0)
        is_new = current is None
        if is_new:
            current = {"template": copy.deepcopy(spec["template"]), "since": time.time()}
            history.append(current)
        if current.get("revision") != newest or newest == 0:
            # One that comes back is the newest again.
            current |= {"revision": newest + 1, "since": time.time()}
        notes["deployment.kubernetes.io/revision"] = str(current["revision"])
        replicas = spec.get("replicas", 1)
        image = self.images.get(spec["template"]["spec"]["containers"][0]["image"])
        age = time.time() - current["since"]
        ready = bool(image) and not image.get("missing") and image.get("ready", True)
        ready = ready and age >= image.get("after", 0) and not state.get("nothing_comes_up")
        # The old ones stay until the new ones are there: one more (25 %, rounded up, for all that a
        # test has), none less.
        serves = deployment["status"].get("serves")
        done = ready and age >= state.get("ends_slowly", 0)
        status = {"observedGeneration": meta["generation"], "serves": serves}
        if ready:
            status |= {
                "updatedReplicas": replicas,
                "replicas": replicas if done else replicas + 1,
                "availableReplicas": replicas,
                "readyReplicas": replicas,
            }
            status["serves"] = spec["template"]["spec"]["containers"][0]["image"]
        elif serves:
            status |= {
                "updatedReplicas": 1,
                "replicas": replicas + 1,
                "availableReplicas": replicas,
            }
        else:
            status |= {"updatedReplicas": replicas, "replicas": replicas, "availableReplicas": 0}
        status["conditions"] = [self.progress(deployment, done, is_new, age)]
        deployment["status"] = status
        self.service_pods(state, deployment, image, ready)

    @staticmethod
    def progress(deployment, done, is_new, age):
        """The condition Progressing. A deadline that passed stays so, for a template that was there
        before too, until the roll-out is done."""
        old = deployment["status"].get("conditions", [{}])[0]
        if done:
            reason = "NewReplicaSetAvailable"
        elif is_new or not old:
            reason = "NewReplicaSetCreated"
        elif old["reason"] == "NewReplicaSetCreated" and age > deployment["spec"].get(
            "progressDeadlineSeconds", 600
        ):
            reason = "ProgressDeadlineExceeded"
        else:
            return old
        if old and old["reason"] == reason and not is_new:
            return old
        return {
            "type": "Progressing",
            "status": "False" if reason == "ProgressDeadlineExceeded" else "True",
            "reason": reason,
            "lastUpdateTime": now(),
        }

    def service_pods(self, state, deployment, image, ready):
        name = f"{deployment['metadata']['name']}-pod"
        template = deployment["spec"]["template"]
        container = template["spec"]["containers"][0]
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "creationTimestamp": now(),
                "uid": name,
                "resourceVersion": "1",
            }
            | copy.deepcopy(template.get("metadata", {})),
            "spec": template["spec"],
            "status": {"phase": "Running"},
        }
        if image is None or image.get("missing"):
            waiting = {
                "reason": "ImagePullBackOff",
                "message": f'Back-off pulling image "{container["image"]}"',
            }
            self.set_state(pod, container, "", waiting=waiting)
        elif not ready and image.get("unhealthy"):
            self.set_state(pod, container, "", running={"startedAt": now()})
            pod["status"]["conditions"] = [
                {"type": "Initialized", "status": "True"},
                {
                    "type": "Ready",
                    "status": "False",
                    "reason": "ContainersNotReady",
                    "message": f"containers with unready status: [{container['name']}]",
                },
            ]
        elif not ready:
            waiting = {
                "reason": "CrashLoopBackOff",
                "message": "back-off 10s restarting failed container",
            }
            self.set_state(pod, container, "", waiting=waiting)
        else:
            self.set_state(pod, container, "", running={"startedAt": now()})
        old = state["objects"].get(f"Pod/{name}")
        if not old or old["spec"] != pod["spec"] or old["status"] != pod["status"]:
            pod["metadata"]["creationTimestamp"] = now()
            state["objects"][f"Pod/{name}"] = pod
