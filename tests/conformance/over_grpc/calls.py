"""One call at a time over a channel, and inference requests in protobuf, typed and raw."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any

import grpc
import numpy as np

from conformance.checks import Failed, expect, need, shown
from conformance.contents import FIELDS
from conformance.over_grpc.messages import SERVICE, message, message_class
from conformance.target import Target
from conformance.tensors import DATATYPES, Array, Spec, Tensor, from_bytes

SECONDS = 20.0
INFER = f"{SERVICE}/ModelInfer"
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
Code = grpc.StatusCode


class Client:
    """A channel to the server under test."""

    def __init__(self, target: Target) -> None:
        need(target.grpc, "no gRPC address was given")
        self.target = target
        self._channel = grpc.insecure_channel(str(target.grpc), options=UNLIMITED)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def method(self, path: str, response: str) -> Any:
        """A callable for one method; requests are messages, or bytes to be sent as they are."""
        return self._channel.unary_unary(
            path, request_serializer=_serialized, response_deserializer=message_class(response).FromString
        )

    def call(self, name: str, request: Any, **options: Any) -> Any:
        """The response to one call of the inference service; fails unless the status is OK."""
        try:
            return self.try_call(name, request, **options)
        except grpc.RpcError as error:
            raise Failed(f"{name}: {described(error)}") from None

    def try_call(self, name: str, request: Any, **options: Any) -> Any:
        return self.method(f"{SERVICE}/{name}", f"{name}Response")(request, timeout=SECONDS, **options)

    def refusal(self, name: str, request: Any) -> tuple[grpc.StatusCode, str]:
        """The status with which a call is refused; fails if it is not."""
        try:
            found = self.try_call(name, request)
        except grpc.RpcError as error:
            return code(error), str(error.details())
        raise Failed(f"{name} is answered: {shown(found)}")

    def infer(self, request: Any, **options: Any) -> dict[str, Array]:
        return read(self.call("ModelInfer", request, **options))


def _serialized(request: Any) -> bytes:
    return request if isinstance(request, bytes) else bytes(request.SerializeToString())


@contextmanager
def client(target: Target) -> Iterator[Client]:
    with Client(target) as found:
        yield found


def code(error: grpc.RpcError) -> grpc.StatusCode:
    found: grpc.StatusCode = error.code()
    return found


def described(error: grpc.RpcError) -> str:
    return f"status {code(error).name}: {shown(error.details())}"


def request(target: Target, **fields: Any) -> Any:
    return message("ModelInferRequest", model_name=target.model, **fields)


def raw(target: Target, tensors: Sequence[Tensor], **fields: Any) -> Any:
    """Everything in raw_input_contents."""
    found = request(target, **fields)
    for tensor in tensors:
        found.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        found.raw_input_contents.append(tensor.content())
    return found


def typed(target: Target, tensors: Sequence[Tensor], **fields: Any) -> Any:
    """Everything in the contents that fit each datatype."""
    need(all(tensor.datatype in FIELDS for tensor in tensors), "FP16 has no typed contents")
    found = request(target, **fields)
    for tensor in tensors:
        entry = found.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        getattr(entry.contents, FIELDS[tensor.datatype]).extend(tensor.values.ravel().tolist())
    return found


def read(response: Any) -> dict[str, Array]:
    """The outputs of a response, raw or typed; fails if it is not valid."""
    contents = list(response.raw_output_contents)
    expect(
        not contents or len(contents) == len(response.outputs),
        f"{len(contents)} raw contents for {len(response.outputs)} outputs",
    )
    outputs: dict[str, Array] = {}
    for position, entry in enumerate(response.outputs):
        spec = Spec(entry.name, entry.datatype, tuple(entry.shape))
        expect(all(size >= 0 for size in spec.shape), f"{spec.name} has shape {list(spec.shape)}")
        expect(entry.name not in outputs, f"output {entry.name} comes twice")
        outputs[entry.name] = (
            from_bytes(contents[position], spec.datatype, spec.shape)
            if contents
            else _typed(spec, entry.contents)
        )
    return outputs


def _typed(spec: Spec, contents: Any) -> Array:
    field = FIELDS.get(spec.datatype)
    if field is None:
        raise Failed(f"{spec.name} has datatype {spec.datatype!r} in typed contents")
    values = list(getattr(contents, field))
    size = prod(spec.shape)
    expect(len(values) == size, f"{len(values)} elements do not fill shape {list(spec.shape)} of {spec.name}")
    found = np.empty(size, dtype=DATATYPES[spec.datatype])
    found[:] = values
    return found.reshape(spec.shape)
