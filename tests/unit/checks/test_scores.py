"""Scores from counts, beside those of scikit-learn on the same rows, and what their intervals promise."""

from __future__ import annotations

from collections import Counter
from itertools import starmap
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import binomtest
from sklearn import metrics

from modelwright.api.monitoring import MeasuredScore, ScoreName
from modelwright.checks.scores import Score, proportion, score, verdict

Floats = NDArray[np.float64]
ROWS = 4000


def table(*columns: NDArray[Any]) -> list[list[int]]:
    """How often each combination occurs."""
    keys, counts = np.unique(np.column_stack(columns).astype(int), axis=0, return_counts=True)
    return np.column_stack([keys, counts]).tolist()  # type: ignore[no-any-return]


def of_two_classes(probability: Floats, truth: Floats) -> dict[str, Any]:
    """What a server counts of answers of two classes, the positive one being number 1."""
    confidence = np.maximum(probability, 1 - probability)
    predicted = probability > 0.5
    cells = np.minimum((confidence * 10).astype(int), 9)
    losses = -np.log(np.where(truth == 1, probability, 1 - probability))
    errors = probability - truth
    return {
        "labels": len(truth),
        "confusion": table(predicted, truth),
        "scores": table(truth, np.clip(np.floor(4 * logit(probability)) + 32, 0, 63)),
        "confidence": np.bincount(cells, minlength=10).tolist(),
        "correct": np.bincount(cells, predicted == truth, 10).astype(int).tolist(),
        "certainty": np.bincount(cells, confidence, 10).tolist(),
        "loss": {
            "n": len(truth),
            "log": losses.sum(),
            "logSquare": (losses**2).sum(),
            "square": (errors**2).sum(),
            "fourth": (errors**4).sum(),
        },
    }


def answers(
    chance: np.random.Generator, rows: int, rate: float = 0.0, slope: float = 1.5
) -> tuple[Floats, Floats]:
    """Probabilities of a calibrated model, and what came true."""
    probability = expit(rate + slope * chance.standard_normal(rows))
    return probability, (chance.random(rows) < probability).astype(float)


@pytest.fixture
def chance() -> np.random.Generator:
    return np.random.default_rng(15)


def found(name: str, feedback: dict[str, Any]) -> Score:
    """The score, which is there."""
    scored = score(name, feedback, 1)
    assert scored is not None
    assert scored.low <= scored.value <= scored.high
    return scored


@pytest.mark.parametrize("rate", [0.0, -3.0])
def test_scores_of_two_classes_are_those_of_scikit_learn(chance: np.random.Generator, rate: float) -> None:
    probability, truth = answers(chance, ROWS, rate)
    predicted, feedback = probability > 0.5, of_two_classes(probability, truth)
    expected = {
        "accuracy": metrics.accuracy_score(truth, predicted),
        "balanced_accuracy": metrics.balanced_accuracy_score(truth, predicted),
        "precision": metrics.precision_score(truth, predicted),
        "recall": metrics.recall_score(truth, predicted),
        "f1": metrics.f1_score(truth, predicted),
        "log_loss": metrics.log_loss(truth, probability),
        "brier_score": metrics.brier_score_loss(truth, probability),
    }
    for name, value in expected.items():
        assert found(name, feedback).value == pytest.approx(value, rel=1e-12), name
    # Of rows in cells, some are not told in which order they are.
    exact = metrics.roc_auc_score(truth, probability)
    assert found("roc_auc", feedback).value == pytest.approx(exact, abs=0.002)


def test_scores_of_three_classes(chance: np.random.Generator) -> None:
    truth = chance.integers(0, 3, ROWS)
    predicted = np.where(chance.random(ROWS) < 0.7, truth, chance.integers(0, 3, ROWS))
    feedback = {"labels": ROWS, "confusion": table(predicted, truth)}
    for name, compute in (
        ("accuracy", metrics.accuracy_score),
        ("balanced_accuracy", metrics.balanced_accuracy_score),
    ):
        scored = score(name, feedback, None)
        assert scored is not None
        assert scored.value == pytest.approx(compute(truth, predicted), rel=1e-12)
    assert score("precision", feedback, None) is None
    assert score("roc_auc", feedback, None) is None


