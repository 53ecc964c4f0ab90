"""The policies for specs and for the operator's account, as they are rendered; a cluster test has them judge."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from unit.chart.rendering import ROOT, Chart, Manifest, Rendered
from unit.given.checks import SOURCES, VOLUMES

from modelwright.api.podtemplate import SECURITY_KEY

POLICY, BINDING = "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"
OPERATOR, SPECS = "modelwright-operator", "modelwright-specs"
SCOPED = f"{SPECS}.modelwright-system"
ENABLED = {"policies": {"trainingJobs": {"enabled": True}}}
LISTS = ("images", "sources", "stores", "secrets", "serviceAccounts")


def names(rendered: Rendered) -> set[str]:
    return {manifest["metadata"]["name"] for manifest in rendered.of(POLICY, BINDING)}


def specs(chart: Chart, **lists: Any) -> Rendered:
    return chart.render({"policies": {"trainingJobs": {"enabled": True, **lists}}})


def variable(policy: Manifest, name: str) -> str:
    (found,) = [each["expression"] for each in policy["spec"]["variables"] if each["name"] == name]
    return str(found)


def test_specs_are_judged_only_if_the_administrator_wants_it(chart: Chart, default: Rendered) -> None:
    assert SPECS not in names(default)
    assert chart.render(ENABLED).named(BINDING, SPECS)["spec"] == {
        "policyName": SPECS,
        "validationActions": ["Deny"],
    }


def test_patterns_match_whole_names_and_only_a_star_stands_for_any_text(chart: Chart) -> None:
    policy = specs(chart, images=["registry.corp/ml/*", "a+b:1"]).named(POLICY, SPECS)
    found = re.search(r"!(\[.*?\])\.exists", variable(policy, "refusedImages"))
    assert found is not None
    assert json.loads(found[1]) == [r"^registry\.corp/ml/.*$", r"^a\+b:1$"]


def test_an_empty_list_allows_none(chart: Chart) -> None:
    policy = specs(chart, serviceAccounts=[]).named(POLICY, SPECS)
    assert "![].exists" in variable(policy, "refusedAccounts")
    messages = [each["messageExpression"] for each in policy["spec"]["validations"]]
    assert sum("none may be named" in message for message in messages) == 1
    assert all(f"(policies.trainingJobs.{name})" in text for name, text in zip(LISTS, messages, strict=True))


@pytest.mark.parametrize("pattern", ["a b", "a'b", 'a"b', "a\\b", "{{ .Values }}", ""])
def test_a_pattern_that_could_break_the_rule_is_refused(chart: Chart, pattern: str) -> None:
    refusal = chart.refusal({"policies": {"trainingJobs": {"enabled": True, "images": [pattern]}}})
    assert "pattern" in refusal or "minLength" in refusal or "length" in refusal


def test_the_rule_is_for_some_namespaces_where_the_release_is(chart: Chart) -> None:
    scoped = chart.render({**ENABLED, "scope": {"namespaces": ["team-a", "team-b"]}})
    names_of = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["team-a", "team-b"]}
    assert scoped.named(BINDING, SCOPED)["spec"]["matchResources"] == {
        "namespaceSelector": {"matchExpressions": [names_of]}
    }
    assert OPERATOR not in names(scoped)


def test_a_selector_adds_no_namespace_to_those_of_the_release(chart: Chart) -> None:
    asked = {"key": "tier", "operator": "Exists"}
    selector = {"matchLabels": {"a": "b"}, "matchExpressions": [asked]}
    lists = {"policies": {"trainingJobs": {"enabled": True, "namespaceSelector": selector}}}
    scoped = chart.render({**lists, "scope": {"namespaces": ["team-a"]}}).named(BINDING, SCOPED)
    own = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["team-a"]}
    assert scoped["spec"]["matchResources"]["namespaceSelector"] == {
        "matchLabels": {"a": "b"},
        "matchExpressions": [asked, own],
    }


def test_releases_of_one_name_for_some_namespaces_have_rules_of_their_own(chart: Chart) -> None:
    rendered = chart.render({**ENABLED, "scope": {"namespaces": ["team-a"]}})
    assert names(rendered) == {SCOPED}


def test_the_rule_is_for_the_namespaces_that_a_selector_finds(chart: Chart) -> None:
    selector = {"matchLabels": {"tier": "shared"}}
    rendered = specs(chart, namespaceSelector=selector)
    assert rendered.named(BINDING, SPECS)["spec"]["matchResources"] == {"namespaceSelector": selector}


def fields(schema: Any, path: str = "") -> dict[str, Any]:
    """All fields of a schema by their path, without those of lists' items."""
    found: dict[str, Any] = {}
    for name, part in (schema.get("properties") or {}).items():
        where = f"{path}.{name}".lstrip(".")
        found[where] = part
        found |= fields(part, where)
        found |= fields(part.get("items") or {}, f"{where}[]")
    return found


# What names something without being a way to it: the record of a run, and what is read to trust a server.
RECORDS = re.compile(r"lineage\..*|.*caConfigMapRef")
NAMES = re.compile(
    r"(^|\.)(uri|image|endpoint|stsEndpoint|\w*[sS]ecretRef|secretKeyRef|secretName|serviceAccountName|"
    r"claimName|configMapRef|configMapKeyRef|imagePullSecrets|secret|configMap|persistentVolumeClaim)$"
)


