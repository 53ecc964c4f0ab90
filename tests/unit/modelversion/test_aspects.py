"""The conditions of a ModelVersion that may change: each as a table, and kept up to date by who causes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from unit.given import words
from unit.given.resources import a_served_version, a_service, a_version, a_world

from modelwright.common.conditions import Aspect
from modelwright.common.indexes import served_versions
from modelwright.common.resources import MODEL_VERSIONS
from modelwright.engine.objects import Body, Key
from modelwright.engine.plan import Event
from modelwright.modelversion.aspects import (
    in_use,
    quarantine_events,
    quarantined,
    validated,
)
from modelwright.modelversion.facts import Facts, facts_of_failure, facts_of_verification
from modelwright.workload.podstatus import Problem


def service(name: str = "churn", **status: Any) -> Body:
    """An InferenceService with this status."""
    return {"metadata": {"name": name}, "status": status}


def revision(version: str, **parts: Any) -> dict[str, Any]:
    return {"version": version, "revision": "abc", **parts}


def rejection(letter: str, reason: str = "ErrorRateTooHigh") -> dict[str, Any]:
    return {"digest": words.digest(letter), "reason": reason, "version": "churn-1"}


@pytest.mark.parametrize(
    ("parity", "status", "reason", "message"),
    [
        (
            {"verdict": "Pass"},
            True,
            "ParityPassed",
            "ONNX Runtime answers what the trainer's library predicts",
        ),
        (
            {"verdict": "Skipped"},
            None,
            "ParitySkipped",
            "not compared with the trainer's library: no reference.npz",
        ),
        (
            None,
            None,
            "ParitySkipped",
            "no run vouches for the file here, so its answers were not compared with the trainer's library",
        ),
    ],
)
def test_validated_says_what_was_compared(
    parity: Mapping[str, Any] | None, status: bool | None, reason: str, message: str
) -> None:
    known = facts_of_verification(words.verified(), {"model": "churn", "artifact": words.artifact()})
    facts = Facts(known.verified, {**known.details, "parity": parity} if parity else known.details)

    assert validated(facts, ()) == Aspect("Validated", status, reason, message)


def test_a_file_that_is_rejected_is_not_validated() -> None:
    assert validated(facts_of_failure(Problem("NotOnnx", "no")), ()) == Aspect(
        "Validated", False, "NotOnnx", "no"
    )


@pytest.mark.parametrize(
    ("services", "by"),
    [
        ([], None),
        ([{"metadata": {"name": "new"}}], None),
        ([service(rejected=[rejection("b")])], None),
        ([service(rejected=[{**rejection("a", "Undone"), "quarantine": False}])], None),
        ([service(rejected=[{"a field": "of another release"}])], None),
        ([service(rejected=[rejection("b"), rejection("a", "PodsRestarted")])], ("churn", "PodsRestarted")),
        ([service("z", rejected=[rejection("a")]), service("b", rejected=[rejection("a")])], ("b", "ErrorRateTooHigh")),
    ],
)  # fmt: skip
def test_quarantined_while_a_service_rejects_the_bytes(
    services: list[Body], by: tuple[str, str] | None
) -> None:
    found = quarantined(words.digest("a"), services)

    if by is None:
        assert found is None
        return
    name, reason = by
    message = (
        f"InferenceService {name} has rolled it back ({reason}); services that track the family pass it over"
    )
    assert found == Aspect("Quarantined", True, reason, message)


@pytest.mark.parametrize(
    ("status", "versions"),
    [
        ({}, []),
        ({"stable": revision("one")}, ["one"]),
        ({"canary": revision("two", state="Progressing")}, ["two"]),
        ({"canary": revision("two", state="Failed")}, []),
        ({"stable": {"a field": "of another release"}, "retired": None}, []),
        ({"retired": revision("none", undone=True)}, ["none"]),
        (
            {
                "stable": revision("one"),
                "canary": revision("two", state="Shifting"),
                "retired": revision("none"),
            },
            ["one", "two", "none"],
        ),
    ],
    ids=str,
)
def test_a_service_serves_the_versions_whose_pods_it_keeps(
    status: Mapping[str, Any], versions: list[str]
) -> None:
    assert list(served_versions(service(**status))) == versions


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("", None),
        ("a", "InferenceService a serves it"),
        ("ba", "InferenceServices a, b serve it"),
        ("edcba", "InferenceServices a, b, c, d, e serve it"),
        ("gfedcba", "InferenceServices a, b, c, d, e and others serve it"),
    ],
)
def test_in_use_names_at_most_five_services(names: str, message: str | None) -> None:
    services = [service(name, stable=revision("one")) for name in names]
    others = [service("other", stable=revision("two")), service("new")]

    found = in_use("one", [*services, *others])

    assert found == (None if message is None else Aspect("InUse", True, "Served", message))


MARK = Aspect("Quarantined", True, "ErrorRateTooHigh", "bad")
WRITTEN = {"type": "Quarantined", "status": "True", "reason": "ErrorRateTooHigh", "message": "bad"}
LIFTED = Event("Normal", "QuarantineLifted", "no InferenceService rejects it any more")


@pytest.mark.parametrize(
    ("before", "now", "events"),
    [
        ([], [], ()),
        ([], [MARK], (Event("Warning", "Quarantined", "bad"),)),
        ([WRITTEN], [MARK], ()),
        ([{**WRITTEN, "message": "worse"}], [MARK], (Event("Warning", "Quarantined", "bad"),)),
        ([WRITTEN], [], (LIFTED,)),
        ([], [Aspect("InUse", True, "Served", "churn serves it")], ()),
    ],
)
def test_a_quarantine_is_announced_once(
    before: list[dict[str, Any]], now: list[Aspect], events: tuple[Event, ...]
) -> None:
    assert quarantine_events(before, now) == events


def test_a_version_is_in_use_from_its_canary_to_the_end_of_its_pods() -> None:
    world = a_world()
    first, second = a_version(world).is_verified(), a_version(world, "churn-2", "b").is_verified("b")
    serving = a_service(world).settles()
    message = "InferenceService churn serves it"
    assert first.settles().condition("InUse")["message"] == message

    serving.has_ready(1).settles().changes(model={"version": "churn-2"}).settles()
    assert second.settles().condition("InUse")["message"] == message
    serving.has_ready(1).settles()
    assert first.settles().condition("InUse")["message"] == message, "its pods run until they are scaled down"
    world.after(60)
    serving.settles()

    assert "InUse" not in {condition["type"] for condition in first.settles().status["conditions"]}
    assert second.settles().condition("InUse")["status"] == "True"
    serving.is_deleted()
    assert "InUse" not in {condition["type"] for condition in second.settles().status["conditions"]}


def test_a_version_that_is_made_anew_while_it_is_served_says_so_before_it_is_verified() -> None:
    serving = a_served_version()
    serving.world.drop(Key(MODEL_VERSIONS, "team", "churn-1"))

    again = a_version(serving.world).settles()

    assert (again.reason, again.condition("InUse")["status"]) == ("Verifying", "True")
