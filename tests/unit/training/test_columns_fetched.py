"""What fetch makes of columns: which are learnt from, how they are stored, what it notes and what it refuses."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from unit.training.pod import Json, Pod, numbers

from modelwright_training import fetch

CASES = Path(__file__).parent / "cases"


def case(pod: Pod, name: str, target: str, **data: Any) -> Pod:
    """The pod with the data of a case."""
    shutil.copy(CASES / name, pod.paths.source / name)
    return pod.given(data={"uri": f"pvc://lake/{name}", "target": target} | data)


def rows(pod: Pod) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(pod.paths.train_rows), pd.read_parquet(pod.paths.holdout_rows)])


def features(pod: Pod) -> dict[str, Json]:
    return {feature["name"]: feature for feature in pod.dataset["features"]}


def given(pod: Pod, frame: dict[str, Any], **data: Any) -> Pod:
    """The pod with a Parquet file, to which a target is added."""
    length = len(next(iter(frame.values())))
    table = pa.table({"y": ["no", "yes"] * (length // 2) + ["no"] * (length % 2)} | frame)
    pyarrow.parquet.write_table(table, pod.paths.source / "rows.parquet")
    return pod.given(data={"uri": "pvc://lake/rows.parquet"} | data)


BIG = [9007199254740993, 1234567890123456781, 1234567890123456999]


def test_classes_of_nineteen_digits_stay_as_they_are(pod: Pod) -> None:
    ending = case(pod, "big-integers.csv", "sku").through("fetch", "train", "publish")
    assert pod.dataset["classes"] == BIG
    assert ending.result["signature"]["classes"] == BIG
    assert set(rows(pod)["sku"]) == set(BIG)


def test_classes_of_nineteen_digits_stay_as_they_are_in_parquet(pod: Pod) -> None:
    given(pod, {"x": np.arange(60) % 7, "y": np.tile(np.array(BIG), 20)}).run("fetch")
    assert pod.dataset["classes"] == BIG
    given(pod, {"x": np.arange(60) % 7, "y": np.tile(np.array([1, 2**63 + 1], dtype=np.uint64), 30)}).run(
        "fetch"
    )
    assert pod.dataset["classes"] == ["1", "9223372036854775809"]


def test_an_order_number_beyond_float64_is_an_identifier(pod: Pod) -> None:
    result = case(pod, "big-integers.parquet", "label").run("fetch").result
    assert list(features(pod)) == ["amount"]
    assert (
        "left out as identifiers: 'order_id' (40 different numbers of 16 digits or more)" in result["notes"]
    )


def test_a_question_as_a_name_is_refused_before_anything_is_trained(pod: Pod) -> None:
    ending = case(pod, "long-header.csv", "again").run("fetch")
    assert ending.reason == "NameUnsuitable"
    assert "'How satisfied were you" in ending.message
    assert "328 characters, 256 is the limit" in ending.message


def test_decimal_commas_are_learnt_from_as_numbers(pod: Pod) -> None:
    ending = case(pod, "decimal-comma.csv", "gekauft").through("fetch", "train", "publish")
    assert features(pod) == {name: {"name": name, "kind": "numeric"} for name in ("preis", "menge")}
    assert {metric["name"]: metric["value"] for metric in ending.result["metrics"]}["accuracy"] == 1
    result = pod.run("fetch").result
    assert "'preis' read with decimal commas: callers send 19.55 for '19,55'" in result["notes"]


def test_a_target_with_decimal_commas_is_a_quantity(pod: Pod) -> None:
    case(pod, "decimal-comma.csv", "preis")
    pod.document["trainer"]["sklearn"]["estimator"] = "sklearn.linear_model.Ridge"
    assert pod.run("fetch").result["notes"] == [
        "'preis' read with decimal commas: the model answers 19.55 for '19,55'"
    ]
    assert rows(pod)["preis"].max() == 99.91


def test_classes_that_may_be_mistakes_are_noted(pod: Pod) -> None:
    labels = ["Yes", "yes", "no", "NA"] * 20
    result = given(pod, {"y": labels, "x": [float(n * 7 % 31) / 2 for n in range(80)]}).run("fetch").result
    assert (
        "'NA' is a class of 'y': if it stands for a missing target, leave these rows out" in result["notes"]
    )
    assert "classes that differ only in letter case are different: 'Yes' and 'yes'" in result["notes"]


def test_columns_of_one_value_are_noted(pod: Pod) -> None:
    frame = {
        "same": ["a"] * 40, "seven": [7] * 40, "none": [None] * 40, "flag": [1, None] * 20,
        "x": [float(n * 7 % 31) / 2 for n in range(40)],
    }  # fmt: skip
    note = "one value, or none, in all rows, so nothing is learnt from: 'same', 'seven', 'none', 'flag'"
    assert note in given(pod, frame).run("fetch").result["notes"]


def test_a_unix_time_is_given_an_offset_and_noted(pod: Pod) -> None:
    result = case(pod, "timestamp.csv", "label").run("fetch").result
    assert features(pod)["ts"] == {"name": "ts", "kind": "numeric", "datatype": "FP64", "offset": 1700000000}
    note = "'ts': float32 tells 29 of its 281 values apart; with 1700000000 subtracted 281. Callers send FP64"
    assert note in result["notes"]


def test_whole_numbers_beyond_float64_are_stored_as_they_are(pod: Pod) -> None:
    wide = 2**60 + np.arange(60) // 2
    assert given(pod, {"x": wide}).run("fetch").code == 0
    assert features(pod)["x"] == {"name": "x", "kind": "numeric", "datatype": "INT64", "offset": 2**60}
    assert sorted(rows(pod)["x"]) == wide.tolist()


def test_missing_values_beside_whole_numbers_beyond_float64_are_refused(pod: Pod) -> None:
    wide = [2**60 + place // 2 for place in range(59)]
    ending = given(pod, {"x": [*wide, None]}).run("fetch")
    assert ending.reason == "ValueOutOfRange"
    assert (
        "'x' holds missing values and whole numbers beyond 2^53, of which float64 tells 1 of 30 apart"
        in ending.message
    )


def test_missing_values_beside_what_float64_tells_apart_are_kept(pod: Pod) -> None:
    wide = [2**60 + 2**10 * (place // 2) for place in range(59)]
    assert given(pod, {"x": [*wide, None]}).run("fetch").code == 0
    assert features(pod)["x"]["datatype"] == "FP64"
    assert rows(pod)["x"].isna().sum() == 1
    assert set(rows(pod)["x"].dropna()) == {float(value) for value in wide}


@pytest.mark.parametrize(
    ("name", "column", "why"),
    [
        ("text", [f"C{row:05}" for row in range(100)], "100 different texts in 100 rows"),
        ("nearly", [f"C{row}" for row in range(95)] + ["C1"] * 5, "95 different texts in 100 rows"),
        ("counter", list(range(1, 101)), "it counts the rows from 1 to 100"),
        ("float", [float(row) for row in range(100)], "it counts the rows from 0 to 99"),
        (
            "long",
            [10**11 + 7919 * row % 10**10 for row in range(100)],
            "100 different numbers of 12 digits or more",
        ),
    ],
)
def test_identifiers_are_left_out_and_noted(pod: Pod, name: str, column: list[Any], why: str) -> None:
    frame = {"x": [row % 7 for row in range(100)], name: column}
    assert given(pod, frame).run("fetch").result["notes"] == [f"left out as identifiers: {name!r} ({why})"]
    assert list(features(pod)) == ["x"]

    ending = given(pod, frame, features=["x", name]).run("fetch")
    assert (ending.reason, why in ending.message) == ("IdentifierColumn", True)


@pytest.mark.parametrize(
    "column",
    [
        pytest.param([f"C{row}" for row in range(19)], id="texts of a small table"),
        pytest.param([f"C{row % 80}" for row in range(100)], id="texts that repeat"),
        pytest.param(list(range(60)), id="a counter of a small table"),
        pytest.param([row * row for row in range(100)], id="different quantities"),
        pytest.param(list(range(100))[::-1], id="descending numbers"),
        pytest.param([row + 0.5 for row in range(100)], id="different measurements"),
        pytest.param([1_700_000_000 + 977 * row for row in range(100)], id="Unix times"),
        pytest.param([1_700_000_000_123 + 977 * row for row in range(100)], id="Unix times in milliseconds"),
    ],
)
def test_columns_that_only_look_like_identifiers_are_kept(pod: Pod, column: list[Any]) -> None:
    assert given(pod, {"x": column}).run("fetch").code == 0
    assert list(features(pod)) == ["x"]


def test_a_schema_keeps_a_counter(pod: Pod) -> None:
    assert given(pod, {"x": list(range(100))}, schema={"x": {"type": "integer"}}).run("fetch").code == 0
    assert list(features(pod)) == ["x"]


def test_nothing_but_identifiers_is_refused_with_all_names(pod: Pod) -> None:
    frame = {"id": list(range(100)), "key": [f"C{row}" for row in range(100)]}
    ending = given(pod, frame).run("fetch")
    assert ending.reason == "FeatureMissing"
    assert "'id'" in ending.message
    assert "'key'" in ending.message


def test_rare_texts_of_many_are_alike(pod: Pod) -> None:
    texts = [f"shop {row % 20}" for row in range(1000)] + [f"rare {row // 2}" for row in range(2400)]
    result = given(pod, {"shop": texts}).run("fetch").result
    assert features(pod)["shop"]["categories"] == sorted(f"shop {row}" for row in range(20))
    assert "'shop': 20 of 1220 texts are told apart, the rare ones are alike" in result["notes"]
    assert set(rows(pod)["shop"]) == set(texts)


def test_at_most_a_thousand_texts_are_told_apart(pod: Pod) -> None:
    texts = [f"{row % 1100:04}-" for row in range(11000)] + ["1099-"] * 100
    assert given(pod, {"x": texts}).run("fetch").code == 0
    assert features(pod)["x"]["categories"] == [*(f"{row:04}-" for row in range(999)), "1099-"]


def test_columns_are_excluded(pod: Pod) -> None:
    pod.given_rows(numbers(columns=3)).given(data={"exclude": ["x1"]}).run("fetch")
    assert list(features(pod)) == ["x0", "x2"]
    ending = pod.given(data={"exclude": ["x_1"]}).run("fetch")
    assert ending.reason == "FeatureMissing"
    assert "data.exclude" in ending.message
    assert "Did you mean 'x1'" in ending.message


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["True", "False"], ["False", "True"]),
        (["TRUE", "true", "false"], ["false", "true"]),
        (["yes", "no"], ["no", "yes"]),
        (["01", "02"], ["01", "02"]),
        (["7", "7.0", "+8"], [7, 8]),
        (["5 €", "10 €"], ["10 €", "5 €"]),
        (["12345678901234567890", "1"], ["1", "12345678901234567890"]),
        ([" yes", "yes ", "no"], ["no", "yes"]),
        ([True, False], ["false", "true"]),
        ([1.0, 2.0], [1, 2]),
    ],
)
def test_classes_are_as_the_file_has_them(pod: Pod, labels: list[Any], classes: list[Any]) -> None:
    column = [labels[row % len(labels)] for row in range(60)]
    if isinstance(labels[0], str):
        pod.given_csv("x,y\n" + "".join(f"{row % 7},{label}\n" for row, label in enumerate(column)))
        assert pod.run("fetch").code == 0
    else:
        assert given(pod, {"x": [row % 7 for row in range(60)], "y": column}).run("fetch").code == 0
    assert pod.dataset["classes"] == classes
    assert set(rows(pod)["y"]) == set(classes)


def test_a_model_answers_the_labels_of_a_flag(pod: Pod) -> None:
    frame = numbers().assign(y=lambda frame: frame["y"] == 1)
    ending = pod.given_rows(frame).through("fetch", "train", "publish")
    assert pod.dataset["positiveClass"] == "True"
    assert ending.result["signature"]["classes"] == ["False", "True"]


@pytest.mark.parametrize(
    ("labels", "asked", "positive"),
    [
        (["yes", "no"], None, "yes"),
        ([0, 1], None, 1),
        (["True", "False"], None, "True"),
        (["stays", "leaves", "stays"], None, "leaves"),
        (["fraud", "ok", "ok"], None, "fraud"),
        (["a", "b"], None, "b"),
        (["a", "b"], "a", "a"),
        ([0, 1], 0, 0),
        ([0, 1], "0", 0),
        (["a", "b", "c"], None, None),
    ],
)
def test_the_positive_class_is_asked_for_or_the_rarer(
    pod: Pod, labels: list[Any], asked: str | int | None, positive: str | int | None
) -> None:
    frame = pd.DataFrame({"x": np.arange(60) % 7, "y": [labels[row % len(labels)] for row in range(60)]})
    data = {} if asked is None else {"positiveClass": asked}
    assert pod.given_rows(frame).given(data=data).run("fetch").code == 0
    assert pod.dataset.get("positiveClass") == positive


def test_a_positive_class_that_is_none_of_two_is_refused(pod: Pod) -> None:
    frame = pd.DataFrame({"x": np.arange(60) % 7, "y": ["left", "stayed"] * 30})
    ending = pod.given_rows(frame).given(data={"positiveClass": "stay"}).run("fetch")
    assert ending.reason == "PositiveClassUnknown"
    assert "Did you mean 'stayed'" in ending.message
    ending = (
        pod.given_rows(frame.assign(y=["a", "b", "c"] * 20)).given(data={"positiveClass": "a"}).run("fetch")
    )
    assert "is for two classes, but the target has 3" in ending.message
    pod.given_rows(numbers()).given(data={"positiveClass": 1}, estimator="sklearn.linear_model.Ridge")
    assert "is for classification" in pod.run("fetch").message


def test_weights_are_stored_behind_the_target_and_are_no_feature(pod: Pod) -> None:
    frame = numbers(60).assign(w=np.arange(60.0))
    assert pod.given_rows(frame).given(data={"weight": "w"}).run("fetch").code == 0
    assert pod.dataset["weight"] == "w"
    assert "w" not in features(pod)
    train = pd.read_parquet(pod.paths.train_rows)
    assert list(train.columns)[-2:] == ["y", "w"]
    assert train["x0"].map(frame.set_index("x0")["w"]).tolist() == train["w"].tolist()
    assert "w" not in pd.read_parquet(pod.paths.holdout_rows)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ([-1.0, *[1.0] * 59], "row 1 with -1"),
        ([1.0, np.nan, *[1.0] * 58], "row 2 with a missing value"),
        ([np.inf, *[1.0] * 59], "row 1 with inf"),
        ([0.0] * 60, "all are 0"),
        (["heavy", "light"] * 30, "text such as 'heavy'"),
    ],
)
def test_weights_that_cannot_weigh_are_refused(pod: Pod, weights: list[Any], words: str) -> None:
    ending = pod.given_rows(numbers(60).assign(w=weights)).given(data={"weight": "w"}).run("fetch")
    assert ending.reason == "WeightUnsuitable"
    assert words in ending.message


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a" * 257], "of 257 characters"),
        (["a\x07b"], "with control characters"),
        (["größe", "gro\u0308ße"], "look the same"),
        (["net  income", "net income"], "look the same"),
        (["a" * 300, "b" * 300], "'bbbb"),
    ],
)
def test_names_that_cannot_be_told_or_held_are_refused(pod: Pod, names: list[str], words: str) -> None:
    ending = given(pod, {name: [row % 7 for row in range(60)] for name in names}).run("fetch")
    assert ending.reason == "NameUnsuitable"
    assert words in ending.message


@pytest.mark.parametrize(
    "name", ["a" * 256, "\U0001f600" * 256, "line\nbreak", 'say "x", y', "größe (€)", "a\tb"]
)
def test_other_names_reach_the_signature(pod: Pod, name: str) -> None:
    frame = {name: [row % 7 for row in range(60)], "plan": ["a", "b", "c"] * 20}
    ending = given(pod, frame).through("fetch", "train", "publish")
    assert name in [tensor["name"] for tensor in ending.result["signature"]["inputs"]]


def test_long_labels_and_categories_are_refused(pod: Pod) -> None:
    frame = {"x": [row % 7 for row in range(60)], "y": ["a" * 257, "b"] * 30}
    assert given(pod, frame).run("fetch").reason == "NameUnsuitable"
    ending = given(pod, {"x": ["a" * 257, "b"] * 30}).run("fetch")
    assert ending.reason == "NameUnsuitable"
    assert "1 categories of more than 256 characters" in ending.message


def test_more_features_than_the_api_holds_are_refused(pod: Pod) -> None:
    ending = given(pod, {f"x{place}": [1, 2] * 10 for place in range(1025)}).run("fetch")
    assert ending.reason == "TooManyFeatures"


def test_text_that_looks_like_numbers_is_noted(pod: Pod) -> None:
    result = given(pod, {"x": ["1", "2", "3"] * 20}).run("fetch").result
    assert "learnt as categories, though their cells look like numbers: 'x'" in result["notes"]


def test_dates_and_natural_text_are_learnt_from(pod: Pod) -> None:
    random = np.random.default_rng(0)
    days = [f"2026-{month:02}-{day:02}" for month in range(1, 13) for day in range(1, 26)]
    moods = ["a very good day for everybody", "what a bad day it was again"]
    frame = pd.DataFrame({"day": days, "x": random.normal(size=300), "y": random.integers(0, 2, 300)})
    frame["remark"] = [
        f"{moods[label]} {random.choice(['today', 'indeed', 'here'])} {row}"
        for row, label in enumerate(frame["y"])
    ]
    ending = pod.given_rows(frame).through("fetch", "train", "publish")
    assert {metric["name"]: metric["value"] for metric in ending.result["metrics"]}["accuracy"] == 1
    assert {name: feature["kind"] for name, feature in features(pod).items()} == {
        "day": "date",
        "x": "numeric",
        "remark": "text",
    }
    assert features(pod)["day"]["format"] == "YYYY-MM-DD"
    assert features(pod)["day"]["offset"] == 20632
    assert pod.run("fetch").result["notes"] == ["Column 'remark' is text: the model counts its words."]


def test_dates_are_classes_as_they_are_written(pod: Pod) -> None:
    pod.given_csv("x,y\n" + "".join(f"{row % 7},2026-01-0{1 + row % 2}\n" for row in range(60)))
    assert pod.run("fetch").code == 0
    assert pod.dataset["classes"] == ["2026-01-01", "2026-01-02"]


def test_a_rare_text_is_no_category_of_the_model(pod: Pod) -> None:
    shops = [f"shop {row % 20}" for row in range(400)] + [f"rare {row // 2}" for row in range(2400)]
    frame = pd.DataFrame({"shop": shops, "x": np.arange(2800) % 7 / 2, "y": np.arange(2800) % 2})
    assert pod.given_rows(frame).through("fetch", "train", "publish").code == 0
    model = onnx.load(pod.paths.model_file)
    known = {
        text.decode()
        for node in model.graph.node
        for attribute in node.attribute
        for text in attribute.strings
    }
    assert {f"shop {row}" for row in range(20)} <= known
    assert not any(text.startswith("rare") for text in known)


def test_rows_are_written_in_parts(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "ROW_GROUP", 100)
    frame = numbers(730).assign(row=np.arange(730) + 0.5)
    assert pod.given_rows(frame).run("fetch").code == 0
    train = pd.read_parquet(pod.paths.train_rows)
    assert (len(train), train["row"].is_monotonic_increasing) == (584, True)
    assert sorted([*train["row"], *pd.read_parquet(pod.paths.holdout_rows)["row"]]) == frame["row"].tolist()


def test_classes_that_look_the_same_are_refused(pod: Pod) -> None:
    frame = {"x": [row % 7 for row in range(60)], "y": ["größe", "gro\u0308ße", "x"] * 20}
    ending = given(pod, frame).run("fetch")
    assert ending.reason == "NameUnsuitable"
    assert "look the same" in ending.message


def test_a_label_of_blanks_is_missing(pod: Pod) -> None:
    ending = given(pod, {"x": [row % 7 for row in range(60)], "y": ["a", "b", "  "] * 20}).run("fetch")
    assert ending.reason == "TargetHasMissingValues"
    assert "the first is row 3" in ending.message


def test_codes_that_become_numbers_and_blanks_in_categories_are_noted(pod: Pod) -> None:
    lines = [f"{row % 9:02},{' ' * (row % 2)}a,{row % 2}" for row in range(60)]
    result = pod.given_csv("zip,plan,y\n" + "\n".join(lines)).run("fetch").result
    assert result["notes"][-2:] == [
        "numbers, though cells begin with 0, which type: string keeps: 'zip'",
        "categories that differ only in blanks are different: 'plan'",
    ]


def test_points_that_may_stand_between_thousands_are_noted_in_a_file_with_semicolons(pod: Pod) -> None:
    lines = [f"{1 + row % 9}.{100 + row};{row % 9}.5;{row % 2}" for row in range(60)]
    result = pod.given_csv("a;b;y\n" + "\n".join(lines)).given(data={"exclude": ["b"]}).run("fetch").result
    why = "as no other column has decimal commas"
    assert result["notes"] == [f"'a' read with decimal points, {why}: callers send 1.1 for '1.100'"]
    assert pod.given().run("fetch").result["notes"] == []
