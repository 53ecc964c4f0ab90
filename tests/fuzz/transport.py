"""A transport that keeps what is written, and can be slow; it obeys and demands what asyncio's transports do."""

from __future__ import annotations

import asyncio

from fuzz.engine import Finding


class Recorder(asyncio.Transport):
    """One end of a connection whose other end is a test; a slow one takes everything, but asks to pause each time."""

    def __init__(self, protocol: asyncio.Protocol, *, slow: bool = False) -> None:
        super().__init__()
        self._protocol = protocol
        self._slow = slow
        self._full = False
        self._parts: list[bytes] = []
        self.reading = True
        self.ended = False
        self.closed = False
        protocol.connection_made(self)

    @property
    def written(self) -> bytes:
        """Everything that was sent so far."""
        if len(self._parts) > 1:
            self._parts = [b"".join(self._parts)]
        return self._parts[0] if self._parts else b""

    def drain(self) -> None:
        """The other end has read everything."""
        if self._full:
            self._full = False
            self._protocol.resume_writing()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.closed:
            return
        if self.ended and data:
            raise Finding(f"something is written after the end: {bytes(data[:200])!r}")
        self._parts.append(bytes(data))
        if self._slow and not self._full:
            self._full = True
            self._protocol.pause_writing()

    def write_eof(self) -> None:
        self.ended = True

    def can_write_eof(self) -> bool:
        return True

    def close(self) -> None:
        self.closed = self.ended = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def is_reading(self) -> bool:
        return self.reading

    def pause_reading(self) -> None:
        if not self.closed:
            self.reading = False

    def resume_reading(self) -> None:
        if not self.closed:
            self.reading = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """How much may wait is for the test to say."""

    def get_write_buffer_size(self) -> int:
        return 0
