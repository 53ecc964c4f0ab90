"""Opens the store that a uri names: a volume, a bucket or a registry. All of them keep and remove artifacts alike."""

import re
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from modelwright_stores.access import Access, accesses, plain
from modelwright_stores.opening import BUCKETS
from modelwright_training.errors import InputError, outside
from modelwright_training.paths import Paths
from modelwright_training.storing import patience
from modelwright_training.storing.bucket import BucketStore
from modelwright_training.storing.layout import MODEL, folder_name, tag_name
from modelwright_training.storing.patience import PatientBucket
from modelwright_training.storing.registry import RegistryStore
from modelwright_training.storing.volume import VolumeStore, folder_of

IN_BUCKET = re.compile(r"(?P<bucket>(s3|gs|az)://[^/]+)(?P<path>/.*)?")
# Seconds. What could not be kept would have to be trained again; what cannot be written need not be trained; the Job
# of a deletion ends after ten minutes.
PATIENCE, PROOF_PATIENCE, DELETE_PATIENCE = 600.0, 60.0, 120.0

# Where a registry, or a proxy before it, takes no uploads of this size.
REASONS = {"FileTooLarge": "ModelTooLarge"}

Result = TypeVar("Result")


class Store(Protocol):
    """Where artifacts are kept. Methods raise StepError, and StoreError where the store is outside the cluster."""

    def uri_of(self, digest: str) -> str:
        """Where the model file with this digest is kept."""
        ...

    def check_writable(self) -> None:
        """Prove that an artifact can be kept, as far as that is possible without keeping one."""
        ...

    def put(self, digest: str, files: Mapping[str, bytes], mark: str) -> bool:
        """Keep the files of an artifact, and the mark of the run. False if they were there before.

        Appears whole or not at all, and is never overwritten. StoreCorrupt."""
        ...

    def add(self, digest: str, name: str, content: bytes) -> bytes:
        """Keep one more file of an artifact, unless there is one of that name; what the file holds then."""
        ...

    def remove(self, digest: str, is_over: Callable[[str], bool]) -> list[str]:
        """Delete an artifact unless something keeps it: then the names of that. StoreCorrupt, UriUnsupported.

        `is_over`: whether the mark of a run no longer counts; such marks are deleted in any case."""
        ...


def store_of(
    uri: str, field: str, environ: Mapping[str, str], paths: Paths, seconds: float | None = None
) -> Store:
    """The store that a uri names; it is not looked at yet. `field`: what messages call the uri. `seconds`: how long a
    request to a bucket is tried again, PATIENCE unless they are given.

    UriUnsupported, and what the access of a store outside raises."""
    scheme = uri.partition("://")[0]
    if scheme == "pvc":
        return VolumeStore(uri, folder_of(uri, paths.artifacts, field))
    with outside():
        if scheme == "oci":
            return _registry(uri, field, access_to("artifacts", field, environ, paths))
        if scheme in BUCKETS:
            each = PATIENCE if seconds is None else seconds
            return _bucket(uri, field, access_to("artifacts", field, environ, paths), each)
    raise InputError(
        "UriUnsupported",
        f"{field} {uri!r} names nothing that can be written: it has to begin with pvc://, s3://, gs://, az:// or "
        "oci://.",
    )


def check_writable(uri: str, environ: Mapping[str, str], paths: Paths) -> None:
    """Prove that the store of a run can be written, before anything is trained. Nothing for pvc://: only publish mounts
    that.

    Raises StepError."""
    if not uri.startswith("pvc://"):
        store = store_of(uri, "artifacts.uri", environ, paths, PROOF_PATIENCE)
        patiently(store.check_writable, PROOF_PATIENCE)


def kept(uri: str, digest: str, environ: Mapping[str, str], paths: Paths) -> Store:
    """The store in which a run has kept the artifact of this uri. UriUnsupported if none does so."""
    if uri.startswith("oci://"):
        prefix, name = uri.rpartition(":")[::2]
        expected = tag_name(digest)
    else:
        prefix, name = uri.removesuffix(f"/{folder_name(digest)}/{MODEL}"), uri
        expected = f"{prefix}/{folder_name(digest)}/{MODEL}"
    if name != expected:
        raise InputError(
            "UriUnsupported",
            f"{uri!r} is not PREFIX/sha256-HEX/{MODEL} or REPOSITORY:model-HEX with its digest, which is where publish "
            "stores a model. Delete it by hand.",
        )
    return store_of(prefix, "artifact.uri", environ, paths, DELETE_PATIENCE)


def access_to(name: str, field: str, environ: Mapping[str, str], paths: Paths) -> Access:
    """How a store outside is reached: as the container's document says, else without credentials. StoreError."""
    return accesses(environ, paths.root).get(name) or plain(environ, field, paths.root)


def patiently(work: Callable[[], Result], seconds: float | None = None) -> Result:
    """Do some work again while it fails for what may pass, PATIENCE unless `seconds` are given. Raises StepError."""
    with outside(REASONS):
        return patience.patiently(work, PATIENCE if seconds is None else seconds)


def _bucket(uri: str, field: str, access: Access, seconds: float) -> BucketStore:
    from modelwright_stores.objects.bucket import Bucket  # noqa: PLC0415 (a volume need not pay for it)

    match = IN_BUCKET.fullmatch(uri)
    path = (match["path"] or "").strip("/") if match else ""
    if match is None or (path and any(part in ("", ".", "..") for part in path.split("/"))):
        raise InputError(
            "UriUnsupported",
            f"{field} {uri!r} has to be SCHEME://BUCKET/PREFIX without empty parts, . and ...",
        )
    return BucketStore(
        uri, PatientBucket(Bucket(match["bucket"], access), seconds), f"{path}/" if path else ""
    )


def _registry(uri: str, field: str, access: Access) -> RegistryStore:
    from modelwright_stores.registry.repository import Repository  # noqa: PLC0415 (a volume need not pay for it)

    if "@" in uri or ":" in uri.rpartition("/")[2]:
        raise InputError(
            "UriUnsupported",
            f"{field} {uri!r} has to be oci://HOST/REPOSITORY, without a tag: each model gets a tag of its own.",
        )
    return RegistryStore(uri, Repository(uri, access))
