"""Reads profile.json beside a model. Whatever is wrong with it, the server serves: then only requests are counted."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from modelwright_serving.oip.signature import Signature
from modelwright_serving.watching.places import Places, places
from modelwright_serving.watching.profile import MAX_BYTES, Predictions, UnusableError, parse

FILE_NAME = "profile.json"
NO_PROFILE = "NoProfile"
UNUSABLE = "ProfileUnusable"


@dataclass(frozen=True)
class Reading:
    """What was found: `places` to count in, or the `reason` why there are none, with what is wrong. `digest`: of the
    file's bytes, if it could be read. `path`: of the file."""

    path: Path
    places: Places | None = None
    reason: str | None = NO_PROFILE
    problem: str = ""
    digest: str | None = None

    @property
    def predictions(self) -> Predictions | None:
        """What the profile says of predictions; None without a usable one."""
        return None if self.places is None else self.places.profile.predictions

    def content(self) -> bytes | None:
        """The file's bytes as they are now; None if there are none, or other ones than were read."""
        content = _content(self.path)
        return content if content is not None and self.digest == _digest(content) else None


def beside(model: Path) -> Path:
    """Where the profile of a model is, if there is one."""
    return model.parent / FILE_NAME


def read(path: Path, signature: Signature) -> Reading:
    """The profile in a file, for this model."""
    try:
        content = _content(path)
        if content is None:
            return Reading(path)
        digest = _digest(content)
    except OSError as error:
        return Reading(path, reason=UNUSABLE, problem=f"it cannot be read: {error.strerror}")
    try:
        return Reading(path, places(parse(content), signature), None, "", digest)
    except UnusableError as error:
        problem = str(error)
    except Exception as error:  # noqa: BLE001 - what we did not think of must not keep the model from being served
        problem = f"{type(error).__name__}: {error}"[:300]
    return Reading(path, None, UNUSABLE, problem, digest)


def _content(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
