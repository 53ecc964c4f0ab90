"""Bytes to exchanges: the parser's callbacks, and the bounds on what one request may send.

Answers, their order and the connection's end are left to the connection, which is told of everything.
"""

from enum import Enum, auto
from typing import Protocol

import httptools

from modelwright_serving.http import responses
from modelwright_serving.http.encoding import IDENTITY, BrokenError, TooLargeError, decompress
from modelwright_serving.http.exchange import Application, Endpoint, Exchange, Owner
from modelwright_serving.http.head import Head, Meaning
from modelwright_serving.http.responses import Response
from modelwright_serving.limits import Limits
from modelwright_serving.memory import Account


class Phase(Enum):
    """What a connection waits for; each has its time limit."""

    IDLE = auto()
    HEAD = auto()
    BODY = auto()
    ANSWER = auto()
    LINGER = auto()


# Nothing of a request has been read that is not a whole request.
_BETWEEN = frozenset((Phase.IDLE, Phase.ANSWER))
_TOO_MANY = "the server holds too much for this address; try again shortly, or with fewer rows at a time"


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


class RequestReader:
    """Reads the requests of one connection until it is told, or decides, to be deaf."""

    def __init__(
        self, listener: Listener, application: Application, limits: Limits, account: Account
    ) -> None:
        self._listener = listener
        self._application = application
        self._limits = limits
        self._account = account
        self._parser = httptools.HttpRequestParser(self)
        self._head = Head()
        self._chunks: list[bytes] = []
        self._received = 0
        self._upgrade = False
        self.unfinished: Exchange | None = None
        self._last: Exchange | None = None
        self._completed = 0
        self.deaf = False

    def feed(self, data: bytes) -> None:
        """Read on. A defect of ours in a callback is raised: the event loop logs it and drops the connection."""
        if self.deaf:
            return
        between = self._listener.phase in _BETWEEN
        if between and self._read_known(data):
            return
        completed = self._completed
        in_head = self._listener.phase is Phase.HEAD
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._go_on_without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError:
            raise
        except httptools.HttpParserError as error:
            self.refuse(400, f"the request is not valid HTTP/1.1: {error}")
        if in_head and self._listener.phase is Phase.HEAD:
            self._head.unparsed += len(data)
            self._check_head_size()
        if between and self._completed == completed + 1 and self._listener.phase in _BETWEEN:
            self._remember(data)

    def _read_known(self, data: bytes) -> bool:
        """Take a whole request whose head is known, byte by byte, without parsing it again."""
        end = data.find(b"\r\n\r\n") + 4
        known = self._application.known_heads.find(data[:end])
        if known is None or len(data) - end != known.body_length or not self._account.take(known.body_length):
            return False  # the parser's way refuses what there is no memory for
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
        if exchange is None or self.deaf or not (exchange.endpoint.takes_body and head.is_plain):
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
        if not self.deaf:
            self._listener.refused(self.stop(), responses.error(status, message, close=True))

    def stop(self) -> Exchange | None:
        """Be deaf from now on; gives the request that will not be finished, whose bytes are forgotten."""
        self.deaf = True
        self._account.give(sum(map(len, self._chunks)))
        self._chunks.clear()
        unfinished, self.unfinished = self.unfinished, None
        return unfinished

    # --- called by the parser ----------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._head = Head()
        if not self.deaf:
            self._listener.enter(Phase.HEAD)

    def on_url(self, part: bytes) -> None:
        self._head.target += part
        if len(self._head.target) > self._limits.target:
            self.refuse(414, f"the request's target is longer than {self._limits.target} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.unfinished is None:
            self._head.add(name, value)
        else:  # a trailer: it says nothing about the body before it
            self._head.size += len(name) + len(value) + 4
        if self._head.size > self._limits.head:
            self._check_head_size()

    def on_headers_complete(self) -> None:
        if self.deaf:
            return
        method: bytes = self._parser.get_method()
        self._upgrade = self._parser.should_upgrade() and method != b"CONNECT"
        if self._upgrade:
            return
        exchange = self.unfinished = self._exchange(method)
        self._listener.opened(exchange)
        self._listener.enter(Phase.BODY)
        if self._head.body_length > self._limits.body:
            self._refuse_body()
        elif self._head.wants_continue:
            self._listener.body_wanted(exchange)

    def on_body(self, part: bytes) -> None:
        if self.deaf or self.unfinished is None:
            return
        self._received += len(part)
        if self._received > self._limits.body:
            self._refuse_body()
        elif not self.unfinished.endpoint.takes_body:
            return
        elif self._account.take(len(part)):
            self._chunks.append(part)
        else:
            self.refuse(503, _TOO_MANY)

    def on_message_complete(self) -> None:
        exchange = self.unfinished
        if self.deaf or exchange is None:
            return
        self.unfinished = None
        exchange.body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._received = 0
        self._completed += 1
        self._last = exchange
        self.deaf = not exchange.keep_alive
        if self._head.encoding != IDENTITY and exchange.endpoint.takes_body:
            self._decompress(exchange)
        self._listener.complete(exchange)

    # --- the parts of it ---------------------------------------------------------------------

    def _decompress(self, exchange: Exchange) -> None:
        compressed = exchange.body
        exchange.body = b""
        try:
            plain = decompress(compressed, self._head.encoding, self._limits.body)
        except TooLargeError:
            exchange.endpoint = Refusal(responses.error(413, self._too_large()))
        except BrokenError as problem:
            encoding = self._head.encoding.decode()
            exchange.endpoint = Refusal(responses.error(400, f"the body is not {encoding}: {problem}"))
        else:
            if self._account.take(len(plain)):
                exchange.body = plain
            else:
                exchange.endpoint = Refusal(responses.error(503, _TOO_MANY))
        self._account.give(len(compressed))

    def _exchange(self, method: bytes) -> Exchange:
        version: str = self._parser.get_http_version()
        exchange = Exchange(self._listener, self._endpoint(method, version), method)
        exchange.keep_alive = self._parser.should_keep_alive() and method != b"CONNECT"
        exchange.http10 = version == "1.0"
        exchange.headers = self._head.headers
        exchange.echo = self._head.echo
        if exchange.endpoint.takes_body:
            exchange.header_length = self._head.header_length
        return exchange

    def _endpoint(self, method: bytes, version: str) -> Endpoint:
        problem = self._head.problem(version)
        return self._application.route(method, self._head.target) if problem is None else Refusal(problem)

    def _refuse_body(self) -> None:
        self.refuse(413, self._too_large())

    def _too_large(self) -> str:
        return f"the body is larger than {self._limits.body} bytes; send fewer rows per request"

    def _check_head_size(self) -> None:
        if max(self._head.size, self._head.unparsed) > self._limits.head:
            self.refuse(431, f"the request's headers are larger than {self._limits.head} bytes")

    def _go_on_without_upgrade(self, rest: bytes) -> None:
        """HTTP lets a server ignore a wish to upgrade; the parser stops at it, so a new one starts from the head."""
        if self.deaf or not self._upgrade:
            return
        method: bytes = self._parser.get_method()
        self._upgrade = False
        self._parser = httptools.HttpRequestParser(self)
        self.feed(self._head.replayed(method) + rest)
