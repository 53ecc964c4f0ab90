"""The stub that is generated from the specification's Protocol Buffers: open-inference-grpc."""

from typing import Any
from unittest import TestCase

import grpc
import numpy as np
from conformance.contents import FIELDS
from open_inference.grpc import protocol as pb
from open_inference.grpc.service import GRPCInferenceServiceStub

from clients.scripts.served import ALL, Model, datatype, served


class Stub(TestCase):
    def stub_of(self, model: Model) -> Any:
        channel = grpc.insecure_channel(model.grpc)
        self.addCleanup(channel.close)
        return GRPCInferenceServiceStub(channel)

    def test_the_server_and_its_model_are_live_and_ready(self) -> None:
        model = served("matrix")
        stub = self.stub_of(model)
        np.testing.assert_equal(stub.ServerLive(pb.ServerLiveRequest()).live, True)
        np.testing.assert_equal(stub.ServerReady(pb.ServerReadyRequest()).ready, True)
        np.testing.assert_equal(stub.ModelReady(pb.ModelReadyRequest(name=model.name)).ready, True)

    def test_the_metadata_describes_server_and_model(self) -> None:
        server = self.stub_of(served("matrix")).ServerMetadata(pb.ServerMetadataRequest())
        np.testing.assert_equal(server.name, "modelwright-serving")
        for model in map(served, ALL):
            request = pb.ModelMetadataRequest(name=model.name, version=model.version)
            found = self.stub_of(model).ModelMetadata(request)
            types = {tensor.name: tensor.datatype for tensor in found.inputs}
            np.testing.assert_equal(types, {name: datatype(array) for name, array in model.inputs.items()})
            np.testing.assert_equal([output.name for output in found.outputs], [*model.outputs])

    def test_predictions_are_the_models_whether_contents_are_typed_or_raw(self) -> None:
        for model in map(served, ALL):
            typed = "FP16" not in map(datatype, model.inputs.values())
            for raw in (True, False) if typed else (True,):
                answer = self.stub_of(model).ModelInfer(_request(model, raw=raw))
                model.compare({output.name: _array(answer, n) for n, output in enumerate(answer.outputs)})

    def test_outputs_may_be_asked_for_and_the_id_comes_back(self) -> None:
        model = served("matrix")
        request = _request(model, raw=True)
        request.id = "mine ☃"
        request.outputs.add(name="probabilities")
        answer = self.stub_of(model).ModelInfer(request)
        np.testing.assert_equal(answer.id, "mine ☃")
        model.compare({"probabilities": _array(answer, 0)}, ["probabilities"])

    def test_calls_may_be_under_way_together(self) -> None:
        model = served("matrix")
        stub = self.stub_of(model)
        calls = [stub.ModelInfer.future(_request(model, raw=True)) for _ in range(50)]
        for call in calls:
            answer = call.result(timeout=20)
            model.compare({output.name: _array(answer, n) for n, output in enumerate(answer.outputs)})

    def test_mistakes_are_named(self) -> None:
        model = served("matrix")
        request = _request(model, raw=True)
        request.inputs[0].shape[0] += 1
        with self.assertRaises(grpc.RpcError) as raised:  # noqa: PT027
            self.stub_of(model).ModelInfer(request)
        np.testing.assert_equal(raised.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)


def _request(model: Model, *, raw: bool) -> Any:
    request = pb.ModelInferRequest(model_name=model.name, model_version=model.version)
    for name, array in model.inputs.items():
        tensor = request.inputs.add(name=name, datatype=datatype(array), shape=array.shape)
        if raw:
            request.raw_input_contents.append(_bytes(array))
        else:
            field = getattr(tensor.contents, FIELDS[tensor.datatype])
            field.extend(text.encode() if isinstance(text, str) else text for text in array.ravel().tolist())
    return request


def _bytes(array: np.ndarray[Any, Any]) -> bytes:
    if array.dtype != object:
        return array.tobytes()
    texts = [text.encode() for text in array.ravel().tolist()]
    return b"".join(len(text).to_bytes(4, "little") + text for text in texts)


def _array(answer: Any, position: int) -> np.ndarray[Any, Any]:
    """An output as the specification says it comes: all of them raw."""
    output, raw = answer.outputs[position], answer.raw_output_contents[position]
    kinds = {"BOOL": "?", "BYTES": "O", "FP16": "e", "FP32": "f", "FP64": "d"}
    if output.datatype == "BYTES":
        return np.array(_texts(raw), object).reshape(output.shape)
    kind = kinds.get(output.datatype) or output.datatype.lower()
    return np.frombuffer(raw, kind).reshape(output.shape)


def _texts(raw: bytes) -> list[str]:
    texts, position = [], 0
    while position < len(raw):
        start = position + 4
        position = start + int.from_bytes(raw[position:start], "little")
        texts.append(raw[start:position].decode())
    return texts
