"""A server is ready when its model has proven itself, and says why when it has not."""

import hashlib
import json
import os
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from unit.serving import models
from unit.serving.conftest import ModelFile
from unit.serving.harness import INFER, arguments, matrix, serving, start

from modelwright_serving import termination
from modelwright_serving.failures import StepError
from modelwright_serving.main import main

CONTRACTS = Path(__file__).parents[3] / "docs" / "contracts"


class Ending:
    """How a server ends that does not come up; it runs in the test's own process, which is much faster."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def of(self, model: Path, *options: str) -> tuple[int, str, dict[str, Any] | None]:
        """Exit code, standard error and termination document."""
        # A server that comes up after all is ended, and then has the wrong exit code.
        rescue = threading.Timer(20, os.kill, (os.getpid(), signal.SIGTERM))
        rescue.start()
        try:
            code = main(arguments(model, "--drain-delay-seconds", "0", *options))
        except SystemExit as usage:
            code = int(usage.code or 0)
        finally:
            rescue.cancel()
        log = model.parent / "termination-log"
        document = json.loads(log.read_bytes()) if log.exists() else None
        return code, self._capsys.readouterr().err, document

    def is_refusal(self, model: Path, reason: str, words: str, *options: str) -> None:
        code, complaints, document = self.of(model, *options)
        assert code == 65, complaints
        assert document is not None
        schema = json.loads((CONTRACTS / "step.schema.json").read_text())
        jsonschema.validate(document, schema)
        assert (document["step"], document["error"]["reason"]) == ("serve", reason)
        assert words in document["error"]["message"]
        assert f"{reason}: {document['error']['message']}" in complaints


@pytest.fixture
def ending(capsys: pytest.CaptureFixture[str]) -> Ending:
    return Ending(capsys)


def test_the_process_itself_ends_with_65(tmp_path: Path) -> None:
    process = start(tmp_path / "model.onnx")
    _, complaints = process.communicate(timeout=30)
    assert process.returncode == 65
    assert complaints.startswith(b"modelwright-serving: ModelMissing: ")


def test_a_missing_model_is_said_to_be_missing(ending: Ending, tmp_path: Path) -> None:
    ending.is_refusal(tmp_path / "model.onnx", "ModelMissing", "No such file")


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x80\x04K\x01.", b"\0" * 1000])
def test_bytes_that_are_no_onnx_are_refused(ending: Ending, model_file: ModelFile, content: bytes) -> None:
    ending.is_refusal(model_file(content), "NotOnnx", "is not ONNX")


def test_other_bytes_than_asked_for_are_refused(ending: Ending, model_file: ModelFile) -> None:
    asked = f"sha256:{'0' * 64}"
    found = hashlib.sha256(b"other bytes").hexdigest()
    path = model_file(b"other bytes")
    ending.is_refusal(path, "DigestMismatch", found, "--model-digest", asked)
    ending.is_refusal(path, "DigestMismatch", asked, "--model-digest", asked)


def test_operators_of_the_users_own_are_refused(ending: Ending, model_file: ModelFile) -> None:
    ending.is_refusal(model_file(models.unknown_operator()), "UnsupportedModel", "not taken: evil:Steal")


def test_weights_in_another_file_are_never_read(
    ending: Ending, model_file: ModelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ending.is_refusal(
        model_file(models.data_beside_it(tmp_path)), "UnsupportedModel", "a second file (weights.bin)"
    )


def test_a_model_that_cannot_run_is_refused(ending: Ending, model_file: ModelFile) -> None:
    ending.is_refusal(model_file(models.fails_always()), "WarmupFailed", "Reshape")


def test_a_model_that_cannot_run_on_made_up_rows_is_told_of_golden_requests(
    ending: Ending, model_file: ModelFile
) -> None:
    ending.is_refusal(model_file(models.fails_always()), "WarmupFailed", "golden.json")


Change = Callable[[dict[str, Any]], object]


def with_golden(model: Path, cancer: models.Cancer, change: Change) -> Path:
    document = models.golden(cancer.content, {"X": cancer.rows[:4]})
    change(document)
    model.with_name("golden.json").write_text(json.dumps(document))
    return model


def output(document: dict[str, Any], position: int) -> dict[str, Any]:
    found: dict[str, Any] = document["response"]["outputs"][position]
    return found


GOLDEN_MISMATCHES: list[tuple[Change, str]] = [
    (lambda document: output(document, 1)["data"].__setitem__(0, 0.5), "output 'probabilities'"),
    (lambda document: output(document, 0)["data"].__setitem__(0, "benign"), "'malignant', expected 'benign'"),
    (lambda document: output(document, 0).update(shape=[2, 2]), "shape [4] instead of [2, 2]"),
    (lambda document: output(document, 1)["data"].__setitem__(7, None), "expected"),
]


@pytest.mark.parametrize(("change", "words"), GOLDEN_MISMATCHES)
def test_another_answer_than_the_golden_one_is_refused(
    ending: Ending, model_file: ModelFile, cancer: models.Cancer, change: Change, words: str
) -> None:
    ending.is_refusal(with_golden(model_file(cancer.content), cancer, change), "GoldenMismatch", words)


UNREADABLE_GOLDENS: list[tuple[Change, str]] = [
    (lambda document: document.pop("tolerance"), "is not a golden request"),
    (lambda document: document["response"]["outputs"].clear(), "expects no outputs"),
    (lambda document: document["request"]["inputs"][0].update(shape=[1, 1]), "does not fit the model"),
    (lambda document: output(document, 0).update(name="other"), "is not a golden request"),
    (lambda document: output(document, 0).update(datatype="INT64"), "does not fit the model"),
    (lambda document: document.update(padding="x" * 1024**2), "larger than 1 MiB"),
]


@pytest.mark.parametrize(("change", "words"), UNREADABLE_GOLDENS)
def test_a_golden_request_that_cannot_be_used_is_refused(
    ending: Ending, model_file: ModelFile, cancer: models.Cancer, change: Change, words: str
) -> None:
    ending.is_refusal(with_golden(model_file(cancer.content), cancer, change), "GoldenUnreadable", words)


def test_the_golden_answer_may_be_off_by_the_tolerance(model_file: ModelFile, cancer: models.Cancer) -> None:
    def change(document: dict[str, Any]) -> None:
        output(document, 1)["data"][0] += 0.01
        document["tolerance"]["absolute"] = 0.02

    model = with_golden(model_file(cancer.content), cancer, change)
    golden = json.loads(model.with_name("golden.json").read_text())
    jsonschema.validate(golden, json.loads((CONTRACTS / "golden.schema.json").read_text()))
    with serving(model) as server:
        assert server.wait_ready().get("/v2/health/ready").status == 200


def test_the_right_digest_is_accepted(model_file: ModelFile, cancer: models.Cancer) -> None:
    digest = f"sha256:{hashlib.sha256(cancer.content).hexdigest()}"
    with serving(model_file(cancer.content), "--model-digest", digest) as server:
        assert server.wait_ready().events[-1]["digest"] == digest
        info = f'modelwright_model_info{{digest="{digest}",model="churn",version="1"}}'
        assert server.metric(info) == 1


def test_while_the_model_loads_the_server_is_live_but_not_ready(
    tmp_path: Path, cancer: models.Cancer
) -> None:
    """A model in a pipe keeps the server loading for as long as the test wants."""
    pipe = tmp_path / "model.onnx"
    os.mkfifo(pipe)
    with serving(pipe) as server:
        assert server.get("/v2/health/live").status == 200
        for path in ("/v2/health/ready", "/v2/models/churn/ready"):
            reply = server.get(path)
            assert (reply.status, reply.headers["retry-after"]) == (503, "1")
            assert (reply.document["ready"], reply.document["reason"]) == (False, "Loading")
        for refused in (server.get("/v2/models/churn"), server.infer(matrix(cancer.rows[:1]))):
            assert (refused.status, refused.headers["retry-after"]) == (503, "1")
            assert "being loaded" in refused.error
        assert server.metric("modelwright_model_ready") == 0
        pipe.write_bytes(cancer.content)
        server.wait_ready()
        assert server.get("/v2/health/ready").status == 200
        assert server.infer(matrix(cancer.rows[:1])).status == 200
        assert server.metric("modelwright_model_ready") == 1
        assert server.metric('modelwright_requests_total{code="503"') == 1


def test_a_server_that_still_loads_can_be_ended(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.onnx")
    with serving(tmp_path / "model.onnx", "--drain-delay-seconds", "0") as server:
        server.terminate()
        assert server.exit_code() == 0


def test_a_server_whose_parent_has_blocked_the_signal_can_be_ended(
    model_file: ModelFile, cancer: models.Cancer
) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        started = serving(model_file(cancer.content), "--drain-delay-seconds", "0")
        with started as server:
            server.wait_ready().terminate()
            assert server.exit_code() == 0
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_a_defect_while_the_model_loads_ends_the_server(
    model_file: ModelFile, cancer: models.Cancer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("modelwright_serving.server.load", broken)
    with pytest.raises(ZeroDivisionError):
        main(arguments(model_file(cancer.content), "--drain-delay-seconds", "0"))


def test_a_port_in_use_is_said_plainly(ending: Ending, model_file: ModelFile, cancer: models.Cancer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, complaints, document = ending.of(model_file(cancer.content), "--http-port", port)
    assert (code, document) == (1, None)
    assert "Address already in use" in complaints


@pytest.mark.parametrize(
    "options",
    [
        ("--model-digest", "md5:123"),
        ("--http-port", "70000"),
        ("--model-version", "a b"),
        ("--model-version", ".."),
        ("--drain-seconds", "-1"),
        ("--queue-limit", "0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    ending: Ending, tmp_path: Path, options: tuple[str, str]
) -> None:
    code, complaints, _ = ending.of(tmp_path / "model.onnx", *options)
    assert code == 2
    assert f"argument {options[0]}" in complaints


def test_the_name_may_have_parts(model_file: ModelFile) -> None:
    rows = np.array([[1.0, 2.0]], dtype=np.float32)
    with serving(model_file(models.share_of_batch()), "--name", "team/churn") as server:
        server.wait_ready()
        assert server.call("POST", "/v2/models/team/churn/infer", matrix(rows, "x")).status == 200
        assert server.call("POST", INFER, matrix(rows, "x")).status == 404


def test_a_termination_document_stays_within_what_kubernetes_keeps() -> None:
    document = termination.document("serve", StepError("NotOnnx", '"\u2603' * 5000))
    assert len(document) <= 4096
    jsonschema.validate(json.loads(document), json.loads((CONTRACTS / "step.schema.json").read_text()))


def test_no_place_for_the_termination_document_changes_nothing(tmp_path: Path) -> None:
    termination.write(tmp_path / "nowhere" / "log", "serve", StepError("NotOnnx", "x"))
    termination.write(tmp_path, "serve", StepError("NotOnnx", "x"))
    assert list(tmp_path.iterdir()) == []
