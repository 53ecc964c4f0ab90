"""What is large is refused before it is built, or handled beside the event loop; others do not notice."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from onnx import helper
from unit.serving import models
from unit.serving.conftest import ModelFile
from unit.serving.grpc_caller import Code, caller, raw
from unit.serving.harness import NAME, REFUSED, Served, matrix, serving

from modelwright_serving.limits import LARGE
from modelwright_serving.oip import request
from modelwright_serving.oip.answer import Answer, RunOutputs
from modelwright_serving.oip.errors import CostlyError
from modelwright_serving.oip.signature import Signature, TensorSpec

MIB = 1024**2
RUNS = "modelwright_batch_rows_count"
PLANS = Signature(
    tuple(TensorSpec(f"f{index}", "FP32", (-1,)) for index in range(100)), (TensorSpec("y", "FP32", (-1,)),)
)


@pytest.fixture(scope="module")
def large(cancer: models.Cancer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = tmp_path_factory.mktemp("large") / "model.onnx"
    path.write_bytes(cancer.content)
    with serving(path) as served:
        yield served.wait_ready()


def wide(width: int | None) -> bytes:
    """Answers each row with 20,000 numbers."""
    weights = helper.make_tensor("w", models.FLOAT, [2, 20_000], np.ones(40_000, np.float32))
    y = helper.make_tensor_value_info("y", models.FLOAT, ["rows", width])
    return models.model([helper.make_node("MatMul", ["x", "w"], ["y"])], [models.matrix("x")], [y], [weights])


def peak(server: Served) -> int:
    """The most bytes that the server has ever had resident."""
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"ignored": [%b], "inputs": []}' % (b"[]," * 5_500_000)[:-1], id="lists"),
        pytest.param(b'{"ignored": [%b], "inputs": []}' % (b'{"":0},' * 2_300_000)[:-1], id="objects"),
        pytest.param(b'{"records": [%b]}' % (b"{}," * 5_000_000)[:-1], id="records"),
        pytest.param(b'{"inputs": [{"data": [%b]}]}' % (b"0," * 8_000_000)[:-1], id="numbers"),
        pytest.param(b'{"inputs": [{"data": [%b]}]}' % (b'"",' * 5_000_000)[:-1], id="strings"),
        pytest.param(b'{"parameters": {%b}}' % b",".join(b'"%x":0' % i for i in range(1_500_000)), id="keys"),
    ],
)
def test_a_document_of_many_values_is_refused_before_it_is_decoded(large: Served, body: bytes) -> None:
    before, refused = peak(large), large.metric(REFUSED % "DocumentSize")
    reply = large.infer(body)
    assert (reply.status, "send fewer rows, or binary data" in reply.error) == (413, True)
    assert large.metric(REFUSED % "DocumentSize") == refused + 1
    assert peak(large) - before < 64 * MIB


def test_nesting_without_end_is_refused(large: Served) -> None:
    reply = large.infer(b'{"inputs":' + b"[" * 600_000)
    assert (reply.status, "not JSON" in reply.error) == (400, True)


def test_a_large_request_is_answered_like_small_ones(large: Served, cancer: models.Cancer) -> None:
    rows = np.resize(cancer.rows, (8000, cancer.features))
    assert len(json.dumps(matrix(rows))) > 10 * LARGE
    whole = large.infer(matrix(rows))
    few = large.infer(matrix(rows[:3]))
    assert whole.output("label").tolist()[:3] == few.output("label").tolist()
    np.testing.assert_allclose(whole.output("probabilities")[:3], few.output("probabilities"), atol=1e-6)
    with caller(large.grpc_port) as calls:
        np.testing.assert_allclose(
            calls.infer(raw(rows)).output("probabilities"), whole.output("probabilities"), atol=1e-6
        )


def test_a_request_of_too_many_rows_is_refused_in_every_form(model_file: ModelFile) -> None:
    with serving(model_file(models.every_datatype()), "--max-rows", "2") as server:
        server.wait_ready()
        reply = server.infer(
            {"inputs": [{"name": "in_BOOL", "datatype": "BOOL", "shape": [3, 2], "data": [True] * 6}]}
        )
        assert reply.status == 413
        assert reply.error == "inputs[0] (in_BOOL): 3 rows are too many for one request; send at most 2"
        assert server.get(f"/v2/models/{NAME}/config").document["max_batch_size"] == 2
    with serving(model_file(models.slow(1)), "--max-rows", "2") as server:
        server.wait_ready()
        rows = np.zeros((3, 2), np.float32)
        assert server.infer(rows.tobytes(), Inference_Header_Content_Length="0").status == 413
        with caller(server.grpc_port) as calls:
            assert calls.infer(raw(rows, "x")).code is Code.RESOURCE_EXHAUSTED
            assert calls.infer(raw(rows[:2], "x")).code is Code.OK
        assert server.metric(REFUSED % "Rows") == 2


def test_an_answer_that_would_be_too_large_is_refused_before_the_run(model_file: ModelFile) -> None:
    with serving(model_file(wide(20_000))) as server:
        server.wait_ready()
        runs = server.metric(RUNS)
        rows = np.zeros((300, 2), np.float32)
        reply = server.infer(matrix(rows, "x"))
        assert (reply.status, "ask for binary data" in reply.error) == (413, True)
        assert (server.metric(RUNS), server.metric(REFUSED % "AnswerSize")) == (runs, 1)
        binary = server.infer(matrix(rows, "x", parameters={"binary_data_output": True}))
        assert (binary.status, len(binary.body) > 4 * rows.shape[0] * 20_000) == (200, True)


def test_an_answer_that_its_address_has_no_memory_for_is_refused(model_file: ModelFile) -> None:
    """Many addresses that leave one large answer unread each would hold more than the server has."""
    limits = ("--max-body-bytes", "1000000", "--memory-bytes", "8000000")
    request = matrix(np.zeros((60, 2), np.float32), "x", parameters={"binary_data_output": True})
    with serving(model_file(wide(20_000)), *limits) as server:
        server.wait_ready()
        refused = server.infer(request)
        assert (refused.status, "holds too much" in refused.error) == (503, True)
        request["inputs"][0] = matrix(np.zeros((40, 2), np.float32), "x")["inputs"][0]
        assert server.infer(request).status == 200


def test_an_answer_whose_size_only_the_run_shows_is_refused_after_it(model_file: ModelFile) -> None:
    with serving(model_file(wide(None))) as server:
        server.wait_ready()
        assert server.infer(matrix(np.zeros((500, 2), np.float32), "x")).status == 413
        assert server.infer(matrix(np.zeros((50, 2), np.float32), "x")).status == 200
        assert server.metric(REFUSED % "AnswerSize") == 1


@pytest.mark.parametrize(
    ("signature", "body"),
    [
        pytest.param(PLANS, b"[" + b" " * LARGE + b"]", id="bytes"),
        pytest.param(PLANS, b'{"records": [%b]}' % b",".join([b"{}"] * 700), id="features that are missing"),
    ],
)
def test_what_takes_long_to_decode_is_left_to_the_worker(signature: Signature, body: bytes) -> None:
    with pytest.raises(CostlyError):
        request.decode(signature, body, at_once=True)


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 200_000])
def test_an_answer_is_written_in_portions(size: int) -> None:
    numbers = np.arange(size, dtype=np.float32) / 3
    words = np.array([str(index) for index in range(size)], np.object_)
    outputs = RunOutputs([numbers, words], by_row=True)
    assert b"[%b]" % outputs.json(0, 0, size) == orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY)
    assert b"[%b]" % outputs.json(1, 0, size) == orjson.dumps(words.tolist())
    assert Answer(outputs, 0, size).size(((0, False), (1, True))) >= len(outputs.json(0, 0, size))


def test_queue_and_compute_times_are_told(large: Served, cancer: models.Cancer) -> None:
    def stages() -> dict[str, Any]:
        (entry,) = large.get(f"/v2/models/{NAME}/stats").document["model_stats"]
        found: dict[str, Any] = entry["inference_stats"]
        return found

    before = stages()
    for size in (1, 8000):
        assert large.infer(matrix(np.resize(cancer.rows, (size, cancer.features)))).status == 200
    after = stages()
    for stage in ("queue", "compute_input", "compute_infer", "compute_output"):
        assert after[stage]["count"] == before[stage]["count"] + 2
        assert after[stage]["ns"] > before[stage]["ns"]
    for name, stage in (("queue", "queue"), ("run", "compute_infer")):
        assert large.metric(f"modelwright_{name}_duration_seconds_count") == after[stage]["count"]
    for name in ("decode", "encode"):
        assert large.metric(f"modelwright_{name}_seconds_total") > 0
