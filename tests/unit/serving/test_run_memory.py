"""A run that asks for more memory than the model may take fails for its caller alone, and the server goes on."""

import asyncio
import json
import re
import resource
import threading
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx.helper import make_node, make_tensor
from unit.serving import models
from unit.serving.conftest import ModelFile
from unit.serving.harness import Served, matrix, serving

from modelwright_serving import process_memory, runs, runtime
from modelwright_serving.batch import Bounds, Executor
from modelwright_serving.memory import Memory
from modelwright_serving.metrics import Metrics
from modelwright_serving.model import LoadedModel, load
from modelwright_serving.oip.answer import Answer
from modelwright_serving.oip.errors import CostlyError, OipError
from modelwright_serving.oip.request import InferRequest, decode
from modelwright_serving.oip.tensors import Tensor
from modelwright_serving.pace import Pace
from modelwright_serving.runs import Encoded
from modelwright_serving.worker import Worker

_MIB = 1024**2
_FLOAT = TensorProto.FLOAT


def _as_many_as_it_says(kind: str) -> bytes:
    """Makes as many numbers as the greatest number of its rows says."""
    made = {
        "ConstantOfShape": make_node("ConstantOfShape", ["size"], ["big"]),
        "Expand": make_node("Expand", ["one", "size"], ["big"]),
    }
    nodes = [
        make_node("ReduceMax", ["x"], ["most"], keepdims=0),
        make_node("Cast", ["most"], ["count"], to=TensorProto.INT64),
        make_node("Reshape", ["count", "flat"], ["size"]),
        made[kind],
        make_node("ReduceMax", ["big"], ["largest"], keepdims=0),
        make_node("Add", ["x", "largest"], ["y"]),
    ]
    constants = [make_tensor("flat", TensorProto.INT64, [1], [-1]), make_tensor("one", _FLOAT, [1], [0.0])]
    return models.model(nodes, [models.matrix("x")], [models.matrix("y")], constants)


def _square() -> bytes:
    """Multiplies each column with each other: its second dimension may have any size."""
    rows = helper.make_tensor_value_info("x", _FLOAT, ["rows", "columns"])
    nodes = [
        make_node("Transpose", ["x"], ["turned"]),
        make_node("MatMul", ["turned", "x"], ["products"]),
        make_node("ReduceMax", ["products"], ["largest"], keepdims=0),
        make_node("Add", ["x", "largest"], ["y"]),
    ]
    return models.model(nodes, [rows], [helper.make_tensor_value_info("y", _FLOAT, ["rows", "columns"])])


def _text() -> bytes:
    """Doubles a text thirty times if it holds anything: strings come from no arena."""
    text = helper.make_tensor_value_info("x", TensorProto.STRING, ["rows", 1])
    names = ["x", *(f"s{number}" for number in range(1, 31))]
    nodes = [make_node("StringConcat", [old, old], [new]) for old, new in pairwise(names)]
    outputs = [helper.make_tensor_value_info(name, TensorProto.STRING, ["rows", 1]) for name in ("y", "s30")]
    return models.model([*nodes, make_node("Identity", ["x"], ["y"])], [text], outputs)


