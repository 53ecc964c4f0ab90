"""Layers that are archives of files: what is in them, in bounded memory and without unpacking anything to the disk.

Only regular files are found. A later layer replaces and deletes files of those below it, as the image specification
says: `.wh.NAME` deletes NAME, `.wh..wh..opq` all that lies beside it."""

import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from modelwright_stores.registry.manifests import clean

BLOCK = 512
PIECE = 1 << 20
MAX_HEADER_BYTES = 1 << 20
# Of all layers of an image together: what they unpack to, and what it takes to remember the names in them.
MAX_UNPACKED_BYTES = 32 << 30
MAX_NAMES_BYTES = 64 << 20
NAME_BYTES = 200
HIDES, HIDES_ALL = ".wh.", ".wh..wh..opq"
GZIP = b"\x1f\x8b"
NAMING = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)


class ArchiveError(Exception):
    """A layer that is no archive as it should be; the message completes `A layer of IMAGE ...`."""


@dataclass
class Budget:
    """What may still be read of an image, and remembered of it."""

    unpacked: int = field(default_factory=lambda: MAX_UNPACKED_BYTES)
    names: int = field(default_factory=lambda: MAX_NAMES_BYTES)

    def unpack(self, size: int) -> None:
        """Count in bytes. ArchiveError."""
        self.unpacked -= size
        if self.unpacked < 0:
            raise ArchiveError(f"unpacks, with the others, to more than {MAX_UNPACKED_BYTES} bytes")

    def remember(self, path: str) -> None:
        """Count in a name. ArchiveError."""
        self.names -= len(path) + NAME_BYTES
        if self.names < 0:
            raise ArchiveError("holds, with the others, more names than can be read")


@dataclass(frozen=True)
class Member:
    """A path in an archive. `place`: how many members come before it. `is_file`: a regular file, not a link, a folder
    or something else; a link is not followed."""

    path: str
    size: int
    place: int
    is_file: bool
    is_folder: bool = False


class Archive:
    """A tar archive that is read once, from its beginning to its end."""

    def __init__(self, pieces: Iterator[bytes], packing: str, budget: Budget | None = None) -> None:
        """Of the bytes of a layer that is packed as `tar` or `gzip`. `budget`: that of the image."""
        self.budget = budget or Budget()
        self._packed = pieces
        self._pieces = _gunzipped(pieces) if packing == "gzip" else pieces
        self._buffer, self._left = b"", 0

    def members(self) -> Iterator[Member]:
        """All paths in their order. ArchiveError."""
        longer: dict[str, str] = {}
        place = 0
        while (block := self._header()) is not None:
            info = _parsed(block)
            if info.type in NAMING:
                longer |= self._longer(info)
                continue
            path, size = clean(longer.get("path", info.name)), _size(longer, info)
            has_data = info.isreg() or info.type not in tarfile.SUPPORTED_TYPES
            self._left = size if has_data else 0
            if path is not None:
                whole = info.isreg() and not info.issparse() and "sparse" not in longer
                yield Member(path, size, place, whole, info.isdir())
            self._skip(self._left + (-size % BLOCK if has_data else 0))
            longer, place = {}, place + 1

    def data(self) -> Iterator[bytes]:
        """The bytes of the member that was given last."""
        while self._left:
            piece = self._some(self._left)
            self._left -= len(piece)
            yield piece

    def finish(self) -> None:
        """Read the layer to its end, so that its digest is compared."""
        for _ in self._packed:
            pass

    def _header(self) -> bytes | None:
        """The next header; None at the end."""
        if not self._buffer and not self._fill():
            return None
        block = self._exactly(BLOCK)
        return block if block.strip(b"\0") else None

    def _longer(self, info: tarfile.TarInfo) -> dict[str, str]:
        """What the member that follows is called, and how large it is, where its own header has no room for it."""
        if info.size > MAX_HEADER_BYTES:
            raise ArchiveError("holds a header of more than 1 MiB")
        content = self._exactly(info.size)
        self._skip(-info.size % BLOCK)
        if info.type == tarfile.GNUTYPE_LONGNAME:
            return {"path": content.rstrip(b"\0").decode("utf-8", "surrogateescape")}
        return _records(content) if info.type in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE) else {}

    def _exactly(self, size: int) -> bytes:
        pieces = []
        while size:
            pieces.append(self._some(size))
            size -= len(pieces[-1])
        return b"".join(pieces)

    def _skip(self, size: int) -> None:
        while size:
            size -= len(self._some(size))
        self._left = 0

    def _some(self, size: int) -> bytes:
        """One byte or more, at most `size`."""
        if not self._buffer and not self._fill():
            raise ArchiveError("ends in the middle of a file")
        piece, self._buffer = self._buffer[:size], self._buffer[size:]
        return piece

    def _fill(self) -> bool:
        for piece in self._pieces:
            self.budget.unpack(len(piece))
            if piece:
                self._buffer = piece
                return True
        return False


