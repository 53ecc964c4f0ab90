"""gRPC as its own Python library speaks it, with messages as bytes or as the protocol's own classes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt
from tritonclient.grpc import service_pb2 as pb
from unit.serving.harness import NAME, PATIENCE

SERVICE = "inference.GRPCInferenceService"
HEALTH = "grpc.health.v1.Health"
Code = grpc.StatusCode


@dataclass(frozen=True)
class Outcome:
    """How a call ended; `message` is empty unless it succeeded."""

    code: Any
    details: str
    message: bytes
    headers: dict[str, str]

    @property
    def response(self) -> Any:
        """The message of a successful inference."""
        assert self.code is Code.OK, self
        return pb.ModelInferResponse.FromString(self.message)

    def output(self, name: str) -> npt.NDArray[Any]:
        """One output of a successful inference."""
        response = self.response
        names = [output.name for output in response.outputs]
        assert len(names) == len(response.raw_output_contents)
        index = names.index(name)
        output, raw = response.outputs[index], response.raw_output_contents[index]
        assert not output.HasField("contents")
        if output.datatype == "BYTES":
            return np.array(_texts(raw)).reshape(output.shape)
        kind = {"FP16": "f2", "FP32": "f4", "FP64": "f8", "BOOL": "?"}.get(output.datatype)
        return np.frombuffer(raw, kind or output.datatype.lower()).reshape(output.shape)


class Caller:
    """Calls by name, on one connection."""

    def __init__(self, channel: Any) -> None:
        self.channel = channel

    def start(
        self,
        method: str,
        message: Any = b"",
        *,
        service: str = SERVICE,
        timeout: float = PATIENCE,
        compression: Any = None,
        metadata: Sequence[tuple[str, str]] = (),
    ) -> Any:
        """A call whose outcome is looked at later."""
        content = message if isinstance(message, bytes) else message.SerializeToString()
        call = self.channel.unary_unary(f"/{service}/{method}")
        return call.future(content, timeout=timeout, compression=compression, metadata=metadata)

    def call(self, method: str, message: Any = b"", **options: Any) -> Outcome:
        return outcome(self.start(method, message, **options))

    def infer(self, message: Any, **options: Any) -> Outcome:
        return self.call("ModelInfer", message, **options)


def outcome(call: Any) -> Outcome:
    """Wait for the end of a call that has been started."""
    code = call.code()
    headers = dict([*call.initial_metadata(), *call.trailing_metadata()])
    return Outcome(code, call.details(), call.result() if code is Code.OK else b"", headers)


@contextmanager
def caller(port: int) -> Iterator[Caller]:
    """A connection of its own."""
    options = [
        ("grpc.max_receive_message_length", -1),
        ("grpc.max_send_message_length", -1),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options) as channel:
        yield Caller(channel)


def raw(rows: npt.NDArray[Any], name: str = "X", **more: Any) -> Any:
    """An inference request for one matrix of 32-bit floats, as bytes."""
    tensor = pb.ModelInferRequest.InferInputTensor(name=name, datatype="FP32", shape=rows.shape)
    return pb.ModelInferRequest(
        **{"model_name": NAME, "inputs": [tensor], "raw_input_contents": [rows.tobytes()], **more}
    )


def typed(name: str, datatype: str, shape: Sequence[int], **contents: Any) -> Any:
    """One input with its contents in a field of their own type."""
    return pb.ModelInferRequest.InferInputTensor(
        name=name, datatype=datatype, shape=shape, contents=pb.InferTensorContents(**contents)
    )


def _texts(data: bytes) -> list[str]:
    texts, start = [], 0
    while start < len(data):
        stop = start + 4 + int.from_bytes(data[start : start + 4], "little")
        texts.append(data[start + 4 : stop].decode())
        start = stop
    return texts
