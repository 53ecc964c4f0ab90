"""Who meets a canary: exactly its share of the requests, whoever has the header, and each user always the same one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.kubectl import Kubectl
from support.models import valid_model
from support.rollouts import FOR_EVER, GOOD, MARKS, NAME, REQUEST, publish, serve, service, waits_for_weight
from support.tracks import Asker

pytestmark = MARKS

WEIGHT = 30
TRAFFIC = {
    "headers": [{"name": "X-Version", "value": "next"}],
    "sticky": "X-User",
    # However busy the machine is: an answer that comes late would be the stable revision's.
    "timeoutSeconds": 30,
}


@pytest.fixture(scope="module")
def split(shared: Kubectl) -> str:
    """One stable pod and one canary pod, which has 30 %; gives the Service's address."""
    publish(shared, one=valid_model(), two=GOOD["two"])
    address = serve(shared, replicas=1)
    shared.apply(service("two", steps=[{"weight": WEIGHT, "holdSeconds": FOR_EVER}], traffic=TRAFFIC))
    waits_for_weight(shared, WEIGHT)
    return address


@pytest.fixture
def asker(split: str) -> Iterator[Asker]:
    """Asks, and has had answers of the canary."""
    with Asker(split, NAME, REQUEST) as asker:
        for _ in range(3):
            while asker.ask().track != "canary":
                pass
        yield asker


def test_of_any_hundred_requests_in_a_row_exactly_the_weight_is_answered_by_the_canary(asker: Asker) -> None:
    tracks = asker.tracks(300)
    shares = {tracks[start : start + 100].count("canary") for start in range(201)}
    assert (shares, set(tracks)) == ({WEIGHT}, {"canary", "stable"})


def test_who_has_the_header_always_meets_the_canary(asker: Asker) -> None:
    assert set(asker.tracks(60, {"X-Version": "next"})) == {"canary"}
    assert asker.tracks(100, {"X-Version": "other"}).count("canary") == WEIGHT


def test_a_user_always_meets_the_same_revision(asker: Asker) -> None:
    met = {user: set(asker.tracks(6, {"X-User": f"user-{user}"})) for user in range(40)}
    assert {len(tracks) for tracks in met.values()} == {1}, met
    assert set().union(*met.values()) == {"canary", "stable"}


def test_each_answer_names_the_version_that_gave_it(asker: Asker) -> None:
    given = {(answer.track, answer.version) for answer in (asker.ask() for _ in range(100))}
    assert given == {("stable", "one"), ("canary", "two")}
