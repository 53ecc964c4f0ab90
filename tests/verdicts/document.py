"""Writes the tables into docs/verdicts.md, each between two marks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bench.document import placed
from cluster.paths import REPOSITORY

from verdicts.tables import ROLLOUTS, Row, tables

DOCUMENT = REPOSITORY / "docs" / "verdicts.md"


def written(page: str, rows: Iterable[Row], found: Mapping[str, Sequence[str]], rollouts: int) -> str:
    """The page with these rows in place of those that it has."""
    shown = tables((row.table, list(found[row.key])) for row in rows)
    for name, text in {**shown, ROLLOUTS: f"Each row is of {rollouts:,} simulated rollouts."}.items():
        page = placed(page, f"{text}\n", (f"<!-- {name}:begin -->", f"<!-- {name}:end -->"))
    return page
