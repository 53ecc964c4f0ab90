"""The clients that people install work with our server, in every mode that they have."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import peers
import pytest
from unit.serving import models
from unit.serving.harness import NAME, Served, serving

from clients.scripts.served import ALL, VARIABLE, Arrays, save

VERSION = "1"
TESTS = Path(__file__).parents[1]
SECONDS = 180
# With the environment that each runs in; the slowest first.
PROGRAMS = {
    "mlserver_calls": "mlserver",
    "kserve_calls": "kserve",
    "pydantic_models": "tritonclient",
    "tritony_client": "tritonclient",
    "triton_http": "tritonclient",
    "triton_grpc": "tritonclient",
    "open_inference_rest": "tritonclient",
    "open_inference_rpc": "tritonclient",
}


def _cancer() -> tuple[bytes, Arrays]:
    cancer = models.cancer()
    return cancer.content, {"X": cancer.rows[:20]}


def _plans() -> tuple[bytes, Arrays]:
    plans = np.array([["free"], ["pro"], ["team"], ["no such plan ☃"]], object)[[0, 1, 2, 0]]
    return models.plans(), {"plan": plans, "age": np.array([[20], [41.5], [33], [-0.25]], np.float32)}


def _datatypes() -> tuple[bytes, Arrays]:
    content = models.every_datatype()
    session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    return content, {given.name: _extremes(given.type) for given in session.get_inputs()}


def _extremes(kind: str) -> np.ndarray[Any, Any]:
    """Two rows of two values, the least and the greatest among them."""
    name = kind.removeprefix("tensor(").removesuffix(")")
    if name == "string":
        return np.array([["", "snow ☃"], ["a\nb", "x" * 300]], object)
    if name == "bool":
        return np.array([[True, False], [False, True]])
    dtype = np.dtype({"float": "float32", "double": "float64"}.get(name, name))
    limits: Any = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(dtype)
    return np.array([[limits.min, limits.max], [0, 1]], dtype)


MODELS = {"matrix": _cancer, "columns": _plans, "datatypes": _datatypes}


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One server for each model; what programs have to know about them is in the file that this gives."""
    folder = tmp_path_factory.mktemp("clients")
    with ExitStack() as stack:
        known = {}
        for which in ALL:
            content, rows = MODELS[which]()
            model, samples = folder / f"{which}.onnx", folder / f"{which}.npz"
            model.write_bytes(content)
            save(samples, rows, _answers(content, rows))
            server = stack.enter_context(serving(model, "--model-version", VERSION))
            known[which] = _description(server.wait_ready(), samples)
        path = folder / "served.json"
        path.write_text(json.dumps(known), encoding="utf-8")
        yield path


def _answers(content: bytes, rows: Arrays) -> Arrays:
    session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    return dict(zip([output.name for output in session.get_outputs()], session.run(None, rows), strict=True))


def _description(server: Served, samples: Path) -> dict[str, str]:
    return {
        "http": f"127.0.0.1:{server.http_port}",
        "grpc": f"127.0.0.1:{server.grpc_port}",
        "name": NAME,
        "version": VERSION,
        "samples": str(samples),
    }


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_call_of_the_client_is_answered_as_onnx_runtime_does(program: str, servers: Path) -> None:
    python = peers.environment(PROGRAMS[program]) / "bin" / "python"
    finished = subprocess.run(
        [str(python), "-m", "unittest", "--verbose", f"clients.scripts.{program}"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(TESTS), VARIABLE: str(servers)},
        cwd=servers.parent,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert finished.returncode == 0, f"{finished.stdout}\n{finished.stderr}"
    assert "Ran 0 tests" not in finished.stderr
