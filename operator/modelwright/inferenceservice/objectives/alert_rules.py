"""The PrometheusRule of a service with objectives, and the condition that says whether it is there. Pure.

It is for people who are on call: whether it can be written has no say in Ready.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from modelwright.api.monitoring import AVAILABILITY_WINDOW_DAYS, Objectives
from modelwright.common.conditions import Aspect
from modelwright.common.resources import PROMETHEUS_RULES
from modelwright.common.settings import Settings
from modelwright.engine.objects import Key
from modelwright.engine.plan import Apply, Effect, deletions
from modelwright.inferenceservice.manifests.names import alert_rules_name, child_metadata
from modelwright.inferenceservice.objectives.groups import groups
from modelwright.inferenceservice.objectives.indicators import indicators
from modelwright.workload.refusals import first_problem

if TYPE_CHECKING:  # `observed` is of a package above
    from modelwright.inferenceservice.observed import Observed

INSTALLED = "AlertRulesInstalled"


def effects(observed: Observed, settings: Settings) -> Iterator[Effect]:
    """The rules of the objectives in the spec; their deletion if the spec has none, or the administrator wants none."""
    objectives = _objectives(observed)
    if objectives is None or settings.alert_rules is None:
        yield from deletions(PROMETHEUS_RULES, observed.alert_rules)
    elif observed.alert_rules_unseen is None:
        yield _manifest(observed, objectives, settings.alert_rules)


def aspect(observed: Observed, settings: Settings) -> Aspect | None:
    """The condition AlertRulesInstalled; None if the spec has no objectives."""
    objectives = _objectives(observed)
    if objectives is None:
        return None
    if settings.alert_rules is None:
        return Aspect(
            INSTALLED,
            False,
            "SwitchedOff",
            "this operator makes no alert rules: have metrics.serviceRules.enabled of its chart set",
        )
    if observed.alert_rules_unseen == "Unserved":
        return Aspect(
            INSTALLED,
            False,
            "PrometheusOperatorNotInstalled",
            "the cluster has no PrometheusRules (monitoring.coreos.com/v1), so spec.monitoring.slo makes no alerts: "
            "install the Prometheus Operator, or leave it out",
        )
    if observed.alert_rules_unseen is not None:
        return Aspect(
            INSTALLED,
            False,
            "RightMissing",
            "the operator may not read PrometheusRules: grant it what the chart does",
        )
    problem = first_problem(observed.refused(PROMETHEUS_RULES))
    if problem is not None:
        return Aspect(INSTALLED, False, problem.reason, problem.message)
    return _standing(observed, objectives)


def _standing(observed: Observed, objectives: Objectives) -> Aspect:
    if not observed.alert_rules:
        return Aspect(INSTALLED, None, "Pending", "the PrometheusRule is being written")
    found = indicators(objectives, observed.namespace, observed.name)
    promises = "; ".join(indicator.promise for indicator in found)
    message = f"PrometheusRule {alert_rules_name(observed)}, over {_window_days(objectives)} days: {promises}"
    return Aspect(INSTALLED, True, "Installed", message)


def _manifest(observed: Observed, objectives: Objectives, labels: tuple[tuple[str, str], ...]) -> Apply:
    rule = alert_rules_name(observed)
    meta, days = child_metadata(observed, rule), _window_days(objectives)
    body = {
        "apiVersion": PROMETHEUS_RULES.api_version,
        "kind": PROMETHEUS_RULES.kind,
        "metadata": {**meta, "labels": {**dict(labels), **meta["labels"]}},
        "spec": {
            "groups": [
                group
                for indicator in indicators(objectives, observed.namespace, observed.name)
                for group in groups(indicator, observed.namespace, observed.name, days)
            ]
        },
    }
    return Apply(Key(PROMETHEUS_RULES, observed.namespace, rule), body)


def _objectives(observed: Observed) -> Objectives | None:
    monitoring = observed.spec.monitoring
    return None if monitoring is None else monitoring.slo


def _window_days(objectives: Objectives) -> int:
    return AVAILABILITY_WINDOW_DAYS if objectives.window_days is None else objectives.window_days
