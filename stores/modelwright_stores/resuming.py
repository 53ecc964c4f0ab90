"""Reads one file to its end, whatever happens to the connection: the next try goes on at the byte that was reached."""

import hashlib
import io
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Semaphore, Thread
from typing import Protocol, Self, TypeVar, runtime_checkable

from modelwright_stores.failures import StoreError
from modelwright_stores.untyped import Buffer

SHORTEST, LONGEST = 0.2, 10.0
PIECE = 1 << 20
DIGEST = "sha256:"
# How an etag begins that is only the time of the last change. Two changes of one second have the same.
MODIFIED = "modified "
# Pieces that are read, and not yet hashed or not yet written.
WAITING = 4
# Bytes of one write. Linux takes a larger page for a larger write, which costs twice the time at 1 MiB.
WRITTEN = 128 << 10

Result = TypeVar("Result")


@dataclass(frozen=True)
class Head:
    """What a store says of a file before its bytes: the size, None if it does not say; and what changes with the bytes,
    None if it has no such thing. An etag `sha256:HEX` is the digest of the bytes; one that begins with MODIFIED is a
    hint for callers who compare a digest of their own, as those of `download` do."""

    size: int | None
    etag: str | None

    @property
    def proves(self) -> bool:
        """Whether two answers with this head are of the same bytes."""
        return self.etag is not None and not self.etag.startswith(MODIFIED)


class File(Protocol):
    """One file in some store. Each method raises StoreError."""

    @property
    def name(self) -> str:
        """The last part of its path."""
        ...

    @property
    def shown(self) -> str:
        """Its uri as messages may show it: without a query."""
        ...

    def head(self) -> Head:
        """What the store says of it. DataNotFound."""
        ...

    def read(self, start: int, head: Head) -> Iterator[bytes]:
        """Its bytes from `start` on. FileChanged (passing) if it is no longer the one of `head`."""
        ...


@runtime_checkable
class Beginning(Protocol):
    """A file that says what it is and begins with its bytes in one answer, as some servers only answer once."""

    def begin(self) -> tuple[Head, Iterator[bytes]]:
        """What `head` returns, and all bytes, of one answer. The bytes have a `close`. DataNotFound."""
        ...


@dataclass(frozen=True)
class Patience:
    """How long a broken connection is tried again, in seconds: without one byte more, and in all.

    `sends`: what is asked sends bytes for as long as that takes, so it is silent from its first failure on only."""

    silent: float = 120
    total: float = 1800
    sends: bool = False


@dataclass(frozen=True)
class Downloaded:
    """What is on the disk: `digest` is `sha256:HEX` of all of its bytes; `fetched` counts those that this call read.

    `head`: what the store said of the file that they are of."""

    digest: str
    size: int
    fetched: int
    head: Head


def stream(file: File, limit: int, patience: Patience = Patience()) -> io.RawIOBase:
    """The bytes of a file, to be read once: whole, or an error.

    FileTooLarge for more than `limit` bytes, DigestMismatch where the etag is the digest, and what the file raises once
    patience is at an end. Something is there when this returns."""
    tries = _Tries(file.shown, patience)
    head, pieces = tries.until_done(lambda: _begun(file))
    stream = _Stream(_whole(file, head, pieces, limit, tries), pieces)
    try:
        _check_size(file, head.size or 0, limit)
    except StoreError:
        stream.close()
        raise
    return stream


def download(file: File, target: Path, limit: int, patience: Patience = Patience()) -> Downloaded:
    """Bring a file to `target`; go on where an earlier process was killed. What `stream` raises; OSError of the disk.

    What was reached is in `TARGET.partial`, and of which file in `TARGET.partial.head`. `target` appears whole. A
    machine that loses power may leave it damaged: who uses it later compares the digest."""
    tries = _Tries(file.shown, patience)
    head = tries.until_done(file.head)
    _check_size(file, head.size or 0, limit)
    with _Partial.opened(target, head) as partial:
        while True:
            try:
                _fetch(file, partial, limit, tries)
                partial.flush()
            except StoreError as error:
                partial.flush()
                tries.wait(error)
                if error.reason == "FileChanged":
                    partial.restart(tries.until_done(file.head))
                    _check_size(file, partial.head.size or 0, limit)
                elif partial.head.etag is None:  # nothing proves that other bytes would be of the same file
                    partial.restart(partial.head)
            else:
                break
        digest = f"{DIGEST}{partial.hash.hexdigest()}"
        try:
            _check_digest(file, partial.head, digest)
        except StoreError:
            partial.restart(partial.head)
            raise
        partial.publish()
    return Downloaded(digest, partial.size, tries.fetched, partial.head)


def patiently(ask: Callable[[], Result], called: str, patience: Patience = Patience()) -> Result:
    """What `ask` returns; it is asked again after a passing failure, until patience is at an end.

    `called`: what messages call what is asked. The last StoreError."""
    return _Tries(called, patience).until_done(ask)


