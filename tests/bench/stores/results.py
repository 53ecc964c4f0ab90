"""What the bench of stores found, and how it is shown. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from bench.report import table, targets_table
from bench.results import Found, Machine
from bench.targets import Verdict

MAX_MIB = 100.0
LEAST_SHARE = 0.8
MOST_FETCHED = 1.1
MAX_IMAGE_MB = 20.0
MAX_START_SECONDS = 0.1


class Rate(Found):
    """One store: seconds of each round for the same bytes by each of three."""

    store: str
    size: int
    discarded: list[float]
    """curl, which drops what it reads: what the server and the loopback give."""
    written: list[float]
    """curl, which writes a file on the same disk."""
    pulled: list[float]
    """modelwright-pull, which writes, hashes and renames."""
    cpu: list[float]
    """CPU seconds of modelwright-pull."""
    mib: list[float]
    """Its largest resident memory."""


class Killed(Found):
    """One store: a pull that was killed again and again, and the bytes that crossed the wire in all."""

    store: str
    size: int
    reached: list[int]
    """Bytes on the disk at each kill."""
    crossed: int


class Image(Found):
    """Bytes of the serving image's Python packages."""

    total: int
    added: dict[str, int]
    """By what is there for the stores alone."""


class Start(Found):
    """A small model from one place: seconds from the start of pull to its end, and from there to a ready server."""

    place: str
    pulled: list[float]
    served: list[float]

    @property
    def totals(self) -> list[float]:
        return [pulled + served for pulled, served in zip(self.pulled, self.served, strict=True)]


class Stores(Found):
    """One run of the bench."""

    date: str
    commit: str
    quick: bool
    machine: Machine
    rates: list[Rate]
    killed: list[Killed]
    image: Image
    starts: list[Start]


def verdicts(found: Stores) -> Iterator[Verdict]:
    """Every target, in the order of the table."""
    for one in found.rates:
        shares = _shares(one)
        share = statistics.median(shares)
        yield Verdict(
            f"{_gb(one.size)} from {one.store}: rate",
            f">= {LEAST_SHARE:.0%} of curl into a file",
            f"{share:.0%} ({min(shares):.0%}-{max(shares):.0%})",
            share >= LEAST_SHARE,
        )
        most = max(one.mib)
        yield Verdict(
            f"{_gb(one.size)} from {one.store}: largest resident memory",
            f"< {MAX_MIB:.0f} MiB",
            f"{most:.0f} MiB ({min(one.mib):.0f}-{most:.0f})",
            most < MAX_MIB,
        )
    for killed in found.killed:
        times = killed.crossed / killed.size
        yield Verdict(
            f"killed {len(killed.reached)} times, from {killed.store}: bytes on the wire",
            f"<= {MOST_FETCHED} x the size",
            f"{times:.3f} x",
            times <= MOST_FETCHED,
        )
    added = sum(found.image.added.values()) / 1e6
    yield Verdict(
        "bytes added to the serving image",
        f"<= {MAX_IMAGE_MB:.0f} MB",
        f"{added:.1f} MB",
        added <= MAX_IMAGE_MB,
    )
    claim, *others = found.starts
    for start in others:
        more = statistics.median(start.totals) - statistics.median(claim.totals)
        yield Verdict(
            f"pull and start of a small model from {start.place}",
            f"<= {MAX_START_SECONDS} s more than from a claim",
            f"{more:+.2f} s",
            more <= MAX_START_SECONDS,
        )


def report(found: Stores) -> str:
    """Everything, for people."""
    here = found.machine
    quick = "A quick look: too short to quote. " if found.quick else ""
    measured = (
        f"{quick}Measured {found.date} at commit `{found.commit}` on {here.processor}, {here.cores} cores, "
        f"{here.memory_gib} GiB, Linux {here.kernel}, Python {here.python}. Others used {here.busy_before:.0%} of the "
        "machine just before. Servers, curl and pull share the cores."
    )
    parts = [
        measured,
        targets_table(list(verdicts(found))),
        _rates(found.rates),
        _killed(found.killed),
        _starts(found.starts),
        _image(found.image),
    ]
    return "\n\n".join(parts) + "\n"


def _rates(rates: Sequence[Rate]) -> str:
    rows = [
        (
            one.store,
            *(_speed(one.size, seconds) for seconds in (one.discarded, one.written, one.pulled)),
            f"{statistics.median(one.discarded) / statistics.median(one.pulled):.0%}",
            f"{statistics.median(one.cpu):.2f} s",
        )
        for one in rates
    ]
    head = (
        "MB/s from",
        "curl, discarded",
        "curl into a file",
        "pull",
        "pull of curl, discarded",
        "CPU of pull",
    )
    return table(head, rows)


def _killed(killed: Sequence[Killed]) -> str:
    rows = [
        (
            one.store,
            ", ".join(f"{reached / one.size:.0%}" for reached in one.reached),
            f"{one.size:,}",
            f"{one.crossed:,}",
        )
        for one in killed
    ]
    return table(("killed with SIGKILL", "when there was", "bytes of the model", "bytes on the wire"), rows)


def _starts(starts: Sequence[Start]) -> str:
    rows = [
        (one.place, *(_seconds(times) for times in (one.pulled, one.served, one.totals))) for one in starts
    ]
    return table(("small model from", "pull, s", "server until ready, s", "both, s"), rows)


def _image(image: Image) -> str:
    added = ", ".join(f"{name} {size / 1e6:.2f} MB" for name, size in image.added.items())
    total = sum(image.added.values())
    return (
        f"Python packages of the serving image: {(image.total - total) / 1e6:.1f} MB without what is there for the "
        f"stores, {image.total / 1e6:.1f} MB with it ({added}), uncompressed."
    )


def _shares(one: Rate) -> list[float]:
    """Round by round, the rate of pull as a share of that of curl into a file."""
    return [theirs / ours for theirs, ours in zip(one.written, one.pulled, strict=True)]


def _speed(size: int, seconds: Sequence[float]) -> str:
    low, middle, high = (
        size / 1e6 / each for each in (max(seconds), statistics.median(seconds), min(seconds))
    )
    return f"{middle:,.0f} ({low:,.0f}-{high:,.0f})"


def _seconds(times: Sequence[float]) -> str:
    return f"{statistics.median(times):.2f} ({min(times):.2f}-{max(times):.2f})"


def _gb(size: int) -> str:
    return f"{size / 1e9:.2g} GB"
