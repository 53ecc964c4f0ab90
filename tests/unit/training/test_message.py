"""The step document always fits what Kubernetes keeps of a termination message."""

import hashlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.training.pod import Pod, numbers, schema

from modelwright.api.stepdocument import step_document
from modelwright.common.report import FileReport
from modelwright_training.message import LIMIT, Json, failure, success, unpacked

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=300)


def tensors(labels: list[str]) -> list[Json]:
    return [{"name": label, "datatype": "FP32", "shape": [-1, 1]} for label in labels]


def evaluation(labels: list[str]) -> Json:
    """As publish makes it for a classifier."""
    return {
        **({"positiveClass": labels[-1]} if len(labels) == 2 else {}),
        "averaging": "Binary" if len(labels) == 2 else "Macro",
        "trainRows": 123456,
        "holdoutRows": 12345,
        "baseline": {"label": labels[0]} if labels else {"mean": 0.123456, "median": 1.23456},
        "intervals": {"level": 0.95, "resamples": 1000, "unit": "Row"},
        "classes": [
            {
                "label": label,
                "trainRows": 1234,
                "holdoutRows": 1000 + place,
                "precision": 0.912345,
                "recall": 0.81234,
            }
            for place, label in enumerate(labels)
        ],
        "confusion": {"classes": labels, "counts": [[place] * len(labels) for place in range(len(labels))]},
        "thresholds": [
            {"threshold": place / 10, "share": 0.123456, "precision": 0.123456, "recall": 0.123456}
            for place in range(1, 10)
        ],
        "calibration": [{"predicted": 0.123456, "observed": 0.123456, "rows": 123} for _ in range(10)],
        "residuals": [{"quantile": 0.05, "value": -1.23456} for _ in range(7)],
        "notes": ["a note on the hold-out that has to be read " * 4] * 6,
    }


def opened(encoded: bytes) -> Json:
    """The document as the operator reads it."""
    document = json.loads(encoded)
    schema("step").validate(document)
    read = unpacked(document)
    schema("step").validate(read)
    assert step_document(encoded.decode()) == read
    return read


METRICS = [
    {"name": f"metric_{place}", "value": 0.123456, "low": 0.012345, "high": 0.234567, "baseline": 0.512345}
    for place in range(10)
]


def published(inputs: list[str], outputs: list[str], classes: list[str]) -> Json:
    digest = "sha256:" + "0" * 64
    signature = {"inputs": tensors(inputs), "outputs": tensors(outputs)} | (
        {"classes": classes} if classes else {}
    )
    positive = {"positiveClass": classes[-1]} if len(classes) == 2 else {}
    return {
        "artifact": {"uri": f"pvc://claim/{'prefix' * 30}/{digest}/model.onnx", "digest": digest, "size": 1},
        "task": "Classification",
        "metrics": [metric | positive for metric in METRICS],
        "evaluation": evaluation(classes),
        "parity": {"verdict": "Skipped", "compared": 0},
        "signature": signature,
        "libraries": {"onnx": "1.0"},
    }


@given(st.lists(names, max_size=40), st.lists(names, max_size=5), st.lists(names, max_size=40))
def test_a_result_fits_and_counts_what_it_leaves_out(
    inputs: list[str], outputs: list[str], classes: list[str]
) -> None:
    encoded = success("publish", published(inputs, outputs, classes))
    assert len(encoded) <= LIMIT
    document = opened(encoded)
    signature = document["result"]["signature"]
    if "truncated" in signature:
        assert (signature["inputCount"], signature["outputCount"]) == (len(inputs), len(outputs))
        assert signature["inputs"] == tensors(inputs)[: len(signature["inputs"])]
    else:
        assert len(signature["inputs"]) == len(inputs)