class _Tries:
    """How long it goes on: pauses that double from the last byte on, and an end."""

    def __init__(self, called: str, patience: Patience) -> None:
        self._called, self._patience = called, patience
        self._asked = time.monotonic()
        self._end = self._asked + patience.total
        self._silent_since: float | None = None
        self._pause = SHORTEST
        self._reached = 0
        self.fetched = 0

    def asks(self) -> None:
        """From now on it waits for bytes. What happens to those that came takes none of its patience."""
        self._asked = time.monotonic()

    def received(self, count: int, size: int) -> None:
        """Bytes have come, and with them the first `size` of the file. StoreUnavailable at the end of patience."""
        self.fetched += count
        if size > self._reached:
            self._reached, self._silent_since, self._pause = size, None, SHORTEST
        self.asks()
        if self._asked > self._end:
            raise StoreError(
                "StoreUnavailable",
                f"{self._called} took longer than {self._patience.total:g} seconds.",
                passing=True,
            )

    def wait(self, error: StoreError) -> None:
        """Wait for another try, or raise the error if there is to be none."""
        if self._silent_since is None:
            self._silent_since = time.monotonic() if self._patience.sends else self._asked
        end = min(self._silent_since + self._patience.silent, self._end)
        if not error.passing or time.monotonic() + self._pause > end:
            raise error
        time.sleep(self._pause)
        self._pause = min(self._pause * 2, LONGEST)
        self.asks()

    def until_done(self, ask: Callable[[], Result]) -> Result:
        """Ask until there is an answer."""
        while True:
            try:
                return ask()
            except StoreError as error:
                self.wait(error)


def _begun(file: File) -> tuple[Head, Iterator[bytes]]:
    if isinstance(file, Beginning):
        return file.begin()
    head = file.head()
    return head, file.read(0, head)


def _whole(file: File, head: Head, pieces: Iterator[bytes], limit: int, tries: _Tries) -> Iterator[bytes]:
    """All bytes of a file, in order, each once. `pieces`: as they begin to come."""
    size, hashed = 0, hashlib.sha256()
    while True:
        try:
            for piece in _rest(file, head, size, hashed, pieces, tries):
                size += len(piece)
                _check_size(file, size, limit)
                # Needed where nothing else proves that a second answer begins as the first one did.
                if not head.proves or (head.etag or "").startswith(DIGEST):
                    hashed.update(piece)
                yield piece
                tries.asks()
            _check_end(file, head, size)
        except StoreError as error:
            if error.reason == "FileChanged" and size:
                raise
            tries.wait(error)
            if error.reason == "FileChanged":
                head = tries.until_done(file.head)
                _check_size(file, head.size or 0, limit)
            pieces = iter(()) if size and size == head.size else file.read(size if head.proves else 0, head)
        else:
            _check_digest(file, head, f"{DIGEST}{hashed.hexdigest()}")
            return


def _rest(
    file: File, head: Head, size: int, hashed: "hashlib._Hash", pieces: Iterator[bytes], tries: _Tries
) -> Iterator[bytes]:
    """The bytes after the first `size`. Where no etag proves that they follow, those are among the pieces, and have to
    hash to `hashed`."""
    at = size if head.proves else 0
    again = hashlib.sha256()
    with _closing(pieces):
        for piece in pieces:
            known = piece[: max(size - at, 0)]
            at += len(piece)
            tries.received(len(piece), at)
            again.update(known)
            if known and at >= size and again.digest() != hashed.digest():
                raise StoreError("FileChanged", f"{file.shown} has changed while it was read.", passing=True)
            if len(piece) > len(known):
                yield piece[len(known) :] if known else piece


def _fetch(file: File, partial: "_Partial", limit: int, tries: _Tries) -> None:
    """Add the rest of the file to what is there."""
    if partial.size and partial.size == partial.head.size:
        return
    with _closing(file.read(partial.size, partial.head)) as pieces:
        for piece in pieces:
            partial.add(piece)
            tries.received(len(piece), partial.size)
            _check_size(file, partial.size, limit)
    _check_end(file, partial.head, partial.size)


def _check_size(file: File, size: int, limit: int) -> None:
    if size > limit:
        raise StoreError("FileTooLarge", f"{file.shown} has {size} bytes or more; the limit is {limit}.")


def _check_end(file: File, head: Head, size: int) -> None:
    if head.size not in (None, size):
        raise StoreError(
            "StoreUnavailable", f"{file.shown} ended after {size} of {head.size} bytes.", passing=True
        )


def _check_digest(file: File, head: Head, digest: str) -> None:
    if head.etag is not None and head.etag.startswith(DIGEST) and head.etag != digest:
        raise StoreError("DigestMismatch", f"{file.shown} has digest {digest}, not {head.etag}.")


@contextmanager
def _closing(pieces: Iterator[bytes]) -> Iterator[Iterator[bytes]]:
    """Close the connection of an iterator that is left before its end, if it has one."""
    try:
        yield pieces
    finally:
        _close(pieces)


