"""The verdict of a gate: what was measured against its limits, and the words for it."""

from __future__ import annotations

from math import inf, nan
from typing import Any, get_args

import pytest

from modelwright.api.gates import Gate, GateStatus, OnInconclusive
from modelwright.api.phrases import of_gate
from modelwright.api.rundocument import DEFAULT_GATES
from modelwright.checks.gates import judge, judged_by, passes, unreadable
from modelwright.common.report import GateEvidence

BASELINE, CHAMPION = (Gate.model_validate(gate) for gate in DEFAULT_GATES)


def gate(metric: str = "roc_auc", **parts: Any) -> Gate:
    return Gate.model_validate({"name": "gate-1", "metric": metric, **parts})


def measured(
    value: float | None = None, *interval: float, metric: str = "roc_auc", **parts: Any
) -> GateEvidence:
    """Evidence from 1,000 rows. The parts are not validated: NaN may come from a release that does not check."""
    low, high = interval or (None, None)
    fields = {"samples": 1000, "low": low, "high": high, **parts}
    return GateEvidence.model_construct(name="gate-1", metric=metric, value=value, **fields)


AT_LEAST, AT_MOST = gate(min=0.9), gate("rmse", max=2.0)
BETWEEN = gate("selection_rate", min=0.2, max=0.4, judgedBy="Interval")
SLICE = gate("recall", min=0.8, slice={"region": "eu"})
NOT_WORSE = gate(against="Champion", minChange=-0.01)
LESS_ERROR = gate("rmse", against="Champion", maxChange=0.1)
LESS_THAN_MEAN = gate("rmse", against="Baseline", maxChange=0)
FAST = gate("p99_latency_seconds", against="Champion", maxRatio=1.2)
GAP = gate(split="Train", maxGap=0.05)
FAIR = gate("demographic_parity_ratio", sensitiveFeature="gender", min=0.8)
REPORTED = gate("my_score", min=0.9, source="Reported")


