"""Data in a bucket, read from a real S3 server: files, folders and patterns as on a claim, and each reason it can fail.

How buckets are read is tested in tests/unit/stores; here is what the step makes of it."""

import hashlib
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from obstore.store import S3Store
from support.stores.certificates import certificates
from support.stores.faults import (
    Fault,
    Proxy,
    expired_token,
    proxy,
    skewed,
    slow_down,
    wrong_region,
)
from support.stores.s3 import Gateway, gateway
from support.stores.sessions import Sessions
from support.stores.sts import token_service, unsigned_token
from unit.training.dvc_repository import Repository
from unit.training.pod import Ending, Json, Pod, numbers

from modelwright_stores.objects.bucket import CHUNK
from modelwright_stores.resuming import Patience
from modelwright_training.reading import folders, places

ROWS = numbers(60)
CSV = ROWS.to_csv(index=False).encode()
MONTHS = [ROWS[:20], ROWS[20:40], ROWS[40:]]


@dataclass
class Lake:
    """A bucket `lake`, and the pod that reads it."""

    server: Gateway
    front: Proxy
    pod: Pod

    @property
    def root(self) -> Path:
        return self.server.bucket("lake")

    def holds(self, key: str, content: bytes = CSV) -> "Lake":
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return self

    def export(self, suffix: str = "csv") -> "Lake":
        for place, month in enumerate(MONTHS):
            content = (
                month.to_parquet(index=False) if suffix == "parquet" else month.to_csv(index=False).encode()
            )
            assert isinstance(content, bytes)
            self.holds(f"export/2026-{place}.{suffix}", content)
        return self

    def entry(self, **changes: Any) -> Json:
        return {
            "field": "data.store",
            "secret": "lake",
            "endpoint": self.front.endpoint,
            "trusted": True,
        } | changes

    def fetch(
        self,
        path: str,
        *,
        keys: dict[str, str] | None = None,
        entry: Json | None = None,
        environ: dict[str, str] | None = None,
        **data: Any,
    ) -> Ending:
        secret = self.pod.root / "etc/modelwright/stores/data/secret"
        secret.mkdir(parents=True, exist_ok=True)
        for key, value in (self.server.keys.secret_data() if keys is None else keys).items():
            (secret / key).write_text(value)
        stores = {"stores": {"data": self.entry(**(entry or {}))}}
        self.pod.given(data={"uri": path if "://" in path else f"s3://lake/{path}", **data})
        return self.pod.run("fetch", MODELWRIGHT_STORES=json.dumps(stores), **(environ or {}))

    def read(self) -> list[float]:
        paths = self.pod.paths
        return sorted(
            pd.concat([pd.read_parquet(paths.train_rows), pd.read_parquet(paths.holdout_rows)])["x0"]
        )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with gateway(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def lake(server: Gateway, pod: Pod, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    monkeypatch.setattr(places, "PATIENCE", Patience(silent=4, total=60))
    with proxy(server) as front:
        lake = Lake(server, front, pod)
        yield lake
        for path in sorted(lake.root.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()


def test_an_object_is_read_and_known_by_its_sha256(lake: Lake) -> None:
    ending = lake.holds("churn/rows.csv").fetch("churn/rows.csv")

    assert ending.result["digest"] == f"sha256:{hashlib.sha256(CSV).hexdigest()}"
    assert lake.pod.source_facts["source"] == "s3://lake/churn/rows.csv"
    assert lake.read() == sorted(ROWS["x0"])


@pytest.mark.parametrize("path", ["export", "export/*", "export/2026-[0-2].*"])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_folder_is_one_table_with_the_digest_that_it_has_on_a_claim(
    lake: Lake, path: str, suffix: str
) -> None:
    lake.export(suffix).holds("export/_SUCCESS", b"").holds("export/.crc", b"x").holds("other.csv", b"a\n1\n")

    ending = lake.fetch(path)

    lines = [
        f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n"
        for file in lake.root.glob("export/2026*")
    ]
    assert ending.result["digest"] == f"sha256:{hashlib.sha256(''.join(sorted(lines)).encode()).hexdigest()}"
    assert ending.result["rows"] == {"train": 48, "holdout": 12}
    assert lake.read() == sorted(ROWS["x0"])
    assert lake.fetch(path, digest="sha256:" + "0" * 64).reason == "DigestMismatch"


@pytest.mark.parametrize(
    ("path", "reason", "says"),
    [
        ("export/2027.csv", "DataNotFound", "export holds: '2026-0.csv'"),
        ("exports", "DataNotFound", "holds: 'export'"),
        ("export/*.parquet", "DataNotFound", "The folder holds: '2026-0.csv'"),
        ("exp*/2026-0.csv", "UriUnsupported", "pattern in a folder's name"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(lake: Lake, path: str, reason: str, says: str) -> None:
    ending = lake.export().fetch(path)
    assert (ending.reason, ending.code) == (reason, 65)
    assert says in ending.message


@pytest.mark.parametrize(
    ("key", "says"),
    [("date=2026-01/x.csv", "holds folders: 'date=2026-01'"), ("_delta_log/0.json", "Delta Lake")],
)
def test_folders_in_a_folder_are_refused(lake: Lake, key: str, says: str) -> None:
    assert says in lake.export().holds(f"export/{key}").fetch("export").message


def test_the_count_of_objects_is_bounded(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "MAX_FILES", 2)
    assert lake.export().fetch("export").reason == "DataTooLarge"


def test_a_download_outlives_its_server_and_goes_on_where_it_was(lake: Lake) -> None:
    content = numbers(20_000).to_csv(index=False).encode()
    put(lake, "rows.csv", content)
    lake.front.rate = 2e6

    def outage() -> None:
        while lake.front.sent() < len(content) / 3:
            time.sleep(0.01)
        lake.server.program.kill()
        time.sleep(0.5)
        lake.server.program.start()

    with ThreadPoolExecutor() as pool:
        back = pool.submit(outage)
        ending = lake.fetch("rows.csv")
        back.result()

    assert ending.result["digest"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert lake.front.sent() <= 1.1 * len(content) + CHUNK


def put(lake: Lake, key: str, content: bytes) -> None:
    """Write an object as a client does: it has an ETag then."""
    keys, bucket = lake.server.keys, lake.root.name
    config: Any = {"access_key_id": keys.access, "secret_access_key": keys.secret}
    options: Any = {"allow_http": True}
    store = S3Store(
        bucket, endpoint=lake.server.endpoint, region="us-east-1", config=config, client_options=options
    )
    store.put(key, content)


def test_a_wrong_byte_on_the_way_is_another_digest(lake: Lake) -> None:
    lake.holds("rows.csv")
    digest = f"sha256:{hashlib.sha256(CSV).hexdigest()}"
    lake.front.inject(Fault(path="rows.csv", after=200, then="flip", times=3))
    ending = lake.fetch("rows.csv", digest=digest)
    assert (ending.reason, ending.code) == ("DigestMismatch", 65)
    assert lake.fetch("rows.csv", digest=digest).code == 0


@pytest.mark.parametrize(
    ("keys", "reason", "says"),
    [
        ({}, "SecretNotFound", "Secret lake"),
        ({"AWS_ACCESS_KEY_ID": "x"}, "SecretIncomplete", "AWS_SECRET_ACCESS_KEY"),
        (
            {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": " "},
            "SecretIncomplete",
            "AWS_SECRET_ACCESS_KEY",
        ),
        (
            {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "not-its-secret"},
            "CredentialsRefused",
            "Secret lake",
        ),
    ],
)
def test_keys_that_do_not_work_are_named_and_not_shown(
    lake: Lake, keys: dict[str, str], reason: str, says: str
) -> None:
    ending = lake.holds("rows.csv").fetch("rows.csv", keys=keys)
    assert (ending.reason, ending.code) == (reason, 65)
    assert says in ending.message
    assert "not-its-secret" not in str(ending.document)


def test_without_credentials_it_says_where_to_give_them(lake: Lake) -> None:
    ending = lake.holds("rows.csv").fetch("rows.csv", entry={"secret": None})
    assert (ending.reason, ending.code) == ("NoCredentials", 65)
    assert "data.store" in ending.message


def test_an_identity_that_is_not_taken_is_a_reason_of_its_own(lake: Lake, tmp_path: Path) -> None:
    tls = certificates(tmp_path / "tls", "127.0.0.1")
    with token_service(tls, Sessions(), "arn:aws:iam::1:role/another") as sts:
        folder = lake.pod.root / "etc/modelwright/stores/data"
        folder.mkdir(parents=True)
        (folder / "token").write_text(token := unsigned_token("sts.amazonaws.com"))
        (folder / "ca.crt").write_text(tls.authority)
        identity = {"roleArn": "arn:aws:iam::1:role/lake", "stsEndpoint": sts.endpoint}
        entry = {
            "secret": None,
            "identity": identity,
            "authority": "ca.crt of ConfigMap corp-ca",
            "trusted": True,
        }
        ending = lake.holds("rows.csv").fetch("rows.csv", keys={}, entry=entry)
    assert (ending.reason, ending.code) == ("IdentityRefused", 65)
    assert token not in str(ending.document)


def test_a_bucket_that_is_not_there_is_named(lake: Lake) -> None:
    ending = lake.fetch("s3://laek/rows.csv")
    assert (ending.reason, ending.code) == ("BucketNotFound", 65)
    assert "laek" in ending.message


@pytest.mark.parametrize(
    ("fault", "reason"),
    [(expired_token, "CredentialsExpired"), (skewed, "ClockSkewed"), (wrong_region, "WrongRegion")],
)
def test_what_s3_says_becomes_the_reason(lake: Lake, fault: Any, reason: str) -> None:
    lake.holds("rows.csv").front.inject(fault(times=20))
    ending = lake.fetch("rows.csv")
    assert (ending.reason, ending.code) == (reason, 65)


def test_a_server_that_is_busy_for_long_is_worth_another_try(lake: Lake) -> None:
    lake.holds("rows.csv").front.inject(slow_down(times=1000))
    ending = lake.fetch("rows.csv")
    assert (ending.reason, ending.code) == ("StoreUnavailable", 75)


@pytest.mark.parametrize(("path", "remote"), [("data/churn.csv", "dvc"), ("data/months", "")])
def test_a_bucket_is_a_remote_of_dvc(lake: Lake, path: str, remote: str) -> None:
    months = {f"2026-{place}.csv": month.to_csv(index=False).encode() for place, month in enumerate(MONTHS)}
    tracked = Repository(lake.root / remote).add("data/churn.csv", CSV).add_folder("data/months", months)
    lake.pod.paths.dvc.mkdir()
    (lake.pod.paths.dvc / "dvc.lock").write_text(tracked.lock())

    asked = {"MODELWRIGHT_DVC": json.dumps({"file": "/dvc/dvc.lock", "path": path})}
    ending = lake.fetch(remote, uri=f"s3://lake/{remote}".rstrip("/"), environ=asked)

    assert ending.result["dvc"]["path"] == path
    assert lake.read() == sorted(ROWS["x0"])
