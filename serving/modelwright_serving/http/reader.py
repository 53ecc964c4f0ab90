"""Bytes to exchanges: the parser's callbacks, and the bounds on what one request may send.

Answers, their order and the connection's end are left to the connection, which is called for every event.
"""

from enum import Enum, auto
from typing import Protocol

import httptools

from modelwright_serving.http import responses
from modelwright_serving.http.encoding import IDENTITY, Unpacking
from modelwright_serving.http.exchange import Application, Exchange, Owner
from modelwright_serving.http.head import Head, Meaning
from modelwright_serving.http.responses import Response
from modelwright_serving.limits import Limits
from modelwright_serving.memory import REFUSAL, Account


class Phase(Enum):
    """What a connection waits for; each has its time limit."""

    IDLE = auto()
    HEAD = auto()
    BODY = auto()
    ANSWER = auto()
    LINGER = auto()


_SMALL_CHUNKS = "the body's chunks are too small; send larger ones"


class Listener(Owner, Protocol):
    """The connection, as the reader sees it."""

    @property
    def phase(self) -> Phase: ...

    def enter(self, phase: Phase) -> None: ...

    def opened(self, exchange: Exchange) -> None:
        """A request has begun; it has its place in the order of answers from now on."""
        ...

    def body_wanted(self, exchange: Exchange) -> None:
        """The caller waits to be asked for the body."""
        ...

    def complete(self, exchange: Exchange) -> None:
        """The request is there in full."""
        ...

    def refused(self, exchange: Exchange | None, response: Response) -> None:
        """Nothing more can be read, of `exchange` if one has begun: send this as the last answer."""
        ...


class Refusal:
    """The endpoint of a request that is refused by its head alone: its body is read and dropped."""

    takes_body = False

    def __init__(self, response: Response) -> None:
        self._response = response

    def handle(self, exchange: Exchange) -> None:
        exchange.respond(self._response)


class _StoppedError(Exception):
    """Raised in a callback of the parser, so that it reads no more."""


