"""Tries with real runs whether a row's answer depends on the rows beside it, on their number, or on its place.

A row has to come out the same to the last bit in runs of many sizes, at any place in them, and beside rows that are
huge, tiny, not finite, empty, very long or equal to it. Deterministic but for how large a run is tried, which depends
on how long the model takes.
"""

from collections.abc import Callable, Iterator, Sequence
from math import prod
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from modelwright_serving import runtime
from modelwright_serving.oip.signature import Signature, TensorSpec
from modelwright_serving.oip.tensors import Tensor
from modelwright_serving.rows.layout import filled

Run = Callable[[list[Tensor]], list[Tensor]]

MOST_ROWS = 256
# A run may be filled up to a multiple of these.
_PORTIONS = (1, 2, 4, 8, 16)
_ROWS = 12
_FEW_ROWS = 3
_WIDTHS = (1, 5)
# The sizes to try, the largest that the model has time for. Kernels take rows in portions: all that can be left of one
# is tried, and larger runs around the sizes where kernels change.
_SIZES = (
    (*range(2, 18), 23, 24, 25, 31, 32, 33, 47, 48, 49, 63, 64, 65, 127, 128, 129, 255, MOST_ROWS),
    (2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32),
    (2, 16),
)
_SECONDS = (0.1, 0.3, 2.0)  # for the trial of all sizes of each
_BYTES = 16 * 1024**2  # of the inputs and outputs of a run
_SLOW_SECONDS = 0.02  # of a run of one row, beyond which there is time for few runs
_TEXTS = ("", "a", "b", "no", "yes", "0", "1.5", "ä", "a much longer text than the others")
_HOSTILE_TEXTS = ("", "1e30", "nan", "x" * 10_000, "\N{SNOWMAN}", "a")


class DependentError(Exception):
    """A row's answer is not its own, or that cannot be tried; says how."""


class _Sample(NamedTuple):
    """Different rows, and the answers that each gets alone."""

    rows: list[Tensor]
    alone: list[Tensor]


def tried(run: Run, signature: Signature, known: list[Tensor] | None, portion: int = 1) -> tuple[int, int]:
    """The number of which a run has to have a multiple of rows, for each to come out as always, and the most rows.

    The former is at least `portion`. `known` are rows that the model is known to take. DependentError if there are no
    such numbers.
    """
    row_bytes = sum(spec.dtype.itemsize * prod(map(abs, spec.shape[1:])) for spec in signature.inputs)
    if row_bytes * _SIZES[-1][-1] > _BYTES:
        raise DependentError(f"a row of {row_bytes} bytes is too large to be tried beside others")
    probe = _Probe(run, signature)
    samples = [sample for rows in _samples(signature, known) if (sample := probe.answered(rows)) is not None]
    if not samples:
        raise DependentError(
            "the model answers none of the rows that it was tried with; put a golden.json with some beside it"
        )
    sizes = probe.sizes(samples[0])
    for sample in samples:
        portion = probe.portion(sample, sizes, portion)
    return portion, sizes[-1]


# --- rows ------------------------------------------------------------------------------------


def _samples(signature: Signature, known: list[Tensor] | None) -> Iterator[list[Tensor]]:
    """Sets of different rows, the same ones at every start."""
    if known is not None and len({len(tensor) for tensor in known}) == 1:
        yield [tensor[:_ROWS] for tensor in known]
    free = any(-1 in spec.shape[1:] for spec in signature.inputs)
    for width in _WIDTHS if free else _WIDTHS[:1]:
        random = np.random.default_rng(width)
        yield [_varied(spec, width, random) for spec in signature.inputs]


