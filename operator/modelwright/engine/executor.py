"""Carries out a plan: events, then the status, then the effects, each only where it changes something.

Decides nothing and retries nothing: what goes wrong is raised, as one of `errors`. Knows no kind.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol, assert_never

from modelwright.engine.api import MANAGED_BY, MANAGER, STATUS_MANAGER, Api
from modelwright.engine.cache import Store
from modelwright.engine.compare import Settled, covers, differs_at, digest, without_nulls
from modelwright.engine.errors import (
    AlreadyExists,
    Conflict,
    Invalid,
    NameTaken,
    NotFound,
    NotLeader,
    Retryable,
)
from modelwright.engine.objects import Body, Key, annotations_of, controller, deleting, labels, metadata, uid
from modelwright.engine.plan import Annotate, Apply, Create, Delete, Effect, Event, Plan

logger = logging.getLogger(__name__)

APPLIED_HASH = "modelwright.dev/applied-hash"


class Recorder(Protocol):
    """Tells the user."""

    async def record(self, about: Body, event: Event) -> None:
        """Posts an event about an object; never raises when that does not work out."""
        ...


class Executor:
    """Writes what a plan says, and puts the answers into the cache at once."""

    def __init__(
        self,
        api: Api,
        store: Store,
        recorder: Recorder,
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        self._api = api
        self._store = store
        self._recorder = recorder
        self._may_write = may_write
        self._settled = Settled()

    async def execute(self, key: Key, plan: Plan) -> bool:
        """Carries out the plan for an object. Says whether anything was written, so that another look is due."""
        body = self._store.get(key)
        if body is None:
            wrote = False
        else:
            for event in plan.events:
                self._check_leadership()
                await self._recorder.record(body, event)
            wrote = plan.status is not None and await self._write_status(key, body, plan.status)
            if self._store.get(key) is None:  # the status had no object to go to: nor have the children
                return wrote
        for effect in plan.effects:
            wrote = await self._do(effect) or wrote
        return wrote

    async def _write_status(self, key: Key, body: Body, status: Mapping[str, Any]) -> bool:
        wanted = without_nulls(status)
        name = f"{uid(body)}/status"
        live = without_nulls(body.get("status", {}))
        # Equal, not covered: a field that the planner no longer sets has to go.
        if wanted == live or self._settled.holds(name, wanted, {"": live}):
            return False
        self._check_leadership()
        try:
            answer = await self._api.apply_status(key, _status_of(body, wanted), manager=STATUS_MANAGER)
        except NotFound:
            self._store.gone(key, uid(body))
            return False
        except Conflict:
            await self._refresh(key, uid(body))
            raise
        if without_nulls(answer.get("status", {})) != wanted:
            self._settled.remember(name, wanted, {"": without_nulls(answer.get("status", {}))})
        self._store.put(key.resource, answer)
        return True

    async def _do(self, effect: Effect) -> bool:
        match effect:
            case Create():
                return await self._create(effect)
            case Apply():
                return await self._apply(effect)
            case Delete():
                return await self._delete(effect)
            case Annotate():
                return await self._annotate(effect)
            case _:
                assert_never(effect)

    async def _create(self, effect: Create) -> bool:
        key, manifest = effect.key, effect.body
        known = self._store.get(key)
        if known is not None:
            if not effect.shared:
                _check_ours(key, manifest, known)
            return False
        self._check_leadership()
        try:
            answer = await self._api.create(key, manifest)
        except AlreadyExists:
            answer = await self._api.get(key)
            if not effect.shared:
                _check_ours(key, manifest, answer)
        self._store.put(key.resource, answer)
        return True

    async def _apply(self, effect: Apply) -> bool:
        key, manifest = effect.key, _with_hash(effect.body)
        known = self._store.get(key)
        if known is None:
            self._check_leadership()
            known = await self._look(key)
        if known is not None:
            _check_ours(key, manifest, known)
            if self._is_applied(manifest, known):
                return False
            if deleting(known):
                raise Retryable(f"{key} is being deleted; it is made anew when it is gone")
        self._check_leadership()
        await self._send(key, manifest, known)
        return True

    async def _look(self, key: Key) -> Body | None:
        """Asks the API server for an object that the cache does not have: one that is there all the same may be
        somebody else's, and server-side apply would take it without a word."""
        try:
            answer = await self._api.get(key)
        except NotFound:
            return None
        self._store.put(key.resource, answer)
        return answer

    def _is_applied(self, manifest: Body, known: Body) -> bool:
        same = annotations_of(known).get(APPLIED_HASH) == annotations_of(manifest)[APPLIED_HASH]
        return (same and covers(manifest, known)) or self._settled.holds(uid(known), manifest, known)

    async def _send(self, key: Key, manifest: Body, known: Body | None) -> None:
        """Applies. Where an object is known its uid goes along, so that no other is changed in its place."""
        sent = manifest
        if known is not None:
            sent = {**manifest, "metadata": {**metadata(manifest), "uid": uid(known)}}
        try:
            answer = await self._api.apply(key, sent, manager=MANAGER)
        except Conflict:
            if known is not None:
                await self._refresh(key, uid(known))
            raise
        if not covers(manifest, answer):
            logger.debug("%s: the API server keeps %s differently", key, differs_at(manifest, answer))
            self._settled.remember(uid(answer), manifest, answer)
        self._store.put(key.resource, answer)

    async def _refresh(self, key: Key, uid: str) -> None:
        """Corrects the cache after a write that was meant for an object that is no longer there."""
        try:
            answer = await self._api.get(key)
        except NotFound:
            self._store.gone(key, uid)
        else:
            self._store.put(key.resource, answer)

    async def _delete(self, effect: Delete) -> bool:
        known = self._store.get(effect.key)
        if known is not None and uid(known) == effect.uid and deleting(known):
            return False
        self._check_leadership()
        try:
            answer = await self._api.delete(effect.key, uid=effect.uid)
        except NotFound:
            answer = None
        except Conflict:
            await self._refresh(effect.key, effect.uid)
            return True
        if answer is None:
            self._store.gone(effect.key, effect.uid)
        else:
            self._store.put(effect.key.resource, answer)
        return True

    async def _annotate(self, effect: Annotate) -> bool:
        key = effect.key
        known = self._store.get(key)
        if known is None or uid(known) != effect.uid or deleting(known):
            return False
        if effect.annotations.items() <= annotations_of(known).items():
            return False
        self._check_leadership()
        noted = {"name": key.name, "namespace": key.namespace, "uid": effect.uid}
        try:
            answer = await self._api.patch(
                key, {"metadata": {**noted, "annotations": dict(effect.annotations)}}
            )
        except NotFound:
            self._store.gone(key, effect.uid)
            return False
        except (Conflict, Invalid):  # which is what a uid that is another one can be called
            await self._refresh(key, effect.uid)
            return True
        self._store.put(key.resource, answer)
        return True

    def _check_leadership(self) -> None:
        if not self._may_write():
            raise NotLeader("another process may be in charge")


