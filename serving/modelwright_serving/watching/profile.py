"""profile.json beside a model: in which cells its rows are counted. Where the values lie is left to `places`.

docs/contracts/profile.schema.json describes the document. Only what the server needs of it is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

MAX_BYTES = 1024**2
MAX_FEATURES = 1024
MAX_EDGES = 9
MAX_VALUES = 50
MAX_CLASSES = 1000
MAX_PROJECTIONS = 64
MAX_PROJECTED = 256
_MAX_NAME = 1024

Floats = npt.NDArray[np.float64]


class UnusableError(Exception):
    """The profile cannot be counted by; its text says why."""


@dataclass(frozen=True, slots=True)
class Ranges:
    """Cells between edges: of n edges n + 1, cell i with edges[i-1] < x <= edges[i]. What is below `low` or above
    `high` is in an end cell, and outside as well."""

    edges: tuple[float, ...]
    low: float = -inf
    high: float = inf


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature has `ranges` (of a text: of its length), or `values` with a cell each; a date has neither."""

    name: str
    kind: str
    ranges: Ranges | None = None
    values: tuple[float | str, ...] = ()

    @property
    def cells(self) -> int:
        """How many cells it has, beside other, missing and outside."""
        return len(self.values) if self.ranges is None else len(self.ranges.edges) + 1


@dataclass(frozen=True, slots=True)
class Projections:
    """Sums of standardised features. `features`: their places in the profile. `scores`: the number of each value of a
    categorical feature, by its place. `weights`: a row for each projection; `edges` likewise."""

    features: tuple[int, ...]
    mean: Floats
    scale: Floats
    scores: dict[int, Floats]
    weights: Floats
    edges: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Predictions:
    """Of a classification `classes`, in the order of the columns of `table`, the place of the `positive` one of two,
    and the names of the outputs; of a regression `value` is the output, `ranges` its cells."""

    classes: tuple[int | str, ...] = ()
    positive: int | None = None
    label: str | None = None
    table: str | None = None
    is_probable: bool = False
    value: str | None = None
    ranges: Ranges | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """`input`: the name of the one matrix whose columns are the features, and `left_out` more; None if each feature is
    an input."""

    features: tuple[Feature, ...]
    left_out: int
    input: str | None
    projections: Projections | None
    predictions: Predictions | None


def parse(content: bytes) -> Profile:
    """The profile in a file's bytes; UnusableError if it is none."""
    if len(content) > MAX_BYTES:
        raise UnusableError(f"it has more than {MAX_BYTES} bytes")
    try:
        document = orjson.loads(content)
        if document["version"] != 1:
            raise UnusableError(
                f"its version is {document['version']!r:.20}, and this server reads version 1"
            )
        return _profile(document)
    except orjson.JSONDecodeError as error:
        raise UnusableError(f"it is not JSON: {error}") from None
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise UnusableError(f"it is no profile: {type(error).__name__}: {error}"[:300]) from None


def _profile(document: dict[str, Any]) -> Profile:
    features = tuple(_feature(entry) for entry in _list(document["features"], MAX_FEATURES, "features"))
    if len({feature.name for feature in features}) < len(features):
        raise UnusableError("two features have the same name")
    left_out = document.get("leftOut", 0)
    if type(left_out) is not int or left_out < 0:
        raise UnusableError("leftOut has to be a number of features")
    return Profile(
        features,
        left_out,
        _name_or_none(document.get("input")),
        _projections(document.get("projections"), features),
        None if document.get("predictions") is None else _predictions(document, document["predictions"]),
    )


def _predictions(document: dict[str, Any], entry: dict[str, Any]) -> Predictions:
    if document["task"] == "regression":
        return Predictions(value=_name(entry["value"]), ranges=_ranges(entry))
    if document["task"] != "classification":
        raise UnusableError(f"its task is {document['task']!r:.40}")
    classes = tuple(_list(document["classes"], MAX_CLASSES, "classes"))
    kinds = {type(found) for found in classes}
    if len(classes) < 2 or len(set(classes)) < len(classes) or kinds not in ({int}, {str}):
        raise UnusableError("classes has to hold two or more different texts or whole numbers")
    if kinds == {int}:
        np.array(classes, np.int64)  # OverflowError of others
    label, table = _name_or_none(entry.get("label")), _name_or_none(entry.get("table"))
    if label is None and table is None:
        raise UnusableError("it names neither an output with the label nor one with a number for each class")
    positive = document["positiveClass"] if len(classes) == 2 else None
    return Predictions(
        classes,
        None if positive is None else classes.index(positive),
        label,
        table,
        is_probable=table is not None and entry.get("tableIs") == "probabilities",
    )


