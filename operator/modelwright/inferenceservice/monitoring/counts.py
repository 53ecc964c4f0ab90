"""The counts of one window as a document: read from a pod's answer, and added up. Pure.

docs/contracts/monitor.schema.json has the format. What a pod says is not trusted: whatever is no count is refused.
Sums keep to the same bounds, so whatever was read and summed up can be written and read again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any

from modelwright.api.monitoring import MOST_COUNTED

# The counts of a window, as in the format, with nothing else in it. A part that was cut off, or that there is none of,
# is missing.
Counts = Mapping[str, Any]

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
# The cells of a table of scores, and the key of what has no place of its own in a table of classes.
SCORE_CELLS, OTHER_CLASS = 64, -1
# The moments of losses and errors, and their bounds: 2**53 times a 32-bit float, its square and its fourth power. The
# square of a mean of any of the first two is still a number.
_FIRST, _SECOND, _FOURTH = 1e55, 1e93, 1e170
MOMENTS = {
    "log": _FIRST, "logSquare": _SECOND, "abs": _FIRST, "square": _SECOND, "fourth": _FOURTH,
    "truth": _FIRST, "truthSquare": _SECOND,
}  # fmt: skip


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
        counts["squares"] = _number(given["squares"], counts["counted"] ** 2)
    for name, most, extras in (("features", MOST_FEATURES, EXTRAS), ("projections", MOST_PROJECTIONS, 0)):
        if given.get(name) is not None:
            counts[name] = _rows(given[name], most, extras, counts["counted"])
    if given.get("predictions") is not None:
        counts["predictions"] = _predictions(given["predictions"], counts["counted"])
    if feedback := _few(_mapping(given.get("feedback") or {}), MOST_MODELS):
        counts["feedback"] = {_text(model): read_scores(found) for model, found in feedback.items()}
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
    """Returns the sum of the counts of two windows. A part that only one of them has is taken from it.

    Parts of different sizes, as of two profiles, cannot be summed: that of the first stays. So do its counts as a whole
    if those of both together are beyond the bounds.
    """
    summed = dict(one)
    for name, value in other.items():
        if name not in summed:
            summed[name] = value
        elif name == "feedback":
            summed[name] = _few_models(summed[name], value)
        elif (both := _sum(summed[name], value)) is not None:
            summed[name] = both
    outcomes = summed.get("outcomes") or {}
    within = all(count <= MOST_COUNTED for count in (*map(summed.get, NUMBERS), *outcomes.values()) if count)
    return summed if within else one


def add_scores(one: Counts, other: Counts) -> Counts:
    """Returns the sum of what became of the predictions of one model; the first if they cannot be summed."""
    summed: dict[str, Any] | None = _sum({name: one[name] for name in one if name not in _TABLES}, {
        name: other[name] for name in other if name not in _TABLES
    })  # fmt: skip
    if summed is None or not _scores_within(summed):
        return one
    for name in _TABLES:
        if name in one or name in other:
            summed[name] = _merged(one.get(name) or [], other.get(name) or [])
    return summed


def _few_models(one: Mapping[str, Counts], other: Mapping[str, Counts]) -> dict[str, Counts]:
    """The scores of the models of both; of more than there may be, those of the first."""
    summed = dict(one)
    for model, found in other.items():
        if model in summed:
            summed[model] = add_scores(summed[model], found)
        elif len(summed) < MOST_MODELS:
            summed[model] = found
    return summed


def _scores_within(scores: Counts) -> bool:
    moments = [
        (name, number)
        for part in ("loss", "error")
        for name, number in (scores.get(part) or {}).items()
        if name in MOMENTS
    ]
    return scores.get("labels", 0) <= MOST_COUNTED and all(
        abs(number) <= MOMENTS[name] for name, number in moments
    )


def latest(last: Counts, earlier: Counts) -> Counts:
    """Returns the last counts of a process, with the parts that were cut off as they were earlier."""
    return {**earlier, **last}


def _sum(one: Any, other: Any) -> Any:  # noqa: ANN401 - any JSON
    """The sum of two numbers, two lists of one shape, or two mappings; None if they do not fit each other."""
    if isinstance(one, Mapping):
        parts = {name: _sum(one[name], other[name]) for name in one if name in other}
        return None if any(part is None for part in parts.values()) else {**one, **other, **parts}
    if isinstance(one, list):
        if len(one) != len(other):
            return None
        sums = [_sum(a, b) for a, b in zip(one, other, strict=True)]
        return None if any(part is None for part in sums) else sums
    return one + other


def _merged(one: list[list[int]], other: list[list[int]]) -> list[list[int]]:
    """Two tables as one: the counts of entries with the same keys are added. In a table with too many pairs of classes,
    wrong predictions count as those of another class, as a server with too many does."""
    found: Counter[tuple[int, int]] = Counter()
    for first, second, count in (*one, *other):
        found[first, second] += count
    if len(found) > MOST_PAIRS:
        whole, found = found, Counter()
        for (predicted, true), count in whole.items():
            found[predicted if predicted == true else OTHER_CLASS, true] += count
    return [[*keys, count] for keys, count in sorted(found.items())]


def _rows(value: object, most: int, extras: int, counted: int) -> list[list[int]]:
    """Lists of counts. Their cells hold no more rows than were counted, with `extras` those of other and of missing
    values too; the last extra counts rows of the cells once more."""
    rows = [_list(each, MOST_CELLS) for each in _items(value, most)]
    for row in rows:
        cells = row[: len(row) - extras]
        if len(row) < extras or sum(row[:-1] if extras else row) > counted:
            raise ValueError("a feature has more values than there are rows")
        if extras and row[-1] > sum(cells):
            raise ValueError("more values are out of range than there are")
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
        if found["outside"] > sum(found.get("counts", ())):
            raise ValueError("more predictions are out of range than there are")
    return found


def read_scores(value: object) -> dict[str, Any]:
    """Returns what became of the predictions of one model.

    Raises:
        ValueError: it is no such document, or its numbers contradict each other.
    """
    given = _mapping(value)
    found: dict[str, Any] = {"labels": _count(given.get("labels"))}
    # How many POSTs brought them, and the sum of the squares of how many each brought.
    for name, most in (("posts", found["labels"]), ("postSquares", found["labels"] ** 2)):
        if given.get(name) is not None:
            found[name] = _number(given[name], most)
    for name in _TABLES:
        if given.get(name) is not None:
            found[name] = _table(name, given[name], found["labels"])
    found |= _confidence(given, found["labels"])
    for name in ("loss", "error"):
        if given.get(name) is not None:
            found[name] = _moments(_mapping(given[name]), found["labels"])
    return found


def _confidence(given: Mapping[str, Any], labels: int) -> dict[str, Any]:
    """The predictions by their confidence. Sums of probabilities are not above the count of their cell, but for
    rounding."""
    found: dict[str, Any] = {
        name: _list(given[name], MOST_CELLS)
        for name in ("confidence", "correct")
        if given.get(name) is not None
    }
    correct, confidence = found.get("correct", []), found.get("confidence", [])
    if len(correct) != len(confidence) or any(map(int.__gt__, correct, confidence)):
        raise ValueError("more predictions are correct than there are")
    if sum(confidence) > labels:
        raise ValueError("there are more predictions than labels")
    if given.get("certainty") is not None:
        sums = [_number(each, MOST_COUNTED) for each in _items(given["certainty"], MOST_CELLS)]
        if len(sums) != len(confidence):
            raise ValueError("the sums of the confidence have other cells")
        found["certainty"] = [min(total, rows) for total, rows in zip(sums, confidence, strict=True)]
    return found


def _moments(given: Mapping[str, Any], labels: int) -> dict[str, float]:
    """Sums over `n` labels. Those without a meaning here are left out."""
    found: dict[str, float] = {"n": _count(given.get("n"))}
    if found["n"] > labels:
        raise ValueError("more errors are measured than there are labels")
    for name, most in MOMENTS.items():
        if given.get(name) is not None:
            found[name] = _number(given[name], most, least=-most if name == "truth" else 0)
    return found


def _table(name: str, value: object, labels: int) -> list[list[int]]:
    table = [
        [_key(each[0]), _key(each[1]), _count(each[2])] for each in map(_triple, _items(value, MOST_PAIRS))
    ]
    if sum(count for *_, count in table) > labels:
        raise ValueError("a table has more predictions than there are labels")
    if name == "scores" and any(true not in (0, 1) or not 0 <= cell < SCORE_CELLS for true, cell, _ in table):
        raise ValueError("an entry of the scores is of no class or of no cell")
    return [entry for entry in table if entry[2]]


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


def _number(value: object, most: float, least: float = 0) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise ValueError("a value is no number, or out of range")
    return value
