"""The way out: everybody learns that the server goes before it goes, and every accepted request is answered.

A caller may send on an idle connection at the very moment it is closed, and would then be lost. So nothing idle is
closed while new connections still come in: whoever sends gets an answer with `Connection: close`. What has been
silent until then is closed last. HTTP/2 can say that it takes no more before it stops taking, so its connections are
told as soon as the port is closed: earlier they would only come back to it.
"""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from modelwright_serving.host import Host
from modelwright_serving.listening import Port

# A connection that has carried nothing for this long is taken for unused.
QUIET_SECONDS = 2.0
_LOOK_SECONDS = 0.05


class Door(NamedTuple):
    """A port, and the host of those who come through it."""

    host: Host
    port: Port


async def drain(doors: Sequence[Door], delay: float, limit: float) -> bool:
    """Let go of all callers; False if some were still unanswered at the limit."""
    now = asyncio.get_running_loop().time
    deadline = now() + limit
    for door in doors:
        door.host.draining = True
    await asyncio.sleep(min(delay, limit))
    for door in doors:
        await door.port.close()
    while _are_left(doors) and now() < deadline:
        for door in doors:
            door.host.close_quiet(QUIET_SECONDS)
        await asyncio.sleep(_LOOK_SECONDS)
    return not _are_left(doors)


def _are_left(doors: Sequence[Door]) -> bool:
    return any(len(door.host) for door in doors)
