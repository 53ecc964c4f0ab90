"""What a uri names, whatever its scheme: a file of a web server, an object, an image in a registry."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.stores.s3 import gateway
from unit.stores.objects.folders import Mount
from unit.stores.webserver import Certificates, Site

from modelwright_stores.failures import StoreError
from modelwright_stores.opening import file, files, is_outside, sibling
from modelwright_stores.resuming import stream


@pytest.mark.parametrize(
    ("uri", "outside"),
    [
        ("s3://b/k", True),
        ("gs://b/k", True),
        ("az://b/k", True),
        ("https://h/k", True),
        ("oci://h/r:t", True),
        ("pvc://claim/k", False),
        ("configmap://map/k", False),
        ("sklearn://iris", False),
        ("http://h/k", False),
        ("s3", False),
    ],
)
def test_what_is_outside_the_cluster(uri: str, *, outside: bool) -> None:
    assert is_outside(uri) is outside


def test_a_file_of_a_web_server_is_opened_and_has_nothing_beside_it(site: Site, issued: Certificates) -> None:
    site.content = b"a,b\n"
    uri = f"{site.url}/2026/rows.csv"
    found, many = files(uri, issued.access())
    assert ([each.name for each in found], many) == (["rows.csv"], False)
    assert stream(found[0], 100).read() == b"a,b\n"
    assert sibling(uri, "golden.json", issued.access()) is None


def test_an_object_is_opened_with_what_lies_beside_it(tmp_path: Path) -> None:
    with gateway(tmp_path) as server:
        lake = server.bucket("lake")
        (lake / "sha256-0").mkdir()
        (lake / "sha256-0" / "model.onnx").write_bytes(b"model")
        (lake / "sha256-0" / "golden.json").write_bytes(b"{}")
        (lake / "top").write_bytes(b"top")
        access = Mount(tmp_path / "store").access(server.endpoint, server.keys.secret_data())
        uri = "s3://lake/sha256-0/model.onnx"

        model, golden = file(uri, access), sibling(uri, "golden.json", access)

        assert (model.name, model.shown) == ("model.onnx", uri)
        assert stream(model, 100).read() == b"model"
        assert golden is not None
        assert stream(golden, 100).read() == b"{}"
        assert sibling(uri, "model.sig", access) is None
        assert sibling("s3://lake/model.onnx", "top", access) is not None


@pytest.mark.parametrize("uri", ["ftp://host/x", "pvc://claim/x", "s3://lake", "s3://lake/", "nothing"])
def test_a_uri_of_nothing_that_can_be_read_is_refused(issued: Certificates, uri: str) -> None:
    with pytest.raises(StoreError) as refused:
        file(uri, issued.access())
    assert refused.value.reason == "UriUnsupported"


def test_a_pull_of_something_else_does_not_load_what_buckets_and_registries_need() -> None:
    program = "import sys, modelwright_stores.opening; print({'obstore', 'tarfile'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"
