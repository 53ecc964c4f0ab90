"""The traffic rules: a ConfigMap for each revision's pods with the share of requests to pass on, and where to. Pure.

The contract with the server is docs/contracts/traffic.schema.json. A ConfigMap holds the rule twice: servers of earlier
releases refuse a rule with fields that they do not know, and read the file without the later ones.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from modelwright.common.resources import CONFIG_MAPS, PODS, REVISION
from modelwright.common.settings import Settings
from modelwright.engine.objects import Key, annotations_of, deleting, labels, name, uid
from modelwright.engine.plan import Annotate, Apply, Effect
from modelwright.inferenceservice.manifests.names import (
    HTTP,
    canary_name,
    child_metadata,
    config_name,
    dns_name,
    retired_name,
)
from modelwright.inferenceservice.manifests.services import selected
from modelwright.inferenceservice.observed import Observed
from modelwright.inferenceservice.revision.revisions import Revisions
from modelwright.inferenceservice.rollout import steps
from modelwright.inferenceservice.rollout.steps import SHIFTING

FILE = "rule.json"
EARLIER_FILE = "traffic.json"
# Annotates pods when their rule changes: the kubelet updates the volumes of a pod at once when the pod changes.
NOTE = "modelwright.dev/traffic-rule"
NOTHING = ""


def rules(observed: Observed, revisions: Revisions) -> dict[str, str]:
    """The rule of each revision that has one, with the fields that servers of all releases know.

    A revision that bakes knows the one before, of which it asks what it refuses itself. A retired revision passes all
    requests on to the stable one, so that callers with an open connection get no answers of the old model. No rule
    names a revision before its Service exists and belongs to the InferenceService: another object could have that name.
    """
    by_revision: dict[str, str] = {}
    stable, canary, retired = revisions.stable, revisions.canary, revisions.retired
    shifting = canary is not None and canary.state in SHIFTING and not steps.rests(canary)
    if stable is not None and canary is not None and shifting and observed.canary_service is not None:
        step = steps.current(canary, observed.spec)
        # A Gateway routes callers to the canary itself; callers of the Service stay with the stable revision.
        weight = 0 if observed.spec.gateway is not None else canary.weight or 0
        mirror = step.mirror if step is not None and canary.state == "Shifting" else 0
        traffic = observed.spec.rollout.traffic
        more = {} if traffic is None else traffic.model_dump(mode="json", by_alias=True, exclude_none=True)
        host = dns_name(observed, canary_name(observed))
        by_revision[stable.revision] = _rule(canary.revision, host, weight, mirror=mirror, **more)
    elif stable is not None and retired is not None and _is_asked(observed, revisions):
        by_revision[stable.revision] = _rule(retired.revision, _host_of_retired(observed), 0)
    if stable is not None and retired is not None:
        by_revision[retired.revision] = _rule(stable.revision, dns_name(observed, observed.name), 100)
    return by_revision


def effects(observed: Observed, revisions: Revisions, settings: Settings) -> Iterator[Effect]:
    """The ConfigMap of each revision that has a rule; an empty rule where an earlier one no longer applies."""
    contents = rules(observed, revisions)
    for revision in sorted(revisions.running):
        earlier = contents.get(revision, NOTHING)
        config = observed.config(config_name(observed, revision))
        if earlier or config is not None:
            content = _completed(earlier, observed, settings) if earlier else NOTHING
            yield _config_map(observed, revision, {FILE: content, EARLIER_FILE: earlier})
            yield from _notes(observed, revision, content)


def _is_asked(observed: Observed, revisions: Revisions) -> bool:
    """True if the stable revision bakes, and its pods can ask the one before about requests that they refuse."""
    asked, service = revisions.baked_against, observed.retired_service
    return asked is not None and service is not None and selected(service) == asked.revision


def _host_of_retired(observed: Observed) -> str:
    return dns_name(observed, retired_name(observed))


def _completed(rule: str, observed: Observed, settings: Settings) -> str:
    """The rule with the fields that servers of this release know."""
    fields = json.loads(rule)
    more: dict[str, Any] = {"secret": _secret(observed), "passHeaders": list(settings.passed_headers)}
    if fields["host"] == _host_of_retired(observed):
        more["refusals"] = True
    return json.dumps({**fields, **more}, sort_keys=True)


def _secret(observed: Observed) -> str:
    """What the servers of an InferenceService know, and callers do not: computed from its uid, which is random.

    All of its rules have the same, so that a server recognises a request that was delegated by any rule, even while
    pods still follow an earlier one.
    """
    return hashlib.sha256(f"modelwright traffic rule {uid(observed.body)}".encode()).hexdigest()


def _notes(observed: Observed, revision: str, content: str) -> Iterator[Annotate]:
    """Annotates the pods of the revision that do not have this rule's digest yet."""
    digest = hashlib.sha256(content.encode()).hexdigest()[:16]
    for pod in observed.pods:
        if labels(pod).get(REVISION) != revision or deleting(pod):
            continue
        noted = annotations_of(pod).get(NOTE)
        if noted != digest and (content or noted is not None):
            yield Annotate(Key(PODS, observed.namespace, name(pod)), uid(pod), {NOTE: digest}, by_status=True)


def _config_map(observed: Observed, revision: str, data: dict[str, str]) -> Apply:
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": child_metadata(observed, config_name(observed, revision), **{REVISION: revision}),
        "data": data,
    }
    return Apply(Key(CONFIG_MAPS, observed.namespace, config_name(observed, revision)), body)


def _rule(revision: str, host: str, weight: int, **more: Any) -> str:
    rule = {"revision": revision, "host": host, "port": HTTP, "weight": weight, **more}
    return json.dumps(rule, sort_keys=True)