def test_errors_of_a_regression(chance: np.random.Generator) -> None:
    truth, predicted = chance.normal(size=ROWS), chance.normal(size=ROWS)
    errors = predicted - truth
    sums = {"abs": abs(errors).sum(), "square": (errors**2).sum(), "fourth": (errors**4).sum()}
    feedback = {"labels": ROWS, "error": {"n": ROWS, **sums}}
    assert found("mae", feedback).value == pytest.approx(metrics.mean_absolute_error(truth, predicted))
    assert found("rmse", feedback).value == pytest.approx(metrics.root_mean_squared_error(truth, predicted))
    without = {"labels": ROWS, "error": {"n": ROWS, "square": sums["square"]}}
    assert found("rmse", without).low == pytest.approx(found("rmse", feedback).low, rel=0.01)


@pytest.mark.parametrize(("hits", "samples"), [(0, 10), (10, 10), (50, 100), (3, 400)])
def test_the_interval_of_a_proportion_is_that_of_wilson(hits: int, samples: int) -> None:
    of_scipy = binomtest(hits, samples).proportion_ci(0.95, "wilson")
    assert proportion(hits, samples) == pytest.approx((of_scipy.low, of_scipy.high))


TRUE_SHARES = expit(-1.0 + 1.5 * np.random.default_rng(1).standard_normal(500_000))
LONG_RUN = of_two_classes(
    TRUE_SHARES, (np.random.default_rng(2).random(len(TRUE_SHARES)) < TRUE_SHARES).astype(float)
)


@pytest.mark.parametrize("rows", [100, 400])
def test_intervals_hold_the_true_score_in_19_of_20_cases(chance: np.random.Generator, rows: int) -> None:
    names = (
        "accuracy",
        "balanced_accuracy",
        "precision",
        "recall",
        "f1",
        "roc_auc",
        "log_loss",
        "brier_score",
    )
    true = {name: found(name, LONG_RUN).value for name in names}
    held = Counter[str]()
    for _ in range(500):
        feedback = of_two_classes(*answers(chance, rows, -1.0))
        for name in names:
            scored = found(name, feedback)
            held[name] += scored.low <= true[name] <= scored.high
    assert {name: 0.92 < count / 500 < 0.98 for name, count in held.items()} == dict.fromkeys(names, True), (
        held
    )


def test_a_calibrated_model_is_within_its_noise(chance: np.random.Generator) -> None:
    cases = list(starmap(of_two_classes, (answers(chance, 300) for _ in range(300))))
    scores = [found("expected_calibration_error", each) for each in cases]
    assert all(each.noise is not None for each in scores)
    noise = np.mean([each.noise or 0.0 for each in scores])
    assert np.mean([each.value for each in scores]) == pytest.approx(noise, rel=0.05)
    assert np.mean([each.low > 0 for each in scores]) < 0.01


def test_a_model_too_sure_of_itself_has_a_calibration_error(chance: np.random.Generator) -> None:
    probability, truth = answers(chance, ROWS)
    scored = found("expected_calibration_error", of_two_classes(expit(2 * logit(probability)), truth))
    assert scored.low > 0.05


def test_the_order_in_end_cells_is_unknown() -> None:
    """A model whose probabilities all are next to 0."""
    scored = score("roc_auc", {"scores": [[0, 0, 990], [1, 0, 10]]}, 1)
    assert scored is not None
    assert (scored.value, scored.low, scored.high) == (0.5, 0.0, 1.0)


def test_a_perfect_order_of_few_rows_proves_little() -> None:
    scored = score("roc_auc", {"scores": [[0, 1, 50], [1, 9, 10]]}, 1)
    assert scored is not None
    assert (scored.value, scored.high) == (1.0, 1.0)
    assert scored.low == pytest.approx(0.722, abs=0.001)


