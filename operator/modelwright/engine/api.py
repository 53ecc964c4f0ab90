"""The one seam between the engine and the API server: nine requests on plain bodies.

Errors are those of `errors`. Everything above this seam runs as well against an API server that a test holds in
memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from modelwright.engine.objects import Body, Key, ResourceType

# One field manager per concern: what we apply to children, and what we write to a status.
MANAGER = "modelwright"
STATUS_MANAGER = "modelwright-status"

# The version of no object: etcd's first write is its second revision. Server-side apply ignores the version of an
# object that it makes, and compares that of one that exists.
ABSENT_VERSION = "1"

MANAGED_BY = "app.kubernetes.io/managed-by"


@dataclass(frozen=True)
class Listing:
    """All objects of a kind, as they were at one version."""

    items: list[Body]
    resource_version: int


class Api(Protocol):
    """The requests that the engine makes."""

    async def create(self, key: Key, body: Body) -> Body:
        """Makes a new object; AlreadyExists when the name is taken."""
        ...

    async def apply(self, key: Key, body: Body, *, manager: str) -> Body:
        """Server-side apply. A uid in the metadata is a precondition: Conflict when it is not that object.

        So is a version. With the version `ABSENT_VERSION` only a new object is made: Conflict when one exists.
        """
        ...

    async def apply_status(self, key: Key, body: Body, *, manager: str) -> Body:
        """Server-side apply on the status; NotFound when there is no such object. A version in the metadata is a
        precondition: Conflict when the object has changed since."""
        ...

    async def get(self, key: Key) -> Body:
        """The object as it is now; NotFound without one."""
        ...

    async def delete(self, key: Key, *, uid: str, resource_version: str | None = None) -> Body | None:
        """Asks the object with this uid, and this version if one is given, to go, its dependents in the background.
        Returns the object while a finalizer holds it, None when it is gone; Conflict when it is another one."""
        ...

    async def list(
        self, resource: ResourceType, namespace: str | None, *, selector: str = "", fields: str = ""
    ) -> Listing:
        """All objects of a kind, in one namespace or in all of them, that the label and field selectors pick."""
        ...

    async def replace(self, key: Key, body: Body) -> Body:
        """Puts a body in place of the version that it was made from; Conflict when that is not the newest."""
        ...

    async def patch(self, key: Key, patch: Body) -> Body:
        """JSON merge patch."""
        ...

    async def patch_status(self, key: Key, patch: Body) -> Body:
        """JSON merge patch of the status. Of Kubernetes' own kinds, it can change metadata too, and no spec."""
        ...
