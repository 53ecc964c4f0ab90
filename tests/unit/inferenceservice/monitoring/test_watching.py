"""What an InferenceService says of its requests: drift, and scores by the labels of callers."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from unit.given.monitoring import (
    EVEN,
    MOVED,
    WINDOW,
    Reporting,
    a_watched_service,
    a_window,
    document,
    ends_with,
    labels,
    uid_of,
)
from unit.given.resources import InferenceService, a_served_version, a_version

from modelwright.common.facts import MONITOR_REPORTS
from modelwright.common.resources import CONFIG_MAPS
from modelwright.engine.objects import Key, metadata
from modelwright.inferenceservice.monitoring.kept import LARGEST


def events_of(service: InferenceService) -> list[str]:
    return [f"{event.type} {event.reason}" for event in service.world.told.events]


def drift(service: InferenceService) -> tuple[str, str]:
    found = service.condition("DriftDetected")
    return str(found["status"]), str(found["reason"])


def test_drift_in_two_windows_in_a_row_is_reported_with_the_feature() -> None:
    service = a_watched_service()
    pods = Reporting(service)

    pods.pass_windows(EVEN, MOVED)
    assert drift(service) == ("False", "NoDrift")
    pods.pass_windows(MOVED)

    assert drift(service) == ("True", "FeatureDrift")
    assert "age (location)" in service.condition("DriftDetected")["message"]
    worst = pods.status["worst"][0]
    assert (pods.status["verdict"], pods.status["inARow"], pods.status["rows"]) == ("Drifted", 2, 1000)
    assert (worst["feature"], worst["statistic"]) == ("age", "location")
    assert abs(worst["value"]) > worst["threshold"]
    assert events_of(service).count("Warning FeatureDrift") == 1
    assert service.is_ready


def test_drift_is_over_after_as_many_windows_without() -> None:
    service = a_watched_service()
    pods = Reporting(service)
    pods.pass_windows(MOVED, MOVED, EVEN)
    assert drift(service) == ("True", "FeatureDrift")

    pods.pass_windows(EVEN)

    assert drift(service) == ("False", "NoDrift")
    assert events_of(service).count("Normal NoDrift") == 1


def test_a_window_with_few_rows_neither_counts_nor_ends_a_row() -> None:
    service = a_watched_service()
    pods = Reporting(service)

    pods.pass_windows(MOVED, [1] * 10, MOVED)

    assert drift(service) == ("True", "FeatureDrift")
    assert pods.status["rowsInARow"] == 2000


def test_before_the_first_verdict_it_collects_samples() -> None:
    service = a_watched_service().settles()
    assert drift(service) == ("Unknown", "CollectingSamples")

    Reporting(service).pass_windows([1] * 10)

    assert drift(service) == ("Unknown", "CollectingSamples")
    assert service.status["monitoring"]["verdict"] == "Inconclusive"


def test_the_estimate_without_labels_follows_from_the_hold_out() -> None:
    service = a_watched_service()
    pods = Reporting(service)
    pods.pass_windows(EVEN)

    assert pods.status["estimated"] == {"accuracy": 0.8}


def test_pods_are_summed_up() -> None:
    service = a_watched_service()
    pods = Reporting(service)
    for pod in ("one", "two", "three"):
        pods.counts(pod, a_window(pods.first))
    service.world.after(WINDOW)
    pods.are_asked(pods.first)
    service.settles()

    assert pods.status["rows"] == 3000


def test_a_quiet_service_costs_no_write() -> None:
    service = a_watched_service()
    pods = Reporting(service)
    pods.pass_windows(EVEN)
    calls = len(service.world.api.calls)

    for window in range(pods.first, pods.first + 100):
        service.world.after(WINDOW)
        pods.are_asked(window)
        assert not service.looks_once()

    assert len(service.world.api.calls) == calls


@pytest.mark.parametrize("looks", range(4))
def test_a_restart_of_the_operator_at_any_write_changes_nothing(looks: int) -> None:
    service = a_watched_service()
    pods = Reporting(service)
    pods.pass_windows(MOVED)
    pods.counts("pod", a_window(pods.first, MOVED))
    service.world.after(WINDOW)
    pods.are_asked(pods.first)

    for _ in range(looks):
        service.looks()
    service.world.restart()
    service.settles()
    pods.are_asked(pods.first)
    service.settles()

    assert (pods.status["inARow"], pods.status["rowsInARow"]) == (2, 2000)
    assert events_of(service).count("Warning FeatureDrift") == 1


def test_the_last_word_of_a_pod_counts_even_if_the_pod_is_gone_at_once() -> None:
    service = a_watched_service()
    pods, pod = Reporting(service), service.starts("stable")
    ends_with(pod, document([a_window(pods.first)], service.world.now.timestamp()))
    pod.gone()

    pods.are_asked(pods.first - 1)
    service.settles()
    service.world.restart()
    service.world.after(WINDOW)
    pods.are_asked(pods.first)
    service.settles()

    assert pods.status["rows"] == 1000


def test_the_last_word_of_a_pod_that_is_about_to_go_is_read_by_an_operator_that_starts() -> None:
    service = a_watched_service()
    pods, pod = Reporting(service), service.starts("stable")
    ends_with(pod, document([a_window(pods.first)], service.world.now.timestamp()))
    going = {"deletionTimestamp": "2026-01-01T00:01:00Z", "finalizers": ["a.user/s"]}
    service.world.edit(pod.key, metadata=going)
    service.world.restart()
    service.world.after(WINDOW)
    pods.are_asked(pods.first)
    service.settles()

    assert pods.status["rows"] == 1000


def test_the_last_word_of_a_pod_of_a_stranger_does_not_count() -> None:
    service = a_watched_service()
    pods, pod = Reporting(service), service.starts("stable")
    service.world.api.edit(pod.key, lambda body: body["metadata"].pop("ownerReferences"))
    service.world.watch()
    ends_with(pod, document([a_window(pods.first)], service.world.now.timestamp()))

    pods.are_asked(pods.first)
    service.settles()

    assert "monitoring" not in service.status


def test_what_a_pod_without_a_last_word_said_before_it_went_is_kept() -> None:
    service = a_watched_service()
    pods, pod = Reporting(service), service.starts("stable")
    pods.counts(uid_of(pod), a_window(pods.first))
    pod.gone()
    pods.are_asked(pods.first - 1, ended=frozenset(pods.reports))
    service.settles()
    pods.reports.clear()
    service.world.restart()
    service.world.after(WINDOW)
    pods.are_asked(pods.first)
    service.settles()

    assert pods.status["rows"] == 1000


def test_a_promoted_revision_begins_with_its_first_whole_window() -> None:
    service = a_watched_service()
    pods = Reporting(service)
    pods.pass_windows(MOVED, MOVED)
    a_version(service.world, "churn-2", "b").is_verified("b")
    service.changes(model={"version": "churn-2"}).settles().has_ready(1).settles()
    service.has_ready(1, "stable").settles()
    assert service.version("stable") == "churn-2"
    assert drift(service) == ("Unknown", "CollectingSamples")
    assert "monitoring" not in service.status

    pods.reports.clear()
    pods.windows.clear()
    pods.first = int(service.world.now.timestamp()) // WINDOW
    pods.pass_windows(MOVED)
    assert (pods.status["verdict"], pods.status["reason"]) == ("Inconclusive", "PartialWindow")
    pods.pass_windows(EVEN)

    assert (pods.status["verdict"], pods.status["version"]) == ("NoDrift", "churn-2")


@pytest.mark.parametrize("damage", [None, "", "{", "[]", '{"format": 2}', "x" * 100_000], ids=range(6))
def test_windows_that_are_lost_or_garbled_are_written_again(damage: str | None) -> None:
    service = a_watched_service()
    pods = Reporting(service)
    pods.pass_windows(EVEN, EVEN)
    if damage is None:
        service.world.drop(pods.config)
    else:
        service.world.edit(pods.config, data={"windows.json": damage})
    service.settles()

    pods.pass_windows(MOVED)

    assert json.loads(service.world.api.objects[pods.config]["data"]["windows.json"])["format"] == 1
    assert (pods.status["verdict"], pods.status["inARow"]) == ("Drifted", 1)


def test_nothing_is_left_of_windows_that_are_no_longer_watched() -> None:
    service = a_watched_service()
    pods = Reporting(service)
    pods.pass_windows(MOVED, MOVED)

    service.world.api.edit(service.key, lambda body: body["spec"].pop("monitoring"))
    service.world.watch()
    service.settles()

    assert service.all(CONFIG_MAPS) == {}
    assert "monitoring" not in service.status
    assert all(condition["type"] != "DriftDetected" for condition in service.status["conditions"])


@pytest.mark.parametrize("reason", ["NoProfile", "ProfileUnusable", "ServerTooOld", "PodsSilent"])
def test_what_is_in_the_way_is_said_and_survives_a_restart(reason: str) -> None:
    service = a_watched_service()
    pods = Reporting(service)
    pods.are_asked(pods.first, trouble=(reason, "it cannot be connected to"))
    assert drift(service.settles()) == ("Unknown", reason)

    service.world.restart()
    service.settles()

    assert drift(service) == ("Unknown", reason)


FEEDBACK = {"secretRef": {"name": "labels"}, "metrics": [{"name": "accuracy", "min": 0.9}]}


def scored(right: int, wrong: int, **more: Any) -> tuple[InferenceService, Reporting]:
    """A service that has got labels in a window."""
    service = a_watched_service(monitoring={"drift": {"windowSeconds": WINDOW}, "feedback": FEEDBACK})
    pods = Reporting(service)
    pods.pass_windows(EVEN, **labels(right, wrong, **more))
    return service, pods


@pytest.mark.parametrize(
    ("right", "wrong", "status", "reason"),
    [
        (800, 200, "True", "ScoreBelowTarget"),
        (990, 10, "False", "ScoreOnTarget"),
        (900, 100, "Unknown", "CollectingLabels"),
        (10, 90, "True", "ScoreBelowTarget"),
        (9, 89, "Unknown", "CollectingLabels"),
    ],
)
def test_a_score_is_below_its_target_if_its_whole_interval_is(
    right: int, wrong: int, status: str, reason: str
) -> None:
    service, pods = scored(right, wrong)

    found = service.condition("ScoreBelowTarget")
    assert (found["status"], found["reason"]) == (status, reason)
    (score,) = pods.status["scores"]
    assert (score["name"], score["samples"], score["min"]) == ("accuracy", right + wrong, 0.9)
    assert events_of(service).count("Warning ScoreBelowTarget") == (status == "True")


def test_labels_of_another_model_are_no_score_of_this_one() -> None:
    service, pods = scored(10, 990, model="b")

    assert service.condition("ScoreBelowTarget")["status"] == "Unknown"
    assert pods.status["feedback"]["counted"] == 1000


def test_labels_add_up_over_windows_and_outcomes_are_counted() -> None:
    service, pods = scored(60, 0)
    pods.pass_windows(EVEN, **labels(40, 0, Forged=3, Expired=2, Duplicate=1, UnknownLabel=4))

    assert pods.status["scores"][0]["samples"] == 100
    counts = {"counted": 100, "forged": 3, "expired": 2, "duplicate": 1, "unknownLabel": 4, "state": "Off"}
    assert pods.status["feedback"] == counts
    assert service.condition("ScoreBelowTarget")["reason"] == "ScoreOnTarget"


def test_labels_of_the_same_model_in_another_shape_of_pod_go_on_to_count() -> None:
    service, pods = scored(60, 0)
    service.changes(resources={"limits": {"memory": "1Gi"}}).settles().has_ready(1).settles()
    service.has_ready(1, "stable").settles()

    pods.pass_windows(EVEN, **labels(40, 0))

    assert pods.status["scores"][0]["samples"] == 100


def test_labels_that_came_together_weigh_less() -> None:
    together = labels(800, 200)
    (scores,) = together["feedback"].values()
    scores.update(posts=1, postSquares=1000**2)
    service = a_watched_service(monitoring={"drift": {"windowSeconds": WINDOW}, "feedback": FEEDBACK})
    pods = Reporting(service)

    pods.pass_windows(EVEN, **together)

    assert service.condition("ScoreBelowTarget")["reason"] == "CollectingLabels"
    assert pods.status["scores"][0]["samples"] == 1000


def test_labels_of_a_window_that_is_not_judged_say_when_they_came() -> None:
    _, pods = scored(100, 0)
    before = dict(pods.status)
    assert before["labelsStart"] == before["windowStart"]

    pods.pass_windows([1] * 10, **labels(40, 0))

    assert pods.status["windowStart"] == before["windowStart"]
    assert pods.status["labelsStart"] > before["labelsStart"]


def test_a_missing_key_is_said() -> None:
    service = a_served_version(monitoring={"feedback": FEEDBACK})
    fact = Reporting(service)
    fact.are_asked(fact.first, feedback="KeyMissing")
    found = service.world.cache.fact(service.key, MONITOR_REPORTS)
    assert found is not None
    service.world.cache.note(service.key, MONITOR_REPORTS, replace(found, window_seconds=3600))
    service.settles()

    condition = service.condition("ScoreBelowTarget")
    assert (condition["status"], condition["reason"]) == ("Unknown", "KeyMissing")
    assert "Secret labels" in condition["message"]


def test_the_config_map_belongs_to_the_service_and_has_a_bound() -> None:
    service, pods = scored(60, 40)
    assert pods.config == Key(CONFIG_MAPS, service.key.namespace, pods.config.name)
    config = service.world.api.objects[pods.config]
    (owner,) = metadata(config)["ownerReferences"]
    assert owner["name"] == service.name
    assert len(config["data"]["windows.json"]) < LARGEST
