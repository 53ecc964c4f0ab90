"""Decides for each request whether another revision answers it. Pure but for a count; no clock, no chance."""

from __future__ import annotations

from collections.abc import Mapping
from zlib import crc32

from modelwright_serving.traffic.rule import EVERY, Rule

# Finer than a percent, so that few values of a header still spread evenly.
_BUCKETS = 10_000


class Share:
    """Picks an exact number out of every 100, evenly spread: of any 100 in a row exactly `weight`.

    Of 100 numbers n in a row, n * weight mod 100 falls below the weight for exactly `weight` of them: it takes the
    multiples of gcd(weight, 100), each equally often, and there are weight / gcd of them below the weight.
    """

    __slots__ = ("_count", "_weight")

    def __init__(self, weight: int) -> None:
        self._weight = weight
        self._count = 0

    def takes_next(self) -> bool:
        """Whether the next one is picked."""
        position = self._count * self._weight % EVERY
        self._count = (self._count + 1) % EVERY
        return position < self._weight


class Split:
    """Applies one rule to one request after the other."""

    __slots__ = ("_mirrored", "_rule", "_taken")

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._taken = Share(rule.weight)
        self._mirrored = Share(rule.mirror)

    def delegates(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether the other revision answers a request with these headers (names in lower case)."""
        rule = self._rule
        for match in rule.matches:
            if headers.get(match.header) == match.value:
                return True
        if rule.sticky is not None:
            value = headers.get(rule.sticky)
            if value is not None:
                return _bucket(rule.revision, value) < rule.weight * _BUCKETS // EVERY
        return self._taken.takes_next()

    def mirrors(self) -> bool:
        """Whether a request that was answered here is repeated there."""
        return self._mirrored.takes_next()


def _bucket(revision: str, value: bytes) -> int:
    """The same for a value throughout a rollout, so that nobody changes sides when the weight grows.

    Another one in the next rollout, so that it is not always the same people who meet a new version first.
    """
    return crc32(value, crc32(revision.encode())) % _BUCKETS
