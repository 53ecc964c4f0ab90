"""The rule in force with all that it takes to follow it; knows no protocol of the callers'."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from math import inf
from time import perf_counter

from modelwright_serving.oip.answer import Answer as OwnAnswer
from modelwright_serving.oip.request import InferRequest
from modelwright_serving.oip.signature import Signature
from modelwright_serving.traffic.client import Answer, Client, Failure
from modelwright_serving.traffic.compare import Outputs
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
# Marks what one server asks of another, which must never be passed on again.
HEADER = b"modelwright-delegated"
# Says in an answer, while a rollout runs, who has given it.
TRACK = b"modelwright-track"
CANARY = (TRACK, b"canary")
STABLE = (TRACK, b"stable")


def judge(told: Answer | Failure) -> Outcome:
    """What came of a request. REJECTED for a refusal, until this revision has been asked whether it agrees."""
    if isinstance(told, Failure):
        return _FAILURES[told]
    if 200 <= told.status < 300:
        return Outcome.ANSWERED
    return Outcome.REJECTED if 400 <= told.status < 500 else Outcome.FAILED


class Delegation:
    """One rule, and the way to the revision that it names."""

    __slots__ = ("_host", "client", "counts", "rule", "shadow", "split")

    def __init__(self, rule: Rule, client: Client, counts: TrafficCounts) -> None:
        self.rule = rule
        self.client = client
        self.counts = counts.revision(rule.revision)
        self.split = Split(rule)
        self.shadow = Shadow(client, rule.timeout, self.counts)
        self._host = f"{rule.host}:{rule.port}".encode()

    def delegates(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether the other revision answers a request with these headers (names in lower case)."""
        return HEADER not in headers and self.split.delegates(headers)

    def mirrors(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether the other revision is to repeat a request that is answered here."""
        return HEADER not in headers and self.split.mirrors()

    def mirror(self, request: bytes, signature: Signature, read: Callable[[Answer], Outputs]) -> Mirror:
        """Repeats `request` once this revision has answered it; `read` finds the outputs in the other answer."""

        def answered(decoded: InferRequest, answer: OwnAnswer) -> None:
            ours = {
                signature.outputs[position].name: answer.outputs.array(position, answer.start, answer.stop)
                for position, _ in decoded.wanted
            }
            self.shadow.repeat(request, ours, read)

        return answered

    def seconds(self, patience: float = inf) -> float:
        """How long the other revision has, when the caller waits for so long yet."""
        return min(self.rule.timeout, self.rule.patience * patience)

    def request(self, path: bytes, kind: bytes, body: bytes, *more: tuple[bytes, bytes]) -> bytes:
        """A caller's request as the other revision gets it."""
        head = b"".join([b"%b: %b\r\n" % header for header in more])
        return (
            b"POST %b HTTP/1.1\r\nhost: %b\r\n%b: 1\r\ncontent-type: %b\r\n%bcontent-length: %d\r\n\r\n%b"
            % (
                path,
                self._host,
                HEADER,
                kind,
                head,
                len(body),
                body,
            )
        )


# Called with a request that this revision has answered, and with its answer.
Mirror = Callable[[InferRequest, OwnAnswer], None]
# Told whether this revision has refused the request as well.
Agreed = Callable[[bool], None]


class Attempt:
    """One request at the other revision. Either `answered` is called or, whatever went wrong, `answer_here`."""

    __slots__ = ("_answer_here", "_answered", "_call", "_counts", "_started")

    def __init__(
        self,
        delegation: Delegation,
        request: bytes,
        seconds: float,
        answered: Callable[[Answer], None],
        answer_here: Callable[[Agreed | None], None],
    ) -> None:
        self._counts = delegation.counts
        self._answered = answered
        self._answer_here = answer_here
        self._started = perf_counter()
        self._call = delegation.client.send(request, seconds, self._told)

    def abandon(self) -> None:
        """The caller has gone."""
        self._call.abandon()

    def _told(self, told: Answer | Failure) -> None:
        outcome = judge(told)
        if outcome is Outcome.REJECTED:
            self._answer_here(self._agreed)
            return
        self._counts.outcomes[outcome] += 1
        if isinstance(told, Answer) and outcome is Outcome.ANSWERED:
            self._counts.durations.observe(perf_counter() - self._started)
            self._answered(told)
        else:
            self._answer_here(None)

    def _agreed(self, refused: bool) -> None:
        self._counts.outcomes[Outcome.INVALID if refused else Outcome.REJECTED] += 1


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
