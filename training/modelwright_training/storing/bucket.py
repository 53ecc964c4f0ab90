"""Keeps artifacts in a bucket by their digest: each object written once, the report last.

A bucket has no rename and no lock. So a run leaves its mark first and looks for tombstones then; a deletion leaves a
tombstone of its own first and looks for marks then. Whichever comes second sees the other. The run waits until the
deletions that it sees have ended; a deletion that sees a mark that counts ends without having deleted anything. Each
may be killed between any two requests, and is continued by the next one: a publication whose report is missing is
completed, and a tombstone that is too old to be of a deletion that still runs counts no more."""

import hashlib
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from modelwright_stores.failures import StoreError
from modelwright_stores.objects.bucket import Entry
from modelwright_stores.resuming import Head
from modelwright_training.errors import InputError, OutsideError
from modelwright_training.storing.layout import MARK, MODEL, PUBLISHED, REPORT, folder_name, uri_in_folder

# An object that `check_writable` writes.
PROOF = ".modelwright"
# What is in objects of which the name says all. Not empty: a listing asks for each empty one whether it is a folder.
NOTHING = b"\n"
TOMBSTONE = ".deleting."
# Above this an object is sent in parts, for which a store knows no "only if there is none".
ALONE = 64 << 20
# A deletion sends no request after so many seconds. A tombstone that is older than LEASE seconds is abandoned.
HURRY, LEASE = 60.0, 300.0
PAUSE = 2.0