@pytest.mark.parametrize(
    ("asked", "evidence", "verdict", "reason", "threshold"),
    [
        # The value alone.
        (AT_LEAST, measured(0.93, 0.88, 0.97), "Pass", "WithinLimit", 0.9),
        (AT_LEAST, measured(0.9, 0.88, 0.97), "Pass", "WithinLimit", 0.9),
        (AT_LEAST, measured(0.89, 0.88, 0.97), "Fail", "BelowLimit", 0.9),
        (AT_LEAST, measured(0.93), "Pass", "WithinLimit", 0.9),
        (AT_MOST, measured(1.9, metric="rmse"), "Pass", "WithinLimit", 2.0),
        (AT_MOST, measured(2.1, metric="rmse"), "Fail", "AboveLimit", 2.0),
        # Both limits, and the interval.
        (BETWEEN, measured(0.3, 0.25, 0.35, metric="selection_rate"), "Pass", "WithinLimit", 0.2),
        (BETWEEN, measured(0.3, 0.2, 0.4, metric="selection_rate"), "Pass", "WithinLimit", 0.2),
        (BETWEEN, measured(0.3, 0.19, 0.35, metric="selection_rate"), "Inconclusive", "LimitWithinInterval", 0.2),
        (BETWEEN, measured(0.3, 0.25, 0.41, metric="selection_rate"), "Inconclusive", "LimitWithinInterval", 0.4),
        (BETWEEN, measured(0.1, 0.05, 0.19, metric="selection_rate"), "Fail", "BelowLimit", 0.2),
        (BETWEEN, measured(0.5, 0.41, 0.6, metric="selection_rate"), "Fail", "AboveLimit", 0.4),
        # A slice is judged by its interval.
        (SLICE, measured(0.9, 0.81, 0.97, metric="recall"), "Pass", "WithinLimit", 0.8),
        (SLICE, measured(0.9, 0.79, 0.97, metric="recall"), "Inconclusive", "LimitWithinInterval", 0.8),
        (SLICE, measured(0.7, 0.6, 0.79, metric="recall"), "Fail", "BelowLimit", 0.8),
        (SLICE, measured(0.9, metric="recall"), "Inconclusive", "IntervalMissing", 0.8),
        # Against the champion.
        (NOT_WORSE, measured(0.0, -0.01, 0.01), "Pass", "WithinLimit", -0.01),
        (NOT_WORSE, measured(-0.002, -0.013, 0.009), "Inconclusive", "LimitWithinInterval", -0.01),
        (NOT_WORSE, measured(-0.03, -0.05, -0.011), "Fail", "BelowLimit", -0.01),
        (NOT_WORSE, measured(-0.03, -0.05, -0.01), "Inconclusive", "LimitWithinInterval", -0.01),
        (LESS_ERROR, measured(0.05, 0.01, 0.1, metric="rmse"), "Pass", "WithinLimit", 0.1),
        (LESS_ERROR, measured(0.2, 0.11, 0.3, metric="rmse"), "Fail", "AboveLimit", 0.1),
        (FAST, measured(1.1, 1.05, 1.15, metric="p99_latency_seconds"), "Pass", "WithinLimit", 1.2),
        (FAST, measured(1.4, 1.3, 1.5, metric="p99_latency_seconds"), "Fail", "AboveLimit", 1.2),
        (NOT_WORSE, measured(reason="NoChampion", samples=None), "Pass", "NoChampion", -0.01),
        (NOT_WORSE, measured(reason="NotComparable", message="why"), "Inconclusive", "NotComparable", -0.01),
        (AT_LEAST, measured(reason="NoChampion"), "Inconclusive", "NoChampion", 0.9),
        # The default gates. As good as the baseline is not better; as good as the champion is not worse.
        (BASELINE, measured(0.2, 0.1, 0.3), "Pass", "WithinLimit", 0),
        (BASELINE, measured(0.2, 0.0, 0.3), "Inconclusive", "LimitWithinInterval", 0),
        (BASELINE, measured(-0.02, -0.1, 0.3), "Inconclusive", "LimitWithinInterval", 0),
        (BASELINE, measured(0.0, 0.0, 0.0), "Fail", "BelowLimit", 0),
        (BASELINE, measured(-0.1, -0.2, -0.01), "Fail", "BelowLimit", 0),
        (LESS_THAN_MEAN, measured(0.0, 0.0, 0.0, metric="rmse"), "Fail", "AboveLimit", 0),
        (LESS_THAN_MEAN, measured(-1.0, -2.0, -0.5, metric="rmse"), "Pass", "WithinLimit", 0),
        (CHAMPION, measured(0.0, 0.0, 0.0), "Pass", "WithinLimit", 0),
        (CHAMPION, measured(-0.01, -0.02, 0.0), "Inconclusive", "LimitWithinInterval", 0),
        (CHAMPION, measured(-0.02, -0.03, -0.01), "Fail", "BelowLimit", 0),
        (CHAMPION, measured(0.1, 0.05, 0.2, metric="r2"), "Pass", "WithinLimit", 0),
        (CHAMPION, measured(0.1, 0.05, 0.2, metric="rmse"), "Inconclusive", "OtherMetric", 0),
        # The training rows.
        (GAP, measured(0.02, 0.01, 0.05), "Pass", "WithinLimit", 0.05),
        (GAP, measured(0.1, 0.06, 0.15), "Fail", "AboveLimit", 0.05),
        (GAP, measured(0.06, 0.04, 0.15), "Inconclusive", "LimitWithinInterval", 0.05),
        # What was not measured.
        (AT_LEAST, None, "Inconclusive", "NotMeasured", 0.9),
        (AT_LEAST, measured(), "Inconclusive", "NotMeasured", 0.9),
        (AT_LEAST, measured(reason="OneClass", message="why"), "Inconclusive", "OneClass", 0.9),
        (AT_LEAST, measured(0.95, metric="accuracy"), "Inconclusive", "OtherMetric", 0.9),
        (AT_LEAST, measured(nan, nan, nan), "Inconclusive", "NotMeasured", 0.9),
        (AT_LEAST, measured(inf), "Inconclusive", "NotMeasured", 0.9),
        (AT_MOST, measured(-inf, metric="rmse"), "Inconclusive", "NotMeasured", 2.0),
        (NOT_WORSE, measured(0.1, nan, 0.2), "Inconclusive", "IntervalMissing", -0.01),
        (NOT_WORSE, measured(0.1, 0.05, inf), "Inconclusive", "IntervalMissing", -0.01),
        (NOT_WORSE, measured(0.1, 0.2, 0.05), "Inconclusive", "IntervalMissing", -0.01),
        # Reported numbers.
        (REPORTED, measured(0.95, metric="my_score", samples=None, source="Reported"), "Pass", "WithinLimit", 0.9),
        (REPORTED, measured(0.85, metric="my_score", samples=None, source="Reported"), "Fail", "BelowLimit", 0.9),
        (REPORTED, measured(0.95, metric="my_score"), "Pass", "WithinLimit", 0.9),
        (AT_LEAST, measured(0.95, source="Reported"), "Inconclusive", "ReportedOnly", 0.9),
        (AT_LEAST, measured(0.1, source="Reported"), "Inconclusive", "ReportedOnly", 0.9),
        (BASELINE, measured(0.4, 0.3, 0.5, source="Reported"), "Inconclusive", "ReportedOnly", 0),
    ],
)  # fmt: skip
def test_a_verdict_follows_from_the_limits(
    asked: Gate, evidence: GateEvidence | None, verdict: str, reason: str, threshold: float
) -> None:
    found = judge(asked, evidence)

    assert (found.verdict, found.reason, found.threshold) == (verdict, reason, threshold)
    assert GateStatus.model_validate(found.model_dump()) == found, "the API server takes it"


