"""Gates: what a model has to hold before it may be served. And approvals: who let it through, or did not."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, FiniteFloat

from modelwright.api.base import (
    CategoryValue,
    ColumnName,
    Digest,
    Model,
    Name,
    Reason,
    Timestamp,
    rule,
    rules,
)

# Names the main metric of the model's task: docs/gates.md has the table.
MAIN = "main"
# The names of the gates that every run has, unless defaultGates is Disabled.
BETTER_THAN_BASELINE, NOT_WORSE_THAN_CHAMPION = "better-than-baseline", "not-worse-than-champion"

Verdict = Literal["Pass", "Fail", "Inconclusive"]
OnInconclusive = Literal["Hold", "Reject", "Allow"]
DefaultGates = Literal["Enabled", "Disabled"]

GateName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
# A user or a service account, as the API server knows it.
User = Annotated[str, Field(min_length=1, max_length=256)]


class Gate(Model):
    """One demand on a model. What it is judged by: the rows that were held out, unless it says otherwise."""

    model_config = rules(
        rule(
            "[has(self.min) || has(self.max), has(self.minChange) || has(self.maxChange) || has(self.maxRatio), "
            "has(self.maxGap)].filter(set, set).size() == 1",
            "set a limit: min and max, or one of minChange, maxChange and maxRatio (with against), or maxGap (with "
            "split Train)",
        ),
        rule(
            "has(self.against) == (has(self.minChange) || has(self.maxChange) || has(self.maxRatio))",
            "minChange, maxChange and maxRatio go with against",
        ),
        rule(
            "!has(self.maxRatio) || !has(self.minChange) && !has(self.maxChange)",
            "set maxRatio, or minChange and maxChange: a ratio and a change are different numbers",
        ),
        rule(
            "has(self.maxGap) == (has(self.split) && self.split == 'Train')", "maxGap goes with split Train"
        ),
        rule("!has(self.min) || !has(self.max) || self.min <= self.max", "min must not be above max"),
        rule(
            "!has(self.source) || self.source == 'Measured' || !has(self.against) && !has(self.slice) && "
            "!has(self.sensitiveFeature) && !has(self.split) && !has(self.judgedBy)",
            "a reported number has no rows: remove against, slice, sensitiveFeature, split and judgedBy",
        ),
        rule(
            "!has(self.sensitiveFeature) || !has(self.against) && !has(self.split)",
            "sensitiveFeature goes with min and max",
        ),
        rule("!has(self.rows) || self.metric.endsWith('_latency_seconds')", "rows is for latencies"),
    )

    name: GateName | None = Field(
        default=None, description="What it is called in conditions and messages. Default: gate-1, gate-2, ..."
    )
    metric: Annotated[str, Field(min_length=1, max_length=128)] = Field(
        description="A metric that publish computes (docs/numbers.md), main for the main one of the task, a latency "
        "(p50_, p90_, p95_, p99_latency_seconds), or with sensitiveFeature one of fairness: "
        "demographic_parity_ratio, equalized_odds_difference, recall_group_min, ..."
    )
    min: FiniteFloat | None = Field(default=None, description="Smallest value that passes.")
    max: FiniteFloat | None = Field(default=None, description="Largest value that passes.")
    against: Literal["Champion", "Baseline"] | None = Field(
        default=None,
        description="What the value is compared with, on the same rows. Champion: the version that serves, or else the "
        "newest one that is Ready. Baseline: always the most frequent class, or the mean.",
    )
    min_change: FiniteFloat | None = Field(
        default=None, description="Smallest change that passes: -0.01 lets it be worse by 0.01."
    )
    max_change: FiniteFloat | None = Field(
        default=None, description="Largest change that passes, for metrics of which less is better."
    )
    max_ratio: Annotated[FiniteFloat, Field(ge=0.01)] | None = Field(
        default=None, description="Largest ratio to the other that passes, for latencies."
    )
    slice: Annotated[dict[ColumnName, CategoryValue], Field(min_length=1, max_length=8)] | None = Field(
        default=None, description="Only rows with these values: {region: eu}."
    )
    sensitive_feature: ColumnName | None = Field(
        default=None,
        description="Column whose groups are compared: a feature, or one of data.holdout.extraColumns.",
    )
    split: Literal["Holdout", "Train"] | None = Field(
        default=None, description="Train: how much better it is on the rows that it learnt from (maxGap)."
    )
    max_gap: Annotated[FiniteFloat, Field(ge=0)] | None = Field(
        default=None, description="Largest gap between the two that passes."
    )
    rows: Annotated[int, Field(ge=1, le=10000)] | None = Field(
        default=None, description="Rows of a request whose latency is measured. Default: 1."
    )
    min_samples: Annotated[int, Field(ge=1, le=100000000)] | None = Field(
        default=None,
        description="With fewer rows it is Inconclusive. Default: 30; with sensitiveFeature in each group.",
    )
    judged_by: Literal["Value", "Interval"] | None = Field(
        default=None,
        description="Value: the number alone decides. Interval: its whole 95 % interval has to be on one side, else it "
        "is Inconclusive. Default: Value for min and max on all rows, else Interval; Interval for "
        "expected_calibration_error, too.",
    )
    source: Literal["Measured", "Reported"] | None = Field(
        default=None,
        description="Reported: a number that the own trainer wrote itself may pass. Default: Measured.",
    )
    on_inconclusive: OnInconclusive | None = Field(
        default=None, description="Default: that of the spec around it."
    )

    def excludes(self, limit: float | None) -> bool:
        """True if a value that is equal to this limit does not pass: as good as the baseline is not better than it,
        while as good as the champion is not worse."""
        return self.against == "Baseline" and limit == 0


Gates = Annotated[list[Gate], Field(max_length=32)]
# With the default ones.
AllGates = Annotated[list[Gate], Field(max_length=34)]


class ApprovalPolicy(Model):
    """Who has to agree before a version is Ready."""

    required: Annotated[int, Field(ge=0, le=10)] = Field(
        default=1, description="How many different people have to approve."
    )
    exclude_author: bool | None = Field(
        default=None, description="True: who wrote the recipe (spec.author) does not count."
    )


class Approval(Model):
    """What one person says of a version."""

    by: User = Field(
        description="The person, as the API server knows them. The chart's policy refuses another name."
    )
    decision: Literal["Approve", "Reject"] = Field(default="Approve", description="Approve or Reject.")
    reason: Annotated[str, Field(min_length=1, max_length=1024)] | None = Field(
        default=None, description="Why."
    )
    override: bool | None = Field(
        default=None, description="True: although a gate has not passed. It is shown from then on."
    )


Approvals = Annotated[
    list[Approval],
    Field(
        max_length=32,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["by"]},
    ),
]


class GateStatus(Model):
    """What was measured for a gate, and what follows from it."""

    name: GateName = Field(description="Name of the gate.")
    metric: Annotated[str, Field(max_length=128)] = Field(
        description="The metric. main only where nothing was measured."
    )
    verdict: Verdict = Field(description="Inconclusive: not enough is known for one of the others.")
    reason: Reason = Field(description="Why, in one CamelCase word.")
    message: Annotated[str, Field(max_length=1024)] | None = Field(
        default=None, description="What keeps it from having a value, or what a reader should know."
    )
    value: FiniteFloat | None = Field(
        default=None,
        description="The number that is judged: of a gate with against the change or the ratio, with split Train the "
        "gap.",
    )
    low: FiniteFloat | None = Field(default=None, description="Lower end of its 95 % interval.")
    high: FiniteFloat | None = Field(default=None, description="Upper end of its 95 % interval.")
    threshold: FiniteFloat | None = Field(
        default=None, description="The limit, or the one of both that is nearer."
    )
    measured: FiniteFloat | None = Field(
        default=None, description="The model's own value, where a change, a ratio or a gap is judged."
    )
    reference: FiniteFloat | None = Field(
        default=None,
        description="What it is compared with: the value of the Champion, the baseline, the training rows.",
    )
    against: Annotated[str, Field(max_length=256)] | None = Field(
        default=None, description="The ModelVersion that it was compared with, or Baseline."
    )
    samples: int | None = Field(default=None, ge=0, description="Rows that it was measured on.")
    samples_needed: int | None = Field(
        default=None, ge=0, description="About how many rows would decide, if the value stays as it is."
    )
    source: Literal["Measured", "Reported"] = Field(
        default="Measured", description="Measured by publish, or reported by the trainer itself."
    )
    on_inconclusive: OnInconclusive = Field(default="Hold", description="What Inconclusive means for Ready.")


class ApprovalStatus(Model):
    """An approval or a rejection, as the operator found it first."""

    by: User = Field(description="Who; or the InferenceService whose spec.approvedDigests names the file.")
    at: Timestamp = Field(description="When the operator saw it first.")
    how: Literal["ModelVersion", "InferenceService"] = Field(
        description="ModelVersion: by its spec.approvals. InferenceService: by spec.approvedDigests, which a pull "
        "request may change."
    )
    decision: Literal["Approve", "Reject"] = Field(description="Approve or Reject.")
    reason: Annotated[str, Field(max_length=1024)] | None = Field(default=None, description="Why.")
    override: bool | None = Field(default=None, description="True: although a gate had not passed.")
    verified: bool = Field(
        description="True: the chart's policy was there, so the API server has checked who it was and whether they may."
    )


class ChampionRef(Model):
    """The version that a run was compared with."""

    name: Name = Field(description="The ModelVersion.")
    digest: Digest = Field(description="Digest of its file.")
