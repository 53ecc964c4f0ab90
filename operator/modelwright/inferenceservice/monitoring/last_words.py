"""The last words of processes of the server, as the status of their pods shows them. Pure.

The pod may be gone a moment after its status shows that its container has ended, before anything is planned. So what it
says is noted as the watch brings it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from modelwright.common.facts import LAST_WORDS
from modelwright.common.indexes import is_monitored
from modelwright.common.resources import (
    DEPLOYMENTS,
    INFERENCE_SERVICE,
    INFERENCE_SERVICES,
    REPLICA_SETS,
    REVISION,
)
from modelwright.engine.cache import View
from modelwright.engine.objects import Body, Key, ResourceType, controller, labels, namespace, status_of, uid
from modelwright.inferenceservice.monitoring.reports import Report, read_last_word
from modelwright.inferenceservice.monitoring.targets import terminations

# The last words that are noted of one service; the oldest are forgotten.
MOST_WORDS = 1000
# They are forgotten after so many windows, when all that they speak of was judged.
FORGOTTEN = 4


def last_words(view: View, pod: Body) -> Iterator[tuple[Key, str, object]]:
    """Yields the fact LAST_WORDS of the service whose stable revision this pod runs, with what it says; nothing if it
    says nothing new."""
    if not any(ended.get("message") for ended in terminations(pod)):
        return
    key = Key(INFERENCE_SERVICES, namespace(pod), labels(pod).get(INFERENCE_SERVICE, ""))
    service = view.get(key)
    if service is None or not is_monitored(service) or not _is_of(view, pod, service):
        return
    noted: Mapping[str, Report] = view.fact(key, LAST_WORDS) or {}
    said = {word.process: word for word in words_of((pod,)) if word.process not in noted}
    if said:
        newest = max(word.now for word in said.values())
        words = [word for word in noted.values() if word.now > newest - FORGOTTEN * word.window_seconds]
        yield key, LAST_WORDS, {word.process: word for word in [*words, *said.values()][-MOST_WORDS:]}


def words_of(pods: Iterable[Body]) -> Iterator[Report]:
    """Yields the last words in the status of these pods that have counts."""
    for pod in pods:
        for ended in terminations(pod):
            word = read_last_word(ended.get("message"), uid(pod))
            if word is not None and word.ids:
                yield word


def _is_of(view: View, pod: Body, service: Body) -> bool:
    """True if the pod belongs to the stable revision of the service. Any user can create a pod with its labels."""
    revision = status_of(service)["stable"]["revision"]
    replica_set = _controller(view, pod, REPLICA_SETS)
    deployment = None if replica_set is None else _controller(view, replica_set, DEPLOYMENTS)
    return (
        labels(pod).get(REVISION) == revision
        and deployment is not None
        and labels(deployment).get(INFERENCE_SERVICE) == labels(pod).get(INFERENCE_SERVICE)
        and (controller(deployment) or {"uid": uid(service)})["uid"] == uid(service)
    )


def _controller(view: View, body: Body, resource: ResourceType) -> Body | None:
    """The object of this kind that controls another one."""
    owner = controller(body)
    found = None if owner is None else view.get(Key(resource, namespace(body), str(owner["name"])))
    return found if found is not None and owner is not None and uid(found) == owner["uid"] else None
