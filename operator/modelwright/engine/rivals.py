"""Notices another operator that undoes what this one writes, so that one of them stands back. Sends nothing.

Every child names the installation that wrote it last. A release that has moved finds the children of the one before
and takes them over. Where its own writes are undone, and undone again within some minutes, two operators are at work
on one object, and each would write for ever: this one reports it in the status, and writes nothing else for a while.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeVar

from modelwright.engine.backoff import Backoff
from modelwright.engine.objects import Body, Key, annotations_of, metadata
from modelwright.engine.refusal import Refusal

# The installation that wrote a child last: namespace and name of its Lease.
OPERATOR = "modelwright.dev/operator"
WINDOW = 300.0
PAUSE = Backoff(base=60.0, factor=2.0, cap=300.0)
REMEMBERED = 10_000
T = TypeVar("T")


@dataclass
class _Contest:
    """What is known of another operator that writes one object and its children."""

    rival: str
    undone_at: float | None = None  # when a write of ours was undone last
    pauses: int = 0  # how often in a row this operator has stood back
    until: float = 0.0  # how long it does so now
    spoken: bool = True  # whether the status of this pause is written

    def count(self, now: float) -> None:
        """A write was undone. The first time may be a takeover."""
        again = self.undone_at is not None and now - max(self.undone_at, self.until) < WINDOW
        self.undone_at = now
        if not again:
            self.pauses = 0
            return
        self.until = now + PAUSE.delay(self.pauses, jitter=1.0)
        self.pauses += 1
        self.spoken = False


class Rivals:
    """The contests that a process is in, from its taking the lead to its losing it."""

    def __init__(self, operator: str) -> None:
        self.operator = operator
        self._contests: OrderedDict[Key, _Contest] = OrderedDict()
        self._children: OrderedDict[Key, None] = OrderedDict()
        self._statuses: OrderedDict[Key, object] = OrderedDict()

    def signed(self, manifest: Body) -> Body:
        """The manifest as this operator writes it."""
        signed = {**annotations_of(manifest), OPERATOR: self.operator}
        return {**manifest, "metadata": {**metadata(manifest), "annotations": signed}}

    def author(self, child: Body) -> str | None:
        """The other operator that wrote a child last; None if this one did, or if it is not signed."""
        name = annotations_of(child).get(OPERATOR)
        return None if name == self.operator else name

    def wrote(self, child: Key) -> None:
        """This process has made, changed or deleted a child."""
        _remember(self._children, child, None)

    def wrote_status(self, key: Key, status: object) -> None:
        """This process has written the status of an object."""
        _remember(self._statuses, key, status)
        if key in self._contests:
            self._contests[key].spoken = True

    def refusal(
        self, key: Key, status: object, theirs: Mapping[Key, str], due: Collection[Key], now: float
    ) -> Refusal | None:
        """Why nothing is to be written for an object at present; None where all is well.

        `theirs`: the children that another operator wrote last; `due`: those of them that are to be changed.
        """
        contest = self._contests.get(key)
        if theirs:
            contest = contest or _Contest("")
            contest.rival = next(iter(theirs.values()))
            _remember(self._contests, key, contest)
        if contest is None:
            return None
        if now >= contest.until and self._is_undone(key, status, due):
            contest.count(now)
        if now >= contest.until:
            return None
        return Refusal(key, "apply", "AnotherOperator", f"another operator ({contest.rival}) writes it too")

    def may_speak(self, key: Key) -> bool:
        """Whether the status that reports it is still to be written."""
        return not self._contests[key].spoken

    def due(self, key: Key, now: float) -> float | None:
        """When this operator is to write again; None where it does not stand back."""
        contest = self._contests.get(key)
        return contest.until if contest is not None and now < contest.until else None

    def _is_undone(self, key: Key, status: object, due: Collection[Key]) -> bool:
        """Whether something is not as this process wrote it. Each write can be undone once."""
        children = [child for child in due if child in self._children]
        for child in children:
            del self._children[child]
        written = self._statuses.get(key, status)
        if key in self._statuses:
            self._statuses[key] = status
        return bool(children) or written != status


def _remember(memory: OrderedDict[Key, T], key: Key, value: T) -> None:
    memory[key] = value
    memory.move_to_end(key)
    while len(memory) > REMEMBERED:
        memory.popitem(last=False)
