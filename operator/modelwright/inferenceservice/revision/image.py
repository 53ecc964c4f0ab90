"""What another image of the server means for revisions that run: the administrator's policy. Pure.

OnNextRollout: a revision keeps the image that it was started with until something else of it changes. Now: a rollout to
the new image begins when the service's turn comes. Either leaves alone what is on its way, and what was rolled back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from modelwright.api.inferenceservice import (
    Analysis,
    CanaryRevision,
    InferenceServiceSpec,
    InferenceServiceStatus,
    Revision,
)
from modelwright.common.conditions import Summary, true_condition
from modelwright.common.reading import read_each
from modelwright.common.resources import INFERENCE_SERVICES
from modelwright.common.settings import Settings
from modelwright.engine.cache import View
from modelwright.engine.objects import Body, Key, deleting, name, namespace
from modelwright.inferenceservice.analysis.counts import StepCounts
from modelwright.inferenceservice.revision.revisions import is_same_but_image

# When a service counts again those whose turn is before its own: later, where there are many of them.
PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(seconds=600)
# What waits for a person may do so for weeks: it takes nobody's turn.
BY_HAND = frozenset(("CanaryPaused", "AwaitingApproval"))


@dataclass(frozen=True)
class Choice:
    """The revision to serve. `ahead`: so many services come before this one, which waits for its turn; else None."""

    revision: Revision
    ahead: int | None = None


def choice(
    status: InferenceServiceStatus,
    wanted: Revision,
    generation: int,
    settings: Settings,
    ahead: Callable[[], int],
) -> Choice:
    """The revision that is wanted, or one that is there already and differs from it in nothing but the image.

    `ahead` counts the services whose turn is before this one's; it is asked only if this one needs a turn.
    """
    stable, canary = status.stable, status.canary
    moving = canary if canary is not None and canary.state != "Failed" else None
    given_up = canary if canary is not None and canary.generation == generation and moving is None else None
    if stable is None or not is_same_but_image(stable, wanted):
        return Choice(_kept(wanted, moving, given_up, status.retired))
    if stable.image == wanted.image or settings.serving_image_policy == "OnNextRollout":
        return Choice(_kept(wanted, stable))
    tried = given_up if given_up is not None and given_up.image == wanted.image else None
    begun = _kept(wanted, moving, tried)
    if begun is not wanted:
        return Choice(begun)
    before = ahead()
    if before < settings.max_concurrent_rollouts:
        return Choice(wanted)
    return Choice(_kept(wanted, stable), before)


def _kept(wanted: Revision, *parts: Revision | None) -> Revision:
    """The first of the parts that differs from what is wanted in the image alone; what is wanted if there is none."""
    for part in parts:
        if part is not None and is_same_but_image(part, wanted):
            return wanted.model_copy(update={"revision": part.revision, "image": part.image})
    return wanted


def ahead(view: View, key: Key, image: str) -> int:
    """How many services are being rolled out, or wait for the image and come first by their key."""

    def is_before(service: Body) -> bool:
        other = Key(INFERENCE_SERVICES, namespace(service), name(service))
        return other != key and (_is_rolled_out(service) or (other < key and _waits(service, image)))

    services = (view.get(other) for other in view.keys(INFERENCE_SERVICES))
    return sum(before for _, before in read_each((s for s in services if s is not None), is_before))


def _is_rolled_out(service: Body) -> bool:
    status = service.get("status") or {}
    state = (status.get("canary") or {}).get("state")
    ready = [c.get("reason") for c in status.get("conditions") or () if c.get("type") == "Ready"]
    return state not in {None, "Failed"} and BY_HAND.isdisjoint(ready)


def _waits(service: Body, image: str) -> bool:
    """Whether a service will begin a rollout to the image when its turn comes. One that is not ready may never."""
    status = service.get("status") or {}
    stable = status.get("stable") or {}
    serves = bool(stable) and "canary" not in status and true_condition(service, "Ready") is not None
    return serves and stable.get("image") != image and not deleting(service)


def announced(summary: Summary, chosen: Choice | None, settings: Settings) -> Summary:
    """The summary on a service that serves, with what it waits for."""
    if chosen is None or chosen.ahead is None or not summary.ready:
        return summary
    most = settings.max_concurrent_rollouts
    others = "1 service is" if most == 1 else f"{most} services are"
    waiting = f"the new image of the server waits for its turn: {others} being rolled out"
    return replace(summary, message=f"{summary.message}; {waiting}")


def look_again(chosen: Choice | None, settings: Settings, now: datetime) -> list[datetime]:
    """When a service that waits for its turn has to be looked at again."""
    if chosen is None or chosen.ahead is None:
        return []
    return [now + min(LONGEST_PAUSE, PAUSE * (chosen.ahead // settings.max_concurrent_rollouts))]


def eased(
    spec: InferenceServiceSpec, stable: Revision | None, canary: CanaryRevision, counted: StepCounts | None
) -> InferenceServiceSpec:
    """The spec for a canary that differs from the stable revision in the image alone: it does not wait for samples that
    a service with little traffic never has. A check that fails still ends it."""
    if stable is None or not is_same_but_image(stable, canary) or counted is None:
        return spec
    analysis = spec.rollout.analysis or Analysis()
    if counted.asked == 0:
        analysis = analysis.model_copy(update={"on_no_data": "Promote", "no_data_seconds": 0})
    elif analysis.on_no_data == "Wait":
        analysis = analysis.model_copy(update={"on_no_data": "Promote"})
    rollout = spec.rollout.model_copy(update={"analysis": analysis})
    return spec.model_copy(update={"rollout": rollout})
