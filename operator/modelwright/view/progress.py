"""Where a rollout stands, in a sentence, and whether it is over. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from modelwright.api.base import NOT_OBSERVED
from modelwright.view.model import Canary, InferenceService, Revision

Result = Literal["NotSeen", "InProgress", "Done", "RolledBack", "Failed"]


@dataclass(frozen=True)
class Stage:
    """The result so far, what is so, and what somebody may do about it."""

    result: Result
    sentence: str
    advice: tuple[str, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether nothing more happens by itself."""
        return self.result in {"Done", "RolledBack", "Failed"}


def stage(seen: InferenceService) -> Stage:
    """Where it stands."""
    canary = seen.canary
    if not seen.is_current:
        return _not_seen(seen)
    if canary is not None and canary.state == "Failed":
        return _given_up(seen, canary)
    if canary is not None:
        return Stage("InProgress", _on_its_way(seen, canary), _what_to_do(seen, canary))
    return _without_canary(seen)


def _not_seen(seen: InferenceService) -> Stage:
    known = seen.status.observed_generation
    since = "" if known in (None, NOT_OBSERVED) else f"; what follows is of generation {known}"
    return Stage(
        "NotSeen",
        f"the operator has not looked at generation {seen.metadata.generation} of the spec yet{since}",
        (
            "If that lasts: is the operator running? kubectl get pods -A -l app.kubernetes.io/name=modelwright",
        ),
    )


def _given_up(seen: InferenceService, canary: Canary) -> Stage:
    """Rolled back where it had begun to take steps, else it never got that far."""
    stable = seen.status.stable
    why = canary.message or canary.reason or "the operator did not say why"
    reason = f"{canary.reason}: " if canary.reason and canary.message else ""
    kept = f"{stable.version} has all of the traffic" if stable else "nothing is served"
    back = f"go back to {stable.version}, " if stable else ""
    by_itself = (
        "It is tried again by itself; at once with" if canary.retry_at else "To try the same revision again"
    )
    advice = (
        f"{by_itself}: modelwright rollout retry {seen.name}",
        f"Else change the spec: {back}name a better version, or mend what the reason names",
    )
    if canary.step is None and canary.reason != "Aborted":
        return Stage("Failed", f"{canary.version} was given up: {reason}{why}; {kept}", advice)
    return Stage("RolledBack", f"{canary.version} was rolled back: {reason}{why}; {kept}", advice)


def _on_its_way(seen: InferenceService, canary: Canary) -> str:
    if canary.stand_in_since is not None and seen.status.stable is not None:
        return f"no pod of {seen.status.stable.version} is ready; {canary.version} answers all requests until one is"
    match canary.state:
        case "Progressing":
            ready = _waits_for(seen)
            return f"the pods of {canary.version} start; it has no share of the traffic yet{ready}"
        case "Shifting":
            needs = f"; waits for {', '.join(canary.waiting_for)}" if canary.waiting_for else ""
            return f"{canary.version} answers {canary.weight or 0} % of the requests{_place(seen, canary)}{needs}"
        case "Completing":
            return f"{canary.version} has passed its last step; it takes over when the rest of its pods are ready"
    return f"{canary.version} is {canary.state}"


def _place(seen: InferenceService, canary: Canary) -> str:
    step, steps = canary.step or 0, seen.steps
    if not steps:
        return ""
    place = f", at step {step + 1} of {len(steps)}"
    asked = steps[min(step, len(steps) - 1)].weight
    if asked != (canary.weight or 0):
        place += f"; it gets {asked} % when the pods for that are ready"
    return f"{place}; it is paused there" if seen.is_paused else place


def _waits_for(seen: InferenceService) -> str:
    """What keeps its pods from being ready, if the operator has found out."""
    ready = seen.condition("Ready")
    if ready is None or ready.status == "True" or ready.reason in {"RevisionStarting", "CanaryInProgress"}:
        return ""
    return f" ({ready.reason}: {ready.message})"


def _what_to_do(seen: InferenceService, canary: Canary) -> tuple[str, ...]:
    if canary.state == "Shifting" and seen.spec.rollout.paused:
        by_hand = f"modelwright rollout promote {seen.name}"
        return (f"It goes on when spec.rollout.paused is false, or by one step with: {by_hand}",)
    if canary.state == "Shifting" and canary.paused:
        return (f"It goes on with: modelwright rollout resume {seen.name}",)
    if canary.state == "Shifting" and needs_approval(seen, canary):
        by_spec = f"spec.rollout.approvedRevision: {canary.revision}"
        return (f"The step waits for approval: {by_spec}, or modelwright rollout promote {seen.name}",)
    return ()


def needs_approval(seen: InferenceService, canary: Canary) -> bool:
    """Whether the step that the canary is at ends only when somebody says so."""
    step = canary.step or 0
    asks = bool(seen.steps) and bool(seen.steps[min(step, len(seen.steps) - 1)].approval)
    return asks and seen.spec.rollout.approved_revision != canary.revision


def _without_canary(seen: InferenceService) -> Stage:
    stable, ready = seen.status.stable, seen.condition("Ready")
    why = "" if ready is None else f"{ready.reason}: {ready.message}"
    if stable is None:
        return Stage("Failed" if seen.holds("Stalled") else "InProgress", f"nothing is served yet; {why}")
    if seen.holds("Ready"):
        text = f"no rollout is in progress; {stable.version} has all of the traffic"
        if ready is not None and ready.reason == "Undone":
            text = ready.message
        return Stage("Done", text, _undo(seen))
    if seen.holds("Stalled"):
        return Stage("Failed", f"{stable.version} has all of the traffic; {why}")
    return Stage("InProgress", f"{stable.version} has all of the traffic; {why}", _undo(seen))


def _undo(seen: InferenceService) -> tuple[str, ...]:
    before = seen.way_back
    if before is None:
        return ()
    turn = "has the traffic again" if before.undone else "is back"
    return (
        f"As long as {before.version} runs, it {turn} at once with: modelwright rollout undo {seen.name}",
    )


def is_rolled_back(seen: InferenceService, revision: str | None) -> bool:
    """Whether this revision, which was the canary, was sent back; a family's next look forgets that it was one."""
    last, stable = seen.status.last_decision, seen.status.stable
    serves = stable is not None and stable.revision == revision
    return last is not None and last.verdict == "Rollback" and last.revision == revision and not serves


def pods(part: Revision) -> str:
    """How many of its pods are ready."""
    asked = part.replicas if part.replicas is not None else 0
    return f"{part.ready_replicas or 0} of {asked} pods ready"
