"""What the cells of a column mean: whole numbers of any size, notations of numbers, and what is not quite a number."""

from datetime import date
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwright_training.documents import ColumnRule
from modelwright_training.errors import InputError
from modelwright_training.reading.column import Column
from modelwright_training.reading.columns import read_columns
from modelwright_training.reading.rules import violations

Rules = dict[str, dict[str, Any]]


def columns(
    table: dict[str, Any], rules: Rules | None = None, delimiter: str = ",", untyped: bool = True
) -> dict[str, Column]:
    """Columns of a table in two chunks, as a large file has."""
    arrays = {name: pa.array(cells) for name, cells in table.items()}
    chunked = {name: pa.chunked_array([array[:1], array[1:]]) for name, array in arrays.items()}
    parsed = {name: ColumnRule.model_validate(rule) for name, rule in (rules or {}).items()}
    return read_columns(pa.table(chunked), list(table), parsed, untyped, delimiter)


def values(cells: Any, **options: Any) -> list[Any]:
    return list(columns({"x": cells}, **options)["x"].stored().to_pylist())


def refusal(table: dict[str, Any], **options: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        columns(table, **options)
    return caught.value


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=30))
def test_whole_numbers_are_exact(numbers: list[int]) -> None:
    assert values([str(number) for number in numbers]) == numbers
    assert values([f"+{number}" if number >= 0 else f" {number} " for number in numbers]) == numbers
    assert values(numbers, untyped=False) == numbers


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=30))
def test_broken_numbers_are_exact(numbers: list[float]) -> None:
    assert values([repr(number) for number in numbers]) == numbers


@given(st.lists(st.decimals(-(10**9), 10**9, places=2), min_size=1, max_size=30))
def test_a_notation_does_not_change_the_numbers(numbers: list[Any]) -> None:
    plain = [float(number) for number in numbers]
    english = [f"{number:,.2f}" for number in numbers]
    german = [text.translate(str.maketrans(",.", ".,")) for text in english]
    for cells in (
        [f"{number:.2f}" for number in numbers],
        [f"{number:.2f}".replace(".", ",") for number in numbers],
        english,
        german,
        [text.replace(",", "\u202f") for text in english],
        [text.replace(",", "\u2019") for text in english],
        [text.replace(".", "\u00a0") + "\u00a0€" for text in german],
        [f"{text} %" for text in english],
    ):
        assert values(cells) == plain


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["19,55", "0,5"], [19.55, 0.5]),
        (["1.234,56", "7"], [1234.56, 7.0]),
        (["1.234.567", "1"], [1234567, 1]),
        (["1,234,567", "1"], [1234567, 1]),
        (["1 234", "12"], [1234, 12]),
        (["1'234.50", "12"], [1234.5, 12.0]),
        (["€ 5,00", "-€3,10", "€-1"], [5.0, -3.1, -1.0]),
        (["5 EUR", "EUR 6", "7EUR"], [5, 6, 7]),
        (["CHF 1'000", "CHF 2"], [1000, 2]),
        (["12 %", "3,5%", ""], [12.0, 3.5, None]),
        (["\u22125,3", "1,0"], [-5.3, 1.0]),
        ([".5", "5.", "1e3", "1E-2"], [0.5, 5.0, 1000.0, 0.01]),
        (["12345678901234567890", "1"], [12345678901234567890.0, 1.0]),
    ],
)
def test_a_notation_is_read(cells: list[str], numbers: list[float]) -> None:
    assert values(cells) == numbers


@pytest.mark.parametrize(
    "cells",
    [
        ["0x1F", "2"],
        ["030 123 456", "171 22"],
        ["1_000", "2_000"],
        ["(5)", "(6)"],
        ["1.2.3", "2.0.1"],
        ["10.0.0.1", "10.0.0.2"],
        ["1,23,456", "2"],
        ["5 € 3", "€"],
        ["--5", "+-5"],
        ["12:30", "13:00"],
        ["٣", "٤"],
    ],
)
def test_what_is_no_number_stays_text(cells: list[str]) -> None:
    column = columns({"x": cells})["x"]
    assert column.kind == "categorical"
    assert column.stored().to_pylist() == cells


UNCLEAR = ["1,234", "22,500"]


