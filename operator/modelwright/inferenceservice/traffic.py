"""The traffic rule of each revision's pods as a manifest. Pure.

The contract is docs/contracts/traffic.schema.json; the server of the stable revision follows it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from modelwright.common.resources import (
    CONFIG_MAPS,
    INFERENCE_SERVICE,
    PODS,
    REVISION,
    child_labels,
    name,
)
from modelwright.engine.objects import Key, annotations_of, deleting, labels, owner_reference, uid
from modelwright.engine.plan import Annotate, Apply, Effect
from modelwright.inferenceservice import steps
from modelwright.inferenceservice.observed import Observed
from modelwright.inferenceservice.parts import Revisions
from modelwright.inferenceservice.rollout import SHIFTING

FILE = "traffic.json"
# Written to pods when their rule changes: a kubelet looks at a pod's volumes when the pod changes.
NOTE = "modelwright.dev/traffic-rule"
HTTP, GRPC = 80, 8081
NOTHING = ""


def config_name(observed: Observed, revision: str) -> str:
    """The ConfigMap that the pods of a revision read their rule from; it need not be there."""
    return f"{observed.name}-{revision}"


def canary_name(observed: Observed) -> str:
    """The Service of the canary."""
    return f"{observed.name}-canary"


def child_metadata(observed: Observed, child: str, **labels: str) -> dict[str, Any]:
    """The metadata of an object that is there for the InferenceService, and goes with it."""
    return {
        "name": child,
        "namespace": observed.namespace,
        "labels": child_labels(observed.body, **{INFERENCE_SERVICE: observed.name, **labels}),
        "ownerReferences": [owner_reference(observed.body)],
    }


def rules(observed: Observed, revisions: Revisions) -> dict[str, str]:
    """The rule of each revision that has one.

    A retired one sends everything to the stable one: a caller who has kept a connection to it meets no old answers.
    """
    found: dict[str, str] = {}
    stable, canary, retired = revisions.stable, revisions.canary, revisions.retired
    if stable is not None and canary is not None and canary.state in SHIFTING:
        step = steps.current(canary, observed.spec)
        # By the Gateway callers reach the canary themselves; who calls the Service stays with the stable revision.
        weight = 0 if observed.spec.gateway is not None else canary.weight or 0
        mirror = step.mirror if step is not None and canary.state == "Shifting" else 0
        told = observed.spec.rollout.traffic
        more = {} if told is None else told.model_dump(mode="json", by_alias=True, exclude_none=True)
        host = _host(observed, canary_name(observed))
        found[stable.revision] = _rule(canary.revision, host, weight, mirror=mirror, **more)
    if stable is not None and retired is not None:
        found[retired.revision] = _rule(stable.revision, _host(observed, observed.name), 100)
    return found


def effects(observed: Observed, revisions: Revisions) -> Iterator[Effect]:
    """Every rule that holds, and an empty one where another has held."""
    wanted = rules(observed, revisions)
    for revision in sorted(revisions.running):
        content = wanted.get(revision, NOTHING)
        known = observed.config(config_name(observed, revision))
        if content or known is not None:
            yield _config_map(observed, revision, content)
            yield from _notes(observed, revision, content)


def _notes(observed: Observed, revision: str, content: str) -> Iterator[Annotate]:
    digest = hashlib.sha256(content.encode()).hexdigest()[:16]
    for pod in observed.pods:
        if labels(pod).get(REVISION) != revision or deleting(pod):
            continue
        noted = annotations_of(pod).get(NOTE)
        if noted != digest and (content or noted is not None):
            yield Annotate(Key(PODS, observed.namespace, name(pod)), uid(pod), {NOTE: digest})


def _config_map(observed: Observed, revision: str, content: str) -> Apply:
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": child_metadata(observed, config_name(observed, revision), **{REVISION: revision}),
        "data": {FILE: content},
    }
    return Apply(Key(CONFIG_MAPS, observed.namespace, config_name(observed, revision)), body)


def _host(observed: Observed, service: str) -> str:
    return f"{service}.{observed.namespace}.svc.cluster.local"


def _rule(revision: str, host: str, weight: int, **more: Any) -> str:
    rule = {"revision": revision, "host": host, "port": HTTP, "weight": weight, **more}
    return json.dumps(rule, sort_keys=True)
