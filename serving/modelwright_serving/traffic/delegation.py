"""The rule in force with all that it takes to follow it; knows no protocol of the callers'."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from modelwright_serving.traffic.client import Answer, Client, Failure
from modelwright_serving.traffic.counts import Outcome, TrafficCounts
from modelwright_serving.traffic.rule import Rule
from modelwright_serving.traffic.split import Split

_FAILURES = {
    Failure.UNREACHABLE: Outcome.UNREACHABLE,
    Failure.TIMEOUT: Outcome.TIMEOUT,
    Failure.BROKEN: Outcome.BROKEN,
    Failure.OVERLOADED: Outcome.OVERLOADED,
}
# Marks what one server asks of another, which must never be passed on again.
HEADER = b"modelwright-delegated"


def judge(told: Answer | Failure) -> Outcome:
    """What came of a request. REJECTED for a refusal, until this revision has been asked whether it agrees."""
    if isinstance(told, Failure):
        return _FAILURES[told]
    if 200 <= told.status < 300:
        return Outcome.ANSWERED
    return Outcome.REJECTED if 400 <= told.status < 500 else Outcome.FAILED


class Delegation:
    """One rule, and the way to the revision that it names."""

    __slots__ = ("client", "counts", "host", "rule", "split")

    def __init__(self, rule: Rule, client: Client, counts: TrafficCounts) -> None:
        self.rule = rule
        self.client = client
        self.counts = counts.revision(rule.revision)
        self.split = Split(rule)
        self.host = f"{rule.host}:{rule.port}".encode()


class Traffic:
    """Follows one rule after the other."""

    def __init__(self, loop: asyncio.AbstractEventLoop, counts: TrafficCounts) -> None:
        self._loop = loop
        self._counts = counts
        self._listeners: list[Callable[[Delegation | None], None]] = []
        self._current: Delegation | None = None

    def tell(self, listener: Callable[[Delegation | None], None]) -> None:
        """Whoever answers requests is told of the present rule and of every other one."""
        self._listeners.append(listener)
        listener(self._current)

    def follow(self, rule: Rule | None) -> None:
        """From now on this rule holds; requests under way end by the one before."""
        before = self._current
        self._current = None if rule is None else Delegation(rule, self._client(rule), self._counts)
        if before is not None and (self._current is None or self._current.client is not before.client):
            before.client.close()
        self._counts.weight = None if rule is None else (rule.revision, rule.weight)
        for listener in self._listeners:
            listener(self._current)

    def _client(self, rule: Rule) -> Client:
        """The connections go on while they lead to the same place."""
        before = self._current
        if before is not None and (before.rule.host, before.rule.port) == (rule.host, rule.port):
            return before.client
        return Client(self._loop, rule.host, rule.port)
