"""How Prometheus is reached, from the values to the operator's options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from unit.chart.rendering import Chart, Rendered

from modelwright.common.settings import Prometheus
from modelwright.options import parse

URL = "https://prometheus.corp:9090"
KEY = {"name": "given", "key": "some.pem"}


def files(rendered: Rendered) -> dict[str, dict[str, Any]]:
    """The volumes of the operator's pod by the path of their mount."""
    spec = rendered.pod()["spec"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    return {mount["mountPath"]: volumes[mount["name"]] for mount in rendered.container()["volumeMounts"]}


@pytest.mark.parametrize(
    ("name", "kind", "named"),
    [("caConfigMapRef", "configMap", "name"), ("caSecretRef", "secret", "secretName")],
)
def test_files_are_where_the_options_say(chart: Chart, name: str, kind: str, named: str) -> None:
    given = {
        "url": URL,
        name: KEY,
        "tokenSecretRef": {"name": "t", "key": "k"},
        "tenant": "a",
        "headers": {"X-B": "1"},
    }
    rendered = chart.render({"prometheus": given})
    found = parse(rendered.container()["args"]).prometheus
    assert found == Prometheus(
        URL,
        Path("/etc/prometheus/ca/ca.crt"),
        Path("/etc/prometheus/token/token"),
        (("X-Scope-OrgID", "a"), ("X-B", "1")),
    )
    mounted = files(rendered)
    assert mounted["/etc/prometheus/ca"][kind] == {
        named: "given",
        "items": [{"key": "some.pem", "path": "ca.crt"}],
        "optional": True,
    }
    assert mounted["/etc/prometheus/token"]["secret"]["items"] == [{"key": "k", "path": "token"}]


def test_nothing_is_mounted_where_nothing_is_given(default: Rendered) -> None:
    assert set(files(default)) == {"/tmp"}


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"tenant": "a"}, "prometheus.url is empty"),
        ({"tokenSecretRef": KEY}, "prometheus.url is empty"),
        ({"url": "http://p", "tokenSecretRef": KEY}, "would be sent in plain text"),
        ({"url": "http://p", "caSecretRef": KEY}, "are for https"),
        ({"url": URL, "caSecretRef": KEY, "caConfigMapRef": KEY}, "set at most one of the two"),
        ({"url": URL, "headers": {"Authorization": "Bearer x"}}, "a token is tokenSecretRef"),
        ({"url": URL, "tenant": "a", "headers": {"x-scope-orgid": "b"}}, "remove one"),
        ({"url": URL, "caSecretRef": {"name": "a"}}, "caSecretRef"),
        ({"url": URL, "headers": {"A B": "x"}}, "invalid propertyName"),
    ],
)
def test_values_that_cannot_work_are_refused(chart: Chart, values: dict[str, Any], complaint: str) -> None:
    assert complaint in chart.refusal({"prometheus": values})
