"""Rows that wait to be counted: laid out in memory that is taken once, counted when it is full, and cleared.

Many small runs are counted together: counting a row costs a tenth of what it would cost alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import sleep

import numpy as np
import numpy.typing as npt

from modelwright_serving.oip.tensors import Tensor
from modelwright_serving.watching.cells import OTHER, PRESENT, Cells, Laid, count
from modelwright_serving.watching.places import Places

Chosen = npt.NDArray[np.intp]

_ROWS = 1024
# That wait at most: half a megabyte.
_VALUES = 65_536
_FEWEST_ROWS = 16
# Of one run, on the event loop and on the worker: of larger ones some rows are counted, evenly spread.
MAX_VALUES = 65_536
MAX_TEXTS = 8_192
BESIDE = 16


class Buffer:
    """Adds up the cells of rows; not safe for threads."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._room = min(_ROWS, max(_FEWEST_ROWS, _VALUES // places.width))
        self._laid = Laid(places, self._room)
        self._lay = Laying(places)
        self._waiting = 0
        self._cells = Cells(places)

    def add(
        self, inputs: Sequence[Tensor], outputs: Sequence[Tensor], rows: int, *, yields: bool = False
    ) -> None:
        """Count these rows, now or with later ones. `yields`: other threads get their turn in between."""
        start = 0
        while start < rows:
            stop = min(rows, start + self._room - self._waiting)
            if start == 0 and stop == rows:
                part_in, part_out = inputs, outputs
            else:
                part_in, part_out = self._places.some(inputs, outputs, slice(start, stop))
            end = self._waiting + stop - start
            self._lay(part_in, part_out, self._laid.part(self._waiting, end))
            self._waiting, start = end, stop
            if end == self._room:
                self._count()
                if yields:
                    sleep(0)

    def take(self) -> Cells:
        """What was counted since the last call, with all that waits."""
        self._count()
        cells, self._cells = self._cells, Cells(self._places)
        return cells

    def _count(self) -> None:
        if self._waiting:
            self._cells.add(count(self._places, self._laid.part(0, self._waiting)))
            self._laid.clear()
            self._waiting = 0


class Laying:
    """Lays out rows to be counted: reads tensors, judges nothing."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._columns = np.array([source.column for source in places.numbers], np.intp)
        self._codebooks = [
            (source, book.get, places.profile.features[place].cells, places.profile.features[place].kind)
            for source, book, place in zip(places.codes, places.codebooks, places.coded, strict=True)
        ]
        classes = places.classes
        self._labels: Callable[[str, int], int] | None = None
        if classes and isinstance(classes[0], str):
            self._labels = {str(name): place for place, name in enumerate(classes)}.get

    def __call__(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor], laid: Laid) -> None:
        places = self._places
        if places.numbers:
            self._numbers(inputs, laid)
        for source in places.lengths:
            lengths = laid.numbers[source.row]
            lengths[:] = list(map(len, _texts(inputs, source.input, source.column)))
            lengths[lengths == 0] = np.nan
        for source, code, cells, kind in self._codebooks:
            unknown = cells + (PRESENT if kind == "date" else OTHER)
            laid.codes[source.row] = [
                code(text, unknown) for text in _texts(inputs, source.input, source.column)
            ]
        self._predictions(outputs, laid)

    def _numbers(self, inputs: Sequence[Tensor], laid: Laid) -> None:
        sources = self._places.numbers
        if self._places.matrix is not None:
            laid.numbers[: len(sources)] = inputs[self._places.matrix].T[self._columns]
            return
        for source in sources:
            laid.numbers[source.row] = inputs[source.input].reshape(-1)

    def _predictions(self, outputs: Sequence[Tensor], laid: Laid) -> None:
        found = self._places.outputs
        if found.label is not None:
            labels = outputs[found.label].reshape(-1)
            place = self._labels
            laid.labels[:] = labels if place is None else [place(text, -1) for text in labels.tolist()]
        if found.table is not None:
            table = outputs[found.table]
            if table.ndim == 2 and table.shape[1] > 1:
                laid.table[:] = table.T
            else:
                predictions = self._places.profile.predictions
                laid.table[1] = table.reshape(-1)
                laid.table[0] = (
                    1 - laid.table[1] if predictions is not None and predictions.is_probable else 0
                )
        if found.value is not None:
            laid.values[0] = outputs[found.value].reshape(-1)


def _texts(inputs: Sequence[Tensor], position: int, column: int) -> list[str]:
    tensor = inputs[position]
    return (tensor[:, column] if tensor.ndim == 2 else tensor).tolist()  # type: ignore[no-any-return]


def most_rows(places: Places, *, beside: bool) -> int:
    """How many rows of a run are counted at most; on the worker more than on the event loop."""
    texts = len(places.lengths) + len(places.codes)
    rows = min(MAX_VALUES // places.width, MAX_TEXTS // texts if texts else MAX_VALUES)
    return max(_FEWEST_ROWS, rows * BESIDE if beside else rows)


def spread(rows: int, most: int, random: np.random.Generator) -> Chosen:
    """At most so many of the rows, one of each of equal portions: no period in the rows can show in the choice."""
    edges = np.linspace(0, rows, min(rows, most) + 1)
    return np.floor(edges[:-1] + np.diff(edges) * random.random(len(edges) - 1)).astype(np.intp)
