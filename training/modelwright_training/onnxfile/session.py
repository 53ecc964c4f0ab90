"""Opens a model in ONNX Runtime, tells its signature and runs it; what the answers mean is left to predictions."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Timer
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as states

from modelwright_training import memory
from modelwright_training.documents import Class
from modelwright_training.errors import InputError, listing
from modelwright_training.message import Json
from modelwright_training.onnxfile import wrapped
from modelwright_training.onnxfile.modelfile import ModelFile
from modelwright_training.onnxfile.wrapped import Declared, Wrapper
from modelwright_training.untyped import Session

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]

# Open Inference Protocol type and NumPy type of each tensor type.
TYPES: dict[str, tuple[str, Any]] = {
    "tensor(bool)": ("BOOL", np.bool_),
    "tensor(uint8)": ("UINT8", np.uint8),
    "tensor(uint16)": ("UINT16", np.uint16),
    "tensor(uint32)": ("UINT32", np.uint32),
    "tensor(uint64)": ("UINT64", np.uint64),
    "tensor(int8)": ("INT8", np.int8),
    "tensor(int16)": ("INT16", np.int16),
    "tensor(int32)": ("INT32", np.int32),
    "tensor(int64)": ("INT64", np.int64),
    "tensor(float16)": ("FP16", np.float16),
    "tensor(float)": ("FP32", np.float32),
    "tensor(double)": ("FP64", np.float64),
    "tensor(string)": ("BYTES", np.object_),
}
DTYPES = dict(TYPES.values())

MAX_FORMAT = 64
UNZIPPED = " Convert scikit-learn models with the option zipmap=False."

# What ONNX Runtime raises on a model or an input that it cannot work with; its own have no common base.
FAULTS: tuple[type[Exception], ...] = (
    RuntimeError,
    ValueError,
    *(kind for kind in vars(states).values() if isinstance(kind, type) and issubclass(kind, Exception)),
)


@dataclass(frozen=True)
class Tensor:
    """An input or an output of a model; -1 stands for any size. `format` says how dates are written."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    format: str | None = None

    def document(self) -> Json:
        """As it stands in a signature."""
        found: Json = {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}
        return found | ({"format": self.format} if self.format else {})


@dataclass(frozen=True)
class Model:
    """A model that is loaded, with its signature."""

    session: Session
    inputs: list[Tensor]
    outputs: list[Tensor]
    properties: Mapping[str, str]
    wrappers: Mapping[str, Wrapper]

    def run(self, feed: Arrays) -> dict[str, Array]:
        """The outputs for one batch of inputs."""
        try:
            with memory.bounded(memory.BYTES, "One run of the model"):
                answers = self.session.run(None, dict(feed))
        except FAULTS as error:
            raise InputError(
                "ModelFailed", f"The model cannot be run on the data: {_first_line(error)}"
            ) from error
        arrays = [
            array
            for output, answer in zip(self.session.get_outputs(), answers, strict=True)
            for array in (
                self.wrappers[output.name].open(answer) if output.name in self.wrappers else [answer]
            )
        ]
        return {output.name: np.asarray(array) for output, array in zip(self.outputs, arrays, strict=True)}

    def repeat(self, feed: Arrays) -> dict[str, Array]:
        """The outputs for one batch of inputs, which have to be the same a second time."""
        answers, again = self.run(feed), self.run(feed)
        changing = [
            name
            for name, answer in answers.items()
            if not np.array_equal(answer, again[name], equal_nan=answer.dtype.kind == "f")
        ]
        if changing:
            raise InputError(
                "NotDeterministic",
                f"The same rows get another answer each time: {listing(changing)}. Export the model for "
                "inference, without random numbers (RandomNormal, Bernoulli, Dropout in training mode).",
            )
        return answers


