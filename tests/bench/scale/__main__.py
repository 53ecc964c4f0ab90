"""Measures the operator at a size where others stop, on the real API with simulated pods. Run by `make bench-scale`.

Prints the targets and what was found as Markdown, and leaves the numbers of each scenario as JSON in
.cluster/bench/scale. Unless it is a quick look, it writes them into docs/performance.md, those of scenarios that were
not chosen from their last run. A missed target is no error.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path

from bench.document import DOCUMENT, placed
from bench.generator import BenchError
from bench.machine import machine
from bench.progress import say
from bench.results import Found, Machine
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
    parser.add_argument("--quick", action="store_true", help="a tenth of the size, minutes; not to be quoted")
    parser.add_argument("--only", choices=SCENARIOS, action="append", help="may be repeated")
    options = parser.parse_args()
    scenarios = QUICK if options.quick else SCENARIOS
    here = machine()
    # Else the programs that were started would outlive the bench.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        found = asyncio.run(measure(scenarios, options.only or scenarios))
    except (BenchError, StepError) as error:
        sys.stderr.write(f"the bench has failed: {error}\n")
        return 1
    if options.quick:
        results = Scale.model_validate({"quick": True, "machine": here, **found})
    else:
        results = kept(LOGS, here, found)
        DOCUMENT.write_text(placed(DOCUMENT.read_text(), report(results), MARKS))
    sys.stdout.write(report(results))
    return 0


def kept(folder: Path, here: Machine, found: Mapping[str, Found]) -> Scale:
    """What was found now, and of all other scenarios what their last run found; leaves it in the folder."""
    for name, one in found.items():
        (folder / f"{name}.json").write_text(one.model_dump_json(indent=1))
    known = {name: folder / f"{name}.json" for name in SCENARIOS}
    results = {name: json.loads(path.read_text()) for name, path in known.items() if path.exists()}
    return Scale.model_validate({"quick": False, "machine": here, **results})


if __name__ == "__main__":
    sys.exit(main())
