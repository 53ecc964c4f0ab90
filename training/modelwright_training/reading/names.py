"""What the names of columns and the labels of classes may be, so that all programs and the API can hold them."""

import unicodedata
from collections.abc import Iterable

from modelwright_training.reading.faults import ColumnError

# The limits of the API (crds): a name or label, the features of a model, its classes.
LENGTH, MAX_FEATURES, MAX_CLASSES = 256, 1024, 1000
LINE = "\t\n\r"


def check(names: Iterable[str]) -> Iterable[ColumnError]:
    """What is wrong with names of columns."""
    every = list(names)
    for name in every:
        if fault := fault_of(name):
            yield ColumnError(
                "NameUnsuitable",
                f"Column {shown(name)} has a name {fault}",
                "Rename columns, or leave them out with data.exclude.",
            )
    for one, other in alike(every):
        yield ColumnError(
            "NameUnsuitable",
            f"Columns {one!a} and {other!a} have names that look the same",
            "Rename one of them: they differ only in blanks or in how characters are encoded.",
        )


def alike(names: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Pairs of names that differ only in blanks or in how characters are encoded."""
    known: dict[str, str] = {}
    for name in names:
        same = " ".join(unicodedata.normalize("NFC", name).split())
        if same in known:
            yield known[same], name
        known.setdefault(same, name)


def fault_of(name: str) -> str | None:
    """What is wrong with a name or label: a phrase with `of` or `with`."""
    if len(name) > LENGTH:
        return f"of {len(name)} characters, {LENGTH} is the limit"
    if any(unicodedata.category(character) == "Cc" and character not in LINE for character in name):
        return "with control characters"
    return None


def shown(name: str) -> str:
    """A name for a message, shortened."""
    return repr(name if len(name) <= 80 else f"{name[:80]}…")
