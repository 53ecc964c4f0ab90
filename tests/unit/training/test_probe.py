"""A probe says, without reading the data, whether it may have changed: with real stores of every kind."""

import hashlib
import json
import os
import ssl
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import trustme
from support.stores.registries import registry
from unit.training.dvc_repository import Repository
from unit.training.outside import place
from unit.training.pod import Json, Pod, numbers

from modelwright_stores.access import accesses
from modelwright_stores.objects.bucket import Bucket

ROWS = numbers(60)
CSV = ROWS.to_csv(index=False).encode()
OTHER = numbers(60, seed=1).to_csv(index=False).encode()


def probed(pod: Pod, **environ: str) -> str | None:
    """The marker that a probe finds, which is that of a fetch at the same moment."""
    said = pod.run("probe", **environ)
    assert said.code == 0, said.document
    marker: str | None = said.result.get("marker")
    fetched = pod.run("fetch", **environ)
    assert fetched.code == 0, fetched.document
    assert fetched.result.get("marker") == marker
    assert pod.run("probe", **environ).result.get("marker") == marker
    return marker


def test_files_of_a_claim_are_known_by_size_and_time(pod: Pod) -> None:
    pod.given(data={"uri": "pvc://lake/export"})
    (pod.paths.source / "export").mkdir()
    path = pod.paths.source / "export" / "a.csv"
    path.write_bytes(CSV)
    first = probed(pod)

    os.utime(path, (1, 1))
    touched = probed(pod)
    (pod.paths.source / "export" / "b.csv").write_bytes(OTHER)
    assert len({first, touched, probed(pod)}) == 3


def test_a_config_map_is_known_by_its_bytes_whenever_it_was_mounted(pod: Pod) -> None:
    pod.given_csv(CSV.decode()).given(data={"uri": "configmap://rows/rows.csv"})
    first = probed(pod)
    os.utime(pod.paths.source / "rows.csv", (1, 1))
    assert probed(pod) == first
    pod.given_csv(OTHER.decode())
    assert probed(pod) != first


@pytest.mark.parametrize("cloud", ["s3", "gs", "az"])
def test_objects_are_known_by_their_etags(pod: Pod, tmp_path: Path, cloud: str) -> None:
    with place(cloud, tmp_path / "cloud") as store:
        environ = store.environ(pod, "data")
        bucket = Bucket(store.uri, accesses(environ, pod.root)["data"])
        for uri in ("rows/a.csv", "rows", "rows/*.csv"):
            bucket.delete(["rows/b.csv"])
            bucket.put("rows/a.csv", CSV)
            pod.given(data={"uri": f"{cloud}://models/{uri}"})
            first = probed(pod, **environ)
            bucket.put("rows/a.csv", OTHER)
            second = probed(pod, **environ)
            bucket.put("rows/b.csv", CSV)
            third = probed(pod, **environ)
            assert first != second, uri
            assert (second == third) == (uri == "rows/a.csv")


def test_an_image_is_known_by_its_manifest_and_no_layer_is_read(pod: Pod, tmp_path: Path) -> None:
    with registry(tmp_path / "registry") as server:
        entry = {"field": "data.store", "endpoint": server.endpoint, "trusted": True}
        environ = {"MODELWRIGHT_STORES": json.dumps({"stores": {"data": entry}})}
        pod.given(data={"uri": f"oci://{server.host}/team/rows:v1"})
        found = []
        for content in (CSV, OTHER):
            path = tmp_path / "rows.csv"
            path.write_bytes(content)
            with tarfile.open(tmp_path / "layer.tar", "w") as archive:
                archive.add(path, "rows.csv")
            server.append("team/rows:v1", tmp_path / "layer.tar")
            found.append(probed(pod, **environ))
        assert found[0] != found[1]


def test_what_dvc_tracks_is_known_by_its_md5_alone(pod: Pod) -> None:
    pod.paths.dvc.mkdir(exist_ok=True)
    pod.given(data={"uri": "pvc://lake/remote"})
    environ = {"MODELWRIGHT_DVC": json.dumps({"file": "/dvc/dvc.lock", "path": "churn.csv"})}
    found = []
    for content in (CSV, OTHER):
        tracked = Repository(pod.paths.source / "remote").add("churn.csv", content)
        (pod.paths.dvc / "dvc.lock").write_text(tracked.lock())
        found.append(probed(pod, **environ))
    assert found[0] != found[1]


