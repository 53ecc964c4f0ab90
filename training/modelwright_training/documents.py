"""The documents a step is given (run, verify, delete) and the one that fetch leaves for the others, parsed and checked.

What their values mean for a step is left to that step."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from modelwright_training.errors import InputError, storage

Task = Literal["Classification", "Regression"]
Kind = Literal["numeric", "categorical", "date", "text"]
Class = int | str
Digest = str
Statistic = Literal["roc_auc", "balanced_accuracy", "r2"]

DIGEST = r"^sha256:[0-9a-f]{64}$"
SEED_LIMIT = 2**32 - 1
UID = "^[-0-9A-Za-z]{1,64}$"


class Document(BaseModel):
    """A JSON object in camelCase that holds nothing unknown."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=to_camel, populate_by_name=True
    )


class ColumnRule(Document):
    """What the values of a column have to be."""

    type: Literal["number", "integer", "string", "boolean", "date", "text"] | None = None
    min: int | float | None = None
    max: int | float | None = None
    nullable: bool = True
    values: list[int | float | str] | None = Field(default=None, min_length=1)


class After(Document):
    """A point of a column from which on rows are held out."""

    column: str
    value: str = Field(min_length=1)


class Holdout(Document):
    """Which rows are kept away from the trainer."""

    fraction: float = Field(default=0.2, gt=0, lt=1)
    seed: int = Field(default=0, ge=0, le=SEED_LIMIT)
    stratify: bool = True
    split: Literal["Random", "Stable"] = "Random"
    key: str | None = None
    after: After | None = None
    group: str | None = None
    uri: str | None = Field(default=None, min_length=1)
    extra_columns: list[str] = Field(default_factory=list)


class Sample(Document):
    """A random choice of the rows."""

    rows: int = Field(ge=1)
    seed: int = Field(default=0, ge=0, le=SEED_LIMIT)


class LeakCheck(Document):
    """What becomes of a feature that predicts the target alone."""

    threshold: float = Field(default=0.99, ge=0.5, le=1)
    on_leak: Literal["Warn", "Refuse"] = "Warn"


class Data(Document):
    """Which of the data is used. `uri` says where it is: only fetch has it, from its environment."""

    uri: str = ""
    digest: Digest | None = Field(default=None, pattern=DIGEST)
    target: str = Field(min_length=1)
    features: list[str] | None = Field(default=None, min_length=1)
    exclude: list[str] = Field(default_factory=list)
    weight: str | None = None
    positive_class: Class | None = None
    sample: Sample | None = None
    leak_check: LeakCheck = LeakCheck()
    rules: dict[str, ColumnRule] = Field(default_factory=dict, alias="schema")
    holdout: Holdout = Holdout()

    @model_validator(mode="after")
    def _features_are_distinct(self) -> Self:
        features = self.features or []
        if len(set(features)) < len(features):
            raise ValueError("features names a column twice")
        if self.target in features:
            raise ValueError(f"the target {self.target!r} is also one of the features")
        if self.target in self.exclude:
            raise ValueError(f"exclude names the target {self.target!r}")
        if self.weight is not None and self.weight in [self.target, *features]:
            raise ValueError(f"weight {self.weight!r} is also the target or one of the features")
        self._check_extra_columns()
        return self

    def _check_extra_columns(self) -> None:
        extra, where = self.holdout.extra_columns, "holdout.extraColumns"
        if len(set(extra)) < len(extra):
            raise ValueError(f"{where} names a column twice")
        if self.target in extra:
            raise ValueError(f"{where} names the target {self.target!r}, which gates have anyway")
        if self.weight is not None and self.weight in extra:
            raise ValueError(f"{where} names the weight {self.weight!r}, which weighs rows in training only")
        both = [name for name in extra if name in (self.features or [])]
        if both:
            raise ValueError(
                f"{where} and features both name {', '.join(map(repr, both[:5]))}: a gate can use a feature without "
                f"its being in {where}; what is there is not learnt from"
            )


class EarlyStopping(Document):
    """When boosting ends before its last round."""

    rounds: int = Field(ge=1)
    fraction: float = Field(default=0.1, gt=0, lt=1)


class SklearnTrainer(Document):
    """An estimator of scikit-learn, LightGBM or XGBoost and its parameters."""

    estimator: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    early_stopping: EarlyStopping | None = None


class PreprocessRule(Document):
    """What happens to some columns before the estimator sees them."""

    columns: list[str] | None = Field(default=None, min_length=1)
    kind: Kind | None = None
    drop: bool = False
    impute: Literal["None", "Mean", "Median", "MostFrequent"] | None = None
    scale: Literal["None", "Standard", "MinMax", "Robust"] | None = None
    encode: Literal["OneHot", "Ordinal"] | None = None