def _varied(spec: TensorSpec, width: int, random: np.random.Generator) -> Tensor:
    """Rows of several magnitudes, the first one neutral."""
    shape = (_ROWS, *(width if size == -1 else size for size in spec.shape[1:]))
    if spec.datatype == "BYTES":
        return np.array(_TEXTS, np.object_)[random.integers(0, len(_TEXTS), shape)]
    if spec.dtype.kind == "f":
        powers = (np.arange(_ROWS) % 5 - 2).reshape(-1, *(1,) * (len(shape) - 1))
        numbers = random.normal(size=shape) * 10.0**powers
    else:
        numbers = random.integers(0, 2 if spec.dtype.kind == "b" else 5, shape)
    numbers[0] = 0
    return numbers.astype(spec.dtype)


def _hostile(spec: TensorSpec, row: Tensor) -> list[Tensor]:
    """Rows of extreme values, of the shape of `row`."""
    kind = spec.dtype.kind
    element: Any = spec.dtype
    values: list[float] | list[int]
    if kind == "O":
        return [np.full(row.shape, text, np.object_) for text in _HOSTILE_TEXTS]
    if kind == "f":
        limits = np.finfo(element)
        extremes = [float(limits.max), float(limits.min), float(limits.smallest_subnormal)]
        values = [1e6, -1e6, 1e30, *extremes, float("nan"), float("inf"), float("-inf"), -0.0]
    elif kind == "b":
        values = [0, 1]
    else:
        bounds = np.iinfo(element)
        values = [0, 1, 7, 100, int(bounds.max), int(bounds.min)]
    with np.errstate(over="ignore"):
        return [np.full(row.shape, value).astype(spec.dtype) for value in values]


# --- trials ----------------------------------------------------------------------------------