class RequestReader:
    """Reads the requests of one connection until it is stopped, or stops at what it cannot read."""

    def __init__(
        self, listener: Listener, application: Application, limits: Limits, account: Account
    ) -> None:
        self._listener = listener
        self._application = application
        self._limits = limits
        self._account = account
        self._parser = httptools.HttpRequestParser(self)
        self._head = Head()
        self._body: bytes | bytearray = b""
        self._received = 0
        self._framing = 0
        self._chunks = 0
        self._upgrade = False
        self.unfinished: Exchange | None = None
        self._last: Exchange | None = None
        self._completed = 0
        self.stopped = False

    def feed(self, data: bytes) -> None:
        """Read on. A defect of ours in a callback is raised: the event loop logs it and drops the connection."""
        if self.stopped:
            return
        phase, completed, received = self._listener.phase, self._completed, self._received
        between = phase is Phase.ANSWER or phase is Phase.IDLE  # no part of a request has been read
        if between and self._read_known(data):
            return
        self._parse(data)
        if between:
            if self._completed == completed + 1 and self._listener.phase in {Phase.ANSWER, Phase.IDLE}:
                self._remember(data)
        elif self._completed == completed and self._listener.phase is phase:
            self._count(phase, len(data), self._received - received)

    def _parse(self, data: bytes) -> None:
        behind_upgrade: bytes | None = None
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            behind_upgrade = data[upgrade.args[0] :]
        except httptools.HttpParserCallbackError as error:
            if not isinstance(error.__context__, _StoppedError):
                raise
        except httptools.HttpParserError as error:
            self.refuse(400, f"the request is not valid HTTP/1.1: {error}")
        # Not while an exception is handled: that would become the context of one that is raised here.
        if behind_upgrade is not None:
            self._pass_over_upgrade(behind_upgrade)

    def _count(self, phase: Phase, size: int, received: int) -> None:
        """All of what came, `size` bytes, belongs to one head, or to one body of which it holds `received` bytes."""
        if phase is Phase.HEAD:
            self._head.unparsed += size
            self._check_head()
        elif phase is Phase.BODY:
            self._framing += size - received
            if self._framing > self._limits.framing + self._received:
                self.refuse(400, _SMALL_CHUNKS)

    def _read_known(self, data: bytes) -> bool:
        """Take a whole request whose head is known, byte by byte, without parsing it again."""
        end = data.find(b"\r\n\r\n") + 4
        known = self._application.known_heads.find(data[:end])
        if known is None or len(data) - end != known.body_length or not self._account.fits(known.body_length):
            return False  # the parser's way refuses what there is no memory for
        self._account.charge(known.body_length)
        exchange = Exchange(self._listener, known.endpoint, known.method)
        exchange.http10 = known.http10
        exchange.header_length = known.header_length
        exchange.headers = known.headers
        exchange.echo = known.echo
        exchange.body = data[end:]
        self._listener.opened(exchange)
        self._listener.complete(exchange)
        return True

    def _remember(self, data: bytes) -> None:
        """`data` was one request, from its first byte to its last: its head means the same next time."""
        exchange, head = self._last, self._head
        if exchange is None or self.stopped or not (exchange.endpoint.takes_body and head.is_plain):
            return
        end = data.find(b"\r\n\r\n") + 4
        if len(data) - end == head.body_length and not data.startswith((b"\r", b"\n")):
            self._application.known_heads.learn(
                data[:end],
                Meaning(
                    exchange.endpoint,
                    exchange.method,
                    exchange.http10,
                    head.body_length,
                    exchange.header_length,
                    head.headers,
                    exchange.echo,
                ),
            )

    def refuse(self, status: int, message: str) -> None:
        if not self.stopped:
            self._listener.refused(self.stop(), responses.error(status, message, close=True))

    def _refuse_now(self, status: int, message: str) -> None:
        """Refuse what a callback of the parser finds: what follows in the same bytes is not looked at."""
        self.refuse(status, message)
        raise _StoppedError

    def stop(self) -> Exchange | None:
        """Read no more; gives the request that will not be finished, whose bytes are forgotten."""
        self.stopped = True
        self._account.give(len(self._body))
        self._body = b""
        unfinished, self.unfinished = self.unfinished, None
        return unfinished

    # --- called by the parser ----------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._head = Head()
        if not self.stopped:
            self._listener.enter(Phase.HEAD)

    def on_url(self, part: bytes) -> None:
        self._head.target += part
        if len(self._head.target) > self._limits.target:
            self._refuse_now(414, f"the request's target is longer than {self._limits.target} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.unfinished is None:
            self._head.add(name, value)
        else:  # a trailer: it says nothing about the body before it
            self._head.count(name, value)
        if self._head.size > self._limits.head or self._head.fields > self._limits.header_fields:
            self._check_head()
            raise _StoppedError

    def on_headers_complete(self) -> None:
        if self.stopped:
            return
        version: str = self._parser.get_http_version()
        method: bytes = self._parser.get_method()
        problem = self._head.problem(version)
        self._upgrade = self._parser.should_upgrade() and method != b"CONNECT" and problem is None
        if self._upgrade:
            return
        exchange = self.unfinished = self._exchange(method, version, problem)
        self._listener.opened(exchange)
        self._listener.enter(Phase.BODY)
        if self._head.body_length > self._limits.body:
            self._refuse_body()
        elif self._head.wants_continue:
            self._listener.body_wanted(exchange)

    def on_chunk_header(self) -> None:
        self._chunks += 1
        if self._chunks > self._limits.chunks + self._received // self._limits.chunk:
            self._refuse_now(400, _SMALL_CHUNKS)

    def on_body(self, part: bytes) -> None:
        if self.stopped or self.unfinished is None:
            return
        self._received += len(part)
        if self._received > self._limits.body:
            self._refuse_body()
        elif not self.unfinished.endpoint.takes_body:
            return
        elif not self._account.take(len(part)):
            self._refuse_now(503, REFUSAL)
        elif not self._body:
            self._body = part
        else:
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += part

    def on_message_complete(self) -> None:
        exchange = self.unfinished
        if self.stopped or exchange is None:
            return
        self.unfinished = None
        exchange.body = bytes(self._body)  # which copies only what came in several parts
        self._body = b""
        self._received = self._framing = self._chunks = 0
        self._completed += 1
        self._last = exchange
        self.stopped = not exchange.keep_alive
        if self._head.encoding != IDENTITY and exchange.endpoint.takes_body:
            exchange.unpacking = Unpacking(exchange.body, self._head.encoding, self._limits, self._account)
        self._listener.complete(exchange)

    # --- the parts of it ---------------------------------------------------------------------

    def _exchange(self, method: bytes, version: str, problem: Response | None) -> Exchange:
        endpoint = self._application.route(method, self._head.target) if problem is None else Refusal(problem)
        exchange = Exchange(self._listener, endpoint, method)
        # After a wish for another protocol that is not passed over, the parser reads no body.
        exchange.keep_alive = self._parser.should_keep_alive() and not self._parser.should_upgrade()
        exchange.http10 = version == "1.0"
        exchange.headers = self._head.headers
        exchange.echo = self._head.echo
        if problem is not None and problem.close:
            exchange.keep_alive = False
        elif exchange.endpoint.takes_body:
            exchange.header_length = self._head.header_length
        return exchange

    def _refuse_body(self) -> None:
        limit = self._limits.body
        self._refuse_now(413, f"the body is larger than {limit} bytes; send fewer rows per request")

    def _check_head(self) -> None:
        limits = self._limits
        if max(self._head.size, self._head.unparsed) > limits.head:
            self.refuse(431, f"the request's headers are larger than {limits.head} bytes")
        elif self._head.fields > limits.header_fields:
            self.refuse(431, f"the request has more than {limits.header_fields} headers and trailers")

    def _pass_over_upgrade(self, rest: bytes) -> None:
        """A server may ignore a wish for another protocol (RFC 9110, 7.8); the parser stops there: another goes on."""
        if self.stopped or not self._upgrade:
            return
        head = self._head.without_upgrade(self._parser.get_method(), self._parser.get_http_version())
        self._parser = httptools.HttpRequestParser(self)
        self.feed(head + rest)
