"""A real registry of images, the one of `crane`; and a front before it with TLS, passwords or tokens, and faults."""

from __future__ import annotations

import base64
import http.client
import json
import secrets
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from cluster.stores import crane

from support.stores.certificates import Certificates
from support.stores.listening import Handler, listening
from support.stores.programs import Program, free_port, started

PIECE = 64 << 10
FORWARDED = ("accept", "content-type", "content-length", "range", "if-match")
RETURNED = ("content-type", "content-length", "content-range", "docker-content-digest", "location", "range")


@dataclass(frozen=True)
class Registry:
    """A registry on plain HTTP that keeps its blobs in a folder."""

    host: str
    disk: Path
    program: Program

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://{self.host}"

    def crane(self, *arguments: str | Path) -> bytes:
        """What crane answers to a command."""
        return run_crane(*arguments)

    def manifest(self, reference: str) -> dict[str, Any]:
        """A manifest as crane reads it."""
        found: dict[str, Any] = json.loads(self.crane("manifest", f"{self.host}/{reference}"))
        return found

    def append(self, reference: str, *tars: Path, base: str | None = None, docker: bool = False) -> None:
        """Push an image with these archives as layers, by crane, with media types of the OCI or of Docker."""
        layers = [part for tar in tars for part in ("-f", str(tar))]
        below = ["-b", f"{self.host}/{base}"] if base else [] if docker else ["--oci-empty-base"]
        self.crane("append", *layers, *below, "-t", f"{self.host}/{reference}")


