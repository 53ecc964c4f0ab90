"""`make verdicts`: simulates rollouts and writes what it finds into docs/verdicts.md."""

from __future__ import annotations

import argparse
import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from cluster.paths import LOCAL

from verdicts.document import DOCUMENT, written
from verdicts.tables import HEADS, rows

RESULTS = LOCAL / "verdicts" / "rows.json"


def main() -> int:
    """Keeps each row as it is found; writes the page when all are there."""
    parser = argparse.ArgumentParser(prog="make verdicts", description=__doc__)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"only some of {', '.join(HEADS)}")
    parser.add_argument("--rollouts", type=int, default=20_000, help="in each row; default: %(default)s")
    parser.add_argument("--jobs", type=int, default=2, help="processes; default: %(default)s")
    parser.add_argument("--missing", action="store_true", help="only rows that the last run has not come to")
    options = parser.parse_args()
    wanted = rows()
    known = kept(RESULTS, options.rollouts)
    chosen = [
        row
        for row in wanted
        if (not options.tables or row.table in options.tables) and not (options.missing and row.key in known)
    ]
    began = time.monotonic()
    with ProcessPoolExecutor(options.jobs) as pool:
        futures = {pool.submit(row.cells, options.rollouts): row for row in chosen}
        for future in as_completed(futures):
            row = futures[future]
            known[row.key] = future.result()
            keep(RESULTS, options.rollouts, known)
            print(f"{time.monotonic() - began:4.0f} s  {row.table}: {' | '.join(known[row.key])}", flush=True)
    if missing := [row.key for row in wanted if row.key not in known]:
        print(f"{len(missing)} rows are missing: {DOCUMENT.name} stays as it is")
        return 0
    DOCUMENT.write_text(written(DOCUMENT.read_text(), wanted, known, options.rollouts))
    return 0


def kept(path: Path, rollouts: int) -> dict[str, list[str]]:
    """The rows of the last runs with as many rollouts, by key."""
    found = json.loads(path.read_text()) if path.exists() else {}
    return dict(found["rows"]) if found.get("rollouts") == rollouts else {}


def keep(path: Path, rollouts: int, found: dict[str, list[str]]) -> None:
    """Writes the rows for the next run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"rollouts": rollouts, "rows": found}, indent=1))


if __name__ == "__main__":
    sys.exit(main())
