"""The budget of false alarms of a rollout is divided by its measurements, and each counts from nothing."""

from __future__ import annotations

from typing import Any

from unit.given.resources import InferenceService
from unit.inferenceservice.rollout.test_canary import BAD, GOOD, a_canary, after, measures, put
from unit.inferenceservice.rollout.test_promotion import a_promoted_version, answers
from unit.inferenceservice.rollout.test_standin import a_canary_whose_stable_revision_is_lost
from unit.inferenceservice.test_requests import asks

from modelwright.inferenceservice.analysis.counts import StepCounts


def canary(service: InferenceService) -> dict[str, Any]:
    part = service.part("canary")
    assert part is not None
    return dict(part)


def test_each_step_is_a_measurement_and_the_bake_is_the_last_one() -> None:
    service = a_canary(bakeSeconds=300)
    assert canary(service)["measurement"] == 1
    after(measures(service, GOOD), 61)
    service.has_ready(2).settles()
    assert canary(service)["measurement"] == 2
    after(measures(service, GOOD), 121)
    service.has_ready(4).settles()

    assert service.status["stable"]["measurement"] == 3
    answers(service, http200=1000)
    after(service, 301)
    kept = {"measurement", "restarts", "checks", "bakeUntil"} & set(service.status["stable"])
    assert not kept, "after the bake nothing of it is left"


def test_until_the_next_share_takes_effect_the_measurement_goes_on() -> None:
    service = a_canary()
    since = canary(service)["stepSince"]
    after(measures(service, GOOD), 61)

    assert (canary(service)["step"], canary(service)["weight"]) == (1, 10)
    assert (canary(service)["stepSince"], canary(service)["measurement"]) == (since, 1)
    measures(service, BAD).settles()
    assert service.reason == "RolledBack", "what speaks against it is not forgotten meanwhile"


def test_a_step_that_is_measured_again_has_a_part_of_its_own() -> None:
    service = a_canary_whose_stable_revision_is_lost()
    assert canary(service)["measurement"] == 1

    service.has_ready(1, "stable").settles()

    assert canary(service)["measurement"] == 2


def test_a_try_after_the_cluster_failed_goes_on_counting_measurements() -> None:
    service = a_canary(progressDeadlineSeconds=100)
    after(measures(service, GOOD), 61)
    after(service, 101)
    assert canary(service)["state"] == "Failed"
    assert "retryAt" in canary(service)

    after(service, 301)

    assert canary(service)["state"] == "Progressing"
    service.has_ready(1).settles()
    assert canary(service)["measurement"] == 2


def test_a_retry_that_is_asked_for_is_a_new_rollout() -> None:
    service = a_canary()
    measures(service, BAD).settles()
    asks(service, "retry")
    service.has_ready(1).settles()
    assert (canary(service)["state"], canary(service)["measurement"]) == ("Shifting", 1)


def test_restarts_before_a_step_do_not_count_in_it() -> None:
    service = a_canary(analysis={"maxRestarts": 1})
    pod = service.starts()
    pod.crashes("server", 1)
    after(measures(service, GOOD), 61)
    service.has_ready(2).settles()
    assert canary(service)["restarts"] == [{"pod": pod.key.name, "restarts": 1}]

    pod.crashes("server", 1)
    assert service.settles().reason == "CanaryInProgress"
    pod.crashes("server", 1)
    assert service.settles().reason == "RolledBack"


def test_a_node_that_starts_again_is_no_restart() -> None:
    service = a_canary()
    service.starts().crashes("server", 255, reason="Unknown")
    assert service.settles().reason == "CanaryInProgress"


def test_restarts_count_in_the_bake_from_when_it_took_over() -> None:
    service = a_canary(bakeSeconds=300, analysis={"maxRestarts": 1})
    pod = service.starts()
    pod.crashes("server", 1)
    after(measures(service, GOOD), 61)
    service.has_ready(2).settles()
    after(measures(service, GOOD), 121)
    service.has_ready(4).settles()
    assert service.status["stable"]["restarts"] == [{"pod": pod.key.name, "restarts": 1}]

    pod.crashes("server", 1)
    assert service.settles().reason == "Baking"
    pod.crashes("server", 1)
    assert service.settles().reason == "RolledBack"


def test_what_refuses_its_callers_after_it_took_over_is_taken_back() -> None:
    service = a_promoted_version()
    stable = service.status["stable"]
    counts = StepCounts(since=stable["since"], direct=True, answered={"200": 1000}, rescued=100)
    put(service, counts).settles()
    assert service.reason == "RolledBack"
    assert service.status["rejected"][0]["reason"] == "RefusesCallers"
    assert service.status["rejected"][0]["quarantine"]
