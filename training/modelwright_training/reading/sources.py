"""Brings the data of a run into memory, whatever its URI: one file, or many of one schema.

Each file is copied to scratch space of the step's own first: its digest is that of the bytes that are parsed."""

import hashlib
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelwright_stores.failures import StoreError
from modelwright_training.documents import Data, DvcOutput, Sample
from modelwright_training.errors import InputError, OutsideError, outside, storage
from modelwright_training.paths import Paths
from modelwright_training.reading import markers, places, stored, tables
from modelwright_training.reading.gathering import Gathering
from modelwright_training.reading.places import MAX_BYTES, File, Place
from modelwright_training.untyped import ArrowTable

log = logging.getLogger(__name__)

# How often a file is read from its beginning where it changes meanwhile.
TRIES = 3
# What this step calls the reasons of a store.
RENAMED = {"FileTooLarge": "DataTooLarge", "FileChanged": "StoreUnavailable"}


@dataclass(frozen=True)
class Source:
    """The columns of the data and what is known of the files they came from.

    `size` is in bytes, as stored; `delimiter` is what separates the cells of a CSV; `dvc` what DVC calls
    the data; `mark` what changes with it (`markers`), of the moment before it was read."""

    format: tables.Format
    table: ArrowTable
    notes: list[str]
    digest: str
    size: int
    delimiter: str | None = None
    dvc: DvcOutput | None = None
    mark: str | None = None


def bring(data: Data, paths: Paths, environ: Mapping[str, str], field: str = "data.store") -> Source:
    """Read the data of a run from `data.uri`. `field`: what messages call the store."""
    extra = data.holdout.extra_columns if data.holdout.uri is None else []
    place = places.of_data(environ, paths, data.uri, field)
    return _bring(place, _wanted(data, extra), data.digest, data.sample)


def bring_holdout(data: Data, paths: Paths, environ: Mapping[str, str]) -> Source | None:
    """Read the user's own hold-out from `data.holdout.uri`, if there is one."""
    if data.holdout.uri is None:
        return None
    place = places.of_holdout(environ, paths, data.holdout.uri)
    return _bring(place, _wanted(data, data.holdout.extra_columns))


def _bring(
    place: Place, wanted: frozenset[str] | None, digest: str | None = None, sample: Sample | None = None
) -> Source:
    shown = place.shown
    log.info("Fetching %s", shown)
    gathering, lines, size, empty = Gathering(sample), [], 0, 0
    with tempfile.TemporaryDirectory() as folder, outside(RENAMED):
        mark = markers.before(place)
        scratch = Path(folder)
        found = places.find(place, scratch)
        many = found.many
        for file in found.files:
            name = f"{file.name!r} of {shown}" if many or found.dvc else shown
            bound = stored.Bound(MAX_BYTES - size, f"At most {MAX_BYTES >> 30} GiB are read in all.")
            if sample is None and wanted is None:
                bound = min(bound, gathering.bound(), key=lambda bound: bound.size)
            kept = _keep(file, scratch / "data", name, bound)
            lines.append(f"{kept.digest}  {file.name}\n")
            size += kept.size
            if not many:
                _check_digest(shown, kept.digest, digest)
            with storage(f"Reading {name}"):
                part = tables.open_part(kept.path, file.name, wanted)
                if part is None:
                    empty += 1
                else:
                    gathering.add(part, file.name)
            kept.path.unlink()
    overall = digest_of_files(lines) if many else lines[0].split()[0]
    _check_digest(shown, overall, digest)
    if gathering.format is None:
        raise InputError(
            "DataEmpty", "The data is an empty file." if not many else f"All files of {shown} are empty."
        )
    table = gathering.table()
    notes = [*gathering.notes, *([f"{empty} empty files were left out"] if empty else []), *_same(lines)]
    mark = found.mark() if found.mark else mark
    return Source(gathering.format, table, notes, overall, size, gathering.delimiter, found.dvc, mark)


def _keep(file: File, path: Path, name: str, bound: stored.Bound) -> stored.Kept:
    """Copy a file; from its beginning where it changes while it is read."""
    for _ in range(TRIES):
        try:
            with file.opened() as stream:
                return stored.keep(stream, path, name, bound)
        except StoreError as error:
            if error.reason != "FileChanged":
                raise
            log.info("%s has changed while it was read", name)
    raise OutsideError(
        "StoreUnavailable",
        f"{name} changed {TRIES} times while it was read. Write a new file under another name instead.",
    )


def digest_of_files(lines: list[str]) -> str:
    """The digest of a folder: that of its sorted lines `sha256:HEX  NAME`, each with a line feed."""
    return f"sha256:{hashlib.sha256(''.join(sorted(lines)).encode(errors='surrogateescape')).hexdigest()}"


def _check_digest(shown: str, found: str, asked: str | None) -> None:
    if asked not in (None, found):
        raise InputError(
            "DigestMismatch",
            f"{shown} has digest {found}, but data.digest asks for {asked}. "
            "The data has changed: set data.digest to the new one if that is intended.",
        )


def _wanted(data: Data, extra: Sequence[str]) -> frozenset[str] | None:
    """The columns that the run uses, with those that gates need; None for all of the file."""
    if data.features is None:
        return None
    holdout = data.holdout
    after = holdout.after.column if holdout.after else None
    others = (data.target, data.weight, holdout.key, holdout.group, after)
    ruled = [name for name in data.rules if name not in holdout.extra_columns]
    return frozenset([*data.features, *ruled, *data.exclude, *extra, *(name for name in others if name)])


def _same(lines: list[str]) -> Iterator[str]:
    """A note for each pair of files that hold the same bytes: a copy counts each row twice."""
    seen: dict[str, str] = {}
    for line in lines:
        digest, name = line.rstrip("\n").split("  ", 1)
        other = seen.setdefault(digest, name)
        if other != name:
            yield f"files {other!r} and {name!r} hold the same bytes"
