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


def test_the_record_of_a_step_s_checks_ends_with_it() -> None:
    measured = StepCounts(since=SINCE, delegated=FEW)
    checks = steps.move(a_canary(), a_spec(), measured, 0, NOW).update["checks"]
    assert [(check.name, check.samples, check.samples_needed) for check in checks] == [("errorRate", 5, 100)]
    moved, _ = steps.promoted(a_canary().model_copy(update={"checks": checks}), a_spec(), NOW, fully=False)
    assert moved.checks is None
    waits = steps.move(a_canary(weight=0), a_spec(), measured, 0, NOW)
    assert waits.update["checks"] is None, "it waits for its share"


UNCLEAR = {"Answered": 97, "Failed": 3}


@pytest.mark.parametrize(
    ("delegated", "analysis", "outcome"),
    [
        (FEW, {}, "Advance"),
        (UNCLEAR, {}, None),
        # Another check without data does not cover it up.
        (UNCLEAR, {"minAgreement": 0.9}, None),
        ({"Answered": 99, "Failed": 1}, {"minAgreement": 0.9}, "Advance"),
    ],
)
def test_a_number_beyond_its_limit_is_no_lack_of_data(
    delegated: dict[str, int], analysis: dict[str, Any], outcome: str | None
) -> None:
    spec = a_spec(analysis={"onNoData": "Promote", **analysis})
    assert decided(a_canary(), spec, LATE, delegated) == outcome


def test_a_step_that_is_not_clear_may_still_be_rolled_back_for_want_of_data() -> None:
    assert decided(a_canary(), a_spec(analysis={"onNoData": "Rollback"}), LATE, UNCLEAR) == "Rollback"


@pytest.mark.parametrize(
    ("measurement", "step", "number"), [(None, 0, 1), (None, 1, 2), (1, 0, 1), (7, 1, 7)]
)
def test_the_number_of_a_measurement(measurement: int | None, step: int, number: int) -> None:
    assert steps.measurement(a_canary(measurement=measurement, step=step), a_spec()).number == number


def test_each_measurement_of_a_rollout_has_the_next_number() -> None:
    first = a_canary(measurement=1)
    moved, _ = steps.promoted(first, a_spec(), NOW, fully=False)
    later = NOW + timedelta(seconds=30)
    assert (moved.step, moved.measurement, moved.step_since) == (1, 1, SINCE), "until its pods are ready"

    entered = moved.model_copy(update=steps.enter(moved, a_spec(), later, complete=True))
    assert (entered.measurement, entered.step_since) == (2, to_timestamp(later))

    equal = a_spec([{"weight": 10}, {"weight": 10, "mirror": 5}])
    moved, _ = steps.promoted(first, equal, later, fully=False)
    assert (moved.step, moved.measurement, moved.step_since) == (1, 2, to_timestamp(later)), "at once"


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