def _status_of(body: Body, status: object) -> Body:
    """What is applied to say this of the object as it was seen: of a later version, or of a later object of the
    same name, it need not be true. (A status ignores the uid; the version is what the API server checks.)"""
    seen = {name: metadata(body)[name] for name in ("name", "namespace", "uid", "resourceVersion")}
    return {"apiVersion": body["apiVersion"], "kind": body["kind"], "metadata": seen, "status": status}


def _with_hash(manifest: Body) -> Body:
    meta = metadata(manifest)
    noted = {**(meta.get("annotations") or {}), APPLIED_HASH: digest(manifest)}
    return {**manifest, "metadata": {**meta, "annotations": noted}}


def _check_ours(key: Key, manifest: Body, known: Body) -> None:
    """Makes sure that the object is the one that the manifest means, and not somebody else's of that name."""
    wanted, found = controller(manifest), controller(known)
    if wanted is None:
        ours = labels(known).get(MANAGED_BY) == MANAGER
    else:
        ours = found is not None and found["uid"] == wanted["uid"]
    if ours:
        return
    if wanted is not None and found is not None and _same_name(wanted, found):
        raise Retryable(
            f"{key.resource.kind} {key.name} belongs to an earlier {found['kind']} {found['name']} and goes with it"
        )
    raise NameTaken(
        f"{key.resource.kind} {key.name} exists already and belongs to somebody else; delete or rename it"
    )


def _same_name(wanted: Body, found: Body) -> bool:
    return (wanted["kind"], wanted["name"]) == (found["kind"], found["name"])
