"""Writes the tables into docs/drift.md, each between two marks."""

from __future__ import annotations

from collections.abc import Sequence

from bench.document import placed
from cluster.paths import REPOSITORY
from gates_simulated.row import Cells

from drift_simulated.tables import tables

DOCUMENT = REPOSITORY / "docs" / "drift.md"


def written(page: str, found: Sequence[tuple[str, Cells]], windows: int) -> str:
    """The page with these tables in place of those that it has. `windows`: of each row of the first table."""
    texts = tables(found) | {
        "windows": f"Rows are of up to {windows:,} simulated windows, each with its own noise."
    }
    for name, text in texts.items():
        page = placed(page, f"{text}\n", (f"<!-- {name}:begin -->", f"<!-- {name}:end -->"))
    return page
