"""Gives tokens to predictions, and counts them when they come back with the truth.

Counts by the window in which the truth arrives, and by the model that made the prediction. Everything but making tokens
belongs to the event loop.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from enum import Enum
from time import time
from typing import Any

from modelwright_serving.feedback import tokens
from modelwright_serving.feedback.keys import Keys
from modelwright_serving.feedback.scores import ModelScores, Totals, classified
from modelwright_serving.feedback.seen import Seen
from modelwright_serving.feedback.tokens import HOUR, Issuer, Token
from modelwright_serving.feedback.truths import Truths
from modelwright_serving.limits import FEEDBACK
from modelwright_serving.oip.answer import Answer
from modelwright_serving.predictions import Class, Predictions


class Outcome(Enum):
    """What became of one token."""

    COUNTED = "Counted"
    DUPLICATE = "Duplicate"
    """This pod has counted it before."""
    FORGED = "Forged"
    """No key of this service has signed it."""
    EXPIRED = "Expired"
    UNKNOWN_LABEL = "UnknownLabel"
    """Its truth is no class of the model, or its prediction is of a model with other classes."""

    @property
    def key(self) -> str:
        """Its name in the answer to feedback."""
        return self.value[0].lower() + self.value[1:]


class _Window:
    """What arrived in one window."""

    __slots__ = ("models", "outcomes")

    def __init__(self) -> None:
        self.outcomes: Counter[Outcome] = Counter()
        self.models: dict[str, ModelScores] = {}

    def add(self, other: _Window) -> None:
        """Add what arrived in another one."""
        self.outcomes.update(other.outcomes)
        for model, scores in other.models.items():
            if model in self.models or len(self.models) < FEEDBACK.models:
                self.models.setdefault(model, ModelScores()).add(scores)


class Delivery:
    """What one caller brings together: these labels may depend on each other."""

    __slots__ = ("_feedback", "_models", "outcomes")

    def __init__(self, feedback: Feedback) -> None:
        self._feedback = feedback
        self._models: Counter[str] = Counter()
        self.outcomes: Counter[Outcome] = Counter()

    def count(self, token: str, truth: Class) -> None:
        """Count a prediction, of which `truth` is true."""
        outcome, model = self._feedback.count(token, truth)
        self.outcomes[outcome] += 1
        if model:
            self._models[model] += 1

    def end(self) -> dict[str, int]:
        """What became of all of them, as callers are answered."""
        for model, labels in self._models.items():
            self._feedback.delivered(model, labels)
        return {outcome.key: self.outcomes[outcome] for outcome in Outcome}


class Feedback:
    """The tokens of one server. `window` gives the number of the present window, None while no one asks for windows."""

    def __init__(self, *, wanted: bool, max_age_seconds: int) -> None:
        self.wanted = wanted
        self._max_age = max_age_seconds
        self._keys = Keys()
        self._predictions: Predictions | None = None
        self._truths = Truths(None)
        self._issuer: Issuer | None = None
        self._digest = ""
        self._seen = Seen()
        self._windows: dict[int, _Window] = {}
        self._waiting = _Window()
        self._reported = -1  # the newest window in a report
        # Since the start, the latter by the first digits of the model's digest.
        self.totals: Counter[Outcome] = Counter()
        self._models: dict[str, Totals] = {}
        self._dropped: set[str] = set()
        self.window: Callable[[], int | None] = lambda: None

    # --- what it works with ------------------------------------------------------------------

    @property
    def state(self) -> str:
        """For the report: whether tokens are given."""
        if not self.wanted:
            return "Off"
        return "KeyMissing" if self._keys.signing is None else "Ready"

    @property
    def verifies(self) -> bool:
        """Whether there is a key that a token could be signed with."""
        return bool(self._keys.verifying)

    def use(self, keys: Keys) -> None:
        """From now on these keys."""
        self._keys = keys

    def follow(self, digest: str, predictions: Predictions | None) -> None:
        """From now on this model, whose outputs are read so; None: they cannot be read, so that there are no tokens."""
        self._digest = tokens.short(digest)
        self._predictions = predictions
        self._truths = Truths(predictions)
        self._issuer = None if predictions is None else Issuer(digest, predictions.meaning)

    # --- tokens ------------------------------------------------------------------------------

    def tokens(self, answer: Answer) -> list[bytes]:
        """A token for each row of an answer; none if there is no key. On any thread."""
        key, issuer, predictions = self._keys.signing, self._issuer, self._predictions
        if key is None or issuer is None or predictions is None:
            return []
        return issuer.make(key, answer.predictions(predictions), int(time()) // HOUR)

    # --- truths ------------------------------------------------------------------------------

    @property
    def truths(self) -> Truths:
        return self._truths

    def begin(self) -> Delivery:
        """Begin with the predictions that one caller brings together."""
        return Delivery(self)

    def count(self, token: str, truth: Class) -> tuple[Outcome, str]:
        """Count a prediction, of which `truth` is true: what became of it, and the model if it is counted."""
        outcome, model = self._outcome(token, truth)
        self.totals[outcome] += 1
        self._present().outcomes[outcome] += 1
        return outcome, model

    def delivered(self, model: str, labels: int) -> None:
        """So many predictions of a model came together."""
        for counts in (self._models.get(model), self._present().models.get(model)):
            if counts is not None:
                counts.delivered(labels)

    def samples(self) -> Iterator[tuple[str, dict[str, str], float]]:
        """For the view of a rollout: name, labels and value."""
        for model, totals in self._models.items():
            for name, label, text, value in totals.sums():
                yield f"feedback_{name}_total", {"digest": model, label: text}, value

    def _outcome(self, token: str, truth: Class) -> tuple[Outcome, str]:
        read = tokens.read(token, self._keys)
        if read is None:
            return Outcome.FORGED, ""
        if (read.hour + 1) * HOUR + self._max_age <= time():
            return Outcome.EXPIRED, ""
        if read.tag in self._seen:
            return Outcome.DUPLICATE, ""
        if not self._add(read, truth):
            return Outcome.UNKNOWN_LABEL, ""
        self._seen.add(read.tag)
        return Outcome.COUNTED, read.digest

    def _add(self, read: Token, truth: Class) -> bool:
        """Count it for its model; False if it cannot be compared with its truth."""
        predictions = self._predictions
        if predictions is None or read.meaning != predictions.meaning:
            return False
        true = 0 if predictions.is_regression else self._truths.place(truth)
        if true is None:
            return False
        counts = [
            found for found in (self._totals(read.digest), self._scores(read.digest)) if found is not None
        ]
        if predictions.is_regression:
            for one in counts:
                one.estimated(read.value, float(truth))
        else:
            found = classified(read.label, true, read.value, predictions.positive)
            for one in counts:
                one.classified(found)
        return True

    # --- windows -----------------------------------------------------------------------------

    def _present(self) -> _Window:
        """The present window. While no one asks for windows all that arrives waits, and is in the first one then."""
        number = self.window()
        if number is None:
            return self._waiting
        window = self._windows.get(number)
        if window is None:
            window = self._windows[number] = self._waiting
            self._waiting = _Window()
            for old in sorted(self._windows)[: -FEEDBACK.windows]:
                del self._windows[old]
        return window

    def _scores(self, digest: str) -> ModelScores | None:
        """Those of a model in the present window; None if it is one too many, and not the one that is served."""
        models = self._present().models
        found = models.get(digest)
        if found is None and (digest == self._digest or len(models) < FEEDBACK.models):
            found = models[digest] = ModelScores()
        return found

    def _totals(self, digest: str) -> Totals | None:
        """Those of a model since the start. The model that was counted least recently makes room for a new one, and is
        not counted again, as counts that begin anew would be taken for those of another process."""
        found = self._models.pop(digest, None)
        if found is None:
            if digest in self._dropped:
                return None
            found = Totals()
        self._models[digest] = found
        if len(self._models) > FEEDBACK.models_shown:
            oldest = next(other for other in self._models if other != self._digest)
            del self._models[oldest]
            self._dropped.add(oldest)
        return found

    def ids(self) -> list[int]:
        """The windows in which something arrived, for a report of all of them."""
        if self._waiting.outcomes and self.window() is not None:
            self._present()
        self._reported = max(self._windows, default=self._reported)
        return sorted(self._windows)

    def part(self, window: int, /) -> dict[str, Any]:
        """What belongs to feedback in the report of a window: `feedback` and `outcomes`, which may be empty."""
        found = self._windows.get(window)
        if found is None:
            return {"feedback": {}, "outcomes": {}}
        return {
            "feedback": {digest: scores.document() for digest, scores in found.models.items()},
            "outcomes": {outcome.value: found.outcomes[outcome] for outcome in Outcome},
        }

    def forget(self) -> None:
        """Begin all windows again: their length has changed, or no one asks for them. What was never reported waits."""
        for number, window in self._windows.items():
            if number > self._reported:
                self._waiting.add(window)
        self._windows.clear()
        self._reported = -1
