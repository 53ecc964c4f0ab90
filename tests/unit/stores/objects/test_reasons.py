"""What goes wrong, each as a reason of its own with a sentence that names the remedy, within ten seconds."""

from __future__ import annotations

import base64
import json
import os
import resource
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest
from support.stores.azurite import Azurite
from support.stores.certificates import Certificates, certificates
from support.stores.faults import Fault, proxy
from support.stores.gcs import CloudStorage
from support.stores.listening import Handler
from support.stores.s3 import Gateway
from unit.stores.objects.answering import QUOTED, answering, refusing
from unit.stores.objects.folders import Mount

from modelwright_stores import addresses
from modelwright_stores.failures import StoreError
from modelwright_stores.objects.bucket import Bucket
from modelwright_stores.objects.guard import Guard

KEYS = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "a-very-secret-key"}


def _failure(bucket: Bucket, *, put: bool = False, seconds: float = 10) -> StoreError:
    begun = time.monotonic()
    with pytest.raises(StoreError) as raised:
        bucket.put_new("k", b"x") if put else bucket.head("k")
    assert time.monotonic() - begun < seconds
    failure = raised.value
    for part in (QUOTED, *KEYS.values(), "<", "Debug"):
        assert part not in failure.message
    assert failure.__context__ is None or failure.__suppress_context__  # a traceback quotes nothing either
    return failure


def _s3(mount: Mount, endpoint: str) -> Bucket:
    return Bucket("s3://lake", mount.access(endpoint, KEYS))


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("tls"), "127.0.0.1")


ANSWERS = [
    (403, "InvalidAccessKeyId", "CredentialsRefused"),
    (403, "SignatureDoesNotMatch", "CredentialsRefused"),
    (400, "InvalidToken", "CredentialsRefused"),
    (401, "", "CredentialsRefused"),
    (400, "ExpiredToken", "CredentialsExpired"),
    (403, "AccessDenied", "AccessDenied"),
    (403, "", "AccessDenied"),
    (404, "NoSuchBucket", "BucketNotFound"),
    (301, "PermanentRedirect", "WrongRegion"),
    (400, "AuthorizationHeaderMalformed", "WrongRegion"),
    (403, "RequestTimeTooSkewed", "ClockSkewed"),
    (503, "SlowDown", "StoreUnavailable"),
    (500, "InternalError", "StoreUnavailable"),
    (429, "", "StoreUnavailable"),
    (400, "WhoKnows", "StoreAnswerInvalid"),
    (418, "", "StoreAnswerInvalid"),
]


@pytest.mark.parametrize(("status", "code", "reason"), ANSWERS)
@pytest.mark.parametrize("put", [False, True])
def test_each_answer_has_its_reason(mount: Mount, status: int, code: str, reason: str, put: bool) -> None:
    with answering(refusing(status, code)) as server:
        failure = _failure(_s3(mount, server.endpoint), put=put)
    assert failure.reason == reason
    assert failure.passing == (reason == "StoreUnavailable")


@pytest.mark.parametrize(
    ("status", "code", "message", "reason"),
    [
        (
            403,
            "AuthenticationFailed",
            "Signature not valid in the specified time frame",
            "CredentialsExpired",
        ),
        (
            403,
            "AuthenticationFailed",
            "The MAC signature found is not the computed one",
            "CredentialsRefused",
        ),
        (403, "AuthenticationFailed", "Request date header too old", "ClockSkewed"),
        (
            401,
            "InvalidAuthenticationInfo",
            "Lifetime validation failed. The token is expired",
            "CredentialsExpired",
        ),
        (403, "AuthorizationPermissionMismatch", "", "AccessDenied"),
        (404, "ContainerNotFound", "", "BucketNotFound"),
        (503, "ServerBusy", "", "StoreUnavailable"),
    ],
)
def test_what_azure_says_beside_its_codes(
    mount: Mount, status: int, code: str, message: str, reason: str
) -> None:
    key = base64.b64encode(b"k" * 64).decode()
    with answering(refusing(status, code, message)) as server:
        access = mount.access(
            server.endpoint, {"AZURE_STORAGE_ACCOUNT_NAME": "lake", "AZURE_STORAGE_ACCOUNT_KEY": key}
        )
        assert _failure(Bucket("az://models", access)).reason == reason


def test_keys_that_s3_refuses_are_named(s3: Gateway, mount: Mount) -> None:
    keys = {**s3.keys.secret_data(), "AWS_SECRET_ACCESS_KEY": "wrong"}
    failure = _failure(Bucket("s3://lake", mount.access(s3.endpoint, keys)))
    assert failure.reason == "CredentialsRefused"
    assert "Secret lake-keys (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY): the secret key" in failure.message
    other = {**keys, "AWS_ACCESS_KEY_ID": "AKIANOONE"}
    assert _failure(Bucket("s3://lake", mount.access(s3.endpoint, other))).reason == "CredentialsRefused"


