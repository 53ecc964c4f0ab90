"""GET /monitor of a real server: it counts what callers send and get while it is asked, and keeps no row."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from unit.contracts.schemas import defects
from unit.serving import models
from unit.serving.harness import Served, matrix, serving
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
