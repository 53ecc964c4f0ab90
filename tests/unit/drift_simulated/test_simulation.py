"""A short run of `make drift`: what docs/drift.md promises holds.

Seeds are fixed. Each bound is some standard deviations away from what the long run has found."""

from __future__ import annotations

import numpy as np
import pytest
from drift_simulated import tables
from drift_simulated.document import DOCUMENT, written
from drift_simulated.world import Change

from modelwright.checks.drift import Found


@pytest.fixture
def chance() -> np.random.Generator:
    return np.random.default_rng(15)


def found(seen: tables.Seen) -> list[Found]:
    """What is drift of all windows."""
    return [result for row in seen.judged for each in row for result in each.worst if result.drifted]


@pytest.mark.parametrize(("reference", "rows"), [(200, 500), (1000, 2000), (5000, 500)])
def test_windows_like_the_hold_out_are_hardly_ever_drifted(
    chance: np.random.Generator, reference: int, rows: int
) -> None:
    seen = tables.seen(chance, reference, rows, 150)
    assert len(found(seen)) <= 2
    assert seen.share("Inconclusive") == 0


def test_a_small_hold_out_never_has_drift(chance: np.random.Generator) -> None:
    assert tables.seen(chance, 60, 500, 10, Change(shift=2.0)).share("Inconclusive") == 1


@pytest.mark.parametrize("feature", ["plain", "with a", "few"])
def test_a_shift_of_a_third_of_a_standard_deviation_is_found_in_500_rows(
    chance: np.random.Generator, feature: str
) -> None:
    seen = tables.seen(chance, tables.REFERENCE, 500, 60, Change(feature=feature, shift=0.3))
    assert seen.share("Drifted") > 0.9
    assert seen.named() == f"{feature}: location"


def test_flipped_correlations_are_found_in_1000_rows_by_projections(chance: np.random.Generator) -> None:
    seen = tables.seen(chance, tables.REFERENCE, 1000, 40, tables.FLIPPED)
    assert seen.share("Drifted") == 1
    assert {each.part for each in found(seen)} <= {"projection", "prediction"}


def test_a_tenth_of_a_standard_deviation_is_no_drift_in_100000_rows(chance: np.random.Generator) -> None:
    seen = tables.seen(chance, tables.REFERENCE, 100_000, 5, Change(feature="plain", shift=0.1))
    assert seen.share("Drifted") == 0


def test_requests_with_many_rows_that_are_alike_raise_no_alarm(chance: np.random.Generator) -> None:
    alike = Change(size=50, alike=0.05)
    assert tables.seen(chance, tables.REFERENCE, 2000, 50, alike).share("Drifted") <= 0.04


def test_the_page_has_a_place_for_each_table() -> None:
    rows = tables.rows()
    assert len({row.key for row in rows}) == len(rows)
    assert {row.table for row in rows} == set(tables.HEADS)
    results = [
        (row.table, [*row.first, *["7 %"] * (len(tables.HEADS[row.table]) - len(row.first))]) for row in rows
    ]
    page = written(DOCUMENT.read_text(), results, 123)
    assert "up to 123 simulated windows" in page
    assert written(page, results, 123) == page
    with pytest.raises(ValueError, match="effects:begin"):
        written("# Drift\n", results, 123)


def test_each_row_fills_its_table() -> None:
    firsts = {row.table: row for row in reversed(tables.rows()) if row.table != tables.LARGE}
    for name, row in firsts.items():
        assert len(row.cells(10)) == len(tables.HEADS[name])
