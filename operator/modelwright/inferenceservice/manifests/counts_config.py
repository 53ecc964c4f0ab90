"""The ConfigMap that keeps what pods have counted in the present step, across a restart of the operator. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from modelwright.common.resources import CONFIG_MAPS, REVISION
from modelwright.engine.objects import Key, deleting, uid
from modelwright.engine.plan import Apply, Delete, Effect
from modelwright.inferenceservice.analysis.counts import counted_since
from modelwright.inferenceservice.analysis.scrape_targets import measured_step
from modelwright.inferenceservice.manifests.names import COUNTS_FILE, child_metadata, counts_name
from modelwright.inferenceservice.observed import Observed
from modelwright.inferenceservice.revision.revisions import Revisions


def effects(observed: Observed, revisions: Revisions) -> Iterator[Effect]:
    """The ConfigMap, as soon as something was counted in the step; its deletion when nothing is measured any more."""
    name = counts_name(observed)
    key, config = Key(CONFIG_MAPS, observed.namespace, name), observed.config(name)
    step = measured_step(revisions.stable, revisions.canary, revisions.retired)
    counted = None if step is None else counted_since(observed.measured, step.since)
    if step is not None and counted is not None and counted.kept:
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": child_metadata(observed, name, **{REVISION: step.judged}),
            "data": {COUNTS_FILE: counted.kept},
        }
        yield Apply(key, body)
    elif step is None and config is not None and not deleting(config):
        yield Delete(key, uid(config))
