"""Request lines to endpoints: a table of exact targets, and an answer for every other one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes, urlsplit

from modelwright_serving.http import responses
from modelwright_serving.http.exchange import Endpoint, Exchange
from modelwright_serving.http.head import KnownHeads
from modelwright_serving.http.responses import Response


@dataclass(frozen=True, slots=True)
class Document:
    """An endpoint that answers from what is known at that moment; reads no body."""

    render: Callable[[], Response]
    takes_body: bool = False

    def handle(self, exchange: Exchange) -> None:
        exchange.respond(self.render())


class Routes:
    """Paths with the methods each takes."""

    def __init__(self, missing: Callable[[str], Response]) -> None:
        self._endpoints: dict[bytes, Mapping[bytes, Endpoint]] = {}
        self._queried: dict[bytes, Callable[[bytes], Endpoint]] = {}
        self._missing = missing
        self.known_heads = KnownHeads()

    def get(self, path: str, render: Callable[[], Response]) -> None:
        self.add(path, Document(render), b"GET", b"HEAD")

    def post(self, path: str, endpoint: Endpoint) -> None:
        self.add(path, endpoint, b"POST")

    def add(self, path: str, endpoint: Endpoint, *methods: bytes) -> None:
        self._endpoints[path.encode()] = dict.fromkeys(methods, endpoint)

    def get_queried(self, path: str, make: Callable[[bytes], Endpoint]) -> None:
        """The endpoint of a path that depends on the query."""
        self._queried[path.encode()] = make

    def route(self, method: bytes, target: bytes) -> Endpoint:
        methods = self._endpoints.get(target)
        if methods is None:
            path = _path(target)
            methods = self._endpoints.get(path)
            if path in self._queried:
                asked = self._queried[path](target.partition(b"?")[2])
                methods = {b"GET": asked, b"HEAD": asked}
            if methods is None:
                return Document(lambda: self._missing(path.decode("utf-8", "replace")))
        endpoint = methods.get(method)
        if endpoint is None:
            allowed = b", ".join(methods)
            return Document(lambda: responses.method_not_allowed(allowed))
        return endpoint


def _path(target: bytes) -> bytes:
    """The path alone: without query, escapes and trailing slash; a proxy's absolute form is a path, too."""
    if not target.startswith(b"/"):
        try:
            target = urlsplit(target).path
        except ValueError:
            return target
    path = unquote_to_bytes(target.partition(b"?")[0])
    return path.rstrip(b"/") or b"/"
