"""`make histories`: a million random histories of rollouts on every core; says which seed broke a promise."""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from histories.history import described, history
from histories.promises import BrokenPromiseError

CHUNK = 1000


def main() -> int:
    """Lives them through; 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="make histories", description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of the first one")
    parser.add_argument("--jobs", type=int, default=2, help="processes; default: %(default)s")
    options = parser.parse_args()
    began, seeds = time.monotonic(), range(options.seed, options.seed + options.count, CHUNK)
    last = options.seed + options.count
    with ProcessPoolExecutor(options.jobs) as pool:
        broken = [told for chunk in pool.map(lived, seeds, [last] * len(seeds)) for told in chunk]
    seconds = time.monotonic() - began
    print(*broken[:20], sep="\n", end="\n" if broken else "")
    print(f"{options.count} histories in {seconds:.0f} s, {len(broken)} broke a promise")
    return 1 if broken else 0


def lived(first: int, last: int) -> list[str]:
    """The histories of one share that broke a promise."""
    broken = []
    for seed in range(first, min(first + CHUNK, last)):
        try:
            history(seed)
        except BrokenPromiseError as error:
            broken.append(f"{described(seed)}: {error}")
    return broken


if __name__ == "__main__":
    sys.exit(main())
