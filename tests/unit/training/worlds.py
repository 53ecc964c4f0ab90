"""Worlds for tests of gates: models whose answers are a column of the rows, so that no model file is needed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from modelwright_training.documents import Dataset, Gate
from modelwright_training.judging import intervals
from modelwright_training.judging.gates.evidence import Evidence
from modelwright_training.judging.gates.measuring import measure
from modelwright_training.judging.gates.world import World, look
from modelwright_training.judging.loaded import Loaded
from modelwright_training.judging.metrics import Rows
from modelwright_training.judging.reported import NOTHING, Reported
from modelwright_training.onnxfile.predictions import Predictions


@dataclass(frozen=True)
class Answering(Loaded):
    """A model that answers what the column `answer` holds: the probability of class 1, a class, or a value."""

    answer: str = "answer"

    def predict(self, frame: pd.DataFrame) -> Predictions:
        given = frame[self.answer].to_numpy()
        if self.classes is None:
            return Predictions(values=given.astype(np.float64))
        if given.dtype.kind != "f":
            return Predictions(labels=given)
        return Predictions((given >= 0.5).astype(np.int64), np.column_stack([1 - given, given]))


def dataset(frame: pd.DataFrame) -> Dataset:
    """What fetch would say of rows with the target y; the column `answer` is a feature as well."""
    y = frame["y"]
    classes = None if y.dtype.kind == "f" else sorted(y.unique().tolist())
    features = [
        {"name": name, "kind": "numeric" if frame[name].dtype.kind in "fi" else "categorical"}
        for name in frame.columns
        if name != "y"
    ]
    return Dataset.model_validate(
        {
            "features": features,
            "target": {"name": "y", "type": "number" if classes is None else "integer"},
            "task": "Regression" if classes is None else "Classification",
            "taskFrom": "Target",
            "classes": classes,
            "positiveClass": classes[1] if classes and len(classes) == 2 else None,
            "rows": len(frame),
        }
    )


def world(
    frame: pd.DataFrame,
    trained: pd.DataFrame | None = None,
    *,
    groups: Any = None,
    reported: Mapping[str, float] | None = None,
    seed: int = 7,
) -> World:
    """A world of a hold-out with the columns y and answer; the training rows are the same unless they are given."""
    learnt = frame if trained is None else trained
    described = dataset(pd.concat([learnt[["y"]], frame[["y"]]]).join(frame.drop(columns="y").iloc[:0]))
    model = Answering(cast("Any", None), cast("Any", None), cast("Any", None), described, described.classes)
    rows = Rows(seed, None if groups is None else np.asarray(groups, dtype=np.int64), "group")
    return look(model, frame, learnt, rows, None, NOTHING if reported is None else Reported(reported))


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer of them, so that tests are fast. A module of tests has to import it."""
    monkeypatch.setattr(intervals, "MOST", 200)


def ends(found: Evidence) -> tuple[float, float]:
    """The interval of an evidence that has one."""
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


def evidence(given: World, **gate: Any) -> Evidence:
    """The evidence for one gate."""
    (found,) = measure([Gate.model_validate({"name": "gate-1"} | gate)], given)
    assert found.name == "gate-1"
    return found


def two_classes(rows: int = 400, seed: int = 0, skill: float = 1.5) -> pd.DataFrame:
    """A classifier with calibrated probabilities: the classes are drawn from them."""
    random = np.random.default_rng(seed)
    answer = 1 / (1 + np.exp(-random.normal(0, skill, rows)))
    return pd.DataFrame(
        {
            "answer": answer,
            "y": (random.random(rows) < answer).astype(np.int64),
            "region": random.choice(["eu", "us", ""], rows, p=[0.5, 0.4, 0.1]),
            "floor": random.integers(0, 3, rows).astype(float),
        }
    )


def values(rows: int = 400, seed: int = 0, noise: float = 1.0) -> pd.DataFrame:
    """A regressor whose errors have a standard deviation of `noise`; that of the target is 2."""
    random = np.random.default_rng(seed)
    answer = random.normal(0, 2, rows)
    return pd.DataFrame(
        {"answer": answer, "y": answer + random.normal(0, noise, rows), "region": ["eu", "us"] * (rows // 2)}
    )
