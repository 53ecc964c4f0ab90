"""`make fuzz`: so many inputs for each layer of the server, on so many processes; says what was found.

The same seed, number of inputs and corpus give the same inputs again.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor

from fuzz.layers import LAYERS
from fuzz.shares import report, share


def main() -> int:
    """Runs the campaigns; 1 if something was found."""
    options = _options()
    with ProcessPoolExecutor(options.jobs, max_tasks_per_child=1) as pool:
        shares = {
            layer: [
                pool.submit(share, layer, options.inputs // options.jobs, options.seed * 1000 + job)
                for job in range(options.jobs)
            ]
            for layer in options.layers
        }
        results = [
            report(layer, [part.result() for part in parts], save=options.save)
            for layer, parts in shares.items()
        ]
    return max(results)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument(
        "layers", nargs="*", default=sorted(LAYERS), metavar="LAYER", help=", ".join(sorted(LAYERS))
    )
    parser.add_argument("--inputs", type=int, default=1_000_000, help="for each layer; default: %(default)s")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="processes; default: %(default)s")
    parser.add_argument("--save", action="store_true", help="replace the corpus by what shows something new")
    options = parser.parse_args()
    if unknown := set(options.layers) - set(LAYERS):
        parser.error(f"no such layer: {', '.join(sorted(unknown))}")
    return options


if __name__ == "__main__":
    sys.exit(main())
