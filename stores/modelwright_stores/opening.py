"""Finds what a uri names, whatever its scheme. What a scheme needs is only loaded for it."""

from modelwright_stores.access import Access
from modelwright_stores.failures import StoreError
from modelwright_stores.resuming import File

BUCKETS = ("s3", "gs", "az")
SCHEMES = (*BUCKETS, "https", "oci")


def is_outside(uri: str) -> bool:
    """Whether a uri names something outside the cluster, which this library reads."""
    scheme, mark, _ = uri.partition("://")
    return bool(mark) and scheme in SCHEMES


def files(uri: str, access: Access) -> tuple[list[File], bool]:
    """The files of a uri, by name, and whether it stands for many: those of an image in a registry. UriUnsupported,
    and what a registry raises. Folders of buckets are for `Bucket.folder` to list."""
    if uri.startswith("oci://"):
        from modelwright_stores.registry.repository import Repository  # noqa: PLC0415

        repository = Repository(uri, access)
        found = repository.files(repository.reference)
        return sorted(found, key=lambda file: file.name), True
    return [file(uri, access)], False


def file(uri: str, access: Access, silence: float = 30) -> File:
    """The one file of a uri: of an image in a registry the one that is a model (docs/stores.md).

    `silence`: how many seconds a web server may take to answer, and may send nothing. UriUnsupported, and what a
    registry raises; whether the file is there is for its `head` to say."""
    scheme = uri.partition("://")[0]
    if scheme == "https":
        from modelwright_stores.web.file import WebFile  # noqa: PLC0415

        return WebFile(uri, access, silence)
    if scheme == "oci":
        from modelwright_stores.registry.repository import Repository  # noqa: PLC0415

        repository = Repository(uri, access)
        return repository.model(repository.reference)
    if scheme in BUCKETS:
        from modelwright_stores.objects.bucket import Bucket  # noqa: PLC0415

        return Bucket(uri, access).file(key_of(uri))
    raise StoreError("UriUnsupported", f"{access.field}: a uri begins with {', '.join(SCHEMES)} and ://.")


def sibling(uri: str, name: str, access: Access) -> File | None:
    """The file of that name beside the one of the uri, or None if it is not there: in a bucket in the same folder, in a
    registry in the same image. Of https:// there is none."""
    scheme = uri.partition("://")[0]
    if scheme == "oci":
        from modelwright_stores.registry.repository import Repository  # noqa: PLC0415

        repository = Repository(uri, access)
        return repository.file(repository.reference, name)
    if scheme in BUCKETS:
        from modelwright_stores.objects.bucket import Bucket  # noqa: PLC0415

        bucket = Bucket(uri, access)
        folder = key_of(uri).rpartition("/")[0]
        key = f"{folder}/{name}" if folder else name
        return bucket.file(key) if bucket.head(key) is not None else None
    return None


def key_of(uri: str) -> str:
    """The key that the uri of an object names. UriUnsupported if it names none."""
    key = uri.partition("://")[2].partition("/")[2]
    if not key:
        raise StoreError("UriUnsupported", "A URI of an object has to be SCHEME://BUCKET/KEY.")
    return key
