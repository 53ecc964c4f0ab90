"""Properties of the schema check, for any data."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwright_training.documents import ColumnRule
from modelwright_training.reading.columns import asked_type, read_column
from modelwright_training.reading.rules import violations

cells = st.one_of(st.just(""), st.integers(-50, 50).map(str), st.sampled_from(["x", "free", "1.5"]))


@given(
    st.lists(cells, min_size=1, max_size=40),
    st.integers(-50, 50),
    st.integers(0, 50),
    st.booleans(),
)
def test_the_number_rule_finds_what_a_person_would_find(
    texts: list[str], low: int, width: int, nullable: bool
) -> None:
    rule = ColumnRule(type="integer", min=low, max=low + width, nullable=nullable)
    column = read_column("x", pa.chunked_array([pa.array(texts)]), asked_type(rule))
    total, first = violations({"x": column}, {"x": rule})

    def faults(text: str) -> int:
        if text == "":
            return int(not nullable)
        if not text.lstrip("-").isdigit():
            return 1
        return int(not low <= int(text) <= low + width)

    assert total == sum(map(faults, texts))
    broken_rows = [row + 1 for row, text in enumerate(texts) if faults(text)]
    assert [violation.row for violation in first] == broken_rows[:5]
    assert all(
        violation.value == repr(texts[violation.row - 1]) for violation in first if texts[violation.row - 1]
    )


@given(
    st.lists(st.text(max_size=5), min_size=1, max_size=40),
    st.lists(st.text(max_size=5), min_size=1, max_size=5),
)
def test_the_values_rule_allows_exactly_its_values_and_missing_ones(
    texts: list[str], allowed: list[str]
) -> None:
    rule = ColumnRule.model_validate({"values": allowed})
    column = read_column("x", pa.chunked_array([pa.array(texts)]), asked_type(rule))
    total, _ = violations({"x": column}, {"x": rule})
    assert total == sum(text != "" and text not in allowed for text in texts)


@pytest.mark.parametrize(
    ("rule", "texts", "broken"),
    [
        ({"type": "boolean"}, ["true", "0", "2", "yes", ""], [3, 4]),
        ({"type": "integer"}, ["1", "1.0", "1.5", "one"], [3, 4]),
        ({"type": "number"}, ["1.5", "true", "x"], [2, 3]),
        ({"values": [1, 2]}, ["1", "2.0", "3"], [3]),
        ({"values": ["1", 2]}, ["1", "2", "2.0"], [3]),
        ({"min": 0}, ["1", "-1", "", "NaN"], [2]),
        ({"nullable": False}, ["a", "", "b"], [2]),
        ({"type": "string", "min": 0}, ["a", ""], [1]),
    ],
)
def test_a_rule_names_the_rows_that_break_it(
    rule: dict[str, object], texts: list[str], broken: list[int]
) -> None:
    parsed = ColumnRule.model_validate(rule)
    column = read_column("x", pa.chunked_array([pa.array(texts)]), asked_type(parsed))
    total, first = violations({"x": column}, {"x": parsed})
    assert ([violation.row for violation in first], total) == (broken, len(broken))