def found(archive: Archive) -> dict[str, Member]:
    """What a layer holds, by path. Of a path that is there twice the last one counts. ArchiveError."""
    members: dict[str, Member] = {}
    for member in archive.members():
        archive.budget.remember(member.path)
        members[member.path] = member
    archive.finish()
    return members


class Covers:
    """What the layers above hide of those below: walk from the topmost layer down."""

    def __init__(self) -> None:
        self._paths: set[str] = set()

    def hides(self, path: str) -> bool:
        """Whether a path of the layer at hand is replaced or deleted by a layer above it."""
        if not self._paths:
            return False
        parts = path.split("/")
        return any("/".join(parts[:end]) in self._paths for end in range(1, len(parts) + 1)) or any(
            "/".join((*parts[:end], HIDES_ALL)) in self._paths for end in range(len(parts))
        )

    def add(self, members: Mapping[str, Member]) -> None:
        """Count in a layer that lies above the ones to come."""
        for path, member in members.items():
            folder, _, name = path.rpartition("/")
            if name == HIDES_ALL:
                self._paths.add(path)
            elif name.startswith(HIDES):
                self._paths.add(f"{folder}/{name[len(HIDES) :]}".lstrip("/"))
            elif not member.is_folder:
                self._paths.add(path)


def is_mark(path: str) -> bool:
    """Whether a path is a sign of deletion and no file."""
    return path.rpartition("/")[2].startswith(HIDES)


def _parsed(block: bytes) -> tarfile.TarInfo:
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        raise ArchiveError("is no tar archive") from None
    if info.type == tarfile.GNUTYPE_SPARSE or info.size < 0:
        raise ArchiveError("holds a sparse file, which cannot be read")
    return info


def _size(longer: Mapping[str, str], info: tarfile.TarInfo) -> int:
    text = longer.get("size", "")
    if text and not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ArchiveError("is no tar archive")
    return int(text) if text else info.size


def _records(content: bytes) -> dict[str, str]:
    """The records `LENGTH KEY=VALUE\\n` of a pax header that count here."""
    found: dict[str, str] = {}
    start = 0
    while start < len(content):
        blank = content.find(b" ", start, start + 8)
        length = content[start:blank]
        if blank < 0 or not length.isdigit() or not blank < start + int(length) <= len(content):
            break
        key, _, value = content[blank + 1 : start + int(length) - 1].partition(b"=")
        start += int(length)
        if key in (b"path", b"size"):
            found[key.decode()] = value.decode("utf-8", "surrogateescape")
        elif key.startswith(b"GNU.sparse."):
            found["sparse"] = "true"
    return found


def _gunzipped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """What gzip packed, in pieces of at most PIECE bytes."""
    unpacker = zlib.decompressobj(wbits=31)
    for piece in pieces:
        rest = piece
        while rest or unpacker.unconsumed_tail:
            if unpacker.eof:
                if not rest.startswith(GZIP):
                    break
                unpacker = zlib.decompressobj(wbits=31)
            try:
                yield unpacker.decompress(rest, PIECE)
            except zlib.error:
                raise ArchiveError("is not packed with gzip as its manifest says") from None
            rest = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
