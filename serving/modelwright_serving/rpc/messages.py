"""The protocol's messages: the fields of a request as they stand on the wire, and the small answers.

Turning a request's fields into tensors is left to `decoding`, the answer to an inference to `encoding`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from modelwright_serving import protobuf
from modelwright_serving.limits import FIELDS_AT_ONCE, MAX_DIMENSIONS, MAX_FIELDS
from modelwright_serving.oip.errors import CostlyError, OipError, Problem
from modelwright_serving.oip.request import PREDICTION_TOKENS
from modelwright_serving.oip.signature import Signature, TensorSpec
from modelwright_serving.protobuf import LENGTH, VARINT, Field, FieldLimit, WireError

_TOKENS = PREDICTION_TOKENS.encode()
_TRUTH = 1  # bool_param of an InferParameter


@dataclass(slots=True)
class InputFields:
    """One input tensor; `contents` are the fields of its typed contents, wherever they stand."""

    name: str = ""
    datatype: str = ""
    shape: list[int] = field(default_factory=list)
    contents: list[Field] = field(default_factory=list)
    typed: bool = False


@dataclass(slots=True)
class InferFields:
    """A ModelInferRequest; bytes are left where they are."""

    model_name: str = ""
    model_version: str = ""
    id: Field | None = None
    inputs: list[InputFields] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    raw: list[Field] = field(default_factory=list)
    tokens: bool = False


def infer_request(data: bytes, most_tensors: int = MAX_FIELDS, *, at_once: bool = False) -> InferFields:
    """Where everything is in a ModelInferRequest; OipError if the bytes are none.

    CostlyError if it is asked for `at_once` and has many fields.
    """
    found = InferFields()
    limit = FieldLimit(FIELDS_AT_ONCE, CostlyError()) if at_once else FieldLimit(MAX_FIELDS, _too_many())
    try:
        for item in protobuf.read(data, 0, len(data), limit):
            if item.kind == LENGTH:
                _infer_field(data, found, item, limit)
                if len(found.inputs) + len(found.outputs) + len(found.raw) > most_tensors:
                    raise OipError(f"a request may name at most {most_tensors} tensors")
    except WireError as error:
        raise OipError(f"the message is no ModelInferRequest: {error}") from None
    return found


def _too_many() -> OipError:
    return OipError(
        f"a request may have at most {MAX_FIELDS} fields, elements that are not packed among them; send tensors in "
        "raw_input_contents",
        Problem.TOO_LARGE,
        "DocumentSize",
    )


def _infer_field(data: bytes, found: InferFields, item: Field, limit: FieldLimit) -> None:
    if item.number == 1:
        found.model_name = protobuf.text(data, item)
    elif item.number == 2:
        found.model_version = protobuf.text(data, item)
    elif item.number == 3:
        protobuf.text(data, item)
        found.id = item
    elif item.number == 4:
        found.tokens = _asks_for_tokens(data, item, limit, before=found.tokens)
    elif item.number == 5:
        found.inputs.append(tensor_fields(data, item, limit))
    elif item.number == 6:
        found.outputs.append(_name(data, item, limit))
    elif item.number == 7:
        found.raw.append(item)


def _asks_for_tokens(data: bytes, where: Field, limit: FieldLimit, *, before: bool) -> bool:
    """What a parameter says about prediction tokens; `before` if it is another one."""
    if data.find(_TOKENS, where.start, where.stop) < 0:
        return before
    name, values = "", []
    for item in protobuf.read(data, where.start, where.stop, limit):
        if item.number == 1 and item.kind == LENGTH:
            name = protobuf.text(data, item)
        elif item.number == 2 and item.kind == LENGTH:
            values = list(protobuf.read(data, item.start, item.stop, limit))
    if name != PREDICTION_TOKENS:
        return before
    if not values or values[-1].number != _TRUTH or values[-1].kind != VARINT:
        raise OipError(f"parameters.{PREDICTION_TOKENS} has to be true or false")
    return values[-1].value != 0


def parameter(name: str, value: bytes) -> bytes:
    """A text among the parameters of a ModelInferResponse."""
    return protobuf.blob(4, protobuf.string(1, name) + protobuf.blob(2, protobuf.blob(3, value)))


def tensor_fields(data: bytes, where: Field, limit: FieldLimit) -> InputFields:
    """An input tensor, or an output tensor, which is built alike."""
    found = InputFields()
    for item in protobuf.read(data, where.start, where.stop, limit):
        if item.number == 3:
            found.shape += _int64s(data, item)
            if len(found.shape) > MAX_DIMENSIONS:
                raise OipError(f"a shape may have at most {MAX_DIMENSIONS} dimensions")
        elif item.kind != LENGTH:
            continue
        elif item.number == 1:
            found.name = protobuf.text(data, item)
        elif item.number == 2:
            found.datatype = protobuf.text(data, item)
        elif item.number == 5:
            found.typed = True
            found.contents += protobuf.read(data, item.start, item.stop, limit)
    return found


def _int64s(data: bytes, item: Field) -> list[int]:
    if item.kind == VARINT:
        return [item.value - (item.value >> 63 << 64)]
    if item.kind != LENGTH:
        return []
    if item.stop - item.start > 10 * MAX_DIMENSIONS:
        raise OipError(f"a shape may have at most {MAX_DIMENSIONS} dimensions")
    return [int(number) for number in protobuf.varints(data, item.start, item.stop).astype("i8")]


def _name(data: bytes, where: Field, limit: FieldLimit) -> str:
    """Field 1 of a message."""
    names = [
        protobuf.text(data, item)
        for item in protobuf.read(data, where.start, where.stop, limit)
        if item.number == 1 and item.kind == LENGTH
    ]
    return names[-1] if names else ""


def texts(data: bytes, *numbers: int) -> list[str]:
    """String fields of a message that has no others of interest; OipError if the bytes are no message."""
    found = dict.fromkeys(numbers, "")
    try:
        for item in protobuf.read(data, 0, len(data)):
            if item.kind == LENGTH and item.number in found:
                found[item.number] = protobuf.text(data, item)
    except WireError as error:
        raise OipError(f"the message cannot be read: {error}") from None
    return list(found.values())


def flag(*, value: bool) -> bytes:
    """ServerLiveResponse, ServerReadyResponse, ModelReadyResponse."""
    return protobuf.truth(1, value=value)


def server_metadata(name: str, version: str, extensions: Iterable[str]) -> bytes:
    """ServerMetadataResponse."""
    return b"".join(
        (
            protobuf.string(1, name),
            protobuf.string(2, version),
            *(protobuf.string(3, extension) for extension in extensions),
        )
    )


def model_metadata(name: str, version: str, platform: str, signature: Signature) -> bytes:
    """ModelMetadataResponse, without its field 6: what that is differs between the clients in use."""
    return b"".join(
        (
            protobuf.string(1, name),
            protobuf.string(2, version),
            protobuf.string(3, platform),
            *(protobuf.blob(4, tensor(spec, spec.shape)) for spec in signature.inputs),
            *(protobuf.blob(5, tensor(spec, spec.shape)) for spec in signature.outputs),
        )
    )


def tensor(spec: TensorSpec, shape: tuple[int, ...]) -> bytes:
    """TensorMetadata, or an InferOutputTensor without contents."""
    return protobuf.string(1, spec.name) + protobuf.string(2, spec.datatype) + protobuf.numbers(3, shape)