def run_crane(*arguments: str | Path, environment: Mapping[str, str] | None = None) -> bytes:
    """What crane writes to its standard output."""
    command = [str(crane()), "--insecure", *map(str, arguments)]
    given = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **(environment or {})}
    done = subprocess.run(command, capture_output=True, timeout=60, env=given, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@contextmanager
def registry(folder: Path, host: str = "127.0.0.1") -> Iterator[Registry]:
    """A registry with an empty folder below `folder`."""
    disk = folder / "blobs"
    disk.mkdir(parents=True)
    port = free_port(host)
    address = f"{host}:{port}"
    command = [str(crane()), "registry", "serve", "--address", address, "--disk", str(disk)]
    with started(Program(command, host, port, folder / "registry.log")) as program:
        yield Registry(address, disk, program)


@dataclass(frozen=True)
class Fault:
    """What happens to the next `times` requests of a method whose path contains `path`.

    With a `status` the front answers with it and `code`. Else, after so many bytes of the body, the connection is
    closed, is silent for `seconds`, or one byte is another one."""

    path: str = ""
    method: str = "GET"
    times: int = 1
    status: int | None = None
    code: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    after: int = 0
    then: Literal["close", "hang", "flip"] = "close"
    seconds: float = 10


@dataclass(frozen=True)
class Asked:
    """A request that reached the front: which of its servers, and with which credentials."""

    server: Literal["registry", "tokens", "storage"]
    method: str
    path: str
    authorization: str | None
    range: str | None


@dataclass
class Front:
    """The servers before a registry: the registry itself, the one that gives tokens, and where blobs may lie.

    `users` and their passwords; `writers` may push, and without a user one may pull if `public`."""

    upstream: str
    auth: Literal["none", "basic", "token"] = "none"
    users: dict[str, str] = field(default_factory=dict)
    writers: set[str] = field(default_factory=set)
    public: bool = False
    redirects: bool = False
    realm: str = ""
    endpoint: str = ""
    storage: str = ""
    faults: list[Fault] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    tokens: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    received: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def host(self) -> str:
        """What stands in a uri."""
        return urlsplit(self.endpoint).netloc

    def inject(self, *faults: Fault) -> None:
        """Have faults happen; the first one that matches a request counts."""
        with self._lock:
            self.faults.extend(faults)

    def fault(self, method: str, path: str) -> Fault | None:
        """The fault of a request, which has then happened once more."""
        with self._lock:
            for place, fault in enumerate(self.faults):
                if fault.method == method and fault.path in path:
                    left = {**fault.__dict__, "times": fault.times - 1}
                    self.faults[place : place + 1] = [Fault(**left)] if fault.times > 1 else []
                    return fault
        return None

    def user(self, authorization: str | None) -> str | None:
        """The user of a basic authorization; None for a wrong one and for none."""
        scheme, _, value = (authorization or "").partition(" ")
        if scheme != "Basic":
            return None
        name, _, password = base64.b64decode(value).decode().partition(":")
        return name if self.users.get(name) == password else None

    def issue(self, scope: str, user: str | None) -> str:
        """A token for a scope."""
        token = secrets.token_urlsafe(300)
        self.tokens[token] = scope, user
        return token

    def end_tokens(self) -> None:
        """Let all tokens expire now."""
        self.tokens.clear()


@contextmanager
def front(upstream: Registry, tls: Certificates | None = None, host: str = "127.0.0.1") -> Iterator[Front]:
    """A front before a registry; each of its three servers has a port of its own."""
    made = Front(upstream.host)

    class _Registry(_Forwarding):
        front, server_name = made, "registry"

    class _Storage(_Forwarding):
        front, server_name = made, "storage"

    class _Tokens(_Issuing):
        front = made

    with (
        listening(_Registry, host, tls) as made.endpoint,
        listening(_Storage, host, tls) as made.storage,
        listening(_Tokens, host, tls) as tokens,
    ):
        made.realm = f"{tokens}/token"
        yield made


class _Issuing(Handler):
    front: Front

    def answer(self) -> None:
        given = self.headers.get("Authorization")
        self.front.asked.append(Asked("tokens", self.command, self.path, given, None))
        user = self.front.user(given)
        scope = parse_qs(urlsplit(self.path).query).get("scope", [""])[0]
        fault = self.front.fault(self.command, self.path)
        if fault is not None:
            self.send(fault.status or 500, b"a secret that must not be quoted")
        elif user is None and not (self.front.public and given is None):
            self.send(401, _error("UNAUTHORIZED"))
        else:
            self.send(200, json.dumps({"token": self.front.issue(scope, user)}).encode())


class _Forwarding(Handler):
    front: Front
    server_name: Literal["registry", "storage"]

    def answer(self) -> None:
        given = self.headers.get("Authorization")
        asked = Asked(self.server_name, self.command, self.path, given, self.headers.get("Range"))
        self.front.asked.append(asked)
        if self.server_name == "registry":
            if self._is_refused(given):
                return
            if self.front.redirects and self.command == "GET" and "/blobs/" in self.path:
                self.send(307, headers={"Location": f"{self.front.storage}{self.path}"})
                return
        fault = self.front.fault(self.command, self.path)
        if fault is not None and fault.status is not None:
            # What is sent is read after the answer: as a proxy does that takes no large bodies.
            self.close_connection = True
            self.send(fault.status, _error(fault.code), {"Connection": "close", **fault.headers})
            self._drain()
            return
        self._forward(fault)

    def _is_refused(self, given: str | None) -> bool:
        writes = self.command not in ("GET", "HEAD")
        if self.front.auth == "none":
            return False
        user = self.front.user(given)
        known = user is not None
        if self.front.auth == "token":
            scope, user = self.front.tokens.get((given or "").removeprefix("Bearer "), ("", None))
            known = bool(scope)
        if not known:
            challenge = {
                "basic": 'Basic realm="registry"',
                "token": f'Bearer realm="{self.front.realm}",service="tests, of a registry",scope="repository:x:pull"',
            }[self.front.auth]
            self._drain()
            self.send(401, _error("UNAUTHORIZED"), {"WWW-Authenticate": challenge})
            return True
        if writes and user not in self.front.writers:
            self._drain()
            self.send(403, _error("DENIED"))
            return True
        return False

    def _drain(self) -> None:
        left = int(self.headers.get("Content-Length") or 0)
        while left and (piece := self.rfile.read(min(PIECE, left))):
            left -= len(piece)

    def _forward(self, fault: Fault | None) -> None:
        connection = http.client.HTTPConnection(self.front.upstream, timeout=30)
        headers = {name: value for name, value in self.headers.items() if name.lower() in FORWARDED}
        try:
            connection.putrequest(self.command, self.path)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders()
            left = int(self.headers.get("Content-Length") or 0)
            while left and (piece := self.rfile.read(min(PIECE, left))):
                left -= len(piece)
                self.front.received += len(piece)
                connection.send(piece)
            self._pass_on(connection.getresponse(), fault)
        finally:
            connection.close()

    def _pass_on(self, answer: http.client.HTTPResponse, fault: Fault | None) -> None:
        content = answer.read()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() in RETURNED and name.lower() != "content-length":
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        if fault is not None and fault.then == "flip":
            place = fault.after
            content = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        elif fault is not None:
            self.wfile.write(content[: fault.after])
            self.wfile.flush()
            if fault.then == "hang":
                time.sleep(fault.seconds)
            self.close_connection = True
            return
        self.wfile.write(content)


def _error(code: str) -> bytes:
    said = "a secret that must not be quoted"
    return json.dumps({"errors": [{"code": code, "message": said, "detail": said}]}).encode()