@pytest.mark.parametrize("length", [1, 20, 256, 5000])
@pytest.mark.parametrize("classes", [0, 2, 3, 10, 1000])
def test_metrics_survive_whatever_else_is_cut(classes: int, length: int) -> None:
    labels = [f"{place:04}".ljust(length, "ü") for place in range(classes)]
    encoded = success("publish", published(["x" * 300] * 40, ["label"], labels))
    assert len(encoded) <= LIMIT
    document = opened(encoded)
    kept = [
        {key: value for key, value in metric.items() if key != "positiveClass"}
        for metric in document["result"]["metrics"]
    ]
    assert kept == METRICS
    found = document["result"]["evaluation"]
    assert (found["trainRows"], found["holdoutRows"]) == (123456, 12345)
    if classes == 2:
        assert labels[-1].startswith(found["positiveClass"])
        assert len(found["positiveClass"]) >= min(length, 100)
    if classes == 1000:
        assert found["classCount"] == 1000
        assert found["truncated"] is True
        assert document["result"]["signature"]["classCount"] == 1000


def test_the_classes_with_most_rows_are_kept() -> None:
    labels = [f"class {place:04}" for place in range(1000)]
    found = opened(success("publish", published(["input"], ["label"], labels)))["result"]["evaluation"]
    kept = [entry["label"] for entry in found["classes"]]
    assert kept == labels[-len(kept) :]
    assert len(kept) >= 2


def test_a_model_of_thirty_columns_and_two_classes_keeps_all_its_tables() -> None:
    result = published([f"column {place}" for place in range(12)], ["label", "probabilities"], ["no", "yes"])
    result["evaluation"]["notes"] = result["evaluation"]["notes"][:1]
    result["evaluation"].pop("residuals")
    result["artifact"]["uri"] = "pvc://modelwright-artifacts/churn/sha256-" + "0" * 64 + "/model.onnx"
    found = opened(success("publish", result))["result"]
    assert found["evaluation"].keys() >= {"classes", "confusion", "thresholds"}
    assert "truncated" not in found["evaluation"] or "calibration" not in found["evaluation"]


@given(st.text(min_size=1, max_size=3000))
def test_a_failure_fits_whatever_its_message_holds(text: str) -> None:
    encoded = failure("train", "TrainingFailed", text)
    assert len(encoded) <= LIMIT
    schema("step").validate(json.loads(encoded))


def test_a_message_that_is_short_stays_as_it_is() -> None:
    text = 'Column "größe" holds 3 values.\nRow 1 …'
    assert json.loads(failure("fetch", "DataEmpty", text))["error"]["message"] == text


@pytest.mark.parametrize("mixed", [False, True])
def test_five_hundred_columns_fit(pod: Pod, mixed: bool) -> None:
    frame = numbers(60, 500).rename(
        columns=lambda name: f"a rather long name of column {name}" if name != "y" else name
    )
    if mixed:
        frame["plan"] = ["free", "pro"] * 30
    pod.given_rows(frame).given(estimator="sklearn.tree.DecisionTreeClassifier")
    signature = pod.through("fetch", "train", "publish").result["signature"]

    assert signature == pod.published("report")["signature"]
    assert len(signature["inputs"]) == (501 if mixed else 1)
    assert len(signature.get("features", ())) == (0 if mixed else 500)


def test_the_columns_that_do_not_fit_are_counted() -> None:
    inputs = [hashlib.sha256(str(place).encode()).hexdigest() for place in range(500)]
    signature = opened(success("publish", published(inputs, ["label"], [])))["result"]["signature"]
    assert (signature["truncated"], signature["inputCount"]) == (True, 500)
    assert signature["inputs"] == tensors(inputs)[: len(signature["inputs"])]


def gates(count: int, message: str) -> list[Json]:
    """Evidence with all that it can hold."""
    numbers = {
        "value": 0.123456,
        "low": 0.012345,
        "high": 0.234567,
        "measured": 0.612345,
        "reference": 0.512345,
    }
    return [
        {"name": f"gate-{place}", "metric": "roc_auc", **numbers, "samples": 1234, "message": message}
        for place in range(count)
    ]


def numbers_of(found: list[Json]) -> list[Json]:
    return [{key: value for key, value in each.items() if key != "message"} for each in found]


