"""Which revision has which part in an InferenceService, as one look leaves them. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from modelwright.api.inferenceservice import (
    CanaryRevision,
    Decision,
    Rejection,
    RetiredRevision,
    Revision,
    StableRevision,
)


def shape(revision: Revision) -> dict[str, Any]:
    """What a revision keeps whatever part it has: the fields of Revision, all but its counts of pods."""
    return revision.model_dump(include={"revision", "version", "artifact", "image", "resources"})


@dataclass(frozen=True)
class Revisions:
    """Which revision has which part; `decision`: what was decided in this look.

    `handled`: the token of the request that was carried out, or refused for the reason `refused`. `rejected`: the model
    that was found bad; `forgiven`: the revision whose model may be tried again.
    """

    stable: StableRevision | None = None
    canary: CanaryRevision | None = None
    retired: RetiredRevision | None = None
    decision: Decision | None = None
    handled: str | None = None
    refused: str | None = None
    rejected: Rejection | None = None
    forgiven: str | None = None

    @property
    def starting(self) -> CanaryRevision | None:
        """The canary, unless it was given up."""
        return self.canary if self.canary is not None and self.canary.state != "Failed" else None

    @property
    def running(self) -> set[str]:
        """The revisions that have pods."""
        parts = (self.stable, self.retired, self.starting)
        return {part.revision for part in parts if part is not None}
