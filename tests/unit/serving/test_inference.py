"""What callers get for their rows, in every form the protocol allows."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from unit.serving import models
from unit.serving.harness import INFER, Served, matrix, serving

from modelwright_serving.oip.binary import from_bytes
from modelwright_serving.oip.signature import NUMPY_TYPES
from modelwright_serving.oip.tensors import unpack
from modelwright_serving.runtime import open_session


def test_answers_are_those_of_onnx_runtime(server: Served, cancer: models.Cancer) -> None:
    rows = cancer.rows[:50]
    labels, probabilities = open_session(cancer.content).run(None, {"X": rows})
    reply = server.infer(matrix(rows))
    assert reply.status == 200
    assert reply.output("label").tolist() == labels.tolist()
    np.testing.assert_allclose(reply.output("probabilities"), probabilities, rtol=0, atol=1e-6)


def test_each_row_alone_gets_what_it_gets_among_others(server: Served, cancer: models.Cancer) -> None:
    together = server.infer(matrix(cancer.rows[:5]))
    for index in range(5):
        alone = server.infer(matrix(cancer.rows[index : index + 1]))
        assert alone.output("label").tolist() == together.output("label")[index : index + 1].tolist()
        np.testing.assert_allclose(
            alone.output("probabilities")[0], together.output("probabilities")[index], atol=1e-6
        )


def test_an_answer_names_model_version_and_digest(server: Served, cancer: models.Cancer) -> None:
    reply = server.infer(matrix(cancer.rows[:1]))
    assert reply.document["model_name"] == "churn"
    assert reply.document["model_version"] == "7"
    digest = hashlib.sha256(cancer.content).hexdigest()
    assert reply.headers["modelwright-model-digest"] == f"sha256:{digest}"
    assert reply.headers["content-type"] == "application/json"


def test_the_id_comes_back_and_only_if_there_was_one(server: Served, cancer: models.Cancer) -> None:
    awkward = 'a "quoted" id \u2603'
    assert server.infer(matrix(cancer.rows[:1], id=awkward)).document["id"] == awkward
    assert "id" not in server.infer(matrix(cancer.rows[:1])).document


def test_nested_data_is_the_same_as_flat_data(server: Served, cancer: models.Cancer) -> None:
    flat = matrix(cancer.rows[:3])
    nested = matrix(cancer.rows[:3])
    nested["inputs"][0]["data"] = cancer.rows[:3].tolist()
    assert server.infer(nested).body == server.infer(flat).body


def test_whole_numbers_are_numbers_too(server: Served, cancer: models.Cancer) -> None:
    rows = np.arange(2 * cancer.features, dtype=np.float32).reshape(2, -1)
    whole = matrix(rows)
    whole["inputs"][0]["data"] = [int(value) for value in rows.ravel()]
    assert server.infer(whole).body == server.infer(matrix(rows)).body


def test_null_is_a_missing_number(server: Served, cancer: models.Cancer) -> None:
    rows = cancer.rows[:1].copy()
    rows[0, 3] = np.nan
    expected = open_session(cancer.content).run(None, {"X": rows})[1]
    request = matrix(cancer.rows[:1])
    request["inputs"][0]["data"][3] = None
    np.testing.assert_allclose(server.infer(request).output("probabilities"), expected, atol=1e-6)


def test_only_the_outputs_asked_for_come_back_in_the_order_asked(
    server: Served, cancer: models.Cancer
) -> None:
    def names(*asked: str) -> list[str]:
        wanted = [{"name": name} for name in asked]
        document = server.infer(matrix(cancer.rows[:1], outputs=wanted)).document
        return [output["name"] for output in document["outputs"]]

    assert names("probabilities") == ["probabilities"]
    assert names("probabilities", "label") == ["probabilities", "label"]


def test_unknown_fields_and_any_content_type_are_ignored(server: Served, cancer: models.Cancer) -> None:
    plain = matrix(cancer.rows[:1])
    busy = matrix(cancer.rows[:1], model_name="x", parameters={"priority": 3}, extra=[1])
    busy["inputs"][0]["parameters"] = {"content_type": "np"}
    assert server.infer(busy, content_type="text/plain").body == server.infer(plain).body


def test_no_rows_get_no_predictions(server: Served, cancer: models.Cancer) -> None:
    reply = server.infer(matrix(cancer.rows[:0]))
    assert reply.status == 200
    assert [output["data"] for output in reply.document["outputs"]] == [[], []]
    assert [output["shape"] for output in reply.document["outputs"]] == [[0], [0, 2]]


def test_the_version_may_stand_in_the_path(server: Served, cancer: models.Cancer) -> None:
    reply = server.call("POST", "/v2/models/churn/versions/7/infer", matrix(cancer.rows[:1]))
    assert reply.body == server.infer(matrix(cancer.rows[:1])).body


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A classifier that knows three plans and refuses every other; proven by its golden request."""
    content = models.plans()
    path = tmp_path_factory.mktemp("plans") / "model.onnx"
    path.write_bytes(content)
    path.with_name("golden.json").write_text(json.dumps(models.golden(content, PLANS)))
    with serving(path) as server:
        yield server.wait_ready()


