"""`modelwright-serving check` says before anybody calls what the server would make of a model."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from unit.serving import estimators, models
from unit.serving.conftest import ModelFile


def _check(model: Path, *options: str, code: int = 0) -> str:
    command = [sys.executable, "-m", "modelwright_serving.main", "check", str(model), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, (done.stdout, done.stderr)
    return done.stdout if code < 2 else done.stderr


def _document(model: Path, *options: str, code: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_check(model, "--output", "json", *options, code=code))
    return found


def test_a_good_model_is_described(model_file: ModelFile, cancer: models.Cancer) -> None:
    path = model_file(cancer.content)
    found = _document(path)
    assert (found["servable"], found["problems"]) == (True, [])
    assert found["inputs"] == [{"name": "X", "datatype": "FP32", "shape": [-1, 30]}]
    assert found["row_sharing"]["allowed"]
    assert 0 < found["cost"]["run_seconds"]["1"] < found["cost"]["load_seconds"]
    assert found["cost"]["load_bytes"] > 0
    text = _check(path)
    assert "up to 256 share a run" in text
    assert text.endswith("it would be served\n")


def test_it_says_why_rows_share_no_runs(model_file: ModelFile) -> None:
    text = _check(model_file(models.share_of_batch()))
    assert "every request runs alone: operator ReduceSum (which makes 'total') works across rows" in text


def test_everything_that_would_be_refused_is_named(
    model_file: ModelFile, cancer: models.Cancer, tmp_path: Path
) -> None:
    golden = models.golden(cancer.content, {"X": cancer.rows[:2]})
    golden["response"]["outputs"][1]["data"][0] += 0.5
    (tmp_path / "other.json").write_text(json.dumps(golden))
    options = ("--golden", str(tmp_path / "other.json"), "--model-digest", f"sha256:{'0' * 64}")
    found = _document(model_file(cancer.content), *options, code=1)
    assert [problem["reason"] for problem in found["problems"]] == ["DigestMismatch", "GoldenMismatch"]
    assert found["inputs"]


def test_the_golden_request_beside_the_model_is_checked_as_the_server_does(
    model_file: ModelFile, tmp_path: Path, cancer: models.Cancer
) -> None:
    (tmp_path / "golden.json").write_text("{}")
    text = _check(model_file(cancer.content), code=1)
    assert "refused    GoldenUnreadable" in text
    assert text.endswith("it would not be served\n")


@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        (models.unknown_operator(), "export it with the operators of ONNX"),
        (models.fails_always(), "golden.json"),
    ],
)
def test_what_would_be_refused_is_named_with_the_way_out(
    content: bytes, remedy: str, model_file: ModelFile
) -> None:
    assert remedy in _check(model_file(content), code=1)


def test_a_model_that_refuses_made_up_rows_asks_for_some(model_file: ModelFile) -> None:
    found = _document(model_file(estimators.mixed().content))
    assert found["cost"]["run_seconds"] == {}
    assert "golden.json" in found["row_sharing"]["reason"]


def test_a_golden_file_that_is_not_there_is_a_usage_error(
    model_file: ModelFile, cancer: models.Cancer
) -> None:
    assert "has to be a file" in _check(model_file(cancer.content), "--golden", "nowhere.json", code=2)
