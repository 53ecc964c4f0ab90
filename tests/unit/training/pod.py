"""A training pod in a folder: runs the real steps over real files and reads what they say at the end."""

import copy
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
from jsonschema import Draft202012Validator

from modelwright_training.main import run_step
from modelwright_training.message import unpacked
from modelwright_training.paths import Paths

COMMAND = str(Path(sys.executable).with_name("modelwright-training"))
CONTRACTS = Path(__file__).parents[3] / "docs" / "contracts"

Json = dict[str, Any]


@cache
def schema(name: str) -> Draft202012Validator:
    """The validator of one of the contract's documents."""
    return Draft202012Validator(json.loads((CONTRACTS / f"{name}.schema.json").read_text()))


def reasons(step: str) -> set[str]:
    """The closed list of what a step can fail with."""
    document = json.loads((CONTRACTS / "step.schema.json").read_text())
    return set(document["$defs"][f"{step}Reason"]["enum"])


def run_document(**changes: Any) -> Json:
    """A run document; `data`, `estimator` and `parameters` are shorthands."""
    estimator = changes.pop("estimator", "sklearn.linear_model.LogisticRegression")
    parameters = changes.pop("parameters", {})
    data = {"uri": "configmap://rows/rows.csv", "target": "y"} | changes.pop("data", {})
    return {
        "namespace": "default",
        "trainingJob": "churn",
        "run": 1,
        "model": "churn",
        "task": None,
        "data": data,
        "trainer": {"sklearn": {"estimator": estimator, "parameters": parameters}},
        "seed": 0,
        "artifacts": {"uri": "pvc://modelwright-artifacts/churn"},
    } | changes


@dataclass(frozen=True)
class Ending:
    """How a step ended: its exit code and its document, which fits its schema."""

    code: int
    document: Json

    @property
    def reason(self) -> str | None:
        error = self.document.get("error")
        return error["reason"] if error else None

    @property
    def message(self) -> str:
        return str(self.document["error"]["message"])

    @property
    def result(self) -> Json:
        assert "result" in self.document, self.document
        result: Json = self.document["result"]
        return result


