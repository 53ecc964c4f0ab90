"""ModelVersion: an immutable fact about a model file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, FiniteFloat

from modelwright.api.base import (
    DATA_URI,
    CategoryValue,
    ClassLabel,
    Code,
    ColumnName,
    ConfigMapKey,
    Digest,
    FreeForm,
    Label,
    Model,
    Name,
    Signature,
    Status,
    Task,
    Timestamp,
    name_rule,
    rule,
    rules,
)
from modelwright.api.gates import (
    AllGates,
    ApprovalPolicy,
    Approvals,
    ApprovalStatus,
    ChampionRef,
    DefaultGates,
    GateStatus,
    OnInconclusive,
    User,
)
from modelwright.api.signatures import Verification
from modelwright.api.stores import Artifact, Store, store_rules
from modelwright.api.triggers import Cause

# The Job that verifies the file is named NAME-verify, of at most 63 characters.
NAME_LENGTH = 56

Share = Annotated[FiniteFloat, Field(ge=0, le=1)]
Libraries = Annotated[dict[str, Annotated[str, Field(max_length=64)]], Field(max_length=64)]


class DvcFile(Model):
    """Data that DVC tracks, as the file of its repository names it."""

    path: Annotated[str, Field(max_length=1024)] = Field(description="Path in the repository.")
    md5: Annotated[str, Field(pattern=r"^[0-9a-f]{32}(\.dir)?$", max_length=36)] = Field(
        description="Its md5; of a folder, that of the list of its files, which ends with .dir."
    )


class DataSource(Model):
    """Data that went into the model."""

    uri: Annotated[str, Field(max_length=1024)] = Field(
        description="Source, without a query; source://IMAGE: a container made it."
    )
    digest: Digest | None = Field(default=None, description="sha256 of the source's bytes.")
    dvc: DvcFile | None = Field(default=None, description="What DVC calls it; uri is the remote.")


class StepImage(Model):
    """An image that took part, as the kubelet ran it."""

    step: Annotated[str, Field(max_length=64)] = Field(description="Step of the run.")
    image: Annotated[str, Field(max_length=512)] = Field(description="Image as asked for.")
    image_id: Annotated[str, Field(max_length=512)] | None = Field(
        default=None, alias="imageID", description="Digest of the image, as the kubelet reports it."
    )


class Lineage(Model):
    """Where the model comes from: running it again with the same inputs gives the same digest."""

    training_job: Label | None = Field(default=None, description="TrainingJob that made it.")
    run: Annotated[int, Field(ge=1)] | None = Field(default=None, description="Number of the run.")
    cause: Cause | None = Field(default=None, description="Why that run was started.")
    completion_time: Timestamp | None = Field(
        default=None,
        description="When the model was finished. It orders the versions of a family for track: Latest, and survives a "
        "backup. Default: metadata.creationTimestamp. Of one TrainingJob, the higher run is always the newer.",
    )
    images: Annotated[list[StepImage], Field(max_length=8)] | None = Field(
        default=None, description="Images."
    )
    code: Code | None = Field(default=None, description="Source code.")
    data: Annotated[list[DataSource], Field(max_length=16)] | None = Field(default=None, description="Data.")
    estimator: Annotated[str, Field(max_length=256)] | None = Field(
        default=None, description="scikit-learn class that was trained."
    )
    parameters: Annotated[FreeForm, Field(max_length=64)] | None = Field(
        default=None, description="Parameters of the estimator."
    )
    seed: Annotated[int, Field(ge=0)] | None = Field(default=None, description="Seed of the training.")
    libraries: Libraries | None = Field(
        default=None, description="Versions of the libraries that trained and scored it."
    )
    parent: Name | None = Field(default=None, description="ModelVersion that it was made from.")
    author: User | None = Field(default=None, description="Who wrote the recipe, if its spec says so.")
    champion: ChampionRef | None = Field(
        default=None, description="The version that it was compared with: the Champion when the run began."
    )
    recipe: FreeForm | None = Field(
        default=None,
        description="What of the TrainingJob's spec makes this model. Absent where it has more than 64 kB.",
    )


class Evaluate(Model):
    """Data that the model is scored on. All of its rows are held out."""

    model_config = rules(
        rule("has(self.uri) != has(self.configMapRef)", "set exactly one of uri and configMapRef"),
        *store_rules("store", "uri"),
    )

    uri: Annotated[str, Field(pattern=DATA_URI, max_length=1024)] | None = Field(
        default=None, description="Source of the data, as in a TrainingJob's data.uri."
    )
    store: Store | None = Field(default=None, description="How the store is reached, as in a TrainingJob.")
    config_map_ref: ConfigMapKey | None = Field(
        default=None, description="The same as uri configmap://NAME/KEY."
    )
    ca_config_map_ref: ConfigMapKey | None = Field(
        default=None, description="Certificates (PEM) to trust for an https:// source."
    )
    digest: Digest | None = Field(
        default=None, description="sha256 of the source; with it, other bytes are refused."
    )
    target: ColumnName = Field(description="Column with the true answers.")
    task: Task | None = Field(
        default=None, description="What the model does. Default: what the target looks like."
    )
    positive_class: CategoryValue | None = Field(
        default=None, description="Of two classes, the one that precision, recall and f1 are about."
    )
    extra_columns: Annotated[list[ColumnName], Field(min_length=1, max_length=32)] | None = Field(
        default=None, description="Columns that gates need, and that the model does not take."
    )


# Approvals are said of a version afterwards, and its file may be reached in another way. All else of it is a fact.
_FACTS = (
    "artifact.uri",
    "artifact.digest",
    "artifact.size",
    "evaluate",
    "gates",
    "defaultGates",
    "onInconclusive",
    "approval",
    "lineage",
    "model",
    "verification",
)
_IMMUTABLE = " && ".join(
    f"has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})"
    for field in _FACTS
)


class ModelVersionSpec(Model):
    """The fact, which never changes, and what people say of it."""

    model_config = rules(
        rule(
            _IMMUTABLE,
            "spec is immutable but for approvals and artifact.store: a ModelVersion is a fact; write a new one with "
            "another name",
        ),
        rule(
            "!has(oldSelf.approvals) || has(self.approvals) && oldSelf.approvals.all(before, "
            "self.approvals.exists(now, now.by == before.by && (!has(before.override) || !before.override || "
            "now == before)))",
            "an approval is never removed, and one with override never changed: reject the version instead",
        ),
        rule(
            "!has(self.approvals) || self.approvals.all(each, !has(each.override) || !each.override || "
            "each.decision == 'Approve' && has(each.reason))",
            "an approval with override needs a reason",
        ),
    )

    model: Label = Field(description="Family that this is a version of.")
    artifact: Artifact = Field(description="The model file.")
    lineage: Lineage | None = Field(default=None, description="Where the model comes from.")
    evaluate: Evaluate | None = Field(
        default=None, description="Data to score a version on that no run has made (docs/gates.md)."
    )
    gates: AllGates | None = Field(
        default=None,
        description="What the model has to hold before it is Ready. A run writes those of its recipe.",
    )
    default_gates: DefaultGates | None = Field(
        default=None,
        description="Enabled (default where evaluate is set): it has to be clearly better than the baseline, and not "
        "clearly worse than the Champion. A run writes its gates out, and Disabled here.",
    )
    on_inconclusive: OnInconclusive | None = Field(
        default=None, description="What becomes of it if a gate cannot be decided. Default: Hold."
    )
    approval: ApprovalPolicy | None = Field(default=None, description="Who has to agree before it is Ready.")
    approvals: Approvals | None = Field(
        default=None,
        description="Who has agreed, or not: `modelwright approve NAME` writes it. The only field that may change.",
    )
    verification: Verification | None = Field(
        default=None, description="Whose signature the file has to have."
    )


class Metric(Model):
    """A number that says how good the model is."""

    name: Annotated[str, Field(max_length=128)] = Field(
        description="scikit-learn's name: accuracy, roc_auc, rmse, ..."
    )
    value: FiniteFloat = Field(description="The number.")
    low: FiniteFloat | None = Field(
        default=None, description="Lower end of its 95 % interval. Absent where the hold-out gives none."
    )
    high: FiniteFloat | None = Field(default=None, description="Upper end of its 95 % interval.")
    baseline: FiniteFloat | None = Field(
        default=None,
        description="What a model gets that always answers the class with most training rows, or the mean of the "
        "target (mae, mape and quantiles of the absolute error: the median).",
    )
    positive_class: ClassLabel | None = Field(
        default=None, description="The class that the number is about. Absent: it is about all classes."
    )
    source: Literal["Measured", "Reported"] = Field(
        description="Measured: on the hold-out, by the publisher, in ONNX Runtime. Reported: read from a file."
    )


class Baseline(Model):
    """What the baseline always answers."""

    label: ClassLabel | None = Field(default=None, description="The class with most training rows.")
    mean: FiniteFloat | None = Field(default=None, description="Mean of the target in the training rows.")
    median: FiniteFloat | None = Field(default=None, description="Median of the target in the training rows.")


class Intervals(Model):
    """How the intervals were made: bootstrap resamples of the hold-out."""

    level: Share = Field(description="How often an interval covers the true value.")
    resamples: int = Field(ge=0, description="How many; 0: there was nothing to draw from.")
    unit: Literal["Row", "Group"] = Field(description="What was drawn.")
    column: Annotated[str, Field(max_length=256)] | None = Field(
        default=None, description="The column whose groups were drawn."
    )
    groups: int | None = Field(default=None, ge=0, description="How many groups the hold-out has.")


class ClassNumbers(Model):
    """A class: its rows, and how well it is recognised."""

    label: ClassLabel = Field(description="The class.")
    train_rows: int = Field(ge=0, description="Rows to learn from.")
    holdout_rows: int = Field(ge=0, description="Rows held out.")
    precision: Share | None = Field(default=None, description="Absent: the model never answers it.")
    recall: Share | None = Field(default=None, description="Absent: the hold-out has no row of it.")
    f1: Share | None = Field(default=None, description="Harmonic mean of precision and recall.")


class Confusion(Model):
    """How often each class was answered for each true class."""

    classes: Annotated[list[ClassLabel], Field(max_length=64)] = Field(description="The classes.")
    counts: Annotated[list[Annotated[list[int], Field(max_length=64)]], Field(max_length=64)] = Field(
        description="A row per true class, a column per answered class."
    )


class Threshold(Model):
    """What answering the positive class from a probability on would do."""

    threshold: Share = Field(description="The probability.")
    share: Share = Field(description="Share of the rows that would be answered positive.")
    precision: Share | None = Field(default=None, description="Precision of the positive class.")
    recall: Share | None = Field(default=None, description="Recall of the positive class.")


class CalibrationBin(Model):
    """Rows of similar probability."""

    predicted: Share = Field(description="Mean probability.")
    observed: Share = Field(description="How often it came true.")
    rows: int = Field(ge=0, description="How many rows.")


class Residual(Model):
    """A quantile of the true value less the predicted one."""

    quantile: Share = Field(description="Which quantile.")
    value: FiniteFloat = Field(description="Its value.")


class Evaluation(Model):
    """The tables beside the metrics, of bounded size: report.json beside the model has all."""

    positive_class: ClassLabel | None = Field(default=None, description="The positive class of two.")
    averaging: Literal["Binary", "Macro"] | None = Field(
        default=None,
        description="How precision, recall, f1, roc_auc and average_precision are taken. Binary: of the positive "
        "class. Macro: the mean over the classes that the hold-out has.",
    )
    train_rows: int = Field(ge=0, description="Rows to learn from.")
    holdout_rows: int = Field(ge=0, description="Rows held out.")
    baseline: Baseline = Field(description="What the baseline always answers.")
    intervals: Intervals | None = Field(default=None, description="How the intervals were made.")
    classes: Annotated[list[ClassNumbers], Field(max_length=128)] | None = Field(
        default=None, description="The classes, or those with most rows in the hold-out."
    )
    class_count: int | None = Field(
        default=None, ge=0, description="How many classes there are, where some are left out."
    )
    confusion: Confusion | None = Field(default=None, description="Confusion matrix.")
    thresholds: Annotated[list[Threshold], Field(max_length=32)] | None = Field(
        default=None, description="Precision and recall of the positive class at some thresholds."
    )
    calibration: Annotated[list[CalibrationBin], Field(max_length=32)] | None = Field(
        default=None,
        description="Probabilities against what came true: of the positive class, or of the class that is answered.",
    )
    residuals: Annotated[list[Residual], Field(max_length=32)] | None = Field(
        default=None, description="Quantiles of the true value less the predicted one."
    )
    notes: Annotated[list[Annotated[str, Field(max_length=1024)]], Field(max_length=32)] = Field(
        default=[], description="What a reader of the numbers should know."
    )
    truncated: bool | None = Field(
        default=None, description="True where something was left out; report.json has all."
    )


class Importance(Model):
    """How much worse the main metric is on the hold-out when the values of a feature are shuffled."""

    feature: Annotated[str, Field(max_length=256)] = Field(description="The feature.")
    value: FiniteFloat = Field(description="By how much; below 0: chance.")
    low: FiniteFloat | None = Field(default=None, description="Lower end of its 95 % interval.")
    high: FiniteFloat | None = Field(default=None, description="Upper end of its 95 % interval.")


class GroupNumbers(Model):
    """How the model does for one group of a sensitive feature."""

    group: Annotated[str, Field(max_length=256)] = Field(description="The value of the column.")
    rows: int = Field(ge=0, description="Rows held out.")
    selection_rate: Share | None = Field(
        default=None, description="Share of the rows that are answered with the positive class."
    )
    accuracy: Share | None = Field(default=None, description="Share of right answers.")
    true_positive_rate: Share | None = Field(default=None, description="Recall of the positive class.")
    false_positive_rate: Share | None = Field(
        default=None, description="Share of the others that are answered with the positive class."
    )
    mae: FiniteFloat | None = Field(default=None, description="Mean absolute error of a regression.")


class Fairness(Model):
    """How the model does for the groups of a sensitive feature."""

    feature: Annotated[str, Field(max_length=256)] = Field(description="The column.")
    groups: Annotated[list[GroupNumbers], Field(max_length=32)] = Field(
        description="Its groups, or those with most rows."
    )
    group_count: int | None = Field(
        default=None, ge=0, description="How many groups there are, where some are left out."
    )


class Parity(Model):
    """Whether ONNX Runtime answers what the trainer's own library predicts."""

    verdict: Literal["Pass", "Fail", "Skipped"] = Field(
        description="Skipped: the trainer left no predictions."
    )
    compared: int | None = Field(default=None, ge=0, description="Rows compared.")
    label_mismatches: int | None = Field(
        default=None, ge=0, description="Rows with another label, ties left out."
    )
    ties: int | None = Field(
        default=None, ge=0, description="Rows whose two best classes are equally likely."
    )
    max_difference: FiniteFloat | None = Field(
        default=None,
        ge=0,
        description="Largest difference: of probabilities, or of values in units of their spread.",
    )


