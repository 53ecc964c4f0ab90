"""A refused write waits for its next try: briefly where others can lift the refusal, longer where it breaks a rule."""

from __future__ import annotations

import pytest
from fakes.objects import map_key

from modelwright.engine.refusal import Refusal, RefusalKind
from modelwright.engine.retries import REMEMBERED, Retries

KEY = map_key()


def refusal(kind: RefusalKind = "Forbidden") -> Refusal:
    return Refusal(KEY, "apply", kind, "no")


def waits(kind: RefusalKind, times: int) -> list[float]:
    """Between the tries of one write, the first ones."""
    retries, now, found = Retries(), 0.0, []
    for _ in range(times):
        retries.refused(refusal(kind), "content", now, jitter=1.0)
        due = retries.due(refusal(kind))
        assert due is not None
        found.append(due - now)
        now = due
    return found


@pytest.mark.parametrize(
    "kind", ["Denied", "Forbidden", "NameTaken", "NamespaceTerminating", "AnotherOperator"]
)
def test_what_others_can_lift_is_tried_within_a_minute(kind: RefusalKind) -> None:
    assert waits(kind, 5) == [20, 30, 45, 60, 60]


def test_what_breaks_a_rule_of_its_kind_waits_longer_and_longer() -> None:
    assert waits("Invalid", 7) == [30, 60, 120, 240, 480, 600, 600]


def test_the_refusal_stands_until_it_is_due() -> None:
    retries = Retries()
    retries.refused(refusal(), "content", 0.0, jitter=1.0)

    assert retries.held(KEY, "apply", "content", 19.9) == refusal()
    assert retries.held(KEY, "apply", "content", 20.0) is None


def test_it_is_that_of_one_content_and_one_action() -> None:
    retries = Retries()
    retries.refused(refusal(), "content", 0.0, jitter=1.0)

    assert retries.held(KEY, "apply", "other", 1.0) is None
    assert retries.held(KEY, "delete", "content", 1.0) is None


def test_another_content_begins_anew() -> None:
    retries = Retries()
    for content in ("a", "a", "a", "b"):
        retries.refused(refusal(), content, 0.0, jitter=1.0)

    assert retries.due(refusal()) == 20.0


def test_what_went_through_is_forgotten() -> None:
    retries = Retries()
    retries.refused(refusal(), "content", 0.0, jitter=1.0)
    retries.accepted(KEY, "apply")

    assert retries.due(refusal()) is None


def test_as_many_are_remembered_as_there_is_room_for() -> None:
    retries = Retries()
    for number in range(REMEMBERED + 1):
        found = Refusal(map_key(f"m-{number}"), "apply", "Forbidden", "no")
        retries.refused(found, "content", 0.0, jitter=1.0)

    assert retries.held(map_key("m-0"), "apply", "content", 1.0) is None
    assert retries.held(map_key("m-1"), "apply", "content", 1.0) is not None
