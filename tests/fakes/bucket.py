"""A bucket in memory, for histories of which there are too many for a real one. `tests/unit/training/test_bucket.py`
holds it and real servers to the same contract."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from modelwright_stores.failures import StoreError
from modelwright_stores.objects.bucket import Entry
from modelwright_stores.resuming import Head

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Kept:
    """The bytes of an object, and the second in which it was written."""

    content: bytes
    second: float


@dataclass
class MemoryBucket:
    """What `modelwright_stores.objects.bucket.Bucket` does, with a clock that stands still until it is set."""

    objects: dict[str, Kept] = field(default_factory=dict)
    second: float = 0

    def head(self, key: str) -> Head | None:
        found = self.objects.get(key)
        return None if found is None else Head(len(found.content), hashlib.md5(found.content).hexdigest())

    def read(self, key: str, start: int, head: Head) -> Iterator[bytes]:
        if self.head(key) != head:
            raise StoreError("FileChanged", f"{key} has changed.", passing=True)
        yield self.objects[key].content[start:]

    def content(self, key: str, limit: int) -> bytes | None:
        found = self.objects.get(key)
        if found is not None and len(found.content) > limit:
            raise StoreError("FileTooLarge", f"{key} is too large.")
        return None if found is None else found.content

    def entries(self, prefix: str) -> Iterator[Entry]:
        return iter(
            [
                Entry(key, len(kept.content), BEGIN + timedelta(seconds=kept.second))
                for key, kept in sorted(self.objects.items())
                if key.startswith(prefix)
            ]
        )

    def put_new(self, key: str, content: bytes) -> bool:
        if key in self.objects:
            return False
        self.put(key, content)
        return True

    def put(self, key: str, content: bytes) -> None:
        self.objects[key] = Kept(content, self.second)

    def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.objects.pop(key, None)

    def contents(self) -> Mapping[str, bytes]:
        """All that is there."""
        return {key: kept.content for key, kept in self.objects.items()}
