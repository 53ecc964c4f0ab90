"""Measures what it costs a server to count its rows for `monitoring.drift`. Run by `make bench-monitor`.

The same server twice with one model and its profile, in interleaved rounds: one is asked for GET /monitor every second,
the other never. Prints the targets and what was found as Markdown and, unless it is a quick look, writes it into
docs/performance.md. A missed target is no error; a server that does not count, or counts unasked, is one.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from bench.asking import get
from bench.bodies import as_json, batches
from bench.checks import check_grpc
from bench.contenders import Contender, ours
from bench.document import DOCUMENT, placed
from bench.generator import BenchError, Outcome
from bench.h2load import H2Load
from bench.loads import Generator, Target, rounds, write_script
from bench.machine import commit, machine
from bench.model import Model, written
from bench.monitor.results import UNWATCHED, WATCHED, Counted, Memory, Monitor, report
from bench.proc import resident_mib
from bench.progress import FULL, QUICK, Pace
from bench.results import Load
from bench.servers import PACKAGES
from bench.wrk import Wrk
from cluster.packages import install_missing
from cluster.paths import LOCAL
from skl2onnx import to_onnx
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression

from modelwright_training.judging.profile.features import numeric
from modelwright_training.judging.profile.projections import project

FEATURES = 20
CONNECTIONS = 16
ASKED_SECONDS = 1.0
WINDOW = 604_800
MARKS = ("<!-- monitor:begin -->", "<!-- monitor:end -->")


def classifier(folder: Path) -> Model:
    """A logistic regression of FEATURES numbers, with profile.json beside it."""
    rows, classes = make_classification(5_000, FEATURES, n_informative=8, n_redundant=4, random_state=0)
    fitted = LogisticRegression().fit(rows, classes)
    content = to_onnx(fitted, rows[:1].astype(np.float32), options={"zipmap": False}).SerializeToString()
    model = written(folder / "model.onnx", content, rows)
    (folder / "profile.json").write_text(json.dumps(_profile(model)))
    return model


def _profile(model: Model) -> dict[str, Any]:
    """As `publish` writes it, but for counts of predictions, which the server does not read."""
    columns = {
        f"x{place}": column for place, column in enumerate(model.rows.astype(np.float32).astype(np.float64).T)
    }
    features = [{"name": name, "kind": "numeric", **numeric(values)} for name, values in columns.items()]
    tenths = [0] * 10
    return {
        "version": 1,
        "rows": len(model.rows),
        "task": "classification",
        "input": model.input_name,
        "classes": [0, 1],
        "positiveClass": 1,
        "features": features,
        "leftOut": 0,
        "projections": project(features, columns, 0),
        "predictions": {
            "label": "label",
            "table": "probabilities",
            "tableIs": "probabilities",
            "labels": [0, 0],
            "scores": tenths,
            "confidence": tenths,
            "correct": tenths,
        },
    }


@dataclass(frozen=True)
class Watched:
    """A load beside which the server is asked for its counts."""

    load: Generator
    server: Contender

    def run(self, seconds: int) -> Outcome:
        with _asking(self.server):
            return self.load.run(seconds)


@contextmanager
def _asking(server: Contender) -> Iterator[None]:
    stop = threading.Event()

    def ask() -> None:
        # One that fails fails again when the counts are checked.
        while not stop.wait(ASKED_SECONDS):
            with suppress(OSError):
                counts(server)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def counts(server: Contender) -> dict[str, Any]:
    """What a server counts, all windows added up; it counts from then on."""
    found = json.loads(get(server.admin_port, f"/monitor?window={WINDOW}"))
    if found["reason"]:
        raise BenchError(f"the server counts no cells: {found['reason']}")
    return {
        name: sum(window[name] for window in found["windows"]) for name in ("requests", "rows", "counted")
    }


class Bench:
    """Both servers, and the loads that they get."""

    def __init__(self, model: Model, folder: Path, pace: Pace, stack: ExitStack) -> None:
        self._model = model
        self._folder = folder
        self._pace = pace
        first = as_json(model, model.rows[:1])
        self._servers = {name: stack.enter_context(ours(model.path, first)) for name in (UNWATCHED, WATCHED)}
        self.counted: list[Counted] = []
        counts(self._servers[WATCHED])

    def json(self, name: str, rows: int) -> Load:
        """So many rows as JSON."""
        script = write_script(
            self._folder, [as_json(self._model, some) for some in batches(self._model, rows)]
        )
        title = f"{'one row' if rows == 1 else f'{rows} rows'} JSON, {CONNECTIONS} connections"
        return self._rounds(
            name, title, {who: Wrk(script, one.http_port, CONNECTIONS) for who, one in self._servers.items()}
        )

    def grpc(self, name: str) -> Load:
        """One row over gRPC."""
        loads: dict[str, Generator] = {}
        for who, server in self._servers.items():
            folder = self._folder / who.replace(" ", "-")
            folder.mkdir()
            call = check_grpc(server, self._model, batches(self._model, 1, 8), folder)
            loads[who] = H2Load(call.message, server.grpc_port, CONNECTIONS)
        return self._rounds(name, f"gRPC, one row, {CONNECTIONS} connections", loads)

    def _rounds(self, name: str, title: str, loads: dict[str, Any]) -> Load:
        watched = self._servers[WATCHED]
        loads[WATCHED] = Watched(loads[WATCHED], watched)
        targets = [Target(who, server.pid, loads[who]) for who, server in self._servers.items()]
        before = counts(watched)
        found = rounds(name, title, CONNECTIONS, targets, self._pace)
        after = counts(watched)
        if after["counted"] == before["counted"]:
            raise BenchError(f"{title}: the server that is watched counts nothing")
        measured = next(one.samples for one in found.series if one.contender == WATCHED)
        seconds = self._pace.warm_up + sum(sample.requests / sample.rate for sample in measured)
        self.counted.append(
            Counted(
                load=name,
                rows=after["rows"] - before["rows"],
                counted=after["counted"] - before["counted"],
                seconds=seconds,
            )
        )
        return found

    def memory(self) -> list[Memory]:
        """Of both, while the one still counts and the other has never counted."""
        found = [Memory(server=who, mib=resident_mib(one.pid)) for who, one in self._servers.items()]
        if counts(self._servers[UNWATCHED])["requests"]:
            raise BenchError("the server that is not watched has counted")
        return found


def measure(pace: Pace, quick: bool) -> Monitor:
    """Everything."""
    here, now = machine(), datetime.now(UTC)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        model = classifier(Path(folder))
        bench = Bench(model, Path(folder), pace, stack)
        loads = [bench.json("one", 1), bench.json("many", 32), bench.grpc("grpc")]
        return Monitor(
            date=f"{now:%Y-%m-%d %H:%M} UTC",
            commit=commit(),
            quick=quick,
            machine=here,
            features=FEATURES,
            loads=loads,
            counted=bench.counted,
            memory=bench.memory(),
        )


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.monitor", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="half a minute; not to be quoted")
    options = parser.parse_args()
    install_missing(PACKAGES)
    pace = QUICK if options.quick else replace(FULL, seconds=2, passes=12)
    found = measure(pace, options.quick)
    if not options.quick:
        folder = LOCAL / "bench"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "monitor.json").write_text(found.model_dump_json(indent=1))
        DOCUMENT.write_text(placed(DOCUMENT.read_text(), report(found), MARKS))
    sys.stdout.write(report(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
