"""What is watched of the model that an InferenceService serves, and what was found, for the status."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, FiniteFloat

from modelwright.api.base import Model, Name, Reason, Timestamp, rule, rules
from modelwright.api.stores import SecretReference

# What a field that is left out means.
WINDOW_SECONDS = 3600
MIN_SAMPLES = 500
ALPHA = 0.01
CONSECUTIVE = 2
MIN_LABELS = 100
AVAILABILITY_WINDOW_DAYS = 30
LATENCY_TARGET = 0.99
# Seconds: the bounds of the server's histogram from a millisecond on. What lies between them it does not know.
LATENCY_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LISTED = ", ".join(f"{bound:g}" for bound in LATENCY_BOUNDS)
# The most features that the status names, and scores that it holds.
MOST_WORST = 5
MOST_SCORES = 10

# The scores that follow from counts of labelled predictions; docs/numbers.md says what each means. Those of
# probabilities need a model of two classes, but for expected_calibration_error; mae and rmse need a regression.
ScoreName = Literal[
    "accuracy",
    "balanced_accuracy",
    "precision",
    "recall",
    "f1",
    "roc_auc",
    "log_loss",
    "brier_score",
    "expected_calibration_error",
    "mae",
    "rmse",
]
# An integer that all JSON readers take.
MOST_COUNTED = 2**53
# The longest name of a feature or of a cell that a status has.
MOST_NAME = 256
FeatureName = Annotated[str, Field(max_length=MOST_NAME)]
Count = Annotated[int, Field(ge=0, le=MOST_COUNTED)]


class Drift(Model):
    """How windows of requests are compared with the hold-out of the model that serves."""

    window_seconds: Annotated[int, Field(ge=10, le=604800)] | None = Field(
        default=None,
        description="Length of a window, aligned to the clock. Another length starts the counts again. Default: 3600.",
    )
    min_samples: Annotated[int, Field(ge=50, le=10_000_000)] | None = Field(
        default=None,
        description="Rows that a window needs before it is judged. One with fewer says nothing. Default: 500.",
    )
    alpha: (
        Annotated[
            float,
            # The API server rounds a bound to a whole number when it checks a whole number, such as 0.
            Field(
                ge=0.000001,
                le=0.5,
                json_schema_extra={"x-kubernetes-validations": [rule("self > 0.0", "it must be above 0")]},
            ),
        ]
        | None
    ) = Field(
        default=None,
        description="With what probability a window without drift may be found Drifted: of all its tests together. "
        "Default: 0.01.",
    )
    effect: Annotated[float, Field(ge=0, le=2)] | None = Field(
        default=None,
        description="The smallest drift that is worth an alarm, however sure it is, in standard deviations by which a "
        "mean moves. docs/monitoring.md has what is as much of other changes: 0.2 is a population stability index of "
        "0.04. Default: 0.2.",
    )
    consecutive: Annotated[int, Field(ge=1, le=24)] | None = Field(
        default=None,
        description="How many windows in a row have to be Drifted before DriftDetected is True, and NoDrift before it "
        "is False again. Default: 2.",
    )


class ScoreTarget(Model):
    """A score by feedback, and its limit."""

    model_config = rules(
        rule("has(self.max) || has(self.min)", "set max, min or both"),
        rule("!has(self.max) || !has(self.min) || self.min <= self.max", "min must not be above max"),
    )

    name: ScoreName = Field(description="Which score: docs/numbers.md says what each means.")
    min: FiniteFloat | None = Field(default=None, description="A score clearly below it is below target.")
    max: FiniteFloat | None = Field(
        default=None,
        description="A score clearly above it is below target: for scores of which less is better.",
    )
    min_labels: Annotated[int, Field(ge=10, le=10_000_000)] | None = Field(
        default=None, description="Labels that it takes before it is judged. Default: 100."
    )


class Feedback(Model):
    """Labels that callers send afterwards, with the tokens of the answers that they are about."""

    secret_ref: SecretReference = Field(
        description="Secret with the keys of the tokens: `key` signs and verifies, others only verify. Mounted in the "
        "server alone; without it the server serves on, and gives no tokens. The operator does not read it."
    )
    max_age_seconds: Annotated[int, Field(ge=3600, le=31_536_000)] | None = Field(
        default=None,
        description="How old a prediction may be when its label comes. A change makes a new revision. Default: "
        "2592000, 30 days.",
    )
    metrics: (
        Annotated[
            list[ScoreTarget],
            Field(
                max_length=MOST_SCORES,
                json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
            ),
        ]
        | None
    ) = Field(default=None, description="The scores that are computed, and their limits.")


class FeedbackKeys(Model):
    """How the pods of a revision sign and verify the tokens of predictions."""

    secret: Name = Field(description="Name of the Secret with the keys.")
    max_age_seconds: int | None = Field(
        default=None, ge=1, description="How old a prediction may be when its label comes."
    )


class Objectives(Model):
    """What is promised to callers. Where the Prometheus operator runs, alerts by burn rate follow from it."""

    model_config = rules(
        rule(
            "has(self.availability) || has(self.latencySeconds)", "set availability, latencySeconds or both"
        ),
        rule(
            "!has(self.latencyTarget) || has(self.latencySeconds)", "latencyTarget goes with latencySeconds"
        ),
    )

    availability: Annotated[float, Field(ge=0.5, le=0.99999)] | None = Field(
        default=None, description="Share of the requests that are answered without an error of the server."
    )
    latency_seconds: (
        Annotated[
            float,
            Field(
                ge=LATENCY_BOUNDS[0],
                le=LATENCY_BOUNDS[-1],
                json_schema_extra={
                    "x-kubernetes-validations": [
                        rule(f"self in {list(LATENCY_BOUNDS)}", f"it must be one of {_LISTED}")
                    ]
                },
            ),
        ]
        | None
    ) = Field(default=None, description=f"How long an answer may take: {_LISTED}.")
    latency_target: Annotated[float, Field(ge=0.5, le=0.99999)] | None = Field(
        default=None, description="Share of the requests that are answered within that time. Default: 0.99."
    )
    window_days: Annotated[int, Field(ge=7, le=90)] | None = Field(
        default=None, description="Over how many days. Default: 30."
    )


class Monitoring(Model):
    """What is watched of the model that serves."""

    model_config = rules(
        rule(
            "has(self.drift) || has(self.feedback) || has(self.slo)",
            "set at least one of drift, feedback and slo",
        ),
    )

    drift: Drift | None = Field(
        default=None,
        description="Compares what callers send with the hold-out of the model. {} has the defaults of all fields. A "
        "change restarts no pod.",
    )
    feedback: Feedback | None = Field(
        default=None, description="Scores by labels that come afterwards. It makes a new revision."
    )
    slo: Objectives | None = Field(default=None, description="Objectives, for alerts.")


class DriftedFeature(Model):
    """How far one feature, or another part of what is compared, is from the hold-out."""

    feature: FeatureName = Field(
        description="The feature; `projections` for how features go together, `prediction` for the answers."
    )
    statistic: Annotated[str, Field(max_length=32)] = Field(
        description="What was compared: psi, location, spread, missing, unseen or outside."
    )
    value: FiniteFloat = Field(description="The number.")
    threshold: FiniteFloat = Field(description="Above which it is drift, with these numbers of rows.")
    cell: Annotated[str, Field(max_length=MOST_NAME)] | None = Field(
        default=None, description="The range or the value whose share has changed most."
    )
    share: Annotated[FiniteFloat, Field(ge=0, le=1)] | None = Field(
        default=None, description="Its share of the rows."
    )
    expected: Annotated[FiniteFloat, Field(ge=0, le=1)] | None = Field(
        default=None, description="Its share of the hold-out."
    )


class Estimated(Model):
    """What is estimated without labels. Blind to changes of meaning: it sees only how sure the model is."""

    accuracy: Annotated[FiniteFloat, Field(ge=0, le=1)] | None = Field(
        default=None,
        description="Share of right answers, if each answer is as good as its like in the hold-out.",
    )


class MeasuredScore(Model):
    """A score by the labels of the windows that are kept."""

    name: Annotated[str, Field(max_length=64)] = Field(description="Which score.")
    value: FiniteFloat | None = Field(default=None, description="The score.")
    low: FiniteFloat | None = Field(default=None, description="Lower end of its 95 % interval.")
    high: FiniteFloat | None = Field(default=None, description="Upper end of its 95 % interval.")
    samples: Count = Field(default=0, description="Labels that it was made of.")
    min: FiniteFloat | None = Field(default=None, description="Its lower limit.")
    max: FiniteFloat | None = Field(default=None, description="Its upper limit.")
    verdict: Literal["Pass", "Fail", "Inconclusive"] = Field(
        description="Fail: the whole interval is beyond the limit. Inconclusive: the interval contains it, or there "
        "are too few labels."
    )


class FeedbackCounts(Model):
    """What became of the labels of the windows that are kept."""

    state: Literal["Off", "Ready", "KeyMissing"] | None = Field(
        default=None, description="Whether the pods take labels: KeyMissing if one has no key."
    )
    counted: Count = Field(default=0, description="Labels that count.")
    duplicate: Count = Field(default=0, description="Labels for predictions that had one.")
    forged: Count = Field(default=0, description="Tokens that no key has signed.")
    expired: Count = Field(default=0, description="Tokens older than maxAgeSeconds.")
    unknown_label: Count = Field(default=0, description="Labels that are no class of the model.")


class MonitoringStatus(Model):
    """What the last window of the stable revision with traffic shows."""

    version: Name = Field(description="The ModelVersion.")
    window_start: Timestamp | None = Field(default=None, description="When the window began.")
    labels_start: Timestamp | None = Field(
        default=None,
        description="When the newest window with labels began; scores are of it and of earlier ones.",
    )
    window_seconds: int = Field(ge=1, description="Its length.")
    rows: Count = Field(default=0, description="Rows that were answered in it.")
    requests: Count = Field(default=0, description="Requests that were answered in it.")
    verdict: Literal["NoDrift", "Drifted", "Inconclusive"] | None = Field(
        default=None,
        description="Inconclusive: too few rows, or nothing to compare them with. None: drift is not watched.",
    )
    reason: Reason | None = Field(default=None, description="Why, in one word.")
    in_a_row: Count = Field(default=0, description="How many windows in a row have this verdict.")
    rows_in_a_row: Count = Field(default=0, description="Rows of these windows.")
    since: Timestamp | None = Field(default=None, description="When the first of them began.")
    worst: Annotated[list[DriftedFeature], Field(max_length=MOST_WORST)] | None = Field(
        default=None, description="What is furthest from the hold-out, the worst first."
    )
    estimated: Estimated | None = Field(default=None, description="Scores that are estimated without labels.")
    scores: (
        Annotated[
            list[MeasuredScore],
            Field(
                max_length=MOST_SCORES,
                json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
            ),
        ]
        | None
    ) = Field(default=None, description="Scores by feedback.")
    feedback: FeedbackCounts | None = Field(default=None, description="What became of the labels.")
