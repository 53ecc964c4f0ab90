"""The packaged chart names its registry and its source, and the same commit gives the same bytes."""

from __future__ import annotations

import base64
import hashlib
import time
from pathlib import Path

import pytest
import yaml
from cluster.shell import StepError, run
from release.chart import Origin, chart_yaml, manifest, package, prepare

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts" / "modelwright"
VERSION = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]
ORIGIN = Origin(VERSION, 1700000000, "r.example/team", "https://git.example/modelwright", ("One", "Two: x"))


def made(helm: Path, folder: Path) -> Path:
    """The package of a release."""
    folder.mkdir()
    prepare(CHART, ORIGIN, folder / "modelwright")
    target = folder / "chart.tgz"
    scratch = folder / "scratch"
    scratch.mkdir()
    package(helm, folder / "modelwright", ORIGIN.moment, scratch, target)
    return target


def test_two_packages_are_the_same_and_helm_installs_them(helm: Path, tmp_path: Path) -> None:
    first = made(helm, tmp_path / "first")
    time.sleep(1.1)  # Helm stamps files with seconds.
    second = made(helm, tmp_path / "second")
    assert hashlib.sha256(first.read_bytes()).digest() == hashlib.sha256(second.read_bytes()).digest()

    values = tmp_path / "images.yaml"
    values.write_text(f"image:\n  tag: {VERSION}\n  digest: sha256:{'0f' * 32}\n")
    installed = manifest(helm, first, values)
    assert installed == manifest(helm, second, values)
    documents = [document for document in yaml.safe_load_all(installed) if document]
    assert documents[0]["kind"] == "Namespace"
    (deployment,) = [each for each in documents if each["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"r.example/team/modelwright-operator:{VERSION}@sha256:{'0f' * 32}"
    assert f"--serving-image=r.example/team/modelwright-serving:{VERSION}" in container["args"]
    described = yaml.safe_load(run([helm, "show", "chart", first]))
    assert described["sources"] == [ORIGIN.source]
    assert (
        f"r.example/team/modelwright-training:{VERSION}" in described["annotations"]["artifacthub.io/images"]
    )


def test_what_has_changed_is_listed() -> None:
    chart = yaml.safe_load(chart_yaml((CHART / "Chart.yaml").read_text(), ORIGIN))
    changes = yaml.safe_load(chart["annotations"]["artifacthub.io/changes"])
    assert changes == [{"kind": "changed", "description": text} for text in ORIGIN.notes]


def test_another_version_than_that_of_the_chart_is_refused() -> None:
    origin = Origin("9.9.9", 0, "", "", ())
    with pytest.raises(StepError, match=r"Chart.yaml has version .*, and the release is 9.9.9"):
        chart_yaml((CHART / "Chart.yaml").read_text(), origin)


def test_the_chart_describes_itself() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    icon = (ROOT / "charts" / "icon.svg").read_bytes()
    assert chart["icon"] == f"data:image/svg+xml;base64,{base64.b64encode(icon).decode()}"
    assert chart["home"]
    assert chart["sources"]
    annotations = chart["annotations"]
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    listed = {each["image"] for each in yaml.safe_load(annotations["artifacthub.io/images"])}
    assert listed == {
        f"{values[key]['repository']}:{chart['appVersion']}"
        for key in ("image", "servingImage", "trainingImage")
    }
    kinds = {each["kind"] for each in yaml.safe_load(annotations["artifacthub.io/crds"])}
    crds = [yaml.safe_load(path.read_text()) for path in (ROOT / "crds").glob("*.yaml")]
    assert kinds == {crd["spec"]["names"]["kind"] for crd in crds}
    assert annotations["artifacthub.io/operatorCapabilities"] in {
        "Basic Install", "Seamless Upgrades", "Full Lifecycle", "Deep Insights", "Auto Pilot",
    }  # fmt: skip
    assert {each["kind"] for each in yaml.safe_load(annotations["artifacthub.io/changes"])} <= {
        "added", "changed", "deprecated", "removed", "fixed", "security",
    }  # fmt: skip
