"""Rows that wait to be counted: copied into memory that is taken once, counted when it is full, and cleared.

Many small runs are counted together: counting a row alone would cost a hundred times as much. Of texts only codes and
lengths wait, as a text has no bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import sleep

import numpy as np
import numpy.typing as npt

from modelwright_serving.oip.tensors import Tensor
from modelwright_serving.watching.cells import MAX_ROWS, OTHER, PRESENT, Cells, Laid, count
from modelwright_serving.watching.places import Places

Chosen = npt.NDArray[np.intp]

_ROWS = 1024
# That wait at most: a quarter of a megabyte, and half a millisecond of counting.
_VALUES = 32_768
_FEWEST_ROWS = 16
# Of one run on the event loop; on the worker BESIDE times as many. Of larger runs some rows are counted.
MAX_VALUES = 32_768
MAX_TEXTS = 8_192
BESIDE = 16


class Buffer:
    """Adds up the cells of rows; not safe for threads."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self._room = min(_ROWS, MAX_ROWS, max(_FEWEST_ROWS, _VALUES // places.width))
        self._waiting = Waiting(places, self._room)
        self._rows = 0
        self._cells = Cells(places)

    def add(
        self, inputs: Sequence[Tensor], outputs: Sequence[Tensor], rows: int, *, yields: bool = False
    ) -> None:
        """Count these rows, now or with later ones. `yields`: other threads get their turn in between."""
        end = self._rows + rows
        if end < self._room:
            self._waiting.put(inputs, outputs, self._rows, end)
            self._rows = end
            return
        start = 0
        while start < rows:
            stop = min(rows, start + self._room - self._rows)
            end = self._rows + stop - start
            self._waiting.put(*self.places.some(inputs, outputs, slice(start, stop)), self._rows, end)
            self._rows, start = end, stop
            if end == self._room:
                self._count()
                if yields:
                    sleep(0)

    def take(self) -> Cells:
        """What was counted since the last call, with all that waits."""
        self._count()
        cells, self._cells = self._cells, Cells(self.places)
        return cells

    def _count(self) -> None:
        if self._rows:
            self._cells.add(count(self.places, self._waiting.laid(self._rows)))
            self._waiting.clear()
            self._rows = 0


class Waiting:
    """Room for so many rows. Reads tensors as Places says, judges nothing."""

    def __init__(self, places: Places, room: int) -> None:
        self._places = places
        outputs = places.outputs
        width = 1 if places.matrix is None else places.columns
        self._inputs = {
            source.input: np.zeros((room, width), places.dtypes[source.input]) for source in places.numbers
        }
        self._columns = np.array([source.column for source in places.numbers], np.intp)
        self._texts = bool(places.lengths or places.codes)
        self._lengths = np.zeros((len(places.lengths), room))
        self._codes = np.zeros((len(places.codes), room), np.int16)
        self._codebooks = [
            (source, book.get, feature.cells + (PRESENT if feature.kind == "date" else OTHER))
            for source, book, feature in zip(
                places.codes,
                places.codebooks,
                (places.profile.features[place] for place in places.coded),
                strict=True,
            )
        ]
        is_text = bool(places.classes) and isinstance(places.classes[0], str)
        self._labels = np.zeros((room, 1), np.object_ if is_text else np.int64)
        self._table = np.zeros((room, len(places.classes) if outputs.table is not None else 0))
        self._values = np.zeros((room, 1))

    def put(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor], start: int, end: int) -> None:
        """Keep the rows of these tensors as rows `start` to `end`."""
        for position, kept in self._inputs.items():
            tensor = inputs[position]
            kept[start:end] = tensor if tensor.ndim == 2 else tensor[:, None]
        if self._texts:
            self._put_texts(inputs, start, end)
        found = self._places.outputs
        for place, kept in ((found.label, self._labels), (found.value, self._values)):
            if place is not None:
                tensor = outputs[place]
                kept[start:end] = tensor if tensor.ndim == 2 else tensor[:, None]
        if found.table is not None:
            self._put_table(outputs[found.table], start, end)

    def _put_texts(self, inputs: Sequence[Tensor], start: int, end: int) -> None:
        for row, source in enumerate(self._places.lengths):
            self._lengths[row, start:end] = list(map(len, _texts(inputs, source.input, source.column)))
        for source, code, unknown in self._codebooks:
            texts = _texts(inputs, source.input, source.column)
            self._codes[source.row, start:end] = [code(text, unknown) for text in texts]

    def _put_table(self, table: Tensor, start: int, end: int) -> None:
        if table.ndim == 2 and table.shape[1] > 1:
            self._table[start:end] = table
            return
        # One number for each row is that of the second class.
        predictions = self._places.profile.predictions
        second = table.reshape(-1).astype(np.float64)
        self._table[start:end, 1] = second
        self._table[start:end, 0] = 1 - second if predictions is not None and predictions.is_probable else 0

    def laid(self, rows: int) -> Laid:
        """The first rows, to be counted."""
        places = self._places
        numbers = np.empty((len(places.ranged) + len(places.valued), rows))
        if places.matrix is not None and places.numbers:
            numbers[: len(places.numbers)] = self._inputs[places.matrix][:rows].T[self._columns]
        else:
            for source in places.numbers:
                numbers[source.row] = self._inputs[source.input][:rows, 0]
        for source, lengths in zip(places.lengths, self._lengths[:, :rows], strict=True):
            numbers[source.row] = np.where(lengths == 0, np.nan, lengths)
        return Laid(
            numbers, self._codes[:, :rows], self._labels[:rows, 0], self._table[:rows], self._values[:rows, 0]
        )

    def clear(self) -> None:
        """Forget the rows."""
        for kept in (*self._inputs.values(), self._lengths, self._codes, self._table, self._values):
            kept.fill(0)
        self._labels.fill(0)


def _texts(inputs: Sequence[Tensor], position: int, column: int) -> list[str]:
    tensor = inputs[position]
    found: list[str] = (tensor[:, column] if tensor.ndim == 2 else tensor).tolist()
    return found


def most_rows(places: Places, *, beside: bool) -> int:
    """How many rows of a run are counted at most; on the worker more than on the event loop."""
    texts = len(places.lengths) + len(places.codes)
    rows = min(MAX_VALUES // places.width, MAX_TEXTS // texts if texts else MAX_VALUES)
    return max(_FEWEST_ROWS, rows * BESIDE if beside else rows)


def spread(rows: int, most: int, random: np.random.Generator) -> Chosen:
    """At most so many of the rows, one of each of equal portions: no period in the rows can show in the choice."""
    edges = np.linspace(0, rows, min(rows, most) + 1)
    return np.floor(edges[:-1] + np.diff(edges) * random.random(len(edges) - 1)).astype(np.intp)
