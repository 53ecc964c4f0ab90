"""Where a model's tensors hold what its profile counts, and how it is laid out for that. Counting is left to `cells`.

All numbers are compared as float64, whatever the model's input is: the profile was made in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf, nan
from typing import Any

import numpy as np
import numpy.typing as npt

from modelwright_serving.oip.signature import Signature, TensorSpec
from modelwright_serving.oip.tensors import Tensor
from modelwright_serving.watching.profile import (
    MAX_EDGES,
    Feature,
    Floats,
    Predictions,
    Profile,
    Ranges,
    UnusableError,
)

# At most 9 edges, the lowest value and the highest one.
BOUNDS = MAX_EDGES + 2
# Columns of an output, of which the last may be there alone.
_ALONE = 2


@dataclass(frozen=True, slots=True)
class Source:
    """Where a feature is in the inputs: an input, and its column there. `row`: where it is laid out."""

    row: int
    input: int
    column: int


@dataclass(frozen=True, slots=True)
class OutputPlaces:
    """The positions of the outputs that are counted; None where there is none."""

    label: int | None = None
    table: int | None = None
    value: int | None = None


class Merging:
    """From counts between all bounds to the cells between edges, and to what is outside; a row for each of `ranges`."""

    def __init__(self, ranges: Sequence[Ranges]) -> None:
        shape = len(ranges), BOUNDS + 1
        self._cell = np.zeros(shape, np.intp)
        self._outside = np.zeros(shape, np.bool_)
        for row, each in enumerate(ranges):
            every = bounds(each)
            lower, upper = np.array([-inf, *every]), np.array([*every, inf])
            self._cell[row, : len(lower)] = np.searchsorted(each.edges, lower, side="right")
            self._outside[row, : len(lower)] = (lower >= each.high) | (upper < each.low)

    def merged(self, counts: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The cells: rows x (MAX_EDGES + 1), and how many are outside: a number for each row."""
        between = np.zeros((len(counts), MAX_EDGES + 1), np.int64)
        rows = np.arange(len(counts))
        for column in range(BOUNDS + 1):
            between[rows, self._cell[:, column]] += counts[:, column]
        outside: npt.NDArray[np.int64] = (counts[:, : BOUNDS + 1] * self._outside).sum(axis=1)
        return between, outside


@dataclass(frozen=True)
class Places:
    """`ranged`, `valued`, `coded`: which features are counted in which way, by their places in the profile. Numbers are
    laid out a row for each ranged, then each valued feature; codes a row for each coded one.

    `numbers`, `lengths` (of texts) and `codes`: where each comes from. `bounds`: ranged x BOUNDS, what a value may be
    greater than, ascending, filled up with infinities. `values`: valued x the most values, filled up with NaN.
    `codebooks`: the code of each text: its place among the values; then come "other" and "missing". `value_bounds`: as
    `bounds`, of the model's value. `matrix`: the input that holds all features. `dtypes`: of the inputs.
    """

    profile: Profile
    ranged: tuple[int, ...]
    valued: tuple[int, ...]
    coded: tuple[int, ...]
    numbers: tuple[Source, ...]
    lengths: tuple[Source, ...]
    codes: tuple[Source, ...]
    bounds: Floats
    values: Floats
    codebooks: tuple[Mapping[str, int], ...]
    value_bounds: Floats
    outputs: OutputPlaces
    matrix: int | None
    dtypes: tuple[np.dtype[Any], ...]

    @property
    def classes(self) -> tuple[int | str, ...]:
        """Those of a classification."""
        predictions = self.profile.predictions
        return () if predictions is None else predictions.classes

    @property
    def width(self) -> int:
        """The values of a row that are laid out."""
        return len(self.profile.features) + (len(self.classes) if self.outputs.table is not None else 0) + 2

    @cached_property
    def merging(self) -> Merging:
        """Of the ranged features."""
        return Merging([found for place in self.ranged if (found := self.profile.features[place].ranges)])

    @cached_property
    def value_merging(self) -> Merging:
        """Of the model's value."""
        predictions = self.profile.predictions
        ranges = None if predictions is None else predictions.ranges
        return Merging([] if ranges is None else [ranges])

    @cached_property
    def columns(self) -> int:
        """Of the matrix that holds all features."""
        return len(self.profile.features) + self.profile.left_out

    @cached_property
    def used(self) -> frozenset[int]:
        """The inputs that are counted."""
        return frozenset(source.input for source in (*self.numbers, *self.lengths, *self.codes))

    @cached_property
    def used_outputs(self) -> frozenset[int]:
        """The outputs that are counted."""
        found = (self.outputs.label, self.outputs.table, self.outputs.value)
        return frozenset(place for place in found if place is not None)

    def some(
        self, inputs: Sequence[Tensor], outputs: Sequence[Tensor], rows: slice | npt.NDArray[np.intp]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """These rows of all tensors that are counted."""
        used = ((inputs, self.used), (outputs, self.used_outputs))
        some_in, some_out = (
            [tensor[rows] if place in chosen else tensor for place, tensor in enumerate(tensors)]
            for tensors, chosen in used
        )
        return some_in, some_out

    def fits(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor], rows: int) -> bool:
        """Whether these tensors hold so many rows of all that is counted."""
        column = ((rows,), (rows, 1))
        wanted = ((rows, self.columns),) if self.matrix is not None else column
        if any(inputs[position].shape not in wanted for position in self.used):
            return False
        table = ((rows, len(self.classes)), *(column if len(self.classes) == 2 else ()))
        found = ((self.outputs.label, column), (self.outputs.value, column), (self.outputs.table, table))
        return all(place is None or outputs[place].shape in allowed for place, allowed in found)


