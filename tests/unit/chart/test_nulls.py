"""null drops a value, as in each chart: the release then does without it, or says that it cannot."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from unit.chart.rendering import Chart

Path = tuple[str, ...]

# What has templates that null must not break, and is off by default. The definitions are long, and have a test below.
ENABLED: dict[str, Any] = {
    "crds": {"enabled": False},
    "metrics": {
        "serviceMonitor": {"enabled": True},
        "podMonitor": {"enabled": True},
        "prometheusRule": {"enabled": True},
        "dashboards": {"enabled": True},
    },
    "networkPolicy": {"enabled": True, "workloads": {"enabled": True, "namespaces": ["shop"]}},
    "policies": {"trainingJobs": {"enabled": True}},
    "prometheus": {"url": "https://prometheus.corp"},
}
# The schema asks for these: what is within them is used by many templates. Those of a line are null in one render.
REQUIRED: tuple[tuple[str, ...], ...] = (
    (
        "image", "servingImage", "trainingImage", "scope", "crds", "workloads", "artifacts", "stores", "modelVersions",
        "approvals", "policies", "prometheus", "podDisruptionBudget", "serviceAccount", "rbac", "metrics",
        "networkPolicy",
    ),
    (
        "image.repository", "workloads.training", "workloads.serving", "approvals.policy", "policies.operator",
        "policies.trainingJobs", "metrics.service", "metrics.serviceMonitor", "metrics.prometheusRule",
        "metrics.serviceRules", "podSecurityContext.seccompProfile.type",
    ),
    ("servingImage.repository",),
    ("trainingImage.repository",),
)  # fmt: skip
# The release cannot do without these where they are used, and says so by this.
NEEDED: dict[str, str] = {
    "serviceAccount.create": "name an account",
    "metrics.service.enabled": "needs metrics.service.enabled",
    "metrics.service.port": "metrics.service.port is null, and metrics.service.enabled needs it",
    "metrics.prometheusRule.queueOldestSeconds": "queueOldestSeconds is null, and metrics.prometheusRule.enabled needs",
    "metrics.prometheusRule.stuckSeconds": "stuckSeconds is null, and metrics.prometheusRule.enabled needs it",
    "networkPolicy.apiServerPorts": "networkPolicy.apiServerPorts is null, and networkPolicy.enabled needs it",
    "networkPolicy.dnsPorts": "networkPolicy.dnsPorts is null, and networkPolicy.enabled needs it",
    "networkPolicy.prometheusPorts": "networkPolicy.prometheusPorts is null, and prometheus.url needs it",
    "networkPolicy.workloads.namespaces": "needs networkPolicy.workloads.namespaces",
}  # fmt: skip


def paths(values: Mapping[str, Any], above: Path = ()) -> Iterator[Path]:
    """All values, groups of values among them."""
    for key, value in values.items():
        yield (*above, key)
        if isinstance(value, Mapping):
            yield from paths(value, (*above, key))


def without(values: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The values, and null at a path."""
    key, rest = path[0], path[1:]
    below = values.get(key)
    return {**values, key: without(below if isinstance(below, Mapping) else {}, rest) if rest else None}


def nulls(given: Iterable[Path]) -> dict[str, Any]:
    """Values with null at some paths."""
    return functools.reduce(without, given, ENABLED)


def together(optional: list[Path]) -> Iterator[list[Path]]:
    """What is null in one render: no value with a group that holds it, and none with a switch that leaves it out."""
    switches = [path for path in optional if path[-1] in ("enabled", "create")]
    yield switches
    rest = [path for path in optional if path not in switches]
    for depth in sorted({len(path) for path in rest}):
        of_one_depth = [path for path in rest if len(path) == depth]
        yield from (of_one_depth[start::3] for start in range(3))


def test_null_at_each_value_is_rendered_or_refused_with_a_reason(chart: Chart) -> None:
    """A render takes a tenth of a second: values that the release can do without share some."""
    known = {".".join(path): path for path in paths(chart.values())}
    for names in REQUIRED:
        refused = chart.refusal(nulls(known[name] for name in names))
        for name in names:
            assert re.search(f"missing propert.*'{name.rpartition('.')[2]}'", refused), name
    for name, reason in NEEDED.items():
        assert reason in chart.refusal(nulls([known[name]])), name

    required = {*NEEDED, *itertools.chain(*REQUIRED)}
    assert required <= known.keys()
    optional = [path for name, path in known.items() if name not in required]
    parts = list(together(optional))
    assert sorted(path for part in parts for path in part) == sorted(optional)
    for part in parts:
        assert "nil>" not in str(chart.render(nulls(part)).manifests), part


def test_null_is_as_if_the_default_were_empty(chart: Chart) -> None:
    lists, maps = (
        ("imagePullSecrets", "extraArgs", "extraVolumes"),
        ("podLabels", "podAnnotations", "commonLabels"),
    )
    empty: dict[str, Any] = {**{name: [] for name in lists}, **{name: {} for name in maps}}
    assert chart.render(dict.fromkeys(empty)) == chart.render(empty)


def test_definitions_that_are_not_said_to_be_kept_go_with_the_release(chart: Chart) -> None:
    definitions = chart.render({"crds": {"keep": None}}).of("CustomResourceDefinition")
    assert len(definitions) == 3
    assert not [
        one for one in definitions if "helm.sh/resource-policy" in one["metadata"].get("annotations", {})
    ]


def test_an_option_without_a_value_is_left_to_the_operator(chart: Chart) -> None:
    arguments = chart.render({"logLevel": None, "artifacts": {"size": None}}).container()["args"]
    assert not [one for one in arguments if one.startswith(("--log-level", "--artifacts-size"))]
    assert "--health-port=8080" in arguments
