"""A candidate is compared with the champion's file on the same rows, now; a bad champion never ends the run."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import onnx
import onnx.parser
import pandas as pd
import pytest
from unit.training.pod import Json, Pod, churn, numbers

from modelwright_training.files import digest_of
from modelwright_training.judging.gates import champion as champions

AUC = {"name": "auc", "metric": "roc_auc", "against": "Champion", "minChange": -0.01}
ROWS = 600
DONE: dict[str, Path] = {}
HEAD = '<ir_version: 8, opset_import: ["" : 17, "ai.onnx.ml" : 3]>'


Prepared = Callable[..., Pod]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Models of the built-in trainer, by the name of their data."""
    found = {}
    for name, frame, changes in (
        ("numbers", numbers(ROWS), {}),
        ("three", numbers(ROWS, 3), {}),
        ("churn", churn(ROWS), {}),
        (
            "regression",
            numbers(ROWS).assign(y=lambda rows: rows["x0"]),
            {"estimator": "sklearn.linear_model.Ridge"},
        ),
        ("weak", numbers(ROWS), {"data": {"features": ["x0"]}}),
    ):
        pod = Pod(tmp_path_factory.mktemp(name)).given_rows(frame).given(**changes)
        assert pod.through("fetch", "train").code == 0
        found[name] = pod.paths.model_file.read_bytes()
    return found


def championed(pod: Pod, content: bytes, **known: Any) -> Pod:
    """A run whose champion is this file."""
    digest = digest_of(content)
    folder = pod.paths.champion / "churn" / digest.replace(":", "-")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(content)
    uri = f"pvc://modelwright-artifacts/churn/{digest.replace(':', '-')}/model.onnx"
    champion = {"name": "churn-3", "artifact": {"uri": uri, "digest": digest, "size": len(content)}, **known}
    pod.document |= {"champion": champion}
    return pod


