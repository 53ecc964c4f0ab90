"""The two ways in which a step can fail on purpose; what a failure says is up to whoever raises it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from types import MappingProxyType
from typing import TYPE_CHECKING

from modelwright_stores.failures import StoreError

if TYPE_CHECKING:  # numpy may only be loaded once its kernels are chosen
    import numpy as np
    import numpy.typing as npt


class StepError(Exception):
    """A failure with a reason that the operator knows and a message that a user can act on."""

    exit_code = 65

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message


class InputError(StepError):
    """The input cannot work, or is not there: trying again at once would end the same."""


class OutsideError(StepError):
    """Something outside failed (network, storage): trying again may help."""

    exit_code = 75


@contextmanager
def storage(what: str) -> Iterator[None]:
    """Turn a failure of the disk below `what` into one that is worth another try."""
    try:
        yield
    except OSError as error:
        detail = error.strerror or type(error).__name__
        raise OutsideError("StorageFailed", f"{what} failed: {detail}.") from error


NOT_RENAMED: Mapping[str, str] = MappingProxyType({})


@contextmanager
def outside(renamed: Mapping[str, str] = NOT_RENAMED) -> Iterator[None]:
    """Turn a failure of a store into one of the step. `renamed`: this step's own words for some reasons.

    OutsideError for what may pass by itself; InputError for what a person has to change first."""
    try:
        yield
    except StoreError as error:
        kind = OutsideError if error.passing else InputError
        raise kind(renamed.get(error.reason, error.reason), error.message) from error


def suggestion(word: str, known: list[str]) -> str:
    """Name what `word` may have been meant to be, as the end of a sentence; empty if nothing is close."""
    close = get_close_matches(word, known, n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(repr(name) for name in close)}?" if close else ""


def listing(names: list[str], limit: int = 20) -> str:
    """List names for a message, the first `limit` of them."""
    shown = ", ".join(repr(name) for name in names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown


def row_listing(marked: npt.NDArray[np.bool_], limit: int = 5) -> str:
    """List the rows that a mask marks, counted from 1, the first `limit` of them."""
    rows = marked.nonzero()[0] + 1
    shown = ", ".join(str(row) for row in rows[:limit])
    more = f" and {len(rows) - limit} more" if len(rows) > limit else ""
    return f"row{'s' if len(rows) > 1 else ''} {shown}{more}"
