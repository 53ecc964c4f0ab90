"""The operator gets exactly the permissions that it needs, and people get what their role says."""

from __future__ import annotations

from typing import Any

import pytest
from unit.chart.rendering import Chart, Manifest, Rendered

from modelwright.options import parse

WRITE = {"create", "update", "patch", "delete", "deletecollection"}
READ = {"get", "list", "watch"}
OWN = "modelwright.dev"
OWN_KINDS = ("trainingjobs", "modelversions", "inferenceservices")
NEEDED = {
    (OWN, "trainingjobs"): READ,
    (OWN, "trainingjobs/status"): {"patch"},
    (OWN, "trainingjobs/finalizers"): {"update"},
    (OWN, "modelversions"): READ | {"create", "delete"},
    (OWN, "modelversions/status"): {"patch"},
    (OWN, "modelversions/finalizers"): {"update"},
    (OWN, "inferenceservices"): READ,
    (OWN, "inferenceservices/status"): {"patch"},
    (OWN, "inferenceservices/finalizers"): {"update"},
    ("", "pods"): READ,
    ("", "pods/status"): {"patch"},
    ("", "configmaps"): READ | {"create", "patch", "delete"},
    ("batch", "jobs"): READ | {"create", "delete"},
    ("apps", "deployments"): READ | {"create", "patch", "delete"},
    ("apps", "replicasets"): {"list", "watch"},
    ("", "services"): READ | {"create", "patch", "delete"},
    ("", "persistentvolumeclaims"): READ | {"create"},
    ("", "events"): {"get", "list", "create", "patch"},
    ("autoscaling", "horizontalpodautoscalers"): READ | {"create", "patch", "delete"},
    ("policy", "poddisruptionbudgets"): READ | {"create", "patch", "delete"},
    ("gateway.networking.k8s.io", "gateways"): {"list", "watch"},
    ("gateway.networking.k8s.io", "httproutes"): READ | {"create", "patch", "delete"},
    ("monitoring.coreos.com", "prometheusrules"): READ | {"create", "patch", "delete"},
}
FORBIDDEN_VERBS = {"*", "escalate", "bind", "impersonate"}
FORBIDDEN_RESOURCES = {
    "*", "secrets", "pods/exec", "pods/attach", "pods/portforward", "pods/ephemeralcontainers", "nodes", "nodes/proxy",
    "serviceaccounts", "serviceaccounts/token", "roles", "clusterroles", "rolebindings", "clusterrolebindings",
}  # fmt: skip
# Bound to one name: whether the chart's own policy is in force.
POLICY = {
    ("admissionregistration.k8s.io", "validatingadmissionpolicies"): {"get"},
    ("admissionregistration.k8s.io", "validatingadmissionpolicybindings"): {"get"},
}
CLUSTER_WIDE = {"ClusterRole", "ClusterRoleBinding"}
LEASE = "modelwright-operator-lease"


def name(manifest: Manifest) -> str:
    """The object's name."""
    return str(manifest["metadata"]["name"])


def granted(roles: list[Manifest]) -> dict[tuple[str, str], set[str]]:
    """What roles allow, by group and resource."""
    result: dict[tuple[str, str], set[str]] = {}
    for rule in (rule for role in roles for rule in role["rules"]):
        for key in ((group, resource) for group in rule["apiGroups"] for resource in rule["resources"]):
            result.setdefault(key, set()).update(rule["verbs"])
    return result


def operator_roles(rendered: Rendered, kind: str) -> list[Manifest]:
    """The roles that tell the operator what it may do to users' objects."""
    bound = {binding["roleRef"]["name"] for binding in rendered.of(f"{kind}Binding")}
    return [role for role in rendered.of(kind) if name(role) in bound - {LEASE}]


def test_the_operator_may_do_what_it_needs_and_nothing_else(default: Rendered) -> None:
    assert granted(operator_roles(default, "ClusterRole")) == NEEDED | POLICY


