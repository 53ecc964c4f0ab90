"""Where scale is measured: the control plane of `make cluster` without a kubelet, and kwok, which plays the nodes.

Folder, ports and certificates are its own, so it runs beside a cluster and never touches it. The pods have addresses of
this host's loopback range. So the controllers that make endpoints of pods do not run: endpoints must not be loopback.
"""

from __future__ import annotations

import json
import signal
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.contenders import free_ports
from bench.generator import BenchError
from bench.scale.audit import Request, requests
from bench.scale.objects import verified
from bench.scale.stages import stages
from cluster import programs
from cluster.controlplane import ControlPlane
from cluster.paths import LOCAL
from cluster.processes import Daemon

LOGS = LOCAL / "bench" / "scale"
OPERATOR = "modelwright:operator"
POD_RANGE = "127.64.0.0/12"
START_SECONDS = 120
# Controllers and scheduler are not what is measured: they must not wait for their own rate limits.
_UNLIMITED = {"kube_api_qps": "2000", "kube_api_burst": "4000"}
_CONTROLLERS = ",".join(
    (
        "*",
        "-endpoints-controller",
        "-endpointslice-controller",
        "-endpointslice-mirroring-controller",
    )
)
_SYNCS = {
    "concurrent_deployment_syncs": "20",
    "concurrent_replicaset_syncs": "20",
    "concurrent_job_syncs": "20",
}


@dataclass(frozen=True)
class Place:
    """A running control plane: the kubeconfigs of its administrator and of the operator, and its audit log."""

    admin: Path
    operator: Path
    audit: Path

    def mark(self) -> int:
        """The end of the audit log as it is now."""
        return self.audit.stat().st_size

    def requests(self, since: int = 0) -> list[Request]:
        """The operator's requests since a mark."""
        with self.audit.open("rb") as log:
            log.seek(since)
            written = log.read()
        return list(requests(written[: written.rfind(b"\n") + 1].decode().splitlines()))


@contextmanager
def running() -> Iterator[Place]:
    """A fresh control plane and kwok; everything of it is gone afterwards, but for the logs."""
    LOGS.mkdir(parents=True, exist_ok=True)
    kubernetes, kwok = programs.kubernetes(), programs.kwok()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="modelwright-scale-")))
        plane = _plane(folder)
        for each in (plane.config, folder / "log"):
            each.mkdir(parents=True)
        plane.write_certificates(kubernetes)
        for name in ("controller-manager", "scheduler"):
            plane.write_kubeconfig(kubernetes, f"{name}.conf", f"system:kube-{name}")
        place = Place(
            plane.write_kubeconfig(kubernetes, "admin.conf", "modelwright:bench", "system:masters"),
            plane.write_kubeconfig(kubernetes, "operator.conf", OPERATOR),
            folder / "audit.log",
        )
        _start(stack, plane.etcd(kubernetes))
        server = _start(stack, plane.api_server(kubernetes, **_api_server(folder)))
        _wait_until_ready(plane, server)
        _start(stack, plane.controller_manager(kubernetes, controllers=_CONTROLLERS, **_UNLIMITED, **_SYNCS))
        _start(stack, plane.scheduler(kubernetes, **_UNLIMITED))
        _start(stack, _kwok(kwok, folder, place.admin))
        yield place


def _plane(folder: Path) -> ControlPlane:
    ports = free_ports(5)
    return ControlPlane(
        folder,
        port=ports[0],
        etcd_port=ports[1],
        etcd_peer_port=ports[2],
        controller_manager_port=ports[3],
        scheduler_port=ports[4],
    )


def _api_server(folder: Path) -> dict[str, str | Path]:
    """The flags that write the operator's requests into the audit log."""
    policy = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived", "ResponseStarted"],
        "rules": [{"level": "Metadata", "users": [OPERATOR]}, {"level": "None"}],
    }
    path = folder / "audit-policy.yaml"
    path.write_text(json.dumps(policy))
    (folder / "audit.log").touch()
    return {
        "audit_policy_file": path,
        "audit_log_path": folder / "audit.log",
        "audit_log_maxsize": "4096",  # MiB; a smaller log would be begun anew in the middle of a measurement
        "audit_log_mode": "blocking",
        "endpoint_reconciler_type": "none",
    }


def _kwok(folder: Path, state: Path, kubeconfig: Path) -> Daemon:
    path = state / "stages.yaml"
    path.write_text(stages(programs.kwok_stages(), verified()))
    return Daemon(
        (
            str(folder / "kwok"),
            f"--kubeconfig={kubeconfig}",
            f"--config={path}",
            "--manage-all-nodes=true",
            f"--cidr={POD_RANGE}",
            "--node-ip=127.0.0.1",
            "--node-lease-duration-seconds=40",
        )
    )


def _start(stack: ExitStack, daemon: Daemon) -> subprocess.Popen[bytes]:
    """Starts a program, which ends with the stack; what it says goes to a log of its own."""
    log = stack.enter_context((LOGS / f"{daemon.name}.log").open("wb"))
    process = subprocess.Popen(
        daemon.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
    )
    stack.callback(_end, process)
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    """The data is thrown away: nothing is worth waiting for."""
    process.send_signal(signal.SIGKILL)
    process.wait(30)


def _wait_until_ready(plane: ControlPlane, server: subprocess.Popen[bytes]) -> None:
    """Until the API server has finished starting; it answers this question without credentials."""
    context = ssl.create_default_context(cafile=str(plane.pki / "ca.crt"))
    deadline = time.monotonic() + START_SECONDS
    while True:
        if server.poll() is not None or time.monotonic() > deadline:
            raise BenchError(f"the API server does not start: read {LOGS}/kube-apiserver.log")
        try:
            url = f"https://{plane.address}:{plane.port}/readyz"
            with urllib.request.urlopen(url, timeout=2, context=context):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
