"""A server that answers as a test says: with a status and a code of S3, or with what is no answer of a store at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from support.stores.certificates import Certificates
from support.stores.listening import Handler, listening

XML = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{}</Code><Message>{}</Message></Error>'
# What no message may hold: it stands in every answer.
QUOTED = "hunter2-internal-secret"


@dataclass
class Answering:
    """A running server. `answer` is called for each request; `asked` are the requests: method, path, headers; `bodies`
    their bodies."""

    answer: Callable[[Handler], None]
    endpoint: str = ""
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)


def refusing(status: int, code: str = "", message: str = "") -> Callable[[Handler], None]:
    """Answer each request with an error of S3."""

    def answer(handler: Handler) -> None:
        text = XML.format(code, f"{message} {QUOTED}") if code else QUOTED
        handler.send(status, text.encode(), {"Content-Type": "application/xml"})

    return answer


@contextmanager
def answering(answer: Callable[[Handler], None], tls: Certificates | None = None) -> Iterator[Answering]:
    """A server on loopback."""
    running = Answering(answer)

    class Bound(Handler):
        def answer(self) -> None:
            running.bodies.append(self.body())
            running.asked.append((self.command, self.path, dict(self.headers.items())))
            running.answer(self)

    with listening(Bound, tls=tls) as endpoint:
        running.endpoint = endpoint
        yield running
