"""What a model takes and gives, in the protocol's terms. Reading it from a model file is left to `runtime`."""

from array import typecodes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import orjson

from modelwright_serving.limits import MAX_ROWS
from modelwright_serving.oip.errors import OipError, Problem

# The header of a response, or the gRPC metadata, that names the bytes of the model.
DIGEST = b"modelwright-model-digest"
# The header of a request that asks for a token for each prediction, with the value `true`.
PREDICTION_TOKENS = b"modelwright-prediction-tokens"

# Each datatype of the protocol, with NumPy's and ONNX's name of it.
_TYPES = (
    ("BOOL", "bool", "bool"),
    ("UINT8", "uint8", "uint8"),
    ("UINT16", "uint16", "uint16"),
    ("UINT32", "uint32", "uint32"),
    ("UINT64", "uint64", "uint64"),
    ("INT8", "int8", "int8"),
    ("INT16", "int16", "int16"),
    ("INT32", "int32", "int32"),
    ("INT64", "int64", "int64"),
    ("FP16", "float16", "float16"),
    ("FP32", "float32", "float"),
    ("FP64", "float64", "double"),
    ("BYTES", "object", "string"),
)
NUMPY_TYPES: Mapping[str, np.dtype[Any]] = {name: np.dtype(numpy) for name, numpy, _ in _TYPES}
ONNX_TYPES = {f"tensor({onnx})": name for name, _, onnx in _TYPES}
# What `array` calls them; it has no booleans, halves and strings.
TYPECODES = {name: dtype.char for name, dtype in NUMPY_TYPES.items() if dtype.char in typecodes}


@dataclass(frozen=True)
class TensorSpec:
    """One input or output; -1 in `shape` is a dimension of any size."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        return NUMPY_TYPES[self.datatype]

    def admits(self, shape: Sequence[int]) -> bool:
        if len(shape) != len(self.shape):
            return False
        for want, got in zip(self.shape, shape, strict=True):  # noqa: SIM110 - twice as fast as all()
            if want not in (-1, got):
                return False
        return True


@dataclass(frozen=True)
class Signature:
    """All inputs and outputs, in the model's order, and the most rows that one request may have."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    properties: Mapping[str, str] = field(default_factory=dict)
    max_rows: int = MAX_ROWS

    @cached_property
    def input_positions(self) -> dict[str, int]:
        return {spec.name: position for position, spec in enumerate(self.inputs)}

    @cached_property
    def output_positions(self) -> dict[str, int]:
        return {spec.name: position for position, spec in enumerate(self.outputs)}

    @cached_property
    def all_outputs(self) -> tuple[tuple[tuple[int, bool], ...], tuple[tuple[int, bool], ...]]:
        """Every output by position: as JSON at [False], as binary data at [True]."""
        everything = range(len(self.outputs))
        return tuple((position, False) for position in everything), tuple(
            (position, True) for position in everything
        )

    @property
    def has_row_dimension(self) -> bool:
        """Whether the first dimension of everything may have any size: only then can requests share a run."""
        return all(spec.shape[:1] == (-1,) for spec in (*self.inputs, *self.outputs))

    @cached_property
    def rows_only_vary(self) -> bool:
        """Whether nothing but the number of rows can differ between two valid requests."""
        return self.has_row_dimension and all(-1 not in spec.shape[1:] for spec in self.inputs)

    def check_rows(self, spec: TensorSpec, shape: Sequence[int]) -> None:
        """OipError if a tensor of this input has more rows than a request may have."""
        if shape and shape[0] > self.max_rows and spec.shape[0] == -1:
            raise OipError(
                f"{shape[0]} rows are too many for one request; send at most {self.max_rows}",
                Problem.TOO_LARGE,
                "Rows",
            )

    @cached_property
    def features(self) -> tuple[str, ...]:
        """What the values of one row are called, in their order; empty if the model does not say.

        A model with one input per column says it by the inputs' names, one with a single matrix by a property.
        """
        listed = self._listed("features")
        width = self.inputs[0].shape[-1] if len(self.inputs) == 1 and len(self.inputs[0].shape) == 2 else 0
        if listed and width in {-1, len(listed)} and all(isinstance(name, str) for name in listed):
            return tuple(listed) if len(set(listed)) == len(listed) else ()
        columns = all(len(spec.shape) == 1 or spec.shape[1:] == (1,) for spec in self.inputs)
        return tuple(spec.name for spec in self.inputs) if columns else ()

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The classes as names, in the order of a classifier's columns; empty if the model does not say."""
        names = [
            found if isinstance(found, str) else orjson.dumps(found).decode()
            for found in self._listed("classes")
        ]
        return tuple(names) if len(set(names)) == len(names) else ()

    @cached_property
    def formats(self) -> dict[str, str]:
        """How the dates of inputs are written, by the name of the input."""
        found = self._property("formats")
        known = found.items() if isinstance(found, dict) else ()
        return {name: value for name, value in known if isinstance(value, str)}

    def _listed(self, name: str) -> list[Any]:
        """A property that holds a JSON list; one that holds something else counts for nothing."""
        found = self._property(name)
        return found if isinstance(found, list) else []

    def _property(self, name: str) -> Any:  # noqa: ANN401 (JSON of any kind)
        try:
            return orjson.loads(self.properties.get(name, "null"))
        except orjson.JSONDecodeError:
            return None
