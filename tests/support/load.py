"""A steady load of real clients from a pod inside the cluster, and what it saw."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from support.kubectl import Kubectl, Object
from support.manifests import image

# Half of the clients keep their connection, half open a new one for each request. Every failure is kept.
SCRIPT = """
import http.client, json, os, sys, threading, time
host, path, body = os.environ["HOST"], os.environ["TARGET"], os.environ["BODY"]
seen, failures, stop = {}, [], threading.Event()
lock = threading.Lock()

def once(connection):
    connection.request("POST", path, body)
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{answer.status} {content[:200]!r}")
    version = json.loads(content)["model_version"]
    with lock:
        seen[version] = seen.get(version, 0) + 1

def client(keep):
    connection = http.client.HTTPConnection(host, timeout=10)
    while not stop.is_set():
        try:
            once(connection)
        except Exception as error:
            with lock:
                failures.append(f"{time.strftime('%H:%M:%S')} {type(error).__name__}: {error}")
            connection.close()
        if not keep:
            connection.close()
        time.sleep(0.01)

def answered():
    connection = http.client.HTTPConnection(host, timeout=10)
    try:
        once(connection)
    except OSError:
        return False
    finally:
        connection.close()
    return True

# A node hears of a new Service a moment after its pods are ready: the load begins with the first answer.
for _ in range(300):
    if answered():
        break
    time.sleep(0.1)

threads = [threading.Thread(target=client, args=(number % 2 == 0,)) for number in range(6)]
for thread in threads:
    thread.start()
deadline = time.monotonic() + 300
while time.monotonic() < deadline and not os.path.exists("/tmp/stop"):
    print(json.dumps({"answered": seen, "failures": failures[:10]}), flush=True)
    time.sleep(0.5)
stop.set()
for thread in threads:
    thread.join()
print(json.dumps({"answered": seen, "failed": len(failures), "failures": failures[:10], "done": True}), flush=True)
"""


@dataclass(frozen=True)
class Load:
    """A running load."""

    kubectl: Kubectl
    name: str

    def seen(self) -> Any:
        """What it saw so far."""
        lines = self.kubectl.run("logs", self.name, "--tail=1").strip().splitlines()
        return json.loads(lines[-1]) if lines else {"answered": {}}

    def stop(self) -> Any:
        """Ends it; gives the answers by version and the failures."""
        self.kubectl.run("exec", self.name, "--", "touch", "/tmp/stop")
        self.kubectl.wait("pod", self.name, lambda pod: pod["status"]["phase"] == "Succeeded", what="done")
        return self.seen()


def start(kubectl: Kubectl, service: str, body: Object, name: str = "load") -> Load:
    """Starts six clients that send this request to a Service."""
    env = {
        "HOST": f"{service}.{kubectl.namespace}.svc.cluster.local",
        "TARGET": f"/v2/models/{service}/infer",
        "BODY": json.dumps(body),
    }
    container = {
        "name": "load",
        "image": image("trainingImage"),
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", SCRIPT],
        "env": [{"name": key, "value": value} for key, value in env.items()],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    security = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": security,
        "containers": [container],
    }
    kubectl.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
    load = Load(kubectl, name)
    kubectl.wait("pod", name, lambda pod: pod["status"]["phase"] == "Running", what="running")
    deadline = time.monotonic() + 60
    while not load.seen()["answered"]:
        assert time.monotonic() < deadline, f"no request was answered: {load.seen()}"
        time.sleep(0.2)
    return load
