"""A file of a web server: what it says of the file, and the bytes from any place on."""

import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from modelwright_stores.access import Access
from modelwright_stores.addresses import origin
from modelwright_stores.failures import StoreError
from modelwright_stores.resuming import Head
from modelwright_stores.web import uris
from modelwright_stores.web.answers import Answer
from modelwright_stores.web.connection import SILENCE, Connection, explained, trusting
from modelwright_stores.web.credentials import authorization

MOVED = (301, 302, 303, 307, 308)
REDIRECTS = 5
AGENT = {"User-Agent": "modelwright"}


class WebFile:
    """A file at an https:// uri. Each method raises StoreError.

    `mark`: what probably changes when the file does, as `head` or `begin` has found it; None if the server says no such
    thing. Redirects are followed as long as they stay encrypted; another host or port gets no credentials."""

    def __init__(self, uri: str, access: Access, silence: float = SILENCE) -> None:
        """`silence`: how many seconds the server may take to answer, redirects included, and then may send nothing.

        UriUnsupported; connects to nothing yet."""
        self._uri = uris.checked(uri)
        self._access, self._silence = access, silence
        self._trust: ssl.SSLContext | None = None
        self.name = Path(urlsplit(self._uri).path).name
        self.shown = uris.public(uri)
        self.mark: str | None = None

    def head(self) -> Head:
        """What the server says of the file, as it answers for the first byte. DataNotFound."""
        with self._answer({"Range": "bytes=0-0"}) as answer:
            self.mark = answer.mark
            if answer.status == 206:
                return answer.part()[1]
            if answer.status != 416:
                return answer.whole()
        # An empty file has no first byte.
        with self._answer({}) as answer:
            self.mark = answer.mark
            return answer.whole()

    def begin(self) -> tuple[Head, Iterator[bytes]]:
        """What the server says of the file, and its bytes, of one answer: a link may work only once. DataNotFound."""
        answering = ExitStack()
        try:
            answer = answering.enter_context(self._answer({}))
            self.mark = answer.mark
            return answer.whole(), _Begun(answer.pieces(), answering)
        except BaseException:
            answering.close()
            raise

    def read(self, start: int, head: Head) -> Iterator[bytes]:
        """The bytes from `start` on. FileChanged (passing) if the file is no longer the one of `head`."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        if start and head.etag is not None:
            headers["If-Range"] = head.etag
        with self._answer(headers) as answer:
            if start and answer.status in (412, 416):
                raise self._changed()
            first, found = answer.part() if start and answer.status == 206 else (0, answer.whole())
            self._compare(start, head, found)
            if first not in (0, start):
                raise StoreError(
                    "StoreAnswerInvalid", f"{answer.called} sends other bytes than asked for.", passing=True
                )
            # A server that knows no ranges sends all: what is there already is read again and left out.
            known = start - first
            for piece in answer.pieces():
                kept = piece[known:] if known else piece
                known -= len(piece) - len(kept)
                if kept:
                    yield kept

    def _compare(self, start: int, head: Head, found: Head) -> None:
        """FileChanged, if an answer is not of the file that `head` is of."""
        if None not in (head.size, found.size) and head.size != found.size:
            raise self._changed()
        # An answer with all bytes is whole by itself, so it need not name what the first one did.
        if head.etag != found.etag and (start or None not in (head.etag, found.etag)):
            raise self._changed()

    def _changed(self) -> StoreError:
        return StoreError("FileChanged", f"{self.shown} has changed while it was read.", passing=True)

    @contextmanager
    def _answer(self, headers: Mapping[str, str]) -> Iterator[Answer]:
        """The answer to a GET, after redirects."""
        uri, called = self._uri, self.shown
        credentials = authorization(self._access)
        sent: bool | None = credentials is not None
        self._trust = self._trust or trusting(self._access)
        end = time.monotonic() + self._silence
        for _ in range(REDIRECTS + 1):
            with closing(Connection(uri, self._access, called, self._silence, self._trust)) as connection:
                connection.deadline = end
                own = {"Authorization": credentials} if credentials else {}
                with explained(called, self._access.field):
                    connection.request("GET", uris.target(uri), headers={**AGENT, **headers, **own})
                    response = connection.getresponse()
                with closing(response):
                    if response.status not in MOVED:
                        connection.deadline = None
                        yield Answer(response, called, self._access, sent, connection.receive)
                        return
                    location = response.headers.get("Location", "")
            uri, before = uris.redirected(uri, location, self.shown), uri
            if credentials and origin(uri) != origin(before):
                credentials, sent = None, None
            called = f"{self.shown} (after a redirect)"
        raise StoreError("StoreAnswerInvalid", f"{self.shown} redirects more than {REDIRECTS} times.")


class _Begun(Iterator[bytes]):
    """The bytes of an answer that is there already. It ends with them, or when it is closed."""

    def __init__(self, pieces: Iterator[bytes], answering: ExitStack) -> None:
        self._pieces, self._answering = pieces, answering

    def __next__(self) -> bytes:
        return next(self._pieces)

    def close(self) -> None:
        """End the connection."""
        self._answering.close()
