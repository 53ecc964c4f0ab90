"""Shutdown: callers learn that the server ends before it ends, and every accepted request is answered.

A caller may send on an idle connection at the very moment it is closed, and would then be lost. So no idle connection
is closed while new connections still come in: each request gets an answer with `Connection: close`. How long a
cluster goes on sending new connections here is unknown: a busy node learns of the other pods seconds late. So the
port stays open as long as they arrive, within the limit. HTTP/2 callers get GOAWAY once the port is closed: before,
they would only connect to it again.
"""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from modelwright_serving.host import Host
from modelwright_serving.listening import Port

# A connection that has carried nothing for this long is taken for unused.
QUIET_SECONDS = 2.0
# A port that has had no new connection for this long is taken for unused.
_UNUSED_SECONDS = 1.0
# The part of the limit that is kept for the answers after the ports are closed.
_ANSWERING = 0.2
_CHECK_SECONDS = 0.05


class ServedPort(NamedTuple):
    """A port, and the host of its connections."""

    host: Host
    port: Port


async def drain(ports: Sequence[ServedPort], delay: float, limit: float) -> bool:
    """Close the ports and answer what was accepted; False if some requests were unanswered at the limit.

    `delay` and `limit` are in seconds from now. New connections are accepted for `delay` at least, and then as long
    as they arrive; with a delay of 0 none is accepted.
    """
    now = asyncio.get_running_loop().time
    deadline = now() + limit
    for served in ports:
        served.host.draining = True
    await asyncio.sleep(min(delay, limit))
    latest = deadline - _ANSWERING * limit
    unused = min(delay, _UNUSED_SECONDS)
    await asyncio.gather(*[_close_once_unused(served, unused, latest) for served in ports])
    while _are_left(ports) and now() < deadline:
        for served in ports:
            served.host.close_quiet(QUIET_SECONDS)
        await asyncio.sleep(_CHECK_SECONDS)
    return not _are_left(ports)


async def _close_once_unused(served: ServedPort, unused: float, latest: float) -> None:
    """Close the port once no new connection has come for `unused` seconds, at the time `latest` in any case."""
    now = asyncio.get_running_loop().time
    while True:
        closing = min(latest, served.host.last_connected + unused)
        if closing <= now():
            break
        await asyncio.sleep(closing - now())
    await served.port.close()


def _are_left(ports: Sequence[ServedPort]) -> bool:
    return any(len(served.host) for served in ports)
