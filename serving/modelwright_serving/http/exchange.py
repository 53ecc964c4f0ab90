"""One request and the response it is owed. Reading and writing bytes is left to the connection."""

from collections.abc import Callable, Mapping
from typing import Protocol

from modelwright_serving.http.encoding import Unpacking
from modelwright_serving.http.head import KnownHeads
from modelwright_serving.http.responses import Response
from modelwright_serving.memory import Account

_NONE: Mapping[bytes, bytes] = {}


class Owner(Protocol):
    """The connection an exchange belongs to."""

    @property
    def account(self) -> Account:
        """What the caller's address holds."""
        ...

    def answered(self, exchange: "Exchange") -> None: ...


class Exchange:
    """A request as its endpoint sees it; `respond` may be called now or in a later turn, once.

    `headers`: the last of each name in lower case. `echo`: header lines that the answer repeats.
    """

    __slots__ = (
        "_owner",
        "body",
        "echo",
        "endpoint",
        "header_length",
        "headers",
        "held",
        "http10",
        "keep_alive",
        "method",
        "on_gone",
        "response",
        "settled",
        "unpacking",
    )

    def __init__(self, owner: Owner, endpoint: "Endpoint", method: bytes) -> None:
        self._owner = owner
        self.endpoint = endpoint
        self.method = method
        self.body = b""
        self.held = 0  # bytes of what is made of the body, in the caller's account
        self.echo = b""
        self.header_length: int | None = None
        self.headers: Mapping[bytes, bytes] = _NONE
        self.keep_alive = True
        self.http10 = False
        self.response: Response | None = None
        self.settled = False
        self.unpacking: Unpacking | None = None
        self.on_gone: Callable[[], None] | None = None

    @property
    def account(self) -> Account:
        """What the caller's address holds."""
        return self._owner.account

    def hold(self, size: int) -> bool:
        """Count what is made of the body, until the answer; False if the caller's address may not hold it."""
        if not self.account.take(size):
            return False
        self.held += size
        return True

    def respond(self, response: Response) -> None:
        if self.settled:
            return
        self.settled = True
        self.response = response
        self._owner.answered(self)

    def abandon(self) -> None:
        """The caller has gone; work on an answer may stop."""
        if not self.settled:
            self.settled = True
            if self.on_gone is not None:
                self.on_gone()


class Endpoint(Protocol):
    """What a path leads to."""

    @property
    def takes_body(self) -> bool: ...

    def handle(self, exchange: Exchange) -> None: ...


class Application(Protocol):
    """Finds the endpoint for a request line; always finds one, if only to say why there is none."""

    @property
    def known_heads(self) -> KnownHeads: ...

    def route(self, method: bytes, target: bytes) -> Endpoint: ...
