"""How a store is found for a uri, what a container is given to reach it, and what it is never given."""

from __future__ import annotations

import json
from typing import Any

import pytest

from modelwright.api.storedocument import Use, source_uses, store_in
from modelwright.api.stores import Store
from modelwright.common.settings import Settings, StoreDefault
from modelwright.workload.podspec import Parts
from modelwright.workload.stores import access

LAKE = {"secretRef": {"name": "lake"}, "endpoint": "https://s3.corp:9000", "region": "eu-central-1"}
ROLE = {"identity": {"roleArn": "arn:aws:iam::1:role/models"}}


def settings(*networks: str, **stores: dict[str, Any]) -> Settings:
    """The settings of an administrator: stores by prefix."""
    found = tuple(StoreDefault(prefix, Store.model_validate(store)) for prefix, store in stores.items())
    return Settings("serving:1", "training:1", stores=found, allowed_networks=networks)


def document(parts: Parts) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(parts.env.get("MODELWRIGHT_STORES", "{}"))
    return found


def secret_of(uri: str, known: Settings) -> str | None:
    """The Secret that a container gets for a uri of which the spec says nothing."""
    given: dict[str, Any] = document(access(known, Use("data", uri, "data.store"))).get("stores", {})
    return given["data"].get("secret") if given else None


def of(name: str) -> dict[str, Any]:
    return {"secretRef": {"name": name}}


@pytest.mark.parametrize(
    ("uri", "secret"),
    [
        ("s3://lake/a.csv", "lake"),
        ("s3://lake/raw/a.csv", "raw"),
        ("s3://lake/rawest/a.csv", "lake"),
        ("s3://lake-2/a.csv", None),
        ("gs://lake/a.csv", None),
        ("https://data.corp/a.csv?x=1", "web"),
        ("https://data.corp", "web"),
        ("https://data.corp.evil.example/a.csv", None),
        ("https://data.corp@evil.example/a.csv", None),
        ("https://data.corp:8443/a.csv", None),
        ("https://data.corp/team/a.csv", "team"),
        ("https://data.corp/team/../other.csv", "web"),
        ("https://data.corp/team/%2E%2e/other.csv?x", "web"),
        ("oci://registry.corp/models:1", "all"),
        ("oci://registry.corp/models/churn:1", "all"),
        ("oci://registry.corp/models/risk:1", "risk"),
        ("oci://registry.corp/models/risk@sha256:0", "risk"),
        ("oci://registry.corp:5000/models", None),
    ],
)
def test_the_longest_prefix_that_ends_at_a_part_of_the_uri_counts(uri: str, secret: str | None) -> None:
    known = settings(
        **{
            "s3://lake": of("lake"),
            "s3://lake/raw/": of("raw"),
            "https://data.corp": of("web"),
            "https://data.corp/team": of("team"),
            "oci://registry.corp": of("all"),
            "oci://registry.corp/models/risk": of("risk"),
        }
    )
    assert secret_of(uri, known) == secret


def test_what_the_spec_says_takes_the_place_of_what_the_administrator_says() -> None:
    given = access(settings(**{"s3://lake": LAKE}), Use("data", "s3://lake/a", "data.store", of("mine")))
    assert document(given)["stores"] == {"data": {"field": "data.store", "secret": "mine"}}


@pytest.mark.parametrize("uri", ["pvc://lake/a.csv", "configmap://a/b", "sklearn://iris", "source://image:1"])
def test_a_container_that_uses_volumes_is_given_nothing(uri: str) -> None:
    assert access(settings("10.0.0.0/8", **{"s3://lake": LAKE}), Use("data", uri, "data.store")) == Parts()


def test_the_networks_are_given_to_whom_reads_outside_and_nothing_else_if_no_store_is_known() -> None:
    given = access(settings("10.0.0.0/8", "fd00::/8"), Use("data", "https://data.corp/a", "data.store"))
    assert document(given) == {"networks": ["10.0.0.0/8", "fd00::/8"]}
    assert (given.mounts, given.volumes) == ((), ())
    assert access(settings(), Use("data", "https://data.corp/a", "data.store")) == Parts()


