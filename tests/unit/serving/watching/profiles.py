"""profile.json as `publish` makes it, and what a server should count of rows: row by row, the slow way."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from math import isnan
from typing import Any

import numpy as np

Row = Sequence[Any]
TENTHS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def numeric(
    name: str, edges: Sequence[float], low: float | None = None, high: float | None = None
) -> dict[str, Any]:
    counts = [0] * (len(edges) + 1)
    return {
        "name": name,
        "kind": "numeric",
        "edges": list(edges),
        "low": low,
        "high": high,
        "counts": counts,
        "missing": 0,
    }


def distinct(name: str, values: Sequence[float]) -> dict[str, Any]:
    return {
        "name": name,
        "kind": "numeric",
        "values": list(values),
        "counts": [0] * len(values),
        "other": 0,
        "missing": 0,
    }


def categorical(name: str, values: Sequence[str]) -> dict[str, Any]:
    return {**distinct(name, []), "kind": "categorical", "values": list(values), "counts": [0] * len(values)}


def text(
    name: str, edges: Sequence[float], low: float | None = None, high: float | None = None
) -> dict[str, Any]:
    return {**numeric(name, edges, low, high), "kind": "text"}


def date(name: str) -> dict[str, Any]:
    return {"name": name, "kind": "date", "missing": 0}


def quantiles(names: Sequence[str], rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Numeric features with the deciles of these rows."""
    table = np.array(rows, np.float64)
    found = []
    for name, column in zip(names, table.T, strict=True):
        edges = sorted({float(edge) for edge in np.quantile(column, TENTHS)})
        ranked = np.sort(column)
        found.append(numeric(name, edges, float(ranked[9]), float(ranked[-10])))
    return found


def projections(features: Sequence[dict[str, Any]], chosen: Sequence[int], seed: int = 7) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    weights = random.normal(size=(16, len(chosen)))
    scores = {
        str(place): random.normal(size=len(features[place]["values"])).round(3).tolist()
        for place in chosen
        if features[place]["kind"] == "categorical"
    }
    return {
        "features": list(chosen),
        "mean": [0.0 if str(place) in scores else 1.5 for place in chosen],
        "scale": [1.0 if str(place) in scores else 2.0 for place in chosen],
        "scores": scores,
        "weights": weights.round(4).tolist(),
        "edges": [np.linspace(-2, 2, 9).tolist()] * 16,
        "counts": [[0] * 10] * 16,
    }


def profile(features: Sequence[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """The document; `more` replaces its fields."""
    document = {
        "version": 1,
        "rows": 1200,
        "task": "classification",
        "input": None,
        "classes": ["no", "yes"],
        "positiveClass": "yes",
        "features": list(features),
        "leftOut": 0,
        "projections": None,
        "predictions": None,
    }
    return {**document, **more}


def classifier(
    label: str | None = "label", table: str | None = "probabilities", kind: str = "probabilities"
) -> dict[str, Any]:
    """How predictions of a classification are found."""
    counts = {"labels": [0, 0], "scores": [0] * 10, "confidence": [0] * 10, "correct": [0] * 10}
    return {"label": label, "table": table, "tableIs": None if table is None else kind, **counts}


def cells(feature: dict[str, Any], column: Sequence[Any]) -> list[int]:
    """What a server counts of a feature: its cells, then other, missing and outside."""
    if feature["kind"] == "date":
        return [0, sum(value == "" for value in column), 0]
    if "edges" in feature:
        return _ranged(feature, column)
    values = feature["values"]
    known = [0] * len(values)
    other = missing = 0
    for value in column:
        if value in values:
            known[values.index(value)] += 1
        elif value == "" or (isinstance(value, float) and isnan(value)):
            missing += 1
        else:
            other += 1
    return [*known, other, missing, 0]


def _ranged(feature: dict[str, Any], column: Sequence[Any]) -> list[int]:
    edges, low, high = feature["edges"], feature["low"], feature["high"]
    found = [0] * (len(edges) + 1)
    missing = outside = 0
    for value in column:
        number = float(len(value) or "nan") if isinstance(value, str) else float(value)
        if isnan(number):
            missing += 1
            continue
        found[bisect_left(edges, number)] += 1
        outside += (low is not None and number < low) or (high is not None and number > high)
    return [*found, 0, missing, outside]


def projected(document: dict[str, Any], rows: Sequence[Row]) -> list[list[int]]:
    """What a server counts of the projections."""
    found = document["projections"]
    counts = [[0] * (len(edges) + 1) for edges in found["edges"]]
    for row in rows:
        standard = [_standard(document, position, row) for position in range(len(found["features"]))]
        for cells, weights, edges in zip(counts, found["weights"], found["edges"], strict=True):
            cells[bisect_left(edges, sum(w * z for w, z in zip(weights, standard, strict=True)))] += 1
    return counts


def _standard(document: dict[str, Any], position: int, row: Row) -> float:
    found = document["projections"]
    place = found["features"][position]
    feature, value = document["features"][place], row[place]
    if feature["kind"] == "categorical":
        if value not in feature["values"]:
            return 0.0
        value = found["scores"][str(place)][feature["values"].index(value)]
    if isnan(value):
        return 0.0
    return float(min(max((value - found["mean"][position]) / found["scale"][position], -8.0), 8.0))


def tenths(probabilities: Sequence[float]) -> list[int]:
    counts = [0] * 10
    for probability in probabilities:
        if not isnan(probability):
            counts[bisect_left(TENTHS, probability)] += 1
    return counts
