"""What holds in every history, whatever the weather: read off two looks in a row."""

from __future__ import annotations

from histories.world import REVISIONS, World
from modelwright.api.inferenceservice import Revision
from modelwright.common.times import from_timestamp
from modelwright.inferenceservice.revision.revisions import Revisions
from modelwright.inferenceservice.rollout.standin import STABLE_UNAVAILABLE
from modelwright.inferenceservice.rollout.steps import SCALED_TO_ZERO, analysis_of, current, planned

# Passed without a number: somebody asked for it, there was nothing that could be measured, or nobody else answers.
WITHOUT_NUMBERS = {"Requested", "Redone", "NothingToMeasure", STABLE_UNAVAILABLE, SCALED_TO_ZERO}
# Given up because its pods did not become ready, which is not held against a revision.
NOT_REJECTED = {"ProgressDeadlineExceeded", "ServerFailed"}


class BrokenPromiseError(AssertionError):
    """A promise that was not kept."""


class Promises:
    """Follows one history."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._passed: set[str] = set()
        self._given_up: dict[str, tuple[int, str | None]] = {}
        # What was rejected: models by their digest, shapes of a model that serves by their revision. True: the spec has
        # asked for something else since.
        self._noes: dict[str, bool] = {}
        # The canary that was asked for pods.
        self._asked: set[str] = set()

    def hold(self, after: Revisions) -> None:
        """Looks at what follows from the present. A crash may come before it is remembered."""
        self._weights(after)
        self._samples(after)
        self._second_tries(after)
        self._switches(after)
        self._answers(after)
        self._shares(after)
        self._gives_up_for_nobody(after)
        self._measurements(after)

    def _measurements(self, after: Revisions) -> None:
        """No measurement of a rollout has the part of the budget that another one had."""
        before, canary = self.world.status.canary, after.canary
        if (
            after.handled is not None
            or before is None
            or canary is None
            or before.revision != canary.revision
        ):
            return
        known, number = before.measurement or 0, canary.measurement or 0
        if number < known or (canary.step_since not in {before.step_since, None} and number == known):
            raise BrokenPromiseError(f"measurement {number} after {known}")

    def _answers(self, after: Revisions) -> None:
        """As long as a revision that was asked for has a ready pod, one with a ready pod is selected."""
        before = self.world.status
        changed = after.stable != before.stable or after.canary != before.canary
        if changed or after.handled is not None or after.answering is None:
            return  # the next look follows at once
        parts = [part.revision for part in (after.stable, after.starting) if part is not None]
        if any(self._complete(part, 1) for part in parts) and not self._complete(after.answering.revision, 1):
            raise BrokenPromiseError("a revision that does not answer was selected, beside one that does")

    def _gives_up_for_nobody(self, after: Revisions) -> None:
        """Nobody but its users takes a canary that answers from them, in favour of a revision that does not."""
        stable, before = after.stable, self.world.status.canary
        if after.handled is not None or before is None or stable is None or self.world.spec.replicas == 0:
            return
        given_up = after.canary is not None and before.state != "Failed" and after.canary.state == "Failed"
        if given_up and self._complete(before.revision, 1) and not self._complete(stable.revision, 1):
            raise BrokenPromiseError("the canary that answered was given up, and nobody answers")

    def _weights(self, after: Revisions) -> None:
        before, canary = self.world.status.canary, after.canary
        if canary is None or canary.weight is None or canary.state == "Failed":
            return
        if not 0 <= canary.weight <= 100:
            raise BrokenPromiseError(f"weight {canary.weight}")
        known = before.weight if before is not None and before.revision == canary.revision else None
        step = current(canary, self.world.spec)
        if canary.weight != known and (step is None or canary.weight != step.weight):
            raise BrokenPromiseError(f"weight {canary.weight} at a step of {step}")
        if canary.weight != known and not self._complete(canary.revision, min(1, self.world.spec.replicas)):
            raise BrokenPromiseError("a share went to a revision without pods")

    def _samples(self, after: Revisions) -> None:
        decision, analysis = after.decision, analysis_of(self.world.spec)
        if decision is None or decision.verdict not in {"Advance", "Promote"}:
            return
        if decision.reason in WITHOUT_NUMBERS or analysis.on_no_data == "Promote":
            return
        if decision.samples < analysis.min_samples:
            raise BrokenPromiseError(
                f"{decision.verdict} by {decision.samples} samples of {analysis.min_samples}"
            )

    def _second_tries(self, after: Revisions) -> None:
        """What was given up starts again under another spec, when somebody asks for it, or in its time; what was
        rejected, by the analysis or by somebody, when somebody asks for it, or names it again on purpose."""
        starting = after.starting
        if starting is None or after.handled is not None:
            return
        generation, again = self._given_up.get(starting.revision, (None, None))
        in_time = again is not None and (
            self.world.now >= from_timestamp(again) or self._answers_alone(after)
        )
        if generation == self.world.changed and not in_time:
            raise BrokenPromiseError(f"{starting.revision} was tried again")
        for rejected in {starting.revision, starting.artifact.digest} & self._noes.keys():
            if not (self._noes[rejected] and self._is_asked_for(rejected)):
                raise BrokenPromiseError(f"{starting.revision} was tried again, and nobody has asked for it")

    def _is_asked_for(self, rejected: str) -> bool:
        target = self.world.target
        return isinstance(target, Revision) and rejected in {target.revision, target.artifact.digest}

    def looked(self) -> None:
        """The operator has seen the spec, and lived to remember it."""
        for rejected in self._noes:
            self._noes[rejected] = self._noes[rejected] or not self._is_asked_for(rejected)

    def _answers_alone(self, after: Revisions) -> bool:
        """Whether nobody but the canary can answer."""
        stable, canary = after.stable, after.starting
        lost = stable is not None and not self._complete(stable.revision, 1)
        return lost and canary is not None and self._complete(canary.revision, 1)

    def _shares(self, after: Revisions) -> None:
        """What no caller could reach does not pass."""
        decision, before = after.decision, self.world.status.canary
        if decision is None or before is None or decision.verdict not in {"Advance", "Promote"}:
            return
        if decision.reason in WITHOUT_NUMBERS or not before.weight or before.revision != decision.revision:
            return
        stable = self.world.status.stable
        rule = self.world.rules.get(stable.revision, "") if stable is not None else ""
        if self.world.led_to != before.revision or f'"weight": {before.weight}' not in rule:
            raise BrokenPromiseError(f"{decision.verdict} without its share of {before.weight} %")

    def remembered(self, after: Revisions) -> None:
        """It was written down."""
        decision, starting = after.decision, after.starting
        asked = {starting.revision} if starting is not None else set()
        self._asked = asked if self.world.spec.replicas and after.stable is not None else self._asked & asked
        if decision is not None and decision.verdict == "Promote":
            self._passed.add(decision.revision)
        for part in filter(None, (after.starting, after.stable)):
            self._noes.pop(part.revision, None)
            self._noes.pop(part.artifact.digest, None)
        if decision is not None and decision.verdict == "Rollback" and decision.reason not in NOT_REJECTED:
            self._reject(decision.revision, after)
        if decision is not None and decision.verdict == "Retry":
            found = next(each for each in REVISIONS if each.revision == decision.revision)
            self._noes.pop(found.revision, None)
            self._noes.pop(found.artifact.digest, None)
            self._given_up.pop(found.revision, None)
        self.looked()
        if after.starting is not None:
            self._given_up.pop(after.starting.revision, None)
        elif after.canary is not None:
            self._given_up.setdefault(after.canary.revision, (self.world.changed, after.canary.retry_at))
            self._passed.discard(after.canary.revision)

    def _reject(self, name: str, after: Revisions) -> None:
        found = next(each for each in REVISIONS if each.revision == name)
        serves = after.stable is not None and after.stable.artifact.digest == found.artifact.digest
        self._noes[found.revision if serves else found.artifact.digest] = False
        self._passed.discard(name)

    def _switches(self, after: Revisions) -> None:
        before, stable = self.world.status.stable, after.stable
        if stable is None:
            if before is not None:
                raise BrokenPromiseError("nothing is served any more")
            return
        if before is None or before.revision == stable.revision:
            return
        canary, retired = self.world.status.canary, self.world.status.retired
        is_redone = after.decision is not None and after.decision.reason == "Redone"
        if retired is not None and retired.revision == stable.revision and (is_redone or not retired.undone):
            if not self._complete(stable.revision, min(1, self.world.spec.replicas)):
                raise BrokenPromiseError("went back to a revision without pods")
            return
        if canary is None or canary.revision != stable.revision or canary.state == "Failed":
            raise BrokenPromiseError("a revision took over that was no canary")
        stands_in = after.decision is not None and after.decision.reason == STABLE_UNAVAILABLE
        if not self._complete(stable.revision, 1 if stands_in else self.world.spec.replicas):
            raise BrokenPromiseError("a revision took over whose pods are not there")
        if canary.state == "Progressing" and self.world.spec.replicas == 0 and canary.revision in self._asked:
            raise BrokenPromiseError("a revision took over because it lacked no pod at zero")
        has_steps = planned(self.world.spec) and self.world.spec.replicas > 0
        passes = after.decision is not None and after.decision.verdict == "Promote"
        if has_steps and not passes and stable.revision not in self._passed:
            raise BrokenPromiseError("a revision took over that has not passed")

    def _complete(self, revision: str, count: int) -> bool:
        pods = self.world.deployments.get(revision)
        return pods is not None and pods.ready >= count
