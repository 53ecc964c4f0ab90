"""A model that takes dates and wide numbers, from the trainer to the answer of the real server."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from unit.serving.harness import NAME, serving
from unit.training.pod import Pod
from unit.training.preparation import dataset, fetched

from modelwright_training.documents import Feature

START = date(2021, 1, 1)
ID = 4_503_599_627_370_496_000


def orders(column: object) -> pd.DataFrame:
    """Orders that are late in June, July and August; `column` holds their days."""
    random = np.random.default_rng(1)
    days = ordered()
    late = np.where(days.month.isin([6, 7, 8]), "late", "in time")
    return pd.DataFrame({"day": column, "weight": random.random(len(days)).round(3), "y": late})


def ordered() -> pd.DatetimeIndex:
    """The days of the orders, over three years."""
    return pd.DatetimeIndex(np.datetime64("2021-01-01") + np.random.default_rng(0).integers(0, 1095, 300))


CSV_DATES = [
    ("%Y-%m-%d", "YYYY-MM-DD"),
    ("%d.%m.%Y", "DD.MM.YYYY"),
    ("%d/%m/%Y", "DD/MM/YYYY"),
    ("%m/%d/%Y", "MM/DD/YYYY"),
    ("%Y-%m-%d 12:30", "YYYY-MM-DDThh:mm:ss"),
    ("%Y-%m-%dT12:30:00+02:00", "YYYY-MM-DDThh:mm:ssZ"),
]


@pytest.mark.parametrize(("written", "name"), CSV_DATES)
def test_dates_of_a_csv_are_learnt_from_and_named_in_the_signature(pod: Pod, written: str, name: str) -> None:
    texts = np.where(np.arange(300) % 50 == 49, "", ordered().strftime(written))
    check_learnt(pod.given_rows(orders(texts)), name)


PARQUET_DATES: list[tuple[Any, str]] = [
    (ordered().date, "YYYY-MM-DD"),
    (ordered(), "YYYY-MM-DDThh:mm:ss"),
    (ordered().tz_localize("UTC").tz_convert("Asia/Kolkata"), "YYYY-MM-DDThh:mm:ssZ"),
    (ordered().strftime("%d.%m.%Y"), "DD.MM.YYYY"),
]


@pytest.mark.parametrize(("column", "name"), PARQUET_DATES, ids=[name for _, name in PARQUET_DATES])
def test_dates_of_a_parquet_file_are_learnt_from(pod: Pod, column: object, name: str) -> None:
    check_learnt(pod.given_rows(orders(column), "rows.parquet"), name, uri="configmap://rows/rows.parquet")


def test_digits_are_a_date_where_the_schema_says_so(pod: Pod) -> None:
    given = pod.given_rows(orders(ordered().strftime("%Y%m%d")))
    check_learnt(given, "YYYYMMDD", schema={"day": {"type": "date"}})


def check_learnt(pod: Pod, name: str, **data: Any) -> None:
    pod.given(estimator="sklearn.ensemble.HistGradientBoostingClassifier", data=data)
    published = pod.through("fetch", "train", "publish").result
    assert published["signature"]["inputs"][0]["format"] == name
    assert published["parity"]["verdict"] == "Pass"
    assert {metric["name"]: metric["value"] for metric in published["metrics"]}["accuracy"] > 0.95


def bookings() -> pd.DataFrame:
    """Bookings that are cancelled in summer, and those of later customers."""
    random = np.random.default_rng(0)
    days = [START + timedelta(days=int(day)) for day in random.integers(0, 1000, 300)]
    late = random.integers(0, 1000, 300)
    frame = pd.DataFrame({"day": [f"{day:%d.%m.%Y}" for day in days], "id": ID + late})
    frame["y"] = [int(day.month in (6, 7, 8) or number > 800) for day, number in zip(days, late, strict=True)]
    frame.loc[::25, "day"] = ""
    return frame


def test_a_caller_sends_dates_and_long_numbers_as_the_data_has_them(pod: Pod) -> None:
    described = dataset(
        Feature(name="day", kind="date", format="DD.MM.YYYY", offset=18_900),
        Feature(name="id", kind="numeric", datatype="INT64", offset=ID + 500),
    )
    fetched(pod, bookings(), described).given(estimator="sklearn.tree.DecisionTreeClassifier")
    published = pod.through("train", "publish").result
    assert published["signature"]["inputs"] == [
        {"name": "day", "datatype": "BYTES", "shape": [-1, 1], "format": "DD.MM.YYYY"},
        {"name": "id", "datatype": "INT64", "shape": [-1, 1]},
    ]
    (model,) = pod.paths.artifacts.rglob("model.onnx")
    with serving(model) as server:
        server.wait_ready()
        rows = [["5.7.2030", ID + 100], ["05.02.2022", ID + 100], ["05.02.2022", ID + 900]]
        columns = list(zip(*rows, strict=True))
        inputs = [
            {"name": "day", "datatype": "BYTES", "shape": [3, 1], "data": columns[0]},
            {"name": "id", "datatype": "INT64", "shape": [3, 1], "data": columns[1]},
        ]
        reply = server.infer({"inputs": inputs})
        assert reply.status == 200, reply.body
        assert reply.output("label").tolist() == [1, 0, 1]
        inputs[0]["data"] = ["5.7.2030", "31.02.2022", ""]
        reply = server.infer({"inputs": inputs})
        assert reply.status == 400
        wanted = "the model failed on this request: day has to be a date written as DD.MM.YYYY, or empty"
        assert reply.error == wanted
        metadata = server.get(f"/v2/models/{NAME}").document
        assert metadata["parameters"]["formats"] == '{"day": "DD.MM.YYYY"}'
        contract = server.get("/v2/openapi.json").document
        record = contract["components"]["schemas"]["Record"]["properties"]
        assert record["day"] == {"type": ["string", "null"], "description": "A date, written as DD.MM.YYYY."}


def test_a_regression_on_dates_of_a_few_years_passes_parity(pod: Pod) -> None:
    frame = bookings()
    frame["y"] = [int(text[-4:] or 0) + index / 7 for index, text in enumerate(frame["day"])]
    described = dataset(
        Feature(name="day", kind="date", format="DD.MM.YYYY", offset=18_900), task="Regression"
    )
    fetched(pod, frame, described).given(estimator="sklearn.linear_model.LinearRegression", task="Regression")
    assert pod.through("train", "publish").result["parity"]["verdict"] == "Pass"
