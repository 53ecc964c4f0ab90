"""One layer, as bytes, read from any byte on. Who reads all of it compares the digest."""

from collections.abc import Iterator

from modelwright_stores.failures import StoreError
from modelwright_stores.registry.manifests import Layer
from modelwright_stores.registry.session import Answer, Session
from modelwright_stores.resuming import Head


class Blob:
    """A layer as a file (resuming.File), under a name of its own. Its etag is the digest of its bytes, which `stream`
    and `download` compare: here a part may be read alone."""

    def __init__(self, session: Session, layer: Layer, name: str, shown: str) -> None:
        self.session, self.layer, self.name, self.shown = session, layer, name, shown

    def head(self) -> Head:
        """As the manifest has it: no request."""
        return Head(self.layer.size, self.layer.digest)

    def read(self, start: int, head: Head) -> Iterator[bytes]:
        """Its bytes from `start` on. FileChanged (passing), DigestMismatch for more bytes than the manifest says."""
        if head.etag != self.layer.digest:
            raise StoreError("FileChanged", f"{self.shown} is another file now.", passing=True)
        url, reached = self.session.url(f"blobs/{self.layer.digest}"), start
        if start >= self.layer.size:
            return
        # Some registries know no range without an end.
        ranges = {"Range": f"bytes={start}-{self.layer.size - 1}"} if start else {}
        with self.session.asked("GET", url, headers=ranges) as answer:
            skip = self._skip(answer, start)
            reached = start - skip
            for piece in answer.pieces():
                wanted = piece[max(0, start - reached) :]
                reached += len(piece)
                if reached > self.layer.size:
                    raise StoreError("DigestMismatch", f"{self.shown} has more bytes than its manifest says.")
                if wanted:
                    yield wanted
        if reached < self.layer.size:
            message = f"{self.shown} ended after {reached} of {self.layer.size} bytes."
            raise StoreError("StoreUnavailable", message, passing=True)

    def _skip(self, answer: Answer, start: int) -> int:
        """How many bytes of the answer lie before `start`: all of them in an answer that knows no ranges."""
        if answer.status == 206 and start:
            if not answer.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                raise self.session.invalid("answers with other bytes than it was asked for")
            return 0
        if answer.status != 200:
            raise self.session.refused(answer)
        return start