PLANS = {
    "plan": np.array([["pro"], ["free"], ["team"]], dtype=object),
    "age": np.array([[41.0], [22.5], [30.0]], dtype=np.float32),
}


def _plan_request(plan: list[str], age: list[float]) -> dict[str, Any]:
    return {
        "inputs": [
            {"name": "age", "datatype": "FP32", "shape": [len(age), 1], "data": age},
            {"name": "plan", "datatype": "BYTES", "shape": [len(plan), 1], "data": plan},
        ]
    }


def test_columns_of_text_and_numbers(plans: Served) -> None:
    labels, probabilities = open_session(models.plans()).run(None, PLANS)
    reply = plans.infer(_plan_request(["pro", "free", "team"], [41.0, 22.5, 30.0]))
    assert reply.output("label").tolist() == labels.tolist()
    np.testing.assert_allclose(reply.output("probabilities"), probabilities, atol=1e-6)


def test_a_category_that_the_model_never_saw_is_the_callers_error(plans: Served) -> None:
    reply = plans.infer(_plan_request(["gold"], [30.0]))
    assert reply.status == 400
    assert "Unknown Category" in reply.error


def test_columns_of_different_lengths_are_the_callers_error(plans: Served) -> None:
    reply = plans.infer(_plan_request(["pro", "pro"], [30.0]))
    assert reply.status == 400
    assert "'age' has 1 rows, but input 'plan' has 2" in reply.error


EVERY_VALUE = {
    "BOOL": [True, False],
    "UINT8": [0, 255],
    "UINT16": [0, 65535],
    "UINT32": [0, 2**32 - 1],
    "UINT64": [0, 2**64 - 1],
    "INT8": [-128, 127],
    "INT16": [-(2**15), 2**15 - 1],
    "INT32": [-(2**31), 2**31 - 1],
    "INT64": [-(2**63), 2**63 - 1],
    "FP16": [0.5, None],
    "FP32": [1.5, None],
    "FP64": [0.1, None],
    "BYTES": ["", 'q"],[\u2603\n'],
}
ONNX_NAMES = {"FP16": "FLOAT16", "FP32": "FLOAT", "FP64": "DOUBLE", "BYTES": "STRING"}


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("identity") / "model.onnx"
    path.write_bytes(models.every_datatype())
    return path


def test_every_datatype_survives_the_way_there_and_back(identity: Path) -> None:
    inputs = [
        {"name": f"in_{ONNX_NAMES.get(kind, kind)}", "datatype": kind, "shape": [1, 2], "data": values}
        for kind, values in EVERY_VALUE.items()
    ]
    with serving(identity) as server:
        server.wait_ready()
        as_json = server.infer({"inputs": inputs}).document
        assert {output["datatype"]: output["data"] for output in as_json["outputs"]} == EVERY_VALUE
        reply = server.infer({"inputs": inputs, "parameters": {"binary_data_output": True}})
        assert _binary_outputs(reply.headers["inference-header-content-length"], reply.body) == EVERY_VALUE


