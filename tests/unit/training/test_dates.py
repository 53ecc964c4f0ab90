"""Dates: which texts are dates, and the numbers that a model gets from them, for the trainer and for callers alike."""

import random
from datetime import UTC, date, datetime, time, timedelta, timezone

import numpy as np
import onnx.helper
import pandas as pd
import pyarrow as pa
import pytest
from unit.training.preparation import both, dataset, model_of, session_of

from modelwright_serving.oip.signature import Signature, TensorSpec
from modelwright_training.documents import Feature
from modelwright_training.features import frames
from modelwright_training.features.dates import FORMATS, Format, matches
from modelwright_training.judging import golden
from modelwright_training.onnxfile import session
from modelwright_training.onnxfile.modelfile import ModelFile

LEAP = ["0004-02-29", "1600-02-29", "2000-02-29", "2024-02-29", "9996-02-29"]
EDGES = [
    "0001-01-01",
    "0001-12-31",
    "1899-12-31",
    "1900-02-28",
    "1900-03-01",
    "1969-12-31",
    "1970-01-01",
    "9999-12-31",
]


def written(moment: datetime, known: Format, chance: random.Random) -> str:
    """A moment in a format, in one of the ways that it leaves open."""
    year, month, day = f"{moment.year:04}", f"{moment.month:02}", f"{moment.day:02}"
    if known.order[0] == 2 and chance.random() < 0.5:
        month, day = str(moment.month), str(moment.day)
    text = known.separator.join(part for _, part in sorted(zip(known.order, (year, month, day), strict=True)))
    if not known.time:
        return text
    clock = f"{moment:%H:%M}"
    if moment.second or moment.microsecond or chance.random() < 0.5:
        clock += f":{moment:%S}"
    if moment.microsecond:
        clock += f".{moment.microsecond:06}".rstrip("0")
    if known.zone:
        zone = moment.isoformat()[-6:]
        clock += "Z" if zone == "+00:00" and chance.random() < 0.5 else zone
    elif clock == "00:00" and chance.random() < 0.5:
        return text
    return f"{text}{chance.choice('T ')}{clock}"


def moments(known: Format, count: int) -> list[datetime]:
    """Random moments of all years, and the days on which calendars go wrong."""
    chance = random.Random(0)
    found = [datetime.fromisoformat(day) for day in [*LEAP, *EDGES]]
    start = datetime.fromisoformat("0001-01-02")
    while len(found) < count:
        moment = start + timedelta(seconds=chance.randrange(9998 * 365 * 86_400))
        found.append(moment + timedelta(microseconds=chance.choice([0, 0, 120_000, 999_999])))
    if not known.time:
        return [datetime.combine(moment.date(), time()) for moment in found]
    if not known.zone:
        return found
    zones = [UTC, timezone(timedelta(hours=5, minutes=45)), timezone(timedelta(hours=-9, minutes=-30))]
    inner = [moment for moment in found if 1 < moment.year < 9999]
    return [moment.replace(tzinfo=chance.choice(zones)) for moment in inner]


def expected(moment: datetime, known: Format, offset: int) -> list[float]:
    """The parts by Python's own calendar."""
    utc = moment.astimezone(UTC).replace(tzinfo=None) if known.zone else moment
    start = datetime.fromisoformat("1970-01-01") + timedelta(days=offset)
    since = utc.replace(microsecond=0) - start
    elapsed = np.float32((since.days * 86_400 + since.seconds) / 86_400)
    parts = [
        float(utc.year - start.year),
        float(utc.month),
        float(utc.day),
        float(utc.weekday()),
        float(elapsed),
    ]
    return [*parts, float(utc.hour)] if known.time else parts


def prepare(texts: list[str], known: Format, offset: int = 0) -> tuple[list[list[float]], list[list[float]]]:
    """The parts of each text, by row, in both worlds."""
    described = dataset(Feature(name="day", kind="date", format=known.name, offset=offset))
    frame = pd.DataFrame({"day": pd.Series(texts, dtype=object)})
    feed = np.array(texts, dtype=object).reshape(-1, 1)
    ours, theirs = both(described, frame, {"day": feed})
    return np.transpose(ours).tolist(), np.transpose(theirs).tolist()


@pytest.mark.parametrize("known", FORMATS.values(), ids=FORMATS)
def test_every_date_has_the_parts_that_the_calendar_says(known: Format) -> None:
    chance = random.Random(1)
    found = moments(known, 3000)
    texts = [written(moment, known, chance) for moment in found]
    ours, theirs = prepare(texts, known, offset=19_000)
    wanted = [expected(moment, known, 19_000) for moment in found]
    assert ours == wanted
    assert theirs == wanted


@pytest.mark.parametrize("known", FORMATS.values(), ids=FORMATS)
def test_a_row_alone_has_the_same_parts_as_among_others(known: Format) -> None:
    chance = random.Random(2)
    for moment in moments(known, 20):
        (ours,), (theirs,) = prepare([written(moment, known, chance)], known)
        assert ours == theirs == expected(moment, known, 0)


