"""What callers get over gRPC, for every form of request that the protocol allows and for every mistake."""

import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from tritonclient.grpc import service_pb2 as pb
from unit.serving import models
from unit.serving.grpc_caller import HEALTH, SERVICE, Caller, Code, caller, raw, typed
from unit.serving.harness import NAME, PATIENCE, Served, serving

from modelwright_serving.oip.signature import NUMPY_TYPES
from modelwright_serving.runtime import open_session

FIELDS = {
    "BOOL": "bool",
    "INT64": "int64",
    "UINT64": "uint64",
    "FP32": "fp32",
    "FP64": "fp64",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int"),
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint"),
}


@pytest.fixture(scope="module")
def calls(server: Served) -> Iterator[Caller]:
    with caller(server.grpc_port) as found:
        yield found


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    """A model that gives back what it takes, in each datatype."""
    path = tmp_path_factory.mktemp("kinds") / "model.onnx"
    path.write_bytes(models.every_datatype())
    with serving(path, "--max-rows", "60000") as server, caller(server.wait_ready().grpc_port) as found:
        yield found


def test_answers_are_those_of_onnx_runtime(calls: Caller, cancer: models.Cancer) -> None:
    rows = cancer.rows[:50]
    labels, probabilities = open_session(cancer.content).run(None, {"X": rows})
    reply = calls.infer(raw(rows))
    assert reply.output("label").tolist() == labels.tolist()
    np.testing.assert_allclose(reply.output("probabilities"), probabilities, rtol=0, atol=1e-6)


def test_typed_contents_give_the_same_as_raw_ones(calls: Caller, cancer: models.Cancer) -> None:
    rows = cancer.rows[:3]
    values = typed("X", "FP32", rows.shape, fp32_contents=rows.ravel())
    reply = calls.infer(pb.ModelInferRequest(model_name=NAME, inputs=[values]))
    assert reply.message == calls.infer(raw(rows)).message


def test_answers_stay_right_while_requests_alternate(calls: Caller, cancer: models.Cancer) -> None:
    """Requests of equal length that mean different things must not be taken for each other."""
    rows = cancer.rows
    expected = calls.infer(raw(rows[:20])).output("probabilities")
    for index in range(20):
        row = rows[index : index + 1]
        typed_row = pb.ModelInferRequest(
            model_name=NAME, inputs=[typed("X", "FP32", row.shape, fp32_contents=row.ravel())]
        )
        for request in (raw(row), raw(row, id=f"id-{index:03}"), typed_row, raw(row, id="a" * 6)):
            reply = calls.infer(request)
            np.testing.assert_allclose(reply.output("probabilities")[0], expected[index], atol=1e-6)
            assert reply.response.id == request.id
        wanted = [pb.ModelInferRequest.InferRequestedOutputTensor(name="label")]
        assert [output.name for output in calls.infer(raw(row, outputs=wanted)).response.outputs] == ["label"]
        assert calls.infer(raw(row, model_name="CHURN")).code is Code.NOT_FOUND


def test_an_answer_names_model_version_and_digest(calls: Caller, cancer: models.Cancer) -> None:
    reply = calls.infer(raw(cancer.rows[:1], model_version="7"))
    assert (reply.response.model_name, reply.response.model_version) == ("churn", "7")
    assert reply.headers["modelwright-model-digest"] == f"sha256:{hashlib.sha256(cancer.content).hexdigest()}"


def test_only_the_outputs_that_are_asked_for_come_back_in_that_order(
    calls: Caller, cancer: models.Cancer
) -> None:
    names = ["probabilities", "label"]
    wanted = [pb.ModelInferRequest.InferRequestedOutputTensor(name=name) for name in names]
    reply = calls.infer(raw(cancer.rows[:2], outputs=wanted))
    assert [output.name for output in reply.response.outputs] == names
    assert reply.output("probabilities").shape == (2, 2)
    assert reply.output("label").shape == (2,)


def test_unknown_parameters_are_ignored(calls: Caller, cancer: models.Cancer) -> None:
    request = raw(cancer.rows[:1])
    request.parameters["priority"].int64_param = 3
    request.inputs[0].parameters["unit"].string_param = "mm"
    assert calls.infer(request).code is Code.OK


def test_a_message_larger_than_every_window_passes_both_ways(kinds: Caller) -> None:
    rng = np.random.default_rng(0)
    values = {kind: _values(kind, (60_000, 2), rng) for kind in NUMPY_TYPES}
    request = _request(values)
    assert request.ByteSize() > 4 * 2**20
    reply = kinds.infer(request)
    for kind, value in values.items():
        np.testing.assert_array_equal(reply.output(f"out_{_onnx(kind)}"), value)


def test_every_datatype_comes_back_as_it_went(kinds: Caller) -> None:
    rng = np.random.default_rng(1)
    for rows in (1, 3, 3, 200):
        values = {kind: _values(kind, (rows, 2), rng) for kind in NUMPY_TYPES}
        reply = kinds.infer(_request(values))
        for kind, value in values.items():
            np.testing.assert_array_equal(reply.output(f"out_{_onnx(kind)}"), value)