@dataclass
class Pod:
    """A pod's folders, and the run document its steps get."""

    root: Path
    document: Json = field(default_factory=run_document)

    def __post_init__(self) -> None:
        self.paths = Paths.under(self.root)
        log = self.paths.termination_log.parent
        for folder in (
            self.paths.run.parent,
            self.paths.scratch,
            self.paths.source,
            self.paths.source_holdout,
            self.paths.train,
            self.paths.holdout,
            self.paths.model,
            log,
        ):
            folder.mkdir(parents=True, exist_ok=True)
        self.paths.artifacts.mkdir(exist_ok=True)

    def given(self, **changes: Any) -> "Pod":
        self.document = run_document(**changes)
        return self

    def given_csv(self, text: str, name: str = "rows.csv") -> "Pod":
        (self.paths.source / name).write_text(text)
        return self

    def given_rows(self, frame: pd.DataFrame, name: str = "rows.csv") -> "Pod":
        path = self.paths.source / name
        frame.to_parquet(path, index=False) if name.endswith(".parquet") else frame.to_csv(path, index=False)
        return self

    def given_model(self, model: onnx.ModelProto | bytes) -> "Pod":
        content = model if isinstance(model, bytes) else model.SerializeToString()
        self.paths.model_file.write_bytes(content)
        return self

    def given_reference(self, **arrays: Any) -> "Pod":
        np.savez(self.paths.reference, **arrays)
        return self

    def run(self, step: str, **environ: str) -> Ending:
        """Run a step in this process, with a run document that fits its schema."""
        schema("run").validate(self._split()[0])
        return self.run_unchecked(step, **environ)

    def run_unchecked(self, step: str, **environ: str) -> Ending:
        variables = {**self._given(), **environ}
        return self.ending(run_step(step, variables, self.paths))

    def _split(self) -> tuple[Json, dict[str, str]]:
        """The run document as the steps read it, and the sources of its data as fetch has them."""
        document = copy.deepcopy(self.document)
        uris = {
            "MODELWRIGHT_SOURCE": document["data"].pop("uri", None),
            "MODELWRIGHT_HOLDOUT_SOURCE": document["data"].get("holdout", {}).pop("uri", None),
        }
        return document, {name: uri for name, uri in uris.items() if uri is not None}

    def _given(self) -> dict[str, str]:
        """Leave the run document in its place; the environment of the steps."""
        document, sources = self._split()
        self.paths.run.write_text(json.dumps(document))
        return sources

    def run_command(self, step: str, **environ: str) -> Ending:
        """Run a step as the pod does: the console script, in a process of its own."""
        return self._command([COMMAND, step], environ)

    def _command(self, command: list[str], environ: Mapping[str, str]) -> Ending:
        finished = subprocess.run(command, env={**self.environment(), **environ}, check=False, timeout=300)
        return self.ending(finished.returncode)

    def environment(self) -> dict[str, str]:
        """What the pod sets for its steps."""
        return {**os.environ, **self._given(), "MODELWRIGHT_ROOT": str(self.root)}

    def run_bare(self, step: str) -> Ending:
        """Run a step without any document."""
        return self.ending(run_step(step, {}, self.paths))

    def run_unprivileged(self, step: str) -> Ending:
        """Run the console script without what lets root read every file."""
        drop = ["setpriv", "--bounding-set=-all"] if os.geteuid() == 0 else []
        return self._command([*drop, COMMAND, step], {})

    def verify(self, document: Mapping[str, Any], **environ: str) -> Ending:
        given = {"MODELWRIGHT_VERIFY": json.dumps(document), **environ}
        return self.ending(run_step("verify", given, self.paths))

    def evaluate(self, document: Mapping[str, Any], uri: str = "configmap://rows/rows.csv") -> Ending:
        """Fetch what a version is scored on, then verify it; the ending of fetch if that fails."""
        schema("verify").validate(document)
        given = {"MODELWRIGHT_VERIFY": json.dumps(document)}
        fetched = self.ending(run_step("fetch", {**given, "MODELWRIGHT_SOURCE": uri}, self.paths))
        return self.ending(run_step("verify", given, self.paths)) if fetched.code == 0 else fetched

    def given_key(self, path: Path) -> "Pod":
        """Mount a key where publish signs with it and verify checks signatures by it."""
        self.paths.signing.mkdir(parents=True, exist_ok=True)
        self.paths.key.write_bytes(path.read_bytes())
        return self

    def delete(self, document: Mapping[str, Any], **environ: str) -> Ending:
        given = {"MODELWRIGHT_DELETE": json.dumps(document), **environ}
        return self.ending(run_step("delete", given, self.paths))

    def through(self, *steps: str) -> Ending:
        """Run steps that have to succeed, then the last one, however it ends."""
        for step in steps[:-1]:
            ending = self.run(step)
            assert ending.code == 0, ending.document
        return self.run(steps[-1])

    def ending(self, code: int) -> Ending:
        """What a step has left, having ended with `code`."""
        content = self.paths.termination_log.read_bytes()
        assert len(content) <= 4096
        document = json.loads(content)
        schema("step").validate(document)
        document = unpacked(document)
        schema("step").validate(document)
        assert ("result" in document) == (code == 0)
        return Ending(code, document)

    @property
    def dataset(self) -> Json:
        return self._document("dataset", self.paths.dataset)

    @property
    def source_facts(self) -> Json:
        return self._document("source", self.paths.source_facts)

    @property
    def training(self) -> Json:
        return self._document("training", self.paths.training)

    def published(self, name: str) -> Json:
        (path,) = self.paths.artifacts.rglob(f"{name}.json")
        return self._document(name, path)

    @staticmethod
    def _document(name: str, path: Path) -> Json:
        document: Json = json.loads(path.read_text())
        schema(name).validate(document)
        return document


def churn(rows: int = 300, seed: int = 0) -> pd.DataFrame:
    """Customers with numbers and categories, some of them missing, and whether they left."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": random.integers(18, 90, rows).astype(float),
            "fee (EUR)": random.gamma(2.0, 20.0, rows).round(2),
            "plan": random.choice(["free", "pro", "größer"], rows),
            "region": random.choice(["eu", "us", ""], rows),
        }
    )
    score = frame["age"] / 30 - frame["fee (EUR)"] / 40 + (frame["plan"] == "pro")
    frame["y"] = np.where(score + random.normal(0, 0.3, rows) > 1, "stays", "leaves")
    frame.loc[::11, "age"] = np.nan
    frame.loc[::17, "fee (EUR)"] = np.nan
    return frame


def numbers(rows: int = 300, columns: int = 5, seed: int = 0) -> pd.DataFrame:
    """Columns of numbers and two classes."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(rows, columns))
    frame = pd.DataFrame(values, columns=[f"x{place}" for place in range(columns)])
    frame["y"] = (values.sum(axis=1) + random.normal(0, 0.5, rows) > 0).astype(int)
    return frame
