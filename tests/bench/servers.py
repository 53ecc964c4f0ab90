"""Our server beside the peers, on this machine, in one interleaved run. Run by `make bench-servers`.

Prints the targets and what was found as Markdown and leaves both, and the numbers as JSON, in .cluster/bench. A
missed target is told, not an error; a wrong answer, a failed request or growth in the soak is an error.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import peers
from bench.bodies import as_json, batches
from bench.bytecode import compile_servers
from bench.contenders import ours, starters
from bench.counting import metrics_cost
from bench.earlier import checkout
from bench.footprint import footprints, memory_of
from bench.generator import GENERATOR_CORE, BenchError
from bench.health import probe_under_load
from bench.loads import Field, all_loads, serves_grpc, started, write_script
from bench.machine import commit, machine
from bench.model import HEAVY_ROWS, Model, batch_ms, heavy, logistic_regression
from bench.progress import FULL, QUICK, Pace, say
from bench.report import report
from bench.results import BEFORE, KSERVE, MLSERVER, OURS, HeavyModel, Results
from bench.soak import soak
from bench.wrk import Wrk
from cluster.packages import install_missing
from cluster.paths import LOCAL, STATE

PARTS = ("loads", "heavy", "metrics", "soak")
PACKAGES = {"wrk": "wrk", "h2load": "nghttp2-client", "taskset": "util-linux"}
FOLDER = LOCAL / "bench"


@dataclass
class Run:
    """A run and what it has found so far."""

    pace: Pace
    folder: Path
    earlier: Path | None = None
    """A checkout of the revision that is measured beside the present one."""
    found: dict[str, Any] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def loads(self, model: Model) -> None:
        """Everybody with the small model; memory is read when the loads are over."""
        with ExitStack() as stack:
            everyone = starters(self.earlier)
            servers = started(model, everyone, stack)
            everybody = Field(model, servers, self.folder)
            loads = list(all_loads(everybody, self.pace))
            if serves_grpc(servers[OURS]):
                loads.append(everybody.grpc(16, self.pace))
            else:
                self.missing.append("gRPC: our server does not listen on its gRPC port")
            memory = memory_of(servers)
        starts = {
            name: self.pace.starts if name in {OURS, BEFORE} else 1 + self.pace.starts // 3
            for name in servers
        }
        self.found |= {"loads": loads, "footprints": footprints(model, memory, everyone, starts)}

    def heavy(self) -> None:
        """The heavy model: ours against FastAPI, then health probes at ours."""
        model, width = heavy(self.folder)
        batch, row = batch_ms(model.session, HEAVY_ROWS), batch_ms(model.session, 1)
        say(f"heavy model: {width} units, {batch:.2f} ms for {HEAVY_ROWS} rows, {row:.2f} ms for one")
        self.found["heavy"] = HeavyModel(hidden=width, batch_ms=batch, row_ms=row)
        with ExitStack() as stack:
            some = {
                name: start
                for name, start in starters(self.earlier).items()
                if name not in {MLSERVER, KSERVE}
            }
            load = Field(model, started(model, some, stack), self.folder).heavy(64, self.pace)
        self.found["loads"] = [*self.found.get("loads", []), load]
        script = write_script(self.folder, [as_json(model, rows) for rows in batches(model, 1)])
        with ours(model.path, as_json(model, model.rows[:1])) as server:
            generator = Wrk(script, server.http_port, 64)
            self.found["health"] = probe_under_load(server.http_port, generator, self.pace.probe_seconds)

    def results(self, *, quick: bool) -> Results:
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        before = commit(self.earlier) if self.earlier else None
        return Results(
            date=now, commit=commit(), before=before, quick=quick, missing=self.missing, **self.found
        )


def measure(parts: Collection[str], *, quick: bool, before: str | None = None) -> Results:
    """The parts that are asked for, one after the other; loads with an earlier revision beside."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        earlier = stack.enter_context(checkout(before)) if before else None
        run = Run(QUICK if quick else FULL, Path(folder), earlier)
        run.found["machine"] = machine()
        model = logistic_regression(run.folder)
        if "loads" in parts:
            run.loads(model)
        if "heavy" in parts:
            run.heavy()
        if "metrics" in parts:
            run.found["metrics"] = metrics_cost(model, run.folder, run.pace)
        if "soak" in parts:
            run.found["soak"] = soak(model, run.folder, run.pace)
        return run.results(quick=quick)


def keep(found: Results, name: str) -> None:
    """As JSON and as Markdown, for the document and for people."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{name}.json").write_text(found.model_dump_json(indent=1))
    (FOLDER / f"{name}.md").write_text(report(found))


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.servers", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="two minutes instead of twelve; not to be quoted"
    )
    parser.add_argument("--only", choices=PARTS, action="append", help="only these parts; may be repeated")
    parser.add_argument("--before", metavar="COMMIT", help="measure our server at this revision, too")
    options = parser.parse_args()
    if (os.cpu_count() or 1) < 2:
        parser.error("two cores are needed: one for the server, one for the load generator")
    if STATE.exists():
        parser.error(
            "the cluster on this host filters every packet, which costs a fast server a sixth of its rate: "
            "make cluster-down"
        )
    install_missing(PACKAGES)
    peers.environment("tritonclient")
    compile_servers(("fastapi", "mlserver", "kserve"))
    os.sched_setaffinity(0, {GENERATOR_CORE})
    try:
        found = measure(options.only or PARTS, quick=options.quick, before=options.before)
    except BenchError as error:
        sys.stderr.write(f"the bench has failed: {error}\n")
        return 1
    keep(found, "quick" if options.quick else "-".join(options.only or ["servers"]))
    sys.stdout.write(report(found))
    return 1 if found.missing or (found.soak and not found.soak.steady()) else 0


if __name__ == "__main__":
    sys.exit(main())
