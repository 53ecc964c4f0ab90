"""Which pods' metrics are read while a canary has a share of the traffic, and the message about those that cannot be
read. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from modelwright.api.inferenceservice import CanaryRevision, RetiredRevision, Revision, StableRevision
from modelwright.common.conditions import true_condition
from modelwright.common.resources import INFERENCE_SERVICES, REVISION
from modelwright.engine.cache import View
from modelwright.engine.objects import Key, created, deleting, labels, uid
from modelwright.inferenceservice.manifests.names import ADMIN_PORT, COUNTS_FILE, counts_name
from modelwright.inferenceservice.monitoring.windows import short_digest
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
class Step:
    """What is measured: a step of the canary, or the bake of the stable revision."""

    since: str
    judged: str
    # The revisions that a step is about, and whose pods are read: the judged one, and that which answers beside it.
    revisions: frozenset[str]
    # The bake: callers reach the judged revision without the stable one, so its own counts are complete.
    direct: bool = False
    # The revision that one which bakes asks about the requests that it refuses.
    retired: str | None = None
    # What pods call the models of a canary and of the stable revision in feedback.
    model: str = ""
    stable_model: str = ""


@dataclass(frozen=True)
class ScrapeTargets:
    """The pods whose metrics judge one revision since a moment."""

    about: Key
    uid: str
    step: Step
    targets: tuple[Pod, ...]
    # The uids of the pods that are Ready: these must answer.
    ready: frozenset[str]
    # What is kept of a step, as text that has yet to be read.
    kept: object = None

    @property
    def subject(self) -> tuple[str, str, str]:
        """Identifies the step: counts of another step, or of an earlier object of the same name, are not used."""
        return self.uid, self.step.since, self.step.judged


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


def measured_step(
    stable: StableRevision | None, canary: CanaryRevision | None, retired: RetiredRevision | None
) -> Step | None:
    """The step that is measured now; None if no canary has traffic and the stable revision does not bake."""
    if stable is not None and canary is not None and canary.state in SHIFTING:
        return Step(
            canary.step_since or canary.since,
            canary.revision,
            frozenset((stable.revision, canary.revision)),
            model=short_digest(canary.artifact.digest),
            stable_model=short_digest(stable.artifact.digest),
        )
    if stable is None or retired is None or stable.since is None or stable.bake_until is None:
        return None
    revisions = frozenset((stable.revision,))
    return Step(stable.since, stable.revision, revisions, direct=True, retired=retired.revision)


def _targets(observed: Observed) -> ScrapeTargets | None:
    step = measured_step(observed.status.stable, observed.status.canary, observed.status.retired)
    if step is None:
        return None
    key = Key(INFERENCE_SERVICES, observed.namespace, observed.name)
    ready = frozenset(uid(pod) for pod in observed.pods if true_condition(pod, "Ready") is not None)
    pods = tuple(_pods(observed, step.revisions))
    config = observed.config(counts_name(observed))
    kept = None if config is None else (config.get("data") or {}).get(COUNTS_FILE)
    return ScrapeTargets(key, uid(observed.body), step, pods, ready, kept)


def _pods(observed: Observed, revisions: Collection[str]) -> Iterator[Pod]:
    for pod in observed.pods:
        address = (pod.get("status") or {}).get("podIP")
        revision = labels(pod).get(REVISION, "")
        if isinstance(address, str) and address and revision in revisions and not deleting(pod):
            yield Pod(uid(pod), address, created(pod), revision)
