"""Applies the traffic rule in force: delegates requests to another revision, or copies them there.

Independent of the protocols of callers. Whatever the other revision does, this one can still answer.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from hmac import compare_digest
from math import inf
from time import perf_counter

from modelwright_serving import logs
from modelwright_serving.memory import Memory
from modelwright_serving.traffic.answers import AnswerForm, CheckedAnswer, OwnAnswer
from modelwright_serving.traffic.client import Client, Failure, ReceivedResponse, Request
from modelwright_serving.traffic.counts import Outcome, TrafficCounts
from modelwright_serving.traffic.rule import Rule
from modelwright_serving.traffic.shadow import Shadow
from modelwright_serving.traffic.split import Split

_FAILURES = {
    Failure.UNREACHABLE: Outcome.UNREACHABLE,
    Failure.TIMEOUT: Outcome.TIMEOUT,
    Failure.BROKEN: Outcome.BROKEN,
    Failure.OVERLOADED: Outcome.OVERLOADED,
}
# Marks a delegated or copied request, which is not delegated or copied again.
MARK = b"modelwright-delegated"
# In answers during a rollout: which revision answered.
TRACK = b"modelwright-track"
CANARY = (TRACK, b"canary")
STABLE = (TRACK, b"stable")
# Headers of a caller that the other revision gets too, besides those that the rule lists.
_TRACES = (b"traceparent", b"tracestate", b"x-request-id")
# No control characters, so that no value can end its header.
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")

# Called with what this revision answered, once the caller has it.
Afterwards = Callable[[OwnAnswer], None]


def judge(received: ReceivedResponse | Failure) -> Outcome:
    """The outcome of a delegated request by its status alone. ANSWERED: the answer is still to be checked.
    REJECTED: whether this revision refuses the request too is still to be found out. Not for NO_MEMORY."""
    if isinstance(received, Failure):
        return _FAILURES[received]
    if received.status == 200:
        return Outcome.ANSWERED
    if 400 <= received.status < 500:
        return Outcome.REJECTED
    return Outcome.FAILED if 500 <= received.status < 600 else Outcome.BROKEN


class Delegation:
    """One rule, and the connections to the revision in it."""

    __slots__ = ("_head", "_mark", "_passed", "_reported", "client", "counts", "rule", "shadow", "split")

    def __init__(self, rule: Rule, client: Client, counts: TrafficCounts) -> None:
        self.rule = rule
        self.client = client
        self.counts = counts.revision(rule.revision)
        self.split = Split(rule)
        self.shadow = Shadow(client, rule.timeout, self.counts)
        self._mark = _mark(rule.secret)
        self._head = b" HTTP/1.1\r\nhost: %b:%d\r\n%b: %b\r\n" % (
            rule.host.encode(),
            rule.port,
            MARK,
            self._mark or b"1",
        )
        self._passed = (*_TRACES, *(name for name in rule.passed if name not in _TRACES))
        self._reported = False

    def delegates(self, headers: Mapping[bytes, bytes]) -> bool:
        """True if a request with these headers (names in lower case) is delegated."""
        return not self._is_marked(headers) and self.split.delegates(headers)

    def mirrors(self, headers: Mapping[bytes, bytes]) -> bool:
        """True if a request with these headers, which is answered here, is copied to the other revision."""
        return not self._is_marked(headers) and self.split.mirrors()

    def copying(self, request: Request, form: AnswerForm) -> Afterwards:
        """Copies `request` to the other revision once this one has answered it."""
        return lambda ours: self.shadow.copy(request, ours, form)

    def seconds(self, patience: float = inf) -> float:
        """How long the other revision has. `patience`: the seconds left of the caller's deadline."""
        return max(0.0, min(self.rule.timeout, self.rule.patience * patience))

    def request(
        self,
        path: bytes,
        content_type: bytes,
        body: bytes,
        headers: Mapping[bytes, bytes],
        *more: tuple[bytes, bytes],
    ) -> Request:
        """A caller's request for the other revision. `headers`: the caller's; the listed ones are passed on."""
        content = ((b"content-type", content_type), (b"content-length", b"%d" % len(body)))
        lines = [b"%b: %b\r\n" % header for header in (*content, *more, *self._passed_on(headers))]
        return Request(b"POST %b%b%b\r\n" % (path, self._head, b"".join(lines)), body)

    def report(self, problem: Exception) -> None:
        """Log why an answer is none, once for each rule."""
        if not self._reported:
            self._reported = True
            logs.event(
                "answer of another revision refused", revision=self.rule.revision, problem=str(problem)
            )

    def _is_marked(self, headers: Mapping[bytes, bytes]) -> bool:
        """True if a server of this model sent the request. Without a secret any value counts, as two servers whose
        rules name each other would pass a request to and fro."""
        found = headers.get(MARK)
        return found is not None and (self._mark is None or compare_digest(found, self._mark))

    def _passed_on(self, headers: Mapping[bytes, bytes]) -> Iterator[tuple[bytes, bytes]]:
        limits = self.client.limits
        left = limits.passed
        for name in self._passed:
            value = headers.get(name)
            if value is None or len(value) > min(limits.passed_value, left) or not _VALUE.fullmatch(value):
                continue
            left -= len(value)
            yield name, value


