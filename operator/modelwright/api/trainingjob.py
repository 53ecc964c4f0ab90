"""TrainingJob: a recipe that runs. Every run ends in a ModelVersion, or in a failure that says why."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from modelwright.api.base import (
    DATA_OR_REMOTE_URI,
    DATA_URI,
    DNS_LABEL,
    STORE_URI,
    CategoryValue,
    Code,
    ColumnName,
    ConfigMapKey,
    Digest,
    FreeForm,
    Label,
    Message,
    Model,
    Name,
    Quantity,
    Reason,
    RequestedResources,
    Status,
    Task,
    Timestamp,
    name_rule,
    rule,
    rules,
)
from modelwright.api.gates import ApprovalPolicy, ChampionRef, DefaultGates, Gates, OnInconclusive, User
from modelwright.api.podtemplate import PodTemplate
from modelwright.api.signatures import Signing
from modelwright.api.stores import Artifact, SecretReference, Store, store_rules
from modelwright.api.triggers import Brakes, Cause, Marker, Triggers, TriggerStatus

ESTIMATOR = r"^((lightgbm|xgboost)\.[A-Z][A-Za-z0-9]*|sklearn(\.[a-z][a-z0-9_]*)+\.[A-Z][A-Za-z0-9]*)$"
# The ModelVersion of a run is named NAME-RUN, of at most 56 characters: room for 99,999 runs.
NAME_LENGTH = 50
# A key of a Secret or a ConfigMap, and a path in a volume, which leads nowhere else.
KEY = r"^[-._a-zA-Z0-9]+$"
FILE_PATH = r"^\.{0,2}[^./:\s][^/:\s]*(/\.{0,2}[^./:\s][^/:\s]*)*$"
# Folders that the steps of a run, or the system, have in the container of a trainer.
RESERVED = "^/((data|model|tmp|etc/modelwright|proc|sys)(/.*)?|etc/?|dev/?|dev/termination-log(/.*)?)$"


class ColumnRule(Model):
    """What the values of one column must be."""

    model_config = rules(
        rule("!has(self.min) || !has(self.max) || self.min <= self.max", "min must not be above max"),
        rule(
            "!has(self.type) || self.type in ['number', 'integer'] || (!has(self.min) && !has(self.max))",
            "min and max are for columns of type number or integer",
        ),
    )

    type: Literal["number", "integer", "string", "boolean", "date", "text"] | None = Field(
        default=None,
        description="Type of the values. string makes the column categorical. date: parts of the calendar and the time "
        "elapsed are learnt from. text: words are learnt from. Default: what the values look like.",
    )
    min: float | None = Field(default=None, description="Smallest value allowed.")
    max: float | None = Field(default=None, description="Largest value allowed.")
    nullable: bool = Field(default=True, description="Whether values may be missing.")
    values: Annotated[list[CategoryValue], Field(min_length=1, max_length=256)] | None = Field(
        default=None, description="The only values allowed. A column with values is categorical."
    )


class After(Model):
    """A point of a column from which on rows are held out."""

    column: ColumnName = Field(description="A column of dates or numbers.")
    value: Annotated[str, Field(min_length=1, max_length=64)] = Field(
        description="Rows whose value is this or later are held out: 2026-06-01, 1767225600."
    )


class Holdout(Model):
    """The rows that the trainer never sees and the model is scored on."""

    model_config = rules(
        rule(
            "[has(self.after), has(self.group), has(self.uri)].filter(set, set).size() <= 1",
            "set at most one of after, group and uri",
        ),
        rule(
            "!has(self.split) || self.split == 'Random' || !has(self.after) && !has(self.uri)",
            "split Stable goes with fraction or group; remove after and uri",
        ),
        rule("!has(self.key) || has(self.split) && self.split == 'Stable'", "key is for split Stable"),
        rule("!has(self.key) || !has(self.group)", "set at most one of key and group"),
    )

    fraction: Annotated[float, Field(ge=0.01, le=0.9)] = Field(
        default=0.2, description="Share of the rows that is held out. Not used with after and uri."
    )
    seed: Annotated[int, Field(ge=0, le=4294967295)] = Field(default=0, description="Seed of the split.")
    stratify: bool = Field(
        default=True,
        description="Keep the shares of the classes in both parts (classification, a random split without group).",
    )
    split: Literal["Random", "Stable"] | None = Field(
        default=None,
        description="Random (default): by a random choice. Stable: by a hash of the row, so that a row stays on its "
        "side when data is added.",
    )
    key: ColumnName | None = Field(
        default=None, description="With split Stable: the column whose value is hashed, instead of the row."
    )
    after: After | None = Field(default=None, description="Hold out what is later in time.")
    group: ColumnName | None = Field(
        default=None,
        description="Rows with the same value in this column are on one side: all rows of one customer.",
    )
    uri: Annotated[str, Field(pattern=DATA_URI, max_length=1024)] | None = Field(
        default=None,
        description="A hold-out of your own, with the same columns. All rows of data.uri are learnt from.",
    )
    extra_columns: Annotated[list[ColumnName], Field(min_length=1, max_length=32)] | None = Field(
        default=None,
        description="Columns that gates need, and that are not learnt from: gender, region. The trainer never sees "
        "them.",
    )


class Sample(Model):
    """A random choice of the rows of a table that is too large."""

    rows: Annotated[int, Field(ge=10, le=1000000000)] = Field(description="How many rows are taken.")
    seed: Annotated[int, Field(ge=0, le=4294967295)] = Field(default=0, description="Seed of the choice.")


class LeakCheck(Model):
    """What becomes of a feature that predicts the target alone."""

    threshold: Annotated[float, Field(ge=0.5, le=1)] = Field(
        default=0.99,
        description="Score of a feature alone from which on it is suspected: ROC AUC for two classes, else balanced "
        "accuracy, R2 for regression.",
    )
    on_leak: Literal["Warn", "Refuse"] = Field(
        default="Warn",
        description="Warn: a note in the Ready message and the report. Refuse: the run fails, LeakSuspected.",
    )


class EnvVar(Model):
    """An environment variable with a literal value."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=128)] = Field(
        description="Name."
    )
    value: Annotated[str, Field(max_length=4096)] = Field(default="", description="Value.")


