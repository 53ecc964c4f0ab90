"""Keeps artifacts on a volume by their digest: written once, seen whole or not at all, never overwritten.

Knows nothing of what the files hold, except that `model.onnx` is what the digest is of."""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from modelwright_training.errors import InputError, OutsideError, storage
from modelwright_training.files import digest_of_file, inside, sync_folder, write_synced

MODEL = "model.onnx"
URI = re.compile(r"pvc://(?P<claim>[^/]+)(?P<path>/.*)?")
ABANDONED_SECONDS = 24 * 3600


def folder_of(uri: str, mounted: Path, what: str) -> Path:
    """The path on the mounted volume that a `pvc://CLAIM/PATH` stands for."""
    match = URI.fullmatch(uri)
    path = inside(mounted, match["path"] or "") if match else None
    if path is None:
        raise InputError("UriUnsupported", f"{what} {uri!r} has to be pvc://CLAIM/PATH, inside the volume.")
    return path


def put(prefix: Path, digest: str, files: Mapping[str, bytes]) -> bool:
    """Make `files` appear in the digest's folder below `prefix`; False if it has been there before."""
    folder = prefix / digest.replace(":", "-")
    with storage(f"Writing to the artifact store ({folder.name})"):
        prefix.mkdir(parents=True, exist_ok=True)
        _clear_abandoned(prefix)
        fresh = not folder.is_dir() and _write(prefix, folder, files)
        found = digest_of_file(folder / MODEL) if (folder / MODEL).is_file() else "no model.onnx"
    if found == digest:
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
