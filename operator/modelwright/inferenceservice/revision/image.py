"""When running revisions get another image of the server, by the administrator's policy. Pure.

OnNextRollout: a revision keeps its image until something else of it changes. Now: a rollout to the new image begins
when it is the service's turn. Neither policy touches a canary, or a revision that was rolled back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice

from modelwright.api.inferenceservice import (
    Analysis,
    CanaryRevision,
    InferenceServiceSpec,
    InferenceServiceStatus,
    Revision,
)
from modelwright.common.conditions import Summary, true_condition
from modelwright.common.indexes import SERVICES_ROLLED_OUT, YES
from modelwright.common.reading import read_each
from modelwright.common.resources import INFERENCE_SERVICES
from modelwright.common.settings import Settings
from modelwright.engine.cache import View
from modelwright.engine.objects import Body, Key, deleting
from modelwright.inferenceservice.analysis.counts import StepCounts
from modelwright.inferenceservice.revision.revisions import is_same_but_image

# How soon a service checks again whether it is its turn: the more services are ahead, the later.
PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(seconds=600)
# With so many turns ahead the pause is the longest: more need not be counted.
MOST_TURNS = LONGEST_PAUSE // PAUSE


@dataclass(frozen=True)
class Choice:
    """The revision to serve. `ahead`: how many services come first, if this one waits for its turn; else None."""

    revision: Revision
    ahead: int | None = None


def choice(
    status: InferenceServiceStatus,
    target: Revision,
    is_of_this_spec: Callable[[CanaryRevision], bool],
    settings: Settings,
    ahead: Callable[[], int],
) -> Choice:
    """Returns the revision in the spec, or one that exists already and differs from it in the image alone.

    `is_of_this_spec`: whether a canary was given up under the present spec.
    `ahead` counts the services whose turn comes first. It is called only if this service has to wait for a turn.
    """
    stable, canary = status.stable, status.canary
    moving = canary if canary is not None and canary.state != "Failed" else None
    given_up = canary if canary is not None and moving is None and is_of_this_spec(canary) else None
    if stable is None or not is_same_but_image(stable, target):
        return Choice(_kept(target, moving, given_up, status.retired))
    if stable.image == target.image or settings.serving_image_policy == "OnNextRollout":
        return Choice(_kept(target, stable))
    tried = given_up if given_up is not None and given_up.image == target.image else None
    begun = _kept(target, moving, tried)
    if begun is not target:
        return Choice(begun)
    before = ahead()
    if before < settings.max_concurrent_rollouts:
        return Choice(target)
    return Choice(_kept(target, stable), before)


def _kept(target: Revision, *existing: Revision | None) -> Revision:
    """The first existing revision that differs from `target` in the image alone; `target` itself if there is none."""
    for revision in existing:
        if revision is not None and is_same_but_image(revision, target):
            return target.model_copy(update={"revision": revision.revision, "image": revision.image})
    return target


def ahead(view: View, key: Key, image: str, most: int) -> int:
    """How many services are being rolled out, or wait for this image and come first by their key; `most` if there are
    more."""
    moving = {other for other in view.indexed_keys(SERVICES_ROLLED_OUT, YES) if other != key}
    waiting = (other for other in view.keys(INFERENCE_SERVICES) if other < key and other not in moving)
    services = (service for other in waiting if (service := view.get(other)) is not None)
    first = (True for _, waits in read_each(services, lambda service: _waits(service, image)) if waits)
    return len(moving) + sum(islice(first, max(0, most - len(moving))))


def _waits(service: Body, image: str) -> bool:
    """True if a service will begin a rollout to the image at its turn. One that is not ready may never do so."""
    status = service.get("status") or {}
    stable = status.get("stable") or {}
    serves = bool(stable) and "canary" not in status and true_condition(service, "Ready") is not None
    return serves and stable.get("image") != image and not deleting(service)


def announced(summary: Summary, chosen: Choice | None, settings: Settings) -> Summary:
    """The summary; of a ready service that waits for its turn, with a message about that."""
    if chosen is None or chosen.ahead is None or not summary.ready:
        return summary
    most = settings.max_concurrent_rollouts
    others = "1 service is" if most == 1 else f"{most} services are"
    waiting = f"the new image of the server waits for its turn: {others} being rolled out"
    return replace(summary, message=f"{summary.message}; {waiting}")


def times(chosen: Choice | None, settings: Settings, now: datetime) -> list[datetime]:
    """When to reconcile a service that waits for its turn; empty if it does not wait."""
    if chosen is None or chosen.ahead is None:
        return []
    return [now + min(LONGEST_PAUSE, PAUSE * (chosen.ahead // settings.max_concurrent_rollouts))]


def eased(
    spec: InferenceServiceSpec, stable: Revision | None, canary: CanaryRevision, counted: StepCounts | None
) -> InferenceServiceSpec:
    """The spec to judge a canary by. One that differs from the stable revision in the image alone does not wait for
    samples that a service with little traffic never has; a failed check still rolls it back."""
    if stable is None or not is_same_but_image(stable, canary) or counted is None:
        return spec
    analysis = spec.rollout.analysis or Analysis()
    if counted.requests == 0:
        analysis = analysis.model_copy(update={"on_no_data": "Promote", "no_data_seconds": 0})
    elif analysis.on_no_data == "Wait":
        analysis = analysis.model_copy(update={"on_no_data": "Promote"})
    rollout = spec.rollout.model_copy(update={"analysis": analysis})
    return spec.model_copy(update={"rollout": rollout})
