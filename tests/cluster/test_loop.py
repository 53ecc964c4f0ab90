"""The whole loop without a hand: orders change, drift is found, a run learns them, its version takes over.

What is applied is what examples/loop teaches, with shorter times.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from cluster import kind
from support.examples import EXAMPLES, program
from support.kubectl import Kubectl, Object, condition
from support.manifests import config_map, secret
from support.rowstream import reachable

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.usefixtures("operator"),
    pytest.mark.skipif(kind.engine_answers(), reason="a Service of kind cannot be reached from this host"),
]

SHOP = program("loop", "shop.py")
NAME = "deliveries"
WINDOW = 10
LOOP_SECONDS = 240
SMALL = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}}


def example(file: str) -> Object:
    """A manifest of the example."""
    manifest: Object = yaml.safe_load((EXAMPLES / "loop" / file).read_text())
    return manifest


@pytest.fixture(scope="module")
def traffic(shared: Kubectl) -> Iterator[Any]:
    """The example is served, and its callers send orders in town, until the module ends."""
    job, service = example("trainingjob.yaml"), example("inferenceservice.yaml")
    job["spec"] |= {"resources": SMALL}
    del job["spec"]["triggers"]["onDataChange"]  # it might be first, and the loop is about drift
    service["spec"] |= {"resources": SMALL}
    service["spec"]["rollout"]["scaleDownDelaySeconds"] = 3
    service["spec"]["monitoring"]["drift"] |= {"windowSeconds": WINDOW, "minSamples": 200}
    key = secret(f"{NAME}-feedback", {"key": "a key of tests, of at least thirty-two bytes"})
    shared.apply(config_map(f"{NAME}-data", orders_csv=SHOP.table()), key, job, service)
    shared.condition("mwisvc", NAME, "Ready", "True", within=180)
    address = reachable(shared.get("service", NAME)["spec"]["clusterIP"])
    traffic = SHOP.Traffic(f"http://{address}").start()
    yield traffic
    traffic.stop()


def test_drift_ends_in_a_version_that_knows_the_new_orders_and_no_request_fails(
    shared: Kubectl, traffic: Any
) -> None:
    shared.condition("mwisvc", NAME, "DriftDetected", "False", "NoDrift", within=60)

    # The world changes: callers send other orders, and what becomes of such orders is recorded.
    begun = time.monotonic()
    traffic.far = True
    shared.apply(config_map(f"{NAME}-data", orders_csv=SHOP.table(seed=2, far=True)))

    drifted = shared.condition("mwisvc", NAME, "DriftDetected", "True", "FeatureDrift", within=60)
    assert drifted["status"]["monitoring"]["worst"][0]["feature"] == "distance_km"
    shared.wait("trainingjob", NAME, lambda found: found["status"]["run"]["number"] == 2, within=60)
    shared.wait("mwisvc", NAME, lambda found: found["status"]["stable"]["version"] == f"{NAME}-2", within=150)
    shared.condition("mwisvc", NAME, "DriftDetected", "False", "NoDrift", within=90)
    took = time.monotonic() - begun

    assert took < LOOP_SECONDS
    assert traffic.failed == 0, traffic.failures
    assert traffic.versions[f"{NAME}-2"] > 0
    run = shared.get("trainingjob", NAME)["status"]["run"]
    caused(run["cause"])
    version = shared.get("modelversion", f"{NAME}-2")
    caused(version["spec"]["lineage"]["cause"])
    assert {gate["verdict"] for gate in version["status"]["gates"]} == {"Pass"}
    told = {reason for _, reason, _ in shared.events("InferenceService", NAME)}
    assert {"FeatureDrift", "CanaryAdvanced", "CanaryPromoted"} <= told


def caused(cause: Object) -> None:
    """The run was started by the drift that was seen."""
    assert cause["trigger"] == "Drift"
    evidence = cause["evidence"]
    assert (evidence["service"], evidence["version"]) == (NAME, f"{NAME}-1")
    assert evidence["feature"] == "distance_km"
    assert abs(evidence["value"]) > evidence["threshold"]


def test_drift_that_comes_back_at_once_is_held_by_the_brakes(shared: Kubectl, traffic: Any) -> None:
    shared.patch("trainingjob", NAME, {"spec": {"brakes": {"cooldownSeconds": 3600}}})
    traffic.far = False
    shared.condition("mwisvc", NAME, "DriftDetected", "True", within=90)

    def held(found: Object) -> bool:
        decision = found["status"]["triggers"]["lastDecision"]
        return (decision["trigger"], decision["reason"]) == ("Drift", "Cooldown")

    found = shared.wait("trainingjob", NAME, held, within=60, what="held by the cooldown")
    assert found["status"]["run"]["number"] == 2
    assert found["status"]["triggers"]["lastDecision"]["evidence"]["feature"] == "distance_km"
    assert len(shared.all("job", f"modelwright.dev/training-job={NAME}")) <= 2
    assert (condition(found, "Ready") or {})["status"] == "True"
    assert traffic.failed == 0, traffic.failures
