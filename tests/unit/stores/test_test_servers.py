"""The servers that tests of stores run: each does what a client of its kind expects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.exceptions import AlreadyExistsError, GenericError, PermissionDeniedError, UnauthenticatedError
from obstore.store import AzureStore, GCSStore, S3Store
from support.stores.azurite import Azurite, azurite
from support.stores.certificates import certificates
from support.stores.faults import Fault, Proxy, internal_error, proxy, skewed, slow_down, wrong_region
from support.stores.gcs import cloud_storage
from support.stores.keys import Keys
from support.stores.s3 import gateway
from support.stores.sessions import Sessions
from support.stores.sts import token_service, unsigned_token

LARGE = bytes(range(256)) * 4096


def s3(endpoint: str, keys: Keys) -> S3Store:
    config: Any = {"access_key_id": keys.access, "secret_access_key": keys.secret}
    if keys.token:
        config["session_token"] = keys.token
    return S3Store(
        "lake",
        endpoint=endpoint,
        region="us-east-1",
        config=config,
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )


def test_an_s3_server_comes_back_with_its_files_at_the_same_port(tmp_path: Path) -> None:
    with gateway(tmp_path) as server:
        server.bucket("lake")
        store = s3(server.endpoint, server.keys)
        store.put("a/b", b"once", mode="create")
        with pytest.raises(AlreadyExistsError):
            store.put("a/b", b"twice", mode="create")

        server.program.kill()
        with pytest.raises(GenericError):
            store.get("a/b")
        server.program.start()

        assert bytes(store.get("a/b").bytes()) == b"once"
        assert (server.root / "lake/a/b").read_bytes() == b"once"


def test_a_proxy_injects_each_fault_and_counts_what_it_sent(tmp_path: Path) -> None:
    with gateway(tmp_path) as server, proxy(server) as front:
        server.bucket("lake").joinpath("large").write_bytes(LARGE)
        store = s3(front.endpoint, server.keys)

        for fault in (slow_down(), internal_error(), skewed(), wrong_region()):
            front.inject(fault)
            with pytest.raises((GenericError, PermissionDeniedError), match=f"{fault.code}|redirect"):
                store.get("large")
        for then in ("reset", "close"):
            front.inject(Fault(after=300_000, then=then))
            with pytest.raises(GenericError):
                read(store)
        front.inject(Fault(after=300_000, then="flip"))
        spoilt = read(store)

        assert [place for place in range(len(LARGE)) if spoilt[place] != LARGE[place]] == [300_000]
        assert read(store) == LARGE
        assert front.sent("large") == 2 * len(LARGE) + 600_000
        assert {each.status for each in front.seen} >= {200, 301, 403, 500, 503}


def test_temporary_keys_are_taken_until_they_expire(tmp_path: Path) -> None:
    tls, sessions, role = (
        certificates(tmp_path / "tls", "127.0.0.1"),
        Sessions(),
        "arn:aws:iam::1:role/models",
    )
    token = tmp_path / "token"
    with (
        gateway(tmp_path) as server,
        proxy(server, sessions=sessions) as front,
        token_service(tls, sessions, role) as sts,
    ):
        server.bucket("lake").joinpath("a").write_bytes(b"1")
        token.write_text(unsigned_token("sts.amazonaws.com"))
        assert bytes(by_role(front, sts.endpoint, role, token, tls.ca).get("a").bytes()) == b"1"

        (keys,) = sessions.issued
        with pytest.raises(PermissionDeniedError, match="SignatureDoesNotMatch"):
            s3(front.endpoint, Keys(keys.access, "another", keys.token)).get("a")
        sessions.end_all()
        with pytest.raises(GenericError, match="ExpiredToken"):
            s3(front.endpoint, keys).get("a")
        token.write_text(unsigned_token("someone.else"))
        with pytest.raises(GenericError, match="InvalidIdentityToken"):
            by_role(front, sts.endpoint, role, token, tls.ca).get("a")

    assert [each["outcome"] for each in sts.requests] == ["granted", "InvalidIdentityToken"]


def test_azurite_takes_its_key_and_signatures_that_expire(tmp_path: Path) -> None:
    with azurite(tmp_path) as server:
        server.container("lake")
        azure(server, account_key=server.key).put("a", b"1")
        signature = server.shared_access()
        assert bytes(azure(server, sas_key=signature).get("a").bytes()) == b"1"
        server.put("lake", "b", b"2")
        assert (server.get("lake", "a"), server.get("lake", "b")) == (b"1", b"2")
        with pytest.raises(PermissionDeniedError):
            azure(server, sas_key=server.shared_access(seconds=-1)).get("a")


def test_the_stub_of_google_takes_its_service_account_and_nothing_else() -> None:
    with cloud_storage() as cloud:
        cloud.bucket("lake")
        account = json.loads(cloud.service_account())
        store = google(json.dumps({**account, "gcs_base_url": cloud.endpoint, "disable_oauth": False}))
        store.put("a/large", LARGE, use_multipart=True, chunk_size=300_000)
        store.put("a/b", b"once", mode="create")
        with pytest.raises(AlreadyExistsError):
            store.put("a/b", b"twice", mode="create")

        assert bytes(store.get_range("a/large", start=5, length=7)) == LARGE[5:12]
        assert [each["path"] for each in obstore.list(store).collect()] == ["a/b", "a/large"]
        store.delete("a/b")
        assert set(cloud.buckets["lake"]) == {"a/large"}
        with cloud_storage() as another:
            foreign = json.loads(another.service_account())
        store = google(json.dumps({**foreign, "gcs_base_url": cloud.endpoint, "disable_oauth": False}))
        with pytest.raises(UnauthenticatedError):
            store.get("a/large")


def read(store: S3Store) -> bytes:
    return b"".join(bytes(piece) for piece in store.get("large").stream(min_chunk_size=64 << 10))


def by_role(front: Proxy, sts: str, role: str, token: Path, authority: Path) -> S3Store:
    config: Any = {"endpoint_url_sts": sts, "role_arn": role, "web_identity_token_file": str(token)}
    return S3Store(
        "lake",
        endpoint=front.endpoint,
        region="us-east-1",
        config=config,
        client_options={"allow_http": True, "root_certificate": authority.read_text()},
        retry_config={"max_retries": 0},
    )


def azure(server: Azurite, **credentials: Any) -> AzureStore:
    return AzureStore(
        "lake",
        account_name=server.account,
        endpoint=server.endpoint,
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
        **credentials,
    )


def google(account: str) -> GCSStore:
    return GCSStore(
        "lake",
        service_account_key=account,
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )
