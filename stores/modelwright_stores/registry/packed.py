"""A file in a layer that is an archive. It is read by reading the whole layer, whose digest is compared before the last
bytes of the file are given."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from modelwright_stores.failures import StoreError
from modelwright_stores.registry.archives import Archive, ArchiveError, Budget, Member
from modelwright_stores.registry.blobs import Blob
from modelwright_stores.registry.manifests import Layer
from modelwright_stores.registry.session import Session
from modelwright_stores.resuming import File, Head, Patience, stream

PATIENCE = Patience(silent=60)
PIECE = 1 << 20
# Each file of a layer reads all of it. More than so many files may read so much in all.
FEW, MOST_READ = 20, 16 << 30


class Packed:
    """A file of an archive as a file (resuming.File)."""

    def __init__(self, session: Session, layer: Layer, member: Member, name: str, shown: str) -> None:
        self.session, self.layer, self.member = session, layer, member
        self.image = session.reference.shown
        self.name, self.shown = name, shown

    def head(self) -> Head:
        """As the archive has it: no request."""
        return Head(self.member.size, f"{self.member.place} in {self.layer.digest}")

    def read(self, start: int, head: Head) -> Iterator[bytes]:
        """Its bytes from `start` on. FileChanged (passing), DigestMismatch."""
        if head.etag != self.head().etag:
            raise StoreError("FileChanged", f"{self.shown} is another file now.", passing=True)
        with opened(self.session, self.layer, self.shown) as archive:
            for member in archive.members():
                if member.place == self.member.place:
                    yield from self._rest(archive, start)
                    return
            raise ArchiveError("is not what it was")

    def _rest(self, archive: Archive, start: int) -> Iterator[bytes]:
        """The bytes from `start` on, the last of them after the layer was read to its end."""
        held, reached = b"", 0
        for piece in archive.data():
            wanted = piece[max(0, start - reached) :]
            reached += len(piece)
            if wanted:
                if held:
                    yield held
                held = wanted
        archive.finish()
        if held:
            yield held


def check_cost(files: Iterable[File]) -> None:
    """Check that files which are read one after the other do not read a large layer too often. UriUnsupported."""
    packed = [file for file in files if isinstance(file, Packed)]
    for digest, number in Counter(file.layer.digest for file in packed).items():
        file = next(file for file in packed if file.layer.digest == digest)
        if number > FEW and number * file.layer.size > MOST_READ:
            raise StoreError(
                "UriUnsupported",
                f"{file.image}: {number} files are packed in one layer of {file.layer.size} bytes, and each of them "
                f"costs a read of it. Push files as layers of their own (oras push), or at most {FEW} larger ones.",
            )


def layer_bytes(session: Session, layer: Layer, shown: str) -> Iterator[bytes]:
    """All bytes of a layer, gone on with where a connection broke off. DigestMismatch."""
    if layer.packing == "zstd":
        raise StoreError(
            "UriUnsupported",
            f"{shown}: a layer is packed with zstd, which is not read. Pack it with gzip, or push the file as a layer "
            "of its own (docs/stores.md).",
        )
    with stream(Blob(session, layer, "", shown), layer.size, PATIENCE) as raw:
        while piece := raw.read(PIECE):
            yield piece


@contextmanager
def opened(session: Session, layer: Layer, shown: str, budget: Budget | None = None) -> Iterator[Archive]:
    """The archive that a layer is. StoreAnswerInvalid for one that is none, or that is beyond the budget."""
    pieces = layer_bytes(session, layer, shown)
    try:
        yield Archive(pieces, layer.packing or "tar", budget)
    except ArchiveError as error:
        for _ in pieces:  # if a byte is wrong, then that is the reason
            pass
        raise StoreError("StoreAnswerInvalid", f"{shown}: a layer {error}.") from error