class SecretKey(Model):
    """One key of a Secret in the same namespace. The operator does not read it."""

    name: Name = Field(description="Name of the Secret.")
    key: Annotated[str, Field(pattern=KEY, min_length=1, max_length=253)] = Field(
        description="Key in the Secret."
    )
    optional: bool | None = Field(
        default=None, description="True: without the Secret or the key, the variable is not set."
    )


class OptionalConfigMapKey(ConfigMapKey):
    """One key of a ConfigMap in the same namespace."""

    optional: bool | None = Field(
        default=None, description="True: without the ConfigMap or the key, the variable is not set."
    )


class ValueFrom(Model):
    """Where the value of a variable comes from. The kubelet reads it; the operator does not."""

    model_config = rules(
        rule(
            "has(self.secretKeyRef) != has(self.configMapKeyRef)",
            "set exactly one of secretKeyRef and configMapKeyRef",
        )
    )

    secret_key_ref: SecretKey | None = Field(default=None, description="A key of a Secret.")
    config_map_key_ref: OptionalConfigMapKey | None = Field(default=None, description="A key of a ConfigMap.")


class TrainerEnvVar(EnvVar):
    """An environment variable with a literal value, or with one from a Secret or a ConfigMap."""

    model_config = rules(
        rule(
            "!has(self.valueFrom) || !has(self.value) || self.value == ''",
            "set at most one of value and valueFrom",
        )
    )

    value_from: ValueFrom | None = Field(default=None, description="Where the value comes from instead.")


