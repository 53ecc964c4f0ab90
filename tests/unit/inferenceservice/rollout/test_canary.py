"""A canary goes from step to step while what is measured speaks for it, and back at once when it does not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from unit.contracts.schemas import defects
from unit.given.resources import InferenceService, a_served_version, a_version
from unit.given.world import NAMESPACE

from modelwright.common.facts import POD_COUNTS
from modelwright.common.resources import CONFIG_MAPS, SERVICES
from modelwright.engine.objects import Key, annotations_of, metadata
from modelwright.inferenceservice.analysis.counts import StepCounts

STEPS = [{"weight": 10, "holdSeconds": 60}, {"weight": 50, "holdSeconds": 120}]
GOOD, BAD = {"Answered": 1000}, {"Answered": 50, "Failed": 50}


def rollout(*steps: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"strategy": "Canary", "steps": list(steps or STEPS), **more}


def a_canary(replicas: int = 4, **more: Any) -> InferenceService:
    """churn-1 serves, and churn-2 has its first share of the traffic."""
    service = a_served_version(replicas=replicas, rollout=rollout(**more))
    a_version(service.world, "churn-2", "b").is_verified("b")
    service.changes(model={"version": "churn-2"}).settles()
    return service.has_ready(service.deployed[service.revision("canary")]).settles()


def measures(service: InferenceService, delegated: Mapping[str, int], **more: Any) -> InferenceService:
    """The pods' metrics of the present step."""
    canary = service.part("canary")
    assert canary is not None
    return put(service, StepCounts(since=canary["stepSince"], delegated=delegated, **more))


def put(service: InferenceService, found: StepCounts) -> InferenceService:
    """What was measured gets to the planner."""
    service.world.cache.note(service.key, POD_COUNTS, found)
    return service


def after(service: InferenceService, seconds: float) -> InferenceService:
    service.world.after(seconds)
    return service.settles()


def rule(service: InferenceService, part: str = "stable") -> dict[str, Any] | None:
    """The traffic rule that the pods of a revision read."""
    key = Key(CONFIG_MAPS, NAMESPACE, f"{service.name}-{service.revision(part)}")
    found = service.world.api.objects.get(key)
    content = found["data"]["rule.json"] if found else ""
    if not content:
        return None
    document: dict[str, Any] = json.loads(content)
    assert not defects("traffic", document)
    return document


def test_the_canary_starts_with_the_pods_of_its_first_step_and_without_traffic() -> None:
    service = a_served_version(replicas=4, rollout=rollout())
    a_version(service.world, "churn-2", "b").is_verified("b")
    service.changes(model={"version": "churn-2"}).settles()

    stable, canary = service.revision("stable"), service.revision("canary")
    assert service.deployed == {stable: 4, canary: 1}
    assert (service.traffic, rule(service)) == (stable, None)
    assert service.reason == "RevisionStarting"


def test_once_it_is_ready_it_gets_its_first_share() -> None:
    service = a_canary()

    found = rule(service) or {}
    assert found.pop("secret")
    assert found == {
        "revision": service.revision("canary"),
        "host": f"{service.canary_name}.team.svc",
        "port": 80,
        "weight": 10,
        "mirror": 0,
        "passHeaders": [],
    }
    assert service.traffic == service.revision("stable")
    canary = service.world.api.objects[Key(SERVICES, NAMESPACE, service.canary_name)]
    assert canary["spec"]["selector"]["modelwright.dev/revision"] == service.revision("canary")
    assert (service.reason, service.kstatus) == ("CanaryInProgress", "InProgress")
    assert service.message == (
        "ModelVersion churn-2 answers 10 % (step 1 of 2); waits for the metrics of its pods"
    )
    assert service.condition("Available")["status"] == "True"


def test_who_meets_the_canary_may_be_chosen_by_header() -> None:
    chosen = {
        "headers": [{"name": "X-Version", "value": "next"}],
        "sticky": "X-User",
        "timeoutSeconds": 0.2,
        "patience": 0.3,
    }
    found = rule(a_canary(traffic=chosen))
    assert found is not None
    assert {name: found[name] for name in chosen} == chosen


def test_the_pods_are_told_that_their_rule_has_changed() -> None:
    service = a_served_version(replicas=1, rollout=rollout())
    pod = service.starts("stable")
    a_version(service.world, "churn-2", "b").is_verified("b")
    service.changes(model={"version": "churn-2"}).settles()
    assert "modelwright.dev/traffic-rule" not in annotations_of(pod.body)

    service.has_ready(1).settles()

    assert annotations_of(pod.body)["modelwright.dev/traffic-rule"]
    assert metadata(pod.body)["labels"]["modelwright.dev/revision"] == service.revision("stable")


