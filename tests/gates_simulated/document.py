"""Writes the tables into docs/gates.md, each between two marks."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from bench.document import placed
from cluster.paths import REPOSITORY
from verdicts.tables import percent

from gates_simulated.row import Cells
from gates_simulated.tables import tables

DOCUMENT = REPOSITORY / "docs" / "gates.md"


def caption(repeats: int) -> str:
    """How rough the numbers are: a share that is found in so many repeats has a standard error of its own."""
    error = 1.96 * sqrt(0.025 * 0.975 / repeats)
    low, high = (percent(round(share, 3)) for share in (max(0.0, 0.025 - error), 0.025 + error))
    return f"Each row is of {repeats:,} simulated hold-outs, so a true share of 2.5 % is shown as {low} to {high}."


def written(page: str, found: Sequence[tuple[str, Cells]], repeats: int) -> str:
    """The page with these tables in place of those that it has."""
    for name, text in tables(found).items():
        page = placed(
            page, f"{text}\n\n{caption(repeats)}\n", (f"<!-- {name}:begin -->", f"<!-- {name}:end -->")
        )
    return page
