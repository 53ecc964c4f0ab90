"""Properties of the split and of the schema check, for any data."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelwright_training.documents import ColumnRule, Holdout
from modelwright_training.errors import InputError
from modelwright_training.reading.columns import asked_type, read_column
from modelwright_training.reading.rules import violations
from modelwright_training.reading.split import Split, split

fractions = st.floats(0.05, 0.9)
seeds = st.integers(0, 2**32 - 1)
labels = st.lists(st.sampled_from("abcd"), min_size=12, max_size=200)
cells = st.one_of(st.just(""), st.integers(-50, 50).map(str), st.sampled_from(["x", "free", "1.5"]))


def split_of(names: list[str], holdout: Holdout) -> Split | None:
    """The split, or None where the rows cannot be split so that there is something to learn."""
    try:
        return split(len(names), holdout, np.array(names))
    except InputError:
        size = round(len(names) * holdout.fraction)
        assert len(set(names)) < 2 or size < 1 or len(names) - size < 2 or not_stratified(names, size)
        return None


def not_stratified(names: list[str], size: int) -> bool:
    counts = Counter(names)
    return min(counts.values()) < 2 or len(counts) > min(size, len(names) - size)


@settings(deadline=None)
@given(labels, fractions, seeds)
def test_a_split_parts_the_rows_and_repeats_itself(names: list[str], fraction: float, seed: int) -> None:
    classes = np.array(names)
    holdout = Holdout(fraction=fraction, seed=seed)
    first = split_of(names, holdout)
    if first is None:
        return
    np.random.seed(seed % 7)
    second = split(len(names), holdout, classes)

    assert sorted([*first.train, *first.holdout]) == list(range(len(names)))
    assert len(first.holdout) == round(len(names) * fraction)
    assert first.train.tolist() == second.train.tolist() == sorted(first.train)
    assert first.holdout.tolist() == second.holdout.tolist() == sorted(first.holdout)
    assert len(set(classes[first.train])) >= 2
    assert first.stratified == (first.note is None)


@settings(deadline=None)
@given(labels, fractions, seeds)
def test_a_stratified_split_keeps_each_class_within_a_row_of_its_share(
    names: list[str], fraction: float, seed: int
) -> None:
    classes = np.array(names)
    done = split_of(names, Holdout(fraction=fraction, seed=seed))
    if done is not None and done.stratified:
        share = len(done.holdout) / len(names)
        for name in set(names):
            held = (classes[done.holdout] == name).sum()
            assert abs(held - share * names.count(name)) <= 1


@given(st.integers(10, 200), seeds, seeds)
def test_another_seed_holds_out_as_many_rows(rows: int, seed: int, other: int) -> None:
    one = split(rows, Holdout(seed=seed), None)
    two = split(rows, Holdout(seed=other), None)
    assert len(one.holdout) == len(two.holdout)
    assert not one.stratified


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
