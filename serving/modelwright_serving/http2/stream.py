"""One request and its answer. Frames, windows and the order of things are left to the connection."""

from collections.abc import Callable, Mapping
from math import inf
from typing import Protocol

from modelwright_serving.http2.frames import NUMBER, HeaderBlock
from modelwright_serving.memory import Account

STREAM_WINDOW = 1024**2  # what a peer may send before it gets more window


class StreamOwner(Protocol):
    """What a stream calls: the streams of its connection."""

    def answer(self, stream: "Stream", head: HeaderBlock, body: bytes, trailer: HeaderBlock) -> None: ...

    def refuse(self, stream: "Stream", head: HeaderBlock, body: bytes) -> None: ...

    def start(self, stream: "Stream", head: HeaderBlock) -> None: ...

    def send(self, stream: "Stream", body: bytes) -> None: ...

    def finish(self, stream: "Stream", trailer: HeaderBlock) -> None: ...

    def failed(self, stream: "Stream", code: str, message: str) -> None: ...

    def may_keep(self) -> bool: ...

    @property
    def account(self) -> Account: ...

    def hold(self, stream: "Stream", size: int) -> bool: ...


class Stream:
    """A request as its handler sees it: answered or refused at once, or started, sent parts and finished."""

    __slots__ = (
        "_owner",
        "body",
        "chunks",
        "content_length",
        "counted",
        "credit",
        "deadline",
        "handler",
        "id",
        "on_gone",
        "on_retire",
        "pending",
        "received",
        "remote_open",
        "result",
        "sent",
        "settled",
        "since",
        "taken",
        "trailer",
        "window",
        "wire_id",
    )

    def __init__(self, owner: StreamOwner, number: int, handler: "Handler", window: int, now: float) -> None:
        self._owner = owner
        self.id = number
        self.wire_id = NUMBER.pack(number)
        self.handler = handler
        self.window = window  # what may be sent
        self.credit = STREAM_WINDOW  # what the peer may send
        self.since = now  # when something last moved, or its progress was last looked at
        self.deadline = inf  # on the clock of time.monotonic
        self.content_length: int | None = None
        self.received = 0  # bytes of the body and of what was made of it, in the caller's account
        self.remote_open = True
        self.body = b""
        self.chunks: list[bytes] = []
        self.settled = False  # no more is to be decided; some may still have to be sent
        self.result = False  # whether the answer is a result, not a refusal
        self.pending = b""
        self.sent = 0  # of what is pending
        self.counted = 0  # of what is pending: bytes of the caller's account
        self.taken = 0  # what was sent of it when `since` began
        self.trailer: HeaderBlock | None = None
        self.on_gone: Callable[[], None] | None = None
        self.on_retire: Callable[[], None] | None = None

    def answer(self, head: HeaderBlock, body: bytes, trailer: HeaderBlock) -> None:
        """Give the result, all of it at once."""
        if not self.settled:
            self.settled = self.result = True
            self.on_gone = None
            self._owner.answer(self, self._echoing(head), body, trailer)

    def refuse(self, head: HeaderBlock, body: bytes = b"") -> None:
        """Say why there is no result, by headers alone or with a text."""
        if not self.settled:
            self._settle()
            self._owner.refuse(self, self._echoing(head), body)

    def start(self, head: HeaderBlock) -> None:
        """Begin an answer in parts."""
        if not self.settled:
            self._owner.start(self, self._echoing(head))

    def _echoing(self, head: HeaderBlock) -> HeaderBlock:
        echo = self.handler.echo
        return HeaderBlock(head.block + echo) if echo else head

    def send(self, body: bytes) -> None:
        if not self.settled:
            self._owner.send(self, body)

    def finish(self, trailer: HeaderBlock) -> None:
        if not self.settled:
            self._settle()
            self._owner.finish(self, trailer)

    def failed(self, code: str, message: str) -> None:
        """Log that the server failed on this request."""
        self._owner.failed(self, code, message)

    @property
    def account(self) -> Account:
        """What the caller's address holds."""
        return self._owner.account

    def hold(self, size: int) -> bool:
        """Count so many bytes more against the caller until it is answered; False if it holds too much already."""
        return self._owner.hold(self, size)

    def keep(self, on_retire: Callable[[], None]) -> bool:
        """Let the answer last until the caller or `on_retire` ends it; False if the connection has too many such."""
        if not self._owner.may_keep():
            return False
        self.on_retire = on_retire
        return True

    def abandon(self) -> None:
        """The caller has gone; work on an answer may stop."""
        if not self.settled:
            on_gone = self.on_gone
            self._settle()
            if on_gone is not None:
                on_gone()

    def _settle(self) -> None:
        """Drop the callbacks: what they belong to usually holds this stream, and cycles live long."""
        self.settled = True
        self.on_gone = self.on_retire = None


class Handler(Protocol):
    """What a request is for. The same object handles all requests with equal headers."""

    @property
    def headers(self) -> Mapping[bytes, bytes]:
        """The request's headers, the last of each name."""
        ...

    @property
    def echo(self) -> bytes:
        """Encoded fields that the answer's headers repeat."""
        ...

    @property
    def body_limit(self) -> int: ...

    @property
    def reads_body(self) -> bool:
        """Whether to wait for the request's end; without, the request is handled as soon as it begins."""
        ...

    @property
    def seconds(self) -> float | None:
        """How long the caller waits, from the first frame on."""
        ...

    def handle(self, stream: Stream) -> None:
        """The request is complete, or as complete as it has to be."""
        ...

    def too_large(self, stream: Stream) -> None:
        """The body has become larger than its limit."""
        ...

    def overloaded(self, stream: Stream) -> None:
        """The server holds too many bodies to take this one."""
        ...

    def late(self, stream: Stream) -> None:
        """The caller waits no longer."""
        ...
