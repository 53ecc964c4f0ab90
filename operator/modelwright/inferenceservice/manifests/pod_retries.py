"""Has refused pods created again soon after the cause of the refusal is gone. Pure.

The ReplicaSet controller waits up to 16 minutes before it retries, but retries at once when the ReplicaSet changes. The
Deployment controller copies a Deployment's annotations to its ReplicaSet, so an annotation is enough to cause a retry.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from modelwright.common.resources import DEPLOYMENTS
from modelwright.common.times import from_timestamp, to_timestamp
from modelwright.engine.objects import Body, Key, annotations_of, deleting, name, uid
from modelwright.engine.plan import Annotate
from modelwright.inferenceservice.observed import Observed
from modelwright.inferenceservice.revision.revisions import Revisions
from modelwright.inferenceservice.rollout.readiness import pods_refused

RETRIED_AT = "modelwright.dev/pods-retried-at"
INTERVAL = timedelta(seconds=45)


def effects(observed: Observed, revisions: Revisions, now: datetime) -> Iterator[Annotate]:
    """Annotates each Deployment whose pods are refused and were not retried for a while."""
    for deployment, due in _refused(observed, revisions):
        if now >= due:
            key = Key(DEPLOYMENTS, observed.namespace, name(deployment))
            yield Annotate(key, uid(deployment), {RETRIED_AT: to_timestamp(now)})


def times(observed: Observed, revisions: Revisions) -> list[datetime]:
    """The times of the next retries."""
    return [due for _, due in _refused(observed, revisions)]


def _refused(observed: Observed, revisions: Revisions) -> Iterator[tuple[Body, datetime]]:
    """Yields each Deployment whose pods are refused, and the time of its next retry."""
    for revision in (revisions.stable, revisions.starting):
        deployment = None if revision is None else observed.deployment(revision.revision)
        condition = pods_refused(deployment)
        if deployment is not None and condition is not None and not deleting(deployment):
            last = annotations_of(deployment).get(RETRIED_AT) or str(condition["lastTransitionTime"])
            yield deployment, from_timestamp(last) + INTERVAL
