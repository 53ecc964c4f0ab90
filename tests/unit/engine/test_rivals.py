"""When an operator stands back from another: not for a takeover, not for its own writes, and longer each time."""

from __future__ import annotations

import pytest
from fakes.objects import map_key, toy_key

from modelwright.engine import rivals
from modelwright.engine.rivals import OPERATOR, Rivals

TOY, CHILD = toy_key(), map_key()
THEIRS = {CHILD: "b/two"}


@pytest.fixture
def mine() -> Rivals:
    return Rivals("a/one")


def undone(mine: Rivals, now: float) -> bool:
    """The child was written by this operator, and then by the other. Whether this one stands back."""
    mine.wrote(CHILD)
    return mine.refusal(TOY, {}, THEIRS, {CHILD}, now) is not None


def test_what_is_written_is_signed(mine: Rivals) -> None:
    signed = mine.signed({"metadata": {"name": "x", "annotations": {"a": "b"}}})

    assert signed["metadata"] == {"name": "x", "annotations": {"a": "b", OPERATOR: "a/one"}}
    assert mine.author(signed) is None
    assert Rivals("b/two").author(signed) == "a/one"
    assert mine.author({"metadata": {}}) is None, "older releases did not sign"


def test_children_of_a_release_before_are_taken_over(mine: Rivals) -> None:
    for moment in range(100):
        assert mine.refusal(TOY, {}, THEIRS, {CHILD}, float(moment)) is None


@pytest.mark.parametrize(
    ("pause", "stands_back"), [(10.0, True), (299.0, True), (301.0, False), (3600.0, False)]
)
def test_a_write_that_is_undone_twice_within_some_minutes_is_one_too_many(
    mine: Rivals, pause: float, stands_back: bool
) -> None:
    assert not undone(mine, 0.0)
    assert undone(mine, pause) is stands_back


def test_a_status_that_is_undone_counts_where_another_operator_is_known(mine: Rivals) -> None:
    for moment in (0.0, 1.0):
        mine.wrote_status(TOY, {"state": "mine"})
        refused = mine.refusal(TOY, {"state": "theirs"}, THEIRS, (), moment)
    assert refused is not None
    assert (refused.kind, refused.message) == ("AnotherOperator", "another operator (b/two) writes it too")


def test_a_status_that_an_administrator_edits_is_no_other_operator(mine: Rivals) -> None:
    for moment in range(10):
        mine.wrote_status(TOY, {"state": "mine"})
        assert mine.refusal(TOY, {"state": "edited"}, {}, (), float(moment)) is None


def test_it_stands_back_longer_each_time_and_speaks_once_in_each_pause(mine: Rivals) -> None:
    undone(mine, 0.0)
    now, pauses = 1.0, []
    for _ in range(5):
        assert undone(mine, now)
        assert mine.may_speak(TOY)
        mine.wrote_status(TOY, {})
        assert not mine.may_speak(TOY)
        until = mine.due(TOY, now)
        assert until is not None
        pauses.append(until - now)
        now = until

    assert pauses == [60.0, 120.0, 240.0, 300.0, 300.0]


def test_it_goes_on_when_nothing_was_undone_in_a_pause(mine: Rivals) -> None:
    undone(mine, 0.0)
    assert undone(mine, 1.0)

    assert mine.refusal(TOY, {}, THEIRS, {CHILD}, 60.0) is not None
    assert mine.refusal(TOY, {}, THEIRS, {CHILD}, 61.0) is None
    assert mine.due(TOY, 61.0) is None


def test_what_is_remembered_is_bounded(mine: Rivals, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rivals, "REMEMBERED", 3)
    for number in range(10):
        mine.wrote(map_key(f"m{number}"))

    assert len(mine._children) == 3