@pytest.mark.parametrize(
    ("asked", "samples", "smallest", "enough", "message", "needed"),
    [
        (AT_LEAST, 30, None, True, None, None),
        (AT_LEAST, 29, None, False, "it has 29 rows, 30 are asked for", 30),
        (AT_LEAST, 1, None, False, "it has 1 row, 30 are asked for", 30),
        (AT_LEAST, None, None, False, "it has 0 rows, 30 are asked for", 30),
        (gate(min=0.9, minSamples=200), 199, None, False, "it has 199 rows, 200 are asked for", 200),
        (gate(min=0.9, minSamples=5), 5, None, True, None, None),
        (FAIR, 500, 30, True, None, None),
        (FAIR, 500, 25, False, "the smallest group has 25 rows, 30 are asked for", 600),
        (FAIR, 500, 0, False, "the smallest group has 0 rows, 30 are asked for", None),
        (FAIR, 500, None, False, "the smallest group has 0 rows, 30 are asked for", None),
        (gate(min=0.9, source="Reported"), None, None, True, None, None),
    ],
)
def test_fewer_rows_than_are_asked_for_decide_nothing(
    asked: Gate,
    samples: int | None,
    smallest: int | None,
    enough: bool,
    message: str | None,
    needed: int | None,
) -> None:
    source = asked.source or "Measured"
    for value in (0.99, 0.1):
        rows = {"samples": samples, "smallest": smallest, "source": source}
        evidence = measured(value, value, value, metric=asked.metric, **rows)
        found = judge(asked, evidence)

        assert (found.verdict != "Inconclusive") is enough
        assert (found.reason == "TooFewSamples", found.message, found.samples_needed) == (
            not enough,
            message,
            needed,
        )


@pytest.mark.parametrize(
    ("asked", "evidence", "needed"),
    [
        # The half of the interval that faces the limit: 0.011, and 0.008 to the limit.
        (NOT_WORSE, measured(-0.002, -0.013, 0.009, samples=1200), 2269),
        # On the bad side it is the other half: 0.02, and 0.01 to the limit.
        (NOT_WORSE, measured(-0.02, -0.09, 0.0, samples=100), 400),
        (BASELINE, measured(0.1, 0.0, 0.3, samples=100), 101),
        (NOT_WORSE, measured(-0.01, -0.02, 0.0, samples=100), None),
        (NOT_WORSE, measured(-0.01 + 1e-9, -0.02, 0.0, samples=100), None),
        (BETWEEN, measured(0.3, 0.1, 0.6, metric="selection_rate", samples=100), 900),
        (NOT_WORSE, measured(0.0, -0.01, 0.01), None),
        (NOT_WORSE, measured(-0.03, -0.05, -0.02), None),
    ],
)
def test_the_rows_that_would_decide(asked: Gate, evidence: GateEvidence, needed: int | None) -> None:
    assert judge(asked, evidence).samples_needed == needed


