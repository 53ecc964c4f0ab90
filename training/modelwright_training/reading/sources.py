"""Brings the data of a run into memory, whatever its URI: one file, or many of one schema.

Each file is copied to scratch space of the step's own first: its digest is that of the bytes that are parsed."""

import hashlib
import logging
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from modelwright_training.documents import Data, Sample
from modelwright_training.errors import InputError, storage
from modelwright_training.reading import bundled, https, stored, tables
from modelwright_training.reading.gathering import Gathering
from modelwright_training.reading.volume import Volume
from modelwright_training.untyped import ArrowTable, Stream

log = logging.getLogger(__name__)

SCHEMES = "configmap://NAME/KEY, pvc://CLAIM/PATH, https://HOST/PATH and sklearn://NAME"
MOUNTED = re.compile(r"(?P<scheme>configmap|pvc)://(?P<volume>[^/]+)/(?P<path>.+)", re.DOTALL)
MAX_BYTES = 16 << 30
MAX_DOWNLOAD = 2 << 30


@dataclass(frozen=True)
class Source:
    """The columns of the data and what is known of the files they came from.

    `size` is in bytes, as stored; `delimiter` is what separates the cells of a CSV."""

    format: tables.Format
    table: ArrowTable
    notes: list[str]
    digest: str
    size: int
    delimiter: str | None = None


@dataclass(frozen=True)
class _File:
    """A stored file: its name in its folder, and how to open it."""

    name: str
    opened: Callable[[], AbstractContextManager[Stream]]


def public(uri: str) -> str:
    """A URI without what may be secret in it: a query often holds a signature."""
    return re.split(r"[?#]", uri, maxsplit=1)[0] if uri.startswith("https://") else uri


def bring(data: Data, mounted: Path, environ: Mapping[str, str]) -> Source:
    """Read the data of a run from `data.uri`; volumes are mounted at `mounted`."""
    extra = data.holdout.extra_columns if data.holdout.uri is None else []
    wanted = _wanted(data, extra)
    return _bring(data.uri, mounted, environ, wanted, data.digest, data.sample)


def bring_holdout(data: Data, mounted: Path, environ: Mapping[str, str]) -> Source | None:
    """Read the user's own hold-out from `data.holdout.uri`, if there is one; its volume is mounted at `mounted`."""
    if data.holdout.uri is None:
        return None
    return _bring(data.holdout.uri, mounted, environ, _wanted(data, data.holdout.extra_columns))


def _bring(
    uri: str,
    mounted: Path,
    environ: Mapping[str, str],
    wanted: frozenset[str] | None,
    digest: str | None = None,
    sample: Sample | None = None,
) -> Source:
    shown = public(uri)
    log.info("Fetching %s", shown)
    gathering, lines, size, empty = Gathering(sample), [], 0, 0
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        files, many = _files(uri, mounted, scratch, environ)
        for file in files:
            name = f"{file.name!r} of {shown}" if many else shown
            with file.opened() as stream:
                bound = stored.Bound(MAX_BYTES - size, f"At most {MAX_BYTES >> 30} GiB are read in all.")
                if sample is None and wanted is None:
                    bound = min(bound, gathering.bound(), key=lambda bound: bound.size)
                kept = stored.keep(stream, scratch / "data", name, bound)
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
    found = digest_of_files(lines) if many else lines[0].split()[0]
    _check_digest(shown, found, digest)
    if gathering.format is None:
        raise InputError(
            "DataEmpty", "The data is an empty file." if not many else f"All files of {shown} are empty."
        )
    table = gathering.table()
    notes = [*gathering.notes, *([f"{empty} empty files were left out"] if empty else []), *_same(lines)]
    return Source(gathering.format, table, notes, found, size, gathering.delimiter)


def _files(uri: str, mounted: Path, scratch: Path, environ: Mapping[str, str]) -> tuple[list[_File], bool]:
    """The files of a URI, and whether it stands for a folder or a pattern."""
    if uri.startswith("sklearn://"):
        path = bundled.write(uri.removeprefix("sklearn://"), scratch)
        return [_File(path.name, partial(path.open, "rb", buffering=0))], False
    if uri.startswith("https://"):
        name = Path(urlsplit(https.checked(uri)).path).name
        return [_File(name, partial(https.opened, uri, environ, https.Limits(MAX_DOWNLOAD)))], False
    if match := MOUNTED.fullmatch(uri):
        volume = Volume(mounted, uri)
        entries, many = volume.find(match["path"], many=match["scheme"] == "pvc")
        return [_File(entry.name, partial(volume.open, entry)) for entry in entries], many
    raise InputError(
        "UriUnsupported", f"{public(uri)!r} is no place that data can be read from. Possible are {SCHEMES}."
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
