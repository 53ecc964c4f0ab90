"""What the operator has to reach at scale, and whether it does. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.scale.results import Canaries, Convergence, Crowd, Scale
from bench.targets import Verdict

MAX_SERVICE_REQUESTS, MAX_VERSION_REQUESTS = 5.0, 4.0
MAX_CPU_SECONDS = 60.0
MAX_EVENT_MS = 2.0
MAX_BLOCK_MS = 50.0
MAX_ROUND_SHARE = 0.1
MAX_RESIDENT_MIB = 600.0
# Five times as many services may take so many times what each of a thousand takes.
MAX_GROWTH = 1.25

# What bounds an operator from outside: the chart's limit of its memory, and engine.lease: after so many seconds without
# a renewal another process leads.
CHART_MIB = 512.0
LEASE_SECONDS = 15.0
# The kubelet's timeout of /livez in the chart.
LIVEZ_SECONDS = 5.0


@dataclass(frozen=True)
class Strain:
    """How much of a bound is used up, as a share of it."""

    what: str
    used: str
    bound: str
    share: float


def verdicts(found: Scale) -> list[Verdict]:
    """The targets of the scenarios that were measured."""
    return [
        *(_thousand(found.thousand) if found.thousand else ()),
        *(_crowd(found.crowd) if found.crowd else ()),
        *(_canaries(found.canaries) if found.canaries else ()),
        *(_many(found.many, found.thousand) if found.many else ()),
    ]


def strains(found: Convergence) -> list[Strain]:
    """The bounds that the operator comes near to, the nearest first: what breaks first if there are still more."""
    start = found.start
    all_of_them = (
        Strain(
            "memory, of the chart's limit",
            f"{found.highest_mib:.0f} MiB at most",
            f"{CHART_MIB:.0f} MiB",
            found.highest_mib / CHART_MIB,
        ),
        Strain(
            "renewal of the Lease, of its duration",
            f"{found.lease_gap_seconds:.1f} s between two at most",
            f"{LEASE_SECONDS:.0f} s",
            found.lease_gap_seconds / LEASE_SECONDS,
        ),
        Strain(
            "/livez, of the kubelet's timeout",
            f"{start.longest_block:.2f} s at most, at a start",
            f"{LIVEZ_SECONDS:.0f} s",
            start.longest_block / LIVEZ_SECONDS,
        ),
    )
    return sorted(all_of_them, key=lambda strain: -strain.share)


def _thousand(found: Convergence) -> Iterator[Verdict]:
    title = f"{found.services:,} services and {found.versions:,} versions"
    yield _at_most(
        "requests to converge, each service", MAX_SERVICE_REQUESTS, found.service_phase.each, ".2f"
    )
    if (versions := found.version_phase) is not None:
        yield _at_most("requests to converge, each version", MAX_VERSION_REQUESTS, versions.each, ".2f")
        both = versions.cpu_seconds + found.service_phase.cpu_seconds
        yield _at_most(f"CPU for {title}", MAX_CPU_SECONDS, both, ".1f", " s")
    yield _at_most(
        f"writes in {found.idle.seconds:.0f} s in which nothing changes", 0, found.idle.writes, "d"
    )
    yield _at_most("writes after a restart", 0, found.start.writes, "d")


def _crowd(found: Crowd) -> Iterator[Verdict]:
    where = f"beside {found.versions:,} versions in one namespace"
    yield _at_most(
        f"CPU for an event of a service {where}", MAX_EVENT_MS, found.service_event_ms, ".2f", " ms"
    )
    yield _at_most(
        f"CPU for an event of a version {where}", MAX_EVENT_MS, found.version_event_ms, ".2f", " ms"
    )
    yield _at_most(
        "longest work of the event loop in one piece while all of them are listed",
        MAX_BLOCK_MS,
        1000 * max(found.first_start.longest_busy, found.start.longest_busy),
        ".0f",
        " ms",
    )


def _canaries(found: Canaries) -> Iterator[Verdict]:
    what = f"{found.services} canaries that shift at once, {found.pods} pods: share of a core"
    yield _at_most(what, MAX_ROUND_SHARE, found.cpu_share, ".1%")


def _many(found: Convergence, thousand: Convergence | None) -> Iterator[Verdict]:
    title = f"{found.services:,} services"
    if thousand is not None:
        each, before = _cpu_each(found), _cpu_each(thousand)
        measured = f"{each / before:.2f} times ({1000 * each:.0f} ms against {1000 * before:.0f} ms)"
        wanted = f"<= {MAX_GROWTH:g} times"
        what = f"{title}: CPU for each, beside {thousand.services:,}"
        yield Verdict(what, wanted, measured, each <= MAX_GROWTH * before)
    yield _at_most(f"{title}: resident memory", MAX_RESIDENT_MIB, found.resident_mib, ".0f", " MiB")


def _cpu_each(found: Convergence) -> float:
    return found.service_phase.cpu_seconds / found.services


def _at_most(what: str, bound: float, measured: float, form: str, unit: str = "") -> Verdict:
    wanted = f"{bound:.0%}" if form.endswith("%") else f"{bound:g}{unit}"
    shown = f"{measured:{form}}{unit}"
    # What is shown decides: a table must not say that 5.00 misses 5.
    decisive = round(measured, 3)
    return Verdict(what, f"<= {wanted}", shown, decisive <= bound)
