"""`make drift`: simulates windows of requests and writes how often verdicts on drift are wrong into docs/drift.md."""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from drift_simulated.document import DOCUMENT, written
from drift_simulated.tables import HEADS, rows


def main() -> int:
    """Writes the tables that were asked for; the others stay as they are."""
    parser = argparse.ArgumentParser(prog="make drift", description=__doc__)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"only some of {', '.join(HEADS)}")
    parser.add_argument(
        "--windows", type=int, default=10_000, help="of the first table; default: %(default)s"
    )
    parser.add_argument("--processes", type=int, default=2, help="default: %(default)s")
    options = parser.parse_args()
    wanted = [row for row in rows() if not options.tables or row.table in options.tables]
    began, found = time.monotonic(), []
    with ProcessPoolExecutor(options.processes) as pool:
        pending = [pool.submit(row.cells, options.windows) for row in wanted]
        for row, future in zip(wanted, pending, strict=True):
            found.append((row.table, future.result()))
            print(f"{time.monotonic() - began:4.0f} s  {row.table}: {' | '.join(found[-1][1])}", flush=True)
    DOCUMENT.write_text(written(DOCUMENT.read_text(), found, options.windows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
