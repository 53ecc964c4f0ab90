"""`make gates`: simulates hold-outs and writes how often gates are wrong into docs/gates.md."""

from __future__ import annotations

import argparse
import sys
import time

from gates_simulated.document import DOCUMENT, written
from gates_simulated.tables import HEADS, rows


def main() -> int:
    """Writes the tables that were asked for; the others stay as they are."""
    parser = argparse.ArgumentParser(prog="make gates", description=__doc__)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"only some of {', '.join(HEADS)}")
    parser.add_argument(
        "--repeats", type=int, default=1000, help="hold-outs in each row; default: %(default)s"
    )
    options = parser.parse_args()
    began, found = time.monotonic(), []
    for row in rows():
        if options.tables and row.table not in options.tables:
            continue
        found.append((row.table, row.cells(options.repeats)))
        print(f"{time.monotonic() - began:4.0f} s  {row.table}: {' | '.join(found[-1][1])}", flush=True)
    DOCUMENT.write_text(written(DOCUMENT.read_text(), found, options.repeats))
    return 0


if __name__ == "__main__":
    sys.exit(main())
