"""The way by which obstore reaches an endpoint that no administrator chose.

obstore resolves names itself, and follows redirects to wherever a server says. So it is given a proxy, on loopback in
this process, that leads to one place: a checked address of the endpoint."""

import os
import socket
import threading
import time
from contextlib import suppress
from errno import EINVAL, ENOSYS
from fcntl import F_SETPIPE_SZ, fcntl
from urllib.parse import urlsplit

from modelwright_stores.access import Access
from modelwright_stores.addresses import PORTS, connected, origin
from modelwright_stores.failures import StoreError

SECONDS = 4.0
MAX_HEAD = 64 << 10
_PIECE = 1 << 20
_BREATH = 0.1
_REFUSED = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_CONNECTED = b"HTTP/1.1 200 OK\r\n\r\n"


class Guard:
    """A proxy for one endpoint; it ends with the process. `url` is its address."""

    def __init__(self, endpoint: str, access: Access) -> None:
        self._endpoint = origin(endpoint)
        self._plain = endpoint.lower().startswith("http://")
        self._closed = False
        self._access = access
        self._failure: StoreError | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, name="guard", daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._closed = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def failure(self) -> StoreError | None:
        """Why a connection was refused since this was asked last; obstore does not say it."""
        failure, self._failure = self._failure, None
        return failure

    def _accept(self) -> None:
        while not self._closed:
            try:
                caller = self._listener.accept()[0]
            except OSError:  # closed; or a caller that is gone, or too many open files
                time.sleep(_BREATH)
                continue
            threading.Thread(target=self._serve, args=(caller,), name="guard", daemon=True).start()

    def _serve(self, caller: socket.socket) -> None:
        with caller:
            try:
                server, first = self._opened(caller)
            except (StoreError, OSError, ValueError) as error:
                self._failure = error if isinstance(error, StoreError) else None
                with suppress(OSError):
                    caller.sendall(_REFUSED)
                return
            with server, suppress(OSError):
                if first:
                    server.sendall(first)
                else:
                    caller.sendall(_CONNECTED)
                back = threading.Thread(target=_relay, args=(server, caller), name="guard", daemon=True)
                back.start()
                _relay(caller, server)
                with suppress(OSError):  # obstore has closed its end
                    server.shutdown(socket.SHUT_RDWR)
                back.join()

    def _opened(self, caller: socket.socket) -> tuple[socket.socket, bytes]:
        """A connection to the endpoint, and what is to be sent there first. StoreError, OSError, ValueError."""
        head, rest = _head(caller)
        line, _, fields = head.partition(b"\r\n")
        method, target, version = line.split(b" ")
        tunnel = method == b"CONNECT"
        url = f"https://{target.decode()}" if tunnel else target.decode()
        if origin(url) != self._endpoint:
            raise self._elsewhere(*origin(url), tunnel)
        server = connected(*self._endpoint, self._access, self._endpoint[0], SECONDS)
        server.settimeout(None)
        if tunnel:
            return server, b""
        parts = urlsplit(url)
        path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        return server, b"%s %s %s\r\n%s\r\n\r\n%s" % (method, path.encode(), version, fields, rest)

    def _elsewhere(self, host: str, port: int, tunnel: bool) -> StoreError:
        """The endpoint redirects to another place."""
        field = f"{self._access.field}.endpoint"
        if host == self._endpoint[0] and tunnel and self._plain:
            place = host if port == PORTS["https"] else f"{host}:{port}"
            return StoreError("AddressRefused", f"{host} leads to https://. Set {field} to https://{place}.")
        return StoreError(
            "AddressRefused",
            f"{self._endpoint[0]} leads to another host, which is not followed. Set {field} to the host that has the "
            "bucket.",
        )


def _head(caller: socket.socket) -> tuple[bytes, bytes]:
    """The head of a request, and what has come after it. ValueError for none."""
    caller.settimeout(SECONDS)
    received = b""
    while b"\r\n\r\n" not in received:
        piece = caller.recv(MAX_HEAD)
        received += piece
        if not piece or len(received) > MAX_HEAD:
            raise ValueError
    caller.settimeout(None)
    head, _, rest = received.partition(b"\r\n\r\n")
    return head, rest


def _relay(source: socket.socket, target: socket.socket) -> None:
    """Move bytes until there are no more."""
    with suppress(OSError):
        try:
            _splice(source, target)
        except OSError as error:
            if error.errno not in (EINVAL, ENOSYS):
                raise
            _copy(source, target)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _splice(source: socket.socket, target: socket.socket) -> None:
    """The bytes stay in the kernel: this costs little of a fast download."""
    taken, given = os.pipe()
    try:
        with suppress(OSError):  # more than the system lets one user have
            fcntl(given, F_SETPIPE_SZ, _PIECE)
        while moved := os.splice(source.fileno(), given, _PIECE):
            while moved:
                moved -= os.splice(taken, target.fileno(), moved)
    finally:
        os.close(taken)
        os.close(given)


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Where the kernel is one that cannot splice, such as gVisor's."""
    while piece := source.recv(_PIECE):
        target.sendall(piece)