class Bucket(Protocol):
    """What is needed of `modelwright_stores.objects.bucket.Bucket`."""

    def head(self, key: str) -> Head | None:
        """What is there under a key."""
        ...

    def read(self, key: str, start: int, head: Head) -> Iterator[bytes]:
        """The bytes from `start` on."""
        ...

    def content(self, key: str, limit: int) -> bytes | None:
        """All bytes of a small object."""
        ...

    def entries(self, prefix: str) -> Iterator[Entry]:
        """The objects whose keys begin with a prefix."""
        ...

    def put_new(self, key: str, content: bytes) -> bool:
        """Write an object unless there is one."""
        ...

    def put(self, key: str, content: bytes) -> None:
        """Write an object, whatever is there."""
        ...

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects."""
        ...


@dataclass(frozen=True)
class Time:
    """The clock and how to wait."""

    now: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep


def _new_name() -> str:
    return f"{TOMBSTONE}{uuid.uuid4().hex}"


@dataclass(frozen=True)
class BucketStore:
    """A store below the key `prefix` of a bucket, which is `uri`. Methods raise StoreError as well as StepError.

    `tombstone`: gives a name that no other deletion has."""

    uri: str
    bucket: Bucket
    prefix: str
    time: Time = Time()
    tombstone: Callable[[], str] = _new_name

    def uri_of(self, digest: str) -> str:
        """Where the model file with this digest is kept."""
        return uri_in_folder(self.uri, digest)

    def check_writable(self) -> None:
        """Use each right that a publication needs: write, read, list.

        Nothing is overwritten: that is a right of its own at Google, and retention rules forbid it. Rights are checked
        first, so an object that is there proves as much."""
        self.bucket.put_new(f"{self.prefix}{PROOF}", NOTHING)
        self.bucket.head(f"{self.prefix}{PROOF}")
        next(iter(self.bucket.entries(f"{self.prefix}{PROOF}")), None)

    def put(self, digest: str, files: Mapping[str, bytes], mark: str) -> bool:
        """Keep the files of an artifact, and the mark of the run. False if they were there before.

        May be called again after any failure, and goes on from there. StoreCorrupt."""
        folder = self._folder(digest)
        self.bucket.put_new(f"{folder}{mark}", NOTHING)
        there = self._once_deletions_have_ended(folder, mark)
        if MODEL not in there:
            self._write(f"{folder}{MODEL}", files[MODEL])
        # Read in any case: not every store checks what it is sent, and a run may find what another one has left.
        found = self._found(folder)
        if found != digest and MODEL not in there:
            raise OutsideError(
                "StorageFailed", f"{self.uri} reads back {found or 'nothing'} where {digest} was written."
            )
        if found != digest:
            raise self._corrupt(digest, found)
        for name in sorted(files.keys() - there.keys() - {MODEL, REPORT}):
            self.bucket.put_new(f"{folder}{name}", files[name])
        return REPORT not in there and self.bucket.put_new(f"{folder}{REPORT}", files[REPORT])

    def add(self, digest: str, name: str, content: bytes) -> bytes:
        """Keep one more file of an artifact, unless there is one of that name; what the file holds then.

        Nothing of one that is much longer than it could be."""
        key = f"{self._folder(digest)}{name}"
        if self.bucket.put_new(key, content):
            return content
        try:
            return self.bucket.content(key, len(content) + (1 << 20)) or b""
        except StoreError as error:
            if error.reason == "FileTooLarge":
                return b""
            raise

    def remove(self, digest: str, is_over: Callable[[str], bool]) -> list[str]:
        """Delete an artifact unless something keeps it: then the names of that.

        `is_over`: whether the mark of a run no longer counts; such marks are deleted in any case. StoreCorrupt."""
        folder = self._folder(digest)
        there = self._there(folder)
        if not there:
            return []
        if MODEL in there and (found := self._found(folder)) not in (digest, None):
            raise self._corrupt(digest, found)
        # Before a tombstone is left: where nothing may be deleted, that could not be deleted either. And before marks
        # are looked for: of two deletions that each delete a mark of their own, one finds that none is left.
        self._delete(folder, [name for name in there if name.startswith(MARK) and is_over(name)])
        if keepers := _keepers(self._there(folder), is_over):
            return keepers
        return self._bury(folder, is_over)

    def _bury(self, folder: str, is_over: Callable[[str], bool]) -> list[str]:
        """Delete what lies in a folder, behind a tombstone. If this fails the tombstone stays: a request that has
        failed may still be carried out."""
        own, begun = self.tombstone(), self.time.now()
        self.bucket.put_new(f"{folder}{own}", NOTHING)
        there = self._there(folder)
        if own not in there:
            raise _unavailable(f"{self.uri} does not list what was written to it.")
        if keepers := _keepers(there, is_over):
            self._delete(folder, [own])
            return keepers
        others = [name for name in there if not name.startswith(TOMBSTONE) and name != REPORT]
        # The report first: without it the next publication completes what is left, and the next deletion deletes it.
        for names in ([REPORT] if REPORT in there else []), others:
            if self.time.now() - begun > HURRY:
                raise _unavailable(f"{self.uri} is too slow to delete {folder}.")
            self._delete(folder, names)
        self._delete(folder, [own])
        self._clear_abandoned(folder, there[own])
        return []

    def _clear_abandoned(self, folder: str, own: datetime) -> None:
        """Delete the tombstones of deletions that were killed, once they are old enough to be that."""
        left = {name: when for name, when in self._there(folder).items() if name.startswith(TOMBSTONE)}
        self._wait(folder, {name for name, when in left.items() if not _is_abandoned(when, own)})
        self._delete(folder, list(left))

    def _once_deletions_have_ended(self, folder: str, mark: str) -> dict[str, datetime]:
        """What is in the folder once each deletion has ended that may not have seen the mark.

        Those that come later see it."""
        there = self._there(folder)
        if mark not in there:
            raise _unavailable(f"{self.uri} does not list what was written to it.")
        running = {
            name
            for name, when in there.items()
            if name.startswith(TOMBSTONE) and not _is_abandoned(when, there[mark])
        }
        return self._wait(folder, running) if running else there

    def _wait(self, folder: str, tombstones: set[str]) -> dict[str, datetime]:
        """Wait until these tombstones are gone, or have been there for too long; what is in the folder then."""
        end = self.time.now() + LEASE
        while tombstones & (there := self._there(folder)).keys() and self.time.now() < end:
            self.time.pause(PAUSE)
        return there

    def _write(self, key: str, content: bytes) -> None:
        """Write a model unless there is one; one that is large also over another one, of the same bytes."""
        if len(content) <= ALONE:
            self.bucket.put_new(key, content)
        else:
            self.bucket.put(key, content)

    def _found(self, folder: str) -> str | None:
        """The digest of the model in a folder, of which all bytes are read; None if there is none."""
        head = self.bucket.head(f"{folder}{MODEL}")
        if head is None:
            return None
        hashed = hashlib.sha256()
        for part in self.bucket.read(f"{folder}{MODEL}", 0, head):
            hashed.update(part)
        return f"sha256:{hashed.hexdigest()}"

    def _corrupt(self, digest: str, found: str | None) -> InputError:
        return InputError(
            "StoreCorrupt",
            f"The folder {folder_name(digest)} of {self.uri} holds {found or f'no {MODEL}'}. Something else has "
            "written to it; it is left as it is. Move it away or delete it by hand, then run again.",
        )

    def _folder(self, digest: str) -> str:
        return f"{self.prefix}{folder_name(digest)}/"

    def _there(self, folder: str) -> dict[str, datetime]:
        """The names in a folder, and when each was written by the store's own clock."""
        return {entry.key.removeprefix(folder): entry.modified for entry in self.bucket.entries(folder)}

    def _delete(self, folder: str, names: Sequence[str]) -> None:
        if names:
            self.bucket.delete([f"{folder}{name}" for name in names])


def _unavailable(message: str) -> StoreError:
    return StoreError("StoreUnavailable", message, passing=True)


def _is_abandoned(tombstone: datetime, now: datetime) -> bool:
    return now - tombstone > timedelta(seconds=LEASE)


def _keepers(there: Mapping[str, datetime], is_over: Callable[[str], bool]) -> list[str]:
    """The names that keep a folder: marks that count, and what no run publishes."""
    return sorted(
        name
        for name in there
        if name not in PUBLISHED
        and not name.startswith(TOMBSTONE)
        and not (name.startswith(MARK) and is_over(name))
    )