def test_marks_that_may_stand_for_thousands_or_decimals_are_refused() -> None:
    error = refusal({"x": UNCLEAR, "z": ["1,234", "1.234"], "n": ["1", "2"]})
    assert error.reason == "AmbiguousColumn"
    for words in ("'x'", "'z'", "'1,234'", "type: integer", "type: number"):
        assert words in error.message
    assert "'n'" not in error.message


@pytest.mark.parametrize(
    ("other", "options", "numbers"),
    [
        (["0,5", "1"], {}, [1.234, 22.5]),
        (["0.5", "1"], {}, [1234, 22500]),
        (["1,234,567", "1"], {}, [1234, 22500]),
        (["1", "2"], {"delimiter": ";"}, [1.234, 22.5]),
        (["1", "2"], {"rules": {"x": {"type": "integer"}}}, [1234, 22500]),
        (["1", "2"], {"rules": {"x": {"type": "number"}}}, [1.234, 22.5]),
        (["0,5", "1"], {"rules": {"x": {"type": "integer"}}}, [1234, 22500]),
    ],
)
def test_the_file_or_the_user_decides_what_a_mark_is(
    other: list[str], options: dict[str, Any], numbers: list[float]
) -> None:
    assert columns({"x": UNCLEAR, "other": other}, **options)["x"].stored().to_pylist() == numbers


def test_points_stand_between_thousands_where_other_columns_have_decimal_commas() -> None:
    assert columns({"x": ["1.234", "2.000"], "y": ["0,5", "1"]})["x"].stored().to_pylist() == [1234, 2000]
    assert columns({"x": ["1.234", "2.000"], "y": ["0.5", "1"]})["x"].stored().to_pylist() == [1.234, 2.0]
    assert columns({"x": ["1.234", "2.0"], "y": ["0,5", "1"]})["x"].stored().to_pylist() == [1.234, 2.0]


def test_files_with_both_decimal_marks_decide_nothing() -> None:
    assert refusal({"x": UNCLEAR, "y": ["0,5", "1"], "z": ["0.5", "1"]}).reason == "AmbiguousColumn"


def test_columns_that_are_almost_numbers_are_refused_all_at_once() -> None:
    numbers = [str(number) for number in range(97)]
    error = refusal({
        "a": [*numbers, "n/k", "k.A.", "12O"],
        "b": ["5 €"] * 99 + ["5 $"],
        "c": ["1,5", "1.5"] * 50,
        "d": [*numbers, "", "NA", "none"],
        "e": ["1", "x"] * 50,
    })  # fmt: skip
    assert error.reason == "MixedColumn"
    for words in ("'a'", "3 of 100 cells", "row 98 'n/k'", "row 99 'k.A.'", "row 100 '12O'", "row 100 '5 $'"):
        assert words in error.message
    assert "'c' holds numbers in more than one notation" in error.message
    assert "type: string" in error.message
    assert "'d'" not in error.message
    assert "'e'" not in error.message


def test_numbers_beside_a_word_or_two_are_refused_however_many_cells_hold_it() -> None:
    error = refusal({"x": [*map(str, range(60)), *["unknown"] * 30, "n.k."]})
    assert error.reason == "MixedColumn"
    assert "31 of 91 cells do not fit: row 61 'unknown'" in error.message
    tickets = [*map(str, range(60)), *(f"PC {n}" for n in range(10))]
    assert values(tickets) == tickets


@pytest.mark.parametrize("word", ["?", "-", "--", "NA", "n/a"])
def test_words_for_a_missing_number_are_missing(word: str) -> None:
    assert values(["1", word, "2"]) == [1, None, 2]
    assert values(["a", word, "b"]) == ["a", word, "b"]


def test_points_that_may_stand_between_thousands_are_not_guessed() -> None:
    cells = ["36.043", "672", "811", "1.250"]
    error = refusal({"x": cells})
    assert error.reason == "AmbiguousColumn"
    assert "decimal points or with decimal commas and points between thousands" in error.message
    assert values(cells, delimiter=";") == [36043, 672, 811, 1250]
    assert values(cells, rules={"x": {"type": "integer"}}) == [36043, 672, 811, 1250]
    assert values(cells, rules={"x": {"type": "number"}}) == [36.043, 672, 811, 1.25]
    assert columns({"x": cells, "y": ["0.5", "1", "2", "3"]})["x"].stored().to_pylist()[0] == 36.043
    assert values(["36.043", "672", "1250"]) == [36.043, 672, 1250], "a thousand without a point"
    assert values(["1.459", "1.502"]) == [1.459, 1.502], "no whole number beside them"


