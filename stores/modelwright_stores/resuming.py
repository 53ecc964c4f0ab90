"""Reads one file to its end, whatever happens to the connection: the next try goes on at the byte that was reached."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Head:
    """What a store says of a file before its bytes: the size, None if it does not say; and what changes with the bytes,
    None if it has no such thing."""

    size: int | None
    etag: str | None


class File(Protocol):
    """One file in some store. Each method raises StoreError."""

    name: str  # the last part of its path
    shown: str  # its uri as messages may show it: without a query

    def head(self) -> Head:
        """What the store says of it. DataNotFound."""
        ...

    def read(self, start: int, head: Head) -> Iterator[bytes]:
        """Its bytes from `start` on. FileChanged (passing) if it is no longer the one of `head`."""
        ...


@dataclass(frozen=True)
class Patience:
    """How long a broken connection is tried again, in seconds: without one byte more, and in all."""

    silent: float = 120
    total: float = 1800


def stream(file: File, limit: int, patience: Patience = Patience()) -> io.RawIOBase:
    """The bytes of a file, to be read once. FileTooLarge for more than `limit` bytes, and what the file raises once
    patience is at an end."""
    raise NotImplementedError


@dataclass(frozen=True)
class Downloaded:
    """What is on the disk: `digest` is `sha256:HEX` of all of its bytes; `fetched` counts those that this call read."""

    digest: str
    size: int
    fetched: int


def download(file: File, target: Path, limit: int, patience: Patience = Patience()) -> Downloaded:
    """Bring a file to `target`; go on where an earlier process was killed.

    What was reached is in `TARGET.partial`, and of which file in `TARGET.partial.head`. `target` appears whole."""
    raise NotImplementedError
