"""A proxy in front of an S3 server, which injects faults, counts bytes, and takes temporary keys."""

from __future__ import annotations

import http.client
import socket
import struct
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from support.stores.certificates import Certificates
from support.stores.listening import Handler, listening
from support.stores.s3 import Gateway
from support.stores.sessions import Sessions
from support.stores.signatures import signed

PIECE = 64 << 10
HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "proxy-connection", "expect"}


@dataclass(frozen=True)
class Fault:
    """What happens to the next `times` requests of a method whose path contains `path`.

    With a `status` the proxy answers with it and an error of S3 with `code`. Else the server answers, and after so many
    bytes of the body the connection is reset or closed, hangs for `seconds`, or one byte is another one.
    """

    method: str = "GET"
    path: str = ""
    times: int = 1
    status: int | None = None
    code: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    after: int = 0
    then: Literal["reset", "close", "hang", "flip"] = "reset"
    seconds: float = 30


def slow_down(times: int = 1, **match: str) -> Fault:
    """S3 asks for fewer requests."""
    return Fault(times=times, status=503, code="SlowDown", **match)  # type: ignore[arg-type]


def internal_error(times: int = 1, **match: str) -> Fault:
    """S3 has a problem of its own."""
    return Fault(times=times, status=500, code="InternalError", **match)  # type: ignore[arg-type]


def expired_token(times: int = 1, **match: str) -> Fault:
    """The temporary keys are too old."""
    return Fault(times=times, status=400, code="ExpiredToken", **match)  # type: ignore[arg-type]


def skewed(times: int = 1, **match: str) -> Fault:
    """The clocks of caller and server differ by more than 15 minutes."""
    return Fault(times=times, status=403, code="RequestTimeTooSkewed", **match)  # type: ignore[arg-type]


def wrong_region(region: str = "eu-central-1", times: int = 1, **match: str) -> Fault:
    """The bucket is in another region."""
    headers = {"x-amz-bucket-region": region}
    return Fault(times=times, status=301, code="PermanentRedirect", headers=headers, **match)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Seen:
    """A request that has ended: its status (0 if none was sent), and the bytes of both bodies."""

    method: str
    target: str
    range: str | None
    status: int
    sent: int
    received: int


@dataclass
class Proxy:
    """A running proxy."""

    endpoint: str
    upstream: str
    server: Gateway
    sessions: Sessions | None
    rate: float | None = None
    _faults: list[Fault] = field(default_factory=list)
    _seen: list[Seen] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _under_way: dict[int, tuple[str, int]] = field(default_factory=dict)

    def inject(self, *faults: Fault) -> None:
        """Have faults happen, each to the next requests that it matches; the first one that matches counts."""
        with self._lock:
            self._faults.extend(faults)

    def heal(self) -> None:
        """Have no more faults happen."""
        with self._lock:
            self._faults.clear()

    @property
    def seen(self) -> list[Seen]:
        """The requests so far, in the order in which they ended."""
        with self._lock:
            return list(self._seen)

    def sent(self, path: str = "") -> int:
        """The bytes that callers were sent of bodies of GET, those under way included."""
        with self._lock:
            done = [(each.target, each.sent) for each in self._seen if each.method == "GET"]
            return sum(count for target, count in (*done, *self._under_way.values()) if path in target)

    def received(self, path: str = "") -> int:
        """The bytes of bodies of PUT that callers have sent."""
        with self._lock:
            return sum(each.received for each in self._seen if each.method == "PUT" and path in each.target)

    def note(self, seen: Seen, thread: int) -> None:
        """Count a request that has ended."""
        with self._lock:
            self._seen.append(seen)
            self._under_way.pop(thread, None)

    def progress(self, thread: int, target: str, sent: int) -> None:
        """Count the bytes of an answer under way."""
        with self._lock:
            self._under_way[thread] = target, sent

    def fault(self, method: str, target: str) -> Fault | None:
        """The fault of this request, which has then happened once more."""
        with self._lock:
            for place, fault in enumerate(self._faults):
                if fault.method in {method, "*"} and fault.path in target:
                    if fault.times == 1:
                        del self._faults[place]
                    else:
                        self._faults[place] = Fault(**{**fault.__dict__, "times": fault.times - 1})
                    return fault
        return None


@contextmanager
def proxy(
    server: Gateway,
    host: str = "127.0.0.1",
    tls: Certificates | None = None,
    sessions: Sessions | None = None,
    rate: float | None = None,
    ports: Iterable[int] = (0,),
) -> Iterator[Proxy]:
    """A proxy in front of a server without TLS. With sessions it takes the temporary keys of an STS besides the
    server's own keys. `rate` bounds the bytes a second of each body; it may be
    changed at any time."""
    made = Proxy("", urlsplit(server.endpoint).netloc, server, sessions, rate)

    class Bound(_Forwarding):
        proxy = made

    with listening(Bound, host, tls, ports) as endpoint:
        made.endpoint = endpoint
        yield made


