"""Writes the last results of all attacks into docs/serving.md, between two marks. Run by `make attack-docs`."""

from __future__ import annotations

import sys
from pathlib import Path

from attacks.catalogue import ATTACKS
from attacks.report import report
from attacks.results import Attacked
from bench.document import placed
from cluster.paths import LOCAL, REPOSITORY

DOCUMENT = REPOSITORY / "docs" / "serving.md"
RESULTS = LOCAL / "attacks" / "all.json"
MARKS = "<!-- attacks:begin -->", "<!-- attacks:end -->"


def main(results: Path = RESULTS, document: Path = DOCUMENT) -> int:
    """Refuses a run of some attacks only."""
    if not results.exists():
        sys.stderr.write(f"{results} is missing: run `make attack` first\n")
        return 1
    found = Attacked.model_validate_json(results.read_bytes())
    if missing := set(ATTACKS) - {effect.name for effect in found.effects}:
        sys.stderr.write(f"the last run lacks {', '.join(sorted(missing))}: run `make attack` again\n")
        return 1
    document.write_text(placed(document.read_text(), report(found), MARKS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
