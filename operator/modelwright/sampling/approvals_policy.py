"""Reads whether the API server checks approvals: the chart's admission policy and its binding, while one is needed.

A setting could not tell: an administrator may remove or weaken the policy at any time. Nothing is read while the status
of every ModelVersion shows its approvals.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from modelwright.api import GROUP
from modelwright.common.approvals import Statement, unrecorded
from modelwright.common.facts import APPROVALS_POLICY, IN_FORCE
from modelwright.common.indexes import SERVICES_APPROVING, VERSIONS_UNRECORDED, YES
from modelwright.common.resources import INFERENCE_SERVICES, MODEL_VERSIONS
from modelwright.common.times import from_timestamp
from modelwright.engine.api import Api
from modelwright.engine.cache import View
from modelwright.engine.errors import ApiError, Forbidden, NotFound
from modelwright.engine.objects import Body, Key, ResourceType, created, deleting
from modelwright.sampling.loop import Answers, Limits, NoAnswer, Source, Unanswered

POLICIES = ResourceType(
    "admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies"
)
BINDINGS = ResourceType(
    "admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings"
)
# The API server needs a moment to load a policy. An approval that was written before has not been checked by it.
FRESH = timedelta(seconds=10)
NOT_INSTALLED = "the operator was installed without it (approvals.policy.enabled of the chart)"
# The fields that hold approvals, as managed fields call them.
APPROVING = frozenset(("f:approvals", "f:approvedDigests"))
# What the policy has to look at, for its rules to see each approval.
GUARDED = frozenset(
    (resource, operation)
    for resource in ("modelversions", "inferenceservices")
    for operation in ("CREATE", "UPDATE")
)


@dataclass(frozen=True)
class Unchecked:
    """A ModelVersion with approvals that its status does not show."""

    about: Key
    targets: tuple[str, ...]
    said: tuple[Statement, ...]

    @property
    def subject(self) -> Hashable:
        """The approvals: an answer says nothing of those that came after it."""
        return self.said

    @property
    def written_in(self) -> frozenset[Key]:
        """The objects whose specs hold them."""
        services = {each.by for each in self.said if each.how == "InferenceService"}
        own = {self.about} if any(each.how == "ModelVersion" for each in self.said) else set()
        return frozenset(own | {Key(INFERENCE_SERVICES, self.about.namespace, name) for name in services})


class ApprovalsPolicy(Source[Unchecked, str, str]):
    """The source of APPROVALS_POLICY. `policy`: the name of the policy and of its binding; None: there is none."""

    fact = APPROVALS_POLICY
    resource = MODEL_VERSIONS
    limits = Limits(every=5.0, timeout=5.0, per_object=1, in_all=8)

    def __init__(self, api: Api, policy: str | None) -> None:
        self._api = api
        self._policy = policy

    def candidates(self, view: View) -> Iterable[Key]:
        """ModelVersions that may have such approvals."""
        return view.indexed_keys(VERSIONS_UNRECORDED, YES)

    def round(self, view: View, key: Key, now: datetime) -> Unchecked | None:
        """The policy, while an approval is not recorded."""
        version = view.get(key)
        if version is None or deleting(version):
            return None
        services = view.indexed(SERVICES_APPROVING, key.namespace, version["spec"]["artifact"]["digest"])
        said = unrecorded(version, services)
        return Unchecked(key, (self._policy or "",), said) if said else None

    async def ask(self, current: Unchecked, target: str, at: datetime) -> str:
        """IN_FORCE, or why the policy is not. NoAnswer if the API server does not say."""
        if not target:
            return NOT_INSTALLED
        policy, binding = await asyncio.gather(
            self._get(Key(POLICIES, "", target)), self._get(Key(BINDINGS, "", target))
        )
        if isinstance(policy, str):
            return policy
        if isinstance(binding, str):
            return binding
        return verdict(policy, binding, await self._written(current, at))

    async def _written(self, current: Unchecked, at: datetime) -> datetime:
        """When the first of the objects was written; now, where the API server does not say.

        Read here, since the cache keeps no managed fields.
        """
        try:
            bodies = await asyncio.gather(*(self._api.get(key) for key in current.written_in))
        except ApiError as error:
            raise NoAnswer(str(error)) from error
        return min((time for body in bodies if (time := approvals_written(body)) is not None), default=at)

    async def _get(self, key: Key) -> Body | str:
        """The object; a clause if there is none, or none that the operator may read."""
        try:
            return await self._api.get(key)
        except NotFound:
            return f"there is no {key.resource.kind} {key.name}"
        except Forbidden:
            return f"the operator may not get {key.resource.plural}"
        except ApiError as error:
            raise NoAnswer(str(error)) from error

    def answers(self, current: Unchecked) -> Answers[Unchecked, str, str]:
        """Nothing is known yet."""
        return LastAnswer()


class LastAnswer:
    """Keeps the last answer. Approvals wait while there is none."""

    def __init__(self) -> None:
        self._answer: str | None = None

    def add(self, target: str, answer: str | Unanswered, at: datetime) -> None:
        """Keeps an answer."""
        if not isinstance(answer, Unanswered):
            self._answer = answer

    def fact(self, current: Unchecked, at: datetime) -> str | None:
        """The answer; None without one."""
        return self._answer


def approvals_written(body: Body) -> datetime | None:
    """Returns when the approvals in a spec were written last; None if its managed fields do not say.

    The API server keeps one time for each field manager, that of its last change to any field. So an approval may be
    older than this, but is never younger.
    """
    times = [
        from_timestamp(entry["time"])
        for entry in body["metadata"].get("managedFields") or ()
        if "time" in entry and not APPROVING.isdisjoint((entry.get("fieldsV1") or {}).get("f:spec") or ())
    ]
    return max(times, default=None)


def verdict(policy: Body, binding: Body, written: datetime) -> str:
    """Returns IN_FORCE if an approval of that time met the policy, and each later one does; else a clause that says
    why not.

    What its rules say is not judged: who may write policies may write any.
    """
    spec, bound = policy.get("spec") or {}, binding.get("spec") or {}
    constraints, matched = spec.get("matchConstraints") or {}, bound.get("matchResources") or {}
    faults = {
        "it is too young to have checked an approval, or is being deleted": not all(
            _is_settled(found, written) for found in (policy, binding)
        ),
        "its binding does not deny what breaks it": bound.get("policyName") != policy["metadata"]["name"]
        or "Deny" not in (bound.get("validationActions") or ()),
        "its failurePolicy is not Fail": spec.get("failurePolicy", "Fail") != "Fail",
        "its rules do not see each approval": not spec.get("validations") or not _sees_all(constraints),
        # Without its parameters, a policy may allow everything.
        "it depends on parameters": bool(spec.get("paramKind") or bound.get("paramRef")),
        "it leaves out some requests": bool(spec.get("matchConditions") or matched.get("resourceRules")),
        "it leaves out some namespaces or objects": _narrows(matched) or _narrows(constraints),
    }
    return next((why for why, holds in faults.items() if holds), IN_FORCE)


def _is_settled(found: Body, written: datetime) -> bool:
    return not deleting(found) and written >= from_timestamp(created(found)) + FRESH


def _sees_all(constraints: Mapping[str, Any]) -> bool:
    """True if the policy is for each write of a spec that can hold approvals."""
    seen = {
        (resource, operation)
        for rule in constraints.get("resourceRules") or ()
        if GROUP in rule.get("apiGroups", ())
        and "*" in rule.get("apiVersions", ())
        and not rule.get("resourceNames")
        and rule.get("scope", "*") in ("*", "Namespaced")
        for resource in rule.get("resources", ())
        for operation in rule.get("operations", ())
    }
    return seen >= GUARDED


def _narrows(match: Mapping[str, Any]) -> bool:
    """True if it leaves out objects by a selector, or by a rule."""
    selectors = (match.get("namespaceSelector") or {}, match.get("objectSelector") or {})
    return any(selectors) or bool(match.get("excludeResourceRules"))
