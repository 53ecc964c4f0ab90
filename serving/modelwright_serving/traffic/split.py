"""Decides for each request whether it is delegated to another revision. Deterministic: a count, or a keyed hash."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

from modelwright_serving.traffic.rule import EVERY, Rule

# Finer than a percent, so that few values of a header still spread evenly.
_BUCKETS = 10_000


class Share:
    """Takes an exact number out of every 100, evenly spread: of any 100 in a row exactly `weight`.

    Of 100 numbers n in a row, n * weight mod 100 falls below the weight for exactly `weight` of them: it takes the
    multiples of gcd(weight, 100), each equally often, and there are weight / gcd of them below the weight.
    """

    __slots__ = ("_count", "_weight")

    def __init__(self, weight: int) -> None:
        self._weight = weight
        self._count = 0

    def takes_next(self) -> bool:
        """True if the next one is taken."""
        position = self._count * self._weight % EVERY
        self._count = (self._count + 1) % EVERY
        return position < self._weight


class Split:
    """Applies one rule to one request after the other."""

    __slots__ = ("_hash", "_mirrored", "_rule", "_taken")

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._taken = Share(rule.weight)
        self._mirrored = Share(rule.mirror)
        # Without the secret, a caller could compute which values of the sticky header lead to the other revision.
        key = (rule.secret or "").encode()
        self._hash = blake2b(rule.revision.encode(), digest_size=8, key=key, person=b"sticky")

    def delegates(self, headers: Mapping[bytes, bytes]) -> bool:
        """True if a request with these headers (names in lower case) is delegated."""
        rule = self._rule
        for match in rule.matches:
            if headers.get(match.header) == match.value:
                return True
        if rule.sticky is not None:
            value = headers.get(rule.sticky)
            if value is not None:
                return self._bucket(value) < rule.weight * _BUCKETS // EVERY
        return self._taken.takes_next()

    def mirrors(self) -> bool:
        """True if a request that is answered here is copied to the other revision."""
        return self._mirrored.takes_next()

    def _bucket(self, value: bytes) -> int:
        """The same for a value throughout a rollout, so that no user changes sides when the weight grows.

        Different in the next rollout, so that it is not always the same users who meet a new version first.
        """
        found = self._hash.copy()
        found.update(value)
        return int.from_bytes(found.digest()) % _BUCKETS
