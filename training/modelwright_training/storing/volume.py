"""Keeps artifacts on a volume by their digest: written once, seen whole or not at all, never overwritten.

Each run that publishes an artifact leaves its mark in the folder, an empty file. `removal` deletes a folder only when
no mark of a run counts any more. Knows nothing of what the files hold, except that `model.onnx` is what the digest is
of."""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from modelwright_training.errors import InputError, OutsideError, storage
from modelwright_training.files import digest_of_file, inside, regular, sync_folder, write_synced
from modelwright_training.storing import removal
from modelwright_training.storing.layout import MODEL, folder_name, uri_in_folder

URI = re.compile(r"pvc://(?P<claim>[^/]+)(?P<path>/.*)?")
ABANDONED_SECONDS = 24 * 3600
# Each try loses against a deletion of the folder in the moment between two calls.
TRIES = 10


def folder_of(uri: str, mounted: Path, what: str) -> Path:
    """The path on the mounted volume that a `pvc://CLAIM/PATH` stands for."""
    match = URI.fullmatch(uri)
    path = inside(mounted, match["path"] or "") if match else None
    if path is None:
        raise InputError("UriUnsupported", f"{what} {uri!r} has to be pvc://CLAIM/PATH, inside the volume.")
    return path


@dataclass(frozen=True)
class VolumeStore:
    """A store in the folder `prefix` of a mounted volume, which is `uri`."""

    uri: str
    prefix: Path

    def uri_of(self, digest: str) -> str:
        """Where the model file with this digest is kept."""
        return uri_in_folder(self.uri, digest)

    def check_writable(self) -> None:
        """Nothing: only the pod that writes mounts the volume so that it can be written."""

    def put(self, digest: str, files: Mapping[str, bytes], mark: str) -> bool:
        """Keep the files of an artifact, and the mark of the run. False if they were there before."""
        return put(self.prefix, digest, files, mark)

    def add(self, digest: str, name: str, content: bytes) -> bytes:
        """Keep one more file of an artifact, unless there is one of that name; what the file holds then."""
        path = add(self.prefix, digest, name, content)
        with storage(f"Reading {name}"), regular(path) as file:
            return b"" if file is None else file.read(len(content) + (1 << 20))

    def remove(self, digest: str, is_over: Callable[[str], bool]) -> list[str]:
        """Delete an artifact unless something keeps it: then the names of that."""
        return removal.remove(self.prefix / folder_name(digest), digest, is_over)


def put(prefix: Path, digest: str, files: Mapping[str, bytes], mark: str) -> bool:
    """Make `files` and the mark appear in the digest's folder below `prefix`; False if the files were there before.

    The folder may be deleted at the same time: it holds the model and the mark at the moment when this returns.
    """
    folder = prefix / folder_name(digest)
    with storage(f"Writing to the artifact store ({folder.name})"):
        prefix.mkdir(parents=True, exist_ok=True)
        _clear_abandoned(prefix)
        for _ in range(TRIES):
            fresh = not _leave_mark(folder, mark) and _write(prefix, folder, {**files, mark: b""})
            found = digest_of_file(folder / MODEL) if (folder / MODEL).is_file() else "no model.onnx"
            # Last, so that what was found is in the folder that has the mark.
            if _has_mark(folder, mark):
                break
        else:
            raise OutsideError("StorageFailed", f"{folder.name} is deleted each time that it is written.")
    if found == digest:
        if not fresh and os.access(folder, os.W_OK):
            for name in files:  # an earlier release may not have written it
                add(prefix, digest, name, files[name])
        return fresh
    if fresh:
        raise OutsideError(
            "StorageFailed", f"The artifact store reads back {found} where {digest} was written."
        )
    raise InputError(
        "StoreCorrupt",
        f"The folder {folder.name} of the artifact store holds {found}. Something else has written to it; "
        "it is left as it is. Move it away, then run again.",
    )


def add(prefix: Path, digest: str, name: str, content: bytes) -> Path:
    """Make one more file appear in the digest's folder, unless there is one of that name; its path."""
    folder = prefix / folder_name(digest)
    with storage(f"Writing {name} to the artifact store"):
        if not (folder / name).exists():
            # Beside the folder, as for `put`: a part of a file in it would keep it from being deleted.
            with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=prefix) as partial:
                write_synced(Path(partial) / name, content)
                (Path(partial) / name).rename(folder / name)
            sync_folder(folder)
    return folder / name


def _leave_mark(folder: Path, mark: str) -> bool:
    """Mark a folder; False if it is not there. One that cannot be written cannot be deleted, and needs no mark."""
    if folder.is_dir() and not os.access(folder, os.W_OK):
        return True
    try:
        (folder / mark).touch()
        sync_folder(folder)
    except FileNotFoundError:
        return False
    return True


def _has_mark(folder: Path, mark: str) -> bool:
    return (folder / mark).is_file() or (folder.is_dir() and not os.access(folder, os.W_OK))


def _write(prefix: Path, folder: Path, files: Mapping[str, bytes]) -> bool:
    """Write beside the folder, then give it its name; False if somebody else was faster."""
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=prefix))
    try:
        partial.chmod(0o755)
        for name, content in files.items():
            write_synced(partial / name, content)
        sync_folder(partial)
        try:
            partial.rename(folder)
        except OSError:
            if folder.is_dir():
                return False
            raise
        sync_folder(prefix)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return True


def _clear_abandoned(prefix: Path) -> None:
    """Remove what writers that were killed have left behind, once nobody can still be at it."""
    before = time.time() - ABANDONED_SECONDS
    for entry in os.scandir(prefix):
        if entry.name.startswith(".sha256-") and entry.stat(follow_symlinks=False).st_mtime < before:
            shutil.rmtree(entry.path, ignore_errors=True)
