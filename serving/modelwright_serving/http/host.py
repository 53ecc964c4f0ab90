"""All connections of one listening port: their number, their shared bounds, their clock and their end."""

import asyncio
import time

from modelwright_serving.http import responses
from modelwright_serving.http.connection import Connection
from modelwright_serving.http.exchange import Application
from modelwright_serving.http.limits import Limits
from modelwright_serving.http.reader import Memory

_SWEEP_SECONDS = 0.5


class Host:
    """Makes connections for a server, and lets go of them."""

    def __init__(self, application: Application, limits: Limits, loop: asyncio.AbstractEventLoop) -> None:
        self.application = application
        self.limits = limits
        self.draining = False
        self.memory = Memory(limits.bodies)
        self.now = loop.time
        self._loop = loop
        self._connections: set[Connection] = set()
        self._date = (0, b"")
        self._sweeper = loop.call_later(_SWEEP_SECONDS, self._sweep)

    def connect(self) -> Connection:
        return Connection(self)

    def __len__(self) -> int:
        return len(self._connections)

    def admit(self, connection: Connection) -> bool:
        """Whether there is room for one more; without room it only gets to hear that."""
        self._connections.add(connection)
        if len(self._connections) > 2 * self.limits.connections:
            connection.abort()
        return len(self._connections) <= self.limits.connections

    def forget(self, connection: Connection) -> None:
        self._connections.discard(connection)

    def date(self) -> bytes:
        """The Date header, made once a second."""
        seconds = int(time.time())
        if seconds != self._date[0]:
            self._date = (seconds, responses.date_header(seconds))
        return self._date[1]

    def close_quiet(self, seconds: float) -> None:
        """Close the connections that have carried nothing for so long."""
        since = self.now() - seconds
        for connection in list(self._connections):
            connection.close_if_idle(since)

    def stop(self) -> None:
        """Drop whatever is left."""
        self._sweeper.cancel()
        for connection in list(self._connections):
            connection.abort()

    def _sweep(self) -> None:
        now = self.now()
        for connection in list(self._connections):
            connection.expire(now)
        self._sweeper = self._loop.call_later(_SWEEP_SECONDS, self._sweep)