def test_a_small_result_is_plain() -> None:
    result = {"rows": {"train": 1, "holdout": 1}}
    assert json.loads(success("fetch", result)) == {"step": "fetch", "result": result}


def test_a_large_result_is_packed_whole() -> None:
    result = published([f"column {place}" for place in range(40)], ["label", "probabilities"], ["no", "yes"])
    result |= {"gates": gates(8, "short")}
    encoded = success("publish", result)
    assert "packed" in json.loads(encoded)
    assert opened(encoded)["result"] == result


@pytest.mark.parametrize("labels", [2, 1000])
def test_tables_are_cut_before_the_evidence_of_gates(labels: int) -> None:
    random = np.random.default_rng(0)
    names = [
        "".join(random.choice(list("abcdefghijklmnopqrstuvwxyz0123456789"), 60)) for _ in range(labels + 300)
    ]
    result = published(names[labels:], ["label"], names[:labels]) | {"gates": gates(34, "short")}
    found = opened(success("publish", result))["result"]
    assert found["signature"]["truncated"] is True
    assert numbers_of(found["gates"]) == numbers_of(result["gates"])


def test_the_numbers_of_gates_survive_their_messages() -> None:
    random = np.random.default_rng(0)
    result = published(["x"], ["label"], ["no", "yes"]) | {"gates": gates(34, "short")}
    for found in result["gates"]:
        found["message"] = "".join(chr(code) for code in random.integers(0x4E00, 0x9FFF, 1000))
    found = opened(success("publish", result))["result"]
    assert numbers_of(found["gates"]) == numbers_of(result["gates"])
    assert found["metrics"]


def test_a_status_holds_all_of_a_packed_result() -> None:
    labels = [f"class {place:04}" for place in range(3000)]
    result = published([f"x{place}" for place in range(2000)], ["label"], labels)
    found = opened(success("publish", result))["result"]
    assert FileReport.model_validate(found).signature.class_count == 3000


LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def letters(random: np.random.Generator, length: int) -> str:
    return "".join(random.choice(list(LETTERS), length))


def largest_result(seed: int, count: int, metric_length: int) -> Json:
    """As much as the CRDs allow, with names that hardly can be packed."""
    random = np.random.default_rng(seed)
    result = published([letters(random, 63) for _ in range(40)], ["label"], ["no", "yes"])
    result["gates"] = [
        {
            **found,
            "name": letters(random, 63),
            "metric": letters(random, metric_length) if metric_length else "roc_auc",
            **{
                key: float(f"{random.random():.6g}")
                for key in ("value", "low", "high", "measured", "reference")
            },
        }
        for found in gates(count, letters(random, 500))
    ]
    result["metrics"] += [
        {"name": f"m{letters(random, 62)}", "value": 0.5, "source": "Reported"} for _ in range(30)
    ]
    result["fairness"] = [{"feature": letters(random, 256), "groups": []} for _ in range(8)]
    result["libraries"] = {letters(random, 64): letters(random, 64) for _ in range(64)}
    return result


@pytest.mark.parametrize(("count", "metric_length"), [(36, 128), (36, 63), (36, 0)])
@pytest.mark.parametrize("seed", range(2))
def test_whatever_the_names_are_it_fits(seed: int, count: int, metric_length: int) -> None:
    result = largest_result(seed, count, metric_length)
    found = opened(success("publish", result))["result"]
    given = {each["name"]: each for each in result["gates"]}
    for each in found["gates"]:
        assert each.items() <= given[each["name"]].items()
    values = [(metric["name"], metric["value"]) for metric in METRICS]
    assert [(metric["name"], metric["value"]) for metric in found["metrics"]][: len(METRICS)] == values
    if metric_length == 0:
        judged = ("name", "metric", "value", "low", "high", "samples")
        assert [[each[key] for key in judged] for each in found["gates"]] == [
            [each[key] for key in judged] for each in result["gates"]
        ]
