"""One listening socket: opened so that port 0 means one port, closed so that no connection it has accepted is lost."""

import asyncio
import socket
from contextlib import suppress

from modelwright_serving.host import Host

_BACKLOG = 1024
# Of a connection, in the kernel and not yet sent: how much a caller has read is seen in steps of this size.
_UNSENT_BYTES = 64 * 1024


class Port:
    """A port whose connections a host serves."""

    def __init__(self, host: Host, listener: socket.socket, server: asyncio.Server) -> None:
        self._host = host
        self._listener = listener
        self._server = server

    @classmethod
    async def open(cls, host: Host, address: str, port: int) -> "Port":
        """Listen on one address, or on all of IPv4 and IPv6; OSError if that cannot be."""
        listener = _listen(address, port)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
        # The server gets a duplicate: closing it must not reset connections that the kernel has made already.
        server = await asyncio.get_running_loop().create_server(
            host.connect, sock=listener.dup(), backlog=_BACKLOG
        )
        return cls(host, listener, server)

    @property
    def number(self) -> int:
        number: int = self._listener.getsockname()[1]
        return number

    def drop(self) -> None:
        """Stop listening at once, with connections that were not accepted; may be called again, and after `close`."""
        self._server.close()
        self._listener.close()

    async def close(self) -> None:
        """Stop listening, after accepting every connection that the kernel has made already."""
        self._server.close()
        self._listener.setblocking(False)
        accepted: list[socket.socket] = []
        with suppress(OSError):  # BlockingIOError: none is left
            while True:
                accepted.append(self._listener.accept()[0])
        self._listener.close()
        loop = asyncio.get_running_loop()
        for connection in accepted:
            await loop.connect_accepted_socket(self._host.connect, connection)


def _listen(address: str, port: int) -> socket.socket:
    if not address and socket.has_dualstack_ipv6():
        return socket.create_server(
            ("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_BACKLOG
        )
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.create_server((address or "0.0.0.0", port), family=family, backlog=_BACKLOG)  # noqa: S104
