"""What a model file says that it takes and knows, read without loading it: for a step that must not run it."""

from collections.abc import Mapping
from dataclasses import dataclass

import onnx
from google.protobuf.message import DecodeError

from modelwright_training.documents import Class
from modelwright_training.errors import InputError
from modelwright_training.onnxfile.modelfile import ModelFile
from modelwright_training.onnxfile.session import Tensor, format_of, list_in, tensor


@dataclass(frozen=True)
class Declared:
    """The inputs of a model, in order, and its metadata."""

    inputs: list[Tensor]
    properties: Mapping[str, str]

    @property
    def features(self) -> list[str] | None:
        """The names of the columns of its one matrix; None if it does not say."""
        found = list_in(self.properties, "features")
        return found if found and all(isinstance(name, str) for name in found) else None

    @property
    def classes(self) -> list[Class] | None:
        """The classes that it knows, in its order; None if it does not say."""
        found = list_in(self.properties, "classes")
        return (
            found
            if found and len({type(label) for label in found}) == 1 and type(found[0]) in (int, str)
            else None
        )

    @property
    def task(self) -> str | None:
        """Classification or Regression; None if it does not say."""
        return self.properties.get("dev.modelwright.task")


def declared(file: ModelFile) -> Declared:
    """Read what a model says of itself. NotOnnx, UnsupportedType."""
    try:
        proto = onnx.ModelProto.FromString(file.content)
    except DecodeError as error:
        raise InputError("NotOnnx", "model.onnx is not an ONNX model: it cannot be parsed.") from error
    properties = {entry.key: entry.value for entry in proto.metadata_props}
    weights = {weight.name for weight in proto.graph.initializer}
    inputs = [_tensor(value, properties) for value in proto.graph.input if value.name not in weights]
    if not inputs:
        raise InputError("SignatureMismatch", "The model has no inputs.")
    return Declared(inputs, properties)


def _tensor(value: onnx.ValueInfoProto, properties: Mapping[str, str]) -> Tensor:
    of_tensor = value.type.tensor_type
    kind = onnx.TensorProto.DataType.Name(of_tensor.elem_type).lower() if of_tensor.elem_type else "nothing"
    sizes = [size.dim_value if size.HasField("dim_value") else None for size in of_tensor.shape.dim]
    return tensor(value.name, f"tensor({kind})", sizes, format_of(properties, value.name))