@pytest.mark.parametrize("plural", ["trainingjobs", "modelversions", "inferenceservices"])
def test_every_field_that_names_an_image_a_place_or_a_secret_is_in_a_list(chart: Chart, plural: str) -> None:
    """A field that is added without a list would be a way around the policy."""
    definition = yaml.safe_load((ROOT / f"crds/{plural}.yaml").read_text())
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    policy = chart.render(ENABLED).named(POLICY, SPECS)["spec"]
    rule = " ".join(" ".join(each["expression"].split()) for each in policy["variables"])
    naming = {path for path in fields(schema) if NAMES.search(path) and not RECORDS.fullmatch(path)}
    assert naming
    unseen = {path for path in naming if not _is_seen(path, rule)}
    assert unseen == set()


def _is_seen(path: str, rule: str) -> bool:
    """True if the rule reads the last two parts of a path, or a list that holds it."""
    parts = path.replace("[]", "").split(".")
    last, before = parts[-1], parts[-2] if len(parts) > 1 else ""
    ways = (f"{before}.?{last}", f"{before}.{last}", f"each.{last}", f"has(each.{last})")
    return any(way in rule for way in ways)


def test_the_operator_is_held_to_what_it_makes_in_all_namespaces(default: Rendered) -> None:
    policy = default.named(POLICY, OPERATOR)["spec"]
    assert default.named(BINDING, OPERATOR)["spec"] == {
        "policyName": OPERATOR,
        "validationActions": ["Deny", "Audit"],
    }
    assert policy["failurePolicy"] == "Fail"
    (condition,) = policy["matchConditions"]
    assert condition["expression"].endswith("'system:serviceaccount:modelwright-system:modelwright-operator'")


def test_the_policy_of_the_operator_is_for_each_group_that_it_may_write(default: Rendered) -> None:
    (rule,) = default.named(POLICY, OPERATOR)["spec"]["matchConstraints"]["resourceRules"]
    written = {
        group
        for role in default.of("ClusterRole")
        if role["metadata"]["name"].startswith("modelwright-operator-")
        for granted in role["rules"]
        if set(granted["verbs"]) & {"create", "patch", "update", "delete"}
        for group in granted["apiGroups"]
    }
    assert written - {"modelwright.dev"} <= set(rule["apiGroups"])
    assert rule["resources"] == ["*", "pods/status"]


def expressions(rendered: Rendered) -> str:
    """What the policy of the operator's account checks, on one line."""
    rules = rendered.named(POLICY, OPERATOR)["spec"]["validations"]
    return " ".join(" ".join(rule["expression"].split()) for rule in rules)


def listed(text: str, before: str) -> set[str]:
    """The words of the list that follows."""
    found = re.search(re.escape(before) + r" in (\[.*?\])", text)
    assert found is not None
    return set(json.loads(found[1].replace("'", '"')))


def test_pods_of_the_operator_are_held_to_the_kinds_of_volumes_that_it_uses(default: Rendered) -> None:
    text = expressions(default)
    assert listed(text, "volume.all(kind, kind") == {"name"} | VOLUMES
    assert listed(text, "source.all(kind, kind") == SOURCES


API_SERVERS = [
    "kubernetes",
    "https://kubernetes.default.svc",
    "https://kubernetes.default.svc.cluster.local",
    "https://kubernetes.default.svc.corp.example:6443/",
    "kubernetes.default",
    "k3s",
    "rke2",
    "https://container.googleapis.com/v1/projects/p/locations/l/clusters/c",
    "https://oidc.eks.eu-west-1.amazonaws.com/id/0F",
    "https://c-dns-1.hcp.westeurope.azmk8s.io",
    "https://westeurope.oic.prod-aks.azure.com/t/c/",
]
CLOUDS = [
    "sts.amazonaws.com",
    "api://AzureADTokenExchange",
    "https://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/a/providers/b",
    "https://minio.corp.example",
    "kubernetes-models",
    "https://kubernetes.example",
    "istio-ca",
]


def test_tokens_of_pods_are_for_clouds_and_not_for_an_api_server(default: Rendered) -> None:
    found = re.search(r"audience\.matches\('([^']*)'\)", expressions(default))
    assert found is not None
    assert [each for each in API_SERVERS if not re.search(found[1], each)] == []
    assert [each for each in CLOUDS if re.search(found[1], each)] == []


def test_the_administrator_names_what_else_the_api_server_takes(chart: Chart, default: Rendered) -> None:
    assert "serviceAccountToken.audience in [])" in expressions(default)
    audiences = ["https://issuer.corp", "api"]
    named = chart.render({"policies": {"operator": {"apiAudiences": audiences}}})
    assert 'serviceAccountToken.audience in ["https://issuer.corp","api"])' in expressions(named)
    assert expressions(chart.render({"policies": {"operator": {"apiAudiences": None}}})) == expressions(
        default
    )
    assert "pattern" in chart.refusal({"policies": {"operator": {"apiAudiences": ["a'b"]}}})


def test_annotations_that_no_template_may_have_are_refused_in_pods_as_well(default: Rendered) -> None:
    assert f"key.matches('{SECURITY_KEY}')" in expressions(default)


def test_the_policy_of_the_operator_can_be_left_out(chart: Chart) -> None:
    assert OPERATOR not in names(chart.render({"policies": {"operator": {"enabled": False}}}))
    assert OPERATOR not in names(chart.render({"scope": {"namespace": "team-a"}}))
