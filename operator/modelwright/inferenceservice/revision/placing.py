"""What is said of the pods of revisions that exist, when the administrator says something else by now. Pure.

A revision keeps its template while pods of it are ready, or have been and may be again in a moment. Without any, it
gets that of today: so pods that no node takes are mended by a change of the defaults.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from modelwright.api.inferenceservice import Revision
from modelwright.common.settings import Settings
from modelwright.inferenceservice.observed import Observed
from modelwright.inferenceservice.revision.revisions import Revisions
from modelwright.inferenceservice.rollout.readiness import keeps_its_template
from modelwright.workload.podtemplate import says_nothing, serving_template

Of = TypeVar("Of", bound=Revision)


def placed(observed: Observed, revisions: Revisions, settings: Settings) -> Revisions:
    """Returns the revisions with the templates of today, where no pod of theirs serves."""
    stable, canary = revisions.stable, revisions.canary
    # A stable revision has had a Deployment. If it is not seen, it may yet have pods that serve.
    if stable is not None and observed.deployment(stable.revision) is not None:
        stable = _of_today(observed, stable, settings)
    if canary is not None and canary.state != "Failed":
        canary = _of_today(observed, canary, settings)
    return replace(revisions, stable=stable, canary=canary)


def _of_today(observed: Observed, revision: Of, settings: Settings) -> Of:
    if observed.spec.replicas == 0 or keeps_its_template(observed, revision.revision):
        return revision
    if revision.merged_pod_template is None and says_nothing(settings):
        return revision  # it began before there were templates, and nothing else is said of it since
    today = serving_template(settings, revision.pod_template)
    if today == revision.merged_pod_template:
        return revision
    return revision.model_copy(update={"merged_pod_template": today})
