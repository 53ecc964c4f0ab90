"""Deletes an artifact from a volume, unless a run that is not known to be over has published it as well.

A run may publish the same bytes at any moment, and this process may be killed at any line. So a folder is taken away by
a rename first, and looked at again: a run that has left its mark in it gets it back. A run that finds no folder writes
a new one. A folder that is taken away and not yet judged is put back by the next try."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from modelwright_training.errors import InputError, storage
from modelwright_training.files import digest_of_file, sync_folder
from modelwright_training.storing.layout import MARK, MODEL, PUBLISHED


def remove(folder: Path, digest: str, is_over: Callable[[str], bool]) -> list[str]:
    """Delete the folder of an artifact.

    `is_over`: whether the mark of a run no longer counts; such marks are deleted in any case. Returns the names in the
    folder that keep it, sorted; an empty list if the folder is gone. Raises InputError, and deletes nothing, if the
    folder does not hold a model with this digest.
    """
    taken, condemned = (
        folder.with_name(f".taken-{folder.name}"),
        folder.with_name(f".condemned-{folder.name}"),
    )
    with storage(f"Deleting from the artifact store ({folder.name})"):
        _destroy(condemned)
        _put_back(taken, folder, condemned)
        if not folder.is_dir():
            return []
        _check(folder, digest)
        for mark in [mark for mark in _marks(folder) if is_over(mark.name)]:
            mark.unlink(missing_ok=True)
        if keepers := _keepers(folder):
            return keepers
        _rename(folder, taken)
        if keepers := _keepers(taken):
            _put_back(taken, folder, condemned)
            return keepers
        _condemn(taken, condemned)
    return []


def _check(folder: Path, digest: str) -> None:
    model = folder / MODEL
    found = digest_of_file(model) if model.is_file() else f"no {MODEL}"
    if found != digest:
        raise InputError(
            "StoreCorrupt",
            f"The folder {folder.name} of the artifact store holds {found}. Something else has written to it; "
            "it is left as it is. Delete it by hand if nothing needs it.",
        )


def _marks(folder: Path) -> Iterator[Path]:
    return (entry for entry in folder.iterdir() if entry.name.startswith(MARK))


def _keepers(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.name not in PUBLISHED)


def _put_back(taken: Path, folder: Path, condemned: Path) -> None:
    """Give a folder that was taken away its name again. If a run has written it anew, its marks go there."""
    if not taken.is_dir():
        return
    try:
        _rename(taken, folder)
    except OSError:
        if not folder.is_dir():
            raise
        for mark in _marks(taken):
            (folder / mark.name).touch()
        sync_folder(folder)
        _condemn(taken, condemned)


def _condemn(taken: Path, condemned: Path) -> None:
    """Delete a folder that nothing needs: from the rename on, no later try gives it back in parts."""
    _rename(taken, condemned)
    _destroy(condemned)


def _rename(folder: Path, name: Path) -> None:
    folder.rename(name)
    sync_folder(name.parent)


def _destroy(condemned: Path) -> None:
    if condemned.is_dir():
        shutil.rmtree(condemned)
        sync_folder(condemned.parent)
