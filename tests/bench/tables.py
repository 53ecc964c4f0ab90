"""Measures where the time and the memory go when a large table becomes a model. Run by `make bench-tables`.

One million rows of 30 columns as CSV (numbers with gaps, two categories, a date): each step is the program of the pod
in a process of its own. Times are of this machine; the shares, and memory beside the table's own size, are what counts.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet

from modelwright.api.rundocument import run_document
from modelwright.cli.trial import FOLDERS

ROWS, NUMBERS = 1_000_000, 27
PROGRAM = Path(sys.executable).with_name("modelwright-training")
ESTIMATORS = {
    "HistGradientBoosting": ("sklearn.ensemble.HistGradientBoostingClassifier", {"max_iter": 100}),
    "LightGBM": ("lightgbm.LGBMClassifier", {"n_estimators": 100}),
}


@dataclass(frozen=True)
class Cost:
    """Seconds and the largest resident memory, in MiB, of a step."""

    seconds: float
    memory: float


def write(path: Path, rows: int) -> float:
    """Writes the table; the size of its columns in Arrow, in MiB."""
    random = np.random.default_rng(0)
    columns = {f"x{n}": random.normal(size=rows).round(4) for n in range(NUMBERS)}
    columns["x0"][random.random(rows) < 0.05] = np.nan
    frame = pd.DataFrame(columns)
    frame["plan"] = random.choice(["free", "pro", "team"], rows)
    frame["joined"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 700, rows), unit="D")
    noise = random.normal(size=rows)
    frame["left"] = np.where(frame["x1"] + frame["x2"] * frame["x3"] + noise > 0, "yes", "no")
    frame["joined"] = frame["joined"].dt.strftime("%Y-%m-%d")
    frame.to_csv(path, index=False)
    return float(pyarrow.Table.from_pandas(frame).nbytes / 2**20)


def run(step: str, root: Path, **environ: str) -> Cost:
    """Runs a step; RuntimeError with what it said if it fails."""
    began = time.perf_counter()
    quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    environment = {**os.environ, "MODELWRIGHT_ROOT": str(root), **environ}
    pid = os.posix_spawn(PROGRAM, [str(PROGRAM), step], environment, file_actions=quiet)
    _, status, usage = os.wait4(pid, 0)
    if status != 0:
        raise RuntimeError((root / "dev/termination-log").read_text())
    return Cost(time.perf_counter() - began, usage.ru_maxrss / 1024)


def document(estimator: str, parameters: dict[str, int]) -> str:
    """What the run is to do."""
    spec = {
        "data": {"target": "left"},
        "trainer": {"sklearn": {"estimator": estimator, "parameters": parameters}},
    }
    return json.dumps(run_document(spec, namespace="bench", name="table", run=1, artifacts="pvc://artifacts"))


@contextmanager
def folders() -> Iterator[Path]:
    """The folders of a pod."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for folder in FOLDERS:
            (root / folder).mkdir(parents=True)
        yield root


def main() -> int:
    """Prints a table for docs/performance.md."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with folders() as root:
        size = write(root / "source/rows.csv", rows)
        file = (root / "source/rows.csv").stat().st_size / 2**20
        print(
            f"{rows:,} rows x {NUMBERS + 2} columns and a target: {file:.0f} MiB of CSV, {size:.0f} MiB in Arrow\n"
        )
        print(
            "| estimator | fetch | train | publish | fetch and publish of the whole | memory: fetch, train, publish |"
        )
        print("|---|---|---|---|---|---|")
        for name, (estimator, parameters) in ESTIMATORS.items():
            (root / "etc/modelwright/run/run.json").write_text(document(estimator, parameters))
            fetch = run("fetch", root, MODELWRIGHT_SOURCE="pvc://lake/rows.csv")
            train, publish = run("train", root), run("publish", root)
            share = (fetch.seconds + publish.seconds) / (fetch.seconds + train.seconds + publish.seconds)
            seconds = " | ".join(f"{cost.seconds:.1f} s" for cost in (fetch, train, publish))
            memory = ", ".join(f"{cost.memory / size:.1f}x" for cost in (fetch, train, publish))
            print(f"| {name} | {seconds} | {share:.0%} | {memory} the table in Arrow |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
