"""Answered requests are copied to another revision, and the answers compared: never in a caller's way."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper
from sklearn.datasets import load_breast_cancer
from unit.serving import grpc_caller, models
from unit.serving.harness import NAME, matrix, serving
from unit.serving.traffic import rollout
from unit.serving.traffic.rollout import REVISION, Stable

from modelwright_serving.oip import response
from modelwright_serving.oip.errors import OipError
from modelwright_serving.oip.response import Output, Outputs
from modelwright_serving.traffic.compare import Comparison, Uncompared, compare
from modelwright_serving.traffic.counts import RevisionCounts

REVISIONS = count()
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


def until(stable: Stable, copied: int, revision: str = REVISION) -> None:
    """Waits for the answers of the other revision; the test's time limit ends it."""
    while sum(stable.copied(revision).values()) < copied:
        pass


CASES = {
    "the same": (same, 1.0, 0.0, 0),
    "other numbers": (other_numbers, 1.0, 0.5, 0),
    "numbers that are none": (no_numbers, 1.0, 0.0, 1),
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
        assert stable.copied() == {"Compared": 10}
        assert stable.uncompared() == {}
        assert stable.served.metric(f"modelwright_shadow_labelled_requests_total{SAMPLE}") == 10
        assert stable.served.metric(f"modelwright_shadow_agreement_total{SAMPLE}") == 10 * agreement
        assert stable.served.metric(f"modelwright_shadow_difference_sum{SAMPLE}") == pytest.approx(
            10 * difference
        )
        assert stable.served.metric(f"modelwright_shadow_non_finite_requests_total{SAMPLE}") == 10 * broken
        # Of HTTP and of gRPC.
        assert rollout.unseen(other) == {("http", "200"): 5, ("grpc", "OK"): 5}
        assert rollout.unseen(stable.served) == {}


def test_a_shadow_that_is_not_there_or_hangs_is_counted_apart(stable: Stable) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    stable.follow(port=port, mirror=100, revision="nowhere")
    ask(stable, 2)
    until(stable, 2, "nowhere")
    assert stable.copied("nowhere") == {"Unreachable": 2}
    with rollout.canary(rollout.hangs) as port:
        stable.follow(port=port, mirror=100, revision="slow", timeoutSeconds=1)
        ask(stable, 2)
        until(stable, 2, "slow")
        assert stable.copied("slow") == {"Timeout": 2}
        stable.forget()


def test_a_failing_shadow_is_counted_and_no_caller_notices(stable: Stable) -> None:
    with rollout.canary(rollout.answers("500 Internal Server Error")) as port:
        stable.follow(port=port, mirror=100, revision="failing")
        ask(stable, 5)
        until(stable, 5, "failing")
        assert stable.copied("failing") == {"Failed": 5}
        stable.forget()


def labelled(*labels: object, name: str = "label") -> bytes:
    entry = {"name": name, "datatype": "INT64", "shape": [len(labels)], "data": labels}
    return json.dumps({"outputs": [entry]}).encode()


UNLIKE = {
    "other outputs": (labelled(1, 2, 3, 4, name="other"), "Incomparable", {"OtherOutputs": 2}),
    "other shapes": (labelled(1, 2), "Incomparable", {"OtherOutputs": 2, "OtherShapes": 2}),
    "one output of two": (labelled(1, 2, 3, 4), "Compared", {"OtherOutputs": 2}),
    "too large": (labelled(*[1] * 100_000), "Incomparable", {"TooLarge": 2}),
    "no answer": (b'{"canary":1}', "Failed", {}),
    "broken data": (
        b'{"outputs":[{"name":"label","datatype":"INT64","shape":[4],"data":"x"}]}',
        "Failed",
        {},
    ),
}


@pytest.mark.parametrize(("answer", "outcome", "reasons"), UNLIKE.values(), ids=UNLIKE)
def test_what_is_not_compared_is_counted_with_the_reason(
    stable: Stable, answer: bytes, outcome: str, reasons: dict[str, int]
) -> None:
    with rollout.canary(rollout.answers("200 OK", answer)) as port:
        revision = f"unlike-{next(REVISIONS)}"
        stable.follow(port=port, mirror=100, revision=revision)
        ask(stable, 2)
        until(stable, 2, revision)
        assert (stable.copied(revision), stable.uncompared(revision)) == ({outcome: 2}, reasons)
        stable.forget()


def test_a_large_request_is_not_copied(stable: Stable) -> None:
    with rollout.canary(rollout.hangs) as port:
        stable.follow(port=port, mirror=100, revision="small")
        answer = stable.served.infer({**matrix(ROWS, "x"), "padding": "x" * 300_000})
        assert answer.status == 200
        assert stable.copied("small") == {"Dropped": 1}
        assert stable.uncompared("small") == {"TooLarge": 1}
        stable.forget()


def test_a_shadow_that_hangs_delays_no_caller_and_what_is_too_much_is_dropped(stable: Stable) -> None:
    with rollout.canary(rollout.hangs) as port:
        stable.follow(port=port, mirror=100, revision="hanging")
        ask(stable, 40)
        assert stable.copied("hanging") == {"Dropped": 8}
        assert stable.uncompared("hanging") == {"Busy": 8}
        stable.forget()


@pytest.fixture(scope="module")
def patients(cancer: models.Cancer) -> list[dict[str, float]]:
    """Rows by the names of their features."""
    names = [str(name) for name in load_breast_cancer().feature_names]
    return [dict(zip(names, map(float, row), strict=True)) for row in cancer.rows[:4]]


def test_records_are_copied_and_compared_like_tensors(
    cancer: models.Cancer, patients: list[dict[str, float]], tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(cancer.content)
    with (
        serving(path) as other,
        rollout.stable(path, port=other.wait_ready().http_port, mirror=100) as stable,
    ):
        for _ in range(3):
            assert len(stable.served.infer({"records": patients}).document["records"]) == 4
        until(stable, 3)
        assert (stable.copied(), stable.uncompared()) == ({"Compared": 3}, {})
        assert stable.served.metric(f"modelwright_shadow_labelled_requests_total{SAMPLE}") == 3
        assert stable.served.metric(f"modelwright_shadow_agreement_total{SAMPLE}") == 3
        assert stable.served.metric(f"modelwright_shadow_difference_count{SAMPLE}") == 3
        assert stable.served.metric(f"modelwright_shadow_difference_sum{SAMPLE}") == 0


def by_record(*records: object) -> Outputs:
    return response.read(json.dumps({"records": records}).encode())


A = {"label": "no", "probabilities": {"no": 0.75, "yes": 0.25}}
B = {"label": "yes", "probabilities": {"yes": 0.5, "no": 0.5}}


@pytest.mark.parametrize(
    ("theirs", "expected"),
    [
        ([A, B], Comparison(2, 2, 4)),
        ([A, {**B, "label": "no"}], Comparison(2, 1, 4)),
        ([A, {**B, "probabilities": {"no": 0.25, "yes": 0.75}}], Comparison(2, 2, 4, 0.25)),
        ([A, {**B, "probabilities": {"no": 0.5, "yes": None}}], Comparison(2, 2, 4, non_finite=True)),
        (
            [{**row, "probabilities": {"no": 0.5, "maybe": 0.5}} for row in (A, B)],
            Comparison(2, 2, uncompared=frozenset((Uncompared.OTHER_CLASSES,))),
        ),
        (
            [{**row, "probabilities": [0.5, 0.5]} for row in (A, B)],
            Comparison(2, 2, uncompared=frozenset((Uncompared.OTHER_CLASSES,))),
        ),
        ([{"value": 0.5}] * 2, Comparison(uncompared=frozenset((Uncompared.OTHER_OUTPUTS,)))),
        (
            [{**row, "label": 0.5} for row in (A, B)],
            Comparison(numbers=4, difference=0.0, uncompared=frozenset((Uncompared.OTHER_TYPES,))),
        ),
        ([A], Comparison(uncompared=frozenset((Uncompared.OTHER_SHAPES,)))),
    ],
)
def test_records_are_compared_by_the_names_of_outputs_and_classes(
    theirs: list[object], expected: Comparison
) -> None:
    found = compare(by_record(A, B), by_record(*theirs))
    assert replace(found, difference=round(found.difference, 6)) == expected


@pytest.mark.parametrize(
    "records", [[A, {}], [A, 5], [{"a": {"x": 1}}, {"a": {"y": 1}}], [None], 5, {"a": 1}]
)
def test_records_that_do_not_fit_together_are_no_answer(records: object) -> None:
    with pytest.raises(OipError):
        response.read(json.dumps({"records": records}).encode())


Numbers = st.lists(st.floats(width=32), min_size=1, max_size=8)


@given(values=Numbers)
def test_an_answer_agrees_with_itself(values: list[float]) -> None:
    outputs = {"score": Output(np.array(values, np.float32)), "label": Output(np.arange(len(values)))}
    finite = int(np.isfinite(values).sum())
    found = compare(outputs, outputs)
    reasons = frozenset(() if finite else (Uncompared.NO_VALUES,))
    assert found == Comparison(len(values), len(values), finite, 0.0, uncompared=reasons)


@given(values=Numbers, others=Numbers)
def test_the_largest_difference_counts_and_what_is_not_finite_is_none(
    values: list[float], others: list[float]
) -> None:
    size = min(len(values), len(others))
    ours, theirs = np.array(values[:size]), np.array(others[:size])
    found = compare({"score": Output(ours)}, {"score": Output(theirs)})
    both = np.isfinite(ours) & np.isfinite(theirs)
    expected: float = float(np.abs(ours[both] - theirs[both]).max(initial=0.0))
    assert found.is_empty == (not np.isfinite(ours).any())
    assert found.difference == expected
    assert found.non_finite == bool(np.isfinite(ours).all() and not np.isfinite(theirs).all())


def test_a_row_that_both_models_make_no_number_of_is_no_evidence_against_one() -> None:
    """In any compared output: one of them may show it where the other model shows another one."""
    ours = {"score": Output(np.array([0.5, np.nan])), "other": Output(np.array([1.0]))}
    theirs = {"score": Output(np.array([np.inf, 0.5])), "other": Output(np.array([np.nan]))}
    assert not compare(ours, theirs).non_finite
    assert compare({"other": ours["other"]}, theirs).non_finite


def test_a_request_is_one_sample_however_many_rows_it_has() -> None:
    counts = RevisionCounts()
    for comparison in (Comparison(100, 75), Comparison(1, 1), Comparison(numbers=4, non_finite=True)):
        counts.add(comparison)
    assert (counts.labelled, counts.agreement, counts.non_finite) == (2, 1.75, 1)


def test_outputs_of_another_size_or_kind_are_left_out() -> None:
    ours = {"label": Output(np.array([1, 2])), "score": Output(np.array([0.5]))}
    theirs = {"label": Output(np.array([1.0, 2.0])), "score": Output(np.array([0.5, 0.5]))}
    unlike = frozenset((Uncompared.OTHER_TYPES, Uncompared.OTHER_SHAPES))
    assert compare(ours, theirs) == Comparison(uncompared=unlike)
    missing = frozenset((Uncompared.OTHER_OUTPUTS,))
    assert compare(ours, {"label": Output(np.array([1, 3]))}) == Comparison(2, 1, uncompared=missing)
