"""Installs the operator as a user does, with helm, once for all test processes."""

from __future__ import annotations

import fcntl
import subprocess

from support.kubectl import KUBECONFIG, ROOT, Kubectl, program

NAMESPACE = "modelwright-system"
RELEASE = "modelwright"
# The name of a Service that a test may make beside the operator, in front of a Prometheus of its own.
PROMETHEUS = "prometheus-of-tests"


def install(cluster: Kubectl, *values: str) -> Kubectl:
    """The installed operator, with more values (`key=value`) than the images; kubectl in its namespace."""
    images = ROOT / ".cluster/images.yaml"
    assert images.exists(), "no images: run `make images` first, or `make test`, which does"
    with (ROOT / ".cluster/install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(
            [
                *(program("helm"), f"--kubeconfig={KUBECONFIG}", f"--namespace={NAMESPACE}"),
                *("upgrade", "--install", RELEASE, str(ROOT / "charts/modelwright")),
                *(
                    "--create-namespace",
                    "--values",
                    str(images),
                    "--set",
                    f"prometheus.url=http://{PROMETHEUS}.{NAMESPACE}.svc:9090",
                    "--take-ownership",
                    "--wait",
                    "--timeout",
                    "3m",
                ),
                *(f"--set={value}" for value in values),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr + Kubectl(NAMESPACE).run("get", "pods,events")
    return Kubectl(NAMESPACE)