class EnvReference(Model):
    """A Secret or ConfigMap in the same namespace whose keys are variables."""

    name: Name = Field(description="Its name.")
    optional: bool | None = Field(default=None, description="True: it need not be there.")


class EnvFrom(Model):
    """All keys of a Secret or a ConfigMap as environment variables."""

    model_config = rules(
        rule("has(self.secretRef) != has(self.configMapRef)", "set exactly one of secretRef and configMapRef")
    )

    prefix: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=64)] | None = Field(
        default=None, description="What their names begin with."
    )
    secret_ref: EnvReference | None = Field(default=None, description="The Secret.")
    config_map_ref: EnvReference | None = Field(default=None, description="The ConfigMap.")


class KeyToPath(Model):
    """A key as a file."""

    key: Annotated[str, Field(pattern=KEY, min_length=1, max_length=253)] = Field(description="The key.")
    path: Annotated[str, Field(pattern=FILE_PATH, min_length=1, max_length=512)] = Field(
        description="Path of the file in the volume."
    )


Items = Annotated[list[KeyToPath], Field(min_length=1, max_length=64)]


class SecretVolume(Model):
    """A Secret as files."""

    secret_name: Name = Field(description="Name of the Secret.")
    items: Items | None = Field(default=None, description="Which keys. Default: all.")
    optional: bool | None = Field(default=None, description="True: it need not be there.")


class ConfigMapVolume(Model):
    """A ConfigMap as files."""

    name: Name = Field(description="Name of the ConfigMap.")
    items: Items | None = Field(default=None, description="Which keys. Default: all.")
    optional: bool | None = Field(default=None, description="True: it need not be there.")


class ClaimVolume(Model):
    """A PersistentVolumeClaim."""

    claim_name: Name = Field(description="Name of the claim.")
    read_only: bool | None = Field(default=None, description="True: it cannot be written to.")


class EmptyDirVolume(Model):
    """A folder that lives as long as the pod."""

    medium: Literal["Memory"] | None = Field(
        default=None,
        description="Memory: in memory, such as for /dev/shm. It counts as memory of the container.",
    )
    size_limit: Quantity | None = Field(default=None, description="How large it may become.")


class TrainerVolume(Model):
    """A volume for the trainer's own image."""

    model_config = rules(
        rule(
            "[has(self.secret), has(self.configMap), has(self.persistentVolumeClaim), has(self.emptyDir)]"
            ".filter(set, set).size() == 1",
            "set exactly one of secret, configMap, persistentVolumeClaim and emptyDir",
        )
    )

    name: Annotated[str, Field(pattern=DNS_LABEL, min_length=1, max_length=50)] = Field(description="Name.")
    secret: SecretVolume | None = Field(default=None, description="A Secret as files.")
    config_map: ConfigMapVolume | None = Field(default=None, description="A ConfigMap as files.")
    persistent_volume_claim: ClaimVolume | None = Field(default=None, description="A claim.")
    empty_dir: EmptyDirVolume | None = Field(default=None, description="An empty folder.")


class TrainerMount(Model):
    """Where a volume is in the trainer's own image."""

    model_config = rules(
        rule(
            f"!self.mountPath.matches('{RESERVED}')",
            "mountPath: /data, /model, /tmp, /etc/modelwright and what holds them belong to the steps, and /dev, /proc "
            "and /sys to the system: choose another folder, such as /secrets or /cache",
        ),
        rule("!self.mountPath.matches('/[.]{1,2}(/|$)')", "mountPath: name the folder without . and .."),
    )

    name: Annotated[str, Field(pattern=DNS_LABEL, min_length=1, max_length=50)] = Field(
        description="Name of the volume."
    )
    mount_path: Annotated[str, Field(pattern=r"^(/[^/:\s]+)+/?$", max_length=512)] = Field(
        description="Folder in the container."
    )
    sub_path: Annotated[str, Field(pattern=FILE_PATH, min_length=1, max_length=512)] | None = Field(
        default=None, description="Only this folder or file of the volume."
    )
    read_only: bool | None = Field(default=None, description="True: it cannot be written to.")


