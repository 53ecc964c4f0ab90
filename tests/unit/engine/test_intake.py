"""What is taken in wakes those whom it concerns, and nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from fakes.objects import MAPS, TOYS, map_key, plan_toy, seen, toy_key
from hypothesis import given, settings
from hypothesis import strategies as st

from modelwright.engine import intake as module
from modelwright.engine.api import Listing
from modelwright.engine.cache import View
from modelwright.engine.intake import Intake
from modelwright.engine.kinds import Kind, child, identity, only
from modelwright.engine.objects import ROOT_UID, Body, Key, ResourceType

VERSIONS = ResourceType("modelwright.dev/v1alpha1", "ModelVersion", "modelversions")


def all_toys(view: View, body: Body) -> Iterable[Key]:
    """A version concerns every toy of its namespace."""
    return [key for key in view.keys(TOYS) if key.namespace == body["metadata"]["namespace"]]


class Bell:
    """An intake, and the keys that it woke since they were last asked for."""

    def __init__(self) -> None:
        kinds = [Kind(TOYS, plan_toy), child(MAPS), Kind(VERSIONS, plan_toy, wakes=all_toys)]
        self._rung: list[Key] = []
        self.intake = Intake(kinds, self._rung.append)

    def rung(self) -> set[Key]:
        keys = set(self._rung)
        self._rung.clear()
        return keys


@pytest.fixture
def bell() -> Bell:
    bell = Bell()
    bell.intake.put(TOYS, seen(toy_key("churn"), 1, "churn"))
    bell.intake.put(TOYS, seen(toy_key("fraud"), 1, "fraud"))
    bell.rung()
    return bell


def test_a_kind_that_comes_or_goes_wakes_all_that_are_planned_for(bell: Bell) -> None:
    everybody = {toy_key("churn"), toy_key("fraud")}
    bell.intake.blind(MAPS, "Unserved")
    assert bell.rung() == everybody

    bell.intake.blind(MAPS, "Unserved")
    assert bell.rung() == set()

    bell.intake.blind(MAPS, None)
    assert bell.rung() == everybody


def test_of_a_kind_that_went_nothing_is_left(bell: Bell) -> None:
    bell.intake.put(MAPS, seen(map_key("churn"), 7))
    bell.intake.blind(MAPS, "Unserved")

    assert bell.intake.get(map_key("churn")) is None
    assert bell.intake.blindness(MAPS, "shop") == "Unserved"


def test_an_object_wakes_itself(bell: Bell) -> None:
    bell.intake.put(TOYS, seen(toy_key("churn"), 2, "churn"))

    assert bell.rung() == {toy_key("churn")}


def test_what_brings_nothing_new_wakes_nobody(bell: Bell) -> None:
    bell.intake.put(TOYS, seen(toy_key("churn"), 1, "churn"))

    assert bell.rung() == set()


def test_a_child_wakes_its_owner_and_not_itself(bell: Bell) -> None:
    bell.intake.put(MAPS, seen(map_key("m"), 5, owner="churn"))

    assert bell.rung() == {toy_key("churn")}


def test_a_child_wakes_the_root_that_its_label_names(bell: Bell) -> None:
    bell.intake.put(MAPS, seen(map_key("m"), 5, labels={ROOT_UID: "fraud"}))

    assert bell.rung() == {toy_key("fraud")}


def test_a_label_wakes_nobody_in_another_namespace(bell: Bell) -> None:
    bell.intake.put(MAPS, seen(map_key("m", "elsewhere"), 5, labels={ROOT_UID: "fraud"}))

    assert bell.rung() == set()


def test_a_child_wakes_an_owner_that_is_not_known_yet(bell: Bell) -> None:
    bell.intake.put(MAPS, seen(map_key("m"), 5, owner="later"))

    assert bell.rung() == {toy_key("later")}


def test_a_child_that_changes_hands_wakes_both_owners(bell: Bell) -> None:
    bell.intake.put(MAPS, seen(map_key("m"), 5, owner="churn"))
    bell.rung()
    bell.intake.put(MAPS, seen(map_key("m"), 6, owner="fraud"))

    assert bell.rung() == {toy_key("churn"), toy_key("fraud")}


def test_a_child_of_a_kind_that_nobody_plans_for_wakes_nobody(bell: Bell) -> None:
    body = seen(map_key("m"), 5, owner="churn")
    body["metadata"]["ownerReferences"][0].update(kind="ReplicaSet", uid="r")
    bell.intake.put(MAPS, body)

    assert bell.rung() == set()


@pytest.mark.parametrize("how", ["removed", "gone", "not listed"])
def test_the_end_of_a_child_wakes_its_owner(bell: Bell, how: str) -> None:
    bell.intake.put(MAPS, seen(map_key("m"), 5, owner="churn"))
    bell.rung()
    if how == "removed":
        bell.intake.remove(MAPS, seen(map_key("m"), 6, owner="churn"))
    elif how == "gone":
        bell.intake.gone(map_key("m"), "a")
    else:
        bell.intake.replace(MAPS, [], listed_at=7)

    assert bell.rung() == {toy_key("churn")}


def test_a_list_wakes_only_for_what_changed(bell: Bell) -> None:
    bell.intake.replace(
        TOYS, [seen(toy_key("churn"), 1, "churn"), seen(toy_key("fraud"), 9, "fraud")], listed_at=10
    )

    assert bell.rung() == {toy_key("fraud")}


def test_a_kind_may_name_others_whom_it_concerns(bell: Bell) -> None:
    version = Key(VERSIONS, "shop", "churn-1")
    bell.intake.put(VERSIONS, seen(version, 5))

    assert bell.rung() == {version, toy_key("churn"), toy_key("fraud")}


def test_a_view_is_as_good_through_the_intake(bell: Bell) -> None:
    assert set(bell.intake.keys(TOYS)) == {toy_key("churn"), toy_key("fraud")}
    bell.intake.put(MAPS, seen(map_key("m"), 5, owner="churn"))
    assert len(bell.intake.owned(MAPS, "churn")) == 1
    assert bell.intake.get(map_key("m")) is not None


def test_of_a_kind_that_only_tells_whose_it_is_nothing_else_is_kept_or_wakes() -> None:
    rung: list[Key] = []
    kinds = [Kind(TOYS, plan_toy), replace(child(MAPS), keep=identity)]
    intake = Intake(kinds, rung.append)
    intake.put(TOYS, seen(toy_key("churn"), 1, "churn"))
    rung.clear()

    intake.put(MAPS, {**seen(map_key("churn"), 7, owner="churn"), "data": {"a": "1"}})
    assert rung == [toy_key("churn")]
    assert "data" not in (intake.get(map_key("churn")) or {})
    intake.put(MAPS, {**seen(map_key("churn"), 8, owner="churn"), "data": {"a": "2"}})
    assert rung == [toy_key("churn")]


def test_of_a_kind_some_fields_may_be_kept_and_a_change_of_others_wakes_nobody() -> None:
    rung: list[Key] = []
    kinds = [Kind(TOYS, plan_toy), replace(child(MAPS), keep=only(status=("phase",), data=("a",)))]
    intake = Intake(kinds, rung.append)
    body = {**seen(map_key("churn"), 7), "status": {"phase": "Running", "hostIP": "10.0.0.1"}, "data": None}
    body["metadata"]["annotations"] = {"note": "x"}
    intake.put(MAPS, body)

    held = intake.get(map_key("churn")) or {}
    assert (held["status"], "data" in held) == ({"phase": "Running"}, False)
    assert held["metadata"]["annotations"] == {"note": "x"}
    intake.put(TOYS, seen(toy_key("churn"), 8, "churn"))
    rung.clear()
    owned = {**seen(map_key("m"), 9, "m", owner="churn"), "status": {"phase": "Running"}}
    intake.put(MAPS, owned)
    assert rung == [toy_key("churn")]
    moved = {**seen(map_key("m"), 10, "m", owner="churn"), "status": {"phase": "Running", "hostIP": "x"}}
    intake.put(MAPS, moved)
    assert rung == [toy_key("churn")]


def test_a_fact_wakes_the_object_that_it_is_about_if_it_is_planned_for(bell: Bell) -> None:
    bell.intake.put(MAPS, seen(map_key("churn"), 7))
    bell.rung()
    assert bell.intake.note(toy_key("churn"), "answers", 1)
    assert bell.rung() == {toy_key("churn")}
    assert not bell.intake.note(toy_key("churn"), "answers", 1)
    assert bell.intake.note(map_key("churn"), "answers", 1)
    assert bell.rung() == set()


class TestLists:
    """A full list is taken in in short turns; watches and writes go on meanwhile."""

    def turns(self, intake: Intake, version: int, *pages: list[Body]) -> Iterator[None]:
        """Takes a list in; whoever iterates decides what happens between two turns of the event loop."""

        async def listed() -> AsyncIterator[Listing]:
            for page in pages:
                yield Listing(page, version)

        taking = intake.take_list(TOYS, listed())
        while True:
            try:
                taking.send(None)
            except StopIteration:
                return
            yield

    def test_the_event_loop_runs_between_the_turns(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "TURN", 10)
        intake = Intake([Kind(TOYS, plan_toy)], lambda _: None)
        bodies: list[Body] = [seen(toy_key(f"t-{n:03}"), 5, f"t-{n}") for n in range(100)]
        sizes = [len(list(intake.keys(TOYS))) for _ in self.turns(intake, 9, bodies[:60], bodies[60:])]

        assert sizes == [*range(10, 101, 10), *[100] * 10], "ten at a time, in the end too"

    def test_what_a_list_lacks_is_gone_and_wakes_whom_it_concerns(self, bell: Bell) -> None:
        for _ in self.turns(bell.intake, 9, [seen(toy_key("churn"), 1, "churn")]):
            pass

        assert bell.rung() == {toy_key("fraud")}
        assert list(bell.intake.keys(TOYS)) == [toy_key("churn")]

    def test_something_that_is_no_object_keeps_no_other_out(self, bell: Bell) -> None:
        odd: list[Any] = [None, {"metadata": {}}, seen(toy_key("churn"), 8, "churn")]
        for _ in self.turns(bell.intake, 9, odd):
            pass

        assert list(bell.intake.keys(TOYS)) == [toy_key("churn")]

    @given(
        st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), min_size=1, max_size=12),
        st.data(),
    )
    @settings(max_examples=300, deadline=None)
    def test_watches_and_writes_may_come_at_any_point_of_it(
        self, changes: list[tuple[str, bool]], data: st.DataObject
    ) -> None:
        history, states = _truth(changes)
        listed_at = data.draw(st.integers(0, len(history)))
        known = data.draw(st.integers(0, listed_at))  # what the cache held before
        intake = Intake([Kind(TOYS, plan_toy)], lambda _: None)
        for body in states[known].values():
            intake.put(TOYS, body)
        # The watch shows all that is newer than the list, in order; the answers to writes may repeat any of it.
        events = list(history[data.draw(st.integers(known, listed_at)) :])

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "TURN", 1)
            for _ in self.turns(intake, listed_at, list(states[listed_at].values())):
                for _ in range(data.draw(st.integers(0, 2))):
                    _deliver(intake, events.pop(0)) if events else None
                if data.draw(st.booleans()):
                    _deliver(intake, data.draw(st.sampled_from(history)))
        for event in events:
            _deliver(intake, event)

        assert {key.name: intake.get(key) for key in intake.keys(TOYS)} == states[-1]


Change = tuple[str, Body]


def _truth(changes: list[tuple[str, bool]]) -> tuple[list[Change], list[dict[str, Body]]]:
    """What happens at the API server at each version, and what there is after each; at version 0 there is nothing."""
    history: list[Change] = []
    states: list[dict[str, Body]] = [{}]
    for version, (name, deletes) in enumerate(changes, 1):
        state = dict(states[-1])
        held = state.pop(name, None)
        identity = f"{name}-{version}" if held is None else str(held["metadata"]["uid"])
        body = seen(toy_key(name), version, identity)
        ends = deletes and held is not None
        if not ends:
            state[name] = body
        history.append(("remove" if ends else "put", body))
        states.append(state)
    return history, states


def _deliver(intake: Intake, change: Change) -> None:
    action, body = change
    if action == "remove":
        intake.remove(TOYS, body)
    else:
        intake.put(TOYS, body)


def test_what_a_body_says_is_noted_and_outlives_it() -> None:
    def noted(view: View, body: Body) -> Iterable[tuple[Key, str, object]]:
        yield toy_key("churn"), "words", body["data"]["word"]

    intake = Intake([Kind(TOYS, plan_toy), replace(child(MAPS), notes=noted)], lambda key: None)
    intake.put(TOYS, seen(toy_key("churn"), 1, "churn"))
    word = {**seen(map_key("word"), 2, "word"), "data": {"word": "the last"}}
    intake.put(MAPS, word)
    intake.remove(MAPS, word)

    assert intake.fact(toy_key("churn"), "words") == "the last"
    assert intake.put(MAPS, seen(map_key("wordless"), 3, "wordless")), "what cannot be noted is taken in"
