"""Who approves a model is checked by the API server, and no role has the right to by accident."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from unit.chart.rendering import Chart, Rendered

from modelwright.common.facts import IN_FORCE
from modelwright.options import parse
from modelwright.sampling.approvals_policy import verdict

POLICY, BINDING = "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"
NAME = "modelwright-approvals"


def test_the_operator_takes_the_policy_as_it_is_rendered_for_one_that_is_in_force(default: Rendered) -> None:
    found = [default.named(kind, NAME) for kind in (POLICY, BINDING)]
    for each in found:
        each["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"

    assert verdict(found[0], found[1], datetime(2026, 1, 2, tzinfo=UTC)) == IN_FORCE
    assert parse(default.container()["args"]).approvals_policy == NAME


def test_a_request_that_cannot_be_checked_is_refused_and_refusals_are_audited(default: Rendered) -> None:
    assert default.named(POLICY, NAME)["spec"]["failurePolicy"] == "Fail"
    assert default.named(BINDING, NAME)["spec"] == {
        "policyName": NAME,
        "validationActions": ["Deny", "Audit"],
    }


def test_the_operator_reads_that_policy_and_no_other(default: Rendered) -> None:
    role = default.named("ClusterRole", "modelwright-operator-approvals")

    assert [(rule["resourceNames"], rule["verbs"]) for rule in role["rules"]] == [([NAME], ["get"])]


@pytest.mark.parametrize(
    ("values", "kind", "namespace"),
    [
        ({}, "ClusterRole", None),
        ({"rbac": {"aggregate": False}}, "ClusterRole", None),
        ({"approvals": {"policy": {"enabled": False}}}, "ClusterRole", None),
        ({"scope": {"namespace": "team-a"}}, "Role", "team-a"),
    ],
)
def test_only_the_role_of_approvers_has_the_verb_with_the_policy_and_without(
    chart: Chart, values: dict[str, Any], kind: str, namespace: str | None
) -> None:
    (role,) = [
        role
        for role in chart.render(values).of("ClusterRole", "Role")
        if any("approve" in rule["verbs"] for rule in role["rules"])
    ]

    found = role["metadata"]
    assert (role["kind"], found["name"], found.get("namespace")) == (kind, "modelwright-approver", namespace)
    assert not [label for label in found["labels"] if "aggregate" in label]


def test_without_rbac_the_chart_has_no_role_of_approvers(chart: Chart) -> None:
    assert not chart.render({"rbac": {"create": False}}).of("ClusterRole", "Role")


def rules(rendered: Rendered) -> str:
    return str(rendered.named(POLICY, NAME)["spec"])


def test_authors_are_checked_where_asked(chart: Chart, default: Rendered) -> None:
    assert "author of TrainingJob" not in rules(default)
    assert "trainingjobs" not in rules(default)
    asked = chart.render({"approvals": {"author": True}})
    assert "spec.author of TrainingJob" in rules(asked)
    assert "trainingjobs" in rules(asked)


def test_a_tool_that_restores_backups_may_be_named(chart: Chart) -> None:
    account = "system:serviceaccount:velero:velero"

    assert f'["{account}"]' in rules(chart.render({"approvals": {"policy": {"trusted": [account]}}}))
    assert "trusted" in chart.refusal({"approvals": {"policy": {"trusted": ["a' || true || '"]}}})


@pytest.mark.parametrize(
    "values", [{"approvals": {"policy": {"enabled": False}}}, {"scope": {"namespace": "team-a"}}]
)
def test_without_the_policy_the_operator_knows_that_there_is_none(
    chart: Chart, values: dict[str, Any]
) -> None:
    rendered = chart.render(values)

    assert NAME not in {each["metadata"]["name"] for each in rendered.of(POLICY, BINDING)}
    roles = {each["metadata"]["name"] for each in rendered.of("ClusterRole", "Role")}
    assert "modelwright-operator-approvals" not in roles, "there is no policy to read"
    assert parse(rendered.container()["args"]).approvals_policy is None


def test_authors_without_the_policy_are_refused(chart: Chart) -> None:
    refusal = chart.refusal({"approvals": {"policy": {"enabled": False}, "author": True}})

    assert "approvals.author needs approvals.policy.enabled" in refusal


def test_what_is_rejected_goes_with_its_namespace_its_owner_or_a_history_that_is_too_long(
    chart: Chart,
) -> None:
    rendered = chart.render({"serviceAccount": {"name": "other"}})
    variables = {
        each["name"]: each["expression"] for each in rendered.named(POLICY, NAME)["spec"]["variables"]
    }

    _, _, deletion = variables["trusted"].partition("request.operation == 'DELETE' && variables.user in ")
    for account in (
        "modelwright-system:other",
        "kube-system:namespace-controller",
        "kube-system:generic-garbage-collector",
    ):
        assert f"'system:serviceaccount:{account}'" in deletion
