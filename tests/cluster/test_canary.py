"""Rollouts under the load of real clients: a good version is promoted, a bad one never reaches a caller."""

from __future__ import annotations

from typing import Any

import pytest
from cluster import kind
from support.handmade import versions
from support.kubectl import Kubectl, condition, message
from support.load import calling
from support.manifests import inference_service
from support.models import failing_on_data, hanging_on_data, valid_model

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.usefixtures("operator"),
    pytest.mark.skipif(
        kind.engine_answers(),
        reason="the callers are on this host, where a Service of kind cannot be reached",
    ),
]

REQUEST = {"inputs": [{"name": "input", "shape": [1, 2], "datatype": "FP32", "data": [[3.0, 4.0]]}]}
STEPS = [{"weight": 10, "holdSeconds": 3}, {"weight": 50, "holdSeconds": 3}]
FILES = {
    "one": valid_model(),
    "two": valid_model() + b"\x1a\x03two",
    "fails": failing_on_data(),
    "hangs": hanging_on_data(),
}


@pytest.fixture
def served(kubectl: Kubectl) -> str:
    """Version `one` has the traffic of two pods, the others are there; gives the Service's address."""
    versions(kubectl, "doubles", FILES)
    kubectl.apply(service("one"))
    kubectl.condition("mwisvc", "doubles", "Ready", "True", within=120)
    return str(kubectl.get("service", "doubles")["spec"]["clusterIP"])


def service(version: str, **analysis: Any) -> dict[str, Any]:
    rollout = {
        "strategy": "Canary",
        "steps": STEPS,
        "analysis": {"minSamples": 20, **analysis},
        "scaleDownDelaySeconds": 3,
    }
    return inference_service("doubles", version=version, replicas=2, rollout=rollout)


def test_a_good_version_goes_through_all_steps_and_no_request_is_lost(kubectl: Kubectl, served: str) -> None:
    with calling(served, 80, 8081, "doubles", REQUEST) as callers:
        kubectl.apply(service("two"))
        done = kubectl.condition("mwisvc", "doubles", "Ready", "True", "Serving", within=180)
        kubectl.wait("mwisvc", "doubles", lambda found: "retired" not in found["status"], within=60)
        callers.answered_everywhere()
        seen = callers.stop()

    assert seen["failed"] == {}, seen
    assert done["status"]["stable"]["version"] == "two"
    last, before = done["status"]["lastDecision"], done["status"]["history"]
    assert [decision["verdict"] for decision in (last, *before)] == ["Promote", "Advance"]
    assert last["samples"] >= 20
    kubectl.wait("mwisvc", "doubles", lambda _: len(kubectl.all("deployment")) == 1, within=60)
    assert kubectl.find("service", "doubles-canary") is None


@pytest.mark.parametrize("version", ["fails", "hangs"])
def test_a_bad_version_is_rolled_back_and_no_caller_gets_an_error(
    kubectl: Kubectl, served: str, version: str
) -> None:
    with calling(served, 80, 8081, "doubles", REQUEST) as callers:
        kubectl.apply(service(version))
        refused = kubectl.condition("mwisvc", "doubles", "Stalled", "True", "RolledBack", within=120)
        callers.answered_everywhere()
        seen = callers.stop()

    assert seen["failed"] == {}, seen
    assert refused["status"]["stable"]["version"] == "one"
    assert "ErrorRateTooHigh" in message(refused)
    assert condition(refused, "Available")["status"] == "True"  # type: ignore[index]
    decision = refused["status"]["lastDecision"]
    assert decision["verdict"] == "Rollback"
    assert decision["value"] > 0.5
    kubectl.wait("mwisvc", "doubles", lambda _: len(kubectl.all("deployment")) == 1, within=60)
