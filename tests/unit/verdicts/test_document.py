"""The page has a place for every table, and each row has one place and its own chance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from verdicts import tables, whole
from verdicts.__main__ import keep, kept
from verdicts.document import DOCUMENT, written
from verdicts.tables import HEADS, middle_and_last, percent, rows

from modelwright.checks.budget import check_alpha


def results() -> dict[str, list[str]]:
    """Something for every row."""
    return {row.key: [row.name, *["0.25"] * 12] for row in rows()}


def test_the_page_takes_every_table() -> None:
    page = written(DOCUMENT.read_text(), rows(), results(), 123)
    assert "Each row is of 123 simulated rollouts." in page
    for row in rows():
        assert row.table == tables.WHOLE or f"| {row.name} | 0.25 |" in page
    # A page that has tables gets the new ones in their place.
    assert written(page, rows(), results(), 123) == page


def test_a_page_without_a_place_is_refused() -> None:
    with pytest.raises(ValueError, match="slow:begin"):
        written("# Verdicts\n", rows(), results(), 123)


def test_the_page_has_the_tables_of_a_whole_run() -> None:
    page = DOCUMENT.read_text()
    for row in rows():
        assert row.table == tables.WHOLE or f"\n| {row.name} | " in page, row.key
    assert "Each row is of 20,000 simulated rollouts." in page


def test_every_row_has_its_own_name() -> None:
    keys = [row.key for row in rows()]
    assert len(keys) == len(set(keys))
    assert {row.table for row in rows()} == set(HEADS)


def test_a_row_is_the_same_at_every_run() -> None:
    row = next(row for row in rows() if row.table == tables.DIFFERENCE)
    assert row.cells(50) == row.cells(50)


def test_whole_rollouts_are_made_of_independent_steps() -> None:
    parts = [[row.name, *["0.5"] * 12] for row in rows() if row.table == tables.WHOLE]
    first, *_ = tables.whole_table(parts)
    # Of each step but the bake, rates and durations.
    assert first == [
        "1/s, a minute",
        percent(1 - 0.5**7),
        "75 %",
        "75 %",
        "75 %",
        "50 %",
        percent(1 - 0.5**7),
    ]


def test_rows_of_another_number_of_rollouts_are_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "verdicts" / "rows.json"
    assert kept(path, 100) == {}
    keep(path, 100, {"errors: x": ["x", "1 %"]})
    assert kept(path, 100) == {"errors: x": ["x", "1 %"]}
    assert kept(path, 200) == {}


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 %"), (0.00045, "0.045 %"), (0.025, "2.5 %"), (0.31, "31 %"), (0.9996, "99.96 %"), (1, "100 %")],
)
def test_shares_as_people_read_them(value: float, text: str) -> None:
    assert percent(value) == text


def test_what_is_not_found_is_endless() -> None:
    assert middle_and_last(np.array([10, 2000, 30, -1])) == "30 / -"
    assert middle_and_last(np.array([5] * 100)) == "5 / 5"


def test_the_parts_of_the_budget_in_the_page_are_those_of_the_product() -> None:
    page = DOCUMENT.read_text()
    for number in (1, 2, 3):
        part, each = (check_alpha(whole.BUDGET, number, tests) for tests in (1, 6))
        assert f"| step {number} | {percent(part)} | {percent(each)} |" in page
    assert f"| bake (error rate only) | {percent(check_alpha(whole.BUDGET, 4, 1))} |" in page