@pytest.mark.parametrize("known", FORMATS.values(), ids=FORMATS)
def test_no_rows_have_no_parts(known: Format) -> None:
    assert prepare([], known) == ([], [])


def test_a_column_in_chunks_as_large_tables_have_it_has_the_same_parts() -> None:
    described = dataset(Feature(name="day", kind="date", format="YYYY-MM-DD", offset=20_000))
    halves = [
        pd.DataFrame({"day": pd.Series(days, dtype="str")}) for days in (["2026-03-09", ""], ["2025-12-31"])
    ]
    whole = pd.DataFrame({"day": ["2026-03-09", "", "2025-12-31"]})
    expected = frames.for_estimator(whole, described)
    assert isinstance(pa.array(pd.concat(halves)["day"]), pa.ChunkedArray)
    pd.testing.assert_frame_equal(frames.for_estimator(pd.concat(halves), described), expected)
    assert len(golden._dates(pd.concat(halves)["day"], FORMATS["YYYY-MM-DD"])) == golden.ROWS


@pytest.mark.parametrize("known", FORMATS.values(), ids=FORMATS)
def test_a_missing_date_has_no_number_in_any_part(known: Format) -> None:
    text = written(moments(known, 20)[-1], known, random.Random(3))
    for texts in ([""], ["", text], [text, "", ""]):
        ours, theirs = prepare(texts, known)
        assert np.isnan(ours).all(axis=1).tolist() == [not text for text in texts]
        np.testing.assert_array_equal(ours, theirs)


def test_the_pattern_of_a_date_knows_every_day_of_the_calendar_and_no_other() -> None:
    known = FORMATS["YYYY-MM-DD"]
    years = [0, 1, 4, 100, 400, 1900, 1999, 2000, 2023, 2024, 2100, 9999]
    texts = [f"{year:04}-{month:02}-{day:02}" for year in years for month in range(14) for day in range(33)]
    assert matches(pa.array(texts), known).tolist() == [is_date(text) for text in texts]


def is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


NO_DATES = [
    ("YYYY-MM-DD", ["2024-1-31", "2024-01-31 ", "2024-01-31T00:00", "31.01.2024", "x", "2024-01-31\n", "٢٠٢٤-01-31"]),
    ("YYYY-MM-DDThh:mm:ss", ["2024-01-31T24:00",
                             "2024-01-31 1:00", "2024-01-31T10:00Z", "2024-01-31T10:60", "2024-01-31T"]),
    ("YYYY-MM-DDThh:mm:ssZ", ["2024-01-31T10:00", "2024-01-31", "2024-01-31T10:00+0100", "2024-01-31T10:00+15:00"]),
    ("DD.MM.YYYY", ["31.04.2024", "29.02.2023", "1.13.2024", "31.01.24", "31/01/2024"]),
    ("DD/MM/YYYY", ["01/31/2024"]),
    ("MM/DD/YYYY", ["31/01/2024"]),
    ("YYYYMMDD", ["2024131", "20240230", "2024-01-31"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "texts"), NO_DATES)
def test_a_caller_is_refused_what_is_no_date_of_the_format(name: str, texts: list[str]) -> None:
    opened = session_of(dataset(Feature(name="day", kind="date", format=name)))
    good = written(moments(FORMATS[name], 20)[-1], FORMATS[name], random.Random(4))
    for text in texts:
        assert not matches(pa.array([text]), FORMATS[name])[0]
        for rows in ([text], [good, text], [text, ""]):
            with pytest.raises(
                Exception, match=f"day has to be a date written as {name}, or empty"
            ) as refused:
                opened.run(None, {"day": np.array(rows, object).reshape(-1, 1)})
            assert (
                type(refused.value).__name__ == "InvalidArgument"
            )  # the server blames the caller for this kind


NO_FORMATS = ["", "soon", "[]", '{"day": 5}', '{"other": "x"}']


@pytest.mark.parametrize("said", [*NO_FORMATS, f'{{"day": "{"Y" * 65}"}}'])
def test_what_a_model_says_of_formats_counts_only_if_it_is_a_format(said: str) -> None:
    model = model_of(dataset(Feature(name="day", kind="date", format="YYYY-MM-DD")))
    onnx.helper.set_model_props(model, {"dev.modelwright.formats": said})
    (tensor,) = session.load(ModelFile(model.SerializeToString(), "")).inputs
    assert tensor.document() == {"name": "day", "datatype": "BYTES", "shape": [-1, 1]}


@pytest.mark.parametrize("said", NO_FORMATS)
def test_the_server_shows_no_format_that_is_none(said: str) -> None:
    specs = (TensorSpec("day", "BYTES", (-1, 1)),)
    assert "day" not in Signature(specs, specs, {"formats": said}).formats
