"""Tries an estimator on each kind of target by the real steps, in this process, and says what came of it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from unit.training.pod import Pod

from estimators.catalogue import Trial
from estimators.data import Target, mixed

KINDS: dict[bool, tuple[Target, ...]] = {True: ("two", "many"), False: ("regression",)}


@dataclass(frozen=True)
class Outcome:
    """What a trial on one kind of target ended in; for one that works the numbers of its parity."""

    path: str
    target: Target
    reason: str | None = None
    message: str = ""
    max_difference: float | None = None
    label_mismatches: int | None = None
    ties: int | None = None

    @property
    def works(self) -> bool:
        """Whether the model was published."""
        return self.reason is None


class Bench:
    """A pod for each kind of target, whose data is there."""

    def __init__(self, folder: Path, rows: int = 400) -> None:
        self.pods = {target: Pod(folder / target) for targets in KINDS.values() for target in targets}
        for target, pod in self.pods.items():
            pod.given_rows(mixed(target, rows)).given(trainer={"image": "mine"})
            assert pod.run("fetch").code == 0

    def outcomes(self, trial: Trial) -> list[Outcome]:
        """What came of an estimator, for each kind of target that it is made for."""
        return [self._outcome(trial, target) for target in KINDS[trial.classifies]]

    def _outcome(self, trial: Trial, target: Target) -> Outcome:
        pod = self.pods[target].given(estimator=trial.path, parameters=trial.parameters)
        for step in ("train", "publish"):
            np.random.seed(1)
            ending = pod.run(step)
            if ending.code:
                return Outcome(trial.path, target, ending.reason, ending.message)
        parity = ending.result["parity"]
        return Outcome(
            trial.path,
            target,
            max_difference=parity.get("maxDifference"),
            label_mismatches=parity.get("labelMismatches"),
            ties=parity.get("ties"),
        )


def tried(trials: list[Trial], rows: int = 400) -> list[Outcome]:
    """The outcomes of several trials in a folder of their own."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), rows)
        return [outcome for trial in trials for outcome in bench.outcomes(trial)]
