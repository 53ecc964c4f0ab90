"""The attacks as Markdown. Pure: measures nothing, writes no file."""

from __future__ import annotations

from collections.abc import Mapping

from attacks.results import CALLERS, PROBE_SECONDS, RESIDENT_MIB, SLOWER, Attacked, Effect, Times
from bench.report import table

HEAD = (
    "attack",
    "sent, MB",
    "connections",
    "how it ends",
    "peak RSS, MiB",
    "CPU s per MB",
    "honest p50, p99 / quiet",
    "honest failed",
    "slowest probe, ms",
    "",
)
SHOWN_ENDS = 3


def report(found: Attacked) -> str:
    """Everything, for people."""
    rows = [_row(effect, found.quiet(effect.model) or effect.quiet) for effect in found.effects]
    return "\n\n".join((_where(found), table(HEAD, rows), _summary(found))) + "\n"


def line(effect: Effect, quiet: Mapping[str, Times]) -> str:
    """One attack in a line, as progress."""
    row = _row(effect, dict(quiet))
    return f"{effect.name}: " + ", ".join(
        f"{head} {cell}" for head, cell in zip(HEAD[1:], row[1:], strict=True)
    )


def _row(effect: Effect, quiet: dict[str, Times]) -> tuple[str, ...]:
    megabytes = effect.cost.sent / 1e6
    broken = effect.broken(quiet)
    return (
        effect.title,
        f"{megabytes:,.3f}" if megabytes < 1 else f"{megabytes:,.0f}",
        f"{effect.cost.connections:,}",
        "the server is killed" if effect.killed else _ends(effect.cost.ends),
        f"{effect.resident_mib:,.0f}",
        f"{effect.cpu_seconds / megabytes:,.3g}" if megabytes else "",
        ""
        if effect.killed
        else ", ".join(_slower(effect, quiet, who) for who in CALLERS if who in effect.during),
        _counted(effect.failed()) or "0",
        f"{effect.slowest_probe() * 1000:,.0f}"
        + (f" ({_counted(effect.failed_probes())})" if effect.failed_probes() else ""),
        f"**{', '.join(broken)}**" if broken else "held",
    )


def _slower(effect: Effect, quiet: dict[str, Times], who: str) -> str:
    one = effect.during[who]
    if who not in quiet:
        return ""
    return f"{one.p50 / quiet[who].p50:.1f}x {one.p99 / quiet[who].p99:.1f}x"


def _ends(ends: Mapping[str, int]) -> str:
    most = sorted(ends.items(), key=lambda one: -one[1])
    shown = [f"{name} ({count:,})" if count > 1 else name for name, count in most[:SHOWN_ENDS]]
    return ", ".join(shown + (["..."] if len(most) > SHOWN_ENDS else []))


def _counted(many: Mapping[str, int]) -> str:
    return ", ".join(
        f"{count:,} {what}" for what, count in sorted(many.items(), key=lambda one: -one[1])[:SHOWN_ENDS]
    )


def _where(found: Attacked) -> str:
    here = found.machine
    kept = (
        f"in a control group of {found.limit_mib} MiB, as the pod's limit"
        if found.limited
        else f"without a control group, which this host does not allow: nothing was killed beyond {found.limit_mib} MiB"
    )
    return (
        f"Measured {found.date} at commit `{found.commit}` on {here.processor}, Linux {here.kernel}; one core for the "
        f"server, {kept}; one for attacker and callers. Others used {here.busy_before:.0%} of the machine just before."
    )


def _summary(found: Attacked) -> str:
    broken = [effect for effect in found.effects if effect.broken(found.quiet(effect.model) or None)]
    quiet = found.quiet("narrow")
    times = " and ".join(f"{quiet[who].p99 * 1000:.1f} ms over {who}" for who in CALLERS if who in quiet)
    return (
        f"{len(found.effects) - len(broken)} of {len(found.effects)} attacks stay within the bounds: no kill, resident "
        f"memory at most {RESIDENT_MIB:.0f} MiB, p99 of honest callers at most {SLOWER:.0f} times its quiet value "
        f"({times}), no honest request that fails or is answered wrongly, each probe answered with 200 within "
        f"{PROBE_SECONDS * 1000:.0f} ms."
    )
