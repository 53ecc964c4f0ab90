"""Which revision has which part in an InferenceService, as one look leaves them. Plain data."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from modelwright.api.base import ResourceRequirements
from modelwright.api.inferenceservice import (
    CanaryRevision,
    Decision,
    Rejection,
    RetiredRevision,
    Revision,
    StableRevision,
)
from modelwright.engine.objects import Body, annotations_of

HASH_LENGTH = 10

# Marks the Deployment of a revision that was given up, of which one pod is kept for its log.
KEPT = "modelwright.dev/kept-for-logs"


def is_kept(deployment: Body) -> bool:
    """Whether a Deployment is what an earlier try has left."""
    return KEPT in annotations_of(deployment)


def shape(revision: Revision) -> dict[str, Any]:
    """What a revision keeps whatever part it has: the fields of Revision, all but its counts of pods."""
    return revision.model_dump(include={"revision", "version", "artifact", "image", "resources"})


def revision_name(digest: str, version: str, image: str, resources: ResourceRequirements | None) -> str:
    """The name of the revision that serves a model in this shape of pod: a hash of both."""
    amounts = resources.model_dump(mode="json", exclude_none=True) if resources is not None else {}
    shape = {"digest": digest, "version": version, "image": image, "resources": amounts}
    return hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()[:HASH_LENGTH]


def is_same_but_image(part: Revision, other: Revision) -> bool:
    """Whether two revisions serve the same model in pods that differ in the server's image at most.

    The name of a revision tells even where its fields were read off a Deployment: the API server writes amounts in its
    own way. The fields tell even where another release has made the name.
    """
    digest = other.artifact.digest
    if (part.version, part.artifact.digest) != (other.version, digest):
        return False
    same = revision_name(digest, other.version, part.image, other.resources)
    return part.revision == same or part.resources == other.resources


@dataclass(frozen=True)
class Revisions:
    """Which revision has which part, and what was rejected; `decision`: what was decided in this look.

    `handled`: the token of the request that was carried out, or refused for the reason `refused`.
    """

    stable: StableRevision | None = None
    canary: CanaryRevision | None = None
    retired: RetiredRevision | None = None
    rejected: tuple[Rejection, ...] = ()
    decision: Decision | None = None
    handled: str | None = None
    refused: str | None = None

    @property
    def starting(self) -> CanaryRevision | None:
        """The canary, unless it was given up."""
        return self.canary if self.canary is not None and self.canary.state != "Failed" else None

    @property
    def answering(self) -> Revision | None:
        """The revision that the Service selects.

        The stable one, unless the canary stands in for it. The first revision has its Service from the start: traffic
        goes to ready pods only, and by the time that they are, the nodes know the Service.
        """
        starting = self.starting
        stands_in = starting is not None and starting.stand_in_since is not None
        return starting if stands_in else self.stable or starting

    @property
    def kept(self) -> CanaryRevision | None:
        """The canary that was given up before it had any traffic: one of its pods stays, so that its log can be read.

        Until another revision is asked for, or it is tried again. What somebody aborts goes.
        """
        canary = self.canary
        if (
            canary is None
            or canary.state != "Failed"
            or canary.step is not None
            or canary.reason == "Aborted"
        ):
            return None
        return None if canary.revision in self.running else canary

    @property
    def running(self) -> set[str]:
        """The revisions that have pods."""
        parts = (self.stable, self.retired, self.starting)
        return {part.revision for part in parts if part is not None}