def test_half_precision_has_no_typed_contents(kinds: Caller) -> None:
    inputs = [_typed(kind, np.zeros((1, 2), NUMPY_TYPES[kind])) for kind in NUMPY_TYPES if kind[:2] != "BY"]
    inputs.append(typed("in_STRING", "BYTES", (1, 2), bytes_contents=[b"a", b"b"]))
    reply = kinds.infer(pb.ModelInferRequest(model_name=NAME, inputs=inputs))
    assert (reply.code, reply.details) == (
        Code.INVALID_ARGUMENT,
        "inputs[9] (in_FLOAT16): FP16 has no typed contents; send it in raw_input_contents",
    )


def test_server_and_model_describe_themselves(calls: Caller) -> None:
    server = pb.ServerMetadataResponse.FromString(calls.call("ServerMetadata").message)
    assert (server.name, server.version != "") == ("modelwright-serving", True)
    content = calls.call("ModelMetadata", pb.ModelMetadataRequest(name=NAME, version="7")).message
    model = pb.ModelMetadataResponse.FromString(content)
    assert (model.name, list(model.versions), model.platform) == (NAME, ["7"], "onnx_onnxv1")
    assert [(t.name, t.datatype, list(t.shape)) for t in model.inputs] == [("X", "FP32", [-1, 30])]
    assert [(t.name, list(t.shape)) for t in model.outputs] == [("label", [-1]), ("probabilities", [-1, 2])]
    assert model.SerializeToString(deterministic=True) == content


def test_server_and_model_are_live_and_ready(calls: Caller) -> None:
    for method, message in (("ServerLive", b""), ("ServerReady", b"")):
        assert calls.call(method, message).message == b"\x08\x01"
    for version in ("", "7"):
        request = pb.ModelReadyRequest(name=NAME, version=version)
        assert calls.call("ModelReady", request).message == b"\x08\x01"


@pytest.mark.parametrize("method", ["ModelReady", "ModelMetadata", "ModelInfer"])
def test_unknown_models_and_versions_are_not_found(calls: Caller, method: str) -> None:
    for name, version, said in (("other", "", "unknown model 'other'"), (NAME, "8", "unknown version '8'")):
        request: Any
        if method == "ModelInfer":
            request = pb.ModelInferRequest(model_name=name, model_version=version)
        else:
            request = pb.ModelReadyRequest(name=name, version=version)
        reply = calls.call(method, request)
        assert reply.code is Code.NOT_FOUND
        assert said in reply.details
        assert "churn" in reply.details


def _mistakes(row: Any) -> list[tuple[Any, str]]:
    given = pb.ModelInferRequest.InferInputTensor
    contents = pb.InferTensorContents(fp32_contents=row.ravel())
    both = raw(row)
    both.inputs[0].contents.CopyFrom(contents)
    wanted = pb.ModelInferRequest.InferRequestedOutputTensor(name="nothing")
    return [
        (both, "either raw_input_contents or typed contents, never both"),
        (raw(row, raw_input_contents=[]), "contents hold 0 elements, but shape [1, 30] needs 30"),
        (
            raw(row, raw_input_contents=[row.tobytes()] * 2),
            "raw_input_contents has 2 entries, but the request has 1",
        ),
        (raw(row, raw_input_contents=[row.tobytes()[:-1]]), "inputs[0] (X): 119 bytes of binary data"),
        (raw(row, inputs=[]), "raw_input_contents has 1 entries, but the request has 0 inputs"),
        (raw(row, inputs=[], raw_input_contents=[]), "the model also needs 'X'"),
        (raw(row, name="Y"), "inputs[0]: the model has no input 'Y'; it has 'X'"),
        (raw(row, outputs=[wanted]), "outputs[0]: the model has no output 'nothing'"),
        (raw(row, inputs=[given(name="X", datatype="FP64", shape=[1, 30])]), "datatype is 'FP64'"),
        (raw(row, inputs=[given(name="X", datatype="FP32", shape=[1, 29])]), "shape is [1, 29]"),
        (raw(row, inputs=[given(name="X", datatype="FP32", shape=[-1, 30])]), "shape is [-1, 30]"),
        (
            pb.ModelInferRequest(
                model_name=NAME, inputs=[typed("X", "FP32", [1, 30], int64_contents=range(30))]
            ),
            "FP32 belongs in contents.fp32_contents, not in int64_contents",
        ),
        (b"\xff\xff\xff", "the message is no ModelInferRequest"),
    ]


@pytest.mark.parametrize("index", range(13))
def test_a_mistake_is_named(calls: Caller, cancer: models.Cancer, index: int) -> None:
    request, said = _mistakes(cancer.rows[:1])[index]
    reply = calls.infer(request)
    assert reply.code is Code.INVALID_ARGUMENT
    assert said in reply.details


