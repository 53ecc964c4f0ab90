"""What happens when somebody has another idea in the middle of a canary; callers notice nothing of any of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support.kubectl import Kubectl
from support.load import calling
from support.models import valid_model
from support.rollouts import (
    FOR_EVER,
    GOOD,
    MARKS,
    NAME,
    REQUEST,
    decisions,
    is_tidy,
    publish,
    reset,
    serve,
    service,
    verdicts,
    waits_for_weight,
)

pytestmark = MARKS

HALF = [{"weight": 50, "holdSeconds": FOR_EVER}]


@pytest.fixture(scope="module")
def address(shared: Kubectl) -> str:
    """Version `one` has the traffic, two others are there; gives the Service's address."""
    publish(shared, one=valid_model(), **GOOD)
    return serve(shared)


@pytest.fixture
def served(shared: Kubectl, address: str) -> Iterator[str]:
    """The same for each test, whatever the one before has left."""
    yield address
    reset(shared)


@contextmanager
def nobody_notices(address: str) -> Iterator[None]:
    """No caller's request fails, until nothing changes any more."""
    with calling(address, 80, 8081, NAME, REQUEST) as callers:
        yield
        callers.answered_everywhere()
        seen = callers.stop()
    assert seen["failed"] == {}, seen


def test_a_third_version_takes_the_canarys_place(shared: Kubectl, served: str) -> None:
    with nobody_notices(served):
        shared.apply(service("two", replicas=2, steps=HALF))
        second = waits_for_weight(shared, 50)["status"]["canary"]["revision"]
        shared.apply(service("three", replicas=2))
        done = shared.condition("mwisvc", "doubles", "Ready", "True", "Serving", within=180)
        is_tidy(shared)

    assert done["status"]["stable"]["version"] == "three"
    assert verdicts(done)[-2:] == [("Advance", 0), ("Promote", 1)], "it begins with the first step"
    assert second not in {decision["revision"] for decision in decisions(done)}


def test_a_revert_ends_the_rollout_and_nothing_is_held_against_the_version(
    shared: Kubectl, served: str
) -> None:
    with nobody_notices(served):
        before = shared.get("mwisvc", "doubles")["status"]
        shared.apply(service("two", replicas=2, steps=HALF))
        waits_for_weight(shared, 50)
        shared.apply(service("one", replicas=2))
        done = shared.condition("mwisvc", "doubles", "Ready", "True", "Serving", within=60)
        is_tidy(shared)

    assert done["status"]["stable"] == before["stable"]
    assert "canary" not in done["status"]
    assert done["status"].get("lastDecision") == before.get("lastDecision")
    assert "rejected" not in done["status"]


def test_of_two_versions_in_the_same_second_the_last_one_is_rolled_out(shared: Kubectl, served: str) -> None:
    with nobody_notices(served):
        shared.apply(service("two", replicas=2))
        shared.apply(service("three", replicas=2))
        done = shared.condition("mwisvc", "doubles", "Ready", "True", "Serving", within=180)
        is_tidy(shared)

    assert done["status"]["stable"]["version"] == "three"
    third = done["status"]["stable"]["revision"]
    assert {decision["revision"] for decision in decisions(done)[:2]} == {third}


def test_what_is_deleted_in_mid_canary_leaves_nothing_behind(shared: Kubectl, address: str) -> None:
    selector = "modelwright.dev/inference-service=brief"
    kinds = "deployment,replicaset,pod,service,endpointslice,configmap"
    serve(shared, name="brief", replicas=1)
    shared.apply(service("two", name="brief", steps=HALF))
    waits_for_weight(shared, 50, "brief")
    assert len(shared.all("deployment", selector)) == 2

    shared.delete("mwisvc", "brief")

    shared.wait("mwisvc", NAME, lambda _: not shared.all(kinds, selector), what="the only one")
    assert {version["metadata"]["name"] for version in shared.all("mv")} == {"one", "two", "three"}
