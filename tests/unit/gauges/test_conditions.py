"""The operator's metrics count objects, and name those that ask for a look: bounded, and never broken by one object."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families
from unit.given.resources import a_served_version, a_service, a_training_job, a_version, a_world
from unit.given.world import World

from modelwright.engine.cache import View
from modelwright.engine.metrics import Metrics
from modelwright.gauges import GAUGES, conditions

CONDITION = "modelwright_resource_condition"


def samples(world: World, name: str, *more: object) -> list[tuple[dict[str, str], float]]:
    metrics = Metrics(())
    metrics.show((*more, *GAUGES), world.cache)  # type: ignore[arg-type]
    families = text_string_to_metric_families(metrics.text().decode())
    return [
        (sample.labels, sample.value)
        for family in families
        for sample in family.samples
        if sample.name == name
    ]


def noteworthy(world: World) -> set[tuple[str, str, str]]:
    """Name, type and reason."""
    return {(of["name"], of["type"], of["reason"]) for of, _ in samples(world, CONDITION)}


def test_what_is_fine_is_counted_and_not_named() -> None:
    world = a_served_version().world
    assert noteworthy(world) == set()
    found = {(of["kind"], of["ready"]): value for of, value in samples(world, "modelwright_resources")}
    assert found["InferenceService", "True"] == found["ModelVersion", "True"] == 1
    assert found["InferenceService", "False"] == found["TrainingJob", "True"] == 0


def test_what_is_not_available_or_at_work_is_named_until_it_is_mended() -> None:
    world = a_world()
    service = a_service(world).settles()
    a_training_job(world).settles()
    assert {("churn", "Reconciling", "ModelNotFound"), ("churn", "Available", "NotDeployed")} <= noteworthy(
        world
    )
    assert {of["kind"] for of, _ in samples(world, CONDITION)} == {"InferenceService", "TrainingJob"}

    a_version(world).is_verified()
    service.serves()
    assert {of["kind"] for of, _ in samples(world, CONDITION)} == {"TrainingJob"}


@pytest.mark.parametrize(
    ("kind", "status", "reason", "named"),
    [
        ("DriftDetected", "True", "FeatureDrift", True),
        ("DriftDetected", "False", "NoDrift", False),
        ("DriftDetected", "Unknown", "CollectingSamples", False),
        ("DriftDetected", "Unknown", "PodsSilent", True),
        ("ScoreBelowTarget", "Unknown", "CollectingLabels", False),
        ("ScoreBelowTarget", "Unknown", "KeyMissing", True),
        ("Ready", "False", "RolledBack", False),
        ("Stalled", "True", "RolledBack", True),
    ],
)
def test_conditions_are_named_that_ask_for_a_look(kind: str, status: str, reason: str, named: bool) -> None:
    service = a_served_version()
    condition = {"type": kind, "status": status, "reason": reason}
    service.world.edit(service.key, status={"conditions": [condition]})
    assert noteworthy(service.world) == ({("churn", kind, reason)} if named else set())


def test_no_more_are_named_than_the_bound_and_the_rest_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conditions, "MOST_SERIES", 3)
    world = a_world()
    for number in range(4):
        a_service(world, name=f"service-{number}").settles()
    a_training_job(world, name="z").settles()
    shown = [of["type"] for of, _ in samples(world, CONDITION)]
    assert (shown.count("Available"), shown.count("Reconciling")) == (3, 3)
    left_out = samples(world, "modelwright_resource_conditions_left_out")
    assert {of["type"]: value for of, value in left_out if value} == {"Available": 1, "Reconciling": 2}


def test_a_gauge_that_breaks_leaves_the_others(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: View) -> list[object]:
        raise ValueError("broken")

    assert samples(a_world(), "modelwright_resources", broken)
    assert "a gauge broke" in caplog.text
