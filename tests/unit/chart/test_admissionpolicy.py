"""A ModelVersion that is served is protected from deletion, without a way to be left undeletable."""

from __future__ import annotations

from typing import Any

import pytest
from unit.chart.rendering import Chart, Manifest, Rendered

POLICY, BINDING = "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"
NAME = "modelwright-served-modelversions"


def spec(manifest: Manifest) -> dict[str, Any]:
    return dict(manifest["spec"])


def test_the_deletion_of_a_served_version_is_denied(default: Rendered) -> None:
    policy, binding = default.named(POLICY, NAME), default.named(BINDING, NAME)

    assert policy["apiVersion"] == binding["apiVersion"] == "admissionregistration.k8s.io/v1"
    assert spec(binding) == {
        "policyName": policy["metadata"]["name"],
        "validationActions": ["Deny"],
    }
    assert spec(policy)["matchConstraints"]["resourceRules"] == [
        {
            "apiGroups": ["modelwright.dev"],
            "apiVersions": ["*"],
            "operations": ["DELETE"],
            "resources": ["modelversions"],
        }
    ]
    (variable,) = spec(policy)["variables"]
    assert "'InUse'" in variable["expression"]
    validation, _ = spec(policy)["validations"]
    assert "variables.inUse[0].message" in validation["messageExpression"]


@pytest.mark.parametrize("account", ["modelwright-operator", "other"])
def test_the_operator_is_denied_the_deletion_of_what_users_wrote(chart: Chart, account: str) -> None:
    named = chart.render({"serviceAccount": {"name": account}})

    _, validation = spec(named.named(POLICY, NAME))["validations"]
    user, made_by_a_run = validation["expression"].split(" || ")
    assert user == f"request.userInfo.username != 'system:serviceaccount:modelwright-system:{account}'"
    assert "'app.kubernetes.io/managed-by'" in made_by_a_run
    assert "'modelwright.dev/training-job'" in made_by_a_run


def test_a_namespace_with_a_served_version_can_be_deleted(default: Rendered) -> None:
    policy = spec(default.named(POLICY, NAME))

    (exempt,) = policy["matchConditions"]
    for account in ("namespace-controller", "generic-garbage-collector"):
        assert f"'system:serviceaccount:kube-system:{account}'" in exempt["expression"]
    assert "namespaceObject.metadata.deletionTimestamp" in policy["validations"][0]["expression"]


def test_a_policy_that_cannot_be_evaluated_keeps_nobody_from_deleting(default: Rendered) -> None:
    assert spec(default.named(POLICY, NAME))["failurePolicy"] == "Ignore"


@pytest.mark.parametrize(
    "values", [{"modelVersions": {"protectServed": False}}, {"scope": {"namespace": "team-a"}}]
)
def test_it_can_be_left_out_and_a_release_for_one_namespace_has_none(
    chart: Chart, values: dict[str, Any]
) -> None:
    assert NAME not in {m["metadata"]["name"] for m in chart.render(values).of(POLICY, BINDING)}


def test_two_releases_have_policies_of_their_own(chart: Chart) -> None:
    named = chart.render({"fullnameOverride": "other"})

    assert {m["metadata"]["name"] for m in named.of(POLICY, BINDING)} == {
        "other-served-modelversions",
        "other-approvals",
        "other-operator",
    }
