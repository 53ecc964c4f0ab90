"""Detects another operator that undoes this one's writes, so that this one pauses. Sends no requests.

Every child names the installation that wrote it last. A release that was moved or renamed finds the children of the
earlier release and takes them over. If this operator's writes are undone twice within `WINDOW`, two operators reconcile
one object, and each would write for ever. This one then reports it in the status and writes nothing else for a while.
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
    """The state of a conflict with another operator over one object and its children."""

    rival: str
    undone_at: float | None = None  # when a write of this operator was last undone
    pauses: int = 0  # how many times in a row this operator has paused
    until: float = 0.0  # when the present pause ends
    reported: bool = True  # whether the status that reports this pause is written

    def count(self, now: float) -> None:
        """Counts a write that was undone, and starts a pause from the second on. The first may be a takeover."""
        again = self.undone_at is not None and now - max(self.undone_at, self.until) < WINDOW
        self.undone_at = now
        if not again:
            self.pauses = 0
            return
        self.until = now + PAUSE.delay(self.pauses, jitter=1.0)
        self.pauses += 1
        self.reported = False


class Rivals:
    """The conflicts of this process with other operators, kept from gaining the Lease until losing it."""

    def __init__(self, operator: str) -> None:
        self.operator = operator
        self._contests: OrderedDict[Key, _Contest] = OrderedDict()
        self._children: OrderedDict[Key, None] = OrderedDict()
        self._statuses: OrderedDict[Key, object] = OrderedDict()

    def signed(self, manifest: Body) -> Body:
        """The manifest with the annotation that names this operator."""
        signed = {**annotations_of(manifest), OPERATOR: self.operator}
        return {**manifest, "metadata": {**metadata(manifest), "annotations": signed}}

    def author(self, child: Body) -> str | None:
        """The other operator that wrote a child last; None if this one did, or if the child names none."""
        name = annotations_of(child).get(OPERATOR)
        return None if name == self.operator else name

    def wrote(self, child: Key) -> None:
        """Records that this process created, changed or deleted a child."""
        _remember(self._children, child, None)

    def wrote_status(self, key: Key, status: object) -> None:
        """Records that this process wrote the status of an object."""
        _remember(self._statuses, key, status)
        if key in self._contests:
            self._contests[key].reported = True

    def refusal(
        self, key: Key, status: object, theirs: Mapping[Key, str], due: Collection[Key], now: float
    ) -> Refusal | None:
        """The refusal that stops all writes for an object at present; None if there is no conflict.

        `theirs`: the children that another operator wrote last, with its name. `due`: those of them to be changed.
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
        """Whether the status that reports the conflict is still to be written."""
        return not self._contests[key].reported

    def due(self, key: Key, now: float) -> float | None:
        """When this operator may write again; None if it does not pause."""
        contest = self._contests.get(key)
        return contest.until if contest is not None and now < contest.until else None

    def _is_undone(self, key: Key, status: object, due: Collection[Key]) -> bool:
        """Whether a write of this process was undone. Each write counts once."""
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
