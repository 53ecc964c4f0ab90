"""Copies a stored file to scratch space of the step's own: its digest is that of the bytes that are parsed.

What is compressed is unpacked on the way, and UTF-16 becomes UTF-8. Both are bounded by what comes out."""

import codecs
import hashlib
import io
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from modelwright_training.errors import InputError, storage
from modelwright_training.files import CHUNK
from modelwright_training.untyped import Buffer, Stream

# What is left of the scratch space for the node and for what is written later.
SPARE = 0.1
CODECS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bz2"}
WIDE = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@dataclass(frozen=True)
class Kept:
    """A copy of a file: `digest` and `size` (bytes) are those of the file as it is stored."""

    path: Path
    digest: str
    size: int


class _Hashed(io.RawIOBase):
    """Passes on what a file holds, and hashes exactly that."""

    def __init__(self, file: Stream) -> None:
        self.file, self.sha256, self.size = file, hashlib.sha256(), 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        count: int = self.file.readinto(buffer)
        self.sha256.update(memoryview(buffer)[:count])
        self.size += count
        return count


@dataclass(frozen=True)
class Bound:
    """How many bytes may come out of a file, and a sentence that says why and what to do."""

    size: int
    why: str


def keep(file: Stream, path: Path, name: str, bound: Bound) -> Kept:
    """Copy what `file` holds to `path`, unpacked; InputError DataTooLarge where more comes out than may."""
    hashed = _Hashed(file)
    stored = io.BufferedReader(hashed, CHUNK)
    free = int(shutil.disk_usage(path.parent).free * (1 - SPARE))
    if free < bound.size:
        bound = Bound(free, f"The pod has {free} bytes of scratch space (the emptyDir at /tmp) to spare.")
    size = 0
    with storage("Writing the data"):
        target = path.open("wb")
    with target:
        for chunk in _text(_unpacked(stored, name), name):
            size += len(chunk)
            if size > bound.size:
                unpacks = f"its first {hashed.size} bytes unpack to" if size > hashed.size else "it has"
                message = f"{name} is too large: {unpacks} more than {bound.size} bytes. {bound.why}"
                raise InputError("DataTooLarge", message)
            with storage("Writing the data"):
                target.write(chunk)
    return Kept(path, f"sha256:{hashed.sha256.hexdigest()}", hashed.size)


def _unpacked(stored: Stream, name: str) -> Iterator[bytes]:
    start = stored.peek(8)
    codec = next((codec for magic, codec in CODECS.items() if start.startswith(magic)), None)
    if codec is None:
        yield from iter(lambda: stored.read(CHUNK), b"")
        return
    try:
        stream = pa.CompressedInputStream(stored, codec)
        yield from iter(lambda: stream.read(CHUNK), b"")
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(
            "DataUnreadable", f"Unpacking {name} ({codec}) failed: {error}. Is the file whole?"
        ) from error


def _text(chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    """The chunks as they are; those of UTF-16 or UTF-32 with a byte order mark as UTF-8."""
    first = next(chunks, b"")
    encoding = next((encoding for mark, encoding in WIDE.items() if first.startswith(mark)), None)
    change: Callable[[bytes, bool], bytes] = lambda chunk, final: chunk  # noqa: E731
    if encoding is not None:
        decoder = codecs.getincrementaldecoder(encoding)()
        change = lambda chunk, final: decoder.decode(chunk, final).encode()  # noqa: E731
    try:
        yield change(first, False)
        for chunk in chunks:
            yield change(chunk, False)
        yield change(b"", True)
    except UnicodeError as error:
        raise InputError("DataUnreadable", f"{name} is broken {encoding} text. Save it as UTF-8.") from error
