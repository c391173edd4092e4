# SPDX-License-Identifier: Apache-2.0
"""What goes on in Cloud Run by itself: executions of jobs run, end, are cancelled, and leave a log.

A task's container really runs: as a process with exactly its environment, in the folder that stands
for its image.
"""

import json
import subprocess
import time

from background import Background
from kube_objects import moment
from run_objects import Project


class Executions(Background):
    """`images`: {reference: {"folder": ..., "digest": ..., "ready": bool, "no_program": bool}}."""

    def __init__(self, folder, images, path):
        self.project = Project(folder)
        self.told = {}
        super().__init__(images, path)

    def turn(self):
        with self.project.open() as state:
            for name, execution in self.project.part(state, "executions").items():
                self.step(state, name, execution)

    def step(self, state, name, execution):
        status = execution["status"]
        if "completionTime" in status:
            return
        task = execution["spec"]["template"]["spec"]
        if name not in self.processes:
            if execution.get("cancelled"):
                self.end(execution, "Cancelled", "Execution cancelled.")
                return
            self.start(state, name, execution, task)
            return
        process, log = self.processes[name]
        self.collect(state, name, log)
        late = time.time() - status["began"] > int(task["timeoutSeconds"])
        if process.poll() is None:
            if (late or execution.get("cancelled")) and not execution.get("stopping"):
                execution["stopping"] = "timeout" if late else "cancel"
                process.terminate()
            return
        self.collect(state, name, log)
        code = process.returncode if process.returncode >= 0 else 128 - process.returncode
        if state.get("lost"):
            # The machine went away with it: nobody has its exit code.
            state.pop("lost")
            self.end(
                execution,
                "ContainerStatusUnknown",
                "Task web-migrate-task0 failed with message: Internal system error.",
            )
        elif execution.get("stopping") == "timeout":
            message = (
                "Task web-migrate-task0 failed with message: The configured timeout was reached."
            )
            self.end(execution, "NonZeroExitCode", message)
        elif execution.get("stopping"):
            self.end(execution, "Cancelled", "Execution cancelled.")
        elif code:
            message = (
                "Task web-migrate-task0 failed with message: The container exited with an error."
            )
            self.end(execution, "NonZeroExitCode", message, code)
        else:
            self.end(execution, None, "Execution completed successfully.")

    def start(self, state, name, execution, task):
        container = task["containers"][0]
        image = self.images.get(container["image"])
        execution["status"]["began"] = time.time()
        if image is None:
            self.end(execution, "ContainerMissing", f"Image '{container['image']}' not found.")
            return
        if image.get("no_program"):
            message = (
                "The container exited with an error: Application failed to start: failed to resolve "
                f'binary path: error finding executable "{container["command"][0]}" in PATH'
            )
            self.end(execution, "ContainerNotStarted", message)
            return
        variables = {}
        for one in container.get("env", []):
            secret = one.get("valueFrom", {}).get("secretKeyRef")
            variables[one["name"]] = (
                state["secrets"][secret["name"]] if secret else one.get("value", "")
            )
        log = self.project.folder / f"{name}.log"
        with open(log, "wb") as output:
            # pylint: disable=consider-using-with
            process = subprocess.Popen(
                container["command"] + container.get("args", []),
                cwd=image["folder"],
                env={"PATH": self.path, "CLOUD_RUN_JOB": "web-migrate"} | variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.processes[name] = (process, log)

    @staticmethod
    def end(execution, reason, message, code=None):
        status = execution["status"]
        failed = reason is not None
        status["completionTime"] = moment()
        status["failedCount" if failed else "succeededCount"] = 1
        completed = {
            "type": "Completed",
            "status": "False" if failed else "True",
            "message": message,
        }
        status["conditions"] = [completed | ({"reason": reason} if failed else {})]
        if code is not None:
            execution["exit_code"] = code

    def collect(self, state, name, log):
        """Lines become entries: an object as jsonPayload, without the time that it had itself."""
        lines = log.read_text(errors="replace").splitlines()
        for number in range(self.told.get(name, 0), len(lines)):
            entry = {
                "insertId": f"{name}-{number}",
                "timestamp": moment(),
                "labels": {"run.googleapis.com/execution_name": name},
                "resource": {"type": "cloud_run_job"},
                "arrives": time.time() + state.get("log_delay", 0),
            }
            try:
                payload = json.loads(lines[number])
                payload.pop("time", None)
                entry["jsonPayload"] = payload
            except ValueError:
                entry["textPayload"] = lines[number]
            state.setdefault("log", []).append(entry)
        self.told[name] = len(lines)