Image = Annotated[str, Field(pattern=r"^\S+$", min_length=1, max_length=512)]
Command = Annotated[list[Annotated[str, Field(max_length=4096)]], Field(max_length=32)]
Arguments = Annotated[list[Annotated[str, Field(max_length=16384)]], Field(max_length=64)]
Environment = Annotated[
    list[EnvVar],
    Field(
        max_length=64,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    ),
]

TrainerEnvironment = Annotated[
    list[TrainerEnvVar],
    Field(
        max_length=64,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    ),
]
TrainerVolumes = Annotated[
    list[TrainerVolume],
    Field(
        min_length=1,
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    ),
]
TrainerMounts = Annotated[
    list[TrainerMount],
    Field(
        min_length=1,
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["mountPath"]},
    ),
]


class Dvc(Model):
    """A file that DVC tracks: the digest is in a file of the repository, the bytes are in a remote."""

    config_map_ref: ConfigMapKey = Field(
        description="A copy of the repository's dvc.lock, or of a .dvc file."
    )
    path: Annotated[str, Field(min_length=1, max_length=1024)] = Field(
        description="Path of the data, as that file names it: data/churn.parquet."
    )


class SourceContainer(Model):
    """A container that writes the data to /out: Parquet or CSV, one file or more with one schema.

    It is the door for warehouses and feature stores. No other container of the run has its Secret."""

    image: Image = Field(
        description="Image. It runs as the user of the pod (65532 by default) and writes to /out."
    )
    command: Command | None = Field(default=None, description="Entry point of the image.")
    args: Arguments | None = Field(default=None, description="Arguments of the entry point.")
    env: Environment | None = Field(default=None, description="Environment of the image.")
    secret_ref: SecretReference | None = Field(
        default=None, description="Secret whose keys are files in /credentials, in this container alone."
    )


