"""Which pods' metrics are read while a canary has a share of the traffic, and the message about those that cannot be
read. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from modelwright.api.inferenceservice import Revision
from modelwright.common.resources import INFERENCE_SERVICES, REVISION
from modelwright.engine.cache import View
from modelwright.engine.objects import Body, Key, created, deleting, labels, uid
from modelwright.inferenceservice.manifests.names import ADMIN_PORT
from modelwright.inferenceservice.observed import Observed, observe
from modelwright.inferenceservice.rollout.steps import SHIFTING


@dataclass(frozen=True)
class Pod:
    """A pod whose metrics can be read."""

    uid: str
    address: str
    created: str
    revision: str


@dataclass(frozen=True)
class ScrapeTargets:
    """The pods whose metrics judge one revision since a moment."""

    about: Key
    uid: str
    since: str
    judged: str
    targets: tuple[Pod, ...]
    # The uids of the pods that are Ready: these must answer.
    ready: frozenset[str]
    # Callers reach the judged revision without the stable one, so its own counts are complete.
    direct: bool = False

    @property
    def subject(self) -> tuple[str, str]:
        """Identifies the step: counts of another step, or of an earlier object of the same name, are not used."""
        return self.uid, self.since


def scrape_targets(view: View, key: Key) -> ScrapeTargets | None:
    """The pods to read for an InferenceService; None if no canary has traffic and the stable revision does not bake."""
    status = (view.get(key) or {}).get("status") or {}
    shifting = (status.get("canary") or {}).get("state") in SHIFTING
    if not shifting and "bakeUntil" not in (status.get("stable") or {}):
        return None
    observed = observe(view, key)
    return None if observed is None else _targets(observed)


def unread(observed: Observed, *revisions: Revision | None) -> str:
    """Suffix for the Ready message that names those of the revisions whose metrics could not be read, and the remedy;
    empty if all were read."""
    if observed.trouble is not None:
        return f"; the metrics of its pods cannot be read: {observed.trouble}"
    silent = (
        {} if observed.measured is None else {each.revision: each.why for each in observed.measured.silent}
    )
    missing = [revision for revision in revisions if revision is not None and revision.revision in silent]
    if not missing:
        return ""
    whose = " and one of ".join(f"ModelVersion {revision.version}" for revision in missing)
    return (
        f"; a pod of {whose} cannot be asked for its metrics at port {ADMIN_PORT}: {silent[missing[0].revision]}; "
        "NetworkPolicies have to let the operator reach that port"
    )


def _targets(observed: Observed) -> ScrapeTargets | None:
    stable, canary, retired = observed.status.stable, observed.status.canary, observed.status.retired
    if stable is not None and canary is not None and canary.state in SHIFTING:
        since = canary.step_since or canary.since
        return _of_step(observed, since, canary.revision, {stable.revision, canary.revision})
    if stable is not None and retired is not None and stable.since is not None:
        return _of_step(observed, stable.since, stable.revision, {stable.revision}, direct=True)
    return None


def _of_step(
    observed: Observed, since: str, judged: str, revisions: set[str], *, direct: bool = False
) -> ScrapeTargets:
    key = Key(INFERENCE_SERVICES, observed.namespace, observed.name)
    ready = frozenset(uid(pod) for pod in observed.pods if _is_ready(pod))
    pods = tuple(_pods(observed, revisions))
    return ScrapeTargets(key, uid(observed.body), since, judged, pods, ready, direct)


def _pods(observed: Observed, revisions: set[str]) -> Iterator[Pod]:
    for pod in observed.pods:
        address = (pod.get("status") or {}).get("podIP")
        revision = labels(pod).get(REVISION, "")
        if isinstance(address, str) and address and revision in revisions and not deleting(pod):
            yield Pod(uid(pod), address, created(pod), revision)


def _is_ready(pod: Body) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(
        condition.get("type") == "Ready" and condition.get("status") == "True" for condition in conditions
    )
