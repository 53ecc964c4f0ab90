"""The operator that all tests share: installed as a user does, with helm, once for all test processes."""

from __future__ import annotations

import fcntl
import json
import random
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import yaml
from cluster.settings import DNS_ADDRESS, NODE_ADDRESS, SERVICE_RANGE

from support.kubectl import KUBECONFIG, ROOT, Kubectl, program
from support.processes import kill_operators
from support.turn import turn

NAMESPACE = "modelwright-system"
RELEASE = "modelwright"
LEASE = "modelwright-operator"
# The name of a Service that a test may make beside the operator, in front of a Prometheus of its own.
PROMETHEUS = "prometheus-of-tests"
# Ports on this host for servers of S3 and of tokens, which the operator is given by address.
STORES, EXCHANGES = range(19310, 19314), range(19320, 19324)
CHART = ROOT / "charts/modelwright"
_PODS = "--selector=app.kubernetes.io/component=operator"


def _named(store: int, exchange: int) -> dict[str, object]:
    """A store with an identity whose addresses an administrator names: else none gets a token. No uri begins so."""
    identity = {"roleArn": "arn:aws:iam::1:role/none", "stsEndpoint": f"https://{NODE_ADDRESS}:{exchange}"}
    named = {"endpoint": f"http://{NODE_ADDRESS}:{store}", "identity": identity}
    return {"prefix": f"s3://named-by-an-administrator-{store}", "store": named}


def values() -> Path:
    """The values of the release, in a file: every test that installs it has to give the same ones."""
    images = ROOT / ".cluster/images.yaml"
    assert images.exists(), "no images: run `make images` first, or `make test`, which does"
    # Servers of tests are on this host, or behind Services.
    stores = {
        "allowedNetworks": [f"{NODE_ADDRESS}/32", f"{DNS_ADDRESS}/32", SERVICE_RANGE],
        "defaults": [_named(store, exchange) for store, exchange in zip(STORES, EXCHANGES, strict=True)],
    }
    prometheus = {"url": f"http://{PROMETHEUS}.{NAMESPACE}.svc:9090"}
    path = ROOT / ".cluster/values-of-tests.yaml"
    text = yaml.safe_dump({**yaml.safe_load(images.read_text()), "prometheus": prometheus, "stores": stores})
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
    return path


def install(
    cluster: Kubectl, *changes: str, chart: Path = CHART, given: Mapping[str, object] | None = None
) -> Kubectl:
    """The installed operator; kubectl in its namespace. Another chart, other values (`given`) and changes to the values
    (`key=value`) need the cluster alone."""
    if changes or chart != CHART:
        turn.exclusive()
    with (ROOT / ".cluster/install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(
            [
                *(program("helm"), f"--kubeconfig={KUBECONFIG}", f"--namespace={NAMESPACE}"),
                *("upgrade", "--install", RELEASE, str(chart), "--create-namespace"),
                *(f"--values={values() if given is None else '-'}", "--take-ownership"),
                *("--wait", "--timeout=3m"),
                *(f"--set={change}" for change in changes),
            ],
            input=json.dumps(given),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr + Kubectl(NAMESPACE).run("get", "pods,events")
    return Kubectl(NAMESPACE)


def replaced() -> None:
    """Fresh pods of the operator, ready: the kubelet starts those that were ended often after minutes only."""
    turn.exclusive()
    system = Kubectl(NAMESPACE)
    system.run("delete", "pods", _PODS, "--force", "--grace-period=0")
    system.run("rollout", "status", "deployment/modelwright-operator", "--timeout=170s", timeout=180)


@contextmanager
def power_cuts(seed: int, most: int = 6) -> Iterator[None]:
    """Ends the operator again and again, at moments that the seed chooses; it is whole again afterwards."""
    turn.exclusive()
    moments, over = random.Random(seed), threading.Event()

    def cut() -> None:
        for _ in range(most):
            if over.wait(moments.uniform(0.2, 6)):
                return
            kill_operators(NAMESPACE)
            Kubectl(NAMESPACE).run("delete", "pods", _PODS, "--force", "--grace-period=0")
            give_up_the_lease()

    thread = threading.Thread(target=cut)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        replaced()


def leader() -> str:
    """The pod of the operator that leads."""
    found = Kubectl(NAMESPACE).wait("lease", LEASE, lambda lease: lease["spec"].get("holderIdentity"))
    return str(found["spec"]["holderIdentity"]).split("_")[0]


def give_up_the_lease() -> None:
    """The Lease as it is when nobody has renewed it for a while, without the wait for that."""
    turn.exclusive()
    Kubectl(NAMESPACE).patch("lease", LEASE, {"spec": {"holderIdentity": ""}})
