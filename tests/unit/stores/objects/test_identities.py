"""The token of a pod becomes credentials of a cloud, and becomes new ones before they end. No Secret is involved."""

from __future__ import annotations

import json
import ssl
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.client import HTTPSConnection
from urllib.parse import parse_qs

import pytest
from support.stores.azurite import VERSION, Azurite, azurite
from support.stores.certificates import Certificates, certificates
from support.stores.faults import Proxy, proxy
from support.stores.gcs import CloudStorage, cloud_storage
from support.stores.listening import Handler
from support.stores.s3 import Gateway
from support.stores.sessions import Sessions
from support.stores.sts import TokenService, token_service, unsigned_token
from unit.stores.objects.answering import QUOTED, answering
from unit.stores.objects.folders import Mount

from modelwright_stores.access import Access, Identity
from modelwright_stores.failures import StoreError
from modelwright_stores.objects import identities
from modelwright_stores.objects.bucket import Bucket

ROLE = "arn:aws:iam::1:role/models"
AUDIENCE = "sts.amazonaws.com"
PROVIDER = "projects/1/locations/global/workloadIdentityPools/p/providers/k8s"
STORAGE_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
OWN = {
    "s3": (Identity(role_arn=ROLE), "https://sts.us-east-1.amazonaws.com/"),
    "gs": (Identity(workload_identity_provider=PROVIDER), "https://sts.googleapis.com/v1/token"),
    "az": (
        Identity(client_id="client", tenant_id="tenant"),
        "https://login.microsoftonline.com/tenant/oauth2/v2.0/token",
    ),
}


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("tls"), "127.0.0.1")


@pytest.fixture
def sts(tls: Certificates) -> Iterator[TokenService]:
    with token_service(tls, Sessions(), ROLE) as running:
        yield running


@pytest.fixture
def behind(s3: Gateway, sts: TokenService) -> Iterator[Proxy]:
    with proxy(s3, sessions=sts.sessions) as running:
        yield running


@pytest.fixture
def access(mount: Mount, behind: Proxy, sts: TokenService, tls: Certificates) -> Access:
    identity = Identity(role_arn=ROLE, sts_endpoint=sts.endpoint)
    return mount.trusting(mount.identity(behind.endpoint, unsigned_token(AUDIENCE), identity), tls.authority)


def _failure(bucket: Bucket) -> StoreError:
    with pytest.raises(StoreError) as raised:
        bucket.head("k")
    failure = raised.value
    assert QUOTED not in failure.message
    assert "eyJ" not in "".join(traceback.format_exception(failure))  # no token
    return failure


def test_a_role_of_aws_reads_and_writes(access: Access, sts: TokenService) -> None:
    bucket = Bucket("s3://lake", access)
    bucket.put("role", b"written with temporary keys")
    assert bucket.content("role", 99) == b"written with temporary keys"
    assert len(sts.sessions.issued) == 1
    assert sts.requests[0]["role"] == ROLE


def test_keys_that_end_early_are_replaced_with_the_token_of_then(access: Access, sts: TokenService) -> None:
    """The kubelet has written another token meanwhile."""
    bucket = Bucket("s3://lake", access)
    bucket.put("role", b"x")
    later = unsigned_token(AUDIENCE, 7200)
    access.token.write_text(later)
    sts.sessions.end_all()
    assert bucket.content("role", 9) == b"x"
    assert len(sts.sessions.issued) == 2
    assert sts.tokens[-1] == later


def test_keys_are_replaced_before_they_end(access: Access, s3: Gateway, tls: Certificates) -> None:
    sessions = Sessions()
    with token_service(tls, sessions, ROLE, seconds=61.5) as brief, proxy(s3, sessions=sessions) as between:
        identity = Identity(role_arn=ROLE, sts_endpoint=brief.endpoint)
        bucket = Bucket("s3://lake", replace(access, identity=identity, endpoint=between.endpoint))
        bucket.put("role", b"x")
        time.sleep(1.6)
        assert bucket.content("role", 9) == b"x"
        assert len(sessions.issued) >= 2
        assert all(seen.status == 200 for seen in between.seen if seen.method == "PUT")


@pytest.mark.parametrize(
    ("token", "role", "hint"),
    [
        (unsigned_token("another"), ROLE, "OpenID Connect provider"),
        (unsigned_token(AUDIENCE, -5), ROLE, "the token has expired"),
        (unsigned_token(AUDIENCE), "arn:aws:iam::1:role/other", "trust policy"),
        ("", ROLE, "has no token"),
    ],
)
def test_a_token_that_aws_refuses(access: Access, token: str, role: str, hint: str) -> None:
    access.token.write_text(token)
    assert access.identity is not None
    refused = replace(access, identity=replace(access.identity, role_arn=role))
    failure = _failure(Bucket("s3://lake", refused))
    assert failure.reason == "IdentityRefused"
    assert hint in failure.message
    assert "data.store.identity" in failure.message


def test_an_exchange_over_tls_that_is_not_trusted(access: Access) -> None:
    failure = _failure(Bucket("s3://lake", replace(access, authority=None)))
    assert failure.reason == "CertificateNotTrusted"


