"""A large object arrives whole, whatever happens to the connections, and few bytes are sent twice."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from pathlib import Path

import pytest
from support.stores.faults import Fault, proxy
from support.stores.s3 import Gateway, gateway
from unit.stores.objects.answering import answering
from unit.stores.objects.folders import Mount

from modelwright_stores.failures import StoreError
from modelwright_stores.objects.bucket import Bucket
from modelwright_stores.resuming import Patience, download, stream

SIZE = 40 << 20


def test_a_download_goes_on_where_its_connection_broke(s3: Gateway, mount: Mount, tmp_path: Path) -> None:
    content = os.urandom(SIZE)
    (s3.bucket("lake") / "broken").write_bytes(content)
    with proxy(s3) as between:
        file = Bucket("s3://lake", mount.access(between.endpoint, s3.keys.secret_data())).file("broken")
        faults = [
            Fault(path="broken", then="close"),
            Fault(path="broken"),
            Fault(path="broken", after=11 << 20),
            Fault(path="broken", after=9 << 20, then="close"),
            Fault(path="broken", after=13 << 20),
        ]
        file.head()
        between.inject(*faults)
        got = download(file, tmp_path / "model.onnx", SIZE)
        assert got.digest == f"sha256:{hashlib.sha256(content).hexdigest()}"
        assert between.sent("broken") <= 1.1 * SIZE


def test_a_download_outlives_a_server_that_is_killed(mount: Mount, tmp_path: Path) -> None:
    content = os.urandom(SIZE)
    with gateway(tmp_path / "s3") as server:
        (server.bucket("lake") / "model").write_bytes(content)
        with proxy(server, rate=20 << 20) as between:
            file = Bucket("s3://lake", mount.access(between.endpoint, server.keys.secret_data())).file(
                "model"
            )

            def outage() -> None:
                while between.sent() < SIZE // 4:
                    time.sleep(0.01)
                server.program.kill()
                time.sleep(3)
                server.program.start()

            ended = threading.Thread(target=outage)
            ended.start()
            got = download(file, tmp_path / "model.onnx", SIZE, Patience(silent=60))
            ended.join()
            assert got.digest == f"sha256:{hashlib.sha256(content).hexdigest()}"
            assert between.sent("model") <= 1.1 * SIZE


def test_data_without_an_etag_that_changes_within_a_second_is_no_mixture(s3: Gateway, mount: Mount) -> None:
    path = s3.bucket("lake") / "rows"
    path.write_bytes(bytes(8 << 20))
    written = path.stat().st_mtime_ns
    with proxy(s3) as between:
        file = Bucket("s3://lake", mount.access(between.endpoint, s3.keys.secret_data())).file("rows")
        head = file.head()
        assert (head.etag or "").startswith("modified ")
        with stream(file, SIZE, Patience(silent=5)) as body:
            between.inject(Fault(path="rows", after=4 << 20))
            assert body.read(1 << 20)
            path.write_bytes(os.urandom(8 << 20))
            os.utime(path, ns=(written, written))
            with pytest.raises(StoreError) as refused:
                body.readall()
    assert refused.value.reason == "FileChanged"


def test_a_weak_etag_is_no_proof_that_an_object_is_the_same(mount: Mount) -> None:
    headers = {"ETag": 'W/"1"', "Last-Modified": "Sat, 28 Nov 2026 11:00:00 GMT"}
    with answering(lambda handler: handler.send(200, b"x", headers)) as server:
        keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
        head = Bucket("s3://lake", mount.access(server.endpoint, keys)).head("k")
    assert head is not None
    assert not head.proves
