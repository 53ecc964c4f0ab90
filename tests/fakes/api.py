"""An API server in memory, for what a real one cannot be made to do on demand: crashes, outages, races.

`tests/cluster/test_engine.py` holds it to the real one. It implements `Api`, keeps the history that a watch would
show, and can fail before or after any request.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from fakes.merge import flatten, unflatten

from modelwright.engine.api import Listing
from modelwright.engine.cache import key_of
from modelwright.engine.errors import AlreadyExists, Conflict, Invalid, NamespaceTerminating, NotFound
from modelwright.engine.objects import Body, Key, ResourceType, labels, metadata, uid

WRITES = frozenset({"create", "apply", "apply_status", "delete", "replace", "patch", "patch_status"})
BORN = "2026-01-01T00:00:00Z"
Moment = Literal["before", "after"]
Change = Literal["ADDED", "MODIFIED", "DELETED"]
Rule = Callable[[Key, Body], None]


class Crash(BaseException):
    """The operator's process dies here. No `except Exception` may catch it."""


@dataclass(frozen=True)
class Call:
    """A request that arrived."""

    verb: str
    resource: ResourceType
    key: Key | None = None
    body: Body | None = None


@dataclass(frozen=True)
class WatchEvent:
    """What a watch on the kind would show."""

    change: Change
    resource: ResourceType
    body: Body


@dataclass
class Fault:
    """Requests that go wrong: after `skip` that match, `times` of them."""

    error: Callable[[], BaseException]
    moment: Moment = "before"
    skip: int = 0
    times: int = 1
    verbs: frozenset[str] = WRITES
    where: Callable[[Call], bool] = lambda _call: True

    def strikes(self, call: Call) -> bool:
        """Whether this request is one of them; counts it."""
        if call.verb not in self.verbs or not self.where(call) or self.times == 0:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.times -= 1
        return True


