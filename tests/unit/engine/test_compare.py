"""What is a difference between what we want and what the API server holds, and what is not."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwright.engine import compare
from modelwright.engine.compare import (
    Settled,
    Unchanged,
    covers,
    differs_at,
    digest,
    extract,
    without_nulls,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("wanted", "live"),
    [
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": {"b": 1}}, {"a": {"b": 1, "default": True}}),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1, "default": True}]}),
        ({"a": None}, {}),
        ({"hostNetwork": False}, {}),
        ({"args": []}, {}),
        ({"emptyDir": {}}, {"emptyDir": {}}),
        ({"resources": {"limits": {"cpu": "1000m"}}}, {"resources": {"limits": {"cpu": "1"}}}),
        ({"requests": {"cpu": 0.5, "memory": "1Gi"}}, {"requests": {"cpu": "500m", "memory": "1024Mi"}}),
        ({"requests": {"storage": 1073741824}}, {"requests": {"storage": "1Gi"}}),
    ],
)
def test_what_the_api_server_adds_or_writes_in_its_own_way_is_no_difference(wanted: Any, live: Any) -> None:
    assert covers(wanted, live)


@pytest.mark.parametrize(
    ("wanted", "live", "path"),
    [
        ({"a": 1}, {"a": 2}, "a"),
        ({"a": 1}, {}, "a"),
        ({"spec": {"replicas": 0}}, {"spec": {"replicas": 3}}, "spec.replicas"),
        ({"spec": {"suspend": False}}, {"spec": {"suspend": True}}, "spec.suspend"),
        ({"spec": {"a": {"b": 1}}}, {"spec": {}}, "spec.a.b"),
        ({"a": [1, 2]}, {"a": [2, 1]}, "a[0]"),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1}, {"b": 2}]}, "a"),
        ({"a": [{"b": 1}]}, {}, "a"),
        ({"emptyDir": {}}, {"hostPath": {"path": "/"}}, "emptyDir"),
        ({"a": {"b": 1}}, {"a": "text"}, "a"),
        ({"limits": {"cpu": "1"}}, {"limits": {"cpu": "2"}}, "limits.cpu"),
        ({"limits": {"cpu": "much"}}, {"limits": {"cpu": "1"}}, "limits.cpu"),
        ({"env": {"SIZE": "1000m"}}, {"env": {"SIZE": "1"}}, "env.SIZE"),
    ],
)
def test_a_field_that_is_missing_or_other_is_a_difference(wanted: Any, live: Any, path: str) -> None:
    assert differs_at(wanted, live) == path


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=4))
def test_everything_covers_itself(value: dict[str, Any]) -> None:
    assert covers(value, value)


@given(JSON)
def test_what_is_extracted_by_a_value_from_itself_is_that_value(value: Any) -> None:
    assert extract(value, value) == value


@given(st.dictionaries(st.text(max_size=3), JSON))
def test_the_short_name_does_not_depend_on_the_order_of_fields(value: dict[str, Any]) -> None:
    assert digest(dict(reversed(value.items()))) == digest(value)


def test_nulls_are_left_out_at_any_depth() -> None:
    assert without_nulls({"a": None, "b": [{"c": None, "d": 1}]}) == {"b": [{"d": 1}]}


class TestSettled:
    """The API server keeps `wanted` as `live`."""

    wanted: ClassVar[dict[str, Any]] = {"mode": "Auto", "size": 1}
    live: ClassVar[dict[str, Any]] = {"mode": "auto", "size": 1}

    def settled(self) -> Settled:
        settled = Settled()
        settled.remember("uid", self.wanted, self.live)
        return settled

    def test_holds_while_nothing_changes(self) -> None:
        assert self.settled().holds("uid", self.wanted, self.live)

    def test_holds_when_fields_change_that_we_did_not_ask_for(self) -> None:
        assert self.settled().holds("uid", self.wanted, {**self.live, "status": "Ready"})

    def test_does_not_hold_when_somebody_changes_the_field(self) -> None:
        assert not self.settled().holds("uid", self.wanted, {**self.live, "mode": "off"})

    def test_does_not_hold_when_we_want_something_else(self) -> None:
        assert not self.settled().holds("uid", {**self.wanted, "size": 2}, self.live)

    def test_does_not_hold_for_another_object(self) -> None:
        assert not self.settled().holds("other", self.wanted, self.live)

    def test_forgets_the_oldest_when_there_are_too_many(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(compare, "REMEMBERED", 5)
        settled = self.settled()
        for number in range(5):
            settled.remember(str(number), {}, {})

        assert not settled.holds("uid", self.wanted, self.live)
        assert settled.holds("4", {}, {})


def test_what_was_found_written_holds_until_either_side_changes() -> None:
    unchanged, live = Unchanged(remembered=2), {"a": 1, "default": True}
    assert not unchanged.holds("x", {"a": 1}, live)
    unchanged.remember("x", {"a": 1}, live)
    assert unchanged.holds("x", {"a": 1}, live)
    assert not unchanged.holds("y", {"a": 1}, live)
    assert not unchanged.holds("x", {"a": 2}, live)
    assert not unchanged.holds("x", {"a": 1}, {**live}), "another version of the object"


def test_only_what_was_planned_last_is_remembered() -> None:
    unchanged, live = Unchanged(remembered=2), {"a": 1}
    for name in ("x", "y", "x", "z"):
        unchanged.remember(name, live, live)
    assert [name for name in "xyz" if unchanged.holds(name, live, live)] == ["x", "z"]
