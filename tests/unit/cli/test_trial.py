"""`modelwright try`: the steps of a TrainingJob on this machine give what its pod gives."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelwright.cli.errors import BadUsage
from modelwright.cli.trial import trial

ROOT = Path(__file__).parents[3]
PROGRAM = Path(sys.executable).with_name("modelwright")
RECIPE: dict[str, Any] = {
    "apiVersion": "modelwright.dev/v1alpha1",
    "kind": "TrainingJob",
    "metadata": {"name": "prices"},
    "spec": {
        "data": {"uri": "configmap://rows/d.csv", "target": "y"},
        "trainer": {"sklearn": {"estimator": "sklearn.linear_model.LogisticRegression"}},
    },
}
ROWS: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "rows"},
    "data": {"d.csv": "x,y\n" + "".join(f"{n}.5,{'ab'[n % 2]}\n" for n in range(40))},
}


def manifests(*objects: object) -> str:
    return yaml.safe_dump_all(objects)


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROGRAM, "try", *words], capture_output=True, text=True, check=False, timeout=120)


def test_a_config_map_of_the_files_is_the_source() -> None:
    found = trial([manifests(RECIPE), manifests(ROWS)], None)
    assert found.sources == {"source": ("d.csv", ROWS["data"]["d.csv"].encode())}
    assert found.environment == {"MODELWRIGHT_SOURCE": "configmap://rows/d.csv"}
    assert json.loads(found.document)["trainingJob"] == "prices"


def test_bytes_of_a_config_map_are_the_source_as_well() -> None:
    rows = {**ROWS, "data": {}, "binaryData": {"d.csv": "eCx5Cg=="}}
    assert trial([manifests(RECIPE, rows)], None).sources == {"source": ("d.csv", b"x,y\n")}


SECRET: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "web"},
    "stringData": {"username": "me", "password": "hunter2", "other": "never read"},
}


def with_data(**data: Any) -> str:
    return manifests({**RECIPE, "spec": {**RECIPE["spec"], "data": {"target": "y", **data}}})


def test_secrets_of_the_files_are_the_credentials_of_fetch() -> None:
    store = {"secretRef": {"name": "web"}, "caConfigMapRef": {"name": "rows", "key": "d.csv"}}
    found = trial([with_data(uri="https://a.corp/d.csv", store=store), manifests(SECRET, ROWS)], None)

    folder = "etc/modelwright/stores/data"
    assert found.files == {
        f"{folder}/secret/username": b"me",
        f"{folder}/secret/password": b"hunter2",
        f"{folder}/ca.crt": ROWS["data"]["d.csv"].encode(),
    }
    document = json.loads(found.environment["MODELWRIGHT_STORES"])
    assert document["stores"]["data"]["secret"] == "web"
    assert document["networks"] == ["0.0.0.0/0", "::/0"], "it is one's own machine"
    assert "hunter2" not in json.dumps([found.environment, found.document])


def test_the_file_of_dvc_is_that_of_a_config_map_of_the_files() -> None:
    dvc = {"configMapRef": {"name": "rows", "key": "d.csv"}, "path": "data/d.csv"}
    found = trial([with_data(uri="pvc://remote/dvc", dvc=dvc), manifests(ROWS)], None)
    assert found.files == {"dvc/d.csv": ROWS["data"]["d.csv"].encode()}
    assert json.loads(found.environment["MODELWRIGHT_DVC"]) == {"file": "/dvc/d.csv", "path": "data/d.csv"}


def test_what_a_container_would_write_is_given_as_data(tmp_path: Path) -> None:
    rows, file = tmp_path / "rows.csv", tmp_path / "job.yaml"
    rows.write_text(ROWS["data"]["d.csv"])
    file.write_text(with_data(source={"image": "exporter:1"}))
    assert trial([file.read_text()], None).sources == {"source": ("", None)}

    refused, tried = run(str(file)), run(str(file), "--data", str(rows))

    assert "say where what data.source writes to /out is on this machine: --data FILE" in refused.stderr
    assert tried.returncode == 0, tried.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "no YAML"),
        ("kind: ConfigMap", "the files hold: none"),
        (manifests(RECIPE, {**RECIPE, "metadata": {"name": "other"}}), "the files hold: prices, other"),
        (manifests({**RECIPE, "spec": {**RECIPE["spec"], "sed": 1}}), "spec.sed: there is no such field"),
        (manifests({**RECIPE, "spec": {**RECIPE["spec"], "seed": -1}}), "spec.seed: "),
        (
            manifests({**RECIPE, "spec": {"data": {"target": "y"}, "trainer": {}}}),
            "exactly one of uri, configMapRef and source",
        ),
    ],
)
def test_what_cannot_be_tried_is_said(text: str, message: str) -> None:
    with pytest.raises(BadUsage, match=message):
        trial([text], None)


def test_the_steps_run_one_after_the_other_and_leave_the_model(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(manifests(RECIPE, ROWS))
    ended = run(str(file), "--folder", str(tmp_path / "run"))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (folder,) = (tmp_path / "run" / "artifacts").glob("sha256-*")
    assert {"model.onnx", "report.json", "card.md"} <= {path.name for path in folder.iterdir()}
    assert str(folder) in ended.stdout
    assert "accuracy" in ended.stdout


def test_what_was_measured_for_each_gate_is_shown_beside_its_limit(tmp_path: Path) -> None:
    job, rows = json.loads(json.dumps(RECIPE)), json.loads(json.dumps(ROWS))
    job["spec"]["gates"] = [
        {"name": "good", "metric": "accuracy", "min": 0.9},
        {"name": "north", "metric": "accuracy", "min": 0.9, "slice": {"region": "north"}},
        {"name": "own", "metric": "profit", "min": 1, "source": "Reported"},
    ]
    job["spec"]["data"] |= {"holdout": {"fraction": 0.5, "extraColumns": ["region"]}}
    job["spec"]["signing"] = {"keySecretRef": {"name": "key", "key": "key.pem"}}
    rows["data"]["d.csv"] = "x,region,y\n" + "".join(f"{n}.5,north,{'ab'[n % 2]}\n" for n in range(40))
    file = tmp_path / "job.yaml"
    file.write_text(manifests(job, rows))

    ended = run(str(file), "--folder", str(tmp_path / "run"))

    assert ended.returncode == 0, ended.stdout + ended.stderr
    _, _, text = ended.stdout.partition("--- measured for its gates, which the operator judges\n")
    good, north, own, baseline, champion, *_ = text.splitlines()
    assert re.fullmatch(r"good: accuracy at least 0\.9; it is [0-9.]+ \([0-9.]+ to [0-9.]+\), 20 rows", good)
    assert north.startswith("north: accuracy at least 0.9 where region is north; it is 0.")
    assert own.startswith("own: profit at least 1; not measured: ")
    assert "minus that of the baseline above 0; it is " in baseline
    assert champion.endswith("minus that of the Champion at least 0; there is no Champion here")


def test_data_of_a_claim_is_named_and_a_mistake_is_said_as_in_the_cluster(tmp_path: Path) -> None:
    job = json.loads(json.dumps(RECIPE))
    job["spec"]["data"] = {"uri": "pvc://lake/2026/rows.csv", "target": "z"}
    file, rows = tmp_path / "job.yaml", tmp_path / "mine.csv"
    file.write_text(manifests(job))
    rows.write_text(str(ROWS["data"]["d.csv"]))
    without, wrong = run(str(file)), run(str(file), "--data", str(rows))
    assert (without.returncode, wrong.returncode) == (2, 1)
    assert "--data FILE" in without.stderr
    assert "fetch: TargetMissing: The data has no column 'z'" in wrong.stderr


def test_a_program_of_the_users_own_trains(tmp_path: Path) -> None:
    job = json.loads(json.dumps(RECIPE))
    job["spec"] |= {"task": "Classification", "trainer": {"image": "team/train:1"}}
    file = tmp_path / "job.yaml"
    file.write_text(manifests(job, ROWS))
    (tmp_path / "train.py").write_text(
        "import os, sys; sys.exit(f\"target {os.environ['MODELWRIGHT_TARGET']}\")"
    )
    without = run(str(file))
    ended = run(str(file), "--train", f"{sys.executable} {tmp_path / 'train.py'}")
    assert (without.returncode, "--train" in without.stderr) == (2, True)
    assert (ended.returncode, "train: it ended with exit code 1" in ended.stderr) == (1, True)
    assert "target y" in ended.stderr


def test_an_own_trainer_has_the_values_of_the_secrets_that_the_files_hold() -> None:
    trainer = {
        "image": "team/train:1",
        "env": [
            {"name": "DEPTH", "value": "3"},
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}},
            {"name": "LEVEL", "valueFrom": {"configMapKeyRef": {"name": "rows", "key": "level"}}},
        ],
    }
    job = {**RECIPE, "spec": {**RECIPE["spec"], "trainer": trainer}}
    secret = {"kind": "Secret", "metadata": {"name": "hub"}, "stringData": {"token": "hunter2"}}

    found = trial([manifests(job, ROWS, secret)], None)

    assert found.own is not None
    assert (found.own["DEPTH"], found.own["TOKEN"]) == ("3", "hunter2")
    assert "LEVEL" not in found.own, "then the program has that of the shell"
    assert "hunter2" not in found.document
