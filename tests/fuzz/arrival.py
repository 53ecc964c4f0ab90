"""How bytes reach a connection: in which pieces, how slowly, and what goes wrong meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass

from fuzz.engine import Finding
from fuzz.rig import Rig
from fuzz.transport import Recorder
from modelwright_serving.host import Host

LONGER_THAN_EVERY_LIMIT = 150.0
CONTROL_BYTES = 2
MOST_PAUSES = 10_000


@dataclass(frozen=True)
class Arrival:
    """How the bytes arrive, and what else happens; read from the first two bytes of an input."""

    pieces: int
    turns_between: bool
    silence: bool
    lost: bool
    slow_reader: bool
    pauses: bool
    drains: bool
    seed: int

    @classmethod
    def of(cls, mode: int, seed: int) -> Arrival:
        turns, silence, lost, slow, pauses, drains = (bool(mode & (1 << bit)) for bit in range(2, 8))
        return cls(mode & 3, turns, silence, lost, slow, pauses, drains, seed)

    @property
    def plain(self) -> bool:
        """Whether nothing happens but that the bytes arrive, so that their pieces must not matter."""
        return not (self.silence or self.lost or self.slow_reader or self.pauses or self.drains)

    def split(self, data: bytes) -> Iterator[bytes]:
        """The pieces in which the bytes are read."""
        if self.pieces == 1 and len(data) <= 500:
            yield from (data[at : at + 1] for at in range(len(data)))
        elif self.pieces == 2:
            chance, at = random.Random(self.seed), 0
            while at < len(data):
                size = chance.choice((1, 2, 7, 30, 200, 5000))
                yield data[at : at + size]
                at += size
        elif self.pieces == 3:
            yield from data.splitlines(keepends=True)
        elif data:
            yield data


@dataclass(frozen=True)
class Played:
    """What was written to a connection, and how much of what arrived it has read."""

    written: bytes
    read: int


def play(rig: Rig, host: Host, arrival: Arrival, wire: bytes, *, watches: bool = False) -> Played:
    """A connection's life, from its first byte to its loss; who `watches` may stay until the server goes."""
    connection = host.connect()
    transport = Recorder(connection, slow=arrival.slow_reader)
    half, read = len(wire) // 2, 0
    for piece in arrival.split(wire):
        if not _readable(rig, transport) or (arrival.lost and read > half):
            break
        if arrival.drains and read > half:
            _drain(host)
        connection.data_received(piece)
        read += len(piece)
        _meanwhile(rig, arrival)
    rig.settle()
    _read_all(rig, transport)
    if not arrival.lost:
        _end(rig, arrival, connection, transport)
        if watches and not transport.closed:
            _drain(host)
            rig.turns.passes(LONGER_THAN_EVERY_LIMIT)
        if not transport.closed:
            raise Finding(f"the connection never ends; it got {transport.written[-300:]!r}")
    rig.lose(host, (connection, transport))
    return Played(transport.written, read)


def _read_all(rig: Rig, transport: Recorder) -> None:
    """The caller reads whatever it is sent, until nothing more comes."""
    for _ in range(MOST_PAUSES):
        before = len(transport.written)
        transport.drain()
        rig.settle()
        if len(transport.written) == before:
            return
    raise Finding("answers never end")


def _drain(host: Host) -> None:
    """As at the end of a server's life: nothing more is taken, and what is quiet is closed."""
    host.draining = True
    host.close_quiet(0.0)


def _readable(rig: Rig, transport: Recorder) -> bool:
    """Whether more would be read; a connection that is paused goes on when its answers are written and read."""
    if not transport.reading and not transport.closed:
        rig.settle()
        _read_all(rig, transport)
    if not transport.reading and not transport.closed:
        raise Finding("reading is paused for ever")
    return not transport.closed


def _meanwhile(rig: Rig, arrival: Arrival) -> None:
    if arrival.turns_between:
        rig.settle()
    if arrival.pauses:
        rig.turns.passes(0.7)


def _end(rig: Rig, arrival: Arrival, connection: asyncio.Protocol, transport: Recorder) -> None:
    """The caller finishes, or falls silent: either way the connection has to end."""
    if transport.closed:
        return
    if arrival.silence:
        rig.turns.passes(LONGER_THAN_EVERY_LIMIT)
    elif not connection.eof_received():
        transport.close()
    rig.settle()
    _read_all(rig, transport)
