"""What is compared with what: the profile of a version's hold-out, and the counts of a window of its requests. Pure.

The documents are those of docs/contracts/profile.schema.json and docs/contracts/monitor.schema.json.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

# Ordered: cells of numbers, in their order. Named: values without an order. Nothing: only missing values are counted.
Kind = Literal["Ordered", "Named", "Nothing"]
Counts = tuple[int, ...]
# What a feature's list of counts holds after its cells: values of none of them, missing ones, and those out of range.
EXTRAS = ("other", "missing", "outside")
# Of the sum of squares: it is a float.
LARGEST = 1e300


@dataclass(frozen=True)
class Feature:
    """One column of numbers or names: its cells, and how many rows of the hold-out were in each."""

    name: str
    kind: Kind
    counts: Counts = ()
    # The bounds between the cells of a continuous feature; the values of the cells of any other.
    edges: tuple[float, ...] = ()
    values: tuple[str, ...] = ()
    missing: int = 0
    # Rows with a value that no cell has. None: each value has a cell.
    other: int | None = None
    # Rows out of the range of the profile. None: it has no range.
    outside: int | None = None

    def cell(self, index: int) -> str:
        """The cell in words, such as "2.5 to 4" or "basic"."""
        if self.values:
            return self.values[index]
        if not self.edges:
            return "all"
        if index == 0:
            return f"<= {self.edges[0]:g}"
        if index == len(self.edges):
            return f"> {self.edges[-1]:g}"
        return f"{self.edges[index - 1]:g} to {self.edges[index]:g}"

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """Returns the feature that a profile describes."""
        name, kind, missing = str(document["name"]), document["kind"], _count(document.get("missing", 0))
        if "counts" not in document:
            return cls(name, "Nothing", missing=missing)
        counts = _counts(document["counts"])
        if "values" in document:
            values = tuple(_shown(value) for value in document["values"])
            if len(values) != len(counts):
                raise ValueError(f"{name!r} has {len(values)} values and {len(counts)} counts")
            other = _count(document.get("other", 0))
            named: Kind = "Named" if kind == "categorical" else "Ordered"
            return cls(name, named, counts, values=values, missing=missing, other=other)
        edges = tuple(float(edge) for edge in document["edges"])
        if len(counts) != len(edges) + 1:
            raise ValueError(f"{name!r} has {len(edges)} edges and {len(counts)} counts")
        has_range = document.get("low") is not None and document.get("high") is not None
        outside = _count(document.get("outside", 0)) if has_range else None
        return cls(name, "Ordered", counts, edges=edges, missing=missing, outside=outside)


@dataclass(frozen=True)
class Profile:
    """What was counted of the hold-out of one version."""

    rows: int
    features: tuple[Feature, ...]
    projections: tuple[Feature, ...]
    # Of the predictions: labels, scores and confidence of a classifier, values of a regressor.
    predictions: tuple[Feature, ...]
    # Of the rows in each cell of confidence, how many were predicted correctly. Empty for a regressor.
    correct: Counts = ()

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """Returns the profile of a document.

        Raises:
            ValueError: it is no profile.
        """
        try:
            return cls._read(document)
        except (KeyError, TypeError, IndexError, AttributeError, OverflowError) as error:
            raise ValueError(f"no profile: {error!r}") from error

    @classmethod
    def _read(cls, document: Mapping[str, Any]) -> Self:
        projections = document.get("projections") or {"edges": (), "counts": ()}
        found = document.get("predictions") or {}
        return cls(
            _count(document["rows"]),
            tuple(Feature.read(each) for each in document["features"]),
            tuple(
                Feature(f"projection {index}", "Ordered", _counts(counts), tuple(edges))
                for index, (edges, counts) in enumerate(
                    zip(projections["edges"], projections["counts"], strict=True), 1
                )
            ),
            _predictions(found, [_shown(each) for each in document.get("classes") or ()]),
            _counts(found.get("correct") or ()),
        )


@dataclass(frozen=True)
class Window:
    """What servers counted of the requests of a window. `a + b`: what both counted of the same version."""

    requests: int
    # Rows that were answered, and those of them that are in the counts.
    rows: int
    counted: int
    # The sum of the squares of the counted rows of each request.
    squares: float
    # For each feature its cells, then EXTRAS. The same for predictions; projections have cells alone.
    features: tuple[Counts, ...]
    projections: tuple[Counts, ...]
    predictions: tuple[Counts, ...]

    def __add__(self, other: Window) -> Window:
        return Window(
            self.requests + other.requests,
            self.rows + other.rows,
            self.counted + other.counted,
            self.squares + other.squares,
            _summed(self.features, other.features),
            _summed(self.projections, other.projections),
            _summed(self.predictions, other.predictions),
        )

    @classmethod
    def read(cls, document: Mapping[str, Any], profile: Profile) -> Self:
        """Returns the window of a server's report.

        A report without features, projections or predictions has none of their rows: they are not compared.

        Raises:
            ValueError: it has other cells than the profile, or is no window.
        """
        try:
            return cls._read(document, profile)
        except (KeyError, TypeError, IndexError, AttributeError, OverflowError) as error:
            raise ValueError(f"no window: {error!r}") from error

    @classmethod
    def _read(cls, document: Mapping[str, Any], profile: Profile) -> Self:
        requests, rows, counted = (_count(document[name]) for name in ("requests", "rows", "counted"))
        squares = document.get("squares")
        if squares is None:
            squares = counted * counted / max(1.0, requests * counted / max(1, rows))
        if not 0 <= float(squares) <= LARGEST:
            raise ValueError("squares that are no count")
        return cls(
            requests,
            rows,
            counted,
            float(squares),
            _fitting(document.get("features"), profile.features, len(EXTRAS)),
            _fitting(document.get("projections"), profile.projections, 0),
            _fitting(_predicted(document.get("predictions"), profile), profile.predictions, len(EXTRAS)),
        )


def _predictions(found: Mapping[str, Any], classes: Sequence[str]) -> tuple[Feature, ...]:
    """The parts of a profile's predictions, each as a feature."""
    if "edges" in found:
        return (Feature.read({"name": "prediction", "kind": "numeric", **found}),)
    parts: list[Feature] = []
    if found.get("labels"):
        labels = _counts(found["labels"])
        values = tuple(classes) if len(classes) == len(labels) else tuple(map(str, range(len(labels))))
        parts.append(Feature("label", "Named", labels, values=values))
    for name, key in (("score", "scores"), ("confidence", "confidence")):
        if found.get(key):
            counts = _counts(found[key])
            edges = tuple(index / len(counts) for index in range(1, len(counts)))
            parts.append(Feature(name, "Ordered", counts, edges=edges))
    return tuple(parts)


