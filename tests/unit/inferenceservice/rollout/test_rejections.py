"""What was rejected stays rejected, whatever else changes, until somebody asks for it on purpose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from unit.given.resources import InferenceService, a_service, a_version, a_world
from unit.inferenceservice.rollout.test_canary import BAD, STEPS, a_canary, measures, rollout
from unit.inferenceservice.rollout.test_promotion import a_promoted_version
from unit.inferenceservice.test_requests import asks

from modelwright.api.inferenceservice import Rejection, Revision
from modelwright.api.stores import Artifact
from modelwright.inferenceservice.revision.target import Unresolved
from modelwright.inferenceservice.rollout import rejections

NOW = "2026-01-01T00:00:00Z"


def revision(letter: str, shape: int = 1) -> Revision:
    """A revision that serves the model of this letter in a shape of pod."""
    artifact = Artifact(uri=f"pvc://models/{letter}.onnx", digest=f"sha256:{letter * 64}")
    return Revision(
        revision=f"{letter}{shape}", version=f"churn-{letter}", artifact=artifact, image="serving:1"
    )


def rejected(letter: str, shape: int = 1, **fields: Any) -> Rejection:
    found = revision(letter, shape)
    return Rejection(
        at=NOW, revision=found.revision, version=found.version, digest=found.artifact.digest, reason="TooSlow",
        **fields,
    )  # fmt: skip


MODEL, SHAPE = rejected("b"), rejected("b", scope="Revision")


@pytest.mark.parametrize(
    ("known", "other", "blocked"),
    [
        (MODEL, revision("b"), True),
        (MODEL, revision("b", shape=2), True),
        (MODEL, revision("a"), False),
        (SHAPE, revision("b"), True),
        (SHAPE, revision("b", shape=2), False),
    ],
)
def test_a_model_is_rejected_in_all_shapes_and_a_shape_alone(
    known: Rejection, other: Revision, *, blocked: bool
) -> None:
    assert rejections.blocks(known, other) is blocked
    assert rejections.blocking([rejected("c"), known], other) == (known if blocked else None)


PENDING = Unresolved("ModelNotReady", "it is not Ready")
HOLDS, TO_RETURN, OVER = "holds", "another was asked for", "over"


@pytest.mark.parametrize(
    ("known", "named", "target", "follows"),
    [
        # The spec goes on asking for it.
        (MODEL, "churn-b", revision("b"), HOLDS),
        (MODEL, "churn-b", revision("b", shape=2), HOLDS),
        (MODEL, "churn-b", PENDING, HOLDS),
        (MODEL, "twin-of-b", revision("b"), HOLDS),
        (SHAPE, "churn-b", revision("b"), HOLDS),
        (SHAPE, None, revision("b"), HOLDS),
        # The spec asks for something else.
        (MODEL, "churn-a", revision("a"), TO_RETURN),
        (MODEL, "churn-a", PENDING, TO_RETURN),
        (MODEL, None, revision("a"), TO_RETURN),
        (MODEL, None, PENDING, TO_RETURN),
        (SHAPE, "churn-a", revision("a"), TO_RETURN),
        (SHAPE, "churn-a", PENDING, TO_RETURN),
        # Another shape, or a family that moves on by itself, says nothing.
        (SHAPE, "churn-b", revision("b", shape=2), HOLDS),
        (SHAPE, None, revision("b", shape=2), HOLDS),
        (SHAPE, None, revision("a"), HOLDS),
        (SHAPE, None, PENDING, HOLDS),
    ],
)
def test_a_rejection_holds_until_the_spec_asks_for_something_else_and_then_for_it(
    known: Rejection, named: str | None, target: Revision | Unresolved, follows: str
) -> None:
    (found,) = rejections.in_force([known], named, target)
    assert found.retry_when_named is (follows == TO_RETURN)


@pytest.mark.parametrize(
    ("known", "named", "target", "is_over"),
    [
        (MODEL, "churn-b", revision("b"), True),
        (MODEL, "churn-b", revision("b", shape=2), True),
        (MODEL, "churn-b", PENDING, True),
        (MODEL, "churn-a", revision("a"), False),
        (MODEL, None, revision("a"), False),
        (SHAPE, "churn-b", revision("b"), True),
        (SHAPE, "churn-b", revision("b", shape=2), False),
        (SHAPE, None, revision("b"), True),
        (SHAPE, None, revision("a"), False),
    ],
)
def test_it_is_over_when_it_is_asked_for_again(
    known: Rejection, named: str | None, target: Revision | Unresolved, *, is_over: bool
) -> None:
    known = known.model_copy(update={"retry_when_named": True})
    assert rejections.in_force([known], named, target) == (() if is_over else (known,))


def test_the_memory_is_bounded_and_holds_one_entry_for_a_model() -> None:
    known: tuple[Rejection, ...] = ()
    for number in range(30):
        known = rejections.added(known, rejected("abcdef"[number % 6], shape=number))
    assert [each.version for each in known] == [f"churn-{letter}" for letter in "fedcba"]
    for number in range(30):
        known = rejections.added(known, rejected("a", shape=number, scope="Revision"))
    assert len(known) == rejections.MOST
    assert known[0].revision == "a29"


def with_a_no(service: InferenceService, said: str) -> InferenceService:
    """churn-2 is rejected; churn-1 has the traffic."""
    if said == "analysis":
        return measures(service, BAD).settles()
    return asks(service, said, revision=service.revision("stable" if said == "undo" else "canary"))


NOES: list[tuple[Callable[[], InferenceService], str]] = [
    (a_canary, "analysis"),
    (a_canary, "abort"),
    (lambda: a_promoted_version(bakeSeconds=0), "undo"),
]
IDS = [said for _, said in NOES]
CHANGES: list[dict[str, Any]] = [
    {"replicas": 2},
    {"resources": {"limits": {"memory": "1Gi"}}},
    {"rollout": {"strategy": "Canary", "steps": STEPS, "analysis": {"maxErrorRate": 0.9}}},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
@pytest.mark.parametrize(("given", "said"), NOES, ids=IDS)
def test_a_change_of_something_else_tries_nothing_again(
    given: Callable[[], InferenceService], said: str, change: dict[str, Any]
) -> None:
    service = with_a_no(given(), said)
    before = (service.reason, service.message)

    service.changes(**change).settles()
    service.has_ready(service.body["spec"]["replicas"], "stable").settles()

    assert (service.version("stable"), service.reason, service.message) == ("churn-1", *before)
    assert (service.part("canary") or {"state": "Failed"})["state"] == "Failed"
    assert service.status["rejected"][0]["version"] == "churn-2"
    asks(service, "retry", revision=service.status["rejected"][0]["revision"], token="t9")
    assert (service.reason, service.version("canary")) == ("RevisionStarting", "churn-2")


@pytest.mark.parametrize(("given", "said"), NOES, ids=IDS)
def test_naming_another_version_and_then_this_one_tries_it_again(
    given: Callable[[], InferenceService], said: str
) -> None:
    service = with_a_no(given(), said)
    service.changes(model={"version": "churn-1"}).settles()
    assert (service.reason, service.part("canary")) == ("Serving", None)
    assert service.status["rejected"][0]["retryWhenNamed"] is True

    service.changes(model={"version": "churn-2"}).settles()

    assert (service.reason, service.version("canary")) == ("RevisionStarting", "churn-2")
    assert "rejected" not in service.status


@pytest.mark.parametrize("said", ["analysis", "abort"])
def test_a_family_that_is_followed_passes_it_over_until_its_version_is_named(said: str) -> None:
    world = a_world()
    a_version(world).is_verified()
    service = a_service(world, version=None, replicas=2, rollout=rollout()).serves(2)
    a_version(world, "churn-2", "b").is_verified("b")
    with_a_no(service.settles().has_ready(1).settles(), said)
    for change in CHANGES:
        service.changes(**change).settles().has_ready(2, "stable").settles()
        assert service.version("canary") != "churn-2"

    service.changes(model={"version": "churn-2"}).settles()

    assert service.version("canary") == "churn-2"


def test_a_change_of_resources_that_somebody_aborts_is_not_held_against_the_model() -> None:
    service = a_canary()
    asks(service, "promote-full").has_ready(4).settles()
    small = {"limits": {"memory": "64Mi"}}
    service.changes(resources=small).settles()
    asks(service, "abort", token="t2")
    assert (service.version("stable"), service.reason) == ("churn-2", "RolledBack")
    assert service.status["rejected"][0]["scope"] == "Revision"

    service.changes(replicas=3).settles()
    assert service.reason == "RolledBack", "the same shape is not tried again"

    service.changes(resources={"limits": {"memory": "2Gi"}}).settles()
    assert service.reason == "RevisionStarting", "another shape is"