class Data(Model):
    """Where the data comes from and what it must look like."""

    model_config = rules(
        rule(
            "!has(self.features) || !(self.target in self.features)", "features must not contain the target"
        ),
        rule(
            "[has(self.uri), has(self.configMapRef), has(self.source)].filter(set, set).size() == 1",
            "set exactly one of uri, configMapRef and source",
        ),
        rule("!has(self.exclude) || !(self.target in self.exclude)", "exclude must not contain the target"),
        rule("!has(self.exclude) || !has(self.features)", "set at most one of features and exclude"),
        rule(
            "!has(self.caConfigMapRef) || has(self.uri) && self.uri.startsWith('https://')",
            "caConfigMapRef is for https:// sources; remove it",
        ),
        rule("!has(self.dvc) || has(self.uri)", "dvc needs uri, the remote that the file lies in"),
        rule(
            "has(self.dvc) || !has(self.uri) || !self.uri.matches('^(s3|gs|az|pvc)://[^/]*$')",
            "uri is a whole bucket or claim, which only a remote of dvc may be: name the file in it",
        ),
        rule(
            "!has(self.store) || !has(self.store.caConfigMapRef) || !has(self.caConfigMapRef)",
            "set at most one of caConfigMapRef and store.caConfigMapRef",
        ),
        *store_rules("store", "uri"),
    )

    uri: Annotated[str, Field(pattern=DATA_OR_REMOTE_URI, max_length=1024)] | None = Field(
        default=None,
        description="Source of the data: s3://BUCKET/PATH, gs://BUCKET/PATH, az://CONTAINER/PATH, https://..., "
        "oci://HOST/REPOSITORY:TAG, pvc://CLAIM/PATH, configmap://NAME/KEY, or sklearn://NAME for a data set that "
        "scikit-learn ships (breast_cancer, diabetes, digits, iris, wine). CSV or Parquet, plain or compressed. On a "
        "claim and in a bucket, also a folder or a pattern (s3://lake/2026-*.parquet) of files with one schema.",
    )
    store: Store | None = Field(
        default=None,
        description="How the store is reached. Default: as the operator's stores say for the uri. A change starts no "
        "run, unless the last one failed.",
    )
    dvc: Dvc | None = Field(
        default=None,
        description="The file is one that DVC tracks; uri is the remote that it was pushed to: also s3://BUCKET.",
    )
    source: SourceContainer | None = Field(
        default=None,
        description="A container that makes the data, in the place of a download (docs/stores.md).",
    )
    config_map_ref: ConfigMapKey | None = Field(
        default=None,
        description="The same as uri configmap://NAME/KEY, for tools that rename ConfigMaps (docs/gitops.md).",
    )
    digest: Digest | None = Field(
        default=None, description="sha256 of the source; with it, other bytes are refused."
    )
    target: ColumnName = Field(description="Column to predict.")
    features: Annotated[list[ColumnName], Field(min_length=1, max_length=1024)] | None = Field(
        default=None, description="Columns to learn from, in this order. Default: all but the target."
    )
    exclude: Annotated[list[ColumnName], Field(min_length=1, max_length=1024)] | None = Field(
        default=None, description="Columns that are not learnt from."
    )
    weight: ColumnName | None = Field(
        default=None, description="Column with the weight of each row in training. It is not learnt from."
    )
    positive_class: CategoryValue | None = Field(
        default=None,
        description="Of two classes, the one that precision, recall, f1 and the like are about. Default: 1, true or "
        "yes where the other is 0, false or no; else the rarer one.",
    )
    sample: Sample | None = Field(default=None, description="Take a random choice of the rows.")
    leak_check: LeakCheck | None = Field(
        default=None,
        description="What becomes of a feature that predicts the target alone. Default: threshold 0.99, Warn.",
    )
    columns: Annotated[dict[str, ColumnRule], Field(max_length=1024)] | None = Field(
        default=None,
        alias="schema",
        description="Rules for columns, by name. Rows that break one fail the run.",
    )
    holdout: Holdout = Field(default=Holdout(), description="How the hold-out is split off.")
    ca_config_map_ref: ConfigMapKey | None = Field(
        default=None,
        description="Certificates (PEM) to trust for an https:// source, instead of the system's.",
    )


class EarlyStopping(Model):
    """When boosting ends before its last round."""

    rounds: Annotated[int, Field(ge=1, le=10000)] = Field(
        description="Rounds without a better score after which it ends."
    )
    fraction: Annotated[float, Field(ge=0.01, le=0.5)] = Field(
        default=0.1, description="Share of the rows to learn from that is scored after each round."
    )


class SklearnTrainer(Model):
    """An estimator of scikit-learn, LightGBM or XGBoost, with preprocessing made from the types of the columns."""

    estimator: Annotated[str, Field(pattern=ESTIMATOR, max_length=256)] = Field(
        description="Class to train, with its module: sklearn.ensemble.HistGradientBoostingClassifier, "
        "lightgbm.LGBMClassifier, xgboost.XGBRegressor."
    )
    parameters: Annotated[FreeForm, Field(max_length=64)] | None = Field(
        default=None,
        description="Parameters of the estimator, by their names in its library. Where one is an estimator: "
        "{estimator: ..., parameters: ...}.",
    )
    early_stopping: EarlyStopping | None = Field(
        default=None, description="For LightGBM and XGBoost: end when more rounds do not help."
    )


class PreprocessRule(Model):
    """What happens to some columns before the estimator sees them."""

    model_config = rules(rule("has(self.columns) != has(self.kind)", "set exactly one of columns and kind"))

    columns: Annotated[list[ColumnName], Field(min_length=1, max_length=1024)] | None = Field(
        default=None, description="Names of the columns."
    )
    kind: Literal["numeric", "categorical", "date", "text"] | None = Field(
        default=None, description="All columns of a kind that no rule names."
    )
    drop: bool | None = Field(default=None, description="Leave the columns out.")
    impute: Literal["None", "Mean", "Median", "MostFrequent"] | None = Field(
        default=None, description="What takes the place of a missing number."
    )
    scale: Literal["None", "Standard", "MinMax", "Robust"] | None = Field(
        default=None, description="How numbers are scaled."
    )
    encode: Literal["OneHot", "Ordinal"] | None = Field(
        default=None, description="How categories become numbers."
    )