def test_a_step_that_passes_is_followed_by_the_pods_of_the_next_and_then_by_its_share() -> None:
    service = a_canary()
    measures(service, GOOD)
    after(service, 50)
    assert service.status["canary"]["step"] == 0

    after(service, 10)

    canary = service.revision("canary")
    assert service.deployed[canary] == 2
    assert rule(service) is not None
    assert rule(service)["weight"] == 10, "traffic waits for pods"  # type: ignore[index]
    service.has_ready(2).settles()
    assert rule(service)["weight"] == 50  # type: ignore[index]
    decision = service.status["lastDecision"]
    assert (decision["verdict"], decision["metric"], decision["samples"]) == ("Advance", "errorRate", 1000)


def test_after_the_last_step_all_pods_start_and_then_it_takes_over() -> None:
    service = a_canary()
    first, second = service.revision("stable"), service.revision("canary")
    after(measures(service, GOOD), 61)
    service.has_ready(2).settles()
    after(measures(service, GOOD), 121)
    assert (service.reason, service.deployed[second], service.traffic) == ("CanaryCompleting", 4, first)

    service.has_ready(4).settles()

    assert (service.traffic, service.version("stable"), service.part("canary")) == (second, "churn-2", None)
    assert service.is_ready
    assert service.status["lastDecision"]["verdict"] == "Promote"
    assert [found["verdict"] for found in service.status["history"]] == ["Advance"]
    retired = rule(service, "retired")
    assert retired is not None
    assert (retired["revision"], retired["weight"]) == (second, 100), (
        "kept connections lead to the new revision"
    )


def test_when_the_retired_revision_goes_nothing_of_the_rollout_is_left() -> None:
    service = a_canary()
    after(measures(service, GOOD), 61)
    service.has_ready(2).settles()
    after(measures(service, GOOD), 121)
    service.has_ready(4).settles()

    assert service.canary_name in service.all(SERVICES), (
        "its pods may not have heard yet that it is no canary any more"
    )

    after(service, 60)

    assert set(service.deployed) == {service.revision("stable")}
    assert service.all(CONFIG_MAPS) == {}
    assert set(service.all(SERVICES)) == {"churn"}


def test_a_canary_that_fails_is_rolled_back_before_its_step_ends() -> None:
    service = a_canary()
    stable = service.revision("stable")

    measures(service, BAD).settles()

    assert service.deployed == {stable: 4}
    assert (service.traffic, rule(service)) == (stable, None)
    assert (service.reason, service.kstatus) == ("RolledBack", "Failed")
    assert service.message == (
        "ModelVersion churn-2 was rolled back: ErrorRateTooHigh: errorRate is 0.5 (0.3408 to 0.6592), the limit "
        "0.01 (100 samples); churn-1 keeps the traffic"
    )
    assert service.condition("Available")["status"] == "True"
    decision = service.status["lastDecision"]
    assert (decision["verdict"], decision["value"], decision["threshold"]) == ("Rollback", 0.5, 0.01)


def test_a_canary_says_what_its_checks_wait_for_and_writes_it_seldom() -> None:
    service = a_canary(analysis={"minAgreement": 0.9})
    before = len(service.world.api.writes)
    for answered in range(1000, 2000, 10):
        measures(service, {"Answered": answered}, look=answered).settles()
    assert service.message == (
        "ModelVersion churn-2 answers 10 % (step 1 of 2); waits for agreement: 0 of 100 samples "
        "(no request was copied)"
    )
    assert len(service.world.api.writes) - before == 2, "the samples have doubled once"
    measures(service, GOOD, labelled=100, agreement=91.0).settles()
    assert "waits for" not in service.message


def test_one_failure_alone_proves_nothing() -> None:
    service = a_canary()
    measures(service, {"Failed": 1, "Answered": 3}).settles()
    assert service.reason == "CanaryInProgress"


@pytest.mark.parametrize(
    ("delegated", "analysis"),
    [
        ({"Answered": 99}, {}),
        ({}, {}),
        ({"Answered": 999}, {"minSamples": 1000}),
        ({"Answered": 195, "Failed": 2, "Invalid": 50}, {}),
    ],
)
def test_without_a_clear_verdict_the_step_goes_on(
    delegated: dict[str, int], analysis: dict[str, Any]
) -> None:
    service = a_canary(analysis=analysis)
    after(measures(service, delegated), 3000)
    assert (service.reason, service.status["canary"]["step"]) == ("CanaryInProgress", 0)


@pytest.mark.parametrize(("policy", "reason"), [("Wait", "CanaryInProgress"), ("Rollback", "RolledBack")])
def test_without_data_for_long_the_policy_decides(policy: str, reason: str) -> None:
    service = a_canary(analysis={"onNoData": policy, "noDataSeconds": 300})
    after(service, 350)
    assert (service.reason, service.status["canary"]["step"]) == ("CanaryInProgress", 0)
    after(service, 15)
    assert service.reason == reason


def test_the_policy_may_also_be_to_go_on() -> None:
    service = a_canary(analysis={"onNoData": "Promote", "noDataSeconds": 300})
    after(service, 361)
    assert service.status["canary"]["step"] == 1


