"""What a run of the bench found, as one JSON document. Judging it is left to `targets`, showing it to `report`."""

from __future__ import annotations

import statistics

from pydantic import BaseModel, ConfigDict

OURS, FASTAPI, MLSERVER, KSERVE = "modelwright", "fastapi", "mlserver", "kserve"
# Our server at an earlier revision.
BEFORE = "modelwright before"


class Found(BaseModel):
    """A part of the document."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Sample(Found):
    """One measurement of one server. Times in microseconds, shares from 0 to 1."""

    requests: int
    rate: float
    cpu_us: float
    """CPU time of the server and its children per request."""
    server_busy: float
    """Share of its core that the server had."""
    generator_busy: float
    """Share of its core that the load generator had: near 1 the generator was the limit."""
    others_busy: float
    """Cores that everybody else on the machine had meanwhile."""
    mean_us: float
    p50_us: float | None = None
    p99_us: float | None = None


class Series(Found):
    """One server under one load, a sample for each round."""

    contender: str
    samples: list[Sample]

    def rates(self) -> list[float]:
        return [sample.rate for sample in self.samples]

    def cpu(self) -> list[float]:
        return [sample.cpu_us for sample in self.samples]

    def p50(self) -> float | None:
        return _median([sample.p50_us for sample in self.samples])

    def p99(self) -> float | None:
        return _median([sample.p99_us for sample in self.samples])


class Load(Found):
    """All servers under one load. A contender is a server, or a way of asking ours: `modelwright binary`."""

    name: str
    title: str
    connections: int
    series: list[Series]

    def of(self, contender: str) -> Series | None:
        return next((one for one in self.series if one.contender == contender), None)


class Footprint(Found):
    """What a server takes: seconds from exec to the first inference answer; memory after the loads, in MiB."""

    contender: str
    start_seconds: list[float]
    resident_mib: float
    proportional_mib: float


class Health(Found):
    """Health probes of our server, each on a new connection, while the heavy model is under load. Milliseconds."""

    probes: int
    p50_ms: float
    p99_ms: float
    highest_ms: float


class HeavyModel(Found):
    """What the heavy model came out as on this machine."""

    hidden: int
    batch_ms: float
    row_ms: float


class MetricsCost(Found):
    """One row at 64 connections: as it is, scraped every second, and with counting replaced by nothing."""

    counted: Series
    scraped: Series
    uncounted: Series


class Soak(Found):
    """A long service's requests at full speed. Memory in MiB; growth per million requests after warm-up."""

    requests: int
    seconds: float
    answers: dict[str, int]
    """By protocol and code, as the server counted them."""
    resident_start_mib: float
    resident_end_mib: float
    growth_mib_per_million: float
    allowed_mib_per_million: float
    descriptors_start: int
    descriptors_end: int
    samples: list[tuple[int, float, int]]
    """Requests so far, resident MiB, open file descriptors."""

    def steady(self) -> bool:
        return (
            self.growth_mib_per_million <= self.allowed_mib_per_million
            and self.descriptors_end <= self.descriptors_start
        )


class Machine(Found):
    """Where and with what it was measured."""

    processor: str
    cores: int
    memory_gib: int
    kernel: str
    python: str
    versions: dict[str, str]
    busy_before: float
    """Share of all cores that others used just before the bench began."""


class Results(Found):
    """One run of the bench; a part that was not asked for is missing."""

    date: str
    commit: str
    quick: bool
    before: str | None = None
    """The commit of BEFORE; None if no earlier revision was measured."""
    machine: Machine
    loads: list[Load] = []
    footprints: list[Footprint] = []
    heavy: HeavyModel | None = None
    health: Health | None = None
    metrics: MetricsCost | None = None
    soak: Soak | None = None
    missing: list[str] = []
    """What could not be measured, and why."""

    def load(self, name: str) -> Load | None:
        return next((one for one in self.loads if one.name == name), None)

    def footprint(self, contender: str) -> Footprint | None:
        return next((one for one in self.footprints if one.contender == contender), None)


def _median(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
