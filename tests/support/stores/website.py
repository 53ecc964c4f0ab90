"""A web server with files that need a password or a token, and with paths that lead to another host."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from support.stores.certificates import Certificates
from support.stores.listening import Handler, listening


@dataclass
class Website:
    """A running server. Below `/basic/` a request needs the password, below `/bearer/` the token.

    `/moved/NAME` needs the password and leads to `elsewhere`, another host, which asks for nothing. `asked` has the
    paths and the credentials of requests."""

    endpoint: str = ""
    elsewhere: str = ""
    username: str = "trainer"
    password: str = field(default_factory=lambda: secrets.token_urlsafe(20))
    token: str = field(default_factory=lambda: secrets.token_urlsafe(20))
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    def needed(self, path: str) -> str | None:
        """The header Authorization that a path needs."""
        if path.startswith(("/basic/", "/moved/")):
            pair = f"{self.username}:{self.password}".encode()
            return f"Basic {base64.b64encode(pair).decode()}"
        return f"Bearer {self.token}" if path.startswith("/bearer/") else None


@contextmanager
def website(tls: Certificates, host: str, other_host: str) -> Iterator[Website]:
    """A server over TLS at one address, and where it leads to at another."""
    made = Website()

    class Bound(_Serving):
        site = made

    with listening(Bound, host, tls) as made.endpoint, listening(Bound, other_host, tls) as made.elsewhere:
        yield made


class _Serving(Handler):
    site: Website

    def answer(self) -> None:
        path, given = self.path.partition("?")[0], self.headers.get("Authorization")
        self.site.asked.append((path, given))
        needed = self.site.needed(path)
        name = path.rpartition("/")[2]
        if needed is not None and given != needed:
            self.send(401, headers={"WWW-Authenticate": f'{needed.partition(" ")[0]} realm="files"'})
        elif path.startswith("/moved/"):
            self.send(302, headers={"Location": f"{self.site.elsewhere}/open/{name}"})
        elif name in self.site.files:
            self.send(200, self.site.files[name])
        else:
            self.send(404)