def _binary_outputs(header_length: str, body: bytes) -> dict[str, list[object]]:
    header, tail = body[: int(header_length)], body[int(header_length) :]
    found: dict[str, list[object]] = {}
    for output in json.loads(header)["outputs"]:
        size = output["parameters"]["binary_data_size"]
        part = from_bytes(memoryview(tail[:size]), output["datatype"], output["shape"])
        values = unpack(NUMPY_TYPES[output["datatype"]], part).ravel().tolist()
        found[output["datatype"]] = [None if value != value else value for value in values]  # noqa: PLR0124
        tail = tail[size:]
    assert tail == b""
    return found


def test_binary_tensors_in_and_out(server: Served, cancer: models.Cancer) -> None:
    rows = cancer.rows[:4]
    size = {"binary_data_size": rows.nbytes}
    tensor = {"name": "X", "datatype": "FP32", "shape": [4, cancer.features], "parameters": size}
    wanted = [{"name": "probabilities", "parameters": {"binary_data": True}}, {"name": "label"}]
    header = json.dumps({"inputs": [tensor], "outputs": wanted}).encode()
    reply = server.infer(header + rows.tobytes(), Inference_Header_Content_Length=str(len(header)))
    length = int(reply.headers["inference-header-content-length"])
    assert reply.headers["content-type"] == "application/octet-stream"
    outputs = json.loads(reply.body[:length])["outputs"]
    assert outputs[1]["data"] == server.infer(matrix(rows)).output("label").tolist()
    assert outputs[0]["parameters"]["binary_data_size"] == 4 * 2 * 4
    probabilities = np.frombuffer(reply.body[length:], np.float32).reshape(4, 2)
    np.testing.assert_allclose(probabilities, server.infer(matrix(rows)).output("probabilities"), atol=1e-6)


def test_a_body_of_nothing_but_the_matrix(server: Served, cancer: models.Cancer) -> None:
    rows = cancer.rows[:2]
    reply = server.infer(rows.tobytes(), Inference_Header_Content_Length="0")
    length = int(reply.headers["inference-header-content-length"])
    found = json.loads(reply.body[:length])["outputs"][1]
    assert found["shape"] == [2, 2]
    expected = server.infer(matrix(rows)).output("probabilities")
    np.testing.assert_allclose(np.frombuffer(reply.body[-16:], np.float32).reshape(2, 2), expected, atol=1e-6)


def test_metadata_tells_what_the_model_takes_and_gives(server: Served) -> None:
    document = server.get("/v2/models/churn").document
    assert document["name"] == "churn"
    assert document["versions"] == ["7"]
    assert document["platform"] == "onnx_onnxv1"
    assert document["inputs"] == [{"name": "X", "datatype": "FP32", "shape": [-1, 30]}]
    assert document["outputs"] == [
        {"name": "label", "datatype": "BYTES", "shape": [-1]},
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]},
    ]
    assert json.loads(document["parameters"]["classes"]) == ["benign", "malignant"]
    assert json.loads(document["parameters"]["features"])[0] == "mean radius"
    assert server.get("/v2/models/churn/versions/7").document == document


def test_the_server_describes_itself(server: Served) -> None:
    document = server.get("/v2").document
    assert document["name"] == "modelwright-serving"
    assert "binary_tensor_data" in document["extensions"]
    assert server.get("/v2/models").document == {"models": ["churn"]}
    assert server.get("/v2/health/live").document == {"live": True}
    assert server.get("/v2/health/ready").document == {"ready": True}
    assert server.get("/v2/models/churn/ready").document == {"name": "churn", "ready": True}
    assert INFER.startswith("/v2/models/churn")
