"""docs/upgrading.md: its commands fit every release, and no option overrules the namespaces that objects name."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/upgrading.md").read_text()
TEMPLATES = ROOT / "charts/modelwright/templates"
CLUSTER_WIDE = re.compile(r"^kind: (Cluster\w+|ValidatingAdmissionPolicy\w*)$", re.MULTILINE)


def test_what_is_rendered_is_applied_without_a_namespace() -> None:
    """kubectl refuses, one by one, the objects of another namespace than the one it is given."""
    command = PAGE.split("helm template modelwright")[1].split("```")[0].replace("\\\n", " ").splitlines()[0]
    render, apply = (shlex.split(part) for part in command.split("|"))
    assert apply[:2] == ["kubectl", "apply"]
    assert "-n" in render
    assert not {"-n", "--namespace"} & set(apply)


def test_each_object_of_the_chart_names_its_namespace() -> None:
    objects = [
        part
        for path in TEMPLATES.rglob("*.yaml")
        for part in path.read_text().split("\n---\n")
        if re.search(r"^kind: ", part, re.MULTILINE)
    ]
    assert len(objects) > 15
    missing = [part for part in objects if "\n  namespace: {{" not in part and not CLUSTER_WIDE.search(part)]
    assert missing == []
