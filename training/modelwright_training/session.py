"""Opens a model in ONNX Runtime, tells its signature and runs it; what the answers mean is left to predictions."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as states

from modelwright_training.documents import Class
from modelwright_training.errors import InputError
from modelwright_training.message import Json
from modelwright_training.modelfile import ModelFile
from modelwright_training.plainoutputs import plain_outputs
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

# What ONNX Runtime raises on a model or an input that it cannot work with; they have no common base.
FAULTS = (
    states.Fail,
    states.InvalidArgument,
    states.InvalidGraph,
    states.InvalidProtobuf,
    states.NotImplemented,
    states.RuntimeException,
    states.EPFail,
    states.ModelRequiresCompilation,
    states.NoModel,
    states.NoSuchFile,
    RuntimeError,
    ValueError,
)


@dataclass(frozen=True)
class Tensor:
    """An input or an output of a model; -1 stands for any size."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    def document(self) -> Json:
        """As it stands in a signature."""
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}


@dataclass(frozen=True)
class Model:
    """A model that is loaded, with its signature."""

    session: Session
    inputs: list[Tensor]
    outputs: list[Tensor]
    properties: Mapping[str, str]

    def run(self, feed: Arrays) -> dict[str, Array]:
        """The outputs for one batch of inputs."""
        try:
            answers = self.session.run(None, dict(feed))
        except FAULTS as error:
            raise InputError(
                "ModelFailed", f"The model cannot be run on the data: {_first_line(error)}"
            ) from error
        return {output.name: np.asarray(answer) for output, answer in zip(self.outputs, answers, strict=True)}


def load(file: ModelFile) -> Model:
    """Load a model on one thread, so that its answers do not depend on the machine."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    plain = plain_outputs(file.content)
    try:
        session = onnxruntime.InferenceSession(plain.content, options, providers=["CPUExecutionProvider"])
    except FAULTS as error:
        version = onnxruntime.__version__
        message = f"ONNX Runtime {version} cannot load the model: {_first_line(error)}"
        raise InputError("NotLoadable", message) from error
    known = {} if plain.classes is None else {"dev.modelwright.classes": plain.classes}
    return Model(
        session,
        [_tensor(value) for value in session.get_inputs()],
        [_tensor(value) for value in session.get_outputs()],
        known | session.get_modelmeta().custom_metadata_map,
    )


def signature(model: Model, features: list[str] | None, classes: list[Class] | None) -> Json:
    """The signature as it stands in documents."""
    found: Json = {
        "inputs": [tensor.document() for tensor in model.inputs],
        "outputs": [tensor.document() for tensor in model.outputs],
    }
    return found | ({"features": features} if features else {}) | ({"classes": classes} if classes else {})


def listed(model: Model, key: str) -> list[Any] | None:
    """A property that holds a JSON list; None if there is none or it holds something else."""
    try:
        value = json.loads(model.properties.get(f"dev.modelwright.{key}", "null"))
    except ValueError:
        return None
    return value if isinstance(value, list) and value else None


def _tensor(value: Any) -> Tensor:  # noqa: ANN401 (onnxruntime is not typed)
    if value.type not in TYPES:
        raise InputError(
            "UnsupportedType", f"{value.name!r} is of type {value.type}, which requests cannot carry."
        )
    shape = tuple(size if isinstance(size, int) and size >= 0 else -1 for size in value.shape)
    return Tensor(value.name, TYPES[value.type][0], shape)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:500]
