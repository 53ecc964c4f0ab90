"""Writes the tables into docs/gates.md, each between two marks."""

from __future__ import annotations

from collections.abc import Sequence

from bench.document import placed
from cluster.paths import REPOSITORY

from gates_simulated.row import Cells
from gates_simulated.tables import tables

DOCUMENT = REPOSITORY / "docs" / "gates.md"


def written(page: str, found: Sequence[tuple[str, Cells]], repeats: int) -> str:
    """The page with these tables in place of those that it has."""
    for name, text in tables(found).items():
        content = f"{text}\n\nEach row is of {repeats:,} simulated hold-outs.\n"
        page = placed(page, content, (f"<!-- {name}:begin -->", f"<!-- {name}:end -->"))
    return page