def places(profile: Profile, signature: Signature) -> Places:
    """Finds everything that is counted; UnusableError if the model does not have it."""
    features = profile.features
    sources = _sources(profile, signature)
    ranged = [place for place, feature in enumerate(features) if feature.ranges is not None]
    valued = [
        place
        for place, feature in enumerate(features)
        if feature.ranges is None and feature.kind == "numeric"
    ]
    coded = [
        place
        for place, feature in enumerate(features)
        if feature.ranges is None and feature.kind != "numeric"
    ]
    laid = [Source(row, *sources[place]) for row, place in enumerate((*ranged, *valued))]
    is_text = [features[place].kind == "text" for place in (*ranged, *valued)]
    predictions = profile.predictions
    value = None if predictions is None else predictions.ranges
    return Places(
        profile,
        tuple(ranged),
        tuple(valued),
        tuple(coded),
        tuple(source for source, text in zip(laid, is_text, strict=True) if not text),
        tuple(source for source, text in zip(laid, is_text, strict=True) if text),
        tuple(Source(row, *sources[place]) for row, place in enumerate(coded)),
        _table([bounds(found) for place in ranged if (found := features[place].ranges) is not None]),
        _values([features[place] for place in valued]),
        tuple(_codebook(features[place]) for place in coded),
        _table([] if value is None else [bounds(value)]),
        OutputPlaces() if predictions is None else _outputs(predictions, signature),
        None if profile.input is None else signature.input_positions[profile.input],
        tuple(spec.dtype for spec in signature.inputs),
    )


def bounds(ranges: Ranges) -> list[float]:
    """What a value may be greater than, ascending: just below the lowest value, the edges, the highest value."""
    return sorted([float(np.nextafter(ranges.low, -inf)), *ranges.edges, ranges.high])


def _sources(profile: Profile, signature: Signature) -> list[tuple[int, int]]:
    """The position of each feature's input, and its column there."""
    if profile.input is not None:
        position = signature.input_positions.get(profile.input)
        width = len(profile.features) + profile.left_out
        if position is None or len(signature.inputs) > 1 or not _is_matrix(signature.inputs[position], width):
            raise UnusableError(
                f"the model does not take one matrix {profile.input!r:.100} of {width} columns"
            )
        found = [(position, column) for column in range(len(profile.features))]
    else:
        found = [(_column(feature, signature), 0) for feature in profile.features]
    for feature, (position, _) in zip(profile.features, found, strict=True):
        datatype = signature.inputs[position].datatype
        if (datatype == "BYTES") == (feature.kind == "numeric"):
            raise UnusableError(
                f"feature {feature.name!r:.100} is {feature.kind}, but {datatype} in the model"
            )
    return found


def _is_matrix(spec: TensorSpec, width: int) -> bool:
    return len(spec.shape) == 2 and spec.shape[1] in (-1, width)


def _column(feature: Feature, signature: Signature) -> int:
    position = signature.input_positions.get(feature.name)
    if position is None:
        raise UnusableError(f"the model has no input {feature.name!r:.100}")
    spec = signature.inputs[position]
    if not spec.shape or spec.shape[1:] not in ((), (1,), (-1,)):
        raise UnusableError(f"input {spec.name!r:.100} does not have one value for each row")
    return position


def _outputs(predictions: Predictions, signature: Signature) -> OutputPlaces:
    if predictions.value is not None:
        return OutputPlaces(value=_output(signature, predictions.value, 1, text=False))
    label, table = predictions.label, predictions.table
    is_text, wide = isinstance(predictions.classes[0], str), len(predictions.classes)
    return OutputPlaces(
        label=None if label is None else _output(signature, label, 1, text=is_text),
        table=None if table is None else _output(signature, table, wide, text=False),
    )


def _output(signature: Signature, name: str, wide: int, *, text: bool) -> int:
    """The position of an output that has so many columns; of two, one may be there alone."""
    position = signature.output_positions.get(name)
    if position is None:
        raise UnusableError(f"the model has no output {name!r:.100}")
    spec = signature.outputs[position]
    widths = ((wide,), (-1,), *(((1,), ()) if wide <= _ALONE else ()))
    if (spec.datatype == "BYTES") != text or not spec.shape or spec.shape[1:] not in widths:
        shape = list(spec.shape)
        raise UnusableError(
            f"output {name!r:.100} is {spec.datatype} {shape}, which does not suit the profile"
        )
    return position


def _values(features: Sequence[Feature]) -> Floats:
    most = max((feature.cells for feature in features), default=0)
    table = np.full((len(features), most), nan)
    for row, feature in enumerate(features):
        table[row, : feature.cells] = np.array(feature.values, np.float64)
    return table


def _codebook(feature: Feature) -> dict[str, int]:
    """The codes of a categorical feature, or of a date, which is missing or not."""
    codes = {str(value): place for place, value in enumerate(feature.values)}
    return codes if "" in codes else {**codes, "": feature.cells + 1}


def _table(rows: list[list[float]]) -> Floats:
    table = np.full((len(rows), BOUNDS), inf)
    for row, numbers in enumerate(rows):
        table[row, : len(numbers)] = numbers
    return table
