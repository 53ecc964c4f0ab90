"""The ConfigMap that keeps the windows of a service, across restarts of the operator and the end of pods. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from modelwright.common.resources import CONFIG_MAPS, REVISION
from modelwright.engine.objects import Key, deleting, uid
from modelwright.engine.plan import Apply, Delete, Effect
from modelwright.inferenceservice.manifests.names import MONITOR_FILE, child_metadata, monitor_name
from modelwright.inferenceservice.monitoring.kept import text
from modelwright.inferenceservice.monitoring.state import Watch
from modelwright.inferenceservice.observed import Observed


def effects(observed: Observed, watch: Watch | None) -> Iterator[Effect]:
    """The ConfigMap, if something has to be kept that is not; its deletion when nothing is watched any more."""
    name = monitor_name(observed)
    key, config = Key(CONFIG_MAPS, observed.namespace, name), observed.config(name)
    if watch is not None and watch.advanced != watch.kept:
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": child_metadata(observed, name, **{REVISION: watch.stable.revision}),
            "data": {MONITOR_FILE: text(watch.advanced)},
        }
        yield Apply(key, body)
    elif watch is None and config is not None and not deleting(config):
        yield Delete(key, uid(config))
