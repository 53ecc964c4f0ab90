"""What the other cluster tests take for granted of the cluster that `make cluster` leaves."""

from __future__ import annotations

import socket
import subprocess
import sys
import time

import pytest
from cluster import kind
from support.kubectl import ROOT, Kubectl, Object
from support.manifests import image

pytestmark = pytest.mark.cluster

SERVE = "echo started; cd /data && echo hello > greeting && exec python3 -m http.server 8080"
FETCH = "import urllib.request as r; print(r.urlopen('http://front/greeting', timeout=10).read().decode(), end='')"


def pod(name: str, command: list[str], **container: object) -> Object:
    """A pod as strict as ours are, with a claim of the default storage class."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": name,
                    "image": image("servingImage"),
                    "command": command,
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    **container,
                }
            ],
        },
    }


@pytest.fixture(scope="module")
def web(shared: Kubectl) -> Kubectl:
    """A web server behind a service; what it serves lies on a claim."""
    server = pod("web", ["sh", "-c", SERVE], volumeMounts=[{"name": "data", "mountPath": "/data"}])
    server["spec"]["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    service = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}
    shared.apply(
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": claim},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "front"}, "spec": service},
        server,
    )
    shared.run("wait", "pod/web", "--for=condition=Ready", "--timeout=60s")
    return shared


def eventually_fetched(web: Kubectl) -> str:
    """What a pod gets from the service by its name; a new service takes a moment to be known."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return web.run("exec", "web", "--", "python3", "-c", FETCH)
        except AssertionError:
            if time.monotonic() > deadline:
                raise


def test_a_claim_binds_and_a_user_that_is_not_root_writes_to_it(web: Kubectl) -> None:
    assert web.get("pvc", "data")["status"]["phase"] == "Bound"
    assert web.run("exec", "web", "--", "cat", "/data/greeting") == "hello\n"


def test_a_pod_reaches_a_service_by_its_name(web: Kubectl) -> None:
    assert eventually_fetched(web) == "hello\n"


@pytest.mark.skipif(kind.engine_answers(), reason="from this host, a Service of kind cannot be reached")
def test_a_service_that_is_not_there_yet_refuses_callers_at_once_and_forgets_them(web: Kubectl) -> None:
    address = "10.96.0.250"
    with socket.socket() as free:
        free.bind(("", 0))
        caller = free.getsockname()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address, 80), timeout=10, source_address=caller).close()
    service = {"clusterIP": address, "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}
    web.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "late"}, "spec": service})
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection((address, 80), timeout=10, source_address=caller).close()
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        else:
            break
    web.delete("service", "late")


def test_logs_are_read(web: Kubectl) -> None:
    assert "started" in web.run("logs", "web")


def test_a_port_is_forwarded(web: Kubectl) -> None:
    forward = subprocess.Popen(
        web.command("port-forward", "service/front", ":80"), stdout=subprocess.PIPE, text=True
    )
    try:
        assert forward.stdout is not None
        assert "Forwarding from 127.0.0.1:" in forward.stdout.readline()
    finally:
        forward.terminate()
        forward.communicate(timeout=10)


def test_a_container_that_takes_more_memory_than_it_may_is_killed_and_says_so(shared: Kubectl) -> None:
    greedy = ["python3", "-c", "held = bytearray(500_000_000)"]
    shared.apply(pod("greedy", greedy, resources={"limits": {"memory": "64Mi"}}))
    ended = shared.wait("pod", "greedy", lambda found: found["status"]["phase"] == "Failed", within=60)
    assert ended["status"]["containerStatuses"][0]["state"]["terminated"]["reason"] == "OOMKilled"


def test_starting_a_cluster_that_runs_leaves_it_as_it_is(web: Kubectl) -> None:
    before = web.get("pod", "web")["status"]["containerStatuses"]
    subprocess.run([sys.executable, "-m", "cluster", "up"], cwd=ROOT, check=True, timeout=120)
    assert web.get("pod", "web")["status"]["containerStatuses"] == before
