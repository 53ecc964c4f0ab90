"""One loop asks for everything: no object and no target can slow down, blind or end it for another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from fakes.objects import TOYS
from unit.given.questions import until

from modelwright.common.facts import trouble
from modelwright.engine.cache import Cache, View
from modelwright.engine.objects import Body, Key
from modelwright.sampling.loop import (
    Context,
    Limits,
    Loop,
    NoAnswer,
    Source,
    Unanswered,
    _ObjectSampler,
    _SourceSampler,
)

FACT = "answers"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Odd(Exception):  # noqa: N818
    """Something that nobody has thought of."""


@dataclass(frozen=True)
class Questions:
    """Who is asked about a toy."""

    about: Key
    subject: str
    targets: tuple[str, ...]


class Answers:
    """The last answer of each target."""

    def __init__(self) -> None:
        self.known: dict[str, Any] = {}

    def add(self, target: str, answer: str | Unanswered, at: datetime) -> None:
        """Trips over one answer."""
        if answer == "trips the book":
            raise Odd
        self.known[target] = answer.why if isinstance(answer, Unanswered) else answer

    def fact(self, current: Questions, at: datetime) -> Mapping[str, Any]:
        """Of the targets that there are."""
        return {target: self.known[target] for target in current.targets if target in self.known}


@dataclass
class Asked(Source[Questions, str, str]):
    """Toys have targets in their spec; what each does is in its name."""

    fact = FACT
    resource = TOYS
    limits: Limits = field(default_factory=lambda: Limits(0.05, 0.3, per_object=16, in_all=256))
    asked: list[str] = field(default_factory=list)

    def round(self, view: View, key: Key, now: datetime) -> Questions | None:
        """Everybody in the spec."""
        body = view.get(key)
        if body is None or not body["spec"]["targets"]:
            return None
        return Questions(key, str(body["spec"].get("step")), tuple(body["spec"]["targets"]))

    async def ask(self, current: Questions, target: str, at: datetime) -> str:
        """What the target does."""
        self.asked.append(target)
        kind = target.partition(" ")[0]
        if kind == "silent":
            await asyncio.sleep(3600)
        if kind == "refuses":
            raise NoAnswer("it refuses")
        if kind == "odd":
            raise Odd
        return target

    def answers(self, current: Questions) -> Answers:
        """Empty."""
        return Answers()


class Toys:
    """Objects in the cache."""

    def __init__(self) -> None:
        self.cache = Cache()
        self.version = 0
        self.leads = True
        self.counted: list[str] = []
        self.source = Asked()

    def put(self, name: str, spec: Any) -> Key:
        self.version += 1
        meta = {"name": name, "namespace": "team", "uid": name, "resourceVersion": str(self.version)}
        body: Body = {"metadata": meta, "spec": spec}
        self.cache.put(TOYS, body)
        return Key(TOYS, "team", name)

    def asks(self, name: str, *targets: str, **spec: Any) -> Key:
        return self.put(name, {"targets": targets, **spec})

    def gone(self, name: str) -> None:
        self.cache.gone(Key(TOYS, "team", name), name)

    def fact(self, key: Key) -> Any:
        return self.cache.fact(key, FACT)

    def trouble(self, key: Key) -> Any:
        return self.cache.fact(key, trouble(FACT))

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        context = Context(
            self.cache, lambda: self.leads, lambda _, outcome: self.counted.append(outcome), now=lambda: NOW
        )
        task = asyncio.create_task(Loop([self.source], context).run())
        yield
        assert not task.done(), task
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def toys() -> Toys:
    return Toys()


@pytest.fixture(autouse=True)
def pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelwright.sampling.loop.PULSE", 0.02)


async def within(seconds: float, holds: Callable[[], object]) -> None:
    async with asyncio.timeout(seconds):
        await until(holds)


async def test_answers_become_a_fact_of_the_object_and_so_does_why_there_is_none(toys: Toys) -> None:
    key = toys.asks("a", "good", "refuses", "silent")
    async with toys.followed():
        await within(2, lambda: len(toys.fact(key) or ()) == 3)
    assert toys.fact(key) == {
        "good": "good",
        "refuses": "it refuses",
        "silent": "it does not answer within 0.3 seconds",
    }
    assert toys.trouble(key) is None


async def test_silent_targets_of_many_objects_delay_nobody_else(toys: Toys) -> None:
    toys.source.limits = Limits(0.05, timeout=5.0, per_object=16, in_all=256)
    for name in range(10):
        toys.asks(f"silent-{name}", *(f"silent {name} {number}" for number in range(96)))
    async with toys.followed():
        await asyncio.sleep(0.2)
        key = toys.asks("good", "good")
        await within(3, lambda: toys.fact(key))


async def test_silent_targets_delay_no_other_of_their_object_once_they_are_known(toys: Toys) -> None:
    targets = [f"silent {number}" for number in range(96)]
    key = toys.asks("a", *targets, "good")
    async with toys.followed():
        await within(5, lambda: "good" in (toys.fact(key) or ()))
        before = toys.source.asked.count("good")
        await within(3, lambda: toys.source.asked.count("good") - before > 5)


@pytest.mark.parametrize("hostile", [{}, {"targets": 5}, {"targets": [{}]}, {"targets": ["odd"]}, None, "x"])
async def test_an_object_that_trips_whatever_it_meets_costs_the_others_nothing(
    toys: Toys, hostile: Any
) -> None:
    toys.put("hostile", hostile)
    good = [toys.asks(f"good-{number}", "good") for number in range(100)]
    async with toys.followed():
        await within(5, lambda: all(toys.fact(key) for key in good))


async def test_what_trips_is_counted_logged_once_and_told_until_it_is_over(
    toys: Toys, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = toys.put("a", {}), toys.asks("b", "trips the book")
    async with toys.followed():
        await within(2, lambda: toys.trouble(first) and toys.trouble(second))
        await asyncio.sleep(0.3)
        assert toys.trouble(first) == "the operator failed with KeyError, see its log"
        assert toys.trouble(second) == "the operator failed with Odd, see its log"
        assert toys.counted.count("failed") > 4
        assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 2
        toys.asks("a")
        toys.asks("b", "good")
        await within(2, lambda: toys.trouble(first) is None and toys.trouble(second) is None)


async def test_a_question_that_fails_is_one_without_an_answer(toys: Toys) -> None:
    key = toys.asks("a", "odd", "good")
    async with toys.followed():
        await within(2, lambda: len(toys.fact(key) or ()) == 2)
    assert toys.fact(key)["odd"] == "the operator failed with Odd, see its log"


async def test_what_is_gone_is_forgotten_and_asked_no_more(toys: Toys) -> None:
    key = toys.asks("a", "good", "other")
    async with toys.followed():
        await within(2, lambda: len(toys.fact(key) or ()) == 2)
        toys.asks("a", "good")
        await within(2, lambda: toys.fact(key) == {"good": "good"})
        toys.asks("a")
        await within(2, lambda: toys.fact(key) is None)
        asked = len(toys.source.asked)
        await asyncio.sleep(0.2)
        assert len(toys.source.asked) == asked


async def test_another_subject_begins_with_nothing(toys: Toys) -> None:
    key = toys.asks("a", "good", step=1)
    async with toys.followed():
        await within(2, lambda: toys.fact(key))
        toys.asks("a", "silent", step=2)
        await within(2, lambda: toys.fact(key).keys() == {"silent"})


async def test_an_object_of_the_same_name_is_asked_about_anew(toys: Toys) -> None:
    key = toys.asks("a", "good")
    async with toys.followed():
        await within(2, lambda: toys.fact(key))
        toys.gone("a")
        assert toys.fact(key) is None
        await asyncio.sleep(0.2)
        assert toys.cache.noted(FACT) == []


async def test_who_does_not_lead_asks_nobody_and_who_stops_leading_forgets(toys: Toys) -> None:
    key = toys.asks("a", "good")
    toys.leads = False
    async with toys.followed():
        await asyncio.sleep(0.2)
        assert toys.source.asked == []
        toys.leads = True
        await within(2, lambda: toys.fact(key))
        toys.leads = False
        await within(2, lambda: toys.fact(key) is None)


async def test_what_an_earlier_loop_has_noted_is_forgotten(toys: Toys) -> None:
    key = toys.asks("a")
    toys.cache.note(key, FACT, "old")
    async with toys.followed():
        await within(2, lambda: toys.fact(key) is None)


async def test_no_more_questions_are_under_way_than_the_limits_say(toys: Toys) -> None:
    toys.source.limits = Limits(0.05, timeout=5.0, per_object=2, in_all=3)
    for name in range(4):
        toys.asks(f"a{name}", *(f"silent {name} {number}" for number in range(5)))
    async with toys.followed():
        await asyncio.sleep(0.3)
        assert len(toys.source.asked) == 3


@pytest.mark.parametrize(
    ("failures", "seconds", "due"),
    [
        *((0, 1.8, False), (0, 1.99, True), (0, 2.0, True)),
        *((1, 2.0, False), (1, 4.0, True), (2, 8.0, True), (9, 7.0, False), (9, 8.0, True)),
    ],
)
def test_a_target_is_asked_at_its_pace_and_less_often_while_it_does_not_answer(
    toys: Toys, failures: int, seconds: float, due: bool
) -> None:
    toys.source.limits = Limits(2.0, timeout=1.0, per_object=2, in_all=2)
    context = Context(toys.cache, lambda: True, clock=lambda: seconds)
    followed: _ObjectSampler[Questions, str, str] = _ObjectSampler(
        _SourceSampler(toys.source, context), toys.asks("a", "good")
    )
    followed._last_query["good"] = 0.0
    followed._failures["good"] = failures
    assert followed._is_due("good") is due