@dataclass
class FakeApi:
    """The objects, and what happened to them."""

    objects: dict[Key, dict[str, Any]] = field(default_factory=dict)
    history: list[WatchEvent] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    terminating_namespaces: set[str] = field(default_factory=set)
    version: int = 1000
    _born: int = 0
    _owned: dict[tuple[str, str], set[tuple[Any, ...]]] = field(default_factory=dict)

    @property
    def writes(self) -> list[Call]:
        """The requests that could have changed something."""
        return [call for call in self.calls if call.verb in WRITES]

    def fail(
        self, error: Callable[[], BaseException], moment: Moment = "before", *, skip: int = 0, times: int = 1
    ) -> None:
        """Makes `times` writes go wrong after `skip` more; "after" means that the write was done all the same."""
        self.faults.append(Fault(error, moment, skip, times))

    async def create(self, key: Key, body: Body) -> Body:
        """Makes a new object; AlreadyExists when the name is taken."""
        with self._call("create", key, body):
            if key in self.objects:
                raise AlreadyExists(f'{key.resource.plural} "{key.name}" already exists')
            return self._insert(key, _without_status(body))

    async def apply(self, key: Key, body: Body, *, manager: str) -> Body:
        """Server-side apply, with force."""
        with self._call("apply", key, body):
            self._check_preconditions(key, body)
            known = self.objects.get(key)
            if known is None:
                made = self._insert(key, _without_status(body))
                self._owned[uid(made), manager] = set(flatten(_applied(body)))
                return made
            return self._update(key, self._merged(known, _applied(body), manager))

    async def apply_status(self, key: Key, body: Body, *, manager: str) -> Body:
        """Server-side apply on the status, with force."""
        with self._call("apply_status", key, body):
            known = self._existing(key)
            _check_version(known, body)  # the uid does not count here
            return self._update(key, self._merged(known, {"status": body["status"]}, manager))

    async def get(self, key: Key) -> Body:
        """The object as it is now."""
        with self._call("get", key):
            return copy.deepcopy(self._existing(key))

    async def delete(self, key: Key, *, uid: str, resource_version: str | None = None) -> Body | None:
        """Asks the object to go; a finalizer holds it."""
        with self._call("delete", key):
            known = copy.deepcopy(self._existing(key))
            if metadata(known)["uid"] != uid:
                raise Conflict(f"the UID in the precondition ({uid}) does not match")
            if resource_version not in {None, metadata(known)["resourceVersion"]}:
                raise Conflict(f"the version in the precondition ({resource_version}) does not match")
            if metadata(known).get("finalizers"):
                known["metadata"].setdefault("deletionTimestamp", BORN)
                return self._update(key, known)
            self._bury(key)
            return None

    async def list(
        self, resource: ResourceType, namespace: str | None, *, selector: str = "", fields: str = ""
    ) -> Listing:
        """All objects of a kind that the selectors pick."""
        with self._call("list", None, None, resource):
            items: list[Body] = [
                copy.deepcopy(body)
                for key, body in sorted(self.objects.items())
                if key.resource == resource
                and namespace in {None, key.namespace}
                and _picks(selector, body)
                and _has(fields, body)
            ]
            return Listing(items, self.version)

    async def replace(self, key: Key, body: Body) -> Body:
        """Puts a body in place of the version that it was made from."""
        with self._call("replace", key, body):
            known = self._existing(key)
            _check_version(known, body)
            return self._update(key, _kept_identity(known, body))

    async def patch(self, key: Key, patch: Body) -> Body:
        """JSON merge patch."""
        with self._call("patch", key, patch):
            known = self._existing(key)
            return self._update(key, _kept_identity(known, _merge_patch(known, patch)))

    async def patch_status(self, key: Key, patch: Body) -> Body:
        """JSON merge patch of the metadata and the status; all else in it is left out."""
        with self._call("patch_status", key, patch):
            known = self._existing(key)
            if metadata(patch).get("uid") not in {None, uid(known)}:
                raise Conflict("metadata.uid: field is immutable")
            taken = {part: patch[part] for part in ("metadata", "status") if part in patch}
            return self._update(key, _kept_identity(known, _merge_patch(known, taken)))

    def edit(self, key: Key, change: Callable[[dict[str, Any]], None]) -> Body:
        """Somebody else changes an object by hand; also its status."""
        body = copy.deepcopy(self._existing(key))
        change(body)
        return self._update(key, body)

    def put(self, key: Key, body: Body) -> Body:
        """Somebody else makes an object; no request of ours."""
        return self._insert(key, body)

    def drop(self, key: Key) -> None:
        """Somebody else deletes an object, whatever holds it."""
        self._bury(key)

    def orphan(self, key: Key) -> None:
        """`kubectl delete --cascade=orphan`: the object goes, and what it owns stays without an owner."""
        owner = uid(self.objects[key])
        for child in [child for child, body in self.objects.items() if owner in _owners(body)]:
            self.edit(child, lambda body: body["metadata"].pop("ownerReferences"))
        self._bury(key)

    def collect_garbage(self) -> None:
        """What the garbage collector does: dependents go with their owners."""
        while True:
            alive = {metadata(body)["uid"] for body in self.objects.values()}
            orphans = [key for key, body in self.objects.items() if not _owners(body) <= alive]
            if not orphans:
                return
            for key in orphans:
                self._bury(key)

    @contextmanager
    def _call(
        self, verb: str, key: Key | None, body: Body | None = None, resource: ResourceType | None = None
    ) -> Iterator[None]:
        kind = resource or (key.resource if key else None)
        assert kind is not None
        call = Call(verb, kind, key, copy.deepcopy(body))
        self.calls.append(call)
        striking = next((fault for fault in self.faults if fault.strikes(call)), None)
        if striking is not None and striking.moment == "before":
            raise striking.error()
        if key is not None and body is not None:
            for rule in self.rules:
                rule(key, body)
        yield
        if striking is not None:
            raise striking.error()

    def _existing(self, key: Key) -> dict[str, Any]:
        if key not in self.objects:
            raise NotFound(f'{key.resource.plural} "{key.name}" not found')
        return self.objects[key]

    def _check_preconditions(self, key: Key, body: Body) -> None:
        wanted, known = metadata(body).get("uid"), self.objects.get(key)
        if wanted is not None and (known is None or uid(known) != wanted):
            raise Conflict(f"uid mismatch: the provided object specified uid {wanted}")
        if known is not None:
            _check_version(known, body)

    def _insert(self, key: Key, body: Body) -> dict[str, Any]:
        if key.namespace in self.terminating_namespaces:
            raise NamespaceTerminating(f"namespace {key.namespace} is being terminated")
        self._born += 1
        made = copy.deepcopy(dict(body))
        identity = {"name": key.name, "namespace": key.namespace, "uid": f"uid-{self._born:06}"}
        made["apiVersion"], made["kind"] = key.resource.api_version, key.resource.kind
        made["metadata"] = {**made.get("metadata", {}), **identity, "creationTimestamp": BORN}
        if "spec" in made:
            made["metadata"]["generation"] = 1
        return self._store("ADDED", key, made)

    def _merged(self, known: Body, applied: Mapping[str, Any], manager: str) -> dict[str, Any]:
        """What is left of the object when a manager's fields become exactly these."""
        owner = uid(known), manager
        wanted, before = flatten(applied), self._owned.get(owner, set())
        others = set().union(*(p for o, p in self._owned.items() if o[0] == owner[0] and o != owner))
        live = {
            path: leaf for path, leaf in flatten(known).items() if path not in before - set(wanted) - others
        }
        self._owned[owner] = set(wanted)
        return unflatten({**live, **wanted})

    def _update(self, key: Key, body: dict[str, Any]) -> dict[str, Any]:
        known = self.objects[key]
        _check_owners(body)
        if body == known:
            return copy.deepcopy(known)
        if body.get("spec") != known.get("spec"):
            body["metadata"]["generation"] = metadata(known).get("generation", 0) + 1
        if "deletionTimestamp" in body["metadata"] and not body["metadata"].get("finalizers"):
            self._bury(key)
            return body
        return self._store("MODIFIED", key, body)

    def _store(self, change: Change, key: Key, body: dict[str, Any]) -> dict[str, Any]:
        _check_owners(body)
        self.version += 1
        body["metadata"]["resourceVersion"] = str(self.version)
        self.objects[key] = body
        self.history.append(WatchEvent(change, key.resource, copy.deepcopy(body)))
        return copy.deepcopy(body)

    def _bury(self, key: Key) -> None:
        body = self.objects.pop(key)
        self.version += 1
        body["metadata"]["resourceVersion"] = str(self.version)
        self.history.append(WatchEvent("DELETED", key.resource, body))


