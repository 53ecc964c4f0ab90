"""What shows cheaply whether data has changed: etags, sizes and times of the files, a manifest's digest, DVC's md5.

Data with another marker may still be the same; then its digest shows it. Where data can change without a sign there is
no marker."""

import hashlib
from collections.abc import Sequence
from importlib.metadata import version
from typing import BinaryIO

from modelwright_stores import resuming
from modelwright_stores.registry.repository import Repository
from modelwright_stores.web.file import WebFile
from modelwright_training.errors import outside, storage
from modelwright_training.files import CHUNK
from modelwright_training.reading import buckets, bundled, dvcfile, places
from modelwright_training.reading.places import Place
from modelwright_training.reading.volume import Volume

CHARACTERS = 32
WEB = "https://"
# A Job asks again later.
BRIEFLY = resuming.Patience(silent=20, total=60)


def joined(marks: Sequence[str | None]) -> str | None:
    """The marker of data, and of its hold-out if that is another file; None if one of them has none."""
    if None in marks:
        return None
    return hashlib.sha256("\0".join(map(str, marks)).encode(errors="surrogateescape")).hexdigest()[
        :CHARACTERS
    ]


def asked(place: Place) -> str | None:
    """What is found without reading the data. A web server is asked for a byte of the file. StepError."""
    if place.dvc is not None:
        return before(place)
    with outside():
        if buckets.is_bucket(place.uri):
            return buckets.mark(buckets.find(place.uri, place.access, BRIEFLY)[0])
        if place.uri.startswith(WEB):
            file = WebFile(place.uri, place.access)
            resuming.patiently(file.head, file.shown, BRIEFLY)
            return file.mark
    return before(place)


def before(place: Place) -> str | None:
    """The same, to be asked before the data is read: if it changes meanwhile, the marker is that of the earlier state.

    None of buckets and web servers, of which `Found.mark` says it: a link may work only once. StepError."""
    uri = place.uri
    if place.dvc is not None:
        places.remote_of(place)  # refuses what is none
        output, rest = dvcfile.find(place.dvc.file, place.dvc.path)
        return f"{output.md5} {rest}"
    if uri.startswith("sklearn://"):
        bundled.check(uri.removeprefix("sklearn://"))
        return version("scikit-learn")
    if match := places.MOUNTED.fullmatch(uri):
        return _mounted(Volume(place.mounted, uri), match["path"], many=match["scheme"] == "pvc")
    with outside():
        if uri.startswith("oci://"):
            repository = Repository(uri, place.access)
            return repository.digest(repository.reference)
    if not (uri.startswith((WEB, places.MADE)) or buckets.is_bucket(uri)):
        raise places.unsupported(place)
    return None


def _mounted(volume: Volume, path: str, *, many: bool) -> str:
    entries, _ = volume.find(path, many=many)
    if many:
        return "".join(f"{volume.mark(entry)}  {entry.name}\n" for entry in entries)
    # The kubelet writes the files of a ConfigMap for each pod, so that their times say nothing.
    with volume.open(entries[0]) as file, storage(f"Reading {entries[0].name}"):
        return _digest(file)


def _digest(file: BinaryIO) -> str:
    hashed = hashlib.sha256()
    while chunk := file.read(CHUNK):
        hashed.update(chunk)
    return hashed.hexdigest()