def test_an_exchange_that_no_administrator_named_gets_no_token(access: Access, sts: TokenService) -> None:
    """Whatever its address is: the token may be for more than this store."""
    with pytest.raises(StoreError, match=r"data\.store\.identity\.stsEndpoint.*stores\.defaults") as failure:
        Bucket("s3://lake", replace(access, trusted=False))
    assert failure.value.reason == "IdentityRefused"
    assert sts.requests == []


@pytest.mark.parametrize("scheme", ["gs", "az"])
def test_an_endpoint_that_no_administrator_named_gets_no_token_of_the_cloud(
    mount: Mount, scheme: str
) -> None:
    with answering(lambda handler: handler.send(200)) as server:
        access = mount.identity(f"{server.endpoint}/account", "token", OWN[scheme][0])
        with pytest.raises(StoreError, match=r"data\.store\.endpoint.*stores\.defaults") as failure:
            Bucket(f"{scheme}://lake", replace(access, trusted=False)).head("k")
        assert failure.value.reason == "IdentityRefused"
        assert server.asked == []


@pytest.mark.parametrize(
    ("scheme", "endpoint", "exchange", "own"),
    [
        ("az", "https://account.blob.core.windows.net", None, True),
        ("az", "https://account.z12.blob.storage.azure.net", None, True),
        ("az", "https://account.blob.core.usgovcloudapi.net", "https://login.microsoftonline.us", True),
        ("az", "https://account.blob.core.windows.net.evil.example", None, False),
        ("az", "http://account.blob.core.windows.net", None, False),
        ("az", None, "https://login.microsoftonline.evil.example", False),
        ("gs", "https://storage-psc.p.googleapis.com", None, True),
        ("gs", "https://storagegoogleapis.com", None, False),
        ("gs", "https://sts.googleapis.com.evil.example", None, False),
        ("s3", "https://minio.corp", "https://sts.eu-central-1.amazonaws.com", True),
        ("s3", None, "https://sts.amazonaws.com@evil.example", False),
    ],
)
def test_the_clouds_own_addresses_may_be_named_in_a_spec(
    mount: Mount, scheme: str, endpoint: str | None, exchange: str | None, own: bool
) -> None:
    identity = replace(OWN[scheme][0], sts_endpoint=exchange)
    access = replace(mount.identity("", "token", identity), endpoint=endpoint, trusted=False)
    if own:
        identities.check(scheme, access)
        return
    with pytest.raises(StoreError) as failure:
        identities.check(scheme, access)
    assert failure.value.reason == "IdentityRefused"


def test_an_exchange_that_is_busy_or_odd(access: Access, tls: Certificates) -> None:
    def busy(handler: Handler) -> None:
        handler.send(503, QUOTED.encode())

    with answering(busy, tls) as server:
        identity = Identity(role_arn=ROLE, sts_endpoint=server.endpoint)
        failure = _failure(Bucket("s3://lake", replace(access, identity=identity)))
        assert (failure.reason, failure.passing) == ("StoreUnavailable", True)
        server.answer = lambda handler: handler.send(200, QUOTED.encode())
        assert (
            _failure(Bucket("s3://lake", replace(access, identity=identity))).reason == "StoreAnswerInvalid"
        )


def _google(cloud: CloudStorage, mount: Mount, tls: Certificates, **more: str) -> Access:
    token = unsigned_token(f"https://iam.googleapis.com/{PROVIDER}")
    identity = Identity(workload_identity_provider=PROVIDER, sts_endpoint=cloud.endpoint, **more)
    return mount.trusting(mount.identity(cloud.endpoint, token, identity), tls.authority)


def test_a_workload_identity_of_google(mount: Mount, tls: Certificates) -> None:
    with cloud_storage(tls=tls) as cloud:
        cloud.bucket("lake")
        bucket = Bucket("gs://lake", _google(cloud, mount, tls))
        assert bucket.put_new("k", b"x")
        assert bucket.content("k", 9) == b"x"
        assert len(cloud.tokens) == 1
        assert cloud.scopes == [STORAGE_SCOPE]
        cloud.tokens.clear()  # they are worth nothing any more
        assert bucket.content("k", 9) == b"x"


def test_a_workload_identity_of_google_acts_as_a_service_account(mount: Mount, tls: Certificates) -> None:
    with cloud_storage(tls=tls) as cloud:
        cloud.bucket("lake")
        Bucket("gs://lake", _google(cloud, mount, tls, service_account=cloud.email)).put("k", b"x")
        assert len(cloud.tokens) == 2
        assert cloud.scopes == ["https://www.googleapis.com/auth/cloud-platform", STORAGE_SCOPE]
        failure = _failure(Bucket("gs://lake", _google(cloud, mount, tls, service_account="other@example")))
    assert failure.reason == "IdentityRefused"
    assert "roles/iam.workloadIdentityUser" in failure.message