class Code(Document):
    """The source code of an image."""

    repository: str
    revision: str


class Trainer(Document):
    """The built-in trainer or the user's own image."""

    sklearn: SklearnTrainer | None = None
    preprocess: list[PreprocessRule] = Field(default_factory=list)
    image: str | None = None
    code: Code | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.sklearn is None) == (self.image is None):
            raise ValueError("give either sklearn or image")
        return self


class Artifacts(Document):
    """Where models are kept."""

    uri: str = Field(min_length=1)


class Artifact(Document):
    """A model file in a store."""

    uri: str = Field(min_length=1)
    digest: Digest = Field(pattern=DIGEST)
    size: int | None = Field(default=None, ge=1)


class Gate(Document):
    """A demand on the model: what is to be measured for it. Whether that is enough is not judged here.

    `metric`: may be main. The limits are here for the card only."""

    name: str
    metric: str = Field(min_length=1)
    min: float | None = None
    max: float | None = None
    against: Literal["Champion", "Baseline"] | None = None
    min_change: float | None = None
    max_change: float | None = None
    max_ratio: float | None = None
    slice: dict[str, Class] | None = None
    sensitive_feature: str | None = None
    split: Literal["Holdout", "Train"] | None = None
    max_gap: float | None = None
    rows: int = Field(default=1, ge=1)
    min_samples: int | None = None
    judged_by: Literal["Value", "Interval"] | None = None
    source: Literal["Measured", "Reported"] = "Measured"
    on_inconclusive: Literal["Hold", "Reject", "Allow"] | None = None


class Champion(Document):
    """The version that the model is compared with. `data`, `holdout`: what it was trained from, as far as known."""

    name: str
    artifact: Artifact
    data: Digest | None = Field(default=None, pattern=DIGEST)
    holdout: Holdout | None = None


class RunDocument(Document):
    """What a training run is to do (run.schema.json). `uid`: of the TrainingJob; runs of earlier releases have none.
    `known_digest`: the input of the last run of this recipe that succeeded; equal data ends the run."""

    namespace: str
    training_job: str
    uid: str | None = Field(default=None, pattern=UID)
    run: int = Field(ge=1)
    model: str
    task: Task | None = None
    data: Data
    trainer: Trainer
    seed: int = Field(default=0, ge=0, le=SEED_LIMIT)
    artifacts: Artifacts
    gates: list[Gate] = Field(default_factory=list)
    champion: Champion | None = None
    known_digest: Digest | None = Field(default=None, pattern=DIGEST)


class Evaluation(Document):
    """Data to score a model on that no run has made. Where it is only fetch knows, from its environment."""

    digest: Digest | None = Field(default=None, pattern=DIGEST)
    target: str = Field(min_length=1)
    task: Task | None = None
    positive_class: Class | None = None
    extra_columns: list[str] = Field(default_factory=list)


class VerifyDocument(Document):
    """The artifact that is to be checked (verify.schema.json).

    `verification`: the key that its signature has to belong to, for messages. `evaluate`: what it is scored on, for
    `gates`."""

    model_version: str
    model: str
    artifact: Artifact
    verification: str | None = None
    evaluate: Evaluation | None = None
    gates: list[Gate] = Field(default_factory=list)
    champion: Champion | None = None


class DeleteDocument(Document):
    """The artifact that is to be deleted, and the runs whose marks no longer count (delete.schema.json)."""

    namespace: str
    training_job: str
    uid: str | None = Field(default=None, pattern=UID)
    run: int = Field(ge=1)
    artifact: Artifact


class Feature(Document):
    """A column to predict from."""

    name: str
    kind: Kind
    datatype: Literal["FP64", "INT64"] | None = None
    offset: int | float | None = None
    format: str | None = None
    categories: list[str] | None = None


class Target(Document):
    """The column to predict."""

    name: str
    type: Literal["integer", "number", "string"]


class Rows(Document):
    """How many rows there are to learn from and to score on."""

    train: int
    holdout: int


class Dataset(Document):
    """What lies in train.parquet, and all that a trainer knows of it (dataset.schema.json)."""

    features: list[Feature]
    target: Target
    task: Task
    task_from: Literal["Run", "Estimator", "Target", "Model"]
    classes: list[Class] | None = None
    positive_class: Class | None = None
    weight: str | None = None
    rows: int

    @property
    def names(self) -> list[str]:
        """The features' columns in their order."""
        return [feature.name for feature in self.features]

    @property
    def all_numeric(self) -> bool:
        """Whether the features fit one float32 matrix."""
        return all(feature.kind == "numeric" and feature.datatype is None for feature in self.features)


