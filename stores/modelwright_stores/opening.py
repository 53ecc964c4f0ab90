"""Finds what a uri names, whatever its scheme."""

from modelwright_stores.access import Access
from modelwright_stores.resuming import File

SCHEMES = ("s3", "gs", "az", "https", "oci")
MAX_FILES = 10_000


def is_outside(uri: str) -> bool:
    """Whether a uri names something outside the cluster, which this library reads."""
    return uri.partition("://")[0] in SCHEMES


def files(uri: str, access: Access) -> tuple[list[File], bool]:
    """The files of a uri, by name, and whether it stands for a folder or a pattern (a bucket's only). UriUnsupported,
    DataNotFound, DataTooLarge for more than MAX_FILES."""
    raise NotImplementedError


def file(uri: str, access: Access) -> File:
    """The one file of a uri: of an image in a registry the one that is a model (docs/stores.md)."""
    raise NotImplementedError


def sibling(uri: str, name: str, access: Access) -> File | None:
    """The file of that name beside the one of the uri, or None if it is not there: in a bucket in the same folder, in a
    registry in the same image. Of https:// there is none."""
    raise NotImplementedError
