"""How long things are measured, and the lines that tell what has been found so far."""

from __future__ import annotations

import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """Whole seconds of a measurement and of warming up; how often everything is measured."""

    seconds: int
    warm_up: int
    passes: int
    starts: int
    probe_seconds: int
    soak_requests: int
    soak_mib_per_million: float


# Eight hours at 50 requests per second.
FULL = Pace(3, 1, 6, 5, 10, 1_440_000, 1.0)
# Looks for what is badly wrong: growth over few requests is mostly noise.
QUICK = Pace(1, 1, 2, 3, 4, 200_000, 20.0)


def say(text: str) -> None:
    """Progress goes to standard error: standard output is the report's."""
    sys.stderr.write(f"  {text}\n")
    sys.stderr.flush()
