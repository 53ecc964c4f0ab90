"""What docs/scaling.md says of autoscalers is what the operator has."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from unit.docs.pages import blocks
from unit.given.crds import defects

from modelwright.api.crd import SCALE
from modelwright.api.inferenceservice import Autoscaling
from modelwright.inferenceservice.manifests import autoscaler

TEXT = (Path(__file__).parents[3] / "docs" / "scaling.md").read_text()
SECTION = TEXT.partition("## Autoscaling\n")[2].partition("\n## ")[0]
# Of the API server and of Kubernetes' controller, which the operator hands on.
HANDED_ON = {"NameTaken", "FailedGetScale", "FailedUpdateScale"}


def test_the_example_is_accepted_and_names_the_default() -> None:
    (example,) = blocks(SECTION, "yaml")
    assert not defects("inferenceservices", "spec", example["spec"])
    assert example["spec"]["autoscaling"]["targetCPUUtilization"] == autoscaler.TARGET_CPU_UTILIZATION


def test_every_field_is_explained() -> None:
    fields = [str(field.alias) for field in Autoscaling.model_fields.values()]
    assert [field for field in fields if field not in SECTION] == []


def test_every_reason_is_explained_and_none_is_made_up() -> None:
    known = set(re.findall(r'"([A-Z][a-z]+(?:[A-Z][a-z]+)*)"', inspect.getsource(autoscaler)))
    known -= {
        "Utilization",
        "ContainerResource",
        "AbleToScale",
        "ScalingActive",
        "ScalingLimited",
        "True",
        "False",
    }
    known -= {"TooManyReplicas", "ScalingDisabled", "FailedGet", "NotAbleToScale", "AutoscalingActive"}
    rows = re.findall(r"^\| (?:True|False|Unknown) \| (.*?) \|", SECTION, re.MULTILINE)
    explained = {reason for row in rows for reason in re.findall(r"`(\w+)`", row)}
    assert explained == known | HANDED_ON


def test_all_autoscalers_aim_at_the_service() -> None:
    aims = [
        page["spec"]["scaleTargetRef"] for page in blocks(TEXT, "yaml") if "scaleTargetRef" in page["spec"]
    ]
    service = {"apiVersion": "modelwright.dev/v1alpha1", "kind": "InferenceService", "name": "churn"}
    assert aims == [service] * 2


def test_the_fields_of_the_subresource_are_named() -> None:
    assert [path for path in SCALE.values() if f"`{path.removeprefix('.')}`" not in TEXT] == []
