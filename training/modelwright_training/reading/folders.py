"""Which files of a folder are the data: the same rules on a claim, in a bucket, and in a folder that DVC tracks."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase

from modelwright_training.errors import InputError, listing

MAX_FILES = 10_000
WILD = frozenset("*?[")
# What Spark and Hadoop leave beside the files that they write.
MARKS = ("_SUCCESS", "_committed_*", "_started_*", "_metadata", "_common_metadata")
# Tables whose folder also holds files of earlier states: reading all files would bring deleted rows back.
TABLE_FORMATS = {"_delta_log": "Delta Lake", ".hoodie": "Hudi", "metadata": "Iceberg"}


@dataclass(frozen=True)
class Folder:
    """What lies in a folder: names of files, and of folders. `uri`: what messages call it."""

    uri: str
    files: Collection[str]
    folders: Collection[str]

    def matching(self, pattern: str) -> list[str]:
        """The names that a pattern matches, sorted by their bytes.

        DataNotFound if there are none, DataUnreadable for a table format and for folders, DataTooLarge."""
        present = sorted({*self.files, *self.folders}, key=os.fsencode)
        self._check_format()
        hidden = pattern.startswith(".")
        names = [name for name in present if fnmatchcase(name, pattern) and (hidden or not _ignored(name))]
        if not names:
            shown = listing([name for name in present if not name.startswith(".")])
            raise InputError(
                "DataNotFound",
                f"No file of {self.uri} matches {pattern!r}. The folder holds: {shown or 'nothing'}.",
            )
        check_number(len(names), self.uri)
        below = frozenset(self.folders)
        if odd := [name for name in names if name in below]:
            raise InputError(
                "DataUnreadable",
                f"{self.uri} holds folders: {listing(odd)}. The files of one folder are read: "
                "name one of these, or name files by a pattern (FOLDER/*.parquet).",
            )
        return names

    def _check_format(self) -> None:
        managed = [mark for mark in TABLE_FORMATS if mark in self.folders]
        if managed:
            raise InputError(
                "DataUnreadable",
                f"{self.uri} is a table of {TABLE_FORMATS[managed[0]]} ({managed[0]!r}): some of its files hold rows "
                "that are deleted. Export it to files of their own.",
            )


def check_number(files: int, uri: str) -> None:
    """Check that there are not too many files. DataTooLarge."""
    if files > MAX_FILES:
        raise InputError("DataTooLarge", f"{uri} has {files} files; the limit is {MAX_FILES}. Join them.")


def is_pattern(name: str) -> bool:
    """Whether a name may stand for many."""
    return bool(WILD.intersection(name))


def split(path: str, uri: str) -> tuple[str, str]:
    """The folder and the pattern of a path. UriUnsupported if there is a pattern in the folder, too."""
    folder, _, pattern = path.rpartition("/")
    if is_pattern(folder):
        raise InputError(
            "UriUnsupported", f"{uri} has a pattern in a folder's name. Only file names match one."
        )
    return folder, pattern


def _ignored(name: str) -> bool:
    return name.startswith(".") or any(fnmatchcase(name, mark) for mark in MARKS)