class Site(BaseHTTPRequestHandler):
    """Answers with what the path names, and notes what it was asked for."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[tuple[str, str | None]]] = []
    content = CSV

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("Range")))
        once = self.path.startswith("/once") and self.asked.count(self.asked[-1]) > 1
        ranged = self.headers.get("Range") == "bytes=0-0" and "whole" not in self.path and not once
        body = b"" if once else self.content[:1] if ranged else self.content
        self.send_response(410 if once else 206 if ranged else 200)
        if ranged:
            self.send_header("Content-Range", f"bytes 0-0/{len(self.content)}")
        digest = hashlib.md5(self.content, usedforsecurity=False).hexdigest()
        if "weak" in self.path:
            self.send_header("ETag", f'W/"{digest}"')
        elif "time" in self.path:
            second = 10 + (self.content == OTHER)
            self.send_header("Last-Modified", f"Mon, 02 Nov 2026 10:00:{second} GMT")
        elif "nothing" not in self.path:
            self.send_header("ETag", f'"{digest}"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.crt"))
    Site.asked, Site.content = [], CSV
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as http:
        http.socket = context.wrap_socket(http.socket, server_side=True)
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        allowed = {"MODELWRIGHT_STORES": json.dumps({"networks": ["127.0.0.0/8"]})}
        environ = {"SSL_CERT_FILE": str(tmp_path / "ca.crt"), **allowed}
        yield f"https://127.0.0.1:{http.server_address[1]}", environ
        http.shutdown()
        thread.join()


@pytest.mark.parametrize("path", ["etag.csv", "whole.csv", "weak.csv", "time.csv"])
def test_a_file_of_a_web_server_is_known_by_what_the_server_says(
    pod: Pod, site: tuple[str, dict[str, str]], path: str
) -> None:
    url, environ = site
    pod.given(data={"uri": f"{url}/{path}?signature=secret"})
    first = probed(pod, **environ)
    assert first is not None
    Site.content = OTHER
    assert probed(pod, **environ) not in (first, None)


def test_a_server_that_names_nothing_that_changes_gives_no_marker(
    pod: Pod, site: tuple[str, dict[str, str]]
) -> None:
    url, environ = site
    pod.given(data={"uri": f"{url}/nothing.csv"})
    assert probed(pod, **environ) is None


def test_a_fetch_asks_a_web_server_once_as_a_link_may_work_once(
    pod: Pod, site: tuple[str, dict[str, str]]
) -> None:
    url, environ = site
    ending = pod.given(data={"uri": f"{url}/once.csv"}).run("fetch", **environ)
    assert "marker" in ending.result
    assert Site.asked == [("/once.csv", None)]


def test_bundled_data_stays_the_same(pod: Pod) -> None:
    pod.given(data={"uri": "sklearn://iris", "target": "target"})
    assert probed(pod) is not None
    assert pod.given(data={"uri": "sklearn://irs"}).run("probe").reason == "UriUnsupported"


def test_data_that_a_container_makes_has_no_marker(pod: Pod) -> None:
    (pod.paths.source / "rows.csv").write_bytes(CSV)
    pod.given(data={"uri": "source://team/make:1"})
    assert probed(pod) is None


def test_a_hold_out_of_its_own_counts_as_well(pod: Pod) -> None:
    pod.given_csv(CSV.decode())
    pod.given(data={"uri": "configmap://rows/rows.csv", "holdout": {"uri": "configmap://more/h.csv"}})
    (pod.paths.source_holdout / "h.csv").write_bytes(OTHER)
    first = probed(pod)
    (pod.paths.source_holdout / "h.csv").write_bytes(numbers(40, seed=2).to_csv(index=False).encode())
    assert probed(pod) != first


@pytest.mark.parametrize(
    ("uri", "reason", "code"),
    [
        ("pvc://lake/rows.csv", "DataNotFound", 65),
        ("pvc://lake/../etc/passwd", "UriUnsupported", 65),
        ("ftp://lake/rows.csv", "UriUnsupported", 65),
        ("https://127.0.0.1:1/rows.csv", "AddressRefused", 65),
        ("oci://127.0.0.1:1/rows", "AddressRefused", 65),
    ],
)
def test_what_keeps_a_probe_from_an_answer_has_the_reason_of_a_fetch(
    pod: Pod, uri: str, reason: str, code: int
) -> None:
    probe, fetch = (pod.given(data={"uri": uri}).run(step) for step in ("probe", "fetch"))
    assert (probe.reason, probe.code) == (fetch.reason, fetch.code) == (reason, code)
    assert probe.message == fetch.message


def test_a_probe_loads_no_library_of_learning(pod: Pod) -> None:
    pod.given_csv(CSV.decode()).given(data={"uri": "configmap://rows/rows.csv"})
    heavy = "('sklearn', 'pandas', 'pyarrow', 'numpy', 'onnx', 'onnxruntime')"
    script = (
        "import sys; from modelwright_training.main import main; main(['probe']); "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=pod.environment(), capture_output=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == b"[]"
    assert "marker" in pod.ending(0).result


def known(pod: Pod, **changes: Any) -> Json:
    pod.given_csv(CSV.decode())
    return pod.given(**changes).run("fetch").result


def test_equal_data_ends_a_run_before_training(pod: Pod) -> None:
    digest = known(pod)["inputDigest"]
    ending = pod.given(knownDigest=digest).run("fetch")
    assert (ending.reason, ending.code) == ("DataUnchanged", 65)
    assert digest in ending.message

    pod.given_csv(OTHER.decode())
    assert pod.run("fetch").code == 0


def test_another_hold_out_makes_other_data(pod: Pod) -> None:
    data = {"holdout": {"uri": "configmap://more/h.csv"}}
    (pod.paths.source_holdout / "h.csv").write_bytes(OTHER)
    result = known(pod, data=data)
    assert result["inputDigest"] != result["digest"]
    assert pod.given(data=data, knownDigest=result["inputDigest"]).run("fetch").reason == "DataUnchanged"

    (pod.paths.source_holdout / "h.csv").write_bytes(numbers(40, seed=2).to_csv(index=False).encode())
    assert pod.run("fetch").code == 0
