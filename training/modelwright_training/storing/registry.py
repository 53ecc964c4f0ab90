"""Keeps artifacts in a registry, each under a tag that its digest gives. The manifest is pushed last.

A registry has no marks and nothing that is deleted here: it has rules of its own for that."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from modelwright_stores.registry.repository import Manifest
from modelwright_stores.resuming import File, stream
from modelwright_training.errors import InputError, OutsideError
from modelwright_training.storing.layout import MODEL, tag_name

# The size of a file at most: that of a model that can be served.
MOST = 2 << 30


class Repository(Protocol):
    """What is needed of `modelwright_stores.registry.repository.Repository`."""

    def manifest(self, reference: str) -> Manifest | None:
        """What a tag stands for."""
        ...

    def file(self, reference: str, name: str) -> File | None:
        """A file of a manifest."""
        ...

    def push(self, tag: str, files: Mapping[str, bytes], config: Mapping[str, object]) -> str:
        """Push files, the manifest last."""
        ...

    def check_push(self) -> None:
        """Begin an upload and cancel it."""
        ...


@dataclass(frozen=True)
class RegistryStore:
    """A repository of a registry, which is `uri`. Methods raise StoreError as well as StepError."""

    uri: str
    repository: Repository

    def uri_of(self, digest: str) -> str:
        """Where the model file with this digest is kept."""
        return f"{self.uri}:{tag_name(digest)}"

    def check_writable(self) -> None:
        """Begin an upload and cancel it."""
        self.repository.check_push()

    def put(self, digest: str, files: Mapping[str, bytes], mark: str) -> bool:
        """Keep the files of an artifact. False if they were there before. StoreCorrupt."""
        tag = tag_name(digest)
        fresh = self.repository.manifest(tag) is None
        if fresh:
            self._push(tag, files)
        there = self.repository.manifest(tag)
        found = f"no {MODEL}" if there is None else there.files.get(MODEL) or f"no {MODEL} of its own"
        if found == digest:
            return fresh
        if fresh:
            raise OutsideError("StorageFailed", f"{self.uri} reads back {found} where {digest} was pushed.")
        raise InputError(
            "StoreCorrupt",
            f"{self.uri}:{tag} holds {found}. Something else has pushed to this tag; it is left as it is. "
            "Delete the tag or give it another name, then run again.",
        )

    def add(self, digest: str, name: str, content: bytes) -> bytes:
        """Keep one more file of an artifact, unless there is one of that name; what the file holds then.

        The manifest is pushed again with it, of layers that are there."""
        tag = tag_name(digest)
        there = self.repository.manifest(tag)
        if there is not None and name in there.files:
            return self._content(tag, name) or b""
        files = {} if there is None else {each: self._content(tag, each) or b"" for each in there.files}
        self._push(tag, {**files, name: content})
        return content

    def remove(self, digest: str, is_over: Callable[[str], bool]) -> list[str]:
        """Refused: UriUnsupported."""
        raise InputError(
            "UriUnsupported",
            f"{self.uri_of(digest)} is in a registry, where this step deletes nothing: other tags may share its "
            "layers. Delete the tag with the registry's own tools, or let its retention rules do that.",
        )

    def _push(self, tag: str, files: Mapping[str, bytes]) -> None:
        name = self.uri.rpartition("/")[2]
        self.repository.push(tag, files, {"descriptor": {"name": name, "version": tag}})

    def _content(self, tag: str, name: str) -> bytes | None:
        file = self.repository.file(tag, name)
        if file is None:
            return None
        with stream(file, MOST) as content:
            return content.read()
