"""`make estimators`: runs every estimator and writes docs/estimators.md."""

from __future__ import annotations

import logging
import sys
import tempfile
import warnings
from pathlib import Path

from estimators.catalogue import everything
from estimators.document import DOCUMENT, cell, page
from estimators.trials import Bench

ROWS = 400


def main() -> int:
    """Prints each row as it is found."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    outcomes = []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), ROWS)
        for trial in everything():
            found = bench.outcomes(trial)
            outcomes += found
            print(trial.name, *(cell(outcome) for outcome in found), sep="\n    ", flush=True)
    DOCUMENT.write_text(page(everything(), outcomes, ROWS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
