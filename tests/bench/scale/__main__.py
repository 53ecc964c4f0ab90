"""Measures the operator at a size where others stop, on the real API with simulated pods. Run by `make bench-scale`.

Prints the targets and what was found as Markdown, and leaves both, and the numbers as JSON, in .cluster/bench/scale. A
whole run writes the tables into docs/performance.md. A missed target is no error.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import UTC, datetime

from bench.document import DOCUMENT, placed
from bench.generator import BenchError
from bench.machine import commit, machine
from bench.progress import say
from bench.results import Found
from bench.scale import canaries, convergence, crowd
from bench.scale.place import LOGS
from bench.scale.report import report
from bench.scale.results import Scale
from cluster.shell import StepError

MARKS = ("<!-- scale:begin -->", "<!-- scale:end -->")
Scenario = Callable[[], Awaitable[Found]]

THOUSAND = convergence.Size(1000, 10, idle_seconds=120, within=600)
MANY = convergence.Size(5000, 50, idle_seconds=60, within=1500, verified=True)
SCENARIOS: Mapping[str, Scenario] = {
    "thousand": lambda: convergence.converge(THOUSAND),
    "crowd": lambda: crowd.crowded(crowd.Size(1000, 10, within=600)),
    "canaries": lambda: canaries.shifting(canaries.Size(50, seconds=60, quiet_seconds=20)),
    "many": lambda: convergence.converge(MANY),
}
QUICK: Mapping[str, Scenario] = {
    "thousand": lambda: convergence.converge(
        convergence.Size(100, 10, idle_seconds=20, within=120),
    )
}


async def measure(scenarios: Mapping[str, Scenario], chosen: Collection[str]) -> dict[str, Found]:
    """The scenarios that are chosen, one after the other, each with a control plane of its own."""
    found = {}
    for name in chosen:
        say(f"{name}:")
        found[name] = await scenarios[name]()
    return found


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.scale", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="two minutes, a tenth of the size; not to be quoted"
    )
    parser.add_argument("--only", choices=SCENARIOS, action="append", help="may be repeated")
    options = parser.parse_args()
    scenarios = QUICK if options.quick else SCENARIOS
    here = machine()
    try:
        found = asyncio.run(measure(scenarios, options.only or scenarios))
    except (BenchError, StepError) as error:
        sys.stderr.write(f"the bench has failed: {error}\n")
        return 1
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    results = Scale.model_validate(
        {"date": now, "commit": commit(), "quick": options.quick, "machine": here, **found}
    )
    keep(results, "quick" if options.quick else "-".join(options.only or ["all"]))
    sys.stdout.write(report(results))
    return 0


def keep(found: Scale, name: str) -> None:
    """As JSON and as Markdown; in the document only if everything was measured."""
    (LOGS / f"{name}.json").write_text(found.model_dump_json(indent=1))
    (LOGS / f"{name}.md").write_text(report(found))
    if is_whole(found):
        DOCUMENT.write_text(placed(DOCUMENT.read_text(), report(found), MARKS))


def is_whole(found: Scale) -> bool:
    """Whether every scenario was measured at its full size."""
    return not found.quick and all(getattr(found, name) is not None for name in SCENARIOS)


if __name__ == "__main__":
    sys.exit(main())
