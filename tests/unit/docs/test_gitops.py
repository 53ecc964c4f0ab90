"""Argo CD's health script says of every state what docs/gitops.md says it does, in the Lua that Argo CD runs."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from lupa.lua51 import LuaRuntime
from unit.docs.pages import blocks
from unit.given.resources import a_served_version, a_training_job, a_version, a_world
from unit.inferenceservice.rollout.test_canary import BAD, a_canary, after, measures, rollout

DOCS = Path(__file__).parents[3] / "docs"
SCRIPT = (DOCS / "gitops" / "health.lua").read_text()
PAGE = (DOCS / "gitops.md").read_text()
KUBECTL = Path(__file__).parents[3] / ".cluster" / "bin" / "kubectl"
KINDS = ("TrainingJob", "ModelVersion", "InferenceService")


def health(body: Mapping[str, Any]) -> str:
    """What Argo CD makes of an object. Its VM has the base functions and no others."""
    lua = LuaRuntime(unpack_returned_tuples=True)
    lua.execute("os, io, debug, package, require, string, table, math = nil")
    lua.globals().obj = lua.table_from(body, recursive=True)
    found = lua.execute(SCRIPT)
    assert found["message"]
    return str(found["status"])


def test_the_page_holds_the_script_for_each_kind() -> None:
    (config,) = [found for found in blocks(PAGE, "yaml") if found.get("kind") == "ConfigMap"]
    scripts = {f"resource.customizations.health.modelwright.dev_{kind}": SCRIPT for kind in KINDS}
    assert config["data"] == scripts


def test_every_block_of_the_page_is_yaml() -> None:
    assert len(list(blocks(PAGE, "yaml"))) == 3


def test_an_object_that_no_operator_has_seen_is_progressing() -> None:
    body = {"metadata": {"generation": 1}, "status": {"observedGeneration": -1}}
    assert health(body) == health({"metadata": {"generation": 1}}) == "Progressing"


def test_a_spec_that_is_newer_than_the_status_is_progressing() -> None:
    service = a_served_version()
    meta = {**service.body["metadata"], "generation": 7}
    assert health({**service.body, "metadata": meta}) == "Progressing"


class TestTrainingJob:
    def test_is_progressing_while_it_runs_and_healthy_when_it_has_made_its_version(self) -> None:
        job = a_training_job(a_world()).settles()
        assert health(job.body) == "Progressing"
        job.succeeds()
        assert health(job.body) == "Healthy"

    def test_is_degraded_when_its_run_failed(self) -> None:
        job = a_training_job(a_world()).settles()
        job.fails()
        assert health(job.settles().body) == "Degraded"


class TestModelVersion:
    def test_is_healthy_when_it_is_verified(self) -> None:
        version = a_version(a_world(), "churn-1").settles()
        assert health(version.body) == "Progressing"
        assert health(version.is_verified().body) == "Healthy"

    def test_is_degraded_when_its_file_is_another(self) -> None:
        version = a_version(a_world(), "churn-1").settles()
        assert health(version.is_rejected().body) == "Degraded"


class TestInferenceService:
    def test_is_healthy_when_it_serves(self) -> None:
        assert health(a_served_version().body) == "Healthy"

    def test_is_progressing_during_a_canary(self) -> None:
        assert health(a_canary().body) == "Progressing"

    @pytest.mark.parametrize("held", [{"paused": True}, {"steps": [{"weight": 10, "approval": True}]}])
    def test_is_suspended_while_a_person_decides(self, held: dict[str, Any]) -> None:
        service = a_canary()
        steps = held.pop("steps", None)
        service.changes(rollout=rollout(*(steps or ()), **held)).settles()
        assert service.reason in {"CanaryPaused", "AwaitingApproval"}
        assert health(service.body) == "Suspended"

    def test_is_degraded_after_a_rollback(self) -> None:
        assert health(after(measures(a_canary(), BAD), 5).body) == "Degraded"


@pytest.mark.skipif(not KUBECTL.exists(), reason="kubectl is not in .cluster/bin: `make cluster` builds it")
def test_kustomize_rewrites_names_and_images_where_the_configuration_says(tmp_path: Path) -> None:
    shutil.copy(DOCS / "gitops" / "kustomizeconfig.yaml", tmp_path)
    (tmp_path / "churn.csv").write_text("age,churned\n1,0\n")
    (tmp_path / "job.yaml").write_text(
        yaml.safe_dump(
            {
                "apiVersion": "modelwright.dev/v1alpha1",
                "kind": "TrainingJob",
                "metadata": {"name": "churn"},
                "spec": {
                    "data": {"configMapRef": {"name": "data", "key": "churn.csv"}, "target": "churned"},
                    "trainer": {"image": "trainer:1"},
                },
            }
        )
    )
    (tmp_path / "kustomization.yaml").write_text(
        yaml.safe_dump(
            {
                "namePrefix": "prod-",
                "resources": ["job.yaml"],
                "configurations": ["kustomizeconfig.yaml"],
                "configMapGenerator": [{"name": "data", "files": ["churn.csv"]}],
                "images": [{"name": "trainer", "newTag": "2"}],
            }
        )
    )
    out = subprocess.run([KUBECTL, "kustomize", tmp_path], check=True, capture_output=True, text=True).stdout
    made = {body["kind"]: body for body in yaml.safe_load_all(out)}
    job = made["TrainingJob"]
    assert job["spec"]["data"]["configMapRef"]["name"] == made["ConfigMap"]["metadata"]["name"] != "data"
    assert job["spec"]["trainer"]["image"] == "trainer:2"