def test_a_bucket_of_s3_in_another_region(s3: Gateway, mount: Mount) -> None:
    access = replace(mount.access(s3.endpoint, s3.keys.secret_data()), region="eu-west-1")
    failure = _failure(Bucket("s3://lake", access))
    assert failure.reason == "WrongRegion"
    assert "Set data.store.region" in failure.message


def test_keys_that_azure_refuses(azure: Azurite, mount: Mount) -> None:
    keys = {**azure.secret_data(), "AZURE_STORAGE_ACCOUNT_KEY": base64.b64encode(b"k" * 64).decode()}
    assert _failure(Bucket("az://lake", mount.access(azure.endpoint, keys))).reason == "CredentialsRefused"


def test_shared_access_signatures_of_azure(azure: Azurite, tmp_path: Path) -> None:
    def bucket(name: str, token: str) -> Bucket:
        return Bucket(
            "az://lake", Mount(tmp_path / name).access(azure.endpoint, {"AZURE_STORAGE_SAS_TOKEN": token})
        )

    bucket("all", azure.shared_access()).put("shared", b"x")
    reads = bucket("reads", "?" + azure.shared_access(permissions="rl"))
    assert reads.content("shared", 9) == b"x"
    assert _failure(reads, put=True).reason == "AccessDenied"
    assert _failure(bucket("past", azure.shared_access(seconds=-5))).reason == "CredentialsExpired"
    forged = azure.shared_access().replace("sp=rwdlc", "sp=rwdl")
    assert _failure(bucket("forged", forged)).reason == "CredentialsRefused"


def test_a_key_that_google_refuses(google: CloudStorage, mount: Mount) -> None:
    key = json.dumps({**json.loads(google.service_account()), "client_email": "other@example"})
    assert (
        _failure(Bucket("gs://lake", mount.access(google.endpoint, {"key.json": key}))).reason
        == "CredentialsRefused"
    )


@pytest.mark.parametrize("act", ["head", "put", "put_new", "entries", "folder", "delete", "content"])
def test_a_bucket_that_is_not_there(bucket: Bucket, act: str) -> None:
    other = Bucket(f"{bucket.shown.partition('://')[0]}://not-there", bucket._access)
    acts: dict[str, Callable[[], object]] = {
        "head": lambda: other.head("k"),
        "put": lambda: other.put("k", b""),
        "put_new": lambda: other.put_new("k", b""),
        "entries": lambda: list(other.entries("k")),
        "folder": lambda: other.folder("", 9),
        "delete": lambda: other.delete(["k"]),
        "content": lambda: other.content("k", 9),
    }
    with pytest.raises(StoreError, match="not-there") as raised:
        acts[act]()
    assert raised.value.reason == "BucketNotFound"


@pytest.mark.parametrize("put", [False, True])
def test_no_credentials_where_some_are_needed(bucket: Bucket, put: bool) -> None:
    failure = _failure(Bucket(bucket.shown, replace(bucket._access, secret=None)), put=put)
    assert failure.reason == "NoCredentials"
    assert "Set data.store.secretRef or data.store.identity." in failure.message


def test_public_data_is_read_without_credentials(mount: Mount) -> None:
    def public(handler: Handler) -> None:
        handler.send(200, b"x", {"ETag": '"1"', "Last-Modified": "Sat, 28 Nov 2026 11:00:00 GMT"})

    with answering(public) as server:
        assert Bucket("s3://lake", mount.access(server.endpoint)).content("k", 9) == b"x"
    assert "Authorization" not in server.asked[0][2]


def test_a_certificate_of_an_unknown_authority(mount: Mount, tls: Certificates) -> None:
    with answering(refusing(404, "NoSuchKey"), tls) as server:
        access = mount.access(server.endpoint, KEYS)
        failure = _failure(Bucket("s3://lake", access))
        assert failure.reason == "CertificateNotTrusted"
        assert "data.store.caConfigMapRef" in failure.message
        assert Bucket("s3://lake", mount.trusting(access, tls.authority)).head("k") is None


def test_a_certificate_for_another_name(mount: Mount, tmp_path: Path) -> None:
    other = certificates(tmp_path / "tls", "s3.example")
    with answering(refusing(404, "NoSuchKey"), other) as server:
        failure = _failure(
            Bucket("s3://lake", mount.trusting(mount.access(server.endpoint, KEYS), other.authority))
        )
    assert failure.reason == "CertificateNotTrusted"
    assert "for another name" in failure.message


