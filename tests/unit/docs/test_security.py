"""docs/security.md has each right of the operator with a reason, each policy, and an example that the chart takes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs/security.md").read_text()
HELM = ROOT / ".cluster/bin/helm"


@pytest.fixture(scope="module")
def rendered() -> list[dict[str, Any]]:
    """What the chart installs with the values of the page's first example."""
    helm = str(HELM) if HELM.exists() else shutil.which("helm")
    if helm is None:
        pytest.skip("Helm is neither in .cluster/bin nor in PATH: `make cluster` builds it")
    (example, _) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    command = [helm, "template", "modelwright", str(ROOT / "charts/modelwright"), "--kube-version=1.35.0"]
    done = subprocess.run(
        [*command, "--values=-"],
        input=json.dumps(yaml.safe_load(example)),
        capture_output=True,
        text=True,
        check=True,
    )
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading."""
    part = TEXT.partition(f" {heading}\n")[2].partition("\n#")[0]
    lines = re.findall(r"^\| (.*) \|$", part, re.MULTILINE)
    return [line.split(" | ") for line in lines if "---" not in line][1:]


def test_each_right_of_the_operator_has_its_row_and_no_other(rendered: list[dict[str, Any]]) -> None:
    given: dict[str, set[str]] = {}
    for role in rendered:
        if role["kind"] == "ClusterRole" and role["metadata"]["name"].startswith("modelwright-operator-"):
            for rule in role["rules"]:
                for resource in rule["resources"]:
                    given.setdefault(resource, set()).update(rule["verbs"])
    for policy in ("validatingadmissionpolicies", "validatingadmissionpolicybindings"):
        assert given.pop(policy) == {"get"}
    table = rows("Its rights")
    said = {
        resource: set(verbs.split(", "))
        for resources, verbs, _ in table
        for resource in re.findall(r"`([\w/]+)`", resources)
    }
    assert said.pop("leases") == {"get", "update; create"}
    assert said == given
    assert all(why for _, _, why in table)


def test_each_policy_of_the_chart_has_its_row(rendered: list[dict[str, Any]]) -> None:
    installed = {m["metadata"]["name"] for m in rendered if m["kind"] == "ValidatingAdmissionPolicy"}
    said = {cells[0].strip("`").replace("RELEASE", "modelwright") for cells in rows("What else is refused")}
    assert said == installed


def test_each_value_that_is_named_is_there() -> None:
    values = yaml.safe_load((ROOT / "charts/modelwright/values.yaml").read_text())
    named = set(re.findall(r"`((?:policies|scope|rbac|approvals|modelVersions|prometheus)\.[\w.]+)", TEXT))
    assert len(named) >= 6
    for name in named:
        part = values
        for key in name.split("."):
            part = part[key]
