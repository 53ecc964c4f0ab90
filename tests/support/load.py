"""A steady load of real clients, from a pod inside the cluster or from this host, and what it saw."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.kubectl import Kubectl, Object
from support.manifests import image

# Half of the clients keep their connection, half open a new one for each request. Every failure is kept.
SCRIPT = """
import http.client, json, os, socket, sys, threading, time
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

def network():
    # What a request that found no way says of the way: the address of the name, and the neighbours.
    try:
        address = socket.gethostbyname(host)
    except OSError as error:
        address = error
    return f"{address}, {open('/proc/net/arp').read().split(chr(10), 1)[1].split()}"

def client(keep):
    connection = http.client.HTTPConnection(host, timeout=10)
    while not stop.is_set():
        began, was_open = time.monotonic(), connection.sock is not None
        try:
            once(connection)
        except Exception as error:
            how = f"after {time.monotonic() - began:.2f} s on {'an open' if was_open else 'a new'} connection"
            with lock:
                failures.append(f"{time.strftime('%H:%M:%S')} {type(error).__name__}: {error} {how}, {network()}")
            connection.close()
        if not keep:
            connection.close()
        time.sleep(0.03)

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
        "HOST": f"{service}.{kubectl.namespace}.svc",
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


class Callers:
    """Clients of every kind on this host, calling all the time; see `callers`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def seen(self) -> Any:
        """What they saw so far."""
        return self._told("")

    def send(self, body: Object) -> None:
        """From now on they send this."""
        self._told(json.dumps(body))

    def _told(self, line: str) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self._said()

    def answered_everywhere(self, more: int = 20) -> Any:
        """Waits until each kind of client has had so many more answers; gives what they saw."""
        before = self.seen()["answered"]
        deadline = time.monotonic() + 60
        while True:
            seen = self.seen()
            if all(seen["answered"].get(kind, 0) >= before.get(kind, 0) + more for kind in seen["kinds"]):
                return seen
            assert time.monotonic() < deadline, f"some clients get no answers any more: {seen}"
            time.sleep(0.2)

    def stop(self) -> Any:
        """Ends them; gives what they saw."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self._said()

    def _said(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


@contextmanager
def calling(
    host: str,
    http_port: int,
    grpc_port: int,
    model: str,
    body: Object,
    authority: str | None = None,
    **more: Any,
) -> Iterator[Callers]:
    """Clients on this host, from their first answers until the test leaves."""
    where = {"host": host, "http_port": http_port, "grpc_port": grpc_port, "authority": authority}
    target = {**where, "model": model, "body": body, **more}
    command, folder = [sys.executable, "-m", "support.callers"], Path(__file__).parents[1]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder
    ) as process:
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps(target) + "\n")
            callers = Callers(process)
            callers.answered_everywhere()
            yield callers
        finally:
            process.kill()
