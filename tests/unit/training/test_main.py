"""How a step ends when it is not the user's input that fails: defects, memory, disks."""

import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pandas as pd
import pytest
from unit.training.pod import Pod, numbers

from modelwright_training.main import main


def test_an_unknown_step_is_refused_by_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["deploy"])
    assert ended.value.code == 2
    assert "fetch" in capsys.readouterr().err


def test_a_missing_run_document_is_said(pod: Pod) -> None:
    ending = pod.run_bare("train")
    assert (ending.reason, ending.code) == ("DocumentInvalid", 65)
    assert "run.json is not there" in ending.message


def test_a_defect_tells_its_type_and_leaves_the_traceback_in_the_log(
    pod: Pod, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pod.given_rows(numbers()).through("fetch", "train").code == 0
    pd.read_parquet(pod.paths.train_rows).head(3).to_parquet(pod.paths.train_rows)  # behind the steps' back
    ending = pod.run("publish")
    assert (ending.reason, ending.code) == ("InternalError", 1)
    assert ending.message.startswith("IndexError: ")
    assert "Traceback" in capsys.readouterr().err


DISK_FULL_AT_EACH_STEP = """
import json, os, resource, sys
from pathlib import Path
from modelwright_training.main import run_step
from modelwright_training.paths import Paths

paths = Paths.under(Path(sys.argv[1]))
for step in ("fetch", "train", "publish"):
    for limit in (1000, resource.RLIM_INFINITY):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        code = run_step(step, os.environ, paths)
        print(step, code, json.loads(paths.termination_log.read_text()).get("error", {}).get("reason"))
        if limit == 1000 and list(paths.artifacts.glob("churn/sha256-*")):
            print("something half-written can be seen")
"""


def test_a_full_disk_is_worth_another_try_at_each_step(pod: Pod) -> None:
    pod.given_rows(numbers(2000))
    finished = subprocess.run(
        [sys.executable, "-c", DISK_FULL_AT_EACH_STEP, str(pod.root)],
        env=pod.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert finished.stdout.splitlines() == [
        "fetch 75 StorageFailed",
        "fetch 0 None",
        "train 75 StorageFailed",
        "train 0 None",
        "publish 75 StorageFailed",
        "publish 0 None",
    ], finished.stderr


@contextmanager
def memory_limited_to(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def test_too_little_memory_is_said_where_it_can_be(pod: Pod) -> None:
    """A Gaussian process on 60,000 rows asks for a matrix of 27 GiB at once."""
    pod.given_rows(numbers(60_000, 2)).given(
        estimator="sklearn.gaussian_process.GaussianProcessRegressor",
        data={"target": "x0", "holdout": {"fraction": 0.01}},
    )
    assert pod.run("fetch").code == 0
    with memory_limited_to(16 << 30):
        ending = pod.run("train")
    assert (ending.reason, ending.code) == ("OutOfMemory", 65)
