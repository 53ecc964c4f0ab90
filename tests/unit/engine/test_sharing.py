"""Bodies share their texts, and nothing else."""

from __future__ import annotations

import json

import pytest
from fakes.objects import MAPS, map_key, seen

from modelwright.engine import sharing
from modelwright.engine.cache import Cache
from modelwright.engine.sharing import LONGEST, Texts

BODY = {"metadata": {"labels": {"team": "growth"}}, "list": [1, None, True, 2.5, {"name": "server"}]}


def parsed() -> dict[str, object]:
    """A body as a response brings it: with texts of its own."""
    body: dict[str, object] = json.loads(json.dumps(BODY))
    return body


def test_a_shared_body_is_equal_and_a_copy() -> None:
    body = parsed()
    shared = Texts().share(body)

    assert shared == body
    assert shared["metadata"] is not body["metadata"]


def test_equal_texts_of_two_bodies_are_one_and_their_maps_are_two() -> None:
    texts = Texts()
    one, other = texts.share(parsed()), texts.share(parsed())

    assert one["metadata"]["labels"]["team"] is other["metadata"]["labels"]["team"]
    assert next(iter(one["metadata"]["labels"])) is next(iter(other["metadata"]["labels"]))
    assert one["metadata"] is not other["metadata"]


def test_long_texts_are_not_remembered() -> None:
    texts = Texts()
    texts.share({"data": "x" * (LONGEST + 1)})

    assert not texts._known


def test_the_memory_of_texts_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "REMEMBERED", 10)
    texts = Texts()
    for number in range(100):
        texts.share({"name": f"name-{number}"})

    assert len(texts._known) <= 11


def test_the_cache_shares_the_texts_of_its_bodies() -> None:
    cache = Cache()
    for name in ("a", "b"):
        body = seen(map_key(name), 1, name, labels=json.loads('{"team": "growth"}'))
        cache.put(MAPS, body)
    held = [cache.get(map_key(name)) or {} for name in ("a", "b")]

    assert held[0]["metadata"]["labels"]["team"] is held[1]["metadata"]["labels"]["team"]
