"""The resource definitions in a release are those of crds/, and stay when the release goes, if asked to."""

from __future__ import annotations

import pytest
import yaml
from unit.chart.rendering import Chart, Manifest, Rendered

KEEP = "helm.sh/resource-policy"
CRD = "CustomResourceDefinition"
# A release's name, its namespace and its values are a Secret of at most 1 MiB; an apply may annotate 256 KiB.
LARGEST = 256 * 1024


def plain(chart: Chart) -> dict[str, Manifest]:
    """The definitions of crds/, by name."""
    loaded = [yaml.safe_load(path.read_text()) for path in sorted((chart.source / "crds").glob("*.yaml"))]
    return {manifest["metadata"]["name"]: manifest for manifest in loaded}


def test_a_release_holds_the_definitions_of_the_source_tree(chart: Chart, default: Rendered) -> None:
    rendered = {manifest["metadata"]["name"]: manifest for manifest in default.of(CRD)}
    assert len(rendered) == 3
    assert rendered.keys() == plain(chart).keys()
    for name, expected in plain(chart).items():
        assert {**rendered[name], "metadata": {"name": name}} == expected


def test_bounds_beyond_what_a_float_prints_exactly_are_rendered_as_written(chart: Chart) -> None:
    rendered = chart.render({"crds": {"keep": False}}).of(CRD)
    seeds = [m for m in rendered if m["spec"]["names"]["kind"] == "TrainingJob"]
    spec = seeds[0]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert repr(spec["properties"]["seed"]["maximum"]) == "4294967295"


def test_definitions_are_labelled_as_parts_of_the_release(default: Rendered) -> None:
    for manifest in default.of(CRD):
        assert manifest["metadata"]["labels"]["app.kubernetes.io/part-of"] == "modelwright"
        assert manifest["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm"


def test_definitions_outlive_the_release_unless_told_otherwise(chart: Chart, default: Rendered) -> None:
    kept = default.of(CRD)
    dropped = chart.render({"crds": {"keep": False}}).of(CRD)
    assert {m["metadata"]["annotations"][KEEP] for m in kept} == {"keep"}
    assert all("annotations" not in m["metadata"] for m in dropped)
    assert len(dropped) == 3


def test_definitions_can_be_left_to_somebody_else(chart: Chart, default: Rendered) -> None:
    without = chart.render({"crds": {"enabled": False}})
    assert without.of(CRD) == []
    assert without.kinds() == default.kinds() - {CRD}


@pytest.mark.parametrize("plural", ["trainingjobs", "modelversions", "inferenceservices"])
def test_each_definition_is_small_enough_to_be_applied(chart: Chart, plural: str) -> None:
    assert (chart.folder / "files" / "crds" / f"{plural}.yaml").stat().st_size < LARGEST