def test_no_mistake_is_left_out(cancer: models.Cancer) -> None:
    assert len(_mistakes(cancer.rows[:1])) == 13


def test_unknown_methods_and_services_are_unimplemented(calls: Caller) -> None:
    for method, service in (
        ("ModelStreamInfer", "inference.GRPCInferenceService"),
        ("Check", "other.Service"),
    ):
        reply = calls.call(method, service=service)
        assert (reply.code, reply.details) == (
            Code.UNIMPLEMENTED,
            f"there is no method /{service}/{method}",
        )


def test_a_stream_that_nobody_takes_is_refused_while_its_caller_still_writes(server: Served) -> None:
    ended = threading.Event()

    def requests() -> Iterator[bytes]:
        yield b""
        ended.wait(PATIENCE)

    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        call: Any = channel.stream_stream(f"/{SERVICE}/ModelStreamInfer")
        answers = call(requests(), timeout=PATIENCE)
        with pytest.raises(grpc.RpcError) as raised:
            next(answers)
        ended.set()
    assert raised.value.code() is Code.UNIMPLEMENTED


def test_a_message_that_is_not_ascii_survives_percent_encoding(calls: Caller) -> None:
    reply = calls.call("ModelReady", pb.ModelReadyRequest(name="50% ☃"))
    assert "unknown model '50% ☃'" in reply.details


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_compressed_requests_are_answered(calls: Caller, cancer: models.Cancer, compression: Any) -> None:
    rows = cancer.rows[:50]
    assert calls.infer(raw(rows), compression=compression).message == calls.infer(raw(rows)).message


def test_health_answers_for_the_server_and_the_service(calls: Caller) -> None:
    for service in ("", "inference.GRPCInferenceService"):
        name = service.encode()
        request = b"\x0a" + bytes((len(name),)) + name if name else b""
        assert calls.call("Check", request, service=HEALTH).message == b"\x08\x01"
    reply = calls.call("Check", b"\x0a\x04nope", service=HEALTH)
    assert (reply.code, reply.details) == (Code.NOT_FOUND, "unknown service 'nope'")


def test_inferences_are_counted_by_their_status(calls: Caller, server: Served, cancer: models.Cancer) -> None:
    def count(code: str) -> float:
        return server.metric(
            f'modelwright_requests_total{{code="{code}",model="churn",protocol="grpc",version="7"}}'
        )

    before = count("OK"), count("NOT_FOUND")
    calls.infer(raw(cancer.rows[:1]))
    calls.infer(raw(cancer.rows[:1], model_name="other"))
    assert (count("OK"), count("NOT_FOUND")) == (before[0] + 1, before[1] + 1)
    assert server.metric('modelwright_requests_in_flight{model="churn",protocol="grpc"') == 0


def test_a_model_that_is_loading_is_not_ready_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    os.mkfifo(path)
    with serving(path) as server, caller(server.grpc_port) as calls:
        assert calls.call("ServerLive").message == b"\x08\x01"
        assert calls.call("ServerReady").message == b""
        assert calls.call("Check", service=HEALTH).message == b"\x08\x02"
        for method in ("ModelInfer", "ModelMetadata"):
            reply = calls.call(method, pb.ModelReadyRequest(name=NAME))
            assert (reply.code, "still being loaded" in reply.details) == (Code.UNAVAILABLE, True)


def _onnx(kind: str) -> str:
    return {"FP16": "FLOAT16", "FP32": "FLOAT", "FP64": "DOUBLE", "BYTES": "STRING"}.get(kind, kind)


def _values(kind: str, shape: tuple[int, int], rng: np.random.Generator) -> Any:
    dtype = NUMPY_TYPES[kind]
    if kind == "BYTES":
        return np.array([f"text {number} ☃" for number in rng.integers(0, 10**9, shape).ravel()]).reshape(
            shape
        )
    if kind == "BOOL":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    bounds = np.iinfo(np.dtype(kind.lower()))
    return rng.integers(bounds.min, bounds.max, shape, dtype=kind.lower(), endpoint=True)


def _request(values: dict[str, Any]) -> Any:
    inputs = [
        pb.ModelInferRequest.InferInputTensor(name=f"in_{_onnx(kind)}", datatype=kind, shape=value.shape)
        for kind, value in values.items()
    ]
    raws = [_bytes(value) for value in values.values()]
    return pb.ModelInferRequest(model_name=NAME, inputs=inputs, raw_input_contents=raws)


def _bytes(value: Any) -> bytes:
    if value.dtype.kind != "U":
        return bytes(value.tobytes())
    texts = [text.encode() for text in value.ravel()]
    return b"".join(len(text).to_bytes(4, "little") + text for text in texts)


def _typed(kind: str, value: Any) -> Any:
    field = FIELDS.get(kind, "fp32")
    return typed(f"in_{_onnx(kind)}", kind, value.shape, **{f"{field}_contents": value.ravel().tolist()})
