"""Executes a plan: events, then the status, then the effects, each only where it changes something.

What the API server refuses becomes a fact for the planner, and the later effects are carried out all the same; what
else goes wrong is raised, as one of `errors`. Decides nothing. Knows no kind.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, assert_never

from modelwright.engine.api import ABSENT_VERSION, MANAGED_BY, MANAGER, STATUS_MANAGER, Api
from modelwright.engine.cache import Store
from modelwright.engine.compare import Settled, Unchanged, covers, differs_at, digest, without_nulls
from modelwright.engine.errors import (
    AlreadyExists,
    Conflict,
    Invalid,
    NameTaken,
    NotFound,
    NotLeader,
    Rejected,
    Retryable,
)
from modelwright.engine.objects import (
    ROOT_UID,
    Body,
    Key,
    ResourceType,
    annotations_of,
    controller,
    deleting,
    labels,
    metadata,
    root_uid,
    uid,
)
from modelwright.engine.plan import (
    ABSENT,
    Annotate,
    Apply,
    Confirm,
    Count,
    Create,
    Delete,
    Effect,
    Event,
    Plan,
)
from modelwright.engine.refusal import REFUSALS, Action, Refusal, refusal_of, steady
from modelwright.engine.retries import Retries
from modelwright.engine.rivals import Rivals

logger = logging.getLogger(__name__)

# For how many seconds what was read from the API server counts as the present.
FRESH = 10.0
APPLIED_HASH = "modelwright.dev/applied-hash"


class Recorder(Protocol):
    """Posts events."""

    async def record(self, about: Body, event: Event) -> None:
        """Posts an event about an object; a failure is logged, not raised."""
        ...


class _Refused(Exception):  # noqa: N818 - it carries what was refused to where that is kept
    """A write that the API server refuses, or refused a moment ago."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


@dataclass(frozen=True)
class _Look:
    """What was read from the API server for the next plan of an object, and when: kinds, each in a namespace or, with
    None, in all."""

    kinds: frozenset[tuple[ResourceType, str | None]]
    at: float

    def covers(self, kinds: Collection[tuple[ResourceType, str | None]], now: float) -> bool:
        """True if all of these kinds were read, and not long ago."""
        return self.kinds.issuperset(kinds) and now - self.at <= FRESH