def _mark(secret: str | None) -> bytes | None:
    """The value that marks requests: computed from the secret, which it does not disclose."""
    if secret is None:
        return None
    return blake2b(key=secret.encode(), digest_size=16, person=b"delegated").hexdigest().encode()


class Attempt:
    """One delegated request. Either `pass_on` is called or, whatever went wrong, `answer_here`."""

    __slots__ = ("_answer_here", "_delegation", "_form", "_pass_on", "_sent", "_started")

    def __init__(
        self,
        delegation: Delegation,
        request: Request,
        seconds: float,
        form: AnswerForm,
        pass_on: Callable[[CheckedAnswer], None],
        answer_here: Callable[[Afterwards | None], None],
    ) -> None:
        self._delegation = delegation
        self._form = form
        self._pass_on = pass_on
        self._answer_here = answer_here
        self._started = perf_counter()
        self._sent = delegation.client.send(request, seconds, self._finish)

    def abandon(self) -> None:
        """The caller has gone."""
        self._sent.abandon()

    def _finish(self, received: ReceivedResponse | Failure) -> None:
        if received is Failure.NO_MEMORY:
            self._answer_here(None)
            return
        counts, outcome, answer = self._delegation.counts, judge(received), None
        if outcome is Outcome.REJECTED:
            self._answer_here(self._count_refusal)
            return
        if isinstance(received, ReceivedResponse) and outcome is Outcome.ANSWERED:
            answer = self._checked(received)
        if answer is None:
            counts.outcomes[Outcome.BROKEN if outcome is Outcome.ANSWERED else outcome] += 1
            self._answer_here(None)
        else:
            counts.outcomes[outcome] += 1
            counts.durations.observe(perf_counter() - self._started)
            self._pass_on(answer)

    def _checked(self, received: ReceivedResponse) -> CheckedAnswer | None:
        """The answer; None if the response is none."""
        try:
            return self._form.check(received)
        except Exception as problem:  # noqa: BLE001 - whatever the response breaks, its caller is answered here
            self._delegation.report(problem)
            return None

    def _count_refusal(self, ours: OwnAnswer) -> None:
        outcome = Outcome.INVALID if ours.is_refusal else Outcome.REJECTED
        self._delegation.counts.outcomes[outcome] += 1


class Traffic:
    """Holds the rule in force, and the delegation by it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, counts: TrafficCounts, memory: Memory) -> None:
        self._loop = loop
        self._counts = counts
        self._memory = memory
        self._listeners: list[Callable[[Delegation | None], None]] = []
        self._current: Delegation | None = None

    def subscribe(self, listener: Callable[[Delegation | None], None]) -> None:
        """Call `listener` with the present delegation, and with each later one."""
        self._listeners.append(listener)
        listener(self._current)

    def follow(self, rule: Rule | None) -> None:
        """Put a rule in force; requests under way end by the one before."""
        before = self._current
        self._current = None if rule is None else Delegation(rule, self._client(rule), self._counts)
        if before is not None and (self._current is None or self._current.client is not before.client):
            before.client.close()
        self._counts.weight = None if rule is None else (rule.revision, rule.weight)
        for listener in self._listeners:
            listener(self._current)

    def _client(self, rule: Rule) -> Client:
        """The present client if the rule has its address, so that connections are kept; else a new one."""
        before = self._current
        if before is not None and (before.rule.host, before.rule.port) == (rule.host, rule.port):
            return before.client
        return Client(self._loop, rule.host, rule.port, self._memory)