@pytest.fixture
def prepared(pod: Pod, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Gives a pod that has fetched and trained. The same data and settings do so once for all tests."""

    def prepare(frame: pd.DataFrame | None = None, gates: Sequence[Json] = (AUC,), **changes: Any) -> Pod:
        rows = numbers(ROWS) if frame is None else frame
        key = repr((rows.to_csv(), changes))
        if key not in DONE:
            DONE[key] = tmp_path_factory.mktemp("prepared")
            assert Pod(DONE[key]).given_rows(rows).given(**changes).through("fetch", "train").code == 0
        shutil.copytree(DONE[key], pod.root, dirs_exist_ok=True)
        return pod.given(gates=list(gates), **changes)

    return prepare


def published(pod: Pod, content: bytes, **known: Any) -> Json:
    """The evidence of the first gate with this champion."""
    evidence: Json = championed(pod, content, **known).run("publish").result["gates"][0]
    return evidence


def handmade(text: str) -> bytes:
    content: bytes = onnx.parser.parse_model(HEAD + text).SerializeToString()
    return content


def linear(*weights: float, **properties: str) -> bytes:
    """A model with one matrix as its input, of two classes, without a label."""
    width = len(weights)
    both = ", ".join(f"{-weight}, {weight}" for weight in weights)
    made = onnx.parser.parse_model(
        f"{HEAD} agraph (float[N,{width}] input) => (float[N,2] probabilities) "
        f"<float[{width},2] w = {{{both}}}> {{ z = MatMul(input, w) probabilities = Softmax(z) }}"
    )
    onnx.helper.set_model_props(made, {f"dev.modelwright.{key}": value for key, value in properties.items()})
    content: bytes = made.SerializeToString()
    return content


def test_a_model_is_as_good_as_itself(prepared: Prepared, trained: dict[str, bytes]) -> None:
    found = published(prepared(), trained["numbers"])
    assert (found["value"], found["low"], found["high"]) == (0, 0, 0)
    assert found["measured"] == found["reference"] > 0.9
    assert (found["against"], found["samples"]) == ("churn-3", 120)


def test_the_difference_has_the_sign_of_the_candidate(prepared: Prepared, trained: dict[str, bytes]) -> None:
    found = published(prepared(), trained["weak"])
    assert found["value"] == pytest.approx(found["measured"] - found["reference"], abs=1e-6)
    assert 0 < found["low"] < found["value"] < found["high"]


def test_both_are_drawn_together(prepared: Prepared, trained: dict[str, bytes]) -> None:
    """The interval of a difference is much narrower than those of the two models would make it."""
    alike = linear(1.0, 1.0, 1.0, 1.0, 0.9)
    gates = [AUC, {"name": "own", "metric": "roc_auc", "min": 0.5, "judgedBy": "Interval"}]
    both, own = championed(prepared(gates=gates), alike).run("publish").result["gates"]
    assert both["high"] - both["low"] < (own["high"] - own["low"]) / 2


def test_the_same_run_gives_the_same_bytes(prepared: Prepared, trained: dict[str, bytes]) -> None:
    pod = prepared()
    assert published(pod, trained["weak"]) == published(pod, trained["weak"])


def test_ratios_and_losses_are_compared_as_well(prepared: Prepared, trained: dict[str, bytes]) -> None:
    gates = [
        {"name": "ratio", "metric": "log_loss", "against": "Champion", "maxRatio": 1.1},
        {"name": "change", "metric": "log_loss", "against": "Champion", "maxChange": 0},
    ]
    ratio, change = championed(prepared(gates=gates), trained["weak"]).run("publish").result["gates"]
    assert ratio["value"] == pytest.approx(ratio["measured"] / ratio["reference"], rel=1e-5)
    assert 0 < ratio["low"] < ratio["value"] < ratio["high"] < 1
    assert change["high"] < 0


def test_without_a_champion_there_is_nothing_to_be_worse_than(prepared: Prepared) -> None:
    found = prepared().run("publish").result["gates"][0]
    assert found["reason"] == "NoChampion"
    assert "value" not in found


def test_a_slice_is_compared_by_its_rows(prepared: Prepared, trained: dict[str, bytes]) -> None:
    gate = {**AUC, "slice": {"plan": "pro"}}
    found = published(prepared(churn(ROWS), [gate]), trained["churn"])
    assert 20 < found["samples"] < 70
    assert "value" in found


def test_the_champion_may_take_fewer_columns_in_another_order(prepared: Prepared) -> None:
    """Two columns of five, by name, the other way round."""
    two = handmade(
        "agraph (float[N,1] x3, float[N,1] x1) => (float[N,2] probabilities) <float one = {1.0}> "
        "{ sum = Add(x3, x1) positive = Sigmoid(sum) negative = Sub(one, positive) "
        "probabilities = Concat<axis=1>(negative, positive) }"
    )
    found = published(prepared(), two)
    assert 0.6 < found["reference"] < 0.9


def test_the_champion_may_take_a_column_that_only_the_hold_out_has(
    prepared: Prepared, trained: dict[str, bytes]
) -> None:
    data = {"features": ["x0", "x1", "x2"], "holdout": {"extraColumns": ["x3", "x4"]}}
    found = published(prepared(data=data), trained["numbers"])
    assert found["high"] < 0


def test_a_text_of_the_hold_out_alone_may_be_missing(prepared: Prepared, trained: dict[str, bytes]) -> None:
    data = {"exclude": ["region"], "holdout": {"extraColumns": ["region"]}}
    assert "value" in published(prepared(churn(ROWS), data=data), trained["churn"])


def test_a_matrix_by_hand_is_taken_in_the_order_of_the_data_and_says_so(prepared: Prepared) -> None:
    found = published(prepared(), linear(1.0, 1.0, 1.0, 1.0, 1.0))
    assert found["reference"] > 0.95
    assert "does not name its columns: they are taken to be 'x0', 'x1'" in found["message"]


def test_a_matrix_that_names_its_columns_gets_those(prepared: Prepared) -> None:
    named = linear(1.0, 1.0, features='["x4", "x2"]')
    found = published(prepared(data={"features": ["x0", "x1", "x2", "x4"]}), named)
    assert 0.6 < found["reference"] < 0.9
    assert "does not name" not in found["message"]


def test_classes_in_another_order_are_the_same_classes(prepared: Prepared) -> None:
    """The first column is the probability of class 1."""
    turned = linear(-1.0, -1.0, -1.0, -1.0, -1.0, classes="[1, 0]", features='["x0", "x1", "x2", "x3", "x4"]')
    assert published(prepared(), turned)["reference"] > 0.95


def broken(content: bytes) -> bytes:
    return content[: len(content) // 2]


BAD: dict[str, tuple[Callable[[dict[str, bytes]], bytes], Json, str]] = {
    "another task": (lambda of: of["regression"], {}, "it is a model for regression, the candidate one for"),
    "no model": (lambda _: b"\x80\x04pickle me", {}, "cannot be parsed"),
    "half a file": (lambda of: broken(of["numbers"]), {}, "churn-3 cannot be compared"),
    "columns that are not there": (
        lambda of: of["numbers"],
        {"data": {"features": ["x0", "x1", "x2"]}},
        "it takes the columns 'x3', 'x4', which the hold-out does not have: name them in data.holdout.extraColumns",
    ),
    "the target": (
        lambda _: linear(1.0, 1.0, features='["x0", "y"]'),
        {},
        "the column 'y', which the hold-out does not have but as the target",
    ),
    "a matrix of another width": (lambda _: linear(1.0, 1.0), {}, "does not name its columns; the data has 5"),
    "other classes": (
        lambda _: linear(1.0, 1.0, 1.0, 1.0, 1.0, classes="[0, 2]"), {}, "it knows the classes '0', '2', the candidate"
    ),
    "labels of a class that nobody knows": (
        lambda _: handmade(
            "agraph (float[N,5] input) => (int64[N] label) { sum = ReduceSum<keepdims=0>(input, axes) "
            "whole = Ceil(sum) label = Cast<to=7>(whole) }".replace(
                "{ sum", "<int64[1] axes = {1}> { sum"
            )
        ),
        {},
        "it answers the classes",
    ),
    "no probabilities": (
        lambda _: handmade(
            "agraph (float[N,5] input) => (int64[N] label) <int64[1] axes = {1}, float zero = {0.0}> "
            "{ sum = ReduceSum<keepdims=0>(input, axes) more = Greater(sum, zero) label = Cast<to=7>(more) }"
        ),
        {},
        "churn-3 has no roc_auc: the model answers no probabilities",
    ),
    "an input of text": (
        lambda _: handmade("agraph (string[N,1] x0) => (string[N,1] label) { label = Identity(x0) }"), {}, "BYTES"
    ),
    "answers that are no numbers": (
        lambda _: handmade(
            "agraph (float[N,1] x0) => (float[N,1] probabilities) <float zero = {0.0}> "
            "{ probabilities = Div(x0, zero) }"
        ),
        {},
        "not a finite number",
    ),
    "far too much memory": (
        lambda _: handmade(
            "agraph (float[N,1] x0) => (float[N,1] probabilities) <int64[1] size = {900000000}, int64[1] axes = {0}> "
            "{ many = ConstantOfShape(size) one = ReduceSum<keepdims=1>(many, axes) probabilities = Add(x0, one) }"
        ),
        {},
        "memory",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_champion_that_cannot_be_compared(prepared: Prepared, trained: dict[str, bytes], name: str) -> None:
    content, changes, words = BAD[name]
    found = published(prepared(**changes), content(trained))
    assert (found["reason"], found.get("value")) == ("NotComparable", None)
    assert words in found["message"]
    assert "churn-3" in found["message"]


def test_a_champion_without_end_is_not_waited_for(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(champions, "SECONDS", 0.2)
    endless = handmade(
        "agraph (float[N,1] x0) => (float[N,1] value) <int64 most = {9223372036854775807}, bool yes = {1}> "
        "{ value = Loop(most, yes, x0) <body = once (int64 i, bool on, float[N,1] a) => (bool more, float[N,1] b) "
        "{ more = Identity(on) b = Sigmoid(a) }> }"
    )
    found = published(prepared(), endless)
    assert found["reason"] == "NotComparable"
    assert "takes more than 0.2 s" in found["message"]


def test_a_file_that_has_changed(prepared: Prepared, trained: dict[str, bytes]) -> None:
    pod = prepared()
    championed(pod, trained["numbers"])
    (file,) = pod.paths.champion.rglob("model.onnx")
    file.write_bytes(trained["three"])
    found = pod.run("publish").result["gates"][0]
    assert (found["reason"], "Either the file has changed" in found["message"]) == ("NotComparable", True)


def test_a_file_that_is_gone_and_a_claim_that_is_not_mounted(
    prepared: Prepared, trained: dict[str, bytes]
) -> None:
    pod = prepared()
    championed(pod, trained["numbers"])
    shutil.rmtree(pod.paths.champion / "churn")
    gone = pod.run("publish").result["gates"][0]
    assert "There is no file 'pvc://modelwright-artifacts/churn/" in gone["message"]
    pod.paths.champion.rmdir()
    other = pod.run("publish").result["gates"][0]
    assert other["reason"] == "NotComparable"
    assert (
        "only the claim of the candidate is mounted (pvc://modelwright-artifacts/churn)" in (other["message"])
    )


@pytest.mark.parametrize(
    "uri", ["hdfs://models/churn/model.onnx", "pvc://modelwright-artifacts/../../etc/passwd"]
)
def test_a_uri_that_leads_elsewhere(prepared: Prepared, trained: dict[str, bytes], uri: str) -> None:
    pod = prepared()
    championed(pod, trained["numbers"]).document["champion"]["artifact"]["uri"] = uri
    found = pod.run("publish").result["gates"][0]
    assert found["reason"] == "NotComparable"
    assert uri in found["message"]


def test_rows_that_the_champion_may_have_learnt_from_are_told_beside_the_value(
    prepared: Prepared, trained: dict[str, bytes]
) -> None:
    pod = prepared()
    championed(pod, trained["numbers"], data=f"sha256:{'a' * 64}", holdout={})
    found = pod.run("publish").result["gates"][0]
    assert found["reason"] == "HoldoutOverlap"
    assert "churn-3 was trained from other data" in found["message"]
    assert found["value"] == 0
    pod.document["champion"]["data"] = pod.source_facts["digest"]
    alike = pod.run("publish").result["gates"][0]
    assert alike.keys().isdisjoint({"reason", "message"})


def test_two_models_that_make_the_same_mistakes_are_not_certain_to_be_equal(prepared: Prepared) -> None:
    """No resample tells them apart, which 120 rows without a difference do not prove."""
    frame = numbers(ROWS).assign(y=lambda rows: (rows["x0"] > 0).astype(int))
    champion = linear(1.0, 0.0, 0.0, 0.0, 0.0)
    pod = prepared(frame, [{**AUC, "metric": "accuracy"}], estimator="sklearn.tree.DecisionTreeClassifier")
    found = published(pod, champion)
    assert found["measured"] == found["reference"] == 1
    # Wilson's interval of no mistake in 120 rows, for either model.
    assert (found["low"], found["value"], found["high"]) == (
        pytest.approx(-0.0310, abs=1e-4),
        0,
        -found["low"],
    )


LATENCY = {"name": "speed", "metric": "p50_latency_seconds"}


def test_a_latency_alone_and_beside_the_champion(prepared: Prepared, trained: dict[str, bytes]) -> None:
    gates = [
        {**LATENCY, "max": 1, "rows": 20},
        {**LATENCY, "name": "ratio", "against": "Champion", "maxRatio": 2},
        {
            **LATENCY,
            "name": "change",
            "metric": "p90_latency_seconds",
            "against": "Champion",
            "maxChange": 0.1,
        },
    ]
    pod = championed(prepared(gates=gates), trained["weak"])
    alone, ratio, change = pod.run("publish").result["gates"]
    assert 0 < alone["low"] <= alone["value"] <= alone["high"]
    assert alone["samples"] >= 30
    assert "shares its machine" in alone["message"]
    assert 0 < ratio["low"] <= ratio["value"] <= ratio["high"]
    assert {"measured", "reference", "against"} <= ratio.keys()
    assert abs(change["value"]) < 1


@pytest.mark.parametrize(
    ("gate", "reason", "words"),
    [
        ({"metric": "p42_latency_seconds", "max": 1}, "UnknownMetric", "'p50_latency_seconds'"),
        ({"against": "Baseline", "maxRatio": 2}, "MetricUndefined", "compared with that of the Champion"),
        ({"against": "Champion", "maxRatio": 2}, "NoChampion", "no version yet"),
    ],
)
def test_a_latency_that_is_not_measured(prepared: Prepared, gate: Json, reason: str, words: str) -> None:
    found = prepared(gates=[{**LATENCY, **gate}]).run("publish").result["gates"][0]
    assert (found["reason"], found.get("value")) == (reason, None)
    assert words in found["message"]


def test_a_model_of_one_row_at_once_has_no_latency_of_many(prepared: Prepared) -> None:
    one = handmade("agraph (float[1,1] x0) => (float[1,1] probabilities) { probabilities = Sigmoid(x0) }")
    gate = {**LATENCY, "rows": 20, "against": "Champion", "maxRatio": 2}
    found = published(prepared(gates=[gate]), one)
    assert (found["reason"], "takes one row at once, not 20" in found["message"]) == ("RowsUnsupported", True)
