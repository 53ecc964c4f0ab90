"""Counts rows into the cells of a profile: numpy over many rows at once, nothing but integers is left of them. Pure."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

from modelwright_serving.watching.places import BOUNDS, Places
from modelwright_serving.watching.profile import MAX_EDGES, Floats, Projections

Counts = npt.NDArray[np.int64]
_Bytes = npt.NDArray[np.uint8]
# Of probabilities. The profile is made with the same edges.
PROBABILITY_EDGES = np.array([[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]])
_PROBABILITY_CELLS = PROBABILITY_EDGES.size + 2
# z-scores beyond are counted as this: a single value must not make a projection.
CLIP = 8.0
# The codes of a text after those of its values.
OTHER, MISSING, PRESENT = range(3)


class Cells:
    """The counts of some rows: all are sums, so that two of them add up.

    In each of these the last cell of a row counts what is no number. `ranged`: ranged features x the cells between
    their bounds. `valued`: valued features x (other, then the values). `projected`: projections x cells. `scores`,
    `confidence`: 1 x tenths. `values`: 1 x cells of the model's value. Besides, `coded`: the codes of all coded
    features, one feature after the other. `labels`: a cell for each class.
    """

    __slots__ = ("coded", "confidence", "labels", "projected", "ranged", "scores", "valued", "values")

    def __init__(self, places: Places) -> None:
        projections = places.profile.projections
        self.ranged = _zeros(len(places.ranged), BOUNDS + 2)
        self.valued = _zeros(len(places.valued), places.values.shape[1] + 2)
        self.coded = _zeros(sum(code_widths(places)))
        self.projected = _zeros(0 if projections is None else len(projections.edges), MAX_EDGES + 2)
        self.labels = _zeros(len(places.classes))
        self.scores = _zeros(1, _PROBABILITY_CELLS)
        self.confidence = _zeros(1, _PROBABILITY_CELLS)
        self.values = _zeros(len(places.value_bounds), BOUNDS + 2)

    def add(self, other: Cells) -> None:
        """Add the counts of other rows of the same model."""
        for name in Cells.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Laid:
    """Rows laid out to be counted, a column for each: `numbers` and `codes` as in Places; `labels`: the places of text
    labels among the classes, else the labels; `table`: a row for each class; `values`: of the model."""

    __slots__ = ("codes", "labels", "numbers", "table", "values")

    def __init__(self, places: Places, rows: int) -> None:
        wide = len(places.classes) if places.outputs.table is not None else 0
        self.numbers: Floats = np.zeros((len(places.ranged) + len(places.valued), rows))
        self.codes: npt.NDArray[np.int16] = np.zeros((len(places.coded), rows), np.int16)
        self.labels: Counts = np.zeros(rows, np.int64)
        self.table: Floats = np.zeros((wide, rows))
        self.values: Floats = np.zeros((len(places.value_bounds), rows))

    def part(self, start: int, stop: int) -> Laid:
        """Some of the rows; the memory is the same."""
        part = object.__new__(Laid)
        for name in Laid.__slots__:
            setattr(part, name, getattr(self, name)[..., start:stop])
        return part

    def clear(self) -> None:
        """Forget the rows."""
        for name in Laid.__slots__:
            getattr(self, name).fill(0)


def count(places: Places, laid: Laid) -> Cells:
    """The counts of these rows."""
    cells = Cells(places)
    ranged = len(places.ranged)
    cells.ranged += between(laid.numbers[:ranged], places.bounds)
    cells.valued += equal(laid.numbers[ranged:], places.values)
    cells.coded += _coded(places, laid.codes)
    if (projections := places.profile.projections) is not None:
        cells.projected += between(projected(places, projections, laid), _padded(projections.edges))
    cells.values += between(laid.values, places.value_bounds)
    if places.classes:
        _add_classes(places, laid, cells)
    return cells


def between(values: Floats, edges: Floats) -> Counts:
    """Of each row of values, how many are in each cell (edge i-1 < x <= edge i) between its edges; NaN in the last."""
    width = edges.shape[1] + 2
    if not values.size:
        return _zeros(len(edges), width)
    place = np.zeros(values.shape, np.uint8)
    for column in range(edges.shape[1]):
        place += (values > edges[:, column, None]).view(np.uint8)
    return _tally(place, np.isnan(values), width)


def equal(values: Floats, known: Floats) -> Counts:
    """Of each row of values, how many equal none of its row of known ones, then each of them; NaN in the last cell."""
    width = known.shape[1] + 2
    if not values.size:
        return _zeros(len(known), width)
    place = np.zeros(values.shape, np.uint8)
    for column in range(known.shape[1]):
        place += (values == known[:, column, None]).view(np.uint8) * np.uint8(column + 1)
    return _tally(place, np.isnan(values), width)


def _tally(place: _Bytes, missing: npt.NDArray[np.bool_], width: int) -> Counts:
    if missing.any():
        place[missing] = width - 1
    rows = len(place)
    flat = place + np.arange(0, rows * width, width)[:, None]
    return np.bincount(flat.ravel(), minlength=rows * width).reshape(rows, width)


def code_widths(places: Places) -> list[int]:
    """The codes of each coded feature: its values, then OTHER, MISSING and PRESENT."""
    return [places.profile.features[place].cells + 3 for place in places.coded]


def _coded(places: Places, codes: npt.NDArray[np.int16]) -> Counts:
    widths = code_widths(places)
    if not codes.size:
        return _zeros(sum(widths))
    starts = list(accumulate(widths[:-1], initial=0))
    flat = codes + np.array(starts)[:, None]
    return np.bincount(flat.ravel(), minlength=sum(widths))


def projected(places: Places, projections: Projections, laid: Laid) -> Floats:
    """The projections of each row: projections x rows."""
    rows = {place: row for row, place in enumerate((*places.ranged, *places.valued))}
    coded = {place: row for row, place in enumerate(places.coded)}
    z = np.empty((len(projections.features), laid.labels.shape[0]))
    for row, place in enumerate(projections.features):
        if place in rows:
            z[row] = laid.numbers[rows[place]]
        else:
            # What is no value of the profile counts as the mean.
            scores = np.append(projections.scores[place], [np.nan] * 3)
            z[row] = scores[laid.codes[coded[place]]]
    z -= projections.mean[:, None]
    z /= projections.scale[:, None]
    np.clip(z, -CLIP, CLIP, out=z)
    z[np.isnan(z)] = 0.0
    return projections.weights @ z


def _padded(edges: tuple[tuple[float, ...], ...]) -> Floats:
    table = np.full((len(edges), MAX_EDGES), np.inf)
    for row, numbers in enumerate(edges):
        table[row, : len(numbers)] = numbers
    return table


def _add_classes(places: Places, laid: Laid, cells: Cells) -> None:
    predictions = places.profile.predictions
    if predictions is None:
        return
    labels = laid.labels
    if places.outputs.label is None:
        labels = best(laid.table)
    elif isinstance(predictions.classes[0], int):
        labels = _places_of(labels, np.array(predictions.classes))
    many = len(predictions.classes)
    cells.labels += np.bincount(labels[labels >= 0], minlength=many)
    if predictions.is_probable:
        cells.confidence += between(laid.table.max(axis=0, keepdims=True), PROBABILITY_EDGES)
        if (place := predictions.positive) is not None:
            cells.scores += between(laid.table[place : place + 1], PROBABILITY_EDGES)


def best(table: Floats) -> Counts:
    """The place of the class with the most of each row; -1 where there is none."""
    return np.where(np.isnan(table).any(axis=0), -1, table.argmax(axis=0))


def _places_of(labels: Counts, classes: npt.NDArray[Any]) -> Counts:
    """The place of each label among the classes; -1 where it is none."""
    order = np.argsort(classes)
    found = order[np.searchsorted(classes, labels, sorter=order).clip(max=len(classes) - 1)]
    return np.where(classes[found] == labels, found, -1)


def _zeros(*shape: int) -> Counts:
    return np.zeros(shape, np.int64)
