"""The results of the scale bench as Markdown. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from bench.report import table, targets_table
from bench.scale.results import Canaries, Convergence, Crowd, Measured, Phase, Scale, Start
from bench.scale.targets import strains, verdicts

SCENARIOS = {
    "thousand": "a thousand services with a version each",
    "crowd": "ten thousand versions beside a thousand services in one namespace",
    "canaries": "fifty canaries at once",
    "many": "five thousand services",
}


def report(found: Scale) -> str:
    """Everything, for people."""
    parts = [
        _where(found),
        targets_table(verdicts(found)),
        *(_converged("A version for each service", found.thousand) if found.thousand else ()),
        *(_crowd(found.crowd) if found.crowd else ()),
        *(_canaries(found.canaries) if found.canaries else ()),
        *(_converged("Many services", found.many) if found.many else ()),
        *(_strains(found.many) if found.many else ()),
        *_missing(found),
    ]
    return "\n\n".join(parts) + "\n"


def _where(found: Scale) -> str:
    here = found.machine
    quick = "A quick look: too small to quote. " if found.quick else ""
    return (
        f"{quick}On {here.processor}, {here.cores} cores, {here.memory_gib} GiB, Linux {here.kernel}, Python "
        f"{here.python}. etcd, the API server, its controllers and kwok share the cores with the operator."
    )


def _converged(title: str, found: Convergence) -> Iterator[str]:
    verified = "" if found.version_phase else ", which were verified before"
    yield (
        f"### {title}: {found.services:,} services and {found.versions:,} versions in {found.namespaces} namespaces\n\n"
        f"Until all are Ready{verified}. {_measured(found.measured)}"
    )
    yield _phases(
        *((("versions", found.version_phase),) if found.version_phase else ()),
        ("services", found.service_phase),
    )
    changes, rest = sorted(found.change_seconds), found.idle
    yield (
        f"Resident memory {found.resident_mib:.0f} MiB, {found.highest_mib:.0f} MiB at most. In {rest.seconds:.0f} s "
        f"without a change: {rest.writes} writes, {rest.reads} reads, {rest.cpu_seconds:.2f} s of CPU. From a change "
        f"of a spec to its Deployment: {changes[len(changes) // 2]:.2f} s in the median of {len(changes)}, "
        f"{changes[-1]:.2f} s at most."
    )
    yield _starts(("with everything there", found.start))


def _crowd(found: Crowd) -> Iterator[str]:
    yield (
        f"### One namespace: {found.services:,} services that track a model each, {found.versions:,} versions\n\n"
        f"An event of a service takes {found.service_event_ms:.2f} ms of CPU, one of a version "
        f"{found.version_event_ms:.2f} ms, with all that follows from it. Resident memory "
        f"{found.resident_mib:.0f} MiB. {_measured(found.measured)}"
    )
    yield _phases(("services", found.service_phase))
    yield _starts(("with the versions alone", found.first_start), ("with everything there", found.start))


def _canaries(found: Canaries) -> Iterator[str]:
    yield (
        f"### {found.services} canaries at once\n\n"
        f"{found.pods} pods are asked every two seconds, for {found.seconds:.0f} s: {found.answers:,.0f} answers of "
        f"{found.exposition_bytes:,} bytes, {found.unanswered:.0f} questions without one. The operator used "
        f"{found.cpu_share:.1%} of a core ({found.quiet_share:.1%} before the rollouts) and wrote {found.writes} "
        f"times. {_measured(found.measured)}"
    )


def _strains(found: Convergence) -> Iterator[str]:
    rows = [(each.what, each.used, each.bound, f"{each.share:.0%}") for each in strains(found)]
    first = strains(found)[0]
    yield (
        f"### What breaks first\n\nWith still more services, {first.what.partition(',')[0]}: {first.share:.0%} of that "
        f"bound is used.\n\n{table(('what', 'used', 'bound', ''), rows)}"
    )


def _missing(found: Scale) -> Iterator[str]:
    if missing := [name for name in SCENARIOS if getattr(found, name) is None]:
        yield f"Not measured: {', '.join(SCENARIOS[name] for name in missing)}."


def _phases(*phases: tuple[str, Phase]) -> str:
    rows = [
        (
            name,
            f"{phase.seconds:.0f}",
            f"{phase.cpu_seconds:.1f}",
            f"{1000 * phase.cpu_seconds / phase.objects:.1f}",
            f"{phase.each:.2f}",
            _each(phase.requests, phase.objects),
            _each(phase.others, phase.objects),
        )
        for name, phase in phases
    ]
    head = ("", "s", "CPU s", "CPU ms each", "requests each", "which", "besides, about others")
    return table(head, rows)


def _each(requests: dict[str, int], objects: int) -> str:
    """How many of each kind for one object; what is rare is left out."""
    shares = [(what, many / objects) for what, many in requests.items()]
    return ", ".join(f"{share:.2f} {what}" for what, share in shares if share >= 0.005)


def _starts(*starts: tuple[str, Start]) -> str:
    rows = [
        (
            name,
            f"{start.ready_seconds:.1f}",
            f"{start.quiet_seconds:.1f}",
            f"{start.cpu_seconds:.1f}",
            str(start.writes),
            str(start.reads),
            f"{1000 * start.longest_block:.0f}",
            f"{1000 * start.longest_busy:.0f}",
            f"{start.resident_mib:.0f}",
        )
        for name, start in starts
    ]
    head = (
        "a start of the operator",
        "s until it leads",
        "s until quiet",
        "CPU s",
        "writes",
        "reads",
        "longest wait ms",
        "of it at work ms",
        "MiB",
    )
    return table(head, rows)


def _measured(found: Measured) -> str:
    return (
        f"{found.date}, commit `{found.commit}`, load average {found.load_before:.1f} before and "
        f"{found.load_after:.1f} after."
    )
