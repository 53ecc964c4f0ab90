"""The way out: everybody learns that the server goes before it goes, and every accepted request is answered.

A caller may send on an idle connection at the very moment it is closed, and would then be lost. So nothing idle is
closed while new connections still come in: whoever sends gets an answer with `Connection: close`. What has been
silent until then is closed last.
"""

import asyncio

from modelwright_serving.host import Host
from modelwright_serving.listening import Port

# A connection that has carried nothing for this long is taken for unused.
QUIET_SECONDS = 2.0
_LOOK_SECONDS = 0.05


async def drain(host: Host, port: Port, delay: float, limit: float) -> bool:
    """Let go of all callers; False if some were still unanswered at the limit."""
    host.draining = True
    deadline = host.now() + limit
    await asyncio.sleep(min(delay, limit))
    await port.close()
    while len(host) and host.now() < deadline:
        host.close_quiet(QUIET_SECONDS)
        await asyncio.sleep(_LOOK_SECONDS)
    return not len(host)