class _Forwarding(Handler):
    proxy: Proxy
    _sent = 0
    _status = 0
    _received = 0

    def answer(self) -> None:
        self._sent = self._status = self._received = 0
        thread = threading.get_ident()
        try:
            self._forward(self.proxy.fault(self.command, self.path))
        except OSError:
            self._reset()
        finally:
            seen = Seen(
                self.command, self.path, self.headers.get("Range"), self._status, self._sent, self._received
            )
            self.proxy.note(seen, thread)

    def _forward(self, fault: Fault | None) -> None:
        if fault is not None and fault.status is not None:
            self.body()
            self._refuse(fault.status, fault.code, fault.headers)
            return
        headers = {name.lower(): value for name, value in self.headers.items() if name.lower() not in HOP}
        sessions = self.proxy.sessions
        if sessions is not None and sessions.knows(headers):
            refusal = sessions.refusal(self.command, self.path, headers)
            if refusal is not None:
                self.body()
                self._refuse(*refusal)
                return
            headers.pop("x-amz-security-token", None)
            headers = signed(self.command, self.path, headers, self.proxy.server.keys, "us-east-1")
        connection = http.client.HTTPConnection(self.proxy.upstream, timeout=60)
        try:
            self._ask(connection, headers)
            self._pass_on(connection.getresponse(), fault)
        except http.client.HTTPException:
            self._reset()
        finally:
            connection.close()

    def _refuse(self, status: int, code: str, headers: Mapping[str, str] | None = None) -> None:
        text = f"<Error><Code>{code}</Code><Message>as a test wants it</Message></Error>"
        content = f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode()
        self._status = status
        self.send(status, content, {"Content-Type": "application/xml", **(headers or {})})

    def _ask(self, connection: http.client.HTTPConnection, headers: dict[str, str]) -> None:
        content = self.body() if "chunked" in self.headers.get("Transfer-Encoding", "").lower() else None
        if content is not None:
            headers["content-length"] = str(len(content))
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        if content is not None:
            connection.send(content)
            return
        left = int(headers.get("content-length") or 0)
        while left and (piece := self.rfile.read(min(self._pace(), left))):
            left -= len(piece)
            self._received += len(piece)
            connection.send(piece)
            self._rest(piece)

    def _pass_on(self, answer: http.client.HTTPResponse, fault: Fault | None) -> None:
        self._status = answer.status
        self.send_response_only(answer.status)
        length = answer.getheader("Content-Length")
        bodiless = self.command == "HEAD" or answer.status in {204, 304}
        for name, value in answer.getheaders():
            if name.lower() not in HOP and name.lower() != "content-length":
                self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", length)
        elif not bodiless:
            content = answer.read()
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            return
        self.end_headers()
        if not bodiless:
            self._copy(answer, int(length or 0), fault)

    def _copy(self, answer: http.client.HTTPResponse, length: int, fault: Fault | None) -> None:
        thread = threading.get_ident()
        place = -1 if fault is None else min(fault.after, max(0, length - 1))
        while self._sent < length:
            wanted = min(self._pace(), length - self._sent)
            if fault is not None and self._sent == place:
                if fault.then != "flip":
                    self._break(fault)
                    return
            elif fault is not None and self._sent < place:
                wanted = min(wanted, place - self._sent)
            piece = answer.read(wanted)
            if not piece:  # the server went away
                self._reset()
                return
            if fault is not None and fault.then == "flip" and self._sent == place:
                piece = bytes((piece[0] ^ 1, *piece[1:]))
            self._sent += len(piece)
            self.proxy.progress(thread, self.path, self._sent)
            self.wfile.write(piece)
            self._rest(piece)

    def _pace(self) -> int:
        """How many bytes are moved at once: a tenth of a second's."""
        rate = self.proxy.rate
        return PIECE if rate is None else max(1, min(PIECE, int(rate / 10)))

    def _rest(self, piece: bytes) -> None:
        rate = self.proxy.rate
        if rate is not None:
            time.sleep(len(piece) / rate)

    def _break(self, fault: Fault) -> None:
        self.wfile.flush()
        self.close_connection = True
        if fault.then == "hang":
            time.sleep(fault.seconds)
        if fault.then == "reset":
            self._reset()

    def _reset(self) -> None:
        self.close_connection = True
        # Linger for zero seconds: the connection ends with a reset, as that of a process that was killed.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
