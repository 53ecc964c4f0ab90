"""The results as Markdown. Pure: measures nothing, writes no file."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from bench.arithmetic import ratio
from bench.results import BEFORE, OURS, Load, Results, Sample, Series
from bench.targets import BINARY, NAMES, Verdict, verdicts

# Of a core: what a machine does besides with nothing but an idle cluster on it.
QUIET = 0.3
NOISY = "**Others had {:.0%} of a core meanwhile: what hangs on the clock is not to be quoted.** "
FACES = {True: "met", False: "**missed**", None: "-"}


def report(results: Results) -> str:
    """Everything, for people."""
    parts = [
        _where(results),
        "### Targets\n\n" + targets_table(verdicts(results)),
        *_before(results),
        *(_load(load) for load in results.loads),
        *_others(results),
    ]
    if results.missing:
        parts.append("### Not measured\n\n" + "\n".join(f"- {one}" for one in results.missing))
    return "\n\n".join(parts) + "\n"


def targets_table(found: Sequence[Verdict]) -> str:
    """Target by target."""
    rows = [(one.what, one.target, one.measured, FACES[one.met]) for one in found]
    return table(("what", "target", "measured (lowest-highest round)", ""), rows)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _where(results: Results) -> str:
    here = results.machine
    versions = ", ".join(f"{name} {number}" for name, number in here.versions.items())
    others = [sample.others_busy for load in results.loads for one in load.series for sample in one.samples]
    warnings = [
        "A quick look: too short to quote. " if results.quick else "",
        NOISY.format(statistics.median(others)) if others and statistics.median(others) > QUIET else "",
    ]
    return (
        f"{''.join(warnings)}Measured {results.date} at commit `{results.commit}` on {here.processor}, "
        f"{here.cores} cores, {here.memory_gib} GiB, Linux {here.kernel}, Python {here.python}. "
        f"Others used {here.busy_before:.0%} of the machine just before. Versions: {versions}."
    )


def _before(results: Results) -> Iterable[str]:
    """How many times each server's rate ours is, and was; the same rounds for all."""
    if results.before is None:
        return
    rows = [
        (load.title, NAMES[other.contender], *_ratios(before, other), *_ratios(ours, other))
        for load in results.loads
        if (ours := load.of(OURS)) is not None and (before := load.of(BEFORE)) is not None
        for other in load.series
        if other.contender not in {OURS, BINARY}
    ]
    head = ("", "", "before", "before, by CPU", "now", "now, by CPU")
    yield (
        f"### Beside the revision `{results.before}`\n\nHow many times the requests per second of each other server, "
        f"and how many times its CPU time per request.\n\n{table(head, rows)}"
    )


def _ratios(mine: Series, other: Series) -> tuple[str, str]:
    if mine is other:
        return "", ""
    rates, cpu = ratio(mine.rates(), other.rates()), ratio(other.cpu(), mine.cpu())
    return f"{rates.middle:.2f}x ({rates.low:.2f}-{rates.high:.2f})", f"{cpu.middle:.2f}x"


def _load(load: Load) -> str:
    ours = load.of(OURS)
    rows = []
    for one in load.series:
        times = "" if ours is None or one is ours else f"{ratio(ours.rates(), one.rates()).middle:.1f}x"
        cpu = "" if ours is None or one is ours else f"{ratio(one.cpu(), ours.cpu()).middle:.1f}x"
        rates = one.rates()
        rows.append(
            (
                NAMES.get(one.contender, one.contender),
                f"{statistics.median(rates):,.0f} ({min(rates):,.0f}-{max(rates):,.0f})",
                times,
                f"{statistics.median(one.cpu()):.1f}",
                cpu,
                _us(one.p50()),
                _us(one.p99()),
                _share(one.samples),
            )
        )
    head = (
        "",
        "requests/s",
        "ours is",
        "CPU us/request",
        "by CPU",
        "p50 us",
        "p99 us",
        "busy: server, load, others",
    )
    return f"### {load.title[0].upper()}{load.title[1:]}\n\n{table(head, rows)}"


def _others(results: Results) -> Iterable[str]:
    if results.footprints:
        rows = [
            (
                NAMES.get(one.contender, one.contender),
                f"{statistics.median(one.start_seconds):.2f}",
                f"{one.resident_mib:.0f}",
                f"{one.proportional_mib:.0f}",
            )
            for one in results.footprints
        ]
        head = ("", "exec to first answer, s", "resident MiB", "proportional MiB")
        yield "### Start and memory\n\n" + table(head, rows)
    if results.health and results.heavy:
        heavy, health = results.heavy, results.health
        yield (
            f"### Health under load\n\nThe heavy model has {heavy.hidden} units per hidden layer: "
            f"{heavy.batch_ms:.2f} ms for 32 rows, {heavy.row_ms:.2f} ms for one. {health.probes} probes at 64 busy "
            f"connections: p50 {health.p50_ms:.1f} ms, p99 {health.p99_ms:.1f} ms, highest {health.highest_ms:.1f} ms."
        )
    yield from _costs(results)


def _costs(results: Results) -> Iterable[str]:
    if results.metrics:
        cost = results.metrics
        rows = [
            (name, f"{statistics.median(one.cpu()):.2f}", f"{statistics.median(one.rates()):,.0f}")
            for name, one in (
                ("counting taken out", cost.uncounted),
                ("as it is", cost.counted),
                ("as it is, scraped every second", cost.scraped),
            )
        ]
        yield "### Cost of metrics\n\n" + table(("", "CPU us/request", "requests/s"), rows)
    if results.soak:
        soak = results.soak
        counted = ", ".join(f"{name}: {count:,}" for name, count in sorted(soak.answers.items()))
        yield (
            f"### Soak\n\n{soak.requests:,} requests in {soak.seconds:.0f} s ({counted}). Resident memory "
            f"{soak.resident_start_mib:.1f} MiB at the start, {soak.resident_end_mib:.1f} MiB at the end; after the "
            f"first quarter {soak.growth_mib_per_million:+.2f} MiB per million requests (allowed: "
            f"{soak.allowed_mib_per_million:g}). File descriptors {soak.descriptors_start} at the start, "
            f"{soak.descriptors_end} at the end."
        )


def _us(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _share(samples: Sequence[Sample]) -> str:
    """Of one core each."""
    shares = [(one.server_busy, one.generator_busy, one.others_busy) for one in samples]
    return ", ".join(f"{statistics.median(share):.0%}" for share in zip(*shares, strict=True))