def _predicted(found: Mapping[str, Any] | None, profile: Profile) -> list[list[int]] | None:
    """The counts of a window's predictions, in the order of the profile's parts."""
    if found is None:
        return None
    keys = {"prediction": "counts", "label": "labels", "score": "scores", "confidence": "confidence"}
    outside = _count(found.get("outside", 0))
    return [[*(found[keys[part.name]] or ()), 0, 0, outside] for part in profile.predictions]


def _fitting(
    found: Sequence[Sequence[int]] | None, features: tuple[Feature, ...], extras: int
) -> tuple[Counts, ...]:
    """The counts, one tuple for each feature; none if the report has none."""
    if found is None or (not found and features):
        return ()
    rows = tuple(_counts(each) for each in found)
    if [len(each) for each in rows] != [len(each.counts) + extras for each in features]:
        raise ValueError("its cells are not those of the profile")
    return rows


def _summed(left: tuple[Counts, ...], right: tuple[Counts, ...]) -> tuple[Counts, ...]:
    """Both added up, cell by cell. One without any counts says nothing about them."""
    if not left or not right:
        return left or right
    return tuple(tuple(map(int.__add__, a, b)) for a, b in zip(left, right, strict=True))


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _counts(values: Sequence[Any]) -> Counts:
    return tuple(map(_count, values))


def _count(value: object) -> int:
    """The value as a count.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0 or value != int(value):
        raise ValueError(f"a count is expected, not {value!r}")
    return int(value)