def _close(pieces: Iterator[bytes]) -> None:
    close = getattr(pieces, "close", None)
    if close is not None:
        close()


class _Stream(io.RawIOBase):
    """The pieces of a file as a stream."""

    def __init__(self, pieces: Iterator[bytes], begun: Iterator[bytes]) -> None:
        """`begun`: what the pieces are made of at first; it has a connection even if no piece is ever read."""
        self._pieces, self._begun = pieces, begun
        self._piece = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        part = self._next(len(buffer))
        buffer[: len(part)] = part
        return len(part)

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, without the copy that a buffer would be."""
        return super().read(size) or b"" if size < 0 else bytes(self._next(size))

    def _next(self, size: int) -> memoryview:
        if not self._piece:
            self._piece = memoryview(next(self._pieces, b""))
        part, self._piece = self._piece[:size], self._piece[size:]
        return part

    def close(self) -> None:
        _close(self._pieces)
        _close(self._begun)
        super().close()


class _Aside:
    """Does something with each piece, in their order, in a thread of its own while further ones are read."""

    def __init__(self, act: Callable[[bytes], object]) -> None:
        self._act = act
        self._pieces: SimpleQueue[bytes | None] = SimpleQueue()
        self._free = Semaphore(WAITING)
        self._failure: BaseException | None = None
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def take(self, piece: bytes) -> None:
        """Take another piece, as soon as not too many wait. What `act` has raised."""
        self._free.acquire()
        self._pieces.put(piece)
        if self._failure is not None:
            raise self._failure

    def flush(self) -> None:
        """Wait until nothing is left. What `act` has raised."""
        for _ in range(WAITING):
            self._free.acquire()
        self._free.release(WAITING)
        if self._failure is not None:
            raise self._failure

    def end(self) -> None:
        """Wait for the thread, which finishes what it has."""
        self._pieces.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (piece := self._pieces.get()) is not None:
            try:
                if self._failure is None:
                    self._act(piece)
            except BaseException as failure:  # noqa: BLE001 - raised where the pieces come from
                self._failure = failure
            self._free.release()


class _Partial:
    """A file that is not whole yet, the hash of what is there, and a note of which file it is.

    Pieces are hashed and written while the next ones are read."""

    def __init__(self, target: Path, head: Head, raw: io.FileIO) -> None:
        self.head, self.size, self.hash = head, 0, hashlib.sha256()
        self._target, self._raw = target, raw
        self._path, self._note = _paths(target)
        self._asides = [_Aside(self._hash), _Aside(self._write)]

    @classmethod
    @contextmanager
    def opened(cls, target: Path, head: Head) -> Iterator[Self]:
        """What is there of the file that `head` is of, to be added to."""
        path, _ = _paths(target)
        with io.FileIO(path, "a+") as raw:
            partial = cls(target, head, raw)
            try:
                if partial._is_of(head):
                    partial._look()
                else:
                    partial.restart(head)
                yield partial
            finally:
                for aside in partial._asides:
                    aside.end()

    def add(self, piece: bytes) -> None:
        """Take further bytes; `hash` and the disk have them after `flush`. OSError, also of earlier ones."""
        self.size += len(piece)
        for aside in self._asides:
            aside.take(piece)

    def flush(self) -> None:
        """Wait for all bytes. OSError."""
        for aside in self._asides:
            aside.flush()

    def restart(self, head: Head) -> None:
        """Begin at the first byte, of the file that `head` is of."""
        self.head, self.size, self.hash = head, 0, hashlib.sha256()
        self._raw.truncate(0)
        _write(self._note, json.dumps(asdict(head)).encode())

    def publish(self) -> None:
        """Let the file appear under its own name."""
        self._path.replace(self._target)
        self._note.unlink(missing_ok=True)

    def _hash(self, piece: bytes) -> None:
        self.hash.update(piece)

    def _write(self, piece: bytes) -> None:
        left = memoryview(piece)
        while left:
            left = left[self._raw.write(left[:WRITTEN]) :]

    def _is_of(self, head: Head) -> bool:
        """Whether the bytes are those of this file, as far as an etag proves it, and not more than it has."""
        try:
            noted = json.loads(self._note.read_bytes())
        except (OSError, ValueError):
            return False
        size = os.fstat(self._raw.fileno()).st_size
        return head.etag is not None and noted == asdict(head) and (head.size is None or size <= head.size)

    def _look(self) -> None:
        self._raw.seek(0)
        while piece := self._raw.read(PIECE):
            self.hash.update(piece)
            self.size += len(piece)


def _paths(target: Path) -> tuple[Path, Path]:
    """Where the bytes of a file are that is not whole yet, and where the note of them is."""
    return target.with_name(f"{target.name}.partial"), target.with_name(f"{target.name}.partial.head")


def _write(path: Path, content: bytes) -> None:
    """Write a small file, as one act."""
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(content)
    new.replace(path)