class Trainer(Model):
    """What trains the model: a scikit-learn estimator, or a container of the user's own."""

    model_config = rules(
        rule("has(self.sklearn) != has(self.image)", "set exactly one of sklearn and image"),
        rule(
            "has(self.image) || (!has(self.command) && !has(self.args) && !has(self.env))",
            "command, args and env go with image",
        ),
        rule(
            "has(self.image) || (!has(self.envFrom) && !has(self.volumes) && !has(self.volumeMounts))",
            "envFrom, volumes and volumeMounts go with image",
        ),
        rule(
            "!has(self.volumeMounts) || has(self.volumes) && self.volumeMounts.all(mount, "
            "self.volumes.exists(volume, volume.name == mount.name))",
            "volumeMounts names a volume that is not in volumes: add it there, or correct the name",
        ),
        rule("has(self.sklearn) || !has(self.preprocess)", "preprocess goes with sklearn"),
    )

    sklearn: SklearnTrainer | None = Field(default=None, description="The built-in trainer.")
    preprocess: Annotated[list[PreprocessRule], Field(min_length=1, max_length=64)] | None = Field(
        default=None,
        description="What happens to columns before the estimator sees them. The first rule that names a column is its "
        "rule. Default: docs/trainers.md has the table.",
    )
    code: Code | None = Field(
        default=None,
        description="Source code of the image. It is recorded in the lineage of the ModelVersion.",
    )
    image: Image | None = Field(
        default=None,
        description="The user's own image. It runs as the user of the pod (docs/pods.md; 65532 by default), reads "
        "/data/train, writes /model/model.onnx.",
    )
    command: Command | None = Field(default=None, description="Entry point of the image.")
    args: Arguments | None = Field(default=None, description="Arguments of the entry point.")
    env: TrainerEnvironment | None = Field(default=None, description="Environment of the image.")
    env_from: Annotated[list[EnvFrom], Field(min_length=1, max_length=16)] | None = Field(
        default=None, description="Secrets and ConfigMaps whose keys are variables of the image."
    )
    volumes: TrainerVolumes | None = Field(default=None, description="Volumes for the image alone.")
    volume_mounts: TrainerMounts | None = Field(default=None, description="Where they are in the image.")


class Artifacts(Model):
    """Where models are stored, and what becomes of them."""

    model_config = rules(
        rule(
            "!has(self.deletionPolicy) || self.deletionPolicy != 'Delete' || !has(self.uri) || "
            "!self.uri.startsWith('oci://')",
            "a registry deletes by its own rules: deletionPolicy Delete is not for oci://",
        ),
        *store_rules("store", "uri"),
    )

    uri: Annotated[str, Field(pattern=STORE_URI, max_length=768)] | None = Field(
        default=None,
        description="A folder: pvc://CLAIM/PREFIX on a PersistentVolumeClaim of the namespace, s3://BUCKET/PREFIX, "
        "gs://BUCKET/PREFIX or az://CONTAINER/PREFIX; or a repository, oci://HOST/REPOSITORY. The model goes to "
        "PREFIX/sha256-DIGEST/model.onnx, or to REPOSITORY:model-DIGEST. Default: the operator's artifact store, or "
        "else a claim modelwright-artifacts that it makes in the namespace and never deletes.",
    )
    store: Store | None = Field(
        default=None,
        description="How the store is reached. ModelVersions get a copy. Default: as the operator's stores say. A "
        "change starts no run, unless the last one failed.",
    )
    deletion_policy: Literal["Retain", "Delete"] = Field(
        default="Retain",
        description="What becomes of the file of a ModelVersion that versionsHistoryLimit deletes. Retain: it stays. "
        "Delete: it is deleted once no ModelVersion and no InferenceService needs it. A change starts no run.",
    )


