"""The TrainingJob that makes a model again: it pins what makes it, and says what it cannot promise."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from unit.given.crds import defects, with_defaults
from unit.given.resources import RECIPE, a_training_job, a_world
from unit.view.versions import HOSTILE, IMAGE_DIGEST, a_body, a_version, by_hand

from modelwright.api.rundocument import run_document
from modelwright.common.resources import MODEL_VERSIONS
from modelwright.view.reproduction import NotReproducible, lines, manifest
from modelwright.view.version import read_version

RECIPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "everything": {
        "seed": 7,
        "task": "Classification",
        "data": {
            "uri": "pvc://lake/churn.csv",
            "target": "churned",
            "features": ["age", "plan"],
            "schema": {"age": {"type": "integer"}},
            "sample": {"rows": 10},
            "holdout": {"group": "customer", "extraColumns": ["region"]},
        },
        "trainer": {**RECIPE["trainer"], "preprocess": [{"kind": "numeric", "scale": "Robust"}]},
    },
    "own image": {
        "task": "Regression",
        "trainer": {"image": "team/train:1", "args": ["--deep"], "env": [{"name": "EPOCHS", "value": "3"}]},
    },
}


def documented(spec: dict[str, Any]) -> dict[str, Any]:
    """The run document of a spec, but for what is another run's."""
    full = with_defaults("trainingjobs", spec)
    document = run_document(full, namespace="n", name="churn", run=1, artifacts="pvc://a")
    return {key: value for key, value in document.items() if key != "model"}


@pytest.mark.parametrize("spec", RECIPES.values(), ids=RECIPES.keys())
def test_what_is_printed_gives_the_run_document_again(spec: dict[str, Any]) -> None:
    job = a_training_job(a_world(), **spec).succeeds()
    body = json.loads(json.dumps(job.all(MODEL_VERSIONS)["churn-1"]))
    for image in body["spec"]["lineage"]["images"]:
        image["imageID"] = f"team/train@{IMAGE_DIGEST}"
    found = yaml.safe_load("\n".join(lines(read_version(body))))
    assert defects("trainingjobs", "spec", found["spec"]) == []
    made, first = documented(found["spec"]), documented(job.body["spec"])
    assert made["data"].pop("digest") == body["spec"]["lineage"]["data"][0]["digest"]
    if "image" in first["trainer"]:
        assert "@sha256:" in made["trainer"].pop("image")
        first["trainer"].pop("image")
        assert [found["spec"]["trainer"][key] for key in ("args", "env")] == [
            spec["trainer"]["args"],
            spec["trainer"]["env"],
        ]
    assert made == first


def test_it_makes_no_version_of_the_same_family() -> None:
    made = manifest(a_version("a" * 56))
    assert made["metadata"]["name"] == made["spec"]["model"] == "a" * 44 + "-again"


def test_the_gates_and_approvals_of_the_version_are_kept() -> None:
    spec = manifest(a_version())["spec"]
    assert ([gate["name"] for gate in spec["gates"]], spec["approval"]["required"]) == (["recall-eu"], 2)
    assert "defaultGates" not in spec
    without = manifest(a_version(spec={"gates": [{"name": "own", "metric": "f1", "min": 1}]}))["spec"]
    assert (len(without["gates"]), without["defaultGates"]) == (1, "Disabled")


def images(image_id: str | None) -> dict[str, Any]:
    step = {"step": "train", "image": "team/train:1", **({"imageID": image_id} if image_id else {})}
    recipe = {**a_body()["spec"]["lineage"]["recipe"], "trainer": {"sklearn": None, "image": "team/train:1"}}
    return {"lineage": {"images": [step], "recipe": recipe}}


@pytest.mark.parametrize("prefix", ["", "docker-pullable://"])
def test_an_own_image_is_pinned(prefix: str) -> None:
    spec = manifest(a_version(spec=images(f"{prefix}registry/team/train@{IMAGE_DIGEST}")))["spec"]
    assert spec["trainer"] == {"image": f"registry/team/train@{IMAGE_DIGEST}"}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (by_hand(), "was not made by a run"),
        (a_body(spec={"lineage": {"recipe": None}}), "more than 64 kB, or a release before"),
        (a_body(spec={"lineage": {"data": [{"uri": "pvc://a/b"}]}}), "which digest its data had"),
        (a_body(spec=images(IMAGE_DIGEST)), f"the kubelet said {IMAGE_DIGEST}"),
        (a_body(spec=images(None)), "the kubelet said nothing"),
        (a_body(spec={"lineage": {"recipe": {"trainer": HOSTILE}}}), "trainer: "),
        (a_body(spec={"lineage": {"recipe": {"data": None}}}), "data.target: Field required"),
    ],
)
def test_what_cannot_be_made_again_is_said(body: dict[str, Any], why: str) -> None:
    with pytest.raises(NotReproducible) as refused:
        manifest(read_version(body))
    assert why in str(refused.value)


def test_what_it_cannot_promise_is_said() -> None:
    recipe = {
        "data": {"uri": "https://example.com/rows.csv", "holdout": {"uri": "pvc://lake/later.csv"}},
        "trainer": {
            "sklearn": None,
            "image": "x",
            "env": [{"name": "TOKEN"}, {"name": "EPOCHS", "value": "1"}],
        },
    }
    image = {"step": "train", "image": "x", "imageID": f"x@{IMAGE_DIGEST}"}
    text = "\n".join(lines(a_version(spec={"lineage": {"recipe": recipe, "images": [image]}})))
    for said in (
        "onnxruntime 1.27.0, scikit-learn 1.9.0",
        "same kernels",
        "fill in TOKEN.",
        "pvc://lake/later.csv, and no digest pins it",
        "without query and password",
        "compared with churn-2",
        "Add spec.author",
    ):
        assert said in text


def test_a_name_cannot_write_into_the_manifest() -> None:
    evil = "1\n  seed: 99\u2028  seed: 98\x85"
    text = "\n".join(lines(a_version(spec={"lineage": {"libraries": {"numpy": evil}}})))
    assert yaml.safe_load(text)["spec"]["seed"] == 7
