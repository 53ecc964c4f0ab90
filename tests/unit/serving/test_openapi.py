"""The OpenAPI document says what the real server does, whatever is asked of it."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from onnx import TensorProto, helper
from unit.serving import models
from unit.serving.harness import Served, serving

from modelwright_serving.http import openapi, paths
from modelwright_serving.state import Serving, State

GOOD = 'modelwright_requests_total{code="200",model="churn",protocol="http"'
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")


def test_a_document_before_the_model_is_loaded_is_the_contract_with_its_name() -> None:
    contract = json.loads(openapi.CONTRACT.read_text())
    document = json.loads(openapi.document("churn", "7", None))
    assert document["components"] == contract["components"]
    named = [path.replace("{model}", "churn").replace("{version}", "7") for path in contract["paths"]]
    assert list(document["paths"]) == named


def test_every_answer_of_the_contract_is_described_once() -> None:
    contract = json.loads(openapi.CONTRACT.read_text())
    described = {f"#/components/responses/{code}" for code in contract["components"]["responses"]}
    assert set(re.findall(r"#/components/responses/\d+", openapi.CONTRACT.read_text())) == described


def echo() -> bytes:
    """Gives back every column, so that it takes whatever its columns can hold."""
    columns = {"amount": "FLOAT", "count": "INT8", "plan": "STRING", "active": "BOOL"}
    inputs, outputs = (
        [
            helper.make_tensor_value_info(f"{prefix}{n}", getattr(TensorProto, kind), [None, 1])
            for n, kind in columns.items()
        ]
        for prefix in ("", "same_")
    )
    nodes = [helper.make_node("Identity", [name], [f"same_{name}"]) for name in columns]
    return models.model(nodes, inputs, outputs)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = tmp_path_factory.mktemp("described") / "model.onnx"
    path.write_bytes(echo())
    with serving(path) as server:
        yield server.wait_ready()


def run_schemathesis(document: str, url: str, folder: Path, *options: str) -> str:
    """What it found; the examples are the same in every run."""
    command = [str(SCHEMATHESIS), "run", document, "--url", url, "--generation-deterministic", "--no-color"]
    phases = ["--phases", "examples,coverage,fuzzing", "--continue-on-failure"]
    found = subprocess.run(
        [*command, *phases, *options], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert found.returncode == 0, found.stdout[-6000:] + found.stderr[-2000:]
    return found.stdout


def test_the_server_does_what_the_document_says(served: Served, tmp_path: Path) -> None:
    """All checks but one: a document cannot say which tensors fit a model, so valid ones may be refused."""
    url = f"http://127.0.0.1:{served.http_port}"
    options = ("--max-examples", "8", "--exclude-checks", "positive_data_acceptance")
    found = run_schemathesis(url + openapi.PATH, url, tmp_path, *options)
    operations = sum(map(len, served.get(openapi.PATH).document["paths"].values()))
    # It leaves out the path where it got the document.
    assert f"Tested: {operations - 1}" in found


def test_records_are_taken_exactly_as_they_are_described(served: Served, tmp_path: Path) -> None:
    document = served.get(openapi.PATH).document
    operation = document["paths"]["/v2/models/churn/infer"]["post"]
    operation["requestBody"]["content"] = {
        "application/json": {"schema": {"$ref": "#/components/schemas/RecordsRequest"}}
    }
    del operation["parameters"]
    document["paths"] = {"/v2/models/churn/infer": {"post": operation}}
    path = tmp_path / "records.json"
    path.write_text(json.dumps(document))
    run_schemathesis(str(path), f"http://127.0.0.1:{served.http_port}", tmp_path, "--max-examples", "30")
    assert served.metric(GOOD) > 20


def test_the_document_of_a_server_is_about_its_model(served: Served) -> None:
    document: dict[str, Any] = served.get(openapi.PATH).document
    assert "/v2/models/churn/versions/1/infer" in document["paths"]
    record = document["components"]["schemas"]["Record"]
    assert list(record["properties"]) == ["amount", "count", "plan", "active"]
    assert record["required"] == ["count", "active"]


def test_a_document_about_the_model_is_rendered_once() -> None:
    state = State(stuck_seconds=60.0)
    rendered: list[object] = []

    def render(model: object) -> bytes:
        rendered.append(model)
        return b"{}"

    respond = paths._once_loaded(state, render)
    assert respond().status == 503
    state.serving = Serving(cast("Any", "model"), cast("Any", None))
    assert [respond().status for _ in range(3)] == [200] * 3
    assert rendered == ["model"]
