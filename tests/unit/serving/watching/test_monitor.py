"""GET /monitor of a real server: it counts what callers send and get while it is asked, and keeps no row."""

from __future__ import annotations

import base64
import json
import os
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from unit.contracts.schemas import defects
from unit.serving import models
from unit.serving.grpc_caller import Code, caller, raw
from unit.serving.harness import Served, Wire, matrix, post, serving
from unit.serving.watching import profiles

WEEK = 604_800


def report(server: Served, window: int | None = WEEK) -> dict[str, Any]:
    query = "" if window is None else f"?window={window}"
    reply = server.call("GET", f"/monitor{query}", port=server.admin_port)
    assert reply.status == 200, reply.body
    found: dict[str, Any] = reply.document
    assert defects("monitor", found) == []
    return found


def cancer_profile(cancer: models.Cancer) -> dict[str, Any]:
    names = [f"mean {place}" for place in range(cancer.features)]
    features = profiles.quantiles(names, cancer.rows.tolist())
    return profiles.profile(
        features,
        input="X",
        classes=["benign", "malignant"],
        positiveClass="malignant",
        projections=profiles.projections(features, range(cancer.features)),
        predictions=profiles.classifier(),
    )


@contextmanager
def watched(folder: Path, model: bytes, profile: object) -> Iterator[Served]:
    (folder / "model.onnx").write_bytes(model)
    (folder / "profile.json").write_bytes(
        profile if isinstance(profile, bytes) else json.dumps(profile).encode()
    )
    with serving(folder / "model.onnx", "--drain-delay-seconds", "0") as server:
        yield server.wait_ready()


def test_rows_are_counted_from_the_first_question_on(cancer: models.Cancer, tmp_path: Path) -> None:
    profile = cancer_profile(cancer)
    with watched(tmp_path, cancer.content, profile) as server:
        server.infer(matrix(cancer.rows[:5]))
        assert report(server)["windows"] == []
        for start in range(0, 300, 60):
            assert server.infer(matrix(cancer.rows[start : start + 60])).status == 200
        answer = server.infer(matrix(cancer.rows[300:400]))
        assert server.infer({"inputs": []}).status == 400
        found = report(server)
    (window,) = found["windows"]
    rows = cancer.rows[:400]
    assert (window["requests"], window["rows"], window["counted"]) == (6, 400, 400)
    assert window["squares"] == 5 * 60**2 + 100**2
    columns = zip(profile["features"], rows.astype(np.float64).T.tolist(), window["features"], strict=True)
    assert [profiles.cells(feature, column) for feature, column, _ in columns] == window["features"]
    assert window["projections"] == profiles.projected(profile, rows.astype(np.float64).tolist())
    assert sum(window["predictions"]["labels"]) == 400
    assert answer.status == 200


def test_a_profile_is_given_as_it_is(cancer: models.Cancer, tmp_path: Path) -> None:
    content = json.dumps(cancer_profile(cancer)).encode()
    with watched(tmp_path, cancer.content, content) as server:
        reply = server.call("GET", "/monitor/profile", port=server.admin_port)
    assert (reply.status, reply.body) == (200, content)


def test_without_a_profile_requests_are_counted(server: Served, cancer: models.Cancer) -> None:
    before = sum(window["requests"] for window in report(server)["windows"])
    server.infer(matrix(cancer.rows[:2]))
    found = report(server, None)
    assert (found["reason"], found["profile"], found["window"]) == ("NoProfile", None, WEEK)
    assert sum(window["requests"] for window in found["windows"]) == before + 1
    assert server.call("GET", "/monitor/profile", port=server.admin_port).status == 404


@pytest.mark.parametrize("window", ["0", "-1", "604801", "x", "", "1e3", "٣"])
def test_windows_of_no_length_are_refused(server: Served, window: str) -> None:
    reply = server.call("GET", f"/monitor?window={quote(window)}", port=server.admin_port)
    assert reply.status == 400
    assert "604800" in reply.error


def test_a_server_that_ends_says_its_last_windows(cancer: models.Cancer, tmp_path: Path) -> None:
    with watched(tmp_path, cancer.content, cancer_profile(cancer)) as server:
        report(server)
        server.infer(matrix(cancer.rows[:50]))
        before = report(server)
        server.terminate()
        assert server.exit_code() == 0
    message = (tmp_path / "termination-log").read_bytes()
    document = json.loads(message)
    assert len(message) <= 4096
    assert document["step"] == "serve"
    last = json.loads(zlib.decompress(base64.b64decode(document["monitor"])))
    assert last["windows"] == before["windows"]
    assert defects("monitor", last) == []