def _peak(server: Served) -> int:
    """The most memory that the server ever had, in MiB."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+)", status)
    assert found
    return int(found[1]) // 1024


def _rows(*numbers: float) -> dict[str, object]:
    return matrix(np.array([[number, 0] for number in numbers], np.float32), "x")


@pytest.mark.parametrize(
    ("content", "hungry"),
    [
        (_as_many_as_it_says("ConstantOfShape"), _rows(4e8)),
        (_as_many_as_it_says("ConstantOfShape"), _rows(1e11)),
        (_as_many_as_it_says("Expand"), _rows(4e8)),
        (_square(), matrix(np.ones((1, 16_384), np.float32), "x")),
    ],
)
def test_a_row_that_asks_for_gigabytes_fails_alone(
    content: bytes, hungry: dict[str, object], model_file: ModelFile
) -> None:
    with serving(model_file(content), "--model-memory-bytes", str(64 * _MIB)) as server:
        resource.prlimit(server.process.pid, resource.RLIMIT_AS, (2048 * _MIB, resource.RLIM_INFINITY))
        server.wait_ready()
        refused = server.infer(hungry)
        assert refused.status == 413
        assert "--model-memory-bytes" in refused.error
        assert server.infer(_rows(3, 5)).status == 200
        assert server.metric('modelwright_requests_refused_total{model="churn",reason="ModelMemory"') == 1
        assert _peak(server) < 300


def test_text_without_end_fails_alone(model_file: ModelFile) -> None:
    """What the arena does not bound is bounded by the container, whose limit stands here in its place."""
    with serving(model_file(_text()), "--model-memory-bytes", str(32 * _MIB)) as server:
        server.wait_ready()
        resource.prlimit(server.process.pid, resource.RLIMIT_DATA, (400 * _MIB, resource.RLIM_INFINITY))
        tensor = {"name": "x", "datatype": "BYTES", "shape": [1, 1]}
        refused = server.infer({"inputs": [{**tensor, "data": ["abcd"]}]})
        assert refused.status == 413
        assert "--model-memory-bytes" in refused.error
        assert server.infer({"inputs": [{**tensor, "data": [""]}]}).output("y").tolist() == [[""]]


def test_what_earlier_runs_leave_does_not_count() -> None:
    session = runtime.open_session(_as_many_as_it_says("ConstantOfShape"), 64 * _MIB)
    signature = runtime.signature_of(session)

    def run(mebibytes: int) -> None:
        runtime.run(session, signature, [np.full((1, 2), mebibytes * _MIB // 4, np.float32)])

    for mebibytes in (1, 3, 9, 27, 60, 1):
        run(mebibytes)
    with pytest.raises(MemoryError, match="more memory"):
        run(65)
    run(60)


class _Ticket:
    """A request of one row; a `costly` one is decoded by the worker, as soon as it is `free`."""

    settled = False
    is_copy = False

    def __init__(self, model: LoadedModel, request: bytes, *, costly: bool) -> None:
        self.answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.free = threading.Event()
        self.accepted = perf_counter()
        self.account = Memory(_MIB).join("address")
        self._signature, self._request, self._costly = model.signature, request, costly

    def decode(self, *, at_once: bool) -> InferRequest:
        if at_once and self._costly:
            raise CostlyError
        assert at_once or not self._costly or self.free.wait(10)
        return decode(self._signature, self._request)

    def encode(self, request: InferRequest, answer: Answer) -> Encoded:
        return b"", None

    def succeed(self, request: InferRequest, answer: Answer, encoded: Encoded) -> None:
        self.answered.set_result("answered")

    def fail(self, error: OipError) -> None:
        self.answered.set_result(error.message)


class _Crowded(LoadedModel):
    """A model without memory for a run on the event loop, as while the worker's run holds all of it."""

    def run(self, inputs: list[Tensor], stop: runtime.Stop | None = None) -> list[Tensor]:
        if threading.current_thread() is threading.main_thread():
            raise MemoryError
        return super().run(inputs, stop)


def test_a_run_that_another_one_leaves_no_memory_waits_for_its_end(
    cancer: models.Cancer, model_file: ModelFile
) -> None:
    found = load(model_file(cancer.content), None)
    model = _Crowded(found.digest, found.signature, found.session, found.sharing, Pace())
    request = json.dumps(matrix(cancer.rows[:1])).encode()

    async def answers() -> tuple[str, str, str]:
        loop = asyncio.get_running_loop()
        executor = Executor(model, Worker(loop), loop, Metrics("churn", "1"), Bounds(), lambda: None)
        hungry, small, alone = (_Ticket(model, request, costly=costly) for costly in (True, False, False))
        executor.submit(hungry)
        await asyncio.sleep(0.01)
        executor.submit(small)
        await asyncio.sleep(0.01)
        assert not small.answered.done()
        hungry.free.set()
        first, second = await hungry.answered, await small.answered
        executor.submit(alone)
        return first, second, await alone.answered

    assert asyncio.run(answers()) == ("answered", "answered", runs.TOO_MUCH)


@pytest.mark.parametrize(
    ("file", "content", "limit", "share"),
    [
        ("memory.max", "536870912\n", 512 * _MIB, 128 * _MIB),
        ("memory.max", "67108864\n", 64 * _MIB, 64 * _MIB),
        ("memory.max", "max\n", None, 1024 * _MIB),
        ("memory/memory.limit_in_bytes", "536870912\n", 512 * _MIB, 128 * _MIB),
        ("memory/memory.limit_in_bytes", "9223372036854771712\n", None, 1024 * _MIB),
        ("system.slice/churn.service/memory.max", "536870912\n", 512 * _MIB, 128 * _MIB),
        ("memory/churn/memory.limit_in_bytes", "536870912\n", 512 * _MIB, 128 * _MIB),
    ],
)
def test_the_container_s_limit_decides_what_a_run_may_take(
    file: str, content: str, limit: int | None, share: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "groups" / file
    path.parent.mkdir(parents=True)
    path.write_text(content)
    (tmp_path / "own").write_text("9:name=systemd:/\n4:memory:/churn\n0::/system.slice/churn.service\n")
    monkeypatch.setattr(process_memory, "_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(process_memory, "_OWN_GROUPS", tmp_path / "own")
    assert process_memory.container_limit() == limit
    assert process_memory.share_of_model() == share
