"""A client that decides about every frame itself, and an HTTP/2 server in the test's own process."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Self

from hpack import Decoder, Encoder

from modelwright_serving.host import Host
from modelwright_serving.http2 import frames
from modelwright_serving.http2.connection import Http2Connection
from modelwright_serving.http2.frames import HeaderBlock
from modelwright_serving.http2.peers import Peers
from modelwright_serving.http2.request import RequestHead
from modelwright_serving.http2.stream import Stream
from modelwright_serving.limits import Limits
from modelwright_serving.listening import Port

PATIENCE = 10.0
Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Frame:
    """A frame as the wire had it."""

    kind: int
    flags: int
    stream: int
    payload: bytes

    @property
    def number(self) -> int:
        """The error code of RST_STREAM, or the size of WINDOW_UPDATE."""
        return int.from_bytes(self.payload, "big")

    @property
    def code(self) -> int:
        """The error code of GOAWAY."""
        return int.from_bytes(self.payload[4:8], "big")

    @property
    def last_stream(self) -> int:
        return int.from_bytes(self.payload[:4], "big")


@dataclass
class Answer:
    """Everything that came on one stream."""

    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    trailers: dict[str, str] = field(default_factory=dict)
    reset: int | None = None


class Peer:
    """One connection; reads answers in whatever order they come."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.encoder = Encoder()
        self._decoder = Decoder()
        self.answers: dict[int, Answer] = {}
        self.others: list[Frame] = []
        self.closed: set[int] = set()

    async def greet(self, **settings: int) -> Self:
        values = {getattr(frames, name.upper()): value for name, value in settings.items()}
        self.send(frames.PREFACE + frames.settings(values))
        assert (await self.frame()).kind == frames.SETTINGS
        self.send(frames.settings_ack())
        return self

    def send(self, *data: bytes) -> None:
        self._writer.write(b"".join(data))

    async def drain(self) -> None:
        await self._writer.drain()

    def head(self, stream: int, headers: Headers, *, end: bool = False) -> bytes:
        flags = frames.END_HEADERS | (frames.END_STREAM if end else 0)
        return frames.frame(frames.HEADERS, flags, stream, self.encoder.encode(headers, huffman=False))

    def request(self, stream: int, headers: Headers, body: bytes = b"") -> bytes:
        """A request whose body fits into one frame."""
        return self.head(stream, headers) + frames.frame(frames.DATA, frames.END_STREAM, stream, body)

    async def frame(self) -> Frame:
        """The next frame; IncompleteReadError at the end of the connection."""
        head = await asyncio.wait_for(self._reader.readexactly(9), PATIENCE)
        high, low, kind, flags, stream = frames.HEAD.unpack(head)
        return Frame(kind, flags, stream, await self._reader.readexactly(high << 16 | low))

    async def until(self, kind: int) -> Frame:
        """Read on until a frame of this kind, noting all others."""
        while True:
            frame = await self.frame()
            self._note(frame)
            if frame.kind == kind:
                return frame

    async def answer(self, stream: int) -> Answer:
        """The answer on a stream, when it is complete."""
        while stream not in self.closed:
            self._note(await self.frame())
        return self.answers[stream]

    async def ended(self) -> bool:
        """Whether the server ends the connection in order."""
        try:
            while True:
                self._note(await self.frame())
        except asyncio.IncompleteReadError as error:
            return not error.partial

    def _note(self, frame: Frame) -> None:
        answer = self.answers.setdefault(frame.stream, Answer())
        if frame.kind == frames.HEADERS:
            fields = {str(name): str(value) for name, value in self._decoder.decode(frame.payload)}
            if answer.headers:
                answer.trailers = fields
            else:
                answer.headers = fields
        elif frame.kind == frames.DATA:
            answer.body += frame.payload
        elif frame.kind == frames.RST_STREAM:
            answer.reset = frame.number
            self.closed.add(frame.stream)
        else:
            self.others.append(frame)
        if frame.kind in {frames.HEADERS, frames.DATA} and frame.flags & frames.END_STREAM:
            self.closed.add(frame.stream)

    def read_nothing(self) -> None:
        """Leave what comes in the socket, until it takes no more."""
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]

    def finish(self) -> None:
        """Send nothing more."""
        self._writer.write_eof()

    async def close(self) -> None:
        self._writer.close()


@asynccontextmanager
async def connected(port: int, address: str = "127.0.0.1", **settings: int) -> AsyncIterator[Peer]:
    """A greeted connection from this address."""
    peer = Peer(*await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0)))
    try:
        yield await peer.greet(**settings)
    finally:
        await peer.close()


HEAD = HeaderBlock(b"\x88")  # :status 200
TRAILER = HeaderBlock(b"\x00\x03end\x03yes")
GET = ((":method", "GET"), (":scheme", "http"), (":path", "/echo"), (":authority", "test"))


class Echo:
    """Answers with the request's body, or keeps the stream for the test."""

    def __init__(self, path: bytes) -> None:
        self.path = path
        self.body_limit = 1_000_000
        self.reads_body = path != b"/headers-suffice"
        self.headers: dict[bytes, bytes] = {}
        self.echo = b"\x00\x04echo\x03yes" if path == b"/echoing" else b""
        self.seconds: float | None = 0.2 if path == b"/short" else None
        self.handled: list[Stream] = []
        self.gone = 0

    def handle(self, stream: Stream) -> None:
        self.handled.append(stream)
        if self.path == b"/never":
            stream.on_gone = self._count
        elif self.path == b"/fail":
            stream.refuse(HEAD)
        elif self.path == b"/text":
            stream.refuse(HEAD, b"no")
        else:
            stream.answer(HEAD, stream.body, TRAILER)

    def _count(self) -> None:
        self.gone += 1

    def too_large(self, stream: Stream) -> None:
        stream.refuse(HEAD, b"too large")

    def overloaded(self, stream: Stream) -> None:
        stream.refuse(HEAD, b"overloaded")

    def late(self, stream: Stream) -> None:
        stream.refuse(HEAD, b"late")


@dataclass
class Hosted:
    """The server, and the handlers that it has found."""

    host: Host
    port: int
    handlers: dict[bytes, Echo]

    async def left_by_all(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(self.host):  # noqa: ASYNC110 - nobody is told when a connection ends
                await asyncio.sleep(0.02)


@asynccontextmanager
async def hosted(**limits: float) -> AsyncIterator[Hosted]:
    """A server of the test's own, with its own limits."""
    handlers: dict[bytes, Echo] = {}

    def route(head: RequestHead) -> Echo:
        return handlers.setdefault(head.path, Echo(head.path))

    bounds = Limits(**limits)  # type: ignore[arg-type]
    host = Host(partial(Http2Connection, route, Peers()), bounds, asyncio.get_running_loop())
    port = await Port.open(host, "127.0.0.1", 0)
    try:
        yield Hosted(host, port.number, handlers)
    finally:
        port.drop()
        host.stop()
        await asyncio.sleep(0)
    assert host.memory.used == 0, "bytes of a body are still accounted for"