class ModelVersionStatus(Status):
    """What was found out about the model file."""

    task: Task | None = Field(default=None, description="What the model does.")
    signature: Signature | None = Field(default=None, description="What the model takes and gives.")
    metrics: Annotated[
        list[Metric],
        Field(
            max_length=64,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = Field(default=[], description="How good the model is.")
    score: Annotated[str, Field(max_length=256)] | None = Field(
        default=None,
        description="The main metric with its interval and baseline: roc_auc of two classes, balanced_accuracy of "
        "more, r2 of a regression; accuracy or rmse where that has no value.",
    )
    evaluation: Evaluation | None = Field(default=None, description="The tables beside the metrics.")
    parity: Parity | None = Field(default=None, description="ONNX Runtime against the trainer's library.")
    gates: Annotated[
        list[GateStatus],
        Field(
            max_length=36,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = Field(default=[], description="What the gates found.")
    importance: Annotated[list[Importance], Field(max_length=20)] = Field(
        default=[], description="The features that matter most: permutation importance on the hold-out."
    )
    fairness: Annotated[list[Fairness], Field(max_length=8)] = Field(
        default=[], description="How the model does for the groups of each sensitive feature."
    )
    approvals: Annotated[list[ApprovalStatus], Field(max_length=64)] = Field(
        default=[], description="Who has agreed, or not; when, how and why."
    )
    aliases: Annotated[list[Annotated[str, Field(max_length=80)]], Field(max_length=16)] = Field(
        default=[],
        description="Champion: it serves. Challenger: it is the canary. Previous: it served before. Latest: the newest "
        "that is Ready. Where several services serve the family: Champion@SERVICE.",
    )
    short_digest: Annotated[str, Field(max_length=12)] | None = Field(
        default=None, description="The first twelve digits of the artifact's digest, for people."
    )


NAME_RULES = (name_rule(NAME_LENGTH, "Jobs are named after it"),)