class TrainingJobSpec(Model):
    """The recipe, when it is run, and how long its results are kept. A change of the recipe starts a run."""

    model_config = rules(
        rule(
            "!has(self.triggers) || !has(self.triggers.onDataChange) || !has(self.data.source)",
            "onDataChange cannot look into a container: remove it, or data.source",
        ),
        rule(
            "!has(self.triggers) || !has(self.triggers.onDataChange) || !has(self.data.digest)",
            "data.digest admits no other data: remove it, or onDataChange",
        ),
    )

    model: Label | None = Field(
        default=None, description="Family that the versions belong to. Default: the name of the TrainingJob."
    )
    task: Task | None = Field(
        default=None,
        description="What is learnt. Default: what the estimator does, or what the target looks like.",
    )
    data: Data = Field(description="The data.")
    trainer: Trainer = Field(description="What trains the model.")
    seed: Annotated[int, Field(ge=0, le=4294967295)] = Field(
        default=0, description="Seed of the training (random_state of the estimator)."
    )
    artifacts: Artifacts | None = Field(
        default=None, description="Where models are stored, and what becomes of them."
    )
    versions_history_limit: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=20,
        description="How many ModelVersions of this TrainingJob are kept, the newest ones that are Ready, and as many "
        "of those that are held back. Others are deleted, but none that is in use, has an alias or an approval, or is "
        "Quarantined. A change starts no run.",
    )
    gates: Gates | None = Field(
        default=None, description="What a model has to hold before it may be served (docs/gates.md)."
    )
    default_gates: DefaultGates | None = Field(
        default=None,
        description="Enabled (default): a model that is not clearly better than the baseline, or clearly worse than "
        "the Champion, is not Ready either. Disabled: only the gates above count.",
    )
    on_inconclusive: OnInconclusive | None = Field(
        default=None,
        description="What becomes of a model of which a gate cannot be decided. Hold (default): it waits for a person. "
        "Reject: as if it had failed. Allow: as if it had passed. A change starts no run.",
    )
    approval: ApprovalPolicy | None = Field(
        default=None,
        description="Who has to agree before a version is Ready. A change starts no run, and counts from the next on.",
    )
    author: User | None = Field(
        default=None,
        description="Who wrote the recipe. Where the chart's approvals.author is true, the API server refuses another "
        "name than that of who changes the spec. A change starts no run.",
    )
    signing: Signing | None = Field(
        default=None, description="Sign the model when it is published. A change starts no run."
    )
    triggers: Triggers | None = Field(
        default=None,
        description="What starts a run, besides a change of the recipe (docs/retraining.md). A change starts no run.",
    )
    brakes: Brakes | None = Field(
        default=None, description="What holds triggers back. A change starts no run."
    )
    suspend: bool | None = Field(
        default=None,
        description="True: triggers start no run; a change of the recipe and `modelwright run` still do. A run that is "
        "under way goes on. Default: false. A change starts no run.",
    )
    resources: RequestedResources | None = Field(
        default=None,
        description="Compute resources of each step. Devices, such as nvidia.com/gpu, are for the step train alone. "
        "Default: the operator's.",
    )
    pod_template: PodTemplate | None = Field(
        default=None,
        description="Labels, placing and identity of the pods, over the administrator's defaults (docs/pods.md). A "
        "change starts no run.",
    )
    backoff_limit: Annotated[int, Field(ge=0, le=10)] = Field(
        default=2, description="How often a run is tried again after a failure that may pass."
    )
    active_deadline_seconds: Annotated[int, Field(ge=1, le=604800)] = Field(
        default=3600, description="How long a run may take in all, in seconds."
    )


