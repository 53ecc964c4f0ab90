"""Rollouts under the load of real clients: a good version is promoted, a bad one never reaches a caller."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.kubectl import Kubectl, condition, message
from support.load import calling
from support.models import failing_on_data, hanging_on_data, valid_model
from support.rollouts import (
    GOOD,
    MARKS,
    REQUEST,
    is_tidy,
    publish,
    reset,
    serve,
    service,
    takes_over_unnoticed,
)

pytestmark = MARKS

BAD = {"fails": failing_on_data(), "hangs": hanging_on_data()}


@pytest.fixture(scope="module")
def address(shared: Kubectl) -> str:
    """Version `one` has the traffic of two pods, the others are there; gives the Service's address."""
    publish(shared, one=valid_model(), two=GOOD["two"], **BAD)
    return serve(shared)


@pytest.fixture
def served(shared: Kubectl, address: str) -> Iterator[str]:
    """The same for each test, whatever the one before has left."""
    yield address
    reset(shared)


def test_a_good_version_goes_through_all_steps_and_no_request_is_lost(shared: Kubectl, served: str) -> None:
    takes_over_unnoticed(shared, served, "two")
    told = {reason for _, reason, _ in shared.events("InferenceService", "doubles")}
    assert {"CanaryAdvanced", "CanaryPromoted"} <= told


@pytest.mark.parametrize(
    ("version", "quarantined"),
    # That no answer comes may be the cluster's fault.
    [("fails", True), ("hangs", False)],
)
def test_a_bad_version_is_rolled_back_and_no_caller_gets_an_error(
    shared: Kubectl, served: str, version: str, *, quarantined: bool
) -> None:
    with calling(served, 80, 8081, "doubles", REQUEST) as callers:
        shared.apply(service(version, replicas=2))
        refused = shared.condition("mwisvc", "doubles", "Stalled", "True", "RolledBack", within=120)
        callers.answered_everywhere()
        seen = callers.stop()

    assert seen["failed"] == {}, seen
    assert refused["status"]["stable"]["version"] == "one"
    assert "ErrorRateTooHigh" in message(refused)
    assert condition(refused, "Available")["status"] == "True"  # type: ignore[index]
    decision = refused["status"]["lastDecision"]
    assert decision["verdict"] == "Rollback"
    assert decision["value"] > 0.5
    is_tidy(shared)
    assert refused["status"]["rejected"][0]["quarantine"] is quarantined
    if quarantined:
        shared.condition("modelversion", version, "Quarantined", "True", "ErrorRateTooHigh", within=30)
