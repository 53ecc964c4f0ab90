"""What fetch makes of data: kinds of columns, tasks, the split, and what it notes."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from unit.training.pod import Pod, churn, numbers

ROWS = 20


def kinds(pod: Pod) -> dict[str, str]:
    return {feature["name"]: feature["kind"] for feature in pod.dataset["features"]}


def text_column(*cells: str) -> str:
    """A CSV of one feature whose cells repeat, and a target."""
    return "x,y\n" + "".join(f"{cells[i % len(cells)]},{i % 2}\n" for i in range(ROWS))


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (("1", "2.5"), "numeric", [1.0, 2.5]),
        (("1", "", "NA", "NaN", "null"), "numeric", [1.0, np.nan, np.nan, np.nan, np.nan]),
        (("true", "False"), "numeric", [1.0, 0.0]),
        (("true", ""), "numeric", [1.0, np.nan]),
        (("1e3", " 7"), "numeric", [1000.0, 7.0]),
        (("", "NA"), "numeric", [np.nan, np.nan]),
        (("free", ""), "categorical", ["free", ""]),
        (("NA", "DE"), "categorical", ["NA", "DE"]),
        (("1", "free"), "categorical", ["1", "free"]),
        (("true", "1"), "categorical", ["true", "1"]),
    ],
)
def test_a_csv_column_is_typed_by_all_its_cells(
    pod: Pod, cells: tuple[str, ...], kind: str, values: list[object]
) -> None:
    pod.given_csv(text_column(*cells)).given(data={"holdout": {"fraction": 0.05}})
    assert pod.run("fetch").code == 0
    assert kinds(pod) == {"x": kind}
    both = pd.concat([pd.read_parquet(pod.paths.train_rows), pd.read_parquet(pod.paths.holdout_rows)])
    assert set(both["x"].fillna(-1)) == set(pd.Series(values).fillna(-1))


@pytest.mark.parametrize(
    ("asked", "cells", "kind"),
    [
        ("string", ("01", "02"), "categorical"),
        ("boolean", ("0", "1"), "numeric"),
        ("number", ("1", ""), "numeric"),
    ],
)
def test_a_schema_decides_what_a_column_is(pod: Pod, asked: str, cells: tuple[str, ...], kind: str) -> None:
    pod.given_csv(text_column(*cells)).given(data={"schema": {"x": {"type": asked}}})
    assert pod.run("fetch").code == 0
    assert kinds(pod) == {"x": kind}
    if asked == "string":
        assert set(pd.read_parquet(pod.paths.train_rows)["x"]) == {"01", "02"}


def test_parquet_keeps_the_types_it_has(pod: Pod) -> None:
    table = pa.table(
        {
            "flag": pa.array([True, None] * 10),
            "count": pa.array(range(ROWS), pa.int16()),
            "price": pa.array([1, 2] * 10, pa.decimal128(5, 2)),
            "plan": pa.array(["a", None] * 10).dictionary_encode(),
            "digits": pa.array(["1", "2"] * 10),
            "y": pa.array(["no", "yes"] * 10, pa.large_string()),
        }
    )
    pyarrow.parquet.write_table(table, pod.paths.source / "rows.parquet")
    assert pod.given(data={"uri": "pvc://lake/rows.parquet"}).run("fetch").code == 0
    assert kinds(pod) == {
        "flag": "numeric",
        "count": "numeric",
        "price": "numeric",
        "plan": "categorical",
        "digits": "categorical",
    }
    rows = pd.read_parquet(pod.paths.train_rows)
    assert set(rows["plan"]) == {"a", ""}
    assert set(rows["flag"].dropna()) == {1.0}


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_other_delimiters_are_recognized(pod: Pod, mark: str) -> None:
    assert pod.given_csv(text_column("1", "2").replace(",", mark)).run("fetch").code == 0
    assert kinds(pod) == {"x": "numeric"}


def test_quotes_line_breaks_and_a_byte_order_mark_are_read(pod: Pod) -> None:
    text = '\ufeff"x, or so",y\r\n' + "".join(f'"a\nb, {i % 3}",{i % 2}\r\n' for i in range(ROWS))
    assert pod.given_csv(text).run("fetch").code == 0
    assert kinds(pod) == {"x, or so": "categorical"}
    assert "a\nb, 1" in set(pd.read_parquet(pod.paths.train_rows)["x, or so"])


def test_an_index_without_a_name_is_left_out_and_noted(pod: Pod) -> None:
    numbers(ROWS, 1).to_csv(pod.paths.source / "rows.csv", index=True)
    ending = pod.run("fetch")
    assert kinds(pod) == {"x0": "numeric"}
    assert ending.result["notes"] == ["1 columns without a name were left out"]


@pytest.mark.parametrize(
    ("target", "task"),
    [
        ([0, 1] * 10, "Classification"),
        (["a", "b"] * 10, "Classification"),
        ([True, False] * 10, "Classification"),
        ([0.5, 1.5] * 10, "Regression"),
        ([*range(10), *range(10)], "Classification"),
        ([*range(15), *range(100, 110)], "Regression"),
    ],
)
def test_without_an_estimator_the_target_decides_the_task(pod: Pod, target: list[object], task: str) -> None:
    pod.given_rows(pd.DataFrame({"x": np.arange(len(target)), "y": target})).given(trainer={"image": "mine"})
    result = pod.run("fetch").result
    assert (result["task"], result["taskFrom"]) == (task, "Target")


def test_the_run_decides_the_task_where_it_says_so(pod: Pod) -> None:
    pod.given_rows(numbers()).given(trainer={"image": "mine"}, task="Regression")
    result = pod.run("fetch").result
    assert (result["task"], result["taskFrom"]) == ("Regression", "Run")
    assert "classes" not in pod.dataset


def test_classes_stay_in_proportion(pod: Pod) -> None:
    frame = numbers(200).assign(y=["rare" if i % 10 == 0 else "common" for i in range(200)])
    result = pod.given_rows(frame).run("fetch").result
    held = pd.read_parquet(pod.paths.holdout_rows)["y"]
    assert result["stratified"] is True
    assert (held == "rare").sum() == 4
    assert pod.dataset["classes"] == ["common", "rare"]


def test_a_class_with_one_row_is_learnt_from_and_noted(pod: Pod) -> None:
    frame = numbers(50).assign(y=["a", "b"] * 24 + ["a", "alone"])
    result = pod.given_rows(frame).run("fetch").result
    assert result["stratified"] is True
    assert result["notes"] == ["not in the hold-out, not scored: class 'alone'"]
    assert "alone" in set(pd.read_parquet(pod.paths.train_rows)["y"])


def test_features_keep_the_order_they_are_asked_in(pod: Pod) -> None:
    pod.given_rows(churn()).given(data={"features": ["region", "age"]})
    assert pod.run("fetch").code == 0
    assert list(pd.read_parquet(pod.paths.train_rows).columns) == ["region", "age", "y"]


def test_a_matching_digest_is_accepted(pod: Pod) -> None:
    digest = pod.given_rows(numbers()).run("fetch").result["digest"]
    assert pod.given(data={"digest": digest}).run("fetch").result["digest"] == digest


def test_bundled_data_has_the_same_digest_every_time(pod: Pod) -> None:
    pod.given(data={"uri": "sklearn://wine", "target": "target"})
    assert pod.run("fetch").result["digest"] == pod.run("fetch").result["digest"]
