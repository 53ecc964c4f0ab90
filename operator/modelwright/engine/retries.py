"""When a refused write is tried again: what refused it can change at any time, and no watch shows it.

Holds no clock and sends nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from modelwright.engine.backoff import Backoff
from modelwright.engine.objects import Key
from modelwright.engine.refusal import Action, Refusal

REMEMBERED = 10_000
# What others can lift is tried again within a minute. What breaks a rule of its kind waits longer and longer.
LIFTED = Backoff(base=20.0, factor=1.5, cap=60.0)
INVALID = Backoff(base=30.0, factor=2.0, cap=600.0)


@dataclass(frozen=True)
class Try:
    """The last try of one write: what was sent, why it was refused, how often in a row, and when it is due again."""

    content: str
    refusal: Refusal
    failures: int
    due: float


class Retries:
    """The writes that were refused, by object and action."""

    def __init__(self) -> None:
        self._tries: OrderedDict[tuple[Key, Action], Try] = OrderedDict()

    def held(self, key: Key, action: Action, content: str, now: float) -> Refusal | None:
        """The refusal that still stands for this write; None where it is to be sent."""
        last = self._tries.get((key, action))
        return last.refusal if last is not None and last.content == content and now < last.due else None

    def refused(self, refusal: Refusal, content: str, now: float, jitter: float) -> None:
        """The write was sent and refused."""
        last = self._tries.pop((refusal.object, refusal.action), None)
        failures = last.failures + 1 if last is not None and last.content == content else 0
        backoff = INVALID if refusal.kind == "Invalid" else LIFTED
        due = now + backoff.delay(failures, jitter)
        self._tries[refusal.object, refusal.action] = Try(content, refusal, failures, due)
        while len(self._tries) > REMEMBERED:
            self._tries.popitem(last=False)

    def accepted(self, key: Key, action: Action) -> None:
        """The write went through, or is not needed."""
        self._tries.pop((key, action), None)

    def due(self, refusal: Refusal) -> float | None:
        """When the write is to be tried again; None if nothing is remembered of it."""
        last = self._tries.get((refusal.object, refusal.action))
        return None if last is None else last.due
