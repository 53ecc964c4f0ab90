"""Searches containers, objects and logs for credentials, as an attacker who got into each of them would."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from support.kubectl import Kubectl, KubectlError, Object
from support.operator import NAMESPACE

# Runs inside a container: the environments and command lines of all processes, and each file that is younger than the
# test. What is searched for comes by standard input, so that the search does not find itself.
SEARCH = r"""
import glob, json, os, re, stat, sys
given = json.load(sys.stdin)
marks = [mark.encode() for mark in given["marks"]]
token = re.compile(rb"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}")
def looks(path):
    try:
        with open(path, "rb") as file:
            content = file.read(8 << 20)
    except OSError:
        return
    if any(mark in content for mark in marks) or token.search(content):
        print(path)
for path in glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/cmdline"):
    looks(path)
for folder, names, files in os.walk("/"):
    names[:] = [name for name in names if os.path.join(folder, name) not in ("/proc", "/sys")]
    for name in files:
        path = os.path.join(folder, name)
        try:
            found = os.stat(path)
        except OSError:
            continue
        if stat.S_ISREG(found.st_mode) and found.st_ctime >= given["since"]:
            looks(path)
"""
KINDS = (
    "pods,jobs,deployments,replicasets,configmaps,services,endpointslices,events,serviceaccounts,"
    "persistentvolumeclaims,controllerrevisions,trainingjobs,modelversions,inferenceservices"
)
SIGNED = re.compile(
    r"X-Amz-Signature|X-Amz-Credential|AWS4-HMAC|[?&]sig=|Bearer |eyJ[\w-]{10,}\.eyJ[\w-]{10,}\."
)
# The folder that the kubelet writes the files of a volume to; the names that a container opens are links into it.
GENERATION = re.compile(r"/\.\.[0-9_.]+/")


@dataclass
class Search:
    """What is searched for: texts that are secret. Tokens of service accounts are found by their form."""

    kubectl: Kubectl
    marks: list[str]
    since: float = field(default_factory=time.time)

    def container(self, pod: str, name: str) -> list[str]:
        """The files and environments of a running container that hold something secret."""
        given = json.dumps({"marks": self.marks, "since": self.since - 1})
        command = ("exec", "-i", pod, "-c", name, "--", "python3", "-c", SEARCH)
        found = self.kubectl.run(*command, given=given).split()
        return sorted({GENERATION.sub("/", path) for path in found})

    def objects(self) -> list[str]:
        """The lines of all objects but Secrets, and of all events, that hold something secret."""
        return self._found(self.kubectl.run("get", KINDS, "-o", "yaml", "--show-managed-fields"))

    def logs(self) -> list[str]:
        """The lines of the logs of all pods of the namespace, and of the operator, that hold something secret."""
        own = [_log(self.kubectl, pod) for pod in self.kubectl.all("pod")]
        system = Kubectl(NAMESPACE)
        operators = system.all("pod", "app.kubernetes.io/component=operator")
        said = (*own, *(_log(system, pod) for pod in operators))
        return self._found("\n".join(said))

    def _found(self, text: str) -> list[str]:
        return [line for line in text.splitlines() if SIGNED.search(line) or self._has(line)]

    def _has(self, line: str) -> bool:
        return any(mark in line for mark in self.marks)


def outside(paths: Iterable[str], *folders: str) -> list[str]:
    """The paths that are in none of these folders."""
    return [path for path in paths if not path.startswith(tuple(f"{folder}/" for folder in folders))]


def running(kubectl: Kubectl, selector: str, container: str, within: float = 120) -> str:
    """Waits until a container of a pod with these labels runs; gives the pod's name."""
    deadline = time.monotonic() + within
    seen: list[Object] = []
    while time.monotonic() < deadline:
        seen = kubectl.all("pod", selector)
        for pod in seen:
            if "running" in state(pod, container):
                return str(pod["metadata"]["name"])
        time.sleep(0.1)
    raise AssertionError(f"{container} did not run: {[pod.get('status') for pod in seen]}")


def state(pod: Object, container: str) -> Object:
    """The state of a container of a pod."""
    status = pod.get("status", {})
    known = (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))
    return next((each.get("state") or {} for each in known if each["name"] == container), {})


def _log(kubectl: Kubectl, pod: Object) -> str:
    try:
        return kubectl.run("logs", pod["metadata"]["name"], "--all-containers", "--tail=-1")
    except KubectlError:  # it has not started, or has gone
        return ""