class DataReport(Model):
    """What the data of a run was."""

    digest: Digest | None = Field(default=None, description="sha256 of the source's bytes.")
    input_digest: Digest | None = Field(
        default=None, description="Digest of all that was read, with a hold-out of its own."
    )
    marker: Marker | None = Field(
        default=None, description="What shows without reading the source whether it has changed."
    )
    train_rows: int | None = Field(default=None, description="Rows trained on.")
    holdout_rows: int | None = Field(default=None, description="Rows held out.")
    notes: Annotated[list[Annotated[str, Field(max_length=1024)]], Field(max_length=64)] | None = Field(
        default=None, description="What was noted about the data."
    )


class Run(Model):
    """One run of the recipe."""

    number: Annotated[int, Field(ge=1)] = Field(description="Number of the run, counted up from 1.")
    generation: int = Field(ge=0, description="Newest generation of the spec with its recipe.")
    recipe_hash: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="Digest of the recipe: what of the spec makes another model."
    )
    cause: Cause | None = Field(default=None, description="Why it was started.")
    state: Literal["Pending", "Running", "Succeeded", "Failed", "Superseded", "Skipped"] = Field(
        description="Pending (has no Job yet, waits to get another one, or its Job waits in a queue: reason Queued), "
        "Running, then one of Succeeded, Failed, Superseded, Skipped (there was nothing to train) for good."
    )
    job: Label = Field(description="Name of the Job.")
    job_uid: Annotated[str, Field(max_length=64)] | None = Field(default=None, description="Uid of the Job.")
    step: Literal["source", "fetch", "train", "publish"] | None = Field(
        default=None, description="The step that it has got to; absent until one runs."
    )
    start_time: Timestamp | None = Field(
        default=None, description="When its first Job was made, or left the queue."
    )
    completion_time: Timestamp | None = Field(default=None, description="When it ended.")
    reason: Reason | None = Field(default=None, description="Why it failed, or why it waits, in one word.")
    message: Message | None = Field(default=None, description="The same in a sentence.")
    known_digest: Digest | None = Field(
        default=None,
        description="The inputDigest of the last successful run. With this data it ends before training, Skipped.",
    )
    data: DataReport | None = Field(default=None, description="The data that it saw.")
    model_version: Name | None = Field(default=None, description="The ModelVersion that it ended in.")
    digest: Digest | None = Field(default=None, description="Digest of the model.")
    champion: ChampionRef | None = Field(
        default=None,
        description="The version that the model was compared with: the Champion when the run began.",
    )
    terms_hash: Annotated[str, Field(max_length=64)] | None = Field(
        default=None,
        description="Digest of the gates and the approval that it has written into its ModelVersion. One with others "
        "is not Ready.",
    )
    report: FreeForm | None = Field(
        default=None, description="What the publisher measured: metrics, gates, parity, signature, libraries."
    )


class RetiringVersion(Model):
    """A ModelVersion beyond versionsHistoryLimit that is being deleted."""

    name: Name = Field(description="Its name.")
    since: Timestamp = Field(description="When that was decided. It is deleted a while later.")
    artifact: Artifact | None = Field(
        default=None, description="Its file, if that is to be deleted as well: deletionPolicy Delete."
    )


class TrainingJobStatus(Status):
    """What became of the recipe."""

    model: Label | None = Field(default=None, description="Family that the versions belong to.")
    run: Run | None = Field(default=None, description="The newest run.")
    latest_model_version: Name | None = Field(default=None, description="The newest ModelVersion made.")
    history: Annotated[list[Run], Field(max_length=10)] = Field(
        default=[],
        description="Earlier runs, newest first, 10 at most. Their ModelVersions may have been deleted since.",
    )
    triggers: TriggerStatus | None = Field(default=None, description="What became of the triggers.")
    retiring: Annotated[list[RetiringVersion], Field(max_length=10)] | None = Field(
        default=None,
        description="ModelVersions that are being deleted. InferenceServices that follow the family pass them over.",
    )


NAME_RULES = (name_rule(NAME_LENGTH, "the Jobs are named after it"),)
