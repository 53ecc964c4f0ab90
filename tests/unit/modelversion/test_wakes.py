"""The objects that a change of one wakes."""

from __future__ import annotations

from typing import Any

import pytest
from unit.given import words
from unit.given.world import SETTINGS

from modelwright.common.resources import GATEWAYS, INFERENCE_SERVICES, MODEL_VERSIONS
from modelwright.engine.intake import Intake
from modelwright.engine.objects import Key, ResourceType
from modelwright.wiring import kinds


def a_body(resource: ResourceType, name: str, version: int, **parts: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "team", "uid": f"uid-{name}", "resourceVersion": str(version)}
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, **parts}


def a_version(name: str, letter: str) -> dict[str, Any]:
    spec = {"model": "churn", "artifact": words.artifact(letter=letter)}
    return a_body(MODEL_VERSIONS, name, 1, spec=spec)


def a_service(version: int, **status: Any) -> dict[str, Any]:
    return a_body(INFERENCE_SERVICES, "churn", version, spec={"model": {"version": "one"}}, status=status)


@pytest.mark.parametrize(
    ("before", "after", "woken"),
    [
        ({}, {}, set()),
        ({}, {"stable": {"version": "one"}}, {"one"}),
        ({"stable": {"version": "one"}}, {"stable": {"version": "two"}}, {"one", "two"}),
        ({"retired": {"version": "one"}}, {}, {"one"}),
        ({}, {"rejected": [{"digest": words.digest("b"), "reason": "PodsRestarted"}]}, {"two"}),
        ({"rejected": [{"digest": words.digest("b"), "reason": "PodsRestarted"}]}, {}, {"two"}),
    ],
    ids=lambda value: str(sorted(value) if isinstance(value, set) else value),
)
def test_a_service_wakes_the_versions_that_it_concerns(
    before: dict[str, Any], after: dict[str, Any], woken: set[str]
) -> None:
    added: list[Key] = []
    intake = Intake(kinds(SETTINGS), added.append)
    for name, letter in (("one", "a"), ("two", "b"), ("three", "c")):
        intake.put(MODEL_VERSIONS, a_version(name, letter))
    intake.put(INFERENCE_SERVICES, a_service(2, **before))
    added.clear()

    intake.put(INFERENCE_SERVICES, a_service(3, **after))

    assert {key.name for key in added if key.resource == MODEL_VERSIONS} == woken


def test_the_end_of_a_service_wakes_what_it_served_when_it_was_last_seen() -> None:
    added: list[Key] = []
    intake = Intake(kinds(SETTINGS), added.append)
    for name, letter in (("one", "a"), ("two", "b")):
        intake.put(MODEL_VERSIONS, a_version(name, letter))
    intake.put(INFERENCE_SERVICES, a_service(2, rejected=[{"digest": words.digest("b")}]))
    added.clear()

    intake.remove(INFERENCE_SERVICES, a_service(3, stable={"version": "one"}))

    assert {key.name for key in added if key.resource == MODEL_VERSIONS} == {"one", "two"}


@pytest.mark.parametrize(
    ("model", "woken"),
    [
        ({"version": "one"}, True),
        ({"version": "two"}, False),
        ({"name": "churn", "track": "Latest"}, True),
        ({"name": "fraud", "track": "Latest"}, False),
    ],
    ids=str,
)
def test_a_version_wakes_the_services_that_name_it_or_follow_its_model(
    model: dict[str, Any], *, woken: bool
) -> None:
    added: list[Key] = []
    intake = Intake(kinds(SETTINGS), added.append)
    intake.put(INFERENCE_SERVICES, a_body(INFERENCE_SERVICES, "churn", 1, spec={"model": model}))
    added.clear()

    intake.put(MODEL_VERSIONS, a_version("one", "a"))

    assert (Key(INFERENCE_SERVICES, "team", "churn") in added) is woken


def test_a_gateway_wakes_the_services_of_all_namespaces_that_name_it() -> None:
    added: list[Key] = []
    intake = Intake(kinds(SETTINGS), added.append)
    for name, gateway in (("near", {"name": "gate"}), ("far", {"name": "gate", "namespace": "infra"})):
        intake.put(INFERENCE_SERVICES, a_body(INFERENCE_SERVICES, name, 1, spec={"gateway": gateway}))
    added.clear()

    gate = a_body(GATEWAYS, "gate", 1, spec={})
    intake.put(GATEWAYS, {**gate, "metadata": {**gate["metadata"], "namespace": "infra"}})

    assert [key.name for key in added] == ["far"]
