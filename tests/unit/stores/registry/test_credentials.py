"""Passwords and tokens: where they come from, where they go, and what is said when they are refused."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import pytest
from support.stores.certificates import Certificates
from support.stores.registries import Fault, Front, run_crane
from unit.stores.registry.conftest import Given

from modelwright_stores.access import Access
from modelwright_stores.failures import StoreError
from modelwright_stores.registry.credentials import basic
from modelwright_stores.registry.reference import parsed
from modelwright_stores.registry.repository import Repository
from modelwright_stores.resuming import stream

PASSWORD = "correct-horse"
FILES = {"model.onnx": b"a model", "card.md": b"# It\n"}


@pytest.fixture(params=["basic", "token"])
def guarded(before: Front, request: pytest.FixtureRequest) -> Front:
    """A front that wants to know who asks: writer may push, reader may not."""
    before.auth = request.param
    before.users = {"writer": PASSWORD, "reader": PASSWORD}
    before.writers = {"writer"}
    return before


def docker(host: str, user: str, password: str = PASSWORD) -> str:
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    return json.dumps({"auths": {host: {"auth": auth}}})


def secret(user: str, password: str = PASSWORD) -> dict[str, str]:
    return {"username": user, "password": f"{password}\n"}


def test_a_model_is_pushed_and_pulled_with_the_credentials_of_a_secret(
    guarded: Front, access: Given, name: str
) -> None:
    uri = f"oci://{guarded.host}/{name}"
    Repository(uri, access(secret("writer"))).check_push()
    Repository(uri, access(secret("writer"))).push("v1", FILES, {})
    reader = Repository(uri, access({".dockerconfigjson": docker(guarded.host, "reader")}))
    assert stream(reader.model("v1"), 100).read() == FILES["model.onnx"]


def test_another_client_logs_in_with_the_same_file_and_reads_the_model(
    before: Front, access: Given, name: str, tmp_path: Path, tls: Certificates
) -> None:
    # crane takes no server for tokens on loopback.
    before.auth, before.users, before.writers = "basic", {"writer": PASSWORD}, {"writer"}
    config = docker(before.host, "writer")
    digest = Repository(f"oci://{before.host}/{name}", access({".dockerconfigjson": config})).push(
        "v1", FILES, {}
    )
    (tmp_path / "config.json").write_text(config)
    environment = {"DOCKER_CONFIG": str(tmp_path), "SSL_CERT_FILE": str(tls.ca)}
    said = run_crane("digest", f"{before.host}/{name}:v1", environment=environment)
    assert said.decode().strip() == digest


def test_a_wrong_password_is_refused(guarded: Front, access: Given, name: str) -> None:
    repository = Repository(f"oci://{guarded.host}/{name}", access(secret("writer", "wrong-horse")))
    with pytest.raises(StoreError, match="Secret lake") as failure:
        repository.check_push()
    assert failure.value.reason == "CredentialsRefused"
    assert "horse" not in failure.value.message


def test_who_may_not_push_is_denied(guarded: Front, access: Given, name: str) -> None:
    with pytest.raises(StoreError, match="right to pull") as failure:
        Repository(f"oci://{guarded.host}/{name}", access(secret("reader"))).check_push()
    assert failure.value.reason == "AccessDenied"


def test_without_a_secret_the_field_to_set_is_named(guarded: Front, access: Given, name: str) -> None:
    with pytest.raises(StoreError, match=r"Set data\.store\.secretRef") as failure:
        Repository(f"oci://{guarded.host}/{name}", access()).manifest("v1")
    assert failure.value.reason == "NoCredentials"


def test_a_public_repository_is_read_without_credentials(before: Front, access: Given, name: str) -> None:
    uri = f"oci://{before.host}/{name}"
    Repository(uri, access()).push("v1", FILES, {})
    before.auth, before.public = "token", True
    assert stream(Repository(uri, access()).model("v1"), 100).read() == FILES["model.onnx"]
    assert [asked.authorization for asked in before.asked if asked.server == "tokens"] == [None]


def test_an_expired_token_is_replaced(before: Front, access: Given, name: str) -> None:
    before.auth, before.users, before.writers = "token", {"writer": PASSWORD}, {"writer"}
    repository = Repository(f"oci://{before.host}/{name}", access(secret("writer")))
    repository.push("v1", FILES, {})
    before.end_tokens()
    repository.push("v2", {**FILES, "card.md": b"# Another\n"}, {})
    before.end_tokens()
    assert stream(repository.model("v2"), 100).read() == FILES["model.onnx"]


def test_credentials_go_to_the_server_for_tokens_alone(before: Front, access: Given, name: str) -> None:
    before.auth, before.users, before.writers = "token", {"writer": PASSWORD}, {"writer"}
    before.redirects = True
    repository = Repository(f"oci://{before.host}/{name}", access(secret("writer")))
    repository.push("v1", FILES, {})
    assert stream(repository.model("v1"), 100).read() == FILES["model.onnx"]
    with_password = {
        asked.server for asked in before.asked if (asked.authorization or "").startswith("Basic ")
    }
    assert with_password == {"tokens"}
    assert not any(asked.authorization for asked in before.asked if asked.server == "storage")


@pytest.mark.parametrize(
    "realm",
    ["http://127.0.0.1:1/token", "ftp://127.0.0.1/token", "", "/token", "https://user:pass@127.0.0.1/token"],
)
def test_a_server_for_tokens_that_is_not_encrypted_gets_nothing(
    before: Front, access: Given, name: str, realm: str
) -> None:
    before.auth, before.users, before.realm = "token", {"writer": PASSWORD}, realm
    with pytest.raises(StoreError) as failure:
        Repository(f"oci://{before.host}/{name}", access(secret("writer"))).check_push()
    assert failure.value.reason == "StoreAnswerInvalid"


def test_a_server_for_tokens_at_an_internal_address_gets_nothing(
    before: Front, access: Given, name: str
) -> None:
    before.auth, before.users, before.realm = "token", {"writer": PASSWORD}, "https://10.255.255.1/token"
    with pytest.raises(StoreError) as failure:
        Repository(f"oci://{before.host}/{name}", access(secret("writer"))).check_push()
    assert failure.value.reason == "AddressRefused"


def test_a_header_of_many_letters_costs_no_time(before: Front, access: Given, name: str) -> None:
    before.auth, before.realm = "token", "a" * 60_000
    begun = time.process_time()
    with pytest.raises(StoreError) as failure:
        Repository(f"oci://{before.host}/{name}", access()).check_push()
    assert failure.value.reason == "StoreAnswerInvalid"
    assert time.process_time() - begun < 2


@pytest.mark.parametrize("endpoint", ["https://[::1", "https://:5000", "https://a:99999"])
def test_an_endpoint_that_is_no_address_is_refused(access: Given, endpoint: str) -> None:
    with pytest.raises(StoreError) as failure:
        Repository("oci://registry.corp/a", access(endpoint=endpoint))
    assert failure.value.reason == "UriUnsupported"


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_server_for_tokens_that_is_busy_is_asked_again(
    before: Front, access: Given, name: str, status: int
) -> None:
    before.auth, before.users, before.writers = "token", {"writer": PASSWORD}, {"writer"}
    before.inject(Fault("/token", status=status))
    Repository(f"oci://{before.host}/{name}", access(secret("writer"))).check_push()


HUB = "https://index.docker.io/v1/"


@pytest.mark.parametrize(
    ("uri", "auths", "user"),
    [
        ("oci://registry.corp/a/b", {"registry.corp": "u"}, "u"),
        ("oci://registry.corp/a/b", {"https://registry.corp": "u"}, "u"),
        ("oci://registry.corp/a/b", {"https://registry.corp/v2/": "u"}, "u"),
        ("oci://registry.corp:5000/a", {"registry.corp": "other", "registry.corp:5000": "u"}, "u"),
        (
            "oci://registry.corp/a/b",
            {"registry.corp": "other", "registry.corp/a": "u", "registry.corp/a/bc": "x"},
            "u",
        ),
        ("oci://docker.io/acme/model", {HUB: "u"}, "u"),
        ("oci://index.docker.io/acme/model", {"docker.io": "u"}, "u"),
    ],
)
def test_the_entry_for_the_registry_is_found(
    uri: str, auths: dict[str, str], user: str, access: Given
) -> None:
    entries = {key: {"username": name, "password": PASSWORD} for key, name in auths.items()}
    given = access({".dockerconfigjson": json.dumps({"auths": entries})})
    expected = base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()
    assert basic(given, parsed(uri)) == f"Basic {expected}"


@pytest.mark.parametrize(
    ("endpoint", "place"),
    [
        ("http://mirror.corp:5000/", "mirror.corp:5000"),
        ("https://Mirror.corp", "mirror.corp/a"),
        ("https://mirror.corp", "mirror.corp:443"),
        ("https://mirror.corp:443", "https://mirror.corp/v2/"),
        ("https://registry-1.docker.io", HUB),
    ],
)
def test_the_entry_is_the_one_for_the_endpoint(endpoint: str, place: str, access: Given) -> None:
    given = access({".dockerconfigjson": docker(place, "u")}, endpoint)
    assert basic(given, parsed("oci://registry.corp/a/b")) is not None


@pytest.mark.parametrize(
    ("endpoint", "place"),
    [
        ("https://mirror.corp", "registry.corp"),
        ("https://mirror.corp:5000", "mirror.corp"),
        ("https://mirror.corp", "registry.corp/a"),
        ("https://mirror.corp", HUB),
    ],
)
def test_a_password_for_another_registry_does_not_go_to_the_endpoint(
    endpoint: str, place: str, access: Given
) -> None:
    given = access({".dockerconfigjson": docker(place, "u")}, endpoint)
    with pytest.raises(
        StoreError, match=r"no entry for mirror\.corp.*the host of data\.store\.endpoint"
    ) as failure:
        basic(given, parsed("oci://registry.corp/a/b"))
    assert failure.value.reason == "SecretIncomplete"


def test_an_endpoint_that_asks_for_the_password_of_another_registry_is_not_asked_for_anything(
    before: Front, access: Given
) -> None:
    before.auth, before.users = "basic", {"writer": PASSWORD}
    given = access({".dockerconfigjson": docker("registry.corp", "writer")}, f"https://{before.host}")
    with pytest.raises(StoreError) as failure:
        Repository("oci://registry.corp/team/x", given).manifest("v1")
    assert failure.value.reason == "SecretIncomplete"
    assert before.asked == []


@pytest.mark.parametrize(
    "content",
    [
        "no JSON",
        "[]",
        '{"auths": []}',
        '{"auths": {"other.corp": {"auth": "dTpw"}}}',
        '{"auths": {"registry.corp": {}}}',
        '{"auths": {"registry.corp": {"identitytoken": "x"}}}',
        '{"auths": {"registry.corp": {"auth": "not base64"}}}',
        '{"auths": {"registry.corp": {"auth": "dXNlcg=="}}}',
        '{"credsStore": "desktop"}',
        r'{"auths": {"registry.corp": {"username": "u\ud800", "password": "p"}}}',
        '{"auths": ' + "[" * 30_000,
    ],
)
def test_a_docker_config_without_a_password_for_the_registry_is_named(content: str, access: Given) -> None:
    with pytest.raises(StoreError, match=r"Secret lake.*Correct the Secret") as failure:
        basic(access({".dockerconfigjson": content}), parsed("oci://registry.corp/a"))
    assert failure.value.reason == "SecretIncomplete"


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({}, "SecretNotFound"),
        ({"username": "u"}, "SecretIncomplete"),
        ({"password": "p"}, "SecretIncomplete"),
    ],
)
def test_a_secret_without_its_keys_is_named_before_anything_is_asked(
    keys: dict[str, str], reason: str, before: Front, access: Given
) -> None:
    with pytest.raises(StoreError, match="lake") as failure:
        Repository(f"oci://{before.host}/x", access(keys)).manifest("v1")
    assert failure.value.reason == reason
    assert before.asked == []


def test_docker_hub_has_another_name_for_its_api(tmp_path: Path) -> None:
    short = parsed("oci://docker.io/redis:8")
    assert (short.server, short.path, short.manifest) == ("registry-1.docker.io", "library/redis", "8")
    assert Access(tmp_path).secret is None
