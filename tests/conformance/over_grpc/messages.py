"""The protocol's messages, declared in a pool of their own: other libraries register the same names in the common one.

Field 6 of ModelMetadataResponse is declared as bytes: what servers put there differs, and clients disagree about it.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SERVICE = "/inference.GRPCInferenceService"
HEALTH = "/grpc.health.v1.Health"

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS: dict[str, Any] = {
    "bool": _Field.TYPE_BOOL,
    "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64,
    "uint32": _Field.TYPE_UINT32,
    "uint64": _Field.TYPE_UINT64,
    "float": _Field.TYPE_FLOAT,
    "double": _Field.TYPE_DOUBLE,
    "string": _Field.TYPE_STRING,
    "bytes": _Field.TYPE_BYTES,
}
# message -> fields as "number name type"; "*" is repeated, "map" a map from string to InferParameter.
_MESSAGES: dict[str, tuple[str, ...]] = {
    "ServerLiveRequest": (),
    "ServerLiveResponse": ("1 live bool",),
    "ServerReadyRequest": (),
    "ServerReadyResponse": ("1 ready bool",),
    "ModelReadyRequest": ("1 name string", "2 version string"),
    "ModelReadyResponse": ("1 ready bool",),
    "ServerMetadataRequest": (),
    "ServerMetadataResponse": ("1 name string", "2 version string", "3 extensions *string"),
    "ModelMetadataRequest": ("1 name string", "2 version string"),
    "TensorMetadata": ("1 name string", "2 datatype string", "3 shape *int64"),
    "ModelMetadataResponse": (
        *("1 name string", "2 versions *string", "3 platform string"),
        *("4 inputs *TensorMetadata", "5 outputs *TensorMetadata", "6 disputed *bytes"),
    ),
    "InferParameter": (
        *("1 bool_param bool", "2 int64_param int64", "3 string_param string"),
        *("4 double_param double", "5 uint64_param uint64"),
    ),
    "InferTensorContents": (
        *("1 bool_contents *bool", "2 int_contents *int32", "3 int64_contents *int64"),
        *("4 uint_contents *uint32", "5 uint64_contents *uint64", "6 fp32_contents *float"),
        *("7 fp64_contents *double", "8 bytes_contents *bytes"),
    ),
    "InferInputTensor": (
        *("1 name string", "2 datatype string", "3 shape *int64", "4 parameters map"),
        "5 contents InferTensorContents",
    ),
    "InferRequestedOutputTensor": ("1 name string", "2 parameters map"),
    "ModelInferRequest": (
        *("1 model_name string", "2 model_version string", "3 id string", "4 parameters map"),
        *(
            "5 inputs *InferInputTensor",
            "6 outputs *InferRequestedOutputTensor",
            "7 raw_input_contents *bytes",
        ),
    ),
    "InferOutputTensor": (
        *("1 name string", "2 datatype string", "3 shape *int64", "4 parameters map"),
        "5 contents InferTensorContents",
    ),
    "ModelInferResponse": (
        *("1 model_name string", "2 model_version string", "3 id string", "4 parameters map"),
        *("5 outputs *InferOutputTensor", "6 raw_output_contents *bytes"),
    ),
    "HealthCheckRequest": ("1 service string",),
    "HealthCheckResponse": ("1 status int32",),
}
_PACKAGE = "conformance"


def _file() -> descriptor_pb2.FileDescriptorProto:
    """All messages in one file; on the wire only numbers and types count, so the package may be ours."""
    file = descriptor_pb2.FileDescriptorProto(name="conformance.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field in fields:
            _add(message, *field.split())
    parameters = file.message_type[list(_MESSAGES).index("InferParameter")]
    parameters.oneof_decl.add(name="parameter_choice")
    for choice in parameters.field:
        choice.oneof_index = 0
    return file


def _add(message: Any, number: str, name: str, kind: str) -> None:
    repeated = kind.startswith("*") or kind == "map"
    label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
    field = message.field.add(name=name, number=int(number), label=label)
    kind = kind.removeprefix("*")
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
        return
    field.type = _Field.TYPE_MESSAGE
    field.type_name = f".{_PACKAGE}.{kind}" if kind != "map" else _map_entry(message, name)


def _map_entry(message: Any, name: str) -> str:
    entry = message.nested_type.add(name=f"{name.title()}Entry")
    entry.options.map_entry = True
    _add(entry, "1", "key", "string")
    _add(entry, "2", "value", "InferParameter")
    return f".{_PACKAGE}.{message.name}.{entry.name}"


_POOL = descriptor_pool.DescriptorPool()
_POOL.Add(_file())


def message(name: str, /, **fields: Any) -> Any:
    """A new message of this name."""
    return message_class(name)(**fields)


def message_class(name: str) -> Any:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
