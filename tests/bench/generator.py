"""Runs a load generator on its core and says how it went; knows no particular generator."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

SERVER_CORE, GENERATOR_CORE = 0, 1
PATIENCE_SECONDS = 30.0


class BenchError(Exception):
    """A server that answers wrongly, or a generator that cannot do its work: there is nothing to compare."""


@dataclass(frozen=True)
class Outcome:
    """What one run of a generator saw; `refused` have a bad status, `broken` have no answer at all."""

    requests: int
    seconds: float
    refused: int
    broken: int
    mean_us: float
    p50_us: float | None = None
    p99_us: float | None = None
    bytes_per_answer: float | None = None


def generate(command: Sequence[str], seconds: float) -> str:
    """The output of a generator that runs for so long."""
    pinned = ["taskset", "--cpu-list", str(GENERATOR_CORE), *command]
    done = subprocess.run(
        pinned, capture_output=True, text=True, timeout=seconds + PATIENCE_SECONDS, check=False
    )
    if done.returncode:
        raise BenchError(f"{command[0]} ended with {done.returncode}: {(done.stderr or done.stdout)[-500:]}")
    return done.stdout