def test_without_rules_of_services_the_operator_may_not_touch_any(chart: Chart) -> None:
    rendered = chart.render({"metrics": {"serviceRules": {"enabled": False}}})
    assert not [
        group for group, _ in granted(rendered.of("Role", "ClusterRole")) if group == "monitoring.coreos.com"
    ]
    assert "--no-alert-rules" in rendered.container()["args"]


@pytest.mark.parametrize("scope", ["", "team-a"])
def test_nothing_grants_wildcards_escalation_or_secrets(chart: Chart, scope: str) -> None:
    roles = chart.render({"scope": {"namespace": scope}}).of("Role", "ClusterRole")
    assert roles
    for (group, resource), verbs in granted(roles).items():
        assert group != "*"
        assert resource not in FORBIDDEN_RESOURCES
        assert not verbs & FORBIDDEN_VERBS


def test_the_operator_cannot_change_what_users_wrote(default: Rendered) -> None:
    allowed = granted(operator_roles(default, "ClusterRole"))
    for plural in OWN_KINDS:
        assert not allowed[OWN, plural] & {"update", "patch", "deletecollection"}
    # Of ModelVersions it deletes only those that runs made: the admission policy refuses all others.
    assert {
        plural for (_, plural), verbs in allowed.items() if "delete" in verbs and plural in OWN_KINDS
    } == {"modelversions"}


def test_the_operator_cannot_change_what_a_pod_runs(default: Rendered) -> None:
    allowed = granted(operator_roles(default, "ClusterRole"))
    assert not allowed["", "pods"] & WRITE
    # The status takes annotations, and drops a spec.
    assert allowed["", "pods/status"] == {"patch"}


def test_each_controller_has_a_role_of_its_own(default: Rendered) -> None:
    roles = {name(role): granted([role]) for role in operator_roles(default, "ClusterRole")}
    prefix = "modelwright-operator-"
    kinds = ("trainingjobs", "modelversions", "inferenceservices")
    assert roles.keys() == {f"{prefix}{concern}" for concern in (*kinds, "events", "approvals")}
    for own in kinds:
        written = {
            key[1] for key, verbs in roles[f"{prefix}{own}"].items() if key[0] == OWN and "patch" in verbs
        }
        assert written == {f"{own}/status"}


@pytest.mark.parametrize("scope", ["", "team-a"])
def test_the_lease_is_bound_to_its_name_and_namespace(chart: Chart, scope: str) -> None:
    rendered = chart.render({"scope": {"namespace": scope}})
    (role,) = [role for role in rendered.of("Role") if name(role) == LEASE]
    assert role["metadata"]["namespace"] == "modelwright-system"
    leases = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"]}
    assert role["rules"] == [
        {**leases, "verbs": ["create"]},
        {**leases, "resourceNames": ["modelwright-operator"], "verbs": ["get", "update"]},
    ]
    assert "--lease-name=modelwright-operator" in rendered.container()["args"]
    assert "--lease-namespace=modelwright-system" in rendered.container()["args"]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"scope": {"namespace": "team-a"}},
        {"scope": {"namespaces": ["team-a", "team-b"]}},
        {"serviceAccount": {"name": "other"}},
    ],
)
def test_every_binding_gives_a_role_of_the_release_to_the_account_of_the_pods(
    chart: Chart, values: dict[str, Any]
) -> None:
    rendered = chart.render(values)
    account = name(rendered.one("ServiceAccount"))
    assert rendered.pod()["spec"]["serviceAccountName"] == account
    bindings = rendered.of("RoleBinding", "ClusterRoleBinding")
    assert bindings
    for binding in bindings:
        (role,) = [
            role
            for role in rendered.of(binding["roleRef"]["kind"])
            if name(role) == binding["roleRef"]["name"]
            and role["metadata"].get("namespace") == binding["metadata"].get("namespace")
        ]
        assert role["metadata"].get("namespace") == binding["metadata"].get("namespace")
        assert binding["subjects"] == [
            {"kind": "ServiceAccount", "name": account, "namespace": "modelwright-system"}
        ]


