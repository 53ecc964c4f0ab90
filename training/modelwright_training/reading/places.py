"""Finds the files that a uri stands for, wherever they lie: mounted, in a store outside, made by a container, in DVC.

Nothing of them is read yet, but for what DVC says of a folder."""

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from modelwright_stores import opening, resuming
from modelwright_stores.access import Access, accesses, plain
from modelwright_stores.failures import StoreError
from modelwright_stores.objects.bucket import Bucket
from modelwright_stores.registry import packed
from modelwright_stores.web import uris
from modelwright_stores.web.file import WebFile
from modelwright_training.documents import DvcOutput, dvc_reference
from modelwright_training.errors import InputError, outside
from modelwright_training.files import CHUNK
from modelwright_training.paths import Paths
from modelwright_training.reading import buckets, bundled, dvcfile, folders
from modelwright_training.reading.md5 import Md5Stream
from modelwright_training.reading.volume import Volume
from modelwright_training.untyped import Stream

SCHEMES = (
    "s3://BUCKET/PATH, gs://BUCKET/PATH, az://CONTAINER/PATH, https://HOST/PATH, oci://HOST/REPOSITORY:TAG, "
    "configmap://NAME/KEY, pvc://CLAIM/PATH and sklearn://NAME"
)
MOUNTED = re.compile(r"(?P<scheme>configmap|pvc)://(?P<volume>[^/]+)/(?P<path>.+)", re.DOTALL)
CLAIM = re.compile(r"pvc://[^/]+(?P<path>/.+)?", re.DOTALL)
MADE = "source://"
MAX_BYTES = 16 << 30
# A store that is slow but answers may take as long as the run may.
PATIENCE = resuming.Patience(silent=120, total=24 * 3600)
TABLES = re.compile(r".*\.(csv|tsv|parquet|pq)(\.(gz|zst|bz2))?", re.IGNORECASE | re.DOTALL)

Remote = Callable[[str], AbstractContextManager[Stream]]


@dataclass(frozen=True)
class Tracked:
    """A path, as a file of DVC names it, and that file."""

    file: Path
    path: str


@dataclass(frozen=True)
class Place:
    """A uri, and how what it names is reached: where its volume is mounted, the access to its store.

    `dvc`: the uri is a remote of DVC that has this."""

    uri: str
    mounted: Path
    access: Access
    dvc: Tracked | None = None

    @property
    def shown(self) -> str:
        """The uri as messages have it."""
        return public(self.uri)


def of_data(environ: Mapping[str, str], paths: Paths, uri: str, field: str = "data.store") -> Place:
    """The place of the data of a run. `field`: what messages call the store. InputError."""
    asked = dvc_reference(environ)
    tracked = Tracked(paths.root / asked.file.lstrip("/"), asked.path) if asked else None
    return Place(uri, paths.source, _access("data", field, paths, environ), tracked)


def of_holdout(environ: Mapping[str, str], paths: Paths, uri: str) -> Place:
    """The place of the user's own hold-out. InputError."""
    return Place(uri, paths.source_holdout, _access("holdout", "data.store", paths, environ))


def _access(name: str, field: str, paths: Paths, environ: Mapping[str, str]) -> Access:
    with outside():
        return accesses(environ, paths.root).get(name) or plain(environ, field, paths.root)


@dataclass(frozen=True)
class File:
    """A stored file: its name in its folder, and how to open it."""

    name: str
    opened: Callable[[], AbstractContextManager[Stream]]


@dataclass(frozen=True)
class Found:
    """The files of a place; `many`: it names a folder or a pattern, however many files it has.

    `mark`: what probably changes with the data (`markers`), if finding or reading them tells it: of a web server it is
    known once the file is read."""

    files: list[File]
    many: bool = False
    dvc: DvcOutput | None = None
    mark: Callable[[], str | None] | None = None


def public(uri: str) -> str:
    """A URI without what may be secret in it: a query often holds a signature."""
    return uris.public(uri) if uri.startswith("https://") else uri


def find(place: Place, scratch: Path) -> Found:
    """The files of a place; what scikit-learn ships is written to `scratch`. InputError, StoreError."""
    uri = place.uri
    if place.dvc is not None:
        return _tracked(place, place.dvc)
    if uri.startswith("sklearn://"):
        path = bundled.write(uri.removeprefix("sklearn://"), scratch)
        return Found([File(path.name, partial(path.open, "rb", buffering=0))])
    if uri.startswith(MADE):
        return _made(place)
    if match := MOUNTED.fullmatch(uri):
        return _mounted(Volume(place.mounted, uri), match["path"], many=match["scheme"] == "pvc")
    if buckets.is_bucket(uri):
        objects, many = buckets.find(uri, place.access, PATIENCE)
        files = [_outside(each.file) for each in objects]
        return Found(files, many, mark=partial(buckets.mark, objects))
    if opening.is_outside(uri):
        return _elsewhere(place)
    raise unsupported(place)


def unsupported(place: Place) -> InputError:
    """The failure that a uri is none of those that data is read from."""
    return InputError(
        "UriUnsupported", f"{place.shown!r} is no place that data can be read from. Possible are {SCHEMES}."
    )