def test_a_token_that_google_refuses(mount: Mount, tls: Certificates) -> None:
    with cloud_storage(tls=tls) as cloud:
        access = _google(cloud, mount, tls)
        access.token.write_text(unsigned_token("another"))
        failure = _failure(Bucket("gs://lake", access))
    assert failure.reason == "IdentityRefused"
    assert "does not accept tokens of the cluster's issuer" in failure.message


STORAGE = "https://storage.azure.com"


def _storage_token() -> str:
    """A token as Microsoft's identity platform gives one out."""
    issued = int(time.time()) - 60
    return unsigned_token(STORAGE, aud=STORAGE, iss="https://sts.windows.net/tenant/", nbf=issued, iat=issued)


def _entra(handler: Handler) -> None:
    handler.send(200, json.dumps({"access_token": _storage_token(), "expires_in": 3599}).encode())


def _refusing(code: int) -> Callable[[Handler], None]:
    said = {"error": "invalid_client", "error_codes": [code], "error_description": QUOTED}
    return lambda handler: handler.send(401, json.dumps(said).encode())


def _azure(mount: Mount, tls: Certificates, sts: str, store: str) -> Access:
    identity = Identity(client_id="client", tenant_id="tenant", sts_endpoint=sts)
    token = unsigned_token("api://AzureADTokenExchange")
    return mount.trusting(mount.identity(store, token, identity), tls.authority)


@pytest.fixture(scope="module")
def azurite_tls(tls: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """Azurite, which takes bearer tokens over TLS, with a container."""
    with azurite(tmp_path_factory.mktemp("azure"), tls=tls) as running:
        trust = ssl.create_default_context(cafile=str(tls.ca))
        connection = HTTPSConnection(running.program.host, running.program.port, context=trust, timeout=10)
        headers = {"Authorization": f"Bearer {_storage_token()}", "x-ms-version": VERSION}
        connection.request("PUT", f"/{running.account}/lake?restype=container", headers=headers)
        status = connection.getresponse().status
        connection.close()
        assert status == 201
        yield running


def test_a_managed_identity_of_azure(azurite_tls: Azurite, mount: Mount, tls: Certificates) -> None:
    with answering(_entra, tls) as entra:
        access = _azure(mount, tls, entra.endpoint, azurite_tls.endpoint)
        bucket = Bucket("az://lake", access)
        assert bucket.put_new("identity", b"x")
        assert bucket.content("identity", 9) == b"x"
        bucket.delete(["identity"])
        assert bucket.head("identity") is None
        assert [(method, path) for method, path, _ in entra.asked] == [("POST", "/tenant/oauth2/v2.0/token")]
        form = parse_qs(entra.bodies[0].decode())
    assert form["client_assertion"] == [access.token.read_text()]
    assert form["scope"] == ["https://storage.azure.com/.default"]
    assert form["client_id"] == ["client"]


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        (700213, "no federated credential for this ServiceAccount"),
        (90002, "no such tenant"),
        (1, "status 401"),
    ],
)
def test_a_token_that_azure_refuses(mount: Mount, tls: Certificates, code: int, hint: str) -> None:
    with answering(_refusing(code), tls) as entra:
        failure = _failure(
            Bucket("az://lake", _azure(mount, tls, entra.endpoint, f"{entra.endpoint}/account"))
        )
    assert failure.reason == "IdentityRefused"
    assert hint in failure.message


def _client(mount: Mount, tls: Certificates, store: str) -> Bucket:
    keys = {"AZURE_TENANT_ID": "tenant", "AZURE_CLIENT_ID": "client", "AZURE_CLIENT_SECRET": "s3cret"}
    return Bucket("az://lake", mount.trusting(mount.access(store, keys), tls.authority))


def test_a_client_secret_of_azure(
    azurite_tls: Azurite, mount: Mount, tls: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(_entra, tls) as entra:
        monkeypatch.setattr(identities, "AZURE_LOGIN", entra.endpoint)
        bucket = _client(mount, tls, azurite_tls.endpoint)
        bucket.put("client", b"x")
        assert parse_qs(entra.bodies[0].decode())["client_secret"] == ["s3cret"]
        for code, reason in {7000215: "CredentialsRefused", 7000222: "CredentialsExpired"}.items():
            entra.answer = _refusing(code)
            failure = _failure(_client(mount, tls, azurite_tls.endpoint))
            assert failure.reason == reason
            assert "Secret lake-keys" in failure.message


@pytest.mark.parametrize("scheme", OWN)
def test_the_clouds_own_exchange_is_the_default(
    mount: Mount, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    identity, expected = OWN[scheme]
    asked: list[tuple[str, bool]] = []

    def nowhere(url: str, way: Access, called: str, silence: float) -> None:
        asked.append((url, way.trusted))
        raise StoreError("StoreUnavailable", called, passing=True)

    monkeypatch.setattr(identities, "Connection", nowhere)
    with answering(lambda handler: handler.send(200)) as server:
        access = mount.identity(f"{server.endpoint}/account", "token", identity)
        # Where it may, without an administrator's word.
        access = replace(access, trusted=scheme != "s3")
        assert _failure(Bucket(f"{scheme}://lake", access)).reason == "StoreUnavailable"
    assert asked == [(expected, True)]  # it may have a private address
