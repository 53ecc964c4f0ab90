"""Credentials come from the mounted files alone, and go to the store alone."""

from __future__ import annotations

import base64
import json
import logging
import traceback
from dataclasses import replace
from pathlib import Path

import pytest
from support.stores.azurite import Azurite
from support.stores.gcs import CloudStorage
from support.stores.listening import Handler
from support.stores.s3 import Gateway
from unit.stores.objects.answering import answering, refusing
from unit.stores.objects.folders import Mount

from modelwright_stores.failures import StoreError
from modelwright_stores.objects.bucket import Bucket

ENDPOINT = "https://127.0.0.1:1"
KEY = base64.b64encode(b"k" * 64).decode()
PEM = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("uri", "keys", "named"),
    [
        ("s3://lake", {"AWS_ACCESS_KEY_ID": "AKIA"}, "lacks AWS_SECRET_ACCESS_KEY"),
        ("s3://lake", {"AWS_SESSION_TOKEN": "t"}, "lacks AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"),
        ("s3://lake", {"AWS_ACCESS_KEY_ID": "AK\nIA", "AWS_SECRET_ACCESS_KEY": "s"}, "key AWS_ACCESS_KEY_ID"),
        (
            "s3://lake",
            {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "sécret"},
            "key AWS_SECRET_ACCESS_KEY",
        ),
        ("az://lake", {"AZURE_STORAGE_ACCOUNT_NAME": "lake"}, "neither AZURE_STORAGE_ACCOUNT_KEY nor"),
        (
            "az://lake",
            {"AZURE_STORAGE_ACCOUNT_NAME": "evil.example/", "AZURE_STORAGE_ACCOUNT_KEY": KEY},
            "ACCOUNT_NAME",
        ),
        (
            "az://lake",
            {"AZURE_STORAGE_ACCOUNT_NAME": "lake", "AZURE_STORAGE_ACCOUNT_KEY": "no-base64"},
            "ACCOUNT_KEY",
        ),
        (
            "az://lake",
            {"AZURE_STORAGE_ACCOUNT_NAME": "lake", "AZURE_CLIENT_ID": "c"},
            "lacks AZURE_TENANT_ID",
        ),
        ("gs://lake", {"key.json": "{"}, "key key.json"),
        ("gs://lake", {"key.json": "[]"}, "key key.json"),
        ("gs://lake", {"key.json": "[" * 30_000}, "key key.json"),
        (
            "gs://lake",
            {"key.json": json.dumps({"type": "authorized_user", "refresh_token": "r"})},
            "key key.json",
        ),
        ("gs://lake", {"key.json": json.dumps({"client_email": "a", "private_key": PEM})}, "key key.json"),
        (
            "gs://lake",
            {"key.json": json.dumps({"client_email": "a", "private_key": PEM, "private_key_id": "1"})},
            "Correct key.json",
        ),
    ],
)
def test_what_a_secret_lacks_is_named(mount: Mount, uri: str, keys: dict[str, str], named: str) -> None:
    with pytest.raises(StoreError, match=named) as raised:
        Bucket(uri, mount.access(ENDPOINT, keys)).head("k")
    assert raised.value.reason == "SecretIncomplete"
    assert "data.store.secretRef" in raised.value.message
    assert "Secret lake-keys" in raised.value.message


def test_a_secret_that_is_not_there(mount: Mount) -> None:
    with pytest.raises(StoreError) as raised:
        Bucket("s3://lake", replace(mount.access(ENDPOINT), secret="lake-keys"))
    assert raised.value.reason == "SecretNotFound"


def test_a_storage_account_is_found_in_the_endpoint_or_in_the_secret(mount: Mount) -> None:
    keys = {"AZURE_STORAGE_ACCOUNT_KEY": KEY}
    named = {
        "https://lake.blob.core.windows.net": "lake",
        "http://127.0.0.1:10000/devstoreaccount1": "devstoreaccount1",
    }
    for endpoint, account in named.items():
        bucket = Bucket("az://models", mount.access(endpoint, keys))
        assert bucket._cloud.config["account_name"] == account
        assert bucket._cloud.endpoint == endpoint
    bucket = Bucket("az://models", mount.access(None, {**keys, "AZURE_STORAGE_ACCOUNT_NAME": "other"}))
    assert bucket._cloud.endpoint == "https://other.blob.core.windows.net"


def test_a_storage_account_that_nothing_names(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"data\.store\.endpoint") as raised:
        Bucket("az://models", Mount(tmp_path).access(None, {"AZURE_STORAGE_ACCOUNT_KEY": KEY}))
    assert raised.value.reason == "UriUnsupported"


@pytest.mark.parametrize("uri", ["s3://lake", "gs://lake", "az://lake"])
@pytest.mark.parametrize("endpoint", ["https://[::1", "https://]", "https://h:1:2", "https://a..b"])
def test_an_endpoint_that_is_none_is_said_to_be_so(mount: Mount, uri: str, endpoint: str) -> None:
    with pytest.raises(StoreError, match=r"data\.store\.endpoint") as raised:
        Bucket(uri, mount.access(endpoint))
    assert raised.value.reason == "UriUnsupported"


