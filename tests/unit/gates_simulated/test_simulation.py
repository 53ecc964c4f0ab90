"""A short run of `make gates`: its bootstrap is the product's, and what docs/gates.md promises holds.

Seeds are fixed, and each bound is several standard deviations away from what is expected."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from gates_simulated import fair, samples, tables
from gates_simulated.document import DOCUMENT, caption, written

from modelwright_training.judging import intervals, scorers

ROWS, COUNT = 80, 24


@pytest.fixture
def chance() -> np.random.Generator:
    return np.random.default_rng(20)


def test_many_resamples_at_once_are_those_of_the_product(chance: np.random.Generator) -> None:
    """The area under the ROC curve of each resample, by its weights."""
    is_class = np.arange(ROWS) < COUNT
    scores = chance.normal(size=ROWS) + is_class
    weight = samples.weights(chance, ROWS, 20)
    value, drawn = samples.areas(samples.wins(scores[:COUNT], scores[COUNT:]), weight)
    scorer = scorers.of_ranks([is_class], [scores])
    assert value == pytest.approx(scorer(np.ones(ROWS))["roc_auc"])
    each = [scorer(row.astype(np.float64))["roc_auc"] for row in weight]
    assert drawn == pytest.approx(np.array(each), abs=1e-6)


def test_the_interval_of_many_is_that_of_the_product(chance: np.random.Generator) -> None:
    """accuracy from the counts of rows, and from the rows."""
    right = np.arange(200) < 150

    def accuracy(weights: scorers.Floats) -> dict[str, float]:
        return {"accuracy": float(weights @ right / weights.sum())}

    ours = samples.found(0.75, chance.binomial(200, 0.75, 4000) / 200, 200)
    theirs = intervals.bootstrap(accuracy, 200, None, 1, 4000, ["accuracy"]).values["accuracy"]
    assert (ours.low, ours.high) == pytest.approx(theirs, abs=0.006)


@pytest.mark.parametrize("rows", [100, 300])
def test_a_challenger_worse_by_the_margin_hardly_passes(chance: np.random.Generator, rows: int) -> None:
    found = tables.verdicts(
        tables.NOT_WORSE, "roc_auc", samples.area_differences(chance, rows, tables.MARGIN, 200)
    )
    assert found["Pass"] < 0.06
    assert found["Fail"] < 0.06


def test_a_clearly_worse_challenger_never_replaces_the_champion() -> None:
    """By 0.054, with 50 seeds; at 500 rows nearly all of them are found out."""
    drawn = (
        next(samples.area_differences(np.random.default_rng(seed), 500, tables.CLEARLY, 1))
        for seed in range(50)
    )
    found = tables.verdicts(tables.NOT_WORSE, "roc_auc", drawn)
    assert found["Pass"] == 0
    assert found["Fail"] > 0.8


def test_the_default_gates_refuse_nonsense_and_let_equal_challengers_pass(
    chance: np.random.Generator,
) -> None:
    shuffled = samples.area_values(chance, 100, 0.5, 300, less=0.5)
    assert tables.verdicts(tables.BASELINE, "roc_auc", shuffled)["Pass"] < 0.055
    useful = samples.area_values(chance, 150, 0.7, 50, less=0.5)
    assert tables.verdicts(tables.BASELINE, "roc_auc", useful)["Pass"] > 0.85
    equal = samples.area_differences(chance, 100, 0.0, 300)
    assert tables.verdicts(tables.EQUAL, "roc_auc", equal)["Fail"] < 0.055


def test_a_fair_model_of_small_groups_does_not_fail_and_an_unfair_one_of_large_groups_does(
    chance: np.random.Generator,
) -> None:
    metric = "demographic_parity_ratio"
    assert fair.judged(metric, 2, 60, 0.5, 1.0, chance, 200)[1] in {"0 %", "0.5 %"}
    assert fair.judged(metric, 2, 1000, 0.5, 0.6, chance, 50)[1] in {"98 %", "100 %"}


def test_so_many_rows_as_are_said_to_be_needed_decide(chance: np.random.Generator) -> None:
    gate = tables.NOT_WORSE.model_copy(update={"metric": "accuracy"})

    def draw(random: np.random.Generator, rows: int, repeats: int) -> Iterator[samples.Found]:
        return samples.hit_differences(random, rows, 0.03, 0.06, repeats)

    needed, all_decide, quarter_decides = tables.needed(gate, "accuracy", 500, draw, chance, 200)
    assert int(needed.replace(",", "")) > 500
    assert float(all_decide.rstrip(" %")) > 50
    assert float(quarter_decides.rstrip(" %")) < 50


def test_the_page_has_a_place_for_each_table() -> None:
    rows = tables.rows()
    assert len({row.key for row in rows}) == len(rows)
    assert {row.table for row in rows} == set(tables.HEADS)
    found = [
        (row.table, [*row.first, *["7 %"] * (len(tables.HEADS[row.table]) - len(row.first))]) for row in rows
    ]
    page = written(DOCUMENT.read_text(), found, 123)
    assert page.count(caption(123)) == len(tables.HEADS)
    assert written(page, found, 123) == page
    with pytest.raises(ValueError, match="champion:begin"):
        written("# Gates\n", found, 123)


def test_each_row_fills_its_table() -> None:
    firsts = {row.table: row for row in reversed(tables.rows())}
    for name, row in firsts.items():
        assert len(row.cells(20)) == len(tables.HEADS[name])
