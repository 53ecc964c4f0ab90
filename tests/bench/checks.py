"""Whether a server's answers are ONNX Runtime's own: who answers wrongly is not compared."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import peers
from bench.asking import headers_and_answer
from bench.bodies import NAME
from bench.contenders import Contender
from bench.generator import BenchError, Outcome
from bench.model import Model, Rows
from bench.wrk import Request

TOLERANCE = 1e-6
GRPC_CLIENT = Path(__file__).parent / "programs" / "grpc_client.py"
TYPES = {"FP32": "<f4", "INT64": "<i8"}

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class GrpcCall:
    """A message ready to be sent, and how large the answer to it is."""

    message: Path
    answer_bytes: int


def compare(who: str, expected: Mapping[str, Numbers], found: Mapping[str, Numbers]) -> None:
    """Labels exactly, floats within 1e-6."""
    if set(found) != set(expected):
        raise BenchError(f"{who} answers with outputs {sorted(found)}, the model has {sorted(expected)}")
    for name, right in expected.items():
        values = found[name]
        tolerance = 0.0 if name == "label" else TOLERANCE
        if values.shape != right.shape or not np.allclose(values, right, rtol=tolerance, atol=tolerance):
            raise BenchError(f"{who} answers {name} with {values[:6]}, ONNX Runtime with {right[:6]}")


def check_http(who: str, port: int, model: Model, asked: Sequence[tuple[Rows, Request]]) -> None:
    """Send each request once and compare."""
    for rows, request in asked:
        status, headers, content = headers_and_answer(port, request)
        if status != 200:
            raise BenchError(f"{who} answers {status}: {content[:300]!r}")
        length = headers.get("inference-header-content-length")
        compare(who, model.answers(rows), outputs(content, None if length is None else int(length)))


def outputs(content: bytes, header_length: int | None) -> dict[str, Numbers]:
    """The elements of each output of an answer, JSON or binary."""
    header, tail = (
        (content, b"") if header_length is None else (content[:header_length], content[header_length:])
    )
    found: dict[str, Numbers] = {}
    for tensor in json.loads(header)["outputs"]:
        size = (tensor.get("parameters") or {}).get("binary_data_size")
        if size is None:
            values = np.asarray(tensor["data"], np.float64)
        else:
            values = np.frombuffer(tail[:size], TYPES[tensor["datatype"]]).astype(np.float64)
            tail = tail[size:]
        found[tensor["name"]] = values.reshape(-1)
    return found


def check_grpc(contender: Contender, model: Model, rows: Sequence[Rows], folder: Path) -> GrpcCall:
    """Ask by tritonclient and compare; the first request is kept as the message of the load."""
    given, message = folder / "rows.npy", folder / "message"
    np.save(given, np.stack(rows).astype(np.float32))
    python = peers.environment("tritonclient") / "bin" / "python"
    where = [f"127.0.0.1:{contender.grpc_port}", NAME, model.input_name, str(given), str(message)]
    command = [str(python), str(GRPC_CLIENT), *where]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise BenchError(f"{contender.name} fails over gRPC: {done.stderr[-500:]}")
    said: dict[str, Any] = json.loads(done.stdout)
    for asked, found in zip(rows, said["answers"], strict=True):
        values = {name: np.asarray(one, np.float64) for name, one in found.items()}
        compare(f"{contender.name} over gRPC", model.answers(asked), values)
    return GrpcCall(message, said["answer_bytes"])


def check_outcome(who: str, outcome: Outcome, answer_bytes: int = 0) -> None:
    """Every request was answered, with 200, and over gRPC with an answer instead of an error."""
    if outcome.refused or outcome.broken or not outcome.requests:
        raise BenchError(
            f"{who} under load: {outcome.requests} answered, {outcome.refused} refused, {outcome.broken} broken"
        )
    if outcome.bytes_per_answer is not None and outcome.bytes_per_answer < 0.9 * answer_bytes:
        raise BenchError(
            f"{who} under load answers with {outcome.bytes_per_answer:.0f} bytes instead of {answer_bytes}: errors"
        )