@pytest.mark.parametrize("uri", ["s3://", "s3:///key", "gs://a b/c", "az://x?y=z"])
def test_a_uri_without_a_bucket(mount: Mount, uri: str) -> None:
    with pytest.raises(StoreError) as raised:
        Bucket(uri, mount.access(ENDPOINT))
    assert raised.value.reason == "UriUnsupported"


def test_the_clouds_own_addresses_are_the_default(mount: Mount) -> None:
    plain = mount.access(None)
    assert Bucket("s3://lake", plain)._cloud.endpoint == "https://s3.us-east-1.amazonaws.com"
    china = replace(plain, region="cn-north-1")
    assert Bucket("s3://lake", china)._cloud.endpoint == "https://s3.cn-north-1.amazonaws.com.cn"
    assert Bucket("gs://lake", plain)._cloud.endpoint == "https://storage.googleapis.com"


def test_nothing_comes_from_the_environment(
    mount: Mount, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whatever a cloud's webhook injects into the pod, or an image sets."""
    (tmp_path / ".aws").mkdir()
    home = tmp_path / ".aws" / "credentials"
    home.write_text("[default]\naws_access_key_id = AKIAHOME\naws_secret_access_key = s")
    with answering(refusing(403, "AccessDenied")) as server, answering(refusing(500)) as other:
        for name, value in {
            "HOME": str(tmp_path),
            "AWS_ACCESS_KEY_ID": "AKIAENVIRONMENT",
            "AWS_SECRET_ACCESS_KEY": "s",
            "AWS_ENDPOINT_URL_S3": other.endpoint,
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{other.endpoint}/credentials",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": other.endpoint,
            "AWS_METADATA_ENDPOINT": other.endpoint,
            "AZURE_STORAGE_ACCOUNT_KEY": KEY,
            "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "google.json"),
            "http_proxy": other.endpoint,
            "HTTP_PROXY": other.endpoint,
            "ALL_PROXY": other.endpoint,
        }.items():
            monkeypatch.setenv(name, value)
        for uri in ("s3://lake", "az://lake", "gs://lake"):
            bucket = Bucket(uri, mount.access(f"{server.endpoint}/account", None))
            with pytest.raises(StoreError) as read:
                bucket.head("k")
            with pytest.raises(StoreError) as written:
                bucket.put("k", b"x")
            assert (read.value.reason, written.value.reason) == ("NoCredentials", "NoCredentials")
        credentials = [headers.get("authorization") for _, _, headers in server.asked]
        assert credentials == [None] * 5 + ["Bearer none"]
        assert other.asked == []


def test_a_key_of_google_does_not_lead_elsewhere(google: CloudStorage, mount: Mount) -> None:
    with answering(refusing(500)) as other:
        key = {
            **json.loads(google.service_account()),
            "gcs_base_url": other.endpoint,
            "token_uri": other.endpoint,
        }
        assert (
            Bucket("gs://lake", mount.access(google.endpoint, {"key.json": json.dumps(key)})).head("none")
            is None
        )
    assert other.asked == []


@pytest.mark.parametrize("uri", ["s3://lake", "az://lake", "gs://lake"])
def test_no_text_shows_a_credential(
    s3: Gateway,
    azure: Azurite,
    google: CloudStorage,
    mount: Mount,
    caplog: pytest.LogCaptureFixture,
    uri: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    servers = {
        "s3://lake": (s3.endpoint, s3.keys.secret_data()),
        "az://lake": (azure.endpoint, azure.secret_data()),
        "gs://lake": (google.endpoint, {"key.json": google.service_account()}),
    }
    endpoint, keys = servers[uri]
    access = mount.access(endpoint, keys)
    bucket = Bucket(uri, access)
    bucket.put("shown", b"x")
    texts = [
        repr(bucket),
        str(bucket),
        repr(bucket._cloud),
        repr(access),
        repr(bucket._stores),
        repr(bucket.file("k")),
    ]
    texts.append(repr(bucket._cloud.provider))
    try:
        Bucket(uri.replace("lake", "not-there"), access).head("k")
    except StoreError as failure:
        texts.append("".join(traceback.format_exception(failure)))
    secrets = {
        "s3://lake": [s3.keys.secret],
        "az://lake": [azure.key],
        "gs://lake": [line for line in google.private_key.splitlines()[1:-1] if line],
    }[uri]
    for text in (*texts, caplog.text):
        assert not any(secret in text for secret in secrets)


def test_a_secret_that_is_mended_is_used_at_once(mount: Mount) -> None:
    """A step that runs for hours reads the files again when the store refuses what it has."""

    def strict(handler: Handler) -> None:
        if "AKIANEW" in handler.headers.get("Authorization", ""):
            handler.send(200, b"x", {"ETag": '"1"', "Last-Modified": "Sat, 28 Nov 2026 11:00:00 GMT"})
        else:
            refusing(400, "ExpiredToken")(handler)

    with answering(strict) as server:
        keys = {"AWS_ACCESS_KEY_ID": "AKIAOLD", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}
        bucket = Bucket("s3://lake", mount.access(server.endpoint, keys))
        with pytest.raises(StoreError) as raised:
            bucket.content("k", 9)
        assert raised.value.reason == "CredentialsExpired"
        assert len(server.asked) == 1
        mount.write({"AWS_ACCESS_KEY_ID": "AKIANEW"})
        assert bucket.content("k", 9) == b"x"
