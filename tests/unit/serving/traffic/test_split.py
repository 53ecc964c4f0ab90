"""Which revision answers a request: exactly the share of the rule in any hundred, and the same one for one user."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.serving.traffic.rollout import SECRET

from modelwright_serving.traffic.rule import Match, Rule
from modelwright_serving.traffic.split import Share, Split

WEIGHTS = st.integers(0, 100)
NOTHING: dict[bytes, bytes] = {}


def rule(**fields: object) -> Rule:
    return Rule(**{"revision": "abc", "host": "canary", "port": 8080, **fields})  # type: ignore[arg-type]


@given(weight=WEIGHTS, start=st.integers(0, 250))
def test_of_any_hundred_in_a_row_the_weight_is_taken(weight: int, start: int) -> None:
    share = Share(weight)
    taken = [share.takes_next() for _ in range(start + 100)]
    assert sum(taken[start:]) == weight


@given(weight=WEIGHTS)
def test_what_is_taken_is_spread_evenly(weight: int) -> None:
    share = Share(weight)
    taken = [share.takes_next() for _ in range(100)]
    for length in (10, 20, 50):
        expected = weight * length / 100
        for start in range(100 - length + 1):
            assert abs(sum(taken[start : start + length]) - expected) < 1


def test_the_first_request_of_a_small_share_is_taken_at_once() -> None:
    assert Share(1).takes_next()


def test_a_header_decides_before_the_weight_and_does_not_count() -> None:
    split = Split(rule(weight=50, matches=(Match(b"x-version", b"next"),)))
    assert all(split.delegates({b"x-version": b"next"}) for _ in range(10))
    assert sum(split.delegates({b"x-version": b"other"}) for _ in range(100)) == 50


@given(value=st.binary(min_size=1, max_size=40), weight=WEIGHTS, more=WEIGHTS)
def test_a_user_who_has_met_the_new_revision_stays_with_it_when_the_weight_grows(
    value: bytes, weight: int, more: int
) -> None:
    low, high = sorted((weight, more))
    headers = {b"x-user": value}
    before = Split(rule(weight=low, sticky=b"x-user", secret=SECRET)).delegates(headers)
    after = Split(rule(weight=high, sticky=b"x-user", secret=SECRET)).delegates(headers)
    assert after or not before


@pytest.mark.parametrize("weight", [1, 5, 50, 99])
def test_many_users_are_split_by_the_weight(weight: int) -> None:
    split = Split(rule(weight=weight, sticky=b"x-user", secret=SECRET))
    taken = sum(split.delegates({b"x-user": b"user-%d" % number}) for number in range(20_000))
    assert taken / 200 == pytest.approx(weight, abs=1.0)


def test_other_users_go_first_in_the_next_rollout() -> None:
    users = [{b"x-user": b"user-%d" % number} for number in range(2000)]
    first, second = (
        {index for index, user in enumerate(users) if Split(one).delegates(user)}
        for one in (rule(weight=10, sticky=b"x-user"), rule(weight=10, sticky=b"x-user", revision="def"))
    )
    assert len(first & second) < len(first) / 2


def test_without_the_secret_the_side_of_a_user_cannot_be_computed() -> None:
    users = [{b"x-user": b"user-%d" % number} for number in range(2000)]
    known, other = (
        [Split(rule(weight=50, sticky=b"x-user", secret=secret)).delegates(user) for user in users]
        for secret in (None, SECRET)
    )
    same = sum(one == two for one, two in zip(known, other, strict=True))
    assert same == pytest.approx(1000, abs=150)


def test_without_the_sticky_header_the_weight_decides() -> None:
    split = Split(rule(weight=20, sticky=b"x-user"))
    assert sum(split.delegates(NOTHING) for _ in range(100)) == 20


def test_the_mirrored_share_is_exact_too() -> None:
    split = Split(rule(mirror=30))
    assert sum(split.mirrors() for _ in range(100)) == 30
    assert not any(split.delegates(NOTHING) for _ in range(100))
