"""The object that a plan is made for, as the planners of all kinds read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from modelwright.engine.cache import View
from modelwright.engine.objects import Body, Key, ResourceType, generation, name, namespace
from modelwright.engine.refusal import REFUSALS, Refusal


@dataclass(frozen=True)
class Primary:
    """An object of one of our kinds, as it is in the cache. Each kind adds the other inputs of its planner."""

    body: Body
    refusals: tuple[Refusal, ...] = field(default=(), kw_only=True)

    def refused(self, resource: ResourceType) -> tuple[Refusal, ...]:
        """The refused writes of objects of a kind."""
        return tuple(refusal for refusal in self.refusals if refusal.object.resource == resource)

    @cached_property
    def name(self) -> str:
        """Its name."""
        return name(self.body)

    @cached_property
    def namespace(self) -> str:
        """Its namespace."""
        return namespace(self.body)

    @cached_property
    def generation(self) -> int:
        """The generation of its spec."""
        return generation(self.body)

    @property
    def written_status(self) -> Mapping[str, Any]:
        """Its status, as it was last written."""
        return self.body.get("status") or {}

    @property
    def written_conditions(self) -> Sequence[Mapping[str, Any]]:
        """Its conditions, as they were last written."""
        return self.written_status.get("conditions") or ()

    @cached_property
    def conditions_by_type(self) -> Mapping[str, Mapping[str, Any]]:
        """The same by their types."""
        return {str(condition.get("type")): condition for condition in self.written_conditions}


def refusals_of(view: View, key: Key) -> tuple[Refusal, ...]:
    """Returns the writes for an object that the API server refused."""
    refusals: tuple[Refusal, ...] = view.fact(key, REFUSALS) or ()
    return refusals
