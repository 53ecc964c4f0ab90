"""A canary that nobody calls: nothing can be said about it, so the policy decides."""

from __future__ import annotations

from support.kubectl import Kubectl, condition
from support.models import valid_model
from support.rollouts import GOOD, MARKS, publish, serve, service

pytestmark = MARKS

POLICIES = ("Rollback", "Promote", "Pause")
STEPS = [{"weight": 50, "holdSeconds": 0}]


def test_without_any_traffic_the_policy_decides(kubectl: Kubectl) -> None:
    publish(kubectl, one=valid_model(), two=GOOD["two"])
    for policy in POLICIES:
        kubectl.apply(service("one", name=policy.lower()))
    for policy in POLICIES:
        serve(kubectl, name=policy.lower(), replicas=1)
    for policy in POLICIES:
        analysis = {"noDataSeconds": 10, "onNoData": policy}
        kubectl.apply(service("two", name=policy.lower(), steps=STEPS, analysis=analysis))

    refused = kubectl.condition("mwisvc", "rollback", "Stalled", "True", "RolledBack")
    promoted = kubectl.condition("mwisvc", "promote", "Ready", "True", "Serving")
    paused = kubectl.condition("mwisvc", "pause", "Ready", "False", "CanaryPaused")

    decisions = [found["status"]["lastDecision"] for found in (refused, promoted, paused)]
    assert [decision["verdict"] for decision in decisions] == [*POLICIES]
    assert {(decision["reason"], decision["samples"]) for decision in decisions} == {("TooFewSamples", 0)}
    stable = [found["status"]["stable"]["version"] for found in (refused, promoted, paused)]
    assert stable == ["one", "two", "one"]
    # Nothing is known against it.
    assert condition(kubectl.get("modelversion", "two"), "Quarantined") is None
