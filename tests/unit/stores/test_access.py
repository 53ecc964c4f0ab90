"""The stores document and the files beside it: what is read, and what is wrong with them in whose words."""

from __future__ import annotations

import json
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from unit.contracts.schemas import defects

from modelwright_stores.access import MAX_SECRET_BYTES, Access, Identity, accesses, plain
from modelwright_stores.failures import StoreError

FULL: dict[str, Any] = {
    "networks": ["10.0.0.0/8", "fd00::/8"],
    "stores": {
        "data": {
            "field": "data.store",
            "secret": "lake",
            "endpoint": "https://s3.corp:9000",
            "region": "eu-central-1",
            "authority": "ca.crt of ConfigMap corp-ca",
            "trusted": True,
        },
        "artifacts": {
            "field": "artifacts.store",
            "identity": {"roleArn": "arn:aws:iam::1:role/models", "stsEndpoint": "https://sts.corp"},
        },
        "champion": {"field": "champion.store", "identity": {"clientId": "c", "tenantId": "t"}},
        "holdout": {
            "field": "data.store",
            "identity": {"workloadIdentityProvider": "projects/1/x", "serviceAccount": "me@x"},
        },
    },
}


def environ(document: object) -> dict[str, str]:
    return {"MODELWRIGHT_STORES": document if isinstance(document, str) else json.dumps(document)}


def refusal(document: object) -> StoreError:
    with pytest.raises(StoreError) as refused:
        accesses(environ(document))
    return refused.value


def test_a_document_of_the_contract_is_read(tmp_path: Path) -> None:
    assert defects("stores", FULL) == []
    found = accesses(environ(FULL), tmp_path)
    networks = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    folder = tmp_path / "etc/modelwright/stores"
    assert found["data"] == Access(
        folder / "data",
        "data.store",
        "lake",
        None,
        "https://s3.corp:9000",
        "eu-central-1",
        "ca.crt of ConfigMap corp-ca",
        trusted=True,
        networks=networks,
    )
    assert found["artifacts"].identity == Identity(
        role_arn="arn:aws:iam::1:role/models", sts_endpoint="https://sts.corp"
    )
    assert found["champion"].identity == Identity(client_id="c", tenant_id="t")
    assert found["holdout"].identity == Identity(
        workload_identity_provider="projects/1/x", service_account="me@x"
    )
    assert found["artifacts"].token == folder / "artifacts" / "token"


def test_without_a_document_no_store_has_anything(tmp_path: Path) -> None:
    assert accesses({}) == {}
    access = plain({"SSL_CERT_FILE": "/ca/ca.crt"}, "data.store", tmp_path)
    assert (access.field, access.networks, access.bundle) == ("data.store", (), Path("/ca/ca.crt"))
    assert access.credentials(("username",)) == {}
    assert access.certificates is None


def test_a_plain_store_has_the_networks_of_the_document(tmp_path: Path) -> None:
    assert plain(environ(FULL), "data.store", tmp_path).networks[0] == ip_network("10.0.0.0/8")


@pytest.mark.parametrize(
    "document",
    [
        "{",
        "[]",
        '"x"',
        {"networks": ["10.0.0.0/33"]},
        {"networks": ["10.0.0.1/8"]},
        {"networks": 7},
        {"stores": ["data"]},
        {"stores": {"data": 7}},
        {"stores": {"data": {"secret": "lake"}}},
        {"stores": {"data": {"field": "data.store", "identity": 7}}},
    ],
)
def test_a_document_that_is_none_is_refused(document: object) -> None:
    assert refusal(document).reason == "DocumentInvalid"


def given_secret(folder: Path, **keys: bytes) -> Access:
    (folder / "secret").mkdir()
    for key, value in keys.items():
        (folder / "secret" / key).write_bytes(value)
    return Access(folder, "data.store", "lake")


def test_the_keys_of_a_secret_are_read_without_the_space_around_them(tmp_path: Path) -> None:
    access = given_secret(tmp_path, username=b" ann\n", password=b"pass word\r\n", other=b"x")
    assert access.credentials(("username", "password", "token")) == {
        "username": "ann",
        "password": "pass word",
    }


def test_a_secret_that_is_not_there_is_named_with_its_keys(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as refused:
        Access(tmp_path, "data.store", "lake").credentials(("username", "password"))
    assert refused.value.reason == "SecretNotFound"
    assert all(
        word in refused.value.message for word in ("data.store.secretRef", "lake", "username, password")
    )


@pytest.mark.parametrize("value", [b"", b" \n", b"\xff\xfe", b"x" * (MAX_SECRET_BYTES + 1)])
def test_a_value_that_is_no_text_is_refused_and_not_quoted(tmp_path: Path, value: bytes) -> None:
    with pytest.raises(StoreError) as refused:
        given_secret(tmp_path, token=value).credentials(("token",))
    assert refused.value.reason == "SecretIncomplete"
    assert "key token of Secret lake" in refused.value.message


def test_certificates_that_are_not_there_are_named(tmp_path: Path) -> None:
    access = Access(tmp_path, "data.store", authority="ca.crt of ConfigMap corp-ca")
    with pytest.raises(StoreError) as refused:
        _ = access.certificates
    assert refused.value.reason == "CertificatesNotFound"
    assert "data.store.caConfigMapRef: there is no ca.crt of ConfigMap corp-ca" in refused.value.message
    (tmp_path / "ca.crt").write_text("x")
    assert access.certificates == tmp_path / "ca.crt"
