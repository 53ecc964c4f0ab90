"""The counts of one window as a document: read from a pod's answer, and added up. Pure.

docs/contracts/monitor.schema.json has the format. What a pod says is not trusted: whatever is no count is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from math import isfinite
from typing import Any

# The counts of a window, as in the format, with nothing else in it. A part that was cut off, or that there is none of,
# is missing.
Counts = Mapping[str, Any]

# A sum of the counts of a thousand pods still is an integer that JSON readers take.
MOST_COUNTED = 2**53
MOST_FEATURES = 1024
MOST_CELLS = 64
MOST_PROJECTIONS = 16
# How many counts of a feature come after its cells: other, missing, outside.
EXTRAS = 3
MOST_CLASSES = 1024
# Models whose predictions came back, and entries of a table of them.
MOST_MODELS = 16
MOST_PAIRS = 5000
NUMBERS = ("requests", "rows", "counted")
OUTCOMES = ("Counted", "Duplicate", "Forged", "Expired", "UnknownLabel")
# Parts of feedback whose entries are keys with a count at the end. The scores of predictions are plain counts.
_TABLES = ("confusion", "scores")


def read(document: object) -> dict[str, Any]:
    """Returns the counts of a window that a pod reports.

    Raises:
        ValueError: it is no window, or its numbers contradict each other.
    """
    given = _mapping(document)
    counts: dict[str, Any] = {name: _count(given.get(name)) for name in NUMBERS}
    if counts["counted"] > counts["rows"]:
        raise ValueError("more rows are counted than were answered")
    if given.get("squares") is not None:
        counts["squares"] = _number(given["squares"])
    for name, most, cells in (
        ("features", MOST_FEATURES, MOST_CELLS), ("projections", MOST_PROJECTIONS, MOST_CELLS),
    ):  # fmt: skip
        if given.get(name) is not None:
            counts[name] = _rows(given[name], most, cells, counts["counted"])
    if given.get("predictions") is not None:
        counts["predictions"] = _predictions(given["predictions"], counts["counted"])
    if feedback := _few(_mapping(given.get("feedback") or {}), MOST_MODELS):
        counts["feedback"] = {_text(model): _scores(found) for model, found in feedback.items()}
    if outcomes := _mapping(given.get("outcomes") or {}):
        counts["outcomes"] = {name: _count(outcomes.get(name, 0)) for name in OUTCOMES}
    return counts


def is_empty(counts: Counts) -> bool:
    """True if nothing was answered in the window, and no label came."""
    outcomes = counts.get("outcomes") or {}
    return not (any(counts.get(name) for name in NUMBERS) or any(outcomes.values()) or counts.get("feedback"))


def total(all_counts: Iterable[Counts]) -> Counts:
    """Returns the sum of the counts of several processes; {} of none."""
    return reduce(add, all_counts, {})


def add(one: Counts, other: Counts) -> Counts:
    """Returns the sum of two counts. A part that only one of them has is taken from it.

    Parts of different sizes, as of two profiles, cannot be summed: that of the first stays.
    """
    summed = dict(one)
    for name, value in other.items():
        if name not in summed:
            summed[name] = value
        elif name in _TABLES and all(isinstance(entry, list) for entry in (*summed[name], *value)):
            summed[name] = _merged(summed[name], value)
        elif (both := _sum(summed[name], value)) is not None:
            summed[name] = both
    return summed


def latest(last: Counts, earlier: Counts) -> Counts:
    """Returns the last counts of a process, with the parts that were cut off as they were earlier."""
    return {**earlier, **last}


def _sum(one: Any, other: Any) -> Any:  # noqa: ANN401 - any JSON
    """The sum of two numbers, two lists of one shape, or two mappings; None if they do not fit each other."""
    if isinstance(one, Mapping):
        return add(one, other)
    if isinstance(one, list):
        if len(one) != len(other):
            return None
        parts = [_sum(a, b) for a, b in zip(one, other, strict=True)]
        return None if any(part is None for part in parts) else parts
    return one + other


def _merged(one: list[list[int]], other: list[list[int]]) -> list[list[int]]:
    """Two tables as one: the counts of entries with the same keys are added."""
    found: dict[tuple[int, ...], int] = {}
    for *keys, count in (*one, *other):
        found[tuple(keys)] = found.get(tuple(keys), 0) + count
    return [[*keys, count] for keys, count in sorted(found.items())]


def _rows(value: object, most: int, cells: int, counted: int) -> list[list[int]]:
    """Lists of counts. Their cells, without the last one that may overlap with another, hold no more rows than were
    counted."""
    rows = [_list(each, cells) for each in _items(value, most)]
    if any(sum(row[:-1]) > counted or (row and row[-1] > counted) for row in rows):
        raise ValueError("a feature has more values than there are rows")
    return rows


def _predictions(value: object, counted: int) -> dict[str, Any]:
    given = _mapping(value)
    found: dict[str, Any] = {
        name: _list(given[name], MOST_CLASSES)
        for name in ("labels", "scores", "confidence", "counts")
        if given.get(name) is not None
    }
    if any(sum(cells) > counted for cells in found.values()):
        raise ValueError("there are more predictions than rows")
    if given.get("outside") is not None:
        found["outside"] = _count(given["outside"])
    return found


def _scores(value: object) -> dict[str, Any]:
    """What became of the predictions of one model."""
    given = _mapping(value)
    found: dict[str, Any] = {"labels": _count(given.get("labels"))}
    for name in _TABLES:
        if given.get(name) is not None:
            found[name] = _table(given[name], found["labels"])
    for name in ("confidence", "correct"):
        if given.get(name) is not None:
            found[name] = _list(given[name], MOST_CELLS)
    if given.get("certainty") is not None:
        found["certainty"] = [_number(each) for each in _items(given["certainty"], MOST_CELLS)]
    for name in ("loss", "error"):
        if given.get(name) is not None:
            moments = _few(_mapping(given[name]), MOST_MODELS)
            found[name] = {
                _text(moment): _number(number, negative=moment == "truth")
                for moment, number in moments.items()
            }
    correct, confidence = found.get("correct", []), found.get("confidence", [])
    if len(correct) != len(confidence) or any(map(int.__gt__, correct, confidence)):
        raise ValueError("more predictions are correct than there are")
    return found


def _table(value: object, labels: int) -> list[list[int]]:
    table = [
        [_key(each[0]), _key(each[1]), _count(each[2])] for each in map(_triple, _items(value, MOST_PAIRS))
    ]
    if sum(count for *_, count in table) > labels:
        raise ValueError("a table has more predictions than there are labels")
    return table


def _triple(value: object) -> list[Any]:
    if not isinstance(value, list) or len(value) != 3:
        raise ValueError("an entry of a table has two keys and a count")
    return value


def _key(value: object) -> int:
    if type(value) is not int or not -1 <= value < MOST_CLASSES:
        raise ValueError("a key of a table is the index of a class or of a cell")
    return value


def _list(value: object, most: int) -> list[int]:
    return [_count(each) for each in _items(value, most)]


def _items(value: object, most: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise ValueError(f"a list of at most {most} is expected")
    return value


def _few(value: Mapping[str, Any], most: int) -> Mapping[str, Any]:
    if len(value) > most:
        raise ValueError(f"at most {most} entries are expected")
    return value


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("an object is expected")  # noqa: TRY004 - all defects of an answer are one error
    return value


def _text(value: str) -> str:
    if not 0 < len(value) <= 64:
        raise ValueError("a name of at most 64 characters is expected")
    return value


def _count(value: object) -> int:
    if type(value) is not int or not 0 <= value <= MOST_COUNTED:
        raise ValueError("a value is no count")
    return value


def _number(value: object, *, negative: bool = False) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise ValueError("a value is no number")
    if value < 0 and not negative:
        raise ValueError("a value is negative")
    return value
