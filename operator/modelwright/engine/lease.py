"""Which of several processes may write: the one that holds a Lease and has renewed it a moment ago.

Time is measured on this process's own steady clock; what the Lease says of times is for people to read. A holder
stops writing (`DEADLINE`) well before anybody else may take over (`DURATION`), even when it cannot reach the API
server to find out.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from modelwright.engine.api import Api
from modelwright.engine.errors import AlreadyExists, ApiError, Conflict, NotFound
from modelwright.engine.objects import Body, Key, ResourceType, metadata

logger = logging.getLogger(__name__)

LEASES = ResourceType("coordination.k8s.io/v1", "Lease", "leases")
DURATION = 15.0
DEADLINE = 10.0
RENEW = 5.0
RETRY = 2.0
NEVER = float("-inf")


class Elector:
    """Takes part in the election: `run` does so until cancelled, `may_write` guards each write.

    `may_write` and `leading_for` may be called from any thread, all else from one. `announce` is called when this
    process begins to lead and when it no longer does.
    """

    def __init__(
        self,
        api: Api,
        key: Key,
        identity: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        announce: Callable[[bool], None] = lambda _leads: None,
        is_fit: Callable[[], bool] = lambda: True,
    ) -> None:
        self._api = api
        self._key = key
        self._identity = identity
        self._clock = clock
        self._now = now
        self._renewed = NEVER
        self._mine: Body | None = None  # the version that we wrote last
        self._seen = ""  # the version that we saw last, and since when it has not changed
        self._seen_since = NEVER
        self._announce_lead = announce
        self._is_fit = is_fit
        self._leads = False
        self._led_since = NEVER

    def may_write(self) -> bool:
        """Whether the Lease is ours, and renewed so recently that no other process can have taken it."""
        return self._clock() - self._renewed < DEADLINE

    def leading_for(self) -> float:
        """For how many seconds this process has led; 0 if it does not."""
        return self._clock() - self._led_since if self.may_write() else 0.0

    async def run(self) -> None:
        """Gets the Lease and keeps it, until cancelled."""
        while True:
            pause = RENEW if await self.step() else RETRY
            await asyncio.sleep(pause * random.uniform(0.8, 1.0))  # noqa: S311 - it spreads load

    async def step(self) -> bool:
        """Tries once to get or to keep the Lease. True if it is ours. A process that is not fit does not try."""
        held = False
        if not self._is_fit():
            logger.error("lease %s is not renewed: the operator hangs", self._key.name)
            self._announce()
            return held
        try:
            async with asyncio.timeout(RENEW):
                held = await self._try()
        except Conflict:
            self._mine = None  # another process was faster: read it again before the next try
        except (ApiError, TimeoutError) as error:
            logger.warning("lease %s: %s: %s", self._key.name, type(error).__name__, error)
            self._mine = None  # the request may have gone through
        self._announce()
        return held

    async def release(self) -> None:
        """Gives the Lease back, so that another process need not wait for it to run out."""
        lease, held = self._mine, self.may_write()
        self._renewed = NEVER
        self._announce()
        if not held or lease is None:
            return
        spec = {**_spec(lease), "holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": self._time()}
        try:
            async with asyncio.timeout(RENEW):
                await self._api.replace(self._key, {**lease, "spec": spec})
        except (ApiError, TimeoutError) as error:
            logger.warning("lease %s was not given back: %s", self._key.name, error)

    async def _try(self) -> bool:
        """Renews our Lease from the version that we wrote; reads that of another process anew."""
        lease = self._mine or await self._read()
        # The clock is read before the request goes out: others count from its arrival, which is later.
        asked_at = self._clock()
        if lease is None:
            await self._take(asked_at, self._api.create(self._key, self._new()))
        elif self._is_free(lease):
            await self._take(asked_at, self._api.replace(self._key, self._renewal(lease)))
        else:
            self._renewed = NEVER
            return False
        return True

    async def _read(self) -> Body | None:
        """Reads the Lease, and notes since when it has not changed: so the end of its holder is noticed."""
        try:
            seen = await self._api.get(self._key)
        except NotFound:
            return None
        if _version(seen) != self._seen:  # from our point of view it starts to run now
            self._seen, self._seen_since = _version(seen), self._clock()
        return seen

    def _is_free(self, lease: Body) -> bool:
        if _holder(lease) in {"", self._identity}:
            return True
        duration = float(_spec(lease).get("leaseDurationSeconds") or DURATION)
        return self._clock() - self._seen_since > duration

    async def _take(self, asked_at: float, request: Awaitable[Body]) -> None:
        try:
            self._mine = await request
        except AlreadyExists as error:
            raise Conflict(str(error)) from error
        self._renewed = asked_at

    def _new(self) -> Body:
        return {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"name": self._key.name, "namespace": self._key.namespace},
            "spec": self._held({}, transitions=0),
        }

    def _renewal(self, lease: Body) -> Body:
        spec = _spec(lease)
        if _holder(lease) == self._identity:
            return {**lease, "spec": {**spec, "renewTime": self._time()}}
        return {**lease, "spec": self._held(spec, transitions=int(spec.get("leaseTransitions") or 0) + 1)}

    def _held(self, spec: Body, transitions: int) -> Body:
        return {
            **spec,
            "holderIdentity": self._identity,
            "leaseDurationSeconds": int(DURATION),
            "acquireTime": self._time(),
            "renewTime": self._time(),
            "leaseTransitions": transitions,
        }

    def _announce(self) -> None:
        """Starts or stops the workers, if that has changed."""
        leads = self.may_write()
        if leads == self._leads:
            return
        if leads:
            self._led_since = self._clock()
        self._leads = leads
        self._announce_lead(leads)
        logger.info("%s leads" if leads else "%s no longer leads", self._identity)

    def _time(self) -> str:
        return self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _holder(lease: Body) -> str:
    return str(_spec(lease).get("holderIdentity") or "")


def _spec(lease: Body) -> Body:
    return lease.get("spec") or {}


def _version(lease: Body) -> str:
    return str(metadata(lease).get("resourceVersion", ""))