def _feature(entry: dict[str, Any]) -> Feature:
    name, kind = _name(entry["name"]), entry["kind"]
    if kind == "date":
        return Feature(name, kind)
    if kind not in {"numeric", "categorical", "text"}:
        raise UnusableError(f"feature {name!r:.100} is of the kind {kind!r:.40}")
    if kind == "categorical" or (kind == "numeric" and "values" in entry):
        wanted: tuple[type, ...] = (str,) if kind == "categorical" else (int, float)
        values = _list(entry["values"], MAX_VALUES, f"the values of {name!r:.100}")
        if len(set(values)) < len(values) or not all(type(value) in wanted for value in values):
            raise UnusableError(f"the values of {name!r:.100} are not different, or of another type")
        return Feature(name, kind, values=tuple(values if kind == "categorical" else map(float, values)))
    return Feature(name, kind, _ranges(entry))


def _ranges(entry: dict[str, Any]) -> Ranges:
    low = -inf if entry.get("low") is None else _number(entry["low"])
    high = inf if entry.get("high") is None else _number(entry["high"])
    if low > high:
        raise UnusableError("low is above high")
    return Ranges(_edges(entry["edges"]), low, high)


def _edges(values: object) -> tuple[float, ...]:
    edges = _numbers(values, MAX_EDGES, "edges")
    if not bool((np.diff(edges) >= 0).all()):
        raise UnusableError("edges have to ascend")
    return tuple(edges.tolist())


def _projections(entry: dict[str, Any] | None, features: tuple[Feature, ...]) -> Projections | None:
    if entry is None:
        return None
    places = tuple(_list(entry["features"], MAX_PROJECTED, "the features of projections"))
    if not all(type(place) is int and 0 <= place < len(features) for place in places):
        raise UnusableError("projections name a feature that is not there")
    if not places or any(features[place].kind not in {"numeric", "categorical"} for place in places):
        raise UnusableError("projections need features, which are numeric or categorical")
    weights = _table(entry["weights"], MAX_PROJECTED, "weights")
    edges = [_edges(row) for row in _list(entry["edges"], MAX_PROJECTIONS, "the edges of projections")]
    mean, scale = (_numbers(entry[name], MAX_PROJECTED, name) for name in ("mean", "scale"))
    fits = weights.shape == (len(edges), len(places)) and mean.shape == scale.shape == (len(places),)
    if not fits or not bool((scale > 0).all()):
        raise UnusableError("the parts of projections do not fit each other")
    return Projections(places, mean, scale, _scores(entry, places, features), weights, tuple(edges))


def _scores(
    entry: dict[str, Any], places: tuple[int, ...], features: tuple[Feature, ...]
) -> dict[int, Floats]:
    found = entry.get("scores") or {}
    categorical = [place for place in places if features[place].kind == "categorical"]
    scores = {place: _numbers(found[str(place)], MAX_VALUES, "scores") for place in categorical}
    if any(len(numbers) != features[place].cells for place, numbers in scores.items()):
        raise UnusableError("projections need a score for each value of a categorical feature")
    return scores


def _table(rows: object, width: int, what: str) -> Floats:
    table = [_numbers(row, width, what) for row in _list(rows, MAX_PROJECTIONS, what)]
    if not table or len({len(row) for row in table}) > 1:
        raise UnusableError(f"{what} are no table")
    return np.array(table)


def _numbers(values: object, most: int, what: str) -> Floats:
    return np.array([_number(value) for value in _list(values, most, what)], np.float64)


def _number(value: object) -> float:
    if type(value) not in {int, float} or not isfinite(value):  # type: ignore[arg-type]
        raise UnusableError(f"{value!r:.40} is no number")
    return float(value)  # type: ignore[arg-type]


def _list(values: object, most: int, what: str) -> list[Any]:
    if type(values) is not list or len(values) > most:
        raise UnusableError(f"{what} have to be a list of at most {most}")
    return values


def _name(value: object) -> str:
    if not isinstance(value, str) or len(value) > _MAX_NAME:
        raise UnusableError(f"{value!r:.40} is no name")
    return value


def _name_or_none(value: object) -> str | None:
    return None if value is None else _name(value)
