"""What a step takes to end, and what then follows: case by case."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from unit.given import words

from modelwright.api.inferenceservice import CanaryRevision, InferenceServiceSpec
from modelwright.common.times import to_timestamp
from modelwright.inferenceservice.analysis.counts import StepCounts
from modelwright.inferenceservice.rollout import steps

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SINCE = to_timestamp(NOW)
STEPS = [{"weight": 10, "holdSeconds": 60}, {"weight": 50, "holdSeconds": 60}]
GOOD, BAD, FEW = {"Answered": 1000}, {"Answered": 50, "Failed": 50}, {"Answered": 5}


def a_spec(
    steps: list[dict[str, Any]] | None = None, replicas: int = 4, strategy: str = "Canary", **rollout: Any
) -> InferenceServiceSpec:
    """A spec whose rollouts take two steps."""
    chosen = {"steps": steps or STEPS} if strategy == "Canary" or steps else {}
    return InferenceServiceSpec.model_validate(
        {
            "model": {"version": "churn-2"},
            "replicas": replicas,
            "rollout": {"strategy": strategy, **chosen, **rollout},
        }
    )


def a_canary(**fields: Any) -> CanaryRevision:
    """A canary at its first step, which has just begun."""
    known = {
        "revision": "abc", "version": "churn-2", "artifact": words.artifact(letter="b"), "image": "serving:1",
        "state": "Shifting", "since": SINCE, "generation": 1, "step": 0, "stepSince": SINCE, "weight": 10,
    }  # fmt: skip
    return CanaryRevision.model_validate({**known, **fields})


def decided(
    canary: CanaryRevision,
    spec: InferenceServiceSpec,
    after: float,
    delegated: dict[str, int] | None,
    restarts: int = 0,
) -> str | None:
    """What follows so many seconds after the step began."""
    measured = None if delegated is None else StepCounts(since=SINCE, look=1, delegated=delegated)
    move = steps.move(canary, spec, measured, restarts, NOW + timedelta(seconds=after))
    assert (move.problem is not None) == (move.decision is not None and move.decision.outcome == "Rollback")
    return None if move.decision is None else move.decision.outcome


LATE = 60 + 3600
APPROVAL = [{"weight": 10, "holdSeconds": 60, "approval": True}]


@pytest.mark.parametrize(
    ("canary", "spec", "after", "delegated", "outcome"),
    [
        # The hold, and the checks.
        ({}, {}, 59, GOOD, None),
        ({}, {}, 60, GOOD, "Advance"),
        ({"step": 1, "weight": 50}, {}, 60, GOOD, "Promote"),
        ({}, {}, 0, BAD, "Rollback"),
        ({}, {"analysis": {"consecutiveFailures": 2}}, 0, BAD, None),
        ({"failedLooks": 1, "lastLook": 0}, {"analysis": {"consecutiveFailures": 2}}, 0, BAD, "Rollback"),
        ({"failedLooks": 1, "lastLook": 1}, {"analysis": {"consecutiveFailures": 2}}, 0, BAD, None),
        # Too little is known.
        ({}, {}, LATE - 1, FEW, None),
        ({}, {}, LATE, FEW, None),
        ({}, {"analysis": {"onNoData": "Pause"}}, LATE - 1, FEW, None),
        ({}, {"analysis": {"onNoData": "Pause"}}, LATE, FEW, "Pause"),
        ({}, {"analysis": {"onNoData": "Promote"}}, LATE, None, "Advance"),
        ({}, {"analysis": {"onNoData": "Rollback"}}, LATE, None, "Rollback"),
        # Somebody holds it.
        ({"paused": True}, {}, 1000, GOOD, None),
        ({"paused": True}, {}, 1000, BAD, "Rollback"),
        ({}, {"paused": True}, 1000, GOOD, None),
        ({}, {"steps": APPROVAL}, 1000, GOOD, None),
        ({}, {"steps": APPROVAL, "approvedRevision": "other"}, 1000, GOOD, None),
        ({}, {"steps": APPROVAL, "approvedRevision": "abc"}, 1000, GOOD, "Promote"),
        ({}, {"steps": APPROVAL, "analysis": {"onNoData": "Promote"}}, LATE, FEW, None),
        # Its share does not hold yet, or it has passed already.
        ({"weight": 0}, {}, 1000, GOOD, None),
        ({"state": "Completing"}, {}, 1000, GOOD, None),
        ({"state": "Completing"}, {}, 1000, BAD, "Rollback"),
        # Nothing reaches it, so nothing can be measured.
        ({"weight": 0}, {"steps": [{"weight": 0, "holdSeconds": 60}]}, 60, None, "Promote"),
        ({"weight": 0}, {"steps": [{"weight": 0, "mirror": 50, "holdSeconds": 60}]}, 60, None, None),
        # Counts of another step are none of this one.
        ({"stepSince": to_timestamp(NOW - timedelta(seconds=100))}, {}, 0, BAD, None),
    ],
)
def test_a_step_ends_when_its_time_is_over_and_its_checks_allow_it(
    canary: dict[str, Any],
    spec: dict[str, Any],
    after: float,
    delegated: dict[str, int] | None,
    outcome: str | None,
) -> None:
    assert decided(a_canary(**canary), a_spec(**spec), after, delegated) == outcome


@pytest.mark.parametrize(("restarts", "allowed", "outcome"), [(0, 0, None), (1, 0, "Rollback"), (1, 1, None)])
def test_containers_that_end_too_often_end_the_rollout(
    restarts: int, allowed: int, outcome: str | None
) -> None:
    spec = a_spec(analysis={"maxRestarts": allowed})
    assert decided(a_canary(), spec, 0, FEW, restarts) == outcome


@pytest.mark.parametrize(
    ("canary", "spec", "pods"),
    [
        ({}, {}, 1),
        ({}, {"replicas": 100}, 10),
        ({}, {"replicas": 101}, 11),
        ({}, {"replicas": 0}, 0),
        ({"step": 1}, {}, 2),
        ({"step": 0, "weight": 50}, {}, 2),
        ({"step": 9}, {}, 2),
        ({"state": "Completing"}, {}, 4),
        ({}, {"strategy": "BlueGreen"}, 4),
        ({}, {"strategy": "Replace"}, 4),
    ],
)
def test_a_canary_has_the_pods_that_its_share_needs(
    canary: dict[str, Any], spec: dict[str, Any], pods: int
) -> None:
    assert steps.replicas(a_canary(**canary), a_spec(**spec), beside=True) == pods
    assert steps.replicas(a_canary(**canary), a_spec(**spec), beside=False) == a_spec(**spec).replicas


@pytest.mark.parametrize(
    ("canary", "fully", "follows"),
    [
        ({}, False, ("Advance", "Shifting", 1)),
        ({"step": 1, "weight": 50}, False, ("Promote", "Completing", 1)),
        ({}, True, ("Promote", "Completing", 0)),
        ({"paused": True}, False, ("Advance", "Shifting", 1)),
    ],
)
def test_a_promotion_by_hand_is_one_step_or_all_of_them(
    canary: dict[str, Any], *, fully: bool, follows: tuple[str, str, int]
) -> None:
    moved, outcome = steps.promoted(a_canary(**canary), a_spec(), NOW, fully=fully)
    assert (outcome, moved.state, moved.step) == follows
    assert moved.paused is None


def test_what_a_step_waits_for_is_forgotten_with_it() -> None:
    waiting = a_canary(waitingFor=["errorRate: 0 of 100 samples"])
    assert (
        steps.move(waiting, a_spec(), StepCounts(since=SINCE, delegated=GOOD), 0, NOW).update["waiting_for"]
        is None
    )
    moved, _ = steps.promoted(waiting, a_spec(), NOW, fully=False)
    assert moved.waiting_for is None


@pytest.mark.parametrize(
    ("weight", "asked", "complete", "entered"),
    [
        (10, 10, True, None),
        (10, 50, False, None),
        (10, 50, True, 50),
        # Fewer callers need no more pods: a spec that takes a share back is followed at once.
        (50, 10, False, 10),
        (50, 0, False, 0),
        (50, 10, True, 10),
    ],
)
def test_a_share_grows_when_its_pods_are_ready_and_shrinks_at_once(
    weight: int, asked: int, entered: int | None, *, complete: bool
) -> None:
    spec = a_spec([{"weight": asked, "holdSeconds": 60}])
    update = steps.enter(a_canary(weight=weight), spec, NOW, complete=complete)
    assert update.get("weight") == entered
