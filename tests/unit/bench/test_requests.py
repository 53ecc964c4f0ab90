"""Requests of the bench hold what they should, and answers are compared with ONNX Runtime's own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bench import proc
from bench.bodies import as_binary, as_json, bad, batches
from bench.checks import compare, outputs
from bench.exposition import answers
from bench.generator import BenchError
from bench.machine import pinned
from bench.model import Model, logistic_regression
from bench.soak import mix

LABEL, LIKELY = np.array([1.0]), np.array([0.25, 0.75])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return logistic_regression(tmp_path_factory.mktemp("bench"))


def test_batches_differ_from_each_other(model: Model) -> None:
    found = batches(model, 32)

    assert {one.shape for one in found} == {(32, 30)}
    assert len({one.tobytes() for one in found[:17]}) == 17


def test_json_and_binary_ask_the_same(model: Model) -> None:
    rows = model.rows[:2]
    text, binary = as_json(model, rows), as_binary(model, rows)

    length = int(dict(binary.headers)["Inference-Header-Content-Length"])
    sent = np.frombuffer(binary.body[length:], "<f4")
    assert json.loads(binary.body[:length])["inputs"][0]["shape"] == [2, 30]
    assert sent == pytest.approx(np.array(json.loads(text.body)["inputs"][0]["data"]), rel=1e-6)


def test_a_mix_refuses_exactly_its_bad_requests(model: Model) -> None:
    found = mix(model)

    assert len(found.requests) == 100
    assert sum(request in bad(model) for request in found.requests) == found.refused == 4


def test_an_answer_in_json_is_read() -> None:
    content = {"outputs": [{"name": "label", "data": [1]}, {"name": "probabilities", "data": [[0.25, 0.75]]}]}

    compare("x", {"label": LABEL, "probabilities": LIKELY}, outputs(json.dumps(content).encode(), None))


def test_an_answer_in_binary_is_read() -> None:
    parts = [("label", "INT64", LABEL.astype("<i8")), ("probabilities", "FP32", LIKELY.astype("<f4"))]
    tensors = [
        {"name": name, "datatype": kind, "parameters": {"binary_data_size": values.nbytes}}
        for name, kind, values in parts
    ]
    header = json.dumps({"outputs": tensors}).encode()
    content = header + b"".join(values.tobytes() for _, _, values in parts)

    compare("x", {"label": LABEL, "probabilities": LIKELY}, outputs(content, len(header)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"label": np.array([0.0]), "probabilities": LIKELY},
        {"label": LABEL, "probabilities": LIKELY + 1e-5},
        {"label": LABEL, "probabilities": LIKELY[:1]},
        {"label": LABEL},
    ],
)
def test_a_wrong_answer_is_found(wrong: dict[str, np.ndarray]) -> None:
    with pytest.raises(BenchError, match=r"^x answers"):
        compare("x", {"label": LABEL, "probabilities": LIKELY}, wrong)


def test_cpu_time_includes_that_of_children() -> None:
    spin = "import time\nuntil = time.process_time() + 0.2\nwhile time.process_time() < until: pass\n"
    parent = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {spin!r}])\nprint(flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        process.stdout.readline()
        assert proc.cpu_seconds(process.pid) >= 0.2
        assert proc.resident_mib(process.pid) >= proc.proportional_mib(process.pid) > 1
        assert proc.descriptors(process.pid) >= 3
        process.communicate(b"\n")


def test_a_child_that_lives_belongs_to_the_family() -> None:
    with subprocess.Popen(["sh", "-c", "cat; true"], stdin=subprocess.PIPE) as shell:
        while len(found := proc.family(shell.pid)) < 2:
            assert shell.poll() is None
        assert Path(f"/proc/{found[1]}").exists()
        shell.communicate(b"")


def test_answers_are_read_from_metrics() -> None:
    text = (
        "# TYPE modelwright_requests counter\n"
        'modelwright_requests_total{model="m",version="1",protocol="http",code="200"} 7.0\n'
        'modelwright_requests_total{model="m",version="1",protocol="grpc",code="OK"} 3.0\n'
    )

    assert answers(text) == {"http 200": 7, "grpc OK": 3}


def test_the_version_of_a_peer_is_the_pinned_one() -> None:
    assert pinned("fastapi-x==1\nfastapi==0.165.0\n", "fastapi") == "0.165.0"
