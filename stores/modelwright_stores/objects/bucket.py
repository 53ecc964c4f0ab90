"""A bucket, or a container of Azure: what is read, written once, listed and deleted in it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from modelwright_stores.access import Access
from modelwright_stores.resuming import Head


@dataclass(frozen=True)
class Entry:
    """An object: its key in the bucket, its size in bytes, and when it was written."""

    key: str
    size: int
    modified: datetime


class Bucket:
    """One bucket. Each method raises StoreError; `shown` is its uri without the key."""

    def __init__(self, uri: str, access: Access) -> None:
        """Of `s3://BUCKET/…`, `gs://BUCKET/…` or `az://CONTAINER/…`; connects to nothing yet."""
        raise NotImplementedError

    def head(self, key: str) -> Head | None:
        """What is there under a key; None if nothing is."""
        raise NotImplementedError

    def modified(self, key: str) -> datetime | None:
        """When the object was written; None if there is none."""
        raise NotImplementedError

    def read(self, key: str, start: int, head: Head) -> Iterator[bytes]:
        """The bytes from `start` on. FileChanged (passing) if the object is no longer the one of `head`."""
        raise NotImplementedError

    def content(self, key: str, limit: int) -> bytes | None:
        """All bytes of a small object; None if there is none. FileTooLarge."""
        raise NotImplementedError

    def entries(self, prefix: str) -> Iterator[Entry]:
        """The objects whose keys begin with a prefix, at any depth, by key."""
        raise NotImplementedError

    def put_new(self, key: str, content: bytes) -> bool:
        """Write an object unless there is one, as one act; False if there is one."""
        raise NotImplementedError

    def put(self, key: str, content: bytes) -> None:
        """Write an object, in parts where it is large, whatever is there. It appears whole or not at all."""
        raise NotImplementedError

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; those that are not there do not matter."""
        raise NotImplementedError
