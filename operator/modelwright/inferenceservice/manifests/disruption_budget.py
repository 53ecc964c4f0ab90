"""The PodDisruptionBudget of the revision that answers callers, while it has several pods. Pure.

A node drain evicts its pods one after the other. One pod alone has no budget: it could only block drains.
"""

from __future__ import annotations

from collections.abc import Iterator

from modelwright.common.conditions import Aspect
from modelwright.common.resources import DISRUPTION_BUDGETS, INFERENCE_SERVICE, REVISION
from modelwright.common.settings import Settings
from modelwright.engine.objects import Key, deleting, name, uid
from modelwright.engine.plan import Apply, Delete, Effect
from modelwright.engine.refusal import Refusal
from modelwright.inferenceservice.manifests.names import child_metadata
from modelwright.inferenceservice.observed import Observed
from modelwright.inferenceservice.revision.revisions import Revisions
from modelwright.workload.refusals import first_problem

LIMITED = "DisruptionsLimited"
FEWEST_PODS = 2


def effects(observed: Observed, revisions: Revisions, settings: Settings) -> Iterator[Effect]:
    """The budget, or the deletion of one that is no longer wanted."""
    if not _is_wanted(observed, settings):
        for budget in observed.disruption_budgets:
            if not deleting(budget):
                yield Delete(Key(DISRUPTION_BUDGETS, observed.namespace, name(budget)), uid(budget))
    elif observed.disruption_budgets_unseen is None and (answering := revisions.answering) is not None:
        yield _manifest(observed, answering.revision)


def aspect(observed: Observed, settings: Settings) -> Aspect | None:
    """The condition DisruptionsLimited: False while the budget cannot be written, else None."""
    if not _is_wanted(observed, settings):
        return None
    if observed.disruption_budgets_unseen is not None:
        message = "the operator may not read PodDisruptionBudgets, so a node drain may evict all pods at once: grant "
        return Aspect(LIMITED, False, "RightMissing", f"{message}it what its chart does")
    problem = first_problem(refusals(observed))
    return None if problem is None else Aspect(LIMITED, False, problem.reason, problem.message)


def refusals(observed: Observed) -> tuple[Refusal, ...]:
    """The refused writes of the budget."""
    return tuple(each for each in observed.refusals if each.object.resource == DISRUPTION_BUDGETS)


def _is_wanted(observed: Observed, settings: Settings) -> bool:
    return settings.disruption_budgets and observed.spec.replicas >= FEWEST_PODS


def _manifest(observed: Observed, revision: str) -> Apply:
    body = {
        "apiVersion": DISRUPTION_BUDGETS.api_version,
        "kind": DISRUPTION_BUDGETS.kind,
        "metadata": child_metadata(observed, observed.name),
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": {INFERENCE_SERVICE: observed.name, REVISION: revision}},
            # A pod that is not ready answers nobody, and must not keep a node from being drained.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }
    return Apply(Key(DISRUPTION_BUDGETS, observed.namespace, observed.name), body)
