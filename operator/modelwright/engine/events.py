"""Posts Kubernetes Events: each occurrence once. A failure never fails a reconcile."""

from __future__ import annotations

import asyncio
import logging
import re
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
LONG_AGO = datetime.fromtimestamp(0, UTC)
REMEMBERED = 10_000
# A number that is not part of a name: the 2 of "2 of 3 pods" and the 512 of "512Mi", not the 2 of "churn-2".
NUMBER = re.compile(r"(?<![\w-])\d[\d.,:]*")


class EventRecorder:
    """Posts events. An event that differs from an earlier one at most in its numbers is a repetition: the earlier one
    gets the newest message and a higher count. The same message counts again only after `QUIET`."""

    def __init__(
        self, api: Api, instance: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._api = api
        self._instance = instance
        self._now = now
        self._posted: OrderedDict[Key, tuple[str, datetime]] = OrderedDict()

    async def record(self, about: Body, event: Event) -> None:
        """Posts an event about an object. A failure is logged only; the next occurrence is posted as usual."""
        meta = metadata(about)
        now = self._now()
        key = Key(EVENTS, meta.get("namespace", ""), event_name(about, event))
        body = event_body(about, event, now, self._instance)
        message, posted = self._posted.get(key, ("", LONG_AGO))
        if message == body["message"] and now < posted + QUIET:
            return
        try:
            async with asyncio.timeout(PATIENCE):
                await self._post(key, body)
        except (ApiError, TimeoutError) as error:
            logger.warning("event %s about %s was not posted: %s", event.reason, meta["name"], error)
        else:
            self._remember(key, body["message"], now)

    def _remember(self, key: Key, message: str, now: datetime) -> None:
        self._posted.pop(key, None)
        self._posted[key] = message, now
        while len(self._posted) > REMEMBERED:
            self._posted.popitem(last=False)

    async def _post(self, key: Key, body: Body) -> None:
        try:
            await self._api.create(key, body)
        except AlreadyExists:
            known = await self._api.get(key)
            if known.get("message") == body["message"] and self._now() < _last(known) + QUIET:
                return  # this operator posted it before a restart
            count = int(known.get("count") or 1) + 1
            repeated = {"count": count, "lastTimestamp": body["lastTimestamp"], "message": body["message"]}
            await self._api.patch(key, repeated)


def event_name(about: Body, event: Event) -> str:
    """The name of an event about an object. Repetitions have the same name."""
    meta = metadata(about)
    text = NUMBER.sub("", event.message)
    content = digest([uid(about), event.type, event.reason, text, meta.get("generation", 0)])
    return f"{meta['name'][:230].rstrip('-.')}.{content}"


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
    """When an event last occurred; `LONG_AGO` if it has no valid time."""
    try:
        return datetime.fromisoformat(event.get("lastTimestamp") or "")
    except ValueError:
        return LONG_AGO
