"""Scores computed from what is counted are those that scikit-learn computes from the rows."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn import metrics

from modelwright_serving.feedback.feedback import Feedback, Outcome
from modelwright_serving.feedback.keys import Key, Keys
from modelwright_serving.feedback.scores import OTHER_CLASS, SCORE_CELLS, ModelScores, classified, score_cell
from modelwright_serving.feedback.tokens import Issuer
from modelwright_serving.predictions import Class, Predictions, Read

DIGEST = "sha256:" + "ab" * 32
KEY = Key(bytes(16), "churn")
HOUR = 2_000_000  # later than now: nothing here expires


def counted(
    predictions: Predictions,
    labels: npt.NDArray[Any],
    values: npt.NDArray[Any],
    truth: list[Any],
) -> dict[str, Any]:
    """What a server counts when all predictions come back with the truth."""
    feedback = Feedback(wanted=True, max_age_seconds=3600)
    feedback.use(Keys(KEY, (KEY,)))
    feedback.follow(DIGEST, predictions)
    feedback.window = lambda: 7
    read = Read(labels, values.astype(np.float32))
    for token, true in zip(Issuer(DIGEST, predictions.meaning).make(KEY, read, HOUR), truth, strict=True):
        assert feedback.count(token.decode(), true)[0] is Outcome.COUNTED
    part = feedback.part(7)
    assert part["outcomes"]["Counted"] == len(truth)
    found: dict[str, Any] = part["feedback"]["abababab"]
    assert found["labels"] == len(truth)
    return found


def scored(classes: tuple[Class, ...], rows: int, seed: int) -> tuple[dict[str, Any], Any, Any]:
    chance = np.random.default_rng(seed)
    score = chance.normal(size=rows)
    probability = (1 / (1 + np.exp(-2 * score))).astype(np.float32)
    truth = chance.random(rows) < 1 / (1 + np.exp(-1.5 * score))
    found = counted(
        Predictions(classes, 1, 0, 1),
        (probability > 0.4).astype(np.int64),  # not the usual threshold
        probability,
        [classes[int(true)] for true in truth],
    )
    return found, truth, probability


def accuracy(found: dict[str, Any]) -> float:
    return float(sum(n for predicted, true, n in found["confusion"] if predicted == true) / found["labels"])


def auc(found: dict[str, Any]) -> tuple[float, float]:
    """The area under the curve with ties within a cell halved, and how far it may be off: half of the ties."""
    cells = np.zeros((2, SCORE_CELLS))
    for true, cell, count in found["scores"]:
        cells[true, cell] = count
    pairs = cells[0].sum() * cells[1].sum()
    below = np.cumsum(cells[0]) - cells[0]
    return float((cells[1] * (below + cells[0] / 2)).sum() / pairs), float(
        (cells[0] * cells[1]).sum() / 2 / pairs
    )


@pytest.mark.parametrize("seed", range(3))
def test_scores_of_two_classes(seed: int) -> None:
    found, truth, probability = scored(("no", "yes"), 3000, seed)
    answered = probability > 0.4
    assert accuracy(found) == metrics.accuracy_score(truth, answered)
    precision = metrics.precision_score(truth, answered)
    table = {(predicted, true): n for predicted, true, n in found["confusion"]}
    assert table[1, 1] / (table[1, 1] + table[1, 0]) == precision
    loss = found["loss"]
    right = np.where(truth, probability, 1 - probability).astype(np.float64)
    for name, terms in {
        "logSquare": np.log(right) ** 2,
        "square": (1 - right) ** 2,
        "fourth": (1 - right) ** 4,
    }.items():
        assert loss[name] == pytest.approx(terms.sum(), rel=1e-4)
    assert loss["n"] == 3000
    assert loss["log"] / loss["n"] == pytest.approx(metrics.log_loss(truth, probability), rel=1e-6)
    assert loss["square"] / loss["n"] == pytest.approx(metrics.brier_score_loss(truth, probability), rel=1e-6)
    area, most = auc(found)
    true_area = metrics.roc_auc_score(truth, probability)
    assert abs(area - true_area) <= most  # always
    assert abs(area - true_area) < 0.001  # here
    confidence = np.maximum(probability, 1 - probability)
    assert sum(found["confidence"]) == 3000
    assert sum(found["certainty"]) == pytest.approx(confidence.sum(), rel=1e-5)
    assert found["confidence"] == np.histogram(confidence, 10, (0, 1))[0].tolist()
    assert sum(found["correct"]) == (truth == answered).sum()


def test_certain_and_wrong_probabilities_lose_as_much_as_in_scikit_learn() -> None:
    probability = np.array([0, 1, 0, 1, 0.5], np.float32)
    truth = [True, False, False, True, True]
    found = counted(Predictions((False, True), 1, None, 0), np.zeros(5, np.int64), probability, truth)
    assert found["loss"]["log"] / 5 == pytest.approx(metrics.log_loss(truth, probability), rel=1e-6)


def test_scores_of_several_classes() -> None:
    chance = np.random.default_rng(3)
    classes = ("a", "b", "c", "d")
    truth = chance.integers(0, 4, 2000)
    labels = np.where(chance.random(2000) < 0.7, truth, chance.integers(0, 4, 2000))
    found = counted(
        Predictions(classes, None, 0, 1), labels, chance.random(2000), [classes[true] for true in truth]
    )
    expected = metrics.confusion_matrix(truth, labels)
    assert all(expected[true, predicted] == n for predicted, true, n in found["confusion"])
    assert accuracy(found) == metrics.accuracy_score(truth, labels)
    assert "scores" not in found
    assert "loss" not in found


def test_scores_of_a_regression() -> None:
    chance = np.random.default_rng(4)
    truth = chance.normal(100, 20, 2000)
    answered = (truth + chance.normal(2, 5, 2000)).astype(np.float32)
    error = counted(Predictions((), None, None, 0), np.zeros(2000, np.int64), answered, truth.tolist())[
        "error"
    ]
    rows = error["n"]
    assert error["abs"] / rows == pytest.approx(metrics.mean_absolute_error(truth, answered))
    assert error["square"] / rows == pytest.approx(metrics.mean_squared_error(truth, answered))
    spread = error["truthSquare"] - error["truth"] ** 2 / rows
    assert 1 - error["square"] / spread == pytest.approx(metrics.r2_score(truth, answered))


def test_numbers_that_are_not_finite_leave_sums_finite() -> None:
    values = np.array([np.inf, np.nan, 1.0], np.float32)
    found = counted(Predictions((), None, None, 0), np.zeros(3, np.int64), values, [1.0, 1.0, 3.0])
    expected = {"n": 1, "abs": 2.0, "square": 4.0, "fourth": 16.0, "truth": 3.0, "truthSquare": 9.0}
    assert found["error"] == expected


@pytest.mark.parametrize(
    ("probability", "cell"),
    [
        (0.0, 0),
        (1e-9, 0),
        (0.01, 13),
        (0.4999, 31),
        (0.5, 32),
        (0.6, 33),
        (0.99, 50),
        (0.9999999, 63),
        (1.0, 63),
    ],
)
def test_scores_are_in_cells_of_the_logit(probability: float, cell: int) -> None:
    assert score_cell(probability) == cell


def test_the_auc_of_a_model_with_rare_positives_is_kept() -> None:
    chance = np.random.default_rng(6)
    score = chance.normal(-6, 1.5, 20_000)
    probability = (1 / (1 + np.exp(-score))).astype(np.float32)
    truth = chance.random(20_000) < probability
    found = counted(
        Predictions((0, 1), 1, None, 0), np.zeros(20_000, np.int64), probability, truth.astype(int).tolist()
    )
    assert abs(auc(found)[0] - metrics.roc_auc_score(truth, probability)) < 0.002


def test_many_classes_take_bounded_room_and_accuracy_stays_exact() -> None:
    scores = ModelScores()
    chance = np.random.default_rng(5)
    pairs = chance.integers(0, 300, (30_000, 2))
    for predicted, true in pairs.tolist():
        scores.classified(classified(predicted, true, float("nan"), None))
    found = scores.document()
    assert len(found["confusion"]) <= 1024 + 2 * 300
    assert sum(n for _, _, n in found["confusion"]) == 30_000
    assert any(predicted == OTHER_CLASS for predicted, _, _ in found["confusion"])
    assert accuracy(found) == (pairs[:, 0] == pairs[:, 1]).mean()
    assert "confidence" not in found