class Executor:
    """Writes what a plan holds, and puts the answers into the cache at once."""

    def __init__(
        self,
        api: Api,
        store: Store,
        recorder: Recorder,
        may_write: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.monotonic,
        operator: str = "",
        count: Callable[[Count], None] = lambda _: None,
    ) -> None:
        self._api = api
        self._store = store
        self._recorder = recorder
        self._may_write = may_write
        self._clock = clock
        self._count = count
        self._settled = Settled()
        self._unchanged = Unchanged()
        self._retries = Retries()
        self._rivals = Rivals(operator)
        self._looks: dict[Key, _Look] = {}

    def retry_in(self, key: Key) -> float | None:
        """In how many seconds the first refused write for an object is due again; None if none was refused."""
        times = [self._retries.due(refusal) for refusal in self._store.fact(key, REFUSALS) or ()]
        times.append(self._rivals.due(key, self._clock()))
        soonest = min((moment for moment in times if moment is not None), default=None)
        return None if soonest is None else max(0.0, soonest - self._clock())

    async def execute(self, key: Key, plan: Plan) -> bool:
        """Executes the plan for an object. True if anything was written or found out: then the next plan is due."""
        body, wrote, looked = self._store.get(key), False, self._looks.pop(key, None)
        if body is not None:
            contested = self._contested(key, body, plan)
            if contested is not None:
                return await self._stand_back(key, body, plan, contested)
            for event in plan.events:
                self._check_leadership()
                await self._recorder.record(body, event)
            wrote = plan.status is not None and await self._write_status(key, body, plan.status)
            for each in plan.counts if wrote else ():
                self._count(each)
            if self._store.get(key) is None:  # the object is gone: its children must not be made
                return wrote
        refusals = []
        for effect in plan.effects:
            try:
                wrote = await self._do(key, effect, looked) or wrote
            except _Refused as refused:
                refusals.append(refused.refusal)
        return await self._note(key, plan, refusals) or wrote

    def _contested(self, key: Key, body: Body, plan: Plan) -> Refusal | None:
        """Why nothing is to be written for an object: another operator undoes it. None where all is well."""
        theirs, due = {}, set()
        for effect in plan.effects:
            known = self._store.get(effect.key)
            author = None if known is None else self._rivals.author(known)
            if known is None or author is None:
                continue
            theirs[effect.key] = author
            if isinstance(effect, Delete):
                changes = uid(known) == effect.uid and not deleting(known)
            else:
                changes = isinstance(effect, Apply) and not self._is_applied(_with_hash(effect.body), known)
            if changes:
                due.add(effect.key)
        return self._rivals.refusal(key, body.get("status"), theirs, due, self._clock())

    async def _stand_back(self, key: Key, body: Body, plan: Plan, contested: Refusal) -> bool:
        """Writes nothing but the status, once in each pause, and only when the plan knows the reason."""
        if await self._note(key, Plan(), [contested]):
            return True
        if plan.status is None or not self._rivals.may_speak(key):
            return False
        return await self._write_status(key, body, plan.status)

    async def _note(self, key: Key, plan: Plan, refusals: list[Refusal]) -> bool:
        """Keeps refusals and absences as facts of the object, and posts an event for each new refusal."""
        missing = {effect.key for effect in plan.effects if isinstance(effect, Confirm)}
        absent = frozenset(found for found in missing if self._store.get(found) is None)
        changed = self._store.note(key, ABSENT, absent or None)
        before = self._store.fact(key, REFUSALS) or ()
        now = steady(before, refusals)
        if not self._store.note(key, REFUSALS, now or None):
            return changed
        body = self._store.get(key)
        for refusal in now:
            if body is not None and refusal not in before:
                logger.warning("%s: %s %s: %s", key, refusal.action, refusal.object, refusal.message)
                self._check_leadership()
                await self._recorder.record(body, Event("Warning", "ApplyFailed", refusal.message))
        return True

    async def _write_status(self, key: Key, body: Body, status: Mapping[str, Any]) -> bool:
        name = f"{uid(body)}/status"
        if self._unchanged.holds(name, status, body):
            return False
        wanted = without_nulls(status)
        live = without_nulls(body.get("status", {}))
        # Equal, not covered: a field that the planner no longer sets has to go.
        if wanted == live or self._settled.holds(name, wanted, {"": live}):
            self._unchanged.remember(name, status, body)
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
        self._rivals.wrote_status(key, answer.get("status"))
        self._store.put(key.resource, answer)
        return True

    async def _do(self, key: Key, effect: Effect, looked: _Look | None) -> bool:
        match effect:
            case Create():
                return await self._create(key, effect, looked)
            case Apply():
                return await self._apply(effect)
            case Delete():
                return await self._delete(key, effect, looked)
            case Annotate():
                return await self._annotate(effect)
            case Confirm():
                return await self._confirm(key, effect.key)
            case _:
                assert_never(effect)

    async def _create(self, planned: Key, effect: Create, looked: _Look | None) -> bool:
        known = self._store.get(effect.key)
        if known is not None and (effect.shared or _is_controlled(effect.body, known)):
            return False
        return await self._sent(effect.key, "create", effect.body, self._make(planned, effect, known, looked))

    async def _make(self, planned: Key, effect: Create, known: Body | None, looked: _Look | None) -> bool:
        key, manifest = effect.key, effect.body
        if known is not None:
            self._check_ours(key, manifest, known)
            return False
        if not await self._is_confirmed(planned, effect, "create", looked):
            return True
        self._check_leadership()
        try:
            answer = await self._api.create(key, self._rivals.signed(manifest))
            self._rivals.wrote(key)
        except AlreadyExists:
            answer = await self._api.get(key)
            if effect.shared and labels(answer).get(MANAGED_BY) != MANAGER:
                return False  # not ours: no watch would show its deletion
            if not effect.shared:
                self._check_ours(key, manifest, answer)
        self._store.put(key.resource, answer)
        return True

    async def _apply(self, effect: Apply) -> bool:
        key, known = effect.key, self._store.get(effect.key)
        if self._unchanged.holds(key, effect.body, known):
            self._retries.accepted(key, "apply")
            return False
        manifest = _with_hash(effect.body)
        if known is not None and self._is_applied(manifest, known) and _is_controlled(manifest, known):
            self._unchanged.remember(key, effect.body, known)
            self._retries.accepted(key, "apply")
            return False
        return await self._sent(key, "apply", manifest, self._bring(key, manifest, known))

    async def _bring(self, key: Key, manifest: Body, known: Body | None) -> bool:
        if known is None:
            return await self._bring_new(key, manifest)
        self._check_ours(key, manifest, known)
        if self._is_applied(manifest, known):
            return False
        if deleting(known):
            raise Retryable(f"{key} is being deleted; it is made anew when it is gone")
        await self._send(key, manifest, {"uid": uid(known)})
        return True

    async def _bring_new(self, key: Key, manifest: Body) -> bool:
        """Applies what the cache lacks, and only if nothing has the name: it may belong to another owner, and
        server-side apply would take it. One of ours that was not seen yet comes into the cache."""
        try:
            await self._send(key, manifest, {"resourceVersion": ABSENT_VERSION})
        except Conflict:
            try:
                found = await self._api.get(key)
            except NotFound as error:  # it is gone again
                raise Conflict(str(error)) from error
            self._check_ours(key, manifest, found)
            self._store.put(key.resource, found)
        return True

    async def _confirm(self, planned: Key, key: Key) -> bool:
        """Reads an object that the cache lacks. One that is not ours counts as absent."""
        if self._store.get(key) is not None or key in (self._store.fact(planned, ABSENT) or ()):
            return False
        try:
            answer = await self._api.get(key)
        except NotFound:
            return False
        if labels(answer).get(MANAGED_BY) != MANAGER:
            return False
        return self._store.put(key.resource, answer)

    async def _is_confirmed(
        self, planned: Key, effect: Create | Delete, action: Action, looked: _Look | None
    ) -> bool:
        """True if what the effect rests on was read right before its plan was made.

        Else it is read now, and the next plan decides. A refusal of before stands until the write is tried again.
        """
        everywhere = isinstance(effect, Create) and effect.everywhere
        places = (self._store.scope or (None,)) if everywhere else (effect.key.namespace,)
        kinds = frozenset((kind, place) for kind in effect.rests_on for place in places)
        if not kinds or (looked is not None and looked.covers(kinds, self._clock())):
            return True
        now = self._looks.get(planned) or _Look(frozenset(), self._clock())
        for kind, place in sorted(kinds - now.kinds):
            for body in (await self._api.list(kind, place)).items:
                self._store.put(kind, body)
        self._looks[planned] = _Look(kinds | now.kinds, now.at)
        for refusal in self._store.fact(planned, REFUSALS) or ():
            if (refusal.object, refusal.action) == (effect.key, action):
                raise _Refused(refusal)
        return False

    async def _sent(
        self, key: Key, action: Action, content: object, write: Coroutine[Any, Any, bool]
    ) -> bool:
        """Sends a write, unless its refusal still holds; remembers a refusal until the write is due again."""
        version = digest(content)
        held = self._retries.held(key, action, version, self._clock())
        if held is not None:
            write.close()
            raise _Refused(held)
        try:
            changed = await write
        except Rejected as error:
            refusal = refusal_of(key, action, error)
            self._retries.refused(refusal, version, self._clock(), random.random())  # noqa: S311 - spreads load
            raise _Refused(refusal) from error
        self._retries.accepted(key, action)
        return changed

    def _is_applied(self, manifest: Body, known: Body) -> bool:
        same = annotations_of(known).get(APPLIED_HASH) == annotations_of(manifest)[APPLIED_HASH]
        return (same and covers(manifest, known)) or self._settled.holds(uid(known), manifest, known)

    async def _send(self, key: Key, manifest: Body, expected: Mapping[str, str]) -> None:
        """Applies to the object that `expected` names by its uid, so that no other object is changed in its place; or
        to none, by a version that no object has."""
        self._check_leadership()
        sent = self._rivals.signed(manifest)
        try:
            answer = await self._api.apply(
                key, {**sent, "metadata": {**metadata(sent), **expected}}, manager=MANAGER
            )
        except Conflict:
            if "uid" in expected:
                await self._refresh(key, expected["uid"])
            raise
        self._rivals.wrote(key)
        if not covers(manifest, answer):
            logger.debug("%s: the API server keeps %s differently", key, differs_at(manifest, answer))
            self._settled.remember(uid(answer), manifest, answer)
        self._store.put(key.resource, answer)

    async def _refresh(self, key: Key, uid: str) -> None:
        """Corrects the cache after a write to an object that is no longer there."""
        try:
            answer = await self._api.get(key)
        except NotFound:
            self._store.gone(key, uid)
        else:
            self._store.put(key.resource, answer)

    async def _delete(self, planned: Key, effect: Delete, looked: _Look | None) -> bool:
        known = self._store.get(effect.key)
        if known is not None and uid(known) == effect.uid and deleting(known):
            return False
        return await self._sent(effect.key, "delete", effect.uid, self._remove(planned, effect, looked))

    async def _remove(self, planned: Key, effect: Delete, looked: _Look | None) -> bool:
        if not await self._is_confirmed(planned, effect, "delete", looked):
            return True
        self._check_leadership()
        try:
            answer = await self._api.delete(
                effect.key, uid=effect.uid, resource_version=effect.resource_version
            )
            self._rivals.wrote(effect.key)
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
        return await self._sent(key, "annotate", [effect.uid, effect.annotations], self._write_note(effect))

    async def _write_note(self, effect: Annotate) -> bool:
        key = effect.key
        self._check_leadership()
        noted = {"name": key.name, "namespace": key.namespace, "uid": effect.uid}
        patch = self._api.patch_status if effect.by_status else self._api.patch
        try:
            answer = await patch(key, {"metadata": {**noted, "annotations": dict(effect.annotations)}})
        except NotFound:
            self._store.gone(key, effect.uid)
            return False
        except (Conflict, Invalid):  # either one can stand for another uid
            await self._refresh(key, effect.uid)
            return True
        self._store.put(key.resource, answer)
        return True

    def _check_ours(self, key: Key, manifest: Body, known: Body) -> None:
        """Raises unless the object of that name is the one that the manifest describes."""
        if _is_controlled(manifest, known) or self._is_orphaned(manifest, known):
            return
        wanted, found = controller(manifest), controller(known)
        if wanted is not None and found is not None and _same_name(wanted, found):
            raise Retryable(
                f"{key.resource.kind} {key.name} belongs to an earlier {found['kind']} {found['name']} and goes with it"
            )
        raise NameTaken(f"{key.resource.kind} {key.name} exists already and belongs to somebody else")

    def _is_orphaned(self, manifest: Body, known: Body) -> bool:
        """Whether the object was made by us for this owner and lost the reference to it, as after a restore.

        Its labels name the owner, and the uid that it was made for does not exist any more.
        """
        if controller(manifest) is None or controller(known) is not None:
            return False
        expected = {name: value for name, value in labels(manifest).items() if name != ROOT_UID}
        made_for = self._store.named(root_uid(known) or "")
        ours = labels(manifest).get(ROOT_UID)
        return expected.items() <= labels(known).items() and (
            made_for is None or labels(known).get(ROOT_UID) == ours
        )

    def _check_leadership(self) -> None:
        if not self._may_write():
            self._rivals = Rivals(self._rivals.operator)
            raise NotLeader("another process may lead")


def _status_of(body: Body, status: object) -> Body:
    """The body to apply. It names the version that was planned for: the status may not fit a later version or a later
    object of that name. (The API server checks the version of a status, not its uid.)"""
    seen = {name: metadata(body)[name] for name in ("name", "namespace", "uid", "resourceVersion")}
    return {"apiVersion": body["apiVersion"], "kind": body["kind"], "metadata": seen, "status": status}


def _with_hash(manifest: Body) -> Body:
    meta = metadata(manifest)
    noted = {**(meta.get("annotations") or {}), APPLIED_HASH: digest(manifest)}
    return {**manifest, "metadata": {**meta, "annotations": noted}}


def _is_controlled(manifest: Body, known: Body) -> bool:
    """Whether the object is controlled by the owner that the manifest names; of one without an owner, whether it is
    ours by label."""
    wanted, found = controller(manifest), controller(known)
    if wanted is None:
        return labels(known).get(MANAGED_BY) == MANAGER
    return found is not None and bool(found["uid"] == wanted["uid"])


def _same_name(wanted: Body, found: Body) -> bool:
    return (wanted["kind"], wanted["name"]) == (found["kind"], found["name"])
