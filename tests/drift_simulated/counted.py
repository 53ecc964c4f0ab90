"""Counts rows: those of a hold-out by what `publish` writes into profile.json, those of a window as a server does."""

from __future__ import annotations

from typing import Any

import numpy as np

from drift_simulated.world import NAMES, NUMBERS, VALUES, Chance, Codes, Floats, Rows
from modelwright_training.judging.profile import cells, features
from modelwright_training.judging.profile.predicted import TENTHS
from modelwright_training.judging.profile.projections import CLIP, project, standardised

Json = dict[str, Any]
TEXTS = np.array([f"v{code}" for code in range(VALUES)], dtype=object)


def profile(chance: Chance, rows: Rows) -> Json:
    """The profile of these rows of a hold-out, as far as it is judged."""
    columns: dict[str, Any] = dict(zip(NAMES, rows.numbers, strict=False))
    columns |= {name: TEXTS[codes] for name, codes in zip(NAMES[NUMBERS:], rows.codes, strict=True)}
    described: list[Json] = []
    for place, (name, values) in enumerate(columns.items()):
        kind = "numeric" if place < NUMBERS else "categorical"
        described.append({"name": name, "kind": kind, **features.OF_KIND[kind](values)})
    positive = rows.probability > 0.5
    right = positive == (chance.random(len(positive)) < rows.probability)
    confidence = np.maximum(rows.probability, 1 - rows.probability)
    return {
        "rows": len(positive),
        "classes": ["no", "yes"],
        "features": described,
        "projections": project(described, columns, int(chance.integers(2**63))),
        "predictions": _predicted(rows) | {"correct": cells.count(confidence[right], TENTHS)},
    }


class Counter:
    """Counts rows into the cells of a profile."""

    def __init__(self, document: Json) -> None:
        self.features: list[Json] = document["features"]
        self.projections: Json = document["projections"]
        self.weights = np.array(self.projections["weights"])
        # The cell of each category of each feature; that of others is the last one.
        self.places: list[Codes] = []
        for feature in self.features[NUMBERS:]:
            places = np.full(VALUES, len(feature["values"]))
            for place, value in enumerate(feature["values"]):
                places[int(value[1:])] = place
            self.places.append(places)

    def window(self, rows: Rows, size: int = 1) -> Json:
        """The window of these rows, in requests of so many."""
        named = [places[codes] for places, codes in zip(self.places, rows.codes, strict=True)]
        count = len(rows.probability)
        return {
            "requests": -(-count // size),
            "rows": count,
            "counted": count,
            "squares": count * size,
            "features": [
                *map(_numbers, self.features, rows.numbers),
                *(
                    [*np.bincount(codes, minlength=len(feature["values"]) + 1).tolist(), 0, 0]
                    for feature, codes in zip(self.features[NUMBERS:], named, strict=True)
                ),
            ],
            "projections": self._projected(rows, named),
            "predictions": _predicted(rows),
        }

    def _projected(self, rows: Rows, named: list[Codes]) -> list[list[int]]:
        found, columns = self.projections, []
        for place, mean, scale in zip(found["features"], found["mean"], found["scale"], strict=True):
            if place < NUMBERS:
                columns.append(standardised(rows.numbers[place], mean, scale))
            else:
                scores = np.array([*found["scores"][str(place)], 0.0])
                columns.append(np.clip(scores, -CLIP, CLIP)[named[place - NUMBERS]])
        sums = self.weights @ np.array(columns)
        return [_places(row, edges) for row, edges in zip(sums, found["edges"], strict=True)]


def _numbers(feature: Json, values: Floats) -> list[int]:
    """The cells of a column of numbers, and what is in none of them."""
    there = values[~np.isnan(values)]
    missing = len(values) - len(there)
    if "edges" in feature:
        limits = None if feature["low"] is None else (feature["low"], feature["high"])
        return [*_places(there, feature["edges"]), 0, missing, cells.outside(there, limits)]
    known = np.array(feature["values"])
    places = np.minimum(np.searchsorted(known, there), len(known) - 1)
    places[known[places] != there] = len(known)
    return [*np.bincount(places, minlength=len(known) + 1).tolist(), missing, 0]


def _places(values: Floats, edges: list[float]) -> list[int]:
    found: list[int] = np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1).tolist()
    return found


def _predicted(rows: Rows) -> Json:
    positive = int((rows.probability > 0.5).sum())
    return {
        "labels": [len(rows.probability) - positive, positive],
        "scores": _places(rows.probability, TENTHS),
        "confidence": _places(np.maximum(rows.probability, 1 - rows.probability), TENTHS),
    }
