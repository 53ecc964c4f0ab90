"""Finds the files of a bucket that are the data: one object, those of a folder, or those that a pattern matches."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from modelwright_stores.access import Access
from modelwright_stores.failures import StoreError
from modelwright_stores.objects.bucket import Bucket, Entry
from modelwright_stores.opening import BUCKETS
from modelwright_stores.resuming import File, Patience, patiently
from modelwright_training.errors import InputError, listing
from modelwright_training.reading import folders

# How many names of a folder are looked at for a message.
BESIDE = 1000


def is_bucket(uri: str) -> bool:
    """Whether a uri names something in a bucket."""
    return uri.partition("://")[0] in BUCKETS


def key_of(uri: str) -> str:
    """The key in the bucket that a uri names."""
    return uri.partition("://")[2].partition("/")[2].strip("/")


@dataclass(frozen=True)
class Object:
    """An object that is data, and what probably changes when it does."""

    file: File
    mark: str


def find(uri: str, access: Access, patience: Patience) -> tuple[list[Object], bool]:
    """The objects of a uri, and whether it names a folder or a pattern.

    StoreError, and InputError as folders have it."""
    bucket, key = Bucket(uri, access), key_of(uri)
    head = patiently(partial(bucket.head, key), uri, patience) if key else None
    if head is not None:
        return [Object(bucket.file(key), f"{head.size} {head.etag}")], False
    folder, pattern = folders.split(key, uri) if folders.is_pattern(key) else (key, "*")
    prefix = f"{folder}/" if folder else ""
    entries, below = patiently(partial(bucket.folder, prefix, folders.MAX_FILES), uri, patience)
    marks = {entry.key.removeprefix(prefix): _mark(entry) for entry in entries}
    if not (marks or below):
        raise InputError("DataNotFound", f"There is nothing at {uri}.{_beside(bucket, folder)}")
    chosen = folders.Folder(uri, [name for name in marks if name], below).matching(pattern)
    return [Object(bucket.file(prefix + name), marks[name]) for name in chosen], True


def mark(objects: Sequence[Object]) -> str:
    """What probably changes with the data that these objects are."""
    return "".join(f"{each.mark}  {each.file.name}\n" for each in objects)


def _mark(entry: Entry) -> str:
    return f"{entry.size} {entry.etag or entry.modified.isoformat()}"


def _beside(bucket: Bucket, path: str) -> str:
    """What lies where the file was expected, as the end of a sentence; empty if it may not be listed."""
    parent = path.rpartition("/")[0]
    try:
        shown = listing(bucket.beginning(f"{parent}/" if parent else "", BESIDE))
    except StoreError:
        return ""
    return f" The folder {parent or bucket.shown} holds: {shown}." if shown else ""
