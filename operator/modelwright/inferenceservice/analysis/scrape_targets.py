"""Which pods have to be asked while a canary has a share of the traffic. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from modelwright.common.resources import INFERENCE_SERVICES, REVISION
from modelwright.engine.cache import View
from modelwright.engine.objects import Key, created, deleting, labels, uid
from modelwright.inferenceservice.observed import Observed, observe
from modelwright.inferenceservice.rollout.machine import SHIFTING


@dataclass(frozen=True)
class Pod:
    """A pod that can be asked."""

    uid: str
    address: str
    created: str
    revision: str


@dataclass(frozen=True)
class Campaign:
    """What one revision is measured for since a moment, and who knows about it.

    `direct`: callers reach the judged revision by themselves, so that its own counts are all of them.
    """

    key: Key
    uid: str
    since: str
    judged: str
    pods: tuple[Pod, ...]
    direct: bool = False


def campaigns(view: View, keys: Iterable[Key]) -> Iterator[Campaign]:
    """Those of these InferenceServices whose canary has a share of the traffic, or whose stable revision is baked."""
    for key in keys:
        body = view.get(key)
        status = (body or {}).get("status") or {}
        shifting = (status.get("canary") or {}).get("state") in SHIFTING
        if not shifting and "bakeUntil" not in (status.get("stable") or {}):
            continue
        observed = observe(view, key)
        campaign = None if observed is None else _campaign(observed)
        if campaign is not None:
            yield campaign


def _campaign(observed: Observed) -> Campaign | None:
    stable, canary, retired = observed.status.stable, observed.status.canary, observed.status.retired
    key = Key(INFERENCE_SERVICES, observed.namespace, observed.name)
    if stable is not None and canary is not None and canary.state in SHIFTING:
        pods = tuple(_pods(observed, {stable.revision, canary.revision}))
        since = canary.step_since or canary.since
        return Campaign(key, uid(observed.body), since, canary.revision, pods)
    if stable is not None and retired is not None and stable.since is not None:
        pods = tuple(_pods(observed, {stable.revision}))
        return Campaign(key, uid(observed.body), stable.since, stable.revision, pods, direct=True)
    return None


def _pods(observed: Observed, revisions: set[str]) -> Iterator[Pod]:
    for pod in observed.pods:
        address = (pod.get("status") or {}).get("podIP")
        revision = labels(pod).get(REVISION, "")
        if address and revision in revisions and not deleting(pod):
            yield Pod(uid(pod), address, created(pod), revision)
