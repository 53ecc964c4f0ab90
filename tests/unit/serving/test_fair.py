"""Callers take turns, in the queue as in the runs."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest
from fuzz.turns import Turns
from unit.serving import models
from unit.serving.conftest import ModelFile

from modelwright_serving.batch import Bounds, Executor
from modelwright_serving.fair import in_turns
from modelwright_serving.memory import Account, Memory
from modelwright_serving.metrics import Metrics
from modelwright_serving.model import load
from modelwright_serving.oip.errors import CostlyError, OipError
from modelwright_serving.oip.request import InferRequest
from modelwright_serving.runs import Work


@pytest.mark.parametrize(
    ("items", "most", "found"),
    [
        ("", 3, ""),
        ("a1 a2 a3 b1", 3, "a1 b1 a2"),
        ("a1 a2 b1 a3 c1 b2", 9, "a1 b1 c1 a2 b2 a3"),
        ("a1 b1 c1", 2, "a1 b1"),
    ],
)
def test_each_caller_has_one_after_the_other(items: str, most: int, found: str) -> None:
    assert in_turns(items.split(), lambda item: item[0], most) == found.split()


class Ticket:
    """A request that only the worker decodes, to find nothing."""

    is_copy = False

    def __init__(self, account: Account, name: str) -> None:
        self.account, self.name = account, name
        self.accepted = 2.0**40
        self.settled = False
        self.error = ""

    def decode(self, *, at_once: bool) -> InferRequest:
        raise CostlyError if at_once else OipError("nothing")

    def fail(self, error: OipError) -> None:
        self.settled, self.error = True, error.message

    encode = succeed = cast("Any", None)


class ByHand:
    """A worker that works when the test tells it to."""

    def __init__(self) -> None:
        self.job: tuple[Callable[[], Work], Callable[[Work | None], None]] | None = None

    @property
    def busy(self) -> bool:
        return self.job is not None

    def busy_seconds(self) -> float:
        return 0.0

    def start(self, work: Callable[[], Work], done: Callable[[Work | None], None]) -> None:
        self.job = work, done

    def works(self) -> None:
        assert self.job is not None
        (work, done), self.job = self.job, None
        done(work())


class Queue:
    """An executor with room for four requests, whose requests are all for the worker."""

    def __init__(self, model: ModelFile) -> None:
        self.loop, self.worker = Turns(), ByHand()
        self.executor = Executor(
            load(model(models.share_of_batch()), None),
            cast("Any", self.worker),
            cast("asyncio.AbstractEventLoop", self.loop),
            Metrics("m", "1"),
            Bounds(requests=4),
            lambda: None,
        )
        memory = Memory(1)
        self._accounts = {name: memory.join(name) for name in "abc"}

    def takes(self, *names: str) -> list[Ticket]:
        tickets = [Ticket(self._accounts[name[0]], name) for name in names]
        for ticket in tickets:
            self.executor.submit(ticket)
        return tickets

    def order(self, tickets: list[Ticket]) -> list[str]:
        """In which order they are answered."""
        found: list[str] = []
        self.loop.settle()
        while self.worker.busy:
            self.worker.works()
            found += [ticket.name for ticket in tickets if ticket.settled and ticket.name not in found]
        return found


def test_callers_take_turns_at_the_worker(model_file: ModelFile) -> None:
    queue = Queue(model_file)
    tickets = queue.takes("a1", "a2", "a3", "b1")
    queue.loop.settle()
    assert queue.order([*tickets, *queue.takes("c1")]) == ["a1", "b1", "c1", "a2", "a3"]


def test_who_fills_the_queue_gives_way_to_others(model_file: ModelFile) -> None:
    queue = Queue(model_file)
    hungry = queue.takes("a1", "a2", "a3", "a4", "a5")
    assert [ticket.name for ticket in hungry if ticket.settled] == ["a5"]
    honest = queue.takes("b1", "c1")
    assert [ticket.name for ticket in hungry if ticket.settled] == ["a3", "a4", "a5"]
    assert len(queue.executor) == 4
    assert not any(ticket.settled for ticket in honest)
    (surplus,) = queue.takes("b2")
    assert "too many requests" in surplus.error
    assert queue.order([*hungry[:2], *honest]) == ["a1", "b1", "c1", "a2"]