class _Probe:
    """Runs one model."""

    def __init__(self, run: Run, signature: Signature) -> None:
        self._run = run
        self._signature = signature

    def answered(self, rows: list[Tensor]) -> _Sample | None:
        """Those of the rows that the model answers: it may well refuse made-up ones."""
        started = perf_counter()
        answers = [self._attempt(_taken(rows, [0]))]
        count = _FEW_ROWS if perf_counter() - started > _SLOW_SECONDS else len(rows[0])
        answers += [self._attempt(_taken(rows, [index])) for index in range(1, min(count, len(rows[0])))]
        kept = [index for index, answer in enumerate(answers) if answer is not None]
        if not kept:
            return None
        found = [answer for answer in answers if answer is not None]
        if any(output.shape[:1] != (1,) for answer in found for output in answer):
            raise DependentError("the model does not answer every row with one row")
        columns = zip(*found, strict=True)
        try:
            return _Sample(_taken(rows, kept), [np.concatenate(column) for column in columns])
        except ValueError:
            raise DependentError("the answers to rows of one shape have different shapes") from None

    def sizes(self, sample: _Sample) -> Sequence[int]:
        """The sizes that can be tried in the time that a start may take."""
        base = self._seconds(_mixed(sample, 1)[1])
        many = _SIZES[-1][-1]
        each = max(0.0, self._seconds(_mixed(sample, many)[1]) - base) / (many - 1)
        row_bytes = sum(tensor.nbytes // len(tensor) for tensor in (*sample.rows, *sample.alone))
        for sizes, seconds in zip(_SIZES, _SECONDS, strict=True):
            affordable = base * len(sizes) + each * sum(sizes) <= seconds and sizes[-1] * row_bytes <= _BYTES
            # The memory that a run may take can be less than the largest one needs.
            if affordable and self._attempt(_mixed(sample, sizes[-1])[1]) is not None:
                return sizes
        raise DependentError(
            f"runs are too costly to be tried: {base:.2g} s, {each:.2g} s more and {row_bytes} bytes for each row"
        )

    def portion(self, sample: _Sample, sizes: Sequence[int], least: int) -> int:
        """The number in whose multiples the size of a run makes no difference; DependentError if there is none."""
        count = len(sample.rows[0])
        whole = self._outputs(filled(sample.rows, -count % _PORTIONS[-1]))
        reference = [output[:count] for output in whole]
        differing = {1: name} if (name := self._other(sample.alone, reference)) else {}
        for size in sizes:
            where, batch = _mixed(sample, size)
            if name := self._other(self._outputs(batch), _taken(reference, where)):
                differing[size] = name
        fitting = [
            portion for portion in _PORTIONS if portion >= least and all(size % portion for size in differing)
        ]
        if not fitting:
            size, name = differing.popitem()
            raise DependentError(
                f"output {name!r} of a row is not the same in a run of {size} rows as in others"
            )
        self._beside_hostile(sample, reference, each=len(sizes) > len(_SIZES[-1]))
        return fitting[0]

    def _beside_hostile(self, sample: _Sample, reference: list[Tensor], *, each: bool) -> None:
        row = _taken(sample.rows, [0])
        kinds = [_hostile(spec, part) for spec, part in zip(self._signature.inputs, row, strict=True)]
        count = max(map(len, kinds))
        others = [np.concatenate([kind[index % len(kind)] for index in range(count)]) for kind in kinds]
        self._beside(sample, others, reference)
        # Each by itself, too: one that the model refuses hides the others.
        for index in range(count if each else 0):
            self._beside(sample, _taken(others, [index] * 4), reference)

    def _beside(self, sample: _Sample, others: list[Tensor], reference: list[Tensor]) -> None:
        """A row in the first, middle and last place among others, and beside itself."""
        index, size = len(others[0]) % len(sample.rows[0]), len(others[0])
        own = _taken(sample.rows, [index])
        batch = [
            np.concatenate([one, some, one, one, some, one]) for one, some in zip(own, others, strict=True)
        ]
        outputs = self._attempt(filled(batch, -len(batch[0]) % _PORTIONS[-1]))
        if outputs is None:
            return  # An error is no answer: what fails together is repeated apart.
        places = [0, size + 1, size + 2, 2 * size + 3]
        name = self._other(_taken(outputs, places), _taken(reference, [index] * len(places)))
        if name:
            raise DependentError(f"output {name!r} of a row is another one beside rows of extreme values")

    def _outputs(self, rows: list[Tensor]) -> list[Tensor]:
        """The outputs of a run of rows that have all been answered alone."""
        outputs = self._attempt(rows)
        if outputs is None:
            raise DependentError(f"the model answers rows alone, but not {len(rows[0])} together")
        if any(output.shape[:1] != (len(rows[0]),) for output in outputs):
            raise DependentError("the model does not answer every row with one row")
        return outputs

    def _attempt(self, rows: list[Tensor]) -> list[Tensor] | None:
        try:
            return self._run(rows)
        except runtime.RunFailed:
            return None

    def _seconds(self, rows: list[Tensor]) -> float:
        shortest = float("inf")
        for _ in range(2):
            started = perf_counter()
            self._outputs(rows)
            shortest = min(shortest, perf_counter() - started)
            if shortest > _SLOW_SECONDS:
                break
        return shortest

    def _other(self, found: list[Tensor], expected: list[Tensor]) -> str | None:
        """The name of the first output that is not the same to the last bit."""
        for spec, one, other in zip(self._signature.outputs, found, expected, strict=True):
            if not _same_bits(one, other):
                return spec.name
        return None


def _mixed(sample: _Sample, size: int) -> tuple[list[int], list[Tensor]]:
    """A run of so many rows, each of the sample at many places, and which they are; the same ones at every start."""
    where = np.random.default_rng(size).integers(0, len(sample.rows[0]), size).tolist()
    return where, _taken(sample.rows, where)


def _taken(tensors: list[Tensor], where: list[int]) -> list[Tensor]:
    return [tensor[where] for tensor in tensors]


def _same_bits(one: Tensor, other: Tensor) -> bool:
    """All NaN are the same."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if one.dtype.kind != "f":
        return bool(np.array_equal(one, other))
    bits = f"u{one.dtype.itemsize}"
    same: npt.NDArray[np.bool_] = np.ascontiguousarray(one).view(bits) == np.ascontiguousarray(other).view(
        bits
    )
    return bool(np.all(same | (np.isnan(one) & np.isnan(other))))
