"""Which columns hold dates, and how the Parquets hold them."""

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from unit.training.pod import Pod

from modelwright_training.reading import dates

DAYS = [f"2024-01-{day:02}" for day in range(1, 21)]


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (DAYS, "YYYY-MM-DD"),
        ([*DAYS[:19], "soon"], "YYYY-MM-DD"),  # 19 of 20
        ([*DAYS[:18], "soon", "later"], None),
        ([*DAYS, "2024-01-31 10:00", "2024-01-31T10:00:00.5"], "YYYY-MM-DDThh:mm:ss"),
        (["2024-01-31T10:00:00Z", "2024-01-31 10:00+02:00"], "YYYY-MM-DDThh:mm:ssZ"),
        (["2024-01-31T10:00:00Z", "2024-01-31T10:00:00"], None),  # UTC or not?
        (["31.01.2024", "1.2.2024"], "DD.MM.YYYY"),
        (["31.01.2024 10:30", "1.2.2024"], "DD.MM.YYYY hh:mm:ss"),
        (["31/01/2024", "01/02/2024"], "DD/MM/YYYY"),
        (["01/31/2024", "1/2/2024"], "MM/DD/YYYY"),
        (["2024/01/31", "2024/02/01"], "YYYY/MM/DD"),
        (["01/02/2024", "03/04/2024"], dates.AMBIGUOUS),
        (["31/01/2024", "01/31/2024"], None),
        (["20240131"], None),
        (["2024", "10.12", "12:00"], None),
        (["red", "green"], None),
        ([], None),
    ],
)
def test_a_column_is_one_of_dates_where_nearly_all_texts_fit_one_format(
    texts: list[str], found: str | None
) -> None:
    assert dates.recognise(pa.array(texts, pa.string())) == found


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["20240131", "20240201"], "YYYYMMDD"),
        (["2024-01-31", "soon", "later"], "YYYY-MM-DD"),
        (["01/02/2024", "03/04/2024", "x"], dates.AMBIGUOUS),
        (["soon"], None),
        ([], None),
    ],
)
def test_a_column_that_has_to_be_dates_takes_the_format_of_most(texts: list[str], found: str | None) -> None:
    assert dates.recognise(pa.array(texts, pa.string()), asked=True) == found


LOOKS = (
    "31.01.24, 1/2/24, 31 Jan 2024, January 31st 2024, 31. Januar 2024, 31/1/2024 10:00, 1/31/2024 9:00 AM"
)
OTHER = ["10.12", "1.2.3", "192.168.1.1", "10:30", "may", "555-12-3456", "10.15.7", "A-10-2024"]


@pytest.mark.parametrize("text", [*LOOKS.split(", "), "2024-1-5", "Jan 31, 2024", "2024-01-31T10:00:00+0100"])
def test_a_date_in_an_unknown_format_looks_like_one(text: str) -> None:
    assert dates.recognise(pa.array([text])) is None
    assert dates.resemble(pa.array([text]))


@pytest.mark.parametrize(
    "text", ["10.12", "1.2.3", "192.168.1.1", "10:30", "may", "555-12-3456", "10.15.7", "A-10-2024"]
)
def test_other_texts_do_not_look_like_dates(text: str) -> None:
    assert not dates.resemble(pa.array([text]))


def test_cells_that_are_no_date_are_marked_and_missing_ones_are_not() -> None:
    raw = pa.chunked_array([[" 2024-01-31 ", None], ["2024-02-30", "", "x"]])
    texts, unfit = dates.values(raw, "YYYY-MM-DD")
    assert texts.to_pylist() == ["2024-01-31", "", "2024-02-30", "", "x"]
    assert unfit.tolist() == [False, False, True, False, True]


MOMENT = datetime(2024, 7, 1, 0, 30, 5, 900_000, tzinfo=UTC)
TYPES: list[tuple[Any, Any, str, str]] = [
    (pa.date32(), date(1, 2, 3), "YYYY-MM-DD", "0001-02-03"),
    (pa.date64(), date(2024, 7, 1), "YYYY-MM-DD", "2024-07-01"),
    (pa.timestamp("s"), datetime(1969, 12, 31, 23, 59, 59), "YYYY-MM-DDThh:mm:ss", "1969-12-31 23:59:59"),  # noqa: DTZ001
    (pa.timestamp("ns"), MOMENT, "YYYY-MM-DDThh:mm:ss", "2024-07-01 00:30:05"),
    (pa.timestamp("us", "Europe/Berlin"), MOMENT, "YYYY-MM-DDThh:mm:ssZ", "2024-07-01 00:30:05Z"),
    (pa.timestamp("ms", "-09:30"), MOMENT, "YYYY-MM-DDThh:mm:ssZ", "2024-07-01 00:30:05Z"),
]


@pytest.mark.parametrize(("kind", "value", "name", "text"), TYPES)
def test_dates_of_parquet_become_iso_texts(kind: Any, value: Any, name: str, text: str) -> None:
    raw = pa.chunked_array([pa.array([value, None], kind)])
    assert dates.recognise_type(kind) == name
    texts, unfit = dates.values(raw, name)
    assert (texts.to_pylist(), unfit.tolist()) == ([text, ""], [False, False])


@pytest.mark.parametrize(
    "kind", [pa.int64(), pa.string(), pa.time32("s"), pa.duration("s"), pa.list_(pa.date32())]
)
def test_other_types_of_parquet_hold_no_dates(kind: Any) -> None:
    assert dates.recognise_type(kind) is None


def test_years_that_a_text_of_four_digits_cannot_hold_are_no_dates() -> None:
    raw = pa.array(np.array(["-0001-01-01", "10000-01-01", "9999-12-31"], "datetime64[s]"))
    _, unfit = dates.values(raw, "YYYY-MM-DDThh:mm:ss")
    assert unfit.tolist() == [True, True, False]


def test_instants_and_the_offset_are_those_of_the_calendar() -> None:
    texts = pa.chunked_array([["1970-01-02", "", "x"], ["1970-01-04", "1969-12-30"]])
    found = dates.instants(texts, "YYYY-MM-DD")
    np.testing.assert_array_equal(found / 86_400, [1, np.nan, np.nan, 3, -2])
    assert dates.offset(texts, "YYYY-MM-DD") == 1
    assert dates.offset(pa.array(["", ""]), "YYYY-MM-DD") == 0


CSV = """day,x,y
{first},1.5,a
{second},2.5,b
"""


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (
            "31 Jan 2024",
            "1 Feb 2024",
            "looks like dates such as '31 Jan 2024', but not all in one known format",
        ),
        (
            "2024-01-31T10:00Z",
            "2024-01-31T10:00",
            "looks like dates such as '2024-01-31T10:00Z', but not all in",
        ),
        ("01/02/2024", "02/01/2024", "the day or the month may be first"),
    ],
)
def test_a_column_of_dates_that_cannot_be_read_is_refused(
    pod: Pod, first: str, second: str, said: str
) -> None:
    ending = pod.given_csv(CSV.format(first=first, second=second) + f"{first},3.5,a\n{second},4.5,b\n").run(
        "fetch"
    )
    assert ending.reason == "AmbiguousColumn"
    assert said in ending.message
    assert "data.schema {NAME: {type: string}}" in ending.message
