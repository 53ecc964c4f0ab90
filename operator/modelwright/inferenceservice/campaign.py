"""Which pods have to be asked while a canary has a share of the traffic. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from modelwright.common.resources import INFERENCE_SERVICES, REVISION
from modelwright.engine.cache import View
from modelwright.engine.objects import Key, created, deleting, labels, uid
from modelwright.inferenceservice.observed import Observed, observe
from modelwright.inferenceservice.rollout import SHIFTING


@dataclass(frozen=True)
class Pod:
    """A pod that can be asked."""

    uid: str
    address: str
    created: str
    revision: str


@dataclass(frozen=True)
class Campaign:
    """One step of one canary, and who knows about it."""

    key: Key
    uid: str
    since: str
    canary: str
    pods: tuple[Pod, ...]


def campaigns(view: View, keys: Iterable[Key]) -> Iterator[Campaign]:
    """Those of the InferenceServices among these keys whose canary has a share of the traffic."""
    for key in keys:
        body = view.get(key)
        canary = ((body or {}).get("status") or {}).get("canary") or {}
        if key.resource != INFERENCE_SERVICES or canary.get("state") not in SHIFTING:
            continue
        observed = observe(view, key)
        status = observed.status if observed is not None else None
        if observed is None or status is None or status.stable is None or status.canary is None:
            continue
        yield Campaign(
            key,
            uid(observed.body),
            status.canary.step_since or status.canary.since,
            status.canary.revision,
            tuple(_pods(observed, {status.stable.revision, status.canary.revision})),
        )


def _pods(observed: Observed, revisions: set[str]) -> Iterator[Pod]:
    for pod in observed.pods:
        address = (pod.get("status") or {}).get("podIP")
        revision = labels(pod).get(REVISION, "")
        if address and revision in revisions and not deleting(pod):
            yield Pod(uid(pod), address, created(pod), revision)