def test_a_column_that_is_almost_a_number_is_text_where_the_schema_says_so() -> None:
    cells = [*["1"] * 99, "x"]
    assert values(cells, rules={"x": {"type": "string"}}) == cells


@pytest.mark.parametrize(
    ("cells", "rule", "broken"),
    [
        ([2**53, 2**53 + 1], {"max": 2**53}, [2]),
        ([2**53 + 1, 2**53 + 2], {"min": 2**53 + 2}, [1]),
        ([2**53, 2**53 + 1], {"values": [2**53]}, [2]),
        ([1, 2], {"min": 1.5}, [1]),
        ([0.1, 0.2], {"max": 0.1}, [2]),
        ([2.0**53, 2.0**53 + 2], {"max": 2**53 + 1}, [2]),
        ([2.0**53, 2.0**53 + 2], {"min": 2**53 + 1}, [1]),
        ([2.0**53, 2.0**53 + 2], {"values": [2**53 + 1]}, [1, 2]),
        ([1, 2], {"max": 10**30}, []),
        ([1, None], {"min": 1, "nullable": False}, [2]),
    ],
)
def test_rules_compare_exactly(cells: list[Any], rule: dict[str, Any], broken: list[int]) -> None:
    parsed = ColumnRule.model_validate(rule)
    column = columns({"x": cells}, rules={"x": rule}, untyped=False)["x"]
    assert [violation.row for violation in violations({"x": column}, {"x": parsed})[1]] == broken


def test_dates_with_mistakes_are_refused_by_their_share_of_the_rows() -> None:
    error = refusal({"x": ["2026-01-02", "2026-01-03"] * 50 + ["soon", "", "NA"]})
    assert error.reason == "MixedColumn"
    assert "'x' holds dates (YYYY-MM-DD); 1 of 103 cells do not fit: row 101 'soon'" in error.message


def test_dates_of_which_day_and_month_cannot_be_told_apart_are_refused() -> None:
    error = refusal({"x": ["03/04/2026", "04/04/2026"]})
    assert error.reason == "AmbiguousColumn"
    assert "'x' holds dates such as '03/04/2026'" in error.message
    cells = ["03/04/2026", "04/04/2026"]
    assert columns({"x": cells}, rules={"x": {"type": "string"}})["x"].kind == "categorical"


def test_what_stands_for_missing_is_missing_among_dates() -> None:
    column = columns({"x": [" 2026-01-02", "2026-01-02", "NA", ""]})["x"]
    assert (column.kind, column.format) == ("date", "YYYY-MM-DD")
    assert column.stored().to_pylist() == ["2026-01-02", "2026-01-02", "", ""]
    assert column.missing.tolist() == [False, False, True, True]


@pytest.mark.parametrize(
    ("cells", "asked", "kind", "stored"),
    [
        (["20260102", "20260103"], None, "numeric", [20260102, 20260103]),
        (["20260102", "20260103"], "date", "date", ["20260102", "20260103"]),
        ([20260102, None], "date", "date", ["20260102", ""]),
        ([date(2026, 1, 2), None], None, "date", ["2026-01-02", ""]),
        ([date(2026, 1, 2), None], "string", "categorical", ["2026-01-02", ""]),
        (["2026-01-02", "2026-01-03"], "string", "categorical", ["2026-01-02", "2026-01-03"]),
        (["2026-01-02", "2026-01-03"], "text", "text", ["2026-01-02", "2026-01-03"]),
        (["1", "2"], "text", "text", ["1", "2"]),
    ],
)
def test_a_schema_overrides_what_a_column_looks_like(
    cells: list[Any], asked: str | None, kind: str, stored: list[Any]
) -> None:
    rules = {"x": {"type": asked}} if asked else {}
    column = columns({"x": cells}, rules=rules)["x"]
    assert (column.kind, column.stored().to_pylist()) == (kind, stored)


def test_a_type_date_needs_a_known_format() -> None:
    error = refusal({"x": ["next week", "last year"]}, rules={"x": {"type": "date"}})
    assert error.reason == "SchemaViolation"
    assert "YYYY-MM-DD" in error.message
    rule = ColumnRule(type="date")
    column = columns({"x": ["2026-01-02", "soon"]}, rules={"x": {"type": "date"}})["x"]
    assert [violation.row for violation in violations({"x": column}, {"x": rule})[1]] == [2]
