"""One delegated request: who answers its caller, and how far the other revision is to blame if it does not.

Failures are judged in pairs. What both revisions fail on, and what this one needs longer for than the other one had, is
the request's doing or the machine's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter

from modelwright_serving.traffic.answers import AnswerForm, CheckedAnswer, OwnAnswer, OwnError
from modelwright_serving.traffic.client import Failure, ReceivedResponse, Request
from modelwright_serving.traffic.counts import Outcome, RevisionCounts
from modelwright_serving.traffic.delegation import Afterwards, Delegation

_FAILURES = {
    Failure.UNREACHABLE: Outcome.UNREACHABLE,
    Failure.TIMEOUT: Outcome.TIMEOUT,
    Failure.BROKEN: Outcome.BROKEN,
    Failure.OVERLOADED: Outcome.OVERLOADED,
}
_UNAVAILABLE = 503


def judge(received: ReceivedResponse | Failure) -> Outcome:
    """The outcome of a delegated request by its status alone. ANSWERED: the answer is still to be checked. All others
    depend on what this revision makes of the request (`paired`). Not for NO_MEMORY."""
    if isinstance(received, Failure):
        return _FAILURES[received]
    if received.status == 200:
        return Outcome.ANSWERED
    if 400 <= received.status < 500:
        return Outcome.REJECTED
    if received.status == _UNAVAILABLE:
        return Outcome.OVERLOADED
    return Outcome.FAILED if 500 <= received.status < 600 else Outcome.BROKEN


class Attempt:
    """One delegated request. Either `pass_on` is called or, whatever went wrong, `answer_here`.

    `patience`: seconds that the caller can wait for the other revision. Where they end before the rule's time, this
    revision answers then, and the other one is still judged by the rule's time. Otherwise callers in a hurry would
    count against it, or, if their requests did not count, never notice that it hangs.
    """

    __slots__ = (
        "_answer_here",
        "_delegation",
        "_form",
        "_pair",
        "_pass_on",
        "_patience",
        "_seconds",
        "_sent",
        "_started",
    )

    def __init__(
        self,
        delegation: Delegation,
        request: Request,
        patience: float,
        form: AnswerForm,
        pass_on: Callable[[CheckedAnswer], None],
        answer_here: Callable[[Afterwards | None], None],
    ) -> None:
        self._delegation = delegation
        self._form = form
        self._pass_on = pass_on
        self._answer_here = answer_here
        self._started = perf_counter()
        self._seconds = delegation.seconds()
        self._pair: _Pair | None = None  # once the caller waits for this revision only
        self._patience: asyncio.TimerHandle | None = None
        if patience < self._seconds:
            self._patience = delegation.client.loop.call_later(max(0.0, patience), self._hurry)
        self._sent = delegation.client.send(request, self._seconds, self._finish)

    def abandon(self) -> None:
        """The caller has gone."""
        if self._patience is not None:
            self._patience.cancel()
        self._sent.abandon()

    def _hurry(self) -> None:
        """The caller can wait no longer."""
        delegation = self._delegation
        if delegation.hurried >= delegation.client.limits.hurried:
            self._sent.abandon()
            delegation.counts.outcomes[Outcome.HURRIED] += 1
            self._answer_here(None)
        else:
            delegation.hurried += 1
            self._pair = _Pair(delegation.counts, self._seconds)
            self._answer_here(self._pair.this_came_to)

    def _finish(self, received: ReceivedResponse | Failure) -> None:
        if self._pair is None:
            if self._patience is not None:
                self._patience.cancel()
            self._answer(received)
        else:
            self._delegation.hurried -= 1
            if received is not Failure.NO_MEMORY:
                outcome, answer = self._judged(received)
                self._pair.other_came_to(outcome if answer is None else Outcome.HURRIED)

    def _answer(self, received: ReceivedResponse | Failure) -> None:
        """Answer the caller, who waits."""
        if received is Failure.NO_MEMORY:
            self._answer_here(None)
            return
        outcome, answer = self._judged(received)
        counts = self._delegation.counts
        if answer is None:
            pair = _Pair(counts, self._seconds)
            pair.other_came_to(outcome)
            self._answer_here(pair.this_came_to)
        else:
            counts.outcomes[outcome] += 1
            counts.durations.observe(perf_counter() - self._started)
            self._pass_on(answer)

    def _judged(self, received: ReceivedResponse | Failure) -> tuple[Outcome, CheckedAnswer | None]:
        """The outcome, and the answer if there is one."""
        outcome = judge(received)
        if outcome is not Outcome.ANSWERED or not isinstance(received, ReceivedResponse):
            return outcome, None
        try:
            return outcome, self._form.check(received)
        except Exception as problem:  # noqa: BLE001 - whatever the response breaks, its caller is answered here
            self._delegation.report(problem)
            return Outcome.BROKEN, None


class _Pair:
    """A request that both revisions got, as the other one was of no help to the caller. It is counted when it is known
    what came of it here and there; not if the caller leaves before this revision's answer.

    `seconds`: how long the other revision has.
    """

    __slots__ = ("_counts", "_error", "_is_answered", "_is_slow", "_other", "_seconds", "_since")

    def __init__(self, counts: RevisionCounts, seconds: float) -> None:
        self._counts = counts
        self._seconds = seconds
        self._since = perf_counter()
        self._other: Outcome | None = None
        self._is_answered = False  # by this revision, perhaps with an error
        self._error: OwnError | None = None
        self._is_slow = False

    def other_came_to(self, outcome: Outcome) -> None:
        """The other revision is done with the request."""
        self._other = outcome
        self._count()

    def this_came_to(self, answer: OwnAnswer) -> None:
        """This revision is done with it."""
        self._is_answered, self._error = True, answer.error
        self._is_slow = perf_counter() - self._since >= self._seconds
        self._count()

    def _count(self) -> None:
        if self._other is not None and self._is_answered:
            self._counts.outcomes[paired(self._other, self._error, is_slow=self._is_slow)] += 1


def paired(other: Outcome, this: OwnError | None, *, is_slow: bool) -> Outcome:
    """The outcome of a request that the other revision did not answer in time, by what this one made of it.

    `this`: None for an answer. `is_slow`: it took longer than the other revision had.
    """
    if other is Outcome.HURRIED:
        return other
    if this is OwnError.FAILED or (other is Outcome.TIMEOUT and is_slow):
        return Outcome.FAILED_ALIKE
    if this is OwnError.REFUSED and other is Outcome.REJECTED:
        return Outcome.INVALID
    return other
