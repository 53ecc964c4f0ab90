"""Data that the real DVC has pushed and the real Feast has joined is read by fetch: `make sources`, not each test run.

Their environments take two minutes to build. tests/unit/training has what DVC writes as text."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import peers
import pytest
import yaml
from support.stores.s3 import Gateway, gateway
from unit.training.pod import Ending, Pod, numbers

from modelwright.api.rundocument import run_document, source_variables
from modelwright_training.main import run_step
from modelwright_training.paths import Paths

FEAST = Path(__file__).parents[2] / "examples" / "feast"
STAGES = {
    "split": {
        "foreach": ["eu", "us"],
        "do": {
            "cmd": "cp data/rows.csv out-${item}.csv",
            "deps": ["data/rows.csv"],
            "outs": ["out-${item}.csv"],
        },
    },
    "months": {"cmd": "mkdir -p m && cp data/rows.csv m/1.csv", "deps": ["data/rows.csv"], "outs": ["m"]},
}
PATHS = {
    "data/rows.csv": "data/rows.csv.dvc",
    "data/parts": "data/parts.dvc",
    "data/parts/*.parquet": "data/parts.dvc",
    "data/parts/1.parquet": "data/parts.dvc",
    "out-us.csv": "dvc.lock",
    "m": "dvc.lock",
}


class Repository:
    """A repository of DVC in a folder, with data that is pushed to a remote."""

    def __init__(self, root: Path, remote: str, keys: dict[str, str], endpoint: str | None) -> None:
        self.root, self.keys = root, keys
        (root / "data/parts").mkdir(parents=True)
        rows = numbers(60)
        rows.to_csv(root / "data/rows.csv", index=False)
        for place in range(3):
            rows[place * 20 :][:20].to_parquet(root / f"data/parts/{place}.parquet", index=False)
        (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": STAGES}))
        self.dvc("init", "--no-scm")
        self.dvc("add", "data/rows.csv", "data/parts")
        self.dvc("repro")
        self.dvc("remote", "add", "--default", "there", remote)
        if endpoint:
            self.dvc("remote", "modify", "there", "endpointurl", endpoint)
        self.dvc("push")

    def dvc(self, *arguments: str) -> None:
        command = [str(peers.environment("dvc") / "bin" / "dvc"), *arguments, "--quiet"]
        environ = {
            **os.environ,
            **self.keys,
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(self.root / ".site"),
        }
        subprocess.run(command, cwd=self.root, env=environ, check=True, timeout=120)

    def fetch(self, pod: Pod, uri: str, path: str, **environ: str) -> Ending:
        file = self.root / PATHS[path]
        pod.paths.dvc.mkdir(exist_ok=True)
        shutil.copy(file, pod.paths.dvc)
        asked = {"MODELWRIGHT_DVC": json.dumps({"file": f"/dvc/{file.name}", "path": path})}
        return pod.given(data={"uri": uri}).run("fetch", **asked, **environ)


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    return Pod(tmp_path / "pod")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with gateway(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    root = tmp_path_factory.mktemp("local")
    return Repository(root / "repository", str(root / "remote"), {}, None)


@pytest.fixture(scope="module")
def in_s3(tmp_path_factory: pytest.TempPathFactory, server: Gateway) -> Repository:
    server.bucket("lake")
    keys = server.keys.secret_data()
    return Repository(tmp_path_factory.mktemp("s3") / "repository", "s3://lake/dvc", keys, server.endpoint)


@pytest.mark.parametrize("path", PATHS)
def test_what_dvc_pushed_to_a_folder_is_read_from_a_claim(pod: Pod, local: Repository, path: str) -> None:
    shutil.copytree(local.root.parent / "remote", pod.paths.source / "remote")

    ending = local.fetch(pod, "pvc://lake/remote", path)

    assert ending.result["dvc"]["path"] == path
    assert sum(ending.result["rows"].values()) == (20 if path.endswith("1.parquet") else 60)


@pytest.mark.parametrize("path", PATHS)
def test_what_dvc_pushed_to_s3_is_read_from_the_bucket(
    pod: Pod, server: Gateway, in_s3: Repository, path: str
) -> None:
    secret = pod.root / "etc/modelwright/stores/data/secret"
    secret.mkdir(parents=True)
    for key, value in server.keys.secret_data().items():
        (secret / key).write_text(value)
    entry = {"field": "data.store", "secret": "lake", "endpoint": server.endpoint, "trusted": True}
    stores = {"MODELWRIGHT_STORES": json.dumps({"stores": {"data": entry}})}

    ending = in_s3.fetch(pod, "s3://lake/dvc", path, **stores)

    assert sum(ending.result["rows"].values()) == (20 if path.endswith("1.parquet") else 60)


def test_a_byte_that_is_changed_in_the_bucket_is_refused(pod: Pod, local: Repository) -> None:
    remote = shutil.copytree(local.root.parent / "remote", pod.paths.source / "remote")
    for each in remote.rglob("*"):
        if each.is_file() and each.suffix != ".dir":
            each.chmod(0o644)
            each.write_bytes(each.read_bytes() + b"\n")

    assert local.fetch(pod, "pvc://lake/remote", "data/rows.csv").reason == "DvcDigestMismatch"


def feast(image: Path, script: str, out: Path) -> None:
    """A program of the example in the environment of its image."""
    command = [peers.environment("feast") / "bin" / "python", image / script]
    environ = {"PATH": os.environ["PATH"], "HOME": "/tmp", "OUT": str(out), "FEAST_USAGE": "False"}
    subprocess.run(command, cwd="/", env=environ, check=True, timeout=200)


def test_the_example_of_feast_trains_on_what_its_container_joins(tmp_path: Path) -> None:
    """The container's program runs twice: the same rows, so the same digest. Then the steps of the run."""
    image, pod = tmp_path / "image", Pod(tmp_path / "pod")
    image.mkdir()
    for name in ("features.py", "fetch.py"):
        shutil.copy(FEAST / name, image)
    feast(image, "features.py", tmp_path)
    feast(image, "fetch.py", tmp_path)
    first = (tmp_path / "data.parquet").read_bytes()
    feast(image, "fetch.py", pod.paths.source)
    assert (pod.paths.source / "data.parquet").read_bytes() == first

    spec = yaml.safe_load((FEAST / "trainingjob.yaml").read_text())["spec"]
    assert through(pod.paths, spec)["digest"].startswith("sha256:")
    report = pod.published("report")
    assert report["data"]["source"] == f"source://{spec['data']['source']['image']}"
    assert next(each for each in report["metrics"] if each["name"] == "roc_auc")["value"] > 0.7

    spec["data"]["schema"]["spent"]["max"] = 1
    assert through(pod.paths, spec, "fetch")["reason"] == "SchemaViolation"


def through(paths: Paths, spec: dict[str, Any], *steps: str) -> dict[str, Any]:
    """The artifact that publish has stored, or the error of the step that ended."""
    run = run_document(spec, namespace="x", name="churn", run=1, artifacts="pvc://x")
    paths.run.write_text(json.dumps(run))
    for step in steps or ("fetch", "train", "publish"):
        code = run_step(step, source_variables(spec["data"]), paths)
        said = json.loads(paths.termination_log.read_text())
        if code:
            error: dict[str, Any] = said["error"]
            return error
    (report,) = paths.artifacts.rglob("report.json")
    artifact: dict[str, Any] = json.loads(report.read_text())["artifact"]
    return artifact
