"""MLServer's side of a call: its types, codecs and converters, its gRPC stub, and its `mlserver infer`."""

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import IsolatedAsyncioTestCase, TestCase

import aiohttp
import grpc
import numpy as np
import pandas as pd
from mlserver.codecs import NumpyCodec, PandasCodec, StringCodec
from mlserver.grpc import converters
from mlserver.grpc import dataplane_pb2 as pb
from mlserver.grpc.dataplane_pb2_grpc import GRPCInferenceServiceStub
from mlserver.types import (
    InferenceRequest,
    InferenceResponse,
    MetadataModelResponse,
    MetadataServerResponse,
    RequestOutput,
)

from clients.scripts.served import ALL, Model, contains, datatype, served

SECONDS = 60


def request(model: Model, *, use_bytes: bool = False, **more: Any) -> Any:
    """Every input as its codec writes it; texts are bytes for gRPC, which has no others."""
    inputs = [_input(name, array, use_bytes=use_bytes) for name, array in model.inputs.items()]
    return InferenceRequest(inputs=inputs, **more)


def _input(name: str, array: np.ndarray[Any, Any], *, use_bytes: bool) -> Any:
    if array.dtype != object:
        return NumpyCodec.encode_input(name, array)
    encoded = StringCodec.encode_input(name, array.ravel().tolist(), use_bytes=use_bytes)
    return encoded.model_copy(update={"shape": list(array.shape)})


def arrays(answer: Any) -> dict[str, Any]:
    """Every output as its codec reads it."""
    return {output.name: _output(output) for output in answer.outputs}


def _output(output: Any) -> np.ndarray[Any, Any]:
    if output.datatype != "BYTES":
        return np.asarray(NumpyCodec.decode_output(output))
    return np.array(StringCodec.decode_output(output), object).reshape(output.shape)


class Rest(IsolatedAsyncioTestCase):
    async def post(self, model: Model, content: Any) -> Any:
        url = f"http://{model.http}/v2/models/{model.name}/infer"
        headers = {"Content-Type": "application/json"}
        body = content.model_dump_json().encode()
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=body, headers=headers) as answer,
        ):
            return InferenceResponse.model_validate_json(await answer.read())

    async def get(self, model: Model, path: str) -> bytes:
        async with aiohttp.ClientSession() as session, session.get(f"http://{model.http}{path}") as answer:
            return await answer.read()

    async def test_predictions_are_the_models(self) -> None:
        for model in map(served, ALL):
            answer = await self.post(model, request(model, id="mine ☃"))
            np.testing.assert_equal((answer.id, answer.model_name), ("mine ☃", model.name))
            model.compare(arrays(answer))

    async def test_a_data_frame_goes_and_comes(self) -> None:
        model = served("columns")
        # Without its type pandas would make texts of its own kind, which the codec does not know.
        columns = {name: pd.Series(a.ravel(), dtype=a.dtype) for name, a in model.inputs.items()}
        frame = pd.DataFrame(columns)
        encoded = PandasCodec.encode_request(frame, use_bytes=False)
        answer = await self.post(model, encoded)
        model.compare(arrays(answer))
        encoded.outputs = [RequestOutput(name="label")]
        decoded = PandasCodec.decode_response(await self.post(model, encoded))
        model.compare({"label": decoded["label"].to_numpy(object)}, ["label"])

    async def test_the_metadata_is_of_its_types(self) -> None:
        for model in map(served, ALL):
            server = MetadataServerResponse.model_validate_json(await self.get(model, "/v2"))
            np.testing.assert_equal(server.name, "modelwright-serving")
            found = MetadataModelResponse.model_validate_json(
                await self.get(model, f"/v2/models/{model.name}")
            )
            types = {tensor.name: tensor.datatype for tensor in found.inputs}
            np.testing.assert_equal(types, {name: datatype(array) for name, array in model.inputs.items()})


