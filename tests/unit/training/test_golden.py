"""The golden request holds made-up rows within the columns' ranges, never those of a person."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from unit.training.pod import Json, Pod, churn, numbers

from modelwright_training.documents import Dataset
from modelwright_training.judging.golden import made_up


def made(column: "pd.Series[Any]", **feature: Any) -> list[Any]:
    """The made-up values of one column."""
    dataset = Dataset.model_validate(
        {
            "features": [{"name": "x", "kind": "numeric"} | feature],
            "target": {"name": "y", "type": "number"},
            "task": "Regression",
            "taskFrom": "Run",
            "rows": len(column),
        }
    )
    values: list[Any] = made_up(pd.DataFrame({"x": column}), dataset)["x"].tolist()
    return values


def test_numbers_lie_between_the_outer_quantiles() -> None:
    values = pd.Series([*np.linspace(0, 1, 98), -1e9, 1e9, np.nan])
    assert all(0 < value < 1 for value in made(values))
    assert len(set(made(values))) == 4


def test_whole_numbers_stay_whole() -> None:
    assert made(pd.Series(np.arange(100.0))) == [15, 37, 60, 82]


def test_integers_beyond_float64_are_exact() -> None:
    low = 2**62 + 1
    values = made(pd.Series(np.arange(low, low + 100), dtype="int64"), datatype="INT64", offset=low)
    assert values == [low + 15, low + 37, low + 60, low + 82]


def test_a_column_without_values_becomes_zeros() -> None:
    assert made(pd.Series([np.nan] * 5)) == [0.0] * 4


def test_only_frequent_categories_are_named() -> None:
    values = pd.Series(["free"] * 10 + ["pro"] * 30 + ["of Mrs Smith"] * 9 + [""] * 50)
    assert set(made(values, kind="categorical")) == {"free", "pro"}
    assert made(values.iloc[-59:], kind="categorical") == [""] * 4


@pytest.mark.parametrize(
    ("texts", "name", "expected"),
    [
        (
            ["2026-01-01", "", "2026-01-11"],
            "YYYY-MM-DD",
            ["2026-01-02", "2026-01-04", "2026-01-07", "2026-01-09"],
        ),
        (["01.02.0999", "01.02.0999"], "DD.MM.YYYY", ["01.02.0999"] * 4),
        (
            ["2026-01-01T00:00:00Z", "2026-01-01T08:00:00Z"],
            "YYYY-MM-DDThh:mm:ssZ",
            [f"2026-01-01T0{hour}:00:00Z" for hour in (1, 3, 5, 7)],
        ),
    ],
)
def test_dates_are_made_up_in_the_format_of_their_column(
    texts: list[str], name: str, expected: list[str]
) -> None:
    many = pd.Series([text for text in texts for _ in range(30)])
    assert made(many, kind="date", format=name) == expected


def test_text_is_made_up_of_words_of_its_own() -> None:
    texts = pd.Series(["Mrs Smith rang again"] * 50)
    assert all("Smith" not in text for text in made(texts, kind="text"))


def rows_of(golden: Json) -> set[tuple[Any, ...]]:
    columns = [tensor["data"] for tensor in golden["request"]["inputs"]]
    return set(zip(*columns, strict=True))


def test_no_row_of_the_data_is_published(pod: Pod) -> None:
    frame = churn(300)
    pod.given_rows(frame)
    assert pod.through("fetch", "train", "publish").code == 0
    golden = pod.published("golden")
    assert len(rows_of(golden)) == 4
    known = set(frame[["age", "fee (EUR)", "plan", "region"]].itertuples(index=False, name=None))
    assert not rows_of(golden) & known


def test_a_matrix_s_rows_are_made_up_column_by_column(pod: Pod) -> None:
    frame = numbers(200)
    pod.given_rows(frame)
    assert pod.through("fetch", "train", "publish").code == 0
    (tensor,) = pod.published("golden")["request"]["inputs"]
    made_rows = np.array(tensor["data"]).reshape(tensor["shape"])
    assert made_rows.shape == (4, 5)
    assert (
        (made_rows > frame.iloc[:, :5].min().to_numpy()) & (made_rows < frame.iloc[:, :5].max().to_numpy())
    ).all()
    assert (made_rows.argsort(axis=0) != made_rows.argsort(axis=0)[:, :1]).any(), "no row is low throughout"
