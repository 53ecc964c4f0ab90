"""A Gateway's controller, and what it follows: later than the API server, and until it has heard of something else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from unit.given.world import Clocked

from modelwright.common.resources import GATEWAYS, HTTP_ROUTES
from modelwright.engine.objects import Body, Key, metadata, uid


@dataclass(frozen=True)
class Followed:
    """A route as the Gateway knows it."""

    uid: str
    services: frozenset[str]


def named(route: Body) -> frozenset[str]:
    """The Services that a route leads to."""
    return frozenset(ref["name"] for rule in route["spec"]["rules"] for ref in rule["backendRefs"])


class Controller:
    """Follows the routes of the Gateways that are there."""

    def __init__(self, cluster: Clocked) -> None:
        self._cluster = cluster
        self.followed: dict[Key, Followed] = {}

    def work(self) -> None:
        """Takes in all routes as they are, and says so."""
        self.followed.clear()
        for key in sorted(key for key in self._cluster.objects if key.resource == HTTP_ROUTES):
            route = self._cluster.objects[key]
            (parent,) = route["spec"]["parentRefs"]
            if Key(GATEWAYS, parent["namespace"], parent["name"]) not in self._cluster.objects:
                continue
            self.followed[key] = Followed(uid(route), named(route))
            accepted = {
                "type": "Accepted",
                "status": "True",
                "reason": "Accepted",
                "message": "",
                "observedGeneration": metadata(route)["generation"],
            }
            status = {"parents": [{"parentRef": parent, "conditions": [accepted]}]}
            if route.get("status") != status:
                self._tell(key, status)

    def _tell(self, route: Key, status: dict[str, Any]) -> None:
        self._cluster.edit(route, lambda body: body.update(status=status))

    def leads_to(self, route: Key, service: str) -> bool:
        """Whether callers are led to a Service by the route that is there."""
        seen, there = self.followed.get(route), self._cluster.objects.get(route)
        return seen is not None and there is not None and seen.uid == uid(there) and service in seen.services
