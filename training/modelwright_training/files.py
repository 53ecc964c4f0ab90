"""Digests, bounded reads and writes that appear whole or not at all; knows nothing of what the files hold."""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from modelwright_training.errors import InputError

CHUNK = 1 << 20


def digest_of(content: bytes) -> str:
    """The sha256 of some bytes as `sha256:HEX`."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def digest_of_file(path: Path) -> str:
    """The sha256 of a file as `sha256:HEX`."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def write_synced(path: Path, content: bytes) -> None:
    """Write a new file and wait until it is on the disk."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Wait until a folder's entries are on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old or the new content, never a part."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)


@contextmanager
def regular(path: Path) -> Iterator[BinaryIO | None]:
    """Open a file that another container has written; None if it is not there.

    NotARegularFile for links and special files: a link may lead to what only this step may read, a pipe has no end."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise _special(path) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _special(path)
    with os.fdopen(descriptor, "rb") as file:
        yield file


def size_of(file: BinaryIO) -> int:
    """The size of an open file in bytes."""
    return os.fstat(file.fileno()).st_size


def _special(path: Path) -> InputError:
    return InputError(
        "NotARegularFile",
        f"{path} is a link, a folder or a special file, which is not followed. Write a regular file there.",
    )


def inside(folder: Path, relative: str) -> Path | None:
    """The path of a file below a folder, or None where `..` or a link leads out of it."""
    root = folder.resolve()
    path = (root / relative.lstrip("/")).resolve()
    return path if path.is_relative_to(root) else None
