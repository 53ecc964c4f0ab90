"""What a bucket does, against a server of each cloud."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.stores.listening import Handler
from support.stores.s3 import Gateway
from unit.stores.objects.answering import answering, refusing
from unit.stores.objects.folders import Mount

from modelwright_stores.failures import StoreError
from modelwright_stores.objects import bucket as buckets
from modelwright_stores.objects.bucket import Bucket

CONTENT = (
    "<Contents><Key>{}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><Size>{}</Size></Contents>"
)


def _all(bucket: Bucket, key: str, start: int = 0) -> bytes:
    head = bucket.head(key)
    assert head is not None
    return b"".join(bucket.read(key, start, head))


def test_what_is_written_is_read_and_deleted(bucket: Bucket) -> None:
    assert bucket.head("trip/a.csv") is None
    bucket.put("trip/a.csv", b"hello")
    head = bucket.head("trip/a.csv")
    assert head is not None
    assert head.size == 5
    assert head.etag
    assert _all(bucket, "trip/a.csv") == b"hello"
    assert bucket.content("trip/a.csv", 5) == b"hello"
    (entry,) = bucket.entries("trip/")
    assert abs(entry.modified - datetime.now(UTC)) < timedelta(minutes=1)
    bucket.delete(["trip/a.csv", "trip/never-there"])
    assert bucket.head("trip/a.csv") is None
    assert bucket.content("trip/a.csv", 5) is None


def test_an_empty_object_is_an_object(bucket: Bucket) -> None:
    bucket.put("empty/mark", b"")
    head = bucket.head("empty/mark")
    assert head is not None
    assert head.size == 0
    assert _all(bucket, "empty/mark") == b""
    assert bucket.content("empty/mark", 9) == b""
    assert [entry.key for entry in bucket.entries("empty/")] == ["empty/mark"]


def test_what_is_written_once_is_never_overwritten(bucket: Bucket) -> None:
    bucket.delete(["once/report.json"])
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda number: bucket.put_new("once/report.json", b"%d" % number), range(8)))
    assert won.count(True) == 1
    assert bucket.content("once/report.json", 9) == b"%d" % won.index(True)


def test_a_read_goes_on_at_any_byte(bucket: Bucket) -> None:
    bucket.put("resumed", b"0123456789")
    assert _all(bucket, "resumed", 4) == b"456789"
    assert _all(bucket, "resumed", 10) == b""


@pytest.mark.parametrize("start", [0, 3])
@pytest.mark.parametrize("other", [b"OTHER", b"longer than before"])
def test_an_object_that_changed_is_not_read_on(bucket: Bucket, start: int, other: bytes) -> None:
    bucket.put("changing", b"first")
    head = bucket.head("changing")
    assert head is not None
    bucket.put("changing", other)
    with pytest.raises(StoreError) as raised:
        b"".join(bucket.read("changing", start, head))
    assert raised.value.reason == "FileChanged"
    assert raised.value.passing


def test_an_object_that_is_gone_is_not_read_on(bucket: Bucket) -> None:
    bucket.put("going", b"first")
    head = bucket.head("going")
    assert head is not None
    bucket.delete(["going"])
    with pytest.raises(StoreError, match="has changed") as raised:
        b"".join(bucket.read("going", 2, head))
    assert raised.value.reason == "FileChanged"


@pytest.mark.parametrize(
    "key", ["a b/ü.parquet", "a%20b", "a#b?c", "~x*", "x+y=z&", "q'\"[]{}|^`", ".run.a.b.1"]
)
def test_keys_keep_their_signs(bucket: Bucket, key: str) -> None:
    bucket.put(f"signs/{key}", key.encode())
    assert bucket.content(f"signs/{key}", 99) == key.encode()
    assert f"signs/{key}" in [entry.key for entry in bucket.entries("signs/")]


def test_keys_that_cannot_be_read_are_said_to_be_so(bucket: Bucket) -> None:
    for key in ("a//b", "a/../b"):
        with pytest.raises(StoreError) as raised:
            bucket.head(key)
        assert raised.value.reason == "UriUnsupported"


def test_a_list_has_the_keys_with_a_prefix(bucket: Bucket) -> None:
    keys = ["list/2026-01.csv", "list/2026-02.csv", "list/2027/01.csv", "list/other", "listing"]
    for key in keys:
        bucket.put(key, b"x")
    assert [entry.key for entry in bucket.entries("list/")] == keys[:4]
    assert [entry.key for entry in bucket.entries("list/2026-")] == keys[:2]
    assert [entry.key for entry in bucket.entries("list/other")] == ["list/other"]
    assert list(bucket.entries("list/nothing")) == []
    assert [entry.size for entry in bucket.entries("list/2027/")] == [1]


def test_a_folder_has_its_objects_and_the_names_of_its_folders(bucket: Bucket) -> None:
    for key in ("level/a.csv", "level/b.csv", "level/deeper/c.csv"):
        bucket.put(key, b"x")
    entries, folders = bucket.folder("level/", 2)
    assert [entry.key for entry in entries] == ["level/a.csv", "level/b.csv"]
    assert folders == ["deeper"]
    assert "level" in bucket.folder("", 999)[1]
    with pytest.raises(StoreError) as raised:
        bucket.folder("level/", 1)
    assert raised.value.reason == "DataTooLarge"


def test_marks_of_folders_are_no_objects(s3: Gateway, mount: Mount) -> None:
    (s3.root / "lake" / "marked" / "here" / "empty-folder").mkdir(parents=True, exist_ok=True)
    (s3.root / "lake" / "marked" / "here" / "a.csv").write_text("x")
    bucket = Bucket("s3://lake", mount.access(s3.endpoint, s3.keys.secret_data()))
    assert [entry.key for entry in bucket.entries("marked/here/")] == ["marked/here/a.csv"]
    entries, _ = bucket.folder("marked/here/", 9)
    assert [entry.key for entry in entries] == ["marked/here/a.csv"]


def test_the_mark_of_an_empty_folder_is_the_name_of_a_folder(mount: Mount) -> None:
    def marked(handler: Handler) -> None:
        if "list-type" in handler.path:
            keys = "".join(CONTENT.format(key, size) for key, size in (("f/", 0), ("f/a", 1), ("f/b/", 0)))
            handler.send(200, f"<ListBucketResult>{keys}</ListBucketResult>".encode())
        else:
            refusing(404, "NoSuchKey")(handler)

    with answering(marked) as server:
        entries, folders = Bucket("s3://lake", mount.access(server.endpoint, {})).folder("f/", 9)
    assert ([entry.key for entry in entries], folders) == (["f/a"], ["b"])


def test_a_folder_behind_much_that_lies_deeper_has_its_objects(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buckets, "DEEPER", 2)
    for key in ("a/1", "a/2", "a/3", "b/1", "c.csv"):
        bucket.put(f"tree/{key}", b"x")
    entries, folders = bucket.folder("tree/", 9)
    assert ([entry.key for entry in entries], folders) == (["tree/c.csv"], ["a", "b"])
    assert bucket.beginning("tree/", 9) == ["a", "b", "c.csv"]


def test_no_more_of_a_large_folder_is_listed_than_is_allowed(mount: Mount) -> None:
    """A bucket may hold millions of objects."""
    pages = 200

    def list_(handler: Handler) -> None:
        page = len(server.asked)
        keys = "".join(CONTENT.format(f"f/{page:05}-{number:04}", 1) for number in range(1000))
        more = "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"
        handler.send(
            200, f"<ListBucketResult>{keys}{more if page < pages else ''}</ListBucketResult>".encode()
        )

    with answering(list_) as server:
        bucket = Bucket("s3://lake", mount.access(server.endpoint, {}))
        with pytest.raises(StoreError, match="more than 1000 objects") as raised:
            bucket.folder("f/", 1000)
        assert raised.value.reason == "DataTooLarge"
        assert len(server.asked) <= 3
        server.asked.clear()
        assert len(bucket.beginning("f/", 10)) == 11
        assert len(server.asked) <= 2


def test_more_than_is_allowed_is_not_read(bucket: Bucket) -> None:
    bucket.put("large.json", b"x" * 11)
    with pytest.raises(StoreError, match="11 bytes; at most 10") as raised:
        bucket.content("large.json", 10)
    assert raised.value.reason == "FileTooLarge"


def test_a_large_file_is_written_in_parts(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buckets, "WHOLE", 1 << 20)
    file = tmp_path / "model.onnx"
    file.write_bytes(os.urandom(20 << 20))
    bucket.put("parts/model.onnx", file)
    assert _all(bucket, "parts/model.onnx") == file.read_bytes()
    bucket.put("parts/model.onnx", b"replaced")
    assert bucket.content("parts/model.onnx", 99) == b"replaced"


def test_a_file_of_a_bucket_resumes(bucket: Bucket) -> None:
    bucket.put("file/data.csv", b"0123456789")
    file = bucket.file("file/data.csv")
    assert file.name == "data.csv"
    assert file.shown == f"{bucket.shown}/file/data.csv"
    assert b"".join(file.read(3, file.head())) == b"3456789"
    with pytest.raises(StoreError) as raised:
        bucket.file("file/none.csv").head()
    assert raised.value.reason == "DataNotFound"


MEASURED = """
import json, re, sys
from ipaddress import ip_network
from pathlib import Path
from modelwright_stores.access import Access
from modelwright_stores.objects.bucket import Bucket
access = Access(Path(sys.argv[1]), "s", "k", endpoint=sys.argv[2], networks=(ip_network("127.0.0.0/8"),))
bucket = Bucket("s3://lake", access)
mebibytes = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) >> 10
bucket.put("memory", Path(sys.argv[3]))
written = mebibytes()
head = bucket.head("memory")
assert sum(map(len, bucket.read("memory", 0, head))) == head.size
print(json.dumps([written, mebibytes()]))
"""


def test_little_is_in_memory_of_a_large_file(s3: Gateway, mount: Mount, tmp_path: Path) -> None:
    mount.write(s3.keys.secret_data())
    file = tmp_path / "large"
    with file.open("wb") as content:
        content.truncate(200 << 20)
    arguments = [sys.executable, "-c", MEASURED, str(mount.folder), s3.endpoint, str(file)]
    printed = subprocess.run(arguments, capture_output=True, check=True, timeout=120).stdout
    written, read = json.loads(printed)
    assert written < 100
    assert read < 100
