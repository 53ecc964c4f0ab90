"""Every expression of a dashboard can be read by Prometheus, and names series that the programs have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from dashboards import DASHBOARDS
from dashboards.document import document, text
from dashboards.layout import Dashboard, Panel
from support.prometheus import promtool
from unit.dashboards.series import (
    OF_PODS,
    Series,
    exposed,
    groupings,
    operator_series,
    recorded_series,
    series_of,
)
from unit.serving import models
from unit.serving.harness import matrix, serving

SHIPPED = Path(__file__).parents[3] / "charts/modelwright/files/dashboards"
EACH = pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda each: each.name)


def filled(expression: str) -> str:
    """The expression as Grafana sends it."""
    return re.sub(r"\$__rate_interval", "5m", expression).replace("$", "some")


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Series:
    """The series of a real server that has answered, of an operator, and of recorded rules."""
    model, path = models.cancer(), tmp_path_factory.mktemp("model") / "model.onnx"
    path.write_bytes(model.content)
    rule = path.with_name("rule.json")
    rule.write_text(
        json.dumps({"revision": "next", "host": "127.0.0.1", "port": 1, "weight": 50, "mirror": 50})
    )
    with serving(path, "--traffic", str(rule)) as served:
        served.wait_ready().infer(matrix(model.rows[:3]))
        served.infer(matrix(model.rows[:3]))
        served.call("POST", "/v2/models/churn/infer", {}, modelwright_delegated="1")
        exposition = served.call("GET", "/metrics", port=served.admin_port).body.decode()
    return {**operator_series(), **recorded_series(), **exposed(exposition, OF_PODS)}


def expressions(dashboard: Dashboard) -> Iterator[tuple[Panel, str, str]]:
    for panel in dashboard.panels:
        for query in panel.queries:
            yield panel, query.expression, query.legend


@EACH
def test_the_chart_ships_what_the_code_makes(dashboard: Dashboard) -> None:
    assert (SHIPPED / f"{dashboard.name}.json").read_text() == text(dashboard), "run `make generate`"


@EACH
def test_every_expression_is_one(dashboard: Dashboard, tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": filled(expression)}
        for number, (_, expression, _) in enumerate(expressions(dashboard))
    ]
    file = tmp_path / "rules.json"
    file.write_text(json.dumps({"groups": [{"name": dashboard.name, "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", file)


@EACH
def test_every_series_and_label_is_exposed(dashboard: Dashboard, known: Series) -> None:
    for panel, expression, legend in expressions(dashboard):
        used = series_of(expression)
        assert used, panel.title
        assert used.keys() <= known.keys(), panel.title
        for series, labels in used.items():
            assert labels <= known[series], (panel.title, series)
        assert groupings(expression) - {"le"} <= frozenset.union(*(known[series] for series in used)), (
            panel.title
        )
        told = set(re.findall(r"{{(\w+)}}", legend))
        of_all = frozenset.intersection(*(known[series] for series in used))
        assert told <= (groupings(expression) or of_all), panel.title
    for variable in dashboard.variables:
        series, label = re.fullmatch(r"label_values\((\w+)(?:\{.*\})?, (\w+)\)", variable.query).groups()  # type: ignore[union-attr]
        assert label in known[series]


@EACH
def test_panels_lie_beside_each_other_and_have_one_title_each(dashboard: Dashboard) -> None:
    panels = document(dashboard)["panels"]
    taken = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24
    titles = [panel["title"] for panel in panels if panel["type"] != "row"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len(set(titles)) == len(titles)
    assert all(panel.description for panel in dashboard.panels)
