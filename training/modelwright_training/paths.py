"""Where a step finds its files; the only place that knows the pod's folders."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# The signature beside a model file.
SIGNATURE = "model.sig"


@dataclass(frozen=True)
class Paths:
    """The folders of a training pod, and the file that says what the run is to do.

    `root`: what all of them are below. `scratch`: for what a step needs only while it runs."""

    root: Path
    scratch: Path
    run: Path
    source: Path
    source_holdout: Path
    dvc: Path
    train: Path
    holdout: Path
    model: Path
    artifacts: Path
    champion: Path
    signing: Path
    termination_log: Path

    @classmethod
    def under(cls, root: Path) -> "Paths":
        """Lay the pod's folders out below `root`."""
        return cls(
            root=root,
            scratch=root / "tmp",
            run=root / "etc" / "modelwright" / "run" / "run.json",
            source=root / "source",
            source_holdout=root / "source-holdout",
            dvc=root / "dvc",
            train=root / "data" / "train",
            holdout=root / "data" / "holdout",
            model=root / "model",
            artifacts=root / "artifacts",
            champion=root / "champion",
            signing=root / "etc" / "modelwright" / "signing",
            termination_log=root / "dev" / "termination-log",
        )

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "Paths":
        """The pod's own folders, or those below MODELWRIGHT_ROOT where a step runs outside a pod."""
        return cls.under(Path(environ.get("MODELWRIGHT_ROOT", "/")))

    @property
    def train_rows(self) -> Path:
        """The rows to learn from."""
        return self.train / "train.parquet"

    @property
    def dataset(self) -> Path:
        """What lies in the rows."""
        return self.train / "schema.json"

    @property
    def holdout_rows(self) -> Path:
        """The rows to score on."""
        return self.holdout / "holdout.parquet"

    @property
    def scored_dataset(self) -> Path:
        """What lies in rows that all are scored on, none learnt from."""
        return self.holdout / "schema.json"

    @property
    def source_facts(self) -> Path:
        """Where the rows come from and how they were split, which the trainer does not see."""
        return self.holdout / "source.json"

    @property
    def model_file(self) -> Path:
        """The trained model."""
        return self.model / "model.onnx"

    @property
    def reference(self) -> Path:
        """What the trainer's own library predicts."""
        return self.model / "reference.npz"

    @property
    def key(self) -> Path:
        """The key to sign with in publish; in verify the one that a signature has to belong to."""
        return self.signing / "key.pem"

    @property
    def training(self) -> Path:
        """How the model came about."""
        return self.model / "training.json"

    @property
    def reported(self) -> Path:
        """Numbers that the trainer reports itself."""
        return self.model / "metrics.json"
