"""The cache holds the newest of what was seen, in whatever order it was seen."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.objects import MAPS, NAMESPACE, TOYS, map_key, seen, toy_key
from hypothesis import given, settings
from hypothesis import strategies as st

from modelwright.engine import cache as module
from modelwright.engine.cache import Cache, resource_version, slim
from modelwright.engine.objects import ROOT_UID, Body, Key, metadata

KEY = map_key()


@pytest.fixture
def cache() -> Cache:
    return Cache()


def version(cache: Cache) -> int | None:
    body = cache.get(KEY)
    return None if body is None else resource_version(body)


@pytest.mark.parametrize(
    ("first", "then", "kept", "changed"),
    [(5, 6, 6, True), (5, 5, 5, False), (5, 4, 5, False), (9, 10, 10, True)],
)
def test_a_body_gives_way_only_to_a_newer_one(
    cache: Cache, first: int, then: int, kept: int, *, changed: bool
) -> None:
    cache.put(MAPS, seen(KEY, first))

    assert cache.put(MAPS, seen(KEY, then)) is changed
    assert version(cache) == kept


def test_who_watches_one_namespace_is_blind_in_all_others() -> None:
    cache = Cache(["shop"])

    assert cache.blindness(MAPS, "shop") is None
    assert cache.blindness(MAPS, "infra") == "OutOfReach"
    assert Cache().blindness(MAPS, "infra") is None


def test_the_list_of_one_namespace_says_nothing_of_another() -> None:
    cache = Cache(["shop", "infra"])
    here, there = Key(MAPS, "shop", "a"), Key(MAPS, "infra", "a")
    cache.put(MAPS, seen(here, 5))
    assert cache.replace(MAPS, [], listed_at=100, place="infra") == set()
    assert cache.get(here) is not None
    # It is older than the list of the other namespace, and news all the same.
    assert cache.put(MAPS, seen(Key(MAPS, "shop", "b"), 50))
    assert not cache.put(MAPS, seen(there, 50)), "it was gone when its namespace was listed"
    assert cache.replace(MAPS, [], listed_at=60, place="shop") == {here, Key(MAPS, "shop", "b")}


def test_a_kind_may_be_unseen_in_one_namespace_alone() -> None:
    cache = Cache(["shop", "infra"])
    assert cache.blind(MAPS, "Forbidden", "infra")
    assert (cache.blindness(MAPS, "shop"), cache.blindness(MAPS, "infra")) == (None, "Forbidden")
    assert cache.blindness(MAPS, None) == "Forbidden"
    assert cache.blindness(MAPS, "elsewhere") == "OutOfReach"
    cache.blind(MAPS, None, "infra")
    assert cache.blindness(MAPS, None) is None
    cache.blind(MAPS, "Unserved", "infra")
    assert cache.blindness(MAPS, "elsewhere") == "Unserved"


def test_a_late_event_does_not_bring_a_deleted_object_back(cache: Cache) -> None:
    cache.put(MAPS, seen(KEY, 5))
    cache.remove(MAPS, seen(KEY, 8))

    assert not cache.put(MAPS, seen(KEY, 7))
    assert cache.get(KEY) is None


def test_a_late_answer_does_not_bring_an_object_back_that_the_api_server_no_longer_has(cache: Cache) -> None:
    cache.put(MAPS, seen(KEY, 5))

    assert cache.gone(KEY, "a")
    assert not cache.put(MAPS, seen(KEY, 900))


def test_an_object_that_only_left_the_selector_may_come_back(cache: Cache) -> None:
    cache.put(MAPS, seen(KEY, 5))
    cache.remove(MAPS, seen(KEY, 6))

    assert cache.put(MAPS, seen(KEY, 7))


def test_an_object_of_the_same_name_takes_the_place_of_a_deleted_one(cache: Cache) -> None:
    cache.put(MAPS, seen(KEY, 5, "old"))
    cache.remove(MAPS, seen(KEY, 6, "old"))

    assert cache.put(MAPS, seen(KEY, 7, "new"))


def test_the_late_end_of_an_old_object_leaves_the_new_one_of_its_name(cache: Cache) -> None:
    cache.put(MAPS, seen(KEY, 5, "old"))
    cache.put(MAPS, seen(KEY, 9, "new"))

    assert not cache.remove(MAPS, seen(KEY, 7, "old"))
    assert version(cache) == 9
    assert not cache.put(MAPS, seen(KEY, 10, "old")), (
        "the new one could not be there if the old one still were"
    )


def test_the_end_of_one_object_says_nothing_of_another(cache: Cache) -> None:
    cache.put(MAPS, seen(KEY, 5, "new"))

    assert not cache.gone(KEY, "old")
    assert version(cache) == 5


def test_a_list_tells_what_is_gone_and_what_changed(cache: Cache) -> None:
    kept, changed, lost, new = (map_key(name) for name in ("kept", "changed", "lost", "new"))
    for key in (kept, changed, lost):
        cache.put(MAPS, seen(key, 5, key.name))

    listed = [seen(kept, 5, "kept"), seen(changed, 8, "changed"), seen(new, 9, "new")]
    assert cache.replace(MAPS, listed, listed_at=10) == {changed, lost, new}
    assert set(cache.keys(MAPS)) == {kept, changed, new}
    assert not cache.put(MAPS, seen(lost, 9, "lost"))


def test_a_list_does_not_end_what_was_made_after_it(cache: Cache) -> None:
    cache.put(MAPS, seen(KEY, 11))

    assert cache.replace(MAPS, [], listed_at=10) == set()
    assert version(cache) == 11


def test_a_list_that_is_late_does_not_bring_back_what_was_deleted_since(cache: Cache) -> None:
    cache.put(MAPS, seen(KEY, 5))
    cache.remove(MAPS, seen(KEY, 12))

    assert cache.replace(MAPS, [seen(KEY, 5)], listed_at=10) == set()


def test_objects_are_found_by_whom_they_are_there_for_ordered_by_name(cache: Cache) -> None:
    for name in ("b", "a", "c"):
        cache.put(MAPS, seen(map_key(name), 5, name, owner="o1" if name != "c" else "o2"))

    assert [body["metadata"]["name"] for body in cache.owned(MAPS, "o1")] == ["a", "b"]


def test_an_object_that_changes_owner_is_found_at_the_new_one_only(cache: Cache) -> None:
    cache.put(MAPS, seen(KEY, 5, owner="o1"))
    cache.put(MAPS, seen(KEY, 6, owner="o2"))

    assert cache.owned(MAPS, "o1") == []
    assert len(cache.owned(MAPS, "o2")) == 1


def test_the_root_label_leads_further_than_the_owner(cache: Cache) -> None:
    cache.put(MAPS, seen(KEY, 5, owner="replicaset", labels={ROOT_UID: "service"}))

    assert len(cache.owned(MAPS, "service")) == 1
    assert cache.owned(MAPS, "replicaset") == []


def test_an_orphan_is_found_by_whom_it_was_made_for_or_when_that_is_gone(cache: Cache) -> None:
    for number in (1, 2):
        cache.put(TOYS, seen(toy_key(f"root-{number}"), 1, uid=f"root-{number}"))
    for number in (1, 2, 3):
        made_for = {ROOT_UID: f"root-{number}"}
        cache.put(MAPS, seen(map_key(f"map-{number}"), 1, uid=f"map-{number}", labels=made_for))

    def orphans() -> list[str]:
        return [metadata(body)["name"] for body in cache.orphans(MAPS, NAMESPACE, "root-1")]

    assert orphans() == ["map-1", "map-3"]
    cache.remove(MAPS, seen(map_key("map-3"), 2, uid="map-3"))
    cache.put(MAPS, seen(map_key("map-1"), 2, uid="map-1", owner="root-1", labels={ROOT_UID: "root-1"}))
    assert orphans() == []


def test_a_deleted_object_is_found_no_more(cache: Cache) -> None:
    cache.put(MAPS, seen(KEY, 5, owner="o1"))
    cache.remove(MAPS, seen(KEY, 6))

    assert cache.owned(MAPS, "o1") == []
    assert cache.named("a") is None
    assert not cache._by_owner


def test_what_no_planner_reads_is_not_kept_and_the_callers_body_stays_whole(cache: Cache) -> None:
    body = seen(KEY, 5)
    body["metadata"]["managedFields"] = [{"manager": "kubectl"}]
    body["metadata"]["annotations"] = {module.LAST_APPLIED: "{...}", "team": "growth"}
    cache.put(MAPS, body)

    held = cache.get(KEY)
    assert held is not None
    assert "managedFields" not in held["metadata"]
    assert held["metadata"]["annotations"] == {"team": "growth"}
    assert "managedFields" in body["metadata"]


def test_the_memory_of_what_ended_is_bounded(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED_ENDS", 10)
    for number in range(100):
        cache.remove(MAPS, seen(map_key(f"m{number}"), number, f"u{number}"))

    assert len(cache._buried) == 10


def lives(ends: list[int]) -> list[tuple[str, dict[str, Any]]]:
    """The true history of one name: objects that follow each other, each changed a few times and then deleted."""
    history: list[tuple[str, dict[str, Any]]] = []
    at = 0
    for number, changes in enumerate(ends):
        for _ in range(changes + 1):
            at += 1
            history.append(("put", seen(KEY, at, f"u{number}", owner=f"o{at % 2}")))
        at += 1
        history.append(("remove", seen(KEY, at, f"u{number}")))
    return history


@given(st.lists(st.integers(0, 3), min_size=1, max_size=3), st.booleans(), st.data())
@settings(max_examples=400)
def test_the_order_in_which_things_are_seen_does_not_matter(
    ends: list[int], ended: bool, data: st.DataObject
) -> None:
    history = lives(ends)[: None if ended else -1]
    cache = Cache()
    shown = data.draw(st.permutations(history + data.draw(st.lists(st.sampled_from(history), max_size=5))))
    for action, body in shown:
        if action == "put":
            cache.put(MAPS, body)
        else:
            cache.remove(MAPS, body)

    final: Body | None = None if ended else history[-1][1]
    assert cache.get(KEY) == final
    owned = {owner: cache.owned(MAPS, owner) for owner in ("o0", "o1")}
    expected = final and final["metadata"]["ownerReferences"][0]["uid"]
    assert owned == {owner: [final] if owner == expected else [] for owner in ("o0", "o1")}


class TestFacts:
    """What no watch tells lies under the key of the object that it is about."""

    def test_only_what_changes_is_news(self) -> None:
        cache = Cache()
        cache.put(TOYS, seen(toy_key(), 1))

        assert cache.note(toy_key(), "pods", 3)
        assert not cache.note(toy_key(), "pods", 3)
        assert cache.fact(toy_key(), "pods") == 3
        assert cache.noted("pods") == [toy_key()]

    def test_nothing_is_kept_of_an_object_that_is_not_there(self) -> None:
        cache = Cache()

        assert not cache.note(toy_key(), "pods", 3)
        assert cache.fact(toy_key(), "pods") is None

    def test_a_newer_body_keeps_them(self) -> None:
        cache = Cache()
        cache.put(TOYS, seen(toy_key(), 1))
        cache.note(toy_key(), "pods", 3)
        cache.put(TOYS, seen(toy_key(), 2))

        assert cache.fact(toy_key(), "pods") == 3

    def test_they_go_with_the_object(self) -> None:
        cache = Cache()
        cache.put(TOYS, seen(toy_key(), 1))
        cache.note(toy_key(), "pods", 3)
        cache.remove(TOYS, seen(toy_key(), 2))
        cache.put(TOYS, seen(toy_key(), 3, uid="another"))

        assert cache.fact(toy_key(), "pods") is None
        assert cache.noted("pods") == []

    def test_they_go_with_an_object_that_another_has_replaced(self) -> None:
        cache = Cache()
        cache.put(TOYS, seen(toy_key(), 1))
        cache.note(toy_key(), "pods", 3)
        cache.put(TOYS, seen(toy_key(), 2, uid="another"))

        assert cache.fact(toy_key(), "pods") is None

    def test_none_forgets(self) -> None:
        cache = Cache()
        cache.put(TOYS, seen(toy_key(), 1))
        cache.note(toy_key(), "pods", 3)

        assert cache.note(toy_key(), "pods", None)
        assert cache.noted("pods") == []


def test_who_wrote_an_annotation_of_ours_is_kept() -> None:
    fields: dict[str, Any] = {
        "f:metadata": {"f:annotations": {"f:modelwright.dev/rollout": {}, "f:other": {}}}
    }
    body = {"metadata": {"name": "x", "managedFields": [{"manager": "argocd", "fieldsV1": fields}, {}]}}

    assert slim(body) == {
        "metadata": {"name": "x", "annotationManagers": {"modelwright.dev/rollout": "argocd"}}
    }
