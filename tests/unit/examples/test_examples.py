"""What examples/ teaches is true: the manifests hold, the recipes train, the requests are answered."""

from __future__ import annotations

import io
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from support.examples import EXAMPLES, program
from support.stores.s3 import gateway

from modelwright.api.base import Model
from modelwright.api.gates import Gate
from modelwright.api.inferenceservice import InferenceServiceSpec
from modelwright.api.modelversion import ModelVersionSpec
from modelwright.api.rundocument import gates_of, run_document, source_variables
from modelwright.api.trainingjob import TrainingJobSpec
from modelwright.checks.gates import judge
from modelwright.cli.trial import FOLDERS
from modelwright.common.report import GateEvidence
from modelwright_serving import model as serving_model
from modelwright_serving.oip import request as oip_request
from modelwright_training.main import run_step
from modelwright_training.message import unpacked
from modelwright_training.paths import Paths

SPECS: dict[str, type[Model]] = {
    "TrainingJob": TrainingJobSpec,
    "ModelVersion": ModelVersionSpec,
    "InferenceService": InferenceServiceSpec,
}
Manifest = dict[str, Any]


def documents(path: Path) -> list[Manifest]:
    """The manifests of a file."""
    return list(yaml.safe_load_all(path.read_text()))


OURS = [
    pytest.param(manifest, id=f"{path.parent.name}/{path.name}")
    for path in sorted(EXAMPLES.glob("*/*.yaml"))
    for manifest in documents(path)
    if manifest["kind"] in SPECS
]


def pod(root: Path, folder: Path) -> tuple[Manifest, dict[str, str]]:
    """The folders of a training pod below `root`; the TrainingJob and the environment that its steps get."""
    for name in FOLDERS:
        (root / name).mkdir(parents=True, exist_ok=True)
    (job,) = documents(folder / "trainingjob.yaml")
    for manifest in (manifest for path in folder.glob("data.yaml") for manifest in documents(path)):
        for key, text in manifest["data"].items():
            (root / "source" / key).write_text(text)
    spec, name = job["spec"], job["metadata"]["name"]
    run = run_document(spec, namespace="x", name=name, run=1, artifacts="pvc://x")
    Paths.under(root).run.write_text(json.dumps(run))
    return job, source_variables(spec["data"])


def own_step(root: Path, folder: Path, job: Manifest) -> int:
    """Runs the program of an own image as a process, its folders moved below `root`."""
    spec = job["spec"]
    told = {
        "MODELWRIGHT_ROOT": str(root),
        "MODELWRIGHT_TARGET": spec["data"]["target"],
        "MODELWRIGHT_SEED": str(spec["seed"]),
        "MODELWRIGHT_TASK": spec["task"],
        **{variable["name"]: variable["value"] for variable in spec["trainer"]["env"]},
    }
    command = [sys.executable, str(folder / "train.py")]
    return subprocess.run(command, env={**os.environ, **told}, timeout=120, check=False).returncode


def train(root: Path, folder: Path) -> Manifest:
    """Runs an example's recipe to its end; what the publisher says."""
    job, environ = pod(root, folder)
    paths = Paths.under(root)
    for step in ("fetch", "train", "publish"):
        own = step == "train" and "image" in job["spec"]["trainer"]
        code = own_step(root, folder, job) if own else run_step(step, environ, paths)
        assert code == 0, paths.termination_log.read_text()
    result: Manifest = unpacked(json.loads(paths.termination_log.read_text()))["result"]
    return result


@pytest.mark.parametrize("manifest", OURS)
def test_a_manifest_writes_out_every_default(manifest: Manifest) -> None:
    spec = SPECS[manifest["kind"]].model_validate(manifest["spec"])
    assert spec.model_dump(mode="json", by_alias=True, exclude_none=True) == manifest["spec"]


@pytest.mark.parametrize(
    ("name", "metric", "least"),
    [
        ("quickstart", "roc_auc", 0.97),
        ("regression", "r2", 0.35),
        ("churn", "roc_auc", 0.8),
        ("churn-dates", "roc_auc", 0.75),
        ("lightgbm", "accuracy", 0.9),
        ("own-trainer", "f1", 0.9),
    ],
)
def test_a_recipe_makes_a_model_that_is_worth_serving(
    tmp_path: Path, name: str, metric: str, least: float
) -> None:
    result = train(tmp_path, EXAMPLES / name)
    measured = {each["name"]: each["value"] for each in result["metrics"]}
    assert measured[metric] >= least
    assert result["parity"]["verdict"] == "Pass"


@pytest.mark.parametrize(
    ("name", "request_name", "answer"),
    [
        ("quickstart", "breast-cancer", [0, 1]),
        ("regression", "diabetes", None),
        ("churn", "churn", ["no", "yes"]),
        ("churn-dates", "churn-dates", ["no", "yes"]),
        ("lightgbm", "wine", [0, 2]),
    ],
)
def test_the_request_is_answered_by_the_model(
    tmp_path: Path, name: str, request_name: str, answer: Any
) -> None:
    train(tmp_path, EXAMPLES / name)
    model = serving_model.load(tmp_path / "model" / "model.onnx", None)
    body = (EXAMPLES / "requests" / f"{request_name}.body").read_bytes()
    first, *_ = model.run(oip_request.decode(model.signature, body).tensors(model.signature))
    assert len(first) == 2
    assert answer is None or first.tolist() == answer


