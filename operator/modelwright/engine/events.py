"""Tells users what happened, as Kubernetes Events: each thing once, and never at the price of a reconcile."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from modelwright.engine.api import Api
from modelwright.engine.compare import digest
from modelwright.engine.errors import AlreadyExists, ApiError
from modelwright.engine.objects import Body, Key, ResourceType, metadata, uid
from modelwright.engine.plan import Event

logger = logging.getLogger(__name__)

EVENTS = ResourceType("v1", "Event", "events")
COMPONENT = "modelwright-operator"
MESSAGE_LENGTH = 1024
QUIET = timedelta(minutes=10)
PATIENCE = 5.0
REMEMBERED = 10_000


class EventRecorder:
    """Posts events. The name is made of what is said, so the same thing said again is the same event."""

    def __init__(
        self, api: Api, instance: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._api = api
        self._instance = instance
        self._now = now
        self._said: OrderedDict[str, datetime] = OrderedDict()

    async def record(self, about: Body, event: Event) -> None:
        """Posts an event about an object; what goes wrong is logged."""
        meta = metadata(about)
        now = self._now()
        name = event_name(about, event)
        key = Key(EVENTS, meta.get("namespace", ""), name)
        if self._is_recent(key, now):
            return
        try:
            async with asyncio.timeout(PATIENCE):
                await self._post(key, event_body(about, event, now, self._instance))
        except (ApiError, TimeoutError) as error:
            logger.warning("event %s about %s was not posted: %s", event.reason, meta["name"], error)

    def _is_recent(self, key: Key, now: datetime) -> bool:
        name = f"{key.namespace}/{key.name}"
        if name in self._said and now - self._said[name] < QUIET:
            return True
        self._said.pop(name, None)
        self._said[name] = now
        while len(self._said) > REMEMBERED:
            self._said.popitem(last=False)
        return False

    async def _post(self, key: Key, body: Body) -> None:
        try:
            await self._api.create(key, body)
        except AlreadyExists:
            known = await self._api.get(key)
            if _last(known) + QUIET <= self._now():
                count = int(known.get("count") or 1) + 1
                await self._api.patch(key, {"count": count, "lastTimestamp": body["lastTimestamp"]})


def event_name(about: Body, event: Event) -> str:
    """The name of what is said of an object."""
    meta = metadata(about)
    said = digest([uid(about), event.type, event.reason, _cut(event.message), meta.get("generation", 0)])
    return f"{meta['name'][:230].rstrip('-.')}.{said}"


def event_body(about: Body, event: Event, now: datetime, instance: str) -> Body:
    """The Event object."""
    meta = metadata(about)
    at = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": event_name(about, event), "namespace": meta.get("namespace", "")},
        "involvedObject": {
            "apiVersion": about["apiVersion"],
            "kind": about["kind"],
            "name": meta["name"],
            "namespace": meta.get("namespace", ""),
            "uid": uid(about),
            "resourceVersion": meta.get("resourceVersion", ""),
        },
        "type": event.type,
        "reason": event.reason,
        "message": _cut(event.message),
        "count": 1,
        "firstTimestamp": at,
        "lastTimestamp": at,
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": instance,
    }


def _cut(message: str) -> str:
    return message if len(message) <= MESSAGE_LENGTH else f"{message[: MESSAGE_LENGTH - 1]}…"


def _last(event: Body) -> datetime:
    """When an event was last said; long ago if it does not tell."""
    try:
        return datetime.fromisoformat(event.get("lastTimestamp") or "")
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
