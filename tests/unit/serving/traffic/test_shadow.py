"""Answered requests are repeated at another revision, and the answers compared: never in a caller's way."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper
from unit.serving import grpc_caller, models
from unit.serving.harness import NAME, matrix, serving
from unit.serving.traffic import rollout
from unit.serving.traffic.rollout import REVISION, Stable

from modelwright_serving.oip.tensors import Tensor
from modelwright_serving.traffic.compare import Comparison, compare

SAMPLE = f'{{model="{NAME}",revision="{REVISION}"'
ROWS = np.array([[0.25, 3.0], [0.5, 1.0], [0.75, -2.0], [0.125, 5.0]], np.float32)


def scored(compare: str, *nodes: onnx.NodeProto) -> bytes:
    """Labels by comparing the first column with a half; the score is what `nodes` make of that column."""
    half = helper.make_tensor("half", TensorProto.FLOAT, [], [0.5])
    numbers = [
        helper.make_tensor(name, TensorProto.INT64, [1], [value]) for name, value in (("zero", 0), ("one", 1))
    ]
    first = [
        helper.make_node("Slice", ["x", "zero", "one", "one"], ["first"]),
        helper.make_node(compare, ["first", "half"], ["found"]),
        helper.make_node("Cast", ["found"], ["label"], to=TensorProto.INT64),
    ]
    outputs = [
        helper.make_tensor_value_info("label", TensorProto.INT64, ["rows", 1]),
        helper.make_tensor_value_info("score", TensorProto.FLOAT, ["rows", 1]),
    ]
    return models.model([*first, *nodes], [models.matrix("x")], outputs, [half, *numbers])


def same() -> bytes:
    return scored("Less", helper.make_node("Identity", ["first"], ["score"]))


def other_labels() -> bytes:
    return scored("GreaterOrEqual", helper.make_node("Identity", ["first"], ["score"]))


def other_numbers() -> bytes:
    return scored("Less", helper.make_node("Add", ["first", "half"], ["score"]))


def no_numbers() -> bytes:
    return scored(
        "Less",
        helper.make_node("Sub", ["first", "first"], ["nothing"]),
        helper.make_node("Div", ["nothing", "nothing"], ["score"]),
    )


@pytest.fixture(scope="module")
def stable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stable]:
    path = tmp_path_factory.mktemp("shadow") / "model.onnx"
    path.write_bytes(same())
    with rollout.stable(path) as served:
        yield served


def ask(stable: Stable, count: int) -> None:
    for _ in range(count):
        answer = stable.served.infer(matrix(ROWS, "x"))
        assert (answer.status, answer.document["model_version"]) == (200, "1")


def until(stable: Stable, repeated: int) -> None:
    """Waits for the answers of the other revision; the test's time limit ends it."""
    while sum(stable.shadowed().values()) < repeated:
        pass


CASES = {
    "the same": (same, 1.0, 0.0, 0),
    "other numbers": (other_numbers, 1.0, 0.5, 0),
    "numbers that are none": (no_numbers, 1.0, 0.0, 4),
    "other labels": (other_labels, 0.0, 0.0, 0),
}


@pytest.mark.parametrize(("build", "agreement", "difference", "broken"), CASES.values(), ids=CASES.keys())
def test_what_the_other_revision_answers_is_compared(
    build: Callable[[], bytes], agreement: float, difference: float, broken: int, tmp_path: Path
) -> None:
    ours, theirs = tmp_path / "a" / "model.onnx", tmp_path / "b" / "model.onnx"
    for path, content in ((ours, same()), (theirs, build())):
        path.parent.mkdir()
        path.write_bytes(content)
    with (
        serving(theirs) as other,
        rollout.stable(ours, port=other.wait_ready().http_port, mirror=50) as stable,
    ):
        ask(stable, 10)
        until(stable, 5)
        with grpc_caller.caller(stable.served.grpc_port) as caller:
            for _ in range(10):
                assert caller.infer(grpc_caller.raw(ROWS, "x")).response.model_version == "1"
        until(stable, 10)
        assert stable.shadowed() == {"Compared": 10}
        agreed, disagreed = (
            stable.served.metric(
                f'modelwright_shadow_labels_total{{agree="{word}",model="{NAME}",revision="{REVISION}"'
            )
            for word in ("true", "false")
        )
        assert (agreed, disagreed) == (40 * agreement, 40 * (1 - agreement))
        assert stable.served.metric(f"modelwright_shadow_difference_sum{SAMPLE}") == pytest.approx(
            10 * difference
        )
        assert stable.served.metric(f"modelwright_shadow_non_finite_total{SAMPLE}") == 10 * broken


def test_a_failing_shadow_is_counted_and_nobody_notices(stable: Stable) -> None:
    with rollout.canary(rollout.answers("500 Internal Server Error")) as port:
        stable.follow(port=port, mirror=100, revision="failing")
        ask(stable, 5)
        until(stable, 5)
        assert stable.shadowed()["Failed"] == 5
        stable.forget()


def test_answers_without_an_output_in_common_are_not_compared(stable: Stable) -> None:
    answer = {"outputs": [{"name": "other", "datatype": "FP32", "shape": [1], "data": [1.0]}]}
    with rollout.canary(rollout.answers("200 OK", json.dumps(answer).encode())) as port:
        stable.follow(port=port, mirror=100, revision="unlike")
        ask(stable, 2)
        while stable.shadowed().get("Incomparable") != 2:
            pass
        stable.forget()


def test_a_shadow_that_hangs_holds_up_nobody_and_what_is_too_much_is_dropped(stable: Stable) -> None:
    with rollout.canary(rollout.hangs) as port:
        stable.follow(port=port, mirror=100, revision="hanging", timeoutSeconds=600)
        ask(stable, 40)
        assert stable.shadowed()["Dropped"] == 8
        stable.forget()


Numbers = st.lists(st.floats(width=32), min_size=1, max_size=8)


@given(values=Numbers)
def test_an_answer_agrees_with_itself(values: list[float]) -> None:
    outputs: dict[str, Tensor] = {"score": np.array(values, np.float32), "label": np.arange(len(values))}
    finite = int(np.isfinite(outputs["score"]).sum())
    found = compare(outputs, outputs)
    assert found == Comparison(len(values), len(values), finite, 0.0, 0)


@given(values=Numbers, others=Numbers)
def test_the_largest_difference_counts_and_what_is_not_finite_is_none(
    values: list[float], others: list[float]
) -> None:
    size = min(len(values), len(others))
    ours, theirs = np.array(values[:size]), np.array(others[:size])
    found = compare({"score": ours}, {"score": theirs})
    both = np.isfinite(ours) & np.isfinite(theirs)
    expected: float = float(np.abs(ours[both] - theirs[both]).max(initial=0.0))
    if not np.isfinite(ours).any():
        assert found is None
    else:
        assert found is not None
        assert found.difference == expected
        assert found.non_finite == int((np.isfinite(ours) & ~np.isfinite(theirs)).sum())


def test_outputs_of_another_size_or_kind_are_left_out() -> None:
    ours = {"label": np.array([1, 2]), "score": np.array([0.5])}
    assert compare(ours, {"label": np.array([1.0, 2.0]), "score": np.array([0.5, 0.5])}) is None
    assert compare(ours, {"label": np.array([1, 3])}) == Comparison(2, 1)