def test_one_namespace_needs_no_cluster_role(chart: Chart) -> None:
    scoped = chart.render({"scope": {"namespace": "team-a"}})
    assert not scoped.kinds() & CLUSTER_WIDE
    roles = operator_roles(scoped, "Role")
    assert {role["metadata"]["namespace"] for role in roles} == {"team-a"}
    assert granted(roles) == NEEDED
    assert "--namespace=team-a" in scoped.container()["args"]


def test_several_namespaces_have_roles_in_each_and_no_cluster_role(chart: Chart) -> None:
    scoped = chart.render({"scope": {"namespaces": ["team-a", "team-b"]}})
    assert not scoped.kinds() & CLUSTER_WIDE
    roles = operator_roles(scoped, "Role")
    for namespace in ("team-a", "team-b"):
        assert granted([r for r in roles if r["metadata"]["namespace"] == namespace]) == NEEDED
        assert scoped_names(scoped, "RoleBinding", namespace) == {
            f"modelwright-operator-{concern}" for concern in (*OWN_KINDS, "events")
        }
        assert "modelwright-approver" in scoped_names(scoped, "Role", namespace)
    assert {role["metadata"]["namespace"] for role in roles} == {"team-a", "team-b"}
    arguments = scoped.container()["args"]
    assert [a for a in arguments if a.startswith("--namespace")] == [
        "--namespace=team-a",
        "--namespace=team-b",
    ]
    assert parse(arguments).namespaces == ("team-a", "team-b")


def scoped_names(rendered: Rendered, kind: str, namespace: str) -> set[str]:
    """The names of the objects of a kind in a namespace."""
    return {name(found) for found in rendered.of(kind) if found["metadata"]["namespace"] == namespace}


@pytest.mark.parametrize(
    ("scope", "complaint"),
    [
        ({"namespace": "a", "namespaces": ["a"]}, "set scope.namespaces alone"),
        ({"namespaces": ["a", "a"]}, "items at 0 and 1 are equal"),
        ({"namespaces": ["A"]}, "does not match pattern"),
        ({"namespaces": [""]}, "does not match pattern"),
        ({"namespaces": "a"}, "array"),
    ],
)
def test_a_scope_that_cannot_be_meant_is_refused(chart: Chart, scope: dict[str, Any], complaint: str) -> None:
    assert complaint in chart.refusal({"scope": scope})


def test_all_namespaces_are_watched_where_none_is_named(default: Rendered) -> None:
    assert not [argument for argument in default.container()["args"] if argument.startswith("--namespace")]


def test_view_edit_and_admin_reach_the_three_resources(default: Rendered) -> None:
    people = {name(role): role for role in default.of("ClusterRole") if "operator" not in name(role)}
    view, edit = people["modelwright-view"], people["modelwright-edit"]
    resources = [(OWN, plural) for plural in ("trainingjobs", "modelversions", "inferenceservices")]
    aggregate = "rbac.authorization.k8s.io/aggregate-to-"
    scale = (OWN, "inferenceservices/scale")
    assert granted([view]) == {**dict.fromkeys(resources, READ), scale: {"get"}}
    assert granted([edit]) == {**dict.fromkeys(resources, WRITE), scale: {"update", "patch"}}
    assert {k.removeprefix(aggregate) for k in view["metadata"]["labels"] if k.startswith(aggregate)} == {
        "view", "edit", "admin",
    }  # fmt: skip
    assert {k.removeprefix(aggregate) for k in edit["metadata"]["labels"] if k.startswith(aggregate)} == {
        "edit", "admin",
    }  # fmt: skip


def test_roles_can_be_left_to_the_administrator(chart: Chart) -> None:
    rendered = chart.render({"rbac": {"create": False}})
    assert not rendered.kinds() & (CLUSTER_WIDE | {"Role", "RoleBinding"})
    without_people = chart.render({"rbac": {"aggregate": False}})
    assert {name(role) for role in without_people.of("ClusterRole")} == {
        "modelwright-approver",
        *(name(role) for role in operator_roles(without_people, "ClusterRole")),
    }


def test_a_token_is_given_to_the_operators_pods_only(default: Rendered) -> None:
    assert default.one("ServiceAccount")["automountServiceAccountToken"] is False
    assert default.pod()["spec"]["automountServiceAccountToken"] is True