@pytest.mark.parametrize(
    ("uri", "keys"),
    [
        ("s3://a/b", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]),
        ("gs://a/b", ["key.json"]),
        ("https://a/b", ["username", "password", "token"]),
        ("oci://a/b", [".dockerconfigjson", "username", "password"]),
    ],
)
def test_only_the_keys_of_the_scheme_reach_the_pod_as_files_of_the_group(uri: str, keys: list[str]) -> None:
    given = access(settings(), Use("artifacts", uri, "artifacts.store", of("mine")))

    (volume,) = given.volumes
    (source,) = volume["projected"]["sources"]
    assert (volume["name"], volume["projected"]["defaultMode"]) == ("store-artifacts", 0o440)
    assert source["secret"]["name"] == "mine"
    assert source["secret"]["items"] == [{"key": key, "path": f"secret/{key}"} for key in keys]
    assert source["secret"]["optional"] is True, "the step says that it is missing, and what to do"
    mounted = {"name": "store-artifacts", "mountPath": "/etc/modelwright/stores/artifacts", "readOnly": True}
    assert given.mounts == (mounted,)
    assert list(given.env) == ["MODELWRIGHT_STORES"]


@pytest.mark.parametrize(
    ("uri", "identity", "audience"),
    [
        ("s3://a/b", {"roleArn": "arn"}, "sts.amazonaws.com"),
        ("s3://a/b", {"roleArn": "arn", "audience": "mine"}, "mine"),
        ("az://a/b", {"clientId": "c", "tenantId": "t"}, "api://AzureADTokenExchange"),
        ("gs://a/b", {"workloadIdentityProvider": "projects/1/x"}, "https://iam.googleapis.com/projects/1/x"),
    ],
)
def test_an_identity_is_a_token_of_one_container_and_no_secret(
    uri: str, identity: dict[str, Any], audience: str
) -> None:
    given = access(settings(), Use("data", uri, "data.store", {"identity": identity}))

    (source,) = given.volumes[0]["projected"]["sources"]
    token = {"audience": audience, "expirationSeconds": 3600, "path": "token"}
    assert source == {"serviceAccountToken": token}
    said = {key: value for key, value in identity.items() if key != "audience"}
    assert document(given)["stores"]["data"]["identity"] == said


def test_a_store_with_an_endpoint_alone_needs_no_volume() -> None:
    store = {"endpoint": "http://minio:9000", "region": "a-1"}
    given = access(settings(), Use("data", "s3://a/b", "data.store", store))
    assert (given.volumes, given.mounts) == ((), ())
    assert document(given)["stores"]["data"] == {"field": "data.store", **store}


STS = {"identity": {"roleArn": "arn", "stsEndpoint": "https://sts.corp"}}


@pytest.mark.parametrize(
    ("chosen", "trusted"),
    [
        (None, True),
        ({"endpoint": "https://s3.corp:9000", **of("mine")}, True),
        ({"endpoint": "https://S3.corp:9000/"}, True),
        ({"endpoint": "https://s3.corp:9001"}, False),
        ({"endpoint": "http://s3.corp:9000"}, False),
        (of("mine"), False),
        ({"endpoint": "https://s3.corp:9000", **STS}, False),
    ],
    ids=[
        "the administrator's",
        "the same endpoint",
        "written otherwise",
        "another port",
        "no TLS",
        "no endpoint",
        "another STS",
    ],
)  # fmt: skip
def test_an_endpoint_is_trusted_if_the_administrator_names_it(
    chosen: dict[str, Any] | None, trusted: bool
) -> None:
    given = access(settings(**{"s3://lake": LAKE}), Use("data", "s3://lake/a", "data.store", chosen))
    assert document(given)["stores"]["data"].get("trusted", False) is trusted


