"""Measures on the real cluster what a user waits for and what callers lose. Run by `make bench`.

Prints one line per figure: minimum, median and maximum over the rounds. The seconds are of this machine; the
number of lost requests is what counts anywhere.
"""

from __future__ import annotations

import statistics
import sys
import time
import uuid
from collections.abc import Callable

from sklearn.datasets import load_breast_cancer
from support.kubectl import Kubectl
from support.load import start
from support.manifests import inference_service, training_job
from support.operator import install
from support.predict import predict, rows

REQUEST = rows(*load_breast_cancer().data[:1].tolist())
ROUNDS = 3


def apply_to_prediction(kubectl: Kubectl) -> float:
    """Seconds from one `kubectl apply` of both manifests to the first answer: training included."""
    began = time.perf_counter()
    kubectl.apply(training_job("cancer"), inference_service("cancer", track="cancer"))
    kubectl.condition("inferenceservice", "cancer", "Ready", "True", within=300)
    predict(kubectl, "cancer", REQUEST)
    return time.perf_counter() - began


def version_to_traffic(kubectl: Kubectl) -> float:
    """Seconds from the apply of another ready version to its having the traffic."""
    kubectl.patch("trainingjob", "cancer", {"spec": {"seed": 1}})
    kubectl.patch(
        "mwisvc", "cancer", {"spec": {"model": {"name": None, "track": None, "version": "cancer-1"}}}
    )
    kubectl.condition("trainingjob", "cancer", "Ready", "True", "RunSucceeded", within=300)
    began = time.perf_counter()
    kubectl.patch("mwisvc", "cancer", {"spec": {"model": {"version": "cancer-2"}}})
    kubectl.condition("inferenceservice", "cancer", "Ready", "True", "Serving", within=300)
    return time.perf_counter() - began


def lost_requests(kubectl: Kubectl, change: Callable[[Kubectl], float]) -> tuple[float, int, int]:
    """What a change takes under a steady load of six clients, and the requests answered and lost meanwhile."""
    load = start(kubectl, "cancer", REQUEST)
    seconds = change(kubectl)
    kubectl.wait("mwisvc", "cancer", lambda found: "retired" not in found["status"], within=120)
    seen = load.stop()
    for failure in seen["failures"]:
        print(f"lost: {failure}")
    return seconds, sum(seen["answered"].values()), seen["failed"]


def main() -> int:
    """Runs the rounds, each in a namespace of its own."""
    cluster = Kubectl("default")
    install(cluster)
    first, switched, answered, lost = [], [], 0, 0
    for _ in range(ROUNDS):
        kubectl = Kubectl(f"bench-{uuid.uuid4().hex[:6]}")
        cluster.run("create", "namespace", kubectl.namespace)
        try:
            first.append(apply_to_prediction(kubectl))
            seconds, good, bad = lost_requests(kubectl, version_to_traffic)
            switched.append(seconds)
            answered, lost = answered + good, lost + bad
        finally:
            cluster.run("delete", "namespace", kubectl.namespace, "--wait=false")
    say("seconds from apply to the first prediction", first)
    say("seconds from apply of a version to its traffic", switched)
    print(f"{'requests lost while versions were replaced':<53} {lost} of {lost + answered}")
    return 1 if lost else 0


def say(figure: str, values: list[float]) -> None:
    """One line of the result."""
    low, middle, high = min(values), statistics.median(values), max(values)
    print(f"{figure:<53} min {low:.1f}  median {middle:.1f}  max {high:.1f}")


if __name__ == "__main__":
    sys.exit(main())
