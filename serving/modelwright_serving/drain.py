"""Shutdown: callers learn that the server ends before it ends, and every accepted request is answered.

A caller may send on an idle connection at the very moment it is closed, and would then be lost. So no idle connection
is closed while new connections still come in: each request gets an answer with `Connection: close`. How long a
cluster goes on sending new connections here is unknown: a busy node learns of the other pods seconds late. So the
ports stay open as long as they arrive at either, within the limit: callers of one protocol keep their connection and
do not show what the node knows, those of another do. HTTP/2 callers get GOAWAY once the ports are closed: before, they
would only connect to them again.
"""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from modelwright_serving.host import Host
from modelwright_serving.listening import Port

# A connection that has carried nothing for this long is taken for unused.
QUIET_SECONDS = 2.0
# Ports that have had no new connection for this long are taken for unused.
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
    await _until_unused([served.host for served in ports], delay, deadline - _ANSWERING * limit)
    await asyncio.gather(*[served.port.close() for served in ports])
    while _are_left(ports) and now() < deadline:
        for served in ports:
            served.host.close_quiet(QUIET_SECONDS)
        await asyncio.sleep(_CHECK_SECONDS)
    return not _are_left(ports)


async def _until_unused(hosts: Sequence[Host], delay: float, latest: float) -> None:
    """Wait for `delay`, and until no host has had a new connection for a second, but not beyond the time `latest`.

    Time is counted in short steps, so that none counts in which this process stood still: connections wait to be
    accepted then, and on a node that is so busy the news spreads late.
    """
    now = asyncio.get_running_loop().time
    unused = min(delay, _UNUSED_SECONDS)
    waited = quiet = 0.0
    connected = max(host.last_connected for host in hosts)
    while now() < latest and (waited < delay or quiet < unused):
        await asyncio.sleep(_CHECK_SECONDS)
        before, connected = connected, max(host.last_connected for host in hosts)
        waited += _CHECK_SECONDS
        quiet = quiet + _CHECK_SECONDS if connected == before else 0.0


def _are_left(ports: Sequence[ServedPort]) -> bool:
    return any(len(served.host) for served in ports)