@pytest.mark.parametrize(
    "text", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_certificates_that_are_none(mount: Mount, text: str) -> None:
    failure = _failure(Bucket("s3://lake", mount.trusting(mount.access("https://127.0.0.1:1", KEYS), text)))
    assert failure.reason == "CertificatesNotFound"
    assert "ca.crt of ConfigMap corp-ca" in failure.message


def test_a_server_without_tls_behind_https(mount: Mount) -> None:
    with answering(refusing(404, "NoSuchKey")) as server:
        failure = _failure(_s3(mount, server.endpoint.replace("http:", "https:")))
    assert failure.reason == "StoreAnswerInvalid"


def test_a_server_that_is_down(mount: Mount) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        failure = _failure(_s3(mount, f"http://127.0.0.1:{probe.getsockname()[1]}"))
    assert (failure.reason, failure.passing) == ("StoreUnavailable", True)


def test_a_name_that_is_not_known(mount: Mount) -> None:
    failure = _failure(_s3(mount, "https://no-such-store.invalid"), seconds=15)
    assert (failure.reason, failure.passing) == ("StoreUnavailable", True)


def test_a_server_that_never_answers(mount: Mount) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        failure = _failure(_s3(mount, f"http://127.0.0.1:{silent.getsockname()[1]}"))
    assert (failure.reason, failure.passing) == ("StoreUnavailable", True)
    assert "no answer in time" in failure.message


def test_an_internal_address_that_nothing_allows(mount: Mount) -> None:
    with answering(refusing(404, "NoSuchKey")) as server:
        access = replace(mount.access(server.endpoint, KEYS), networks=())
        failure = _failure(Bucket("s3://lake", access))
        assert failure.reason == "AddressRefused"
        assert server.asked == []
        assert Bucket("s3://lake", replace(access, trusted=True)).head("k") is None


@pytest.mark.parametrize("secure", [False, True])
def test_a_redirect_to_another_host_is_not_followed(mount: Mount, tls: Certificates, secure: bool) -> None:
    """It may be an internal one, and what is read there would pass for data."""
    certificate = tls if secure else None

    def content(handler: Handler) -> None:
        handler.send(200, b"internal", {"ETag": '"1"', "Last-Modified": MODIFIED})

    with answering(content, certificate) as internal, answering(content, certificate) as server:
        access = mount.access(server.endpoint, KEYS)
        access = mount.trusting(access, tls.authority) if secure else access
        bucket = Bucket("s3://lake", access)
        assert bucket.content("k", 99) == b"internal"
        elsewhere = f"{internal.endpoint}/latest/meta-data"
        server.answer = lambda handler: handler.send(307, headers={"Location": elsewhere})
        failure = _failure(bucket)
        assert failure.reason == "AddressRefused"
        assert "not followed" in failure.message
        assert internal.asked == []


def test_a_name_that_changes_its_address_is_not_followed(
    mount: Mount, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(refusing(404, "NoSuchKey")) as server:
        access = mount.access(server.endpoint, KEYS)
        bucket = Bucket("s3://lake", access)
        assert bucket.head("k") is None
        before = len(server.asked)
        inside = [addresses.Place(socket.AF_INET, ip_address("169.254.169.254"), 80)]
        monkeypatch.setattr(addresses, "resolved", lambda *_: inside)
        assert _failure(bucket).reason == "AddressRefused"
        assert len(server.asked) == before


def test_what_is_no_store(mount: Mount) -> None:
    def other(handler: Handler) -> None:
        handler.send(200, b'{"status": "up"}', {"Content-Type": "application/json"})

    with answering(other) as server, pytest.raises(StoreError) as raised:
        list(_s3(mount, server.endpoint).entries("data/"))
    assert raised.value.reason == "StoreAnswerInvalid"


def test_a_connection_that_breaks_again_and_again_is_tried_later(s3: Gateway, mount: Mount) -> None:
    (s3.bucket("lake") / "breaks").write_bytes(b"x" * 3_000_000)
    with proxy(s3) as between:
        bucket = Bucket("s3://lake", mount.access(between.endpoint, s3.keys.secret_data()))
        head = bucket.head("breaks")
        assert head is not None
        between.inject(Fault(path="breaks", times=9, after=2_000_000, then="close"))
        chunks = bucket.read("breaks", 0, head)
        reached = len(next(chunks))
        with pytest.raises(StoreError) as raised:
            list(chunks)
        assert raised.value.reason == "StoreUnavailable"
        assert raised.value.passing
        between.heal()
        assert len(b"".join(bucket.read("breaks", reached, head))) == 3_000_000 - reached


MODIFIED = "Sat, 28 Nov 2026 11:00:00 GMT"


def test_a_server_that_does_not_know_conditions_is_asked_first(mount: Mount) -> None:
    """Alibaba Cloud OSS answers 501 to If-None-Match."""
    stored: dict[str, bytes] = {}

    def old(handler: Handler) -> None:
        if handler.command == "PUT" and handler.headers.get("If-None-Match"):
            refusing(501, "NotImplemented")(handler)
        elif handler.command == "PUT":
            stored[handler.path] = b"x"
            handler.send(200, headers={"ETag": '"1"'})
        elif handler.path in stored:
            handler.send(200, b"x", {"ETag": '"1"', "Last-Modified": MODIFIED})
        else:
            refusing(404, "NoSuchKey")(handler)

    with answering(old) as server:
        bucket = _s3(mount, server.endpoint)
        assert bucket.put_new("report.json", b"x")
        assert not bucket.put_new("report.json", b"y")


@pytest.mark.parametrize(
    ("status", "code", "there"),
    [
        (412, "PreconditionFailed", True),
        (412, "", True),
        (409, "BlobAlreadyExists", True),
        (409, "QuotaExceeded", False),
        (412, "LeaseIdMissing", False),
        (409, "ConditionalRequestConflict", False),
    ],
)
def test_an_object_that_cannot_be_written_is_not_taken_for_one_that_is_there(
    mount: Mount, status: int, code: str, there: bool
) -> None:
    def refuse(handler: Handler) -> None:
        (refusing(status, code) if handler.command == "PUT" else refusing(404, "NoSuchKey"))(handler)

    with answering(refuse) as server:
        bucket = _s3(mount, server.endpoint)
        if there:
            assert not bucket.put_new("report.json", b"x")
        else:
            with pytest.raises(StoreError):
                bucket.put_new("report.json", b"x")


def test_what_was_tried_again_with_success_is_no_reason_later(
    mount: Mount, tls: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = [StoreError("StoreUnavailable", "The name cannot be resolved.", passing=True)]
    resolved = addresses.resolved

    def resolve(host: str, port: int, called: str, seconds: float = 1) -> list[addresses.Place]:
        asks.append(host)
        if len(asks) > 1 and lost:  # the first time is the check before obstore is given the endpoint
            raise lost.pop()
        return resolved(host, port, called, seconds)

    asks: list[str] = []
    with answering(refusing(404, "NoSuchKey"), tls) as server:
        bucket = Bucket("s3://lake", mount.trusting(mount.access(server.endpoint, KEYS), tls.authority))
        monkeypatch.setattr(addresses, "resolved", resolve)
        assert bucket.head("k") is None
        assert not lost


def test_an_endpoint_that_leads_from_http_to_https_is_said_to_be_so(mount: Mount, tls: Certificates) -> None:
    with answering(refusing(404, "NoSuchKey"), tls) as secure, answering(refusing(404)) as server:
        server.answer = lambda handler: handler.send(301, headers={"Location": f"{secure.endpoint}/lake/k"})
        failure = _failure(_s3(mount, server.endpoint))
        assert failure.reason == "AddressRefused"
        assert f"Set data.store.endpoint to {secure.endpoint}." in failure.message


def test_a_way_to_an_endpoint_outlives_a_moment_without_open_files(mount: Mount) -> None:
    with answering(refusing(404, "NoSuchKey")) as server, socket.socket() as lost, socket.socket() as caller:
        guard = Guard(server.endpoint, mount.access(server.endpoint, KEYS))
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        free = os.dup(0)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
        try:
            place = "127.0.0.1", int(guard.url.rpartition(":")[2])
            lost.connect(place)  # takes the one that was got before it was waited for
            time.sleep(0.2)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        caller.settimeout(5)
        caller.connect(place)
        caller.sendall(f"GET {server.endpoint}/k HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert caller.recv(12) == b"HTTP/1.1 404"
        guard.close()


def test_a_server_that_does_not_know_checksums_gets_none(mount: Mount) -> None:
    def old(handler: Handler) -> None:
        if handler.headers.get("x-amz-checksum-sha256"):
            refusing(400, "InvalidArgument")(handler)
        else:
            handler.send(200, headers={"ETag": '"1"'})

    with answering(old) as server:
        _s3(mount, server.endpoint).put("k", b"x")
        assert [status.get("x-amz-checksum-sha256") is None for _, _, status in server.asked] == [False, True]


def test_s3_is_sent_the_checksum_of_what_is_written(mount: Mount) -> None:
    with answering(lambda handler: handler.send(200, headers={"ETag": '"1"'})) as server:
        _s3(mount, server.endpoint).put("k", b"x")
    assert server.asked[0][2]["x-amz-checksum-sha256"] == "LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE="