class ClassCounts(Document):
    """How many rows each class has on both sides, in the order of the data set's classes."""

    train: list[int]
    holdout: list[int]


class Duplicates(Document):
    """Rows that are equal to others.

    `rows`: rows with the features and the target of an earlier row. `ambiguous`: rows whose features other rows have
    with another target. `across`: held-out rows with the features of a row that is learnt from."""

    rows: int
    ambiguous: int
    across: int


class Leak(Document):
    """A feature that predicts the target alone, and how well."""

    feature: str
    statistic: Statistic
    score: float


class Origin(Document):
    """A file that rows come from."""

    source: str
    digest: Digest
    format: Literal["csv", "parquet"]


class DvcReference(Document):
    """A path as a file of DVC names it, and where that file is in the container."""

    file: str = Field(min_length=1)
    path: str = Field(min_length=1)


class DvcOutput(Document):
    """What DVC tracks the data as: the path, and the md5 of the file, or of the list of a folder (`.dir`)."""

    path: str
    md5: str


class SourceFacts(Origin):
    """Where the rows come from and how they were split (source.schema.json). A trainer does not see it.

    `holdout`: where those held out come from, if they are from another file."""

    rows: Rows
    stratified: bool
    notes: list[str]
    class_counts: ClassCounts | None = None
    duplicates: Duplicates
    leaks: list[Leak]
    group: str | None = None
    holdout: Origin | None = None
    dvc: DvcOutput | None = None


SOURCE, HOLDOUT_SOURCE = "MODELWRIGHT_SOURCE", "MODELWRIGHT_HOLDOUT_SOURCE"
DVC = "MODELWRIGHT_DVC"
VERIFY = "MODELWRIGHT_VERIFY"

AnyDocument = TypeVar("AnyDocument", bound=Document)


def parse(
    kind: type[AnyDocument], text: str | bytes, where: str, reason: str = "DocumentInvalid"
) -> AnyDocument:
    """Read a document, or say which of its fields are wrong."""
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc']) or 'document'}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_input=False)[:5]
        )
        raise InputError(reason, f"{where} is not valid: {wrong}.") from error


def from_environment(kind: type[AnyDocument], environ: Mapping[str, str], variable: str) -> AnyDocument:
    """Read the document that an environment variable holds."""
    if variable not in environ:
        raise InputError("DocumentInvalid", f"The environment variable {variable} is not set.")
    return parse(kind, environ[variable], variable)


def to_json(document: Document) -> bytes:
    """A document as a file holds it."""
    return document.model_dump_json(by_alias=True, exclude_none=True, indent=2).encode()


def load_run(path: Path) -> RunDocument:
    """Read what the run is to do."""
    if not path.is_file():
        raise InputError("DocumentInvalid", f"{path} is not there: it has to hold the run document.")
    with storage(f"Reading {path}"):
        text = path.read_bytes()
    return parse(RunDocument, text, str(path))


def with_sources(document: RunDocument, environ: Mapping[str, str]) -> RunDocument:
    """The document with where the data is, which only fetch may know: what its environment says."""
    holdout = document.data.holdout.model_copy(update={"uri": environ.get(HOLDOUT_SOURCE)})
    data = document.data.model_copy(update={"uri": source_uri(environ), "holdout": holdout})
    return document.model_copy(update={"data": data})


def source_uri(environ: Mapping[str, str]) -> str:
    """Where the data is."""
    if not environ.get(SOURCE):
        raise InputError("DocumentInvalid", f"The environment variable {SOURCE} is not set.")
    return environ[SOURCE]


def dvc_reference(environ: Mapping[str, str]) -> DvcReference | None:
    """What of the source DVC tracks, if it does."""
    return from_environment(DvcReference, environ, DVC) if DVC in environ else None


def load_dataset(path: Path) -> Dataset:
    """Read what fetch has written about the rows to learn from."""
    return _load(Dataset, path)


def load_source_facts(path: Path) -> SourceFacts:
    """Read what fetch has written about the source and the split."""
    return _load(SourceFacts, path)


def _load(kind: type[AnyDocument], path: Path) -> AnyDocument:
    if not path.is_file():
        raise InputError("DataNotFound", f"{path} is not there: the fetch step has to run before this one.")
    with storage(f"Reading {path}"):
        text = path.read_bytes()
    return parse(kind, text, str(path), "DataUnreadable")
