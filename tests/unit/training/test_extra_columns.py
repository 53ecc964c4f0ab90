"""Columns that gates need and nothing is learnt from (data.holdout.extraColumns)."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from unit.training.pod import Json, Pod, numbers


def people(rows: int = 300, seed: int = 0) -> pd.DataFrame:
    """Numbers and two classes, with who the people are: in words, in codes, and with gaps."""
    random = np.random.default_rng(seed)
    return numbers(rows, 3, seed).assign(
        gender=random.choice(["f", "m", ""], rows),
        area=random.choice(["007", "010", "100"], rows),
        disabled=random.choice([0, 1], rows),
        number=[f"person {row:05}" for row in range(rows)],
        born=pd.date_range("1950-01-01", periods=rows).strftime("%d.%m.%Y"),
    )


EXTRA = ["gender", "area", "disabled", "number", "born"]


def held(pod: Pod) -> pd.DataFrame:
    return pd.read_parquet(pod.paths.holdout_rows)


def holdout(**fields: object) -> Json:
    return {"holdout": {"extraColumns": EXTRA, **fields}}


@pytest.mark.parametrize("file", ["rows.csv", "rows.parquet"])
def test_columns_of_gates_reach_the_holdout_as_they_are_and_nothing_else(pod: Pod, file: str) -> None:
    frame = people()
    data = {"uri": f"pvc://lake/{file}", **holdout()}
    assert pod.given_rows(frame, file).given(data=data).through("fetch", "train", "publish").code == 0

    rows = held(pod)
    assert list(rows) == ["x0", "x1", "x2", "y", *EXTRA]
    source = frame.set_index("number").loc[rows["number"]]
    assert rows["gender"].fillna("").tolist() == source["gender"].tolist()
    assert rows["area"].tolist() == source["area"].tolist()
    assert rows["disabled"].tolist() == source["disabled"].tolist()
    assert rows["born"].tolist() == source["born"].tolist()
    assert rows["disabled"].dtype == np.int64
    assert list(pd.read_parquet(pod.paths.train_rows)) == ["x0", "x1", "x2", "y"]
    for name in EXTRA:
        assert name not in pod.paths.dataset.read_text()


def test_the_same_rows_are_held_out_with_columns_for_gates_and_without(tmp_path: Path) -> None:
    plain = people()[["x0", "x1", "x2", "y"]]
    for split in ("Random", "Stable"):
        found = []
        for name, frame, extra in (("with", people(), EXTRA), ("without", plain, [])):
            pod = Pod(tmp_path / split / name).given_rows(frame)
            data = {"holdout": {"split": split, **({"extraColumns": extra} if extra else {})}}
            assert pod.given(data=data).run("fetch").code == 0
            found.append(held(pod)["x0"].tolist())
        assert found[0] == found[1]


@pytest.mark.parametrize(
    "fields",
    [
        {"group": "area"},
        {"group": "gender_of_house", "extraColumns": ["gender_of_house", "disabled"]},
        {"after": {"column": "second", "value": "200"}, "extraColumns": ["second", "gender"]},
        {"split": "Stable", "key": "number"},
    ],
)
def test_a_column_of_a_gate_may_also_divide_the_rows(pod: Pod, fields: Json) -> None:
    frame = people().assign(gender_of_house=[row // 5 for row in range(300)], second=range(300))
    data = {"exclude": ["number", "born"], **holdout(**fields)}
    assert pod.given_rows(frame).given(data=data).run("fetch").code == 0
    extra = data["holdout"]["extraColumns"]
    rows = held(pod)
    assert set(extra) <= set(rows)
    assert not set(extra) & {feature["name"] for feature in pod.dataset["features"]}
    assert len(set(rows.columns)) == len(rows.columns)
    if "second" in extra:
        assert rows["second"].tolist() == list(range(200, 300))


def test_a_sample_of_the_rows_keeps_them_together(pod: Pod) -> None:
    frame = people(1000).assign(copy=lambda rows: rows["x0"])
    data = {"sample": {"rows": 100}, "exclude": EXTRA, "holdout": {"extraColumns": ["copy"]}}
    assert pod.given_rows(frame).given(data=data).run("fetch").code == 0
    rows = held(pod)
    assert len(rows) == 20
    assert rows["copy"].tolist() == rows["x0"].tolist()


def own(pod: Pod, data: pd.DataFrame, later: pd.DataFrame, **fields: object) -> Pod:
    later.to_csv(pod.paths.source_holdout / "later.csv", index=False)
    return pod.given_rows(data).given(
        data={"holdout": {"uri": "pvc://lake/later.csv", "extraColumns": EXTRA}, **fields}
    )


@pytest.mark.parametrize("both", [True, False])
def test_only_a_holdout_of_ones_own_needs_to_have_them(pod: Pod, both: bool) -> None:
    data, later = people(200), people(50, seed=1)
    fields = {"features": ["x0", "x1"]} if both else {}
    ending = own(pod, data if both else data.drop(columns=EXTRA), later, **fields).run("fetch")
    assert ending.code == 0
    rows = held(pod)
    assert rows["number"].tolist() == later["number"].tolist()
    assert rows["disabled"].tolist() == later["disabled"].tolist()
    assert not any("not used" in note for note in ending.result["notes"])


def test_a_holdout_of_ones_own_without_them_is_refused(pod: Pod) -> None:
    later = people(50, seed=1).rename(columns={"gender": "genders"}).drop(columns=["born", "x2"])
    ending = own(pod, people(200), later).run("fetch")
    assert ending.reason == "HoldoutUnsuitable"
    assert "lacks columns of the data: 'x2' and columns of data.holdout.extraColumns: 'gender', 'born'" in (
        ending.message
    )
    assert "Did you mean 'genders'?" in ending.message


def test_all_columns_that_are_not_there_are_told_at_once(pod: Pod) -> None:
    data = {"weight": "wait", "holdout": {"extraColumns": ["Gender", "bron", "area"]}}
    ending = pod.given_rows(people()).given(data=data).run("fetch")
    assert ending.reason == "FeatureMissing"
    for text in (
        "data.weight names 'wait'",
        "data.holdout.extraColumns names 'Gender', 'bron'",
        "Did you mean 'gender'?",
        "Did you mean 'born'?",
    ):
        assert text in ending.message


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"holdout": {"extraColumns": ["gender", "y"]}}, "extraColumns names the target 'y'"),
        ({"holdout": {"extraColumns": ["gender", "gender"]}}, "names a column twice"),
        (
            {"features": ["x0", "gender"], "holdout": {"extraColumns": ["gender"]}},
            "both name 'gender': a gate can use a feature without its being in holdout.extraColumns",
        ),
        ({"weight": "disabled", "holdout": {"extraColumns": ["disabled"]}}, "names the weight 'disabled'"),
    ],
)
def test_a_column_with_two_roles_is_refused(pod: Pod, data: Json, text: str) -> None:
    ending = pod.given_rows(people()).given(data=data).run("fetch")
    assert ending.reason == "DocumentInvalid"
    assert text in ending.message


def test_a_rule_of_the_schema_holds_for_them_too(pod: Pod, tmp_path: Path) -> None:
    ruled = {**holdout(), "schema": {"disabled": {"values": ["0"]}, "x0": {"type": "number"}}}
    ending = pod.given_rows(people()).given(data=ruled).run("fetch")
    assert ending.reason == "SchemaViolation"
    assert "'disabled'" in ending.message

    as_text = {**holdout(), "schema": {"disabled": {"type": "string"}}}
    assert pod.given(data=as_text).run("fetch").code == 0
    assert set(held(pod)["disabled"]) == {"0", "1"}

    pod = own(Pod(tmp_path / "own"), people(200).drop(columns=EXTRA), people(50, 1), schema=ruled["schema"])
    ending = pod.run("fetch")
    assert ending.reason == "SchemaViolation"
    assert "data.holdout.uri" in ending.message


def test_flags_and_times_of_parquet_are_texts_and_lists_are_refused(pod: Pod) -> None:
    frame = people().assign(
        flag=pd.Series([True, None, False] * 100),
        seen=pd.Timestamp("2026-01-02"),
        tags=pd.Series([["a"]] * 300),
    )
    data = {
        "uri": "pvc://lake/rows.parquet",
        "features": ["x0"],
        "holdout": {"extraColumns": ["flag", "seen"]},
    }
    assert pod.given_rows(frame, "rows.parquet").given(data=data).run("fetch").code == 0
    rows = held(pod)
    assert set(rows["flag"].fillna("-")) == {"true", "-", "false"}
    assert rows["seen"].iloc[0].startswith("2026-01-02")

    data["holdout"] = {"extraColumns": ["tags", "flag"]}
    ending = pod.given(data=data).run("fetch")
    assert ending.reason == "ColumnUnsupported"
    assert "'tags' (data.holdout.extraColumns) is of type list" in ending.message


def test_a_column_without_any_value_is_kept(pod: Pod) -> None:
    data = {"exclude": EXTRA, "holdout": {"extraColumns": ["nothing"]}}
    assert pod.given_rows(people().assign(nothing="")).given(data=data).run("fetch").code == 0
    assert held(pod)["nothing"].isna().all()


def test_nothing_of_them_is_in_what_the_trainer_reads(pod: Pod) -> None:
    frame = people().assign(gender="sevenofnine")
    pod.given_rows(frame).given(data=holdout()).run("fetch")
    for path in pod.paths.train.rglob("*"):
        assert b"sevenofnine" not in path.read_bytes()
    assert "sevenofnine" in json.dumps(held(pod)["gender"].tolist())
