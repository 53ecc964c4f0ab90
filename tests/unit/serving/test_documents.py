"""Tools that were made for Triton find the documents they ask for, and what these say is true."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from unit.serving import estimators, models
from unit.serving.harness import Served, matrix, serving

from modelwright_serving.oip import documents
from modelwright_serving.oip.signature import Signature, TensorSpec

MODEL = "/v2/models/churn"
VERSIONED = f"{MODEL}/versions/7"


def test_the_server_lists_the_extensions_that_it_has(server: Served) -> None:
    assert server.get("/v2").document["extensions"] == [
        *("binary_tensor_data", "model_configuration", "model_repository", "statistics"),
        "modelwright_records",
    ]


@pytest.mark.parametrize("path", [MODEL, VERSIONED])
def test_the_configuration_describes_the_model(server: Served, path: str) -> None:
    found = server.get(f"{path}/config").document
    digest = server.get(MODEL).document["parameters"]["digest"]
    taken = {"label_filename": "", "is_shape_tensor": False}
    assert found == {
        "name": "churn",
        "platform": "onnxruntime_onnx",
        "backend": "onnxruntime",
        "version_policy": {"latest": {"num_versions": 1}},
        "max_batch_size": 8192,
        "input": [
            {
                "name": "X",
                "data_type": "TYPE_FP32",
                "dims": [30],
                "format": "FORMAT_NONE",
                "is_shape_tensor": False,
                "allow_ragged_batch": False,
                "optional": False,
            }
        ],
        "output": [
            {"name": "label", "data_type": "TYPE_STRING", "dims": [], **taken},
            {"name": "probabilities", "data_type": "TYPE_FP32", "dims": [2], **taken},
        ],
        "instance_group": [{"name": "churn", "kind": "KIND_CPU", "count": 1}],
        "model_transaction_policy": {"decoupled": False},
        "parameters": {"digest": {"string_value": digest}},
        "dynamic_batching": {},
    }


def test_a_fixed_number_of_rows_is_part_of_the_configuration() -> None:
    signature = Signature((TensorSpec("x", "FP32", (1, 4)),), (TensorSpec("y", "INT64", (-1,)),))
    found = json.loads(documents.configuration("churn", "sha256:0", signature, joins_rows=False))
    assert found["max_batch_size"] == 0
    assert found["input"][0]["dims"] == [1, 4]
    assert "dynamic_batching" not in found


def _statistics(server: Served, path: str = MODEL) -> dict[str, Any]:
    (found,) = server.get(f"{path}/stats").document["model_stats"]
    assert (found["name"], found["version"]) == ("churn", "7")
    return dict(found)


def test_the_statistics_count_what_has_happened(server: Served, cancer: models.Cancer) -> None:
    before, started = _statistics(server), int(time.time() * 1000)
    assert server.infer(matrix(cancer.rows[:3])).status == 200
    assert server.infer(matrix(cancer.rows[:2])).status == 200
    assert server.infer(b"{").status == 400
    after = _statistics(server)
    assert after["inference_count"] - before["inference_count"] == 5
    assert after["execution_count"] - before["execution_count"] == 2
    assert started <= after["last_inference"] <= time.time() * 1000
    for outcome, count in (("success", 2), ("fail", 1)):
        old, new = (found["inference_stats"][outcome] for found in (before, after))
        assert new["count"] - old["count"] == count
        assert new["ns"] > old["ns"]


def test_whoever_succeeds_has_passed_the_queue(server: Served, cancer: models.Cancer) -> None:
    before = _statistics(server)["inference_stats"]
    assert server.infer(matrix(cancer.rows[:3])).status == 200
    after = _statistics(server)["inference_stats"]
    assert after["queue"]["count"] - before["queue"]["count"] == 1


def test_the_statistics_are_the_same_wherever_they_are_asked_for(server: Served) -> None:
    assert _statistics(server) == _statistics(server, VERSIONED) == _statistics(server, "/v2/models")


@pytest.mark.parametrize(
    "body", [None, b"", b"{}", b'{"ready": true}', b'{"ready": false}', b"nonsense", b"[1]"]
)
def test_the_index_lists_the_model(server: Served, body: bytes | None) -> None:
    reply = server.call("POST", "/v2/repository/index", body)
    assert reply.status == 200
    assert reply.document == [{"name": "churn", "version": "7", "state": "READY", "reason": ""}]


@pytest.mark.parametrize("verb", ["load", "unload"])
@pytest.mark.parametrize("body", [None, b'{"parameters": {}}'])
def test_the_one_model_stays_and_the_caller_hears_what_to_do(
    server: Served, verb: str, body: bytes | None
) -> None:
    reply = server.call("POST", f"/v2/repository/models/churn/{verb}", body)
    assert reply.status == 400
    assert "change spec.model of the InferenceService" in reply.error
    assert server.get("/v2/health/ready").status == 200


@pytest.mark.parametrize(
    "path", ["/v2/repository/models/other/load", "/v2/models/other/stats", "/v2/models/churns/config"]
)
def test_other_models_are_unknown(server: Served, path: str) -> None:
    for method in ("GET", "POST"):
        reply = server.call(method, path)
        assert reply.status == 404
        assert reply.error == f"unknown model in {path}: this server serves 'churn'"


@pytest.fixture(scope="module")
def nested(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A model whose name has a slash, as some clients send it as it is."""
    path = tmp_path_factory.mktemp("nested") / "model.onnx"
    path.write_bytes(estimators.logistic().content)
    with serving(path, "--name", "team-a/stats", "--model-version", "v1") as server:
        yield server.wait_ready()


@pytest.mark.parametrize("name", ["team-a/stats", "team-a%2Fstats", "team%2da%2fst%61ts"])
def test_a_name_may_have_a_slash_escaped_or_not(nested: Served, name: str) -> None:
    for path in (f"/v2/models/{name}", f"/v2/models/{name}/versions/v1"):
        assert nested.get(path).document["name"] == "team-a/stats"
        assert nested.get(f"{path}/ready").document == {"name": "team-a/stats", "ready": True}
        assert nested.get(f"{path}/config").document["name"] == "team-a/stats"
        assert nested.get(f"{path}/stats").document["model_stats"][0]["version"] == "v1"
        reply = nested.call("POST", f"{path}/infer", matrix(estimators.ROWS[:1]))
        assert reply.document["model_name"] == "team-a/stats"
    assert nested.call("POST", f"/v2/repository/models/{name}/unload").status == 400


def test_a_model_that_still_loads_is_listed_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    os.mkfifo(path)
    with serving(path) as server:
        (entry,) = server.call("POST", "/v2/repository/index", b"{}").document
        assert (entry["state"], entry["reason"]) == (
            "UNAVAILABLE",
            "the model is still being loaded and checked",
        )
        assert server.call("POST", "/v2/repository/index", b'{"ready": true}').document == []
        assert server.get(f"{MODEL}/config").status == 503
        assert server.get(f"{MODEL}/stats").document["model_stats"][0]["execution_count"] == 0
        path.open("wb").close()
