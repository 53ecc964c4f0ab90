"""Asks a store again while it fails for what may pass by itself."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from modelwright_stores.failures import StoreError
from modelwright_stores.objects.bucket import Entry
from modelwright_stores.resuming import Head
from modelwright_training.storing.bucket import Bucket

log = logging.getLogger(__name__)

SHORTEST, LONGEST = 0.2, 10.0

Result = TypeVar("Result")


class ExhaustedError(StoreError):
    """A failure that may pass, and did not while it was waited for: who asked for more need not ask again."""


class Tries:
    """Pauses that double from the first failure on, which may come late in a long upload; and an end."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._pause = seconds, SHORTEST
        self._end: float | None = None

    def wait(self, error: StoreError) -> None:
        """Wait for another try; the error if there is to be none, ExhaustedError if there were some."""
        if not error.passing or isinstance(error, ExhaustedError):
            raise error
        now = time.monotonic()
        if self._end is None:
            self._end = now + self._seconds
        if now + self._pause > self._end:
            raise ExhaustedError(error.reason, error.message, passing=True) from error
        log.info("%s: %s", error.reason, error.message)
        time.sleep(self._pause)
        self._pause = min(2 * self._pause, LONGEST)


def patiently(ask: Callable[[], Result], seconds: float) -> Result:
    """What `ask` returns; it is asked again after passing failures, for so many seconds from the first one on.

    StoreError."""
    tries = Tries(seconds)
    while True:
        try:
            return ask()
        except StoreError as error:
            tries.wait(error)


@dataclass(frozen=True)
class PatientBucket:
    """A bucket each request of which is tried again, so that one that fails late costs none of those before it."""

    bucket: Bucket
    seconds: float

    def head(self, key: str) -> Head | None:
        """What is there under a key."""
        return patiently(lambda: self.bucket.head(key), self.seconds)

    def read(self, key: str, start: int, head: Head) -> Iterator[bytes]:
        """The bytes from `start` on; after a failure from the byte that was reached."""
        reached, tries = start, Tries(self.seconds)
        while True:
            try:
                for part in self.bucket.read(key, reached, head):
                    reached, tries = reached + len(part), Tries(self.seconds)
                    yield part
            except StoreError as error:
                if error.reason == "FileChanged":
                    raise
                tries.wait(error)
            else:
                return

    def content(self, key: str, limit: int) -> bytes | None:
        """All bytes of a small object."""
        return patiently(lambda: self.bucket.content(key, limit), self.seconds)

    def entries(self, prefix: str) -> Iterator[Entry]:
        """The objects whose keys begin with a prefix."""
        return iter(patiently(lambda: list(self.bucket.entries(prefix)), self.seconds))

    def put_new(self, key: str, content: bytes) -> bool:
        """Write an object unless there is one. False also for one that this call has written, if an answer was lost."""
        return patiently(lambda: self.bucket.put_new(key, content), self.seconds)

    def put(self, key: str, content: bytes) -> None:
        """Write an object, whatever is there."""
        patiently(lambda: self.bucket.put(key, content), self.seconds)

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; a deletion has little time, so this is not tried again here."""
        self.bucket.delete(keys)
