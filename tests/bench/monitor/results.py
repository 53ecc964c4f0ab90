"""What the bench of watching found, and how it is shown. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from bench.arithmetic import ratio
from bench.report import NOISY, QUIET, table, targets_table
from bench.results import Found, Load, Machine, Series
from bench.targets import Verdict

UNWATCHED, WATCHED = "not watched", "watched"
LEAST_RATE = 0.97


class Counted(Found):
    """What the watched server said of a load: rows answered, and rows in the cells; and both in a second."""

    load: str
    rows: int
    counted: int
    seconds: float


class Memory(Found):
    """Resident memory of a server in MiB after the loads."""

    server: str
    mib: float


class Monitor(Found):
    """One run of the bench."""

    date: str
    commit: str
    quick: bool
    machine: Machine
    features: int
    loads: list[Load]
    counted: list[Counted]
    memory: list[Memory]


def verdicts(found: Monitor) -> Iterator[Verdict]:
    """The target of each load."""
    for load in found.loads:
        watched, unwatched = _pair(load)
        rates = ratio(watched.rates(), unwatched.rates())
        # Whatever else the machine does only adds: the best rounds are nearest to the cost itself.
        cost = min(watched.cpu()) / min(unwatched.cpu()) - 1
        yield Verdict(
            f"{load.title}: requests a second while watched",
            f">= {LEAST_RATE:.0%}",
            f"{rates.middle:.1%} ({rates.low:.1%}-{rates.high:.1%}); CPU per request {cost:+.1%} in the best rounds",
            rates.middle >= LEAST_RATE,
        )


def report(found: Monitor) -> str:
    """Everything, for people."""
    here = found.machine
    others = statistics.median(
        [sample.others_busy for load in found.loads for one in load.series for sample in one.samples]
    )
    measured = (
        f"{'A quick look: too short to quote. ' if found.quick else ''}"
        f"{NOISY.format(others) if others > QUIET else ''}"
        f"Measured {found.date} at commit `{found.commit}` on {here.processor}, {here.cores} cores, "
        f"{here.memory_gib} GiB, Linux {here.kernel}, Python {here.python}. A classifier of {found.features} numbers "
        "with its profile, two servers in the same rounds; one is asked for its counts every second."
    )
    parts = [measured, targets_table(list(verdicts(found))), _loads(found), _memory(found.memory)]
    return "\n\n".join(parts) + "\n"


def _loads(found: Monitor) -> str:
    counted = {one.load: one for one in found.counted}
    rows = []
    for load in found.loads:
        watched, unwatched = _pair(load)
        one = counted[load.name]
        rows.append(
            (
                load.title,
                *(f"{statistics.median(series.rates()):,.0f}" for series in (unwatched, watched)),
                *(f"{statistics.median(series.cpu()):.1f}" for series in (unwatched, watched)),
                f"{one.counted / one.seconds:,.0f} of {one.rows / one.seconds:,.0f}",
            )
        )
    head = (
        "load",
        "requests/s, not watched",
        "watched",
        "CPU us/request, not watched",
        "watched",
        "rows/s counted",
    )
    return table(head, rows)


def _memory(memory: Sequence[Memory]) -> str:
    shown = ", ".join(f"{one.server} {one.mib:.1f} MiB" for one in memory)
    return f"Resident memory after the loads: {shown}."


def _pair(load: Load) -> tuple[Series, Series]:
    watched, unwatched = load.of(WATCHED), load.of(UNWATCHED)
    assert watched is not None
    assert unwatched is not None
    return watched, unwatched
