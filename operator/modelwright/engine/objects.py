"""Plain Kubernetes objects: how to name them and how to read the parts that every object has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

Body = Mapping[str, Any]
# Pods of a Deployment are owned by a ReplicaSet: this label leads to the object that all of it is there for.
ROOT_UID = "modelwright.dev/root-uid"
# A resource version is an integer of 64 bits.
MOST_DIGITS = 20
_OWNER = ("apiVersion", "kind", "name", "uid")


class ResourceType(NamedTuple):
    """A kind, and where the API server keeps its objects."""

    api_version: str
    kind: str
    plural: str

    @property
    def group(self) -> str:
        """The API group; empty for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        """The version inside the group."""
        return self.api_version.rpartition("/")[2]

    def path(self, namespace: str | None, name: str | None = None, subresource: str | None = None) -> str:
        """The path of the collection (all namespaces without one), of an object or of its subresource."""
        root = f"/apis/{self.api_version}" if self.group else f"/api/{self.api_version}"
        parts = [root, *(("namespaces", namespace) if namespace else ()), self.plural]
        return "/".join(part for part in (*parts, name, subresource) if part)


class Key(NamedTuple):
    """Names one object of the cluster; all our objects live in a namespace.

    A tuple, because keys are hashed and compared many times for each event.
    """

    resource: ResourceType
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.resource.kind} {self.namespace}/{self.name}"


def metadata(body: Body) -> Mapping[str, Any]:
    """The object's metadata."""
    result: Mapping[str, Any] = body.get("metadata", {})
    return result


def status_of(body: Body) -> Mapping[str, Any]:
    """The object's status; empty while it has none. Another release may have written it: any field may be missing."""
    result: Mapping[str, Any] = body.get("status") or {}
    return result


def is_object(body: object) -> bool:
    """Whether it has the metadata that the API server gives to every object: without it there is no telling what it is,
    or whose."""
    meta = body.get("metadata") if isinstance(body, Mapping) else None
    if not isinstance(meta, Mapping) or not meta.get("name"):
        return False
    version, owners = meta.get("resourceVersion", "0"), meta.get("ownerReferences") or []
    texts = [meta.get(part, "") for part in ("name", "namespace", "uid", "creationTimestamp")]
    maps = [meta.get(part) or {} for part in ("labels", "annotations")]
    return (
        all(isinstance(text, str) for text in texts)
        and all(isinstance(found, Mapping) and _are_texts(found.values()) for found in maps)
        and isinstance(version, str)
        and version.isdecimal()
        and len(version) < MOST_DIGITS
        and isinstance(owners, list)
        and all(isinstance(owner, Mapping) and _are_texts(map(owner.get, _OWNER)) for owner in owners)
    )


def _are_texts(values: Iterable[object]) -> bool:
    return all(isinstance(value, str) for value in values)


def namespace(body: Body) -> str:
    """The object's namespace."""
    return str(metadata(body)["namespace"])


def name(body: Body) -> str:
    """The object's name."""
    return str(metadata(body)["name"])


def generation(body: Body) -> int:
    """The generation of the object's spec."""
    return int(metadata(body).get("generation", 0))


def uid(body: Body) -> str:
    """The object's uid."""
    return str(metadata(body).get("uid", ""))


def created(body: Body) -> str:
    """When the object was made, as a timestamp that orders."""
    return str(metadata(body).get("creationTimestamp", ""))


def labels(body: Body) -> Mapping[str, str]:
    """The object's labels."""
    return metadata(body).get("labels") or {}


def annotations_of(body: Body) -> Mapping[str, str]:
    """The object's annotations."""
    return metadata(body).get("annotations") or {}


def deleting(body: Body) -> bool:
    """Whether somebody asked for the object to go."""
    return "deletionTimestamp" in metadata(body)


def controller(body: Body) -> Body | None:
    """The reference to the owner that controls the object."""
    owners = metadata(body).get("ownerReferences") or []
    return next((owner for owner in owners if owner.get("controller")), None)


def owner_uid(body: Body) -> str | None:
    """The uid of the controlling owner."""
    owner = controller(body)
    return None if owner is None else str(owner["uid"])


def root_uid(body: Body) -> str | None:
    """The uid of the object that this one is there for: as labelled, else the controlling owner's.

    Anybody may set a label: it finds objects, `owned_by` says whose they are.
    """
    return labels(body).get(ROOT_UID) or owner_uid(body)


def owned_by(body: Body, owner: Body) -> bool:
    """Whether the owner controls the object."""
    return owner_uid(body) == uid(owner)


def owner_reference(owner: Body) -> dict[str, Any]:
    """The reference that makes an object go with its owner."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": metadata(owner)["name"],
        "uid": uid(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }
