"""A canary against the stable revision, by the labels that came back and by what both predicted: case by case."""

from __future__ import annotations

from collections.abc import Mapping
from math import log

import numpy as np
import pytest

from modelwright.checks.against_stable import Predicted, prediction_shift, score_drop, weight
from modelwright.checks.verdict import Demands, Verdict

DEMANDS = Demands(alpha=0.005, min_samples=100, min_failures=3)
LEAST = 100


def labels(count: int, right: float, together: int = 1) -> dict[str, float]:
    """So many labels, a share of them right, that came so many at a time."""
    return {"labels": count, "right": round(count * right), "postSquares": count * together}


def dropped(canary: Mapping[str, float], stable: Mapping[str, float], metric: str = "accuracy") -> Verdict:
    return score_drop(metric, canary, stable, 0.02, LEAST, DEMANDS)


@pytest.mark.parametrize(
    ("canary", "stable", "expected"),
    [
        (labels(0, 1), labels(0, 1), ("Inconclusive", "TooFewSamples")),
        (labels(99, 0.5), labels(1000, 0.9), ("Inconclusive", "TooFewSamples")),
        (labels(1000, 0.5), labels(99, 0.9), ("Inconclusive", "TooFewSamples")),
        (labels(100, 0.9), labels(1000, 0.9), ("Pass", "ScoreHolds")),
        (labels(100, 0.95), labels(1000, 0.9), ("Pass", "ScoreHolds")),
        (labels(1000, 0.88), labels(1000, 0.9), ("Pass", "ScoreHolds")),
        (labels(200, 0.85), labels(1000, 0.9), ("Inconclusive", "ScoreDropUnclear")),
        (labels(300, 0.7), labels(1000, 0.9), ("Fail", "ScoreDropped")),
        (labels(3000, 0.8), labels(3000, 0.9), ("Fail", "ScoreDropped")),
        # Labels that come 500 at a time are of a few callers, whose rows are alike.
        (labels(3000, 0.8, 500), labels(3000, 0.9, 500), ("Inconclusive", "ScoreDropUnclear")),
    ],
)
def test_a_drop_of_accuracy(
    canary: Mapping[str, float], stable: Mapping[str, float], expected: tuple[str, str]
) -> None:
    found = dropped(canary, stable)
    assert (found.result, found.reason) == expected
    assert (found.metric, found.threshold) == ("scoreDrop", 0.02)
    assert found.samples == min(canary["labels"], stable["labels"])
    assert found.beyond == (found.reason == "ScoreDropUnclear")
    if found.samples:
        shares = (each["right"] / each["labels"] for each in (stable, canary))
        assert found.value == pytest.approx(next(shares) - next(shares))


def test_the_samples_that_are_said_to_decide_do() -> None:
    found = dropped(labels(200, 0.85), labels(1000, 0.9)).detailed()
    assert found.samples_needed is not None
    times = found.samples_needed / 200
    assert dropped(labels(round(200 * times), 0.85), labels(round(1000 * times), 0.9)).result == "Fail"
    half = dropped(labels(round(100 * times), 0.85), labels(round(500 * times), 0.9))
    assert half.result == "Inconclusive"
    assert found.interval is not None
    assert found.interval.low < 0.02 < found.interval.high


@pytest.mark.parametrize(
    ("metric", "kinds"),
    [("log_loss", ("lossLabels", "log", "logSquare")), ("mae", ("errorLabels", "abs", "square"))],
)
def test_losses_that_grow(metric: str, kinds: tuple[str, str, str]) -> None:
    def losses(count: int, mean: float) -> dict[str, float]:
        """Of an exponential distribution."""
        return dict(zip(kinds, (count, count * mean, count * 2 * mean**2), strict=True))

    assert dropped(losses(500, 0.31), losses(500, 0.3), metric).result == "Pass"
    unclear = dropped(losses(500, 0.35), losses(500, 0.3), metric).detailed()
    assert (unclear.result, unclear.beyond) == ("Inconclusive", True)
    assert unclear.samples_needed is not None
    found = dropped(losses(2000, 0.5), losses(5000, 0.3), metric).detailed()
    assert found.result == "Fail"
    assert found.value == pytest.approx(0.2)
    assert found.interval is not None
    assert 0.02 < found.interval.low < 0.2 < found.interval.high


