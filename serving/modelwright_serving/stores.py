"""Where artifacts come from: each store opens a named file beside the model. Copying is left to `pull`.

A further store is one more class with `open` and one more line in `source_of`.
"""

import os
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

from modelwright_serving.failures import EXIT_OUTSIDE, StepError


class Source(Protocol):
    """One artifact in some store."""

    def open_model(self) -> BinaryIO:
        """The model's bytes; StepError(ArtifactNotFound) when there are none."""
        ...

    def open_sibling(self, name: str) -> BinaryIO | None:
        """A file in the model's folder, or None when there is none of that name."""
        ...


@dataclass(frozen=True)
class MountedSource:
    """A file on a claim that is mounted at `root`."""

    uri: str
    root: Path
    path: PurePosixPath

    def open_model(self) -> BinaryIO:
        opened = self._open(self.path)
        if opened is None:
            raise StepError(
                "ArtifactNotFound",
                f"{self.uri}: the claim holds no file {self.path}; check the path in the artifact's uri",
            )
        return opened

    def open_sibling(self, name: str) -> BinaryIO | None:
        return self._open(self.path.parent / name)

    def _open(self, path: PurePosixPath) -> BinaryIO | None:
        try:
            real = (self.root / path).resolve(strict=True)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except RuntimeError as error:  # how Python before 3.13 says that symbolic links form a circle
            raise self._refused(path, "is a circle of symbolic links") from error
        if not real.is_relative_to(self.root.resolve()):
            raise self._refused(path, "is a symbolic link that leads out of the claim")
        return self._open_regular(path, real)

    def _open_regular(self, path: PurePosixPath, real: Path) -> BinaryIO:
        # Without O_NONBLOCK, opening a named pipe waits for a writer that may never come.
        descriptor = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise self._refused(path, "is not a regular file; the uri names the model file itself")
        return os.fdopen(descriptor, "rb")

    def _refused(self, path: PurePosixPath, why: str) -> StepError:
        return StepError("ArtifactNotFound", f"{self.uri}: {path} {why}")


def source_of(uri: str, root: Path) -> Source:
    """The store that `uri` names; its claim is mounted at `root`."""
    scheme, separator, rest = uri.partition("://")
    if scheme != "pvc" or not separator:
        raise StepError("UriUnsupported", f"{uri}: the artifact's uri has to look like pvc://CLAIM/PATH")
    claim, *parts = rest.split("/")
    if not claim or not parts or any(part in {"", ".", ".."} or "\0" in part for part in parts):
        raise StepError(
            "UriUnsupported",
            f"{uri}: the uri has to look like pvc://CLAIM/PATH, with a path of plain names: no '..', no '//'",
        )
    if not root.is_dir():
        raise StepError("StorageFailed", f"{uri}: the claim is not mounted at {root}", EXIT_OUTSIDE)
    return MountedSource(uri, root, PurePosixPath(*parts))
