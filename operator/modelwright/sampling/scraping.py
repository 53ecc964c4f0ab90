"""HTTP GET requests to pods, which are not trusted: bounded, and over connections that stay open.

It speaks as little HTTP as metrics need, because the operator sends a request to each pod of a rollout every two
seconds: a general client takes five times as long for one.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from modelwright.sampling.http import TooLarge
from modelwright.sampling.loop import NoAnswer

# Bytes of a status line and headers, and of the line before a chunk.
MOST_HEAD = 16 * 1024
# Seconds after which an unused connection is closed.
IDLE = 15.0

_STATUS = re.compile(rb"HTTP/1\.([01]) ([0-9]{3})(?: [^\r\n]*)?\r\n")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,15})[ \t]*\r\n")
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked[ \t]*\r\n")
_ENCODED = b"\r\ntransfer-encoding:"
_CLOSES = re.compile(rb"\r\nconnection:[^\r\n]*\bclose\b")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})(?:[ \t]*;[^\r\n]*)?\r\n")


class _Broken(Exception):  # noqa: N818 - becomes a NoAnswer
    """The connection ended, or what came is not HTTP. `early`: before the first byte of the answer."""

    def __init__(self, *, early: bool = False) -> None:
        super().__init__()
        self.early = early


@dataclass(frozen=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def get(self, host: str, target: str, most: int) -> tuple[bytes, bool]:
        """Sends a request. Returns the body of the answer, and whether the connection can be used again."""
        request = f"GET {target} HTTP/1.1\r\nHost: {host}\r\nAccept-Encoding: identity\r\n\r\n"
        self.writer.write(request.encode("ascii"))
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            raise _Broken(early=not error.partial) from error
        except OSError as error:
            raise _Broken(early=True) from error
        except asyncio.LimitOverrunError as error:
            raise _Broken from error
        status = _STATUS.match(head)
        if status is None:
            raise _Broken
        if status[2] != b"200":
            raise NoAnswer(f"it answers with HTTP status {int(status[2])}")
        fields = head[status.end() - 2 :].lower()
        keeps = status[1] == b"1" and _CLOSES.search(fields) is None
        try:
            return await self._body(fields, most, keeps)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError) as error:
            raise _Broken from error

    async def _body(self, fields: bytes, most: int, keeps: bool) -> tuple[bytes, bool]:
        if _CHUNKED.search(fields):
            return await self._chunks(most), keeps
        if _ENCODED in fields:
            raise _Broken
        length = _LENGTH.search(fields)
        if length is None:
            return await self._rest(most), False
        if int(length[1]) > most:
            raise TooLarge(most)
        return await self.reader.readexactly(int(length[1])), keeps

    async def _chunks(self, most: int) -> bytes:
        body = bytearray()
        while True:
            size = _CHUNK.fullmatch(await self.reader.readuntil(b"\r\n"))
            if size is None:
                raise _Broken
            if len(body) + int(size[1], 16) > most:
                raise TooLarge(most)
            content = await self.reader.readexactly(int(size[1], 16) + 2)
            if not content.endswith(b"\r\n"):  # also of a trailer, which no server of metrics sends
                raise _Broken
            body += content[:-2]
            if len(content) == 2:
                return bytes(body)

    async def _rest(self, most: int) -> bytes:
        try:
            await self.reader.readexactly(most + 1)
        except asyncio.IncompleteReadError as whole:
            return whole.partial
        raise TooLarge(most)


class Scraper:
    """Sends GET requests, and keeps one connection to each address."""

    def __init__(self) -> None:
        self._idle: OrderedDict[tuple[str, int], tuple[_Connection, float]] = OrderedDict()

    async def get(self, host: str, port: int, target: str, most: int) -> bytes:
        """Returns the body of an answer with status 200. Raises NoAnswer with the reason if there is none, or if it has
        more than `most` bytes."""
        known = self._taken(host, port)
        try:
            if known is not None:
                try:
                    return await self._exchange(known, host, port, target, most)
                except _Broken as broken:
                    if not broken.early:  # else it was closed while it was idle
                        raise
            return await self._exchange(await self._connected(host, port), host, port, target, most)
        except _Broken as error:
            raise NoAnswer("its answer is not HTTP, or breaks off") from error

    def close(self) -> None:
        """Closes all connections."""
        for connection, _ in self._idle.values():
            connection.writer.transport.abort()
        self._idle.clear()

    async def _connected(self, host: str, port: int) -> _Connection:
        try:
            return _Connection(*await asyncio.open_connection(host, port, limit=MOST_HEAD))
        except OSError as error:
            raise NoAnswer("it cannot be connected to") from error

    async def _exchange(self, connection: _Connection, host: str, port: int, target: str, most: int) -> bytes:
        kept = False
        try:
            name = f"[{host}]" if ":" in host else host
            body, kept = await connection.get(f"{name}:{port}", target, most)
        finally:
            if not kept:
                connection.writer.transport.abort()
        if kept:
            self._keep(host, port, connection)
        return body

    def _keep(self, host: str, port: int, connection: _Connection) -> None:
        """Keeps a connection for the next request; one of a request that ran at the same time goes."""
        other = self._taken(host, port)
        if other is not None:
            other.writer.transport.abort()
        self._idle[host, port] = connection, time.monotonic()

    def _taken(self, host: str, port: int) -> _Connection | None:
        """The idle connection to an address; those that were idle for long are closed."""
        oldest = time.monotonic() - IDLE
        while self._idle and next(iter(self._idle.values()))[1] < oldest:
            _, (connection, _) = self._idle.popitem(last=False)
            connection.writer.transport.abort()
        found, _ = self._idle.pop((host, port), (None, 0.0))
        return found


@asynccontextmanager
async def scraper() -> AsyncIterator[Scraper]:
    """A scraper, whose connections end with the context."""
    found = Scraper()
    try:
        yield found
    finally:
        found.close()