def test_what_was_measured_of_another_step_counts_for_nothing() -> None:
    service = a_canary()
    after(measures(service, GOOD), 61)
    service.has_ready(2).settles()
    assert service.status["canary"]["step"] == 1
    after(service, 121)
    assert (service.reason, service.status["canary"]["step"]) == ("CanaryInProgress", 1)


def test_a_paused_rollout_stays_where_it_is_and_still_goes_back() -> None:
    service = a_canary(paused=True)
    after(measures(service, GOOD), 10_000)
    assert (service.reason, service.status["canary"]["step"]) == ("CanaryPaused", 0)

    measures(service, BAD).settles()

    assert service.reason == "RolledBack"


def test_pods_of_a_step_that_do_not_get_ready_in_time_end_the_rollout() -> None:
    service = a_canary(progressDeadlineSeconds=100)
    after(measures(service, GOOD), 61)
    assert service.deployed[service.revision("canary")] == 2
    after(service, 101)
    assert service.reason == "RolledBack"
    assert "progressDeadlineSeconds" in service.message
    assert service.status["lastDecision"]["reason"] == "ProgressDeadlineExceeded"


def test_a_third_version_takes_the_place_of_the_canary() -> None:
    service = a_canary()
    first, second = service.revision("stable"), service.revision("canary")
    a_version(service.world, "churn-3", "c").is_verified("c")

    service.changes(model={"version": "churn-3"}).settles()

    assert second not in service.deployed
    assert (service.version("canary"), service.traffic, rule(service)) == ("churn-3", first, None)
    assert service.reason == "RevisionStarting"


def test_a_revert_in_the_middle_takes_the_canary_away_and_is_done() -> None:
    service = a_canary()
    stable = service.revision("stable")
    service.changes(model={"version": "churn-1"}).settles()
    assert (service.deployed, service.traffic, rule(service)) == ({stable: 4}, stable, None)
    assert service.is_ready


def test_labels_that_differ_roll_back_and_a_shadow_needs_no_traffic() -> None:
    service = a_canary(analysis={"minAgreement": 0.95})
    service = a_served_version(
        replicas=1, rollout=rollout({"weight": 0, "mirror": 100}, analysis={"minAgreement": 0.95})
    )
    a_version(service.world, "churn-2", "b").is_verified("b")
    service.changes(model={"version": "churn-2"}).settles().has_ready(1).settles()
    assert rule(service) is not None
    assert (rule(service)["weight"], rule(service)["mirror"]) == (0, 100)  # type: ignore[index]

    measures(service, {}, shadowed={"Compared": 200}, labelled=200, agreement=150.0).settles()

    assert service.reason == "RolledBack"
    assert "AnswersDiffer: agreement is 0.75 (" in service.message
    assert service.status["rejected"][0]["quarantine"]


def test_answers_that_are_no_numbers_roll_back_and_a_single_one_does_not() -> None:
    service = a_served_version(replicas=1, rollout=rollout({"weight": 10, "mirror": 50}))
    a_version(service.world, "churn-2", "b").is_verified("b")
    service.changes(model={"version": "churn-2"}).settles().has_ready(1).settles()
    measures(service, GOOD, shadowed={"Compared": 500}, non_finite=1).settles()
    assert service.reason == "CanaryInProgress"
    measures(service, GOOD, shadowed={"Compared": 500}, non_finite=9).settles()
    assert "NonFiniteAnswers" in service.message


def test_a_canary_that_is_much_slower_rolls_back_and_one_that_is_as_fast_does_not() -> None:
    fast = {(0.0096, 0.01): 990.0, (0.096, 0.1): 10.0}
    slow = {(0.0096, 0.01): 10.0, (0.96, 1.0): 990.0}
    service = a_canary(analysis={"maxP99Increase": 1.0})
    measures(service, GOOD, stable_durations=fast, canary_durations=fast).settles()
    assert service.reason == "CanaryInProgress"

    measures(service, GOOD, stable_durations=fast, canary_durations=slow).settles()

    assert "TooSlow" in service.message
    assert not service.status["rejected"][0]["quarantine"], "the node may be slow, and not the model"


def test_the_first_deployment_skips_the_steps() -> None:
    service = a_served_version(replicas=2, rollout=rollout())
    assert (service.version("stable"), service.is_ready) == ("churn-1", True)
    assert "lastDecision" not in service.status


def test_without_pods_to_serve_there_are_no_steps_to_take() -> None:
    service = a_served_version(replicas=1, rollout=rollout())
    service.changes(replicas=0).settles()
    service.has_ready(0, "stable").settles()
    a_version(service.world, "churn-2", "b").is_verified("b")
    service.changes(model={"version": "churn-2"}).settles()
    service.has_ready(0).settles()
    assert service.version("stable") == "churn-2"