def test_certificates_beside_the_store_join_what_is_known_of_it() -> None:
    known, ca = settings(**{"https://data.corp": of("web")}), {"name": "ca", "key": "ca.crt"}
    data = {"uri": "https://data.corp/a", "caConfigMapRef": ca, "holdout": {"uri": "https://data.corp/b"}}

    given = access(known, *source_uses(data, "data.store"))

    entry = {
        "field": "data.store",
        "secret": "web",
        "authority": "ca.crt of ConfigMap ca (data.caConfigMapRef)",
    }
    assert document(given)["stores"] == {"data": entry, "holdout": entry}
    secret, config_map = given.volumes[0]["projected"]["sources"]
    assert secret["secret"]["name"] == "web"
    assert config_map["configMap"] == {
        "name": "ca", "items": [{"key": "ca.crt", "path": "ca.crt"}], "optional": True
    }  # fmt: skip


@pytest.mark.parametrize(
    ("uri", "holdout", "secret"),
    [
        ("s3://lake/a.csv", "s3://other/b.csv", "mine"),
        ("s3://lake/a.csv", "https://else.example/b.csv", None),
        ("https://a.example/a.csv", "https://A.example:443/b.csv?sig=x", "mine"),
        ("https://a.example/a.csv", "https://else.example/b.csv", None),
        ("https://a.example/a.csv", "https://a.example:8443/b.csv", None),
        ("https://a.example/a.csv", "https://known.example/b.csv", "web"),
        ("oci://a.example/data:1", "oci://a.example/other:1", "mine"),
        ("oci://a.example/data:1", "oci://a.example:5000/data:1", None),
    ],
)
def test_the_store_of_the_data_is_that_of_a_hold_out_at_the_same_service(
    uri: str, holdout: str, secret: str | None
) -> None:
    known = settings(**{"https://known.example": of("web")})
    data = {"uri": uri, "store": of("mine"), "holdout": {"uri": holdout}}
    found = document(access(known, *source_uses(data, "data.store")))["stores"]
    assert found.get("holdout", {}).get("secret") == secret


def test_certificates_of_the_data_are_trusted_for_a_hold_out_on_another_server_too() -> None:
    ca, holdout = {"name": "ca", "key": "ca.crt"}, {"uri": "https://else.example/b"}
    data = {"uri": "https://a.example/a", "store": of("mine"), "caConfigMapRef": ca, "holdout": holdout}
    found = document(access(settings(), *source_uses(data, "data.store")))["stores"]
    assert found["holdout"] == {
        "field": "data.store",
        "authority": "ca.crt of ConfigMap ca (data.caConfigMapRef)",
    }


@pytest.mark.parametrize(
    ("uri", "store"),
    [
        ("s3://a/b", {**LAKE, "caConfigMapRef": {"name": "ca", "key": "x.pem"}}),
        ("s3://a/b", {"identity": {"roleArn": "arn", "audience": "me", "stsEndpoint": "https://sts"}}),
        ("az://a/b", {"identity": {"clientId": "c", "tenantId": "t", "audience": "me"}}),
        ("s3://a/b", {"endpoint": "http://minio:9000"}),
    ],
)
def test_a_store_is_read_back_from_what_a_container_was_given(uri: str, store: dict[str, Any]) -> None:
    given = access(settings(), Use("artifacts", uri, "artifact.store", store))
    sources = given.volumes[0]["projected"]["sources"] if given.volumes else ()
    assert store_in(given.env, "artifacts", sources) == Store.model_validate(store)


@pytest.mark.parametrize("text", ["{", "[]", '{"stores": 1}', '{"stores": {"artifacts": 1}}'])
def test_a_document_that_another_wrote_is_refused_in_one_way(text: str) -> None:
    with pytest.raises(ValueError, match=r"MODELWRIGHT_STORES|Expecting"):
        store_in({"MODELWRIGHT_STORES": text}, "artifacts", ())
