"""Results as a run of the bench would have found them, with what a test wants to be different."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.results import FASTAPI, OURS, Footprint, Load, Machine, Results, Sample, Series

MACHINE = Machine(
    processor="Testium",
    cores=2,
    memory_gib=24,
    kernel="6.0",
    python="3.11.7",
    versions={"numpy": "2.4"},
    busy_before=0.01,
)


def sample(rate: float, *, cpu_us: float = 10, p50_us: float = 100, p99_us: float = 200) -> Sample:
    return Sample(
        requests=1000,
        rate=rate,
        cpu_us=cpu_us,
        server_busy=0.9,
        generator_busy=0.4,
        others_busy=0.1,
        mean_us=110,
        p50_us=p50_us,
        p99_us=p99_us,
    )


def load(name: str, ours: Sequence[Sample], fastapi: Sequence[Sample], **more: Sequence[Sample]) -> Load:
    """`more`: samples of others, by a contender's name with an underscore for a space."""
    samples = {
        OURS: ours,
        **{other.replace("_", " "): many for other, many in more.items()},
        FASTAPI: fastapi,
    }
    series = [Series(contender=name, samples=list(many)) for name, many in samples.items()]
    return Load(name=name, title="one row", connections=16, series=series)


def footprint(resident: float = 60, seconds: Sequence[float] = (0.2, 0.25, 0.9)) -> Footprint:
    return Footprint(
        contender=OURS, start_seconds=list(seconds), resident_mib=resident, proportional_mib=resident / 2
    )


def results(**found: Any) -> Results:
    return Results(date="2026-01-01 00:00 UTC", commit="abc", quick=False, machine=MACHINE, **found)
