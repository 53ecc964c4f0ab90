"""Asks the cluster on this host how it is, and hands images to its container runtime."""

import urllib.error
import urllib.request
from pathlib import Path

from cluster import daemons, processes
from cluster.paths import ADMIN, CONTAINERD_SOCKET, KUBECTL, STAMP, SUPER_ADMIN
from cluster.settings import NAME
from cluster.shell import StepError, run, succeeds, wait_until


def problem(folder: Path) -> str:
    """Say why the cluster cannot be used as it is; nothing when it can."""
    if not STAMP.exists():
        return "no cluster was started to its end"
    if STAMP.read_text() != folder.name:
        return "the running programs are not of this version"
    expected = daemons.first(folder) + daemons.second(folder)
    if ended := sorted({daemon.name for daemon in expected} - processes.running()):
        return f"{', '.join(ended)} not running"
    try:  # a busy host may miss a beat, which is no reason to throw its cluster away
        wait_until(lambda: ready(expected), 45, "the node is not ready")
    except StepError as late:
        return str(late)
    return ""


def runtime_answers(started: list[processes.Daemon]) -> bool:
    """Whether containerd can be used."""
    processes.require_running(started)
    return CONTAINERD_SOCKET.exists() and succeeds([*_ctr(), "version"])


def api_answers(started: list[processes.Daemon]) -> bool:
    """Whether the API server has finished starting."""
    processes.require_running(started)
    return succeeds(kubectl(SUPER_ADMIN, "get", "--raw", "/readyz"))


def ready(started: list[processes.Daemon]) -> bool:
    """Node Ready, names resolvable, and the account that pods of the default namespace need."""
    processes.require_running(started)
    condition = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
    try:
        node = run(kubectl(ADMIN, "get", "node", NAME, "--ignore-not-found", "-o", condition), timeout=20)
    except StepError:
        return False
    return node == "True" and _dns_ready() and succeeds(kubectl(ADMIN, "get", "serviceaccount", "default"))


def running() -> bool:
    """Whether there is a node to load images into."""
    return STAMP.exists() and succeeds([*_ctr(), "version"])


def load(archive: Path) -> None:
    """Make an image known to the node."""
    run([*_ctr(), "images", "import", archive], timeout=300)


def has_image(name: str) -> bool:
    """Whether the node already has the image."""
    return run([*_ctr(), "images", "list", "-q", f"name=={name}"]).strip() == name


def blobs() -> set[str]:
    """Return the digests of all content that the node has."""
    return set(run([*_ctr(), "content", "list", "--quiet"]).split())


def kubectl(kubeconfig: Path, *words: str) -> list[str | Path]:
    """Return the command that does something as one of the users that kubeadm made."""
    return [KUBECTL, "--kubeconfig", kubeconfig, "--request-timeout=10s", *words]


def _dns_ready() -> bool:
    try:
        with urllib.request.urlopen("http://127.0.0.1:8181/ready", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def _ctr() -> list[str | Path]:
    return ["ctr", "--address", CONTAINERD_SOCKET, "--namespace", "k8s.io"]
