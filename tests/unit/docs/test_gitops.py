"""What docs/gitops.md shows can be run, and does what the page says."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from unit.docs.pages import blocks

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "gitops.md").read_text()
KUBECTL = Path(__file__).parents[3] / ".cluster" / "bin" / "kubectl"


def test_every_block_of_the_page_is_yaml() -> None:
    assert len(list(blocks(PAGE, "yaml"))) == 2


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