@pytest.mark.parametrize(
    ("asked", "by"),
    [
        (AT_LEAST, "Value"),
        (AT_MOST, "Value"),
        (REPORTED, "Value"),
        (BETWEEN, "Interval"),
        (SLICE, "Interval"),
        (FAIR, "Interval"),
        (GAP, "Interval"),
        (NOT_WORSE, "Interval"),
        (BASELINE, "Interval"),
        (gate("expected_calibration_error", max=0.05), "Interval"),
        (gate("expected_calibration_error", max=0.05, judgedBy="Value"), "Value"),
        (gate(min=0.8, slice={"region": "eu"}, judgedBy="Value"), "Value"),
        (gate(against="Champion", minChange=0, judgedBy="Value"), "Value"),
    ],
)
def test_what_decides(asked: Gate, by: str) -> None:
    assert judged_by(asked) == by


@pytest.mark.parametrize("around", get_args(OnInconclusive))
@pytest.mark.parametrize("own", [None, *get_args(OnInconclusive)])
def test_what_is_not_decided_passes_only_where_it_is_allowed(
    around: OnInconclusive, own: OnInconclusive | None
) -> None:
    asked = gate(against="Champion", minChange=0, onInconclusive=own)

    unclear = judge(asked, measured(0.0, -0.1, 0.1), around)
    failed = judge(asked, measured(-0.2, -0.3, -0.1), around)

    assert unclear.on_inconclusive == (own or around)
    assert passes(unclear) is ((own or around) == "Allow")
    assert not passes(failed)
    assert passes(judge(asked, measured(0.2, 0.1, 0.3), around))
    assert not passes(unreadable("gate-1", "roc_auc", "why", own or around)), "it may ask for anything"


def test_the_numbers_of_the_evidence_are_kept() -> None:
    evidence = measured(
        -0.03, -0.05, -0.02, measured=0.81, reference=0.84, against="churn-4", message="a note"
    )

    assert judge(NOT_WORSE, evidence).model_dump(exclude_none=True) == {
        "name": "gate-1",
        "metric": "roc_auc",
        "verdict": "Fail",
        "reason": "BelowLimit",
        "message": "a note",
        "value": -0.03,
        "low": -0.05,
        "high": -0.02,
        "threshold": -0.01,
        "measured": 0.81,
        "reference": 0.84,
        "against": "churn-4",
        "samples": 1000,
        "source": "Measured",
        "on_inconclusive": "Hold",
    }


@pytest.mark.parametrize(
    ("asked", "evidence", "phrase"),
    [
        (AT_LEAST, measured(0.89, 0.86, 0.92), "roc_auc is 0.89 (0.86 to 0.92), the limit is 0.9; 1,000 rows"),
        (AT_LEAST, measured(0.95, samples=20), "roc_auc is 0.95, the limit is 0.9; it has 20 rows, 30 are asked for"),
        (
            SLICE,
            measured(0.9, 0.7, 0.97, metric="recall", samples=100),
            "recall for region eu is 0.9 (0.7 to 0.97), the limit is 0.8; 100 rows, about 401 would decide",
        ),
        (
            FAIR,
            measured(0.6, 0.5, 0.7, metric="demographic_parity_ratio", smallest=100, message="0.6 of f"),
            "demographic_parity_ratio by gender is 0.6 (0.5 to 0.7), the limit is 0.8; 1,000 rows (0.6 of f)",
        ),
        (
            BASELINE,
            measured(-0.026, -0.09, 0.04, measured=0.474, reference=0.5, against="Baseline", samples=200),
            (
                "roc_auc 0.474 is not clearly above the baseline's 0.5: the difference is -0.026 (-0.09 to 0.04); "
                "200 rows, about 1,289 would decide"
            ),
        ),
        (
            BASELINE,
            measured(-0.1, -0.2, -0.05, measured=0.4, reference=0.5),
            "roc_auc 0.4 is not above the baseline's 0.5: the difference is -0.1 (-0.2 to -0.05); 1,000 rows",
        ),
        (
            LESS_THAN_MEAN,
            measured(-1.0, -2.0, -0.5, metric="rmse", measured=4.0, reference=5.0),
            "rmse 4 is clearly below the baseline's 5: the difference is -1 (-2 to -0.5); 1,000 rows",
        ),
        (
            NOT_WORSE,
            measured(-0.03, -0.05, -0.005, measured=0.81, reference=0.84, against="churn-4", samples=1200),
            (
                "roc_auc changed by -0.03 (-0.05 to -0.005) against churn-4 (from 0.84 to 0.81), the limit is "
                "-0.01; 1,200 rows, about 1,875 would decide"
            ),
        ),
        (
            FAST,
            measured(1.4, 1.3, 1.5, metric=FAST.metric, measured=0.014, reference=0.01, against="churn-4"),
            (
                "p99_latency_seconds is 1.4 (1.3 to 1.5) times that of churn-4 (0.014 and 0.01), the limit is 1.2; "
                "1,000 requests"
            ),
        ),
        (
            GAP,
            measured(0.1, 0.08, 0.12, measured=0.88, reference=0.98),
            (
                "roc_auc is better on the training rows by 0.1 (0.08 to 0.12), the limit is 0.05: 0.98 there, 0.88 "
                "on the hold-out; 1,000 rows"
            ),
        ),
        (BASELINE, None, "the main metric: nothing was measured for it"),
        (AT_LEAST, measured(reason="OneClass", message="one class is left"), "roc_auc: one class is left"),
        (AT_LEAST, measured(reason="OneClass"), "roc_auc: it has no value"),
        (
            AT_LEAST,
            measured(0.95, source="Reported"),
            (
                "roc_auc (reported by the trainer): the trainer reported roc_auc itself, and no step measured it: "
                "measure another metric, or set source: Reported"
            ),
        ),
        (CHAMPION, measured(reason="NoChampion", samples=None), "roc_auc: there is no version yet to be worse than"),
    ],
)  # fmt: skip
def test_the_phrase_of_a_gate_has_its_numbers(
    asked: Gate, evidence: GateEvidence | None, phrase: str
) -> None:
    assert of_gate(asked, judge(asked, evidence)) == phrase


