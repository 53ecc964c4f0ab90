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
        ({"stable": {"version": "one", "previous": "two"}}, {"stable": {"version": "one"}}, {"one", "two"}),
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


def test_a_version_wakes_those_of_the_same_file() -> None:
    added: list[Key] = []
    intake = Intake(kinds(SETTINGS), added.append)
    for name, letter in (("one", "a"), ("two", "a"), ("three", "b")):
        intake.put(MODEL_VERSIONS, a_version(name, letter))
    added.clear()

    changed = a_version("one", "a")
    changed["metadata"]["resourceVersion"] = "2"
    changed["spec"]["approvals"] = [{"by": "alice", "decision": "Reject"}]
    intake.put(MODEL_VERSIONS, changed)

    assert {key.name for key in added if key.resource == MODEL_VERSIONS} == {"one", "two"}
    added.clear()
    intake.remove(MODEL_VERSIONS, changed)
    assert "two" in {key.name for key in added if key.resource == MODEL_VERSIONS}


def test_a_gateway_wakes_the_services_of_all_namespaces_that_name_it() -> None:
    added: list[Key] = []
    intake = Intake(kinds(SETTINGS), added.append)
    for name, gateway in (("near", {"name": "gate"}), ("far", {"name": "gate", "namespace": "infra"})):
        intake.put(INFERENCE_SERVICES, a_body(INFERENCE_SERVICES, name, 1, spec={"gateway": gateway}))
    added.clear()

    gate = a_body(GATEWAYS, "gate", 1, spec={})
    intake.put(GATEWAYS, {**gate, "metadata": {**gate["metadata"], "namespace": "infra"}})

    assert [key.name for key in added] == ["far"]


def with_aliases(name: str, letter: str, *aliases: str, ready: bool = True) -> dict[str, Any]:
    status = {"aliases": list(aliases), "conditions": [{"type": "Ready", "status": str(ready)}]}
    return {**a_version(name, letter), "status": status}


def woken_by(intake: Intake, added: list[Key], body: dict[str, Any], resource: ResourceType) -> set[str]:
    added.clear()
    intake.put(resource, {**body, "metadata": {**body["metadata"], "resourceVersion": "9"}})
    return {key.name for key in added}


class TestAliases:
    """A change wakes the versions that may gain or lose an alias by it, and no others."""

    @staticmethod
    def given() -> tuple[Intake, list[Key]]:
        added: list[Key] = []
        intake = Intake(kinds(SETTINGS), added.append)
        for body in (
            with_aliases("one", "a"),
            with_aliases("two", "b", "Champion"),
            with_aliases("three", "c"),
            with_aliases("four", "d", "Latest"),
        ):
            intake.put(MODEL_VERSIONS, body)
        return intake, added

    def test_of_a_service_that_moves(self) -> None:
        intake, added = self.given()
        moved = a_body(
            INFERENCE_SERVICES,
            "shop",
            2,
            spec={"model": {"version": "one"}},
            status={"stable": {"version": "one"}},
        )
        assert woken_by(intake, added, moved, INFERENCE_SERVICES) == {"shop", "one", "two", "four"}

    def test_of_a_version_that_changes(self) -> None:
        intake, added = self.given()
        assert woken_by(intake, added, with_aliases("one", "a"), MODEL_VERSIONS) == {"one", "two", "four"}

    def test_of_the_latest_that_is_no_longer_ready(self) -> None:
        intake, added = self.given()
        failed = with_aliases("four", "d", ready=False)
        assert woken_by(intake, added, failed, MODEL_VERSIONS) == {"four", "two"}, (
            "two is the newest by its name"
        )

    def test_of_a_version_that_was_deleted(self) -> None:
        intake, added = self.given()
        added.clear()
        intake.remove(
            MODEL_VERSIONS, {**with_aliases("four", "d"), "metadata": a_version("four", "d")["metadata"]}
        )
        assert {key.name for key in added} == {"four", "two"}


class TestFollowers:
    """Services with track Champion are woken by those that they follow."""

    @staticmethod
    def given(*follows: str) -> tuple[Intake, list[Key]]:
        added: list[Key] = []
        intake = Intake(kinds(SETTINGS), added.append)
        for name, letter in (("one", "a"), ("two", "b")):
            intake.put(MODEL_VERSIONS, a_version(name, letter))
        for stable in follows:
            intake.put(INFERENCE_SERVICES, a_follower(stable))
        return intake, added

    def test_that_serve_another_version(self) -> None:
        intake, added = self.given("one", "two")
        woken = woken_by(intake, added, a_leader("two"), INFERENCE_SERVICES)
        assert {name for name in woken if name.startswith("follows")} == {"follows-one"}

    def test_all_of_them_when_it_goes(self) -> None:
        intake, added = self.given("one", "two")
        intake.put(INFERENCE_SERVICES, a_leader("two"))
        added.clear()
        intake.remove(INFERENCE_SERVICES, a_leader("two"))
        assert {key.name for key in added if key.name.startswith("follows")} == {"follows-one", "follows-two"}

    def test_none_by_another_one_that_follows(self) -> None:
        intake, added = self.given("one")
        woken = woken_by(intake, added, a_follower("two"), INFERENCE_SERVICES)
        assert "follows-one" not in woken


def a_follower(stable: str) -> dict[str, Any]:
    body = a_leader(stable, name=f"follows-{stable}")
    return {**body, "spec": {"model": {"name": "churn", "track": "Champion"}}}


def a_leader(stable: str, name: str = "leader") -> dict[str, Any]:
    status = {"observedGeneration": 1, "stable": {"version": stable}}
    body = a_body(INFERENCE_SERVICES, name, 2, spec={"model": {"version": stable}}, status=status)
    body["metadata"]["generation"] = 1
    return body