@pytest.mark.parametrize("folder", ["churn", "churn-dates"])
def test_the_churn_data_is_what_its_generator_writes(folder: str) -> None:
    assert (EXAMPLES / folder / "data.yaml").read_text() == program(folder, "generate.py").config_map()


def test_a_model_of_the_loop_is_right_only_about_orders_like_those_that_it_has_learnt_from(
    tmp_path: Path,
) -> None:
    shop = program("loop", "shop.py")
    near, far = (
        [shop.draw(chance, far=far) for _ in range(1000)]
        for chance, far in ((random.Random(3), False), (random.Random(4), True))
    )
    right = {}
    for name, table in (("near", shop.table()), ("far", shop.table(seed=2, far=True))):
        (tmp_path / name / "source").mkdir(parents=True)
        (tmp_path / name / "source" / "orders.csv").write_text(table)
        train(tmp_path / name, EXAMPLES / "loop")
        model = serving_model.load(tmp_path / name / "model" / "model.onnx", None)
        for orders in (near, far):
            body = json.dumps(shop.request(orders)).encode()
            labels, *_ = model.run(oip_request.decode(model.signature, body).tensors(model.signature))
            right[name, orders is far] = np.mean(
                [o.late == str(label) for o, label in zip(orders, labels, strict=True)]
            )
    assert right["near", False] > 0.85
    assert right["near", True] < 0.75
    assert right["far", True] > 0.85


def test_breaking_a_rule_of_the_churn_example_fails_before_training(tmp_path: Path) -> None:
    _, environ = pod(tmp_path, EXAMPLES / "churn")
    paths = Paths.under(tmp_path)
    run = json.loads(paths.run.read_text())
    run["data"]["schema"]["age"]["min"] = 21
    paths.run.write_text(json.dumps(run))
    assert run_step("fetch", environ, paths) == 65
    said = json.loads(paths.termination_log.read_text())["error"]
    assert said["reason"] == "SchemaViolation"
    assert "min: 21" in said["message"]
    assert not paths.train_rows.exists()


def test_a_customer_of_the_dated_churn_example_is_on_one_side(tmp_path: Path) -> None:
    _, environ = pod(tmp_path, EXAMPLES / "churn-dates")
    paths = Paths.under(tmp_path)
    assert run_step("fetch", environ, paths) == 0
    held = pd.read_parquet(paths.holdout_rows)
    learnt = pd.read_parquet(paths.train_rows)
    assert "customer_id" not in learnt
    whole = documents(EXAMPLES / "churn-dates" / "data.yaml")[0]["data"]["months.csv"]
    counts = pd.read_csv(io.StringIO(whole))["customer_id"].value_counts()
    assert held["customer_id"].value_counts().to_dict() == counts[held["customer_id"].unique()].to_dict()


def test_the_gated_example_fails_the_gate_that_it_says(tmp_path: Path) -> None:
    result = train(tmp_path, EXAMPLES / "gates")
    (job,) = documents(EXAMPLES / "gates" / "trainingjob.yaml")
    evidence = {each["name"]: GateEvidence.model_validate(each) for each in result["gates"]}
    gates = [Gate.model_validate(gate) for gate in gates_of(job["spec"])]
    verdicts = {gate.name: judge(gate, evidence[str(gate.name)]).verdict for gate in gates}
    failed = verdicts.pop("good-enough")
    assert failed == "Fail"
    assert set(verdicts.values()) == {"Pass"}
    assert set(verdicts) == {
        "not-by-heart",
        "no-step-back",
        "better-than-baseline",
        "not-worse-than-champion",
    }


def test_the_example_of_stores_reads_a_bucket_with_the_keys_of_its_secret(tmp_path: Path) -> None:
    (data,) = documents(EXAMPLES / "churn" / "data.yaml")
    secret, job = ((EXAMPLES / "stores" / file).read_text() for file in ("secret.yaml", "trainingjob.yaml"))
    with gateway(tmp_path) as server:
        (server.bucket("lake") / "churn").mkdir()
        (server.bucket("lake") / "churn" / "customers.csv").write_text(data["data"]["customers.csv"])
        for key, value in server.keys.secret_data().items():
            secret = secret.replace(f"{key}: REPLACE", f"{key}: {value}")
        (tmp_path / "secret.yaml").write_text(secret)
        (tmp_path / "job.yaml").write_text(job.replace("http://minio.storage:9000", server.endpoint))
        command = [sys.executable, "-m", "modelwright.cli.main", "try", "job.yaml", "secret.yaml"]
        ended = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "roc_auc 0.8" in ended.stdout


def test_the_readme_names_every_folder() -> None:
    readme = (EXAMPLES / "README.md").read_text()
    folders = [path.name for path in EXAMPLES.iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert len(folders) == 15
    assert all(f"[{folder}]({folder})" in readme for folder in folders)


@pytest.mark.parametrize(
    "path", sorted(EXAMPLES.glob("*/*.yaml")), ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_every_manifest_begins_with_what_it_teaches(path: Path) -> None:
    assert path.read_text().startswith("# ")