class Rpc(TestCase):
    def stub_of(self, model: Model) -> Any:
        channel = grpc.insecure_channel(model.grpc)
        self.addCleanup(channel.close)
        return GRPCInferenceServiceStub(channel)

    def test_predictions_are_the_models_whether_contents_are_typed_or_raw(self) -> None:
        for model in map(served, ALL):
            typed = "FP16" not in map(datatype, model.inputs.values())
            for raw in (True, False) if typed else (True,):
                message = converters.ModelInferRequestConverter.from_types(
                    request(model, use_bytes=True, id="mine ☃"), model.name, model.version, use_raw=raw
                )
                answer = converters.ModelInferResponseConverter.to_types(
                    self.stub_of(model).ModelInfer(message)
                )
                np.testing.assert_equal((answer.id, answer.model_version), ("mine ☃", model.version))
                model.compare(arrays(answer))

    def test_outputs_may_be_asked_for(self) -> None:
        model = served("matrix")
        wanted = request(model, outputs=[RequestOutput(name="label")])
        message = converters.ModelInferRequestConverter.from_types(wanted, model.name)
        answer = converters.ModelInferResponseConverter.to_types(self.stub_of(model).ModelInfer(message))
        model.compare(arrays(answer), ["label"])

    def test_the_metadata_is_of_its_types(self) -> None:
        model = served("columns")
        stub = self.stub_of(model)
        np.testing.assert_equal(stub.ServerReady(pb.ServerReadyRequest()).ready, True)
        np.testing.assert_equal(stub.ModelReady(pb.ModelReadyRequest(name=model.name)).ready, True)
        server = converters.ServerMetadataResponseConverter.to_types(
            stub.ServerMetadata(pb.ServerMetadataRequest())
        )
        np.testing.assert_equal(server.name, "modelwright-serving")
        found = converters.ModelMetadataResponseConverter.to_types(
            stub.ModelMetadata(pb.ModelMetadataRequest(name=model.name))
        )
        np.testing.assert_equal([tensor.name for tensor in found.inputs], [*model.inputs])
        np.testing.assert_equal([tensor.name for tensor in found.outputs], [*model.outputs])


class CommandLine(IsolatedAsyncioTestCase):
    """`mlserver infer` sends a file of requests, several in one where it is told to."""

    async def infer(self, model: Model, requests: list[Any], *options: str) -> list[Any]:
        with tempfile.TemporaryDirectory() as folder:
            asked, answered = Path(folder, "requests"), Path(folder, "answers")
            _write(asked, requests)
            process = await asyncio.create_subprocess_exec(
                *(str(Path(sys.executable).with_name("mlserver")), "infer", "--url", model.http),
                *("--model-name", model.name, "--input-data-path", str(asked)),
                *("--output-data-path", str(answered), "--workers", "3", "--retries", "1", *options),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            said, _ = await asyncio.wait_for(process.communicate(), SECONDS)
            np.testing.assert_equal(process.returncode, 0, said.decode())
            return _read(answered)

    async def test_every_request_of_a_file_is_answered(self) -> None:
        for which, *options in (
            ("matrix", "--binary-data"),
            ("columns", "--batch-size", "4"),
            ("columns", "--batch-size", "4", "--binary-data"),
        ):
            model = served(which)
            found = await self.infer(model, [request(model) for _ in range(6)], *options)
            np.testing.assert_equal([answer.get("error") for answer in found], [None] * 6)
            for answer in found:
                model.compare(_flat_labels(arrays(InferenceResponse.model_validate(answer))))

    async def test_mistakes_are_named(self) -> None:
        model = served("matrix")
        wrong = request(model, outputs=[RequestOutput(name="nothing")])
        (found,) = await self.infer(model, [wrong])
        contains(found["error"]["msg"], "'nothing'")


def _flat_labels(found: dict[str, Any]) -> dict[str, Any]:
    """The program gives every output two dimensions."""
    return found | {"label": found["label"].ravel()}


def _write(path: Path, requests: list[Any]) -> None:
    lines = [each.model_dump_json(exclude_none=True) for each in requests]
    path.write_text("\n".join(lines), encoding="utf-8")


def _read(path: Path) -> list[Any]:
    """The answers in the order of their requests."""
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return sorted(found, key=lambda answer: answer["parameters"]["batch_index"])
