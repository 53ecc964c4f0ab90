"""What docs/rollouts.md says of checks and queries is what the operator has."""

import re
from pathlib import Path
from typing import Any, get_args

import yaml
from unit.given.crds import defects

from modelwright.api.inferenceservice import PLACEHOLDERS, Analysis, InferenceServiceSpec
from modelwright.inferenceservice.analysis.prometheus_result import Why
from modelwright.view.decisions import METRICS

TEXT = (Path(__file__).parents[3] / "docs" / "rollouts.md").read_text()
SECTION = TEXT.partition("## Checks by Prometheus\n")[2].partition("\n## ")[0]


def test_every_placeholder_is_explained_and_none_is_made_up() -> None:
    rows = "\n".join(re.findall(r"^\| (`\$.*?) \|", SECTION, re.MULTILINE))
    assert set(re.findall(r"\$\((\w+)\)", rows)) == set(PLACEHOLDERS)


def test_every_reason_is_explained_and_none_is_made_up() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", SECTION, re.MULTILINE)) == set(get_args(Why))


def test_the_example_is_accepted() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", SECTION, re.DOTALL)
    spec: dict[str, Any] = {"model": {"version": "churn-12"}, **yaml.safe_load(example)}
    assert not defects("inferenceservices", "spec", spec)
    analysis = InferenceServiceSpec.model_validate(spec).rollout.analysis
    assert analysis is not None
    assert [query.name for query in analysis.queries or ()] == ["complaints"]


def test_every_check_is_explained_and_none_is_made_up() -> None:
    table = TEXT.partition("\n## Checks\n")[2].partition("\n\nA sample is")[0]
    explained = {
        name
        for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    }
    assert explained == set(METRICS) - {"requests"}


def test_every_field_of_the_analysis_is_explained() -> None:
    fields = {field.alias for field in Analysis.model_fields.values()}
    assert [field for field in fields if f"`{field}`" not in TEXT and f"  {field}:" not in TEXT] == []
