"""A large object arrives whole, whatever happens to the connections, and few bytes are sent twice."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from pathlib import Path

from support.stores.faults import Fault, proxy
from support.stores.s3 import Gateway, gateway
from unit.stores.objects.folders import Mount

from modelwright_stores.objects.bucket import Bucket
from modelwright_stores.resuming import Patience, download

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
