"""Results as a table for people and as JSON for programs."""

import json
from collections.abc import Sequence
from typing import Any

from conformance.checks import Check
from conformance.run import Outcome, Result, totals
from conformance.target import Target

MARKS = {Outcome.PASSED: "pass", Outcome.FAILED: "FAIL", Outcome.NOT_APPLICABLE: "n/a"}


def table(results: Sequence[Result]) -> str:
    """One line a check, then the totals; the citation stands under what failed."""
    lines = []
    for result in results:
        check = result.check
        lines.append(f"{MARKS[result.outcome]:4}  {check.severity:6}  {check.id:30}  {check.title}")
        if result.outcome is Outcome.FAILED:
            lines += [
                f"              {result.detail}",
                f"              {check.citation.source}: {check.citation.text}",
            ]
    return "\n".join([*lines, "", *summary(results)])


def summary(results: Sequence[Result]) -> list[str]:
    return [
        f"{severity:6}  " + ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
        for severity, counts in totals(results).items()
    ]


def listing(checks: Sequence[Check]) -> str:
    """Every check with the text that demands it."""
    return "\n".join(
        f"{check.severity:6}  {check.id:30}  {check.title}\n{'':8}{check.citation.source}: {check.citation.text}"
        for check in checks
    )


def document(target: Target, results: Sequence[Result]) -> dict[str, Any]:
    return {
        "server": target.server,
        "model": target.metadata,
        "totals": totals(results),
        "checks": [_entry(result) for result in results],
    }


def _entry(result: Result) -> dict[str, Any]:
    check = result.check
    return {
        "id": check.id,
        "title": check.title,
        "severity": check.severity,
        "protocol": check.protocol,
        "source": check.citation.source,
        "citation": check.citation.text,
        "outcome": result.outcome,
        "detail": result.detail,
    }


def as_json(target: Target, results: Sequence[Result]) -> str:
    return json.dumps(document(target, results), indent=1, ensure_ascii=False) + "\n"
