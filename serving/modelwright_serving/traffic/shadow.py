"""Copies requests to another revision after their callers were answered, and compares both answers.

Never in a caller's way: copies are bounded in number and size, and what is beyond the bounds is counted.
"""

from __future__ import annotations

from collections.abc import Callable

from modelwright_serving.traffic.answers import AnswerForm, OwnAnswer
from modelwright_serving.traffic.client import Client, Failure, ReceivedResponse, Request
from modelwright_serving.traffic.compare import Uncompared, compare
from modelwright_serving.traffic.counts import CopyOutcome, RevisionCounts

_FAILURES = {
    Failure.UNREACHABLE: CopyOutcome.UNREACHABLE,
    Failure.TIMEOUT: CopyOutcome.TIMEOUT,
    Failure.BROKEN: CopyOutcome.FAILED,
}


class Shadow:
    """The copied requests of one rule. `seconds`: how long the other revision has for an answer."""

    def __init__(self, client: Client, seconds: Callable[[], float], counts: RevisionCounts) -> None:
        self._client = client
        self._seconds = seconds
        self._counts = counts
        self._waiting = 0

    def copy(self, request: Request, ours: OwnAnswer, form: AnswerForm) -> None:
        """Send a request that was answered here; compare the answers, which are of that form."""
        body = ours.body
        if body is None:
            return
        limits = self._client.limits
        if max(len(request), len(body)) > limits.copied:
            self._counts.drop(Uncompared.TOO_LARGE)
            return
        if self._waiting >= limits.copies:
            self._counts.drop(Uncompared.BUSY)
            return
        self._waiting += 1

        def finish(received: ReceivedResponse | Failure) -> None:
            self._waiting -= 1
            if received is Failure.OVERLOADED or received is Failure.NO_MEMORY:
                self._counts.drop(Uncompared.BUSY)
            else:
                self._counts.copied[self._outcome(received, body, ours.json_length, form)] += 1

        self._client.send(request, self._seconds(), finish)

    def _outcome(
        self, received: ReceivedResponse | Failure, body: bytes, json_length: int | None, form: AnswerForm
    ) -> CopyOutcome:
        if isinstance(received, Failure):
            return _FAILURES[received]
        if received.status != 200:
            return CopyOutcome.FAILED
        try:
            other = form.check(received)
            if len(other.body) > self._client.limits.copied:
                self._counts.uncompared[Uncompared.TOO_LARGE] += 1
                return CopyOutcome.INCOMPARABLE
            theirs = form.read(other.body, other.json_length)
        except Exception:  # noqa: BLE001 - an answer that breaks its reader is a failure of who wrote it
            return CopyOutcome.FAILED
        comparison = compare(form.read(body, json_length), theirs)
        self._counts.add(comparison)
        return CopyOutcome.INCOMPARABLE if comparison.is_empty else CopyOutcome.COMPARED
