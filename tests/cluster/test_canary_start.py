"""Canaries that never get ready: given up before a caller meets them, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from support.handmade import fill
from support.kubectl import Kubectl, Object, condition, message
from support.load import calling
from support.models import valid_model
from support.rollouts import GOOD, MARKS, REQUEST, publish, reset, serve, service

pytestmark = MARKS

DEADLINE_SECONDS = 10
# What is found before it, however busy the machine is.
LONG_SECONDS = 120
MEMORY = {"memory": "64Mi"}
TOO_LARGE = {"requests": {"cpu": "1000", **MEMORY}, "limits": {"memory": "512Mi"}}
TOO_SMALL = {"requests": {"cpu": "10m", **MEMORY}, "limits": {"cpu": "10m", "memory": "512Mi"}}


@pytest.fixture(scope="module")
def address(shared: Kubectl) -> str:
    """Version `one` has the traffic; the file of version `two` has changed since it was checked."""
    publish(shared, one=valid_model(), two=GOOD["two"])
    fill(shared, "change", {"two": GOOD["three"]})
    return serve(shared)


@pytest.fixture
def served(shared: Kubectl, address: str) -> Iterator[str]:
    """The same for each test, whatever the one before has left."""
    yield address
    reset(shared)


def is_given_up(reason: str) -> Callable[[Object], bool]:
    """Whether the canary was given up for that reason, and Ready says so."""

    def holds(found: Object) -> bool:
        canary, ready = found["status"].get("canary") or {}, condition(found, "Ready") or {}
        return canary.get("state") == "Failed" and ready.get("reason") == reason

    return holds


@pytest.mark.parametrize(
    ("version", "resources", "deadline", "reason"),
    [
        ("two", None, LONG_SECONDS, "DigestMismatch"),
        ("one", TOO_LARGE, DEADLINE_SECONDS, "Unschedulable"),
        ("one", TOO_SMALL, DEADLINE_SECONDS, "ProgressDeadlineExceeded"),
    ],
    ids=["changed file", "no node has room", "too slow to start"],
)
def test_a_canary_that_never_gets_ready_is_given_up_and_nobody_notices(
    shared: Kubectl, served: str, version: str, resources: Object | None, deadline: int, reason: str
) -> None:
    with calling(served, 80, 8081, "doubles", REQUEST) as callers:
        before = shared.get("mwisvc", "doubles")["status"]["stable"]
        told = service(version, replicas=2, resources=resources, progressDeadlineSeconds=deadline)
        shared.apply(told)
        refused = shared.wait("mwisvc", "doubles", is_given_up(reason), within=120, what="given up")
        callers.answered_everywhere()
        kept = shared.get("deployment", f"doubles-{refused['status']['canary']['revision']}")
        seen = callers.stop()

    assert seen["failed"] == {}, seen
    assert refused["status"]["stable"]["revision"] == before["revision"]
    assert "one keeps the traffic" in message(refused)
    assert kept["spec"]["replicas"] == 1, "its log can be read"
    gives_up_for_good = condition(refused, "Stalled") is not None
    assert gives_up_for_good == (reason == "DigestMismatch")
    assert message(refused).endswith("it is tried again") != gives_up_for_good
    assert "lastDecision" not in refused["status"]
    assert condition(shared.get("modelversion", version), "Quarantined") is None
