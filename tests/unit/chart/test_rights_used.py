"""`make rights` finds rights that nothing used, and requests that lacked one."""

from __future__ import annotations

import json
from typing import Any

from rights.comparing import Right, compare, granted, requests, why
from unit.chart.rendering import Rendered

ACCOUNT = "system:serviceaccount:a:operator"


def entry(verb: str, resource: str, code: int = 200, user: str = ACCOUNT, **reference: Any) -> str:
    """A line of an audit log."""
    part = {"resource": resource, **reference}
    found = {"verb": verb, "user": {"username": user}, "objectRef": part, "responseStatus": {"code": code}}
    return json.dumps(found)


def role(*rights: str) -> dict[str, Any]:
    rules = [
        dict(zip(("verbs", "resources"), ([part] for part in right.split()), strict=True)) for right in rights
    ]
    return {"rules": [{"apiGroups": [""], **rule} for rule in rules]}


def test_what_is_granted_and_never_used_is_found() -> None:
    log = [
        entry("get", "pods"),
        entry("patch", "pods", subresource="status"),
        entry("create", "services", code=409),
        entry("delete", "services", user="other"),
        '{"verb": "del',
        json.dumps({"verb": "get", "user": {"username": ACCOUNT}}),
    ]
    given = granted([role("get pods", "patch pods/status", "create services", "delete services")])
    found = compare(given, requests(log, ACCOUNT))
    assert found.unused == {Right("", "services", "delete")}
    assert found.unexplained == [Right("", "services", "delete")]
    assert not found.refused


def test_a_request_without_a_right_is_no_use_of_one() -> None:
    found = compare(granted([role("get pods")]), requests([entry("list", "pods", code=403)], ACCOUNT))
    assert found.refused == {Right("", "pods", "list"): 1}
    assert found.unexplained == []


def test_a_refusal_of_a_policy_is_use_of_the_right() -> None:
    found = compare(granted([role("create jobs")]), requests([entry("create", "jobs", code=403)], ACCOUNT))
    assert not found.refused
    assert not found.unused


def test_only_reads_after_conflicts_owner_references_and_what_applies_make_are_argued_for(
    default: Rendered,
) -> None:
    given = granted(
        each
        for each in default.of("ClusterRole", "Role")
        if each["metadata"]["name"].startswith("modelwright-operator-")
    )
    argued = {right for right in given if why(right)}
    assert {right.verb for right in argued} == {"get", "update", "create"}
    created = {right for right in argued if right.verb == "create"}
    assert {right._replace(verb="patch") for right in created} <= set(given), (
        "what it makes by an apply it patches"
    )
    assert {right.resource for right in argued if right.verb == "update"} == {
        "trainingjobs/finalizers",
        "modelversions/finalizers",
        "inferenceservices/finalizers",
    }