@pytest.fixture(scope="module")
def counted(cancer: models.Cancer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that has been asked for its counts."""
    with watched(tmp_path_factory.mktemp("counted"), cancer.content, cancer_profile(cancer)) as server:
        report(server)
        yield server


@contextmanager
def counts(server: Served) -> Iterator[dict[str, int]]:
    """What is added to the counts meanwhile."""
    before = totals(server)
    added: dict[str, int] = {}
    yield added
    added.update({name: count - before[name] for name, count in totals(server).items()})


def totals(server: Served) -> dict[str, int]:
    windows = report(server)["windows"]
    names = ("requests", "rows", "counted", "squares")
    return {name: sum(window[name] for window in windows) for name in names}


def test_rows_are_counted_whatever_the_protocol(counted: Served, cancer: models.Cancer) -> None:
    rows = cancer.rows[:3]
    message = raw(rows)
    with counts(counted) as added:
        records = [dict(zip(feature_names(), map(float, row), strict=True)) for row in rows]
        assert counted.infer({"records": records}).status == 200
        with caller(counted.grpc_port) as grpc:
            assert grpc.infer(message).code is Code.OK
        body = message.SerializeToString()
        path = "/inference.GRPCInferenceService/ModelInfer"
        assert counted.call("POST", path, body, content_type="application/proto").status == 200
    assert added == {"requests": 3, "rows": 9, "counted": 9, "squares": 27}


def feature_names() -> list[str]:
    return [str(name) for name in load_breast_cancer().feature_names]


def test_copies_for_comparison_are_not_counted(counted: Served, cancer: models.Cancer) -> None:
    marks = {"modelwright_delegated": "1", "modelwright_copy": "1"}
    with counts(counted) as added:
        assert counted.infer(matrix(cancer.rows[:3]), **marks).status == 200
        assert counted.infer(matrix(cancer.rows[:300]), **marks).status == 200
        assert counted.infer(matrix(cancer.rows[:2]), modelwright_delegated="1").status == 200
    assert added == {"requests": 1, "rows": 2, "counted": 2, "squares": 4}


def test_copies_that_share_a_run_with_callers_are_left_out_of_it(
    counted: Served, cancer: models.Cancer
) -> None:
    ours = post(json.dumps(matrix(cancer.rows[:3])).encode())
    copy = post(
        json.dumps(matrix(cancer.rows[3:8])).encode(), modelwright_delegated="1", modelwright_copy="1"
    )
    with counts(counted) as added, ExitStack() as stack:
        wires = [stack.enter_context(counted.raw()) for _ in range(20)]
        for place, wire in enumerate(wires):
            wire.send(copy if place % 2 else ours)
        assert [wire.reply().status for wire in wires] == [200] * 20
    assert added == {"requests": 10, "rows": 30, "counted": 30, "squares": 90}


def test_a_caller_of_many_rows_is_counted_in_part(counted: Served, cancer: models.Cancer) -> None:
    """The worker counts beside the event loop, and spreads what it counts over all rows."""
    rows = np.sort(np.tile(cancer.rows, (176, 1)), axis=0)
    head = {
        "name": "X",
        "datatype": "FP32",
        "shape": list(rows.shape),
        "parameters": {"binary_data_size": rows.nbytes},
    }
    header = json.dumps({"inputs": [head], "outputs": [{"name": "label"}]}).encode()
    before = report(counted)["windows"][-1]["features"][0]
    with counts(counted) as added:
        body = header + rows.tobytes()
        answer = counted.infer(body, inference_header_content_length=str(len(header)))
        assert answer.status == 200, answer.body[:300]
    cells = np.subtract(report(counted)["windows"][-1]["features"][0], before)[:-3]
    assert added["rows"] == len(rows) > 100_000
    assert 10_000 < added["counted"] < 20_000
    assert added["squares"] == added["counted"] ** 2
    assert np.all(np.abs(cells / added["counted"] - 0.1) < 0.01)


def test_another_length_of_windows_begins_anew_once_no_one_asks_for_the_present_one(
    cancer: models.Cancer, tmp_path: Path
) -> None:
    with watched(tmp_path, cancer.content, cancer_profile(cancer)) as server:
        first = report(server, 20)
        server.infer(matrix(cancer.rows[:5]))
        assert totals_of(report(server, None)) == 5
        assert report(server, 20)["started"] == first["started"]
        refused = server.call("GET", "/monitor?window=600", port=server.admin_port)
        assert (refused.status, totals_of(report(server, None))) == (409, 5)
        time.sleep(2.6)
        other = report(server, 600)
        assert (other["windows"], other["window"]) == ([], 600)
        assert other["started"] > first["started"]
        server.infer(matrix(cancer.rows[:2]))
        (window,) = report(server, None)["windows"]
        assert (window["rows"], window["id"]) == (2, int(other["now"] // 600))


def totals_of(found: dict[str, Any]) -> int:
    return sum(window["rows"] for window in found["windows"])


def test_windows_end_with_the_clock(cancer: models.Cancer, tmp_path: Path) -> None:
    with watched(tmp_path, cancer.content, cancer_profile(cancer)) as server:
        report(server, 1)
        for _ in range(6):
            server.infer(matrix(cancer.rows[:5]))
            time.sleep(0.4)
        windows = report(server, 1)["windows"]
    assert len(windows) == 3
    assert [window["id"] - windows[0]["id"] for window in windows] == [0, 1, 2]
    assert all(sum(window["features"][0][:-3]) == window["rows"] == window["counted"] for window in windows)


@pytest.mark.parametrize("profile", [b"{", b"\0" * 2**20, b'{"version":1}'])
def test_a_bad_profile_keeps_no_model_from_serving(
    cancer: models.Cancer, tmp_path: Path, profile: bytes
) -> None:
    with watched(tmp_path, cancer.content, profile) as server:
        report(server)
        assert server.infer(matrix(cancer.rows[:5])).status == 200
        found = report(server)
    assert any(event["event"] == "profile ignored" for event in server.events)
    assert found["reason"] == "ProfileUnusable"
    (window,) = found["windows"]
    assert (window["rows"], window["counted"], window["features"]) == (5, 0, None)


def test_one_that_reads_well_but_breaks_counting_ends_it(cancer: models.Cancer, tmp_path: Path) -> None:
    """Callers notice nothing of a defect of ours."""
    broken = "from modelwright_serving.watching import buffer; buffer.Buffer.add = None"
    (tmp_path / "sitecustomize.py").write_text(broken)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    (tmp_path / "model.onnx").write_bytes(cancer.content)
    (tmp_path / "profile.json").write_text(json.dumps(cancer_profile(cancer)))
    with serving(tmp_path / "model.onnx", PYTHONPATH=path) as server:
        server.wait_ready()
        report(server)
        for _ in range(3):
            assert server.infer(matrix(cancer.rows[:5])).status == 200
        found = report(server)
    assert found["reason"] == "ProfileUnusable"
    assert totals_of(found) in (10, 15)


def test_counting_holds_no_rows_of_a_large_request(cancer: models.Cancer, tmp_path: Path) -> None:
    """Requests of 10,000 rows with 1,000 features are 40 MB each: counting them takes a few MiB for good."""
    names = [f"f{place}" for place in range(1000)]
    features = [profiles.numeric(name, profiles.TENTHS, 0, 1) for name in names]
    said = {"value": "y", "edges": [0.5], "low": None, "high": None, "counts": [0, 0], "outside": 0}
    profile = profiles.profile(
        features,
        input="x",
        task="regression",
        classes=None,
        positiveClass=None,
        predictions=said,
        projections=profiles.projections(features, range(256)),
    )
    rows = np.random.default_rng(0).random((10_000, 1000), np.float32)
    head = {
        "name": "x",
        "datatype": "FP32",
        "shape": [10_000, 1000],
        "parameters": {"binary_data_size": rows.nbytes},
    }
    header = json.dumps(
        {"inputs": [head], "outputs": [{"name": "y", "parameters": {"binary_data": True}}]}
    ).encode()
    body = header + rows.tobytes()
    (tmp_path / "model.onnx").write_bytes(models.sum_of_row(1000))
    (tmp_path / "profile.json").write_text(json.dumps(profile))
    with serving(tmp_path / "model.onnx", "--max-body-bytes", str(50 * 2**20)) as server:
        server.wait_ready()

        def highest() -> float:
            Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")
            for _ in range(3):
                assert server.infer(body, inference_header_content_length=str(len(header))).status == 200
            lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
            return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024

        before = highest()
        report(server)
        after = highest()
        (window,) = report(server)["windows"]
    assert after - before < 16
    assert window["rows"] == 30_000
    assert window["counted"] >= 500
    assert all(sum(cells[:-3]) == window["counted"] for cells in window["features"])


@pytest.mark.parametrize(
    ("model", "profile", "bodies", "rows"),
    [
        (
            models.share_of_batch(),
            profiles.profile([profiles.numeric("a", [0]), profiles.numeric("b", [0])], input="x"),
            [{"inputs": [{"name": "x", "datatype": "FP32", "shape": [3, 2], "data": [1, 2, 3, 4, 5, 6]}]}]
            * 2,
            6,
        ),
        (
            models.plans(),
            profiles.profile([profiles.categorical("plan", ["free"]), profiles.numeric("age", [30])]),
            [
                {"records": [{"plan": "free", "age": 3e38}, {"plan": "pro", "age": None}]},
                {"records": []},
            ],
            2,
        ),
    ],
)
def test_models_of_other_kinds(
    tmp_path: Path, model: bytes, profile: Any, bodies: list[Any], rows: int
) -> None:
    with watched(tmp_path, model, profile) as server:
        report(server)
        codes = [server.infer(body).status for body in bodies]
        found = report(server)
    assert 200 in codes
    assert found["reason"] is None
    (window,) = found["windows"]
    assert (window["rows"], window["counted"]) == (rows, rows)
    assert all(sum(cells[:-1]) == rows for cells in window["features"])


def test_it_is_rendered_as_rarely_as_metrics_are(counted: Served) -> None:
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(counted.admin_port)) for _ in range(8)]
        began = time.monotonic()
        for _ in range(5):
            for wire in wires:
                wire.send(b"GET /monitor HTTP/1.1\r\nHost: x\r\n\r\n")
            times = {wire.reply().document["now"] for wire in wires}
        elapsed = time.monotonic() - began
    assert len(times) <= 2
    assert elapsed > 4 * 0.05
