"""Gathers what one turn of the event loop sends on a connection: a system call costs more than a small answer."""

import asyncio
from collections.abc import Callable

_ENOUGH = 64 * 1024  # bytes: worth a system call, after which the transport can say that it takes no more


class Outbox:
    """Bytes on their way to the transport, in their order."""

    __slots__ = ("_call_soon", "_parts", "_scheduled", "_size", "_transport")

    def __init__(
        self, transport: asyncio.Transport, call_soon: Callable[[Callable[[], None]], object]
    ) -> None:
        self._transport = transport
        self._call_soon = call_soon
        self._parts: list[bytes] = []
        self._size = 0
        self._scheduled = False

    def write(self, data: bytes) -> None:
        """Send by the end of this turn."""
        self._parts.append(data)
        self._size += len(data)
        if self._size > _ENOUGH:
            self.flush()
        elif not self._scheduled:
            self._scheduled = True
            self._call_soon(self._end_of_turn)

    def push(self, data: bytes) -> None:
        """Send at once, so that the transport can say whether it takes more."""
        self._parts.append(data)
        self.flush()

    def flush(self) -> None:
        """Send what has been gathered, if the connection still is there."""
        parts = self._parts
        if parts:
            if not self._transport.is_closing():
                self._transport.write(parts[0] if len(parts) == 1 else b"".join(parts))
            parts.clear()
            self._size = 0

    def _end_of_turn(self) -> None:
        self._scheduled = False
        self.flush()
