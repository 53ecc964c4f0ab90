"""Applies the traffic rule in force: delegates requests to another revision, or copies them there.

Independent of the protocols of callers. Whatever the other revision does, this one can still answer.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from hmac import compare_digest

from modelwright_serving import logs
from modelwright_serving.memory import Memory
from modelwright_serving.oip.signature import PREDICTION_TOKENS
from modelwright_serving.traffic.answers import AnswerForm, OwnAnswer
from modelwright_serving.traffic.client import Client, Request
from modelwright_serving.traffic.counts import TrafficCounts
from modelwright_serving.traffic.rule import Rule
from modelwright_serving.traffic.shadow import Shadow
from modelwright_serving.traffic.split import Split

# Marks a delegated or copied request, which is not delegated or copied again.
MARK = b"modelwright-delegated"
# Beside the mark: the request is a copy, whose answer is only compared.
COPY = b"modelwright-copy"
# In answers during a rollout: which revision answered.
TRACK = b"modelwright-track"
CANARY = (TRACK, b"canary")
STABLE = (TRACK, b"stable")
RETIRED = (TRACK, b"retired")
# Headers of a caller that the other revision gets too, besides those that the rule lists.
_TRACES = (b"traceparent", b"tracestate", b"x-request-id", PREDICTION_TOKENS)
# No control characters, so that no value can end its header.
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")

# Called with what this revision answered, once the caller has it.
Afterwards = Callable[[OwnAnswer], None]


class Delegation:
    """One rule, and the connections to the revision in it."""

    __slots__ = (
        "_default_seconds",
        "_head",
        "_mark",
        "_passed",
        "_reported",
        "client",
        "counts",
        "hurried",
        "rule",
        "shadow",
        "split",
        "track",
    )

    def __init__(
        self, rule: Rule, client: Client, counts: TrafficCounts, default_seconds: Callable[[], float]
    ) -> None:
        self.rule = rule
        self.client = client
        self.track = RETIRED if rule.refusals else CANARY
        self._default_seconds = default_seconds
        self.counts = counts.revision(rule.revision)
        self.split = Split(rule)
        self.shadow = Shadow(client, self.seconds, self.counts)
        self._mark = _mark(rule.secret)
        self._head = b" HTTP/1.1\r\nhost: %b:%d\r\n%b: %b\r\n" % (
            rule.host.encode(),
            rule.port,
            MARK,
            self._mark or b"1",
        )
        self._passed = (*_TRACES, *(name for name in rule.passed if name not in _TRACES))
        self._reported = False
        self.hurried = (
            0  # requests that the other revision is at work on, and whose callers could not wait for it
        )

    def delegates(self, headers: Mapping[bytes, bytes]) -> bool:
        """True if a request with these headers (names in lower case) is delegated."""
        return not self._is_marked(headers) and self.split.delegates(headers)

    def mirrors(self, headers: Mapping[bytes, bytes]) -> bool:
        """True if a request with these headers, which is answered here, is copied to the other revision."""
        return not self._is_marked(headers) and self.split.mirrors()

    def about_refusals(self, headers: Mapping[bytes, bytes]) -> Delegation | None:
        """This delegation, if the other revision is asked about a request with these headers that this one refuses."""
        return self if self.rule.refusals and not self._is_marked(headers) else None

    def copying(self, request: Request, form: AnswerForm) -> Afterwards:
        """Copies `request` to the other revision once this one has answered it."""
        # The head ends with an empty line, which stays its last.
        copied = Request(b"%b%b: 1\r\n\r\n" % (request.head[:-2], COPY), request.body)
        return lambda ours: self.shadow.copy(copied, ours, form)

    def seconds(self) -> float:
        """How long the other revision has for an answer."""
        timeout = self.rule.timeout
        return self._default_seconds() if timeout is None else timeout

    def patience(self, left: float) -> float:
        """How many of the seconds that are left of a caller's deadline the other revision may take."""
        return self.rule.patience * left

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


def is_unseen(headers: Mapping[bytes, bytes], *, succeeded: bool) -> bool:
    """True if no caller gets the answer to a request with these headers: another revision has sent it, and only
    compares the answer, or answers itself instead of passing on a failure.

    The mark is not checked: the revision that has no rule does not know it. Who forges it hides failures of requests of
    their own.
    """
    return MARK in headers and (not succeeded or COPY in headers)


def _mark(secret: str | None) -> bytes | None:
    """The value that marks requests: computed from the secret, which it does not disclose."""
    if secret is None:
        return None
    return blake2b(key=secret.encode(), digest_size=16, person=b"delegated").hexdigest().encode()


class Traffic:
    """Holds the rule in force, and the delegation by it. `default_seconds`: how long the other revision has for an
    answer if the rule does not say."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        counts: TrafficCounts,
        memory: Memory,
        default_seconds: Callable[[], float],
    ) -> None:
        self._loop = loop
        self._counts = counts
        self._default_seconds = default_seconds
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
        self._current = (
            None
            if rule is None
            else Delegation(rule, self._client(rule), self._counts, self._default_seconds)
        )
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
