"""The PodDisruptionBudget of the revision that answers callers, while it has several pods. Pure.

A node drain evicts its pods one after the other. One pod alone has no budget: it could only block drains. So could the
budget of pods that mount a claim that one node at a time can have: no pod starts on another node before all of them
are gone.
"""

from __future__ import annotations

from collections.abc import Iterator

from modelwright.common.conditions import Aspect
from modelwright.common.resources import DISRUPTION_BUDGETS, INFERENCE_SERVICE, REVISION
from modelwright.common.settings import Settings
from modelwright.engine.objects import Key
from modelwright.engine.plan import Apply, Effect, deletions
from modelwright.inferenceservice.manifests.names import child_metadata
from modelwright.inferenceservice.observed import Observed
from modelwright.inferenceservice.revision.revisions import Revisions
from modelwright.workload.podspec import claims_of
from modelwright.workload.refusals import first_problem

LIMITED = "DisruptionsLimited"
FEWEST_PODS = 2
# The access modes with which pods on several nodes can mount a claim.
ON_MANY_NODES = frozenset(("ReadWriteMany", "ReadOnlyMany"))


def effects(observed: Observed, revisions: Revisions, settings: Settings) -> Iterator[Effect]:
    """The budget, or the deletion of one that is no longer wanted."""
    answering = revisions.answering
    if not _is_wanted(observed, settings) or _is_bound_to_a_node(observed, revisions):
        yield from deletions(DISRUPTION_BUDGETS, observed.disruption_budgets)
    elif answering is None or observed.deployment(answering.revision) is None:
        # There is no pod to protect, and it is not known yet what its pods mount.
        return
    elif observed.disruption_budgets_unseen is None:
        yield _manifest(observed, answering.revision)


def aspect(observed: Observed, revisions: Revisions, settings: Settings) -> Aspect | None:
    """The condition DisruptionsLimited: False while a budget that is wanted cannot be written, else None."""
    if not _is_wanted(observed, settings) or _is_bound_to_a_node(observed, revisions):
        return None
    if observed.disruption_budgets_unseen is not None:
        message = "the operator may not read PodDisruptionBudgets, so a node drain may evict all pods at once: grant "
        return Aspect(LIMITED, False, "RightMissing", f"{message}it what its chart does")
    problem = first_problem(observed.refused(DISRUPTION_BUDGETS))
    return None if problem is None else Aspect(LIMITED, False, problem.reason, problem.message)


def _is_bound_to_a_node(observed: Observed, revisions: Revisions) -> bool:
    """True if the pods that answer mount a claim that is not known to be for several nodes: one that the operator does
    not see, as it sees only those with its label, or one without such an access mode."""
    answering = revisions.answering
    deployment = None if answering is None else observed.deployment(answering.revision)
    claims = () if deployment is None else claims_of(deployment)
    modes = (
        ((observed.claims.get(claim) or {}).get("spec") or {}).get("accessModes") or () for claim in claims
    )
    return any(ON_MANY_NODES.isdisjoint(of_one) for of_one in modes)


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
            # A pod that is not ready answers no request, and must not keep a node from being drained.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }
    return Apply(Key(DISRUPTION_BUDGETS, observed.namespace, observed.name), body)
