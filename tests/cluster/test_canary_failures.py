"""Canaries that are slow, wrong, crash or take too much memory: rolled back, and no caller notices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.kubectl import Kubectl, Object, message
from support.load import calling
from support.models import hungry_on_large_data, labelling, not_a_number_on_data, slow_on_data
from support.processes import end_servers
from support.rollouts import (
    FOR_EVER,
    LARGE,
    MARKS,
    REQUEST,
    is_tidy,
    publish,
    reset,
    serve,
    service,
    waits_for_weight,
)

pytestmark = MARKS

# What a caller waits for a canary at most, and what the rest of a request may take on a busy machine.
TIMEOUT_SECONDS = 3
MARGIN_SECONDS = 5
FILES = {
    "one": labelling("ArgMax"),
    "two": labelling("ArgMax") + b"\x1a\x03two",
    "slow": slow_on_data(),
    "others": labelling("ArgMin"),
    "nan": not_a_number_on_data(),
    "hungry": hungry_on_large_data(),
}
SHADOW = [{"weight": 0, "mirror": 50, "holdSeconds": FOR_EVER}]
SHARE = [{"weight": 20, "holdSeconds": FOR_EVER}]
# Failed requests do not end the rollout: on a busy machine a slow version fails some by its timeout.
TOLERANT = {"maxErrorRate": 1}


@pytest.fixture(scope="module")
def address(shared: Kubectl) -> str:
    """Version `one` has the traffic of two pods, the others are there; gives the Service's address."""
    publish(shared, **FILES)
    return serve(shared)


@pytest.fixture
def served(shared: Kubectl, address: str) -> Iterator[str]:
    """The same for each test, whatever the one before has left."""
    yield address
    reset(shared)


def rolled_back(
    kubectl: Kubectl,
    address: str,
    version: str,
    *,
    request: Object = REQUEST,
    quarantined: bool = True,
    **rollout: Any,
) -> tuple[Object, Any]:
    """Rolls a version out until it is rolled back; gives the service and what callers saw."""
    with calling(address, 80, 8081, "doubles", request) as callers:
        kubectl.apply(service(version, replicas=2, **rollout))
        refused = kubectl.condition("mwisvc", "doubles", "Stalled", "True", "RolledBack", within=180)
        is_tidy(kubectl)
        callers.answered_everywhere()
        seen = callers.stop()
    assert seen["failed"] == {}, seen
    assert refused["status"]["stable"]["version"] == "one"
    assert refused["status"]["rejected"][0]["quarantine"] is quarantined
    if quarantined:
        kubectl.condition("modelversion", version, "Quarantined", "True", within=30)
    return refused, seen


def test_a_slow_version_is_rolled_back_and_callers_wait_no_longer_than_they_are_told(
    shared: Kubectl, served: str
) -> None:
    traffic = {"timeoutSeconds": TIMEOUT_SECONDS}
    refused, seen = rolled_back(
        shared,
        served,
        "slow",
        steps=SHARE,
        analysis={"maxP99Increase": 1, **TOLERANT},
        traffic=traffic,
        quarantined=False,
    )
    decision = refused["status"]["lastDecision"]
    assert (decision["reason"], decision["metric"]) == ("TooSlow", "p99Seconds"), refused
    assert decision["value"] > decision["threshold"]
    assert seen["slowest"] < TIMEOUT_SECONDS + MARGIN_SECONDS, seen


@pytest.mark.parametrize(
    ("version", "analysis", "reason", "metric"),
    [
        ("others", {"minAgreement": 0.9}, "AnswersDiffer", "agreement"),
        ("nan", {}, "NonFiniteAnswers", "nonFinite"),
    ],
)
def test_a_version_that_answers_wrongly_is_found_out_by_its_shadow(
    shared: Kubectl, served: str, version: str, analysis: dict[str, Any], reason: str, metric: str
) -> None:
    refused, _ = rolled_back(shared, served, version, steps=SHADOW, analysis=analysis)
    decision = refused["status"]["lastDecision"]
    assert (decision["reason"], decision["metric"]) == (reason, metric)
    assert reason in message(refused)


def test_a_version_that_takes_too_much_memory_is_rolled_back(shared: Kubectl, served: str) -> None:
    """It refuses the requests that ask too much of it; no pod is killed."""
    refused, _ = rolled_back(shared, served, "hungry", request=LARGE, steps=SHARE)
    assert refused["status"]["lastDecision"]["metric"] == "errorRate"


def test_a_version_whose_server_ends_is_rolled_back(shared: Kubectl, served: str) -> None:
    with calling(served, 80, 8081, "doubles", REQUEST) as callers:
        shared.apply(service("two", replicas=2, steps=SHARE, analysis=TOLERANT))
        found = waits_for_weight(shared, 20)
        end_servers(shared, found["status"]["canary"]["revision"])
        refused = shared.condition("mwisvc", "doubles", "Stalled", "True", "RolledBack", within=120)
        callers.answered_everywhere()
        seen = callers.stop()

    assert seen["failed"] == {}, seen
    assert "server ended with exit code 137" in message(refused)
    assert refused["status"]["lastDecision"]["metric"] == "restarts"