def load(file: ModelFile) -> Model:
    """Load a model on one thread, so that its answers do not depend on the machine."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    most = memory.BYTES + memory.PER_BYTE * file.size
    try:
        with memory.bounded(most, "Loading the model"):
            session = onnxruntime.InferenceSession(file.content, options, providers=["CPUExecutionProvider"])
    except FAULTS as error:
        version, hint = onnxruntime.__version__, UNZIPPED if "ZipMap" in str(error) else ""
        message = f"ONNX Runtime {version} cannot load the model: {_first_line(error)}{hint}"
        raise InputError("NotLoadable", message) from error
    inputs, outputs = (
        [(value.name, value.type, value.shape) for value in values]
        for values in (session.get_inputs(), session.get_outputs())
    )
    wrappers: Mapping[str, Wrapper] = {}
    if any(kind not in TYPES for _, kind, _ in outputs):
        wrappers = wrapped.find(onnx.ModelProto.FromString(file.content).graph, outputs)
    classes = wrapped.classes(wrappers)
    opened = [each for output in outputs for each in _tensors(output, wrappers)]
    known = {} if classes is None else {"dev.modelwright.classes": json.dumps(classes)}
    properties = known | session.get_modelmeta().custom_metadata_map
    return Model(
        session,
        [tensor(name, kind, sizes, format_of(properties, name)) for name, kind, sizes in inputs],
        [tensor(*declared) for declared in opened],
        properties,
        wrappers,
    )


@contextmanager
def limited(model: Model, seconds: float) -> Iterator[Model]:
    """The same model, whose runs within the block may take so long in all: the one under way is ended then.

    It raises InputError ModelTooSlow."""
    bounded = _Limited(model.session, seconds)
    timer = Timer(seconds, bounded.end)
    timer.daemon = True
    timer.start()
    try:
        yield replace(model, session=bounded)
    finally:
        timer.cancel()


class _Limited:
    """A session whose runs can be ended from another thread."""

    def __init__(self, session: Session, seconds: float) -> None:
        self.session, self.seconds = session, seconds
        self.options = onnxruntime.RunOptions()

    def end(self) -> None:
        """End the run under way, and each later one."""
        self.options.terminate = True

    def run(self, names: Sequence[str] | None, feed: Arrays) -> list[Array]:
        """As that of the session."""
        try:
            found: list[Array] = self.session.run(names, feed, self.options)
        except FAULTS as error:
            if self.options.terminate:
                message = f"The model takes more than {self.seconds:.4g} s for what it is asked here."
                raise InputError("ModelTooSlow", message) from error
            raise
        return found

    def get_outputs(self) -> list[Any]:
        """As those of the session."""
        return list(self.session.get_outputs())


def signature(model: Model, features: list[str] | None, classes: list[Class] | None) -> Json:
    """The signature as it stands in documents."""
    found: Json = {
        "inputs": [each.document() for each in model.inputs],
        "outputs": [each.document() for each in model.outputs],
    }
    return found | ({"features": features} if features else {}) | ({"classes": classes} if classes else {})


def listed(model: Model, key: str) -> list[Any] | None:
    """A property that holds a JSON list; None if there is none or it holds something else."""
    return list_in(model.properties, key)


def list_in(properties: Mapping[str, str], key: str) -> list[Any] | None:
    """The same of a model that is not loaded."""
    try:
        value = json.loads(properties.get(f"dev.modelwright.{key}", "null"))
    except ValueError:
        return None
    return value if isinstance(value, list) and value else None


def format_of(properties: Mapping[str, str], name: str) -> str | None:
    """How the dates of an input are written, as far as the model says it."""
    try:
        found = json.loads(properties.get("dev.modelwright.formats", "null"))
    except ValueError:
        return None
    value = found.get(name) if isinstance(found, dict) else None
    return value if isinstance(value, str) and len(value) <= MAX_FORMAT else None


def _tensors(output: Declared, wrappers: Mapping[str, Wrapper]) -> list[Declared]:
    return wrappers[output[0]].tensors if output[0] in wrappers else [output]


def tensor(name: str, kind: str, sizes: Sequence[object], written: str | None = None) -> Tensor:
    """A tensor of an ONNX type such as `tensor(float)`; UnsupportedType for one that requests cannot carry."""
    if kind not in TYPES:
        hint = UNZIPPED if kind.startswith("seq(") else ""
        raise InputError("UnsupportedType", f"{name!r} is of type {kind}, which requests cannot carry.{hint}")
    shape = tuple(size if isinstance(size, int) and size >= 0 else -1 for size in sizes)
    return Tensor(name, TYPES[kind][0], shape, written)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:500]
