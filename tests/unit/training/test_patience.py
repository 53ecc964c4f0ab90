"""How a store that fails is tried again, while a model that took hours waits to be kept."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from fakes.bucket import MemoryBucket

from modelwright_stores.failures import StoreError
from modelwright_stores.resuming import Head
from modelwright_training.storing.patience import ExhaustedError, PatientBucket, patiently

BUSY = StoreError("StoreUnavailable", "The store is busy.", passing=True)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that have passed; a pause adds to them."""
    passed = [0.0]

    def sleep(seconds: float) -> None:
        passed[0] += seconds

    monkeypatch.setattr(time, "monotonic", lambda: passed[0])
    monkeypatch.setattr(time, "sleep", sleep)
    return passed


def test_a_long_upload_that_fails_in_its_last_second_is_sent_again(clock: list[float]) -> None:
    sent = []

    def upload() -> str:
        clock[0] += 3600
        sent.append(clock[0])
        if len(sent) == 1:
            raise BUSY
        return "sent"

    assert patiently(upload, 600) == "sent"


def test_patience_is_counted_from_the_first_failure_on_and_used_once(clock: list[float]) -> None:
    asked = []

    def ask() -> None:
        asked.append(clock[0])
        raise BUSY

    with pytest.raises(ExhaustedError) as ended:
        patiently(lambda: patiently(ask, 600), 600)
    assert (ended.value.reason, ended.value.passing) == ("StoreUnavailable", True)
    assert 580 < clock[0] <= 600
    assert asked[:4] == pytest.approx([0, 0.2, 0.6, 1.4])


def test_a_refusal_is_not_tried_again(clock: list[float]) -> None:
    def ask() -> None:
        raise StoreError("AccessDenied", "No.")

    with pytest.raises(StoreError, match="No") as refused:
        patiently(ask, 600)
    assert refused.value.reason == "AccessDenied"
    assert clock[0] == 0


class Breaking(MemoryBucket):
    """Gives three bytes at a time, then breaks."""

    def __init__(self) -> None:
        super().__init__()
        self.starts: list[int] = []

    def read(self, key: str, start: int, head: Head) -> Iterator[bytes]:
        self.starts.append(start)
        whole: Any = self.content(key, 1 << 20)
        yield whole[start : start + 3]
        if start + 3 < len(whole):
            raise BUSY


def test_a_model_is_read_on_at_the_byte_that_was_reached(clock: list[float]) -> None:
    bucket = Breaking()
    bucket.put("model", b"12345678")
    head = bucket.head("model")
    assert head is not None
    assert b"".join(PatientBucket(bucket, 600).read("model", 0, head)) == b"12345678"
    assert bucket.starts == [0, 3, 6]
    assert clock[0] == pytest.approx(0.4), "each pause is a first one"
