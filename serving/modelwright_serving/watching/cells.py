"""Counts rows into the cells of a profile: numpy over many rows at once, nothing but integers is left of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

from modelwright_serving.watching.places import BOUNDS, Places
from modelwright_serving.watching.profile import MAX_EDGES, Floats, Projections

Counts = npt.NDArray[np.int64]
# Of probabilities. The profile is made with the same edges.
PROBABILITY_EDGES = np.array([[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]])
_PROBABILITY_CELLS = PROBABILITY_EDGES.size + 2
# Of a call of `count`: more would not fit into a byte of each eighth.
MAX_ROWS = 8 * 255
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


@dataclass(frozen=True, slots=True)
class Laid:
    """Rows laid out to be counted, a column for each: `numbers` and `codes` as in Places. Of predictions, in rows:
    `labels`, a number or a text each, `table` with a column for each class, `values`."""

    numbers: Floats
    codes: npt.NDArray[np.int16]
    labels: npt.NDArray[Any]
    table: Floats
    values: Floats


def count(places: Places, laid: Laid) -> Cells:
    """The counts of these rows, of which there are at most MAX_ROWS."""
    cells = Cells(places)
    ranged = len(places.ranged)
    cells.ranged += between(laid.numbers[:ranged], places.bounds)
    cells.valued += equal(laid.numbers[ranged:], places.values)
    cells.coded += _coded(places, laid.codes)
    if (projections := places.profile.projections) is not None:
        cells.projected += between(projected(places, projections, laid), _padded(projections.edges))
    cells.values += between(laid.values[None, :], places.value_bounds) if len(places.value_bounds) else 0
    if places.classes:
        _add_classes(places, laid, cells)
    return cells


def between(values: Floats, edges: Floats) -> Counts:
    """Of each row of values, how many are in each cell (edge i-1 < x <= edge i) between its edges; NaN in the last.

    `edges` ascend in each row. At most MAX_ROWS values a row.
    """
    rows, cells = edges.shape[0], edges.shape[1] + 1
    found = _zeros(rows, cells + 1)
    if values.size:
        comparisons = [(np.greater, edges[:, column, None]) for column in range(cells - 1)]
        counts = _true(values, [*comparisons, (np.not_equal, values)])
        found[:, 0] = values.shape[1] - counts[-1]
        found[:, 1:] = counts.T
        found[:, : cells - 1] -= found[:, 1:cells]
    return found


def equal(values: Floats, known: Floats) -> Counts:
    """Of each row of values, how many equal none of its row of known ones, then each of them; NaN in the last cell.

    At most MAX_ROWS values a row.
    """
    found = _zeros(known.shape[0], known.shape[1] + 2)
    if values.size:
        comparisons = [(np.equal, known[:, column, None]) for column in range(known.shape[1])]
        found[:, 1:] = _true(values, [*comparisons, (np.not_equal, values)]).T
        found[:, 0] = values.shape[1] - found.sum(axis=1)
    return found


def _true(values: Floats, comparisons: Sequence[tuple[np.ufunc, Floats]]) -> Counts:
    """How often each comparison is true in each row of values: comparisons x rows.

    Eight truths are added at a time, each in a byte of a whole number.
    """
    rows, width = values.shape
    lanes = np.zeros((rows, -(-width // 8)), np.uint64)
    true = lanes.view(np.bool_)[:, :width]
    sums = np.empty((len(comparisons), rows), np.uint64)
    for place, (compare, other) in enumerate(comparisons):
        compare(values, other, out=true)
        np.add.reduce(lanes, axis=1, out=sums[place])
    found: Counts = sums.view(np.uint8).reshape(len(comparisons), rows, 8).sum(axis=2, dtype=np.int64)
    return found


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
    z = np.empty((len(projections.features), laid.numbers.shape[1]))
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
    if (missing := np.isnan(z)).any():
        z[missing] = 0.0
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
    labels = (
        best(laid.table.T) if places.outputs.label is None else _places_of(laid.labels, predictions.classes)
    )
    cells.labels += np.bincount(labels[labels >= 0], minlength=len(predictions.classes))
    if not predictions.is_probable:
        return
    table = np.ascontiguousarray(laid.table.T)
    place = predictions.positive
    scores = [] if place is None else [table[place]]
    found = np.stack([table.max(axis=0), *scores])
    counts = between(found, np.repeat(PROBABILITY_EDGES, len(found), axis=0))
    cells.confidence += counts[0]
    cells.scores += counts[1:].sum(axis=0)


def best(table: Floats) -> Counts:
    """The place of the class with the most of each row; -1 where there is none."""
    return np.where(np.isnan(table).any(axis=0), -1, table.argmax(axis=0))


def _places_of(labels: npt.NDArray[Any], classes: tuple[int | str, ...]) -> Counts:
    """The place of each label among the classes; -1 where it is none."""
    place = {name: position for position, name in enumerate(classes)}.get
    return np.array([place(label, -1) for label in labels.tolist()], np.int64)


def _zeros(*shape: int) -> Counts:
    return np.zeros(shape, np.int64)