def _applied(body: Body) -> dict[str, Any]:
    """The part of an applied body that becomes fields of the manager."""
    meta = {k: v for k, v in metadata(body).items() if k not in {"name", "namespace", "uid"}}
    rest = {k: v for k, v in body.items() if k not in {"apiVersion", "kind", "metadata", "status"}}
    return {**rest, **({"metadata": meta} if meta else {})}


def _without_status(body: Body) -> Body:
    meta = {k: v for k, v in metadata(body).items() if k != "uid"}
    return {**{k: v for k, v in body.items() if k != "status"}, "metadata": meta}


def _kept_identity(known: Body, body: Body) -> dict[str, Any]:
    fixed = {k: metadata(known)[k] for k in ("uid", "creationTimestamp", "resourceVersion")}
    return {**copy.deepcopy(dict(body)), "metadata": {**metadata(body), **fixed}}


def _check_version(known: Body, body: Body) -> None:
    if metadata(body).get("resourceVersion") not in {None, metadata(known)["resourceVersion"]}:
        raise Conflict("the object has been modified; please apply your changes to the latest version")


def _merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merge_patch(result.get(name), value)
    return result


def _owners(body: Body) -> set[str]:
    return {owner["uid"] for owner in metadata(body).get("ownerReferences") or []}


def _check_owners(body: Body) -> None:
    controllers = [o for o in metadata(body).get("ownerReferences") or [] if o.get("controller")]
    if len(controllers) > 1:
        raise Invalid("metadata.ownerReferences: Only one reference can have Controller set to true")


def _picks(selector: str, body: Body) -> bool:
    wanted = dict(term.split("=", 1) for term in selector.split(",") if term)
    return wanted.items() <= dict(labels(body)).items()


def _has(fields: str, body: Body) -> bool:
    """Whether fields have these values, each named by its path."""
    terms = [term.split("=", 1) for term in fields.split(",") if term]
    leaves = {".".join(map(str, path)): leaf for path, leaf in flatten(body).items()} if terms else {}
    return all(str(leaves.get(path, "")) == value for path, value in terms)


def known_to(api: FakeApi, resource: ResourceType) -> dict[Key, Body]:
    """The objects of a kind, as a test likes to look at them."""
    return {key_of(resource, body): body for key, body in api.objects.items() if key.resource == resource}
