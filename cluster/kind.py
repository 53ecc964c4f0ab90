"""Starts and ends a cluster with kind, where a Docker engine answers."""

from pathlib import Path

from cluster import programs
from cluster.paths import CACHE, KUBECONFIG, LOCAL
from cluster.settings import KIND, NAME
from cluster.shell import run, succeeds
from cluster.steps import say, step

NODE = f"{NAME}-control-plane"


def engine_answers() -> bool:
    """Whether there is a Docker engine to talk to."""
    return succeeds(["docker", "info"])


def running() -> bool:
    """Whether the cluster is there."""
    return NAME in run([_kind(), "get", "clusters"]).split()


def up() -> None:
    """Create the cluster unless it is there; kubectl is taken from its node, so that versions agree."""
    LOCAL.mkdir(exist_ok=True)
    if running():
        run([_kind(), "export", "kubeconfig", "--name", NAME, "--kubeconfig", KUBECONFIG])
        say("  the cluster is up")
    else:
        with step("create a cluster with kind"):
            run(
                [_kind(), "create", "cluster", "--name", NAME, "--kubeconfig", KUBECONFIG, "--wait", "180s"],
                log=CACHE / "logs" / "kind.log",
            )
    kubectl = CACHE / "kind" / "kubectl"
    kubectl.parent.mkdir(parents=True, exist_ok=True)
    run(["docker", "cp", f"{NODE}:/usr/bin/kubectl", kubectl])
    programs.link(kubectl)
    programs.link(programs.helm() / "helm")


def down() -> None:
    """Delete the cluster."""
    with step("delete the kind cluster"):
        run([_kind(), "delete", "cluster", "--name", NAME])
    KUBECONFIG.unlink(missing_ok=True)


def load(image: str) -> None:
    """Copy an image from the Docker engine to the node."""
    run([_kind(), "load", "docker-image", image, "--name", NAME], timeout=300)


def has_image(name: str) -> bool:
    """Whether the node already has the image."""
    return succeeds(["docker", "exec", NODE, "crictl", "inspecti", "-q", name])


def _kind() -> Path:
    return programs.installed("sigs.k8s.io/kind", KIND) / "kind"
