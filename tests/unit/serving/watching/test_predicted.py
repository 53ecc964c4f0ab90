"""Two revisions can be compared by what they predict for callers, as long as someone asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from unit.serving import models
from unit.serving.harness import Served, matrix, serving
from unit.serving.traffic import rollout

from modelwright_serving.predictions import Predictions
from modelwright_serving.watching import predicted


def shown(server: Served) -> dict[str, float]:
    """Counts of predictions in the view of a rollout."""
    text = server.call("GET", "/metrics?view=rollout", port=server.admin_port).body.decode()
    lines = [line.rpartition(" ") for line in text.splitlines() if line.startswith("modelwright_predict")]
    return {name: float(count) for name, _, count in lines}


@pytest.fixture
def served(cancer: models.Cancer, tmp_path: Path) -> Iterator[Served]:
    path = tmp_path / "model.onnx"
    path.write_bytes(cancer.content)
    with serving(path) as server:
        yield server.wait_ready()


def test_labels_and_probabilities_are_counted_from_the_first_question_on(
    served: Served, cancer: models.Cancer
) -> None:
    served.infer(matrix(cancer.rows[:5]))
    assert shown(served) == {}
    reply = served.infer(matrix(cancer.rows[:20]))
    found = shown(served)
    kinds = {name.split('"')[1]: count for name, count in found.items() if "predicted" in name}
    assert kinds == {"requests": 1, "rows": 20, "squares": 400}
    classes = next(name.split('"')[1] for name in found if "predictions" in name)
    labels = reply.output("label").tolist()
    for place, label in enumerate(("benign", "malignant")):
        name = f'modelwright_predictions_total{{classes="{classes}",label="{place}"}}'
        assert found.get(name, 0) == labels.count(label)
    cells = np.histogram(reply.output("probabilities")[:, 1].astype(np.float32), 20, (0, 1))[0]
    for cell, count in enumerate(cells.tolist()):
        assert found.get(f'modelwright_prediction_cell{{classes="{classes}",cell="{cell}"}}', 0) == count


def test_of_a_large_run_some_rows_are_counted(served: Served, cancer: models.Cancer) -> None:
    shown(served)
    served.infer(matrix(np.resize(cancer.rows, (5000, cancer.features))))
    kinds = {name.split('"')[1]: n for name, n in shown(served).items() if "predicted" in name}
    assert kinds == {"requests": 1, "rows": 1000, "squares": 1_000_000}


def test_copies_of_requests_are_not_counted(cancer: models.Cancer, tmp_path: Path) -> None:
    for name in ("stable", "shadow"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.onnx").write_bytes(cancer.content)
    with (
        serving(tmp_path / "shadow" / "model.onnx") as shadow,
        rollout.stable(tmp_path / "stable" / "model.onnx", port=shadow.http_port, mirror=100) as stable,
    ):
        shadow.wait_ready()
        assert shown(shadow) == shown(stable.served) == {}
        for _ in range(3):
            stable.served.infer(matrix(cancer.rows[:2]))
        while stable.copied().get("Compared", 0) < 3:
            pass
        assert shown(shadow) == {}
        assert shown(stable.served)['modelwright_predicted_total{kind="requests"}'] == 3


def test_counting_ends_when_no_one_asks_and_costs_a_bounded_part_of_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    monkeypatch.setattr(predicted, "perf_counter", lambda: clock[0])
    counts = predicted.Predicted()
    assert not counts.active
    counts.asked()
    spent: list[float] = []

    def took(seconds: float) -> None:
        clock[0] += seconds

    class Slow(predicted.Predicted):
        def _take(self, outcome: Any, predictions: Any) -> None:
            took(0.001)
            spent.append(0.001)

    slow = Slow()
    slow.follow(Predictions(("no", "yes"), 1, 0, 1))
    slow.asked()
    outcome: Any = type("Run", (), {"result": []})()
    while clock[0] < 50:
        clock[0] += 0.002
        slow.take([outcome])
    assert sum(spent) <= 0.01 * clock[0] + 0.03
    assert sum(spent) > 0.009 * clock[0]
    clock[0] += predicted.PATIENCE
    slow.take([outcome])
    assert not slow.active