@pytest.mark.parametrize(
    ("name", "feedback"),
    [
        ("accuracy", {"labels": 0}),
        ("roc_auc", {"scores": [[1, 3, 50]]}),
        ("precision", {"confusion": [[0, 1, 5]]}),
        ("mae", {"error": {"n": 1, "abs": 1.0, "square": 1.0}}),
        ("mae", {"error": {"n": 9, "abs": float("inf"), "square": 1.0}}),
        ("log_loss", {}),
        ("brier_score", {}),
        ("rmse", {}),
        ("balanced_accuracy", {}),
        ("expected_calibration_error", {"confidence": [5], "correct": [5]}),
        ("shoe_size", {"labels": 5}),
    ],
)
def test_counts_that_do_not_have_a_score(name: str, feedback: dict[str, Any]) -> None:
    assert score(name, feedback, 1) is None


SCORE = Score(0.9, 0.85, 0.93, 400)


@pytest.mark.parametrize(
    ("minimum", "maximum", "expected"),
    [
        (0.8, None, ("Pass", None)),
        (None, 0.95, ("Pass", None)),
        (0.8, 0.95, ("Pass", None)),
        (0.94, None, ("Fail", None)),
        (None, 0.8, ("Fail", None)),
        # By half as much as the interval is wide on that side: four times as many labels.
        (0.875, None, ("Inconclusive", 1600)),
        (None, 0.915, ("Inconclusive", 1600)),
        (0.9, None, ("Inconclusive", None)),
        (0.93, None, ("Inconclusive", 400)),
    ],
)
def test_a_verdict(minimum: float | None, maximum: float | None, expected: tuple[str, int | None]) -> None:
    assert verdict(SCORE, minimum, maximum, 100) == expected


def test_few_labels_have_no_verdict() -> None:
    assert verdict(SCORE, 0.99, None, 401) == ("Inconclusive", 401)
    assert verdict(None, 0.99, None, 100) == ("Inconclusive", 100)


def test_labels_that_come_together_widen_the_interval(chance: np.random.Generator) -> None:
    feedback = of_two_classes(*answers(chance, 400))
    alone, together = (found("accuracy", {**feedback, "postSquares": 400 * size}) for size in (1, 100))
    assert found("accuracy", feedback) == alone
    assert (together.high - together.low) / (alone.high - alone.low) == pytest.approx(np.sqrt(5.95))


COUNTS = st.integers(0, 2**53) | st.floats(0, 1e300)
TABLES = st.lists(st.tuples(st.integers(-1, 70), st.integers(0, 70), st.integers(0, 2**53)), max_size=4)
MOMENTS = st.dictionaries(
    st.sampled_from(["n", "log", "logSquare", "abs", "square", "fourth"]), COUNTS, max_size=6
)
CELLS = st.lists(COUNTS, min_size=3, max_size=3)


@example(
    name="expected_calibration_error",
    feedback={"labels": 0, "confidence": [1.0], "correct": [0], "certainty": [0]},
)
@given(
    name=st.sampled_from(get_args(ScoreName)),
    feedback=st.fixed_dictionaries(
        {"labels": st.integers(0, 2**53)},
        optional={
            "postSquares": COUNTS,
            **dict.fromkeys(("confusion", "scores"), TABLES),
            **dict.fromkeys(("loss", "error"), MOMENTS),
            **dict.fromkeys(("confidence", "correct", "certainty"), CELLS),
        },
    ),
)
def test_whatever_a_pod_says_is_a_score_or_none(name: str, feedback: dict[str, Any]) -> None:
    scored = score(name, feedback, 1)
    if scored is not None:
        assert all(map(np.isfinite, (scored.value, scored.low, scored.high)))
        assert isinstance(scored.samples, int)
        MeasuredScore(name=name, value=scored.value, low=scored.low, samples=scored.samples, verdict="Pass")
