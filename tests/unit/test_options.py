"""Amounts that the operator's settings hold are measured as the CRDs measure those of users."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support import resources

from modelwright.api.podtemplate import PodTemplate
from modelwright.api.stores import Store
from modelwright.common.settings import DEFAULT_POD_TEMPLATE
from modelwright.options import Options, parse

NEEDED = ("--lease-namespace=l", "--serving-image=s", "--training-image=t")


def given(flag: str, amounts: dict[str, Any]) -> Options:
    """The options with these resources."""
    return parse((*NEEDED, f"--{flag}={json.dumps(amounts)}"))


@pytest.mark.parametrize("amounts", resources.TAKEN, ids=json.dumps)
def test_what_a_user_may_ask_for_may_be_a_default(amounts: dict[str, Any]) -> None:
    assert given("training-resources", amounts).settings.training_resources
    assert given("serving-resources", amounts).settings.serving_resources


@pytest.mark.parametrize(("amounts", "message"), resources.REFUSED, ids=json.dumps)
def test_what_no_pod_could_have_is_no_default(
    amounts: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        given("serving-resources", amounts)

    assert message in capsys.readouterr().err


def test_headers_to_pass_on_are_names_in_lower_case() -> None:
    assert parse((*NEEDED, "--pass-headers=X-Tenant, baggage,")).settings.passed_headers == (
        "x-tenant",
        "baggage",
    )
    assert parse(NEEDED).settings.passed_headers == ()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("a b", "'a b' is no header that can be passed on"),
        ("Content-Length", "'content-length' is no header"),
        ("modelwright-delegated", "is no header"),
        (",".join(f"x-{number}" for number in range(17)), "at most 16 names"),
    ],
)
def test_headers_that_cannot_be_passed_on_are_refused(
    names: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse((*NEEDED, f"--pass-headers={names}"))

    assert message in capsys.readouterr().err


ROLE = {"roleArn": "arn:aws:iam::1:role/x"}


def stores(*entries: dict[str, Any]) -> str:
    return f"--stores={json.dumps(entries)}"


def test_the_administrators_stores_are_those_of_the_api() -> None:
    store = {"secretRef": {"name": "lake"}, "endpoint": "https://s3.corp:9000"}
    found = parse((*NEEDED, stores({"prefix": "s3://lake/", "store": store}))).settings.stores
    assert [(default.prefix, default.store) for default in found] == [
        ("s3://lake", Store.model_validate(store))
    ]
    assert parse(NEEDED).settings.stores == ()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("--stores={", "it is no JSON"),
        ("--stores={}", "it has to be a list"),
        (stores({"prefix": "pvc://lake", "store": {}}), "each has a prefix"),
        (stores({"prefix": "s3://lake?x=HUNTER2", "store": {}}), "each has a prefix"),
        (stores({"prefix": "s3://lake"}), "each has a prefix"),
        (stores({"prefix": "s3://a", "store": {"bucket": "x"}}), "s3://a: store.bucket: Extra inputs"),
        (stores({"prefix": "s3://a", "store": {"secret_ref": {"name": "x"}}}), "store.secret_ref: Extra"),
        (
            stores({"prefix": "s3://a", "store": {"endpoint": "HUNTER2"}}),
            "s3://a: store.endpoint: String should",
        ),
        (stores({"prefix": "s3://a", "store": {}}, {"prefix": "s3://a", "store": {}}), "a prefix twice"),
        (
            stores({"prefix": "s3://a", "store": {"secretRef": {"name": "x"}, "identity": ROLE}}),
            "set at most one of secretRef and identity",
        ),
        (stores({"prefix": "az://a", "store": {"identity": ROLE}}), "roleArn is for s3://"),
        (stores({"prefix": "s3://a", "store": {"identity": {}}}), "roleArn is for s3://"),
        (stores({"prefix": "az://a", "store": {"identity": {"clientId": "c"}}}), "go together"),
        (
            stores({"prefix": "s3://a", "store": {"identity": {**ROLE, "serviceAccount": "x"}}}),
            "serviceAccount goes with",
        ),
        ("--allowed-networks=10.0.0.0/33", "not networks such as 10.0.0.0/8"),
        ("--artifacts-uri=https://models.example", "oci://HOST/REPOSITORY"),
        ("--artifacts-uri=oci://registry.corp", "oci://HOST/REPOSITORY"),
    ],
)
def test_stores_that_cannot_be_reached_so_are_refused_without_their_values(
    given: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse((*NEEDED, given))

    said = capsys.readouterr().err
    assert message in said
    assert "HUNTER2" not in said


def test_networks_and_the_store_of_models_are_taken_as_they_are() -> None:
    settings = parse(
        (*NEEDED, "--allowed-networks=10.0.0.0/8, fd00::/8", "--artifacts-uri=s3://models/all")
    ).settings
    assert settings.allowed_networks == ("10.0.0.0/8", "fd00::/8")
    assert settings.artifacts_uri == "s3://models/all"
    assert parse((*NEEDED, "--allowed-networks=10.1.2.3/8")).settings.allowed_networks == ("10.0.0.0/8",)


POOL = {"metadata": {"labels": {"team": "ml"}}, "spec": {"nodeSelector": {"pool": "ml"}}}


def test_templates_of_pods_are_those_of_the_api_and_ids_have_a_default() -> None:
    found = parse((*NEEDED, f"--training-pod-template={json.dumps(POOL)}")).settings
    assert found.training_pod_template == PodTemplate.model_validate(POOL)
    assert (found.serving_pod_template, found.pod_template) == (None, DEFAULT_POD_TEMPLATE)


@pytest.mark.parametrize("ids", [{}, {"securityContext": {}}, {"securityContext": {"runAsUser": None}}])
def test_a_template_without_ids_has_none(ids: dict[str, Any]) -> None:
    found = parse((*NEEDED, f"--pod-template={json.dumps({'spec': ids})}")).settings.pod_template
    assert found.spec is not None
    assert found.spec.security_context is None or found.spec.security_context.run_as_user is None


@pytest.mark.parametrize(
    "key", ["sidecar.istio.io/inject", "cri-o", "macri-o.example/a", "example.com/cri-o.x"]
)
def test_annotations_that_change_no_rights_are_taken(key: str) -> None:
    template = {"metadata": {"annotations": {key: "x"}}}
    found = parse((*NEEDED, f"--pod-template={json.dumps(template)}")).settings.pod_template
    assert found.metadata is not None
    assert found.metadata.annotations == {key: "x"}


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{", "it is no JSON"),
        ("[]", "the template: Input should be"),
        ({"spec": {"hostNetwork": True}}, "spec.hostNetwork: Extra inputs"),
        ({"spec": {"node_selector": {}}}, "spec.node_selector: Extra inputs"),
        (
            {"spec": {"securityContext": {"runAsUser": 0}}},
            "spec.securityContext.runAsUser: Input should be greater",
        ),
        ({"spec": {"securityContext": {"runAsNonRoot": False}}}, "runAsNonRoot: Extra inputs"),
        ({"spec": {"nodeSelector": {"pool": "HUNTER 2"}}}, "spec.nodeSelector.pool: String should match"),
        ({"spec": {"nodeSelector": {"a b": "x"}}}, "spec.nodeSelector: keys are NAME"),
        ({"metadata": {"labels": {"modelwright.dev/x": "y"}}}, "metadata.labels: keys of modelwright.dev"),
        (
            {"metadata": {"annotations": {"a.modelwright.dev/x": "y"}}},
            "metadata.annotations: keys of modelwright",
        ),
        ({"metadata": {"labels": {"app.kubernetes.io/managed-by": "y"}}}, "are the operator's"),
        *(
            ({"metadata": {"annotations": {key: "x"}}}, "metadata.annotations: keys of apparmor")
            for key in (
                "container.apparmor.security.beta.kubernetes.io/train",
                "seccomp.security.alpha.kubernetes.io/pod",
                "container.seccomp.security.alpha.kubernetes.io/train",
                "io.kubernetes.cri-o.Devices",
                "io.kubernetes.cri-o.userns-mode/train",
                "seccomp-profile.kubernetes.cri-o.io/POD",
                "cpu-quota.crio.io",
            )
        ),
        (
            {"metadata": {"labels": {f"a{n}": "" for n in range(33)}}},
            "labels: it may have at most 32 entries",
        ),
        (
            {"spec": {"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]}},
            "Exists has no value",
        ),
        ({"spec": {"tolerations": [{"value": "b"}]}}, "without a key the operator has to be Exists"),
        ({"spec": {"tolerations": [{"key": "a", "tolerationSeconds": 1}]}}, "goes with effect NoExecute"),
    ],
)
def test_templates_that_no_pod_can_have_are_refused_without_their_values(
    template: object, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = template if isinstance(template, str) else json.dumps(template)

    with pytest.raises(SystemExit):
        parse((*NEEDED, f"--serving-pod-template={text}"))

    said = capsys.readouterr().err
    assert message in " ".join(said.split())
    assert "HUNTER" not in said
