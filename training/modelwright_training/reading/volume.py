"""Finds and opens files of a mounted volume: one, those of a folder, or those that a pattern matches.

A link is followed as long as it stays inside the volume, as a ConfigMap's files are links. What it leads to is opened
folder by folder without following any more links, so that no writer can exchange a part of the path in between."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from modelwright_training.errors import InputError, OutsideError
from modelwright_training.files import inside
from modelwright_training.reading import folders

KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@dataclass(frozen=True)
class Entry:
    """A file of a volume: its name in the folder, and where it is without links."""

    name: str
    path: Path


@dataclass(frozen=True)
class Volume:
    """A mounted volume, and the URI that messages name."""

    root: Path
    uri: str

    def find(self, relative: str, *, many: bool) -> tuple[list[Entry], bool]:
        """The files that `relative` names, and whether it names a folder or a pattern, which only `many` allows."""
        with self._explained(relative):
            path = self._inside(relative)
            if path.is_dir() and many:
                return self._folder(path, "*"), True
            if many and not path.exists() and folders.is_pattern(relative):
                folder, pattern = folders.split(relative, self.uri)
                return self._folder(self._inside(folder), pattern), True
            if not path.exists():
                raise InputError(
                    "DataNotFound",
                    f"There is no file {relative!r} in the volume of {self.uri!r}.{_beside(path)}",
                )
            return [Entry(path.name, path)], False

    def mark(self, entry: Entry) -> str:
        """What probably changes when a file does: its size, and when it was written.

        Neither its number nor the time of its last change of any kind: another mount may have others."""
        with self._explained(entry.name):
            found = entry.path.stat(follow_symlinks=False)
        return f"{found.st_size} {found.st_mtime_ns}"

    @contextmanager
    def open(self, entry: Entry) -> Iterator[BinaryIO]:
        """Open a file for reading, if it is a regular one."""
        with self._explained(entry.name):
            descriptor = _open_below(self.root.resolve(), entry.path)
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            os.close(descriptor)
            kind = next((words for test, words in KINDS if test(mode)), "no regular file")
            raise InputError(
                "DataUnreadable", f"{entry.name!r} of {self.uri} is {kind}. Only regular files are read."
            )
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            yield file

    def _folder(self, folder: Path, pattern: str) -> list[Entry]:
        if not folder.is_dir():
            raise InputError("DataNotFound", f"There is no folder for {self.uri!r}.{_beside(folder)}")
        files: list[str] = []
        below: list[str] = []
        for path in folder.iterdir():
            (below if path.is_dir() else files).append(path.name)
        names = folders.Folder(self.uri, files, below).matching(pattern)
        base = folder.relative_to(self.root.resolve())
        entries = [Entry(name, self._inside(str(base / name))) for name in names]
        self._check_distinct(entries)
        return entries

    def _check_distinct(self, entries: list[Entry]) -> None:
        seen: dict[tuple[int, int], str] = {}
        for entry in entries:
            found = entry.path.stat()
            other = seen.setdefault((found.st_dev, found.st_ino), entry.name)
            if other != entry.name:
                raise InputError(
                    "DataUnreadable",
                    f"{other!r} and {entry.name!r} of {self.uri} are the same file: its rows would count twice. "
                    "Name a pattern that one of them matches.",
                )

    def _inside(self, relative: str) -> Path:
        path = inside(self.root, relative)
        if path is None:
            raise InputError(
                "UriUnsupported",
                f"{self.uri!r} leads out of the volume at {relative!r}. Name a file inside it.",
            )
        return path

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        """Turn what the file system refuses into what a user can mend, or into what is worth another try."""
        try:
            yield
        except PermissionError as error:
            message = f"{name!r} of {self.uri} may not be read by user {os.getuid()}."
            raise InputError("AccessDenied", message) from error
        except (RuntimeError, ValueError) as error:  # what pathlib raises for links in a circle and for a NUL
            raise InputError("UriUnsupported", f"{self.uri!r} names no file: {name!r}.") from error
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO, errno.ENOTDIR, errno.ENAMETOOLONG):
                message = f"{name!r} of {self.uri} is no regular file: {error.strerror}."
                raise InputError("DataUnreadable", message) from error
            raise OutsideError(
                "StorageFailed", f"Opening {name!r} of {self.uri} failed: {error.strerror}."
            ) from error


def _open_below(root: Path, path: Path) -> int:
    """A descriptor of a file below `root`; a link at any place, or a pipe without a writer, fails or is no wait."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    *folders, name = path.relative_to(root).parts or (".",)
    at = os.open(root, flags | os.O_DIRECTORY)
    try:
        for folder in folders:
            below = os.open(folder, flags | os.O_DIRECTORY, dir_fd=at)
            os.close(at)
            at = below
        return os.open(name, flags | os.O_NONBLOCK, dir_fd=at)
    finally:
        os.close(at)


def _beside(path: Path) -> str:
    """What lies where the file was expected, as the end of a sentence."""
    if not path.parent.is_dir():
        return " The folder is not there either."
    names = sorted(entry.name for entry in path.parent.iterdir() if not entry.name.startswith("."))
    return f" The folder holds: {', '.join(names[:20])}." if names else " The folder is empty."