def test_a_revision_as_bad_as_it_may_be_is_hardly_ever_found_at_any_look() -> None:
    chance, wrong = np.random.default_rng(15), 0
    for _ in range(100):
        rights = np.cumsum(chance.random((2, 1000)) < np.array([[0.88], [0.9]]), axis=1)
        wrong += any(
            dropped(
                {"labels": at, "right": int(rights[0, at - 1])},
                {"labels": at, "right": int(rights[1, at - 1])},
            ).result
            == "Fail"
            for at in range(100, 1001, 50)
        )
    assert wrong <= 2


def predicted(rows: int, positive: float, classes: str = "ab", size: int = 1) -> Predicted:
    """Answers of two classes, a share of them positive, with scores in two cells."""
    shares = {"0": 1 - positive, "1": positive}
    return Predicted(
        labels={(classes, label): round(rows * share) for label, share in shares.items()},
        cells={
            (classes, 4): round(rows * (1 - positive)),
            (classes, 15): round(rows * positive),
        },
        rows=rows,
        requests=rows // size,
        squares=rows * size,
    )


@pytest.mark.parametrize(
    ("canary", "stable", "expected"),
    [
        (Predicted(), Predicted(), ("Inconclusive", "TooFewSamples")),
        (predicted(99, 0.9), predicted(1000, 0.1), ("Inconclusive", "TooFewSamples")),
        (predicted(500, 0.3), predicted(1000, 0.3), ("Pass", "PredictionsAlike")),
        (predicted(500, 0.38), predicted(1000, 0.3), ("Pass", "PredictionsAlike")),
        (predicted(500, 0.45), predicted(1000, 0.3), ("Inconclusive", "PredictionShiftUnclear")),
        (predicted(500, 0.1), predicted(1000, 0.3), ("Fail", "PredictionsShifted")),
        (predicted(500, 0.6), predicted(1000, 0.3), ("Fail", "PredictionsShifted")),
        (predicted(2000, 0.6, size=20), predicted(2000, 0.3, size=20), ("Fail", "PredictionsShifted")),
        # Ten requests are ten samples, however many rows they have.
        (predicted(2000, 0.6, size=200), predicted(2000, 0.3), ("Inconclusive", "TooFewSamples")),
        (predicted(500, 0.3, "cd"), predicted(1000, 0.3), ("Inconclusive", "OtherClasses")),
    ],
)
def test_a_shift_of_predictions(canary: Predicted, stable: Predicted, expected: tuple[str, str]) -> None:
    found = prediction_shift(canary, stable, 0.1, DEMANDS)
    assert (found.result, found.reason) == expected
    assert (found.metric, found.threshold) == ("predictionShift", 0.1)
    if found.result != "Inconclusive":
        assert found.value == pytest.approx(abs(canary.cells["ab", 15] / canary.rows - 0.3))


def test_an_unclear_shift_says_what_would_decide() -> None:
    found = prediction_shift(predicted(500, 0.45), predicted(1000, 0.3), 0.1, DEMANDS).detailed()
    assert found.samples_needed is not None
    assert 500 < found.samples_needed < 20_000
    assert found.interval is not None
    assert found.interval.low < 0.1
    assert found.interval.high > 0.15


def test_scores_that_shift_under_the_same_labels_are_found() -> None:
    def scores(low: int) -> Predicted:
        return Predicted({("ab", "0"): 1000}, {("ab", 1): low, ("ab", 8): 1000 - low}, 1000, 1000, 1000)

    assert prediction_shift(scores(900), scores(300), 0.1, DEMANDS).result == "Fail"


def test_equal_revisions_are_hardly_ever_found_to_predict_otherwise() -> None:
    """Ten labels, of which each look compares the one that differs most."""
    chance, wrong = np.random.default_rng(15), 0
    for _ in range(30):
        drawn = chance.integers(0, 10, (2, 1000))
        for at in range(200, 1001, 200):
            both = [
                Predicted(
                    {("ab", str(each)): float((row[:at] == each).sum()) for each in range(10)}, {}, at, at, at
                )
                for row in drawn
            ]
            if prediction_shift(both[0], both[1], 0.0, DEMANDS).result == "Fail":
                wrong += 1
                break
    assert wrong <= 1


def test_rows_that_come_together_count_for_less() -> None:
    assert weight(100, 100) == 1
    assert weight(100, 100 * 100) == pytest.approx(1 / 5.95)
    assert weight(0, 0) == 1
    assert log(weight(10, 5)) == 0
