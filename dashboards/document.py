"""Makes Grafana's JSON of a dashboard: the classic model, which Grafana 9 and later import."""

import json
from typing import Any

from dashboards.layout import Dashboard, Panel, Query, Row, Variable

SCHEMA_VERSION = 39
WIDTH = 24
HEIGHT = {"timeseries": 8, "stat": 4, "table": 8}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_LETTERS = "ABCDEFGHIJ"


def text(dashboard: Dashboard) -> str:
    """The file."""
    return json.dumps(document(dashboard), indent=1, ensure_ascii=False) + "\n"


def document(dashboard: Dashboard) -> dict[str, Any]:
    """The document, with a fixed uid, so that links to it last."""
    return {
        "uid": f"modelwright-{dashboard.name}",
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": ["modelwright"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "30s",
        "timezone": "browser",
        "links": [_links()],
        "templating": {"list": [_source(), *map(_variable, dashboard.variables)]},
        "annotations": {"list": []},
        "panels": _panels(dashboard.rows),
    }


def _links() -> dict[str, Any]:
    """The way to the other dashboards, with the same choices."""
    return {
        "type": "dashboards",
        "title": "Modelwright",
        "tags": ["modelwright"],
        "asDropdown": False,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
    }


def _source() -> dict[str, Any]:
    return {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
        "refresh": 1,
        "current": {},
        "hide": 0,
    }


def _variable(variable: Variable) -> dict[str, Any]:
    return {
        "name": variable.name,
        "label": variable.label,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": variable.query, "refId": variable.name},
        "definition": variable.query,
        "refresh": 2,
        "sort": 1,
        "regex": variable.regex,
        "multi": variable.many,
        "includeAll": variable.many,
        **({"allValue": ".*"} if variable.many else {}),
        "current": {},
        "hide": 0,
    }


def _panels(rows: tuple[Row, ...]) -> list[dict[str, Any]]:
    """All panels with their places: those of a row share its width."""
    made: list[dict[str, Any]] = []
    top = 0
    for row in rows:
        made.append(_heading(row.title, len(made) + 1, top))
        top += 1
        width = WIDTH // len(row.panels)
        for place, panel in enumerate(row.panels):
            made.append(_panel(panel, len(made) + 1, (place * width, top, width)))
        top += max(HEIGHT[panel.kind] for panel in row.panels)
    return made


def _heading(title: str, number: int, top: int) -> dict[str, Any]:
    place = {"x": 0, "y": top, "w": WIDTH, "h": 1}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": place}


def _panel(panel: Panel, number: int, place: tuple[int, int, int]) -> dict[str, Any]:
    left, top, width = place
    limits = {"min": 0, **({} if panel.most is None else {"max": panel.most})}
    made = {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "gridPos": {"x": left, "y": top, "w": width, "h": HEIGHT[panel.kind]},
        "targets": [
            _target(query, letter, panel) for query, letter in zip(panel.queries, _LETTERS, strict=False)
        ],
        "fieldConfig": {"defaults": {"unit": panel.unit, **limits, **_drawn(panel)}, "overrides": []},
        "options": _options(panel),
    }
    if panel.kind == "table":
        shown = {"excludeByName": dict.fromkeys(panel.hidden, True)}
        made["transformations"] = [{"id": "organize", "options": shown}]
    return made


def _drawn(panel: Panel) -> dict[str, Any]:
    if panel.kind != "timeseries":
        return {}
    mode = "normal" if panel.stacked else "none"
    filled = 20 if panel.stacked else 5
    return {"custom": {"lineWidth": 1, "fillOpacity": filled, "stacking": {"mode": mode}, "spanNulls": True}}


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "timeseries":
        legend = {"displayMode": "list", "placement": "bottom", "showLegend": True}
        return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    if panel.kind == "stat":
        newest = {"calcs": ["lastNotNull"], "fields": "", "values": False}
        return {"reduceOptions": newest, "colorMode": "none", "graphMode": "area", "textMode": "auto"}
    return {"showHeader": True}


def _target(query: Query, letter: str, panel: Panel) -> dict[str, Any]:
    instant = panel.kind == "table"
    return {
        "refId": letter,
        "datasource": SOURCE,
        "expr": query.expression,
        "legendFormat": query.legend,
        "instant": instant,
        "range": not instant,
        **({"format": "table"} if instant else {}),
    }