@pytest.mark.parametrize(
    "value", [(1e308, -1e308, 1e308), (-1e308, -1e308, 1.7e308), (0.9, -1.7e308, 1.7e308)]
)
def test_huge_numbers_need_no_rows(value: tuple[float, float, float]) -> None:
    status = judge(gate(min=0.9, judgedBy="Interval"), measured(*value))

    assert (status.verdict, status.samples_needed) == ("Inconclusive", None)


def test_more_requests_do_not_decide_a_latency() -> None:
    found = measured(1.1, 0.9, 1.3, metric="p99_latency_seconds")

    assert judge(FAST, found).reason == "LimitWithinInterval"
    assert judge(FAST, found).samples_needed is None


@pytest.mark.parametrize(
    "limits",
    [
        {"against": "Baseline", "maxRatio": 1.2, "minChange": 0},
        {"against": "Champion", "maxRatio": 1.2, "maxChange": 0.1},
        {"min": 0.5, "maxGap": 0.1},
        {},
    ],
)
@pytest.mark.parametrize("own", ["Allow", "Hold"])
def test_limits_of_different_numbers_decide_nothing(limits: dict[str, Any], own: OnInconclusive) -> None:
    status = judge(gate(**limits, onInconclusive=own), measured(0.6, 0.55, 0.65))

    assert (status.verdict, status.reason, status.on_inconclusive) == (
        "Inconclusive",
        "GateUnreadable",
        "Hold",
    )


@pytest.mark.parametrize(
    ("parts", "evidence", "words"),
    [
        ({"minChange": 0}, (0.2, 0.1, 0.3), "0.7 is clearly above the baseline's 0.5"),
        ({"minChange": 0, "judgedBy": "Value"}, (0.2, -0.1, 0.3), "0.7 is above the baseline's 0.5"),
        ({"minChange": 0, "judgedBy": "Value"}, (-0.2, -0.3, 0.3), "0.7 is not above the baseline's 0.5"),
        ({"minChange": -1, "maxChange": 0}, (-0.2, -0.3, -0.1), "0.7 is clearly below the baseline's 0.5"),
        ({"minChange": 0, "maxChange": 1}, (0.2, 0.1, 0.3), "0.7 is clearly above the baseline's 0.5"),
    ],
)
def test_the_side_of_the_baseline_is_that_of_the_limit(
    parts: dict[str, Any], evidence: tuple[float, ...], words: str
) -> None:
    asked = gate(against="Baseline", **parts)

    assert words in of_gate(asked, judge(asked, measured(*evidence, measured=0.7, reference=0.5)))


def test_accuracy_is_never_the_main_metric() -> None:
    assert judge(gate("main", min=0.5), measured(0.9, metric="accuracy")).reason == "OtherMetric"
