"""A repository of a registry: what is pulled from it, and what is pushed to it."""

from collections.abc import Mapping
from dataclasses import dataclass

from modelwright_stores.access import Access
from modelwright_stores.resuming import File


@dataclass(frozen=True)
class Manifest:
    """A manifest: its digest, and the files that its layers name, with the digest of each where it is a layer alone."""

    digest: str
    files: Mapping[str, str | None]


class Repository:
    """One repository. Each method raises StoreError; `shown` is its uri without tag and digest."""

    def __init__(self, uri: str, access: Access) -> None:
        """Of `oci://HOST/REPOSITORY[:TAG][@DIGEST]`; connects to nothing yet."""
        raise NotImplementedError

    def manifest(self, reference: str) -> Manifest | None:
        """What a tag or a digest stands for; None if there is none. A digest is checked. DigestMismatch."""
        raise NotImplementedError

    def file(self, reference: str, name: str) -> File | None:
        """A file of a manifest: a layer with this title, or a file of a layer that is an archive; None if there is
        none."""
        raise NotImplementedError

    def push(self, tag: str, files: Mapping[str, bytes], config: Mapping[str, object]) -> str:
        """Push files as a ModelPack artifact, the manifest last, and return the digest of the manifest.

        What is there already is not sent again."""
        raise NotImplementedError

    def check_push(self) -> None:
        """Begin an upload and cancel it: AccessDenied and others, if nothing may be pushed."""
        raise NotImplementedError
