"""What an answer of a web server means. Nothing of it is quoted: a message may be read by more people than the data."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPResponse, IncompleteRead

from modelwright_stores.access import Access
from modelwright_stores.failures import StoreError
from modelwright_stores.resuming import Head
from modelwright_stores.web.connection import explained

DENIED = (403, 407)
GONE = (404, 410)
BUSY = (202, 408, 425, 429)
# An etag that changes with every byte: not a weak one, and none that could not be sent back.
STRONG = re.compile(r'"[\x21\x23-\x7e]{1,256}"')
# Characters of what says less than a strong etag.
WEAK = 1024
RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII)
PIECE = 256 << 10
SOON = 0.5


@dataclass(frozen=True)
class Answer:
    """An answer, what messages call who gave it, and how it was asked.

    `credentials`: whether they were sent; None if a redirect to another host has dropped them. `receive`: reads what
    http.client has not read ahead."""

    response: HTTPResponse
    called: str
    access: Access
    credentials: bool | None
    receive: Callable[[memoryview], int]

    @property
    def status(self) -> int:
        return self.response.status

    @property
    def etag(self) -> str | None:
        """The etag, if it is a strong one."""
        etag = self.response.headers.get("ETag", "")
        return etag if STRONG.fullmatch(etag) else None

    @property
    def mark(self) -> str | None:
        """What probably changes when the file does: the etag, else a weak one or the time of its last change. None if
        it names none of them."""
        weak, modified = (self.response.headers.get(name, "") for name in ("ETag", "Last-Modified"))
        return self.etag or weak[:WEAK] or modified[:WEAK] or None

    def whole(self) -> Head:
        """What it says of the file, if it has all of it. What the status stands for is raised; StoreAnswerInvalid."""
        if self.status != 200:
            raise self.refusal()
        lengths = set(self.response.headers.get_all("Content-Length", []))
        if len(lengths) > 1 or not all(re.fullmatch(r"\d{1,18}", text, re.ASCII) for text in lengths):
            raise self._invalid("with a Content-Length that is no number")
        # A body in chunks has an end of its own, whatever the length says.
        size = int(lengths.pop()) if lengths and not self.response.chunked else None
        return Head(size, self.etag)

    def part(self) -> tuple[int, Head]:
        """The first byte of a part, and what is said of the file. StoreAnswerInvalid."""
        found = RANGE.fullmatch(self.response.headers.get("Content-Range", ""))
        if found is None:
            raise self._invalid("with a part of the file and does not say which")
        return int(found[1]), Head(None if found[3] == "*" else int(found[3]), self.etag)

    def pieces(self) -> Iterator[bytes]:
        """The bytes of the answer, at most PIECE at a time. StoreUnavailable (passing) if they end too early."""
        buffer = memoryview(bytearray(PIECE))
        fill = self._chunk if self.response.chunked else self._ahead
        failure, size = None, 1
        while size and failure is None:
            filled, since = 0, time.monotonic()
            try:
                with explained(self.called, self.access.field):
                    while size and filled < PIECE and time.monotonic() < since + SOON:
                        size = fill(buffer[filled:])
                        filled += size
                        fill = fill if self.response.chunked else self._rest
            except StoreError as error:  # what came before it is passed on first
                failure = error
            if filled:
                yield bytes(buffer[:filled])
        if failure is not None:
            raise failure

    def refusal(self) -> StoreError:
        """What a status stands for that is no success."""
        answers = f"{self.called} answers {self.status}"
        if self.status in GONE:
            return StoreError("DataNotFound", f"{answers}: there is no such file.")
        if self.status == 401 or self.status in DENIED:
            return self._denial(answers)
        if self.status in BUSY or self.status >= 500:
            return StoreError("StoreUnavailable", f"{answers}.", passing=True)
        return StoreError("StoreAnswerInvalid", f"{answers}, which is no answer to a download.")

    def _denial(self, answers: str) -> StoreError:
        secret = f"{self.access.field}.secretRef"
        if self.credentials is None:
            return StoreError(
                "AccessDenied",
                f"{answers}. Another host gets no credentials: name the URI that it redirects to.",
            )
        if self.status != 401:
            remedy = f"It may need credentials: set {secret}."
            if self.credentials:
                remedy = f"Give the user of Secret {self.access.secret} the right to read it."
            return StoreError("AccessDenied", f"{answers}: the file may not be read. {remedy}")
        if self.credentials:
            return StoreError(
                "CredentialsRefused",
                f"{secret}: {answers} to the credentials in Secret {self.access.secret}. Correct them.",
            )
        return StoreError("NoCredentials", f"{answers}: it asks for credentials. Set {secret}.")

    def _chunk(self, view: memoryview) -> int:
        """Read some bytes of a body in chunks; 0 at the end."""
        piece = self.response.read1(min(len(view), 1 << 16))
        view[: len(piece)] = piece
        return len(piece)

    def _ahead(self, view: memoryview) -> int:
        """Read what http.client has read ahead, or some bytes if there is nothing."""
        return self._bounded(self.response.fp.readinto1, view)

    def _rest(self, view: memoryview) -> int:
        """Read some bytes past http.client, which takes longer than decrypting them does; 0 at the end."""
        return self._bounded(self.receive, view)

    def _bounded(self, read: Callable[[memoryview], int], view: memoryview) -> int:
        left = self.response.length
        if left == 0:
            return 0
        size = read(view if left is None else view[:left])
        if left is not None:
            if not size:
                raise IncompleteRead(b"", left)
            self.response.length = left - size
        return size

    def _invalid(self, how: str) -> StoreError:
        return StoreError("StoreAnswerInvalid", f"{self.called} answers {how}.", passing=True)