def _mounted(volume: Volume, path: str, *, many: bool) -> Found:
    entries, several = volume.find(path, many=many)
    return Found([File(entry.name, partial(volume.open, entry)) for entry in entries], several)


def _made(place: Place) -> Found:
    """What the container of data.source has left in its folder."""
    if not any(not path.name.startswith(".") for path in place.mounted.iterdir()):
        raise InputError(
            "SourceWroteNothing",
            f"The container of data.source ({place.uri.removeprefix(MADE)}) ended well, but wrote no file to /out. "
            "Let it write Parquet or CSV there: one file, or some with the same columns.",
        )
    return _mounted(Volume(place.mounted, place.uri), ".", many=True)


def _elsewhere(place: Place) -> Found:
    """A file of a web server, or the tables in an image of a registry. DataTooLarge, UriUnsupported."""
    files, many = opening.files(place.uri, place.access)
    if not many:
        (file,) = files
        return Found([_outside(file)], mark=(lambda: file.mark) if isinstance(file, WebFile) else None)
    names = [file.name for file in files]
    chosen = [file for file in files if TABLES.fullmatch(file.name)]
    if not chosen:
        folders.Folder(place.shown, names, ()).matching("*.parquet or *.csv")
    folders.check_number(len(chosen), place.shown)
    packed.check_cost(chosen)
    return Found([_outside(file) for file in chosen], many)


def _outside(file: resuming.File) -> File:
    return File(file.name, partial(_streamed, file))


@contextmanager
def _streamed(file: resuming.File) -> Iterator[Stream]:
    with resuming.stream(file, MAX_BYTES, PATIENCE) as stream:
        yield stream


def _tracked(place: Place, asked: Tracked) -> Found:
    """The files of an output of DVC, in the remote that the uri names."""
    remote = remote_of(place)
    output, rest = dvcfile.find(asked.file, asked.path)
    if not output.is_folder:
        return Found([_object(remote, output, place)], dvc=DvcOutput(path=asked.path, md5=output.md5))
    listed = dvcfile.listed(output, _content(remote, output, place))
    outputs, many = dvcfile.choose(listed, rest, output)
    facts = DvcOutput(path=asked.path, md5=output.md5 if many else outputs[0].md5)
    return Found([_object(remote, each, place) for each in outputs], many, facts)


def remote_of(place: Place) -> Remote:
    """What opens the object of a key in a remote of DVC."""
    uri = place.uri
    if claim := CLAIM.fullmatch(uri):
        volume, folder = Volume(place.mounted, uri), claim["path"] or ""
        return lambda key: _stored(volume, f"{folder}/{key}")
    if buckets.is_bucket(uri):
        bucket, prefix = Bucket(uri, place.access), buckets.key_of(uri)
        return lambda key: _streamed(bucket.file(f"{prefix}/{key}".lstrip("/")))
    if uri.startswith("https://"):
        parts = urlsplit(uri)
        base = parts.path.rstrip("/")
        return lambda key: _streamed(
            opening.file(parts._replace(path=f"{base}/{key}").geturl(), place.access)
        )
    raise InputError(
        "UriUnsupported",
        f"{dvcfile.FIELD}: {place.shown} is no remote of DVC. Possible are s3://BUCKET/PATH, gs://BUCKET/PATH, "
        "az://CONTAINER/PATH, https://HOST/PATH and pvc://CLAIM/PATH, for all but https also without a path.",
    )


@contextmanager
def _stored(volume: Volume, path: str) -> Iterator[Stream]:
    (entry,), _ = volume.find(path, many=False)
    with volume.open(entry) as stream:
        yield stream


def _object(remote: Remote, output: dvcfile.Output, place: Place) -> File:
    return File(posixpath.basename(output.path), partial(_checked, remote, output, place))


@contextmanager
def _checked(remote: Remote, output: dvcfile.Output, place: Place) -> Iterator[Stream]:
    """An object of a remote, whose md5 is checked at the end."""
    try:
        with remote(output.key) as stored:
            stream = Md5Stream(stored, legacy=output.legacy)
            yield stream
            right = stream.matches(output.md5.removesuffix(dvcfile.FOLDER))
    except (StoreError, InputError) as error:
        if error.reason != "DataNotFound":
            raise
        raise InputError(
            "DataNotFound",
            f"The remote {place.shown} has no object {output.key} of {output.path!r}. Run dvc push, or name the "
            "remote that it was pushed to (dvc remote list).",
        ) from error
    if not right:
        raise InputError(
            "DvcDigestMismatch",
            f"The object {output.key} of {output.path!r} in {place.shown} does not have the md5 of its name: it was "
            "changed or is not whole. Delete it there and run dvc push.",
        )


def _content(remote: Remote, output: dvcfile.Output, place: Place) -> bytes:
    """The list of a folder."""
    content = bytearray()
    with _checked(remote, output, place) as stream:
        while chunk := stream.read(CHUNK):
            content += chunk
            if len(content) > dvcfile.MAX_LIST_BYTES:
                limit = f"the limit is {dvcfile.MAX_LIST_BYTES} bytes"
                raise InputError(
                    "DataTooLarge", f"{dvcfile.FIELD}: the list of {output.path!r} is too large, {limit}."
                )
    return bytes(content)
