"""Kustomize with the configuration of docs/gitops: names, images and replicas change wherever a spec has them."""

from __future__ import annotations

import copy
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.kubectl import program
from unit.docs.pages import blocks
from unit.given.resources import RECIPE, a_training_job, a_world

ROOT = Path(__file__).parents[3]
FILE = ROOT / "docs" / "gitops" / "kustomizeconfig.yaml"
PAGE = (ROOT / "docs" / "gitops.md").read_text()
CONFIG = yaml.safe_load(FILE.read_text())
GROUP = "modelwright.dev/v1alpha1"
# Fields that name another object end so.
NAMES: tuple[str, ...] = ("Ref/name", "/secretName", "/claimName", "/configMap/name", "imagePullSecrets/name")
NAMES += ("/serviceAccountName", "/priorityClassName", "/runtimeClassName", "gateway/name", "model/version")
API = {
    "ConfigMap": "v1", "Secret": "v1", "PersistentVolumeClaim": "v1", "ServiceAccount": "v1",
    "PriorityClass": "scheduling.k8s.io/v1", "RuntimeClass": "node.k8s.io/v1", "ModelVersion": GROUP,
    "InferenceService": GROUP, "Gateway": "gateway.networking.k8s.io/v1",
}  # fmt: skip
TARGETS = {"HorizontalPodAutoscaler": "autoscaling/v2", "ScaledObject": "keda.sh/v1alpha1"}
REFERENCES = [
    (entry["kind"], field["kind"], field["path"])
    for entry in CONFIG["nameReference"]
    for field in entry["fieldSpecs"]
]

pytestmark = pytest.mark.skipif(
    not Path(program("kubectl")).exists(), reason="kubectl is not in .cluster/bin: `make cluster` builds it"
)


def leaves(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    """The paths of a schema's strings, as Kustomize writes them: a list is not named."""
    if schema.get("type") == "array":
        yield from leaves(schema["items"], path)
    for name, inner in (schema.get("properties") or {}).items():
        yield from leaves(inner, f"{path}/{name}" if path else name)
    if schema.get("type") == "string":
        yield path


@cache
def specs() -> dict[str, dict[str, Any]]:
    """The schema of each kind's spec."""
    found = {}
    for file in sorted((ROOT / "crds").glob("*.yaml")):
        crd = yaml.safe_load(file.read_text())
        schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        found[crd["spec"]["names"]["kind"]] = {"properties": {"spec": schema["properties"]["spec"]}}
    return found


def build(folder: Path, *bodies: Mapping[str, Any], **kustomization: Any) -> list[dict[str, Any]]:
    """What `kubectl kustomize` makes of these objects."""
    shutil.copy(FILE, folder)
    (folder / "objects.yaml").write_text(yaml.safe_dump_all(bodies))
    whole = {"resources": ["objects.yaml"], "configurations": [FILE.name], **kustomization}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(whole))
    done = subprocess.run(
        [program("kubectl"), "kustomize", folder], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def named(kind: str, name: str = "it") -> dict[str, Any]:
    return {"apiVersion": API[kind], "kind": kind, "metadata": {"name": name}}


def holder(kind: str, path: str, value: str, name: str = "holder") -> dict[str, Any]:
    """An object of a kind with a value at a path. What is a list there is one in its schema."""
    schema = specs().get(kind)
    body = {"apiVersion": TARGETS.get(kind, GROUP), "kind": kind, "metadata": {"name": name}}
    return {**body, **_nested(path.split("/"), value, schema)}


def _nested(names: list[str], value: str, schema: Any) -> Any:
    if not names:
        return value
    inner = ((schema or {}).get("properties") or {}).get(names[0]) or {}
    is_list = inner.get("type") == "array"
    below = _nested(names[1:], value, inner["items"] if is_list else inner)
    made = {names[0]: [below] if is_list else below}
    return {"apiVersion": GROUP, "kind": "InferenceService", **made} if names[0] == "scaleTargetRef" else made


def at(body: Any, path: str) -> Any:
    for name in path.split("/"):
        body = body[name]
        body = body[0] if isinstance(body, list) else body
    return body


def test_every_field_that_names_an_object_is_in_the_configuration() -> None:
    known = {(kind, path) for _, kind, path in REFERENCES}
    there = {
        (kind, path)
        for kind, schema in specs().items()
        for path in leaves(schema, "")
        if path.endswith(NAMES)
    }
    assert there - known == set()
    assert {each for each in known - there if each[0] not in TARGETS} == set()


def test_every_image_is_in_the_configuration() -> None:
    known = {(field["kind"], field["path"]) for field in CONFIG["images"]}
    there = {
        (kind, path)
        for kind, schema in specs().items()
        for path in leaves(schema, "")
        if path.endswith("/image")
    }
    # What a version was made with is a fact, and no image to be pulled.
    assert there - {("ModelVersion", "spec/lineage/images/image")} == known


def test_a_prefix_follows_to_every_reference(tmp_path: Path) -> None:
    holders = [holder(kind, path, "it", f"holder-{n}") for n, (_, kind, path) in enumerate(REFERENCES)]
    targets = [named(kind) for kind in {kind for kind, _, _ in REFERENCES}]

    out = {body["metadata"]["name"]: body for body in build(tmp_path, *targets, *holders, namePrefix="prod-")}

    found = {(kind, path): at(out[f"prod-holder-{n}"], path) for n, (_, kind, path) in enumerate(REFERENCES)}
    assert found == dict.fromkeys(found, "prod-it")


def test_a_changed_configmap_has_another_name_and_so_starts_a_run(tmp_path: Path) -> None:
    spec = {
        **copy.deepcopy(dict(RECIPE)),
        "data": {"configMapRef": {"name": "data", "key": "churn.csv"}, "target": "churned"},
    }
    body = {"apiVersion": GROUP, "kind": "TrainingJob", "metadata": {"name": "churn"}, "spec": spec}
    generator = [{"name": "data", "files": ["churn.csv"]}]
    seen = []
    for rows in ("1,0", "2,1"):
        (tmp_path / "churn.csv").write_text(f"age,churned\n{rows}\n")
        out = {each["kind"]: each for each in build(tmp_path, body, configMapGenerator=generator)}
        assert (
            out["TrainingJob"]["spec"]["data"]["configMapRef"]["name"] == out["ConfigMap"]["metadata"]["name"]
        )
        seen.append(out["TrainingJob"]["spec"])
    job = a_training_job(a_world(), **seen[0]).succeeds()

    job.changes(**seen[1]).settles()

    assert job.run["number"] == 2


def test_images_replicas_and_labels_of_pods_can_be_set(tmp_path: Path) -> None:
    job = holder("TrainingJob", "spec/trainer/image", "trainer:1")
    service = holder("InferenceService", "spec/model/version", "churn-1")
    (shown,) = [block for block in blocks(PAGE, "yaml") if "labels" in block]
    out = build(
        tmp_path,
        job,
        {**service, "metadata": {"name": "churn"}},
        images=[{"name": "trainer", "newTag": "2"}],
        replicas=[{"name": "churn", "count": 3}],
        labels=shown["labels"],
    )
    found = {body["kind"]: body["spec"] for body in out}
    assert found["TrainingJob"]["trainer"]["image"] == "trainer:2"
    assert found["InferenceService"]["replicas"] == 3
    assert all(spec["podTemplate"]["metadata"]["labels"] == {"team": "risk"} for spec in found.values())
