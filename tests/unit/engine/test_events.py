"""Each occurrence is posted once, and posting it never holds up the work."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fakes.api import FakeApi
from fakes.objects import map_key, toy, toy_key
from hypothesis import given
from hypothesis import strategies as st

from modelwright.engine import events
from modelwright.engine.errors import ApiError, Forbidden, Unavailable
from modelwright.engine.events import EVENTS, EventRecorder, event_name
from modelwright.engine.objects import Body, Key
from modelwright.engine.plan import Event

FAILED = Event("Warning", "ApplyFailed", "spec.replicas: must be positive")


class Post:
    """A recorder and what it posted."""

    def __init__(self) -> None:
        self.api = FakeApi()
        self.now = datetime(2026, 1, 1, 12, tzinfo=UTC)
        self.toy = self.api.put(toy_key(), toy())
        self.restart()

    def restart(self) -> None:
        self.recorder = EventRecorder(self.api, "operator-1", lambda: self.now)

    def posted(self) -> list[Body]:
        return [body for key, body in self.api.objects.items() if key.resource == EVENTS]


@pytest.fixture
def post() -> Post:
    return Post()


async def test_an_event_says_of_what_by_whom_and_what(post: Post) -> None:
    await post.recorder.record(post.toy, FAILED)

    (event,) = post.posted()
    assert event["involvedObject"]["name"] == "churn"
    assert event["involvedObject"]["uid"] == post.toy["metadata"]["uid"]
    assert event["reportingComponent"] == "modelwright-operator"
    assert (event["type"], event["reason"]) == ("Warning", "ApplyFailed")
    assert event["message"] == "spec.replicas: must be positive"
    assert event["metadata"]["namespace"] == "shop"


async def test_the_same_thing_said_often_is_one_request(post: Post) -> None:
    for _ in range(100):
        await post.recorder.record(post.toy, FAILED)

    assert len(post.api.calls) == 1


async def test_another_thing_is_another_event(post: Post) -> None:
    await post.recorder.record(post.toy, FAILED)
    await post.recorder.record(post.toy, Event("Warning", "ApplyFailed", "other"))
    await post.recorder.record({**post.toy, "metadata": {**post.toy["metadata"], "generation": 2}}, FAILED)

    assert len(post.posted()) == 3


async def test_what_still_holds_after_a_while_is_counted_again(post: Post) -> None:
    await post.recorder.record(post.toy, FAILED)
    post.now += timedelta(minutes=11)
    await post.recorder.record(post.toy, FAILED)

    (event,) = post.posted()
    assert (event["count"], event["lastTimestamp"]) == (2, "2026-01-01T12:11:00Z")
    assert event["firstTimestamp"] == "2026-01-01T12:00:00Z"


async def test_a_process_that_restarts_again_and_again_does_not_count_again_and_again(post: Post) -> None:
    for _ in range(5):
        post.restart()
        await post.recorder.record(post.toy, FAILED)

    (event,) = post.posted()
    assert event["count"] == 1


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("exceeded quota: used: pods=3, limited: pods=4", "exceeded quota: used: pods=4, limited: pods=4"),
        ("requested: memory=512Mi", "requested: memory=1536Mi"),
        ("next try in 20.5 s", "next try in 41.0 s"),
        ("run 2: fetch failed", "run 3: fetch failed"),
    ],
)
async def test_a_message_whose_numbers_have_changed_is_a_repetition_with_the_newest_numbers(
    post: Post, earlier: str, later: str
) -> None:
    for message in (earlier, later):
        await post.recorder.record(post.toy, Event("Warning", "ApplyFailed", message))
        post.now += timedelta(minutes=1)

    (event,) = post.posted()
    assert (event["message"], event["count"]) == (later, 2)
    assert (event["firstTimestamp"], event["lastTimestamp"]) == (
        "2026-01-01T12:00:00Z", "2026-01-01T12:01:00Z",
    )  # fmt: skip


async def test_a_number_in_a_name_makes_it_another_event(post: Post) -> None:
    for version in ("churn-2", "churn-3"):
        await post.recorder.record(post.toy, Event("Normal", "Promoted", f"ModelVersion {version} took over"))

    assert len(post.posted()) == 2


async def test_a_message_that_is_too_long_is_cut(post: Post) -> None:
    await post.recorder.record(post.toy, Event("Warning", "ApplyFailed", "x" * 5000))

    (event,) = post.posted()
    assert len(event["message"]) == 1024


async def test_an_event_that_is_refused_is_logged_and_no_more(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    post.api.fail(lambda: Forbidden("events are forbidden"))
    with caplog.at_level(logging.WARNING):
        await post.recorder.record(post.toy, FAILED)

    assert "events are forbidden" in caplog.text


@pytest.mark.parametrize("error", [Forbidden("events are forbidden"), Unavailable("down")])
async def test_an_event_that_was_not_posted_is_posted_the_next_time(post: Post, error: ApiError) -> None:
    post.api.fail(lambda: error)
    await post.recorder.record(post.toy, FAILED)
    assert post.posted() == []

    await post.recorder.record(post.toy, FAILED)
    assert len(post.posted()) == 1


async def test_an_event_whose_answer_was_lost_is_not_counted_twice(post: Post) -> None:
    post.api.fail(lambda: Unavailable("the connection broke"), "after")
    for _ in range(3):
        await post.recorder.record(post.toy, FAILED)

    (event,) = post.posted()
    assert event["count"] == 1


async def test_an_api_server_that_does_not_answer_is_not_waited_for(
    post: Post, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def hang(*_: Any) -> Body:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(events, "PATIENCE", 0.01)
    monkeypatch.setattr(post.api, "create", hang)
    await post.recorder.record(post.toy, FAILED)

    assert "was not posted" in caplog.text


async def test_the_memory_of_what_was_posted_is_bounded(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "REMEMBERED", 5)
    for number in range(20):
        await post.recorder.record(post.toy, Event("Normal", "N", f"toy-{number}"))

    assert len(post.recorder._posted) == 5


@given(st.from_regex(r"[a-z0-9]([-a-z0-9]{0,250}[a-z0-9])?", fullmatch=True))
def test_the_name_of_an_event_is_one_that_the_api_server_takes(name: str) -> None:
    about = {"metadata": {"name": name, "uid": "u"}}
    made = event_name(about, FAILED)

    assert len(made) <= 253
    assert ".." not in made
    assert "-." not in made


def test_events_have_a_path_of_their_own() -> None:
    assert Key(EVENTS, "shop", "e").resource.path("shop") == "/api/v1/namespaces/shop/events"
    assert map_key().resource.path(None) == "/api/v1/configmaps"
