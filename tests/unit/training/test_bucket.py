"""The bucket in memory, of which tests explore millions of histories, does what real ones do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from fakes.bucket import MemoryBucket
from unit.training.outside import place
from unit.training.pod import Pod

from modelwright_stores.failures import StoreError
from modelwright_training.storing.bucket import Bucket, BucketStore


@pytest.fixture(scope="module", params=["memory", "s3", "az"])
def bucket(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    if request.param == "memory":
        yield MemoryBucket()
        return
    folder = tmp_path_factory.mktemp("bucket")
    with place(request.param, folder / "server") as running:
        (folder / "pod").mkdir()
        store = running.store(Pod(folder / "pod"))
        assert isinstance(store, BucketStore)
        yield store.bucket


def test_a_bucket_keeps_the_contract_that_publications_and_deletions_rely_on(bucket: Bucket) -> None:
    assert bucket.head("a/x") is None
    assert bucket.content("a/x", 9) is None
    bucket.put("a/.run.1", b"")
    assert bucket.put_new("a/x", b"one") is True
    assert bucket.put_new("a/x", b"two") is False
    assert bucket.content("a/x", 9) == b"one", "written once"
    with pytest.raises(StoreError) as large:
        bucket.content("a/x", 2)
    assert large.value.reason == "FileTooLarge"
    head = bucket.head("a/x")
    assert head is not None
    assert (head.size, b"".join(bucket.read("a/x", 1, head))) == (3, b"ne")
    bucket.put("ab", b"elsewhere")
    bucket.put("a/deep/y", b"y")
    found = list(bucket.entries("a/"))
    assert [(entry.key, entry.size) for entry in found] == [("a/.run.1", 0), ("a/deep/y", 1), ("a/x", 3)]
    assert max(entry.modified for entry in found) - min(entry.modified for entry in found) < timedelta(
        minutes=1
    )
    bucket.put("a/x", b"three")
    with pytest.raises(StoreError) as changed:
        b"".join(bucket.read("a/x", 0, head))
    assert (changed.value.reason, changed.value.passing) == ("FileChanged", True)
    bucket.delete(["a/x", "a/never"])
    with pytest.raises(StoreError) as gone:
        b"".join(bucket.read("a/x", 0, head))
    assert gone.value.reason == "FileChanged"
    assert names(bucket) == ["a/.run.1", "a/deep/y"]
    bucket.delete(["a/.run.1", "a/deep/y"])
    assert names(bucket) == []
    assert bucket.put_new("a/x", b"again") is True


def names(bucket: Any) -> list[str]:
    return [entry.key for entry in bucket.entries("a/")]
