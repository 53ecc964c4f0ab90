"""Whether the API server checks approvals is read when an approval comes in, from the policy as it is then."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fakes.api import Fault
from unit.given.questions import sampling, until
from unit.given.resources import ModelVersion, a_service, a_version, a_world
from unit.given.world import START, World

from modelwright.common.facts import APPROVALS_POLICY, IN_FORCE
from modelwright.common.times import to_timestamp
from modelwright.engine.errors import Forbidden, Unavailable
from modelwright.engine.objects import Key, ResourceType
from modelwright.sampling.approvals_policy import BINDINGS, POLICIES, ApprovalsPolicy

NAME = "modelwright-approvals"
ALICE = {"by": "alice", "decision": "Approve", "reason": "reviewed"}


class Eager(ApprovalsPolicy):
    """Asks in every round."""

    def every(self, target: str) -> float:
        return 0.0


@asynccontextmanager
async def operator(world: World, policy: str | None = NAME) -> AsyncIterator[None]:
    source = Eager(world.api, policy)
    source.limits = replace(source.limits, every=0.01)
    async with sampling(source, world):
        yield


def fact(version: ModelVersion) -> Any:
    return version.world.cache.fact(version.key, APPROVALS_POLICY)


RULE = {"apiGroups": ["modelwright.dev"], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"]}
RULES = [{**RULE, "resources": [resource]} for resource in ("modelversions", "inferenceservices")]


def a_policy(
    world: World, policy: dict[str, Any] | None = None, binding: dict[str, Any] | None = None
) -> None:
    """The policy of the chart, and its binding; the arguments change their specs."""
    specs = {
        POLICIES: {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": RULES, "namespaceSelector": {}, "objectSelector": {}},
            "validations": [{"expression": "a"}],
            **(policy or {}),
        },
        BINDINGS: {"policyName": NAME, "validationActions": ["Deny", "Audit"], **(binding or {})},
    }
    for resource, spec in specs.items():
        world.api.objects.pop(Key(resource, "", NAME), None)
        world.api.put(Key(resource, "", NAME), {"kind": resource.kind, "spec": spec})


def approved(world: World) -> ModelVersion:
    """churn-1, of which alice has said something."""
    version = a_version(world)
    world.edit(version.key, spec={"approvals": [ALICE]})
    return version


async def seen(world: World, version: ModelVersion) -> Any:
    """The fact, once it is known."""
    async with operator(world):
        await until(lambda: fact(version) is not None)
        return fact(version)


async def test_a_policy_and_its_binding_make_approvals_verified() -> None:
    world = a_world()
    a_policy(world)
    world.after(60)

    assert await seen(world, approved(world)) == IN_FORCE


@pytest.mark.parametrize(
    ("policy", "binding", "why"),
    [
        ({"failurePolicy": "Ignore"}, {}, "its failurePolicy is not Fail"),
        ({"validations": []}, {}, "its rules do not see each approval"),
        ({"matchConstraints": {"resourceRules": []}}, {}, "its rules do not see each approval"),
        (
            {"matchConstraints": {"resourceRules": [{**each, "scope": "Cluster"} for each in RULES]}},
            {},
            "its rules do not see each approval",
        ),
        ({"paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}}, {}, "it depends on parameters"),
        (
            {},
            {"paramRef": {"name": "a", "parameterNotFoundAction": "Allow"}},
            "it depends on parameters",
        ),
        ({"matchConditions": [{"expression": "false"}]}, {}, "it leaves out some requests"),
        ({}, {"validationActions": ["Audit", "Warn"]}, "its binding does not deny"),
        ({}, {"policyName": "another"}, "its binding does not deny"),
        (
            {},
            {"matchResources": {"namespaceSelector": {"matchLabels": {"checked": "yes"}}}},
            "it leaves out some namespaces",
        ),
        ({}, {"matchResources": {"excludeResourceRules": [{}]}}, "it leaves out some namespaces"),
        ({}, {"matchResources": {"resourceRules": [{}]}}, "it leaves out some requests"),
    ],
)
async def test_a_policy_that_lets_some_through_does_not(
    policy: dict[str, Any], binding: dict[str, Any], why: str
) -> None:
    world = a_world()
    a_policy(world, policy, binding)
    world.after(60)

    assert why in await seen(world, approved(world))


@pytest.mark.parametrize("missing", [POLICIES, BINDINGS])
async def test_without_policy_or_binding_it_says_what_is_not_there(missing: ResourceType) -> None:
    world = a_world()
    a_policy(world)
    world.after(60)
    del world.api.objects[Key(missing, "", NAME)]

    assert await seen(world, approved(world)) == f"there is no {missing.kind} {NAME}"


async def test_a_chart_without_the_policy_asks_nothing() -> None:
    world = a_world()
    version = approved(world)

    async with operator(world, policy=None):
        await until(lambda: fact(version) is not None)

    assert "approvals.policy.enabled" in fact(version)


async def test_a_policy_that_has_just_come_vouches_for_nothing_that_was_there_before() -> None:
    world = a_world()
    a_policy(world)

    assert "too young" in await seen(world, approved(world))


@pytest.mark.parametrize("scope", ["*", "Namespaced"])
async def test_rules_for_namespaced_objects_see_each_approval(scope: str) -> None:
    world = a_world()
    a_policy(world, {"matchConstraints": {"resourceRules": [{**each, "scope": scope} for each in RULES]}})
    world.after(60)

    assert await seen(world, approved(world)) == IN_FORCE


def managed(field: str, minute: int) -> dict[str, Any]:
    """What the API server notes of a client that has written a field, so many minutes after the world began."""
    time = to_timestamp(START + timedelta(minutes=minute))
    return {"manager": "modelwright", "time": time, "fieldsV1": {"f:spec": {field: {}}}}


@pytest.mark.parametrize(
    ("entries", "answer"),
    [
        ([managed("f:approvals", 0)], "too young"),
        ([managed("f:approvals", 0), managed("f:artifact", 2)], "too young"),
        ([managed("f:approvals", 0), managed("f:approvals", 2)], IN_FORCE),
        ([managed("f:artifact", 0)], IN_FORCE),
    ],
)
async def test_an_approval_that_was_written_before_the_policy_was_not_checked(
    entries: list[dict[str, Any]], answer: str
) -> None:
    world = a_world()
    world.after(60)
    a_policy(world)
    world.after(600)
    version = approved(world)
    world.edit(version.key, metadata={"managedFields": entries})

    assert answer in await seen(world, version)


async def test_a_digest_that_a_service_named_before_the_policy_was_not_checked() -> None:
    world = a_world()
    world.after(60)
    a_policy(world)
    world.after(600)
    version = a_version(world)
    world.edit(version.key, spec={"approval": {"required": 1}})
    service = a_service(world, approvedDigests=[version.body["spec"]["artifact"]["digest"]])
    world.edit(service.key, metadata={"managedFields": [managed("f:approvedDigests", 0)]})

    assert "too young" in await seen(world, version)


async def test_an_api_server_that_does_not_say_is_asked_again_and_one_that_forbids_is_taken_at_its_word() -> (
    None
):
    world = a_world()
    a_policy(world)
    world.after(60)
    version = approved(world)
    read = frozenset({"get"})
    world.api.faults += [
        Fault(lambda: Unavailable("later"), times=2, verbs=read),
        Fault(lambda: Forbidden("no"), times=9, verbs=read),
    ]

    async with operator(world):
        await until(lambda: fact(version) is not None)

    assert fact(version) == "the operator may not get validatingadmissionpolicies"
    assert [call.verb for call in world.api.calls].count("get") >= 4


async def test_nothing_is_asked_once_the_status_shows_the_approval() -> None:
    world = a_world()
    a_policy(world)
    world.after(60)
    version = approved(world)
    async with operator(world):
        await until(lambda: fact(version) == IN_FORCE)
        shown = {**ALICE, "at": "2026-01-01T00:00:00Z", "how": "ModelVersion", "verified": True}
        world.edit(version.key, status={"approvals": [shown]})
        await until(lambda: fact(version) is None)
        world.edit(version.key, spec={"approvals": [{**ALICE, "reason": "another"}]})
        await until(lambda: fact(version) == IN_FORCE)


async def test_a_digest_that_a_service_approves_is_asked_for_while_the_version_waits_for_approval() -> None:
    world = a_world()
    a_policy(world)
    world.after(60)
    version = a_version(world)
    world.edit(version.key, spec={"approval": {"required": 1}})
    a_service(world, approvedDigests=[version.body["spec"]["artifact"]["digest"]])

    assert await seen(world, version) == IN_FORCE
