"""An index finds exactly the objects that a scan would find, whatever came, changed and went."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fakes.objects import MAPS, TOYS, map_key, seen, toy_key
from hypothesis import given, settings
from hypothesis import strategies as st

from modelwright.engine.cache import Cache
from modelwright.engine.indexes import Index
from modelwright.engine.intake import Intake
from modelwright.engine.kinds import Kind
from modelwright.engine.objects import Body, Key, name

COLOUR = Index("colour", TOYS, lambda toy: (toy["spec"]["colour"],))
TAGS = Index("tags", TOYS, lambda toy: toy["spec"].get("tags", ()))


def a_toy(key: Key, version: int, uid: str = "a", **spec: Any) -> dict[str, Any]:
    return {**seen(key, version, uid), "spec": spec}


def names(bodies: Sequence[Body]) -> list[str]:
    return [name(body) for body in bodies]


def test_objects_are_found_by_value_in_a_namespace_or_in_all_ordered_by_name() -> None:
    cache = Cache(indexes=(COLOUR, TAGS))
    for number, (toy, place, colour) in enumerate(
        [("b", "shop", "red"), ("a", "shop", "red"), ("c", "shop", "blue"), ("d", "mall", "red")]
    ):
        cache.put(TOYS, a_toy(toy_key(toy, place), number + 1, toy, colour=colour))

    assert names(cache.indexed(COLOUR, "shop", "red")) == ["a", "b"]
    assert names(cache.indexed(COLOUR, None, "red")) == ["d", "a", "b"]
    assert set(cache.indexed_keys(COLOUR, "red")) == {toy_key("a"), toy_key("b"), toy_key("d", "mall")}
    assert cache.indexed(COLOUR, "shop", "green") == []


def test_an_object_that_no_value_can_be_read_of_is_not_found_and_keeps_no_other_from_it() -> None:
    cache = Cache(indexes=(COLOUR,))
    odd: list[Any] = [{}, {"spec": None}, {"spec": []}, {"spec": {"colour": None}}]
    for number, parts in enumerate(odd):
        cache.put(TOYS, {**seen(toy_key(f"odd-{number}"), 1, f"odd-{number}"), **parts})
    cache.put(TOYS, a_toy(toy_key("good"), 1, "good", colour="red"))

    assert names(cache.indexed(COLOUR, "shop", "red")) == ["good"]
    assert cache.indexed(COLOUR, "shop", "None") == []


def test_what_is_computed_for_a_value_is_kept_until_one_of_its_objects_changes() -> None:
    cache, calls = Cache(indexes=(COLOUR,)), 0

    def count(bodies: Sequence[Body]) -> int:
        nonlocal calls
        calls += 1
        return len(bodies)

    assert cache.computed(COLOUR, "shop", "red", count) == 0
    cache.put(TOYS, a_toy(toy_key("a"), 1, "a", colour="red"))
    cache.put(TOYS, a_toy(toy_key("b"), 2, "b", colour="red"))
    calls = 0
    assert [cache.computed(COLOUR, "shop", "red", count) for _ in range(3)] == [2, 2, 2]
    cache.put(TOYS, a_toy(toy_key("c"), 3, "c", colour="blue"))
    assert cache.computed(COLOUR, "shop", "red", count) == 2
    assert calls == 1, "another colour is none of its objects"

    cache.put(TOYS, a_toy(toy_key("a"), 4, "a", colour="blue"))
    assert cache.computed(COLOUR, "shop", "red", count) == 1
    cache.gone(toy_key("b"), "b")
    assert cache.computed(COLOUR, "shop", "red", count) == 0


def test_the_kinds_declare_the_indexes() -> None:
    intake = Intake([Kind(TOYS, indexes=(COLOUR,)), Kind(MAPS)], lambda _: None)
    intake.put(MAPS, seen(map_key(), 1))
    intake.put(TOYS, a_toy(toy_key("a"), 1, colour="red"))

    assert names(intake.indexed(COLOUR, "shop", "red")) == ["a"]


spec = st.fixed_dictionaries(
    {
        "colour": st.sampled_from(["red", "blue"]),
        "tags": st.lists(st.sampled_from(["x", "y", "z"]), max_size=3),
    }
)
PLACES = ("shop", "mall")
steps = st.lists(
    st.tuples(st.sampled_from(["put", "remove", "gone"]), st.sampled_from("ab"), st.sampled_from(PLACES), spec),
    max_size=30,
)  # fmt: skip


@given(steps)
@settings(max_examples=200)
def test_an_index_finds_what_a_scan_finds(history: list[tuple[str, str, str, dict[str, Any]]]) -> None:
    cache = Cache(indexes=(COLOUR, TAGS))
    for version, (action, toy, place, content) in enumerate(history, 1):
        key, uid = toy_key(toy, place), f"{place}-{toy}"
        body = a_toy(key, version, uid, **content)
        if action == "put":
            cache.put(TOYS, body)
        elif action == "remove":
            cache.remove(TOYS, body)
        else:
            cache.gone(key, uid)

    for place in PLACES:
        keys = sorted(key for key in cache.keys(TOYS) if key.namespace == place)
        everything = [held for key in keys if (held := cache.get(key)) is not None]
        for index in (COLOUR, TAGS):
            for value in ("red", "blue", "x", "y", "z"):
                scanned = [body for body in everything if value in index.values(body)]
                assert cache.indexed(index, place, value) == scanned
                assert cache.computed(index, place, value, list) == scanned
    if not list(cache.keys(TOYS)):
        assert not any(cache._indexes._groups.values()), "nothing is left behind"
