"""Publications and deletions of one artifact in a bucket: every order of their requests, kills, lost answers."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from fakes.bucket import Kept, MemoryBucket
from unit.training.histories import Histories, Process, Replayed, State

from modelwright_training.files import digest_of
from modelwright_training.storing.bucket import LEASE, BucketStore, Time
from modelwright_training.storing.layout import folder_name, mark_of

FILES = {"model.onnx": b"the model", "report.json": b"{}", "golden.json": b"[]"}
DIGEST = digest_of(FILES["model.onnx"])
FOLDER = f"churn/{folder_name(DIGEST)}/"
OLD, OLDER = mark_of("team", "churn", 1), mark_of("team", "risk", 1)
NEW, OTHER = mark_of("team", "churn", 2), mark_of("team", "risk", 2)
OVER = {OLD, OLDER}


def store(bucket: Any, time: Time, name: str = "x") -> BucketStore:
    return BucketStore("s3://models/churn", bucket, "churn/", time, lambda: f".deleting.{name}")


def publication(mark: str, report: bytes = b"{}") -> Process:
    def work(bucket: Replayed, _: int) -> bool:
        return store(bucket, bucket.time).put(DIGEST, {**FILES, "report.json": report}, mark)

    return Process(mark, work)


def deletion(*over: str) -> Process:
    def work(bucket: Replayed, attempt: int) -> list[str]:
        own = store(bucket, bucket.time, f"{over[0]}-{attempt}")
        return own.remove(DIGEST, lambda mark: mark in over)

    return Process(f"delete {over[0]}", work)


def published(*marks: str, **others: bytes) -> dict[str, Kept]:
    files = {**FILES, **dict.fromkeys(marks, b""), **others} if marks else others
    return {f"{FOLDER}{name}": Kept(content, -2 * LEASE) for name, content in files.items()}


def half(mark: str, *names: str) -> dict[str, Kept]:
    """What a publication has left that was killed."""
    return {f"{FOLDER}{name}": Kept(FILES.get(name, b""), -2 * LEASE) for name in (*names, mark)}


def the_promise_holds(histories: Histories, state: State) -> None:
    """From the moment at which a publication returns, its files are in the bucket."""
    there: dict[str, bytes] | None = None
    for process, life in zip(histories.processes, state.lives, strict=True):
        if process.name.startswith(".run.") and life.next[0] == "returns":
            there = there or {key.removeprefix(FOLDER): kept.content for key, kept in state.objects}
            assert {process.name, *FILES} <= there.keys(), state
            assert there["model.onnx"] == FILES["model.onnx"], state


def the_end_is_good(state: State) -> None:
    """No process waits without end or is refused, and what no run needs is gone."""
    for life in state.lives:
        assert life.next[0] == "returns" or life.attempt == 2, state
    names = {key.removeprefix(FOLDER) for key, _ in state.objects}
    killed = any(life.attempt > 1 for life in state.lives)
    if not killed and not names & {NEW, OTHER}:
        assert not names, state
    continued(state)


ENDS: set[object] = set()


def continued(state: State) -> None:
    """Whatever has happened, a deletion, a publication and another deletion find their way."""
    bucket = MemoryBucket(dict(state.objects), state.second)
    bucket.second += 1
    if (key := (state.objects, state.second)) in ENDS:
        return
    ENDS.add(key)

    def pause(_: float) -> None:
        bucket.second += LEASE / 3

    time = Time(lambda: bucket.second, pause)
    live = {name.removeprefix(FOLDER) for name in bucket.objects} & {NEW, OTHER}
    assert store(bucket, time, "end-1").remove(DIGEST, OVER.__contains__) == sorted(live)
    if not live:
        assert not bucket.objects, state
    last = mark_of("team", "last", 1)
    store(bucket, time, "end-2").put(DIGEST, FILES, last)
    assert {f"{FOLDER}{name}" for name in (*FILES, last)} <= bucket.objects.keys()
    bucket.second += 2 * LEASE
    assert store(bucket, time, "end-3").remove(DIGEST, lambda _: True) == []
    assert not bucket.objects, state


Case = tuple[list[Process], dict[str, Kept], int]

# Each with one process that is killed, or one answer that is lost, at each place.
PAIRS: dict[str, Case] = {
    "a publication meets a deletion of what a killed one left": (
        [publication(NEW), deletion(OLD)], half(OLD, "model.onnx"), 1
    ),
    "two publications": ([publication(NEW), publication(OTHER, b'{"other": 1}')], {}, 1),
    "two deletions": ([deletion(OLD), deletion(OLDER)], published(OLD, OLDER), 0),
    "a publication meets a deletion": ([publication(NEW), deletion(OLD)], published(OLD), 0),
    "a publication meets a deletion after one that was killed": (
        [publication(NEW), deletion(OLD)], published(OLD) | {f"{FOLDER}.deleting.killed": Kept(b"", 0)}, 0
    ),
}  # fmt: skip
CROWDS: dict[str, Case] = {
    "a publication meets a deletion": ([publication(NEW), deletion(OLD)], published(OLD), 3),
    "two publications meet a deletion": (
        [publication(NEW), publication(OTHER), deletion(OLD)], published(OLD), 2
    ),
    "a publication meets two deletions": (
        [publication(NEW), deletion(OLD), deletion(OLDER)], published(OLD, OLDER), 2
    ),
    "all meet": (
        [publication(NEW), publication(OTHER), deletion(OLD), deletion(OLDER)], published(OLD, OLDER), 3
    ),
}  # fmt: skip
WALKS = 1500


def looking(histories: Histories) -> Callable[[State, bool], None]:
    def look(state: State, last: bool) -> None:
        the_promise_holds(histories, state)
        if last:
            the_end_is_good(state)

    return look


@pytest.mark.parametrize("name", PAIRS)
def test_every_history_of_two_keeps_the_promise(name: str) -> None:
    histories = Histories(*PAIRS[name])
    states, ways = histories.explore(looking(histories))
    print(f"{name}: {states} states, {ways} histories")
    assert ways > 1000


@pytest.mark.parametrize("name", CROWDS)
def test_random_histories_of_more_keep_the_promise(name: str) -> None:
    histories, random = Histories(*CROWDS[name]), Random(7)
    for _ in range(WALKS):
        histories.walk(random.choice, looking(histories))
