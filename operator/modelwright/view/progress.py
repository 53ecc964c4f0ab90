"""Summarizes the state of a rollout in a sentence, and whether it has ended. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from modelwright.api.base import NOT_OBSERVED
from modelwright.api.checks import need
from modelwright.view.model import Canary, InferenceService, Revision

Result = Literal["NotSeen", "InProgress", "Done", "RolledBack", "Failed"]


@dataclass(frozen=True)
class Stage:
    """The result so far, a sentence about it, and what a person can do."""

    result: Result
    sentence: str
    advice: tuple[str, ...] = ()

    @property
    def ended(self) -> bool:
        """True if nothing more happens by itself."""
        return self.result in {"Done", "RolledBack", "Failed"}


def stage(service: InferenceService) -> Stage:
    """Returns the state of the rollout."""
    canary = service.canary
    if not service.is_current:
        return _not_seen(service)
    if canary is not None and canary.state == "Failed":
        return _given_up(service, canary)
    if canary is not None:
        return Stage("InProgress", _on_its_way(service, canary), _what_to_do(service, canary))
    return _without_canary(service)


def _not_seen(service: InferenceService) -> Stage:
    observed = service.status.observed_generation
    since = "" if observed in (None, NOT_OBSERVED) else f"; what follows is of generation {observed}"
    return Stage(
        "NotSeen",
        f"the operator has not looked at generation {service.metadata.generation} of the spec yet{since}",
        (
            "If that lasts: is the operator running? kubectl get pods -A -l app.kubernetes.io/name=modelwright",
        ),
    )


def _given_up(service: InferenceService, canary: Canary) -> Stage:
    """RolledBack if the canary had reached a step, else Failed."""
    stable = service.status.stable
    why = canary.message or canary.reason or "the operator did not say why"
    reason = f"{canary.reason}: " if canary.reason and canary.message else ""
    kept = f"{stable.version} has all of the traffic" if stable else "nothing is served"
    back = f"go back to {stable.version}, " if stable else ""
    by_itself = (
        "It is tried again by itself; at once with" if canary.retry_at else "To try the same revision again"
    )
    advice = (
        f"{by_itself}: modelwright rollout retry {service.name}",
        f"Else change the spec: {back}name a better version, or mend what the reason names",
    )
    if canary.step is None and canary.reason != "Aborted":
        return Stage("Failed", f"{canary.version} was given up: {reason}{why}; {kept}", advice)
    return Stage("RolledBack", f"{canary.version} was rolled back: {reason}{why}; {kept}", advice)


def _on_its_way(service: InferenceService, canary: Canary) -> str:
    if canary.stand_in_since is not None and service.status.stable is not None:
        return f"no pod of {service.status.stable.version} is ready; {canary.version} answers all requests until one is"
    match canary.state:
        case "Progressing":
            ready = _waits_for(service)
            return f"the pods of {canary.version} start; it has no share of the traffic yet{ready}"
        case "Shifting":
            waiting = [need(check) for check in canary.checks if check.result != "Pass"]
            needs = f"; waits for {'; '.join(waiting)}" if waiting else ""
            return f"{canary.version} answers {canary.weight or 0} % of the requests{_place(service, canary)}{needs}"
        case "Completing":
            return f"{canary.version} has passed its last step; it takes over when the rest of its pods are ready"
    return f"{canary.version} is {canary.state}"


def _place(service: InferenceService, canary: Canary) -> str:
    step, steps = canary.step or 0, service.steps
    if not steps:
        return ""
    place = f", at step {step + 1} of {len(steps)}"
    weight = steps[min(step, len(steps) - 1)].weight
    if weight != (canary.weight or 0):
        place += f"; it gets {weight} % when the pods for that are ready"
    return f"{place}; it is paused there" if service.is_paused else place


def _waits_for(service: InferenceService) -> str:
    """What keeps the canary's pods from being ready, if Ready names it."""
    ready = service.condition("Ready")
    if ready is None or ready.status == "True" or ready.reason in {"RevisionStarting", "CanaryInProgress"}:
        return ""
    return f" ({ready.reason}: {ready.message})"


def _what_to_do(service: InferenceService, canary: Canary) -> tuple[str, ...]:
    if canary.state == "Shifting" and service.spec.rollout.paused:
        by_hand = f"modelwright rollout promote {service.name}"
        return (f"It goes on when spec.rollout.paused is false, or by one step with: {by_hand}",)
    if canary.state == "Shifting" and canary.paused:
        return (f"It goes on with: modelwright rollout resume {service.name}",)
    if canary.state == "Shifting" and needs_approval(service, canary):
        by_spec = f"spec.rollout.approvedRevision: {canary.revision}"
        return (f"The step waits for approval: {by_spec}, or modelwright rollout promote {service.name}",)
    return ()


def needs_approval(service: InferenceService, canary: Canary) -> bool:
    """True if the canary's present step waits for an approval that the spec does not give yet."""
    step = canary.step or 0
    required = bool(service.steps) and bool(service.steps[min(step, len(service.steps) - 1)].approval)
    return required and service.spec.rollout.approved_revision != canary.revision


def _without_canary(service: InferenceService) -> Stage:
    stable, ready = service.status.stable, service.condition("Ready")
    why = "" if ready is None else f"{ready.reason}: {ready.message}"
    if stable is None:
        return Stage("Failed" if service.holds("Stalled") else "InProgress", f"nothing is served yet; {why}")
    if service.holds("Ready"):
        text = f"no rollout is in progress; {stable.version} has all of the traffic"
        if ready is not None and ready.reason == "Undone":
            text = ready.message
        return Stage("Done", text, _undo(service))
    if service.holds("Stalled"):
        return Stage("Failed", f"{stable.version} has all of the traffic; {why}")
    return Stage("InProgress", f"{stable.version} has all of the traffic; {why}", _undo(service))


def _undo(service: InferenceService) -> tuple[str, ...]:
    before = service.way_back
    if before is None:
        return ()
    turn = "has the traffic again" if before.undone else "is back"
    return (
        f"As long as {before.version} runs, it {turn} at once with: modelwright rollout undo {service.name}",
    )


def is_rolled_back(service: InferenceService, revision: str | None) -> bool:
    """True if this former canary was rolled back.

    With `track: Latest` the canary may be gone from the status already, so the last decision counts.
    """
    last, stable = service.status.last_decision, service.status.stable
    serves = stable is not None and stable.revision == revision
    return last is not None and last.verdict == "Rollback" and last.revision == revision and not serves


def pods(revision: Revision) -> str:
    """Returns how many of the revision's pods are ready."""
    return f"{revision.ready_replicas or 0} of {revision.replicas or 0} pods ready"
